//! Editing the attributes of a user: the one engine behind POST, PUT and PATCH (RFC 7644 section 3.5.2).
//!
//! A whole resource is a merge into nothing; a path-less operation is a merge into what is there; an operation with
//! a path works on its target. So each spelling of an attribute means the same, wherever it stands. The engine works
//! on a copy that its caller throws away on a refusal, which makes every call atomic.

use serde_json::{Map, Value};

use crate::canonical::{attribute_value, invalid_type, merge_parts};
use crate::custom;
use crate::error::{ScimError, echo};
use crate::filter::parse_boolean;
use crate::note::{DialectNote, Notes};
use crate::path::{AttributePath, PatchPath};
use crate::schema::{Attribute, Mutability, Presence, Schema};
use crate::target::{Selection, Target, find_target};
use crate::urn::{is_no_schema, note_spelling};
use crate::values;
use crate::work::{LOOK, Work};

/// What an operation does with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Adds to what is there.
    Add,
    /// Puts in the place of what is there.
    Replace,
}

/// Merges a whole resource or the value of a path-less operation. Read-only and unknown attributes are left aside.
///
/// # Errors
///
/// [`ScimError::UnknownAttribute`] for what is left aside nowhere: see [`leave_aside`].
pub(crate) fn merge(
    attributes: &mut Map<String, Value>,
    object: Map<String, Value>,
    verb: Verb,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    let mut said = Said::default();
    merge_said(attributes, object, &mut said, verb, notes, work)?;
    let is_inactive =
        said.attributes.contains(&"active") && attributes.get("active") == Some(&Value::Bool(false));
    match said.no_schemas.first() {
        Some(key) if !is_inactive => Err(ScimError::UnknownAttribute { path: echo(key) }),
        _ => {
            said.no_schemas.iter().for_each(|key| notes.unknown_attribute(key));
            Ok(())
        }
    }
}

/// What an object has said so far, also in an object under the core schema's URN.
#[derive(Default)]
struct Said {
    /// The core attributes.
    attributes: Vec<&'static str>,
    /// The keys that claim a schema of the standard that there is not. Whoever is said to be inactive is so all the same
    /// ([why](../../../docs/decisions/0075-whoever-is-said-to-be-inactive-is-so-whatever-stands-beside.md)).
    no_schemas: Vec<String>,
}

/// The same, of one object.
fn merge_said(
    attributes: &mut Map<String, Value>,
    object: Map<String, Value>,
    said: &mut Said,
    verb: Verb,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    for (key, value) in object {
        let path = match PatchPath::parse_noting(&key, notes) {
            Ok(path) => path,
            Err(error) if key.contains('[') => return Err(error),
            Err(_) => {
                leave_aside_in(said, key, &value, notes)?;
                continue;
            }
        };
        note_spelling(&key, notes);
        let target = find_target(&path, value.is_object(), attributes, notes, work)?;
        work.spend(LOOK)?;
        if let Target::Attribute(selection) = &target {
            if selection.is_flat() {
                notes.add(DialectNote::FlatKey(echo(&key)));
            } else if said.attributes.contains(&selection.attribute.name) {
                return Err(ScimError::DuplicateKey { key: echo(&key) });
            } else {
                said.attributes.push(selection.attribute.name);
            }
        }
        match (target, value) {
            (Target::Unknown, value) => leave_aside_in(said, key, &value, notes)?,
            // A URI that is no name may be anything that a client keeps beside.
            (Target::CustomExtension { .. }, value)
                if matches!(path, PatchPath::Schema(_)) && !value.is_object() && !value.is_null() =>
            {
                leave_aside(&key, &value, notes)?;
            }
            (Target::Attribute(selection), _) if selection.read_only().is_some() => {
                note_read_only(&selection, notes);
            }
            (Target::Core, Value::Object(object)) => {
                merge_said(attributes, object, said, verb, notes, work)?;
            }
            (target, value) => assign(attributes, target, value, verb, notes, work)?,
        }
    }
    Ok(())
}

/// The same of a key of an object: one of a schema that there is not, which says itself that nobody is inactive, waits for what
/// the whole object says.
fn leave_aside_in(said: &mut Said, key: String, value: &Value, notes: &mut Notes) -> Result<(), ScimError> {
    if is_no_schema(&key) && !may_say_inactive(&key, value) {
        said.no_schemas.push(key);
        return Ok(());
    }
    leave_aside(&key, value, notes)
}

/// Leaves aside what no schema has, with a note. Not so a schema of the standard that there is not, and not what might
/// say that somebody is not active: whoever says that is never answered that it is done while they stay.
fn leave_aside(key: &str, value: &Value, notes: &mut Notes) -> Result<(), ScimError> {
    if is_no_schema(key) || may_say_inactive(key, value) {
        return Err(ScimError::UnknownAttribute { path: echo(key) });
    }
    notes.unknown_attribute(key);
    Ok(())
}

fn may_say_inactive(key: &str, value: &Value) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let names = |text: &str| text.split(|c| !is_part(c)).any(|word| word.eq_ignore_ascii_case("active"));
    let says = |value: &Value| match value {
        Value::Null | Value::Bool(true) => false,
        Value::String(text) => parse_boolean(text) != Some(true),
        Value::Bool(false) | Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
    };
    let in_object = |(name, value): (&String, &Value)| names(name) && says(value);
    (names(key) && says(value)) || value.as_object().is_some_and(|object| object.iter().any(in_object))
}

fn note_read_only(selection: &Selection, notes: &mut Notes) {
    if let Some(name) = selection.read_only().filter(|name| *name != "schemas") {
        notes.add(DialectNote::ReadOnlyIgnored(name));
    }
}

/// Adds or replaces the value of a target that may be written.
pub(crate) fn assign(
    attributes: &mut Map<String, Value>,
    target: Target,
    value: Value,
    verb: Verb,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    match target {
        Target::Unknown => Ok(()),
        Target::Password => {
            notes.add(DialectNote::PasswordDiscarded);
            Ok(())
        }
        Target::Core => match value {
            Value::Object(object) => merge(attributes, object, verb, notes, work),
            _ => Err(ScimError::MissingValue),
        },
        Target::Extension(schema) => merge_extension(attributes, schema, value, notes, work),
        Target::CustomExtension { urn } => custom::set_extension(attributes, urn, value, verb, work),
        Target::CustomAttribute { urn, name, filter, part } => {
            let names = (urn.as_str(), name.as_str(), part.as_deref());
            match filter {
                None => custom::set_attribute(attributes, names, value, verb, notes, work),
                Some(filter) => custom::set_selected(attributes, names, &filter, value, verb, work),
            }
        }
        Target::Attribute(selection) => assign_attribute(attributes, &selection, value, verb, notes, work),
    }
}

fn assign_attribute(
    attributes: &mut Map<String, Value>,
    selection: &Selection,
    value: Value,
    verb: Verb,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    let attribute = selection.attribute;
    in_holder(attributes, selection.extension, |holder| {
        if attribute.is_multi_valued() {
            let mut list = take_list(holder, attribute);
            values::assign(&mut list, selection, value, verb, notes, work)?;
            put_list(holder, attribute, list);
            return Ok(());
        }
        match selection.part {
            Some(part) => {
                let object = Map::from_iter([(part.name.to_owned(), value)]);
                merge_complex(holder, attribute, object, notes)
            }
            None if attribute.is_complex() => match attribute_value(attribute, value, notes)? {
                None => {
                    holder.remove(attribute.name);
                    Ok(())
                }
                Some(Value::Object(object)) => merge_complex(holder, attribute, object, notes),
                Some(_) => Err(invalid_type(attribute)),
            },
            None => match attribute_value(attribute, value, notes)? {
                // An empty externalId names nothing, and two resources may not share it.
                Some(Value::String(text)) if text.is_empty() && attribute.name == "externalId" => {
                    unset(holder, attribute, notes)
                }
                Some(value) => {
                    if attribute.name == "active" {
                        // Said after all: it is not by the removal that they stay what they are.
                        notes.withdraw(&DialectNote::StaysInactive);
                    }
                    holder.insert(attribute.name.to_owned(), value);
                    Ok(())
                }
                None => unset(holder, attribute, notes),
            },
        }
    })
}

/// Removes the value of a target that may be written. `value` names single values of a list where it is given.
pub(crate) fn remove(
    attributes: &mut Map<String, Value>,
    target: Target,
    value: Option<Value>,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    match target {
        Target::Unknown | Target::Password => Ok(()),
        // That is the whole user, as without a path.
        Target::Core => Err(ScimError::RemoveWithoutPath),
        Target::Extension(schema) => match listed(value) {
            Some(listed) => remove_listed(attributes, schema, listed, notes, work),
            None => {
                attributes.remove(schema.id);
                Ok(())
            }
        },
        Target::CustomExtension { urn } => match listed(value) {
            Some(listed) => listed.into_iter().try_for_each(|(name, value)| {
                custom::remove_attribute(attributes, (&urn, &name, None), Some(value), notes, work)
            }),
            None => {
                attributes.retain(|key, _| !key.eq_ignore_ascii_case(&urn));
                Ok(())
            }
        },
        Target::CustomAttribute { urn, name, filter, part } => {
            let names = (urn.as_str(), name.as_str(), part.as_deref());
            match filter {
                None => custom::remove_attribute(attributes, names, value, notes, work),
                Some(filter) => custom::remove_selected(attributes, names, &filter, work),
            }
        }
        Target::Attribute(selection) => {
            let attribute = selection.attribute;
            in_holder(attributes, selection.extension, |holder| {
                if attribute.is_multi_valued() {
                    let mut list = take_list(holder, attribute);
                    values::remove(&mut list, &selection, value, notes, work)?;
                    put_list(holder, attribute, list);
                    return Ok(());
                }
                let lost = match (selection.part, value) {
                    (Some(part), _) => Map::from_iter([(part.name.to_owned(), Value::Null)]),
                    (None, Some(Value::Object(named))) if has_parts_alone(attribute) && !named.is_empty() => {
                        named_parts(holder, attribute, named, notes)?
                    }
                    (None, value) => {
                        let stays = is_another(holder, attribute, value, notes)?;
                        return if stays { Ok(()) } else { unset(holder, attribute, notes) };
                    }
                };
                merge_complex(holder, attribute, lost, notes)
            })
        }
    }
}

/// What a remove of a whole extension lists: as with values of a list, only that is removed. Who lists nothing means the whole.
fn listed(value: Option<Value>) -> Option<Map<String, Value>> {
    match value {
        Some(Value::Object(listed)) if !listed.is_empty() => Some(listed),
        _ => None,
    }
}

/// Removes those attributes of an extension that have the values that are listed, or any where `null` is.
fn remove_listed(
    attributes: &mut Map<String, Value>,
    schema: &'static Schema,
    listed: Map<String, Value>,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    for (key, value) in listed {
        work.spend(LOOK)?;
        let Some(attribute) = schema.attribute(&key) else {
            leave_aside(&key, &value, notes)?;
            continue;
        };
        notes.add(DialectNote::RemoveByValue(attribute.name.into()));
        if !attribute.is_complex() {
            let named = attribute_value(attribute, value.clone(), notes)?;
            let present = attributes.get(schema.id).and_then(|extension| extension.get(attribute.name));
            if named.is_some_and(|named| present != Some(&named)) {
                continue;
            }
        }
        let selection = Selection { extension: Some(schema), attribute, filter: None, part: None };
        remove(attributes, Target::Attribute(selection), Some(value), notes, work)?;
    }
    Ok(())
}

/// Whether nothing but its parts tells what a complex attribute is, as of `name`.
fn has_parts_alone(attribute: &Attribute) -> bool {
    attribute.is_complex() && attribute.sub_attribute("value").is_none()
}

/// The same of the parts of a complex attribute: those that it has, each to be unassigned.
fn named_parts(
    holder: &Map<String, Value>,
    attribute: &'static Attribute,
    named: Map<String, Value>,
    notes: &mut Notes,
) -> Result<Map<String, Value>, ScimError> {
    notes.add(DialectNote::RemoveByValue(attribute.name.into()));
    let named = attribute_value(attribute, named.into(), notes)?;
    let present = |name: &str| holder.get(attribute.name).and_then(|parts| parts.get(name));
    let named = named.as_ref().and_then(Value::as_object).into_iter().flatten();
    Ok(named
        .filter(|(name, value)| present(name) == Some(value))
        .map(|(name, _)| (name.clone(), Value::Null))
        .collect())
}

/// Whether a remove names another value than the one that a complex attribute such as `manager` has: a client that
/// first sets the new one and then removes the old one must not lose the new one.
fn is_another(
    holder: &Map<String, Value>,
    attribute: &'static Attribute,
    named: Option<Value>,
    notes: &mut Notes,
) -> Result<bool, ScimError> {
    let Some(named) = named.filter(|_| attribute.sub_attribute("value").is_some()) else { return Ok(false) };
    let Some(named) = attribute_value(attribute, named, notes)? else { return Ok(false) };
    let present = holder.get(attribute.name).and_then(|present| present.get("value"));
    let is_another = named.get("value").zip(present).is_some_and(|(named, present)| named != present);
    if is_another {
        notes.add(DialectNote::RemoveByValue(attribute.name.into()));
    }
    Ok(is_another)
}

/// Unassigns a singular attribute. A required one stays required, and an inactive user stays inactive: to bring
/// somebody back takes an explicit `true`.
fn unset(
    holder: &mut Map<String, Value>,
    attribute: &'static Attribute,
    notes: &mut Notes,
) -> Result<(), ScimError> {
    if attribute.presence == Presence::Required && holder.contains_key(attribute.name) {
        return Err(ScimError::RemovesRequired { attribute: attribute.name });
    }
    if attribute.name == "active" && holder.get("active") == Some(&Value::Bool(false)) {
        notes.add(DialectNote::StaysInactive);
        return Ok(());
    }
    holder.remove(attribute.name);
    Ok(())
}

fn merge_complex(
    holder: &mut Map<String, Value>,
    attribute: &'static Attribute,
    object: Map<String, Value>,
    notes: &mut Notes,
) -> Result<(), ScimError> {
    let mut parts = match holder.remove(attribute.name) {
        Some(Value::Object(parts)) => parts,
        _ => Map::new(),
    };
    merge_parts(attribute, &mut parts, object, notes)?;
    if !parts.is_empty() {
        holder.insert(attribute.name.to_owned(), Value::Object(parts));
    }
    Ok(())
}

/// Works on the object that holds an attribute: the resource, or its extension, which exists only with content.
fn in_holder(
    attributes: &mut Map<String, Value>,
    extension: Option<&'static Schema>,
    work: impl FnOnce(&mut Map<String, Value>) -> Result<(), ScimError>,
) -> Result<(), ScimError> {
    let Some(schema) = extension else { return work(attributes) };
    let mut holder = match attributes.remove(schema.id) {
        Some(Value::Object(holder)) => holder,
        _ => Map::new(),
    };
    work(&mut holder)?;
    if !holder.is_empty() {
        attributes.insert(schema.id.to_owned(), Value::Object(holder));
    }
    Ok(())
}

fn take_list(holder: &mut Map<String, Value>, attribute: &Attribute) -> Vec<Value> {
    match holder.remove(attribute.name) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

fn put_list(holder: &mut Map<String, Value>, attribute: &Attribute, list: Vec<Value>) {
    if !list.is_empty() {
        holder.insert(attribute.name.to_owned(), Value::Array(list));
    }
}

fn merge_extension(
    attributes: &mut Map<String, Value>,
    schema: &'static Schema,
    value: Value,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    let object = match value {
        Value::Null => {
            attributes.remove(schema.id);
            return Ok(());
        }
        Value::Object(object) => object,
        _ => return Err(ScimError::InvalidType { attribute: schema.id.to_owned(), expected: "an object" }),
    };
    let mut seen: Vec<&'static str> = Vec::new();
    for (key, value) in object {
        let Some(AttributePath { urn: None, name, sub_attribute }) = AttributePath::parse(&key) else {
            leave_aside(&key, &value, notes)?;
            continue;
        };
        let Some(attribute) = schema.attribute(&name) else {
            leave_aside(&key, &value, notes)?;
            continue;
        };
        let part = match sub_attribute.as_deref().map(|sub| attribute.sub_attribute(sub)) {
            Some(None) => {
                leave_aside(&key, &value, notes)?;
                continue;
            }
            Some(Some(part)) => Some(part),
            None => None,
        };
        if part.is_none() && seen.contains(&attribute.name) {
            return Err(ScimError::DuplicateKey { key: echo(&key) });
        }
        seen.push(attribute.name);
        if part.is_some_and(|part| part.mutability == Mutability::ReadOnly) {
            continue;
        }
        let selection = Selection { extension: Some(schema), attribute, filter: None, part };
        assign_attribute(attributes, &selection, value, Verb::Replace, notes, work)?;
    }
    Ok(())
}
