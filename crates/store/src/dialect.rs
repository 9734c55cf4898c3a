//! Deviations from the standard that directories' calls needed, counted by kind: a bounded number of rows a directory.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{DirectoryId, OrganizationId};

use crate::statement::Statement;
use crate::{StoreError, Tx, params};

// A directory that is gone meanwhile gets no row.
const NOTE: Statement = Statement::note(
    "dialect.note",
    "INSERT INTO directory_dialects (directory, code, calls, subject, first_at, last_at) \
     SELECT id, CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS BIGINT), CAST($6 AS BIGINT) \
     FROM directories WHERE id = $1 AND organization = $7 ON CONFLICT (directory, code) DO UPDATE SET \
     calls = directory_dialects.calls + excluded.calls, subject = excluded.subject, last_at = excluded.last_at",
);
const FORGET: Statement =
    Statement::note("dialect.forget", "DELETE FROM directory_dialects WHERE directory = $1");
const LIST: Statement = Statement::read(
    "dialect.list",
    "SELECT code, calls, subject, first_at, last_at FROM directory_dialects WHERE directory = $1 ORDER BY code",
);

/// The statements about dialects.
pub(crate) const ALL: &[&Statement] = &[&NOTE, &FORGET, &LIST];

/// How often a deviation was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its stable code.
    pub code: String,
    /// In how many calls.
    pub calls: i64,
    /// What it was about the last time.
    pub subject: Option<String>,
    /// When it was first met.
    pub first_at: Timestamp,
    /// When it was last met.
    pub last_at: Timestamp,
}

/// Adds to the counts.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn note(tx: &mut Tx<'_>, heard: &[(OrganizationId, DirectoryId, Heard)]) -> Result<(), StoreError> {
    for (organization, directory, heard) in heard {
        let Heard { code, calls, subject, first_at, last_at } = heard;
        tx.run(&NOTE, params![directory, code, calls, subject, first_at, last_at, organization])?;
    }
    Ok(())
}

/// Forgets the counts of a directory.
///
/// # Errors
/// As [`note`].
pub fn forget(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<(), StoreError> {
    tx.run(&FORGET, params![directory]).map(|_| ())
}

/// The counts of a directory, by code.
///
/// # Errors
/// As [`note`].
pub fn list(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<Vec<Heard>, StoreError> {
    let rows = tx.rows(&LIST, params![directory])?;
    rows.iter()
        .map(|row| {
            Ok(Heard {
                code: row.text(0)?.to_owned(),
                calls: row.int(1)?,
                subject: row.opt_text(2)?.map(str::to_owned),
                first_at: row.at(3)?,
                last_at: row.at(4)?,
            })
        })
        .collect()
}
