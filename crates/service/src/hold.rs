//! Holds: what a directory's brake keeps from being carried out, and what administrators decide about it.
//!
//! Whoever decides stands as high as everybody whom it is about. A release is carried out step by step, each with the
//! cause that was held, so that receipts name the request that began it and the log who let it go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{HoldChange, TombstoneChange};
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::directory_user::DirectoryUserQuery;
use portcullis_domain::hold::{HeldState, HoldKind};
use portcullis_domain::id::{HoldId, MembershipId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{Rank, may_give};
use portcullis_domain::tombstone::{Identifier, IdentifierKind};
use portcullis_store::db::{Lock, MAX_LIST};
use portcullis_store::hold::{self, HeldView, HoldFilter, HoldView, Still, WouldLose};
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
/// left for the same decision again. Goes on from where it was if it was interrupted: of those who are named, whoever was
/// decided about is passed over.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Invalid`] for more than 1,000 people named, or one of whom it never was;
/// [`portcullis_domain::Refusal::AboveOwnRank`] if it is about somebody above the caller, or about a directory that gives more.
/// Each is found before anything is carried out.
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
    let (caller, named) = (Arc::new(caller), named.map(Arc::<[MembershipId]>::from));
    let (mut decided, mut stage) = (0, Stage::Begins);
    loop {
        let (caller, named) = (Arc::clone(&caller), named.clone());
        let (looked_at, done) = portcullis
            .write(Priority::OffBoarding, move |tx, moment| {
                let about = (decision, named.as_deref(), stage);
                step(tx, moment, &caller, (organization, id), about, cause)
            })
            .await?;
        decided += u64::try_from(done).unwrap_or(0);
        if looked_at < MAX_PER_CALL {
            return Ok(decided);
        }
        stage = Stage::GoesOn;
    }
}

/// How far a decision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing of it is carried out.
    Begins,
    /// Whom it names was looked at.
    GoesOn,
}

/// One step: how many people it looked at, and about how many of them it was.
fn step(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, HoldId),
    (decision, named, stage): (Decision, Option<&[MembershipId]>, Stage),
    cause: Cause,
) -> Result<(usize, usize), ServiceError> {
    tx.lock(Lock::Rules(organization))?;
    let found = find(tx, organization, id)?;
    let of = directory::find(tx, organization, found.directory)?;
    directory::must_reach(tx, caller, &of)?;
    may_give(caller.rank(), hold::highest(tx, organization, id, named)?.unwrap_or(Rank::NONE))?;
    let mut people = match named {
        None => hold::waiting_people(tx, organization, id, "", bound(MAX_PER_CALL))?,
        Some(named) => {
            let mut people = hold::some_people(tx, organization, id, named)?;
            if stage == Stage::Begins {
                must_be_no_stranger(tx, &found, named, &people)?;
            }
            // Whoever was refused waits no more, but may be released by name.
            people.retain(|p| decision == Decision::Release || p.state == HeldState::Held);
            people.truncate(MAX_PER_CALL);
            people
        }
    };
    let looked_at = people.len();
    let still = if named.is_some() && decision == Decision::Release { Still::Held } else { Still::Waiting };
    let ids: Vec<MembershipId> = people.iter().map(|p| p.membership).collect();
    // INVARIANT I12: whom the directory named again, or somebody else decided about, while they were waited for, is left out.
    let ids = hold::lock_people(tx, organization, id, (&ids, still))?;
    people.retain(|p| ids.contains(&p.membership));
    if people.is_empty() {
        return Ok((looked_at, 0));
    }
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
    Ok((looked_at, people.len()))
}

/// Refuses a name of whom the hold never was. Whoever is of its directory and waits no more was decided about.
fn must_be_no_stranger(
    tx: &mut Tx<'_>,
    of: &HoldView,
    named: &[MembershipId],
    people: &[HeldView],
) -> Result<(), ServiceError> {
    let there: BTreeSet<MembershipId> = people.iter().map(|person| person.membership).collect();
    for one in named.iter().filter(|one| !there.contains(one)) {
        let member = membership::find(tx, of.organization, *one)?;
        let is_governed = member.is_some_and(|member| member.governed_by == Some(of.directory));
        let told = directory_user::of_membership(tx, *one)?;
        let is_told = told.iter().any(|u| u.organization == of.organization && u.directory == of.directory);
        if !is_governed && !is_told {
            return Err(ServiceError::invalid("members", format!("`{one}` is not in this hold")));
        }
    }
    Ok(())
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
