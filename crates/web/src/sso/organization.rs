//! `/sso/{organization}`: one address for everybody of an organization, whatever identity providers it has.
//!
//! Where there is one connection the browser goes on by itself. Where there are several, the domain of an address finds
//! the right one, or the person chooses.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use portcullis_domain::text::email_key;
use portcullis_service::sign_in::choice::{self, Choice, ChosenBy};
use portcullis_service::sign_in::{admit_source, return_path};

use crate::App;
use crate::named::Named;
use crate::pages::address as typed;
use crate::pages::form::{Guest, Query};
use crate::pages::sign_in::{Asked, address_form, leading_on, login_path};
use crate::pages::{Forms, failure, onward, page};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new().route("/sso/{organization}", get(show))
}

/// Where that is.
pub(crate) fn path(organization: &impl std::fmt::Display) -> String {
    format!("/sso/{organization}")
}

async fn show(
    State(app): State<App>,
    guest: Guest,
    Named(named): Named,
    Query(asked): Query<Asked>,
) -> Response {
    let request = guest.visitor.request;
    if let Err(error) = admit_source(app.portcullis(), guest.visitor.source) {
        return failure::of(&error, request);
    }
    let return_to = match return_path(asked.return_to.as_deref()) {
        Ok(path) => path,
        Err(error) => return failure::of(&error, request),
    };
    let written = asked.email.as_deref().map(typed::read).filter(|e| !e.is_empty());
    let written = written.as_deref();
    let key = written.map(email_key);
    let is_no_address = matches!(key, Some(Err(_)));
    let key = key.and_then(Result::ok);
    let found = app.portcullis().read(move |tx, _| choice::find(tx, &named, key.as_deref())).await;
    let choice = match found {
        Ok(choice) => choice,
        Err(error) => return failure::of(&error, request),
    };
    let (status, address) = match (is_no_address, written, choice.by) {
        (true, typed, _) => (StatusCode::BAD_REQUEST, Address::Malformed(typed.unwrap_or_default())),
        (false, None, _) => (StatusCode::OK, Address::Unasked),
        (false, Some(email), ChosenBy::Domain) => (StatusCode::OK, Address::Routed(email)),
        (false, Some(email), ChosenBy::Nothing) => (StatusCode::OK, Address::Elsewhere(email)),
    };
    match choice.connections.as_slice() {
        [only] if status == StatusCode::OK => onward(&login_path(only, address.text(), &return_to), []),
        _ => {
            let title = format!("Sign in to {}", choice.organization.name);
            page(status, &title, Forms::Out, &body(&choice, address, &return_to))
        }
    }
}

/// What is known of the person's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address<'a> {
    /// Nothing: nobody asked yet.
    Unasked,
    /// This was typed, and is none.
    Malformed(&'a str),
    /// Its domain decides.
    Routed(&'a str),
    /// Its domain is routed to none of these connections.
    Elsewhere(&'a str),
}

impl<'a> Address<'a> {
    const fn text(self) -> &'a str {
        match self {
            Self::Unasked | Self::Malformed(_) => "",
            Self::Routed(email) | Self::Elsewhere(email) => email,
        }
    }

    /// What was typed, to be mended.
    const fn typed(self) -> &'a str {
        match self {
            Self::Malformed(typed) => typed,
            Self::Unasked | Self::Routed(_) | Self::Elsewhere(_) => self.text(),
        }
    }
}

fn body(choice: &Choice, address: Address<'_>, return_to: &str) -> Markup {
    let here = path(&choice.organization.slug);
    // Where no connection has a domain, an address finds nothing.
    let asks = choice.connections.iter().any(|c| !c.domains.is_empty());
    html! {
        @match address {
            Address::Routed(email) => p.quiet { bdi { (email) } },
            Address::Malformed(_) => p.error role="alert" { "That is not an e-mail address." },
            Address::Elsewhere(_) => p.error role="alert" {
                "No way in is set for the domain of that address. Choose yours."
            },
            Address::Unasked => {},
        }
        @if asks && !matches!(address, Address::Routed(_)) {
            (address_form(&here, address.typed(), return_to))
            p.quiet { "Or choose:" }
        }
        (leading_on(&choice.connections, address.text(), return_to))
    }
}
