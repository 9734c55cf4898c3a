//! What is counted against a directory's limit.
//!
//! It gives and takes no access: it is noted.

use std::collections::HashSet;

use portcullis_domain::Timestamp;
use portcullis_domain::brake::{HOUR_S, WINDOW_H};
use portcullis_domain::id::{DirectoryId, MembershipId};

use crate::db::MAX_LIST;
use crate::row::{bound, list};
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

const TAKEN: Statement = Statement::read(
    "brake.taken",
    "SELECT CAST(COALESCE(SUM(people), 0) AS BIGINT), CAST(COALESCE(MAX(governed), 0) AS BIGINT), \
     CAST(COALESCE(MAX(hour), 0) AS BIGINT), \
     CAST(COALESCE(MAX(CASE WHEN hour = $3 THEN governed ELSE CAST(0 AS BIGINT) END), 0) AS BIGINT) \
     FROM brake_hours WHERE directory = $1 AND hour > $2",
);
const COUNTED: Statement = Statement::read(
    "brake.counted",
    "SELECT membership FROM brake_counted WHERE directory = $1 AND counted_at > $2 AND membership IN_LIST($3)",
);
const GONE: Statement = Statement::read(
    "brake.gone",
    "SELECT COUNT(*) FROM brake_counted c JOIN memberships m ON m.id = c.membership \
     WHERE c.directory = $1 AND c.counted_at > $2 \
     AND (m.state = 'deprovisioned' OR m.governed_by IS NULL OR m.governed_by <> $1)",
);
const COUNT: Statement = Statement::note(
    "brake.count",
    "INSERT INTO brake_counted (directory, membership, counted_at) \
     SELECT $1, each.value, CAST($3 AS BIGINT) FROM EACH_OF($2) AS each WHERE 1 = 1 \
     ON CONFLICT (directory, membership) DO UPDATE SET counted_at = excluded.counted_at",
);
const COUNT_HOUR: Statement = Statement::note(
    "brake.count_hour",
    "INSERT INTO brake_hours (directory, hour, people, governed) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (directory, hour) DO UPDATE SET people = brake_hours.people + excluded.people, \
     governed = CASE WHEN excluded.governed > brake_hours.governed THEN excluded.governed \
     ELSE brake_hours.governed END",
);
const FORGET_HOURS: Statement =
    Statement::note("brake.forget_hours", "DELETE FROM brake_hours WHERE directory = $1 AND hour <= $2");
const FORGET_COUNTED: Statement = Statement::note(
    "brake.forget_counted",
    "DELETE FROM brake_counted WHERE directory = $1 AND counted_at <= $2",
);

pub(crate) const ALL: &[&Statement] =
    &[&TAKEN, &COUNTED, &GONE, &COUNT, &COUNT_HOUR, &FORGET_HOURS, &FORGET_COUNTED];

/// The hour of a moment, counted from 1970.
fn hour(at: Timestamp) -> i64 {
    at.micros().div_euclid(HOUR_S * 1_000_000)
}

/// The moment since which people count.
fn since(now: Timestamp) -> Timestamp {
    now.plus_s(-WINDOW_H * HOUR_S)
}

/// What a directory took within the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// From how many people.
    pub people: i64,
    /// The most people whom it governed within the window, as far as anybody counted.
    pub governed: i64,
    /// Whether anybody was counted in this hour.
    pub hour_has_begun: bool,
    /// Whether the governed were counted in this hour.
    pub governed_is_known: bool,
}

/// What a directory took within the window that ends now. The caller holds [`crate::db::Lock::Brake`].
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn taken(tx: &mut Tx<'_>, directory: DirectoryId, now: Timestamp) -> Result<Taken, StoreError> {
    let row = tx.row(&TAKEN, params![directory, hour(now) - WINDOW_H, hour(now)])?;
    let Some(row) = row else {
        return Ok(Taken { people: 0, governed: 0, hour_has_begun: false, governed_is_known: false });
    };
    Ok(Taken {
        people: row.int(0)?,
        governed: row.int(1)?,
        hour_has_begun: row.int(2)? >= hour(now),
        governed_is_known: row.int(3)? > 0,
    })
}

/// Begins an hour: what is behind the window is forgotten.
///
/// # Errors
/// As [`taken`].
pub fn begin_hour(tx: &mut Tx<'_>, directory: DirectoryId, now: Timestamp) -> Result<(), StoreError> {
    tx.run(&FORGET_HOURS, params![directory, hour(now) - WINDOW_H])?;
    tx.run(&FORGET_COUNTED, params![directory, since(now)]).map(|_| ())
}

/// Remembers for this hour how many people the directory governs, with those whom it took within the window.
///
/// # Errors
/// As [`taken`].
pub fn know_governed(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    governed: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.run(&COUNT_HOUR, params![directory, hour(now), 0_i64, governed]).map(|_| ())
}

/// Which of these people have not been counted within the window.
///
/// # Errors
/// As [`taken`].
pub fn uncounted(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    people: &[MembershipId],
    now: Timestamp,
) -> Result<Vec<MembershipId>, StoreError> {
    let mut fresh = Vec::with_capacity(people.len());
    for some in people.chunks(MAX_LIST) {
        let rows = tx.rows(&COUNTED, params![directory, since(now), list(some)])?;
        let counted = rows.iter().map(|r| r.parsed(0)).collect::<Result<HashSet<MembershipId>, _>>()?;
        fresh.extend(some.iter().filter(|id| !counted.contains(id)).copied());
    }
    Ok(fresh)
}

/// How many of those who were counted within the window the directory governs no longer.
///
/// # Errors
/// As [`taken`].
pub fn count_gone(tx: &mut Tx<'_>, directory: DirectoryId, now: Timestamp) -> Result<i64, StoreError> {
    tx.row(&GONE, params![directory, since(now)])?.map_or(Ok(0), |row| row.int(0))
}

/// Counts these people, none of whom was counted within the window.
///
/// # Errors
/// As [`taken`].
pub fn count(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    people: &[MembershipId],
    now: Timestamp,
) -> Result<(), StoreError> {
    for some in people.chunks(MAX_LIST) {
        tx.run(&COUNT, params![directory, list(some), now])?;
    }
    let many = bound(people.len());
    tx.run(&COUNT_HOUR, params![directory, hour(now), many, 0_i64]).map(|_| ())
}

/// Forgets what was counted: the directory is gone.
pub(crate) fn forget(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<(), StoreError> {
    tx.run(&FORGET_HOURS, params![directory, i64::MAX])?;
    tx.run(&FORGET_COUNTED, params![directory, i64::MAX]).map(|_| ())
}
