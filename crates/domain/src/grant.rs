//! Grants: explicit, audited assignments of a role by a person. A grant gives a role, never life.

use crate::id::{GrantId, MembershipId, OrganizationId, RequestId};
use crate::text::Slug;
use crate::time::Timestamp;

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The organization.
    pub organization: OrganizationId,
    /// Who got the role.
    pub membership: MembershipId,
    /// The role.
    pub role: Slug,
    /// Who gave it: a membership, or `None` for the root token.
    pub granted_by: Option<MembershipId>,
    /// Why, in the words of who gave it.
    pub reason: String,
    /// The request that gave it.
    pub request: Option<RequestId>,
    /// When it was given.
    pub created_at: Timestamp,
    /// When it was taken back, or ended with the membership.
    pub ended_at: Option<Timestamp>,
}
