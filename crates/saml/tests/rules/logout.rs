//! Single logout: what the provider asks and answers, in both bindings, and that we understand what we say ourselves.

use std::io::Write as _;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_saml::binding::{Binding, FormMessage, Incoming, MessageKind, Outgoing, QueryMessage};
use portcullis_saml::key::OwnKey;
use portcullis_saml::logout::{self, Farewell, LogoutOutcome, LogoutRequest, LogoutRules};
use portcullis_saml::provider::{self, Dispatch};
use portcullis_saml::refusal::Refusal;
use portcullis_saml::request::MessageId;
use portcullis_saml::response::CbcEncryption;
use portcullis_saml::subject::{NameId, NameIdFormat};

use crate::encryption::{CBC_128, GCM_256, OAEP, encrypted, keys};
use portcullis_testkit::saml::xmlsec::{IDP, STRANGER, Somebody, WE, sign_within, verifies};
use portcullis_testkit::saml::*;

const SLO: &str = "https://portcullis.test/sso/saml/con_1/slo";

fn rules() -> LogoutRules<'static> {
    LogoutRules {
        idp_entity_id: IDP_ENTITY,
        certificates: &CERTIFICATES,
        logout_url: SLO,
        decryption_keys: &[],
        cbc: CbcEncryption::Refused,
        sha1_until_s: None,
        skew_s: 180,
        now_s: NOW,
    }
}

fn request() -> String {
    format!(
        r#"<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_logout" Version="2.0" IssueInstant="{}" Destination="{SLO}" NotOnOrAfter="{}"><saml:Issuer>{IDP_ENTITY}</saml:Issuer>{{signature}}<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{ADA}</saml:NameID><samlp:SessionIndex>_session</samlp:SessionIndex></samlp:LogoutRequest>"#,
        at(NOW - 2),
        at(NOW + 60),
    )
}

fn response(status: &str) -> String {
    format!(
        r#"<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_answer" Version="2.0" IssueInstant="{}" Destination="{SLO}" InResponseTo="_ours"><saml:Issuer>{IDP_ENTITY}</saml:Issuer>{{signature}}<samlp:Status>{status}</samlp:Status></samlp:LogoutResponse>"#,
        at(NOW - 2),
    )
}

const SUCCESS: &str = r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>"#;

/// In a form, with a signature inside.
fn posted(field: &str, xml: &str, who: &Somebody) -> FormMessage {
    let (element, id) = if xml.contains("LogoutRequest") {
        ("LogoutRequest", "#_logout")
    } else {
        ("LogoutResponse", "#_answer")
    };
    let xml = sign_within(element, &xml.replace("{signature}", &Method::usual().template(id)), who);
    FormMessage::parse(&form(field, &xml)).unwrap()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What stands before `Signature` in a query.
fn query(field: &str, xml: &str, algorithm: &str) -> String {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(xml.replace("{signature}", "").as_bytes()).unwrap();
    let value = encoded(&STANDARD.encode(encoder.finish().unwrap()));
    format!("{field}={value}&RelayState=rs%2d1&SigAlg={}", encoded(algorithm))
}

fn signed_query(query: &str, who: &Somebody) -> String {
    let pair = KeyPair::from_pkcs8(&who.pkcs8).unwrap();
    let mut value = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), query.as_bytes(), &mut value).unwrap();
    format!("{query}&Signature={}", encoded(&STANDARD.encode(value)))
}

/// What a request asks that the provider has signed.
fn asked(incoming: Incoming<'_>, rules: &LogoutRules<'_>) -> Result<LogoutRequest, Refusal> {
    logout::verify_request(incoming, rules)?.asks().cloned().map_err(Clone::clone)
}

fn verify_form(message: &FormMessage) -> Result<LogoutRequest, Refusal> {
    asked(Incoming::Form(message), &rules())
}

fn verify_query(query: &str) -> Result<LogoutRequest, Refusal> {
    asked(Incoming::Query(&QueryMessage::parse(query).unwrap()), &rules())
}

#[test]
fn a_signed_request_of_either_binding_names_person_and_session() {
    let by_form = verify_form(&posted("SAMLRequest", &request(), &IDP)).unwrap();
    let by_query = verify_query(&signed_query(&query("SAMLRequest", &request(), RSA_SHA256), &IDP)).unwrap();
    for found in [by_form, by_query] {
        assert_eq!((found.id(), found.session_indexes()), ("_logout", &["_session".to_owned()][..]));
        let of_sign_in = verify(&SIGNED_ASSERTION).unwrap().name_id().unwrap().clone();
        assert!(found.name_id().is_same(&of_sign_in));
        assert!(found.replay_until_s() >= NOW + 600);
    }
}

#[test]
fn a_name_that_is_encrypted_for_us_names_the_same_person_and_only_inside_of_a_signed_request() {
    let plain = part(&request(), "saml:NameID").to_owned();
    let name = plain.replacen(
        "<saml:NameID",
        r#"<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion""#,
        1,
    );
    let with =
        |inner: &str| request().replace(&plain, &format!("<saml:EncryptedID>{inner}</saml:EncryptedID>"));
    let hidden = with(&encrypted(&name, GCM_256, OAEP, &WE));
    let keys = keys();
    let by = |keys: &[OwnKey], cbc, xml: &str, who: &Somebody| {
        let rules = LogoutRules { decryption_keys: keys, cbc, ..rules() };
        let form = asked(Incoming::Form(&posted("SAMLRequest", xml, who)), &rules);
        let query = signed_query(&query("SAMLRequest", xml, RSA_SHA256), who);
        let query = QueryMessage::parse(&query).unwrap();
        assert!(!xml.contains(ADA), "{xml}");
        let query = asked(Incoming::Query(&query), &rules);
        assert_eq!(form.is_ok(), query.is_ok(), "both bindings alike");
        form
    };
    let refused = CbcEncryption::Refused;
    let found = by(&keys, refused, &hidden, &IDP).unwrap();
    let of_sign_in = verify(&SIGNED_ASSERTION).unwrap().name_id().unwrap().clone();
    assert!(found.name_id().is_same(&of_sign_in));
    assert_eq!(
        code_of(by(&keys, refused, &hidden, &STRANGER)),
        "signature_not_trusted",
        "before it is opened"
    );
    assert_eq!(code_of(by(&[], refused, &hidden, &IDP)), "decryption_key_missing");
    let not_for_us = with(&encrypted(&name, GCM_256, OAEP, &IDP));
    assert_eq!(code_of(by(&keys, refused, &not_for_us, &IDP)), "decryption_failed");
    let cbc = with(&encrypted(&name, CBC_128, OAEP, &WE));
    assert_eq!(code_of(by(&keys, refused, &cbc, &IDP)), "cbc_refused");
    assert!(by(&keys, CbcEncryption::InsideSignedResponse, &cbc, &IDP).is_ok());
    let nobody = request().replace(&plain, "");
    assert_eq!(code_of(verify_form(&posted("SAMLRequest", &nobody, &IDP))), "name_id_missing");
}

#[test]
fn s34_an_unsigned_request_ends_nobodys_session() {
    let bare = request().replace("{signature}", "");
    let form = FormMessage::parse(&form("SAMLRequest", &bare)).unwrap();
    assert_eq!(code_of(verify_form(&form)), "signature_missing");
    let unsigned = query("SAMLRequest", &request(), RSA_SHA256);
    assert_eq!(code_of(verify_query(&unsigned)), "signature_missing");
    assert_eq!(code_of(verify_form(&posted("SAMLRequest", &request(), &STRANGER))), "signature_not_trusted");
    assert_eq!(code_of(verify_query(&signed_query(&unsigned, &STRANGER))), "signature_not_trusted");
    // A signature inside does not replace the one of the query.
    let inside = sign_within(
        "LogoutRequest",
        &request().replace("{signature}", &Method::usual().template("#_logout")),
        &IDP,
    );
    assert_eq!(code_of(verify_query(&query("SAMLRequest", &inside, RSA_SHA256))), "signature_missing");
    let no_keys = LogoutRules { certificates: &[], ..rules() };
    let signed = QueryMessage::parse(&signed_query(&unsigned, &IDP)).unwrap();
    assert_eq!(
        code_of(logout::verify_request(Incoming::Query(&signed), &no_keys)),
        "no_certificate_configured"
    );
}

#[test]
fn the_signature_of_a_query_covers_the_octets_as_they_came() {
    let honest = signed_query(&query("SAMLRequest", &request(), RSA_SHA256), &IDP);
    assert_eq!(code_of(verify_query(&honest)), "accepted");
    // Parameters may come in any order; what is signed has one.
    let (rest, signature) = honest.rsplit_once('&').unwrap();
    assert_eq!(code_of(verify_query(&format!("{signature}&extra=1&{rest}"))), "accepted");
    for (from, to) in
        [("rs%2d1", "rs-1"), ("rs%2d1", "rs%2D1"), ("&RelayState=rs%2d1", ""), ("rs%2d1", "rs%2d2")]
    {
        assert_eq!(code_of(verify_query(&with(&honest, from, to))), "signature_not_trusted", "{from} {to}");
    }
    let other = query("SAMLRequest", &request().replace(ADA, MALLORY), RSA_SHA256);
    assert_eq!(code_of(verify_query(&format!("{other}&{signature}"))), "signature_not_trusted");
    for algorithm in ["http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", "none"] {
        let refused = verify_query(&signed_query(&query("SAMLRequest", &request(), algorithm), &IDP));
        assert_eq!(code_of(refused), "algorithm_refused");
    }
    let sha1 =
        signed_query(&query("SAMLRequest", &request(), "http://www.w3.org/2000/09/xmldsig#rsa-sha1"), &IDP);
    assert_eq!(code_of(verify_query(&sha1)), "sha1_refused");
}

#[test]
fn a_request_is_held_to_issuer_place_and_time() {
    let code = |from: &str, to: &str| {
        code_of(verify_form(&posted("SAMLRequest", &with(&request(), from, to), &IDP)))
    };
    assert_eq!(code(IDP_ENTITY, "https://idp.other.test"), "issuer_mismatch");
    assert_eq!(code(SLO, "https://portcullis.test/sso/saml/con_2/slo"), "destination_mismatch");
    assert_eq!(code(&format!("Destination=\"{SLO}\""), ""), "destination_mismatch");
    assert_eq!(code(&at(NOW - 2), &at(NOW - 781)), "issued_too_far_away");
    assert_eq!(code(&at(NOW - 2), &at(NOW - 780)), "accepted");
    assert_eq!(code(&at(NOW - 2), &at(NOW + 181)), "issued_too_far_away");
    assert_eq!(code(&at(NOW + 60), &at(NOW - 180)), "issued_too_far_away");
    assert_eq!(code(&at(NOW + 60), &at(NOW - 179)), "accepted");
    assert_eq!(code(&at(NOW + 60), "soon"), "time_invalid");
    let late = with(&request(), &at(NOW - 2), &at(NOW - 781));
    let by = |who| logout::verify_request(Incoming::Form(&posted("SAMLRequest", &late, who)), &rules());
    assert_eq!(by(&IDP).unwrap().id(), "_logout", "the provider is told so");
    assert_eq!(code_of(by(&STRANGER)), "signature_not_trusted", "and nobody else");
    assert_eq!(code("Version=\"2.0\"", "Version=\"1.1\""), "version_unsupported");
    assert_eq!(code(ADA, "00u<!-- -->-ada"), "comment_in_value");
    let encrypted = part(&request(), "saml:NameID").to_owned();
    assert_eq!(code(&encrypted, "<saml:EncryptedID/>"), "element_missing");
    let indexes = "<samlp:SessionIndex>_session</samlp:SessionIndex>";
    assert_eq!(code(indexes, &indexes.repeat(100)), "accepted");
    assert_eq!(code(indexes, &indexes.repeat(101)), "element_repeated");
    assert_eq!(code(indexes, ""), "accepted");
}

#[test]
fn a_response_answers_the_request_of_ours_and_says_how_it_went() {
    let partial = r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:PartialLogout"/></samlp:StatusCode>"#;
    let failed = r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"/>"#;
    for (status, outcome) in [
        (SUCCESS, LogoutOutcome::Success),
        (partial, LogoutOutcome::Partial),
        (failed, LogoutOutcome::Failed),
    ] {
        let message = posted("SAMLResponse", &response(status), &IDP);
        let verified = |expected| logout::verify_response(Incoming::Form(&message), expected, &rules());
        assert_eq!(verified("_ours").unwrap(), outcome);
        assert_eq!(code_of(verified("_others")), "in_response_to_mismatch");
        assert_eq!(code_of(verified("")), "in_response_to_mismatch");
        assert_eq!(code_of(verify_form(&message)), "message_of_other_kind");
    }
    let answer =
        QueryMessage::parse(&signed_query(&query("SAMLResponse", &response(SUCCESS), RSA_SHA256), &IDP))
            .unwrap();
    let outcome = logout::verify_response(Incoming::Query(&answer), "_ours", &rules());
    assert_eq!(outcome.unwrap(), LogoutOutcome::Success);
    let request = posted("SAMLRequest", &request(), &IDP);
    assert_eq!(
        code_of(logout::verify_response(Incoming::Form(&request), "_ours", &rules())),
        "message_of_other_kind"
    );
    // A sign-in response is no logout response, signed as it may be.
    let sign_in = FormMessage::parse(&form("SAMLResponse", &SIGNED_RESPONSE)).unwrap();
    assert_eq!(
        code_of(logout::verify_response(Incoming::Form(&sign_in), "_ours", &rules())),
        "message_of_other_kind"
    );
}

fn farewell(id: &MessageId, binding: Binding) -> Farewell<'_> {
    Farewell {
        id,
        now_s: NOW,
        sp_entity_id: SP_ENTITY,
        destination: "https://idp.acme.test/slo",
        binding,
        relay_state: Some("rs"),
    }
}

/// The message as the other side would receive it.
fn received(sent: &Outgoing) -> (Option<QueryMessage>, Option<FormMessage>) {
    match sent {
        Outgoing::Redirect { url } => {
            (Some(QueryMessage::parse(url.split_once('?').unwrap().1).unwrap()), None)
        }
        Outgoing::Form { field, value, .. } => {
            (None, Some(FormMessage::parse(format!("{field}={}", encoded(value)).as_bytes()).unwrap()))
        }
    }
}

#[test]
fn what_we_say_is_understood_by_our_own_reading_and_signed_for_another() {
    let own = WE.own.as_ref().unwrap();
    let name_id = NameId {
        value: "ada&co".to_owned(),
        format: NameIdFormat::EmailAddress,
        name_qualifier: Some(IDP_ENTITY.to_owned()),
        sp_name_qualifier: None,
    };
    let ours = [WE.certificate.clone()];
    let theirs = LogoutRules {
        idp_entity_id: SP_ENTITY,
        certificates: &ours,
        logout_url: "https://idp.acme.test/slo",
        decryption_keys: &[],
        cbc: CbcEncryption::Refused,
        ..rules()
    };
    let id = MessageId::from_random(&[3; 20]);
    for binding in [Binding::Redirect, Binding::Post] {
        let sent = logout::send_request(&farewell(&id, binding), &name_id, Some("_s"), own).unwrap();
        let (query, form) = received(&sent);
        let incoming = query.as_ref().map(Incoming::Query).or(form.as_ref().map(Incoming::Form)).unwrap();
        let read = asked(incoming, &theirs).unwrap();
        assert_eq!((read.id(), read.name_id()), (id.as_str(), &name_id));
        for outcome in [LogoutOutcome::Success, LogoutOutcome::Partial, LogoutOutcome::Failed] {
            let sent = logout::send_response(&farewell(&id, binding), "_theirs", outcome, own).unwrap();
            let (query, form) = received(&sent);
            let incoming = query.as_ref().map(Incoming::Query).or(form.as_ref().map(Incoming::Form)).unwrap();
            assert_eq!(logout::verify_response(incoming, "_theirs", &theirs).unwrap(), outcome);
            if let Outgoing::Form { value, .. } = &sent {
                let xml = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
                assert_eq!(verifies("LogoutResponse", &xml, &WE), Ok(()));
            }
        }
    }
}

#[test]
fn the_stand_in_of_a_provider_signs_what_this_room_and_another_implementation_verify() {
    let key = IDP.own.as_ref().unwrap();
    let bare = honest().replace("{assertion-signature}", "").replace("{response-signature}", "");
    let assertion = provider::sign(&bare, "_assertion", key).unwrap();
    let both = provider::sign(&assertion, "_response", key).unwrap();
    assert_eq!(verifies("Assertion", &assertion, &IDP), Ok(()));
    assert_eq!(verifies("Response", &both, &IDP), Ok(()));
    assert_eq!(code_of(verify(&assertion)), "accepted");
    assert_eq!(code_of(verify(&both)), "accepted");
    assert!(provider::sign(&bare, "_nobody", key).is_err());
    let bare = request().replace("{signature}", "");
    let dispatch = |binding, xml| Dispatch {
        xml,
        kind: MessageKind::Request,
        binding,
        destination: SLO,
        relay_state: None,
    };
    let sent = provider::send(&dispatch(Binding::Redirect, &bare), Some(key)).unwrap();
    assert_eq!(
        code_of(verify_query(match &sent {
            Outgoing::Redirect { url } => url.split_once('?').unwrap().1,
            Outgoing::Form { .. } => "",
        })),
        "accepted"
    );
    let signed = provider::sign(&bare, "_logout", key).unwrap();
    let sent = provider::send(&dispatch(Binding::Post, &signed), None).unwrap();
    assert_eq!(code_of(verify_form(&received(&sent).1.unwrap())), "accepted");
}
