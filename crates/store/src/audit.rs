//! The audit log: written in the transaction that changes access, numbered and linked after it.

use portcullis_domain::audit::{self, EventDraft, SALT_BYTES, Target};
use portcullis_domain::cause::Cause;
use portcullis_domain::id::{DirectoryId, EventId, OrganizationId, RequestId, TokenId};
use portcullis_domain::{Random, Timestamp};
use serde::Deserialize;

use crate::row::{Row, Waiting, list};
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// How many events are looked at, a page, for those that one request caused, that somebody did, or that are of one action: some
/// seconds of a busy import.
pub const MAX_LOOKED_AT: i64 = 10_000;
/// Digits of an id that say when it was made (RFC 9562 §5.7).
const TIME_DIGITS: usize = 12;

const INSERT: Statement = Statement::change(
    "audit.insert",
    "INSERT INTO audit_events (id, organization, action, actor, target, second_target, content, salt, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);

macro_rules! columns {
    () => {
        "id, content, salt, number, commitment, link"
    };
}

const LIST: Statement = Statement::read(
    "audit.list",
    concat!(
        "SELECT ",
        columns!(),
        " FROM audit_events WHERE organization = $1 AND id > $2 AND created_at >= $3 ORDER BY id LIMIT $4"
    ),
);
/// The first so many that were done to that, behind that one. The organization is compared as no index has it: its own index
/// would be walked from there for a few of its rows.
macro_rules! of_target {
    () => {
        "SELECT id FROM (\
         SELECT id FROM (SELECT id FROM audit_events WHERE target = $3 AND organization || '' = $1 AND id > $2 \
         ORDER BY id LIMIT $4) one \
         UNION SELECT id FROM (SELECT id FROM audit_events WHERE second_target = $3 AND organization || '' = $1 AND id > $2 \
         ORDER BY id LIMIT $4) other) either ORDER BY id"
    };
}

const LIST_OF_TARGET: Statement = Statement::read(
    "audit.list_of_target",
    concat!(
        "SELECT ",
        columns!(),
        " FROM audit_events WHERE organization = $1 AND created_at >= $5 \
         AND (CAST($6 AS TEXT) = '' OR action = $6) AND (CAST($7 AS TEXT) = '' OR actor = $7) AND id IN (",
        of_target!(),
        " LIMIT $4) ORDER BY id LIMIT $8"
    ),
);
const LAST_OF_TARGET: Statement =
    Statement::read("audit.last_of_target", concat!(of_target!(), " LIMIT 1 OFFSET $5"));
/// Of the events after that one so many are looked at: no index finds an action or who did it, and whoever asks for what is
/// not there would keep a thread for as long as the whole log takes.
const LIST_NARROWED: Statement = Statement::read(
    "audit.list_narrowed",
    concat!(
        "SELECT ",
        columns!(),
        " FROM (SELECT ",
        columns!(),
        ", action, actor FROM audit_events WHERE organization = $1 AND id > $2 AND created_at >= $3 \
         ORDER BY id LIMIT $6) looked_at \
         WHERE (CAST($4 AS TEXT) = '' OR action = $4) AND (CAST($5 AS TEXT) = '' OR actor = $5) \
         ORDER BY id LIMIT $7"
    ),
);
const LAST_LOOKED_AT: Statement = Statement::read(
    "audit.last_looked_at",
    "SELECT id FROM audit_events WHERE organization = $1 AND id > $2 AND created_at >= $3 ORDER BY id LIMIT 1 OFFSET $4",
);
/// Of the events after that one so many are looked at: no index finds what a request caused, and an index that did would
/// be written with every event.
const LIST_OF_REQUEST: Statement = Statement::read(
    "audit.list_of_request",
    concat!(
        "SELECT ",
        columns!(),
        " FROM (SELECT ",
        columns!(),
        ", action, actor, target, second_target FROM audit_events \
         WHERE organization = $1 AND id > $2 AND created_at >= $3 ORDER BY id LIMIT $6) looked_at \
         WHERE content LIKE $5 AND (CAST($4 AS TEXT) = '' OR action = $4) \
         AND (CAST($7 AS TEXT) = '' OR actor = $7) \
         AND (CAST($8 AS TEXT) = '' OR target = $8 OR second_target = $8) ORDER BY id LIMIT $9"
    ),
);
/// In order of number, which is the order in which events came to be seen.
const LIST_NUMBERED: Statement = Statement::read(
    "audit.list_numbered",
    concat!(
        "SELECT ",
        columns!(),
        " FROM audit_events WHERE organization = $1 AND number > $2 AND number <= $8 AND number IS NOT NULL \
         AND created_at >= $3 AND (CAST($4 AS TEXT) = '' OR action = $4) AND (CAST($5 AS TEXT) = '' OR actor = $5) \
         AND (CAST($6 AS TEXT) = '' OR target = $6 OR second_target = $6) ORDER BY number LIMIT $7"
    ),
);
const FIND: Statement = Statement::read(
    "audit.find",
    concat!("SELECT ", columns!(), " FROM audit_events WHERE organization = $1 AND id = $2"),
);
const WAITING: Statement = Statement::read(
    "audit.waiting",
    "SELECT id, organization, content, salt, action, created_at FROM audit_events WHERE number IS NULL \
     AND organization NOT IN_LIST($2) ORDER BY id LIMIT $1",
);
const NUMBER: Statement = Statement::note(
    "audit.number",
    "UPDATE audit_events SET number = $2, commitment = $3, link = $4 WHERE id = $1 AND number IS NULL",
);
const HEAD: Statement =
    Statement::read("audit.head", "SELECT number, link, jws, at FROM audit_heads WHERE organization = $1");
const LAST_NUMBER: Statement = Statement::read(
    "audit.last_number",
    "SELECT MAX(number) FROM audit_events WHERE organization = $1 AND number IS NOT NULL",
);
const PUT_HEAD: Statement = Statement::note(
    "audit.put_head",
    "INSERT INTO audit_heads (organization, number, link, jws, at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (organization) DO UPDATE SET number = excluded.number, link = excluded.link, \
     jws = excluded.jws, at = excluded.at",
);
const EXPORT: Statement = Statement::read(
    "audit.export",
    concat!(
        "SELECT ",
        columns!(),
        " FROM audit_events WHERE organization = $1 AND number > $2 AND number IS NOT NULL ORDER BY number LIMIT $3"
    ),
);
const WAITING_OF: Statement = Statement::read(
    "audit.waiting_of",
    "SELECT COUNT(*), MIN(created_at) FROM audit_events WHERE organization || '' = $1 AND number IS NULL",
);
const COUNT_WAITING: Statement =
    Statement::read("audit.count_waiting", "SELECT COUNT(*) FROM audit_events WHERE number IS NULL");

pub(crate) const ALL: &[&Statement] = &[
    &INSERT,
    &LIST,
    &LIST_NARROWED,
    &LAST_LOOKED_AT,
    &LIST_OF_TARGET,
    &LAST_OF_TARGET,
    &LIST_OF_REQUEST,
    &LIST_NUMBERED,
    &FIND,
    &WAITING,
    &NUMBER,
    &HEAD,
    &LAST_NUMBER,
    &PUT_HEAD,
    &EXPORT,
    &WAITING_OF,
    &COUNT_WAITING,
];

/// What a list of events is narrowed to. Empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// The id of who did it, or `root` or `system`.
    pub actor: String,
    /// The id of what it was done to.
    pub target: String,
    /// What was done.
    pub action: String,
    /// Not before that moment.
    pub since: Option<Timestamp>,
    /// What that request caused, among the [`MAX_LOOKED_AT`] events from when it came.
    pub request: Option<RequestId>,
}

impl AuditFilter {
    /// Whether no index finds what is asked for: so many events are looked through a page, of a target or of all.
    const fn is_looked_through(&self) -> bool {
        (!self.action.is_empty() || !self.actor.is_empty()) && self.request.is_none()
    }
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its id.
    pub id: EventId,
    /// Its content, as canonical JSON text.
    pub content: String,
    /// Its salt, in hexadecimal digits.
    pub salt: String,
    /// Its number, once the sequencer gave it one.
    pub number: Option<i64>,
    /// Its commitment, in hexadecimal digits.
    pub commitment: Option<String>,
    /// Its link, in hexadecimal digits.
    pub link: Option<String>,
}

/// An event that waits for its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingEvent {
    /// Its id.
    pub id: EventId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its content, as canonical JSON text.
    pub content: String,
    /// Its salt, in hexadecimal digits.
    pub salt: String,
    /// What was done.
    pub action: String,
    /// When.
    pub created_at: Timestamp,
}

/// The head of an organization's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The number of its last event.
    pub number: i64,
    /// That event's link, in hexadecimal digits.
    pub link: String,
    /// The signature over both.
    pub jws: String,
    /// When it was signed.
    pub at: Timestamp,
}

/// Writes an event; its id.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    draft: &EventDraft,
    cause: &Cause,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<EventId, StoreError> {
    let id = EventId::nth(now, tx.next_event(), random);
    let mut salt = [0_u8; SALT_BYTES];
    random.fill(&mut salt);
    let content = audit::content(id, organization, now, draft, cause)
        .map_err(|error| StoreError::Fault(format!("an event: {error}")))?;
    let target = |n: usize| draft.targets.get(n).map_or("", |t: &Target| t.id.as_str());
    let mut actor = cause.actor.id();
    if actor.is_empty() {
        cause.actor.kind().clone_into(&mut actor);
    }
    tx.run(
        &INSERT,
        params![
            id,
            organization,
            draft.action.as_str(),
            actor,
            target(0),
            target(1),
            content,
            hex::encode(salt),
            now,
        ],
    )?;
    Ok(id)
}

fn read(row: &Row) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        id: row.parsed(0)?,
        content: row.text(1)?.to_owned(),
        salt: row.text(2)?.to_owned(),
        number: row.opt_int(3)?,
        commitment: row.opt_text(4)?.map(str::to_owned),
        link: row.opt_text(5)?.map(str::to_owned),
    })
}

/// A page of events in order of id, which is the order in which their transactions began. On PostgreSQL one that was begun
/// early may be committed late: whoever follows the log goes by [`numbered_page`].
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn list_page(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    filter: &AuditFilter,
    after: &str,
    limit: i64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let since = filter.since.unwrap_or(Timestamp::EPOCH);
    let beginning = beginning_of(since);
    let after = if after > beginning.as_str() { after } else { beginning.as_str() };
    if let Some(request) = filter.request {
        let first = first_event_of(request);
        let after = if after > first.as_str() { after } else { first.as_str() };
        let named = format!("%\"request_id\":\"{request}\"%");
        let params = params![
            organization,
            after,
            since,
            filter.action,
            named,
            MAX_LOOKED_AT,
            filter.actor,
            filter.target,
            limit
        ];
        return tx.rows(&LIST_OF_REQUEST, params)?.iter().map(read).collect();
    }
    let rows = if !filter.target.is_empty() {
        let params = params![
            organization,
            after,
            filter.target,
            MAX_LOOKED_AT,
            since,
            filter.action,
            filter.actor,
            limit
        ];
        tx.rows(&LIST_OF_TARGET, params)?
    } else if filter.is_looked_through() {
        let params = params![organization, after, since, filter.action, filter.actor, MAX_LOOKED_AT, limit];
        tx.rows(&LIST_NARROWED, params)?
    } else {
        tx.rows(&LIST, params![organization, after, since, limit])?
    };
    rows.iter().map(read).collect()
}

/// A page of events that have their number, in order of it, behind number `after`. An event that was committed has a higher
/// number than all that had one before: behind the last that was read, none is missed. It looks at [`MAX_LOOKED_AT`] numbers:
/// which one to look further from, where that were too few. What `filter` says of a request is not looked at.
///
/// # Errors
/// As [`list_page`].
pub fn numbered_page(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    filter: &AuditFilter,
    after: i64,
    limit: i64,
) -> Result<(Vec<StoredEvent>, Option<i64>), StoreError> {
    let since = filter.since.unwrap_or(Timestamp::EPOCH);
    let up_to = after.saturating_add(MAX_LOOKED_AT);
    let params =
        params![organization, after, since, filter.action, filter.actor, filter.target, limit, up_to];
    let page: Vec<StoredEvent> =
        tx.rows(&LIST_NUMBERED, params)?.iter().map(read).collect::<Result<_, _>>()?;
    let is_full = i64::try_from(page.len()).is_ok_and(|many| many >= limit);
    let goes_on = !is_full && head(tx, organization)?.is_some_and(|head| head.number > up_to);
    Ok((page, goes_on.then_some(up_to)))
}

/// The last of the [`MAX_LOOKED_AT`] events that [`list_page`] looks at for such a page, if there are so many: more may be
/// found after it.
///
/// # Errors
/// As [`list_page`].
pub fn last_looked_at(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    filter: &AuditFilter,
    after: &str,
) -> Result<Option<EventId>, StoreError> {
    if !filter.is_looked_through() {
        return Ok(None);
    }
    let since = filter.since.unwrap_or(Timestamp::EPOCH);
    let beginning = beginning_of(since);
    let after = if after > beginning.as_str() { after } else { beginning.as_str() };
    let before_last = MAX_LOOKED_AT - 1;
    let row = if filter.target.is_empty() {
        tx.row(&LAST_LOOKED_AT, params![organization, after, since, before_last])?
    } else {
        tx.row(&LAST_OF_TARGET, params![organization, after, filter.target, MAX_LOOKED_AT, before_last])?
    };
    row.map(|row| row.parsed(0)).transpose()
}

/// What sorts before every event of that instant and later: ids begin with the time, in milliseconds (RFC 9562 §5.7).
fn beginning_of(since: Timestamp) -> String {
    let millis = since.micros().max(0) / 1000;
    format!("{}_{millis:0width$x}", EventId::PREFIX, width = TIME_DIGITS)
}

/// What sorts before every event of that request: ids begin with the time.
fn first_event_of(request: RequestId) -> String {
    let text = request.to_string();
    let time = text.split_once('_').and_then(|(_, digits)| digits.get(..TIME_DIGITS)).unwrap_or_default();
    format!("{}_{time}", EventId::PREFIX)
}

/// An event of that organization.
///
/// # Errors
/// As [`list_page`].
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: EventId,
) -> Result<Option<StoredEvent>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// The cause of what follows from an event by the rules, later: the event, and the request, the directory and the token that it
/// was because of. An end waits for nothing: where somebody damaged the log, it leads back to the event and no further.
///
/// # Errors
/// As [`list_page`].
pub fn following(tx: &mut Tx<'_>, organization: OrganizationId, id: EventId) -> Result<Cause, StoreError> {
    #[derive(Default, Deserialize)]
    struct Because {
        request_id: Option<RequestId>,
        directory: Option<DirectoryId>,
        token: Option<TokenId>,
    }
    #[derive(Default, Deserialize)]
    struct Content {
        cause: Because,
    }
    let found = find(tx, organization, id)?;
    let content: Content =
        found.and_then(|event| serde_json::from_str(&event.content).ok()).unwrap_or_default();
    let Because { request_id: request, directory, token } = content.cause;
    Ok(Cause { event: Some(id), token, request, directory, ..Cause::rule() })
}

/// Events that wait for their number, oldest first, each beside its organization as it stands in the row: one that does not
/// read keeps no other waiting. None of those organizations, 1,000 at most.
///
/// # Errors
/// As [`list_page`].
pub fn waiting(
    tx: &mut Tx<'_>,
    but: &[String],
    limit: i64,
) -> Result<Vec<Waiting<WaitingEvent>>, StoreError> {
    let rows = tx.rows(&WAITING, params![limit, list(but)])?;
    rows.iter().map(|row| Ok((row.text(1)?.to_owned(), read_waiting(row)))).collect()
}

fn read_waiting(row: &Row) -> Result<WaitingEvent, StoreError> {
    Ok(WaitingEvent {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        content: row.text(2)?.to_owned(),
        salt: row.text(3)?.to_owned(),
        action: row.text(4)?.to_owned(),
        created_at: row.at(5)?,
    })
}

/// How many events wait.
///
/// # Errors
/// As [`list_page`].
pub fn count_waiting(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    tx.row(&COUNT_WAITING, &[])?.map_or(Ok(0), |r| r.int(0))
}

/// How many events of an organization wait, and since when the oldest does.
///
/// # Errors
/// As [`list_page`].
pub fn waiting_of(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
) -> Result<(i64, Option<Timestamp>), StoreError> {
    tx.row(&WAITING_OF, params![organization])?.map_or(Ok((0, None)), |row| Ok((row.int(0)?, row.opt_at(1)?)))
}

/// Gives an event its number, commitment and link.
///
/// # Errors
/// As [`list_page`].
pub fn number(
    tx: &mut Tx<'_>,
    id: EventId,
    number: i64,
    commitment: &str,
    link: &str,
) -> Result<(), StoreError> {
    tx.run(&NUMBER, params![id, number, commitment, link]).map(|_| ())
}

/// The head of an organization's chain.
///
/// # Errors
/// As [`list_page`].
pub fn head(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<Option<Head>, StoreError> {
    let Some(row) = tx.row(&HEAD, params![organization])? else { return Ok(None) };
    Ok(Some(Head {
        number: row.int(0)?,
        link: row.text(1)?.to_owned(),
        jws: row.text(2)?.to_owned(),
        at: row.at(3)?,
    }))
}

/// The number of the last event of an organization that has one.
///
/// # Errors
/// As [`list_page`].
pub fn last_number(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<Option<i64>, StoreError> {
    tx.row(&LAST_NUMBER, params![organization])?.map_or(Ok(None), |row| row.opt_int(0))
}

/// Keeps the head of an organization's chain.
///
/// # Errors
/// As [`list_page`].
pub fn put_head(tx: &mut Tx<'_>, organization: OrganizationId, head: &Head) -> Result<(), StoreError> {
    tx.run(&PUT_HEAD, params![organization, head.number, head.link, head.jws, head.at]).map(|_| ())
}

/// A page of numbered events in order, after number `after`: what an export holds.
///
/// # Errors
/// As [`list_page`].
pub fn export_page(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: i64,
    limit: i64,
) -> Result<Vec<StoredEvent>, StoreError> {
    tx.rows(&EXPORT, params![organization, after, limit])?.iter().map(read).collect()
}
