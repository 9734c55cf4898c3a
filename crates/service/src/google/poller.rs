//! All directories of Google Workspace, each polled by one run at a time, whichever node it is on.
//!
//! It is no job among the others: a run waits for Google for minutes, and receipts must be signed meanwhile. Fast runs
//! have slots of their own, and of one organization a node reads one directory whole at a time: nobody's leavers wait for
//! the long lists of somebody else. What waits for its full run is polled fast meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use portcullis_domain::Timestamp;
use portcullis_domain::google::PollKind;
use portcullis_domain::id::{DirectoryId, OrganizationId};
use portcullis_store::google::{self, Poll};
use portcullis_store::{Priority, Tx};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

use super::Polling;
use super::run::{Run, carry_out, claim, due_at};
use crate::{Portcullis, ServiceError};

/// Milliseconds between two looks at what is due: `Sync now` begins at once for whoever watches.
const LOOK_EVERY_MS: u64 = 500;
/// Full runs of one node at once: each may hold a snapshot of its directory in memory.
const MAX_FULL_RUNS: usize = 4;
/// Fast runs of one node at once: each holds two short lists, and takes seconds.
const MAX_FAST_RUNS: usize = 8;
/// Due directories that one look compares, the longest due first: each is a row to read.
const MAX_DUE: i64 = 1_000;

/// What one look begins.
type Chosen = ((DirectoryId, OrganizationId), PollKind);

/// The runs of this node.
#[derive(Default)]
struct Slots(HashMap<Id, Run>);

impl Slots {
    fn are_full(&self) -> bool {
        self.free(PollKind::Full, MAX_FULL_RUNS) + self.free(PollKind::Fast, MAX_FAST_RUNS) == 0
    }

    fn free(&self, kind: PollKind, most: usize) -> usize {
        most.saturating_sub(self.0.values().filter(|run| run.kind == kind).count())
    }

    /// Which of these begin: full where there is a slot and the organization has no other, then fast.
    fn choose(&self, mut due: Vec<Poll>, now: Timestamp) -> Vec<Chosen> {
        let full = self.0.values().filter(|run| run.kind == PollKind::Full);
        let mut busy: HashSet<OrganizationId> = full.map(|run| run.organization).collect();
        let mut chosen = Vec::new();
        for (kind, most) in [(PollKind::Full, MAX_FULL_RUNS), (PollKind::Fast, MAX_FAST_RUNS)] {
            let mut free = self.free(kind, most);
            due.sort_by_key(|poll| due_at(kind, poll));
            due.retain(|poll| {
                let begins = free > 0
                    && due_at(kind, poll) <= now
                    && (kind == PollKind::Fast || busy.insert(poll.organization));
                if begins {
                    free -= 1;
                    chosen.push(((poll.directory, poll.organization), kind));
                }
                !begins
            });
        }
        chosen
    }
}

impl Portcullis {
    /// The same, polling directories of Google Workspace so.
    #[must_use]
    pub fn polling_google(mut self, polling: Polling) -> Self {
        self.parts().google = Arc::new(polling);
        self
    }

    /// How directories of Google Workspace are polled.
    #[must_use]
    pub fn google(&self) -> Arc<Polling> {
        Arc::clone(&self.0.google)
    }

    /// Polls until `stop` is true; then gives back what it was at.
    pub async fn poll_google(&self, mut stop: watch::Receiver<bool>) {
        let mut look = tokio::time::interval(Duration::from_millis(LOOK_EVERY_MS));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut running: JoinSet<()> = JoinSet::new();
        let mut slots = Slots::default();
        if let Err(error) = self.write(Priority::Ordinary, |tx, _| Ok(google::forget(tx)?)).await {
            tracing::warn!(error.message = %error, "polls of deleted directories were not forgotten");
        }
        loop {
            tokio::select! {
                _ = stop.changed() => break,
                Some(ended) = running.join_next_with_id() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    slots.0.remove(&id);
                }
                _ = look.tick(), if !slots.are_full() => {
                    let runs = self.claim_due(&slots).await;
                    for run in runs.unwrap_or_else(|error| {
                        tracing::warn!(error.message = %error, "what is due at Google was not found");
                        Vec::new()
                    }) {
                        let portcullis = self.clone();
                        let spawned = running.spawn(async move { carry_out(&portcullis, run).await });
                        slots.0.insert(spawned.id(), run);
                    }
                }
            }
        }
        running.shutdown().await;
        for run in slots.0.into_values() {
            let held = (run.directory, run.id);
            // A lease that is not given back runs out by itself.
            let _ = self.write(Priority::Ordinary, move |tx, _| Ok(google::release(tx, held)?)).await;
        }
    }

    /// Polls everything that is due, once, one after another, as far as this node has slots; how many runs that were.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; what a run itself fails at is recorded with it.
    pub async fn poll_google_once(&self) -> Result<usize, ServiceError> {
        let runs = self.claim_due(&Slots::default()).await?;
        let many = runs.len();
        for run in runs {
            carry_out(self, run).await;
        }
        Ok(many)
    }

    async fn claim_due(&self, slots: &Slots) -> Result<Vec<Run>, ServiceError> {
        let (due, now) = self.read(|tx, now| Ok((due(tx, now)?, now))).await?;
        let mut runs = Vec::new();
        for (directory, kind) in slots.choose(due, now) {
            runs.extend(
                self.write(Priority::Ordinary, move |tx, moment| claim(tx, moment, directory, kind)).await?,
            );
        }
        Ok(runs)
    }
}

/// How the polls stand that are due and that nobody carries out.
fn due(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<Poll>, ServiceError> {
    let mut polls = Vec::new();
    for (directory, _) in google::due(tx, now, MAX_DUE)? {
        polls.extend(google::poll(tx, directory)?);
    }
    Ok(polls)
}
