//! Who is at the door of a page: the visitor, what a page is asked with, and forms that came from our own pages.

use std::convert::Infallible;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use portcullis_domain::id::RequestId;
use portcullis_service::sign_in::binding::Bound;
use portcullis_service::sign_in::{Visitor, Whom, Wish, fresh_browser};
use serde::de::DeserializeOwned;

use super::failure;
use crate::edge::Source;
use crate::{App, cookie, scope, whole};

/// The largest form, in bytes: a token, an address, a password and a path fit many times.
pub const MAX_FORM: usize = 32 * 1024;

/// A browser at the door.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Who it is, as far as cookies say. The binding value is always there: a fresh one if it had none.
    pub visitor: Visitor,
    /// The binding value.
    pub browser: String,
    /// What binds sign-ins that come back by a redirect.
    pub returning: Bound,
    /// What binds sign-ins that come back by a form of somebody else's page.
    pub crossing: Bound,
}

impl Guest {
    fn of(parts: &Parts, app: &App) -> Self {
        let mut moment = app.portcullis().moment();
        let request = parts.extensions.get::<scope::InRequest>().map(|r| r.0);
        let request = request.unwrap_or_else(|| RequestId::fresh(moment.now, &mut moment.random));
        let browser = cookie::browser(app, &parts.headers);
        let browser = browser.unwrap_or_else(|| fresh_browser(&mut moment.random));
        let visitor = Visitor {
            browser: Some(browser.clone()),
            bound: Bound::default(),
            presented: cookie::sessions(app, &parts.headers),
            source: Source::of(&parts.extensions).0,
            request,
        };
        let (returning, crossing) = cookie::bound(app, &parts.headers);
        Self { visitor, browser, returning, crossing }
    }

    /// What this browser wants that leaves for its provider: the usual account, and nothing beside.
    #[must_use]
    pub fn wish(&self, return_to: Option<String>) -> Wish {
        Wish {
            return_to,
            login_hint: None,
            account: Whom::Usual,
            linking: None,
            returning: self.returning.clone(),
            crossing: self.crossing.clone(),
            source: self.visitor.source,
        }
    }
}

impl FromRequestParts<App> for Guest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(parts, app))
    }
}

/// What a page is asked with. Unknown parameters are left aside, because mail programs and providers add some; one that
/// is repeated or cannot be read is refused, because two readers would see two values.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        serde_urlencoded::from_str(parts.uri.query().unwrap_or_default()).map(Self).map_err(|_| {
            let message = "A part of this page's address is missing, repeated or cannot be read. \
                           Follow the link that brought you here once more.";
            let request = scope::request_id(parts, app);
            failure::plain(StatusCode::BAD_REQUEST, "invalid_field", message, request)
        })
    }
}

/// A form that came from one of our own pages.
pub struct OwnForm<T> {
    /// Who sent it.
    pub guest: Guest,
    /// What it says.
    pub value: T,
}

/// Whether a request was sent by a page of ours: its `Origin` says so; without one, the browser's own word.
fn is_own(app: &App, headers: &HeaderMap) -> bool {
    let own = app.portcullis().around().public_url.origin().ascii_serialization();
    match headers.get(header::ORIGIN) {
        Some(origin) => origin.as_bytes() == own.as_bytes(),
        None => headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() == b"same-origin"),
    }
}

impl<T: DeserializeOwned> FromRequest<App> for OwnForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let guest = Guest::of(&parts, app);
        let refuse = |status, code, message| failure::plain(status, code, message, guest.visitor.request);
        if !is_own(app, &parts.headers) {
            let message = "This form did not come from a page of this server. Open the page again and send it from there.";
            return Err(refuse(StatusCode::FORBIDDEN, "foreign_origin", message));
        }
        let body = whole::read(&parts.headers, body, MAX_FORM).await.map_err(|unread| {
            let (status, code, message) = unread.page();
            refuse(status, code, message)
        })?;
        let value = serde_urlencoded::from_bytes(&body).map_err(|_| {
            refuse(StatusCode::BAD_REQUEST, "invalid_field", "A field of the form is missing or repeated.")
        })?;
        Ok(Self { value, guest })
    }
}
