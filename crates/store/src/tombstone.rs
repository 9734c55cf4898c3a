//! Tombstones, and the identifiers that people had before.

use portcullis_domain::Timestamp;
use portcullis_domain::change::TombstoneChange;
use portcullis_domain::id::{MembershipId, OrganizationId};
use portcullis_domain::tombstone::Identifier;

use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// The most identifiers of before of one membership that are read.
const MAX_FORMER: i64 = 1000;

const LAY: Statement = Statement::change(
    "tombstone.lay",
    "INSERT INTO tombstones (organization, kind, value, membership, created_at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (organization, kind, value, membership) DO UPDATE SET lifted_at = NULL",
);
const LIFT_OF: Statement = Statement::change(
    "tombstone.lift_of",
    "UPDATE tombstones SET lifted_at = created_at \
     WHERE membership = $1 AND organization = $2 AND lifted_at IS NULL",
);
const LIFT_NAMED: Statement = Statement::change(
    "tombstone.lift_named",
    "UPDATE tombstones SET lifted_at = created_at WHERE organization = $1 AND kind = $2 AND value = $3 \
     AND lifted_at IS NULL",
);
// What another directory's word laid stays, as long as there is that directory. What claims say ends at a sign-in.
const LIFT_SAID: Statement = Statement::change(
    "tombstone.lift_said",
    "UPDATE tombstones SET lifted_at = created_at WHERE organization = $1 AND kind = $2 AND value = $3 \
     AND lifted_at IS NULL AND NOT EXISTS (SELECT 1 FROM memberships m JOIN directories d ON d.id = m.governed_by \
     WHERE m.id = tombstones.membership AND m.organization = $1 AND d.id <> $4 AND d.kind <> 'claims')",
);
const LIFT_BESIDE: Statement = Statement::change(
    "tombstone.lift_beside",
    "UPDATE tombstones SET lifted_at = created_at WHERE organization = $1 AND kind = $2 AND value = $3 \
     AND lifted_at IS NULL AND membership IN (SELECT t.membership FROM tombstones t \
     WHERE t.organization = $1 AND t.kind = $5 AND t.value = $6) \
     AND NOT EXISTS (SELECT 1 FROM memberships m JOIN directories d ON d.id = m.governed_by \
     WHERE m.id = tombstones.membership AND m.organization = $1 AND d.id <> $4 AND d.kind <> 'claims')",
);
const FIND: Statement = Statement::read(
    "tombstone.find",
    "SELECT membership FROM tombstones WHERE organization = $1 AND kind = $2 AND value = $3 AND lifted_at IS NULL",
);
const PAGE: Statement = Statement::read(
    "tombstone.page",
    "SELECT kind, value, membership, created_at FROM tombstones \
     WHERE organization = $1 AND (kind, value, membership) > ($2, $3, $4) AND lifted_at IS NULL \
     ORDER BY kind, value, membership LIMIT $5",
);
const REMEMBER: Statement = Statement::change(
    "tombstone.remember",
    "INSERT INTO former_identifiers (membership, kind, value) VALUES ($1, $2, $3) \
     ON CONFLICT (membership, kind, value) DO NOTHING",
);
// Subjects first: they are never lifted, and whoever speaks for a directory can fill a page with all others.
const FORMER: Statement = Statement::read(
    "tombstone.former",
    "SELECT kind, value FROM former_identifiers WHERE membership = $1 \
     ORDER BY CASE WHEN kind IN ('subject', 'issuer_subject') THEN 0 ELSE 1 END, kind, value LIMIT $2",
);

const HAND_DOWN: Statement = Statement::change(
    "tombstone.hand_down",
    "INSERT INTO former_identifiers (membership, kind, value) \
     SELECT m.id, t.kind, t.value FROM tombstones t JOIN memberships m ON m.id = $1 AND m.organization = t.organization \
     WHERE t.membership = $2 AND t.organization = $3 AND t.lifted_at IS NULL \
     ON CONFLICT (membership, kind, value) DO NOTHING",
);
// Found by the subject, and not by the organization: `CROSS JOIN` keeps SQLite from walking through all of its people.
const FORMERLY_SUBJECT_OF: Statement = Statement::read(
    "tombstone.formerly_subject_of",
    "SELECT f.membership FROM former_identifiers f CROSS JOIN memberships m \
     WHERE f.kind = 'issuer_subject' AND f.value = $2 AND m.id = f.membership AND m.organization = $1 \
     AND m.ended_at IS NULL LIMIT 1",
);

pub(crate) const ALL: &[&Statement] = &[
    &LAY,
    &LIFT_OF,
    &LIFT_NAMED,
    &LIFT_SAID,
    &LIFT_BESIDE,
    &FIND,
    &PAGE,
    &REMEMBER,
    &FORMER,
    &HAND_DOWN,
    &FORMERLY_SUBJECT_OF,
];

pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &TombstoneChange,
) -> Result<(), StoreError> {
    match change {
        TombstoneChange::Lay { membership, identifiers, at } => {
            for i in identifiers {
                tx.run(&LAY, params![organization, i.kind.as_str(), i.value, membership, at])?;
            }
        }
        TombstoneChange::LiftOf(membership) => {
            tx.run(&LIFT_OF, params![membership, organization])?;
        }
        TombstoneChange::HandDown { from, to } => {
            tx.run(&HAND_DOWN, params![to, from, organization])?;
            tx.run(&LIFT_OF, params![from, organization])?;
        }
        TombstoneChange::LiftNamed(identifiers) => {
            for i in identifiers {
                tx.run(&LIFT_NAMED, params![organization, i.kind.as_str(), i.value])?;
            }
        }
        TombstoneChange::LiftSaid { directory, named, beside } => {
            for i in lying(tx, organization, named)? {
                tx.run(&LIFT_SAID, params![organization, i.kind.as_str(), i.value, directory])?;
            }
            let beside = lying(tx, organization, beside)?;
            for (i, by) in beside.into_iter().flat_map(|i| named.iter().map(move |by| (i, by))) {
                let (kind, by_kind) = (i.kind.as_str(), by.kind.as_str());
                tx.run(&LIFT_BESIDE, params![organization, kind, i.value, directory, by_kind, by.value])?;
            }
        }
    }
    Ok(())
}

/// Those of them that belong to somebody who left: nearly nobody of whom a directory tells did, and to look costs a tenth of a
/// change that finds nothing.
fn lying<'i>(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    identifiers: &'i [Identifier],
) -> Result<Vec<&'i Identifier>, StoreError> {
    let mut lying = Vec::new();
    for one in identifiers {
        if find(tx, organization, one)?.is_some() {
            lying.push(one);
        }
    }
    Ok(lying)
}

/// Keeps an identifier that a membership gives up, for the day when it ends.
pub(crate) fn remember(
    tx: &mut Tx<'_>,
    membership: MembershipId,
    identifier: &Identifier,
) -> Result<(), StoreError> {
    tx.run(&REMEMBER, params![membership, identifier.kind.as_str(), identifier.value]).map(|_| ())
}

/// The identifiers that a membership gave up, subjects first; 1,000 at most.
pub(crate) fn former(tx: &mut Tx<'_>, membership: MembershipId) -> Result<Vec<Identifier>, StoreError> {
    tx.rows(&FORMER, params![membership, MAX_FORMER])?
        .iter()
        .map(|row| {
            let kind = row.parsed(0)?;
            Ok(Identifier { kind, value: row.text(1)?.to_owned() })
        })
        .collect()
}

/// An identifier that belongs to somebody who left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laid {
    /// The identifier.
    pub identifier: Identifier,
    /// Whose it was.
    pub membership: MembershipId,
    /// Since when.
    pub at: Timestamp,
}

/// A page of what lies in that organization and was not lifted, after the last one of the page before.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn page(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: Option<&Laid>,
    limit: i64,
) -> Result<Vec<Laid>, StoreError> {
    let kind = after.map_or("", |last| last.identifier.kind.as_str());
    let value = after.map_or("", |last| last.identifier.value.as_str());
    let membership = after.map_or_else(String::new, |last| last.membership.to_string());
    let rows = tx.rows(&PAGE, params![organization, kind, value, membership, limit])?;
    let read = |row: &crate::row::Row| {
        let kind = row.parsed(0)?;
        let identifier = Identifier { kind, value: row.text(1)?.to_owned() };
        Ok(Laid { identifier, membership: row.parsed(2)?, at: row.at(3)? })
    };
    rows.iter().map(read).collect()
}

/// Whether an identifier belongs to somebody who left that organization: whose it was.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    identifier: &Identifier,
) -> Result<Option<MembershipId>, StoreError> {
    let row = tx.row(&FIND, params![organization, identifier.kind.as_str(), identifier.value])?;
    row.map(|r| r.parsed(0)).transpose()
}

/// Somebody of that organization who is there and was known by that subject before, at whichever connection.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn formerly_subject_of(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    subject: &str,
) -> Result<Option<MembershipId>, StoreError> {
    let row = tx.row(&FORMERLY_SUBJECT_OF, params![organization, subject])?;
    row.map(|r| r.parsed(0)).transpose()
}
