//! Pushed authorization requests (RFC 9126): the request goes to the provider directly, and the browser takes only its
//! name along.
//!
//! Here so that what the browser carries cannot be read or changed on the way, where a provider wants it so.

use secrecy::SecretString;
use serde::Deserialize;
use thiserror::Error;
use url::{Url, form_urlencoded};

use crate::client_auth::Client;
use crate::discovery::{DiscoveryError, ProviderMetadata};
use crate::encoding::{from_object, shown};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::refusal::BrokenRule;
use crate::request::AuthorizationRequest;

/// Largest answer, in bytes: a URI and a number.
pub const MAX_PUSHED_ANSWER_BYTES: usize = 16 * 1024;
/// Longest `request_uri`, in bytes: it travels in a URL.
pub const MAX_REQUEST_URI_BYTES: usize = 1_024;

/// Why the answer to a pushed request is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PushedRequestError {
    /// More than [`MAX_PUSHED_ANSWER_BYTES`].
    #[error("the answer has {bytes} bytes")]
    TooLarge {
        /// What came.
        bytes: usize,
    },
    /// The provider refused (RFC 9126 §2.3).
    #[error("the provider answered `{error}` to a pushed request")]
    Refused {
        /// The code.
        error: ErrorCode,
        /// The provider's words, cut; show them escaped.
        description: Option<String>,
    },
    /// Neither 201 nor an OAuth error.
    #[error("the provider answered a pushed request with status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Not JSON, or without a usable `request_uri`.
    #[error("the answer to a pushed request cannot be used: {why}")]
    Malformed {
        /// What is wrong.
        why: String,
    },
}

impl PushedRequestError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let section = "RFC 9126 §2.2";
        let damaged = "the provider answers pushed requests wrongly; look into its log";
        match self {
            Self::TooLarge { bytes } => BrokenRule::new("pushed_answer_too_large", section, damaged)
                .expected(format!("at most {MAX_PUSHED_ANSWER_BYTES} bytes"))
                .received(bytes),
            Self::Refused { error, description } => BrokenRule::new(
                "pushed_request_refused",
                "RFC 9126 §2.3",
                match error {
                    ErrorCode::InvalidClient => "check how the connection proves itself: `oidc.client_auth`",
                    _ => "check that the redirect address is registered exactly so, and look into the provider's log",
                },
            )
            .expected("request_uri")
            .received(match description {
                Some(description) => format!("{error}: {description}"),
                None => error.to_string(),
            }),
            Self::Status { status } => BrokenRule::new("pushed_request_failed", section, damaged)
                .expected(201)
                .received(status),
            Self::Malformed { why } => {
                BrokenRule::new("pushed_answer_malformed", section, damaged)
                    .expected("request_uri and expires_in")
                    .received(why)
            }
        }
    }
}

/// A request ready to be pushed as POST of [`crate::token::FORM_CONTENT_TYPE`].
#[derive(Debug)]
pub struct PushedRequest {
    /// Where, and nowhere else: redirects are not followed.
    pub url: Url,
    /// The `Authorization` header, with `client_secret_basic`.
    pub authorization: Option<SecretString>,
    /// The form.
    pub body: SecretString,
}

impl PushedRequest {
    /// Pushes what `request` says, proven as at the token endpoint (RFC 9126 §2.1).
    ///
    /// # Errors
    /// [`DiscoveryError::NoPushedRequests`] if the provider has no address for it.
    pub fn of(
        request: &AuthorizationRequest<'_>,
        metadata: &ProviderMetadata,
        client: Client<'_>,
    ) -> Result<Self, DiscoveryError> {
        let url = metadata.require_pushed_request_endpoint()?.clone();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(request.parameters());
        let authorization = client.prove(&mut form);
        Ok(Self { url, authorization, body: form.finish().into() })
    }
}

/// The provider's name for a request that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    request_uri: String,
}

#[derive(Deserialize)]
struct RawAnswer {
    request_uri: Option<String>,
}

impl Pushed {
    /// Reads the answer of HTTP `status`. How long the name is good is the provider's to hold: the browser leaves at once.
    ///
    /// # Errors
    /// [`PushedRequestError`].
    pub fn parse(status: u16, body: &[u8]) -> Result<Self, PushedRequestError> {
        if body.len() > MAX_PUSHED_ANSWER_BYTES {
            return Err(PushedRequestError::TooLarge { bytes: body.len() });
        }
        // RFC 9126 wants 201; some providers answer 200.
        if status != 201 && status != 200 {
            return Err(match OAuthError::parse(body) {
                Some(refused) => {
                    PushedRequestError::Refused { error: refused.error, description: refused.description }
                }
                None => PushedRequestError::Status { status },
            });
        }
        let malformed = |why: &str| PushedRequestError::Malformed { why: shown(why) };
        let raw: RawAnswer = from_object(body).map_err(|error| malformed(&error.to_string()))?;
        let request_uri = raw.request_uri.ok_or_else(|| malformed("there is no `request_uri`"))?;
        let fits = (1..=MAX_REQUEST_URI_BYTES).contains(&request_uri.len());
        if !fits || !request_uri.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed(&format!(
                "`request_uri` is not 1 to {MAX_REQUEST_URI_BYTES} visible bytes"
            )));
        }
        Ok(Self { request_uri })
    }

    /// The URL to send the browser to: the client's id and the name of the request, and nothing else (RFC 9126 §4).
    #[must_use]
    pub fn url(&self, metadata: &ProviderMetadata, client_id: &str) -> Url {
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("client_id", client_id)
            .append_pair("request_uri", &self.request_uri);
        url
    }
}
