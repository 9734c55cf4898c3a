//! All directories of Google Workspace, each polled by one run at a time, whichever node it is on.
//!
//! It is no job among the others: a run waits for Google for minutes, and receipts must be signed meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis_domain::id::{DirectoryId, RequestId};
use portcullis_store::{Priority, google};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

use super::Polling;
use super::run::{Run, carry_out, claim};
use crate::{Portcullis, ServiceError};

/// Milliseconds between two looks at what is due: `Sync now` begins at once for whoever watches.
const LOOK_EVERY_MS: u64 = 500;
/// Runs of one node at once: each may hold a snapshot of its directory in memory.
const MAX_RUNS: usize = 4;

impl Portcullis {
    /// The same, polling directories of Google Workspace so.
    #[must_use]
    pub fn polling_google(mut self, polling: Polling) -> Self {
        self.google = Arc::new(polling);
        self
    }

    /// How directories of Google Workspace are polled.
    #[must_use]
    pub fn google(&self) -> Arc<Polling> {
        Arc::clone(&self.google)
    }

    /// Polls until `stop` is true; then gives back what it was at.
    pub async fn poll_google(&self, mut stop: watch::Receiver<bool>) {
        let mut look = tokio::time::interval(Duration::from_millis(LOOK_EVERY_MS));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut running: JoinSet<()> = JoinSet::new();
        let mut held: HashMap<Id, (DirectoryId, RequestId)> = HashMap::new();
        if let Err(error) = self.write(Priority::Ordinary, |tx, _| Ok(google::forget(tx)?)).await {
            tracing::warn!(error.message = %error, "polls of deleted directories were not forgotten");
        }
        loop {
            tokio::select! {
                _ = stop.changed() => break,
                Some(ended) = running.join_next_with_id() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    held.remove(&id);
                }
                _ = look.tick(), if running.len() < MAX_RUNS => {
                    let runs = self.claim_due(MAX_RUNS - running.len()).await;
                    for run in runs.unwrap_or_else(|error| {
                        tracing::warn!(error.message = %error, "what is due at Google was not found");
                        Vec::new()
                    }) {
                        let portcullis = self.clone();
                        let spawned = running.spawn(async move { carry_out(&portcullis, run).await });
                        held.insert(spawned.id(), (run.directory, run.id));
                    }
                }
            }
        }
        running.shutdown().await;
        for held in held.into_values() {
            // A lease that is not given back runs out by itself.
            let _ = self.write(Priority::Ordinary, move |tx, _| Ok(google::release(tx, held)?)).await;
        }
    }

    /// Polls everything that is due, once, one after another; how many runs that were.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; what a run itself fails at is recorded with it.
    pub async fn poll_google_once(&self) -> Result<usize, ServiceError> {
        let runs = self.claim_due(MAX_RUNS).await?;
        let many = runs.len();
        for run in runs {
            carry_out(self, run).await;
        }
        Ok(many)
    }

    async fn claim_due(&self, most: usize) -> Result<Vec<Run>, ServiceError> {
        let limit = i64::try_from(most).unwrap_or(1);
        let due = self.read(move |tx, now| Ok(google::due(tx, now, limit)?)).await?;
        let mut runs = Vec::new();
        for directory in due {
            runs.extend(
                self.write(Priority::Ordinary, move |tx, moment| claim(tx, moment, directory)).await?,
            );
        }
        Ok(runs)
    }
}
