//! What the domain refuses, as one closed list with stable codes.

use thiserror::Error;

use crate::text::TextError;

/// Why a wish is not granted. The code is stable; the sentence is for people.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A text is not what it must be.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The rank is not 1–999.
    #[error("a rank is a number from 1 to 999")]
    RankOutOfRange,
    /// Another role has that rank.
    #[error("another role of this organization has that rank")]
    RankTaken,
    /// The role stands above the caller's own.
    #[error("nobody gives, takes or changes what stands above their own rank")]
    AboveOwnRank,
    /// Automation cannot give an explicit-only role.
    #[error("the role is explicit only: a person gives it by a grant, no mapping or default can")]
    RoleIsExplicitOnly,
    /// A role that automation may give cannot hold a permission over owners and roles.
    #[error("permissions over roles and the organization exist in explicit-only roles only")]
    PermissionIsExplicitOnly,
    /// A built-in role, or `production`, stays as it is.
    #[error("it is built in: it is neither changed nor deleted")]
    BuiltIn,
    /// Several people may have the secret that asks for another one.
    #[error(
        "this key was issued by one that others had seen, so it issues nothing: ask with a key of your own"
    )]
    SeenByOthers,
    /// The membership is not active.
    #[error("the membership is not active")]
    MemberInactive,
    /// The agent is not in a state from which that is possible.
    #[error("the agent's state does not allow that")]
    AgentState,
    /// The membership does not have the environment.
    #[error("the membership does not have this environment")]
    OtherEnvironment,
    /// A mapping gives nothing.
    #[error("a mapping gives a role, a team or an environment")]
    MappingGivesNothing,
    /// A mapping of an organizational unit, where there are none.
    #[error("this kind of directory has no organizational units: map a group or a value of an attribute")]
    NoOrgUnits,
    /// Limits of a brake that cannot be meant.
    #[error("a brake has `max_people` (0–10,000,000), `max_percent` (0–100) or both; null switches it off")]
    InvalidBrake,
    /// Just-in-time accounts and a governing directory exclude each other.
    #[error("a connection with a governing directory makes no accounts at sign-in")]
    JitUnderDirectory,
    /// The last owner cannot be taken out by hand; somebody else must be owner first.
    #[error("the organization's last owner stays: make somebody else owner first")]
    LastOwner,
    /// The identifier belongs to somebody who left.
    #[error("the person left; only their directory or an administrator brings them back")]
    Tombstoned,
    /// No mapping or default gives a role.
    #[error("no mapping or default gives this person a role")]
    NoRoleMapped,
}

impl Refusal {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Text(TextError::Slug) => "invalid_slug",
            Self::Text(TextError::Email) => "invalid_email",
            Self::Text(TextError::Domain) => "invalid_domain",
            Self::Text(TextError::Name) => "invalid_name",
            Self::RankOutOfRange => "rank_out_of_range",
            Self::RankTaken => "rank_taken",
            Self::AboveOwnRank => "above_own_rank",
            Self::RoleIsExplicitOnly => "role_is_explicit_only",
            Self::PermissionIsExplicitOnly => "permission_is_explicit_only",
            Self::BuiltIn => "built_in",
            Self::SeenByOthers => "seen_by_others",
            Self::MemberInactive => "member_inactive",
            Self::AgentState => "agent_state",
            Self::OtherEnvironment => "other_environment",
            Self::MappingGivesNothing => "mapping_gives_nothing",
            Self::NoOrgUnits => "no_org_units",
            Self::InvalidBrake => "invalid_brake",
            Self::JitUnderDirectory => "jit_under_directory",
            Self::LastOwner => "last_owner",
            Self::Tombstoned => "tombstoned",
            Self::NoRoleMapped => "no_role_mapped",
        }
    }
}
