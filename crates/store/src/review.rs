//! Reviews of matches. Notes: a review gives and takes nothing; whoever attaches somebody does it by a change.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{DirectoryId, OrganizationId, ReviewId};
use portcullis_domain::review::{Review, ReviewState};

use crate::row::{Row, list as json_list};
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

macro_rules! columns {
    () => {
        "r.id, r.organization, r.directory, r.directory_user, r.reason, r.candidates, r.created_at, r.closed_at, \
         r.attached_to"
    };
}

const OPEN: Statement = Statement::note(
    "review.open",
    "INSERT INTO reviews (id, organization, directory, directory_user, reason, candidates, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)",
);
const CLOSE: Statement = Statement::note(
    "review.close",
    "UPDATE reviews SET closed_at = $3, attached_to = $4 \
     WHERE id = $1 AND organization = $2 AND attached_to IS NULL",
);
const FORGET: Statement =
    Statement::note("review.forget", "DELETE FROM reviews WHERE directory = $1 AND organization = $2");
const FIND: Statement = Statement::read(
    "review.find",
    concat!("SELECT ", columns!(), " FROM reviews r WHERE r.organization = $1 AND r.id = $2"),
);
// Whoever the directory no longer tells of is nobody to decide about.
const LIST_OPEN: Statement = Statement::read(
    "review.list_open",
    concat!(
        "SELECT ",
        columns!(),
        " FROM reviews r JOIN directory_users u ON u.id = r.directory_user WHERE r.organization = $1 \
         AND r.closed_at IS NULL AND r.id > $2 ORDER BY r.id LIMIT $3"
    ),
);
const LIST: Statement = Statement::read(
    "review.list",
    concat!(
        "SELECT ",
        columns!(),
        " FROM reviews r WHERE r.organization = $1 AND r.id > $2 ORDER BY r.id LIMIT $3"
    ),
);

pub(crate) const ALL: &[&Statement] = &[&OPEN, &CLOSE, &FORGET, &FIND, &LIST_OPEN, &LIST];

/// Which reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those that wait.
    Open,
    /// All.
    All,
}

fn read(row: &Row) -> Result<Review, StoreError> {
    let candidates: Vec<String> = serde_json::from_str(row.text(5)?)
        .map_err(|error| StoreError::Inconsistent(format!("candidates of a review: {error}")))?;
    let parsed =
        |text: &String| text.parse().map_err(|_| StoreError::Inconsistent("a candidate's id".into()));
    Ok(Review {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        directory: row.parsed(2)?,
        directory_user: row.parsed(3)?,
        reason: row.parsed(4)?,
        candidates: candidates.iter().map(parsed).collect::<Result<_, _>>()?,
        created_at: row.at(6)?,
        state: match (row.opt_at(7)?, row.opt_parsed(8)?) {
            (None, _) => ReviewState::Open,
            (Some(_), Some(member)) => ReviewState::Attached(member),
            (Some(_), None) => ReviewState::Dismissed,
        },
    })
}

/// Writes a new review down.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn open(tx: &mut Tx<'_>, review: &Review) -> Result<(), StoreError> {
    let candidates = json_list(&review.candidates);
    let reason = review.reason.as_str();
    tx.run(
        &OPEN,
        params![
            review.id,
            review.organization,
            review.directory,
            review.directory_user,
            reason,
            candidates,
            review.created_at,
        ],
    )
    .map(|_| ())
}

/// Says what became of a review that was attached to nobody yet.
///
/// # Errors
/// As [`open`].
pub fn close(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: ReviewId,
    state: ReviewState,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (closed_at, member) = match state {
        ReviewState::Open => (None, None),
        ReviewState::Attached(member) => (Some(at), Some(member)),
        ReviewState::Dismissed => (Some(at), None),
    };
    tx.run_on_row(&CLOSE, params![id, organization, closed_at, member])
}

/// Forgets the reviews of a directory: it is gone.
pub(crate) fn forget(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    directory: DirectoryId,
) -> Result<(), StoreError> {
    tx.run(&FORGET, params![directory, organization]).map(|_| ())
}

/// A review of that organization.
///
/// # Errors
/// As [`open`].
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: ReviewId,
) -> Result<Option<Review>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// A page of reviews in order of id, after `after`.
///
/// # Errors
/// As [`open`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    wanted: Wanted,
    after: &str,
    limit: i64,
) -> Result<Vec<Review>, StoreError> {
    let statement = match wanted {
        Wanted::Open => &LIST_OPEN,
        Wanted::All => &LIST,
    };
    tx.rows(statement, params![organization, after, limit])?.iter().map(read).collect()
}
