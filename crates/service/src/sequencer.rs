//! The sequencer: gives audit events their numbers, commitments and links after the commit, signs heads and receipts.
//!
//! Nothing of this happens in the transaction that takes access away, so an answer never waits for a signature; a
//! crash delays it and never loses it, because what waits is what has no number yet. An organization whose log, receipts or
//! key are damaged is left out for a while: it must not hold up the others.

use std::collections::BTreeMap;

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Digest, commitment_to_text, genesis, link};
use portcullis_domain::cause::{Actor, Cause};
use portcullis_domain::id::{EventId, OrganizationId, ReceiptId};
use portcullis_domain::receipt::statement;
use portcullis_store::audit::{self, Head, WaitingEvent};
use portcullis_store::receipt::{self, StoredReceipt};
use portcullis_store::row::bound;
use portcullis_store::{Priority, StoreError, organization};
use serde_json::{Value, json};

use crate::error::inconsistent;
use crate::left_out::LeftOut;
use crate::measures::Tally;
use crate::signing::{HEAD_TYP, RECEIPT_TYP, sign};
use crate::{Portcullis, ServiceError};

/// The most events that one step numbers.
pub(crate) const MAX_EVENTS: i64 = 1000;
/// The most receipts that one step signs.
pub(crate) const MAX_RECEIPTS: i64 = 100;
pub(crate) const fn left_out() -> LeftOut<String> {
    LeftOut::none(
        "portcullis_audit_sequencer_failures_total",
        "the log and the receipts of an organization cannot be numbered or signed; the others go on",
    )
}

struct Numbered {
    id: EventId,
    number: i64,
    commitment: String,
    link: String,
}

/// What is signed as the head of an organization's log.
#[must_use]
pub fn head_statement(organization: OrganizationId, number: i64, link: &str, at: Timestamp) -> Value {
    json!({ "organization": organization, "number": number, "link": link, "at": at.rfc3339() })
}

fn digest(text: &str) -> Result<Digest, ServiceError> {
    let bytes = hex::decode(text).map_err(|_| inconsistent("a link is not hexadecimal"))?;
    bytes.try_into().map_err(|_| inconsistent("a link is not 32 bytes"))
}

/// Numbers these events of one organization behind `head`.
fn chain(
    organization: OrganizationId,
    head: Option<&Head>,
    events: &[WaitingEvent],
) -> Result<(Vec<Numbered>, Tally), ServiceError> {
    let (mut number, mut previous) = match head {
        Some(head) => (head.number, digest(&head.link)?),
        None => (0, genesis(organization)),
    };
    let (mut out, mut tally) = (Vec::with_capacity(events.len()), Tally::default());
    for event in events {
        tally.add(organization, (&event.action, event.created_at), &event.content)?;
        let salt = hex::decode(&event.salt).map_err(|_| inconsistent("a salt is not hexadecimal"))?;
        let committed = commitment_to_text(&salt, event.content.as_bytes());
        number += 1;
        previous = link(&previous, number, &committed);
        out.push(Numbered {
            id: event.id,
            number,
            commitment: hex::encode(committed),
            link: hex::encode(previous),
        });
    }
    Ok((out, tally))
}

impl Portcullis {
    /// One step: numbers what waits and signs the new heads. How many events got a number; those of an organization that is
    /// damaged get none.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; what was not numbered waits for the next step.
    pub async fn sequence(&self) -> Result<i64, ServiceError> {
        let but = self.unsigned().now(self.now());
        let waiting = self.read(move |tx, _| Ok(audit::waiting(tx, &but, MAX_EVENTS)?)).await?;
        let mut by_organization: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (organization, event) in waiting {
            by_organization.entry(organization).or_default().push(event);
        }
        let mut count = 0;
        for (organization, events) in by_organization {
            let waited = bound(events.len());
            let turn = self.sequence_one(events).await;
            count += self.unsigned().take(organization, turn, self.now())?.map_or(0, |()| waited);
        }
        Ok(count)
    }

    /// Numbers what waits of one organization.
    async fn sequence_one(&self, events: Vec<Result<WaitingEvent, StoreError>>) -> Result<(), ServiceError> {
        let events = events.into_iter().collect::<Result<Vec<_>, _>>()?;
        let Some(organization) = events.first().map(|event| event.organization) else { return Ok(()) };
        let before = self.read(move |tx, _| Ok(audit::head(tx, organization)?)).await?;
        let (numbered, mut tally) = chain(organization, before.as_ref(), &events)?;
        let Some(last) = numbered.last() else { return Ok(()) };
        let at = self.now();
        let key = self.signing_key(organization).await?;
        let jws = sign(&key, HEAD_TYP, &head_statement(organization, last.number, &last.link, at))?;
        let head = Head { number: last.number, link: last.link.clone(), jws, at };
        let stored = self.write(Priority::Ordinary, move |tx, _| {
            // INVARIANT: one sequencer; if another was faster, this step is void and the next one begins anew.
            if audit::head(tx, organization)?.map(|h| h.number) != before.as_ref().map(|h| h.number) {
                return Ok(false);
            }
            if audit::last_number(tx, organization)? != before.as_ref().map(|h| h.number) {
                return Err(inconsistent("the head of the log is not where its last event is"));
            }
            for event in &numbered {
                audit::number(tx, event.id, event.number, &event.commitment, &event.link)?;
            }
            audit::put_head(tx, organization, &head)?;
            Ok(true)
        });
        if stored.await? {
            if tally.has_last_owner()
                && self.read(move |tx, _| Ok(organization::find(tx, organization)?.is_none())).await?
            {
                tally.without_last_owners();
            }
            tally.count(self.now());
        }
        Ok(())
    }

    /// Signs receipts that wait for it. How many were signed.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; what was not signed waits for the next step.
    pub async fn sign_receipts(&self) -> Result<i64, ServiceError> {
        let but = self.unsigned().now(self.now());
        let unsigned = self.read(move |tx, _| Ok(receipt::unsigned(tx, &but, MAX_RECEIPTS)?)).await?;
        let mut signed = Vec::with_capacity(unsigned.len());
        for (organization, stored) in unsigned {
            let turn = self.sign_receipt(stored).await;
            signed.extend(self.unsigned().take(organization, turn, self.now())?);
        }
        let count = bound(signed.len());
        if count > 0 {
            self.write(Priority::Ordinary, move |tx, _| {
                for (id, jws) in &signed {
                    receipt::sign(tx, *id, jws)?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(count)
    }

    async fn sign_receipt(
        &self,
        stored: Result<StoredReceipt, StoreError>,
    ) -> Result<(ReceiptId, String), ServiceError> {
        let stored = stored?;
        let key = self.signing_key(stored.receipt.organization).await?;
        Ok((stored.receipt.id, sign(&key, RECEIPT_TYP, &receipt_statement(&stored))?))
    }
}

/// What is signed of a receipt: the same words that the API shows.
#[must_use]
pub fn receipt_statement(stored: &StoredReceipt) -> Value {
    let cause = Cause {
        kind: stored.cause.kind,
        actor: Actor::System,
        token: None,
        request: stored.cause.request_id,
        event: None,
        directory: stored.cause.directory,
    };
    statement(&stored.receipt, &cause, stored.event, &stored.ended)
}
