//! Holds: what the brake keeps from being carried out, until an administrator says so (invariant I12).
//!
//! A hold is a fact. [`crate::access::resolve`] reads it like what a directory said, so that the same facts give the same
//! access in whatever order they came.

use crate::Timestamp;
use crate::access::EndedBecause;
use crate::cause::Cause;
use crate::id::{DirectoryGroupId, DirectoryId, HoldId, MappingId, MembershipId, OrganizationId};
use crate::text::texts;

texts! {
    /// What is held.
    pub enum HoldKind {
        /// Endings: each person is suspended and their end waits.
        Endings = "endings",
        /// What groups gave that a call took without naming anybody: each person keeps it.
        Losses = "losses",
        /// People who were missing from a poll: they stay as they are.
        Missing = "missing",
    }
}

/// One occasion on which a directory went over its limit. It gathers endings until it is closed; what a call or a poll
/// took without naming anybody is one of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// The organization.
    pub organization: OrganizationId,
    /// The directory whose limit it is.
    pub directory: DirectoryId,
    /// What is held.
    pub kind: HoldKind,
    /// The group that lost members or was deleted, for [`HoldKind::Losses`].
    pub group: Option<(DirectoryGroupId, String)>,
    /// What made it.
    pub cause: Cause,
    /// When it began.
    pub opened_at: Timestamp,
}

texts! {
    /// Where a hold stands: it follows from its people.
    pub enum HoldState {
        /// Somebody waits for an administrator.
        Open = "open",
        /// Only people are left whose part was refused.
        Refused = "refused",
        /// Nobody is left.
        Closed = "closed",
    }
}

impl HoldState {
    /// Where a hold stands of whose people that many wait and that many were refused.
    #[must_use]
    pub const fn of(waiting: i64, refused: i64) -> Self {
        match (waiting, refused) {
            (0, 0) => Self::Closed,
            (0, _) => Self::Refused,
            _ => Self::Open,
        }
    }
}

texts! {
    /// Where one person's part of a hold stands.
    pub enum HeldState {
        /// Waits for an administrator.
        Held = "held",
        /// An administrator refused it: it stays as it is until the directory says otherwise, or it is released after all.
        Refused = "refused",
    }
}

/// A person whose end is held.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldEnding {
    /// Who.
    pub membership: MembershipId,
    /// In which hold.
    pub hold: HoldId,
    /// Why they would end.
    pub because: EndedBecause,
    /// What would have ended them.
    pub cause: Cause,
    /// Since when.
    pub at: Timestamp,
}

/// What somebody keeps in a hold of [`HoldKind::Losses`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// The group that lost them, or what it gave.
    pub group: DirectoryGroupId,
    /// The group that they were in themselves: that one, or one below it.
    pub through: DirectoryGroupId,
    /// What they keep.
    pub mapping: MappingId,
}
