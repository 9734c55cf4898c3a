//! Passwords: what may be one, and how it is kept (NIST SP 800-63B §3.1.1, Argon2id).
//!
//! Hashing takes memory and time on purpose, so it runs on threads for such work and never more than
//! [`MAX_AT_ONCE`] at a time: a flood of sign-ins costs memory that is counted beforehand.
//!
//! Passwords at one address share a salt, whoever's they are: one hash tells which of them was presented, in the same time
//! whether there is none, one or several.
//!
//! What is hashed is composed (NFC), because keyboards write the same letter in several ways
//! ([why](../../../docs/decisions/0079-a-password-is-what-it-reads-as.md)).

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use portcullis_domain::Random;
use portcullis_domain::secret::SecretHash;
use portcullis_domain::text::composed;
use portcullis_store::user::Authenticator;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::ServiceError;

/// The fewest characters (NIST SP 800-63B §3.1.1.2).
pub const MIN_CHARS: usize = 8;
/// The most characters: long enough for any sentence, short enough to hash.
pub const MAX_CHARS: usize = 128;
/// The most hashes at one time; each takes 19 MiB.
pub const MAX_AT_ONCE: usize = 4;
/// The most hashes that wait; beyond it a try is refused instead of queued.
const MAX_WAITING: usize = 64;
/// Memory of a hash, in KiB (OWASP: 19 MiB with two passes).
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;
/// Bytes of a salt.
const SALT_BYTES: usize = 16;
/// Seconds after which a refused try may come again.
const RETRY_AFTER_S: i64 = 2;

/// Passwords that everybody tries first, in lower case.
const COMMON: &[&str] = &[
    "00000000",
    "11111111",
    "12121212",
    "12345678",
    "123456789",
    "1234567890",
    "123123123",
    "11223344",
    "87654321",
    "88888888",
    "987654321",
    "0987654321",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "1qaz2wsx",
    "1qazxsw2",
    "a1b2c3d4",
    "aa123456",
    "aaaaaaaa",
    "abc12345",
    "abcd1234",
    "abcdefgh",
    "access14",
    "adminadmin",
    "admin123",
    "admin1234",
    "administrator",
    "asdasdasd",
    "asdf1234",
    "asdfasdf",
    "asdfghjk",
    "asdfghjkl",
    "babygirl",
    "baseball",
    "basketball",
    "butterfly",
    "changeit",
    "changeme",
    "changeme1",
    "changeme123",
    "charlie1",
    "chocolate",
    "computer",
    "corvette",
    "dragon123",
    "elephant",
    "einstein",
    "football",
    "football1",
    "freedom1",
    "iloveyou",
    "iloveyou1",
    "internet",
    "jennifer",
    "jonathan",
    "letmein1",
    "letmein123",
    "liverpool",
    "login123",
    "master123",
    "maverick",
    "mercedes",
    "michelle",
    "midnight",
    "monkey123",
    "p@ssw0rd",
    "p@ssword",
    "pa$$w0rd",
    "pass1234",
    "password",
    "password!",
    "password01",
    "password1",
    "password12",
    "password123",
    "password1234",
    "password2",
    "passw0rd",
    "portcullis",
    "princess",
    "princess1",
    "q1w2e3r4",
    "q1w2e3r4t5",
    "qazwsxedc",
    "qwer1234",
    "qwert123",
    "qwerty12",
    "qwerty123",
    "qwertyui",
    "qwertyuiop",
    "root1234",
    "samantha",
    "secret123",
    "starwars",
    "summer2025",
    "summer2026",
    "sunshine",
    "sunshine1",
    "superman",
    "superman1",
    "test1234",
    "testtest",
    "trustno1",
    "victoria",
    "welcome1",
    "welcome123",
    "whatever",
    "winter2025",
    "winter2026",
    "zaq12wsx",
    "zaq1zaq1",
];

/// The bench where passwords are hashed.
#[derive(Debug)]
pub struct Passwords {
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_AT_ONCE)), waiting: Arc::new(Semaphore::new(MAX_WAITING)) }
    }
}

/// Whether that text may be the password of that address.
///
/// # Errors
/// [`ServiceError::Invalid`] that says which rule it breaks.
pub fn check(password: &SecretString, email_key: &str) -> Result<(), ServiceError> {
    let text = SecretString::from(composed(password.expose_secret()));
    let text = text.expose_secret();
    let refuse = |message: &str| Err(ServiceError::invalid("password", message));
    let chars = text.chars().count();
    if chars < MIN_CHARS {
        return refuse("has at least 8 characters");
    }
    if chars > MAX_CHARS {
        return refuse("has at most 128 characters");
    }
    let lower = text.to_lowercase();
    let local = email_key.split('@').next().unwrap_or_default();
    if lower == email_key || lower == local {
        return refuse("must not be the e-mail address");
    }
    let first = lower.chars().next();
    if COMMON.contains(&lower.as_str()) || lower.chars().all(|c| Some(c) == first) {
        return refuse("is one that everybody tries first; choose another");
    }
    Ok(())
}

fn hasher() -> Result<Argon2<'static>, ServiceError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|e| ServiceError::fault("a password to hash", e))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

impl Passwords {
    /// Runs such work on a thread for it, a bounded number at a time.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let busy = || ServiceError::TooMany { retry_after_s: RETRY_AFTER_S };
        let waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| busy())?;
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| busy())?;
        // The permits go with the work: a caller who hangs up does not make room for another hash.
        let held = move || {
            let done = work();
            drop((place, waiting));
            done
        };
        tokio::task::spawn_blocking(held).await.map_err(|e| ServiceError::fault("a password to hash", e))?
    }

    /// The hash of a password, in PHC form, beside those that are kept at the same address: with their salt, so that it is
    /// compared with each of them ([`Hashed::fits`]), and takes as long however many there are and whether there is any.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] if too many wait; then nothing was hashed.
    pub async fn hash_beside(
        &self,
        password: SecretString,
        kept: &[Authenticator],
        random: &mut dyn Random,
    ) -> Result<Hashed, ServiceError> {
        let salt = kept.iter().find_map(|one| salt_of(&one.secret)).unwrap_or_else(|| {
            let mut salt = vec![0_u8; SALT_BYTES];
            random.fill(&mut salt);
            salt
        });
        self.work(move || {
            let typed = password.expose_secret();
            let read = SecretString::from(composed(typed));
            // By what was typed alone, whatever is kept: how long it takes tells nothing of the address.
            let as_typed = if read.expose_secret() == typed { None } else { Some(hash(typed, &salt)?) };
            Ok(Hashed { composed: hash(read.expose_secret(), &salt)?, as_typed })
        })
        .await
    }
}

/// A password that was presented, hashed.
pub struct Hashed {
    composed: String,
    /// As it was typed, where that is another text: so it was kept before passwords were composed.
    as_typed: Option<String>,
}

impl Hashed {
    /// Whether it is that one.
    #[must_use]
    pub fn fits(&self, kept: &Authenticator) -> bool {
        let kept = SecretHash::of(&kept.secret);
        let fits = |presented: &String| SecretHash::of(presented).matches(&kept);
        let by_typing = self.as_typed.as_ref().is_some_and(fits);
        fits(&self.composed) || by_typing
    }

    /// What is kept of a new one.
    #[must_use]
    pub fn into_kept(self) -> String {
        self.composed
    }
}

fn hash(presented: &str, salt: &[u8]) -> Result<String, ServiceError> {
    let presented = presented.as_bytes();
    // More than a password may have is none, and is not hashed at length.
    let presented = presented.get(..MAX_CHARS * 4).unwrap_or(presented);
    let hash = hasher()?.hash_password_with_salt(presented, salt);
    hash.map(|h| h.to_string()).map_err(|e| ServiceError::fault("a password to hash", e))
}

/// The salt of a kept hash, if it was made as hashes are made now.
fn salt_of(kept: &str) -> Option<Vec<u8>> {
    let made = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
    let (salt, _) = kept.strip_prefix(&made)?.split_once('$')?;
    STANDARD_NO_PAD.decode(salt).ok()
}
