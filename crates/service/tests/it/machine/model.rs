//! The model: what the design says must be true, as lists and a few rules, without a line of the product.
//!
//! It knows people by number and tokens by number, carries a command out at once, and says of everything what it
//! expects: access, tokens, agents, tombstones, receipts. Where it and the product differ, one of them is wrong.

mod brake;
mod carry;
mod deletion;
mod groups;

use std::collections::{BTreeMap, BTreeSet};

use portcullis_domain::agent::OwnerLossRule;
use portcullis_domain::team::TeamRole;

use super::command::{About, By, CLAIMS, Called, Command, Given};
pub(crate) use brake::{Brakes, Kept, MAY, Voice};

/// Seconds between the loss of the last granting group and the end, a directory; of claims last.
pub(crate) const SETTLE_S: [i64; 3] = [0, 3600, 3600];
/// For how long an expiring key lives, in seconds.
pub(crate) const KEY_LIFE_S: i64 = 900;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Invited,
    Active,
    Suspended,
    Deprovisioned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Inactive,
    Deleted,
    Unmapped,
    Administrator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AgentState {
    Active,
    Paused,
    Orphaned,
    Disabled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Member(usize),
    Agent(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MemberKey,
    AgentKey,
    Session,
    Invitation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) org: usize,
    pub(crate) user: usize,
    pub(crate) person: usize,
    pub(crate) joined: bool,
    /// Whether they are called by the person's address, or by nothing because it was somebody else's.
    pub(crate) addressed: bool,
    pub(crate) governed_by: Option<usize>,
    pub(crate) suspended: bool,
    pub(crate) unmapped_at: Option<i64>,
    pub(crate) ended: Option<End>,
    /// Whether they left as the last owner, and nobody has made them owner again.
    pub(crate) bare: bool,
    pub(crate) state: State,
    pub(crate) role: Option<&'static str>,
    pub(crate) teams: Vec<(&'static str, TeamRole)>,
    pub(crate) environments: Vec<&'static str>,
    /// Directories that ever told of this membership: their external ids are on its tombstone.
    pub(crate) told_by: BTreeSet<usize>,
    pub(crate) receipts: Vec<Receipt>,
    /// When they ended last.
    pub(crate) ended_at: i64,
    /// The loss of the last group that a person's rules brought about: what follows from it is not the directory's.
    pub(crate) spared: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) tokens: BTreeSet<usize>,
    pub(crate) agents: BTreeSet<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) org: usize,
    pub(crate) directory: usize,
    pub(crate) person: usize,
    pub(crate) member: usize,
    pub(crate) active: bool,
    /// Since when it is so.
    pub(crate) said_at: i64,
    /// When the directory told of them first.
    pub(crate) told_at: i64,
    pub(crate) gone: bool,
    pub(crate) groups: BTreeSet<usize>,
    pub(crate) title: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MappingRule {
    pub(crate) org: usize,
    pub(crate) directory: usize,
    pub(crate) about: About,
    pub(crate) gives: Given,
    pub(crate) gone: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrantRow {
    pub(crate) member: usize,
    pub(crate) role: &'static str,
    pub(crate) live: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentRow {
    pub(crate) org: usize,
    pub(crate) owner: usize,
    pub(crate) heir: Option<usize>,
    pub(crate) rule: OwnerLossRule,
    pub(crate) chosen_by: Option<usize>,
    pub(crate) environment: &'static str,
    pub(crate) state: AgentState,
    /// Whether a person stopped it, and nobody let it go on.
    pub(crate) stopped: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenRow {
    pub(crate) org: usize,
    pub(crate) kind: Kind,
    pub(crate) holder: Holder,
    pub(crate) shown_to: Option<usize>,
    pub(crate) environment: &'static str,
    pub(crate) expires_at: Option<i64>,
    pub(crate) ended: bool,
}

/// An identifier on a tombstone: of a person, by its kind, and whose tombstone it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Login,
    Email,
    External(usize),
    /// Whatever the provider of the connection calls them by.
    Claimed,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) now: i64,
    pub(crate) members: Vec<Member>,
    /// For each user: whether they can sign in by themselves.
    pub(crate) users: Vec<bool>,
    pub(crate) told: Vec<Told>,
    /// Which groups there are, and what they are called.
    pub(crate) groups: BTreeMap<(usize, usize, usize), Called>,
    /// Which group holds which: organization, directory, parent, child.
    pub(crate) nests: BTreeSet<(usize, usize, usize, usize)>,
    /// Whether groups inside groups count, a directory of each organization.
    pub(crate) nesting: [[bool; 3]; 2],
    /// Which directories are gone.
    pub(crate) deleted: [[bool; 3]; 2],
    pub(crate) mappings: Vec<MappingRule>,
    pub(crate) defaults: [[Option<&'static str>; 3]; 2],
    pub(crate) grants: Vec<GrantRow>,
    pub(crate) agents: Vec<AgentRow>,
    pub(crate) tokens: Vec<TokenRow>,
    pub(crate) tombstones: BTreeSet<(usize, usize, Name, usize)>,
    pub(crate) brakes: Brakes,
}

/// What the product must answer to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It names nothing: it is not given.
    Nothing,
    /// It is carried out.
    Done,
    /// It is refused, and nothing changes.
    Refused,
}

pub(crate) fn rank(role: &str) -> i64 {
    match role {
        "owner" => 900,
        "break-glass" => 800,
        "admin" => 700,
        "member" => 300,
        "viewer" => 100,
        other => panic!("no rank for `{other}`"),
    }
}

/// Whether automation may give it.
pub(crate) fn automatic(role: &str) -> bool {
    role != "owner" && role != "break-glass"
}

fn may_use(role: Option<&str>) -> bool {
    role.is_some_and(|r| r != "viewer")
}

impl Model {
    pub(crate) fn member(&self, n: usize) -> Option<usize> {
        (!self.members.is_empty()).then(|| n % self.members.len())
    }

    pub(crate) fn told(&self, n: usize) -> Option<usize> {
        // What came at a sign-in is said at sign-ins alone.
        let of_claims = |t: &usize| self.told[*t].directory == CLAIMS;
        (!self.told.is_empty()).then(|| n % self.told.len()).filter(|t| !self.told[*t].gone && !of_claims(t))
    }

    pub(crate) fn agent(&self, n: usize) -> Option<usize> {
        (!self.agents.is_empty()).then(|| n % self.agents.len())
    }

    pub(crate) fn token(&self, n: usize) -> Option<usize> {
        (!self.tokens.is_empty()).then(|| n % self.tokens.len())
    }

    pub(crate) fn grant(&self, n: usize) -> Option<usize> {
        (!self.grants.is_empty()).then(|| n % self.grants.len())
    }

    pub(crate) fn nest(&self, n: usize) -> Option<(usize, usize, usize, usize)> {
        self.nests.iter().nth(n.checked_rem(self.nests.len())?).copied()
    }

    pub(crate) fn mapping(&self, n: usize) -> Option<usize> {
        (!self.mappings.is_empty()).then(|| n % self.mappings.len()).filter(|m| !self.mappings[*m].gone)
    }

    /// The member who asks, if they are active in that organization; else it is the root token.
    pub(crate) fn asker(&self, by: By, org: usize) -> Option<usize> {
        let By::Member(n) = by else { return None };
        let here: Vec<usize> = (0..self.members.len()).filter(|m| self.members[*m].org == org).collect();
        let m = *here.get(n.checked_rem(here.len())?)?;
        (self.members[m].state == State::Active).then_some(m)
    }

    /// The heir that a number means: somebody else of the organization who has not ended.
    pub(crate) fn heir(&self, owner: usize, n: usize) -> Option<usize> {
        let m = self.member(n)?;
        let here = self.members[m].org == self.members[owner].org;
        (m != owner && here && self.members[m].ended.is_none()).then_some(m)
    }

    fn facts(&self, m: usize) -> Vec<&Told> {
        self.told.iter().filter(|t| t.member == m && !t.gone).collect()
    }

    fn matches(&self, told: &Told) -> Vec<&MappingRule> {
        let by_groups = self.matched_by_groups(told);
        let is_titled = |r: &MappingRule| {
            let here = (r.org, r.directory) == (told.org, told.directory);
            here && told.title.is_some_and(|title| r.about == About::Title(title))
        };
        let keeps =
            |n: usize, r: &MappingRule| self.brakes.keeps(told.member, n) && r.directory == told.directory;
        let rules = self.mappings.iter().enumerate().filter(|(_, r)| !r.gone);
        rules.filter(|(n, r)| by_groups.contains(n) || is_titled(r) || keeps(*n, r)).map(|(_, r)| r).collect()
    }

    /// Whether what a directory says keeps somebody alive.
    fn lives_by(&self, told: &Told) -> bool {
        let default = self.defaults[told.org][told.directory].is_some_and(automatic);
        default || !self.matches(told).is_empty()
    }

    fn what_is_given(&self, m: usize) -> Member {
        let mut out = self.members[m].clone();
        (out.role, out.teams, out.environments) = (None, vec![], vec![]);
        let mut roles: Vec<&'static str> = Vec::new();
        let is_governed = out.governed_by.is_some_and(|directory| directory != CLAIMS);
        let gives = |t: &&Told| t.active && !(is_governed && t.directory == CLAIMS);
        for told in self.facts(m).into_iter().filter(gives) {
            let rules = self.matches(told);
            if rules.is_empty() {
                roles.extend(self.defaults[told.org][told.directory].filter(|r| automatic(r)));
            }
            for rule in rules {
                roles.extend(rule.gives.role.filter(|r| automatic(r)));
                out.environments.extend(rule.gives.environment);
                if let Some((team, role)) = rule.gives.team {
                    match out.teams.iter_mut().find(|(t, _)| *t == team) {
                        Some(known) => known.1 = known.1.max(role),
                        None => out.teams.push((team, role)),
                    }
                }
            }
        }
        roles.extend(self.granted(m));
        out.role = roles.into_iter().max_by_key(|r| rank(r));
        out.teams.sort();
        out.environments.sort_unstable();
        out.environments.dedup();
        out
    }

    fn granted(&self, m: usize) -> impl Iterator<Item = &'static str> {
        self.grants.iter().filter(move |g| g.member == m && g.live).map(|g| g.role)
    }

    /// Brings one membership in step with what was said. `deleted_by` is a directory that has just deleted the person.
    pub(crate) fn settle(&mut self, m: usize, deleted_by: Option<usize>, voice: Voice) {
        let lived = self.members[m].governed_by.is_some() || self.members[m].joined;
        let begun = self.members[m].unmapped_at;
        let facts: Vec<Told> = self.facts(m).into_iter().cloned().collect();
        if self.members[m].governed_by.is_none_or(|directory| directory == CLAIMS) {
            let may = |t: &&Told| t.directory != CLAIMS || !self.members[m].joined;
            let speaks = |t: &&Told| may(t) && (!t.active || self.lives_by(t));
            let mut speakers: Vec<usize> = facts.iter().filter(speaks).map(|t| t.directory).collect();
            speakers.sort_unstable();
            let speaker = deleted_by.or(speakers.first().copied());
            self.members[m].governed_by = speaker.or(self.members[m].governed_by);
        }
        let governor = self.members[m].governed_by;
        let said = facts.iter().find(|t| Some(t.directory) == governor);
        let was = self.members[m].ended;
        let mut unmapped_at = None;
        let (state, ended) = match (said, was) {
            (_, Some(End::Deleted)) => (State::Deprovisioned, Some(End::Deleted)),
            // What was said before somebody was off-boarded is no answer to it.
            (said, Some(End::Administrator))
                if said.is_none_or(|t| t.active || t.said_at <= self.members[m].ended_at) =>
            {
                (State::Deprovisioned, was)
            }
            (Some(t), _) if !t.active => (State::Deprovisioned, Some(End::Inactive)),
            // Claims say what somebody has who is here: not that they are back.
            (Some(t), Some(_)) if t.directory == CLAIMS => (State::Deprovisioned, was),
            (Some(t), _) if self.lives_by(t) => (self.alive(m), None),
            (Some(_), Some(_)) => (State::Deprovisioned, was),
            (Some(t), None) => {
                let since = self.members[m].unmapped_at.unwrap_or(self.now);
                unmapped_at = Some(since);
                if self.now >= since + SETTLE_S[t.directory] {
                    (State::Deprovisioned, Some(End::Unmapped))
                } else {
                    (State::Suspended, None)
                }
            }
            (None, _) if governor.is_some() => (State::Deprovisioned, Some(End::Deleted)),
            (None, Some(_)) => (State::Deprovisioned, was),
            (None, None) if self.members[m].joined => (self.alive(m), None),
            (None, None) if facts.is_empty() => (State::Invited, None),
            (None, None) => (State::Suspended, None),
        };
        self.members[m].unmapped_at = unmapped_at;
        let mut state = state;
        let mut ended = ended;
        if was.is_none() && self.brakes.holds_end(m) {
            match ended {
                Some(_) => (state, ended) = (State::Suspended, None),
                // What is said now says otherwise.
                None => self.brakes.unhold(m),
            }
        } else if let (None, Some(because)) = (was, ended)
            && lived
            && self.is_held_back(m, because, begun, voice)
        {
            (state, ended) = (State::Suspended, None);
        }
        if begun.is_none() && unmapped_at.is_some() && ended.is_none() && voice == Voice::Person {
            self.members[m].spared = unmapped_at;
        }
        match (was, ended) {
            (None, Some(because)) => self.end(m, because),
            (Some(_), Some(_)) => self.members[m].ended = ended,
            (before, None) => {
                if before.is_some() {
                    self.come_back(m);
                }
                let mut now = self.what_is_given(m);
                if state == State::Active && now.environments.is_empty() {
                    now.environments.push("production");
                }
                now.bare &= now.role != Some("owner");
                now.state = state;
                self.members[m] = now;
            }
        }
    }

    /// Somebody who ended is here again, without anything that they had: what no person gives them anew is no longer theirs.
    fn come_back(&mut self, m: usize) {
        self.members[m].ended = None;
        self.grants.iter_mut().filter(|g| g.member == m).for_each(|g| g.live = false);
        self.tombstones.retain(|(_, _, _, of)| *of != m);
        let (org, person) = (self.members[m].org, self.members[m].person);
        let facts = self.facts(m);
        let named = facts.into_iter().filter(|t| t.active && t.directory != CLAIMS).map(|t| t.directory);
        for directory in named.collect::<Vec<_>>() {
            self.lift(org, person, Some(directory));
        }
    }

    fn alive(&self, m: usize) -> State {
        if self.members[m].suspended { State::Suspended } else { State::Active }
    }

    fn is_last_owner(&self, m: usize) -> bool {
        let other = |n: usize| {
            let o = &self.members[n];
            n != m
                && o.org == self.members[m].org
                && o.role == Some("owner")
                && o.state == State::Active
                && (self.users[o.user] || self.is_linked(n) && o.environments.contains(&"production"))
        };
        self.members[m].role == Some("owner") && !(0..self.members.len()).any(other)
    }

    /// Whether somebody signs in by the connection.
    pub(crate) fn is_linked(&self, m: usize) -> bool {
        self.members[m].told_by.contains(&CLAIMS)
    }

    /// The end of a membership: everything that acts as it, and what was shown to it.
    fn end(&mut self, m: usize, because: End) {
        let bare = self.is_last_owner(m);
        self.brakes.forget(m);
        let (org, person) = (self.members[m].org, self.members[m].person);
        // Whoever is called by nothing here, and of whom nobody told, has no address that could be anybody's.
        let is_known = self.members[m].addressed || !self.members[m].told_by.is_empty();
        let mut receipt = Receipt::default();
        let now = self.now;
        let acts = |token: &TokenRow| !token.ended && token.expires_at.is_none_or(|at| now < at);
        // Whoever saw the good keys of each agent, before anything ends.
        let seen_by: Vec<Vec<Option<usize>>> = (0..self.agents.len())
            .map(|a| {
                let of_agent = |t: &&TokenRow| t.holder == Holder::Agent(a) && acts(t);
                self.tokens.iter().filter(of_agent).map(|t| t.shown_to).collect()
            })
            .collect();
        for (n, token) in self.tokens.iter_mut().enumerate() {
            let own = token.holder == Holder::Member(m);
            let invitation = token.kind == Kind::Invitation
                && is_known
                && token.org == org
                && matches!(token.holder, Holder::Member(h) if self.members[h].person == person);
            if acts(token) && (own || token.shown_to == Some(m) || invitation) {
                token.ended = true;
                receipt.tokens.insert(n);
            }
        }
        let fit = |members: &[Member], n: Option<usize>, environment| {
            n.filter(|n| *n != m && members[*n].state == State::Active)
                .filter(|n| members[*n].environments.contains(&environment))
        };
        for (a, saw) in seen_by.into_iter().enumerate() {
            let agent = &self.agents[a];
            if agent.owner != m || agent.state == AgentState::Disabled {
                continue;
            }
            let [heir, chooser] =
                [agent.heir, agent.chosen_by].map(|n| fit(&self.members, n, agent.environment));
            // `keep` is for those who have `agents.write`.
            let chooser =
                chooser.filter(|n| self.members[*n].role.is_some_and(|r| ["owner", "admin"].contains(&r)));
            let to = match agent.rule {
                OwnerLossRule::Disable => {
                    self.agents[a].state = AgentState::Disabled;
                    receipt.agents.insert(a);
                    for (n, token) in self.tokens.iter_mut().enumerate() {
                        if token.holder == Holder::Agent(a) && acts(token) {
                            token.ended = true;
                            receipt.tokens.insert(n);
                        }
                    }
                    continue;
                }
                OwnerLossRule::Pause => None,
                OwnerLossRule::HandOver => heir,
                OwnerLossRule::Keep => chooser.or(heir),
            };
            match to {
                None if agent.state == AgentState::Orphaned => {}
                None => {
                    self.agents[a].state = AgentState::Orphaned;
                    receipt.agents.insert(a);
                }
                Some(owner) => {
                    self.agents[a].owner = owner;
                    self.agents[a].heir = self.agents[a].heir.filter(|heir| *heir != owner);
                    let rank_of = |m: usize| self.members[m].role.map_or(0, rank);
                    let acts_on = |saw: &Option<usize>| match saw {
                        Some(saw) => *saw != m && rank_of(*saw) >= rank_of(owner),
                        None => true,
                    };
                    if self.agents[a].state == AgentState::Active && !saw.iter().any(acts_on) {
                        self.agents[a].state = AgentState::Paused;
                        receipt.agents.insert(a);
                    }
                }
            }
        }
        for agent in &mut self.agents {
            agent.heir = agent.heir.filter(|heir| *heir != m);
            agent.chosen_by = agent.chosen_by.filter(|chooser| *chooser != m);
        }
        for grant in self.grants.iter_mut().filter(|g| g.member == m) {
            grant.live &= bare && grant.role == "owner";
        }
        for name in self.names_of(m) {
            self.tombstones.insert((org, person, name, m));
        }
        let member = &mut self.members[m];
        (member.ended, member.state) = (Some(because), State::Deprovisioned);
        member.bare |= bare;
        member.ended_at = self.now;
        (member.role, member.teams, member.environments) = (bare.then_some("owner"), vec![], vec![]);
        member.receipts.push(receipt);
        let user = member.user;
        if self.is_user_ended(user) {
            self.users[user] = false;
        }
    }

    /// Every name that somebody ever had here.
    pub(crate) fn names_of(&self, m: usize) -> Vec<Name> {
        let member = &self.members[m];
        // Whoever is called by nothing here, and of whom nobody told, has no address that could be anybody's.
        let is_known = member.addressed || !member.told_by.is_empty();
        let of = |directory: &usize| match *directory {
            CLAIMS => vec![Name::Claimed],
            told => vec![Name::Login, Name::External(told)],
        };
        is_known.then_some(Name::Email).into_iter().chain(member.told_by.iter().flat_map(of)).collect()
    }

    /// A user ends with the last membership.
    pub(crate) fn is_user_ended(&self, user: usize) -> bool {
        self.members.iter().filter(|m| m.user == user).all(|m| m.ended.is_some())
    }

    fn lift(&mut self, org: usize, person: usize, directory: Option<usize>) {
        let (members, deleted) = (&self.members, &self.deleted);
        self.tombstones.retain(|(o, p, name, of)| {
            let named = match (name, directory) {
                (Name::Email, _) => true,
                (Name::Login, told) => told.is_some(),
                (Name::External(d), told) => told == Some(*d),
                // A subject is never anybody else's.
                (Name::Claimed, _) => false,
            };
            // What another directory's word laid is not for this one to lift.
            let governor = members[*of].governed_by;
            let is_gone = governor.is_some_and(|governor| deleted[org][governor]);
            let may = directory.is_none() || is_gone || [None, Some(CLAIMS), directory].contains(&governor);
            !(*o == org && *p == person && named && may)
        });
    }

    fn settle_all(&mut self, voice: Voice) {
        (0..self.members.len()).for_each(|m| self.settle(m, None, voice));
    }

    /// Whether the time alone changes something now.
    pub(crate) fn is_due(&self) -> bool {
        let mut later = self.clone();
        later.settle_all(Voice::Job);
        later.members != self.members || later.brakes != self.brakes
    }

    /// What the job finds when it runs now.
    pub(crate) fn pass(&mut self) {
        self.settle_all(Voice::Job);
    }

    /// What a check must answer about a token, in the environment that it is for.
    pub(crate) fn decision(&self, token: &TokenRow) -> &'static str {
        if token.ended {
            return "token_ended";
        }
        if token.expires_at.is_some_and(|at| self.now >= at) {
            return "token_expired";
        }
        let member = match token.holder {
            Holder::Member(m) => m,
            Holder::Agent(a) => {
                match self.agents[a].state {
                    AgentState::Orphaned => return "agent_orphaned",
                    AgentState::Disabled => return "token_ended",
                    AgentState::Paused => return "agent_paused",
                    AgentState::Active => {}
                }
                self.agents[a].owner
            }
        };
        let member = &self.members[member];
        let saw = token.shown_to.map(|m| &self.members[m]);
        if [Some(member), saw].into_iter().flatten().any(|one| one.state != State::Active) {
            return "member_inactive";
        }
        let rank_of = |one: &Member| one.role.map_or(0, rank);
        if saw.is_some_and(|saw| rank_of(saw) < rank_of(member)) {
            return "not_permitted";
        }
        if token.kind == Kind::Invitation {
            return "not_permitted";
        }
        if !member.environments.contains(&token.environment) {
            return "other_environment";
        }
        if may_use(member.role) { "allowed" } else { "not_permitted" }
    }

    fn newcomer(&mut self, org: usize, person: usize, user: Option<usize>, joined: bool) -> usize {
        let user = user.unwrap_or_else(|| {
            self.users.push(false);
            self.users.len() - 1
        });
        self.members.push(Member {
            org,
            user,
            person,
            joined,
            addressed: true,
            governed_by: None,
            suspended: false,
            unmapped_at: None,
            ended: None,
            bare: false,
            state: State::Invited,
            role: None,
            teams: vec![],
            environments: vec![],
            told_by: BTreeSet::new(),
            receipts: vec![],
            ended_at: 0,
            spared: None,
        });
        self.members.len() - 1
    }

    /// Somebody whom the first organization, which proved the domain, knows already under that address.
    pub(crate) fn recognized(&self, org: usize, directory: usize, person: usize) -> Option<usize> {
        if org != 0 {
            return None;
        }
        let here = |m: &usize| {
            let member = &self.members[*m];
            let lives = member.ended.is_none() && !self.brakes.holds_end(*m);
            member.org == org && member.person == person && member.addressed && lives
        };
        let known: Vec<usize> = (0..self.members.len()).filter(here).collect();
        let [only] = known.as_slice() else { return None };
        (!self.facts(*only).iter().any(|t| t.directory == directory)).then_some(*only)
    }

    /// Whether a directory is the one that names a member.
    fn names(&self, directory: usize, m: usize) -> bool {
        let member = &self.members[m];
        member.governed_by.map_or(!member.joined, |governing| governing == directory)
    }

    /// Whether the person's address is that of another living member whom the directory does not name.
    pub(crate) fn is_anothers(&self, (org, person): (usize, usize), directory: usize, of: usize) -> bool {
        (0..self.members.len()).any(|m| {
            let member = &self.members[m];
            let has_it = (member.org, member.person) == (org, person) && member.addressed;
            let is_told_of =
                member.governed_by.is_some() || self.facts(m).iter().any(|t| t.directory == directory);
            let is_named = !member.joined && self.names(directory, m) && is_told_of;
            m != of && has_it && member.ended.is_none() && !is_named
        })
    }

    /// Whom a command tells of anew whose address is free, and who is called by nothing.
    pub(crate) fn to_be_addressed(&self, command: &Command) -> Option<usize> {
        let (Command::Say { user, .. } | Command::Title { user, .. } | Command::Boast { user }) = *command
        else {
            return None;
        };
        let told = &self.told[self.told(user)?];
        let is_free = !self.is_anothers((told.org, told.person), told.directory, told.member);
        (!self.members[told.member].addressed && is_free).then_some(self.told(user)?)
    }

    /// Calls whom a directory tells of by their address, if it names them.
    pub(crate) fn address(&mut self, t: usize) {
        let (m, directory) = (self.told[t].member, self.told[t].directory);
        if self.members[m].ended.is_none() && !self.members[m].joined && self.names(directory, m) {
            self.members[m].addressed = true;
        }
    }
}
