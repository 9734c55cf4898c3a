//! The browser's way back: the first three checks, in their order, before any code leaves this room.
//!
//! Here so that a code is only ever obtained from an answer whose state and issuer were right: mix-up
//! (RFC 9700 §4.4) and login CSRF end here.

use secrecy::SecretString;
use thiserror::Error;
use url::form_urlencoded;

use crate::discovery::IssParameter;
use crate::encoding::shown;
use crate::oauth_error::ErrorCode;
use crate::refusal::BrokenRule;
use crate::request::State;

/// Largest query or form of a callback, in bytes: codes of real providers stay below 4 KiB.
pub const MAX_CALLBACK_BYTES: usize = 16 * 1024;

/// Why an answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallbackError {
    /// More than [`MAX_CALLBACK_BYTES`].
    #[error("the answer has {bytes} bytes")]
    TooLarge {
        /// What came.
        bytes: usize,
    },
    /// A parameter came twice (RFC 6749 §3.1).
    #[error("`{name}` came more than once")]
    Duplicate {
        /// The parameter.
        name: &'static str,
    },
    /// `state` is absent or not the stored one.
    #[error("the state is not the one of this sign-in")]
    StateMismatch,
    /// The sign-in was begun at another connection.
    #[error("the sign-in was begun at another connection")]
    ConnectionMismatch {
        /// Where it was begun.
        expected: String,
        /// Where the answer came.
        received: String,
    },
    /// `iss` is not the connection's issuer.
    #[error("the answer is of issuer `{received}`, not `{expected}`")]
    IssuerMismatch {
        /// The connection's issuer.
        expected: String,
        /// The answer's.
        received: String,
    },
    /// The provider promises `iss` and the answer has none.
    #[error("the answer has no `iss`")]
    IssuerMissing {
        /// The connection's issuer.
        expected: String,
    },
    /// The provider refused. The description is the provider's text: show it only escaped, and only to administrators.
    #[error("the provider answered `{error}`")]
    Provider {
        /// The provider's code.
        error: ErrorCode,
        /// The provider's words, cut.
        description: Option<String>,
    },
    /// Neither `code` nor `error`.
    #[error("the answer has no code")]
    CodeMissing,
}

impl CallbackError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        match self {
            Self::TooLarge { bytes } => {
                BrokenRule::new("callback_too_large", "RFC 6749 §4.1.2", "the provider's answer is too long")
                    .expected(format!("at most {MAX_CALLBACK_BYTES} bytes"))
                    .received(bytes)
            }
            Self::Duplicate { name } => BrokenRule::new(
                "callback_duplicate",
                "RFC 6749 §3.1",
                "somebody added to the provider's answer",
            )
            .expected("each parameter once")
            .received(format!("{name} twice")),
            Self::StateMismatch => BrokenRule::new(
                "state_mismatch",
                "RFC 6749 §10.12",
                "begin the sign-in again in this browser; a page that was open for long, or a second tab, does this",
            ),
            Self::ConnectionMismatch { expected, received } => BrokenRule::new(
                "connection_mismatch",
                "RFC 9700 §4.4.2",
                "each connection has a redirect address of its own: give the provider this one's",
            )
            .expected(expected)
            .received(received),
            Self::IssuerMismatch { expected, received } => BrokenRule::new(
                "issuer_mismatch",
                "RFC 9207 §2.4",
                "another provider answered: somebody may be mixing up two of them",
            )
            .expected(expected)
            .received(received),
            Self::IssuerMissing { expected } => BrokenRule::new(
                "issuer_missing",
                "RFC 9207 §2.4",
                "the provider's metadata promises `iss` in its answers; have it send one",
            )
            .expected(expected)
            .received("absent"),
            Self::Provider { error, description } => BrokenRule::new(
                "provider_error",
                "RFC 6749 §4.1.2.1",
                "look into the provider's own log; often the person is not assigned to the application",
            )
            .expected("code")
            .received(match description {
                Some(description) => format!("{error}: {description}"),
                None => error.to_string(),
            }),
            Self::CodeMissing => {
                BrokenRule::new("code_missing", "RFC 6749 §4.1.2", "the provider must answer with a code")
                    .expected("code")
                    .received("absent")
            }
        }
    }
}

/// What was stored when the sign-in began, and where its answer came in.
#[derive(Debug, Clone)]
pub struct PendingSignIn<'a> {
    /// The stored value; the caller has deleted it, as it is used once.
    pub state: &'a State,
    /// The connection at which the sign-in began.
    pub connection: &'a str,
    /// The connection whose redirect address was called.
    pub called_connection: &'a str,
    /// The connection's issuer.
    pub issuer: &'a str,
    /// What the provider promises about `iss`.
    pub iss_parameter: IssParameter,
}

/// The provider's answer as the browser carried it; nothing of it is believed yet.
#[derive(Debug, Clone, Default)]
pub struct Callback {
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    code: Option<SecretString>,
}

impl Callback {
    /// Reads a query (without `?`) or a `form_post` body. Unknown parameters are let pass (RFC 6749 §4.1.2).
    ///
    /// # Errors
    /// Too long, or one of its own parameters twice.
    pub fn parse(query: &str) -> Result<Self, CallbackError> {
        if query.len() > MAX_CALLBACK_BYTES {
            return Err(CallbackError::TooLarge { bytes: query.len() });
        }
        let mut callback = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            let first = match name.as_ref() {
                "state" => callback.state.replace(value).is_none().then_some(()).ok_or("state"),
                "iss" => callback.iss.replace(value).is_none().then_some(()).ok_or("iss"),
                "error" => callback.error.replace(value).is_none().then_some(()).ok_or("error"),
                "code" => callback.code.replace(value.into()).is_none().then_some(()).ok_or("code"),
                "error_description" => {
                    callback.error_description = Some(value);
                    Ok(())
                }
                _ => Ok(()),
            };
            first.map_err(|name| CallbackError::Duplicate { name })?;
        }
        Ok(callback)
    }

    /// The state, unverified: for finding the pending sign-in in the browser's own cookie, and for nothing else.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The code, once state, connection and issuer are right and the provider did not refuse.
    ///
    /// # Errors
    /// [`CallbackError`], the first check that fails.
    pub fn verify(self, pending: &PendingSignIn<'_>) -> Result<SecretString, CallbackError> {
        if !self.state.as_deref().is_some_and(|received| pending.state.matches(received)) {
            return Err(CallbackError::StateMismatch);
        }
        if pending.connection != pending.called_connection {
            return Err(CallbackError::ConnectionMismatch {
                expected: shown(pending.connection),
                received: shown(pending.called_connection),
            });
        }
        self.require_issuer(pending)?;
        if let Some(error) = self.error {
            return Err(CallbackError::Provider {
                error: ErrorCode::parse(&error),
                description: self.error_description.as_deref().map(shown),
            });
        }
        self.code.ok_or(CallbackError::CodeMissing)
    }

    fn require_issuer(&self, pending: &PendingSignIn<'_>) -> Result<(), CallbackError> {
        let expected = shown(pending.issuer);
        match (self.iss.as_deref(), pending.iss_parameter) {
            (Some(received), _) if received == pending.issuer => Ok(()),
            (Some(received), _) => Err(CallbackError::IssuerMismatch { expected, received: shown(received) }),
            (None, IssParameter::Promised) => Err(CallbackError::IssuerMissing { expected }),
            (None, IssParameter::NotPromised) => Ok(()),
        }
    }
}
