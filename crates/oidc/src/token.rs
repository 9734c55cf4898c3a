//! The relying party at the token endpoint: the form that it sends and the answer that it reads.
//!
//! Here so that the code goes only to the endpoint that was discovered for its connection, with the verifier and the
//! same redirect address (RFC 6749 §4.1.3, RFC 7636 §4.5).

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;
use url::{Url, form_urlencoded};

use crate::client_auth::Client;
use crate::discovery::ProviderMetadata;
use crate::encoding::{from_object, shown};
use crate::oauth_error::{ErrorCode, OAuthError};
use crate::pkce::CodeVerifier;
use crate::refusal::BrokenRule;

/// Largest answer, in bytes: room for the largest ID token and two more tokens.
pub const MAX_TOKEN_RESPONSE_BYTES: usize = 1024 * 1024;
/// The request's media type.
pub const FORM_CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// Why the token endpoint's answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// More than [`MAX_TOKEN_RESPONSE_BYTES`].
    #[error("the answer has {bytes} bytes")]
    TooLarge {
        /// What came.
        bytes: usize,
    },
    /// The provider refused (RFC 6749 §5.2).
    #[error("the token endpoint answered `{error}`")]
    Refused {
        /// The code.
        error: ErrorCode,
        /// The provider's words, cut; show them escaped.
        description: Option<String>,
    },
    /// Neither 200 nor an OAuth error.
    #[error("the token endpoint answered status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Not JSON, or a member of a wrong type.
    #[error("the answer cannot be read: {why}")]
    Malformed {
        /// The parser's words, which hold no token.
        why: String,
    },
    /// A required member is absent.
    #[error("the answer has no `{name}`")]
    Missing {
        /// The member.
        name: &'static str,
    },
    /// Not a bearer token.
    #[error("the access token is of type `{received}`")]
    TokenType {
        /// What came, cut.
        received: String,
    },
}

impl TokenError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let damaged = "the provider's token endpoint answers wrongly; look into its log";
        match self {
            Self::TooLarge { bytes } => {
                BrokenRule::new("token_response_too_large", "RFC 6749 §5.1", "send fewer groups in the token")
                    .expected(format!("at most {MAX_TOKEN_RESPONSE_BYTES} bytes"))
                    .received(bytes)
            }
            Self::Refused { error, description } => BrokenRule::new(
                "token_refused",
                "RFC 6749 §5.2",
                match error {
                    ErrorCode::InvalidClient => "check client id and secret (with `private_key_jwt`, that the provider reads our key set); a secret may have expired",
                    ErrorCode::InvalidGrant => {
                        "check that the redirect address is registered exactly so; then try again"
                    }
                    _ => "look into the provider's own log",
                },
            )
            .expected("tokens")
            .received(match description {
                Some(description) => format!("{error}: {description}"),
                None => error.to_string(),
            }),
            Self::Status { status } => BrokenRule::new("token_endpoint_failed", "RFC 6749 §5.1", damaged)
                .expected(200)
                .received(status),
            Self::Malformed { why } => {
                BrokenRule::new("token_response_malformed", "RFC 6749 §5.1", damaged)
                    .expected("a JSON object")
                    .received(why)
            }
            Self::Missing { name } => BrokenRule::new(
                "token_response_incomplete",
                "OIDC Core §3.1.3.3",
                "the application at the provider must be of OpenID Connect, with the scope `openid`",
            )
            .expected(name)
            .received("absent"),
            Self::TokenType { received } => {
                BrokenRule::new("token_type_not_bearer", "OIDC Core §3.1.3.3", damaged)
                    .expected("Bearer")
                    .received(received)
            }
        }
    }
}

/// A request ready to be sent as POST of [`FORM_CONTENT_TYPE`].
#[derive(Debug)]
pub struct TokenRequest {
    /// Where, and nowhere else: redirects are not followed.
    pub url: Url,
    /// The `Authorization` header, with `client_secret_basic`.
    pub authorization: Option<SecretString>,
    /// The form.
    pub body: SecretString,
}

impl TokenRequest {
    /// Exchanges `code` (RFC 6749 §4.1.3). `redirect_uri` is the one of the authorization request.
    #[must_use]
    pub fn for_code(
        metadata: &ProviderMetadata,
        client: Client<'_>,
        code: &SecretString,
        verifier: &CodeVerifier,
        redirect_uri: &str,
    ) -> Self {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code.expose_secret())
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("code_verifier", verifier.expose());
        Self::proven(metadata, client, form)
    }

    /// Asks for an access token of the client's own (RFC 6749 §4.4), for what that scope names.
    #[must_use]
    pub fn for_client(metadata: &ProviderMetadata, client: Client<'_>, scope: &str) -> Self {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials").append_pair("scope", scope);
        Self::proven(metadata, client, form)
    }

    fn proven(
        metadata: &ProviderMetadata,
        client: Client<'_>,
        mut form: form_urlencoded::Serializer<'_, String>,
    ) -> Self {
        if client.is_named_in_form() {
            form.append_pair("client_id", client.id);
        }
        let authorization = client.prove(&mut form);
        Self { url: metadata.token_endpoint.clone(), authorization, body: form.finish().into() }
    }
}

/// The answer to a code. Nothing of it is verified yet.
#[derive(Debug)]
pub struct TokenResponse {
    /// To be verified by [`crate::id_token::verify`].
    pub id_token: SecretString,
    /// For UserInfo, and for `at_hash`.
    pub access_token: SecretString,
    /// Life of the access token, in seconds, if the provider says it.
    pub expires_in_s: Option<u64>,
    /// Kept only where a connection asks for it.
    pub refresh_token: Option<SecretString>,
    /// Granted scope, if it differs from the one asked for.
    pub scope: Option<String>,
}

#[derive(Deserialize)]
struct RawResponse {
    id_token: Option<SecretString>,
    access_token: Option<SecretString>,
    token_type: Option<String>,
    expires_in: Option<serde_json::Value>,
    refresh_token: Option<SecretString>,
    scope: Option<String>,
}

impl TokenResponse {
    /// Reads the answer of HTTP `status`.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn parse(status: u16, body: &[u8]) -> Result<Self, TokenError> {
        if body.len() > MAX_TOKEN_RESPONSE_BYTES {
            return Err(TokenError::TooLarge { bytes: body.len() });
        }
        if status != 200 {
            return Err(match OAuthError::parse(body) {
                Some(refused) => {
                    TokenError::Refused { error: refused.error, description: refused.description }
                }
                None => TokenError::Status { status },
            });
        }
        let raw: RawResponse = from_object(body).map_err(|error| TokenError::Malformed {
            why: format!("{:?} error at column {}", error.classify(), error.column()),
        })?;
        let token_type = raw.token_type.ok_or(TokenError::Missing { name: "token_type" })?;
        if !token_type.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::TokenType { received: shown(&token_type) });
        }
        Ok(Self {
            id_token: raw.id_token.ok_or(TokenError::Missing { name: "id_token" })?,
            access_token: raw.access_token.ok_or(TokenError::Missing { name: "access_token" })?,
            expires_in_s: raw.expires_in.and_then(|value| {
                value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
            }),
            refresh_token: raw.refresh_token,
            scope: raw.scope,
        })
    }
}
