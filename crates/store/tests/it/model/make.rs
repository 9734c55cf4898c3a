//! What makes a change of each kind, about things that the model knows. Some are made to be refused.

use std::collections::BTreeSet;

use portcullis_domain::Timestamp;
use portcullis_domain::access::{Access, EndedBecause};
use portcullis_domain::agent::{Agent, AgentState, OwnerLossRule};
use portcullis_domain::brake::{Above, Brake};
use portcullis_domain::change::{
    AgentChange, Change, ConnectionChange, DirectoryChange, DirectoryGroupChange, DirectoryUserChange,
    DomainChange, EnvironmentChange, GrantChange, LinkChange, MappingChange, MembershipChange,
    OrganizationChange, OutboxChange, ReceiptChange, RoleChange, TeamChange, TokenChange, TokenSet,
    TombstoneChange, UserChange,
};
use portcullis_domain::connection::{ClaimRules, Connection, ConnectionKind, Guests, Link, Overage};
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::directory_group::DirectoryGroup;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::domain::{Domain, DomainState};
use portcullis_domain::environment::Environment;
use portcullis_domain::google::{
    ConsentClient, ConsentGiven, GoogleKey, GoogleRight, GoogleSource, WorkloadUse,
};
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{
    AgentId, ConnectionId, DirectoryGroupId, DirectoryId, DirectoryUserId, DomainId, EnvironmentId, GrantId,
    MappingId, MembershipId, OrganizationId, OutboxId, ReceiptId, RequestId, RoleId, TeamId, TokenId, UserId,
};
use portcullis_domain::mapping::{Facet, Gives, Mapping, MappingSource};
use portcullis_domain::membership::{Membership, MembershipState, Newcomer};
use portcullis_domain::organization::Organization;
use portcullis_domain::permission::Permission;
use portcullis_domain::receipt::{Kept, KeptBecause, Receipt};
use portcullis_domain::role::{Giving, Rank, Role};
use portcullis_domain::secret::SecretHash;
use portcullis_domain::team::{Team, TeamRole};
use portcullis_domain::token::{Holder, ShownTo, Token, TokenEnd, TokenKind};
use portcullis_domain::tombstone::Identifier;
use portcullis_domain::user::{AuthenticatorKind, User};

use super::maps::Maps;
use super::{Dice, Kind, links, saml};
use crate::database::NOW;
use crate::fixture::slug;

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
        .or_else(|| facts(kind, maps, dice, org))
        .or_else(|| rules(kind, maps, dice, org))
        .or_else(|| super::holds::make(kind, maps, dice))
        .or_else(|| acting(kind, maps, dice, org))
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
                governed_by: dice.pick(maps.directories.keys().copied()),
                suspended_at: perhaps(dice, at),
                access: access(dice),
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
            governed_by: dice.pick(maps.directories.keys().copied()),
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

fn facts(kind: Kind, maps: &Maps, dice: &mut Dice, org: OrganizationId) -> Option<Change> {
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

fn rules(kind: Kind, maps: &Maps, dice: &mut Dice, org: OrganizationId) -> Option<Change> {
    let connection = dice.pick(maps.connections.values().cloned());
    Some(match kind {
        Kind::ConnectionCreate => {
            let new = Connection {
                id: ConnectionId::fresh(NOW, dice),
                organization: org,
                kind: ConnectionKind::Oidc,
                name: String::new(),
                issuer: String::new(),
                client_id: String::new(),
                client_secret_sealed: String::new(),
                directory: None,
                claims_directory: DirectoryId::fresh(NOW, dice),
                jit_at: None,
                groups_claim: None,
                claim_rules: ClaimRules::default(),
                environment: slug("production"),
                domains: vec![],
                unconfirmed_at: None,
                created_at: NOW,
            };
            ConnectionChange::Create(Box::new(set_up(maps, dice, new))).into()
        }
        Kind::ConnectionUpdate => ConnectionChange::Update(Box::new(set_up(maps, dice, connection?))).into(),
        Kind::ConnectionSaml => ConnectionChange::SetSaml(Box::new(saml::source(dice, &connection?))).into(),
        Kind::ConnectionCertificate => {
            ConnectionChange::PutCertificate(Box::new(saml::certificate(dice, &connection?))).into()
        }
        Kind::ConnectionKey => ConnectionChange::PutKey(Box::new(saml::key(dice, &connection?))).into(),
        Kind::ConnectionOidc => {
            ConnectionChange::SetOidc(Box::new(saml::oidc_source(dice, &connection?))).into()
        }
        Kind::ConnectionClientKey => {
            ConnectionChange::PutClientKey(Box::new(saml::client_key(dice, &connection?))).into()
        }
        Kind::ConnectionDelete => ConnectionChange::Delete(connection?.id).into(),
        Kind::LinkCreate => {
            let connection = connection?;
            let here = maps.members.values().filter(|m| m.organization == connection.organization);
            LinkChange::Create(Link {
                connection: connection.id,
                organization: connection.organization,
                subject: format!("Subject {}", dice.below(NAMES)),
                membership: dice.pick(here.map(|m| m.id))?,
                believed_up_to: rank(dice),
                signed_by: String::new(),
                created_at: NOW,
            })
            .into()
        }
        Kind::LinkDeleteOf => LinkChange::DeleteOf(dice.pick(maps.members.keys().copied())?).into(),
        Kind::LinkDelete => {
            let (connection, subject) = dice.pick(maps.links.keys().cloned())?;
            LinkChange::Delete(connection, subject).into()
        }
        Kind::LinkBelieve => return links::believed(maps, dice),
        Kind::MappingCreate => {
            let directory = dice.pick(maps.directories.values().cloned())?;
            let new = Mapping {
                id: MappingId::fresh(NOW, dice),
                organization: directory.organization,
                directory: directory.id,
                source: MappingSource::GroupId(String::new()),
                gives: Gives::default(),
                created_at: NOW,
            };
            MappingChange::Create(Box::new(mapped(dice, new))).into()
        }
        Kind::MappingUpdate => {
            let found = dice.pick(maps.mappings.values().cloned())?;
            MappingChange::Update(Box::new(mapped(dice, found))).into()
        }
        Kind::MappingDelete => MappingChange::Delete(dice.pick(maps.mappings.keys().copied())?).into(),
        Kind::TombstoneLay => {
            let found = dice.pick(maps.members.values().cloned())?;
            TombstoneChange::Lay {
                membership: found.id,
                identifiers: some_identifiers(maps, dice),
                at: moment(dice),
            }
            .into()
        }
        Kind::TombstoneLiftOf => {
            TombstoneChange::LiftOf(dice.pick(maps.tombstones.iter().map(|(_, _, of)| *of))?).into()
        }
        Kind::TombstoneHandDown => TombstoneChange::HandDown {
            from: dice.pick(maps.tombstones.iter().map(|(_, _, of)| *of))?,
            to: dice.pick(maps.members.keys().copied())?,
        }
        .into(),
        Kind::TombstoneLiftNamed => TombstoneChange::LiftNamed(some_identifiers(maps, dice)).into(),
        Kind::TombstoneLiftSaid => TombstoneChange::LiftSaid {
            directory: dice.pick(maps.directories.keys().copied())?,
            named: some_identifiers(maps, dice),
            beside: some_identifiers(maps, dice),
        }
        .into(),
        Kind::ReceiptOpen => {
            let found = dice.pick(maps.members.values().cloned())?;
            let kept = vec![Kept { what: AgentId::fresh(NOW, dice).into(), why: KeptBecause::Orphaned }];
            ReceiptChange::Open(Box::new(Receipt {
                id: ReceiptId::fresh(NOW, dice),
                organization: found.organization,
                membership: found.id,
                because: dice.pick(EndedBecause::ALL)?,
                kept,
                at: moment(dice),
            }))
            .into()
        }
        Kind::OutboxPut => OutboxChange::Put {
            id: OutboxId::fresh(NOW, dice),
            kind: "member.deprovisioned",
            body: word(dice),
            at: moment(dice),
        }
        .into(),
        _ => return None,
    })
}

fn some_identifiers(maps: &Maps, dice: &mut Dice) -> Vec<Identifier> {
    let some: BTreeSet<_> = (0..1 + dice.below(6)).filter_map(|_| dice.pick(identifiers(maps))).collect();
    some.into_iter().collect()
}

/// A connection with other settings. It must be told apart, so nothing of it is what it was.
fn set_up(maps: &Maps, dice: &mut Dice, connection: Connection) -> Connection {
    let domains: BTreeSet<String> =
        (0..dice.below(4)).map(|_| format!("d{}.test", dice.below(NAMES))).collect();
    Connection {
        name: word(dice),
        issuer: word(dice),
        client_id: word(dice),
        client_secret_sealed: word(dice),
        directory: dice.pick(maps.directories.keys().copied()),
        jit_at: perhaps_at(dice),
        groups_claim: perhaps_word(dice),
        claim_rules: ClaimRules {
            preset: perhaps_word(dice),
            guests: dice.pick([Guests::Refuse, Guests::Accept]).unwrap(),
            overage: dice.pick([Overage::Refuse, Overage::AskGraph]).unwrap(),
        },
        domains: domains.into_iter().collect(),
        unconfirmed_at: perhaps_at(dice),
        ..connection
    }
}

fn mapped(dice: &mut Dice, mapping: Mapping) -> Mapping {
    let written = word(dice);
    // A name is compared by its key, and that is what is kept of it; what was written stands beside it.
    let source = match dice.below(4) {
        0 => MappingSource::GroupExternalId(written),
        1 => MappingSource::OrgUnit(written),
        2 => MappingSource::Attribute {
            name: word(dice),
            name_key: dice.pick(["title", "roles"]).unwrap().to_owned(),
            value: written,
        },
        _ => MappingSource::GroupId(written),
    };
    let gives = Gives {
        role: perhaps(dice, slug("member")),
        team: perhaps(dice, (slug("core"), TeamRole::Member)),
        environment: perhaps(dice, slug("staging")),
    };
    Mapping { source, gives, ..mapping }
}

fn acting(kind: Kind, maps: &Maps, dice: &mut Dice, org: OrganizationId) -> Option<Change> {
    let agent = dice.pick(maps.agents.values().cloned());
    let member = dice.pick(maps.members.values().cloned());
    let token = dice.pick(maps.tokens.values().map(|(token, _)| token.clone()));
    let receipt = dice.pick(maps.receipts.keys().copied());
    let state = dice.pick([AgentState::Active, AgentState::Paused, AgentState::Orphaned])?;
    let end = |set: TokenSet, dice: &mut Dice| {
        let because = dice.pick(TokenEnd::ALL).unwrap();
        let receipt = receipt.filter(|_| dice.one_in(2));
        Change::from(TokenChange::End { set, because, at: moment(dice), receipt })
    };
    Some(match kind {
        Kind::AgentCreate => {
            let owner = member?;
            AgentChange::Create(Agent {
                id: AgentId::fresh(NOW, dice),
                organization: owner.organization,
                name: word(dice),
                owner: owner.id,
                heir: dice.pick(maps.members.keys().copied()),
                on_owner_loss: dice.pick(OwnerLossRule::ALL)?,
                rule_chosen_by: dice.pick(maps.members.keys().copied()),
                environment: slug("production"),
                state: AgentState::Active,
                created_at: NOW,
            })
            .into()
        }
        Kind::AgentUpdate => AgentChange::Update {
            id: agent?.id,
            name: word(dice),
            heir: dice.pick(maps.members.keys().copied()).filter(|_| dice.one_in(2)),
            environment: slug("staging"),
            on_owner_loss: dice.pick(OwnerLossRule::ALL)?,
            rule_chosen_by: dice.pick(maps.members.keys().copied()).filter(|_| dice.one_in(2)),
        }
        .into(),
        Kind::AgentState => AgentChange::SetState(agent?.id, state).into(),
        Kind::AgentOwner => {
            let agent = agent?;
            let here = maps.members.values().filter(|m| m.organization == agent.organization);
            AgentChange::SetOwner(agent.id, dice.pick(here.map(|m| m.id))?, state).into()
        }
        Kind::AgentDisable => AgentChange::Disable(agent?.id, receipt.filter(|_| dice.one_in(2))).into(),
        Kind::AgentOrphan => AgentChange::Orphan(agent?.id, receipt?).into(),
        Kind::TokenIssue => TokenChange::Issue(Box::new(issued(maps, dice, org)?)).into(),
        Kind::EndOne => end(TokenSet::One(token?.id), dice),
        Kind::EndOfLeaver => end(TokenSet::OfLeaver(member?.id, vec![address(dice), address(dice)]), dice),
        Kind::EndOfAgent => end(TokenSet::OfAgent(agent?.id), dice),
        Kind::EndOfDirectory => {
            end(TokenSet::OfDirectory(dice.pick(maps.directories.keys().copied())?), dice)
        }
        Kind::EndOfConnection => {
            end(TokenSet::OfConnection(dice.pick(maps.connections.keys().copied())?), dice)
        }
        Kind::EndOfMemberBy => {
            let connection = dice.pick(maps.connections.keys().copied())?;
            end(TokenSet::OfMemberBy(member?.id, connection), dice)
        }
        Kind::EndInvitations => end(TokenSet::InvitationsOf(member?.id), dice),
        Kind::EndOfOrganization => end(TokenSet::OfOrganization, dice),
        _ => return None,
    })
}

/// A token of any kind; what it would act as may be inactive, of another organization, or ended.
fn issued(maps: &Maps, dice: &mut Dice, org: OrganizationId) -> Option<Token> {
    let kind = dice.pick(TokenKind::ALL)?;
    let holder = match kind {
        TokenKind::Session | TokenKind::MemberKey | TokenKind::Invitation | TokenKind::OwnerLink => {
            Holder::Membership(dice.pick(maps.members.keys().copied())?)
        }
        TokenKind::AgentKey => Holder::Agent(dice.pick(maps.agents.keys().copied())?),
        TokenKind::ScimToken => Holder::Directory(dice.pick(maps.directories.keys().copied())?),
        TokenKind::ServiceKey => Holder::Organization(org),
    };
    let shown_to = match dice.below(3) {
        0 => ShownTo::Root,
        1 => ShownTo::Bearer,
        _ => ShownTo::Membership(dice.pick(maps.members.keys().copied())?),
    };
    let id = TokenId::fresh(NOW, dice);
    Some(Token {
        id,
        organization: org,
        kind,
        holder,
        parent: dice.pick(maps.tokens.keys().copied()).filter(|_| dice.one_in(3)),
        shown_to,
        secret: SecretHash::of(&id.to_string()),
        name: word(dice),
        environment: perhaps(dice, slug("production")),
        scopes: vec![],
        connection: dice.pick(maps.connections.keys().copied()).filter(|_| dice.one_in(2)),
        address_key: perhaps_address(dice),
        issued_at: NOW,
        expires_at: perhaps_at(dice),
        max_idle_s: None,
        ended: None,
    })
}
