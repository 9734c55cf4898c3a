//! Reads by the root token, in the audit log.
//!
//! What the root token writes names it as the actor already. What it only reads leaves an event too, at most one a
//! minute and organization: enough to see that and when somebody looked, too little to bury the log under a script.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft, Target};
use portcullis_domain::cause::Cause;
use portcullis_domain::id::OrganizationId;
use portcullis_domain::plan::Plan;
use portcullis_store::{Priority, apply};
use serde_json::json;

use crate::{Portcullis, ServiceError};

/// Seconds within which further reads of one organization leave no further event.
pub const GRAIN_S: i64 = 60;
/// The most organizations that are remembered; beyond it a read leaves its event again.
const MAX_REMEMBERED: usize = 10_000;

/// When each organization was last read by the root token.
#[derive(Debug, Default)]
pub(crate) struct RootReads(Mutex<HashMap<OrganizationId, Timestamp>>);

impl RootReads {
    /// Whether this read leaves an event.
    fn is_news(&self, organization: OrganizationId, now: Timestamp) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.get(&organization).is_some_and(|at| now < at.plus_s(GRAIN_S)) {
            return false;
        }
        if last.len() >= MAX_REMEMBERED {
            last.clear();
        }
        last.insert(organization, now);
        true
    }
}

impl Portcullis {
    /// Notes that the root token read something of an organization, before it is answered.
    ///
    /// # Errors
    /// [`ServiceError::Store`]: what cannot be noted is not shown.
    pub async fn note_root_read(
        &self,
        organization: OrganizationId,
        path: String,
        cause: Cause,
    ) -> Result<(), ServiceError> {
        if !self.root_reads().is_news(organization, self.now()) {
            return Ok(());
        }
        self.write(Priority::Ordinary, move |tx, moment| {
            let event = EventDraft::new(Action::RootTokenUsed, Target::new("organization", organization))
                .with(json!({ "path": path, "further_reads_within_s": GRAIN_S }));
            let plan = Plan::because(organization, cause).noting(event);
            apply(tx, &plan, moment.now, &mut moment.random)?;
            Ok(())
        })
        .await
    }
}
