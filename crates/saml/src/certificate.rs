//! Certificates as carriers of keys: DER, fingerprint, times, and the public key that verifies.
//!
//! Here because a SAML peer trusts a key that somebody configured, not a chain: expiry warns and never refuses
//! (SAML Metadata Interoperability Profile §2.5.1).

use aws_lc_rs::digest;
use thiserror::Error;
use x509_parser::oid_registry;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::algorithm::{KeyKind, SignatureAlgorithm};
use crate::encoding::{parse_base64, shown};
use crate::refusal::BrokenRule;

/// Largest certificate, in bytes of DER.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1_024;
/// Smallest RSA key that verifies, in bits (SAML2Int §2.4.1).
const MIN_RSA_BITS: usize = 2_048;
/// Largest RSA key that verifies, in bits: beyond it verification is slow on purpose.
const MAX_RSA_BITS: usize = 8_192;

/// Why a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// Neither PEM, base64 nor DER of an X.509 certificate.
    #[error("this is no x.509 certificate")]
    Malformed,
    /// A key of a kind or a size that must not verify.
    #[error("the certificate's key is {received}; rsa of 2048 to 8192 bits, p-256, p-384 or p-521 is needed")]
    KeyUnsuitable {
        /// What it is.
        received: String,
    },
}

impl CertificateError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        match self {
            Self::Malformed => BrokenRule::new(
                "certificate_malformed",
                "RFC 5280 §4.1",
                "paste the whole certificate, from BEGIN CERTIFICATE to END CERTIFICATE",
            )
            .expected("an X.509 certificate as PEM, base64 or DER"),
            Self::KeyUnsuitable { received } => BrokenRule::new(
                "certificate_key_unsuitable",
                "SAML2Int §2.4.1",
                "have the provider sign with a larger key or another kind",
            )
            .expected("RSA of 2048 to 8192 bits, P-256, P-384 or P-521")
            .received(received),
        }
    }
}

/// A certificate whose key can verify signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    sha256: [u8; 32],
    subject: String,
    not_before_s: i64,
    not_after_s: i64,
    kind: KeyKind,
    public_key: Vec<u8>,
}

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::Malformed);
        }
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed);
        }
        let key = parsed.public_key();
        let kind = suitable_kind(key)?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        Ok(Self {
            sha256,
            subject: shown(&parsed.subject().to_string()),
            not_before_s: parsed.validity().not_before.timestamp(),
            not_after_s: parsed.validity().not_after.timestamp(),
            kind,
            public_key: key.subject_public_key.data.to_vec(),
            der: der.to_vec(),
        })
    }

    /// Reads what administrators paste: PEM, or the base64 of metadata with or without line breaks.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_text(text: &str) -> Result<Self, CertificateError> {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        const END: &str = "-----END CERTIFICATE-----";
        // Half as much again for base64 and its line breaks.
        if text.len() > 2 * MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::Malformed);
        }
        let base64 = match text.split_once(BEGIN) {
            Some((_, rest)) => rest.split_once(END).ok_or(CertificateError::Malformed)?.0,
            None => text,
        };
        Self::from_der(&parse_base64(base64.to_owned()).ok_or(CertificateError::Malformed)?)
    }

    /// The DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the DER.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// The fingerprint as consoles show it: upper-case pairs joined by `:`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let pairs: Vec<String> = self.sha256.iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }

    /// Whom it names, for people to read.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn not_before_s(&self) -> i64 {
        self.not_before_s
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn not_after_s(&self) -> i64 {
        self.not_after_s
    }

    /// Whether `now_s` is outside its times: a warning, never a refusal.
    #[must_use]
    pub fn is_out_of_time(&self, now_s: i64) -> bool {
        now_s < self.not_before_s || now_s > self.not_after_s
    }

    pub(crate) fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Whether its key signed. False for an algorithm that is not for its kind of key.
    pub(crate) fn verifies(&self, algorithm: SignatureAlgorithm, signed: &[u8], value: &[u8]) -> bool {
        algorithm.suits(self.kind) && algorithm.verifies(&self.public_key, signed, value)
    }
}

fn suitable_kind(key: &SubjectPublicKeyInfo<'_>) -> Result<KeyKind, CertificateError> {
    let unsuitable = |received: String| Err(CertificateError::KeyUnsuitable { received });
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => match rsa.key_size() {
            MIN_RSA_BITS..=MAX_RSA_BITS => Ok(KeyKind::Rsa),
            bits => unsuitable(format!("RSA of {bits} bits")),
        },
        Ok(PublicKey::EC(_)) => {
            let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
            match curve {
                Some(curve) if curve == oid_registry::OID_EC_P256 => Ok(KeyKind::P256),
                Some(curve) if curve == oid_registry::OID_NIST_EC_P384 => Ok(KeyKind::P384),
                Some(curve) if curve == oid_registry::OID_NIST_EC_P521 => Ok(KeyKind::P521),
                _ => unsuitable("an elliptic curve that is not supported".to_owned()),
            }
        }
        Ok(_) => unsuitable("of a kind that is not supported".to_owned()),
        Err(_) => Err(CertificateError::Malformed),
    }
}
