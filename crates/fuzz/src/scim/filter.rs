//! Filters: bounds, a form that reads back, an evaluator that negates, look-ups that miss nobody, and another
//! implementation that reads the same.

use std::str;

use portcullis_scim::filter::Literal;
use portcullis_scim::fold::fold;
use portcullis_scim::limits::{MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_TERMS};
use portcullis_scim::{Filter, Lookup, Narrowed, ResourceType, ScimError};
use serde_json::{Map, Value};

use super::resource;
use crate::{Taken, oracle, refusal};

/// A filter as text.
pub(crate) fn filter(bytes: &[u8], taken: &mut Taken) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let read = Filter::parse(text);
    let printed = read.as_ref().ok().map(print);
    match &read {
        Ok(filter) => {
            taken.note("filter");
            require_kept(text, filter);
        }
        Err(error) => refusal::of_scim_with_type(error),
    }
    oracle::require_same_reading(text, read.as_ref(), printed.as_deref());
}

/// The bounds hold, and the filter's own form reads back.
fn require_kept(text: &str, filter: &Filter) {
    assert!(text.len() <= MAX_FILTER_BYTES);
    assert!(terms(filter) <= MAX_FILTER_TERMS && depth(filter) <= MAX_FILTER_DEPTH, "{text}");
    let printed = print(filter);
    match Filter::parse(&printed) {
        Ok(again) => assert_eq!(again, *filter, "{printed}"),
        // The form may be longer than what was written: a bare word gets quotes, a chain in a chain parentheses.
        Err(ScimError::FilterTooLarge { .. }) => {}
        Err(error) => panic!("its own form is refused ({error}): {printed}"),
    }
    ResourceType::ALL.into_iter().for_each(|kind| require_sound(filter, kind));
}

/// An answer about each sample: its negation negates, and whoever matches is where an index is asked.
pub(crate) fn require_sound(filter: &Filter, kind: ResourceType) {
    for refused in [filter.check_names(kind), filter.check_types(kind)] {
        if let Err(error) = refused {
            refusal::of_scim_with_type(&error);
        }
    }
    if let Err(error) = filter.asked_members() {
        refusal::of_scim_with_type(&error);
    }
    let sample = resource::sample(kind);
    let Some(resource) = sample.as_object() else { return };
    let matches = filter.matches(kind, resource);
    assert_eq!(Filter::Not(Box::new(filter.clone())).matches(kind, resource), !matches, "{filter:?}");
    if matches {
        let is_there = match filter.narrow(kind) {
            Narrowed::Nothing => false,
            Narrowed::Everything => true,
            Narrowed::AnyOf(lookups) => lookups.iter().any(|lookup| finds(lookup, resource)),
        };
        assert!(is_there, "no index finds what matches {filter:?}");
    }
}

/// Whether an index finds the resource by that look-up.
fn finds(lookup: &Lookup, resource: &Map<String, Value>) -> bool {
    let exact = |key: &str, sought: &str| resource.get(key).and_then(Value::as_str) == Some(sought);
    let text = |key: &str| resource.get(key).and_then(Value::as_str).map(fold);
    let has = |key: &str, sought: &str| {
        let values = resource.get(key).and_then(Value::as_array);
        let is_sought = |value: &Value| value["value"].as_str().map(fold).as_deref() == Some(sought);
        values.is_some_and(|values| values.iter().any(is_sought))
    };
    match lookup {
        Lookup::Id(id) => exact("id", id),
        Lookup::ExternalId(id) => exact("externalId", id),
        Lookup::UserName(name) => text("userName") == Some(fold(name)),
        Lookup::DisplayName(name) => text("displayName") == Some(fold(name)),
        Lookup::EmailValue(value) => has("emails", &fold(value)),
        Lookup::Member(id) => has("members", &id.to_lowercase()),
        Lookup::UserNamePrefix(start) => text("userName").is_some_and(|own| own.starts_with(&fold(start))),
        Lookup::DisplayNamePrefix(start) => {
            text("displayName").is_some_and(|own| own.starts_with(&fold(start)))
        }
        Lookup::ExternalIdPrefix(start) => resource
            .get("externalId")
            .and_then(Value::as_str)
            .is_some_and(|own| own.starts_with(start.as_str())),
    }
}

/// A filter as the grammar writes it.
fn print(filter: &Filter) -> String {
    match filter {
        Filter::And(filters) => joined(filters, " and "),
        Filter::Or(filters) => joined(filters, " or "),
        Filter::Not(inner) => format!("not ({})", print(inner)),
        Filter::Present(path) => format!("{path} pr"),
        Filter::Compare { path, operator, literal } => {
            format!("{path} {} {}", operator.as_str(), print_literal(literal))
        }
        Filter::ValuePath { path, filter } => format!("{path}[{}]", print(filter)),
    }
}

/// A chain; what is a chain itself stands in parentheses.
fn joined(filters: &[Filter], connective: &str) -> String {
    let part = |inner: &Filter| match inner {
        Filter::And(_) | Filter::Or(_) => format!("({})", print(inner)),
        _ => print(inner),
    };
    filters.iter().map(part).collect::<Vec<_>>().join(connective)
}

fn print_literal(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".to_owned(),
        Literal::Boolean(value) => value.to_string(),
        Literal::Number(number) => number.clone(),
        Literal::Text(text) => Value::from(text.as_str()).to_string(),
    }
}

fn terms(filter: &Filter) -> usize {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => filters.iter().map(terms).sum(),
        Filter::Not(inner) | Filter::ValuePath { filter: inner, .. } => terms(inner),
        Filter::Present(_) | Filter::Compare { .. } => 1,
    }
}

/// Levels of parentheses and brackets that the tree needs at least.
fn depth(filter: &Filter) -> usize {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => filters.iter().map(depth).max().unwrap_or(0),
        Filter::Not(inner) | Filter::ValuePath { filter: inner, .. } => 1 + depth(inner),
        Filter::Present(_) | Filter::Compare { .. } => 0,
    }
}
