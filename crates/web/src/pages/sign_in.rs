//! `/login`, `/login/choose` and `/logout`.
//!
//! The page asks for an address first. What it then offers depends on the address's domain only, and the password is
//! always among it, so that nobody learns here who is a member.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use portcullis_domain::connection::Connection;
use portcullis_domain::text::{Slug, email_key};
use portcullis_service::local::{self, Choice, SignedIn};
use portcullis_service::noun::Noun;
use portcullis_service::session::{Opened, SignOut};
use portcullis_service::sign_in::return_path;
use portcullis_service::sign_out::{Onward, sign_out as end};
use portcullis_service::{ServiceError, connection};
use secrecy::SecretString;
use serde::Deserialize;

use super::address::{self, Focus, address_field};
use super::form::{Guest, OwnForm, Query};
use super::{Forms, failure, onward, page};
use crate::sso::saml::sent;
use crate::{App, cookie, error};

/// What the sign-in page is asked with.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    pub(crate) email: Option<String>,
    pub(crate) return_to: Option<String>,
}

/// An address and a password.
#[derive(Deserialize)]
pub struct PasswordForm {
    email: String,
    password: SecretString,
    return_to: Option<String>,
}

/// A choice among organizations.
#[derive(Deserialize)]
pub struct Chosen {
    ticket: String,
    membership: String,
    return_to: Option<String>,
}

/// Which session ends; all of them if none is named.
#[derive(Deserialize)]
pub struct Leaving {
    token: Option<String>,
}

/// Everything that the page shows.
#[derive(Default)]
struct Shown<'a> {
    email: Option<&'a str>,
    /// What was typed and is no address.
    mistyped: &'a str,
    connections: &'a [Connection],
    return_to: &'a str,
    error: Option<String>,
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    serde_urlencoded::to_string(pairs).unwrap_or_default()
}

/// Where a sign-in by that connection begins, for somebody with that address, which may be empty.
pub(crate) fn login_path(connection: &Connection, email: &str, return_to: &str) -> String {
    let mut begun_with = vec![("return_to", return_to)];
    if !email.is_empty() {
        begun_with.insert(0, ("login_hint", email));
    }
    format!("/sso/{}/{}/login?{}", connection.kind.as_str(), connection.id, encoded(&begun_with))
}

/// A button for each connection.
pub(crate) fn leading_on(connections: &[Connection], email: &str, return_to: &str) -> Markup {
    html! {
        @for connection in connections {
            p {
                a.button href=(login_path(connection, email, return_to)) {
                    "Continue with " (connection.name)
                    @if connection.environment != Slug::production() { " · " (connection.environment) }
                }
            }
        }
    }
}

fn form(shown: &Shown<'_>) -> Markup {
    html! {
        @if let Some(error) = &shown.error {
            p.error role="alert" { (error) }
        }
        @if let Some(email) = shown.email {
            p.quiet { bdi { (email) } " · " a href={ "/login?" (encoded(&[("return_to", shown.return_to)])) } { "another address" } }
            (leading_on(shown.connections, email, shown.return_to))
            form method="post" action="/login" {
                // By this name password managers keep the password.
                input type="hidden" name="email" value=(email) autocomplete="username";
                input type="hidden" name="return_to" value=(shown.return_to);
                label for="password" { "Password" }
                input #password type="password" name="password" autocomplete="current-password" required
                    maxlength="512" autofocus[shown.connections.is_empty()];
                button.second[!shown.connections.is_empty()] type="submit" { "Sign in with password" }
            }
        } @else {
            (address_form("/login", shown.mistyped, shown.return_to))
        }
    }
}

/// The form that asks for an address, which the page at that path takes.
pub(crate) fn address_form(path: &str, typed: &str, return_to: &str) -> Markup {
    html! {
        form method="get" action=(path) novalidate {
            input type="hidden" name="return_to" value=(return_to);
            label for="email" { "E-mail address" }
            (address_field(typed, Focus::Here))
            button type="submit" { "Continue" }
        }
    }
}

/// `GET /login`.
pub async fn show(State(app): State<App>, guest: Guest, Query(asked): Query<Asked>) -> Response {
    let request = guest.visitor.request;
    let return_to = match return_path(asked.return_to.as_deref()) {
        Ok(path) => path,
        Err(error) => return failure::of(&error, request),
    };
    let cookies = || [cookie::set_browser(&app, &guest.browser)];
    let Some(written) = asked.email.as_deref().map(address::read).filter(|e| !e.is_empty()) else {
        let shown = Shown { return_to: &return_to, ..Shown::default() };
        return with_cookies(page(StatusCode::OK, "Sign in", Forms::Out, &form(&shown)), cookies());
    };
    let Ok(key) = email_key(&written) else {
        let error = Some("That is not an e-mail address.".to_owned());
        let shown = Shown { return_to: &return_to, mistyped: &written, error, ..Shown::default() };
        return page(StatusCode::BAD_REQUEST, "Sign in", Forms::Out, &form(&shown));
    };
    match ways(&app, key).await {
        Ok(connections) => {
            let shown = Shown {
                email: Some(&written),
                connections: &connections,
                return_to: &return_to,
                ..Shown::default()
            };
            with_cookies(page(StatusCode::OK, "Sign in", Forms::Out, &form(&shown)), cookies())
        }
        Err(error) => failure::of(&error, request),
    }
}

/// The connections that lead on somebody with that address.
async fn ways(app: &App, email_key: String) -> Result<Vec<Connection>, ServiceError> {
    app.portcullis().read(move |tx, _| connection::routed(tx, &email_key)).await
}

/// The same answer, with these cookies.
pub(crate) fn with_cookies(
    mut response: Response,
    cookies: impl IntoIterator<Item = Option<axum::http::HeaderValue>>,
) -> Response {
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(axum::http::header::SET_COOKIE, cookie);
    }
    response
}

/// Sends somebody who signed in on their way, with their sessions.
pub(crate) fn arrived(app: &App, opened: &Opened, return_to: &str) -> Response {
    let mut secrets = vec![opened.secret.expose().to_owned()];
    secrets.extend(opened.kept.iter().cloned());
    onward(return_to, [cookie::set_sessions(app, &secrets)])
}

/// `POST /login`.
pub async fn submit(State(app): State<App>, form: OwnForm<PasswordForm>) -> Response {
    let OwnForm { guest, value } = form;
    let request = guest.visitor.request;
    let return_to = match return_path(value.return_to.as_deref()) {
        Ok(path) => path,
        Err(error) => return failure::of(&error, request),
    };
    let email = address::read(&value.email);
    match local::sign_in(app.portcullis(), &email, value.password, guest.visitor).await {
        Ok(SignedIn::Here(opened)) => arrived(&app, &opened, &return_to),
        Ok(SignedIn::Choose { ticket, choices }) => {
            // The choice is bound to the browser, which may have had nothing to bind it by before.
            with_cookies(choosing(&ticket, &choices, &return_to), [cookie::set_browser(&app, &guest.browser)])
        }
        Err(error) => again(&app, &error, (&email, &return_to), request).await,
    }
}

/// The page again, with what was wrong; the same words whether the address is known or not. It leads on by the address's
/// domain as the first one did: whoever has no password may have tried one.
async fn again(
    app: &App,
    error: &ServiceError,
    (email, return_to): (&str, &str),
    request: portcullis_domain::id::RequestId,
) -> Response {
    let Some(sentence) = failure::mendable(error) else { return failure::of(error, request) };
    let routed = match email_key(email) {
        Ok(key) => ways(app, key).await,
        Err(_) => Ok(Vec::new()),
    };
    match routed {
        Ok(connections) => {
            let shown = Shown {
                email: Some(email),
                connections: &connections,
                return_to,
                error: Some(sentence),
                ..Shown::default()
            };
            failure::saying_when(error, page(error::status(error), "Sign in", Forms::Out, &form(&shown)))
        }
        Err(unread) => failure::of(&unread, request),
    }
}

fn choosing(ticket: &str, choices: &[Choice], return_to: &str) -> Response {
    let is_alone =
        |one: &Choice| choices.iter().filter(|other| other.organization == one.organization).count() == 1;
    let body = html! {
        p { "You are in several organizations. Which one?" }
        @for choice in choices {
            form method="post" action="/login/choose" {
                input type="hidden" name="ticket" value=(ticket);
                input type="hidden" name="membership" value=(choice.membership);
                input type="hidden" name="return_to" value=(return_to);
                button type="submit" {
                    (choice.organization)
                    @if !is_alone(choice) { " · " (choice.slug) }
                }
            }
        }
    };
    page(StatusCode::OK, "Choose an organization", Forms::Here, &body)
}

/// `POST /login/choose`.
pub async fn choose(State(app): State<App>, form: OwnForm<Chosen>) -> Response {
    let OwnForm { guest, value } = form;
    let request = guest.visitor.request;
    let chosen = async {
        let return_to = return_path(value.return_to.as_deref())?;
        let id = value.membership.parse().map_err(|_| ServiceError::NotFound(Noun::Member))?;
        let opened = local::choose(app.portcullis(), &value.ticket, id, guest.visitor).await?;
        Ok::<_, ServiceError>((opened, return_to))
    };
    match chosen.await {
        Ok((opened, return_to)) => arrived(&app, &opened, &return_to),
        Err(error) => failure::of(&error, request),
    }
}

/// `GET /login/choose` and `GET /logout`: what only takes forms is opened by whoever presses Enter in the address bar there.
pub async fn lead_on() -> Response {
    onward("/", [])
}

/// `POST /logout`.
pub async fn sign_out(State(app): State<App>, form: OwnForm<Leaving>) -> Response {
    let OwnForm { guest, value } = form;
    let visitor = guest.visitor;
    let request = visitor.request;
    let which = match value.token.as_deref().filter(|t| !t.is_empty()).map(str::parse) {
        None => SignOut::All,
        Some(Ok(id)) => SignOut::One(id),
        Some(Err(_)) => return failure::of(&ServiceError::NotFound(Noun::Session), request),
    };
    match end(app.portcullis(), visitor.presented, which, request).await {
        Ok(out) => {
            let cookies = [cookie::set_sessions(&app, &out.kept)];
            match out.onward {
                // Ours has ended; the provider's ends when the browser comes by there.
                Some(Onward::Saml(message)) => sent(message, "Sign out at your identity provider", cookies),
                Some(Onward::Oidc(url)) => onward(url.as_str(), cookies),
                None => onward(if out.kept.is_empty() { "/login" } else { "/" }, cookies),
            }
        }
        Err(error) => failure::of(&error, request),
    }
}
