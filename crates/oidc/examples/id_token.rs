//! Measures what the verification of an ID token costs beside the JOSE library that it is built on, by processor time of
//! this thread, in turns.
//!
//! `cargo run --profile ci-release -p portcullis-oidc --example id_token` prints a table. The library checks signature,
//! `iss`, `aud` and `exp` with a key that was prepared once; ours also what ties a token to one sign-in.
#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]
#![expect(clippy::expect_used, reason = "what goes wrong here is a fault of the measurement")]

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::id_token::{IdTokenRules, verify};
use portcullis_oidc::jwks::KeySet;
use portcullis_oidc::provider::{SigningKey, key_set};
use portcullis_oidc::request::Nonce;
use serde_json::{Map, Value, json};

/// Far enough away that the library, which reads the clock of the machine, finds the token in force.
const EXPIRES_AT: i64 = 4_000_000_000;
const NOW: i64 = EXPIRES_AT - 3_600;
const ROUNDS: u32 = 200;
/// Of which the least counts: what else runs on a core takes its caches along.
const BATCHES: u32 = 20;

fn main() {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("its PKCS#8");
    let rsa = SigningKey::from_pkcs8(SigningAlg::Rs256, der.as_ref()).expect("an RSA key");
    let elliptic = SigningKey::es256_from_random(&[7; 32]).expect("an elliptic key");
    println!("{:<30} {:>6} {:>9} {:>12} {:>17}", "token", "bytes", "ours µs", "library µs", "rate of theirs");
    for (name, key, algorithm) in
        [("RS256, 2,048 bits", &rsa, Algorithm::RS256), ("ES256", &elliptic, Algorithm::ES256)]
    {
        for groups in [2, 200] {
            measure(&format!("{name}, {groups} groups"), (key, algorithm), &claims(groups));
        }
    }
}

fn claims(groups: usize) -> Map<String, Value> {
    let groups: Vec<String> = (0..groups).map(|n| format!("engineering-{n:05}")).collect();
    let claims = json!({
        "iss": "https://idp.test", "aud": "portcullis", "sub": "00u-ada", "nonce": "of-this-sign-in",
        "iat": NOW - 2, "exp": EXPIRES_AT, "email": "ada@acme.test", "email_verified": true,
        "name": "Ada Lovelace", "groups": groups,
    });
    claims.as_object().expect("an object").clone()
}

fn measure(name: &str, (key, algorithm): (&SigningKey, Algorithm), claims: &Map<String, Value>) {
    let token = key.sign("JWT", claims).expect("a signature");
    let published = key_set([key.public_jwk()]).to_string();
    let keys = KeySet::parse(published.as_bytes()).expect("a set");
    let nonce = Nonce::from_stored("of-this-sign-in");
    let rules = IdTokenRules {
        issuer: "https://idp.test",
        client_id: "portcullis",
        trusted_audiences: &[],
        algs: &SigningAlg::ALL,
        nonce: &nonce,
        access_token: "of the same answer",
        max_age_s: None,
        proven_since: None,
        acr_values: &[],
        now: NOW,
    };
    let set: Value = serde_json::from_str(&published).expect("JSON");
    let jwk: Jwk = serde_json::from_value(set["keys"][0].clone()).expect("a key");
    let prepared = DecodingKey::from_jwk(&jwk).expect("a key");
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&["https://idp.test"]);
    validation.set_audience(&["portcullis"]);
    let ours = || drop(verify(&token, &keys, &rules).expect("verified"));
    let theirs = || {
        drop(jsonwebtoken::decode::<Map<String, Value>>(&token, &prepared, &validation).expect("verified"));
    };
    let (mut our_ns, mut their_ns) = (u64::MAX, u64::MAX);
    for _ in 0..BATCHES {
        our_ns = our_ns.min(batch(ours));
        their_ns = their_ns.min(batch(theirs));
    }
    let micros = |ns: u64| ns as f64 / f64::from(ROUNDS) / 1_000.0;
    let ratio = their_ns as f64 / our_ns as f64;
    println!(
        "{name:<30} {:>6} {:>9.1} {:>12.1} {ratio:>16.2}×",
        token.len(),
        micros(our_ns),
        micros(their_ns)
    );
}

/// Processor time of some rounds of it, in nanoseconds.
fn batch(work: impl Fn()) -> u64 {
    let before = cpu_ns();
    for _ in 0..ROUNDS {
        work();
    }
    cpu_ns() - before
}

/// Processor time of this thread, in nanoseconds.
fn cpu_ns() -> u64 {
    // The kernel adds up when a thread gives way, and not when somebody reads.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split_whitespace().next().and_then(|first| first.parse().ok()).expect("a number")
}
