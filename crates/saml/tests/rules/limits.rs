//! Hostile sizes: refused for what they are, in processor time that grows no faster than the message, and in memory of
//! twice what came.

use portcullis_saml::binding::{FormMessage, MAX_MESSAGE_BYTES, MAX_QUERY_MESSAGE_BYTES, QueryMessage};
use portcullis_saml::document::MAX_FRAME;
use portcullis_saml::metadata::{MAX_METADATA_BYTES, MetadataTrust, parse_idp};
use portcullis_saml::response;

use portcullis_testkit::saml::*;

use crate::bindings::deflated;

/// Processor time of this thread, in nanoseconds: what else runs on the machine is not in it.
fn cpu_ns() -> u64 {
    // The kernel adds up when a thread gives way, and not when somebody reads.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// What may be taken beside the bytes: digests, the signature of RSA, and a core that others use too.
const MAX_NS_A_MESSAGE: u64 = 1_000_000;
/// What a byte of a message may cost that is refused, and of one that is believed: some three times what they took on a busy
/// machine, built as tests are, with little optimisation: 8 and 21. Where everything is optimised it is a millisecond for
/// 100 KB (the measurements of this crate's example).
const MAX_NS_PER_BYTE: (u64, u64) = (25, 60);
/// How often each is tried. What else runs on a core takes its caches along, so the least counts.
const TURNS: usize = 3;

fn refusal_of(document: &str) -> &'static str {
    let (body, rules) = (form("SAMLResponse", document), rules());
    let mut code = "";
    let mut turn = || {
        let before = cpu_ns();
        let message = FormMessage::parse(&body).unwrap();
        code = code_of(response::verify(&message, &rules));
        cpu_ns() - before
    };
    let took = (0..TURNS).map(|_| turn()).min().unwrap();
    let per_byte = took.saturating_sub(MAX_NS_A_MESSAGE) / document.len() as u64;
    let max = if code == "accepted" { MAX_NS_PER_BYTE.1 } else { MAX_NS_PER_BYTE.0 };
    assert!(per_byte < max, "{per_byte} ns a byte for {code} ({} bytes)", document.len());
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
        (around(&deep(100)), "message_too_large"),
        (open, "message_too_large"),
        (around(&format!("<b xmlns=\"urn:x\">{}</b>", "<a/>".repeat(200))), "accepted"),
        (around(&format!("<b xmlns=\"urn:x\">{}</b>", "<a/>".repeat(MAX_FRAME))), "message_too_large"),
        (around(&filled("<a xmlns=\"urn:x\"/>")), "message_too_large"),
        (around(&filled("<a/>")), "message_too_large"),
        (around(&format!("<a xmlns=\"urn:x\"{}/>", attributes(23))), "accepted"),
        (around(&format!("<a xmlns=\"urn:x\"{}/>", attributes(24))), "message_too_large"),
        (around(&format!("<a xmlns=\"urn:x\"{}/>", attributes(20_000))), "message_too_large"),
        (around(&format!("<a{namespaces}/>")), "message_too_large"),
        (around(&filled("<!---->")), "message_too_large"),
        (around(&format!("<a xmlns=\"urn:x\">{}</a>", "&amp;".repeat(10_000))), "accepted"),
        (around(&format!("<a xmlns=\"urn:x\">{}</a>", filled("&amp;"))), "message_too_large"),
        (around(&format!("<a xmlns=\"urn:x\" b=\"{}\"/>", "x".repeat(60_000))), "accepted"),
        (around(&format!("<a xmlns=\"urn:x\" b=\"{}\"/>", filled("x"))), "message_too_large"),
        (with(&SIGNED_ASSERTION, ADA, &"x".repeat(60_000)), "text_too_long"),
        (with(&SIGNED_ASSERTION, ADA, &"&lt;".repeat(15_000)), "text_too_long"),
        (with(&SIGNED_ASSERTION, ADA, &filled("x")), "message_too_large"),
        (
            with(&SIGNED_ASSERTION, "ID=\"_assertion\"", &format!("ID=\"{}\"", "x".repeat(60_000))),
            "text_too_long",
        ),
        (format!("<!DOCTYPE x [{}]>", filled("<!ENTITY a \"b\">")), "doctype_refused"),
        (format!("<!DOCTYPE x \"{}\">", filled("y")), "doctype_refused"),
        ("]".repeat(60_000), "message_malformed"),
        (filled("]"), "message_too_large"),
        (filled("<"), "message_too_large"),
        ("&".repeat(60_000), "message_malformed"),
        (format!("<a {}", "=".repeat(60_000)), "message_malformed"),
        (format!("<a {}", filled("=\"")), "message_too_large"),
        (format!("<a b=\"{}", "y ".repeat(30_000)), "message_malformed"),
        (format!("<!--{}", "-".repeat(60_000)), "message_malformed"),
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
    // Written with spaces, as an attribute may be, and short: more than there are bytes for.
    let short = |each: &str, count: usize| {
        refusal_of(&around(&format!("<b xmlns=\"urn:x\">{}</b>", each.repeat(count))))
    };
    assert_eq!(short("<a b = '' c=\n\"\"/>", 120), "accepted");
    assert_eq!(short("<a b = '' c=\n\"\" d=''/>", 180), "message_too_large");
}

/// Each is large by another way, and none gets as far as a tree that outweighs it.
fn monsters() -> Vec<(&'static str, String, &'static str)> {
    let attributes = |count: usize| -> String { (0..count).map(|n| format!(" a{n}=\"\"")).collect() };
    let entities: String = (0..5_000).map(|n| format!("<!ENTITY e{n} \"&e{};\">", n + 1)).collect();
    let in_assertion = |content: &str| with(&SIGNED_ASSERTION, ADA, content);
    let transforms = r#"<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>"#.repeat(1_000);
    vec![
        ("nested 50,000 deep", filled("<a>"), "message_too_large"),
        ("nested 200 deep", around(&"<a xmlns=\"urn:x\">".repeat(200)), "message_too_large"),
        ("entities", format!("<!DOCTYPE a [{entities}]><a>&e0;</a>"), "doctype_refused"),
        ("30,000 attributes", format!("<a{}/>", attributes(30_000)), "message_too_large"),
        (
            "24 attributes in each of 60",
            around(&format!("<b{}/>", attributes(24)).repeat(60)),
            "message_too_large",
        ),
        ("nothing but elements", format!("<a>{}</a>", "<b/>".repeat(5_000)), "message_too_large"),
        ("nothing but comments", filled("<!---->"), "message_too_large"),
        (
            "1,000 transforms",
            with(&SIGNED_ASSERTION, "</ds:Transforms>", &format!("{transforms}</ds:Transforms>")),
            "message_too_large",
        ),
        ("one long text", in_assertion(&filled("x")), "message_too_large"),
        ("one long text of references", in_assertion(&filled("x&lt;")), "message_too_large"),
        (
            "one long attribute",
            around(&format!("<a xmlns=\"urn:x\" b=\"{}\"", filled("&lt;"))),
            "message_too_large",
        ),
        ("garbage", filled("]]>&"), "message_too_large"),
        ("one megabyte", "x".repeat(1_000_000), "message_too_large"),
    ]
}

/// How many times the length of what was posted is allocated at once until the verdict, and the verdict.
fn taken(name: &str, document: &str) -> (f64, &'static str) {
    let (body, rules) = (form("SAMLResponse", document), rules());
    let mut verdict = "";
    let taken = allocation_counter::measure(|| {
        verdict = match FormMessage::parse(&body) {
            Ok(message) => code_of(response::verify(&message, &rules)),
            Err(error) => error.broken().code,
        };
    });
    let times = taken.bytes_max as f64 / body.len() as f64;
    println!("{name:<34} {:>9} {:>9} {times:>6.2} {:>8}", body.len(), taken.bytes_max, taken.count_total);
    (times, verdict)
}

#[test]
fn what_is_hostile_is_refused_in_memory_of_twice_its_length() {
    for (name, document, code) in monsters() {
        let (times, verdict) = taken(name, &document);
        assert_eq!(verdict, code, "{name}");
        assert!(times <= 2.0, "{name}: {times:.2} times its length at once");
    }
}

#[test]
fn a_query_is_inflated_no_further_than_its_bound_however_little_came_and_however_much_it_would_become() {
    for (name, bytes, code) in [
        ("a query of 20 MB of spaces", 20_000_000, "message_too_large"),
        ("a query of 2 MB of spaces", 2_000_000, "message_too_large"),
        ("a query of 40 KB of spaces", 40_000, "message_too_large"),
    ] {
        let query = format!("SAMLRequest={}", deflated(&vec![b' '; bytes]));
        let (mut verdict, before) = ("accepted", cpu_ns());
        let taken = allocation_counter::measure(|| {
            verdict = QueryMessage::parse(&query).map_or_else(|error| error.broken().code, |_| "accepted");
        });
        let took = cpu_ns() - before;
        println!("{name:<34} {:>9} {:>9} {took:>9} ns", query.len(), taken.bytes_max);
        assert_eq!(verdict, code, "{name}");
        // What came, decoded twice; the decoder's window and buffer; and a text that grows by doubling.
        let bound = (2 * query.len() + 4 * MAX_QUERY_MESSAGE_BYTES) as u64;
        assert!(taken.bytes_max <= bound, "{name}: {} bytes at once", taken.bytes_max);
        let max = MAX_NS_A_MESSAGE + MAX_NS_PER_BYTE.0 * MAX_QUERY_MESSAGE_BYTES as u64;
        assert!(took < max, "{name}: {took} ns");
    }
}

#[test]
fn what_is_made_like_an_honest_message_costs_what_an_honest_one_costs() {
    let value = "<saml:AttributeValue>engineering</saml:AttributeValue>";
    let okta = r#"<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">g</saml:AttributeValue>"#;
    let (honest, verdict) = taken("as Okta writes 500 groups", &signed_with(value, &okta.repeat(500)));
    assert_eq!(verdict, "accepted");
    let namespaces: String =
        (0..1_900).map(|n| format!("<saml:AttributeValue xmlns:n{n}=\"urn:{n}\"/>")).collect();
    let ciphertext = "<saml:EncryptedAssertion><xenc:EncryptedData xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\"><xenc:CipherData><xenc:CipherValue>";
    let cases = [
        ("1,900 namespaces", with(&SIGNED_ASSERTION, value, &namespaces), "digest_mismatch"),
        (
            "1,900 values",
            with(&SIGNED_ASSERTION, value, &"<saml:AttributeValue/>".repeat(1_900)),
            "digest_mismatch",
        ),
        (
            "references for ciphertext",
            with(
                &SIGNED_ASSERTION,
                "<saml:Assertion ",
                &format!("{ciphertext}{}<saml:Assertion ", filled("&lt;")),
            ),
            "message_malformed",
        ),
    ];
    for (name, document, code) in cases {
        let (times, verdict) = taken(name, &document);
        assert_eq!(verdict, code, "{name}");
        assert!(times <= 2.0 * honest, "{name}: {times:.2} times its length, an honest message {honest:.2}");
    }
}

#[test]
fn a_transform_or_a_prefix_list_of_any_length_is_refused_before_it_is_carried_out() {
    let known = part(&SIGNED_ASSERTION, "ds:Transforms").to_owned();
    for (count, code) in [(2, "algorithm_refused"), (3, "element_repeated"), (1_000, "message_too_large")] {
        let transform =
            r#"<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>"#.repeat(count);
        let many = with(&SIGNED_ASSERTION, &known, &format!("<ds:Transforms>{transform}</ds:Transforms>"));
        assert_eq!(refusal_of(&many), code, "{count}");
    }
    let prefixes = |count: usize| {
        let list: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
        let mut method = Method::usual();
        method.canonicalization = format!(
            r#"<ds:CanonicalizationMethod Algorithm="{EXC_C14N}"><ec:InclusiveNamespaces xmlns:ec="{EXC_C14N}" PrefixList="{}"/></ds:CanonicalizationMethod>"#,
            list.join(" ")
        );
        sign_by(&honest(), Signed::Assertion, &method, &portcullis_testkit::saml::xmlsec::IDP)
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
