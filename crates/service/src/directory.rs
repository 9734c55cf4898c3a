//! Directories: sources of facts about people and groups, and the tokens by which providers speak for them.
//!
//! Who may speak for a directory can put anybody into its groups, so its tokens belong to those who stand as high as
//! the highest role that it gives; and where a connection lets in whomever it names, to those who stand as high as whoever
//! it governs.

mod deletion;
mod token;

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::brake::{Above, Brake};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::DirectoryChange;
use portcullis_domain::directory::{DEFAULT_SETTLE_S, Directory, DirectoryKind, MAX_SETTLE_S};
use portcullis_domain::id::{DirectoryId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{Rank, may_give};
use portcullis_domain::text::{Slug, name};
use portcullis_store::db::Lock;
use portcullis_store::{Tx, directory, mapping};
use serde_json::json;

use self::token::issue;
use crate::caller::Caller;
use crate::noun::Noun;
use crate::organization::must_live;
use crate::role::{mappable, must_not_outgrow, must_not_stand_above, named};
use crate::rules::{Carried, Higher, after_rule_change, listed};
use crate::token::Issued;
use crate::{Moment, ServiceError};

pub use deletion::{Governed, delete};
pub(crate) use deletion::{Left, end, part_step, step_by_step};
pub(crate) use token::may_speak_for;
pub use token::{find_token, issue_token, list_tokens, revoke_token};

const NOUN: Noun = Noun::Directory;

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

/// The directory of that id.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: DirectoryId,
) -> Result<Directory, ServiceError> {
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
    must_live(tx, organization)?;
    let made = Directory {
        id: DirectoryId::fresh(moment.now, &mut moment.random),
        organization,
        kind: DirectoryKind::Scim,
        name: name(&wish.name).map_err(ServiceError::text("name"))?,
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
/// As [`create`]; [`ServiceError::TokenSeenBelow`] if whoever saw a token of it stands below the default role;
/// [`portcullis_domain::Refusal::AboveOwnRank`] for somebody above the caller who would be suspended or end.
pub fn update(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    (id, changes): (DirectoryId, &DirectoryChanges),
    cause: Cause,
) -> Result<(Directory, Carried), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let was = find(tx, organization, id)?;
    let mut is = was.clone();
    if let Some(called) = &changes.name {
        is.name = name(called).map_err(ServiceError::text("name"))?;
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
            let rank = named(tx, organization, ("default_role", slug.as_str()))?.rank;
            must_not_outgrow(tx, organization, (was.id, rank), moment.now)?;
        }
    }
    if is == was {
        return Ok((is, Carried::Out));
    }
    let event = EventDraft::new(Action::DirectoryUpdated, is.id)
        .with(json!({ "from": shown(&was), "to": shown(&is) }));
    let plan = Plan::because(organization, cause).then(event, DirectoryChange::Update(is.clone()));
    let as_before = |d: &Directory| (d.default_role.clone(), d.settle_s, d.nested_at);
    if as_before(&is) == as_before(&was) {
        moment.apply(tx, &plan)?;
        return Ok((is, Carried::Out));
    }
    let touched = mapping::affected_by_directory(tx, is.id, listed())?;
    let higher = Higher::of(tx, caller, (organization, &[is.id]), &touched, moment.now)?;
    let cause = moment.apply(tx, &plan)?.cause;
    let carried = after_rule_change(tx, moment, organization, &touched, cause)?;
    higher.must_lose_nothing(tx, organization, moment.now)?;
    Ok((is, carried))
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
    let Some(slug) = slug else { return Ok(None) };
    Ok(Some(mappable(tx, caller.rank(), organization, ("default_role", slug))?.slug))
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
