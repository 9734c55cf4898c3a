//! Base64url without padding, JSON objects, equality that takes no hint from timing, and text made fit to be shown.
//!
//! Here because every message of this room needs one of the four.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, Error as _};

/// Longest text, in characters, that a trace shows of what came: a hostile peer must not fill traces.
const MAX_SHOWN_CHARS: usize = 200;

/// Encodes as JOSE does (RFC 7515 §2).
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes strictly: no padding, no white space, no stray trailing bits, so that one value has one spelling.
pub(crate) fn parse_base64url(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Reads a JSON object. What serde derives for a structure would take an array of its members' values for one too, and looks
/// at no member that it does not know: a document is text as a whole (RFC 8259 §8.1), or two readers read two.
pub(crate) fn from_object<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let text = std::str::from_utf8(bytes).map_err(serde_json::Error::custom)?;
    if text.trim_start().starts_with('[') {
        return Err(serde_json::Error::custom("an array in the place of an object"));
    }
    serde_json::from_str(text)
}

/// Whether both are equal, in time that depends on their lengths only.
pub(crate) fn equal_in_constant_time(left: &str, right: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()
}

/// What came from a peer, cut and without control characters, for a message or a trace.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().take(MAX_SHOWN_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
