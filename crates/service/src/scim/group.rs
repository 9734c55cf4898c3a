//! Groups over SCIM.

use portcullis_domain::directory_group::{DirectoryGroup, DirectoryGroupQuery};
use portcullis_domain::id::{DirectoryGroupId, DirectoryId, DirectoryUserId};
use portcullis_scim::{
    AskedMembers, Group, GroupChange, Lookup, MemberOfGroup, Members as Named, Meta, Preconditions,
    ResourceType, ScimError, Work, render_group,
};
use portcullis_store::db::Lock;
use portcullis_store::row::bound;
use portcullis_store::{Tx, directory_group, directory_user, subgroup};
use serde_json::{Map, Value};

use super::list::{Ask, MAX_FOUND, Resource};
use super::room::Reading;
use super::version::VersionTag;
use super::{Belongings, MAX_MEMBERS_SHOWN, MemberId, Window, member_id};
use crate::noun::Noun;
use crate::provisioning::{self, GroupSaid, GroupsSaid, MAX_SUBGROUPS, MembersSaid, Speaker};
use crate::{Moment, Portcullis, ServiceError};

/// Members that are read at a time.
const MEMBERS_PAGE: usize = 1000;
/// What an answer has of a member: its id twice, and the words around it.
const MEMBER_BYTES: usize = 256;

/// A group, and what the answer shows beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupShown {
    /// The group.
    pub group: DirectoryGroup,
    /// Its members; `None` if they were left out.
    pub members: Option<Vec<DirectoryUserId>>,
    /// The groups that are members of it; empty if members were left out.
    pub groups: Vec<DirectoryGroupId>,
}

impl GroupShown {
    /// The version.
    #[must_use]
    pub fn version(&self) -> String {
        group_version(&self.group)
    }

    /// How much text an answer has of it, roughly, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        DirectoryGroup::shown_bytes(self)
    }
}

/// A whole group as a client said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDraft {
    /// Its name.
    pub display_name: String,
    /// The directory's own key.
    pub external_id: Option<String>,
    /// Its members; `None` if nothing was said of them.
    pub members: Option<Members>,
}

/// Members as ids: an id says by itself whether it is a person's or a group's, whatever `type` or `$ref` stands beside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// The people.
    pub people: Vec<DirectoryUserId>,
    /// The groups.
    pub groups: Vec<DirectoryGroupId>,
}

impl GroupDraft {
    /// What a PUT of it changes. What it does not name stays: a mapping may hang on the external id, and people on the
    /// members.
    #[must_use]
    pub fn into_changes(self) -> Vec<GroupSaid> {
        let mut said = vec![GroupSaid::DisplayName(self.display_name)];
        said.extend(self.external_id.map(|id| GroupSaid::ExternalId(Some(id))));
        said.extend(self.members.into_iter().flat_map(replaced));
        said
    }
}

/// A whole group, its members as ids.
///
/// # Errors
/// As [`member_id`].
pub fn group_draft(group: Group) -> Result<GroupDraft, ScimError> {
    let members = group.members.map(|members| added(&members)).transpose()?;
    Ok(GroupDraft { display_name: group.display_name, external_id: group.external_id, members })
}

/// Changes of a group, their members as ids. Whoever cannot be a member is removed already.
///
/// # Errors
/// As [`member_id`], for members who are to be added.
pub fn group_changes(changes: Vec<GroupChange>) -> Result<Vec<GroupSaid>, ScimError> {
    let mut said = Vec::new();
    for change in changes {
        match change {
            GroupChange::SetDisplayName(name) => said.push(GroupSaid::DisplayName(name)),
            GroupChange::SetExternalId(id) => said.push(GroupSaid::ExternalId(id)),
            GroupChange::AddMembers(members) => {
                let Members { people, groups } = added(&members)?;
                said.push(GroupSaid::Members(MembersSaid::Add(people)));
                if !groups.is_empty() {
                    said.push(GroupSaid::Groups(GroupsSaid::Add(groups)));
                }
            }
            GroupChange::ReplaceMembers(members) => said.extend(replaced(added(&members)?)),
            GroupChange::ClearMembers => said.extend(replaced(Members::default())),
            GroupChange::RemoveMembers(ids) => {
                said.push(GroupSaid::Members(MembersSaid::Remove(ids_of(&ids))));
                let groups: Vec<DirectoryGroupId> = ids_of(&ids);
                if !groups.is_empty() {
                    said.push(GroupSaid::Groups(GroupsSaid::Remove(groups)));
                }
            }
            GroupChange::RemoveMembersOf(ResourceType::User, ids) => {
                said.push(GroupSaid::Members(MembersSaid::Remove(ids_of(&ids))));
            }
            GroupChange::RemoveMembersOf(ResourceType::Group, ids) => {
                said.push(GroupSaid::Groups(GroupsSaid::Remove(ids_of(&ids))));
            }
            GroupChange::ClearMembersOf(ResourceType::User) => {
                said.push(GroupSaid::Members(MembersSaid::Replace(Vec::new())));
            }
            GroupChange::ClearMembersOf(ResourceType::Group) => {
                said.push(GroupSaid::Groups(GroupsSaid::Replace(Vec::new())));
            }
        }
    }
    Ok(said)
}

/// Those of one kind; whatever else is named is no member of it.
fn ids_of<I: std::str::FromStr>(ids: &Named) -> Vec<I> {
    ids.iter().filter_map(|id| id.value.parse().ok()).collect()
}

fn replaced(Members { people, groups }: Members) -> [GroupSaid; 2] {
    [GroupSaid::Members(MembersSaid::Replace(people)), GroupSaid::Groups(GroupsSaid::Replace(groups))]
}

fn added(members: &Named) -> Result<Members, ScimError> {
    let mut ids = Members::default();
    for member in members.iter() {
        match member_id(member.value)? {
            MemberId::Person(id) => ids.people.push(id),
            MemberId::Group(id) => ids.groups.push(id),
        }
    }
    Ok(ids)
}

/// A group with its members; too many of them for `room` are refused.
fn shown(
    tx: &mut Tx<'_>,
    group: DirectoryGroup,
    belongings: Belongings,
    room: usize,
) -> Result<GroupShown, ServiceError> {
    if belongings == Belongings::LeftOut {
        return Ok(GroupShown { group, members: None, groups: Vec::new() });
    }
    let groups = subgroup::children(tx, group.id, "", bound(MAX_SUBGROUPS))?;
    let mut members: Vec<DirectoryUserId> = Vec::new();
    loop {
        let after = members.last().map_or_else(String::new, ToString::to_string);
        let page = directory_group::member_ids(tx, group.id, &after, bound(MEMBERS_PAGE))?;
        let last = page.len() < MEMBERS_PAGE;
        members.extend(page);
        if members.len() > room {
            return Err(ScimError::TooMany.into());
        }
        if last {
            return Ok(GroupShown { group, members: Some(members), groups });
        }
    }
}

/// POST: tells of a new group.
///
/// # Errors
/// As [`provisioning::create_group`].
pub fn create_group(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    draft: &GroupDraft,
) -> Result<DirectoryGroup, ServiceError> {
    let names = (draft.display_name.as_str(), draft.external_id.as_deref());
    let Members { people, groups } = draft.members.clone().unwrap_or_default();
    let is_nested = !groups.is_empty();
    let nested = [GroupSaid::Groups(GroupsSaid::Add(groups))];
    // The rules before the new group's name: locks are taken in one order.
    provisioning::lock_rules(tx, speaker, None, &nested)?;
    let mut group = provisioning::create_group(tx, moment, speaker, names, &people)?;
    if is_nested {
        group = provisioning::change_group(tx, moment, speaker, group.id, &nested)?;
    }
    Ok(group)
}

/// Refuses to write a group of another version than the client knows. It is locked, so that it stays that one; the
/// organization before it, because a new name is looked for under that lock and locks are taken in one order.
fn check_version(
    tx: &mut Tx<'_>,
    speaker: Speaker,
    id: DirectoryGroupId,
    known: &Preconditions,
) -> Result<(), ServiceError> {
    if known.is_empty() {
        return Ok(());
    }
    tx.lock(Lock::Organization(speaker.organization))?;
    let group = directory_group::find_locked(tx, speaker.directory, id)?
        .ok_or(ServiceError::NotFound(Noun::Group))?;
    Ok(known.check_write(&group_version(&group))?)
}

/// DELETE: the group is gone, and what it gave.
///
/// # Errors
/// [`ScimError::PreconditionFailed`], and as [`provisioning::delete_group`].
pub fn delete_group(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryGroupId,
    known: &Preconditions,
) -> Result<(), ServiceError> {
    check_version(tx, speaker, id, known)?;
    provisioning::delete_group(tx, moment, speaker, id)
}

/// PUT and PATCH: changes of a group, all of them or none.
///
/// # Errors
/// [`ScimError::PreconditionFailed`], and as [`provisioning::change_group`].
pub fn change_group(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryGroupId,
    said: &[GroupSaid],
    known: &Preconditions,
) -> Result<DirectoryGroup, ServiceError> {
    check_version(tx, speaker, id, known)?;
    provisioning::change_group(tx, moment, speaker, id, said)
}

impl Portcullis {
    /// What is answered of a group that was just written. Its members are read behind the write, so that nobody waits
    /// for them, and left out where they cannot be shown: the write stands, and an answer must not say otherwise.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn show_group(
        &self,
        group: DirectoryGroup,
        belongings: Belongings,
    ) -> Result<GroupShown, ServiceError> {
        if belongings == Belongings::Read {
            match self.find_group(group.directory, group.id, belongings).await {
                // Too many members, too many readers, or gone meanwhile.
                Err(
                    ServiceError::Directory(_)
                    | ServiceError::TooMany { .. }
                    | ServiceError::NotFound(Noun::Group),
                ) => {}
                found => return found,
            }
        }
        Ok(GroupShown { group, members: None, groups: Vec::new() })
    }

    /// GET: one group.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ScimError::TooMany`] beyond [`MAX_MEMBERS_SHOWN`]; [`ServiceError::TooMany`] for a
    /// large one where too many large things are read.
    pub async fn find_group(
        &self,
        directory: DirectoryId,
        id: DirectoryGroupId,
        belongings: Belongings,
    ) -> Result<GroupShown, ServiceError> {
        self.read_within(directory, move |tx, reading| {
            let group =
                directory_group::find(tx, directory, id)?.ok_or(ServiceError::NotFound(Noun::Group))?;
            let found = shown(tx, group, belongings, reading.members(MAX_MEMBERS_SHOWN));
            if matches!(found, Err(ServiceError::Directory(_))) {
                reading.outgrow();
            }
            found
        })
        .await
    }
}

/// The representation of a group, before any projection. `base` is the directory's base URL.
#[must_use]
pub fn represented_group(shown: &GroupShown, base: &str) -> Value {
    let members: Option<Vec<MemberOfGroup>> = shown.members.as_ref().map(|members| {
        let groups = shown.groups.iter().map(|id| subgroup_of(*id, base));
        members.iter().map(|id| member_of(*id, base)).chain(groups).collect()
    });
    represented(&shown.group, members.as_deref(), base)
}

/// A member by id. A name beside it would have to be kept in step, and clients compare what they wrote.
fn member_of(id: DirectoryUserId, base: &str) -> MemberOfGroup {
    MemberOfGroup {
        id: id.to_string(),
        kind: ResourceType::User,
        location: format!("{base}/Users/{id}"),
        display: None,
    }
}

fn subgroup_of(id: DirectoryGroupId, base: &str) -> MemberOfGroup {
    MemberOfGroup {
        id: id.to_string(),
        kind: ResourceType::Group,
        location: format!("{base}/Groups/{id}"),
        display: None,
    }
}

fn represented(group: &DirectoryGroup, members: Option<&[MemberOfGroup]>, base: &str) -> Value {
    let meta = Meta {
        id: &group.id.to_string(),
        created: &group.created_at.rfc3339(),
        last_modified: &group.updated_at.rfc3339(),
        location: &format!("{base}/Groups/{}", group.id),
        version: Some(&group_version(group)),
    };
    let named = Group {
        display_name: group.display_name.clone(),
        external_id: group.external_id.clone(),
        members: None,
    };
    render_group(&named, &meta, members)
}

/// The version of a group: every change of it or of its members moves its last change.
pub(super) fn group_version(group: &DirectoryGroup) -> String {
    VersionTag::since(group.updated_at).into_text()
}

impl Resource for DirectoryGroup {
    type Id = DirectoryGroupId;
    type Shown = GroupShown;
    const KIND: ResourceType = ResourceType::Group;
    /// Little is kept of a group itself: a look-up reads all that it may find.
    const AT_ONCE: usize = MAX_FOUND + 1;

    fn text_bytes(&self) -> usize {
        self.display_name.len()
    }

    fn id(&self) -> DirectoryGroupId {
        self.id
    }

    fn shown_bytes(shown: &GroupShown) -> usize {
        let members = shown.members.as_ref().map_or(0, Vec::len) + shown.groups.len();
        shown.group.display_name.len() + members * MEMBER_BYTES
    }

    fn id_of(shown: &GroupShown) -> DirectoryGroupId {
        shown.group.id
    }

    fn page(
        tx: &mut Tx<'_>,
        ask: &Ask,
        window: Window,
        _: &Reading,
    ) -> Result<Option<Vec<Self>>, ServiceError> {
        if ask.filter.is_some() || ask.sort.is_some() {
            return Ok(None);
        }
        let (limit, offset) = window.bounds();
        Ok(Some(directory_group::page(tx, ask.directory, limit, offset)?))
    }

    fn count(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<u64, ServiceError> {
        Ok(directory_group::count(tx, directory)?.unsigned_abs())
    }

    fn page_after(
        tx: &mut Tx<'_>,
        directory: DirectoryId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Self>, ServiceError> {
        Ok(directory_group::page_after(tx, directory, after, bound(limit))?)
    }

    fn by_ids(
        tx: &mut Tx<'_>,
        directory: DirectoryId,
        ids: &[DirectoryGroupId],
    ) -> Result<Vec<Self>, ServiceError> {
        Ok(directory_group::by_ids(tx, directory, ids)?)
    }

    fn indexed(
        tx: &mut Tx<'_>,
        directory: DirectoryId,
        lookup: &Lookup,
        window: Window,
    ) -> Result<Option<Vec<Self>>, ServiceError> {
        let query = match lookup {
            Lookup::Id(id) => match id.parse() {
                Ok(id) => DirectoryGroupQuery::Id(id),
                Err(_) => return Ok(Some(Vec::new())),
            },
            Lookup::ExternalId(id) => DirectoryGroupQuery::ExternalId(id.clone()),
            Lookup::DisplayName(name) => DirectoryGroupQuery::DisplayName(name.clone()),
            Lookup::ExternalIdPrefix(prefix) => DirectoryGroupQuery::ExternalIdPrefix(prefix.clone()),
            Lookup::DisplayNamePrefix(prefix) => DirectoryGroupQuery::DisplayNamePrefix(prefix.clone()),
            Lookup::Member(member) => return groups_of(tx, directory, member).map(Some),
            Lookup::UserName(_) | Lookup::UserNamePrefix(_) | Lookup::EmailValue(_) => {
                return Ok(Some(Vec::new()));
            }
        };
        Ok(Some(directory_group::query(tx, directory, &query, bound(window.count))?))
    }

    /// Of the members only those that the filter asks about, and one person and one group for all others where it asks
    /// about those: no group is read whole to be found.
    fn view(&self, tx: &mut Tx<'_>, ask: &Ask, _: &Work) -> Result<Map<String, Value>, ServiceError> {
        let AskedMembers { ids, others } = &ask.asked_members;
        let mut members: Vec<MemberOfGroup> = Vec::new();
        // Of one more than are named at least one is another, if there is one.
        let enough = bound(ids.len() + 1);
        let asked: Vec<DirectoryUserId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        if !asked.is_empty() {
            let present = directory_group::present(tx, self.id, &asked)?;
            members.extend(present.into_iter().map(|id| member_of(id, &ask.base)));
        }
        if *others {
            let some = directory_group::member_ids(tx, self.id, "", enough)?;
            let other = some.into_iter().find(|id| !asked.contains(id));
            members.extend(other.map(|id| member_of(id, &ask.base)));
        }
        let asked: Vec<DirectoryGroupId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        if !asked.is_empty() {
            let present = subgroup::present(tx, self.id, &asked)?;
            members.extend(present.into_iter().map(|id| subgroup_of(id, &ask.base)));
        }
        if *others {
            let some = subgroup::children(tx, self.id, "", enough)?;
            let other = some.into_iter().find(|id| !asked.contains(id));
            members.extend(other.map(|id| subgroup_of(id, &ask.base)));
        }
        match represented(self, (!members.is_empty()).then_some(members.as_slice()), &ask.base) {
            Value::Object(view) => Ok(view),
            _ => Ok(Map::new()),
        }
    }

    fn show(
        tx: &mut Tx<'_>,
        rows: Vec<Self>,
        belongings: Belongings,
        reading: &Reading,
    ) -> Result<Vec<GroupShown>, ServiceError> {
        let mut items: Vec<GroupShown> = Vec::with_capacity(rows.len());
        let mut room = reading.members(MAX_MEMBERS_SHOWN);
        for group in rows {
            match shown(tx, group, belongings, room) {
                Ok(one) => {
                    room -= one.members.as_ref().map_or(0, Vec::len).min(room);
                    items.push(one);
                }
                Err(refusal) => {
                    reading.outgrow();
                    match refusal {
                        ServiceError::Directory(_) if !items.is_empty() => break,
                        refusal => return Err(refusal),
                    }
                }
            }
        }
        Ok(items)
    }
}

/// The groups of which one person or group is a member; if they are more than a look-up may find, one more than that, so
/// that it shows.
fn groups_of(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    member: &str,
) -> Result<Vec<DirectoryGroup>, ServiceError> {
    let ids: Vec<DirectoryGroupId> = match member_id(member) {
        Ok(MemberId::Person(id)) => directory_user::group_ids(tx, id, bound(MAX_FOUND + 1))?,
        Ok(MemberId::Group(id)) => subgroup::parents(tx, id, bound(MAX_FOUND + 1))?,
        Err(_) => Vec::new(),
    };
    Ok(directory_group::by_ids(tx, directory, &ids)?)
}
