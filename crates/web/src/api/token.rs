//! Tokens of every kind: `…/tokens`. Never a secret.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::id::TokenId;
use portcullis_domain::permission::Permission;
use portcullis_domain::token::ShownTo;
use portcullis_service::noun::Noun;
use portcullis_service::token::{self, Issued};
use portcullis_store::Priority;
use portcullis_store::token::TokenView;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::api::id;
use crate::body::{At, Page, PageQuery, Params};
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// A token, without its secret.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Token")]
pub struct TokenWire {
    /// Its id, the same wherever it is named.
    pub id: String,
    /// When it was issued.
    pub created_at: At,
    /// What kind it is.
    pub kind: &'static str,
    /// The id of what it acts as or speaks for.
    pub holder: String,
    /// Whom its secret was shown to: a member's id, `root`, or `bearer` for the browser that it was made for.
    pub shown_to: String,
    /// Its name.
    pub name: String,
    /// Where it may act.
    pub environment: Option<String>,
    /// What a service key may ask.
    pub scopes: Vec<&'static str>,
    /// The connection that a session came in by.
    pub connection: Option<String>,
    /// When it was issued.
    pub issued_at: At,
    /// When it was last used, to the minute.
    pub last_used_at: Option<At>,
    /// When it runs out.
    pub expires_at: Option<At>,
    /// When it ended.
    pub ended_at: Option<At>,
    /// Why it ended.
    pub ended_because: Option<&'static str>,
    /// The audit event that ended it.
    pub ended_by_event: Option<String>,
}

impl TokenWire {
    /// A token as it is stored.
    #[must_use]
    pub fn of(token: &TokenView) -> Self {
        Self {
            id: token.id.to_string(),
            created_at: At(token.issued_at),
            kind: token.kind.as_str(),
            holder: token.holder.id(),
            shown_to: match token.shown_to {
                ShownTo::Membership(member) => member.to_string(),
                other => other.kind().to_owned(),
            },
            name: token.name.clone(),
            environment: token.environment.as_ref().map(ToString::to_string),
            scopes: token.scopes.iter().map(|s| s.as_str()).collect(),
            connection: token.connection.map(|c| c.to_string()),
            issued_at: At(token.issued_at),
            last_used_at: token.last_used_at.map(At),
            expires_at: token.expires_at.map(At),
            ended_at: token.ended_at.map(At),
            ended_because: token.ended_because.map(|b| b.as_str()),
            ended_by_event: token.ended_by_event.map(|e| e.to_string()),
        }
    }
}

/// A token that was issued just now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IssuedToken {
    /// The token.
    #[serde(flatten)]
    pub about: TokenWire,
    /// Its secret, here and never again; null in the answer to a repeat with the same `Idempotency-Key`.
    #[schemars(with = "Option<String>")]
    pub token: String,
}

impl IssuedToken {
    /// What was issued, with its secret.
    #[must_use]
    pub fn of(issued: &Issued) -> Self {
        Self {
            about: TokenWire::of(&TokenView::from(&issued.token)),
            token: issued.secret.expose().to_owned(),
        }
    }
}

/// A page of tokens that were asked for with one more than `limit`.
#[must_use]
pub fn page(found: &[TokenView], limit: i64) -> Page<TokenWire> {
    Page::of(found.iter().map(TokenWire::of).collect(), limit, |t| t.id.clone())
}

/// Which tokens.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    limit: Option<i64>,
    cursor: Option<String>,
    holder: Option<String>,
}

/// The rows.
pub fn operations() -> Vec<Operation> {
    const ALL: &str = "/organizations/{org}/tokens";
    const ONE: &str = "/organizations/{org}/tokens/{tok}";
    let read = Needs::PermissionOrOwn(Permission::TokensRead);
    let write = Needs::PermissionOrOwn(Permission::TokensWrite);
    vec![
        Operation::get(ALL, read, "Lists tokens of every kind, ended ones too.", list)
            .paged()
            .query("holder", "Only tokens of this member, agent or directory, or of the organization itself.")
            .gives::<Page<TokenWire>>(),
        Operation::get(ONE, read, "Shows a token.", show).gives::<TokenWire>(),
        Operation::delete(ONE, write, "Ends a token, and those that it opened.", revoke)
            .refuses(&["above_own_rank"]),
    ]
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page<TokenWire>>, Problem> {
    let (limit, after) = PageQuery { limit: wanted.limit, cursor: wanted.cursor }.bounds::<TokenId>()?;
    let holder = wanted.holder.unwrap_or_default();
    let organization = scope.organization.id;
    let found = app
        .portcullis()
        .read(move |tx, now| token::list(tx, &scope.caller, organization, &holder, (&after, limit + 1), now))
        .await?;
    Ok(Json(page(&found, limit)))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, tok)): Path<(String, String)>,
) -> Result<Json<TokenWire>, Problem> {
    let (organization, token) = (scope.organization.id, id(&tok, Noun::Token)?);
    let found = app
        .portcullis()
        .read(move |tx, now| token::find(tx, &scope.caller, organization, token, now))
        .await?;
    Ok(Json(TokenWire::of(&found)))
}

async fn revoke(
    State(app): State<App>,
    scope: Scope,
    Path((_, tok)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (organization, token, cause) = (scope.organization.id, id(&tok, Noun::Token)?, scope.cause());
    app.portcullis()
        .write(Priority::OffBoarding, move |tx, moment| {
            token::revoke(tx, moment, &scope.caller, (organization, token), cause)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
