//! What makes a change of each kind, about things that the model knows. Some are made to be refused.

use std::collections::BTreeSet;

use portcullis_domain::Timestamp;
use portcullis_domain::access::{Access, EndedBecause};
use portcullis_domain::change::{
    Change, DomainChange, EnvironmentChange, GrantChange, MembershipChange, OrganizationChange, RoleChange,
    TeamChange, UserChange,
};
use portcullis_domain::domain::{Domain, DomainState};
use portcullis_domain::environment::Environment;
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{
    DirectoryId, DirectoryUserId, DomainId, EnvironmentId, GrantId, MembershipId, OrganizationId, RequestId,
    RoleId, TeamId, UserId,
};
use portcullis_domain::membership::{Membership, MembershipState, Newcomer};
use portcullis_domain::organization::Organization;
use portcullis_domain::permission::Permission;
use portcullis_domain::role::{Giving, Rank, Role};
use portcullis_domain::team::{Team, TeamRole};
use portcullis_domain::tombstone::Identifier;
use portcullis_domain::user::{AuthenticatorKind, User};

use super::maps::Maps;
use super::{Dice, Kind};
use crate::database::NOW;
use crate::fixture::slug;

mod acting;
mod facts;
mod rules;

/// How many names there are of each kind, so that they meet.
const NAMES: usize = 9;

pub(crate) fn moment(dice: &mut Dice) -> Timestamp {
    NOW.plus_s(i64::try_from(dice.below(10_000)).unwrap())
}

fn perhaps<T>(dice: &mut Dice, value: T) -> Option<T> {
    (!dice.one_in(3)).then_some(value)
}

pub(crate) fn perhaps_at(dice: &mut Dice) -> Option<Timestamp> {
    let at = moment(dice);
    perhaps(dice, at)
}

pub(crate) fn perhaps_word(dice: &mut Dice) -> Option<String> {
    let word = word(dice);
    perhaps(dice, word)
}

fn perhaps_request(dice: &mut Dice) -> Option<RequestId> {
    let request = RequestId::fresh(NOW, dice);
    perhaps(dice, request)
}

fn perhaps_address(dice: &mut Dice) -> Option<String> {
    let address = address(dice);
    perhaps(dice, address)
}

pub(crate) fn word(dice: &mut Dice) -> String {
    format!("Word {} — é", dice.below(1000))
}

fn address(dice: &mut Dice) -> String {
    format!("p{}@acme.test", dice.below(NAMES * 4))
}

/// Every identifier that anybody may have here.
pub(crate) fn identifiers(maps: &Maps) -> Vec<Identifier> {
    let mut all = Vec::new();
    for n in 0..NAMES * 4 {
        let name = format!("p{n}@acme.test");
        all.extend([Identifier::email(&name), Identifier::user_name(&name)]);
    }
    for directory in maps.directories.keys().chain(&maps.former_directories) {
        all.extend((0..NAMES).map(|n| Identifier::external_id(*directory, &format!("ext-{n}"))));
    }
    all
}

/// The two organizations in which everything happens.
pub(crate) fn beginning(dice: &mut Dice) -> Vec<Change> {
    ["first", "second"]
        .map(|name| {
            let (id, slug) = (OrganizationId::fresh(NOW, dice), slug(name));
            OrganizationChange::Create(Organization {
                id,
                slug,
                name: name.into(),
                rules_number: 1,
                created_at: NOW,
            })
            .into()
        })
        .to_vec()
}

/// A change of that kind; `None` where there is nothing yet that it could be about.
pub(crate) fn make(kind: Kind, maps: &Maps, dice: &mut Dice) -> Option<Change> {
    let org = dice.pick(maps.main().to_vec())?;
    rooms(kind, maps, dice, org)
        .or_else(|| people(kind, maps, dice, org))
        .or_else(|| facts::make(kind, maps, dice, org))
        .or_else(|| rules::make(kind, maps, dice, org))
        .or_else(|| super::holds::make(kind, maps, dice))
        .or_else(|| acting::make(kind, maps, dice, org))
}

fn rooms(kind: Kind, maps: &Maps, dice: &mut Dice, org: OrganizationId) -> Option<Change> {
    let name = word(dice);
    let slug_of = |dice: &mut Dice| slug(&format!("s-{}", dice.below(NAMES)));
    Some(match kind {
        Kind::OrganizationCreate => OrganizationChange::Create(Organization {
            id: OrganizationId::fresh(NOW, dice),
            slug: slug(&format!("s-{}", dice.below(NAMES * 20))),
            name,
            rules_number: 1,
            created_at: NOW,
        })
        .into(),
        Kind::OrganizationRename => OrganizationChange::Rename(org, name).into(),
        Kind::OrganizationRaise => OrganizationChange::RaiseRules(org).into(),
        Kind::OrganizationDelete => {
            let others = maps.organizations.keys().copied().filter(|o| !maps.main().contains(o));
            OrganizationChange::Delete(dice.pick(others)?, moment(dice)).into()
        }
        Kind::EnvironmentCreate => {
            let slug = slug_of(dice);
            let id = EnvironmentId::fresh(NOW, dice);
            EnvironmentChange::Create(Environment { id, organization: org, slug, name, created_at: NOW })
                .into()
        }
        Kind::EnvironmentRename => {
            EnvironmentChange::Rename(dice.pick(maps.environments.keys().copied())?, name).into()
        }
        Kind::EnvironmentDelete => {
            EnvironmentChange::Delete(dice.pick(maps.environments.keys().copied())?).into()
        }
        Kind::TeamCreate => {
            let slug = slug_of(dice);
            let id = TeamId::fresh(NOW, dice);
            TeamChange::Create(Team { id, organization: org, slug, name, created_at: NOW }).into()
        }
        Kind::TeamRename => TeamChange::Rename(dice.pick(maps.teams.keys().copied())?, name).into(),
        Kind::TeamDelete => TeamChange::Delete(dice.pick(maps.teams.keys().copied())?).into(),
        Kind::RoleCreate => RoleChange::Create(Role {
            id: RoleId::fresh(NOW, dice),
            organization: org,
            slug: slug_of(dice),
            rank: rank(dice),
            permissions: permissions(dice),
            giving: giving(dice),
            built_in_at: perhaps(dice, NOW),
            created_at: NOW,
        })
        .into(),
        Kind::RoleUpdate => {
            let id = dice.pick(maps.roles.keys().copied())?;
            RoleChange::Update(id, rank(dice), permissions(dice), giving(dice)).into()
        }
        Kind::RoleDelete => RoleChange::Delete(dice.pick(maps.roles.keys().copied())?).into(),
        Kind::DomainAdd => DomainChange::Add(Domain {
            id: DomainId::fresh(NOW, dice),
            organization: org,
            domain: format!("d{}.test", dice.below(NAMES)),
            state: DomainState::Pending,
            txt_value: name,
            proven_at: None,
            created_at: NOW,
        })
        .into(),
        Kind::DomainProve => {
            DomainChange::Prove(dice.pick(maps.domains.keys().copied())?, moment(dice)).into()
        }
        Kind::DomainRemove => DomainChange::Remove(dice.pick(maps.domains.keys().copied())?).into(),
        _ => return None,
    })
}

pub(super) fn rank(dice: &mut Dice) -> Rank {
    Rank::new(1 + i64::try_from(dice.below(40)).unwrap()).unwrap()
}

fn permissions(dice: &mut Dice) -> BTreeSet<Permission> {
    (0..dice.below(5)).filter_map(|_| dice.pick(Permission::ALL.to_vec())).collect()
}

fn giving(dice: &mut Dice) -> Giving {
    if dice.one_in(2) { Giving::Anyhow } else { Giving::ExplicitOnly }
}

fn access(dice: &mut Dice) -> Access {
    // Most are active, or nothing could be issued.
    let state =
        if dice.one_in(3) { dice.pick(MembershipState::ALL).unwrap() } else { MembershipState::Active };
    let mut access = Access::none(state);
    access.role = perhaps(dice, slug("member"));
    access.teams = perhaps(dice, (slug("core"), TeamRole::Admin)).into_iter().collect();
    access.environments = perhaps(dice, slug("production")).into_iter().collect();
    access.until = perhaps_at(dice);
    access
}

fn people(kind: Kind, maps: &Maps, dice: &mut Dice, org: OrganizationId) -> Option<Change> {
    let member = dice.pick(maps.members.keys().copied());
    let at = moment(dice);
    Some(match kind {
        Kind::UserCreate => UserChange::Create(User::new(UserId::fresh(NOW, dice), NOW)).into(),
        Kind::UserEnd => UserChange::End(dice.pick(maps.users.keys().copied())?, at).into(),
        Kind::UserRevive => UserChange::Revive(dice.pick(maps.users.keys().copied())?).into(),
        Kind::UserAuthenticator => UserChange::SetAuthenticator {
            user: dice.pick(maps.users.keys().copied())?,
            kind: AuthenticatorKind::Password,
            secret: word(dice),
            email_key: address(dice),
            at,
        }
        .into(),
        Kind::MemberCreate => {
            let who = Newcomer {
                id: MembershipId::fresh(NOW, dice),
                organization: org,
                user: dice.pick(maps.users.keys().copied())?,
                email: address(dice),
                name: word(dice),
            };
            let membership = Membership {
                joined_at: perhaps(dice, at),
                governed_by: a_directory(maps, dice, org),
                suspended_at: perhaps(dice, at),
                bare_owner_at: perhaps(dice, at),
                access: access(dice),
                believed_up_to: rank(dice),
                ..Membership::new(who, MembershipState::Active, 1, NOW)
            };
            MembershipChange::Create(Box::new(membership)).into()
        }
        Kind::MemberProfile => MembershipChange::SetProfile(member?, address(dice), word(dice)).into(),
        Kind::MemberJoin => MembershipChange::Join(member?, at).into(),
        Kind::MemberSuspended => {
            let ordered = perhaps(dice, at).map(|at| (at, Rank::OWNER));
            MembershipChange::SetSuspended(member?, ordered).into()
        }
        Kind::MemberAccess => MembershipChange::SetAccess {
            id: member?,
            access: Box::new(access(dice)),
            governed_by: member
                .and_then(|id| maps.members.get(&id))
                .and_then(|member| a_directory(maps, dice, member.organization)),
            unmapped_at: perhaps(dice, at),
            ended: dice.pick(EndedBecause::ALL).filter(|_| dice.one_in(2)).map(|because| (at, because)),
            bare_owner_at: perhaps(dice, at),
            rules_number: 2,
        }
        .into(),
        Kind::MemberLoses => {
            MembershipChange::LoseDirectory(dice.pick(maps.directories.keys().copied())?).into()
        }
        Kind::MemberStale => {
            let organization = maps.told.get(&dice.pick(maps.told.keys().copied())?)?.organization;
            let here = |id: &DirectoryUserId| maps.told[id].organization == organization;
            MembershipChange::MarkStale(some_told(maps, dice).into_iter().filter(here).collect()).into()
        }
        Kind::MemberBelieve => MembershipChange::Believe(member?, rank(dice)).into(),
        Kind::MemberUser => MembershipChange::SetUser(member?, dice.pick(maps.users.keys().copied())?).into(),
        Kind::GrantCreate => {
            let found = &maps.members[&member?];
            GrantChange::Create(Grant {
                id: GrantId::fresh(NOW, dice),
                organization: found.organization,
                membership: found.id,
                role: slug(dice.pick(["owner", "member"])?),
                granted_by: dice.pick(maps.members.keys().copied()),
                reason: word(dice),
                request: perhaps_request(dice),
                created_at: NOW,
                ended_at: None,
            })
            .into()
        }
        Kind::GrantReason => {
            GrantChange::SetReason(dice.pick(maps.grants.keys().copied())?, word(dice)).into()
        }
        Kind::GrantEnd => GrantChange::End(dice.pick(maps.grants.keys().copied())?, at).into(),
        Kind::GrantEndOf => {
            let keep = perhaps(dice, slug("owner"));
            GrantChange::EndOf { membership: member?, keep, at }.into()
        }
        _ => return None,
    })
}

fn some_told(maps: &Maps, dice: &mut Dice) -> Vec<DirectoryUserId> {
    let some: BTreeSet<_> =
        (0..1 + dice.below(4)).filter_map(|_| dice.pick(maps.told.keys().copied())).collect();
    some.into_iter().collect()
}

/// A directory of that organization: nobody is governed by one of another.
fn a_directory(maps: &Maps, dice: &mut Dice, org: OrganizationId) -> Option<DirectoryId> {
    dice.pick(maps.directories.values().filter(|d| d.organization == org).map(|d| d.id))
}
