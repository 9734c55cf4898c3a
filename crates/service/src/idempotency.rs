//! Creations that are asked for twice with one `Idempotency-Key` happen once.
//!
//! The answer is kept for [`KEPT_S`] in the transaction that made the thing, so a crash leaves both or neither. A key
//! stands for one caller and one path. What is kept never holds a secret: a repeat gets the same
//! resource with null where the secret stood, and `"secret_shown": true` (invariant I7).
//!
//! Every use case that makes something for the administration API runs inside [`make_once`].

use portcullis_domain::Timestamp;
use portcullis_domain::secret::TokenSecret;
use portcullis_store::idempotency::{self, IdempotencyKey, KeptAnswer};
use portcullis_store::{StoreError, Tx, UniqueKey};
use serde_json::Value;

use crate::caller::Caller;
use crate::error::Taken;
use crate::{Moment, ServiceError};

/// Seconds for which a key stands.
pub const KEPT_S: i64 = 24 * 3600;
/// The longest key, in bytes: UUIDs and hashes fit, a body does not.
pub const MAX_KEY: usize = 255;
/// How many expired answers each new one sweeps away: more than one, so that the table shrinks.
const SWEPT_AT_ONCE: i64 = 16;
/// What says that a secret was in the first answer.
const SECRET_SHOWN: &str = "secret_shown";
/// The unique key of kept answers: taken means that the same request is being carried out beside this one.
const MEANWHILE: UniqueKey = UniqueKey::IdempotencyKey;

/// A request that may come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    caller: String,
    path: String,
    key: String,
    body_hash: String,
}

impl Asked {
    /// A request of that caller to that path, under the key that the caller chose.
    ///
    /// Bodies are compared in canonical form (RFC 8785), so that order of keys and blanks do not matter.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] unless the key is 1–255 visible ASCII characters.
    pub fn new(caller: &Caller, path: &str, key: &str, body: &[u8]) -> Result<Self, ServiceError> {
        if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|b| b.is_ascii_graphic()) {
            let message = format!("must be 1–{MAX_KEY} visible ASCII characters");
            return Err(ServiceError::invalid("Idempotency-Key", message));
        }
        Ok(Self {
            caller: caller.name(),
            path: path.to_owned(),
            key: key.to_owned(),
            body_hash: body_hash(body),
        })
    }

    fn stored(&self) -> IdempotencyKey<'_> {
        IdempotencyKey { caller: &self.caller, path: &self.path, key: &self.key }
    }
}

fn body_hash(body: &[u8]) -> String {
    let canonical = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|value| portcullis_domain::audit::canonical(&value).ok());
    let bytes = canonical.as_deref().unwrap_or(body);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hex::encode(digest)
}

/// The answer of the time when it was made, if the key is known.
///
/// For what takes long or leaves the process before something is made: a repeat must not need it again. Who makes it
/// still asks [`make_once`].
///
/// # Errors
/// [`ServiceError::IdempotencyMismatch`] if the key came with another body.
pub fn find(tx: &mut Tx<'_>, asked: &Asked, now: Timestamp) -> Result<Option<Value>, ServiceError> {
    match idempotency::find(tx, asked.stored())? {
        Some(kept) if kept.created_at > now.plus_s(-KEPT_S) => again(asked, &kept).map(Some),
        _ => Ok(None),
    }
}

/// Makes something, or gives the answer of the time when it was made.
///
/// # Errors
/// [`ServiceError::IdempotencyMismatch`] if the key came with another body; [`is_meanwhile`] tells the error after
/// which the whole transaction is tried once more; else what `make` refused.
pub fn make_once(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    asked: Option<&Asked>,
    make: impl FnOnce(&mut Tx<'_>, &mut Moment) -> Result<Value, ServiceError>,
) -> Result<Value, ServiceError> {
    let Some(asked) = asked else { return make(tx, moment) };
    let expired = moment.now.plus_s(-KEPT_S);
    if let Some(kept) = idempotency::find(tx, asked.stored())? {
        if kept.created_at > expired {
            return again(asked, &kept);
        }
        idempotency::forget(tx, asked.stored())?;
    }
    // Claimed first: of two that come at once the later waits here, and not at a name that the earlier takes.
    let claim =
        KeptAnswer { body_hash: asked.body_hash.clone(), answer: String::new(), created_at: moment.now };
    idempotency::insert(tx, asked.stored(), &claim)?;
    let answer = make(tx, moment)?;
    idempotency::fill(tx, asked.stored(), &without_secrets(answer.clone()).to_string())?;
    // Last: these rows are everybody's, and what is made may have waited long for a lock of its own organization.
    idempotency::prune(tx, expired, SWEPT_AT_ONCE)?;
    Ok(answer)
}

/// Whether the same request was carried out beside this one: tried again, it finds that one's answer.
#[must_use]
pub fn is_meanwhile(error: &ServiceError) -> bool {
    *error == ServiceError::Taken(Taken::Key(MEANWHILE))
}

fn again(asked: &Asked, kept: &KeptAnswer) -> Result<Value, ServiceError> {
    if kept.body_hash != asked.body_hash {
        return Err(ServiceError::IdempotencyMismatch);
    }
    serde_json::from_str(&kept.answer)
        .map_err(|e| ServiceError::Store(StoreError::Inconsistent(format!("a kept answer is not JSON: {e}"))))
}

/// The same answer with null for every text that is or carries a secret of ours, whatever its field is called, and
/// `"secret_shown": true` if there was one.
fn without_secrets(mut answer: Value) -> Value {
    if blank(&mut answer) == Blanked::Something
        && let Some(fields) = answer.as_object_mut()
    {
        fields.insert(SECRET_SHOWN.to_owned(), Value::Bool(true));
    }
    answer
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Blanked {
    Nothing,
    Something,
}

fn blank(value: &mut Value) -> Blanked {
    match value {
        Value::String(text) if carries_secret(text) => {
            *value = Value::Null;
            Blanked::Something
        }
        Value::Array(items) => blank_all(items.iter_mut()),
        Value::Object(fields) => blank_all(fields.values_mut()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Blanked::Nothing,
    }
}

fn blank_all<'v>(values: impl Iterator<Item = &'v mut Value>) -> Blanked {
    values.fold(Blanked::Nothing, |so_far, value| match blank(value) {
        Blanked::Nothing => so_far,
        Blanked::Something => Blanked::Something,
    })
}

/// Whether a text is a secret, or a link with one in it.
fn carries_secret(text: &str) -> bool {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.into_iter().any(|word| TokenSecret::parse(word).is_ok())
}
