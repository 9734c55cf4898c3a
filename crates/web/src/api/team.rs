//! `/organizations/{org}/teams`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::id::TeamId;
use portcullis_domain::permission::Permission::{TeamsRead, TeamsWrite};
use portcullis_domain::team as domain;
use portcullis_service::team;
use portcullis_store::Priority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::body::{At, Body, Page, PageQuery, Params};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// A team.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Team {
    /// Its id.
    id: String,
    /// Its name in the API, never changed.
    slug: String,
    /// Its name for people.
    name: String,
    /// When it was made.
    created_at: At,
}

impl From<domain::Team> for Team {
    fn from(t: domain::Team) -> Self {
        Self { id: t.id.to_string(), slug: t.slug.to_string(), name: t.name, created_at: At(t.created_at) }
    }
}

/// A new team.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTeam {
    /// Its name in the API: 1–63 of `a`–`z`, `0`–`9` and `-`.
    slug: String,
    /// Its name for people.
    name: String,
}

/// What changes of a team.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamChanges {
    /// Its name for people.
    name: Option<String>,
}

const LIST: &str = "/organizations/{org}/teams";
const ONE: &str = "/organizations/{org}/teams/{team}";

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(TeamsRead);
    let write = Needs::Permission(TeamsWrite);
    vec![
        Operation::create(LIST, write, "Makes a team.", create)
            .takes::<NewTeam>()
            .gives::<Team>()
            .refuses(&["taken", "invalid_slug", "invalid_name"]),
        Operation::get(LIST, see, "Lists teams.", list).gives::<Page<Team>>().paged(),
        Operation::get(ONE, see, "Shows a team.", show).gives::<Team>(),
        Operation::patch(ONE, write, "Renames a team.", change)
            .takes::<TeamChanges>()
            .gives::<Team>()
            .refuses(&["invalid_name"]),
        Operation::delete(ONE, write, "Deletes a team that no mapping gives.", delete).refuses(&["in_use"]),
    ]
}

async fn create(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<NewTeam>,
) -> Result<Created, Problem> {
    let (org, cause, wish) = (scope.organization.id, scope.cause(), body.value);
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        team::create(tx, moment, org, (&wish.slug, &wish.name), cause).map(Team::from)
    })
    .await
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Team>>, Problem> {
    let (limit, after) = page.bounds::<TeamId>()?;
    let org = scope.organization.id;
    let found = app.portcullis().read(move |tx, _| team::list(tx, org, &after, limit + 1)).await?;
    let items = found.into_iter().map(Team::from).collect();
    Ok(Json(Page::of(items, limit, |t: &Team| t.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Team>, Problem> {
    let org = scope.organization.id;
    let found = app.portcullis().read(move |tx, _| team::find(tx, org, &id)).await?;
    Ok(Json(found.into()))
}

async fn change(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
    body: Body<TeamChanges>,
) -> Result<Json<Team>, Problem> {
    let (org, cause, wish) = (scope.organization.id, scope.cause(), body.value);
    let changed = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| match &wish.name {
            Some(name) => team::rename(tx, moment, org, (&id, name), cause),
            None => team::find(tx, org, &id),
        })
        .await?;
    Ok(Json(changed.into()))
}

async fn delete(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (org, cause) = (scope.organization.id, scope.cause());
    app.portcullis()
        .write(Priority::Ordinary, move |tx, moment| team::delete(tx, moment, org, &id, cause))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
