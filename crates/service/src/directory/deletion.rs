//! The end of a directory, and what becomes of the people whom it governs: they stay, or they go along.
//!
//! A connection with its claims ends the same way, so its deletion is made of these steps too.

use std::sync::Arc;

use portcullis_domain::Timestamp;
use portcullis_domain::access::resolve;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{
    Change, DirectoryChange, DirectoryUserChange, GrantChange, MembershipChange, Restamp, TokenChange,
    TokenSet,
};
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{DirectoryId, GrantId, MembershipId, OrganizationId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::plan::Plan;
use portcullis_domain::text::Slug;
use portcullis_domain::token::TokenEnd;
use portcullis_store::db::{Lock, MAX_LIST};
use portcullis_store::row::bound;
use portcullis_store::{Priority, Tx, directory, directory_user, facts, google, mapping, membership};
use serde_json::json;

use super::{NOUN, find, may_reach, must_reach, shown};
use crate::access::{off_board_member, tell_of_others};
use crate::caller::Caller;
use crate::google::consent::withdraw;
use crate::membership::{find as find_member, rank_of, settled};
use crate::patience::carried;
use crate::rules::{MAX_PER_CALL, after_rule_change};
use crate::{Moment, Portcullis, ServiceError};

/// What becomes of the people whom a deleted directory governs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Governed {
    /// Nothing was said: it is deleted only if it governs nobody.
    Unsaid,
    /// They stay as members of their own, with the role that it gives as a grant; the suspended stay suspended, and whoever
    /// was kept out of `production` is suspended.
    Keep,
    /// They are off-boarded, each with a receipt.
    OffBoard,
}

/// Deletes a directory with its facts and mappings; what becomes of the people whom it governs must be said.
///
/// Whom it takes along are refused from the answer on; if they are more than [`MAX_PER_CALL`], a job ends them one by
/// one afterwards, each with a receipt. Those who stay go in transactions of their own, [`MAX_PER_CALL`] at a time; a
/// crash between them leaves a directory that governs fewer people, and the same call goes on from there.
///
/// # Errors
/// [`ServiceError::GovernsPeople`]; [`ServiceError::InUse`] while a connection names it;
/// [`portcullis_domain::Refusal::AboveOwnRank`] if it gives a role above the caller's rank, or governs somebody above it;
/// [`ServiceError::ToldFromBelow`] for one of those who stay, whom somebody below them has named.
pub async fn delete(
    portcullis: &Portcullis,
    caller: Caller,
    organization: OrganizationId,
    (id, governed): (DirectoryId, Governed),
    cause: Cause,
) -> Result<(), ServiceError> {
    let source = portcullis.read(move |tx, _| match find(tx, organization, id) {
        Ok(found) => Ok(google::source(tx, organization, found.id)?),
        Err(ServiceError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    });
    let source = source.await?;
    step_by_step(portcullis, move |tx, moment, left| {
        tx.lock(Lock::Organization(organization))?;
        let found = find(tx, organization, id)?;
        if directory::is_used(tx, organization, found.id)? {
            return Err(ServiceError::InUse(NOUN));
        }
        let left = part_step(tx, moment, &caller, &found, (governed, left), cause)?;
        if left == Left::Nothing {
            let event = EventDraft::new(Action::DirectoryDeleted, found.id).with(shown(&found));
            end(tx, moment, &found, (event, vec![]), cause)?;
        }
        Ok(left)
    })
    .await?;
    if let Some(source) = source {
        withdraw(portcullis, &source).await;
    }
    Ok(())
}

/// What a step of a deletion left to do.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Left {
    /// Everybody: nothing was done yet.
    All,
    /// More people; those who wait, after this directory user, and those whom claims govern, after this member.
    After(String),
    /// Nothing: it is gone.
    Nothing,
}

impl Left {
    fn after(&self) -> &str {
        match self {
            Self::After(after) => after,
            Self::All | Self::Nothing => "",
        }
    }
}

/// Runs the steps of a deletion, each in a transaction of its own, until nothing is left.
pub(crate) async fn step_by_step(
    portcullis: &Portcullis,
    step: impl Fn(&mut Tx<'_>, &mut Moment, &Left) -> Result<Left, ServiceError> + Send + Sync + 'static,
) -> Result<(), ServiceError> {
    let step = Arc::new(step);
    let mut left = Left::All;
    while left != Left::Nothing {
        let next = carried(|| {
            let (step, left) = (Arc::clone(&step), left.clone());
            portcullis.write(Priority::OffBoarding, move |tx, moment| step(tx, moment, &left))
        });
        left = next.await?;
    }
    Ok(())
}

/// The part with the people of a directory: whether it may be, and one page of those who stay.
pub(crate) fn part_step(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    found: &Directory,
    (said, before): (Governed, &Left),
    cause: Cause,
) -> Result<Left, ServiceError> {
    let after = before.after();
    must_reach(tx, caller, found)?;
    let highest = directory::highest_governed(tx, found.organization, found.id)?;
    may_reach(caller, highest)?;
    if found.kind == DirectoryKind::Claims && said != Governed::Keep {
        let left = hand_over_page(tx, moment, (found, after))?;
        if left != Left::Nothing {
            return Ok(left);
        }
    }
    match said {
        Governed::OffBoard => Ok(Left::Nothing),
        Governed::Unsaid if directory::count_governed(tx, found.organization, found.id)? > 0 => {
            Err(ServiceError::GovernsPeople)
        }
        Governed::Unsaid => Ok(Left::Nothing),
        Governed::Keep => {
            if *before == Left::All {
                must_keep_everybody(tx, moment, found)?;
            }
            keep_page(tx, moment, caller, (found, after), cause)
        }
    }
}

/// One page of the people whom claims govern. Another directory may govern some of them by now, and only the job has not come
/// by yet: those do not go along.
fn hand_over_page(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (found, after): (&Directory, &str),
) -> Result<Left, ServiceError> {
    let limit = i64::try_from(MAX_PER_CALL).unwrap_or(1);
    let people = membership::governed_by(tx, found.organization, found.id, after, limit)?;
    for member in &people {
        settled(tx, moment, found.organization, *member)?;
    }
    match people.last().filter(|_| people.len() >= MAX_PER_CALL) {
        Some(last) => Ok(Left::After(last.to_string())),
        None => Ok(Left::Nothing),
    }
}

/// One page of the people who are here because of the directory, those whom it governs first.
fn keep_page(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (found, after): (&Directory, &str),
    cause: Cause,
) -> Result<Left, ServiceError> {
    let limit = i64::try_from(MAX_PER_CALL).unwrap_or(1);
    let mut people = membership::governed_by(tx, found.organization, found.id, "", limit)?;
    let mut left = Left::After(after.to_owned());
    if people.len() < MAX_PER_CALL {
        let waiting = directory::waiting(tx, found.id, after, limit)?;
        left = match waiting.last().filter(|_| waiting.len() >= MAX_PER_CALL) {
            Some((last, _)) => Left::After(last.to_string()),
            None => Left::Nothing,
        };
        people.extend(waiting.into_iter().map(|(_, membership)| membership));
    }
    if !people.is_empty() && found.kind != DirectoryKind::Claims {
        end_tokens(tx, moment, found, cause)?;
    }
    for member in people {
        keep(tx, moment, caller, found, member, cause)?;
    }
    Ok(left)
}

/// Ends a directory, and everything that `with` says in the same step, with the people whom it still governs or whom
/// it alone brought: who never had life has nothing to lose, and would be left as somebody whom nobody invited.
///
/// A call that touches more than [`MAX_PER_CALL`] people writes its facts and marks them stale: from the commit on
/// whoever meets them finds that the directory which governs them is gone.
pub(crate) fn end(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    found: &Directory,
    (event, mut with): (EventDraft, Vec<Change>),
    cause: Cause,
) -> Result<(), ServiceError> {
    let limit = i64::try_from(MAX_PER_CALL).unwrap_or(1);
    let one_more = limit.saturating_add(1);
    let touched = mapping::affected_by_directory(tx, found.id, one_more)?;
    // Whoever it deleted above its brake is governed by it, and told of no more.
    let mut people = membership::governed_by(tx, found.organization, found.id, "", one_more)?;
    let few = touched.len() <= MAX_PER_CALL && people.len() <= MAX_PER_CALL;
    if few {
        people.extend(directory::waiting(tx, found.id, "", limit)?.into_iter().map(|(_, member)| member));
        people.sort();
        for member in people {
            off_board_member(tx, moment, found.organization, member, "the directory was deleted", cause)?;
            tell_of_others(tx, moment, (found.organization, member), Some(found.id))?;
        }
    } else {
        with.push(MembershipChange::LoseDirectory(found.id).into());
    }
    with.push(tokens(found, moment.now).into());
    with.push(DirectoryChange::Delete(found.id).into());
    let plan = Plan::because(found.organization, cause).then_all(event, with);
    let cause = moment.apply(tx, &plan)?.cause;
    if few {
        after_rule_change(tx, moment, found.organization, &touched, cause)?;
    }
    Ok(())
}

fn tokens(of: &Directory, at: Timestamp) -> TokenChange {
    TokenChange::ended(TokenSet::OfDirectory(of.id), TokenEnd::HolderDeleted, at)
}

/// Silences the directory before its people are gone through, so that it does not bring them back meanwhile.
fn end_tokens(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    of: &Directory,
    cause: Cause,
) -> Result<(), ServiceError> {
    let event = EventDraft::new(Action::DirectoryUpdated, of.id).with(json!({ "deletion": "begun" }));
    let plan = Plan::because(of.organization, cause).then(event, tokens(of, moment.now));
    moment.apply(tx, &plan)?;
    if of.kind == DirectoryKind::Google {
        google::silence(tx, of.id)?;
    }
    Ok(())
}

/// Gives a governed member life of their own, and as a grant the role that the directory gives.
fn keep(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    from: &Directory,
    id: MembershipId,
    cause: Cause,
) -> Result<(), ServiceError> {
    let now = moment.now;
    let member = settled(tx, moment, from.organization, id)?;
    if member.governed_by.is_some_and(|directory| directory != from.id) {
        return Ok(());
    }
    must_not_be_kept_as_told(tx, from, &member)?;
    let restamp = Restamp { id, governed_by: None, unmapped_at: None, rules_number: member.rules_number };
    let event =
        EventDraft::new(Action::MemberAccessChanged, id).about(from.id).with(json!({ "kept_from": from.id }));
    let plan = Plan::because(from.organization, cause).restamp(restamp);
    let mut plan = plan.then(event, MembershipChange::Join(id, now));
    let is_going = member.access.state == MembershipState::Suspended && member.suspended_at.is_none();
    if is_going || enters_production(tx, from, &member, now)? {
        // Somebody on the way out does not come back by this, nor does it let anybody into `production`.
        let event =
            EventDraft::new(Action::MemberSuspended, id).about(from.id).with(json!({ "kept_from": from.id }));
        plan = plan.then(event, MembershipChange::SetSuspended(id, Some((now, caller.rank()))));
    }
    if let Some(role) = given_by(tx, from, &member, now)? {
        let grant = Grant {
            id: GrantId::fresh(now, &mut moment.random),
            organization: from.organization,
            membership: id,
            role,
            granted_by: caller.membership(),
            reason: format!("kept when the directory `{}` was deleted", from.name),
            request: cause.request,
            created_at: now,
            ended_at: None,
        };
        let event = EventDraft::new(Action::GrantCreated, grant.id)
            .about(id)
            .with(json!({ "role": grant.role, "reason": grant.reason }));
        plan = plan.then(event, GrantChange::Create(grant));
    }
    if from.kind.tells_of_everybody() {
        plan = forget_claims(tx, plan, &member)?;
    }
    moment.apply(tx, &plan)?;
    Ok(())
}

/// Forgets what claims said of somebody whom the directory governed. They gave nothing meanwhile and nobody looked at what they
/// would give, so it does not come back with the end of the directory: they speak again at the next sign-in
/// ([why](../../../../docs/decisions/0058-claims-give-way-to-a-directory.md)).
fn forget_claims(tx: &mut Tx<'_>, mut plan: Plan, of: &Membership) -> Result<Plan, ServiceError> {
    for told in directory_user::of_membership(tx, of.id)? {
        let told_by = directory::find(tx, of.organization, told.directory)?;
        if told_by.is_some_and(|d| d.kind == DirectoryKind::Claims) {
            let event = EventDraft::new(Action::DirectoryUserDeleted, told.id).about(of.id);
            plan = plan.then(event, DirectoryUserChange::Delete(told.id));
        }
    }
    Ok(plan)
}

/// Refuses to make the organization's own what a directory calls somebody, by the word of whoever stood below them: by that
/// address they would come in as that member
/// ([why](../../../../docs/decisions/0054-a-word-is-worth-what-its-directory-gave-when-it-was-said.md)).
fn must_not_be_kept_as_told(
    tx: &mut Tx<'_>,
    from: &Directory,
    member: &Membership,
) -> Result<(), ServiceError> {
    // Whoever has life of their own keeps the address that they were invited at.
    if member.joined_at.is_some() {
        return Ok(());
    }
    let rank = rank_of(tx, member.organization, member.role())?;
    let told = directory_user::of_membership(tx, member.id)?;
    if told.iter().any(|told| told.directory == from.id && told.believed_up_to < rank) {
        return Err(ServiceError::ToldFromBelow(member.id));
    }
    Ok(())
}

/// Refuses before anything is done, if one of all who would stay may not be kept: half of them as members of their own, and a
/// directory that says no more who of the others leaves, is nothing that anybody asked for.
fn must_keep_everybody(tx: &mut Tx<'_>, moment: &Moment, from: &Directory) -> Result<(), ServiceError> {
    let doubtful = directory::told_from_below(tx, from.organization, from.id, bound(MAX_LIST))?;
    for id in &doubtful {
        let member = find_member(tx, from.organization, *id, moment.now)?;
        if member.governed_by.is_none_or(|directory| directory == from.id) {
            must_not_be_kept_as_told(tx, from, &member)?;
        }
    }
    if doubtful.len() >= MAX_LIST {
        // So many are in doubt only while a change of rules is being stored.
        return Err(tx.try_again("the rules that give these people something have just changed").into());
    }
    Ok(())
}

/// Whether somebody who acts elsewhere alone would come into `production` with the end of the directory, because nothing else
/// says where they belong
/// ([why](../../../../docs/decisions/0074-the-end-of-a-directory-lets-nobody-into-production.md)).
fn enters_production(
    tx: &mut Tx<'_>,
    from: &Directory,
    member: &Membership,
    now: Timestamp,
) -> Result<bool, ServiceError> {
    let production = Slug::production();
    if member.access.state != MembershipState::Active || member.access.environments.contains(&production) {
        return Ok(false);
    }
    let mut facts = facts::of(tx, member)?;
    (facts.joined_at, facts.governed_by) = (Some(now), None);
    // Claims are forgotten beside a directory that tells of everybody.
    let counts = |kind: DirectoryKind| kind.tells_of_everybody() || !from.kind.tells_of_everybody();
    facts.directories.retain(|told| told.directory != from.id && counts(told.kind));
    Ok(resolve(&facts, now).access.environments.contains(&production))
}

/// The role that this directory alone gives a member, if no person gave one that stands as high. What another directory gives
/// is that one's to take away again.
fn given_by(
    tx: &mut Tx<'_>,
    from: &Directory,
    member: &Membership,
    now: Timestamp,
) -> Result<Option<Slug>, ServiceError> {
    let mut facts = facts::of(tx, member)?;
    let granted = std::mem::take(&mut facts.grants).iter().map(|grant| grant.role.rank).max();
    facts.directories.retain(|told| told.directory == from.id);
    facts.matched.retain(|matched| matched.directory == from.id);
    let role = resolve(&facts, now).access.role;
    let rank = rank_of(tx, member.organization, role.as_ref())?;
    Ok(role.filter(|_| granted.is_none_or(|granted| granted < rank)))
}
