//! Connections of SAML: the provider that each believes, its certificates, and our keys.
//!
//! All of it is a change, because whose signature counts decides who comes in. What follows a sign-in around (replays,
//! sessions, refreshes) is a note: [`crate::saml_refresh`], [`crate::saml_session`].

use portcullis_domain::Timestamp;
use portcullis_domain::id::{ConnectionId, OrganizationId};
use portcullis_domain::saml::{SamlCertificate, SamlKey, SamlSource};

use crate::row::{Row, to_json};
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// The most certificates of one connection that are read, retired ones among them.
pub const MAX_CERTIFICATES: i64 = 64;
/// The most keys of one connection that are read, retired ones among them.
pub const MAX_KEYS: i64 = 64;

macro_rules! source_columns {
    () => {
        "SELECT connection, organization, metadata_url, provider, settings, updated_at FROM saml_sources"
    };
}

macro_rules! certificate_columns {
    () => {
        "connection, organization, fingerprint, der, state, not_before, not_after, seen_at, decided_at"
    };
}

macro_rules! key_columns {
    () => {
        "connection, organization, fingerprint, certificate, private_sealed, state, not_after, created_at"
    };
}

const SET: Statement = Statement::change(
    "saml.set",
    "INSERT INTO saml_sources (connection, organization, metadata_url, provider, settings, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (connection) DO UPDATE SET metadata_url = $3, provider = $4, \
     settings = $5, updated_at = $6 WHERE saml_sources.organization = $2",
);
const PUT_CERTIFICATE: Statement = Statement::change(
    "saml.put_certificate",
    concat!(
        "INSERT INTO saml_certificates (",
        certificate_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (connection, fingerprint) DO UPDATE SET state = $5, decided_at = $9 \
         WHERE saml_certificates.organization = $2"
    ),
);
const PUT_KEY: Statement = Statement::change(
    "saml.put_key",
    concat!(
        "INSERT INTO saml_keys (",
        key_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (connection, fingerprint) DO UPDATE SET private_sealed = $5, state = $6 \
         WHERE saml_keys.organization = $2"
    ),
);
const DELETE: Statement =
    Statement::change("saml.delete", "DELETE FROM saml_sources WHERE connection = $1 AND organization = $2");
const DELETE_CERTIFICATES: Statement = Statement::change(
    "saml.delete_certificates",
    "DELETE FROM saml_certificates WHERE connection = $1 AND organization = $2",
);
const DELETE_KEYS: Statement = Statement::change(
    "saml.delete_keys",
    "DELETE FROM saml_keys WHERE connection = $1 AND organization = $2",
);
const SOURCE: Statement = Statement::read(
    "saml.source",
    concat!(source_columns!(), " WHERE connection = $1 AND organization = $2"),
);
const CERTIFICATES: Statement = Statement::read(
    "saml.certificates",
    concat!(
        "SELECT ",
        certificate_columns!(),
        " FROM saml_certificates WHERE connection = $1 AND organization = $2 ORDER BY fingerprint LIMIT $3"
    ),
);
const TRUSTED_ELSEWHERE: Statement = Statement::read(
    "saml.trusted_elsewhere",
    "SELECT s.connection FROM connections c JOIN saml_certificates s ON s.connection = c.id AND s.fingerprint = $2 \
     WHERE c.organization = $1 AND s.organization = $1 AND s.state IN ('trusted', 'offered', 'former') AND c.id <> $3 ORDER BY c.id LIMIT $4",
);
const KEYS: Statement = Statement::read(
    "saml.keys",
    concat!(
        "SELECT ",
        key_columns!(),
        " FROM saml_keys WHERE connection = $1 AND organization = $2 ORDER BY created_at, fingerprint LIMIT $3"
    ),
);
const EXPIRING_CERTIFICATES: Statement = Statement::read(
    "saml.expiring_certificates",
    "SELECT connection, organization, fingerprint, not_after FROM saml_certificates \
     WHERE state = 'trusted' AND not_after < $1 ORDER BY not_after, fingerprint LIMIT $2",
);
const EXPIRING_KEYS: Statement = Statement::read(
    "saml.expiring_keys",
    "SELECT connection, organization, fingerprint, not_after FROM saml_keys \
     WHERE state <> 'retired' AND not_after < $1 ORDER BY not_after, fingerprint LIMIT $2",
);

pub(crate) const ALL: &[&Statement] = &[
    &SET,
    &PUT_CERTIFICATE,
    &PUT_KEY,
    &DELETE,
    &DELETE_CERTIFICATES,
    &DELETE_KEYS,
    &SOURCE,
    &CERTIFICATES,
    &TRUSTED_ELSEWHERE,
    &KEYS,
    &EXPIRING_CERTIFICATES,
    &EXPIRING_KEYS,
];

/// Whose certificate runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Whose {
    /// The provider's: what it signs with.
    Provider,
    /// Ours.
    Ours,
}

impl Whose {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Provider, Self::Ours];

    /// The text in metrics and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Ours => "ours",
        }
    }
}

/// A certificate that is in use and runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    /// Whose it is.
    pub whose: Whose,
    /// The connection.
    pub connection: ConnectionId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its fingerprint.
    pub fingerprint: String,
    /// When.
    pub not_after: Timestamp,
}

fn read_source(row: &Row) -> Result<SamlSource, StoreError> {
    Ok(SamlSource {
        connection: row.parsed(0)?,
        organization: row.parsed(1)?,
        metadata_url: row.opt_text(2)?.map(str::to_owned),
        provider: row.json(3)?,
        settings: row.json(4)?,
        updated_at: row.at(5)?,
    })
}

fn read_certificate(row: &Row) -> Result<SamlCertificate, StoreError> {
    Ok(SamlCertificate {
        connection: row.parsed(0)?,
        organization: row.parsed(1)?,
        fingerprint: row.text(2)?.to_owned(),
        der: row.text(3)?.to_owned(),
        state: row.parsed(4)?,
        not_before: row.at(5)?,
        not_after: row.at(6)?,
        seen_at: row.at(7)?,
        decided_at: row.at(8)?,
    })
}

fn read_key(row: &Row) -> Result<SamlKey, StoreError> {
    Ok(SamlKey {
        connection: row.parsed(0)?,
        organization: row.parsed(1)?,
        fingerprint: row.text(2)?.to_owned(),
        certificate: row.text(3)?.to_owned(),
        private_sealed: row.text(4)?.to_owned(),
        state: row.parsed(5)?,
        not_after: row.at(6)?,
        created_at: row.at(7)?,
    })
}

pub(crate) fn set(tx: &mut Tx<'_>, source: &SamlSource) -> Result<(), StoreError> {
    tx.run(
        &SET,
        params![
            source.connection,
            source.organization,
            source.metadata_url,
            to_json(&source.provider)?,
            to_json(&source.settings)?,
            source.updated_at,
        ],
    )
    .map(|_| ())
}

pub(crate) fn put_certificate(tx: &mut Tx<'_>, certificate: &SamlCertificate) -> Result<(), StoreError> {
    tx.run(
        &PUT_CERTIFICATE,
        params![
            certificate.connection,
            certificate.organization,
            certificate.fingerprint,
            certificate.der,
            certificate.state.as_str(),
            certificate.not_before,
            certificate.not_after,
            certificate.seen_at,
            certificate.decided_at,
        ],
    )
    .map(|_| ())
}

pub(crate) fn put_key(tx: &mut Tx<'_>, key: &SamlKey) -> Result<(), StoreError> {
    tx.run(
        &PUT_KEY,
        params![
            key.connection,
            key.organization,
            key.fingerprint,
            key.certificate,
            key.private_sealed,
            key.state.as_str(),
            key.not_after,
            key.created_at,
        ],
    )
    .map(|_| ())
}

pub(crate) fn delete(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    connection: ConnectionId,
) -> Result<(), StoreError> {
    for statement in [&DELETE, &DELETE_CERTIFICATES, &DELETE_KEYS] {
        tx.run(statement, params![connection, organization])?;
    }
    Ok(())
}

/// What a connection of that organization believes, if it is one of SAML.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn source(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    connection: ConnectionId,
) -> Result<Option<SamlSource>, StoreError> {
    tx.row(&SOURCE, params![connection, organization])?.as_ref().map(read_source).transpose()
}

/// The certificates of a connection's provider, whatever their state.
///
/// # Errors
/// As [`source`].
pub fn certificates(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    connection: ConnectionId,
) -> Result<Vec<SamlCertificate>, StoreError> {
    let rows = tx.rows(&CERTIFICATES, params![connection, organization, MAX_CERTIFICATES])?;
    rows.iter().map(read_certificate).collect()
}

/// The other connections of an organization where the certificate of that fingerprint counts, `limit` at most.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn trusted_elsewhere(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (but, fingerprint): (ConnectionId, &str),
    limit: i64,
) -> Result<Vec<ConnectionId>, StoreError> {
    let rows = tx.rows(&TRUSTED_ELSEWHERE, params![organization, fingerprint, but, limit])?;
    rows.iter().map(|row| row.parsed(0)).collect()
}

/// Our keys at a connection, whatever their state, the oldest first.
///
/// # Errors
/// As [`source`].
pub fn keys(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    connection: ConnectionId,
) -> Result<Vec<SamlKey>, StoreError> {
    tx.rows(&KEYS, params![connection, organization, MAX_KEYS])?.iter().map(read_key).collect()
}

/// Certificates in use, of every organization, that run out before an instant: the first `max`, soonest first, of each
/// side.
///
/// # Errors
/// As [`source`].
pub fn expiring(tx: &mut Tx<'_>, before: Timestamp, max: i64) -> Result<Vec<Expiring>, StoreError> {
    let mut found = Vec::new();
    for whose in Whose::BOTH {
        let statement = match whose {
            Whose::Provider => &EXPIRING_CERTIFICATES,
            Whose::Ours => &EXPIRING_KEYS,
        };
        for row in tx.rows(statement, params![before, max])? {
            found.push(Expiring {
                whose,
                connection: row.parsed(0)?,
                organization: row.parsed(1)?,
                fingerprint: row.text(2)?.to_owned(),
                not_after: row.at(3)?,
            });
        }
    }
    Ok(found)
}
