//! The threads that write: one for SQLite, which groups commits; several for PostgreSQL.
//!
//! A request is answered only after the commit that holds it is durable. On SQLite the requests that wait while one
//! commit runs go into the next, so that eight writers do not pay for eight syncs. A savepoint for each would copy every
//! page that it touches, and nearly all requests are kept; so they stand together until one of them writes and then
//! refuses. Then the group is rolled back, those before it are run again, and each has its own savepoint from there on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis_domain::Clock;
use rusqlite::ErrorCode;

use crate::StoreError;
use crate::db::{Inner, RowCounts, Trouble, Tx};
use crate::driver::{Driver, PostgresConnection, was_cut_off};
use crate::queue::{Asked, Duty, Queue};
use crate::wire::{Server, Unreached};

/// The most requests in one commit.
pub(crate) const MAX_GROUP: usize = 64;
/// A group ends once it has written that many rows: a commit must not grow without bound.
pub(crate) const MAX_GROUP_ROWS: u64 = 5000;
/// A group ends after that many microseconds: nobody waits long for others' work.
pub(crate) const MAX_GROUP_MICROS: i64 = 20_000;
/// How often a transaction is tried again after a deadlock or a lost race.
pub(crate) const MAX_TRIES: usize = 5;
/// How long all tries of one transaction may take together, in microseconds, and how long it may wait for one lock: whoever
/// waits has a thread that others want.
pub(crate) const MAX_TRYING_MICROS: i64 = 5_000_000;

/// How long a thread without a connection to PostgreSQL takes nothing before it looks for one again, at first and at most.
const MIN_AWAY: Duration = Duration::from_millis(100);
const MAX_AWAY: Duration = Duration::from_secs(1);

/// How often SQLite's writer looks for the next request before it sleeps, giving way to whoever wants to run: about half a
/// millisecond. A client that waits for each answer is back within that time, and to wake a thread whose processor went
/// to sleep takes a fifth of the whole request.
pub(crate) const LOOKS: u32 = 2000;
/// It looks only while requests come within so many microseconds of its last answer, as they usually did of late. To look
/// takes the processor for as long as nobody comes, whatever it saves whoever comes then.
pub(crate) const WORTH_LOOKING_MICROS: i64 = 500;
/// A longer pause counts as this one, so that a few requests that follow each other have it look again.
pub(crate) const MAX_PAUSE_MICROS: i64 = 4 * WORTH_LOOKING_MICROS;

/// Whether a request wants its changes kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Commit them.
    Keep,
    /// Roll them back: the use case refused, or failed.
    Drop,
}

/// One request to the writer.
pub(crate) trait Job: Send {
    /// Runs the use case.
    fn attempt(&mut self, tx: &mut Tx<'_>) -> Attempt;
    /// Whether it only reads: all of it sees one state of the database, and nothing it does could be kept.
    fn only_reads(&self) -> bool;
    /// Answers: after the commit, or with why there was none.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// How SQLite's writer waits: awake for a moment, while that is worth it.
#[derive(Debug)]
pub(crate) struct Wakefulness {
    /// How long it usually waited of late, in microseconds.
    usual_pause: i64,
}

impl Default for Wakefulness {
    fn default() -> Self {
        Self { usual_pause: MAX_PAUSE_MICROS }
    }
}

impl Wakefulness {
    /// Returns when a request waits, or when it is time to sleep until one does.
    pub(crate) fn look(&self, queue: &Queue, give_way: impl Fn()) {
        if self.usual_pause > WORTH_LOOKING_MICROS {
            return;
        }
        for _ in 0..LOOKS {
            if queue.len() > 0 {
                return;
            }
            give_way();
        }
    }

    /// A request came that many microseconds after the last answer.
    pub(crate) fn learn(&mut self, pause: i64) {
        self.usual_pause = (3 * self.usual_pause + pause.clamp(0, MAX_PAUSE_MICROS)) / 4;
    }
}

fn attempt(job: &mut Box<dyn Job>, tx: &mut Tx<'_>) -> Option<Attempt> {
    catch_unwind(AssertUnwindSafe(|| job.attempt(tx))).ok()
}

/// The life of SQLite's one writer. `lessenings` counts the commits that may have taken access away.
pub(crate) fn sqlite_writer(
    connection: &rusqlite::Connection,
    queue: &Queue,
    clock: &dyn Clock,
    lessenings: &AtomicU64,
) {
    let mut wakefulness = Wakefulness::default();
    loop {
        let answered_at = clock.now();
        wakefulness.look(queue, std::thread::yield_now);
        let Some(Asked { job: first, .. }) = queue.wait(Duty::Everything) else { return };
        wakefulness.learn(clock.now().micros() - answered_at.micros());
        let mut group: Vec<Box<dyn Job>> = Vec::new();
        let mut done = Done::default();
        let outcome = sqlite_group(connection, queue, clock, first, (&mut group, &mut done));
        if done.lessened {
            // INVARIANT: after the commit and before any answer, so that whoever was answered finds it counted. Whatever
            // came of the commit: nobody is sure of one that failed.
            lessenings.fetch_add(1, Ordering::Release);
        }
        if let Err(error) = &outcome {
            tracing::error!(error = %error, requests = group.len(), "a group of writes was not committed");
        }
        #[expect(clippy::cast_precision_loss, reason = "a histogram takes floats, and a group is small")]
        metrics::histogram!("portcullis_store_commit_requests").record(group.len() as f64);
        for job in group {
            job.finish(outcome.clone());
        }
    }
}

/// What the requests of a group did.
#[derive(Default)]
struct Done {
    counts: RowCounts,
    /// Whether one of them may have taken access away.
    lessened: bool,
}

/// How the requests of a group are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Apart {
    /// Not at all, as long as all of them are kept.
    Together,
    /// Each in its own savepoint.
    BySavepoints,
}

/// Carries out the first request and those that wait behind it, in one commit.
fn sqlite_group(
    connection: &rusqlite::Connection,
    queue: &Queue,
    clock: &dyn Clock,
    first: Box<dyn Job>,
    (group, done): (&mut Vec<Box<dyn Job>>, &mut Done),
) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| GroupLost::from(error).into();
    let started = clock.now().micros();
    let mut apart = Apart::Together;
    // Those who wait now, and nobody who comes while they are carried out: who was answered by the last commit would come
    // again meanwhile, all callers would walk in step, and either this thread or all the others would stand idle.
    let mut behind = queue.len();
    let mut next = Some(first);
    if let Err(error) = control(connection, "BEGIN IMMEDIATE") {
        group.extend(next);
        return Err(failed(error));
    }
    while let Some(mut job) = next.take() {
        let mut result = sqlite_request(connection, &mut job, apart, done);
        if let Ok(Left::Spoiled) = result {
            apart = Apart::BySavepoints;
            result = sqlite_again(connection, group, done).map(|()| Left::Clean);
        }
        group.push(job);
        if let Err(error) = result {
            // The connection is no longer where we think it is: nothing of this group may count as done.
            let _ = control(connection, "ROLLBACK");
            return Err(error.into());
        }
        let full = group.len() >= MAX_GROUP
            || done.counts.written() >= MAX_GROUP_ROWS
            || clock.now().micros() - started >= MAX_GROUP_MICROS;
        if !full && behind > 0 {
            behind -= 1;
            next = queue.next();
        }
    }
    if let Err(error) = control(connection, "COMMIT") {
        if !connection.is_autocommit() {
            let _ = control(connection, "ROLLBACK");
        }
        return Err(sqlite_commit_lost(&error));
    }
    count_rows(done.counts);
    Ok(())
}

/// What a commit that SQLite did not carry out is answered with. Where the disk refused the last sync, the commit stands
/// in the log whole, and whoever opens the file after a crash finds it there, though SQLite rolled it back here.
fn sqlite_commit_lost(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => {
            StoreError::OutcomeUnknown(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// Tells operators what was committed, and what was read on the way.
fn count_rows(counts: RowCounts) {
    for (road, rows) in [("read", counts.read), ("change", counts.changed), ("note", counts.noted)] {
        metrics::counter!("portcullis_store_rows_total", "road" => road).increment(rows);
    }
}

fn control(connection: &rusqlite::Connection, sql: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.raw_execute().map(|_| ())
}

/// Why a group of requests is not committed.
enum GroupLost {
    /// SQLite refused a statement that controls the transaction.
    Driver(rusqlite::Error),
    /// A statement of a request ended the transaction that all of them stood in.
    Ended,
}

impl From<rusqlite::Error> for GroupLost {
    fn from(error: rusqlite::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<GroupLost> for StoreError {
    fn from(lost: GroupLost) -> Self {
        Self::Unavailable(match lost {
            GroupLost::Driver(error) => error.to_string(),
            GroupLost::Ended => "the transaction ended before its requests were carried out".into(),
        })
    }
}

/// In what state a request left the transaction.
enum Left {
    /// What it wrote is to be kept, or it left nothing.
    Clean,
    /// It wrote something that nobody wants kept.
    Spoiled,
}

fn sqlite_request(
    connection: &rusqlite::Connection,
    job: &mut Box<dyn Job>,
    apart: Apart,
    done: &mut Done,
) -> Result<Left, GroupLost> {
    if apart == Apart::BySavepoints {
        control(connection, "SAVEPOINT request")?;
    }
    let mut tx = Tx::new(Inner::Sqlite(connection));
    let kept = attempt(job, &mut tx);
    let own = tx.row_counts();
    done.counts.add(own);
    done.lessened |= tx.has_lessened();
    if connection.is_autocommit() {
        return Err(GroupLost::Ended);
    }
    let spoiled = match kept {
        Some(Attempt::Keep) => false,
        Some(Attempt::Drop) => own.written() > 0,
        None => true,
    };
    match apart {
        Apart::Together if spoiled => return Ok(Left::Spoiled),
        Apart::Together => {}
        Apart::BySavepoints => {
            if spoiled {
                control(connection, "ROLLBACK TO request")?;
            }
            control(connection, "RELEASE request")?;
        }
    }
    Ok(Left::Clean)
}

/// Undoes a transaction that a request spoiled, and carries out again what came before it.
fn sqlite_again(
    connection: &rusqlite::Connection,
    before: &mut [Box<dyn Job>],
    done: &mut Done,
) -> Result<(), GroupLost> {
    control(connection, "ROLLBACK")?;
    control(connection, "BEGIN IMMEDIATE")?;
    for job in before {
        sqlite_request(connection, job, Apart::BySavepoints, done)?;
    }
    Ok(())
}

/// The life of one of PostgreSQL's threads. The client is made, used and dropped here.
pub(crate) fn postgres_worker(
    server: &Server,
    (queue, duty): (&Queue, Duty),
    clock: &dyn Clock,
    connected: impl FnOnce(Result<(), StoreError>),
) {
    let mut line = Line { server, queue, duty, connection: None };
    match line.open() {
        Ok(_) => connected(Ok(())),
        Err(unreached) => return connected(Err(unreached.error)),
    }
    while let Some(asked) = queue.wait(duty) {
        line.serve(asked, clock);
    }
}

/// What one of PostgreSQL's threads has: a connection, which the queue knows of, or none just now.
struct Line<'a> {
    server: &'a Server,
    queue: &'a Queue,
    duty: Duty,
    connection: Option<PostgresConnection>,
}

impl Line<'_> {
    /// The connection, and whether it was made just now.
    fn open(&mut self) -> Result<(&mut PostgresConnection, bool), Unreached> {
        if self.connection.as_ref().is_some_and(|open| open.client.is_closed()) {
            self.part();
        }
        let is_new = self.connection.is_none();
        let open = match self.connection.take() {
            Some(open) => open,
            None => {
                let bounded = format!("SET lock_timeout = {}", MAX_TRYING_MICROS / 1000);
                let opened = self.server.open(&bounded).map(PostgresConnection::new)?;
                self.queue.connected(self.duty);
                opened
            }
        };
        Ok((self.connection.insert(open), is_new))
    }

    fn part(&mut self) {
        if self.connection.take().is_some() {
            self.queue.parted(self.duty);
        }
    }

    fn serve(&mut self, mut asked: Asked, clock: &dyn Clock) {
        let outcome = loop {
            let came = self.queue.came();
            let (open, is_new) = match self.open() {
                Ok(open) => open,
                Err(unreached) => return self.cannot(asked, came, unreached),
            };
            let Err(lost) = postgres_tries(open, &mut asked.job, clock) else { break Ok(()) };
            // The server says that it ends before it closes: whoever comes next would be the one to find out.
            let is_spent = lost.is_gone || open.client.is_closed();
            if is_spent {
                self.part();
            }
            // A connection that was closed while nobody used it is nobody's misfortune: nothing was begun by it.
            if !is_spent || lost.has_begun || is_new {
                break Err(lost.error);
            }
        };
        asked.job.finish(outcome);
    }

    /// There is no connection for what was asked when so many had come.
    fn cannot(&mut self, asked: Asked, came: u64, Unreached { error, is_answered }: Unreached) {
        tracing::error!(error = %error, "the database is not reachable");
        if let Err(job) = self.queue.put_back(asked, self.duty) {
            // Who waited for as long would wait as long again, for each of those before them.
            if !is_answered && !self.queue.is_served(self.duty) {
                self.queue.refuse(self.duty, came, &error);
            }
            job.finish(Err(error));
        }
        self.regain();
    }

    /// Takes nothing for a moment, and for as long as others have a connection and this thread finds none.
    fn regain(&mut self) {
        let mut pause = MIN_AWAY;
        loop {
            std::thread::sleep(pause);
            if !self.queue.is_served(self.duty) || self.open().is_ok() {
                return;
            }
            pause = MAX_AWAY.min(2 * pause);
        }
    }
}

/// Why a request was not carried out.
struct Lost {
    error: StoreError,
    /// Whether the connection is not to be asked again.
    is_gone: bool,
    /// Whether anything of the request was begun.
    has_begun: bool,
}

fn postgres_tries(
    connection: &mut PostgresConnection,
    job: &mut Box<dyn Job>,
    clock: &dyn Clock,
) -> Result<(), Lost> {
    let started = clock.now().micros();
    let mut tries = 0;
    let lost = |error, is_gone| Lost { error, is_gone, has_begun: true };
    loop {
        tries += 1;
        let outcome = postgres_try(connection, job);
        let again = tries < MAX_TRIES && clock.now().micros() - started < MAX_TRYING_MICROS;
        return match outcome {
            Ok(()) => Ok(()),
            Err(TryLost::Race) if again => continue,
            Err(TryLost::Race) => {
                Err(lost(StoreError::Unavailable("too many others change the same rows".into()), false))
            }
            Err(TryLost::Answered(error)) => Err(lost(error, false)),
            Err(TryLost::Gone(error)) => Err(lost(error, true)),
            Err(TryLost::NotBegun(error)) => Err(Lost { error, is_gone: true, has_begun: tries > 1 }),
        };
    }
}

/// Why a try of a request is not committed, or not known to be.
enum TryLost {
    /// A deadlock or a lost race: it was rolled back, and may be run again.
    Race,
    /// The request is answered with this.
    Answered(StoreError),
    /// The same, and the connection is of no use any more.
    Gone(StoreError),
    /// The same, before anything of the request was done.
    NotBegun(StoreError),
}

impl TryLost {
    /// A statement that controls the transaction failed, and nothing was committed.
    fn uncommitted(error: tokio_postgres::Error) -> Self {
        tracing::warn!(error = %error, "transaction control failed");
        let Driver { trouble, message } = Driver::from(error);
        match trouble {
            Trouble::TryAgain => Self::Race,
            Trouble::None | Trouble::Refused => Self::Answered(StoreError::Unavailable(message)),
            Trouble::Gone => Self::Gone(StoreError::Unavailable(message)),
        }
    }

    /// The commit failed. It was rolled back where the server says so and stays; one that ends, or whose answer does not
    /// come, may have committed before.
    fn in_commit(error: tokio_postgres::Error) -> Self {
        let is_unknown = was_cut_off(&error);
        let Driver { trouble, message } = Driver::from(error);
        match trouble {
            _ if is_unknown => Self::Gone(StoreError::OutcomeUnknown(message)),
            Trouble::TryAgain => Self::Race,
            Trouble::None | Trouble::Refused => Self::Answered(StoreError::Unavailable(message)),
            Trouble::Gone => Self::Gone(StoreError::Unavailable(message)),
        }
    }
}

fn postgres_try(connection: &mut PostgresConnection, job: &mut Box<dyn Job>) -> Result<(), TryLost> {
    let only_reads = job.only_reads();
    // Between two statements others commit: a person who moves from one group to another would be found in both.
    let begin = if only_reads { "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" } else { "BEGIN" };
    connection
        .client
        .batch_execute(begin)
        .map_err(|error| TryLost::NotBegun(StoreError::Unavailable(Driver::from(error).message)))?;
    let inner = Inner::Postgres(connection);
    let mut tx = if only_reads { Tx::reading(inner) } else { Tx::new(inner) };
    let kept = attempt(job, &mut tx);
    let (trouble, counts, why_gone) = (tx.trouble(), tx.row_counts(), tx.why_gone());
    if kept == Some(Attempt::Keep) && trouble == Trouble::None {
        // Who only read has changed nothing, whatever came of it.
        let lost = if counts.written() > 0 { TryLost::in_commit } else { TryLost::uncommitted };
        connection.client.batch_execute("COMMIT").map_err(lost)?;
        count_rows(counts);
        return Ok(());
    }
    let rolled_back = connection.client.batch_execute("ROLLBACK").map_err(TryLost::uncommitted);
    match (trouble, kept) {
        (Trouble::None, _) | (Trouble::Refused, Some(Attempt::Drop) | None) => rolled_back,
        (Trouble::TryAgain, _) => Err(TryLost::Race),
        (Trouble::Refused, Some(Attempt::Keep)) => {
            let went_on = "a statement was refused, and the request went on as if it were not";
            Err(TryLost::Answered(StoreError::Fault(went_on.into())))
        }
        (Trouble::Gone, _) => Err(TryLost::Gone(StoreError::Unavailable(why_gone))),
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
