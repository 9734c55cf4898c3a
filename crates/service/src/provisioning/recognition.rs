//! Whom a directory means: a member whom the organization knows already, or somebody new.
//!
//! An address alone opens nothing: its domain is proven, and whoever could have said it stands as high as what it gives.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use portcullis_domain::directory::Directory;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{MembershipId, OrganizationId};
use portcullis_domain::membership::Membership;
use portcullis_domain::review::ReviewReason;
use portcullis_domain::role::Rank;
use portcullis_domain::text::{domain_of, email_key};
use portcullis_store::{Tx, connection, directory_user, domain, hold, membership};

use super::PersonSaid;
use crate::membership::settled;
use crate::role::{highest_given, spoken_below};
use crate::{Moment, ServiceError};

/// The most members that one review shows as whom a person may be.
const MAX_CANDIDATES: usize = 20;

/// Whether the organization knows a person already.
pub(super) enum Recognized {
    /// As that member.
    Known(Box<Membership>),
    /// As nobody for certain; why it is not certain, and who it may be.
    Nobody(Option<(ReviewReason, Vec<MembershipId>)>),
}

/// Somebody whom the organization knows already: exactly one membership that has not ended has one of these addresses, it
/// is the one that stands for the person, its domain is proven, and this directory does not tell of the member yet. What
/// is less than that is for a person to decide.
pub(super) fn recognize(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    directory: &Directory,
    said: &PersonSaid,
) -> Result<Recognized, ServiceError> {
    let mut found: Vec<Membership> = Vec::new();
    let (mut unproven, mut held, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
    let (addresses, user_name) = (said.email_keys(), email_key(&said.user_name).ok());
    let names: BTreeSet<String> = addresses.iter().take(1).chain(&user_name).cloned().collect();
    let keys: BTreeSet<String> = addresses.into_iter().chain(user_name).collect();
    for key in keys {
        let owner = domain::find_proven(tx, domain_of(&key))?;
        let proven = owner.is_some_and(|d| d.organization == directory.organization);
        for candidate in membership::living_by_email(tx, directory.organization, &key)? {
            if !proven {
                unproven.push(candidate.id);
                continue;
            }
            // Who has lost their life, and only the job has not come by yet, is a former person.
            let candidate = settled(tx, moment, directory.organization, candidate.id)?;
            if candidate.ended.is_some() {
                continue;
            }
            // Nor is it anybody whose end waits for an administrator: they would come back with everything they had.
            if hold::holds_end(tx, candidate.id)? {
                held.push(candidate.id);
            } else if !names.contains(&key) {
                doubtful.push(candidate.id);
            } else {
                found.push(candidate);
            }
        }
    }
    let unsure = |reason, mut people: Vec<MembershipId>| {
        people.sort_unstable();
        people.dedup();
        people.truncate(MAX_CANDIDATES);
        Ok(Recognized::Nobody(Some((reason, people))))
    };
    doubtful.retain(|id| !found.iter().any(|candidate| candidate.id == *id));
    if let ([only], true) = (found.as_slice(), doubtful.is_empty()) {
        // INVARIANT I4: held from here on. Whoever ends them meanwhile would lay what naming them anew lifts.
        let only = membership::find_locked(tx, only.id)?.filter(|member| member.ended.is_none());
        found = only.into_iter().collect();
        if let Some(one) = found.pop() {
            if hold::holds_end(tx, one.id)? { held.push(one.id) } else { found.push(one) }
        }
    }
    match found.as_slice() {
        [only] if doubtful.is_empty() => {
            // Owners too: the first owner is often the administrator whom the provider tells of later, and they leave as
            // well. Whoever may make directories may therefore end anybody whom a proven address finds.
            let told = directory_user::of_membership(tx, only.id)?;
            if told.iter().any(|u| u.directory == directory.id) {
                return unsure(ReviewReason::AlreadyTold, vec![only.id]);
            }
            if is_lent(tx, moment, directory, (only.id, &told))? {
                return unsure(ReviewReason::ToldElsewhere, vec![only.id]);
            }
            Ok(Recognized::Known(Box::new(only.clone())))
        }
        [] if !doubtful.is_empty() => unsure(ReviewReason::OtherAddress, doubtful),
        [] if !held.is_empty() => unsure(ReviewReason::EndHeld, held),
        [] if !unproven.is_empty() => unsure(ReviewReason::DomainNotProven, unproven),
        [] => Ok(Recognized::Nobody(None)),
        several => {
            let all = several.iter().map(|m| m.id).chain(doubtful);
            unsure(ReviewReason::SeveralMembers, all.collect())
        }
    }
}

/// Whether somebody of whom these tell could be the doing of whoever speaks for one directory and may not have what another
/// gives: they would be given it as that person
/// ([why](../../../../docs/decisions/0042-of-whom-two-directories-tell-is-lent-by-neither.md)).
fn is_lent(
    tx: &mut Tx<'_>,
    moment: &Moment,
    directory: &Directory,
    (member, told): (MembershipId, &[DirectoryUser]),
) -> Result<bool, ServiceError> {
    let organization = directory.organization;
    let given = highest_given(tx, organization, directory.id)?;
    for user in told {
        let theirs = highest_given(tx, organization, user.directory)?;
        // What the greater gives, whoever speaks for it has.
        let (lesser, rank, believed_up_to) = match theirs.cmp(&given) {
            Ordering::Less => (user.directory, given, user.believed_up_to),
            Ordering::Equal => continue,
            Ordering::Greater => (directory.id, theirs, moment.spoken_from),
        };
        // Whoever can speak for the lesser one would name an account of theirs, or has: what was said outlives its token.
        if believed_up_to < rank
            || spoken_below(tx, organization, (lesser, rank), moment.now)?.is_some()
            || is_linked_below(tx, organization, member, rank)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether somebody below that rank has said by which account a member comes in, but for a connection of a directory
/// that gives as much.
fn is_linked_below(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    member: MembershipId,
    rank: Rank,
) -> Result<bool, ServiceError> {
    for link in connection::links_of(tx, member)?.into_iter().filter(|link| link.believed_up_to < rank) {
        let by = connection::find(tx, organization, link.connection)?.and_then(|of| of.directory);
        let given = by.map_or(Ok(Rank::NONE), |of| highest_given(tx, organization, of))?;
        if given < rank {
            return Ok(true);
        }
    }
    Ok(false)
}
