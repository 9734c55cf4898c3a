//! The model: maps by id, and what each change does to them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use portcullis_domain::Timestamp;
use portcullis_domain::agent::{Agent, AgentState};
use portcullis_domain::change::{
    AgentChange, Change, ConnectionChange, DomainChange, EnvironmentChange, GrantChange, MappingChange,
    MembershipChange, OrganizationChange, OutboxChange, ReceiptChange, RoleChange, TeamChange, UserChange,
};
use portcullis_domain::connection::{Connection, Link};
use portcullis_domain::directory::Directory;
use portcullis_domain::directory_group::DirectoryGroup;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::domain::{Domain, DomainState};
use portcullis_domain::environment::Environment;
use portcullis_domain::google::GoogleSource;
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{
    AgentId, ConnectionId, DirectoryGroupId, DirectoryId, DirectoryUserId, DomainId, EnvironmentId, GrantId,
    MappingId, MembershipId, OrganizationId, OutboxId, ReceiptId, RoleId, TeamId, TokenId, UserId,
};
use portcullis_domain::mapping::{Facet, Mapping};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::organization::Organization;
use portcullis_domain::receipt::Receipt;
use portcullis_domain::role::Role;
use portcullis_domain::team::Team;
use portcullis_domain::text::email_key;
use portcullis_domain::token::{Holder, Token, TokenEnd, TokenKind};
use portcullis_domain::tombstone::Identifier;
use portcullis_domain::user::User;
use portcullis_store::{
    StoreError, Tx, agent, connection, directory, directory_group, directory_user, domain, environment,
    google, grant, leaver, mapping, membership, organization, outbox, receipt, role, subgroup, team, token,
    tombstone, user,
};

use super::holds::Holds;
use super::saml::Believed;
use crate::home::row_of;

mod tokens;
mod told;

/// More than a run makes of anything.
const ALL: i64 = 10_000;

#[derive(Debug, Clone, Default)]
pub(crate) struct Maps {
    pub(crate) organizations: BTreeMap<OrganizationId, (Organization, Option<Timestamp>)>,
    pub(crate) environments: BTreeMap<EnvironmentId, Environment>,
    pub(crate) teams: BTreeMap<TeamId, Team>,
    pub(crate) roles: BTreeMap<RoleId, Role>,
    pub(crate) domains: BTreeMap<DomainId, Domain>,
    pub(crate) users: BTreeMap<UserId, User>,
    pub(crate) authenticators: BTreeMap<UserId, (String, String, Timestamp)>,
    pub(crate) members: BTreeMap<MembershipId, Membership>,
    pub(crate) directories: BTreeMap<DirectoryId, Directory>,
    pub(crate) google: BTreeMap<DirectoryId, GoogleSource>,
    pub(crate) believed: Believed,
    pub(crate) former_connections: BTreeSet<ConnectionId>,
    pub(crate) told: BTreeMap<DirectoryUserId, DirectoryUser>,
    pub(crate) facets: BTreeMap<DirectoryUserId, BTreeSet<Facet>>,
    pub(crate) groups: BTreeMap<DirectoryGroupId, DirectoryGroup>,
    pub(crate) places: BTreeSet<(DirectoryGroupId, DirectoryUserId)>,
    pub(crate) nests: BTreeSet<(DirectoryGroupId, DirectoryGroupId)>,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) links: BTreeMap<(ConnectionId, String), Link>,
    pub(crate) mappings: BTreeMap<MappingId, Mapping>,
    pub(crate) grants: BTreeMap<GrantId, Grant>,
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    pub(crate) tokens: BTreeMap<TokenId, (Token, Option<(Timestamp, TokenEnd)>)>,
    pub(crate) tombstones: BTreeSet<(OrganizationId, Identifier, MembershipId)>,
    /// Tombstones that ever were laid.
    pub(crate) laid: BTreeSet<(OrganizationId, Identifier, MembershipId)>,
    pub(crate) former: BTreeSet<(MembershipId, Identifier)>,
    pub(crate) receipts: BTreeMap<ReceiptId, (Receipt, BTreeSet<(String, String)>)>,
    pub(crate) outbox: BTreeMap<OutboxId, String>,
    /// Directories that ever were: tombstones outlive them.
    pub(crate) former_directories: BTreeSet<DirectoryId>,
    pub(crate) holds: Holds,
    /// People and groups that directories ever told of: what is held outlives them.
    pub(crate) ever_told: BTreeSet<DirectoryUserId>,
    main: Vec<OrganizationId>,
}

/// What the store must answer: how many tokens ended, or that it refuses.
pub(crate) type Answer = Result<u64, ()>;

pub(crate) fn shown(noun: &str, thing: &impl Debug) -> String {
    format!("{noun} {thing:?}")
}

impl Maps {
    /// The two organizations that stay.
    pub(crate) fn main(&self) -> &[OrganizationId] {
        &self.main
    }

    /// The organization of the row that a change is about, if it must name it.
    pub(crate) fn home(&self, change: &Change) -> Option<OrganizationId> {
        let (table, id) = row_of(change)?;
        match table {
            "environments" => self.environments.get(&id.parse().ok()?).map(|row| row.organization),
            "teams" => self.teams.get(&id.parse().ok()?).map(|row| row.organization),
            "roles" => self.roles.get(&id.parse().ok()?).map(|row| row.organization),
            "domains" => self.domains.get(&id.parse().ok()?).map(|row| row.organization),
            "memberships" => self.members.get(&id.parse().ok()?).map(|row| row.organization),
            "directories" => self.directories.get(&id.parse().ok()?).map(|row| row.organization),
            "directory_users" => self.told.get(&id.parse().ok()?).map(|row| row.organization),
            "directory_groups" => self.groups.get(&id.parse().ok()?).map(|row| row.organization),
            "connections" => self.connections.get(&id.parse().ok()?).map(|row| row.organization),
            "mappings" => self.mappings.get(&id.parse().ok()?).map(|row| row.organization),
            "grants" => self.grants.get(&id.parse().ok()?).map(|row| row.organization),
            "holds" => self.holds.holds.get(&id.parse().ok()?).map(|row| row.organization),
            "agents" => self.agents.get(&id.parse().ok()?).map(|row| row.organization),
            other => panic!("no map of `{other}`"),
        }
    }

    /// Carries a change out in that organization, or says that the store must refuse it.
    pub(crate) fn apply(&mut self, organization: OrganizationId, change: &Change) -> Answer {
        match change {
            Change::Organization(change) => self.organization(change)?,
            Change::Environment(change) => self.environment(change)?,
            Change::Team(change) => self.team(change)?,
            Change::Role(change) => self.role(change)?,
            Change::Domain(change) => self.domain(change)?,
            Change::User(change) => self.user(change)?,
            Change::Membership(change) => self.member(change),
            Change::Directory(change) => self.directory(change),
            Change::DirectoryUser(change) => self.told(change)?,
            Change::DirectoryGroup(change) => self.group(change),
            Change::Hold(change) => {
                let (told, members) = (&self.told, &self.members);
                let lives = |id: &MembershipId| members.get(id).is_some_and(|m| m.ended.is_none());
                self.holds.apply(change, |user| told.get(user).map(|t| t.membership), lives);
            }
            Change::Connection(change) => self.connection(change),
            Change::Link(change) => self.link(change)?,
            Change::Mapping(MappingChange::Create(made) | MappingChange::Update(made)) => {
                self.mappings.insert(made.id, (**made).clone());
            }
            Change::Mapping(MappingChange::Delete(id)) => drop(self.mappings.remove(id)),
            Change::Grant(change) => self.grant(change)?,
            Change::Agent(change) => self.agent(organization, change)?,
            Change::Token(change) => return self.token(organization, change),
            Change::Tombstone(change) => self.tombstone(organization, change),
            Change::Receipt(ReceiptChange::Open(opened)) => {
                self.receipts.insert(opened.id, ((**opened).clone(), BTreeSet::new()));
            }
            Change::Outbox(OutboxChange::Put { id, kind, body, at }) => {
                self.outbox.insert(*id, format!("{organization} {kind} {body} {at:?}"));
            }
        }
        Ok(0)
    }

    fn organization(&mut self, change: &OrganizationChange) -> Result<(), ()> {
        match change {
            OrganizationChange::Create(made) => {
                if self.organizations.values().any(|(o, _)| o.slug == made.slug) {
                    return Err(());
                }
                if self.main.len() < 2 {
                    self.main.push(made.id);
                }
                self.organizations.insert(made.id, (made.clone(), None));
            }
            OrganizationChange::Rename(id, name) => self.live(*id)?.name.clone_from(name),
            OrganizationChange::RaiseRules(id) => self.live(*id)?.rules_number += 1,
            OrganizationChange::Delete(id, at) => {
                self.domains.retain(|_, d| d.organization != *id);
                self.google.retain(|_, g| g.organization != *id);
                self.organizations.get_mut(id).ok_or(())?.1.get_or_insert(*at);
            }
        }
        Ok(())
    }

    fn live(&mut self, id: OrganizationId) -> Result<&mut Organization, ()> {
        self.organizations.get_mut(&id).filter(|(_, deleted)| deleted.is_none()).map(|(o, _)| o).ok_or(())
    }

    fn environment(&mut self, change: &EnvironmentChange) -> Result<(), ()> {
        match change {
            EnvironmentChange::Create(made) => {
                let same = |e: &Environment| (e.organization, &e.slug) == (made.organization, &made.slug);
                if self.environments.values().any(same) {
                    return Err(());
                }
                self.environments.insert(made.id, made.clone());
            }
            EnvironmentChange::Rename(id, name) => {
                self.environments.get_mut(id).ok_or(())?.name.clone_from(name);
            }
            EnvironmentChange::Delete(id) => drop(self.environments.remove(id)),
        }
        Ok(())
    }

    fn team(&mut self, change: &TeamChange) -> Result<(), ()> {
        match change {
            TeamChange::Create(made) => {
                let same = |t: &Team| (t.organization, &t.slug) == (made.organization, &made.slug);
                if self.teams.values().any(same) {
                    return Err(());
                }
                self.teams.insert(made.id, made.clone());
            }
            TeamChange::Rename(id, name) => self.teams.get_mut(id).ok_or(())?.name.clone_from(name),
            TeamChange::Delete(id) => drop(self.teams.remove(id)),
        }
        Ok(())
    }

    fn role(&mut self, change: &RoleChange) -> Result<(), ()> {
        match change {
            RoleChange::Create(made) => {
                let here = self.roles.values().filter(|r| r.organization == made.organization);
                if here.into_iter().any(|r| r.slug == made.slug || r.rank == made.rank) {
                    return Err(());
                }
                self.roles.insert(made.id, made.clone());
            }
            RoleChange::Update(id, rank, permissions, giving) => {
                let of = self.roles.get(id).ok_or(())?.organization;
                if self.roles.values().any(|r| r.id != *id && r.organization == of && r.rank == *rank) {
                    return Err(());
                }
                let found = self.roles.get_mut(id).ok_or(())?;
                (found.rank, found.permissions, found.giving) = (*rank, permissions.clone(), *giving);
            }
            RoleChange::Delete(id) => drop(self.roles.remove(id)),
        }
        Ok(())
    }

    fn domain(&mut self, change: &DomainChange) -> Result<(), ()> {
        let proven = |maps: &Self, name: &str, but: DomainId| {
            maps.domains.values().any(|d| d.id != but && d.domain == name && d.proven_at.is_some())
        };
        match change {
            DomainChange::Add(made) => {
                let same = |d: &Domain| (d.organization, &d.domain) == (made.organization, &made.domain);
                let taken = made.proven_at.is_some() && proven(self, &made.domain, made.id);
                if taken || self.domains.values().any(same) {
                    return Err(());
                }
                self.domains.insert(made.id, made.clone());
            }
            DomainChange::Prove(id, at) => {
                let name = self.domains.get(id).ok_or(())?.domain.clone();
                if proven(self, &name, *id) {
                    return Err(());
                }
                let found = self.domains.get_mut(id).ok_or(())?;
                (found.state, found.proven_at) = (DomainState::Proven, found.proven_at.or(Some(*at)));
            }
            DomainChange::Remove(id) => drop(self.domains.remove(id)),
        }
        Ok(())
    }

    fn user(&mut self, change: &UserChange) -> Result<(), ()> {
        match change {
            UserChange::Create(made) => drop(self.users.insert(made.id, made.clone())),
            UserChange::End(id, at) => {
                let found = self.users.get_mut(id).ok_or(())?;
                found.ended_at = found.ended_at.or(Some(*at));
                self.authenticators.remove(id);
            }
            UserChange::Revive(id) => self.users.get_mut(id).ok_or(())?.ended_at = None,
            UserChange::SetAuthenticator { user, kind: _, secret, email_key, at } => {
                self.authenticators.insert(*user, (email_key.clone(), secret.clone(), *at));
            }
        }
        Ok(())
    }

    fn member(&mut self, change: &MembershipChange) {
        match change {
            MembershipChange::Create(made) => drop(self.members.insert(made.id, (**made).clone())),
            MembershipChange::SetProfile(id, email, name) => {
                let Some(found) = self.members.get_mut(id) else { return };
                let before = email_key(&found.email).unwrap();
                if before != email_key(email).unwrap() {
                    self.former.insert((*id, Identifier::email(&before)));
                }
                (found.email, found.name) = (email.clone(), name.clone());
            }
            MembershipChange::Join(id, at) => self.change_member(*id, |m| m.joined_at = Some(*at)),
            MembershipChange::SetSuspended(id, ordered) => {
                self.change_member(*id, |m| m.suspended_at = ordered.map(|(at, _)| at));
            }
            MembershipChange::SetAccess {
                id,
                access,
                governed_by,
                unmapped_at,
                ended,
                bare_owner_at,
                rules_number,
            } => self.change_member(*id, |m| {
                m.access = (**access).clone();
                (m.governed_by, m.unmapped_at, m.ended) = (*governed_by, *unmapped_at, *ended);
                (m.bare_owner_at, m.rules_number) = (*bare_owner_at, *rules_number);
            }),
            MembershipChange::MarkStale(users) => {
                for id in
                    users.iter().filter_map(|u| self.told.get(u)).map(|t| t.membership).collect::<Vec<_>>()
                {
                    self.change_member(id, |m| m.rules_number = 0);
                }
            }
            MembershipChange::LoseDirectory(directory) => self.lose(*directory),
            MembershipChange::SetUser(id, user) => self.change_member(*id, |m| m.user = *user),
            MembershipChange::Believe(id, rank) => self.change_member(*id, |m| m.believed_up_to = *rank),
        }
    }

    fn lose(&mut self, directory: DirectoryId) {
        let told: BTreeSet<MembershipId> =
            self.told.values().filter(|t| t.directory == directory).map(|t| t.membership).collect();
        let home = self.directories.get(&directory).map(|d| d.organization);
        let governed = self.members.values().filter(|m| {
            let here = Some(m.organization) == home && m.governed_by == Some(directory);
            here && m.access.state != MembershipState::Deprovisioned
        });
        let governed: BTreeSet<MembershipId> = governed.map(|m| m.id).collect();
        governed.into_iter().for_each(|id| self.change_member(id, |m| m.rules_number = 0));
        for id in told {
            let elsewhere = self.told.values().any(|t| t.membership == id && t.directory != directory);
            let invited = self.tokens.values().any(|(token, _)| {
                token.holder == Holder::Membership(id)
                    && matches!(token.kind, TokenKind::Invitation | TokenKind::OwnerLink)
            });
            self.change_member(id, |m| {
                m.rules_number = 0;
                let alone = m.governed_by.is_none() && m.joined_at.is_none() && m.ended.is_none();
                if alone && !elsewhere && !invited {
                    m.governed_by = Some(directory);
                }
            });
        }
    }

    fn change_member(&mut self, id: MembershipId, change: impl FnOnce(&mut Membership)) {
        if let Some(found) = self.members.get_mut(&id) {
            change(found);
        }
    }

    fn connection(&mut self, change: &ConnectionChange) {
        self.believed.change(change);
        match change {
            ConnectionChange::Create(c) | ConnectionChange::Update(c) => {
                self.connections.insert(c.id, (**c).clone());
            }
            ConnectionChange::SetSaml(_)
            | ConnectionChange::PutCertificate(_)
            | ConnectionChange::PutKey(_)
            | ConnectionChange::SetOidc(_)
            | ConnectionChange::PutClientKey(_) => {}
            ConnectionChange::Delete(id) => {
                self.former_connections.insert(*id);
                self.connections.remove(id);
                let (gone, kept) =
                    std::mem::take(&mut self.links).into_iter().partition(|(key, _)| key.0 == *id);
                self.links = kept;
                self.remember_links(gone);
            }
        }
    }

    fn grant(&mut self, change: &GrantChange) -> Result<(), ()> {
        match change {
            GrantChange::Create(made) => drop(self.grants.insert(made.id, made.clone())),
            GrantChange::SetReason(id, reason) => {
                let found = self.grants.get_mut(id).filter(|g| g.ended_at.is_none()).ok_or(())?;
                found.reason.clone_from(reason);
            }
            GrantChange::End(id, at) => {
                let found = self.grants.get_mut(id).ok_or(())?;
                found.ended_at = found.ended_at.or(Some(*at));
            }
            GrantChange::EndOf { membership, keep, at } => {
                for found in self.grants.values_mut().filter(|g| g.membership == *membership) {
                    if keep.as_ref() != Some(&found.role) {
                        found.ended_at = found.ended_at.or(Some(*at));
                    }
                }
            }
        }
        Ok(())
    }

    fn agent(&mut self, organization: OrganizationId, change: &AgentChange) -> Result<(), ()> {
        let ended = |agent: &Agent| agent.state == AgentState::Disabled;
        match change {
            AgentChange::Create(made) => drop(self.agents.insert(made.id, made.clone())),
            AgentChange::Update { id, name, heir, environment, on_owner_loss, rule_chosen_by } => {
                let found = self.agents.get_mut(id).ok_or(())?;
                (found.name, found.heir, found.environment) = (name.clone(), *heir, environment.clone());
                (found.on_owner_loss, found.rule_chosen_by) = (*on_owner_loss, *rule_chosen_by);
            }
            AgentChange::SetState(id, state, _) => {
                self.agents.get_mut(id).filter(|a| !ended(a)).ok_or(())?.state = *state;
            }
            AgentChange::SetOwner(id, owner, state, receipt) => {
                let found = self.agents.get_mut(id).filter(|a| !ended(a)).ok_or(())?;
                (found.owner, found.state) = (*owner, *state);
                found.heir = found.heir.filter(|heir| heir != owner);
                receipt.iter().for_each(|receipt| self.line(*receipt, "agent", id.to_string()));
            }
            AgentChange::Forget(member) => {
                for agent in self.agents.values_mut().filter(|a| a.organization == organization) {
                    agent.heir = agent.heir.filter(|heir| heir != member);
                    agent.rule_chosen_by = agent.rule_chosen_by.filter(|chooser| chooser != member);
                }
            }
            AgentChange::Disable(id, receipt) => {
                self.agents.get_mut(id).ok_or(())?.state = AgentState::Disabled;
                receipt.iter().for_each(|receipt| self.line(*receipt, "agent", id.to_string()));
            }
            AgentChange::Orphan(id, receipt) => {
                let found = self.agents.get_mut(id).ok_or(())?;
                if !ended(found) {
                    found.state = AgentState::Orphaned;
                }
                self.line(*receipt, "agent", id.to_string());
            }
        }
        Ok(())
    }

    fn line(&mut self, receipt: ReceiptId, kind: &str, item: String) {
        if let Some((_, lines)) = self.receipts.get_mut(&receipt) {
            lines.insert((kind.to_owned(), item));
        }
    }

    /// Every identifier that a membership has and ever had.
    fn identifiers(&self, member: &Membership) -> BTreeSet<Identifier> {
        let mut all: BTreeSet<Identifier> =
            self.former.iter().filter(|(of, _)| *of == member.id).map(|(_, i)| i.clone()).collect();
        all.insert(Identifier::email(&email_key(&member.email).unwrap()));
        all.extend(self.told.values().filter(|t| t.membership == member.id).flat_map(names));
        let links = self.links.values().filter(|l| l.membership == member.id);
        all.extend(links.flat_map(|l| {
            [Identifier::subject(l.connection, &l.subject), Identifier::issuer_subject(&l.subject)]
        }));
        all
    }

    /// Everything that can be found, as lines.
    pub(crate) fn view(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        lines.extend(
            self.organizations.values().filter(|(_, d)| d.is_none()).map(|(o, _)| shown("organization", o)),
        );
        lines.extend(self.environments.values().map(|e| shown("environment", e)));
        lines.extend(self.teams.values().map(|t| shown("team", t)));
        lines.extend(self.roles.values().map(|r| shown("role", r)));
        lines.extend(self.domains.values().map(|d| shown("domain", d)));
        lines.extend(self.users.values().map(|u| shown("user", u)));
        lines.extend(self.authenticators.iter().map(|(user, a)| shown("authenticator", &(user, a))));
        lines.extend(self.members.values().map(|m| shown("member", m)));
        lines.extend(self.members.values().map(|m| shown("names", &(m.id, self.identifiers(m)))));
        lines.extend(self.directories.values().map(|d| shown("directory", d)));
        lines.extend(self.google.values().map(|g| shown("google", g)));
        lines.extend(self.believed.view());
        lines.extend(self.told.values().map(|t| shown("told", t)));
        for (of, facets) in &self.facets {
            lines.extend(facets.iter().map(|facet| shown("facet", &(of, facet))));
        }
        lines.extend(self.groups.values().map(|g| shown("group", g)));
        lines.extend(self.places.iter().map(|p| shown("place", p)));
        lines.extend(self.nests.iter().map(|p| shown("nest", p)));
        lines.extend(self.connections.values().map(|c| shown("connection", c)));
        lines.extend(self.links.values().map(|l| shown("link", l)));
        lines.extend(self.mappings.values().map(|m| shown("mapping", m)));
        lines.extend(self.grants.values().filter(|g| g.ended_at.is_none()).map(|g| shown("grant", g)));
        lines.extend(self.agents.values().map(|a| shown("agent", a)));
        lines.extend(self.tokens.values().map(|(token, ended)| {
            let rest = (&token.name, &token.environment, token.connection, token.issued_at, token.expires_at);
            shown("token", &(token.id, token.kind, token.holder, token.shown_to, rest, ended))
        }));
        for (organization, identifier, _) in &self.tombstones {
            lines.insert(shown("tombstone", &(organization, identifier)));
        }
        for (receipt, ended) in self.receipts.values() {
            lines.insert(shown("receipt", &(receipt, ended)));
        }
        lines.extend(self.outbox.iter().map(|row| shown("outbox", &row)));
        lines.extend(self.holds.view());
        lines
    }

    /// The same, as the store finds it.
    pub(crate) fn stored_view(&self, tx: &mut Tx<'_>) -> Result<BTreeSet<String>, StoreError> {
        let mut lines: BTreeSet<String> = Holds::stored_view(self, tx)?.into_iter().collect();
        lines.extend(organization::list(tx, None, ALL)?.iter().map(|o| shown("organization", o)));
        for user in self.users.keys() {
            lines.extend(user::find(tx, *user)?.iter().map(|u| shown("user", u)));
            for a in user::authenticators_of(tx, *user)? {
                lines.insert(shown("authenticator", &(user, (a.email_key, a.secret, a.created_at))));
            }
        }
        for row in outbox::list_waiting(tx, None, ALL)? {
            let body = format!("{} {} {} {:?}", row.organization, row.kind, row.body, row.created_at);
            lines.insert(shown("outbox", &(row.id, body)));
        }
        for org in self.main.clone() {
            lines.extend(environment::list(tx, org, None, ALL)?.iter().map(|e| shown("environment", e)));
            lines.extend(team::list(tx, org, None, ALL)?.iter().map(|t| shown("team", t)));
            lines.extend(role::list(tx, org, None, ALL)?.iter().map(|r| shown("role", r)));
            lines.extend(domain::list(tx, org, None, ALL)?.iter().map(|d| shown("domain", d)));
            lines.extend(directory::list(tx, org, None, ALL)?.iter().map(|d| shown("directory", d)));
            for id in self.directories.keys().chain(&self.former_directories) {
                lines.extend(google::source(tx, org, *id)?.iter().map(|g| shown("google", g)));
            }
            for id in self.connections.keys().chain(&self.former_connections) {
                lines.extend(Believed::stored(tx, org, *id)?);
            }
            lines.extend(connection::list(tx, org, None, ALL)?.iter().map(|c| shown("connection", c)));
            lines.extend(mapping::list(tx, org, None, None, ALL)?.iter().map(|m| shown("mapping", m)));
            lines.extend(grant::list(tx, org, None, ALL)?.iter().map(|g| shown("grant", g)));
            lines.extend(agent::list(tx, org, None, ALL)?.iter().map(|a| shown("agent", a)));
            for t in token::list_page(tx, org, None, "", ALL)? {
                let ended = t.ended_at.zip(t.ended_because);
                let rest = (&t.name, &t.environment, t.connection, t.issued_at, t.expires_at);
                lines.insert(shown("token", &(t.id, t.kind, t.holder, t.shown_to, rest, ended)));
            }
            for r in receipt::list_page(tx, org, "", ALL)? {
                let ended: BTreeSet<_> = r.ended.into_iter().map(|line| (line.kind, line.id)).collect();
                lines.insert(shown("receipt", &(r.receipt, ended)));
            }
            let all = membership::list_page(tx, org, &membership::MembershipFilter::default(), "", ALL)?;
            for member in &all {
                lines.insert(shown("member", member));
                lines.insert(shown("names", &(member.id, leaver::identifiers(tx, member)?)));
                let told = directory_user::of_membership(tx, member.id)?;
                lines.extend(told.iter().map(|t| shown("told", t)));
                for told in &told {
                    let facets = directory_user::facets(tx, told.id)?;
                    lines.extend(facets.iter().map(|facet| shown("facet", &(told.id, facet))));
                }
                lines.extend(connection::links_of(tx, member.id)?.iter().map(|l| shown("link", l)));
            }
            for identifier in super::make::identifiers(self) {
                if tombstone::find(tx, org, &identifier)?.is_some() {
                    lines.insert(shown("tombstone", &(org, identifier)));
                }
            }
        }
        for group in self.groups.values() {
            lines.extend(
                directory_group::find(tx, group.directory, group.id)?.iter().map(|g| shown("group", g)),
            );
            for child in subgroup::children(tx, group.id, "", ALL)? {
                lines.insert(shown("nest", &(group.id, child)));
            }
            for user in directory_group::member_ids(tx, group.id, "", ALL)? {
                lines.insert(shown("place", &(group.id, user)));
            }
        }
        Ok(lines)
    }
}

/// What a directory calls somebody.
fn names(told: &DirectoryUser) -> Vec<Identifier> {
    let mut names = vec![Identifier::user_name(&told.user_name)];
    names.extend(email_key(&told.user_name).ok().map(|key| Identifier::email(&key)));
    names.extend(told.email_keys.iter().map(|key| Identifier::email(key)));
    names.extend(told.external_id.iter().map(|e| Identifier::external_id(told.directory, e)));
    names
}
