//! Member keys: `…/members/{mem}/keys`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::id::TokenId;
use portcullis_domain::permission::Permission;
use portcullis_service::member_key::{self, NewKey};
use portcullis_service::noun::Noun;
use portcullis_store::Priority;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::App;
use crate::api::id;
use crate::api::token::{IssuedToken, TokenWire, page};
use crate::body::{At, Body, Page, PageQuery, Params, slug};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// A key that is to be issued.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewMemberKey {
    /// Its name.
    name: String,
    /// Where it may act, by slug; `production` if absent.
    environment: Option<String>,
    /// When it runs out; never if absent.
    expires_at: Option<At>,
}

/// The rows.
pub fn operations() -> Vec<Operation> {
    const ALL: &str = "/organizations/{org}/members/{mem}/keys";
    const ONE: &str = "/organizations/{org}/members/{mem}/keys/{tok}";
    let read = Needs::PermissionOrOwn(Permission::KeysRead);
    let write = Needs::PermissionOrOwn(Permission::KeysWrite);
    vec![
        Operation::get(ALL, read, "Lists a member's keys, ended ones too.", list)
            .paged()
            .gives::<Page<TokenWire>>()
            .refuses(&["above_own_rank"]),
        Operation::create(
            ALL,
            write,
            "Issues a key that acts as the member; a lead issues none for others.",
            issue,
        )
        .takes::<NewMemberKey>()
        .gives::<IssuedToken>()
        .refuses(&[
            "invalid_name",
            "invalid_slug",
            "above_own_rank",
            "member_inactive",
            "other_environment",
            "seen_by_others",
            "too_many_keys",
        ]),
        Operation::get(ONE, read, "Shows a member's key.", show)
            .gives::<TokenWire>()
            .refuses(&["above_own_rank"]),
        Operation::delete(ONE, write, "Ends a member's key.", revoke).refuses(&["above_own_rank"]),
    ]
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Path((_, mem)): Path<(String, String)>,
    Params(wanted): Params<PageQuery>,
) -> Result<Json<Page<TokenWire>>, Problem> {
    let about = (scope.organization.id, id(&mem, Noun::Member)?);
    let (limit, after) = wanted.bounds::<TokenId>()?;
    let found = app
        .portcullis()
        .read(move |tx, now| member_key::list(tx, &scope.caller, about, (&after, limit + 1), now))
        .await?;
    Ok(Json(page(&found, limit)))
}

async fn issue(
    State(app): State<App>,
    scope: Scope,
    Path((_, mem)): Path<(String, String)>,
    key: IdempotencyKey,
    body: Body<NewMemberKey>,
) -> Result<Created, Problem> {
    let about = (scope.organization.id, id(&mem, Noun::Member)?);
    let (caller, cause) = (scope.caller.clone(), scope.cause());
    let wish = NewKey {
        name: body.value.name,
        environment: slug("environment", body.value.environment.as_deref())?,
        expires_at: body.value.expires_at.map(|at| at.0),
    };
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        Ok(IssuedToken::of(&member_key::issue(tx, moment, &caller, about, &wish, cause)?))
    })
    .await
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, mem, tok)): Path<(String, String, String)>,
) -> Result<Json<TokenWire>, Problem> {
    let (about, key) = ((scope.organization.id, id(&mem, Noun::Member)?), id(&tok, Noun::Key)?);
    let found =
        app.portcullis().read(move |tx, now| member_key::find(tx, &scope.caller, about, key, now)).await?;
    Ok(Json(TokenWire::of(&found)))
}

async fn revoke(
    State(app): State<App>,
    scope: Scope,
    Path((_, mem, tok)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let (about, key) = ((scope.organization.id, id(&mem, Noun::Member)?), id(&tok, Noun::Key)?);
    let cause = scope.cause();
    app.portcullis()
        .write(Priority::OffBoarding, move |tx, moment| {
            member_key::revoke(tx, moment, &scope.caller, about, key, cause)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
