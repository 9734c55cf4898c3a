//! What goes on between requests: numbers and signatures, pending rules, settling, notes.
//!
//! Each job is a step that can be run again after a crash at any point; nothing here decides what a check answers.

use std::time::Duration;

use portcullis_store::{Priority, organization};

use crate::saml::expiry::Told;
use crate::sequencer::{MAX_EVENTS, MAX_RECEIPTS};
use crate::{Portcullis, ServiceError, rules, token_use};

/// How often the sequencer looks, in milliseconds: a receipt is signed well within a second.
pub const SEQUENCE_EVERY_MS: u64 = 150;
/// How often pending rules and settled memberships are looked for, in milliseconds.
pub const RULES_EVERY_MS: u64 = 500;
/// How often last uses are stored, in seconds.
pub const USES_EVERY_S: u64 = 20;
/// How often counts of dialects are stored, in seconds: a report adds those that wait.
pub const DIALECTS_EVERY_S: u64 = 20;
/// How often traces are stored, in milliseconds: an administrator who looks finds the call that just failed.
pub const TRACES_EVERY_MS: u64 = 400;
/// How often old traces are forgotten, in seconds.
pub const PRUNE_EVERY_S: u64 = 30;
/// How often certificates that run out are looked for, in seconds: their marks are days apart.
pub const EXPIRING_EVERY_S: u64 = 3_600;
/// How often messages that nobody takes are looked for, in seconds: they are kept for weeks.
pub const SWEEP_EVERY_S: u64 = 3_600;
/// Chunks that one step carries out before it lets the other jobs run.
const MAX_CHUNKS_A_STEP: usize = 20;
/// Memberships a chunk.
const CHUNK: usize = rules::MAX_AT_ONCE;

impl Portcullis {
    /// Runs until `stop` is true; then stores what waits once more.
    pub async fn run_jobs(&self, mut stop: tokio::sync::watch::Receiver<bool>) {
        let mut sequence = tokio::time::interval(Duration::from_millis(SEQUENCE_EVERY_MS));
        let mut rules = tokio::time::interval(Duration::from_millis(RULES_EVERY_MS));
        let mut uses = tokio::time::interval(Duration::from_secs(USES_EVERY_S));
        let mut dialects = tokio::time::interval(Duration::from_secs(DIALECTS_EVERY_S));
        let mut traces = tokio::time::interval(Duration::from_millis(TRACES_EVERY_MS));
        let mut prune = tokio::time::interval(Duration::from_secs(PRUNE_EVERY_S));
        let mut expiring = tokio::time::interval(Duration::from_secs(EXPIRING_EVERY_S));
        let mut sweep = tokio::time::interval(Duration::from_secs(SWEEP_EVERY_S));
        let mut told = Told::default();
        loop {
            let done = tokio::select! {
                _ = stop.changed() => break,
                _ = sequence.tick() => ("sequence", self.sign_all().await),
                _ = rules.tick() => ("rules", self.step_rules().await),
                _ = uses.tick() => ("uses", self.store_uses().await),
                _ = dialects.tick() => ("dialects", self.store_dialects().await),
                _ = traces.tick() => ("traces", self.store_traces().await),
                _ = prune.tick() => ("prune", self.prune_traces().await),
                _ = expiring.tick() => ("expiring", self.tell_expiring(&mut told).await),
                _ = sweep.tick() => ("outbox", self.sweep_outbox().await),
            };
            if let (job, Err(error)) = done {
                tracing::error!(job.name = job, error = %error, "a job's step failed and is tried again");
            }
        }
        let last = [
            ("uses", self.store_uses().await),
            ("dialects", self.store_dialects().await),
            ("traces", self.store_traces().await),
            ("sequence", self.sign_all().await),
        ];
        for (job, result) in last {
            if let Err(error) = result {
                tracing::error!(job.name = job, error = %error, "the last step before the end failed");
            }
        }
    }

    /// Numbers and signs everything that waits. What comes meanwhile is left to the next time: behind an import that
    /// goes on, the sequencer would else write for every few people that came, each time with a signature and a sync.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn sign_all(&self) -> Result<(), ServiceError> {
        while self.sequence().await? >= MAX_EVENTS {}
        while self.sign_receipts().await? >= MAX_RECEIPTS {}
        Ok(())
    }

    /// Carries out pending rules and ends what has settled, chunk by chunk.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn step_rules(&self) -> Result<(), ServiceError> {
        for _ in 0..MAX_CHUNKS_A_STEP {
            let settled =
                self.write(Priority::Ordinary, |tx, moment| rules::settle_due(tx, moment, CHUNK)).await?;
            let stale = self.read(|tx, _| Ok(organization::next_stale(tx, 1)?)).await?;
            let Some((next, _)) = stale.first().copied() else {
                if settled == 0 {
                    return Ok(());
                }
                continue;
            };
            let done = self
                .write(Priority::Ordinary, move |tx, moment| rules::step(tx, moment, next, CHUNK))
                .await?;
            tracing::info!(organization.id = %next, memberships = done, "carried out pending rules");
        }
        Ok(())
    }

    /// Stores when tokens were last used.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn store_uses(&self) -> Result<(), ServiceError> {
        let uses = self.uses().take();
        if uses.is_empty() {
            return Ok(());
        }
        self.write(Priority::Ordinary, move |tx, _| token_use::store(tx, &uses)).await
    }
}
