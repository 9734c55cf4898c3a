//! Editing the extensions of a client's own, of which no schema tells anything: their attributes are known by their
//! names, and letter case does not distinguish those (RFC 7643 section 2.1). A value under another spelling is the same
//! value, or a mapping would go on seeing the one that was replaced.

mod selected;

pub(crate) use selected::{remove_selected, set_selected};

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::edit::Verb;
use crate::error::{ScimError, echo};
use crate::note::{DialectNote, Notes};
use crate::work::{LOOK, Work};

/// Counts that each name of a custom extension is looked at, and put into lower case.
fn look_through(attributes: &Map<String, Value>, urn: &str, work: &Work) -> Result<(), ScimError> {
    attributes.get(urn).and_then(Value::as_object).map_or(Ok(()), |object| spend_names(object, work))
}

fn spend_names(object: &Map<String, Value>, work: &Work) -> Result<(), ScimError> {
    work.spend(object.keys().map(|name| LOOK.saturating_add(name.len())).sum())
}

/// Sets what an object of a custom extension names.
pub(crate) fn set_extension(
    attributes: &mut Map<String, Value>,
    urn: String,
    value: Value,
    verb: Verb,
    work: &Work,
) -> Result<(), ScimError> {
    let mut object = match attributes.remove(&urn) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    match value {
        Value::Null => return Ok(()),
        Value::Object(given) => set_attributes(&mut object, given, verb, work)?,
        _ => return Err(ScimError::InvalidType { attribute: echo(&urn), expected: "an object" }),
    }
    put_extension(attributes, urn, object);
    Ok(())
}

/// Sets the attributes of an extension, or the sub-attributes of one, that an object names: the others stay
/// (RFC 7644 sections 3.5.2.1 and 3.5.2.3).
fn set_attributes(
    object: &mut Map<String, Value>,
    given: Map<String, Value>,
    verb: Verb,
    work: &Work,
) -> Result<(), ScimError> {
    spend_names(object, work)?;
    let names: HashSet<String> = given.keys().map(|name| name.to_ascii_lowercase()).collect();
    let mut present: HashMap<String, (String, Value)> = HashMap::new();
    object.retain(|key, value| {
        let name = key.to_ascii_lowercase();
        let stays = !names.contains(&name);
        if !stays {
            present.insert(name, (key.clone(), std::mem::take(value)));
        }
        stays
    });
    for (name, value) in given {
        let (name, value) = match present.remove(&name.to_ascii_lowercase()) {
            Some((own, present)) => (own, said(Some(present), value, verb, work)?),
            None => (name, said(None, value, verb, work)?),
        };
        object.insert(name, value);
    }
    object.retain(|_, value| is_assigned(value));
    Ok(())
}

/// Sets an attribute: by the URN of its extension, its name, and its part where one is meant.
pub(crate) fn set_attribute(
    attributes: &mut Map<String, Value>,
    (urn, name, part): (&str, &str, Option<&str>),
    value: Value,
    verb: Verb,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    if value.is_null() {
        return remove_attribute(attributes, (urn, name, part), None, notes, work);
    }
    look_through(attributes, urn, work)?;
    let mut object = match attributes.remove(urn) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    match part {
        None => {
            let present = object.remove(name);
            object.retain(|key, _| !key.eq_ignore_ascii_case(name));
            object.insert(name.to_owned(), said(present, value, verb, work)?);
        }
        Some(part) => {
            let given = Map::from_iter([(part.to_owned(), value)]);
            let value = match object.remove(name) {
                None => said(None, given.into(), verb, work)?,
                Some(Value::Array(list)) => {
                    let only = the_only(list).ok_or_else(|| ScimError::AmbiguousTarget {
                        path: echo(&format!("{name}.{part}")),
                    })?;
                    Value::Array(vec![with_part(name, only, given, verb, work)?])
                }
                Some(present) => with_part(name, present, given, verb, work)?,
            };
            object.insert(name.to_owned(), value);
        }
    }
    put_extension(attributes, urn.to_owned(), object);
    Ok(())
}

fn the_only(mut list: Vec<Value>) -> Option<Value> {
    list.pop().filter(|_| list.is_empty())
}

/// A value that has parts, with one more of them. A text or a number has none, and is not thrown away for them.
fn with_part(
    name: &str,
    present: Value,
    given: Map<String, Value>,
    verb: Verb,
    work: &Work,
) -> Result<Value, ScimError> {
    if present.is_object() {
        return said(Some(present), given.into(), verb, work);
    }
    Err(ScimError::InvalidType {
        attribute: echo(name),
        expected: "an object, because a part of it is named",
    })
}

/// What is kept of a value that a client says. To add to a list is to append what it has not, and of an object only
/// what is listed is changed (RFC 7644 sections 3.5.2.1 and 3.5.2.3); all else takes the place of what is there.
fn said(present: Option<Value>, given: Value, verb: Verb, work: &Work) -> Result<Value, ScimError> {
    let (mut list, given) = match (present, given) {
        (Some(Value::Object(mut parts)), Value::Object(given)) => {
            set_attributes(&mut parts, given, verb, work)?;
            return Ok(Value::Object(parts));
        }
        (Some(Value::Array(list)), given) if verb == Verb::Add && !given.is_null() => (list, given),
        (_, Value::Object(given)) => {
            let mut parts = Map::new();
            set_attributes(&mut parts, given, verb, work)?;
            return Ok(Value::Object(parts));
        }
        (_, given) => return Ok(given),
    };
    let mut seen = texts(&list, work)?;
    for value in each(given) {
        if seen.insert(text(&value, work)?) {
            list.push(value);
        }
    }
    Ok(Value::Array(list))
}

/// Removes an attribute, named like there, or only the values of it that the client names (as [`crate::values`] does).
pub(crate) fn remove_attribute(
    attributes: &mut Map<String, Value>,
    (urn, name, part): (&str, &str, Option<&str>),
    named: Option<Value>,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    look_through(attributes, urn, work)?;
    let Some(Value::Object(object)) = attributes.get_mut(urn) else { return Ok(()) };
    let named = named.filter(|named| !named.is_null()).map(each);
    if let Some(named) = &named {
        let name = echo(name).into();
        notes.add(if named.is_empty() {
            DialectNote::EmptyRemove(name)
        } else {
            DialectNote::RemoveByValue(name)
        });
    }
    let named = named.as_deref().map(|named| Named::of(named, work)).transpose()?;
    *object = lessened(std::mem::take(object), name, |present| match part {
        None => without(present, named.as_ref(), work),
        Some(part) => without_part(present, part, named.as_ref(), work),
    })?;
    if object.is_empty() {
        attributes.remove(urn);
    }
    Ok(())
}

/// An object with what is left of the value of that name.
fn lessened(
    object: Map<String, Value>,
    name: &str,
    left: impl Fn(Value) -> Result<Option<Value>, ScimError>,
) -> Result<Map<String, Value>, ScimError> {
    let mut kept = Map::new();
    for (key, value) in object {
        let value = if key.eq_ignore_ascii_case(name) { left(value)? } else { Some(value) };
        kept.extend(value.map(|value| (key, value)));
    }
    Ok(kept)
}

/// What is left of a value without those that are named; nothing where none are.
fn without(present: Value, named: Option<&Named<'_>>, work: &Work) -> Result<Option<Value>, ScimError> {
    let Some(named) = named else { return Ok(None) };
    let mut kept = Vec::new();
    let is_list = present.is_array();
    for value in each(present) {
        if !named.has(&value, work)? {
            kept.push(value);
        }
    }
    Ok(if is_list { (!kept.is_empty()).then_some(Value::Array(kept)) } else { kept.pop() })
}

/// What is left of a value without that part of it, or of each where it is a list. A text, a number or a boolean is its own
/// `value`.
fn without_part(
    present: Value,
    part: &str,
    named: Option<&Named<'_>>,
    work: &Work,
) -> Result<Option<Value>, ScimError> {
    work.spend(LOOK)?;
    match present {
        Value::Object(parts) => {
            spend_names(&parts, work)?;
            let parts = lessened(parts, part, |present| without(present, named, work))?;
            Ok((!parts.is_empty()).then_some(Value::Object(parts)))
        }
        Value::Array(values) => {
            let mut kept = Vec::new();
            for value in values {
                kept.extend(without_part(value, part, named, work)?);
            }
            Ok((!kept.is_empty()).then_some(Value::Array(kept)))
        }
        plain if part.eq_ignore_ascii_case("value") => without(plain, named, work),
        plain => Ok(Some(plain)),
    }
}

/// The values that a removal names, found by the text of what they are compared by.
struct Named<'v>(HashMap<String, Vec<&'v Value>>);

impl<'v> Named<'v> {
    fn of(named: &'v [Value], work: &Work) -> Result<Self, ScimError> {
        let mut all: HashMap<String, Vec<&Value>> = HashMap::new();
        for value in named {
            all.entry(text(compared(value), work)?).or_default().push(value);
        }
        Ok(Self(all))
    }

    /// Whether a value that is there is one of them: by its `value`, if it has one, and by `type` where a client says
    /// that, too.
    fn has(&self, present: &Value, work: &Work) -> Result<bool, ScimError> {
        let Some(named) = self.0.get(&text(compared(present), work)?) else { return Ok(false) };
        work.spend(named.len().saturating_mul(LOOK))?;
        Ok(named.iter().any(|named| named.get("type").is_none_or(|kind| present.get("type") == Some(kind))))
    }
}

/// What of a value is compared.
fn compared(value: &Value) -> &Value {
    value.get("value").unwrap_or(value)
}

fn each(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        single => vec![single],
    }
}

/// The texts of values: nothing but their text makes them the same.
fn texts(values: &[Value], work: &Work) -> Result<HashSet<String>, ScimError> {
    values.iter().map(|value| text(value, work)).collect()
}

fn text(value: &Value, work: &Work) -> Result<String, ScimError> {
    let text = value.to_string();
    work.spend(LOOK.saturating_add(text.len()))?;
    Ok(text)
}

/// Keeps a custom extension as it was sent, without what is unassigned. Its bounds are checked with the whole user.
fn put_extension(attributes: &mut Map<String, Value>, urn: String, mut object: Map<String, Value>) {
    object.retain(|_, value| is_assigned(value));
    if !object.is_empty() {
        attributes.insert(urn, Value::Object(object));
    }
}

fn is_assigned(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(values) => !values.is_empty(),
        Value::Object(parts) => !parts.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
