//! Traces of sign-ins and directory calls: `…/traces`. Read only.

use axum::Json;
use axum::extract::{Path, State};
use portcullis_domain::id::TraceId;
use portcullis_domain::permission::Permission;
use portcullis_service::noun::Noun;
use portcullis_service::{ServiceError, trace};
use portcullis_store::Tx;
use portcullis_store::trace::{Trace, TraceFilter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::App;
use crate::api::audit::AuditEvent;
use crate::api::id;
use crate::body::{At, Page, PageQuery, Params};
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// How many of the events that a call caused are shown with its trace.
const MAX_EVENTS: i64 = 100;

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
    /// The directory or connection that it came by.
    source: Option<String>,
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
            source: trace.source.clone(),
            request_id: trace.request.map(|r| r.to_string()),
            // A trace explains and decides nothing: content that is no JSON is shown as the text that it is.
            content: serde_json::from_str(&trace.content)
                .unwrap_or_else(|_| Value::String(trace.content.clone())),
        }
    }
}

/// A trace with what came of it.
#[derive(Debug, Serialize, JsonSchema)]
struct TraceInFull {
    /// The trace.
    #[serde(flatten)]
    trace: TraceWire,
    /// What it changed and why: the audit events that it caused, oldest first, the first 100. Null for a caller who may
    /// not read audit events.
    events: Option<Vec<AuditEvent>>,
    /// Whether there are more: `…/audit-events?request_id=` lists them.
    has_more_events: bool,
}

/// What a trace is of.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    SignIn,
    Directory,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Directory => "directory",
        }
    }
}

/// Which traces.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    limit: Option<i64>,
    cursor: Option<String>,
    kind: Option<Kind>,
    outcome: Option<String>,
    directory: Option<String>,
    connection: Option<String>,
    subject: Option<String>,
    request_id: Option<String>,
    since: Option<At>,
    until: Option<At>,
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
        .query("directory", "Only what came by the directory of this id.")
        .query("connection", "Only what came by the connection of this id.")
        .query("subject", "Only what was about this: an id, an address, or `google full poll`.")
        .query("request_id", "Only the request of this id.")
        .query("since", "Not before this instant (RFC 3339).")
        .query("until", "Before this instant (RFC 3339).")
        .gives::<Page<TraceWire>>(),
        Operation::get(
            "/organizations/{org}/traces/{trc}",
            read,
            "Shows a trace, and what the call changed.",
            show,
        )
        .gives::<TraceInFull>(),
    ]
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page<TraceWire>>, Problem> {
    if wanted.directory.is_some() && wanted.connection.is_some() {
        let message = "is named or `directory`, not both: a call comes by one of them";
        return Err(ServiceError::invalid("connection", message).into());
    }
    let organization = scope.organization.id;
    let (limit, after) = PageQuery { limit: wanted.limit, cursor: wanted.cursor }.bounds::<TraceId>()?;
    // As many as are kept, where it is narrowed by what no index has.
    let found = app
        .portcullis()
        .read_apart(move |tx, _| {
            let filter = TraceFilter {
                kind: wanted.kind.map(Kind::as_str),
                outcome: wanted.outcome.as_deref(),
                source: wanted.directory.as_deref().or(wanted.connection.as_deref()),
                subject: wanted.subject.as_deref(),
                request: wanted.request_id.as_deref(),
                since: wanted.since.map(|at| at.0),
                until: wanted.until.map(|at| at.0),
            };
            trace::list(tx, organization, filter, (&after, limit + 1))
        })
        .await?;
    Ok(Json(Page::of(found.iter().map(TraceWire::of).collect(), limit, |t| t.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, trc)): Path<(String, String)>,
) -> Result<Json<TraceInFull>, Problem> {
    let (organization, trace) = (scope.organization.id, id(&trc, Noun::Trace)?);
    let sees_events = scope.caller.may(Permission::AuditEventsRead, organization).is_ok();
    let read = move |tx: &mut Tx<'_>, _| {
        let found = trace::find(tx, organization, trace)?;
        let caused = if sees_events { trace::caused(tx, &found, MAX_EVENTS + 1)? } else { Vec::new() };
        Ok((found, caused))
    };
    let (found, caused) = app.portcullis().read(read).await?;
    let most = usize::try_from(MAX_EVENTS).unwrap_or(usize::MAX);
    let events: Result<Vec<AuditEvent>, ServiceError> =
        caused.iter().take(most).map(AuditEvent::of).collect();
    Ok(Json(TraceInFull {
        trace: TraceWire::of(&found),
        events: sees_events.then_some(events?),
        has_more_events: caused.len() > most,
    }))
}
