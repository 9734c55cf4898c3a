//! The call of a directory that was refused last: one row a directory, whatever becomes of its trace.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{DirectoryId, OrganizationId, RequestId};

use crate::statement::Statement;
use crate::{StoreError, Tx, params};

// A directory that is gone meanwhile gets no row.
const NOTE: Statement = Statement::note(
    "last_refusal.note",
    "INSERT INTO directory_refusals (directory, refused_at, code, subject, request_id) \
     SELECT id, CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT) \
     FROM directories WHERE id = $1 AND organization = $6 ON CONFLICT (directory) DO UPDATE SET \
     refused_at = excluded.refused_at, code = excluded.code, subject = excluded.subject, request_id = excluded.request_id",
);
const FORGET: Statement =
    Statement::note("last_refusal.forget", "DELETE FROM directory_refusals WHERE directory = $1");
const FIND: Statement = Statement::read(
    "last_refusal.find",
    "SELECT refused_at, code, subject, request_id FROM directory_refusals WHERE directory = $1",
);

/// The statements about last refusals.
pub const ALL: &[&Statement] = &[&NOTE, &FORGET, &FIND];

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRefusal {
    /// When it came.
    pub at: Timestamp,
    /// The stable code, as the outcome of its trace.
    pub code: String,
    /// Whom or what it was about, as in its trace.
    pub subject: String,
    /// The request.
    pub request: RequestId,
}

/// Notes which calls were refused last.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn note(
    tx: &mut Tx<'_>,
    refused: &[(OrganizationId, DirectoryId, LastRefusal)],
) -> Result<(), StoreError> {
    for (organization, directory, last) in refused {
        let LastRefusal { at, code, subject, request } = last;
        tx.run(&NOTE, params![directory, at, code, subject, request, organization])?;
    }
    Ok(())
}

/// Forgets which call of a directory was refused last.
///
/// # Errors
/// As [`note`].
pub fn forget(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<(), StoreError> {
    tx.run(&FORGET, params![directory]).map(|_| ())
}

/// Which call of a directory was refused last, if any was.
///
/// # Errors
/// As [`note`].
pub fn find(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<Option<LastRefusal>, StoreError> {
    let row = tx.row(&FIND, params![directory])?;
    row.map(|row| {
        Ok(LastRefusal {
            at: row.at(0)?,
            code: row.text(1)?.to_owned(),
            subject: row.text(2)?.to_owned(),
            request: row.parsed(3)?,
        })
    })
    .transpose()
}
