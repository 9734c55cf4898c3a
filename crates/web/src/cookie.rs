//! The session cookie: up to eight session secrets, one for each organization and environment.

use axum::http::{HeaderMap, header};

/// Its name under https, where only our own host can set it.
pub const SECURE_NAME: &str = "__Host-portcullis";
/// Its name on loopback without TLS.
pub const LOOPBACK_NAME: &str = "portcullis";
/// The most sessions in one browser.
pub const MAX_SESSIONS: usize = 8;

/// The session secrets that a request carries.
#[must_use]
pub fn sessions(headers: &HeaderMap) -> Vec<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == SECURE_NAME || *name == LOOPBACK_NAME)
        .flat_map(|(_, value)| value.split('.'))
        .filter(|secret| !secret.is_empty())
        .take(MAX_SESSIONS)
        .map(str::to_owned)
        .collect()
}
