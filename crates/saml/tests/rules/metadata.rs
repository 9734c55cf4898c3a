//! The provider's metadata: what is read, what is left out with a warning, what is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_saml::binding::Binding;
use portcullis_saml::certificate::{Certificate, CertificateError};
use portcullis_saml::metadata::{
    CODES, IdpMetadata, KeyUse, MetadataError, MetadataTrust, MetadataWarning, parse_idp,
};

use portcullis_testkit::saml::openssl;
use portcullis_testkit::saml::xmlsec::{IDP, IDP_NEXT, IDP_P256, STRANGER, pem, sign_within, wrapped};
use portcullis_testkit::saml::*;

fn key(attributes: &str, der: &[u8]) -> String {
    format!(
        r#"<md:KeyDescriptor{attributes}><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>
{}
</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"#,
        wrapped(der, "\n")
    )
}

fn service(name: &str, binding: &str, location: &str) -> String {
    format!(r#"<md:{name} Binding="urn:oasis:names:tc:SAML:2.0:bindings:{binding}" Location="{location}"/>"#)
}

fn idp(keys: &str) -> String {
    format!(
        r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_metadata" entityID="{IDP_ENTITY}" validUntil="{}">{{signature}}<md:IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol urn:oasis:names:tc:SAML:2.0:protocol">{keys}{}{}<md:NameIDFormat>
 urn:oasis:names:tc:SAML:2.0:nameid-format:persistent </md:NameIDFormat>{}{}</md:IDPSSODescriptor><md:Organization xmlns:x="urn:x" x:odd="1"><md:OrganizationName xml:lang="en">Acme</md:OrganizationName></md:Organization></md:EntityDescriptor>"#,
        at(NOW + 86_400),
        service("SingleLogoutService", "HTTP-Redirect", "https://idp.acme.test/slo"),
        service("SingleLogoutService", "SOAP", "https://idp.acme.test/soap"),
        service("SingleSignOnService", "HTTP-POST", "https://idp.acme.test/sso/post"),
        service("SingleSignOnService", "HTTP-Redirect", "https://idp.acme.test/sso"),
    )
}

fn honest_idp() -> String {
    let signing = key(" use=\"signing\"", IDP.certificate.der());
    let bare = key("", IDP_NEXT.certificate.der());
    let encryption = key(" use=\"encryption\"", STRANGER.certificate.der());
    idp(&format!("{signing}{bare}{encryption}"))
}

fn parse(xml: &str) -> Result<IdpMetadata, MetadataError> {
    parse_idp(xml.replace("{signature}", "").as_bytes(), MetadataTrust::Channel, NOW)
}

fn code(xml: &str) -> &'static str {
    parse(xml).map_or_else(|error| error.broken().code, |_| "accepted")
}

#[test]
fn a_provider_is_read_whole() {
    let metadata = parse(&honest_idp()).unwrap();
    assert_eq!((metadata.entity_id.as_str(), metadata.valid_until_s), (IDP_ENTITY, Some(NOW + 86_400)));
    assert!(metadata.wants_signed_requests && !metadata.is_signed_by_pinned);
    let sign_on = metadata.preferred_sign_on().unwrap();
    assert_eq!(
        (sign_on.binding, sign_on.location.as_str()),
        (Binding::Redirect, "https://idp.acme.test/sso")
    );
    assert_eq!(metadata.sign_on.len(), 2);
    assert_eq!(
        (metadata.logout.len(), metadata.preferred_logout().unwrap().location.as_str()),
        (1, "https://idp.acme.test/slo")
    );
    assert_eq!(metadata.name_id_formats, ["urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"]);
    let uses: Vec<KeyUse> = metadata.keys.iter().map(|key| key.key_use).collect();
    assert_eq!(uses, [KeyUse::Signing, KeyUse::Both, KeyUse::Encryption]);
    assert_eq!(metadata.signing_certificates(), [&IDP.certificate, &IDP_NEXT.certificate]);
    assert!(metadata.warnings.is_empty());
    let with_mark =
        format!("\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- exported -->\n{}", honest_idp());
    assert_eq!(parse(&with_mark).unwrap(), metadata);
}

#[test]
fn one_provider_in_a_list_is_found_and_two_are_refused() {
    let list = |inner: &str| {
        format!(
            r#"<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">{inner}</md:EntitiesDescriptor>"#
        )
    };
    let sp = r#"<md:EntityDescriptor entityID="https://sp.test"><md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></md:EntityDescriptor>"#;
    assert_eq!(parse(&list(&format!("{sp}{}", list(&honest_idp())))).unwrap().entity_id, IDP_ENTITY);
    assert_eq!(code(&list(&format!("{0}{0}", honest_idp()))), "metadata_several_idps");
    assert_eq!(code(&list(sp)), "metadata_no_idp");
    assert_eq!(code("<x/>"), "metadata_no_idp");
    assert_eq!(code(&with(&honest_idp(), "SAML:2.0:protocol\"", "SAML:1.0:protocol\"")), "metadata_no_idp");
}

#[test]
fn what_cannot_be_used_is_refused_with_its_own_code() {
    let honest = honest_idp();
    for (from, to, code_of_it) in [
        (format!("entityID=\"{IDP_ENTITY}\""), String::new(), "metadata_entity_id_invalid"),
        (
            format!("entityID=\"{IDP_ENTITY}\""),
            format!("entityID=\"{}\"", "x".repeat(1_025)),
            "metadata_entity_id_invalid",
        ),
        (at(NOW + 86_400), at(NOW), "metadata_expired"),
        (at(NOW + 86_400), "whenever".to_owned(), "metadata_expired"),
        ("bindings:HTTP-".to_owned(), "bindings:PAOS-".to_owned(), "metadata_no_sign_on_service"),
        ("https://".to_owned(), "http://".to_owned(), "metadata_no_sign_on_service"),
        (
            "https://idp.acme.test".to_owned(),
            "http://localhost.evil.test".to_owned(),
            "metadata_no_sign_on_service",
        ),
        ("https://idp.acme.test".to_owned(), "http://localhost:8080".to_owned(), "accepted"),
        (
            "https://idp.acme.test".to_owned(),
            "https://idp.ac[me.test".to_owned(),
            "metadata_no_sign_on_service",
        ),
        (
            "https://idp.acme.test".to_owned(),
            "https://who@idp.acme.test".to_owned(),
            "metadata_no_sign_on_service",
        ),
        ("<md:KeyDescriptor".to_owned(), "<md:Other".to_owned(), "metadata_malformed"),
        ("MII".to_owned(), "MIx".to_owned(), "metadata_certificate_invalid"),
        ("<md:Organization".to_owned(), "<!DOCTYPE x><md:Organization".to_owned(), "metadata_malformed"),
    ] {
        assert_eq!(code(&with(&honest, &from, &to)), code_of_it, "{from} {to}");
    }
    assert_eq!(code(&idp("")), "metadata_no_signing_certificate");
    assert_eq!(
        code(&idp(&key(" use=\"encryption\"", IDP.certificate.der()))),
        "metadata_no_signing_certificate"
    );
    let many: String = (0..41)
        .map(|n| service("SingleLogoutService", "HTTP-POST", &format!("https://idp.test/{n}")))
        .collect();
    assert_eq!(
        code(&with(&honest, "<md:NameIDFormat>", &format!("{many}<md:NameIDFormat>"))),
        "metadata_too_large"
    );
    assert_eq!(code(&format!("{honest}{}", " ".repeat(1_100_000))), "metadata_malformed");
}

#[test]
fn what_must_not_be_used_is_left_out_with_a_warning() {
    let warnings = |xml: &str| parse(xml).unwrap().warnings;
    let without = with(&honest_idp(), &format!(" validUntil=\"{}\"", at(NOW + 86_400)), "");
    assert_eq!(warnings(&without), []);
    let plain = with(&honest_idp(), "https://idp.acme.test/sso/post", "http://idp.acme.test/sso/post");
    assert_eq!(warnings(&plain), [MetadataWarning::EndpointLeftOut]);
    assert_eq!(parse(&plain).unwrap().sign_on.len(), 1);
    // An Ed25519 key beside a good one; alone it is none.
    let small = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let small = rcgen::CertificateParams::default().self_signed(&small).unwrap();
    let beside = idp(&format!("{}{}", key("", small.der()), key("", IDP.certificate.der())));
    assert_eq!(warnings(&beside), [MetadataWarning::UnsuitableKey]);
    assert_eq!(code(&idp(&key("", small.der()))), "metadata_no_signing_certificate");
}

#[test]
fn a_key_of_rsa_that_is_too_short_verifies_nothing_and_one_that_is_long_enough_does() {
    let short = openssl::certificate_of_rsa(1_024);
    let beside = idp(&format!("{}{}", key("", &short), key("", IDP.certificate.der())));
    let metadata = parse(&beside).unwrap();
    assert_eq!((metadata.keys.len(), metadata.warnings), (1, vec![MetadataWarning::UnsuitableKey]));
    assert_eq!(code(&idp(&key("", &short))), "metadata_no_signing_certificate");
    for pasted in [pem("CERTIFICATE", &short), STANDARD.encode(&short)] {
        let refused = Certificate::from_text(&pasted).unwrap_err();
        assert!(matches!(&refused, CertificateError::KeyUnsuitable { .. }), "{refused}");
    }
    let enough = openssl::certificate_of_rsa(2_048);
    assert_eq!(Certificate::from_text(&pem("CERTIFICATE", &enough)).unwrap().der(), enough);
    assert_eq!(parse(&idp(&key("", &enough))).unwrap().warnings, []);
}

#[test]
fn a_certificate_that_stands_twice_is_one_key_for_both_uses() {
    let twice = idp(&format!(
        "{}{}",
        key(" use=\"signing\"", IDP.certificate.der()),
        key(" use=\"encryption\"", IDP.certificate.der())
    ));
    let metadata = parse(&twice).unwrap();
    assert_eq!(metadata.keys.len(), 1);
    assert_eq!(metadata.keys[0].key_use, KeyUse::Both);
}

#[test]
fn s29_pinned_metadata_is_believed_only_with_the_pinned_signature_over_all_of_it() {
    let pinned = [IDP.certificate.clone()];
    let by = |xml: &str| {
        let parsed = parse_idp(xml.as_bytes(), MetadataTrust::Pinned(&pinned), NOW);
        parsed.map_or_else(
            |error| error.broken().code,
            |metadata| {
                assert!(metadata.is_signed_by_pinned);
                "accepted"
            },
        )
    };
    let signed = |who| {
        sign_within(
            "EntityDescriptor",
            &honest_idp().replace("{signature}", &Method::usual().template("#_metadata")),
            who,
        )
    };
    let honest = signed(&IDP);
    assert_eq!(by(&honest), "accepted");
    assert_eq!(by(&signed(&STRANGER)), "metadata_signature_invalid");
    assert_eq!(by(&honest_idp().replace("{signature}", "")), "metadata_signature_invalid");
    assert_eq!(
        by(&with(&honest, "https://idp.acme.test/sso\"", "https://evil.test/sso\"")),
        "metadata_signature_invalid"
    );
    assert_eq!(
        by(&with(&honest, "<ds:SignedInfo>", "<ds:SignedInfo><ds:SignedInfo/>")),
        "metadata_signature_invalid"
    );
    // The signed entity inside of a list that nobody signed.
    let inner = &honest[honest.find("<md:EntityDescriptor").unwrap()..];
    let list = format!(
        r#"<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">{inner}</md:EntitiesDescriptor>"#
    );
    assert_eq!(by(&list), "metadata_signature_invalid");
    let unpinned = parse_idp(honest.as_bytes(), MetadataTrust::Pinned(&[]), NOW);
    assert_eq!(unpinned.unwrap_err().broken().code, "metadata_signature_invalid");
}

#[test]
fn a_web_page_in_the_place_of_metadata_is_called_one_and_told_what_to_give() {
    let code =
        |text: &str| parse_idp(text.as_bytes(), MetadataTrust::Channel, NOW).unwrap_err().broken().code;
    for page in [
        "<!DOCTYPE html><html><head><title>Sign in</title></head></html>",
        "\u{feff}\r\n<!doctype HTML PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\">",
        "<?xml version=\"1.0\"?>\n<!DOCTYPE html SYSTEM \"x\"><html/>",
        "<HTML lang=\"en\"><p>Not found<br></HTML>",
    ] {
        assert_eq!(code(page), "metadata_web_page", "{page}");
    }
    for (other, expected) in [
        ("<!DOCTYPE md:EntityDescriptor>", "metadata_malformed"),
        ("<?xml", "metadata_malformed"),
        ("<h", "metadata_malformed"),
        ("<a/>", "metadata_no_idp"),
        ("", "metadata_malformed"),
    ] {
        assert_eq!(code(other), expected, "{other}");
    }
    let page = MetadataError::WebPage;
    assert!(page.to_string().contains("web page") && page.broken().advice.contains("metadata_xml"));
    assert!(
        parse_idp(honest_idp().replace("{signature}", "").as_bytes(), MetadataTrust::Channel, NOW).is_ok()
    );
}

#[test]
fn a_certificate_is_read_as_administrators_paste_it() {
    let der = IDP.certificate.der();
    for text in [
        pem("CERTIFICATE", der),
        format!("subject=CN = idp\n{}\n", pem("CERTIFICATE", der)),
        pem("CERTIFICATE", der).replace('\n', "\r\n"),
        STANDARD.encode(der),
        format!("  {}\n", wrapped(der, "\r\n")),
    ] {
        assert_eq!(Certificate::from_text(&text).unwrap(), IDP.certificate, "{text}");
    }
    for text in [
        "",
        "certificate",
        "-----BEGIN CERTIFICATE-----",
        &pem("CERTIFICATE", b"nonsense"),
        &"A".repeat(40_000),
    ] {
        assert_eq!(Certificate::from_text(text), Err(CertificateError::Malformed));
    }
    let longer = [der, b"x"].concat();
    assert_eq!(Certificate::from_der(&longer), Err(CertificateError::Malformed));
    assert_eq!(Certificate::from_der(IDP_P256.certificate.der()).unwrap(), IDP_P256.certificate);
}

#[test]
fn the_published_list_of_codes_is_the_list_of_codes() {
    let given = [
        MetadataError::NoIdentityProvider,
        MetadataError::SeveralIdentityProviders { count: 2 },
        MetadataError::BadEntityId { received: String::new() },
        MetadataError::Expired { received: String::new() },
        MetadataError::NoSignOnService,
        MetadataError::NoSigningCertificate,
        MetadataError::Certificate(CertificateError::Malformed),
        MetadataError::TooMany { what: "keys", max: 1, received: 2 },
        MetadataError::WebPage,
        parse("<x>").unwrap_err(),
        parse_idp(b"<x/>", MetadataTrust::Pinned(&[]), NOW).unwrap_err(),
    ];
    let mut given: Vec<&str> = given.iter().map(|error| error.broken().code).collect();
    let mut listed: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
    given.sort_unstable();
    listed.sort_unstable();
    assert_eq!(given, listed);
}
