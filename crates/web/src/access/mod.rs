//! Asking whether a bearer may act: AuthZEN evaluation, forward-auth, introspection.
//!
//! Three front doors to one question ([`portcullis_service::evaluation::ask`]); each reads one indexed row set and
//! refuses when the database does not answer.

pub mod evaluation;
pub mod forward;
pub mod introspection;

use axum::Router;
use axum::routing::{any, post};
use portcullis_domain::Timestamp;
use portcullis_domain::token::Scope;
use portcullis_service::ServiceError;
use portcullis_service::caller::{Caller, authenticate};
use portcullis_service::evaluation::About;
use portcullis_store::Tx;

use crate::App;

/// The routes of this surface.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/access/v1/evaluation", post(evaluation::evaluate))
        .route("/authz/forward", any(forward::forward))
        .route("/oauth2/introspect", post(introspection::introspect))
}

/// Whom a caller may ask about: the root token about all, a service key with that scope about its own organization.
fn may_ask(tx: &mut Tx<'_>, presented: &str, scope: Scope, now: Timestamp) -> Result<About, ServiceError> {
    match authenticate(tx, presented, now)? {
        Caller::Root => Ok(About::TheTokens),
        Caller::Service { organization, scopes, .. } if scopes.contains(&scope) => {
            Ok(About::Organization(organization))
        }
        Caller::Service { .. } | Caller::Member(_) => Err(ServiceError::MissingScope(scope)),
    }
}
