//! A provider of SAML that signs by itself whom a test names: for tests that need many sign-ins. That we understand
//! providers which others wrote is `saml_peer`'s business.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_domain::Timestamp;
use portcullis_emulator::{Browser, Page};
use portcullis_saml::key::{Issue, OwnKey};
use portcullis_saml::provider;
use serde_json::Value;

use crate::harness::{now, text};

const ENTITY: &str = "https://saml.idp.test/entity";
const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";

/// Whom the provider has before it.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The opaque name that stays theirs.
    pub name_id: &'a str,
    pub email: &'a str,
    /// The attribute `groups`; `None`: nothing is said of groups.
    pub groups: Option<&'a [&'a str]>,
}

/// The provider. It has two keys, the first of which signs.
pub struct SamlIdp {
    keys: [OwnKey; 2],
    made: AtomicU64,
}

fn key(serial: u8) -> OwnKey {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let (not_before_s, not_after_s) = (now().plus_s(-60).seconds(), now().plus_s(365 * 86_400).seconds());
    let issue = Issue { name: "saml.idp.test", serial: &[serial; 16], not_before_s, not_after_s };
    OwnKey::self_signed(&OwnKey::pkcs8_of(&pair).unwrap(), &issue).unwrap()
}

impl SamlIdp {
    pub fn new() -> Self {
        Self { keys: [key(7), key(8)], made: AtomicU64::new(0) }
    }

    /// Its metadata, with both keys.
    pub fn metadata(&self) -> String {
        let keys: String = self
            .keys
            .iter()
            .map(|key| {
                let certificate = STANDARD.encode(key.certificate().der());
                format!(
                    r#"<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"#
                )
            })
            .collect();
        format!(
            r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{ENTITY}"><md:IDPSSODescriptor protocolSupportEnumeration="{PROTOCOL}">{keys}<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://saml.idp.test/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>"#
        )
    }

    /// The fingerprint of the certificate whose key signs, as the administration API names it.
    pub fn fingerprint(&self) -> String {
        self.keys[0].certificate().fingerprint().replace(':', "").to_lowercase()
    }

    /// Goes through a sign-in at that connection in that browser, as its page would be taken there and back.
    pub async fn sign_in(&self, browser: &mut Browser, connection: &Value, who: &Subject<'_>) -> Page {
        let (page, next) = browser.step(&text(connection, "login_url")).await.unwrap();
        let next = next.unwrap_or_else(|| panic!("{} {}", page.status, page.body));
        let query: BTreeMap<String, String> = next.query_pairs().into_owned().collect();
        let mut request = String::new();
        let deflated = STANDARD.decode(&query["SAMLRequest"]).unwrap();
        flate2::read::DeflateDecoder::new(&deflated[..]).read_to_string(&mut request).unwrap();
        let asked = request.split_once(" ID=\"").unwrap().1.split_once('"').unwrap().0;
        let answer = STANDARD.encode(self.answer(connection, asked, who));
        let fields = [("SAMLResponse", answer.as_str()), ("RelayState", &query["RelayState"])];
        browser.submit(&text(connection, "acs_url"), &fields).await.unwrap()
    }

    fn answer(&self, connection: &Value, asked: &str, who: &Subject<'_>) -> String {
        let (acs, audience) = (text(connection, "acs_url"), text(connection, "entity_id"));
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let (response, assertion) = (format!("_response-{number}"), format!("_assertion-{number}"));
        let now: Timestamp = now();
        let [issued, before, until] = [0, -60, 300].map(|seconds| now.plus_s(seconds).rfc3339());
        let Subject { name_id, email, groups } = who;
        let attribute = |name: &str, values: &[&str]| {
            let values: String =
                values.iter().map(|v| format!("<saml:AttributeValue>{v}</saml:AttributeValue>")).collect();
            format!(r#"<saml:Attribute Name="{name}">{values}</saml:Attribute>"#)
        };
        let attributes =
            attribute("email", &[email]) + &groups.map_or_else(String::new, |g| attribute("groups", g));
        let xml = format!(
            r#"<samlp:Response xmlns:samlp="{PROTOCOL}" xmlns:saml="{ASSERTION}" ID="{response}" Version="2.0" IssueInstant="{issued}" Destination="{acs}" InResponseTo="{asked}"><saml:Issuer>{ENTITY}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><saml:Assertion ID="{assertion}" Version="2.0" IssueInstant="{issued}"><saml:Issuer>{ENTITY}</saml:Issuer><saml:Subject><saml:NameID Format="{PERSISTENT}">{name_id}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="{until}" Recipient="{acs}" InResponseTo="{asked}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{before}" NotOnOrAfter="{until}"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{issued}" SessionIndex="_session-{number}"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion></samlp:Response>"#
        );
        provider::sign(&xml, &assertion, &self.keys[0]).unwrap()
    }
}
