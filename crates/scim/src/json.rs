//! Reading a JSON body within bounds.
//!
//! One pass builds the value and refuses what must not go further: too deep, too many values, strings too long,
//! U+0000 anywhere, and objects that name a key twice (two readers of such a body could see two different
//! requests). It is linear in the bytes of the body.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{ScimError, echo};
use crate::limits::{MAX_JSON_DEPTH, MAX_JSON_STRING_BYTES, MAX_JSON_VALUES, MIN_SET_ASIDE};
use crate::members::{Members, PlainMember};

/// The byte order mark that some clients put before their UTF-8.
/// Names that are compared one by one.
const FEW_NAMES: usize = 16;

const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// Parses a body that must be one JSON object.
pub(crate) fn parse_object(body: &[u8]) -> Result<Map<String, Value>, ScimError> {
    parse(body, &Bounds::default())
}

/// The same of what is said of a group: its long lists of plain members are not in the object but set aside, and
/// [`Aside::take`] gives them.
pub(crate) fn parse_group_object(body: &[u8]) -> Result<(Map<String, Value>, Aside), ScimError> {
    // Shorter than its members would be.
    if body.len() > MIN_SET_ASIDE * 16 {
        let bounds = Bounds { aside: Some(RefCell::default()), ..Bounds::default() };
        if let (Ok(object), Some(aside)) = (parse(body, &bounds), bounds.aside) {
            return Ok((object, aside.into_inner()));
        }
        // Something in it is not plain, or wrong: then it is read the long way, which says what.
    }
    Ok((parse_object(body)?, Aside::default()))
}

/// Lists of members that were set aside. In the object stands a list that no client can write, because a text in it is
/// one that bodies are refused for; to everything but [`Aside::take`] it is a list of what is no value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Aside(Vec<Members>);

impl Aside {
    const MARK: &'static str = "\0";

    fn put(&mut self, members: Members) -> Value {
        self.0.push(members);
        Value::Array(vec![Value::from(Self::MARK), Value::from(self.0.len() - 1)])
    }

    /// The list that stands for that value, if it is one that was set aside. It is given once.
    pub(crate) fn take(&mut self, value: &Value) -> Option<Members> {
        match value.as_array()?.as_slice() {
            [Value::String(mark), Value::Number(place)] if mark == Self::MARK => {
                let place = usize::try_from(place.as_u64()?).ok()?;
                self.0.get_mut(place).map(std::mem::take)
            }
            _ => None,
        }
    }
}

fn parse(body: &[u8], bounds: &Bounds) -> Result<Map<String, Value>, ScimError> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let parsed = Node { bounds, depth: 1, place: Place::Elsewhere }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    match parsed {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ScimError::NotAnObject),
        Err(error) => Err(bounds
            .refusal
            .take()
            .unwrap_or(ScimError::InvalidJson { line: error.line(), column: error.column() })),
    }
}

#[derive(Default)]
struct Bounds {
    values: Cell<usize>,
    refusal: RefCell<Option<ScimError>>,
    /// Where lists of members are set aside, if they are.
    aside: Option<RefCell<Aside>>,
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Under a key under which members stand.
    Members,
    /// Anywhere else.
    Elsewhere,
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
    place: Place,
}

impl<'a> Node<'a> {
    fn inner<E: serde::de::Error>(self) -> Result<Node<'a>, E> {
        if self.depth > MAX_JSON_DEPTH {
            return Err(self.bounds.refuse(ScimError::TooDeep { max: MAX_JSON_DEPTH }));
        }
        Ok(Node { bounds: self.bounds, depth: self.depth + 1, place: Place::Elsewhere })
    }

    /// Plain members as a list of their own; anything else among them, or too few, is a refusal of this way to read.
    fn set_aside<'de, A: SeqAccess<'de>>(
        self,
        mut sequence: A,
        aside: &RefCell<Aside>,
    ) -> Result<Value, A::Error> {
        let (mut members, mut values) = (Members::default(), self.bounds.values.get());
        while sequence.next_element_seed(PlainMember { into: &mut members, values: &mut values })?.is_some() {
            if values > MAX_JSON_VALUES {
                return Err(self.bounds.refuse(ScimError::TooManyJsonValues { max: MAX_JSON_VALUES }));
            }
        }
        self.bounds.values.set(values);
        if members.len() < MIN_SET_ASIDE {
            return Err(serde::de::Error::custom("too few to be set aside"));
        }
        Ok(aside.borrow_mut().put(members))
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
        if let (Place::Members, Some(aside)) = (self.place, &self.bounds.aside) {
            return inner.set_aside(sequence, aside);
        }
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        let mut folded = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.bounds.check_text(&key)?;
            let place = if key == "members" || key == "value" { Place::Members } else { Place::Elsewhere };
            let value = entries.next_value_seed(Node { place, ..inner })?;
            if is_twice(&key, &object, &mut folded) {
                return Err(self.bounds.refuse::<A::Error>(ScimError::DuplicateKey { key: echo(&key) }));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// Whether that name stands in the object already, in whatever case: letter case does not distinguish names (RFC 7643 section
/// 2.1), and whichever of the two was believed, the other would be dropped and answered as done. `folded` has the names of a
/// large object, where looking at each would cost more.
fn is_twice(key: &str, object: &Map<String, Value>, folded: &mut HashSet<String>) -> bool {
    if object.len() < FEW_NAMES {
        return object.keys().any(|name| name.eq_ignore_ascii_case(key));
    }
    if folded.is_empty() {
        folded.extend(object.keys().map(|name| name.to_ascii_lowercase()));
    }
    !folded.insert(key.to_ascii_lowercase())
}
