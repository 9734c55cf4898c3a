//! Messages of providers that were used: what a provider signed is good once. A note, which lets nobody in.

use portcullis_domain::Timestamp;
use portcullis_domain::id::ConnectionId;

use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// How many rows that are over each new one sweeps away: more than one, so that the table shrinks.
const SWEPT_AT_ONCE: i64 = 8;

const USE_UP: Statement = Statement::note(
    "replay.use_up",
    "INSERT INTO replays (connection, message_hash, expires_at) VALUES ($1, $2, $3) \
     ON CONFLICT DO NOTHING RETURNING message_hash",
);
const SWEEP: Statement = Statement::note(
    "replay.sweep",
    "DELETE FROM replays WHERE (connection, message_hash) IN (SELECT connection, message_hash FROM replays \
     WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
);

pub(crate) const ALL: &[&Statement] = &[&USE_UP, &SWEEP];

/// Uses a message of a provider up until `expires_at`; whether nobody has before.
///
/// # Errors
/// [`StoreError`] from the driver.
pub fn use_up(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    message_hash: &str,
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<bool, StoreError> {
    tx.run(&SWEEP, params![now, SWEPT_AT_ONCE])?;
    Ok(tx.row(&USE_UP, params![connection, message_hash, expires_at])?.is_some())
}
