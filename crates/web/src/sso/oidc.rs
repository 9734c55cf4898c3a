//! `/sso/oidc/{connection}`: the way to an OpenID provider and back.

use axum::Router;
use axum::extract::{Path, Query, RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use portcullis_domain::id::ConnectionId;
use portcullis_service::refusal::SignInRefusal;
use portcullis_service::sign_in::{Wish, oidc};
use portcullis_service::{ServiceError, session};
use portcullis_store::connection;
use serde::Deserialize;

use crate::pages::form::{Guest, OwnForm};
use crate::pages::sign_in::arrived;
use crate::pages::{failure, onward};
use crate::{App, cookie};

/// The longest hint of who signs in, in bytes: an address.
const MAX_HINT: usize = 254;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/sso/oidc/{connection}/login", get(login))
        .route("/sso/oidc/{connection}/callback", get(callback))
        .route("/sso/oidc/{connection}/link", post(link))
}

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

async fn leave(app: &App, guest: &Guest, connection: &str, wish: Wish) -> Result<Response, ServiceError> {
    let begun = oidc::begin(app.portcullis(), id(connection)?, wish).await?;
    debug_assert_eq!(begun.browser, guest.browser, "a guest always has a binding value");
    Ok(onward(begun.location.as_str(), [cookie::set_browser(app, &begun.browser)]))
}

async fn login(
    State(app): State<App>,
    guest: Guest,
    Path(connection): Path<String>,
    Query(begin): Query<Begin>,
) -> Response {
    let wish = Wish {
        return_to: begin.return_to,
        login_hint: begin.login_hint.filter(|h| h.len() <= MAX_HINT),
        linking: None,
        browser: Some(guest.browser.clone()),
        source: guest.visitor.source,
    };
    let left = leave(&app, &guest, &connection, wish).await;
    left.unwrap_or_else(|error| failure::of(&error, guest.visitor.request))
}

async fn callback(
    State(app): State<App>,
    guest: Guest,
    Path(connection): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let request = guest.visitor.request;
    let came = async {
        let query = query.unwrap_or_default();
        oidc::complete(app.portcullis(), id(&connection)?, &query, guest.visitor).await
    };
    match came.await {
        Ok(done) => arrived(&app, &done.session, &done.return_to),
        Err(error) => failure::of(&error, request),
    }
}

/// Links a connection from the person's own session: the one that this browser has in the connection's organization.
async fn link(State(app): State<App>, Path(text): Path<String>, form: OwnForm<Nothing>) -> Response {
    let guest = form.guest;
    let request = guest.visitor.request;
    let presented = guest.visitor.presented.clone();
    let begun = async {
        let connection = id(&text)?;
        let own = app
            .portcullis()
            .read(move |tx, now| {
                let found = connection::find_by_id(tx, connection)?;
                let organization = found.ok_or(ServiceError::NotFound("connection"))?.organization;
                let sessions = session::list(tx, &presented, now)?;
                let own = sessions.into_iter().find(|s| s.organization == organization);
                Ok(own.ok_or(SignInRefusal::LinkingSessionOver)?.membership)
            })
            .await?;
        let wish = Wish {
            return_to: None,
            login_hint: None,
            linking: Some(own),
            browser: Some(guest.browser.clone()),
            source: guest.visitor.source,
        };
        leave(&app, &guest, &text, wish).await
    };
    begun.await.unwrap_or_else(|error| failure::of(&error, request))
}
