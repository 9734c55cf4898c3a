//! Roles of an organization. Slug and rank are unique in it.

use portcullis_domain::change::RoleChange;
use portcullis_domain::id::{OrganizationId, RoleId};
use portcullis_domain::role::{Giving, Role};
use portcullis_domain::text::Slug;

use crate::row::{Row, to_json};
use crate::statement::Statement;
use crate::{StoreError, Tx, UniqueKey, params};

// Ranks by their names where SQL compares with them.
macro_rules! root_rank {
    () => {
        "1000"
    };
}
pub(crate) use root_rank;
macro_rules! owner_rank {
    () => {
        "900"
    };
}
pub(crate) use owner_rank;

macro_rules! columns {
    () => {
        "id, organization, slug, rank, permissions, explicit_only_at, built_in_at, created_at"
    };
}

const CREATE: Statement = Statement::change(
    "role.create",
    "INSERT INTO roles (id, organization, slug, rank, permissions, explicit_only_at, built_in_at, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id",
);
// The organization's lock is held for every change of roles, so nobody takes the rank between look and write.
const UPDATE_TO_ANYHOW: Statement = Statement::change(
    "role.update_to_anyhow",
    "UPDATE roles SET rank = $2, permissions = $3, explicit_only_at = NULL \
     WHERE id = $1 AND organization = $4 AND NOT EXISTS \
     (SELECT 1 FROM roles o WHERE o.organization = roles.organization AND o.rank = $2 AND o.id <> $1) \
     RETURNING id",
);
const UPDATE_TO_EXPLICIT_ONLY: Statement = Statement::change(
    "role.update_to_explicit_only",
    "UPDATE roles SET rank = $2, permissions = $3, explicit_only_at = COALESCE(explicit_only_at, created_at) \
     WHERE id = $1 AND organization = $4 AND NOT EXISTS \
     (SELECT 1 FROM roles o WHERE o.organization = roles.organization AND o.rank = $2 AND o.id <> $1) \
     RETURNING id",
);
const DELETE: Statement =
    Statement::change("role.delete", "DELETE FROM roles WHERE id = $1 AND organization = $2");
const FIND: Statement = Statement::read(
    "role.find",
    concat!("SELECT ", columns!(), " FROM roles WHERE organization = $1 AND id = $2"),
);
const FIND_BY_SLUG: Statement = Statement::read(
    "role.find_by_slug",
    concat!("SELECT ", columns!(), " FROM roles WHERE organization = $1 AND slug = $2"),
);
const LIST: Statement = Statement::read(
    "role.list",
    concat!("SELECT ", columns!(), " FROM roles WHERE organization = $1 AND id > $2 ORDER BY id LIMIT $3"),
);
const USED_BY: Statement = Statement::read(
    "role.used_by",
    "SELECT id FROM mappings WHERE organization = $1 AND role = $2 \
     UNION ALL SELECT id FROM grants WHERE organization = $1 AND role = $2 AND ended_at IS NULL \
     UNION ALL SELECT id FROM directories WHERE organization = $1 AND default_role = $2 \
     UNION ALL SELECT id FROM memberships WHERE organization = $1 AND role = $2 AND state <> 'deprovisioned' \
     LIMIT 1",
);

/// The statements about roles.
pub(crate) const ALL: &[&Statement] =
    &[&CREATE, &UPDATE_TO_ANYHOW, &UPDATE_TO_EXPLICIT_ONLY, &DELETE, &FIND, &FIND_BY_SLUG, &LIST, &USED_BY];

fn read(row: &Row) -> Result<Role, StoreError> {
    Ok(Role {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        slug: row.parsed(2)?,
        rank: row.role_rank(3)?,
        permissions: row.json(4)?,
        giving: if row.opt_at(5)?.is_some() { Giving::ExplicitOnly } else { Giving::Anyhow },
        built_in_at: row.opt_at(6)?,
        created_at: row.at(7)?,
    })
}

pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &RoleChange,
) -> Result<(), StoreError> {
    match change {
        RoleChange::Create(r) => {
            let explicit_only_at = match r.giving {
                Giving::ExplicitOnly => Some(r.created_at),
                Giving::Anyhow => None,
            };
            let key = match find_by_slug(tx, r.organization, &r.slug)? {
                Some(_) => UniqueKey::RoleSlug,
                None => UniqueKey::RoleRank,
            };
            tx.insert(
                &CREATE,
                params![
                    r.id,
                    r.organization,
                    r.slug,
                    r.rank.number(),
                    to_json(&r.permissions)?,
                    explicit_only_at,
                    r.built_in_at,
                    r.created_at,
                ],
                key,
            )
        }
        RoleChange::Update(id, rank, permissions, giving) => {
            let statement = match giving {
                Giving::Anyhow => &UPDATE_TO_ANYHOW,
                Giving::ExplicitOnly => &UPDATE_TO_EXPLICIT_ONLY,
            };
            tx.insert(
                statement,
                params![id, rank.number(), to_json(permissions)?, organization],
                UniqueKey::RoleRank,
            )
        }
        RoleChange::Delete(id) => tx.run(&DELETE, params![id, organization]).map(|_| ()),
    }
}

/// A role of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: RoleId) -> Result<Option<Role>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// The role of that slug.
///
/// # Errors
/// As [`find`].
pub fn find_by_slug(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    slug: &Slug,
) -> Result<Option<Role>, StoreError> {
    tx.row(&FIND_BY_SLUG, params![organization, slug])?.as_ref().map(read).transpose()
}

/// A page of roles in order of id, after `after`.
///
/// # Errors
/// As [`find`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Role>, StoreError> {
    tx.rows(&LIST, params![organization, after.unwrap_or(""), limit])?.iter().map(read).collect()
}

/// The id of a mapping, of a grant that has not ended, of a directory whose default it is, or of somebody who was not off-boarded
/// and has it; `None` if nothing uses it.
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

#[cfg(test)]
mod tests {
    use portcullis_domain::role::Rank;

    #[test]
    fn the_ranks_that_have_a_name_are_the_same_in_sql() {
        for (in_sql, rank) in [(root_rank!(), Rank::ROOT), (owner_rank!(), Rank::OWNER)] {
            assert_eq!(in_sql, rank.number().to_string());
        }
    }
}
