//! What is true of the whole installation: a few named values.

use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// Which course of events this database is on: another one after every restore.
pub const TIMELINE: &str = "timeline";

const FIND: Statement = Statement::read("instance.find", "SELECT value FROM instance WHERE name = $1");
const PUT: Statement = Statement::note(
    "instance.put",
    "INSERT INTO instance (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
);
const PUT_IF_ABSENT: Statement = Statement::note(
    "instance.put_if_absent",
    "INSERT INTO instance (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
);
const REMOVE: Statement = Statement::note("instance.remove", "DELETE FROM instance WHERE name = $1");

const TAKE: Statement =
    Statement::note("instance.take", "DELETE FROM instance WHERE name = $1 RETURNING value");
const NAMES_BETWEEN: Statement = Statement::read(
    "instance.names_between",
    "SELECT name FROM instance WHERE name >= $1 AND name < $2 ORDER BY name LIMIT $3",
);

const REVISION: Statement = Statement::read("instance.revision", "SELECT number FROM revision WHERE id = 1");
// A restore begins its course of events beyond the one that it replaces.
const RAISE_REVISION: Statement = Statement::change(
    "instance.raise_revision",
    "UPDATE revision SET number = $1 WHERE id = 1 AND number < $1",
);

/// The statements about the installation.
pub(crate) const ALL: &[&Statement] =
    &[&FIND, &PUT, &PUT_IF_ABSENT, &REMOVE, &TAKE, &NAMES_BETWEEN, &REVISION, &RAISE_REVISION];

/// The value of that name.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, StoreError> {
    let Some(row) = tx.row(&FIND, params![name])? else { return Ok(None) };
    Ok(Some(row.text(0)?.to_owned()))
}

/// Sets the value of that name, whatever it was.
///
/// # Errors
/// As [`find`].
pub fn put(tx: &mut Tx<'_>, name: &str, value: &str) -> Result<(), StoreError> {
    tx.run(&PUT, params![name, value]).map(|_| ())
}

/// Sets the value of that name if it has none, and gives the value that it has now.
///
/// # Errors
/// As [`find`].
pub fn put_if_absent(tx: &mut Tx<'_>, name: &str, value: &str) -> Result<String, StoreError> {
    tx.run(&PUT_IF_ABSENT, params![name, value])?;
    find(tx, name)?.ok_or_else(|| StoreError::Inconsistent(format!("`{name}` was put and is not there")))
}

/// Forgets the value of that name.
///
/// # Errors
/// As [`find`].
pub fn remove(tx: &mut Tx<'_>, name: &str) -> Result<(), StoreError> {
    tx.run(&REMOVE, params![name]).map(|_| ())
}

/// Forgets the value of that name and gives it, to one caller only: whoever comes at the same time waits for the end of
/// this transaction, and finds nothing if it is kept.
///
/// # Errors
/// As [`find`].
pub fn take(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, StoreError> {
    let Some(row) = tx.row(&TAKE, params![name])? else { return Ok(None) };
    Ok(Some(row.text(0)?.to_owned()))
}

/// The names that begin with `prefix`, in their order, so many at most.
///
/// # Errors
/// As [`find`].
pub fn names_under(tx: &mut Tx<'_>, prefix: &str, limit: i64) -> Result<Vec<String>, StoreError> {
    // No name has a character beyond ASCII's last, so what is below this begins as wanted.
    let end = format!("{prefix}\u{7f}");
    let rows = tx.rows(&NAMES_BETWEEN, params![prefix, end, limit])?;
    rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect()
}

/// The number of the last commit that took access away: it only grows.
///
/// # Errors
/// As [`find`].
pub fn revision(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    tx.row(&REVISION, params![])?.map_or(Ok(0), |row| row.int(0))
}

/// Raises that number to `number`, if it is lower.
///
/// # Errors
/// As [`find`].
pub fn raise_revision(tx: &mut Tx<'_>, number: i64) -> Result<(), StoreError> {
    tx.run(&RAISE_REVISION, params![number]).map(|_| ())
}
