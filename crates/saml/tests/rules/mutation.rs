//! Messages that were changed anywhere never say anything new, and no input makes a reader panic.

use portcullis_saml::binding::{FormMessage, Incoming, QueryMessage};
use portcullis_saml::certificate::Certificate;
use portcullis_saml::logout::{self, LogoutRules};
use portcullis_saml::metadata::{MetadataTrust, parse_idp};
use portcullis_saml::response::{self, CbcEncryption, Identity};
use proptest::prelude::*;

use portcullis_testkit::saml::*;

/// What an attacker would put into a document, beside single characters.
const PIECES: [&str; 22] = [
    "<!-- -->",
    "<![CDATA[x]]>",
    "<?x y?>",
    "<!DOCTYPE x>",
    "&#0;",
    "&lt;",
    "&#13;",
    "<x/>",
    "<saml:Assertion>",
    "</saml:Assertion>",
    "<ds:Object>",
    "<ds:Reference URI=\"\"/>",
    " ID=\"_assertion\"",
    " xmlns:x=\"y\"",
    " xmlns=\"\"",
    " xml:id=\"_evil\"",
    "00u-mallory",
    "\u{feff}",
    "\r",
    "\t",
    "\"",
    "'",
];

#[derive(Debug, Clone)]
enum Mutation {
    Replace { at: usize, by: char },
    Remove { from: usize, length: usize },
    Insert { at: usize, piece: usize },
    Copy { from: usize, length: usize, to: usize },
    Swap { one: usize, other: usize },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<usize>;
    prop_oneof![
        (at(), proptest::char::range(' ', '~')).prop_map(|(at, by)| Mutation::Replace { at, by }),
        (at(), 1..400_usize).prop_map(|(from, length)| Mutation::Remove { from, length }),
        (at(), 0..PIECES.len()).prop_map(|(at, piece)| Mutation::Insert { at, piece }),
        (at(), 1..3_000_usize, at()).prop_map(|(from, length, to)| Mutation::Copy { from, length, to }),
        (at(), at()).prop_map(|(one, other)| Mutation::Swap { one, other }),
    ]
}

/// The document is ASCII, so every offset is between two characters.
fn mutated(document: &str, mutation: &Mutation) -> String {
    let length = document.len();
    let mut text = document.to_owned();
    match *mutation {
        Mutation::Replace { at, by } => text.replace_range(at % length..at % length + 1, &by.to_string()),
        Mutation::Remove { from, length: cut } => {
            text.replace_range(from % length..length.min(from % length + cut), "")
        }
        Mutation::Insert { at, piece } => text.insert_str(at % (length + 1), PIECES[piece]),
        Mutation::Copy { from, length: copied, to } => {
            let copy = document[from % length..length.min(from % length + copied)].to_owned();
            text.insert_str(to % (length + 1), &copy);
        }
        Mutation::Swap { one, other } => {
            let (first, second) = elements(document, one, other);
            text = document.replace(&first, "{hole}").replace(&second, &first).replace("{hole}", &second);
        }
    }
    text
}

/// Two elements of the document, to be put in each other's place.
fn elements(document: &str, one: usize, other: usize) -> (String, String) {
    const NAMES: [&str; 8] = [
        "saml:Subject",
        "saml:Conditions",
        "saml:AuthnStatement",
        "saml:AttributeStatement",
        "ds:SignedInfo",
        "ds:Reference",
        "samlp:Status",
        "saml:Assertion",
    ];
    let element = |index: usize| part(document, NAMES[index % NAMES.len()]).to_owned();
    (element(one), element(other))
}

/// What an identity says, with everything that a caller acts on.
fn said(identity: &Identity) -> String {
    format!(
        "{} {:?} {:?} {:?} {:?} {}",
        identity.subject().as_str(),
        identity.attributes(),
        identity.session_index(),
        identity.session_not_on_or_after_s(),
        identity.authn_context(),
        identity.assertion_id(),
    )
}

/// Every value is a piece of the octets that the digest covered.
fn require_covered(identity: &Identity) -> Result<(), TestCaseError> {
    let covered = String::from_utf8(identity.signed().to_vec()).unwrap();
    let values = identity.attributes().all().iter().flat_map(|attribute| &attribute.values);
    let value_of_subject = identity.name_id().map(|name_id| &name_id.value);
    for value in values.chain(value_of_subject) {
        let written =
            value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#xD;");
        prop_assert!(covered.contains(&written), "{value} is not covered");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_mutated_response_says_what_was_signed_or_nothing(
        changes in prop::collection::vec(mutation(), 1..4),
        is_response_signed in any::<bool>(),
    ) {
        let honest = if is_response_signed { &*SIGNED_RESPONSE } else { &*SIGNED_ASSERTION };
        prop_assert!(honest.is_ascii());
        let expected = said(&verify(honest).unwrap());
        let mut document = honest.clone();
        for change in &changes {
            if document.is_ascii() && !document.is_empty() && (!matches!(change, Mutation::Swap { .. }) || document == *honest) {
                document = mutated(&document, change);
            }
        }
        if let Ok(identity) = verify(&document) {
            prop_assert_eq!(said(&identity), expected);
            require_covered(&identity)?;
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), text in ".{0,300}") {
        let _ = FormMessage::parse(&bytes);
        let _ = QueryMessage::parse(&text);
        let _ = parse_idp(&bytes, MetadataTrust::Channel, NOW);
        let _ = parse_idp(text.as_bytes(), MetadataTrust::Pinned(&[]), NOW);
        let _ = Certificate::from_der(&bytes);
        let _ = Certificate::from_text(&text);
        let message = FormMessage::parse(&form("SAMLResponse", &text)).unwrap();
        prop_assert!(response::verify(&message, &rules()).is_err());
        let rules = LogoutRules {
            idp_entity_id: IDP_ENTITY,
            certificates: &CERTIFICATES,
            logout_url: ACS,
            decryption_keys: &[],
            cbc: CbcEncryption::Refused,
            sha1_until_s: None,
            skew_s: 180,
            now_s: NOW,
        };
        prop_assert!(logout::verify_request(Incoming::Form(&message), &rules).is_err());
    }
}

#[test]
fn a_comment_at_every_place_between_two_characters_changes_nothing_or_is_refused() {
    let expected = said(&verify(&SIGNED_ASSERTION).unwrap());
    let from = SIGNED_ASSERTION.find("<saml:Subject>").unwrap();
    for at in from..SIGNED_ASSERTION.len() {
        let mut document = SIGNED_ASSERTION.clone();
        document.insert_str(at, "<!---->");
        if let Ok(identity) = verify(&document) {
            assert_eq!(said(&identity), expected, "at {at}");
        }
    }
}

#[test]
fn no_single_character_of_a_signed_assertion_can_be_another() {
    let expected = verify(&SIGNED_ASSERTION).unwrap();
    let from = SIGNED_ASSERTION.find("<saml:Subject>").unwrap();
    let to = SIGNED_ASSERTION.find("</saml:Assertion>").unwrap();
    for at in from..to {
        let old = SIGNED_ASSERTION.as_bytes()[at];
        let new = if old == b'x' { "y" } else { "x" };
        let mut document = SIGNED_ASSERTION.clone();
        document.replace_range(at..at + 1, new);
        if let Ok(identity) = verify(&document) {
            // White space within a tag is the one thing that canonical form does not keep.
            assert_eq!(identity, expected, "at {at}");
        }
    }
}
