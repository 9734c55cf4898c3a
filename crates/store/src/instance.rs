//! What is true of the whole installation: a few named values.

use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// The fingerprint of the sealing key that the database's secrets are sealed with.
pub const SEALING_KEY: &str = "sealing_key";
/// The hash of the root token; gone once it was turned off.
pub const ROOT_TOKEN: &str = "root_token";
/// Which data directory this database belongs to.
pub const DATA_DIRECTORY: &str = "data_directory";
/// The mark that a restored backup must not be older than.
pub const BACKUP_MARK: &str = "backup_mark";

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

/// The statements about the installation.
pub const ALL: &[&Statement] = &[&FIND, &PUT, &PUT_IF_ABSENT, &REMOVE];

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
