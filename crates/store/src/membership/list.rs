//! Memberships in lists: pages for whoever asks, and those that a job is to look at.

use std::collections::BTreeSet;

use portcullis_domain::Timestamp;
use portcullis_domain::id::{DirectoryId, MembershipId, OrganizationId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::role::Rank;
use portcullis_domain::text::Slug;

use super::read;
use crate::row::list;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

const GOVERNED_BY: Statement = Statement::read(
    "membership.governed_by",
    "SELECT id FROM memberships WHERE governed_by = $2 AND organization = $1 AND state <> 'deprovisioned' \
     AND id > $3 ORDER BY id LIMIT $4",
);
// The roles above a rank are few, and so are those who have them: `CROSS JOIN` has SQLite begin there.
const TOLD_ABOVE: Statement = Statement::read(
    "membership.told_above",
    "SELECT m.id FROM roles r CROSS JOIN memberships m WHERE r.organization = $1 AND r.rank > $3 \
     AND m.organization = r.organization AND m.role = r.slug AND m.state <> 'deprovisioned' \
     AND (m.governed_by = $2 OR EXISTS (SELECT 1 FROM directory_users u WHERE u.membership = m.id AND u.directory = $2)) \
     ORDER BY m.id LIMIT $4",
);
// Who names an address is served by `LIST_BY_EMAIL`, so `$3` is empty here: it stands for the parameters to be the same.
const LIST: Statement = Statement::read(
    "membership.list",
    concat!(
        "SELECT ",
        columns!(),
        " FROM memberships WHERE organization = $1 AND id > $2 \
         AND (CAST($3 AS TEXT) = '' OR email_key = $3) AND (CAST($4 AS TEXT) = '' OR state = $4) \
         AND (CAST($5 AS TEXT) = '' OR role = $5) ORDER BY id LIMIT $6"
    ),
);
const LIST_BY_EMAIL: Statement = Statement::read(
    "membership.list_by_email",
    concat!(
        "SELECT ",
        columns!(),
        " FROM memberships WHERE organization = $1 AND email_key = $3 AND id > $2 \
         AND (CAST($4 AS TEXT) = '' OR state = $4) AND (CAST($5 AS TEXT) = '' OR role = $5) ORDER BY id LIMIT $6"
    ),
);
// The people of the teams that somebody administers: what is sorted grows with those teams, not with the organization.
// `CROSS JOIN` has SQLite begin with the lead's own teams.
const LIST_OF_LEAD: Statement = Statement::read(
    "membership.list_of_lead",
    concat!(
        "SELECT ",
        columns!(),
        " FROM memberships WHERE organization = $1 AND id IN \
         (SELECT o.membership FROM team_members l CROSS JOIN team_members o \
         WHERE o.organization = l.organization AND o.team = l.team AND l.membership = $7 AND l.organization = $1 \
         AND l.team_role = 'admin' AND o.membership > $2) \
         AND (CAST($3 AS TEXT) = '' OR email_key = $3) AND (CAST($4 AS TEXT) = '' OR state = $4) \
         AND (CAST($5 AS TEXT) = '' OR role = $5) ORDER BY id LIMIT $6"
    ),
);
const UNCONFIRMED: Statement = Statement::read(
    "membership.unconfirmed",
    "SELECT m.id FROM memberships m JOIN directory_users u ON u.membership = m.id AND u.directory = m.governed_by \
     WHERE m.id IN_LIST($1) AND m.organization = $2 AND m.ended_at IS NULL AND u.unconfirmed_at IS NOT NULL",
);
const DUE: Statement = Statement::read(
    "membership.due",
    "SELECT organization, id FROM memberships \
     WHERE until IS NOT NULL AND until <= $1 AND organization NOT IN_LIST($2) ORDER BY until LIMIT $3",
);
const STALE: Statement = Statement::read(
    "membership.stale",
    "SELECT id FROM memberships WHERE organization = $1 AND rules_number < $2 ORDER BY rules_number, id LIMIT $3",
);

pub(crate) const ALL: &[&Statement] =
    &[&GOVERNED_BY, &TOLD_ABOVE, &LIST, &LIST_BY_EMAIL, &LIST_OF_LEAD, &UNCONFIRMED, &DUE, &STALE];

/// What a list of members is narrowed to. Empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MembershipFilter {
    /// An e-mail key.
    pub email_key: Option<String>,
    /// A state.
    pub state: Option<MembershipState>,
    /// A role.
    pub role: Option<Slug>,
}

impl MembershipFilter {
    /// What the statements compare, in the order of their parameters: address, state and role, empty for any.
    fn compared(&self) -> [&str; 3] {
        [
            self.email_key.as_deref().unwrap_or(""),
            self.state.map_or("", MembershipState::as_str),
            self.role.as_ref().map_or("", Slug::as_str),
        ]
    }
}

/// Memberships that a directory governs and that were not off-boarded, in order of id, after `after`.
///
/// # Errors
/// As [`super::find`].
pub fn governed_by(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    directory: DirectoryId,
    after: &str,
    limit: i64,
) -> Result<Vec<MembershipId>, StoreError> {
    tx.rows(&GOVERNED_BY, params![organization, directory, after, limit])?
        .iter()
        .map(|r| r.parsed(0))
        .collect()
}

/// Those of them whose role stands above that rank.
///
/// # Errors
/// As [`super::find`].
pub fn told_above(
    tx: &mut Tx<'_>,
    (organization, directory): (OrganizationId, DirectoryId),
    rank: Rank,
    limit: i64,
) -> Result<Vec<MembershipId>, StoreError> {
    tx.rows(&TOLD_ABOVE, params![organization, directory, rank.number(), limit])?
        .iter()
        .map(|r| r.parsed(0))
        .collect()
}

/// A page of memberships in order of id, after `after`.
///
/// # Errors
/// As [`super::find`].
pub fn list_page(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    filter: &MembershipFilter,
    after: &str,
    limit: i64,
) -> Result<Vec<Membership>, StoreError> {
    let [email, state, role] = filter.compared();
    let statement = if email.is_empty() { &LIST } else { &LIST_BY_EMAIL };
    tx.rows(statement, params![organization, after, email, state, role, limit])?.iter().map(read).collect()
}

/// A page of the people of the teams that this lead administers, in order of id, after `after`.
///
/// # Errors
/// As [`super::find`].
pub fn list_of_lead(
    tx: &mut Tx<'_>,
    (organization, lead): (OrganizationId, MembershipId),
    filter: &MembershipFilter,
    after: &str,
    limit: i64,
) -> Result<Vec<Membership>, StoreError> {
    let [email, state, role] = filter.compared();
    let rows = tx.rows(&LIST_OF_LEAD, params![organization, after, email, state, role, limit, lead])?;
    rows.iter().map(read).collect()
}

/// Memberships whose access changes by itself at or before `now`, the longest due first; none of those organizations,
/// 1,000 at most.
///
/// # Errors
/// As [`super::find`].
pub fn due(
    tx: &mut Tx<'_>,
    now: Timestamp,
    but: &[OrganizationId],
    limit: i64,
) -> Result<Vec<(OrganizationId, MembershipId)>, StoreError> {
    tx.rows(&DUE, params![now, list(but), limit])?.iter().map(|r| Ok((r.parsed(0)?, r.parsed(1)?))).collect()
}

/// Memberships whose access was stored under a lower rules number.
///
/// # Errors
/// As [`super::find`].
pub fn stale(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    rules_number: i64,
    limit: i64,
) -> Result<Vec<MembershipId>, StoreError> {
    tx.rows(&STALE, params![organization, rules_number, limit])?.iter().map(|r| r.parsed(0)).collect()
}

/// Which of these memberships are governed by a directory that has not spoken of them since a restore; 1,000 at most.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn unconfirmed(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    people: &[MembershipId],
) -> Result<BTreeSet<MembershipId>, StoreError> {
    tx.rows(&UNCONFIRMED, params![list(people), organization])?.iter().map(|row| row.parsed(0)).collect()
}
