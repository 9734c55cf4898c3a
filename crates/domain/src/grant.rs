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

impl Grant {
    /// The ownership of whoever is the first owner of their organization, by the root token.
    #[must_use]
    pub fn of_first_owner(
        id: GrantId,
        (organization, membership): (OrganizationId, MembershipId),
        request: Option<RequestId>,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            organization,
            membership,
            role: Slug::owner(),
            granted_by: None,
            reason: "first owner".to_owned(),
            request,
            created_at,
            ended_at: None,
        }
    }
}
