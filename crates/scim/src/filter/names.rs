//! What a filter names: whether all of it exists, and what must be read to evaluate it.

use crate::error::{ScimError, echo};
use crate::filter::{Filter, Literal, Operator};
use crate::path::AttributePath;
use crate::schema::{ResourceType, find_attribute};

impl Filter {
    /// Refuses names that the resource type does not have. Attributes of custom extensions may or may not be there.
    ///
    /// # Errors
    ///
    /// [`ScimError::UnknownFilterAttribute`].
    pub fn check_names(&self, resource_type: ResourceType) -> Result<(), ScimError> {
        match self {
            Self::And(filters) | Self::Or(filters) => {
                filters.iter().try_for_each(|inner| inner.check_names(resource_type))
            }
            Self::Not(inner) => inner.check_names(resource_type),
            Self::Present(path) | Self::Compare { path, .. } | Self::ValuePath { path, .. } => {
                let unknown = || ScimError::UnknownFilterAttribute { attribute: echo(&path.to_string()) };
                if path.is_custom() {
                    return Ok(());
                }
                let located =
                    find_attribute(resource_type, path.urn.as_deref(), &path.name).ok_or_else(unknown)?;
                match &path.sub_attribute {
                    Some(part) if located.attribute.sub_attribute(part).is_none() => Err(unknown()),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Whether the filter names this attribute, so that it must be there to be evaluated.
    #[must_use]
    pub fn names(&self, attribute: &str) -> bool {
        match self {
            Self::And(filters) | Self::Or(filters) => filters.iter().any(|inner| inner.names(attribute)),
            Self::Not(inner) => inner.names(attribute),
            Self::Present(path) | Self::Compare { path, .. } | Self::ValuePath { path, .. } => {
                !path.is_custom() && path.name.eq_ignore_ascii_case(attribute)
            }
        }
    }

    /// The members of a group that the filter asks about: the only ones that must be known to evaluate it, so that no
    /// group is ever read whole.
    ///
    /// # Errors
    ///
    /// [`ScimError::UnsupportedFilter`] where the filter would need all members.
    pub fn asked_members(&self) -> Result<Vec<String>, ScimError> {
        let mut ids = Vec::new();
        collect(self, &mut ids)?;
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

const NEEDS_ALL: ScimError = ScimError::UnsupportedFilter {
    served: "of `members` only `members.value eq \"…\"` and `members[value eq \"…\"]`",
};

fn is_members(path: &AttributePath) -> bool {
    !path.is_custom() && path.name.eq_ignore_ascii_case("members")
}

fn collect(filter: &Filter, ids: &mut Vec<String>) -> Result<(), ScimError> {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().try_for_each(|inner| collect(inner, ids))
        }
        Filter::Not(inner) => collect(inner, ids),
        Filter::Compare { path, operator, literal } if is_members(path) => {
            let is_value = path.sub_attribute.as_ref().is_none_or(|part| part.eq_ignore_ascii_case("value"));
            collect_id(is_value && matches!(operator, Operator::Eq | Operator::Ne), literal, ids)
        }
        Filter::ValuePath { path, filter } if is_members(path) => collect_values(filter, ids),
        Filter::Present(path) if is_members(path) => Err(NEEDS_ALL),
        Filter::Present(_) | Filter::Compare { .. } | Filter::ValuePath { .. } => Ok(()),
    }
}

/// Inside of brackets a negation would be about the members that are not asked about.
fn collect_values(filter: &Filter, ids: &mut Vec<String>) -> Result<(), ScimError> {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().try_for_each(|inner| collect_values(inner, ids))
        }
        Filter::Compare { path, operator, literal } => {
            let is_value = path.name.eq_ignore_ascii_case("value") && path.sub_attribute.is_none();
            collect_id(is_value && *operator == Operator::Eq, literal, ids)
        }
        Filter::Not(_) | Filter::Present(_) | Filter::ValuePath { .. } => Err(NEEDS_ALL),
    }
}

fn collect_id(is_served: bool, literal: &Literal, ids: &mut Vec<String>) -> Result<(), ScimError> {
    let id = literal.as_text().filter(|_| is_served).ok_or(NEEDS_ALL)?;
    ids.push(id.to_owned());
    Ok(())
}
