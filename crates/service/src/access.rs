//! The one road: facts and rules are read, access is resolved, and what differs is planned and written.
//!
//! Whatever changed (a SCIM call, claims, a mapping, a grant, an administrator), it ends here for each membership that
//! it touches. Nothing else in this room decides whether somebody keeps access.

use portcullis_domain::Timestamp;
use portcullis_domain::access::{
    Access, EndedBecause, Held, PersonFacts, Resolved, Verdict, is_let_go, judge, resolve,
};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{
    Change, GrantChange, HoldChange, MembershipChange, Restamp, TombstoneChange, UserChange,
};
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{DirectoryId, MembershipId, OrganizationId, OutboxId, ReceiptId, ReviewId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::offboarding::{NewIds, off_board};
use portcullis_domain::plan::Plan;
use portcullis_domain::review::{Review, ReviewReason};
use portcullis_store::db::Lock;
use portcullis_store::{Tx, audit, directory, directory_user, facts, leaver, membership, review};
use serde_json::json;

use crate::error::inconsistent;
use crate::noun::Noun;
use crate::provisioning::named_anew;
use crate::{Moment, ServiceError, brake};

/// What became of a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Nothing had to be written.
    Unchanged,
    /// Its access is different now.
    Changed,
    /// It is suspended, and its end is held.
    Held,
    /// It ended, and this receipt accounts for it.
    OffBoarded(ReceiptId),
    /// It lives again.
    Revived,
}

/// A membership, locked, and the rules of its organization before it.
fn lock(tx: &mut Tx<'_>, id: MembershipId) -> Result<Option<Membership>, ServiceError> {
    if !tx.has_rules() {
        // Whoever knows the organization has locked its rules first and spares this look.
        let Some(organization) = membership::organization_of(tx, id)? else { return Ok(None) };
        tx.lock(Lock::Rules(organization))?;
    }
    let Some(found) = membership::find_locked(tx, id)? else { return Ok(None) };
    tx.lock(Lock::Rules(found.organization))?;
    Ok(Some(found))
}

/// Brings one membership's stored access in step with its facts and rules, now.
///
/// # Errors
/// [`ServiceError::Store`] only; nothing is written then.
pub fn settle(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    id: MembershipId,
    cause: Cause,
) -> Result<Settled, ServiceError> {
    settle_as(tx, moment, id, cause, None)
}

/// The same, where a directory has just deleted the person.
///
/// # Errors
/// As [`settle`].
pub fn settle_as(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    id: MembershipId,
    cause: Cause,
    deleted_by: Option<DirectoryId>,
) -> Result<Settled, ServiceError> {
    let Some(membership) = lock(tx, id)? else { return Ok(Settled::Unchanged) };
    let rules_number = facts::rules_number(tx, membership.organization)?;
    let mut facts = facts::of(tx, &membership)?;
    if facts.owns() {
        tx.lock(Lock::Owners(membership.organization))?;
    }
    if let Some(directory) = deleted_by {
        facts.deleted_by(directory);
    }
    if is_let_go(&facts, moment.now) {
        unhold(tx, moment, &membership, cause)?;
        facts.held = Held::No;
    }
    match judge(&membership, &facts, rules_number, moment.now) {
        Verdict::Unchanged => Ok(Settled::Unchanged),
        Verdict::Changed(resolved) => {
            change(tx, moment, &membership, &facts, (resolved, rules_number), cause)
        }
        Verdict::OffBoard(resolved, because) => {
            let cause = cause_of_end(tx, &membership, because, cause, moment.now)?;
            if brake::is_directorys(tx, &membership, (because, rules_number), &cause)? {
                let held = resolve(&PersonFacts { held: Held::Ending, ..facts }, moment.now);
                if brake::hold_end(tx, moment, &membership, because, (held, rules_number), cause)? {
                    return Ok(Settled::Held);
                }
            }
            let ending = Ending { resolved, rules_number, because, reason: None };
            end(tx, moment, membership, ending, cause).map(Settled::OffBoarded)
        }
        Verdict::Revived(resolved) => revive(tx, moment, &membership, (resolved, rules_number), cause),
    }
}

/// What an end is because of. Whoever comes by when it has settled, be it the job, is not why it comes: that is what took
/// the last mapping. Who ends it before that, or releases what was held, is.
fn cause_of_end(
    tx: &mut Tx<'_>,
    membership: &Membership,
    because: EndedBecause,
    cause: Cause,
    now: Timestamp,
) -> Result<Cause, ServiceError> {
    // INVARIANT: for whoever has no mapping `until` is when that has settled; for whoever is held there is none.
    let had_settled = membership.access.until.is_some_and(|until| until <= now);
    if because != EndedBecause::Unmapped || !had_settled {
        return Ok(cause);
    }
    match membership::unmapped_event(tx, membership.organization, membership.id)? {
        Some(event) => Ok(audit::following(tx, membership.organization, event)?),
        None => Ok(Cause::rule()),
    }
}

/// The directory says otherwise than what was held.
fn unhold(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    membership: &Membership,
    cause: Cause,
) -> Result<(), ServiceError> {
    let event = EventDraft::new(Action::MemberUnheld, membership.id);
    let plan = Plan::because(membership.organization, cause).then(event, HoldChange::Unhold(membership.id));
    moment.apply(tx, &plan)?;
    Ok(())
}

fn change(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    membership: &Membership,
    facts: &PersonFacts,
    (resolved, rules_number): (Resolved, i64),
    cause: Cause,
) -> Result<Settled, ServiceError> {
    let plan = Plan::because(membership.organization, cause);
    let Resolved { access, governed_by, unmapped_at, ended, held: _ } = resolved;
    let was = facts.ended.map(|(_, because)| because);
    if access == membership.access && governed_by == membership.governed_by && ended == was {
        let restamp = Restamp { id: membership.id, governed_by, unmapped_at, rules_number };
        moment.apply(tx, &plan.restamp(restamp))?;
        return Ok(Settled::Unchanged);
    }
    let event = EventDraft::new(Action::MemberAccessChanged, membership.id).with(json!({
        "from": shown(&membership.access, membership.governed_by), "to": shown(&access, governed_by),
    }));
    let set = MembershipChange::SetAccess {
        id: membership.id,
        access: Box::new(access),
        governed_by,
        unmapped_at,
        ended: facts.ended.map(|(at, because)| (at, ended.unwrap_or(because))),
        // Whom a person has made owner again since is one like any other.
        bare_owner_at: membership.bare_owner_at.filter(|_| ended.is_some() || !facts.owns()),
        rules_number,
    };
    let mut changes: Vec<Change> = vec![set.into()];
    let begun = unmapped_at.filter(|_| membership.unmapped_at.is_none());
    match begun {
        Some(since) if !brake::is_by_directory(membership, rules_number, &cause) => {
            changes.push(HoldChange::Spare(membership.id, since).into());
        }
        Some(_) => brake::refuse_suspension(tx, moment, membership, &cause)?,
        None => {}
    }
    moment.apply(tx, &plan.then_all(event, changes))?;
    Ok(Settled::Changed)
}

fn revive(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    membership: &Membership,
    (resolved, rules_number): (Resolved, i64),
    cause: Cause,
) -> Result<Settled, ServiceError> {
    let to = shown(&resolved.access, resolved.governed_by);
    let event = EventDraft::new(Action::MemberRevived, membership.id).with(json!({ "to": to }));
    let mut changes: Vec<Change> = vec![
        MembershipChange::SetAccess {
            id: membership.id,
            access: Box::new(resolved.access),
            governed_by: resolved.governed_by,
            unmapped_at: resolved.unmapped_at,
            ended: None,
            // Nobody is owner by this: until somebody is, an administrator is to hear that the last one left.
            bare_owner_at: membership.bare_owner_at,
            rules_number,
        }
        .into(),
        GrantChange::EndOf { membership: membership.id, keep: None, at: moment.now }.into(),
        TombstoneChange::LiftOf(membership.id).into(),
        UserChange::Revive(membership.user).into(),
    ];
    // What they are called lay on the tombstones of others, too, if it was theirs before.
    let told = told_of(tx, membership.organization, membership.id)?;
    changes.extend(told.iter().filter(|told| told.unconfirmed_at.is_none()).map(named_anew));
    moment.apply(tx, &Plan::because(membership.organization, cause).then_all(event, changes))?;
    Ok(Settled::Revived)
}

/// What directories that tell of everybody say of somebody who is active there.
fn told_of(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    membership: MembershipId,
) -> Result<Vec<DirectoryUser>, ServiceError> {
    let mut active = Vec::new();
    for told in directory_user::of_membership(tx, membership)? {
        let told_by = directory::find(tx, organization, told.directory)?;
        if told.inactive_at.is_none() && told_by.is_some_and(|d| d.kind.tells_of_everybody()) {
            active.push(told);
        }
    }
    Ok(active)
}

/// How a membership ends.
struct Ending<'r> {
    resolved: Resolved,
    rules_number: i64,
    because: EndedBecause,
    /// What the administrator who ended it gave as their reason.
    reason: Option<&'r str>,
}

fn end(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    membership: Membership,
    ending: Ending<'_>,
    cause: Cause,
) -> Result<ReceiptId, ServiceError> {
    let (of, governor) = ((membership.organization, membership.id), ending.resolved.governed_by);
    let leaver = leaver::load(tx, membership, ending.resolved, ending.rules_number, moment.now)?;
    let ids = NewIds {
        receipt: ReceiptId::fresh(moment.now, &mut moment.random),
        outbox: OutboxId::fresh(moment.now, &mut moment.random),
    };
    let mut plan = off_board(&leaver, ending.because, ids, cause, moment.now);
    if let Some(reason) = ending.reason {
        plan = plan.with_reason(reason);
    }
    moment.apply(tx, &plan)?;
    if ending.because == EndedBecause::Deleted {
        tell_of_others(tx, moment, of, governor)?;
    }
    Ok(ids.receipt)
}

/// Whoever was deleted by the directory that governed them, or with it, is gone for good, whatever another one says of them: a
/// provider that goes on to be answered as if they were active locks them out, unseen. An administrator hears of it.
pub(crate) fn tell_of_others(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (organization, membership): (OrganizationId, MembershipId),
    governor: Option<DirectoryId>,
) -> Result<(), ServiceError> {
    let told = told_of(tx, organization, membership)?;
    for told in told.into_iter().filter(|told| Some(told.directory) != governor) {
        let id = ReviewId::fresh(moment.now, &mut moment.random);
        let why = (ReviewReason::EndedElsewhere, Vec::new());
        review::open(tx, &Review::new(id, &told, why, moment.now))?;
    }
    Ok(())
}

/// Ends a membership because an administrator said so, with their reason in the audit log. One that ended already
/// keeps its receipt.
///
/// # Errors
/// [`ServiceError::NotFound`] if there is no such membership here.
pub fn off_board_member(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    id: MembershipId,
    reason: &str,
    cause: Cause,
) -> Result<ReceiptId, ServiceError> {
    let membership = lock(tx, id)?
        .filter(|m| m.organization == organization)
        .ok_or(ServiceError::NotFound(Noun::Member))?;
    if membership.ended.is_some() {
        let receipts = portcullis_store::receipt::of_membership(tx, id)?;
        let newest = receipts.first().map(|r| r.receipt.id);
        return newest.ok_or_else(|| inconsistent("an ended membership has no receipt"));
    }
    if leaver::owns(tx, &membership)? {
        tx.lock(Lock::Owners(organization))?;
    }
    let rules_number = facts::rules_number(tx, organization)?;
    let resolved = Resolved {
        access: Access::none(MembershipState::Deprovisioned),
        governed_by: membership.governed_by,
        unmapped_at: membership.unmapped_at,
        ended: Some(EndedBecause::Administrator),
        held: None,
    };
    let because = EndedBecause::Administrator;
    end(tx, moment, membership, Ending { resolved, rules_number, because, reason: Some(reason) }, cause)
}

/// The most reasons that an event shows on one side: a line of an export has its bounds.
const MAX_REASONS: usize = 200;

/// Access as an audit event shows it, with what gives it and the directory that governs: taken out of one of two groups that
/// give the same, somebody has what they had for another reason.
fn shown(access: &Access, governed_by: Option<DirectoryId>) -> serde_json::Value {
    let teams: Vec<_> = access.teams.iter().map(|(t, r)| json!({ "slug": t, "role": r.as_str() })).collect();
    json!({
        "state": access.state.as_str(),
        "role": access.role,
        "teams": teams,
        "environments": access.environments,
        "reasons": access.reasons.iter().take(MAX_REASONS).collect::<Vec<_>>(),
        "reasons_left_out": access.reasons.len().saturating_sub(MAX_REASONS),
        "until": access.until.map(Timestamp::rfc3339),
        "governed_by": governed_by,
    })
}
