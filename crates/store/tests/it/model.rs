//! The store against a model of maps: the same random changes, and everything that can be found or listed agrees.
//!
//! Every change that a plan can hold has a kind here, and every kind something that makes one: a change without a
//! kind does not compile, a kind that no run made fails. Rows that are tampered with past the store must show.
#![expect(clippy::too_many_lines, reason = "one arm a change: a list is read as a list")]

mod holds;
mod links;
mod make;
mod maps;
mod saml;
mod tombstones;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use portcullis_domain::Random;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{
    AgentChange, Change, ConnectionChange, DirectoryChange, DirectoryGroupChange, DirectoryUserChange,
    DomainChange, EnvironmentChange, GrantChange, HoldChange, LinkChange, MappingChange, MembershipChange,
    OrganizationChange, OutboxChange, ReceiptChange, RoleChange, TeamChange, TokenChange, TokenSet,
    TombstoneChange, UserChange,
};
use portcullis_domain::id::OrganizationId;
use portcullis_domain::plan::Plan;
use portcullis_store::{Dialect, Options, StoreError, apply};

use crate::database::{Database, NOW, Seeded, on_each};
use maps::Maps;

/// Changes of one run.
const LENGTH: usize = 1000;
/// Runs with a fresh seed, in every run of the tests and in the long one, where they take some minutes on each database.
const FRESH: usize = 1;
const FRESH_LONG: usize = 100;
/// Changes between two comparisons.
const EVERY: usize = 40;

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        /// A kind of change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind { $($kind),* }

        impl Kind {
            const ALL: &'static [Self] = &[$(Self::$kind),*];
        }
    };
}

kinds! {
    OrganizationCreate, OrganizationRename, OrganizationRaise, OrganizationDelete, EnvironmentCreate,
    EnvironmentRename, EnvironmentDelete, TeamCreate, TeamRename, TeamDelete, RoleCreate, RoleUpdate, RoleDelete,
    DomainAdd, DomainProve, DomainRemove, UserCreate, UserEnd, UserRevive, UserAuthenticator, MemberCreate,
    MemberProfile, MemberJoin, MemberSuspended, MemberAccess, MemberStale, MemberLoses, MemberUser, MemberBelieve,
    DirectoryCreate, DirectoryUpdate, DirectoryDelete, DirectoryGoogle, DirectoryUnconfirm, DirectoryForget, ToldCreate, ToldUpdate, ToldDelete,
    ToldAttach, ToldAddFacets, ToldRemoveFacets, GroupCreate, GroupUpdate, GroupDelete, GroupAdd, GroupRemove, GroupNest, GroupUnnest, HoldOpen, HoldEnd, HoldKeep, HoldMiss, HoldFound,
    HoldUnhold, HoldSpare, HoldDrop, HoldDropKept, HoldDropMapping, HoldRelease, HoldRefuse, ConnectionCreate, ConnectionUpdate,
    ConnectionSaml, ConnectionCertificate, ConnectionKey, ConnectionOidc, ConnectionClientKey, ConnectionDelete, LinkCreate, LinkDeleteOf, LinkDelete, LinkGiveWay, LinkBelieve, MappingCreate, MappingUpdate, MappingDelete, GrantCreate,
    GrantReason, GrantEnd, GrantEndOf, AgentCreate, AgentUpdate, AgentState, AgentOwner, AgentDisable, AgentOrphan, AgentForget,
    TokenIssue, EndOne, EndOfLeaver, EndOfAgent, EndOfDirectory, EndOfConnection, EndOfMemberBy, EndInvitations, EndOfOrganization,
    TombstoneLay, TombstoneLiftOf, TombstoneLiftNamed, TombstoneLiftSaid, TombstoneHandDown, ReceiptOpen, OutboxPut,
}

/// The kind of a change. Exhaustive: a new change needs a kind, and so something that makes one.
fn kind_of(change: &Change) -> Kind {
    match change {
        Change::Organization(OrganizationChange::Create(_)) => Kind::OrganizationCreate,
        Change::Organization(OrganizationChange::Rename(..)) => Kind::OrganizationRename,
        Change::Organization(OrganizationChange::RaiseRules(_)) => Kind::OrganizationRaise,
        Change::Organization(OrganizationChange::Delete(..)) => Kind::OrganizationDelete,
        Change::Environment(EnvironmentChange::Create(_)) => Kind::EnvironmentCreate,
        Change::Environment(EnvironmentChange::Rename(..)) => Kind::EnvironmentRename,
        Change::Environment(EnvironmentChange::Delete(_)) => Kind::EnvironmentDelete,
        Change::Team(TeamChange::Create(_)) => Kind::TeamCreate,
        Change::Team(TeamChange::Rename(..)) => Kind::TeamRename,
        Change::Team(TeamChange::Delete(_)) => Kind::TeamDelete,
        Change::Role(RoleChange::Create(_)) => Kind::RoleCreate,
        Change::Role(RoleChange::Update(..)) => Kind::RoleUpdate,
        Change::Role(RoleChange::Delete(_)) => Kind::RoleDelete,
        Change::Domain(DomainChange::Add(_)) => Kind::DomainAdd,
        Change::Domain(DomainChange::Prove(..)) => Kind::DomainProve,
        Change::Domain(DomainChange::Remove(_)) => Kind::DomainRemove,
        Change::User(UserChange::Create(_)) => Kind::UserCreate,
        Change::User(UserChange::End(..)) => Kind::UserEnd,
        Change::User(UserChange::Revive(_)) => Kind::UserRevive,
        Change::User(UserChange::SetAuthenticator { .. }) => Kind::UserAuthenticator,
        Change::Membership(MembershipChange::Create(_)) => Kind::MemberCreate,
        Change::Membership(MembershipChange::SetProfile(..)) => Kind::MemberProfile,
        Change::Membership(MembershipChange::Join(..)) => Kind::MemberJoin,
        Change::Membership(MembershipChange::SetSuspended(..)) => Kind::MemberSuspended,
        Change::Membership(MembershipChange::SetAccess { .. }) => Kind::MemberAccess,
        Change::Membership(MembershipChange::MarkStale(_)) => Kind::MemberStale,
        Change::Membership(MembershipChange::LoseDirectory(_)) => Kind::MemberLoses,
        Change::Membership(MembershipChange::SetUser(..)) => Kind::MemberUser,
        Change::Membership(MembershipChange::Believe(..)) => Kind::MemberBelieve,
        Change::Directory(DirectoryChange::Create(_)) => Kind::DirectoryCreate,
        Change::Directory(DirectoryChange::Update(_)) => Kind::DirectoryUpdate,
        Change::Directory(DirectoryChange::Delete(_)) => Kind::DirectoryDelete,
        Change::Directory(DirectoryChange::SetGoogle(_)) => Kind::DirectoryGoogle,
        Change::Directory(DirectoryChange::Unconfirm(..)) => Kind::DirectoryUnconfirm,
        Change::Directory(DirectoryChange::Forget(..)) => Kind::DirectoryForget,
        Change::DirectoryUser(DirectoryUserChange::Create(_)) => Kind::ToldCreate,
        Change::DirectoryUser(DirectoryUserChange::Update(_)) => Kind::ToldUpdate,
        Change::DirectoryUser(DirectoryUserChange::Delete(_)) => Kind::ToldDelete,
        Change::DirectoryUser(DirectoryUserChange::Attach(..)) => Kind::ToldAttach,
        Change::DirectoryUser(DirectoryUserChange::AddFacets(..)) => Kind::ToldAddFacets,
        Change::DirectoryUser(DirectoryUserChange::RemoveFacets(..)) => Kind::ToldRemoveFacets,
        Change::DirectoryGroup(DirectoryGroupChange::Create(_)) => Kind::GroupCreate,
        Change::DirectoryGroup(DirectoryGroupChange::Update(_)) => Kind::GroupUpdate,
        Change::DirectoryGroup(DirectoryGroupChange::Delete(_)) => Kind::GroupDelete,
        Change::DirectoryGroup(DirectoryGroupChange::AddMembers(..)) => Kind::GroupAdd,
        Change::DirectoryGroup(DirectoryGroupChange::RemoveMembers(..)) => Kind::GroupRemove,
        Change::DirectoryGroup(DirectoryGroupChange::AddGroups(..)) => Kind::GroupNest,
        Change::DirectoryGroup(DirectoryGroupChange::RemoveGroups(..)) => Kind::GroupUnnest,
        Change::Hold(HoldChange::Open(_)) => Kind::HoldOpen,
        Change::Hold(HoldChange::End(_)) => Kind::HoldEnd,
        Change::Hold(HoldChange::Keep { .. }) => Kind::HoldKeep,
        Change::Hold(HoldChange::Miss(..)) => Kind::HoldMiss,
        Change::Hold(HoldChange::Found(_)) => Kind::HoldFound,
        Change::Hold(HoldChange::Unhold(_)) => Kind::HoldUnhold,
        Change::Hold(HoldChange::Spare(..)) => Kind::HoldSpare,
        Change::Hold(HoldChange::Drop(_)) => Kind::HoldDrop,
        Change::Hold(HoldChange::DropKept(..)) => Kind::HoldDropKept,
        Change::Hold(HoldChange::DropMapping(_)) => Kind::HoldDropMapping,
        Change::Hold(HoldChange::Release(..)) => Kind::HoldRelease,
        Change::Hold(HoldChange::Refuse(..)) => Kind::HoldRefuse,
        Change::Connection(ConnectionChange::Create(_)) => Kind::ConnectionCreate,
        Change::Connection(ConnectionChange::Update(_)) => Kind::ConnectionUpdate,
        Change::Connection(ConnectionChange::SetSaml(_)) => Kind::ConnectionSaml,
        Change::Connection(ConnectionChange::PutCertificate(_)) => Kind::ConnectionCertificate,
        Change::Connection(ConnectionChange::PutKey(_)) => Kind::ConnectionKey,
        Change::Connection(ConnectionChange::SetOidc(_)) => Kind::ConnectionOidc,
        Change::Connection(ConnectionChange::PutClientKey(_)) => Kind::ConnectionClientKey,
        Change::Connection(ConnectionChange::Delete(_)) => Kind::ConnectionDelete,
        Change::Link(LinkChange::Create(_)) => Kind::LinkCreate,
        Change::Link(LinkChange::DeleteOf(_)) => Kind::LinkDeleteOf,
        Change::Link(LinkChange::Delete(..)) => Kind::LinkDelete,
        Change::Link(LinkChange::GiveWay(..)) => Kind::LinkGiveWay,
        Change::Link(LinkChange::Believe(..)) => Kind::LinkBelieve,
        Change::Mapping(MappingChange::Create(_)) => Kind::MappingCreate,
        Change::Mapping(MappingChange::Update(_)) => Kind::MappingUpdate,
        Change::Mapping(MappingChange::Delete(_)) => Kind::MappingDelete,
        Change::Grant(GrantChange::Create(_)) => Kind::GrantCreate,
        Change::Grant(GrantChange::SetReason(..)) => Kind::GrantReason,
        Change::Grant(GrantChange::End(..)) => Kind::GrantEnd,
        Change::Grant(GrantChange::EndOf { .. }) => Kind::GrantEndOf,
        Change::Agent(AgentChange::Create(_)) => Kind::AgentCreate,
        Change::Agent(AgentChange::Update { .. }) => Kind::AgentUpdate,
        Change::Agent(AgentChange::SetState(..)) => Kind::AgentState,
        Change::Agent(AgentChange::SetOwner(..)) => Kind::AgentOwner,
        Change::Agent(AgentChange::Disable(..)) => Kind::AgentDisable,
        Change::Agent(AgentChange::Orphan(..)) => Kind::AgentOrphan,
        Change::Agent(AgentChange::Forget(_)) => Kind::AgentForget,
        Change::Token(TokenChange::Issue(_)) => Kind::TokenIssue,
        Change::Token(TokenChange::End { set, .. }) => match set {
            TokenSet::One(_) => Kind::EndOne,
            TokenSet::OfLeaver(..) => Kind::EndOfLeaver,
            TokenSet::OfAgent(_) => Kind::EndOfAgent,
            TokenSet::OfDirectory(_) => Kind::EndOfDirectory,
            TokenSet::OfConnection(_) => Kind::EndOfConnection,
            TokenSet::OfMemberBy(..) => Kind::EndOfMemberBy,
            TokenSet::InvitationsOf(_) => Kind::EndInvitations,
            TokenSet::OfOrganization(_) => Kind::EndOfOrganization,
        },
        Change::Tombstone(TombstoneChange::Lay { .. }) => Kind::TombstoneLay,
        Change::Tombstone(TombstoneChange::LiftOf(_)) => Kind::TombstoneLiftOf,
        Change::Tombstone(TombstoneChange::LiftNamed(..)) => Kind::TombstoneLiftNamed,
        Change::Tombstone(TombstoneChange::LiftSaid { .. }) => Kind::TombstoneLiftSaid,
        Change::Tombstone(TombstoneChange::HandDown { .. }) => Kind::TombstoneHandDown,
        Change::Receipt(ReceiptChange::Open(_)) => Kind::ReceiptOpen,
        Change::Outbox(OutboxChange::Put { .. }) => Kind::OutboxPut,
    }
}

/// What a run is made of, ids too: the same seed makes the same run, whatever runs beside it.
pub(crate) struct Dice(Seeded);

impl Random for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

impl Dice {
    pub(crate) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.0.number() % u64::try_from(most.max(1)).unwrap()).unwrap()
    }

    pub(crate) fn one_in(&mut self, most: usize) -> bool {
        self.below(most) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: impl IntoIterator<Item = T>) -> Option<T> {
        let from: Vec<T> = from.into_iter().collect();
        let at = self.below(from.len());
        from.get(at).cloned()
    }
}

/// What the store did with a change in the organization of its row: how many tokens ended, or that it refused.
fn put(database: &Database, organization: OrganizationId, change: Change) -> Result<u64, StoreError> {
    database.store().write_blocking(move |tx| {
        let event = EventDraft::new(Action::RulesChanged, organization);
        let plan = Plan::because(organization, Cause::system()).then(event, change.clone());
        apply(tx, &plan, NOW, &mut Seeded::next()).map(|applied| applied.tokens_ended)
    })
}

/// The organization that a plan with that change is of; `None` where any does.
fn of_plan(maps: &Maps, change: &Change) -> Option<OrganizationId> {
    match change {
        Change::Token(TokenChange::End { set, .. }) => match set {
            TokenSet::One(id) => maps.tokens.get(id).map(|(token, _)| token.organization),
            TokenSet::OfLeaver(id, _) | TokenSet::InvitationsOf(id) => {
                maps.members.get(id).map(|member| member.organization)
            }
            TokenSet::OfAgent(id) => maps.agents.get(id).map(|agent| agent.organization),
            TokenSet::OfDirectory(id) => maps.directories.get(id).map(|directory| directory.organization),
            TokenSet::OfConnection(id) | TokenSet::OfMemberBy(_, id) => {
                maps.connections.get(id).map(|connection| connection.organization)
            }
            TokenSet::OfOrganization(_) => None,
        },
        Change::Tombstone(TombstoneChange::Lay { membership, .. }) => {
            maps.members.get(membership).map(|member| member.organization)
        }
        other => maps.home(other),
    }
}

/// What only one of the two has.
fn difference(database: &Database, maps: &Maps) -> Result<(), String> {
    let (must, asked) = (maps.view(), maps.clone());
    let is = database.store().read_blocking(move |tx| asked.stored_view(tx));
    let is: BTreeSet<String> = is.map_err(|error| format!("the store cannot read: {error}"))?;
    let missing: Vec<_> = must.difference(&is).collect();
    let surplus: Vec<_> = is.difference(&must).collect();
    if missing.is_empty() && surplus.is_empty() {
        return Ok(());
    }
    Err(format!("the model has {missing:#?}, the store has {surplus:#?}"))
}

/// A run of random changes; how often each kind was made. `meddle` tampers before a comparison.
fn run(
    database: &Database,
    seed: u64,
    length: usize,
    mut meddle: impl FnMut(&Database),
) -> Result<(Maps, BTreeMap<Kind, usize>), String> {
    let mut dice = Dice(Seeded::of(seed));
    let mut maps = Maps::default();
    for change in make::beginning(&mut dice) {
        maps.apply(OrganizationId::fresh(NOW, &mut dice), &change).unwrap();
        put(database, maps.main()[0], change).unwrap();
    }
    let mut tally: BTreeMap<Kind, usize> = BTreeMap::new();
    for number in 0..length {
        // What others are about comes more often; what takes much along, seldom.
        let often =
            [Kind::TokenIssue, Kind::MemberCreate, Kind::ToldCreate, Kind::AgentCreate, Kind::GroupAdd];
        let kind = match dice.below(4) {
            0 => often[dice.below(often.len())],
            _ => Kind::ALL[dice.below(Kind::ALL.len())],
        };
        let rare =
            [Kind::DirectoryDelete, Kind::EndOfOrganization, Kind::ConnectionDelete, Kind::GroupDelete];
        if rare.contains(&kind) && !dice.one_in(5) {
            continue;
        }
        let Some(change) = make::make(kind, &maps, &mut dice) else { continue };
        assert_eq!(kind_of(&change), kind, "what is made is of the kind that was asked for");
        // These leave something of their own besides: a place in a group, a line of a receipt; or name many.
        let alone =
            !matches!(kind, Kind::GroupAdd | Kind::AgentDisable | Kind::AgentOrphan | Kind::AgentForget);
        if alone
            && dice.one_in(4)
            && let Some(home) = maps.home(&change)
            && let Some(other) = maps.main().iter().find(|id| **id != home)
        {
            // Nobody there has this row, and the comparison finds it as it was.
            let _ = put(database, *other, change.clone());
            continue;
        }
        let home = of_plan(&maps, &change).or_else(|| dice.pick(maps.main().to_vec())).unwrap();
        let must = maps.apply(home, &change);
        let is = put(database, home, change.clone()).map_err(|error| format!("{error:?}"));
        match (&must, &is) {
            (Ok(must), Ok(is)) if must == is => *tally.entry(kind).or_default() += 1,
            (Err(()), Err(_)) => {}
            _ => return Err(format!("change {number} {change:?}: the model {must:?}, the store {is:?}")),
        }
        if number % EVERY == 0 || number + 1 == length {
            meddle(database);
            difference(database, &maps).map_err(|found| format!("after change {number}: {found}"))?;
        }
    }
    Ok((maps, tally))
}

#[test]
fn a_model_of_maps_and_the_store_agree_on_everything_that_can_be_found() {
    on_each(|database| {
        let (_, tally) = run(database, 20_261_122, LENGTH * 5, |_| {}).unwrap();
        let never: Vec<_> = Kind::ALL.iter().filter(|kind| !tally.contains_key(kind)).collect();
        assert!(never.is_empty(), "no run made {never:?}: {tally:?}");
    });
}

#[test]
fn a_model_of_maps_and_the_store_agree_from_other_beginnings() {
    for seed in 1..=2 {
        on_each(|database| {
            run(database, seed, LENGTH, |_| {}).unwrap();
        });
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the run tells the tests how much to repeat")]
fn a_model_of_maps_and_the_store_agree_in_runs_that_nobody_has_seen_before() {
    let is_long = std::env::var("PORTCULLIS_TEST_TIER").is_ok_and(|tier| tier == "long");
    for _ in 0..if is_long { FRESH_LONG } else { FRESH } {
        // The standard library seeds its hashers by the system.
        let seed = RandomState::new().build_hasher().finish();
        on_each(|database| {
            run(database, seed, LENGTH, |_| {}).unwrap_or_else(|found| panic!("seed {seed}: {found}"));
        });
    }
}

/// What somebody may do to rows past the store: each must show in the next comparison.
const TAMPERED: [(&str, &str); 19] = [
    ("an ended token lives again", "UPDATE tokens SET ended_at = NULL WHERE ended_at IS NOT NULL"),
    ("a token ends", "UPDATE tokens SET ended_at = 1, ended_because = 'revoked' WHERE ended_at IS NULL"),
    ("a tombstone is lifted", "UPDATE tombstones SET lifted_at = 1 WHERE lifted_at IS NULL"),
    ("a name is forgotten", "DELETE FROM former_identifiers"),
    ("a role changes", "UPDATE memberships SET role = 'owner'"),
    ("an environment is lost", "UPDATE memberships SET environments = '[]' WHERE environments <> '[]'"),
    ("somebody leaves a group", "DELETE FROM directory_members"),
    ("a group leaves a group", "DELETE FROM directory_subgroups"),
    ("what is held is let go", "DELETE FROM held_people"),
    ("what somebody keeps is lost", "DELETE FROM held_matches"),
    ("whoever was spared is not", "DELETE FROM brake_spared"),
    ("a title is lost", "DELETE FROM directory_user_facets"),
    ("an ended grant counts again", "UPDATE grants SET ended_at = NULL WHERE ended_at IS NOT NULL"),
    ("an agent runs again", "UPDATE agents SET state = 'active' WHERE state <> 'active'"),
    ("a receipt loses a line", "DELETE FROM receipt_lines"),
    ("a mapping gives more", "UPDATE mappings SET role = 'owner'"),
    ("a domain is proven", "UPDATE domains SET proven_at = 1 WHERE proven_at IS NULL"),
    ("a link goes to somebody else", "DELETE FROM links"),
    ("an authenticator is lost", "DELETE FROM authenticators"),
];

/// Changes rows past the store; how many.
fn tamper(database: &Database, sql: &str) -> u64 {
    match database.options() {
        Options::Sqlite { path } => {
            rusqlite::Connection::open(path).unwrap().execute(sql, []).unwrap() as u64
        }
        Options::Postgres { .. } => database.client().execute(sql, &[]).unwrap(),
    }
}

#[test]
fn rows_that_are_tampered_with_past_the_store_show() {
    for (what, sql) in TAMPERED {
        on_each(|database| {
            // On PostgreSQL the same rows are compared by the same code: two of them show that it looks.
            if database.store().dialect() == Dialect::Postgres && !what.starts_with("an ended") {
                return;
            }
            // Before each comparison: the first rows may be of names that somebody still has, and hide nothing.
            let mut touched = 0;
            let outcome = run(database, 7, LENGTH * 3, |database| touched += tamper(database, sql));
            assert!(touched > 0, "`{what}`: there was nothing to tamper with");
            let found = outcome.err().unwrap_or_else(|| panic!("`{what}` was not found"));
            assert!(found.contains("the model has"), "`{what}` came to light as something else: {found}");
        });
    }
}
