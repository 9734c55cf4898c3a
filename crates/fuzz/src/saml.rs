//! SAML: a response, single logout, and the provider's metadata.
//!
//! A signature cannot be kept in a corpus, because keys are made for the run. An input may therefore hold `{signed}`
//! (an assertion that the provider signed), `{evil}` (the same about somebody else, unsigned) and `{signature}`,
//! `{signed-response}` (which is signed as a whole, around an assertion that is not), `{both-signed}`, `{response-signature}`,
//! `{signed-metadata}` and `{metadata-signature}`; what a fuzzer moves around are these. However it does, the only person who
//! ever comes out is the one who was signed, and the only metadata under a pinned key.
//!
//! What stands between `{seal}` and `{end}` is encrypted for us when the input is tried, by the key that `{wrapped}` brings
//! (`{hide}` and `{show}` are the whole of it around that), so that a fuzzer changes what comes out of decryption too.

use std::str;
use std::sync::LazyLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PrivateDecryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_saml::attribute::{MAX_ATTRIBUTES, MAX_VALUES};
use portcullis_saml::binding::{
    Binding, FormMessage, Incoming, MAX_RELAY_STATE_BYTES, MessageKind, Outgoing, QueryMessage,
};
use portcullis_saml::certificate::Certificate;
use portcullis_saml::key::{Issue, OwnKey};
use portcullis_saml::logout::{self, LogoutOutcome, LogoutRules};
use portcullis_saml::metadata::{
    CODES, IdpMetadata, KeyUse, MAX_ENDPOINTS, MAX_KEYS, MetadataError, MetadataTrust, parse_idp,
};
use portcullis_saml::provider;
use portcullis_saml::refusal::Refusal;
use portcullis_saml::response::{self, CbcEncryption, Expected, Proof, Rules, SignaturePolicy};
use portcullis_saml::subject::SubjectSource;

use crate::{Taken, refusal};

const NOW: i64 = 1_795_343_200;
const IDP: &str = "https://idp.acme.test";
const SP: &str = "https://portcullis.test/sp";
const ACS: &str = "https://portcullis.test/acs";
const REQUEST: &str = "_request";
/// What surrounds an input that is only the inside of a response.
const HEAD: &str = r#"<p:Response xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" ID="_response" Version="2.0" IssueInstant="2026-11-22T10:26:40Z" InResponseTo="_request"><p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></p:Status>"#;
const ASSERTION: &str = r#"<a:Assertion xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" ID="_assertion" Version="2.0" IssueInstant="2026-11-22T10:26:40Z"><a:Issuer>https://idp.acme.test</a:Issuer><a:Subject><a:NameID>ada</a:NameID><a:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><a:SubjectConfirmationData InResponseTo="_request" NotOnOrAfter="2026-11-22T10:30:00Z" Recipient="https://portcullis.test/acs"/></a:SubjectConfirmation></a:Subject><a:Conditions><a:AudienceRestriction><a:Audience>https://portcullis.test/sp</a:Audience></a:AudienceRestriction></a:Conditions><a:AuthnStatement AuthnInstant="2026-11-22T10:26:40Z"><a:AuthnContext/></a:AuthnStatement><a:AttributeStatement><a:Attribute Name="groups"><a:AttributeValue>eng</a:AttributeValue></a:Attribute></a:AttributeStatement></a:Assertion>"#;
const LOGOUT: &str = r#"<p:LogoutRequest xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" ID="_logout" Version="2.0" IssueInstant="2026-11-22T10:26:40Z" Destination="https://portcullis.test/acs"><a:Issuer>https://idp.acme.test</a:Issuer><a:NameID>ada</a:NameID></p:LogoutRequest>"#;
const NAME: &str = "<a:NameID>ada</a:NameID>";
const ANSWER: &str = r#"<p:LogoutResponse xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" ID="_answer" Version="2.0" IssueInstant="2026-11-22T10:26:40Z" Destination="https://portcullis.test/acs" InResponseTo="_request"><a:Issuer>https://idp.acme.test</a:Issuer><p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></p:Status></p:LogoutResponse>"#;
const TAIL: &str = "</p:Response>";
const METADATA: &str = r#"<m:EntityDescriptor xmlns:m="urn:oasis:names:tc:SAML:2.0:metadata" ID="_m" entityID="https://idp.acme.test" validUntil="2027-01-01T00:00:00Z"><m:IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><m:KeyDescriptor use="signing"><d:KeyInfo xmlns:d="http://www.w3.org/2000/09/xmldsig#"><d:X509Data><d:X509Certificate>{certificate}</d:X509Certificate></d:X509Data></d:KeyInfo></m:KeyDescriptor><m:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.acme.test/slo" ResponseLocation="https://idp.acme.test/slr"/><m:NameIDFormat>urn:x</m:NameIDFormat><m:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.acme.test/sso"/><m:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="http://localhost:8080/sso"/></m:IDPSSODescriptor></m:EntityDescriptor>"#;
/// What surrounds something that is encrypted, before and behind it.
const HIDE: &str = r#"<x:EncryptedData xmlns:x="http://www.w3.org/2001/04/xmlenc#" xmlns:d="http://www.w3.org/2000/09/xmldsig#"><x:EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#aes256-gcm"/><d:KeyInfo><x:EncryptedKey><x:EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#rsa-oaep"><d:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><m:MGF xmlns:m="http://www.w3.org/2009/xmlenc11#" Algorithm="http://www.w3.org/2009/xmlenc11#mgf1sha256"/></x:EncryptionMethod><x:CipherData><x:CipherValue>{wrapped}</x:CipherValue></x:CipherData></x:EncryptedKey></d:KeyInfo><x:CipherData><x:CipherValue>{seal}"#;
const SHOW: &str = "{end}</x:CipherValue></x:CipherData></x:EncryptedData>";
/// Encrypts what is encrypted for us.
const CONTENT_KEY: [u8; 32] = [7; 32];

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let honest = Honest::make().unwrap_or_else(|| panic!("keys can be made, and they sign"));
    assert!(honest.is_believed().is_ok(), "what is behind a true signature is reached by no input");
    honest
});

struct Honest {
    certificates: [Certificate; 1],
    own: [OwnKey; 1],
    /// [`CONTENT_KEY`], encrypted for `own`.
    wrapped: String,
    assertion: String,
    signature: String,
    /// The assertion unsigned, in a response that is.
    response: String,
    response_signature: String,
    both: String,
    /// Signed metadata, and what is believed of it.
    metadata: String,
    metadata_signature: String,
    idp: IdpMetadata,
    logout: String,
    /// The same of somebody whose name is encrypted for us.
    logout_hidden: String,
    answer: String,
    /// The same as signed queries.
    logout_query: String,
    answer_query: String,
}

/// A key, and its private half.
fn pair(name: &str) -> Option<(OwnKey, Vec<u8>)> {
    let pkcs8 = OwnKey::pkcs8_of(&KeyPair::generate(KeySize::Rsa2048).ok()?).ok()?;
    let issue = Issue { name, serial: &[1; 16], not_before_s: NOW - 60, not_after_s: NOW + 60 };
    Some((OwnKey::self_signed(&pkcs8, &issue).ok()?, pkcs8.to_vec()))
}

fn query_of(xml: &str, kind: MessageKind, key: &OwnKey) -> Option<String> {
    let dispatch =
        provider::Dispatch { xml, kind, binding: Binding::Redirect, destination: ACS, relay_state: None };
    match provider::send(&dispatch, Some(key)).ok()? {
        Outgoing::Redirect { url } => Some(url.split_once('?')?.1.to_owned()),
        Outgoing::Form { .. } => None,
    }
}

fn wrapped_for(pkcs8: &[u8]) -> Option<String> {
    let public = PrivateDecryptingKey::from_pkcs8(pkcs8).ok()?.public_key();
    let public = OaepPublicEncryptingKey::new(public).ok()?;
    let mut wrapped = vec![0; public.ciphertext_size()];
    let wrapped = public.encrypt(&OAEP_SHA256_MGF1SHA256, &CONTENT_KEY, &mut wrapped, None).ok()?;
    Some(STANDARD.encode(wrapped))
}

/// Encrypted by [`CONTENT_KEY`].
fn sealed(plain: &str) -> Option<String> {
    let (nonce, mut octets) = ([9; 12], plain.as_bytes().to_vec());
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &CONTENT_KEY).ok()?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut octets).ok()?;
    Some(STANDARD.encode([&nonce[..], &octets].concat()))
}

/// The first signature of a document.
fn signature_of(signed: &str) -> Option<String> {
    let from = signed.find("<ds:Signature ")?;
    let to = signed.find("</ds:Signature>")? + "</ds:Signature>".len();
    signed.get(from..to).map(str::to_owned)
}

/// Seals what stands between the marks.
fn with_seals(text: &str) -> String {
    let (mut whole, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{seal}") {
        let (plain, behind) = after.split_once("{end}").unwrap_or((after, ""));
        whole.push_str(before);
        whole.push_str(&sealed(plain).unwrap_or_default());
        rest = behind;
    }
    whole + rest
}

impl Honest {
    fn make() -> Option<Self> {
        let (key, _) = pair("idp")?;
        let (own, own_pkcs8) = pair("portcullis")?;
        let wrapped = wrapped_for(&own_pkcs8)?;
        let name = NAME.replace("<a:NameID", r#"<a:NameID xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion""#);
        let hidden = format!("<a:EncryptedID>{HIDE}{name}{SHOW}</a:EncryptedID>");
        let hidden = with_seals(&LOGOUT.replace(NAME, &hidden).replace("{wrapped}", &wrapped));
        let assertion = provider::sign(ASSERTION, "_assertion", &key).ok()?;
        // What is signed says where it goes.
        let addressed = HEAD.replacen(" ID=", &format!(r#" Destination="{ACS}" ID="#), 1);
        let whole =
            |inside: &str| provider::sign(&format!("{addressed}{inside}{TAIL}"), "_response", &key).ok();
        let response = whole(ASSERTION)?;
        let certificates = [key.certificate().clone()];
        let described = METADATA.replace("{certificate}", &STANDARD.encode(key.certificate().der()));
        let metadata = provider::sign(&described, "_m", &key).ok()?;
        let idp = parse_idp(metadata.as_bytes(), MetadataTrust::Pinned(&certificates), NOW).ok()?;
        Some(Self {
            signature: signature_of(&assertion)?,
            both: whole(&assertion)?,
            response_signature: signature_of(&response)?,
            response,
            metadata_signature: signature_of(&metadata)?,
            metadata,
            idp,
            assertion,
            logout: provider::sign(LOGOUT, "_logout", &key).ok()?,
            logout_hidden: provider::sign(&hidden, "_logout", &key).ok()?,
            answer: provider::sign(ANSWER, "_answer", &key).ok()?,
            logout_query: query_of(LOGOUT, MessageKind::Request, &key)?,
            answer_query: query_of(ANSWER, MessageKind::Response, &key)?,
            certificates,
            own: [own],
            wrapped,
        })
    }

    fn filled(&self, input: &str) -> String {
        let evil = ASSERTION.replace("ada", "mallory").replace("eng<", "owners<");
        let certificate = self.certificates.first().map(|one| STANDARD.encode(one.der())).unwrap_or_default();
        let whole = input
            .replace("{head}", HEAD)
            .replace("{certificate}", &certificate)
            .replace("{signed-response}", &self.response)
            .replace("{response-signature}", &self.response_signature)
            .replace("{both-signed}", &self.both)
            .replace("{signed-metadata}", &self.metadata)
            .replace("{metadata-signature}", &self.metadata_signature)
            .replace("{hide}", HIDE)
            .replace("{show}", SHOW)
            .replace("{wrapped}", &self.wrapped)
            .replace("{signed}", &self.assertion)
            .replace("{evil}", &evil)
            .replace("{signature}", &self.signature)
            .replace("{logout}", &self.logout)
            .replace("{logout-hidden}", &self.logout_hidden)
            .replace("{answer}", &self.answer)
            .replace("{logout-query}", &self.logout_query)
            .replace("{answer-query}", &self.answer_query);
        with_seals(&whole)
    }

    /// What an honest provider sends is believed, each kind of it: else a target would see refusals only.
    fn is_believed(&self) -> Result<(), Refusal> {
        let posted =
            |field: &str, input: &str| FormMessage::parse(&form(field, &self.octets(input.as_bytes())));
        let hidden = "{head}<a:EncryptedAssertion>{hide}{signed}{show}</a:EncryptedAssertion></p:Response>";
        for input in ["{head}{signed}</p:Response>", "{signed-response}", "{both-signed}", hidden] {
            response::verify(&posted("SAMLResponse", input)?, &rules(self))?;
        }
        let rules = logout_rules(self);
        for input in ["{logout}", "{logout-hidden}"] {
            let form = posted("SAMLRequest", input)?;
            logout::verify_request(Incoming::Form(&form), &rules)?.asks().map_err(Clone::clone)?;
        }
        logout::verify_response(Incoming::Form(&posted("SAMLResponse", "{answer}")?), REQUEST, &rules)?;
        let request = QueryMessage::parse(&self.logout_query)?;
        logout::verify_request(Incoming::Query(&request), &rules)?;
        let answer = QueryMessage::parse(&self.answer_query)?;
        logout::verify_response(Incoming::Query(&answer), REQUEST, &rules).map(|_| ())
    }

    /// What an input stands for.
    fn octets(&self, bytes: &[u8]) -> Vec<u8> {
        str::from_utf8(bytes).map_or_else(|_| bytes.to_vec(), |text| self.filled(text).into_bytes())
    }
}

fn form(field: &str, xml: &[u8]) -> Vec<u8> {
    format!("{field}={}", utf8_percent_encode(&STANDARD.encode(xml), NON_ALPHANUMERIC)).into_bytes()
}

fn of_refusal(refusal: &Refusal) {
    refusal::of_saml_rule(&refusal.broken());
}

fn rules(honest: &Honest) -> Rules<'_> {
    Rules {
        idp_entity_id: IDP,
        certificates: &honest.certificates,
        sp_entity_id: SP,
        acs_url: ACS,
        expected: Expected::Request { id: REQUEST },
        signatures: SignaturePolicy::AssertionOrResponse,
        decryption_keys: &honest.own,
        cbc: CbcEncryption::Refused,
        sha1_until_s: None,
        contexts: &[],
        proof: Proof::AtAnyTime,
        subject: &SubjectSource::NameId,
        skew_s: 180,
        now_s: NOW,
    }
}

/// A response: whoever comes out was signed, and everything that is said of them stands in the octets of the digest.
pub(crate) fn response(bytes: &[u8], taken: &mut Taken) {
    let honest = &*HONEST;
    let message = match FormMessage::parse(&form("SAMLResponse", &honest.octets(bytes))) {
        Ok(message) => message,
        Err(error) => return of_refusal(&Refusal::from(error)),
    };
    match response::verify(&message, &rules(honest)) {
        Ok(identity) => {
            require_policies(&message, taken);
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
    let unsigned = response::verify(&message, &Rules { certificates: &[], ..rules(honest) });
    assert!(unsigned.is_err(), "believed without a certificate");
}

/// A connection that asks for more than one of both signatures believes what has them, and no more.
fn require_policies(message: &FormMessage, taken: &mut Taken) {
    let is_believed = |signatures| response::verify(message, &Rules { signatures, ..rules(&HONEST) }).is_ok();
    let (assertion, response) =
        (is_believed(SignaturePolicy::Assertion), is_believed(SignaturePolicy::Response));
    let both = is_believed(SignaturePolicy::Both);
    assert!(assertion || response, "believed, and neither is signed");
    assert_eq!(both, assertion && response, "both signatures are not the one and the other");
    let notes = [(assertion, "signed assertion"), (response, "signed response"), (both, "both signed")];
    notes.into_iter().filter(|(is_so, _)| *is_so).for_each(|(_, what)| taken.note(what));
}

fn logout_rules(honest: &Honest) -> LogoutRules<'_> {
    LogoutRules {
        idp_entity_id: IDP,
        certificates: &honest.certificates,
        logout_url: ACS,
        decryption_keys: &honest.own,
        cbc: CbcEncryption::Refused,
        sha1_until_s: None,
        skew_s: 180,
        now_s: NOW,
    }
}

/// Logout, in a form and as a query: what is believed is what was signed.
pub(crate) fn logout(bytes: &[u8], taken: &mut Taken) {
    let octets = HONEST.octets(bytes);
    for field in ["SAMLRequest", "SAMLResponse"] {
        match FormMessage::parse(&form(field, &octets)) {
            Ok(message) => {
                believed(Incoming::Form(&message), ["request in a form", "answer in a form"], taken);
            }
            Err(error) => of_refusal(&Refusal::from(error)),
        }
    }
    let Ok(query) = str::from_utf8(&octets) else { return };
    match QueryMessage::parse(query) {
        Ok(message) => {
            assert!(message.relay_state().is_none_or(|state| state.len() <= MAX_RELAY_STATE_BYTES));
            believed(Incoming::Query(&message), ["request in a query", "answer in a query"], taken);
        }
        Err(error) => of_refusal(&Refusal::from(error)),
    }
}

/// Both readings of one message, as a request and as an answer.
fn believed(message: Incoming<'_>, [a_request, an_answer]: [&'static str; 2], taken: &mut Taken) {
    let rules = logout_rules(&HONEST);
    let request = logout::verify_request(message, &rules);
    match &request {
        Ok(signed) => {
            taken.note(a_request);
            let name = signed.asks().map(|request| request.name_id().value.as_str());
            assert_eq!((signed.id(), name), ("_logout", Ok("ada")));
        }
        Err(refusal) => of_refusal(refusal),
    }
    let answer = logout::verify_response(message, REQUEST, &rules);
    match &answer {
        Ok(outcome) => {
            taken.note(an_answer);
            assert_eq!(*outcome, LogoutOutcome::Success);
        }
        Err(refusal) => of_refusal(refusal),
    }
    let strangers = LogoutRules { certificates: &[], ..rules };
    assert!(logout::verify_request(message, &strangers).is_err(), "believed without a certificate");
    assert!(logout::verify_response(message, REQUEST, &strangers).is_err(), "believed without a certificate");
}

/// Metadata: what is taken has a name, somewhere to sign in over TLS or on this machine, and a key that may sign; under a
/// pinned key it is what was signed.
pub(crate) fn metadata(bytes: &[u8], taken: &mut Taken) {
    let honest = &*HONEST;
    let xml = honest.octets(bytes);
    match parse_idp(&xml, MetadataTrust::Channel, NOW) {
        Ok(metadata) => {
            taken.note("unsigned");
            require_usable(&metadata);
        }
        Err(error) => of_metadata(&error),
    }
    match parse_idp(&xml, MetadataTrust::Pinned(&honest.certificates), NOW) {
        Ok(metadata) => {
            taken.note("pinned");
            assert_eq!(metadata, honest.idp, "metadata that nobody signed is believed");
        }
        Err(error) => of_metadata(&error),
    }
    let strangers = parse_idp(&xml, MetadataTrust::Pinned(&[]), NOW);
    assert!(strangers.is_err(), "believed without a certificate");
}

fn of_metadata(error: &MetadataError) {
    let rule = error.broken();
    assert!(CODES.iter().any(|(code, _)| *code == rule.code), "{rule:?}");
    refusal::of_saml_rule(&rule);
}

fn require_usable(metadata: &IdpMetadata) {
    assert!((1..=1_024).contains(&metadata.entity_id.len()));
    assert!(metadata.valid_until_s.is_none_or(|until_s| until_s > NOW));
    assert!((1..=MAX_ENDPOINTS).contains(&metadata.sign_on.len()) && metadata.keys.len() <= MAX_KEYS);
    assert!(metadata.keys.iter().any(|key| key.key_use != KeyUse::Encryption));
    for endpoint in metadata.sign_on.iter().chain(&metadata.logout) {
        let location = url::Url::parse(&endpoint.location);
        let is_fit = location.is_ok_and(|url| {
            url.scheme() == "https" || matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
        });
        assert!(is_fit, "{}", endpoint.location);
    }
}
