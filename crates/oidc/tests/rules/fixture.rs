//! An honest provider with fixed keys and a fixed clock, from which each test departs in one thing.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::claims::IdentityClaims;
use portcullis_oidc::id_token::{self, IdTokenError, IdTokenRules};
use portcullis_oidc::jwks::KeySet;
use portcullis_oidc::provider::{SigningKey, key_set};
use portcullis_oidc::request::Nonce;
use serde_json::{Map, Value, json};

pub(crate) const NOW: i64 = 1_795_300_000;
pub(crate) const ISSUER: &str = "https://idp.acme.test";
pub(crate) const CLIENT_ID: &str = "portcullis-at-acme";
pub(crate) const NONCE: &str = "n-0S6_WzA2Mj-stored-with-the-sign-in";
pub(crate) const ACCESS_TOKEN: &str = "access-token-of-the-same-answer";
pub(crate) const SUBJECT: &str = "00u-ada";

/// One RSA key for all tests: making one takes longer than everything else together.
pub(crate) static RSA: LazyLock<SigningKey> = LazyLock::new(|| {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    SigningKey::from_pkcs8(SigningAlg::Rs256, der.as_ref()).unwrap()
});

pub(crate) fn es256(byte: u8) -> SigningKey {
    SigningKey::es256_from_random(&[byte; 32]).unwrap()
}

pub(crate) fn ed25519(byte: u8) -> SigningKey {
    SigningKey::ed25519_from_random(&[byte; 32]).unwrap()
}

pub(crate) fn published(keys: &[&SigningKey]) -> KeySet {
    KeySet::parse(key_set(keys.iter().map(|key| key.public_jwk())).to_string().as_bytes()).unwrap()
}

pub(crate) fn honest_claims() -> Map<String, Value> {
    let claims = json!({
        "iss": ISSUER, "aud": CLIENT_ID, "sub": SUBJECT, "nonce": NONCE,
        "iat": NOW - 2, "exp": NOW + 3600,
        "email": "ada@acme.test", "email_verified": true, "name": "Ada Lovelace", "groups": ["eng", "ops"],
    });
    claims.as_object().unwrap().clone()
}

/// The honest claims with one member replaced; `null` removes it.
pub(crate) fn with(name: &str, value: Value) -> Map<String, Value> {
    let mut claims = honest_claims();
    if value.is_null() {
        claims.remove(name);
    } else {
        claims.insert(name.to_owned(), value);
    }
    claims
}

/// Signs with the honest key and verifies by the honest rules.
pub(crate) fn verify_claims(claims: &Map<String, Value>) -> Result<IdentityClaims, IdTokenError> {
    verify_claims_by(claims, |_| {})
}

pub(crate) fn verify_claims_by(
    claims: &Map<String, Value>,
    change: impl FnOnce(&mut IdTokenRules<'_>),
) -> Result<IdentityClaims, IdTokenError> {
    let key = es256(7);
    verify_by(&key.sign("JWT", claims).unwrap(), &published(&[&key]), change)
}

pub(crate) fn verify(token: &str, keys: &KeySet) -> Result<IdentityClaims, IdTokenError> {
    verify_by(token, keys, |_| {})
}

pub(crate) fn verify_by(
    token: &str,
    keys: &KeySet,
    change: impl FnOnce(&mut IdTokenRules<'_>),
) -> Result<IdentityClaims, IdTokenError> {
    let nonce = Nonce::from_stored(NONCE);
    let mut rules = IdTokenRules {
        issuer: ISSUER,
        client_id: CLIENT_ID,
        trusted_audiences: &[],
        algs: &SigningAlg::ALL,
        nonce: &nonce,
        access_token: ACCESS_TOKEN,
        max_age_s: None,
        proven_since: None,
        acr_values: &[],
        now: NOW,
    };
    change(&mut rules);
    id_token::verify(token, keys, &rules)
}

pub(crate) fn code_of(result: Result<IdentityClaims, IdTokenError>) -> &'static str {
    match result {
        Ok(_) => "verified",
        Err(error) => error.broken().code,
    }
}

/// The code of the refusal of the honest token with one claim changed.
pub(crate) fn code_with(name: &str, value: Value) -> &'static str {
    code_of(verify_claims(&with(name, value)))
}
