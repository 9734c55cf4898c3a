//! How a client proves itself to a provider (OpenID Connect Core §9): what the provider takes, and the three proofs.
//!
//! Here apart from the token endpoint, because a pushed request (RFC 9126) is proven in the same way. A secret never
//! stands in a URL, and an assertion is good at one provider, once, for two minutes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::form_urlencoded;

use crate::algorithm::SigningAlg;
use crate::certificate;
use crate::discovery::{DiscoveryError, MAX_LISTED};
use crate::encoding::{base64url, shown};
use crate::provider::{SigningKey, SigningKeyError};

/// Life of an assertion, in seconds: it is used within the second in which it was made, by clocks that differ a little.
pub const ASSERTION_LIFE_S: i64 = 120;
/// The type of an assertion (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a client proves itself at the token endpoint (OpenID Connect Core §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenAuthMethod {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
    /// `private_key_jwt`: by an assertion that a key of the client's own signed.
    PrivateKeyJwt,
}

impl TokenAuthMethod {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::Basic, Self::Post, Self::PrivateKeyJwt];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

/// What a provider's metadata says of the proofs that it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientAuthOffer {
    methods: Option<Vec<String>>,
    algs: Option<Vec<String>>,
}

impl ClientAuthOffer {
    pub(crate) fn new(methods: Option<Vec<String>>, algs: Option<Vec<String>>) -> Self {
        let bounded = |list: Option<Vec<String>>| list.map(|all| all.into_iter().take(MAX_LISTED).collect());
        Self { methods: bounded(methods), algs: bounded(algs) }
    }

    /// The method to use: the one that is wanted, or basic, or post, in the order of RFC 6749 §2.3.1. A provider that
    /// lists none takes basic (OpenID Connect Discovery 1.0 §3), and whatever somebody who knows it wants.
    ///
    /// # Errors
    /// [`DiscoveryError::NoClientAuth`] with what it offers.
    pub fn choose(&self, wanted: Option<TokenAuthMethod>) -> Result<TokenAuthMethod, DiscoveryError> {
        let Some(offered) = &self.methods else {
            return Ok(wanted.unwrap_or(TokenAuthMethod::Basic));
        };
        let acceptable: &[TokenAuthMethod] = match &wanted {
            Some(one) => std::slice::from_ref(one),
            None => &[TokenAuthMethod::Basic, TokenAuthMethod::Post],
        };
        let is_offered = |method: &&TokenAuthMethod| offered.iter().any(|name| name == method.name());
        acceptable.iter().find(is_offered).copied().ok_or_else(|| DiscoveryError::NoClientAuth {
            expected: acceptable.iter().map(|m| m.name()).collect::<Vec<_>>().join(" or "),
            received: shown(&offered.join(", ")),
        })
    }

    /// Whether assertions of that algorithm are taken; of a provider that lists none, every one may be.
    ///
    /// # Errors
    /// [`DiscoveryError::NoAssertionAlg`] with what it offers.
    pub fn require_alg(&self, alg: SigningAlg) -> Result<(), DiscoveryError> {
        match &self.algs {
            Some(offered) if !offered.iter().any(|name| name == alg.name()) => {
                Err(DiscoveryError::NoAssertionAlg { alg: alg.name(), received: shown(&offered.join(", ")) })
            }
            _ => Ok(()),
        }
    }

    /// The algorithm for a new key: ES256 where it is named, else RS256, which every provider must have
    /// (OpenID Connect Core §15.1).
    #[must_use]
    pub fn alg_for_new_key(&self) -> SigningAlg {
        let names_es256 = self.algs.as_ref().is_some_and(|all| all.iter().any(|name| name == "ES256"));
        if names_es256 { SigningAlg::Es256 } else { SigningAlg::Rs256 }
    }
}

/// What proves a client.
#[derive(Debug, Clone, Copy)]
pub enum ClientProof<'a> {
    /// A secret in the header.
    Basic(&'a SecretString),
    /// A secret in the form.
    Post(&'a SecretString),
    /// A fresh [`assertion`] in the form.
    Assertion(&'a SecretString),
}

/// Who we are at the provider.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// Our id.
    pub id: &'a str,
    /// What proves it.
    pub proof: ClientProof<'a>,
}

impl Client<'_> {
    /// Adds the proof to a form that names the client; the `Authorization` header, if it goes there.
    pub(crate) fn prove(&self, form: &mut form_urlencoded::Serializer<'_, String>) -> Option<SecretString> {
        match self.proof {
            ClientProof::Basic(secret) => return Some(basic(self.id, secret).into()),
            ClientProof::Post(secret) => {
                form.append_pair("client_secret", secret.expose_secret());
            }
            ClientProof::Assertion(assertion) => {
                form.append_pair("client_assertion_type", ASSERTION_TYPE)
                    .append_pair("client_assertion", assertion.expose_secret());
            }
        }
        None
    }

    /// Whether the form itself must name the client: with basic the header does, and some providers refuse both.
    pub(crate) const fn is_named_in_form(&self) -> bool {
        !matches!(self.proof, ClientProof::Basic(_))
    }
}

/// An assertion that `client_id` is who asks, for one audience (RFC 7523 §3). `jti` is random and never used again.
///
/// Where the key has a certificate, the header names it by `x5t` beside `kid`, and not by `x5t#S256`: a provider that reads
/// our key set would look for that member there, and Entra ID has refused headers that it does not know.
///
/// # Errors
/// [`SigningKeyError::NotSigned`].
pub fn assertion(
    (key, certificate): (&SigningKey, Option<&[u8]>),
    client_id: &str,
    audience: &str,
    (jti, now): (&[u8; 32], i64),
) -> Result<SecretString, SigningKeyError> {
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": audience, "jti": base64url(jti),
        "iat": now, "exp": now.saturating_add(ASSERTION_LIFE_S),
    });
    let mut header = key.header("JWT");
    if let (Some(der), Some(members)) = (certificate, header.as_object_mut()) {
        members.insert("x5t".to_owned(), json!(certificate::x5t(der)));
    }
    key.sign_bytes(&header, claims.to_string().as_bytes()).map(SecretString::from)
}

/// Id and secret are form-encoded before they are joined (RFC 6749 §2.3.1).
fn basic(id: &str, secret: &SecretString) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret.expose_secret()));
    format!("Basic {}", STANDARD.encode(pair))
}
