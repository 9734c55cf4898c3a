//! Cookies: the sessions of a browser, and the value that binds a sign-in to it.
//!
//! The session cookie holds up to eight session secrets, one for each organization and environment. Under https only
//! the name with `__Host-` counts, because only this very host can set it; a neighbour's cookie is not looked at.

use axum::http::{HeaderMap, HeaderValue, header};
use portcullis_service::sign_in::binding::{Binding, Bound, Tie};
use portcullis_service::sign_in::is_browser;

use crate::App;

/// The session cookie's name under https, where only our own host can set it.
pub const SECURE_NAME: &str = "__Host-portcullis";
/// Its name on loopback without TLS.
pub const LOOPBACK_NAME: &str = "portcullis";
/// The most sessions in one browser.
pub const MAX_SESSIONS: usize = 8;
/// What the binding cookie's name has beside the session cookie's.
const BINDING: &str = "-browser";
/// The same of those that bind a sign-in which comes back by a redirect; one digit stands behind it.
const RETURNING: &str = "-returning-";
/// The same of those that come along with a form of somebody else's page.
const CROSSING: &str = "-crossing-";
/// Seconds for which these are kept: as long as a sign-in is good.
const BOUND_S: i64 = portcullis_service::sign_in::GOOD_FOR_S;

fn is_https(app: &App) -> bool {
    app.portcullis().around().public_url.scheme() == "https"
}

fn session_name(app: &App) -> &'static str {
    if is_https(app) { SECURE_NAME } else { LOOPBACK_NAME }
}

/// The cookies that a request carries, in order.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// The values of a cookie, in order.
fn values<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    pairs(headers).filter(move |(found, _)| *found == name).map(|(_, value)| value)
}

/// The session secrets that a request carries.
#[must_use]
pub fn sessions(app: &App, headers: &HeaderMap) -> Vec<String> {
    values(headers, session_name(app))
        .flat_map(|value| value.split('.'))
        .filter(|secret| !secret.is_empty())
        .take(MAX_SESSIONS)
        .map(str::to_owned)
        .collect()
}

/// The value that binds this browser, if it has one.
#[must_use]
pub fn browser(app: &App, headers: &HeaderMap) -> Option<String> {
    let name = format!("{}{BINDING}", session_name(app));
    values(headers, &name).find(|value| is_browser(value)).map(str::to_owned)
}

/// What binds this browser to sign-ins that come back by a redirect, and by a form of the provider's page.
#[must_use]
pub fn bound(app: &App, headers: &HeaderMap) -> (Bound, Bound) {
    let of = |family: &str| {
        let prefix = format!("{}{family}", session_name(app));
        let in_slot = |(name, value): (&str, &str)| {
            let mut slot = name.strip_prefix(&prefix)?.chars();
            slot.next().filter(|_| slot.next().is_none()).map(|slot| (slot, value.to_owned()))
        };
        pairs(headers).filter_map(in_slot).collect()
    };
    (of(RETURNING), of(CROSSING))
}

/// `SameSite=Lax`: the way back from a provider is a navigation from another site.
fn set(app: &App, name: &str, value: &str) -> Option<HeaderValue> {
    let secure = if is_https(app) { "; Secure" } else { "" };
    let ends = if value.is_empty() { "; Max-Age=0" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{ends}");
    HeaderValue::from_str(&text).ok()
}

/// A header that sets the sessions of a browser, or takes them away if there are none.
#[must_use]
pub fn set_sessions(app: &App, secrets: &[String]) -> Option<HeaderValue> {
    let first = secrets.iter().take(MAX_SESSIONS).map(String::as_str).collect::<Vec<_>>();
    set(app, session_name(app), &first.join("."))
}

/// A header that binds a browser.
#[must_use]
pub fn set_browser(app: &App, value: &str) -> Option<HeaderValue> {
    set(app, &format!("{}{BINDING}", session_name(app)), value)
}

/// A header that binds a sign-in, for as long as it is good. Where a form of the provider's page brings the answer it is
/// `SameSite=None`, because a browser sends nothing else along with that. On loopback without TLS not every browser takes such a
/// cookie: there it is one for providers of the same machine, which are of the same site.
#[must_use]
pub fn set_binding(app: &App, binding: &Binding) -> Option<HeaderValue> {
    let (family, site) = match (binding, is_https(app)) {
        (Binding::Redirected(_), true) => (RETURNING, "Lax; Secure"),
        (Binding::Redirected(_), false) => (RETURNING, "Lax"),
        (Binding::Crossing(_), true) => (CROSSING, "None; Secure"),
        (Binding::Crossing(_), false) => (CROSSING, "Lax"),
    };
    let (name, Tie { slot, value }) = (session_name(app), binding.tie());
    let text = format!("{name}{family}{slot}={value}; Path=/; HttpOnly; SameSite={site}; Max-Age={BOUND_S}");
    HeaderValue::from_str(&text).ok()
}
