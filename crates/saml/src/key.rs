//! Our own keys: what signs our requests and decrypts what was encrypted for us, with the certificate that shows it.
//!
//! Here so that a private key exists in one type, which has no `Debug` of its content. The caller generates it
//! (`aws_lc_rs::rsa::KeyPair::generate`, RSA of 2048 bits or more) and keeps its PKCS#8 sealed.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rcgen::{CertificateParams, DnType, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, SerialNumber};
use thiserror::Error;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::certificate::{Certificate, CertificateError};
use crate::encoding::is_writable;

/// Longest common name (RFC 5280, upper bounds), in characters; a longer one is cut.
const MAX_COMMON_NAME_CHARS: usize = 64;

/// Why a key of ours cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not PKCS#8 of an RSA key of 2048 bits or more.
    #[error("the private key is no pkcs#8 of an rsa key of 2048 bits or more")]
    Rejected,
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The certificate is of another key.
    #[error("the certificate does not belong to the private key")]
    Mismatch,
    /// A name or a time that a certificate cannot hold.
    #[error("the certificate cannot say that")]
    Unsayable,
}

/// A private key of ours and its certificate.
pub struct OwnKey {
    certificate: Certificate,
    signing: RsaKeyPair,
    decryption: OaepPrivateDecryptingKey,
}

impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnKey").field("certificate", &self.certificate.fingerprint()).finish_non_exhaustive()
    }
}

/// What a self-signed certificate says.
#[derive(Debug, Clone, Copy)]
pub struct Issue<'a> {
    /// The common name: the connection's entity id or host.
    pub name: &'a str,
    /// A serial number from 16 random bytes.
    pub serial: &'a [u8; 16],
    /// Seconds since 1970.
    pub not_before_s: i64,
    /// Seconds since 1970.
    pub not_after_s: i64,
}

impl OwnKey {
    /// A stored key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn new(pkcs8_der: &[u8], certificate_der: &[u8]) -> Result<Self, KeyError> {
        let certificate = Certificate::from_der(certificate_der)?;
        let signing = RsaKeyPair::from_pkcs8(pkcs8_der).map_err(|_| KeyError::Rejected)?;
        if signing.public_key().as_ref() != certificate.public_key() {
            return Err(KeyError::Mismatch);
        }
        let decryption = PrivateDecryptingKey::from_pkcs8(pkcs8_der).map_err(|_| KeyError::Rejected)?;
        let decryption = OaepPrivateDecryptingKey::new(decryption).map_err(|_| KeyError::Rejected)?;
        Ok(Self { certificate, signing, decryption })
    }

    /// A new key, with a certificate that it signs itself.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn self_signed(pkcs8_der: &[u8], issue: &Issue<'_>) -> Result<Self, KeyError> {
        let certificate = self_signed_certificate(pkcs8_der, issue)?;
        Self::new(pkcs8_der, &certificate)
    }

    /// A key that was just generated, from which [`OwnKey::self_signed`] makes one of ours: its PKCS#8.
    ///
    /// # Errors
    /// [`KeyError::Rejected`].
    pub fn pkcs8_of(pair: &rsa::KeyPair) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Rejected)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// What peers are shown.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// RSA-SHA256 over `octets`.
    pub(crate) fn sign(&self, octets: &[u8]) -> Option<Vec<u8>> {
        let mut value = vec![0; self.signing.public_modulus_len()];
        // PKCS#1 v1.5 draws nothing; the library asks for a source because its other encodings do.
        self.signing.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), octets, &mut value).ok()?;
        Some(value)
    }

    /// Unwraps a content key. None for every failure alike.
    pub(crate) fn unwrap(
        &self,
        algorithm: &'static OaepAlgorithm,
        wrapped: &[u8],
        label: Option<&[u8]>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut plain = Zeroizing::new(vec![0; self.decryption.min_output_size()]);
        let length = self.decryption.decrypt(algorithm, wrapped, &mut plain, label).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

fn self_signed_certificate(pkcs8_der: &[u8], issue: &Issue<'_>) -> Result<Vec<u8>, KeyError> {
    if !is_writable(issue.name) {
        return Err(KeyError::Unsayable);
    }
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8_der.into(), &PKCS_RSA_SHA256)
        .map_err(|_| KeyError::Rejected)?;
    let instant = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| KeyError::Unsayable);
    let mut params = CertificateParams::default();
    params.not_before = instant(issue.not_before_s)?;
    params.not_after = instant(issue.not_after_s)?;
    params.serial_number = Some(SerialNumber::from_slice(&positive(issue.serial)));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name: String = issue.name.chars().take(MAX_COMMON_NAME_CHARS).collect();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&pair).map_err(|_| KeyError::Unsayable)?;
    Ok(certificate.der().to_vec())
}

/// A serial number is a positive integer (RFC 5280 §4.1.2.2): its first bit is taken, its next is set.
fn positive(serial: &[u8; 16]) -> [u8; 16] {
    let mut positive = *serial;
    if let Some(first) = positive.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    positive
}
