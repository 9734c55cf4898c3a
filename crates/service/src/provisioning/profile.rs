//! What a member is called here follows what the directory says that governs them.

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::MembershipChange;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{DirectoryId, MembershipId, OrganizationId};
use portcullis_domain::membership::Membership;
use portcullis_domain::plan::Plan;
use portcullis_domain::text::email_key;
use portcullis_store::{Tx, directory_user, invitation, membership};
use serde_json::json;

use super::{PersonSaid, Speaker};
use crate::newcomer::hold_names;
use crate::{Moment, ServiceError};

/// Holds the address that a member is called by from now on, before anything holds the member.
pub(super) fn hold_address(
    tx: &mut Tx<'_>,
    speaker: Speaker,
    (user, said): (&DirectoryUser, &PersonSaid),
) -> Result<(), ServiceError> {
    let seen = membership::find(tx, speaker.organization, user.membership)?;
    if seen.is_some_and(|seen| may_move(&seen, said)) {
        hold_names(tx, speaker.organization, std::iter::once(said.main_address()))?;
    }
    Ok(())
}

/// Whether a member's address may follow what is said.
fn may_move(seen: &Membership, said: &PersonSaid) -> bool {
    seen.joined_at.is_none() && said.main_address() != seen.email
}

/// Calls a member as the directory says, if it governs them. Said again, it writes only what did not follow before: an address
/// that was somebody else's then, or what was said while another directory governed them.
pub(super) fn follow(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    (user, said): (&DirectoryUser, &PersonSaid),
    cause: Cause,
) -> Result<(), ServiceError> {
    let Some(seen) = membership::find(tx, speaker.organization, user.membership)? else { return Ok(()) };
    let may_move = may_move(&seen, said);
    let is_said_already = name(said, &seen) == seen.name && !may_move;
    if is_said_already || seen.ended.is_some() || !names(speaker.directory, &seen) {
        return Ok(());
    }
    if may_move {
        // Of two who are called so at once the second finds the first.
        hold_names(tx, speaker.organization, std::iter::once(said.main_address()))?;
    }
    // INVARIANT: what decides is read of the member as they are held. Whoever ends meanwhile has the tombstones of what they
    // were called until then, and whoever joins keeps their address.
    let held = membership::find_locked(tx, seen.id)?;
    let Some(member) = held.filter(|m| m.ended.is_none() && names(speaker.directory, m)) else {
        return Ok(());
    };
    let (name, email) = (name(said, &member), address(tx, (speaker.directory, moment.now), (&member, said))?);
    let (renamed, moved) = (name != member.name, email != member.email);
    if !renamed && !moved {
        return Ok(());
    }
    let event = EventDraft::new(Action::MemberUpdated, member.id)
        .about(user.id)
        .with(json!({ "name": renamed, "email": moved }));
    let plan = Plan::because(speaker.organization, cause)
        .then(event, MembershipChange::SetProfile(member.id, email, name));
    moment.apply(tx, &plan)?;
    Ok(())
}

/// What a member is called who is told of so; what they were called before, where nothing is said.
fn name(said: &PersonSaid, member: &Membership) -> String {
    Some(said.name()).filter(|name| !name.is_empty()).unwrap_or_else(|| member.name.clone())
}

/// Whether a directory that tells of a member is the one that names them: it governs them, or nobody does and they have no
/// life of their own yet.
fn names(directory: DirectoryId, member: &Membership) -> bool {
    match member.governed_by {
        Some(governing) => governing == directory,
        None => member.joined_at.is_none(),
    }
}

/// The address that stands for a member from now on. Whoever has life of their own, or a link to it, keeps the one that
/// they were invited at: links and passwords hang on it, and no directory moves those. Nor does one take what is that
/// of a member whom it does not name: whoever asks at a proxy would take the two for one.
fn address(
    tx: &mut Tx<'_>,
    (directory, now): (DirectoryId, Timestamp),
    (member, said): (&Membership, &PersonSaid),
) -> Result<String, ServiceError> {
    let wanted = said.address();
    if member.joined_at.is_some() || wanted == member.email {
        return Ok(member.email.clone());
    }
    if !invitation::live_of(tx, member.organization, member.id, now)?.is_empty() {
        return Ok(member.email.clone());
    }
    let is_anothers = is_anothers(tx, (member.organization, member.id), directory, &wanted)?;
    Ok(if is_anothers { member.email.clone() } else { wanted })
}

/// What a new member is called by: the address that stands for them, else the name that the directory signs them in with, else
/// nothing. Whoever is not certainly the member of an address is not to be taken for them by it; it follows when the
/// directory tells of them again and nobody else has it.
pub(super) fn free_address(
    tx: &mut Tx<'_>,
    (directory, user): (DirectoryId, &DirectoryUser),
    said: &PersonSaid,
) -> Result<String, ServiceError> {
    for address in [said.address(), said.user_name.clone()] {
        if !is_anothers(tx, (user.organization, user.membership), directory, &address)? {
            return Ok(address);
        }
    }
    Ok(String::new())
}

/// Whether an address is that of another living member whom this directory does not name.
fn is_anothers(
    tx: &mut Tx<'_>,
    (organization, of): (OrganizationId, MembershipId),
    directory: DirectoryId,
    address: &str,
) -> Result<bool, ServiceError> {
    let Ok(key) = email_key(address) else { return Ok(false) };
    for other in membership::living_by_email(tx, organization, &key)? {
        let is_told_of = other.governed_by.is_some()
            || directory_user::of_membership(tx, other.id)?.iter().any(|told| told.directory == directory);
        let is_named = other.joined_at.is_none() && names(directory, &other) && is_told_of;
        if other.id != of && !is_named {
            return Ok(true);
        }
    }
    Ok(false)
}
