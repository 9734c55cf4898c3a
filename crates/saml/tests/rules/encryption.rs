//! Encrypted assertions: encrypted by the program `xmlsec1`, or here where the program lacks an algorithm.

use aws_lc_rs::aead::{AES_192_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_saml::key::OwnKey;
use portcullis_saml::response::{CbcEncryption, Rules, SignaturePolicy, Weakness};

use portcullis_testkit::saml::xmlsec::{IDP, STRANGER, Somebody, WE, fresh_path, run, text};
use portcullis_testkit::saml::*;

pub(crate) const OAEP: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
const OAEP_11: &str = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
const RSA_1_5: &str = "http://www.w3.org/2001/04/xmlenc#rsa-1_5";
pub(crate) const GCM_256: &str = "http://www.w3.org/2009/xmlenc11#aes256-gcm";
const GCM_128: &str = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
const GCM_192: &str = "http://www.w3.org/2009/xmlenc11#aes192-gcm";
pub(crate) const CBC_128: &str = "http://www.w3.org/2001/04/xmlenc#aes128-cbc";
const CBC_256: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
const TRIPLE_DES: &str = "http://www.w3.org/2001/04/xmlenc#tripledes-cbc";

/// Encrypts a whole assertion for somebody, as the program does it.
pub(crate) fn encrypted(assertion: &str, content: &str, transport: &str, whom: &Somebody) -> String {
    let template = format!(
        r##"<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Type="http://www.w3.org/2001/04/xmlenc#Element"><xenc:EncryptionMethod Algorithm="{content}"/><ds:KeyInfo><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="{transport}"/><ds:KeyInfo><ds:X509Data/></ds:KeyInfo><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>"##
    );
    let plain = fresh_path("xml");
    std::fs::write(&plain, assertion).unwrap();
    let (session, certificate, plain) = (session_key(content), text(&whom.certificate_file), text(&plain));
    let arguments =
        ["--encrypt", "--pubkey-cert-pem", &certificate, "--session-key", session, "--xml-data", &plain];
    let output = run(&arguments, &template).unwrap();
    output[output.find("<xenc:EncryptedData").unwrap()..].trim_end().to_owned()
}

fn session_key(content: &str) -> &'static str {
    match content {
        GCM_128 | CBC_128 => "aes-128",
        TRIPLE_DES => "des-192",
        _ => "aes-256",
    }
}

/// The honest response with an encrypted assertion in place of the plain one.
fn response_with(encrypted: &str) -> String {
    let element = format!("<saml:EncryptedAssertion>{encrypted}</saml:EncryptedAssertion>");
    honest().replace(part(&honest(), "saml:Assertion"), &element)
}

fn signed_assertion() -> String {
    part(&SIGNED_ASSERTION, "saml:Assertion").to_owned()
}

fn unsigned_assertion() -> String {
    honest_assertion().replace("{assertion-signature}", "")
}

pub(crate) fn keys() -> Vec<OwnKey> {
    vec![OwnKey::new(&WE.pkcs8, WE.certificate.der()).unwrap()]
}

fn code_by(xml: &str, change: impl Fn(&mut Rules<'_>)) -> &'static str {
    let keys = keys();
    let mut rules = rules();
    rules.decryption_keys = &keys;
    change(&mut rules);
    code_of(portcullis_saml::response::verify(&message(xml), &rules))
}

fn code(xml: &str) -> &'static str {
    code_by(xml, |_| {})
}

#[test]
fn a_signed_assertion_inside_of_encryption_gives_the_same_person() {
    let keys = keys();
    for content in [GCM_256, GCM_128] {
        let xml = sign(&response_with(&encrypted(&signed_assertion(), content, OAEP, &WE)), Signed::Nothing);
        assert!(!xml.contains(ADA));
        let identity = verify_by(&xml, |rules| rules.decryption_keys = &keys).unwrap();
        assert_eq!(identity.name_id().unwrap().value, ADA);
        assert_eq!(identity.attributes(), verify(&SIGNED_ASSERTION).unwrap().attributes());
        assert!(identity.weaknesses().is_empty());
    }
}

#[test]
fn a_signed_response_vouches_for_the_unsigned_assertion_that_is_encrypted_in_it() {
    let xml = sign(&response_with(&encrypted(&unsigned_assertion(), GCM_256, OAEP, &WE)), Signed::Response);
    assert_eq!(code(&xml), "accepted");
    assert_eq!(code_by(&xml, |rules| rules.signatures = SignaturePolicy::Response), "accepted");
    assert_eq!(code_by(&xml, |rules| rules.signatures = SignaturePolicy::Both), "signature_missing");
    let both = sign(&response_with(&encrypted(&signed_assertion(), GCM_256, OAEP, &WE)), Signed::Response);
    assert_eq!(code_by(&both, |rules| rules.signatures = SignaturePolicy::Both), "accepted");
}

#[test]
fn a_response_that_a_stranger_signed_is_refused_before_anything_in_it_is_decrypted() {
    let not_for_us = response_with(&encrypted(&unsigned_assertion(), GCM_256, OAEP, &IDP));
    let by = |who: &Somebody| sign_by(&not_for_us, Signed::Response, &Method::usual(), who);
    assert_eq!(code(&by(&STRANGER)), "signature_not_trusted");
    assert_eq!(code(&by(&IDP)), "decryption_failed", "by the provider it is opened");
    let without_keys = |xml: &str| code_by(xml, |rules| rules.decryption_keys = &[]);
    assert_eq!(without_keys(&by(&STRANGER)), "signature_not_trusted");
    assert_eq!(without_keys(&by(&IDP)), "decryption_key_missing");
}

#[test]
fn what_breaks_several_rules_is_told_the_first_of_the_order_at_the_head_of_the_room() {
    let other_audience = honest().replace(SP_ENTITY, "https://other.test/metadata");
    let elsewhere =
        other_audience.replacen(&format!("Destination=\"{ACS}\""), "Destination=\"https://other.test\"", 1);
    let by = |document: &str, who: &Somebody| sign_by(document, Signed::Both, &Method::usual(), who);
    let no_shape = by(&elsewhere, &STRANGER).replacen("Version=", "Odd=\"1\" Version=", 1);
    let no_tree = format!("<!DOCTYPE x>{no_shape}");
    for (document, code) in [
        (no_tree, "doctype_refused"),
        (no_shape, "attribute_unexpected"),
        (by(&elsewhere, &STRANGER), "destination_mismatch"),
        (by(&other_audience, &STRANGER), "signature_not_trusted"),
        (by(&other_audience, &IDP), "audience_mismatch"),
        (by(&honest(), &IDP), "accepted"),
    ] {
        assert_eq!(code_of(verify(&document)), code);
    }
}

#[test]
fn s26_encryption_alone_vouches_for_nothing() {
    let xml = sign(&response_with(&encrypted(&unsigned_assertion(), GCM_256, OAEP, &WE)), Signed::Nothing);
    assert_eq!(code(&xml), "signature_missing");
    let forged = sign_by(&honest().replace(ADA, MALLORY), Signed::Assertion, &Method::usual(), &STRANGER);
    let forged = encrypted(part(&forged, "saml:Assertion"), GCM_256, OAEP, &WE);
    assert_eq!(code(&sign(&response_with(&forged), Signed::Nothing)), "signature_not_trusted");
    let honest = encrypted(&signed_assertion(), GCM_256, OAEP, &WE);
    assert_eq!(
        code(&sign(&response_with(&honest), Signed::Nothing)),
        "accepted",
        "the provider's signature in it"
    );
    // Inside of a response that the provider signed, a wrong signature is still wrong.
    assert_eq!(code(&sign(&response_with(&forged), Signed::Response)), "signature_not_trusted");
}

#[test]
fn s25_cbc_needs_the_switch_and_a_signed_response_around_it() {
    let allowed = |rules: &mut Rules<'_>| rules.cbc = CbcEncryption::InsideSignedResponse;
    for content in [CBC_128, CBC_256] {
        let inner = encrypted(&signed_assertion(), content, OAEP, &WE);
        let (bare, signed) =
            (sign(&response_with(&inner), Signed::Nothing), sign(&response_with(&inner), Signed::Response));
        assert_eq!(code(&bare), "cbc_refused");
        assert_eq!(code_by(&bare, allowed), "cbc_refused");
        assert_eq!(code(&signed), "cbc_refused");
        assert_eq!(code_by(&signed, allowed), "accepted");
        let keys = keys();
        let identity = verify_by(&signed, |rules| {
            (rules.decryption_keys, rules.cbc) = (&keys, CbcEncryption::InsideSignedResponse);
        });
        assert_eq!(identity.unwrap().weaknesses(), [Weakness::Cbc]);
    }
}

#[test]
fn s25_rsa_1_5_and_triple_des_are_on_no_list() {
    for (content, transport) in [(GCM_256, RSA_1_5), (TRIPLE_DES, OAEP)] {
        let xml =
            sign(&response_with(&encrypted(&signed_assertion(), content, transport, &WE)), Signed::Response);
        let refused = code_by(&xml, |rules| rules.cbc = CbcEncryption::InsideSignedResponse);
        assert_eq!(refused, "encryption_algorithm_refused", "{content} {transport}");
    }
    for content in [GCM_256, CBC_256] {
        let xml = sign(&response_with(&encrypted(&signed_assertion(), content, OAEP, &WE)), Signed::Response);
        let taken = code_by(&xml, |rules| rules.cbc = CbcEncryption::InsideSignedResponse);
        assert_eq!(taken, "accepted", "{content}");
    }
}

#[test]
fn s25_every_failure_to_decrypt_is_the_same_refusal() {
    let inner = encrypted(&signed_assertion(), GCM_256, OAEP, &WE);
    let unsigned = |inner: &str| code(&sign(&response_with(inner), Signed::Nothing));
    assert_eq!(unsigned(&inner), "accepted");
    let values: Vec<&str> = inner
        .match_indices("<xenc:CipherValue>")
        .map(|(at, _)| part(&inner[at..], "xenc:CipherValue"))
        .collect();
    let [key, data] = values.as_slice() else { panic!("{inner}") };
    let value = |bytes: &[u8]| format!("<xenc:CipherValue>{}</xenc:CipherValue>", STANDARD.encode(bytes));
    let spoiled = |old: &str, bytes: &[u8]| inner.replace(old, &value(bytes));
    let bytes = |value: &str| {
        let text: String = value
            .trim_start_matches("<xenc:CipherValue>")
            .trim_end_matches("</xenc:CipherValue>")
            .split_whitespace()
            .collect();
        STANDARD.decode(text).unwrap()
    };
    let flipped = |value: &str| {
        let mut bytes = bytes(value);
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    };
    let cases = [
        spoiled(key, &flipped(key)),
        spoiled(key, &bytes(key)[..255]),
        spoiled(key, b""),
        spoiled(data, &flipped(data)),
        spoiled(data, &bytes(data)[..20]),
        spoiled(data, b""),
        inner.replace("xmlenc#Element", "xmlenc#Content"),
        encrypted(&signed_assertion(), GCM_256, OAEP, &STRANGER),
        encrypted(
            "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">&#2;</saml:Assertion>"
                .replace("&#2;", "<x/>")
                .as_str(),
            GCM_128,
            OAEP,
            &STRANGER,
        ),
        // The key is for 128 bits, the content says 256.
        encrypted(&signed_assertion(), GCM_128, OAEP, &WE).replace(GCM_128, GCM_256),
    ];
    for case in &cases {
        assert_eq!(unsigned(case), "decryption_failed", "{case}");
    }
    assert_eq!(
        code_by(&sign(&response_with(&inner), Signed::Nothing), |rules| rules.decryption_keys = &[]),
        "decryption_key_missing"
    );
}

#[test]
fn what_was_decrypted_is_held_to_the_same_shape() {
    let signed = signed_assertion();
    for (plain, code_of_it) in [
        (signed.replace("<saml:Subject>", "<saml:Advice/><saml:Subject>"), "element_unsupported"),
        (signed.replace(ADA, "00u-<!-- -->ada"), "comment_in_value"),
        (
            "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\"/>".to_owned(),
            "message_of_other_kind",
        ),
    ] {
        let xml = sign(&response_with(&encrypted(&plain, GCM_256, OAEP, &WE)), Signed::Nothing);
        assert_eq!(code(&xml), code_of_it, "{plain}");
    }
}

/// Encrypts with what the program of the test machine does not know: AES-192-GCM, and RSA-OAEP with SHA-256.
fn encrypted_here(plain: &[u8], digest: &str, mask: &str) -> String {
    encrypted_with(plain, digest, mask, &[7; 24], &[7; 24])
}

/// The same with one key that encrypts and another that is told.
fn encrypted_with(plain: &[u8], digest: &str, mask: &str, used: &[u8], told: &[u8]) -> String {
    let mut sealed = plain.to_vec();
    let key = LessSafeKey::new(UnboundKey::new(&AES_192_GCM, used).unwrap());
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key([9; 12]), Aad::empty(), &mut sealed).unwrap();
    let public = PrivateDecryptingKey::from_pkcs8(&WE.pkcs8).unwrap().public_key();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut wrapped = vec![0; public.ciphertext_size()];
    let wrapped = public.encrypt(&OAEP_SHA256_MGF1SHA256, told, &mut wrapped, Some(b"label")).unwrap();
    format!(
        r##"<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptionMethod Algorithm="{GCM_192}"/><ds:KeyInfo><ds:RetrievalMethod URI="#_key" Type="http://www.w3.org/2001/04/xmlenc#EncryptedKey"/></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData><xenc:EncryptedKey xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="_key" Recipient="{SP_ENTITY}"><xenc:EncryptionMethod Algorithm="{OAEP_11}"><xenc:OAEPparams>{}</xenc:OAEPparams><ds:DigestMethod Algorithm="{digest}"/>{mask}</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>"##,
        STANDARD.encode([&[9; 12], sealed.as_slice()].concat()),
        STANDARD.encode("label"),
        STANDARD.encode(wrapped),
    )
}

#[test]
fn a_key_beside_the_data_and_oaep_with_sha_256_are_understood() {
    let mask = r#"<xenc11:MGF xmlns:xenc11="http://www.w3.org/2009/xmlenc11#" Algorithm="http://www.w3.org/2009/xmlenc11#mgf1sha256"/>"#;
    let plain = signed_assertion();
    let unsigned = |inner: &str| code(&sign(&response_with(inner), Signed::Nothing));
    assert_eq!(unsigned(&encrypted_here(plain.as_bytes(), SHA256, mask)), "accepted");
    // One hash for the label and another for the mask is what the cryptographic library does not offer.
    assert_eq!(unsigned(&encrypted_here(plain.as_bytes(), SHA256, "")), "encryption_algorithm_refused");
    let sha512 = mask.replace("mgf1sha256", "mgf1sha512");
    assert_eq!(unsigned(&encrypted_here(plain.as_bytes(), SHA256, &sha512)), "encryption_algorithm_refused");
}

#[test]
fn a_prefix_that_the_response_declares_is_in_scope_for_what_was_encrypted_in_it() {
    let mask = r#"<xenc11:MGF xmlns:xenc11="http://www.w3.org/2009/xmlenc11#" Algorithm="http://www.w3.org/2009/xmlenc11#mgf1sha256"/>"#;
    let plain = signed_assertion().replacen(" xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"", "", 1);
    assert!(!part(&plain, "saml:Subject").contains("xmlns:saml"));
    let unsigned = |inner: &str| code(&sign(&response_with(inner), Signed::Nothing));
    assert_eq!(unsigned(&encrypted_here(plain.as_bytes(), SHA256, mask)), "accepted");
    // But nothing gets out of its surroundings, and nothing stands beside it.
    let signed = signed_assertion();
    for odd in [
        format!("</plaintext>{signed}<plaintext>"),
        format!("{signed}{signed}"),
        format!("{signed}text"),
        "text".to_owned(),
        String::new(),
        format!("<?xml version=\"1.0\"?>{signed}"),
        format!("<!DOCTYPE x>{signed}"),
        plain.replace("saml:", "other:"),
    ] {
        assert_eq!(unsigned(&encrypted_here(odd.as_bytes(), SHA256, mask)), "decryption_failed", "{odd}");
    }
}

#[test]
fn s25_a_key_that_could_not_be_unwrapped_is_never_replaced_by_one_that_strangers_know() {
    let mask = r#"<xenc11:MGF xmlns:xenc11="http://www.w3.org/2009/xmlenc11#" Algorithm="http://www.w3.org/2009/xmlenc11#mgf1sha256"/>"#;
    let plain = signed_assertion();
    let by = |used: &[u8], told: &[u8]| {
        code(&sign(
            &response_with(&encrypted_with(plain.as_bytes(), SHA256, mask, used, told)),
            Signed::Nothing,
        ))
    };
    assert_eq!(by(&[0; 24], &[0; 16]), "decryption_failed");
    assert_eq!(by(&[0; 24], &[7; 24]), "decryption_failed");
    assert_eq!(by(&[7; 24], &[7; 24]), "accepted");
}

#[test]
fn after_a_rotation_the_old_and_the_new_key_both_decrypt() {
    let xml = sign(&response_with(&encrypted(&signed_assertion(), GCM_256, OAEP, &WE)), Signed::Nothing);
    let own = |who: &Somebody| OwnKey::new(&who.pkcs8, who.certificate.der()).unwrap();
    let both = [own(&IDP), own(&WE)];
    assert_eq!(code_of(verify_by(&xml, |rules| rules.decryption_keys = &both)), "accepted");
    let new_only = [own(&IDP)];
    assert_eq!(code_of(verify_by(&xml, |rules| rules.decryption_keys = &new_only)), "decryption_failed");
}
