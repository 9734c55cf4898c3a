//! The identity provider's metadata: who it is, where it is spoken to, and with which certificates it signs.
//!
//! Here because it is where trust begins: what this module reads is shown to an administrator, stored as
//! configuration, and never read again from a message (SAML Metadata §2.4.3).

use thiserror::Error;
use url::{Host, Url};

use crate::binding::Binding;
use crate::certificate::{Certificate, CertificateError};
use crate::document::{DocumentError, METADATA, Node, Tree, is_xml_space};
use crate::encoding::shown;
use crate::names as n;
use crate::refusal::BrokenRule;
use crate::shape::{self, SIGNATURE_SHAPE, ShapeError};
use crate::signature::{self, Sha1, SignatureError, Trust};
use crate::time;

/// Largest metadata, in bytes.
pub const MAX_METADATA_BYTES: usize = 1_024 * 1_024;
/// Longest entity id, in bytes (SAML Core §8.3.6).
pub const MAX_ENTITY_ID_BYTES: usize = 1_024;
/// Longest URL of an endpoint, in bytes.
pub const MAX_LOCATION_BYTES: usize = 2_048;
/// Most keys of one provider.
pub const MAX_KEYS: usize = 20;
/// Most endpoints of one provider.
pub const MAX_ENDPOINTS: usize = 40;

/// Why metadata is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MetadataError {
    /// No `EntityDescriptor` with an `IDPSSODescriptor` for SAML 2.0.
    #[error("the metadata describes no saml 2.0 identity provider")]
    NoIdentityProvider,
    /// Several: which one is meant cannot be known.
    #[error("the metadata describes {count} identity providers")]
    SeveralIdentityProviders {
        /// How many.
        count: usize,
    },
    /// A page for people, most often of a sign-in, where the document should be.
    #[error("this is a web page and no metadata")]
    WebPage,
    /// Bytes that are no tree.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A signature of another shape.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// No signature by a pinned certificate.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// No entity id, or one that is no URI of at most 1,024 bytes.
    #[error("the metadata has no entity id of at most {MAX_ENTITY_ID_BYTES} bytes")]
    BadEntityId {
        /// What there is, cut.
        received: String,
    },
    /// `validUntil` is no time, or over.
    #[error("the metadata was valid until `{received}`")]
    Expired {
        /// What it says, cut.
        received: String,
    },
    /// Nowhere to sign in by Redirect or POST over TLS.
    #[error("the metadata has no sign-on service for http-redirect or http-post with `https:`")]
    NoSignOnService,
    /// More keys or endpoints than their bound.
    #[error("the provider has more than {max} {what}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// The bound.
        max: usize,
        /// How many there were when the counting stopped.
        received: usize,
    },
    /// No certificate that can verify signatures.
    #[error("the metadata has no signing certificate")]
    NoSigningCertificate,
    /// A certificate that cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Every code that [`MetadataError::broken`] gives, with what it means: for the published list of errors.
pub const CODES: [(&str, &str); 11] = [
    ("metadata_web_page", "A web page stands where the metadata should be"),
    ("metadata_malformed", "The metadata is no plain XML, or larger than it may be"),
    ("metadata_signature_invalid", "The metadata is not signed by a pinned certificate"),
    ("metadata_no_idp", "The metadata describes no SAML 2.0 identity provider"),
    ("metadata_several_idps", "The metadata describes several identity providers"),
    ("metadata_entity_id_invalid", "The metadata has no entity id, or one that is too long"),
    ("metadata_expired", "The metadata is no longer valid by its own word"),
    ("metadata_no_sign_on_service", "The metadata names nowhere to sign in by Redirect or POST over TLS"),
    ("metadata_no_signing_certificate", "The metadata has no certificate that can verify signatures"),
    ("metadata_certificate_invalid", "A certificate in the metadata cannot be read"),
    ("metadata_too_large", "The provider has more keys or endpoints than the bound"),
];

impl MetadataError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let section = "SAML Metadata §2";
        let other = "export the metadata of this application at the provider again";
        match self {
            Self::WebPage => BrokenRule::new(
                "metadata_web_page",
                section,
                "give the address of the document itself, which begins with EntityDescriptor; where the provider shows \
                 it only to whoever signed in, download it there and give its text as metadata_xml",
            )
            .expected("an XML document")
            .received("HTML"),
            Self::Document(error) => BrokenRule { code: "metadata_malformed", ..error.broken() },
            Self::Shape(error) => BrokenRule { code: "metadata_signature_invalid", ..error.broken() },
            Self::Signature(error) => BrokenRule { code: "metadata_signature_invalid", ..error.broken() },
            Self::Certificate(error) => BrokenRule { code: "metadata_certificate_invalid", ..error.broken() },
            Self::NoIdentityProvider => BrokenRule::new("metadata_no_idp", section, other)
                .expected("EntityDescriptor with IDPSSODescriptor for SAML 2.0")
                .received("none"),
            Self::SeveralIdentityProviders { count } => BrokenRule::new(
                "metadata_several_idps",
                section,
                "give the metadata of the one provider that is meant, not of its federation",
            )
            .expected("1")
            .received(count),
            Self::BadEntityId { received } => BrokenRule::new("metadata_entity_id_invalid", section, other)
                .expected(format!("entityID of 1 to {MAX_ENTITY_ID_BYTES} bytes"))
                .received(format!("`{received}`")),
            Self::Expired { received } => BrokenRule::new("metadata_expired", section, other)
                .expected("validUntil in the future")
                .received(received),
            Self::NoSignOnService => BrokenRule::new("metadata_no_sign_on_service", section, other)
                .expected("SingleSignOnService with HTTP-Redirect or HTTP-POST and an https: URL")
                .received("none"),
            Self::NoSigningCertificate => BrokenRule::new("metadata_no_signing_certificate", section, other)
                .expected("KeyDescriptor with X509Certificate")
                .received("none that can verify"),
            Self::TooMany { what, max, received } => BrokenRule::new("metadata_too_large", section, other)
                .expected(format!("at most {max} {what}"))
                .received(format!("{received} or more")),
        }
    }
}

/// Why metadata may be believed.
#[derive(Debug, Clone, Copy)]
pub enum MetadataTrust<'a> {
    /// It came over verified TLS, or an administrator pasted it. A signature that it carries is not needed.
    Channel,
    /// It must be signed by one of these.
    Pinned(&'a [Certificate]),
}

/// What a key of the provider is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// `use="signing"`.
    Signing,
    /// `use="encryption"`.
    Encryption,
    /// No `use`: both.
    Both,
}

/// A key of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataKey {
    /// The certificate that carries it.
    pub certificate: Certificate,
    /// What it is for.
    pub key_use: KeyUse,
}

/// A place where the provider is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// How.
    pub binding: Binding,
    /// `http:` or `https:` URL.
    pub location: String,
    /// Where responses go, if elsewhere (single logout).
    pub response_location: Option<String>,
}

/// What was left out, and the rest accepted: shown to the administrator. That metadata names no `validUntil` is none of
/// these: SAML2Int asks for one, and most commercial providers leave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataWarning {
    /// An endpoint without TLS, or one that is no URL, was left out.
    EndpointLeftOut,
    /// A certificate whose key must not verify (too small, another kind) was left out.
    UnsuitableKey,
}

/// A provider as its metadata describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdpMetadata {
    /// The entity id, compared byte for byte.
    pub entity_id: String,
    /// Not to be used from then on: seconds since 1970.
    pub valid_until_s: Option<i64>,
    /// Where sign-in begins: Redirect and POST; never empty.
    pub sign_on: Vec<Endpoint>,
    /// Where single logout is spoken; empty if the provider has none.
    pub logout: Vec<Endpoint>,
    /// Its keys; at least one may sign.
    pub keys: Vec<MetadataKey>,
    /// It refuses requests that are not signed.
    pub wants_signed_requests: bool,
    /// The name identifier formats that it says it knows.
    pub name_id_formats: Vec<String>,
    /// Whether it was signed by a pinned certificate.
    pub is_signed_by_pinned: bool,
    /// What is unusual.
    pub warnings: Vec<MetadataWarning>,
}

impl IdpMetadata {
    /// The certificates that may sign, in the order of the document, each once.
    #[must_use]
    pub fn signing_certificates(&self) -> Vec<&Certificate> {
        let signing = self.keys.iter().filter(|key| key.key_use != KeyUse::Encryption);
        signing.map(|key| &key.certificate).collect()
    }

    /// The endpoint for sign-in: Redirect if there is one, else POST.
    #[must_use]
    pub fn preferred_sign_on(&self) -> Option<&Endpoint> {
        preferred(&self.sign_on)
    }

    /// The endpoint for single logout: Redirect if there is one, else POST.
    #[must_use]
    pub fn preferred_logout(&self) -> Option<&Endpoint> {
        preferred(&self.logout)
    }
}

fn preferred(endpoints: &[Endpoint]) -> Option<&Endpoint> {
    endpoints.iter().find(|endpoint| endpoint.binding == Binding::Redirect).or_else(|| endpoints.first())
}

/// Reads the metadata of one provider.
///
/// # Errors
/// [`MetadataError`].
pub fn parse_idp(bytes: &[u8], trust: MetadataTrust<'_>, now_s: i64) -> Result<IdpMetadata, MetadataError> {
    let bytes = without_byte_order_mark(bytes);
    if is_web_page(bytes) {
        return Err(MetadataError::WebPage);
    }
    let tree = Tree::parse(bytes, &METADATA)?;
    let root = tree.root().ok_or(MetadataError::NoIdentityProvider)?;
    let is_signed_by_pinned = match trust {
        MetadataTrust::Channel => false,
        MetadataTrust::Pinned(certificates) => require_pinned(root, certificates).map(|()| true)?,
    };
    let (entity, descriptor) = find_provider(root)?;
    let mut warnings = Vec::new();
    let valid_until_s = require_valid(&[root, entity, descriptor], now_s)?;
    let entity_id = entity.attribute("entityID").unwrap_or_default();
    if entity_id.is_empty() || entity_id.len() > MAX_ENTITY_ID_BYTES || entity_id.contains(char::is_control) {
        return Err(MetadataError::BadEntityId { received: shown(entity_id) });
    }
    let sign_on = endpoints(descriptor, n::SINGLE_SIGN_ON_SERVICE, &mut warnings)?;
    if sign_on.is_empty() {
        return Err(MetadataError::NoSignOnService);
    }
    let keys = keys(descriptor, &mut warnings)?;
    if keys.iter().all(|key| key.key_use == KeyUse::Encryption) {
        return Err(MetadataError::NoSigningCertificate);
    }
    Ok(IdpMetadata {
        entity_id: entity_id.to_owned(),
        valid_until_s,
        sign_on,
        logout: endpoints(descriptor, n::SINGLE_LOGOUT_SERVICE, &mut warnings)?,
        keys,
        wants_signed_requests: matches!(descriptor.attribute("WantAuthnRequestsSigned"), Some("true" | "1")),
        name_id_formats: formats(descriptor),
        is_signed_by_pinned,
        warnings,
    })
}

/// Files that were saved by an editor may begin with one.
fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Whether a document begins as HTML does, behind white space and an XML declaration.
fn is_web_page(bytes: &[u8]) -> bool {
    let begins = |bytes: &[u8], with: &str| {
        bytes.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
    };
    let mut start = bytes.trim_ascii_start();
    if begins(start, "<?xml") {
        let end = start.iter().position(|&byte| byte == b'>').unwrap_or_default();
        start = start.get(end + 1..).unwrap_or_default().trim_ascii_start();
    }
    begins(start, "<!doctype html") || begins(start, "<html")
}

/// The whole document is signed by a pinned certificate: the signature stands in its root and covers it.
fn require_pinned(root: Node<'_>, certificates: &[Certificate]) -> Result<(), MetadataError> {
    let missing = SignatureError::Missing { what: "metadata document" };
    let mut signatures = root.all(n::SIGNATURE);
    let (Some(signature), None) = (signatures.next(), signatures.next()) else {
        return Err(missing.into());
    };
    shape::require(signature, &SIGNATURE_SHAPE)?;
    signature::verify(root, Trust { certificates, sha1: Sha1::Refused })?.ok_or(missing)?;
    Ok(())
}

/// The one entity that is an identity provider for SAML 2.0.
fn find_provider(root: Node<'_>) -> Result<(Node<'_>, Node<'_>), MetadataError> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        if node.is(n::ENTITIES_DESCRIPTOR) {
            open.extend(
                node.children().filter(|one| one.is(n::ENTITY_DESCRIPTOR) || one.is(n::ENTITIES_DESCRIPTOR)),
            );
        } else if node.is(n::ENTITY_DESCRIPTOR) {
            found.extend(
                node.all(n::IDP_SSO_DESCRIPTOR).filter(|one| speaks_saml(*one)).map(|one| (node, one)),
            );
        }
    }
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(MetadataError::NoIdentityProvider),
        several => Err(MetadataError::SeveralIdentityProviders { count: several.len() }),
    }
}

fn speaks_saml(descriptor: Node<'_>) -> bool {
    let protocols = descriptor.attribute("protocolSupportEnumeration").unwrap_or_default();
    protocols.split(is_xml_space).any(|protocol| protocol == n::PROTOCOL)
}

/// The earliest `validUntil` of document, entity and role, if it is not over.
fn require_valid(nodes: &[Node<'_>], now_s: i64) -> Result<Option<i64>, MetadataError> {
    let mut earliest: Option<i64> = None;
    for text in nodes.iter().filter_map(|node| node.attribute("validUntil")) {
        let expired = || MetadataError::Expired { received: shown(text) };
        let until = time::parse(text).ok_or_else(expired)?;
        if until <= now_s {
            return Err(expired());
        }
        earliest = Some(earliest.map_or(until, |known| known.min(until)));
    }
    Ok(earliest)
}

fn endpoints(
    descriptor: Node<'_>,
    name: crate::document::Name,
    warnings: &mut Vec<MetadataWarning>,
) -> Result<Vec<Endpoint>, MetadataError> {
    let mut found = Vec::new();
    for service in descriptor.all(name) {
        let binding = match service.attribute("Binding") {
            Some(n::BINDING_REDIRECT) => Binding::Redirect,
            Some(n::BINDING_POST) => Binding::Post,
            _ => continue,
        };
        let response_location = service.attribute("ResponseLocation");
        let location = service.attribute("Location").unwrap_or_default();
        if !is_location(location) || !response_location.is_none_or(is_location) {
            warn(warnings, MetadataWarning::EndpointLeftOut);
            continue;
        }
        found.push(Endpoint {
            binding,
            location: location.to_owned(),
            response_location: response_location.map(str::to_owned),
        });
        if found.len() > MAX_ENDPOINTS {
            return Err(MetadataError::TooMany {
                what: "endpoints",
                max: MAX_ENDPOINTS,
                received: MAX_ENDPOINTS + 1,
            });
        }
    }
    Ok(found)
}

/// An `https:` URL, or `http:` for a provider on the same machine: the caller decides whether that may be spoken to.
fn is_location(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| (0x21..0x7f).contains(&byte)) && text.len() <= MAX_LOCATION_BYTES;
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let is_near = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_near);
    let names_nobody = url.username().is_empty() && url.password().is_none();
    is_plain && is_safe && names_nobody && url.fragment().is_none()
}

fn keys(
    descriptor: Node<'_>,
    warnings: &mut Vec<MetadataWarning>,
) -> Result<Vec<MetadataKey>, MetadataError> {
    let mut found: Vec<MetadataKey> = Vec::new();
    for key in descriptor.all(n::KEY_DESCRIPTOR) {
        let key_use = match key.attribute("use") {
            Some("signing") => KeyUse::Signing,
            Some("encryption") => KeyUse::Encryption,
            _ => KeyUse::Both,
        };
        let data = key.all(n::KEY_INFO).flat_map(|info| info.all(n::X509_DATA));
        for certificate in data.flat_map(|data| data.all(n::X509_CERTIFICATE)) {
            let text = certificate.text().map_err(|_| CertificateError::Malformed)?;
            match Certificate::from_text(&text) {
                Ok(certificate) => add_key(&mut found, certificate, key_use),
                // What cannot verify is left out: a second, suitable key may stand beside it.
                Err(CertificateError::KeyUnsuitable { .. }) => warn(warnings, MetadataWarning::UnsuitableKey),
                Err(error) => return Err(error.into()),
            }
        }
        if found.len() > MAX_KEYS {
            return Err(MetadataError::TooMany { what: "keys", max: MAX_KEYS, received: MAX_KEYS + 1 });
        }
    }
    Ok(found)
}

/// One certificate stands once, for every use that it was named for.
fn add_key(found: &mut Vec<MetadataKey>, certificate: Certificate, key_use: KeyUse) {
    match found.iter_mut().find(|known| known.certificate == certificate) {
        Some(known) if known.key_use != key_use => known.key_use = KeyUse::Both,
        Some(_) => {}
        None => found.push(MetadataKey { certificate, key_use }),
    }
}

fn formats(descriptor: Node<'_>) -> Vec<String> {
    let texts = descriptor.all(n::NAME_ID_FORMAT).filter_map(|format| format.text().ok());
    texts.map(|text| text.trim_matches(is_xml_space).to_owned()).take(MAX_ENDPOINTS).collect()
}

fn warn(warnings: &mut Vec<MetadataWarning>, warning: MetadataWarning) {
    if !warnings.contains(&warning) {
        warnings.push(warning);
    }
}
