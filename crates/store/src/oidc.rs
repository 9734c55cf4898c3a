//! Connections of OpenID: what is set of each, and our keys there.
//!
//! All of it is a change, because what is asked of a person's authentication decides who comes in. What follows a sign-in
//! around is a note: [`crate::oidc_session`].

use portcullis_domain::id::{ConnectionId, OrganizationId};
use portcullis_domain::oidc::{ClientCertificate, ClientKey, OidcSource};

use crate::row::{Row, to_json};
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// The most keys of one connection that are read, retired ones among them.
pub const MAX_KEYS: i64 = 64;

macro_rules! key_columns {
    () => {
        "connection, organization, kid, alg, public, private_sealed, state, created_at, certificate, not_after"
    };
}

const SET: Statement = Statement::change(
    "oidc.set",
    "INSERT INTO oidc_sources (connection, organization, settings, updated_at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (connection) DO UPDATE SET settings = $3, updated_at = $4 WHERE oidc_sources.organization = $2",
);
const PUT_KEY: Statement = Statement::change(
    "oidc.put_key",
    concat!(
        "INSERT INTO client_keys (",
        key_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (connection, kid) DO UPDATE SET private_sealed = $6, state = $7 \
         WHERE client_keys.organization = $2"
    ),
);
const DELETE: Statement =
    Statement::change("oidc.delete", "DELETE FROM oidc_sources WHERE connection = $1 AND organization = $2");
const DELETE_KEYS: Statement = Statement::change(
    "oidc.delete_keys",
    "DELETE FROM client_keys WHERE connection = $1 AND organization = $2",
);
const SOURCE: Statement = Statement::read(
    "oidc.source",
    "SELECT connection, organization, settings, updated_at FROM oidc_sources \
     WHERE connection = $1 AND organization = $2",
);
const KEYS: Statement = Statement::read(
    "oidc.keys",
    concat!(
        "SELECT ",
        key_columns!(),
        " FROM client_keys WHERE connection = $1 AND organization = $2 ORDER BY created_at, kid LIMIT $3"
    ),
);

pub(crate) const ALL: &[&Statement] = &[&SET, &PUT_KEY, &DELETE, &DELETE_KEYS, &SOURCE, &KEYS];

fn read_source(row: &Row) -> Result<OidcSource, StoreError> {
    Ok(OidcSource {
        connection: row.parsed(0)?,
        organization: row.parsed(1)?,
        settings: row.json(2)?,
        updated_at: row.at(3)?,
    })
}

fn read_key(row: &Row) -> Result<ClientKey, StoreError> {
    Ok(ClientKey {
        connection: row.parsed(0)?,
        organization: row.parsed(1)?,
        kid: row.text(2)?.to_owned(),
        alg: row.parsed(3)?,
        public: row.text(4)?.to_owned(),
        private_sealed: row.text(5)?.to_owned(),
        state: row.parsed(6)?,
        created_at: row.at(7)?,
        certificate: read_certificate(row)?,
    })
}

fn read_certificate(row: &Row) -> Result<Option<ClientCertificate>, StoreError> {
    match (row.opt_text(8)?, row.opt_at(9)?) {
        (Some(der), Some(not_after)) => Ok(Some(ClientCertificate { der: der.to_owned(), not_after })),
        (None, None) => Ok(None),
        _ => Err(StoreError::Inconsistent("client_keys: half a certificate".into())),
    }
}

pub(crate) fn set(tx: &mut Tx<'_>, source: &OidcSource) -> Result<(), StoreError> {
    let settings = to_json(&source.settings)?;
    tx.run(&SET, params![source.connection, source.organization, settings, source.updated_at]).map(|_| ())
}

pub(crate) fn put_key(tx: &mut Tx<'_>, key: &ClientKey) -> Result<(), StoreError> {
    tx.run(
        &PUT_KEY,
        params![
            key.connection,
            key.organization,
            key.kid,
            key.alg.as_str(),
            key.public,
            key.private_sealed,
            key.state.as_str(),
            key.created_at,
            key.certificate.as_ref().map(|c| c.der.clone()),
            key.certificate.as_ref().map(|c| c.not_after),
        ],
    )
    .map(|_| ())
}

pub(crate) fn delete(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    connection: ConnectionId,
) -> Result<(), StoreError> {
    for statement in [&DELETE, &DELETE_KEYS] {
        tx.run(statement, params![connection, organization])?;
    }
    Ok(())
}

/// What is set of a connection of that organization, if anything was.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn source(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    connection: ConnectionId,
) -> Result<Option<OidcSource>, StoreError> {
    tx.row(&SOURCE, params![connection, organization])?.as_ref().map(read_source).transpose()
}

/// Our keys at a connection, whatever their state, the oldest first.
///
/// # Errors
/// As [`source`].
pub fn keys(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    connection: ConnectionId,
) -> Result<Vec<ClientKey>, StoreError> {
    tx.rows(&KEYS, params![connection, organization, MAX_KEYS])?.iter().map(read_key).collect()
}
