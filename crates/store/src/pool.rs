//! The store: threads with connections, and the two ways to use them, `write` and `read`.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use portcullis_domain::Clock;
use rusqlite::OpenFlags;
use rustls::ClientConfig;

use crate::db::{Dialect, Inner, Tx};
use crate::queue::{Duty, Lane, Queue};
use crate::wire::Server;
use crate::writer::{Attempt, Job, postgres_worker, sqlite_writer};
use crate::{StoreError, migration};

/// Prepared statements kept a SQLite connection: more than there are statements.
const STATEMENT_CACHE: usize = 1024;
/// Idle SQLite connections kept for reads.
const MAX_IDLE_READERS: usize = 16;
/// Of so many connections to PostgreSQL one is for reads alone; where there are fewer, all are for everything.
const READERS_ONE_IN: usize = 4;
/// How long a SQLite connection waits for another process's lock, in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 2000;

/// What each connection to SQLite is set to, also one that is measured beside the server's. `FULL`: the log of the database is
/// synced with every commit, before anybody is answered; with less the last answers are lost with the power.
pub const SQLITE_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; \
    PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 4000;";

/// Which requests go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Somebody ends, a secret is revoked, an agent stops, somebody is taken out of a group: before everything else.
    OffBoarding,
    /// Everything else: what gives, and what changes the rules for many.
    Ordinary,
}

/// Where the database is.
#[derive(Clone)]
pub enum Options {
    /// A SQLite file; made if it is not there.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres {
        /// `postgres://user:secret@host/database`.
        url: String,
        /// How many connections.
        connections: usize,
        /// Whom to trust where TLS is spoken ([`crate::Wire::Tls`]); without it, such a database is not reached.
        tls: Option<Arc<ClientConfig>>,
    },
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => f.debug_struct("Sqlite").field("path", path).finish(),
            // The URL has the password.
            Self::Postgres { connections, .. } => {
                f.debug_struct("Postgres").field("connections", connections).finish_non_exhaustive()
            }
        }
    }
}

struct SqliteReaders {
    path: PathBuf,
    /// Commits of the writer that may have taken access away.
    lessenings: Arc<AtomicU64>,
    idle: Mutex<Vec<rusqlite::Connection>>,
}

enum Readers {
    Sqlite(SqliteReaders),
    Postgres,
}

/// The database, behind threads of its own.
pub struct Store {
    queue: Arc<Queue>,
    readers: Readers,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Request<T, E, F, R> {
    only_reads: bool,
    run: F,
    result: Option<Result<T, E>>,
    reply: R,
}

impl<T, E, F, R> Job for Request<T, E, F, R>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
    R: FnOnce(Result<T, E>) + Send,
{
    fn attempt(&mut self, tx: &mut Tx<'_>) -> Attempt {
        self.result = None;
        let result = (self.run)(tx).and_then(|done| crate::apply::close(tx).map(|()| done).map_err(E::from));
        let attempt = if result.is_ok() { Attempt::Keep } else { Attempt::Drop };
        self.result = Some(result);
        attempt
    }

    fn only_reads(&self) -> bool {
        self.only_reads
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        reply(match (outcome, result) {
            (Err(error), _) => Err(error.into()),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(StoreError::Fault("the request panicked".into()).into()),
        });
    }
}

fn open_sqlite(path: &std::path::Path) -> Result<rusqlite::Connection, StoreError> {
    let failed = |e: rusqlite::Error| StoreError::Unavailable(format!("`{}`: {e}", path.display()));
    // A path is a path: what begins with `file:` is no URI, under which one database would have several names.
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    // A plan that may depend on a parameter is made anew whenever that is bound: by far the greater part of a look-up.
    // The plans here are pinned by tests and depend on none.
    connection
        .set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(failed)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS)).map_err(failed)?;
    connection.execute_batch(SQLITE_SETTINGS).map_err(failed)?;
    Ok(connection)
}

/// How many of that many connections are for reads alone. One that writes may wait for others for seconds.
const fn readers_of(connections: usize) -> usize {
    connections / READERS_ONE_IN
}

impl Store {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot be reached, [`StoreError::WrongVersion`] if a newer Portcullis wrote
    /// it.
    pub fn open(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let store = Self::connect(options, Arc::clone(&clock))?;
        store.write_blocking(move |tx| migration::migrate(tx, clock.now()))?;
        Ok(store)
    }

    /// Opens the database as it is, without touching its schema.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot be reached.
    pub fn connect(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let queue = Queue::new();
        let mut threads = Vec::new();
        let spawned = |r: std::io::Result<JoinHandle<()>>| {
            r.map_err(|e| StoreError::Unavailable(format!("no thread for the database: {e}")))
        };
        let readers = match options {
            Options::Sqlite { path } => {
                let connection = open_sqlite(path)?;
                let queue = Arc::clone(&queue);
                let name = std::thread::Builder::new().name("sqlite-writer".into());
                let lessenings = Arc::new(AtomicU64::new(0));
                let counted = Arc::clone(&lessenings);
                threads.push(spawned(
                    name.spawn(move || sqlite_writer(&connection, &queue, &*clock, &counted)),
                )?);
                Readers::Sqlite(SqliteReaders {
                    path: path.clone(),
                    lessenings,
                    idle: Mutex::new(Vec::new()),
                })
            }
            Options::Postgres { url, connections, tls } => {
                let server = Arc::new(Server::new(url, tls.as_ref())?);
                let (connected, outcomes) = mpsc::channel();
                let connections = (*connections).max(1);
                for number in 0..connections {
                    let duty = if number < readers_of(connections) { Duty::Reads } else { Duty::Everything };
                    let (server, queue, clock) =
                        (Arc::clone(&server), Arc::clone(&queue), Arc::clone(&clock));
                    let connected = connected.clone();
                    let name = std::thread::Builder::new().name(format!("postgres-{number}"));
                    threads.push(spawned(name.spawn(move || {
                        // The sender is dropped with the first outcome: the loop below ends when all have spoken.
                        postgres_worker(&server, (&queue, duty), &*clock, move |outcome| {
                            let _ = connected.send(outcome);
                        });
                    }))?);
                }
                drop(connected);
                for outcome in outcomes {
                    outcome?;
                }
                Readers::Postgres
            }
        };
        Ok(Self { queue, readers, threads: Mutex::new(threads) })
    }

    /// Which database it is.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self.readers {
            Readers::Sqlite(_) => Dialect::Sqlite,
            Readers::Postgres => Dialect::Postgres,
        }
    }

    /// How many commits since the start may have taken access away, for what is kept in memory until the next one:
    /// whoever was answered finds theirs counted. `None` where other nodes commit too.
    #[must_use]
    pub fn lessenings(&self) -> Option<u64> {
        match &self.readers {
            Readers::Sqlite(readers) => Some(readers.lessenings.load(Ordering::Acquire)),
            Readers::Postgres => None,
        }
    }

    /// How many requests wait for a thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Runs a use case in a transaction on a thread of the store and replies from there, after the commit is durable.
    /// An error of the use case rolls back what it did. The use case may be run again, so it must not keep state.
    pub fn write<T, E>(
        &self,
        priority: Priority,
        run: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        reply: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.put(Lane::Write(priority), run, reply);
    }

    fn put<T, E>(
        &self,
        lane: Lane,
        run: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        reply: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let only_reads = lane == Lane::Read;
        self.queue.put(lane, Box::new(Request { only_reads, run, result: None, reply }));
    }

    /// The same, waiting for the answer. Not for threads of the async runtime.
    ///
    /// # Errors
    /// What the use case or the commit gave.
    pub fn write_blocking<T, E>(
        &self,
        run: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.write(Priority::Ordinary, run, move |result| {
            let _ = sender.send(result);
        });
        receiver
            .recv()
            .unwrap_or_else(|_| Err(StoreError::OutcomeUnknown("the database's thread ended".into()).into()))
    }

    /// Runs a read. On SQLite it runs where it is called (a few microseconds), on PostgreSQL on a thread of the store, some
    /// of which do nothing else.
    pub fn read<T, E>(
        &self,
        mut run: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        reply: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.readers {
            Readers::Sqlite(readers) => reply(readers.read(&mut run)),
            Readers::Postgres => self.put(Lane::Read, run, reply),
        }
    }

    /// The same, waiting for the answer. Not for threads of the async runtime.
    ///
    /// # Errors
    /// What the read gave.
    pub fn read_blocking<T, E>(
        &self,
        run: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.read(run, move |result| {
            let _ = sender.send(result);
        });
        receiver
            .recv()
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the database's thread ended".into()).into()))
    }

    /// Carries out what waits, then ends the threads and closes the database.
    pub fn close(&self) {
        self.queue.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // A request may hold the last hand on the store: its thread ends by itself then, and cannot wait for itself.
        let own = std::thread::current().id();
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != own) {
            let _ = thread.join();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl SqliteReaders {
    fn read<T, E>(&self, run: &mut impl FnMut(&mut Tx<'_>) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let unavailable = |e: rusqlite::Error| StoreError::Unavailable(e.to_string());
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_sqlite(&self.path)?,
        };
        // One snapshot for the whole read: what is stale is seen to be stale.
        connection.prepare_cached("BEGIN").and_then(|mut s| s.raw_execute()).map_err(unavailable)?;
        let result = run(&mut Tx::reading(Inner::Sqlite(&connection)));
        connection.prepare_cached("ROLLBACK").and_then(|mut s| s.raw_execute()).map_err(unavailable)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE_READERS {
            idle.push(connection);
        }
        result
    }
}
