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
    let given = match (part, value) {
        (_, Value::Null) => return remove_selected(attributes, (urn, name, part), filter, work),
        (Some(part), value) => Map::from_iter([(part.to_owned(), value)]),
        (None, Value::Object(given)) => given,
        (None, _) => {
            return Err(ScimError::InvalidType { attribute: echo(name), expected: "an object" });
        }
    };
    let bytes = Value::Object(given.clone()).to_string().len();
    let mut many = 0_usize;
    change(attributes, (urn, name), filter, work, |parts| {
        many += 1;
        work.spend(bytes)?;
        set_attributes(parts, given.clone(), verb, work)
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
    change(attributes, (urn, name), filter, work, |parts| {
        parts.retain(|key, _| part.is_some_and(|part| !key.eq_ignore_ascii_case(part)));
        Ok(())
    })
}

/// Changes each value that the filter chooses. What is empty then is gone.
fn change(
    attributes: &mut Map<String, Value>,
    (urn, name): (&str, &str),
    filter: &Filter,
    work: &Work,
    mut change: impl FnMut(&mut Map<String, Value>) -> Result<(), ScimError>,
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
        for parts in values.iter_mut().filter_map(Value::as_object_mut) {
            work.spend(LOOK)?;
            let is_chosen = filter.selects_custom(parts, work);
            work.check()?;
            if is_chosen {
                change(parts)?;
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

/// The names of all parts, in lower case.
fn names(values: &[Value], work: &Work) -> Result<HashSet<String>, ScimError> {
    let names = values.iter().filter_map(Value::as_object).flat_map(Map::keys);
    work.spend(names.clone().map(|name| LOOK.saturating_add(name.len())).sum())?;
    Ok(names.map(|name| name.to_ascii_lowercase()).collect())
}
