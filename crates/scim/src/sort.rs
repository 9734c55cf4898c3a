//! Sorting (RFC 7644 section 3.4.2.3): by what a list is ordered, and the key that a resource has in that order.
//!
//! A multi-valued attribute counts by its primary value, else by its first. What has no value comes last in ascending
//! order and first in descending. Equal keys are ordered by the caller, so that every order is total and pages are
//! stable.

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
        let Located { extension, attribute } =
            find_attribute(resource_type, self.path.urn.as_deref(), &self.path.name).ok_or_else(invalid)?;
        if KEPT_APART.contains(&attribute.name) {
            return Err(invalid());
        }
        let part = match (&self.path.sub_attribute, attribute.is_complex()) {
            (None, false) => None,
            (None, true) => Some(attribute.sub_attribute("value").ok_or_else(invalid)?),
            (Some(name), _) => Some(attribute.sub_attribute(name).ok_or_else(invalid)?),
        };
        Ok(SortBy { extension: extension.map(|schema| schema.id), attribute, part, order: self.order })
    }
}

/// By what resources of one type are ordered.
#[derive(Debug, Clone, PartialEq)]
pub struct SortBy {
    extension: Option<&'static str>,
    attribute: &'static Attribute,
    part: Option<&'static Attribute>,
    order: SortOrder,
}

/// The place of a resource in an order. Keys of one order are of one kind, or missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortKey {
    /// False before true.
    Flag(bool),
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
        (self.extension.is_none() && self.part.is_none()).then_some(self.attribute.name)
    }

    /// The key of a resource in canonical form.
    #[must_use]
    pub fn key(&self, resource: &Map<String, Value>) -> SortKey {
        let holder = match self.extension {
            None => Some(resource),
            Some(urn) => resource.get(urn).and_then(Value::as_object),
        };
        let value = match holder.and_then(|holder| holder.get(self.attribute.name)) {
            Some(Value::Array(values)) => values.iter().find(|v| is_primary(v)).or_else(|| values.first()),
            value => value,
        };
        let (value, leaf) = match self.part {
            None => (value, self.attribute),
            Some(part) => (value.and_then(|value| value.get(part.name)), part),
        };
        value.map_or(SortKey::Missing, |value| key_of(leaf, value))
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
