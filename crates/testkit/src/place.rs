//! Databases for benches: made empty, thrown away.

use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_store::Options;
use tempfile::TempDir;

/// Names the cluster whose databases the tests make.
const CLUSTER: &str = "PORTCULLIS_TEST_POSTGRES";

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Where a bench's database is. It is gone when this is.
pub(crate) enum Place {
    Folder(TempDir),
    Database { cluster: String, name: String, connections: usize },
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn postgres(connections: usize) -> Option<Self> {
        let cluster = cluster()?;
        let name = format!("bench_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut client = postgres::Client::connect(&cluster, postgres::NoTls).expect("the cluster answers");
        client.batch_execute(&format!("CREATE DATABASE {name}")).expect("a database");
        Some(Self::Database { cluster, name, connections })
    }

    pub(crate) fn options(&self) -> Options {
        match self {
            Self::Folder(folder) => Options::Sqlite { path: folder.path().join("portcullis.db") },
            Self::Database { cluster, name, connections } => {
                let (server, _) = cluster.rsplit_once('/').expect("the cluster's URL ends in a database");
                Options::Postgres { url: format!("{server}/{name}"), connections: *connections }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self::Database { cluster, name, .. } = self else { return };
        if let Ok(mut client) = postgres::Client::connect(cluster, postgres::NoTls) {
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
