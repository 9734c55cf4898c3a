//! Whom an OpenID provider means by a session of ours, for its word that the session is over. Notes: none of it lets
//! anybody in.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{ConnectionId, TokenId};

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// How many rows that are over each new one sweeps away: more than one, so that the table shrinks.
const SWEPT_AT_ONCE: i64 = 8;
/// The most sessions that are read at once.
pub const MAX_NAMED: i64 = 1_000;

macro_rules! columns {
    () => {
        "token, connection, subject_hash, session_hash, hint_sealed, expires_at"
    };
}

const INSERT: Statement = Statement::note(
    "oidc_session.insert",
    concat!("INSERT INTO oidc_sessions (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6)"),
);
const SWEEP: Statement = Statement::note(
    "oidc_session.sweep",
    "DELETE FROM oidc_sessions WHERE token IN \
     (SELECT token FROM oidc_sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
);
const FIND: Statement = Statement::read(
    "oidc_session.find",
    concat!("SELECT ", columns!(), " FROM oidc_sessions WHERE token = $1"),
);
const OF_SUBJECT: Statement = Statement::read(
    "oidc_session.of_subject",
    concat!(
        "SELECT ",
        columns!(),
        " FROM oidc_sessions WHERE connection = $1 AND subject_hash = $2 ORDER BY token LIMIT $3"
    ),
);
const OF_SUBJECT_AND_SESSION: Statement = Statement::read(
    "oidc_session.of_subject_and_session",
    concat!(
        "SELECT ",
        columns!(),
        " FROM oidc_sessions WHERE connection = $1 AND subject_hash = $2 AND session_hash IN ($4, '') \
         ORDER BY token LIMIT $3"
    ),
);
const OF_SESSION: Statement = Statement::read(
    "oidc_session.of_session",
    concat!(
        "SELECT ",
        columns!(),
        " FROM oidc_sessions WHERE connection = $1 AND session_hash = $2 ORDER BY token LIMIT $3"
    ),
);
const DELETE: Statement =
    Statement::note("oidc_session.delete", "DELETE FROM oidc_sessions WHERE token = $1");

pub(crate) const ALL: &[&Statement] =
    &[&INSERT, &SWEEP, &FIND, &OF_SUBJECT, &OF_SUBJECT_AND_SESSION, &OF_SESSION, &DELETE];

/// Whom the provider means by a session of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSession {
    /// Our session.
    pub token: TokenId,
    /// The connection that it came by.
    pub connection: ConnectionId,
    /// The hash of the provider's `sub`.
    pub subject_hash: String,
    /// The hash of the provider's `sid`; empty if it gave none.
    pub session_hash: String,
    /// What the provider knows its session by when the browser is led there: the ID token, sealed.
    pub hint_sealed: Option<String>,
    /// When our session ends in any case.
    pub expires_at: Timestamp,
}

/// Whose sessions a provider means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// All of a subject, by its hash.
    Subject(&'a str),
    /// Those of a subject that belong to one session of the provider, by their hashes, and those whose session it never
    /// told: they may be the one.
    SubjectAndSession(&'a str, &'a str),
    /// All that belong to one session of the provider, by its hash.
    Session(&'a str),
}

fn read(row: &Row) -> Result<OidcSession, StoreError> {
    Ok(OidcSession {
        token: row.parsed(0)?,
        connection: row.parsed(1)?,
        subject_hash: row.text(2)?.to_owned(),
        session_hash: row.text(3)?.to_owned(),
        hint_sealed: row.opt_text(4)?.map(str::to_owned),
        expires_at: row.at(5)?,
    })
}

/// Notes whom the provider means by a new session.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn insert(tx: &mut Tx<'_>, session: &OidcSession, now: Timestamp) -> Result<(), StoreError> {
    tx.run(&SWEEP, params![now, SWEPT_AT_ONCE])?;
    tx.run(
        &INSERT,
        params![
            session.token,
            session.connection,
            session.subject_hash,
            session.session_hash,
            session.hint_sealed,
            session.expires_at,
        ],
    )
    .map(|_| ())
}

/// Whom the provider means by a session, if it came by OpenID.
///
/// # Errors
/// As [`insert`].
pub fn find(tx: &mut Tx<'_>, token: TokenId) -> Result<Option<OidcSession>, StoreError> {
    tx.row(&FIND, params![token])?.as_ref().map(read).transpose()
}

/// The sessions that a connection's provider names so; [`MAX_NAMED`] at most.
///
/// # Errors
/// As [`insert`].
pub fn of(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    named: Named<'_>,
) -> Result<Vec<OidcSession>, StoreError> {
    let rows = match named {
        Named::Subject(hash) => tx.rows(&OF_SUBJECT, params![connection, hash, MAX_NAMED]),
        Named::Session(hash) => tx.rows(&OF_SESSION, params![connection, hash, MAX_NAMED]),
        Named::SubjectAndSession(subject, session) => {
            tx.rows(&OF_SUBJECT_AND_SESSION, params![connection, subject, MAX_NAMED, session])
        }
    };
    rows?.iter().map(read).collect()
}

/// Forgets a session that ended.
///
/// # Errors
/// As [`insert`].
pub fn delete(tx: &mut Tx<'_>, token: TokenId) -> Result<(), StoreError> {
    tx.run(&DELETE, params![token]).map(|_| ())
}
