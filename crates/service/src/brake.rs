//! The brake at work: what a directory ends, or takes without naming anybody, is counted against its limit.
//!
//! Below the limit everything is carried out. Above it whoever a directory names is suspended before the answer and only
//! the end is held; what nobody stated is held whole. Nothing here undoes anything: a hold is one more fact, and
//! [`crate::access`] decides by it as by any other. A directory may be told to refuse instead: then nothing that a call
//! says is taken. Where nobody waits for an answer any more, it is held all the same.

use std::collections::BTreeSet;

use portcullis_domain::access::{EndedBecause, Resolved};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::brake::{Above, Brake, NEVER_BELOW};
use portcullis_domain::cause::{Actor, Cause};
use portcullis_domain::change::{Change, HoldChange, MembershipChange};
use portcullis_domain::directory::Directory;
use portcullis_domain::hold::{HeldEnding, Hold, HoldKind};
use portcullis_domain::id::{
    DirectoryGroupId, DirectoryId, DirectoryUserId, HoldId, MappingId, MembershipId,
};
use portcullis_domain::membership::Membership;
use portcullis_domain::plan::Plan;
use portcullis_store::db::Lock;
use portcullis_store::row::bound;
use portcullis_store::{Tx, brake, directory, directory_user, hold, membership};
use serde_json::json;

use crate::error::DirectoryRefusal;
use crate::pages::whole;
use crate::provisioning::Speaker;
use crate::{Moment, ServiceError};

/// How many people whom polls missed are read at a time.
const PAGE: i64 = 1_000;

/// Whether a directory is why somebody's access is to be changed now: what somebody orders in a call of their own is not
/// its doing. A job stands in for whoever made it necessary: an administrator who changed a rule, or a directory that said
/// more than one call carries out.
pub(crate) const fn is_by_directory(membership: &Membership, rules_number: i64, cause: &Cause) -> bool {
    // INVARIANT: facts about many mark access with the number 0; a changed rule raises the organization's number.
    let is_marked = membership.rules_number == 0;
    match cause.actor {
        Actor::Directory(_) => true,
        Actor::System => is_marked || membership.rules_number >= rules_number,
        // What is released names the directory whose it was.
        Actor::Root | Actor::Membership(_) | Actor::ServiceKey(_) => is_marked && cause.directory.is_none(),
    }
}

/// Whether that end is a directory's doing. Where it settled first, it is of whoever began it.
///
/// # Errors
/// [`ServiceError::Store`].
pub(crate) fn is_directorys(
    tx: &mut Tx<'_>,
    membership: &Membership,
    (because, rules_number): (EndedBecause, i64),
    cause: &Cause,
) -> Result<bool, ServiceError> {
    let begun = membership.unmapped_at.filter(|_| because == EndedBecause::Unmapped);
    match (begun, cause.actor) {
        (Some(since), Actor::Directory(_) | Actor::System) => Ok(!hold::is_spared(tx, membership.id, since)?),
        _ => Ok(is_by_directory(membership, rules_number, cause)),
    }
}

/// Whether these people may be taken from below the limit. If so they are counted.
fn may_take(
    tx: &mut Tx<'_>,
    moment: &Moment,
    (of, brake): (&Directory, Brake),
    people: &[MembershipId],
) -> Result<bool, ServiceError> {
    tx.lock(Lock::Brake(of.id))?;
    let now = moment.now;
    let fresh = brake::uncounted(tx, of.id, people, now)?;
    if fresh.is_empty() {
        return Ok(true);
    }
    let taken = brake::taken(tx, of.id, now)?;
    if !taken.hour_has_begun {
        brake::begin_hour(tx, of.id, now)?;
    }
    let people = taken.people.saturating_add(bound(fresh.len()));
    if people > NEVER_BELOW {
        let mut governed = taken.governed;
        if !taken.governed_is_known {
            // Once an hour at most, so that no ending counts the organization. Those who are gone belonged to it.
            let present = directory::count_governed(tx, of.organization, of.id)?;
            governed = governed.max(present.saturating_add(brake::count_gone(tx, of.id, now)?));
            brake::know_governed(tx, of.id, governed, now)?;
        }
        if people > brake.limit(governed) {
            return Ok(false);
        }
    }
    brake::count(tx, of.id, &fresh, now)?;
    Ok(true)
}

/// Holds the end of a membership, if its directory's limit is reached: its access is `held`, what follows while it is held.
/// Says whether it did.
///
/// # Errors
/// [`ServiceError::Store`].
pub(crate) fn hold_end(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    membership: &Membership,
    because: EndedBecause,
    (held, rules_number): (Resolved, i64),
    cause: Cause,
) -> Result<bool, ServiceError> {
    let lived = membership.governed_by.is_some() || membership.joined_at.is_some();
    let Some(id) = held.governed_by.or(cause.directory).filter(|_| lived) else {
        return Ok(false);
    };
    let Some(of) = directory::find(tx, membership.organization, id)? else { return Ok(false) };
    let Some(brake) = of.brake else { return Ok(false) };
    if may_take(tx, moment, (&of, brake), &[membership.id])? {
        return Ok(false);
    }
    must_not_be_told(of.id, brake, &cause)?;
    let plan = Plan::because(membership.organization, cause);
    let (plan, into) = match hold::open_of(tx, of.id, HoldKind::Endings)? {
        Some(open) => (plan, open),
        None => open(plan, moment, &of, HoldKind::Endings, None, cause),
    };
    let event = EventDraft::new(Action::MemberHeld, membership.id)
        .about(into)
        .with(json!({ "because": because.as_str() }));
    let ending = HeldEnding { membership: membership.id, hold: into, because, cause, at: moment.now };
    let changes: Vec<Change> = vec![
        HoldChange::End(Box::new(ending)).into(),
        MembershipChange::SetAccess {
            id: membership.id,
            access: Box::new(held.access),
            governed_by: held.governed_by,
            unmapped_at: held.unmapped_at,
            ended: None,
            bare_owner_at: membership.bare_owner_at,
            rules_number,
        }
        .into(),
    ];
    moment.apply(tx, &plan.then_all(event, changes))?;
    Ok(true)
}

/// Refuses what is above the limit where the directory that says it is to be told so.
fn must_not_be_told(of: DirectoryId, brake: Brake, cause: &Cause) -> Result<(), ServiceError> {
    if brake.above == Above::Refuse && cause.actor == Actor::Directory(of) {
        return Err(DirectoryRefusal::AboveBrake.into());
    }
    Ok(())
}

/// Somebody lost what let them be here, and is to be suspended now: refused above the limit, if the directory is to be
/// told so. Otherwise it is their end that counts.
///
/// # Errors
/// [`DirectoryRefusal::AboveBrake`].
pub(crate) fn refuse_suspension(
    tx: &mut Tx<'_>,
    moment: &Moment,
    membership: &Membership,
    cause: &Cause,
) -> Result<(), ServiceError> {
    let Actor::Directory(id) = cause.actor else { return Ok(()) };
    if membership.governed_by != Some(id) {
        return Ok(());
    }
    let Some(of) = directory::find(tx, membership.organization, id)? else { return Ok(()) };
    match of.brake.filter(|brake| brake.above == Above::Refuse) {
        Some(brake) if !may_take(tx, moment, (&of, brake), &[membership.id])? => {
            must_not_be_told(of.id, brake, cause)
        }
        _ => Ok(()),
    }
}

/// More people are named in one call than it carries out itself: refused above the limit, if the directory is to be
/// told so, while somebody waits for the answer. Whoever a mapped group lets go counts, as if a list had left them out.
///
/// # Errors
/// [`DirectoryRefusal::AboveBrake`].
pub(crate) fn refuse_many(
    tx: &mut Tx<'_>,
    moment: &Moment,
    speaker: Speaker,
    users: &[DirectoryUserId],
) -> Result<(), ServiceError> {
    let Some((of, brake)) = braked(tx, speaker)?.filter(|(_, brake)| brake.above == Above::Refuse) else {
        return Ok(());
    };
    let people = directory_user::memberships(tx, users)?;
    let people = membership::lock_living(tx, speaker.organization, &people)?;
    if may_take(tx, moment, (&of, brake), &people)? {
        return Ok(());
    }
    must_not_be_told(of.id, brake, &speaker.cause())
}

/// A new hold, said aloud: an administrator has something to decide.
fn open(
    plan: Plan,
    moment: &mut Moment,
    of: &Directory,
    kind: HoldKind,
    group: Option<(DirectoryGroupId, String)>,
    cause: Cause,
) -> (Plan, HoldId) {
    let made = Hold {
        id: HoldId::fresh(moment.now, &mut moment.random),
        organization: of.organization,
        directory: of.id,
        kind,
        group,
        cause,
        opened_at: moment.now,
    };
    tracing::warn!(
        organization.id = %of.organization, directory.id = %of.id, hold.id = %made.id, hold.kind = kind.as_str(),
        "a directory went over its brake's limit: what it would have ended is held until an administrator decides"
    );
    let id = made.id;
    let event = EventDraft::new(Action::HoldOpened, id)
        .about(of.id)
        .with(json!({ "kind": kind.as_str(), "group": made.group.as_ref().map(|(id, _)| id) }));
    (plan.then(event, HoldChange::Open(Box::new(made))), id)
}

/// A group, and people who are in it themselves.
pub(crate) type Members = (DirectoryGroupId, Vec<DirectoryUserId>);

/// What groups lose without anybody being named.
pub(crate) struct Loss<'l> {
    /// The group that loses its members, and what it is called.
    pub(crate) group: (DirectoryGroupId, &'l str),
    /// Who is in it no longer, by the group that they are in themselves: that one, or one below it.
    pub(crate) members: &'l [Members],
    /// What that gave them.
    pub(crate) mappings: &'l [MappingId],
}

/// Lets these people keep what these mappings give them, if the directory's limit is reached. To be called before
/// their access is settled.
///
/// # Errors
/// [`ServiceError::Store`].
pub(crate) fn hold_loss(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    loss: &Loss<'_>,
) -> Result<(), ServiceError> {
    let users: BTreeSet<DirectoryUserId> =
        loss.members.iter().flat_map(|(_, users)| users).copied().collect();
    if users.is_empty() || loss.mappings.is_empty() {
        return Ok(());
    }
    let users: Vec<DirectoryUserId> = users.into_iter().collect();
    let Some((of, brake)) = braked(tx, speaker)? else { return Ok(()) };
    // Locked before the count, as by whoever ends one of them. Who has ended already has nothing that could be taken.
    let people = directory_user::memberships(tx, &users)?;
    let people = membership::lock_living(tx, speaker.organization, &people)?;
    if may_take(tx, moment, (&of, brake), &people)? {
        return Ok(());
    }
    let (id, name) = loss.group;
    let cause = speaker.cause();
    must_not_be_told(of.id, brake, &cause)?;
    let plan = Plan::because(speaker.organization, cause);
    // A poll that died after its decision finds the same loss again; one decision is enough. A loss of anybody else has one
    // of its own: it came by another request, and nobody looked at it yet.
    let (plan, into) = match hold::open_with(tx, (of.organization, of.id, id), &people)? {
        Some(open) => (plan, open),
        None => open(plan, moment, &of, HoldKind::Losses, Some((id, name.to_owned())), cause),
    };
    let event = EventDraft::new(Action::HoldExtended, into).about(id).with(json!({ "people": people.len() }));
    let keep = |(through, users): &Members| {
        let (mappings, at) = (loss.mappings.to_vec(), moment.now);
        HoldChange::Keep { hold: into, group: id, through: *through, users: users.clone(), mappings, at }
            .into()
    };
    let keep = loss.members.iter().filter(|(_, users)| !users.is_empty()).map(keep).collect();
    moment.apply(tx, &plan.then_all(event, keep))?;
    Ok(())
}

/// Whether the directory has a brake: without one nobody need know from whom it takes.
///
/// # Errors
/// [`ServiceError::Store`].
pub(crate) fn is_on(tx: &mut Tx<'_>, speaker: Speaker) -> Result<bool, ServiceError> {
    Ok(braked(tx, speaker)?.is_some())
}

fn braked(tx: &mut Tx<'_>, speaker: Speaker) -> Result<Option<(Directory, Brake)>, ServiceError> {
    let of = directory::find(tx, speaker.organization, speaker.directory)?;
    Ok(of.and_then(|of| of.brake.map(|brake| (of, brake))))
}

/// Who of these people, missing from a whole poll and confirmed to be gone, is to be removed. The others are held, and stay
/// held until they are there again or an administrator decides.
///
/// # Errors
/// [`ServiceError::Store`].
pub(crate) fn part_missing(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    gone: &[DirectoryUserId],
) -> Result<Vec<DirectoryUserId>, ServiceError> {
    tx.lock(Lock::Rules(speaker.organization))?;
    let held = all_missing(tx, speaker.directory)?;
    let gone: BTreeSet<DirectoryUserId> = gone.iter().copied().collect();
    let found: Vec<DirectoryUserId> = held.difference(&gone).copied().collect();
    let fresh: Vec<DirectoryUserId> = gone.difference(&held).copied().collect();
    let cause = speaker.cause();
    let mut plan = Plan::because(speaker.organization, cause);
    if !found.is_empty() {
        let event =
            EventDraft::new(Action::MemberUnheld, speaker.directory).with(json!({ "found": found.len() }));
        plan = plan.then(event, HoldChange::Found(found));
    }
    let mut removed = fresh.clone();
    if !fresh.is_empty()
        && let Some((of, brake)) = braked(tx, speaker)?
    {
        let people = directory_user::memberships(tx, &fresh)?;
        let people = membership::lock_living(tx, speaker.organization, &people)?;
        if !may_take(tx, moment, (&of, brake), &people)? {
            let (opened, into) = open(plan, moment, &of, HoldKind::Missing, None, cause);
            let event = EventDraft::new(Action::HoldExtended, into).with(json!({ "people": people.len() }));
            plan = opened.then(event, HoldChange::Miss(into, fresh, moment.now));
            removed = Vec::new();
        }
    }
    moment.apply(tx, &plan)?;
    Ok(removed)
}

/// No more than the people whom the polls of the directory told of.
fn all_missing(tx: &mut Tx<'_>, id: DirectoryId) -> Result<BTreeSet<DirectoryUserId>, ServiceError> {
    let all = whole(PAGE, |after, page| hold::missing(tx, id, after, page), |(user, _)| user.to_string())?;
    Ok(all.into_iter().map(|(user, _)| user).collect())
}
