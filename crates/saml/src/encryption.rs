//! Encrypted assertions and names: RSA-OAEP around a key, AES-GCM around the element.
//!
//! Here as one function whose failures are one error: which step failed tells a stranger about the key. Algorithms are
//! public and may be named; RSA-1.5 and Triple DES are on no list (XML Encryption §5, and §6.1.1 on chosen ciphertexts).

use aws_lc_rs::aead::{
    AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use aws_lc_rs::cipher::{
    self, AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepAlgorithm,
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::algorithm::DigestAlgorithm;
use crate::document::Node;
use crate::encoding::{parse_base64, shown, xml};
use crate::key::OwnKey;
use crate::names as n;
use crate::refusal::BrokenRule;

/// Most unwrappings that are tried for one assertion: each is a private-key operation that a stranger can ask for.
pub const MAX_UNWRAPPINGS: usize = 8;
/// Block length of AES, in bytes.
const BLOCK: usize = 16;
/// The element type that encrypted data may name.
const TYPE_ELEMENT: &str = "http://www.w3.org/2001/04/xmlenc#Element";

/// Why an encrypted assertion is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecryptionError {
    /// The connection has no key that decrypts.
    #[error("the message is encrypted and the connection has no key for it")]
    NoKey,
    /// An algorithm that is not on the list.
    #[error("the {role} algorithm `{received}` is not accepted")]
    Algorithm {
        /// Key transport or content.
        role: &'static str,
        /// Its URI, cut.
        received: String,
    },
    /// AES-CBC without the connection's switch, or outside of a response whose signature verified.
    #[error("the message is encrypted with aes-cbc")]
    Cbc,
    /// It could not be decrypted, or what came out is not what belongs there. Which of them is not said.
    #[error("the message could not be decrypted")]
    Failed,
}

impl DecryptionError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        match self {
            Self::NoKey => BrokenRule::new(
                "decryption_key_missing",
                "SAML Core §2.3.4",
                "make an encryption key for the connection and give the provider the metadata again, or switch encryption off",
            )
            .expected("an encryption key of the connection")
            .received("none"),
            Self::Algorithm { role, received } => BrokenRule::new(
                "encryption_algorithm_refused",
                "XML Encryption §5",
                "choose AES-GCM and RSA-OAEP (SHA-1 with MGF1-SHA-1, or SHA-256 with MGF1-SHA-256) at the provider",
            )
            .expected(format!("a {role} algorithm of the list"))
            .received(received),
            Self::Cbc => BrokenRule::new(
                "cbc_refused",
                "XML Encryption §6.1.1",
                "choose AES-GCM at the provider; if it has none, sign the response and allow AES-CBC for the connection",
            )
            .expected("AES-GCM")
            .received("AES-CBC"),
            Self::Failed => BrokenRule::new(
                "decryption_failed",
                "XML Encryption §4.4",
                "give the provider the current metadata of the connection: it may encrypt for a retired key",
            ),
        }
    }
}

/// Whether AES-CBC may be used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cbc {
    Refused,
    Accepted,
}

/// What was decrypted.
pub(crate) struct Plaintext {
    /// The assertion in an element that brings its surroundings' namespaces, ready to be parsed.
    pub(crate) document: Zeroizing<Vec<u8>>,
    /// The assertion as it was encrypted.
    pub(crate) octets: Zeroizing<Vec<u8>>,
    pub(crate) used_cbc: bool,
}

/// Decrypts the content of an `EncryptedAssertion` or `EncryptedID` whose shape was required before.
pub(crate) fn decrypt(encrypted: Node<'_>, keys: &[OwnKey], cbc: Cbc) -> Result<Plaintext, DecryptionError> {
    if keys.is_empty() {
        return Err(DecryptionError::NoKey);
    }
    let data = encrypted.child(n::ENCRYPTED_DATA).ok_or(DecryptionError::Failed)?;
    if data.attribute("Type").is_some_and(|kind| kind != TYPE_ELEMENT) {
        return Err(DecryptionError::Failed);
    }
    let method = data.child(n::ENCRYPTION_METHOD).ok_or(DecryptionError::Failed)?;
    let content = Content::from_uri(method.attribute("Algorithm").unwrap_or_default())?;
    if content.is_cbc() && cbc == Cbc::Refused {
        return Err(DecryptionError::Cbc);
    }
    let wrapped = wrapped_keys(encrypted, data)?;
    let ciphertext = cipher_value(data).ok_or(DecryptionError::Failed)?;
    let tries = wrapped.iter().flat_map(|one| keys.iter().map(move |key| (one, key))).take(MAX_UNWRAPPINGS);
    for (one, key) in tries {
        // A key that did not unwrap, or to another length, is replaced: both ways take the same steps.
        let unwrapped = key
            .unwrap(one.algorithm, &one.octets, one.label.as_deref())
            .filter(|unwrapped| unwrapped.len() == content.key_bytes());
        let is_unwrapped = unwrapped.is_some();
        let content_key = unwrapped.unwrap_or_else(|| Zeroizing::new(vec![0; content.key_bytes()]));
        if let (Some(octets), true) = (content.open(&content_key, &ciphertext), is_unwrapped) {
            let document = in_surroundings(encrypted, &octets);
            return Ok(Plaintext { document, octets, used_cbc: content.is_cbc() });
        }
    }
    Err(DecryptionError::Failed)
}

/// A content key as it was wrapped for somebody.
struct Wrapped {
    algorithm: &'static OaepAlgorithm,
    label: Option<Vec<u8>>,
    octets: Vec<u8>,
}

/// Keys stand inside of the data's `KeyInfo` or beside the data. One of an accepted algorithm is enough.
fn wrapped_keys(encrypted: Node<'_>, data: Node<'_>) -> Result<Vec<Wrapped>, DecryptionError> {
    let inside = data.child(n::KEY_INFO).into_iter().flat_map(|info| info.all(n::ENCRYPTED_KEY));
    let mut found = Vec::new();
    let mut refused = None;
    for key in inside.chain(encrypted.all(n::ENCRYPTED_KEY)) {
        let method = key.child(n::ENCRYPTION_METHOD).ok_or(DecryptionError::Failed)?;
        match transport(method) {
            Ok(algorithm) => {
                let label = match method.child(n::OAEP_PARAMS).map(|params| params.text()) {
                    Some(text) => Some(text.ok().and_then(parse_base64).ok_or(DecryptionError::Failed)?),
                    None => None,
                };
                let octets = cipher_value(key).ok_or(DecryptionError::Failed)?;
                found.push(Wrapped { algorithm, label, octets });
            }
            Err(error) => refused = Some(error),
        }
    }
    if found.is_empty() { Err(refused.unwrap_or(DecryptionError::Failed)) } else { Ok(found) }
}

/// RSA-OAEP with one hash for label and mask: what the cryptographic library offers.
fn transport(method: Node<'_>) -> Result<&'static OaepAlgorithm, DecryptionError> {
    let uri = method.attribute("Algorithm").unwrap_or_default();
    let digest = method
        .child(n::DIGEST_METHOD)
        .map_or(DigestAlgorithm::Sha1.uri(), |one| one.attribute("Algorithm").unwrap_or_default());
    let mask = method.child(n::MGF).map_or("http://www.w3.org/2009/xmlenc11#mgf1sha1", |one| {
        one.attribute("Algorithm").unwrap_or_default()
    });
    let refused = || DecryptionError::Algorithm {
        role: "key transport",
        received: shown(&format!("{uri} with {digest} and {mask}")),
    };
    let is_oaep = match uri {
        "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p" => method.child(n::MGF).is_none(),
        "http://www.w3.org/2009/xmlenc11#rsa-oaep" => true,
        _ => false,
    };
    if !is_oaep {
        return Err(refused());
    }
    match (DigestAlgorithm::from_uri(digest), mask) {
        (Some(DigestAlgorithm::Sha1), "http://www.w3.org/2009/xmlenc11#mgf1sha1") => Ok(&OAEP_SHA1_MGF1SHA1),
        (Some(DigestAlgorithm::Sha256), "http://www.w3.org/2009/xmlenc11#mgf1sha256") => {
            Ok(&OAEP_SHA256_MGF1SHA256)
        }
        (Some(DigestAlgorithm::Sha384), "http://www.w3.org/2009/xmlenc11#mgf1sha384") => {
            Ok(&OAEP_SHA384_MGF1SHA384)
        }
        (Some(DigestAlgorithm::Sha512), "http://www.w3.org/2009/xmlenc11#mgf1sha512") => {
            Ok(&OAEP_SHA512_MGF1SHA512)
        }
        _ => Err(refused()),
    }
}

fn cipher_value(node: Node<'_>) -> Option<Vec<u8>> {
    let text = node.child(n::CIPHER_DATA)?.child(n::CIPHER_VALUE)?.text().ok()?;
    parse_base64(text)
}

/// A content algorithm.
enum Content {
    Gcm(&'static Algorithm),
    Cbc(&'static cipher::Algorithm, usize),
}

impl Content {
    fn from_uri(uri: &str) -> Result<Self, DecryptionError> {
        match uri {
            "http://www.w3.org/2009/xmlenc11#aes128-gcm" => Ok(Self::Gcm(&AES_128_GCM)),
            "http://www.w3.org/2009/xmlenc11#aes192-gcm" => Ok(Self::Gcm(&AES_192_GCM)),
            "http://www.w3.org/2009/xmlenc11#aes256-gcm" => Ok(Self::Gcm(&AES_256_GCM)),
            "http://www.w3.org/2001/04/xmlenc#aes128-cbc" => Ok(Self::Cbc(&AES_128, 16)),
            "http://www.w3.org/2001/04/xmlenc#aes192-cbc" => Ok(Self::Cbc(&AES_192, 24)),
            "http://www.w3.org/2001/04/xmlenc#aes256-cbc" => Ok(Self::Cbc(&AES_256, 32)),
            other => Err(DecryptionError::Algorithm { role: "content", received: shown(other) }),
        }
    }

    fn is_cbc(&self) -> bool {
        matches!(self, Self::Cbc(..))
    }

    fn key_bytes(&self) -> usize {
        match self {
            Self::Gcm(algorithm) => algorithm.key_len(),
            Self::Cbc(_, bytes) => *bytes,
        }
    }

    /// Decrypts; the initialization vector stands first (XML Encryption §5.2).
    fn open(&self, key: &[u8], ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Gcm(algorithm) => {
                let (nonce, sealed) = ciphertext.split_at_checked(NONCE_LEN)?;
                let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
                let mut plain = Zeroizing::new(sealed.to_vec());
                let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
                let length = key.open_in_place(nonce, Aad::empty(), &mut plain).ok()?.len();
                plain.truncate(length);
                Some(plain)
            }
            Self::Cbc(algorithm, _) => {
                let (iv, blocks) = ciphertext.split_at_checked(BLOCK)?;
                let iv: [u8; BLOCK] = iv.try_into().ok()?;
                let key = DecryptingKey::cbc(UnboundCipherKey::new(algorithm, key).ok()?).ok()?;
                let mut plain = Zeroizing::new(blocks.to_vec());
                let context = DecryptionContext::Iv128(FixedLength::from(iv));
                key.decrypt(&mut plain, context).ok()?;
                // Only the last octet says how much was padded (XML Encryption §5.2.1).
                let padding = usize::from(*plain.last()?);
                let length = plain.len().checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding))?;
                plain.truncate(length);
                Some(plain)
            }
        }
    }
}

/// The plaintext in an element that declares what is in scope where it was encrypted (XML Encryption §4.5). Its name
/// says nothing: the caller asks for exactly one child.
fn in_surroundings(encrypted: Node<'_>, octets: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut document = Zeroizing::new(Vec::with_capacity(octets.len() + 1_024));
    document.extend_from_slice(b"<plaintext");
    for (prefix, uri) in encrypted.namespaces() {
        let name = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
        document.extend_from_slice(format!(" {name}=\"{}\"", xml(uri)).as_bytes());
    }
    document.push(b'>');
    document.extend_from_slice(octets);
    document.extend_from_slice(b"</plaintext>");
    document
}
