//! Changes: the only way to write what gives or takes access.
//!
//! One variant a noun, each with its noun's own small enum. A change over many rows names a set; the rows that its
//! statement returns make audit events and lines of the receipt. What gives or takes no access (last use, traces,
//! leases, throttles) is not here: that is a note, over tables of its own.

use std::collections::BTreeSet;

use crate::Timestamp;
use crate::access::{Access, EndedBecause};
use crate::agent::{Agent, AgentState, OwnerLossRule};
use crate::connection::{Connection, Link};
use crate::directory::Directory;
use crate::directory_group::DirectoryGroup;
use crate::directory_user::DirectoryUser;
use crate::domain::Domain;
use crate::environment::Environment;
use crate::google::GoogleSource;
use crate::grant::Grant;
use crate::hold::{HeldEnding, Hold, Kept};
use crate::id::{
    AgentId, ConnectionId, DirectoryGroupId, DirectoryId, DirectoryUserId, DomainId, EnvironmentId, GrantId,
    HoldId, MappingId, MembershipId, OrganizationId, OutboxId, ReceiptId, RequestId, RoleId, TeamId, TokenId,
    UserId,
};
use crate::mapping::{Facet, Mapping};
use crate::membership::Membership;
use crate::oidc::{ClientKey, OidcSource};
use crate::organization::Organization;
use crate::permission::Permission;
use crate::receipt::Receipt;
use crate::role::{Giving, Rank, Role};
use crate::saml::{SamlCertificate, SamlKey, SamlSource};
use crate::team::Team;
use crate::text::Slug;
use crate::token::{Token, TokenEnd};
use crate::tombstone::Identifier;
use crate::user::{AuthenticatorKind, User};

/// One change of what is stored.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is its noun; the noun's enum says what changes")]
pub enum Change {
    Organization(OrganizationChange),
    Environment(EnvironmentChange),
    Team(TeamChange),
    Role(RoleChange),
    Domain(DomainChange),
    User(UserChange),
    Membership(MembershipChange),
    Directory(DirectoryChange),
    DirectoryUser(DirectoryUserChange),
    DirectoryGroup(DirectoryGroupChange),
    Hold(HoldChange),
    Connection(ConnectionChange),
    Link(LinkChange),
    Mapping(MappingChange),
    Grant(GrantChange),
    Agent(AgentChange),
    Token(TokenChange),
    Tombstone(TombstoneChange),
    Receipt(ReceiptChange),
    Outbox(OutboxChange),
}

macro_rules! into_change {
    ($($noun:ident($inner:ident)),* $(,)?) => {$(
        impl From<$inner> for Change {
            fn from(change: $inner) -> Self {
                Self::$noun(change)
            }
        }
    )*};
}

into_change! {
    Organization(OrganizationChange), Environment(EnvironmentChange), Team(TeamChange), Role(RoleChange),
    Domain(DomainChange), User(UserChange), Membership(MembershipChange), Directory(DirectoryChange),
    DirectoryUser(DirectoryUserChange), DirectoryGroup(DirectoryGroupChange), Hold(HoldChange), Connection(ConnectionChange),
    Link(LinkChange), Mapping(MappingChange), Grant(GrantChange), Agent(AgentChange), Token(TokenChange),
    Tombstone(TombstoneChange), Receipt(ReceiptChange), Outbox(OutboxChange),
}

/// Changes of organizations.
#[derive(Debug, Clone, PartialEq)]
pub enum OrganizationChange {
    /// A new one.
    Create(Organization),
    /// Another name for people.
    Rename(OrganizationId, String),
    /// Rules changed for more memberships than one transaction carries: stored access is stale from here on.
    RaiseRules(OrganizationId),
    /// Deleted at that moment, with everything in it. Its audit log stays.
    Delete(OrganizationId, Timestamp),
}

/// Changes of environments.
#[derive(Debug, Clone, PartialEq)]
pub enum EnvironmentChange {
    /// A new one.
    Create(Environment),
    /// Another name for people.
    Rename(EnvironmentId, String),
    /// Gone. The caller has checked that nothing uses it.
    Delete(EnvironmentId),
}

/// Changes of teams.
#[derive(Debug, Clone, PartialEq)]
pub enum TeamChange {
    /// A new one.
    Create(Team),
    /// Another name for people.
    Rename(TeamId, String),
    /// Gone. The caller has checked that nothing uses it.
    Delete(TeamId),
}

/// Changes of roles.
#[derive(Debug, Clone, PartialEq)]
pub enum RoleChange {
    /// A new one.
    Create(Role),
    /// Another rank, other permissions, another way of giving.
    Update(RoleId, Rank, BTreeSet<Permission>, Giving),
    /// Gone. The caller has checked that nothing uses it.
    Delete(RoleId),
}

/// Changes of e-mail domains.
#[derive(Debug, Clone, PartialEq)]
pub enum DomainChange {
    /// A new one.
    Add(Domain),
    /// Proven at that moment.
    Prove(DomainId, Timestamp),
    /// Gone.
    Remove(DomainId),
}

/// Changes of users.
#[derive(Debug, Clone, PartialEq)]
pub enum UserChange {
    /// A new one.
    Create(User),
    /// The last membership ended: the user ends, and every authenticator with it.
    End(UserId, Timestamp),
    /// A directory gave the last membership life again.
    Revive(UserId),
    /// Sets what the user proves themselves with. `email_key` is the address that was proved.
    SetAuthenticator {
        /// Whose it is.
        user: UserId,
        /// Its kind.
        kind: AuthenticatorKind,
        /// The hash that is kept.
        secret: String,
        /// The proved address.
        email_key: String,
        /// When.
        at: Timestamp,
    },
}

/// What a membership remembers of how its access came about, where the access itself stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restamp {
    /// Which membership.
    pub id: MembershipId,
    /// Which directory governs.
    pub governed_by: Option<DirectoryId>,
    /// Since when no mapping gives it life.
    pub unmapped_at: Option<Timestamp>,
    /// The organization's rules number, read before the rules.
    pub rules_number: i64,
}

/// Changes of memberships.
#[derive(Debug, Clone, PartialEq)]
pub enum MembershipChange {
    /// A new one.
    Create(Box<Membership>),
    /// The name and address that stand for it here.
    SetProfile(MembershipId, String, String),
    /// Life of its own, from an invitation, the first-owner link or the root token.
    Join(MembershipId, Timestamp),
    /// The suspension that somebody of that rank ordered, or its end.
    SetSuspended(MembershipId, Option<(Timestamp, Rank)>),
    /// The access that follows from its facts.
    SetAccess {
        /// Whose.
        id: MembershipId,
        /// What follows.
        access: Box<Access>,
        /// Which directory governs.
        governed_by: Option<DirectoryId>,
        /// Since when no mapping gives it life.
        unmapped_at: Option<Timestamp>,
        /// The end, if it came.
        ended: Option<(Timestamp, EndedBecause)>,
        /// Set on a last owner who left.
        bare_owner_at: Option<Timestamp>,
        /// The organization's rules number, read before the rules.
        rules_number: i64,
    },
    /// Stored access of everybody behind these directory users is stale: resolved again before it is used.
    MarkStale(Vec<DirectoryUserId>),
    /// A directory is about to be gone: stored access of everybody whom it tells of is stale, and whom it alone brought
    /// is governed by it, so that they end with it.
    LoseDirectory(DirectoryId),
    /// Another user behind it: the person was recognized.
    SetUser(MembershipId, UserId),
    /// How far it is believed that the person opened its link.
    Believe(MembershipId, Rank),
}

/// Changes of directories.
#[derive(Debug, Clone, PartialEq)]
pub enum DirectoryChange {
    /// A new one.
    Create(Directory),
    /// Another name, default role or settling time.
    Update(Directory),
    /// Gone, with its facts and mappings.
    Delete(DirectoryId),
    /// Where a directory of Google Workspace gets its facts from now on.
    SetGoogle(Box<GoogleSource>),
    /// A backup was put back at that moment: what all directories of the organization say waits until they say it again.
    Unconfirm(OrganizationId, Timestamp),
    /// What its claims said of people is forgotten. Whoever it governs, and nothing of it gives life any more, waits from that
    /// moment until they sign in again.
    Forget(DirectoryId, Forgotten, Timestamp),
}

/// What is forgotten of what claims said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// The groups: another claim tells of them.
    Groups,
    /// Groups and values: it is long ago.
    Everything,
}

/// Changes of directory users.
#[derive(Debug, Clone, PartialEq)]
pub enum DirectoryUserChange {
    /// A new one.
    Create(Box<DirectoryUser>),
    /// What the directory says now.
    Update(Box<DirectoryUser>),
    /// Gone, with its places in groups and its facets.
    Delete(DirectoryUserId),
    /// Its facts are about another membership.
    Attach(DirectoryUserId, MembershipId),
    /// The directory says these of them from now on.
    AddFacets(DirectoryUserId, DirectoryId, BTreeSet<Facet>, Option<RequestId>),
    /// The directory says these of them no longer.
    RemoveFacets(DirectoryUserId, BTreeSet<Facet>),
}

/// Changes of directory groups.
#[derive(Debug, Clone, PartialEq)]
pub enum DirectoryGroupChange {
    /// A new one, without members.
    Create(DirectoryGroup),
    /// Another name or external id.
    Update(DirectoryGroup),
    /// Gone, with its list of members and its places in other groups.
    Delete(DirectoryGroupId),
    /// These are members from now on.
    AddMembers(DirectoryGroupId, Vec<DirectoryUserId>, Option<RequestId>),
    /// These are members no longer.
    RemoveMembers(DirectoryGroupId, Vec<DirectoryUserId>),
    /// These groups are members from now on.
    AddGroups(DirectoryGroupId, Vec<DirectoryGroupId>, Option<RequestId>),
    /// These groups are members no longer.
    RemoveGroups(DirectoryGroupId, Vec<DirectoryGroupId>),
}

/// Changes of holds.
#[derive(Debug, Clone, PartialEq)]
pub enum HoldChange {
    /// A new one.
    Open(Box<Hold>),
    /// The end of one more person is held.
    End(Box<HeldEnding>),
    /// What these mappings give these people by this group stays, though they are in it no longer.
    Keep {
        /// In which hold.
        hold: HoldId,
        /// The group that lost them.
        group: DirectoryGroupId,
        /// The group that they were in themselves: that one, or one below it.
        through: DirectoryGroupId,
        /// Who.
        users: Vec<DirectoryUserId>,
        /// What stays.
        mappings: Vec<MappingId>,
        /// Since when.
        at: Timestamp,
    },
    /// These people stay, though a poll misses them.
    Miss(HoldId, Vec<DirectoryUserId>, Timestamp),
    /// These people, whom a poll missed, are there again.
    Found(Vec<DirectoryUserId>),
    /// That person's end is held no longer.
    Unhold(MembershipId),
    /// That person has been without a mapping since then because of an administrator's rules: no brake holds that end.
    Spare(MembershipId, Timestamp),
    /// Nothing of that person is held any more.
    Drop(MembershipId),
    /// That is kept of these people no longer: the directory named them.
    DropKept(Kept, Vec<DirectoryUserId>),
    /// Nobody keeps what that mapping gives: an administrator took it away, or pointed it elsewhere.
    DropMapping(MappingId),
    /// These people of a hold are released: what is held of them is to be carried out.
    Release(HoldId, Vec<MembershipId>),
    /// These people of a hold are refused at that moment: it stays as it is.
    Refuse(HoldId, Vec<MembershipId>, Timestamp),
}

/// Changes of connections.
#[derive(Debug, Clone, PartialEq)]
pub enum ConnectionChange {
    /// A new one.
    Create(Box<Connection>),
    /// Other settings.
    Update(Box<Connection>),
    /// Which provider of SAML it believes, and how.
    SetSaml(Box<SamlSource>),
    /// A certificate of that provider: a new one, or another decision about it.
    PutCertificate(Box<SamlCertificate>),
    /// A key of ours: a new one, or it is for something else from now on.
    PutKey(Box<SamlKey>),
    /// What is set of it, if it is one of OpenID.
    SetOidc(Box<OidcSource>),
    /// A key of ours that proves this side to a provider of OpenID: a new one, or it is for something else from now on.
    PutClientKey(Box<ClientKey>),
    /// Gone, with its links, certificates and keys.
    Delete(ConnectionId),
}

/// Changes of links.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkChange {
    /// A new one.
    Create(Link),
    /// Everything that was linked to that membership.
    DeleteOf(MembershipId),
    /// The one of that subject at a connection.
    Delete(ConnectionId, String),
    /// The one of that subject at a connection gives way to another subject of the same account: what came by it came by that one
    /// from now on.
    GiveWay(ConnectionId, String, String),
    /// The word by which that one was made is believed so far from now on.
    Believe(ConnectionId, String, Rank),
}

/// Changes of mappings.
#[derive(Debug, Clone, PartialEq)]
pub enum MappingChange {
    /// A new one.
    Create(Box<Mapping>),
    /// Another source, or it gives something else.
    Update(Box<Mapping>),
    /// Gone.
    Delete(MappingId),
}

/// Changes of grants.
#[derive(Debug, Clone, PartialEq)]
pub enum GrantChange {
    /// A new one.
    Create(Grant),
    /// Another account of why it was given.
    SetReason(GrantId, String),
    /// Taken back at that moment.
    End(GrantId, Timestamp),
    /// Everything that was granted to that membership, but for the role named.
    EndOf {
        /// Whose grants.
        membership: MembershipId,
        /// The role that stays: the bare ownership of a last owner.
        keep: Option<Slug>,
        /// When.
        at: Timestamp,
    },
}

/// Changes of agents.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentChange {
    /// A new one.
    Create(Agent),
    /// Another name, heir, environment or rule; the rule with who chose it.
    Update {
        /// Which.
        id: AgentId,
        /// Its name for people.
        name: String,
        /// Who gets it.
        heir: Option<MembershipId>,
        /// Where it may act; its keys act where it did when they were issued.
        environment: Slug,
        /// What happens when the owner goes.
        on_owner_loss: OwnerLossRule,
        /// Who chose that.
        rule_chosen_by: Option<MembershipId>,
    },
    /// Another state; how high stands who stopped it, if a person did.
    SetState(AgentId, AgentState, Option<Rank>),
    /// Another owner, and the state in which it goes on; a line of that receipt, if it stopped by this.
    SetOwner(AgentId, MembershipId, AgentState, Option<ReceiptId>),
    /// The end, in a receipt if it belongs to an off-boarding: its state becomes `disabled`.
    Disable(AgentId, Option<ReceiptId>),
    /// Stopped because its owner ended; a line of that receipt.
    Orphan(AgentId, ReceiptId),
    /// That membership is nobody's heir any more, and nobody gets an agent for having chosen its rule.
    Forget(MembershipId),
}

/// Which tokens end.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenSet {
    /// That one, and those that it opened.
    One(TokenId),
    /// Everything that acts as the membership, agent keys and links that were shown to it, and invitations to any
    /// of its addresses; but for what has run out, which a receipt does not account for.
    OfLeaver(MembershipId, Vec<String>),
    /// Every key of an agent; but for what has run out.
    OfAgent(AgentId),
    /// Every token of a directory.
    OfDirectory(DirectoryId),
    /// Every session that came in by a connection; but for what has [run out for good](RUN_OUT_FOR_GOOD_S).
    OfConnection(ConnectionId),
    /// Every session of a membership that came in by a connection; but for what has run out for good.
    OfMemberBy(MembershipId, ConnectionId),
    /// Invitations and links of a membership that has not joined.
    InvitationsOf(MembershipId),
    /// Everything in the organization; but for what had run out for good at that instant.
    OfOrganization(Timestamp),
}

/// How long ago something has run out that stays as it is where its set ends: nobody needs an event, nor the transaction its
/// time, for what has been dead for months, and it is most of what there is. A clock that is set back by less revives nothing:
/// an hour of summer, fourteen hours of a time zone that somebody took for another.
pub const RUN_OUT_FOR_GOOD_S: i64 = 86_400;

impl TokenSet {
    /// What had run out by then stays as it is; `None` where everything ends. `at` is when the set ends.
    #[must_use]
    pub const fn spares_until(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::One(_) | Self::OfDirectory(_) | Self::InvitationsOf(_) => None,
            // What it would act as has ended.
            Self::OfLeaver(..) | Self::OfAgent(_) => Some(at),
            Self::OfConnection(_) | Self::OfMemberBy(..) => Some(at.plus_s(-RUN_OUT_FOR_GOOD_S)),
            Self::OfOrganization(at) => Some(at.plus_s(-RUN_OUT_FOR_GOOD_S)),
        }
    }
}

/// Changes of tokens.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenChange {
    /// A new one. The store writes it only while what it acts as is active.
    Issue(Box<Token>),
    /// The end. Each row that ends gets an event of its own, and a line of the receipt if there is one.
    End {
        /// Which.
        set: TokenSet,
        /// Why.
        because: TokenEnd,
        /// When.
        at: Timestamp,
        /// The receipt that accounts for it.
        receipt: Option<ReceiptId>,
    },
}

impl TokenChange {
    /// The end of these, which no receipt accounts for.
    #[must_use]
    pub const fn ended(set: TokenSet, because: TokenEnd, at: Timestamp) -> Self {
        Self::End { set, because, at, receipt: None }
    }
}

/// Changes of tombstones.
#[derive(Debug, Clone, PartialEq)]
pub enum TombstoneChange {
    /// Laid on every identifier of a leaver.
    Lay {
        /// Who left.
        membership: MembershipId,
        /// Every identifier they ever had.
        identifiers: Vec<Identifier>,
        /// When.
        at: Timestamp,
    },
    /// Lifted for that membership, whole: its directory gave it life again.
    LiftOf(MembershipId),
    /// Lifted for these identifiers, whoever had them: an administrator named them anew.
    LiftNamed(Vec<Identifier>),
    /// Lifted where a directory may: what its own word laid, or nobody's.
    LiftSaid {
        /// The directory. A former member whom another directory governs, claims aside, is not its own.
        directory: DirectoryId,
        /// What it identifies somebody by.
        named: Vec<Identifier>,
        /// Their other addresses: lifted only for a former member who had one of the names too.
        beside: Vec<Identifier>,
    },
    /// Lifted for a former membership, and remembered for the one that the same person has now: it leaves them again.
    HandDown {
        /// The membership that ended.
        from: MembershipId,
        /// The membership of the same person in the same organization.
        to: MembershipId,
    },
}

/// Changes of receipts.
#[derive(Debug, Clone, PartialEq)]
pub enum ReceiptChange {
    /// Opened; lines follow from the rows that end.
    Open(Box<Receipt>),
}

/// What must be told to others once it is committed.
#[derive(Debug, Clone, PartialEq)]
pub enum OutboxChange {
    /// A row that waits for its delivery.
    Put {
        /// Its id.
        id: OutboxId,
        /// What is told, such as `member.deprovisioned`.
        kind: &'static str,
        /// The content, as JSON text. Never a secret.
        body: String,
        /// When it was put there.
        at: Timestamp,
    },
}

impl Change {
    /// Whether it can take access away: such a commit moves the revision that every node follows. Of a noun that can,
    /// what takes nothing is named, so that a new kind of change counts as taking until somebody has said that it does
    /// not. The last arm's nouns are facts and rules, which take access only by what is settled after them, and what
    /// goes along with an end.
    #[must_use]
    pub const fn lessens(&self) -> bool {
        match self {
            Self::Membership(change) => !matches!(
                change,
                MembershipChange::Create(_) | MembershipChange::Join(..) | MembershipChange::SetProfile(..)
            ),
            Self::Organization(change) => {
                !matches!(change, OrganizationChange::Create(_) | OrganizationChange::Rename(..))
            }
            Self::Role(change) => !matches!(change, RoleChange::Create(_)),
            Self::Agent(change) => !matches!(change, AgentChange::Create(_)),
            Self::Token(change) => !matches!(change, TokenChange::Issue(_)),
            Self::Connection(change) => !matches!(
                change,
                ConnectionChange::Create(_)
                    | ConnectionChange::SetSaml(_)
                    | ConnectionChange::PutCertificate(_)
                    | ConnectionChange::PutKey(_)
                    | ConnectionChange::SetOidc(_)
                    | ConnectionChange::PutClientKey(_)
            ),
            Self::Directory(change) => !matches!(
                change,
                DirectoryChange::Create(_)
                    | DirectoryChange::Update(_)
                    | DirectoryChange::Delete(_)
                    | DirectoryChange::SetGoogle(_)
                    | DirectoryChange::Forget(..)
            ),
            Self::Environment(_)
            | Self::Team(_)
            | Self::Domain(_)
            | Self::User(_)
            | Self::DirectoryUser(_)
            | Self::DirectoryGroup(_)
            | Self::Hold(_)
            | Self::Link(_)
            | Self::Mapping(_)
            | Self::Grant(_)
            | Self::Tombstone(_)
            | Self::Receipt(_)
            | Self::Outbox(_) => false,
        }
    }
}
