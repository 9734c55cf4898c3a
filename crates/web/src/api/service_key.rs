//! Service keys: `…/service-keys`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::id::TokenId;
use portcullis_domain::permission::Permission;
use portcullis_domain::token::Scope as KeyScope;
use portcullis_service::noun::Noun;
use portcullis_service::service_key::{self, NewServiceKey};
use portcullis_store::Priority;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::App;
use crate::api::id;
use crate::api::token::{IssuedToken, TokenWire, page};
use crate::body::{Body, Page, PageQuery, Params};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

const NOUN: Noun = Noun::ServiceKey;

/// A service key that is to be issued.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewServiceKey")]
struct New {
    /// Its name.
    name: String,
    /// What it may ask: any of `evaluate`, `introspect`, `revocations`, at least one.
    #[schemars(with = "BTreeSet<ScopeName>", length(min = 1))]
    scopes: BTreeSet<KeyScope>,
}

/// What a service key may ask.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the domain's scopes to the document; the domain knows no schemas")]
enum ScopeName {
    Evaluate,
    Introspect,
    Revocations,
}

/// The rows.
pub fn operations() -> Vec<Operation> {
    const ALL: &str = "/organizations/{org}/service-keys";
    const ONE: &str = "/organizations/{org}/service-keys/{tok}";
    let read = Needs::Permission(Permission::ServiceKeysRead);
    let write = Needs::Permission(Permission::ServiceKeysWrite);
    vec![
        Operation::get(ALL, read, "Lists service keys, ended ones too.", list)
            .paged()
            .gives::<Page<TokenWire>>(),
        Operation::create(ALL, write, "Issues a key that asks for the organization.", issue)
            .takes::<New>()
            .gives::<IssuedToken>()
            .refuses(&["invalid_name", "seen_by_others", "too_many_keys"]),
        Operation::get(ONE, read, "Shows a service key.", show).gives::<TokenWire>(),
        Operation::delete(ONE, write, "Ends a service key.", revoke),
    ]
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(wanted): Params<PageQuery>,
) -> Result<Json<Page<TokenWire>>, Problem> {
    let organization = scope.organization.id;
    let (limit, after) = wanted.bounds::<TokenId>()?;
    let found =
        app.portcullis().read(move |tx, _| service_key::list(tx, organization, (&after, limit + 1))).await?;
    Ok(Json(page(&found, limit)))
}

async fn issue(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<New>,
) -> Result<Created, Problem> {
    let organization = scope.organization.id;
    let (caller, cause) = (scope.caller.clone(), scope.cause());
    let wish = NewServiceKey { name: body.value.name, scopes: body.value.scopes };
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        Ok(IssuedToken::of(&service_key::issue(tx, moment, &caller, organization, &wish, cause)?))
    })
    .await
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, tok)): Path<(String, String)>,
) -> Result<Json<TokenWire>, Problem> {
    let (organization, key) = (scope.organization.id, id(&tok, NOUN)?);
    let found = app.portcullis().read(move |tx, _| service_key::find(tx, organization, key)).await?;
    Ok(Json(TokenWire::of(&found)))
}

async fn revoke(
    State(app): State<App>,
    scope: Scope,
    Path((_, tok)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (organization, key, cause) = (scope.organization.id, id(&tok, NOUN)?, scope.cause());
    app.portcullis()
        .write(Priority::OffBoarding, move |tx, moment| {
            service_key::revoke(tx, moment, organization, key, cause)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
