//! People of a directory in lists: pages by place or behind somebody, and the groups of those on a page.

use portcullis_domain::Timestamp;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{DirectoryGroupId, DirectoryId, DirectoryUserId};
use portcullis_domain::text::name_key;

use crate::row::{Row, bound, list};
use crate::statement::Statement;
use crate::{Dialect, StoreError, Tx, params};

const PAGE: Statement = Statement::read(
    "directory_user.page",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_users u WHERE u.id IN (SELECT p.id FROM directory_users p WHERE p.directory = $1 \
         ORDER BY p.id LIMIT $2 OFFSET $3) ORDER BY u.id"
    ),
);
const PAGE_AFTER: Statement = Statement::read(
    "directory_user.page_after",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_users u WHERE u.directory = $1 AND u.id > $2 ORDER BY u.id LIMIT $3"
    ),
);
// The places before it are counted in the index alone.
const PAGE_BY_USER_NAME: Statement = Statement::read(
    "directory_user.page_by_user_name",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_users u WHERE u.directory = $1 AND u.user_name_key >= (SELECT p.user_name_key \
         FROM directory_users p WHERE p.directory = $1 ORDER BY p.user_name_key LIMIT 1 OFFSET $3) \
         ORDER BY u.user_name_key LIMIT $2"
    ),
);
const PAGE_BY_USER_NAME_BACKWARDS: Statement = Statement::read(
    "directory_user.page_by_user_name_backwards",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_users u WHERE u.directory = $1 AND u.user_name_key <= (SELECT p.user_name_key \
         FROM directory_users p WHERE p.directory = $1 ORDER BY p.user_name_key DESC LIMIT 1 OFFSET $3) \
         ORDER BY u.user_name_key DESC LIMIT $2"
    ),
);
const PAGE_BEHIND_USER_NAME: Statement = Statement::read(
    "directory_user.page_behind_user_name",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_users u WHERE u.directory = $1 AND u.user_name_key > $2 ORDER BY u.user_name_key LIMIT $3"
    ),
);
const PAGE_BEFORE_USER_NAME: Statement = Statement::read(
    "directory_user.page_before_user_name",
    concat!(
        "SELECT ",
        columns!(),
        " FROM directory_users u WHERE u.directory = $1 AND u.user_name_key < $2 \
         ORDER BY u.user_name_key DESC LIMIT $3"
    ),
);
const BY_IDS: Statement = Statement::read(
    "directory_user.by_ids",
    concat!("SELECT ", columns!(), " FROM directory_users u WHERE u.directory = $1 AND u.id IN_LIST($2)"),
);
const COUNT: Statement =
    Statement::read("directory_user.count", "SELECT COUNT(*) FROM directory_users WHERE directory = $1");
const GROUPS: Statement = Statement::read(
    "directory_user.groups",
    "SELECT g.id, g.display_name FROM directory_members m JOIN directory_groups g ON g.id = m.directory_group \
     WHERE m.directory_user = $1 AND m.directory_group > $2 ORDER BY m.directory_group LIMIT $3",
);
const GROUP_IDS: Statement = Statement::read(
    "directory_user.group_ids",
    "SELECT directory_group FROM directory_members WHERE directory_user = $1 ORDER BY directory_group LIMIT $2",
);
const KNOWN: Statement = Statement::read(
    "directory_user.known",
    "SELECT id FROM directory_users WHERE directory = $1 AND id IN_LIST($2)",
);

// What is said of them meanwhile goes on; that they are deleted waits.
const KEEP_KNOWN: Statement = Statement::read(
    "directory_user.keep_known",
    "SELECT id FROM directory_users WHERE directory = $1 AND id IN_LIST($2) ORDER BY id FOR KEY SHARE",
);

pub(crate) const ALL: &[&Statement] = &[
    &PAGE,
    &PAGE_AFTER,
    &PAGE_BY_USER_NAME,
    &PAGE_BY_USER_NAME_BACKWARDS,
    &PAGE_BEHIND_USER_NAME,
    &PAGE_BEFORE_USER_NAME,
    &BY_IDS,
    &COUNT,
    &GROUPS,
    &GROUP_IDS,
    &KNOWN,
    &KEEP_KNOWN,
];

/// A person as a list shows them. Their keys and addresses stand in the attributes alone, so nothing that follows from
/// what somebody is called can be asked of this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUser {
    /// Their id.
    pub id: DirectoryUserId,
    /// The name the directory signs them in with, as written.
    pub user_name: String,
    /// When the directory said inactive; `None` while it says active.
    pub inactive_at: Option<Timestamp>,
    /// When a backup was put back, if the directory has not spoken of them since.
    pub unconfirmed_at: Option<Timestamp>,
    /// Every attribute, as JSON text, as it was said.
    pub attributes: String,
    /// When the directory first told of them.
    pub created_at: Timestamp,
    /// When the directory last changed them.
    pub updated_at: Timestamp,
}

impl From<DirectoryUser> for ListedUser {
    fn from(user: DirectoryUser) -> Self {
        Self {
            id: user.id,
            user_name: user.user_name,
            inactive_at: user.inactive_at,
            unconfirmed_at: user.unconfirmed_at,
            attributes: user.attributes,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

impl ListedUser {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed(0)?,
            user_name: row.text(5)?.to_owned(),
            inactive_at: row.opt_at(7)?,
            unconfirmed_at: row.opt_at(11)?,
            attributes: row.text(8)?.to_owned(),
            created_at: row.at(9)?,
            updated_at: row.at(10)?,
        })
    }
}

/// In which direction an index is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The smallest first.
    Forwards,
    /// The greatest first.
    Backwards,
}

/// The people of that directory with these ids, in no order.
///
/// # Errors
/// As [`super::find`].
pub fn by_ids(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    ids: &[DirectoryUserId],
) -> Result<Vec<ListedUser>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(crate::db::MAX_LIST) {
        for row in tx.rows(&BY_IDS, params![directory, list(chunk)])? {
            found.push(ListedUser::read(&row)?);
        }
    }
    Ok(found)
}

/// A page of a directory's people in order of id, after the id `after`; empty: from the first.
///
/// # Errors
/// As [`super::find`].
pub fn page_after(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    after: &str,
    limit: i64,
) -> Result<Vec<ListedUser>, StoreError> {
    tx.rows(&PAGE_AFTER, params![directory, after, limit])?.iter().map(ListedUser::read).collect()
}

/// A page of a directory's people in order of `userName`, without case, after so many.
///
/// # Errors
/// As [`super::find`].
pub fn page_by_user_name(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    direction: Direction,
    limit: i64,
    offset: i64,
) -> Result<Vec<ListedUser>, StoreError> {
    let statement = match direction {
        Direction::Forwards => &PAGE_BY_USER_NAME,
        Direction::Backwards => &PAGE_BY_USER_NAME_BACKWARDS,
    };
    tx.rows(statement, params![directory, limit, offset])?.iter().map(ListedUser::read).collect()
}

/// The same after that `userName`: nobody before it is passed over again.
///
/// # Errors
/// As [`super::find`].
pub fn page_after_user_name(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    direction: Direction,
    user_name: &str,
    limit: i64,
) -> Result<Vec<ListedUser>, StoreError> {
    let statement = match direction {
        Direction::Forwards => &PAGE_BEHIND_USER_NAME,
        Direction::Backwards => &PAGE_BEFORE_USER_NAME,
    };
    tx.rows(statement, params![directory, name_key(user_name), limit])?.iter().map(ListedUser::read).collect()
}

/// A page of a directory's people in a stable order.
///
/// # Errors
/// As [`super::find`].
pub fn page(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    limit: i64,
    offset: i64,
) -> Result<Vec<ListedUser>, StoreError> {
    tx.rows(&PAGE, params![directory, limit, offset])?.iter().map(ListedUser::read).collect()
}

/// How many people a directory told of.
///
/// # Errors
/// As [`super::find`].
pub fn count(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<i64, StoreError> {
    tx.row(&COUNT, params![directory])?.map_or(Ok(0), |r| r.int(0))
}

/// Groups of a person that are read at a time.
const GROUPS_PAGE: usize = 1_000;

/// The groups of a person, id and name, in order of id; none where there are more than `most`, because a list that is
/// cut off would read as if they were gone from the rest.
///
/// # Errors
/// As [`super::find`].
pub fn groups(
    tx: &mut Tx<'_>,
    id: DirectoryUserId,
    most: usize,
) -> Result<Option<Vec<(DirectoryGroupId, String)>>, StoreError> {
    let mut all: Vec<(DirectoryGroupId, String)> = Vec::new();
    loop {
        let after = all.last().map_or_else(String::new, |(group, _)| group.to_string());
        let limit = GROUPS_PAGE.min((most + 1).saturating_sub(all.len()));
        let rows = tx.rows(&GROUPS, params![id, after, bound(limit)])?;
        for row in &rows {
            all.push((row.parsed(0)?, row.text(1)?.to_owned()));
        }
        if all.len() > most {
            return Ok(None);
        }
        if rows.len() < limit {
            return Ok(Some(all));
        }
    }
}

/// The ids of a person's groups in their order, `limit` at most.
///
/// # Errors
/// As [`super::find`].
pub fn group_ids(
    tx: &mut Tx<'_>,
    id: DirectoryUserId,
    limit: i64,
) -> Result<Vec<DirectoryGroupId>, StoreError> {
    tx.rows(&GROUP_IDS, params![id, limit])?.iter().map(|r| r.parsed(0)).collect()
}

/// Which of these ids the directory knows.
///
/// # Errors
/// As [`super::find`].
pub fn known(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    ids: &[DirectoryUserId],
) -> Result<std::collections::HashSet<DirectoryUserId>, StoreError> {
    let mut known = std::collections::HashSet::with_capacity(ids.len());
    for chunk in ids.chunks(crate::db::MAX_LIST) {
        for row in tx.rows(&KNOWN, params![directory, list(chunk)])? {
            known.insert(row.parsed(0)?);
        }
    }
    Ok(known)
}

/// Has people of whom that directory tells stay until the end of the transaction; the first of them who is gone, if one is.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn first_gone(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    ids: &[DirectoryUserId],
) -> Result<Option<DirectoryUserId>, StoreError> {
    if tx.dialect() == Dialect::Sqlite {
        // One transaction at a time: they are there still.
        return Ok(None);
    }
    for chunk in ids.chunks(crate::db::MAX_LIST) {
        let rows = tx.rows(&KEEP_KNOWN, params![directory, list(chunk)])?;
        let here: Vec<DirectoryUserId> = rows.iter().map(|row| row.parsed(0)).collect::<Result<_, _>>()?;
        if let Some(gone) = chunk.iter().find(|id| here.binary_search(id).is_err()) {
            return Ok(Some(*gone));
        }
    }
    Ok(None)
}
