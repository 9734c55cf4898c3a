//! What a verified assertion says of the person beside who it is.
//!
//! Here because groups decide access and providers say "too many" in ways of their own: absent, empty, cut off and
//! present are kept apart (SAML Core §2.7.3).

use thiserror::Error;

use crate::document::Node;
use crate::encoding::shown;
use crate::names as n;
use crate::refusal::BrokenRule;

/// Most values of all attributes together.
pub const MAX_VALUES: usize = 2_000;
/// Most attributes.
pub const MAX_ATTRIBUTES: usize = 200;

/// The attributes that Entra ID sends in place of groups when there are more than 150: a link to the rest, which is
/// never followed.
const OVERAGE_MARKERS: [&str; 2] = [
    "http://schemas.microsoft.com/claims/groups.link",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups.link",
];
/// Entra's own name for groups: with a link to the rest nothing that stands there is whole.
const ENTRA_GROUPS: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups";
/// Entra's name for app roles, which are never cut off: Microsoft advises them to whoever has too many groups.
const ENTRA_ROLES: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";

/// Why the attributes of an assertion cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttributeError {
    /// More than [`MAX_VALUES`] values together.
    #[error("the assertion has more than {MAX_VALUES} attribute values")]
    TooMany,
    /// A value that is neither text nor one name identifier.
    #[error("a value of the attribute `{name}` is no text")]
    NotText {
        /// The attribute, cut.
        name: String,
    },
}

impl AttributeError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        match self {
            Self::TooMany => BrokenRule::new(
                "attribute_values_too_many",
                "SAML Core §2.7.3",
                "have the provider send only the groups that are mapped",
            )
            .expected(format!("at most {MAX_VALUES} values"))
            .received(format!("{} or more", MAX_VALUES + 1)),
            Self::NotText { name } => BrokenRule::new(
                "attribute_value_invalid",
                "SAML Core §2.7.3.1.1",
                "have the provider send this attribute as text",
            )
            .expected("text")
            .received(format!("elements in {name}")),
        }
    }
}

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// `Name`, compared byte for byte.
    pub name: String,
    /// `FriendlyName`: for people, never for decisions.
    pub friendly_name: Option<String>,
    /// Its values in order; `xsi:nil` values are left out.
    pub values: Vec<String>,
}

/// What a list attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed<'a> {
    /// Nothing: the attribute is not there.
    Missing,
    /// The provider has more values than it sends: nothing may be taken away for it.
    CutOff,
    /// These and no others; empty values are left out.
    Values(Vec<&'a str>),
}

/// The attributes of one assertion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    all: Vec<Attribute>,
}

impl Attributes {
    /// All of them, in the order of the document; an attribute that stands twice is one with the values of both.
    #[must_use]
    pub fn all(&self) -> &[Attribute] {
        &self.all
    }

    /// The attribute of this name, byte for byte.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Attribute> {
        self.all.iter().find(|attribute| attribute.name == name)
    }

    /// Its one value that is not empty; none if it has none or several.
    #[must_use]
    pub fn single(&self, name: &str) -> Option<&str> {
        match self.find(name)?.values.as_slice() {
            [one] if !one.is_empty() => Some(one),
            _ => None,
        }
    }

    /// A list such as groups, with the markers of providers that cut it off. A marker is about groups, which are left out in its
    /// place: what stands there under another name is whole.
    #[must_use]
    pub fn list(&self, name: &str) -> Listed<'_> {
        let found = self.find(name);
        let may_be_cut_off = match found {
            None => name != ENTRA_ROLES,
            Some(_) => name == ENTRA_GROUPS,
        };
        let is_cut_off = may_be_cut_off && OVERAGE_MARKERS.iter().any(|marker| self.find(marker).is_some());
        if is_cut_off || OVERAGE_MARKERS.contains(&name) {
            return Listed::CutOff;
        }
        match found {
            None => Listed::Missing,
            Some(attribute) => Listed::Values(
                attribute.values.iter().map(String::as_str).filter(|value| !value.is_empty()).collect(),
            ),
        }
    }

    /// Reads every statement of a verified assertion, whose shape was required before.
    pub(crate) fn read(assertion: Node<'_>) -> Result<Self, AttributeError> {
        let mut attributes = Self::default();
        let mut count = 0;
        for attribute in assertion.all(n::ATTRIBUTE_STATEMENT).flat_map(|one| one.all(n::ATTRIBUTE)) {
            let mut values = Vec::new();
            for value in attribute.all(n::ATTRIBUTE_VALUE) {
                count += 1;
                if count > MAX_VALUES {
                    return Err(AttributeError::TooMany);
                }
                values.extend(read_value(attribute, value)?);
            }
            attributes.add(attribute, values);
        }
        Ok(attributes)
    }

    fn add(&mut self, attribute: Node<'_>, values: Vec<String>) {
        let name = attribute.attribute("Name").unwrap_or_default();
        if let Some(known) = self.all.iter_mut().find(|known| known.name == name) {
            known.values.extend(values);
            return;
        }
        let friendly_name = attribute.attribute("FriendlyName").map(str::to_owned);
        self.all.push(Attribute { name: name.to_owned(), friendly_name, values });
    }
}

/// The text of a value, or of the name identifier in it. None for `xsi:nil`.
fn read_value(attribute: Node<'_>, value: Node<'_>) -> Result<Option<String>, AttributeError> {
    if matches!(value.attribute_of(n::XSI, "nil"), Some("true" | "1")) {
        return Ok(None);
    }
    let holder = value.child(n::NAME_ID).unwrap_or(value);
    let text = holder.text().map_err(|_| AttributeError::NotText {
        name: shown(attribute.attribute("Name").unwrap_or_default()),
    })?;
    Ok(Some(text))
}
