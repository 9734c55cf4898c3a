//! `/organizations`: made and deleted by the root token, seen and renamed from inside.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use portcullis_domain::id::OrganizationId;
use portcullis_domain::organization as domain;
use portcullis_domain::permission::Permission::{OrganizationsRead, OrganizationsWrite};
use portcullis_service::caller::Caller;
use portcullis_service::organization::{self, People};
use portcullis_service::owner_link;
use portcullis_service::{ServiceError, Surroundings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::body::{At, Body, Page, PageQuery, Params};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::{Known, Scope};
use crate::sso::organization::path as sign_in_path;

/// An organization.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Organization {
    /// Its id.
    id: String,
    /// Its name in URLs, never changed.
    slug: String,
    /// Its name for people.
    name: String,
    /// Where anybody of it signs in by an identity provider: the domain of their address or they themselves say by
    /// which. Unknown as long as it has no connection.
    sign_in_url: String,
    /// When it was made.
    created_at: At,
    /// The link by which the first owner comes in, once and only if it was asked for. Good for an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_link: Option<String>,
}

impl Organization {
    fn of(o: domain::Organization, around: &Surroundings) -> Self {
        Self {
            sign_in_url: around.url(&sign_in_path(&o.slug)),
            id: o.id.to_string(),
            slug: o.slug.to_string(),
            name: o.name,
            created_at: At(o.created_at),
            owner_link: None,
        }
    }
}

/// A new organization.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganization {
    /// Its name in URLs: 1–63 of `a`–`z`, `0`–`9` and `-`.
    slug: String,
    /// Its name for people.
    name: String,
    /// The address of the first owner, who gets in by the `owner_link` of the answer.
    owner_email: Option<String>,
}

/// What changes of an organization.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationChanges {
    /// Its name for people.
    name: Option<String>,
}

/// What becomes of the people of a deleted organization.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteQuery {
    members: Option<Members>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Members {
    Offboard,
}

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(OrganizationsRead);
    let write = Needs::Permission(OrganizationsWrite);
    vec![
        Operation::create("/organizations", Needs::Root, "Makes an organization.", create)
            .takes::<NewOrganization>()
            .gives::<Organization>()
            .refuses(&["taken", "invalid_slug", "invalid_name", "invalid_email"]),
        Operation::get(
            "/organizations",
            Needs::Known,
            "Lists the organizations that the caller may see.",
            list,
        )
        .gives::<Page<Organization>>()
        .paged()
        .refuses(&["forbidden"]),
        Operation::get("/organizations/{org}", see, "Shows an organization.", show).gives::<Organization>(),
        Operation::patch("/organizations/{org}", write, "Renames an organization.", change)
            .takes::<OrganizationChanges>()
            .gives::<Organization>()
            .refuses(&["invalid_name"]),
        Operation::delete("/organizations/{org}", Needs::Root, "Deletes an organization.", delete)
            .query("members", "`offboard`: off-boards everybody in it first.")
            .refuses(&["in_use"]),
    ]
}

async fn create(
    State(app): State<App>,
    known: Known,
    key: IdempotencyKey,
    body: Body<NewOrganization>,
) -> Result<Created, Problem> {
    let (cause, wish) = (known.cause(), body.value);
    let around = app.portcullis().around().clone();
    once::create(&app, &known.caller, &key, &body.bytes, move |tx, moment| {
        let slug = wish.slug.parse().map_err(ServiceError::text("slug"))?;
        let made = organization::create(tx, moment, slug, &wish.name, cause)?;
        let link = match &wish.owner_email {
            Some(email) => {
                let secret = owner_link::create(tx, moment, &made, email, cause)?;
                Some(owner_link::text(&around, &secret))
            }
            None => None,
        };
        Ok(Organization { owner_link: link, ..Organization::of(made, &around) })
    })
    .await
}

async fn list(
    State(app): State<App>,
    known: Known,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Organization>>, Problem> {
    let (limit, after) = page.bounds::<OrganizationId>()?;
    let (caller, cause) = (known.caller.clone(), known.cause());
    let found =
        app.portcullis().read(move |tx, _| organization::list(tx, &caller, &after, limit + 1)).await?;
    if matches!(known.caller, Caller::Root) {
        let all: Vec<_> = found.iter().map(|o| o.id).collect();
        app.portcullis().note_root_read(&all, "/organizations".to_owned(), cause).await?;
    }
    let around = app.portcullis().around();
    let items = found.into_iter().map(|o| Organization::of(o, around)).collect();
    Ok(Json(Page::of(items, limit, |o: &Organization| o.id.clone())))
}

async fn show(State(app): State<App>, scope: Scope) -> Json<Organization> {
    Json(Organization::of(scope.organization, app.portcullis().around()))
}

async fn change(
    State(app): State<App>,
    scope: Scope,
    body: Body<OrganizationChanges>,
) -> Result<Json<Organization>, Problem> {
    let cause = scope.cause();
    let found = scope.organization;
    let Some(name) = body.value.name else {
        return Ok(Json(Organization::of(found, app.portcullis().around())));
    };
    let renamed = app
        .portcullis()
        .write(portcullis_store::Priority::Ordinary, move |tx, moment| {
            organization::rename(tx, moment, &found, &name, cause)
        })
        .await?;
    Ok(Json(Organization::of(renamed, app.portcullis().around())))
}

async fn delete(
    State(app): State<App>,
    scope: Scope,
    Params(query): Params<DeleteQuery>,
) -> Result<StatusCode, Problem> {
    let people = match query.members {
        Some(Members::Offboard) => People::OffBoard,
        None => People::Unsaid,
    };
    organization::delete(app.portcullis(), scope.organization.id, people, scope.cause()).await?;
    Ok(StatusCode::NO_CONTENT)
}
