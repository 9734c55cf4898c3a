//! Whom a change of rules touches.
//!
//! Found through the groups that the rule names, never by walking the organization: each of these statements follows an index
//! from the rule to the people, and stops at a limit.

use std::collections::BTreeSet;

use portcullis_domain::id::{DirectoryGroupId, DirectoryId, MembershipId, OrganizationId};
use portcullis_domain::mapping::{FacetSource, MappingSource};
use portcullis_domain::text::Slug;

use super::Compared;
use crate::row::{Row, bound};
use crate::statement::Statement;
use crate::{StoreError, Tx, params, subgroup};

/// The most groups of one name or external id that a rule is locked by; providers give a key to one group.
const MAX_GROUPS_OF_SOURCE: i64 = 1000;

/// How many people of nested groups are counted at a time.
const COUNTED_AT_ONCE: i64 = 1000;

/// How many mappings to a role are read at a time.
const SOURCES_AT_ONCE: i64 = 100;

macro_rules! of_group {
    ($select:literal, $column:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $select,
            " FROM directory_groups g JOIN directory_members m ON m.directory_group = g.id \
             JOIN directory_users u ON u.id = m.directory_user WHERE g.directory = $1 AND g.",
            $column,
            " = $2",
            $rest
        )
    };
}

const AFFECTED_BY_GROUP_ID: Statement =
    Statement::read("mapping.affected_by_group_id", of_group!("DISTINCT u.membership", "id", " LIMIT $3"));
const AFFECTED_BY_GROUP_EXTERNAL_ID: Statement = Statement::read(
    "mapping.affected_by_group_external_id",
    of_group!("DISTINCT u.membership", "external_id", " LIMIT $3"),
);
const AFFECTED_BY_GROUP_DISPLAY_NAME: Statement = Statement::read(
    "mapping.affected_by_group_display_name",
    of_group!("DISTINCT u.membership", "display_name_key", " LIMIT $3"),
);
const COUNT_BY_GROUP_ID: Statement =
    Statement::read("mapping.count_by_group_id", of_group!("COUNT(DISTINCT u.membership)", "id", ""));
const COUNT_BY_GROUP_EXTERNAL_ID: Statement = Statement::read(
    "mapping.count_by_group_external_id",
    of_group!("COUNT(DISTINCT u.membership)", "external_id", ""),
);
const COUNT_BY_GROUP_DISPLAY_NAME: Statement = Statement::read(
    "mapping.count_by_group_display_name",
    of_group!("COUNT(DISTINCT u.membership)", "display_name_key", ""),
);
const PAGE_BY_GROUP_ID: Statement = Statement::read(
    "mapping.page_by_group_id",
    of_group!("DISTINCT u.membership", "id", " AND u.membership > $3 ORDER BY u.membership LIMIT $4"),
);
const PAGE_BY_GROUP_EXTERNAL_ID: Statement = Statement::read(
    "mapping.page_by_group_external_id",
    of_group!(
        "DISTINCT u.membership",
        "external_id",
        " AND u.membership > $3 ORDER BY u.membership LIMIT $4"
    ),
);
const PAGE_BY_GROUP_DISPLAY_NAME: Statement = Statement::read(
    "mapping.page_by_group_display_name",
    of_group!(
        "DISTINCT u.membership",
        "display_name_key",
        " AND u.membership > $3 ORDER BY u.membership LIMIT $4"
    ),
);

macro_rules! of_facet {
    ($select:literal, $source:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $select,
            " FROM directory_user_facets f JOIN directory_users u ON u.id = f.directory_user \
             WHERE f.directory = $1 AND f.source = '",
            $source,
            "' AND f.source_key = $2",
            $rest
        )
    };
}

const AFFECTED_BY_ATTRIBUTE: Statement = Statement::read(
    "mapping.affected_by_attribute",
    of_facet!("DISTINCT u.membership", "attribute", " LIMIT $3"),
);
const AFFECTED_BY_ORG_UNIT: Statement = Statement::read(
    "mapping.affected_by_org_unit",
    of_facet!("DISTINCT u.membership", "org_unit", " LIMIT $3"),
);
const COUNT_BY_ATTRIBUTE: Statement =
    Statement::read("mapping.count_by_attribute", of_facet!("COUNT(DISTINCT u.membership)", "attribute", ""));
const COUNT_BY_ORG_UNIT: Statement =
    Statement::read("mapping.count_by_org_unit", of_facet!("COUNT(DISTINCT u.membership)", "org_unit", ""));
const PAGE_BY_ATTRIBUTE: Statement = Statement::read(
    "mapping.page_by_attribute",
    of_facet!("DISTINCT u.membership", "attribute", " AND u.membership > $3 ORDER BY u.membership LIMIT $4"),
);
const PAGE_BY_ORG_UNIT: Statement = Statement::read(
    "mapping.page_by_org_unit",
    of_facet!("DISTINCT u.membership", "org_unit", " AND u.membership > $3 ORDER BY u.membership LIMIT $4"),
);
const AFFECTED_BY_GROUP: Statement = Statement::read(
    "mapping.affected_by_group",
    "SELECT DISTINCT u.membership FROM directory_members m JOIN directory_users u ON u.id = m.directory_user \
     WHERE m.directory_group = $1 LIMIT $2",
);
const AFFECTED_BY_DIRECTORY: Statement = Statement::read(
    "mapping.affected_by_directory",
    "SELECT DISTINCT membership FROM directory_users WHERE directory = $1 LIMIT $2",
);
const HOLDERS_OF_ROLE: Statement = Statement::read(
    "mapping.holders_of_role",
    "SELECT id FROM memberships WHERE organization = $1 AND role = $2 LIMIT $3",
);
const GRANTEES_OF_ROLE: Statement = Statement::read(
    "mapping.grantees_of_role",
    "SELECT DISTINCT membership FROM grants WHERE organization = $1 AND role = $2 AND ended_at IS NULL LIMIT $3",
);
const DEFAULTED_TO_ROLE: Statement = Statement::read(
    "mapping.defaulted_to_role",
    "SELECT DISTINCT u.membership FROM directories d JOIN directory_users u ON u.directory = d.id \
     WHERE d.organization = $1 AND d.default_role = $2 LIMIT $3",
);
const SOURCES_OF_ROLE: Statement = Statement::read(
    "mapping.sources_of_role",
    "SELECT id, directory, source, source_key FROM mappings WHERE organization = $1 AND role = $2 AND id > $3 \
     ORDER BY id LIMIT $4",
);
const GROUPS_OF_ID: Statement = Statement::read(
    "mapping.groups_of_id",
    "SELECT id FROM directory_groups WHERE directory = $1 AND id = $2 ORDER BY id LIMIT $3",
);
const GROUPS_OF_EXTERNAL_ID: Statement = Statement::read(
    "mapping.groups_of_external_id",
    "SELECT id FROM directory_groups WHERE directory = $1 AND external_id = $2 ORDER BY id LIMIT $3",
);
const GROUPS_OF_DISPLAY_NAME: Statement = Statement::read(
    "mapping.groups_of_display_name",
    "SELECT id FROM directory_groups WHERE directory = $1 AND display_name_key = $2 ORDER BY id LIMIT $3",
);

// Who is in the group no longer and keeps what it gave, because the brake holds it.
const KEPT_BY: Statement = Statement::read(
    "mapping.kept_by",
    "SELECT DISTINCT h.membership FROM mappings p JOIN held_matches h ON h.mapping = p.id \
     WHERE p.directory = $1 AND p.source = $2 AND p.source_key = $3 LIMIT $4",
);

pub(crate) const ALL: &[&Statement] = &[
    &AFFECTED_BY_GROUP_ID,
    &AFFECTED_BY_GROUP_EXTERNAL_ID,
    &AFFECTED_BY_GROUP_DISPLAY_NAME,
    &COUNT_BY_GROUP_ID,
    &COUNT_BY_GROUP_EXTERNAL_ID,
    &COUNT_BY_GROUP_DISPLAY_NAME,
    &PAGE_BY_GROUP_ID,
    &PAGE_BY_GROUP_EXTERNAL_ID,
    &PAGE_BY_GROUP_DISPLAY_NAME,
    &AFFECTED_BY_ATTRIBUTE,
    &AFFECTED_BY_ORG_UNIT,
    &COUNT_BY_ATTRIBUTE,
    &COUNT_BY_ORG_UNIT,
    &PAGE_BY_ATTRIBUTE,
    &PAGE_BY_ORG_UNIT,
    &AFFECTED_BY_GROUP,
    &AFFECTED_BY_DIRECTORY,
    &HOLDERS_OF_ROLE,
    &GRANTEES_OF_ROLE,
    &DEFAULTED_TO_ROLE,
    &SOURCES_OF_ROLE,
    &GROUPS_OF_ID,
    &GROUPS_OF_EXTERNAL_ID,
    &GROUPS_OF_DISPLAY_NAME,
    &KEPT_BY,
];

impl Compared {
    const fn affected(self) -> &'static Statement {
        match self {
            Self::GroupId => &AFFECTED_BY_GROUP_ID,
            Self::GroupExternalId => &AFFECTED_BY_GROUP_EXTERNAL_ID,
            Self::GroupDisplayName => &AFFECTED_BY_GROUP_DISPLAY_NAME,
            Self::Facet(FacetSource::Attribute) => &AFFECTED_BY_ATTRIBUTE,
            Self::Facet(FacetSource::OrgUnit) => &AFFECTED_BY_ORG_UNIT,
        }
    }

    const fn count(self) -> &'static Statement {
        match self {
            Self::GroupId => &COUNT_BY_GROUP_ID,
            Self::GroupExternalId => &COUNT_BY_GROUP_EXTERNAL_ID,
            Self::GroupDisplayName => &COUNT_BY_GROUP_DISPLAY_NAME,
            Self::Facet(FacetSource::Attribute) => &COUNT_BY_ATTRIBUTE,
            Self::Facet(FacetSource::OrgUnit) => &COUNT_BY_ORG_UNIT,
        }
    }

    const fn page(self) -> &'static Statement {
        match self {
            Self::GroupId => &PAGE_BY_GROUP_ID,
            Self::GroupExternalId => &PAGE_BY_GROUP_EXTERNAL_ID,
            Self::GroupDisplayName => &PAGE_BY_GROUP_DISPLAY_NAME,
            Self::Facet(FacetSource::Attribute) => &PAGE_BY_ATTRIBUTE,
            Self::Facet(FacetSource::OrgUnit) => &PAGE_BY_ORG_UNIT,
        }
    }

    /// The groups of that key; a facet is none.
    const fn groups(self) -> Option<&'static Statement> {
        match self {
            Self::GroupId => Some(&GROUPS_OF_ID),
            Self::GroupExternalId => Some(&GROUPS_OF_EXTERNAL_ID),
            Self::GroupDisplayName => Some(&GROUPS_OF_DISPLAY_NAME),
            Self::Facet(_) => None,
        }
    }
}

fn memberships(rows: &[Row]) -> Result<Vec<MembershipId>, StoreError> {
    let mut memberships = rows.iter().map(|row| row.parsed(0)).collect::<Result<Vec<MembershipId>, _>>()?;
    // In the order in which they are locked.
    memberships.sort_unstable();
    Ok(memberships)
}

/// The memberships of people whom a mapping's source names, in order of id; `limit` at most.
///
/// # Errors
/// As [`super::find`].
pub fn affected(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    source: &MappingSource,
    limit: i64,
) -> Result<Vec<MembershipId>, StoreError> {
    affected_by(tx, directory, (Compared::of(source), &source.key().1), limit)
}

fn affected_by(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    (compared, source_key): (Compared, &str),
    limit: i64,
) -> Result<Vec<MembershipId>, StoreError> {
    if names_too_many(tx, directory, compared, source_key)? {
        // Whoever is below a group that was not read must not be left with what they had: it is about everybody.
        return affected_by_directory(tx, directory, limit);
    }
    let named = match all_groups(tx, directory, compared, source_key)? {
        Some(groups) => subgroup::memberships(tx, &groups, "", limit)?,
        None => memberships(&tx.rows(compared.affected(), params![directory, source_key, limit])?)?,
    };
    let kept = tx.rows(&KEPT_BY, params![directory, compared.as_str(), source_key, limit])?;
    // Somebody may be named and kept: each is told once, all of them in the order in which they are locked.
    let all: BTreeSet<MembershipId> = named.into_iter().chain(memberships(&kept)?).collect();
    Ok(all.into_iter().take(usize::try_from(limit).unwrap_or(0)).collect())
}

/// Whether a source names more groups than [`all_groups`] begins with: a directory may give many groups one key.
fn names_too_many(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    compared: Compared,
    source_key: &str,
) -> Result<bool, StoreError> {
    let Some(statement) = compared.groups() else { return Ok(false) };
    if !subgroup::counts(tx, directory)? {
        return Ok(false);
    }
    let named = tx.rows(statement, params![directory, source_key, MAX_GROUPS_OF_SOURCE + 1])?.len();
    Ok(bound(named) > MAX_GROUPS_OF_SOURCE)
}

/// The groups of a source with all groups below them; `None` where there are none below, or it is about no group.
fn all_groups(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    compared: Compared,
    source_key: &str,
) -> Result<Option<Vec<DirectoryGroupId>>, StoreError> {
    let Some(statement) = compared.groups() else { return Ok(None) };
    if !subgroup::counts(tx, directory)? {
        return Ok(None);
    }
    let named = tx.rows(statement, params![directory, source_key, MAX_GROUPS_OF_SOURCE])?;
    let named = named.iter().map(|row| row.parsed(0)).collect::<Result<Vec<_>, _>>()?;
    let all = subgroup::with_below(tx, &named)?;
    Ok((all.len() > named.len()).then_some(all))
}

/// How many memberships [`affected`] would list without a limit.
///
/// # Errors
/// As [`super::find`].
pub fn count_affected(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    source: &MappingSource,
) -> Result<i64, StoreError> {
    let (compared, (_, source_key)) = (Compared::of(source), source.key());
    let Some(groups) = all_groups(tx, directory, compared, &source_key)? else {
        let row = tx.row(compared.count(), params![directory, source_key])?;
        return row.map_or(Ok(0), |row| row.int(0));
    };
    let (mut count, mut after) = (0_i64, String::new());
    loop {
        let page = subgroup::memberships(tx, &groups, &after, COUNTED_AT_ONCE)?;
        count = count.saturating_add(bound(page.len()));
        match page.last() {
            Some(last) if bound(page.len()) == COUNTED_AT_ONCE => after = last.to_string(),
            _ => return Ok(count),
        }
    }
}

/// A page of the same memberships in order of id, after `after`.
///
/// # Errors
/// As [`super::find`].
pub fn page_affected(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    source: &MappingSource,
    (after, limit): (&str, i64),
) -> Result<Vec<MembershipId>, StoreError> {
    let (compared, (_, source_key)) = (Compared::of(source), source.key());
    match all_groups(tx, directory, compared, &source_key)? {
        Some(groups) => subgroup::memberships(tx, &groups, after, limit),
        None => memberships(&tx.rows(compared.page(), params![directory, source_key, after, limit])?),
    }
}

/// The memberships of people in a group, in order of id; `limit` at most.
///
/// # Errors
/// As [`super::find`].
pub fn affected_by_group(
    tx: &mut Tx<'_>,
    group: DirectoryGroupId,
    limit: i64,
) -> Result<Vec<MembershipId>, StoreError> {
    memberships(&tx.rows(&AFFECTED_BY_GROUP, params![group, limit])?)
}

/// The memberships of people whom a directory knows, in order of id; `limit` at most.
///
/// # Errors
/// As [`super::find`].
pub fn affected_by_directory(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    limit: i64,
) -> Result<Vec<MembershipId>, StoreError> {
    memberships(&tx.rows(&AFFECTED_BY_DIRECTORY, params![directory, limit])?)
}

/// The memberships of people who have a role, or would have it if it ranked otherwise: by a mapping, a grant or a
/// directory's default; in order of id, `limit` at most.
///
/// # Errors
/// As [`super::find`].
pub fn affected_by_role(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    role: &Slug,
    limit: i64,
) -> Result<Vec<MembershipId>, StoreError> {
    let enough = usize::try_from(limit).unwrap_or(0);
    let mut found = BTreeSet::new();
    for statement in [&HOLDERS_OF_ROLE, &GRANTEES_OF_ROLE, &DEFAULTED_TO_ROLE] {
        found.extend(memberships(&tx.rows(statement, params![organization, role, limit])?)?);
        if found.len() >= enough {
            return Ok(found.into_iter().take(enough).collect());
        }
    }
    let mut after = String::new();
    loop {
        let page = tx.rows(&SOURCES_OF_ROLE, params![organization, role, after, SOURCES_AT_ONCE])?;
        for row in &page {
            let compared: Compared = row.parsed(2)?;
            found.extend(affected_by(tx, row.parsed(1)?, (compared, row.text(3)?), limit)?);
            if found.len() >= enough {
                return Ok(found.into_iter().take(enough).collect());
            }
        }
        match page.last() {
            Some(last) => after = last.text(0)?.to_owned(),
            None => return Ok(found.into_iter().collect()),
        }
    }
}

/// The groups that a mapping's source names now, in the order in which they are locked; 1,000 at most.
///
/// # Errors
/// As [`super::find`].
pub fn groups_of_source(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    source: &MappingSource,
) -> Result<Vec<DirectoryGroupId>, StoreError> {
    let Some(statement) = Compared::of(source).groups() else { return Ok(Vec::new()) };
    let (_, source_key) = source.key();
    tx.rows(statement, params![directory, source_key, MAX_GROUPS_OF_SOURCE])?
        .iter()
        .map(|row| row.parsed(0))
        .collect()
}
