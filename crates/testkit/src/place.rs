//! Databases for benches: made empty, thrown away.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_store::Options;
use tempfile::TempDir;

use crate::SetClock;

/// Names the cluster whose databases the tests make.
const CLUSTER: &str = "PORTCULLIS_TEST_POSTGRES";
/// Says on which database benches of the run are: `sqlite`, which is also meant where it is absent, or `postgres`.
const DATABASE: &str = "PORTCULLIS_TEST_DATABASE";
/// Connections of a bench: enough for two transactions to meet, few enough for many benches side by side.
pub(crate) const CONNECTIONS: usize = 2;

static NEXT: AtomicU64 = AtomicU64::new(1);
/// A database of this process with the schema and nothing else, from which others are copied.
static MIGRATED: OnceLock<String> = OnceLock::new();

/// Where a bench's database is. It is gone when this is.
pub struct Place(Kept);

enum Kept {
    Folder(TempDir),
    Database { cluster: String, name: String, connections: usize },
}

impl Place {
    /// On the database that the run is for: SQLite, or PostgreSQL where `PORTCULLIS_TEST_DATABASE` says `postgres`.
    ///
    /// # Panics
    /// If it says something else, or if there is no place for the database.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the test runner says which run it is")]
    pub fn of_the_run() -> Self {
        let wanted = std::env::var(DATABASE).unwrap_or_default();
        if matches!(wanted.as_str(), "" | "sqlite") {
            return Self::sqlite();
        }
        assert_eq!(wanted, "postgres", "`{DATABASE}` is `sqlite` or `postgres`");
        Self::postgres(CONNECTIONS).expect("`PORTCULLIS_TEST_POSTGRES` names the cluster")
    }

    pub(crate) fn sqlite() -> Self {
        Self(Kept::Folder(tempfile::tempdir().expect("a temporary folder")))
    }

    pub(crate) fn postgres(connections: usize) -> Option<Self> {
        let cluster = cluster()?;
        let template = MIGRATED.get_or_init(|| migrated(&cluster));
        let name = fresh_name();
        order(&cluster, format!("CREATE DATABASE {name} TEMPLATE {template}")).expect("a database");
        Some(Self(Kept::Database { cluster, name, connections }))
    }

    /// What opens it.
    #[must_use]
    pub fn options(&self) -> Options {
        match &self.0 {
            Kept::Folder(folder) => Options::Sqlite { path: folder.path().join("portcullis.db") },
            Kept::Database { cluster, name, connections } => at(cluster, name, *connections),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Kept::Database { cluster, name, .. } = &self.0 else { return };
        let _ = order(cluster, format!("DROP DATABASE {name} WITH (FORCE)"));
    }
}

fn fresh_name() -> String {
    format!("bench_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn at(cluster: &str, name: &str, connections: usize) -> Options {
    let (server, _) = cluster.rsplit_once('/').expect("the cluster's URL ends in a database");
    Options::Postgres { url: format!("{server}/{name}"), connections, tls: None }
}

/// Migrating takes longer than copying what was migrated. It goes with the cluster.
fn migrated(cluster: &str) -> String {
    let name = fresh_name();
    order(cluster, format!("CREATE DATABASE {name}")).expect("a database");
    let clock = std::sync::Arc::new(SetClock::default());
    // Closed when it is dropped: nothing may be connected to what is copied.
    drop(portcullis_store::Store::open(&at(cluster, &name, 1), clock).expect("a database"));
    name
}

/// Tells the cluster something, on a thread of its own: the client must not live on one of an async runtime.
fn order(cluster: &str, statement: String) -> Result<(), postgres::Error> {
    let cluster = cluster.to_owned();
    let told = std::thread::spawn(move || {
        postgres::Client::connect(&cluster, postgres::NoTls)?.batch_execute(&statement)
    });
    told.join().expect("the thread ends")
}

#[expect(clippy::disallowed_methods, reason = "the test runner says where its cluster is")]
fn cluster() -> Option<String> {
    let named = std::env::var(CLUSTER).ok();
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(named.is_some() || !in_ci, "`{CLUSTER}` is not set: half of the tests would be left out");
    named
}
