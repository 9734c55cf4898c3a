//! Every refusal of the room says what was expected and what came, but those of a written list.
//!
//! Here because a test of some of them lets the next variant say nothing: each error enum is listed whole, and a variant
//! without a sample does not compile.

use std::collections::BTreeSet;

use portcullis_saml::attribute::AttributeError;
use portcullis_saml::binding::BindingError;
use portcullis_saml::certificate::CertificateError;
use portcullis_saml::document::DocumentError;
use portcullis_saml::encryption::DecryptionError;
use portcullis_saml::logout::LogoutError;
use portcullis_saml::metadata::MetadataError;
use portcullis_saml::refusal::BrokenRule;
use portcullis_saml::response::ResponseError;
use portcullis_saml::shape::ShapeError;
use portcullis_saml::signature::SignatureError;
use portcullis_saml::subject::SubjectError;

/// The broken rule of a sample of each variant.
macro_rules! every {
    ($error:ident: $($variant:ident { $($fields:tt)* }),+ $(,)?) => {{
        let _is_whole = |error: &$error| match error { $($error::$variant { .. } => ()),+ };
        vec![$($error::$variant { $($fields)* }.broken()),+]
    }};
}

/// Those that say less, with what they keep to themselves, and why.
const SAYS_LESS: [(&str, &str, &str); 3] = [
    ("decryption_failed", "expected", "which step failed is what an oracle tells"),
    ("decryption_failed", "received", "which step failed is what an oracle tells"),
    ("certificate_malformed", "received", "somebody may have pasted a private key"),
];

fn text() -> String {
    "something".to_owned()
}

fn all() -> Vec<BrokenRule> {
    let all: [Vec<BrokenRule>; 11] = [
        of_bindings(),
        of_documents(),
        of_shapes(),
        of_signatures(),
        of_decryption(),
        of_responses(),
        of_subjects(),
        of_attributes(),
        of_logout(),
        of_metadata(),
        of_certificates(),
    ];
    all.concat()
}

fn of_bindings() -> Vec<BrokenRule> {
    every!(BindingError:
        TooLarge { max_bytes: 1, received: 2 },
        NoMessage {},
        Repeated { name: "RelayState" },
        Undecodable { name: "RelayState", encoding: "utf-8" },
    )
}

fn of_documents() -> Vec<BrokenRule> {
    every!(DocumentError:
        TooLarge { what: "bytes", max: 1, received: 2 },
        NotUtf8 {},
        Malformed { why: text() },
        DocumentType {},
        Construct { what: "CDATA section" },
        BadNamespace { prefix: text(), uri: text() },
    )
}

fn of_shapes() -> Vec<BrokenRule> {
    every!(ShapeError:
        WrongMessage { expected: "Response", received: text() },
        UnexpectedElement { element: text(), within: text() },
        MissingElement { element: "Issuer", within: text() },
        RepeatedElement { element: text(), within: text(), max: 1 },
        UnexpectedAttribute { attribute: text(), element: text() },
        MissingAttribute { attribute: "ID", element: text() },
        UnexpectedText { element: text() },
        CommentInText { element: text() },
        TextTooLong { element: text() },
        BadId { element: text(), id: text() },
        RepeatedId { id: text() },
        Unsupported { element: text() },
        AssertionCount { count: 2 },
    )
}

fn of_signatures() -> Vec<BrokenRule> {
    every!(SignatureError:
        NoCertificate {},
        Missing { what: "assertion" },
        Algorithm { role: "digest", received: text() },
        OtherPair { wanted: "a", received: "b" },
        Sha1 {},
        WrongReference { expected: text(), received: text() },
        NotBase64 { element: "DigestValue" },
        NoCanonicalForm {},
        DigestMismatch { element: text() },
        NotTrusted { element: text(), tried: 1 },
    )
}

fn of_decryption() -> Vec<BrokenRule> {
    every!(DecryptionError:
        NoKey {},
        Algorithm { role: "key", received: text() },
        Cbc {},
        Failed {},
    )
}

fn of_responses() -> Vec<BrokenRule> {
    every!(ResponseError:
        NotAResponse {},
        OtherVersion { element: "Response", received: text() },
        BadInstant { attribute: "IssueInstant", received: text() },
        DestinationMismatch { expected: text(), received: text() },
        IssuerMismatch { element: "response", expected: text(), received: text() },
        NotSuccessful { status: text(), message: None },
        UnknownRequest { expected: text(), received: text() },
        Unsolicited {},
        IssuedTooFarAway { element: "response", issued_at_s: 1, now_s: 2 },
        NotYetValid { not_before_s: 2, now_s: 1 },
        Expired { what: "session", not_on_or_after_s: 1, now_s: 2 },
        AudienceMismatch { expected: text(), received: text() },
        NoBearerConfirmation { received: text() },
        RecipientMismatch { expected: text(), received: text() },
        ConfirmationWindow { not_before: text(), not_on_or_after: text() },
        ContextMismatch { expected: text(), received: text() },
        ProvenBefore { oldest_s: 2, authn_at_s: 1 },
    )
}

fn of_subjects() -> Vec<BrokenRule> {
    every!(SubjectError:
        NoNameId {},
        Transient {},
        Malformed { bytes: 0 },
        NoAttribute { name: text(), values: 2 },
    )
}

fn of_attributes() -> Vec<BrokenRule> {
    every!(AttributeError:
        TooMany {},
        NotText { name: text() },
    )
}

fn of_logout() -> Vec<BrokenRule> {
    every!(LogoutError:
        OtherKind { expected: "LogoutRequest", received: "LogoutResponse" },
        OtherVersion { received: text() },
        BadInstant { attribute: "IssueInstant", received: text() },
        DestinationMismatch { expected: text(), received: text() },
        IssuerMismatch { expected: text(), received: text() },
        OutOfTime { issued_at_s: 1, now_s: 2 },
        UnknownRequest { expected: text(), received: text() },
    )
}

fn of_metadata() -> Vec<BrokenRule> {
    every!(MetadataError:
        NoIdentityProvider {},
        SeveralIdentityProviders { count: 2 },
        WebPage {},
        Document { 0: DocumentError::NotUtf8 },
        Shape { 0: ShapeError::AssertionCount { count: 2 } },
        Signature { 0: SignatureError::Sha1 },
        BadEntityId { received: text() },
        Expired { received: text() },
        NoSignOnService {},
        TooMany { what: "keys", max: 1, received: 2 },
        NoSigningCertificate {},
        Certificate { 0: CertificateError::KeyUnsuitable { received: text() } },
    )
}

fn of_certificates() -> Vec<BrokenRule> {
    every!(CertificateError:
        Malformed {},
        KeyUnsuitable { received: text() },
    )
}

#[test]
fn every_refusal_says_what_was_expected_and_what_came_but_those_that_may_not() {
    let mut less = BTreeSet::new();
    for broken in all() {
        let code = broken.code;
        assert!(!code.is_empty() && !broken.section.is_empty() && broken.advice.len() > 10, "{broken:?}");
        for (what, value) in [("expected", &broken.expected), ("received", &broken.received)] {
            match value {
                Some(value) => assert!(!value.is_empty(), "{code} has an empty `{what}`"),
                None => assert!(less.insert((code, what)), "{code} twice"),
            }
        }
    }
    let listed: BTreeSet<(&str, &str)> = SAYS_LESS.iter().map(|&(code, what, _)| (code, what)).collect();
    assert_eq!(less, listed, "a refusal says both values, or stands in the list with a reason");
}
