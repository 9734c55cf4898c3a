//! One public key as a JSON Web Key (RFC 7517, RFC 7518 §6, RFC 8037 §2), and its thumbprint (RFC 7638).
//!
//! Here because both sides need it: the relying party parses keys, the provider publishes them. Private and symmetric
//! keys have no form here at all.

use aws_lc_rs::digest;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::algorithm::SigningAlg;
use crate::encoding::{base64url, parse_base64url};

/// Smallest RSA modulus, in bits, that is used (RFC 7518 §3.3).
pub const MIN_RSA_BITS: usize = 2048;
/// Largest RSA modulus, in bits: beyond it verifying costs a hostile peer's caller more than it is worth.
pub const MAX_RSA_BITS: usize = 8192;
/// Longest public exponent, in bytes; all in use have three.
const MAX_RSA_EXPONENT_BYTES: usize = 8;

/// Why a member of a key set is not used. It never fails the set: providers publish keys for other purposes beside.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnusableKey {
    /// Not a JSON object, or `kty` missing.
    #[error("the key is no object with a `kty`")]
    NotAKey,
    /// `kty` is `oct`: a shared secret has no place in a public set.
    #[error("the key is symmetric")]
    Symmetric,
    /// A `kty` or `crv` that is not verified here.
    #[error("keys of type `{0}` are not used")]
    UnknownType(String),
    /// A member that the type requires is missing or is not base64url.
    #[error("`{0}` is missing or is not base64url")]
    BadMember(&'static str),
    /// The modulus is outside 2048 to 8192 bits, or the exponent is out of bounds.
    #[error("an RSA key of {bits} bits is not used")]
    RsaSize {
        /// Bits of the modulus.
        bits: usize,
    },
    /// A coordinate has not the length of its curve.
    #[error("a coordinate has not the length of its curve")]
    WrongLength,
    /// `use` is not `sig`, or `key_ops` has no `verify`.
    #[error("the key is not for signatures")]
    NotForSignatures,
}

/// A curve of RFC 7518 §6.2.1.1 that is verified here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// For ES256.
    P256,
    /// For ES384.
    P384,
}

impl Curve {
    fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

/// The key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA, big-endian without leading zeros.
    Rsa {
        /// Modulus.
        n: Vec<u8>,
        /// Exponent.
        e: Vec<u8>,
    },
    /// A point on a NIST curve.
    Ec {
        /// The curve.
        curve: Curve,
        /// First coordinate, of the curve's length.
        x: Vec<u8>,
        /// Second coordinate, of the curve's length.
        y: Vec<u8>,
    },
    /// An Ed25519 key of 32 bytes.
    Ed25519 {
        /// The encoded point.
        x: Vec<u8>,
    },
}

/// A public key with what its publisher says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicJwk {
    key: PublicKey,
    kid: Option<String>,
    alg: Option<String>,
}

impl PublicJwk {
    pub(crate) fn new(key: PublicKey, kid: Option<String>, alg: Option<SigningAlg>) -> Self {
        Self { key, kid, alg: alg.map(|alg| alg.name().to_owned()) }
    }

    /// Reads a key that may verify signatures. Members for certificates (`x5c`, `x5u`) are not read at all.
    ///
    /// # Errors
    /// Why it is not used.
    pub fn from_value(value: &Value) -> Result<Self, UnusableKey> {
        let members = value.as_object().ok_or(UnusableKey::NotAKey)?;
        let kty = members.get("kty").and_then(Value::as_str).ok_or(UnusableKey::NotAKey)?;
        let key = match kty {
            "RSA" => rsa(members)?,
            "EC" => ec(members)?,
            "OKP" => okp(members)?,
            "oct" => return Err(UnusableKey::Symmetric),
            other => return Err(UnusableKey::UnknownType(other.chars().take(32).collect())),
        };
        require_signature_use(members)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self { key, kid: text("kid"), alg: text("alg") })
    }

    /// The key id that its publisher gave it.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether it may verify `alg`: right type and curve, and its own `alg`, if any, is that one (RFC 8725 §3.1).
    #[must_use]
    pub fn fits(&self, alg: SigningAlg) -> bool {
        if self.alg.as_deref().is_some_and(|own| own != alg.name()) {
            return false;
        }
        match alg {
            SigningAlg::Rs256
            | SigningAlg::Rs384
            | SigningAlg::Rs512
            | SigningAlg::Ps256
            | SigningAlg::Ps384
            | SigningAlg::Ps512 => matches!(self.key, PublicKey::Rsa { .. }),
            SigningAlg::Es256 => matches!(self.key, PublicKey::Ec { curve: Curve::P256, .. }),
            SigningAlg::Es384 => matches!(self.key, PublicKey::Ec { curve: Curve::P384, .. }),
            SigningAlg::EdDsa => matches!(self.key, PublicKey::Ed25519 { .. }),
        }
    }

    /// The key as published: required members, `use`, and `kid` and `alg` where known.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut members = self.required_members();
        members.insert("use".to_owned(), json!("sig"));
        if let Some(kid) = &self.kid {
            members.insert("kid".to_owned(), json!(kid));
        }
        if let Some(alg) = &self.alg {
            members.insert("alg".to_owned(), json!(alg));
        }
        Value::Object(members)
    }

    /// SHA-256 thumbprint, base64url (RFC 7638 §3): the key id that this project gives its own keys.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        // INVARIANT: serde_json's map without `preserve_order` would sort by itself; sorting here does not rely on it.
        let members = self.required_members();
        let mut names: Vec<&String> = members.keys().collect();
        names.sort();
        let body: Vec<String> =
            names.into_iter().filter_map(|name| Some(format!("\"{name}\":{}", members.get(name)?))).collect();
        base64url(digest::digest(&digest::SHA256, format!("{{{}}}", body.join(",")).as_bytes()))
    }

    pub(crate) fn decoding_key(&self) -> DecodingKey {
        match &self.key {
            PublicKey::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
            PublicKey::Ec { x, y, .. } => {
                let point: Vec<u8> = [&[0x04], x.as_slice(), y.as_slice()].concat();
                DecodingKey::from_ec_der(&point)
            }
            PublicKey::Ed25519 { x } => DecodingKey::from_ed_der(x),
        }
    }

    fn required_members(&self) -> Map<String, Value> {
        let members = match &self.key {
            PublicKey::Rsa { n, e } => {
                vec![("kty", "RSA".to_owned()), ("n", base64url(n)), ("e", base64url(e))]
            }
            PublicKey::Ec { curve, x, y } => vec![
                ("kty", "EC".to_owned()),
                ("crv", curve.name().to_owned()),
                ("x", base64url(x)),
                ("y", base64url(y)),
            ],
            PublicKey::Ed25519 { x } => {
                vec![("kty", "OKP".to_owned()), ("crv", "Ed25519".to_owned()), ("x", base64url(x))]
            }
        };
        members.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
    }
}

fn rsa(members: &Map<String, Value>) -> Result<PublicKey, UnusableKey> {
    let n = without_leading_zeros(bytes(members, "n")?);
    let e = without_leading_zeros(bytes(members, "e")?);
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) || e.is_empty() || e.len() > MAX_RSA_EXPONENT_BYTES {
        return Err(UnusableKey::RsaSize { bits });
    }
    Ok(PublicKey::Rsa { n, e })
}

fn ec(members: &Map<String, Value>) -> Result<PublicKey, UnusableKey> {
    let curve = match members.get("crv").and_then(Value::as_str) {
        Some("P-256") => Curve::P256,
        Some("P-384") => Curve::P384,
        other => return Err(UnusableKey::UnknownType(other.unwrap_or("EC").chars().take(32).collect())),
    };
    let (x, y) = (bytes(members, "x")?, bytes(members, "y")?);
    if x.len() != curve.coordinate_bytes() || y.len() != curve.coordinate_bytes() {
        return Err(UnusableKey::WrongLength);
    }
    Ok(PublicKey::Ec { curve, x, y })
}

fn okp(members: &Map<String, Value>) -> Result<PublicKey, UnusableKey> {
    match members.get("crv").and_then(Value::as_str) {
        Some("Ed25519") => {}
        other => return Err(UnusableKey::UnknownType(other.unwrap_or("OKP").chars().take(32).collect())),
    }
    let x = bytes(members, "x")?;
    if x.len() != 32 {
        return Err(UnusableKey::WrongLength);
    }
    Ok(PublicKey::Ed25519 { x })
}

fn bytes(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, UnusableKey> {
    members
        .get(name)
        .and_then(Value::as_str)
        .and_then(parse_base64url)
        .filter(|bytes| !bytes.is_empty())
        .ok_or(UnusableKey::BadMember(name))
}

/// Some publishers write the sign byte of DER in front of the modulus.
fn without_leading_zeros(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

fn require_signature_use(members: &Map<String, Value>) -> Result<(), UnusableKey> {
    let usage = members.get("use").and_then(Value::as_str);
    let operations = members.get("key_ops").and_then(Value::as_array);
    let verifies = operations.is_none_or(|list| list.iter().any(|one| one.as_str() == Some("verify")));
    if usage.is_none_or(|usage| usage == "sig") && verifies {
        Ok(())
    } else {
        Err(UnusableKey::NotForSignatures)
    }
}
