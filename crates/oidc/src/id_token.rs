//! The ID token: algorithm, type, key, signature, then every claim that ties it to this sign-in.
//!
//! Here as one function, because the order is part of the rule: nothing of the payload is looked at before the
//! signature verified, and [`IdentityClaims`] comes only from its end (OpenID Connect Core §3.1.3.7).

use aws_lc_rs::digest;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::algorithm::SigningAlg;
use crate::claims::IdentityClaims;
use crate::encoding::{base64url, equal_in_constant_time, shown};
use crate::issuer::{self, ENTRA_CONSUMER_TENANT, IssuerKind};
use crate::jwks::{JwksError, KeySet};
use crate::jws::{Envelope, JwsError, Typ};
use crate::refusal::BrokenRule;
use crate::request::Nonce;

/// How far a provider's clock may be from ours, in seconds; five minutes are the most that the field agrees on.
pub const MAX_CLOCK_SKEW_S: i64 = 300;
/// How long after `exp` a token still passes, in seconds. Less than the skew: an ID token is used within the second in
/// which it was issued, so only a provider whose tokens live for a minute could ever need it.
pub const MAX_EXPIRY_LEEWAY_S: i64 = 60;
/// Longest subject, in characters (OpenID Connect Core §2).
pub const MAX_SUBJECT_CHARS: usize = 255;
/// Most audiences in one token.
pub const MAX_AUDIENCES: usize = 20;

/// Why an ID token is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdTokenError {
    /// Envelope, algorithm, type or signature.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// No key for it; [`JwksError::UnknownKid`] asks for the set to be fetched again.
    #[error(transparent)]
    Key(#[from] JwksError),
    /// A required claim is absent or of a wrong type.
    #[error("the claim `{name}` is missing or of a wrong type")]
    BadClaim {
        /// The claim.
        name: &'static str,
        /// What it is instead, or `absent`.
        received: &'static str,
    },
    /// Of another issuer.
    #[error("the token is of issuer `{received}`, not `{expected}`")]
    IssuerMismatch {
        /// The connection's issuer.
        expected: String,
        /// The token's, cut.
        received: String,
    },
    /// An Entra token of another tenant than the issuer's.
    #[error("the token is of tenant `{received}`, not `{expected}`")]
    TenantMismatch {
        /// The tenant of the issuer.
        expected: String,
        /// The token's `tid`, cut.
        received: String,
    },
    /// Not for us.
    #[error("the token is for `{received}`, not for `{expected}`")]
    AudienceMismatch {
        /// Our client id.
        expected: String,
        /// The token's audiences, cut.
        received: String,
    },
    /// For others beside us whom nobody trusts.
    #[error("the token is also for `{received}`")]
    AudienceUntrusted {
        /// Our client id.
        expected: String,
        /// The other audience, cut.
        received: String,
    },
    /// Issued to another client.
    #[error("the token was issued to `{received}`, not to `{expected}`")]
    AuthorizedPartyMismatch {
        /// Our client id.
        expected: String,
        /// The token's `azp`, cut, or `absent`.
        received: String,
    },
    /// Over.
    #[error("the token expired at {expired_at}, it is {now}")]
    Expired {
        /// Seconds since 1970.
        expired_at: i64,
        /// Seconds since 1970.
        now: i64,
    },
    /// Issued further from now than [`MAX_CLOCK_SKEW_S`], in the past or the future.
    #[error("the token was issued at {issued_at}, it is {now}")]
    IssuedTooFarAway {
        /// Seconds since 1970.
        issued_at: i64,
        /// Seconds since 1970.
        now: i64,
    },
    /// Not yet.
    #[error("the token is valid from {not_before}, it is {now}")]
    NotYetValid {
        /// Seconds since 1970.
        not_before: i64,
        /// Seconds since 1970.
        now: i64,
    },
    /// Not of this request: replayed or injected.
    #[error("the nonce is not the one of this sign-in")]
    NonceMismatch,
    /// The person proved themselves longer ago than was asked for.
    #[error("the authentication is older than {max_age_s} seconds")]
    AuthenticationTooOld {
        /// What was asked for, in seconds.
        max_age_s: u32,
        /// The token's `auth_time`, if any.
        authenticated_at: Option<i64>,
    },
    /// The person did not prove themselves anew.
    #[error("the authentication is older than the sign-in that asked for it")]
    NotProvenAnew {
        /// When they were sent there to do so, less what clocks may differ: seconds since 1970.
        oldest: i64,
        /// The token's `auth_time`, if any.
        authenticated_at: Option<i64>,
    },
    /// The person proved themselves in another way than was asked for.
    #[error("the authentication is of class `{received}`, not `{expected}`")]
    AuthenticationClassMismatch {
        /// What was asked for.
        expected: String,
        /// The token's `acr`, cut, or `absent`.
        received: String,
    },
    /// The access token is another one than the provider issued with it.
    #[error("the access token does not belong to the id token")]
    AccessTokenHashMismatch,
    /// Empty, longer than [`MAX_SUBJECT_CHARS`], or not printable ASCII.
    #[error("the subject has {chars} characters or is not ascii")]
    BadSubject {
        /// Its length.
        chars: usize,
    },
}

impl IdTokenError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let section = "OIDC Core §3.1.3.7";
        let clock = "set both clocks by NTP";
        match self {
            Self::Jws(error) => error.broken(),
            Self::Key(error) => error.broken(),
            Self::BadClaim { name, received } => {
                BrokenRule::new("claim_missing", "OIDC Core §2", "the provider must send this claim")
                    .expected(name)
                    .received(received)
            }
            Self::IssuerMismatch { expected, received } => {
                let advice = "configure the issuer exactly as the provider writes it into tokens";
                differing("issuer_mismatch", advice, expected, received)
            }
            Self::TenantMismatch { expected, received } => {
                differing("tenant_mismatch", "the person signed in to another tenant", expected, received)
            }
            Self::AudienceMismatch { expected, received } => {
                differing("audience_mismatch", "check the client id of the connection", expected, received)
            }
            Self::AuthorizedPartyMismatch { expected, received } => {
                differing("azp_mismatch", "the token was issued to another application", expected, received)
            }
            Self::AudienceUntrusted { expected, received } => {
                let advice = "have the provider issue a token for this application only";
                differing("audience_untrusted", advice, expected, received)
            }
            Self::BadSubject { chars } => BrokenRule::new(
                "subject_invalid",
                "OIDC Core §2",
                "configure the provider to send a stable ASCII id as `sub`",
            )
            .expected(format!("1 to {MAX_SUBJECT_CHARS} printable ASCII characters"))
            .received(format!("{chars} characters")),
            Self::NonceMismatch => {
                let advice = "begin the sign-in again; a replayed answer does this";
                BrokenRule::new("nonce_mismatch", section, advice)
            }
            Self::AccessTokenHashMismatch => {
                let advice = "somebody exchanged the access token";
                BrokenRule::new("at_hash_mismatch", "OIDC Core §3.1.3.8", advice)
            }
            Self::Expired { expired_at, now } => BrokenRule::new("token_expired", section, clock)
                .expected(format!("exp after {}", now - MAX_EXPIRY_LEEWAY_S))
                .received(expired_at),
            Self::IssuedTooFarAway { issued_at, now } => BrokenRule::new("iat_out_of_range", section, clock)
                .expected(format!("iat within {MAX_CLOCK_SKEW_S} seconds of {now}"))
                .received(issued_at),
            Self::NotYetValid { not_before, now } => {
                BrokenRule::new("token_not_yet_valid", "RFC 7519 §4.1.5", clock)
                    .expected(format!("nbf before {}", now + MAX_CLOCK_SKEW_S))
                    .received(not_before)
            }
            Self::AuthenticationClassMismatch { expected, received } => {
                let advice =
                    "have the provider honour `acr_values` and send `acr`, or change `oidc.acr_values`";
                differing("acr_mismatch", advice, expected, received)
            }
            Self::AuthenticationTooOld { max_age_s, authenticated_at } => {
                let advice = "the provider must honour `max_age`";
                let expected = format!("auth_time at most {max_age_s} seconds ago");
                proven_before("authentication_too_old", advice, &expected, *authenticated_at)
            }
            Self::NotProvenAnew { oldest, authenticated_at } => {
                let advice = "the provider must honour `prompt=login` and send `auth_time`, or `oidc.prompt` be changed";
                let expected = format!("auth_time at {oldest} or later");
                proven_before("not_proven_anew", advice, &expected, *authenticated_at)
            }
        }
    }

    /// Whether the provider's keys should be fetched again: it signed with one that the set at hand has not. One without a
    /// name, or with that of the key before, is known by its signature alone.
    #[must_use]
    pub const fn is_unknown_key(&self) -> bool {
        matches!(
            self,
            Self::Key(JwksError::UnknownKid { .. } | JwksError::NoKeyFits { .. })
                | Self::Jws(JwsError::BadSignature)
        )
    }
}

fn proven_before(
    code: &'static str,
    advice: &'static str,
    expected: &str,
    authenticated_at: Option<i64>,
) -> BrokenRule {
    let received = authenticated_at.map_or_else(|| "absent".to_owned(), |at| at.to_string());
    differing(code, advice, expected, &received)
}

fn differing(code: &'static str, advice: &'static str, expected: &str, received: &str) -> BrokenRule {
    BrokenRule::new(code, "OIDC Core §3.1.3.7", advice).expected(expected).received(received)
}

/// What a token has to agree with.
#[derive(Debug, Clone, Copy)]
pub struct IdTokenRules<'a> {
    /// The connection's issuer.
    pub issuer: &'a str,
    /// Our client id.
    pub client_id: &'a str,
    /// Other audiences that may stand beside ours; normally none.
    pub trusted_audiences: &'a [&'a str],
    /// Allowed algorithms: [`crate::discovery::ProviderMetadata::id_token_algs`], or fewer.
    pub algs: &'a [SigningAlg],
    /// The stored nonce of this sign-in.
    pub nonce: &'a Nonce,
    /// The access token that came with it, for `at_hash`.
    pub access_token: &'a str,
    /// The `max_age` of the request, if it had one.
    pub max_age_s: Option<u32>,
    /// When the person was sent to prove themselves anew, if they were: seconds since 1970.
    pub proven_since: Option<i64>,
    /// The `acr_values` of the request: one of them must have been used. None asks for nothing.
    pub acr_values: &'a [String],
    /// The time: seconds since 1970, UTC.
    pub now: i64,
}

/// Verifies an ID token. The only road to [`IdentityClaims`].
///
/// # Errors
/// [`IdTokenError`], the first check that fails, in the order algorithm, type, key, signature, `iss`, `aud`, `azp`,
/// `exp`, `iat`, `nbf`, `nonce`, `auth_time`, `acr`, `at_hash`, `sub`.
pub fn verify(token: &str, keys: &KeySet, rules: &IdTokenRules<'_>) -> Result<IdentityClaims, IdTokenError> {
    let envelope = Envelope::parse(token)?;
    let alg = envelope.require_alg(rules.algs)?;
    envelope.require_typ(Typ::OneOrAbsent(&["JWT"]))?;
    envelope.require_no_critical_header()?;
    let key = keys.find(envelope.kid(), alg)?;
    let payload = envelope.verify(key, alg)?;
    let claims = parse_claims(&payload)?;
    require_issuer(&claims, rules.issuer)?;
    require_audience(&claims, rules.client_id, rules.trusted_audiences)?;
    require_times(&claims, rules.now)?;
    require_nonce(&claims, rules)?;
    require_authentication_age(&claims, rules)?;
    require_authentication_class(&claims, rules)?;
    require_access_token_hash(&claims, rules, alg)?;
    let subject = require_subject(&claims)?.to_owned();
    Ok(IdentityClaims::from_verified(rules.issuer.to_owned(), subject, claims))
}

pub(crate) fn parse_claims(payload: &[u8]) -> Result<Map<String, Value>, JwsError> {
    serde_json::from_slice(payload)
        .map_err(|error| JwsError::Malformed { why: format!("payload: {}", shown(&error.to_string())) })
}

fn text<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, IdTokenError> {
    let value = claims.get(name);
    value.and_then(Value::as_str).ok_or(bad_claim(name, value))
}

/// What a value is, without its content.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn bad_claim(name: &'static str, value: Option<&Value>) -> IdTokenError {
    IdTokenError::BadClaim { name, received: value.map_or("absent", kind_of) }
}

pub(crate) fn require_issuer(claims: &Map<String, Value>, expected: &str) -> Result<(), IdTokenError> {
    let received = text(claims, "iss")?;
    if !issuer::is_same(expected, received) {
        return Err(IdTokenError::IssuerMismatch { expected: shown(expected), received: shown(received) });
    }
    let IssuerKind::Entra { tenant_id } = IssuerKind::of(expected) else {
        return Ok(());
    };
    match claims.get("tid").and_then(Value::as_str) {
        Some(tid) if !tid.eq_ignore_ascii_case(&tenant_id) || tenant_id == ENTRA_CONSUMER_TENANT => {
            Err(IdTokenError::TenantMismatch { expected: tenant_id, received: shown(tid) })
        }
        _ => Ok(()),
    }
}

pub(crate) fn require_audience(
    claims: &Map<String, Value>,
    client_id: &str,
    trusted_audiences: &[&str],
) -> Result<(), IdTokenError> {
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) if several.len() <= MAX_AUDIENCES => several
            .iter()
            .map(|one| one.as_str().ok_or(bad_claim("aud", Some(one))))
            .collect::<Result<_, _>>()?,
        other => return Err(bad_claim("aud", other)),
    };
    if !audiences.contains(&client_id) {
        return Err(IdTokenError::AudienceMismatch {
            expected: shown(client_id),
            received: shown(&audiences.join(", ")),
        });
    }
    let stranger = audiences.iter().find(|one| **one != client_id && !trusted_audiences.contains(one));
    if let Some(stranger) = stranger {
        return Err(IdTokenError::AudienceUntrusted {
            expected: shown(client_id),
            received: shown(stranger),
        });
    }
    let azp = claims.get("azp");
    let mismatch = |received: &str| IdTokenError::AuthorizedPartyMismatch {
        expected: shown(client_id),
        received: shown(received),
    };
    match azp {
        Some(Value::String(azp)) if azp == client_id => Ok(()),
        Some(Value::String(azp)) => Err(mismatch(azp)),
        Some(_) => Err(bad_claim("azp", azp)),
        None if audiences.len() > 1 => Err(mismatch("absent")),
        None => Ok(()),
    }
}

/// `exp`, `iat` and `nbf` against the time; the first two, in seconds since 1970.
pub(crate) fn require_times(claims: &Map<String, Value>, now: i64) -> Result<(i64, i64), IdTokenError> {
    let expired_at = instant(claims, "exp")?.ok_or(bad_claim("exp", None))?;
    if expired_at <= now.saturating_sub(MAX_EXPIRY_LEEWAY_S) {
        return Err(IdTokenError::Expired { expired_at, now });
    }
    let issued_at = instant(claims, "iat")?.ok_or(bad_claim("iat", None))?;
    if issued_at.abs_diff(now) > MAX_CLOCK_SKEW_S.unsigned_abs() {
        return Err(IdTokenError::IssuedTooFarAway { issued_at, now });
    }
    match instant(claims, "nbf")? {
        Some(not_before) if not_before > now.saturating_add(MAX_CLOCK_SKEW_S) => {
            Err(IdTokenError::NotYetValid { not_before, now })
        }
        _ => Ok((expired_at, issued_at)),
    }
}

/// A `NumericDate` (RFC 7519 §2): whole or broken seconds, as a JSON number.
fn instant(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, IdTokenError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    if let Some(whole) = value.as_i64() {
        return Ok(Some(whole));
    }
    let broken = value.as_f64().filter(|seconds| seconds.is_finite()).map(f64::floor);
    // A float beyond i64 saturates; it stays far in the past or the future, as it was meant.
    broken.map(|seconds| Some(seconds as i64)).ok_or(bad_claim(name, Some(value)))
}

fn require_nonce(claims: &Map<String, Value>, rules: &IdTokenRules<'_>) -> Result<(), IdTokenError> {
    match claims.get("nonce") {
        Some(Value::String(received)) if rules.nonce.matches(received) => Ok(()),
        _ => Err(IdTokenError::NonceMismatch),
    }
}

fn require_authentication_age(
    claims: &Map<String, Value>,
    rules: &IdTokenRules<'_>,
) -> Result<(), IdTokenError> {
    if rules.max_age_s.is_none() && rules.proven_since.is_none() {
        return Ok(());
    }
    let authenticated_at = instant(claims, "auth_time")?;
    let is_since =
        |moment: i64| authenticated_at.is_some_and(|at| at >= moment.saturating_sub(MAX_CLOCK_SKEW_S));
    let too_old = |max_age_s: &u32| !is_since(rules.now.saturating_sub(i64::from(*max_age_s)));
    if let Some(max_age_s) = rules.max_age_s.filter(too_old) {
        return Err(IdTokenError::AuthenticationTooOld { max_age_s, authenticated_at });
    }
    match rules.proven_since {
        Some(since) if !is_since(since) => {
            let oldest = since.saturating_sub(MAX_CLOCK_SKEW_S);
            Err(IdTokenError::NotProvenAnew { oldest, authenticated_at })
        }
        _ => Ok(()),
    }
}

fn require_authentication_class(
    claims: &Map<String, Value>,
    rules: &IdTokenRules<'_>,
) -> Result<(), IdTokenError> {
    let received = claims.get("acr").and_then(Value::as_str);
    if rules.acr_values.is_empty() || received.is_some_and(|acr| rules.acr_values.iter().any(|a| a == acr)) {
        return Ok(());
    }
    Err(IdTokenError::AuthenticationClassMismatch {
        expected: shown(&rules.acr_values.join(", ")),
        received: shown(received.unwrap_or("absent")),
    })
}

fn require_access_token_hash(
    claims: &Map<String, Value>,
    rules: &IdTokenRules<'_>,
    alg: SigningAlg,
) -> Result<(), IdTokenError> {
    match claims.get("at_hash") {
        None => Ok(()),
        Some(Value::String(received))
            if equal_in_constant_time(received, &access_token_hash(alg, rules.access_token)) =>
        {
            Ok(())
        }
        Some(_) => Err(IdTokenError::AccessTokenHashMismatch),
    }
}

/// The left half of the hash, base64url (OpenID Connect Core §3.1.3.6).
pub(crate) fn access_token_hash(alg: SigningAlg, access_token: &str) -> String {
    let hash = digest::digest(alg.digest(), access_token.as_bytes());
    let bytes = hash.as_ref();
    base64url(bytes.get(..bytes.len() / 2).unwrap_or_default())
}

pub(crate) fn require_subject(claims: &Map<String, Value>) -> Result<&str, IdTokenError> {
    let subject = text(claims, "sub")?;
    let chars = subject.chars().count();
    let printable = subject.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if (1..=MAX_SUBJECT_CHARS).contains(&chars) && printable {
        Ok(subject)
    } else {
        Err(IdTokenError::BadSubject { chars })
    }
}
