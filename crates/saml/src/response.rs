//! The response: from a form to a verified identity, or to a refusal that names the check.
//!
//! Here as one function, because the order is part of the rule: shape before cryptography, cryptography before
//! meaning, and everything that is read is read from the verified node (SAML Core §5, SAML Profiles §4.1.4).

use crate::attribute::Attributes;
use crate::binding::{FormMessage, MessageKind};
use crate::certificate::Certificate;
use crate::document::{MESSAGE, Node, Tree};
use crate::encoding::shown;
use crate::encryption::{self, Cbc, DecryptionError, Plaintext};
use crate::key::OwnKey;
use crate::names as n;
use crate::refusal::Refusal;
use crate::shape::{self, ASSERTION_SHAPE, RESPONSE_SHAPE, ShapeError};
use crate::signature::{self, Sha1, SignatureError, Trust, Verified};
use crate::subject::{NameId, Sides, SubjectKey, SubjectSource};

mod assertion;
mod error;

pub use error::{ResponseError, UNSOLICITED};

/// How far back a response may have been issued, in seconds, whatever it says of its own validity.
pub const MAX_AGE_S: i64 = 600;
/// The largest skew that a connection may allow, in seconds (SAML2Int: three to five minutes).
pub const MAX_SKEW_S: i64 = 300;

/// Which signatures a connection asks for. A signature that is present has to verify under each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignaturePolicy {
    /// The assertion or the response.
    AssertionOrResponse,
    /// The assertion, whether or not the response is signed.
    Assertion,
    /// The response, whether or not the assertion is signed.
    Response,
    /// Both.
    Both,
}

/// What this browser waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// The answer to this request, which this browser sent by this connection.
    Request {
        /// Its id.
        id: &'a str,
    },
    /// Nothing, and the connection lets the provider begin: a response without `InResponseTo`.
    Unsolicited,
    /// Nothing, and the connection does not let the provider begin. Refused either way, with the reason that fits.
    Nothing,
}

/// When the person must have proven themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// At any time: a running session at the provider is enough.
    AtAnyTime,
    /// Not before this moment, when they were sent there to do so, but for the skew.
    Since {
        /// Seconds since 1970, UTC.
        asked_at_s: i64,
    },
    /// Not before the assertion was issued, but for the skew: nobody asked.
    WithTheAssertion,
}

/// Whether AES-CBC is accepted for encrypted assertions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CbcEncryption {
    /// Never.
    Refused,
    /// Inside a response whose own signature verified.
    InsideSignedResponse,
}

/// What a response has to agree with.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The provider's entity id.
    pub idp_entity_id: &'a str,
    /// The provider's certificates that this connection trusts.
    pub certificates: &'a [Certificate],
    /// Our entity id for this connection: the audience.
    pub sp_entity_id: &'a str,
    /// The URL that the form was posted to: destination and recipient.
    pub acs_url: &'a str,
    /// What this browser waits for.
    pub expected: Expected<'a>,
    /// Which signatures are asked for.
    pub signatures: SignaturePolicy,
    /// Our keys that may decrypt, the current one first.
    pub decryption_keys: &'a [OwnKey],
    /// Whether AES-CBC is accepted.
    pub cbc: CbcEncryption,
    /// RSA-SHA1 and SHA-1 digests are accepted before this moment (seconds since 1970); never if none.
    pub sha1_until_s: Option<i64>,
    /// Authentication contexts of which one was asked for; any if empty.
    pub contexts: &'a [String],
    /// When the person must have proven themselves.
    pub proof: Proof,
    /// What identifies the person.
    pub subject: &'a SubjectSource,
    /// How far the provider's clock may be from ours, in seconds; [`MAX_SKEW_S`] at most.
    pub skew_s: i64,
    /// The time: seconds since 1970, UTC.
    pub now_s: i64,
}

/// What was accepted by a switch of the connection and is shown to its administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// A signature or digest used SHA-1.
    Sha1,
    /// The assertion was encrypted with AES-CBC.
    Cbc,
    /// The certificate that signed has expired or is not valid yet.
    CertificateOutOfTime,
}

/// Who a verified response says it is. Only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    subject: SubjectKey,
    name_id: Option<NameId>,
    attributes: Attributes,
    session_index: Option<String>,
    session_not_on_or_after_s: Option<i64>,
    response_id: String,
    assertion_id: String,
    replay_until_s: i64,
    authn_context: Option<String>,
    authn_at_s: i64,
    signed_by_sha256: [u8; 32],
    weaknesses: Vec<Weakness>,
    signed: Vec<u8>,
}

impl Identity {
    /// The key of the person at this connection.
    #[must_use]
    pub fn subject(&self) -> &SubjectKey {
        &self.subject
    }

    /// The name identifier, for single logout.
    #[must_use]
    pub fn name_id(&self) -> Option<&NameId> {
        self.name_id.as_ref()
    }

    /// What else is said of the person.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// The provider's name for this session, for single logout.
    #[must_use]
    pub fn session_index(&self) -> Option<&str> {
        self.session_index.as_deref()
    }

    /// The session must have ended by then: seconds since 1970.
    #[must_use]
    pub fn session_not_on_or_after_s(&self) -> Option<i64> {
        self.session_not_on_or_after_s
    }

    /// The id of the response: with the connection, a key of the replay table.
    #[must_use]
    pub fn response_id(&self) -> &str {
        &self.response_id
    }

    /// The id of the assertion: with the connection, a key of the replay table.
    #[must_use]
    pub fn assertion_id(&self) -> &str {
        &self.assertion_id
    }

    /// Both ids must be remembered until then: seconds since 1970, skew and a margin included.
    #[must_use]
    pub fn replay_until_s(&self) -> i64 {
        self.replay_until_s
    }

    /// How the person proved themselves.
    #[must_use]
    pub fn authn_context(&self) -> Option<&str> {
        self.authn_context.as_deref()
    }

    /// When: seconds since 1970.
    #[must_use]
    pub fn authn_at_s(&self) -> i64 {
        self.authn_at_s
    }

    /// SHA-256 of the certificate whose key verified.
    #[must_use]
    pub fn signed_by_sha256(&self) -> &[u8; 32] {
        &self.signed_by_sha256
    }

    /// The octets that the digest covered, or what was decrypted inside of them: everything here was read from them.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// What a switch let through.
    #[must_use]
    pub fn weaknesses(&self) -> &[Weakness] {
        &self.weaknesses
    }
}

impl Rules<'_> {
    fn skew_s(&self) -> i64 {
        self.skew_s.clamp(0, MAX_SKEW_S)
    }

    fn trust(&self) -> Trust<'_> {
        Trust { certificates: self.certificates, sha1: Sha1::at(self.sha1_until_s, self.now_s) }
    }
}

/// Verifies a response. The only road to [`Identity`].
///
/// # Errors
/// [`Refusal`], the first check that fails, in the order of the table at the head of this crate.
pub fn verify(message: &FormMessage, rules: &Rules<'_>) -> Result<Identity, Refusal> {
    if message.kind() != MessageKind::Response {
        return Err(ResponseError::NotAResponse.into());
    }
    let tree = Tree::parse(message.xml(), &MESSAGE)?;
    let unverified = Unverified::require(&tree)?;
    unverified.require_envelope(rules)?;
    let response = signature::verify(unverified.response, rules.trust())?;
    require_signed(response.as_ref(), rules.signatures.of_response(), "response")?;
    match unverified.assertion.ok_or(ShapeError::AssertionCount { count: 0 })? {
        Slot::Plain(node) => {
            let own = signature::verify(node, rules.trust())?;
            let whole = response.as_ref().and_then(|response| response.child(n::THE_ASSERTION));
            unverified.accept(Found { own, whole, response, used_cbc: false }, rules)
        }
        Slot::Encrypted(node) => {
            let cbc = match (rules.cbc, response.is_some()) {
                (CbcEncryption::InsideSignedResponse, true) => Cbc::Accepted,
                _ => Cbc::Refused,
            };
            let plaintext = encryption::decrypt(node, rules.decryption_keys, cbc)?;
            let inner = Tree::parse(&plaintext.document, &MESSAGE).map_err(|_| DecryptionError::Failed)?;
            let node = require_decrypted(&inner)?;
            let own = signature::verify(node, rules.trust())?;
            let Plaintext { octets, used_cbc, .. } = &plaintext;
            let whole = response.as_ref().map(|response| response.vouches_for(node, octets.to_vec()));
            unverified.accept(Found { own, whole, response, used_cbc: *used_cbc }, rules)
        }
    }
}

/// Whether an element must have a signature of its own.
#[derive(Clone, Copy)]
enum Signature {
    AskedFor,
    Optional,
}

impl SignaturePolicy {
    const fn of_response(self) -> Signature {
        match self {
            Self::Response | Self::Both => Signature::AskedFor,
            Self::AssertionOrResponse | Self::Assertion => Signature::Optional,
        }
    }

    const fn of_assertion(self) -> Signature {
        match self {
            Self::Assertion | Self::Both => Signature::AskedFor,
            Self::AssertionOrResponse | Self::Response => Signature::Optional,
        }
    }
}

fn require_signed(
    found: Option<&Verified<'_>>,
    signature: Signature,
    what: &'static str,
) -> Result<(), SignatureError> {
    match (signature, found) {
        (Signature::AskedFor, None) => Err(SignatureError::Missing { what }),
        (Signature::AskedFor, Some(_)) | (Signature::Optional, _) => Ok(()),
    }
}

/// A response of the right shape of which nothing is believed yet. It has no way to read what its assertion says.
struct Unverified<'t> {
    response: Node<'t>,
    /// None in the answer that nobody was signed in.
    assertion: Option<Slot<'t>>,
}

/// The one assertion.
#[derive(Clone, Copy)]
enum Slot<'t> {
    Plain(Node<'t>),
    Encrypted(Node<'t>),
}

/// What signatures say of the one assertion.
struct Found<'t, 'r> {
    /// Its own signature verified.
    own: Option<Verified<'t>>,
    /// The response's signature covers it.
    whole: Option<Verified<'t>>,
    /// The response, if it was signed.
    response: Option<Verified<'r>>,
    used_cbc: bool,
}

impl<'t> Unverified<'t> {
    fn require(tree: &'t Tree<'_>) -> Result<Self, ShapeError> {
        let nothing = ShapeError::WrongMessage { expected: "Response", received: "nothing".to_owned() };
        let response = tree.root().ok_or(nothing)?;
        if response.is(n::RESPONSE) && is_successful(response) {
            let count = response.all(n::THE_ASSERTION).count() + response.all(n::ENCRYPTED_ASSERTION).count();
            if count != 1 {
                return Err(ShapeError::AssertionCount { count });
            }
        }
        shape::require(response, &RESPONSE_SHAPE)?;
        let plain = response.child(n::THE_ASSERTION).map(Slot::Plain);
        let encrypted = response.child(n::ENCRYPTED_ASSERTION).map(Slot::Encrypted);
        Ok(Self { response, assertion: plain.or(encrypted) })
    }

    /// What the envelope says of itself, before any key is used for it.
    fn require_envelope(&self, rules: &Rules<'_>) -> Result<(), ResponseError> {
        let response = self.response;
        assertion::require_version(response, "Response")?;
        let is_signed = response.child(n::SIGNATURE).is_some();
        match response.attribute("Destination") {
            Some(received) if received == rules.acs_url => {}
            None if !is_signed => {}
            other => {
                return Err(ResponseError::DestinationMismatch {
                    expected: shown(rules.acs_url),
                    received: shown(other.unwrap_or("absent")),
                });
            }
        }
        if response.child(n::ISSUER).is_some() {
            assertion::require_issuer(response, "response", rules)?;
        }
        if !is_successful(response) {
            return Err(not_successful(response));
        }
        assertion::require_answer(response.attribute("InResponseTo"), rules)?;
        assertion::require_age(response, "response", rules).map(|_| ())
    }

    /// The assertion that a signature vouches for, with everything that is read from it.
    fn accept(&self, found: Found<'_, '_>, rules: &Rules<'_>) -> Result<Identity, Refusal> {
        require_signed(found.own.as_ref(), rules.signatures.of_assertion(), "assertion")?;
        let used_sha1 =
            [found.own.as_ref().map(Verified::used_sha1), found.response.as_ref().map(Verified::used_sha1)];
        let missing = SignatureError::Missing { what: "assertion or response" };
        let verified = found.own.or(found.whole).ok_or(missing)?;
        let session = assertion::require(&verified, rules)?;
        let node = verified.node();
        let attributes = Attributes::read(node)?;
        let name_id = node.child(n::SUBJECT).and_then(|subject| subject.child(n::NAME_ID));
        let name_id = name_id.map(NameId::read).transpose()?;
        let sides = Sides { idp_entity_id: rules.idp_entity_id, sp_entity_id: rules.sp_entity_id };
        let subject = SubjectKey::of(rules.subject, name_id.as_ref(), &attributes, &sides)?;
        let certificate = verified.certificate();
        let weaknesses = [
            (Weakness::Sha1, used_sha1.contains(&Some(true))),
            (Weakness::Cbc, found.used_cbc),
            (Weakness::CertificateOutOfTime, certificate.is_out_of_time(rules.now_s)),
        ];
        Ok(Identity {
            subject,
            name_id,
            attributes,
            session_index: session.index,
            session_not_on_or_after_s: session.not_on_or_after_s,
            response_id: self.response.attribute("ID").unwrap_or_default().to_owned(),
            assertion_id: node.attribute("ID").unwrap_or_default().to_owned(),
            // Whatever it says of its own validity, it is too old under every skew before this. The second skew is for
            // whoever read the time before they waited for the database: the memory is swept by a later one.
            replay_until_s: session.issued_at_s.saturating_add(MAX_AGE_S).saturating_add(2 * MAX_SKEW_S),
            authn_context: session.context,
            authn_at_s: session.authn_at_s,
            signed_by_sha256: *certificate.sha256(),
            weaknesses: weaknesses
                .into_iter()
                .filter(|(_, is_there)| *is_there)
                .map(|(one, _)| one)
                .collect(),
            signed: verified.canonical().to_vec(),
        })
    }
}

/// What was decrypted is exactly one assertion of the right shape.
fn require_decrypted<'t>(tree: &'t Tree<'_>) -> Result<Node<'t>, Refusal> {
    let wrapper = tree.root().ok_or(DecryptionError::Failed)?;
    let mut children = wrapper.children();
    match (children.next(), children.next()) {
        (Some(assertion), None) if !wrapper.has_text_between() => {
            shape::require(assertion, &ASSERTION_SHAPE)?;
            Ok(assertion)
        }
        _ => Err(DecryptionError::Failed.into()),
    }
}

fn is_successful(response: Node<'_>) -> bool {
    let code = response.child(n::STATUS).and_then(|status| status.child(n::STATUS_CODE));
    code.and_then(|code| code.attribute("Value")) == Some(n::STATUS_SUCCESS)
}

fn not_successful(response: Node<'_>) -> ResponseError {
    let status = response.child(n::STATUS);
    let first = status.and_then(|status| status.child(n::STATUS_CODE));
    let second = first.and_then(|code| code.child(n::STATUS_CODE));
    let codes: Vec<&str> =
        [first, second].into_iter().flatten().filter_map(|code| code.attribute("Value")).collect();
    let message = status.and_then(|status| status.child(n::STATUS_MESSAGE)).and_then(|one| one.text().ok());
    ResponseError::NotSuccessful {
        status: shown(&codes.join(" / ")),
        message: message.map(|message| shown(&message)),
    }
}
