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
const USED_BY: Statement = Statement::read(
    "environment.used_by",
    "SELECT id FROM mappings WHERE organization = $1 AND environment = $2 \
     UNION ALL SELECT id FROM connections WHERE organization = $1 AND environment = $2 \
     UNION ALL SELECT id FROM agents WHERE organization = $1 AND environment = $2 AND state <> 'disabled' \
     UNION ALL SELECT id FROM tokens WHERE organization = $1 AND environment = $2 AND ended_at IS NULL \
     AND (expires_at IS NULL OR expires_at > $3) LIMIT 1",
);

/// The statements about environments.
pub(crate) const ALL: &[&Statement] = &[&CREATE, &RENAME, &DELETE, &FIND, &FIND_BY_SLUG, &LIST, &USED_BY];

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

/// The id of a mapping, of a connection, of an agent that is not disabled or of a token that has not ended and names it; `None`
/// if nothing does.
///
/// # Errors
/// As [`find`].
pub fn used_by(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    slug: &Slug,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let row = tx.row(&USED_BY, params![organization, slug, now])?;
    row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
}
