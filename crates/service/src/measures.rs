//! What operators count: off-boardings, ended tokens, how far the sequencer is behind, how long writes wait.
//!
//! Facts are counted where their audit event gets its number: once, after the commit, whatever was tried again before
//! it. So no use case counts anything, and a new one is counted on the day it is born. Every label's values come from
//! an enum; a person, a token or an organization is never one. What is an alarm goes to the log from here too, once.

use portcullis_domain::Timestamp;
use portcullis_domain::audit::Action;
use portcullis_domain::id::OrganizationId;
use portcullis_store::StoreError;
use serde_json::Value;

use crate::ServiceError;

/// What a step of the sequencer counts, once it is stored.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    facts: Vec<Fact>,
    oldest: Option<Timestamp>,
}

#[derive(Debug, PartialEq, Eq)]
enum Fact {
    OffBoarded { cause: String },
    TokenEnded { kind: String, because: String },
    HoldOpened { kind: String },
    LastOwnerKept { organization: OrganizationId, membership: String },
}

/// A text of an event's content, by its place.
fn text<'c>(content: &'c Value, place: &str) -> &'c str {
    content.pointer(place).and_then(Value::as_str).unwrap_or("unknown")
}

impl Tally {
    /// Takes an event of an organization: what was done, when, and its content. Only of what is counted the content is read.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if it is read and no JSON.
    pub(crate) fn add(
        &mut self,
        organization: OrganizationId,
        (action, at): (&str, Timestamp),
        content: &str,
    ) -> Result<(), ServiceError> {
        self.oldest = self.oldest.into_iter().chain([at]).min();
        let counted =
            [Action::MemberDeprovisioned, Action::TokenEnded, Action::HoldOpened, Action::LastOwnerKept];
        let Some(counted) = counted.into_iter().find(|one| one.as_str() == action) else { return Ok(()) };
        let content: Value = serde_json::from_str(content)
            .map_err(|_| StoreError::Inconsistent("an audit event is not JSON".to_owned()))?;
        let own = |place| text(&content, place).to_owned();
        self.facts.push(match counted {
            Action::MemberDeprovisioned => Fact::OffBoarded { cause: own("/cause/kind") },
            Action::HoldOpened => Fact::HoldOpened { kind: own("/detail/kind") },
            Action::LastOwnerKept => Fact::LastOwnerKept { organization, membership: own("/targets/0/id") },
            _ => Fact::TokenEnded { kind: own("/detail/kind"), because: own("/detail/because") },
        });
        Ok(())
    }

    /// Whether an organization is left without its last owner.
    pub(crate) fn has_last_owner(&self) -> bool {
        self.facts.iter().any(|fact| matches!(fact, Fact::LastOwnerKept { .. }))
    }

    /// Leaves out last owners who left, where their organization was deleted: nobody is to own it any more.
    pub(crate) fn without_last_owners(&mut self) {
        self.facts.retain(|fact| !matches!(fact, Fact::LastOwnerKept { .. }));
    }

    /// Counts what was taken.
    pub(crate) fn count(self, now: Timestamp) {
        for fact in self.facts {
            match fact {
                Fact::OffBoarded { cause } => {
                    metrics::counter!("portcullis_offboardings_total", "cause" => cause).increment(1);
                }
                Fact::HoldOpened { kind } => {
                    metrics::counter!("portcullis_holds_total", "kind" => kind).increment(1);
                }
                Fact::LastOwnerKept { organization, membership } => {
                    tracing::warn!(
                        organization.id = %organization, membership.id = membership,
                        "the last owner of an organization left: nobody can act as its owner until the root token makes one"
                    );
                    metrics::counter!("portcullis_last_owners_kept_total").increment(1);
                }
                Fact::TokenEnded { kind, because } => {
                    let labels = [("kind", kind), ("because", because)];
                    metrics::counter!("portcullis_tokens_ended_total", &labels).increment(1);
                }
            }
        }
        if let Some(oldest) = self.oldest {
            metrics::histogram!("portcullis_audit_sequencer_lag_seconds").record(seconds(oldest, now));
        }
    }
}

/// A write that was asked for at `asked_at` begins.
pub(crate) fn write_began(asked_at: Timestamp, now: Timestamp) {
    metrics::histogram!("portcullis_store_write_wait_seconds").record(seconds(asked_at, now));
}

#[expect(clippy::cast_precision_loss, reason = "a histogram takes floats; no wait here goes beyond 2^52 µs")]
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    // A clock that was set back makes no wait negative.
    (to.micros() - from.micros()).max(0) as f64 / 1_000_000.0
}

#[cfg(test)]
#[path = "measures_tests.rs"]
mod tests;
