//! Answers kept for callers who repeat a request with the same `Idempotency-Key`. Never a secret among them.

use portcullis_domain::Timestamp;

use crate::statement::Statement;
use crate::{StoreError, Tx, UniqueKey, params};

const INSERT: Statement = Statement::note(
    "idempotency.insert",
    "INSERT INTO idempotency (caller, path, idempotency_key, body_hash, answer, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING caller",
);
const FILL: Statement = Statement::note(
    "idempotency.fill",
    "UPDATE idempotency SET answer = $4 WHERE caller = $1 AND path = $2 AND idempotency_key = $3",
);
const FORGET: Statement = Statement::note(
    "idempotency.forget",
    "DELETE FROM idempotency WHERE caller = $1 AND path = $2 AND idempotency_key = $3",
);
const PRUNE: Statement = Statement::note(
    "idempotency.prune",
    "DELETE FROM idempotency WHERE (caller, path, idempotency_key) IN \
     (SELECT caller, path, idempotency_key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
);
const FIND: Statement = Statement::read(
    "idempotency.find",
    "SELECT body_hash, answer, created_at FROM idempotency \
     WHERE caller = $1 AND path = $2 AND idempotency_key = $3",
);

/// The statements about kept answers.
pub(crate) const ALL: &[&Statement] = &[&INSERT, &FILL, &FORGET, &PRUNE, &FIND];

/// What a key stands for: unique for a caller and a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey<'a> {
    /// Who called.
    pub caller: &'a str,
    /// What was called.
    pub path: &'a str,
    /// The key that the caller chose.
    pub key: &'a str,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The hash of the request's body: a repeat has the same.
    pub body_hash: String,
    /// The answer without its secrets, as text.
    pub answer: String,
    /// When it was given.
    pub created_at: Timestamp,
}

/// The answer that was given before.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(tx: &mut Tx<'_>, key: IdempotencyKey<'_>) -> Result<Option<KeptAnswer>, StoreError> {
    let Some(row) = tx.row(&FIND, params![key.caller, key.path, key.key])? else { return Ok(None) };
    Ok(Some(KeptAnswer {
        body_hash: row.text(0)?.to_owned(),
        answer: row.text(1)?.to_owned(),
        created_at: row.at(2)?,
    }))
}

/// Claims a key, or keeps an answer under it, in the transaction that carries the request out.
///
/// # Errors
/// [`StoreError::Taken`] if the same key was carried out meanwhile: roll back and find; else as [`find`].
pub fn insert(tx: &mut Tx<'_>, key: IdempotencyKey<'_>, kept: &KeptAnswer) -> Result<(), StoreError> {
    tx.insert(
        &INSERT,
        params![key.caller, key.path, key.key, kept.body_hash, kept.answer, kept.created_at],
        UniqueKey::IdempotencyKey,
    )
}

/// Puts the answer where its key was claimed, in the same transaction.
///
/// # Errors
/// [`StoreError::Inconsistent`] if the key was not claimed; else as [`find`].
pub fn fill(tx: &mut Tx<'_>, key: IdempotencyKey<'_>, answer: &str) -> Result<(), StoreError> {
    tx.run_on_row(&FILL, params![key.caller, key.path, key.key, answer])
}

/// Forgets one answer, because its time is over.
///
/// # Errors
/// As [`find`].
pub fn forget(tx: &mut Tx<'_>, key: IdempotencyKey<'_>) -> Result<(), StoreError> {
    tx.run(&FORGET, params![key.caller, key.path, key.key]).map(|_| ())
}

/// Forgets answers given before `before`, the oldest first, `limit` at most; how many were forgotten.
///
/// # Errors
/// As [`find`].
pub fn prune(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.run(&PRUNE, params![before, limit])
}
