//! Sign-in by identity providers: the addresses that browsers and providers call.

pub mod oidc;
pub mod saml;

use axum::Router;
use portcullis_domain::id::{ConnectionId, MembershipId};
use portcullis_service::refusal::SignInRefusal;
use portcullis_service::{ServiceError, session};
use portcullis_store::connection;
use serde::Deserialize;

use crate::App;

/// The longest hint of who signs in, in bytes: an address.
const MAX_HINT: usize = 254;

/// What a sign-in is begun with.
#[derive(Debug, Deserialize)]
struct Begin {
    login_hint: Option<String>,
    return_to: Option<String>,
}

/// The form that links a connection has no fields: whose it is follows from the session.
#[derive(Debug, Deserialize)]
struct Nothing {}

fn id(text: &str) -> Result<ConnectionId, ServiceError> {
    text.parse().map_err(|_| ServiceError::NotFound("connection"))
}

/// The member who links a connection: the one whose session this browser has in the connection's organization.
async fn linking(
    app: &App,
    connection: ConnectionId,
    presented: Vec<String>,
) -> Result<MembershipId, ServiceError> {
    app.portcullis()
        .read(move |tx, now| {
            let found = connection::find_by_id(tx, connection)?;
            let organization = found.ok_or(ServiceError::NotFound("connection"))?.organization;
            let sessions = session::list(tx, &presented, now)?;
            let own = sessions.into_iter().find(|s| s.organization == organization);
            Ok(own.ok_or(SignInRefusal::LinkingSessionOver)?.membership)
        })
        .await
}

/// The routes of every protocol.
pub fn routes() -> Router<App> {
    oidc::routes().merge(saml::routes())
}
