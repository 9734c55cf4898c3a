//! `/sso/oidc/{connection}`: the way to an OpenID provider and back, and its word that a session is over.

use axum::extract::{Path, Query, RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use portcullis_service::ServiceError;
use portcullis_service::oidc::logout;
use portcullis_service::sign_in::{Wish, oidc};
use serde_json::json;
use url::form_urlencoded;

use super::{Begin, MAX_HINT, Nothing, form_of, id, linking};
use crate::error::{outside, status};
use crate::pages::form::{Guest, OwnForm};
use crate::pages::sign_in::arrived;
use crate::pages::{failure, onward};
use crate::{App, cookie};

/// The longest form of a provider that says that a session is over, in bytes: its token has a dozen short claims.
const MAX_LOGOUT_BYTES: usize = 64 * 1024;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/sso/oidc/{connection}/login", get(login))
        .route("/sso/oidc/{connection}/callback", get(callback))
        .route("/sso/oidc/{connection}/link", post(link))
        .route("/sso/oidc/{connection}/backchannel-logout", post(backchannel_logout))
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

/// A provider's word that a session is over. It comes from the provider itself, so no cookie and no `Origin` count:
/// its signature does.
async fn backchannel_logout(
    State(app): State<App>,
    guest: Guest,
    Path(connection): Path<String>,
    request: Request,
) -> Response {
    let token = match form_of(request, MAX_LOGOUT_BYTES).await {
        Ok(body) => logout_token(&body).ok_or("The form must have exactly one `logout_token`."),
        Err(message) => Err(message),
    };
    let token = match token {
        Ok(token) => token,
        Err(message) => return not_logged_out(StatusCode::BAD_REQUEST, message),
    };
    let ended = async { logout::receive(app.portcullis(), id(&connection)?, &token, &guest.visitor).await };
    match ended.await {
        Ok(()) => (StatusCode::OK, [NOT_STORED]).into_response(),
        // Whatever its token broke, the standard has one answer for it.
        Err(ServiceError::SignIn(refusal)) => not_logged_out(StatusCode::BAD_REQUEST, &refusal.to_string()),
        Err(error) => {
            let status = status(&error);
            if status.is_server_error() {
                let request = guest.visitor.request;
                tracing::error!(
                    error.code = error.code(), error.message = %error, request.id = %request, "a logout failed"
                );
            }
            let mut response = not_logged_out(status, &outside(&error));
            if let ServiceError::TooMany { retry_after_s } = error {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
            }
            response
        }
    }
}

/// OpenID Connect Back-Channel Logout 1.0 §2.8.
const NOT_STORED: (header::HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

fn not_logged_out(status: StatusCode, description: &str) -> Response {
    let body = json!({ "error": "invalid_request", "error_description": description });
    (status, [NOT_STORED], Json(body)).into_response()
}

/// The one token of a form; a second one would let two readers of the form see two of them.
fn logout_token(form: &[u8]) -> Option<String> {
    let mut tokens = form_urlencoded::parse(form).filter(|(name, _)| name == "logout_token");
    let (_, token) = tokens.next()?;
    tokens.next().is_none().then(|| token.into_owned())
}
