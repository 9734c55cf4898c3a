//! Reading a JSON body within bounds.
//!
//! One pass builds the value and refuses what must not go further: too deep, too many values, strings too long,
//! U+0000 anywhere, and objects that name a key twice (two readers of such a body could see two different
//! requests). It is linear in the bytes of the body.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{ScimError, echo};
use crate::limits::{MAX_JSON_DEPTH, MAX_JSON_STRING_BYTES, MAX_JSON_VALUES};

/// The byte order mark that some clients put before their UTF-8.
const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// Parses a body that must be one JSON object.
pub(crate) fn parse_object(body: &[u8]) -> Result<Map<String, Value>, ScimError> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let bounds = Bounds { values: Cell::new(0), refusal: RefCell::new(None) };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let parsed = Node { bounds: &bounds, depth: 1 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    match parsed {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ScimError::NotAnObject),
        Err(error) => Err(bounds
            .refusal
            .into_inner()
            .unwrap_or(ScimError::InvalidJson { line: error.line(), column: error.column() })),
    }
}

struct Bounds {
    values: Cell<usize>,
    refusal: RefCell<Option<ScimError>>,
}

impl Bounds {
    fn refuse<E: serde::de::Error>(&self, refusal: ScimError) -> E {
        *self.refusal.borrow_mut() = Some(refusal);
        E::custom("refused")
    }

    fn check_text<E: serde::de::Error>(&self, text: &str) -> Result<(), E> {
        if text.len() > MAX_JSON_STRING_BYTES {
            return Err(self.refuse(ScimError::StringTooLong { max: MAX_JSON_STRING_BYTES }));
        }
        if text.contains('\0') {
            return Err(self.refuse(ScimError::NulCharacter));
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    bounds: &'a Bounds,
    depth: usize,
}

impl<'a> Node<'a> {
    fn inner<E: serde::de::Error>(self) -> Result<Node<'a>, E> {
        if self.depth > MAX_JSON_DEPTH {
            return Err(self.bounds.refuse(ScimError::TooDeep { max: MAX_JSON_DEPTH }));
        }
        Ok(Node { bounds: self.bounds, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let values = self.bounds.values.get() + 1;
        self.bounds.values.set(values);
        if values > MAX_JSON_VALUES {
            return Err(self.bounds.refuse(ScimError::TooManyJsonValues { max: MAX_JSON_VALUES }));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a json value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.bounds.check_text(value)?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        self.bounds.check_text(&value)?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.bounds.check_text(&key)?;
            let value = entries.next_value_seed(inner)?;
            if object.contains_key(&key) {
                return Err(self.bounds.refuse::<A::Error>(ScimError::DuplicateKey { key: echo(&key) }));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
