//! Room: how much of a list is in memory at a time.
//!
//! Rows alone bound nothing: a directory may say a mebibyte of one person. So rows are read few at a time, and whatever
//! collects them ends where their text fills the room: a page is shorter than it was asked for, a search takes a
//! smaller step, a look-up narrows nothing.

use portcullis_domain::id::DirectoryId;
use portcullis_store::Tx;

use super::list::Resource;
use crate::ServiceError;

/// The most text that a page, a step of a search or a list of candidates collects, in bytes: beyond it nothing is added.
/// Five hundred people of whom 32 KiB is said, several times what is known of.
pub const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;

/// Rows that were collected.
pub(super) struct Collected<R> {
    pub(super) rows: Vec<R>,
    bytes: usize,
}

impl<R: Resource> Collected<R> {
    pub(super) const fn none() -> Self {
        Self { rows: Vec::new(), bytes: 0 }
    }

    /// Whether nothing is added any more.
    pub(super) const fn is_full(&self) -> bool {
        self.bytes >= MAX_TEXT_BYTES
    }

    /// Adds rows in their order, until it is full: the one that fills it still counts.
    pub(super) fn add(&mut self, rows: Vec<R>) {
        for row in rows {
            if self.is_full() {
                return;
            }
            self.bytes = self.bytes.saturating_add(row.text_bytes());
            self.rows.push(row);
        }
    }

    /// What is read a few rows at a time, `most` in all. `read` is told how many rows to read and what comes before
    /// them; fewer than those are the last.
    pub(super) fn read(
        most: usize,
        mut read: impl FnMut(usize, &[R]) -> Result<Vec<R>, ServiceError>,
    ) -> Result<Self, ServiceError> {
        let mut all = Self::none();
        while all.rows.len() < most && !all.is_full() {
            let limit = R::AT_ONCE.min(most - all.rows.len());
            let rows = read(limit, &all.rows)?;
            let is_last = rows.len() < limit;
            all.add(rows);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// Those after a position, in order of id.
    pub(super) fn after(
        tx: &mut Tx<'_>,
        directory: DirectoryId,
        after: &str,
        most: usize,
    ) -> Result<Self, ServiceError> {
        Self::read(most, |limit, before| {
            let last = before.last().map(|row| row.id().to_string());
            R::page_after(tx, directory, last.as_deref().unwrap_or(after), limit)
        })
    }

    /// Those with these ids, in their order; who left meanwhile is left out.
    pub(super) fn by_ids(
        tx: &mut Tx<'_>,
        directory: DirectoryId,
        ids: &[R::Id],
    ) -> Result<Self, ServiceError> {
        let mut all = Self::none();
        for ids in ids.chunks(R::AT_ONCE) {
            if all.is_full() {
                break;
            }
            let mut rows = R::by_ids(tx, directory, ids)?;
            rows.sort_by_key(|row| ids.iter().position(|id| *id == row.id()));
            all.add(rows);
        }
        Ok(all)
    }
}
