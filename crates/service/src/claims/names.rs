//! Which claims are about the person, so that a mapping may name them.

use thiserror::Error;

/// Claims that are about the sign-in and not about the person.
const OF_THE_SIGN_IN: [&str; 19] = [
    "iss",
    "aud",
    "azp",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "acr",
    "amr",
    "auth_time",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "typ",
    "ver",
    "uti",
    "rh",
];
/// Claims that hold the name to sign in with.
pub(super) const SIGN_IN_NAMES: [&str; 2] = ["preferred_username", "upn"];
/// Claims that name one person.
const OF_ONE_PERSON: [&str; 18] = [
    "sub",
    "oid",
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "upn",
    "unique_name",
    "profile",
    "picture",
    "website",
    "email",
    "phone_number",
    "birthdate",
    "updated_at",
    "puid",
];

/// Why a claim cannot stand in a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAFacet {
    /// Not a name.
    #[error("is not the name of a claim")]
    NoName,
    /// About one sign-in.
    #[error("says something of one sign-in, and nothing of the person")]
    OfTheSignIn,
    /// Each person has a value of their own.
    #[error("names one person: give them a grant instead")]
    OfOnePerson,
}

/// Whether a claim is about the sign-in and not about the person.
#[must_use]
pub fn is_of_the_sign_in(name: &str) -> bool {
    OF_THE_SIGN_IN.contains(&name) || name.starts_with("_claim_")
}

/// The key of a claim's name: its spelling, because claims are told apart by letter case (RFC 7519 §10.1.1).
///
/// # Errors
/// [`NotAFacet`].
pub fn claim_key(name: &str) -> Result<String, NotAFacet> {
    let root = name.split('.').next().unwrap_or(name);
    if is_of_the_sign_in(root) {
        return Err(NotAFacet::OfTheSignIn);
    }
    if OF_ONE_PERSON.contains(&root) {
        return Err(NotAFacet::OfOnePerson);
    }
    let whole = !name.trim().is_empty() && !name.contains('=') && !name.chars().any(char::is_control);
    if whole { Ok(name.to_owned()) } else { Err(NotAFacet::NoName) }
}
