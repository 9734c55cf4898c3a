//! Lists: which resources a query finds, in which order, page by page (RFC 7644 section 3.4.2, RFC 9865).
//!
//! Three roads lead to an answer. What needs neither filter nor order is read as a page of an index. A filter that an
//! index narrows has its few candidates evaluated. Everything else is a `search`.

mod search;

pub use search::{MAX_CHUNK_WORK_BYTES, SearchBounds, Searches, Turn};

use std::cmp::Ordering;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use portcullis_domain::id::DirectoryId;
use portcullis_scim::{AskedMembers, Filter, Lookup, Narrowed, ResourceType, SortBy, SortKey, Work};
use portcullis_store::Tx;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::room::{Attempt, Collected, Reading};
use super::{Belongings, GroupShown, UserShown, Window};
use crate::{Portcullis, ServiceError};

/// The most resources that a look-up by an index may find; beyond it the look-up narrows nothing and the query is a
/// search.
pub const MAX_FOUND: usize = 1000;
/// Which part of a list is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// By number.
    Window(Window),
    /// What comes after a position, from the beginning without one.
    After {
        /// Where the page before ended.
        position: Option<Position>,
        /// The most resources that it shows.
        count: usize,
    },
}

/// Where a page ended: what a cursor says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The key of the last resource, where the list is sorted.
    pub key: Option<SortKey>,
    /// The id of the last resource.
    pub id: String,
    /// How many there were in all, where that was known when the list began.
    pub total: Option<u64>,
}

impl Position {
    /// Before the first of a list.
    #[must_use]
    pub const fn beginning() -> Self {
        Self { key: None, id: String::new(), total: None }
    }
}

/// What a list asks for, of one kind of resource.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The directory.
    pub directory: DirectoryId,
    /// Where the directory's resources are, for what a filter may ask of `meta`.
    pub base: String,
    /// Which resources. None: all.
    pub filter: Option<Filter>,
    /// In which order. None: by age.
    pub sort: Option<SortBy>,
    /// Which part.
    pub page: Page,
    /// Whether what belongs to them is shown.
    pub belongings: Belongings,
    /// The members that the filter asks about.
    pub asked_members: AskedMembers,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// What it shows.
    pub items: Vec<T>,
    /// How many there are in all, where that is known.
    pub total: Option<u64>,
    /// Where the next page begins, for pages after a position; none on the last.
    pub next: Option<Position>,
    /// How much text it shows, roughly, in bytes.
    pub bytes: usize,
}

impl<T> Listed<T> {
    fn of<R: Resource<Shown = T>>(items: Vec<T>, total: Option<u64>, next: Option<Position>) -> Self {
        let bytes = items.iter().map(R::shown_bytes).sum();
        Self { items, total, next, bytes }
    }
}

/// A kind of resource that is listed.
pub(super) trait Resource: Send + Sized + 'static {
    type Id: Copy + Ord + Display + FromStr + Send + 'static;
    type Shown: Send + 'static;
    const KIND: ResourceType;
    /// How many are read at a time: so many that are as large as can be have room beside what was collected.
    const AT_ONCE: usize;

    /// How much text is kept of it, where that may be much.
    fn text_bytes(&self) -> usize;

    fn id(&self) -> Self::Id;

    /// How much text of it an answer has, roughly.
    fn shown_bytes(shown: &Self::Shown) -> usize;

    /// The id of what is shown.
    fn id_of(shown: &Self::Shown) -> Self::Id;

    /// A page of all by number, where an index has that order. It ends where the room does.
    fn page(
        tx: &mut Tx<'_>,
        ask: &Ask,
        window: Window,
        reading: &Reading,
    ) -> Result<Option<Vec<Self>>, ServiceError>;

    fn count(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<u64, ServiceError>;

    fn page_after(
        tx: &mut Tx<'_>,
        directory: DirectoryId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Self>, ServiceError>;

    fn by_ids(tx: &mut Tx<'_>, directory: DirectoryId, ids: &[Self::Id]) -> Result<Vec<Self>, ServiceError>;

    /// What an index finds, of it what the window shows; none where no index has that. A kind whose look-ups are read whole
    /// has one page.
    fn indexed(
        tx: &mut Tx<'_>,
        directory: DirectoryId,
        lookup: &Lookup,
        window: Window,
    ) -> Result<Option<Vec<Self>>, ServiceError>;

    /// The resource as a filter sees it.
    fn view(&self, tx: &mut Tx<'_>, ask: &Ask, work: &Work) -> Result<Map<String, Value>, ServiceError>;

    /// What is answered of these; fewer where an answer would get too large.
    fn show(
        tx: &mut Tx<'_>,
        rows: Vec<Self>,
        belongings: Belongings,
        reading: &Reading,
    ) -> Result<Vec<Self::Shown>, ServiceError>;
}

/// A resource that fulfils a query.
struct Hit<I> {
    /// Its key, where the list is sorted.
    key: Option<SortKey>,
    id: I,
}

/// The hits of a page.
struct Hits<I> {
    shown: Vec<Hit<I>>,
    /// How many there are in all, where that is known.
    total: Option<u64>,
    /// Where the next page begins, for pages after a position; none on the last.
    next: Option<Position>,
}

impl Portcullis {
    /// The people whom a query finds.
    ///
    /// # Errors
    /// [`portcullis_scim::ScimError::SearchTooLarge`] where no index serves it and a bound is met,
    /// [`ServiceError::TooMany`] where too many searches run.
    pub async fn list_users(&self, ask: Ask) -> Result<Listed<UserShown>, ServiceError> {
        self.list::<portcullis_store::directory_user::ListedUser>(ask).await
    }

    /// The groups that a query finds. A page ends early where its groups have more members than
    /// [`super::MAX_MEMBERS_SHOWN`]; the client asks on from there.
    ///
    /// # Errors
    /// As [`Portcullis::list_users`]; [`portcullis_scim::ScimError::TooMany`] for one group with too many members.
    pub async fn list_groups(&self, ask: Ask) -> Result<Listed<GroupShown>, ServiceError> {
        self.list::<portcullis_domain::directory_group::DirectoryGroup>(ask).await
    }

    async fn list<R: Resource>(&self, ask: Ask) -> Result<Listed<R::Shown>, ServiceError> {
        let ask = Arc::new(ask);
        let (known, since) = self.totals().find(ask.directory, R::KIND, self.now());
        if let Some(listed) = self.indexed::<R>(&ask, known).await? {
            let is_first = !matches!(&ask.page, Page::After { position: Some(_), .. });
            if let (None, None, true, Some(total)) = (&ask.filter, known, is_first, listed.total) {
                self.totals().keep(ask.directory, R::KIND, since, (total, self.now()));
            }
            return Ok(listed);
        }
        let _turn = self.searches().turn(ask.directory).await?;
        let hits = self.search::<R>(&ask).await?;
        self.read_apart(move |tx, _| {
            let reading = Reading::apart();
            let ids: Vec<R::Id> = hits.shown.iter().map(|hit| hit.id).collect();
            let found = Collected::<R>::by_ids(tx, ask.directory, (&reading, &ids))?;
            // Who left meanwhile is no reason to go on sooner.
            let many = if found.is_full() { ids.len() } else { found.rows.len() };
            let items = R::show(tx, found.rows, ask.belongings, &reading)?;
            let next = next_after::<R>(&items, many, &hits.shown, hits.total).or_else(|| hits.next.clone());
            Ok(Listed::of::<R>(items, hits.total, next))
        })
        .await
    }

    /// What an index serves, if one does.
    async fn indexed<R: Resource>(
        &self,
        ask: &Arc<Ask>,
        known: Option<u64>,
    ) -> Result<Option<Listed<R::Shown>>, ServiceError> {
        let asked = Arc::clone(ask);
        self.read_within(ask.directory, move |tx, reading| by_index::<R>(tx, &asked, (known, reading))).await
    }

    /// What is small is read where the request is served, all else in a turn on a thread where nobody waits.
    pub(super) async fn read_within<T: Send + 'static>(
        &self,
        directory: DirectoryId,
        run: impl Fn(&mut Tx<'_>, &Reading) -> Result<T, ServiceError> + Clone + Send + 'static,
    ) -> Result<T, ServiceError> {
        let again = run.clone();
        let at_once = self.read(move |tx, _| {
            let reading = Reading::at_once();
            let found = run(tx, &reading);
            reading.settle(found)
        });
        if let Attempt::Done(found) = at_once.await? {
            return Ok(found);
        }
        let _turn = self.searches().turn_to_list(directory).await?;
        self.read_apart(move |tx, _| again(tx, &Reading::apart())).await
    }
}

/// A resource as a hit, if it fulfils the query.
fn evaluated<R: Resource>(
    tx: &mut Tx<'_>,
    ask: &Ask,
    row: &R,
    work: &Work,
) -> Result<Option<Hit<R::Id>>, ServiceError> {
    let view = row.view(tx, ask, work)?;
    if let Some(filter) = &ask.filter
        && !filter.matches_within(R::KIND, &view, work)?
    {
        return Ok(None);
    }
    Ok(Some(Hit { key: ask.sort.as_ref().map(|sort| sort.key(&view)), id: row.id() }))
}

/// The answer where an index serves the query.
fn by_index<R: Resource>(
    tx: &mut Tx<'_>,
    ask: &Ask,
    (known, reading): (Option<u64>, &Reading),
) -> Result<Option<Listed<R::Shown>>, ServiceError> {
    match (&ask.page, &ask.filter, &ask.sort) {
        (Page::Window(window), _, _) => {
            if let Some(rows) = R::page(tx, ask, *window, reading)? {
                let total = match known {
                    Some(total) => total,
                    None => R::count(tx, ask.directory)?,
                };
                let items = R::show(tx, rows, ask.belongings, reading)?;
                return Ok(Some(Listed::of::<R>(items, Some(total), None)));
            }
        }
        (Page::After { position, count }, None, None) => {
            return page_after::<R>(tx, ask, position.as_ref(), (*count, known, reading)).map(Some);
        }
        _ => {}
    }
    let Some(filter) = &ask.filter else { return Ok(None) };
    let lookups = match filter.narrow(R::KIND) {
        Narrowed::Everything => return Ok(None),
        Narrowed::Nothing => Vec::new(),
        Narrowed::AnyOf(lookups) => lookups,
    };
    let Some(candidates) = candidates::<R>(tx, ask.directory, &lookups, reading)? else { return Ok(None) };
    let mut hits = Vec::new();
    for row in candidates {
        hits.extend(evaluated(tx, ask, &row, reading.work())?.map(|hit| (hit, row)));
    }
    hits.sort_by(|(one, _), (other, _)| order(ask, one, other));
    let total = u64::try_from(hits.len()).ok();
    let (keys, rows): (Vec<Hit<R::Id>>, Vec<R>) = shown_of(ask, hits, |(hit, _)| hit).into_iter().unzip();
    let count = match &ask.page {
        Page::After { count, .. } => *count,
        Page::Window(_) => keys.len(),
    };
    let next = (keys.len() > count).then(|| position_of(last_of(&keys, count), total)).flatten();
    let rows: Vec<R> = rows.into_iter().take(count).collect();
    let found = rows.len();
    let items = R::show(tx, rows, ask.belongings, reading)?;
    let next = next_after::<R>(&items, found, &keys, total).or(next);
    Ok(Some(Listed::of::<R>(items, total, next)))
}

/// The last of the first `count`.
fn last_of<T>(all: &[T], count: usize) -> Option<&T> {
    all.get(..count).and_then(<[T]>::last)
}

fn page_after<R: Resource>(
    tx: &mut Tx<'_>,
    ask: &Ask,
    position: Option<&Position>,
    (count, known, reading): (usize, Option<u64>, &Reading),
) -> Result<Listed<R::Shown>, ServiceError> {
    let total = match (position, known) {
        (None, None) => Some(R::count(tx, ask.directory)?),
        (None, known) => known,
        (Some(position), _) => position.total,
    };
    let after = position.map_or("", |position| position.id.as_str());
    let most = if count == 0 { 0 } else { count + 1 };
    let found = Collected::<R>::after(tx, ask.directory, after, (reading, most))?;
    let has_more = found.rows.len() > count || found.is_full();
    let mut rows = found.rows;
    rows.truncate(count);
    let shown = rows.len();
    let items = R::show(tx, rows, ask.belongings, reading)?;
    let last = items.last().map(R::id_of).filter(|_| has_more || items.len() < shown);
    let next = last.map(|id| Position { key: None, id: id.to_string(), total });
    Ok(Listed::of::<R>(items, total, next))
}

/// What the look-ups find together, each once; none where one of them has no index or finds too many or too much.
fn candidates<R: Resource>(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    lookups: &[Lookup],
    reading: &Reading,
) -> Result<Option<Vec<R>>, ServiceError> {
    let mut all = Collected::<R>::none(reading);
    for lookup in lookups {
        let mut window = Window { skip: 0, count: R::AT_ONCE };
        loop {
            let Some(found) = R::indexed(tx, directory, lookup, window)? else { return Ok(None) };
            window.skip = window.skip.saturating_add(u64::try_from(found.len()).unwrap_or(u64::MAX));
            let is_last = found.len() < window.count;
            all.add(found);
            if all.rows.len() > MAX_FOUND || all.is_full() {
                return Ok(None);
            }
            if is_last {
                break;
            }
        }
    }
    let mut all = all.rows;
    all.sort_by_key(Resource::id);
    all.dedup_by_key(|row| row.id());
    Ok(Some(all))
}

/// The order of a list: by key, then by age, so that it is total.
fn order<I: Ord>(ask: &Ask, one: &Hit<I>, other: &Hit<I>) -> Ordering {
    let by_key = match (&ask.sort, &one.key, &other.key) {
        (Some(sort), Some(one), Some(other)) => sort.order().compare(one, other),
        _ => Ordering::Equal,
    };
    by_key.then_with(|| one.id.cmp(&other.id))
}

/// Of sorted hits those that a page shows; after a position one more, which tells that there are more.
fn shown_of<T, I: Ord + FromStr>(ask: &Ask, hits: Vec<T>, hit: impl Fn(&T) -> &Hit<I>) -> Vec<T> {
    match &ask.page {
        Page::Window(window) => window.of(hits),
        Page::After { count: 0, .. } => Vec::new(),
        Page::After { position, count } => {
            let passed = position
                .as_ref()
                .and_then(|at| Some(Hit { key: at.key.clone(), id: at.id.parse::<I>().ok()? }));
            hits.into_iter()
                .filter(|one| passed.as_ref().is_none_or(|passed| order(ask, hit(one), passed).is_gt()))
                .take(count + 1)
                .collect()
        }
    }
}

fn position_of<I: Display>(hit: Option<&Hit<I>>, total: Option<u64>) -> Option<Position> {
    hit.map(|hit| Position { key: hit.key.clone(), id: hit.id.to_string(), total })
}

/// Where a page goes on that shows less than was found for it.
fn next_after<R: Resource>(
    items: &[R::Shown],
    found: usize,
    hits: &[Hit<R::Id>],
    total: Option<u64>,
) -> Option<Position> {
    let last = items.last().filter(|_| items.len() < found).map(R::id_of)?;
    position_of(hits.iter().find(|hit| hit.id == last), total)
}
