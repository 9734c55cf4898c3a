//! The model of what directories tell.

use portcullis_domain::Timestamp;
use portcullis_domain::change::{DirectoryChange, DirectoryGroupChange, DirectoryUserChange, Forgotten};
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::DirectoryId;
use portcullis_domain::role::{Giving, Role};
use portcullis_domain::text::name_key;

use super::{Maps, names};

impl Maps {
    pub(super) fn directory(&mut self, change: &DirectoryChange) {
        match change {
            DirectoryChange::Create(d) | DirectoryChange::Update(d) => {
                self.directories.insert(d.id, d.clone());
            }
            DirectoryChange::Delete(id) => {
                let gone: Vec<_> = self.told.values().filter(|t| t.directory == *id).cloned().collect();
                for told in gone {
                    self.remember(&told);
                    self.told.remove(&told.id);
                    self.facets.remove(&told.id);
                }
                let groups = &mut self.groups;
                groups.retain(|_, g| g.directory != *id);
                self.places.retain(|(g, _)| groups.contains_key(g));
                self.nests.retain(|(parent, _)| groups.contains_key(parent));
                self.mappings.retain(|_, m| m.directory != *id);
                self.google.remove(id);
                self.holds.forget(*id);
                self.directories.remove(id);
                self.former_directories.insert(*id);
            }
            DirectoryChange::SetGoogle(source) => {
                self.google.insert(source.directory, (**source).clone());
            }
            DirectoryChange::Unconfirm(organization, at) => {
                for told in self.told.values_mut() {
                    if told.organization == *organization && told.inactive_at.is_none() {
                        told.unconfirmed_at = Some(*at);
                    }
                }
            }
            DirectoryChange::Forget(id, forgotten, at) => self.forget(*id, *forgotten, *at),
        }
    }

    fn forget(&mut self, id: DirectoryId, forgotten: Forgotten, at: Timestamp) {
        let Some(of) = self.directories.get(&id) else { return };
        let groups = &self.groups;
        self.places.retain(|(group, _)| groups.get(group).is_none_or(|group| group.directory != id));
        let (facets, mappings, members) = (&mut self.facets, &self.mappings, &self.members);
        let gives = |role: &Role| {
            role.organization == of.organization
                && Some(&role.slug) == of.default_role.as_ref()
                && role.giving == Giving::Anyhow
        };
        let is_default = self.roles.values().any(gives);
        for told in self.told.values_mut().filter(|told| told.directory == id) {
            if forgotten == Forgotten::Everything {
                facets.remove(&told.id);
            }
            let is_mapped = facets.get(&told.id).into_iter().flatten().any(|facet| {
                let key = (facet.source().as_str(), facet.key().to_owned());
                mappings.values().any(|mapping| mapping.directory == id && mapping.source.key() == key)
            });
            let lives = members.get(&told.membership).is_some_and(|member| {
                member.governed_by == Some(id) && member.ended.is_none() && member.unmapped_at.is_none()
            });
            if lives && !is_default && !is_mapped && told.inactive_at.is_none() {
                told.unconfirmed_at = Some(at);
            }
        }
    }

    /// Keeps every name that a directory has for somebody.
    fn remember(&mut self, told: &DirectoryUser) {
        self.former.extend(names(told).into_iter().map(|name| (told.membership, name)));
    }

    pub(super) fn told(&mut self, change: &DirectoryUserChange) -> Result<(), ()> {
        let taken = |maps: &Self, u: &DirectoryUser| {
            let same = |o: &&DirectoryUser| o.directory == u.directory && o.id != u.id;
            maps.told.values().filter(same).any(|o| name_key(&o.user_name) == name_key(&u.user_name))
        };
        match change {
            DirectoryUserChange::Create(made) => {
                if taken(self, made) {
                    return Err(());
                }
                self.ever_told.insert(made.id);
                self.told.insert(made.id, (**made).clone());
            }
            DirectoryUserChange::Update(new) => {
                if taken(self, new) {
                    return Err(());
                }
                let old = self.told.get(&new.id).cloned().ok_or(())?;
                let kept = names(new);
                let lost = names(&old).into_iter().filter(|name| !kept.contains(name));
                self.former.extend(lost.map(|name| (old.membership, name)));
                self.told.insert(new.id, (**new).clone());
            }
            DirectoryUserChange::Delete(id) => {
                if let Some(old) = self.told.remove(id) {
                    self.remember(&old);
                    self.holds.forget_user(*id, old.membership);
                }
                for (group, _) in self.places.iter().filter(|(_, user)| user == id) {
                    if let Some(group) = self.groups.get_mut(group) {
                        group.updated_at = crate::database::NOW;
                    }
                }
                self.places.retain(|(_, user)| user != id);
                self.facets.remove(id);
            }
            DirectoryUserChange::Attach(id, membership) => {
                let old = self.told.get(id).cloned().ok_or(())?;
                self.remember(&old);
                self.told.insert(*id, DirectoryUser { membership: *membership, ..old });
            }
            DirectoryUserChange::AddFacets(id, _, facets, _) => {
                self.facets.entry(*id).or_default().extend(facets.iter().cloned());
            }
            DirectoryUserChange::RemoveFacets(id, facets) => {
                self.facets.entry(*id).or_default().retain(|facet| !facets.contains(facet));
            }
        }
        Ok(())
    }

    pub(super) fn group(&mut self, change: &DirectoryGroupChange) {
        match change {
            DirectoryGroupChange::Create(g) | DirectoryGroupChange::Update(g) => {
                self.groups.insert(g.id, g.clone());
            }
            DirectoryGroupChange::Delete(id) => {
                self.groups.remove(id);
                for (parent, _) in self.nests.iter().filter(|(_, child)| child == id) {
                    if let Some(above) = self.groups.get_mut(parent) {
                        above.updated_at = crate::database::NOW;
                    }
                }
                self.places.retain(|(group, _)| group != id);
                self.nests.retain(|(parent, child)| parent != id && child != id);
            }
            DirectoryGroupChange::AddMembers(id, users, _) => {
                self.places.extend(users.iter().map(|user| (*id, *user)));
            }
            DirectoryGroupChange::AddGroups(id, groups, _) => {
                self.nests.extend(groups.iter().map(|group| (*id, *group)));
            }
            DirectoryGroupChange::RemoveGroups(id, groups) => {
                self.nests.retain(|(parent, child)| parent != id || !groups.contains(child));
            }
            DirectoryGroupChange::RemoveMembers(id, users) => {
                self.places.retain(|(group, user)| group != id || !users.contains(user));
            }
        }
    }
}
