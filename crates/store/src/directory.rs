//! Directories: sources of facts about people and groups.

use portcullis_domain::brake::{Above, Brake};
use portcullis_domain::change::{DirectoryChange, Forgotten};
use portcullis_domain::directory::Directory;
use portcullis_domain::id::{DirectoryId, DirectoryUserId, MembershipId, OrganizationId};
use portcullis_domain::role::Rank;
use portcullis_domain::text::Slug;

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

macro_rules! columns {
    () => {
        "id, organization, kind, name, default_role, settle_s, connection, created_at, nested_at, brake_people, \
         brake_percent, brake_above"
    };
}

const CREATE: Statement = Statement::change(
    "directory.create",
    "INSERT INTO directories (id, organization, kind, name, default_role, settle_s, connection, created_at, nested_at, \
     brake_people, brake_percent, brake_above) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
);
const UPDATE: Statement = Statement::change(
    "directory.update",
    "UPDATE directories SET name = $3, default_role = $4, settle_s = $5, nested_at = $6, brake_people = $7, \
     brake_percent = $8, brake_above = $9 WHERE id = $1 AND organization = $2",
);
const DELETE: Statement =
    Statement::change("directory.delete", "DELETE FROM directories WHERE id = $1 AND organization = $2");
const DELETE_MAPPINGS: Statement = Statement::change(
    "directory.delete_mappings",
    "DELETE FROM mappings WHERE directory = $1 AND organization = $2",
);
const DELETE_MEMBERS: Statement = Statement::change(
    "directory.delete_members",
    "DELETE FROM directory_members WHERE directory_group IN \
     (SELECT id FROM directory_groups WHERE directory = $1 AND organization = $2)",
);
const DELETE_GROUPS: Statement = Statement::change(
    "directory.delete_groups",
    "DELETE FROM directory_groups WHERE directory = $1 AND organization = $2",
);
const DELETE_SUBGROUPS: Statement = Statement::change(
    "directory.delete_subgroups",
    "DELETE FROM directory_subgroups WHERE parent IN \
     (SELECT id FROM directory_groups WHERE directory = $1 AND organization = $2)",
);
// What people were called by it, for the tombstones of those who stay. A `userName` that looks like an address is one.
const REMEMBER_USER_NAMES: Statement = Statement::change(
    "directory.remember_user_names",
    "INSERT INTO former_identifiers (membership, kind, value) \
     SELECT membership, 'user_name', user_name_key FROM directory_users WHERE directory = $1 AND organization = $2 \
     AND user_name_key <> id ON CONFLICT (membership, kind, value) DO NOTHING",
);
const REMEMBER_ADDRESSES: Statement = Statement::change(
    "directory.remember_addresses",
    "INSERT INTO former_identifiers (membership, kind, value) \
     SELECT membership, 'email', user_name_key FROM directory_users WHERE directory = $1 AND organization = $2 \
     AND user_name_key LIKE '%_@_%._%' ON CONFLICT (membership, kind, value) DO NOTHING",
);
const REMEMBER_EMAILS: Statement = Statement::change(
    "directory.remember_emails",
    "INSERT INTO former_identifiers (membership, kind, value) \
     SELECT u.membership, 'email', e.email_key FROM directory_users u \
     JOIN directory_user_emails e ON e.directory_user = u.id WHERE u.directory = $1 AND u.organization = $2 \
     ON CONFLICT (membership, kind, value) DO NOTHING",
);
const REMEMBER_EXTERNAL_IDS: Statement = Statement::change(
    "directory.remember_external_ids",
    "INSERT INTO former_identifiers (membership, kind, value) \
     SELECT membership, 'external_id', directory || '/' || external_id FROM directory_users \
     WHERE directory = $1 AND organization = $2 AND external_id IS NOT NULL ON CONFLICT (membership, kind, value) DO NOTHING",
);
const DELETE_EMAILS: Statement = Statement::change(
    "directory.delete_emails",
    "DELETE FROM directory_user_emails WHERE directory IN \
     (SELECT id FROM directories WHERE id = $1 AND organization = $2)",
);
const DELETE_USERS: Statement = Statement::change(
    "directory.delete_users",
    "DELETE FROM directory_users WHERE directory = $1 AND organization = $2",
);
const DELETE_FACETS: Statement = Statement::change(
    "directory.delete_facets",
    "DELETE FROM directory_user_facets WHERE directory IN \
     (SELECT id FROM directories WHERE id = $1 AND organization = $2)",
);
// Whoever was said to be inactive has ended; only what gives life waits.
const UNCONFIRM: Statement = Statement::change(
    "directory.unconfirm",
    "UPDATE directory_users SET unconfirmed_at = $2 WHERE inactive_at IS NULL AND directory IN \
     (SELECT id FROM directories WHERE organization = $1)",
);
// Whoever has lost the last mapping already goes on settling; whose values are mapped has life by those.
const AWAIT: Statement = Statement::change(
    "directory.await",
    "UPDATE directory_users SET unconfirmed_at = $3 WHERE directory = $1 AND organization = $2 AND inactive_at IS NULL \
     AND membership IN (SELECT id FROM memberships \
     WHERE governed_by = $1 AND organization = $2 AND ended_at IS NULL AND unmapped_at IS NULL) \
     AND NOT EXISTS (SELECT 1 FROM directories d JOIN roles r ON r.organization = d.organization \
     AND r.slug = d.default_role WHERE d.id = $1 AND r.explicit_only_at IS NULL) \
     AND NOT EXISTS (SELECT 1 FROM directory_user_facets f JOIN mappings p ON p.directory = f.directory \
     AND p.source = f.source AND p.source_key = f.source_key WHERE f.directory_user = directory_users.id)",
);
const FIND: Statement = Statement::read(
    "directory.find",
    concat!("SELECT ", columns!(), " FROM directories WHERE organization = $1 AND id = $2"),
);
const ORGANIZATION_OF: Statement =
    Statement::read("directory.organization_of", "SELECT organization FROM directories WHERE id = $1");
const LIST: Statement = Statement::read(
    "directory.list",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directories WHERE organization = $1 AND id > $2 ORDER BY id LIMIT $3"
    ),
);
const IS_USED: Statement = Statement::read(
    "directory.is_used",
    "SELECT id FROM connections WHERE organization = $1 AND (directory = $2 OR claims_directory = $2) \
     ORDER BY id LIMIT 1",
);
const GOVERNS: Statement = Statement::read(
    "directory.governs",
    "SELECT COUNT(*) FROM memberships WHERE governed_by = $2 AND organization = $1 AND state <> 'deprovisioned'",
);

const HIGHEST_GIVEN: Statement = Statement::read(
    "directory.highest_given",
    "SELECT MAX(r.rank) FROM roles r WHERE r.organization = $1 AND r.explicit_only_at IS NULL AND (r.slug IN \
     (SELECT role FROM mappings WHERE directory = $2 AND role IS NOT NULL) \
     OR r.slug = (SELECT default_role FROM directories WHERE id = $2))",
);
const HIGHEST_GOVERNED: Statement = Statement::read(
    "directory.highest_governed",
    "SELECT MAX(r.rank) FROM memberships m JOIN roles r ON r.organization = m.organization AND r.slug = m.role \
     WHERE m.governed_by = $2 AND m.organization = $1 AND m.state <> 'deprovisioned'",
);
// Where a connection lets in whomever the directory names, its word makes anybody of whom it tells out of whoever has a
// token of it: but for explicit-only roles, which no such word links.
const HIGHEST_LENT: Statement = Statement::read(
    "directory.highest_lent",
    "SELECT MAX(r.rank) FROM directory_users u JOIN memberships m ON m.id = u.membership AND m.organization = $1 \
     JOIN roles r ON r.organization = m.organization AND r.slug = m.role \
     WHERE u.directory = $2 AND m.state <> 'deprovisioned' AND r.explicit_only_at IS NULL \
     AND u.directory IN (SELECT directory FROM connections WHERE organization = $1)",
);
const LETS_IN: Statement = Statement::read(
    "directory.lets_in",
    "SELECT id FROM connections WHERE organization = $1 AND directory = $2 LIMIT 1",
);
const TELLS_OF_ONE_WITH: Statement = Statement::read(
    "directory.tells_of_one_with",
    "SELECT u.id FROM directory_users u JOIN directory_users o ON o.membership = u.membership \
     WHERE u.organization = $1 AND u.directory = $2 AND o.directory = $3 LIMIT 1",
);
const GIVING: Statement = Statement::read(
    "directory.giving",
    "SELECT id FROM directories WHERE organization = $1 AND id > $3 AND (default_role = $2 OR id IN \
     (SELECT directory FROM mappings WHERE organization = $1 AND role = $2)) ORDER BY id LIMIT $4",
);

// A second directory, an invitation or a life of their own would make them somebody without this directory too.
const WAITING: Statement = Statement::read(
    "directory.waiting",
    "SELECT u.id, u.membership FROM directory_users u JOIN memberships m ON m.id = u.membership \
     WHERE u.directory = $1 AND u.id > $2 AND m.governed_by IS NULL AND m.joined_at IS NULL AND m.ended_at IS NULL \
     AND NOT EXISTS (SELECT 1 FROM directory_users o WHERE o.membership = m.id AND o.directory <> $1) \
     AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.membership = m.id AND t.kind IN ('invitation', 'owner_link')) \
     ORDER BY u.id LIMIT $3",
);

// By what is stored, or in doubt: whoever is behind a change of rules may have a higher role by now.
const TOLD_FROM_BELOW: Statement = Statement::read(
    "directory.told_from_below",
    "SELECT DISTINCT m.id FROM directory_users u JOIN memberships m ON m.id = u.membership AND m.organization = $1 \
     JOIN organizations o ON o.id = m.organization LEFT JOIN roles r ON r.organization = m.organization AND r.slug = m.role \
     WHERE u.directory = $2 AND m.joined_at IS NULL AND m.ended_at IS NULL \
     AND (u.believed_up_to < r.rank OR m.rules_number < o.rules_number) AND (m.governed_by = $2 OR (m.governed_by IS NULL \
     AND NOT EXISTS (SELECT 1 FROM directory_users e WHERE e.membership = m.id AND e.directory <> $2) \
     AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.membership = m.id AND t.kind IN ('invitation', 'owner_link')))) \
     ORDER BY m.id LIMIT $3",
);

/// The statements about directories.
pub(crate) const ALL: &[&Statement] = &[
    &CREATE,
    &UPDATE,
    &DELETE,
    &DELETE_MAPPINGS,
    &DELETE_MEMBERS,
    &DELETE_SUBGROUPS,
    &DELETE_GROUPS,
    &REMEMBER_USER_NAMES,
    &REMEMBER_ADDRESSES,
    &REMEMBER_EMAILS,
    &REMEMBER_EXTERNAL_IDS,
    &DELETE_EMAILS,
    &DELETE_FACETS,
    &DELETE_USERS,
    &UNCONFIRM,
    &AWAIT,
    &FIND,
    &ORGANIZATION_OF,
    &LIST,
    &IS_USED,
    &GOVERNS,
    &HIGHEST_GIVEN,
    &HIGHEST_GOVERNED,
    &HIGHEST_LENT,
    &LETS_IN,
    &TELLS_OF_ONE_WITH,
    &GIVING,
    &WAITING,
    &TOLD_FROM_BELOW,
];

fn read(row: &Row) -> Result<Directory, StoreError> {
    Ok(Directory {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        kind: row.parsed(2)?,
        name: row.text(3)?.to_owned(),
        default_role: row.opt_parsed(4)?,
        settle_s: row.int(5)?,
        connection: row.opt_parsed(6)?,
        created_at: row.at(7)?,
        nested_at: row.opt_at(8)?,
        brake: match (row.opt_int(9)?, row.opt_int(10)?) {
            (None, None) => None,
            (max_people, max_percent) => {
                let above = match row.opt_text(11)? {
                    None => Above::Hold,
                    Some(_) => row.parsed(11)?,
                };
                let brake = Brake::new(max_people, max_percent).map_err(|_| row.wrong(9, "a brake"))?;
                Some(brake.with_above(above))
            }
        },
    })
}

pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &DirectoryChange,
) -> Result<(), StoreError> {
    match change {
        DirectoryChange::Create(d) => tx
            .run(
                &CREATE,
                params![
                    d.id,
                    d.organization,
                    d.kind.as_str(),
                    d.name,
                    d.default_role,
                    d.settle_s,
                    d.connection,
                    d.created_at,
                    d.nested_at,
                    d.brake.and_then(|b| b.max_people),
                    d.brake.and_then(|b| b.max_percent),
                    d.brake.map(|b| b.above.as_str()),
                ],
            )
            .map(|_| ()),
        DirectoryChange::Update(d) => tx.run_on_row(
            &UPDATE,
            params![
                d.id,
                d.organization,
                d.name,
                d.default_role,
                d.settle_s,
                d.nested_at,
                d.brake.and_then(|b| b.max_people),
                d.brake.and_then(|b| b.max_percent),
                d.brake.map(|b| b.above.as_str()),
            ],
        ),
        DirectoryChange::Delete(id) => {
            // Members are found through the groups and names through the people, so they go first.
            for statement in [
                &REMEMBER_USER_NAMES,
                &REMEMBER_ADDRESSES,
                &REMEMBER_EMAILS,
                &REMEMBER_EXTERNAL_IDS,
                &DELETE_MAPPINGS,
                &DELETE_MEMBERS,
                &DELETE_SUBGROUPS,
                &DELETE_GROUPS,
                &DELETE_EMAILS,
                &DELETE_FACETS,
                &DELETE_USERS,
            ] {
                tx.run(statement, params![id, organization])?;
            }
            crate::review::forget(tx, organization, *id)?;
            crate::hold::forget(tx, organization, *id)?;
            crate::google::delete(tx, organization, *id)?;
            crate::dialect::forget(tx, *id)?;
            crate::last_refusal::forget(tx, *id)?;
            tx.run(&DELETE, params![id, organization]).map(|_| ())
        }
        DirectoryChange::SetGoogle(source) => crate::google::set(tx, source),
        DirectoryChange::Unconfirm(organization, at) => {
            tx.run(&UNCONFIRM, params![organization, at]).map(|_| ())
        }
        DirectoryChange::Forget(id, forgotten, at) => {
            tx.run(&DELETE_MEMBERS, params![id, organization])?;
            if *forgotten == Forgotten::Everything {
                tx.run(&DELETE_FACETS, params![id, organization])?;
            }
            tx.run(&AWAIT, params![id, organization, at]).map(|_| ())
        }
    }
}

/// A directory of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: DirectoryId,
) -> Result<Option<Directory>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// The organization of a directory, whoever asks: for what an organization may read of calls that were refused.
///
/// # Errors
/// As [`find`].
pub fn organization_of(tx: &mut Tx<'_>, id: DirectoryId) -> Result<Option<OrganizationId>, StoreError> {
    tx.row(&ORGANIZATION_OF, params![id])?.map(|r| r.parsed(0)).transpose()
}

/// A page of directories in order of id, after `after`.
///
/// # Errors
/// As [`find`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Directory>, StoreError> {
    tx.rows(&LIST, params![organization, after.unwrap_or(""), limit])?.iter().map(read).collect()
}

/// Whether a connection names it, as the directory that governs or as the one of its claims.
///
/// # Errors
/// As [`find`].
pub fn is_used(tx: &mut Tx<'_>, organization: OrganizationId, id: DirectoryId) -> Result<bool, StoreError> {
    Ok(tx.row(&IS_USED, params![organization, id])?.is_some())
}

/// How many people it governs who were not off-boarded.
///
/// # Errors
/// As [`find`].
pub fn count_governed(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: DirectoryId,
) -> Result<i64, StoreError> {
    tx.row(&GOVERNS, params![organization, id])?.map_or(Ok(0), |row| row.int(0))
}

/// The rank of the highest role that its mappings and its default give: how high somebody gets who may speak for it.
///
/// # Errors
/// As [`find`].
pub fn highest_given(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: DirectoryId,
) -> Result<Option<Rank>, StoreError> {
    tx.row(&HIGHEST_GIVEN, params![organization, id])?.map_or(Ok(None), |row| row.opt_rank(0))
}

/// The rank of the highest role among the people whom it governs.
///
/// # Errors
/// As [`find`].
pub fn highest_governed(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: DirectoryId,
) -> Result<Option<Rank>, StoreError> {
    tx.row(&HIGHEST_GOVERNED, params![organization, id])?.map_or(Ok(None), |row| row.opt_rank(0))
}

/// The rank of the highest role, explicit-only ones apart, among the people of whom it tells and whom a connection lets in
/// by its word.
///
/// # Errors
/// As [`find`].
pub fn highest_lent(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: DirectoryId,
) -> Result<Option<Rank>, StoreError> {
    tx.row(&HIGHEST_LENT, params![organization, id])?.map_or(Ok(None), |row| row.opt_rank(0))
}

/// Whether a connection lets people in by its word.
///
/// # Errors
/// As [`find`].
pub fn lets_in(tx: &mut Tx<'_>, organization: OrganizationId, id: DirectoryId) -> Result<bool, StoreError> {
    Ok(tx.row(&LETS_IN, params![organization, id])?.is_some())
}

/// Whether it tells of somebody of whom another one tells too.
///
/// # Errors
/// As [`find`].
pub fn tells_of_one_with(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (id, other): (DirectoryId, DirectoryId),
) -> Result<bool, StoreError> {
    Ok(tx.row(&TELLS_OF_ONE_WITH, params![organization, id, other])?.is_some())
}

/// A page of the directories that give that role, in order of id.
///
/// # Errors
/// As [`find`].
pub fn giving(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    role: &Slug,
    (after, limit): (&str, i64),
) -> Result<Vec<DirectoryId>, StoreError> {
    tx.rows(&GIVING, params![organization, role, after, limit])?.iter().map(|row| row.parsed(0)).collect()
}

/// Who would become a member of their own without this directory, and may stand higher than whoever said what it calls
/// them.
///
/// # Errors
/// As [`find`].
pub fn told_from_below(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: DirectoryId,
    limit: i64,
) -> Result<Vec<MembershipId>, StoreError> {
    tx.rows(&TOLD_FROM_BELOW, params![organization, id, limit])?.iter().map(|row| row.parsed(0)).collect()
}

/// People whom only this directory brought and who never had life, after the directory user `after`; `limit` at most.
///
/// # Errors
/// As [`find`].
pub fn waiting(
    tx: &mut Tx<'_>,
    id: DirectoryId,
    after: &str,
    limit: i64,
) -> Result<Vec<(DirectoryUserId, MembershipId)>, StoreError> {
    let rows = tx.rows(&WAITING, params![id, after, limit])?;
    rows.iter().map(|row| Ok((row.parsed(0)?, row.parsed(1)?))).collect()
}
