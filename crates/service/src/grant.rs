//! Grants: roles that people give to people, each with a reason. The only road to an explicit-only role.
//!
//! Every change here holds the organization's lock, because it may touch a holder of an explicit-only role.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{Change, DirectoryUserChange, GrantChange, LinkChange, MembershipChange};
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{GrantId, MembershipId, OrganizationId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::offboarding::Ownership;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{Giving, Rank, Role, may_give};
use portcullis_domain::text::{Slug, has_nul};
use portcullis_domain::{Refusal, Timestamp};
use portcullis_store::db::Lock;
use portcullis_store::{Tx, connection, directory, directory_user, grant, leaver};
use serde_json::json;

use crate::access::settle;
use crate::caller::Caller;
use crate::known_by::{self, KnownBy};
use crate::membership::{held, settled};
use crate::noun::Noun;
use crate::role::{must_not_be_seen_below, must_not_stand_above, named};
use crate::{Moment, ServiceError, membership};

/// The longest reason, in bytes: a sentence or a link to a ticket.
pub const MAX_REASON: usize = 1024;
/// The most grants that one membership has at a time: more than there are roles is a mistake.
pub const MAX_GRANTS: usize = 100;

/// What is given, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrant {
    /// The role's slug.
    pub role: String,
    /// Why.
    pub reason: String,
    /// Whether they say whose the accounts are.
    pub vouching: Vouching,
}

/// Whether whoever gives a role says that the accounts by which somebody signs in, or would, are that person's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vouching {
    /// They have looked, and it is believed as far as they stand. At that revision of [`known_by`], if they name one.
    Vouched(Option<String>),
    /// It is believed as far as those stood who said it.
    Unsaid,
}

/// The grant of that id, unless it ended.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: GrantId) -> Result<Grant, ServiceError> {
    grant::find(tx, organization, id)?.ok_or(ServiceError::NotFound(Noun::Grant))
}

/// A page of grants that have not ended, after the id `after`.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: &str,
    limit: i64,
) -> Result<Vec<Grant>, ServiceError> {
    Ok(grant::list(tx, organization, Some(after), limit)?)
}

/// Gives a member a role.
///
/// # Errors
/// [`ServiceError::NotFound`] for member and role; [`Refusal::AboveOwnRank`] for a role or a person above the caller;
/// [`Refusal::MemberInactive`] for somebody who was off-boarded; [`ServiceError::TokenSeenBelow`] where whoever saw a token
/// of a directory that tells of them could come in as them, and stands below the role; [`ServiceError::ToldFromBelow`] where
/// whoever stood below it has said by which account they come in; [`ServiceError::ChangedMeanwhile`] where they are known by
/// something else than what was looked at.
pub fn create(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, MembershipId),
    wish: &NewGrant,
    cause: Cause,
) -> Result<Grant, ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    // Held from here on: an off-boarding beside this must end the grant too, or be seen.
    let member = held(tx, moment, organization, id)?;
    let role = named(tx, organization, ("role", &wish.role))?;
    may_give(caller.rank(), role.rank)?;
    must_not_stand_above(tx, caller, organization, member.role())?;
    if member.access.state == MembershipState::Deprovisioned {
        return Err(Refusal::MemberInactive.into());
    }
    must_not_be_lent(tx, &member, &role, moment.now)?;
    if wish.vouching == Vouching::Unsaid {
        must_not_be_told_from_below(tx, &member, &role)?;
    }
    if grant::live_of(tx, organization, member.id)?.len() >= MAX_GRANTS {
        return Err(ServiceError::invalid("member", format!("has {MAX_GRANTS} grants already")));
    }
    let mut changes = Vec::new();
    let made = Grant {
        id: GrantId::fresh(moment.now, &mut moment.random),
        organization,
        membership: member.id,
        role: role.slug.clone(),
        granted_by: caller.membership(),
        reason: reason(&wish.reason)?,
        request: cause.request,
        created_at: moment.now,
        ended_at: None,
    };
    let mut event = event(Action::GrantCreated, &made);
    if let Vouching::Vouched(looked_at) = &wish.vouching {
        let known = known_by::of(tx, &member)?;
        if looked_at.as_ref().is_some_and(|looked_at| *looked_at != known.revision) {
            return Err(ServiceError::ChangedMeanwhile);
        }
        event = event.with(json!({ "role": made.role, "reason": made.reason, "vouched": caller.rank() }));
        changes.extend(vouched(known, &member, caller.rank()));
    }
    changes.push(GrantChange::Create(made.clone()).into());
    let plan = Plan::because(organization, cause).then_all(event, changes);
    carry_out(tx, moment, &plan, made.membership)?;
    Ok(made)
}

/// Refuses to give a role to somebody of whom a directory tells and whom a connection lets in by its word, while a token of
/// the directory was shown to somebody who stands below that: with the token they would come in as that person. Explicit-only
/// roles are safe from that: nobody who has one is linked by a word.
fn must_not_be_lent(
    tx: &mut Tx<'_>,
    member: &Membership,
    role: &Role,
    now: Timestamp,
) -> Result<(), ServiceError> {
    if role.giving == Giving::ExplicitOnly
        || role.rank <= membership::rank_of(tx, member.organization, member.role())?
    {
        return Ok(());
    }
    for told in directory_user::of_membership(tx, member.id)? {
        if directory::lets_in(tx, member.organization, told.directory)? {
            must_not_be_seen_below(tx, member.organization, (told.directory, role.rank), now)?;
        }
    }
    Ok(())
}

/// Refuses to give a role to somebody who signs in by an account, or would, that somebody below the role said is theirs; or by
/// a password that they may have chosen.
fn must_not_be_told_from_below(
    tx: &mut Tx<'_>,
    member: &Membership,
    role: &Role,
) -> Result<(), ServiceError> {
    if role.rank <= membership::rank_of(tx, member.organization, member.role())? {
        return Ok(());
    }
    if member.believed_up_to < role.rank {
        return Err(ServiceError::ToldFromBelow(member.id));
    }
    for link in connection::links_of(tx, member.id)? {
        if link.believed_up_to < role.rank {
            return Err(ServiceError::ToldFromBelow(member.id));
        }
    }
    // Whoever has an explicit-only role is linked by no word from then on.
    if role.giving == Giving::ExplicitOnly {
        return Ok(());
    }
    for told in directory_user::of_membership(tx, member.id)? {
        if told.believed_up_to < role.rank && directory::lets_in(tx, member.organization, told.directory)? {
            return Err(ServiceError::ToldFromBelow(member.id));
        }
    }
    Ok(())
}

/// What becomes of the words by which somebody signs in, or would, when somebody of that rank vouches for them.
fn vouched(known: KnownBy, member: &Membership, rank: Rank) -> Vec<Change> {
    let links = known.links.into_iter().filter(|l| l.believed_up_to < rank);
    let mut changes: Vec<Change> =
        links.map(|l| LinkChange::Believe(l.connection, l.subject, rank).into()).collect();
    if member.believed_up_to < rank {
        changes.push(MembershipChange::Believe(member.id, rank).into());
    }
    for told in known.told.into_iter().filter(|told| told.believed_up_to < rank) {
        let told = DirectoryUser { believed_up_to: rank, ..told };
        changes.push(DirectoryUserChange::Update(Box::new(told)).into());
    }
    changes
}

/// Writes the reason of a grant anew.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`Refusal::AboveOwnRank`]; a reason that is none.
pub fn update(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    (id, why): (GrantId, Option<&str>),
    cause: Cause,
) -> Result<Grant, ServiceError> {
    // It does not end meanwhile.
    tx.lock(Lock::Rules(organization))?;
    let found = find(tx, organization, id)?;
    must_not_stand_above(tx, caller, organization, Some(&found.role))?;
    let Some(why) = why else { return Ok(found) };
    let reason = reason(why)?;
    if reason == found.reason {
        return Ok(found);
    }
    let is = Grant { reason, ..found };
    let change = GrantChange::SetReason(is.id, is.reason.clone());
    let plan = Plan::because(organization, cause).then(event(Action::GrantUpdated, &is), change);
    moment.apply(tx, &plan)?;
    Ok(is)
}

/// Takes a role back.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`Refusal::AboveOwnRank`] for a role or a person above the caller;
/// [`Refusal::LastOwner`].
pub fn end(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    id: GrantId,
    cause: Cause,
) -> Result<(), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let found = find(tx, organization, id)?;
    must_not_stand_above(tx, caller, organization, Some(&found.role))?;
    let member = settled(tx, moment, organization, found.membership)?;
    must_not_stand_above(tx, caller, organization, member.role())?;
    must_leave_an_owner(tx, &member, &found)?;
    let change = GrantChange::End(found.id, moment.now);
    let plan = Plan::because(organization, cause).then(event(Action::GrantEnded, &found), change);
    carry_out(tx, moment, &plan, found.membership)
}

/// Refuses to take the last ownership by which somebody can still sign in (I2).
fn must_leave_an_owner(tx: &mut Tx<'_>, member: &Membership, ending: &Grant) -> Result<(), ServiceError> {
    let acts = matches!(member.access.state, MembershipState::Active | MembershipState::Suspended);
    if ending.role != Slug::owner() || !(acts || member.bare_owner_at.is_some()) {
        return Ok(());
    }
    let others = grant::live_of(tx, ending.organization, member.id)?;
    let stays = others.iter().any(|g| g.role == Slug::owner() && g.id != ending.id);
    if !stays && leaver::ownership(tx, member)? == Ownership::Last {
        return Err(Refusal::LastOwner.into());
    }
    Ok(())
}

fn reason(text: &str) -> Result<String, ServiceError> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_REASON || has_nul(text) {
        return Err(ServiceError::invalid("reason", format!("must be 1–{MAX_REASON} bytes of text")));
    }
    Ok(text.to_owned())
}

fn event(action: Action, grant: &Grant) -> EventDraft {
    EventDraft::new(action, grant.id)
        .about(grant.membership)
        .with(json!({ "role": grant.role, "reason": grant.reason }))
}

fn carry_out(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    plan: &Plan,
    member: MembershipId,
) -> Result<(), ServiceError> {
    let cause = moment.apply(tx, plan)?.cause;
    settle(tx, moment, member, cause)?;
    Ok(())
}
