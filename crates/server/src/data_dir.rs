//! The data folder: made private, and held by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The file whose lock says that somebody serves from this folder.
const LOCK_FILE: &str = "lock";

/// Why the data folder cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// It cannot be made or opened.
    #[error("the data folder `{path}`: {source}")]
    Io {
        /// Which folder or file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Another process holds it.
    #[error(
        "`{0}` is in use: another `portcullis` serves from it; stop that one first, or use another `--data`"
    )]
    Held(PathBuf),
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
    move |source| DataDirError::Io { path: path.to_owned(), source }
}

/// Makes the folder (0700) if it is not there.
///
/// # Errors
/// [`DataDirError::Io`].
pub fn make(path: &Path) -> Result<(), DataDirError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io(path))
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

/// The lock of the folder, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Held {
    _lock: File,
}

/// Holds the folder for this process.
///
/// # Errors
/// [`DataDirError::Held`] if another process does.
pub fn hold(path: &Path) -> Result<Held, DataDirError> {
    make(path)?;
    let file = path.join(LOCK_FILE);
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&file)
        .map_err(io(&file))?;
    match lock.try_lock() {
        Ok(()) => Ok(Held { _lock: lock }),
        Err(TryLockError::WouldBlock) => Err(DataDirError::Held(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(DataDirError::Io { path: file, source }),
    }
}
