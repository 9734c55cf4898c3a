//! `/organizations/{org}/invitations`: links by which people join.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::Timestamp;
use portcullis_domain::id::TokenId;
use portcullis_domain::permission::Permission::{InvitationsRead, InvitationsWrite};
use portcullis_domain::token::TokenEnd;
use portcullis_service::ServiceError;
use portcullis_service::invitation;
use portcullis_service::noun::Noun;
use portcullis_store::Priority;
use portcullis_store::invitation::Invitation as Stored;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id;
use crate::App;
use crate::body::{At, Body, Page, PageQuery, Params};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// An invitation.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Invitation {
    /// Its id.
    id: String,
    /// The address that it is for.
    email: String,
    /// The role that waits.
    role: Option<String>,
    /// The membership that waits.
    member: String,
    /// `pending`, `accepted`, `ended` or `expired`.
    state: &'static str,
    /// The member who invited; null for the root token.
    invited_by: Option<String>,
    /// When it was made.
    created_at: At,
    /// When it runs out.
    expires_at: Option<At>,
    /// The link, in the answer that made it and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl Invitation {
    fn of(stored: Stored, now: Timestamp) -> Self {
        let state = match stored.ended {
            Some((_, TokenEnd::Used)) => "accepted",
            Some(_) => "ended",
            None if stored.expires_at.is_some_and(|at| now >= at) => "expired",
            None => "pending",
        };
        Self {
            id: stored.id.to_string(),
            email: stored.email,
            role: stored.role.map(|r| r.to_string()),
            member: stored.membership.to_string(),
            state,
            invited_by: stored.invited_by.map(|m| m.to_string()),
            created_at: At(stored.created_at),
            expires_at: stored.expires_at.map(At),
            link: None,
        }
    }
}

/// A new invitation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// Whom it is for.
    email: String,
    /// The role that they get, at most of the caller's own rank.
    role: String,
}

const LIST: &str = "/organizations/{org}/invitations";
const ONE: &str = "/organizations/{org}/invitations/{invitation}";
const NOUN: Noun = Noun::Invitation;

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(InvitationsRead);
    let write = Needs::Permission(InvitationsWrite);
    vec![
        Operation::create(LIST, write, "Invites an address to a role; the answer has the link.", create)
            .takes::<NewInvitation>()
            .gives::<Invitation>()
            .refuses(&["invalid_email", "invalid_slug", "above_own_rank", "taken", "seen_by_others"]),
        Operation::get(LIST, see, "Lists invitations, ended ones too.", list)
            .gives::<Page<Invitation>>()
            .paged(),
        Operation::get(ONE, see, "Shows an invitation.", show).gives::<Invitation>(),
        Operation::delete(ONE, write, "Takes an invitation back.", delete).refuses(&["above_own_rank"]),
    ]
}

async fn create(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<NewInvitation>,
) -> Result<Created, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller.clone());
    let (portcullis, wish) = (app.portcullis().clone(), body.value);
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        let role = wish.role.parse().map_err(ServiceError::text("role"))?;
        let made = invitation::create(tx, moment, org, &caller, (&wish.email, &role), cause)?;
        let link = invitation::text(portcullis.around(), &made.secret);
        Ok(Invitation { link: Some(link), ..Invitation::of(made.invitation, moment.now) })
    })
    .await
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Invitation>>, Problem> {
    let (limit, after) = page.bounds::<TokenId>()?;
    let org = scope.organization.id;
    let found = app.portcullis().read(move |tx, _| invitation::list(tx, org, &after, limit + 1)).await?;
    let now = app.portcullis().now();
    let items = found.into_iter().map(|i| Invitation::of(i, now)).collect();
    Ok(Json(Page::of(items, limit, |i: &Invitation| i.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
) -> Result<Json<Invitation>, Problem> {
    let (org, id) = (scope.organization.id, id(&text, NOUN)?);
    let found = app.portcullis().read(move |tx, _| invitation::find(tx, org, id)).await?;
    Ok(Json(Invitation::of(found, app.portcullis().now())))
}

async fn delete(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (at, cause, caller) = ((scope.organization.id, id(&text, NOUN)?), scope.cause(), scope.caller);
    app.portcullis()
        .write(Priority::OffBoarding, move |tx, moment| invitation::delete(tx, moment, at, &caller, cause))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
