//! Teams of an organization. Who is in them follows from mappings and is stored with each membership's access.

use portcullis_domain::change::TeamChange;
use portcullis_domain::id::{MembershipId, OrganizationId, TeamId};
use portcullis_domain::team::{Team, TeamRole};
use portcullis_domain::text::Slug;

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, UniqueKey, params};

macro_rules! columns {
    () => {
        "id, organization, slug, name, created_at"
    };
}

const CREATE: Statement = Statement::change(
    "team.create",
    "INSERT INTO teams (id, organization, slug, name, created_at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT DO NOTHING RETURNING id",
);
const RENAME: Statement =
    Statement::change("team.rename", "UPDATE teams SET name = $2 WHERE id = $1 AND organization = $3");
const DELETE: Statement =
    Statement::change("team.delete", "DELETE FROM teams WHERE id = $1 AND organization = $2");
const FIND: Statement = Statement::read(
    "team.find",
    concat!("SELECT ", columns!(), " FROM teams WHERE organization = $1 AND id = $2"),
);
const FIND_BY_SLUG: Statement = Statement::read(
    "team.find_by_slug",
    concat!("SELECT ", columns!(), " FROM teams WHERE organization = $1 AND slug = $2"),
);
const LIST: Statement = Statement::read(
    "team.list",
    concat!("SELECT ", columns!(), " FROM teams WHERE organization = $1 AND id > $2 ORDER BY id LIMIT $3"),
);
// Memberships have a team from a mapping only, so the mappings answer for them.
const USED_BY: Statement = Statement::read(
    "team.used_by",
    "SELECT id FROM mappings WHERE organization = $1 AND team = $2 ORDER BY id LIMIT 1",
);

const ENTER: Statement = Statement::change(
    "team.enter",
    "INSERT INTO team_members (organization, membership, team, team_role) VALUES ($1, $2, $3, $4)",
);
const LEAVE_ALL: Statement = Statement::change(
    "team.leave_all",
    "DELETE FROM team_members WHERE membership = $1 AND organization = $2",
);

/// The statements about teams.
pub(crate) const ALL: &[&Statement] =
    &[&CREATE, &RENAME, &DELETE, &FIND, &FIND_BY_SLUG, &LIST, &USED_BY, &ENTER, &LEAVE_ALL];

fn read(row: &Row) -> Result<Team, StoreError> {
    Ok(Team {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        slug: row.parsed(2)?,
        name: row.text(3)?.to_owned(),
        created_at: row.at(4)?,
    })
}

pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &TeamChange,
) -> Result<(), StoreError> {
    match change {
        TeamChange::Create(t) => tx.insert(
            &CREATE,
            params![t.id, t.organization, t.slug, t.name, t.created_at],
            UniqueKey::TeamSlug,
        ),
        TeamChange::Rename(id, name) => tx.run_on_row(&RENAME, params![id, name, organization]),
        TeamChange::Delete(id) => tx.run(&DELETE, params![id, organization]).map(|_| ()),
    }
}

/// Puts a membership into teams, beside the access that says so.
pub(crate) fn enter(
    tx: &mut Tx<'_>,
    (organization, membership): (OrganizationId, MembershipId),
    teams: &[(Slug, TeamRole)],
) -> Result<(), StoreError> {
    for (team, role) in teams {
        tx.run(&ENTER, params![organization, membership, team, role.as_str()])?;
    }
    Ok(())
}

/// Takes a membership out of every team.
pub(crate) fn leave_all(
    tx: &mut Tx<'_>,
    (organization, membership): (OrganizationId, MembershipId),
) -> Result<(), StoreError> {
    tx.run(&LEAVE_ALL, params![membership, organization]).map(|_| ())
}

/// A team of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: TeamId) -> Result<Option<Team>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// The team of that slug.
///
/// # Errors
/// As [`find`].
pub fn find_by_slug(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    slug: &Slug,
) -> Result<Option<Team>, StoreError> {
    tx.row(&FIND_BY_SLUG, params![organization, slug])?.as_ref().map(read).transpose()
}

/// A page of teams in order of id, after `after`.
///
/// # Errors
/// As [`find`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Team>, StoreError> {
    tx.rows(&LIST, params![organization, after.unwrap_or(""), limit])?.iter().map(read).collect()
}

/// The id of a mapping that gives it; `None` if none does.
///
/// # Errors
/// As [`find`].
pub fn used_by(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    slug: &Slug,
) -> Result<Option<String>, StoreError> {
    let row = tx.row(&USED_BY, params![organization, slug])?;
    row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
}
