//! Extensions of a directory's own: which of them its people have, for discovery.
//!
//! Nothing counts them when people come and go. The index of what a mapping can name holds the name of every attribute,
//! so it is stepped through from name to name, and of each name that nobody told of yet somebody who has it is read:
//! they say how it is spelled and of which type it is. In most directories one person tells of all.

use portcullis_domain::id::DirectoryId;
use portcullis_domain::mapping::Facet;
use portcullis_scim::SeenExtensions;
use portcullis_scim::facet::facets;
use portcullis_scim::path::AttributePath;
use portcullis_store::{Tx, directory_user, facet};

use super::room::Reading;
use super::user::stored_user;
use crate::{Portcullis, ServiceError};

/// The most names that are stepped over: those of the standard, and as many of extensions as discovery tells of.
const MAX_STEPS: usize = 600;
/// The most people who are read for what they have. Each says everything that is said of them, so few are enough.
pub const MAX_WITNESSES: usize = 64;

impl Portcullis {
    /// The extensions that no schema defines, as people of a directory have them now.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] where much is said of those people and too many lists are read.
    pub async fn seen_extensions(&self, directory: DirectoryId) -> Result<SeenExtensions, ServiceError> {
        self.read_within(directory, move |tx, reading| seen_extensions(tx, directory, reading)).await
    }
}

fn seen_extensions(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    reading: &Reading,
) -> Result<SeenExtensions, ServiceError> {
    let mut seen = SeenExtensions::default();
    let mut told: Vec<String> = Vec::new();
    let (mut from, mut witnesses) = (String::new(), 0);
    for _ in 0..MAX_STEPS {
        let Some((next, person)) = facet::next_attribute(tx, directory, &from)? else { break };
        let Some(name) = next.attribute_key() else { break };
        from = Facet::behind_attribute(name);
        let is_custom = AttributePath::parse(name).is_some_and(|path| path.is_custom());
        if !is_custom || told.iter().any(|known| known == name) {
            continue;
        }
        let Some(person) = directory_user::find(tx, directory, person)? else { continue };
        let user = stored_user(&person)?;
        seen.see(&user);
        told.extend(facets(&user).into_iter().map(|(name, _)| name));
        witnesses += 1;
        if witnesses == MAX_WITNESSES || reading.show_beside(person.attributes.len()) {
            break;
        }
    }
    Ok(seen)
}
