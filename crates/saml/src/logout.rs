//! Single logout, both directions: what was verified, and what we say.
//!
//! Here because an unsigned request would let anybody end anybody's session: signed or refused (SAML Core §3.7,
//! SAML Profiles §4.4).

use thiserror::Error;

use crate::algorithm::SignatureAlgorithm;
use crate::binding::{Binding, DetachedSignature, Incoming, MessageKind, Outgoing};
use crate::certificate::Certificate;
use crate::document::{MESSAGE, Node, Tree};
use crate::draft::{Draft, Way, attribute, text};
use crate::encoding::shown;
use crate::encryption::{self, Cbc, DecryptionError};
use crate::key::OwnKey;
use crate::names as n;
use crate::refusal::{BrokenRule, Refusal};
use crate::request::{MessageId, RequestError, instant, require_short};
use crate::response::{CbcEncryption, MAX_AGE_S, MAX_SKEW_S};
use crate::shape::{self, LOGOUT_REQUEST_SHAPE, LOGOUT_RESPONSE_SHAPE, NAME_ID, Shape};
use crate::signature::{self, Sha1, SignatureError, Trust, find_signer, untrusted};
use crate::subject::{NameId, SubjectError};
use crate::time;

/// Most session indexes of one request.
pub const MAX_SESSION_INDEXES: usize = 100;
/// Seconds for which a request of ours is good.
const REQUEST_GOOD_FOR_S: i64 = 300;

/// Why a logout message is refused for what it says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LogoutError {
    /// A request where a response belongs, or the other way round.
    #[error("a {received} came where a {expected} belongs")]
    OtherKind {
        /// What belongs there.
        expected: &'static str,
        /// What came.
        received: &'static str,
    },
    /// Not SAML 2.0.
    #[error("the message is of version `{received}`")]
    OtherVersion {
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
    #[error("the message is for `{received}`, not for `{expected}`")]
    DestinationMismatch {
        /// Our URL.
        expected: String,
        /// The message's, cut, or `absent`.
        received: String,
    },
    /// Of another issuer.
    #[error("the message is of issuer `{received}`, not `{expected}`")]
    IssuerMismatch {
        /// The connection's.
        expected: String,
        /// What came, cut.
        received: String,
    },
    /// Issued too long ago or in the future, or over by its own word.
    #[error("the message was issued at {issued_at_s} or is over, it is {now_s}")]
    OutOfTime {
        /// Seconds since 1970.
        issued_at_s: i64,
        /// Seconds since 1970.
        now_s: i64,
    },
    /// Not the answer to the request of ours.
    #[error("the message answers `{received}`, not `{expected}`")]
    UnknownRequest {
        /// Our request's id.
        expected: String,
        /// `InResponseTo`, cut, or `absent`.
        received: String,
    },
}

impl LogoutError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        match self {
            Self::OtherKind { expected, received } => BrokenRule::new(
                "message_of_other_kind",
                "SAML Profiles §4.4.3",
                "check which URL of ours the provider sends this to",
            )
            .expected(expected)
            .received(received),
            Self::OtherVersion { received } => {
                BrokenRule::new("version_unsupported", "SAML Core §4.1", "choose SAML 2.0 at the provider")
                    .expected("2.0")
                    .received(received)
            }
            Self::BadInstant { attribute, received } => {
                BrokenRule::new("time_invalid", "SAML Core §1.3.3", "the provider must send times in UTC")
                    .expected(format!("{attribute} in UTC, such as 2027-01-31T12:00:00Z"))
                    .received(received)
            }
            Self::DestinationMismatch { expected, received } => BrokenRule::new(
                "destination_mismatch",
                "SAML Bindings §3.5.5.2",
                "give the provider the single logout URL of this connection, byte for byte",
            )
            .expected(expected)
            .received(received),
            Self::IssuerMismatch { expected, received } => BrokenRule::new(
                "issuer_mismatch",
                "SAML Core §2.2.5",
                "check the provider's entity id in the connection, byte for byte",
            )
            .expected(expected)
            .received(received),
            Self::OutOfTime { issued_at_s, now_s } => {
                BrokenRule::new("issued_too_far_away", "SAML Core §3.7.1", "set both clocks by NTP")
                    .expected(format!("issued within {MAX_AGE_S} seconds before {now_s}, and not over"))
                    .received(issued_at_s)
            }
            Self::UnknownRequest { expected, received } => BrokenRule::new(
                "in_response_to_mismatch",
                "SAML Core §3.2.2",
                "nothing to do: the session here has ended",
            )
            .expected(expected)
            .received(received),
        }
    }
}

/// What a logout message has to agree with.
#[derive(Clone, Copy)]
pub struct LogoutRules<'a> {
    /// The provider's entity id.
    pub idp_entity_id: &'a str,
    /// The provider's certificates that this connection trusts.
    pub certificates: &'a [Certificate],
    /// The URL that the message came to.
    pub logout_url: &'a str,
    /// Our keys that may decrypt, the current one first.
    pub decryption_keys: &'a [OwnKey],
    /// Whether AES-CBC is accepted: what is decrypted stands in a message whose signature verified.
    pub cbc: CbcEncryption,
    /// RSA-SHA1 is accepted before this moment (seconds since 1970); never if none.
    pub sha1_until_s: Option<i64>,
    /// How far the provider's clock may be from ours, in seconds.
    pub skew_s: i64,
    /// The time: seconds since 1970, UTC.
    pub now_s: i64,
}

/// A verified request of the provider to end sessions. Only [`SignedRequest`] has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutRequest {
    id: String,
    name_id: NameId,
    session_indexes: Vec<String>,
    replay_until_s: i64,
}

impl LogoutRequest {
    /// Its id, for the replay table.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whose sessions.
    #[must_use]
    pub fn name_id(&self) -> &NameId {
        &self.name_id
    }

    /// Which of them; all if empty.
    #[must_use]
    pub fn session_indexes(&self) -> &[String] {
        &self.session_indexes
    }

    /// The id must be remembered until then: seconds since 1970.
    #[must_use]
    pub fn replay_until_s(&self) -> i64 {
        self.replay_until_s
    }
}

/// A request that the provider has signed for us, whatever became of it: whoever sent it waits for an answer. Only
/// [`verify_request`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    id: String,
    asks: Result<LogoutRequest, Refusal>,
}

impl SignedRequest {
    /// Its id, for the answer.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it asks.
    ///
    /// # Errors
    /// [`Refusal`] if it came too late, or names nobody.
    pub fn asks(&self) -> Result<&LogoutRequest, &Refusal> {
        self.asks.as_ref()
    }
}

/// Verifies a request of the provider.
///
/// # Errors
/// [`Refusal`] of what nobody shows to be the provider's for us, which is not answered.
pub fn verify_request(incoming: Incoming<'_>, rules: &LogoutRules<'_>) -> Result<SignedRequest, Refusal> {
    let message = Message::of(incoming, MessageKind::Request)?;
    let tree = Tree::parse(message.xml, &MESSAGE)?;
    let node = message.verify(&tree, &LOGOUT_REQUEST_SHAPE, rules)?;
    Ok(SignedRequest { id: node.attribute("ID").unwrap_or_default().to_owned(), asks: asks(node, rules) })
}

/// What a request asks whose signature verified.
fn asks(node: Node<'_>, rules: &LogoutRules<'_>) -> Result<LogoutRequest, Refusal> {
    require_time(node, rules)?;
    let name_id = match (node.child(n::NAME_ID), node.child(n::ENCRYPTED_ID)) {
        (Some(plain), None) => NameId::read(plain)?,
        (None, Some(encrypted)) => decrypted(encrypted, rules)?,
        _ => return Err(SubjectError::NoNameId.into()),
    };
    Ok(LogoutRequest {
        id: node.attribute("ID").unwrap_or_default().to_owned(),
        name_id,
        session_indexes: node.all(n::SESSION_INDEX).filter_map(|index| index.text().ok()).collect(),
        replay_until_s: rules.now_s.saturating_add(MAX_AGE_S).saturating_add(2 * MAX_SKEW_S),
    })
}

/// The name in an `EncryptedID`: exactly one, of the right shape (SAML Core §2.2.4).
fn decrypted(encrypted: Node<'_>, rules: &LogoutRules<'_>) -> Result<NameId, Refusal> {
    let cbc = match rules.cbc {
        CbcEncryption::InsideSignedResponse => Cbc::Accepted,
        CbcEncryption::Refused => Cbc::Refused,
    };
    let plaintext = encryption::decrypt(encrypted, rules.decryption_keys, cbc)?;
    let tree = Tree::parse(&plaintext.document, &MESSAGE).map_err(|_| DecryptionError::Failed)?;
    let wrapper = tree.root().ok_or(DecryptionError::Failed)?;
    let mut children = wrapper.children();
    match (children.next(), children.next()) {
        (Some(name), None) if !wrapper.has_text_between() => {
            shape::require(name, &NAME_ID)?;
            Ok(NameId::read(name)?)
        }
        _ => Err(DecryptionError::Failed.into()),
    }
}

/// What the provider did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogoutOutcome {
    /// All sessions ended.
    Success,
    /// Some application did not answer.
    Partial,
    /// It was not carried out. Said by us, what was asked broke a rule (SAML Core §3.2.1).
    Failed,
}

/// Verifies the provider's answer to the request of ours that has the id `expected`.
///
/// # Errors
/// [`Refusal`].
pub fn verify_response(
    incoming: Incoming<'_>,
    expected: &str,
    rules: &LogoutRules<'_>,
) -> Result<LogoutOutcome, Refusal> {
    let message = Message::of(incoming, MessageKind::Response)?;
    let tree = Tree::parse(message.xml, &MESSAGE)?;
    let node = message.verify(&tree, &LOGOUT_RESPONSE_SHAPE, rules)?;
    require_time(node, rules)?;
    let received = node.attribute("InResponseTo");
    if received != Some(expected) || expected.is_empty() {
        return Err(LogoutError::UnknownRequest {
            expected: shown(expected),
            received: shown(received.unwrap_or("absent")),
        }
        .into());
    }
    let first = node.child(n::STATUS).and_then(|status| status.child(n::STATUS_CODE));
    let second = first.and_then(|code| code.child(n::STATUS_CODE));
    let value = |code: Option<Node<'_>>| code.and_then(|code| code.attribute("Value").map(str::to_owned));
    Ok(match (value(first).as_deref(), value(second).as_deref()) {
        (_, Some(n::STATUS_PARTIAL_LOGOUT)) => LogoutOutcome::Partial,
        (Some(n::STATUS_SUCCESS), _) => LogoutOutcome::Success,
        _ => LogoutOutcome::Failed,
    })
}

/// The id of the request that a message says to answer, which nobody has verified: it tells where to look, and nothing else.
#[must_use]
pub fn answered_request(incoming: Incoming<'_>) -> Option<String> {
    let message = Message::of(incoming, MessageKind::Response).ok()?;
    let tree = Tree::parse(message.xml, &MESSAGE).ok()?;
    tree.root()?.attribute("InResponseTo").map(str::to_owned)
}

/// A message before it is verified, of either binding.
struct Message<'a> {
    xml: &'a [u8],
    binding: Binding,
    detached: Option<&'a DetachedSignature>,
}

impl<'a> Message<'a> {
    fn of(incoming: Incoming<'a>, expected: MessageKind) -> Result<Self, LogoutError> {
        let (message, kind) = match incoming {
            Incoming::Form(form) => {
                (Self { xml: form.xml(), binding: Binding::Post, detached: None }, form.kind())
            }
            Incoming::Query(query) => {
                let detached = query.signature();
                (Self { xml: query.xml(), binding: Binding::Redirect, detached }, query.kind())
            }
        };
        match (expected, kind) {
            (MessageKind::Request, MessageKind::Response) => {
                Err(LogoutError::OtherKind { expected: "LogoutRequest", received: "SAMLResponse" })
            }
            (MessageKind::Response, MessageKind::Request) => {
                Err(LogoutError::OtherKind { expected: "LogoutResponse", received: "SAMLRequest" })
            }
            _ => Ok(message),
        }
    }

    /// Shape, envelope, signature: the node comes out only if all of them held.
    fn verify<'t>(
        &self,
        tree: &'t Tree<'_>,
        wanted: &'static Shape,
        rules: &LogoutRules<'_>,
    ) -> Result<Node<'t>, Refusal> {
        let missing = || SignatureError::Missing { what: "logout message" };
        let node = tree.root().ok_or_else(missing)?;
        shape::require(node, wanted)?;
        require_envelope(node, rules)?;
        let trust =
            Trust { certificates: rules.certificates, sha1: Sha1::at(rules.sha1_until_s, rules.now_s) };
        match self.binding {
            Binding::Post => {
                let verified = signature::verify(node, trust)?.ok_or_else(missing)?;
                Ok(verified.node())
            }
            Binding::Redirect => {
                require_detached(self.detached.ok_or_else(missing)?, node, trust)?;
                Ok(node)
            }
        }
    }
}

/// The signature of a query covers the whole message. One inside of the message is not looked at: the binding forbids
/// it (SAML Bindings §3.4.4.1).
fn require_detached(
    detached: &DetachedSignature,
    node: Node<'_>,
    trust: Trust<'_>,
) -> Result<(), SignatureError> {
    if trust.certificates.is_empty() {
        return Err(SignatureError::NoCertificate);
    }
    let algorithm = SignatureAlgorithm::from_uri(&detached.algorithm).ok_or_else(|| {
        SignatureError::Algorithm { role: "signature", received: shown(&detached.algorithm) }
    })?;
    if algorithm.is_sha1() && trust.sha1 == Sha1::Refused {
        return Err(SignatureError::Sha1);
    }
    match find_signer(trust, algorithm, &detached.signed, &detached.value) {
        Some(_) => Ok(()),
        None => Err(untrusted(node, trust, (algorithm, &detached.value))),
    }
}

fn require_envelope(node: Node<'_>, rules: &LogoutRules<'_>) -> Result<(), LogoutError> {
    let version = node.attribute("Version").unwrap_or("absent");
    if version != "2.0" {
        return Err(LogoutError::OtherVersion { received: shown(version) });
    }
    // Both bindings ask for a destination in a signed message, and every message here is signed.
    let destination = node.attribute("Destination");
    if destination != Some(rules.logout_url) {
        return Err(LogoutError::DestinationMismatch {
            expected: shown(rules.logout_url),
            received: shown(destination.unwrap_or("absent")),
        });
    }
    let issuer = node.child(n::ISSUER).and_then(|issuer| issuer.text().ok()).unwrap_or_default();
    if issuer != rules.idp_entity_id {
        return Err(LogoutError::IssuerMismatch {
            expected: shown(rules.idp_entity_id),
            received: shown(&issuer),
        });
    }
    Ok(())
}

fn require_time(node: Node<'_>, rules: &LogoutRules<'_>) -> Result<(), LogoutError> {
    let read = |attribute: &'static str| match node.attribute(attribute) {
        None => Ok(None),
        Some(text) => time::parse(text).map(Some).ok_or_else(|| bad(attribute, text)),
    };
    let (now_s, skew_s) = (rules.now_s, rules.skew_s.clamp(0, MAX_SKEW_S));
    let issued_at_s = read("IssueInstant")?.ok_or_else(|| bad("IssueInstant", "absent"))?;
    let is_recent = issued_at_s <= now_s.saturating_add(skew_s)
        && issued_at_s >= now_s.saturating_sub(MAX_AGE_S).saturating_sub(skew_s);
    let is_running = read("NotOnOrAfter")?.is_none_or(|end| end > now_s.saturating_sub(skew_s));
    if is_recent && is_running { Ok(()) } else { Err(LogoutError::OutOfTime { issued_at_s, now_s }) }
}

fn bad(attribute: &'static str, text: &str) -> LogoutError {
    LogoutError::BadInstant { attribute, received: shown(text) }
}

/// A message of ours about logout.
#[derive(Debug, Clone, Copy)]
pub struct Farewell<'a> {
    /// Its id.
    pub id: &'a MessageId,
    /// The time: seconds since 1970, UTC.
    pub now_s: i64,
    /// Our entity id for this connection.
    pub sp_entity_id: &'a str,
    /// The provider's endpoint.
    pub destination: &'a str,
    /// How it is sent.
    pub binding: Binding,
    /// What came with the request, or what we want back; 80 bytes at most where it is ours.
    pub relay_state: Option<&'a str>,
}

/// Asks the provider to end the person's session.
///
/// # Errors
/// [`RequestError`].
pub fn send_request(
    farewell: &Farewell<'_>,
    name_id: &NameId,
    session_index: Option<&str>,
    signer: &OwnKey,
) -> Result<Outgoing, RequestError> {
    require_short(farewell.relay_state)?;
    let mut tail = format!(
        "<saml:NameID{}{}{}>{}</saml:NameID>",
        attribute("Format", Some(name_id.format.uri()))?,
        attribute("NameQualifier", name_id.name_qualifier.as_deref())?,
        attribute("SPNameQualifier", name_id.sp_name_qualifier.as_deref())?,
        text("NameID", &name_id.value)?,
    );
    if let Some(index) = session_index {
        tail.push_str(&format!("<samlp:SessionIndex>{}</samlp:SessionIndex>", text("SessionIndex", index)?));
    }
    tail.push_str("</samlp:LogoutRequest>");
    let over_s = farewell.now_s.saturating_add(REQUEST_GOOD_FOR_S);
    let over = attribute("NotOnOrAfter", Some(&instant(over_s)?))?;
    let head = head("LogoutRequest", farewell, &over)?;
    Draft { id: farewell.id.as_str().to_owned(), head, tail }
        .send(&farewell.way(MessageKind::Request), Some(signer))
}

/// Answers the provider's request with the id `in_response_to`.
///
/// # Errors
/// [`RequestError`].
pub fn send_response(
    farewell: &Farewell<'_>,
    in_response_to: &str,
    outcome: LogoutOutcome,
    signer: &OwnKey,
) -> Result<Outgoing, RequestError> {
    let (first, second) = match outcome {
        LogoutOutcome::Success => (n::STATUS_SUCCESS, None),
        LogoutOutcome::Partial => (n::STATUS_SUCCESS, Some(n::STATUS_PARTIAL_LOGOUT)),
        LogoutOutcome::Failed => (n::STATUS_REQUESTER, None),
    };
    let second = second
        .map_or_else(String::new, |value| format!("<samlp:StatusCode Value=\"{value}\"></samlp:StatusCode>"));
    let tail = format!(
        "<samlp:Status><samlp:StatusCode Value=\"{first}\">{second}</samlp:StatusCode></samlp:Status></samlp:LogoutResponse>"
    );
    let answered = attribute("InResponseTo", Some(in_response_to))?;
    let head = head("LogoutResponse", farewell, &answered)?;
    Draft { id: farewell.id.as_str().to_owned(), head, tail }
        .send(&farewell.way(MessageKind::Response), Some(signer))
}

impl<'a> Farewell<'a> {
    fn way(&self, kind: MessageKind) -> Way<'a> {
        Way { kind, binding: self.binding, destination: self.destination, relay_state: self.relay_state }
    }
}

/// Begin and issuer; the signature belongs right behind (SAML Core §3.2.1).
fn head(element: &str, farewell: &Farewell<'_>, more: &str) -> Result<String, RequestError> {
    Ok(format!(
        "<samlp:{element} xmlns:samlp=\"{}\" xmlns:saml=\"{}\"{}{}{} Version=\"2.0\"{more}><saml:Issuer>{}</saml:Issuer>",
        n::PROTOCOL,
        n::ASSERTION,
        attribute("ID", Some(farewell.id.as_str()))?,
        attribute("IssueInstant", Some(&instant(farewell.now_s)?))?,
        attribute("Destination", Some(farewell.destination))?,
        text("Issuer", farewell.sp_entity_id)?,
    ))
}
