//! Compact JSON Web Signatures (RFC 7515 §3.1): taking one apart, verifying it, and plain EdDSA ones for receipts.
//!
//! Here because ID tokens and receipts are the same envelope. Of a header only `alg`, `typ`, `kid` and `crit` are read:
//! `jwk`, `jku`, `x5u` and `x5c` have no field to land in, so a token cannot bring its own key (RFC 8725 §3.10).

use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;

use crate::algorithm::SigningAlg;
use crate::encoding::{from_object, parse_base64url, shown};
use crate::jwk::PublicJwk;
use crate::refusal::BrokenRule;

/// Largest compact token, in bytes: 2,000 groups by UUID are about 100 KiB.
pub const MAX_TOKEN_BYTES: usize = 256 * 1024;

/// Why an envelope is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JwsError {
    /// More than [`MAX_TOKEN_BYTES`].
    #[error("the token has {bytes} bytes")]
    TooLarge {
        /// What came.
        bytes: usize,
    },
    /// Five parts: a JWE, which is not decrypted here.
    #[error("the token is encrypted")]
    Encrypted,
    /// Not three base64url parts, or the header or payload is no JSON object.
    #[error("the token cannot be read: {why}")]
    Malformed {
        /// Which part.
        why: String,
    },
    /// `none`, HMAC, unknown, or not allowed for this use.
    #[error("`{received}` is not an allowed algorithm")]
    AlgNotAllowed {
        /// The header's `alg`, cut.
        received: String,
        /// The allowed ones.
        allowed: String,
    },
    /// A token of another kind (RFC 8725 §3.11).
    #[error("`{received}` is not the type of this token")]
    TypNotAllowed {
        /// The header's `typ`, cut, or `absent`.
        received: String,
        /// What is allowed.
        allowed: String,
    },
    /// `crit` names an extension; none is understood here (RFC 7515 §4.1.11).
    #[error("the header demands an extension")]
    CriticalHeader,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    BadSignature,
}

impl JwsError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        match self {
            Self::TooLarge { bytes } => {
                BrokenRule::new("token_too_large", "RFC 7515 §3.1", "send fewer groups in the token")
                    .expected(format!("at most {MAX_TOKEN_BYTES} bytes"))
                    .received(bytes)
            }
            Self::Encrypted => BrokenRule::new(
                "token_encrypted",
                "RFC 7516 §3.1",
                "switch ID token encryption off for this application",
            )
            .expected("a signed token of three parts")
            .received("five parts"),
            Self::Malformed { why } => {
                BrokenRule::new("token_malformed", "RFC 7515 §5.2", "the provider's answer is damaged")
                    .expected("a signed token of three parts")
                    .received(why)
            }
            Self::AlgNotAllowed { received, allowed } => BrokenRule::new(
                "alg_not_allowed",
                "RFC 8725 §3.1",
                "set the signature algorithm of this application to one of the expected ones",
            )
            .expected(allowed)
            .received(received),
            Self::TypNotAllowed { received, allowed } => BrokenRule::new(
                "typ_not_allowed",
                "RFC 8725 §3.11",
                "the provider sent a token of another kind here",
            )
            .expected(allowed)
            .received(received),
            Self::CriticalHeader => BrokenRule::new(
                "crit_not_understood",
                "RFC 7515 §4.1.11",
                "the provider must not use `crit` here",
            )
            .expected("no `crit`")
            .received("crit"),
            Self::BadSignature => BrokenRule::new(
                "signature_invalid",
                "RFC 7515 §5.2",
                "the token was changed, or another key signed it: check that the issuer is the right one",
            )
            .expected("a signature by the key of the set that fits")
            .received("one that does not verify"),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

/// A compact token taken apart, not yet verified.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    header: Header,
    signing_input: &'a str,
    signature: &'a str,
    payload: Vec<u8>,
}

impl<'a> Envelope<'a> {
    pub(crate) fn parse(compact: &'a str) -> Result<Self, JwsError> {
        if compact.len() > MAX_TOKEN_BYTES {
            return Err(JwsError::TooLarge { bytes: compact.len() });
        }
        let malformed = |why: &str| JwsError::Malformed { why: why.to_owned() };
        match compact.split('.').count() {
            3 => {}
            5 => return Err(JwsError::Encrypted),
            parts => return Err(malformed(&format!("{parts} parts instead of three"))),
        }
        let (signing_input, signature) = compact.rsplit_once('.').ok_or_else(|| malformed("no parts"))?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(|| malformed("no parts"))?;
        let header = parse_base64url(header).ok_or_else(|| malformed("the header is not base64url"))?;
        let header: Header = from_object(&header)
            .map_err(|error| malformed(&format!("header: {}", shown(&error.to_string()))))?;
        let payload = parse_base64url(payload).ok_or_else(|| malformed("the payload is not base64url"))?;
        parse_base64url(signature).ok_or_else(|| malformed("the signature is not base64url"))?;
        Ok(Self { header, signing_input, signature, payload })
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The header's algorithm, if it is one of `allowed`.
    pub(crate) fn require_alg(&self, allowed: &[SigningAlg]) -> Result<SigningAlg, JwsError> {
        SigningAlg::parse(&self.header.alg).filter(|alg| allowed.contains(alg)).ok_or_else(|| {
            JwsError::AlgNotAllowed {
                received: shown(&self.header.alg),
                allowed: crate::algorithm::names(allowed),
            }
        })
    }

    /// Media types compare without case and with `application/` left out (RFC 7515 §4.1.9).
    pub(crate) fn require_typ(&self, allowed: Typ<'_>) -> Result<(), JwsError> {
        let received = self.header.typ.as_deref().map(short_typ);
        let passes = match (&received, allowed) {
            (None, Typ::OneOrAbsent(_)) => true,
            (None, Typ::Exactly(_)) => false,
            (Some(typ), Typ::OneOrAbsent(several)) => several.iter().any(|one| *typ == short_typ(one)),
            (Some(typ), Typ::Exactly(expected)) => *typ == short_typ(expected),
        };
        if passes {
            return Ok(());
        }
        let allowed = match allowed {
            Typ::OneOrAbsent(several) => format!("{} or absent", several.join(", ")),
            Typ::Exactly(expected) => expected.to_owned(),
        };
        Err(JwsError::TypNotAllowed { received: shown(received.as_deref().unwrap_or("absent")), allowed })
    }

    pub(crate) fn require_no_critical_header(&self) -> Result<(), JwsError> {
        if self.header.crit.is_some() { Err(JwsError::CriticalHeader) } else { Ok(()) }
    }

    /// The payload, once the signature verifies with `key`.
    pub(crate) fn verify(self, key: &PublicJwk, alg: SigningAlg) -> Result<Vec<u8>, JwsError> {
        if !key.fits(alg) {
            return Err(JwsError::BadSignature);
        }
        let message = self.signing_input.as_bytes();
        match jsonwebtoken::crypto::verify(self.signature, message, &key.decoding_key(), alg.library()) {
            Ok(true) => Ok(self.payload),
            Ok(false) | Err(_) => Err(JwsError::BadSignature),
        }
    }
}

/// Which `typ` a token may have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Typ<'a> {
    /// One of these, or none at all: ID tokens, and the logout tokens of providers that are older than the standard.
    OneOrAbsent(&'a [&'a str]),
    /// This one.
    Exactly(&'a str),
}

/// The payload of a compact JWS that `key` signed with Ed25519 and that is of the kind `typ`.
///
/// # Errors
/// [`JwsError`] if shape, algorithm, type, key id or signature is not right.
pub fn verify_eddsa(key: &PublicJwk, typ: &str, compact: &str) -> Result<Vec<u8>, JwsError> {
    let envelope = Envelope::parse(compact)?;
    let alg = envelope.require_alg(&[SigningAlg::EdDsa])?;
    envelope.require_typ(Typ::Exactly(typ))?;
    envelope.require_no_critical_header()?;
    envelope.verify(key, alg)
}

/// The `kid` of a compact JWS, unverified: for choosing the key to verify with, and for nothing else.
///
/// # Errors
/// [`JwsError`] if it is no compact JWS.
pub fn find_kid(compact: &str) -> Result<Option<String>, JwsError> {
    Ok(Envelope::parse(compact)?.header.kid)
}

fn short_typ(typ: &str) -> String {
    let lower = typ.to_ascii_lowercase();
    lower.strip_prefix("application/").map(str::to_owned).unwrap_or(lower)
}
