//! The provider's side: signing keys, signed tokens, the published key set.
//!
//! Here so that what signs and what verifies are tried against each other. Used by the emulator, later by our own
//! provider. A key's id is its thumbprint, so that it cannot be given to two keys by mistake.

use aws_lc_rs::encoding::{AsBigEndian, AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use aws_lc_rs::{agreement, encoding};
use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::algorithm::SigningAlg;
use crate::encoding::base64url;
use crate::id_token::access_token_hash;
use crate::jwk::{Curve, PublicJwk, PublicKey};

/// Why a key cannot sign.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SigningKeyError {
    /// Not a PKCS#8 key for this algorithm.
    #[error("the key is no PKCS#8 key for `{alg}`")]
    Rejected {
        /// The algorithm.
        alg: &'static str,
    },
    /// Signing with anything but RS256, ES256 and EdDSA is not offered.
    #[error("`{alg}` is not signed with")]
    AlgNotOffered {
        /// The algorithm.
        alg: &'static str,
    },
    /// The claims are no JSON object, or the library refused to sign.
    #[error("the token could not be signed")]
    NotSigned,
}

enum PrivateKey {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private key with its public half.
pub struct SigningKey {
    alg: SigningAlg,
    private: PrivateKey,
    public: PublicJwk,
    kid: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("alg", &self.alg)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A key for RS256, ES256 or EdDSA from its PKCS#8 form.
    ///
    /// # Errors
    /// [`SigningKeyError`] if it is not one.
    pub fn from_pkcs8(alg: SigningAlg, der: &[u8]) -> Result<Self, SigningKeyError> {
        let rejected = SigningKeyError::Rejected { alg: alg.name() };
        let private = match alg {
            SigningAlg::Rs256 => RsaKeyPair::from_pkcs8(der).map(Box::new).map(PrivateKey::Rsa),
            SigningAlg::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(PrivateKey::P256)
            }
            SigningAlg::EdDsa => Ed25519KeyPair::from_pkcs8(der).map(PrivateKey::Ed25519),
            _ => return Err(SigningKeyError::AlgNotOffered { alg: alg.name() }),
        };
        Self::new(alg, private.map_err(|_| rejected)?)
    }

    /// An Ed25519 key from 32 random bytes.
    ///
    /// # Errors
    /// Never for random bytes.
    pub fn ed25519_from_random(seed: &[u8; 32]) -> Result<Self, SigningKeyError> {
        let rejected = SigningKeyError::Rejected { alg: SigningAlg::EdDsa.name() };
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| rejected)?;
        Self::new(SigningAlg::EdDsa, PrivateKey::Ed25519(pair))
    }

    /// A P-256 key from 32 random bytes.
    ///
    /// # Errors
    /// For one in 2^32 byte strings, which are no scalar of the curve: take others.
    pub fn es256_from_random(scalar: &[u8; 32]) -> Result<Self, SigningKeyError> {
        let rejected = || SigningKeyError::Rejected { alg: SigningAlg::Es256.name() };
        let secret =
            agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, scalar).map_err(|_| rejected())?;
        let public = secret.compute_public_key().map_err(|_| rejected())?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            scalar,
            public.as_ref(),
        )
        .map_err(|_| rejected())?;
        Self::new(SigningAlg::Es256, PrivateKey::P256(pair))
    }

    fn new(alg: SigningAlg, private: PrivateKey) -> Result<Self, SigningKeyError> {
        let public = public_key(&private).ok_or(SigningKeyError::Rejected { alg: alg.name() })?;
        let kid = PublicJwk::new(public.clone(), None, None).thumbprint();
        let public = PublicJwk::new(public, Some(kid.clone()), Some(alg));
        Ok(Self { alg, private, public, kid })
    }

    /// What it signs with.
    #[must_use]
    pub fn alg(&self) -> SigningAlg {
        self.alg
    }

    /// Its thumbprint (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half, as published.
    #[must_use]
    pub fn public_jwk(&self) -> &PublicJwk {
        &self.public
    }

    /// Signs claims as compact JWS with this `typ` (`JWT` for ID tokens).
    ///
    /// # Errors
    /// [`SigningKeyError::NotSigned`].
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SigningKeyError> {
        let payload = serde_json::to_vec(claims).map_err(|_| SigningKeyError::NotSigned)?;
        self.sign_bytes(&self.header(typ), &payload)
    }

    /// The header under which it signs, without further members.
    pub(crate) fn header(&self, typ: &str) -> Value {
        json!({"alg": self.alg.name(), "kid": self.kid, "typ": typ})
    }

    /// Signs any payload under any header. For the emulator's wrong tokens; ours go through [`SigningKey::sign`].
    ///
    /// # Errors
    /// [`SigningKeyError::NotSigned`].
    pub fn sign_bytes(&self, header: &Value, payload: &[u8]) -> Result<String, SigningKeyError> {
        let input = format!("{}.{}", base64url(header.to_string()), base64url(payload));
        let signature = self.signature(input.as_bytes()).ok_or(SigningKeyError::NotSigned)?;
        Ok(format!("{input}.{}", base64url(signature)))
    }

    /// `at_hash` for an access token issued beside an ID token of this key (OpenID Connect Core §3.1.3.6).
    #[must_use]
    pub fn access_token_hash(&self, access_token: &str) -> String {
        access_token_hash(self.alg, access_token)
    }

    /// The same key where certificates are made; none of a kind that gets none.
    pub(crate) fn for_certificate(&self) -> Option<rcgen::KeyPair> {
        match &self.private {
            PrivateKey::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
                rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der.as_ref().into(), &rcgen::PKCS_RSA_SHA256)
            }
            PrivateKey::P256(pair) => {
                let der = pair.to_pkcs8v1().ok()?;
                let alg = &rcgen::PKCS_ECDSA_P256_SHA256;
                rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der.as_ref().into(), alg)
            }
            PrivateKey::Ed25519(_) => return None,
        }
        .ok()
    }

    fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.private {
            PrivateKey::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
            PrivateKey::P256(pair) => Some(pair.sign(&SystemRandom::new(), message).ok()?.as_ref().to_vec()),
            PrivateKey::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
        }
    }
}

/// The key set that a provider publishes (RFC 7517 §5).
#[must_use]
pub fn key_set<'a>(keys: impl IntoIterator<Item = &'a PublicJwk>) -> Value {
    let keys: Vec<Value> = keys.into_iter().map(PublicJwk::to_value).collect();
    json!({ "keys": keys })
}

fn public_key(private: &PrivateKey) -> Option<PublicKey> {
    match private {
        PrivateKey::Rsa(pair) => {
            let public = pair.public_key();
            let n = public.modulus().big_endian_without_leading_zero().to_vec();
            let e = public.exponent().big_endian_without_leading_zero().to_vec();
            Some(PublicKey::Rsa { n, e })
        }
        PrivateKey::P256(pair) => {
            let point: encoding::EcPublicKeyUncompressedBin<'_> = pair.public_key().as_be_bytes().ok()?;
            let (x, y) = point.as_ref().get(1..)?.split_at_checked(32)?;
            Some(PublicKey::Ec { curve: Curve::P256, x: x.to_vec(), y: y.to_vec() })
        }
        PrivateKey::Ed25519(pair) => Some(PublicKey::Ed25519 { x: pair.public_key().as_ref().to_vec() }),
    }
}
