//! The packages `xml-crypto` and `xml-encryption`: the implementation that npm's SAML libraries stand on, with a
//! canonicalisation of its own. What it signs and encrypts is understood, and it verifies what we sign.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::PrivateDecryptingKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_saml::attribute::Listed;
use portcullis_saml::binding::{Binding, Outgoing};
use portcullis_saml::key::OwnKey;
use portcullis_saml::request::{self, Authentication, AuthnRequest, MessageId};
use portcullis_saml::response::CbcEncryption;
use serde_json::{Value, json};

use portcullis_testkit::saml::xmlsec::{IDP, STRANGER, Somebody, WE, pem};
use portcullis_testkit::saml::*;

/// The folder where `cargo xtask setup` puts peers: beside the folder that cargo gives to tests.
#[expect(clippy::disallowed_methods, reason = "the test runner says where its peers are")]
fn peers() -> PathBuf {
    let beside = || Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("peers");
    std::env::var("PORTCULLIS_TEST_PEERS").map_or_else(|_| beside(), PathBuf::from)
}

fn ask(jobs: &[Value]) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/saml_signer.mjs");
    let mut child = Command::new(peers().join("bin/node"))
        .arg(script)
        .env("PORTCULLIS_TEST_PEERS", peers())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("peers are installed: `cargo xtask setup`");
    child.stdin.take().unwrap().write_all(json!(jobs).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the peer failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn certificate(who: &Somebody) -> String {
    pem("CERTIFICATE", who.certificate.der())
}

fn to_sign(
    xml: &str,
    element: &str,
    signature: &str,
    digest: &str,
    prefixes: &[&str],
    who: &Somebody,
) -> Value {
    json!({
        "do": "sign", "xml": xml, "element": element, "signature": signature, "digest": digest,
        "prefixes": prefixes, "key": pem("PRIVATE KEY", &who.pkcs8), "certificate": certificate(who),
    })
}

fn bare() -> String {
    honest().replace("{assertion-signature}", "").replace("{response-signature}", "")
}

#[test]
fn what_npm_s_implementation_signs_is_understood() {
    let sha512 = "http://www.w3.org/2001/04/xmlenc#sha512";
    let pretty = bare().replace("><", ">\n  <").replace(">\n  </", "></");
    let entities = bare().replace("engineering", "R&amp;D &lt;\u{e9}&#xE9;&quot;&#9;");
    let jobs = [
        to_sign(&bare(), "Assertion", RSA_SHA256, SHA256, &[], &IDP),
        to_sign(&bare(), "Response", RSA_SHA256, SHA256, &[], &IDP),
        to_sign(&bare(), "Assertion", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", sha512, &[], &IDP),
        to_sign(&bare(), "Response", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", SHA256, &[], &IDP),
        to_sign(&pretty, "Assertion", RSA_SHA256, SHA256, &[], &IDP),
        to_sign(&entities, "Assertion", RSA_SHA256, SHA256, &[], &IDP),
        to_sign(&bare(), "Assertion", RSA_SHA256, SHA256, &[], &STRANGER),
        to_sign(&bare(), "Assertion", RSA_SHA256, SHA256, &["xs"], &IDP),
    ];
    let answers = ask(&jobs);
    for (index, xml) in answers.iter().take(5).enumerate() {
        let identity = verify(xml).unwrap_or_else(|refusal| panic!("{index}: {refusal} {xml}"));
        assert_eq!(identity.attributes().list("groups"), Listed::Values(vec!["engineering", "operators"]));
    }
    let odd = verify(&answers[5]).unwrap();
    assert_eq!(odd.attributes().list("groups"), Listed::Values(vec!["R&D <\u{e9}\u{e9}\"\t", "operators"]));
    assert_eq!(code_of(verify(&answers[6])), "signature_not_trusted");
    // It writes its list of prefixes into the enveloped transform too, where no specification says what it means.
    assert_eq!(code_of(verify(&answers[7])), "element_unexpected");
    let changed = with(&answers[0], ADA, MALLORY);
    assert_eq!(code_of(verify(&changed)), "digest_mismatch");
}

#[test]
fn what_npm_s_implementation_encrypts_is_understood() {
    let public = PrivateDecryptingKey::from_pkcs8(&WE.pkcs8).unwrap().public_key();
    let public: PublicKeyX509Der<'_> = public.as_der().unwrap();
    let public = pem("PUBLIC KEY", public.as_ref());
    let assertion = part(&SIGNED_ASSERTION, "saml:Assertion").to_owned();
    let to_encrypt = |content: &str, transport: &str| {
        json!({
            "do": "encrypt", "xml": assertion, "content": content, "transport": transport, "digest": "sha1",
            "publicKey": public, "certificate": certificate(&WE),
        })
    };
    let (gcm, cbc) = ("http://www.w3.org/2009/xmlenc11#", "http://www.w3.org/2001/04/xmlenc#");
    let oaep = format!("{cbc}rsa-oaep-mgf1p");
    let answers = ask(&[
        to_encrypt(&format!("{gcm}aes256-gcm"), &oaep),
        to_encrypt(&format!("{gcm}aes128-gcm"), &oaep),
        to_encrypt(&format!("{cbc}aes256-cbc"), &oaep),
    ]);
    let keys = [OwnKey::new(&WE.pkcs8, WE.certificate.der()).unwrap()];
    let around = |inner: &str, what: Signed| {
        let element = format!("<saml:EncryptedAssertion>{inner}</saml:EncryptedAssertion>");
        sign(&honest().replace(part(&honest(), "saml:Assertion"), &element), what)
    };
    for inner in &answers[..2] {
        let identity =
            verify_by(&around(inner, Signed::Nothing), |rules| rules.decryption_keys = &keys).unwrap();
        assert_eq!(identity.name_id().unwrap().value, ADA);
    }
    let with_cbc = verify_by(&around(&answers[2], Signed::Response), |rules| {
        (rules.decryption_keys, rules.cbc) = (&keys, CbcEncryption::InsideSignedResponse);
    });
    assert_eq!(with_cbc.unwrap().name_id().unwrap().value, ADA);
}

#[test]
fn npm_s_implementation_verifies_the_request_that_we_sign() {
    let id = MessageId::from_random(&[4; 20]);
    let request = AuthnRequest {
        id: &id,
        now_s: NOW,
        sp_entity_id: SP_ENTITY,
        acs_url: ACS,
        destination: "https://idp.acme.test/sso",
        authentication: Authentication::Any,
        contexts: &[],
    };
    let sent = request::send(&request, Binding::Post, None, WE.own.as_ref()).unwrap();
    let Outgoing::Form { value, .. } = sent else { panic!("{sent:?}") };
    let xml = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
    let job =
        |xml: &str, who: &Somebody| json!({"do": "verify", "xml": xml, "certificate": certificate(who)});
    let changed = with(&xml, SP_ENTITY, "https://other.test");
    let answers = ask(&[job(&xml, &WE), job(&changed, &WE), job(&xml, &STRANGER)]);
    assert_eq!(answers, ["verified", "refused", "refused"]);
}
