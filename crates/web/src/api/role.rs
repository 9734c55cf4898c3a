//! `/organizations/{org}/roles`, and `/permissions`: what roles are made of.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::id::RoleId;
use portcullis_domain::permission::Permission;
use portcullis_domain::permission::Permission::{RolesRead, RolesWrite};
use portcullis_domain::role::{self as domain, Giving};
use portcullis_service::role::{self, RoleChanges, RoleShape};
use portcullis_service::rules::Carried;
use portcullis_store::Priority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::body::{At, Body, Page, PageQuery, Params};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::{Known, Scope};

/// A role.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Role {
    /// Its id.
    id: String,
    /// Its name in the API, never changed.
    slug: String,
    /// How high it stands: 1–999, higher outranks.
    rank: i64,
    /// What it allows.
    permissions: Vec<String>,
    /// Whether only a person may give it, by a grant.
    explicit_only: bool,
    /// Whether every organization is born with it: then it stays as it is.
    built_in: bool,
    /// When it was made.
    created_at: At,
    /// Present and true while a change of it is still being stored for the people whom it touches.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rules_pending: bool,
}

impl From<domain::Role> for Role {
    fn from(r: domain::Role) -> Self {
        Self {
            id: r.id.to_string(),
            slug: r.slug.to_string(),
            rank: r.rank.number(),
            permissions: r.permissions.iter().map(ToString::to_string).collect(),
            explicit_only: r.giving == Giving::ExplicitOnly,
            built_in: r.built_in_at.is_some(),
            created_at: At(r.created_at),
            rules_pending: false,
        }
    }
}

/// A new role.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// Its name in the API: 1–63 of `a`–`z`, `0`–`9` and `-`.
    slug: String,
    /// How high it stands: 1–999, unique in the organization, at most the caller's own.
    rank: i64,
    /// What it allows; `GET /permissions` lists what there is.
    permissions: Vec<String>,
    /// Whether only a person may give it, by a grant.
    explicit_only: Option<bool>,
}

/// What changes of a role.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolePatch {
    /// How high it stands.
    rank: Option<i64>,
    /// What it allows.
    permissions: Option<Vec<String>>,
    /// Whether only a person may give it.
    explicit_only: Option<bool>,
}

const LIST: &str = "/organizations/{org}/roles";
const ONE: &str = "/organizations/{org}/roles/{role}";
const REFUSALS: [&str; 4] =
    ["above_own_rank", "rank_taken", "rank_out_of_range", "permission_is_explicit_only"];

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(RolesRead);
    let write = Needs::Permission(RolesWrite);
    vec![
        Operation::get(
            "/permissions",
            Needs::Known,
            "Lists every permission that a role can hold.",
            permissions,
        )
        .gives::<Page<String>>()
        .paged(),
        Operation::create(LIST, write, "Makes a role.", create)
            .takes::<NewRole>()
            .gives::<Role>()
            .refuses(&REFUSALS)
            .refuses(&["taken", "invalid_slug"]),
        Operation::get(LIST, see, "Lists roles.", list).gives::<Page<Role>>().paged(),
        Operation::get(ONE, see, "Shows a role.", show).gives::<Role>(),
        Operation::patch(ONE, write, "Changes a role, and everybody whom that touches.", change)
            .takes::<RolePatch>()
            .gives::<Role>()
            .refuses(&REFUSALS)
            .refuses(&[
                "built_in",
                "token_seen_below",
                "source_set_below",
                "provider_chosen_below",
                "told_from_below",
            ]),
        Operation::delete(ONE, write, "Deletes a role that nobody has and nothing gives.", delete)
            .refuses(&["in_use", "built_in", "above_own_rank"]),
    ]
}

const fn giving(explicit_only: bool) -> Giving {
    if explicit_only { Giving::ExplicitOnly } else { Giving::Anyhow }
}

async fn permissions(_: Known, Params(page): Params<PageQuery>) -> Result<Json<Page<String>>, Problem> {
    let items = Permission::ALL.iter().map(ToString::to_string).collect();
    Ok(Json(Page::cut(items, &page, String::clone)?))
}

async fn create(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<NewRole>,
) -> Result<Created, Problem> {
    let (org, cause, caller, wish) = (scope.organization.id, scope.cause(), scope.caller.clone(), body.value);
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        let shape = RoleShape {
            rank: wish.rank,
            permissions: wish.permissions.clone(),
            giving: giving(wish.explicit_only.unwrap_or_default()),
        };
        role::create(tx, moment, &caller, org, (&wish.slug, shape), cause).map(Role::from)
    })
    .await
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Role>>, Problem> {
    let (limit, after) = page.bounds::<RoleId>()?;
    let org = scope.organization.id;
    let found = app.portcullis().read(move |tx, _| role::list(tx, org, &after, limit + 1)).await?;
    let items = found.into_iter().map(Role::from).collect();
    Ok(Json(Page::of(items, limit, |r: &Role| r.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Role>, Problem> {
    let org = scope.organization.id;
    let found = app.portcullis().read(move |tx, _| role::find(tx, org, &id)).await?;
    Ok(Json(found.into()))
}

async fn change(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
    body: Body<RolePatch>,
) -> Result<Json<Role>, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller);
    let changes = RoleChanges {
        rank: body.value.rank,
        permissions: body.value.permissions,
        giving: body.value.explicit_only.map(giving),
    };
    let (changed, carried) = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| {
            role::update(tx, moment, &caller, org, (&id, &changes), cause)
        })
        .await?;
    Ok(Json(Role { rules_pending: carried == Carried::Pending, ..changed.into() }))
}

async fn delete(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller);
    app.portcullis()
        .write(Priority::Ordinary, move |tx, moment| role::delete(tx, moment, &caller, org, &id, cause))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
