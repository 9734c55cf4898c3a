//! Certificates of our own keys, and the header that names them, read by another implementation.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::certificate::{CertificateError, Issue, self_signed, thumbprint};
use portcullis_oidc::client_auth::assertion;
use portcullis_oidc::jwk::PublicKey;
use portcullis_oidc::provider::SigningKey;
use portcullis_oidc::token_endpoint::verify_assertion;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey as CertifiedKey;

use crate::fixture::*;

fn issue<'a>() -> Issue<'a> {
    Issue { name: "id.acme.test", serial: &[0xff; 16], not_before_s: NOW - 60, not_after_s: NOW + 60 }
}

/// Whether that is the key's public half.
fn is_of(certified: &CertifiedKey<'_>, key: &SigningKey) -> bool {
    match (certified, key.public_jwk().key()) {
        (CertifiedKey::RSA(rsa), PublicKey::Rsa { n, e }) => {
            let bare = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
            bare(rsa.modulus) == *n && bare(rsa.exponent) == *e
        }
        (CertifiedKey::EC(point), PublicKey::Ec { x, y, .. }) => {
            point.data()[1..] == [&x[..], &y[..]].concat()
        }
        _ => false,
    }
}

#[test]
fn a_certificate_has_the_keys_public_half_is_signed_by_it_and_can_be_said_to_run_out() {
    let (es256, other) = (es256(3), es256(4));
    let algorithms: [&'static dyn VerificationAlgorithm; 2] =
        [&RSA_PKCS1_2048_8192_SHA256, &ECDSA_P256_SHA256_ASN1];
    for (key, algorithm) in [&*RSA, &es256].into_iter().zip(algorithms) {
        let der = self_signed(key, &issue()).unwrap();
        let (rest, read) = X509Certificate::from_der(&der).unwrap();
        assert!(rest.is_empty());
        assert!(is_of(&read.public_key().parsed().unwrap(), key), "{key:?}");
        assert!(!is_of(&read.public_key().parsed().unwrap(), &other), "{key:?}");
        let public = UnparsedPublicKey::new(algorithm, &read.public_key().subject_public_key.data);
        public.verify(read.tbs_certificate.as_ref(), &read.signature_value.data).unwrap();
        assert_eq!((read.subject().to_string(), read.issuer().to_string()).0, "CN=id.acme.test");
        let times = read.validity();
        assert_eq!((times.not_before.timestamp(), times.not_after.timestamp()), (NOW - 60, NOW + 60));
        assert_eq!(read.raw_serial()[0] & 0x80, 0, "a serial number is positive");
    }
    let ed25519 = SigningKey::ed25519_from_random(&[1; 32]).unwrap();
    assert_eq!(self_signed(&ed25519, &issue()), Err(CertificateError::KeyUnsuitable));
    let never = Issue { not_after_s: i64::MAX, ..issue() };
    assert_eq!(self_signed(&es256, &never), Err(CertificateError::Unsayable));
}

#[test]
fn an_assertion_names_the_certificate_by_its_sha_1_thumbprint_and_without_one_as_before() {
    let es256 = es256(3);
    for key in [&*RSA, &es256] {
        let der = self_signed(key, &issue()).unwrap();
        let header = |certificate: Option<&[u8]>| {
            let made = assertion((key, certificate), "us", ISSUER, (&[5; 32], NOW)).unwrap();
            let jti = verify_assertion(&made, &published(&[key]), ("us", &[ISSUER]), NOW).unwrap();
            assert_eq!(jti.len(), 43);
            let first = made.expose_secret().split('.').next().unwrap().to_owned();
            serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(first).unwrap()).unwrap()
        };
        let bare = json!({ "alg": key.alg().name(), "kid": key.kid(), "typ": "JWT" });
        assert_eq!(header(None), bare);
        let mut named = bare;
        named["x5t"] = json!(URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der)));
        assert_eq!(header(Some(&der)), named);
        assert_eq!(named["x5t"].as_str().unwrap().len(), 27);
        assert_eq!(thumbprint(&der).len(), 20);
    }
    assert_eq!(RSA.alg(), SigningAlg::Rs256);
}
