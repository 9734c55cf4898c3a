//! Bearer secrets: how they look, and the hash that is kept of them (invariant I7).
//!
//! `pc_<kind>_<48 hexadecimal digits><8 digits of checksum>`: 192 bits of randomness, a prefix that secret scanners
//! know, and a checksum that tells a typo from an ended token without asking the database.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::Random;
use crate::token::TokenKind;

const RANDOM_BYTES: usize = 24;
const DIGITS: usize = RANDOM_BYTES * 2;
const CHECKSUM_DIGITS: usize = 8;

/// A secret that lets its bearer act. Shown once, never stored, never printed.
#[derive(Clone)]
pub struct TokenSecret(SecretString);

/// What is kept of a secret: 64 hexadecimal digits of its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretHash(String);

/// Why a text cannot be a secret of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a secret of this server: wrong prefix, length or checksum")]
pub struct NotASecret;

impl TokenSecret {
    /// A new secret of that kind.
    #[must_use]
    pub fn fresh(kind: TokenKind, random: &mut dyn Random) -> Self {
        let mut bytes = [0_u8; RANDOM_BYTES];
        random.fill(&mut bytes);
        let body = format!("pc_{}_{}", kind.prefix(), hex::encode(bytes));
        let checksum = crc32fast::hash(body.as_bytes());
        Self(SecretString::from(format!("{body}{checksum:08x}")))
    }

    /// A presented text, if it can be a secret at all.
    ///
    /// # Errors
    /// [`NotASecret`] if prefix, length or checksum are wrong.
    pub fn parse(text: &str) -> Result<(TokenKind, Self), NotASecret> {
        let (prefix, digits) = text.strip_prefix("pc_").and_then(|r| r.rsplit_once('_')).ok_or(NotASecret)?;
        let kind = TokenKind::ALL.into_iter().find(|k| k.prefix() == prefix).ok_or(NotASecret)?;
        let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if digits.len() != DIGITS + CHECKSUM_DIGITS || !digits.bytes().all(plain) {
            return Err(NotASecret);
        }
        let (body, checksum) = text.split_at_checked(text.len() - CHECKSUM_DIGITS).ok_or(NotASecret)?;
        if format!("{:08x}", crc32fast::hash(body.as_bytes())) != checksum {
            return Err(NotASecret);
        }
        Ok((kind, Self(SecretString::from(text.to_owned()))))
    }

    /// The text itself, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.0.expose_secret())
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(…)")
    }
}

impl SecretHash {
    /// The hash of a text that is a secret of another shape, such as the root token.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
        Self(hex::encode(digest))
    }

    /// A hash that was stored.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether two hashes are the same, in time that does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.0.as_bytes(), other.0.as_bytes()).into()
    }
}
