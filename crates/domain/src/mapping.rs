//! Mappings: members of this directory group get this role, team, environment.

use serde::{Deserialize, Serialize};

use crate::id::{DirectoryId, MappingId, OrganizationId};
use crate::team::TeamRole;
use crate::text::{Slug, name_key};
use crate::time::Timestamp;

/// Which members of a directory a mapping is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MappingSource {
    /// The group with this `externalId`: survives a rename, and a group that is made anew if the provider keeps ids.
    GroupExternalId(String),
    /// The group with this id: survives a rename, never matches another group.
    GroupId(String),
    /// The group with this name: changes hands when the provider renames groups.
    GroupDisplayName(String),
}

impl MappingSource {
    /// The two columns that an index finds it by: what is compared, and with which value.
    #[must_use]
    pub fn key(&self) -> (&'static str, String) {
        match self {
            Self::GroupExternalId(v) => ("group_external_id", v.clone()),
            Self::GroupId(v) => ("group_id", v.clone()),
            Self::GroupDisplayName(v) => ("group_display_name", name_key(v)),
        }
    }
}

/// What a mapping gives. At least one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gives {
    /// A role; never an explicit-only one.
    pub role: Option<Slug>,
    /// A team, and what one is in it.
    pub team: Option<(Slug, TeamRole)>,
    /// An environment.
    pub environment: Option<Slug>,
}

impl Gives {
    /// Whether it gives nothing at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.role.is_none() && self.team.is_none() && self.environment.is_none()
    }
}

/// A mapping of one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Its id.
    pub id: MappingId,
    /// The organization.
    pub organization: OrganizationId,
    /// The directory whose facts it reads.
    pub directory: DirectoryId,
    /// Whom it is about.
    pub source: MappingSource,
    /// The value of the source as it was written.
    pub written: String,
    /// What it gives.
    pub gives: Gives,
    /// When it was made.
    pub created_at: Timestamp,
}
