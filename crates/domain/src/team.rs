//! Teams: groups of memberships inside an organization.

use serde::{Deserialize, Serialize};

use crate::id::{OrganizationId, TeamId};
use crate::text::Slug;
use crate::time::Timestamp;

/// What somebody is in a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamRole {
    /// Belongs to the team.
    Member,
    /// Manages its people and agents, if the organization role is `lead` or higher.
    Admin,
}

impl TeamRole {
    /// The text in the API and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }
}

/// A team of one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Its name in the API, never changed.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}
