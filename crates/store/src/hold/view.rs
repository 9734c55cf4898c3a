//! What the brake holds, as administrators see it and as whoever decides looks it up.

use std::collections::BTreeMap;

use portcullis_domain::Timestamp;
use portcullis_domain::access::EndedBecause;
use portcullis_domain::cause::CauseKind;
use portcullis_domain::hold::{HeldState, HoldKind, HoldState, Kept};
use portcullis_domain::id::{
    DirectoryGroupId, DirectoryId, DirectoryUserId, EventId, HoldId, MappingId, MembershipId, OrganizationId,
    RequestId,
};
use portcullis_domain::role::Rank;
use portcullis_domain::text::Slug;

use crate::db::MAX_LIST;
use crate::row::{Columns, Row, bound, list};
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// The most open holds of one group's losses that are compared with what a call would take, the newest first.
const MAX_OPEN_OF_GROUP: i64 = 100;
/// The most that is told of a page of members, ten of each of a thousand.
const MAX_OF_PAGE: i64 = 10_000;

macro_rules! columns {
    () => {
        "h.id, h.organization, h.directory, h.kind, h.directory_group, h.group_name, h.cause_kind, h.request_id, \
         h.event, h.opened_at, \
         (SELECT COUNT(*) FROM held_people p WHERE p.hold = h.id AND p.refused_at IS NULL), \
         (SELECT COUNT(*) FROM held_people p WHERE p.hold = h.id AND p.refused_at IS NOT NULL)"
    };
}

macro_rules! people {
    () => {
        "SELECT p.membership, p.because, p.cause_kind, p.request_id, p.event, p.held_at, p.refused_at, \
         p.directory_user, m.email, m.name, m.role FROM held_people p JOIN memberships m ON m.id = p.membership "
    };
}

const FIND: Statement = Statement::read(
    "hold.find",
    concat!("SELECT ", columns!(), " FROM holds h WHERE h.organization = $1 AND h.id = $2"),
);
// What state a hold is in follows from its people: whether anybody waits, and whether anybody is left.
macro_rules! in_state {
    ($state:literal) => {
        concat!(
            " AND (",
            $state,
            " = '' OR ",
            $state,
            " = CASE WHEN EXISTS (SELECT 1 FROM held_people p WHERE p.hold = h.id AND p.refused_at IS NULL) \
             THEN 'open' WHEN EXISTS (SELECT 1 FROM held_people p WHERE p.hold = h.id) THEN 'refused' \
             ELSE 'closed' END)"
        )
    };
}

const LIST: Statement = Statement::read(
    "hold.list",
    concat!(
        "SELECT ",
        columns!(),
        " FROM holds h WHERE h.organization = $1 AND h.id > $2",
        in_state!("CAST($4 AS TEXT)"),
        " ORDER BY h.id LIMIT $3"
    ),
);
const LIST_OF_DIRECTORY: Statement = Statement::read(
    "hold.list_of_directory",
    concat!(
        "SELECT ",
        columns!(),
        " FROM holds h WHERE h.directory = $2 AND h.organization = $1 AND h.id > $3",
        in_state!("CAST($5 AS TEXT)"),
        " ORDER BY h.id LIMIT $4"
    ),
);
// The newest of its kind gathers on while anybody in it waits.
const OPEN_OF: Statement = Statement::read(
    "hold.open_of",
    "SELECT h.id FROM holds h WHERE h.directory = $1 AND h.kind = $2 AND EXISTS \
     (SELECT 1 FROM held_people p WHERE p.hold = h.id AND p.refused_at IS NULL) ORDER BY h.id DESC LIMIT 1",
);
const OPEN_OF_GROUP: Statement = Statement::read(
    "hold.open_of_group",
    "SELECT h.id FROM holds h WHERE h.directory = $1 AND h.kind = 'losses' AND h.directory_group = $2 AND EXISTS \
     (SELECT 1 FROM held_people p WHERE p.hold = h.id AND p.refused_at IS NULL) ORDER BY h.id DESC LIMIT $3",
);
const COUNT_AMONG: Statement = Statement::read(
    "hold.count_among",
    "SELECT COUNT(*) FROM held_people WHERE hold = $1 AND organization = $2 AND membership IN_LIST($3)",
);
const PEOPLE: Statement = Statement::read(
    "hold.people",
    concat!(
        people!(),
        "WHERE p.hold = $1 AND p.organization = $2 AND p.membership > $3 ORDER BY p.membership LIMIT $4"
    ),
);
const OF_MEMBERSHIPS: Statement = Statement::read(
    "hold.of_memberships",
    "SELECT membership, hold, kind FROM held_people WHERE membership IN_LIST($1) AND organization = $2 \
     ORDER BY membership, hold LIMIT $3",
);
const HIGHEST: Statement = Statement::read(
    "hold.highest",
    "SELECT MAX(r.rank) FROM held_people p JOIN memberships m ON m.id = p.membership \
     JOIN roles r ON r.organization = m.organization AND r.slug = m.role \
     WHERE p.hold = $1 AND p.organization = $2 AND p.refused_at IS NULL",
);
const HIGHEST_OF: Statement = Statement::read(
    "hold.highest_of",
    "SELECT MAX(r.rank) FROM held_people p JOIN memberships m ON m.id = p.membership \
     JOIN roles r ON r.organization = m.organization AND r.slug = m.role \
     WHERE p.hold = $1 AND p.organization = $2 AND p.membership IN_LIST($3)",
);
const TOKENS: Statement = Statement::read(
    "hold.tokens",
    "SELECT m.id, COUNT(*) FROM memberships m JOIN tokens t ON t.membership = m.id \
     WHERE m.id IN_LIST($1) AND m.organization = $2 AND t.ended_at IS NULL \
     AND (t.expires_at IS NULL OR t.expires_at > $3) GROUP BY m.id",
);
const AGENTS: Statement = Statement::read(
    "hold.agents",
    "SELECT m.id, COUNT(*) FROM memberships m JOIN agents a ON a.owner = m.id AND a.organization = m.organization \
     WHERE m.id IN_LIST($1) AND m.organization = $2 AND a.state <> 'disabled' GROUP BY m.id",
);
const MAPPINGS: Statement = Statement::read(
    "hold.mappings",
    "SELECT DISTINCT h.membership, h.mapping FROM held_matches h JOIN mappings p ON p.id = h.mapping \
     WHERE h.hold = $1 AND p.organization = $3 AND h.membership IN_LIST($2) ORDER BY h.membership, h.mapping",
);
const SOME: Statement = Statement::read(
    "hold.some",
    concat!(
        people!(),
        "WHERE p.hold = $1 AND p.organization = $2 AND p.membership IN_LIST($3) ORDER BY p.membership"
    ),
);
const WAITING: Statement = Statement::read(
    "hold.waiting",
    concat!(
        people!(),
        "WHERE p.hold = $1 AND p.organization = $2 AND p.refused_at IS NULL AND p.membership > $3 \
         ORDER BY p.membership LIMIT $4"
    ),
);
// Whoever found, refused or released somebody of them meanwhile is done before this, and what is left is meant.
const LOCK_SOME: Statement = Statement::read(
    "hold.lock_some",
    "SELECT membership FROM held_people WHERE hold = $1 AND organization = $2 AND membership IN_LIST($3) \
     ORDER BY membership FOR UPDATE",
);
const LOCK_WAITING: Statement = Statement::read(
    "hold.lock_waiting",
    "SELECT membership FROM held_people WHERE hold = $1 AND organization = $2 AND membership IN_LIST($3) \
     AND refused_at IS NULL ORDER BY membership FOR UPDATE",
);
const KEPT_OF: Statement = Statement::read(
    "hold.kept_of",
    "SELECT DISTINCT directory_group, through, mapping, directory_user FROM held_matches \
     WHERE directory_user IN_LIST($1) ORDER BY directory_user",
);
const HOLDS_END: Statement = Statement::read(
    "hold.holds_end",
    "SELECT hold FROM held_people WHERE membership = $1 AND kind = 'endings' LIMIT 1",
);
const SPARED: Statement = Statement::read(
    "hold.spared",
    "SELECT membership FROM brake_spared WHERE membership = $1 AND unmapped_at = $2",
);
const MISSING: Statement = Statement::read(
    "hold.missing",
    "SELECT p.directory_user, p.membership FROM holds h JOIN held_people p ON p.hold = h.id \
     WHERE h.directory = $1 AND h.kind = 'missing' AND p.directory_user > $2 ORDER BY p.directory_user LIMIT $3",
);

pub(crate) const ALL: &[&Statement] = &[
    &FIND,
    &LIST,
    &LIST_OF_DIRECTORY,
    &OPEN_OF,
    &OPEN_OF_GROUP,
    &COUNT_AMONG,
    &PEOPLE,
    &OF_MEMBERSHIPS,
    &HIGHEST,
    &HIGHEST_OF,
    &TOKENS,
    &AGENTS,
    &MAPPINGS,
    &SOME,
    &WAITING,
    &LOCK_SOME,
    &LOCK_WAITING,
    &KEPT_OF,
    &HOLDS_END,
    &SPARED,
    &MISSING,
];

/// A hold as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldView {
    /// Its id.
    pub id: HoldId,
    /// The organization.
    pub organization: OrganizationId,
    /// The directory.
    pub directory: DirectoryId,
    /// What is held.
    pub kind: HoldKind,
    /// The group that it is about, and what it was called.
    pub group: Option<(DirectoryGroupId, String)>,
    /// Through which door it came.
    pub cause_kind: CauseKind,
    /// The request that made it.
    pub request: Option<RequestId>,
    /// The event that it follows from.
    pub event: Option<EventId>,
    /// When it began.
    pub opened_at: Timestamp,
    /// How many people wait.
    pub waiting: i64,
    /// How many an administrator refused.
    pub refused: i64,
}

/// A person of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldView {
    /// Who.
    pub membership: MembershipId,
    /// Why they would end.
    pub because: Option<EndedBecause>,
    /// Through which door that came.
    pub cause_kind: Option<CauseKind>,
    /// In which request.
    pub request: Option<RequestId>,
    /// From which event it follows.
    pub event: Option<EventId>,
    /// Since when.
    pub held_at: Timestamp,
    /// Where it stands.
    pub state: HeldState,
    /// The person as the poll missed them.
    pub directory_user: Option<DirectoryUserId>,
    /// Their address here.
    pub email: String,
    /// Their name here.
    pub name: String,
    /// Their role, which whoever decides must reach.
    pub role: Option<Slug>,
}

/// What somebody of a hold would lose, if it were carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WouldLose {
    /// Tokens that act as them.
    pub tokens: i64,
    /// Agents that they own.
    pub agents: i64,
    /// Mappings that give them something by a group that they are in no longer.
    pub mappings: Vec<MappingId>,
}

/// The group that it is about, and what it was called.
fn group(columns: &mut Columns<'_>) -> Result<Option<(DirectoryGroupId, String)>, StoreError> {
    let (id, name) = (columns.read(Row::opt_parsed)?, columns.read(Row::opt_text)?);
    Ok(id.zip(name.map(str::to_owned)))
}

fn read(row: &Row) -> Result<HoldView, StoreError> {
    let mut columns = row.columns();
    let hold = HoldView {
        id: columns.read(Row::parsed)?,
        organization: columns.read(Row::parsed)?,
        directory: columns.read(Row::parsed)?,
        kind: columns.read(Row::parsed)?,
        group: group(&mut columns)?,
        cause_kind: columns.read(Row::parsed)?,
        request: columns.read(Row::opt_parsed)?,
        event: columns.read(Row::opt_parsed)?,
        opened_at: columns.read(Row::at)?,
        waiting: columns.read(Row::int)?,
        refused: columns.read(Row::int)?,
    };
    columns.done()?;
    Ok(hold)
}

/// Where somebody stands who was held.
fn state(columns: &mut Columns<'_>) -> Result<HeldState, StoreError> {
    Ok(if columns.read(Row::opt_at)?.is_some() { HeldState::Refused } else { HeldState::Held })
}

fn read_person(row: &Row) -> Result<HeldView, StoreError> {
    let mut columns = row.columns();
    let held = HeldView {
        membership: columns.read(Row::parsed)?,
        because: columns.read(Row::opt_parsed)?,
        cause_kind: columns.read(Row::opt_parsed)?,
        request: columns.read(Row::opt_parsed)?,
        event: columns.read(Row::opt_parsed)?,
        held_at: columns.read(Row::at)?,
        state: state(&mut columns)?,
        directory_user: columns.read(Row::opt_parsed)?,
        email: columns.read(Row::text)?.to_owned(),
        name: columns.read(Row::text)?.to_owned(),
        role: columns.read(Row::opt_parsed)?,
    };
    columns.done()?;
    Ok(held)
}

/// A hold of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: HoldId,
) -> Result<Option<HoldView>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// Which holds are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct HoldFilter {
    /// Those of this directory.
    pub directory: Option<DirectoryId>,
    /// Those in this state.
    pub state: Option<HoldState>,
}

/// A page of holds in order of id, after `after`.
///
/// # Errors
/// As [`find`].
pub fn list_page(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    wanted: HoldFilter,
    after: &str,
    limit: i64,
) -> Result<Vec<HoldView>, StoreError> {
    let state = wanted.state.map_or("", HoldState::as_str);
    let rows = match wanted.directory {
        None => tx.rows(&LIST, params![organization, after, limit, state])?,
        Some(directory) => {
            tx.rows(&LIST_OF_DIRECTORY, params![organization, directory, after, limit, state])?
        }
    };
    rows.iter().map(read).collect()
}

/// The hold of that kind that gathers on, if anybody waits in one.
///
/// # Errors
/// As [`find`].
pub fn open_of(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    kind: HoldKind,
) -> Result<Option<HoldId>, StoreError> {
    tx.row(&OPEN_OF, params![directory, kind.as_str()])?.map(|row| row.parsed(0)).transpose()
}

/// The newest hold of what that group lost on which somebody waits for a decision and that all of these people are in.
///
/// # Errors
/// As [`find`].
pub fn open_with(
    tx: &mut Tx<'_>,
    (organization, directory, group): (OrganizationId, DirectoryId, DirectoryGroupId),
    people: &[MembershipId],
) -> Result<Option<HoldId>, StoreError> {
    for row in tx.rows(&OPEN_OF_GROUP, params![directory, group, MAX_OPEN_OF_GROUP])? {
        let hold: HoldId = row.parsed(0)?;
        let mut among = 0;
        for some in people.chunks(MAX_LIST) {
            let row = tx.row(&COUNT_AMONG, params![hold, organization, list(some)])?;
            among += row.map_or(Ok(0), |row| row.int(0))?;
        }
        if among == bound(people.len()) {
            return Ok(Some(hold));
        }
    }
    Ok(None)
}

/// A page of a hold's people in order of membership, after `after`.
///
/// # Errors
/// As [`find`].
pub fn people(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: HoldId,
    after: &str,
    limit: i64,
) -> Result<Vec<HeldView>, StoreError> {
    tx.rows(&PEOPLE, params![id, organization, after, limit])?.iter().map(read_person).collect()
}

/// These people of a hold, in order of membership; 1,000 at most.
///
/// # Errors
/// As [`find`].
pub fn some_people(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: HoldId,
    people: &[MembershipId],
) -> Result<Vec<HeldView>, StoreError> {
    tx.rows(&SOME, params![id, organization, list(people)])?.iter().map(read_person).collect()
}

/// A page of a hold's people who wait, in order of membership, after `after`.
///
/// # Errors
/// As [`find`].
pub fn waiting_people(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: HoldId,
    after: &str,
    limit: i64,
) -> Result<Vec<HeldView>, StoreError> {
    tx.rows(&WAITING, params![id, organization, after, limit])?.iter().map(read_person).collect()
}

/// Whom of a hold a decision is about, if they are in it still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Still {
    /// Also those whose part was refused.
    Held,
    /// Those who wait.
    Waiting,
}

/// Holds these people of a hold; who of them is still in it, 1,000 at most.
///
/// # Errors
/// As [`find`].
pub fn lock_people(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: HoldId,
    (people, whom): (&[MembershipId], Still),
) -> Result<Vec<MembershipId>, StoreError> {
    let statement = match whom {
        Still::Held => &LOCK_SOME,
        Still::Waiting => &LOCK_WAITING,
    };
    tx.rows(statement, params![id, organization, list(people)])?.iter().map(|row| row.parsed(0)).collect()
}

/// The rank of the highest role among a hold's people: those who are named, or all who wait.
///
/// # Errors
/// As [`find`].
pub fn highest(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: HoldId,
    named: Option<&[MembershipId]>,
) -> Result<Option<Rank>, StoreError> {
    let row = match named {
        None => tx.row(&HIGHEST, params![id, organization])?,
        Some(named) => tx.row(&HIGHEST_OF, params![id, organization, list(named)])?,
    };
    row.map_or(Ok(None), |row| row.opt_rank(0))
}

/// What these people of a hold would lose now; 1,000 at most.
///
/// # Errors
/// As [`find`].
pub fn would_lose(
    tx: &mut Tx<'_>,
    (organization, hold): (OrganizationId, HoldId),
    kind: HoldKind,
    people: &[MembershipId],
    now: Timestamp,
) -> Result<BTreeMap<MembershipId, WouldLose>, StoreError> {
    let mut all: BTreeMap<MembershipId, WouldLose> = BTreeMap::new();
    if kind == HoldKind::Losses {
        for row in tx.rows(&MAPPINGS, params![hold, list(people), organization])? {
            all.entry(row.parsed(0)?).or_default().mappings.push(row.parsed(1)?);
        }
        return Ok(all);
    }
    for row in tx.rows(&TOKENS, params![list(people), organization, now])? {
        all.entry(row.parsed(0)?).or_default().tokens = row.int(1)?;
    }
    for row in tx.rows(&AGENTS, params![list(people), organization])? {
        all.entry(row.parsed(0)?).or_default().agents = row.int(1)?;
    }
    Ok(all)
}

/// What is held of these memberships, in order of hold; 1,000 memberships at most.
///
/// # Errors
/// As [`find`].
pub fn of_memberships(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    people: &[MembershipId],
) -> Result<BTreeMap<MembershipId, Vec<(HoldId, HoldKind)>>, StoreError> {
    let mut all: BTreeMap<MembershipId, Vec<_>> = BTreeMap::new();
    for row in tx.rows(&OF_MEMBERSHIPS, params![list(people), organization, MAX_OF_PAGE])? {
        all.entry(row.parsed(0)?).or_default().push((row.parsed(1)?, row.parsed(2)?));
    }
    Ok(all)
}

/// Whether a membership's end is held.
///
/// # Errors
/// As [`find`].
pub fn holds_end(tx: &mut Tx<'_>, id: MembershipId) -> Result<bool, StoreError> {
    Ok(tx.row(&HOLDS_END, params![id])?.is_some())
}

/// Whether what that membership has been without since then was taken by an administrator's rules.
///
/// # Errors
/// As [`find`].
pub fn is_spared(tx: &mut Tx<'_>, id: MembershipId, unmapped_at: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.row(&SPARED, params![id, unmapped_at])?.is_some())
}

/// What these people keep of groups, because it is held, each with those who keep it.
///
/// # Errors
/// As [`find`].
pub fn kept_of(
    tx: &mut Tx<'_>,
    users: &[DirectoryUserId],
) -> Result<BTreeMap<Kept, Vec<DirectoryUserId>>, StoreError> {
    let mut all: BTreeMap<Kept, Vec<DirectoryUserId>> = BTreeMap::new();
    for some in users.chunks(MAX_LIST) {
        for row in tx.rows(&KEPT_OF, params![list(some)])? {
            let kept = Kept { group: row.parsed(0)?, through: row.parsed(1)?, mapping: row.parsed(2)? };
            all.entry(kept).or_default().push(row.parsed(3)?);
        }
    }
    Ok(all)
}

/// A page of the people whom a poll missed and who are held, after the directory user `after`.
///
/// # Errors
/// As [`find`].
pub fn missing(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    after: &str,
    limit: i64,
) -> Result<Vec<(DirectoryUserId, MembershipId)>, StoreError> {
    let rows = tx.rows(&MISSING, params![directory, after, limit])?;
    rows.iter().map(|row| Ok((row.parsed(0)?, row.parsed(1)?))).collect()
}
