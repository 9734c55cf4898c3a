//! Organizations: what everything but users belongs to, and the number of their rules.
//!
//! A deleted organization keeps its row, its slug and its audit log; only who asks for that log finds it any more.

use portcullis_domain::change::OrganizationChange;
use portcullis_domain::id::{EventId, OrganizationId};
use portcullis_domain::organization::Organization;
use portcullis_domain::text::Slug;

use crate::row::{Row, list as in_list};
use crate::statement::Statement;
use crate::{StoreError, Tx, UniqueKey, google, params};

macro_rules! columns {
    () => {
        "id, slug, name, rules_number, created_at"
    };
}

const CREATE: Statement = Statement::change(
    "organization.create",
    "INSERT INTO organizations (id, slug, name, rules_number, created_at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT DO NOTHING RETURNING id",
);
const RENAME: Statement = Statement::change(
    "organization.rename",
    "UPDATE organizations SET name = $2 WHERE id = $1 AND deleted_at IS NULL",
);
const RAISE_RULES: Statement = Statement::change(
    "organization.raise_rules",
    "UPDATE organizations SET rules_number = rules_number + 1 WHERE id = $1 AND deleted_at IS NULL",
);
const KEEP_RULES_CHANGE: Statement = Statement::change(
    "organization.keep_rules_change",
    "INSERT INTO rules_changes (organization, number, event) \
     SELECT id, rules_number, CAST($2 AS TEXT) FROM organizations WHERE id = $1",
);
const RULES_CHANGES: Statement = Statement::read(
    "organization.rules_changes",
    "SELECT event FROM rules_changes WHERE organization = $1 AND number > $2 ORDER BY number LIMIT $3",
);
const COUNT_LEFT: Statement = Statement::read(
    "organization.count_left",
    "SELECT (SELECT COUNT(*) FROM memberships WHERE organization = $1), \
     (SELECT COUNT(*) FROM agents WHERE organization = $1 AND state <> 'disabled')",
);
const DELETE: Statement = Statement::change(
    "organization.delete",
    "UPDATE organizations SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL",
);
// A proven domain belongs to one organization at a time: a deleted one must not hold it against its owner for ever.
const RELEASE_DOMAINS: Statement =
    Statement::change("organization.release_domains", "DELETE FROM domains WHERE organization = $1");
const FIND: Statement = Statement::read(
    "organization.find",
    concat!("SELECT ", columns!(), " FROM organizations WHERE id = $1 AND deleted_at IS NULL"),
);
const FIND_BY_SLUG: Statement = Statement::read(
    "organization.find_by_slug",
    concat!("SELECT ", columns!(), " FROM organizations WHERE slug = $1 AND deleted_at IS NULL"),
);
const FIND_OF_LOG: Statement = Statement::read(
    "organization.find_of_log",
    concat!("SELECT ", columns!(), " FROM organizations WHERE id = $1 OR slug = $1"),
);
const LIST: Statement = Statement::read(
    "organization.list",
    concat!(
        "SELECT ",
        columns!(),
        " FROM organizations WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2"
    ),
);
const RULES_PENDING: Statement = Statement::read(
    "organization.rules_pending",
    "SELECT COUNT(*) FROM memberships WHERE organization = $1 \
     AND rules_number < (SELECT rules_number FROM organizations WHERE id = $1)",
);
const NEXT_STALE: Statement = Statement::read(
    "organization.next_stale",
    "SELECT o.id FROM organizations o \
     WHERE o.id > $1 AND o.deleted_at IS NULL AND o.id NOT IN_LIST($2) AND EXISTS \
     (SELECT 1 FROM memberships m WHERE m.organization = o.id AND m.rules_number < o.rules_number) \
     ORDER BY o.id LIMIT 1",
);

/// The statements about organizations.
pub(crate) const ALL: &[&Statement] = &[
    &CREATE,
    &RENAME,
    &RAISE_RULES,
    &KEEP_RULES_CHANGE,
    &RULES_CHANGES,
    &COUNT_LEFT,
    &DELETE,
    &RELEASE_DOMAINS,
    &FIND,
    &FIND_BY_SLUG,
    &FIND_OF_LOG,
    &LIST,
    &RULES_PENDING,
    &NEXT_STALE,
];

fn read(row: &Row) -> Result<Organization, StoreError> {
    Ok(Organization {
        id: row.parsed(0)?,
        slug: row.parsed(1)?,
        name: row.text(2)?.to_owned(),
        rules_number: row.int(3)?,
        created_at: row.at(4)?,
    })
}

pub(crate) fn apply(tx: &mut Tx<'_>, change: &OrganizationChange, event: EventId) -> Result<(), StoreError> {
    match change {
        OrganizationChange::Create(o) => tx.insert(
            &CREATE,
            params![o.id, o.slug, o.name, o.rules_number, o.created_at],
            UniqueKey::OrganizationSlug,
        ),
        OrganizationChange::Rename(id, name) => tx.run_on_row(&RENAME, params![id, name]),
        OrganizationChange::RaiseRules(id) => {
            tx.run_on_row(&RAISE_RULES, params![id])?;
            tx.run(&KEEP_RULES_CHANGE, params![id, event]).map(|_| ())
        }
        OrganizationChange::Delete(id, at) => {
            tx.run(&RELEASE_DOMAINS, params![id])?;
            google::delete_of_organization(tx, *id)?;
            tx.run(&DELETE, params![id, at]).map(|_| ())
        }
    }
}

/// The organization of that id, unless it was deleted.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(tx: &mut Tx<'_>, id: OrganizationId) -> Result<Option<Organization>, StoreError> {
    tx.row(&FIND, params![id])?.as_ref().map(read).transpose()
}

/// The organization of that slug, unless it was deleted.
///
/// # Errors
/// As [`find`].
pub fn find_by_slug(tx: &mut Tx<'_>, slug: &Slug) -> Result<Option<Organization>, StoreError> {
    tx.row(&FIND_BY_SLUG, params![slug])?.as_ref().map(read).transpose()
}

/// The organization that a URL names, by id or by slug. A text that can be neither is an unknown one.
///
/// # Errors
/// As [`find`].
pub fn resolve(tx: &mut Tx<'_>, text: &str) -> Result<Option<Organization>, StoreError> {
    // An id has an underscore and a slug has none, so a text is never both.
    if let Ok(id) = text.parse::<OrganizationId>() {
        return find(tx, id);
    }
    match text.parse::<Slug>() {
        Ok(slug) => find_by_slug(tx, &slug),
        Err(_) => Ok(None),
    }
}

/// The organization of that id or slug, deleted or not: a log outlives its organization, and no slug is given out again.
/// For whoever has the machine; a caller from outside finds no organization that was deleted.
///
/// # Errors
/// As [`find`].
pub fn find_of_log(tx: &mut Tx<'_>, text: &str) -> Result<Option<Organization>, StoreError> {
    tx.row(&FIND_OF_LOG, params![text])?.as_ref().map(read).transpose()
}

/// A page of organizations in order of id, after `after`.
///
/// # Errors
/// As [`find`].
pub fn list(tx: &mut Tx<'_>, after: Option<&str>, limit: i64) -> Result<Vec<Organization>, StoreError> {
    tx.rows(&LIST, params![after.unwrap_or(""), limit])?.iter().map(read).collect()
}

/// How many memberships of that organization have access that was stored under older rules.
///
/// # Errors
/// As [`find`].
pub fn rules_pending(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<i64, StoreError> {
    tx.row(&RULES_PENDING, params![organization])?.map_or(Ok(0), |row| row.int(0))
}

/// The first organization behind that one with members whose access is stored under older rules; none of those, 1,000 at
/// most.
///
/// # Errors
/// As [`find`].
pub fn next_stale(
    tx: &mut Tx<'_>,
    after: Option<OrganizationId>,
    but: &[OrganizationId],
) -> Result<Option<OrganizationId>, StoreError> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    tx.row(&NEXT_STALE, params![after, in_list(but)])?.map(|row| row.parsed(0)).transpose()
}

/// The events of the first changes of rules after that number, which stored access under it is not in step with.
///
/// # Errors
/// As [`find`].
pub fn rules_changes(
    tx: &mut Tx<'_>,
    id: OrganizationId,
    number: i64,
    limit: i64,
) -> Result<Vec<EventId>, StoreError> {
    tx.rows(&RULES_CHANGES, params![id, number, limit])?.iter().map(|row| row.parsed(0)).collect()
}

/// What goes with an organization: how many memberships it had, whatever became of them, and how many agents that have not
/// ended by themselves.
///
/// # Errors
/// As [`find`].
pub fn count_left(tx: &mut Tx<'_>, id: OrganizationId) -> Result<(i64, i64), StoreError> {
    tx.row(&COUNT_LEFT, params![id])?.map_or(Ok((0, 0)), |row| Ok((row.int(0)?, row.int(1)?)))
}
