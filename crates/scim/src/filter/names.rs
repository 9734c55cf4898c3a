//! What a filter names: whether all of it exists, and what must be read to evaluate it.

use crate::error::{ScimError, echo};
use crate::filter::{Filter, Literal, Operator};
use crate::path::AttributePath;
use crate::schema::{Attribute, ResourceType, find_attribute};

impl Filter {
    /// Refuses names that the resource type does not have. Attributes of custom extensions may or may not be there.
    ///
    /// # Errors
    ///
    /// [`ScimError::UnknownFilterAttribute`].
    pub fn check_names(&self, resource_type: ResourceType) -> Result<(), ScimError> {
        self.check_names_of(&[resource_type])
    }

    /// The same of a query over several resource types, of which each name must belong to one: for the others it is an
    /// attribute without a value (RFC 7644 section 3.4.2.1).
    ///
    /// # Errors
    ///
    /// As [`Filter::check_names`].
    pub fn check_names_of(&self, resource_types: &[ResourceType]) -> Result<(), ScimError> {
        match self {
            Self::And(filters) | Self::Or(filters) => {
                filters.iter().try_for_each(|inner| inner.check_names_of(resource_types))
            }
            Self::Not(inner) => inner.check_names_of(resource_types),
            Self::Present(path) if path.is_enterprise() && resource_types.contains(&ResourceType::User) => {
                Ok(())
            }
            Self::Present(path) if path.is_custom_extension() => Ok(()),
            Self::Present(path) | Self::Compare { path, .. } | Self::ValuePath { path, .. }
                if path.is_custom() =>
            {
                Ok(())
            }
            Self::Present(path) | Self::Compare { path, .. } | Self::ValuePath { path, .. } => {
                let named = resource_types.iter().filter_map(|kind| named(*kind, path));
                let checked = named.map(|attribute| match self {
                    Self::ValuePath { filter, .. } => filter.check_value_names(attribute),
                    _ => Ok(()),
                });
                checked.reduce(Result::or).unwrap_or_else(|| Err(unknown(&path.to_string())))
            }
        }
    }

    /// The same of a filter inside of brackets: refuses names that are no sub-attributes. A name that nobody understands
    /// would have no value, and a filter that says `ne` or `not` of it would choose all.
    ///
    /// # Errors
    ///
    /// As [`Filter::check_names`].
    pub(crate) fn check_value_names(&self, attribute: &'static Attribute) -> Result<(), ScimError> {
        match self {
            Self::And(filters) | Self::Or(filters) => {
                filters.iter().try_for_each(|inner| inner.check_value_names(attribute))
            }
            Self::Not(inner) => inner.check_value_names(attribute),
            Self::Present(path) | Self::Compare { path, .. } | Self::ValuePath { path, .. } => {
                let is_plain = path.urn.is_none() && path.sub_attribute.is_none();
                let part = attribute.sub_attribute(&path.name).filter(|_| is_plain);
                part.map(|_| ()).ok_or_else(|| unknown(&format!("{}[{path}]", attribute.name)))
            }
        }
    }

    /// Whether each name of the filter is such a one.
    pub(crate) fn names_all(&self, is_such: &impl Fn(&AttributePath) -> bool) -> bool {
        match self {
            Self::And(filters) | Self::Or(filters) => filters.iter().all(|inner| inner.names_all(is_such)),
            Self::Not(inner) => inner.names_all(is_such),
            Self::Present(path) | Self::Compare { path, .. } => is_such(path),
            Self::ValuePath { path, filter } => is_such(path) && filter.names_all(is_such),
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

    /// Whether the filter names this part of an attribute, by itself or in brackets.
    #[must_use]
    pub fn names_part(&self, attribute: &str, part: &str) -> bool {
        let is_part = |name: &str| name.eq_ignore_ascii_case(part);
        match self {
            Self::And(filters) | Self::Or(filters) => {
                filters.iter().any(|inner| inner.names_part(attribute, part))
            }
            Self::Not(inner) => inner.names_part(attribute, part),
            Self::Present(path) | Self::Compare { path, .. } => {
                self.names(attribute) && path.sub_attribute.as_deref().is_some_and(is_part)
            }
            Self::ValuePath { filter, .. } => self.names(attribute) && filter.names(part),
        }
    }

    /// The members of a group that the filter asks about: the only ones that must be known to evaluate it, so that no
    /// group is ever read whole.
    ///
    /// # Errors
    ///
    /// [`ScimError::UnsupportedFilter`] where the filter would need all members.
    pub fn asked_members(&self) -> Result<AskedMembers, ScimError> {
        let mut asked = AskedMembers::default();
        asked.collect(self)?;
        asked.ids.sort_unstable();
        asked.ids.dedup();
        Ok(asked)
    }
}

/// What of a group's members must be known to evaluate a filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskedMembers {
    /// The ids that it names.
    pub ids: Vec<String>,
    /// Whether it asks about members whom it does not name. To a filter that compares ids only for being equal, all of
    /// them are the same but for what they are, so one person and one group stand for all.
    pub others: bool,
}

/// The attribute or sub-attribute that a path names.
fn named(resource_type: ResourceType, path: &AttributePath) -> Option<&'static Attribute> {
    let attribute = find_attribute(resource_type, path.urn.as_deref(), &path.name)?.attribute;
    match &path.sub_attribute {
        Some(part) => attribute.sub_attribute(part),
        None => Some(attribute),
    }
}

fn unknown(name: &str) -> ScimError {
    ScimError::UnknownFilterAttribute { attribute: echo(name) }
}

const NEEDS_ALL: ScimError = ScimError::UnsupportedFilter {
    served: "the `value` of `members` only with `eq`, `ne` and `pr`, their `$ref` only with `pr`",
};

fn is_members(path: &AttributePath) -> bool {
    !path.is_custom() && path.name.eq_ignore_ascii_case("members")
}

impl AskedMembers {
    fn collect(&mut self, filter: &Filter) -> Result<(), ScimError> {
        match filter {
            Filter::And(filters) | Filter::Or(filters) => {
                filters.iter().try_for_each(|inner| self.collect(inner))
            }
            Filter::Not(inner) => self.collect(inner),
            Filter::Compare { path, operator, literal } if is_members(path) => {
                // Without brackets `ne` is the opposite of `eq`: it is about nobody else.
                let is_about_others = *literal == Literal::Null;
                self.others |= is_about_others;
                self.compare(path.sub_attribute.as_deref().unwrap_or("value"), *operator, literal)
            }
            Filter::ValuePath { path, filter } if is_members(path) => self.collect_values(filter),
            Filter::Present(path) if is_members(path) => {
                self.others = true;
                Ok(())
            }
            Filter::Present(_) | Filter::Compare { .. } | Filter::ValuePath { .. } => Ok(()),
        }
    }

    /// Inside of brackets a negation is about the members that are not named.
    fn collect_values(&mut self, filter: &Filter) -> Result<(), ScimError> {
        match filter {
            Filter::And(filters) | Filter::Or(filters) => {
                filters.iter().try_for_each(|inner| self.collect_values(inner))
            }
            Filter::Not(inner) => {
                self.others = true;
                self.collect_values(inner)
            }
            Filter::Compare { path, operator, literal } => {
                self.others |= *operator != Operator::Eq || *literal == Literal::Null;
                self.compare(&path.name, *operator, literal)
            }
            Filter::Present(_) | Filter::ValuePath { .. } => {
                self.others = true;
                Ok(())
            }
        }
    }

    fn compare(&mut self, part: &str, operator: Operator, literal: &Literal) -> Result<(), ScimError> {
        let is = |name: &str| part.eq_ignore_ascii_case(name);
        if !is("value") {
            self.others = true;
            let is_served = !is("$ref") || *literal == Literal::Null;
            return if is_served { Ok(()) } else { Err(NEEDS_ALL) };
        }
        if !matches!(operator, Operator::Eq | Operator::Ne) {
            return Err(NEEDS_ALL);
        }
        self.ids.extend(literal.as_text().map(str::to_owned));
        Ok(())
    }
}
