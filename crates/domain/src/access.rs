//! Access: what follows for one membership from facts, mappings and grants.
//!
//! [`resolve`] is a pure function of one person's facts and the rules that these facts touch: the same facts and
//! rules give the same access, in whatever order they arrived (invariant I9). It never gives an explicit-only role
//! from automation (I2), and never life from a grant.

use serde::{Deserialize, Serialize};

use crate::directory::DirectoryKind;
use crate::id::{DirectoryGroupId, DirectoryId, GrantId, MappingId, RequestId};
use crate::membership::{Membership, MembershipState};
use crate::role::{Giving, Rank, Role};
use crate::team::TeamRole;
use crate::text::{Slug, texts};
use crate::time::Timestamp;

/// One thing that a membership has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// A role.
    Role(Slug),
    /// A team, and what one is in it.
    Team(Slug, TeamRole),
    /// An environment.
    Environment(Slug),
}

/// What gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A mapping of a directory group, an organizational unit or a value of an attribute.
    Mapping,
    /// A grant by a person.
    Grant,
    /// A directory's default role, or the environment that everybody has.
    Default,
}

/// Why a membership has something: the whole chain, so that "why" is always answerable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reason {
    /// What it has.
    pub gives: Given,
    /// By what.
    pub by: By,
    /// The mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<MappingId>,
    /// The group that the mapping matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<DirectoryGroupId>,
    /// The directory that said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<DirectoryId>,
    /// The request that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// What a membership has, each with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// What it is worth.
    pub state: MembershipState,
    /// Its role.
    pub role: Option<Slug>,
    /// Its teams, in order of slug.
    pub teams: Vec<(Slug, TeamRole)>,
    /// Its environments, in order of slug.
    pub environments: Vec<Slug>,
    /// Why it has each of them.
    pub reasons: Vec<Reason>,
    /// The first moment when this may change by itself; it is not used after it.
    pub until: Option<Timestamp>,
}

impl Access {
    /// No access, in that state.
    #[must_use]
    pub const fn none(state: MembershipState) -> Self {
        Self { state, role: None, teams: vec![], environments: vec![], reasons: vec![], until: None }
    }
}

/// A role as far as resolution needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankedRole {
    /// Its slug.
    pub slug: Slug,
    /// How high it stands.
    pub rank: Rank,
    /// Whether automation may give it.
    pub giving: Giving,
}

impl From<Role> for RankedRole {
    fn from(role: Role) -> Self {
        Self { slug: role.slug, rank: role.rank, giving: role.giving }
    }
}

/// What one directory says of the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryFacts {
    /// The directory.
    pub directory: DirectoryId,
    /// How it learns its facts.
    pub kind: DirectoryKind,
    /// Whether it says active.
    pub statement: Statement,
    /// The role of people in no mapped group.
    pub default_role: Option<RankedRole>,
    /// Seconds from the loss of the last granting group to the end.
    pub settle_s: i64,
}

/// What a directory says of a person's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// Active.
    Active,
    /// Inactive: `active:false`, suspended, archived.
    Inactive {
        /// Since when it says so.
        since: Timestamp,
    },
    /// Active, in a backup that was put back, or by a claim that is not asked for any more; the directory has not spoken of
    /// the person since (invariant I4).
    Unconfirmed,
    /// Active, in claims that nobody reads any more: their connection asks a directory.
    Unheard,
}

/// A mapping that matches one of the person's groups or facets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The mapping.
    pub mapping: MappingId,
    /// Its directory.
    pub directory: DirectoryId,
    /// The group that it matched; `None` where it matched something else of the person.
    pub group: Option<DirectoryGroupId>,
    /// The request that put the person into the group, or said what it matched.
    pub request: Option<RequestId>,
    /// The role that it gives.
    pub role: Option<RankedRole>,
    /// The team that it gives.
    pub team: Option<(Slug, TeamRole)>,
    /// The environment that it gives.
    pub environment: Option<Slug>,
}

/// A grant that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The grant.
    pub grant: GrantId,
    /// The role.
    pub role: RankedRole,
    /// The request that gave it.
    pub request: Option<RequestId>,
}

texts! {
    /// Why a membership ended.
    pub enum EndedBecause {
        /// The directory said inactive.
        Inactive = "inactive",
        /// The directory deleted the person.
        Deleted = "deleted",
        /// The last granting group was lost and did not come back.
        Unmapped = "unmapped",
        /// An administrator off-boarded them.
        Administrator = "administrator",
    }
}

/// Everything that is known of one person in one organization, and the rules that it touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonFacts {
    /// When the person joined by themselves.
    pub joined_at: Option<Timestamp>,
    /// The directory that governs them already.
    pub governed_by: Option<DirectoryId>,
    /// When an administrator suspended them.
    pub suspended_at: Option<Timestamp>,
    /// When they lost the last granting group.
    pub unmapped_at: Option<Timestamp>,
    /// The end, if it came.
    pub ended: Option<(Timestamp, EndedBecause)>,
    /// What each directory says.
    pub directories: Vec<DirectoryFacts>,
    /// Mappings that match.
    pub matched: Vec<Matched>,
    /// Grants.
    pub grants: Vec<Granted>,
    /// Whether the brake holds their end.
    pub held: Held,
}

impl PersonFacts {
    /// A directory that tells of everybody has deleted the person, which makes it govern them, unless another such one does.
    pub fn deleted_by(&mut self, directory: DirectoryId) {
        if self.governed_by.is_none() || self.brought_by().is_some() {
            self.governed_by = Some(directory);
        }
    }

    /// Whether the person owns the organization, also where another role of theirs stands above owners.
    #[must_use]
    pub fn owns(&self) -> bool {
        self.grants.iter().any(|granted| granted.role.slug == Slug::owner())
    }

    /// Whether a mapping or the default of that directory gives life, if it says active.
    #[must_use]
    pub fn lives_by(&self, directory: DirectoryId) -> bool {
        self.directories.iter().any(|d| d.directory == directory && would_give_life(self, d))
    }

    /// The claims that govern the person, while they do.
    fn brought_by(&self) -> Option<&DirectoryFacts> {
        let governs = |d: &&DirectoryFacts| Some(d.directory) == self.governed_by;
        self.directories.iter().find(governs).filter(|d| !d.kind.tells_of_everybody())
    }
}

/// Whether the brake holds somebody's end (invariant I12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Held {
    /// It does not.
    #[default]
    No,
    /// Whatever a directory says that ends them suspends them instead.
    Ending,
}

/// What follows from the facts: the access, and what the membership must remember of how it came to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The access.
    pub access: Access,
    /// The directory that governs from now on.
    pub governed_by: Option<DirectoryId>,
    /// Since when no mapping gives it life.
    pub unmapped_at: Option<Timestamp>,
    /// Why it is at its end, if it is.
    pub ended: Option<EndedBecause>,
    /// Why it would be at its end, if the brake did not hold it.
    pub held: Option<EndedBecause>,
}

enum Life {
    Invited,
    Waiting,
    Alive,
    Unmapped { settle_s: i64 },
    Ended(EndedBecause),
}

/// What follows from one person's facts and rules at `now`.
#[must_use]
pub fn resolve(facts: &PersonFacts, now: Timestamp) -> Resolved {
    let governor = governor(facts);
    let life = life(facts, governor);
    let mut unmapped_at = None;
    let mut until = None;
    let mut held = None;
    let (state, ended) = match life {
        Life::Invited => (MembershipState::Invited, None),
        Life::Waiting => (MembershipState::Suspended, None),
        Life::Alive if facts.suspended_at.is_some() => (MembershipState::Suspended, None),
        Life::Alive => (MembershipState::Active, None),
        // INVARIANT I12: what is held is suspended, whatever else the directory says, until it says active.
        Life::Ended(because) if is_held(facts, because) => {
            held = Some(because);
            (MembershipState::Suspended, None)
        }
        Life::Ended(because) => (MembershipState::Deprovisioned, Some(because)),
        Life::Unmapped { settle_s } => {
            let since = facts.unmapped_at.unwrap_or(now);
            let ends_at = since.plus_s(settle_s);
            unmapped_at = Some(since);
            if now >= ends_at && facts.held == Held::Ending {
                held = Some(EndedBecause::Unmapped);
                (MembershipState::Suspended, None)
            } else if now >= ends_at {
                (MembershipState::Deprovisioned, Some(EndedBecause::Unmapped))
            } else {
                until = Some(ends_at);
                (MembershipState::Suspended, None)
            }
        }
    };
    let mut access = if ended.is_some() { bare(facts) } else { given(facts, governor) };
    access.state = state;
    access.until = until;
    if state == MembershipState::Active && access.environments.is_empty() {
        let production = Slug::production();
        access.reasons.push(by_default(Given::Environment(production.clone()), None));
        access.environments.push(production);
    }
    Resolved {
        access,
        governed_by: governor.map(|d| d.directory).or(facts.governed_by),
        unmapped_at,
        ended,
        held,
    }
}

/// Whether what is said of somebody whose end is held says otherwise: they are there again. Whoever waits for their
/// directory since a restore stays held, as nothing was said.
#[must_use]
pub fn is_let_go(facts: &PersonFacts, now: Timestamp) -> bool {
    let waits = matches!(life(facts, governor(facts)), Life::Waiting);
    facts.held == Held::Ending && !waits && resolve(facts, now).held.is_none()
}

/// Whether an end for that reason is held. What ended already has ended, and an administrator's word is not held.
fn is_held(facts: &PersonFacts, because: EndedBecause) -> bool {
    facts.held == Held::Ending && facts.ended.is_none() && because != EndedBecause::Administrator
}

/// The directory that governs: the one that does already, else one that gives life or says inactive.
///
/// Claims govern only people whom they brought: an invited person who signs in by a connection keeps their own life. And
/// they do so only until a directory speaks that tells of everybody: they say nothing of who leaves.
fn governor(facts: &PersonFacts) -> Option<&DirectoryFacts> {
    let brought_by = facts.brought_by();
    if let Some(id) = facts.governed_by.filter(|_| brought_by.is_none()) {
        return facts.directories.iter().find(|d| d.directory == id);
    }
    let speaks = |d: &&DirectoryFacts| {
        let may = d.kind.tells_of_everybody() || (facts.joined_at.is_none() && brought_by.is_none());
        may && (matches!(d.statement, Statement::Inactive { .. }) || gives_life(facts, d))
    };
    let rank = |d: &&DirectoryFacts| (!d.kind.tells_of_everybody(), d.directory);
    facts.directories.iter().filter(speaks).min_by_key(rank).or(brought_by)
}

fn gives_life(facts: &PersonFacts, directory: &DirectoryFacts) -> bool {
    directory.statement != Statement::Unconfirmed && would_give_life(facts, directory)
}

fn would_give_life(facts: &PersonFacts, directory: &DirectoryFacts) -> bool {
    directory.default_role.as_ref().is_some_and(|r| r.giving == Giving::Anyhow)
        || facts.matched.iter().any(|m| m.directory == directory.directory)
}

fn life(facts: &PersonFacts, governor: Option<&DirectoryFacts>) -> Life {
    let inactive = governor.and_then(|d| match d.statement {
        Statement::Inactive { since } => Some(since),
        Statement::Active | Statement::Unconfirmed | Statement::Unheard => None,
    });
    match (inactive, facts.ended) {
        (_, Some((_, EndedBecause::Deleted))) => return Life::Ended(EndedBecause::Deleted),
        // Said before an administrator off-boarded them (the brake held that end), it is no answer to it.
        (since, Some((at, EndedBecause::Administrator))) if since.is_none_or(|since| since <= at) => {
            return Life::Ended(EndedBecause::Administrator);
        }
        // Also after an administrator's off-boarding: from here on a later `active` is a new statement.
        (Some(_), _) => return Life::Ended(EndedBecause::Inactive),
        (None, _) => {}
    }
    match governor {
        // INVARIANT I4: claims say what somebody has who is here, and were heard once. That they are back, nobody said.
        Some(d) if gives_life(facts, d) && (facts.ended.is_none() || d.kind.tells_of_everybody()) => {
            Life::Alive
        }
        // INVARIANT I4: what a backup says of a person waits for the directory, and nothing ends meanwhile.
        Some(d) if d.statement == Statement::Unconfirmed => {
            facts.ended.map_or(Life::Waiting, |(_, because)| Life::Ended(because))
        }
        Some(d) => match facts.ended {
            Some((_, because)) => Life::Ended(because),
            None => Life::Unmapped { settle_s: d.settle_s },
        },
        // A governing directory that no longer knows the person has deleted them.
        None if facts.governed_by.is_some() => Life::Ended(EndedBecause::Deleted),
        None => match facts.ended {
            Some((_, because)) => Life::Ended(because),
            None if facts.joined_at.is_some() => Life::Alive,
            None if facts.directories.is_empty() => Life::Invited,
            None => Life::Waiting,
        },
    }
}

fn by_default(gives: Given, directory: Option<DirectoryId>) -> Reason {
    Reason { gives, by: By::Default, mapping: None, group: None, directory, request_id: None }
}

/// What is left of an ended membership: nothing, or the bare ownership that its off-boarding left (I2). Whoever lives again
/// has not even that.
fn bare(facts: &PersonFacts) -> Access {
    let mut access = Access::none(MembershipState::Deprovisioned);
    if facts.ended.is_some() {
        access.role = facts.grants.iter().max_by_key(|g| g.role.rank).map(|g| g.role.slug.clone());
    }
    access
}

/// Roles, teams and environments, with their reasons, leaving life aside.
///
/// Claims give nothing to whom a directory governs that tells of everybody: they are heard at a sign-in only, and nothing
/// that it takes away may outlive it by them. So it is with claims that nobody reads any more, but for whom they govern.
fn given(facts: &PersonFacts, governor: Option<&DirectoryFacts>) -> Access {
    let mut access = Access::none(MembershipState::Active);
    let mut roles: Vec<(Rank, Slug, Reason)> = Vec::new();
    let is_governed = governor.map_or(facts.governed_by.is_some(), |d| d.kind.tells_of_everybody());
    let gives = |d: &&DirectoryFacts| match d.statement {
        Statement::Active => d.kind.tells_of_everybody() || !is_governed,
        Statement::Unheard => governor.is_some_and(|governor| governor.directory == d.directory),
        Statement::Inactive { .. } | Statement::Unconfirmed => false,
    };
    let speaks = |id: DirectoryId| facts.directories.iter().filter(gives).any(|d| d.directory == id);
    for matched in facts.matched.iter().filter(|m| speaks(m.directory)) {
        let reason = |gives| Reason {
            gives,
            by: By::Mapping,
            mapping: Some(matched.mapping),
            group: matched.group,
            directory: Some(matched.directory),
            request_id: matched.request,
        };
        // INVARIANT I2: a role that became explicit only after the mapping was made is not given.
        if let Some(role) = matched.role.as_ref().filter(|r| r.giving == Giving::Anyhow) {
            roles.push((role.rank, role.slug.clone(), reason(Given::Role(role.slug.clone()))));
        }
        if let Some((team, team_role)) = &matched.team {
            access.teams.push((team.clone(), *team_role));
            access.reasons.push(reason(Given::Team(team.clone(), *team_role)));
        }
        if let Some(environment) = &matched.environment {
            access.environments.push(environment.clone());
            access.reasons.push(reason(Given::Environment(environment.clone())));
        }
    }
    for directory in facts.directories.iter().filter(gives) {
        let mapped = facts.matched.iter().any(|m| m.directory == directory.directory);
        if let Some(role) = directory.default_role.as_ref().filter(|r| !mapped && r.giving == Giving::Anyhow)
        {
            let reason = by_default(Given::Role(role.slug.clone()), Some(directory.directory));
            roles.push((role.rank, role.slug.clone(), reason));
        }
    }
    // INVARIANT I2: the bare ownership that an end left comes back by nobody's word but a person's, who gives it anew.
    for granted in facts.grants.iter().filter(|_| facts.ended.is_none()) {
        let reason = Reason {
            gives: Given::Role(granted.role.slug.clone()),
            by: By::Grant,
            mapping: None,
            group: None,
            directory: None,
            request_id: granted.request,
        };
        roles.push((granted.role.rank, granted.role.slug.clone(), reason));
    }
    if let Some(slug) = roles.iter().max_by_key(|(rank, slug, _)| (*rank, slug)).map(|(_, s, _)| s.clone()) {
        let same = roles.into_iter().filter(|(_, s, _)| *s == slug);
        access.reasons.extend(same.map(|(_, _, reason)| reason));
        access.role = Some(slug);
    }
    // The stronger team role wins; order of arrival must not show.
    access.teams.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    access.teams.dedup_by(|later, first| later.0 == first.0);
    access.environments.sort();
    access.environments.dedup();
    access.reasons.sort();
    access.reasons.dedup();
    access
}

/// What a membership's new facts mean for what is stored of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing changes; nothing is written.
    Unchanged,
    /// The access changes, or what is remembered of how it came about.
    Changed(Resolved),
    /// The membership ends for good.
    OffBoard(Resolved, EndedBecause),
    /// A membership that had ended lives again, without anything it had.
    Revived(Resolved),
}

/// Compares what follows from the facts with what is stored.
///
/// `rules_number` is the organization's number, read before the rules.
#[must_use]
pub fn judge(membership: &Membership, facts: &PersonFacts, rules_number: i64, now: Timestamp) -> Verdict {
    let resolved = resolve(facts, now);
    match (facts.ended, resolved.ended) {
        (None, Some(because)) => return Verdict::OffBoard(resolved, because),
        (Some(_), None) => return Verdict::Revived(resolved),
        (Some((_, was)), Some(is)) if was != is => return Verdict::Changed(resolved),
        _ => {}
    }
    let same = resolved.access == membership.access
        && resolved.governed_by == membership.governed_by
        && resolved.unmapped_at == membership.unmapped_at
        && membership.rules_number == rules_number;
    if same { Verdict::Unchanged } else { Verdict::Changed(resolved) }
}
