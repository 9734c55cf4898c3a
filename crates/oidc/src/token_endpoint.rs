//! The provider at its token endpoint: the form and the client's proof that came.
//!
//! Here beside [`crate::token`], so that both sides of one message stand in one room.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

use crate::oauth_error::{ErrorCode, OAuthError};

/// Largest form, in bytes: a code, a verifier, a redirect address, an assertion.
pub const MAX_TOKEN_FORM_BYTES: usize = 64 * 1024;
/// Most parameters in it.
const MAX_PARAMETERS: usize = 50;

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
            Self::WithSecret { id, .. } | Self::Public { id } => id,
        }
    }

    /// Whether it showed `expected`; a public client never did.
    #[must_use]
    pub fn has_secret(&self, expected: &SecretString) -> bool {
        match self {
            Self::WithSecret { secret, .. } => {
                crate::encoding::equal_in_constant_time(secret.expose_secret(), expected.expose_secret())
            }
            Self::Public { .. } => false,
        }
    }
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
