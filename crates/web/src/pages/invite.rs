//! `/invite`: the page of an invitation, and of an organization's owner link.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use portcullis_domain::id::RequestId;
use portcullis_service::ServiceError;
use portcullis_service::invitation::{self, LinkView};
use secrecy::SecretString;
use serde::Deserialize;

use super::form::{Guest, OwnForm, Query};
use super::{Forms, failure, page, sign_in};
use crate::{App, cookie, error};

/// The secret of a link.
#[derive(Deserialize)]
pub struct Link {
    /// As it stands in the address.
    #[serde(default)]
    pub(super) token: String,
}

/// What the form behind a link says.
#[derive(Deserialize)]
pub struct Acceptance {
    /// The secret of the link.
    pub(super) token: String,
    /// The password that is chosen, or the one that the person has.
    pub(super) password: SecretString,
}

// No `maxlength` on a password that is chosen: browsers cut what is pasted without a word, and count otherwise than we do.
fn form(action: &str, token: &str, view: &LinkView, error: Option<&str>) -> Markup {
    html! {
        @if let Some(error) = error {
            p.error role="alert" { (error) }
        }
        p {
            "You are invited to " strong { (view.organization) } " as " bdi { (view.email) }
            @if let Some(role) = &view.role { ", with the role " strong { (role) } } "."
        }
        form method="post" action=(action) {
            input type="hidden" name="token" value=(token);
            input type="hidden" name="username" value=(view.email) autocomplete="username";
            label for="password" { "Password" }
            input #password type="password" name="password" autocomplete="new-password" required
                aria-describedby="hint" autofocus;
            p #hint .quiet {
                "Choose one of at least 8 characters: a long sentence is better than a clever word. If you sign in here \
                 with this address already, type the password that you have."
            }
            button type="submit" { "Join " (view.organization) }
        }
    }
}

/// Shows a link's page. Nothing is used by looking at it.
pub(super) async fn shown(app: &App, guest: &Guest, action: &str, token: &str) -> Response {
    match invitation::show(app.portcullis(), token).await {
        Ok(view) => {
            let page = page(StatusCode::OK, "Welcome", Forms::Here, &form(action, token, &view, None));
            sign_in::with_cookies(page, [cookie::set_browser(app, &guest.browser)])
        }
        Err(error) => failure::of(&error, guest.visitor.request),
    }
}

/// Takes the form behind a link.
pub(super) async fn accepted(app: &App, guest: Guest, action: &str, said: Acceptance) -> Response {
    let request = guest.visitor.request;
    match invitation::accept(app.portcullis(), &said.token, said.password, guest.visitor).await {
        Ok(opened) => sign_in::arrived(app, &opened, "/"),
        Err(error) => again(app, &error, (action, &said.token), request).await,
    }
}

async fn again(
    app: &App,
    error: &ServiceError,
    (action, token): (&str, &str),
    request: RequestId,
) -> Response {
    let Some(sentence) = failure::mendable(error) else { return failure::of(error, request) };
    match invitation::show(app.portcullis(), token).await {
        Ok(view) => {
            let body = form(action, token, &view, Some(&sentence));
            failure::saying_when(error, page(error::status(error), "Welcome", Forms::Here, &body))
        }
        Err(error) => failure::of(&error, request),
    }
}

/// `GET /invite`.
pub async fn show(State(app): State<App>, guest: Guest, Query(link): Query<Link>) -> Response {
    shown(&app, &guest, "/invite", &link.token).await
}

/// `POST /invite`.
pub async fn accept(State(app): State<App>, form: OwnForm<Acceptance>) -> Response {
    accepted(&app, form.guest, "/invite", form.value).await
}
