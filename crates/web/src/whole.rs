//! A body that is read whole, and why one was not: only what is larger than it may be is called too large.
//!
//! Here because a connection that broke off reads as an error like a bound that was reached, and whoever is told the wrong one
//! of the two mends what was right.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::LengthLimitError;

use crate::error::Problem;
use crate::pace::TooSlow;

/// The code of a body that broke off.
pub(crate) const INCOMPLETE: &str = "body_incomplete";
/// The code of a body that is compressed.
pub(crate) const ENCODED: &str = "unsupported_encoding";
/// What is said of a body that broke off.
pub(crate) const BROKE_OFF: &str = "the body did not come whole; nothing was changed, send it again";
/// What is said of a body that is compressed.
pub(crate) const COMPRESSED: &str = "a body is read as it stands: send it without a `Content-Encoding`";

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It has more bytes than it may.
    TooLarge {
        /// The bound.
        max_bytes: usize,
    },
    /// It came too slowly.
    TooSlow,
    /// It broke off.
    Incomplete,
    /// It is compressed.
    Encoded,
}

/// Reads a body of at most that many bytes, with the headers that came with it.
pub(crate) async fn read(headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<Bytes, Unread> {
    if is_encoded(headers) {
        return Err(Unread::Encoded);
    }
    axum::body::to_bytes(body, max_bytes).await.map_err(|error| {
        if is_because_of::<LengthLimitError>(&error) {
            Unread::TooLarge { max_bytes }
        } else if is_because_of::<TooSlow>(&error) {
            Unread::TooSlow
        } else {
            Unread::Incomplete
        }
    })
}

/// The codings that a body may have come in (IANA's registry of HTTP content codings). What else some clients write there, such
/// as `UTF-8`, codes nothing.
const CODINGS: [&str; 12] = [
    "aes128gcm",
    "br",
    "compress",
    "dcb",
    "dcz",
    "deflate",
    "exi",
    "gzip",
    "pack200-gzip",
    "x-compress",
    "x-gzip",
    "zstd",
];

/// Whether a coding is named that is any (RFC 9110 §8.4).
fn is_encoded(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = named.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings
        .any(|coding| CODINGS.iter().any(|known| coding.trim_ascii().eq_ignore_ascii_case(known.as_bytes())))
}

fn is_because_of<E: std::error::Error + 'static>(error: &axum::Error) -> bool {
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = at {
        if error.is::<E>() {
            return true;
        }
        at = error.source();
    }
    false
}

impl Unread {
    /// What a caller is told that is no directory and no browser; `what` has the bound.
    pub(crate) fn problem(self, what: &str) -> Problem {
        match self {
            Self::TooLarge { max_bytes } => {
                Problem::bad_request("body_too_large", format!("{what} has at most {max_bytes} bytes"))
            }
            Self::Encoded => Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ENCODED, COMPRESSED),
            // Who was too slow is told that by the edge, whatever stands here.
            Self::TooSlow | Self::Incomplete => Problem::bad_request(INCOMPLETE, BROKE_OFF),
        }
    }

    /// Status, code and words for a person with a browser.
    pub(crate) const fn page(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::TooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The form is too large.")
            }
            Self::Encoded => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ENCODED,
                "The form is compressed, and is read as it stands only.",
            ),
            Self::TooSlow | Self::Incomplete => (
                StatusCode::BAD_REQUEST,
                INCOMPLETE,
                "What your browser sent did not come whole, and nothing was changed. Send it again.",
            ),
        }
    }
}

/// Says in an answer which codings are read, where its code is about that (RFC 9110 §15.5.16).
pub(crate) fn name_codings(code: &str, headers: &mut HeaderMap) {
    if code == ENCODED {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
}
