//! Memberships: rows of facts and of the access that was resolved last.

use portcullis_domain::Timestamp;
use portcullis_domain::access::{Access, EndedBecause};
use portcullis_domain::change::{MembershipChange, Restamp};
use portcullis_domain::id::{EventId, MembershipId, OrganizationId, UserId};
use portcullis_domain::membership::Membership;
use portcullis_domain::role::Rank;
use portcullis_domain::team::TeamRole;
use portcullis_domain::text::{Slug, email_key};
use portcullis_domain::tombstone::Identifier;

use crate::row::{Columns, Row, list, to_json};
use crate::statement::Statement;
use crate::{StoreError, Tx, params, team, tombstone};

/// The most members at one address that are read: whoever wants to know who somebody is finds more than one ambiguous.
pub const MAX_AT_ADDRESS: i64 = 20;

macro_rules! columns {
    () => {
        "id, organization, user_id, email, name, joined_at, governed_by, suspended_at, unmapped_at, ended_at, \
         ended_because, bare_owner_at, state, role, teams, environments, reasons, until, rules_number, created_at, \
         believed_up_to"
    };
}

// Behind the macro, which it reads too.
pub(crate) mod list;

pub use self::list::{
    MembershipFilter, due, governed_by, list_of_lead, list_page, stale, told_above, unconfirmed,
};

/// Marks access as older than what a call about many said. The number that it was stored under is kept, and the events of
/// some fifty calls: whoever waits for a job that long follows from too many for one log entry.
macro_rules! mark {
    () => {
        "UPDATE memberships SET rules_number = 0, \
         marked_from = CASE WHEN rules_number > 0 THEN rules_number ELSE marked_from END, \
         marked_by = CASE WHEN marked_by IS NULL THEN CAST($3 AS TEXT) \
         WHEN LENGTH(marked_by) < 2000 THEN marked_by || ' ' || $3 ELSE marked_by END \
         WHERE organization = $2 AND id IN "
    };
}

const CREATE: Statement = Statement::change(
    "membership.create",
    concat!(
        "INSERT INTO memberships (",
        columns!(),
        ", email_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
         $20, $21, $22)"
    ),
);
const SET_PROFILE: Statement = Statement::change(
    "membership.set_profile",
    "UPDATE memberships SET email = $2, email_key = $3, name = $4 WHERE id = $1 AND organization = $5",
);
const EMAIL_KEY: Statement = Statement::read(
    "membership.email_key",
    "SELECT email_key FROM memberships WHERE id = $1 AND organization = $2",
);
const JOIN: Statement = Statement::change(
    "membership.join",
    "UPDATE memberships SET joined_at = $2 WHERE id = $1 AND organization = $3",
);
const SET_SUSPENDED: Statement = Statement::change(
    "membership.set_suspended",
    "UPDATE memberships SET suspended_at = $2, suspended_rank = $3 WHERE id = $1 AND organization = $4",
);
const SUSPENDED_RANK: Statement = Statement::read(
    "membership.suspended_rank",
    "SELECT suspended_rank FROM memberships WHERE id = $1 AND organization = $2",
);
const TEAMS: Statement =
    Statement::read("membership.teams", "SELECT teams FROM memberships WHERE id = $1 AND organization = $2");
const SET_USER: Statement = Statement::change(
    "membership.set_user",
    "UPDATE memberships SET user_id = $2 WHERE id = $1 AND organization = $3",
);
const BELIEVE: Statement = Statement::change(
    "membership.believe",
    "UPDATE memberships SET believed_up_to = $2 WHERE id = $1 AND organization = $3",
);
const SET_ACCESS: Statement = Statement::change(
    "membership.set_access",
    "UPDATE memberships SET state = $2, role = $3, teams = $4, environments = $5, reasons = $6, until = $7, \
     governed_by = $8, unmapped_at = $9, ended_at = $10, ended_because = $11, bare_owner_at = $12, \
     rules_number = $13, marked_from = NULL, marked_by = NULL, unmapped_event = CASE WHEN CAST($9 AS BIGINT) IS NULL THEN NULL \
     WHEN unmapped_at = $9 THEN COALESCE(unmapped_event, $15) ELSE $15 END WHERE id = $1 AND organization = $14",
);
const RESTAMP: Statement = Statement::change(
    "membership.restamp",
    "UPDATE memberships SET governed_by = $2, unmapped_at = $3, rules_number = $4, marked_from = NULL, marked_by = NULL, \
     unmapped_event = CASE WHEN unmapped_at = $3 THEN unmapped_event END WHERE id = $1 AND organization = $5",
);
const UNMAPPED_EVENT: Statement = Statement::read(
    "membership.unmapped_event",
    "SELECT unmapped_event FROM memberships WHERE id = $1 AND organization = $2",
);
const MARK_STALE: Statement = Statement::change(
    "membership.mark_stale",
    concat!(mark!(), "(SELECT membership FROM directory_users WHERE id IN_LIST($1))"),
);
const GO_WITH_DIRECTORY: Statement = Statement::change(
    "membership.go_with_directory",
    "UPDATE memberships SET governed_by = $1 WHERE organization = $2 \
     AND id IN (SELECT membership FROM directory_users WHERE directory = $1) \
     AND governed_by IS NULL AND joined_at IS NULL AND ended_at IS NULL \
     AND NOT EXISTS (SELECT 1 FROM directory_users o WHERE o.membership = memberships.id AND o.directory <> $1) \
     AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.membership = memberships.id \
     AND t.kind IN ('invitation', 'owner_link'))",
);
const STALE_WITH_DIRECTORY: Statement = Statement::change(
    "membership.stale_with_directory",
    // Whoever it deleted above its brake is told of no more, and governed by it until they end.
    concat!(
        mark!(),
        "(SELECT membership FROM directory_users WHERE directory = $1 UNION SELECT id FROM memberships \
         WHERE organization = $2 AND governed_by = $1 AND state <> 'deprovisioned')"
    ),
);
const FIND: Statement = Statement::read(
    "membership.find",
    concat!("SELECT ", columns!(), " FROM memberships WHERE id = $1 AND organization = $2"),
);
const FIND_LOCKED: Statement = Statement::read(
    "membership.find_locked",
    concat!("SELECT ", columns!(), " FROM memberships WHERE id = $1"),
);
const LOCK: Statement =
    Statement::read("membership.lock", "SELECT id FROM memberships WHERE id = $1 FOR UPDATE");
const LOCK_LIVING: Statement = Statement::read(
    "membership.lock_living",
    "SELECT id FROM memberships WHERE id IN_LIST($2) AND organization = $1 AND state <> 'deprovisioned' ORDER BY id \
     FOR UPDATE",
);
const ORGANIZATION_OF: Statement =
    Statement::read("membership.organization_of", "SELECT organization FROM memberships WHERE id = $1");
const LIVING_BY_EMAIL: Statement = Statement::read(
    "membership.living_by_email",
    concat!(
        "SELECT ",
        columns!(),
        " FROM memberships WHERE organization = $1 AND email_key = $2 AND ended_at IS NULL ORDER BY id LIMIT $3"
    ),
);
// By the user, who has few: `COALESCE` keeps SQLite from everybody of the organization.
const IS_IN: Statement = Statement::read(
    "membership.is_in",
    "SELECT id FROM memberships WHERE user_id = $2 AND COALESCE(organization, '') = $1 AND ended_at IS NULL LIMIT 1",
);
const LIVES_ELSEWHERE: Statement = Statement::read(
    "membership.lives_elsewhere",
    "SELECT id FROM memberships WHERE user_id = $1 AND id <> $2 AND ended_at IS NULL LIMIT 1",
);
const IS_KNOWN_ELSEWHERE: Statement = Statement::read(
    "membership.is_known_elsewhere",
    "SELECT id FROM memberships WHERE user_id = $1 AND id <> $2 LIMIT 1",
);
const HAS_COME_IN: Statement = Statement::read(
    "membership.has_come_in",
    "SELECT id FROM memberships WHERE user_id = $1 AND ended_at IS NULL AND state <> 'invited' LIMIT 1",
);
const NEWEST_OF_USER: Statement = Statement::read(
    "membership.newest_of_user",
    concat!(
        "SELECT ",
        columns!(),
        " FROM memberships WHERE user_id = $1 AND ended_at IS NULL \
         ORDER BY CASE WHEN joined_at IS NULL THEN 1 ELSE 0 END, id DESC LIMIT 1"
    ),
);
const SINCE: Statement = Statement::read(
    "membership.since",
    "SELECT rules_number, marked_from, marked_by FROM memberships WHERE id = $1 AND organization = $2",
);

pub(crate) const ALL: &[&Statement] = &[
    &CREATE,
    &SET_PROFILE,
    &EMAIL_KEY,
    &JOIN,
    &SET_SUSPENDED,
    &SUSPENDED_RANK,
    &TEAMS,
    &SET_USER,
    &BELIEVE,
    &SET_ACCESS,
    &RESTAMP,
    &UNMAPPED_EVENT,
    &MARK_STALE,
    &GO_WITH_DIRECTORY,
    &STALE_WITH_DIRECTORY,
    &FIND,
    &FIND_LOCKED,
    &LOCK,
    &LOCK_LIVING,
    &ORGANIZATION_OF,
    &LIVING_BY_EMAIL,
    &IS_IN,
    &LIVES_ELSEWHERE,
    &IS_KNOWN_ELSEWHERE,
    &HAS_COME_IN,
    &NEWEST_OF_USER,
    &SINCE,
];

/// The stored form of teams.
pub(crate) fn teams_text(teams: &[(Slug, TeamRole)]) -> Result<String, StoreError> {
    to_json(&teams)
}

/// When it ended, and why.
fn ended(columns: &mut Columns<'_>) -> Result<Option<(Timestamp, EndedBecause)>, StoreError> {
    let Some(at) = columns.read(Row::opt_at)? else {
        columns.pass(1);
        return Ok(None);
    };
    Ok(Some((at, columns.read(Row::parsed)?)))
}

pub(crate) fn read(row: &Row) -> Result<Membership, StoreError> {
    let mut columns = row.columns();
    let membership = Membership {
        id: columns.read(Row::parsed)?,
        organization: columns.read(Row::parsed)?,
        user: columns.read(Row::parsed)?,
        email: columns.read(Row::text)?.to_owned(),
        name: columns.read(Row::text)?.to_owned(),
        joined_at: columns.read(Row::opt_at)?,
        governed_by: columns.read(Row::opt_parsed)?,
        suspended_at: columns.read(Row::opt_at)?,
        unmapped_at: columns.read(Row::opt_at)?,
        ended: ended(&mut columns)?,
        bare_owner_at: columns.read(Row::opt_at)?,
        access: Access {
            state: columns.read(Row::parsed)?,
            role: columns.read(Row::opt_parsed)?,
            teams: columns.read(Row::json)?,
            environments: columns.read(Row::json)?,
            reasons: columns.read(Row::json)?,
            until: columns.read(Row::opt_at)?,
        },
        rules_number: columns.read(Row::int)?,
        created_at: columns.read(Row::at)?,
        believed_up_to: columns.read(Row::rank)?,
    };
    columns.done()?;
    Ok(membership)
}

/// Normalises an address for look-ups; one that is no e-mail address is kept in lower case.
fn address_key(email: &str) -> String {
    email_key(email).unwrap_or_else(|_| portcullis_domain::text::name_key(email))
}

fn create(tx: &mut Tx<'_>, m: &Membership) -> Result<(), StoreError> {
    let access = &m.access;
    tx.run(
        &CREATE,
        params![
            m.id,
            m.organization,
            m.user,
            m.email,
            m.name,
            m.joined_at,
            m.governed_by,
            m.suspended_at,
            m.unmapped_at,
            m.ended.map(|(at, _)| at),
            m.ended.map(|(_, because)| because.as_str()),
            m.bare_owner_at,
            access.state.as_str(),
            access.role,
            teams_text(&access.teams)?,
            to_json(&access.environments)?,
            to_json(&access.reasons)?,
            access.until,
            m.rules_number,
            m.created_at,
            m.believed_up_to.number(),
            address_key(&m.email),
        ],
    )?;
    team::enter(tx, (m.organization, m.id), &access.teams)
}

/// Keeps who is in which team in step with the access that is about to be stored.
fn set_teams(
    tx: &mut Tx<'_>,
    (organization, id): (OrganizationId, MembershipId),
    teams: &[(Slug, TeamRole)],
) -> Result<(), StoreError> {
    let after = teams_text(teams)?;
    match tx.row(&TEAMS, params![id, organization])? {
        Some(row) if row.text(0)? != after => {
            team::leave_all(tx, (organization, id))?;
            team::enter(tx, (organization, id), teams)
        }
        _ => Ok(()),
    }
}

/// Carries a change out. What it begins is remembered with that event.
pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &MembershipChange,
    event: EventId,
) -> Result<(), StoreError> {
    match change {
        MembershipChange::Create(membership) => create(tx, membership)?,
        MembershipChange::SetProfile(id, email, name) => {
            // Whoever was called by nothing leaves no address behind.
            if let Some(row) = tx.row(&EMAIL_KEY, params![id, organization])?
                && let old = row.text(0)?
                && !old.is_empty()
                && old != address_key(email)
            {
                tombstone::remember(tx, *id, &Identifier::email(old))?;
            }
            tx.run(&SET_PROFILE, params![id, email, address_key(email), name, organization])?;
        }
        MembershipChange::Join(id, at) => {
            tx.run(&JOIN, params![id, at, organization])?;
        }
        MembershipChange::SetSuspended(id, ordered) => {
            let rank = ordered.map(|(_, rank)| rank.number());
            tx.run(&SET_SUSPENDED, params![id, ordered.map(|(at, _)| at), rank, organization])?;
        }
        MembershipChange::SetUser(id, user) => {
            tx.run(&SET_USER, params![id, user, organization])?;
        }
        MembershipChange::Believe(id, rank) => {
            tx.run(&BELIEVE, params![id, rank.number(), organization])?;
        }
        MembershipChange::SetAccess {
            id,
            access,
            governed_by,
            unmapped_at,
            ended,
            bare_owner_at,
            rules_number,
        } => {
            set_teams(tx, (organization, *id), &access.teams)?;
            tx.run(
                &SET_ACCESS,
                params![
                    id,
                    access.state.as_str(),
                    access.role,
                    teams_text(&access.teams)?,
                    to_json(&access.environments)?,
                    to_json(&access.reasons)?,
                    access.until,
                    governed_by,
                    unmapped_at,
                    ended.map(|(at, _)| at),
                    ended.map(|(_, because)| because.as_str()),
                    bare_owner_at,
                    rules_number,
                    organization,
                    event,
                ],
            )?;
        }
        MembershipChange::MarkStale(users) => {
            for chunk in users.chunks(crate::db::MAX_LIST) {
                tx.run(&MARK_STALE, params![list(chunk), organization, event])?;
            }
        }
        MembershipChange::LoseDirectory(directory) => {
            tx.run(&GO_WITH_DIRECTORY, params![directory, organization])?;
            tx.run(&STALE_WITH_DIRECTORY, params![directory, organization, event])?;
        }
    }
    Ok(())
}

/// Notes under which rules a membership's access was found to be what it is.
pub(crate) fn restamp(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    found: &Restamp,
) -> Result<(), StoreError> {
    let Restamp { id, governed_by, unmapped_at, rules_number } = found;
    tx.run(&RESTAMP, params![id, governed_by, unmapped_at, rules_number, organization]).map(|_| ())
}

/// A membership of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: MembershipId,
) -> Result<Option<Membership>, StoreError> {
    tx.row(&FIND, params![id, organization])?.as_ref().map(read).transpose()
}

/// A membership, locked until the end of the transaction. Its facts and rules are read after this.
///
/// # Errors
/// As [`find`].
pub fn find_locked(tx: &mut Tx<'_>, id: MembershipId) -> Result<Option<Membership>, StoreError> {
    lock(tx, id)?;
    tx.row(&FIND_LOCKED, params![id])?.as_ref().map(read).transpose()
}

/// Locks a membership until the end of the transaction, for whoever knows already what is in it.
///
/// # Errors
/// As [`find`].
pub fn lock(tx: &mut Tx<'_>, id: MembershipId) -> Result<(), StoreError> {
    tx.lock_members(&LOCK, params![id])
}

/// Who of these people lives, in order of id, locked until the end of the transaction.
///
/// # Errors
/// As [`find`].
pub fn lock_living(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    people: &[MembershipId],
) -> Result<Vec<MembershipId>, StoreError> {
    let mut sorted = people.to_vec();
    sorted.sort();
    let mut living = Vec::with_capacity(people.len());
    for some in sorted.chunks(crate::db::MAX_LIST) {
        for row in tx.locked_members(&LOCK_LIVING, params![organization, list(some)])? {
            living.push(row.parsed(0)?);
        }
    }
    Ok(living)
}

/// The organization of a membership, whoever asks: its rules are locked before it is.
///
/// # Errors
/// As [`find`].
pub fn organization_of(tx: &mut Tx<'_>, id: MembershipId) -> Result<Option<OrganizationId>, StoreError> {
    tx.row(&ORGANIZATION_OF, params![id])?.map(|row| row.parsed(0)).transpose()
}

/// The memberships of that organization with that address that have not ended; [`MAX_AT_ADDRESS`] at most, however many ended
/// before.
///
/// # Errors
/// As [`find`].
pub fn living_by_email(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    email_key: &str,
) -> Result<Vec<Membership>, StoreError> {
    tx.rows(&LIVING_BY_EMAIL, params![organization, email_key, MAX_AT_ADDRESS])?.iter().map(read).collect()
}

/// Whether that user has a membership of that organization that has not ended.
///
/// # Errors
/// As [`find`].
pub fn is_in(tx: &mut Tx<'_>, organization: OrganizationId, user: UserId) -> Result<bool, StoreError> {
    Ok(tx.row(&IS_IN, params![organization, user])?.is_some())
}

/// Whether a user has another membership than that, in whichever organization, that has not ended.
///
/// # Errors
/// As [`find`].
pub fn lives_elsewhere(tx: &mut Tx<'_>, user: UserId, than: MembershipId) -> Result<bool, StoreError> {
    Ok(tx.row(&LIVES_ELSEWHERE, params![user, than])?.is_some())
}

/// Whether a user has or ever had another membership than that, in whichever organization.
///
/// # Errors
/// As [`find`].
pub fn is_known_elsewhere(tx: &mut Tx<'_>, user: UserId, than: MembershipId) -> Result<bool, StoreError> {
    Ok(tx.row(&IS_KNOWN_ELSEWHERE, params![user, than])?.is_some())
}

/// Whether a user lives anywhere by more than an invitation that waits.
///
/// # Errors
/// As [`find`].
pub fn has_come_in(tx: &mut Tx<'_>, user: UserId) -> Result<bool, StoreError> {
    Ok(tx.row(&HAS_COME_IN, params![user])?.is_some())
}

/// The newest membership of a user, in whichever organization, that has not ended and that they joined; else the newest that
/// has not ended.
///
/// # Errors
/// As [`find`].
pub fn newest_of_user(tx: &mut Tx<'_>, user: UserId) -> Result<Option<Membership>, StoreError> {
    tx.row(&NEWEST_OF_USER, params![user])?.as_ref().map(read).transpose()
}

/// The event with which that membership was left without a mapping, if it is.
///
/// # Errors
/// As [`find`].
pub fn unmapped_event(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: MembershipId,
) -> Result<Option<EventId>, StoreError> {
    tx.row(&UNMAPPED_EVENT, params![id, organization])?.map_or(Ok(None), |row| row.opt_parsed(0))
}

/// The rank of whoever ordered a member's suspension; `None` if there is none, or it was ordered before ranks were kept.
///
/// # Errors
/// As [`find`].
pub fn suspended_rank(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: MembershipId,
) -> Result<Option<Rank>, StoreError> {
    tx.row(&SUSPENDED_RANK, params![id, organization])?.map_or(Ok(None), |row| row.opt_rank(0))
}

/// Since when stored access may not be in step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Since {
    /// The rules number that it was stored under, as far as that is known.
    pub number: Option<i64>,
    /// The events of the calls about many that have marked it since, the oldest first.
    pub marked_by: Vec<EventId>,
}

/// Since when the stored access of that membership may not be in step. To be read once it is held: nobody marks it meanwhile.
///
/// # Errors
/// As [`find`].
pub fn since(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: MembershipId,
) -> Result<Option<Since>, StoreError> {
    let Some(row) = tx.row(&SINCE, params![id, organization])? else { return Ok(None) };
    let number = match row.int(0)? {
        0 => row.opt_int(1)?,
        number => Some(number),
    };
    let marks = row.opt_text(2)?.unwrap_or_default();
    let parsed = |id: &str| {
        id.parse().map_err(|_| StoreError::Inconsistent(format!("`{id}` in `marked_by` is no event")))
    };
    Ok(Some(Since { number, marked_by: marks.split_whitespace().map(parsed).collect::<Result<_, _>>()? }))
}
