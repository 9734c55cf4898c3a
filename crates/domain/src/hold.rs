//! Holds: what the brake keeps from being carried out, until an administrator says so (invariant I12).
//!
//! A hold is a fact. [`crate::access::resolve`] reads it like what a directory said, so that the same facts give the same
//! access in whatever order they came.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::access::EndedBecause;
use crate::cause::Cause;
use crate::id::{DirectoryGroupId, DirectoryId, HoldId, MembershipId, OrganizationId};

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldKind {
    /// Endings: each person is suspended and their end waits.
    Endings,
    /// What groups gave that a call took without naming anybody: each person keeps it.
    Losses,
    /// People who were missing from a poll: they stay as they are.
    Missing,
}

impl HoldKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Endings, Self::Losses, Self::Missing];

    /// The text in the API and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Endings => "endings",
            Self::Losses => "losses",
            Self::Missing => "missing",
        }
    }

    /// The kind of that text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
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

/// Where a hold stands: it follows from its people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// Somebody waits for an administrator.
    Open,
    /// Only people are left whose part was refused.
    Refused,
    /// Nobody is left.
    Closed,
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

    /// The text in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Closed => "closed",
        }
    }
}

/// Where one person's part of a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeldState {
    /// Waits for an administrator.
    Held,
    /// An administrator refused it: it stays as it is until the directory says otherwise, or it is released after all.
    Refused,
}

impl HeldState {
    /// Every state.
    pub const ALL: [Self; 2] = [Self::Held, Self::Refused];

    /// The text in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Refused => "refused",
        }
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
