//! Certificates of our own keys: what a provider is handed that finds a key by its certificate and reads no key set.
//!
//! Here because Entra ID and AD FS know an assertion's key by the header `x5t` (RFC 7515 §4.1.7) and by nothing else. The
//! key signs its certificate itself: whoever is handed it trusts that hand, not a chain.

use aws_lc_rs::digest;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyUsagePurpose, SerialNumber};
use thiserror::Error;
use time::OffsetDateTime;

use crate::encoding::base64url;
use crate::provider::SigningKey;

/// Longest common name (RFC 5280, upper bounds), in characters; a longer one is cut.
const MAX_COMMON_NAME_CHARS: usize = 64;

/// Why there is no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// A kind of key that is not asked for by certificate.
    #[error("a key of this kind gets no certificate")]
    KeyUnsuitable,
    /// A name or a time that a certificate cannot hold.
    #[error("the certificate cannot say that")]
    Unsayable,
}

/// What a self-signed certificate says.
#[derive(Debug, Clone, Copy)]
pub struct Issue<'a> {
    /// The common name: our host.
    pub name: &'a str,
    /// A serial number from 16 random bytes.
    pub serial: &'a [u8; 16],
    /// Seconds since 1970.
    pub not_before_s: i64,
    /// Seconds since 1970.
    pub not_after_s: i64,
}

/// A certificate that the key signs itself, as DER.
///
/// # Errors
/// [`CertificateError`].
pub fn self_signed(key: &SigningKey, issue: &Issue<'_>) -> Result<Vec<u8>, CertificateError> {
    let pair = key.for_certificate().ok_or(CertificateError::KeyUnsuitable)?;
    let instant =
        |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| CertificateError::Unsayable);
    let mut params = CertificateParams::default();
    params.not_before = instant(issue.not_before_s)?;
    params.not_after = instant(issue.not_after_s)?;
    params.serial_number = Some(SerialNumber::from_slice(&positive(issue.serial)));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.distinguished_name = DistinguishedName::new();
    let name: String = issue.name.chars().take(MAX_COMMON_NAME_CHARS).collect();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&pair).map_err(|_| CertificateError::Unsayable)?;
    Ok(certificate.der().to_vec())
}

/// SHA-1 of a certificate's DER: its name, which proves nothing. Whoever takes an assertion has the whole certificate.
#[must_use]
pub fn thumbprint(der: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der).as_ref().to_vec()
}

/// The same as a header has it (RFC 7515 §4.1.7).
pub(crate) fn x5t(der: &[u8]) -> String {
    base64url(thumbprint(der))
}

/// A serial number is a positive integer (RFC 5280 §4.1.2.2): its first bit is taken, its next is set.
fn positive(serial: &[u8; 16]) -> [u8; 16] {
    let mut positive = *serial;
    if let Some(first) = positive.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    positive
}
