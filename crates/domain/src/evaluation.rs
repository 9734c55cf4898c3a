//! The question that everything is for: may this bearer do this now?
//!
//! Reads one row set that the store finds by the hash of the presented secret, and nothing that grows with the
//! organization. Everything unknown is refused.

use std::collections::BTreeSet;

use crate::Timestamp;
use crate::agent::AgentState;
use crate::id::{AgentId, MembershipId, OrganizationId, TokenId, UserId};
use crate::membership::MembershipState;
use crate::permission::Permission;
use crate::role::{Giving, Rank};
use crate::team::TeamRole;
use crate::text::Slug;
use crate::token::{Holder, Scope, TokenKind};

/// To how many seconds the last use of a token is kept: a write for each would be one a check.
pub const USE_GRAIN_S: i64 = 60;

/// The answer to a question, with its stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The bearer may.
    Allowed,
    /// No token of this organization.
    TokenUnknown,
    /// The token ended.
    TokenEnded,
    /// The token ran out.
    TokenExpired,
    /// The membership behind it is not active.
    MemberInactive,
    /// A person stopped the agent.
    AgentPaused,
    /// The agent's owner ended.
    AgentOrphaned,
    /// The token, or its membership, belongs to another environment.
    OtherEnvironment,
    /// The role has no `use` or stands above whoever saw the secret or chose the way in, or the kind of token cannot act.
    NotPermitted,
}

impl Decision {
    /// Every decision, in the order of the reference page.
    pub const ALL: [Self; 9] = [
        Self::Allowed,
        Self::TokenUnknown,
        Self::TokenEnded,
        Self::TokenExpired,
        Self::MemberInactive,
        Self::AgentPaused,
        Self::AgentOrphaned,
        Self::OtherEnvironment,
        Self::NotPermitted,
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::TokenUnknown => "token_unknown",
            Self::TokenEnded => "token_ended",
            Self::TokenExpired => "token_expired",
            Self::MemberInactive => "member_inactive",
            Self::AgentPaused => "agent_paused",
            Self::AgentOrphaned => "agent_orphaned",
            Self::OtherEnvironment => "other_environment",
            Self::NotPermitted => "not_permitted",
        }
    }

    /// The reason for administrators, in a sentence.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Allowed => "the bearer is active and its role has `use`",
            Self::TokenUnknown => "no token of this organization has that secret",
            Self::TokenEnded => "the token has ended",
            Self::TokenExpired => "the token has expired or was idle for too long",
            Self::MemberInactive => {
                "the membership behind the token, or the one that its secret was shown to, is not active"
            }
            Self::AgentPaused => "the agent is paused",
            Self::AgentOrphaned => "the agent's owner was off-boarded and nobody has taken it over",
            Self::OtherEnvironment => "the bearer does not act in this environment",
            Self::NotPermitted => {
                "the role behind the token has no `use`, stands above whoever else the secret was shown to, saw the link by \
                 which the password was chosen or named the account that signed in, or the token came by a connection that no \
                 owner has confirmed, and the role is explicit only or stands above whoever chose its provider"
            }
        }
    }

    /// Whether the bearer may.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed)
    }
}

/// The membership that a token acts as: its own, or the owner's of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerMember {
    /// The membership.
    pub id: MembershipId,
    /// The user behind it.
    pub user: UserId,
    /// Its address here, as written.
    pub email: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: MembershipState,
    /// Its role.
    pub role: Option<Slug>,
    /// How high that stands.
    pub rank: Rank,
    /// Who may give it.
    pub giving: Giving,
    /// What the role allows.
    pub permissions: BTreeSet<Permission>,
    /// Its teams.
    pub teams: Vec<(Slug, TeamRole)>,
    /// Its environments.
    pub environments: Vec<Slug>,
    /// Until when this may be used; then it is resolved again.
    pub until: Option<Timestamp>,
    /// The rules number under which it was stored.
    pub rules_number: i64,
}

/// Somebody else than the member behind a token, to whom its secret was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerShownTo {
    /// That membership.
    pub id: MembershipId,
    /// Its state.
    pub state: MembershipState,
    /// How high its role stands.
    pub rank: Rank,
    /// Until when this may be used; then it is resolved again.
    pub until: Option<Timestamp>,
    /// The rules number under which it was stored.
    pub rules_number: i64,
}

/// The agent that a token acts as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerAgent {
    /// The agent.
    pub id: AgentId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: AgentState,
}

/// What the store finds for a presented secret, in one look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The token.
    pub token: TokenId,
    /// Its kind.
    pub kind: TokenKind,
    /// Its name.
    pub name: String,
    /// Its organization.
    pub organization: OrganizationId,
    /// The organization's slug.
    pub organization_slug: Slug,
    /// The organization's rules number.
    pub rules_number: i64,
    /// Where the token may act.
    pub environment: Option<Slug>,
    /// Since when it is confined to that, if it was issued so.
    pub confined_at: Option<Timestamp>,
    /// What a service key may ask.
    pub scopes: Vec<Scope>,
    /// Whose it is.
    pub holder: Holder,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it runs out.
    pub expires_at: Option<Timestamp>,
    /// Seconds without use after which it ends.
    pub max_idle_s: Option<i64>,
    /// In which minute it was last used, as far as is known: the minute's beginning.
    pub last_used_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The session that it is, or that issued it, if that came by a connection or by a password that is not believed without
    /// limit.
    pub came_by: Option<TokenId>,
    /// How high the lowest stood who chose the provider of that connection, if no owner had confirmed it when that session
    /// began.
    pub chosen_from: Option<Rank>,
    /// How far it is believed that the person signed in, whose session it is or issued it: as far as the link or the password by
    /// which that came.
    pub believed_up_to: Rank,
    /// The membership behind it.
    pub member: Option<BearerMember>,
    /// The agent that it acts as.
    pub agent: Option<BearerAgent>,
    /// Who else knows the secret: an administrator who issued a key for another's agent, and whoever has the key that
    /// it was issued by.
    pub shown_to: Vec<BearerShownTo>,
}

impl Bearer {
    /// When the token is no longer good by itself: its last instant, or its longest rest since it was used. Of a minute in which
    /// it was used that is reckoned from the end: whoever is there acts on.
    #[must_use]
    pub fn runs_out_at(&self) -> Option<Timestamp> {
        let used_until = self.last_used_at.map(|minute| minute.plus_s(USE_GRAIN_S));
        let idle_since = used_until.unwrap_or(self.issued_at).max(self.issued_at);
        let rested = self.max_idle_s.map(|max| idle_since.plus_s(max));
        self.expires_at.into_iter().chain(rested).min()
    }

    /// Whether the stored access may be used, or must be resolved again first.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        let member = self.member.iter().map(|m| (m.rules_number, m.until));
        let shown_to = self.shown_to.iter().map(|s| (s.rules_number, s.until));
        member
            .chain(shown_to)
            .any(|(number, until)| number < self.rules_number || until.is_some_and(|until| until <= now))
    }

    /// The only environment that the token is worth anything in: its own, where it was issued so, or would be now. That somebody
    /// loses `production` widens nothing of theirs
    /// ([why](../../../docs/decisions/0087-what-is-confined-when-it-is-issued-stays-so.md)).
    #[must_use]
    pub fn confined_to(&self) -> Option<&Slug> {
        let member = self.member.as_ref();
        self.environment.as_ref().filter(|own| {
            self.confined_at.is_some() || member.is_some_and(|member| is_confined(own, &member.environments))
        })
    }

    /// How high the lowest stands who saw the secret; whoever left stands below everybody.
    #[must_use]
    pub fn seen_from(&self) -> Rank {
        let rank = |saw: &BearerShownTo| match saw.state {
            MembershipState::Deprovisioned => Rank::NONE,
            MembershipState::Invited | MembershipState::Active | MembershipState::Suspended => saw.rank,
        };
        self.shown_to.iter().map(rank).min().unwrap_or(Rank::ROOT)
    }

    /// How high the lowest stands who could have come in in the person's place: by a password that they may have chosen, or by a
    /// provider that they chose and no owner has confirmed.
    #[must_use]
    pub fn opened_from(&self) -> Rank {
        self.chosen_from.map_or(self.believed_up_to, |rank| rank.min(self.believed_up_to))
    }

    /// Whom else the token stands and falls with.
    fn answering_for_it(&self) -> impl Iterator<Item = &BearerShownTo> {
        self.shown_to.iter().filter(|_| !self.kind.outlives_whom_it_was_shown_to())
    }
}

/// Whether what is issued for that environment, to somebody who is in these, is worth nothing outside of it: it is not for
/// `production`, from which the organization is administered, and they have that beside it
/// ([why](../../../docs/decisions/0067-a-token-is-worth-nothing-outside-its-environment.md)).
#[must_use]
pub fn is_confined(environment: &Slug, of: &[Slug]) -> bool {
    let production = Slug::production();
    *environment != production && of.contains(&production)
}

/// Is the token itself alive: neither ended nor run out, of an active membership and agent, and known to nobody who is
/// refused or stands below what it acts as?
///
/// A secret that was shown to somebody ends with them, so it rests while they are suspended or held. Nor does it follow
/// whom it acts as above them: nobody has a key above their own rank, on whatever day it was issued.
#[must_use]
pub fn liveness(bearer: &Bearer, now: Timestamp) -> Decision {
    if bearer.ended_at.is_some() {
        return Decision::TokenEnded;
    }
    if bearer.runs_out_at().is_some_and(|at| now >= at) {
        return Decision::TokenExpired;
    }
    match bearer.agent.as_ref().map(|a| a.state) {
        Some(AgentState::Orphaned) => return Decision::AgentOrphaned,
        Some(AgentState::Disabled) => return Decision::TokenEnded,
        Some(AgentState::Paused) => return Decision::AgentPaused,
        Some(AgentState::Active) | None => {}
    }
    // A token of a directory or the organization is alive by itself, and acts as nobody.
    let acts_as_somebody = match bearer.holder {
        Holder::Membership(_) | Holder::Agent(_) => true,
        Holder::Directory(_) | Holder::Organization(_) => false,
    };
    if acts_as_somebody && bearer.member.is_none() {
        return Decision::MemberInactive;
    }
    let mut behind = bearer.member.iter().map(|m| m.state).chain(bearer.answering_for_it().map(|s| s.state));
    if !behind.all(|state| state == MembershipState::Active) {
        return Decision::MemberInactive;
    }
    let rank = bearer.member.as_ref().map_or(Rank::NONE, |m| m.rank);
    if bearer.answering_for_it().any(|saw| saw.rank < rank) {
        return Decision::NotPermitted;
    }
    // Whoever saw the link by which the password was chosen may have chosen it; whoever named the account, an account of
    // theirs; whoever chose the provider may come in by it as anybody.
    if bearer.opened_from() < rank {
        return Decision::NotPermitted;
    }
    // What only people give, no provider that waits for an owner opens, however low it stands.
    let is_explicit_only = bearer.member.as_ref().is_some_and(|m| m.giving == Giving::ExplicitOnly);
    if is_explicit_only && bearer.chosen_from.is_some() {
        return Decision::NotPermitted;
    }
    Decision::Allowed
}

/// May this bearer act in that environment of that organization?
///
/// Service keys and SCIM tokens ask and tell; they never act. Links are good for what they were made for only.
#[must_use]
pub fn evaluate(
    bearer: &Bearer,
    organization: OrganizationId,
    environment: &Slug,
    now: Timestamp,
) -> Decision {
    if bearer.organization != organization {
        return Decision::TokenUnknown;
    }
    let alive = liveness(bearer, now);
    if !alive.is_allowed() {
        return alive;
    }
    let acts = match bearer.kind {
        TokenKind::Session | TokenKind::MemberKey | TokenKind::AgentKey => bearer.member.as_ref(),
        TokenKind::ServiceKey | TokenKind::ScimToken | TokenKind::Invitation | TokenKind::OwnerLink => None,
    };
    let Some(member) = acts else { return Decision::NotPermitted };
    if bearer.environment.as_ref() != Some(environment) || !member.environments.contains(environment) {
        return Decision::OtherEnvironment;
    }
    if !member.permissions.contains(&Permission::Use) {
        return Decision::NotPermitted;
    }
    Decision::Allowed
}
