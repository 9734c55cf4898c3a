//! Directories: sources of facts about people and groups.

use crate::brake::Brake;
use crate::id::{ConnectionId, DirectoryId, OrganizationId};
use crate::text::{Slug, texts};
use crate::time::Timestamp;

/// How long a person who lost the last granting group stays suspended before the end, if the directory says nothing
/// else, in seconds: providers move people by remove, then add.
pub const DEFAULT_SETTLE_S: i64 = 3600;
/// The longest settling time, in seconds: 30 days.
pub const MAX_SETTLE_S: i64 = 30 * 24 * 3600;

texts! {
    /// How a directory learns its facts.
    pub enum DirectoryKind {
        /// A provider pushes them by SCIM 2.0.
        Scim = "scim",
        /// A connection's claims carry them at sign-in.
        Claims = "claims",
        /// Google Workspace is asked for them, again and again.
        Google = "google",
    }
}

impl DirectoryKind {
    /// Whether it tells of people all the time, whoever signs in or does not: such a directory governs, whoever came
    /// first; claims govern only people whom they brought.
    #[must_use]
    pub const fn tells_of_everybody(self) -> bool {
        match self {
            Self::Scim | Self::Google => true,
            Self::Claims => false,
        }
    }

    /// Whether what it says of people has organizational units, which mappings can name. A provider that speaks SCIM
    /// has groups and attributes instead.
    #[must_use]
    pub const fn has_org_units(self) -> bool {
        match self {
            Self::Scim | Self::Claims => false,
            Self::Google => true,
        }
    }
}

/// A directory of one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Its id; part of its SCIM base URL.
    pub id: DirectoryId,
    /// The organization it feeds.
    pub organization: OrganizationId,
    /// How it learns its facts.
    pub kind: DirectoryKind,
    /// Its name for people.
    pub name: String,
    /// The role of people in no mapped group; `None` means no access for them.
    pub default_role: Option<Slug>,
    /// Seconds between the loss of the last granting group and the end.
    pub settle_s: i64,
    /// What holds endings above a limit; `None` while nothing does.
    pub brake: Option<Brake>,
    /// Since when members of a group that is a member of another count as members of that; `None` while they do not.
    pub nested_at: Option<Timestamp>,
    /// The connection whose claims it holds, for [`DirectoryKind::Claims`].
    pub connection: Option<ConnectionId>,
    /// When it was made.
    pub created_at: Timestamp,
}
