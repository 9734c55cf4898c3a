//! `/sso/oidc/{connection}`: the way to an OpenID provider and back, and its word that a session is over.

use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use portcullis_domain::connection::ConnectionKind;
use portcullis_oidc::callback::MAX_CALLBACK_BYTES;
use portcullis_service::ServiceError;
use portcullis_service::oidc::{logout, own_keys};
use portcullis_service::sign_in::{Visitor, Whom, Wish, oidc, own_membership};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use super::turn::Entered;
use super::{Again, Begin, CHOSEN, MAX_HINT, Nothing, Ticket, Way, back_untold, crossing, form_of, id, turn};
use crate::error::{Inside, outside, status};
use crate::named::Named;
use crate::pages::form::{Guest, OwnForm, Query};
use crate::pages::sign_in::arrived;
use crate::pages::{failure, onward};
use crate::{App, cookie};

/// The longest form of a provider that says that a session is over, in bytes: its token has a dozen short claims.
const MAX_LOGOUT_BYTES: usize = 64 * 1024;

/// What our key set is (RFC 7517 §8.5.2).
const KEYS_TYPE: HeaderValue = HeaderValue::from_static("application/jwk-set+json");
/// For how long a provider may keep it: a new key is published before it signs, and waits longer than this.
const KEYS_AGE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/sso/oidc/{connection}/login", get(login))
        .route("/sso/oidc/{connection}/callback", get(callback).post(answer))
        .route("/sso/oidc/{connection}/arrive", get(arrive))
        .route("/sso/oidc/{connection}/again", get(again))
        .route("/sso/oidc/{connection}/jwks", get(jwks))
        .route("/sso/oidc/{connection}/link", post(link))
        .route("/sso/oidc/{connection}/signed-out", get(signed_out))
        .route("/sso/oidc/{connection}/backchannel-logout", post(backchannel_logout))
}

const fn way(connection: &str) -> Way<'_> {
    Way { connection, kind: ConnectionKind::Oidc }
}

async fn leave(app: &App, connection: &str, wish: Wish) -> Result<Response, ServiceError> {
    let begun = oidc::begin(app.portcullis(), id(connection)?, wish).await?;
    Ok(onward(begun.location.as_str(), [cookie::set_binding(app, &begun.binding)]))
}

async fn login(
    State(app): State<App>,
    guest: Guest,
    Named(connection): Named,
    Query(begin): Query<Begin>,
) -> Response {
    let wish = Wish {
        login_hint: begin.login_hint.filter(|h| h.len() <= MAX_HINT),
        account: if begin.account.as_deref() == Some(CHOSEN) { Whom::Chosen } else { Whom::Usual },
        ..guest.wish(begin.return_to)
    };
    let left = leave(&app, &connection, wish).await;
    left.unwrap_or_else(|error| failure::of(&error, guest.visitor.request))
}

async fn callback(
    State(app): State<App>,
    guest: Guest,
    Named(connection): Named,
    RawQuery(query): RawQuery,
) -> Response {
    let (request, query) = (guest.visitor.request, query.unwrap_or_default());
    let turn = match turn::enter(&app, &guest).await {
        Entered::Go(turn) => turn,
        Entered::Again => {
            return match id(&connection) {
                Ok(id) => onward(&format!("/sso/oidc/{id}/callback?{query}"), []),
                Err(error) => failure::of(&error, request),
            };
        }
    };
    let came = async {
        let visitor = Visitor { bound: guest.returning.clone(), ..guest.visitor };
        oidc::complete(app.portcullis(), id(&connection)?, &query, visitor).await
    };
    match came.await {
        Ok(done) => {
            turn.came_in(&done.session, app.portcullis().now());
            arrived(&app, &done.session, &done.return_to)
        }
        Err(refused) => way(&connection).turned_away(refused, request),
    }
}

/// An answer that the provider's page posts.
async fn answer(
    State(app): State<App>,
    guest: Guest,
    Named(connection): Named,
    request: Request,
) -> Response {
    let named = guest.visitor.request;
    let refused = |message| failure::plain(StatusCode::BAD_REQUEST, "invalid_request", message, named);
    let form = match form_of(request, MAX_CALLBACK_BYTES).await {
        Ok(body) => body,
        Err(message) => return refused(message),
    };
    let Ok(form) = std::str::from_utf8(&form) else { return refused("The form is not UTF-8.") };
    let proven = async { oidc::answer(app.portcullis(), id(&connection)?, form, crossing(&guest)).await };
    match proven.await {
        Ok(proven) => way(&connection).arriving(&app, &proven),
        Err(refused) => way(&connection).turned_away(refused, named),
    }
}

async fn arrive(
    State(app): State<App>,
    guest: Guest,
    Named(connection): Named,
    Query(came): Query<Ticket>,
) -> Response {
    way(&connection).arrive(&app, guest, &came).await
}

async fn again(
    State(app): State<App>,
    guest: Guest,
    Named(connection): Named,
    Query(came): Query<Again>,
) -> Response {
    way(&connection).again(&app, guest, &came).await
}

/// Our public keys of a connection, for its provider.
async fn jwks(State(app): State<App>, guest: Guest, Named(connection): Named) -> Response {
    let found = async { own_keys(app.portcullis(), id(&connection)?, guest.visitor.source).await };
    match found.await {
        Ok(keys) => {
            let headers = [(header::CONTENT_TYPE, KEYS_TYPE), (header::CACHE_CONTROL, KEYS_AGE)];
            (headers, keys.to_string()).into_response()
        }
        Err(error) => failure::of(&error, guest.visitor.request),
    }
}

/// Links a connection from the person's own session: the one that this browser has in the connection's organization.
async fn link(State(app): State<App>, Named(text): Named, form: OwnForm<Nothing>) -> Response {
    let guest = form.guest;
    let request = guest.visitor.request;
    let begun = async {
        let connection = id(&text)?;
        let own = own_membership(app.portcullis(), connection, guest.visitor.presented.clone()).await?;
        let wish = Wish { linking: Some(own), ..guest.wish(None) };
        leave(&app, &text, wish).await
    };
    begun.await.unwrap_or_else(|error| failure::of(&error, request))
}

/// What a browser comes back with that was led to its provider to end the session there.
#[derive(Deserialize)]
struct Farewell {
    state: Option<String>,
}

async fn signed_out(
    State(app): State<App>,
    guest: Guest,
    Named(connection): Named,
    Query(came): Query<Farewell>,
) -> Response {
    let Visitor { source, request, .. } = guest.visitor;
    let back = async {
        logout::come_back(app.portcullis(), id(&connection)?, (came.state.as_deref(), source)).await
    };
    match back.await {
        Ok(()) => super::signed_out("You are signed out."),
        Err(ServiceError::SignIn(_)) => back_untold(&app, &guest, &connection).await,
        Err(error) => failure::of(&error, request),
    }
}

/// A provider's word that a session is over. It comes from the provider itself, so no cookie and no `Origin` count:
/// its signature does.
async fn backchannel_logout(
    State(app): State<App>,
    guest: Guest,
    Named(connection): Named,
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
            let mut response = not_logged_out(status(&error), &outside(&error));
            if let ServiceError::TooMany { retry_after_s } = error {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
            }
            Inside::beside(Inside::of(&error), response)
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
