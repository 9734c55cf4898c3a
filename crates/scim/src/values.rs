//! Editing the list of a multi-valued attribute: e-mails, phone numbers, addresses (RFC 7644 section 3.5.2).

use serde_json::{Map, Value};

use crate::canonical::{
    invalid_type, is_primary, keep_primary, merge_parts, one_value, too_many_values, values,
};
use crate::edit::Verb;
use crate::error::ScimError;
use crate::filter::{Filter, Literal, Operator};
use crate::fold::fold;
use crate::limits::MAX_VALUES_PER_ATTRIBUTE;
use crate::note::{DialectNote, Notes};
use crate::schema::{Attribute, AttributeType, Case, Mutability};
use crate::target::Selection;
use crate::work::{LOOK, Work};

/// Texts that are the same to the letter are compared so many bytes at a time.
const COMPARED_AT_ONCE: usize = 32;

/// Sub-attributes that only label a value: one that loses everything else is no value any more.
const LABELS: [&str; 3] = ["type", "primary", "display"];

/// Adds to the list, or replaces it or those of its values that are selected.
pub(crate) fn assign(
    list: &mut Vec<Value>,
    selection: &Selection,
    value: Value,
    verb: Verb,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    let attribute = selection.attribute;
    match (&selection.filter, selection.part, verb) {
        (None, None, verb) => {
            // What is put in the place of all that is there has a value once, too.
            if verb == Verb::Replace {
                list.clear();
            }
            for value in values(attribute, value, notes)? {
                work.spend(list.len().saturating_mul(LOOK + size_of(&value) / COMPARED_AT_ONCE))?;
                add(list, attribute, value, notes, work)?;
            }
        }
        (None, Some(part), _) => assign_part(list, selection, part, value, notes)?,
        (Some(filter), _, _) => assign_selected(list, selection, filter, value, verb, notes, work)?,
    }
    if list.len() > MAX_VALUES_PER_ATTRIBUTE {
        return Err(too_many_values(attribute));
    }
    Ok(())
}

/// Appends a value. One with the same `value` and `type` is the same and is completed (RFC 7643 section 2.4), as it is
/// spelled now where case does not distinguish them.
fn add(
    list: &mut Vec<Value>,
    attribute: &'static Attribute,
    value: Value,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    let same = list.iter().position(|present| is_same(attribute, present, &value, work));
    work.check()?;
    let becomes_primary = is_primary(&value);
    let at = match (same, value) {
        (Some(at), Value::Object(given)) => {
            if let Some(Value::Object(parts)) = list.get_mut(at) {
                merge_parts(attribute, parts, given, notes)?;
            }
            at
        }
        (Some(at), _) => at,
        (None, value) => {
            list.push(value);
            list.len() - 1
        }
    };
    if becomes_primary {
        keep_primary(list, at);
    }
    Ok(())
}

fn is_same(attribute: &Attribute, present: &Value, given: &Value, work: &Work) -> bool {
    if given.get("value").is_none() {
        return present == given;
    }
    ["value", "type"].into_iter().all(|name| match (present.get(name), given.get(name)) {
        (Some(Value::String(present)), Some(Value::String(given))) => {
            let case = attribute.sub_attribute(name).map_or(Case::Exact, |part| part.case);
            is_same_text(case, present, given, work)
        }
        (present, given) => present == given,
    })
}

/// Beyond those that are the same to the letter, what is compared is counted here: hardly any two have one length.
fn is_same_text(case: Case, present: &str, given: &str, work: &Work) -> bool {
    match case {
        _ if present == given => true,
        Case::Exact => false,
        Case::Insensitive if present.is_ascii() && given.is_ascii() => {
            present.len() == given.len()
                && work.spend(given.len()).is_ok()
                && present.eq_ignore_ascii_case(given)
        }
        Case::Insensitive => {
            work.spend(present.len().saturating_add(given.len())).is_ok() && fold(present) == fold(given)
        }
    }
}

/// `emails.value` without a filter: clear where there is at most one value, refused where there are several.
fn assign_part(
    list: &mut Vec<Value>,
    selection: &Selection,
    part: &'static Attribute,
    value: Value,
    notes: &mut Notes,
) -> Result<(), ScimError> {
    if list.len() > 1 {
        return Err(ScimError::AmbiguousTarget { path: path_of(selection) });
    }
    let mut parts = match list.pop() {
        Some(Value::Object(parts)) => parts,
        _ => Map::new(),
    };
    let had_content = has_content(&parts);
    merge_parts(selection.attribute, &mut parts, Map::from_iter([(part.name.to_owned(), value)]), notes)?;
    if !parts.is_empty() && (has_content(&parts) || !had_content) {
        list.push(Value::Object(parts));
    }
    Ok(())
}

fn assign_selected(
    list: &mut Vec<Value>,
    selection: &Selection,
    filter: &Filter,
    value: Value,
    verb: Verb,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    let attribute = selection.attribute;
    if value.is_null() {
        return remove(list, selection, None, notes, work);
    }
    let given = given_parts(selection, value, notes)?;
    let seeds = seeds(attribute, filter, notes);
    let selected: Vec<usize> = list
        .iter()
        .enumerate()
        .filter(|(_, value)| is_selected(attribute, filter, value, work))
        .map(|(index, _)| index)
        .collect();
    work.check()?;
    if selected.is_empty() {
        let mut parts = seeds.ok_or_else(|| ScimError::NoTarget { path: path_of(selection) })?;
        merge_parts(attribute, &mut parts, given, notes)?;
        notes.add(DialectNote::SeededByFilter(attribute.name));
        let becomes_primary = parts.get("primary") == Some(&Value::Bool(true));
        let at = list.len();
        list.push(Value::Object(parts));
        if becomes_primary {
            keep_primary(list, at);
        }
        return Ok(());
    }
    let written: usize = [Some(&given), seeds.as_ref()].into_iter().flatten().map(size_of_parts).sum();
    for index in selected {
        // It is written into each, and each may have been the primary one.
        work.spend(written.saturating_add(list.len()))?;
        let Some(Value::Object(parts)) = list.get_mut(index) else { continue };
        let had_content = has_content(parts);
        if verb == Verb::Replace && selection.part.is_none() {
            *parts = seeds.clone().unwrap_or_default();
        }
        merge_parts(attribute, parts, given.clone(), notes)?;
        if had_content && !has_content(parts) {
            parts.clear();
        }
        if parts.get("primary") == Some(&Value::Bool(true)) && given_primary(&given) {
            keep_primary(list, index);
        }
    }
    list.retain(|value| value.as_object().is_none_or(|parts| !parts.is_empty()));
    Ok(())
}

fn given_primary(given: &Map<String, Value>) -> bool {
    given.contains_key("primary")
}

/// The sub-attributes that an operation with a filter sets.
fn given_parts(
    selection: &Selection,
    value: Value,
    notes: &mut Notes,
) -> Result<Map<String, Value>, ScimError> {
    let attribute = selection.attribute;
    if let Some(part) = selection.part {
        return Ok(Map::from_iter([(part.name.to_owned(), value)]));
    }
    let value = match value {
        Value::Array(mut values) if values.len() == 1 => values.pop().unwrap_or(Value::Null),
        value => value,
    };
    match one_value(attribute, value, notes)? {
        Some(Value::Object(parts)) => Ok(parts),
        _ => Err(invalid_type(attribute)),
    }
}

/// The value that a filter describes, if it is made of `eq` clauses joined by `and` (RFC 7644, erratum 8097).
fn seeds(attribute: &'static Attribute, filter: &Filter, notes: &mut Notes) -> Option<Map<String, Value>> {
    let clauses = match filter {
        Filter::And(filters) => filters.as_slice(),
        single => std::slice::from_ref(single),
    };
    let mut parts = Map::new();
    for clause in clauses {
        let Filter::Compare { path, operator: Operator::Eq, literal } = clause else { return None };
        let part = attribute.sub_attribute(&path.name)?;
        if path.urn.is_some() || path.sub_attribute.is_some() || part.mutability == Mutability::ReadOnly {
            return None;
        }
        let value = one_value(part, literal_value(part, literal)?, notes).ok()??;
        if parts.insert(part.name.to_owned(), value).is_some() {
            return None;
        }
    }
    Some(parts)
}

fn literal_value(part: &Attribute, literal: &Literal) -> Option<Value> {
    match part.kind {
        AttributeType::Boolean => literal.as_boolean().map(Value::Bool),
        _ => literal.as_text().map(Value::from),
    }
}

/// Clears the list, or removes from it what is selected by the filter, named by `value`, or the part.
pub(crate) fn remove(
    list: &mut Vec<Value>,
    selection: &Selection,
    value: Option<Value>,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    let attribute = selection.attribute;
    let selects = |filter: &Filter, value: &Value| is_selected(attribute, filter, value, work);
    match (&selection.filter, selection.part) {
        (None, None) => match value {
            None | Some(Value::Null) => list.clear(),
            Some(named) => remove_named(list, attribute, named, notes, work)?,
        },
        (None, Some(part)) => remove_part(list, part, |_| true),
        (Some(filter), None) => list.retain(|value| !selects(filter, value)),
        (Some(filter), Some(part)) => remove_part(list, part, |value| selects(filter, value)),
    }
    work.check()
}

fn remove_named(
    list: &mut Vec<Value>,
    attribute: &'static Attribute,
    named: Value,
    notes: &mut Notes,
    work: &Work,
) -> Result<(), ScimError> {
    let named = values(attribute, named, notes)?;
    if named.is_empty() {
        notes.add(DialectNote::EmptyRemove(attribute.name.into()));
        return Ok(());
    }
    notes.add(DialectNote::RemoveByValue(attribute.name.into()));
    // Each that is named is held against each that is there.
    let (of_named, of_list) = (named.iter().map(size_of).sum(), list.iter().map(size_of).sum::<usize>());
    let looks = list.len().saturating_mul(named.len()).saturating_mul(LOOK);
    work.spend(looks)?;
    work.spend(list.len().saturating_mul(of_named))?;
    work.spend(named.len().saturating_mul(of_list))?;
    list.retain(|present| !named.iter().any(|named| names(attribute, named, present)));
    Ok(())
}

/// Whether a value that a client names is this one: by `value`, and `type` where it says one, else by all it says.
fn names(attribute: &'static Attribute, named: &Value, present: &Value) -> bool {
    let (Some(named), Some(present)) = (named.as_object(), present.as_object()) else {
        return named == present;
    };
    let by_value = named.contains_key("value");
    named.iter().filter(|(key, _)| !by_value || matches!(key.as_str(), "value" | "type")).all(
        |(key, value)| {
            present.get(key).is_some_and(|present| match (attribute.sub_attribute(key), value, present) {
                (Some(part), Value::String(named), Value::String(present))
                    if part.case == Case::Insensitive =>
                {
                    fold(named) == fold(present)
                }
                _ => value == present,
            })
        },
    )
}

fn remove_part(list: &mut Vec<Value>, part: &Attribute, selects: impl Fn(&Value) -> bool) {
    list.retain_mut(|value| {
        if !selects(value) {
            return true;
        }
        let Some(parts) = value.as_object_mut() else { return true };
        parts.remove(part.name).is_none() || has_content(parts)
    });
}

fn is_selected(attribute: &'static Attribute, filter: &Filter, value: &Value, work: &Work) -> bool {
    work.spend(LOOK).is_ok() && value.as_object().is_some_and(|parts| filter.selects(attribute, parts, work))
}

/// The bytes of a value that are text, which is what may be many.
fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Object(parts) => size_of_parts(parts),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => 0,
    }
}

fn size_of_parts(parts: &Map<String, Value>) -> usize {
    parts.values().filter_map(Value::as_str).map(str::len).sum()
}

fn has_content(parts: &Map<String, Value>) -> bool {
    parts.keys().any(|key| !LABELS.contains(&key.as_str()))
}

fn path_of(selection: &Selection) -> String {
    match (&selection.filter, selection.part) {
        (None, None) => selection.attribute.name.to_owned(),
        (None, Some(part)) => format!("{}.{}", selection.attribute.name, part.name),
        (Some(_), None) => format!("{}[…]", selection.attribute.name),
        (Some(_), Some(part)) => format!("{}[…].{}", selection.attribute.name, part.name),
    }
}
