//! The outbox: what must be told to others, written with the change that it tells of and delivered after the commit.

use portcullis_domain::Timestamp;
use portcullis_domain::change::OutboxChange;
use portcullis_domain::id::{OrganizationId, OutboxId};

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

const PUT: Statement = Statement::change(
    "outbox.put",
    "INSERT INTO outbox (id, organization, kind, body, created_at) VALUES ($1, $2, $3, $4, $5)",
);
const MARK_DELIVERED: Statement = Statement::note(
    "outbox.mark_delivered",
    "UPDATE outbox SET delivered_at = $2 WHERE id = $1 AND delivered_at IS NULL",
);
const LIST_WAITING: Statement = Statement::read(
    "outbox.list_waiting",
    "SELECT id, organization, kind, body, created_at FROM outbox \
     WHERE delivered_at IS NULL AND id > $1 ORDER BY id LIMIT $2",
);
const COUNT_WAITING: Statement = Statement::read(
    "outbox.count_waiting",
    "SELECT COUNT(*) FROM outbox WHERE delivered_at IS NULL AND created_at < $1",
);
// The oldest are the first by their ids.
const SWEEP: Statement = Statement::note(
    "outbox.sweep",
    "DELETE FROM outbox WHERE created_at < $1 AND id IN \
     (SELECT id FROM outbox WHERE delivered_at IS NULL ORDER BY id LIMIT $2)",
);

/// The statements about the outbox.
pub(crate) const ALL: &[&Statement] = &[&PUT, &MARK_DELIVERED, &LIST_WAITING, &COUNT_WAITING, &SWEEP];

/// A row that waits for its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id, the same in every attempt.
    pub id: OutboxId,
    /// The organization.
    pub organization: OrganizationId,
    /// What is told, such as `member.deprovisioned`.
    pub kind: String,
    /// The content, as JSON text.
    pub body: String,
    /// When it was put there.
    pub created_at: Timestamp,
}

fn read(row: &Row) -> Result<Waiting, StoreError> {
    Ok(Waiting {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        kind: row.text(2)?.to_owned(),
        body: row.text(3)?.to_owned(),
        created_at: row.at(4)?,
    })
}

pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &OutboxChange,
) -> Result<(), StoreError> {
    let OutboxChange::Put { id, kind, body, at } = change;
    tx.run(&PUT, params![id, organization, kind, body, at]).map(|_| ())
}

/// What waits for its delivery, oldest first, after `after`.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn list_waiting(tx: &mut Tx<'_>, after: Option<&str>, limit: i64) -> Result<Vec<Waiting>, StoreError> {
    tx.rows(&LIST_WAITING, params![after.unwrap_or(""), limit])?.iter().map(read).collect()
}

/// How many rows that were put there before that moment wait for their delivery.
///
/// # Errors
/// As [`list_waiting`].
pub fn count_waiting(tx: &mut Tx<'_>, before: Timestamp) -> Result<i64, StoreError> {
    tx.row(&COUNT_WAITING, params![before])?.map_or(Ok(0), |row| row.int(0))
}

/// Drops the oldest rows that were put there before that moment and that nobody was told, so many at most; how many.
///
/// # Errors
/// As [`list_waiting`].
pub fn sweep(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.run(&SWEEP, params![before, limit])
}

/// Notes that a row was delivered; the first time counts.
///
/// # Errors
/// As [`list_waiting`].
pub fn mark_delivered(tx: &mut Tx<'_>, id: OutboxId, at: Timestamp) -> Result<(), StoreError> {
    tx.run(&MARK_DELIVERED, params![id, at]).map(|_| ())
}
