//! Tokens: everything that lets its bearer act. One table, one state machine.
//!
//! A kind is covered by off-boarding on the day it is born, because the end of a membership names no kinds.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::audit::Target;
use crate::id::{
    AgentId, ConnectionId, DirectoryId, EventId, IdError, MembershipId, OrganizationId, TokenId,
};
use crate::role::Rank;
use crate::secret::SecretHash;
use crate::text::{Slug, texts};
use crate::time::Timestamp;

texts! {
    /// What kind of token it is.
    pub enum TokenKind {
        /// A browser's session: of one membership, one environment, one connection or local sign-in.
        Session = "session",
        /// A key that acts as a membership.
        MemberKey = "member_key",
        /// A key that acts as an agent.
        AgentKey = "agent_key",
        /// A key of the organization for asking about others.
        ServiceKey = "service_key",
        /// The bearer token of a SCIM directory.
        ScimToken = "scim_token",
        /// A link by which an invited person joins.
        Invitation = "invitation",
        /// A link by which the first owner comes in.
        OwnerLink = "owner_link",
    }
}

impl TokenKind {
    /// What stands between `pc_` and the digits of its secret.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::MemberKey => "key",
            Self::AgentKey => "agent",
            Self::ServiceKey => "service",
            Self::ScimToken => "scim",
            Self::Invitation => "invite",
            Self::OwnerLink => "owner",
        }
    }

    /// Whether it stays good when whoever its secret was shown to goes: what the whole organization runs by stands in
    /// their receipt as to be rotated instead.
    #[must_use]
    pub const fn outlives_whom_it_was_shown_to(self) -> bool {
        match self {
            Self::ServiceKey | Self::ScimToken => true,
            Self::Session | Self::MemberKey | Self::AgentKey | Self::Invitation | Self::OwnerLink => false,
        }
    }
}

/// Whose token it is. What it needs to be alive follows from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum Holder {
    /// Acts as that membership, while it is active.
    Membership(MembershipId),
    /// Acts as that agent, while it and its owner are active.
    Agent(AgentId),
    /// Speaks for that directory.
    Directory(DirectoryId),
    /// Asks for that organization.
    Organization(OrganizationId),
}

impl Holder {
    /// The text in the database.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Membership(_) => "membership",
            Self::Agent(_) => "agent",
            Self::Directory(_) => "directory",
            Self::Organization(_) => "organization",
        }
    }

    /// The id as text.
    #[must_use]
    pub fn id(self) -> String {
        match self {
            Self::Membership(id) => id.to_string(),
            Self::Agent(id) => id.to_string(),
            Self::Directory(id) => id.to_string(),
            Self::Organization(id) => id.to_string(),
        }
    }

    /// The membership, if it acts as one.
    #[must_use]
    pub const fn membership(self) -> Option<MembershipId> {
        match self {
            Self::Membership(id) => Some(id),
            Self::Agent(_) | Self::Directory(_) | Self::Organization(_) => None,
        }
    }
}

impl From<Holder> for Target {
    fn from(holder: Holder) -> Self {
        Self { kind: holder.kind().to_owned(), id: holder.id() }
    }
}

impl FromStr for Holder {
    type Err = IdError;

    /// The holder of that id, which says by its prefix what it is an id of.
    fn from_str(id: &str) -> Result<Self, IdError> {
        match id.split_once('_').map(|(prefix, _)| prefix) {
            Some(MembershipId::PREFIX) => id.parse().map(Self::Membership),
            Some(AgentId::PREFIX) => id.parse().map(Self::Agent),
            Some(DirectoryId::PREFIX) => id.parse().map(Self::Directory),
            _ => id.parse().map(Self::Organization),
        }
    }
}

/// To whom the secret was shown when it was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", content = "id")]
pub enum ShownTo {
    /// To a member: it ends with them, or stands in their receipt as to be rotated.
    Membership(MembershipId),
    /// To whoever holds the root token.
    Root,
    /// To nobody but the browser that it was made for.
    Bearer,
}

impl ShownTo {
    /// What the database keeps as that.
    #[must_use]
    pub fn read(kind: &str, membership: Option<MembershipId>) -> Option<Self> {
        match (kind, membership) {
            ("membership", Some(id)) => Some(Self::Membership(id)),
            ("root", None) => Some(Self::Root),
            ("bearer", None) => Some(Self::Bearer),
            _ => None,
        }
    }

    /// The text in the database.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Membership(_) => "membership",
            Self::Root => "root",
            Self::Bearer => "bearer",
        }
    }

    /// The membership, if it was one.
    #[must_use]
    pub const fn membership(self) -> Option<MembershipId> {
        match self {
            Self::Membership(id) => Some(id),
            Self::Root | Self::Bearer => None,
        }
    }
}

texts! {
    /// What a service key may ask.
    pub enum Scope {
        /// Ask for decisions.
        Evaluate = "evaluate",
        /// Introspect tokens.
        Introspect = "introspect",
        /// Follow revocations.
        Revocations = "revocations",
    }
}

texts! {
    /// Why a token ended.
    pub enum TokenEnd {
        /// Its membership, or the membership that its secret was shown to, was off-boarded.
        OffBoarded = "off_boarded",
        /// Its agent was disabled.
        AgentDisabled = "agent_disabled",
        /// Somebody with the right ended it.
        Revoked = "revoked",
        /// Its bearer signed out.
        SignedOut = "signed_out",
        /// It was used, and is good for one use.
        Used = "used",
        /// A newer one took its place.
        Replaced = "replaced",
        /// What it belonged to was deleted.
        HolderDeleted = "holder_deleted",
        /// A backup was restored: nothing that lived in it may act.
        Restored = "restored",
        /// The certificate by which it came in was retired.
        CertificateRetired = "certificate_retired",
    }
}

/// The end of a token. Nothing leads back from here (I4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub because: TokenEnd,
    /// The audit event that ended it.
    pub by: EventId,
}

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id, the same wherever it is named.
    pub id: TokenId,
    /// The organization.
    pub organization: OrganizationId,
    /// Its kind.
    pub kind: TokenKind,
    /// Whose it is.
    pub holder: Holder,
    /// The token that opened it, if one did. What it opened for its bearer alone ends with it; what somebody else saw
    /// too ends with them, and with whoever has that token.
    pub parent: Option<TokenId>,
    /// To whom its secret was shown.
    pub shown_to: ShownTo,
    /// What is kept of the secret.
    pub secret: SecretHash,
    /// Its name for people; empty for sessions.
    pub name: String,
    /// Where it may act; `None` for tokens that are not about an environment.
    pub environment: Option<Slug>,
    /// Since when it is worth nothing outside of that, whatever becomes of its holder's environments: from the beginning, or
    /// never.
    pub confined_at: Option<Timestamp>,
    /// What a service key may ask.
    pub scopes: Vec<Scope>,
    /// The connection that a session came in by; `None` for local sign-in.
    pub connection: Option<ConnectionId>,
    /// As whom that connection's provider named the person: by which of their links a session came in.
    pub subject: Option<String>,
    /// How far the way in was believed by which its session, or whoever issued it, came, when it was issued. The link or the
    /// password behind it may be believed further since.
    pub believed_up_to: Rank,
    /// The e-mail key that an invitation or owner link is for.
    pub address_key: Option<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it runs out by itself.
    pub expires_at: Option<Timestamp>,
    /// Seconds without use after which a session ends.
    pub max_idle_s: Option<i64>,
    /// Its end, if it came.
    pub ended: Option<Ended>,
}

impl Token {
    /// One that nothing opened and that says no more of itself than whose it is. Who saw it and how far whoever issued it is
    /// believed stand in no default: of both, the one that is nearest at hand lets in the most.
    #[must_use]
    pub const fn new(
        id: TokenId,
        organization: OrganizationId,
        (kind, holder): (TokenKind, Holder),
        (shown_to, believed_up_to): (ShownTo, Rank),
        secret: SecretHash,
        issued_at: Timestamp,
    ) -> Self {
        Self {
            id,
            organization,
            kind,
            holder,
            parent: None,
            shown_to,
            secret,
            name: String::new(),
            environment: None,
            confined_at: None,
            scopes: Vec::new(),
            connection: None,
            subject: None,
            believed_up_to,
            address_key: None,
            issued_at,
            expires_at: None,
            max_idle_s: None,
            ended: None,
        }
    }
}
