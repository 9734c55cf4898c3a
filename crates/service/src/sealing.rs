//! Sealing: secrets that must be used again, kept so that the database alone cannot give them away.
//!
//! It stands here, pure, because use cases seal and open; where the key lies is `server`'s matter. A sealed value is
//! bound to the place it was made for, so that somebody who can write rows cannot move one secret into another's place.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_domain::Random;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a sealing key (AES-256).
pub const SEALING_KEY_BYTES: usize = 32;

/// The most bytes one value may have; client secrets and signing keys are far below, and a limit keeps a row small.
pub const MAX_SEALED_PLAIN_BYTES: usize = 64 * 1024;

/// What every sealed value begins with: the form, so that another one can follow it.
const FORM: &str = "v1.";

/// What every value begins with that is sealed under a key of its own.
const FORM_APART: &str = "a1.";

/// What keys of their own are derived under (HKDF, RFC 5869), so that they are of no use for anything else.
const DERIVATION_LABEL: &[u8] = b"portcullis sealed apart v1";

/// Bytes of randomness that a key of its own is derived from: two of 2^64 values share one with a chance of 2^-64.
const SALT_BYTES: usize = 24;

/// What is hashed before the key for its fingerprint, so that the fingerprint is of no use for anything else.
const FINGERPRINT_LABEL: &[u8] = b"portcullis sealing key fingerprint v1\0";

/// How many bytes of the hash the fingerprint shows: enough to tell keys apart, too few to test guesses against.
const FINGERPRINT_BYTES: usize = 8;

/// Why a value could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealingError {
    /// The key has not [`SEALING_KEY_BYTES`] bytes.
    #[error("a sealing key has {SEALING_KEY_BYTES} bytes, this one has {0}")]
    KeyLength(usize),
    /// The value is longer than [`MAX_SEALED_PLAIN_BYTES`].
    #[error("a sealed value has at most {MAX_SEALED_PLAIN_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// The cipher refused to seal.
    #[error("the value could not be sealed")]
    NotSealed,
    /// The text has not the form of a sealed value.
    #[error("the sealed value has not the form of one")]
    Malformed,
    /// Another key, another place, or a changed value.
    #[error("the sealed value was made with another key or for another place, or it was changed")]
    NotOpened,
}

/// The key that seals, and what can be done with it. It has no `Debug` and cannot be read back.
pub struct SealingKey {
    key: LessSafeKey,
    /// What keys of their own are derived from.
    root: Prk,
    fingerprint: String,
}

impl SealingKey {
    /// A key from its bytes.
    ///
    /// # Errors
    ///
    /// [`SealingError::KeyLength`] if `bytes` is not 32 bytes long.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealingError> {
        let unbound =
            UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| SealingError::KeyLength(bytes.len()))?;
        let mut labelled = Zeroizing::new(FINGERPRINT_LABEL.to_vec());
        labelled.extend_from_slice(bytes);
        let hash = digest(&SHA256, &labelled);
        let shown = hash.as_ref().get(..FINGERPRINT_BYTES).unwrap_or_default();
        let root = Salt::new(HKDF_SHA256, DERIVATION_LABEL).extract(bytes);
        Ok(Self { key: LessSafeKey::new(unbound), root, fingerprint: hex::encode(shown) })
    }

    fn apart(&self, salt: &[u8]) -> Result<LessSafeKey, SealingError> {
        let info = [DERIVATION_LABEL, salt];
        let derived = self.root.expand(&info, &AES_256_GCM).map_err(|_| SealingError::NotSealed)?;
        Ok(LessSafeKey::new(UnboundKey::from(derived)))
    }

    /// Seals `plain` for the place `associated` under a key of its own, derived from this one and fresh randomness: for
    /// what is made in numbers without end and not kept, such as cursors. Random nonces of 96 bits bear 2^32 values of
    /// one key (NIST SP 800-38D section 8.3), and those are for the secrets that lie in the database.
    ///
    /// # Errors
    ///
    /// As [`Self::seal`].
    pub fn seal_apart(
        &self,
        random: &mut dyn Random,
        associated: &str,
        plain: &[u8],
    ) -> Result<String, SealingError> {
        if plain.len() > MAX_SEALED_PLAIN_BYTES {
            return Err(SealingError::TooLong(plain.len()));
        }
        let mut salt = [0_u8; SALT_BYTES];
        random.fill(&mut salt);
        let mut sealed = salt.to_vec();
        let mut body = plain.to_vec();
        // One value a key, so one nonce does.
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        self.apart(&salt)?
            .seal_in_place_append_tag(nonce, Aad::from(associated.as_bytes()), &mut body)
            .map_err(|_| SealingError::NotSealed)?;
        sealed.append(&mut body);
        Ok(format!("{FORM_APART}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens what [`Self::seal_apart`] made for the same `associated`.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_apart(&self, associated: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        let encoded = sealed.strip_prefix(FORM_APART).ok_or(SealingError::Malformed)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SealingError::Malformed)?;
        let (salt, body) = bytes.split_at_checked(SALT_BYTES).ok_or(SealingError::Malformed)?;
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        opened(&self.apart(salt)?, nonce, associated, body)
    }

    /// Sixteen hexadecimal digits that tell this key from another, for the database and for people. A database that
    /// notes another fingerprint was sealed with another key.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Seals `plain` for the place `associated` (a table, column and row id, say) with AES-256-GCM (NIST SP 800-38D)
    /// and a random nonce of 96 bits. Gives `v1.` and base64url of nonce, ciphertext and tag.
    ///
    /// # Errors
    ///
    /// [`SealingError::TooLong`] above [`MAX_SEALED_PLAIN_BYTES`]; [`SealingError::NotSealed`] if the cipher refuses.
    pub fn seal(
        &self,
        random: &mut dyn Random,
        associated: &str,
        plain: &[u8],
    ) -> Result<String, SealingError> {
        if plain.len() > MAX_SEALED_PLAIN_BYTES {
            return Err(SealingError::TooLong(plain.len()));
        }
        let mut nonce = [0_u8; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = nonce.to_vec();
        let mut body = plain.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated.as_bytes()),
                &mut body,
            )
            .map_err(|_| SealingError::NotSealed)?;
        sealed.append(&mut body);
        Ok(format!("{FORM}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens what [`Self::seal`] made for the same `associated`. The bytes are wiped when they are dropped.
    ///
    /// # Errors
    ///
    /// [`SealingError::Malformed`] if the text has another form; [`SealingError::NotOpened`] for another key, another
    /// place or a changed value, which cannot be told apart.
    pub fn open(&self, associated: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        let encoded = sealed.strip_prefix(FORM).ok_or(SealingError::Malformed)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SealingError::Malformed)?;
        let (nonce, body) = bytes.split_at_checked(NONCE_LEN).ok_or(SealingError::Malformed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealingError::Malformed)?;
        opened(&self.key, nonce, associated, body)
    }
}

fn opened(
    key: &LessSafeKey,
    nonce: Nonce,
    associated: &str,
    body: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealingError> {
    let mut body = Zeroizing::new(body.to_vec());
    let length = key
        .open_in_place(nonce, Aad::from(associated.as_bytes()), &mut body)
        .map_err(|_| SealingError::NotOpened)?
        .len();
    body.truncate(length);
    Ok(body)
}

#[cfg(test)]
#[path = "sealing_tests.rs"]
mod tests;
