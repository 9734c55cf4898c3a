//! Groups as directories told them, and who is in them.

use std::collections::{HashMap, HashSet};

use portcullis_domain::Timestamp;
use portcullis_domain::change::DirectoryGroupChange;
use portcullis_domain::directory_group::DirectoryGroup;
pub use portcullis_domain::directory_group::DirectoryGroupQuery;
use portcullis_domain::id::{DirectoryGroupId, DirectoryId, DirectoryUserId, OrganizationId};
use portcullis_domain::text::name_key;

use crate::row::{Row, behind, list};
use crate::statement::Statement;
use crate::{StoreError, Tx, params, subgroup};

macro_rules! columns {
    () => {
        "id, organization, directory, external_id, display_name, created_at, updated_at"
    };
}

const CREATE: Statement = Statement::change(
    "directory_group.create",
    "INSERT INTO directory_groups (id, organization, directory, external_id, display_name, display_name_key, \
     created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
);
const UPDATE: Statement = Statement::change(
    "directory_group.update",
    "UPDATE directory_groups SET external_id = $2, display_name = $3, display_name_key = $4, updated_at = $5 \
     WHERE id = $1 AND organization = $6",
);
const DELETE: Statement = Statement::change(
    "directory_group.delete",
    "DELETE FROM directory_groups WHERE id = $1 AND organization = $2",
);
const DELETE_MEMBERS: Statement = Statement::change(
    "directory_group.delete_members",
    "DELETE FROM directory_members WHERE directory_group IN \
     (SELECT id FROM directory_groups WHERE id = $1 AND organization = $2)",
);
const ADD_MEMBER: Statement = Statement::change(
    "directory_group.add_member",
    "INSERT INTO directory_members (directory_group, directory_user, request_id) VALUES ($1, $2, $3) \
     ON CONFLICT (directory_group, directory_user) DO NOTHING",
);
const REMOVE_MEMBERS: Statement = Statement::change(
    "directory_group.remove_members",
    "DELETE FROM directory_members WHERE directory_group IN \
     (SELECT id FROM directory_groups WHERE id = $1 AND organization = $3) AND directory_user IN_LIST($2)",
);
const FIND: Statement = Statement::read(
    "directory_group.find",
    concat!("SELECT ", columns!(), " FROM directory_groups WHERE id = $1 AND directory = $2"),
);
const LOCK: Statement = Statement::read(
    "directory_group.lock",
    "SELECT id FROM directory_groups WHERE id = $1 AND directory = $2 FOR UPDATE",
);
const BY_EXTERNAL_ID: Statement = Statement::read(
    "directory_group.by_external_id",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_groups WHERE directory = $1 AND external_id = $2 ORDER BY id LIMIT $3"
    ),
);
const BY_DISPLAY_NAME: Statement = Statement::read(
    "directory_group.by_display_name",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_groups WHERE directory = $1 AND display_name_key = $2 ORDER BY id LIMIT $3"
    ),
);
const PAGE: Statement = Statement::read(
    "directory_group.page",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_groups WHERE directory = $1 ORDER BY id LIMIT $2 OFFSET $3"
    ),
);
const PAGE_AFTER: Statement = Statement::read(
    "directory_group.page_after",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_groups WHERE directory = $1 AND id > $2 ORDER BY id LIMIT $3"
    ),
);
const BY_IDS: Statement = Statement::read(
    "directory_group.by_ids",
    concat!("SELECT ", columns!(), " FROM directory_groups WHERE directory = $1 AND id IN_LIST($2)"),
);
const BY_EXTERNAL_ID_PREFIX: Statement = Statement::read(
    "directory_group.by_external_id_prefix",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_groups WHERE directory = $1 AND external_id >= $2 AND external_id < $3 LIMIT $4"
    ),
);
const BY_DISPLAY_NAME_PREFIX: Statement = Statement::read(
    "directory_group.by_display_name_prefix",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_groups WHERE directory = $1 AND display_name_key >= $2 AND display_name_key < $3 \
         ORDER BY display_name_key, id LIMIT $4"
    ),
);
const COUNT: Statement =
    Statement::read("directory_group.count", "SELECT COUNT(*) FROM directory_groups WHERE directory = $1");
const MEMBER_IDS: Statement = Statement::read(
    "directory_group.member_ids",
    "SELECT directory_user FROM directory_members WHERE directory_group = $1 AND directory_user > $2 \
     ORDER BY directory_user LIMIT $3",
);
const COUNT_MEMBERS: Statement = Statement::read(
    "directory_group.count_members",
    "SELECT g.id, (SELECT COUNT(*) FROM directory_members m WHERE m.directory_group = g.id) \
     FROM directory_groups g WHERE g.directory = $1 AND g.id IN_LIST($2)",
);
const PRESENT: Statement = Statement::read(
    "directory_group.present",
    "SELECT directory_user FROM directory_members WHERE directory_group = $1 AND directory_user IN_LIST($2)",
);

pub(crate) const ALL: &[&Statement] = &[
    &CREATE,
    &UPDATE,
    &DELETE,
    &DELETE_MEMBERS,
    &ADD_MEMBER,
    &REMOVE_MEMBERS,
    &FIND,
    &LOCK,
    &BY_EXTERNAL_ID,
    &BY_DISPLAY_NAME,
    &PAGE,
    &PAGE_AFTER,
    &BY_IDS,
    &BY_EXTERNAL_ID_PREFIX,
    &BY_DISPLAY_NAME_PREFIX,
    &COUNT,
    &MEMBER_IDS,
    &COUNT_MEMBERS,
    &PRESENT,
];

fn read(row: &Row) -> Result<DirectoryGroup, StoreError> {
    Ok(DirectoryGroup {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        directory: row.parsed(2)?,
        external_id: row.opt_text(3)?.map(str::to_owned),
        display_name: row.text(4)?.to_owned(),
        created_at: row.at(5)?,
        updated_at: row.at(6)?,
    })
}

pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &DirectoryGroupChange,
    now: Timestamp,
) -> Result<(), StoreError> {
    match change {
        DirectoryGroupChange::Create(g) => {
            tx.run(
                &CREATE,
                params![
                    g.id,
                    g.organization,
                    g.directory,
                    g.external_id,
                    g.display_name,
                    name_key(&g.display_name),
                    g.created_at,
                ],
            )?;
        }
        DirectoryGroupChange::Update(g) => {
            tx.run(
                &UPDATE,
                params![
                    g.id,
                    g.external_id,
                    g.display_name,
                    name_key(&g.display_name),
                    g.updated_at,
                    organization,
                ],
            )?;
        }
        DirectoryGroupChange::Delete(id) => {
            tx.run(&DELETE_MEMBERS, params![id, organization])?;
            tx.run(&subgroup::DELETE_BELOW, params![id, organization])?;
            tx.run(&subgroup::CHANGE_ABOVE, params![id, now, organization])?;
            tx.run(&subgroup::DELETE_ABOVE, params![id, organization])?;
            tx.run(&DELETE, params![id, organization])?;
        }
        DirectoryGroupChange::AddGroups(id, groups, request) => {
            for chunk in groups.chunks(crate::db::MAX_LIST) {
                tx.run(&subgroup::ADD, params![id, list(chunk), request, organization])?;
            }
        }
        DirectoryGroupChange::RemoveGroups(id, groups) => {
            for chunk in groups.chunks(crate::db::MAX_LIST) {
                tx.run(&subgroup::REMOVE, params![id, list(chunk), organization])?;
            }
        }
        DirectoryGroupChange::AddMembers(id, users, request) => {
            for user in users {
                tx.run(&ADD_MEMBER, params![id, user, request])?;
            }
        }
        DirectoryGroupChange::RemoveMembers(id, users) => {
            for chunk in users.chunks(crate::db::MAX_LIST) {
                tx.run(&REMOVE_MEMBERS, params![id, list(chunk), organization])?;
            }
        }
    }
    Ok(())
}

/// A group of that directory.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    id: DirectoryGroupId,
) -> Result<Option<DirectoryGroup>, StoreError> {
    tx.row(&FIND, params![id, directory])?.as_ref().map(read).transpose()
}

/// The same, locked until the end of the transaction: before the memberships of its people.
///
/// # Errors
/// As [`find`].
pub fn find_locked(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    id: DirectoryGroupId,
) -> Result<Option<DirectoryGroup>, StoreError> {
    tx.lock_rows(&LOCK, params![id, directory])?;
    find(tx, directory, id)
}

/// The groups of that directory that a query finds; `limit` at most.
///
/// # Errors
/// As [`find`].
pub fn query(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    query: &DirectoryGroupQuery,
    limit: i64,
) -> Result<Vec<DirectoryGroup>, StoreError> {
    let rows = match query {
        DirectoryGroupQuery::ExternalId(id) => tx.rows(&BY_EXTERNAL_ID, params![directory, id, limit])?,
        DirectoryGroupQuery::Id(id) => tx.rows(&FIND, params![id, directory])?,
        DirectoryGroupQuery::DisplayName(name) => {
            tx.rows(&BY_DISPLAY_NAME, params![directory, name_key(name), limit])?
        }
        DirectoryGroupQuery::ExternalIdPrefix(prefix) => {
            tx.rows(&BY_EXTERNAL_ID_PREFIX, params![directory, prefix, behind(prefix), limit])?
        }
        DirectoryGroupQuery::DisplayNamePrefix(prefix) => {
            let key = name_key(prefix);
            tx.rows(&BY_DISPLAY_NAME_PREFIX, params![directory, key, behind(&key), limit])?
        }
    };
    rows.iter().map(read).collect()
}

/// The groups of that directory with these ids, in no order.
///
/// # Errors
/// As [`find`].
pub fn by_ids(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    ids: &[DirectoryGroupId],
) -> Result<Vec<DirectoryGroup>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(crate::db::MAX_LIST) {
        for row in tx.rows(&BY_IDS, params![directory, list(chunk)])? {
            found.push(read(&row)?);
        }
    }
    Ok(found)
}

/// A page of a directory's groups in order of id, after the id `after`; empty: from the first.
///
/// # Errors
/// As [`find`].
pub fn page_after(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    after: &str,
    limit: i64,
) -> Result<Vec<DirectoryGroup>, StoreError> {
    tx.rows(&PAGE_AFTER, params![directory, after, limit])?.iter().map(read).collect()
}

/// A page of a directory's groups in a stable order.
///
/// # Errors
/// As [`find`].
pub fn page(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    limit: i64,
    offset: i64,
) -> Result<Vec<DirectoryGroup>, StoreError> {
    tx.rows(&PAGE, params![directory, limit, offset])?.iter().map(read).collect()
}

/// How many groups a directory told of.
///
/// # Errors
/// As [`find`].
pub fn count(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<i64, StoreError> {
    tx.row(&COUNT, params![directory])?.map_or(Ok(0), |r| r.int(0))
}

/// A page of a group's members in id order after `after`. No answer shows a name beside them.
///
/// # Errors
/// As [`find`].
pub fn member_ids(
    tx: &mut Tx<'_>,
    id: DirectoryGroupId,
    after: &str,
    limit: i64,
) -> Result<Vec<DirectoryUserId>, StoreError> {
    tx.rows(&MEMBER_IDS, params![id, after, limit])?.iter().map(|r| r.parsed(0)).collect()
}

/// How many people each of these groups of that directory has.
///
/// # Errors
/// As [`find`].
pub fn count_members(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    ids: &[DirectoryGroupId],
) -> Result<HashMap<DirectoryGroupId, i64>, StoreError> {
    let mut counts = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(crate::db::MAX_LIST) {
        for row in tx.rows(&COUNT_MEMBERS, params![directory, list(chunk)])? {
            counts.insert(row.parsed(0)?, row.int(1)?);
        }
    }
    Ok(counts)
}

/// Which of these people are members already.
///
/// # Errors
/// As [`find`].
pub fn present(
    tx: &mut Tx<'_>,
    id: DirectoryGroupId,
    users: &[DirectoryUserId],
) -> Result<HashSet<DirectoryUserId>, StoreError> {
    let mut present = HashSet::new();
    for chunk in users.chunks(crate::db::MAX_LIST) {
        for row in tx.rows(&PRESENT, params![id, list(chunk)])? {
            present.insert(row.parsed(0)?);
        }
    }
    Ok(present)
}
