//! What directories say, given to the real use cases.

use portcullis_domain::id::{DirectoryGroupId, DirectoryId, OrganizationId, RequestId};
use portcullis_domain::mapping::Facet;
use portcullis_service::provisioning::{self, GroupSaid, GroupsSaid, MembersSaid, PersonSaid, Speaker};
use portcullis_service::{Moment, ServiceError};

use super::super::command::{Command, GROUPS};
use super::super::model::Model;
use super::{Made, World, address};

pub(super) fn called(title: usize) -> String {
    format!("Title {title}")
}

pub(super) fn name_of(name: usize) -> String {
    format!("Group {name}")
}

pub(super) fn key_of(key: usize) -> String {
    format!("g-{key}")
}

fn said(person: usize, active: Option<bool>, attributes: &str, title: Option<usize>) -> PersonSaid {
    PersonSaid {
        external_id: Some(format!("ext-{person}")),
        user_name: address(person),
        display_name: format!("Person {person}"),
        full_name: String::new(),
        emails: vec![address(person)],
        active,
        facets: title.and_then(|title| Facet::attribute("title", &called(title))).into_iter().collect(),
        attributes: attributes.to_owned(),
    }
}

fn speaker(moment: &mut Moment, organization: OrganizationId, directory: DirectoryId) -> Speaker {
    Speaker::scim(organization, directory, RequestId::fresh(moment.now, &mut moment.random))
}

impl World {
    pub(super) fn say(&self, command: &Command, model: &Model) -> Result<Made, ServiceError> {
        let place = |org: usize, directory: usize| {
            (self.ids.organizations[org], self.ids.directories[org][directory])
        };
        let user = |n: usize| {
            let t = model.told(n).expect("the model found one");
            let told = &model.told[t];
            (self.ids.told[t], told.person, place(told.org, told.directory), (told.org, told.directory))
        };
        let title_of = |n: usize| model.told(n).and_then(|t| model.told[t].title);
        match *command {
            Command::Tell { org, directory, person, active } => {
                let (organization, directory) = place(org, directory);
                self.try_write(move |tx, moment| {
                    let speaker = speaker(moment, organization, directory);
                    let said = said(person, Some(active), "{}", None);
                    let made = provisioning::create_user(tx, moment, speaker, &said)?;
                    Ok(Made::Told(made.id, made.membership))
                })
            }
            Command::Title { user: n, title } => {
                let (id, person, (organization, directory), _) = user(n);
                self.try_write(move |tx, moment| {
                    let speaker = speaker(moment, organization, directory);
                    let attributes = title.map_or("{}".to_owned(), |title| {
                        serde_json::json!({ "title": called(title) }).to_string()
                    });
                    let said = said(person, None, &attributes, title);
                    provisioning::change_user(tx, moment, speaker, id, |_| Ok(said.clone()))?;
                    Ok(Made::Nothing)
                })
            }
            Command::Say { user: n, active } => {
                let title = title_of(n);
                let (id, person, (organization, directory), _) = user(n);
                self.try_write(move |tx, moment| {
                    let speaker = speaker(moment, organization, directory);
                    provisioning::change_user(tx, moment, speaker, id, |old| {
                        Ok(said(person, Some(active), &old.attributes, title))
                    })?;
                    Ok(Made::Nothing)
                })
            }
            Command::Boast { user: n } => {
                let title = title_of(n);
                let (id, person, (organization, directory), _) = user(n);
                self.try_write(move |tx, moment| {
                    let speaker = speaker(moment, organization, directory);
                    // Attributes are kept as they were said and read by nobody who decides (I10).
                    let boast = "{\"active\":true,\"groups\":[{\"display\":\"owners\"}],\"membership\":\"mem_1\",\
                                 \"role\":\"owner\",\"roles\":[{\"value\":\"owner\"}],\"state\":\"active\"}";
                    provisioning::change_user(tx, moment, speaker, id, |_| Ok(said(person, None, boast, title)))?;
                    Ok(Made::Nothing)
                })
            }
            Command::Delete { user: n } => {
                let (id, _, (organization, directory), _) = user(n);
                self.try_write(move |tx, moment| {
                    let speaker = speaker(moment, organization, directory);
                    provisioning::delete_user(tx, moment, speaker, id)?;
                    Ok(Made::Nothing)
                })
            }
            Command::MakeGroup { org, directory, group, called } => {
                let key = (org, directory, group);
                let (organization, directory) = place(org, directory);
                self.try_write(move |tx, moment| {
                    let speaker = speaker(moment, organization, directory);
                    let (name, external) = (name_of(called.name), called.key.map(key_of));
                    let named = (name.as_str(), external.as_deref());
                    let made = provisioning::create_group(tx, moment, speaker, named, &[])?;
                    Ok(Made::Group(key, made.id))
                })
            }
            Command::Rename { org, directory, group, name } => {
                let group = self.ids.groups[&(org, directory, group)];
                self.change_group(place(org, directory), group, GroupSaid::DisplayName(name_of(name)))
            }
            Command::Rekey { org, directory, group, key } => {
                let group = self.ids.groups[&(org, directory, group)];
                self.change_group(place(org, directory), group, GroupSaid::ExternalId(key.map(key_of)))
            }
            Command::DropGroup { org, directory, group } => {
                let id = self.ids.groups[&(org, directory, group)];
                let (organization, directory) = place(org, directory);
                self.try_write(move |tx, moment| {
                    let speaker = speaker(moment, organization, directory);
                    provisioning::delete_group(tx, moment, speaker, id)?;
                    Ok(Made::Nothing)
                })
            }
            Command::Join { user: n, group } => {
                let (id, _, place, (org, directory)) = user(n);
                let said = GroupSaid::Members(MembersSaid::Add(vec![id]));
                self.change_group(place, self.ids.groups[&(org, directory, group)], said)
            }
            Command::Leave { user: n, group } => {
                let (id, _, place, (org, directory)) = user(n);
                let said = GroupSaid::Members(MembersSaid::Remove(vec![id]));
                self.change_group(place, self.ids.groups[&(org, directory, group)], said)
            }
            Command::Nest { org, directory, parent, child } => {
                let id = |group| self.ids.groups[&(org, directory, group)];
                self.change_group(
                    place(org, directory),
                    id(parent),
                    GroupSaid::Groups(GroupsSaid::Add(vec![id(child)])),
                )
            }
            Command::Unnest { nest } => {
                let (org, directory, parent, child) = model.nest(nest).expect("the model found one");
                let id = |group| self.ids.groups[&(org, directory, group)];
                self.change_group(
                    place(org, directory),
                    id(parent),
                    GroupSaid::Groups(GroupsSaid::Remove(vec![id(child)])),
                )
            }
            Command::ReplaceNested { org, directory, parent, children } => {
                let there = |group: &usize| model.groups.contains_key(&(org, directory, *group));
                let wanted = (0..GROUPS).filter(|group| children & (1 << group) != 0).filter(there);
                let wanted = wanted.map(|group| self.ids.groups[&(org, directory, group)]).collect();
                let parent = self.ids.groups[&(org, directory, parent)];
                self.change_group(
                    place(org, directory),
                    parent,
                    GroupSaid::Groups(GroupsSaid::Replace(wanted)),
                )
            }
            Command::Replace { org, directory, group, members } => {
                let here = model.told.iter().enumerate().filter(|(_, t)| {
                    !t.gone && (t.org, t.directory) == (org, directory) && members & (1 << t.person) != 0
                });
                let users = here.map(|(t, _)| self.ids.told[t]).collect();
                let said = GroupSaid::Members(MembersSaid::Replace(users));
                self.change_group(place(org, directory), self.ids.groups[&(org, directory, group)], said)
            }
            _ => unreachable!("no statement of a directory"),
        }
    }

    fn change_group(
        &self,
        (organization, directory): (OrganizationId, DirectoryId),
        group: DirectoryGroupId,
        said: GroupSaid,
    ) -> Result<Made, ServiceError> {
        self.try_write(move |tx, moment| {
            let speaker = speaker(moment, organization, directory);
            provisioning::change_group(tx, moment, speaker, group, std::slice::from_ref(&said))?;
            Ok(Made::Nothing)
        })
    }
}
