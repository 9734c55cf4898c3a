//! Uses of the root token: each is counted and alarmed, and those that only read are in the audit log, too.
//!
//! What the root token writes names it as the actor already. What it only reads leaves an event too, at most one a
//! minute and organization: enough to see that and when somebody looked, too little to bury the log under a script.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::id::{OrganizationId, RequestId};
use portcullis_domain::plan::Plan;
use portcullis_store::Priority;
use serde_json::{Value, json};

use crate::{Portcullis, ServiceError};

/// Counts requests that came by the root token.
pub const USES: &str = "portcullis_root_token_uses_total";
/// Seconds within which further reads of one organization leave no further event.
pub const GRAIN_S: i64 = 60;
/// The most organizations that are remembered; beyond it a read leaves its event again.
const MAX_REMEMBERED: usize = 10_000;

/// When each organization was last read by the root token.
#[derive(Debug, Default)]
pub(crate) struct RootReads {
    last: Mutex<HashMap<OrganizationId, Timestamp>>,
    /// When the log said last that it is used.
    told: Mutex<Option<Timestamp>>,
    /// One read at a time writes its event, so that those beside it wait for it and write none.
    writing: tokio::sync::Mutex<()>,
}

impl RootReads {
    /// Whether the log is to say that the token is used: once in a while is enough.
    fn is_to_be_told(&self, now: Timestamp) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = told.is_none_or(|at| now < at || now >= at.plus_s(GRAIN_S));
        if is_news {
            *told = Some(now);
        }
        is_news
    }

    /// Of which of these a read leaves an event.
    fn news(&self, organizations: &[OrganizationId], now: Timestamp) -> Vec<OrganizationId> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // What was read after now, by a clock that has been set back since, was not read within the minute.
        let is_known = |at: &Timestamp| *at <= now && now < at.plus_s(GRAIN_S);
        let is_news = |id: &&OrganizationId| !last.get(*id).is_some_and(is_known);
        organizations.iter().filter(is_news).copied().collect()
    }

    /// Remembers events that are in the log.
    fn remember(&self, organizations: &[OrganizationId], now: Timestamp) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len().saturating_add(organizations.len()) > MAX_REMEMBERED {
            last.clear();
        }
        last.extend(organizations.iter().map(|id| (*id, now)));
    }
}

/// What the root token read.
#[derive(Debug, Clone)]
pub struct RootRead {
    /// Under which path.
    pub path: String,
    /// What the caller calls the request, where that was answered in place of our id.
    pub called: Option<String>,
}

impl RootRead {
    fn detail(&self) -> Value {
        let mut detail = json!({ "path": self.path, "further_reads_within_s": GRAIN_S });
        if let (Some(called), Some(fields)) = (&self.called, detail.as_object_mut()) {
            fields.insert("callers_request_id".to_owned(), json!(called));
        }
        detail
    }
}

impl From<String> for RootRead {
    fn from(path: String) -> Self {
        Self { path, called: None }
    }
}

impl Portcullis {
    /// Counts a request that came by the root token, which is the way in when every other is shut (invariant I6): whoever watches
    /// the counter is alarmed, and whoever reads the log.
    pub fn notice_root_use(&self, request: RequestId) {
        metrics::counter!(USES).increment(1);
        if self.root_reads().is_to_be_told(self.now()) {
            tracing::warn!(request.id = %request, "the root token is used; further uses within a minute are counted only");
        }
    }

    /// Notes that the root token read something of these organizations, before it is answered.
    ///
    /// # Errors
    /// [`ServiceError::Store`]: what cannot be noted is not shown.
    pub async fn note_root_read(
        &self,
        organizations: &[OrganizationId],
        read: impl Into<RootRead>,
        cause: Cause,
    ) -> Result<(), ServiceError> {
        let (reads, now) = (self.root_reads(), self.now());
        if reads.news(organizations, now).is_empty() {
            return Ok(());
        }
        let _alone = reads.writing.lock().await;
        let news = reads.news(organizations, now);
        if news.is_empty() {
            return Ok(());
        }
        let noted = news.clone();
        let read: RootRead = read.into();
        self.write(Priority::Ordinary, move |tx, moment| {
            for organization in &news {
                let event = EventDraft::new(Action::RootTokenUsed, *organization).with(read.detail());
                let plan = Plan::because(*organization, cause).noting(event);
                moment.apply(tx, &plan)?;
            }
            Ok(())
        })
        .await?;
        // Only now: a read that could not be noted leaves its event when it is tried again.
        reads.remember(&noted, now);
        Ok(())
    }
}
