//! Base64, percent-encoding, text for XML and text made fit to be shown.
//!
//! Here because every message of this room needs some of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::document::is_xml_space;

/// Longest text, in characters, that a trace shows of what came: a hostile peer must not fill traces.
const MAX_SHOWN_CHARS: usize = 200;
/// Everything but RFC 3986's unreserved characters.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Base64 with padding, on one line.
pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Decodes base64 with padding; white space of XML is passed over, anything else is refused, stray bits too.
///
/// Takes the text itself, so that no third copy of a large message stands beside it and what it means.
pub(crate) fn parse_base64(mut text: String) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| is_xml_space(byte.into())) {
        text.retain(|c| !is_xml_space(c));
    }
    STANDARD.decode(text).ok()
}

/// A value of a query.
pub(crate) fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, QUERY_VALUE).to_string()
}

/// What a query or a form means by `text`, but for `+`: in base64 it is one, and elsewhere the caller says.
///
/// Into a buffer of all that it can need: one that grows stands twice while it moves.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [b'%', high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                octets.push(digit(*high) << 4 | digit(*low));
                behind
            }
            // A sign that escapes nothing is itself, as browsers read it.
            [byte, behind @ ..] => {
                octets.push(*byte);
                behind
            }
            [] => return String::from_utf8(octets).ok(),
        };
    }
}

fn digit(of: u8) -> u8 {
    match of {
        b'0'..=b'9' => of - b'0',
        b'a'..=b'f' => of - b'a' + 10,
        _ => of - b'A' + 10,
    }
}

/// Text as it stands between tags and in attribute values with `"`, in canonical form (Canonical XML 1.0 §2.3).
pub(crate) fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Whether a message of ours can hold the text: every character that XML has, but no line break or tab, which an
/// attribute would not keep.
pub(crate) fn is_writable(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
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
