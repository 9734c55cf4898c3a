//! A service account's key: read from the file that Google gives, sealed, opened to sign one assertion.
//!
//! Nothing of the file is believed but the key and whose it is: where the assertion goes is a constant, so that a file
//! from elsewhere cannot send signatures to its author.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_domain::google::GoogleKey;
use portcullis_domain::id::DirectoryId;
use portcullis_domain::{Random, Timestamp};
use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::provider::SigningKey;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::failure::PollFailure;
use crate::ServiceError;
use crate::sealing::SealingKey;

/// The most bytes of a key file; Google's have some 2,400.
pub const MAX_KEY_BYTES: usize = 16 * 1024;
/// The longest name in it, in bytes.
const MAX_NAME: usize = 320;
/// What is asked for: to read, nothing else.
pub(super) const SCOPES: [&str; 4] = [
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.member.readonly",
    "https://www.googleapis.com/auth/admin.directory.orgunit.readonly",
];
/// How long an assertion is good, in seconds: the longest that Google takes.
const ASSERTION_LIFE_S: i64 = 3600;
const FIELD: &str = "google.service_account_key";

/// A key file that was read.
pub(super) struct KeyFile {
    pub(super) client_email: String,
    pub(super) client_id: String,
    pub(super) key_id: String,
    /// PKCS#8.
    private_key: Zeroizing<Vec<u8>>,
}

/// Which place a directory's key is sealed for.
pub(super) fn place(directory: DirectoryId) -> String {
    format!("google_sources.key:{directory}")
}

fn refused(message: &str) -> ServiceError {
    ServiceError::invalid(FIELD, message)
}

/// Reads the file that Google gives when a key is made.
///
/// # Errors
/// [`ServiceError::Invalid`] if it is none, or not for this place.
pub(super) fn parse(file: &Value, token_url: &str) -> Result<KeyFile, ServiceError> {
    if file.to_string().len() > MAX_KEY_BYTES {
        return Err(refused("has at most 16,384 bytes"));
    }
    let text = |name: &str| file.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("type") != "service_account" {
        return Err(refused(
            "is the JSON key file of a service account, as an object: `type` is `service_account`",
        ));
    }
    if file.get("token_uri").is_some() && text("token_uri") != token_url {
        return Err(refused("names another `token_uri` than Google's"));
    }
    let named = |name: &str| {
        let value = text(name);
        let good =
            !value.is_empty() && value.len() <= MAX_NAME && value.chars().all(|c| c.is_ascii_graphic());
        if good {
            Ok(value.to_owned())
        } else {
            Err(refused("must have `client_email`, `client_id`, `private_key_id`"))
        }
    };
    let private_key = pkcs8(text("private_key")).ok_or_else(|| refused("has no PEM `private_key`"))?;
    if SigningKey::from_pkcs8(SigningAlg::Rs256, &private_key).is_err() {
        return Err(refused("has a `private_key` that is no RSA key of at least 2,048 bits"));
    }
    Ok(KeyFile {
        client_email: named("client_email")?,
        client_id: named("client_id")?,
        key_id: named("private_key_id")?,
        private_key,
    })
}

/// The bytes between the lines of a PEM block `PRIVATE KEY` (RFC 7468 §10).
fn pkcs8(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let body =
        pem.trim().strip_prefix("-----BEGIN PRIVATE KEY-----")?.strip_suffix("-----END PRIVATE KEY-----")?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}

impl KeyFile {
    /// The key, sealed.
    pub(super) fn seal(
        &self,
        sealing: &SealingKey,
        random: &mut dyn Random,
        place: &str,
    ) -> Result<String, ServiceError> {
        sealing.seal(random, place, &self.private_key).map_err(|error| refused(&error.to_string()))
    }
}

/// What an assertion says: that account asks in the name of that administrator to read, for an hour (RFC 7523 §3, as
/// Google documents it).
pub(super) fn claims(account: &str, administrator: &str, token_url: &str, now: Timestamp) -> Value {
    json!({
        "iss": account,
        "sub": administrator,
        "scope": SCOPES.join(" "),
        "aud": token_url,
        "iat": now.seconds(),
        "exp": now.seconds() + ASSERTION_LIFE_S,
    })
}

/// The assertion by which an access token is asked for, signed with a key that is kept here.
///
/// # Errors
/// [`PollFailure::KeyUnusable`].
pub(super) fn assertion(
    sealing: &SealingKey,
    (directory, kept): (DirectoryId, &GoogleKey),
    token_url: &str,
    now: Timestamp,
) -> Result<String, PollFailure> {
    let unusable = |why: String| PollFailure::KeyUnusable(why);
    let der = sealing.open(&place(directory), &kept.key_sealed).map_err(|e| unusable(e.to_string()))?;
    let key = SigningKey::from_pkcs8(SigningAlg::Rs256, &der).map_err(|e| unusable(e.to_string()))?;
    let claims = claims(&kept.client_email, &kept.delegated_admin, token_url, now);
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": kept.key_id });
    key.sign_bytes(&header, claims.to_string().as_bytes()).map_err(|e| unusable(e.to_string()))
}
