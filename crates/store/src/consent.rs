//! Consents under way: what an administrator's browser must bring back from Google. Each is good for one use, and only
//! in the browser that left: whoever else opens the way back uses nothing up.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{DirectoryId, MembershipId};

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, UniqueKey, params};

macro_rules! columns {
    () => {
        "state_hash, browser_hash, directory, membership, client_id, nonce, verifier_sealed, created_at, expires_at"
    };
}

const INSERT: Statement = Statement::note(
    "consent.insert",
    concat!(
        "INSERT INTO consents (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING state_hash"
    ),
);
const TAKE: Statement = Statement::note(
    "consent.take",
    concat!("DELETE FROM consents WHERE state_hash = $1 AND browser_hash = $2 RETURNING ", columns!()),
);
const DELETE_EXPIRED: Statement = Statement::note(
    "consent.delete_expired",
    "DELETE FROM consents WHERE state_hash IN \
     (SELECT state_hash FROM consents WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
);

/// The statements about consents under way.
pub(crate) const ALL: &[&Statement] = &[&INSERT, &TAKE, &DELETE_EXPIRED];

/// A consent that is asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentBegun {
    /// The hash of its `state` parameter.
    pub state_hash: String,
    /// The hash of the cookie that binds it to a browser.
    pub browser_hash: String,
    /// The directory that the consent is for.
    pub directory: DirectoryId,
    /// The member who asks for it.
    pub membership: MembershipId,
    /// The OAuth client by which it is asked for.
    pub client_id: String,
    /// The nonce that the ID token must carry.
    pub nonce: String,
    /// The PKCE verifier (RFC 7636), sealed.
    pub verifier_sealed: String,
    /// When the browser left.
    pub created_at: Timestamp,
    /// When it is too late to come back.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for ConsentBegun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsentBegun")
            .field("directory", &self.directory)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

fn read(row: &Row) -> Result<ConsentBegun, StoreError> {
    Ok(ConsentBegun {
        state_hash: row.text(0)?.to_owned(),
        browser_hash: row.text(1)?.to_owned(),
        directory: row.parsed(2)?,
        membership: row.parsed(3)?,
        client_id: row.text(4)?.to_owned(),
        nonce: row.text(5)?.to_owned(),
        verifier_sealed: row.text(6)?.to_owned(),
        created_at: row.at(7)?,
        expires_at: row.at(8)?,
    })
}

/// Keeps a consent that is asked for.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here. [`StoreError::Taken`] if its
/// state is taken.
pub fn insert(tx: &mut Tx<'_>, begun: &ConsentBegun) -> Result<(), StoreError> {
    let written = tx.row(
        &INSERT,
        params![
            begun.state_hash,
            begun.browser_hash,
            begun.directory,
            begun.membership,
            begun.client_id,
            begun.nonce,
            begun.verifier_sealed,
            begun.created_at,
            begun.expires_at,
        ],
    )?;
    written.map(|_| ()).ok_or(StoreError::Taken(UniqueKey::ConsentState))
}

/// Takes a consent out, if it was begun in that browser: it cannot be used again.
///
/// # Errors
/// As [`insert`].
pub fn take(
    tx: &mut Tx<'_>,
    state_hash: &str,
    browser_hash: &str,
) -> Result<Option<ConsentBegun>, StoreError> {
    tx.row(&TAKE, params![state_hash, browser_hash])?.as_ref().map(read).transpose()
}

/// Forgets consents that came too late, `limit` at most.
///
/// # Errors
/// As [`insert`].
pub fn delete_expired(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<(), StoreError> {
    tx.run(&DELETE_EXPIRED, params![now, limit]).map(|_| ())
}
