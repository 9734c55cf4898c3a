//! The deletion of a directory in the model: what becomes of the people who are here because of it.

use portcullis_service::directory::Governed;

use super::groups::Place;
use super::{End, Expect, GrantRow, Holder, Kind, Model, State};

impl Model {
    /// A directory is gone, with its facts, its mappings and its holds. A crowded one ends its people one by one, later.
    pub(super) fn drop_directory(&mut self, place: Place, people: Governed, crowded: bool) -> Expect {
        let governed = self.governed_by(place);
        if people == Governed::Unsaid && !governed.is_empty() {
            return Expect::Refused;
        }
        let waiting = self.waiting_for(place);
        let mut all: Vec<usize> = governed.into_iter().chain(waiting.iter().copied()).collect();
        if people == Governed::Keep {
            all.into_iter().for_each(|m| self.keep(m));
        } else if crowded {
            waiting.into_iter().for_each(|m| self.members[m].governed_by = Some(place.1));
        } else {
            all.sort_unstable();
            all.into_iter().for_each(|m| self.end(m, End::Administrator));
        }
        let (org, directory) = place;
        self.told.iter_mut().filter(|t| (t.org, t.directory) == place).for_each(|t| t.gone = true);
        self.groups.retain(|(o, d, _), _| (*o, *d) != place);
        self.nests.retain(|(o, d, ..)| (*o, *d) != place);
        self.mappings.iter_mut().filter(|m| (m.org, m.directory) == place).for_each(|m| m.gone = true);
        self.brakes.forget_directory(place);
        self.defaults[org][directory] = None;
        self.deleted[org][directory] = true;
        Expect::Done
    }

    fn governed_by(&self, (org, directory): Place) -> Vec<usize> {
        let of = |m: &usize| {
            let member = &self.members[*m];
            (member.org, member.governed_by) == (org, Some(directory)) && member.ended.is_none()
        };
        (0..self.members.len()).filter(of).collect()
    }

    /// Who never had life, whom nobody else tells of, and whom nobody invited.
    fn waiting_for(&self, (org, directory): Place) -> Vec<usize> {
        let of = |m: &usize| {
            let member = &self.members[*m];
            let facts = self.facts(*m);
            let invited = |t: &super::TokenRow| t.kind == Kind::Invitation && t.holder == Holder::Member(*m);
            let has_none = member.governed_by.is_none() && !member.joined && member.ended.is_none();
            let alone = !facts.is_empty() && facts.iter().all(|t| (t.org, t.directory) == (org, directory));
            has_none && alone && !self.tokens.iter().any(invited)
        };
        (0..self.members.len()).filter(of).collect()
    }

    /// Somebody stays as a member of their own, with the role that they have; whoever is suspended stays so.
    fn keep(&mut self, m: usize) {
        let granted = self.granted(m).any(|role| Some(role) == self.members[m].role);
        let member = &mut self.members[m];
        (member.governed_by, member.unmapped_at, member.joined) = (None, None, true);
        member.suspended |= member.state == State::Suspended;
        if let Some(role) = member.role.filter(|_| !granted) {
            self.grants.push(GrantRow { member: m, role, live: true });
        }
    }
}
