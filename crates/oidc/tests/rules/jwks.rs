//! The key set: what is used of it, and which key verifies what.

use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::jwk::{PublicJwk, UnusableKey};
use portcullis_oidc::jwks::KeySet;
use serde_json::{Value, json};

use crate::fixture::*;

fn parse(keys: &[Value]) -> Result<KeySet, &'static str> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).map_err(|error| error.broken().code)
}

fn changed(key: &PublicJwk, name: &str, value: Value) -> Value {
    let mut jwk = key.to_value();
    jwk[name] = value;
    jwk
}

fn without_kid(key: &PublicJwk) -> Value {
    let mut jwk = key.to_value();
    jwk.as_object_mut().unwrap().remove("kid");
    jwk
}

fn find(keys: &[Value], kid: Option<&str>, alg: SigningAlg) -> &'static str {
    let set = parse(keys).unwrap();
    match set.find(kid, alg) {
        Ok(_) => "found",
        Err(error) => error.broken().code,
    }
}

#[test]
fn o4_a_set_is_bounded_in_keys_and_bytes() {
    let key = es256(1).public_jwk().to_value();
    assert!(parse(&vec![key.clone(); 100]).is_ok());
    assert_eq!(parse(&vec![key.clone(); 101]).unwrap_err(), "jwks_too_many_keys");
    let padded = |bytes: usize| {
        let mut body = json!({ "keys": [key] }).to_string().into_bytes();
        body.resize(bytes, b' ');
        KeySet::parse(&body).map_err(|error| error.broken().code)
    };
    assert!(padded(512 * 1024).is_ok());
    assert_eq!(padded(512 * 1024 + 1).unwrap_err(), "jwks_too_large");
}

#[test]
fn what_is_no_set_is_refused_and_keeps_the_last_good_one() {
    for body in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
        assert_eq!(KeySet::parse(body.as_bytes()).unwrap_err().broken().code, "jwks_malformed", "{body}");
    }
    assert_eq!(parse(&[]).unwrap_err(), "jwks_no_usable_key");
}

#[test]
fn o3_symmetric_keys_are_left_out() {
    let oct = json!({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ", "kid": "s", "alg": "HS256"});
    assert_eq!(parse(std::slice::from_ref(&oct)).unwrap_err(), "jwks_no_usable_key");
    let set = parse(&[oct, es256(1).public_jwk().to_value()]).unwrap();
    assert_eq!((set.keys().len(), set.ignored()), (1, &[UnusableKey::Symmetric][..]));
}

#[test]
fn short_rsa_keys_are_left_out() {
    let jwk = RSA.public_jwk().to_value();
    assert!(PublicJwk::from_value(&jwk).is_ok());
    let short = json!({"kty": "RSA", "e": "AQAB", "n": jwk["n"].as_str().unwrap().get(..172).unwrap()});
    assert!(matches!(PublicJwk::from_value(&short), Err(UnusableKey::RsaSize { bits: 1020..=1032 })));
}

#[test]
fn keys_of_unknown_kind_use_or_shape_do_not_spoil_the_set() {
    let good = es256(1);
    let bad = [
        json!({"kty": "AKP", "pub": "x"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "AA"}),
        json!({"kty": "RSA", "n": "AQAB"}),
        json!("text"),
        changed(es256(2).public_jwk(), "use", json!("enc")),
        changed(es256(2).public_jwk(), "key_ops", json!(["sign"])),
    ];
    let mut keys = bad.to_vec();
    keys.push(good.public_jwk().to_value());
    let set = parse(&keys).unwrap();
    assert_eq!((set.keys().len(), set.ignored().len()), (1, bad.len()));
    assert!(PublicJwk::from_value(&changed(es256(2).public_jwk(), "key_ops", json!(["verify"]))).is_ok());
}

#[test]
fn a_key_is_chosen_by_id_type_curve_and_algorithm() {
    let (ec, ed) = (es256(1), ed25519(1));
    let keys = [ec.public_jwk().to_value(), ed.public_jwk().to_value(), RSA.public_jwk().to_value()];
    assert_eq!(find(&keys, Some(ec.kid()), SigningAlg::Es256), "found");
    assert_eq!(find(&keys, Some(ec.kid()), SigningAlg::Es384), "key_unfit");
    assert_eq!(find(&keys, Some(ec.kid()), SigningAlg::EdDsa), "key_unfit");
    assert_eq!(find(&keys, Some(ed.kid()), SigningAlg::EdDsa), "found");
    assert_eq!(find(&keys, Some(RSA.kid()), SigningAlg::Rs256), "found");
    assert_eq!(find(&keys, Some(RSA.kid()), SigningAlg::Ps256), "key_unfit", "its own alg is RS256");
    assert_eq!(find(&keys, Some("unheard-of"), SigningAlg::Es256), "unknown_kid");
}

#[test]
fn an_rsa_key_that_names_no_algorithm_serves_all_of_rsa() {
    let mut jwk = RSA.public_jwk().to_value();
    jwk.as_object_mut().unwrap().remove("alg");
    for alg in [SigningAlg::Rs256, SigningAlg::Rs512, SigningAlg::Ps256] {
        assert_eq!(find(std::slice::from_ref(&jwk), Some(RSA.kid()), alg), "found", "{alg:?}");
    }
}

#[test]
fn a_token_without_key_id_needs_a_set_with_one_fitting_key() {
    let (one, two) = (es256(1), es256(2));
    assert_eq!(find(&[one.public_jwk().to_value()], None, SigningAlg::Es256), "found");
    assert_eq!(find(&[without_kid(one.public_jwk())], None, SigningAlg::Es256), "found");
    let both = [one.public_jwk().to_value(), two.public_jwk().to_value()];
    assert_eq!(find(&both, None, SigningAlg::Es256), "kid_required");
    assert_eq!(find(&both, None, SigningAlg::EdDsa), "no_key_fits");
}

#[test]
fn a_doubled_key_id_is_ambiguous_only_among_fitting_keys() {
    let (ec, other, ed) = (es256(1), es256(2), ed25519(1));
    let same = |key: &PublicJwk| changed(key, "kid", json!("k"));
    assert_eq!(find(&[same(ec.public_jwk()), same(ed.public_jwk())], Some("k"), SigningAlg::Es256), "found");
    assert_eq!(
        find(&[same(ec.public_jwk()), same(other.public_jwk())], Some("k"), SigningAlg::Es256),
        "kid_required"
    );
}

#[test]
fn a_key_left_out_of_the_set_is_not_unknown() {
    let encryption = changed(es256(2).public_jwk(), "use", json!("enc"));
    let kid = es256(2).kid().to_owned();
    let keys = [es256(1).public_jwk().to_value(), encryption];
    assert_eq!(find(&keys, Some(&kid), SigningAlg::Es256), "key_unfit", "fetching again would not help");
}

#[test]
fn the_thumbprint_example_of_the_standard_holds() {
    let jwk = json!({
        "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    });
    assert_eq!(
        PublicJwk::from_value(&jwk).unwrap().thumbprint(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

#[test]
fn a_modulus_with_the_sign_byte_of_der_is_the_same_key() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let jwk = RSA.public_jwk().to_value();
    let mut n = vec![0];
    n.extend(URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap());
    let padded = changed(RSA.public_jwk(), "n", json!(URL_SAFE_NO_PAD.encode(n)));
    assert_eq!(PublicJwk::from_value(&padded).unwrap().thumbprint(), RSA.kid());
}
