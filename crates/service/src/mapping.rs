//! Mappings: the people of this directory group, organizational unit or attribute value get this role, team,
//! environment.
//!
//! A mapping is a rule. Whom it touches is found through what it names; they are settled with it, or the rules number
//! is raised if they are too many.

use std::collections::BTreeSet;

use portcullis_domain::access::{Access, Matched, RankedRole, resolve};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{Change, HoldChange, MappingChange};
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::id::{DirectoryGroupId, MappingId, MembershipId, OrganizationId};
use portcullis_domain::mapping::{Facet, Gives, MAX_ATTRIBUTE_NAME, Mapping, MappingSource, unit_path};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::team::TeamRole;
use portcullis_domain::text::{MAX_IDENTIFIER, Slug, has_nul};
use portcullis_domain::{Refusal, Timestamp};
use portcullis_scim::facet::facet_key;
use portcullis_store::db::Lock;
use portcullis_store::{Tx, directory_group, facts, mapping, membership, role};
use serde_json::json;

use crate::caller::Caller;
use crate::claims::claim_key;
use crate::noun::Noun;
use crate::role::{mappable, must_not_outgrow, must_not_stand_above};
use crate::rules::{Carried, Higher, MAX_AT_ONCE, after_rule_change, listed};
use crate::{Moment, ServiceError, directory, environment, mask, team};

/// The most people on one page of a preview, as on one of any list. Each is resolved twice, where nobody waits for it.
pub const MAX_PREVIEWED: i64 = 200;

/// What a mapping is to be, in the words of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMapping {
    /// The directory's id.
    pub directory: String,
    /// Whom it is about.
    pub source: MappingSource,
    /// The slug of the role.
    pub role: Option<String>,
    /// The slug of the team, and what one is in it.
    pub team: Option<(String, TeamRole)>,
    /// The slug of the environment.
    pub environment: Option<String>,
}

impl NewMapping {
    /// The words that would make this mapping.
    #[must_use]
    pub fn like(mapping: &Mapping) -> Self {
        Self {
            directory: mapping.directory.to_string(),
            source: mapping.source.clone(),
            role: mapping.gives.role.as_ref().map(ToString::to_string),
            team: mapping.gives.team.as_ref().map(|(slug, role)| (slug.to_string(), *role)),
            environment: mapping.gives.environment.as_ref().map(ToString::to_string),
        }
    }
}

/// The mapping of that id.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: MappingId) -> Result<Mapping, ServiceError> {
    mapping::find(tx, organization, id)?.ok_or(ServiceError::NotFound(Noun::Mapping))
}

/// What is to be known of a mapping beside what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remarks {
    /// Another mapping that gives the same to the same: as long as it is there, deleting one of the two takes nothing.
    pub twin: Option<MappingId>,
    /// Whether it names a group that the directory does not tell of: it is about nobody then, as of an empty group.
    pub is_group_unknown: bool,
    /// Whether it keeps people out of `production` who may live on without it: whoever falls out of what it names comes in there.
    pub is_production_by_default: bool,
}

/// What is to be known of a mapping that is there, or that would be.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn remarks(tx: &mut Tx<'_>, of: &Mapping) -> Result<Remarks, ServiceError> {
    let is_group_unknown = match of.source {
        MappingSource::OrgUnit(_) | MappingSource::Attribute { .. } => false,
        MappingSource::GroupExternalId(_)
        | MappingSource::GroupId(_)
        | MappingSource::GroupDisplayName(_) => {
            mapping::groups_of_source(tx, of.directory, &of.source)?.is_empty()
        }
    };
    let is_production_by_default = keeps_apart(tx, of)?;
    Ok(Remarks { twin: mapping::twin(tx, of)?, is_group_unknown, is_production_by_default })
}

/// Whether a mapping gives another environment than `production` in a directory by which one may live without any: whom
/// nothing says one of has `production`.
fn keeps_apart(tx: &mut Tx<'_>, of: &Mapping) -> Result<bool, ServiceError> {
    let production = Slug::production();
    if of.gives.environment.as_ref().is_none_or(|given| *given == production) {
        return Ok(false);
    }
    let directory = directory::find(tx, of.organization, of.directory)?;
    Ok(directory.default_role.is_some()
        || mapping::is_any_without_environment(tx, of.organization, of.directory)?)
}

/// A page of mappings after the id `after`; of one directory, if it is named.
///
/// # Errors
/// [`ServiceError::NotFound`] for the directory.
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    of: Option<&str>,
    (after, limit): (&str, i64),
) -> Result<Vec<Mapping>, ServiceError> {
    // What cannot be a directory has no mappings, like an unknown one.
    let Ok(of) = of.map(str::parse).transpose() else { return Ok(Vec::new()) };
    Ok(mapping::list(tx, organization, of, Some(after), limit)?)
}

/// Makes a mapping, and gives what it gives.
///
/// # Errors
/// [`Refusal::RoleIsExplicitOnly`]; [`Refusal::AboveOwnRank`] for the role, and for somebody above the caller whom the mapping
/// would put out of an environment or give less of a role; [`Refusal::MappingGivesNothing`];
/// [`ServiceError::NotFound`] for what it names; [`ServiceError::TokenSeenBelow`] if whoever saw a token of the directory
/// stands below the role.
pub fn create(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    wish: &NewMapping,
    cause: Cause,
) -> Result<(Mapping, Carried), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let new = (MappingId::fresh(moment.now, &mut moment.random), moment.now);
    let made = checked(tx, caller.rank(), organization, wish, Kept::New(new))?;
    must_be_within(tx, &made, moment.now)?;
    let touched = touched(tx, &made)?;
    let change = MappingChange::Create(Box::new(made.clone()));
    let plan = Plan::because(organization, cause).then(event(Action::MappingCreated, &made), change);
    let higher = Higher::of(tx, caller, (organization, &[made.directory]), &touched, moment.now)?;
    let carried = carry_out(tx, moment, &plan, &touched)?;
    higher.must_lose_nothing(tx, organization, moment.now)?;
    Ok((made, carried))
}

/// Changes a mapping, for those whom it was about and those whom it is about now.
///
/// `changed` says what it is to be, from what it is.
///
/// # Errors
/// As [`create`]; [`ServiceError::NotFound`]; [`Refusal::AboveOwnRank`] for the role that it gave, too, and for somebody
/// above the caller who would be suspended, end, or have less.
pub fn update(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    (id, changed): (MappingId, impl FnOnce(NewMapping) -> Result<NewMapping, ServiceError>),
    cause: Cause,
) -> Result<(Mapping, Carried), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let was = find(tx, organization, id)?;
    must_not_stand_above(tx, caller, organization, was.gives.role.as_ref())?;
    let wish = changed(NewMapping::like(&was))?;
    let is = checked(tx, caller.rank(), organization, &wish, Kept::Stored(&was))?;
    if is == was {
        return Ok((is, Carried::Out));
    }
    must_be_within(tx, &is, moment.now)?;
    let mut touched = touched(tx, &was)?;
    let mut changes: Vec<Change> = vec![MappingChange::Update(Box::new(is.clone())).into()];
    if (is.directory, &is.source) != (was.directory, &was.source) {
        touched.extend(self::touched(tx, &is)?);
        touched.sort();
        touched.dedup();
        // INVARIANT: what somebody keeps of a group is what a mapping gives that is about it.
        changes.push(HoldChange::DropMapping(is.id).into());
    }
    let directories = Vec::from_iter(BTreeSet::from([was.directory, is.directory]));
    let higher = Higher::of(tx, caller, (organization, &directories), &touched, moment.now)?;
    let plan = Plan::because(organization, cause).then_all(event(Action::MappingUpdated, &is), changes);
    let carried = carry_out(tx, moment, &plan, &touched)?;
    higher.must_lose_nothing(tx, organization, moment.now)?;
    Ok((is, carried))
}

/// Deletes a mapping, and takes what it gave.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`Refusal::AboveOwnRank`] for the role that it gives, and for somebody above the caller who
/// would be suspended, end, or have less.
pub fn delete(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    id: MappingId,
    cause: Cause,
) -> Result<(), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let found = find(tx, organization, id)?;
    must_not_stand_above(tx, caller, organization, found.gives.role.as_ref())?;
    let touched = touched(tx, &found)?;
    let changes = vec![HoldChange::DropMapping(found.id).into(), MappingChange::Delete(found.id).into()];
    let plan = Plan::because(organization, cause).then_all(event(Action::MappingDeleted, &found), changes);
    let higher = Higher::of(tx, caller, (organization, &[found.directory]), &touched, moment.now)?;
    carry_out(tx, moment, &plan, &touched)?;
    higher.must_lose_nothing(tx, organization, moment.now)
}

/// Refuses a mapping by which whoever saw a token of its directory could give themselves more than they have.
fn must_be_within(tx: &mut Tx<'_>, of: &Mapping, now: Timestamp) -> Result<(), ServiceError> {
    let Some(slug) = &of.gives.role else { return Ok(()) };
    let rank = role::find_by_slug(tx, of.organization, slug)?.map_or(Rank::NONE, |role| role.rank);
    must_not_outgrow(tx, of.organization, (of.directory, rank), now)
}

/// The people whom a mapping names, with its groups locked: who joins one meanwhile waits, and finds the mapping.
fn touched(tx: &mut Tx<'_>, of: &Mapping) -> Result<Vec<MembershipId>, ServiceError> {
    for group in mapping::groups_of_source(tx, of.directory, &of.source)? {
        directory_group::find_locked(tx, of.directory, group)?;
    }
    Ok(mapping::affected(tx, of.directory, &of.source, listed())?)
}

fn carry_out(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    plan: &Plan,
    touched: &[MembershipId],
) -> Result<Carried, ServiceError> {
    let cause = moment.apply(tx, plan)?.cause;
    after_rule_change(tx, moment, plan.organization(), touched, cause)
}

/// What of a mapping is there already.
#[derive(Clone, Copy)]
enum Kept<'m> {
    /// Nothing: it is made now, with that id.
    New((MappingId, Timestamp)),
    /// All of this. What stays of it is not judged anew: it was right when it was said, and whoever changes the team cannot
    /// help that the group is gone since, or the role explicit only.
    Stored(&'m Mapping),
}

/// The mapping that these words make.
fn checked(
    tx: &mut Tx<'_>,
    giver: Rank,
    organization: OrganizationId,
    wish: &NewMapping,
    kept: Kept<'_>,
) -> Result<Mapping, ServiceError> {
    let ((id, created_at), was) = match kept {
        Kept::New(new) => (new, None),
        Kept::Stored(was) => ((was.id, was.created_at), Some(was)),
    };
    let named = wish.directory.parse().map_err(|_| ServiceError::NotFound(Noun::Directory))?;
    let of = directory::find(tx, organization, named)?;
    let source = match was.filter(|was| was.directory == of.id && was.source == wish.source) {
        Some(was) => was.source.clone(),
        None => check_source(tx, &of, &wish.source)?,
    };
    let stays = |slug: &str| was.and_then(|was| was.gives.role.clone()).filter(|role| role.as_str() == slug);
    let role = match &wish.role {
        Some(slug) => match stays(slug) {
            Some(role) => Some(role),
            None => Some(mappable(tx, giver, organization, ("role", slug))?.slug),
        },
        None => None,
    };
    let team = match &wish.team {
        Some((slug, team_role)) => Some((team::named(tx, organization, slug)?.slug, *team_role)),
        None => None,
    };
    let environment = match &wish.environment {
        Some(slug) => Some(environment::named(tx, organization, slug)?.slug),
        None => None,
    };
    let gives = Gives { role, team, environment };
    if gives.is_empty() {
        return Err(Refusal::MappingGivesNothing.into());
    }
    Ok(Mapping { id, organization, directory: of.id, source, gives, created_at })
}

/// The source in the spelling that is compared, if it can be one of this directory.
fn check_source(
    tx: &mut Tx<'_>,
    of: &Directory,
    source: &MappingSource,
) -> Result<MappingSource, ServiceError> {
    match source {
        MappingSource::GroupExternalId(text) | MappingSource::GroupDisplayName(text) => {
            check_group(text)?;
        }
        MappingSource::GroupId(text) => {
            check_group(text)?;
            // Ids are ours: a group has one only when the directory has told of it.
            let unknown = || ServiceError::NotFound(Noun::Group);
            let id: DirectoryGroupId = text.parse().map_err(|_| unknown())?;
            directory_group::find(tx, of.id, id)?.ok_or_else(unknown)?;
        }
        MappingSource::OrgUnit(path) => {
            if !of.kind.has_org_units() {
                return Err(Refusal::NoOrgUnits.into());
            }
            let path = unit_path(path).ok_or_else(|| {
                ServiceError::invalid("org_unit", "is a path from `/`, such as `/Sales/EMEA`")
            })?;
            return Ok(MappingSource::OrgUnit(path));
        }
        MappingSource::Attribute { name, value, .. } => {
            let name_key = attribute_key(of.kind, name)?;
            if Facet::attribute(&name_key, value).is_none() {
                let message = format!("`value` must be 1–{MAX_IDENTIFIER} bytes of text");
                return Err(ServiceError::invalid("attribute", message));
            }
            return Ok(MappingSource::Attribute { name: name.clone(), name_key, value: value.clone() });
        }
    }
    Ok(source.clone())
}

fn check_group(text: &str) -> Result<(), ServiceError> {
    if text.trim().is_empty() || text.len() > MAX_IDENTIFIER || has_nul(text) {
        return Err(ServiceError::invalid("group", format!("must be 1–{MAX_IDENTIFIER} bytes of text")));
    }
    Ok(())
}

/// The one spelling of an attribute's name, as the directory's protocol has it.
fn attribute_key(kind: DirectoryKind, name: &str) -> Result<String, ServiceError> {
    let invalid = |why: &dyn std::fmt::Display| {
        let plain: String = name.chars().filter(|c| !c.is_control()).collect();
        ServiceError::invalid("attribute", format!("`{}` {why}", mask::shown(&plain)))
    };
    if name.len() > MAX_ATTRIBUTE_NAME {
        return Err(invalid(&"is longer than any name of an attribute"));
    }
    match kind {
        DirectoryKind::Scim => facet_key(name).map_err(|why| invalid(&why)),
        DirectoryKind::Claims => claim_key(name).map_err(|why| invalid(&why)),
        DirectoryKind::Google => {
            Err(invalid(&"is not known of Google's people: map a group or an organizational unit"))
        }
    }
}

/// What one person would gain and lose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The membership.
    pub member: MembershipId,
    /// The address that stands for it.
    pub email: String,
    /// The name.
    pub name: String,
    /// What it has now.
    pub before: Access,
    /// What it would have.
    pub after: Access,
}

impl Difference {
    fn is_any(&self) -> bool {
        let (b, a) = (&self.before, &self.after);
        (&b.state, &b.role, &b.teams, &b.environments) != (&a.state, &a.role, &a.teams, &a.environments)
    }
}

/// What a mapping would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// What is to be known of the mapping before it is made.
    pub remarks: Remarks,
    /// How many people it is about.
    pub people: i64,
    /// How many of them would have something else; `None` if they are too many to be gone through at once.
    pub changing: Option<i64>,
    /// Those on this page who would.
    pub page: Vec<Difference>,
    /// Where the next page begins.
    pub next: Option<MembershipId>,
}

/// Who would gain and lose what by a mapping. Writes nothing, so it asks nobody's rank.
///
/// # Errors
/// As [`create`], rank apart.
pub fn preview(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    wish: &NewMapping,
    (after, limit): (&str, i64),
) -> Result<Preview, ServiceError> {
    let now = moment.now;
    let new = (MappingId::fresh(now, &mut moment.random), now);
    let wished = checked(tx, Rank::ROOT, organization, wish, Kept::New(new))?;
    let matched = would_match(tx, &wished)?;
    let people = mapping::count_affected(tx, wished.directory, &wished.source)?;
    let limit = limit.clamp(1, MAX_PREVIEWED);
    let mut ids =
        mapping::page_affected(tx, wished.directory, &wished.source, (after, limit.saturating_add(1)))?;
    let most = usize::try_from(limit).unwrap_or(0);
    let more = ids.len() > most;
    ids.truncate(most);
    let next = ids.last().copied().filter(|_| more);
    let page = differences(tx, organization, &ids, &matched, now)?;
    let few = usize::try_from(people).is_ok_and(|people| people <= MAX_AT_ONCE);
    let changing = if few {
        // Those whom it is about, as on every page: who only keeps what they had is none of them.
        let all = mapping::page_affected(tx, wished.directory, &wished.source, ("", listed()))?;
        let changing = differences(tx, organization, &all, &matched, now)?.len();
        i64::try_from(changing).ok()
    } else {
        None
    };
    Ok(Preview { remarks: remarks(tx, &wished)?, people, changing, page, next })
}

/// The mapping as resolution would meet it, for whoever is in the group.
fn would_match(tx: &mut Tx<'_>, wished: &Mapping) -> Result<Option<Matched>, ServiceError> {
    let group = match wished.source {
        MappingSource::OrgUnit(_) | MappingSource::Attribute { .. } => None,
        _ => {
            let groups = mapping::groups_of_source(tx, wished.directory, &wished.source)?;
            let Some(first) = groups.first().copied() else { return Ok(None) };
            Some(first)
        }
    };
    let role = match &wished.gives.role {
        Some(slug) => role::find_by_slug(tx, wished.organization, slug)?,
        None => None,
    };
    Ok(Some(Matched {
        mapping: wished.id,
        directory: wished.directory,
        group,
        request: None,
        role: role.map(RankedRole::from),
        team: wished.gives.team.clone(),
        environment: wished.gives.environment.clone(),
    }))
}

fn differences(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    ids: &[MembershipId],
    matched: &Option<Matched>,
    now: Timestamp,
) -> Result<Vec<Difference>, ServiceError> {
    let mut found = Vec::new();
    for id in ids {
        let Some(member) = membership::find(tx, organization, *id)? else { continue };
        let mut facts = facts::of(tx, &member)?;
        let before = resolve(&facts, now).access;
        facts.matched.extend(matched.clone());
        let after = resolve(&facts, now).access;
        let difference = Difference { member: *id, email: member.email, name: member.name, before, after };
        if difference.is_any() {
            found.push(difference);
        }
    }
    Ok(found)
}

fn event(action: Action, of: &Mapping) -> EventDraft {
    let team = of.gives.team.as_ref().map(|(slug, role)| json!({ "slug": slug, "role": role.as_str() }));
    let attribute = match &of.source {
        MappingSource::Attribute { name, .. } => Some(name),
        _ => None,
    };
    EventDraft::new(action, of.id).about(of.directory).with(json!({
        "source": of.source.key().0,
        "value": of.source.written(),
        "attribute": attribute,
        "role": of.gives.role.as_ref().map(Slug::as_str),
        "team": team,
        "environment": of.gives.environment,
    }))
}
