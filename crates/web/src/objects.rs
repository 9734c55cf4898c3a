//! JSON where what has named fields is an object, at every depth, and what is wrong with it by its kind.
//!
//! serde reads an array for a struct too, field after field in the order of our sources: a body whose meaning would change
//! with the next field. So whatever asks for a struct is given a map here, which an array is not. And it says what is wrong in
//! words, which are no ground for a code: they quote what came, and change with a version. So the errors of whoever reads are
//! [`Told`]s, which remember what serde called.

use std::cell::Cell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, IgnoredAny,
    IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fault {
    /// A field that is not known.
    UnknownField,
    /// A field that must be there is not.
    MissingField,
    /// A value is not what it must be.
    #[default]
    Value,
    /// It is no JSON.
    Syntax,
}

/// Why a text was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong.
    pub fault: Fault,
    /// It in words, with the place.
    pub message: String,
}

impl Unreadable {
    fn of(told: Told<serde_json::Error>, bytes: &[u8]) -> Self {
        // Some faults of a value are faults of syntax to the library, such as a number that is too large.
        let is_syntax = !told.error.is_data() && serde_json::from_slice::<IgnoredAny>(bytes).is_err();
        let fault = if is_syntax { Fault::Syntax } else { told.fault };
        Self { fault, message: told.error.to_string() }
    }
}

/// Reads a whole text.
///
/// # Errors
/// What is wrong with it; also for an array in place of an object.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    let fault = Cell::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = T::deserialize(Objects { inner: &mut reader, fault: &fault });
    let whole = read.and_then(|value| inward(&fault, reader.end()).map(|()| value));
    whole.map_err(|told| Unreadable::of(told, bytes))
}

/// An error of the one inside, and which kind serde called it.
#[derive(Debug)]
struct Told<E> {
    error: E,
    fault: Fault,
}

impl<E: de::Error> fmt::Display for Told<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<E: de::Error> std::error::Error for Told<E> {}

impl<E: de::Error> de::Error for Told<E> {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { error: E::custom(message), fault: Fault::Value }
    }

    fn invalid_type(came: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self { error: E::invalid_type(came, expected), fault: Fault::Value }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self { error: E::unknown_field(field, expected), fault: Fault::UnknownField }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { error: E::missing_field(field), fault: Fault::MissingField }
    }
}

/// An error on its way through the library, which knows its own kind only: ours is laid beside it.
fn outward<T, E>(fault: &Cell<Fault>, result: Result<T, Told<E>>) -> Result<T, E> {
    result.map_err(|told| {
        fault.set(told.fault);
        told.error
    })
}

/// The same, back from the library: what lies beside it is taken up. Where nothing does, it is the library's.
fn inward<T, E>(fault: &Cell<Fault>, result: Result<T, E>) -> Result<T, Told<E>> {
    result.map_err(|error| Told { error, fault: fault.take() })
}

/// What reads, or is read by, the one inside, with objects where there are structs.
struct Objects<'f, X> {
    inner: X,
    fault: &'f Cell<Fault>,
}

impl<'f, X> Objects<'f, X> {
    /// The same around another.
    const fn around<Y>(&self, inner: Y) -> Objects<'f, Y> {
        Objects { inner, fault: self.fault }
    }
}

/// Asks the one inside for the same.
macro_rules! asks {
    ($($method:ident),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            let visitor = self.around(visitor);
            inward(self.fault, self.inner.$method(visitor))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<'_, D> {
    type Error = Told<D::Error>;

    asks! {
        deserialize_any, deserialize_bool, deserialize_i8, deserialize_i16, deserialize_i32, deserialize_i64,
        deserialize_i128, deserialize_u8, deserialize_u16, deserialize_u32, deserialize_u64, deserialize_u128,
        deserialize_f32, deserialize_f64, deserialize_char, deserialize_str, deserialize_string, deserialize_bytes,
        deserialize_byte_buf, deserialize_option, deserialize_unit, deserialize_seq, deserialize_map,
        deserialize_identifier, deserialize_ignored_any,
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let visitor = self.around(visitor);
        inward(self.fault, self.inner.deserialize_unit_struct(name, visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let visitor = self.around(visitor);
        inward(self.fault, self.inner.deserialize_newtype_struct(name, visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Self::Error> {
        let visitor = self.around(visitor);
        inward(self.fault, self.inner.deserialize_tuple(len, visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let visitor = self.around(visitor);
        inward(self.fault, self.inner.deserialize_tuple_struct(name, len, visitor))
    }

    // No variant of ours has fields: it is a text, and what is none is said to be none.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_str(Word { visitor, words })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Hands the one inside what is no other value around values.
macro_rules! hands {
    ($($method:ident: $kind:ty),* $(,)?) => {
        $(fn $method<E: de::Error>(self, value: $kind) -> Result<Self::Value, E> {
            outward(self.fault, self.inner.$method(value))
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Objects<'_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    hands! {
        visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128, visit_f64: f64,
        visit_str: &str, visit_borrowed_str: &'de str, visit_string: String, visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>,
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        outward(self.fault, self.inner.visit_none())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        outward(self.fault, self.inner.visit_unit())
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<Self::Value, D::Error> {
        let some = self.around(some);
        outward(self.fault, self.inner.visit_some(some))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Self::Value, D::Error> {
        let inner = self.around(inner);
        outward(self.fault, self.inner.visit_newtype_struct(inner))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        let items = self.around(items);
        outward(self.fault, self.inner.visit_seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        let fields = self.around(fields);
        outward(self.fault, self.inner.visit_map(fields))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<Self::Value, A::Error> {
        self.inner.visit_enum(variant)
    }
}

/// Reads one of these words.
struct Word<V> {
    visitor: V,
    words: &'static [&'static str],
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Word<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "one of `{}`", self.words.join("`, `"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let word: StrDeserializer<'_, E> = text.into_deserializer();
        self.visitor.visit_enum(word)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Objects<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        let value = self.around(value);
        outward(self.fault, self.inner.deserialize(value))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<'_, A> {
    type Error = Told<A::Error>;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Self::Error> {
        let seed = self.around(seed);
        inward(self.fault, self.inner.next_element_seed(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<'_, A> {
    type Error = Told<A::Error>;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Self::Error> {
        let seed = self.around(seed);
        inward(self.fault, self.inner.next_key_seed(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Self::Error> {
        let seed = self.around(seed);
        inward(self.fault, self.inner.next_value_seed(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}
