//! Room: how much of a list, or of one large resource, is in memory at a time.
//!
//! Rows alone bound nothing: a directory may say a mebibyte of one person. So rows are read few at a time, and whatever
//! collects them ends where their text fills the room: a page is shorter than it was asked for, a search takes a
//! smaller step, a look-up narrows nothing.

use std::cell::Cell;

use portcullis_domain::id::DirectoryId;
use portcullis_scim::Work;
use portcullis_store::Tx;

use super::list::Resource;
use crate::ServiceError;

/// The most text that a page, a step of a search or a list of candidates collects, in bytes: beyond it nothing is added.
/// Five hundred people of whom 32 KiB is said, several times what is known of.
pub const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;

/// The most text that a list collects where requests are served, and the most bytes that it compares there: about a
/// millisecond. What is more is read anew on a thread where nobody waits.
pub const MAX_AT_ONCE_BYTES: usize = 256 * 1024;

/// The most bytes that the candidates of an index may have a list compare: each of them as large as there is room for,
/// and a filter of a few terms.
pub const MAX_LIST_WORK_BYTES: usize = 64 * 1024 * 1024;

/// The most members of groups that are read where requests are served.
const MAX_MEMBERS_AT_ONCE: usize = 4_000;
/// The most groups of one person that are read there: with names of ordinary length they have room.
const MAX_GROUPS_AT_ONCE: usize = 1_000;

/// Where a list or a resource is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Where the request is served: whatever is not small is given up.
    AtOnce,
    /// On a thread where nobody waits.
    Apart,
}

/// One reading of a list, and what of its bounds is used.
#[derive(Debug)]
pub(super) struct Reading {
    place: Place,
    work: Work,
    /// What is shown beside the rows themselves.
    beside: Cell<usize>,
    is_outgrown: Cell<bool>,
}

/// What came of a reading.
pub(super) enum Attempt<T> {
    /// This.
    Done(T),
    /// It is not small, and is to be read apart.
    Outgrown,
}

impl Reading {
    pub(super) const fn at_once() -> Self {
        Self::of(Place::AtOnce, MAX_AT_ONCE_BYTES)
    }

    pub(super) const fn apart() -> Self {
        Self::of(Place::Apart, MAX_LIST_WORK_BYTES)
    }

    const fn of(place: Place, max_work: usize) -> Self {
        Self { place, work: Work::within(max_work), beside: Cell::new(0), is_outgrown: Cell::new(false) }
    }

    /// The most text that is collected.
    const fn room(&self) -> usize {
        match self.place {
            Place::AtOnce => MAX_AT_ONCE_BYTES,
            Place::Apart => MAX_TEXT_BYTES,
        }
    }

    /// What is compared.
    pub(super) const fn work(&self) -> &Work {
        &self.work
    }

    /// The most members that may be read of what may be shown.
    pub(super) fn members(&self, most: usize) -> usize {
        match self.place {
            Place::AtOnce => most.min(MAX_MEMBERS_AT_ONCE),
            Place::Apart => most,
        }
    }

    /// The most groups that may be read of a person of whom so many may be shown.
    pub(super) fn groups(&self, most: usize) -> usize {
        match self.place {
            Place::AtOnce => most.min(MAX_GROUPS_AT_ONCE),
            Place::Apart => most,
        }
    }

    /// Says that something did not have room.
    pub(super) fn outgrow(&self) {
        self.is_outgrown.set(true);
    }

    /// Counts what is shown beside a row. True: nothing more has room.
    pub(super) fn show_beside(&self, bytes: usize) -> bool {
        self.beside.set(self.beside.get().saturating_add(bytes));
        let is_full = self.beside.get() >= self.room();
        if is_full {
            self.outgrow();
        }
        is_full
    }

    /// What came of it: whatever did not have room where requests are served is read apart, a refusal too.
    pub(super) fn settle<T>(&self, outcome: Result<T, ServiceError>) -> Result<Attempt<T>, ServiceError> {
        let is_outgrown = self.is_outgrown.get() || self.work.check().is_err();
        if self.place == Place::AtOnce && is_outgrown {
            return Ok(Attempt::Outgrown);
        }
        outcome.map(Attempt::Done)
    }
}

/// Rows that were collected.
pub(super) struct Collected<'r, R> {
    pub(super) rows: Vec<R>,
    bytes: usize,
    reading: &'r Reading,
}

impl<'r, R: Resource> Collected<'r, R> {
    pub(super) const fn none(reading: &'r Reading) -> Self {
        Self { rows: Vec::new(), bytes: 0, reading }
    }

    /// Whether nothing is added any more.
    pub(super) const fn is_full(&self) -> bool {
        self.bytes >= self.reading.room()
    }

    /// Adds rows in their order, until it is full: the one that fills it still counts.
    pub(super) fn add(&mut self, rows: Vec<R>) {
        for row in rows {
            if self.is_full() {
                break;
            }
            self.bytes = self.bytes.saturating_add(row.text_bytes());
            self.rows.push(row);
        }
        if self.is_full() {
            self.reading.outgrow();
        }
    }

    /// What is read a few rows at a time, `most` in all. `read` is told how many rows to read and what comes before
    /// them; fewer than those are the last.
    pub(super) fn read(
        reading: &'r Reading,
        most: usize,
        mut read: impl FnMut(usize, &[R]) -> Result<Vec<R>, ServiceError>,
    ) -> Result<Self, ServiceError> {
        let mut all = Self::none(reading);
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
        (reading, most): (&'r Reading, usize),
    ) -> Result<Self, ServiceError> {
        Self::read(reading, most, |limit, before| {
            let last = before.last().map(|row| row.id().to_string());
            R::page_after(tx, directory, last.as_deref().unwrap_or(after), limit)
        })
    }

    /// Those with these ids, in their order; who left meanwhile is left out.
    pub(super) fn by_ids(
        tx: &mut Tx<'_>,
        directory: DirectoryId,
        (reading, ids): (&'r Reading, &[R::Id]),
    ) -> Result<Self, ServiceError> {
        let mut all = Self::none(reading);
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
