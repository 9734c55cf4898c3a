//! The authentication request: where the browser is sent, and what the answer has to name.
//!
//! Here so that the id, the destination and the place of the answer cannot be left out (SAML Core §3.4.1,
//! SAML Profiles §4.1.4.1).

use thiserror::Error;

use crate::binding::{Binding, MessageKind, Outgoing};
use crate::draft::{Draft, Way, attribute, text};
use crate::key::OwnKey;
use crate::names as n;
use crate::time;

/// Longest relay state that we send, in bytes (SAML Bindings §3.4.3).
pub const MAX_OWN_RELAY_STATE_BYTES: usize = 80;

/// Why a message of ours cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The endpoint is no URL of `https:` or `http:`.
    #[error("the endpoint is no url")]
    BadEndpoint,
    /// Longer than [`MAX_OWN_RELAY_STATE_BYTES`].
    #[error("the relay state has {bytes} bytes, 80 at most")]
    RelayStateTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A text that XML cannot hold.
    #[error("`{name}` has a character that xml does not have")]
    Unwritable {
        /// Which text.
        name: &'static str,
    },
    /// The key did not sign.
    #[error("the key does not sign")]
    NotSigned,
}

/// The id of a message of ours: single use, unguessable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageId(String);

impl MessageId {
    /// A fresh id from 20 random bytes (SAML Core §1.3.4 asks for 128 bits at least).
    #[must_use]
    pub fn from_random(bytes: &[u8; 20]) -> Self {
        Self(format!("_{}", hex::encode(bytes)))
    }

    /// The id that was stored with the pending sign-in.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The id as it stands in the message.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the person must prove themselves again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// A running session at the provider is enough.
    Any,
    /// `ForceAuthn`: step-up.
    Forced,
}

/// An authentication request.
#[derive(Debug, Clone, Copy)]
pub struct AuthnRequest<'a> {
    /// Its id.
    pub id: &'a MessageId,
    /// The time: seconds since 1970, UTC.
    pub now_s: i64,
    /// Our entity id for this connection.
    pub sp_entity_id: &'a str,
    /// Where the answer is to be posted, exactly as our metadata says.
    pub acs_url: &'a str,
    /// The provider's endpoint.
    pub destination: &'a str,
    /// Whether the person must prove themselves again.
    pub authentication: Authentication,
    /// Authentication contexts of which one is asked for, exactly; none asked for if empty.
    pub contexts: &'a [String],
}

/// Makes the request ready for the browser: in a query with a detached signature, or in a form with one inside.
///
/// # Errors
/// [`RequestError`].
pub fn send(
    request: &AuthnRequest<'_>,
    binding: Binding,
    relay_state: Option<&str>,
    signer: Option<&OwnKey>,
) -> Result<Outgoing, RequestError> {
    require_short(relay_state)?;
    let destination = request.destination;
    let way = Way { kind: MessageKind::Request, binding, destination, relay_state };
    draft(request)?.send(&way, signer)
}

/// What we make up ourselves stays below the bound of the standard.
pub(crate) fn require_short(relay_state: Option<&str>) -> Result<(), RequestError> {
    match relay_state.map(str::len) {
        Some(bytes) if bytes > MAX_OWN_RELAY_STATE_BYTES => Err(RequestError::RelayStateTooLong { bytes }),
        _ => Ok(()),
    }
}

fn draft(request: &AuthnRequest<'_>) -> Result<Draft, RequestError> {
    let forced = match request.authentication {
        Authentication::Any => None,
        Authentication::Forced => Some("true"),
    };
    let head = format!(
        "<samlp:AuthnRequest xmlns:samlp=\"{}\" xmlns:saml=\"{}\"{}{}{} Version=\"2.0\"{}{}{}><saml:Issuer>{}</saml:Issuer>",
        n::PROTOCOL,
        n::ASSERTION,
        attribute("ID", Some(request.id.as_str()))?,
        attribute("IssueInstant", Some(&instant(request.now_s)?))?,
        attribute("Destination", Some(request.destination))?,
        attribute("AssertionConsumerServiceURL", Some(request.acs_url))?,
        attribute("ProtocolBinding", Some(n::BINDING_POST))?,
        attribute("ForceAuthn", forced)?,
        text("Issuer", request.sp_entity_id)?,
    );
    // The provider may make an identifier for us; of which kind, its own configuration says.
    let mut tail = "<samlp:NameIDPolicy AllowCreate=\"true\"></samlp:NameIDPolicy>".to_owned();
    if !request.contexts.is_empty() {
        tail.push_str("<samlp:RequestedAuthnContext Comparison=\"exact\">");
        for context in request.contexts {
            let context = text("AuthnContextClassRef", context)?;
            tail.push_str(&format!("<saml:AuthnContextClassRef>{context}</saml:AuthnContextClassRef>"));
        }
        tail.push_str("</samlp:RequestedAuthnContext>");
    }
    tail.push_str("</samlp:AuthnRequest>");
    Ok(Draft { id: request.id.as_str().to_owned(), head, tail })
}

pub(crate) fn instant(seconds: i64) -> Result<String, RequestError> {
    time::written(seconds).ok_or(RequestError::Unwritable { name: "IssueInstant" })
}
