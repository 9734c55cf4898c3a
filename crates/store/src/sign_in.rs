//! Sign-ins under way: what a browser must bring back from its provider. Each is good for one use.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{ConnectionId, MembershipId, SignInId};

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, UniqueKey, params};

macro_rules! columns {
    () => {
        "id, connection, state_hash, browser_hash, nonce, verifier_sealed, return_to, linking, created_at, expires_at, \
         provider_hash"
    };
}

const INSERT: Statement = Statement::note(
    "sign_in.insert",
    concat!(
        "INSERT INTO sign_ins (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING id"
    ),
);
const FIND: Statement = Statement::read(
    "sign_in.find",
    concat!("SELECT ", columns!(), " FROM sign_ins WHERE connection = $1 AND state_hash = $2"),
);
const TAKE: Statement = Statement::note(
    "sign_in.take",
    concat!("DELETE FROM sign_ins WHERE connection = $1 AND state_hash = $2 RETURNING ", columns!()),
);
const DELETE_EXPIRED: Statement = Statement::note(
    "sign_in.delete_expired",
    "DELETE FROM sign_ins WHERE id IN \
     (SELECT id FROM sign_ins WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
);

/// The statements about sign-ins under way.
pub(crate) const ALL: &[&Statement] = &[&INSERT, &FIND, &TAKE, &DELETE_EXPIRED];

/// A sign-in that left for its provider.
#[derive(Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Its id.
    pub id: SignInId,
    /// The connection that it left by.
    pub connection: ConnectionId,
    /// The hash of its `state` parameter.
    pub state_hash: String,
    /// The hash of the cookie that binds it to a browser.
    pub browser_hash: String,
    /// The nonce that the ID token must carry.
    pub nonce: String,
    /// The PKCE verifier (RFC 7636), sealed.
    pub verifier_sealed: String,
    /// Where the browser goes afterwards, a path of ours.
    pub return_to: String,
    /// The membership that links a new subject from its own session.
    pub linking: Option<MembershipId>,
    /// When it left.
    pub created_at: Timestamp,
    /// When it is too late to come back.
    pub expires_at: Timestamp,
    /// The hash of the provider that it was sent to, and of who we are there.
    pub provider_hash: String,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn")
            .field("id", &self.id)
            .field("connection", &self.connection)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

fn read(row: &Row) -> Result<SignIn, StoreError> {
    Ok(SignIn {
        id: row.parsed(0)?,
        connection: row.parsed(1)?,
        state_hash: row.text(2)?.to_owned(),
        browser_hash: row.text(3)?.to_owned(),
        nonce: row.text(4)?.to_owned(),
        verifier_sealed: row.text(5)?.to_owned(),
        return_to: row.text(6)?.to_owned(),
        linking: row.opt_parsed(7)?,
        created_at: row.at(8)?,
        expires_at: row.at(9)?,
        provider_hash: row.text(10)?.to_owned(),
    })
}

/// Keeps a sign-in that leaves for its provider.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here. [`StoreError::Taken`] if its
/// state was used before.
pub fn insert(tx: &mut Tx<'_>, sign_in: &SignIn) -> Result<(), StoreError> {
    tx.insert(
        &INSERT,
        params![
            sign_in.id,
            sign_in.connection,
            sign_in.state_hash,
            sign_in.browser_hash,
            sign_in.nonce,
            sign_in.verifier_sealed,
            sign_in.return_to,
            sign_in.linking,
            sign_in.created_at,
            sign_in.expires_at,
            sign_in.provider_hash,
        ],
        UniqueKey::SignInState,
    )
}

/// The sign-in of that state, which stays good.
///
/// # Errors
/// As [`insert`].
pub fn find(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    state_hash: &str,
) -> Result<Option<SignIn>, StoreError> {
    tx.row(&FIND, params![connection, state_hash])?.as_ref().map(read).transpose()
}

/// Takes the sign-in of that state out: nobody can take it again. Whether it is too late is the caller's to judge.
///
/// # Errors
/// As [`insert`].
pub fn take(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    state_hash: &str,
) -> Result<Option<SignIn>, StoreError> {
    tx.row(&TAKE, params![connection, state_hash])?.as_ref().map(read).transpose()
}

/// Forgets sign-ins that can no longer come back, `limit` at most; how many were forgotten.
///
/// # Errors
/// As [`insert`].
pub fn delete_expired(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.run(&DELETE_EXPIRED, params![now, limit])
}
