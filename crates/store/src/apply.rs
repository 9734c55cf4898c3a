//! The one road on which access is written: a plan goes in, rows and their audit events come out.
//!
//! This file only dispatches; each noun's own file knows its table. A change over many rows returns the rows that it
//! touched, and each of them gets an event of its own and a line of the receipt.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{
    AgentChange, Change, GrantChange, LinkChange, OutboxChange, ReceiptChange, TokenChange,
};
use portcullis_domain::id::{EventId, MembershipId, ReceiptId};
use portcullis_domain::plan::{Plan, Step};
use portcullis_domain::{Random, Timestamp};
use serde_json::{Map, Value, json};

use crate::statement::Statement;
use crate::{
    StoreError, Tx, agent, audit, connection, directory, directory_group, directory_user, domain,
    environment, grant, hold, mapping, membership, organization, outbox, params, receipt, role, team, token,
    tombstone, user,
};

const MOVE_REVISION: Statement =
    Statement::change("apply.move_revision", "UPDATE revision SET number = number + 1 WHERE id = 1");

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The event of each step, in order.
    pub events: Vec<EventId>,
    /// Receipts that were opened.
    pub receipts: Vec<ReceiptId>,
    /// How many tokens ended.
    pub tokens_ended: u64,
    /// Whether access may have been taken away.
    pub lessened: bool,
    /// The cause of what follows from this: the plan's, after its first event.
    pub cause: Cause,
}

/// Writes a plan: each step's event, then its changes.
///
/// # Errors
/// [`StoreError`]; the caller's transaction is then rolled back whole.
pub fn apply(
    tx: &mut Tx<'_>,
    plan: &Plan,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<Applied, StoreError> {
    let mut cause = *plan.cause();
    let mut applied = Applied {
        events: Vec::new(),
        receipts: Vec::new(),
        tokens_ended: 0,
        lessened: plan.lessens(),
        cause,
    };
    for step in plan.steps() {
        let (draft, changes) = match step {
            Step::Did { event, changes } => (event, changes),
            Step::Restamp(found) => {
                membership::restamp(tx, plan.organization(), found)?;
                continue;
            }
        };
        let event = audit::insert(tx, plan.organization(), draft, &cause, now, random)?;
        // Everything after a plan's first event follows from it, unless the plan says what it follows from.
        if cause.event.is_none() {
            cause = cause.after(event);
        }
        if applied.events.is_empty() {
            applied.cause = plan.cause().after(event);
        }
        applied.events.push(event);
        for change in changes {
            let mut writing = Writing { plan, cause: cause.after(event), event, now, applied: &mut applied };
            writing.change(tx, change, random)?;
        }
    }
    if applied.lessened {
        tx.lessens();
    }
    Ok(applied)
}

/// The last statement of every transaction that may have taken access away.
///
/// INVARIANT: the counter row is taken once and after every other lock. Whoever held it and waited for somebody who
/// takes access away too would wait for ever.
pub(crate) fn close(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    if tx.has_lessened() {
        tx.run(&MOVE_REVISION, params![])?;
    }
    Ok(())
}

struct Writing<'p> {
    plan: &'p Plan,
    cause: Cause,
    event: EventId,
    now: Timestamp,
    applied: &'p mut Applied,
}

impl Writing<'_> {
    fn change(
        &mut self,
        tx: &mut Tx<'_>,
        change: &Change,
        random: &mut dyn Random,
    ) -> Result<(), StoreError> {
        match change {
            Change::Organization(change) => organization::apply(tx, change, self.event),
            Change::Environment(change) => environment::apply(tx, self.plan.organization(), change),
            Change::Team(change) => team::apply(tx, self.plan.organization(), change),
            Change::Role(change) => role::apply(tx, self.plan.organization(), change),
            Change::Domain(change) => domain::apply(tx, self.plan.organization(), change),
            Change::User(change) => user::apply(tx, change),
            Change::Membership(change) => membership::apply(tx, self.plan.organization(), change, self.event),
            Change::Directory(change) => directory::apply(tx, self.plan.organization(), change),
            Change::DirectoryUser(change) => {
                directory_user::apply(tx, self.plan.organization(), change, self.now)
            }
            Change::DirectoryGroup(change) => {
                directory_group::apply(tx, self.plan.organization(), change, self.now)
            }
            Change::Hold(change) => hold::apply(tx, self.plan.organization(), change),
            Change::Connection(change) => connection::apply(tx, self.plan.organization(), change),
            Change::Link(change) => self.link(tx, change, random),
            Change::Mapping(change) => mapping::apply(tx, self.plan.organization(), change),
            Change::Grant(change) => self.grant(tx, change, random),
            Change::Agent(change) => self.agent(tx, change, random),
            Change::Token(change) => self.token(tx, change, random),
            Change::Tombstone(change) => tombstone::apply(tx, self.plan.organization(), change),
            Change::Receipt(ReceiptChange::Open(opened)) => {
                self.applied.receipts.push(opened.id);
                receipt::open(tx, opened, self.plan.cause(), self.event)
            }
            Change::Outbox(change @ OutboxChange::Put { .. }) => {
                outbox::apply(tx, self.plan.organization(), change)
            }
        }
    }

    fn agent(
        &self,
        tx: &mut Tx<'_>,
        change: &AgentChange,
        random: &mut dyn Random,
    ) -> Result<(), StoreError> {
        let forgotten = agent::apply(tx, self.plan.organization(), change)?;
        match change {
            AgentChange::Forget(member) => {
                for (id, was) in forgotten {
                    let event = EventDraft::new(Action::AgentUpdated, id)
                        .about(*member)
                        .with(no_longer(*member, &was));
                    audit::insert(tx, self.plan.organization(), &event, &self.cause, self.now, random)?;
                }
                Ok(())
            }
            AgentChange::Disable(id, Some(receipt))
            | AgentChange::Orphan(id, receipt)
            | AgentChange::SetOwner(id, _, _, Some(receipt)) => {
                receipt::add_line(tx, *receipt, &(*id).into())
            }
            _ => Ok(()),
        }
    }

    fn link(&self, tx: &mut Tx<'_>, change: &LinkChange, random: &mut dyn Random) -> Result<(), StoreError> {
        let unlinked = connection::apply_link(tx, self.plan.organization(), change)?;
        let LinkChange::DeleteOf(membership) = change else { return Ok(()) };
        for (connection, subject) in unlinked {
            let event = EventDraft::new(Action::MemberUnlinked, *membership)
                .about(connection)
                .with(json!({ "subject": subject }));
            audit::insert(tx, self.plan.organization(), &event, &self.cause, self.now, random)?;
        }
        Ok(())
    }

    fn grant(
        &self,
        tx: &mut Tx<'_>,
        change: &GrantChange,
        random: &mut dyn Random,
    ) -> Result<(), StoreError> {
        let ended = grant::apply(tx, self.plan.organization(), change)?;
        let GrantChange::EndOf { membership, .. } = change else { return Ok(()) };
        for row in ended {
            let event = EventDraft::new(Action::GrantEnded, row.id)
                .about(*membership)
                .with(json!({ "role": row.role, "reason": row.reason }));
            audit::insert(tx, self.plan.organization(), &event, &self.cause, self.now, random)?;
        }
        Ok(())
    }

    fn token(
        &mut self,
        tx: &mut Tx<'_>,
        change: &TokenChange,
        random: &mut dyn Random,
    ) -> Result<(), StoreError> {
        let ended = token::apply(tx, self.plan.organization(), change, self.event)?;
        let TokenChange::End { because, receipt, .. } = change else { return Ok(()) };
        for row in ended {
            let event = EventDraft::new(Action::TokenEnded, row.id)
                .about(row.holder)
                .with(json!({ "kind": row.kind.as_str(), "because": because.as_str() }));
            audit::insert(tx, self.plan.organization(), &event, &self.cause, self.now, random)?;
            if let Some(receipt) = receipt {
                receipt::add_line(tx, *receipt, &row.id.into())?;
            }
            self.applied.tokens_ended += 1;
        }
        Ok(())
    }
}

/// What an agent has no longer of somebody, before and after.
fn no_longer(member: MembershipId, was: &agent::Forgotten) -> Value {
    let names = [("heir", was.heir), ("rule_chosen_by", was.chooser)];
    let names: Vec<_> = names.into_iter().filter_map(|(name, is)| is.then_some(name)).collect();
    let side = |value: &Value| names.iter().map(|name| ((*name).to_owned(), value.clone())).collect();
    let (from, to): (Map<String, Value>, Map<String, Value>) = (side(&json!(member)), side(&Value::Null));
    json!({ "from": from, "to": to })
}

/// The statements that stand here.
pub(crate) const ALL: &[&Statement] = &[&MOVE_REVISION];
