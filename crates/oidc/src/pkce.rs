//! Proof Key for Code Exchange with S256 (RFC 7636), for both sides.
//!
//! Here so that a code that leaks is worth nothing to whoever holds it. `plain` does not exist.

use aws_lc_rs::digest;
use secrecy::{ExposeSecret, SecretString};

use crate::encoding::{base64url, equal_in_constant_time};

/// Bounds of a verifier (RFC 7636 §4.1).
const VERIFIER_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

/// The secret half. Kept with the pending sign-in, sent with the code.
#[derive(Debug, Clone)]
pub struct CodeVerifier(SecretString);

impl CodeVerifier {
    /// A verifier of 43 characters (RFC 7636 §4.1) from 32 random bytes.
    #[must_use]
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        Self(SecretString::from(base64url(bytes)))
    }

    /// The verifier that was stored with the pending sign-in, or that a client sent; `None` if it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        (VERIFIER_CHARS.contains(&text.len()) && text.bytes().all(unreserved))
            .then(|| Self(text.to_owned().into()))
    }

    /// The public half, for the authorization request.
    #[must_use]
    pub fn challenge(&self) -> CodeChallenge {
        CodeChallenge(base64url(digest::digest(&digest::SHA256, self.0.expose_secret().as_bytes())))
    }

    /// The verifier, for storing sealed and for the token request.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// The challenge that a client sent; `None` if it is not an S256 one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = crate::encoding::parse_base64url(text)?;
        (bytes.len() == 32).then(|| Self(text.to_owned()))
    }

    /// As sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `verifier` belongs to it (RFC 7636 §4.6): the provider's side.
    #[must_use]
    pub fn is_of(&self, verifier: &CodeVerifier) -> bool {
        equal_in_constant_time(&self.0, &verifier.challenge().0)
    }
}
