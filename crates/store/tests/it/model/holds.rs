//! The part of the model that is about holds.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_domain::Timestamp;
use portcullis_domain::change::{Change, HoldChange};
use portcullis_domain::hold::{HeldEnding, Hold, HoldKind, Kept};
use portcullis_domain::id::{
    DirectoryGroupId, DirectoryId, DirectoryUserId, HoldId, MappingId, MembershipId, RequestId,
};
use portcullis_store::hold::HoldFilter;
use portcullis_store::{StoreError, Tx, hold};

use super::maps::Maps;
use super::{Dice, Kind};
use crate::database::NOW;

/// More than a run makes of anything.
const ALL: i64 = 10_000;

#[derive(Debug, Clone)]
pub(crate) struct Person {
    kind: HoldKind,
    user: Option<DirectoryUserId>,
    line: String,
    refused: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Holds {
    pub(crate) holds: BTreeMap<HoldId, Hold>,
    people: BTreeMap<(HoldId, MembershipId), Person>,
    spared: BTreeMap<MembershipId, Timestamp>,
    matches:
        BTreeMap<(HoldId, MembershipId, MappingId, DirectoryGroupId), (DirectoryGroupId, DirectoryUserId)>,
}

impl Holds {
    /// `whose` says whose membership a directory user is, `lives` whether it has not ended.
    pub(crate) fn apply(
        &mut self,
        change: &HoldChange,
        whose: impl Fn(&DirectoryUserId) -> Option<MembershipId>,
        lives: impl Fn(&MembershipId) -> bool,
    ) {
        let line = |because: Option<&str>, at: &Timestamp| format!("{because:?} {at:?}");
        match change {
            HoldChange::Open(made) => drop(self.holds.insert(made.id, (**made).clone())),
            HoldChange::End(p) => {
                let line = line(Some(p.because.as_str()), &p.at);
                let person = Person { kind: HoldKind::Endings, user: None, line, refused: false };
                self.people.entry((p.hold, p.membership)).or_insert(person);
            }
            HoldChange::Keep { hold, group, through, users, mappings, at } => {
                for user in users {
                    let Some(membership) = whose(user).filter(&lives) else { continue };
                    let line = line(None, at);
                    let person = Person { kind: HoldKind::Losses, user: None, line, refused: false };
                    self.people.entry((*hold, membership)).or_insert(person);
                    for mapping in mappings {
                        let key = (*hold, membership, *mapping, *through);
                        self.matches.entry(key).or_insert((*group, *user));
                    }
                }
            }
            HoldChange::Miss(hold, users, at) => {
                for user in users {
                    let Some(membership) = whose(user) else { continue };
                    let line = line(None, at);
                    let person = Person { kind: HoldKind::Missing, user: Some(*user), line, refused: false };
                    self.people.entry((*hold, membership)).or_insert(person);
                }
            }
            HoldChange::Found(users) => {
                self.people.retain(|_, p| p.user.is_none_or(|user| !users.contains(&user)));
            }
            HoldChange::Unhold(id) => {
                self.people.retain(|(_, of), p| of != id || p.kind != HoldKind::Endings);
            }
            HoldChange::Spare(id, at) => drop(self.spared.insert(*id, *at)),
            HoldChange::Drop(id) => {
                self.spared.remove(id);
                self.people.retain(|(_, of), _| of != id);
                self.matches.retain(|(_, of, ..), _| of != id);
            }
            HoldChange::DropKept(kept, users) => {
                let there = |user: &DirectoryUserId| whose(user).is_some();
                self.matches.retain(|(_, _, mapping, through), (group, user)| {
                    let is_it = Kept { group: *group, through: *through, mapping: *mapping } == *kept;
                    !is_it || !users.contains(user) || !there(user)
                });
                users.iter().filter_map(whose).for_each(|who| self.drop_empty(who));
            }
            HoldChange::DropMapping(id) => {
                let keys = self.matches.keys().filter(|(_, _, mapping, _)| mapping == id);
                let whose: BTreeSet<MembershipId> = keys.map(|(_, who, ..)| *who).collect();
                self.matches.retain(|(_, _, mapping, _), _| mapping != id);
                whose.into_iter().for_each(|who| self.drop_empty(who));
            }
            HoldChange::Release(hold, people) => {
                self.people.retain(|(of, who), _| of != hold || !people.contains(who));
                self.matches.retain(|(of, who, ..), _| of != hold || !people.contains(who));
            }
            HoldChange::Refuse(hold, people, _) => {
                for ((of, who), person) in &mut self.people {
                    person.refused |= of == hold && people.contains(who);
                }
            }
        }
    }

    /// What is kept, and by whom.
    fn kept(&self) -> impl Iterator<Item = (Kept, DirectoryUserId)> {
        self.matches.iter().map(|((_, _, mapping, through), (group, user))| {
            (Kept { group: *group, through: *through, mapping: *mapping }, *user)
        })
    }

    /// Who keeps nothing any more is in no hold of losses.
    fn drop_empty(&mut self, who: MembershipId) {
        let matches = &self.matches;
        self.people.retain(|(hold, of), person| {
            let keeps = matches.keys().any(|(in_hold, membership, ..)| (in_hold, membership) == (hold, of));
            *of != who || person.kind != HoldKind::Losses || keeps
        });
    }

    /// A directory has deleted somebody.
    pub(crate) fn forget_user(&mut self, user: DirectoryUserId, who: MembershipId) {
        self.matches.retain(|_, (_, of)| *of != user);
        self.drop_empty(who);
        self.people.retain(|_, person| person.user != Some(user));
    }

    pub(crate) fn forget(&mut self, directory: DirectoryId) {
        let gone: BTreeSet<HoldId> =
            self.holds.values().filter(|h| h.directory == directory).map(|h| h.id).collect();
        self.holds.retain(|id, _| !gone.contains(id));
        self.people.retain(|(of, _), _| !gone.contains(of));
        self.matches.retain(|(of, ..), _| !gone.contains(of));
    }

    /// Everything that can be found, as lines.
    pub(crate) fn view(&self) -> Vec<String> {
        let count = |id: &HoldId, refused: bool| {
            self.people.iter().filter(|((of, _), p)| of == id && p.refused == refused).count()
        };
        let holds = self.holds.values().map(|h| {
            let counts = (count(&h.id, false), count(&h.id, true));
            format!("hold {:?}", (h.id, h.directory, h.kind, &h.group, h.opened_at, counts))
        });
        let people = self
            .people
            .iter()
            .map(|((hold, who), p)| format!("held {:?}", (hold, who, &p.line, p.refused, p.user)));
        let kept: BTreeSet<_> = self.kept().collect();
        let ends = self.people.iter().filter(|(_, p)| p.kind == HoldKind::Endings);
        let ends: BTreeSet<_> = ends.map(|((_, who), _)| who).collect();
        holds
            .chain(people)
            .chain(kept.into_iter().map(|k| format!("kept {k:?}")))
            .chain(ends.into_iter().map(|who| format!("end held {who:?}")))
            .chain(self.spared.iter().map(|one| format!("spared {one:?}")))
            .collect()
    }

    /// The same, as the store finds it.
    pub(crate) fn stored_view(maps: &Maps, tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
        let mut lines = Vec::new();
        for org in maps.main().to_vec() {
            for h in hold::list_page(tx, org, HoldFilter::default(), "", ALL)? {
                let counts = (h.waiting, h.refused);
                lines.push(format!("hold {:?}", (h.id, h.directory, h.kind, &h.group, h.opened_at, counts)));
                for p in hold::people(tx, org, h.id, "", ALL)? {
                    let line = format!("{:?} {:?}", p.because.map(|b| b.as_str()), p.held_at);
                    let refused = p.state == portcullis_domain::hold::HeldState::Refused;
                    lines.push(format!("held {:?}", (h.id, p.membership, line, refused, p.directory_user)));
                }
            }
        }
        for one in &maps.holds.spared {
            if hold::is_spared(tx, *one.0, *one.1)? {
                lines.push(format!("spared {one:?}"));
            }
        }
        for id in maps.members.keys() {
            if hold::holds_end(tx, *id)? {
                lines.push(format!("end held {id:?}"));
            }
        }
        let users: Vec<DirectoryUserId> = maps.ever_told.iter().copied().collect();
        for (kept, of) in hold::kept_of(tx, &users)? {
            lines.extend(of.into_iter().map(|user| format!("kept {:?}", (kept, user))));
        }
        Ok(lines)
    }
}

/// A change of that kind; `None` where there is nothing yet that it could be about.
pub(crate) fn make(kind: Kind, maps: &Maps, dice: &mut Dice) -> Option<Change> {
    let hold = dice.pick(maps.holds.holds.values().cloned());
    let at = NOW.plus_s(i64::try_from(dice.below(10_000)).unwrap());
    let people = |dice: &mut Dice, hold: &Hold| -> Vec<MembershipId> {
        let here: Vec<_> =
            maps.members.values().filter(|m| m.organization == hold.organization).map(|m| m.id).collect();
        let held: Vec<_> =
            maps.holds.people.keys().filter(|(of, _)| *of == hold.id).map(|(_, who)| *who).collect();
        let some: BTreeSet<_> = (0..3).filter_map(|_| dice.pick(held.iter().chain(&here).copied())).collect();
        some.into_iter().collect()
    };
    // One person has two places: which of them is kept is nobody's to say.
    let told = |dice: &mut Dice, hold: &Hold| -> Vec<DirectoryUserId> {
        let here = maps.told.values().filter(|t| t.organization == hold.organization);
        let here: Vec<_> = here.map(|t| (t.membership, t.id)).collect();
        let some: BTreeMap<_, _> = (0..3).filter_map(|_| dice.pick(here.iter().copied())).collect();
        some.into_values().collect()
    };
    let known = |user: &DirectoryUserId| maps.told.contains_key(user);
    let known_mapping = |id: &MappingId| maps.mappings.contains_key(id);
    Some(Change::Hold(match kind {
        Kind::HoldOpen => {
            let directory = dice.pick(maps.directories.values().cloned())?;
            let cause = portcullis_domain::cause::Cause::system();
            let group = dice.pick(maps.groups.values().cloned()).map(|g| (g.id, g.display_name));
            HoldChange::Open(Box::new(Hold {
                id: HoldId::fresh(NOW, dice),
                organization: directory.organization,
                directory: directory.id,
                kind: dice.pick(HoldKind::ALL)?,
                group,
                cause: portcullis_domain::cause::Cause {
                    request: Some(RequestId::fresh(NOW, dice)),
                    ..cause
                },
                opened_at: at,
            }))
        }
        Kind::HoldEnd => {
            let hold = hold?;
            let because = dice.pick(portcullis_domain::access::EndedBecause::ALL)?;
            let membership = *people(dice, &hold).first()?;
            let cause = portcullis_domain::cause::Cause::system();
            HoldChange::End(Box::new(HeldEnding { membership, hold: hold.id, because, cause, at }))
        }
        Kind::HoldKeep => {
            let hold = hold?;
            let group = dice.pick(maps.groups.keys().copied())?;
            let here = maps.mappings.values().filter(|m| m.organization == hold.organization);
            let mappings = dice.pick(here.map(|m| m.id)).into_iter().collect();
            let through = dice.pick(maps.groups.keys().copied())?;
            HoldChange::Keep { hold: hold.id, group, through, users: told(dice, &hold), mappings, at }
        }
        Kind::HoldMiss => {
            let hold = hold?;
            HoldChange::Miss(hold.id, told(dice, &hold), at)
        }
        Kind::HoldFound => {
            let user = dice.pick(maps.holds.people.values().filter_map(|p| p.user).filter(known))?;
            HoldChange::Found(vec![user])
        }
        Kind::HoldUnhold => HoldChange::Unhold(dice.pick(maps.holds.people.keys().map(|(_, who)| *who))?),
        Kind::HoldSpare => HoldChange::Spare(dice.pick(maps.members.keys().copied())?, at),
        Kind::HoldDrop => HoldChange::Drop(dice.pick(maps.holds.people.keys().map(|(_, who)| *who))?),
        Kind::HoldDropKept => {
            let (kept, user) = dice.pick(maps.holds.kept().filter(|(_, user)| known(user)))?;
            HoldChange::DropKept(kept, vec![user])
        }
        Kind::HoldDropMapping => HoldChange::DropMapping(
            dice.pick(maps.holds.kept().map(|(kept, _)| kept.mapping).filter(known_mapping))?,
        ),
        Kind::HoldRelease => {
            let hold = hold?;
            HoldChange::Release(hold.id, people(dice, &hold))
        }
        Kind::HoldRefuse => {
            let hold = hold?;
            HoldChange::Refuse(hold.id, people(dice, &hold), at)
        }
        _ => return None,
    }))
}
