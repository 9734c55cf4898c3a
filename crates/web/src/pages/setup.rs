//! `/setup/owner`: the very first owner, who makes their organization here, and the owner of one that is there.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use portcullis_service::ServiceError;
use portcullis_service::first_owner::{self, Founding};
use secrecy::SecretString;
use serde::Deserialize;

use super::address::{self, Focus, address_field};
use super::form::{Guest, OwnForm, Query};
use super::invite::{self, Acceptance, Link};
use super::{Forms, failure, page, sign_in};
use crate::{App, cookie, error};

const PATH: &str = "/setup/owner";

/// What the first owner's form says; the organization's fields are absent where it is there already.
#[derive(Deserialize)]
pub struct Setup {
    token: String,
    password: SecretString,
    #[serde(default)]
    slug: Option<String>,
    #[serde(default)]
    organization: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
}

/// What was typed, without the password.
#[derive(Default)]
struct Typed<'a> {
    slug: &'a str,
    organization: &'a str,
    email: &'a str,
    name: &'a str,
}

fn form(token: &str, typed: &Typed<'_>, error: Option<&str>) -> Markup {
    html! {
        @if let Some(error) = error {
            p.error role="alert" { (error) }
        }
        p { "Nobody owns anything here yet. This makes your organization, with you as its owner." }
        form method="post" action=(PATH) novalidate {
            input type="hidden" name="token" value=(token);
            label for="organization" { "Name of the organization" }
            input #organization name="organization" required maxlength="256" value=(typed.organization)
                autocomplete="organization" autofocus;
            label for="slug" { "Short name, for addresses" }
            input #slug name="slug" required maxlength="63" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?"
                value=(typed.slug) aria-describedby="slug-hint" autocapitalize="none";
            p #slug-hint .quiet { "Lower-case letters, digits and hyphens; it never changes." }
            label for="name" { "Your name" }
            input #name name="name" maxlength="256" value=(typed.name) autocomplete="name";
            label for="email" { "Your e-mail address" }
            (address_field(typed.email, Focus::Elsewhere))
            label for="password" { "Choose a password" }
            input #password type="password" name="password" required
                autocomplete="new-password" aria-describedby="hint";
            p #hint .quiet { "At least 8 characters. A long sentence is better than a clever word." }
            button type="submit" { "Make the organization" }
        }
    }
}

async fn is_first(app: &App, token: &str) -> Result<(), ServiceError> {
    let token = token.to_owned();
    app.portcullis().read(move |tx, now| first_owner::check_link(tx, &token, now)).await
}

/// `GET /setup/owner`. Nothing is used by looking at it.
pub async fn show(State(app): State<App>, guest: Guest, Query(link): Query<Link>) -> Response {
    match is_first(&app, &link.token).await {
        Ok(()) => {
            let body = form(&link.token, &Typed::default(), None);
            let page = page(StatusCode::OK, "Set up Portcullis", Forms::Here, &body);
            sign_in::with_cookies(page, [cookie::set_browser(&app, &guest.browser)])
        }
        Err(ServiceError::LinkInvalid) => invite::shown(&app, &guest, PATH, &link.token).await,
        Err(error) => failure::of(&error, guest.visitor.request),
    }
}

/// `POST /setup/owner`.
pub async fn accept(State(app): State<App>, own: OwnForm<Setup>) -> Response {
    let OwnForm { guest, value } = own;
    let request = guest.visitor.request;
    let Some(slug) = value.slug else {
        let said = Acceptance { token: value.token, password: value.password };
        return invite::accepted(&app, guest, PATH, said).await;
    };
    let founding = Founding {
        slug: slug.clone(),
        organization: value.organization.clone(),
        email: address::read(&value.email),
        name: value.name.clone(),
        password: value.password,
    };
    match first_owner::found(app.portcullis(), &value.token, founding, guest.visitor).await {
        Ok(opened) => sign_in::arrived(&app, &opened, "/"),
        Err(error) => match failure::mendable(&error) {
            Some(sentence) => {
                let typed = Typed {
                    slug: &slug,
                    organization: &value.organization,
                    email: &value.email,
                    name: &value.name,
                };
                let body = form(&value.token, &typed, Some(&sentence));
                let page = page(error::status(&error), "Set up Portcullis", Forms::Here, &body);
                failure::saying_when(&error, page)
            }
            None => failure::of(&error, request),
        },
    }
}
