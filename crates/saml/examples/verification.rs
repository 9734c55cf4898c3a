//! Measures what verification costs: processor time of this thread, in release builds.
//!
//! `cargo run --release -p portcullis-saml --example verification` prints a table. Nothing else on the machine is in the
//! figures, because the kernel counts what this thread ran. With `--beside NODE SCRIPT`, as `cargo xtask figures
//! verification` runs it, npm's own service provider verifies the first message too.
#![expect(clippy::indexing_slicing, reason = "there is a first message")]
#![expect(clippy::expect_used, reason = "what goes wrong here is a fault of the measurement")]

use std::fmt::Write as _;
use std::process::Command;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_saml::binding::FormMessage;
use portcullis_saml::certificate::Certificate;
use portcullis_saml::key::{Issue, OwnKey};
use portcullis_saml::provider;
use portcullis_saml::response::{self, CbcEncryption, Expected, Proof, Rules, SignaturePolicy};
use portcullis_saml::subject::SubjectSource;

const NOW: i64 = 1_795_343_200;
const ROUNDS: u32 = 40;
/// Of which the least counts: what else runs on a core takes its caches along.
const BATCHES: u32 = 10;

fn main() {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("its PKCS#8");
    let issue = Issue { name: "idp", serial: &[1; 16], not_before_s: NOW - 60, not_after_s: NOW + 60 };
    let key = OwnKey::self_signed(der.as_ref(), &issue).expect("a certificate");
    let certificates = [key.certificate().clone()];
    let words: Vec<String> = std::env::args().skip(1).collect();
    // A second process has not verified anything before: what it rises by is what the message takes.
    if let Some(index) = words.first().and_then(|text| text.parse::<usize>().ok()) {
        let (_, document) = messages(&key).swap_remove(index);
        let form = posted(&document);
        return println!("{}", peak_of(|| _ = verdict(&form, &certificates)));
    }
    println!("{:<44} {:>8} {:>10} {:>12} {:>9}", "message", "bytes", "CPU µs", "µs / 100 KB", "peak KiB");
    let messages = messages(&key);
    let mut ours_us = Vec::new();
    for (index, (name, document)) in messages.iter().enumerate() {
        ours_us.push(measure(name, index, document, &certificates));
    }
    if let [beside, node, script] = words.as_slice()
        && beside == "--beside"
    {
        let (document, form) = (&messages[0].1, posted(&messages[0].1));
        let theirs_us = nodes(node, script, (document, &key));
        // Before and after: a machine that others use is slower now and then.
        let our_us = ours_us[0].min(least_us(&form, &certificates));
        println!(
            "npm's node-saml, the first message: {theirs_us:.0} ÷ {our_us:.0} µs, {:.0} times ours",
            theirs_us / our_us
        );
    }
}

/// Processor time that npm's service provider takes for a message, in microseconds: the least of its batches.
fn nodes(node: &str, script: &str, (document, key): (&str, &OwnKey)) -> f64 {
    let file = std::env::current_dir().expect("a folder").join("node-saml.json");
    let asked = serde_json::json!({
        "response": STANDARD.encode(document),
        "certificate": STANDARD.encode(key.certificate().der()),
        "rounds": ROUNDS,
        "batches": BATCHES,
    });
    std::fs::write(&file, asked.to_string()).expect("a file");
    let done = Command::new(node).args([script, "--asked"]).arg(&file).output().expect("node runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().parse().expect("a number")
}

fn messages(key: &OwnKey) -> Vec<(&'static str, String)> {
    let honest = [8_000, 80_000, 200_000].map(|bytes| ("a signed assertion", signed(bytes, key)));
    honest.into_iter().chain(hostile()).collect()
}

/// An assertion with as many groups as the message needs to have this length.
fn signed(bytes: usize, key: &OwnKey) -> String {
    let mut groups = String::new();
    let mut count = 0;
    while groups.len() + 3_600 < bytes {
        let padding = "x".repeat(bytes / 2_000);
        write!(groups, "<saml:AttributeValue>engineering-{count:05}{padding}</saml:AttributeValue>")
            .expect("a string");
        count += 1;
    }
    provider::sign(&document(&groups), "_assertion", key).expect("a signature")
}

fn document(values: &str) -> String {
    format!(
        r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_response" Version="2.0" IssueInstant="2026-11-22T10:26:40Z" InResponseTo="_request"><saml:Issuer>idp</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><saml:Assertion ID="_assertion" Version="2.0" IssueInstant="2026-11-22T10:26:40Z"><saml:Issuer>idp</saml:Issuer><saml:Subject><saml:NameID>ada</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData InResponseTo="_request" NotOnOrAfter="2026-11-22T10:30:00Z" Recipient="acs"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions><saml:AudienceRestriction><saml:Audience>sp</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="2026-11-22T10:26:40Z"><saml:AuthnContext/></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name="groups">{values}</saml:Attribute></saml:AttributeStatement></saml:Assertion></samlp:Response>"#
    )
}

fn hostile() -> Vec<(&'static str, String)> {
    let filled = |piece: &str| piece.repeat(250_000 / piece.len());
    let entities: String = (0..5_000).map(|n| format!("<!ENTITY e{n} \"&e{};\">", n + 1)).collect();
    let attributes = |count: usize| -> String { (0..count).map(|n| format!(" a{n}=\"\"")).collect() };
    vec![
        ("nested 50,000 deep", filled("<a>")),
        ("nested 5,000 deep", "<a>".repeat(5_000)),
        ("entities", format!("<!DOCTYPE a [{entities}]><a>&e0;</a>")),
        ("30,000 attributes", format!("<a{}/>", attributes(30_000))),
        (
            "500 attributes in each of 60 elements",
            format!("<a>{}</a>", format!("<b{}/>", attributes(500)).repeat(60)),
        ),
        (
            "as many elements as the bound lets in",
            format!("<a>{}</a>", "<b/>".repeat(portcullis_saml::document::MAX_MARKUP - 10)),
        ),
        (
            "1,000 transforms",
            document(
                &"<ds:Transform xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" Algorithm=\"x\"/>"
                    .repeat(1_000),
            ),
        ),
        (
            "namespaces",
            document(
                &(0..1_900)
                    .map(|n| format!("<saml:AttributeValue xmlns:n{n}=\"urn:{n}\"/>"))
                    .collect::<String>(),
            ),
        ),
        (
            "one long text",
            document(&format!("<saml:AttributeValue>{}</saml:AttributeValue>", filled("x&lt;"))),
        ),
        ("garbage", filled("]]>&")),
    ]
}

fn posted(document: &str) -> Vec<u8> {
    let value = utf8_percent_encode(&STANDARD.encode(document), NON_ALPHANUMERIC).to_string();
    format!("SAMLResponse={value}").into_bytes()
}

fn verdict(form: &[u8], certificates: &[Certificate]) -> &'static str {
    let rules = Rules {
        idp_entity_id: "idp",
        certificates,
        sp_entity_id: "sp",
        acs_url: "acs",
        expected: Expected::Request { id: "_request" },
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
    match FormMessage::parse(form) {
        Ok(message) => {
            response::verify(&message, &rules).map_or_else(|refusal| refusal.code(), |_| "accepted")
        }
        Err(error) => error.broken().code,
    }
}

fn measure(name: &str, index: usize, document: &str, certificates: &[Certificate]) -> f64 {
    let form = posted(document);
    let verdict_of_it = verdict(&form, certificates);
    let micros = least_us(&form, certificates);
    let per_100_kb = micros * 100_000.0 / document.len() as f64;
    let child =
        std::env::current_exe().and_then(|program| Command::new(program).arg(index.to_string()).output());
    let peak = String::from_utf8(child.expect("this program again").stdout).expect("a number");
    let bytes = document.len();
    println!("{name:<44} {bytes:>8} {micros:>10.1} {per_100_kb:>12.1} {:>9}  {verdict_of_it}", peak.trim());
    micros
}

/// Processor time of a verdict, in microseconds: the least of the batches.
fn least_us(form: &[u8], certificates: &[Certificate]) -> f64 {
    let batch = || {
        let before = cpu_ns();
        for _ in 0..ROUNDS {
            let _ = verdict(form, certificates);
        }
        cpu_ns() - before
    };
    let least = (0..BATCHES).map(|_| batch()).min().expect("a batch");
    least as f64 / f64::from(ROUNDS) / 1_000.0
}

/// Processor time of this thread, in nanoseconds.
fn cpu_ns() -> u64 {
    // The kernel adds up when a thread gives way, and not when somebody reads.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split_whitespace().next().and_then(|first| first.parse().ok()).expect("a number")
}

/// How far the resident memory rose above what it was, in KiB.
fn peak_of(work: impl Fn()) -> u64 {
    let status = |name: &str| -> u64 {
        let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let line = text.lines().find(|line| line.starts_with(name)).expect("a line");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    };
    std::fs::write("/proc/self/clear_refs", "5").expect("the right to reset one's own peak");
    let before = status("VmRSS:");
    work();
    status("VmHWM:").saturating_sub(before)
}
