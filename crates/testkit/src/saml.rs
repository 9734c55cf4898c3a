//! An honest provider of SAML and an honest connection, from which each vector of the attack catalogue departs in one thing.
//!
//! Keys are made for the run, and another program signs: [`xmlsec`].
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that wants it")]

pub mod openssl;
pub mod xmlsec;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_saml::binding::FormMessage;
use portcullis_saml::certificate::Certificate;
use portcullis_saml::refusal::Refusal;
use portcullis_saml::response::{self, CbcEncryption, Expected, Identity, Proof, Rules, SignaturePolicy};
use portcullis_saml::subject::SubjectSource;

use self::xmlsec::{IDP, Somebody, sign_within};

/// The time, in seconds since 1970.
pub const NOW: i64 = 1_795_300_000;
/// The provider.
pub const IDP_ENTITY: &str = "https://idp.acme.test/metadata";
/// We, at that connection.
pub const SP_ENTITY: &str = "https://portcullis.test/sso/saml/con_1/metadata";
/// Where its answers go.
pub const ACS: &str = "https://portcullis.test/sso/saml/con_1/acs";
/// What we asked.
pub const REQUEST: &str = "_request-of-this-browser";
/// Whom the provider names.
pub const ADA: &str = "00u-ada";
/// Whom an attacker wants to be.
pub const MALLORY: &str = "00u-mallory";

/// The usual signature.
pub const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
/// The usual digest.
pub const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
/// The usual canonical form.
pub const EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// As SAML writes times.
pub fn at(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What an honest provider says, before it signs: `{assertion-signature}` and `{response-signature}` stand where
/// signatures belong.
pub fn honest() -> String {
    format!(
        r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_response" Version="2.0" IssueInstant="{issued}" Destination="{ACS}" InResponseTo="{REQUEST}"><saml:Issuer>{IDP_ENTITY}</saml:Issuer>{{response-signature}}<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>{assertion}</samlp:Response>"#,
        issued = at(NOW - 2),
        assertion = honest_assertion(),
    )
}

/// What it says of Ada, in that.
pub fn honest_assertion() -> String {
    format!(
        r#"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ID="_assertion" Version="2.0" IssueInstant="{issued}"><saml:Issuer>{IDP_ENTITY}</saml:Issuer>{{assertion-signature}}<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{ADA}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData InResponseTo="{REQUEST}" NotOnOrAfter="{soon}" Recipient="{ACS}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{before}" NotOnOrAfter="{soon}"><saml:AudienceRestriction><saml:Audience>{SP_ENTITY}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{before}" SessionIndex="_session" SessionNotOnOrAfter="{later}"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name="email" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic"><saml:AttributeValue xsi:type="xs:string">ada@acme.test</saml:AttributeValue></saml:Attribute><saml:Attribute Name="groups"><saml:AttributeValue>engineering</saml:AttributeValue><saml:AttributeValue>operators</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>"#,
        issued = at(NOW - 2),
        before = at(NOW - 60),
        soon = at(NOW + 300),
        later = at(NOW + 28_800),
    )
}

/// How a signature is made.
#[derive(Clone)]
pub struct Method {
    /// The signature algorithm.
    pub signature: String,
    /// The digest algorithm.
    pub digest: String,
    /// The element that names the canonical form.
    pub canonicalization: String,
    /// The transforms, as elements.
    pub transforms: String,
    /// What stands behind the value.
    pub key_info: &'static str,
}

impl Method {
    /// As most providers sign.
    pub fn usual() -> Self {
        Self {
            signature: RSA_SHA256.to_owned(),
            digest: SHA256.to_owned(),
            canonicalization: format!(r#"<ds:CanonicalizationMethod Algorithm="{EXC_C14N}"/>"#),
            transforms: format!(
                r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/><ds:Transform Algorithm="{EXC_C14N}"/>"#
            ),
            key_info: "<ds:KeyInfo><ds:X509Data/></ds:KeyInfo>",
        }
    }

    /// A signature that is not filled in yet.
    pub fn template(&self, uri: &str) -> String {
        format!(
            r#"<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>{}<ds:SignatureMethod Algorithm="{}"/><ds:Reference URI="{uri}"><ds:Transforms>{}</ds:Transforms><ds:DigestMethod Algorithm="{}"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/>{}</ds:Signature>"#,
            self.canonicalization, self.signature, self.transforms, self.digest, self.key_info
        )
    }
}

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// Nothing.
    Nothing,
    /// The assertion.
    Assertion,
    /// The response around it.
    Response,
    /// Both.
    Both,
}

/// The document, signed as usual by the provider.
pub fn sign(document: &str, what: Signed) -> String {
    sign_by(document, what, &Method::usual(), &IDP)
}

/// The document, signed so by somebody.
pub fn sign_by(document: &str, what: Signed, method: &Method, who: &Somebody) -> String {
    let mut document = document.to_owned();
    if matches!(what, Signed::Assertion | Signed::Both) {
        document = document.replace("{assertion-signature}", &method.template("#_assertion"));
        document = sign_within("Assertion", &document.replace("{response-signature}", "<placeholder/>"), who)
            .replace("<placeholder/>", "{response-signature}");
    }
    if matches!(what, Signed::Response | Signed::Both) {
        document = document.replace("{response-signature}", &method.template("#_response"));
        document = sign_within("Response", &document.replace("{assertion-signature}", ""), who);
    }
    document.replace("{assertion-signature}", "").replace("{response-signature}", "")
}

/// The honest response with a signed assertion, signed once.
pub static SIGNED_ASSERTION: LazyLock<String> = LazyLock::new(|| sign(&honest(), Signed::Assertion));
/// The honest response, itself signed.
pub static SIGNED_RESPONSE: LazyLock<String> = LazyLock::new(|| sign(&honest(), Signed::Response));

/// As a browser posts it.
pub fn form(field: &str, xml: &str) -> Vec<u8> {
    let value = STANDARD.encode(xml);
    format!("{field}={}&RelayState=relay-1", utf8_percent_encode(&value, NON_ALPHANUMERIC)).into_bytes()
}

/// The same, read.
pub fn message(xml: &str) -> FormMessage {
    FormMessage::parse(&form("SAMLResponse", xml)).unwrap()
}

/// Whom the connection trusts.
pub static CERTIFICATES: LazyLock<Vec<Certificate>> = LazyLock::new(|| vec![IDP.certificate.clone()]);

/// What the connection asks for.
pub fn rules<'a>() -> Rules<'a> {
    Rules {
        idp_entity_id: IDP_ENTITY,
        certificates: &CERTIFICATES,
        sp_entity_id: SP_ENTITY,
        acs_url: ACS,
        expected: Expected::Request { id: REQUEST },
        signatures: SignaturePolicy::AssertionOrResponse,
        decryption_keys: &[],
        cbc: CbcEncryption::Refused,
        sha1_until_s: None,
        contexts: &[],
        proof: Proof::AtAnyTime,
        subject: &SubjectSource::NameId,
        skew_s: 180,
        now_s: NOW,
    }
}

/// What the connection makes of a document.
pub fn verify(xml: &str) -> Result<Identity, Refusal> {
    response::verify(&message(xml), &rules())
}

/// The same under other rules.
pub fn verify_by<'a>(xml: &str, change: impl FnOnce(&mut Rules<'a>)) -> Result<Identity, Refusal> {
    let mut rules = rules();
    change(&mut rules);
    response::verify(&message(xml), &rules)
}

/// The code of a refusal, or `accepted`.
pub fn code_of<T>(result: Result<T, Refusal>) -> &'static str {
    result.map_or_else(|refusal| refusal.code(), |_| "accepted")
}

/// What stands from the begin of the first element of this (prefixed) name to its end.
pub fn part<'a>(document: &'a str, name: &str) -> &'a str {
    let from = document.find(&format!("<{name}")).unwrap();
    let end = format!("</{name}>");
    let to = from + document[from..].find(&end).unwrap() + end.len();
    &document[from..to]
}

/// The document with `old`, which stands in it exactly once or more, replaced by `new`.
pub fn with(document: &str, old: &str, new: &str) -> String {
    assert!(document.contains(old), "the fixture has no {old}");
    document.replace(old, new)
}

/// The honest response with a change before the assertion is signed.
pub fn signed_with(old: &str, new: &str) -> String {
    sign(&with(&honest(), old, new), Signed::Assertion)
}
