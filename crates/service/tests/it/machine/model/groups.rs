//! Groups in the model: which mapping is about which, which hold which, and who is below them.

use std::collections::BTreeSet;

use super::super::command::{About, Called, Command, GROUPS};
use super::brake::Named;
use super::{Expect, Model, Told};

/// A directory by number: the organization, and which of its directories.
pub(crate) type Place = (usize, usize);
/// A group, and people as the directory tells of them who are in it themselves.
pub(super) type Members = (usize, Vec<usize>);

impl Model {
    pub(super) fn called(&self, (org, directory): Place, group: usize) -> Option<Called> {
        self.groups.get(&(org, directory, group)).copied()
    }

    /// The mappings that are about a group itself, as it is called now.
    pub(super) fn mappings_of(&self, place: Place, group: usize) -> Vec<usize> {
        let Some(called) = self.called(place, group) else { return Vec::new() };
        let about = |n: &usize| {
            let rule = &self.mappings[*n];
            let is_about = match rule.about {
                About::Key(key) => called.key == Some(key),
                About::Name(name) => called.name == name,
                About::Title(_) => false,
            };
            !rule.gone && (rule.org, rule.directory) == place && is_about
        };
        (0..self.mappings.len()).filter(about).collect()
    }

    /// The mappings that are about a group, or about one above it that counts.
    fn mappings_from(&self, place: Place, group: usize) -> BTreeSet<usize> {
        let groups = self.with_above(place, BTreeSet::from([group]));
        groups.into_iter().flat_map(|group| self.mappings_of(place, group)).collect()
    }

    /// The mappings that somebody matches by the groups that they are in.
    pub(super) fn matched_by_groups(&self, told: &Told) -> BTreeSet<usize> {
        let place = (told.org, told.directory);
        let groups = self.with_above(place, told.groups.clone());
        groups.into_iter().flat_map(|group| self.mappings_of(place, group)).collect()
    }

    /// These groups, with those that hold them where such groups count.
    fn with_above(&self, place: Place, groups: BTreeSet<usize>) -> BTreeSet<usize> {
        self.walked(place, groups, |(parent, child)| (child, parent))
    }

    /// These groups, with those that they hold where such groups count.
    fn with_below(&self, place: Place, groups: BTreeSet<usize>) -> BTreeSet<usize> {
        self.walked(place, groups, |edge| edge)
    }

    fn walked(
        &self,
        (org, directory): Place,
        mut all: BTreeSet<usize>,
        from_to: impl Fn((usize, usize)) -> (usize, usize),
    ) -> BTreeSet<usize> {
        if !self.nesting[org][directory] {
            return all;
        }
        loop {
            let here = self.nests.iter().filter(|(o, d, ..)| (*o, *d) == (org, directory));
            let steps = here.map(|(_, _, parent, child)| from_to((*parent, *child)));
            let more: Vec<usize> = steps
                .filter(|(from, to)| all.contains(from) && !all.contains(to))
                .map(|(_, to)| to)
                .collect();
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    /// Who is in a group itself.
    fn in_group(&self, (org, directory): Place, group: usize) -> Vec<usize> {
        let here = |t: &usize| {
            let told = &self.told[*t];
            !told.gone && (told.org, told.directory) == (org, directory) && told.groups.contains(&group)
        };
        (0..self.told.len()).filter(here).collect()
    }

    fn members_of(&self, place: Place, groups: &BTreeSet<usize>) -> Vec<Members> {
        groups.iter().map(|group| (*group, self.in_group(place, *group))).collect()
    }

    /// Everybody in a group, and below it where that counts.
    fn in_and_below(&self, (org, directory): Place, group: usize) -> Vec<Members> {
        let place = (org, directory);
        let children = self.children(place, group);
        let mut groups =
            if self.nesting[org][directory] { self.with_below(place, children) } else { BTreeSet::new() };
        groups.insert(group);
        self.members_of(place, &groups)
    }

    fn children(&self, place: Place, group: usize) -> BTreeSet<usize> {
        let here = self.nests.iter().filter(|(o, d, parent, _)| ((*o, *d), *parent) == (place, group));
        here.map(|(.., child)| *child).collect()
    }

    /// These groups are about to be in another no longer, and nobody was named.
    fn lose_groups(&mut self, (org, directory): Place, parent: usize, children: &BTreeSet<usize>) {
        if !self.nesting[org][directory] {
            return;
        }
        let place = (org, directory);
        let below = self.with_below(place, children.clone());
        let (members, mappings) = (self.members_of(place, &below), self.mappings_from(place, parent));
        self.lose(place, parent, &members, &mappings);
    }

    /// What a directory says of groups.
    pub(super) fn groups_said(&mut self, command: &Command) -> Expect {
        use Expect::{Done, Nothing, Refused};
        match *command {
            Command::MakeGroup { org, directory, group, called } => {
                let is_there = self.called((org, directory), group);
                if is_there.is_some_and(|it| it.name == called.name)
                    || self.is_taken((org, directory), group, called.name)
                {
                    return Refused;
                }
                if is_there.is_some() {
                    return Nothing;
                }
                self.groups.insert((org, directory, group), called);
                Done
            }
            Command::Rename { org, directory, group, name } => {
                let Some(called) = self.called((org, directory), group) else { return Nothing };
                if self.is_taken((org, directory), group, name) {
                    return Refused;
                }
                self.call((org, directory), group, Called { name, ..called });
                Done
            }
            Command::Rekey { org, directory, group, key } => {
                let Some(called) = self.called((org, directory), group) else { return Nothing };
                self.call((org, directory), group, Called { key, ..called });
                Done
            }
            Command::DropGroup { org, directory, group } => {
                let place = (org, directory);
                if self.called(place, group).is_none() {
                    return Nothing;
                }
                let (members, mappings) = (self.in_and_below(place, group), self.mappings_from(place, group));
                self.lose(place, group, &members, &mappings);
                self.brakes.bury(place, group);
                self.groups.remove(&(org, directory, group));
                for told in self.told.iter_mut().filter(|t| (t.org, t.directory) == place) {
                    told.groups.remove(&group);
                }
                self.nests.retain(|(o, d, p, c)| (*o, *d) != place || (*p != group && *c != group));
                Done
            }
            Command::Nest { org, directory, parent, child } => {
                let there = |group| self.called((org, directory), group).is_some();
                if !there(parent) || !there(child) {
                    return Nothing;
                }
                if parent == child {
                    return Refused;
                }
                self.nests.insert((org, directory, parent, child));
                Done
            }
            Command::Unnest { nest } => {
                let Some(nest) = self.nest(nest) else { return Nothing };
                let (org, directory, parent, child) = nest;
                self.lose_groups((org, directory), parent, &BTreeSet::from([child]));
                self.nests.remove(&nest);
                Done
            }
            Command::ReplaceNested { org, directory, parent, children } => {
                let place = (org, directory);
                if self.called(place, parent).is_none() {
                    return Nothing;
                }
                if children & (1 << parent) != 0 {
                    return Refused;
                }
                let wanted = (0..GROUPS).filter(|child| children & (1 << child) != 0);
                let wanted: BTreeSet<usize> =
                    wanted.filter(|child| self.called(place, *child).is_some()).collect();
                let lost = self.children(place, parent).difference(&wanted).copied().collect();
                self.lose_groups(place, parent, &lost);
                self.nests.retain(|(o, d, p, _)| (*o, *d, *p) != (org, directory, parent));
                self.nests.extend(wanted.into_iter().map(|child| (org, directory, parent, child)));
                Done
            }
            Command::Replace { org, directory, group, members } => {
                let place = (org, directory);
                if self.called(place, group).is_none() {
                    return Nothing;
                }
                self.replace(place, group, |told| members & (1 << told.person) != 0);
                Done
            }
            _ => Nothing,
        }
    }

    /// Whether another group has that name.
    fn is_taken(&self, place: Place, group: usize, name: usize) -> bool {
        let mut here = self.groups.iter().filter(|((org, directory, _), _)| (*org, *directory) == place);
        here.any(|((.., other), called)| *other != group && called.name == name)
    }

    /// A group is called otherwise: what mappings by its old name and key gave is taken from people whom nobody named.
    fn call(&mut self, (org, directory): Place, group: usize, called: Called) {
        let place = (org, directory);
        let before = self.mappings_of(place, group);
        let was = self.groups.insert((org, directory, group), called);
        let after = self.mappings_of(place, group);
        let lost = before.into_iter().filter(|mapping| !after.contains(mapping)).collect();
        if was != Some(called) {
            let members = self.in_and_below(place, group);
            self.lose(place, group, &members, &lost);
        }
    }

    fn replace(&mut self, place: Place, group: usize, is_wanted: impl Fn(&Told) -> bool) {
        let before = self.in_group(place, group);
        let lost: Vec<usize> = before.iter().copied().filter(|t| !is_wanted(&self.told[*t])).collect();
        let here = |told: &Told| !told.gone && (told.org, told.directory) == place;
        let new = self
            .told
            .iter()
            .enumerate()
            .filter(|(t, told)| here(told) && is_wanted(told) && !before.contains(t));
        let new: BTreeSet<usize> = new.map(|(_, told)| told.member).collect();
        let mappings = self.mappings_from(place, group);
        self.lose(place, group, &[(group, lost)], &mappings);
        self.name(place, group, &new, Named::In);
        for told in self.told.iter_mut().filter(|told| here(told)) {
            if is_wanted(told) {
                told.groups.insert(group);
            } else {
                told.groups.remove(&group);
            }
        }
    }
}
