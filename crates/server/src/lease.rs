//! The lease of a database in PostgreSQL: taken before anything there is changed, and kept for as long as this process
//! serves. SQLite's lock lies beside its file instead.
//!
//! Whoever starts beside a server that runs, as in a rolling update, must find it before they bring the schema up to date
//! or say which root token is good: the one that runs would go on with statements of the schema before.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use portcullis_domain::Clock as _;
use portcullis_domain::id::NodeId;
use portcullis_service::{Portcullis, ServiceError};
use portcullis_store::lease::{self, Lease};
use portcullis_store::{Dialect, Priority, Store, StoreError, migration};

use crate::clock::SystemClock;
use crate::random::SystemRandom;
use crate::secrets;
use crate::settings::Settings;

/// The file that keeps this node's id, so that it takes its own lease back at once.
const NODE_ID_FILE: &str = "node-id";
/// Where the system says since which start of which machine it runs (`random(4)`).
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";
/// Seconds for which a lease runs.
const LEASE_S: i64 = 10;
/// Seconds between two renewals.
const RENEW_EVERY_S: u64 = 2;

/// Takes the lease, and brings the schema up to date under it.
///
/// # Errors
/// If another node serves the database, or a newer version wrote it.
pub fn take(settings: &Settings, store: &Store) -> Result<Option<Lease>> {
    if store.dialect() == Dialect::Sqlite {
        store.write_blocking(|tx| migration::migrate(tx, SystemClock.now()))?;
        store.write_blocking(migration::forget_pages)?;
        return Ok(None);
    }
    let holder = node_id(&settings.data)?;
    Ok(Some(store.write_blocking(move |tx| lease::take_and_migrate(tx, holder, SystemClock.now(), LEASE_S))?))
}

/// Gives a lease back.
///
/// # Errors
/// From the database.
pub fn give_back(store: &Store, lease: Option<Lease>) -> Result<()> {
    if let Some(lease) = lease {
        store.write_blocking(move |tx| lease::release(tx, lease))?;
    }
    Ok(())
}

/// Brings the schema up to date for a command that serves nobody. The lease is asked for only where a step is to be taken:
/// an order of an operator is carried out beside a server, too.
///
/// # Errors
/// As [`take`].
pub fn bring_up_to_date(settings: &Settings, store: &Store) -> Result<()> {
    let taken = store.read_blocking(migration::applied)?;
    if taken.last().is_some_and(|last| last.number >= migration::newest()) {
        // Nothing is done, but a newer version is refused.
        store.write_blocking(|tx| migration::migrate(tx, SystemClock.now()))?;
        return Ok(());
    }
    let lease = take(settings, store)?;
    give_back(store, lease)
}

/// Whose lease is this node's: by the id in the data folder, and on the machine that made it, since it was started. A folder
/// that was copied, or came to another machine, is another node: two of one id would take the lease from each other for ever.
fn node_id(data: &Path) -> Result<NodeId> {
    let machine = std::fs::read_to_string(BOOT_ID_FILE).unwrap_or_default();
    node_id_on(data, machine.trim())
}

fn node_id_on(data: &Path, machine: &str) -> Result<NodeId> {
    let file = data.join(NODE_ID_FILE);
    if let Some(text) = secrets::read(&file)?.filter(|text| !text.is_empty()) {
        let (id, made_on) = text.split_once(' ').unwrap_or((text.as_str(), ""));
        let id = id.parse().with_context(|| format!("`{}` is not a node's id; delete it", file.display()))?;
        if made_on == machine {
            return Ok(id);
        }
    }
    let id = NodeId::fresh(SystemClock.now(), &mut SystemRandom);
    secrets::replace(&file, &format!("{id} {machine}\n"))?;
    Ok(id)
}

/// Renews the lease for as long as it is ours; resolves with why it is not.
pub async fn keep(product: &Portcullis, lease: Option<Lease>) -> anyhow::Error {
    let Some(mut lease) = lease else { return std::future::pending().await };
    let mut tick = tokio::time::interval(Duration::from_secs(RENEW_EVERY_S));
    loop {
        tick.tick().await;
        let held = lease;
        let renewed = product
            .write(Priority::OffBoarding, move |tx, _| {
                let now = tx.database_now()?;
                Ok(lease::renew(tx, held, now, LEASE_S)?)
            })
            .await;
        match renewed {
            Ok(renewed) => lease = renewed,
            Err(ServiceError::Store(StoreError::Fenced)) => {
                return anyhow::anyhow!("another node took this database: this one stops");
            }
            // Writes are fenced and checks read the database, so an outage refuses and does not admit.
            Err(error) => tracing::warn!(error.message = %error, "the lease was not renewed"),
        }
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
