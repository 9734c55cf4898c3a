//! What a provider says of the end of a session: each rule broken in two ways, beside a neighbour that passes.

use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::logout_token::{self, LOGOUT_EVENT, Logout, LogoutTokenError, LogoutTokenRules};
use portcullis_oidc::provider::SigningKey;
use serde_json::{Map, Value, json};

use crate::fixture::{CLIENT_ID, ISSUER, NOW, SUBJECT, es256, honest_claims, published};

const SID: &str = "s-08a5019c";

fn said() -> Map<String, Value> {
    let said = json!({
        "iss": ISSUER, "aud": CLIENT_ID, "iat": NOW - 1, "exp": NOW + 119, "jti": "bWJq", "sub": SUBJECT, "sid": SID,
        "events": { LOGOUT_EVENT: {} },
    });
    said.as_object().unwrap().clone()
}

/// The honest token with these members replaced; `null` removes one.
fn with(changes: &[(&str, Value)]) -> Map<String, Value> {
    let mut said = said();
    for (name, value) in changes {
        if value.is_null() {
            said.remove(*name);
        } else {
            said.insert((*name).to_owned(), value.clone());
        }
    }
    said
}

fn verify(token: &str, key: &SigningKey) -> Result<Logout, LogoutTokenError> {
    let rules = LogoutTokenRules { issuer: ISSUER, client_id: CLIENT_ID, algs: &SigningAlg::ALL, now: NOW };
    logout_token::verify(token, &published(&[key]), &rules)
}

fn code_of(outcome: Result<Logout, LogoutTokenError>) -> &'static str {
    outcome.map_or_else(|error| error.broken().code, |_| "verified")
}

fn code(changes: &[(&str, Value)]) -> &'static str {
    let key = es256(1);
    code_of(verify(&key.sign("logout+jwt", &with(changes)).unwrap(), &key))
}

#[test]
fn an_honest_token_says_which_session_of_whom_is_over() {
    let key = es256(1);
    let logout = verify(&key.sign("logout+jwt", &said()).unwrap(), &key).unwrap();
    assert_eq!((logout.jti.as_str(), logout.subject.as_deref()), ("bWJq", Some(SUBJECT)));
    assert_eq!(logout.session_id.as_deref(), Some(SID));
    assert_eq!(logout.replay_until_s, NOW + 119 + 60 + 1, "as long as it passes");
    let lasting = verify(&key.sign("logout+jwt", &with(&[("exp", json!(NOW + 86_400))])).unwrap(), &key);
    assert_eq!(lasting.unwrap().replay_until_s, NOW - 1 + 300 + 1, "`iat` ends it first");
}

#[test]
fn a_token_names_a_person_or_a_session_or_both() {
    assert_eq!(code(&[("sid", Value::Null)]), "verified");
    assert_eq!(code(&[("sub", Value::Null)]), "verified");
    assert_eq!(code(&[("sub", Value::Null), ("sid", Value::Null)]), "logout_nobody_named");
    for bad in [json!(""), json!(7), json!("s".repeat(1_025))] {
        assert_eq!(code(&[("sid", bad.clone())]), "logout_id_invalid", "{bad}");
    }
    for bad in [json!(""), json!("ädä")] {
        assert_eq!(code(&[("sub", bad.clone())]), "subject_invalid", "{bad}");
    }
}

#[test]
fn a_logout_token_is_of_its_type_or_of_none_that_is_another() {
    let key = es256(1);
    let typed = |typ: &str| code_of(verify(&key.sign(typ, &said()).unwrap(), &key));
    for typ in ["logout+jwt", "application/LOGOUT+jwt", "JWT"] {
        assert_eq!(typed(typ), "verified", "{typ}");
    }
    let bare = key
        .sign_bytes(&json!({"alg": "ES256", "kid": key.kid()}), Value::Object(said()).to_string().as_bytes());
    assert_eq!(code_of(verify(&bare.unwrap(), &key)), "verified", "no type at all");
    for typ in ["at+jwt", "secevent+jwt", "oauth-id-jag+jwt", ""] {
        assert_eq!(typed(typ), "typ_not_allowed", "{typ}");
    }
}

#[test]
fn an_id_token_is_no_logout_token_and_a_logout_token_no_id_token() {
    let key = es256(1);
    let id_token = key.sign("JWT", &honest_claims()).unwrap();
    assert_eq!(code_of(verify(&id_token, &key)), "logout_event_missing");
    assert_eq!(code(&[("nonce", json!("n"))]), "logout_nonce_present");
    assert_eq!(code(&[("nonce", json!(""))]), "logout_nonce_present");
    let logout = key.sign("JWT", &said()).unwrap();
    let as_id_token = crate::fixture::code_of(crate::fixture::verify(&logout, &published(&[&key])));
    assert_eq!(as_id_token, "nonce_mismatch");
}

#[test]
fn the_event_of_a_logout_must_be_there_and_be_an_object() {
    assert_eq!(
        code(&[("events", json!({ LOGOUT_EVENT: { "more": 1 }, "https://other.test": {} }))]),
        "verified"
    );
    for bad in [
        Value::Null,
        json!({}),
        json!({ "http://schemas.openid.net/event/backchannel-logou": {} }),
        json!({ LOGOUT_EVENT: null }),
        json!({ LOGOUT_EVENT: true }),
        json!([LOGOUT_EVENT]),
        json!(LOGOUT_EVENT),
    ] {
        assert_eq!(code(&[("events", bad.clone())]), "logout_event_missing", "{bad}");
    }
}

#[test]
fn signature_key_and_algorithm_are_those_of_id_tokens() {
    let (own, stranger) = (es256(1), es256(2));
    let honest = own.sign("logout+jwt", &said()).unwrap();
    assert_eq!(code_of(verify(&honest, &own)), "verified");
    let forged = stranger.sign_bytes(
        &json!({"alg": "ES256", "kid": own.kid(), "typ": "logout+jwt", "jwk": stranger.public_jwk().to_value()}),
        Value::Object(said()).to_string().as_bytes(),
    );
    assert_eq!(code_of(verify(&forged.unwrap(), &own)), "signature_invalid");
    let other = own.sign("logout+jwt", &with(&[("sub", json!("00u-bob"))])).unwrap();
    let (signed, _) = other.rsplit_once('.').unwrap();
    let exchanged = format!("{signed}.{}", honest.rsplit('.').next().unwrap());
    assert_eq!(code_of(verify(&exchanged, &own)), "signature_invalid", "the signature of another token");
    let unknown = verify(&stranger.sign("logout+jwt", &said()).unwrap(), &own).unwrap_err();
    assert!(unknown.is_unknown_key() && unknown.broken().code == "unknown_kid", "{unknown}");
    let rules =
        LogoutTokenRules { issuer: ISSUER, client_id: CLIENT_ID, algs: &[SigningAlg::Rs256], now: NOW };
    assert_eq!(code_of(logout_token::verify(&honest, &published(&[&own]), &rules)), "alg_not_allowed");
    let (_, rest) = honest.split_once('.').unwrap();
    assert_eq!(code_of(verify(&format!("eyJhbGciOiJub25lIn0.{rest}"), &own)), "alg_not_allowed", "`none`");
    let demanding = own.sign_bytes(
        &json!({"alg": "ES256", "kid": own.kid(), "crit": ["b64"]}),
        Value::Object(said()).to_string().as_bytes(),
    );
    assert_eq!(code_of(verify(&demanding.unwrap(), &own)), "crit_not_understood");
    assert_eq!(code_of(verify("a.b.c.d.e", &own)), "token_encrypted");
}

#[test]
fn issuer_and_audience_are_this_connections_alone() {
    assert_eq!(code(&[("aud", json!([CLIENT_ID]))]), "verified");
    for (name, bad, expected) in [
        ("iss", json!("https://idp.acme.test/"), "issuer_mismatch"),
        ("iss", json!("https://evil.test"), "issuer_mismatch"),
        ("iss", Value::Null, "claim_missing"),
        ("aud", json!("somebody-else"), "audience_mismatch"),
        ("aud", json!([]), "audience_mismatch"),
        ("aud", json!([CLIENT_ID, "evil"]), "audience_untrusted"),
        ("aud", Value::Null, "claim_missing"),
        ("azp", json!("other"), "azp_mismatch"),
    ] {
        assert_eq!(code(&[(name, bad.clone())]), expected, "{name} {bad}");
    }
}

#[test]
fn a_logout_token_is_young_and_not_over() {
    assert_eq!(code(&[("iat", json!(NOW - 300))]), "verified");
    assert_eq!(code(&[("exp", json!(NOW - 59))]), "verified");
    for (name, bad, expected) in [
        ("iat", json!(NOW - 301), "iat_out_of_range"),
        ("iat", json!(NOW + 301), "iat_out_of_range"),
        ("iat", Value::Null, "claim_missing"),
        ("exp", json!(NOW - 60), "token_expired"),
        ("exp", json!(0), "token_expired"),
        ("exp", Value::Null, "claim_missing"),
        ("nbf", json!(NOW + 301), "token_not_yet_valid"),
    ] {
        assert_eq!(code(&[(name, bad.clone())]), expected, "{name} {bad}");
    }
}

#[test]
fn a_logout_token_has_a_name_of_its_own() {
    assert_eq!(code(&[("jti", json!("j".repeat(1_024)))]), "verified");
    for bad in [Value::Null, json!(""), json!(7), json!("j".repeat(1_025))] {
        assert_eq!(code(&[("jti", bad.clone())]), "logout_id_invalid", "{bad}");
    }
}

#[test]
fn a_refusal_says_what_was_expected_what_came_and_what_to_do() {
    let key = es256(1);
    let refused = |changes: &[(&str, Value)]| {
        verify(&key.sign("logout+jwt", &with(changes)).unwrap(), &key).unwrap_err().broken()
    };
    let broken = refused(&[("events", json!({}))]);
    assert!(broken.expected.unwrap().contains(LOGOUT_EVENT) && !broken.advice.is_empty());
    let broken = refused(&[("sub", Value::Null), ("sid", Value::Null)]);
    assert_eq!(
        (broken.expected.as_deref(), broken.received.as_deref()),
        (Some("sub or sid"), Some("neither"))
    );
    assert_eq!(refused(&[("aud", json!("x"))]).received.as_deref(), Some("x"));
}
