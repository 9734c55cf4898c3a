//! Asking whether a bearer may act: AuthZEN evaluation, forward-auth, introspection.
//!
//! Three front doors to one question ([`portcullis_service::evaluation::ask`]); each reads one indexed row set and
//! refuses when the database does not answer.

pub mod evaluation;
pub mod forward;
pub mod introspection;

use axum::Router;
use axum::http::request::Parts;
use axum::routing::{any, post};
use portcullis_domain::Timestamp;
use portcullis_domain::token::Scope;
use portcullis_service::ServiceError;
use portcullis_service::caller::{Caller, authenticate};
use portcullis_service::evaluation::{About, Answer};
use portcullis_service::root_use::RootRead;
use portcullis_service::token_use::TokenUses;
use portcullis_store::Tx;

use crate::App;
use crate::error::Problem;
use crate::scope::request_id;

/// The routes of this surface.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/access/v1/evaluation", post(evaluation::evaluate))
        .route("/authz/forward", any(forward::forward))
        .route("/oauth2/introspect", post(introspection::introspect))
}

/// Whom a caller may ask about: the root token about all, a service key with that scope about its own organization.
fn may_ask(
    tx: &mut Tx<'_>,
    uses: &TokenUses,
    (presented, scope): (&str, Scope),
    now: Timestamp,
) -> Result<About, ServiceError> {
    match authenticate(tx, uses, presented, now)? {
        Caller::Root => Ok(About::TheTokens),
        Caller::Service { organization, scopes, .. } if scopes.contains(&scope) => {
            Ok(About::Organization(organization))
        }
        Caller::Service { .. } | Caller::Member(_) => Err(ServiceError::MissingScope(scope)),
    }
}

/// A question by the root token leaves an event in the log of the organization whose token it was about.
async fn note_if_root(
    app: &App,
    parts: &Parts,
    (about, answer): (About, &Answer),
    called: Option<String>,
) -> Result<(), Problem> {
    if about != About::TheTokens {
        return Ok(());
    }
    let request = request_id(parts, app);
    app.portcullis().notice_root_use(request);
    let Some(bearer) = &answer.bearer else { return Ok(()) };
    let cause = Caller::Root.cause(request);
    let read = RootRead { path: parts.uri.path().to_owned(), called };
    app.portcullis().note_root_read(&[bearer.organization], read, cause).await?;
    Ok(())
}
