//! One run: from the claim to the record, and when the next is due.
//!
//! A run holds its directory by a lease that it renews while it works; a node that dies leaves it to the next one within
//! [`LEASE_S`]. What was written stays, and only differences are written, so the run after a crash goes on where it
//! ended. Reading begins anew: a list put together from two runs would be no list.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll as Polled;
use std::time::Duration;

use portcullis_domain::google::{GoogleRight, GoogleSource, PollKind};
use portcullis_domain::id::{DirectoryId, OrganizationId, RequestId};
use portcullis_domain::{Random, Timestamp};
use portcullis_store::google::{self, Poll, Stage};
use portcullis_store::{Priority, Tx};
use serde_json::json;

use super::client::Client;
use super::failure::{PollFailure, advice};
use super::reading::{Counts, Progress};
use super::writing::{Missing, Writer};
use super::{Polling, comparing, in_s, reading, workload};
use crate::trace::TraceDraft;
use crate::{Moment, Portcullis, ServiceError};

/// Seconds for which a run holds its directory without renewing.
pub(super) const LEASE_S: i64 = 60;
/// Seconds between two renewals: three may fail.
const RENEW_EVERY_S: u64 = 15;
/// The most seconds of a full run: a directory of the largest size takes some ten minutes.
const MAX_FULL_S: u64 = 45 * 60;
/// The most seconds of a fast run: twice the patience of one call. It holds a slot in which others wait for seconds.
const MAX_FAST_S: u64 = 5 * 60;
/// Doublings of the wait after failures; the wait between full polls ends them before.
const MAX_DOUBLINGS: i64 = 10;
/// Part of the wait between full polls that chance adds, in hundredths: directories must not all come at once.
const JITTER_PERCENT: i64 = 10;
/// The most organizational units that are kept for people to choose from.
const MAX_UNITS_SHOWN: usize = 1_000;

/// The most seconds of a run.
const fn max_s(kind: PollKind) -> u64 {
    match kind {
        PollKind::Full => MAX_FULL_S,
        PollKind::Fast => MAX_FAST_S,
    }
}

/// When the next of these is due.
pub(super) const fn due_at(kind: PollKind, poll: &Poll) -> Timestamp {
    match kind {
        PollKind::Full => poll.full_at,
        PollKind::Fast => poll.fast_at,
    }
}

/// A run that has claimed its directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) id: RequestId,
    pub(super) directory: DirectoryId,
    pub(super) organization: OrganizationId,
    pub(super) kind: PollKind,
}

/// What a run learned beside people and groups.
#[derive(Debug, Clone, Default)]
struct Learned {
    customer_id: Option<String>,
    org_units: Option<Vec<String>>,
}

/// Claims a directory for a run of that kind, if one is due and nobody has it.
///
/// # Errors
/// [`ServiceError::Store`].
pub(super) fn claim(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (directory, organization): (DirectoryId, OrganizationId),
    kind: PollKind,
) -> Result<Option<Run>, ServiceError> {
    let Some(poll) = google::poll(tx, directory)? else { return Ok(None) };
    if due_at(kind, &poll) > moment.now {
        return Ok(None);
    }
    let id = RequestId::fresh(moment.now, &mut moment.random);
    let claimed = google::claim(tx, (directory, id), kind, moment.now, LEASE_S)?;
    Ok(claimed.then_some(Run { id, directory, organization, kind }))
}

/// Carries a claimed run out and records how it ended.
pub(super) async fn carry_out(portcullis: &Portcullis, run: Run) {
    let progress = Arc::new(Progress::default());
    let max_s = max_s(run.kind);
    let ended = tokio::select! {
        ended = caught(work(portcullis, run, &progress)) => ended,
        lost = keep_lease(portcullis, run, &progress) => Err(lost),
        () = tokio::time::sleep(Duration::from_secs(max_s)) => Err(PollFailure::TooLong(max_s)),
    };
    let counts = progress.counts();
    if let Err(failure) = &ended {
        tracing::warn!(
            directory.id = %run.directory, run.id = %run.id, poll.kind = run.kind.as_str(),
            error.code = failure.code(), error.message = %failure, "a poll of Google Workspace failed"
        );
    }
    let outcome = ended.as_ref().map_or_else(PollFailure::code, |_| "ok");
    let labels = [("kind", run.kind.as_str()), ("outcome", outcome)];
    metrics::counter!("portcullis_google_polls_total", &labels).increment(1);
    trace(portcullis, run, counts, &ended);
    if let Err(error) = record(portcullis, run, counts, ended).await {
        tracing::error!(
            directory.id = %run.directory, run.id = %run.id, error.message = %error,
            "the end of a poll was not recorded; its lease runs out by itself"
        );
    }
}

/// A fault of ours in one directory's run ends that run, and is told like any other failure: what it read is one provider's, and
/// the others are polled on.
async fn caught(work: impl Future<Output = Result<Learned, PollFailure>>) -> Result<Learned, PollFailure> {
    let mut work = pin!(work);
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)))
            .unwrap_or(Polled::Ready(Err(PollFailure::Fault)))
    })
    .await
}

/// Renews the lease until it is lost.
async fn keep_lease(portcullis: &Portcullis, run: Run, progress: &Progress) -> PollFailure {
    loop {
        tokio::time::sleep(Duration::from_secs(RENEW_EVERY_S)).await;
        let text = shown(progress.counts());
        let phase = progress.phase();
        let kept = portcullis.write(Priority::Ordinary, move |tx, _| {
            let stage = Stage { phase, progress: &text };
            Ok(google::keep(tx, (run.directory, run.id), stage, LEASE_S)?)
        });
        match kept.await {
            Ok(true) => {}
            Ok(false) => return PollFailure::LeaseLost,
            Err(error) => {
                tracing::warn!(run.id = %run.id, error.message = %error, "the lease of a poll was not renewed");
            }
        }
    }
}

fn shown(counts: Counts) -> String {
    serde_json::to_string(&counts).unwrap_or_else(|_| "{}".to_owned())
}

async fn work(portcullis: &Portcullis, run: Run, progress: &Arc<Progress>) -> Result<Learned, PollFailure> {
    let (directory, organization) = (run.directory, run.organization);
    let polling = portcullis.google();
    let found = portcullis.read(move |tx, _| {
        let source = google::source(tx, organization, directory)?;
        let Some((source, poll)) = source.zip(google::poll(tx, directory)?) else { return Ok(None) };
        let refused = may_ask(tx, &polling, &source)?.err();
        Ok(Some((source, poll, refused)))
    });
    // Deleted meanwhile: there is nothing to do and nobody to tell.
    let Some((source, poll, refused)) = found.await? else { return Ok(Learned::default()) };
    if let Some(refused) = refused {
        return Err(refused);
    }
    let client = Arc::new(Client::new(portcullis, source));
    let customer = reading::read_customer(&client).await?;
    // INVARIANT I11: to another customer, everybody of this one is missing.
    if let Some(pinned) = poll.customer_id.filter(|pinned| *pinned != customer) {
        return Err(PollFailure::OtherCustomer { pinned, met: customer });
    }
    let writer = Writer { portcullis, client: &client, run: run.id, progress, shown: progress };
    let mut learned = Learned { customer_id: Some(customer), org_units: None };
    match run.kind {
        PollKind::Full => {
            let mut listed = tokio::select! {
                listed = reading::read_all(&client, progress) => listed?,
                never = sweep(&writer, portcullis.google().fast_every_s) => match never {},
            };
            reading::overtake(&client, &mut listed, progress).await?;
            let people = comparing::people(portcullis, &client, &mut listed.people, progress).await?;
            let groups = reading::flatten(&listed)?;
            progress.begin_writing();
            writer.people(people, Missing::Unstated).await?;
            writer.groups(&groups).await?;
            listed.org_units.sort();
            listed.org_units.truncate(MAX_UNITS_SHOWN);
            learned.org_units = Some(listed.org_units);
        }
        PollKind::Fast => {
            let lists = reading::read_leavers(&client, progress).await?;
            progress.begin_writing();
            let people = comparing::leavers(portcullis, &client, lists, progress).await?;
            writer.people(people, Missing::Named).await?;
        }
    }
    Ok(learned)
}

/// Whether the right by which it is to be asked stands: an identity that the operator lends may be taken back.
fn may_ask(
    tx: &mut Tx<'_>,
    polling: &Polling,
    source: &GoogleSource,
) -> Result<Result<(), PollFailure>, ServiceError> {
    let GoogleRight::Workload(used) = &source.right else { return Ok(Ok(())) };
    let Some(identity) = &polling.workload else { return Ok(Err(PollFailure::IdentityOff)) };
    let may = workload::may_use(tx, identity, (source.organization, used))?;
    let refused = || PollFailure::IdentityNotAllowed(used.delegated_admin.clone());
    Ok(if may { Ok(()) } else { Err(refused()) })
}

/// Reading a large directory takes minutes, and nobody who is suspended meanwhile waits for them: what a fast poll does
/// is done again and again beside it. What fails here is left to the next time.
async fn sweep(writer: &Writer<'_>, every_s: i64) -> Infallible {
    let pause = Duration::from_secs(every_s.max(1).unsigned_abs());
    // Counted apart: the run's own progress is about the lists that it reads.
    let progress = Arc::new(Progress::default());
    let beside = Writer { progress: &progress, ..*writer };
    loop {
        tokio::time::sleep(pause).await;
        let swept = async {
            let lists = reading::read_leavers(beside.client, &progress).await?;
            let people = comparing::leavers(beside.portcullis, beside.client, lists, &progress).await?;
            beside.people(people, Missing::Named).await
        };
        if let Err(failure) = swept.await {
            tracing::warn!(
                run.id = %beside.run, error.code = failure.code(), error.message = %failure,
                "who was suspended meanwhile was not read; it is tried again"
            );
        }
        let ended = progress.counts().ended;
        progress.note(|counts| counts.ended = 0);
        writer.progress.note(|counts| counts.ended += ended);
    }
}

/// A trace of the run. A fast poll that found nothing leaves none: there are 1,440 of them a day.
fn trace(portcullis: &Portcullis, run: Run, counts: Counts, ended: &Result<Learned, PollFailure>) {
    if run.kind == PollKind::Fast && ended.is_ok() && !counts.has_written() {
        return;
    }
    let failure = ended.as_ref().err().map(|failure| {
        json!({ "code": failure.code(), "message": failure.to_string(), "advice": advice(failure.code()) })
    });
    portcullis.traces().note(TraceDraft {
        organization: run.organization,
        kind: "directory",
        outcome: ended.as_ref().map_or_else(PollFailure::code, |_| "ok").to_owned(),
        subject: format!("google {} poll", run.kind.as_str()),
        source: Some(run.directory.to_string()),
        request: Some(run.id),
        content: json!({ "directory": run.directory.to_string(), "counts": counts, "failure": failure }),
        at: portcullis.now(),
    });
}

async fn record(
    portcullis: &Portcullis,
    run: Run,
    counts: Counts,
    ended: Result<Learned, PollFailure>,
) -> Result<(), ServiceError> {
    let polling = portcullis.google();
    portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            let Some(before) = google::poll(tx, run.directory)? else { return Ok(()) };
            let mut after = Poll { progress: shown(counts), finished_at: Some(moment.now), ..before };
            match &ended {
                Ok(learned) => succeeded(&mut after, run, learned, &polling, moment),
                Err(failure) => failed(&mut after, run, failure, &polling, moment.now),
            }
            Ok(google::finish(tx, run.id, &after)?)
        })
        .await
}

fn succeeded(poll: &mut Poll, run: Run, learned: &Learned, polling: &Polling, moment: &mut Moment) {
    let now = moment.now;
    poll.customer_id = learned.customer_id.clone().or_else(|| poll.customer_id.take());
    poll.fast_at = in_s(now, polling.fast_every_s);
    poll.fast_succeeded_at = Some(now);
    if run.kind == PollKind::Full {
        poll.full_at = in_s(now, with_jitter(polling.full_every_s, &mut moment.random));
        poll.full_succeeded_at = Some(now);
        if let Some(units) = &learned.org_units {
            poll.org_units = serde_json::to_string(units).unwrap_or_else(|_| "[]".to_owned());
        }
    }
    let mended = run.kind == PollKind::Full || poll.error_kind != Some(PollKind::Full);
    if mended {
        poll.failures = 0;
        (poll.error_kind, poll.error_code, poll.error_message) = (None, None, None);
    }
}

fn failed(poll: &mut Poll, run: Run, failure: &PollFailure, polling: &Polling, now: Timestamp) {
    let doublings = u32::try_from(poll.failures.clamp(0, MAX_DOUBLINGS)).unwrap_or_default();
    let wait = polling.fast_every_s.saturating_mul(1 << doublings).min(polling.full_every_s);
    poll.failures = poll.failures.saturating_add(1);
    match run.kind {
        PollKind::Full => {
            poll.full_at = in_s(now, wait);
            // Who is suspended is asked for meanwhile: another page may fail, or another list.
            poll.fast_at = in_s(now, polling.fast_every_s);
        }
        PollKind::Fast => poll.fast_at = in_s(now, wait),
    }
    let full_is_broken = poll.error_kind == Some(PollKind::Full);
    poll.error_kind = Some(if full_is_broken { PollKind::Full } else { run.kind });
    poll.error_code = Some(failure.code().to_owned());
    poll.error_message = Some(failure.to_string());
}

/// So many seconds, and up to a tenth more by chance.
fn with_jitter(seconds: i64, random: &mut dyn Random) -> i64 {
    let mut bytes = [0_u8; 8];
    random.fill(&mut bytes);
    let most = seconds.saturating_mul(JITTER_PERCENT) / 100;
    let chance = i64::from_le_bytes(bytes).checked_rem_euclid(most + 1).unwrap_or_default();
    seconds.saturating_add(chance)
}
