//! Requests to end a session that left for a provider, until it answers. Notes: none of it lets anybody in.

use portcullis_domain::Timestamp;
use portcullis_domain::id::ConnectionId;

use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// How many rows that are over each new one sweeps away: more than one, so that the table shrinks.
const SWEPT_AT_ONCE: i64 = 8;

const ASK: Statement = Statement::note(
    "farewell.ask",
    "INSERT INTO farewells (connection, state_hash, request, expires_at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT DO NOTHING",
);
const SWEEP: Statement = Statement::note(
    "farewell.sweep",
    "DELETE FROM farewells WHERE (connection, state_hash) IN (SELECT connection, state_hash FROM farewells \
     WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
);
const TAKE: Statement = Statement::note(
    "farewell.take",
    "DELETE FROM farewells WHERE connection = $1 AND state_hash = $2 AND expires_at > $3 RETURNING request",
);

pub(crate) const ALL: &[&Statement] = &[&ASK, &SWEEP, &TAKE];

/// Notes a request to end a session that leaves for the provider, under the state that comes back with its answer. Of a
/// protocol whose requests have no name it is empty.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn ask(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    (state_hash, request): (&str, &str),
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    tx.run(&SWEEP, params![now, SWEPT_AT_ONCE])?;
    tx.run(&ASK, params![connection, state_hash, request, expires_at]).map(|_| ())
}

/// Takes such a request out, because its answer came: the name of the request, if there is one.
///
/// # Errors
/// As [`ask`].
pub fn take(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    state_hash: &str,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let taken = tx.row(&TAKE, params![connection, state_hash, now])?;
    taken.as_ref().map(|row| Ok(row.text(0)?.to_owned())).transpose()
}
