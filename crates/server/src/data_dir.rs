//! The data folder, and the SQLite database wherever it lies: made private, and held by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use thiserror::Error;

/// The file whose lock says that somebody serves from this folder.
const LOCK_FILE: &str = "lock";
/// What is added to the name of a SQLite database: the file whose lock says that somebody serves it.
const DATABASE_LOCK: &str = ".lock";

/// Why the data folder cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// It cannot be made.
    #[error("the folder `{path}` cannot be made: {why}")]
    Unmade {
        /// Which folder.
        path: PathBuf,
        /// The system's words.
        why: std::io::Error,
    },
    /// Something in it, or the folder, cannot be opened, read or written.
    #[error("`{path}`: {why}")]
    Io {
        /// Which folder or file.
        path: PathBuf,
        /// The system's words.
        why: std::io::Error,
    },
    /// Another process holds it.
    #[error(
        "`{0}` is in use: another `portcullis` serves from it; stop that one first, or use another `--data`"
    )]
    Held(PathBuf),
    /// Another process holds the database, from another data folder.
    #[error(
        "the database `{0}` is in use: another `portcullis` serves it from another data folder; stop that one first, or \
         name its folder with `--data`"
    )]
    DatabaseHeld(PathBuf),
    /// Others can read it.
    #[error("`{path}` has mode {mode:o}: others could read secrets in it; run `chmod {wanted:o} {path}`")]
    Open {
        /// Which folder or file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode that it must have.
        wanted: u32,
    },
}

pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DataDirError + '_ {
    move |why| DataDirError::Io { path: path.to_owned(), why }
}

/// Makes the folder (0700) if it is not there.
///
/// # Errors
/// [`DataDirError::Unmade`].
pub fn make(path: &Path) -> Result<(), DataDirError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|why| DataDirError::Unmade { path: path.to_owned(), why })
}

/// Refuses a folder that [`make`] could not make, or that nothing can be written in, and leaves none that it made: what is
/// looked at is not begun.
///
/// # Errors
/// [`DataDirError::Unmade`] or [`DataDirError::Io`].
pub fn can_be_made(path: &Path) -> Result<(), DataDirError> {
    if path.exists() {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        let usable = path.read_dir().and_then(|_| Ok(rustix::fs::access(path, access)?));
        return usable.map_err(io(path));
    }
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    let made = make(path);
    for folder in missing.into_iter().filter(|folder| !folder.as_os_str().is_empty()) {
        // One that somebody has put something in since is theirs, and not removed.
        let _ = std::fs::remove_dir(folder);
    }
    made
}

/// Makes a file readable by its owner only.
///
/// # Errors
/// [`DataDirError::Io`].
pub fn make_private(path: &Path) -> Result<(), DataDirError> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(io(path))
}

/// Refuses a file that others can read.
///
/// # Errors
/// [`DataDirError::Open`] or [`DataDirError::Io`].
pub fn must_be_private(path: &Path) -> Result<(), DataDirError> {
    let mode = path.metadata().map_err(io(path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DataDirError::Open { path: path.to_owned(), mode, wanted: 0o600 });
    }
    Ok(())
}

/// The locks of folder and database, held until this is dropped or the process ends.
#[derive(Debug)]
pub struct Locked {
    _folder: File,
    _database: Option<File>,
}

/// Locks the folder for this process, and the SQLite database if it is one. What is kept in memory until a commit takes
/// access away is right only where nobody else commits.
///
/// # Errors
/// [`DataDirError::Held`] or [`DataDirError::DatabaseHeld`] if another process does.
pub fn lock(folder: &Path, database: Option<&Path>) -> Result<Locked, DataDirError> {
    make(folder)?;
    let locked = lock_file(&folder.join(LOCK_FILE))?.ok_or_else(|| DataDirError::Held(folder.to_owned()))?;
    let database = database.map(lock_database).transpose()?;
    Ok(Locked { _folder: locked, _database: database })
}

fn lock_database(path: &Path) -> Result<File, DataDirError> {
    let beside = with_suffix(&resolved(path)?, DATABASE_LOCK);
    lock_file(&beside)?.ok_or_else(|| DataDirError::DatabaseHeld(path.to_owned()))
}

/// A file beside another one, by what is added to its name.
#[must_use]
pub fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The one name of a file that several paths may lead to, whether it is there yet or not.
///
/// # Errors
/// [`DataDirError::Io`] if there is no folder that it could be in.
pub fn resolved(path: &Path) -> Result<PathBuf, DataDirError> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => return found.map_err(io(path)),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(io(folder))?;
    Ok(path.file_name().map_or_else(|| folder.clone(), |name| folder.join(name)))
}

/// The file, locked for this process; `None` if another process has it. The file stays: whoever took it away while
/// another waits for it would let two of them in.
///
/// # Errors
/// [`DataDirError::Io`].
pub fn lock_file(file: &Path) -> Result<Option<File>, DataDirError> {
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(file)
        .map_err(io(file))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(io(file)(source)),
    }
}
