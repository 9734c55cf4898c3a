//! Groups as a directory tells of them. Here apart from people, because a group is changed by what differs: nothing
//! reads fifty thousand members to add one.

use std::collections::{BTreeSet, HashSet};

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::change::{DirectoryGroupChange, HoldChange};
use portcullis_domain::directory_group::DirectoryGroup;
use portcullis_domain::id::{DirectoryGroupId, DirectoryUserId, EventId, MappingId};
use portcullis_domain::plan::Plan;
use portcullis_domain::text::{MAX_IDENTIFIER, has_nul, name_key};
use portcullis_store::db::Lock;
use portcullis_store::directory_group::DirectoryGroupQuery;
use portcullis_store::row::bound;
use portcullis_store::{Tx, UniqueKey, directory_group, directory_user, hold, mapping, subgroup};
use serde_json::json;

use super::{Speaker, nesting};
use crate::brake::{self, Loss};
use crate::error::{DirectoryRefusal, Taken};
use crate::noun::Noun;
use crate::rules::{MAX_PER_CALL, after_facts};
use crate::{Moment, ServiceError};

/// The most members that one call may name.
pub const MAX_MEMBERS_PER_CALL: usize = 100_000;
/// How many ids an audit event shows of a list; the count is always whole.
const MAX_SHOWN: usize = 20;
/// How many members are read at a time.
const MEMBERS_PAGE: i64 = 1000;

/// What a directory says of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupSaid {
    /// Its name.
    DisplayName(String),
    /// The directory's own key.
    ExternalId(Option<String>),
    /// The people in it.
    Members(MembersSaid),
    /// The groups in it.
    Groups(GroupsSaid),
}

/// What a directory says of the people in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembersSaid {
    /// These are members too.
    Add(Vec<DirectoryUserId>),
    /// These are members no longer.
    Remove(Vec<DirectoryUserId>),
    /// These are members no longer: a list that leaves them out says so, nobody named them.
    Lose(Vec<DirectoryUserId>),
    /// Exactly these people are members.
    Replace(Vec<DirectoryUserId>),
}

/// What a directory says of the groups in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupsSaid {
    /// These are members too.
    Add(Vec<DirectoryGroupId>),
    /// These are members no longer.
    Remove(Vec<DirectoryGroupId>),
    /// Exactly these groups are members.
    Replace(Vec<DirectoryGroupId>),
}

impl GroupSaid {
    /// Whether somebody may be in the group no longer by it.
    #[must_use]
    pub const fn takes_out(&self) -> bool {
        match self {
            Self::DisplayName(_) | Self::ExternalId(_) => false,
            Self::Members(said) => match said {
                MembersSaid::Add(_) => false,
                MembersSaid::Remove(_) | MembersSaid::Lose(_) | MembersSaid::Replace(_) => true,
            },
            Self::Groups(said) => match said {
                GroupsSaid::Add(_) => false,
                GroupsSaid::Remove(_) | GroupsSaid::Replace(_) => true,
            },
        }
    }

    /// Whether it can move more people than it names, where a group holds groups.
    const fn moves_groups(&self) -> bool {
        match self {
            Self::Members(_) => false,
            Self::DisplayName(_) | Self::ExternalId(_) | Self::Groups(_) => true,
        }
    }

    const fn names_groups(&self) -> bool {
        match self {
            Self::DisplayName(_) | Self::ExternalId(_) | Self::Members(_) => false,
            Self::Groups(
                GroupsSaid::Add(groups) | GroupsSaid::Remove(groups) | GroupsSaid::Replace(groups),
            ) => !groups.is_empty(),
        }
    }
}

/// What groups are said to be in a group is a rule: it is changed while nobody resolves access. Taken before any other
/// lock. Everything else keeps the rules as they are.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn lock_rules(
    tx: &mut Tx<'_>,
    speaker: Speaker,
    id: Option<DirectoryGroupId>,
    said: &[GroupSaid],
) -> Result<(), ServiceError> {
    if said.iter().any(GroupSaid::names_groups) {
        tx.lock(Lock::Organization(speaker.organization))?;
        return Ok(());
    }
    lock_rules_where(tx, speaker, |tx| {
        let Some(id) = id.filter(|_| said.iter().any(GroupSaid::moves_groups)) else { return Ok(false) };
        Ok(!subgroup::children(tx, id, "", 1)?.is_empty())
    })
}

/// Holds the organization alone where a group is one of groups in groups, else keeps its rules as they are.
fn lock_rules_where(
    tx: &mut Tx<'_>,
    speaker: Speaker,
    is_nested: impl Fn(&mut Tx<'_>) -> Result<bool, ServiceError>,
) -> Result<(), ServiceError> {
    if is_nested(tx)? {
        tx.lock(Lock::Organization(speaker.organization))?;
        return Ok(());
    }
    tx.lock(Lock::Rules(speaker.organization))?;
    if !tx.has(&Lock::Organization(speaker.organization)) && is_nested(tx)? {
        return Err(tx.try_again("this group was put into another or another into it a moment ago").into());
    }
    Ok(())
}

/// Tells of a new group. Its name must be new too: a provider that lost our answer tries again, and a second group
/// of the same name would go on giving access after the provider has taken people out of the first.
///
/// # Errors
/// [`DirectoryRefusal::UnknownMember`] if a member is nobody whom the directory told of, [`ServiceError::Taken`] if
/// the directory has a group of that name.
pub fn create_group(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    (display_name, external_id): (&str, Option<&str>),
    members: &[DirectoryUserId],
) -> Result<DirectoryGroup, ServiceError> {
    check_name(display_name, external_id)?;
    tx.lock(Lock::Rules(speaker.organization))?;
    must_be_free(tx, speaker, display_name, None)?;
    let group = DirectoryGroup {
        id: DirectoryGroupId::fresh(moment.now, &mut moment.random),
        organization: speaker.organization,
        directory: speaker.directory,
        external_id: external_id.map(str::to_owned),
        display_name: display_name.to_owned(),
        created_at: moment.now,
        updated_at: moment.now,
    };
    let event = EventDraft::new(Action::DirectoryGroupCreated, group.id)
        .with(json!({ "display_name": display_name, "external_id": external_id }));
    let plan = Plan::because(speaker.organization, speaker.cause())
        .then(event, DirectoryGroupChange::Create(group.clone()));
    moment.apply(tx, &plan)?;
    if !members.is_empty() {
        change_group(
            tx,
            moment,
            speaker,
            group.id,
            &[GroupSaid::Members(MembersSaid::Add(members.to_vec()))],
        )?;
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

/// Refuses a name that another group of the directory has. The names are locked, because two groups that come at once
/// lock no row that both would meet.
fn must_be_free(
    tx: &mut Tx<'_>,
    speaker: Speaker,
    display_name: &str,
    own: Option<DirectoryGroupId>,
) -> Result<(), ServiceError> {
    tx.lock(Lock::GroupNames(speaker.directory))?;
    let query = DirectoryGroupQuery::DisplayName(display_name.to_owned());
    let same = directory_group::query(tx, speaker.directory, &query, 2)?;
    if same.iter().any(|g| Some(g.id) != own) {
        return Err(ServiceError::Taken(Taken::Key(UniqueKey::DirectoryGroupDisplayName)));
    }
    Ok(())
}

/// The name that a change ends with, if it says one and the group has another.
fn new_name<'s>(
    tx: &mut Tx<'_>,
    speaker: Speaker,
    id: DirectoryGroupId,
    said: &'s [GroupSaid],
) -> Result<Option<&'s str>, ServiceError> {
    if !said.iter().any(|one| matches!(one, GroupSaid::DisplayName(_))) {
        return Ok(None);
    }
    let before =
        directory_group::find(tx, speaker.directory, id)?.ok_or(ServiceError::NotFound(Noun::Group))?;
    Ok(new_name_of(&before, said))
}

fn new_name_of<'s>(before: &DirectoryGroup, said: &'s [GroupSaid]) -> Option<&'s str> {
    let last = said.iter().rev().find_map(|one| match one {
        GroupSaid::DisplayName(name) => Some(name.as_str()),
        _ => None,
    });
    last.filter(|name| name_key(name) != name_key(&before.display_name))
}

/// Whom a call touches by what it says of members.
#[derive(Debug, Default)]
struct Touched {
    people: HashSet<DirectoryUserId>,
    /// Those of them who were taken out.
    taken_out: Vec<DirectoryUserId>,
    /// Of whom nothing is held any more: they lose what they kept, whatever the group gives or is called now.
    unheld: Vec<DirectoryUserId>,
}

/// Changes a group, all of it or nothing. Costs what changes, not what the group holds.
///
/// # Errors
/// [`ServiceError::NotFound`] for a group that the directory did not tell of, [`DirectoryRefusal::UnknownMember`] for
/// a member that it did not, [`ServiceError::Taken`] for the name of another group.
pub fn change_group(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryGroupId,
    said: &[GroupSaid],
) -> Result<DirectoryGroup, ServiceError> {
    lock_rules(tx, speaker, Some(id), said)?;
    let named = new_name(tx, speaker, id, said)?;
    if let Some(name) = named {
        // The names before the group: locks are taken in one order.
        must_be_free(tx, speaker, name, Some(id))?;
    }
    let old = directory_group::find_locked(tx, speaker.directory, id)?
        .ok_or(ServiceError::NotFound(Noun::Group))?;
    if named.is_none() && new_name_of(&old, said).is_some() {
        return Err(tx.try_again("this group got another name a moment ago").into());
    }
    let mut group = old.clone();
    let mut touched = Touched::default();
    let mut moved: BTreeSet<DirectoryGroupId> = BTreeSet::new();
    let mut first = None;
    for one in said {
        let event = match one {
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
            GroupSaid::Members(said) => say_members(tx, moment, speaker, &old, said, &mut touched)?,
            GroupSaid::Groups(said) => nesting::change(tx, moment, speaker, &old, said, &mut moved)?,
        };
        if event.is_some() {
            group.updated_at = moment.now;
        }
        first = first.or(event);
    }
    let renamed =
        name_key(&old.display_name) != name_key(&group.display_name) || old.external_id != group.external_id;
    if group.display_name != old.display_name || renamed {
        group.updated_at = moment.now;
        let event = rename(tx, moment, speaker, (&old, &group))?;
        first = first.or(event);
    }
    let mapped = is_mapped(tx, &group)? || nesting::is_mapped_above(tx, id)?;
    let cause = first.map_or_else(|| speaker.cause(), |e| speaker.cause().after(e));
    if renamed && (mapped || is_mapped(tx, &old)?) {
        touched.people.extend(all_members(tx, id)?);
        moved.extend(nesting::children(tx, speaker.directory, id)?);
    } else if !mapped {
        touched.people.clear();
        touched.taken_out.clear();
        moved.clear();
    }
    touched.people.extend(&touched.unheld);
    if touched.people.len() > MAX_PER_CALL {
        brake::refuse_many(tx, moment, speaker, &touched.taken_out)?;
    }
    let touched: Vec<DirectoryUserId> = touched.people.into_iter().collect();
    after_facts(tx, moment, speaker.organization, &touched, cause)?;
    nesting::after_move(tx, moment, speaker, moved, cause)?;
    Ok(group)
}

/// Writes another name or key. Mappings that went by the old one find nobody any more, though nobody was named.
fn rename(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    (old, group): (&DirectoryGroup, &DirectoryGroup),
) -> Result<Option<EventId>, ServiceError> {
    let id = group.id;
    let before = mapping::of_groups(tx, &[id])?;
    let event = write_name(tx, moment, speaker, (old, group))?;
    let after = mapping::of_groups(tx, &[id])?;
    let lost: Vec<MappingId> = before.into_iter().filter(|mapping| !after.contains(mapping)).collect();
    if !lost.is_empty() {
        let children = nesting::children(tx, speaker.directory, id)?;
        let own = all_members(tx, id)?;
        lose_what(tx, moment, speaker, old, Losing { own, below: &children, mappings: &lost })?;
    }
    Ok(event)
}

/// Gives groups other names all at once, where each waits for one that another has. Access is settled when all of them are
/// called as they are to be: nobody ends by what a group was called in between.
///
/// # Errors
/// [`ServiceError::NotFound`] for a group that the directory did not tell of, [`ServiceError::Taken`] for the name of a group
/// that is none of these.
pub(crate) fn rename_together(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    names: &[(DirectoryGroupId, String)],
) -> Result<(), ServiceError> {
    let ids: BTreeSet<DirectoryGroupId> = names.iter().map(|(id, _)| *id).collect();
    lock_rules_where(tx, speaker, |tx| {
        let mut nested = ids.iter().map(|id| Ok(!subgroup::children(tx, *id, "", 1)?.is_empty()));
        nested.try_fold(false, |any, one: Result<bool, ServiceError>| Ok(any || one?))
    })?;
    tx.lock(Lock::GroupNames(speaker.directory))?;
    let mut olds = Vec::new();
    for id in &ids {
        let old = directory_group::find_locked(tx, speaker.directory, *id)?;
        olds.push(old.ok_or(ServiceError::NotFound(Noun::Group))?);
    }
    let before = mapped_by(tx, &olds)?;
    // Aside first, each under its id, which is nobody's name: two that swap have no other way past each other.
    for old in &olds {
        let aside =
            DirectoryGroup { display_name: old.id.to_string(), updated_at: moment.now, ..old.clone() };
        write_name(tx, moment, speaker, (old, &aside))?;
    }
    let mut cause = None;
    for old in &olds {
        let Some((_, name)) = names.iter().find(|(id, _)| *id == old.id) else { continue };
        check_name(name, None)?;
        must_be_free(tx, speaker, name, Some(old.id))?;
        let aside = DirectoryGroup { display_name: old.id.to_string(), ..old.clone() };
        let group = DirectoryGroup { display_name: name.clone(), updated_at: moment.now, ..old.clone() };
        cause = cause.or(write_name(tx, moment, speaker, (&aside, &group))?);
    }
    let after = mapped_by(tx, &olds)?;
    let (mut touched, mut moved) = (BTreeSet::new(), BTreeSet::new());
    for ((old, before), after) in olds.iter().zip(&before).zip(&after) {
        if before == after {
            continue;
        }
        let (own, children) = (all_members(tx, old.id)?, nesting::children(tx, speaker.directory, old.id)?);
        touched.extend(own.iter().copied());
        moved.extend(children.iter().copied());
        let lost: Vec<MappingId> = before.difference(after).copied().collect();
        lose_what(tx, moment, speaker, old, Losing { own, below: &children, mappings: &lost })?;
    }
    let cause = cause.map_or_else(|| speaker.cause(), |event| speaker.cause().after(event));
    let touched: Vec<DirectoryUserId> = touched.into_iter().collect();
    after_facts(tx, moment, speaker.organization, &touched, cause)?;
    nesting::after_move(tx, moment, speaker, moved, cause)
}

/// The mappings of each of these groups, as they are called now.
fn mapped_by(tx: &mut Tx<'_>, groups: &[DirectoryGroup]) -> Result<Vec<BTreeSet<MappingId>>, ServiceError> {
    groups.iter().map(|group| Ok(mapping::of_groups(tx, &[group.id])?.into_iter().collect())).collect()
}

fn write_name(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    (old, group): (&DirectoryGroup, &DirectoryGroup),
) -> Result<Option<EventId>, ServiceError> {
    let event = EventDraft::new(Action::DirectoryGroupUpdated, group.id).with(json!({
        "from": { "display_name": old.display_name, "external_id": old.external_id },
        "to": { "display_name": group.display_name, "external_id": group.external_id },
    }));
    let plan = Plan::because(speaker.organization, speaker.cause())
        .then(event, DirectoryGroupChange::Update(group.clone()));
    Ok(moment.apply(tx, &plan)?.events.first().copied())
}

/// Who comes in and who goes by this. Whoever is named is held no longer; what nobody stated may be held.
fn say_members(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    old: &DirectoryGroup,
    said: &MembersSaid,
    touched: &mut Touched,
) -> Result<Option<EventId>, ServiceError> {
    let (named, come, go) = match said {
        MembersSaid::Add(users) => {
            let users = must_be_known(tx, speaker, users)?;
            let present = directory_group::present(tx, old.id, &users)?;
            let come = users.iter().filter(|user| !present.contains(user)).copied().collect();
            (Named::In(users), come, Vec::new())
        }
        MembersSaid::Remove(users) => {
            let users = distinct(users);
            let go = only_present(tx, old.id, &users)?;
            (Named::Out(users), Vec::new(), go)
        }
        MembersSaid::Lose(users) => (Named::Nobody, Vec::new(), only_present(tx, old.id, &distinct(users))?),
        MembersSaid::Replace(users) => {
            let (come, go) = difference(tx, speaker, old.id, users)?;
            (Named::In(come.clone()), come, go)
        }
    };
    // Whoever deletes them meanwhile would not see them here, and they would stay in the list for ever. Before the brake,
    // as whoever deletes them has it behind their row.
    if let Some(gone) = directory_user::first_gone(tx, speaker.directory, &come)? {
        return Err(DirectoryRefusal::UnknownMember(gone.to_string()).into());
    }
    if matches!(said, MembersSaid::Replace(_)) {
        lose(tx, moment, speaker, old, &go)?;
    }
    touched.unheld.extend(name_held(tx, moment, speaker, old.id, &named)?);
    change_members(tx, moment, speaker, old, (come, go), touched)
}

/// These members are about to be taken out of a group that a list leaves them out of: above the brake's limit they keep
/// what it gave.
///
/// # Errors
/// [`ServiceError::NotFound`] for a group that the directory did not tell of.
pub(crate) fn lose_members(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryGroupId,
    users: &[DirectoryUserId],
) -> Result<(), ServiceError> {
    tx.lock(Lock::Rules(speaker.organization))?;
    let group = directory_group::find_locked(tx, speaker.directory, id)?
        .ok_or(ServiceError::NotFound(Noun::Group))?;
    lose(tx, moment, speaker, &group, users)
}

/// What people lose who are in a group no longer, and whom nobody named: above the brake's limit they keep it.
pub(super) fn lose(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    group: &DirectoryGroup,
    users: &[DirectoryUserId],
) -> Result<(), ServiceError> {
    if users.is_empty() {
        return Ok(());
    }
    let mappings = nesting::mappings_from(tx, group.id)?;
    let members = [(group.id, users.to_vec())];
    let loss = Loss { group: (group.id, &group.display_name), members: &members, mappings: &mappings };
    brake::hold_loss(tx, moment, speaker, &loss)
}

/// The same for these people and for everybody in these groups and below them.
pub(super) fn lose_below(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    group: &DirectoryGroup,
    (own, below): (Vec<DirectoryUserId>, &BTreeSet<DirectoryGroupId>),
) -> Result<(), ServiceError> {
    let mappings = nesting::mappings_from(tx, group.id)?;
    lose_what(tx, moment, speaker, group, Losing { own, below, mappings: &mappings })
}

/// Who loses what a group gave.
struct Losing<'l> {
    /// Those in the group itself.
    own: Vec<DirectoryUserId>,
    /// The groups of which everybody loses it, and everybody below them.
    below: &'l BTreeSet<DirectoryGroupId>,
    /// What gave it.
    mappings: &'l [MappingId],
}

/// Reads who is below only where it matters: they may be a whole company.
fn lose_what(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    group: &DirectoryGroup,
    Losing { own, below, mappings }: Losing<'_>,
) -> Result<(), ServiceError> {
    if mappings.is_empty() || !brake::is_on(tx, speaker)? {
        return Ok(());
    }
    let mut members = vec![(group.id, own)];
    members.extend(nesting::members_below(tx, below)?);
    let loss = Loss { group: (group.id, &group.display_name), members: &members, mappings };
    brake::hold_loss(tx, moment, speaker, &loss)
}

/// Whom a call names, and as what.
enum Named {
    /// As members.
    In(Vec<DirectoryUserId>),
    /// As members no longer: what groups above gave by this one goes with it.
    Out(Vec<DirectoryUserId>),
    /// Nobody by name.
    Nobody,
}

/// Whoever is named is held no longer: what is said of them counts. Gives back whom that touches.
fn name_held(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryGroupId,
    named: &Named,
) -> Result<Vec<DirectoryUserId>, ServiceError> {
    let (users, goes_out) = match named {
        Named::In(users) => (users, false),
        Named::Out(users) => (users, true),
        Named::Nobody => return Ok(Vec::new()),
    };
    let mut kept = hold::kept_of(tx, users)?;
    if kept.is_empty() {
        return Ok(Vec::new());
    }
    // Of a group that a mapping is about no longer, because it is gone or called otherwise, this one has taken the place.
    let own = mapping::of_groups(tx, &[id])?;
    let mut followed = Vec::new();
    for one in kept.keys().filter(|one| own.contains(&one.mapping)) {
        if !mapping::of_groups(tx, &[one.group])?.contains(&one.mapping) {
            followed.push(*one);
        }
    }
    kept.retain(|one, _| one.group == id || (goes_out && one.through == id) || followed.contains(one));
    let unheld: BTreeSet<DirectoryUserId> = kept.values().flatten().copied().collect();
    if !unheld.is_empty() {
        let event = EventDraft::new(Action::MemberUnheld, id).with(json!({ "named": unheld.len() }));
        let changes = kept.into_iter().map(|(one, users)| HoldChange::DropKept(one, users).into()).collect();
        let plan = Plan::because(speaker.organization, speaker.cause()).then_all(event, changes);
        moment.apply(tx, &plan)?;
    }
    Ok(unheld.into_iter().collect())
}

fn is_mapped(tx: &mut Tx<'_>, group: &DirectoryGroup) -> Result<bool, ServiceError> {
    let name = name_key(&group.display_name);
    Ok(mapping::is_group_mapped(tx, group.directory, group.id, group.external_id.as_deref(), &name)?)
}

/// Those of them who are in the group.
fn only_present(
    tx: &mut Tx<'_>,
    id: DirectoryGroupId,
    users: &[DirectoryUserId],
) -> Result<Vec<DirectoryUserId>, ServiceError> {
    let present = directory_group::present(tx, id, users)?;
    Ok(users.iter().filter(|user| present.contains(user)).copied().collect())
}

/// Each once, in order of id.
fn distinct(users: &[DirectoryUserId]) -> Vec<DirectoryUserId> {
    let mut users = users.to_vec();
    users.sort_unstable();
    users.dedup();
    users
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

/// Reads the members of a group page by page, in order of id.
fn each_member(
    tx: &mut Tx<'_>,
    id: DirectoryGroupId,
    mut read: impl FnMut(DirectoryUserId),
) -> Result<(), ServiceError> {
    let mut after = String::new();
    loop {
        let page = directory_group::member_ids(tx, id, &after, MEMBERS_PAGE)?;
        page.iter().copied().for_each(&mut read);
        match page.last() {
            Some(last) if bound(page.len()) >= MEMBERS_PAGE => {
                after = last.to_string();
            }
            _ => return Ok(()),
        }
    }
}

pub(super) fn all_members(
    tx: &mut Tx<'_>,
    id: DirectoryGroupId,
) -> Result<Vec<DirectoryUserId>, ServiceError> {
    let mut all: Vec<DirectoryUserId> = Vec::new();
    each_member(tx, id, |member| all.push(member))?;
    Ok(all)
}

/// A replaced list is a fact; only what differs is written. Both lists are gone through side by side, so that neither
/// the one from before nor a table of either is in memory.
fn difference(
    tx: &mut Tx<'_>,
    speaker: Speaker,
    id: DirectoryGroupId,
    users: &[DirectoryUserId],
) -> Result<(Vec<DirectoryUserId>, Vec<DirectoryUserId>), ServiceError> {
    let wanted = distinct(users);
    let mut rest = wanted.as_slice();
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    each_member(tx, id, |member| {
        let (before, from_here) = rest.split_at(rest.partition_point(|one| *one < member));
        new.extend_from_slice(before);
        rest = match from_here.split_first() {
            Some((first, others)) if *first == member => others,
            _ => {
                gone.push(member);
                from_here
            }
        };
    })?;
    new.extend_from_slice(rest);
    Ok((must_be_known(tx, speaker, &new)?, gone))
}

fn change_members(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    group: &DirectoryGroup,
    (add, remove): (Vec<DirectoryUserId>, Vec<DirectoryUserId>),
    touched: &mut Touched,
) -> Result<Option<EventId>, ServiceError> {
    let id = group.id;
    if add.is_empty() && remove.is_empty() {
        return Ok(None);
    }
    touched.people.extend(add.iter().chain(&remove));
    touched.taken_out.extend(&remove);
    let shown = |ids: &[DirectoryUserId]| ids.iter().take(MAX_SHOWN).copied().collect::<Vec<_>>();
    let event = EventDraft::new(Action::DirectoryGroupMembersChanged, id).with(json!({
        "added": add.len(), "removed": remove.len(),
        "first_added": shown(&add), "first_removed": shown(&remove),
    }));
    let changed = DirectoryGroup { updated_at: moment.now, ..group.clone() };
    let mut changes = vec![DirectoryGroupChange::Update(changed).into()];
    if !add.is_empty() {
        changes.push(DirectoryGroupChange::AddMembers(id, add, Some(speaker.request)).into());
    }
    if !remove.is_empty() {
        changes.push(DirectoryGroupChange::RemoveMembers(id, remove).into());
    }
    let plan = Plan::because(speaker.organization, speaker.cause()).then_all(event, changes);
    let applied = moment.apply(tx, &plan)?;
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
    // The groups above it are written, too.
    lock_rules_where(tx, speaker, |tx| {
        Ok(!subgroup::children(tx, id, "", 1)?.is_empty() || !subgroup::parents(tx, id, 1)?.is_empty())
    })?;
    let group = directory_group::find_locked(tx, speaker.directory, id)?
        .ok_or(ServiceError::NotFound(Noun::Group))?;
    let mapped = is_mapped(tx, &group)? || nesting::is_mapped_above(tx, id)?;
    let touched = if mapped { all_members(tx, id)? } else { Vec::new() };
    let moved = if mapped { nesting::children(tx, speaker.directory, id)? } else { BTreeSet::new() };
    if mapped {
        lose_below(tx, moment, speaker, &group, (touched.clone(), &moved))?;
    }
    let event = EventDraft::new(Action::DirectoryGroupDeleted, id)
        .with(json!({ "display_name": group.display_name, "external_id": group.external_id }));
    let plan =
        Plan::because(speaker.organization, speaker.cause()).then(event, DirectoryGroupChange::Delete(id));
    let cause = moment.apply(tx, &plan)?.cause;
    after_facts(tx, moment, speaker.organization, &touched, cause)?;
    nesting::after_move(tx, moment, speaker, moved, cause)?;
    Ok(())
}
