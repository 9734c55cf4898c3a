//! Groups inside groups as a directory tells of them. Here apart from members, because an edge is a rule: it moves
//! everybody below it, so its people are carried out as those of a changed mapping are.

use std::collections::{BTreeSet, HashSet};

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::DirectoryGroupChange;
use portcullis_domain::directory_group::DirectoryGroup;
use portcullis_domain::id::{DirectoryGroupId, DirectoryId, EventId, MappingId};
use portcullis_domain::plan::Plan;
use portcullis_store::row::bound;
use portcullis_store::{Tx, directory_group, mapping, subgroup};
use serde_json::json;

use super::{GroupsSaid, Speaker};
use crate::brake::Members;
use crate::error::DirectoryRefusal;
use crate::rules::{after_rule_change, listed, raise};
use crate::{Moment, ServiceError};

/// The most groups that may be members of one group: an edge is read whole where a list is replaced.
pub const MAX_SUBGROUPS: usize = 1_000;
/// How many groups below a moved one, and how many places in them, are read by the call that moves it: ten times what is
/// carried out at once. Beyond that it is answered as a large change, without a look at who it is.
pub const MAX_READ_AT_ONCE: usize = 5_000;
/// The most places in moved groups and all below them that are read to count from whom a call takes: they are read while
/// everybody else who writes waits, and the same few people may have very many places. A company of fifty thousand in
/// four groups each is below.
pub const MAX_PLACES_BELOW: usize = 200_000;
/// How many ids an audit event shows of a list; the count is always whole.
const MAX_SHOWN: usize = 20;

type Groups = Vec<DirectoryGroupId>;

/// Puts groups into a group or takes them out; `moved` gathers those whose place changed.
pub(super) fn change(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    group: &DirectoryGroup,
    said: &GroupsSaid,
    moved: &mut BTreeSet<DirectoryGroupId>,
) -> Result<Option<EventId>, ServiceError> {
    let (add, remove) = difference(tx, speaker, group.id, said)?;
    if add.is_empty() && remove.is_empty() {
        return Ok(None);
    }
    if subgroup::counts(tx, speaker.directory)? {
        moved.extend(add.iter().chain(&remove));
    }
    if !remove.is_empty() && subgroup::counts(tx, speaker.directory)? {
        let removed = remove.iter().copied().collect();
        super::group::lose_below(tx, moment, speaker, group, (Vec::new(), &removed))?;
    }
    let shown = |ids: &[DirectoryGroupId]| ids.iter().take(MAX_SHOWN).copied().collect::<Vec<_>>();
    let event = EventDraft::new(Action::DirectoryGroupMembersChanged, group.id).with(json!({
        "groups_added": add.len(), "groups_removed": remove.len(),
        "first_added": shown(&add), "first_removed": shown(&remove),
    }));
    let changed = DirectoryGroup { updated_at: moment.now, ..group.clone() };
    let mut changes = vec![DirectoryGroupChange::Update(changed).into()];
    if !add.is_empty() {
        changes.push(DirectoryGroupChange::AddGroups(group.id, add, Some(speaker.request)).into());
    }
    if !remove.is_empty() {
        changes.push(DirectoryGroupChange::RemoveGroups(group.id, remove).into());
    }
    let plan = Plan::because(speaker.organization, speaker.cause()).then_all(event, changes);
    let applied = moment.apply(tx, &plan)?;
    Ok(applied.events.first().copied())
}

/// What is to be written: groups that are not members yet, and members that are to be none.
fn difference(
    tx: &mut Tx<'_>,
    speaker: Speaker,
    id: DirectoryGroupId,
    said: &GroupsSaid,
) -> Result<(Groups, Groups), ServiceError> {
    let present = subgroup::children(tx, id, "", bound(MAX_SUBGROUPS))?;
    let present: BTreeSet<DirectoryGroupId> = present.into_iter().collect();
    let (add, remove): (BTreeSet<_>, BTreeSet<_>) = match said {
        GroupsSaid::Add(groups) => (groups.iter().copied().collect(), BTreeSet::new()),
        GroupsSaid::Remove(groups) => (BTreeSet::new(), groups.iter().copied().collect()),
        GroupsSaid::Replace(groups) => {
            let wanted: BTreeSet<_> = groups.iter().copied().collect();
            let gone = present.difference(&wanted).copied().collect();
            (wanted, gone)
        }
    };
    if add.contains(&id) {
        let message = format!("`{id}` is the group itself");
        return Err(DirectoryRefusal::InvalidValue { field: "members", message }.into());
    }
    let add: Groups = add.difference(&present).copied().collect();
    let remove: Groups = remove.intersection(&present).copied().collect();
    let left = present.len().saturating_add(add.len()).saturating_sub(remove.len());
    if left > MAX_SUBGROUPS {
        let message = format!("at most {MAX_SUBGROUPS} groups in one group");
        return Err(DirectoryRefusal::InvalidValue { field: "members", message }.into());
    }
    let known: HashSet<_> =
        directory_group::by_ids(tx, speaker.directory, &add)?.into_iter().map(|group| group.id).collect();
    match add.iter().find(|group| !known.contains(group)) {
        Some(unknown) => Err(DirectoryRefusal::UnknownMember(unknown.to_string()).into()),
        None => Ok((add, remove)),
    }
}

/// The groups in a group, where such groups count.
pub(super) fn children(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    id: DirectoryGroupId,
) -> Result<BTreeSet<DirectoryGroupId>, ServiceError> {
    if !subgroup::counts(tx, directory)? {
        return Ok(BTreeSet::new());
    }
    let children = subgroup::children(tx, id, "", bound(MAX_SUBGROUPS))?;
    Ok(children.into_iter().collect())
}

/// The mappings that somebody has by being in this group: those of it, and of the groups above it that count.
pub(super) fn mappings_from(tx: &mut Tx<'_>, id: DirectoryGroupId) -> Result<Vec<MappingId>, ServiceError> {
    let mut groups = vec![id];
    groups.extend(subgroup::above(tx, &[id])?.into_iter().map(|above| above.group));
    Ok(mapping::of_groups(tx, &groups)?)
}

/// Everybody in these groups and in all below them, by the group that they are in themselves.
///
/// # Errors
/// [`DirectoryRefusal::InvalidValue`] for more than [`MAX_PLACES_BELOW`] places.
pub(super) fn members_below(
    tx: &mut Tx<'_>,
    groups: &BTreeSet<DirectoryGroupId>,
) -> Result<Vec<Members>, ServiceError> {
    let mut all = Vec::new();
    if groups.is_empty() {
        return Ok(all);
    }
    let groups: Groups = groups.iter().copied().collect();
    let mut places = 0_usize;
    for group in subgroup::with_below(tx, &groups)? {
        let members = super::group::all_members(tx, group)?;
        places = places.saturating_add(members.len());
        all.push((group, members));
        if places > MAX_PLACES_BELOW {
            let message = format!(
                "the groups below have more than {MAX_PLACES_BELOW} members in all, more than a brake counts in one \
                 call: take the groups out of each other from below, or switch the brake off for it"
            );
            return Err(DirectoryRefusal::InvalidValue { field: "members", message }.into());
        }
    }
    Ok(all)
}

/// Whether a mapping names a group above this one.
pub(super) fn is_mapped_above(tx: &mut Tx<'_>, id: DirectoryGroupId) -> Result<bool, ServiceError> {
    let above: Groups = subgroup::above(tx, &[id])?.into_iter().map(|above| above.group).collect();
    Ok(mapping::is_any_group_mapped(tx, &above)?)
}

/// Carries out what became of the people of these groups and of all below them.
pub(super) fn after_move(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    moved: BTreeSet<DirectoryGroupId>,
    cause: Cause,
) -> Result<(), ServiceError> {
    if moved.is_empty() {
        return Ok(());
    }
    let moved: Groups = moved.into_iter().collect();
    match subgroup::few_below(tx, &moved, (listed(), MAX_READ_AT_ONCE))? {
        Some(touched) => after_rule_change(tx, moment, speaker.organization, &touched, cause)?,
        None => raise(tx, moment, speaker.organization, cause)?,
    };
    Ok(())
}
