//! Signatures: what a configured certificate vouches for, and our own.
//!
//! Here because everything that is believed passes through `Verified`: a node of the one tree and the canonical
//! octets that a trusted key signed. There is no other way to make one. The certificate that a message brings along in
//! `KeyInfo` is not looked at (XML Signature §3.2, SAML Core §5.4).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bergshamra_c14n::{C14nMode, canonicalize_doc_to};
use bergshamra_xml::NodeSet;
use thiserror::Error;

use crate::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::certificate::Certificate;
use crate::document::{Name, Node};
use crate::encoding::{parse_base64, shown};
use crate::names as n;
use crate::refusal::BrokenRule;

/// Most certificates that are tried for one signature.
pub const MAX_CERTIFICATES: usize = 20;
/// Most prefixes of one `InclusiveNamespaces`.
pub const MAX_INCLUSIVE_PREFIXES: usize = 16;

/// Why a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The connection trusts no certificate, so nothing can be verified.
    #[error("no certificate is configured")]
    NoCertificate,
    /// Nothing that the connection asks to be signed is signed.
    #[error("the {what} is not signed")]
    Missing {
        /// What should be.
        what: &'static str,
    },
    /// An algorithm that is not on the list.
    #[error("the {role} algorithm `{received}` is not accepted")]
    Algorithm {
        /// Signature, digest, canonicalization or transform.
        role: &'static str,
        /// Its URI, cut.
        received: String,
    },
    /// An algorithm of the list that is not the one of the key's curve.
    #[error("the signature algorithm `{received}` is not accepted with a key of that curve")]
    OtherPair {
        /// The URI of the one that is.
        wanted: &'static str,
        /// The URI of the one that came.
        received: &'static str,
    },
    /// SHA-1, without or after the exception.
    #[error("the signature uses sha-1")]
    Sha1,
    /// It covers something else than the element that it stands in.
    #[error("the signature covers `{received}`, not `{expected}`")]
    WrongReference {
        /// `#` and the id of the element.
        expected: String,
        /// The URI, cut.
        received: String,
    },
    /// A value that is no base64.
    #[error("the `{element}` is no base64")]
    NotBase64 {
        /// Which.
        element: &'static str,
    },
    /// Canonicalisation failed, or gave nothing.
    #[error("the signed element has no canonical form")]
    NoCanonicalForm,
    /// The element was changed after it was signed.
    #[error("the digest is not that of the `{element}`")]
    DigestMismatch {
        /// Which element.
        element: String,
    },
    /// No trusted key made it.
    #[error("no trusted certificate verifies the signature of the `{element}`")]
    NotTrusted {
        /// Which element.
        element: String,
        /// How many certificates were tried.
        tried: usize,
    },
}

impl SignatureError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let section = "XML Signature §3.2";
        let changed = "the message was changed on its way: look for a proxy that rewrites it, else treat it as an attack";
        match self {
            Self::NoCertificate => BrokenRule::new(
                "no_certificate_configured",
                "SAML Core §5.4",
                "give the connection the provider's metadata or a signing certificate",
            )
            .expected("a signing certificate that the connection trusts")
            .received("none"),
            Self::Missing { what } => BrokenRule::new(
                "signature_missing",
                "SAML Profiles §4.1.4.3",
                "have the provider sign what the connection asks for, or change what the connection asks for",
            )
            .expected(format!("a signed {what}"))
            .received("none"),
            Self::Algorithm { role, received } => BrokenRule::new(
                "algorithm_refused",
                "SAML2Int §2.4",
                "choose at the provider RSA or ECDSA with SHA-256, SHA-384 or SHA-512, and exclusive canonicalization",
            )
            .expected(format!("a {role} algorithm of the list"))
            .received(received),
            Self::OtherPair { wanted, received } => BrokenRule::new(
                "algorithm_refused",
                "SAML2Int §2.4",
                "have the provider sign with the hash of its key's curve: SHA-256 with P-256, SHA-384 with P-384, SHA-512 \
                 with P-521",
            )
            .expected(wanted)
            .received(received),
            Self::Sha1 => BrokenRule::new(
                "sha1_refused",
                "SAML2Int §2.4",
                "choose SHA-256 at the provider; a dated exception of the connection bridges the change",
            )
            .expected("SHA-256 or better")
            .received("SHA-1"),
            Self::WrongReference { expected, received } => {
                BrokenRule::new("signature_covers_other_element", "SAML Core §5.4.2", changed)
                    .expected(expected)
                    .received(received)
            }
            Self::NotBase64 { element } => {
                BrokenRule::new("signature_malformed", section, changed).expected("base64").received(element)
            }
            Self::NoCanonicalForm => {
                BrokenRule::new("canonical_form_missing", "Canonical XML 1.0 §1.1", changed)
                    .expected("the octets of the signed element")
                    .received("none")
            }
            Self::DigestMismatch { element } => {
                BrokenRule::new("digest_mismatch", section, changed)
                    .expected(format!("the {element} that was signed"))
                    .received(format!("another {element}"))
            }
            Self::NotTrusted { element, tried } => BrokenRule::new(
                "signature_not_trusted",
                "SAML Core §5.4.5",
                "if the provider changed its certificate, refresh its metadata or add the new certificate",
            )
            .expected(format!("a signature by one of {tried} configured certificates"))
            .received(element),
        }
    }
}

/// Whose signatures are believed.
#[derive(Clone, Copy)]
pub(crate) struct Trust<'a> {
    pub(crate) certificates: &'a [Certificate],
    pub(crate) sha1: Sha1,
}

/// Whether the dated exception for SHA-1 holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sha1 {
    Refused,
    Accepted,
}

impl Sha1 {
    pub(crate) fn at(until_s: Option<i64>, now_s: i64) -> Self {
        if until_s.is_some_and(|until_s| now_s < until_s) { Self::Accepted } else { Self::Refused }
    }
}

/// An element that a trusted key signed. Read from [`Verified::node`], which is of the tree that was canonicalised.
#[derive(Clone)]
pub(crate) struct Verified<'t> {
    node: Node<'t>,
    canonical: Vec<u8>,
    certificate: Certificate,
    used_sha1: bool,
}

impl<'t> Verified<'t> {
    pub(crate) fn node(&self) -> Node<'t> {
        self.node
    }

    /// The octets that the digest covered.
    pub(crate) fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(crate) fn used_sha1(&self) -> bool {
        self.used_sha1
    }

    /// A direct child of what was signed: signed with it.
    pub(crate) fn child(&self, name: Name) -> Option<Self> {
        let node = self.node.child(name)?;
        Some(Self { node, ..self.clone() })
    }

    /// What was encrypted inside of what was signed: `plaintext` is the root of its tree, `octets` what was decrypted.
    pub(crate) fn vouches_for<'p>(&self, plaintext: Node<'p>, octets: Vec<u8>) -> Verified<'p> {
        Verified {
            node: plaintext,
            canonical: octets,
            certificate: self.certificate.clone(),
            used_sha1: self.used_sha1,
        }
    }
}

/// Verifies the signature that is a direct child of `element`; none if it has no such child.
///
/// The shape of both was required before ([`crate::shape`]): one `SignedInfo`, one `Reference`, texts without comments.
pub(crate) fn verify<'t>(
    element: Node<'t>,
    trust: Trust<'_>,
) -> Result<Option<Verified<'t>>, SignatureError> {
    let Some(signature) = element.child(n::SIGNATURE) else {
        return Ok(None);
    };
    if trust.certificates.is_empty() {
        return Err(SignatureError::NoCertificate);
    }
    let parts = Parts::of(signature, element)?;
    let used_sha1 = parts.algorithm.is_sha1() || parts.digest == DigestAlgorithm::Sha1;
    if used_sha1 && trust.sha1 == Sha1::Refused {
        return Err(SignatureError::Sha1);
    }
    let signed_info = canonical(parts.signed_info, None, &parts.signed_info_prefixes)?;
    let certificate = find_signer(trust, parts.algorithm, &signed_info, &parts.value)
        .ok_or_else(|| untrusted(element, trust, (parts.algorithm, &parts.value)))?
        .clone();
    let canonical = canonical(element, Some(signature), &parts.element_prefixes)?;
    let digest = parts.digest.digest(&canonical);
    if verify_slices_are_equal(digest.as_ref(), &parts.digest_value).is_err() {
        return Err(SignatureError::DigestMismatch { element: shown(element.local()) });
    }
    Ok(Some(Verified { node: element, canonical, certificate, used_sha1 }))
}

/// The first certificate whose key made `value` over `signed`.
pub(crate) fn find_signer<'a>(
    trust: Trust<'a>,
    algorithm: SignatureAlgorithm,
    signed: &[u8],
    value: &[u8],
) -> Option<&'a Certificate> {
    let tried = trust.certificates.iter().take(MAX_CERTIFICATES);
    tried.into_iter().find(|certificate| certificate.verifies(algorithm, signed, value))
}

/// Why no certificate's key made that value.
pub(crate) fn untrusted(
    element: Node<'_>,
    trust: Trust<'_>,
    (algorithm, value): (SignatureAlgorithm, &[u8]),
) -> SignatureError {
    match algorithm.wanted_for(value) {
        Some(wanted) => SignatureError::OtherPair { wanted: wanted.uri(), received: algorithm.uri() },
        None => {
            SignatureError::NotTrusted { element: shown(element.local()), tried: trust.certificates.len() }
        }
    }
}

/// What a signature says of itself, read once.
struct Parts<'t> {
    signed_info: Node<'t>,
    signed_info_prefixes: Vec<&'t str>,
    element_prefixes: Vec<&'t str>,
    algorithm: SignatureAlgorithm,
    value: Vec<u8>,
    digest: DigestAlgorithm,
    digest_value: Vec<u8>,
}

impl<'t> Parts<'t> {
    fn of(signature: Node<'t>, element: Node<'t>) -> Result<Self, SignatureError> {
        let missing = || SignatureError::Missing { what: "element with a whole signature" };
        let signed_info = signature.child(n::SIGNED_INFO).ok_or_else(missing)?;
        let method = signed_info.child(n::CANONICALIZATION_METHOD).ok_or_else(missing)?;
        let reference = signed_info.child(n::REFERENCE).ok_or_else(missing)?;
        require_reference(reference, element)?;
        let value = signature.child(n::SIGNATURE_VALUE).ok_or_else(missing)?;
        let digest_value = reference.child(n::DIGEST_VALUE).ok_or_else(missing)?;
        Ok(Self {
            signed_info,
            signed_info_prefixes: exclusive(method, "canonicalization")?,
            element_prefixes: transforms(reference)?,
            algorithm: signature_algorithm(signed_info.child(n::SIGNATURE_METHOD))?,
            value: base64_of(value, "SignatureValue")?,
            digest: digest_algorithm(reference.child(n::DIGEST_METHOD))?,
            digest_value: base64_of(digest_value, "DigestValue")?,
        })
    }
}

/// The reference names the element that the signature stands in, by its own id (SAML Core §5.4.2).
fn require_reference(reference: Node<'_>, element: Node<'_>) -> Result<(), SignatureError> {
    let expected = format!("#{}", element.attribute("ID").unwrap_or_default());
    let received = reference.attribute("URI").unwrap_or_default();
    if expected.len() > 1 && received == expected {
        return Ok(());
    }
    Err(SignatureError::WrongReference { expected: shown(&expected), received: shown(received) })
}

/// Enveloped signature, then exclusive canonicalization, and nothing else; gives the latter's prefixes.
fn transforms<'t>(reference: Node<'t>) -> Result<Vec<&'t str>, SignatureError> {
    let list: Vec<Node<'t>> =
        reference.child(n::TRANSFORMS).map(|transforms| transforms.children().collect()).unwrap_or_default();
    let refused = |transform: Option<&Node<'_>>| SignatureError::Algorithm {
        role: "transform",
        received: transform.map_or_else(|| "none".to_owned(), |one| shown(algorithm_of(Some(*one)))),
    };
    match list.as_slice() {
        [enveloped, canonical] => {
            let has_no_prefixes = enveloped.children().next().is_none();
            if algorithm_of(Some(*enveloped)) != n::ENVELOPED || !has_no_prefixes {
                return Err(refused(Some(enveloped)));
            }
            exclusive(*canonical, "transform")
        }
        other => Err(refused(other.first())),
    }
}

/// The prefixes of exclusive canonicalization without comments; any other method is refused.
fn exclusive<'t>(method: Node<'t>, role: &'static str) -> Result<Vec<&'t str>, SignatureError> {
    let received = algorithm_of(Some(method));
    if received != n::EXC_C14N {
        return Err(SignatureError::Algorithm { role, received: shown(received) });
    }
    let list = method.child(n::INCLUSIVE_NAMESPACES).and_then(|list| list.attribute("PrefixList"));
    let prefixes: Vec<&str> = list.unwrap_or_default().split_ascii_whitespace().collect();
    if prefixes.len() > MAX_INCLUSIVE_PREFIXES {
        return Err(SignatureError::Algorithm { role, received: "too many prefixes".to_owned() });
    }
    Ok(prefixes)
}

fn signature_algorithm(method: Option<Node<'_>>) -> Result<SignatureAlgorithm, SignatureError> {
    let received = algorithm_of(method);
    SignatureAlgorithm::from_uri(received)
        .ok_or_else(|| SignatureError::Algorithm { role: "signature", received: shown(received) })
}

fn digest_algorithm(method: Option<Node<'_>>) -> Result<DigestAlgorithm, SignatureError> {
    let received = algorithm_of(method);
    DigestAlgorithm::from_uri(received)
        .ok_or_else(|| SignatureError::Algorithm { role: "digest", received: shown(received) })
}

fn algorithm_of(method: Option<Node<'_>>) -> &str {
    method.and_then(|method| method.attribute("Algorithm")).unwrap_or_default()
}

fn base64_of(node: Node<'_>, element: &'static str) -> Result<Vec<u8>, SignatureError> {
    let not_base64 = SignatureError::NotBase64 { element };
    let text = node.text().map_err(|_| not_base64.clone())?;
    parse_base64(text).filter(|bytes| !bytes.is_empty()).ok_or(not_base64)
}

/// The canonical octets of `element` without `left_out`. Never empty: an error is no empty text.
pub(crate) fn canonical(
    element: Node<'_>,
    left_out: Option<Node<'_>>,
    prefixes: &[&str],
) -> Result<Vec<u8>, SignatureError> {
    let document = element.document();
    let mut visible = NodeSet::tree_without_comments(element.id(), document);
    if let Some(left_out) = left_out {
        visible.remove_id(left_out.id());
        for id in document.descendants(left_out.id()) {
            visible.remove_id(id);
        }
    }
    let mut octets = Vec::new();
    canonicalize_doc_to(document, C14nMode::Exclusive, Some(&visible), prefixes, &mut octets)
        .map_err(|_| SignatureError::NoCanonicalForm)?;
    if octets.first() != Some(&b'<') {
        return Err(SignatureError::NoCanonicalForm);
    }
    Ok(octets)
}
