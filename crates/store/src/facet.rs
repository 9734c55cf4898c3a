//! Values of attributes that a mapping can name, attribute by attribute: the index of them holds every name.

use portcullis_domain::id::{DirectoryId, DirectoryUserId};
use portcullis_domain::mapping::{Facet, FacetSource};

use crate::statement::Statement;
use crate::{StoreError, Tx, params};

// Of the very many who have one attribute only the first is looked at.
const NEXT_ATTRIBUTE: Statement = Statement::read(
    "facet.next_attribute",
    "SELECT source_key, directory_user FROM directory_user_facets \
     WHERE directory = $1 AND source = 'attribute' AND source_key >= $2 \
     ORDER BY source_key, directory_user LIMIT 1",
);

pub(crate) const ALL: &[&Statement] = &[&NEXT_ATTRIBUTE];

/// The first value of an attribute from `from` on in the order of keys, and somebody who has it. Whoever goes on from
/// [`Facet::behind_attribute`] comes by each attribute once, whatever the number of people and values.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn next_attribute(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    from: &str,
) -> Result<Option<(Facet, DirectoryUserId)>, StoreError> {
    let Some(row) = tx.row(&NEXT_ATTRIBUTE, params![directory, from])? else { return Ok(None) };
    let facet = Facet::from_stored(FacetSource::Attribute, row.text(0)?.to_owned());
    Ok(Some((facet, row.parsed(1)?)))
}
