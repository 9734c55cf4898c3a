//! Values of custom extensions: no schema tells their types, so they are compared by what they are.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Evaluation, KEY, Scope, fulfils};
use crate::filter::{Literal, Operator};
use crate::path::AttributePath;
use crate::schema::{ENTERPRISE_SCHEMA, ResourceType};
use crate::urn::is_custom;
use crate::work::LOOK;

impl Evaluation<'_> {
    /// The extension that a path names as a whole: what looks like an attribute is the end of its URN.
    pub(super) fn find_extension<'a>(&self, path: &AttributePath, scope: Scope<'a>) -> Option<&'a Value> {
        let Scope::Resource(ResourceType::User, resource) = scope else { return None };
        let urn = path.urn.as_deref().filter(|_| path.sub_attribute.is_none())?;
        if path.is_enterprise() {
            return resource.get(ENTERPRISE_SCHEMA);
        }
        if !(is_custom(urn) || path.is_custom_extension()) || !self.may(resource.len().saturating_mul(KEY)) {
            return None;
        }
        let is_whole = |key: &str| {
            let (start, end) = key.split_at_checked(urn.len()).unwrap_or((key, ""));
            let name = end.strip_prefix(':').unwrap_or("");
            start.eq_ignore_ascii_case(urn) && name.eq_ignore_ascii_case(&path.name)
        };
        resource.iter().find(|(key, _)| is_whole(key)).map(|(_, value)| value)
    }

    /// The values that a name of a custom extension leads to; none where the name is a defined one.
    pub(super) fn custom_values<'a>(&self, path: &AttributePath, scope: Scope<'a>) -> Option<Vec<&'a Value>> {
        let value = match scope {
            Scope::Resource(_, resource) if path.is_custom() => {
                let extension = path.urn.as_deref().and_then(|urn| self.find(resource, urn));
                extension.and_then(Value::as_object).and_then(|holder| self.find(holder, &path.name))
            }
            Scope::Custom(Value::Object(parts)) => self.find(parts, &path.name),
            Scope::Custom(Value::Null | Value::Array(_)) => None,
            Scope::Custom(plain) => Some(plain).filter(|_| path.name.eq_ignore_ascii_case("value")),
            Scope::Resource(..) | Scope::Value(..) => return None,
        };
        let values: Vec<&Value> = match value {
            None => Vec::new(),
            Some(Value::Array(values)) => values.iter().collect(),
            Some(value) => vec![value],
        };
        if !self.may(values.len()) {
            return Some(Vec::new());
        }
        Some(match &path.sub_attribute {
            None => values,
            Some(part) => values.into_iter().filter_map(|value| self.find_key(value, part)).collect(),
        })
    }

    pub(super) fn compare_custom(&self, operator: Operator, value: &Value, literal: &Literal) -> bool {
        match value {
            Value::Bool(value) => {
                self.may(LOOK) && operator == Operator::Eq && literal.as_boolean() == Some(*value)
            }
            Value::Number(number) => {
                if !self.may(LOOK) {
                    return false;
                }
                let literal = literal.as_text().and_then(|text| text.parse::<f64>().ok());
                let ordering =
                    number.as_f64().zip(literal).and_then(|(number, literal)| number.partial_cmp(&literal));
                ordering.is_some_and(|ordering: Ordering| fulfils(operator, ordering))
            }
            Value::String(text) if !text.is_empty() => literal.as_text().is_some_and(|literal| {
                self.may_compare(text, literal) && self.compare_folded(operator, text, literal)
            }),
            // A complex value stands for its `value`.
            Value::Object(_) => self
                .find_key(value, "value")
                .filter(|inner| !inner.is_object())
                .is_some_and(|inner| self.compare_custom(operator, inner, literal)),
            Value::Null | Value::String(_) | Value::Array(_) => false,
        }
    }
}
