//! Members: who is in an organization, what they have and why, and what administrators do to them.
//!
//! Reading a member whose stored access is older than the rules resolves it for the answer and stores nothing;
//! everything that writes settles it first, so that a decision is never made about access that is no more.

use portcullis_domain::access::resolve;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{MembershipChange, TokenChange, TokenSet, TombstoneChange, UserChange};
use portcullis_domain::id::{MembershipId, OrganizationId, ReceiptId, UserId};
use portcullis_domain::membership::{Membership, MembershipState, Newcomer};
use portcullis_domain::offboarding::Ownership;
use portcullis_domain::permission::Permission;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{Rank, may_give};
use portcullis_domain::text::{Slug, email_key};
use portcullis_domain::token::TokenEnd;
use portcullis_domain::tombstone::Identifier;
use portcullis_domain::{Refusal, Timestamp};
use portcullis_store::db::Lock;
use portcullis_store::membership::MembershipFilter;
use portcullis_store::{Tx, connection, facts, leaver, membership, role, user};
use serde_json::json;

use crate::access::{off_board_member, settle};
use crate::caller::Caller;
use crate::error::Taken;
use crate::noun::Noun;
use crate::organization::must_live;
use crate::{Moment, ServiceError, lead, rules};

/// The longest reason that a person may give, in bytes: a sentence or two for the audit log.
pub const MAX_REASON: usize = 1000;

/// What an administrator does to a member's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspension {
    /// Everything of them is refused, nothing ends.
    Suspend,
    /// The suspension ends; what facts and rules give counts again.
    Lift,
}

/// A page of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPage {
    /// The members, with access as it is now.
    pub items: Vec<Membership>,
    /// The last member that was looked at, if there are more.
    pub next: Option<MembershipId>,
    /// Whether a change of rules is still being stored, so that a filter may lag.
    pub rules_pending: bool,
}

const NOUN: Noun = Noun::Member;

/// A member, with access as it is now. Nothing is stored.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: MembershipId,
    now: Timestamp,
) -> Result<Membership, ServiceError> {
    known(tx, organization, id, now)?.ok_or(ServiceError::NotFound(NOUN))
}

/// The same, if there is one.
///
/// # Errors
/// [`ServiceError::Store`].
pub(crate) fn known(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: MembershipId,
    now: Timestamp,
) -> Result<Option<Membership>, ServiceError> {
    let number = facts::rules_number(tx, organization)?;
    let found = membership::find(tx, organization, id)?;
    found.map(|found| refreshed(tx, found, number, now)).transpose()
}

/// A member whom the caller may see, with access as it is now: with that permission anybody, as a lead the people of
/// their teams. Nothing is stored.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`].
pub fn show(
    tx: &mut Tx<'_>,
    caller: &Caller,
    (organization, id): (OrganizationId, MembershipId),
    permission: Permission,
    now: Timestamp,
) -> Result<Membership, ServiceError> {
    let found = known(tx, organization, id, now)?;
    lead::may_see(caller, organization, permission, found)
}

/// A page of the members whom the caller may see, in order of id, with access as it is now.
///
/// # Errors
/// [`ServiceError::Forbidden`] for callers who may see none.
pub fn list(
    tx: &mut Tx<'_>,
    caller: &Caller,
    organization: OrganizationId,
    filter: &MembershipFilter,
    (after, limit): (&str, i64),
    now: Timestamp,
) -> Result<MemberPage, ServiceError> {
    let number = facts::rules_number(tx, organization)?;
    let wanted = limit.saturating_add(1);
    let everybody = caller.may(Permission::MembersRead, organization);
    let (mut stored, of_lead) = match (everybody, lead::as_lead(caller, organization)) {
        (Ok(()), _) => (membership::list_page(tx, organization, filter, after, wanted)?, false),
        (Err(_), Some(lead)) => {
            let of_whom = (organization, lead.membership);
            (membership::list_of_lead(tx, of_whom, filter, after, wanted)?, true)
        }
        (Err(refused), None) => return Err(refused),
    };
    let most = usize::try_from(limit).unwrap_or(0);
    let more = stored.len() > most;
    stored.truncate(most);
    let next = stored.last().filter(|_| more).map(|m| m.id);
    let mut items = Vec::with_capacity(stored.len());
    for found in stored {
        let member = refreshed(tx, found, number, now)?;
        let state = filter.state.is_none_or(|state| state == member.access.state);
        let role = filter.role.is_none() || filter.role == member.access.role;
        if state && role && (!of_lead || lead::leads(caller, &member)) {
            items.push(member);
        }
    }
    let filtered = of_lead || filter.state.is_some() || filter.role.is_some();
    let rules_pending = filtered && !membership::stale(tx, organization, number, 1)?.is_empty();
    Ok(MemberPage { items, next, rules_pending })
}

fn is_stale(member: &Membership, rules_number: i64, now: Timestamp) -> bool {
    member.rules_number < rules_number || member.access.until.is_some_and(|until| until <= now)
}

fn refreshed(
    tx: &mut Tx<'_>,
    mut member: Membership,
    rules_number: i64,
    now: Timestamp,
) -> Result<Membership, ServiceError> {
    if is_stale(&member, rules_number, now) {
        let facts = facts::of(tx, &member)?;
        let resolved = resolve(&facts, now);
        member.access = resolved.access;
        member.governed_by = resolved.governed_by;
    }
    Ok(member)
}

/// A member whose stored access is in step with facts and rules: brought there first if it is not. The rules stay as
/// they are until the end of the transaction.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn settled(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    id: MembershipId,
) -> Result<Membership, ServiceError> {
    tx.lock(Lock::Rules(organization))?;
    let number = facts::rules_number(tx, organization)?;
    let found = membership::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))?;
    if !is_stale(&found, number, moment.now) {
        return Ok(found);
    }
    membership::lock(tx, id)?;
    let since = membership::since(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))?;
    let cause = rules::cause_since(tx, moment, organization, &since)?;
    settle(tx, moment, id, cause)?;
    membership::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))
}

/// The same, held until the end of the transaction: who ends them waits, and meets what was done meanwhile.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn held(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    id: MembershipId,
) -> Result<Membership, ServiceError> {
    settled(tx, moment, organization, id)?;
    membership::find_locked(tx, id)?.ok_or(ServiceError::NotFound(NOUN))
}

/// A member who may act now, in step with facts and rules.
///
/// # Errors
/// [`ServiceError::NotFound`], or [`Refusal::MemberInactive`].
pub fn active(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    id: MembershipId,
) -> Result<Membership, ServiceError> {
    let member = settled(tx, moment, organization, id)?;
    must_be_active(&member)?;
    Ok(member)
}

/// Refuses what only somebody who may act can have.
///
/// # Errors
/// [`Refusal::MemberInactive`].
pub fn must_be_active(member: &Membership) -> Result<(), ServiceError> {
    match member.access.state {
        MembershipState::Active => Ok(()),
        MembershipState::Invited | MembershipState::Suspended | MembershipState::Deprovisioned => {
            Err(Refusal::MemberInactive.into())
        }
    }
}

/// How high a role stands; below every role if there is none.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn rank_of(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    slug: Option<&Slug>,
) -> Result<Rank, ServiceError> {
    let found = match slug {
        Some(slug) => role::find_by_slug(tx, organization, slug)?,
        None => None,
    };
    Ok(found.map_or(Rank::NONE, |r| r.rank))
}

/// Refuses to touch a member of higher rank than the caller's own.
///
/// # Errors
/// [`Refusal::AboveOwnRank`].
pub fn must_not_outrank(tx: &mut Tx<'_>, caller: &Caller, member: &Membership) -> Result<(), ServiceError> {
    let rank = rank_of(tx, member.organization, member.role())?;
    Ok(may_give(caller.rank(), rank)?)
}

/// A member that the caller may change: held, in step with facts and rules, of no higher rank, and, if it is an owner,
/// with the owners locked.
pub(crate) fn changeable(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    id: MembershipId,
) -> Result<Membership, ServiceError> {
    let member = match held(tx, moment, organization, id) {
        Err(ServiceError::NotFound(NOUN)) => {
            // To a lead somebody who was never there is as somebody outside their teams.
            caller.may(Permission::MembersWrite, organization)?;
            return Err(ServiceError::NotFound(NOUN));
        }
        found => found?,
    };
    if leaver::owns(tx, &member)? {
        tx.lock(Lock::Owners(organization))?;
    }
    lead::may_manage(tx, caller, &member, Permission::MembersWrite)?;
    Ok(member)
}

/// Refuses whoever could be allowed nothing, before anybody is looked for: they hear the same of every member.
fn could_manage(caller: &Caller, organization: OrganizationId) -> Result<(), ServiceError> {
    let allowed = caller.may(Permission::MembersWrite, organization);
    if lead::as_lead(caller, organization).is_some() { Ok(()) } else { allowed }
}

fn must_not_be_last_owner(tx: &mut Tx<'_>, member: &Membership) -> Result<(), ServiceError> {
    match leaver::ownership(tx, member)? {
        Ownership::Last => Err(Refusal::LastOwner.into()),
        Ownership::NotOwner | Ownership::Shared => Ok(()),
    }
}

/// May the caller lift that suspension? A lead does not lift what somebody above them ordered: whoever is kept out for
/// the organization's sake does not come back by their team.
fn may_lift(tx: &mut Tx<'_>, caller: &Caller, member: &Membership) -> Result<(), ServiceError> {
    if caller.may(Permission::MembersWrite, member.organization).is_ok() {
        return Ok(());
    }
    let ordered = membership::suspended_rank(tx, member.organization, member.id)?;
    let by_whom_they_reach = ordered.is_some_and(|rank| rank <= caller.rank());
    if by_whom_they_reach { Ok(()) } else { Err(Refusal::AboveOwnRank.into()) }
}

/// Whether to suspend somebody anew who is suspended: somebody higher makes the order their own.
fn is_higher_order(tx: &mut Tx<'_>, caller: &Caller, member: &Membership) -> Result<bool, ServiceError> {
    let ordered = membership::suspended_rank(tx, member.organization, member.id)?;
    Ok(ordered.is_some_and(|rank| rank < caller.rank()))
}

/// Suspends a member, or lifts that. To ask for what is so already changes nothing, unless somebody of higher rank
/// makes a suspension their own.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`]; [`Refusal::AboveOwnRank`], for a lead also where somebody
/// higher ordered what is to be lifted; [`Refusal::LastOwner`] for the last owner; [`Refusal::MemberInactive`] for
/// somebody who has not joined yet or was off-boarded.
pub fn set_suspension(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, MembershipId),
    wish: Suspension,
    cause: Cause,
) -> Result<Membership, ServiceError> {
    could_manage(caller, organization)?;
    let member = changeable(tx, moment, caller, organization, id)?;
    if matches!(member.access.state, MembershipState::Invited | MembershipState::Deprovisioned) {
        return Err(Refusal::MemberInactive.into());
    }
    let (action, ordered) = match (wish, member.suspended_at) {
        (Suspension::Suspend, Some(at)) if is_higher_order(tx, caller, &member)? => {
            (Action::MemberSuspended, Some((at, caller.rank())))
        }
        (Suspension::Suspend, Some(_)) | (Suspension::Lift, None) => return Ok(member),
        (Suspension::Suspend, None) => {
            must_not_be_last_owner(tx, &member)?;
            (Action::MemberSuspended, Some((moment.now, caller.rank())))
        }
        (Suspension::Lift, Some(_)) => {
            may_lift(tx, caller, &member)?;
            (Action::MemberRestored, None)
        }
    };
    let event = EventDraft::new(action, id);
    let plan = Plan::because(organization, cause).then(event, MembershipChange::SetSuspended(id, ordered));
    let cause = moment.apply(tx, &plan)?.cause;
    settle(tx, moment, id, cause)?;
    membership::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))
}

/// Ends a membership for good, by hand; the receipt that accounts for it. Not for leads: a team's people are more than
/// the team's.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`]; [`ServiceError::Invalid`] for a reason that is empty or too long;
/// [`Refusal::AboveOwnRank`]; [`Refusal::LastOwner`]: a directory's statement is carried out, a person is told to
/// make somebody else owner first.
pub fn off_board(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, MembershipId),
    reason: &str,
    cause: Cause,
) -> Result<ReceiptId, ServiceError> {
    caller.may(Permission::MembersWrite, organization)?;
    let reason = reason_text(reason)?;
    let member = changeable(tx, moment, caller, organization, id)?;
    if member.ended.is_none() {
        must_not_be_last_owner(tx, &member)?;
    }
    off_board_member(tx, moment, organization, id, &reason, cause)
}

/// A reason as it is kept in the audit log.
///
/// # Errors
/// [`ServiceError::Invalid`] if it is empty, longer than [`MAX_REASON`] or has control characters.
pub fn reason_text(text: &str) -> Result<String, ServiceError> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_REASON || text.chars().any(char::is_control) {
        let message = format!("a reason has 1 to {MAX_REASON} bytes and no control characters");
        return Err(ServiceError::invalid("reason", message));
    }
    Ok(text.to_owned())
}

/// Says that a person whom a directory brought back is the user whom they were before: what lay on the former
/// membership's names and subjects is lifted, so that the person may sign in by them again. Grants, tokens, agents and
/// links of the former membership stay behind.
///
/// # Errors
/// [`ServiceError::NotFound`] for either membership; [`ServiceError::Forbidden`]; [`Refusal::AboveOwnRank`];
/// [`Refusal::MemberInactive`] for one that has ended, or waits by an invitation: whoever accepts that says by their password
/// who they are; [`ServiceError::Invalid`] if the former one has not ended;
/// [`ServiceError::Taken`] if one of the two is somebody already: the new one joined, signed in or has a user with more
/// than this membership, or the former user has a living membership here.
pub fn attach(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, MembershipId),
    former: MembershipId,
    cause: Cause,
) -> Result<Membership, ServiceError> {
    caller.may(Permission::MembersWrite, organization)?;
    tx.lock(Lock::Rules(organization))?;
    // The older one first: memberships are locked in the order of their ids.
    let past = membership::find_locked(tx, former)?.filter(|m| m.organization == organization);
    let past = past.ok_or(ServiceError::NotFound(NOUN))?;
    let member = changeable(tx, moment, caller, organization, id)?;
    must_not_outrank(tx, caller, &past)?;
    if member.ended.is_some() || member.access.state == MembershipState::Invited {
        return Err(Refusal::MemberInactive.into());
    }
    if past.ended.is_none() || past.id == member.id {
        return Err(ServiceError::invalid(
            "former",
            "it names a membership of this organization that has ended",
        ));
    }
    if member.user == past.user {
        return Ok(member);
    }
    let mut users = [member.user, past.user];
    users.sort_unstable();
    for one in users {
        user::find_locked(tx, one)?.ok_or(ServiceError::NotFound(Noun::User))?;
    }
    let known = member.joined_at.is_some()
        || membership::is_known_elsewhere(tx, member.user, id)?
        || !user::authenticators_of(tx, member.user)?.is_empty()
        || !connection::links_of(tx, id)?.is_empty();
    if known || membership::is_in(tx, organization, past.user)? {
        return Err(ServiceError::Taken(Taken::User));
    }
    let mut changes = vec![
        MembershipChange::SetUser(id, past.user).into(),
        UserChange::Revive(past.user).into(),
        TombstoneChange::HandDown { from: former, to: id }.into(),
        // INVARIANT I3: whoever saw a link of the new one would choose a password of the former user.
        TokenChange::End {
            set: TokenSet::InvitationsOf(id),
            because: TokenEnd::Replaced,
            at: moment.now,
            receipt: None,
        }
        .into(),
    ];
    // A password that lived on elsewhere comes along, and who may have chosen it is known of the former membership only.
    let mut believed_up_to = member.believed_up_to;
    if past.believed_up_to < believed_up_to && !user::authenticators_of(tx, past.user)?.is_empty() {
        changes.push(MembershipChange::Believe(id, past.believed_up_to).into());
        believed_up_to = past.believed_up_to;
    }
    let event = EventDraft::new(Action::MemberAttached, id).about(past.user).with(json!({
        "former": former, "user": { "from": member.user, "to": past.user }, "believed_up_to": believed_up_to,
    }));
    let ended = EventDraft::new(Action::UserEnded, member.user).about(id);
    let plan = Plan::because(organization, cause)
        .then_all(event, changes)
        .then(ended, UserChange::End(member.user, moment.now));
    moment.apply(tx, &plan)?;
    membership::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))
}

/// Puts a user whom another organization knows into this one, at once and without a role: the root token's say is
/// life of its own. Name and address are those of the user's newest membership that has not ended and that they joined; else of
/// the newest.
///
/// # Errors
/// [`ServiceError::NotFound`] for a user who is unknown or ended; [`ServiceError::Taken`] for one who is here already;
/// [`Refusal::MemberInactive`] for one who only waits by an invitation: whoever opens its link says first who they are.
pub fn add(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    user: UserId,
    cause: Cause,
) -> Result<Membership, ServiceError> {
    must_live(tx, organization)?;
    // Held: the end of their last membership elsewhere would end them meanwhile.
    let known = user::find_locked(tx, user)?.filter(|u| u.ended_at.is_none());
    let known = known.ok_or(ServiceError::NotFound(Noun::User))?;
    if membership::is_in(tx, organization, known.id)? {
        return Err(ServiceError::Taken(Taken::MemberUser));
    }
    // Where they joined nowhere, a directory of another organization said how they are called: the root token vouches for it.
    let named = membership::newest_of_user(tx, known.id)?.ok_or(ServiceError::NotFound(Noun::User))?;
    if !membership::has_come_in(tx, known.id)? {
        return Err(Refusal::MemberInactive.into());
    }
    let now = moment.now;
    let who = Newcomer {
        id: MembershipId::fresh(now, &mut moment.random),
        organization,
        user: known.id,
        email: named.email,
        name: named.name,
    };
    let member =
        Membership { joined_at: Some(now), ..Membership::new(who, MembershipState::Invited, 0, now) };
    let id = member.id;
    let named = email_key(&member.email).map(|key| vec![Identifier::email(&key)]).unwrap_or_default();
    let event = EventDraft::new(Action::MemberCreated, id).about(known.id).with(json!({ "joined": true }));
    // A former membership here left a tombstone; an administrator who names the person anew lifts it.
    let changes =
        vec![MembershipChange::Create(Box::new(member)).into(), TombstoneChange::LiftNamed(named).into()];
    let plan = Plan::because(organization, cause).then_all(event, changes);
    moment.apply(tx, &plan)?;
    settle(tx, moment, id, cause)?;
    membership::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))
}
