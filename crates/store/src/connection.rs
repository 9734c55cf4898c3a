//! Connections: configured identity providers, the domains routed to them, and the subjects linked through them.

use std::collections::BTreeMap;

use portcullis_domain::Timestamp;
use portcullis_domain::change::{ConnectionChange, LinkChange};
use portcullis_domain::connection::{Connection, ConnectionKind, Link, Unconfirmed};
use portcullis_domain::id::{ConnectionId, MembershipId, OrganizationId};
use portcullis_domain::role::Rank;
use portcullis_domain::tombstone::Identifier;

use crate::row::{Columns, Row, list as in_list, to_json};
use crate::statement::Statement;
use crate::{StoreError, Tx, UniqueKey, oidc, params, saml, token, tombstone};

/// The most connections that one e-mail domain routes to; a person would not choose among more.
const MAX_OF_DOMAIN: i64 = 20;
/// The most links of one membership that are read.
const MAX_LINKS: i64 = 200;

/// The most domains of one connection that are told as unproven: more are not routed to one.
const MAX_UNPROVEN: i64 = 100;
/// The most connections of one provider that are compared with one.
const MAX_OF_ISSUER: i64 = 100;

macro_rules! columns {
    () => {
        "c.id, c.organization, c.kind, c.name, c.issuer, c.client_id, c.client_secret_sealed, c.directory, \
         c.claims_directory, c.jit_at, c.groups_claim, c.claim_rules, c.environment, c.unconfirmed_at, c.chosen_from, \
         c.chosen_at, c.created_at"
    };
}

const CREATE: Statement = Statement::change(
    "connection.create",
    "INSERT INTO connections (id, organization, kind, name, issuer, client_id, client_secret_sealed, directory, \
     claims_directory, jit_at, groups_claim, environment, unconfirmed_at, chosen_from, chosen_at, created_at, claim_rules) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
);
const UPDATE: Statement = Statement::change(
    "connection.update",
    "UPDATE connections SET name = $3, issuer = $4, client_id = $5, client_secret_sealed = $6, directory = $7, \
     claims_directory = $8, jit_at = $9, groups_claim = $10, environment = $11, unconfirmed_at = $12, \
     chosen_from = $13, chosen_at = $14, claim_rules = $15, moved_at = CASE WHEN issuer = $4 THEN moved_at ELSE \
     (SELECT MAX(x.seen_at) FROM (SELECT created_at AS seen_at FROM links WHERE connection = $1 AND organization = $2 \
     UNION ALL SELECT issued_at AS seen_at FROM tokens WHERE connection = $1 AND organization = $2) x) END \
     WHERE id = $1 AND organization = $2",
);
const DELETE: Statement =
    Statement::change("connection.delete", "DELETE FROM connections WHERE id = $1 AND organization = $2");
const DELETE_DOMAINS: Statement = Statement::change(
    "connection.delete_domains",
    "DELETE FROM connection_domains WHERE connection IN \
     (SELECT id FROM connections WHERE id = $1 AND organization = $2)",
);
const DELETE_LINKS: Statement = Statement::change(
    "connection.delete_links",
    "DELETE FROM links WHERE connection = $1 AND organization = $2",
);
// What they were known by is not lost with the connection: their tombstone needs it on the day when they leave.
const REMEMBER_SUBJECTS: Statement = Statement::change(
    "connection.remember_subjects",
    "INSERT INTO former_identifiers (membership, kind, value) \
     SELECT membership, 'subject', connection || '/' || subject FROM links WHERE connection = $1 AND organization = $2 \
     ON CONFLICT (membership, kind, value) DO NOTHING",
);
const REMEMBER_ISSUER_SUBJECTS: Statement = Statement::change(
    "connection.remember_issuer_subjects",
    "INSERT INTO former_identifiers (membership, kind, value) \
     SELECT membership, 'issuer_subject', subject FROM links WHERE connection = $1 AND organization = $2 \
     ON CONFLICT (membership, kind, value) DO NOTHING",
);
const ADD_DOMAIN: Statement = Statement::change(
    "connection.add_domain",
    "INSERT INTO connection_domains (connection, domain) VALUES ($1, $2) ON CONFLICT DO NOTHING",
);
const FIND: Statement = Statement::read(
    "connection.find",
    concat!("SELECT ", columns!(), " FROM connections c WHERE c.organization = $1 AND c.id = $2"),
);
const FIND_BY_ID: Statement = Statement::read(
    "connection.find_by_id",
    concat!(
        "SELECT ",
        columns!(),
        " FROM connections c JOIN organizations o ON o.id = c.organization \
         WHERE c.id = $1 AND o.deleted_at IS NULL"
    ),
);
const FIND_BY_DOMAIN: Statement = Statement::read(
    "connection.find_by_domain",
    concat!(
        "SELECT ",
        columns!(),
        " FROM connection_domains r JOIN connections c ON c.id = r.connection \
         JOIN domains d ON d.organization = c.organization AND d.domain = r.domain \
         JOIN organizations o ON o.id = c.organization \
         WHERE r.domain = $1 AND d.proven_at IS NOT NULL AND o.deleted_at IS NULL ORDER BY c.id LIMIT $2"
    ),
);
const LIST: Statement = Statement::read(
    "connection.list",
    concat!(
        "SELECT ",
        columns!(),
        " FROM connections c WHERE c.organization = $1 AND c.id > $2 ORDER BY c.id LIMIT $3"
    ),
);
const OF_ISSUER: Statement = Statement::read(
    "connection.of_issuer",
    "SELECT id, client_id FROM connections WHERE organization = $1 AND kind = $2 AND issuer = $3 AND environment = $4 \
     ORDER BY id LIMIT $5",
);
const DOMAINS_OF: Statement = Statement::read(
    "connection.domains_of",
    "SELECT connection, domain FROM connection_domains WHERE connection IN_LIST($1) ORDER BY connection, domain",
);
const UNPROVEN_DOMAINS: Statement = Statement::read(
    "connection.unproven_domains",
    "SELECT r.domain FROM connections c JOIN connection_domains r ON r.connection = c.id \
     WHERE c.organization = $1 AND c.id = $2 AND NOT EXISTS (SELECT 1 FROM domains d \
     WHERE d.organization = $1 AND d.domain = r.domain AND d.proven_at IS NOT NULL) ORDER BY r.domain LIMIT $3",
);
const CREATE_LINK: Statement = Statement::change(
    "connection.create_link",
    "INSERT INTO links (connection, subject, organization, membership, believed_up_to, created_at, signed_by) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING subject",
);
const DELETE_LINKS_OF: Statement = Statement::change(
    "connection.delete_links_of",
    "DELETE FROM links WHERE membership = $1 AND organization = $2 RETURNING connection, subject",
);
const DELETE_LINK: Statement = Statement::change(
    "connection.delete_link",
    "DELETE FROM links WHERE connection = $1 AND subject = $2 AND organization = $3 RETURNING membership",
);
const BELIEVE_LINK: Statement = Statement::change(
    "connection.believe_link",
    "UPDATE links SET believed_up_to = $4 WHERE connection = $1 AND subject = $2 AND organization = $3",
);
macro_rules! links {
    () => {
        "SELECT connection, subject, organization, membership, created_at, believed_up_to, signed_by FROM links "
    };
}

const FIND_LINK: Statement =
    Statement::read("connection.find_link", concat!(links!(), "WHERE connection = $1 AND subject = $2"));
const LINKS_OF: Statement = Statement::read(
    "connection.links_of",
    concat!(links!(), "WHERE membership = $1 ORDER BY connection, subject LIMIT $2"),
);
const LINKS_SIGNED_BY: Statement = Statement::read(
    "connection.links_signed_by",
    concat!(links!(), "WHERE organization = $1 AND signed_by = $2 ORDER BY connection, subject LIMIT $3"),
);
const LINKED_BY_SUBJECT: Statement = Statement::read(
    "connection.linked_by_subject",
    "SELECT l.membership FROM links l JOIN memberships m ON m.id = l.membership \
     WHERE l.organization = $1 AND l.subject = $2 AND m.organization = $1 AND m.ended_at IS NULL LIMIT 1",
);
// The roles above a rank are few, and so are those who have them: `CROSS JOIN` has SQLite begin there.
const LINKED_ABOVE: Statement = Statement::read(
    "connection.linked_above",
    "SELECT m.id FROM roles r CROSS JOIN memberships m CROSS JOIN links l WHERE r.organization = $1 AND r.rank > $3 \
     AND m.organization = r.organization AND m.role = r.slug AND m.state <> 'deprovisioned' \
     AND l.membership = m.id AND l.organization = m.organization AND l.connection = $2 LIMIT 1",
);
const FIRST_SUBJECTS: Statement = Statement::read(
    "connection.first_subjects",
    "SELECT subject FROM links WHERE connection = $1 AND organization = $2 AND subject >= $3 AND subject < $4 \
     ORDER BY subject LIMIT $5",
);

/// The statements about connections and links.
pub(crate) const ALL: &[&Statement] = &[
    &CREATE,
    &UPDATE,
    &DELETE,
    &DELETE_DOMAINS,
    &DELETE_LINKS,
    &REMEMBER_SUBJECTS,
    &REMEMBER_ISSUER_SUBJECTS,
    &ADD_DOMAIN,
    &FIND,
    &FIND_BY_ID,
    &FIND_BY_DOMAIN,
    &LIST,
    &OF_ISSUER,
    &DOMAINS_OF,
    &UNPROVEN_DOMAINS,
    &CREATE_LINK,
    &DELETE_LINKS_OF,
    &DELETE_LINK,
    &BELIEVE_LINK,
    &FIND_LINK,
    &LINKS_OF,
    &LINKS_SIGNED_BY,
    &LINKED_BY_SUBJECT,
    &LINKED_ABOVE,
    &FIRST_SUBJECTS,
];

/// What waits for an owner, as three columns: since when, from whom, and when that was last chosen.
type Waits = (Option<Timestamp>, Option<i64>, Option<Timestamp>);

fn waits(unconfirmed: Option<Unconfirmed>) -> Waits {
    (unconfirmed.map(|u| u.at), unconfirmed.map(|u| u.chosen_from.number()), unconfirmed.map(|u| u.chosen_at))
}

fn unconfirmed(columns: &mut Columns<'_>) -> Result<Option<Unconfirmed>, StoreError> {
    let Some(at) = columns.read(Row::opt_at)? else {
        columns.pass(2);
        return Ok(None);
    };
    Ok(Some(Unconfirmed { at, chosen_from: columns.read(Row::rank)?, chosen_at: columns.read(Row::at)? }))
}

fn read(row: &Row) -> Result<Connection, StoreError> {
    let mut columns = row.columns();
    let connection = Connection {
        id: columns.read(Row::parsed)?,
        organization: columns.read(Row::parsed)?,
        kind: columns.read(Row::parsed)?,
        name: columns.read(Row::text)?.to_owned(),
        issuer: columns.read(Row::text)?.to_owned(),
        client_id: columns.read(Row::text)?.to_owned(),
        client_secret_sealed: columns.read(Row::text)?.to_owned(),
        directory: columns.read(Row::opt_parsed)?,
        claims_directory: columns.read(Row::parsed)?,
        jit_at: columns.read(Row::opt_at)?,
        groups_claim: columns.read(Row::opt_text)?.map(str::to_owned),
        claim_rules: columns.read(Row::json)?,
        environment: columns.read(Row::parsed)?,
        domains: Vec::new(),
        unconfirmed: unconfirmed(&mut columns)?,
        created_at: columns.read(Row::at)?,
    };
    columns.done()?;
    Ok(connection)
}

fn read_link(row: &Row) -> Result<Link, StoreError> {
    Ok(Link {
        connection: row.parsed(0)?,
        subject: row.text(1)?.to_owned(),
        organization: row.parsed(2)?,
        membership: row.parsed(3)?,
        created_at: row.at(4)?,
        believed_up_to: row.rank(5)?,
        signed_by: row.text(6)?.to_owned(),
    })
}

/// Reads connections and, by one statement for all of them, their domains.
fn read_with_domains(tx: &mut Tx<'_>, rows: &[Row]) -> Result<Vec<Connection>, StoreError> {
    let mut connections = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut domains: BTreeMap<ConnectionId, Vec<String>> = BTreeMap::new();
    for chunk in connections.chunks(crate::db::MAX_LIST) {
        for row in tx.rows(&DOMAINS_OF, params![in_list(chunk.iter().map(|c| c.id))])? {
            domains.entry(row.parsed(0)?).or_default().push(row.text(1)?.to_owned());
        }
    }
    for connection in &mut connections {
        connection.domains = domains.remove(&connection.id).unwrap_or_default();
    }
    Ok(connections)
}

fn route(tx: &mut Tx<'_>, connection: &Connection) -> Result<(), StoreError> {
    for domain in &connection.domains {
        tx.run(&ADD_DOMAIN, params![connection.id, domain])?;
    }
    Ok(())
}

pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &ConnectionChange,
) -> Result<(), StoreError> {
    match change {
        ConnectionChange::Create(c) => {
            let (unconfirmed_at, chosen_from, chosen_at) = waits(c.unconfirmed);
            tx.run(
                &CREATE,
                params![
                    c.id,
                    c.organization,
                    c.kind.as_str(),
                    c.name,
                    c.issuer,
                    c.client_id,
                    c.client_secret_sealed,
                    c.directory,
                    c.claims_directory,
                    c.jit_at,
                    c.groups_claim,
                    c.environment,
                    unconfirmed_at,
                    chosen_from,
                    chosen_at,
                    c.created_at,
                    to_json(&c.claim_rules)?,
                ],
            )?;
            route(tx, c)
        }
        ConnectionChange::Update(c) => {
            let (unconfirmed_at, chosen_from, chosen_at) = waits(c.unconfirmed);
            tx.run_on_row(
                &UPDATE,
                params![
                    c.id,
                    c.organization,
                    c.name,
                    c.issuer,
                    c.client_id,
                    c.client_secret_sealed,
                    c.directory,
                    c.claims_directory,
                    c.jit_at,
                    c.groups_claim,
                    c.environment,
                    unconfirmed_at,
                    chosen_from,
                    chosen_at,
                    to_json(&c.claim_rules)?,
                ],
            )?;
            tx.run(&DELETE_DOMAINS, params![c.id, c.organization])?;
            route(tx, c)
        }
        ConnectionChange::SetSaml(source) => saml::set(tx, source),
        ConnectionChange::PutCertificate(certificate) => saml::put_certificate(tx, certificate),
        ConnectionChange::PutKey(key) => saml::put_key(tx, key),
        ConnectionChange::SetOidc(source) => oidc::set(tx, source),
        ConnectionChange::PutClientKey(key) => oidc::put_key(tx, key),
        ConnectionChange::Delete(id) => {
            oidc::delete(tx, organization, *id)?;
            saml::delete(tx, organization, *id)?;
            for statement in [&REMEMBER_SUBJECTS, &REMEMBER_ISSUER_SUBJECTS, &DELETE_LINKS, &DELETE_DOMAINS] {
                tx.run(statement, params![id, organization])?;
            }
            tx.run(&DELETE, params![id, organization]).map(|_| ())
        }
    }
}

/// Carries out a change; the links that went with whoever had them.
pub(crate) fn apply_link(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &LinkChange,
) -> Result<Vec<(ConnectionId, String)>, StoreError> {
    match change {
        LinkChange::Create(link) => tx.insert(
            &CREATE_LINK,
            params![
                link.connection,
                link.subject,
                link.organization,
                link.membership,
                link.believed_up_to.number(),
                link.created_at,
                link.signed_by,
            ],
            UniqueKey::LinkSubject,
        )?,
        LinkChange::DeleteOf(membership) => {
            let rows = tx.rows(&DELETE_LINKS_OF, params![membership, organization])?;
            return rows.iter().map(|row| Ok((row.parsed(0)?, row.text(1)?.to_owned()))).collect();
        }
        LinkChange::Delete(connection, subject) => {
            delete_link(tx, organization, (*connection, subject))?;
        }
        LinkChange::GiveWay(connection, subject, to) => {
            if let Some(was) = delete_link(tx, organization, (*connection, subject))? {
                token::name_anew(tx, organization, (was, *connection), (subject, to))?;
            }
        }
        LinkChange::Believe(connection, subject, rank) => {
            tx.run(&BELIEVE_LINK, params![connection, subject, organization, rank.number()])?;
        }
    }
    Ok(Vec::new())
}

/// Deletes a link; whose it was, who keeps what it named them by.
fn delete_link(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (connection, subject): (ConnectionId, &str),
) -> Result<Option<MembershipId>, StoreError> {
    let Some(row) = tx.row(&DELETE_LINK, params![connection, subject, organization])? else {
        return Ok(None);
    };
    let was = row.parsed(0)?;
    tombstone::remember(tx, was, &Identifier::subject(connection, subject))?;
    tombstone::remember(tx, was, &Identifier::issuer_subject(subject))?;
    Ok(Some(was))
}

/// A connection of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: ConnectionId,
) -> Result<Option<Connection>, StoreError> {
    let rows = tx.rows(&FIND, params![organization, id])?;
    Ok(read_with_domains(tx, &rows)?.pop())
}

/// The connection that a sign-in URL names: such URLs carry nothing but its id.
///
/// # Errors
/// As [`find`].
pub fn find_by_id(tx: &mut Tx<'_>, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
    let rows = tx.rows(&FIND_BY_ID, params![id])?;
    Ok(read_with_domains(tx, &rows)?.pop())
}

/// The connections that an e-mail domain is routed to, of the organization that has proven it; 20 at most.
///
/// # Errors
/// As [`find`].
pub fn find_by_domain(tx: &mut Tx<'_>, domain: &str) -> Result<Vec<Connection>, StoreError> {
    let rows = tx.rows(&FIND_BY_DOMAIN, params![domain, MAX_OF_DOMAIN])?;
    read_with_domains(tx, &rows)
}

/// A page of connections in order of id, after `after`.
///
/// # Errors
/// As [`find`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Connection>, StoreError> {
    let rows = tx.rows(&LIST, params![organization, after.unwrap_or(""), limit])?;
    read_with_domains(tx, &rows)
}

/// Another connection of the organization by which the same people sign in to the same environment, if there is one: of
/// the same provider, and over OpenID as the same client. Over SAML each connection has an entity id of its own.
///
/// # Errors
/// As [`find`].
pub fn twin(tx: &mut Tx<'_>, of: &Connection) -> Result<Option<ConnectionId>, StoreError> {
    let kind = of.kind.as_str();
    let rows =
        tx.rows(&OF_ISSUER, params![of.organization, kind, of.issuer, of.environment, MAX_OF_ISSUER])?;
    for row in rows {
        let id: ConnectionId = row.parsed(0)?;
        let is_same_client = of.kind == ConnectionKind::Saml || row.text(1)? == of.client_id;
        if id != of.id && is_same_client {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The domains that are routed to a connection and that the organization has not proven, or has given up since: nobody is
/// led there by them.
///
/// # Errors
/// As [`find`].
pub fn unproven_domains(tx: &mut Tx<'_>, of: &Connection) -> Result<Vec<String>, StoreError> {
    let rows = tx.rows(&UNPROVEN_DOMAINS, params![of.organization, of.id, MAX_UNPROVEN])?;
    rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect()
}

/// The link of a connection's subject.
///
/// # Errors
/// As [`find`].
pub fn find_link(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    subject: &str,
) -> Result<Option<Link>, StoreError> {
    tx.row(&FIND_LINK, params![connection, subject])?.as_ref().map(read_link).transpose()
}

/// The links of a membership; 200 at most.
///
/// # Errors
/// As [`find`].
pub fn links_of(tx: &mut Tx<'_>, membership: MembershipId) -> Result<Vec<Link>, StoreError> {
    tx.rows(&LINKS_OF, params![membership, MAX_LINKS])?.iter().map(read_link).collect()
}

/// Links that would not be there without that certificate, 200 at most.
///
/// # Errors
/// As [`find`].
pub fn links_signed_by(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    fingerprint: &str,
) -> Result<Vec<Link>, StoreError> {
    let rows = tx.rows(&LINKS_SIGNED_BY, params![organization, fingerprint, MAX_LINKS])?;
    rows.iter().map(read_link).collect()
}

/// Somebody of that organization who is there and linked by that subject, at whichever connection.
///
/// # Errors
/// As [`find`].
pub fn linked_by_subject(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    subject: &str,
) -> Result<Option<MembershipId>, StoreError> {
    tx.row(&LINKED_BY_SUBJECT, params![organization, subject])?.map(|row| row.parsed(0)).transpose()
}

/// Whether somebody who stands above that rank is linked at a connection.
///
/// # Errors
/// As [`find`].
pub fn is_linked_above(
    tx: &mut Tx<'_>,
    (organization, connection): (OrganizationId, ConnectionId),
    rank: Rank,
) -> Result<bool, StoreError> {
    Ok(tx.row(&LINKED_ABOVE, params![organization, connection, rank.number()])?.is_some())
}

/// The first linked subjects of a connection from `from` on and before `to`, in byte order; `limit` at most.
///
/// # Errors
/// As [`find`].
pub fn first_subjects(
    tx: &mut Tx<'_>,
    (organization, connection): (OrganizationId, ConnectionId),
    (from, to): (&str, &str),
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = tx.rows(&FIRST_SUBJECTS, params![connection, organization, from, to, limit])?;
    rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect()
}
