//! The provider at its token endpoint: the form and the client's proof that came.
//!
//! Here beside [`crate::token`], so that both sides of one message stand in one room.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

use crate::algorithm::SigningAlg;
use crate::client_auth::ASSERTION_TYPE;
use crate::id_token::{parse_claims, require_times};
use crate::jwks::KeySet;
use crate::jws::{Envelope, Typ};
use crate::oauth_error::{ErrorCode, OAuthError};

/// Largest form, in bytes: a code, a verifier, a redirect address, an assertion.
pub const MAX_TOKEN_FORM_BYTES: usize = 64 * 1024;
/// Most parameters in it.
const MAX_PARAMETERS: usize = 50;
/// Longest life of a client's assertion, in seconds.
const MAX_ASSERTION_LIFE_S: i64 = 300;

/// How the client proved itself.
#[derive(Debug, Clone)]
pub enum PresentedClient {
    /// `client_secret_basic` or `client_secret_post`.
    WithSecret {
        /// The id.
        id: String,
        /// To be compared in constant time.
        secret: SecretString,
    },
    /// `private_key_jwt`.
    WithAssertion {
        /// The id.
        id: String,
        /// To be verified by [`verify_assertion`].
        assertion: SecretString,
    },
    /// A public client.
    Public {
        /// The id.
        id: String,
    },
}

impl PresentedClient {
    /// The id, unproven.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::WithSecret { id, .. } | Self::WithAssertion { id, .. } | Self::Public { id } => id,
        }
    }

    /// Whether it showed `expected`; one without a secret never did.
    #[must_use]
    pub fn has_secret(&self, expected: &SecretString) -> bool {
        match self {
            Self::WithSecret { secret, .. } => {
                crate::encoding::equal_in_constant_time(secret.expose_secret(), expected.expose_secret())
            }
            Self::WithAssertion { .. } | Self::Public { .. } => false,
        }
    }
}

/// Verifies a client's assertion (RFC 7523 §3) with the keys that the client publishes: what names it, good once.
///
/// # Errors
/// `invalid_client`.
pub fn verify_assertion(
    assertion: &SecretString,
    keys: &KeySet,
    (client_id, audiences): (&str, &[&str]),
    now: i64,
) -> Result<String, OAuthError> {
    let refused = |why: &str| OAuthError::new(ErrorCode::InvalidClient, why);
    let envelope = Envelope::parse(assertion.expose_secret()).map_err(|e| refused(&e.to_string()))?;
    let alg = envelope.require_alg(&SigningAlg::ALL).map_err(|e| refused(&e.to_string()))?;
    envelope.require_typ(Typ::OneOrAbsent(&["JWT"])).map_err(|e| refused(&e.to_string()))?;
    let key = keys.find(envelope.kid(), alg).map_err(|e| refused(&e.to_string()))?;
    let payload = envelope.verify(key, alg).map_err(|e| refused(&e.to_string()))?;
    let claims = parse_claims(&payload).map_err(|e| refused(&e.to_string()))?;
    let text = |name: &str| claims.get(name).and_then(|value| value.as_str());
    if text("iss") != Some(client_id) || text("sub") != Some(client_id) {
        return Err(refused("the assertion is of another client"));
    }
    if !text("aud").is_some_and(|aud| audiences.contains(&aud)) {
        return Err(refused("the assertion is for another audience"));
    }
    let (expires_at, _) = require_times(&claims, now).map_err(|e| refused(&e.to_string()))?;
    if expires_at > now.saturating_add(MAX_ASSERTION_LIFE_S) {
        return Err(refused("the assertion lives for too long"));
    }
    text("jti").filter(|jti| !jti.is_empty()).map(str::to_owned).ok_or_else(|| refused("there is no `jti`"))
}

/// A request to the token endpoint (RFC 6749 §4.1.3), also of the introspection endpoint's shape.
#[derive(Debug)]
pub struct TokenForm {
    /// Who asks.
    pub client: PresentedClient,
    parameters: Vec<(String, SecretString)>,
}

impl TokenForm {
    /// Reads header and body.
    ///
    /// # Errors
    /// `invalid_request` for an unreadable or doubled parameter or two proofs at once (RFC 6749 §2.3),
    /// `invalid_client` where there is no client.
    pub fn parse(authorization: Option<&str>, body: &[u8]) -> Result<Self, OAuthError> {
        let invalid = |why: &str| OAuthError::new(ErrorCode::InvalidRequest, why);
        if body.len() > MAX_TOKEN_FORM_BYTES {
            return Err(invalid("the form is too long"));
        }
        let mut parameters: Vec<(String, SecretString)> = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            if parameters.len() >= MAX_PARAMETERS {
                return Err(invalid("the form has too many parameters"));
            }
            if parameters.iter().any(|(seen, _)| *seen == name) {
                return Err(invalid("a parameter came twice"));
            }
            parameters.push((name.into_owned(), value.into_owned().into()));
        }
        let client = presented_client(authorization, &parameters)?;
        Ok(Self { client, parameters })
    }

    /// A parameter's value; an empty one counts as absent (RFC 6749 §3.2).
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        find(&self.parameters, name)
    }
}

fn find<'a>(parameters: &'a [(String, SecretString)], name: &str) -> Option<&'a str> {
    let (_, value) = parameters.iter().find(|(own, _)| own == name)?;
    Some(value.expose_secret()).filter(|value| !value.is_empty())
}

fn presented_client(
    authorization: Option<&str>,
    parameters: &[(String, SecretString)],
) -> Result<PresentedClient, OAuthError> {
    let (id, secret) = (find(parameters, "client_id"), find(parameters, "client_secret"));
    let unknown = || OAuthError::new(ErrorCode::InvalidClient, "the client did not prove itself");
    if let Some(assertion) = find(parameters, "client_assertion") {
        if authorization.is_some() || secret.is_some() {
            return Err(OAuthError::new(ErrorCode::InvalidRequest, "the client proved itself in two ways"));
        }
        let typed = find(parameters, "client_assertion_type") == Some(ASSERTION_TYPE);
        let id = id.filter(|_| typed).ok_or_else(unknown)?.to_owned();
        return Ok(PresentedClient::WithAssertion { id, assertion: assertion.to_owned().into() });
    }
    match (authorization, id, secret) {
        (Some(_), _, Some(_)) => {
            Err(OAuthError::new(ErrorCode::InvalidRequest, "the client proved itself in two ways"))
        }
        (Some(header), id, None) => {
            let client = parse_basic(header).ok_or_else(unknown)?;
            if id.is_some_and(|id| id != client.id()) { Err(unknown()) } else { Ok(client) }
        }
        (None, Some(id), Some(secret)) => {
            Ok(PresentedClient::WithSecret { id: id.to_owned(), secret: secret.to_owned().into() })
        }
        (None, Some(id), None) => Ok(PresentedClient::Public { id: id.to_owned() }),
        (None, None, _) => Err(unknown()),
    }
}

/// `Basic` with both halves form-encoded (RFC 6749 §2.3.1).
fn parse_basic(header: &str) -> Option<PresentedClient> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some(PresentedClient::WithSecret { id: form_decoded(id)?, secret: form_decoded(secret)?.into() })
}

fn form_decoded(text: &str) -> Option<String> {
    let pair = format!("value={}", text.replace('&', "%26"));
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
}
