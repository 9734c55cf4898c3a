//! Hostile sizes: refused for what they are, in processor time that grows no faster than the message.

use portcullis_saml::binding::{FormMessage, MAX_MESSAGE_BYTES};
use portcullis_saml::metadata::{MAX_METADATA_BYTES, MetadataTrust, parse_idp};
use portcullis_saml::response;

use crate::fixture::*;

/// Processor time of this thread, in nanoseconds: what else runs on the machine is not in it.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// What a release build may take is a millisecond for 100 KB (see the measurements of this crate's example); a build
/// with checks is slower by a constant, and what grows with the square of the message is slower by far more.
const MAX_NS_PER_BYTE: u64 = 1_000;

fn refusal_of(document: &str) -> &'static str {
    let message = FormMessage::parse(&form("SAMLResponse", document)).unwrap();
    let before = cpu_ns();
    let code = code_of(response::verify(&message, &rules()));
    let took = cpu_ns() - before;
    let per_byte = took / document.len() as u64;
    assert!(per_byte < MAX_NS_PER_BYTE, "{per_byte} ns a byte for {} ({} bytes)", code, document.len());
    code
}

/// A response whose signature's key info, which may hold anything, holds `content`.
fn around(content: &str) -> String {
    with(&SIGNED_ASSERTION, "</ds:KeyInfo>", &format!("{content}</ds:KeyInfo>"))
}

fn filled(piece: &str) -> String {
    piece.repeat((MAX_MESSAGE_BYTES - 20_000) / piece.len())
}

#[test]
fn hostile_documents_are_refused_for_what_they_are() {
    let _ = refusal_of(&SIGNED_ASSERTION);
    let open = "<a>".repeat(20_000);
    let deep = |levels: usize| format!("{}{}", "<a xmlns=\"urn:x\">".repeat(levels), "</a>".repeat(levels));
    let namespaces: String = (0..25).map(|n| format!(" xmlns:n{n}=\"urn:{n}\"")).collect();
    let attributes = |count: usize| -> String { (0..count).map(|n| format!(" a{n}=\"\"")).collect() };
    let cases = [
        (around(&deep(20)), "accepted"),
        (around(&deep(100)), "message_malformed"),
        (open, "message_too_large"),
        (around(&format!("<b xmlns=\"urn:x\">{}</b>", "<a/>".repeat(4_800))), "accepted"),
        (around(&filled("<a xmlns=\"urn:x\"/>")), "message_too_large"),
        (around(&filled("<a/>")), "message_too_large"),
        (around(&format!("<a xmlns=\"urn:x\"{}/>", attributes(23))), "accepted"),
        (around(&format!("<a xmlns=\"urn:x\"{}/>", attributes(24))), "message_too_large"),
        (around(&format!("<a xmlns=\"urn:x\"{}/>", attributes(20_000))), "message_too_large"),
        (around(&format!("<a{namespaces}/>")), "message_too_large"),
        (around(&filled("<!---->")), "message_too_large"),
        (around(&format!("<a xmlns=\"urn:x\">{}</a>", filled("&amp;"))), "accepted"),
        (around(&format!("<a xmlns=\"urn:x\" b=\"{}\"/>", filled("x"))), "accepted"),
        (with(&SIGNED_ASSERTION, ADA, &filled("x")), "text_too_long"),
        (with(&SIGNED_ASSERTION, ADA, &filled("&lt;")), "text_too_long"),
        (with(&SIGNED_ASSERTION, "ID=\"_assertion\"", &format!("ID=\"{}\"", filled("x"))), "text_too_long"),
        (format!("<!DOCTYPE x [{}]>", filled("<!ENTITY a \"b\">")), "message_too_large"),
        (format!("<!DOCTYPE x \"{}\">", filled("y")), "doctype_refused"),
        (filled("]"), "message_malformed"),
        (filled("<"), "message_too_large"),
        (filled("&"), "message_malformed"),
        (format!("<a {}", filled("=")), "message_malformed"),
        (format!("<a {}", filled("=\"")), "message_too_large"),
        (format!("<a b=\"{}", filled("y ")), "message_malformed"),
        (format!("<!--{}", filled("-")), "message_malformed"),
    ];
    for (document, code) in &cases {
        assert_eq!(&refusal_of(document), code, "{}…", document.chars().take(100).collect::<String>());
    }
}

#[test]
fn attributes_are_bounded_over_the_whole_message_and_okta_s_way_of_writing_them_fits() {
    let okta = r#"<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">g</saml:AttributeValue>"#;
    let value = "<saml:AttributeValue>engineering</saml:AttributeValue>";
    // The whole message stays below its bound in bytes.
    assert_eq!(refusal_of(&signed_with(value, &okta.repeat(1_400))), "accepted");
    let spaced = "<a b = ''/>";
    assert_eq!(refusal_of(&around(&format!("<b xmlns=\"urn:x\">{}</b>", spaced.repeat(4_500)))), "accepted");
    let two = "<a b = '' c=\n\"\"/>";
    assert_eq!(
        refusal_of(&around(&format!("<b xmlns=\"urn:x\">{}</b>", two.repeat(4_500)))),
        "message_too_large"
    );
}

#[test]
fn a_transform_or_a_prefix_list_of_any_length_is_refused_before_it_is_carried_out() {
    let transform = r#"<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>"#.repeat(1_000);
    let known = part(&SIGNED_ASSERTION, "ds:Transforms").to_owned();
    let many = with(&SIGNED_ASSERTION, &known, &format!("<ds:Transforms>{transform}</ds:Transforms>"));
    assert_eq!(refusal_of(&many), "element_repeated");
    let prefixes = |count: usize| {
        let list: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
        let mut method = Method::usual();
        method.canonicalization = format!(
            r#"<ds:CanonicalizationMethod Algorithm="{EXC_C14N}"><ec:InclusiveNamespaces xmlns:ec="{EXC_C14N}" PrefixList="{}"/></ds:CanonicalizationMethod>"#,
            list.join(" ")
        );
        sign_by(&honest(), Signed::Assertion, &method, &crate::xmlsec::IDP)
    };
    assert_eq!(refusal_of(&prefixes(16)), "accepted");
    assert_eq!(refusal_of(&prefixes(17)), "algorithm_refused");
}

#[test]
fn metadata_of_a_whole_federation_is_bounded_too() {
    let entity = r#"<md:EntityDescriptor entityID="https://sp.test"><md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></md:EntityDescriptor>"#;
    let list = |count: usize| {
        format!(
            r#"<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">{}</md:EntitiesDescriptor>"#,
            entity.repeat(count)
        )
    };
    let code = |xml: &str| parse_idp(xml.as_bytes(), MetadataTrust::Channel, NOW).unwrap_err().broken().code;
    assert_eq!(code(&list(1_500)), "metadata_no_idp");
    assert_eq!(code(&list(7_000)), "metadata_malformed");
    assert_eq!(code(&format!("<a>{}</a>", "x".repeat(MAX_METADATA_BYTES))), "metadata_malformed");
}
