//! A group: its names, its members as a client names them, and its representation (RFC 7643 section 4.2).
//!
//! Members that were not said are another fact than no members: a whole resource without `members` leaves them as
//! they are, one with an empty list takes all away. A `null` counts as not said here, because clients write it for
//! what they do not know.
//!
//! Of extensions nothing is kept, because no mapping names what a group has beside its names; to send one refuses nothing.

use serde_json::{Map, Value, json};

use crate::canonical::single_value;
use crate::error::{ScimError, echo};
use crate::json::{Aside, parse_group_object};
use crate::limits::{MAX_INDEXED_BYTES, MAX_MEMBERS_PER_CALL};
use crate::members::Members;
use crate::note::{DialectNote, Notes};
use crate::path::PatchPath;
use crate::schema::{Attribute, GROUP_SCHEMA, Mutability, ResourceType, find_attribute};
use crate::urn::{is_core, is_no_schema, note_spelling};
use crate::user::{Meta, insert_meta, note_schemas};

/// A group as a client said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `displayName`, as sent.
    pub display_name: String,
    /// `externalId`, as sent.
    pub external_id: Option<String>,
    /// `members`, each once, in the order sent. None: not said.
    pub members: Option<Members>,
}

/// A member, for the representation of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberOfGroup {
    /// The member's id.
    pub id: String,
    /// What it is.
    pub kind: ResourceType,
    /// The member's URI.
    pub location: String,
    /// The member's name, where it is to be shown.
    pub display: Option<String>,
}

/// Parses the body of a POST or PUT.
///
/// # Errors
///
/// What the body breaks: JSON, bounds, types, a member without id, or the missing `displayName`.
pub fn parse_group(body: &[u8]) -> Result<(Group, Vec<DialectNote>), ScimError> {
    let mut notes = Notes::default();
    let group = parse_group_noting(body, &mut notes)?;
    Ok((group, notes.into_vec()))
}

/// The same; of a body that is refused, the liberties of what was read before.
///
/// # Errors
///
/// As [`parse_group`].
pub fn parse_group_noting(body: &[u8], notes: &mut Notes) -> Result<Group, ScimError> {
    let (mut object, mut aside) = parse_group_object(body)?;
    note_schemas(&mut object, GROUP_SCHEMA, notes);
    let said = Said::read(object, notes)?;
    let display_name = match said.display_name {
        Some(value) => display_name(value, notes)?,
        None => return Err(ScimError::MissingRequired { attribute: "displayName" }),
    };
    let external_id = match said.external_id {
        Some(value) => external_id(value, notes)?,
        None => None,
    };
    let members = match said.members {
        Some(value) => Some(members(value, &mut aside, notes)?.each_once()),
        None => None,
    };
    Ok(Group { display_name, external_id, members })
}

/// The representation of a group, before any projection. `members` is what of the members is shown: None where the
/// client excluded them, so that they need not be read.
#[must_use]
pub fn render_group(group: &Group, meta: &Meta<'_>, members: Option<&[MemberOfGroup]>) -> Value {
    let mut resource = Map::new();
    resource.insert("schemas".to_owned(), json!([GROUP_SCHEMA]));
    resource.insert("displayName".to_owned(), group.display_name.as_str().into());
    if let Some(external_id) = &group.external_id {
        resource.insert("externalId".to_owned(), external_id.as_str().into());
    }
    if let Some(members) = members {
        let members: Vec<Value> = members.iter().map(render_member).collect();
        resource.insert("members".to_owned(), members.into());
    }
    insert_meta(&mut resource, ResourceType::Group, meta);
    Value::Object(resource)
}

fn render_member(member: &MemberOfGroup) -> Value {
    let mut document = json!({
        "value": member.id,
        "$ref": member.location,
        "type": member.kind.name(),
    });
    if let (Some(display), Some(object)) = (&member.display, document.as_object_mut()) {
        object.insert("display".to_owned(), display.as_str().into());
    }
    document
}

/// What a whole resource or the value of a path-less operation says about a group.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) display_name: Option<Value>,
    pub(crate) external_id: Option<Value>,
    /// Never null.
    pub(crate) members: Option<Value>,
}

impl Said {
    pub(crate) fn read(object: Map<String, Value>, notes: &mut Notes) -> Result<Self, ScimError> {
        let mut said = Self::default();
        said.read_keys(object, notes)?;
        if said.members == Some(Value::Null) {
            notes.add(DialectNote::NullMembers);
            said.members = None;
        }
        Ok(said)
    }

    /// Reads the keys of an object; under the URN of the core schema may stand one more.
    fn read_keys(&mut self, object: Map<String, Value>, notes: &mut Notes) -> Result<(), ScimError> {
        for (key, value) in object {
            let path = PatchPath::parse(&key);
            note_spelling(&key, notes);
            let located = match path {
                // Which of the members are meant takes a path, not a key.
                Err(error) if key.contains('[') => return Err(error),
                Ok(PatchPath::Attribute { path, filter: Some(_) }) if !path.is_custom() => {
                    return Err(ScimError::InvalidPath { path: echo(&key) });
                }
                Ok(PatchPath::Schema(urn)) if is_core(&urn, ResourceType::Group) => {
                    let Value::Object(object) = value else { return Err(ScimError::MissingValue) };
                    self.read_keys(object, notes)?;
                    continue;
                }
                Ok(PatchPath::Attribute { path, filter: None }) if path.sub_attribute.is_none() => {
                    find_attribute(ResourceType::Group, path.urn.as_deref(), &path.name)
                }
                _ => None,
            };
            let place = match located.map(|located| located.attribute) {
                Some(Attribute { name: "displayName", .. }) => &mut self.display_name,
                Some(Attribute { name: "externalId", .. }) => &mut self.external_id,
                Some(Attribute { name: "members", .. }) => &mut self.members,
                Some(attribute) => {
                    if attribute.mutability == Mutability::ReadOnly && attribute.name != "schemas" {
                        notes.add(DialectNote::ReadOnlyIgnored(attribute.name));
                    }
                    continue;
                }
                // A schema of the standard that there is not might have been one that has members.
                None if is_no_schema(&key) => return Err(ScimError::UnknownAttribute { path: echo(&key) }),
                None => {
                    notes.unknown_attribute(&key);
                    continue;
                }
            };
            if place.replace(value).is_some() {
                return Err(ScimError::DuplicateKey { key: echo(&key) });
            }
        }
        Ok(())
    }
}

/// A `displayName`: required, hence neither null nor empty.
pub(crate) fn display_name(value: Value, notes: &mut Notes) -> Result<String, ScimError> {
    let name = text_of(named("displayName"), value, notes)?;
    name.filter(|name| !name.trim().is_empty()).ok_or(ScimError::MissingRequired { attribute: "displayName" })
}

/// An `externalId`. An empty one names nothing.
pub(crate) fn external_id(value: Value, notes: &mut Notes) -> Result<Option<String>, ScimError> {
    Ok(text_of(named("externalId"), value, notes)?.filter(|id| !id.is_empty()))
}

fn named(name: &str) -> Option<&'static Attribute> {
    find_attribute(ResourceType::Group, None, name).map(|located| located.attribute)
}

/// A text of a group, in whatever form a text of a person is taken. None where it means unassigned.
fn text_of(
    attribute: Option<&'static Attribute>,
    value: Value,
    notes: &mut Notes,
) -> Result<Option<String>, ScimError> {
    let Some(attribute) = attribute else { return Ok(None) };
    Ok(match single_value(attribute, value, notes)? {
        Some(Value::String(text)) => Some(text),
        _ => None,
    })
}

/// The members that a value names, in their order.
pub(crate) fn members(value: Value, aside: &mut Aside, notes: &mut Notes) -> Result<Members, ScimError> {
    if let Some(members) = aside.take(&value) {
        return at_most(MAX_MEMBERS_PER_CALL, members.len()).map(|()| members);
    }
    let values = match value {
        Value::Null => return Ok(Members::default()),
        Value::Array(values) => values,
        single => {
            notes.add(DialectNote::SingleWithoutList("members"));
            vec![single]
        }
    };
    at_most(MAX_MEMBERS_PER_CALL, values.len())?;
    let mut members = Members::default();
    for value in values {
        if value.is_null() {
            notes.add(DialectNote::NullInList("members"));
            continue;
        }
        let (id, kind) = member(value, notes)?;
        members.push(&id, kind)?;
    }
    Ok(members)
}

fn at_most(max: usize, named: usize) -> Result<(), ScimError> {
    if named > max { Err(ScimError::TooManyMembers { max }) } else { Ok(()) }
}

fn member(value: Value, notes: &mut Notes) -> Result<(String, Option<ResourceType>), ScimError> {
    let mut id = None;
    let mut reference = None;
    let mut kind = None;
    match value {
        Value::String(text) => {
            notes.add(DialectNote::BareValue("members"));
            id = Some(text);
        }
        Value::Object(object) => {
            for (key, value) in object {
                match (key.to_ascii_lowercase().as_str(), value) {
                    ("value", value) => id = member_id(value, notes)?.or(id),
                    ("$ref", Value::String(text)) => reference = Some(text),
                    ("type", Value::String(text)) => kind = Some(text),
                    _ => {}
                }
            }
        }
        _ => return Err(ScimError::InvalidMember),
    }
    let referred = reference.as_deref().and_then(parse_reference);
    let kind = match kind.map(|kind| parse_kind(&kind)) {
        Some(None) => {
            notes.add(DialectNote::UnknownMemberType);
            None
        }
        Some(kind) => kind,
        None => referred.map(|(kind, _)| kind),
    };
    let value = match (id, referred) {
        (Some(id), _) => id,
        (None, Some((_, id))) => {
            notes.add(DialectNote::MemberByReference);
            id.to_owned()
        }
        (None, None) => return Err(ScimError::InvalidMember),
    };
    checked_id(value).map(|value| (value, kind))
}

/// The id in a member's `value`.
fn member_id(value: Value, notes: &mut Notes) -> Result<Option<String>, ScimError> {
    let part = named("members").and_then(|members| members.sub_attribute("value"));
    text_of(part, value, notes).map_err(|refusal| match refusal {
        ScimError::InvalidType { .. } => ScimError::InvalidMember,
        ScimError::TooLong { max, .. } => ScimError::TooLong { attribute: "members.value".to_owned(), max },
        other => other,
    })
}

/// An id that a member can have: something, and within its bound.
pub(crate) fn checked_id(id: String) -> Result<String, ScimError> {
    if id.is_empty() {
        return Err(ScimError::InvalidMember);
    }
    if id.len() > MAX_INDEXED_BYTES {
        return Err(ScimError::TooLong { attribute: "members.value".to_owned(), max: MAX_INDEXED_BYTES });
    }
    Ok(id)
}

pub(crate) fn parse_kind(text: &str) -> Option<ResourceType> {
    ResourceType::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text))
}

/// The kind and id in `…/Users/{id}` or `…/Groups/{id}`.
pub(crate) fn parse_reference(reference: &str) -> Option<(ResourceType, &str)> {
    let (before, id) = reference.trim_end_matches('/').rsplit_once('/')?;
    let kind = ResourceType::ALL
        .into_iter()
        .find(|kind| before.ends_with(kind.endpoint().trim_start_matches('/')))?;
    (!id.is_empty()).then_some((kind, id))
}
