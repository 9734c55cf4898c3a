//! What each command does to the model, or that it must be refused.

use std::collections::BTreeSet;

use portcullis_domain::agent::OwnerLossRule;

use super::super::command::{CLAIMS, Called, Command, Order};
use super::brake::Named;
use super::{
    AgentRow, AgentState, End, Expect, GrantRow, Holder, KEY_LIFE_S, Kind, MappingRule, Member, Model, Name,
    State, TokenRow, Told, Voice, automatic,
};

/// Whose word a command is.
fn voice(command: &Command) -> Voice {
    match command {
        Command::Tell { .. }
        | Command::Say { .. }
        | Command::Boast { .. }
        | Command::Title { .. }
        | Command::Delete { .. }
        | Command::MakeGroup { .. }
        | Command::Rename { .. }
        | Command::Rekey { .. }
        | Command::DropGroup { .. }
        | Command::Join { .. }
        | Command::Leave { .. }
        | Command::Nest { .. }
        | Command::Unnest { .. }
        | Command::ReplaceNested { .. }
        | Command::Replace { .. }
        | Command::Arrive { .. } => Voice::Directory,
        _ => Voice::Person,
    }
}

impl Model {
    /// Carries a command out, or says that the product must refuse it.
    pub(crate) fn carry_out(&mut self, command: &Command) -> Expect {
        let to_be_addressed = self.to_be_addressed(command);
        let expect = self.try_to(command);
        if expect == Expect::Done {
            self.settle_all(voice(command));
            if let Some(told) = to_be_addressed {
                self.address(told);
            }
        }
        expect
    }

    fn is_of_a_deleted_directory(&self, command: &Command) -> bool {
        match *command {
            Command::Tell { org, directory, .. }
            | Command::MakeGroup { org, directory, .. }
            | Command::Map { org, directory, .. }
            | Command::Default { org, directory, .. }
            | Command::Brake { org, directory, .. }
            | Command::Nesting { org, directory, .. }
            | Command::DropDirectory { org, directory, .. } => self.deleted[org][directory],
            _ => false,
        }
    }

    fn try_to(&mut self, command: &Command) -> Expect {
        use Expect::{Done, Nothing, Refused};
        if self.is_of_a_deleted_directory(command) {
            return Nothing;
        }
        match command {
            Command::Pass(_) => Nothing,
            Command::Tell { .. }
            | Command::Say { .. }
            | Command::Boast { .. }
            | Command::Title { .. }
            | Command::Delete { .. }
            | Command::Join { .. }
            | Command::Leave { .. } => self.facts_said(command),
            Command::MakeGroup { .. }
            | Command::Rename { .. }
            | Command::Rekey { .. }
            | Command::DropGroup { .. }
            | Command::Nest { .. }
            | Command::Unnest { .. }
            | Command::ReplaceNested { .. }
            | Command::Replace { .. } => self.groups_said(command),
            Command::DropDirectory { org, directory, people, crowded } => {
                self.drop_directory((*org, *directory), *people, *crowded)
            }
            Command::Nesting { org, directory, counts } => {
                self.nesting[*org][*directory] = *counts;
                Done
            }
            Command::Map { org, directory, about, gives } => {
                self.mappings.push(MappingRule {
                    org: *org,
                    directory: *directory,
                    about: *about,
                    gives: gives.clone(),
                    gone: false,
                });
                Done
            }
            Command::Unmap { mapping } => {
                let Some(m) = self.mapping(*mapping) else { return Nothing };
                self.mappings[m].gone = true;
                self.brakes.drop_kept(|kept| kept.mapping == m);
                Done
            }
            Command::Remap { mapping, directory, about } => {
                let may = |m: &usize| self.mappings[*m].gives.role.is_none_or(automatic);
                let Some(m) = self.mapping(*mapping).filter(may) else { return Nothing };
                if self.deleted[self.mappings[m].org][*directory] {
                    return Nothing;
                }
                if (self.mappings[m].directory, self.mappings[m].about) != (*directory, *about) {
                    (self.mappings[m].directory, self.mappings[m].about) = (*directory, *about);
                    self.brakes.drop_kept(|kept| kept.mapping == m);
                }
                Done
            }
            Command::Default { org, directory, role } => {
                self.defaults[*org][*directory] = *role;
                Done
            }
            Command::Brake { org, directory, full } => {
                self.brakes.set(*org, *directory, *full, self.now);
                Done
            }
            Command::Decide { org, directory, kind, hold, whom, how } => {
                self.decide((*org, *directory), (*kind, *hold), *whom, *how)
            }
            Command::Grant { member, role } => {
                let Some(m) = self.member(*member).filter(|m| self.members[*m].ended.is_none()) else {
                    return Nothing;
                };
                self.grants.push(GrantRow { member: m, role, live: true });
                Done
            }
            Command::EndGrant { grant } => {
                let live =
                    |g: &usize| self.grants[*g].live && self.members[self.grants[*g].member].ended.is_none();
                let Some(g) = self.grant(*grant).filter(live) else { return Nothing };
                self.grants[g].live = false;
                Done
            }
            Command::Suspend { member } | Command::Restore { member } => {
                let Some(m) = self.member(*member) else { return Nothing };
                let wish = matches!(command, Command::Suspend { .. });
                let state = self.members[m].state;
                let unfit = matches!(state, State::Invited | State::Deprovisioned);
                if unfit || (wish && !self.members[m].suspended && self.is_last_owner(m)) {
                    return Refused;
                }
                self.members[m].suspended = wish;
                Done
            }
            Command::OffBoard { member } => {
                let Some(m) = self.member(*member) else { return Nothing };
                if self.members[m].ended.is_some() {
                    return Done;
                }
                if self.is_last_owner(m) {
                    return Refused;
                }
                self.end(m, End::Administrator);
                Done
            }
            Command::Arrive { person, grouped } => self.arrive(*person, *grouped),
            Command::Invite { .. }
            | Command::Accept { .. }
            | Command::Add { .. }
            | Command::SetPassword { .. } => self.people_come(command),
            Command::MemberKey { .. }
            | Command::Session { .. }
            | Command::MakeAgent { .. }
            | Command::AgentKey { .. }
            | Command::OrderAgent { .. }
            | Command::Assign { .. }
            | Command::Revoke { .. } => self.acting(command),
        }
    }

    fn facts_said(&mut self, command: &Command) -> Expect {
        use Expect::{Done, Nothing, Refused};
        match *command {
            Command::Tell { org, directory, person, active } => {
                let same = |t: &Told| !t.gone && (t.org, t.directory, t.person) == (org, directory, person);
                if self.told.iter().any(same) {
                    return Refused;
                }
                let known = self.recognized(org, directory, person);
                if active {
                    self.lift(org, person, Some(directory));
                }
                let member = known.unwrap_or_else(|| {
                    let addressed = !self.is_anothers((org, person), directory, self.members.len());
                    let made = self.newcomer(org, person, None, false);
                    self.members[made].addressed = addressed;
                    made
                });
                self.members[member].told_by.insert(directory);
                let groups = BTreeSet::new();
                let (title, said_at, told_at) = (None, self.now, self.now);
                let gone = false;
                self.told.push(Told {
                    org,
                    directory,
                    person,
                    member,
                    active,
                    said_at,
                    told_at,
                    gone,
                    groups,
                    title,
                });
                Done
            }
            Command::Say { user, active } => {
                let Some(t) = self.told(user) else { return Nothing };
                let told = self.told[t].clone();
                // Whoever stays out keeps their tombstones: nobody here is called so.
                if active && !told.active && self.members[told.member].ended.is_none() {
                    self.lift(told.org, told.person, Some(told.directory));
                }
                if active != told.active {
                    (self.told[t].active, self.told[t].said_at) = (active, self.now);
                }
                Done
            }
            Command::Title { user, title } => {
                let Some(t) = self.told(user) else { return Nothing };
                self.told[t].title = title;
                Done
            }
            Command::Boast { user } => self.told(user).map_or(Nothing, |_| Done),
            Command::Delete { user } => {
                let Some(t) = self.told(user) else { return Nothing };
                self.told[t].gone = true;
                let (member, directory) = (self.told[t].member, self.told[t].directory);
                self.brakes.delete(member, directory);
                self.settle(member, Some(directory), Voice::Directory);
                Done
            }
            Command::Join { user, group } | Command::Leave { user, group } => {
                let Some(t) = self.told(user) else { return Nothing };
                let place = (self.told[t].org, self.told[t].directory);
                if self.called(place, group).is_none() {
                    return Nothing;
                }
                let named = BTreeSet::from([self.told[t].member]);
                if matches!(command, Command::Join { .. }) {
                    self.name(place, group, &named, Named::In);
                    self.told[t].groups.insert(group);
                } else {
                    self.name(place, group, &named, Named::Out);
                    self.told[t].groups.remove(&group);
                }
                Done
            }
            _ => Nothing,
        }
    }

    /// Somebody comes by the connection of the first organization, known by their link or by nothing. Links of others have
    /// tests of their own.
    fn arrive(&mut self, person: usize, grouped: bool) -> Expect {
        let here = |m: &usize| {
            let member = &self.members[*m];
            (member.org, member.person) == (0, person) && member.ended.is_none()
        };
        let linked = (0..self.members.len()).filter(here).find(|m| self.is_linked(*m));
        let is_called_so = (0..self.members.len()).filter(here).any(|m| self.members[m].addressed);
        if linked.is_none() && is_called_so {
            return Expect::Nothing;
        }
        let names = [Name::Email, Name::Login, Name::Claimed];
        let left =
            self.tombstones.iter().any(|(o, p, name, _)| (*o, *p) == (0, person) && names.contains(name));
        let is_told_of =
            self.told.iter().any(|t| !t.gone && (t.org, t.person) == (0, person) && t.directory != CLAIMS);
        if linked.is_none() && (left || is_told_of) {
            return Expect::Refused;
        }
        let before = self.clone();
        let member = linked.unwrap_or_else(|| {
            let made = self.newcomer(0, person, None, false);
            self.members[made].told_by.insert(CLAIMS);
            let (groups, title, said_at, told_at) = (BTreeSet::new(), None, self.now, self.now);
            let (org, directory, member, active, gone) = (0, CLAIMS, made, true, false);
            self.told.push(Told {
                org,
                directory,
                person,
                member,
                active,
                said_at,
                told_at,
                gone,
                groups,
                title,
            });
            made
        });
        let of = |t: &&mut Told| (t.member, t.directory) == (member, CLAIMS);
        let said = self.told.iter_mut().find(of).expect("their claims are kept");
        said.groups = (0..usize::from(grouped)).collect();
        self.groups.extend(said.groups.iter().map(|group| ((0, CLAIMS, *group), Called::claimed(*group))));
        self.settle(member, None, Voice::Directory);
        let found = &self.members[member];
        let comes_in = found.state == State::Active && found.environments.contains(&"production");
        if linked.is_none() && !(comes_in && found.role.is_some()) {
            *self = before;
            return Expect::Refused;
        }
        if comes_in {
            self.tokens.push(TokenRow {
                org: 0,
                kind: Kind::Session,
                holder: Holder::Member(member),
                shown_to: None,
                environment: "production",
                expires_at: None,
                ended: false,
            });
        }
        Expect::Done
    }

    fn people_come(&mut self, command: &Command) -> Expect {
        use Expect::{Done, Nothing, Refused};
        match *command {
            Command::Invite { org, person } => {
                let member = self.newcomer(org, person, None, false);
                self.tokens.push(TokenRow {
                    org,
                    kind: Kind::Invitation,
                    holder: Holder::Member(member),
                    shown_to: None,
                    environment: "production",
                    expires_at: None,
                    ended: false,
                });
                Done
            }
            Command::Accept { token } => {
                let invitation =
                    |t: &usize| self.tokens[*t].kind == Kind::Invitation && !self.tokens[*t].ended;
                let Some(t) = self.token(token).filter(invitation) else { return Nothing };
                let Holder::Member(m) = self.tokens[t].holder else { return Nothing };
                self.tokens[t].ended = true;
                self.members[m].joined = true;
                Done
            }
            Command::Add { org, member } => {
                let Some(m) = self.member(member) else { return Nothing };
                let user = self.members[m].user;
                let theirs: Vec<&Member> =
                    self.members.iter().filter(|m| m.user == user && m.ended.is_none()).collect();
                let Some(newest) = theirs.last() else { return Refused };
                let named = theirs.iter().rev().find(|m| m.joined).unwrap_or(newest);
                // Whoever only waits by an invitation says first who they are.
                let waits = theirs.iter().all(|m| m.state == State::Invited);
                if waits || theirs.iter().any(|m| m.org == org) {
                    return Refused;
                }
                let (person, addressed) = (named.person, named.addressed);
                if addressed {
                    self.lift(org, person, None);
                }
                let made = self.newcomer(org, person, Some(user), true);
                self.members[made].addressed = addressed;
                Done
            }
            Command::SetPassword { member } => {
                let Some(m) = self.member(member) else { return Nothing };
                let user = self.members[m].user;
                if self.is_user_ended(user) {
                    return Nothing;
                }
                self.users[user] = true;
                Done
            }
            _ => Nothing,
        }
    }

    fn acting(&mut self, command: &Command) -> Expect {
        use Expect::{Done, Nothing, Refused};
        match *command {
            Command::MemberKey { member, by, staging, expires } => {
                let Some(m) = self.member(member) else { return Nothing };
                let environment = if staging { "staging" } else { "production" };
                let has = self.members[m].environments.contains(&environment);
                if self.members[m].state != State::Active || !has {
                    return Refused;
                }
                let org = self.members[m].org;
                self.tokens.push(TokenRow {
                    org,
                    kind: Kind::MemberKey,
                    holder: Holder::Member(m),
                    shown_to: self.asker(by, org),
                    environment,
                    expires_at: expires.then_some(self.now + KEY_LIFE_S),
                    ended: false,
                });
                Done
            }
            Command::Session { member } => {
                let Some(m) = self.member(member) else { return Nothing };
                if self.members[m].state != State::Active {
                    return Refused;
                }
                self.tokens.push(TokenRow {
                    org: self.members[m].org,
                    kind: Kind::Session,
                    holder: Holder::Member(m),
                    shown_to: None,
                    environment: "production",
                    expires_at: None,
                    ended: false,
                });
                Done
            }
            Command::MakeAgent { owner, heir, rule, by, staging } => {
                let Some(o) = self.member(owner) else { return Nothing };
                let environment = if staging { "staging" } else { "production" };
                let heir = self.heir(o, heir);
                let has = self.members[o].environments.contains(&environment);
                let lacks_heir = rule == OwnerLossRule::HandOver && heir.is_none();
                if self.members[o].state != State::Active || !has || lacks_heir {
                    return Refused;
                }
                let org = self.members[o].org;
                let chosen_by = self.asker(by, org).filter(|_| rule != OwnerLossRule::Pause);
                let (state, stopped) = (AgentState::Active, false);
                self.agents.push(AgentRow {
                    org,
                    owner: o,
                    heir,
                    rule,
                    chosen_by,
                    environment,
                    state,
                    stopped,
                });
                Done
            }
            Command::AgentKey { agent, by } => {
                let Some(a) = self.agent(agent) else { return Nothing };
                let row = &self.agents[a];
                let runs = matches!(row.state, AgentState::Active | AgentState::Paused);
                let owner = &self.members[row.owner];
                let has = owner.state == State::Active && owner.environments.contains(&row.environment);
                if !runs || !has {
                    return Refused;
                }
                let org = row.org;
                self.tokens.push(TokenRow {
                    org,
                    kind: Kind::AgentKey,
                    holder: Holder::Agent(a),
                    shown_to: self.asker(by, org),
                    environment: row.environment,
                    expires_at: None,
                    ended: false,
                });
                Done
            }
            Command::OrderAgent { agent, order } => {
                let Some(a) = self.agent(agent) else { return Nothing };
                match (self.agents[a].state, order) {
                    (AgentState::Disabled, Order::Disable) => {}
                    (_, Order::Disable) => {
                        self.agents[a].state = AgentState::Disabled;
                        let of = |t: &&mut TokenRow| t.holder == Holder::Agent(a);
                        self.tokens.iter_mut().filter(of).for_each(|t| t.ended = true);
                    }
                    (AgentState::Disabled | AgentState::Orphaned, _) => return Refused,
                    (_, Order::Pause) => self.agents[a].state = AgentState::Paused,
                    (_, Order::Resume) => self.agents[a].state = AgentState::Active,
                }
                self.agents[a].stopped = order == Order::Pause;
                Done
            }
            Command::Assign { agent, owner } => {
                let (Some(a), Some(o)) = (self.agent(agent), self.member(owner)) else { return Nothing };
                let row = &self.agents[a];
                let fit = self.members[o].org == row.org
                    && self.members[o].state == State::Active
                    && self.members[o].environments.contains(&row.environment);
                if row.state == AgentState::Disabled || !fit {
                    return Refused;
                }
                self.agents[a].owner = o;
                self.agents[a].heir = self.agents[a].heir.filter(|heir| *heir != o);
                if self.agents[a].state == AgentState::Orphaned {
                    // What a person stopped is let go on by a person.
                    let stopped = self.agents[a].stopped;
                    self.agents[a].state = if stopped { AgentState::Paused } else { AgentState::Active };
                }
                Done
            }
            Command::Revoke { token } => {
                let Some(t) = self.token(token) else { return Nothing };
                self.tokens[t].ended = true;
                Done
            }
            _ => Nothing,
        }
    }
}
