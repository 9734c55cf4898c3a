//! Connections: configured identity providers for sign-in.

use serde::{Deserialize, Serialize};

use crate::id::{ConnectionId, DirectoryId, MembershipId, OrganizationId};
use crate::role::Rank;
use crate::text::{Slug, texts};
use crate::time::Timestamp;

texts! {
    /// The protocol that a connection speaks.
    pub enum ConnectionKind {
        /// OpenID Connect.
        Oidc = "oidc",
        /// SAML 2.0.
        Saml = "saml",
    }
}

/// What becomes of people whom a provider knows as guests: they are at home at another one, which nobody here chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guests {
    /// They are refused.
    #[default]
    Refuse,
    /// They come in like everybody, and bear a mark.
    Accept,
}

/// What becomes of somebody of whose groups the provider sent no whole list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overage {
    /// They are refused.
    #[default]
    Refuse,
    /// Microsoft Graph is asked for the whole list, in the name of our client.
    AskGraph,
}

/// How a connection reads what its provider says of people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimRules {
    /// Whose ways are followed (OpenID); `None` for those that the issuer tells by itself.
    pub preset: Option<String>,
    /// What becomes of guests.
    pub guests: Guests,
    /// What becomes of lists of groups that were cut off (OpenID).
    pub overage: Overage,
}

texts! {
    /// What one of our own keys is for.
    pub enum KeyState {
        /// Published, so that the provider knows it before it signs; what SAML encrypts for it is decrypted.
        Next = "next",
        /// It signs. One of a connection does.
        Signing = "signing",
        /// Published and decrypts still, for a provider that has not read what we publish again.
        Former = "former",
        /// No longer anything.
        Retired = "retired",
    }
}

impl KeyState {
    /// Whether what we publish names it, and what is encrypted for it is decrypted.
    #[must_use]
    pub const fn is_published(self) -> bool {
        match self {
            Self::Next | Self::Signing | Self::Former => true,
            Self::Retired => false,
        }
    }
}

/// A connection of one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its id; part of its URLs.
    pub id: ConnectionId,
    /// The organization.
    pub organization: OrganizationId,
    /// The protocol.
    pub kind: ConnectionKind,
    /// Its name for people.
    pub name: String,
    /// The issuer (SAML: the provider's entity id), compared byte for byte.
    pub issuer: String,
    /// Our client id at the provider (SAML: our entity id).
    pub client_id: String,
    /// Our client secret, sealed with a key outside the database. Empty where a key of ours takes its place, and for SAML.
    pub client_secret_sealed: String,
    /// The directory that governs the people who sign in here.
    pub directory: Option<DirectoryId>,
    /// Where groups from claims are kept, and what mappings of claims name.
    pub claims_directory: DirectoryId,
    /// Since when a first sign-in may make a membership.
    pub jit_at: Option<Timestamp>,
    /// The claim or attribute that carries groups.
    pub groups_claim: Option<String>,
    /// How it reads what its provider says of people.
    pub claim_rules: ClaimRules,
    /// The environment that its sessions act in.
    pub environment: Slug,
    /// E-mail domains that are routed here.
    pub domains: Vec<String>,
    /// What waits for an owner: issuer, keys or metadata that somebody below owner chose.
    pub unconfirmed: Option<Unconfirmed>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// That somebody below owner chose whom a connection speaks to, and no owner has confirmed it since. Whoever did may have the
/// provider say that they are anybody: so it speaks of nobody who has an explicit-only role, or stands above them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unconfirmed {
    /// When it was first so chosen.
    pub at: Timestamp,
    /// How high the lowest stood who chose.
    pub chosen_from: Rank,
    /// When it was last so chosen.
    pub chosen_at: Timestamp,
}

impl Connection {
    /// The connection once somebody of that rank has chosen whom it speaks to.
    #[must_use]
    pub fn chosen_by(self, rank: Rank, now: Timestamp) -> Self {
        if rank >= Rank::OWNER {
            return self;
        }
        let (at, lowest) = self.unconfirmed.map_or((now, rank), |before| (before.at, before.chosen_from));
        let chosen = Unconfirmed { at, chosen_from: lowest.min(rank), chosen_at: now };
        Self { unconfirmed: Some(chosen), ..self }
    }

    /// The connection once somebody of that rank has changed anything else of it: whoever looked at it before, while it waits
    /// for an owner, looks again. What was changed and changed back may have let somebody in meanwhile.
    #[must_use]
    pub fn changed_by(self, rank: Rank, now: Timestamp) -> Self {
        let waits = self.unconfirmed.filter(|_| rank < Rank::OWNER);
        let changed = waits.map(|waits| Unconfirmed { chosen_at: now, ..waits });
        Self { unconfirmed: changed.or(self.unconfirmed), ..self }
    }
}

/// A subject of a connection that is a membership: the identity that sign-in goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The connection.
    pub connection: ConnectionId,
    /// The organization.
    pub organization: OrganizationId,
    /// The provider's subject, exact.
    pub subject: String,
    /// Whose it is.
    pub membership: MembershipId,
    /// How far the word is believed by which it was made.
    pub believed_up_to: Rank,
    /// The fingerprint of the provider's certificate without which it would not be there; empty if there is none.
    pub signed_by: String,
    /// When it was made.
    pub created_at: Timestamp,
}
