//! Members as a client named them, in one text: a group may have fifty thousand of them.
//!
//! A JSON value for each would take twenty times the bytes that the client sent, a string for each twice as many.

use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, Visitor};

use crate::error::ScimError;
use crate::group::{parse_kind, parse_reference};
use crate::limits::{MAX_INDEXED_BYTES, MAX_JSON_STRING_BYTES};
use crate::schema::ResourceType;

/// A member as a client names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRef<'m> {
    /// The id of the member.
    pub value: &'m str,
    /// What the client says that it is. A hint only: the id decides.
    pub kind: Option<ResourceType>,
}

/// Members in the order in which they were named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// Their ids, one behind the other.
    text: String,
    /// Where the id of each ends, and what it is said to be.
    each: Vec<(u32, Option<ResourceType>)>,
}

impl Members {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = MemberRef<'_>> {
        let mut start = 0;
        self.each.iter().map(move |(end, kind)| {
            let end = *end as usize;
            let value = self.text.get(start..end).unwrap_or("");
            start = end;
            MemberRef { value, kind: *kind }
        })
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`ScimError::TooLong`] where all ids together are longer than any body.
    pub(crate) fn push(&mut self, value: &str, kind: Option<ResourceType>) -> Result<(), ScimError> {
        self.text.push_str(value);
        let end = u32::try_from(self.text.len())
            .map_err(|_| ScimError::TooLong { attribute: "members".to_owned(), max: u32::MAX as usize })?;
        self.each.push((end, kind));
        Ok(())
    }

    /// Adds those of another list.
    ///
    /// # Errors
    /// As [`Members::push`].
    pub(crate) fn append(&mut self, other: Self) -> Result<(), ScimError> {
        if self.is_empty() {
            *self = other;
            return Ok(());
        }
        other.iter().try_for_each(|member| self.push(member.value, member.kind))
    }

    /// The same without what they are said to be.
    pub(crate) fn without_kinds(mut self) -> Self {
        self.each.iter_mut().for_each(|(_, kind)| *kind = None);
        self
    }

    /// The id at a place.
    fn at(&self, place: u32) -> &str {
        let end_of = |place: u32| self.each.get(place as usize).map_or(0, |(end, _)| *end as usize);
        let start = place.checked_sub(1).map_or(0, end_of);
        self.text.get(start..end_of(place)).unwrap_or("")
    }

    /// Each once, where it was named first.
    pub(crate) fn each_once(self) -> Self {
        let mut order: Vec<u32> = (0..).take(self.len()).collect();
        order.sort_unstable_by(|one, other| self.at(*one).cmp(self.at(*other)).then(one.cmp(other)));
        let mut repeated: Vec<u32> = order
            .windows(2)
            .filter_map(|pair| match pair {
                [one, other] if self.at(*one) == self.at(*other) => Some(*other),
                _ => None,
            })
            .collect();
        drop(order);
        if repeated.is_empty() {
            return self;
        }
        repeated.sort_unstable();
        let mut once = Self::default();
        for (place, member) in (0_u32..).zip(self.iter()) {
            if repeated.binary_search(&place).is_err() {
                // What fitted with its repetitions fits without.
                let _ = once.push(member.value, member.kind);
            }
        }
        once
    }
}

/// Reads a member in its plain form: an object of a text `value`, and beside it at most texts `type`, `$ref` and
/// `display`. Everything else is refused here and read the long way.
pub(crate) struct PlainMember<'a> {
    pub(crate) into: &'a mut Members,
    /// Counts JSON values.
    pub(crate) values: &'a mut usize,
}

enum Key {
    Value,
    Kind,
    Reference,
    Display,
}

impl<'de> DeserializeSeed<'de> for PlainMember<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PlainMember<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a plain member")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let long_way = || serde::de::Error::custom("not plain");
        let (mut kind, mut referred, mut display) = (None, None, false);
        let mut has_value = false;
        *self.values += 1;
        while let Some(key) = entries.next_key_seed(KeySeed)? {
            *self.values += 1;
            let is_new = match key {
                Key::Value => {
                    let text = &mut self.into.text;
                    entries.next_value_seed(TextSeed(|id: &str| {
                        text.push_str(id);
                        !id.is_empty() && id.len() <= MAX_INDEXED_BYTES
                    }))?;
                    !std::mem::replace(&mut has_value, true)
                }
                Key::Kind => {
                    let known = |name: &str| {
                        kind.is_none() && {
                            kind = parse_kind(name);
                            kind.is_some()
                        }
                    };
                    entries.next_value_seed(TextSeed(known))?;
                    true
                }
                Key::Reference => {
                    let is_new = referred.is_none();
                    let read = |reference: &str| {
                        referred = Some(parse_reference(reference).map(|(kind, _)| kind));
                        true
                    };
                    entries.next_value_seed(TextSeed(read))?;
                    is_new
                }
                Key::Display => {
                    entries.next_value_seed(TextSeed(|_: &str| true))?;
                    !std::mem::replace(&mut display, true)
                }
            };
            if !is_new {
                return Err(long_way());
            }
        }
        let end = u32::try_from(self.into.text.len()).map_err(|_| long_way())?;
        if !has_value {
            return Err(long_way());
        }
        self.into.each.push((end, kind.or_else(|| referred.flatten())));
        Ok(())
    }
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key of a plain member")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Key, E> {
        match key {
            "value" => Ok(Key::Value),
            "type" => Ok(Key::Kind),
            "$ref" => Ok(Key::Reference),
            "display" => Ok(Key::Display),
            _ => Err(E::custom("not plain")),
        }
    }
}

/// A text within the bounds of every text, which the function takes or refuses.
struct TextSeed<F>(F);

impl<'de, F: FnMut(&str) -> bool> DeserializeSeed<'de> for TextSeed<F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<F: FnMut(&str) -> bool> Visitor<'_> for TextSeed<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<(), E> {
        let is_taken = text.len() <= MAX_JSON_STRING_BYTES && !text.contains('\0') && (self.0)(text);
        if is_taken { Ok(()) } else { Err(E::custom("not plain")) }
    }
}
