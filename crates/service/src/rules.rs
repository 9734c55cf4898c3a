//! Changes of rules: carried out at once where few are touched, answered at once where many are.
//!
//! A rule change that touches [`MAX_AT_ONCE`] memberships or fewer is carried out in its own transaction. Beyond that
//! the organization's rules number is raised and the change is answered: whoever meets access stored under an older
//! number resolves what it answers, and [`step`] stores access and ends tokens in chunks, resumable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use portcullis_domain::access::Access;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{MembershipChange, OrganizationChange};
use portcullis_domain::id::{DirectoryId, DirectoryUserId, EventId, MembershipId, OrganizationId};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::text::Slug;
use portcullis_domain::{Refusal, Timestamp};
use portcullis_store::db::Lock;
use portcullis_store::membership::Since;
use portcullis_store::row::bound;
use portcullis_store::{Tx, audit, directory_user, facts, membership, organization};
use serde_json::json;

use crate::access::settle;
use crate::caller::Caller;
use crate::left_out::LeftOut;
use crate::membership::{find as find_member, rank_of};
use crate::{Moment, ServiceError};

/// The most memberships that a rule change carries out in its own transaction, and the size of a job's chunk.
pub const MAX_AT_ONCE: usize = 500;
/// The most changes of rules that an event names as what something may follow from: more are not under way at once.
const MAX_NAMED: i64 = 100;
/// The most memberships that a directory's call carries out in its own transaction.
pub const MAX_PER_CALL: usize = 100;

/// How many touched memberships are listed for [`after_rule_change`]: one more than it carries out, so that it sees
/// that there are more.
#[must_use]
pub const fn listed() -> i64 {
    MAX_AT_ONCE as i64 + 1
}

/// Whether a change was carried out when it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// Every membership that it touches has its new access.
    Out,
    /// Stored access is stale and resolved where it is read; a job stores it.
    Pending,
}

/// Carries a rule change out for these memberships, or raises the rules number if they are more than
/// [`MAX_AT_ONCE`]. Callers list one more than that at most, and hold the organization alone since before they changed
/// the rule: who resolves access meanwhile would go by the old one and not be among these.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn after_rule_change(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    touched: &[MembershipId],
    cause: Cause,
) -> Result<Carried, ServiceError> {
    debug_assert!(tx.has(&Lock::Organization(organization)), "a rule changes under the organization's lock");
    if touched.len() > MAX_AT_ONCE {
        return raise(tx, moment, organization, cause);
    }
    for id in in_order(touched) {
        settle(tx, moment, id, cause)?;
    }
    Ok(Carried::Out)
}

/// People who stand above whoever changes a rule, what they had before it, and how high that stood: nothing that they live or
/// act by is taken from below them.
pub(crate) struct Higher(Vec<(MembershipId, Access, Rank)>);

impl Higher {
    /// Those of the touched who stand above the caller. Where they are more than are carried out at once, they are looked for
    /// among all whom these directories govern or tell of: nobody else's access hangs on their rules.
    ///
    /// # Errors
    /// [`Refusal::AboveOwnRank`] where more of those stand above than are looked at; [`ServiceError::Store`].
    pub(crate) fn of(
        tx: &mut Tx<'_>,
        caller: &Caller,
        (organization, directories): (OrganizationId, &[DirectoryId]),
        touched: &[MembershipId],
        now: Timestamp,
    ) -> Result<Self, ServiceError> {
        let mut above = Vec::new();
        if caller.rank() == Rank::ROOT {
            return Ok(Self(above));
        }
        let mut governed = Vec::new();
        let mut looked_at = touched;
        if touched.len() > MAX_AT_ONCE {
            for directory in directories {
                let of = (organization, *directory);
                governed.extend(membership::told_above(tx, of, caller.rank(), listed())?);
                if governed.len() > MAX_AT_ONCE {
                    return Err(Refusal::AboveOwnRank.into());
                }
            }
            looked_at = &governed;
        }
        for id in looked_at {
            let member = find_member(tx, organization, *id, now)?;
            let rank = rank_of(tx, organization, member.role())?;
            if rank > caller.rank() {
                above.push((*id, member.access, rank));
            }
        }
        Ok(Self(above))
    }

    /// Refuses what suspended or ended one of them, has whoever was suspended already end by and by, puts one out of an
    /// environment or leaves one a lower role. The transaction is undone by it.
    ///
    /// # Errors
    /// [`Refusal::AboveOwnRank`]; [`ServiceError::Store`].
    pub(crate) fn must_lose_nothing(
        &self,
        tx: &mut Tx<'_>,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        for (id, before, rank) in &self.0 {
            let after = find_member(tx, organization, *id, now)?.access;
            let has_ended = after.state == MembershipState::Deprovisioned;
            let is_less =
                after.state != before.state && (before.state == MembershipState::Active || has_ended);
            let is_out = !environments(before).is_subset(&environments(&after));
            let falls = rank_of(tx, organization, after.role.as_ref())? < *rank;
            if is_less || is_out || falls || (before.until.is_none() && after.until.is_some()) {
                return Err(Refusal::AboveOwnRank.into());
            }
        }
        Ok(())
    }
}

/// Where somebody may act, or might if they were not suspended: in `production`, where nothing gives an environment.
fn environments(access: &Access) -> BTreeSet<Slug> {
    let given: BTreeSet<Slug> = access.environments.iter().cloned().collect();
    if given.is_empty() { BTreeSet::from([Slug::production()]) } else { given }
}

/// Raises the rules number: for a change that touches more than is carried out at once, or more than is counted.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn raise(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    cause: Cause,
) -> Result<Carried, ServiceError> {
    debug_assert!(tx.has(&Lock::Organization(organization)), "a rule changes under the organization's lock");
    let event = EventDraft::new(Action::RulesChanged, organization);
    let plan = Plan::because(organization, cause).then(event, OrganizationChange::RaiseRules(organization));
    moment.apply(tx, &plan)?;
    Ok(Carried::Pending)
}

/// Carries out what a directory's call did to the facts of these people, or marks their stored access stale if they
/// are more than [`MAX_PER_CALL`].
///
/// # Errors
/// [`ServiceError::Store`].
pub fn after_facts(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    users: &[DirectoryUserId],
    cause: Cause,
) -> Result<Carried, ServiceError> {
    debug_assert!(tx.has(&Lock::Rules(organization)), "facts are written while the rules stand still");
    if users.len() > MAX_PER_CALL {
        let event =
            EventDraft::new(Action::RulesChanged, organization).with(json!({ "people": users.len() }));
        let plan =
            Plan::because(organization, cause).then(event, MembershipChange::MarkStale(users.to_vec()));
        moment.apply(tx, &plan)?;
        return Ok(Carried::Pending);
    }
    for id in directory_user::memberships(tx, users)? {
        settle(tx, moment, id, cause)?;
    }
    Ok(Carried::Out)
}

/// Whose turn it is in the job behind pending rules, which goes through all organizations.
pub(crate) struct Pending {
    /// The organization that was served last; the next one behind it has its turn.
    pub(crate) served: Mutex<Option<OrganizationId>>,
    pub(crate) left_out: LeftOut<OrganizationId>,
}

impl Default for Pending {
    fn default() -> Self {
        let left_out = LeftOut::none(
            "portcullis_rules_failures_total",
            "what follows from rules and from time cannot be carried out in an organization; the others go on",
        );
        Self { served: Mutex::default(), left_out }
    }
}

/// One step of the job behind pending rules: brings up to `limit` stale memberships of an organization in step.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn step(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    limit: usize,
) -> Result<usize, ServiceError> {
    tx.lock(Lock::Rules(organization))?;
    let stale = stale(tx, organization, limit)?;
    bring_in_step(tx, moment, organization, &stale)?;
    Ok(stale.len())
}

/// Memberships whose access is stored under older rules: up to `limit`, [`MAX_AT_ONCE`] at most.
pub(crate) fn stale(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    limit: usize,
) -> Result<Vec<MembershipId>, ServiceError> {
    let number = facts::rules_number(tx, organization)?;
    let limit = bound(limit.min(MAX_AT_ONCE));
    Ok(membership::stale(tx, organization, number, limit)?)
}

/// Brings these memberships in step with the rules.
pub(crate) fn bring_in_step(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    stale: &[MembershipId],
) -> Result<(), ServiceError> {
    tx.lock(Lock::Rules(organization))?;
    let mut causes: BTreeMap<Since, Cause> = BTreeMap::new();
    for id in in_order(stale) {
        membership::lock(tx, id)?;
        let Some(since) = membership::since(tx, organization, id)? else { continue };
        let cause = match causes.get(&since) {
            Some(known) => *known,
            None => cause_since(tx, moment, organization, &since)?,
        };
        causes.insert(since, cause);
        settle(tx, moment, id, cause)?;
    }
    Ok(())
}

/// The order in which several memberships are locked by everybody.
fn in_order(ids: &[MembershipId]) -> Vec<MembershipId> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids.dedup();
    ids
}

/// What bringing somebody in step follows from: the one change of rules, or the one call about many, since which they are
/// not. Where it is one of several, nobody can say which: an event names them all, and no request is claimed.
///
/// # Errors
/// [`ServiceError::Store`].
pub(crate) fn cause_since(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    since: &Since,
) -> Result<Cause, ServiceError> {
    let mut events: BTreeSet<EventId> = since.marked_by.iter().copied().collect();
    if let Some(number) = since.number {
        events.extend(organization::rules_changes(tx, organization, number, MAX_NAMED)?);
    }
    let by_rules = Cause::rule();
    let mut each = events.iter();
    match (each.next(), each.next()) {
        (None, _) => Ok(by_rules),
        (Some(only), None) => Ok(audit::following(tx, organization, *only)?),
        (Some(_), Some(_)) => {
            let event = EventDraft::new(Action::RulesChanged, organization).with(json!({ "events": events }));
            let plan = Plan::because(organization, by_rules).noting(event);
            Ok(moment.apply(tx, &plan)?.cause)
        }
    }
}

/// Ends what has settled: these memberships lost their last granting group longer ago than their directory waits.
pub(crate) fn settle_due(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    due: &[MembershipId],
) -> Result<(), ServiceError> {
    tx.lock(Lock::Rules(organization))?;
    for id in in_order(due) {
        settle(tx, moment, id, Cause::rule())?;
    }
    Ok(())
}
