//! Values of custom extensions: no schema tells their types, so they are compared by what they are.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{Scope, compare_folded, find_key, fulfils};
use crate::filter::{Literal, Operator};
use crate::path::AttributePath;

/// The values that a name of a custom extension leads to; none where the name is a defined one.
pub(super) fn values<'a>(path: &AttributePath, scope: Scope<'a>) -> Option<Vec<&'a Value>> {
    let holder = match scope {
        Scope::Resource(_, resource) if path.is_custom() => {
            path.urn.as_deref().and_then(|urn| find(resource, urn)).and_then(Value::as_object)
        }
        Scope::Custom(value) => Some(value),
        Scope::Resource(..) | Scope::Value(..) => return None,
    };
    let value = holder.and_then(|holder| find(holder, &path.name));
    let values: Vec<&Value> = match value {
        None => Vec::new(),
        Some(Value::Array(values)) => values.iter().collect(),
        Some(value) => vec![value],
    };
    Some(match &path.sub_attribute {
        None => values,
        Some(part) => values.into_iter().filter_map(|value| find_key(value, part)).collect(),
    })
}

fn find<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

pub(super) fn compare(operator: Operator, value: &Value, literal: &Literal) -> bool {
    match value {
        Value::Bool(value) => operator == Operator::Eq && literal.as_boolean() == Some(*value),
        Value::Number(number) => {
            let literal = literal.as_text().and_then(|text| text.parse::<f64>().ok());
            let ordering =
                number.as_f64().zip(literal).and_then(|(number, literal)| number.partial_cmp(&literal));
            ordering.is_some_and(|ordering: Ordering| fulfils(operator, ordering))
        }
        Value::String(text) if !text.is_empty() => {
            literal.as_text().is_some_and(|literal| compare_folded(operator, text, literal))
        }
        // A complex value stands for its `value`.
        Value::Object(_) => find_key(value, "value")
            .filter(|inner| !inner.is_object())
            .is_some_and(|inner| compare(operator, inner, literal)),
        Value::Null | Value::String(_) | Value::Array(_) => false,
    }
}
