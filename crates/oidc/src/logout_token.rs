//! The logout token: a provider's word that a session, or every session of a person, is over.
//!
//! Here beside the ID token because it is the same envelope with other claims, checked in the same order. It must not
//! pass for one, nor one for it: an event stands in it, and never a nonce (OpenID Connect Back-Channel Logout 1.0 §2.4,
//! §2.6).

use serde_json::{Map, Value};
use thiserror::Error;

use crate::algorithm::SigningAlg;
use crate::id_token::{
    IdTokenError, MAX_CLOCK_SKEW_S, MAX_EXPIRY_LEEWAY_S, kind_of, parse_claims, require_audience,
    require_issuer, require_subject, require_times,
};
use crate::jwks::{JwksError, KeySet};
use crate::jws::{Envelope, JwsError, Typ};
use crate::refusal::BrokenRule;

/// The member of `events` that makes a token one of logout.
pub const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The type that a logout token should name.
pub const LOGOUT_TYP: &str = "logout+jwt";
/// Longest `jti` and `sid`, in bytes; providers use a few dozen.
pub const MAX_ID_BYTES: usize = 1_024;

/// Why a logout token is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LogoutTokenError {
    /// What every token of the provider has to agree with: envelope, key, issuer, audience, times, subject.
    #[error(transparent)]
    Token(#[from] IdTokenError),
    /// `events` is absent, or does not say that a session is over.
    #[error("the token says nothing of a logout")]
    EventMissing,
    /// A `nonce` is in it: it may be an ID token.
    #[error("the token has a nonce")]
    NoncePresent,
    /// `jti` or `sid` is empty, too long or no text, or there is no `jti`.
    #[error("the claim `{name}` is missing or cannot be used")]
    BadId {
        /// The claim.
        name: &'static str,
        /// Its length in bytes, what it is instead of a text, or `absent`.
        received: String,
    },
    /// Neither `sub` nor `sid`.
    #[error("the token names neither a person nor a session")]
    NobodyNamed,
}

impl LogoutTokenError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let section = "OIDC Back-Channel Logout §2.4";
        match self {
            Self::Token(error) => error.broken(),
            Self::EventMissing => BrokenRule::new(
                "logout_event_missing",
                section,
                "the provider must send a logout token to this address, and no other token",
            )
            .expected(format!("events with `{LOGOUT_EVENT}`"))
            .received("none of that name"),
            Self::NoncePresent => BrokenRule::new(
                "logout_nonce_present",
                section,
                "an ID token is no logout token: somebody may be trying to pass one off",
            )
            .expected("no nonce")
            .received("a nonce"),
            Self::BadId { name, received } => {
                BrokenRule::new("logout_id_invalid", section, "the provider must name each logout token and session")
                    .expected(format!("{name} of 1 to {MAX_ID_BYTES} bytes"))
                    .received(received)
            }
            Self::NobodyNamed => BrokenRule::new(
                "logout_nobody_named",
                section,
                "have the provider send `sid` or `sub`: the setting is often called that a session is required",
            )
            .expected("sub or sid")
            .received("neither"),
        }
    }

    /// Whether the provider's keys should be fetched again: it signed with one that the set at hand has not.
    #[must_use]
    pub const fn is_unknown_key(&self) -> bool {
        matches!(self, Self::Token(error) if error.is_unknown_key())
    }
}

impl From<JwsError> for LogoutTokenError {
    fn from(error: JwsError) -> Self {
        Self::Token(error.into())
    }
}

impl From<JwksError> for LogoutTokenError {
    fn from(error: JwksError) -> Self {
        Self::Token(error.into())
    }
}

/// What a logout token has to agree with.
#[derive(Debug, Clone, Copy)]
pub struct LogoutTokenRules<'a> {
    /// The connection's issuer.
    pub issuer: &'a str,
    /// Our client id.
    pub client_id: &'a str,
    /// Allowed algorithms: those of ID tokens (§2.6).
    pub algs: &'a [SigningAlg],
    /// The time: seconds since 1970, UTC.
    pub now: i64,
}

/// What a verified logout token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logout {
    /// Its name, good once.
    pub jti: String,
    /// Whose sessions are over; with `sid`, whose session it is.
    pub subject: Option<String>,
    /// Which session of the provider is over; all of the subject's where it is absent.
    pub session_id: Option<String>,
    /// Until when the token could pass a second time, in seconds since 1970.
    pub replay_until_s: i64,
}

/// Verifies a logout token. The only road to a [`Logout`]; whether its `jti` was used is for the caller to ask.
///
/// # Errors
/// [`LogoutTokenError`], the first check that fails, in the order algorithm, type, key, signature, `iss`, `aud`, `azp`,
/// `exp`, `iat`, `nbf`, `events`, `nonce`, `jti`, `sub`, `sid`.
pub fn verify(token: &str, keys: &KeySet, rules: &LogoutTokenRules<'_>) -> Result<Logout, LogoutTokenError> {
    let envelope = Envelope::parse(token)?;
    let alg = envelope.require_alg(rules.algs)?;
    envelope.require_typ(Typ::OneOrAbsent(&[LOGOUT_TYP, "JWT"]))?;
    envelope.require_no_critical_header()?;
    let key = keys.find(envelope.kid(), alg)?;
    let claims = parse_claims(&envelope.verify(key, alg)?)?;
    require_issuer(&claims, rules.issuer)?;
    require_audience(&claims, rules.client_id, &[])?;
    let (expires_at, issued_at) = require_times(&claims, rules.now)?;
    require_event(&claims)?;
    if claims.contains_key("nonce") {
        return Err(LogoutTokenError::NoncePresent);
    }
    let jti = id(&claims, "jti")?.ok_or_else(|| bad_id("jti", "absent".to_owned()))?;
    let subject = match claims.get("sub") {
        Some(_) => Some(require_subject(&claims)?.to_owned()),
        None => None,
    };
    let session_id = id(&claims, "sid")?;
    if subject.is_none() && session_id.is_none() {
        return Err(LogoutTokenError::NobodyNamed);
    }
    let by_exp = expires_at.saturating_add(MAX_EXPIRY_LEEWAY_S);
    let by_iat = issued_at.saturating_add(MAX_CLOCK_SKEW_S);
    // Both rules are about whole seconds: one more, so that it is never forgotten while it passes.
    let replay_until_s = by_exp.min(by_iat).saturating_add(1);
    Ok(Logout { jti, subject, session_id, replay_until_s })
}

/// The event's own value is an object, empty as a rule.
fn require_event(claims: &Map<String, Value>) -> Result<(), LogoutTokenError> {
    let event = claims.get("events").and_then(Value::as_object).and_then(|events| events.get(LOGOUT_EVENT));
    if event.is_some_and(Value::is_object) { Ok(()) } else { Err(LogoutTokenError::EventMissing) }
}

fn id(claims: &Map<String, Value>, name: &'static str) -> Result<Option<String>, LogoutTokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if (1..=MAX_ID_BYTES).contains(&text.len()) => Ok(Some(text.clone())),
        Some(Value::String(text)) => Err(bad_id(name, format!("{} bytes", text.len()))),
        Some(other) => Err(bad_id(name, kind_of(other).to_owned())),
    }
}

fn bad_id(name: &'static str, received: String) -> LogoutTokenError {
    LogoutTokenError::BadId { name, received }
}
