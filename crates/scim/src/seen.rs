//! Extensions that no schema here defines, as they were seen: which attributes they have, and of which types.
//!
//! They are kept as they are sent, so discovery cannot tell of them from a table. It tells what there is.

use std::collections::BTreeMap;
use std::slice;

use serde_json::{Map, Value, json};

use crate::limits::{MAX_SEEN_EXTENSIONS, MAX_SEEN_NAMES, MAX_VALUES_PER_ATTRIBUTE};
use crate::path::is_name;
use crate::urn::is_custom;
use crate::user::User;

/// What is told of each attribute.
const DESCRIPTION: &str = "As the client of this directory says it; kept as it is sent.";

/// The extensions that were seen, each under its URN in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenExtensions {
    extensions: BTreeMap<String, SeenExtension>,
    /// How many names there are in all.
    names: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SeenExtension {
    urn: String,
    attributes: Attributes,
}

/// Attributes by their names in lower case: letter case does not distinguish them.
type Attributes = BTreeMap<String, SeenAttribute>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct SeenAttribute {
    name: String,
    kind: SeenType,
    is_multi_valued: bool,
    /// The sub-attributes, of a complex one.
    parts: Attributes,
}

/// The type of a value, as JSON says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SeenType {
    String,
    Boolean,
    Integer,
    Decimal,
    Complex,
}

/// How deep a value stands: a sub-attribute has none of its own (RFC 7643 section 2.3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Attribute,
    SubAttribute,
}

impl SeenType {
    /// None for what is no value, and for a list in a list.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(_) => Some(Self::String),
            Value::Bool(_) => Some(Self::Boolean),
            Value::Number(number) if number.is_f64() => Some(Self::Decimal),
            Value::Number(_) => Some(Self::Integer),
            Value::Object(_) => Some(Self::Complex),
            Value::Null | Value::Array(_) => None,
        }
    }

    /// The type of which both are. What differs is text, but for values with parts, which are told.
    const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Complex, _) | (_, Self::Complex) => Self::Complex,
            (Self::Boolean, Self::Boolean) => Self::Boolean,
            (Self::Integer, Self::Integer) => Self::Integer,
            (Self::Decimal | Self::Integer, Self::Decimal | Self::Integer) => Self::Decimal,
            _ => Self::String,
        }
    }

    /// The spelling in a schema document (RFC 7643 section 2.3).
    const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Complex => "complex",
        }
    }
}

impl SeenExtensions {
    /// Looks at one more user. Beyond [`MAX_SEEN_EXTENSIONS`] and [`MAX_SEEN_NAMES`] nothing new is taken.
    pub fn see(&mut self, user: &User) {
        for (urn, value) in user.attributes() {
            let Value::Object(said) = value else { continue };
            if !is_custom(urn) {
                continue;
            }
            let key = urn.to_ascii_lowercase();
            if self.extensions.len() >= MAX_SEEN_EXTENSIONS && !self.extensions.contains_key(&key) {
                continue;
            }
            let extension = self
                .extensions
                .entry(key)
                .or_insert_with(|| SeenExtension { urn: urn.clone(), attributes: Attributes::new() });
            note_all(&mut extension.attributes, said, Level::Attribute, &mut self.names);
        }
    }

    /// The URNs.
    pub(crate) fn urns(&self) -> impl Iterator<Item = &str> {
        self.extensions.values().map(|extension| extension.urn.as_str())
    }

    /// The schema documents, without what they have in common with every other.
    pub(crate) fn documents(&self) -> impl Iterator<Item = (&str, Map<String, Value>)> {
        self.extensions.values().map(SeenExtension::document)
    }

    /// The schema document of that URN, in whatever case.
    pub(crate) fn find_document(&self, urn: &str) -> Option<(&str, Map<String, Value>)> {
        self.extensions.get(&urn.to_ascii_lowercase()).map(SeenExtension::document)
    }
}

fn note_all(seen: &mut Attributes, said: &Map<String, Value>, level: Level, names: &mut usize) {
    for (name, value) in said.iter().filter(|(name, _)| is_name(name)) {
        let (values, is_multi_valued) = match value {
            Value::Array(values) => (values.as_slice(), true),
            single => (slice::from_ref(single), false),
        };
        for value in values.iter().take(MAX_VALUES_PER_ATTRIBUTE) {
            let Some(kind) = SeenType::of(value) else { continue };
            if kind == SeenType::Complex && level == Level::SubAttribute {
                continue;
            }
            let key = name.to_ascii_lowercase();
            if !seen.contains_key(&key) {
                if *names >= MAX_SEEN_NAMES {
                    break;
                }
                *names += 1;
            }
            let attribute = seen.entry(key).or_insert_with(|| SeenAttribute {
                name: name.clone(),
                kind,
                is_multi_valued,
                parts: Attributes::new(),
            });
            attribute.kind = attribute.kind.and(kind);
            attribute.is_multi_valued |= is_multi_valued;
            if let Value::Object(parts) = value {
                note_all(&mut attribute.parts, parts, Level::SubAttribute, names);
            }
        }
    }
}

impl SeenExtension {
    fn document(&self) -> (&str, Map<String, Value>) {
        let document = Map::from_iter([
            ("id".to_owned(), self.urn.as_str().into()),
            ("name".to_owned(), readable(&self.urn).into()),
            ("description".to_owned(), "What the client of this directory says beside the standard.".into()),
            ("attributes".to_owned(), attribute_documents(&self.attributes)),
        ]);
        (&self.urn, document)
    }
}

fn attribute_documents(attributes: &Attributes) -> Value {
    attributes.values().map(SeenAttribute::document).collect()
}

impl SeenAttribute {
    fn document(&self) -> Value {
        let mut document = json!({
            "name": self.name,
            "type": self.kind.as_str(),
            "multiValued": self.is_multi_valued,
            "description": DESCRIPTION,
            "required": false,
            "caseExact": false,
            "mutability": "readWrite",
            "returned": "default",
            "uniqueness": "none",
        });
        if self.kind == SeenType::Complex
            && let Some(object) = document.as_object_mut()
        {
            object.insert("subAttributes".to_owned(), attribute_documents(&self.parts));
        }
        document
    }
}

/// A name for people and for clients that make one of their own from it: the words of the URN in one, `AcmeHr20User`.
fn readable(urn: &str) -> String {
    let words = urn.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut name = String::new();
    for word in words.filter(|word| !word.eq_ignore_ascii_case("urn")) {
        let (first, rest) = word.split_at(1);
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(rest);
    }
    if name.is_empty() { urn.to_owned() } else { name }
}
