//! OAuth error codes and bodies (RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1, OpenID Connect Core §3.1.2.6).
//!
//! Here because the relying party reads them and the provider writes them.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::encoding::shown;

/// A registered code; others are kept, cut, as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorCode {
    /// `invalid_request`
    InvalidRequest,
    /// `invalid_client`
    InvalidClient,
    /// `invalid_grant`
    InvalidGrant,
    /// `unauthorized_client`
    UnauthorizedClient,
    /// `unsupported_grant_type`
    UnsupportedGrantType,
    /// `unsupported_response_type`
    UnsupportedResponseType,
    /// `invalid_scope`
    InvalidScope,
    /// `access_denied`
    AccessDenied,
    /// `server_error`
    ServerError,
    /// `temporarily_unavailable`
    TemporarilyUnavailable,
    /// `login_required`
    LoginRequired,
    /// `interaction_required`
    InteractionRequired,
    /// `consent_required`
    ConsentRequired,
    /// `account_selection_required`
    AccountSelectionRequired,
    /// `invalid_token`
    InvalidToken,
    /// `insufficient_scope`
    InsufficientScope,
    /// Any other.
    Other(String),
}

impl ErrorCode {
    const REGISTERED: [Self; 16] = [
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::UnsupportedResponseType,
        Self::InvalidScope,
        Self::AccessDenied,
        Self::ServerError,
        Self::TemporarilyUnavailable,
        Self::LoginRequired,
        Self::InteractionRequired,
        Self::ConsentRequired,
        Self::AccountSelectionRequired,
        Self::InvalidToken,
        Self::InsufficientScope,
    ];

    /// Reads a code.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::REGISTERED
            .into_iter()
            .find(|code| code.as_str() == text)
            .unwrap_or_else(|| Self::Other(shown(text)))
    }

    /// As on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::LoginRequired => "login_required",
            Self::InteractionRequired => "interaction_required",
            Self::ConsentRequired => "consent_required",
            Self::AccountSelectionRequired => "account_selection_required",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// An error body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    /// The code.
    pub error: ErrorCode,
    /// Words for developers; a peer's own words are cut and never shown unescaped.
    pub description: Option<String>,
}

impl OAuthError {
    /// An error of ours.
    #[must_use]
    pub fn new(error: ErrorCode, description: &str) -> Self {
        Self { error, description: Some(description.to_owned()) }
    }

    /// Reads a body; `None` if it is not an OAuth error.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let members: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let error = ErrorCode::parse(members.get("error")?.as_str()?);
        let description = members.get("error_description").and_then(Value::as_str).map(shown);
        Some(Self { error, description })
    }

    /// The body.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.description {
            Some(description) => json!({"error": self.error.as_str(), "error_description": description}),
            None => json!({"error": self.error.as_str()}),
        }
    }
}
