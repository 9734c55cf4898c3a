//! The look-up behind every check: one indexed row set for a presented secret.
//!
//! It joins the active membership (and the agent, and its owner, and whoever the secret was shown to, and whoever has the
//! key by which it was issued, and the connection and the link by which whoever issued it came), so that a row which somebody
//! forgot to end does not let anybody in: the second lock of off-boarding.

use std::collections::BTreeSet;

use portcullis_domain::evaluation::{Bearer, BearerAgent, BearerMember, BearerShownTo};
use portcullis_domain::permission::Permission;
use portcullis_domain::role::{Giving, Rank};
use portcullis_domain::secret::SecretHash;

use crate::role::root_rank;
use crate::row::{Columns, Row};
use crate::statement::Statement;
use crate::token::believed;
use crate::{StoreError, Tx, params};

const FIND: Statement = Statement::read(
    "bearer.find",
    concat!(
        "SELECT t.id, t.kind, t.name, t.organization, o.slug, o.rules_number, t.environment, t.scopes, t.holder, \
         t.confined_at, t.issued_at, t.expires_at, t.max_idle_s, s.last_used_at, t.ended_at, \
         a.id, a.name, a.state, \
         m.id, m.user_id, m.email, m.name, m.state, m.role, r.rank, r.explicit_only_at, r.permissions, m.teams, \
         m.environments, m.until, m.rules_number, \
         w.id, w.state, v.rank, w.until, w.rules_number, \
         k.id, k.state, x.rank, k.until, k.rules_number, \
         CASE WHEN t.connection IS NOT NULL OR (t.kind = 'session' AND m.believed_up_to < ",
        root_rank!(),
        ") THEN t.id \
         WHEN p.connection IS NOT NULL OR p.kind = 'session' THEN p.id END, c.chosen_from, \
         CASE WHEN t.kind = 'session' AND t.connection IS NULL THEN m.believed_up_to ELSE ",
        believed!(),
        " END \
         FROM tokens t \
         JOIN organizations o ON o.id = t.organization AND o.deleted_at IS NULL \
         LEFT JOIN token_uses s ON s.token = t.id \
         LEFT JOIN agents a ON a.id = t.agent AND a.organization = t.organization \
         LEFT JOIN memberships m ON m.id = COALESCE(t.membership, a.owner) AND m.organization = t.organization \
         LEFT JOIN memberships w ON w.id = t.shown_to AND w.organization = t.organization \
         LEFT JOIN tokens p ON p.id = t.parent AND p.organization = t.organization \
         LEFT JOIN connections c ON c.id = COALESCE(t.connection, p.connection) AND c.organization = t.organization \
         AND c.unconfirmed_at <= CASE WHEN t.connection IS NULL THEN p.issued_at ELSE t.issued_at END \
         LEFT JOIN links l ON l.connection = COALESCE(t.connection, p.connection) \
         AND l.subject = CASE WHEN t.connection IS NULL THEN p.subject ELSE t.subject END \
         AND l.membership = CASE WHEN t.connection IS NULL THEN p.membership ELSE t.membership END \
         AND l.organization = t.organization \
         LEFT JOIN memberships k ON k.id = p.membership AND k.organization = t.organization \
         LEFT JOIN roles r ON r.organization = m.organization AND r.slug = m.role \
         LEFT JOIN roles v ON v.organization = w.organization AND v.slug = w.role \
         LEFT JOIN roles x ON x.organization = k.organization AND x.slug = k.role \
         WHERE t.secret_hash = $1"
    ),
);

pub(crate) const ALL: &[&Statement] = &[&FIND];

fn agent(columns: &mut Columns<'_>) -> Result<Option<BearerAgent>, StoreError> {
    let Some(id) = columns.read(Row::opt_parsed)? else {
        columns.pass(2);
        return Ok(None);
    };
    Ok(Some(BearerAgent { id, name: columns.read(Row::text)?.to_owned(), state: columns.read(Row::parsed)? }))
}

fn member(columns: &mut Columns<'_>) -> Result<Option<BearerMember>, StoreError> {
    let Some(id) = columns.read(Row::opt_parsed)? else {
        columns.pass(12);
        return Ok(None);
    };
    Ok(Some(BearerMember {
        id,
        user: columns.read(Row::parsed)?,
        email: columns.read(Row::text)?.to_owned(),
        name: columns.read(Row::text)?.to_owned(),
        state: columns.read(Row::parsed)?,
        role: columns.read(Row::opt_parsed)?,
        rank: columns.read(rank)?,
        giving: if columns.read(Row::opt_at)?.is_some() { Giving::ExplicitOnly } else { Giving::Anyhow },
        permissions: columns.read(permissions)?,
        teams: columns.read(Row::json)?,
        environments: columns.read(Row::json)?,
        until: columns.read(Row::opt_at)?,
        rules_number: columns.read(Row::int)?,
    }))
}

/// Whoever the secret was shown to, and whoever has the key that it was issued by: each once.
fn shown_to(columns: &mut Columns<'_>) -> Result<Vec<BearerShownTo>, StoreError> {
    let (shown, issuer) = (somebody(columns)?, somebody(columns)?);
    let issuer = issuer.filter(|one| shown.as_ref().is_none_or(|shown| shown.id != one.id));
    Ok(shown.into_iter().chain(issuer).collect())
}

fn somebody(columns: &mut Columns<'_>) -> Result<Option<BearerShownTo>, StoreError> {
    let Some(id) = columns.read(Row::opt_parsed)? else {
        columns.pass(4);
        return Ok(None);
    };
    Ok(Some(BearerShownTo {
        id,
        state: columns.read(Row::parsed)?,
        rank: columns.read(rank)?,
        until: columns.read(Row::opt_at)?,
        rules_number: columns.read(Row::int)?,
    }))
}

/// The rank of a role that may be absent.
fn rank(row: &Row, column: usize) -> Result<Rank, StoreError> {
    row.opt_int(column)?.map_or(Ok(Rank::NONE), |_| row.role_rank(column))
}

/// What a role that may be absent allows.
fn permissions(row: &Row, column: usize) -> Result<BTreeSet<Permission>, StoreError> {
    row.opt_text(column)?.map_or(Ok(BTreeSet::new()), |_| row.json(column))
}

fn read(row: &Row) -> Result<Bearer, StoreError> {
    let mut columns = row.columns();
    let mut bearer = Bearer {
        token: columns.read(Row::parsed)?,
        kind: columns.read(Row::parsed)?,
        name: columns.read(Row::text)?.to_owned(),
        organization: columns.read(Row::parsed)?,
        organization_slug: columns.read(Row::parsed)?,
        rules_number: columns.read(Row::int)?,
        environment: columns.read(Row::opt_parsed)?,
        scopes: columns.read(Row::json)?,
        holder: columns.read(Row::parsed)?,
        confined_at: columns.read(Row::opt_at)?,
        issued_at: columns.read(Row::at)?,
        expires_at: columns.read(Row::opt_at)?,
        max_idle_s: columns.read(Row::opt_int)?,
        last_used_at: columns.read(Row::opt_at)?,
        ended_at: columns.read(Row::opt_at)?,
        agent: agent(&mut columns)?,
        member: member(&mut columns)?,
        shown_to: shown_to(&mut columns)?,
        came_by: columns.read(Row::opt_parsed)?,
        chosen_from: columns.read(Row::opt_rank)?,
        believed_up_to: columns.read(Row::rank)?,
    };
    columns.done()?;
    // Nobody else, where that is the member behind the token.
    bearer.shown_to.retain(|one| bearer.member.as_ref().is_none_or(|member| member.id != one.id));
    Ok(bearer)
}

/// What is known of a presented secret.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn find(tx: &mut Tx<'_>, secret: &SecretHash) -> Result<Option<Bearer>, StoreError> {
    tx.row(&FIND, params![secret.as_str()])?.as_ref().map(read).transpose()
}
