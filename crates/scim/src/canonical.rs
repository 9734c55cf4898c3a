//! Values in canonical form: types as the definitions say, names in canonical case, nothing unassigned.
//!
//! This is where the parser is liberal in spelling. Each liberty leaves a note; where a value could have two
//! meanings it is refused. Strings themselves are never changed: a client that reads back another spelling than it
//! sent sends it again for ever.

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use crate::error::ScimError;
use crate::filter::parse_boolean;
use crate::limits::MAX_VALUES_PER_ATTRIBUTE;
use crate::note::{DialectNote, Notes};
use crate::schema::{Attribute, AttributeType, Mutability};

/// A whole attribute: a list for a multi-valued one. None where the value means unassigned.
pub(crate) fn attribute_value(
    attribute: &'static Attribute,
    value: Value,
    notes: &mut Notes,
) -> Result<Option<Value>, ScimError> {
    if !attribute.is_multi_valued() {
        return single_value(attribute, value, notes);
    }
    let values = values(attribute, value, notes)?;
    Ok((!values.is_empty()).then_some(Value::Array(values)))
}

/// The values of a multi-valued attribute, at most one of them primary.
pub(crate) fn values(
    attribute: &'static Attribute,
    value: Value,
    notes: &mut Notes,
) -> Result<Vec<Value>, ScimError> {
    let given = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(values) => values,
        single => {
            notes.add(DialectNote::SingleWithoutList(attribute.name));
            vec![single]
        }
    };
    if given.len() > MAX_VALUES_PER_ATTRIBUTE {
        return Err(too_many_values(attribute));
    }
    let mut values = Vec::with_capacity(given.len());
    for value in given {
        if value.is_null() {
            notes.add(DialectNote::NullInList(attribute.name));
        }
        if let Some(value) = one_value(attribute, value, notes)? {
            values.push(value);
        }
    }
    keep_first_primary(attribute, &mut values, notes);
    Ok(values)
}

/// A singular attribute. A list of one is taken for its value, and an object that only wraps a `value`, too.
pub(crate) fn single_value(
    attribute: &'static Attribute,
    value: Value,
    notes: &mut Notes,
) -> Result<Option<Value>, ScimError> {
    let value = match value {
        Value::Array(mut values) => match (values.pop(), values.is_empty()) {
            (None, _) => return Ok(None),
            (Some(value), true) => {
                notes.add(DialectNote::ListAroundSingle(attribute.name));
                value
            }
            (Some(_), false) => return Err(invalid_type(attribute)),
        },
        value => value,
    };
    let value = match value {
        Value::Object(mut object) if !attribute.is_complex() && is_wrapper(&object) => {
            notes.add(DialectNote::WrappedValue(attribute.name));
            object.remove("value").unwrap_or(Value::Null)
        }
        value => value,
    };
    one_value(attribute, value, notes)
}

/// `{"$ref":null,"value":…}`: how some clients wrap the value of any attribute.
fn is_wrapper(object: &Map<String, Value>) -> bool {
    object.contains_key("value")
        && object.iter().all(|(key, value)| key == "value" || (key == "$ref" && value.is_null()))
}

/// One value of an attribute, whether singular or an element of a list. None where it means unassigned.
pub(crate) fn one_value(
    attribute: &'static Attribute,
    value: Value,
    notes: &mut Notes,
) -> Result<Option<Value>, ScimError> {
    if value.is_null() {
        return Ok(None);
    }
    match attribute.kind {
        AttributeType::Complex => complex_value(attribute, value, notes),
        AttributeType::Boolean => boolean_value(attribute, &value, notes).map(|value| Some(value.into())),
        AttributeType::Binary => {
            let text = text_value(attribute, value, notes)?;
            if is_base64(&text) { Ok(Some(text.into())) } else { Err(invalid_type(attribute)) }
        }
        AttributeType::String | AttributeType::DateTime | AttributeType::Reference => {
            text_value(attribute, value, notes).map(|text| Some(text.into()))
        }
    }
}

/// Whether a text is base64 (RFC 7643 section 2.3.6), of either alphabet, broken into lines or not, padded or not. With
/// what stands around it in PEM it is not.
fn is_base64(text: &str) -> bool {
    const LIBERAL: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let plain: String = text.lines().map(str::trim).collect();
    [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .any(|alphabet| GeneralPurpose::new(alphabet, LIBERAL).decode(&plain).is_ok())
}

fn complex_value(
    attribute: &'static Attribute,
    value: Value,
    notes: &mut Notes,
) -> Result<Option<Value>, ScimError> {
    let object = match (value, attribute.sub_attribute("value")) {
        (Value::Object(object), _) => object,
        (bare @ (Value::String(_) | Value::Number(_)), Some(part)) => {
            notes.add(DialectNote::BareValue(attribute.name));
            Map::from_iter([(part.name.to_owned(), bare)])
        }
        _ => return Err(invalid_type(attribute)),
    };
    let mut parts = Map::new();
    merge_parts(attribute, &mut parts, object, notes)?;
    Ok((!parts.is_empty()).then_some(Value::Object(parts)))
}

/// Sets the sub-attributes that `object` names and takes away those that it names as unassigned. A `$ref` leads to the
/// resource in `value` (RFC 7643 section 2.4) and does not outlive it.
pub(crate) fn merge_parts(
    attribute: &'static Attribute,
    parts: &mut Map<String, Value>,
    object: Map<String, Value>,
    notes: &mut Notes,
) -> Result<(), ScimError> {
    let mut seen: Vec<&'static str> = Vec::new();
    let led_to = parts.get("$ref").map(|_| parts.get("value").cloned());
    for (key, value) in object {
        let Some(part) = attribute.sub_attribute(&key) else {
            notes.unknown_attribute(&format!("{}.{key}", attribute.name));
            continue;
        };
        if seen.contains(&part.name) {
            return Err(ScimError::DuplicateKey { key: format!("{}.{}", attribute.name, part.name) });
        }
        seen.push(part.name);
        if part.mutability == Mutability::ReadOnly {
            continue;
        }
        match single_value(part, value, notes)? {
            Some(value) => parts.insert(part.name.to_owned(), value),
            None => parts.remove(part.name),
        };
    }
    let is_another = led_to.is_some_and(|value| value.as_ref() != parts.get("value"));
    if is_another && !seen.contains(&"$ref") && !leads_to_value(parts) {
        parts.remove("$ref");
    }
    Ok(())
}

fn leads_to_value(parts: &Map<String, Value>) -> bool {
    let text = |name: &str| parts.get(name).and_then(Value::as_str);
    let last = text("$ref").and_then(|reference| reference.rsplit('/').next());
    last.is_some() && last == text("value")
}

fn boolean_value(attribute: &'static Attribute, value: &Value, notes: &mut Notes) -> Result<bool, ScimError> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::String(text) => {
            let value = parse_boolean(text).ok_or_else(|| invalid_type(attribute))?;
            notes.add(DialectNote::StringBoolean(attribute.name));
            Ok(value)
        }
        _ => Err(invalid_type(attribute)),
    }
}

/// A value of a string attribute, exactly as sent.
pub(crate) fn text_value(
    attribute: &'static Attribute,
    value: Value,
    notes: &mut Notes,
) -> Result<String, ScimError> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => {
            notes.add(DialectNote::NumberAsString(attribute.name));
            number.to_string()
        }
        _ => return Err(invalid_type(attribute)),
    };
    if text.len() > attribute.max_bytes {
        return Err(ScimError::TooLong { attribute: attribute.name.to_owned(), max: attribute.max_bytes });
    }
    Ok(text)
}

fn keep_first_primary(attribute: &'static Attribute, values: &mut [Value], notes: &mut Notes) {
    let first = values.iter().position(is_primary);
    if let Some(first) = first
        && keep_primary(values, first) == Primaries::Several
    {
        notes.add(DialectNote::SeveralPrimaries(attribute.name));
    }
}

/// Whether values other than the kept one claimed to be primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Primaries {
    One,
    Several,
}

/// Leaves the value at `kept` as the only primary one.
pub(crate) fn keep_primary(values: &mut [Value], kept: usize) -> Primaries {
    let mut primaries = Primaries::One;
    for (_, value) in values.iter_mut().enumerate().filter(|(index, _)| *index != kept) {
        if is_primary(value)
            && let Some(parts) = value.as_object_mut()
        {
            parts.insert("primary".to_owned(), Value::Bool(false));
            primaries = Primaries::Several;
        }
    }
    primaries
}

pub(crate) fn is_primary(value: &Value) -> bool {
    value.get("primary") == Some(&Value::Bool(true))
}

pub(crate) fn too_many_values(attribute: &Attribute) -> ScimError {
    ScimError::TooManyValues { attribute: attribute.name.to_owned(), max: MAX_VALUES_PER_ATTRIBUTE }
}

pub(crate) fn invalid_type(attribute: &Attribute) -> ScimError {
    let expected = match attribute.kind {
        AttributeType::Complex if attribute.is_multi_valued() => "a list of objects",
        AttributeType::Complex => "an object",
        AttributeType::Boolean => "true or false",
        AttributeType::DateTime => "an rfc 3339 instant",
        AttributeType::Binary => "base64",
        AttributeType::String | AttributeType::Reference => "a string",
    };
    ScimError::InvalidType { attribute: attribute.name.to_owned(), expected }
}
