//! The dialect report: which deviations from the standard a directory's calls needed, counted.
//!
//! A call is answered without waiting for its count: it is kept in memory and stored by a job. What a crash loses is a
//! count, never access.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::id::{DirectoryId, OrganizationId};
use portcullis_scim::{DialectKind, DialectNote};
use portcullis_store::dialect::{Heard, list, note};
use portcullis_store::{Priority, Tx, directory};

use crate::noun::Noun;
use crate::provisioning::Speaker;
use crate::{Portcullis, ServiceError};

/// Directories whose counts wait to be stored; beyond it new ones are not counted until the next run of the job. Each
/// has at most as many as there are kinds.
pub const MAX_WAITING: usize = 10_000;

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialectLine {
    /// What deviated.
    pub kind: DialectKind,
    /// In how many calls.
    pub calls: i64,
    /// The attribute, key or schema that it was about the last time.
    pub subject: Option<String>,
    /// When it was first met.
    pub first_at: Timestamp,
    /// When it was last met.
    pub last_at: Timestamp,
}

type Counts = HashMap<DialectKind, Heard>;

/// Counts that wait to be stored.
#[derive(Debug, Default)]
pub struct Dialects {
    waiting: Mutex<HashMap<DirectoryId, (OrganizationId, Counts)>>,
}

impl Dialects {
    /// Counts a call: each kind once, however often it stands in it.
    pub fn note(&self, speaker: Speaker, notes: &[DialectNote], now: Timestamp) {
        let directory = speaker.directory;
        if notes.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_WAITING && !waiting.contains_key(&directory) {
            return;
        }
        let (_, counts) = waiting.entry(directory).or_insert_with(|| (speaker.organization, Counts::new()));
        let mut seen = BTreeSet::new();
        for note in notes {
            let heard = counts.entry(note.kind()).or_insert_with(|| Heard {
                code: note.code().to_owned(),
                calls: 0,
                subject: None,
                first_at: now,
                last_at: now,
            });
            heard.calls += i64::from(seen.insert(note.kind()));
            heard.last_at = now;
            heard.subject = note.subject().map(str::to_owned);
        }
    }

    fn take(&self) -> Vec<(OrganizationId, DirectoryId, Heard)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *waiting);
        let lines = taken.into_iter().flat_map(|(directory, (organization, counts))| {
            counts.into_values().map(move |heard| (organization, directory, heard))
        });
        lines.collect()
    }

    fn waiting(&self, directory: DirectoryId) -> Vec<Heard> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get(&directory).map(|(_, counts)| counts.values().cloned().collect()).unwrap_or_default()
    }
}

/// The report of a directory: what is stored, and what waits to be.
///
/// # Errors
/// [`ServiceError::NotFound`] for a directory that the organization does not have.
pub fn report(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: DirectoryId,
    dialects: &Dialects,
) -> Result<Vec<DialectLine>, ServiceError> {
    directory::find(tx, organization, id)?.ok_or(ServiceError::NotFound(Noun::Directory))?;
    let mut lines: HashMap<DialectKind, DialectLine> = HashMap::new();
    for heard in list(tx, id)?.into_iter().chain(dialects.waiting(id)) {
        // A kind that this version no longer knows is not shown.
        let Some(kind) = DialectKind::of_code(&heard.code) else { continue };
        let line = lines.entry(kind).or_insert_with(|| DialectLine {
            kind,
            calls: 0,
            subject: None,
            first_at: heard.first_at,
            last_at: heard.last_at,
        });
        line.calls += heard.calls;
        line.first_at = line.first_at.min(heard.first_at);
        if heard.last_at >= line.last_at {
            line.last_at = heard.last_at;
            line.subject = heard.subject;
        }
    }
    let mut lines: Vec<DialectLine> = lines.into_values().collect();
    lines.sort_by_key(|line| (std::cmp::Reverse(line.calls), line.kind));
    Ok(lines)
}

impl Portcullis {
    /// Stores counts that wait.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; the counts are lost then.
    pub async fn store_dialects(&self) -> Result<(), ServiceError> {
        let heard = self.dialects().take();
        if heard.is_empty() {
            return Ok(());
        }
        self.write(Priority::Ordinary, move |tx, _| Ok(note(tx, &heard)?)).await
    }
}
