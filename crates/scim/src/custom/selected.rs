//! Those values of an attribute of a custom extension that a filter chooses, alone or among others, and their parts.

use std::collections::HashSet;
use std::slice;

use serde_json::{Map, Value};

use super::{is_assigned, look_through, set_attributes};
use crate::edit::Verb;
use crate::error::{ScimError, echo};
use crate::filter::Filter;
use crate::work::{LOOK, Work};

/// Sets in each value that the filter chooses the part, or what an object lists: the rest of it stays.
pub(crate) fn set_selected(
    attributes: &mut Map<String, Value>,
    (urn, name, part): (&str, &str, Option<&str>),
    filter: &Filter,
    value: Value,
    verb: Verb,
    work: &Work,
) -> Result<(), ScimError> {
    if value.is_null() {
        return remove_selected(attributes, (urn, name, part), filter, work);
    }
    let bytes = value.to_string().len();
    let invalid = |expected| ScimError::InvalidType { attribute: echo(name), expected };
    let mut many = 0_usize;
    change(attributes, (urn, name), filter, work, |chosen| {
        many += 1;
        work.spend(bytes)?;
        match (chosen, part, value.clone()) {
            (Value::Object(parts), Some(part), value) => {
                set_attributes(parts, Map::from_iter([(part.to_owned(), value)]), verb, work)
            }
            (Value::Object(parts), None, Value::Object(given)) => set_attributes(parts, given, verb, work),
            (Value::Object(_), None, _) => Err(invalid("an object")),
            (_, Some(part), _) if !is_itself(part) => {
                Err(invalid("an object, because a part of it is named"))
            }
            (_, _, Value::Object(_) | Value::Array(_)) => Err(invalid("a text, a number or a boolean")),
            (plain, _, value) => {
                *plain = value;
                Ok(())
            }
        }
    })?;
    // What nobody defines is not made from what a filter says of it.
    if many == 0 { Err(ScimError::NoTarget { path: echo(&format!("{name}[…]")) }) } else { Ok(()) }
}

/// Removes each value that the filter chooses, or the part of it.
pub(crate) fn remove_selected(
    attributes: &mut Map<String, Value>,
    (urn, name, part): (&str, &str, Option<&str>),
    filter: &Filter,
    work: &Work,
) -> Result<(), ScimError> {
    change(attributes, (urn, name), filter, work, |chosen| {
        match (chosen, part) {
            (Value::Object(parts), Some(part)) => parts.retain(|key, _| !key.eq_ignore_ascii_case(part)),
            (_, Some(part)) if !is_itself(part) => {}
            (whole, _) => *whole = Value::Null,
        }
        Ok(())
    })
}

/// Whether a part of a text, a number or a boolean is all of it, as [`Filter::selects_custom`] reads it.
fn is_itself(part: &str) -> bool {
    part.eq_ignore_ascii_case("value")
}

/// Changes each value that the filter chooses. What is empty then is gone.
fn change(
    attributes: &mut Map<String, Value>,
    (urn, name): (&str, &str),
    filter: &Filter,
    work: &Work,
    mut change: impl FnMut(&mut Value) -> Result<(), ScimError>,
) -> Result<(), ScimError> {
    look_through(attributes, urn, work)?;
    let Some(Value::Object(extension)) = attributes.get_mut(urn) else { return Ok(()) };
    let Some(value) = extension.get_mut(name) else { return Ok(()) };
    let values = match &mut *value {
        Value::Array(values) => values.as_mut_slice(),
        single => slice::from_mut(single),
    };
    // A name that no value has may be a slip, and behind a `not` it would choose all.
    let known = names(values, work)?;
    if filter.names_all(&|path| known.contains(&path.name.to_ascii_lowercase())) {
        for value in values {
            work.spend(LOOK)?;
            let is_chosen = filter.selects_custom(value, work);
            work.check()?;
            if is_chosen {
                change(value)?;
            }
        }
    }
    if let Value::Array(values) = value {
        values.retain(is_assigned);
    }
    extension.retain(|_, value| is_assigned(value));
    if extension.is_empty() {
        attributes.remove(urn);
    }
    Ok(())
}

/// The names of all parts, in lower case. A value that has none is its own `value`.
fn names(values: &[Value], work: &Work) -> Result<HashSet<String>, ScimError> {
    let names = values.iter().filter_map(Value::as_object).flat_map(Map::keys);
    work.spend(names.clone().map(|name| LOOK.saturating_add(name.len())).sum())?;
    let itself = values.iter().any(|value| !value.is_object()).then(|| "value".to_owned());
    Ok(names.map(|name| name.to_ascii_lowercase()).chain(itself).collect())
}
