//! The audit log: `…/audit-events`. Read only.

use axum::Json;
use axum::extract::{Path, State};
use portcullis_domain::audit::Action;
use portcullis_domain::id::EventId;
use portcullis_domain::permission::Permission;
use portcullis_service::noun::Noun;
use portcullis_service::{ServiceError, audit};
use portcullis_store::StoreError;
use portcullis_store::audit::{AuditFilter, StoredEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::App;
use crate::api::id;
use crate::body::{At, Page, PageQuery, Params};
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// One fact in the log, with the instant under the name that it has in every other answer: what is committed to names it
/// `at`, and stays as it is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AuditEvent {
    /// The fact.
    #[serde(flatten)]
    fact: Fact,
    /// When: the same as `at`.
    created_at: At,
    /// Its link in the organization's chain, in hexadecimal digits; null until it is linked. After a restore another log may
    /// have given its number to another event: that has another link.
    link: Option<String>,
}

/// A fact as it is committed to.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Fact {
    /// Its id.
    id: String,
    /// Its place in the organization's chain; null until it is linked, a second at most.
    #[serde(default)]
    number: Option<i64>,
    /// When.
    at: At,
    /// What was done.
    action: String,
    /// Who did it.
    actor: AuditActor,
    /// To what.
    targets: Vec<AuditTarget>,
    /// What made it happen.
    cause: AuditCause,
    /// `done` or `refused`.
    outcome: String,
    /// What else there is to know.
    detail: Value,
}

/// Who did it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct AuditActor {
    /// `root`, `membership`, `service_key`, `directory` or `system`.
    #[serde(rename = "type")]
    kind: String,
    /// Its id; empty where there is none.
    id: String,
}

/// What an event is about.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct AuditTarget {
    /// The noun.
    #[serde(rename = "type")]
    kind: String,
    /// Its id.
    id: String,
}

/// What made it happen.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct AuditCause {
    /// Through which door.
    #[schemars(extend("enum" = ["scim", "google", "sign_in", "api", "console", "rule", "system"]))]
    kind: String,
    /// The request, as its caller saw it.
    request_id: Option<String>,
    /// The event that this one follows from.
    event: Option<String>,
    /// The directory whose statement it was.
    directory: Option<String>,
    /// The token by which it was done; null for the root token, and where none was presented.
    token: Option<String>,
}

impl AuditEvent {
    /// As the API shows it.
    pub(super) fn of(stored: &StoredEvent) -> Result<Self, ServiceError> {
        let read: Result<Fact, _> = serde_json::from_str(&stored.content);
        let wrong = |error: serde_json::Error| {
            StoreError::Inconsistent(format!("event `{}` is not what was written: {error}", stored.id))
        };
        let fact = Fact { number: stored.number, ..read.map_err(wrong)? };
        Ok(Self { created_at: fact.at, link: stored.link.clone(), fact })
    }
}

/// Which events.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    limit: Option<i64>,
    cursor: Option<String>,
    actor: Option<String>,
    target: Option<String>,
    action: Option<String>,
    since: Option<At>,
    request_id: Option<String>,
    after: Option<u64>,
}

/// What `after` means.
const AFTER: &str = "Only what has a number above this one, in order of number; 0: from the first. Behind the last number that \
                     was read nothing is missed: the way to follow the log. `cursor` is a number then. A page looks at 10,000 \
                     numbers: as long as `next` is not null, go on with it.";

/// The rows.
pub fn operations() -> Vec<Operation> {
    let read = Needs::PermissionOfRecords(Permission::AuditEventsRead);
    vec![
        Operation::get("/organizations/{org}/audit-events", read, "Lists audit events, oldest first.", list)
            .paged()
            .query(
                "actor",
                "Only what this one did: an id, `root` or `system`. A page looks at 10,000 events.",
            )
            .query("target", "Only what was done to the thing of this id.")
            .query("action", "Only this action, such as `token.ended`; 400 for one that there is none of. A page looks at 10,000 events.")
            .query("since", "Not before this instant (RFC 3339). An event of the last seconds may still come in behind it.")
            .query("request_id", "Only what this request caused, among the 10,000 events from when it came.")
            .query("after", AFTER)
            .gives::<Page<AuditEvent>>()
            .refuses(&["after_beyond_end"]),
        Operation::get("/organizations/{org}/audit-events/{evt}", read, "Shows an audit event.", show)
            .gives::<AuditEvent>(),
    ]
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page<AuditEvent>>, Problem> {
    let organization = scope.organization.id;
    let page = PageQuery { limit: wanted.limit, cursor: wanted.cursor };
    let filter = AuditFilter {
        actor: wanted.actor.unwrap_or_default(),
        target: wanted.target.unwrap_or_default(),
        action: wanted.action.as_deref().map(known).transpose()?.unwrap_or_default(),
        since: wanted.since.map(|at| at.0),
        request: None,
    };
    if let Some(after) = wanted.after {
        if wanted.request_id.is_some() {
            let message =
                "is named or `request_id`, not both: what a request caused is looked for in order of time";
            return Err(ServiceError::invalid("after", message).into());
        }
        let (limit, after) = page.numbers(after)?;
        let (found, further) = app
            .portcullis()
            .read_apart(move |tx, _| audit::follow(tx, organization, &filter, (after, limit + 1)))
            .await?;
        let number = |e: &AuditEvent| e.fact.number.unwrap_or_default().to_string();
        return Ok(Json(shown(&found, limit, number, further.map(|number| number.to_string()))?));
    }
    let (limit, after) = page.bounds::<EventId>()?;
    // What cannot be a request caused nothing, like an unknown one.
    let Ok(request) = wanted.request_id.as_deref().map(str::parse).transpose() else {
        return Ok(Json(Page::of(Vec::new(), limit, |e: &AuditEvent| e.fact.id.clone())));
    };
    let filter = AuditFilter { request, ..filter };
    let (found, further) = app
        .portcullis()
        .read_apart(move |tx, _| audit::list(tx, organization, &filter, (&after, limit + 1)))
        .await?;
    Ok(Json(shown(&found, limit, |e| e.fact.id.clone(), further.map(|event| event.to_string()))?))
}

/// An action as it is written: whoever asks for one that there is none of would wait for it for ever.
fn known(action: &str) -> Result<String, ServiceError> {
    match action.parse::<Action>() {
        Ok(action) => Ok(action.as_str().to_owned()),
        Err(_) if action.is_empty() => Ok(String::new()),
        Err(_) => Err(ServiceError::invalid("action", "is none of the actions that are written")),
    }
}

/// A page of events that were asked for with one more than `limit`; one that was cut short goes on `further`.
fn shown(
    found: &[StoredEvent],
    limit: i64,
    cursor: impl Fn(&AuditEvent) -> String,
    further: Option<String>,
) -> Result<Page<AuditEvent>, ServiceError> {
    let events: Result<Vec<AuditEvent>, ServiceError> = found.iter().map(AuditEvent::of).collect();
    let page = Page::of(events?, limit, cursor);
    Ok(Page { next: page.next.or(further), ..page })
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, evt)): Path<(String, String)>,
) -> Result<Json<AuditEvent>, Problem> {
    let (organization, event) = (scope.organization.id, id(&evt, Noun::AuditEvent)?);
    let found = app.portcullis().read(move |tx, _| audit::find(tx, organization, event)).await?;
    Ok(Json(AuditEvent::of(&found)?))
}
