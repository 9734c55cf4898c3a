//! Traces of sign-ins and directory calls: `…/traces`. Read only.

use axum::Json;
use axum::extract::{Path, State};
use portcullis_domain::permission::Permission;
use portcullis_service::trace;
use portcullis_store::trace::{Trace, TraceFilter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::App;
use crate::api::id;
use crate::body::{At, Page, PageQuery, Params};
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// The record of one sign-in or directory call.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Trace")]
struct TraceWire {
    /// Its id.
    id: String,
    /// When.
    created_at: At,
    /// What it is a trace of.
    kind: String,
    /// How it ended: a stable code.
    outcome: String,
    /// Whom or what it was about.
    subject: String,
    /// The request, as its caller saw it.
    request_id: Option<String>,
    /// What came, which check decided, what was expected. Secrets are masked.
    content: Value,
}

impl TraceWire {
    fn of(trace: &Trace) -> Self {
        Self {
            id: trace.id.to_string(),
            created_at: At(trace.created_at),
            kind: trace.kind.clone(),
            outcome: trace.outcome.clone(),
            subject: trace.subject.clone(),
            request_id: trace.request.map(|r| r.to_string()),
            // A trace explains and decides nothing: content that is no JSON is shown as the text that it is.
            content: serde_json::from_str(&trace.content)
                .unwrap_or_else(|_| Value::String(trace.content.clone())),
        }
    }
}

/// Which traces.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    limit: Option<i64>,
    cursor: Option<String>,
    kind: Option<String>,
    outcome: Option<String>,
}

/// The rows.
pub fn operations() -> Vec<Operation> {
    let read = Needs::Permission(Permission::TracesRead);
    vec![
        Operation::get(
            "/organizations/{org}/traces",
            read,
            "Lists traces of sign-ins and directory calls, newest first.",
            list,
        )
        .paged()
        .query("kind", "Only traces of this kind: `sign_in` or `directory`.")
        .query("outcome", "Only traces that ended so: `ok` or a code.")
        .gives::<Page<TraceWire>>(),
        Operation::get("/organizations/{org}/traces/{trc}", read, "Shows a trace.", show)
            .gives::<TraceWire>(),
    ]
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page<TraceWire>>, Problem> {
    let organization = scope.organization.id;
    let (limit, after) = PageQuery { limit: wanted.limit, cursor: wanted.cursor }.bounds();
    let found = app
        .portcullis()
        .read(move |tx, _| {
            let filter = TraceFilter { kind: wanted.kind.as_deref(), outcome: wanted.outcome.as_deref() };
            trace::list(tx, organization, filter, (&after, limit + 1))
        })
        .await?;
    Ok(Json(Page::of(found.iter().map(TraceWire::of).collect(), limit, |t| t.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, trc)): Path<(String, String)>,
) -> Result<Json<TraceWire>, Problem> {
    let (organization, trace) = (scope.organization.id, id(&trc, "trace")?);
    let found = app.portcullis().read(move |tx, _| trace::find(tx, organization, trace)).await?;
    Ok(Json(TraceWire::of(&found)))
}
