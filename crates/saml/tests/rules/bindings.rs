//! How messages arrive: forms and queries, bounded and decoded strictly.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_saml::binding::{
    BindingError, FormMessage, MAX_QUERY_MESSAGE_BYTES, MIN_INFLATED_BYTES, MessageKind, QueryMessage,
};

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

pub(crate) fn deflated(bytes: &[u8]) -> String {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoded(&STANDARD.encode(encoder.finish().unwrap()))
}

fn code<T>(result: Result<T, BindingError>) -> &'static str {
    result.map_or_else(|error| error.broken().code, |_| "accepted")
}

#[test]
fn a_form_holds_one_message_and_at_most_one_relay_state() {
    let xml = encoded(&STANDARD.encode("<x/>"));
    let form = |body: &str| FormMessage::parse(body.as_bytes());
    let message = form(&format!("SAMLResponse={xml}&RelayState=a%20b+c&other=1")).unwrap();
    assert_eq!((message.kind(), message.relay_state()), (MessageKind::Response, Some("a b c")));
    assert_eq!(form(&format!("SAMLRequest={xml}")).unwrap().kind(), MessageKind::Request);
    assert_eq!(form(&format!("SAMLRequest={xml}&RelayState=")).unwrap().relay_state(), None);
    assert_eq!(code(form("")), "message_missing");
    assert_eq!(code(form("samlresponse=PHgvPg%3D%3D")), "message_missing");
    assert_eq!(code(form(&format!("SAMLResponse={xml}&SAMLResponse={xml}"))), "parameter_repeated");
    assert_eq!(code(form(&format!("SAMLResponse={xml}&SAMLRequest={xml}"))), "parameter_repeated");
    assert_eq!(code(form(&format!("SAMLResponse={xml}&RelayState=1&RelayState=2"))), "parameter_repeated");
}

#[test]
fn base64_is_strict_but_for_white_space() {
    let form = |value: &str| FormMessage::parse(format!("SAMLResponse={}", encoded(value)).as_bytes());
    assert_eq!(code(form("PHgvPg==")), "accepted");
    assert_eq!(code(form("PHgv\r\nPg==\n")), "accepted");
    for odd in ["PHgvPg", "PHgvPg=", "PHgvPh==", "PHgv-Pg==", "PHgvPg==!", "PHgvPg==PHgvPg=="] {
        assert_eq!(code(form(odd)), "parameter_undecodable", "{odd}");
    }
}

#[test]
fn s24_a_relay_state_is_an_opaque_value_of_bounded_length() {
    let form = |relay_state: &str| {
        FormMessage::parse(
            format!("SAMLResponse=PHgvPg%3D%3D&RelayState={}", encoded(relay_state)).as_bytes(),
        )
    };
    let hostile = "//evil.test/\"><script>alert(1)</script>";
    assert_eq!(form(hostile).unwrap().relay_state(), Some(hostile));
    assert_eq!(code(form(&"x".repeat(1_024))), "accepted");
    assert_eq!(code(form(&"x".repeat(1_025))), "message_too_large");
    let invalid = FormMessage::parse(b"SAMLResponse=PHgvPg%3D%3D&RelayState=%ff%fe");
    assert_eq!(code(invalid), "parameter_undecodable");
}

#[test]
fn s31_a_message_that_would_grow_beyond_its_bound_is_refused() {
    let query = |bytes: &[u8]| QueryMessage::parse(&format!("SAMLRequest={}", deflated(bytes)));
    assert_eq!(code(query(&vec![b' '; MIN_INFLATED_BYTES])), "accepted");
    assert_eq!(
        code(query(&vec![b' '; 2 * MIN_INFLATED_BYTES])),
        "message_too_large",
        "grown a hundred times"
    );
    // Digits that hardly compress: the ratio is a message's own, so the size decides.
    let digits = |bytes: usize| -> Vec<u8> {
        let mut state = 7_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'0' + (state >> 24) as u8 % 4
        };
        std::iter::repeat_with(next).take(bytes).collect()
    };
    assert_eq!(code(query(&digits(MAX_QUERY_MESSAGE_BYTES))), "accepted");
    assert_eq!(code(query(&digits(MAX_QUERY_MESSAGE_BYTES + 1))), "message_too_large");
    let bomb = deflated(&vec![b' '; 20_000_000]);
    assert!(bomb.len() < 32 * 1_024, "{}", bomb.len());
    assert_eq!(code(QueryMessage::parse(&format!("SAMLRequest={bomb}"))), "message_too_large");
    // A form is not inflated: what is compressed in it is no XML, small as it is.
    let form = FormMessage::parse(format!("SAMLResponse={bomb}").as_bytes()).unwrap();
    let refused = portcullis_saml::response::verify(&form, &portcullis_testkit::saml::rules());
    assert!(matches!(portcullis_testkit::saml::code_of(refused), "message_not_utf8" | "message_malformed"));
    let large = "A".repeat(600_000);
    assert_eq!(code(FormMessage::parse(format!("SAMLResponse={large}").as_bytes())), "message_too_large");
    assert_eq!(
        code(FormMessage::parse(format!("SAMLResponse={}", "A".repeat(400_000)).as_bytes())),
        "message_too_large"
    );
    assert_eq!(code(QueryMessage::parse(&format!("SAMLRequest={large}"))), "message_too_large");
}

#[test]
fn a_query_that_is_not_deflated_is_refused() {
    for value in ["PHgvPg%3D%3D", "%%%", "AAAA"] {
        assert_eq!(
            code(QueryMessage::parse(&format!("SAMLRequest={value}"))),
            "parameter_undecodable",
            "{value}"
        );
    }
    assert_eq!(code(QueryMessage::parse(&format!("SAMLRequest={}", deflated(b"<x/>")))), "accepted");
    let unsigned = QueryMessage::parse(&format!("SAMLRequest={}&Signature=AAAA", deflated(b"<x/>")));
    assert_eq!(code(unsigned), "parameter_undecodable");
}
