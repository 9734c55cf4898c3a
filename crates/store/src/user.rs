//! Users, and what they prove themselves with.
//!
//! Users belong to no organization, so these are the only statements about people that are scoped by none.

use portcullis_domain::Timestamp;
use portcullis_domain::change::UserChange;
use portcullis_domain::id::{MembershipId, OrganizationId, UserId};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::user::{AuthenticatorKind, User};

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// The most living memberships of one user that are read: nobody chooses among more organizations.
const MAX_MEMBERSHIPS: i64 = 200;
/// The most authenticators of one address that are read, the oldest first, so that no newcomer takes an older one's place:
/// there is one for each organization that invited the address apart from the others.
const MAX_AT_ADDRESS: i64 = 200;

const CREATE: Statement =
    Statement::change("user.create", "INSERT INTO users (id, created_at) VALUES ($1, $2)");
const END: Statement =
    Statement::change("user.end", "UPDATE users SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL");
const REVIVE: Statement = Statement::change("user.revive", "UPDATE users SET ended_at = NULL WHERE id = $1");
const DELETE_AUTHENTICATORS: Statement =
    Statement::change("user.delete_authenticators", "DELETE FROM authenticators WHERE user_id = $1");
const DELETE_AUTHENTICATOR: Statement = Statement::change(
    "user.delete_authenticator",
    "DELETE FROM authenticators WHERE user_id = $1 AND kind = $2",
);
const INSERT_AUTHENTICATOR: Statement = Statement::change(
    "user.insert_authenticator",
    "INSERT INTO authenticators (user_id, kind, email_key, secret, created_at) VALUES ($1, $2, $3, $4, $5)",
);
const FIND: Statement =
    Statement::read("user.find", "SELECT id, created_at, ended_at FROM users WHERE id = $1");
const LOCK: Statement = Statement::read("user.lock", "SELECT id FROM users WHERE id = $1 FOR UPDATE");
const AUTHENTICATORS_BY_EMAIL: Statement = Statement::read(
    "user.authenticators_by_email",
    "SELECT a.user_id, a.kind, a.email_key, a.secret, a.created_at FROM authenticators a \
     JOIN users u ON u.id = a.user_id WHERE a.email_key = $1 AND u.ended_at IS NULL \
     ORDER BY a.created_at, a.user_id LIMIT $2",
);
const AUTHENTICATORS_OF: Statement = Statement::read(
    "user.authenticators_of",
    "SELECT user_id, kind, email_key, secret, created_at FROM authenticators WHERE user_id = $1 ORDER BY kind",
);
const MEMBERSHIPS_OF: Statement = Statement::read(
    "user.memberships_of",
    "SELECT m.organization, m.id, m.state FROM memberships m JOIN organizations o ON o.id = m.organization \
     WHERE m.user_id = $1 AND m.ended_at IS NULL AND o.deleted_at IS NULL ORDER BY m.id LIMIT $2",
);

/// The statements about users.
pub(crate) const ALL: &[&Statement] = &[
    &CREATE,
    &END,
    &REVIVE,
    &DELETE_AUTHENTICATORS,
    &DELETE_AUTHENTICATOR,
    &INSERT_AUTHENTICATOR,
    &FIND,
    &LOCK,
    &AUTHENTICATORS_BY_EMAIL,
    &AUTHENTICATORS_OF,
    &MEMBERSHIPS_OF,
];

/// What a user proves themselves with.
#[derive(Clone, PartialEq, Eq)]
pub struct Authenticator {
    /// Whose it is.
    pub user: UserId,
    /// Its kind.
    pub kind: AuthenticatorKind,
    /// The address that it goes with.
    pub email_key: String,
    /// The hash that is kept.
    pub secret: String,
    /// When it was set.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator")
            .field("user", &self.user)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// One of a user's memberships.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipOfUser {
    /// The organization.
    pub organization: OrganizationId,
    /// The membership.
    pub membership: MembershipId,
    /// The state that was stored last.
    pub state: MembershipState,
}

fn read_authenticator(row: &Row) -> Result<Authenticator, StoreError> {
    Ok(Authenticator {
        user: row.parsed(0)?,
        kind: row.parsed(1)?,
        email_key: row.text(2)?.to_owned(),
        secret: row.text(3)?.to_owned(),
        created_at: row.at(4)?,
    })
}

pub(crate) fn apply(tx: &mut Tx<'_>, change: &UserChange) -> Result<(), StoreError> {
    match change {
        UserChange::Create(user) => tx.run(&CREATE, params![user.id, user.created_at]).map(|_| ()),
        UserChange::End(id, at) => {
            tx.run(&DELETE_AUTHENTICATORS, params![id])?;
            tx.run(&END, params![id, at]).map(|_| ())
        }
        UserChange::Revive(id) => tx.run_on_row(&REVIVE, params![id]),
        UserChange::SetAuthenticator { user, kind, secret, email_key, at } => {
            tx.run(&DELETE_AUTHENTICATOR, params![user, kind.as_str()])?;
            tx.run(&INSERT_AUTHENTICATOR, params![user, kind.as_str(), email_key, secret, at]).map(|_| ())
        }
    }
}

/// A user, ended ones too.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(tx: &mut Tx<'_>, id: UserId) -> Result<Option<User>, StoreError> {
    let Some(row) = tx.row(&FIND, params![id])? else { return Ok(None) };
    Ok(Some(User { id: row.parsed(0)?, created_at: row.at(1)?, ended_at: row.opt_at(2)? }))
}

/// The same, locked until the end of the transaction: their memberships are counted after this, and nobody who counts
/// them or adds one does so meanwhile. Users are locked after memberships.
///
/// # Errors
/// As [`find`].
pub fn find_locked(tx: &mut Tx<'_>, id: UserId) -> Result<Option<User>, StoreError> {
    tx.lock_rows(&LOCK, params![id])?;
    find(tx, id)
}

/// The authenticators that go with that address, of users who have not ended, the oldest first; 200 at most. An address
/// belongs to no user: several organizations may each have invited it.
///
/// # Errors
/// As [`find`].
pub fn authenticators_at(tx: &mut Tx<'_>, email_key: &str) -> Result<Vec<Authenticator>, StoreError> {
    tx.rows(&AUTHENTICATORS_BY_EMAIL, params![email_key, MAX_AT_ADDRESS])?
        .iter()
        .map(read_authenticator)
        .collect()
}

/// A user's authenticators, one of a kind at most.
///
/// # Errors
/// As [`find`].
pub fn authenticators_of(tx: &mut Tx<'_>, user: UserId) -> Result<Vec<Authenticator>, StoreError> {
    tx.rows(&AUTHENTICATORS_OF, params![user])?.iter().map(read_authenticator).collect()
}

/// A user's memberships that have not ended, in organizations that were not deleted, in order of id; 200 at most. However many
/// have ended, whoever made them, they hide none.
///
/// # Errors
/// As [`find`].
pub fn memberships_of(tx: &mut Tx<'_>, user: UserId) -> Result<Vec<MembershipOfUser>, StoreError> {
    tx.rows(&MEMBERSHIPS_OF, params![user, MAX_MEMBERSHIPS])?
        .iter()
        .map(|row| {
            Ok(MembershipOfUser {
                organization: row.parsed(0)?,
                membership: row.parsed(1)?,
                state: row.parsed(2)?,
            })
        })
        .collect()
}
