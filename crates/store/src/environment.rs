//! Environments of an organization.

use portcullis_domain::Timestamp;
use portcullis_domain::change::EnvironmentChange;
use portcullis_domain::environment::Environment;
use portcullis_domain::id::{EnvironmentId, OrganizationId};
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
    "environment.create",
    "INSERT INTO environments (id, organization, slug, name, created_at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT DO NOTHING RETURNING id",
);
const RENAME: Statement = Statement::change(
    "environment.rename",
    "UPDATE environments SET name = $2 WHERE id = $1 AND organization = $3",
);
const DELETE: Statement =
    Statement::change("environment.delete", "DELETE FROM environments WHERE id = $1 AND organization = $2");
const FIND: Statement = Statement::read(
    "environment.find",
    concat!("SELECT ", columns!(), " FROM environments WHERE organization = $1 AND id = $2"),
);
const FIND_BY_SLUG: Statement = Statement::read(
    "environment.find_by_slug",
    concat!("SELECT ", columns!(), " FROM environments WHERE organization = $1 AND slug = $2"),
);
const LIST: Statement = Statement::read(
    "environment.list",
    concat!(
        "SELECT ",
        columns!(),
        " FROM environments WHERE organization = $1 AND id > $2 ORDER BY id LIMIT $3"
    ),
);
// Memberships have an environment from a mapping only, so the mappings answer for them.
const IS_USED: Statement = Statement::read(
    "environment.is_used",
    "SELECT CAST(1 AS BIGINT) WHERE \
     EXISTS (SELECT 1 FROM mappings WHERE organization = $1 AND environment = $2) \
     OR EXISTS (SELECT 1 FROM connections WHERE organization = $1 AND environment = $2) \
     OR EXISTS (SELECT 1 FROM agents WHERE organization = $1 AND environment = $2 AND state <> 'disabled') \
     OR EXISTS (SELECT 1 FROM tokens WHERE organization = $1 AND environment = $2 AND ended_at IS NULL \
     AND (expires_at IS NULL OR expires_at > $3))",
);

/// The statements about environments.
pub(crate) const ALL: &[&Statement] = &[&CREATE, &RENAME, &DELETE, &FIND, &FIND_BY_SLUG, &LIST, &IS_USED];

fn read(row: &Row) -> Result<Environment, StoreError> {
    Ok(Environment {
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
    change: &EnvironmentChange,
) -> Result<(), StoreError> {
    match change {
        EnvironmentChange::Create(e) => tx.insert(
            &CREATE,
            params![e.id, e.organization, e.slug, e.name, e.created_at],
            UniqueKey::EnvironmentSlug,
        ),
        EnvironmentChange::Rename(id, name) => tx.run_on_row(&RENAME, params![id, name, organization]),
        EnvironmentChange::Delete(id) => tx.run(&DELETE, params![id, organization]).map(|_| ()),
    }
}

/// An environment of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: EnvironmentId,
) -> Result<Option<Environment>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// The environment of that slug.
///
/// # Errors
/// As [`find`].
pub fn find_by_slug(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    slug: &Slug,
) -> Result<Option<Environment>, StoreError> {
    tx.row(&FIND_BY_SLUG, params![organization, slug])?.as_ref().map(read).transpose()
}

/// A page of environments in order of id, after `after`.
///
/// # Errors
/// As [`find`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Environment>, StoreError> {
    tx.rows(&LIST, params![organization, after.unwrap_or(""), limit])?.iter().map(read).collect()
}

/// Whether a mapping, a connection, an agent that is not disabled or a token that has not ended names it.
///
/// # Errors
/// As [`find`].
pub fn is_used(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    slug: &Slug,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(tx.row(&IS_USED, params![organization, slug, now])?.is_some())
}
