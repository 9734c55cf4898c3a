//! Traces of sign-ins and directory calls: gathered in memory, stored by a job, bounded everywhere.
//!
//! A call is answered without waiting for its trace. What does not fit is dropped and counted, because a trace explains
//! and never decides; what a crash loses is an explanation. Refusals that a stranger can bring about are held apart, on the way
//! (`strangers`) and where they lie, so that they push out nothing else.

mod strangers;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::id::{DirectoryId, OrganizationId, RequestId, TraceId};
use portcullis_domain::text::json_text;
use portcullis_store::audit::{AuditFilter, StoredEvent};
use portcullis_store::trace::{Trace, TraceFilter};
use portcullis_store::{Priority, Tx, audit, trace};
use serde_json::Value;

use self::strangers::{Noted, Strangers};
use crate::mask::{text_without_ours, without_ours};
use crate::noun::Noun;
use crate::{Moment, Portcullis, ServiceError};

/// The most traces that wait to be stored.
pub const MAX_WAITING: usize = 4096;
/// The most bytes of content that wait to be stored.
pub const MAX_WAITING_BYTES: usize = 16 * 1024 * 1024;
/// Traces that one transaction stores: the writer must not be held up by explanations.
pub const MAX_A_STEP: usize = 250;
/// Traces that one transaction forgets.
pub const MAX_PRUNED: i64 = 1000;
/// Transactions that one run of the job forgets with in an organization: more than a busy directory adds meanwhile.
const MAX_PRUNE_STEPS: usize = 200;
/// The most bytes of one trace's content.
pub const MAX_CONTENT_BYTES: usize = 32 * 1024;
/// Calls of a directory whose bodies are kept, whatever came of them: when it is connected, somebody looks.
pub const MAX_FIRST_CALLS: u32 = 100;
/// Of the traces that an organization keeps, the part that refusals of one outcome may have beside them which nobody vouches
/// for: one in so many.
const PART_OF_STRANGERS: i64 = 50;
/// Directories whose first calls are counted; beyond it only the bodies of refused calls are kept.
const MAX_DIRECTORIES: usize = 10_000;
/// The record of one call, before it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceDraft {
    /// The organization that may read it.
    pub organization: OrganizationId,
    /// What it is a trace of: `directory` or `sign_in`.
    pub kind: &'static str,
    /// How it ended: `ok` or a stable code.
    pub outcome: String,
    /// Whom or what it was about.
    pub subject: String,
    /// The id of the directory or connection that it came by.
    pub source: Option<String>,
    /// The request.
    pub request: Option<RequestId>,
    /// What came and which check decided. What names call secret is masked by the caller, see [`crate::mask`]; what looks
    /// like a secret of ours is masked here too.
    pub content: Value,
    /// When.
    pub at: Timestamp,
}

#[derive(Debug, Default)]
struct Waiting {
    drafts: VecDeque<(TraceDraft, String)>,
    bytes: usize,
    touched: BTreeSet<OrganizationId>,
    calls: HashMap<DirectoryId, u32>,
    strangers: Strangers,
}

/// Where traces wait to be stored.
#[derive(Debug, Default)]
pub struct TraceDesk {
    waiting: Mutex<Waiting>,
    dropped: AtomicU64,
}

impl TraceDesk {
    fn locked(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a trace, or drops and counts it if too much waits.
    pub fn note(&self, mut draft: TraceDraft) {
        let mut content = json_text(&without_ours(std::mem::take(&mut draft.content)));
        draft.subject = text_without_ours(&draft.subject);
        draft.source = draft.source.as_deref().map(text_without_ours);
        if content.len() > MAX_CONTENT_BYTES {
            content =
                serde_json::json!({ "left_out": "too large to keep", "bytes": content.len() }).to_string();
        }
        let mut waiting = self.locked();
        let bytes = waiting.bytes + content.len();
        if waiting.drafts.len() >= MAX_WAITING || bytes > MAX_WAITING_BYTES {
            drop(waiting);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes = bytes;
        waiting.drafts.push_back((draft, content));
    }

    /// Notes the refusal of a sign-in that nobody vouches for: what came is proven by nothing. More than thirty of one source
    /// and outcome within a minute are one line.
    pub fn note_unproven(&self, draft: TraceDraft) {
        let noted = self.locked().strangers.note(draft);
        match noted {
            Noted::Each(drafts) => drafts.into_iter().for_each(|draft| self.note(draft)),
            Noted::Counted => {}
            Noted::Dropped => self.lost(1),
        }
    }

    /// Notes how many more there were in each minute that is over.
    fn note_lines(&self, now: Timestamp) {
        let lines = self.locked().strangers.over(now);
        lines.into_iter().for_each(|line| self.note(line));
    }

    /// Whether this call of a directory, with a body, is among its first since the start; counts it.
    pub fn is_among_first(&self, directory: DirectoryId) -> bool {
        let calls = &mut self.locked().calls;
        if calls.len() >= MAX_DIRECTORIES && !calls.contains_key(&directory) {
            return false;
        }
        let count = calls.entry(directory).or_default();
        *count = count.saturating_add(1);
        *count <= MAX_FIRST_CALLS
    }

    /// How many traces were dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Takes what waits longest, to be stored.
    fn take(&self) -> Vec<(TraceDraft, String)> {
        let mut waiting = self.locked();
        let many = waiting.drafts.len().min(MAX_A_STEP);
        let taken: Vec<(TraceDraft, String)> = waiting.drafts.drain(..many).collect();
        for (draft, content) in &taken {
            waiting.bytes = waiting.bytes.saturating_sub(content.len());
            waiting.touched.insert(draft.organization);
        }
        taken
    }

    /// Counts traces that could not be stored.
    fn lost(&self, many: usize) {
        self.dropped.fetch_add(u64::try_from(many).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn touched(&self) -> BTreeSet<OrganizationId> {
        std::mem::take(&mut self.locked().touched)
    }
}

/// Stores traces that were taken.
fn store(tx: &mut Tx<'_>, moment: &mut Moment, drafts: &[(TraceDraft, String)]) -> Result<(), ServiceError> {
    let traces: Vec<Trace> = drafts
        .iter()
        .map(|(draft, content)| Trace {
            id: TraceId::fresh(draft.at, &mut moment.random),
            organization: draft.organization,
            kind: draft.kind.to_owned(),
            outcome: draft.outcome.clone(),
            subject: draft.subject.clone(),
            source: draft.source.clone(),
            request: draft.request,
            content: content.clone(),
            created_at: draft.at,
        })
        .collect();
    Ok(trace::insert(tx, &traces)?)
}

impl Portcullis {
    /// Stores the traces that wait, step by step.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; the traces of that step are lost and counted.
    pub async fn store_traces(&self) -> Result<(), ServiceError> {
        self.traces().note_lines(self.now());
        for _ in 0..MAX_WAITING.div_ceil(MAX_A_STEP) {
            let taken = self.traces().take();
            let many = taken.len();
            if many == 0 {
                return Ok(());
            }
            let stored = self.write(Priority::Ordinary, move |tx, moment| store(tx, moment, &taken)).await;
            if let Err(error) = stored {
                self.traces().lost(many);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Forgets traces that are too old, or too many in an organization that had new ones. Each is looked at beside the writer
    /// and forgotten in transactions of its own: whoever leaves meanwhile waits for none of it.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; what was left is looked at by the next run.
    pub async fn prune_traces(&self) -> Result<(), ServiceError> {
        let mut touched = self.traces().touched();
        let mut pruned = self.prune_old_traces().await;
        while pruned.is_ok()
            && let Some(organization) = touched.pop_first()
        {
            pruned = self.prune_traces_of(organization).await;
            if pruned.is_err() {
                touched.insert(organization);
            }
        }
        self.traces().locked().touched.append(&mut touched);
        pruned
    }

    async fn prune_old_traces(&self) -> Result<(), ServiceError> {
        let before = self.now().plus_s(-self.around().limits.trace_age_s);
        for _ in 0..MAX_PRUNE_STEPS {
            if !self.read_apart(move |tx, _| Ok(trace::has_old(tx, before)?)).await? {
                break;
            }
            let pruned =
                move |tx: &mut Tx<'_>, _: &mut Moment| Ok(trace::prune_by_age(tx, before, MAX_PRUNED)?);
            self.write(Priority::Ordinary, pruned).await?;
        }
        Ok(())
    }

    async fn prune_traces_of(&self, organization: OrganizationId) -> Result<(), ServiceError> {
        let keep = self.around().limits.max_traces;
        let of_strangers = (keep / PART_OF_STRANGERS).max(1);
        for _ in 0..MAX_PRUNE_STEPS {
            let looked =
                move |tx: &mut Tx<'_>, _| Ok(trace::has_too_many(tx, organization, keep, of_strangers)?);
            if !self.read_apart(looked).await? {
                break;
            }
            let pruned = move |tx: &mut Tx<'_>, _: &mut Moment| {
                trace::prune_by_count(tx, organization, keep, MAX_PRUNED)?;
                Ok(trace::prune_unproven(tx, organization, of_strangers, MAX_PRUNED)?)
            };
            self.write(Priority::Ordinary, pruned).await?;
        }
        Ok(())
    }
}

/// A page of traces, newest first; older than `after`, if it is not empty.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    filter: TraceFilter<'_>,
    (after, limit): (&str, i64),
) -> Result<Vec<Trace>, ServiceError> {
    let after = Some(after).filter(|text| !text.is_empty());
    Ok(trace::list(tx, organization, filter, after, limit)?)
}

/// A trace.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: TraceId) -> Result<Trace, ServiceError> {
    trace::find(tx, organization, id)?.ok_or(ServiceError::NotFound(Noun::Trace))
}

/// The audit events that the call of a trace caused, oldest first, `limit` at most: what it changed, and why. Of an
/// operation of a bulk request there are none.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn caused(tx: &mut Tx<'_>, of: &Trace, limit: i64) -> Result<Vec<StoredEvent>, ServiceError> {
    let Some(request) = of.request else { return Ok(Vec::new()) };
    // Only a refused operation of a bulk request leaves a trace, and what the request caused is the others'.
    let content: Value = serde_json::from_str(&of.content).unwrap_or_default();
    if content.get("operation").is_some_and(Value::is_u64) {
        return Ok(Vec::new());
    }
    let filter = AuditFilter { request: Some(request), ..AuditFilter::default() };
    Ok(audit::list_page(tx, of.organization, &filter, "", limit)?)
}
