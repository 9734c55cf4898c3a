//! What comes from outside, read by the names of its fields: JSON, and the parameters of a query.
//!
//! serde reads an array for a struct too, field after field in the order of our sources: a body whose meaning would change
//! with the next field. So whatever asks for a struct is given a map here, which an array is not. And it says what is wrong in
//! words, which are no ground for a code: they quote what came, and change with a version. So the errors of whoever reads are
//! [`Told`]s, which remember what serde called.
//!
//! What came is never said back: it may be a secret, in a field that was taken for another, and problems are logged by whoever
//! is told them. So the library is asked for whatever stands there, and the refusal of another kind is ours; it says where.

mod notes;

use std::fmt;

use portcullis_service::mask::shown;
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, IgnoredAny,
    IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use url::form_urlencoded;

use self::notes::{Form, Notes, Step};

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
    fn of(told: Told<serde_json::Error>, notes: &Notes, text: &str) -> Self {
        let words = told.error.to_string();
        // Some faults of a value are faults of syntax to the library, such as a number that is too large.
        if !told.error.is_data() && serde_json::from_str::<IgnoredAny>(text).is_err() {
            return Self { fault: Fault::Syntax, message: words };
        }
        // Most bodies are one line: the field says more than the column.
        let at = format!(" at line {} column {}", told.error.line(), told.error.column());
        let message = notes.placed(words.strip_suffix(&at).unwrap_or(&words));
        Self { fault: told.fault.unwrap_or_default(), message }
    }
}

/// Reads a whole text.
///
/// # Errors
/// What is wrong with it; also for an array in place of an object.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    // RFC 8259 §8.1. The library looks at the texts alone that somebody asks for.
    let text = std::str::from_utf8(bytes).map_err(|error| Unreadable {
        fault: Fault::Syntax,
        message: format!("the body is not UTF-8: {error}"),
    })?;
    let notes = Notes::of(Form::Json);
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = T::deserialize(Objects { inner: &mut reader, notes: &notes });
    let whole = read.and_then(|value| inward(&notes, reader.end()).map(|()| value));
    whole.map_err(|told| Unreadable::of(told, &notes, text))
}

/// Reads the parameters of a query.
///
/// # Errors
/// What is wrong with one of them.
pub fn from_query<T: DeserializeOwned>(query: &str) -> Result<T, Unreadable> {
    let notes = Notes::of(Form::Query);
    let parameters = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    T::deserialize(Objects { inner: parameters, notes: &notes }).map_err(|told| {
        // A parameter is a text, a word or a number, and only the last is read by the library.
        let words = told.fault.map_or_else(|| NO_NUMBER.to_owned(), |_| told.to_string());
        Unreadable { fault: told.fault.unwrap_or_default(), message: notes.placed(&words) }
    })
}

/// What a parameter is told that is not the number which it must be.
const NO_NUMBER: &str = "not a whole number, or one that is too small or too large";
/// What a value is called that stands where another belongs.
const fn kind(came: &Unexpected<'_>) -> &'static str {
    match came {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Char(_) | Unexpected::Str(_) => "a text",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        _ => "something else",
    }
}

/// What belongs there, in words of JSON where serde has words of our sources.
fn wanted(expected: &dyn Expected) -> String {
    let words = expected.to_string();
    match words.as_str() {
        "a string" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "i16" | "i32" | "i64" | "u16" | "u32" | "u64" => "a whole number".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        _ => words,
    }
}

/// An error of the one inside, and which kind serde called it; none where it is the library's own.
#[derive(Debug)]
struct Told<E> {
    error: E,
    fault: Option<Fault>,
}

impl<E: de::Error> fmt::Display for Told<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<E: de::Error> std::error::Error for Told<E> {}

impl<E: de::Error> de::Error for Told<E> {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { error: E::custom(message), fault: Some(Fault::Value) }
    }

    fn invalid_type(came: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("{} came, where {} belongs", kind(&came), wanted(expected)))
    }

    fn invalid_value(came: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match came {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => {
                Self::custom("the number is too small or too large")
            }
            _ => Self::invalid_type(came, expected),
        }
    }

    fn unknown_variant(_: &str, words: &'static [&'static str]) -> Self {
        Self::custom(format_args!("none of `{}`", words.join("`, `")))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self { error: E::unknown_field(&shown(field), expected), fault: Some(Fault::UnknownField) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { error: E::missing_field(field), fault: Some(Fault::MissingField) }
    }
}

/// An error on its way through the library, which knows its own kind only: ours is laid beside it.
fn outward<T, E>(notes: &Notes, result: Result<T, Told<E>>) -> Result<T, E> {
    result.map_err(|told| {
        notes.fault.set(told.fault);
        told.error
    })
}

/// The same, back from the library: what lies beside it is taken up. Where nothing does, it is the library's.
fn inward<T, E>(notes: &Notes, result: Result<T, E>) -> Result<T, Told<E>> {
    result.map_err(|error| Told { error, fault: notes.fault.take() })
}

/// What reads, or is read by, the one inside, with objects where there are structs.
struct Objects<'f, X> {
    inner: X,
    notes: &'f Notes,
}

impl<'f, X> Objects<'f, X> {
    /// The same around another.
    const fn around<Y>(&self, inner: Y) -> Objects<'f, Y> {
        Objects { inner, notes: self.notes }
    }
}

/// Asks the one inside for the same.
macro_rules! asks {
    ($($method:ident),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            let visitor = self.around(visitor);
            inward(self.notes, self.inner.$method(visitor))
        })*
    };
}

/// Asks the one inside for whatever stands there, where it knows what that is: of another kind, the visitor says so.
macro_rules! looks {
    ($($method:ident),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            let visitor = self.around(visitor);
            let read = match self.notes.form {
                Form::Json => self.inner.deserialize_any(visitor),
                Form::Query => self.inner.$method(visitor),
            };
            inward(self.notes, read)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<'_, D> {
    type Error = Told<D::Error>;

    asks! { deserialize_any, deserialize_option, deserialize_ignored_any }

    looks! {
        deserialize_bool, deserialize_i8, deserialize_i16, deserialize_i32, deserialize_i64, deserialize_i128,
        deserialize_u8, deserialize_u16, deserialize_u32, deserialize_u64, deserialize_u128, deserialize_f32,
        deserialize_f64, deserialize_char, deserialize_str, deserialize_string, deserialize_bytes,
        deserialize_byte_buf, deserialize_unit, deserialize_seq, deserialize_identifier,
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let visitor = self.around(Object(visitor));
        let read = match self.notes.form {
            Form::Json => self.inner.deserialize_any(visitor),
            Form::Query => self.inner.deserialize_map(visitor),
        };
        inward(self.notes, read)
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
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let visitor = self.around(visitor);
        inward(self.notes, self.inner.deserialize_newtype_struct(name, visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_seq(visitor)
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
            outward(self.notes, self.inner.$method(value))
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
        outward(self.notes, self.inner.visit_none())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        outward(self.notes, self.inner.visit_unit())
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<Self::Value, D::Error> {
        let some = self.around(some);
        outward(self.notes, self.inner.visit_some(some))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Self::Value, D::Error> {
        let inner = self.around(inner);
        outward(self.notes, self.inner.visit_newtype_struct(inner))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        let items = self.around(items);
        self.notes.enter(Step::Item(None));
        let read = self.inner.visit_seq(items);
        self.notes.leave(&read);
        outward(self.notes, read)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        let fields = self.around(fields);
        outward(self.notes, self.inner.visit_map(fields))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<Self::Value, A::Error> {
        self.inner.visit_enum(variant)
    }
}

/// Reads an object, whatever else the one inside would take for one: an array, field after field.
struct Object<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Object<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(formatter)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        self.0.visit_map(fields)
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
        outward(self.notes, self.inner.deserialize(value))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<'_, A> {
    type Error = Told<A::Error>;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Self::Error> {
        let seed = self.around(seed);
        self.notes.go_on();
        inward(self.notes, self.inner.next_element_seed(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<'_, A> {
    type Error = Told<A::Error>;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Self::Error> {
        // A key is a text. An unknown one is said with the place of what has it.
        let Some(key) = inward(self.notes, self.inner.next_key::<String>())? else { return Ok(None) };
        let text: StrDeserializer<'_, Self::Error> = key.as_str().into_deserializer();
        let known = seed.deserialize(text)?;
        self.notes.enter(Step::Field(key));
        Ok(Some(known))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Self::Error> {
        let seed = self.around(seed);
        let read = inward(self.notes, self.inner.next_value_seed(seed));
        self.notes.leave(&read);
        read
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}
