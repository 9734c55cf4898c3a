//! The attack catalogue, structural part: forged documents made from an honest one that another program signed.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_saml::attribute::Listed;
use portcullis_saml::binding::FormMessage;
use portcullis_saml::response::{self, Weakness};

use portcullis_testkit::saml::xmlsec::{IDP, STRANGER, sign_within, verifies};
use portcullis_testkit::saml::*;

/// The signed assertion of an honest response, its signature, and both without each other.
struct Loot {
    assertion: String,
    bare_assertion: String,
    signature: String,
    /// The assertion with another person, another id and no signature.
    evil: String,
}

fn loot(signed: &str) -> Loot {
    let assertion = part(signed, "saml:Assertion").to_owned();
    let signature = part(signed, "ds:Signature").to_owned();
    let bare_assertion = assertion.replace(&signature, "");
    let evil = bare_assertion.replace(ADA, MALLORY).replace("_assertion", "_evil");
    Loot { assertion, bare_assertion, signature, evil }
}

fn refused(document: &str) -> &'static str {
    let code = code_of(verify(document));
    assert_ne!(code, "accepted", "a forged document passed: {document}");
    code
}

#[test]
fn s01_a_signed_assertion_moved_beside_or_into_a_forged_one_is_refused() {
    let signed = &*SIGNED_ASSERTION;
    assert_eq!(code_of(verify(signed)), "accepted");
    let Loot { assertion, bare_assertion, signature, evil } = loot(signed);
    let within =
        |outer: &str, inner: &str| outer.replace("</saml:Assertion>", &format!("{inner}</saml:Assertion>"));
    let evil_signed = evil.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1);
    let object = |content: &str| {
        signature.replace("</ds:Signature>", &format!("<ds:Object>{content}</ds:Object></ds:Signature>"))
    };
    let evil_with =
        |signature: &str| evil.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1);
    let cases = [
        // XSW3, 4: the forged one first, the signed one behind or inside of it.
        (format!("{evil}{assertion}"), "assertion_count"),
        (format!("{assertion}{evil}"), "assertion_count"),
        (within(&evil, &assertion), "element_unexpected"),
        // XSW5, 6: the signature in the forged one, what it covers behind or inside of the signature.
        (format!("{evil_signed}{bare_assertion}"), "assertion_count"),
        (
            evil_with(&signature.replace("</ds:Signature>", &format!("{bare_assertion}</ds:Signature>"))),
            "element_unexpected",
        ),
        // XSW8: in an object of the signature.
        (evil_with(&object(&bare_assertion)), "element_unexpected"),
        // The forged one with the signature alone, with its own id and with the signed one's.
        (evil_signed.clone(), "signature_covers_other_element"),
        (evil_signed.replace("_evil", "_assertion"), "digest_mismatch"),
        // In the subject, in an attribute value.
        (evil.replace("<saml:Subject>", &format!("<saml:Subject>{assertion}")), "element_unexpected"),
        (evil.replace("ada@acme.test", &assertion), "element_unexpected"),
    ];
    for (forged, code) in &cases {
        assert_eq!(&refused(&signed.replace(&assertion, forged)), code);
    }
    // XSW7 and its kin: the signed one where nobody reads, the forged one where everybody does.
    let status = part(signed, "samlp:Status").to_owned();
    let extensions = format!("<samlp:Extensions>{assertion}</samlp:Extensions>{status}");
    let detail = status.replace(
        "</samlp:Status>",
        &format!("<samlp:StatusDetail>{assertion}</samlp:StatusDetail></samlp:Status>"),
    );
    for hidden in [extensions, detail] {
        assert_eq!(
            refused(&signed.replace(&assertion, &evil).replace(&status, &hidden)),
            "element_unexpected"
        );
    }
    let wrapped = format!("<Wrapper xmlns=\"urn:other\">{assertion}</Wrapper>{evil}");
    assert_eq!(refused(&signed.replace(&assertion, &wrapped)), "element_unexpected");
}

#[test]
fn s01_a_signed_response_moved_into_a_forged_one_is_refused() {
    let signed = &*SIGNED_RESPONSE;
    assert_eq!(code_of(verify(signed)), "accepted");
    let signature = part(signed, "ds:Signature").to_owned();
    let original = signed[signed.find("<samlp:Response").unwrap()..].to_owned();
    let bare = original.replace(&signature, "");
    let evil = original.replace(ADA, MALLORY).replace("\"_response\"", "\"_evil\"");
    // XSW1: the original inside of the signature. XSW2: before it.
    let inside = signature.replace("</ds:Signature>", &format!("{bare}</ds:Signature>"));
    assert_eq!(refused(&evil.replace(&signature, &inside)), "element_unexpected");
    assert_eq!(refused(&evil.replace(&signature, &format!("{bare}{signature}"))), "element_unexpected");
    let object =
        signature.replace("</ds:Signature>", &format!("<ds:Object>{bare}</ds:Object></ds:Signature>"));
    assert_eq!(refused(&evil.replace(&signature, &object)), "element_unexpected");
    assert_eq!(refused(&evil), "signature_covers_other_element");
    assert_eq!(refused(&original.replace(ADA, MALLORY)), "digest_mismatch");
}

#[test]
fn s02_a_comment_does_not_cut_a_value() {
    for (from, to) in [
        (ADA, "00u-ada<!-- -->.evil"),
        ("ada@acme.test", "ada@acme.test<!---->.evil.example"),
        (SP_ENTITY, &format!("{SP_ENTITY}<!-- -->.evil")[..]),
        ("engineering", "<!-- -->engineering"),
    ] {
        // Signed by the provider with the comment, and put in afterwards: canonical forms are the same.
        assert_eq!(code_of(verify(&signed_with(from, to))), "comment_in_value", "{to}");
        assert_eq!(code_of(verify(&with(&SIGNED_ASSERTION, from, to))), "comment_in_value", "{to}");
    }
    assert_eq!(code_of(verify(&with(&SIGNED_ASSERTION, ADA, "00u-<![CDATA[ada]]>"))), "construct_refused");
    assert_eq!(code_of(verify(&with(&SIGNED_ASSERTION, ADA, "00u-<?x y?>ada"))), "construct_refused");
    // Between elements it says nothing and harms nothing.
    let between = with(&SIGNED_ASSERTION, "</saml:Issuer>", "</saml:Issuer><!-- checked -->");
    assert_eq!(verify(&between).unwrap().name_id().unwrap().value, ADA);
}

#[test]
fn s03_a_digest_value_is_text_alone() {
    let value = part(&SIGNED_ASSERTION, "ds:DigestValue").to_owned();
    let inner = value.trim_start_matches("<ds:DigestValue>").trim_end_matches("</ds:DigestValue>").to_owned();
    let same = format!("<ds:DigestValue>{inner}</ds:DigestValue>");
    assert_eq!(code_of(verify(&with(&SIGNED_ASSERTION, &value, &same))), "accepted");
    for (forged, code) in [
        (format!("<ds:DigestValue><!--AAAA-->{inner}</ds:DigestValue>"), "comment_in_value"),
        (
            format!("<ds:DigestValue><x xmlns=\"urn:x\">AAAA</x>{inner}</ds:DigestValue>"),
            "element_unexpected",
        ),
        (format!("{value}{value}"), "element_repeated"),
        ("<ds:DigestValue/>".to_owned(), "signature_malformed"),
        (format!("<ds:DigestValue>{inner}!</ds:DigestValue>"), "signature_malformed"),
    ] {
        assert_eq!(refused(&with(&SIGNED_ASSERTION, &value, &forged)), code);
    }
}

#[test]
fn s04_there_is_one_signed_info_and_it_is_the_one_that_was_signed() {
    let signed_info = part(&SIGNED_ASSERTION, "ds:SignedInfo").to_owned();
    assert_eq!(code_of(verify(&with(&SIGNED_ASSERTION, &signed_info, &signed_info))), "accepted");
    let evil_info = signed_info.replace("<ds:DigestValue>", "<ds:DigestValue>AAAA");
    for forged in [format!("{evil_info}{signed_info}"), format!("{signed_info}{evil_info}")] {
        assert_eq!(refused(&with(&SIGNED_ASSERTION, &signed_info, &forged)), "element_repeated");
    }
    let value = part(&SIGNED_ASSERTION, "ds:SignatureValue").to_owned();
    assert_eq!(
        refused(&with(&SIGNED_ASSERTION, &value, &format!("{value}{evil_info}"))),
        "element_unexpected"
    );
    assert_eq!(refused(&with(&SIGNED_ASSERTION, &signed_info, &evil_info)), "signature_not_trusted");
    // The same local name in another namespace is another element.
    let other = signed_info
        .replace("<ds:SignedInfo>", "<x:SignedInfo xmlns:x=\"urn:x\">")
        .replace("</ds:SignedInfo>", "</x:SignedInfo>");
    assert_eq!(
        refused(&with(&SIGNED_ASSERTION, &signed_info, &format!("{other}{signed_info}"))),
        "element_unexpected"
    );
}

#[test]
fn s05_and_s17_a_document_type_is_refused_before_anything_of_it_is_read() {
    let root = "<samlp:Response";
    for declaration in [
        "<!DOCTYPE Response>".to_owned(),
        "<!DOCTYPE r [<!ENTITY e \"00u-mallory\">]>".to_owned(),
        "<!DOCTYPE r [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>".to_owned(),
        "<!DOCTYPE r SYSTEM \"http://169.254.169.254/latest\">".to_owned(),
        "<!DOCTYPE r [<!ATTLIST Assertion ID ID #IMPLIED>]>".to_owned(),
        format!(
            "<!DOCTYPE r [<!ENTITY a0 \"x\">{}]>",
            (1..64).map(|n| format!("<!ENTITY a{n} \"&a{p};&a{p};\">", p = n - 1)).collect::<String>()
        ),
    ] {
        let document = SIGNED_ASSERTION.replacen(root, &format!("{declaration}{root}"), 1);
        assert_eq!(refused(&document), "doctype_refused");
    }
    assert_eq!(refused(&with(&SIGNED_ASSERTION, ADA, "&e;")), "message_malformed");
    // The five that XML knows by itself, and numbers, are what they are.
    let escaped = signed_with(ADA, "a&amp;&#98;&#x63;");
    assert_eq!(verify(&escaped).unwrap().name_id().unwrap().value, "a&bc");
}

#[test]
fn s05_bytes_that_two_parsers_read_differently_are_refused() {
    let posted = |bytes: Vec<u8>| {
        let value = utf8_percent_encode(&STANDARD.encode(bytes), NON_ALPHANUMERIC).to_string();
        let message = FormMessage::parse(format!("SAMLResponse={value}").as_bytes()).unwrap();
        code_of(response::verify(&message, &rules()))
    };
    assert_eq!(posted([SIGNED_ASSERTION.as_bytes(), b"\xff"].concat()), "message_not_utf8");
    assert_eq!(
        posted(SIGNED_ASSERTION.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        "message_malformed"
    );
    assert_eq!(posted(SIGNED_ASSERTION.as_bytes().to_vec()), "accepted");
    let declared = |encoding: &str| {
        let text = SIGNED_ASSERTION.trim_start_matches("<?xml version=\"1.0\"?>").trim_start().to_owned();
        code_of(verify(&format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>{text}")))
    };
    assert_eq!(declared("ISO-8859-1"), "message_not_utf8");
    assert_eq!(declared("UTF-8"), "accepted");
    assert_eq!(declared("utf-8"), "accepted");
    for odd in [
        format!("{}<x/>", *SIGNED_ASSERTION),
        SIGNED_ASSERTION.replace("ID=\"_assertion\"", "ID=\"_assertion\" ID=\"_assertion\""),
        SIGNED_ASSERTION.replace("</saml:Assertion>", ""),
        SIGNED_ASSERTION.replace(ADA, "00u\u{0}ada"),
    ] {
        assert_eq!(refused(&odd), "message_malformed");
    }
}

#[test]
fn s06_a_reference_is_found_where_it_belongs_and_nowhere_else() {
    let signed = &*SIGNED_ASSERTION;
    let reference = part(signed, "ds:Reference").to_owned();
    let evil = reference.replace("#_assertion", "#_evil");
    for forged in [format!("{evil}{reference}"), format!("{reference}{evil}")] {
        assert_eq!(refused(&with(signed, &reference, &forged)), "element_repeated");
    }
    let detail = |content: &str| {
        with(
            signed,
            "</samlp:Status>",
            &format!("<samlp:StatusDetail>{content}</samlp:StatusDetail></samlp:Status>"),
        )
    };
    let harmless = r#"<Cause xmlns="http://www.example.com/adfs">nothing</Cause>"#;
    assert_eq!(code_of(verify(&detail(harmless))), "accepted");
    let hidden =
        reference.replace("<ds:Reference", "<ds:Reference xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"");
    assert_eq!(refused(&detail(&hidden)), "element_unexpected");
}

#[test]
fn s07_what_is_read_is_what_was_signed() {
    let signed = sign(&honest(), Signed::Assertion);
    let identity = verify(&signed).unwrap();
    let covered = String::from_utf8(identity.signed().to_vec()).unwrap();
    for attribute in identity.attributes().all() {
        for value in &attribute.values {
            assert!(covered.contains(&format!(">{value}<")), "{value}");
        }
    }
    assert!(covered.contains(&format!(">{ADA}<")) && !covered.contains("Signature"));
    // What stands around a signed assertion is nobody's word.
    let outside =
        with(&signed, "</samlp:Status>", "<samlp:StatusMessage>welcome</samlp:StatusMessage></samlp:Status>");
    assert_eq!(verify(&outside).unwrap().signed(), identity.signed());
}

#[test]
fn s08_an_id_has_one_spelling_and_one_namespace() {
    let place = "ID=\"_assertion\"";
    for (forged, code) in [
        (format!("{place} samlp:ID=\"_evil\""), "attribute_unexpected"),
        (format!("{place} xml:id=\"_evil\""), "attribute_unexpected"),
        (format!("{place} Id=\"_evil\""), "attribute_unexpected"),
        (format!("{place} id=\"_evil\""), "attribute_unexpected"),
        (format!("{place} xmlns:xml=\"http://www.w3.org/XML/1998/namespace\""), "namespace_refused"),
        (format!("{place} xmlns:xml=\"urn:other\""), "message_malformed"),
        (format!("{place} xmlns:xmlns=\"http://www.w3.org/2000/xmlns/\""), "message_malformed"),
        ("ID=\"_asser tion\"".to_owned(), "id_invalid"),
        ("ID=\"\"".to_owned(), "id_invalid"),
    ] {
        assert_eq!(refused(&with(&SIGNED_ASSERTION, place, &forged)), code, "{forged}");
    }
    let polluted = with(
        &SIGNED_ASSERTION,
        "<saml:AttributeValue>engineering",
        "<saml:AttributeValue xml:id=\"_x\">engineering",
    );
    assert_eq!(refused(&polluted), "attribute_unexpected");
    // Attributes of other namespaces are what ADFS and Shibboleth add to an attribute.
    let adfs = signed_with(
        "<saml:Attribute Name=\"groups\"",
        "<saml:Attribute xmlns:a=\"http://schemas.xmlsoap.org/ws/2009/09/identity/claims\" a:OriginalIssuer=\"https://x.test\" Name=\"groups\"",
    );
    assert_eq!(code_of(verify(&adfs)), "accepted");
}

#[test]
fn s09_a_namespace_without_canonical_form_is_refused() {
    let root = "<samlp:Response ";
    let bound = |uri: &str| SIGNED_ASSERTION.replacen(root, &format!("{root}xmlns:ns=\"{uri}\" "), 1);
    for uri in ["1", "relative/path", "../up", "", ":", "a:", "//host/path", "urn: x"] {
        assert_eq!(refused(&bound(uri)), "namespace_refused", "{uri}");
    }
    for uri in ["urn:x", "http://example.test/a#b", "tag:example.test,2026:x"] {
        assert_eq!(code_of(verify(&bound(uri))), "accepted", "{uri}");
    }
}

#[test]
fn s09_a_golden_signature_over_nothing_does_not_vouch_for_anything() {
    let empty = STANDARD.encode(digest::digest(&digest::SHA256, b""));
    let true_one = part(&SIGNED_ASSERTION, "ds:DigestValue");
    let true_one = true_one.trim_start_matches("<ds:DigestValue>").trim_end_matches("</ds:DigestValue>");
    let info = |digest: &str| {
        format!(
            r##"<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:CanonicalizationMethod Algorithm="{EXC_C14N}"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="{RSA_SHA256}"></ds:SignatureMethod><ds:Reference URI="#_assertion"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform><ds:Transform Algorithm="{EXC_C14N}"></ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"##
        )
    };
    let golden = |info: &str, over: &[u8]| {
        let pair = KeyPair::from_pkcs8(&IDP.pkcs8).unwrap();
        let mut value = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), over, &mut value).unwrap();
        let signature = format!(
            r#"<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">{info}<ds:SignatureValue>{}</ds:SignatureValue></ds:Signature>"#,
            STANDARD.encode(value)
        );
        honest().replace("{assertion-signature}", &signature).replace("{response-signature}", "")
    };
    // The provider's key signed this SignedInfo; its digest is that of nothing.
    let of_nothing = info(&empty);
    assert_eq!(refused(&golden(&of_nothing, of_nothing.as_bytes())), "digest_mismatch");
    // The provider's key signed nothing at all.
    assert_eq!(refused(&golden(&of_nothing, b"")), "signature_not_trusted");
    let of_the_assertion = info(true_one);
    let whole = golden(&of_the_assertion, of_the_assertion.as_bytes());
    assert_eq!(code_of(verify(&whole)), "accepted", "by the same hand, with the digest of what is there");
}

#[test]
fn s10_a_signature_of_another_document_does_not_vouch_for_this_one() {
    let donor = |xml: &str| part(xml, "ds:Signature").to_owned();
    // An error response, which anybody can have the provider sign.
    let success = r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>"#;
    let failure = r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Requester"/>"#;
    let error = with(&honest(), success, failure).replace(part(&honest(), "saml:Assertion"), "");
    let error = donor(&sign(&error, Signed::Response));
    let forged = |signature: &str| {
        honest().replace("{response-signature}", signature).replace("{assertion-signature}", "")
    };
    assert_eq!(refused(&forged(&error)), "digest_mismatch");
    assert_eq!(
        code_of(verify(&forged(&donor(&SIGNED_RESPONSE)))),
        "accepted",
        "its own signature in that place"
    );
    assert_eq!(
        refused(&forged(&error.replace("#_response", "#_assertion"))),
        "signature_covers_other_element"
    );
    // The signature of an assertion on the response around it, and the other way round.
    let assertion = donor(&SIGNED_ASSERTION);
    assert_eq!(refused(&forged(&assertion)), "signature_covers_other_element");
    let other_way = honest()
        .replace("{assertion-signature}", &donor(&SIGNED_RESPONSE))
        .replace("{response-signature}", "");
    assert_eq!(refused(&other_way), "signature_covers_other_element");
    signatures_of_other_kinds_of_documents(|signature| forged(signature));
    // A signed message of another kind is no response.
    let logout = SIGNED_RESPONSE.replace("samlp:Response", "samlp:LogoutResponse");
    assert_eq!(refused(&logout), "message_of_other_kind");
    let bare = &part(&SIGNED_ASSERTION, "saml:Assertion").to_owned();
    assert_eq!(refused(bare), "message_of_other_kind");
    assert_eq!(code_of(verify(&SIGNED_RESPONSE)), "accepted");
}

/// Signed metadata is published, and a request to end sessions goes through every browser: both are of the same key.
fn signatures_of_other_kinds_of_documents(forged: impl Fn(&str) -> String) {
    let metadata = format!(
        r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="{{id}}" entityID="{IDP_ENTITY}">{{signature}}<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></md:EntityDescriptor>"#
    );
    let logout = format!(
        r#"<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{{id}}" Version="2.0" IssueInstant="{}"><saml:Issuer>{IDP_ENTITY}</saml:Issuer>{{signature}}<saml:NameID>{ADA}</saml:NameID></samlp:LogoutRequest>"#,
        at(NOW - 2)
    );
    for (element, document) in [("EntityDescriptor", metadata), ("LogoutRequest", logout)] {
        for (id, code) in [("_own", "signature_covers_other_element"), ("_response", "digest_mismatch")] {
            let template = Method::usual().template(&format!("#{id}"));
            let unsigned = document.replace("{id}", id).replace("{signature}", &template);
            let donor = sign_within(element, &unsigned, &IDP);
            verifies(element, &donor, &IDP).unwrap();
            assert_eq!(refused(&forged(part(&donor, "ds:Signature"))), code, "{element} {id}");
        }
    }
}

#[test]
fn s11_without_signature_or_certificate_nothing_is_believed() {
    assert_eq!(refused(&sign(&honest(), Signed::Nothing)), "signature_missing");
    for xml in [&*SIGNED_ASSERTION, &*SIGNED_RESPONSE] {
        assert_eq!(code_of(verify(xml)), "accepted");
        assert_eq!(code_of(verify_by(xml, |rules| rules.certificates = &[])), "no_certificate_configured");
        let value = part(xml, "ds:SignatureValue").to_owned();
        assert_eq!(code_of(verify(&with(xml, &value, &value))), "accepted");
        assert_eq!(refused(&with(xml, &value, "<ds:SignatureValue/>")), "signature_malformed");
        assert_eq!(refused(&with(xml, &value, "")), "element_missing");
        assert_eq!(
            refused(&with(
                xml,
                part(xml, "ds:Signature"),
                "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"/>"
            )),
            "element_missing"
        );
    }
}

#[test]
fn s11_a_signature_that_is_present_and_wrong_is_refused_beside_one_that_is_right() {
    let both = sign(&honest(), Signed::Both);
    assert_eq!(code_of(verify(&both)), "accepted");
    let response_signature = part(&both, "ds:Signature").to_owned();
    let value = part(&response_signature, "ds:SignatureValue").to_owned();
    let spoiled = response_signature.replace(&value, "<ds:SignatureValue>AAAA</ds:SignatureValue>");
    assert_eq!(refused(&with(&both, &response_signature, &spoiled)), "signature_not_trusted");
    assert_eq!(code_of(verify(&with(&both, &response_signature, ""))), "accepted");
    // The other way round: the response's is right, the assertion's is a stranger's.
    let stranger = sign_by(&honest(), Signed::Assertion, &Method::usual(), &STRANGER);
    let around = stranger.replacen("</saml:Issuer>", "</saml:Issuer>{response-signature}", 1);
    assert_eq!(refused(&sign(&around, Signed::Response)), "signature_not_trusted");
}

#[test]
fn s12_a_second_assertion_is_refused_wherever_and_however_it_is_signed() {
    let assertion = part(&SIGNED_ASSERTION, "saml:Assertion").to_owned();
    assert_eq!(code_of(verify(&with(&SIGNED_ASSERTION, &assertion, &assertion))), "accepted", "one alone");
    let second = assertion.replace("_assertion", "_second");
    assert_eq!(
        refused(&with(&SIGNED_ASSERTION, &assertion, &format!("{assertion}{second}"))),
        "assertion_count"
    );
    let two = with(
        &honest(),
        &honest_assertion(),
        &format!("{}{}", honest_assertion(), honest_assertion().replace("_assertion", "_second")),
    );
    assert_eq!(refused(&sign(&two, Signed::Response)), "assertion_count");
    let one = with(&honest(), &honest_assertion(), &honest_assertion());
    assert_eq!(code_of(verify(&sign(&one, Signed::Response))), "accepted");
    assert_eq!(refused(&with(&SIGNED_ASSERTION, &assertion, "")), "assertion_count");
    let encrypted = format!("{assertion}<saml:EncryptedAssertion/>");
    assert_eq!(refused(&with(&SIGNED_ASSERTION, &assertion, &encrypted)), "assertion_count");
}

#[test]
fn s13_an_attribute_that_was_smuggled_in_is_refused_or_unseen() {
    let attribute =
        "<saml:Attribute Name=\"groups\"><saml:AttributeValue>owners</saml:AttributeValue></saml:Attribute>";
    let statement = format!("<saml:AttributeStatement>{attribute}</saml:AttributeStatement>");
    let signed = &*SIGNED_ASSERTION;
    let inside = [
        with(signed, "</saml:AttributeStatement>", &format!("{attribute}</saml:AttributeStatement>")),
        with(signed, "</saml:Assertion>", &format!("{statement}</saml:Assertion>")),
    ];
    for forged in inside {
        assert_eq!(refused(&forged), "digest_mismatch");
    }
    // In what vouches for nobody, or in a comment, it is not seen.
    let groups = ["engineering", "operators"];
    for unseen in [
        with(
            signed,
            "</saml:AttributeStatement>",
            &format!("<!-- {attribute} --></saml:AttributeStatement>"),
        ),
        with(signed, "</saml:Issuer>", &format!("</saml:Issuer><!-- {statement} -->")),
        signed.clone(),
    ] {
        let identity = verify(&unseen).unwrap();
        assert_eq!(identity.attributes().list("groups"), Listed::Values(groups.to_vec()));
    }
    // The enveloped signature is left out of the digest: nothing of SAML can live in it.
    let key_info = with(signed, "</ds:KeyInfo>", &format!("{statement}</ds:KeyInfo>"));
    assert_eq!(refused(&key_info), "element_unexpected");
    let second = format!("</saml:Issuer>{}", part(signed, "ds:Signature"));
    let twice = signed.replace("</saml:Issuer><ds:Signature", &format!("{second}<ds:Signature"));
    assert_eq!(refused(&twice), "element_repeated");
    assert_eq!(
        refused(&with(signed, "</saml:Assertion>", &format!("</saml:Assertion>{statement}"))),
        "element_unexpected"
    );
}

#[test]
fn s14_the_key_that_a_message_brings_along_is_not_looked_at() {
    let forged = sign_by(&honest().replace(ADA, MALLORY), Signed::Assertion, &Method::usual(), &STRANGER);
    assert!(
        forged.contains(&STANDARD.encode(STRANGER.certificate.der())[..40]),
        "the forger's certificate is in it"
    );
    assert_eq!(verifies("Assertion", &forged, &STRANGER), Ok(()));
    assert_eq!(refused(&forged), "signature_not_trusted");
    let mut value = Method::usual();
    value.key_info = "<ds:KeyInfo><ds:KeyValue/></ds:KeyInfo>";
    assert_eq!(refused(&sign_by(&honest(), Signed::Assertion, &value, &STRANGER)), "signature_not_trusted");
    assert_eq!(code_of(verify(&sign_by(&honest(), Signed::Assertion, &value, &IDP))), "accepted");
    value.key_info = "";
    assert_eq!(code_of(verify(&sign_by(&honest(), Signed::Assertion, &value, &IDP))), "accepted");
    // The provider's certificate beside the forger's key.
    let named = with(&forged, part(&forged, "ds:KeyInfo"), part(&SIGNED_ASSERTION, "ds:KeyInfo"));
    assert_eq!(refused(&named), "signature_not_trusted");
}

#[test]
fn s15_an_algorithm_for_secrets_cannot_be_asked_for_with_a_public_key() {
    assert_eq!(code_of(verify(&with(&SIGNED_ASSERTION, RSA_SHA256, RSA_SHA256))), "accepted");
    let pem = portcullis_testkit::saml::xmlsec::pem("CERTIFICATE", IDP.certificate.der());
    for secret in [pem.as_bytes(), IDP.certificate.der(), b"".as_slice()] {
        let mut forged =
            with(&SIGNED_ASSERTION, RSA_SHA256, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256");
        let value = part(&forged, "ds:SignatureValue").to_owned();
        let tag =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), part(&forged, "ds:SignedInfo").as_bytes());
        forged = with(
            &forged,
            &value,
            &format!("<ds:SignatureValue>{}</ds:SignatureValue>", STANDARD.encode(tag)),
        );
        assert_eq!(refused(&forged), "algorithm_refused");
    }
    for uri in [
        "",
        "none",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256 ",
    ] {
        assert_eq!(refused(&with(&SIGNED_ASSERTION, RSA_SHA256, uri)), "algorithm_refused", "{uri}");
    }
    // An algorithm of the list that is for another kind of key.
    assert_eq!(
        refused(&with(&SIGNED_ASSERTION, RSA_SHA256, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256")),
        "signature_not_trusted"
    );
}

#[test]
fn s15_sha1_needs_an_exception_that_ends() {
    let weak = |signature: &str, digest: &str| {
        let method = Method { signature: signature.to_owned(), digest: digest.to_owned(), ..Method::usual() };
        sign_by(&honest(), Signed::Assertion, &method, &IDP)
    };
    let (rsa_sha1, sha1) =
        ("http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#sha1");
    for xml in [weak(rsa_sha1, SHA256), weak(RSA_SHA256, sha1), weak(rsa_sha1, sha1)] {
        assert_eq!(refused(&xml), "sha1_refused");
        assert_eq!(code_of(verify_by(&xml, |rules| rules.sha1_until_s = Some(NOW))), "sha1_refused");
        let identity = verify_by(&xml, |rules| rules.sha1_until_s = Some(NOW + 1)).unwrap();
        assert_eq!(identity.weaknesses(), [Weakness::Sha1]);
    }
}

#[test]
fn s16_an_id_stands_once_in_the_whole_message() {
    let cases = [
        with(&SIGNED_ASSERTION, "ID=\"_response\"", "ID=\"_assertion\""),
        with(&SIGNED_ASSERTION, "<ds:Signature ", "<ds:Signature Id=\"_assertion\" "),
        with(&SIGNED_ASSERTION, "<ds:KeyInfo>", "<ds:KeyInfo Id=\"_response\">"),
        with(
            &SIGNED_ASSERTION,
            "</samlp:Status>",
            "<samlp:StatusDetail><x xmlns=\"urn:x\" ID=\"_assertion\"/></samlp:StatusDetail></samlp:Status>",
        ),
    ];
    for forged in cases {
        assert_eq!(refused(&forged), "id_repeated");
    }
    assert_eq!(
        code_of(verify(&with(&SIGNED_ASSERTION, "<ds:KeyInfo>", "<ds:KeyInfo Id=\"_other\">"))),
        "accepted"
    );
}

#[test]
fn s18_only_the_two_transforms_of_saml_are_carried_out() {
    let by = |transforms: &str| {
        let method = Method { transforms: transforms.to_owned(), ..Method::usual() };
        sign_by(&honest(), Signed::Assertion, &method, &IDP)
    };
    let enveloped = r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>"#;
    let exclusive = format!(r#"<ds:Transform Algorithm="{EXC_C14N}"/>"#);
    let transform = |uri: &str| format!(r#"<ds:Transform Algorithm="{uri}"/>"#);
    assert_eq!(code_of(verify(&by(&format!("{enveloped}{exclusive}")))), "accepted");
    for uri in [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2006/12/xml-c14n11",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    ] {
        assert_eq!(
            code_of(verify(&by(&format!("{enveloped}{}", transform(uri))))),
            "algorithm_refused",
            "{uri}"
        );
        let method = Method {
            canonicalization: format!(r#"<ds:CanonicalizationMethod Algorithm="{uri}"/>"#),
            ..Method::usual()
        };
        assert_eq!(
            code_of(verify(&sign_by(&honest(), Signed::Assertion, &method, &IDP))),
            "algorithm_refused",
            "{uri}"
        );
    }
    let list = format!("{enveloped}{exclusive}");
    for (forged, code) in [
        (exclusive.clone(), "algorithm_refused"),
        (enveloped.to_owned(), "algorithm_refused"),
        (format!("{exclusive}{enveloped}"), "algorithm_refused"),
        (format!("{enveloped}{exclusive}{exclusive}"), "element_repeated"),
        (exclusive.repeat(100), "element_repeated"),
        (exclusive.repeat(1_000), "message_too_large"),
        (
            format!("{enveloped}{}", transform("http://www.w3.org/TR/1999/REC-xslt-19991116")),
            "algorithm_refused",
        ),
        (
            format!("{enveloped}{}", transform("http://www.w3.org/2000/09/xmldsig#base64")),
            "algorithm_refused",
        ),
        (
            format!(
                "{enveloped}<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>not(self::Subject)</ds:XPath></ds:Transform>"
            ),
            "element_unexpected",
        ),
    ] {
        let forged = format!("<ds:Transforms>{forged}</ds:Transforms>");
        let known = part(&SIGNED_ASSERTION, "ds:Transforms").to_owned();
        assert_eq!(refused(&with(&SIGNED_ASSERTION, &known, &forged)), code, "{list}");
    }
    // A reference to the whole document, by nothing or by a pointer.
    for uri in
        ["", "#", "#xpointer(/)", "#xpointer(id('_assertion'))", "_assertion", "http://evil.test/#_assertion"]
    {
        assert_eq!(
            refused(&with(&SIGNED_ASSERTION, "URI=\"#_assertion\"", &format!("URI=\"{uri}\""))),
            "signature_covers_other_element",
            "{uri}"
        );
    }
}

#[test]
fn what_saml_knows_and_this_room_does_not_read_is_named() {
    let name_id = part(&honest(), "saml:NameID").to_owned();
    for (from, to) in [
        (name_id.as_str(), "<saml:EncryptedID/>"),
        ("<saml:AttributeStatement>", "<saml:Advice/><saml:AttributeStatement>"),
        ("<saml:Attribute Name=\"groups\">", "<saml:EncryptedAttribute/><saml:Attribute Name=\"groups\">"),
    ] {
        assert_eq!(code_of(verify(&signed_with(from, to))), "element_unsupported", "{to}");
    }
    let unknown = signed_with(
        "<saml:AudienceRestriction>",
        "<x:Condition xmlns:x=\"urn:x\"/><saml:AudienceRestriction>",
    );
    assert_eq!(code_of(verify(&unknown)), "element_unexpected");
    assert_eq!(code_of(verify(&signed_with("Version=\"2.0\"", "Version=\"1.1\""))), "version_unsupported");
}
