//! Sorting (RFC 7644 section 3.4.2.3): by what a list is ordered, and the key that a resource has in that order.
//!
//! A multi-valued attribute counts by its primary value, else by its first. What has no value comes last in ascending
//! order and first in descending. Equal keys are ordered by the caller, so that every order is total and pages are
//! stable. Attributes of a custom extension have no definition: they are ordered by what they are, text without case.

use std::cmp::Ordering;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::canonical::is_primary;
use crate::error::{ScimError, echo};
use crate::fold::fold;
use crate::limits::MAX_SORT_KEY_BYTES;
use crate::path::AttributePath;
use crate::schema::{Attribute, AttributeType, Case, Located, ResourceType, find_attribute};
use crate::target::find_key;

/// What belongs to a resource but is kept apart from it: a list cannot be ordered by it.
const KEPT_APART: [&str; 2] = ["members", "groups"];

/// The direction of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortOrder {
    /// The smallest first.
    Ascending,
    /// The greatest first.
    Descending,
}

impl SortOrder {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, ScimError> {
        match text.map(|text| text.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "ascending") => Ok(Self::Ascending),
            Some("descending") => Ok(Self::Descending),
            Some(_) => Err(ScimError::InvalidParameter { name: "sortOrder" }),
        }
    }

    /// How two keys stand to each other.
    #[must_use]
    pub fn compare(self, one: &SortKey, other: &SortKey) -> Ordering {
        match self {
            Self::Ascending => one.cmp(other),
            Self::Descending => other.cmp(one),
        }
    }
}

/// An order as it was asked for, before it is known of which resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortWish {
    path: AttributePath,
    order: SortOrder,
}

impl SortWish {
    pub(crate) fn parse(name: &str, order: SortOrder) -> Result<Self, ScimError> {
        AttributePath::parse(name.trim())
            .map(|path| Self { path, order })
            .ok_or_else(|| ScimError::InvalidSort { attribute: echo(name) })
    }

    /// The order of resources of that type.
    ///
    /// # Errors
    ///
    /// [`ScimError::InvalidSort`] for a name that the type does not have, a complex attribute that has no `value`, or
    /// what is kept apart from the resource.
    pub fn resolve(&self, resource_type: ResourceType) -> Result<SortBy, ScimError> {
        let invalid = || ScimError::InvalidSort { attribute: echo(&self.path.to_string()) };
        let located = find_attribute(resource_type, self.path.urn.as_deref(), &self.path.name);
        let Some(Located { extension, attribute }) = located else {
            // Of groups no extension is kept.
            let is_custom = resource_type == ResourceType::User && self.path.is_custom();
            let by = is_custom.then(|| By::Custom(self.path.clone())).ok_or_else(invalid)?;
            return Ok(SortBy { by, order: self.order });
        };
        if KEPT_APART.contains(&attribute.name) {
            return Err(invalid());
        }
        let part = match (&self.path.sub_attribute, attribute.is_complex()) {
            (None, false) => None,
            (None, true) => Some(attribute.sub_attribute("value").ok_or_else(invalid)?),
            (Some(name), _) => Some(attribute.sub_attribute(name).ok_or_else(invalid)?),
        };
        let by = By::Defined { extension: extension.map(|schema| schema.id), attribute, part };
        Ok(SortBy { by, order: self.order })
    }
}

/// By what resources of one type are ordered.
#[derive(Debug, Clone, PartialEq)]
pub struct SortBy {
    by: By,
    order: SortOrder,
}

#[derive(Debug, Clone, PartialEq)]
enum By {
    Defined {
        extension: Option<&'static str>,
        attribute: &'static Attribute,
        part: Option<&'static Attribute>,
    },
    /// An attribute of a custom extension.
    Custom(AttributePath),
}

/// The place of a resource in an order. Keys of one order are of one kind or missing, but where no schema tells of which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortKey {
    /// False before true.
    Flag(bool),
    /// A number that no schema tells of, as bits that are ordered as the numbers are.
    Number(u64),
    /// An instant, in microseconds of the Unix epoch.
    At(i64),
    /// Text in byte order, folded where case does not matter.
    Text(String),
    /// There is no value.
    Missing,
}

impl SortBy {
    /// The direction.
    #[must_use]
    pub const fn order(&self) -> SortOrder {
        self.order
    }

    /// The canonical name of a core attribute that is sorted by as a whole.
    #[must_use]
    pub fn plain_name(&self) -> Option<&'static str> {
        match self.by {
            By::Defined { extension: None, attribute, part: None } => Some(attribute.name),
            By::Defined { .. } | By::Custom(_) => None,
        }
    }

    /// The key of a resource in canonical form.
    #[must_use]
    pub fn key(&self, resource: &Map<String, Value>) -> SortKey {
        let (extension, attribute, part) = match &self.by {
            By::Defined { extension, attribute, part } => (*extension, *attribute, *part),
            By::Custom(path) => return custom_value(resource, path).map_or(SortKey::Missing, custom_key),
        };
        let holder = match extension {
            None => Some(resource),
            Some(urn) => resource.get(urn).and_then(Value::as_object),
        };
        let value = holder.and_then(|holder| holder.get(attribute.name)).and_then(the_one_that_counts);
        let (value, leaf) = match part {
            None => (value, attribute),
            Some(part) => (value.and_then(|value| value.get(part.name)), part),
        };
        value.map_or(SortKey::Missing, |value| key_of(leaf, value))
    }
}

fn the_one_that_counts(value: &Value) -> Option<&Value> {
    match value {
        Value::Array(values) => values.iter().find(|value| is_primary(value)).or_else(|| values.first()),
        single => Some(single),
    }
}

/// What a person has there; of a complex value its `value`, where no part is named.
fn custom_value<'a>(resource: &'a Map<String, Value>, path: &AttributePath) -> Option<&'a Value> {
    let find = |object: &'a Map<String, Value>, name: &str| object.get(find_key(object, name)?);
    let extension = find(resource, path.urn.as_deref()?)?.as_object()?;
    let value = the_one_that_counts(find(extension, &path.name)?)?;
    match (&path.sub_attribute, value) {
        (Some(part), value) => find(value.as_object()?, part).and_then(the_one_that_counts),
        (None, Value::Object(parts)) => find(parts, "value"),
        (None, value) => Some(value),
    }
}

fn custom_key(value: &Value) -> SortKey {
    match value {
        Value::Bool(value) => SortKey::Flag(*value),
        Value::Number(number) => number.as_f64().map_or(SortKey::Missing, |number| {
            let bits = (number + 0.0).to_bits();
            let is_negative = bits >> 63 == 1;
            SortKey::Number(if is_negative { !bits } else { bits | 1 << 63 })
        }),
        Value::String(text) if !text.is_empty() => SortKey::Text(cut(fold(text.trim()))),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => SortKey::Missing,
    }
}

fn key_of(leaf: &Attribute, value: &Value) -> SortKey {
    match (leaf.kind, value) {
        (AttributeType::Boolean, Value::Bool(value)) => SortKey::Flag(*value),
        (AttributeType::DateTime, Value::String(text)) => jiff::Timestamp::from_str(text)
            .map_or(SortKey::Missing, |instant| SortKey::At(instant.as_microsecond())),
        (_, Value::String(text)) if text.is_empty() => SortKey::Missing,
        (_, Value::String(text)) if leaf.case == Case::Exact => SortKey::Text(cut(text.clone())),
        (_, Value::String(text)) => SortKey::Text(cut(fold(text.trim()))),
        _ => SortKey::Missing,
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_SORT_KEY_BYTES {
        let end = (0..=MAX_SORT_KEY_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
