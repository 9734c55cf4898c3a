//! Copies of a SQLite database: taken while it is written, looked at before one is put in its place.
//!
//! PostgreSQL has tools of its own for this; only files are copied here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use thiserror::Error;

use crate::StoreError;

/// How long a copy waits for a lock of whoever writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries to begin a copy while the database is locked, each after a wait: ten seconds in all.
const MAX_TRIES: u32 = 100;
/// Between two of them.
const WAIT: Duration = Duration::from_millis(100);
/// Findings of the integrity check that are told.
const MAX_FINDINGS: usize = 5;

fn failed(path: &Path) -> impl FnOnce(rusqlite::Error) -> StoreError + '_ {
    move |error| StoreError::Unavailable(format!("`{}`: {error}", path.display()))
}

/// Writes a whole copy of the database into an empty file, while others read and write it, and checks the copy. The
/// caller makes that file private, and makes it durable or takes it away.
///
/// # Errors
/// [`StoreError::Unavailable`] if either file cannot be used, or the copy is damaged.
pub fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let source =
        Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed(from))?;
    source.busy_timeout(BUSY_TIMEOUT).map_err(failed(from))?;
    let mut target = Connection::open(to).map_err(failed(to))?;
    {
        let backup = Backup::new(&source, &mut target).map_err(failed(to))?;
        // In one step, under one snapshot: a writer in another process would make a copy in steps begin again and again.
        let mut tries = 0;
        loop {
            match backup.step(-1).map_err(failed(from))? {
                StepResult::Done => break,
                _ if tries == MAX_TRIES => {
                    return Err(StoreError::Unavailable(format!("`{}` stays locked", from.display())));
                }
                _ => {
                    tries += 1;
                    std::thread::sleep(WAIT);
                }
            }
        }
    }
    make_whole(&target).map_err(failed(to))?;
    target.close().map_err(|(_, error)| failed(to)(error))?;
    check(to).map_err(|damaged| StoreError::Unavailable(format!("the copy `{}`: {damaged}", to.display())))
}

/// Turns the write-ahead log off, so that the database is one file.
fn make_whole(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "DELETE")
}

/// Brings everything that a closed database holds into its one file; the caller makes that durable.
///
/// # Errors
/// [`StoreError::Unavailable`] if somebody else has it open, or it cannot be written.
pub fn settle(path: &Path) -> Result<(), StoreError> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed(path))?;
    make_whole(&connection).map_err(failed(path))?;
    connection.close().map_err(|(_, error)| failed(path)(error))?;
    for beside in beside(path) {
        if beside.exists() {
            return Err(StoreError::Unavailable(format!("`{}` is in use", path.display())));
        }
    }
    Ok(())
}

/// The files that SQLite keeps beside a database while it is open.
#[must_use]
pub fn beside(path: &Path) -> [PathBuf; 2] {
    ["-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

/// A file is no whole SQLite database; what is wrong with it. Which file that is says whoever knows by which name a
/// person gave it.
#[derive(Debug, Error)]
#[error("it is damaged, or no database: {0}")]
pub struct Damaged(String);

/// Checks that a file is a whole SQLite database.
///
/// # Errors
/// [`Damaged`].
pub fn check(path: &Path) -> Result<(), Damaged> {
    let findings = || -> rusqlite::Result<Vec<String>> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut statement = connection.prepare("PRAGMA integrity_check(5)")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.take(MAX_FINDINGS).collect()
    };
    let found = findings().map_err(|error| Damaged(error.to_string()))?;
    if found != ["ok"] {
        return Err(Damaged(found.join("; ")));
    }
    Ok(())
}
