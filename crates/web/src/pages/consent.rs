//! `/google/consent/{dir}`: an administrator's consent at Google, from a member's own session.
//!
//! Looking at the page begins nothing; its form does, and leads to Google. The way back is good for one use, in the
//! browser that left.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use portcullis_domain::id::DirectoryId;
use portcullis_service::ServiceError;
use portcullis_service::google::consent::{self, Asking, PAGE, Taken};
use portcullis_service::noun::Noun;
use serde::Deserialize;

use super::form::{Guest, OwnForm};
use super::{Forms, failure, onward, page, sign_in};
use crate::named::Named;
use crate::{App, cookie};

/// The form has no fields: which directory it is says the path, who asks says the session.
#[derive(Debug, Deserialize)]
pub struct Nothing {}

fn asking(path: &str, about: &Asking) -> Markup {
    html! {
        p {
            "The directory " strong { (about.directory) } " reads people, groups and organizational units of the \
             Google Workspace " strong { (about.hosted_domain) } " once an administrator of it agrees. Nothing is \
             ever written there."
        }
        @if let Some(by) = &about.given_by {
            p { "Now it is read in the name of " strong { (by) } ". A new consent takes the place of that one." }
        }
        p.quiet { "At Google, choose an administrator's account and leave every box ticked." }
        form method="post" action=(path) {
            button type="submit" { "Go to Google" }
        }
    }
}

fn taken(taken: &Taken) -> Markup {
    html! {
        p { "The directory " strong { (taken.directory) } " is read in the name of " strong { (taken.by) } " from now on." }
        p.quiet { "If that account is suspended, or withdraws its consent, nothing is read until another consents." }
    }
}

/// Whoever is not signed in signs in first, and comes back.
fn refused(error: &ServiceError, path: &str, guest: &Guest) -> Response {
    match error {
        ServiceError::Unauthenticated => onward(&format!("/login?return_to={path}"), []),
        other => failure::of(other, guest.visitor.request),
    }
}

/// A directory and the path of its page; what is no directory's id has none.
fn page_of(directory: &str) -> Result<(DirectoryId, String), ServiceError> {
    let id: DirectoryId = directory.parse().map_err(|_| ServiceError::NotFound(Noun::Directory))?;
    Ok((id, format!("{PAGE}{id}")))
}

/// `GET /google/consent/{dir}`. Nothing is begun by looking at it.
pub async fn show(State(app): State<App>, guest: Guest, Named(directory): Named) -> Response {
    let (directory, path) = match page_of(&directory) {
        Ok(found) => found,
        Err(error) => return failure::of(&error, guest.visitor.request),
    };
    match consent::look(app.portcullis(), directory, &guest.visitor).await {
        Ok(about) => {
            let page = page(StatusCode::OK, "Read a Google Workspace", Forms::Out, &asking(&path, &about));
            sign_in::with_cookies(page, [cookie::set_browser(&app, &guest.browser)])
        }
        Err(error) => refused(&error, &path, &guest),
    }
}

/// `POST /google/consent/{dir}`.
pub async fn begin(State(app): State<App>, Named(directory): Named, own: OwnForm<Nothing>) -> Response {
    let guest = own.guest;
    let (directory, path) = match page_of(&directory) {
        Ok(found) => found,
        Err(error) => return failure::of(&error, guest.visitor.request),
    };
    match consent::begin(app.portcullis(), directory, &guest.visitor).await {
        Ok(location) => onward(location.as_str(), [cookie::set_browser(&app, &guest.browser)]),
        Err(error) => refused(&error, &path, &guest),
    }
}

/// `GET /google/consent/callback`.
pub async fn callback(State(app): State<App>, guest: Guest, RawQuery(query): RawQuery) -> Response {
    let request = guest.visitor.request;
    match consent::complete(app.portcullis(), &query.unwrap_or_default(), guest.visitor).await {
        Ok(done) => page(StatusCode::OK, "The consent was taken", Forms::Here, &taken(&done)),
        Err(error) => failure::of(&error, request),
    }
}
