//! Steps 5 to 8 of a callback, and the attacks on them.

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::id_token::{IdTokenError, MAX_CLOCK_SKEW_S};
use portcullis_oidc::jwks::JwksError;
use serde_json::{Map, Value, json};

use crate::fixture::*;

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn unsigned(header: &Value) -> String {
    format!("{}.{}", base64url(header.to_string()), base64url(Value::Object(honest_claims()).to_string()))
}

#[test]
fn an_honest_token_verifies_with_every_kind_of_key() {
    for key in [&*RSA, &es256(1), &ed25519(1)] {
        let claims = verify(&key.sign("JWT", &honest_claims()).unwrap(), &published(&[key])).unwrap();
        assert_eq!((claims.issuer(), claims.sub()), (ISSUER, SUBJECT), "{:?}", key.alg());
    }
}

#[test]
fn o3_a_token_without_signature_is_refused_whatever_it_calls_its_algorithm() {
    let keys = published(&[&*RSA]);
    for alg in ["none", "None", "NONE", "", "HS256", "HS512", "RS256 "] {
        let token = format!("{}.", unsigned(&json!({"alg": alg, "kid": RSA.kid()})));
        assert_eq!(code_of(verify(&token, &keys)), "alg_not_allowed", "{alg}");
    }
    let signed = RSA.sign("JWT", &honest_claims()).unwrap();
    assert_eq!(code_of(verify(&signed, &keys)), "verified");
    let (stripped, _) = signed.rsplit_once('.').unwrap();
    assert_eq!(code_of(verify(&format!("{stripped}."), &keys)), "signature_invalid");
}

#[test]
fn o3_a_public_key_taken_as_hmac_secret_is_refused() {
    let keys = published(&[&*RSA]);
    let jwk = RSA.public_jwk().to_value();
    let secrets = [jwk.to_string(), jwk["n"].as_str().unwrap().to_owned(), String::new()];
    for secret in secrets {
        let input = unsigned(&json!({"alg": "HS256", "kid": RSA.kid(), "typ": "JWT"}));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), input.as_bytes());
        assert_eq!(code_of(verify(&format!("{input}.{}", base64url(tag)), &keys)), "alg_not_allowed");
    }
    let header = json!({"alg": "RS256", "kid": RSA.kid(), "typ": "JWT"});
    let payload = Value::Object(honest_claims()).to_string();
    let honest = RSA.sign_bytes(&header, payload.as_bytes()).unwrap();
    assert_eq!(code_of(verify(&honest, &keys)), "verified", "the same claims by the key itself");
}

#[test]
fn o3_key_material_in_the_header_is_not_looked_at() {
    let (honest, attacker) = (es256(1), es256(2));
    let keys = published(&[&honest]);
    let payload = Value::Object(honest_claims()).to_string();
    let headers = [
        json!({"alg": "ES256", "kid": honest.kid(), "jwk": attacker.public_jwk().to_value()}),
        json!({"alg": "ES256", "kid": honest.kid(), "jku": "https://evil.test/jwks"}),
        json!({"alg": "ES256", "kid": honest.kid(), "x5u": "https://evil.test/cert", "x5c": ["MIIB"]}),
    ];
    for header in headers {
        let forged = attacker.sign_bytes(&header, payload.as_bytes()).unwrap();
        assert_eq!(code_of(verify(&forged, &keys)), "signature_invalid", "{header}");
        let own = honest.sign_bytes(&header, payload.as_bytes()).unwrap();
        assert_eq!(code_of(verify(&own, &keys)), "verified", "the honest key with {header}");
    }
}

#[test]
fn o4_a_key_id_is_a_look_up_string_and_nothing_else() {
    let key = es256(1);
    let keys = published(&[&key]);
    let payload = Value::Object(honest_claims()).to_string();
    for kid in ["../../dev/null", "' OR 1=1 --", "https://evil.test/jwks", ""] {
        let token = key.sign_bytes(&json!({"alg": "ES256", "kid": kid}), payload.as_bytes()).unwrap();
        assert_eq!(code_of(verify(&token, &keys)), "unknown_kid", "{kid}");
    }
    let own = key.sign_bytes(&json!({"alg": "ES256", "kid": key.kid()}), payload.as_bytes()).unwrap();
    assert_eq!(code_of(verify(&own, &keys)), "verified");
    let long = "k".repeat(5_000);
    let token = key.sign_bytes(&json!({"alg": "ES256", "kid": long}), payload.as_bytes()).unwrap();
    let received = verify(&token, &keys).unwrap_err().broken().received.unwrap();
    assert!(received.chars().count() < 300, "a trace must not swallow it whole");
}

#[test]
fn o5_a_token_of_a_new_key_asks_for_the_set_again_and_a_vanished_key_verifies_no_longer() {
    let (old, new) = (es256(1), es256(2));
    let token = new.sign("JWT", &honest_claims()).unwrap();
    let error = verify(&token, &published(&[&old])).unwrap_err();
    assert!(matches!(error, IdTokenError::Key(JwksError::UnknownKid { .. })), "{error:?}");
    assert_eq!(code_of(verify(&token, &published(&[&old, &new]))), "verified");
    let old_token = old.sign("JWT", &honest_claims()).unwrap();
    assert_eq!(code_of(verify(&old_token, &published(&[&old, &new]))), "verified");
    assert_eq!(code_of(verify(&old_token, &published(&[&new]))), "unknown_kid");
}

#[test]
fn only_algorithms_on_the_list_pass() {
    let key = es256(1);
    let (token, keys) = (key.sign("JWT", &honest_claims()).unwrap(), published(&[&key]));
    let with_algs =
        |algs: &'static [SigningAlg]| code_of(verify_by(&token, &keys, |rules| rules.algs = algs));
    assert_eq!(with_algs(&[SigningAlg::Es256]), "verified");
    assert_eq!(with_algs(&[SigningAlg::Rs256]), "alg_not_allowed");
    assert_eq!(with_algs(&[]), "alg_not_allowed");
}

#[test]
fn a_token_of_another_kind_is_not_an_id_token() {
    let key = es256(1);
    let keys = published(&[&key]);
    let code = |header: Value| {
        code_of(verify(
            &key.sign_bytes(&header, Value::Object(honest_claims()).to_string().as_bytes()).unwrap(),
            &keys,
        ))
    };
    for typ in ["JWT", "jwt", "application/jwt"] {
        assert_eq!(code(json!({"alg": "ES256", "kid": key.kid(), "typ": typ})), "verified", "{typ}");
    }
    assert_eq!(code(json!({"alg": "ES256", "kid": key.kid()})), "verified", "no typ at all");
    for typ in ["logout+jwt", "at+jwt", "secevent+jwt", "oauth-id-jag+jwt", "application/at+jwt", "JOSE", ""]
    {
        assert_eq!(code(json!({"alg": "ES256", "kid": key.kid(), "typ": typ})), "typ_not_allowed", "{typ}");
    }
}

#[test]
fn a_header_that_demands_an_extension_is_refused() {
    let key = es256(1);
    let keys = published(&[&key]);
    let payload = Value::Object(honest_claims()).to_string();
    let token = |header: Value| key.sign_bytes(&header, payload.as_bytes()).unwrap();
    let demanding = token(json!({"alg": "ES256", "kid": key.kid(), "crit": ["b64"], "b64": false}));
    assert_eq!(code_of(verify(&demanding, &keys)), "crit_not_understood");
    let harmless = token(json!({"alg": "ES256", "kid": key.kid(), "b64": true}));
    assert_eq!(code_of(verify(&harmless, &keys)), "verified");
}

#[test]
fn what_is_no_token_is_refused_before_anything_is_believed() {
    let keys = published(&[&es256(1)]);
    let cases = [
        ("", "token_malformed"),
        ("a.b", "token_malformed"),
        ("a.b.c.d.e", "token_encrypted"),
        ("a.b.c.d", "token_malformed"),
        ("!.!.!", "token_malformed"),
        ("e30.e30.e30", "token_malformed"),
    ];
    for (token, code) in cases {
        assert_eq!(code_of(verify(token, &keys)), code, "{token}");
    }
    assert_eq!(code_of(verify(&"a".repeat(300 * 1024), &keys)), "token_too_large");
}

#[test]
fn two_algorithms_in_one_header_are_refused() {
    let key = es256(1);
    let good = key.sign("JWT", &honest_claims()).unwrap();
    let header = format!(r#"{{"alg":"ES256","kid":"{}","alg":"none"}}"#, key.kid());
    let (_, rest) = good.split_once('.').unwrap();
    let token = format!("{}.{rest}", base64url(header));
    assert_eq!(code_of(verify(&token, &published(&[&key]))), "token_malformed");
}

#[test]
fn the_issuer_must_be_exactly_the_connections() {
    assert_eq!(code_with("iss", json!(ISSUER)), "verified");
    for issuer in
        ["https://idp.acme.test/", "https://IDP.acme.test", "http://idp.acme.test", "https://evil.test", ""]
    {
        assert_eq!(code_with("iss", json!(issuer)), "issuer_mismatch", "{issuer}");
    }
    assert_eq!(code_with("iss", Value::Null), "claim_missing");
    assert_eq!(code_with("iss", json!([ISSUER])), "claim_missing");
}

#[test]
fn google_may_leave_the_scheme_out_and_nobody_else_may() {
    let code = |issuer: &'static str, received: &str| {
        code_of(verify_claims_by(&with("iss", json!(received)), |rules| rules.issuer = issuer))
    };
    assert_eq!(code("https://accounts.google.com", "https://accounts.google.com"), "verified");
    assert_eq!(code("https://accounts.google.com", "accounts.google.com"), "verified");
    assert_eq!(code(ISSUER, "idp.acme.test"), "issuer_mismatch");
}

#[test]
fn o7_an_entra_token_of_another_tenant_is_refused() {
    const TENANT: &str = "0f5a6b7c-1111-2222-3333-444455556666";
    const ENTRA: &str = "https://login.microsoftonline.com/0f5a6b7c-1111-2222-3333-444455556666/v2.0";
    let code = |tid: &str| {
        let mut claims = with("iss", json!(ENTRA));
        claims.insert("tid".to_owned(), json!(tid));
        code_of(verify_claims_by(&claims, |rules| rules.issuer = ENTRA))
    };
    assert_eq!(code(TENANT), "verified");
    assert_eq!(code("9188040d-6c67-4c5b-b112-36a304b66dad"), "tenant_mismatch");
    assert_eq!(code("ffffffff-1111-2222-3333-444455556666"), "tenant_mismatch");
}

#[test]
fn the_audience_must_be_this_client_and_no_stranger() {
    assert_eq!(code_with("aud", json!([CLIENT_ID])), "verified");
    assert_eq!(code_with("aud", json!("somebody-else")), "audience_mismatch");
    assert_eq!(code_with("aud", json!([])), "audience_mismatch");
    assert_eq!(code_with("aud", json!(["portcullis"])), "audience_mismatch", "a prefix is not the client");
    assert_eq!(code_with("aud", Value::Null), "claim_missing");
    assert_eq!(code_with("aud", json!([CLIENT_ID, 7])), "claim_missing");
    assert_eq!(code_with("aud", json!([CLIENT_ID, "evil"])), "audience_untrusted");
}

#[test]
fn several_audiences_need_an_authorized_party() {
    let mut claims = with("aud", json!([CLIENT_ID, "our-api"]));
    let code = |claims: &serde_json::Map<String, Value>| {
        code_of(verify_claims_by(claims, |rules| rules.trusted_audiences = &["our-api"]))
    };
    assert_eq!(code(&claims), "azp_mismatch");
    claims.insert("azp".to_owned(), json!("our-api"));
    assert_eq!(code(&claims), "azp_mismatch");
    claims.insert("azp".to_owned(), json!(CLIENT_ID));
    assert_eq!(code(&claims), "verified");
}

#[test]
fn an_authorized_party_that_is_there_must_be_this_client() {
    assert_eq!(code_with("azp", json!(CLIENT_ID)), "verified");
    assert_eq!(code_with("azp", json!("other")), "azp_mismatch");
    assert_eq!(code_with("azp", json!(7)), "claim_missing");
}

#[test]
fn o12_times_may_be_off_by_five_minutes_and_no_more() {
    assert_eq!(code_with("iat", json!(NOW - 300)), "verified");
    assert_eq!(code_with("iat", json!(NOW - 301)), "iat_out_of_range");
    assert_eq!(code_with("iat", json!(NOW + 300)), "verified");
    assert_eq!(code_with("iat", json!(NOW + 301)), "iat_out_of_range");
    assert_eq!(code_with("nbf", json!(NOW + 300)), "verified");
    assert_eq!(code_with("nbf", json!(NOW + 301)), "token_not_yet_valid");
}

#[test]
fn an_expired_token_is_refused() {
    assert_eq!(code_with("exp", json!(NOW - 59)), "verified");
    assert_eq!(code_with("exp", json!(NOW - 60)), "token_expired");
    assert_eq!(code_with("exp", json!(NOW as f64 - 60.5)), "token_expired");
    assert_eq!(code_with("exp", json!(NOW as f64 + 0.5)), "verified");
    assert_eq!(code_with("exp", json!(-1e300)), "token_expired");
    assert_eq!(code_with("exp", Value::Null), "claim_missing");
    assert_eq!(code_with("iat", Value::Null), "claim_missing");
    assert_eq!(code_with("exp", json!("tomorrow")), "claim_missing");
}

#[test]
fn o9_a_token_of_another_sign_in_is_refused_by_its_nonce() {
    assert_eq!(code_with("nonce", json!(NONCE)), "verified");
    assert_eq!(code_with("nonce", json!("of-another-browser")), "nonce_mismatch");
    assert_eq!(code_with("nonce", json!("")), "nonce_mismatch");
    assert_eq!(code_with("nonce", Value::Null), "nonce_mismatch");
    assert_eq!(code_with("nonce", json!([NONCE])), "nonce_mismatch");
}

#[test]
fn an_access_token_that_was_exchanged_is_noticed() {
    for key in [&*RSA, &es256(1), &ed25519(1)] {
        let keys = published(&[key]);
        let code = |at_hash: String| {
            code_of(verify(&key.sign("JWT", &with("at_hash", json!(at_hash))).unwrap(), &keys))
        };
        assert_eq!(code(key.access_token_hash(ACCESS_TOKEN)), "verified", "{:?}", key.alg());
        assert_eq!(code(key.access_token_hash("another")), "at_hash_mismatch", "{:?}", key.alg());
        assert_eq!(code(String::new()), "at_hash_mismatch", "{:?}", key.alg());
    }
}

#[test]
fn the_example_hash_of_rs256_is_half_a_sha_256() {
    // OpenID Connect Core, appendix A.3.
    assert_eq!(
        RSA.access_token_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
        "77QmUPtjPfzWtF2AnpK9RQ"
    );
}

#[test]
fn whoever_was_to_prove_themselves_anew_did_so_after_they_were_sent_there_but_for_the_clocks() {
    let code = |claims: &Map<String, Value>, since: Option<i64>| {
        code_of(verify_claims_by(claims, |rules| rules.proven_since = since))
    };
    let (sent, skew) = (NOW - 500, MAX_CLOCK_SKEW_S);
    let at = |auth_time: i64| with("auth_time", json!(auth_time));
    assert_eq!(code(&at(NOW - 400), Some(sent)), "verified", "a slow person is not refused");
    assert_eq!(code(&at(sent - skew), Some(sent)), "verified");
    assert_eq!(code(&at(sent - skew - 1), Some(sent)), "not_proven_anew");
    assert_eq!(code(&honest_claims(), Some(sent)), "not_proven_anew", "who says nothing proves nothing");
    assert_eq!(code(&at(NOW - 40_000), None), "verified", "nobody asked");
    let refused = verify_claims_by(&at(NOW - 40_000), |rules| rules.proven_since = Some(sent)).unwrap_err();
    let broken = refused.broken();
    assert_eq!(broken.received, Some((NOW - 40_000).to_string()));
    assert_eq!(broken.expected, Some(format!("auth_time at {} or later", sent - skew)));
}

#[test]
fn a_request_for_fresh_authentication_is_checked_in_the_token() {
    let code = |claims: &serde_json::Map<String, Value>| {
        code_of(verify_claims_by(claims, |rules| rules.max_age_s = Some(60)))
    };
    assert_eq!(code(&with("auth_time", json!(NOW - 30))), "verified");
    assert_eq!(code(&with("auth_time", json!(NOW - 4000))), "authentication_too_old");
    assert_eq!(code(&honest_claims()), "authentication_too_old");
    assert_eq!(code_with("auth_time", json!(NOW - 4000)), "verified", "where nobody asked");
}

#[test]
fn the_person_proved_themselves_in_one_of_the_ways_that_were_asked_for() {
    static ASKED: LazyLock<[String; 2]> = LazyLock::new(|| ["urn:mfa".to_owned(), "urn:key".to_owned()]);
    let code = |claims: &Map<String, Value>| {
        let key = es256(7);
        let token = key.sign("JWT", claims).unwrap();
        code_of(verify_by(&token, &published(&[&key]), |rules| rules.acr_values = &*ASKED))
    };
    for acr in ["urn:mfa", "urn:key"] {
        assert_eq!(code(&with("acr", json!(acr))), "verified");
    }
    for acr in [json!("urn:password"), json!(""), json!(["urn:mfa"]), json!("urn:mfa urn:key"), Value::Null] {
        assert_eq!(code(&with("acr", acr.clone())), "acr_mismatch", "{acr}");
    }
    assert_eq!(code_with("acr", json!("urn:password")), "verified", "where nobody asked");
}

#[test]
fn a_subject_is_1_to_255_printable_ascii_characters() {
    assert_eq!(code_with("sub", json!("a".repeat(255))), "verified");
    for subject in [String::new(), "a".repeat(256), "ädä".to_owned(), "a\nb".to_owned(), "a\0".to_owned()] {
        assert_eq!(code_with("sub", json!(subject)), "subject_invalid", "{subject:?}");
    }
    assert_eq!(code_with("sub", Value::Null), "claim_missing");
    assert_eq!(code_with("sub", json!(7)), "claim_missing");
}

#[test]
fn nothing_of_the_payload_is_said_before_the_signature_verifies() {
    let (honest, attacker) = (es256(1), es256(2));
    let payload = Value::Object(with("iss", json!("https://evil.test"))).to_string();
    let forged =
        attacker.sign_bytes(&json!({"alg": "ES256", "kid": honest.kid()}), payload.as_bytes()).unwrap();
    assert_eq!(code_of(verify(&forged, &published(&[&honest]))), "signature_invalid");
}

#[test]
fn a_refusal_says_what_was_expected_and_what_came_and_no_secret() {
    let broken = verify_claims(&with("aud", json!("other"))).unwrap_err().broken();
    assert_eq!((broken.code, broken.section), ("audience_mismatch", "OIDC Core §3.1.3.7"));
    assert_eq!((broken.expected.as_deref(), broken.received.as_deref()), (Some(CLIENT_ID), Some("other")));
    let error = verify_claims(&with("nonce", json!("stolen-nonce"))).unwrap_err();
    let told = format!("{error} {error:?} {:?}", error.broken());
    assert!(!told.contains("stolen-nonce") && !told.contains(NONCE), "{told}");
}
