//! What every refusal must be: a code that scripts can rely on, and a text of bounded length that one line holds.

use portcullis_oidc::refusal::BrokenRule;
use portcullis_scim::ScimError;

/// The longest text of a refusal, in bytes: what is repeated of the input is cut, however long that was.
const MAX_TEXT_BYTES: usize = 1_024;

/// A refusal of a SCIM body or parameter is the client's fault, says which rule it broke, and is one line.
pub(crate) fn of_scim(error: &ScimError) {
    let status = error.status();
    assert!((400..500).contains(&status), "{error:?} is answered with {status}");
    of_text(&error.detail());
}

/// The same, and its code is one of those that RFC 7644 defines for a 400.
pub(crate) fn of_scim_with_type(error: &ScimError) {
    of_scim(error);
    assert!(error.status() != 400 || error.scim_type().is_some(), "{error:?} has no scimType");
}

/// A refusal of a federation message names its rule.
pub(crate) fn of_rule(rule: &BrokenRule) {
    of_parts([rule.code, rule.section, rule.advice], [&rule.expected, &rule.received]);
}

/// The same for SAML.
pub(crate) fn of_saml_rule(rule: &portcullis_saml::refusal::BrokenRule) {
    of_parts([rule.code, rule.section, rule.advice], [&rule.expected, &rule.received]);
}

fn of_parts([code, section, advice]: [&str; 3], texts: [&Option<String>; 2]) {
    let is_code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    assert!(!code.is_empty() && code.chars().all(is_code), "{code}");
    assert!(!section.is_empty() && !advice.is_empty(), "{code}");
    for text in texts.into_iter().flatten() {
        assert!(text.len() <= MAX_TEXT_BYTES, "{code}: {text}");
    }
}

fn of_text(text: &str) {
    assert!(!text.is_empty() && text.len() <= MAX_TEXT_BYTES, "{} bytes: {text}", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
