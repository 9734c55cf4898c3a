//! Who the assertion speaks of: the name identifier, and the key under which the person is known.
//!
//! Here because format and qualifiers are part of the key: `a@b.example` as an e-mail address and as a persistent
//! identifier are two people (SAML Core §8.3, SAML2Int §2.2.4).

use thiserror::Error;

use crate::attribute::Attributes;
use crate::document::Node;
use crate::encoding::shown;
use crate::refusal::BrokenRule;

/// Longest name identifier or attribute that identifies a person, in bytes (SAML Core §8.3.7).
pub const MAX_SUBJECT_BYTES: usize = 256;

const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
const UNSPECIFIED_2: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:unspecified";
const EMAIL_ADDRESS: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";

/// What the key of somebody begins with whom a name identifier names for good, unless it holds an address.
pub const PERSISTENT_KEYS: &str = "name_id|urn:oasis:names:tc:SAML:2.0:nameid-format:persistent|";
/// What the key of everybody begins with whom a name identifier names.
pub const NAME_ID_KEYS: &str = "name_id|";

/// The last part of the names of attributes, in lower case, whose values are given to somebody else one day: addresses,
/// and names to sign in with.
const REASSIGNABLE: [&str; 24] = [
    "email",
    "e-mail",
    "mail",
    "emailaddress",
    "user.email",
    "0.9.2342.19200300.100.1.3",
    "1.2.840.113549.1.9.1",
    "upn",
    "userprincipalname",
    "user.userprincipalname",
    "eppn",
    "edupersonprincipalname",
    "1.3.6.1.4.1.5923.1.1.1.6",
    "uid",
    "0.9.2342.19200300.100.1.1",
    "username",
    "user.username",
    "user_name",
    "login",
    "samaccountname",
    "windowsaccountname",
    "name",
    "displayname",
    "cn",
];
/// The same of attributes that look like addresses and are never given to anybody else (SAML V2.0 Subject Identifier
/// Attributes Profile §3.3, §3.4).
const FOR_GOOD: [&str; 2] = ["subject-id", "pairwise-id"];

/// Why an assertion identifies nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubjectError {
    /// No name identifier.
    #[error("the assertion has no name identifier")]
    NoNameId,
    /// Another identifier each time.
    #[error("the name identifier is transient")]
    Transient,
    /// Empty, too long, or with control characters or white space around it.
    #[error("the identifier has {bytes} bytes, or white space or control characters")]
    Malformed {
        /// Its length.
        bytes: usize,
    },
    /// The attribute that identifies is missing, empty or has several values.
    #[error("the attribute `{name}` does not have exactly one value")]
    NoAttribute {
        /// Its name.
        name: String,
        /// How many values it has.
        values: usize,
    },
}

impl SubjectError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        match self {
            Self::NoNameId => BrokenRule::new(
                "name_id_missing",
                "SAML Profiles §4.1.4.2",
                "have the provider send a persistent NameID, or name an immutable attribute as the subject",
            )
            .expected("NameID")
            .received("none"),
            Self::Transient => BrokenRule::new(
                "name_id_transient",
                "SAML Core §8.3.8",
                "have the provider send a persistent NameID, or name an immutable attribute as the subject",
            )
            .expected(PERSISTENT)
            .received(TRANSIENT),
            Self::Malformed { bytes } => BrokenRule::new(
                "subject_invalid",
                "SAML Core §8.3.7",
                "configure the provider to send a stable id without white space around it",
            )
            .expected(format!("1 to {MAX_SUBJECT_BYTES} bytes"))
            .received(format!("{bytes} bytes")),
            Self::NoAttribute { name, values } => BrokenRule::new(
                "subject_attribute_missing",
                "SAML2Int §2.2.4",
                "have the provider send this attribute with one value, or choose another subject for the connection",
            )
            .expected(format!("{name} with one value"))
            .received(format!("{values} values that say something")),
        }
    }
}

/// A name identifier as a verified message carried it (SAML Core §2.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameId {
    /// The text.
    pub value: String,
    /// The format; unspecified if it was absent.
    pub format: NameIdFormat,
    /// `NameQualifier`, if it is there.
    pub name_qualifier: Option<String>,
    /// `SPNameQualifier`, if it is there.
    pub sp_name_qualifier: Option<String>,
}

impl NameId {
    /// Reads a `NameID` of a verified message, whose shape was required before.
    pub(crate) fn read(node: Node<'_>) -> Result<Self, SubjectError> {
        let value = node.text().map_err(|_| SubjectError::NoNameId)?;
        let value = require_identifier(&value)?.to_owned();
        let qualifier = |name| node.attribute(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self {
            value,
            format: NameIdFormat::from_uri(node.attribute("Format").unwrap_or_default()),
            name_qualifier: qualifier("NameQualifier"),
            sp_name_qualifier: qualifier("SPNameQualifier"),
        })
    }

    /// Whether both name the same person, as far as a logout request can tell: value and format, and qualifiers where
    /// both have them.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.format == other.format && self.is_same_but_for_format(other)
    }

    /// The same, whatever the formats.
    #[must_use]
    pub fn is_same_but_for_format(&self, other: &Self) -> bool {
        let agree = |one: &Option<String>, two: &Option<String>| match (one, two) {
            (Some(one), Some(two)) => one == two,
            _ => true,
        };
        self.value == other.value
            && agree(&self.name_qualifier, &other.name_qualifier)
            && agree(&self.sp_name_qualifier, &other.sp_name_qualifier)
    }
}

/// The format of a name identifier (SAML Core §8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameIdFormat {
    /// An opaque identifier that stays: recommended.
    Persistent,
    /// An e-mail address, which may be given to somebody else one day.
    EmailAddress,
    /// Whatever the two sides agreed on.
    Unspecified,
    /// Another identifier each time: never a key.
    Transient,
    /// Any other URI: nothing says that it stays.
    Other(String),
}

impl NameIdFormat {
    /// Those of the standard that say something.
    pub const NAMED: &'static [Self] = &[Self::Persistent, Self::EmailAddress, Self::Transient];

    /// The format of this URI; absent and empty mean unspecified (SAML Core §2.2.3).
    #[must_use]
    pub fn from_uri(uri: &str) -> Self {
        match uri {
            "" | UNSPECIFIED | UNSPECIFIED_2 => Self::Unspecified,
            EMAIL_ADDRESS => Self::EmailAddress,
            PERSISTENT => Self::Persistent,
            TRANSIENT => Self::Transient,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Its URI.
    #[must_use]
    pub fn uri(&self) -> &str {
        match self {
            Self::Persistent => PERSISTENT,
            Self::EmailAddress => EMAIL_ADDRESS,
            Self::Unspecified => UNSPECIFIED,
            Self::Transient => TRANSIENT,
            Self::Other(uri) => uri,
        }
    }

    /// Whether it is an e-mail address; some providers write the format with another version of SAML.
    #[must_use]
    pub fn is_address(&self) -> bool {
        *self == Self::EmailAddress || self.ends_with("emailAddress")
    }

    /// Whether the identifier is another one each time, however the format is written.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        *self == Self::Transient || self.ends_with("transient")
    }

    fn ends_with(&self, word: &str) -> bool {
        matches!(self, Self::Other(uri) if uri.rsplit([':', '/']).next().is_some_and(|end| end.eq_ignore_ascii_case(word)))
    }
}

/// What identifies a person at a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectSource {
    /// The name identifier.
    NameId,
    /// The one value of this attribute.
    Attribute {
        /// Its name.
        name: String,
    },
}

/// The key under which a connection knows a person. Equal keys are the same person, within one connection only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubjectKey {
    text: String,
    value: String,
}

impl SubjectKey {
    /// One text for all parts, unambiguous, for storing and comparing byte for byte.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the provider wrote to name the person.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// True for what a provider may give to another person one day, as [`is_reassignable`] has it.
    #[must_use]
    pub fn is_reassignable(&self) -> bool {
        is_reassignable(&self.text)
    }

    /// The key that `source` asks for.
    pub(crate) fn of(
        source: &SubjectSource,
        name_id: Option<&NameId>,
        attributes: &Attributes,
        sides: &Sides<'_>,
    ) -> Result<Self, SubjectError> {
        match source {
            SubjectSource::NameId => Self::of_name_id(name_id.ok_or(SubjectError::NoNameId)?, sides),
            SubjectSource::Attribute { name } => {
                let missing = || {
                    let values = attributes.find(name).map_or(&[][..], |found| &found.values);
                    let values = values.iter().filter(|value| !value.is_empty()).count();
                    SubjectError::NoAttribute { name: shown(name), values }
                };
                let value = require_identifier(attributes.single(name).ok_or_else(missing)?)?;
                Ok(Self { text: joined(&["attribute", name, value]), value: value.to_owned() })
            }
        }
    }

    /// A qualifier that names the side it comes from or goes to says nothing: providers begin and cease to write it.
    fn of_name_id(name_id: &NameId, sides: &Sides<'_>) -> Result<Self, SubjectError> {
        if name_id.format.is_transient() {
            return Err(SubjectError::Transient);
        }
        let said = |qualifier: &Option<String>, side: &str| {
            qualifier.clone().filter(|qualifier| qualifier != side).unwrap_or_default()
        };
        let name_qualifier = said(&name_id.name_qualifier, sides.idp_entity_id);
        let sp_name_qualifier = said(&name_id.sp_name_qualifier, sides.sp_entity_id);
        let parts = ["name_id", name_id.format.uri(), &name_id.value, &name_qualifier, &sp_name_qualifier];
        Ok(Self { text: joined(&parts), value: name_id.value.clone() })
    }
}

/// Whether a provider may give what that key names somebody by to another person one day: every name identifier that is
/// not persistent, and attributes that are addresses or names to sign in with, by their name or by what they hold. A
/// persistent identifier is opaque (SAML Core §8.3.7): one that holds an `@` is an address under that name.
#[must_use]
pub fn is_reassignable(key: &str) -> bool {
    let mut parts = key.split('|');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("attribute"), Some(name), Some(value)) => is_attribute_reassignable(name, value),
        (Some("name_id"), Some(PERSISTENT), Some(value)) => value.contains('@'),
        _ => true,
    }
}

/// The same of an attribute with that value; an empty one says nothing beside the name.
#[must_use]
pub fn is_attribute_reassignable(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit([':', '/']).next().unwrap_or_default();
    REASSIGNABLE.contains(&last) || (value.contains('@') && !FOR_GOOD.contains(&last))
}

/// What the key of everybody begins with whom that attribute names.
#[must_use]
pub fn attribute_keys(name: &str) -> String {
    joined(&["attribute", name, ""])
}

/// The entity ids of both sides.
pub(crate) struct Sides<'a> {
    pub(crate) idp_entity_id: &'a str,
    pub(crate) sp_entity_id: &'a str,
}

/// One text that no other parts give: the separator is escaped within them.
fn joined(parts: &[&str]) -> String {
    let escaped: Vec<String> =
        parts.iter().map(|part| part.replace('%', "%25").replace('|', "%7C")).collect();
    escaped.join("|")
}

fn require_identifier(value: &str) -> Result<&str, SubjectError> {
    let is_plain = value.trim() == value && !value.chars().any(char::is_control);
    if (1..=MAX_SUBJECT_BYTES).contains(&value.len()) && is_plain {
        Ok(value)
    } else {
        Err(SubjectError::Malformed { bytes: value.len() })
    }
}
