//! Sign-in by identity providers: the addresses that browsers and providers call.

pub mod oidc;

use axum::Router;

use crate::App;

/// The routes of every protocol.
pub fn routes() -> Router<App> {
    oidc::routes()
}
