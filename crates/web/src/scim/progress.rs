//! What an operator sees of an import: a line in the log each ten seconds while a directory says much.
//!
//! SCIM has no word for the beginning or the end of a sync, so it is told from the calls themselves: whoever has been
//! quiet for a minute begins anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::id::DirectoryId;
use portcullis_scim::ResourceType;

/// The least seconds between two lines about one directory.
pub const TELL_EVERY_S: i64 = 10;
/// The least writes between two lines: everyday changes are no import.
pub const MIN_WRITES: u64 = 100;
/// Seconds without a write after which the next one begins another import.
pub const QUIET_S: i64 = 60;
/// Directories that are counted at once; beyond it those that are quiet are forgotten.
const MAX_DIRECTORIES: usize = 10_000;

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Writes of people since it began: created, changed, deleted or said again.
    pub people: u64,
    /// The same of groups.
    pub groups: u64,
    /// Seconds since it began.
    pub lasted_s: i64,
}

/// Imports under way.
#[derive(Debug, Default)]
pub struct Imports {
    under_way: Mutex<HashMap<DirectoryId, Import>>,
}

#[derive(Debug)]
struct Import {
    began_at: Timestamp,
    last_at: Timestamp,
    told_at: Timestamp,
    since_told: u64,
    people: u64,
    groups: u64,
}

impl Import {
    const fn begun(now: Timestamp) -> Self {
        Self { began_at: now, last_at: now, told_at: now, since_told: 0, people: 0, groups: 0 }
    }

    const fn is_quiet(&self, now: Timestamp) -> bool {
        now.seconds_since(self.last_at) >= QUIET_S
    }
}

impl Imports {
    /// Counts a write that was answered; how far the import is, when it is time to tell.
    pub fn count(&self, directory: DirectoryId, kind: ResourceType, now: Timestamp) -> Option<Progress> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.len() >= MAX_DIRECTORIES && !under_way.contains_key(&directory) {
            under_way.retain(|_, import| !import.is_quiet(now));
            if under_way.len() >= MAX_DIRECTORIES {
                return None;
            }
        }
        let import = under_way.entry(directory).or_insert_with(|| Import::begun(now));
        if import.is_quiet(now) {
            *import = Import::begun(now);
        }
        match kind {
            ResourceType::User => import.people += 1,
            ResourceType::Group => import.groups += 1,
        }
        import.last_at = now;
        import.since_told += 1;
        if import.since_told < MIN_WRITES || now.seconds_since(import.told_at) < TELL_EVERY_S {
            return None;
        }
        (import.told_at, import.since_told) = (now, 0);
        let lasted_s = now.seconds_since(import.began_at);
        Some(Progress { people: import.people, groups: import.groups, lasted_s })
    }
}
