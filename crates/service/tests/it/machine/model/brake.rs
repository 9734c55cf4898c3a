//! The brake in the model: what a directory ended within a day, and what is held of whom.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_domain::hold::HoldKind;
use portcullis_service::hold::Decision;

use super::super::command::CLAIMS;
use super::groups::{Members, Place};
use super::{End, Expect, Model, Name};

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
    /// Since when somebody is in it, or was last.
    held_at: BTreeMap<usize, i64>,
    /// Whether its directory is gone, and it with it.
    gone: bool,
}

/// What somebody keeps of a group that they are in no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kept {
    pub(crate) hold: usize,
    pub(crate) member: usize,
    pub(crate) mapping: usize,
    /// Which group lost them or what it gave, until it is deleted: one that comes after it is another.
    group: Option<usize>,
    /// Which group they were in themselves, that one or one below it; until it is deleted.
    through: Option<usize>,
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

    /// That is kept by nobody any more.
    pub(super) fn drop_kept(&mut self, is_it: impl Fn(&Kept) -> bool) {
        self.kept.retain(|kept| !is_it(kept));
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

    /// A group is gone; one of that number that comes later is another.
    pub(crate) fn bury(&mut self, directory: Place, group: usize) {
        let holds = &self.holds;
        let kept = self.kept.iter().map(|kept| {
            let here = (holds[kept.hold].org, holds[kept.hold].directory) == directory;
            let left = |of: Option<usize>| of.filter(|of| !(here && *of == group));
            Kept { group: left(kept.group), through: left(kept.through), ..*kept }
        });
        self.kept = kept.collect();
    }

    /// A directory is gone, and what its brake held and counted.
    pub(crate) fn forget_directory(&mut self, (org, directory): Place) {
        let holds = &self.holds;
        self.kept.retain(|kept| (holds[kept.hold].org, holds[kept.hold].directory) != (org, directory));
        for hold in self.holds.iter_mut().filter(|hold| (hold.org, hold.directory) == (org, directory)) {
            (hold.gone, hold.people) = (true, BTreeMap::new());
        }
        self.of[org][directory] = Brake::default();
    }

    /// The holds of that kind of a directory, in the order in which they came.
    pub(crate) fn of_kind(&self, (org, directory): (usize, usize), kind: HoldKind) -> Vec<usize> {
        let of = |n: &usize| {
            let hold = &self.holds[*n];
            !hold.gone && (hold.org, hold.directory, hold.kind) == (org, directory, kind)
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

/// As what a directory names people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// As members of a group.
    In,
    /// As none.
    Out,
}

impl Model {
    /// These people were named: what that group gave is not held of them any more, and where they were named as no members,
    /// nor is what groups above it gave by it. A mapping that is about this group now, and not about the one that lost them,
    /// speaks of this one.
    pub(super) fn name(&mut self, place: Place, group: usize, members: &BTreeSet<usize>, named: Named) {
        let own = self.mappings_of(place, group);
        let is_followed = |kept: &Kept| {
            let speaks_of = |group| self.mappings_of(place, group).contains(&kept.mapping);
            own.contains(&kept.mapping) && !kept.group.is_some_and(speaks_of)
        };
        let is_it = |kept: &&Kept| {
            let hold = &self.brakes.holds[kept.hold];
            let here = (hold.org, hold.directory) == place && members.contains(&kept.member);
            let by_it = named == Named::Out && kept.through == Some(group);
            here && (kept.group == Some(group) || by_it || is_followed(kept))
        };
        let dropped: BTreeSet<Kept> = self.brakes.kept.iter().filter(is_it).copied().collect();
        self.brakes.drop_kept(|kept| dropped.contains(kept));
    }

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
        self.hold_in(hold, m);
        true
    }

    fn open(&mut self, (org, directory): (usize, usize), kind: HoldKind) -> usize {
        let (people, held_at) = (BTreeMap::new(), BTreeMap::new());
        self.brakes.holds.push(HoldRow { org, directory, kind, people, held_at, gone: false });
        self.brakes.holds.len() - 1
    }

    fn hold_in(&mut self, hold: usize, m: usize) {
        let hold = &mut self.brakes.holds[hold];
        hold.people.insert(m, false);
        hold.held_at.insert(m, self.now);
    }

    /// What somebody who is held is called, and by which a directory told of somebody else meanwhile.
    fn named_since(&self, hold: usize, m: usize) -> BTreeSet<Name> {
        let (org, held_at) = (self.brakes.holds[hold].org, self.brakes.holds[hold].held_at[&m]);
        let member = &self.members[m];
        let governor = member.governed_by.filter(|of| *of != CLAIMS && !self.deleted[org][*of]);
        let newcomers = self.told.iter().filter(|t| {
            let is_other = (t.org, t.person) == (org, member.person) && t.member != m;
            let speaks = t.directory != CLAIMS && governor.is_none_or(|governor| governor == t.directory);
            is_other && speaks && !t.gone && t.active && t.told_at >= held_at
        });
        let external = |d: usize| member.told_by.contains(&d).then_some(Name::External(d));
        newcomers
            .flat_map(|t| [Some(Name::Email), Some(Name::Login), external(t.directory)])
            .flatten()
            .collect()
    }

    /// Had the end not waited, telling of whoever came meanwhile would have lifted it.
    fn lift_since(&mut self, hold: usize, m: usize, named: &BTreeSet<Name>) {
        let (org, directory) = (self.brakes.holds[hold].org, self.brakes.holds[hold].directory);
        let (members, deleted, person) = (&self.members, &self.deleted, self.members[m].person);
        self.tombstones.retain(|(o, p, name, of)| {
            let governor = members[*of].governed_by;
            let is_gone = governor.is_some_and(|governor| deleted[org][governor]);
            let may = is_gone || [None, Some(CLAIMS), Some(directory)].contains(&governor);
            !((*o, *p) == (org, person) && named.contains(name) && may)
        });
    }

    /// These people are about to lose what these mappings gave them by a group, and nobody named them.
    pub(super) fn lose(
        &mut self,
        (org, directory): Place,
        group: usize,
        members: &[Members],
        mappings: &BTreeSet<usize>,
    ) {
        let all =
            members.iter().flat_map(|(through, told)| told.iter().map(|t| (*through, self.told[*t].member)));
        let all: Vec<(usize, usize)> = all.collect();
        if all.is_empty() || mappings.is_empty() || !self.brakes.is_on(org, directory) {
            return;
        }
        let living: Vec<(usize, usize)> =
            all.into_iter().filter(|(_, m)| self.members[*m].ended.is_none()).collect();
        let people: Vec<usize> = living.iter().map(|(_, m)| *m).collect();
        let now = self.now;
        if self.brakes.of[org][directory].may_take(&people, now) {
            return;
        }
        let hold = self.open((org, directory), HoldKind::Losses);
        let group = Some(group);
        for (through, member) in living {
            self.hold_in(hold, member);
            let through = Some(through);
            let kept = mappings.iter().map(|&mapping| Kept { hold, member, mapping, group, through });
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
            for m in about {
                let named = self.named_since(hold, m);
                self.settle(m, None, Voice::Person);
                self.lift_since(hold, m, &named);
            }
        }
        Expect::Done
    }
}
