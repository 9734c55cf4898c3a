//! What a directory says of people and groups, kept as it was said, and carried out before its answer.
//!
//! Whatever the protocol (SCIM, Google Directory), it ends here: facts are written, then [`crate::access`] decides for each
//! membership that they touch. Saying the same again writes nothing.

mod group;
mod nesting;
mod profile;
mod recognition;
mod said;

use std::collections::BTreeSet;

use portcullis_domain::access::{
    DirectoryFacts, Held, PersonFacts, RankedRole, Resolved, Statement, resolve,
};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{Change, DirectoryUserChange, MembershipChange, TombstoneChange, UserChange};
use portcullis_domain::directory::Directory;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{
    DirectoryId, DirectoryUserId, MembershipId, OrganizationId, RequestId, ReviewId, UserId,
};
use portcullis_domain::mapping::Facet;
use portcullis_domain::membership::{Membership, Newcomer};
use portcullis_domain::plan::Plan;
use portcullis_domain::review::Review;
use portcullis_domain::role::Rank;
use portcullis_domain::text::name_key;
use portcullis_domain::user::User;
use portcullis_store::db::Lock;
use portcullis_store::facts::MapFacets;
use portcullis_store::{Tx, directory, directory_user, facts, mapping, membership, review, role};
use serde_json::{Value, json};

use self::recognition::{Recognized, recognize};
use crate::access::{settle, settle_as};
use crate::newcomer::hold_names;
use crate::noun::Noun;
use crate::role::highest_given;
use crate::{Moment, ServiceError};

pub use group::{
    GroupSaid, GroupsSaid, MAX_MEMBERS_PER_CALL, MembersSaid, change_group, create_group, delete_group,
    lock_rules,
};
pub(crate) use group::{lose_members, rename_together};
pub use nesting::{MAX_PLACES_BELOW, MAX_READ_AT_ONCE, MAX_SUBGROUPS};
pub use said::{MAX_ATTRIBUTES_BYTES, PersonSaid, Speaker};

/// The most addresses of a person that one event tells of, each way: a line of an export is bounded.
const MAX_EMAILS_TOLD: usize = 100;

/// Tells of a new person. Somebody whom the organization knows by a proven address is recognized; everybody else
/// gets a membership of their own, whoever had the same names before.
///
/// # Errors
/// [`ServiceError::Taken`] if the directory has that `userName` already.
pub fn create_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    said: &PersonSaid,
) -> Result<DirectoryUser, ServiceError> {
    said.check()?;
    tx.lock(Lock::Rules(speaker.organization))?;
    let directory = directory::find(tx, speaker.organization, speaker.directory)?
        .ok_or(ServiceError::NotFound(Noun::Directory))?;
    hold_names(tx, speaker.organization, said.names())?;
    let now = moment.now;
    let (known, unsure) = match recognize(tx, moment, &directory, said)? {
        Recognized::Known(known) => (Some(*known), None),
        Recognized::Nobody(unsure) => (None, unsure),
    };
    let rules = facts::rules_at(tx, speaker.organization, speaker.directory)?;
    let membership = match &known {
        Some(known) => known.id,
        None => MembershipId::fresh(now, &mut moment.random),
    };
    let user = DirectoryUser {
        id: DirectoryUserId::fresh(now, &mut moment.random),
        organization: speaker.organization,
        directory: speaker.directory,
        membership,
        external_id: said.external_id.clone(),
        user_name: said.user_name.clone(),
        display_name: said.display_name.clone(),
        email_keys: said.email_keys(),
        inactive_at: (said.active == Some(false)).then_some(now),
        unconfirmed_at: None,
        attributes: said.attributes.clone(),
        believed_up_to: spoken_from(tx, moment, speaker)?,
        created_at: now,
        updated_at: now,
    };
    let event = EventDraft::new(Action::DirectoryUserCreated, user.id)
        .about(membership)
        .with(json!({ "active": user.inactive_at.is_none(), "recognized": known.is_some() }));
    let mut changes = vec![DirectoryUserChange::Create(Box::new(user.clone())).into()];
    changes.extend(facets_said(&user, &BTreeSet::new(), &said.facets, speaker.request));
    if user.inactive_at.is_none() {
        // The directory names them anew; what the former person had stays behind (tombstones of subjects too).
        changes.push(named_anew(&user));
    }
    let mut plan = Plan::because(speaker.organization, speaker.cause()).then_all(event, changes);
    if known.is_none() {
        plan = new_member(tx, moment, plan, &directory, said, (&user, rules.number))?;
    }
    let cause = moment.apply(tx, &plan)?.cause;
    if let Some((reason, candidates)) = unsure {
        let id = ReviewId::fresh(now, &mut moment.random);
        review::open(tx, &Review::new(id, &user, (reason, candidates), now))?;
    }
    let mapped = match rules.map_facets {
        MapFacets::Some => mapping::is_facet_mapped(tx, speaker.directory, &said.facets)?,
        MapFacets::None => false,
    };
    if known.is_some() || user.inactive_at.is_some() || mapped {
        settle(tx, moment, membership, cause)?;
    }
    if known.is_some() {
        profile::follow(tx, moment, speaker, (&user, said), cause)?;
    }
    Ok(user)
}

/// What a directory identifies somebody by is theirs again, as far as it has a say in it.
pub(crate) fn named_anew(user: &DirectoryUser) -> Change {
    let (named, beside) = (user.names(), user.other_addresses());
    TombstoneChange::LiftSaid { directory: user.directory, named, beside }.into()
}

/// What becomes of tombstones when a directory names somebody anew. As with a new person, what they are called is theirs, if
/// they are here; whoever lives again by this call has it by their revival.
///
/// INVARIANT I4: whoever ended and does not live again is called by nothing that anybody may come in by, now or once the
/// directory has deleted them: their tombstones stay, and what they are called meanwhile gets one.
fn names_said(
    tx: &mut Tx<'_>,
    moment: &Moment,
    (old, new): (&DirectoryUser, &DirectoryUser),
) -> Result<Option<Change>, ServiceError> {
    let (is_renamed, is_active) = (is_renamed(old, new), new.inactive_at.is_none());
    let is_back = is_active && old.inactive_at.is_some();
    if !is_renamed && !is_back {
        return Ok(None);
    }
    // Held from here on: whoever ends them meanwhile would lay what this lifts.
    let member = membership::find_locked(tx, new.membership)?;
    let Some(former) = member.filter(|m| m.ended.is_some()) else {
        return Ok(is_active.then(|| named_anew(new)));
    };
    let identifiers = new.identifiers().difference(&old.identifiers()).cloned().collect();
    let lay = TombstoneChange::Lay { membership: former.id, identifiers, at: moment.now };
    Ok(is_renamed.then(|| lay.into()))
}

/// What to write so that somebody has these facets: what differs, no more.
fn facets_said(
    user: &DirectoryUser,
    before: &BTreeSet<Facet>,
    now: &BTreeSet<Facet>,
    request: RequestId,
) -> Vec<Change> {
    let only_in = |one: &BTreeSet<Facet>, other: &BTreeSet<Facet>| -> BTreeSet<Facet> {
        one.difference(other).cloned().collect()
    };
    let (new, gone) = (only_in(now, before), only_in(before, now));
    let mut changes = Vec::new();
    if !new.is_empty() {
        changes.push(DirectoryUserChange::AddFacets(user.id, user.directory, new, Some(request)).into());
    }
    if !gone.is_empty() {
        changes.push(DirectoryUserChange::RemoveFacets(user.id, gone).into());
    }
    changes
}

/// A new person's membership, with what follows from being known to the directory and in no group yet.
fn new_member(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    plan: Plan,
    directory: &Directory,
    said: &PersonSaid,
    (user, rules_number): (&DirectoryUser, i64),
) -> Result<Plan, ServiceError> {
    let now = moment.now;
    let default_role = match &directory.default_role {
        Some(slug) => role::find_by_slug(tx, directory.organization, slug)?.map(RankedRole::from),
        None => None,
    };
    let active = user.inactive_at.is_none();
    let facts = PersonFacts {
        joined_at: None,
        governed_by: None,
        suspended_at: None,
        unmapped_at: None,
        ended: None,
        directories: vec![DirectoryFacts {
            directory: directory.id,
            kind: directory.kind,
            // An inactive newcomer is stored as unknown to life; settling then ends it with a receipt of its own.
            statement: Statement::Active,
            default_role: default_role.filter(|_| active),
            settle_s: directory.settle_s,
        }],
        matched: vec![],
        grants: vec![],
        held: Held::No,
    };
    let member = User::new(UserId::fresh(now, &mut moment.random), now);
    let who = Newcomer {
        id: user.membership,
        organization: directory.organization,
        user: member.id,
        email: profile::free_address(tx, (directory.id, user), said)?,
        name: said.name(),
    };
    let Resolved { access, governed_by, .. } = resolve(&facts, now);
    let state = access.state;
    let membership = Membership { governed_by, access, ..Membership::new(who, state, rules_number, now) };
    let event = EventDraft::new(Action::MemberCreated, membership.id)
        .about(user.id)
        .with(json!({ "state": membership.access.state.as_str(), "role": membership.access.role }));
    Ok(plan.then_all(
        event,
        vec![UserChange::Create(member).into(), MembershipChange::Create(Box::new(membership)).into()],
    ))
}

/// How much of a person a directory says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Part,
}

/// Says a person anew, whole: what they are called is this speaker's word from now on.
///
/// # Errors
/// [`ServiceError::NotFound`] for a person whom the directory did not tell of.
pub fn replace_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
    said: &PersonSaid,
) -> Result<DirectoryUser, ServiceError> {
    say(tx, moment, speaker, (id, Extent::Whole), |_| Ok(said.clone()))
}

/// The same, for whoever wants to see what was said before.
///
/// # Errors
/// As [`replace_user`]; what `whole` refuses.
pub(crate) fn tell_again(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
    whole: impl FnOnce(&DirectoryUser) -> Result<PersonSaid, ServiceError>,
) -> Result<DirectoryUser, ServiceError> {
    say(tx, moment, speaker, (id, Extent::Whole), whole)
}

/// Changes what a directory says of a person. `change` turns what was said before into what is said now.
///
/// # Errors
/// [`ServiceError::NotFound`] for a person whom the directory did not tell of; what `change` refuses.
pub fn change_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
    change: impl FnOnce(&DirectoryUser) -> Result<PersonSaid, ServiceError>,
) -> Result<DirectoryUser, ServiceError> {
    say(tx, moment, speaker, (id, Extent::Part), change)
}

fn say(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    (id, extent): (DirectoryUserId, Extent),
    change: impl FnOnce(&DirectoryUser) -> Result<PersonSaid, ServiceError>,
) -> Result<DirectoryUser, ServiceError> {
    tx.lock(Lock::Rules(speaker.organization))?;
    let old =
        directory_user::find_locked(tx, speaker.directory, id)?.ok_or(ServiceError::NotFound(Noun::User))?;
    let said = change(&old)?;
    said.check()?;
    let inactive_at = match (said.active, old.inactive_at) {
        (Some(false), None) => Some(moment.now),
        (Some(true), _) => None,
        (Some(false) | None, before) => before,
    };
    let new = DirectoryUser {
        external_id: said.external_id.clone(),
        user_name: said.user_name.clone(),
        display_name: said.display_name.clone(),
        email_keys: said.email_keys(),
        inactive_at,
        // Whatever is said, it is said after the restore.
        unconfirmed_at: None,
        attributes: said.attributes.clone(),
        ..old.clone()
    };
    let believed_up_to = believed(tx, moment, speaker, (&old, &new), extent)?;
    let new = DirectoryUser { believed_up_to, ..new };
    if new == old {
        // Said again: nothing is written. Whoever is said to be inactive is settled all the same: it is a statement.
        profile::follow(tx, moment, speaker, (&old, &said), speaker.cause())?;
        if said.active == Some(false) {
            settle(tx, moment, old.membership, speaker.cause())?;
        }
        return Ok(old);
    }
    let before = directory_user::facets(tx, id)?;
    let differing: BTreeSet<Facet> = before.symmetric_difference(&said.facets).cloned().collect();
    let mapped = mapping::is_facet_mapped(tx, speaker.directory, &differing)?;
    let settles = mapped || old.inactive_at != new.inactive_at || old.unconfirmed_at.is_some();
    let is_renamed = is_renamed(&old, &new);
    // Names are locked before the member: whoever tells of somebody new has them in that order.
    if is_renamed {
        hold_names(tx, speaker.organization, said.names())?;
    } else if settles {
        profile::hold_address(tx, speaker, (&old, &said))?;
    }
    // That they are believed further is nothing that the directory said: their version stays.
    let is_said_anew = DirectoryUser { believed_up_to: old.believed_up_to, ..new.clone() } != old;
    let new = DirectoryUser { updated_at: if is_said_anew { moment.now } else { old.updated_at }, ..new };
    let action = match (old.inactive_at, new.inactive_at) {
        (None, Some(_)) => Action::DirectoryUserDeactivated,
        (Some(_), None) => Action::DirectoryUserActivated,
        (None, None) if old.unconfirmed_at.is_some() => Action::DirectoryUserConfirmed,
        _ => Action::DirectoryUserUpdated,
    };
    let event = EventDraft::new(action, id).about(new.membership).with(renamed(&old, &new));
    let mut changes = vec![DirectoryUserChange::Update(Box::new(new.clone())).into()];
    changes.extend(facets_said(&new, &before, &said.facets, speaker.request));
    changes.extend(names_said(tx, moment, (&old, &new))?);
    let plan = Plan::because(speaker.organization, speaker.cause()).then_all(event, changes);
    let cause = moment.apply(tx, &plan)?.cause;
    if settles {
        settle(tx, moment, new.membership, cause)?;
    }
    profile::follow(tx, moment, speaker, (&new, &said), cause)?;
    Ok(new)
}

/// How far it is believed what somebody is called, once a speaker has spoken: their own word as far as that is worth; what
/// others said before and they leave, no further than it was; what they say again, as far as either.
fn believed(
    tx: &mut Tx<'_>,
    moment: &Moment,
    speaker: Speaker,
    (old, new): (&DirectoryUser, &DirectoryUser),
    extent: Extent,
) -> Result<Rank, ServiceError> {
    let before = old.believed_up_to;
    Ok(match (extent, is_renamed(old, new)) {
        (Extent::Whole, true) => spoken_from(tx, moment, speaker)?,
        (Extent::Whole, false) => before.max(spoken_from(tx, moment, speaker)?),
        (Extent::Part, true) => before.min(spoken_from(tx, moment, speaker)?),
        (Extent::Part, false) => before,
    })
}

/// How far a speaker's word is believed: as far as the lowest stands who could speak so, or as what the directory gives,
/// which they have without anybody's name. What it gives later they may never have had
/// ([why](../../../docs/decisions/0054-a-word-is-worth-what-its-directory-gave-when-it-was-said.md)).
fn spoken_from(tx: &mut Tx<'_>, moment: &Moment, speaker: Speaker) -> Result<Rank, ServiceError> {
    if moment.spoken_from == Rank::ROOT {
        return Ok(Rank::ROOT);
    }
    Ok(moment.spoken_from.max(highest_given(tx, speaker.organization, speaker.directory)?))
}

/// Whether any identifier changed by which people are recognized.
fn is_renamed(old: &DirectoryUser, new: &DirectoryUser) -> bool {
    name_key(&old.user_name) != name_key(&new.user_name)
        || old.external_id != new.external_id
        || old.email_keys != new.email_keys
}

/// What changed of the identifiers by which people are recognized, and what a first link is found by: what they were, and are.
/// Of the addresses those that went, and those that came.
fn renamed(old: &DirectoryUser, new: &DirectoryUser) -> Value {
    let said = |one: &DirectoryUser, other: &DirectoryUser| {
        let [these, those] = [one, other].map(|user| user.email_keys.iter().collect::<BTreeSet<_>>());
        let emails: Vec<_> = these.difference(&those).take(MAX_EMAILS_TOLD).collect();
        json!({ "user_name": one.user_name, "external_id": one.external_id, "emails": emails })
    };
    if is_renamed(old, new) { json!({ "from": said(old, new), "to": said(new, old) }) } else { Value::Null }
}

/// Deletes a person from a directory: gone from it at once, and their membership ends.
///
/// # Errors
/// [`ServiceError::NotFound`] for a person whom the directory did not tell of.
pub fn delete_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
) -> Result<(), ServiceError> {
    delete_user_because(tx, moment, (speaker.organization, speaker.directory), id, speaker.cause())
}

/// The same, where somebody else than the directory decides when: what the brake held is released.
///
/// # Errors
/// As [`delete_user`].
pub(crate) fn delete_user_because(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (organization, directory): (OrganizationId, DirectoryId),
    id: DirectoryUserId,
    cause: Cause,
) -> Result<(), ServiceError> {
    tx.lock(Lock::Rules(organization))?;
    let user =
        directory_user::find_to_delete(tx, directory, id)?.ok_or(ServiceError::NotFound(Noun::User))?;
    let event = EventDraft::new(Action::DirectoryUserDeleted, id).about(user.membership);
    let plan = Plan::because(organization, cause).then(event, DirectoryUserChange::Delete(id));
    let cause = moment.apply(tx, &plan)?.cause;
    settle_as(tx, moment, user.membership, cause, Some(directory))?;
    Ok(())
}
