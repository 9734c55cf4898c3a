//! Groups over SCIM.

use portcullis_domain::directory_group::DirectoryGroup;
use portcullis_domain::id::{DirectoryGroupId, DirectoryId, DirectoryUserId};
use portcullis_domain::text::name_key;
use portcullis_scim::{Group, GroupChange, Lookup, MemberRef, ScimError};
use portcullis_store::directory_group::DirectoryGroupQuery;
use portcullis_store::{Tx, directory_group, directory_user};

use super::{Belongings, Listed, MAX_FOUND, MAX_MEMBERS_SHOWN, Window, member_id};
use crate::provisioning::{self, GroupSaid, Speaker};
use crate::{Moment, ServiceError};

/// Members that are read at a time.
const MEMBERS_PAGE: usize = 1000;

/// A group, and what the answer shows beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupShown {
    /// The group.
    pub group: DirectoryGroup,
    /// Its members, id and user name; `None` if they were left out.
    pub members: Option<Vec<(DirectoryUserId, String)>>,
}

/// A whole group as a client said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDraft {
    /// Its name.
    pub display_name: String,
    /// The directory's own key.
    pub external_id: Option<String>,
    /// Its members; `None` if nothing was said of them.
    pub members: Option<Vec<DirectoryUserId>>,
}

impl GroupDraft {
    /// What a PUT of it changes. What it does not name stays: a mapping may hang on the external id, and people on the
    /// members.
    #[must_use]
    pub fn into_changes(self) -> Vec<GroupSaid> {
        let mut said = vec![GroupSaid::DisplayName(self.display_name)];
        said.extend(self.external_id.map(|id| GroupSaid::ExternalId(Some(id))));
        said.extend(self.members.map(GroupSaid::ReplaceMembers));
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
    changes
        .into_iter()
        .map(|change| {
            Ok(match change {
                GroupChange::SetDisplayName(name) => GroupSaid::DisplayName(name),
                GroupChange::SetExternalId(id) => GroupSaid::ExternalId(id),
                GroupChange::AddMembers(members) => GroupSaid::AddMembers(added(&members)?),
                GroupChange::ReplaceMembers(members) => GroupSaid::ReplaceMembers(added(&members)?),
                GroupChange::ClearMembers => GroupSaid::ReplaceMembers(Vec::new()),
                GroupChange::RemoveMembers(ids) => {
                    GroupSaid::RemoveMembers(ids.iter().filter_map(|id| id.parse().ok()).collect())
                }
            })
        })
        .collect()
}

fn added(members: &[MemberRef]) -> Result<Vec<DirectoryUserId>, ScimError> {
    members.iter().map(|member| member_id(&member.value)).collect()
}

/// A group with its members; too many of them for `room` are refused.
fn shown(
    tx: &mut Tx<'_>,
    group: DirectoryGroup,
    belongings: Belongings,
    room: usize,
) -> Result<GroupShown, ServiceError> {
    if belongings == Belongings::LeftOut {
        return Ok(GroupShown { group, members: None });
    }
    let mut members: Vec<(DirectoryUserId, String)> = Vec::new();
    loop {
        let after = members.last().map_or_else(String::new, |(id, _)| id.to_string());
        let page = directory_group::members(tx, group.id, &after, 1000)?;
        let last = page.len() < MEMBERS_PAGE;
        members.extend(page);
        if members.len() > room {
            return Err(ScimError::TooMany.into());
        }
        if last {
            return Ok(GroupShown { group, members: Some(members) });
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
    belongings: Belongings,
) -> Result<GroupShown, ServiceError> {
    let names = (draft.display_name.as_str(), draft.external_id.as_deref());
    let members = draft.members.as_deref().unwrap_or_default();
    let group = provisioning::create_group(tx, moment, speaker, names, members)?;
    shown(tx, group, belongings, MAX_MEMBERS_SHOWN)
}

/// PUT and PATCH: changes of a group, all of them or none.
///
/// # Errors
/// As [`provisioning::change_group`].
pub fn change_group(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryGroupId,
    said: &[GroupSaid],
    belongings: Belongings,
) -> Result<GroupShown, ServiceError> {
    let group = provisioning::change_group(tx, moment, speaker, id, said)?;
    shown(tx, group, belongings, MAX_MEMBERS_SHOWN)
}

/// GET: one group.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ScimError::TooMany`] beyond [`MAX_MEMBERS_SHOWN`].
pub fn find_group(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    id: DirectoryGroupId,
    belongings: Belongings,
) -> Result<GroupShown, ServiceError> {
    let group = directory_group::find(tx, directory, id)?.ok_or(ServiceError::NotFound("group"))?;
    shown(tx, group, belongings, MAX_MEMBERS_SHOWN)
}

/// GET: the groups that all of these look-ups find, in a stable order. A page ends early where its groups have more
/// members than [`MAX_MEMBERS_SHOWN`]; the client asks on from there.
///
/// # Errors
/// [`ScimError::TooMany`] beyond [`MAX_FOUND`] groups, or for one group with too many members.
pub fn list_groups(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    lookups: &[Lookup],
    window: Window,
    belongings: Belongings,
) -> Result<Listed<GroupShown>, ServiceError> {
    let (groups, total) = if lookups.is_empty() {
        let (limit, offset) = window.bounds();
        let total = directory_group::count(tx, directory)?;
        (directory_group::page(tx, directory, limit, offset)?, total)
    } else {
        let all = found(tx, directory, lookups)?;
        let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
        (window.of(all), total)
    };
    let mut items: Vec<GroupShown> = Vec::with_capacity(groups.len());
    let mut room = MAX_MEMBERS_SHOWN;
    for group in groups {
        match shown(tx, group, belongings, room) {
            Ok(one) => {
                room -= one.members.as_ref().map_or(0, Vec::len).min(room);
                items.push(one);
            }
            Err(refusal) if items.is_empty() => return Err(refusal),
            Err(ServiceError::Directory(_)) => break,
            Err(other) => return Err(other),
        }
    }
    Ok(Listed { items, total: total.unsigned_abs() })
}

/// The groups of an index, of which those are left that fulfil every look-up.
fn found(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    lookups: &[Lookup],
) -> Result<Vec<DirectoryGroup>, ServiceError> {
    let Some(best) = lookups.iter().min_by_key(|lookup| dearness(lookup)) else { return Ok(Vec::new()) };
    let query = match best {
        Lookup::Id(id) => match id.parse() {
            Ok(id) => DirectoryGroupQuery::Id(id),
            Err(_) => return Ok(Vec::new()),
        },
        Lookup::ExternalId(id) => DirectoryGroupQuery::ExternalId(id.clone()),
        Lookup::DisplayName(name) => DirectoryGroupQuery::DisplayName(name.clone()),
        Lookup::Member(member) => return groups_of(tx, directory, member),
        Lookup::UserName(_) | Lookup::EmailValue { .. } | Lookup::Active(_) | Lookup::Manager(_) => {
            return Ok(Vec::new());
        }
    };
    let candidates = directory_group::query(tx, directory, &query, MAX_FOUND + 1)?;
    if i64::try_from(candidates.len()).unwrap_or(i64::MAX) > MAX_FOUND {
        return Err(ScimError::TooMany.into());
    }
    let mut groups = Vec::new();
    for group in candidates {
        let mut fulfilled = true;
        for lookup in lookups {
            fulfilled = fulfilled && fulfils(tx, &group, lookup)?;
        }
        if fulfilled {
            groups.push(group);
        }
    }
    Ok(groups)
}

/// The groups of one person.
fn groups_of(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    member: &str,
) -> Result<Vec<DirectoryGroup>, ServiceError> {
    let Ok(member) = member.parse::<DirectoryUserId>() else { return Ok(Vec::new()) };
    let mut groups = Vec::new();
    for (id, _) in directory_user::groups(tx, member)? {
        groups.extend(directory_group::find(tx, directory, id)?);
    }
    Ok(groups)
}

/// How many groups a look-up finds at most, roughly: the rarest is asked of the database.
const fn dearness(lookup: &Lookup) -> u8 {
    match lookup {
        Lookup::Id(_) => 0,
        Lookup::ExternalId(_) => 1,
        Lookup::DisplayName(_) => 2,
        Lookup::Member(_) => 3,
        Lookup::UserName(_) | Lookup::EmailValue { .. } | Lookup::Active(_) | Lookup::Manager(_) => 4,
    }
}

fn fulfils(tx: &mut Tx<'_>, group: &DirectoryGroup, lookup: &Lookup) -> Result<bool, ServiceError> {
    Ok(match lookup {
        Lookup::Id(id) => group.id.to_string() == *id,
        Lookup::ExternalId(id) => group.external_id.as_deref() == Some(id.as_str()),
        Lookup::DisplayName(name) => name_key(&group.display_name) == name_key(name),
        Lookup::Member(member) => match member.parse::<DirectoryUserId>() {
            Ok(member) => !directory_group::present(tx, group.id, &[member])?.is_empty(),
            Err(_) => false,
        },
        Lookup::UserName(_) | Lookup::EmailValue { .. } | Lookup::Active(_) | Lookup::Manager(_) => false,
    })
}
