//! SAML as the protocol of a connection: which identity provider is believed, by which certificates, under which rules,
//! and with which keys this side signs and decrypts.
//!
//! Here apart from the connection, because only this kind of connection has certificates to keep an eye on; an OpenID
//! provider's keys are fetched when they are needed. Of a connection of this kind `issuer` is the provider's entity id
//! and `client_id` is ours.

use serde::{Deserialize, Serialize};

use crate::connection::KeyState;
use crate::id::{ConnectionId, OrganizationId};
use crate::text::texts;
use crate::time::Timestamp;

/// Seconds that two clocks may differ if nobody says otherwise.
pub const DEFAULT_SKEW_S: i64 = 180;
/// The most seconds that they may.
pub const MAX_SKEW_S: i64 = 300;

/// How a message travels (SAML Bindings §3.4, §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamlBinding {
    /// In the query of a redirect.
    Redirect,
    /// In a form that the browser posts.
    Post,
}

/// Where a provider takes messages of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamlEndpoint {
    /// How they travel there.
    pub binding: SamlBinding,
    /// The address.
    pub location: String,
    /// Where answers go, if that is another address.
    pub response_location: Option<String>,
}

/// What must be signed in a provider's answer. One signature at least is always asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignaturePolicy {
    /// The assertion or the response around it.
    AssertionOrResponse,
    /// The assertion itself.
    Assertion,
    /// The assertion and the response.
    Both,
}

/// Who decides about a certificate that the provider's metadata names for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewCertificates {
    /// Trusted at once: the metadata came over verified TLS from the address that an administrator named, or a
    /// certificate that they pinned has signed it.
    Automatic,
    /// Offered to an administrator, and trusted when one accepts it.
    Ask,
}

/// What an administrator sets of a connection of SAML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamlSettings {
    /// Seconds that the provider's clock may differ from ours.
    pub skew_s: i64,
    /// What must be signed.
    pub signatures: SignaturePolicy,
    /// Whether an answer may come that nobody here asked for.
    pub idp_initiated: bool,
    /// Whether our requests are signed, even if the provider does not ask for it.
    pub sign_requests: bool,
    /// Whether the provider must have the person prove themselves anew each time.
    pub force_authn: bool,
    /// The classes of authentication of which one must have been used; none asks for nothing.
    pub authn_contexts: Vec<String>,
    /// Until when signatures with SHA-1 are taken.
    pub sha1_until: Option<Timestamp>,
    /// Whether assertions encrypted with AES-CBC are taken, inside a signed response.
    pub cbc: bool,
    /// The attribute that names a person for good; `None` for the NameID.
    pub subject_attribute: Option<String>,
    /// The attribute that carries the e-mail address; `None` for the usual ones of the preset.
    pub email_attribute: Option<String>,
    /// The attribute that carries the name to show; `None` for the usual ones of the preset.
    pub name_attribute: Option<String>,
    /// Whose usual names of attributes are looked for.
    pub preset: Option<String>,
    /// Who decides about new certificates.
    pub new_certificates: NewCertificates,
    /// Certificates of which one must have signed the metadata, in base64 or PEM; none believes the way it came.
    #[serde(default)]
    pub metadata_signers: Vec<String>,
}

impl Default for SamlSettings {
    fn default() -> Self {
        Self {
            skew_s: DEFAULT_SKEW_S,
            signatures: SignaturePolicy::AssertionOrResponse,
            idp_initiated: false,
            sign_requests: false,
            force_authn: false,
            authn_contexts: Vec::new(),
            sha1_until: None,
            cbc: false,
            subject_attribute: None,
            email_attribute: None,
            name_attribute: None,
            preset: None,
            new_certificates: NewCertificates::Automatic,
            metadata_signers: Vec::new(),
        }
    }
}

/// What of a provider's metadata was left out, because it must not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// A key to verify with: too small, or of another kind.
    Key,
    /// A place where messages go: without TLS, or no URL.
    Endpoint,
}

/// What a provider's metadata says, certificates apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamlProvider {
    /// Where requests to sign somebody in go.
    pub sign_in: SamlEndpoint,
    /// Where messages about the end of sessions go, if the provider takes any.
    pub logout: Option<SamlEndpoint>,
    /// Whether it takes signed requests only.
    pub wants_signed_requests: bool,
    /// What else stood there, each once.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// Until when it calls itself good, of a document that nobody reads again.
    #[serde(default)]
    pub good_until: Option<Timestamp>,
}

impl SamlProvider {
    /// Whether it says the same of where messages go, and how; what is merely to be looked after aside.
    #[must_use]
    pub fn is_spoken_to_as(&self, other: &Self) -> bool {
        self.sign_in == other.sign_in
            && self.logout == other.logout
            && self.wants_signed_requests == other.wants_signed_requests
    }
}

/// A connection's provider, as its metadata and an administrator say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamlSource {
    /// The connection.
    pub connection: ConnectionId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Where the metadata is fetched; `None` if it was given as a document.
    pub metadata_url: Option<String>,
    /// What the metadata says.
    pub provider: SamlProvider,
    /// What an administrator set.
    pub settings: SamlSettings,
    /// When this was last said.
    pub updated_at: Timestamp,
}

texts! {
    /// Whether signatures of a certificate count.
    pub enum CertificateState {
        /// They count.
        Trusted = "trusted",
        /// Not before an administrator accepts it.
        Offered = "offered",
        /// Not now: it is of a provider that another one took the place of. It counts again when an administrator names
        /// that provider again.
        Former = "former",
        /// No longer, and no metadata brings it back.
        Retired = "retired",
    }
}

/// A certificate of a connection's provider: a key to verify with. Who issued it says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamlCertificate {
    /// The connection.
    pub connection: ConnectionId,
    /// Its organization.
    pub organization: OrganizationId,
    /// SHA-256 of its DER form, as 64 hexadecimal digits.
    pub fingerprint: String,
    /// Its DER form, in base64.
    pub der: String,
    /// Whether it counts.
    pub state: CertificateState,
    /// From when on its issuer meant it to be used.
    pub not_before: Timestamp,
    /// Until when. A provider's signatures are not refused for it: warnings come before.
    pub not_after: Timestamp,
    /// When the metadata first named it.
    pub seen_at: Timestamp,
    /// When its state was last decided.
    pub decided_at: Timestamp,
}

/// A key of ours at a connection: it signs what we send, and the provider encrypts for it.
#[derive(Clone, PartialEq, Eq)]
pub struct SamlKey {
    /// The connection.
    pub connection: ConnectionId,
    /// Its organization.
    pub organization: OrganizationId,
    /// SHA-256 of its certificate's DER form, as 64 hexadecimal digits.
    pub fingerprint: String,
    /// Its certificate's DER form, in base64.
    pub certificate: String,
    /// The key, sealed for this connection; empty once it is retired.
    pub private_sealed: String,
    /// What it is for.
    pub state: KeyState,
    /// Until when its certificate says that it is good.
    pub not_after: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for SamlKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SamlKey")
            .field("connection", &self.connection)
            .field("fingerprint", &self.fingerprint)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
