//! Why a response is refused for what it says.

use thiserror::Error;

use super::MAX_AGE_S;
use crate::names::BEARER;
use crate::refusal::BrokenRule;

/// The code of an answer that nobody asked for, where none is taken.
pub const UNSOLICITED: &str = "unsolicited_refused";

/// Why a response is refused for what it says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// A request came where a response belongs.
    #[error("a `SAMLRequest` came to the assertion consumer service")]
    NotAResponse,
    /// Not SAML 2.0.
    #[error("`{element}` is of version `{received}`")]
    OtherVersion {
        /// Which element.
        element: &'static str,
        /// Its version, cut.
        received: String,
    },
    /// A time that names no instant in UTC.
    #[error("`{attribute}` is no time in utc")]
    BadInstant {
        /// Which.
        attribute: &'static str,
        /// What it says, cut, or `absent`.
        received: String,
    },
    /// Sent to another URL.
    #[error("the response is for `{received}`, not for `{expected}`")]
    DestinationMismatch {
        /// Our URL.
        expected: String,
        /// The response's, cut, or `absent`.
        received: String,
    },
    /// Of another issuer.
    #[error("the {element} is of issuer `{received}`, not `{expected}`")]
    IssuerMismatch {
        /// Response or assertion.
        element: &'static str,
        /// The connection's.
        expected: String,
        /// What came, cut.
        received: String,
    },
    /// The provider did not sign the person in.
    #[error("the provider answers with status `{status}`")]
    NotSuccessful {
        /// The status codes, cut.
        status: String,
        /// What the provider says, cut.
        message: Option<String>,
    },
    /// No request of this browser is answered by it.
    #[error("the response answers a request that this browser did not send")]
    UnknownRequest {
        /// What this browser waits for, or `no response`.
        expected: String,
        /// `InResponseTo`, cut, or `absent`.
        received: String,
    },
    /// The provider began, and the connection does not let it.
    #[error("the connection does not accept responses that nobody asked for")]
    Unsolicited,
    /// Issued further from now than [`MAX_AGE_S`] and the skew allow.
    #[error("the {element} was issued at {issued_at_s}, it is {now_s}")]
    IssuedTooFarAway {
        /// Response or assertion.
        element: &'static str,
        /// Seconds since 1970.
        issued_at_s: i64,
        /// Seconds since 1970.
        now_s: i64,
    },
    /// Not yet.
    #[error("the assertion is valid from {not_before_s}, it is {now_s}")]
    NotYetValid {
        /// Seconds since 1970.
        not_before_s: i64,
        /// Seconds since 1970.
        now_s: i64,
    },
    /// Over.
    #[error("the {what} ended at {not_on_or_after_s}, it is {now_s}")]
    Expired {
        /// Conditions, confirmation or session.
        what: &'static str,
        /// Seconds since 1970.
        not_on_or_after_s: i64,
        /// Seconds since 1970.
        now_s: i64,
    },
    /// Not for us.
    #[error("the assertion is for `{received}`, not for `{expected}`")]
    AudienceMismatch {
        /// Our entity id.
        expected: String,
        /// The audiences, cut.
        received: String,
    },
    /// No bearer confirmation.
    #[error("the assertion has no bearer confirmation")]
    NoBearerConfirmation {
        /// The methods of those that there are, cut, or `none`.
        received: String,
    },
    /// The confirmation is for another URL.
    #[error("the assertion is to be shown at `{received}`, not at `{expected}`")]
    RecipientMismatch {
        /// Our URL.
        expected: String,
        /// The recipient, cut, or `absent`.
        received: String,
    },
    /// A bearer confirmation says from when it holds, or not until when.
    #[error("the bearer confirmation has `NotBefore` or no `NotOnOrAfter`")]
    ConfirmationWindow {
        /// `NotBefore`, cut, or `absent`.
        not_before: String,
        /// `NotOnOrAfter`, cut, or `absent`.
        not_on_or_after: String,
    },
    /// The person proved themselves in another way than was asked for.
    #[error("the authentication context is `{received}`")]
    ContextMismatch {
        /// What was asked for.
        expected: String,
        /// What came, cut, or `absent`.
        received: String,
    },
    /// The person proved themselves before they were asked to.
    #[error("the person proved themselves at {authn_at_s}, and had to at {oldest_s} or later")]
    ProvenBefore {
        /// Seconds since 1970.
        oldest_s: i64,
        /// Seconds since 1970.
        authn_at_s: i64,
    },
}

impl ResponseError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        match self {
            Self::NotAResponse => BrokenRule::new(
                "message_of_other_kind",
                "SAML Bindings §3.5.4",
                "check which URL of ours the provider sends this to",
            )
            .expected("SAMLResponse")
            .received("SAMLRequest"),
            Self::OtherVersion { element, received } => {
                BrokenRule::new("version_unsupported", "SAML Core §4.1", "choose SAML 2.0 at the provider")
                    .expected(format!("2.0 in {element}"))
                    .received(received)
            }
            Self::BadInstant { attribute, received } => {
                BrokenRule::new("time_invalid", "SAML Core §1.3.3", "the provider must send times in UTC")
                    .expected(format!("{attribute} in UTC, such as 2027-01-31T12:00:00Z"))
                    .received(received)
            }
            Self::DestinationMismatch { .. } | Self::RecipientMismatch { .. } => self.other_place(),
            Self::IssuerMismatch { element: _, expected, received } => {
                differing("issuer_mismatch", "SAML Core §2.2.5", "check the provider's entity id in the connection, byte for byte", expected, received)
            }
            Self::NotSuccessful { status, message } => BrokenRule::new(
                "status_not_success",
                "SAML Core §3.2.2.2",
                "look for this sign-in in the provider's log: the person may not be assigned to the application",
            )
            .expected("Success")
            .received(message.as_ref().map_or_else(|| status.clone(), |message| format!("{status}: {message}"))),
            Self::UnknownRequest { expected, received } => {
                let advice = "begin the sign-in again, in one browser and within ten minutes";
                differing("in_response_to_mismatch", "SAML Profiles §4.1.4.3", advice, expected, received)
            }
            Self::Unsolicited => BrokenRule::new(
                UNSOLICITED,
                "SAML Profiles §4.1.5",
                "begin at the sign-in URL of the connection, or let the provider begin by the switch of the connection",
            )
            .expected("the answer to a request of this browser")
            .received("no InResponseTo"),
            Self::AudienceMismatch { expected, received } => {
                differing("audience_mismatch", "SAML Core §2.5.1.4", "give the provider our entity id of this connection as the audience", expected, received)
            }
            Self::NoBearerConfirmation { received } => BrokenRule::new(
                "bearer_confirmation_missing",
                "SAML Profiles §4.1.4.2",
                "the provider must confirm the subject as bearer",
            )
            .expected(BEARER)
            .received(received),
            Self::ConfirmationWindow { not_before, not_on_or_after } => BrokenRule::new(
                "confirmation_window_invalid",
                "SAML Profiles §4.1.4.2",
                "the provider must send `NotOnOrAfter` and no `NotBefore` in `SubjectConfirmationData`",
            )
            .expected("NotOnOrAfter, and no NotBefore")
            .received(format!("NotOnOrAfter {not_on_or_after}, NotBefore {not_before}")),
            Self::ContextMismatch { expected, received } => {
                differing("authn_context_mismatch", "SAML Core §3.3.2.2.1", "have the provider ask for the second factor, or ask for another context", expected, received)
            }
            Self::ProvenBefore { oldest_s, authn_at_s } => BrokenRule::new(
                "authn_instant_too_old",
                "SAML Core §3.4.1",
                "have the provider honour `ForceAuthn` and say in `AuthnInstant` when the person proved themselves; where it \
                 does, the request was changed on its way: have requests signed, and the provider take no others",
            )
            .expected(format!("AuthnInstant at {oldest_s} or later"))
            .received(authn_at_s),
            Self::IssuedTooFarAway { .. } | Self::NotYetValid { .. } | Self::Expired { .. } => self.other_time(),
        }
    }

    fn other_place(&self) -> BrokenRule {
        let advice = "give the provider the assertion consumer service URL of this connection, byte for byte";
        match self {
            Self::RecipientMismatch { expected, received } => {
                differing("recipient_mismatch", "SAML Profiles §4.1.4.2", advice, expected, received)
            }
            Self::DestinationMismatch { expected, received } => {
                differing("destination_mismatch", "SAML Bindings §3.5.5.2", advice, expected, received)
            }
            _ => BrokenRule::new("response_refused", "SAML Profiles §4.1.4", advice),
        }
    }

    fn other_time(&self) -> BrokenRule {
        let clock = "set both clocks by NTP, and sign in again";
        match self {
            Self::IssuedTooFarAway { issued_at_s, now_s, .. } => {
                BrokenRule::new("issued_too_far_away", "SAML Core §3.2.2", clock)
                    .expected(format!("issued within {MAX_AGE_S} seconds before {now_s}"))
                    .received(issued_at_s)
            }
            Self::NotYetValid { not_before_s, now_s } => {
                BrokenRule::new("not_yet_valid", "SAML Core §2.5.1.2", clock)
                    .expected(format!("NotBefore before {now_s}"))
                    .received(not_before_s)
            }
            Self::Expired { not_on_or_after_s, now_s, what } => {
                BrokenRule::new("assertion_expired", "SAML Core §2.5.1.2", clock)
                    .expected(format!("a {what} that ends after {now_s}"))
                    .received(not_on_or_after_s)
            }
            _ => BrokenRule::new("response_refused", "SAML Profiles §4.1.4", clock),
        }
    }
}

fn differing(
    code: &'static str,
    section: &'static str,
    advice: &'static str,
    expected: &str,
    received: &str,
) -> BrokenRule {
    BrokenRule::new(code, section, advice).expected(expected).received(received)
}
