//! The evaluator: does a resource, or one value of a multi-valued attribute, fulfil a filter?
//!
//! Rules where the standard is silent: an attribute that does not exist has no value; `ne` is the opposite of `eq`,
//! so it is true for an attribute without a value; `eq null` is the opposite of `pr`; empty text is no value. On a
//! multi-valued attribute a comparison is true if it is for any value, except `ne`, which then is true if no value is
//! equal. Where case does not matter, blanks around a compared value do not either, as with names that must differ.
//! Attributes of custom extensions have no definition: they are compared by what they are, text without case.

use std::cmp::Ordering;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::{Filter, Literal, Operator};
use crate::error::{ScimError, echo};
use crate::path::AttributePath;
use crate::schema::{Attribute, AttributeType, Case, ResourceType, find_attribute};

mod custom;

/// What the names of a filter mean.
#[derive(Clone, Copy)]
enum Scope<'a> {
    /// Attributes of a resource.
    Resource(ResourceType, &'a Map<String, Value>),
    /// Sub-attributes of one value.
    Value(&'static Attribute, &'a Map<String, Value>),
    /// Parts of a value that no schema defines.
    Custom(&'a Map<String, Value>),
}

impl Filter {
    /// Whether a resource in canonical form fulfils the filter.
    #[must_use]
    pub fn matches(&self, resource_type: ResourceType, resource: &Map<String, Value>) -> bool {
        evaluate(self, Scope::Resource(resource_type, resource))
    }

    /// Whether one value of the multi-valued `attribute` fulfils the filter, whose names are sub-attributes.
    #[must_use]
    pub fn matches_value(&self, attribute: &'static Attribute, value: &Map<String, Value>) -> bool {
        evaluate(self, Scope::Value(attribute, value))
    }

    /// Refuses comparisons that the type of an attribute does not have: order of booleans and binaries, parts of
    /// anything but text, and a complex attribute without a `value`. A name that is unknown has no type.
    ///
    /// # Errors
    ///
    /// [`ScimError::FilterType`].
    pub fn check_types(&self, resource_type: ResourceType) -> Result<(), ScimError> {
        check(self, &|path| {
            find_attribute(resource_type, path.urn.as_deref(), &path.name).map(|located| located.attribute)
        })
    }

    /// The same for a filter over the values of one attribute.
    pub(crate) fn check_value_types(&self, attribute: &'static Attribute) -> Result<(), ScimError> {
        check(self, &|path| attribute.sub_attribute(&path.name))
    }
}

fn check(
    filter: &Filter,
    find: &dyn Fn(&AttributePath) -> Option<&'static Attribute>,
) -> Result<(), ScimError> {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => filters.iter().try_for_each(|inner| check(inner, find)),
        Filter::Not(inner) => check(inner, find),
        Filter::Present(_) => Ok(()),
        Filter::ValuePath { path, filter: inner } => match find(path) {
            None => Ok(()),
            Some(attribute) if attribute.is_complex() => {
                check(inner, &|path| attribute.sub_attribute(&path.name))
            }
            Some(_) => Err(ScimError::FilterType { attribute: echo(&path.to_string()) }),
        },
        Filter::Compare { path, operator, .. } => {
            let Some(attribute) = find(path) else { return Ok(()) };
            match leaf(attribute, path.sub_attribute.as_deref()) {
                Leaf::Unknown => Ok(()),
                Leaf::Found(leaf) if allows(leaf.kind, *operator) => Ok(()),
                Leaf::Found(_) | Leaf::Composite => {
                    Err(ScimError::FilterType { attribute: echo(&path.to_string()) })
                }
            }
        }
    }
}

fn allows(kind: AttributeType, operator: Operator) -> bool {
    match operator {
        Operator::Eq | Operator::Ne => kind != AttributeType::Complex,
        Operator::Co | Operator::Sw | Operator::Ew => {
            matches!(kind, AttributeType::String | AttributeType::Reference)
        }
        Operator::Gt | Operator::Ge | Operator::Lt | Operator::Le => {
            matches!(kind, AttributeType::String | AttributeType::Reference | AttributeType::DateTime)
        }
    }
}

enum Leaf {
    Found(&'static Attribute),
    /// A complex attribute that has no `value` to stand for it.
    Composite,
    Unknown,
}

/// The definition that a comparison works on. A complex attribute stands for its `value`.
fn leaf(attribute: &'static Attribute, sub_attribute: Option<&str>) -> Leaf {
    match (attribute.is_complex(), sub_attribute) {
        (true, Some(name)) => attribute.sub_attribute(name).map_or(Leaf::Unknown, Leaf::Found),
        (true, None) => attribute.sub_attribute("value").map_or(Leaf::Composite, Leaf::Found),
        (false, None) => Leaf::Found(attribute),
        (false, Some(_)) => Leaf::Unknown,
    }
}

fn evaluate(filter: &Filter, scope: Scope<'_>) -> bool {
    match filter {
        Filter::And(filters) => filters.iter().all(|inner| evaluate(inner, scope)),
        Filter::Or(filters) => filters.iter().any(|inner| evaluate(inner, scope)),
        Filter::Not(inner) => !evaluate(inner, scope),
        Filter::Present(path) => is_present(path, scope),
        Filter::Compare { path, operator, literal } => compare(path, *operator, literal, scope),
        Filter::ValuePath { path, filter: inner } => {
            if let Some(values) = custom::values(path, scope) {
                return values
                    .into_iter()
                    .filter_map(Value::as_object)
                    .any(|value| evaluate(inner, Scope::Custom(value)));
            }
            find_values(path, scope).is_some_and(|(attribute, values)| {
                values
                    .into_iter()
                    .filter_map(Value::as_object)
                    .any(|value| evaluate(inner, Scope::Value(attribute, value)))
            })
        }
    }
}

fn is_present(path: &AttributePath, scope: Scope<'_>) -> bool {
    if let Some(values) = custom::values(path, scope) {
        return values.into_iter().any(is_assigned);
    }
    let Some((_, values)) = find_values(path, scope) else { return false };
    values.into_iter().any(|value| match &path.sub_attribute {
        Some(name) => find_key(value, name).is_some_and(is_assigned),
        None => is_assigned(value),
    })
}

fn compare(path: &AttributePath, operator: Operator, literal: &Literal, scope: Scope<'_>) -> bool {
    match (operator, literal) {
        (Operator::Eq, Literal::Null) => return !is_present(path, scope),
        (Operator::Ne, Literal::Null) => return is_present(path, scope),
        (Operator::Ne, _) => return !compare(path, Operator::Eq, literal, scope),
        _ => {}
    }
    if let Some(values) = custom::values(path, scope) {
        return values.into_iter().any(|value| custom::compare(operator, value, literal));
    }
    let Some((attribute, values)) = find_values(path, scope) else { return false };
    let Leaf::Found(leaf) = leaf(attribute, path.sub_attribute.as_deref()) else { return false };
    values.into_iter().any(|value| {
        let value = if attribute.is_complex() { find_key(value, leaf.name) } else { Some(value) };
        value.is_some_and(|value| is_assigned(value) && compare_value(leaf, operator, value, literal))
    })
}

/// The definition that a path leads to, and the values that are there; none for an unknown attribute.
fn find_values<'a>(path: &AttributePath, scope: Scope<'a>) -> Option<(&'static Attribute, Vec<&'a Value>)> {
    let (attribute, value) = match scope {
        Scope::Resource(resource_type, resource) => {
            let located = find_attribute(resource_type, path.urn.as_deref(), &path.name)?;
            let holder = match located.extension {
                Some(schema) => resource.get(schema.id).and_then(Value::as_object),
                None => Some(resource),
            };
            (located.attribute, holder.and_then(|holder| holder.get(located.attribute.name)))
        }
        Scope::Value(attribute, value) => {
            let leaf = attribute.sub_attribute(&path.name)?;
            (leaf, value.get(leaf.name))
        }
        Scope::Custom(_) => return None,
    };
    Some((
        attribute,
        match value {
            None => Vec::new(),
            Some(Value::Array(values)) => values.iter().collect(),
            Some(value) => vec![value],
        },
    ))
}

fn find_key<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn is_assigned(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => values.iter().any(is_assigned),
        Value::Object(object) => object.values().any(is_assigned),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn compare_value(leaf: &Attribute, operator: Operator, value: &Value, literal: &Literal) -> bool {
    match (leaf.kind, value) {
        (AttributeType::Boolean, Value::Bool(value)) => {
            operator == Operator::Eq && literal.as_boolean() == Some(*value)
        }
        (AttributeType::DateTime, Value::String(value)) => {
            let instants = literal
                .as_text()
                .and_then(|text| jiff::Timestamp::from_str(text).ok())
                .zip(jiff::Timestamp::from_str(value).ok());
            instants.is_some_and(|(literal, value)| fulfils(operator, value.cmp(&literal)))
        }
        (AttributeType::Binary, Value::String(value)) => {
            operator == Operator::Eq && literal.as_text() == Some(value)
        }
        (AttributeType::String | AttributeType::Reference, Value::String(value)) => match literal.as_text() {
            None => false,
            Some(text) if leaf.case == Case::Exact => compare_text(operator, value, text),
            Some(text) => compare_folded(operator, value, text),
        },
        _ => false,
    }
}

/// Without case. Blanks around do not distinguish whole values, but are what they are in a part of one.
fn compare_folded(operator: Operator, value: &str, text: &str) -> bool {
    match operator {
        Operator::Co | Operator::Sw | Operator::Ew => compare_text(operator, &lower(value), &lower(text)),
        _ => compare_text(operator, &fold(value), &fold(text)),
    }
}

fn compare_text(operator: Operator, value: &str, text: &str) -> bool {
    match operator {
        Operator::Co => value.contains(text),
        Operator::Sw => value.starts_with(text),
        Operator::Ew => value.ends_with(text),
        _ => fulfils(operator, value.cmp(text)),
    }
}

fn fulfils(operator: Operator, ordering: Ordering) -> bool {
    match operator {
        Operator::Eq => ordering.is_eq(),
        Operator::Gt => ordering.is_gt(),
        Operator::Ge => ordering.is_ge(),
        Operator::Lt => ordering.is_lt(),
        Operator::Le => ordering.is_le(),
        Operator::Ne | Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}

/// The form in which values whose case does not matter are compared and ordered.
pub(crate) fn fold(text: &str) -> String {
    text.trim().to_lowercase()
}

fn lower(text: &str) -> String {
    text.to_lowercase()
}
