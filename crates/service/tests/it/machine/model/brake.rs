//! The brake in the model: what a directory ended within a day, and what is held of whom.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_domain::hold::HoldKind;
use portcullis_service::hold::Decision;

use super::super::command::About;
use super::{End, Expect, Model};

/// People whom a directory with a brake may end within a day here.
pub(crate) const MAY: usize = 10;
/// What counts, in hours.
const WINDOW_H: i64 = 24;
const HOUR_S: i64 = 3600;

/// Whose doing a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// A directory's call.
    Directory,
    /// The job's, for whoever made it necessary.
    Job,
    /// A person's.
    Person,
}

/// A directory's limit, and what counts against it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Brake {
    pub(crate) on: bool,
    /// When somebody was counted last.
    counted: BTreeMap<usize, i64>,
    /// How many were, by the hour.
    hours: BTreeMap<i64, usize>,
}

/// One hold: who is in it, and whether their part was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HoldRow {
    pub(crate) org: usize,
    pub(crate) directory: usize,
    pub(crate) kind: HoldKind,
    pub(crate) people: BTreeMap<usize, bool>,
}

/// What somebody keeps of a group that they are in no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kept {
    pub(crate) hold: usize,
    pub(crate) member: usize,
    pub(crate) mapping: usize,
    /// Which group, until it is deleted: one that comes after it is another.
    group: Option<usize>,
}

/// Everything about brakes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Brakes {
    of: [[Brake; 3]; 2],
    pub(crate) holds: Vec<HoldRow>,
    pub(crate) kept: BTreeSet<Kept>,
}

impl Brake {
    fn may_take(&mut self, people: &[usize], now: i64) -> bool {
        let fresh: BTreeSet<usize> = people
            .iter()
            .copied()
            .filter(|m| self.counted.get(m).is_none_or(|at| *at <= now - WINDOW_H * HOUR_S))
            .collect();
        let hour = now / HOUR_S;
        let taken: usize = self.hours.range(hour - WINDOW_H + 1..).map(|(_, people)| people).sum();
        if !fresh.is_empty() && taken + fresh.len() > MAY {
            return false;
        }
        *self.hours.entry(hour).or_default() += fresh.len();
        self.counted.extend(fresh.into_iter().map(|m| (m, now)));
        true
    }
}

impl Brakes {
    pub(crate) fn is_on(&self, org: usize, directory: usize) -> bool {
        self.of[org][directory].on
    }

    /// A directory has a limit from now on that others have reached already, or none.
    pub(crate) fn set(&mut self, org: usize, directory: usize, full: bool, now: i64) {
        let brake = &mut self.of[org][directory];
        brake.on = full;
        if full {
            *brake.hours.entry(now / HOUR_S).or_default() += MAY;
        }
    }

    pub(crate) fn holds_end(&self, m: usize) -> bool {
        self.holds.iter().any(|hold| hold.kind == HoldKind::Endings && hold.people.contains_key(&m))
    }

    pub(crate) fn keeps(&self, m: usize, mapping: usize) -> bool {
        self.kept.iter().any(|kept| (kept.member, kept.mapping) == (m, mapping))
    }

    /// Whether anything of somebody is held, or waits in a hold.
    pub(crate) fn is_about(&self, m: usize) -> bool {
        self.kept.iter().any(|kept| kept.member == m) || self.holds.iter().any(|h| h.people.contains_key(&m))
    }

    pub(crate) fn unhold(&mut self, m: usize) {
        for hold in self.holds.iter_mut().filter(|hold| hold.kind == HoldKind::Endings) {
            hold.people.remove(&m);
        }
    }

    /// Whoever has ended is in no hold.
    pub(crate) fn forget(&mut self, m: usize) {
        for hold in &mut self.holds {
            hold.people.remove(&m);
        }
        self.kept.retain(|kept| kept.member != m);
    }

    /// These people were named, in or out of a group: what that group gave is not held of them any more.
    pub(crate) fn name(&mut self, directory: (usize, usize), group: usize, members: &BTreeSet<usize>) {
        let holds = &self.holds;
        let of = |kept: &Kept| (holds[kept.hold].org, holds[kept.hold].directory) == directory;
        self.kept.retain(|kept| !(of(kept) && kept.group == Some(group) && members.contains(&kept.member)));
        self.close();
    }

    /// Who keeps nothing any more waits for nobody.
    fn close(&mut self) {
        for (n, hold) in self.holds.iter_mut().enumerate().filter(|(_, h)| h.kind == HoldKind::Losses) {
            hold.people.retain(|m, _| self.kept.iter().any(|kept| (kept.hold, kept.member) == (n, *m)));
        }
    }

    /// A directory has deleted somebody: nothing is kept of what it gave.
    pub(crate) fn delete(&mut self, m: usize, directory: usize) {
        let holds = &self.holds;
        self.kept.retain(|kept| kept.member != m || holds[kept.hold].directory != directory);
        self.close();
    }

    /// A group is gone; one of that name that comes later is another.
    pub(crate) fn bury(&mut self, directory: (usize, usize), group: usize) {
        let holds = &self.holds;
        let of = |kept: &Kept| (holds[kept.hold].org, holds[kept.hold].directory) == directory;
        let kept = self.kept.iter().map(|kept| {
            let gone = of(kept) && kept.group == Some(group);
            Kept { group: kept.group.filter(|_| !gone), ..*kept }
        });
        self.kept = kept.collect();
    }

    /// The holds of that kind of a directory, in the order in which they came.
    pub(crate) fn of_kind(&self, (org, directory): (usize, usize), kind: HoldKind) -> Vec<usize> {
        let of = |n: &usize| {
            let hold = &self.holds[*n];
            (hold.org, hold.directory, hold.kind) == (org, directory, kind)
        };
        (0..self.holds.len()).filter(of).collect()
    }

    /// The hold that a number means, and whom of it.
    pub(crate) fn meant(
        &self,
        place: (usize, usize),
        (kind, hold): (HoldKind, usize),
        whom: Option<usize>,
    ) -> Option<(usize, Option<usize>)> {
        let all = self.of_kind(place, kind);
        let hold = *all.get(hold.checked_rem(all.len())?)?;
        let people = &self.holds[hold].people;
        match whom {
            None => Some((hold, None)),
            Some(n) => Some((hold, Some(*people.keys().nth(n.checked_rem(people.len())?)?))),
        }
    }
}

impl Model {
    /// Whether a membership's end is held, which it is from now on.
    pub(super) fn is_held_back(&mut self, m: usize, because: End, begun: Option<i64>, voice: Voice) -> bool {
        let spared = begun.is_some() && self.members[m].spared == begun;
        let is_directorys = match voice {
            Voice::Person => false,
            Voice::Directory | Voice::Job => because != End::Unmapped || !spared,
        };
        let (org, now) = (self.members[m].org, self.now);
        let Some(directory) = self.members[m].governed_by.filter(|_| is_directorys) else { return false };
        let brake = &mut self.brakes.of[org][directory];
        if !brake.on || brake.may_take(&[m], now) {
            return false;
        }
        let open = self.brakes.of_kind((org, directory), HoldKind::Endings).into_iter().next_back();
        let open = open.filter(|n| self.brakes.holds[*n].people.values().any(|refused| !refused));
        let hold = open.unwrap_or_else(|| self.open((org, directory), HoldKind::Endings));
        self.brakes.holds[hold].people.insert(m, false);
        true
    }

    fn open(&mut self, (org, directory): (usize, usize), kind: HoldKind) -> usize {
        self.brakes.holds.push(super::brake::HoldRow { org, directory, kind, people: BTreeMap::new() });
        self.brakes.holds.len() - 1
    }

    /// These people are about to be in a group no longer, and nobody named them.
    pub(super) fn lose(&mut self, (org, directory): (usize, usize), group: usize, told: &[usize]) {
        let of = |n: &usize| {
            let rule = &self.mappings[*n];
            !rule.gone && (rule.org, rule.directory, rule.about) == (org, directory, About::Group(group))
        };
        let mappings: Vec<usize> = (0..self.mappings.len()).filter(of).collect();
        let members = told.iter().map(|t| self.told[*t].member);
        let living: Vec<usize> = members.filter(|m| self.members[*m].ended.is_none()).collect();
        if told.is_empty() || mappings.is_empty() || !self.brakes.is_on(org, directory) {
            return;
        }
        let now = self.now;
        if self.brakes.of[org][directory].may_take(&living, now) {
            return;
        }
        let hold = self.open((org, directory), HoldKind::Losses);
        for member in living {
            self.brakes.holds[hold].people.insert(member, false);
            let kept = mappings.iter().map(|&mapping| Kept { hold, member, mapping, group: Some(group) });
            self.brakes.kept.extend(kept);
        }
    }

    /// An administrator decides.
    pub(super) fn decide(
        &mut self,
        place: (usize, usize),
        which: (HoldKind, usize),
        whom: Option<usize>,
        how: Decision,
    ) -> Expect {
        let Some((hold, whom)) = self.brakes.meant(place, which, whom) else { return Expect::Nothing };
        let people = &self.brakes.holds[hold].people;
        let about: Vec<usize> = match whom {
            Some(m) => vec![m],
            None => people.iter().filter(|(_, refused)| !**refused).map(|(m, _)| *m).collect(),
        };
        for m in &about {
            match how {
                Decision::Refuse => drop(self.brakes.holds[hold].people.insert(*m, true)),
                Decision::Release => {
                    self.brakes.holds[hold].people.remove(m);
                    self.brakes.kept.retain(|kept| (kept.hold, kept.member) != (hold, *m));
                }
            }
        }
        if how == Decision::Release {
            about.iter().for_each(|m| self.settle(*m, None, Voice::Person));
        }
        Expect::Done
    }
}
