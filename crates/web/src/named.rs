//! What a path names on a surface that answers what it does not know in a form of its own.
//!
//! The framework's own reader answers a path that is not UTF-8 in a form of its own too, which is nobody's: nothing has such a
//! name, and it is answered like any other that nothing has.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

/// The one name in a path; empty where it cannot be read.
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let named = RawPathParams::from_request_parts(parts, state).await;
        let first = named.ok().and_then(|named| named.iter().next().map(|(_, name)| name.to_owned()));
        Ok(Self(first.unwrap_or_default()))
    }
}
