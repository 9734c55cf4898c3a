//! A provider's key set, bounded, and the choice of the one key that may verify a token.
//!
//! Here so that the choice is made from the set alone: the header's `kid` is a look-up string and nothing else of the
//! header has a say (RFC 8725 §3.10). *Unknown kid* is an error of its own, because the caller may fetch the set again
//! (a few times a minute at most) and keep the last good one meanwhile.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::algorithm::SigningAlg;
use crate::encoding::{from_object, shown};
use crate::jwk::{PublicJwk, UnusableKey};
use crate::refusal::BrokenRule;

/// Most keys in a set; real ones hold two to ten.
pub const MAX_KEYS: usize = 100;
/// Largest key set, in bytes; with certificate chains real ones stay below 50 KiB.
pub const MAX_JWKS_BYTES: usize = 512 * 1024;

/// Why a key set, or a key of it, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JwksError {
    /// More than [`MAX_JWKS_BYTES`].
    #[error("the key set has {bytes} bytes")]
    TooLarge {
        /// What came.
        bytes: usize,
    },
    /// More than [`MAX_KEYS`].
    #[error("the key set has {keys} keys")]
    TooManyKeys {
        /// What came.
        keys: usize,
    },
    /// Not an object with an array `keys`.
    #[error("the key set cannot be read: {why}")]
    Malformed {
        /// The parser's words.
        why: String,
    },
    /// No key in it may verify a signature.
    #[error("the key set has no usable key")]
    NoUsableKey {
        /// Members that were left out.
        ignored: usize,
    },
    /// No key has this id: fetch the set again.
    #[error("no key has the id `{kid}`")]
    UnknownKid {
        /// The header's `kid`, cut.
        kid: String,
        /// Those of the set, cut.
        known: String,
    },
    /// The token names no key and no key of the set fits its algorithm.
    #[error("no key of the set fits `{alg}`")]
    NoKeyFits {
        /// The token's algorithm.
        alg: &'static str,
        /// How many keys there are.
        keys: usize,
    },
    /// The named key has another type, curve, use or algorithm.
    #[error("the key `{kid}` may not verify `{alg}`")]
    KeyUnfit {
        /// The header's `kid`, cut.
        kid: String,
        /// The token's algorithm.
        alg: &'static str,
    },
    /// Several keys fit and the token names none (OIDC Core §10.1).
    #[error("{keys} keys fit and the token does not say which")]
    Ambiguous {
        /// How many fit.
        keys: usize,
    },
}

impl JwksError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let shrink = "ask the provider to publish only keys in use";
        let rotate = "wait a minute and try again; if it stays, the provider signs with a key that it does not publish";
        match self {
            Self::TooLarge { bytes } => BrokenRule::new("jwks_too_large", "RFC 7517 §5", shrink)
                .expected(format!("at most {MAX_JWKS_BYTES} bytes"))
                .received(bytes),
            Self::TooManyKeys { keys } => BrokenRule::new("jwks_too_many_keys", "RFC 7517 §5", shrink)
                .expected(format!("at most {MAX_KEYS} keys"))
                .received(keys),
            Self::Malformed { why } => {
                BrokenRule::new("jwks_malformed", "RFC 7517 §5", "open the provider's `jwks_uri` and look at it")
                    .expected("a JSON object with the list `keys`")
                    .received(why)
            }
            Self::NoUsableKey { ignored } => BrokenRule::new(
                "jwks_no_usable_key",
                "RFC 7517 §5",
                "the provider must publish an RSA key of 2048 bits or more, P-256, P-384 or Ed25519, for signatures",
            )
            .expected("a key that may verify")
            .received(format!("{ignored} keys that cannot be used")),
            Self::UnknownKid { kid, known } => BrokenRule::new("unknown_kid", "OIDC Core §10.1.1", rotate)
                .expected(format!("a kid of the set: {known}"))
                .received(kid),
            Self::NoKeyFits { alg, keys } => BrokenRule::new("no_key_fits", "OIDC Core §10.1", rotate)
                .expected(format!("a key for {alg}"))
                .received(format!("{keys} keys for other algorithms")),
            Self::KeyUnfit { kid, alg } => BrokenRule::new(
                "key_unfit",
                "RFC 8725 §3.1",
                "the token's algorithm and the named key do not belong together",
            )
            .expected(format!("a key for {alg}"))
            .received(kid),
            Self::Ambiguous { keys } => BrokenRule::new(
                "kid_required",
                "OIDC Core §10.1",
                "the provider publishes several keys and must name one in the token",
            )
            .expected("kid")
            .received(format!("none, and {keys} keys fit")),
        }
    }
}

/// The usable keys of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<PublicJwk>,
    unfit_kids: Vec<String>,
    ignored: Vec<UnusableKey>,
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set. Symmetric, short and unknown keys are left out; see [`KeySet::ignored`].
    ///
    /// # Errors
    /// [`JwksError`] if it is too large, unreadable, or nothing in it is usable (keep the last good set then).
    pub fn parse(body: &[u8]) -> Result<Self, JwksError> {
        if body.len() > MAX_JWKS_BYTES {
            return Err(JwksError::TooLarge { bytes: body.len() });
        }
        let raw: RawSet =
            from_object(body).map_err(|error| JwksError::Malformed { why: shown(&error.to_string()) })?;
        if raw.keys.len() > MAX_KEYS {
            return Err(JwksError::TooManyKeys { keys: raw.keys.len() });
        }
        let mut set = Self { keys: Vec::new(), unfit_kids: Vec::new(), ignored: Vec::new() };
        for value in &raw.keys {
            match PublicJwk::from_value(value) {
                Ok(key) => set.keys.push(key),
                Err(why) => {
                    set.unfit_kids.extend(value.get("kid").and_then(Value::as_str).map(str::to_owned));
                    set.ignored.push(why);
                }
            }
        }
        if set.keys.is_empty() {
            return Err(JwksError::NoUsableKey { ignored: set.ignored.len() });
        }
        Ok(set)
    }

    /// The usable keys.
    #[must_use]
    pub fn keys(&self) -> &[PublicJwk] {
        &self.keys
    }

    /// Why members of the set were left out.
    #[must_use]
    pub fn ignored(&self) -> &[UnusableKey] {
        &self.ignored
    }

    /// The one key that may verify a token of this header.
    ///
    /// # Errors
    /// [`JwksError::UnknownKid`] when fetching again may help; the others say why no key is right.
    pub fn find(&self, kid: Option<&str>, alg: SigningAlg) -> Result<&PublicJwk, JwksError> {
        let mut fitting = self.keys.iter().filter(|key| key.fits(alg) && (kid.is_none() || key.kid() == kid));
        match (fitting.next(), fitting.count()) {
            (Some(key), 0) => Ok(key),
            (Some(_), more) => Err(JwksError::Ambiguous { keys: more + 1 }),
            (None, _) => Err(self.why_none(kid, alg)),
        }
    }

    fn why_none(&self, kid: Option<&str>, alg: SigningAlg) -> JwksError {
        let Some(kid) = kid else {
            return JwksError::NoKeyFits { alg: alg.name(), keys: self.keys.len() };
        };
        let known = self.keys.iter().any(|key| key.kid() == Some(kid))
            || self.unfit_kids.iter().any(|unfit| unfit == kid);
        if known {
            JwksError::KeyUnfit { kid: shown(kid), alg: alg.name() }
        } else {
            let known: Vec<&str> = self.keys.iter().filter_map(PublicJwk::kid).collect();
            JwksError::UnknownKid { kid: shown(kid), known: shown(&known.join(", ")) }
        }
    }
}
