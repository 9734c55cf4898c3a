//! What providers said is over, remembered for as long as a sign-in that began before may still come in. Notes: none of it
//! lets anybody in.
//!
//! A provider's word that a session is over ends what is here. Without this, a sign-in that was on its way at that moment
//! would open a session a second later that nobody ends any more.

use portcullis_domain::Timestamp;
use portcullis_domain::id::ConnectionId;

use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// How many rows that are over each new one sweeps away: more than one, so that the table shrinks.
const SWEPT_AT_ONCE: i64 = 8;

const NOTE: Statement = Statement::note(
    "ending.note",
    "INSERT INTO endings (connection, subject_hash, session_hash, ended_at, expires_at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (connection, subject_hash, session_hash) DO UPDATE SET ended_at = $4, expires_at = $5 \
     WHERE endings.ended_at < $4",
);
const SWEEP: Statement = Statement::note(
    "ending.sweep",
    "DELETE FROM endings WHERE (connection, subject_hash, session_hash) IN \
     (SELECT connection, subject_hash, session_hash FROM endings WHERE expires_at <= $1 \
     ORDER BY expires_at LIMIT $2)",
);
const OF_SESSION: Statement = Statement::read(
    "ending.of_session",
    "SELECT ended_at FROM endings WHERE connection = $1 AND subject_hash = $2 AND session_hash = $3 \
     AND ended_at > $4 AND expires_at > $5 LIMIT 1",
);
const OF_SUBJECT: Statement = Statement::read(
    "ending.of_subject",
    "SELECT ended_at FROM endings WHERE connection = $1 AND subject_hash = $2 AND ended_at > $3 \
     AND expires_at > $4 LIMIT 1",
);

pub(crate) const ALL: &[&Statement] = &[&NOTE, &SWEEP, &OF_SESSION, &OF_SUBJECT];

/// What a provider said is over, by the hashes of its names. An empty one stands for everybody, or for every session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over<'a> {
    /// Whose.
    pub subject_hash: &'a str,
    /// Which of the provider's sessions.
    pub session_hash: &'a str,
}

/// Notes what a connection's provider said is over.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn note(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    over: Over<'_>,
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    tx.run(&SWEEP, params![now, SWEPT_AT_ONCE])?;
    tx.run(&NOTE, params![connection, over.subject_hash, over.session_hash, now, expires_at]).map(|_| ())
}

/// Whether a connection's provider said after `since` that this session, of this person, is over, and that still counts
/// `now`. One whose name it never told may be any of the person's.
///
/// # Errors
/// As [`note`].
pub fn is_over(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    session: Over<'_>,
    (since, now): (Timestamp, Timestamp),
) -> Result<bool, StoreError> {
    let Over { subject_hash, session_hash } = session;
    if session_hash.is_empty() {
        return Ok(tx.row(&OF_SUBJECT, params![connection, subject_hash, since, now])?.is_some());
    }
    for (subject, named) in [(subject_hash, ""), (subject_hash, session_hash), ("", session_hash)] {
        if tx.row(&OF_SESSION, params![connection, subject, named, since, now])?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
