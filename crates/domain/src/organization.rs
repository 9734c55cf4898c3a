//! Organizations: what everything but users belongs to exactly once.

use crate::id::OrganizationId;
use crate::text::Slug;
use crate::time::Timestamp;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name in URLs, never changed.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// Raised by every change of rules that was too large to be carried out at once; access stored under a lower
    /// number is resolved again before it is used.
    pub rules_number: i64,
    /// When it was made.
    pub created_at: Timestamp,
}
