//! Memberships: a person in an organization. The unit of access and of off-boarding.

use crate::access::{Access, EndedBecause};
use crate::id::{DirectoryId, MembershipId, OrganizationId, UserId};
use crate::role::Rank;
use crate::text::{Slug, texts};
use crate::time::Timestamp;

texts! {
    /// What a membership is worth now.
    pub enum MembershipState {
        /// Waits for the person to accept.
        Invited = "invited",
        /// May act.
        Active = "active",
        /// Everything is refused, nothing has ended.
        Suspended = "suspended",
        /// Ended for good; only its directory can give it life again, without anything it had.
        Deprovisioned = "deprovisioned",
    }
}

/// Somebody who is to have a membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    /// The id that the membership has from now on.
    pub id: MembershipId,
    /// The organization.
    pub organization: OrganizationId,
    /// The human behind it.
    pub user: UserId,
    /// The address that stands for it here, as written.
    pub email: String,
    /// The person's name, as the source gave it.
    pub name: String,
}

/// What is known of a membership itself: the facts that [`crate::access::resolve`] reads, and the access that was
/// stored last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Its id.
    pub id: MembershipId,
    /// The organization.
    pub organization: OrganizationId,
    /// The human behind it.
    pub user: UserId,
    /// The address that stands for it here, as written.
    pub email: String,
    /// The person's name, as the source gave it.
    pub name: String,
    /// When the person accepted an invitation, became first owner, or was put here by the root token: life of its
    /// own, which counts while no directory governs.
    pub joined_at: Option<Timestamp>,
    /// The directory that governs, from the first moment when it gave life or said inactive.
    pub governed_by: Option<DirectoryId>,
    /// When an administrator suspended it.
    pub suspended_at: Option<Timestamp>,
    /// When the last mapping was lost; after the directory's `settle_s` it ends for good.
    pub unmapped_at: Option<Timestamp>,
    /// When it ended, and why.
    pub ended: Option<(Timestamp, EndedBecause)>,
    /// Set on a last owner who left: the ownership stays, bare, so that the organization keeps one (I2).
    pub bare_owner_at: Option<Timestamp>,
    /// The access that was resolved last.
    pub access: Access,
    /// The organization's rules number when that was; 0 means stale.
    pub rules_number: i64,
    /// When it came to be.
    pub created_at: Timestamp,
    /// How far it is believed that the person opened its link: as far as everybody stood then who had seen it.
    pub believed_up_to: Rank,
}

impl Membership {
    /// A new one, of whom no fact is known yet, with `state` and nothing else until it is resolved.
    #[must_use]
    pub fn new(who: Newcomer, state: MembershipState, rules_number: i64, now: Timestamp) -> Self {
        let Newcomer { id, organization, user, email, name } = who;
        Self {
            id,
            organization,
            user,
            email,
            name,
            joined_at: None,
            governed_by: None,
            suspended_at: None,
            unmapped_at: None,
            ended: None,
            bare_owner_at: None,
            access: Access::none(state),
            rules_number,
            created_at: now,
            believed_up_to: Rank::ROOT,
        }
    }

    /// The role that was resolved last.
    #[must_use]
    pub const fn role(&self) -> Option<&Slug> {
        self.access.role.as_ref()
    }
}
