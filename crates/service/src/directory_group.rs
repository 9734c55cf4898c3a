//! The groups that a directory tells of, for whoever maps them.

use portcullis_domain::directory_group::DirectoryGroup;
use portcullis_domain::id::{DirectoryId, OrganizationId};
use portcullis_store::{Tx, directory_group};

use crate::{ServiceError, directory};

/// A group, and how many people are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// The group.
    pub group: DirectoryGroup,
    /// The people whom the directory names as its members; those of groups inside it are not counted.
    pub members: i64,
}

/// A page of a directory's groups after the id `after`.
///
/// # Errors
/// [`ServiceError::NotFound`] for the directory.
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    of: DirectoryId,
    (after, limit): (&str, i64),
) -> Result<Vec<GroupView>, ServiceError> {
    let of = directory::find(tx, organization, of)?;
    let groups = directory_group::page_after(tx, of.id, after, limit)?;
    let ids: Vec<_> = groups.iter().map(|group| group.id).collect();
    let counts = directory_group::count_members(tx, of.id, &ids)?;
    let view = |group: DirectoryGroup| {
        let members = counts.get(&group.id).copied().unwrap_or(0);
        GroupView { group, members }
    };
    Ok(groups.into_iter().map(view).collect())
}
