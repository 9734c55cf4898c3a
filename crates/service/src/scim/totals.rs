//! How many people and groups a directory has, so that a page does not count them anew.
//!
//! A count walks an index from end to end; a client that walks through a hundred thousand people would pay for it on
//! every page. It is kept in memory until somebody comes or goes, so that no create pays for it. What changes without
//! passing here (another node, an administrator who deletes a directory) shows after [`MAX_AGE_S`] at the latest, and
//! only in a number that a client must expect to move.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::id::DirectoryId;
use portcullis_scim::ResourceType;

/// The oldest total that is told, in seconds.
pub const MAX_AGE_S: i64 = 30;
/// Directories whose totals are kept; beyond it all are forgotten and counted anew.
const MAX_KEPT: usize = 10_000;

/// Totals that are known.
#[derive(Debug, Default)]
pub struct Totals {
    kept: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often anything changed: no number of it is ever given twice.
    changes: u64,
    kept: HashMap<(DirectoryId, ResourceType), Kept>,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    /// Which change came last.
    changed: u64,
    total: Option<(u64, Timestamp)>,
}

/// Which change came last when a counting began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since(u64);

impl Totals {
    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The total, if it is known, and what to give to [`Totals::keep`] after counting where it is not.
    #[must_use]
    pub fn find(&self, directory: DirectoryId, kind: ResourceType, now: Timestamp) -> (Option<u64>, Since) {
        let mut state = self.locked();
        if state.kept.len() >= MAX_KEPT && !state.kept.contains_key(&(directory, kind)) {
            state.kept.clear();
        }
        let changed = state.changes;
        let one = state.kept.entry((directory, kind)).or_insert(Kept { changed, total: None });
        let fresh = one.total.filter(|(_, at)| (0..=MAX_AGE_S).contains(&now.seconds_since(*at)));
        (fresh.map(|(total, _)| total), Since(one.changed))
    }

    /// Keeps a total that was counted, unless somebody came or went meanwhile.
    pub fn keep(
        &self,
        directory: DirectoryId,
        kind: ResourceType,
        since: Since,
        (total, now): (u64, Timestamp),
    ) {
        if let Some(one) = self.locked().kept.get_mut(&(directory, kind))
            && one.changed == since.0
        {
            one.total = Some((total, now));
        }
    }

    /// Somebody came or went, or may have: to be called after the commit and before the answer.
    pub fn changed(&self, directory: DirectoryId, kind: ResourceType) {
        let mut state = self.locked();
        state.changes = state.changes.wrapping_add(1);
        let changed = state.changes;
        if let Some(one) = state.kept.get_mut(&(directory, kind)) {
            *one = Kept { changed, total: None };
        }
    }
}
