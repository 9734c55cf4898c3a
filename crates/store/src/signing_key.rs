//! Keys that sign receipts and heads of the audit log, one organization's each. The private part is sealed.

use portcullis_domain::Timestamp;
use portcullis_domain::id::OrganizationId;

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, UniqueKey, params};

/// The most keys of one organization that are published.
const MAX_PUBLISHED: i64 = 100;

const INSERT: Statement = Statement::note(
    "signing_key.insert",
    "INSERT INTO signing_keys (kid, organization, public_key, private_sealed, created_at, retired_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING kid",
);
const CURRENT: Statement = Statement::read(
    "signing_key.current",
    "SELECT kid, organization, public_key, private_sealed, created_at, retired_at FROM signing_keys \
     WHERE organization = $1 AND retired_at IS NULL ORDER BY created_at DESC, kid DESC LIMIT 1",
);
const PUBLISHED: Statement = Statement::read(
    "signing_key.list_public",
    "SELECT kid, public_key, created_at, retired_at FROM signing_keys WHERE organization = $1 \
     ORDER BY created_at DESC, kid DESC LIMIT $2",
);

/// The statements about signing keys.
pub(crate) const ALL: &[&Statement] = &[&INSERT, &CURRENT, &PUBLISHED];

/// A key that signs.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name in signatures (RFC 7517 §4.5).
    pub kid: String,
    /// The organization.
    pub organization: OrganizationId,
    /// The public part, as text.
    pub public_key: String,
    /// The private part, sealed with the key outside the database.
    pub private_sealed: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it signs nothing new.
    pub retired_at: Option<Timestamp>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// What everybody may know of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name in signatures.
    pub kid: String,
    /// The public part, as text.
    pub public_key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it signs nothing new.
    pub retired_at: Option<Timestamp>,
}

fn read(row: &Row) -> Result<SigningKey, StoreError> {
    Ok(SigningKey {
        kid: row.text(0)?.to_owned(),
        organization: row.parsed(1)?,
        public_key: row.text(2)?.to_owned(),
        private_sealed: row.text(3)?.to_owned(),
        created_at: row.at(4)?,
        retired_at: row.opt_at(5)?,
    })
}

fn read_public(row: &Row) -> Result<PublicKey, StoreError> {
    Ok(PublicKey {
        kid: row.text(0)?.to_owned(),
        public_key: row.text(1)?.to_owned(),
        created_at: row.at(2)?,
        retired_at: row.opt_at(3)?,
    })
}

/// Keeps a new key.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here. [`StoreError::Taken`] if its name
/// is not new.
pub fn insert(tx: &mut Tx<'_>, key: &SigningKey) -> Result<(), StoreError> {
    tx.insert(
        &INSERT,
        params![
            key.kid,
            key.organization,
            key.public_key,
            key.private_sealed,
            key.created_at,
            key.retired_at,
        ],
        UniqueKey::SigningKeyKid,
    )
}

/// The key that an organization signs with now.
///
/// # Errors
/// As [`insert`].
pub fn current(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<Option<SigningKey>, StoreError> {
    tx.row(&CURRENT, params![organization])?.as_ref().map(read).transpose()
}

/// Every key that an organization signed with, newest first; 100 at most.
///
/// # Errors
/// As [`insert`].
pub fn list_public(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<Vec<PublicKey>, StoreError> {
    tx.rows(&PUBLISHED, params![organization, MAX_PUBLISHED])?.iter().map(read_public).collect()
}
