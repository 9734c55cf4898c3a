//! The filters that a list request may use: look-ups by equality.
//!
//! Identity providers ask for one person or group by a name. Such questions are answered from an index; a filter
//! that would read the whole directory is refused with a text that says what is served.

use super::{Filter, Literal, Operator};
use crate::error::ScimError;
use crate::path::AttributePath;
use crate::schema::{Located, ResourceType, find_attribute};

/// What is told to a client whose filter is not served.
pub const SERVED_FILTERS: &str = "`eq` on userName, externalId, id, displayName, emails.value, active and manager \
     (users), or displayName, externalId, id and members.value (groups), joined by `and`";

/// One condition on the resources of a list. A list of them means all of them at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// Users of this userName; case does not matter.
    UserName(String),
    /// Resources of this externalId, exactly.
    ExternalId(String),
    /// The resource of this id, exactly.
    Id(String),
    /// Resources of this displayName; case does not matter.
    DisplayName(String),
    /// Users with this e-mail address; case does not matter.
    EmailValue {
        /// The address.
        value: String,
        /// The `type` that the same e-mail has, where one is named; case does not matter.
        kind: Option<String>,
    },
    /// Users that are, or are not, active.
    Active(bool),
    /// Users whose manager has this id, exactly.
    Manager(String),
    /// Groups with this member, exactly.
    Member(String),
}

impl Filter {
    /// The filter as look-ups that must all be fulfilled.
    ///
    /// # Errors
    ///
    /// [`ScimError::UnsupportedFilter`] for anything but `eq` on the attributes of [`Lookup`], joined by `and`.
    pub fn as_lookup(&self, resource_type: ResourceType) -> Result<Vec<Lookup>, ScimError> {
        let mut lookups = Vec::new();
        collect(self, resource_type, &mut lookups)?;
        Ok(lookups)
    }
}

const UNSUPPORTED: ScimError = ScimError::UnsupportedFilter { served: SERVED_FILTERS };

fn collect(filter: &Filter, resource_type: ResourceType, lookups: &mut Vec<Lookup>) -> Result<(), ScimError> {
    match filter {
        Filter::And(filters) => filters.iter().try_for_each(|inner| collect(inner, resource_type, lookups)),
        Filter::Compare { path, operator: Operator::Eq, literal } => {
            lookups.push(find_lookup(path, literal, resource_type)?);
            Ok(())
        }
        Filter::ValuePath { path, filter: inner } => {
            lookups.push(find_value_lookup(path, inner, resource_type)?);
            Ok(())
        }
        Filter::Or(_) | Filter::Not(_) | Filter::Present(_) | Filter::Compare { .. } => Err(UNSUPPORTED),
    }
}

/// The canonical name that a path leads to, if the resource type has it.
fn canonical(
    path: &AttributePath,
    resource_type: ResourceType,
) -> Option<(&'static str, Option<&'static str>)> {
    let Located { attribute, .. } = find_attribute(resource_type, path.urn.as_deref(), &path.name)?;
    match &path.sub_attribute {
        None => Some((attribute.name, None)),
        Some(sub) => attribute.sub_attribute(sub).map(|sub| (attribute.name, Some(sub.name))),
    }
}

fn find_lookup(
    path: &AttributePath,
    literal: &Literal,
    resource_type: ResourceType,
) -> Result<Lookup, ScimError> {
    let name = canonical(path, resource_type).ok_or(UNSUPPORTED)?;
    if name == ("active", None) {
        return literal.as_boolean().map(Lookup::Active).ok_or(UNSUPPORTED);
    }
    let value = literal.as_text().ok_or(UNSUPPORTED)?.to_owned();
    match name {
        ("userName", None) => Ok(Lookup::UserName(value)),
        ("externalId", None) => Ok(Lookup::ExternalId(value)),
        ("id", None) => Ok(Lookup::Id(value)),
        ("displayName", None) => Ok(Lookup::DisplayName(value)),
        ("emails", None | Some("value")) => Ok(Lookup::EmailValue { value, kind: None }),
        ("manager", None | Some("value")) => Ok(Lookup::Manager(value)),
        ("members", None | Some("value")) => Ok(Lookup::Member(value)),
        _ => Err(UNSUPPORTED),
    }
}

/// `emails[value eq "x"]`, `emails[type eq "work" and value eq "x"]`, `members[value eq "x"]`.
fn find_value_lookup(
    path: &AttributePath,
    filter: &Filter,
    resource_type: ResourceType,
) -> Result<Lookup, ScimError> {
    let (name, _) = canonical(path, resource_type).ok_or(UNSUPPORTED)?;
    let clauses = match filter {
        Filter::And(filters) => filters.as_slice(),
        single => std::slice::from_ref(single),
    };
    let mut value = None;
    let mut kind = None;
    for clause in clauses {
        let Filter::Compare { path, operator: Operator::Eq, literal } = clause else {
            return Err(UNSUPPORTED);
        };
        let place = match path.name.to_ascii_lowercase().as_str() {
            "value" => &mut value,
            "type" if name == "emails" => &mut kind,
            _ => return Err(UNSUPPORTED),
        };
        let text = literal.as_text().ok_or(UNSUPPORTED)?.to_owned();
        if path.urn.is_some() || path.sub_attribute.is_some() || place.replace(text).is_some() {
            return Err(UNSUPPORTED);
        }
    }
    match (name, value) {
        ("emails", Some(value)) => Ok(Lookup::EmailValue { value, kind }),
        ("members", Some(value)) => Ok(Lookup::Member(value)),
        _ => Err(UNSUPPORTED),
    }
}
