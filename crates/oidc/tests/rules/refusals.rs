//! Every refusal of the room says what was expected and what came, but those of a written list.
//!
//! Here because a test of some of them lets the next variant say nothing: each error enum is listed whole, and a variant
//! without a sample does not compile.

use std::collections::BTreeSet;

use portcullis_oidc::callback::CallbackError;
use portcullis_oidc::claims::ClaimsError;
use portcullis_oidc::discovery::DiscoveryError;
use portcullis_oidc::graph::GraphError;
use portcullis_oidc::id_token::IdTokenError;
use portcullis_oidc::jwks::JwksError;
use portcullis_oidc::jws::JwsError;
use portcullis_oidc::logout_token::LogoutTokenError;
use portcullis_oidc::oauth_error::ErrorCode;
use portcullis_oidc::pushed_request::PushedRequestError;
use portcullis_oidc::refusal::BrokenRule;
use portcullis_oidc::token::TokenError;
use portcullis_oidc::userinfo::UserInfoError;

/// The broken rule of a sample of each variant.
macro_rules! every {
    ($error:ident: $($variant:ident { $($fields:tt)* }),+ $(,)?) => {{
        let _is_whole = |error: &$error| match error { $($error::$variant { .. } => ()),+ };
        vec![$($error::$variant { $($fields)* }.broken()),+]
    }};
}

/// Those that say less, with what they keep to themselves, and why.
const SAYS_LESS: [(&str, &str, &str); 6] = [
    ("state_mismatch", "expected", "whoever knows it finishes the sign-in of another browser"),
    ("state_mismatch", "received", "it may be the one of another browser"),
    ("nonce_mismatch", "expected", "it binds a token to one browser"),
    ("nonce_mismatch", "received", "it may be the one of another browser"),
    ("at_hash_mismatch", "expected", "it is made of the access token"),
    ("at_hash_mismatch", "received", "it is made of the access token"),
];

fn text() -> String {
    "something".to_owned()
}

fn all() -> Vec<BrokenRule> {
    let all: [Vec<BrokenRule>; 11] = [
        of_callbacks(),
        of_claims(),
        of_discovery(),
        of_graph(),
        of_id_tokens(),
        of_keys(),
        of_signatures(),
        of_logout_tokens(),
        of_pushed_requests(),
        of_tokens(),
        of_userinfo(),
    ];
    all.concat()
}

fn of_callbacks() -> Vec<BrokenRule> {
    every!(CallbackError:
        TooLarge { bytes: 1 },
        Duplicate { name: "state" },
        StateMismatch {},
        ConnectionMismatch { expected: text(), received: text() },
        IssuerMismatch { expected: text(), received: text() },
        IssuerMissing { expected: text() },
        Provider { error: ErrorCode::InvalidClient, description: None },
        CodeMissing {},
    )
}

fn of_claims() -> Vec<BrokenRule> {
    every!(ClaimsError:
        GroupsMalformed { name: text(), received: "a number" },
        ObjectIdMissing {},
        TenantMismatch { expected: text(), received: text() },
    )
}

fn of_discovery() -> Vec<BrokenRule> {
    every!(DiscoveryError:
        TooLarge { bytes: 1 },
        Malformed { why: text() },
        Missing { name: "issuer" },
        IssuerMismatch { expected: text(), received: text() },
        TemplateIssuer { issuer: text() },
        ConsumerTenant {},
        NotHttps { name: "jwks_uri", received: text() },
        BadUrl { name: "jwks_uri", received: text(), why: "a URL" },
        NoUsableAlg { received: text() },
        NoClientAuth { expected: text(), received: text() },
        NoAssertionAlg { alg: "ES256", received: text() },
        NoFormPost { received: text() },
        NoPushedRequests {},
        NoCodeFlow { received: text() },
    )
}

fn of_graph() -> Vec<BrokenRule> {
    every!(GraphError:
        NoToken { received: text() },
        Denied { status: 403 },
        Status { status: 500 },
        Malformed { why: text() },
    )
}

fn of_id_tokens() -> Vec<BrokenRule> {
    every!(IdTokenError:
        Jws { 0: JwsError::Encrypted },
        Key { 0: JwksError::TooManyKeys { keys: 1 } },
        BadClaim { name: "iss", received: "absent" },
        IssuerMismatch { expected: text(), received: text() },
        TenantMismatch { expected: text(), received: text() },
        AudienceMismatch { expected: text(), received: text() },
        AudienceUntrusted { expected: text(), received: text() },
        AuthorizedPartyMismatch { expected: text(), received: text() },
        Expired { expired_at: 1, now: 2 },
        IssuedTooFarAway { issued_at: 1, now: 2 },
        NotYetValid { not_before: 2, now: 1 },
        NonceMismatch {},
        AuthenticationTooOld { max_age_s: 1, authenticated_at: None },
        NotProvenAnew { oldest: 1, authenticated_at: None },
        AuthenticationClassMismatch { expected: text(), received: text() },
        AccessTokenHashMismatch {},
        BadSubject { chars: 0 },
    )
}

fn of_keys() -> Vec<BrokenRule> {
    every!(JwksError:
        TooLarge { bytes: 1 },
        TooManyKeys { keys: 1 },
        Malformed { why: text() },
        NoUsableKey { ignored: 1 },
        UnknownKid { kid: text(), known: text() },
        NoKeyFits { alg: "ES256", keys: 1 },
        KeyUnfit { kid: text(), alg: "ES256" },
        Ambiguous { keys: 2 },
    )
}

fn of_signatures() -> Vec<BrokenRule> {
    every!(JwsError:
        TooLarge { bytes: 1 },
        Encrypted {},
        Malformed { why: text() },
        AlgNotAllowed { received: text(), allowed: text() },
        TypNotAllowed { received: text(), allowed: text() },
        CriticalHeader {},
        BadSignature {},
    )
}

fn of_logout_tokens() -> Vec<BrokenRule> {
    every!(LogoutTokenError:
        Token { 0: IdTokenError::BadSubject { chars: 0 } },
        EventMissing {},
        NoncePresent {},
        BadId { name: "jti", received: text() },
        NobodyNamed {},
    )
}

fn of_pushed_requests() -> Vec<BrokenRule> {
    every!(PushedRequestError:
        TooLarge { bytes: 1 },
        Refused { error: ErrorCode::InvalidClient, description: None },
        Status { status: 500 },
        Malformed { why: text() },
    )
}

fn of_tokens() -> Vec<BrokenRule> {
    every!(TokenError:
        TooLarge { bytes: 1 },
        Refused { error: ErrorCode::InvalidClient, description: None },
        Status { status: 500 },
        Malformed { why: text() },
        Missing { name: "id_token" },
        TokenType { received: text() },
    )
}

fn of_userinfo() -> Vec<BrokenRule> {
    every!(UserInfoError:
        TooLarge { bytes: 1 },
        Status { status: 500 },
        Malformed { why: text() },
        SubjectMismatch { expected: text(), received: text() },
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
