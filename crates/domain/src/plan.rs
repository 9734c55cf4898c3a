//! Plans: what a decision wants done, opened with its cause.
//!
//! A plan is of one organization, and its changes name none beside it. It grows by pairs of an event and its changes,
//! so a change without an audit row does not compile. It is pure: a transaction that must be tried again runs it again.

use serde_json::Value;

use crate::audit::EventDraft;
use crate::cause::Cause;
use crate::change::{Change, Restamp};
use crate::id::OrganizationId;

/// One step of a plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// One event, and the changes that it stands for.
    Did {
        /// What is written into the audit log.
        event: EventDraft,
        /// What is written into the state.
        changes: Vec<Change>,
    },
    /// Access was found to be what it is. Nothing of it changes, so there is no event.
    Restamp(Restamp),
}

/// Changes and their audit events, to be stored in one transaction.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a plan changes nothing until it is applied"]
pub struct Plan {
    organization: OrganizationId,
    cause: Cause,
    steps: Vec<Step>,
}

impl Plan {
    /// A plan of that organization, because of that.
    pub const fn because(organization: OrganizationId, cause: Cause) -> Self {
        Self { organization, cause, steps: Vec::new() }
    }

    /// One more change, with its event. Every event after the first follows from the first.
    pub fn then(self, event: EventDraft, change: impl Into<Change>) -> Self {
        self.then_all(event, vec![change.into()])
    }

    /// Several changes that one event stands for.
    pub fn then_all(mut self, event: EventDraft, changes: Vec<Change>) -> Self {
        self.steps.push(Step::Did { event, changes });
        self
    }

    /// Notes under which rules number a membership's access was found to be what it is. No access changes, so no
    /// event: a job that confirms 50,000 people writes no audit row.
    pub fn restamp(mut self, restamp: Restamp) -> Self {
        self.steps.push(Step::Restamp(restamp));
        self
    }

    /// The same, with the reason that a person gave in the first event's detail.
    pub fn with_reason(mut self, reason: &str) -> Self {
        if let Some(Step::Did { event, .. }) = self.steps.first_mut() {
            match &mut event.detail {
                Value::Object(detail) => {
                    detail.insert("reason".to_owned(), reason.into());
                }
                other => *other = serde_json::json!({ "reason": reason }),
            }
        }
        self
    }

    /// An event that no change goes with: something refused, or something used.
    pub fn noting(self, event: EventDraft) -> Self {
        self.then_all(event, Vec::new())
    }

    /// The organization in which everything of it is written.
    #[must_use]
    pub const fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// Its cause.
    #[must_use]
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Its steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether it can take access away.
    #[must_use]
    pub fn lessens(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Did { changes, .. } => changes.iter().any(Change::lessens),
            Step::Restamp(_) => false,
        })
    }
}
