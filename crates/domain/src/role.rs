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

/// The shape of a role that every organization is born with.
pub struct BuiltIn {
    /// Its slug.
    pub slug: &'static str,
    /// Its rank.
    pub rank: u16,
    /// Whether automation may give it.
    pub giving: Giving,
}

/// The roles that every organization is born with, highest first.
pub const BUILT_IN: [BuiltIn; 5] = [
    BuiltIn { slug: "owner", rank: 900, giving: Giving::ExplicitOnly },
    BuiltIn { slug: "admin", rank: 700, giving: Giving::Anyhow },
    BuiltIn { slug: "lead", rank: 500, giving: Giving::Anyhow },
    BuiltIn { slug: "member", rank: 300, giving: Giving::Anyhow },
    BuiltIn { slug: "viewer", rank: 100, giving: Giving::Anyhow },
];

impl BuiltIn {
    /// What the role allows.
    #[must_use]
    pub fn permissions(&self) -> BTreeSet<Permission> {
        let all = Permission::ALL.iter().copied();
        match self.slug {
            "owner" => all.collect(),
            "admin" => all.filter(|p| !p.is_explicit_only()).collect(),
            // `lead` gives nothing organization-wide beyond a member's: what it adds holds only in the teams where
            // the team role is `admin`, and is decided where people and agents of a team are managed.
            "lead" | "member" => [Permission::Use].into(),
            _ => all.filter(|p| p.as_str().ends_with(".read")).collect(),
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
