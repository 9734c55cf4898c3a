//! Everything that the end of a membership touches, in a handful of indexed reads.

use std::collections::BTreeSet;

use portcullis_domain::Timestamp;
use portcullis_domain::access::Resolved;
use portcullis_domain::membership::Membership;
use portcullis_domain::offboarding::{Leaver, LeaverAgent, NextOwner, Ownership};
use portcullis_domain::tombstone::{Identifier, IdentifierKind};

use crate::row::Row;
use crate::statement::Statement;
use crate::token::{believed, issued_by, issued_by_tokens_of, issuer, outliving};
use crate::{StoreError, Tx, agent, connection, directory_user, membership, params, tombstone, user};

// The keys of an agent that act once it is another's: not known to the leaver, and not resting because somebody who saw one is
// suspended or stands below that owner, or because the session that issued it is not believed as far, as a check asks (`bearer`).
macro_rules! acting_keys {
    ($owner:literal, $role:literal) => {
        concat!(
            "(SELECT COUNT(*) FROM tokens t ",
            issuer!(),
            " LEFT JOIN memberships w ON w.id = t.shown_to \
             LEFT JOIN roles v ON v.organization = a.organization AND v.slug = w.role \
             LEFT JOIN roles x ON x.organization = a.organization AND x.slug = k.role \
             WHERE t.holder = a.id AND t.kind = 'agent_key' \
             AND t.ended_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2) \
             AND (w.id IS NULL OR (w.state = 'active' AND w.id <> $1 AND (w.id = ",
            $owner,
            " OR COALESCE(v.rank, 0) >= COALESCE(",
            $role,
            ".rank, 0)))) AND (k.id IS NULL OR (k.state = 'active' AND (k.id = ",
            $owner,
            " OR COALESCE(x.rank, 0) >= COALESCE(",
            $role,
            ".rank, 0)))) AND (s.id IS NULL OR (s.chosen_from >= COALESCE(",
            $role,
            ".rank, 0) AND ",
            $role,
            ".explicit_only_at IS NULL)) \
             AND ",
            believed!(),
            " >= COALESCE(",
            $role,
            ".rank, 0) AND t.id NOT IN ",
            issued_by_tokens_of!("$1"),
            ")"
        )
    };
}

const AGENTS: Statement = Statement::read(
    "leaver.agents",
    concat!(
        "SELECT a.id, h.id, ",
        acting_keys!("h.id", "i"),
        ", c.id, ",
        acting_keys!("c.id", "d"),
        " FROM agents a \
         LEFT JOIN memberships h ON h.id = a.heir AND h.state = 'active' AND h.organization = a.organization \
         AND h.id <> $1 AND h.environments LIKE '%\"' || a.environment || '\"%' \
         LEFT JOIN roles i ON i.organization = a.organization AND i.slug = h.role \
         LEFT JOIN memberships c ON c.id = a.rule_chosen_by AND c.state = 'active' \
         AND c.organization = a.organization AND c.id <> $1 \
         AND c.environments LIKE '%\"' || a.environment || '\"%' \
         AND EXISTS (SELECT 1 FROM roles w WHERE w.organization = a.organization AND w.slug = c.role \
         AND w.permissions LIKE '%\"agents.write\"%') \
         LEFT JOIN roles d ON d.organization = a.organization AND d.slug = c.role \
         WHERE a.owner = $1 AND a.state <> 'disabled' ORDER BY a.id"
    ),
);
// Whoever may get an agent is held until it is theirs: their own end waits for it, or is seen by it.
const LOCK_NEXT_OWNERS: Statement = Statement::read(
    "leaver.lock_next_owners",
    "SELECT id FROM memberships WHERE organization = $1 AND id <> $2 AND id IN \
     (SELECT heir FROM agents WHERE owner = $2 AND organization = $1 AND state <> 'disabled' \
     UNION SELECT rule_chosen_by FROM agents WHERE owner = $2 AND organization = $1 AND state <> 'disabled') \
     ORDER BY id FOR SHARE",
);
const TO_ROTATE: Statement = Statement::read(
    "leaver.to_rotate",
    concat!(
        "SELECT id FROM tokens WHERE id IN (SELECT id FROM tokens WHERE shown_to = $1 UNION SELECT id FROM tokens \
         WHERE id IN ",
        issued_by_tokens_of!("$1"),
        ") AND ended_at IS NULL AND (expires_at IS NULL OR expires_at > $2) \
         AND kind IN ",
        outliving!(),
        " ORDER BY id"
    ),
);
// The owners of an organization who can still sign in: by an authenticator of their own, or by a link of a connection that lets
// an owner in, each believed as far as they stand, below which it opens nothing. Whoever owns it has that by a grant: their role
// may be one that stands above owners. A connection whose new issuer or keys no owner confirmed lets none in, nor one of an
// environment that they are not in; and a link says nothing where the connection has another issuer since and nobody came in
// by it. All of it is found by the member: `CROSS JOIN` and `COALESCE` keep SQLite from the links and sessions of a whole
// connection.
macro_rules! owners_who_sign_in {
    ($organization:literal) => {
        concat!("FROM grants g CROSS JOIN memberships m \
         LEFT JOIN roles r ON r.organization = m.organization AND r.slug = m.role WHERE g.organization = ",
         $organization, " AND g.role = 'owner' \
         AND g.ended_at IS NULL AND m.id = g.membership AND m.state = 'active' \
         AND ((m.believed_up_to >= COALESCE(r.rank, ", $crate::role::owner_rank!(), ") \
         AND EXISTS (SELECT 1 FROM authenticators a WHERE a.user_id = m.user_id)) \
         OR EXISTS (SELECT 1 FROM links l CROSS JOIN connections c \
         WHERE l.membership = m.id AND c.id = l.connection AND c.organization = m.organization \
         AND l.believed_up_to >= COALESCE(r.rank, ", $crate::role::owner_rank!(), ") AND c.unconfirmed_at IS NULL \
         AND m.environments LIKE '%\"' || c.environment || '\"%' \
         AND (c.moved_at IS NULL OR l.created_at > c.moved_at OR EXISTS (SELECT 1 FROM tokens t \
         WHERE t.membership = m.id AND COALESCE(t.connection, '') = c.id AND t.issued_at > c.moved_at))))")
    };
}
pub(crate) use owners_who_sign_in;

const OWNS: Statement = Statement::read(
    "leaver.owns",
    "SELECT COUNT(*) FROM grants WHERE membership = $2 AND organization = $1 AND role = 'owner' AND ended_at IS NULL",
);

const OTHER_OWNERS: Statement = Statement::read(
    "leaver.other_owners",
    concat!("SELECT COUNT(*) ", owners_who_sign_in!("$1"), " AND m.id <> $2"),
);

pub(crate) const ALL: &[&Statement] = &[&AGENTS, &LOCK_NEXT_OWNERS, &TO_ROTATE, &OWNS, &OTHER_OWNERS];

fn agents(tx: &mut Tx<'_>, membership: &Membership, now: Timestamp) -> Result<Vec<LeaverAgent>, StoreError> {
    tx.lock_members(&LOCK_NEXT_OWNERS, params![membership.organization, membership.id])?;
    let mut agents = Vec::new();
    for row in tx.rows(&AGENTS, params![membership.id, now])? {
        let id = row.parsed(0)?;
        let found = agent::find(tx, membership.organization, id)?;
        let agent = found.ok_or_else(|| StoreError::Inconsistent(format!("agent `{id}` is gone")))?;
        agents.push(LeaverAgent {
            agent,
            active_heir: next_owner(&row, 1)?,
            active_chooser: next_owner(&row, 3)?,
        });
    }
    Ok(agents)
}

fn next_owner(row: &Row, first: usize) -> Result<Option<NextOwner>, StoreError> {
    let Some(id) = row.opt_parsed(first)? else { return Ok(None) };
    Ok(Some(NextOwner { id, acting_keys: row.int(first + 1)? }))
}

/// Every identifier that a membership has and ever had.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn identifiers(tx: &mut Tx<'_>, membership: &Membership) -> Result<BTreeSet<Identifier>, StoreError> {
    let mut all: BTreeSet<Identifier> = tombstone::former(tx, membership.id)?.into_iter().collect();
    if let Ok(key) = portcullis_domain::text::email_key(&membership.email) {
        all.insert(Identifier::email(&key));
    }
    for user in directory_user::of_membership(tx, membership.id)? {
        all.extend(user.identifiers());
    }
    for link in connection::links_of(tx, membership.id)? {
        all.insert(Identifier::subject(link.connection, &link.subject));
        all.insert(Identifier::issuer_subject(&link.subject));
    }
    Ok(all)
}

/// Whether somebody owns the organization, also where their role is one that stands above owners.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn owns(tx: &mut Tx<'_>, membership: &Membership) -> Result<bool, StoreError> {
    let found = tx.row(&OWNS, params![membership.organization, membership.id])?;
    Ok(found.map_or(Ok(0), |row| row.int(0))? > 0)
}

/// Whether the organization still has an owner without this membership. Counts owners who can still sign in.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn ownership(tx: &mut Tx<'_>, membership: &Membership) -> Result<Ownership, StoreError> {
    if !owns(tx, membership)? {
        return Ok(Ownership::NotOwner);
    }
    let others = tx.row(&OTHER_OWNERS, params![membership.organization, membership.id])?;
    Ok(if others.map_or(Ok(0), |r| r.int(0))? > 0 { Ownership::Shared } else { Ownership::Last })
}

/// Loads what the end of a membership touches. The membership is locked before this; whoever may get its agents and
/// its user are locked here.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn load(
    tx: &mut Tx<'_>,
    membership: Membership,
    resolved: Resolved,
    rules_number: i64,
    now: Timestamp,
) -> Result<Leaver, StoreError> {
    let mut to_rotate = Vec::new();
    for row in tx.rows(&TO_ROTATE, params![membership.id, now])? {
        to_rotate.push(row.parsed(0)?);
    }
    let ownership = ownership(tx, &membership)?;
    let agents = agents(tx, &membership, now)?;
    user::find_locked(tx, membership.user)?;
    let lives_elsewhere = membership::lives_elsewhere(tx, membership.user, membership.id)?;
    let identifiers: Vec<Identifier> = identifiers(tx, &membership)?.into_iter().collect();
    let email_keys =
        identifiers.iter().filter(|i| i.kind == IdentifierKind::Email).map(|i| i.value.clone()).collect();
    Ok(Leaver {
        ownership,
        agents,
        to_rotate,
        identifiers,
        email_keys,
        lives_elsewhere,
        rules_number,
        resolved,
        membership,
    })
}
