//! Environments: parts of an organization with sign-in rules of their own.

use crate::id::{EnvironmentId, OrganizationId};
use crate::text::Slug;
use crate::time::Timestamp;

/// An environment of one organization. Every organization has `production`, which is never deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Its name in the API, never changed.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}
