//! `/organizations/{org}/grants`: roles that people give to people.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::grant as domain;
use portcullis_domain::id::GrantId;
use portcullis_domain::permission::Permission::{GrantsRead, GrantsWrite};
use portcullis_service::ServiceError;
use portcullis_service::grant::{self, NewGrant, Vouching};
use portcullis_service::noun::Noun;
use portcullis_store::Priority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::api::id;
use crate::body::{At, Body, Page, PageQuery, Params};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// A grant.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Grant {
    /// Its id.
    id: String,
    /// The membership that has the role by it.
    member: String,
    /// The slug of the role.
    role: String,
    /// Why, in the words of who gave it.
    reason: String,
    /// The membership that gave it; null for the root token.
    granted_by: Option<String>,
    /// The request that gave it.
    request_id: Option<String>,
    /// When it was given.
    created_at: At,
}

impl From<domain::Grant> for Grant {
    fn from(g: domain::Grant) -> Self {
        Self {
            id: g.id.to_string(),
            member: g.membership.to_string(),
            role: g.role.to_string(),
            reason: g.reason,
            granted_by: g.granted_by.map(|m| m.to_string()),
            request_id: g.request.map(|r| r.to_string()),
            created_at: At(g.created_at),
        }
    }
}

/// A new grant.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantWish {
    /// The id of the membership.
    member: String,
    /// The slug of the role.
    role: String,
    /// Why.
    reason: String,
    /// Whether whoever gives it has looked that the accounts by which the member signs in, or would, are theirs.
    vouched: Option<bool>,
    /// With `vouched`: the `revision` of `…/members/{mem}/known-by` that they looked at. Refused with `changed_meanwhile` if the
    /// member is known by something else by now.
    revision: Option<String>,
}

/// What changes of a grant.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantPatch {
    /// Why.
    reason: Option<String>,
}

const LIST: &str = "/organizations/{org}/grants";
const ONE: &str = "/organizations/{org}/grants/{grant}";

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(GrantsRead);
    let write = Needs::Permission(GrantsWrite);
    vec![
        Operation::create(LIST, write, "Gives a role.", create)
            .takes::<GrantWish>()
            .gives::<Grant>()
            .refuses(&[
                "invalid_slug",
                "above_own_rank",
                "member_inactive",
                "token_seen_below",
                "source_set_below",
                "told_from_below",
                "changed_meanwhile",
            ]),
        Operation::get(LIST, see, "Lists grants.", list).gives::<Page<Grant>>().paged(),
        Operation::get(ONE, see, "Shows a grant.", show).gives::<Grant>(),
        Operation::patch(ONE, write, "Writes the reason of a grant anew.", change)
            .takes::<GrantPatch>()
            .gives::<Grant>()
            .refuses(&["above_own_rank"]),
        Operation::delete(ONE, write, "Takes a role back.", delete)
            .refuses(&["above_own_rank", "last_owner"]),
    ]
}

async fn create(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<GrantWish>,
) -> Result<Created, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller.clone());
    let GrantWish { member, role, reason, vouched, revision } = body.value;
    let vouching = match (vouched == Some(true), revision) {
        (true, revision) => Vouching::Vouched(revision),
        (false, None) => Vouching::Unsaid,
        (false, Some(_)) => {
            return Err(
                ServiceError::invalid("revision", "is of what is vouched for: say `vouched`, too").into()
            );
        }
    };
    let wish = NewGrant { role, reason, vouching };
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        let about = (org, id(&member, Noun::Member)?);
        grant::create(tx, moment, &caller, about, &wish, cause).map(Grant::from)
    })
    .await
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Grant>>, Problem> {
    let (limit, after) = page.bounds::<GrantId>()?;
    let org = scope.organization.id;
    let found = app.portcullis().read(move |tx, _| grant::list(tx, org, &after, limit + 1)).await?;
    let items = found.into_iter().map(Grant::from).collect();
    Ok(Json(Page::of(items, limit, |g: &Grant| g.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, grant)): Path<(String, String)>,
) -> Result<Json<Grant>, Problem> {
    let (org, grant) = (scope.organization.id, id(&grant, Noun::Grant)?);
    let found = app.portcullis().read(move |tx, _| grant::find(tx, org, grant)).await?;
    Ok(Json(found.into()))
}

async fn change(
    State(app): State<App>,
    scope: Scope,
    Path((_, grant)): Path<(String, String)>,
    body: Body<GrantPatch>,
) -> Result<Json<Grant>, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller);
    let (grant, why) = (id(&grant, Noun::Grant)?, body.value.reason);
    let changed = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| {
            grant::update(tx, moment, &caller, org, (grant, why.as_deref()), cause)
        })
        .await?;
    Ok(Json(changed.into()))
}

async fn delete(
    State(app): State<App>,
    scope: Scope,
    Path((_, grant)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller);
    let grant = id(&grant, Noun::Grant)?;
    app.portcullis()
        .write(Priority::OffBoarding, move |tx, moment| grant::end(tx, moment, &caller, org, grant, cause))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
