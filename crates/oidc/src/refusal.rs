//! What a refused message broke: code, section, expected, received, advice.
//!
//! Here so that a trace can show any refusal of this room in one shape, while each module keeps an exact error enum.

use std::fmt::Display;

use thiserror::Error;

use crate::callback::CallbackError;
use crate::claims::ClaimsError;
use crate::discovery::DiscoveryError;
use crate::encoding::shown;
use crate::graph::GraphError;
use crate::id_token::IdTokenError;
use crate::jwks::JwksError;
use crate::logout_token::LogoutTokenError;
use crate::pushed_request::PushedRequestError;
use crate::token::TokenError;
use crate::userinfo::UserInfoError;

/// One broken rule, ready to be shown to an administrator. Holds no secret: no code, token, nonce or state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRule {
    /// Stable, `snake_case`; scripts may rely on it.
    pub code: &'static str,
    /// The section of the standard that was broken.
    pub section: &'static str,
    /// What an administrator can do about it.
    pub advice: &'static str,
    /// What would have passed, where that can be said.
    pub expected: Option<String>,
    /// What came, cut to a length fit for a trace.
    pub received: Option<String>,
}

impl BrokenRule {
    pub(crate) fn new(code: &'static str, section: &'static str, advice: &'static str) -> Self {
        Self { code, section, advice, expected: None, received: None }
    }

    pub(crate) fn expected(mut self, expected: impl Display) -> Self {
        self.expected = Some(shown(&expected.to_string()));
        self
    }

    pub(crate) fn received(mut self, received: impl Display) -> Self {
        self.received = Some(shown(&received.to_string()));
        self
    }
}

/// Any refusal of what comes from an OIDC provider.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The provider's metadata.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The provider's key set.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// The browser's way back.
    #[error(transparent)]
    Callback(#[from] CallbackError),
    /// The answer to a pushed request.
    #[error(transparent)]
    PushedRequest(#[from] PushedRequestError),
    /// The token endpoint's answer.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The ID token.
    #[error(transparent)]
    IdToken(#[from] IdTokenError),
    /// The UserInfo answer.
    #[error(transparent)]
    UserInfo(#[from] UserInfoError),
    /// The logout token.
    #[error(transparent)]
    LogoutToken(#[from] LogoutTokenError),
    /// Microsoft Graph's answer.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A verified claim of a shape that cannot be used.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

impl Refusal {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        match self {
            Self::Discovery(error) => error.broken(),
            Self::Jwks(error) => error.broken(),
            Self::Callback(error) => error.broken(),
            Self::PushedRequest(error) => error.broken(),
            Self::Token(error) => error.broken(),
            Self::IdToken(error) => error.broken(),
            Self::UserInfo(error) => error.broken(),
            Self::LogoutToken(error) => error.broken(),
            Self::Graph(error) => error.broken(),
            Self::Claims(error) => error.broken(),
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.broken().code
    }
}
