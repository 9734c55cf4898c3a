//! What goes on between requests: numbers and signatures, pending rules, settling, notes.
//!
//! Each job is a step that can be run again after a crash at any point; nothing here decides what a check answers.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use portcullis_domain::id::{MembershipId, OrganizationId};
use portcullis_store::row::bound;
use portcullis_store::{Priority, Tx, membership, organization};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use crate::left_out::is_of_its_own;
use crate::saml::expiry::Told;
use crate::sequencer::{MAX_EVENTS, MAX_RECEIPTS};
use crate::{Moment, Portcullis, ServiceError, rules, token_use};

/// How often the sequencer looks, in milliseconds: a receipt is signed well within a second.
pub const SEQUENCE_EVERY_MS: u64 = 150;
/// How often pending rules and settled memberships are looked for, in milliseconds.
pub const RULES_EVERY_MS: u64 = 500;
/// How often last uses are stored, in seconds.
pub const USES_EVERY_S: u64 = 20;
/// How often counts of dialects, and which calls were refused last, are stored, in seconds: what shows them adds those that
/// wait.
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
/// Uses of tokens that one transaction stores: whoever leaves does not wait for the rest.
const MAX_USES_A_WRITE: usize = 500;

/// What is carried out for some members of an organization.
type CarryOut = fn(&mut Tx<'_>, &mut Moment, OrganizationId, &[MembershipId]) -> Result<(), ServiceError>;

/// Ticks at once and then so far apart: what a step was late by is not caught up with.
fn every(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A job that goes on between requests, as a label of its failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Numbers events, and signs heads and receipts.
    Sequence,
    /// Stores what follows from changed rules, and ends what has settled.
    Rules,
    /// Stores when tokens were used last.
    Uses,
    /// Stores counts of dialects.
    Dialects,
    /// Stores which calls were refused last.
    LastRefusals,
    /// Stores traces.
    Traces,
    /// Forgets old traces.
    Prune,
    /// Looks for certificates that run out.
    Expiring,
    /// Takes away messages that nobody takes.
    Outbox,
}

impl Job {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Sequence,
        Self::Rules,
        Self::Uses,
        Self::Dialects,
        Self::LastRefusals,
        Self::Traces,
        Self::Prune,
        Self::Expiring,
        Self::Outbox,
    ];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Rules => "rules",
            Self::Uses => "uses",
            Self::Dialects => "dialects",
            Self::LastRefusals => "last_refusals",
            Self::Traces => "traces",
            Self::Prune => "prune",
            Self::Expiring => "expiring",
            Self::Outbox => "outbox",
        }
    }

    /// Logs and counts a step that failed.
    fn note(self, done: Result<(), ServiceError>) {
        if let Err(error) = done {
            let name = self.as_str();
            metrics::counter!("portcullis_job_failures_total", "job" => name).increment(1);
            tracing::error!(job.name = name, error.message = %error, "a job's step failed; what it left is tried again");
        }
    }
}

impl Portcullis {
    /// Runs until `stop` is true; then stores what waits once more. The sequencer waits for no other job: a change of
    /// rules may take long to store, and whoever leaves meanwhile has a receipt that is signed within a second.
    pub async fn run_jobs(&self, stop: watch::Receiver<bool>) {
        tokio::join!(self.run_sequencer(stop.clone()), self.run_others(stop));
        Job::Uses.note(self.store_uses().await);
        Job::Dialects.note(self.store_dialects().await);
        Job::LastRefusals.note(self.store_last_refusals().await);
        Job::Traces.note(self.store_traces().await);
        Job::Sequence.note(self.sign_all().await);
    }

    async fn run_sequencer(&self, mut stop: watch::Receiver<bool>) {
        let mut sequence = every(Duration::from_millis(SEQUENCE_EVERY_MS));
        loop {
            tokio::select! {
                _ = stop.changed() => break,
                _ = sequence.tick() => Job::Sequence.note(self.sign_all().await),
            }
        }
    }

    async fn run_others(&self, mut stop: watch::Receiver<bool>) {
        let mut rules = every(Duration::from_millis(RULES_EVERY_MS));
        let mut uses = every(Duration::from_secs(USES_EVERY_S));
        let mut dialects = every(Duration::from_secs(DIALECTS_EVERY_S));
        let mut refusals = every(Duration::from_secs(DIALECTS_EVERY_S));
        let mut traces = every(Duration::from_millis(TRACES_EVERY_MS));
        let mut prune = every(Duration::from_secs(PRUNE_EVERY_S));
        let mut expiring = every(Duration::from_secs(EXPIRING_EVERY_S));
        let mut sweep = every(Duration::from_secs(SWEEP_EVERY_S));
        let mut told = Told::default();
        loop {
            let (job, done) = tokio::select! {
                _ = stop.changed() => break,
                _ = rules.tick() => (Job::Rules, self.step_rules().await),
                _ = uses.tick() => (Job::Uses, self.store_uses().await),
                _ = dialects.tick() => (Job::Dialects, self.store_dialects().await),
                _ = refusals.tick() => (Job::LastRefusals, self.store_last_refusals().await),
                _ = traces.tick() => (Job::Traces, self.store_traces().await),
                _ = prune.tick() => (Job::Prune, self.prune_traces().await),
                _ = expiring.tick() => (Job::Expiring, self.tell_expiring(&mut told).await),
                _ = sweep.tick() => (Job::Outbox, self.sweep_outbox().await),
            };
            job.note(done);
        }
    }

    /// Numbers and signs everything that waits, receipts whatever became of the numbers. What comes meanwhile is left to
    /// the next time: behind an import that goes on, the sequencer would else write for every few people that came, each
    /// time with a signature and a sync.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn sign_all(&self) -> Result<(), ServiceError> {
        let numbered = self.sequence_all().await;
        while self.sign_receipts().await? >= MAX_RECEIPTS {}
        numbered
    }

    async fn sequence_all(&self) -> Result<(), ServiceError> {
        while self.sequence().await? >= MAX_EVENTS {}
        Ok(())
    }

    /// Carries out pending rules and ends what has settled, chunk by chunk, each of one organization. They take turns, and
    /// where a row of one is damaged the others go on.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn step_rules(&self) -> Result<(), ServiceError> {
        for _ in 0..MAX_CHUNKS_A_STEP {
            let settled = self.settle_due().await?;
            let stepped = self.bring_next_in_step().await?;
            if !settled && !stepped {
                break;
            }
        }
        Ok(())
    }

    /// Ends up to a chunk of what has settled; whether there was any.
    async fn settle_due(&self) -> Result<bool, ServiceError> {
        let but = self.pending().left_out.now(self.now());
        let due = self.read(move |tx, now| Ok(membership::due(tx, now, &but, bound(CHUNK))?)).await?;
        let mut by_organization: BTreeMap<OrganizationId, Vec<MembershipId>> = BTreeMap::new();
        for (organization, id) in due {
            by_organization.entry(organization).or_default().push(id);
        }
        let any = !by_organization.is_empty();
        for (organization, due) in by_organization {
            self.carry_out(organization, due, rules::settle_due).await?;
        }
        Ok(any)
    }

    /// Brings up to a chunk of the next organization's members in step with its rules; whether there was one.
    async fn bring_next_in_step(&self) -> Result<bool, ServiceError> {
        let pending = self.pending();
        let but = pending.left_out.now(self.now());
        let served = *pending.served.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.read(move |tx, _| Ok(organization::next_stale(tx, served, &but)?)).await?;
        *pending.served.lock().unwrap_or_else(PoisonError::into_inner) = next;
        let Some(organization) = next else { return Ok(served.is_some()) };
        let stale = self.read(move |tx, _| rules::stale(tx, organization, CHUNK)).await;
        if let Some(stale) = pending.left_out.take(organization, stale, self.now())? {
            let memberships = stale.len();
            self.carry_out(organization, stale, rules::bring_in_step).await?;
            tracing::info!(organization.id = %organization, memberships, "carried out pending rules");
        }
        Ok(true)
    }

    /// Does that for a chunk of an organization's members, and where one of them is damaged for each by itself, so that
    /// it keeps no colleague waiting. Where nothing can be done for any, the organization is left out for a while.
    async fn carry_out(
        &self,
        organization: OrganizationId,
        members: Vec<MembershipId>,
        what: CarryOut,
    ) -> Result<(), ServiceError> {
        let some = |members: Vec<MembershipId>| {
            self.write(Priority::Ordinary, move |tx, moment| what(tx, moment, organization, &members))
        };
        let mut done = some(members.clone()).await;
        if members.len() > 1 && done.as_ref().is_err_and(is_of_its_own) {
            for member in members {
                match some(vec![member]).await {
                    Err(error) if is_of_its_own(&error) => {}
                    other => done = Ok(other?),
                }
            }
        }
        self.pending().left_out.take(organization, done, self.now()).map(|_| ())
    }

    /// Stores when tokens were last used.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn store_uses(&self) -> Result<(), ServiceError> {
        for uses in self.uses().take().chunks(MAX_USES_A_WRITE) {
            let uses = uses.to_vec();
            self.write(Priority::Ordinary, move |tx, _| token_use::store(tx, &uses)).await?;
        }
        Ok(())
    }
}
