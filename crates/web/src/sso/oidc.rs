//! `/sso/oidc/{connection}`: the way to an OpenID provider and back.

use axum::Router;
use axum::extract::{Path, Query, RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use portcullis_service::ServiceError;
use portcullis_service::sign_in::{Wish, oidc};

use super::{Begin, MAX_HINT, Nothing, id, linking};
use crate::pages::form::{Guest, OwnForm};
use crate::pages::sign_in::arrived;
use crate::pages::{failure, onward};
use crate::{App, cookie};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/sso/oidc/{connection}/login", get(login))
        .route("/sso/oidc/{connection}/callback", get(callback))
        .route("/sso/oidc/{connection}/link", post(link))
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
    let begun = async {
        let connection = id(&text)?;
        let own = linking(&app, connection, guest.visitor.presented.clone()).await?;
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
