//! Holds: what a directory's brake keeps from being carried out, and what administrators decide about it.
//!
//! Whoever decides stands as high as everybody whom it is about. A release is carried out step by step, each with the
//! cause that was held, so that receipts name the request that began it and the log who let it go.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{HoldChange, TombstoneChange};
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::directory_user::DirectoryUserQuery;
use portcullis_domain::hold::HoldKind;
use portcullis_domain::id::{HoldId, MembershipId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{Rank, may_give};
use portcullis_domain::tombstone::{Identifier, IdentifierKind};
use portcullis_store::db::{Lock, MAX_LIST};
use portcullis_store::hold::{self, HeldView, HoldFilter, HoldView, WouldLose};
use portcullis_store::row::bound;
use portcullis_store::{Priority, Tx, directory_user, leaver, membership};
use serde_json::json;

use crate::access::settle;
use crate::caller::Caller;
use crate::noun::Noun;
use crate::rules::MAX_PER_CALL;
use crate::{Moment, Portcullis, ServiceError, directory, provisioning};

const NOUN: Noun = Noun::Hold;
/// How many people of one identifier are looked at, and how many directories of the organization.
const MAX_LOOKED_AT: i64 = 100;

/// What an administrator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is carried out.
    Release,
    /// It is not.
    Refuse,
}

/// A hold of that organization.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: HoldId) -> Result<HoldView, ServiceError> {
    hold::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))
}

/// A page of the wanted holds after the id `after`.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    wanted: HoldFilter,
    (after, limit): (&str, i64),
) -> Result<Vec<HoldView>, ServiceError> {
    Ok(hold::list_page(tx, organization, wanted, after, limit)?)
}

/// A page of a hold's people after the membership `after`, each with what they would lose.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn people(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: HoldId,
    (after, limit): (&str, i64),
    now: Timestamp,
) -> Result<Vec<(HeldView, WouldLose)>, ServiceError> {
    let found = find(tx, organization, id)?;
    let page = hold::people(tx, organization, found.id, after, limit)?;
    let ids: Vec<MembershipId> = page.iter().map(|person| person.membership).collect();
    let mut lose = hold::would_lose(tx, (organization, found.id), found.kind, &ids, now)?;
    let with = |person: HeldView| {
        let what = lose.remove(&person.membership).unwrap_or_default();
        (person, what)
    };
    Ok(page.into_iter().map(with).collect())
}

/// What is held of these members; a page of them at most.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn of_members(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    people: &[MembershipId],
) -> Result<BTreeMap<MembershipId, Vec<(HoldId, HoldKind)>>, ServiceError> {
    Ok(hold::of_memberships(tx, organization, people)?)
}

/// Carries out a decision about these people of a hold, or about all who wait in it. How many it was about; nobody is
/// left for the same decision again. Goes on from where it was if it was interrupted.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Invalid`] for more than 1,000 people named, or one who is not in it;
/// [`portcullis_domain::Refusal::AboveOwnRank`] if it is about somebody above the caller, or about a directory that gives more.
pub async fn decide(
    portcullis: &Portcullis,
    caller: Caller,
    (organization, id): (OrganizationId, HoldId),
    (decision, named): (Decision, Option<Vec<MembershipId>>),
    cause: Cause,
) -> Result<u64, ServiceError> {
    if named.as_ref().is_some_and(|named| named.len() > MAX_LIST) {
        return Err(ServiceError::invalid("members", format!("names at most {MAX_LIST} people")));
    }
    let chunks: Vec<Option<Vec<MembershipId>>> = match named {
        None => vec![None],
        Some(named) => named.chunks(MAX_PER_CALL).map(|some| Some(some.to_vec())).collect(),
    };
    let caller = Arc::new(caller);
    let mut decided = 0;
    for chunk in chunks {
        loop {
            let (caller, some) = (Arc::clone(&caller), chunk.clone());
            let done = portcullis
                .write(Priority::OffBoarding, move |tx, moment| {
                    step(tx, moment, &caller, (organization, id), (decision, some.as_deref()), cause)
                })
                .await?;
            decided += u64::try_from(done).unwrap_or(0);
            if chunk.is_some() || done < MAX_PER_CALL {
                break;
            }
        }
    }
    Ok(decided)
}

fn step(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, HoldId),
    (decision, named): (Decision, Option<&[MembershipId]>),
    cause: Cause,
) -> Result<usize, ServiceError> {
    tx.lock(Lock::Rules(organization))?;
    let found = find(tx, organization, id)?;
    let of = directory::find(tx, organization, &found.directory.to_string())?;
    directory::must_reach(tx, caller, &of)?;
    may_give(caller.rank(), hold::highest(tx, organization, id, named)?.unwrap_or(Rank::NONE))?;
    let people = match named {
        None => hold::waiting_people(tx, organization, id, "", bound(MAX_PER_CALL))?,
        Some(named) => {
            let people = hold::some_people(tx, organization, id, named)?;
            if let Some(stranger) = named.iter().find(|one| !people.iter().any(|p| p.membership == **one)) {
                return Err(ServiceError::invalid("members", format!("`{stranger}` is not in this hold")));
            }
            people
        }
    };
    if people.is_empty() {
        return Ok(0);
    }
    let ids: Vec<MembershipId> = people.iter().map(|p| p.membership).collect();
    let (action, change) = match decision {
        Decision::Release => (Action::HoldReleased, HoldChange::Release(id, ids)),
        Decision::Refuse => (Action::HoldRefused, HoldChange::Refuse(id, ids, moment.now)),
    };
    let event = EventDraft::new(action, id).about(found.directory).with(json!({ "people": people.len() }));
    let plan = Plan::because(organization, cause).then(event, change);
    let applied = moment.apply(tx, &plan)?;
    if decision == Decision::Release {
        let event = applied.events.first().copied();
        for person in &people {
            // What was held is carried out because of what began it; who let it go stands in the event before.
            // INVARIANT: an end was held with a cause of its own, and the request that opened the hold is about another.
            let (kind, request) = match person.cause_kind {
                Some(kind) => (kind, person.request),
                None => (found.cause_kind, found.request),
            };
            let (directory, Cause { actor, token, .. }) = (Some(found.directory), cause);
            let cause = Cause { kind, request, event, directory, actor, token };
            let named = named_since(tx, &found, person)?;
            carry_out(tx, moment, &found, person, cause)?;
            lift(tx, moment, person, (&found, named), cause)?;
        }
    }
    Ok(people.len())
}

fn carry_out(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    found: &HoldView,
    person: &HeldView,
    cause: Cause,
) -> Result<(), ServiceError> {
    match (found.kind, person.directory_user) {
        (HoldKind::Missing, Some(user)) => {
            let place = (found.organization, found.directory);
            match provisioning::delete_user_because(tx, moment, place, user, cause) {
                // Deleted by name meanwhile.
                Ok(()) | Err(ServiceError::NotFound(Noun::User)) => Ok(()),
                Err(error) => Err(error),
            }
        }
        _ => settle(tx, moment, person.membership, cause).map(|_| ()),
    }
}

/// What somebody is or was called, and by which a directory told of somebody else after it had said that they leave. Had
/// their end not waited, telling of the newcomer would have lifted it.
fn named_since(
    tx: &mut Tx<'_>,
    found: &HoldView,
    person: &HeldView,
) -> Result<Vec<Identifier>, ServiceError> {
    let Some(member) = membership::find(tx, found.organization, person.membership)? else {
        return Ok(vec![]);
    };
    let directories = portcullis_store::directory::list(tx, found.organization, None, MAX_LOOKED_AT)?;
    // What another directory's word laid is not for this one to take away.
    let is_anothers = |of: &Directory| {
        let governor = directories.iter().find(|d| Some(d.id) == member.governed_by);
        governor.is_some_and(|d| d.id != of.id && d.kind != DirectoryKind::Claims)
    };
    let mut named = Vec::new();
    let theirs = leaver::identifiers(tx, &member)?;
    for identifier in &theirs {
        // What a sign-in claims is no newcomer's: whoever is held has the address still.
        for of in directories.iter().filter(|of| of.kind != DirectoryKind::Claims && !is_anothers(of)) {
            let mut is_newcomers = false;
            for query in queries(identifier, &of.id.to_string()) {
                let people = directory_user::query(tx, of.id, &query, MAX_LOOKED_AT)?;
                is_newcomers |= people.iter().any(|user| {
                    user.membership != member.id
                        && user.inactive_at.is_none()
                        && user.created_at >= person.held_at
                        && user.names().iter().any(|name| theirs.contains(name))
                });
            }
            if is_newcomers {
                named.push(identifier.clone());
                break;
            }
        }
    }
    Ok(named)
}

/// How a directory would know that identifier. A subject is nobody's but theirs.
fn queries(identifier: &Identifier, directory: &str) -> Vec<DirectoryUserQuery> {
    let value = || identifier.value.clone();
    match identifier.kind {
        IdentifierKind::UserName => vec![DirectoryUserQuery::UserName(value())],
        IdentifierKind::Email => {
            vec![DirectoryUserQuery::Email(value()), DirectoryUserQuery::UserName(value())]
        }
        IdentifierKind::ExternalId => {
            let own = identifier.value.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/'));
            own.map(|own| DirectoryUserQuery::ExternalId(own.to_owned())).into_iter().collect()
        }
        IdentifierKind::Subject | IdentifierKind::IssuerSubject => vec![],
    }
}

fn lift(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    person: &HeldView,
    (found, named): (&HoldView, Vec<Identifier>),
    cause: Cause,
) -> Result<(), ServiceError> {
    if named.is_empty() {
        return Ok(());
    }
    let event = EventDraft::new(Action::TombstoneLifted, person.membership)
        .with(json!({ "identifiers": named.len() }));
    let lifted = TombstoneChange::LiftSaid { directory: found.directory, named, beside: Vec::new() };
    let plan = Plan::because(found.organization, cause).then(event, lifted);
    moment.apply(tx, &plan)?;
    Ok(())
}
