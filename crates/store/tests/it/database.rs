//! Databases for tests: made empty, brought up to date, thrown away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::Change;
use portcullis_domain::id::OrganizationId;
use portcullis_domain::plan::Plan;
use portcullis_domain::{Clock, Random, Timestamp};
use portcullis_store::{Options, Store, StoreError, Tx, apply};
use tempfile::TempDir;

use crate::home::row_of;

/// Names the cluster whose databases the tests make.
const CLUSTER: &str = "PORTCULLIS_TEST_POSTGRES";
/// When every test happens.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Numbers that differ within a run and are the same in the next one.
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn next() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Numbers that follow from a seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Random for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.number().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A clock that stands still.
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

enum Place {
    Sqlite(TempDir),
    Postgres { cluster: String, name: String },
}

/// A database of one test.
pub(crate) struct Database {
    place: Place,
    store: Option<Store>,
}

impl Database {
    /// An empty SQLite file, without a schema.
    pub(crate) fn sqlite() -> Self {
        Self { place: Place::Sqlite(TempDir::new().unwrap()), store: None }
    }

    /// An empty PostgreSQL database, without a schema; `None` where no cluster is named.
    pub(crate) fn postgres() -> Option<Self> {
        let cluster = cluster()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("store_{}_{number}", std::process::id());
        let mut client = postgres::Client::connect(&cluster, postgres::NoTls).unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        Some(Self { place: Place::Postgres { cluster, name }, store: None })
    }

    /// With the schema.
    pub(crate) fn opened(mut self) -> Self {
        self.store = Some(Store::open(&self.options(), Arc::new(Still)).unwrap());
        self
    }

    /// How it is opened.
    pub(crate) fn options(&self) -> Options {
        match &self.place {
            Place::Sqlite(folder) => Options::Sqlite { path: folder.path().join("store.sqlite") },
            Place::Postgres { .. } => self.with_connections(2),
        }
    }

    /// How it is opened with so many connections. PostgreSQL alone.
    pub(crate) fn with_connections(&self, connections: usize) -> Options {
        Options::Postgres { url: self.url(), connections, tls: None }
    }

    /// A client of its own, past the store.
    pub(crate) fn client(&self) -> postgres::Client {
        postgres::Client::connect(&self.url(), postgres::NoTls).unwrap()
    }

    fn url(&self) -> String {
        match &self.place {
            Place::Sqlite(_) => panic!("SQLite has no URL"),
            Place::Postgres { cluster, name } => {
                let (server, _) = cluster.rsplit_once('/').expect("the cluster's URL ends in a database");
                format!("{server}/{name}")
            }
        }
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().expect("the database was opened")
    }

    /// The organization of the row that a change is about; of none, where it makes one.
    fn home(&self, change: &Change) -> OrganizationId {
        let none = OrganizationId::fresh(NOW, &mut Seeded::next());
        let Some((table, id)) = row_of(change) else { return none };
        let sql = format!("SELECT organization FROM {table} WHERE id = $1");
        let found: Option<String> = match self.options() {
            Options::Sqlite { path } => {
                rusqlite::Connection::open(path).unwrap().query_row(&sql, [id], |row| row.get(0)).ok()
            }
            Options::Postgres { .. } => self.client().query_opt(&sql, &[&id]).unwrap().map(|row| row.get(0)),
        };
        found.map_or(none, |id| id.parse().unwrap())
    }

    /// Applies one change in the organization of its row, under an event of its own.
    pub(crate) fn change(&self, change: impl Into<Change>) -> Result<(), StoreError> {
        let change = change.into();
        self.change_in(self.home(&change), change)
    }

    /// Applies one change in that organization, under an event of its own.
    fn change_in(&self, organization: OrganizationId, change: Change) -> Result<(), StoreError> {
        self.store().write_blocking(move |tx| {
            let mut random = Seeded::next();
            let event = EventDraft::new(Action::RulesChanged, organization);
            let plan = Plan::because(organization, Cause::system()).then(event, change.clone());
            apply(tx, &plan, NOW, &mut random).map(|_| ())
        })
    }

    /// Applies one change that nothing stands against.
    pub(crate) fn put(&self, change: impl Into<Change>) {
        self.change(change).unwrap();
    }

    /// The same, in that organization.
    pub(crate) fn put_in(&self, organization: OrganizationId, change: impl Into<Change>) {
        self.change_in(organization, change.into()).unwrap();
    }

    /// Reads.
    pub(crate) fn read<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.store().read_blocking(run).unwrap()
    }

    /// Writes a note.
    pub(crate) fn note<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.store().write_blocking(run)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.store.take());
        if let Place::Postgres { cluster, name } = &self.place
            && let Ok(mut client) = postgres::Client::connect(cluster, postgres::NoTls)
        {
            let _ = client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the test runner says where its cluster is")]
fn cluster() -> Option<String> {
    let named = std::env::var(CLUSTER).ok();
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(named.is_some() || !in_ci, "`{CLUSTER}` is not set: half of the tests would be left out");
    named
}

/// Runs a test on an empty database of each kind.
pub(crate) fn on_each_empty(test: impl Fn(Database)) {
    test(Database::sqlite());
    if let Some(database) = Database::postgres() {
        test(database);
    }
}

/// Runs a test on a database of each kind, with the schema and nothing else.
pub(crate) fn on_each(test: impl Fn(&Database)) {
    on_each_empty(|database| test(&database.opened()));
}
