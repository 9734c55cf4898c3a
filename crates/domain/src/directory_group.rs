//! Groups as a directory told them. Members live in a join table: adding one touches one row.

use crate::id::{DirectoryGroupId, DirectoryId, OrganizationId};
use crate::time::Timestamp;

/// A group as a directory told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryGroup {
    /// Its id; the `id` of the SCIM Group.
    pub id: DirectoryGroupId,
    /// The organization.
    pub organization: OrganizationId,
    /// The directory that said it.
    pub directory: DirectoryId,
    /// The directory's own key, if it gave one.
    pub external_id: Option<String>,
    /// The name, as written.
    pub display_name: String,
    /// When the directory first told of it.
    pub created_at: Timestamp,
    /// When the directory last changed it or its members.
    pub updated_at: Timestamp,
}

/// How a directory's groups are looked up: what an index of every store answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryGroupQuery {
    /// By `externalId`, exact.
    ExternalId(String),
    /// By `id`.
    Id(DirectoryGroupId),
    /// By `displayName`, not case exact.
    DisplayName(String),
    /// By how `externalId` begins, exact.
    ExternalIdPrefix(String),
    /// By how `displayName` begins, not case exact.
    DisplayNamePrefix(String),
}
