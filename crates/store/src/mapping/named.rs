//! What mappings name: facets and groups.
//!
//! What no mapping names touches nobody, so whoever hears of it asks here first.

use portcullis_domain::id::{DirectoryGroupId, DirectoryId, MappingId};
use portcullis_domain::mapping::{Facet, FacetSource};

use crate::row::list as json_list;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

const IS_FACET_MAPPED: Statement = Statement::read(
    "mapping.is_facet_mapped",
    "SELECT id FROM mappings WHERE directory = $1 AND source = $2 AND source_key IN_LIST($3) LIMIT 1",
);
const IS_GROUP_MAPPED: Statement = Statement::read(
    "mapping.is_group_mapped",
    "SELECT CAST(1 AS BIGINT) WHERE \
     EXISTS (SELECT 1 FROM mappings WHERE directory = $1 AND source = 'group_id' AND source_key = $2) \
     OR EXISTS (SELECT 1 FROM mappings WHERE directory = $1 AND source = 'group_external_id' AND source_key = $3) \
     OR EXISTS (SELECT 1 FROM mappings WHERE directory = $1 AND source = 'group_display_name' AND source_key = $4)",
);

const IS_ANY_GROUP_MAPPED: Statement = Statement::read(
    "mapping.is_any_group_mapped",
    "SELECT g.id FROM directory_groups g WHERE g.id IN_LIST($1) AND (\
     EXISTS (SELECT 1 FROM mappings p WHERE p.directory = g.directory AND p.source = 'group_id' \
     AND p.source_key = g.id) \
     OR EXISTS (SELECT 1 FROM mappings p WHERE p.directory = g.directory AND p.source = 'group_external_id' \
     AND p.source_key = g.external_id) \
     OR EXISTS (SELECT 1 FROM mappings p WHERE p.directory = g.directory AND p.source = 'group_display_name' \
     AND p.source_key = g.display_name_key)) LIMIT 1",
);

const OF_GROUPS: Statement = Statement::read(
    "mapping.of_groups",
    "SELECT p.id FROM directory_groups g JOIN mappings p ON p.directory = g.directory \
     AND p.source = 'group_id' AND p.source_key = g.id WHERE g.id IN_LIST($1) \
     UNION SELECT p.id FROM directory_groups g JOIN mappings p ON p.directory = g.directory \
     AND p.source = 'group_external_id' AND p.source_key = g.external_id WHERE g.id IN_LIST($1) \
     UNION SELECT p.id FROM directory_groups g JOIN mappings p ON p.directory = g.directory \
     AND p.source = 'group_display_name' AND p.source_key = g.display_name_key WHERE g.id IN_LIST($1)",
);

pub(crate) const ALL: &[&Statement] = &[&IS_FACET_MAPPED, &IS_GROUP_MAPPED, &IS_ANY_GROUP_MAPPED, &OF_GROUPS];

/// The mappings that name any of these groups.
///
/// # Errors
/// As [`super::find`].
pub fn of_groups(tx: &mut Tx<'_>, groups: &[DirectoryGroupId]) -> Result<Vec<MappingId>, StoreError> {
    let mut all = Vec::new();
    for some in groups.chunks(crate::db::MAX_LIST) {
        for row in tx.rows(&OF_GROUPS, params![json_list(some)])? {
            all.push(row.parsed(0)?);
        }
    }
    Ok(all)
}

/// Whether a mapping names any of these facets.
///
/// # Errors
/// As [`super::find`].
pub fn is_facet_mapped<'f>(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    facets: impl IntoIterator<Item = &'f Facet>,
) -> Result<bool, StoreError> {
    let facets: Vec<&Facet> = facets.into_iter().collect();
    for source in FacetSource::ALL {
        let keys: Vec<&str> = facets.iter().filter(|f| f.source() == source).map(|f| f.key()).collect();
        for chunk in keys.chunks(crate::db::MAX_LIST) {
            if tx.row(&IS_FACET_MAPPED, params![directory, source.as_str(), json_list(chunk)])?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a mapping names a group by its id, its external id or its name's key.
///
/// # Errors
/// As [`super::find`].
pub fn is_group_mapped(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    group: DirectoryGroupId,
    external_id: Option<&str>,
    display_name_key: &str,
) -> Result<bool, StoreError> {
    let mapped = tx.row(&IS_GROUP_MAPPED, params![directory, group, external_id, display_name_key])?;
    Ok(mapped.is_some())
}

/// Whether a mapping names any of these groups, 1,000 at most, as they stand now.
///
/// # Errors
/// As [`super::find`].
pub fn is_any_group_mapped(tx: &mut Tx<'_>, groups: &[DirectoryGroupId]) -> Result<bool, StoreError> {
    Ok(!groups.is_empty() && tx.row(&IS_ANY_GROUP_MAPPED, params![json_list(groups)])?.is_some())
}
