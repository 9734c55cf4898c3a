//! Whom a provider of SAML means by a session of ours, and by which certificate it came in. Notes: none of it lets anybody in.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{ConnectionId, TokenId};

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// How many rows that are over each new one sweeps away: more than one, so that the tables shrink.
const SWEPT_AT_ONCE: i64 = 8;
/// The most sessions that are read at once.
pub const MAX_NAMED: i64 = 1_000;

macro_rules! columns {
    () => {
        "token, connection, name_hash, name_id, session_index, expires_at, signed_by"
    };
}

const INSERT: Statement = Statement::note(
    "saml_session.insert",
    concat!("INSERT INTO saml_sessions (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7)"),
);
const SWEEP: Statement = Statement::note(
    "saml_session.sweep",
    "DELETE FROM saml_sessions WHERE token IN \
     (SELECT token FROM saml_sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
);
const FIND: Statement = Statement::read(
    "saml_session.find",
    concat!("SELECT ", columns!(), " FROM saml_sessions WHERE token = $1 AND name_hash <> ''"),
);
const OF_NAME: Statement = Statement::read(
    "saml_session.of_name",
    concat!(
        "SELECT ",
        columns!(),
        " FROM saml_sessions WHERE connection = $1 AND name_hash = $2 AND token > $4 ORDER BY token LIMIT $3"
    ),
);
const OF_CERTIFICATE: Statement = Statement::read(
    "saml_session.of_certificate",
    "SELECT token FROM saml_sessions WHERE connection = $1 AND signed_by IN ('', $2) LIMIT $3",
);
const SIGNED_BY: Statement =
    Statement::read("saml_session.signed_by", "SELECT signed_by FROM saml_sessions WHERE token = $1");
const DELETE: Statement =
    Statement::note("saml_session.delete", "DELETE FROM saml_sessions WHERE token = $1");
pub(crate) const ALL: &[&Statement] =
    &[&INSERT, &SWEEP, &FIND, &OF_NAME, &OF_CERTIFICATE, &SIGNED_BY, &DELETE];

/// Whom the provider means by a session of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamlSession {
    /// Our session.
    pub token: TokenId,
    /// The connection that it came by.
    pub connection: ConnectionId,
    /// The hash of the provider's name for the person, by which its requests find the session; empty if it names nobody.
    pub name_hash: String,
    /// That name, as JSON text, to be sent back as it came.
    pub name_id: String,
    /// The provider's name for the session.
    pub session_index: Option<String>,
    /// When our session ends in any case.
    pub expires_at: Timestamp,
    /// The fingerprint of the certificate by which it came in; empty where nobody knows.
    pub signed_by: String,
}

fn read(row: &Row) -> Result<SamlSession, StoreError> {
    Ok(SamlSession {
        token: row.parsed(0)?,
        connection: row.parsed(1)?,
        name_hash: row.text(2)?.to_owned(),
        name_id: row.text(3)?.to_owned(),
        session_index: row.opt_text(4)?.map(str::to_owned),
        expires_at: row.at(5)?,
        signed_by: row.text(6)?.to_owned(),
    })
}

/// Notes whom the provider means by a new session.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn insert(tx: &mut Tx<'_>, session: &SamlSession, now: Timestamp) -> Result<(), StoreError> {
    tx.run(&SWEEP, params![now, SWEPT_AT_ONCE])?;
    tx.run(
        &INSERT,
        params![
            session.token,
            session.connection,
            session.name_hash,
            session.name_id,
            session.session_index,
            session.expires_at,
            session.signed_by,
        ],
    )
    .map(|_| ())
}

/// Whom the provider means by a session, if it came by SAML and the provider named somebody.
///
/// # Errors
/// As [`insert`].
pub fn find(tx: &mut Tx<'_>, token: TokenId) -> Result<Option<SamlSession>, StoreError> {
    tx.row(&FIND, params![token])?.as_ref().map(read).transpose()
}

/// By which certificate a session came in; empty if by none, or nobody knows.
///
/// # Errors
/// As [`insert`].
pub fn signed_by(tx: &mut Tx<'_>, token: TokenId) -> Result<String, StoreError> {
    tx.row(&SIGNED_BY, params![token])?.map_or_else(|| Ok(String::new()), |row| Ok(row.text(0)?.to_owned()))
}

/// A page of the sessions of whomever a connection's provider calls so, in order of our sessions' ids, after `after`;
/// [`MAX_NAMED`] at most.
///
/// # Errors
/// As [`insert`].
pub fn of_name(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    name_hash: &str,
    after: Option<TokenId>,
) -> Result<Vec<SamlSession>, StoreError> {
    let after = after.map(|token| token.to_string()).unwrap_or_default();
    tx.rows(&OF_NAME, params![connection, name_hash, MAX_NAMED, after])?.iter().map(read).collect()
}

/// Some of the sessions that may have come in by a certificate of a connection's provider, in order of id; `max` at most.
/// Whoever ends them forgets them, and asks again for those that are left.
///
/// # Errors
/// As [`insert`].
pub fn of_certificate(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    fingerprint: &str,
    max: i64,
) -> Result<Vec<TokenId>, StoreError> {
    let rows = tx.rows(&OF_CERTIFICATE, params![connection, fingerprint, max])?;
    let mut tokens = rows.iter().map(|row| row.parsed(0)).collect::<Result<Vec<_>, _>>()?;
    tokens.sort();
    Ok(tokens)
}

/// Forgets a session that ended.
///
/// # Errors
/// As [`insert`].
pub fn delete(tx: &mut Tx<'_>, token: TokenId) -> Result<(), StoreError> {
    tx.run(&DELETE, params![token]).map(|_| ())
}
