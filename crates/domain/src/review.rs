//! Reviews: people whom a directory told of and who may be somebody whom the organization knows already.
//!
//! Matching is exact or it is not done: a wrong match gives a stranger's access to a person, or ends the wrong one. What
//! it leaves open is written down for an administrator, who sees both.

use crate::Timestamp;
use crate::directory_user::DirectoryUser;
use crate::id::{DirectoryId, DirectoryUserId, MembershipId, OrganizationId, ReviewId};
use crate::text::texts;

texts! {
    /// Why a person was not matched, though the organization knows their address.
    pub enum ReviewReason {
        /// The domain of the address is not proven: anybody may have written it.
        DomainNotProven = "domain_not_proven",
        /// Several members have one of the addresses.
        SeveralMembers = "several_members",
        /// The directory tells of that member already, under another id.
        AlreadyTold = "already_told",
        /// The member's end is held by the directory's brake.
        EndHeld = "end_held",
        /// The directory that governed the member deleted them, and this one goes on to say that they are active.
        EndedElsewhere = "ended_elsewhere",
        /// Only another address than the one that stands for the person is the same: people write those themselves.
        OtherAddress = "other_address",
        /// Another directory tells of the member, and whoever could speak for the one may not have what the other gives.
        ToldElsewhere = "told_elsewhere",
    }
}

/// What became of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewState {
    /// Nobody has said.
    Open,
    /// They are that member.
    Attached(MembershipId),
    /// They are somebody else. It may still be attached.
    Dismissed,
}

/// A person who may be somebody whom the organization knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Its id.
    pub id: ReviewId,
    /// The organization.
    pub organization: OrganizationId,
    /// The directory that told of the person.
    pub directory: DirectoryId,
    /// The person, as it told of them.
    pub directory_user: DirectoryUserId,
    /// Why they were not matched.
    pub reason: ReviewReason,
    /// The members that they may be; twenty at most.
    pub candidates: Vec<MembershipId>,
    /// When it came up.
    pub created_at: Timestamp,
    /// What became of it.
    pub state: ReviewState,
}

impl Review {
    /// An open one of whom a directory told of.
    #[must_use]
    pub fn new(
        id: ReviewId,
        told: &DirectoryUser,
        (reason, candidates): (ReviewReason, Vec<MembershipId>),
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            organization: told.organization,
            directory: told.directory,
            directory_user: told.id,
            reason,
            candidates,
            created_at: now,
            state: ReviewState::Open,
        }
    }
}
