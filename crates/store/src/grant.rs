//! Grants: roles given by people. An ended grant keeps its row, as an account of who gave what.

use portcullis_domain::change::GrantChange;
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{GrantId, MembershipId, OrganizationId};
use portcullis_domain::role::Rank;
use portcullis_domain::text::Slug;

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// The most grants of one membership that are read: a person with more roles than that is a mistake.
const MAX_OF_MEMBERSHIP: i64 = 200;

macro_rules! columns {
    () => {
        "id, organization, membership, role, granted_by, reason, request_id, created_at, ended_at"
    };
}

const CREATE: Statement = Statement::change(
    "grant.create",
    "INSERT INTO grants (id, organization, membership, role, granted_by, reason, request_id, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
const SET_REASON: Statement = Statement::change(
    "grant.set_reason",
    "UPDATE grants SET reason = $2 WHERE id = $1 AND organization = $3 AND ended_at IS NULL",
);
const END: Statement = Statement::change(
    "grant.end",
    "UPDATE grants SET ended_at = $2 WHERE id = $1 AND organization = $3 AND ended_at IS NULL",
);
const END_OF: Statement = Statement::change(
    "grant.end_of",
    "UPDATE grants SET ended_at = $2 WHERE membership = $1 AND organization = $4 AND ended_at IS NULL \
     AND role <> $3 RETURNING id, role, reason",
);
const FIND: Statement = Statement::read(
    "grant.find",
    concat!("SELECT ", columns!(), " FROM grants WHERE organization = $1 AND id = $2 AND ended_at IS NULL"),
);
const LIST: Statement = Statement::read(
    "grant.list",
    concat!(
        "SELECT ",
        columns!(),
        " FROM grants WHERE organization = $1 AND id > $2 AND ended_at IS NULL ORDER BY id LIMIT $3"
    ),
);
const LIVE_OF: Statement = Statement::read(
    "grant.live_of",
    concat!(
        "SELECT ",
        columns!(),
        " FROM grants WHERE membership = $2 AND organization = $1 AND ended_at IS NULL ORDER BY id LIMIT $3"
    ),
);

const LINKED_BELOW: Statement = Statement::read(
    "grant.linked_below",
    "SELECT g.membership FROM grants g JOIN memberships m ON m.id = g.membership AND m.organization = g.organization \
     WHERE g.organization = $1 AND g.role = $2 AND g.ended_at IS NULL AND (m.believed_up_to < $3 OR m.id IN \
     (SELECT l.membership FROM links l WHERE l.membership = m.id AND l.organization = $1 AND l.believed_up_to < $3)) \
     LIMIT 1",
);

/// The statements about grants.
pub(crate) const ALL: &[&Statement] =
    &[&CREATE, &SET_REASON, &END, &END_OF, &FIND, &LIST, &LIVE_OF, &LINKED_BELOW];

fn read(row: &Row) -> Result<Grant, StoreError> {
    Ok(Grant {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        membership: row.parsed(2)?,
        role: row.parsed(3)?,
        granted_by: row.opt_parsed(4)?,
        reason: row.text(5)?.to_owned(),
        request: row.opt_parsed(6)?,
        created_at: row.at(7)?,
        ended_at: row.opt_at(8)?,
    })
}

/// A grant that ended with whoever had it.
pub(crate) struct EndedGrant {
    pub(crate) id: GrantId,
    pub(crate) role: Slug,
    pub(crate) reason: String,
}

/// Carries out a change; the grants that ended with whoever had them.
pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &GrantChange,
) -> Result<Vec<EndedGrant>, StoreError> {
    match change {
        GrantChange::Create(g) => tx
            .run(
                &CREATE,
                params![
                    g.id,
                    g.organization,
                    g.membership,
                    g.role,
                    g.granted_by,
                    g.reason,
                    g.request,
                    g.created_at,
                ],
            )
            .map(|_| Vec::new()),
        GrantChange::SetReason(id, reason) => {
            tx.run_on_row(&SET_REASON, params![id, reason, organization]).map(|()| Vec::new())
        }
        GrantChange::End(id, at) => tx.run(&END, params![id, at, organization]).map(|_| Vec::new()),
        GrantChange::EndOf { membership, keep, at } => {
            // No slug is empty, so an empty one keeps nothing.
            let keep = keep.as_ref().map_or("", Slug::as_str);
            let rows = tx.rows(&END_OF, params![membership, at, keep, organization])?;
            rows.iter()
                .map(|row| {
                    Ok(EndedGrant {
                        id: row.parsed(0)?,
                        role: row.parsed(1)?,
                        reason: row.text(2)?.to_owned(),
                    })
                })
                .collect()
        }
    }
}

/// A grant of that organization that has not ended.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: GrantId) -> Result<Option<Grant>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// A page of grants that have not ended, in order of id, after `after`.
///
/// # Errors
/// As [`find`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Grant>, StoreError> {
    tx.rows(&LIST, params![organization, after.unwrap_or(""), limit])?.iter().map(read).collect()
}

/// The grants of a membership that have not ended; 200 at most.
///
/// # Errors
/// As [`find`].
pub fn live_of(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    membership: MembershipId,
) -> Result<Vec<Grant>, StoreError> {
    tx.rows(&LIVE_OF, params![organization, membership, MAX_OF_MEMBERSHIP])?.iter().map(read).collect()
}

/// Somebody who has that role by a grant and signs in by a link whose word is believed less far than that rank.
///
/// # Errors
/// As [`find`].
pub fn linked_below(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    role: &Slug,
    rank: Rank,
) -> Result<Option<MembershipId>, StoreError> {
    let row = tx.row(&LINKED_BELOW, params![organization, role, rank.number()])?;
    row.map(|row| row.parsed(0)).transpose()
}
