//! Roles: named, ranked sets of permissions.
//!
//! Rank decides who may give what to whom; an explicit-only role can be given by a person only (invariant I2).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{OrganizationId, RoleId};
use crate::permission::Permission;
use crate::refusal::Refusal;
use crate::text::Slug;
use crate::time::Timestamp;

/// How high a role stands: 1–999, unique in an organization, higher outranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rank(u16);

impl Rank {
    /// The root token: above every role.
    pub const ROOT: Self = Self(1000);
    /// Somebody without a role: below every role.
    pub const NONE: Self = Self(0);
    /// The built-in owner.
    pub const OWNER: Self = Self(900);
    /// The built-in lead: from here up a team role of `admin` manages the team's people and agents.
    pub const LEAD: Self = Self(500);

    /// A rank for a role.
    ///
    /// # Errors
    /// [`Refusal::RankOutOfRange`] unless it is 1–999.
    pub const fn new(rank: i64) -> Result<Self, Refusal> {
        if rank >= 1 && rank <= 999 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be 1–999"
            )]
            return Ok(Self(rank as u16));
        }
        Err(Refusal::RankOutOfRange)
    }

    /// A rank as it is stored, of those too that no role has: that of nobody, and that of the root token.
    ///
    /// # Errors
    /// [`Refusal::RankOutOfRange`] unless it is 0–1000.
    pub const fn kept(rank: i64) -> Result<Self, Refusal> {
        match rank {
            0 => Ok(Self::NONE),
            1000 => Ok(Self::ROOT),
            other => Self::new(other),
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0 as i64
    }
}

/// Whether automation may give a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Giving {
    /// A mapping, a default or a person may give it.
    Anyhow,
    /// Only a person may give it, by a grant.
    ExplicitOnly,
}

/// A role of one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: RoleId,
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Its name in the API, never changed.
    pub slug: Slug,
    /// How high it stands.
    pub rank: Rank,
    /// What it allows.
    pub permissions: BTreeSet<Permission>,
    /// Whether automation may give it.
    pub giving: Giving,
    /// Set for the five roles that every organization has: they are neither changed nor deleted.
    pub built_in_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A role that every organization is born with, highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BuiltInRole {
    /// May do everything.
    Owner,
    /// May do everything but what makes owners.
    Admin,
    /// Gives nothing organization-wide beyond a member's: what it adds holds only in the teams where the team role is
    /// `admin`, and is decided where people and agents of a team are managed.
    Lead,
    /// Uses what it is given.
    Member,
    /// Sees and does not act.
    Viewer,
}

impl BuiltInRole {
    /// Every one, highest first.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Lead, Self::Member, Self::Viewer];

    /// Its name in the API.
    #[must_use]
    pub fn slug(self) -> Slug {
        Slug::ours(match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Lead => "lead",
            Self::Member => "member",
            Self::Viewer => "viewer",
        })
    }

    /// How high it stands.
    #[must_use]
    pub const fn rank(self) -> Rank {
        match self {
            Self::Owner => Rank::OWNER,
            Self::Admin => Rank(700),
            Self::Lead => Rank::LEAD,
            Self::Member => Rank(300),
            Self::Viewer => Rank(100),
        }
    }

    /// Whether automation may give it.
    #[must_use]
    pub const fn giving(self) -> Giving {
        match self {
            Self::Owner => Giving::ExplicitOnly,
            Self::Admin | Self::Lead | Self::Member | Self::Viewer => Giving::Anyhow,
        }
    }

    /// What it allows.
    #[must_use]
    pub fn permissions(self) -> BTreeSet<Permission> {
        let all = Permission::ALL.iter().copied();
        match self {
            Self::Owner => all.collect(),
            Self::Admin => all.filter(|p| !p.is_explicit_only()).collect(),
            Self::Lead | Self::Member => [Permission::Use].into(),
            Self::Viewer => all.filter(|p| p.as_str().ends_with(".read")).collect(),
        }
    }
}

/// May somebody of rank `giver` give, take or change a role?
///
/// # Errors
/// [`Refusal::AboveOwnRank`] if the role stands higher than the giver.
pub fn may_give(giver: Rank, role: Rank) -> Result<(), Refusal> {
    if role > giver { Err(Refusal::AboveOwnRank) } else { Ok(()) }
}

/// May automation give this role?
///
/// # Errors
/// [`Refusal::RoleIsExplicitOnly`] if only a person may (invariant I2).
pub const fn may_be_mapped(giving: Giving) -> Result<(), Refusal> {
    match giving {
        Giving::Anyhow => Ok(()),
        Giving::ExplicitOnly => Err(Refusal::RoleIsExplicitOnly),
    }
}

/// Are these permissions allowed in such a role?
///
/// # Errors
/// [`Refusal::PermissionIsExplicitOnly`] if a role that automation may give would hold a permission over owners.
pub fn check_permissions(giving: Giving, permissions: &BTreeSet<Permission>) -> Result<(), Refusal> {
    if giving == Giving::Anyhow && permissions.iter().any(|p| p.is_explicit_only()) {
        return Err(Refusal::PermissionIsExplicitOnly);
    }
    Ok(())
}
