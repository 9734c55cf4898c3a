//! Teams: groups of memberships inside an organization.

use crate::id::{OrganizationId, TeamId};
use crate::text::{Slug, texts};
use crate::time::Timestamp;

texts! {
    /// What somebody is in a team.
    pub enum TeamRole {
        /// Belongs to the team.
        Member = "member",
        /// Manages its people and agents, if the organization role is `lead` or higher.
        Admin = "admin",
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
