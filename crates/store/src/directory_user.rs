//! People as directories told them.

use std::collections::BTreeSet;

use portcullis_domain::Timestamp;
use portcullis_domain::change::DirectoryUserChange;
use portcullis_domain::directory_user::DirectoryUser;
pub use portcullis_domain::directory_user::DirectoryUserQuery;
use portcullis_domain::id::{DirectoryId, DirectoryUserId, MembershipId, OrganizationId};
use portcullis_domain::mapping::{Facet, FacetSource};
use portcullis_domain::text::name_key;
use portcullis_domain::tombstone::Identifier;

use crate::row::{Row, behind, list};
use crate::statement::Statement;
use crate::{StoreError, Tx, UniqueKey, hold, params, tombstone};

macro_rules! columns {
    () => {
        "u.id, u.organization, u.directory, u.membership, u.external_id, u.user_name, u.display_name, \
         u.inactive_at, u.attributes, u.created_at, u.updated_at, u.unconfirmed_at, u.believed_up_to"
    };
}

// Behind the macro, which it reads too.
pub(crate) mod list;

pub use self::list::{
    Direction, ListedUser, by_ids, count, first_gone, group_ids, groups, known, page, page_after,
    page_after_user_name, page_by_user_name,
};

const CREATE: Statement = Statement::change(
    "directory_user.create",
    "INSERT INTO directory_users (id, organization, directory, membership, external_id, user_name, user_name_key, \
     display_name, display_name_key, inactive_at, attributes, created_at, updated_at, unconfirmed_at, believed_up_to) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14) \
     ON CONFLICT (directory, user_name_key) DO NOTHING",
);
const TAKEN: Statement = Statement::read(
    "directory_user.taken",
    "SELECT id FROM directory_users WHERE directory = $1 AND user_name_key = $2 AND id <> $3",
);
const UPDATE: Statement = Statement::change(
    "directory_user.update",
    "UPDATE directory_users SET external_id = $2, user_name = $3, user_name_key = $4, display_name = $5, \
     display_name_key = $6, inactive_at = $7, attributes = $8, updated_at = $9, unconfirmed_at = $10, \
     believed_up_to = $11 WHERE id = $1 AND organization = $12",
);
const ATTACH: Statement = Statement::change(
    "directory_user.attach",
    "UPDATE directory_users SET membership = $2 WHERE id = $1 AND organization = $3",
);
const DELETE: Statement = Statement::change(
    "directory_user.delete",
    "DELETE FROM directory_users WHERE id = $1 AND organization = $2",
);
const FIND_HERE: Statement = Statement::read(
    "directory_user.find_here",
    concat!("SELECT ", columns!(), " FROM directory_users u WHERE u.id = $1 AND u.organization = $2"),
);
// A group that somebody is gone from has changed.
const CHANGE_PLACES: Statement = Statement::change(
    "directory_user.change_places",
    "UPDATE directory_groups SET updated_at = $2 WHERE organization = $3 AND id IN \
     (SELECT directory_group FROM directory_members WHERE directory_user = $1)",
);
const DELETE_PLACES: Statement = Statement::change(
    "directory_user.delete_places",
    "DELETE FROM directory_members WHERE directory_user = $1",
);
const DELETE_EMAILS: Statement = Statement::change(
    "directory_user.delete_emails",
    "DELETE FROM directory_user_emails WHERE directory_user = $1",
);
const ADD_EMAIL: Statement = Statement::change(
    "directory_user.add_email",
    "INSERT INTO directory_user_emails (directory_user, email_key, directory, position) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (directory_user, email_key) DO NOTHING",
);
const DELETE_FACETS: Statement = Statement::change(
    "directory_user.delete_facets",
    "DELETE FROM directory_user_facets WHERE directory_user = $1",
);
const ADD_FACETS: Statement = Statement::change(
    "directory_user.add_facets",
    "INSERT INTO directory_user_facets (directory_user, source, source_key, directory, request_id) \
     SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), each.value, CAST($3 AS TEXT), CAST($5 AS TEXT) \
     FROM EACH_OF($4) AS each WHERE 1 = 1 ON CONFLICT (directory_user, source, source_key) DO NOTHING",
);
const REMOVE_FACETS: Statement = Statement::change(
    "directory_user.remove_facets",
    "DELETE FROM directory_user_facets WHERE directory_user = $1 AND source = $2 AND source_key IN_LIST($3)",
);
const FACETS: Statement = Statement::read(
    "directory_user.facets",
    "SELECT source, source_key FROM directory_user_facets WHERE directory_user = $1",
);
const EMAILS: Statement = Statement::read(
    "directory_user.emails",
    "SELECT email_key FROM directory_user_emails WHERE directory_user = $1 ORDER BY position",
);
const FIND: Statement = Statement::read(
    "directory_user.find",
    concat!("SELECT ", columns!(), " FROM directory_users u WHERE u.id = $1 AND u.directory = $2"),
);
const LOCK: Statement = Statement::read(
    "directory_user.lock",
    "SELECT id FROM directory_users WHERE id = $1 AND directory = $2 FOR NO KEY UPDATE",
);
const LOCK_TO_DELETE: Statement = Statement::read(
    "directory_user.lock_to_delete",
    "SELECT id FROM directory_users WHERE id = $1 AND directory = $2 FOR UPDATE",
);
const BY_USER_NAME: Statement = Statement::read(
    "directory_user.by_user_name",
    concat!("SELECT ", columns!(), " FROM directory_users u WHERE u.directory = $1 AND u.user_name_key = $2"),
);
const BY_EXTERNAL_ID: Statement = Statement::read(
    "directory_user.by_external_id",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_users u WHERE u.directory = $1 AND u.external_id = $2 ORDER BY u.id LIMIT $3 OFFSET $4"
    ),
);
const BY_DISPLAY_NAME: Statement = Statement::read(
    "directory_user.by_display_name",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_users u WHERE u.directory = $1 AND u.display_name_key = $2 ORDER BY u.id LIMIT $3 OFFSET $4"
    ),
);
const BY_EMAIL: Statement = Statement::read(
    "directory_user.by_email",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_user_emails e JOIN directory_users u ON u.id = e.directory_user \
         WHERE e.directory = $1 AND e.email_key = $2 ORDER BY u.id LIMIT $3 OFFSET $4"
    ),
);
const IS_TOLD_OF: Statement = Statement::read(
    "directory_user.is_told_of",
    "SELECT u.id FROM directories d JOIN directory_users u ON u.directory = d.id AND u.user_name_key = $2 \
     WHERE d.organization = $1 AND d.kind <> 'claims' \
     UNION SELECT e.directory_user FROM directories d JOIN directory_user_emails e ON e.directory = d.id \
     AND e.email_key = $2 WHERE d.organization = $1 AND d.kind <> 'claims' LIMIT 1",
);
const BY_USER_NAME_PREFIX: Statement = Statement::read(
    "directory_user.by_user_name_prefix",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_users u WHERE u.directory = $1 AND u.user_name_key >= $2 AND u.user_name_key < $3 \
         ORDER BY u.user_name_key LIMIT $4 OFFSET $5"
    ),
);
const BY_EXTERNAL_ID_PREFIX: Statement = Statement::read(
    "directory_user.by_external_id_prefix",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_users u WHERE u.directory = $1 AND u.external_id >= $2 AND u.external_id < $3 \
         ORDER BY u.external_id, u.id LIMIT $4 OFFSET $5"
    ),
);
const BY_DISPLAY_NAME_PREFIX: Statement = Statement::read(
    "directory_user.by_display_name_prefix",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_users u WHERE u.directory = $1 AND u.display_name_key >= $2 AND u.display_name_key < $3 \
         ORDER BY u.display_name_key, u.id LIMIT $4 OFFSET $5"
    ),
);
const OF_MEMBERSHIP: Statement = Statement::read(
    "directory_user.of_membership",
    concat!("SELECT ", columns!(), " FROM directory_users u WHERE u.membership = $1 ORDER BY u.id"),
);
const MEMBERSHIPS: Statement = Statement::read(
    "directory_user.memberships",
    "SELECT DISTINCT membership FROM directory_users WHERE id IN_LIST($1) ORDER BY membership",
);

pub(crate) const ALL: &[&Statement] = &[
    &CREATE,
    &TAKEN,
    &UPDATE,
    &ATTACH,
    &DELETE,
    &FIND_HERE,
    &CHANGE_PLACES,
    &DELETE_PLACES,
    &DELETE_EMAILS,
    &ADD_EMAIL,
    &DELETE_FACETS,
    &ADD_FACETS,
    &REMOVE_FACETS,
    &FACETS,
    &EMAILS,
    &FIND,
    &LOCK,
    &LOCK_TO_DELETE,
    &BY_USER_NAME,
    &BY_EXTERNAL_ID,
    &BY_DISPLAY_NAME,
    &BY_EMAIL,
    &IS_TOLD_OF,
    &BY_USER_NAME_PREFIX,
    &BY_EXTERNAL_ID_PREFIX,
    &BY_DISPLAY_NAME_PREFIX,
    &OF_MEMBERSHIP,
    &MEMBERSHIPS,
];

fn read(row: &Row, email_keys: Vec<String>) -> Result<DirectoryUser, StoreError> {
    Ok(DirectoryUser {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        directory: row.parsed(2)?,
        membership: row.parsed(3)?,
        external_id: row.opt_text(4)?.map(str::to_owned),
        user_name: row.text(5)?.to_owned(),
        display_name: row.text(6)?.to_owned(),
        email_keys,
        inactive_at: row.opt_at(7)?,
        attributes: row.text(8)?.to_owned(),
        created_at: row.at(9)?,
        updated_at: row.at(10)?,
        unconfirmed_at: row.opt_at(11)?,
        believed_up_to: row.rank(12)?,
    })
}

fn with_emails(tx: &mut Tx<'_>, row: &Row) -> Result<DirectoryUser, StoreError> {
    let emails = tx.rows(&EMAILS, params![row.text(0)?])?;
    read(row, emails.iter().map(|r| r.text(0).map(str::to_owned)).collect::<Result<_, _>>()?)
}

fn add_emails(tx: &mut Tx<'_>, user: &DirectoryUser) -> Result<(), StoreError> {
    for (position, key) in (0_i64..).zip(&user.email_keys) {
        tx.run(&ADD_EMAIL, params![user.id, key, user.directory, position])?;
    }
    Ok(())
}

/// Keeps what a person was called, and is not as they are `now`, for the tombstone of the day when they leave.
fn remember_former(
    tx: &mut Tx<'_>,
    old: &DirectoryUser,
    now: &BTreeSet<Identifier>,
) -> Result<(), StoreError> {
    let former = old.identifiers();
    former.difference(now).try_for_each(|name| tombstone::remember(tx, old.membership, name))
}

/// Whether the organization's directories tell of somebody.
#[derive(PartialEq, Eq)]
enum Told {
    Somebody,
    Nobody,
}

/// Everything that a person is called, before the membership that they stand for is theirs no longer: a deletion is a
/// leaving, and its tombstone needs them all.
fn remember_all(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: DirectoryUserId,
) -> Result<Told, StoreError> {
    let Some(row) = tx.row(&FIND_HERE, params![id, organization])? else { return Ok(Told::Nobody) };
    let told = with_emails(tx, &row)?;
    remember_former(tx, &told, &BTreeSet::new())?;
    Ok(Told::Somebody)
}

pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &DirectoryUserChange,
    now: Timestamp,
) -> Result<(), StoreError> {
    match change {
        DirectoryUserChange::Create(u) => {
            // How many rows, not which: SQLite makes a table of what is returned, and this is written most of all.
            let created = tx.run(
                &CREATE,
                params![
                    u.id,
                    u.organization,
                    u.directory,
                    u.membership,
                    u.external_id,
                    u.user_name,
                    name_key(&u.user_name),
                    u.display_name,
                    name_key(&u.display_name),
                    u.inactive_at,
                    u.attributes,
                    u.created_at,
                    u.unconfirmed_at,
                    u.believed_up_to.number(),
                ],
            )?;
            if created == 0 {
                return Err(StoreError::Taken(UniqueKey::DirectoryUserUserName));
            }
            add_emails(tx, u)
        }
        DirectoryUserChange::Update(u) => update(tx, organization, u),
        DirectoryUserChange::Delete(id) => {
            if remember_all(tx, organization, *id)? == Told::Nobody {
                return Ok(());
            }
            hold::forget_user(tx, organization, *id)?;
            tx.run(&CHANGE_PLACES, params![id, now, organization])?;
            tx.run(&DELETE_PLACES, params![id])?;
            tx.run(&DELETE_EMAILS, params![id])?;
            tx.run(&DELETE_FACETS, params![id])?;
            tx.run(&DELETE, params![id, organization]).map(|_| ())
        }
        DirectoryUserChange::Attach(id, membership) => {
            remember_all(tx, organization, *id)?;
            tx.run(&ATTACH, params![id, membership, organization]).map(|_| ())
        }
        DirectoryUserChange::AddFacets(id, directory, facets, request) => {
            each_source(facets, |source, keys| {
                tx.run(&ADD_FACETS, params![id, source.as_str(), directory, keys, request]).map(|_| ())
            })
        }
        DirectoryUserChange::RemoveFacets(id, facets) => each_source(facets, |source, keys| {
            tx.run(&REMOVE_FACETS, params![id, source.as_str(), keys]).map(|_| ())
        }),
    }
}

fn update(tx: &mut Tx<'_>, organization: OrganizationId, u: &DirectoryUser) -> Result<(), StoreError> {
    let key = name_key(&u.user_name);
    if tx.row(&TAKEN, params![u.directory, key, u.id])?.is_some() {
        return Err(StoreError::Taken(UniqueKey::DirectoryUserUserName));
    }
    let Some(old) = find(tx, u.directory, u.id)? else { return Ok(()) };
    let written = tx.run(
        &UPDATE,
        params![
            u.id,
            u.external_id,
            u.user_name,
            key,
            u.display_name,
            name_key(&u.display_name),
            u.inactive_at,
            u.attributes,
            u.updated_at,
            u.unconfirmed_at,
            u.believed_up_to.number(),
            organization,
        ],
    )?;
    if written == 0 {
        return Ok(());
    }
    remember_former(tx, &old, &u.identifiers())?;
    if old.email_keys != u.email_keys {
        tx.run(&DELETE_EMAILS, params![u.id])?;
        add_emails(tx, u)?;
    }
    Ok(())
}

/// Runs a statement for the facets of each kind, with their keys as a list; none where there are none of it.
fn each_source(
    facets: &BTreeSet<Facet>,
    mut run: impl FnMut(FacetSource, String) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for source in FacetSource::ALL {
        let keys: Vec<&str> = facets.iter().filter(|f| f.source() == source).map(Facet::key).collect();
        for chunk in keys.chunks(crate::db::MAX_LIST) {
            run(source, list(chunk))?;
        }
    }
    Ok(())
}

/// What mappings can name of somebody, beside their groups.
///
/// # Errors
/// As [`find`].
pub fn facets(tx: &mut Tx<'_>, id: DirectoryUserId) -> Result<BTreeSet<Facet>, StoreError> {
    tx.rows(&FACETS, params![id])?
        .iter()
        .map(|row| Ok(Facet::from_stored(row.parsed(0)?, row.text(1)?.to_owned())))
        .collect()
}

/// A person of that directory.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    id: DirectoryUserId,
) -> Result<Option<DirectoryUser>, StoreError> {
    let row = tx.row(&FIND, params![id, directory])?;
    row.map(|r| with_emails(tx, &r)).transpose()
}

/// The same, locked until the end of the transaction: to be changed, while groups may get them.
///
/// # Errors
/// As [`find`].
pub fn find_locked(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    id: DirectoryUserId,
) -> Result<Option<DirectoryUser>, StoreError> {
    tx.lock_rows(&LOCK, params![id, directory])?;
    find(tx, directory, id)
}

/// The same, to be deleted: no group gets them meanwhile.
///
/// # Errors
/// As [`find`].
pub fn find_to_delete(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    id: DirectoryUserId,
) -> Result<Option<DirectoryUser>, StoreError> {
    tx.lock_rows(&LOCK_TO_DELETE, params![id, directory])?;
    find(tx, directory, id)
}

/// The people of that directory that a query finds; `limit` at most.
///
/// # Errors
/// As [`find`].
pub fn query(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    query: &DirectoryUserQuery,
    limit: i64,
) -> Result<Vec<DirectoryUser>, StoreError> {
    rows_of(tx, directory, query, (limit, 0))?.iter().map(|r| with_emails(tx, r)).collect()
}

/// Whether a directory of that organization, claims aside, tells of anybody by that address.
///
/// # Errors
/// As [`find`].
pub fn is_told_of(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    email_key: &str,
) -> Result<bool, StoreError> {
    Ok(tx.row(&IS_TOLD_OF, params![organization, email_key])?.is_some())
}

/// The same after the first `offset`, as a list shows them, in the order of the index that the query reads.
///
/// # Errors
/// As [`find`].
pub fn query_page(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    query: &DirectoryUserQuery,
    limit: i64,
    offset: i64,
) -> Result<Vec<ListedUser>, StoreError> {
    rows_of(tx, directory, query, (limit, offset))?.iter().map(ListedUser::read).collect()
}

fn rows_of(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    query: &DirectoryUserQuery,
    (limit, offset): (i64, i64),
) -> Result<Vec<Row>, StoreError> {
    match query {
        // One at most.
        DirectoryUserQuery::UserName(_) | DirectoryUserQuery::Id(_) if offset > 0 => Ok(Vec::new()),
        DirectoryUserQuery::UserName(name) => tx.rows(&BY_USER_NAME, params![directory, name_key(name)]),
        DirectoryUserQuery::ExternalId(id) => tx.rows(&BY_EXTERNAL_ID, params![directory, id, limit, offset]),
        DirectoryUserQuery::Id(id) => tx.rows(&FIND, params![id, directory]),
        DirectoryUserQuery::DisplayName(name) => {
            tx.rows(&BY_DISPLAY_NAME, params![directory, name_key(name), limit, offset])
        }
        DirectoryUserQuery::Email(key) => tx.rows(&BY_EMAIL, params![directory, key, limit, offset]),
        DirectoryUserQuery::UserNamePrefix(prefix) => {
            let key = name_key(prefix);
            tx.rows(&BY_USER_NAME_PREFIX, params![directory, key, behind(&key), limit, offset])
        }
        DirectoryUserQuery::ExternalIdPrefix(prefix) => {
            tx.rows(&BY_EXTERNAL_ID_PREFIX, params![directory, prefix, behind(prefix), limit, offset])
        }
        DirectoryUserQuery::DisplayNamePrefix(prefix) => {
            let key = name_key(prefix);
            tx.rows(&BY_DISPLAY_NAME_PREFIX, params![directory, key, behind(&key), limit, offset])
        }
    }
}

/// What directories say of a membership.
///
/// # Errors
/// As [`find`].
pub fn of_membership(tx: &mut Tx<'_>, membership: MembershipId) -> Result<Vec<DirectoryUser>, StoreError> {
    let rows = tx.rows(&OF_MEMBERSHIP, params![membership])?;
    rows.iter().map(|r| with_emails(tx, r)).collect()
}

/// The memberships behind these people, in id order.
///
/// # Errors
/// As [`find`].
pub fn memberships(tx: &mut Tx<'_>, ids: &[DirectoryUserId]) -> Result<Vec<MembershipId>, StoreError> {
    let mut out = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(crate::db::MAX_LIST) {
        for row in tx.rows(&MEMBERSHIPS, params![list(chunk)])? {
            out.push(row.parsed(0)?);
        }
    }
    out.sort();
    out.dedup();
    Ok(out)
}
