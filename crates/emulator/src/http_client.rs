//! The HTTP client of both emulated sides: no proxy, no redirects of its own, bounded answers.
//!
//! Here once, so that both carry the same limits.

use std::time::Duration;

use reqwest::redirect::Policy;
use thiserror::Error;

/// Longest wait for one answer. Providers give up after 60 seconds.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Largest answer, in bytes: a group of 50,000 members is about 8 MiB.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// Why a call gave no answer that can be used.
#[derive(Debug, Error)]
pub enum HttpError {
    /// Not an absolute URL.
    #[error("`{0}` is not an absolute URL")]
    BadUrl(String),
    /// No connection, no answer in time, or a broken one.
    #[error("the call failed")]
    Transport(#[from] reqwest::Error),
    /// Over the limit.
    #[error("the answer has more than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
}

pub(crate) fn client() -> Result<reqwest::Client, HttpError> {
    Ok(reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(MAX_WAIT).build()?)
}

pub(crate) async fn bounded_body(mut response: reqwest::Response) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(HttpError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

pub(crate) fn parse_url(text: &str) -> Result<url::Url, HttpError> {
    url::Url::parse(text).map_err(|_| HttpError::BadUrl(text.to_owned()))
}
