//! Facets: which values of a user a mapping can name, and by which names.
//!
//! An administrator names an attribute as SCIM does (`userType`, `roles`, `addresses.country`,
//! `urn:…:enterprise:2.0:User:department`, any attribute of a custom extension). Names have one key each, whatever
//! their spelling, because SCIM does not distinguish their letter case; values are kept as sent, byte for byte, because
//! a rule that gives access must not match what nobody wrote. Left out is what names one person (a user name, an
//! address, a phone number): whoever is to have access as a person gets it by a grant. Left out is also what follows
//! from other rules: `active` decides life, and `groups` are named as groups.

use std::collections::BTreeSet;

use serde_json::Value;
use thiserror::Error;

use crate::canonical::is_primary;
use crate::path::AttributePath;
use crate::schema::{
    Attribute, AttributeType, ENTERPRISE_SCHEMA, Mutability, ResourceType, Schema, find_attribute,
};
use crate::urn::is_custom;
use crate::user::User;

/// Attributes that name one person.
const OF_ONE_PERSON: [&str; 12] = [
    "id",
    "externalId",
    "userName",
    "name",
    "displayName",
    "nickName",
    "profileUrl",
    "emails",
    "phoneNumbers",
    "ims",
    "photos",
    "x509Certificates",
];
/// Attributes that other rules are about.
const OF_OTHER_RULES: [&str; 4] = ["active", "groups", "meta", "schemas"];
/// Sub-attributes that are for people to read.
const FOR_READERS: [&str; 3] = ["display", "formatted", "streetAddress"];
/// What selects the preferred value of a list.
const PRIMARY: &str = "[primary eq true]";

/// Why a name cannot stand in a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAFacet {
    /// Not the name of an attribute.
    #[error("is not the name of an attribute, such as `userType` or `urn:…:User:department`")]
    NoName,
    /// A user has no such attribute; one of an extension needs its URN.
    #[error("is not an attribute of users; one of a custom extension begins with the extension's URN")]
    Unknown,
    /// Each person has a value of their own.
    #[error("names one person: give them a grant instead")]
    OfOnePerson,
    /// Not what a mapping compares.
    #[error("cannot be mapped: map a group, or an attribute whose values are texts")]
    OfOtherRules,
}

/// The key of a name: the one spelling by which it is compared.
///
/// # Errors
/// [`NotAFacet`].
pub fn facet_key(name: &str) -> Result<String, NotAFacet> {
    let (plain, selects_primary) = without_selection(name).ok_or(NotAFacet::NoName)?;
    let path = AttributePath::parse(&plain).ok_or(NotAFacet::NoName)?;
    let located = find_attribute(ResourceType::User, path.urn.as_deref(), &path.name);
    let Some(located) = located else {
        return if path.is_custom() && !selects_primary {
            Ok(custom_key(&plain))
        } else {
            Err(NotAFacet::Unknown)
        };
    };
    let attribute = located.attribute;
    may_be_named(attribute)?;
    let part = match (&path.sub_attribute, attribute.is_complex()) {
        (None, false) => None,
        (named, true) => {
            let named = named.as_deref().unwrap_or("value");
            let part = attribute.sub_attribute(named).ok_or(NotAFacet::Unknown)?;
            Some(part).filter(|part| is_compared(part)).ok_or(NotAFacet::OfOtherRules).map(Some)?
        }
        (Some(_), false) => return Err(NotAFacet::Unknown),
    };
    let base = base_key(located.extension, attribute);
    match (selects_primary, part) {
        (true, Some(part)) if attribute.is_multi_valued() && part.name == "value" => {
            Ok(format!("{base}{PRIMARY}"))
        }
        (true, _) => Err(NotAFacet::Unknown),
        (false, part) => Ok(part_key(&base, part)),
    }
}

/// The name without `[primary eq true]`, and whether it had that.
fn without_selection(name: &str) -> Option<(String, bool)> {
    let Some((before, rest)) = name.split_once('[') else { return Some((name.to_owned(), false)) };
    let (selection, after) = rest.split_once(']')?;
    let words: Vec<String> = selection.split_whitespace().map(str::to_ascii_lowercase).collect();
    (words == ["primary", "eq", "true"]).then(|| (format!("{before}{after}"), true))
}

fn may_be_named(attribute: &Attribute) -> Result<(), NotAFacet> {
    if OF_ONE_PERSON.contains(&attribute.name) {
        return Err(NotAFacet::OfOnePerson);
    }
    if OF_OTHER_RULES.contains(&attribute.name) {
        return Err(NotAFacet::OfOtherRules);
    }
    Ok(())
}

/// Whether a mapping can name the core attribute of that canonical name.
pub(crate) fn is_core_facet(name: &str) -> bool {
    find_attribute(ResourceType::User, None, name)
        .is_some_and(|located| located.extension.is_none() && may_be_named(located.attribute).is_ok())
}

fn is_compared(part: &Attribute) -> bool {
    part.kind == AttributeType::String
        && part.mutability != Mutability::ReadOnly
        && !FOR_READERS.contains(&part.name)
}

fn base_key(extension: Option<&'static Schema>, attribute: &Attribute) -> String {
    match extension {
        Some(schema) => format!("{}:{}", schema.id, attribute.name),
        None => attribute.name.to_owned(),
    }
}

/// The `value` of a complex attribute is meant where no part is named.
fn part_key(base: &str, part: Option<&Attribute>) -> String {
    match part {
        Some(part) if part.name != "value" => format!("{base}.{}", part.name),
        _ => base.to_owned(),
    }
}

fn custom_key(name: &str) -> String {
    let key = name.to_ascii_lowercase();
    key.strip_suffix(".value").map(str::to_owned).unwrap_or(key)
}

/// Every value of a user that a mapping can name, each with the key of its name.
#[must_use]
pub fn facets(user: &User) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (name, value) in user.attributes() {
        match find_attribute(ResourceType::User, None, name) {
            Some(located) if located.extension.is_none() => {
                of_attribute(&mut found, None, located.attribute, value)
            }
            _ if name == ENTERPRISE_SCHEMA || is_custom(name) => of_extension(&mut found, name, value),
            // Kept before such keys were refused.
            _ => {}
        }
    }
    found
}

type Found = BTreeSet<(String, String)>;

fn of_attribute(found: &mut Found, extension: Option<&'static Schema>, attribute: &Attribute, value: &Value) {
    if may_be_named(attribute).is_err() {
        return;
    }
    let base = base_key(extension, attribute);
    for one in each(value) {
        match one {
            Value::Object(parts) => {
                for part in attribute.sub_attributes.iter().filter(|part| is_compared(part)) {
                    let Some(text) = parts.get(part.name).and_then(Value::as_str) else { continue };
                    found.insert((part_key(&base, Some(part)), text.to_owned()));
                    if part.name == "value" && is_primary(one) {
                        found.insert((format!("{base}{PRIMARY}"), text.to_owned()));
                    }
                }
            }
            plain => found.extend(text_of(plain).map(|text| (base.clone(), text))),
        }
    }
}

/// What an extension says: by its definition if there is one, else whatever is text.
fn of_extension(found: &mut Found, urn: &str, value: &Value) {
    let Value::Object(attributes) = value else { return };
    for (name, value) in attributes {
        match find_attribute(ResourceType::User, Some(urn), name) {
            Some(located) => of_attribute(found, located.extension, located.attribute, value),
            None => of_custom(found, &format!("{urn}:{name}"), value),
        }
    }
}

fn of_custom(found: &mut Found, name: &str, value: &Value) {
    for one in each(value) {
        let Value::Object(parts) = one else {
            add_custom(found, name, one);
            continue;
        };
        for (part, value) in parts {
            for one in each(value) {
                add_custom(found, &format!("{name}.{part}"), one);
            }
        }
    }
}

/// A value of an attribute that no schema defines, if its name can be one at all.
fn add_custom(found: &mut Found, name: &str, value: &Value) {
    if AttributePath::parse(name).is_some() {
        found.extend(text_of(value).map(|text| (custom_key(name), text)));
    }
}

fn each(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        single => std::slice::from_ref(single),
    }
}

/// A value as the text that a mapping names: `true`, `42` and `Engineering` alike.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
