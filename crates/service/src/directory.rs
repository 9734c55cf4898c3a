//! Directories: sources of facts about people and groups, and the tokens by which providers speak for them.
//!
//! Who may speak for a directory can put anybody into its groups, so its tokens belong to those who stand as high as
//! the highest role that it gives; and where a connection lets in whomever it names, to those who stand as high as whoever
//! it governs.

use std::sync::Arc;

use portcullis_domain::Timestamp;
use portcullis_domain::access::{By, Given};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::brake::{Above, Brake};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{
    Change, DirectoryChange, GrantChange, MembershipChange, Restamp, TokenChange, TokenSet,
};
use portcullis_domain::directory::{DEFAULT_SETTLE_S, Directory, DirectoryKind, MAX_SETTLE_S};
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{DirectoryId, GrantId, MembershipId, OrganizationId, TokenId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{Rank, may_give};
use portcullis_domain::text::{Slug, name};
use portcullis_domain::token::{Holder, TokenEnd, TokenKind};
use portcullis_store::db::Lock;
use portcullis_store::token::TokenView;
use portcullis_store::{Priority, Tx, directory, directory_user, google, mapping, membership, token};
use serde_json::json;

use crate::access::off_board_member;
use crate::caller::Caller;
use crate::google::consent::withdraw;
use crate::member_key::{Draft, Issued, end_one, issue_named};
use crate::membership::{rank_of, settled};
use crate::role::{mappable, must_not_outgrow, must_not_stand_above, named};
use crate::rules::{Carried, MAX_PER_CALL, after_rule_change, listed};
use crate::{Moment, Portcullis, ServiceError};

const NOUN: &str = "directory";

/// What a directory is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDirectory {
    /// Its name for people.
    pub name: String,
    /// The slug of the role of people in no mapped group.
    pub default_role: Option<String>,
    /// Seconds from the loss of the last granting group to the end.
    pub settle_s: Option<i64>,
    /// Whether groups inside groups count.
    pub nesting: Nesting,
    /// What holds endings above a limit; `None` if nothing does.
    pub brake: Option<Brake>,
}

/// Whether members of a group that is a member of another count as members of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nesting {
    /// They do not; what the directory says of groups in groups is kept all the same.
    #[default]
    Off,
    /// They do.
    On,
}

impl Nesting {
    /// Since when they count, if they did since `before`.
    fn since(self, before: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Off => None,
            Self::On => before.or(Some(now)),
        }
    }
}

/// Which parts of a directory are to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryChanges {
    /// Its name for people.
    pub name: Option<String>,
    /// The slug of the role of people in no mapped group; `Some(None)` takes it away.
    pub default_role: Option<Option<String>>,
    /// Seconds from the loss of the last granting group to the end.
    pub settle_s: Option<i64>,
    /// Whether groups inside groups count.
    pub nesting: Option<Nesting>,
    /// What holds endings above a limit; `Some(None)` switches it off.
    pub brake: Option<Option<Brake>>,
}

/// What becomes of the people whom a deleted directory governs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Governed {
    /// Nothing was said: it is deleted only if it governs nobody.
    Unsaid,
    /// They stay as members of their own, with the role that they have as a grant; the suspended stay suspended.
    Keep,
    /// They are off-boarded, each with a receipt.
    OffBoard,
}

/// The directory of that id, as it stands in a path or body.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: &str) -> Result<Directory, ServiceError> {
    let id: DirectoryId = id.parse().map_err(|_| ServiceError::NotFound(NOUN))?;
    directory::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))
}

/// A page of directories after the id `after`.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: &str,
    limit: i64,
) -> Result<Vec<Directory>, ServiceError> {
    Ok(directory::list(tx, organization, Some(after), limit)?)
}

/// Makes a SCIM directory and its first token.
///
/// # Errors
/// [`portcullis_domain::Refusal::RoleIsExplicitOnly`] and [`portcullis_domain::Refusal::AboveOwnRank`] for the default
/// role; [`ServiceError::NotFound`] if there is none of that slug.
pub fn create(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    wish: &NewDirectory,
    cause: Cause,
) -> Result<(Directory, Issued), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let made = Directory {
        id: DirectoryId::fresh(moment.now, &mut moment.random),
        organization,
        kind: DirectoryKind::Scim,
        name: name(&wish.name)?,
        default_role: default_role(tx, caller, organization, wish.default_role.as_deref())?,
        settle_s: settle_s(wish.settle_s.unwrap_or(DEFAULT_SETTLE_S))?,
        nested_at: wish.nesting.since(None, moment.now),
        brake: wish.brake,
        connection: None,
        created_at: moment.now,
    };
    let event = EventDraft::new(Action::DirectoryCreated, made.id).with(shown(&made));
    let plan = Plan::because(organization, cause).then(event, DirectoryChange::Create(made.clone()));
    moment.apply(tx, &plan)?;
    let issued = issue(tx, moment, caller, &made, None, cause)?;
    Ok((made, issued))
}

/// Changes a directory, and everybody whom that touches.
///
/// # Errors
/// As [`create`]; [`ServiceError::TokenSeenBelow`] if whoever saw a token of it stands below the default role.
pub fn update(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    (id, changes): (&str, &DirectoryChanges),
    cause: Cause,
) -> Result<(Directory, Carried), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let was = find(tx, organization, id)?;
    let mut is = was.clone();
    if let Some(called) = &changes.name {
        is.name = name(called)?;
    }
    // Each lets people in, or keeps them, whom the mappings give more than the caller may.
    if changes.settle_s.is_some() || changes.nesting.is_some() || changes.brake.is_some() {
        must_reach(tx, caller, &was)?;
    }
    if let Some(seconds) = changes.settle_s {
        is.settle_s = settle_s(seconds)?;
    }
    if let Some(nesting) = changes.nesting {
        may_nest(was.kind, nesting)?;
        is.nested_at = nesting.since(was.nested_at, moment.now);
    }
    if let Some(brake) = changes.brake {
        may_brake(was.kind, brake)?;
        is.brake = brake;
    }
    if let Some(slug) = &changes.default_role
        && slug.as_deref() != was.default_role.as_ref().map(Slug::as_str)
    {
        must_not_stand_above(tx, caller, organization, was.default_role.as_ref())?;
        is.default_role = default_role(tx, caller, organization, slug.as_deref())?;
        if let Some(slug) = &is.default_role {
            let rank = named(tx, organization, slug.as_str())?.rank;
            must_not_outgrow(tx, organization, (was.id, rank), moment.now)?;
        }
    }
    if is == was {
        return Ok((is, Carried::Out));
    }
    let event = EventDraft::new(Action::DirectoryUpdated, is.id)
        .with(json!({ "from": shown(&was), "to": shown(&is) }));
    let plan = Plan::because(organization, cause).then(event, DirectoryChange::Update(is.clone()));
    let cause = moment.apply(tx, &plan)?.cause;
    let as_before = |d: &Directory| (d.default_role.clone(), d.settle_s, d.nested_at);
    if as_before(&is) == as_before(&was) {
        return Ok((is, Carried::Out));
    }
    let touched = mapping::affected_by_directory(tx, is.id, listed())?;
    let carried = after_rule_change(tx, moment, organization, &touched, cause)?;
    Ok((is, carried))
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
    (id, governed): (String, Governed),
    cause: Cause,
) -> Result<(), ServiceError> {
    let asked = id.clone();
    let source = portcullis.read(move |tx, _| match find(tx, organization, &asked) {
        Ok(found) => Ok(google::source(tx, organization, found.id)?),
        Err(_) => Ok(None),
    });
    let source = source.await?;
    step_by_step(portcullis, move |tx, moment, after| {
        tx.lock(Lock::Organization(organization))?;
        let found = find(tx, organization, &id)?;
        if directory::is_used(tx, organization, found.id)? {
            return Err(ServiceError::InUse(NOUN));
        }
        let left = part_step(tx, moment, &caller, &found, (governed, after), cause)?;
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
    /// More people; those who wait, after this directory user.
    After(String),
    /// Nothing: it is gone.
    Nothing,
}

/// Runs the steps of a deletion, each in a transaction of its own, until nothing is left.
pub(crate) async fn step_by_step(
    portcullis: &Portcullis,
    step: impl Fn(&mut Tx<'_>, &mut Moment, &str) -> Result<Left, ServiceError> + Send + Sync + 'static,
) -> Result<(), ServiceError> {
    let step = Arc::new(step);
    let mut left = Left::After(String::new());
    while let Left::After(after) = left {
        let step = Arc::clone(&step);
        left = portcullis.write(Priority::OffBoarding, move |tx, moment| step(tx, moment, &after)).await?;
    }
    Ok(())
}

/// The part with the people of a directory: whether it may be, and one page of those who stay.
pub(crate) fn part_step(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    found: &Directory,
    (said, after): (Governed, &str),
    cause: Cause,
) -> Result<Left, ServiceError> {
    must_reach(tx, caller, found)?;
    let highest = directory::highest_governed(tx, found.organization, found.id)?;
    may_reach(caller, highest)?;
    match said {
        Governed::OffBoard => Ok(Left::Nothing),
        Governed::Unsaid if directory::count_governed(tx, found.organization, found.id)? > 0 => {
            Err(ServiceError::GovernsPeople)
        }
        Governed::Unsaid => Ok(Left::Nothing),
        Governed::Keep => keep_page(tx, moment, caller, (found, after), cause),
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
    let touched = mapping::affected_by_directory(tx, found.id, limit.saturating_add(1))?;
    let few = touched.len() <= MAX_PER_CALL;
    if few {
        let mut people = membership::governed_by(tx, found.organization, found.id, "", limit)?;
        people.extend(directory::waiting(tx, found.id, "", limit)?.into_iter().map(|(_, member)| member));
        people.sort();
        for member in people {
            off_board_member(tx, moment, found.organization, member, "the directory was deleted", cause)?;
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
    TokenChange::End {
        set: TokenSet::OfDirectory(of.id),
        because: TokenEnd::HolderDeleted,
        at,
        receipt: None,
    }
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

/// Gives a governed member life of their own, and the role that the directory gave as a grant.
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
    must_not_be_told_from_below(tx, from, &member)?;
    let restamp = Restamp { id, governed_by: None, unmapped_at: None, rules_number: member.rules_number };
    let event =
        EventDraft::new(Action::MemberAccessChanged, id).about(from.id).with(json!({ "kept_from": from.id }));
    let plan = Plan::because(from.organization, cause).restamp(restamp);
    let mut plan = plan.then(event, MembershipChange::Join(id, now));
    if member.access.state == MembershipState::Suspended && member.suspended_at.is_none() {
        // Somebody on the way out does not come back by this.
        let event =
            EventDraft::new(Action::MemberSuspended, id).about(from.id).with(json!({ "kept_from": from.id }));
        plan = plan.then(event, MembershipChange::SetSuspended(id, Some((now, caller.rank()))));
    }
    if let Some(role) = given_by_automation(&member) {
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
    moment.apply(tx, &plan)?;
    Ok(())
}

/// Refuses to make the organization's own what a directory calls somebody, by the word of whoever stood below them: by that
/// address they would come in as that member
/// ([why](../../../docs/decisions/0054-a-word-is-worth-what-its-directory-gave-when-it-was-said.md)).
fn must_not_be_told_from_below(
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
        return Err(ServiceError::ToldFromBelow(member.id.to_string()));
    }
    Ok(())
}

/// The member's role, if no person gave it.
fn given_by_automation(member: &Membership) -> Option<Slug> {
    let role = member.role()?.clone();
    let of_role = |by: By| by == By::Grant;
    let granted = member.access.reasons.iter().any(|r| of_role(r.by) && r.gives == Given::Role(role.clone()));
    (!granted).then_some(role)
}

/// A page of a directory's tokens, ended ones too, after the id `after`.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn list_tokens(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<TokenView>, ServiceError> {
    let holder = Holder::Directory(find(tx, organization, id)?.id);
    Ok(token::list_of_kind(tx, organization, (holder, TokenKind::ScimToken), after, limit)?)
}

/// One of a directory's tokens.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find_token(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (id, token): (&str, &str),
) -> Result<TokenView, ServiceError> {
    let unknown = || ServiceError::NotFound("token");
    let holder = Holder::Directory(find(tx, organization, id)?.id);
    let token: TokenId = token.parse().map_err(|_| unknown())?;
    let found = portcullis_store::token::find(tx, organization, token)?;
    found.filter(|t| t.kind == TokenKind::ScimToken && t.holder == holder).ok_or_else(unknown)
}

/// Issues one more token of a directory; several may be valid at once, so that a provider changes over without a gap.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`portcullis_domain::Refusal::AboveOwnRank`]; an instant in the past; a directory of claims.
pub fn issue_token(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    (id, expires_at): (&str, Option<Timestamp>),
    cause: Cause,
) -> Result<Issued, ServiceError> {
    // What the directory gives stays as it is until the token is there.
    tx.lock(Lock::Rules(organization))?;
    let found = find(tx, organization, id)?;
    if found.kind != DirectoryKind::Scim {
        return Err(ServiceError::invalid("directory", "has no tokens: nobody pushes to it"));
    }
    may_speak_for(tx, caller, &found)?;
    issue(tx, moment, caller, &found, expires_at, cause)
}

fn issue(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    of: &Directory,
    expires_at: Option<Timestamp>,
    cause: Cause,
) -> Result<Issued, ServiceError> {
    let draft = Draft {
        organization: of.organization,
        kind: TokenKind::ScimToken,
        holder: Holder::Directory(of.id),
        parent: caller.parent()?,
        shown_to: caller.shown_to(),
        name: of.name.clone(),
        environment: None,
        scopes: vec![],
        expires_at,
    };
    issue_named(tx, moment, draft, cause)
}

/// Ends one of a directory's tokens: whoever may, may silence it. One that ended already stays as it is.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`portcullis_domain::Refusal::AboveOwnRank`].
pub fn revoke_token(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    (id, token): (&str, &str),
    cause: Cause,
) -> Result<(), ServiceError> {
    let of = find(tx, organization, id)?;
    let found = find_token(tx, organization, (id, token))?;
    may_speak_for(tx, caller, &of)?;
    end_one(tx, moment, organization, &found, cause)
}

/// May the caller have to do with the tokens of this directory, by which its people are named and ended?
pub(crate) fn may_speak_for(tx: &mut Tx<'_>, caller: &Caller, of: &Directory) -> Result<(), ServiceError> {
    must_reach(tx, caller, of)?;
    may_reach(caller, directory::highest_lent(tx, of.organization, of.id)?)
}

/// May the caller have to do with what this directory can give?
pub(crate) fn must_reach(tx: &mut Tx<'_>, caller: &Caller, of: &Directory) -> Result<(), ServiceError> {
    let highest = directory::highest_given(tx, of.organization, of.id)?;
    may_reach(caller, highest)
}

fn may_reach(caller: &Caller, rank: Option<Rank>) -> Result<(), ServiceError> {
    Ok(may_give(caller.rank(), rank.unwrap_or(Rank::NONE))?)
}

pub(crate) fn default_role(
    tx: &mut Tx<'_>,
    caller: &Caller,
    organization: OrganizationId,
    slug: Option<&str>,
) -> Result<Option<Slug>, ServiceError> {
    slug.map(|slug| mappable(tx, caller.rank(), organization, slug).map(|role| role.slug)).transpose()
}

/// Only a provider that speaks SCIM tells of groups in groups: Google's are told flat, claims know none.
pub(crate) fn may_nest(kind: DirectoryKind, nesting: Nesting) -> Result<(), ServiceError> {
    match (kind, nesting) {
        (DirectoryKind::Scim, _) | (_, Nesting::Off) => Ok(()),
        (DirectoryKind::Claims | DirectoryKind::Google, Nesting::On) => {
            Err(ServiceError::NotAvailable("nested"))
        }
    }
}

/// Claims speak of one person at a time, who is there: nothing is braked. Google is asked: nobody would hear a refusal.
pub(crate) fn may_brake(kind: DirectoryKind, brake: Option<Brake>) -> Result<(), ServiceError> {
    match (kind, brake.map(|brake| brake.above)) {
        (DirectoryKind::Scim, _) | (DirectoryKind::Google, Some(Above::Hold)) | (_, None) => Ok(()),
        (DirectoryKind::Google, Some(Above::Refuse)) => Err(ServiceError::NotAvailable("brake.above")),
        (DirectoryKind::Claims, Some(_)) => Err(ServiceError::NotAvailable("brake")),
    }
}

pub(crate) fn settle_s(seconds: i64) -> Result<i64, ServiceError> {
    if (0..=MAX_SETTLE_S).contains(&seconds) {
        return Ok(seconds);
    }
    Err(ServiceError::invalid("settle_s", format!("must be 0–{MAX_SETTLE_S} seconds")))
}

/// A directory as an audit event shows it.
pub(crate) fn shown(of: &Directory) -> serde_json::Value {
    json!({
        "kind": of.kind.as_str(),
        "name": of.name,
        "default_role": of.default_role,
        "settle_s": of.settle_s,
        "nested": of.nested_at.is_some(),
        "brake": of.brake,
    })
}
