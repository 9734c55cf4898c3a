//! How messages travel: in a form (HTTP-POST) or in a query (HTTP-Redirect), and how they are read back.
//!
//! Here because both are decoded before anything is known of them: the bounds stand first, and the query keeps the
//! octets that a detached signature covers (SAML Bindings §3.4, §3.5).

use std::io::Read as _;

use flate2::read::DeflateDecoder;
use thiserror::Error;

use crate::encoding::{parse_base64, percent_decoded};
use crate::names as n;
use crate::refusal::BrokenRule;

/// Largest message, in bytes of XML.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1_024;
/// Largest form, in bytes: a message of [`MAX_MESSAGE_BYTES`] in base64 with its `+` and `/` escaped.
pub const MAX_FORM_BYTES: usize = 512 * 1_024;
/// Longest query, in bytes: more than any browser sends.
pub const MAX_QUERY_BYTES: usize = 32 * 1_024;
/// Largest message of a query, in bytes of XML: requests and answers about the end of sessions, with a hundred indexes.
pub const MAX_QUERY_MESSAGE_BYTES: usize = 2 * MAX_QUERY_BYTES;
/// How many bytes of XML one byte that is compressed may become, beside [`MIN_INFLATED_BYTES`]. Messages become five.
pub const MAX_INFLATION: usize = 16;
/// What a message of a query may become however few bytes it is compressed to.
pub const MIN_INFLATED_BYTES: usize = 4 * 1_024;
/// Longest relay state that is accepted, in bytes. What we send is 80 at most (SAML Bindings §3.4.3).
pub const MAX_RELAY_STATE_BYTES: usize = 1_024;

/// Why a form or a query is no message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BindingError {
    /// Larger than its bound.
    #[error("the message has more than {max_bytes} bytes")]
    TooLarge {
        /// The bound, in bytes.
        max_bytes: usize,
        /// How many there were when the reading stopped.
        received: usize,
    },
    /// Neither `SAMLRequest` nor `SAMLResponse`.
    #[error("there is neither `SAMLResponse` nor `SAMLRequest`")]
    NoMessage,
    /// A parameter stands twice, or both a request and a response came.
    #[error("the parameter `{name}` came more than once")]
    Repeated {
        /// The parameter.
        name: &'static str,
    },
    /// Not what the parameter must be encoded as.
    #[error("the parameter `{name}` is not {encoding}")]
    Undecodable {
        /// The parameter.
        name: &'static str,
        /// What it should be.
        encoding: &'static str,
    },
}

impl BindingError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let section = "SAML Bindings §3.4–3.5";
        match self {
            Self::TooLarge { max_bytes, received } => BrokenRule::new(
                "message_too_large",
                section,
                "have the provider send fewer attributes or groups",
            )
            .expected(format!("at most {max_bytes} bytes"))
            .received(format!("{received} or more")),
            Self::NoMessage => BrokenRule::new(
                "message_missing",
                section,
                "this URL is for the provider's answers; begin at the sign-in URL of the connection",
            )
            .expected("SAMLResponse or SAMLRequest")
            .received("neither"),
            Self::Repeated { name } => {
                BrokenRule::new("parameter_repeated", section, "begin the sign-in again")
                    .expected("each parameter once, and one message")
                    .received(format!("{name} beside another"))
            }
            Self::Undecodable { name, encoding } => {
                BrokenRule::new("parameter_undecodable", section, "begin the sign-in again")
                    .expected(encoding)
                    .received(name)
            }
        }
    }
}

/// Which of the two a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// `SAMLRequest`.
    Request,
    /// `SAMLResponse`.
    Response,
}

/// A message that came in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormMessage {
    kind: MessageKind,
    xml: Vec<u8>,
    relay_state: Option<String>,
}

impl FormMessage {
    /// Reads a body of type `application/x-www-form-urlencoded`. Parameters of other names are passed over.
    ///
    /// # Errors
    /// [`BindingError`].
    pub fn parse(body: &[u8]) -> Result<Self, BindingError> {
        if body.len() > MAX_FORM_BYTES {
            return Err(BindingError::TooLarge { max_bytes: MAX_FORM_BYTES, received: body.len() });
        }
        let text = std::str::from_utf8(body)
            .map_err(|_| BindingError::Undecodable { name: "form", encoding: "utf-8" })?;
        let raw = RawMessage::find(text)?;
        let encoded = percent_decoded(raw.message).ok_or(raw.undecodable("percent-encoded"))?;
        // No inflating here: a form is never compressed, and a small one must not become a large one.
        let xml = parse_base64(encoded).ok_or(raw.undecodable("base64"))?;
        if xml.len() > MAX_MESSAGE_BYTES {
            return Err(BindingError::TooLarge { max_bytes: MAX_MESSAGE_BYTES, received: xml.len() });
        }
        Ok(Self { kind: raw.kind, xml, relay_state: raw.relay_state()? })
    }

    pub(crate) fn xml(&self) -> &[u8] {
        &self.xml
    }

    /// Which of the two it is.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The relay state, as it came: an opaque value, to be compared or looked up, never to be followed as it is.
    #[must_use]
    pub fn relay_state(&self) -> Option<&str> {
        self.relay_state.as_deref()
    }
}

/// A message that came in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryMessage {
    kind: MessageKind,
    xml: Vec<u8>,
    relay_state: Option<String>,
    signature: Option<DetachedSignature>,
}

impl QueryMessage {
    /// Reads the query as the browser sent it, without its `?`. It must not have been decoded and encoded again: the
    /// signature covers the octets.
    ///
    /// # Errors
    /// [`BindingError`].
    pub fn parse(query: &str) -> Result<Self, BindingError> {
        if query.len() > MAX_QUERY_BYTES {
            return Err(BindingError::TooLarge { max_bytes: MAX_QUERY_BYTES, received: query.len() });
        }
        let raw = RawMessage::find(query)?;
        let encoded = percent_decoded(raw.message).ok_or(raw.undecodable("percent-encoded"))?;
        let deflated = parse_base64(encoded).ok_or(raw.undecodable("base64"))?;
        let xml = inflate(&deflated, &raw)?;
        let signature = DetachedSignature::find(query, &raw)?;
        Ok(Self { kind: raw.kind, xml, relay_state: raw.relay_state()?, signature })
    }

    pub(crate) fn xml(&self) -> &[u8] {
        &self.xml
    }

    pub(crate) fn signature(&self) -> Option<&DetachedSignature> {
        self.signature.as_ref()
    }

    /// Which of the two it is.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The relay state, as it came.
    #[must_use]
    pub fn relay_state(&self) -> Option<&str> {
        self.relay_state.as_deref()
    }
}

/// The signature of a query (SAML Bindings §3.4.4.1): over octets, not over what they mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetachedSignature {
    /// The octets that it covers, as they came.
    pub(crate) signed: Vec<u8>,
    /// The URI of its algorithm.
    pub(crate) algorithm: String,
    pub(crate) value: Vec<u8>,
}

impl DetachedSignature {
    fn find(query: &str, raw: &RawMessage<'_>) -> Result<Option<Self>, BindingError> {
        let Some(value) = parameter(query, "Signature")? else {
            return Ok(None);
        };
        let undecodable = |name, encoding| BindingError::Undecodable { name, encoding };
        let missing = undecodable("SigAlg", "a signature algorithm");
        let algorithm = parameter(query, "SigAlg")?.ok_or(missing.clone())?;
        let value =
            percent_decoded(value).and_then(parse_base64).ok_or(undecodable("Signature", "base64"))?;
        let relay_state = raw.relay_state.map_or_else(String::new, |text| format!("&RelayState={text}"));
        let signed = format!("{}={}{relay_state}&SigAlg={algorithm}", raw.name, raw.message);
        Ok(Some(Self {
            signed: signed.into_bytes(),
            algorithm: percent_decoded(algorithm).ok_or(missing)?,
            value,
        }))
    }
}

/// The parameters of a message as they came, not decoded.
struct RawMessage<'a> {
    kind: MessageKind,
    name: &'static str,
    message: &'a str,
    relay_state: Option<&'a str>,
}

impl<'a> RawMessage<'a> {
    fn find(text: &'a str) -> Result<Self, BindingError> {
        let response = parameter(text, "SAMLResponse")?;
        let request = parameter(text, "SAMLRequest")?;
        let (kind, name, message) = match (response, request) {
            (Some(message), None) => (MessageKind::Response, "SAMLResponse", message),
            (None, Some(message)) => (MessageKind::Request, "SAMLRequest", message),
            (None, None) => return Err(BindingError::NoMessage),
            (Some(_), Some(_)) => return Err(BindingError::Repeated { name: "SAMLResponse" }),
        };
        let relay_state = parameter(text, "RelayState")?;
        Ok(Self { kind, name, message, relay_state })
    }

    fn undecodable(&self, encoding: &'static str) -> BindingError {
        BindingError::Undecodable { name: self.name, encoding }
    }

    fn relay_state(&self) -> Result<Option<String>, BindingError> {
        let Some(raw) = self.relay_state else {
            return Ok(None);
        };
        let undecodable = BindingError::Undecodable { name: "RelayState", encoding: "percent-encoded utf-8" };
        let decoded = percent_decoded(&raw.replace('+', " ")).ok_or(undecodable)?;
        if decoded.len() > MAX_RELAY_STATE_BYTES {
            return Err(BindingError::TooLarge { max_bytes: MAX_RELAY_STATE_BYTES, received: decoded.len() });
        }
        Ok(Some(decoded).filter(|decoded| !decoded.is_empty()))
    }
}

/// The value of the one parameter of this name, as it came.
fn parameter<'a>(text: &'a str, name: &'static str) -> Result<Option<&'a str>, BindingError> {
    let mut values = text.split('&').filter_map(|pair| match pair.split_once('=') {
        Some((key, value)) if key == name => Some(value),
        _ => None,
    });
    let value = values.next();
    if values.next().is_some() { Err(BindingError::Repeated { name }) } else { Ok(value) }
}

/// Raw DEFLATE (RFC 1951), no further than the bound: what is small on its way may not become large here.
fn inflate(deflated: &[u8], raw: &RawMessage<'_>) -> Result<Vec<u8>, BindingError> {
    let max_bytes =
        MAX_QUERY_MESSAGE_BYTES.min(MIN_INFLATED_BYTES + deflated.len().saturating_mul(MAX_INFLATION));
    let mut xml = Vec::new();
    let read = DeflateDecoder::new(deflated).take(max_bytes as u64 + 1).read_to_end(&mut xml);
    read.map_err(|_| raw.undecodable("deflated"))?;
    if xml.len() > max_bytes {
        return Err(BindingError::TooLarge { max_bytes, received: xml.len() });
    }
    Ok(xml)
}

/// A message of either binding.
#[derive(Debug, Clone, Copy)]
pub enum Incoming<'a> {
    /// In a form.
    Form(&'a FormMessage),
    /// In a query.
    Query(&'a QueryMessage),
}

impl Incoming<'_> {
    /// Whether it can bring something encrypted: a name of XML is written in no other way, so the octets of this one stand
    /// in every message that does. What else has them costs a caller the opening of its keys.
    #[must_use]
    pub fn may_be_encrypted(&self) -> bool {
        let name = n::ENCRYPTED_DATA.local.as_bytes();
        let xml = match self {
            Self::Form(form) => form.xml(),
            Self::Query(query) => query.xml(),
        };
        xml.windows(name.len()).any(|octets| octets == name)
    }
}

/// A message of ours, ready for the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// Send the browser there (303).
    Redirect {
        /// The whole URL.
        url: String,
    },
    /// Have the browser post this form.
    Form {
        /// Where to.
        action: String,
        /// `SAMLRequest` or `SAMLResponse`.
        field: &'static str,
        /// The message in base64.
        value: String,
        /// The field `RelayState`, if any.
        relay_state: Option<String>,
    },
}

/// How an endpoint is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binding {
    /// HTTP-Redirect: DEFLATE in the query, signature beside it.
    Redirect,
    /// HTTP-POST: base64 in a form, signature inside.
    Post,
}
