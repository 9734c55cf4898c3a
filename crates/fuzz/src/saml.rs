//! SAML: a response, single logout, and the provider's metadata.
//!
//! A signature cannot be kept in a corpus, because keys are made for the run. An input may therefore hold `{signed}`
//! (an assertion that the provider signed), `{evil}` (the same about somebody else, unsigned) and `{signature}`; what a
//! fuzzer moves around are these. However it does, the only person who ever comes out is the one who was signed.

use std::str;
use std::sync::LazyLock;

use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_saml::attribute::{MAX_ATTRIBUTES, MAX_VALUES};
use portcullis_saml::binding::{FormMessage, Incoming, MAX_RELAY_STATE_BYTES, QueryMessage};
use portcullis_saml::certificate::Certificate;
use portcullis_saml::key::{Issue, OwnKey};
use portcullis_saml::logout::{self, LogoutRules};
use portcullis_saml::metadata::{CODES, KeyUse, MAX_ENDPOINTS, MAX_KEYS, MetadataTrust, parse_idp};
use portcullis_saml::provider;
use portcullis_saml::refusal::Refusal;
use portcullis_saml::response::{self, CbcEncryption, Expected, Proof, Rules, SignaturePolicy};
use portcullis_saml::subject::SubjectSource;

use crate::refusal;

const NOW: i64 = 1_795_343_200;
const IDP: &str = "https://idp.acme.test";
const SP: &str = "https://portcullis.test/sp";
const ACS: &str = "https://portcullis.test/acs";
const REQUEST: &str = "_request";
/// What surrounds an input that is only the inside of a response.
const HEAD: &str = r#"<p:Response xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" ID="_response" Version="2.0" IssueInstant="2026-11-22T10:26:40Z" InResponseTo="_request"><p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></p:Status>"#;
const ASSERTION: &str = r#"<a:Assertion xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" ID="_assertion" Version="2.0" IssueInstant="2026-11-22T10:26:40Z"><a:Issuer>https://idp.acme.test</a:Issuer><a:Subject><a:NameID>ada</a:NameID><a:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><a:SubjectConfirmationData InResponseTo="_request" NotOnOrAfter="2026-11-22T10:30:00Z" Recipient="https://portcullis.test/acs"/></a:SubjectConfirmation></a:Subject><a:Conditions><a:AudienceRestriction><a:Audience>https://portcullis.test/sp</a:Audience></a:AudienceRestriction></a:Conditions><a:AuthnStatement AuthnInstant="2026-11-22T10:26:40Z"><a:AuthnContext/></a:AuthnStatement><a:AttributeStatement><a:Attribute Name="groups"><a:AttributeValue>eng</a:AttributeValue></a:Attribute></a:AttributeStatement></a:Assertion>"#;
const LOGOUT: &str = r#"<p:LogoutRequest xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" ID="_logout" Version="2.0" IssueInstant="2026-11-22T10:26:40Z" Destination="https://portcullis.test/acs"><a:Issuer>https://idp.acme.test</a:Issuer><a:NameID>ada</a:NameID></p:LogoutRequest>"#;

static HONEST: LazyLock<Honest> =
    LazyLock::new(|| Honest::make().unwrap_or_else(|| panic!("a key can be made and signs")));

struct Honest {
    certificates: [Certificate; 1],
    assertion: String,
    signature: String,
    logout: String,
}

impl Honest {
    fn make() -> Option<Self> {
        let pkcs8 = OwnKey::pkcs8_of(&KeyPair::generate(KeySize::Rsa2048).ok()?).ok()?;
        let issue = Issue { name: "idp", serial: &[1; 16], not_before_s: NOW - 60, not_after_s: NOW + 60 };
        let key = OwnKey::self_signed(&pkcs8, &issue).ok()?;
        let assertion = provider::sign(ASSERTION, "_assertion", &key).ok()?;
        let from = assertion.find("<ds:Signature ")?;
        let to = assertion.find("</ds:Signature>")? + "</ds:Signature>".len();
        Some(Self {
            certificates: [key.certificate().clone()],
            signature: assertion.get(from..to)?.to_owned(),
            assertion,
            logout: provider::sign(LOGOUT, "_logout", &key).ok()?,
        })
    }

    fn filled(&self, input: &str) -> String {
        let evil = ASSERTION.replace("ada", "mallory").replace("eng<", "owners<");
        input
            .replace("{head}", HEAD)
            .replace("{signed}", &self.assertion)
            .replace("{evil}", &evil)
            .replace("{signature}", &self.signature)
            .replace("{logout}", &self.logout)
    }
}

fn form(field: &str, xml: &[u8]) -> Vec<u8> {
    format!("{field}={}", utf8_percent_encode(&STANDARD.encode(xml), NON_ALPHANUMERIC)).into_bytes()
}

fn of_refusal(refusal: &Refusal) {
    refusal::of_saml_rule(&refusal.broken());
}

/// A response: whoever comes out was signed, and everything that is said of them stands in the octets of the digest.
pub(crate) fn response(bytes: &[u8]) {
    let honest = &*HONEST;
    let xml = str::from_utf8(bytes).map_or_else(|_| bytes.to_vec(), |text| honest.filled(text).into_bytes());
    let message = match FormMessage::parse(&form("SAMLResponse", &xml)) {
        Ok(message) => message,
        Err(error) => return of_refusal(&Refusal::from(error)),
    };
    let rules = Rules {
        idp_entity_id: IDP,
        certificates: &honest.certificates,
        sp_entity_id: SP,
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
    };
    match response::verify(&message, &rules) {
        Ok(identity) => {
            assert_eq!(identity.name_id().map(|name_id| name_id.value.as_str()), Some("ada"));
            assert_eq!(
                identity.attributes().find("groups").map(|one| one.values.as_slice()),
                Some(&["eng".to_owned()][..])
            );
            assert!(identity.attributes().all().len() <= MAX_ATTRIBUTES);
            let values: usize = identity.attributes().all().iter().map(|one| one.values.len()).sum();
            assert!(values <= MAX_VALUES);
            let covered = str::from_utf8(identity.signed()).unwrap_or_default();
            assert!(
                covered.contains(">ada<") && covered.contains(">eng<") && !covered.contains("mallory"),
                "{covered}"
            );
        }
        Err(refusal) => of_refusal(&refusal),
    }
    let unsigned = response::verify(&message, &Rules { certificates: &[], ..rules });
    assert!(unsigned.is_err(), "believed without a certificate");
}

/// Logout, in a form and as a query: a request that is believed is the one that was signed.
pub(crate) fn logout(bytes: &[u8]) {
    let honest = &*HONEST;
    let rules = LogoutRules {
        idp_entity_id: IDP,
        certificates: &honest.certificates,
        logout_url: ACS,
        decryption_keys: &[],
        cbc: CbcEncryption::Refused,
        sha1_until_s: None,
        skew_s: 180,
        now_s: NOW,
    };
    let xml = str::from_utf8(bytes).map_or_else(|_| bytes.to_vec(), |text| honest.filled(text).into_bytes());
    if let Ok(message) = FormMessage::parse(&form("SAMLRequest", &xml)) {
        match logout::verify_request(Incoming::Form(&message), &rules) {
            Ok(signed) => {
                let name = signed.asks().map(|request| request.name_id().value.as_str());
                assert_eq!((signed.id(), name), ("_logout", Ok("ada")));
            }
            Err(refusal) => of_refusal(&refusal),
        }
    }
    let Ok(query) = str::from_utf8(bytes) else { return };
    match QueryMessage::parse(query) {
        Ok(message) => {
            assert!(message.relay_state().is_none_or(|state| state.len() <= MAX_RELAY_STATE_BYTES));
            assert!(
                logout::verify_request(Incoming::Query(&message), &rules).is_err(),
                "no query is signed here"
            );
        }
        Err(error) => of_refusal(&Refusal::from(error)),
    }
}

/// Metadata: what is taken has a name, somewhere to sign in over TLS or on this machine, and a key that may sign.
pub(crate) fn metadata(bytes: &[u8]) {
    let honest = &*HONEST;
    let certificate = honest.certificates.first().map(|one| STANDARD.encode(one.der())).unwrap_or_default();
    let xml = str::from_utf8(bytes)
        .map_or_else(|_| bytes.to_vec(), |text| text.replace("{certificate}", &certificate).into_bytes());
    match parse_idp(&xml, MetadataTrust::Channel, NOW) {
        Ok(metadata) => {
            assert!((1..=1_024).contains(&metadata.entity_id.len()));
            assert!(metadata.valid_until_s.is_none_or(|until_s| until_s > NOW));
            assert!((1..=MAX_ENDPOINTS).contains(&metadata.sign_on.len()) && metadata.keys.len() <= MAX_KEYS);
            assert!(metadata.keys.iter().any(|key| key.key_use != KeyUse::Encryption));
            for endpoint in metadata.sign_on.iter().chain(&metadata.logout) {
                let location = url::Url::parse(&endpoint.location);
                let is_fit = location.is_ok_and(|url| {
                    url.scheme() == "https"
                        || matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
                });
                assert!(is_fit, "{}", endpoint.location);
            }
        }
        Err(error) => {
            let rule = error.broken();
            assert!(CODES.iter().any(|(code, _)| *code == rule.code), "{rule:?}");
            refusal::of_saml_rule(&rule);
        }
    }
    let pinned = parse_idp(&xml, MetadataTrust::Pinned(&honest.certificates), NOW);
    assert!(pinned.is_err(), "metadata that nobody signed is believed");
}
