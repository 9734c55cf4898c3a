//! How texts are compared whose case does not matter (RFC 7643 §2.2, `caseExact` false).

use unicode_normalization::UnicodeNormalization as _;

/// The text in lower case and composed (NFC): a letter with an accent is one letter, however it was typed.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase().nfc().collect() }
}
