//! The UserInfo answer (OpenID Connect Core §5.3.2): only about the person of the ID token.
//!
//! Here because some providers send groups and e-mail only there. It is no signed document, so it adds claims and
//! never replaces any, and it must name the same `sub` (§5.3.4).

use serde_json::{Map, Value};
use thiserror::Error;

use crate::claims::IdentityClaims;
use crate::encoding::shown;
use crate::refusal::BrokenRule;

/// Largest answer, in bytes: 2,000 groups by UUID are about 80 KiB.
pub const MAX_USERINFO_BYTES: usize = 512 * 1024;

/// Why a UserInfo answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UserInfoError {
    /// More than [`MAX_USERINFO_BYTES`].
    #[error("the answer has {bytes} bytes")]
    TooLarge {
        /// What came.
        bytes: usize,
    },
    /// Not 200.
    #[error("userinfo answered status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Not a JSON object. Signed or encrypted answers are not asked for.
    #[error("the answer cannot be read: {why}")]
    Malformed {
        /// The parser's words.
        why: String,
    },
    /// About somebody else, or about nobody.
    #[error("userinfo speaks of another person than the id token")]
    SubjectMismatch {
        /// The ID token's.
        expected: String,
        /// The answer's, cut, or `absent`.
        received: String,
    },
}

impl UserInfoError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let section = "OIDC Core §5.3.2";
        match self {
            Self::TooLarge { bytes } => BrokenRule::new("userinfo_too_large", section, "send fewer groups")
                .expected(format!("at most {MAX_USERINFO_BYTES} bytes"))
                .received(bytes),
            Self::Status { status } => {
                BrokenRule::new("userinfo_failed", section, "look into the provider's own log")
                    .expected(200)
                    .received(status)
            }
            Self::Malformed { why } => BrokenRule::new(
                "userinfo_malformed",
                section,
                "have the provider answer UserInfo as plain JSON, neither signed nor encrypted",
            )
            .expected("plain JSON with `sub`")
            .received(why),
            Self::SubjectMismatch { expected, received } => BrokenRule::new(
                "userinfo_subject_mismatch",
                section,
                "the provider answers for another person: a cache between us and it may be wrong",
            )
            .expected(expected)
            .received(received),
        }
    }
}

/// Adds the UserInfo answer of HTTP `status` to the claims of the ID token.
///
/// # Errors
/// [`UserInfoError`].
pub fn add(claims: IdentityClaims, status: u16, body: &[u8]) -> Result<IdentityClaims, UserInfoError> {
    if status != 200 {
        return Err(UserInfoError::Status { status });
    }
    if body.len() > MAX_USERINFO_BYTES {
        return Err(UserInfoError::TooLarge { bytes: body.len() });
    }
    let answer: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| UserInfoError::Malformed { why: shown(&error.to_string()) })?;
    let received = answer.get("sub").and_then(Value::as_str);
    if received != Some(claims.sub()) {
        return Err(UserInfoError::SubjectMismatch {
            expected: shown(claims.sub()),
            received: shown(received.unwrap_or("absent")),
        });
    }
    Ok(claims.with_userinfo(answer))
}
