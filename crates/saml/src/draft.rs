//! Messages of ours: written as text, signed inside or in the query, made ready for the browser.
//!
//! Here because requests, logout and metadata are signed the same way. A draft knows where its signature belongs; what
//! is signed is canonicalised by the code that verifies, from a tree of the text that is sent.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::binding::{Binding, MessageKind, Outgoing};
use crate::document::{MESSAGE, Tree};
use crate::encoding::{base64, is_writable, percent_encoded, xml};
use crate::key::OwnKey;
use crate::names as n;
use crate::request::RequestError;
use crate::signature::canonical;

/// A message of ours before it is signed: what stands before the signature and behind it.
pub(crate) struct Draft {
    pub(crate) id: String,
    pub(crate) head: String,
    pub(crate) tail: String,
}

impl Draft {
    /// The text without a signature.
    pub(crate) fn unsigned(&self) -> String {
        format!("{}{}", self.head, self.tail)
    }

    /// The text with an enveloped signature (SAML Core §5.4).
    pub(crate) fn signed(&self, key: &OwnKey) -> Result<String, RequestError> {
        let signature = signature(&self.id, &octets_of(&self.unsigned())?, key)?;
        Ok(format!("{}{signature}{}", self.head, self.tail))
    }

    /// Ready for the browser, in a form with a signature inside or in a query with one beside it.
    pub(crate) fn send(&self, way: &Way<'_>, signer: Option<&OwnKey>) -> Result<Outgoing, RequestError> {
        let is_url = ["https://", "http://"].iter().any(|scheme| way.destination.starts_with(scheme));
        if !is_url || !is_writable(way.destination) || way.destination.contains('#') {
            return Err(RequestError::BadEndpoint);
        }
        let field = match way.kind {
            MessageKind::Request => "SAMLRequest",
            MessageKind::Response => "SAMLResponse",
        };
        match way.binding {
            Binding::Post => {
                let text = signer.map_or_else(|| Ok(self.unsigned()), |key| self.signed(key))?;
                Ok(Outgoing::Form {
                    action: way.destination.to_owned(),
                    field,
                    value: base64(text),
                    relay_state: way.relay_state.map(str::to_owned),
                })
            }
            Binding::Redirect => self.redirect(way, field, signer),
        }
    }

    /// The signature covers the query as it is sent, octet for octet (SAML Bindings §3.4.4.1).
    fn redirect(
        &self,
        way: &Way<'_>,
        field: &str,
        signer: Option<&OwnKey>,
    ) -> Result<Outgoing, RequestError> {
        let deflated =
            deflate(self.unsigned().as_bytes()).ok_or(RequestError::Unwritable { name: "message" })?;
        let mut query = format!("{field}={}", percent_encoded(&base64(deflated)));
        if let Some(relay_state) = way.relay_state {
            query.push_str(&format!("&RelayState={}", percent_encoded(relay_state)));
        }
        if let Some(key) = signer {
            query.push_str(&format!("&SigAlg={}", percent_encoded(SignatureAlgorithm::RsaSha256.uri())));
            let value = key.sign(query.as_bytes()).ok_or(RequestError::NotSigned)?;
            query.push_str(&format!("&Signature={}", percent_encoded(&base64(value))));
        }
        let separator = if way.destination.contains('?') { '&' } else { '?' };
        Ok(Outgoing::Redirect { url: format!("{}{separator}{query}", way.destination) })
    }
}

/// A signature by `key` over the canonical `octets` of the element with the id.
pub(crate) fn signature(id: &str, octets: &[u8], key: &OwnKey) -> Result<String, RequestError> {
    let signed_info = format!(
        "<ds:SignedInfo xmlns:ds=\"{dsig}\"><ds:CanonicalizationMethod Algorithm=\"{c14n}\"/>\
         <ds:SignatureMethod Algorithm=\"{method}\"/><ds:Reference URI=\"#{id}\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{enveloped}\"/><ds:Transform Algorithm=\"{c14n}\"/></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{digest_method}\"/><ds:DigestValue>{digest}</ds:DigestValue>\
         </ds:Reference></ds:SignedInfo>",
        dsig = n::DSIG,
        c14n = n::EXC_C14N,
        enveloped = n::ENVELOPED,
        method = SignatureAlgorithm::RsaSha256.uri(),
        digest_method = DigestAlgorithm::Sha256.uri(),
        digest = base64(DigestAlgorithm::Sha256.digest(octets)),
        id = xml(id),
    );
    let value = key.sign(&octets_of(&signed_info)?).ok_or(RequestError::NotSigned)?;
    Ok(format!(
        "<ds:Signature xmlns:ds=\"{dsig}\">{signed_info}<ds:SignatureValue>{value}</ds:SignatureValue>\
         <ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>\
         </ds:Signature>",
        dsig = n::DSIG,
        value = base64(value),
        certificate = base64(key.certificate().der()),
    ))
}

/// How a message travels.
pub(crate) struct Way<'a> {
    pub(crate) kind: MessageKind,
    pub(crate) binding: Binding,
    pub(crate) destination: &'a str,
    pub(crate) relay_state: Option<&'a str>,
}

/// `name="value"` with a space before it; nothing for an absent value.
pub(crate) fn attribute(name: &'static str, value: Option<&str>) -> Result<String, RequestError> {
    match value {
        None => Ok(String::new()),
        Some(value) if is_writable(value) => Ok(format!(" {name}=\"{}\"", xml(value))),
        Some(_) => Err(RequestError::Unwritable { name }),
    }
}

/// Text between tags.
pub(crate) fn text(name: &'static str, value: &str) -> Result<String, RequestError> {
    if is_writable(value) { Ok(xml(value)) } else { Err(RequestError::Unwritable { name }) }
}

fn octets_of(document: &str) -> Result<Vec<u8>, RequestError> {
    let unwritable = RequestError::Unwritable { name: "message" };
    let tree = Tree::parse(document.as_bytes(), &MESSAGE).map_err(|_| unwritable.clone())?;
    let root = tree.root().ok_or_else(|| unwritable.clone())?;
    canonical(root, None, &[]).map_err(|_| unwritable)
}

fn deflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}
