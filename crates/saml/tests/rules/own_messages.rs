//! What we send: verified by the program `xmlsec1`, and by the provider's reading of the octets.

use std::io::Read as _;

use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::DeflateDecoder;
use percent_encoding::percent_decode_str;
use portcullis_saml::binding::{Binding, Outgoing};
use portcullis_saml::key::{Issue, KeyError, OwnKey};
use portcullis_saml::request::{self, Authentication, AuthnRequest, MessageId, RequestError};
use portcullis_saml::sp_metadata::{RequestSigning, ServiceProvider, sp_metadata};

use portcullis_testkit::saml::xmlsec::{STRANGER, WE, verifies};
use portcullis_testkit::saml::*;

const SSO: &str = "https://idp.acme.test/sso?tenant=1";

fn request<'a>(id: &'a MessageId, contexts: &'a [String]) -> AuthnRequest<'a> {
    AuthnRequest {
        id,
        now_s: NOW,
        sp_entity_id: SP_ENTITY,
        acs_url: ACS,
        destination: SSO,
        authentication: Authentication::Forced,
        contexts,
    }
}

fn own() -> &'static OwnKey {
    WE.own.as_ref().unwrap()
}

fn parameter<'a>(query: &'a str, name: &str) -> &'a str {
    query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap()
}

fn decoded(value: &str) -> Vec<u8> {
    STANDARD.decode(percent_decode_str(value).decode_utf8().unwrap().as_bytes()).unwrap()
}

#[test]
fn a_request_in_a_query_is_deflated_and_signed_over_the_octets_that_are_sent() {
    let id = MessageId::from_random(&[0xab; 20]);
    let sent = request::send(&request(&id, &[]), Binding::Redirect, Some("rs-1/+"), Some(own())).unwrap();
    let Outgoing::Redirect { url } = sent else { panic!("{sent:?}") };
    let query = url.strip_prefix("https://idp.acme.test/sso?tenant=1&").unwrap();
    let mut xml = String::new();
    DeflateDecoder::new(decoded(parameter(query, "SAMLRequest")).as_slice())
        .read_to_string(&mut xml)
        .unwrap();
    for piece in [
        format!("ID=\"_{}\"", "ab".repeat(20)),
        format!("IssueInstant=\"{}\"", at(NOW)),
        format!("AssertionConsumerServiceURL=\"{ACS}\""),
        format!("Destination=\"{SSO}\""),
        "ForceAuthn=\"true\"".to_owned(),
        "AllowCreate=\"true\"".to_owned(),
        format!("<saml:Issuer>{SP_ENTITY}</saml:Issuer>"),
    ] {
        assert!(xml.contains(&piece), "{piece} in {xml}");
    }
    assert!(!xml.contains("Signature") && !xml.contains("Format="));
    let (signed, value) = query.rsplit_once("&Signature=").unwrap();
    assert!(signed.starts_with("SAMLRequest=") && signed.contains("&RelayState=rs-1%2F%2B&SigAlg="));
    let public = aws_lc_rs::rsa::KeyPair::from_pkcs8(&WE.pkcs8).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.public_key().as_ref());
    public.verify(signed.as_bytes(), &decoded(value)).unwrap();
    assert!(public.verify(signed.replace("rs-1", "rs-2").as_bytes(), &decoded(value)).is_err());
}

#[test]
fn a_request_in_a_form_is_signed_inside_and_another_implementation_verifies_it() {
    let id = MessageId::from_random(&[1; 20]);
    let contexts = ["urn:a&b".to_owned()];
    let sent = request::send(&request(&id, &contexts), Binding::Post, Some("rs"), Some(own())).unwrap();
    let Outgoing::Form { action, field, value, relay_state } = sent else { panic!("{sent:?}") };
    assert_eq!((action.as_str(), field, relay_state.as_deref()), (SSO, "SAMLRequest", Some("rs")));
    let xml = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
    assert_eq!(verifies("AuthnRequest", &xml, &WE), Ok(()));
    assert!(verifies("AuthnRequest", &xml, &STRANGER).is_err());
    assert!(verifies("AuthnRequest", &xml.replace("urn:a&amp;b", "urn:a&amp;c"), &WE).is_err());
    let unsigned = request::send(&request(&id, &[]), Binding::Post, None, None).unwrap();
    assert!(matches!(unsigned, Outgoing::Form { relay_state: None, .. }));
}

#[test]
fn what_cannot_be_said_is_refused_before_it_is_sent() {
    let id = MessageId::from_random(&[1; 20]);
    let send = |change: &dyn Fn(&mut AuthnRequest<'_>)| {
        let mut request = request(&id, &[]);
        change(&mut request);
        request::send(&request, Binding::Redirect, None, None).map(|_| ())
    };
    assert_eq!(send(&|_| {}), Ok(()));
    assert_eq!(send(&|one| one.destination = "javascript:alert(1)"), Err(RequestError::BadEndpoint));
    assert_eq!(send(&|one| one.destination = "https://idp.test/sso#x"), Err(RequestError::BadEndpoint));
    assert_eq!(send(&|one| one.sp_entity_id = "a\u{1}b"), Err(RequestError::Unwritable { name: "Issuer" }));
    assert_eq!(send(&|one| one.now_s = i64::MAX), Err(RequestError::Unwritable { name: "IssueInstant" }));
    let long = "x".repeat(81);
    let refused = request::send(&request(&id, &[]), Binding::Redirect, Some(&long), None);
    assert_eq!(refused, Err(RequestError::RelayStateTooLong { bytes: 81 }));
}

#[test]
fn our_metadata_shows_every_key_of_a_rotation_and_another_implementation_verifies_it() {
    let provider = ServiceProvider {
        entity_id: SP_ENTITY,
        acs_url: ACS,
        logout_url: Some("https://portcullis.test/sso/saml/con_1/slo"),
        signing: &[&WE.certificate, &STRANGER.certificate],
        encryption: &[&WE.certificate],
        requests: RequestSigning::Signed,
        valid_until_s: Some(NOW + 86_400),
    };
    let id = MessageId::from_random(&[2; 20]);
    let xml = sp_metadata(&provider, &id, Some(own())).unwrap();
    assert_eq!(verifies("EntityDescriptor", &xml, &WE), Ok(()));
    assert!(verifies("EntityDescriptor", &xml.replace(ACS, "https://evil.test/acs"), &WE).is_err());
    for piece in [
        "WantAssertionsSigned=\"true\"",
        "AuthnRequestsSigned=\"true\"",
        &format!("entityID=\"{SP_ENTITY}\""),
        &format!("validUntil=\"{}\"", at(NOW + 86_400)),
        "cacheDuration=\"P1D\"",
        &STANDARD.encode(STRANGER.certificate.der()),
        "aes256-gcm",
        "nameid-format:persistent</md:NameIDFormat><md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress<",
    ] {
        assert!(xml.contains(piece), "{piece}");
    }
    assert_eq!(xml.matches("use=\"signing\"").count(), 2);
    assert_eq!(xml.matches("<md:SingleLogoutService").count(), 2);
    let unsigned = sp_metadata(&provider, &id, None).unwrap();
    assert!(!unsigned.contains("Signature "));
}

#[test]
fn a_key_of_ours_says_what_it_was_told_and_shows_nothing_else() {
    let name = "https://portcullis.test/a/very/long/entity/id/that/no/common/name/can/hold/whole";
    let issue = Issue { name, serial: &[0xff; 16], not_before_s: NOW, not_after_s: NOW + 9 };
    let key = OwnKey::self_signed(&WE.pkcs8, &issue).unwrap();
    assert_eq!((key.certificate().not_before_s(), key.certificate().not_after_s()), (NOW, NOW + 9));
    assert_eq!(key.certificate().subject(), format!("CN={}", &name[..64]));
    assert_eq!(key.certificate().fingerprint().len(), 95);
    let shown = format!("{key:?}");
    assert_eq!(shown, format!("OwnKey {{ certificate: \"{}\", .. }}", key.certificate().fingerprint()));
    assert_eq!(OwnKey::new(&WE.pkcs8, STRANGER.certificate.der()).unwrap_err(), KeyError::Mismatch);
    assert_eq!(OwnKey::new(b"nonsense", WE.certificate.der()).unwrap_err(), KeyError::Rejected);
}
