//! The look-up behind every check: one indexed row set for a presented secret.
//!
//! It joins the active membership (and the agent, and its owner, and whoever the secret was shown to, and whoever has the
//! key by which it was issued, and the connection by which whoever issued it came), so that a row which somebody forgot to
//! end does not let anybody in: the second lock of off-boarding.

use portcullis_domain::evaluation::{Bearer, BearerAgent, BearerMember, BearerShownTo};
use portcullis_domain::id::MembershipId;
use portcullis_domain::role::{Giving, Rank};
use portcullis_domain::secret::SecretHash;

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

const FIND: Statement = Statement::read(
    "bearer.find",
    "SELECT t.id, t.kind, t.name, t.organization, o.slug, o.rules_number, t.environment, t.scopes, t.holder, \
     t.issued_at, t.expires_at, t.max_idle_s, s.last_used_at, t.ended_at, \
     m.id, m.user_id, m.email, m.name, m.state, m.role, r.rank, r.permissions, m.teams, m.environments, m.until, \
     m.rules_number, a.id, a.name, a.state, w.id, w.state, w.until, w.rules_number, v.rank, \
     k.id, k.state, k.until, k.rules_number, x.rank, r.explicit_only_at, \
     CASE WHEN t.connection IS NOT NULL OR (t.kind = 'session' AND m.believed_up_to < 1000) THEN t.id \
     WHEN p.connection IS NOT NULL OR p.kind = 'session' THEN p.id END, c.unconfirmed_at, \
     CASE WHEN t.kind = 'session' AND t.connection IS NULL THEN m.believed_up_to \
     WHEN p.kind = 'session' AND p.connection IS NULL THEN k.believed_up_to END \
     FROM tokens t \
     JOIN organizations o ON o.id = t.organization AND o.deleted_at IS NULL \
     LEFT JOIN token_uses s ON s.token = t.id \
     LEFT JOIN agents a ON a.id = t.agent AND a.organization = t.organization \
     LEFT JOIN memberships m ON m.id = COALESCE(t.membership, a.owner) AND m.organization = t.organization \
     LEFT JOIN memberships w ON w.id = t.shown_to AND w.organization = t.organization \
     LEFT JOIN tokens p ON p.id = t.parent AND p.organization = t.organization \
     LEFT JOIN connections c ON c.id = COALESCE(t.connection, p.connection) AND c.organization = t.organization \
     AND c.unconfirmed_at <= CASE WHEN t.connection IS NULL THEN p.issued_at ELSE t.issued_at END \
     LEFT JOIN memberships k ON k.id = p.membership AND k.organization = t.organization \
     LEFT JOIN roles r ON r.organization = m.organization AND r.slug = m.role \
     LEFT JOIN roles v ON v.organization = w.organization AND v.slug = w.role \
     LEFT JOIN roles x ON x.organization = k.organization AND x.slug = k.role \
     WHERE t.secret_hash = $1",
);

pub(crate) const ALL: &[&Statement] = &[&FIND];

fn member(row: &Row) -> Result<Option<BearerMember>, StoreError> {
    let Some(id) = row.opt_parsed(14)? else { return Ok(None) };
    Ok(Some(BearerMember {
        id,
        user: row.parsed(15)?,
        email: row.text(16)?.to_owned(),
        name: row.text(17)?.to_owned(),
        state: row.parsed(18)?,
        role: row.opt_parsed(19)?,
        rank: rank(row, 20)?,
        giving: if row.opt_at(39)?.is_some() { Giving::ExplicitOnly } else { Giving::Anyhow },
        permissions: if row.opt_text(21)?.is_some() { row.json(21)? } else { Default::default() },
        teams: row.json(22)?,
        environments: row.json(23)?,
        until: row.opt_at(24)?,
        rules_number: row.int(25)?,
    }))
}

/// Whoever the secret was shown to, and whoever has the key that it was issued by, where that is somebody else than the
/// member behind the token.
fn shown_to(row: &Row, member: Option<MembershipId>) -> Result<Vec<BearerShownTo>, StoreError> {
    let mut all: Vec<BearerShownTo> = Vec::new();
    for first in [29, 34] {
        let id: Option<MembershipId> = row.opt_parsed(first)?;
        let Some(id) = id.filter(|id| Some(*id) != member && all.iter().all(|one| one.id != *id)) else {
            continue;
        };
        all.push(BearerShownTo {
            id,
            state: row.parsed(first + 1)?,
            until: row.opt_at(first + 2)?,
            rules_number: row.int(first + 3)?,
            rank: rank(row, first + 4)?,
        });
    }
    Ok(all)
}

/// The rank of a role that may be absent.
fn rank(row: &Row, column: usize) -> Result<Rank, StoreError> {
    row.opt_int(column)?.map_or(Ok(Rank::NONE), |_| row.role_rank(column))
}

/// What is known of a presented secret.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn find(tx: &mut Tx<'_>, secret: &SecretHash) -> Result<Option<Bearer>, StoreError> {
    let Some(row) = tx.row(&FIND, params![secret.as_str()])? else { return Ok(None) };
    let agent = match row.opt_parsed(26)? {
        None => None,
        Some(id) => Some(BearerAgent { id, name: row.text(27)?.to_owned(), state: row.parsed(28)? }),
    };
    let member = member(&row)?;
    Ok(Some(Bearer {
        token: row.parsed(0)?,
        kind: row.parsed(1)?,
        name: row.text(2)?.to_owned(),
        organization: row.parsed(3)?,
        organization_slug: row.parsed(4)?,
        rules_number: row.int(5)?,
        environment: row.opt_parsed(6)?,
        scopes: row.json(7)?,
        holder: row.parsed(8)?,
        issued_at: row.at(9)?,
        expires_at: row.opt_at(10)?,
        max_idle_s: row.opt_int(11)?,
        last_used_at: row.opt_at(12)?,
        ended_at: row.opt_at(13)?,
        came_by: row.opt_parsed(40)?,
        unconfirmed_at: row.opt_at(41)?,
        believed_up_to: row.opt_rank(42)?.unwrap_or(Rank::ROOT),
        shown_to: shown_to(&row, member.as_ref().map(|m| m.id))?,
        member,
        agent,
    }))
}
