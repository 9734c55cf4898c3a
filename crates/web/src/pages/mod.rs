//! The hosted pages: sign-in, invitation, first owner, consent at Google, and where one stands afterwards.
//!
//! Plain HTML that works without scripts, one small stylesheet, and a content policy that would let nothing else run.
//! Every form is checked for its origin before it is read ([`form::OwnForm`]); what a page shows is escaped by
//! construction.

pub(crate) mod address;
pub mod consent;
pub mod failure;
pub mod form;
pub mod invite;
pub mod landing;
pub mod setup;
pub mod sign_in;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{DOCTYPE, Markup, html};

use crate::App;

/// The stylesheet of every page.
const STYLE: &str = include_str!("style.css");
/// Where it lies.
const STYLE_PATH: &str = "/assets/portcullis.css";
/// What a page may load and where its forms may go. Scripts are nowhere allowed.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// The same for pages whose forms lead to an identity provider: browsers hold `form-action` against redirects too.
const LEADING_OUT: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'");

/// The routes of the pages.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(landing::show))
        .route("/console", get(landing::show))
        .route("/login", get(sign_in::show).post(sign_in::submit))
        .route("/login/choose", get(sign_in::lead_on).post(sign_in::choose))
        .route("/logout", get(sign_in::lead_on).post(sign_in::sign_out))
        .route("/invite", get(invite::show).post(invite::accept))
        .route("/setup/owner", get(setup::show).post(setup::accept))
        .route("/google/consent/callback", get(consent::callback))
        .route("/google/consent/{directory}", get(consent::show).post(consent::begin))
        .route(STYLE_PATH, get(style))
}

async fn style() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, STYLE)
}

/// Where a page's forms lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forms {
    /// To this server.
    Here,
    /// Through this server to an identity provider.
    Out,
}

/// A whole page.
pub(crate) fn page(status: StatusCode, title: &str, forms: Forms, body: &Markup) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Portcullis" }
                link rel="stylesheet" href=(STYLE_PATH);
            }
            body {
                main {
                    p.brand { "Portcullis" }
                    h1 { (title) }
                    (body)
                }
            }
        }
    };
    let policy = match forms {
        Forms::Here => POLICY,
        Forms::Out => LEADING_OUT,
    };
    // With `no-referrer` browsers send `Origin: null` from forms; this one tells our own pages and nobody else.
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    (status, headers, markup).into_response()
}

/// Sends a browser on by GET, with what its cookies shall be.
pub(crate) fn onward(location: &str, cookies: impl IntoIterator<Item = Option<HeaderValue>>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(location) {
        headers.insert(header::LOCATION, value);
    }
    for cookie in cookies.into_iter().flatten() {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}
