//! Plain EdDSA envelopes, as receipts use them.

use aws_lc_rs::signature::Ed25519KeyPair;
use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::jwk::PublicJwk;
use portcullis_oidc::jws::{find_kid, verify_eddsa};
use portcullis_oidc::provider::SigningKey;
use serde_json::json;

use crate::fixture::{ed25519, es256};

const TYP: &str = "receipt+jws";
const PAYLOAD: &[u8] = br#"{"ended":[],"kept":[]}"#;

fn pkcs8(byte: u8) -> Vec<u8> {
    Ed25519KeyPair::from_seed_unchecked(&[byte; 32]).unwrap().to_pkcs8().unwrap().as_ref().to_vec()
}

fn public(byte: u8) -> PublicJwk {
    SigningKey::from_pkcs8(SigningAlg::EdDsa, &pkcs8(byte)).unwrap().public_jwk().clone()
}

fn signed(typ: &str, payload: &[u8]) -> String {
    ed25519(1).sign_bytes(&json!({"alg": "EdDSA", "kid": "k1", "typ": typ}), payload).unwrap()
}

fn outcome(key: &PublicJwk, typ: &str, compact: &str) -> &'static str {
    verify_eddsa(key, typ, compact).map_or_else(|error| error.broken().code, |_| "verified")
}

#[test]
fn a_receipt_verifies_with_its_key_and_gives_its_bytes() {
    let compact = signed(TYP, PAYLOAD);
    assert_eq!(verify_eddsa(&public(1), TYP, &compact).unwrap(), PAYLOAD);
    assert_eq!(find_kid(&compact).unwrap().as_deref(), Some("k1"));
    assert_eq!(outcome(&public(2), TYP, &compact), "signature_invalid");
    assert_eq!(outcome(es256(1).public_jwk(), TYP, &compact), "signature_invalid");
}

#[test]
fn a_document_of_another_kind_does_not_pass_as_a_receipt() {
    let head = signed("audit-head+jws", PAYLOAD);
    assert_eq!(outcome(&public(1), TYP, &head), "typ_not_allowed");
    assert_eq!(outcome(&public(1), "audit-head+jws", &head), "verified");
    let untyped = ed25519(1).sign_bytes(&json!({"alg": "EdDSA"}), PAYLOAD).unwrap();
    assert_eq!(outcome(&public(1), TYP, &untyped), "typ_not_allowed");
}

#[test]
fn a_changed_payload_is_noticed() {
    let compact = signed(TYP, PAYLOAD);
    let other = signed(TYP, br#"{"ended":["x"],"kept":[]}"#);
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (mine, theirs) = (parts(&compact), parts(&other));
    assert_eq!(
        outcome(&public(1), TYP, &format!("{}.{}.{}", mine[0], theirs[1], mine[2])),
        "signature_invalid"
    );
}

#[test]
fn only_an_ed25519_key_signs() {
    assert!(SigningKey::from_pkcs8(SigningAlg::EdDsa, b"no key").is_err());
    assert!(SigningKey::from_pkcs8(SigningAlg::Es256, &pkcs8(1)).is_err());
    assert!(SigningKey::from_pkcs8(SigningAlg::Ps256, &pkcs8(1)).is_err());
    assert!(SigningKey::es256_from_random(&[0xff; 32]).is_err(), "beyond the order of the curve");
}

#[test]
fn the_same_seed_is_the_same_key() {
    assert_eq!(ed25519(5).kid(), public(5).kid().unwrap());
    assert_ne!(ed25519(5).kid(), ed25519(6).kid());
    assert!(!format!("{:?}", ed25519(5)).contains("seed"));
}
