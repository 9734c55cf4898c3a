//! `/organizations/{org}/environments`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::environment as domain;
use portcullis_domain::id::EnvironmentId;
use portcullis_domain::permission::Permission::{EnvironmentsRead, EnvironmentsWrite};
use portcullis_service::environment;
use portcullis_store::Priority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::body::{At, Body, Page, PageQuery, Params};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// An environment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Environment {
    /// Its id.
    id: String,
    /// Its name in the API, never changed.
    slug: String,
    /// Its name for people.
    name: String,
    /// When it was made.
    created_at: At,
}

impl From<domain::Environment> for Environment {
    fn from(e: domain::Environment) -> Self {
        Self { id: e.id.to_string(), slug: e.slug.to_string(), name: e.name, created_at: At(e.created_at) }
    }
}

/// A new environment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEnvironment {
    /// Its name in the API: 1–63 of `a`–`z`, `0`–`9` and `-`.
    slug: String,
    /// Its name for people.
    name: String,
}

/// What changes of an environment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentChanges {
    /// Its name for people.
    name: Option<String>,
}

const LIST: &str = "/organizations/{org}/environments";
const ONE: &str = "/organizations/{org}/environments/{environment}";

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(EnvironmentsRead);
    let write = Needs::Permission(EnvironmentsWrite);
    vec![
        Operation::create(LIST, write, "Makes an environment.", create)
            .takes::<NewEnvironment>()
            .gives::<Environment>()
            .refuses(&["taken", "invalid_slug", "invalid_name"]),
        Operation::get(LIST, see, "Lists environments.", list).gives::<Page<Environment>>().paged(),
        Operation::get(ONE, see, "Shows an environment.", show).gives::<Environment>(),
        Operation::patch(ONE, write, "Renames an environment.", change)
            .takes::<EnvironmentChanges>()
            .gives::<Environment>()
            .refuses(&["invalid_name"]),
        Operation::delete(ONE, write, "Deletes an environment that nothing names.", delete)
            .refuses(&["in_use", "built_in"]),
    ]
}

async fn create(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<NewEnvironment>,
) -> Result<Created, Problem> {
    let (org, cause, wish) = (scope.organization.id, scope.cause(), body.value);
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        environment::create(tx, moment, org, (&wish.slug, &wish.name), cause).map(Environment::from)
    })
    .await
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Environment>>, Problem> {
    let (limit, after) = page.bounds::<EnvironmentId>()?;
    let org = scope.organization.id;
    let found = app.portcullis().read(move |tx, _| environment::list(tx, org, &after, limit + 1)).await?;
    let items = found.into_iter().map(Environment::from).collect();
    Ok(Json(Page::of(items, limit, |e: &Environment| e.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Environment>, Problem> {
    let org = scope.organization.id;
    let found = app.portcullis().read(move |tx, _| environment::find(tx, org, &id)).await?;
    Ok(Json(found.into()))
}

async fn change(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
    body: Body<EnvironmentChanges>,
) -> Result<Json<Environment>, Problem> {
    let (org, cause, wish) = (scope.organization.id, scope.cause(), body.value);
    let changed = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| match &wish.name {
            Some(name) => environment::rename(tx, moment, org, (&id, name), cause),
            None => environment::find(tx, org, &id),
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
        .write(Priority::Ordinary, move |tx, moment| environment::delete(tx, moment, org, &id, cause))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
