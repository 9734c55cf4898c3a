//! The lease: one node serves a database.
//!
//! Whoever takes the lease raises its epoch, and so fences whatever the holder before still wants to write. Instants
//! are the database's ([`Tx::database_now`]), because nodes' clocks differ.

use portcullis_domain::Timestamp;
use portcullis_domain::id::NodeId;

use crate::db::Lock;
use crate::statement::Statement;
use crate::{StoreError, Tx, migration, params};

const TAKE_FIRST: Statement = Statement::note(
    "lease.take_first",
    "INSERT INTO node_lease (id, holder, epoch, expires_at) VALUES (1, $1, 1, $2) ON CONFLICT DO NOTHING \
     RETURNING epoch",
);
const TAKE: Statement = Statement::note(
    "lease.take",
    "UPDATE node_lease SET holder = $1, epoch = epoch + 1, expires_at = $2 \
     WHERE id = 1 AND (holder = $1 OR expires_at <= $3) RETURNING epoch",
);
const RENEW: Statement = Statement::note(
    "lease.renew",
    "UPDATE node_lease SET expires_at = $3 WHERE id = 1 AND holder = $1 AND epoch = $2",
);
// It ended before every clock: one that is wrong cannot keep the next node waiting.
const RELEASE: Statement = Statement::note(
    "lease.release",
    "UPDATE node_lease SET expires_at = 0 WHERE id = 1 AND holder = $1 AND epoch = $2",
);
const FIND: Statement =
    Statement::read("lease.find", "SELECT holder, epoch, expires_at FROM node_lease WHERE id = 1");

/// The statements about the lease.
pub(crate) const ALL: &[&Statement] = &[&TAKE_FIRST, &TAKE, &RENEW, &RELEASE, &FIND];

/// The right to serve a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it.
    pub holder: NodeId,
    /// Which taking this is; a higher one fences this one.
    pub epoch: i64,
    /// When it runs out, by the database's clock.
    pub expires_at: Timestamp,
}

/// The lease as it stands, whoever holds it and whether it runs or not; `None` if nobody ever took it.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(tx: &mut Tx<'_>) -> Result<Option<Lease>, StoreError> {
    let Some(row) = tx.row(&FIND, params![])? else { return Ok(None) };
    Ok(Some(Lease { holder: row.parsed(0)?, epoch: row.int(1)?, expires_at: row.at(2)? }))
}

/// Takes the lease for `seconds` from `now`: if nobody has it, if it ran out, or if `holder` has it already. Commits that
/// were checked under the lease before are waited for; after them none gets through.
///
/// # Errors
/// [`StoreError::Held`] if another node has it; else as [`find`].
pub fn take(tx: &mut Tx<'_>, holder: NodeId, now: Timestamp, seconds: i64) -> Result<Lease, StoreError> {
    tx.lock(Lock::Lease)?;
    let expires_at = now.plus_s(seconds);
    let mut taken = tx.row(&TAKE, params![holder, expires_at, now])?;
    if taken.is_none() {
        taken = tx.row(&TAKE_FIRST, params![holder, expires_at])?;
    }
    if let Some(row) = taken {
        return Ok(Lease { holder, epoch: row.int(0)?, expires_at });
    }
    let other = find(tx)?.map_or_else(String::new, |lease| {
        format!(
            " `{}`, whose lease runs for another {} s",
            lease.holder,
            lease.expires_at.seconds_since(now).max(0)
        )
    });
    Err(StoreError::Held(format!("another node serves this database:{other}")))
}

/// Takes the lease for `seconds`, by the database's clock, and every step of the schema that was not taken yet under it, in
/// one transaction: nothing changes under a node that serves with the schema before. `now` is written beside the steps.
///
/// # Errors
/// As [`take`] and [`migration::migrate`].
pub fn take_and_migrate(
    tx: &mut Tx<'_>,
    holder: NodeId,
    now: Timestamp,
    seconds: i64,
) -> Result<Lease, StoreError> {
    // Nobody serves a database that has no table of leases yet; they wait here, and find what was made meanwhile.
    tx.lock(Lock::Lease)?;
    if !migration::applied(tx)?.is_empty() {
        let begun_at = tx.database_now()?;
        take(tx, holder, begun_at, seconds)?;
    }
    migration::migrate(tx, now)?;
    // The steps may have taken longer than a lease runs.
    let ended_at = tx.database_now()?;
    take(tx, holder, ended_at, seconds)
}

/// Renews a lease for `seconds` from `now`. One that ran out and that nobody took is renewed too.
///
/// # Errors
/// [`StoreError::Fenced`] if another taking came after it; else as [`find`].
pub fn renew(tx: &mut Tx<'_>, lease: Lease, now: Timestamp, seconds: i64) -> Result<Lease, StoreError> {
    let expires_at = now.plus_s(seconds);
    match tx.run(&RENEW, params![lease.holder, lease.epoch, expires_at])? {
        0 => Err(StoreError::Fenced),
        _ => Ok(Lease { expires_at, ..lease }),
    }
}

/// Whether this taking is still the newest, in the transaction that is about to commit; and it stays the newest until
/// that has happened.
///
/// # Errors
/// [`StoreError::Fenced`] if it is not; else as [`find`].
pub fn check(tx: &mut Tx<'_>, lease: Lease) -> Result<(), StoreError> {
    tx.lock(Lock::UnderLease)?;
    match find(tx)? {
        Some(newest) if newest.holder == lease.holder && newest.epoch == lease.epoch => Ok(()),
        _ => Err(StoreError::Fenced),
    }
}

/// Gives the lease back, so that another node need not wait for its end. One that was taken since stays where it is.
///
/// # Errors
/// As [`find`].
pub fn release(tx: &mut Tx<'_>, lease: Lease) -> Result<(), StoreError> {
    tx.run(&RELEASE, params![lease.holder, lease.epoch]).map(|_| ())
}
