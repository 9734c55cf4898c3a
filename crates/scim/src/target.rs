//! What a path or key of a user means: an attribute, a part of it, an extension, or nothing that is known.

use serde_json::{Map, Value};

use crate::error::ScimError;
use crate::filter::Filter;
use crate::note::{DialectNote, Notes};
use crate::path::PatchPath;
use crate::schema::{Attribute, Located, Mutability, ResourceType, Schema, find_attribute, find_extension};
use crate::urn::{is_core, is_custom, is_custom_with};
use crate::work::{LOOK, Work};

/// An attribute, and what of it is meant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selection {
    /// The extension that holds it.
    pub(crate) extension: Option<&'static Schema>,
    /// The attribute.
    pub(crate) attribute: &'static Attribute,
    /// Which of its values.
    pub(crate) filter: Option<Filter>,
    /// Which sub-attribute.
    pub(crate) part: Option<&'static Attribute>,
}

impl Selection {
    /// The name of the attribute or sub-attribute that forbids writing.
    pub(crate) fn read_only(&self) -> Option<&'static str> {
        [Some(self.attribute), self.part]
            .into_iter()
            .flatten()
            .find(|attribute| attribute.mutability == Mutability::ReadOnly)
            .map(|attribute| attribute.name)
    }

    /// True where a key of an object must have been a path.
    pub(crate) fn is_flat(&self) -> bool {
        self.part.is_some() || self.filter.is_some() || self.extension.is_some()
    }
}

/// What a path or key means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    /// The resource itself: the core schema by its URN.
    Core,
    /// A defined extension as a whole.
    Extension(&'static Schema),
    /// A custom extension as a whole.
    CustomExtension {
        /// Its URN, spelled as it is stored where it is.
        urn: String,
    },
    /// An attribute of a custom extension.
    CustomAttribute {
        /// The URN of the extension, spelled as it is stored where it is.
        urn: String,
        /// The attribute, likewise.
        name: String,
        /// Which of its values.
        filter: Option<Filter>,
        /// Its sub-attribute.
        part: Option<String>,
    },
    /// A defined attribute.
    Attribute(Selection),
    /// The password, which is not kept.
    Password,
    /// Nothing that a user has.
    Unknown,
}

/// Finds what a path of a user means. A custom URN whose value is an object means the extension as a whole when it
/// stands as a key, or when the user has an extension of that URN.
///
/// # Errors
///
/// [`ScimError::TooMuchWork`]: a custom URN is looked for among everything that the user has.
pub(crate) fn find_target(
    path: &PatchPath,
    has_object: bool,
    attributes: &Map<String, Value>,
    notes: &mut Notes,
    work: &Work,
) -> Result<Target, ScimError> {
    let (path, filter) = match path {
        PatchPath::Schema(urn) => return find_schema(urn, attributes, work),
        PatchPath::Attribute { path, filter } => (path, filter),
    };
    if let Some(located) = find_attribute(ResourceType::User, path.urn.as_deref(), &path.name) {
        if let Some(schema) = located.extension
            && path.urn.is_none()
        {
            notes.add(DialectNote::UnqualifiedExtension(schema.name));
        }
        if let Some(filter) = filter {
            filter.note_values(located.attribute, notes);
        }
        return Ok(find_defined(located, path.sub_attribute.as_deref(), filter.as_ref()));
    }
    Ok(match &path.urn {
        None if path.name.eq_ignore_ascii_case("password") => Target::Password,
        Some(urn) if is_core(urn, ResourceType::User) && path.name.eq_ignore_ascii_case("password") => {
            Target::Password
        }
        Some(urn) if filter.is_none() && (is_custom(urn) || is_custom_with(urn, &path.name)) => {
            // The URN alone and with the name are both looked for.
            let looks = attributes.len().saturating_mul(2);
            work.spend(looks.saturating_mul(LOOK.saturating_add(urn.len())))?;
            find_custom(urn, &path.name, path.sub_attribute.as_deref(), has_object, attributes)
        }
        Some(urn) if is_custom(urn) => {
            let looks = attributes.len().saturating_mul(2);
            work.spend(looks.saturating_mul(LOOK.saturating_add(urn.len())))?;
            let is_plain = filter.as_ref().is_some_and(|filter| filter.names_all(&|path| path.urn.is_none()));
            match find_custom(urn, &path.name, path.sub_attribute.as_deref(), false, attributes) {
                Target::CustomAttribute { urn, name, part, .. } if is_plain => {
                    Target::CustomAttribute { urn, name, filter: filter.clone(), part }
                }
                _ => Target::Unknown,
            }
        }
        _ => Target::Unknown,
    })
}

fn find_schema(urn: &str, attributes: &Map<String, Value>, work: &Work) -> Result<Target, ScimError> {
    if let Some(schema) = find_extension(ResourceType::User, urn) {
        return Ok(Target::Extension(schema));
    }
    if is_core(urn, ResourceType::User) {
        return Ok(Target::Core);
    }
    if !is_custom(urn) || !is_extension_urn(urn) {
        return Ok(Target::Unknown);
    }
    work.spend(attributes.len().saturating_mul(LOOK.saturating_add(urn.len())))?;
    Ok(Target::CustomExtension { urn: find_key(attributes, urn).unwrap_or(urn).to_owned() })
}

fn find_defined(located: Located, part: Option<&str>, filter: Option<&Filter>) -> Target {
    let Located { extension, attribute } = located;
    let part = match part.map(|name| attribute.sub_attribute(name)) {
        None => None,
        Some(None) => return Target::Unknown,
        Some(part) => part,
    };
    let is_served = |filter: &Filter| {
        attribute.is_multi_valued()
            && filter.check_value_names(attribute).is_ok()
            && filter.check_value_types(attribute).is_ok()
    };
    if filter.is_some_and(|filter| !is_served(filter)) {
        return Target::Unknown;
    }
    Target::Attribute(Selection { extension, attribute, filter: filter.cloned(), part })
}

fn find_custom(
    urn: &str,
    name: &str,
    part: Option<&str>,
    has_object: bool,
    attributes: &Map<String, Value>,
) -> Target {
    let whole = match part {
        Some(part) => format!("{urn}:{name}.{part}"),
        None => format!("{urn}:{name}"),
    };
    if let Some(stored) = find_key(attributes, &whole) {
        return Target::CustomExtension { urn: stored.to_owned() };
    }
    if !is_custom(urn) {
        // `urn:…:schemas:extension:Acme` alone: what is above it is the standard's, and has no attributes.
        return if part.is_none() { Target::CustomExtension { urn: whole } } else { Target::Unknown };
    }
    if let Some(stored) = find_key(attributes, urn) {
        let name = attributes
            .get(stored)
            .and_then(Value::as_object)
            .and_then(|object| find_key(object, name))
            .unwrap_or(name);
        return Target::CustomAttribute {
            urn: stored.to_owned(),
            name: name.to_owned(),
            filter: None,
            part: part.map(str::to_owned),
        };
    }
    let names_type = |text: &str| text.eq_ignore_ascii_case("User");
    let is_below_type = urn.rsplit(':').next().is_some_and(names_type);
    if part.is_none() && (names_type(name) || (has_object && !is_below_type)) {
        return if is_extension_urn(&whole) {
            Target::CustomExtension { urn: whole }
        } else {
            Target::Unknown
        };
    }
    if !is_extension_urn(urn) {
        return Target::Unknown;
    }
    Target::CustomAttribute {
        urn: urn.to_owned(),
        name: name.to_owned(),
        filter: None,
        part: part.map(str::to_owned),
    }
}

/// The key of an object that is this name in whatever case.
pub(crate) fn find_key<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.keys().find(|key| key.eq_ignore_ascii_case(name)).map(String::as_str)
}

/// True for what can be the URN of an extension: `urn:` with a namespace and a name, or another URI.
fn is_extension_urn(text: &str) -> bool {
    text.contains("://") || text.split(':').count() > 2
}
