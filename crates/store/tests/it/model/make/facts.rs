//! What directories tell: people, groups and who is in them.

use std::collections::BTreeSet;

use portcullis_domain::brake::{Above, Brake};
use portcullis_domain::change::{
    Change, DirectoryChange, DirectoryGroupChange, DirectoryUserChange, Forgotten,
};
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::directory_group::DirectoryGroup;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::google::{
    ConsentClient, ConsentGiven, GoogleKey, GoogleRight, GoogleSource, WorkloadUse,
};
use portcullis_domain::id::{DirectoryGroupId, DirectoryId, DirectoryUserId, OrganizationId};
use portcullis_domain::mapping::Facet;
use portcullis_domain::role::Rank;

use super::super::maps::Maps;
use super::super::{Dice, Kind};
use super::{NAMES, address, moment, perhaps, perhaps_request, perhaps_word, rank, some_told, word};
use crate::database::NOW;
use crate::fixture::slug;

pub(super) fn make(kind: Kind, maps: &Maps, dice: &mut Dice, org: OrganizationId) -> Option<Change> {
    let directory = dice.pick(maps.directories.values().cloned());
    let told = dice.pick(maps.told.values().cloned());
    let group = dice.pick(maps.groups.values().cloned());
    let at = moment(dice);
    Some(match kind {
        Kind::DirectoryCreate => DirectoryChange::Create(Directory {
            id: DirectoryId::fresh(NOW, dice),
            organization: org,
            kind: dice.pick(DirectoryKind::ALL)?,
            name: word(dice),
            default_role: perhaps(dice, slug("member")),
            settle_s: 3600,
            brake: dice.pick([None, Some(Brake::default()), Brake::new(Some(7), None).ok()])?,
            nested_at: perhaps(dice, NOW),
            connection: dice.pick(maps.connections.keys().copied()),
            created_at: NOW,
        })
        .into(),
        Kind::DirectoryUpdate => {
            let default_role = perhaps(dice, slug("viewer"));
            let nested_at = perhaps(dice, NOW);
            let name = word(dice);
            let refusing = Brake::new(Some(9), Some(3)).ok().map(|brake| brake.with_above(Above::Refuse));
            let brake = dice.pick([None, refusing])?;
            DirectoryChange::Update(Directory {
                name,
                default_role,
                settle_s: 7,
                nested_at,
                brake,
                ..directory?
            })
            .into()
        }
        Kind::DirectoryDelete => DirectoryChange::Delete(directory?.id).into(),
        Kind::DirectoryGoogle => {
            let directory = directory?;
            let right = match dice.below(3) {
                0 => GoogleRight::Key(GoogleKey {
                    delegated_admin: word(dice),
                    client_email: word(dice),
                    client_id: word(dice),
                    key_id: word(dice),
                    key_sealed: word(dice),
                }),
                1 => GoogleRight::Workload(WorkloadUse {
                    delegated_admin: word(dice),
                    vouched_at: perhaps(dice, NOW),
                }),
                _ => {
                    let given = ConsentGiven { by: word(dice), at: NOW, refresh_sealed: word(dice) };
                    GoogleRight::Consent(ConsentClient {
                        hosted_domain: word(dice),
                        client_id: word(dice),
                        client_secret_sealed: word(dice),
                        given: perhaps(dice, given),
                    })
                }
            };
            let source = GoogleSource {
                directory: directory.id,
                organization: directory.organization,
                customer: word(dice),
                domain: perhaps_word(dice),
                right,
                believed_up_to: rank(dice),
                updated_at: at,
            };
            DirectoryChange::SetGoogle(Box::new(source)).into()
        }
        Kind::DirectoryUnconfirm => DirectoryChange::Unconfirm(org, at).into(),
        Kind::DirectoryForget => {
            let forgotten = dice.pick([Forgotten::Groups, Forgotten::Everything])?;
            DirectoryChange::Forget(directory?.id, forgotten, at).into()
        }
        Kind::ToldCreate => {
            let directory = directory?;
            let here = maps.members.values().filter(|m| m.organization == directory.organization);
            let membership = dice.pick(here.map(|m| m.id))?;
            let new = DirectoryUser {
                id: DirectoryUserId::fresh(NOW, dice),
                organization: directory.organization,
                directory: directory.id,
                membership,
                external_id: None,
                user_name: String::new(),
                display_name: String::new(),
                email_keys: vec![],
                inactive_at: None,
                unconfirmed_at: None,
                attributes: String::new(),
                believed_up_to: Rank::ROOT,
                created_at: NOW,
                updated_at: NOW,
            };
            DirectoryUserChange::Create(Box::new(said(dice, new))).into()
        }
        Kind::ToldUpdate => {
            let new = DirectoryUser { updated_at: at, ..said(dice, told?) };
            DirectoryUserChange::Update(Box::new(new)).into()
        }
        Kind::ToldDelete => DirectoryUserChange::Delete(told?.id).into(),
        Kind::ToldAttach => {
            let told = told?;
            let here = maps.members.values().filter(|m| m.organization == told.organization);
            DirectoryUserChange::Attach(told.id, dice.pick(here.map(|m| m.id))?).into()
        }
        Kind::ToldAddFacets => {
            let told = told?;
            let request = perhaps_request(dice);
            DirectoryUserChange::AddFacets(told.id, told.directory, some_facets(dice), request).into()
        }
        Kind::ToldRemoveFacets => {
            let id = dice.pick(maps.facets.keys().copied())?;
            DirectoryUserChange::RemoveFacets(id, some_facets(dice)).into()
        }
        Kind::GroupCreate => {
            let directory = directory?;
            DirectoryGroupChange::Create(DirectoryGroup {
                id: DirectoryGroupId::fresh(NOW, dice),
                organization: directory.organization,
                directory: directory.id,
                external_id: perhaps(dice, "g-1".to_owned()),
                display_name: word(dice),
                created_at: NOW,
                updated_at: NOW,
            })
            .into()
        }
        Kind::GroupUpdate => {
            let external_id = perhaps(dice, "g-2".to_owned());
            let new = DirectoryGroup { external_id, display_name: word(dice), updated_at: at, ..group? };
            DirectoryGroupChange::Update(new).into()
        }
        Kind::GroupDelete => DirectoryGroupChange::Delete(group?.id).into(),
        Kind::GroupAdd => {
            let (group, request) = (group?, perhaps_request(dice));
            let known = |id: &DirectoryUserId| maps.told[id].directory == group.directory;
            let users = some_told(maps, dice).into_iter().filter(known).collect();
            DirectoryGroupChange::AddMembers(group.id, users, request).into()
        }
        Kind::GroupNest => {
            let (group, request) = (group?, perhaps_request(dice));
            let children = some_groups(maps, dice, &group);
            DirectoryGroupChange::AddGroups(group.id, children, request).into()
        }
        Kind::GroupUnnest => {
            let group = group?;
            let mut children = some_groups(maps, dice, &group);
            children
                .extend(maps.nests.iter().filter(|(g, _)| *g == group.id).map(|(_, child)| *child).take(1));
            DirectoryGroupChange::RemoveGroups(group.id, children).into()
        }
        Kind::GroupRemove => {
            let group = group?.id;
            let mut users = some_told(maps, dice);
            users.extend(maps.places.iter().filter(|(g, _)| *g == group).map(|(_, user)| *user).take(1));
            DirectoryGroupChange::RemoveMembers(group, users).into()
        }
        _ => return None,
    })
}

/// Groups of the same directory; a group may be among its own.
fn some_groups(maps: &Maps, dice: &mut Dice, of: &DirectoryGroup) -> Vec<DirectoryGroupId> {
    let here = || maps.groups.values().filter(|g| g.directory == of.directory).map(|g| g.id);
    let some: BTreeSet<_> = (0..1 + dice.below(3)).filter_map(|_| dice.pick(here())).collect();
    some.into_iter().collect()
}

/// Facets of both kinds, few enough that they meet.
fn some_facets(dice: &mut Dice) -> BTreeSet<Facet> {
    let mut facets = match dice.below(3) {
        0 => BTreeSet::new(),
        n => Facet::units(["/Sales/EMEA", "/Sales"][n - 1]),
    };
    for _ in 0..dice.below(4) {
        let value = format!("Value \"{}\" = é", dice.below(NAMES));
        facets.extend(Facet::attribute(dice.pick(["title", "roles"]).unwrap(), &value));
    }
    facets
}

/// The same person, called otherwise.
fn said(dice: &mut Dice, told: DirectoryUser) -> DirectoryUser {
    let emails: BTreeSet<String> = (0..dice.below(3)).map(|_| address(dice)).collect();
    DirectoryUser {
        external_id: (!dice.one_in(3)).then(|| format!("ext-{}", dice.below(NAMES))),
        user_name: address(dice),
        display_name: word(dice),
        email_keys: emails.into_iter().rev().collect(),
        inactive_at: dice.one_in(4).then_some(NOW),
        unconfirmed_at: dice.one_in(4).then_some(NOW),
        attributes: format!("{{\"nickName\":\"{}\"}}", word(dice)),
        believed_up_to: dice.pick([Rank::NONE, Rank::LEAD, Rank::ROOT]).unwrap(),
        ..told
    }
}
