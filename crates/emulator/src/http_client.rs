//! The HTTP client of both emulated sides: no proxy, no redirects of its own, bounded answers.
//!
//! Here once, so that both carry the same limits.

use std::time::Duration;

use reqwest::Certificate;
use reqwest::redirect::Policy;
use thiserror::Error;

/// Longest wait for a connection: a host that drops packets must not take the whole of [`MAX_WAIT`].
const MAX_CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for one answer. Providers give up after 60 seconds.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);
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

impl HttpError {
    /// What went wrong and what to do, for a person: the cause at the bottom, not the layers above it.
    #[must_use]
    pub fn explained(&self) -> String {
        let Self::Transport(error) = self else { return self.to_string() };
        let mut cause: &dyn std::error::Error = error;
        let mut all = String::new();
        while let Some(below) = cause.source() {
            cause = below;
            all.push_str(&cause.to_string());
        }
        let cause = cause.to_string();
        if all.contains("certificate") {
            return format!(
                "the server's certificate is not trusted ({cause}); if an authority of your own signed it, name \
                 its file with --ca-file"
            );
        }
        if all.contains("InvalidContentType") {
            return "that port does not speak TLS: http:// instead of https://, or another port".to_owned();
        }
        if error.is_timeout() && error.is_connect() {
            return format!(
                "no connection within {} s: is the host right, and reachable from here?",
                MAX_CONNECT.as_secs()
            );
        }
        if error.is_timeout() {
            return format!("no answer within {} s, where providers give up", MAX_WAIT.as_secs());
        }
        if error.is_connect() {
            return format!("no connection ({cause}): does the server run, and are host and port right?");
        }
        format!("the connection broke ({cause})")
    }
}

pub(crate) fn client() -> Result<reqwest::Client, HttpError> {
    client_trusting(Vec::new())
}

/// The same; these authorities are trusted beside the public ones.
pub(crate) fn client_trusting(authorities: Vec<Certificate>) -> Result<reqwest::Client, HttpError> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(MAX_CONNECT)
        .timeout(MAX_WAIT);
    for authority in authorities {
        builder = builder.add_root_certificate(authority);
    }
    Ok(builder.build()?)
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
