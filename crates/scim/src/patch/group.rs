//! A PATCH of a group as changes that need no member list.
//!
//! A remove of `members` with values means only those: identity providers send that, although the letter of the
//! standard would empty the group. Neighbouring changes of one kind become one change, so that a client that sends
//! one operation for each member costs the same as one that sends a list. All of it is linear in the call.

use serde_json::Value;

use super::{Op, Operation, Patch, read};
use crate::edit::Verb;
use crate::error::ScimError;
use crate::filter::{Filter, Literal, Operator};
use crate::group::{Said, checked_id, display_name, external_id, members};
use crate::json::{Aside, parse_group_object};
use crate::limits::MAX_MEMBERS_PER_CALL;
use crate::members::Members;
use crate::note::{DialectNote, Notes};
use crate::path::{AttributePath, PatchPath};
use crate::schema::{ResourceType, find_attribute};
use crate::urn::{is_core, is_custom, is_custom_with};

/// One change of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChange {
    /// `displayName` becomes this.
    SetDisplayName(String),
    /// `externalId` becomes this, or is taken away.
    SetExternalId(Option<String>),
    /// These become members, each once; who is one already stays one.
    AddMembers(Members),
    /// These ids are members no more, each once; who is none already stays none.
    RemoveMembers(Members),
    /// These, each once, are the members, and nobody else. May be empty.
    ReplaceMembers(Members),
    /// Nobody is a member.
    ClearMembers,
    /// Those of these ids that are of this kind are members no more.
    RemoveMembersOf(ResourceType, Members),
    /// Nothing of this kind is a member.
    ClearMembersOf(ResourceType),
}

/// Parses the body of a PATCH of a group.
///
/// # Errors
///
/// As [`crate::parse_patch`] and [`Patch::into_group_changes`].
pub fn parse_group_patch(body: &[u8]) -> Result<(Vec<GroupChange>, Vec<DialectNote>), ScimError> {
    let mut notes = Notes::default();
    let changes = parse_group_patch_noting(body, &mut notes)?;
    Ok((changes, notes.into_vec()))
}

/// The same; of a body that is refused, what deviates in what was read before.
///
/// # Errors
///
/// As [`parse_group_patch`].
pub fn parse_group_patch_noting(body: &[u8], notes: &mut Notes) -> Result<Vec<GroupChange>, ScimError> {
    let (object, aside) = parse_group_object(body)?;
    let patch = read(object, aside, notes)?;
    patch.read_group_changes(notes)
}

impl Patch {
    /// The operations as changes of a group, in order. To be carried out all together or not at all.
    ///
    /// # Errors
    ///
    /// The refusal of the first operation that cannot be carried out.
    pub fn into_group_changes(self) -> Result<(Vec<GroupChange>, Vec<DialectNote>), ScimError> {
        let mut notes = Notes::from(self.notes.clone());
        let changes = self.read_group_changes(&mut notes)?;
        Ok((changes, notes.into_vec()))
    }

    fn read_group_changes(self, notes: &mut Notes) -> Result<Vec<GroupChange>, ScimError> {
        let mut changes = Changes { aside: self.aside, ..Changes::default() };
        for operation in self.operations {
            changes.read(operation, notes)?;
        }
        Ok(changes.list.into_iter().map(GroupChange::each_once).collect())
    }
}

impl GroupChange {
    fn each_once(self) -> Self {
        match self {
            Self::AddMembers(members) => Self::AddMembers(members.each_once()),
            Self::RemoveMembers(members) => Self::RemoveMembers(members.each_once()),
            Self::ReplaceMembers(members) => Self::ReplaceMembers(members.each_once()),
            Self::RemoveMembersOf(kind, members) => Self::RemoveMembersOf(kind, members.each_once()),
            Self::SetDisplayName(_)
            | Self::SetExternalId(_)
            | Self::ClearMembers
            | Self::ClearMembersOf(_) => self,
        }
    }
}

/// The changes so far, and what of the call's bounds is used.
#[derive(Default)]
struct Changes {
    list: Vec<GroupChange>,
    aside: Aside,
    named: usize,
}

impl Changes {
    fn read(&mut self, operation: Operation, notes: &mut Notes) -> Result<(), ScimError> {
        let Operation { op, path, value } = operation;
        let Some(path) = path else { return self.read_whole(op, value, notes) };
        match path.parsed {
            PatchPath::Schema(urn) if is_core(&urn, ResourceType::Group) => self.read_whole(op, value, notes),
            // As in a whole group: of what no schema here has, nothing is kept, and the rest of the call is carried out.
            PatchPath::Schema(urn) if is_custom(&urn) => {
                notes.unknown_attribute(&path.text);
                Ok(())
            }
            PatchPath::Attribute { path: name, .. }
                if name
                    .urn
                    .as_deref()
                    .is_some_and(|urn| is_custom(urn) || is_custom_with(urn, &name.name)) =>
            {
                notes.unknown_attribute(&path.text);
                Ok(())
            }
            PatchPath::Schema(_) => Err(ScimError::UnknownAttribute { path: path.text }),
            PatchPath::Attribute { path: name, filter } => {
                self.read_attribute(op, &path.text, &name, filter.as_ref(), value, notes)
            }
        }
    }

    fn read_whole(&mut self, op: Op, value: Option<Value>, notes: &mut Notes) -> Result<(), ScimError> {
        let (Op::Assign(verb), Some(Value::Object(object))) = (op, value) else {
            return Err(match op {
                Op::Assign(_) => ScimError::MissingValue,
                Op::Remove => ScimError::RemoveWithoutPath,
            });
        };
        let said = Said::read(object, notes)?;
        if let Some(value) = said.display_name {
            self.push(GroupChange::SetDisplayName(display_name(value, notes)?));
        }
        if let Some(value) = said.external_id {
            self.push(GroupChange::SetExternalId(external_id(value, notes)?));
        }
        match said.members {
            Some(value) => self.assign_members(verb, value, notes),
            None => Ok(()),
        }
    }

    fn read_attribute(
        &mut self,
        op: Op,
        text: &str,
        path: &AttributePath,
        filter: Option<&Filter>,
        value: Option<Value>,
        notes: &mut Notes,
    ) -> Result<(), ScimError> {
        let unknown = || ScimError::UnknownAttribute { path: text.to_owned() };
        let attribute = find_attribute(ResourceType::Group, path.urn.as_deref(), &path.name)
            .ok_or_else(unknown)?
            .attribute;
        let part = match &path.sub_attribute {
            None => None,
            Some(name) => Some(attribute.sub_attribute(name).ok_or_else(unknown)?),
        };
        match (attribute.name, part, filter) {
            ("displayName", None, None) => match (op, value) {
                (Op::Assign(_), Some(value)) => {
                    self.push(GroupChange::SetDisplayName(display_name(value, notes)?));
                    Ok(())
                }
                _ => Err(ScimError::RemovesRequired { attribute: "displayName" }),
            },
            ("externalId", None, None) => {
                let id = match (op, value) {
                    (Op::Assign(_), Some(value)) => external_id(value, notes)?,
                    _ => None,
                };
                self.push(GroupChange::SetExternalId(id));
                Ok(())
            }
            ("members", None, None) => match (op, value) {
                (Op::Assign(verb), Some(value)) => self.assign_members(verb, value, notes),
                (Op::Assign(_), None) => Err(ScimError::MissingValue),
                (Op::Remove, value) => self.remove_members(value, notes),
            },
            ("members", None, Some(filter)) => self.read_selected(op, filter, notes),
            ("members", Some(part), _) => {
                Err(ScimError::ReadOnly { attribute: format!("members.{}", part.name) })
            }
            // What schemas a group follows is known.
            ("schemas", _, _) => Ok(()),
            ("id" | "meta", _, _) => Err(ScimError::ReadOnly { attribute: attribute.name.to_owned() }),
            _ => Err(unknown()),
        }
    }

    fn assign_members(&mut self, verb: Verb, value: Value, notes: &mut Notes) -> Result<(), ScimError> {
        let members = self.named_members(value, notes)?;
        match verb {
            Verb::Add => self.push_added(members),
            Verb::Replace => {
                self.push(GroupChange::ReplaceMembers(members));
                Ok(())
            }
        }
    }

    fn remove_members(&mut self, value: Option<Value>, notes: &mut Notes) -> Result<(), ScimError> {
        let Some(value) = value.filter(|value| !value.is_null()) else {
            self.push(GroupChange::ClearMembers);
            return Ok(());
        };
        let members = self.named_members(value, notes)?;
        if members.is_empty() {
            notes.add(DialectNote::EmptyRemove("members".into()));
            return Ok(());
        }
        notes.add(DialectNote::RemoveByValue("members".into()));
        self.push_removed(members.without_kinds())
    }

    /// `members[value eq "x"]`: a remove of those. An add makes the member that the filter describes.
    fn read_selected(&mut self, op: Op, filter: &Filter, notes: &mut Notes) -> Result<(), ScimError> {
        let Selected { ids, kind } = Selected::read(filter)?;
        self.count(ids.as_ref().map_or(0, Members::len))?;
        match (op, ids, kind) {
            (Op::Remove, Some(ids), None) => self.push_removed(ids),
            (Op::Remove, Some(ids), Some(kind)) => {
                self.push(GroupChange::RemoveMembersOf(kind, ids));
                Ok(())
            }
            (Op::Remove, None, Some(kind)) => {
                self.push(GroupChange::ClearMembersOf(kind));
                Ok(())
            }
            (Op::Assign(Verb::Add), Some(ids), _) if ids.len() == 1 => {
                notes.add(DialectNote::SeededByFilter("members"));
                self.push_added(ids)
            }
            (Op::Assign(_), _, _) => Err(ScimError::ReadOnly { attribute: "members.value".to_owned() }),
            (Op::Remove, None, None) => Err(ScimError::UnsupportedMemberPath),
        }
    }

    fn named_members(&mut self, value: Value, notes: &mut Notes) -> Result<Members, ScimError> {
        let members = members(value, &mut self.aside, notes)?;
        self.count(members.len())?;
        Ok(members)
    }

    fn count(&mut self, named: usize) -> Result<(), ScimError> {
        self.named += named;
        if self.named > MAX_MEMBERS_PER_CALL {
            return Err(ScimError::TooManyMembers { max: MAX_MEMBERS_PER_CALL });
        }
        Ok(())
    }

    fn push(&mut self, change: GroupChange) {
        self.list.push(change);
    }

    fn push_added(&mut self, members: Members) -> Result<(), ScimError> {
        if members.is_empty() {
            return Ok(());
        }
        if let Some(GroupChange::AddMembers(added)) = self.list.last_mut() {
            return added.append(members);
        }
        self.push(GroupChange::AddMembers(members));
        Ok(())
    }

    fn push_removed(&mut self, ids: Members) -> Result<(), ScimError> {
        if let Some(GroupChange::RemoveMembers(removed)) = self.list.last_mut() {
            return removed.append(ids);
        }
        self.push(GroupChange::RemoveMembers(ids));
        Ok(())
    }
}

/// Which members a path selects: those of some ids, of a kind, or both.
#[derive(Default)]
struct Selected {
    ids: Option<Members>,
    kind: Option<ResourceType>,
}

impl Selected {
    /// Ids as `value eq "a"`, joined by `or`, a kind as `type eq "User"`, and both joined by `and`. What they are is told
    /// by the ids themselves, so no member need be read.
    fn read(filter: &Filter) -> Result<Self, ScimError> {
        let clauses = match filter {
            Filter::And(filters) => filters.as_slice(),
            single => std::slice::from_ref(single),
        };
        let mut selected = Self::default();
        for clause in clauses {
            let is_new = match clause {
                Filter::Compare { path, operator: Operator::Eq, literal } if is_part(path, "type") => {
                    selected.kind.replace(parse_kind_of(literal)?).is_none()
                }
                ids => {
                    let mut named = Members::default();
                    collect_ids(ids, &mut named)?;
                    selected.ids.replace(named).is_none()
                }
            };
            if !is_new {
                return Err(ScimError::UnsupportedMemberPath);
            }
        }
        Ok(selected)
    }
}

fn parse_kind_of(literal: &Literal) -> Result<ResourceType, ScimError> {
    let text = literal.as_text().unwrap_or("");
    let kind = ResourceType::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text));
    kind.ok_or(ScimError::UnsupportedMemberPath)
}

fn is_part(path: &AttributePath, name: &str) -> bool {
    path.urn.is_none() && path.sub_attribute.is_none() && path.name.eq_ignore_ascii_case(name)
}

/// The ids in `value eq "a"`, joined by `or`.
fn collect_ids(filter: &Filter, ids: &mut Members) -> Result<(), ScimError> {
    match filter {
        Filter::Or(filters) => filters.iter().try_for_each(|inner| collect_ids(inner, ids)),
        Filter::Compare { path, operator: Operator::Eq, literal } if is_part(path, "value") => {
            let id = literal.as_text().ok_or(ScimError::UnsupportedMemberPath)?;
            ids.push(&checked_id(id.to_owned())?, None)
        }
        _ => Err(ScimError::UnsupportedMemberPath),
    }
}
