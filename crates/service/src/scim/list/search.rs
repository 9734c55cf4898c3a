//! Searches: what no index serves, by reading a directory and evaluating each resource.
//!
//! The directory is read in chunks, each a short read of its own on a thread where nobody waits. A search is bounded in
//! resources, time and memory, few run at once and one of a directory, and one that meets a bound is refused with a
//! text that says what an index would have served. Only a page by cursor never is: it ends where it met the bound, and
//! the next goes on.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_domain::id::DirectoryId;
use portcullis_scim::filter::INDEXED_FILTERS;
use portcullis_scim::{ScimError, Work};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::room::{Collected, Reading};
use super::{Ask, Hit, Hits, Page, Position, Resource, Window, evaluated, order, position_of, shown_of};
use crate::{Portcullis, ServiceError};

/// The most resources that a search reads at a time: a few milliseconds, so that nobody waits for it.
const CHUNK: usize = 500;
/// The most bytes that a step of a search compares before it ends: some ten milliseconds, as many as its resources take
/// to read.
pub const MAX_CHUNK_WORK_BYTES: usize = 16 * 1024 * 1024;
/// Lists that an index serves and that are not small, at once on a node: each has as much in memory as has room.
const MAX_LISTS: usize = 8;
/// The same of one directory.
const MAX_LISTS_OF_DIRECTORY: usize = 4;
/// Searches that run at once on a node. They take processor time from those who only look somebody up.
const MAX_SEARCHES: usize = 2;
/// How long a search waits for its turn, in milliseconds; then the client is told to try again.
const MAX_TURN_MS: u64 = 2_000;
/// Seconds after which a client whose search found no turn may try again.
const RETRY_SEARCH_S: i64 = 2;

/// What one search may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchBounds {
    /// The most resources that it reads.
    pub max_resources: usize,
    /// The longest that it takes, in milliseconds.
    pub max_ms: i64,
}

impl Default for SearchBounds {
    /// Twice the largest directory that is planned for, and what a client waits for without doubt.
    fn default() -> Self {
        Self { max_resources: 200_000, max_ms: 5_000 }
    }
}

impl SearchBounds {
    /// The bound that stands in the way of one more chunk.
    fn met(self, read: usize, took_ms: i64) -> Option<String> {
        if read + CHUNK > self.max_resources {
            return Some(format!("{} resources", self.max_resources));
        }
        (took_ms > self.max_ms).then(|| format!("what {} ms allow", self.max_ms))
    }
}

/// What searches share: their bounds and their turns.
#[derive(Debug)]
pub struct Searches {
    bounds: SearchBounds,
    searches: Turns,
    lists: Turns,
}

/// The turns of one kind of reading.
#[derive(Debug)]
struct Turns {
    of_node: Arc<Semaphore>,
    /// How many a directory has at once.
    most_of_directory: usize,
    /// Those of each directory whose readings run or wait.
    of_directories: Mutex<HashMap<DirectoryId, Arc<Semaphore>>>,
}

/// A turn to search, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _of_directory: OwnedSemaphorePermit,
    _of_node: OwnedSemaphorePermit,
}

impl Default for Searches {
    fn default() -> Self {
        Self::within(SearchBounds::default())
    }
}

impl Searches {
    /// Searches within these bounds.
    #[must_use]
    pub fn within(bounds: SearchBounds) -> Self {
        Self {
            bounds,
            searches: Turns::of(MAX_SEARCHES, 1),
            lists: Turns::of(MAX_LISTS, MAX_LISTS_OF_DIRECTORY),
        }
    }

    /// A turn of a directory to search: one at a time.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] after two seconds.
    pub async fn turn(&self, directory: DirectoryId) -> Result<Turn, ServiceError> {
        self.searches.turn(directory).await
    }

    /// A turn of a directory to read a list that is not small.
    ///
    /// # Errors
    /// As [`Searches::turn`].
    pub async fn turn_to_list(&self, directory: DirectoryId) -> Result<Turn, ServiceError> {
        self.lists.turn(directory).await
    }
}

impl Turns {
    fn of(most_of_node: usize, most_of_directory: usize) -> Self {
        let of_node = Arc::new(Semaphore::new(most_of_node));
        Self { of_node, most_of_directory, of_directories: Mutex::default() }
    }

    /// A turn of a directory, which has fewer than the node, so that none keeps the others from theirs. Whoever waits for
    /// a turn of their directory takes none of the node.
    async fn turn(&self, directory: DirectoryId) -> Result<Turn, ServiceError> {
        let (own, any) = (self.of_directory(directory), Arc::clone(&self.of_node));
        let both = async {
            let of_directory = own.acquire_owned().await.ok()?;
            let of_node = any.acquire_owned().await.ok()?;
            Some(Turn { _of_directory: of_directory, _of_node: of_node })
        };
        let turn = tokio::time::timeout(Duration::from_millis(MAX_TURN_MS), both).await;
        turn.ok().flatten().ok_or(ServiceError::TooMany { retry_after_s: RETRY_SEARCH_S })
    }

    /// The turns of a directory. Those that nobody has or waits for are forgotten.
    fn of_directory(&self, directory: DirectoryId) -> Arc<Semaphore> {
        let mut all = self.of_directories.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(all.entry(directory).or_insert_with(|| Arc::new(Semaphore::new(self.most_of_directory))))
    }
}

impl Portcullis {
    /// Reads a directory chunk by chunk and evaluates each resource. To be called in a turn.
    pub(super) async fn search<R: Resource>(&self, ask: &Arc<Ask>) -> Result<Hits<R::Id>, ServiceError> {
        let searches = self.searches();
        let began_at = self.now();
        let mut found: Found<R::Id> = Found::of(ask);
        let mut after = found.begin_after(ask);
        let mut read = 0;
        loop {
            let chunk = self.chunk::<R>(Arc::clone(ask), after).await?;
            read += chunk.read;
            let is_enough = found.take(chunk.hits);
            let Some(last) = chunk.last else { return Ok(found.finish(ask, None)) };
            if is_enough {
                return Ok(found.finish(ask, None));
            }
            let took_ms = (self.now().micros() - began_at.micros()) / 1_000;
            if let Some(bound) = searches.bounds.met(read, took_ms) {
                if found.may_pause() {
                    return Ok(found.finish(ask, Some(last)));
                }
                return Err(ScimError::SearchTooLarge { bound, served: INDEXED_FILTERS }.into());
            }
            after = last;
        }
    }

    /// One chunk, on a thread where nobody waits: evaluating it takes longer than a request's turn. It ends, too, behind
    /// the resource that was dear to evaluate.
    async fn chunk<R: Resource>(&self, ask: Arc<Ask>, after: String) -> Result<Chunk<R::Id>, ServiceError> {
        self.read_apart(move |tx, _| {
            let (reading, work) = (Reading::apart(), Work::within(usize::MAX));
            let found = Collected::<R>::after(tx, ask.directory, &after, (&reading, CHUNK))?;
            let mut may_follow = found.rows.len() == CHUNK || found.is_full();
            let (mut hits, mut last, mut read) = (Vec::new(), None, 0);
            for row in found.rows {
                if work.spent() > MAX_CHUNK_WORK_BYTES {
                    may_follow = true;
                    break;
                }
                hits.extend(evaluated(tx, &ask, &row, &work)?);
                last = Some(row.id());
                read += 1;
            }
            Ok(Chunk { hits, last: last.filter(|_| may_follow).map(|id| id.to_string()), read })
        })
        .await
    }
}

struct Chunk<I> {
    hits: Vec<Hit<I>>,
    /// The id of the last resource that was read, where more may follow.
    last: Option<String>,
    read: usize,
}

/// What a search has found so far.
enum Found<I> {
    /// In order of age, by number: only what the page shows is kept.
    Numbered { window: Window, total: u64, hits: Vec<Hit<I>> },
    /// In order of age, after a position: enough for the page.
    Following { count: usize, hits: Vec<Hit<I>> },
    /// Sorted, so that everything must be known.
    Sorted { hits: Vec<Hit<I>> },
}

impl<I: Copy + Ord + Display + FromStr> Found<I> {
    fn of(ask: &Ask) -> Self {
        match (&ask.sort, &ask.page) {
            (Some(_), _) => Self::Sorted { hits: Vec::new() },
            (None, Page::Window(window)) => Self::Numbered { window: *window, total: 0, hits: Vec::new() },
            (None, Page::After { count, .. }) => Self::Following { count: *count, hits: Vec::new() },
        }
    }

    /// The id after which the search begins.
    fn begin_after(&self, ask: &Ask) -> String {
        match (self, &ask.page) {
            (Self::Following { .. }, Page::After { position: Some(position), .. }) => position.id.clone(),
            _ => String::new(),
        }
    }

    /// Keeps what is needed of a chunk. True: that is enough.
    fn take(&mut self, chunk: Vec<Hit<I>>) -> bool {
        match self {
            Self::Numbered { window, total, hits } => {
                for hit in chunk {
                    if *total >= window.skip && hits.len() < window.count {
                        hits.push(hit);
                    }
                    *total += 1;
                }
                false
            }
            Self::Following { count, hits } => {
                hits.extend(chunk);
                hits.len() > *count
            }
            Self::Sorted { hits } => {
                hits.extend(chunk);
                false
            }
        }
    }

    /// Whether a page may end where a bound is met, because the next one goes on from there.
    const fn may_pause(&self) -> bool {
        matches!(self, Self::Following { .. })
    }

    fn finish(self, ask: &Ask, paused: Option<String>) -> Hits<I> {
        match self {
            Self::Numbered { total, hits, .. } => Hits { shown: hits, total: Some(total), next: None },
            Self::Following { count, mut hits } => {
                let has_more = hits.len() > count;
                hits.truncate(count);
                let next = match (has_more, paused) {
                    (true, _) => position_of(hits.last(), None),
                    (false, Some(id)) => Some(Position { key: None, id, total: None }),
                    (false, None) => None,
                };
                Hits { shown: hits, total: None, next }
            }
            Self::Sorted { mut hits } => {
                hits.sort_by(|one, other| order(ask, one, other));
                let total = u64::try_from(hits.len()).ok();
                let mut shown = shown_of(ask, hits, |hit| hit);
                let count = match &ask.page {
                    Page::After { count, .. } => *count,
                    Page::Window(_) => shown.len(),
                };
                let has_more = shown.len() > count;
                shown.truncate(count);
                let next = if has_more { position_of(shown.last(), total) } else { None };
                Hits { shown, total, next }
            }
        }
    }
}
