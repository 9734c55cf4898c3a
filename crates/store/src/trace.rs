//! Traces of sign-ins and directory calls: what came, which check decided. Bounded by count and by age.
//!
//! What nobody vouches for, a refused sign-in that is about nobody or a directory's call without its token, is counted apart,
//! by outcome: anybody can bring it about, and what it pushes out is its like. Of the rest the calls of directories that
//! succeeded go first: an import has hundreds of thousands, and what was refused in it is what somebody looks for.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{OrganizationId, RequestId, TraceId};

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// Sorts behind every trace's id: where the newest page begins.
const BEHIND_ALL: &str = "~";

macro_rules! columns {
    () => {
        "id, organization, kind, outcome, subject, request_id, content, created_at, source"
    };
}

/// What nobody vouches for: a sign-in that was refused before it was known of whom it spoke, a call without its token.
macro_rules! unproven {
    () => {
        "((kind = 'sign_in' AND subject = '') OR (kind = 'directory' AND outcome = 'unauthenticated'))"
    };
}

/// A call of a directory that succeeded.
macro_rules! succeeded {
    () => {
        "kind = 'directory' AND outcome = 'ok'"
    };
}

/// Of the traces that an organization keeps, the part that its directories' newest calls have of right which succeeded: one
/// in so many. Who asks why a value arrived finds the last run of the provider also while everything is refused.
const PART_OF_SUCCEEDED: i64 = 10;

const INSERT: Statement = Statement::note(
    "trace.insert",
    concat!(
        "INSERT INTO traces (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING"
    ),
);
const PRUNE_BY_AGE: Statement = Statement::note(
    "trace.prune_by_age",
    "DELETE FROM traces WHERE id IN \
     (SELECT id FROM traces WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
);
const PRUNE_OTHERS: Statement = Statement::note(
    "trace.prune_others",
    concat!(
        "DELETE FROM traces WHERE id IN (SELECT id FROM traces WHERE organization = $1 AND NOT ",
        unproven!(),
        " AND NOT (",
        succeeded!(),
        ") ORDER BY id LIMIT $2)"
    ),
);
const PRUNE_SUCCEEDED: Statement = Statement::note(
    "trace.prune_succeeded",
    concat!(
        "DELETE FROM traces WHERE id IN (SELECT id FROM traces WHERE organization = $1 AND ",
        succeeded!(),
        " AND id < (SELECT id FROM traces WHERE organization = $1 AND ",
        succeeded!(),
        " ORDER BY id DESC LIMIT 1 OFFSET $2) ORDER BY id LIMIT $3)"
    ),
);
const COUNT_TOO_MANY: Statement = Statement::read(
    "trace.count_too_many",
    concat!(
        "SELECT COUNT(*) FROM (SELECT id FROM traces WHERE organization = $1 AND NOT ",
        unproven!(),
        " ORDER BY id DESC LIMIT $3 OFFSET $2) AS older"
    ),
);
const PRUNE_UNPROVEN: Statement = Statement::note(
    "trace.prune_unproven",
    concat!(
        "DELETE FROM traces WHERE organization = $1 AND id IN (SELECT id FROM (SELECT id, ROW_NUMBER() OVER \
         (PARTITION BY outcome ORDER BY id DESC) AS place FROM traces WHERE organization = $1 AND ",
        unproven!(),
        ") AS placed WHERE place > $2 ORDER BY id LIMIT $3)"
    ),
);
const FIND_OLD: Statement = Statement::read(
    "trace.find_old",
    "SELECT id FROM traces WHERE created_at < $1 ORDER BY created_at LIMIT 1",
);
const FIND_TOO_MANY_UNPROVEN: Statement = Statement::read(
    "trace.find_too_many_unproven",
    concat!(
        "SELECT id FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY outcome ORDER BY id DESC) AS place FROM traces \
         WHERE organization = $1 AND ",
        unproven!(),
        ") AS placed WHERE place > $2 LIMIT 1"
    ),
);
const FIND: Statement = Statement::read(
    "trace.find",
    concat!("SELECT ", columns!(), " FROM traces WHERE organization = $1 AND id = $2"),
);
const LIST: Statement = Statement::read(
    "trace.list",
    concat!(
        "SELECT ",
        columns!(),
        " FROM traces WHERE organization = $1 AND id < $2 AND (CAST($3 AS TEXT) = '' OR kind = $3) \
         AND (CAST($4 AS TEXT) = '' OR outcome = $4) AND (CAST($5 AS TEXT) = '' OR source = $5) \
         AND (CAST($6 AS TEXT) = '' OR subject = $6) AND (CAST($7 AS TEXT) = '' OR request_id = $7) \
         AND created_at >= $8 AND created_at < $9 ORDER BY id DESC LIMIT $10"
    ),
);

/// The statements about traces.
pub(crate) const ALL: &[&Statement] = &[
    &INSERT,
    &PRUNE_BY_AGE,
    &PRUNE_OTHERS,
    &PRUNE_SUCCEEDED,
    &PRUNE_UNPROVEN,
    &COUNT_TOO_MANY,
    &FIND_OLD,
    &FIND_TOO_MANY_UNPROVEN,
    &FIND,
    &LIST,
];

/// The record of one sign-in or directory call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// The organization.
    pub organization: OrganizationId,
    /// What it is a trace of, such as `sign_in`.
    pub kind: String,
    /// How it ended: a stable code.
    pub outcome: String,
    /// Whom or what it was about.
    pub subject: String,
    /// The directory or connection that it came by.
    pub source: Option<String>,
    /// The request.
    pub request: Option<RequestId>,
    /// What came and which check decided, as JSON text with secrets masked.
    pub content: String,
    /// When.
    pub created_at: Timestamp,
}

/// What a list of traces is narrowed to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceFilter<'a> {
    /// A kind.
    pub kind: Option<&'a str>,
    /// An outcome.
    pub outcome: Option<&'a str>,
    /// The id of a directory or connection.
    pub source: Option<&'a str>,
    /// Whom or what it was about.
    pub subject: Option<&'a str>,
    /// A request, as its caller saw it.
    pub request: Option<&'a str>,
    /// Not before that moment.
    pub since: Option<Timestamp>,
    /// Before that moment.
    pub until: Option<Timestamp>,
}

fn read(row: &Row) -> Result<Trace, StoreError> {
    Ok(Trace {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        kind: row.text(2)?.to_owned(),
        outcome: row.text(3)?.to_owned(),
        subject: row.text(4)?.to_owned(),
        request: row.opt_parsed(5)?,
        content: row.text(6)?.to_owned(),
        created_at: row.at(7)?,
        source: row.opt_text(8)?.map(str::to_owned),
    })
}

/// Keeps traces, as many as the caller gathered.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn insert(tx: &mut Tx<'_>, traces: &[Trace]) -> Result<(), StoreError> {
    for t in traces {
        tx.run(
            &INSERT,
            params![
                t.id,
                t.organization,
                t.kind,
                t.outcome,
                t.subject,
                t.request,
                t.content,
                t.created_at,
                t.source
            ],
        )?;
    }
    Ok(())
}

/// A trace of that organization.
///
/// # Errors
/// As [`insert`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: TraceId) -> Result<Option<Trace>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// A page of traces, newest first, older than `after`.
///
/// # Errors
/// As [`insert`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    filter: TraceFilter<'_>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Trace>, StoreError> {
    let after = after.unwrap_or(BEHIND_ALL);
    let [kind, outcome, source, subject, request] =
        [filter.kind, filter.outcome, filter.source, filter.subject, filter.request]
            .map(Option::unwrap_or_default);
    let since = filter.since.unwrap_or(Timestamp::EPOCH);
    let until = filter.until.unwrap_or(Timestamp::from_micros(i64::MAX));
    let params = params![organization, after, kind, outcome, source, subject, request, since, until, limit];
    tx.rows(&LIST, params)?.iter().map(read).collect()
}

/// Forgets traces from before `before`, the oldest first, `limit` at most; how many were forgotten.
///
/// # Errors
/// As [`insert`].
pub fn prune_by_age(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.run(&PRUNE_BY_AGE, params![before, limit])
}

/// Whether there is anything for [`prune_by_age`] to forget.
///
/// # Errors
/// As [`insert`].
pub fn has_old(tx: &mut Tx<'_>, before: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.row(&FIND_OLD, params![before])?.is_some())
}

/// Whether there is anything for [`prune_by_count`] or [`prune_unproven`] to forget.
///
/// # Errors
/// As [`insert`].
pub fn has_too_many(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    keep: i64,
    of_unproven: i64,
) -> Result<bool, StoreError> {
    let counted = tx.row(&COUNT_TOO_MANY, params![organization, keep, 1_i64])?;
    if counted.map_or(Ok(0), |row| row.int(0))? > 0 {
        return Ok(true);
    }
    Ok(tx.row(&FIND_TOO_MANY_UNPROVEN, params![organization, of_unproven])?.is_some())
}

/// Forgets what an organization has beyond `keep` traces, `limit` at most; how many were forgotten. Calls of directories that
/// succeeded go first, but for their newest, then the oldest of the others. What nobody vouches for is neither counted nor
/// forgotten here: [`prune_unproven`].
///
/// # Errors
/// As [`insert`].
pub fn prune_by_count(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    keep: i64,
    limit: i64,
) -> Result<u64, StoreError> {
    let counted = tx.row(&COUNT_TOO_MANY, params![organization, keep, limit])?;
    let too_many = counted.map_or(Ok(0), |row| row.int(0))?;
    if too_many == 0 {
        return Ok(0);
    }
    // The newest is kept in any case.
    let newest = (keep / PART_OF_SUCCEEDED).saturating_sub(1).max(0);
    let forgotten = tx.run(&PRUNE_SUCCEEDED, params![organization, newest, too_many])?;
    let rest = too_many - i64::try_from(forgotten).unwrap_or(too_many);
    if rest <= 0 {
        return Ok(forgotten);
    }
    Ok(forgotten + tx.run(&PRUNE_OTHERS, params![organization, rest])?)
}

/// Forgets what an organization has beyond the newest `keep` of each outcome of what nobody vouches for, the oldest first,
/// `limit` at most; how many were forgotten.
///
/// # Errors
/// As [`insert`].
pub fn prune_unproven(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    keep: i64,
    limit: i64,
) -> Result<u64, StoreError> {
    tx.run(&PRUNE_UNPROVEN, params![organization, keep, limit])
}
