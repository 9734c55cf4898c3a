//! `/sso/saml/{connection}`: the way to a provider of SAML and back, our metadata, and the end of sessions.
//!
//! A provider has the browser post from its own page, so no `Origin` is asked for here; what binds an answer to a
//! browser is the state that came with it and a cookie that may cross sites. Our sessions stay behind then: nobody is
//! let in before the browser comes from our own address.

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use maud::html;
use portcullis_domain::connection::ConnectionKind;
use portcullis_saml::binding::{MAX_FORM_BYTES, Outgoing};
use portcullis_saml::logout::LogoutOutcome;
use portcullis_saml::response::UNSOLICITED;
use portcullis_service::ServiceError;
use portcullis_service::saml::logout::{self, Answered, Came};
use portcullis_service::saml::own_metadata;
use portcullis_service::sign_in::{Refused, Wish, own_membership, saml};

use super::{Again, Begin, Nothing, Ticket, Way, back_untold, crossing, form_of, id};
use crate::named::Named;
use crate::pages::form::{Guest, OwnForm, Query};
use crate::pages::sign_in::with_cookies;
use crate::pages::{Forms, failure, onward, page};
use crate::{App, cookie};

/// What our metadata is.
const METADATA_TYPE: HeaderValue = HeaderValue::from_static("application/samlmetadata+xml");

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/sso/saml/{connection}/metadata", get(metadata))
        .route("/sso/saml/{connection}/login", get(login))
        .route("/sso/saml/{connection}/acs", post(answer))
        .route("/sso/saml/{connection}/arrive", get(arrive))
        .route("/sso/saml/{connection}/again", get(again))
        .route("/sso/saml/{connection}/slo", get(logout_by_redirect).post(logout_by_form))
        .route("/sso/saml/{connection}/link", post(link))
}

async fn metadata(State(app): State<App>, guest: Guest, Named(connection): Named) -> Response {
    let made = async { own_metadata(app.portcullis(), id(&connection)?, guest.visitor.source).await };
    match made.await {
        Ok(document) => ([(header::CONTENT_TYPE, METADATA_TYPE)], document).into_response(),
        Err(error) => failure::of(&error, guest.visitor.request),
    }
}

/// Sends a browser on with a message: by a redirect, or by a form that the person sends, because no page of ours runs
/// scripts.
pub(crate) fn sent(
    message: Outgoing,
    title: &str,
    cookies: impl IntoIterator<Item = Option<HeaderValue>>,
) -> Response {
    match message {
        Outgoing::Redirect { url } => onward(&url, cookies),
        Outgoing::Form { action, field, value, relay_state } => {
            let body = html! {
                form method="post" action=(action) {
                    input type="hidden" name=(field) value=(value);
                    @if let Some(state) = &relay_state {
                        input type="hidden" name="RelayState" value=(state);
                    }
                    button type="submit" autofocus { "Continue" }
                }
            };
            with_cookies(page(StatusCode::OK, title, Forms::Out, &body), cookies)
        }
    }
}

const fn way(connection: &str) -> Way<'_> {
    Way { connection, kind: ConnectionKind::Saml }
}

async fn leave(app: &App, connection: &str, wish: Wish) -> Result<Response, ServiceError> {
    let begun = saml::begin(app.portcullis(), id(connection)?, wish).await?;
    let title = format!("Continue with {}", begun.name);
    Ok(sent(begun.message, &title, [cookie::set_binding(app, &begun.binding)]))
}

async fn login(
    State(app): State<App>,
    guest: Guest,
    Named(connection): Named,
    Query(begin): Query<Begin>,
) -> Response {
    // A request of SAML has no standard place for a hint.
    let wish = guest.wish(begin.return_to);
    let left = leave(&app, &connection, wish).await;
    left.unwrap_or_else(|error| failure::of(&error, guest.visitor.request))
}

async fn answer(
    State(app): State<App>,
    guest: Guest,
    Named(connection): Named,
    request: Request,
) -> Response {
    let named = guest.visitor.request;
    let body = match form_of(request, MAX_FORM_BYTES).await {
        Ok(body) => body,
        Err(message) => return failure::plain(StatusCode::BAD_REQUEST, "invalid_request", message, named),
    };
    let proven = async { saml::answer(app.portcullis(), id(&connection)?, &body, crossing(&guest)).await };
    match proven.await {
        Ok(proven) => way(&connection).arriving(&app, &proven),
        // Nothing of the answer is used: the sign-in that begins there is bound to this browser.
        Err(Refused { error, .. }) if error.code() == UNSOLICITED => {
            failure::begun_at(&format!("/sso/saml/{connection}/login"), &error, named)
        }
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

async fn logout_by_redirect(
    State(app): State<App>,
    guest: Guest,
    Named(connection): Named,
    RawQuery(query): RawQuery,
) -> Response {
    logged_out(&app, &guest, &connection, Came::Query(query.unwrap_or_default())).await
}

async fn logout_by_form(
    State(app): State<App>,
    guest: Guest,
    Named(connection): Named,
    request: Request,
) -> Response {
    match form_of(request, MAX_FORM_BYTES).await {
        Ok(body) => logged_out(&app, &guest, &connection, Came::Form(body.to_vec())).await,
        Err(message) => {
            failure::plain(StatusCode::BAD_REQUEST, "invalid_request", message, guest.visitor.request)
        }
    }
}

async fn logged_out(app: &App, guest: &Guest, connection: &str, came: Came) -> Response {
    let answered = async { logout::receive(app.portcullis(), id(connection)?, &came, &guest.visitor).await };
    let words = match answered.await {
        Ok(Answered::Back(message)) => return sent(message, "You are signed out", []),
        Ok(Answered::Done | Answered::Over(LogoutOutcome::Success)) => "You are signed out.",
        Ok(Answered::Over(LogoutOutcome::Partial)) => {
            "You are signed out here and at your identity provider. It could not sign you out everywhere else."
        }
        Ok(Answered::Over(LogoutOutcome::Failed)) => {
            "You are signed out here. Your identity provider did not sign you out there."
        }
        Err(ServiceError::SignIn(_)) if came.is_answer() => return back_untold(app, guest, connection).await,
        Err(error) => return failure::of(&error, guest.visitor.request),
    };
    super::signed_out(words)
}

/// Links a connection from the person's own session.
async fn link(State(app): State<App>, Named(text): Named, form: OwnForm<Nothing>) -> Response {
    let guest = form.guest;
    let begun = async {
        let own = own_membership(app.portcullis(), id(&text)?, guest.visitor.presented.clone()).await?;
        let wish = Wish { linking: Some(own), ..guest.wish(None) };
        leave(&app, &text, wish).await
    };
    begun.await.unwrap_or_else(|error| failure::of(&error, guest.visitor.request))
}
