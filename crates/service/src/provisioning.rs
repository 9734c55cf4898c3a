//! What a directory says of people and groups, kept as it was said, and carried out before its answer.
//!
//! Whatever the protocol (SCIM now), it ends here: facts are written, then [`crate::access`] decides for each
//! membership that they touch. Saying the same again writes nothing.

use std::collections::{BTreeSet, HashSet};

use portcullis_domain::access::{DirectoryFacts, PersonFacts, RankedRole, Statement, resolve};
use portcullis_domain::audit::{Action, EventDraft, Target};
use portcullis_domain::cause::{Actor, Cause, CauseKind};
use portcullis_domain::change::{
    DirectoryGroupChange, DirectoryUserChange, MembershipChange, TombstoneChange, UserChange,
};
use portcullis_domain::directory::Directory;
use portcullis_domain::directory_group::DirectoryGroup;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{
    DirectoryGroupId, DirectoryId, DirectoryUserId, MembershipId, OrganizationId, RequestId, UserId,
};
use portcullis_domain::membership::Membership;
use portcullis_domain::plan::Plan;
use portcullis_domain::text::{MAX_IDENTIFIER, domain_of, email_key, has_nul, name_key};
use portcullis_domain::tombstone::Identifier;
use portcullis_domain::user::User;
use portcullis_store::{
    Tx, apply, directory, directory_group, directory_user, domain, facts, mapping, membership, role,
};
use serde_json::json;

use crate::access::{settle, settle_as};
use crate::error::DirectoryRefusal;
use crate::rules::after_facts;
use crate::{Moment, ServiceError};

/// The most members that one call may name.
pub const MAX_MEMBERS_PER_CALL: usize = 100_000;
/// How many ids an audit event shows of a list; the count is always whole.
const MAX_SHOWN: usize = 20;

/// Which directory speaks, in which request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker {
    /// Its organization.
    pub organization: OrganizationId,
    /// The directory.
    pub directory: DirectoryId,
    /// The request.
    pub request: RequestId,
}

impl Speaker {
    /// The cause of everything that follows from this call.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        Cause {
            kind: CauseKind::Scim,
            actor: Actor::Directory(self.directory),
            request: Some(self.request),
            event: None,
            directory: Some(self.directory),
        }
    }
}

/// What a directory says of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSaid {
    /// The directory's own key.
    pub external_id: Option<String>,
    /// The name it signs them in with.
    pub user_name: String,
    /// The display name; empty if there is none.
    pub display_name: String,
    /// E-mail addresses as written, the primary one first.
    pub emails: Vec<String>,
    /// Whether the person is active; `None` keeps what was said before (active for a new person).
    pub active: Option<bool>,
    /// Every attribute as JSON text.
    pub attributes: String,
}

impl PersonSaid {
    fn check(&self) -> Result<(), ServiceError> {
        let invalid = |field, message: &str| {
            Err(DirectoryRefusal::InvalidValue { field, message: message.to_owned() }.into())
        };
        if self.user_name.trim().is_empty() {
            return invalid("userName", "must not be empty");
        }
        let long = |text: &str| text.len() > MAX_IDENTIFIER;
        if long(&self.user_name) || self.external_id.as_deref().is_some_and(long) {
            return invalid("userName", "userName and externalId have at most 1,024 bytes");
        }
        if has_nul(&self.user_name) || has_nul(&self.attributes) || has_nul(&self.display_name) {
            return invalid("userName", "U+0000 cannot be stored");
        }
        Ok(())
    }

    /// Keys of the addresses that are any, without repetition.
    fn email_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for key in self.emails.iter().filter_map(|e| email_key(e).ok()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The address that stands for the person here: the primary e-mail, or a user name that is one.
    fn address(&self) -> String {
        let primary = self.emails.iter().find(|e| email_key(e).is_ok()).cloned();
        primary.unwrap_or_else(|| self.user_name.clone())
    }

    fn identifiers(&self, directory: DirectoryId) -> Vec<Identifier> {
        let mut all = vec![Identifier::user_name(&self.user_name)];
        all.extend(self.email_keys().iter().map(|k| Identifier::email(k)));
        all.extend(email_key(&self.user_name).ok().map(|k| Identifier::email(&k)));
        all.extend(self.external_id.iter().map(|e| Identifier::external_id(directory, e)));
        all.sort();
        all.dedup();
        all
    }
}

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
    let directory = directory::find(tx, speaker.organization, speaker.directory)?
        .ok_or(ServiceError::NotFound("directory"))?;
    let now = moment.now;
    let known = recognize(tx, &directory, said)?;
    let rules_number = facts::rules_number(tx, speaker.organization)?;
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
        attributes: said.attributes.clone(),
        created_at: now,
        updated_at: now,
    };
    let event = EventDraft::new(Action::DirectoryUserCreated, Target::new("directory_user", user.id))
        .about(Target::new("membership", membership))
        .with(json!({ "active": user.inactive_at.is_none(), "recognized": known.is_some() }));
    let mut changes = vec![DirectoryUserChange::Create(Box::new(user.clone())).into()];
    if user.inactive_at.is_none() {
        // The directory names them anew; what the former person had stays behind (tombstones of subjects too).
        let named = said.identifiers(speaker.directory);
        changes.push(TombstoneChange::LiftNamed(speaker.organization, named).into());
    }
    let mut plan = Plan::because(speaker.organization, speaker.cause()).then_all(event, changes);
    if known.is_none() {
        plan = new_member(tx, moment, plan, &directory, said, (&user, rules_number))?;
    }
    let applied = apply(tx, &plan, now, &mut moment.random)?;
    if known.is_some() || user.inactive_at.is_some() {
        let cause = applied.events.first().map_or_else(|| speaker.cause(), |e| speaker.cause().after(*e));
        settle(tx, moment, membership, cause)?;
    }
    Ok(user)
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
        Some(slug) => role::find_by_slug(tx, directory.organization, slug)?.map(|r| RankedRole {
            slug: r.slug,
            rank: r.rank,
            giving: r.giving,
        }),
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
    };
    let resolved = resolve(&facts, now);
    let member = User { id: UserId::fresh(now, &mut moment.random), created_at: now, ended_at: None };
    let membership = Membership {
        id: user.membership,
        organization: directory.organization,
        user: member.id,
        email: said.address(),
        name: said.display_name.clone(),
        joined_at: None,
        governed_by: resolved.governed_by,
        suspended_at: None,
        unmapped_at: None,
        ended: None,
        bare_owner_at: None,
        rules_number,
        created_at: now,
        access: resolved.access,
    };
    let event = EventDraft::new(Action::MemberCreated, Target::new("membership", membership.id))
        .about(Target::new("directory_user", user.id))
        .with(json!({ "state": membership.access.state.as_str(), "role": membership.access.role }));
    Ok(plan.then_all(
        event,
        vec![UserChange::Create(member).into(), MembershipChange::Create(Box::new(membership)).into()],
    ))
}

/// Somebody whom the organization knows already: exactly one membership that has not ended has one of these addresses,
/// its domain is proven, and this directory does not tell of it yet.
fn recognize(
    tx: &mut Tx<'_>,
    directory: &Directory,
    said: &PersonSaid,
) -> Result<Option<Membership>, ServiceError> {
    let mut found: Vec<Membership> = Vec::new();
    let keys: BTreeSet<String> =
        said.email_keys().into_iter().chain(email_key(&said.user_name).ok()).collect();
    for key in keys {
        let owner = domain::find_proven(tx, domain_of(&key))?;
        if owner.is_none_or(|d| d.organization != directory.organization) {
            continue;
        }
        for candidate in membership::by_email(tx, directory.organization, &key)? {
            if candidate.ended.is_none() && found.iter().all(|f| f.id != candidate.id) {
                found.push(candidate);
            }
        }
    }
    let [only] = found.as_slice() else { return Ok(None) };
    let told = directory_user::of_membership(tx, only.id)?;
    Ok((!told.iter().any(|u| u.directory == directory.id)).then(|| only.clone()))
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
    let old =
        directory_user::find_locked(tx, speaker.directory, id)?.ok_or(ServiceError::NotFound("user"))?;
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
        attributes: said.attributes.clone(),
        ..old.clone()
    };
    if new == old {
        // Said again: nothing is written. A membership that is out of step is settled all the same.
        return Ok(old);
    }
    let new = DirectoryUser { updated_at: moment.now, ..new };
    let action = match (old.inactive_at, new.inactive_at) {
        (None, Some(_)) => Action::DirectoryUserDeactivated,
        (Some(_), None) => Action::DirectoryUserActivated,
        _ => Action::DirectoryUserUpdated,
    };
    let event = EventDraft::new(action, Target::new("directory_user", id))
        .about(Target::new("membership", new.membership));
    let plan = Plan::because(speaker.organization, speaker.cause())
        .then(event, DirectoryUserChange::Update(Box::new(new.clone())));
    let applied = apply(tx, &plan, moment.now, &mut moment.random)?;
    if old.inactive_at != new.inactive_at {
        let cause = applied.events.first().map_or_else(|| speaker.cause(), |e| speaker.cause().after(*e));
        settle(tx, moment, new.membership, cause)?;
    }
    Ok(new)
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
    let user =
        directory_user::find_locked(tx, speaker.directory, id)?.ok_or(ServiceError::NotFound("user"))?;
    let event = EventDraft::new(Action::DirectoryUserDeleted, Target::new("directory_user", id))
        .about(Target::new("membership", user.membership));
    let plan =
        Plan::because(speaker.organization, speaker.cause()).then(event, DirectoryUserChange::Delete(id));
    let applied = apply(tx, &plan, moment.now, &mut moment.random)?;
    let cause = applied.events.first().map_or_else(|| speaker.cause(), |e| speaker.cause().after(*e));
    settle_as(tx, moment, user.membership, cause, Some(speaker.directory))?;
    Ok(())
}

/// What a directory says of a group's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupSaid {
    /// Its name.
    DisplayName(String),
    /// The directory's own key.
    ExternalId(Option<String>),
    /// These are members too.
    AddMembers(Vec<DirectoryUserId>),
    /// These are members no longer.
    RemoveMembers(Vec<DirectoryUserId>),
    /// Exactly these are members.
    ReplaceMembers(Vec<DirectoryUserId>),
}

/// Tells of a new group.
///
/// # Errors
/// [`DirectoryRefusal::UnknownMember`] if a member is nobody whom the directory told of.
pub fn create_group(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    (display_name, external_id): (&str, Option<&str>),
    members: &[DirectoryUserId],
) -> Result<DirectoryGroup, ServiceError> {
    check_name(display_name, external_id)?;
    let group = DirectoryGroup {
        id: DirectoryGroupId::fresh(moment.now, &mut moment.random),
        organization: speaker.organization,
        directory: speaker.directory,
        external_id: external_id.map(str::to_owned),
        display_name: display_name.to_owned(),
        created_at: moment.now,
        updated_at: moment.now,
    };
    let event = EventDraft::new(Action::DirectoryGroupCreated, Target::new("directory_group", group.id))
        .with(json!({ "display_name": display_name, "external_id": external_id }));
    let plan = Plan::because(speaker.organization, speaker.cause())
        .then(event, DirectoryGroupChange::Create(group.clone()));
    apply(tx, &plan, moment.now, &mut moment.random)?;
    if !members.is_empty() {
        change_group(tx, moment, speaker, group.id, &[GroupSaid::AddMembers(members.to_vec())])?;
    }
    Ok(group)
}

fn check_name(display_name: &str, external_id: Option<&str>) -> Result<(), ServiceError> {
    let bad = display_name.trim().is_empty()
        || display_name.len() > MAX_IDENTIFIER
        || has_nul(display_name)
        || external_id.is_some_and(|e| e.len() > MAX_IDENTIFIER || has_nul(e));
    if bad {
        let message = "has 1 to 1,024 bytes and no U+0000".to_owned();
        return Err(DirectoryRefusal::InvalidValue { field: "displayName", message }.into());
    }
    Ok(())
}

/// Changes a group, all of it or nothing. Costs what changes, not what the group holds.
///
/// # Errors
/// [`ServiceError::NotFound`] for a group that the directory did not tell of, [`DirectoryRefusal::UnknownMember`] for
/// a member that it did not.
pub fn change_group(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryGroupId,
    said: &[GroupSaid],
) -> Result<DirectoryGroup, ServiceError> {
    let old =
        directory_group::find_locked(tx, speaker.directory, id)?.ok_or(ServiceError::NotFound("group"))?;
    let mut group = old.clone();
    let mut touched: HashSet<DirectoryUserId> = HashSet::new();
    let mut first = None;
    for one in said {
        let (add, remove) = match one {
            GroupSaid::DisplayName(name) => {
                check_name(name, None)?;
                name.clone_into(&mut group.display_name);
                continue;
            }
            GroupSaid::ExternalId(external_id) => {
                check_name(&group.display_name, external_id.as_deref())?;
                group.external_id.clone_from(external_id);
                continue;
            }
            GroupSaid::AddMembers(users) => (must_be_known(tx, speaker, users)?, Vec::new()),
            GroupSaid::RemoveMembers(users) => (Vec::new(), distinct(users)),
            GroupSaid::ReplaceMembers(users) => difference(tx, speaker, id, users)?,
        };
        let event = change_members(tx, moment, speaker, id, (add, remove), &mut touched)?;
        first = first.or(event);
    }
    let renamed =
        name_key(&old.display_name) != name_key(&group.display_name) || old.external_id != group.external_id;
    if group.display_name != old.display_name || renamed {
        group.updated_at = moment.now;
        let event =
            EventDraft::new(Action::DirectoryGroupUpdated, Target::new("directory_group", id)).with(json!({
                "from": { "display_name": old.display_name, "external_id": old.external_id },
                "to": { "display_name": group.display_name, "external_id": group.external_id },
            }));
        let plan = Plan::because(speaker.organization, speaker.cause())
            .then(event, DirectoryGroupChange::Update(group.clone()));
        let applied = apply(tx, &plan, moment.now, &mut moment.random)?;
        first = first.or(applied.events.first().copied());
    }
    let mapped = is_mapped(tx, &group)?;
    if renamed && (mapped || is_mapped(tx, &old)?) {
        touched.extend(all_members(tx, id)?);
    } else if !mapped {
        touched.clear();
    }
    let cause = first.map_or_else(|| speaker.cause(), |e| speaker.cause().after(e));
    let touched: Vec<DirectoryUserId> = touched.into_iter().collect();
    after_facts(tx, moment, speaker.organization, &touched, cause)?;
    Ok(group)
}

fn is_mapped(tx: &mut Tx<'_>, group: &DirectoryGroup) -> Result<bool, ServiceError> {
    let name = name_key(&group.display_name);
    Ok(mapping::is_group_mapped(tx, group.directory, group.id, group.external_id.as_deref(), &name)?)
}

fn distinct(users: &[DirectoryUserId]) -> Vec<DirectoryUserId> {
    users.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
}

fn must_be_known(
    tx: &mut Tx<'_>,
    speaker: Speaker,
    users: &[DirectoryUserId],
) -> Result<Vec<DirectoryUserId>, ServiceError> {
    if users.len() > MAX_MEMBERS_PER_CALL {
        let message = format!("at most {MAX_MEMBERS_PER_CALL} members in one call");
        return Err(DirectoryRefusal::InvalidValue { field: "members", message }.into());
    }
    let users = distinct(users);
    let known = directory_user::known(tx, speaker.directory, &users)?;
    match users.iter().find(|id| !known.contains(id)) {
        Some(id) => Err(DirectoryRefusal::UnknownMember(id.to_string()).into()),
        None => Ok(users),
    }
}

fn all_members(tx: &mut Tx<'_>, id: DirectoryGroupId) -> Result<Vec<DirectoryUserId>, ServiceError> {
    const PAGE: i64 = 1000;
    let mut all: Vec<DirectoryUserId> = Vec::new();
    loop {
        let after = all.last().map_or_else(String::new, ToString::to_string);
        let page = directory_group::members(tx, id, &after, PAGE)?;
        let last = page.len() < 1000;
        all.extend(page.into_iter().map(|(user, _)| user));
        if last {
            return Ok(all);
        }
    }
}

/// A replaced list is a fact; only what differs is written.
fn difference(
    tx: &mut Tx<'_>,
    speaker: Speaker,
    id: DirectoryGroupId,
    users: &[DirectoryUserId],
) -> Result<(Vec<DirectoryUserId>, Vec<DirectoryUserId>), ServiceError> {
    let before: HashSet<DirectoryUserId> = all_members(tx, id)?.into_iter().collect();
    let wanted: HashSet<DirectoryUserId> = users.iter().copied().collect();
    let new: Vec<DirectoryUserId> = wanted.difference(&before).copied().collect();
    let add = must_be_known(tx, speaker, &new)?;
    let remove: Vec<DirectoryUserId> = before.difference(&wanted).copied().collect();
    Ok((add, distinct(&remove)))
}

fn change_members(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryGroupId,
    (add, remove): (Vec<DirectoryUserId>, Vec<DirectoryUserId>),
    touched: &mut HashSet<DirectoryUserId>,
) -> Result<Option<portcullis_domain::id::EventId>, ServiceError> {
    let present = directory_group::present(tx, id, &add)?;
    let add: Vec<DirectoryUserId> = add.into_iter().filter(|u| !present.contains(u)).collect();
    let present = directory_group::present(tx, id, &remove)?;
    let remove: Vec<DirectoryUserId> = remove.into_iter().filter(|u| present.contains(u)).collect();
    if add.is_empty() && remove.is_empty() {
        return Ok(None);
    }
    touched.extend(add.iter().chain(&remove));
    let shown = |ids: &[DirectoryUserId]| ids.iter().take(MAX_SHOWN).copied().collect::<Vec<_>>();
    let event = EventDraft::new(Action::DirectoryGroupMembersChanged, Target::new("directory_group", id))
        .with(json!({
            "added": add.len(), "removed": remove.len(),
            "first_added": shown(&add), "first_removed": shown(&remove),
        }));
    let mut changes = Vec::new();
    if !add.is_empty() {
        changes.push(DirectoryGroupChange::AddMembers(id, add, Some(speaker.request)).into());
    }
    if !remove.is_empty() {
        changes.push(DirectoryGroupChange::RemoveMembers(id, remove).into());
    }
    let plan = Plan::because(speaker.organization, speaker.cause()).then_all(event, changes);
    let applied = apply(tx, &plan, moment.now, &mut moment.random)?;
    Ok(applied.events.first().copied())
}

/// Deletes a group: nobody is in it any more.
///
/// # Errors
/// [`ServiceError::NotFound`] for a group that the directory did not tell of.
pub fn delete_group(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryGroupId,
) -> Result<(), ServiceError> {
    let group =
        directory_group::find_locked(tx, speaker.directory, id)?.ok_or(ServiceError::NotFound("group"))?;
    let touched = if is_mapped(tx, &group)? { all_members(tx, id)? } else { Vec::new() };
    let event = EventDraft::new(Action::DirectoryGroupDeleted, Target::new("directory_group", id))
        .with(json!({ "display_name": group.display_name, "external_id": group.external_id }));
    let plan =
        Plan::because(speaker.organization, speaker.cause()).then(event, DirectoryGroupChange::Delete(id));
    let applied = apply(tx, &plan, moment.now, &mut moment.random)?;
    let cause = applied.events.first().map_or_else(|| speaker.cause(), |e| speaker.cause().after(*e));
    after_facts(tx, moment, speaker.organization, &touched, cause)?;
    Ok(())
}
