//! The mark beside the database: how far it had come when it was served from here last.
//!
//! Every commit that takes access away moves the revision, and a restore begins another timeline. A database whose
//! revision is lower than the mark, or that is on another timeline, is an older file that somebody put in place: what
//! was taken away since would be back. So `serve` refuses it and names `restore`, which revives nobody (invariant I4).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use portcullis_domain::Random;
use portcullis_store::{Store, StoreError, instance};
use thiserror::Error;

use crate::data_dir::{DataDirError, io};
use crate::secrets;

/// The mark's file in the data folder.
pub const MARK_FILE: &str = "revision-mark";
/// The timeline of a database whose restore has begun and not ended.
pub const UNFINISHED: &str = "unfinished";
/// Bytes of randomness in the name of a timeline.
const TIMELINE_BYTES: usize = 16;

/// How far a database has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Which course of events.
    pub timeline: String,
    /// The number of the last commit that took access away.
    pub revision: i64,
}

/// Why a database is not served.
#[derive(Debug, Error)]
pub enum MarkError {
    /// It is an older file.
    #[error(
        "this database is older than what was served from here last (its revision is {found}, `{file}` says {marked}): \
         people and tokens that were taken away since would be back. Put a backup in place with `portcullis restore \
         FILE`, or make a restore of this database as it is with `portcullis restore --in-place`; both revive nobody"
    )]
    Older {
        /// The mark's file.
        file: PathBuf,
        /// Its revision.
        marked: i64,
        /// The database's.
        found: i64,
    },
    /// It is another one, or a restore was not made with `restore`.
    #[error(
        "this is not the database that was served from here last (`{file}`): it was put here by hand, or another \
         node restored it. `portcullis restore --in-place` makes a restore of it that revives nobody; if you mean to \
         serve another database from this data folder, delete `{file}`"
    )]
    Another {
        /// The mark's file.
        file: PathBuf,
    },
    /// A restore was broken off.
    #[error("a restore of this database was broken off; run `portcullis restore` again")]
    Unfinished,
    /// The file says nothing that is understood.
    #[error("`{0}` is not a mark; `portcullis restore --in-place` writes a new one and revives nobody")]
    Unreadable(PathBuf),
    /// The file.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A name for a new timeline.
#[must_use]
pub fn new_timeline(random: &mut dyn Random) -> String {
    let mut bytes = [0_u8; TIMELINE_BYTES];
    random.fill(&mut bytes);
    hex::encode(bytes)
}

/// The mark in that data folder, if there is one.
///
/// # Errors
/// [`MarkError::Unreadable`] or [`MarkError::File`].
pub fn find(data: &Path) -> Result<Option<Mark>, MarkError> {
    let file = data.join(MARK_FILE);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(&file)(error).into()),
    };
    let read = || {
        let (timeline, revision) = text.trim().split_once(' ')?;
        Some(Mark { timeline: timeline.to_owned(), revision: revision.parse().ok()? })
    };
    read().map(Some).ok_or(MarkError::Unreadable(file))
}

/// Writes the mark, whole or not at all.
///
/// # Errors
/// [`DataDirError::Io`].
pub fn put(data: &Path, mark: &Mark) -> Result<(), DataDirError> {
    secrets::replace(&data.join(MARK_FILE), &format!("{} {}\n", mark.timeline, mark.revision))
}

/// Refuses a database that is behind the mark or on another timeline. One that was never served begins a timeline, which the
/// caller puts into it.
///
/// # Errors
/// [`MarkError`].
pub fn check(data: &Path, store: &Store, random: &mut dyn Random) -> Result<Option<String>, MarkError> {
    let (timeline, revision) = store.read_blocking(|tx| {
        Ok::<_, StoreError>((instance::find(tx, instance::TIMELINE)?, instance::revision(tx)?))
    })?;
    let Some(timeline) = timeline else {
        let mark = Mark { timeline: new_timeline(random), revision };
        // A process that dies between the two begins another timeline at its next start: nothing was served yet.
        put(data, &mark)?;
        return Ok(Some(mark.timeline));
    };
    if timeline == UNFINISHED {
        return Err(MarkError::Unfinished);
    }
    let found = Mark { timeline, revision };
    let marked = find(data)?;
    if let Some(marked) = &marked {
        let file = data.join(MARK_FILE);
        if marked.timeline != found.timeline {
            return Err(MarkError::Another { file });
        }
        if found.revision < marked.revision {
            return Err(MarkError::Older { file, marked: marked.revision, found: found.revision });
        }
    }
    if marked.as_ref() == Some(&found) {
        return Ok(None);
    }
    match put(data, &found) {
        // On a disk that is full a server goes on to answer checks: one that is started there must do so, too. The older mark
        // is tried again while it serves.
        Err(error) if marked.is_some() => {
            tracing::warn!(error.message = %error, "the mark of the newest revision was not written");
        }
        written => written?,
    }
    Ok(None)
}

#[cfg(test)]
#[path = "mark_tests.rs"]
mod tests;
