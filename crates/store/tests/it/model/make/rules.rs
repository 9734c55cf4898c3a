//! What is set up: connections, links and mappings; and what stays of whoever left.

use std::collections::BTreeSet;

use portcullis_domain::access::EndedBecause;
use portcullis_domain::change::{
    Change, ConnectionChange, LinkChange, MappingChange, OutboxChange, ReceiptChange, TombstoneChange,
};
use portcullis_domain::connection::{
    ClaimRules, Connection, ConnectionKind, Guests, Link, Overage, Unconfirmed,
};
use portcullis_domain::id::{
    AgentId, ConnectionId, DirectoryId, MappingId, OrganizationId, OutboxId, ReceiptId,
};
use portcullis_domain::mapping::{Gives, Mapping, MappingSource};
use portcullis_domain::receipt::{Kept, KeptBecause, Receipt};
use portcullis_domain::team::TeamRole;
use portcullis_domain::tombstone::Identifier;

use super::super::maps::Maps;
use super::super::{Dice, Kind, links, saml};
use super::{NAMES, identifiers, moment, perhaps, perhaps_at, perhaps_word, rank, word};
use crate::database::NOW;
use crate::fixture::slug;

pub(super) fn make(kind: Kind, maps: &Maps, dice: &mut Dice, org: OrganizationId) -> Option<Change> {
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
                unconfirmed: None,
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
        Kind::LinkGiveWay => {
            let (connection, subject) = dice.pick(maps.links.keys().cloned())?;
            LinkChange::GiveWay(connection, subject, format!("Subject {}", dice.below(NAMES))).into()
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
        unconfirmed: perhaps_at(dice).map(|at| Unconfirmed { at, chosen_from: rank(dice), chosen_at: NOW }),
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
