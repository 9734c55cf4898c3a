//! Reviews: what matching left open, and an administrator's word on it.

use portcullis_domain::Refusal;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{DirectoryUserChange, TombstoneChange};
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{MembershipId, OrganizationId, ReviewId};
use portcullis_domain::membership::Membership;
use portcullis_domain::permission::Permission;
use portcullis_domain::plan::Plan;
use portcullis_domain::review::{Review, ReviewState};
use portcullis_store::db::Lock;
use portcullis_store::review::{self, Wanted};
use portcullis_store::{Tx, connection, directory_user, leaver, membership, user};
use serde_json::json;

use crate::access::{off_board_member, settle};
use crate::caller::Caller;
use crate::error::Taken;
use crate::membership::changeable;
use crate::noun::Noun;
use crate::{Moment, ServiceError};

const NOUN: Noun = Noun::Review;

/// A review with the people whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The review.
    pub review: Review,
    /// The person as the directory tells of them; `None` if it does no longer.
    pub told: Option<DirectoryUser>,
    /// Whom they may be, as far as they are still members.
    pub candidates: Vec<Membership>,
}

/// A review of that organization.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: ReviewId) -> Result<Seen, ServiceError> {
    let found = review::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))?;
    seen(tx, found)
}

/// A page of reviews after the id `after`.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    wanted: Wanted,
    (after, limit): (&str, i64),
) -> Result<Vec<Seen>, ServiceError> {
    let found = review::list(tx, organization, wanted, after, limit)?;
    found.into_iter().map(|one| seen(tx, one)).collect()
}

fn seen(tx: &mut Tx<'_>, review: Review) -> Result<Seen, ServiceError> {
    let told = directory_user::find(tx, review.directory, review.directory_user)?;
    let mut candidates = Vec::new();
    for id in &review.candidates {
        candidates.extend(membership::find(tx, review.organization, *id)?.filter(|m| m.ended.is_none()));
    }
    Ok(Seen { review, told, candidates })
}

/// Says that the person is somebody else. What was attached stays attached.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Taken`] if it was attached.
pub fn dismiss(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    id: ReviewId,
    cause: Cause,
) -> Result<Seen, ServiceError> {
    tx.lock(Lock::Rules(organization))?;
    let (found, _) = held(tx, organization, id)?;
    match found.review.state {
        ReviewState::Attached(_) => return Err(ServiceError::Taken(Taken::Review)),
        ReviewState::Dismissed => return Ok(found),
        ReviewState::Open => {}
    }
    let event = EventDraft::new(Action::ReviewDismissed, id).about(found.review.directory_user);
    moment.apply(tx, &Plan::because(organization, cause).noting(event))?;
    review::close(tx, organization, id, ReviewState::Dismissed, moment.now)?;
    find(tx, organization, id)
}

/// A review about whose person nobody else decides meanwhile: with the directory's word of them, which is locked.
fn held(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: ReviewId,
) -> Result<(Seen, Option<DirectoryUser>), ServiceError> {
    let of = find(tx, organization, id)?.review;
    let told = directory_user::find_locked(tx, of.directory, of.directory_user)?;
    // Read once the person is held: somebody may have decided while they were waited for.
    Ok((find(tx, organization, id)?, told))
}

/// Says that the person is that member: what the directory says is about them from now on. The membership that was made
/// meanwhile ends with a receipt, and its names belong to the member.
///
/// # Errors
/// [`ServiceError::NotFound`] for review or member; [`ServiceError::Forbidden`]; [`Refusal::AboveOwnRank`] for either;
/// [`Refusal::MemberInactive`] for a member who ended; [`ServiceError::Taken`] if the directory tells of the member
/// already, if the person came in as the new member meanwhile, or if it was attached to somebody else.
pub fn attach(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    (id, member): (ReviewId, MembershipId),
    cause: Cause,
) -> Result<Seen, ServiceError> {
    // A lead may suspend people, and no more: who somebody is, is said by those who manage everybody.
    caller.may(Permission::MembersWrite, organization)?;
    tx.lock(Lock::Rules(organization))?;
    let (found, told) = held(tx, organization, id)?;
    match found.review.state {
        ReviewState::Attached(to) if to == member => return Ok(found),
        ReviewState::Attached(_) => return Err(ServiceError::Taken(Taken::Review)),
        ReviewState::Open | ReviewState::Dismissed => {}
    }
    let gone = || ServiceError::NotFound(NOUN);
    let told = told.ok_or_else(gone)?;
    // Memberships are locked in the order of their ids.
    let mut both = [told.membership, member];
    both.sort_unstable();
    for one in both {
        changeable(tx, moment, caller, organization, one)?;
    }
    let known = membership::find(tx, organization, member)?.ok_or(ServiceError::NotFound(Noun::Member))?;
    let made = membership::find(tx, organization, told.membership)?.ok_or_else(gone)?;
    if known.ended.is_some() {
        return Err(Refusal::MemberInactive.into());
    }
    let mut told_of = directory_user::of_membership(tx, member)?;
    told_of.retain(|u| u.directory == told.directory);
    // Who ended has nothing left to be folded away, whoever they were.
    let is_somebody = made.ended.is_none() && is_somebody(tx, &made)?;
    if !told_of.is_empty() || made.id == known.id || is_somebody {
        return Err(ServiceError::Taken(Taken::Member));
    }
    let event = EventDraft::new(Action::DirectoryUserAttached, told.id)
        .about(member)
        .with(json!({ "review": id, "instead_of": made.id }));
    let plan = Plan::because(organization, cause).then(event, DirectoryUserChange::Attach(told.id, member));
    let cause = moment.apply(tx, &plan)?.cause;
    if made.ended.is_none() {
        off_board_member(tx, moment, organization, made.id, "was another member already", cause)?;
    }
    // The end of the one laid tombstones on names that are the other's.
    let names = leaver::identifiers(tx, &known)?.into_iter().collect();
    let event = EventDraft::new(Action::ReviewAttached, id).about(member);
    let plan = Plan::because(organization, cause).then(event, TombstoneChange::LiftNamed(names));
    moment.apply(tx, &plan)?;
    settle(tx, moment, member, cause)?;
    review::close(tx, organization, id, ReviewState::Attached(member), moment.now)?;
    find(tx, organization, id)
}

/// Whether anybody came in as this membership: then it is not ours to fold away.
fn is_somebody(tx: &mut Tx<'_>, made: &Membership) -> Result<bool, ServiceError> {
    Ok(made.joined_at.is_some()
        || membership::is_known_elsewhere(tx, made.user, made.id)?
        || !user::authenticators_of(tx, made.user)?.is_empty()
        || !connection::links_of(tx, made.id)?.is_empty())
}
