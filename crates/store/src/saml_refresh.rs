//! When the metadata of SAML connections is read next, and how the last time went. A note: what the metadata says is
//! written by changes.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{ConnectionId, OrganizationId};

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

const BEGIN: Statement = Statement::note(
    "saml_refresh.begin",
    "INSERT INTO saml_refreshes (connection, due_at, asked_at, succeeded_at, failures) VALUES ($1, $2, $3, $3, 0) \
     ON CONFLICT (connection) DO UPDATE SET due_at = $2, asked_at = $3, succeeded_at = $3, failures = 0, \
     error_code = NULL, error_message = NULL",
);
const FIND: Statement = Statement::read(
    "saml_refresh.find",
    "SELECT connection, due_at, asked_at, succeeded_at, failures, error_code, error_message FROM saml_refreshes \
     WHERE connection = $1",
);
const DUE: Statement = Statement::read(
    "saml_refresh.due",
    "SELECT s.connection, s.organization FROM saml_refreshes r JOIN saml_sources s ON s.connection = r.connection \
     JOIN organizations o ON o.id = s.organization AND o.deleted_at IS NULL \
     WHERE r.due_at <= $1 ORDER BY r.due_at LIMIT $2",
);
const OLDEST_SUCCESS: Statement = Statement::read(
    "saml_refresh.oldest_success",
    "SELECT MIN(r.succeeded_at) FROM saml_refreshes r JOIN saml_sources s ON s.connection = r.connection \
     JOIN organizations o ON o.id = s.organization AND o.deleted_at IS NULL",
);
const CLAIM: Statement = Statement::note(
    "saml_refresh.claim",
    "UPDATE saml_refreshes SET due_at = $3, asked_at = $2 \
     WHERE connection = $1 AND (asked_at IS NULL OR asked_at <= $4) RETURNING connection",
);
const FINISH: Statement = Statement::note(
    "saml_refresh.finish",
    "UPDATE saml_refreshes SET due_at = $2, succeeded_at = $3, failures = $4, error_code = $5, error_message = $6 \
     WHERE connection = $1",
);
const FORGET: Statement =
    Statement::note("saml_refresh.forget", "DELETE FROM saml_refreshes WHERE connection = $1");

pub(crate) const ALL: &[&Statement] = &[&BEGIN, &FIND, &DUE, &OLDEST_SUCCESS, &CLAIM, &FINISH, &FORGET];

/// How the reading of a connection's metadata stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamlRefresh {
    /// The connection.
    pub connection: ConnectionId,
    /// When it is read next.
    pub due_at: Timestamp,
    /// When it was last tried.
    pub asked_at: Option<Timestamp>,
    /// When it last went well.
    pub succeeded_at: Option<Timestamp>,
    /// How often it failed since.
    pub failures: i64,
    /// Why it last failed, as a stable code.
    pub error_code: Option<String>,
    /// The same in words.
    pub error_message: Option<String>,
}

fn read(row: &Row) -> Result<SamlRefresh, StoreError> {
    Ok(SamlRefresh {
        connection: row.parsed(0)?,
        due_at: row.at(1)?,
        asked_at: row.opt_at(2)?,
        succeeded_at: row.opt_at(3)?,
        failures: row.int(4)?,
        error_code: row.opt_text(5)?.map(str::to_owned),
        error_message: row.opt_text(6)?.map(str::to_owned),
    })
}

/// Notes that the metadata was read at `now`, and that it is read again at `due_at`.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn begin(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    now: Timestamp,
    due_at: Timestamp,
) -> Result<(), StoreError> {
    tx.run(&BEGIN, params![connection, due_at, now]).map(|_| ())
}

/// How the reading of a connection's metadata stands; `None` if it is not read from anywhere.
///
/// # Errors
/// As [`begin`].
pub fn find(tx: &mut Tx<'_>, connection: ConnectionId) -> Result<Option<SamlRefresh>, StoreError> {
    tx.row(&FIND, params![connection])?.as_ref().map(read).transpose()
}

/// Connections whose metadata is due, the longest due first.
///
/// # Errors
/// As [`begin`].
pub fn due(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(ConnectionId, OrganizationId)>, StoreError> {
    let rows = tx.rows(&DUE, params![now, limit])?;
    rows.iter().map(|row| Ok((row.parsed(0)?, row.parsed(1)?))).collect()
}

/// When the metadata was read that was read longest ago of all; `None` where none is read from anywhere.
///
/// # Errors
/// As [`begin`].
pub fn oldest_success(tx: &mut Tx<'_>) -> Result<Option<Timestamp>, StoreError> {
    Ok(tx.row(&OLDEST_SUCCESS, params![])?.map(|row| row.opt_at(0)).transpose()?.flatten())
}

/// Takes the reading of a connection's metadata for whoever asks, unless it was tried after `not_since`; meanwhile it
/// is due at `due_at`.
///
/// # Errors
/// As [`begin`].
pub fn claim(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    now: Timestamp,
    (due_at, not_since): (Timestamp, Timestamp),
) -> Result<bool, StoreError> {
    Ok(tx.row(&CLAIM, params![connection, now, due_at, not_since])?.is_some())
}

/// Notes how a reading went.
///
/// # Errors
/// As [`begin`].
pub fn finish(tx: &mut Tx<'_>, refresh: &SamlRefresh) -> Result<(), StoreError> {
    tx.run(
        &FINISH,
        params![
            refresh.connection,
            refresh.due_at,
            refresh.succeeded_at,
            refresh.failures,
            refresh.error_code,
            refresh.error_message,
        ],
    )
    .map(|_| ())
}

/// The metadata of a connection is read from nowhere any more.
///
/// # Errors
/// As [`begin`].
pub fn forget(tx: &mut Tx<'_>, connection: ConnectionId) -> Result<(), StoreError> {
    tx.run(&FORGET, params![connection]).map(|_| ())
}
