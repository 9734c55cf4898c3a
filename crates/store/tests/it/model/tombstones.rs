//! Tombstones of the model: a set, and who may take what out of it.

use portcullis_domain::change::TombstoneChange;
use portcullis_domain::directory::DirectoryKind;
use portcullis_domain::id::{MembershipId, OrganizationId};

use super::maps::Maps;

impl Maps {
    pub(super) fn tombstone(&mut self, organization: OrganizationId, change: &TombstoneChange) {
        match change {
            TombstoneChange::Lay { membership, identifiers, at: _ } => {
                let laid = identifiers.iter().map(|i| (organization, i.clone(), *membership));
                self.laid.extend(laid.clone());
                self.tombstones.extend(laid);
            }
            TombstoneChange::LiftOf(membership) => self.tombstones.retain(|(_, _, of)| of != membership),
            TombstoneChange::HandDown { from, to } => {
                let home = self.members.get(to).map(|m| m.organization);
                let handed = self.tombstones.iter().filter(|(o, _, of)| of == from && Some(*o) == home);
                self.former.extend(handed.map(|(_, identifier, _)| (*to, identifier.clone())));
                self.tombstones.retain(|(_, _, of)| of != from);
            }
            TombstoneChange::LiftNamed(named) => {
                self.tombstones.retain(|(o, i, _)| *o != organization || !named.contains(i));
            }
            TombstoneChange::LiftSaid { directory, named, beside } => {
                let is_others = |of: &MembershipId| {
                    let governor =
                        self.members.get(of).and_then(|m| m.governed_by).filter(|g| g != directory);
                    governor.is_some_and(|g| {
                        self.directories.get(&g).is_some_and(|d| d.kind != DirectoryKind::Claims)
                    })
                };
                let known = |of| named.iter().any(|i| self.laid.contains(&(organization, i.clone(), of)));
                self.tombstones.retain(|(o, i, of)| {
                    let is_said = named.contains(i) || (beside.contains(i) && known(*of));
                    *o != organization || is_others(of) || !is_said
                });
            }
        }
    }
}
