//! Invitations as people see them: the link's token, whom it is for, and what they were invited to.
//!
//! They are tokens and memberships; nothing of their own is stored, so there is nothing here to apply.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{MembershipId, OrganizationId, TokenId};
use portcullis_domain::text::Slug;
use portcullis_domain::token::TokenEnd;

use crate::row::Row;
use crate::statement::Statement;
use crate::token::{Seen, read_seen, seen};
use crate::{StoreError, Tx, params};

/// The most links of one membership that are looked at: a new one ends those before it.
const MAX_LIVE: i64 = 10;

macro_rules! view {
    () => {
        "SELECT t.id, t.address_key, t.membership, m.role, t.shown_to, t.issued_at, t.expires_at, t.ended_at, \
         t.ended_because FROM tokens t JOIN memberships m ON m.id = t.membership \
         WHERE t.organization = $1 AND t.kind = 'invitation'"
    };
}

const FIND: Statement = Statement::read("invitation.find", concat!(view!(), " AND t.id = $2"));
const LIST: Statement =
    Statement::read("invitation.list", concat!(view!(), " AND t.id > $2 ORDER BY t.id LIMIT $3"));
const LIVE_OF: Statement = Statement::read(
    "invitation.live_of",
    concat!(
        "SELECT ",
        seen!(),
        " WHERE t.membership = $2 AND t.organization = $1 \
         AND t.kind IN ('invitation', 'owner_link') AND t.ended_at IS NULL AND t.expires_at > $3 LIMIT $4"
    ),
);

/// The statements about invitations.
pub(crate) const ALL: &[&Statement] = &[&FIND, &LIST, &LIVE_OF];

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The id of its token.
    pub id: TokenId,
    /// The address that it is for.
    pub email: String,
    /// The membership that waits.
    pub membership: MembershipId,
    /// The role that it was invited to.
    pub role: Option<Slug>,
    /// The member who invited; `None` for the root token.
    pub invited_by: Option<MembershipId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it runs out.
    pub expires_at: Option<Timestamp>,
    /// When it ended, and why.
    pub ended: Option<(Timestamp, TokenEnd)>,
}

fn read(row: &Row) -> Result<Invitation, StoreError> {
    let ended = match row.opt_at(7)? {
        Some(at) => Some((at, row.parsed(8)?)),
        None => None,
    };
    Ok(Invitation {
        id: row.parsed(0)?,
        email: row.opt_text(1)?.unwrap_or_default().to_owned(),
        membership: row.parsed(2)?,
        role: row.opt_parsed(3)?,
        invited_by: row.opt_parsed(4)?,
        created_at: row.at(5)?,
        expires_at: row.opt_at(6)?,
        ended,
    })
}

/// An invitation of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: TokenId,
) -> Result<Option<Invitation>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// A page of invitations in order of id, after `after`.
///
/// # Errors
/// As [`find`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: &str,
    limit: i64,
) -> Result<Vec<Invitation>, StoreError> {
    tx.rows(&LIST, params![organization, after, limit])?.iter().map(read).collect()
}

/// The links by which somebody may come in now, ten at most: who saw the secret of each.
///
/// # Errors
/// As [`find`].
pub fn live_of(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    membership: MembershipId,
    now: Timestamp,
) -> Result<Vec<Seen>, StoreError> {
    let rows = tx.rows(&LIVE_OF, params![organization, membership, now, MAX_LIVE])?;
    rows.iter().map(|row| read_seen(row, 0)).collect()
}
