//! Projection: which attributes of a resource are answered (RFC 7644 section 3.9).
//!
//! A client that leaves members out spares the provider from reading them, so [`Projection::wants`] answers before
//! anything is read. Names that are unknown choose nothing; `id` and `schemas` are always there.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::ScimError;
use crate::limits::MAX_PROJECTED_ATTRIBUTES;
use crate::path::{AttributePath, PatchPath};
use crate::schema::{Attribute, ResourceType, Returned, Schema, find_attribute, find_extension};
use crate::target::find_key;
use crate::urn::{is_core, is_uri};

/// What of a resource is answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Projection {
    /// What is returned by default.
    #[default]
    Default,
    /// Only these, and what is always returned.
    Only(Vec<Name>),
    /// All but these; what is always returned stays.
    Except(Vec<Name>),
}

/// A name in a projection. Opaque: made by [`Projection::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    text: String,
    names: Names,
}

/// What a name is, read once for all the resources of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    /// A schema as a whole.
    Schema(String),
    /// An attribute; which of its values a filter chooses does not matter.
    Attribute(AttributePath),
    /// Nothing that follows the grammar.
    Nothing,
}

impl Projection {
    /// Reads `attributes` and `excludedAttributes`. Names that are unknown select nothing.
    ///
    /// # Errors
    ///
    /// [`ScimError::ConflictingProjection`] where both are given, [`ScimError::InvalidParameter`] over
    /// [`MAX_PROJECTED_ATTRIBUTES`].
    pub fn parse(attributes: Option<&str>, excluded_attributes: Option<&str>) -> Result<Self, ScimError> {
        let names = |name: &'static str, text: &str| {
            let names: Vec<Name> = text
                .split(',')
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(Name::parse)
                .take(MAX_PROJECTED_ATTRIBUTES + 1)
                .collect();
            if names.len() > MAX_PROJECTED_ATTRIBUTES {
                return Err(ScimError::InvalidParameter { name });
            }
            Ok(names)
        };
        let only = names("attributes", attributes.unwrap_or(""))?;
        let except = names("excludedAttributes", excluded_attributes.unwrap_or(""))?;
        match (only.is_empty(), except.is_empty()) {
            (true, true) => Ok(Self::Default),
            (false, true) => Ok(Self::Only(only)),
            (true, false) => Ok(Self::Except(except)),
            (false, false) => Err(ScimError::ConflictingProjection),
        }
    }

    /// Reads the projection out of the decoded parameters of a URL; the others are ignored.
    ///
    /// # Errors
    ///
    /// As [`Projection::parse`], or a parameter given twice.
    pub fn from_parameters<'a>(
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ScimError> {
        let mut attributes = None;
        let mut excluded_attributes = None;
        for (name, value) in parameters {
            let (name, place) = match name.to_ascii_lowercase().as_str() {
                "attributes" => ("attributes", &mut attributes),
                "excludedattributes" => ("excludedAttributes", &mut excluded_attributes),
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(ScimError::InvalidParameter { name });
            }
        }
        Self::parse(attributes, excluded_attributes)
    }

    /// Whether anything of this attribute can be in the answer, so that what is dear need not be read.
    #[must_use]
    pub fn wants(&self, resource_type: ResourceType, attribute: &str) -> bool {
        let Some(wanted) = find_attribute(resource_type, None, attribute) else { return false };
        let means = |name: &Name, whole: bool| match name.choose(resource_type) {
            Choice::Attribute { attribute, part, .. } => {
                attribute.name == wanted.attribute.name && !(whole && part.is_some())
            }
            Choice::Core => wanted.extension.is_none(),
            Choice::Extension(schema) => wanted.extension == Some(schema),
            Choice::Custom | Choice::Unknown => false,
        };
        match self {
            Self::Default => true,
            Self::Only(names) => {
                wanted.attribute.returned == Returned::Always || names.iter().any(|name| means(name, false))
            }
            Self::Except(names) => {
                wanted.attribute.returned == Returned::Always || !names.iter().any(|name| means(name, true))
            }
        }
    }

    /// The part of a resource that is answered.
    #[must_use]
    pub fn apply(&self, resource_type: ResourceType, resource: Value) -> Value {
        match (self, resource) {
            (Self::Only(names), Value::Object(resource)) => {
                Value::Object(only(resource_type, &resource, names))
            }
            (Self::Except(names), Value::Object(mut resource)) => {
                for name in names {
                    exclude(resource_type, &mut resource, name);
                }
                Value::Object(resource)
            }
            (_, resource) => resource,
        }
    }
}

/// What a name of a projection chooses.
enum Choice {
    Attribute {
        extension: Option<&'static Schema>,
        attribute: &'static Attribute,
        part: Option<&'static Attribute>,
    },
    Core,
    Extension(&'static Schema),
    /// A custom extension or an attribute of one, to be found by its text.
    Custom,
    Unknown,
}

impl Name {
    fn parse(text: &str) -> Self {
        let names = match PatchPath::parse(text) {
            Ok(PatchPath::Schema(urn)) => Names::Schema(urn),
            Ok(PatchPath::Attribute { path, .. }) => Names::Attribute(path),
            Err(_) => Names::Nothing,
        };
        Self { text: text.to_owned(), names }
    }

    fn choose(&self, resource_type: ResourceType) -> Choice {
        let path = match &self.names {
            Names::Nothing => return Choice::Unknown,
            Names::Schema(urn) => {
                return match find_extension(resource_type, urn) {
                    Some(schema) => Choice::Extension(schema),
                    None if is_core(urn, resource_type) => Choice::Core,
                    None => Choice::Custom,
                };
            }
            Names::Attribute(path) => path,
        };
        let Some(located) = find_attribute(resource_type, path.urn.as_deref(), &path.name) else {
            return if path.urn.is_some() { Choice::Custom } else { Choice::Unknown };
        };
        let part = match &path.sub_attribute {
            None => None,
            Some(name) => match located.attribute.sub_attribute(name) {
                None => return Choice::Unknown,
                part => part,
            },
        };
        Choice::Attribute { extension: located.extension, attribute: located.attribute, part }
    }

    /// The key of a custom extension that this names, and the attribute and part of it where it names those.
    fn find_custom<'r, 'n>(&'n self, resource: &'r Map<String, Value>) -> Option<CustomName<'r, 'n>> {
        if let Some(key) = find_key(resource, self.text.trim_matches(' ')) {
            return Some((key, None));
        }
        let Names::Attribute(path) = &self.names else { return None };
        let key = find_key(resource, path.urn.as_deref()?)?;
        let name = find_key(resource.get(key)?.as_object()?, &path.name)?;
        Some((key, Some((name, path.sub_attribute.as_deref()))))
    }
}

/// The key of a custom extension, the name of an attribute there, and a part of that as it was asked for.
type CustomName<'r, 'n> = (&'r str, Option<(&'r str, Option<&'n str>)>);

/// Attributes by the extension that holds them, if one does, and the parts that were asked for. None: all of it.
type Chosen<'a> = BTreeMap<(Option<&'a str>, &'a str), Option<Vec<&'a str>>>;

fn choose_part<'a>(
    chosen: &mut Chosen<'a>,
    extension: Option<&'a str>,
    name: &'a str,
    part: Option<&'a str>,
) {
    let parts = chosen.entry((extension, name)).or_insert_with(|| Some(Vec::new()));
    match (part, parts.as_mut()) {
        (None, _) => *parts = None,
        (Some(part), Some(parts)) => parts.push(part),
        (Some(_), None) => {}
    }
}

fn only<'a>(
    resource_type: ResourceType,
    resource: &'a Map<String, Value>,
    names: &'a [Name],
) -> Map<String, Value> {
    let mut chosen = Chosen::new();
    let mut result: Map<String, Value> = resource
        .iter()
        .filter(|(key, _)| is_always(resource_type, key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    for name in names {
        match name.choose(resource_type) {
            Choice::Unknown => {}
            Choice::Core => {
                let core = resource.iter().filter(|(key, _)| !is_uri(key));
                result.extend(core.map(|(key, value)| (key.clone(), value.clone())));
            }
            Choice::Extension(schema) => {
                if let Some(value) = resource.get(schema.id) {
                    result.insert(schema.id.to_owned(), value.clone());
                }
            }
            Choice::Custom => match name.find_custom(resource) {
                None => {}
                Some((key, None)) => result.extend(resource.get(key).map(|v| (key.to_owned(), v.clone()))),
                Some((key, Some((name, part)))) => choose_part(&mut chosen, Some(key), name, part),
            },
            Choice::Attribute { extension, attribute, part } => {
                let extension = extension.map(|schema| schema.id);
                choose_part(&mut chosen, extension, attribute.name, part.map(|part| part.name));
            }
        }
    }
    for ((extension, name), parts) in chosen {
        include(resource, extension, name, parts, &mut result);
    }
    result
}

fn include(
    resource: &Map<String, Value>,
    extension: Option<&str>,
    name: &str,
    parts: Option<Vec<&str>>,
    result: &mut Map<String, Value>,
) {
    let holder = match extension {
        None => Some(resource),
        Some(urn) => resource.get(urn).and_then(Value::as_object),
    };
    let Some(value) = holder.and_then(|holder| holder.get(name)) else { return };
    let value = match parts {
        None => Some(value.clone()),
        Some(parts) => keep_parts(value, &parts),
    };
    let Some(value) = value else { return };
    match extension {
        None => {
            // A core attribute that is there already is there whole.
            result.entry(name).or_insert(value);
        }
        Some(urn) => {
            if let Value::Object(extension) = result.entry(urn).or_insert_with(|| Value::Object(Map::new())) {
                extension.entry(name).or_insert(value);
            }
        }
    }
}

/// What is left of a value of which only parts are asked for. Nothing where it has none of them: what is unassigned is
/// absent (RFC 7643 section 2.5).
fn keep_parts(value: &Value, parts: &[&str]) -> Option<Value> {
    let kept: Value = match value {
        Value::Array(values) => values.iter().filter_map(|value| keep_parts(value, parts)).collect(),
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| parts.iter().any(|part| part.eq_ignore_ascii_case(key)))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    (!is_empty(&kept)).then_some(kept)
}

fn exclude(resource_type: ResourceType, resource: &mut Map<String, Value>, name: &Name) {
    match name.choose(resource_type) {
        Choice::Unknown => {}
        Choice::Core => resource.retain(|key, _| is_uri(key) || is_always(resource_type, key)),
        Choice::Extension(schema) => {
            resource.remove(schema.id);
        }
        Choice::Custom => {
            let Some((key, attribute)) = name.find_custom(resource) else { return };
            let (key, attribute) = (key.to_owned(), attribute.map(|(name, part)| (name.to_owned(), part)));
            match attribute {
                None => {
                    resource.remove(&key);
                }
                Some((name, part)) => exclude_from(resource, Some(&key), &name, part),
            }
        }
        Choice::Attribute { attribute, .. } if attribute.returned == Returned::Always => {}
        Choice::Attribute { extension, attribute, part } => {
            let extension = extension.map(|schema| schema.id);
            exclude_from(resource, extension, attribute.name, part.map(|part| part.name));
        }
    }
}

/// Leaves out an attribute or a part of it, and what is empty without it.
fn exclude_from(resource: &mut Map<String, Value>, extension: Option<&str>, name: &str, part: Option<&str>) {
    let holder = match extension {
        None => Some(&mut *resource),
        Some(urn) => resource.get_mut(urn).and_then(Value::as_object_mut),
    };
    let Some(holder) = holder else { return };
    if let (Some(part), Some(value)) = (part, holder.get_mut(name)) {
        drop_part(value, part);
    }
    if part.is_none() || holder.get(name).is_some_and(is_empty) {
        holder.remove(name);
    }
    if let Some(urn) = extension.filter(|urn| resource.get(*urn).is_some_and(is_empty)) {
        resource.remove(urn);
    }
}

fn drop_part(value: &mut Value, part: &str) {
    match value {
        Value::Array(values) => {
            values.iter_mut().for_each(|value| drop_part(value, part));
            values.retain(|value| !is_empty(value));
        }
        Value::Object(object) => object.retain(|key, _| !key.eq_ignore_ascii_case(part)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}

fn is_always(resource_type: ResourceType, key: &str) -> bool {
    find_attribute(resource_type, None, key)
        .is_some_and(|located| located.attribute.returned == Returned::Always)
}
