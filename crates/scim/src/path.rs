//! Names of attributes on the wire: `userName`, `name.givenName`, `urn:…:User:manager.value` (RFC 7644 section
//! 3.10), and the paths of PATCH operations, which may select values by a filter.
//!
//! URNs hold colons and dots themselves, so a name is cut behind a schema of the standard first, and at the last colon
//! otherwise.

use std::fmt;

use crate::error::{ScimError, echo};
use crate::filter::Filter;
use crate::filter::parser::Parser;
use crate::limits::MAX_PATH_BYTES;
use crate::note::Notes;
use crate::urn::{Meant, is_custom, is_custom_with, is_uri, meant, read_start};

/// The name of an attribute or sub-attribute, as the client spelled it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttributePath {
    /// The schema that it is qualified by.
    pub urn: Option<String>,
    /// The attribute.
    pub name: String,
    /// The sub-attribute.
    pub sub_attribute: Option<String>,
}

impl AttributePath {
    /// Parses `[URI ":"] NAME ["." NAME]`. None where it does not follow that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (urn, rest) = split_urn(text);
        let (name, sub_attribute) = match rest.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (rest, None),
        };
        let is_valid = urn != Some("") && is_name(name) && sub_attribute.is_none_or(is_name);
        is_valid.then(|| Self {
            urn: urn.map(str::to_owned),
            name: name.to_owned(),
            sub_attribute: sub_attribute.map(str::to_owned),
        })
    }

    /// True for the enterprise extension as a whole, whose URN looks like a name behind its last colon.
    pub(crate) fn is_enterprise(&self) -> bool {
        self.sub_attribute.is_none() && meant(&self.to_string()) == Some(Meant::Enterprise)
    }

    /// True for an extension of a client's own as a whole, whose URN is in a namespace of the standard without its end, as in
    /// `urn:scim:schemas:extension:Acme`.
    pub(crate) fn is_custom_extension(&self) -> bool {
        let is_one = |urn: &str| is_custom_with(urn, &self.name);
        self.sub_attribute.is_none() && self.urn.as_deref().is_some_and(is_one)
    }

    /// True for a name in an extension that this provider does not define.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        self.urn.as_deref().is_some_and(is_custom)
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(formatter, "{urn}:")?;
        }
        formatter.write_str(&self.name)?;
        match &self.sub_attribute {
            Some(sub) => write!(formatter, ".{sub}"),
            None => Ok(()),
        }
    }
}

/// The `path` of a PATCH operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PatchPath {
    /// A schema as a whole: a bare URN, known or a client's own.
    Schema(String),
    /// An attribute, its values that match a filter, or a sub-attribute of those.
    Attribute { path: AttributePath, filter: Option<Filter> },
}

impl PatchPath {
    /// Parses `attrPath / valuePath ["." NAME]`, or a bare schema URN. What is a URI and no name of an attribute, such as
    /// `urn:acme:hr:1.0`, is such a URN.
    pub(crate) fn parse(text: &str) -> Result<Self, ScimError> {
        Self::parse_noting(text, &mut Notes::default())
    }

    /// The same, with the liberties that a filter in it took.
    pub(crate) fn parse_noting(text: &str, notes: &mut Notes) -> Result<Self, ScimError> {
        let invalid = || ScimError::InvalidPath { path: echo(text) };
        if text.len() > MAX_PATH_BYTES {
            return Err(invalid());
        }
        let text = text.trim_matches(' ');
        if meant(text).is_some() {
            return Ok(Self::Schema(text.to_owned()));
        }
        if !text.contains('[') {
            return match AttributePath::parse(text) {
                Some(path) => Ok(Self::Attribute { path, filter: None }),
                None if is_uri(text) => Ok(Self::Schema(text.to_owned())),
                None => Err(invalid()),
            };
        }
        let (path, filter, noted) = Parser::new(text).parse_value_path().map_err(|_| invalid())?;
        noted.into_iter().for_each(|note| notes.add(note));
        Ok(Self::Attribute { path, filter: Some(filter) })
    }
}

fn split_urn(text: &str) -> (Option<&str>, &str) {
    if let Some(start) = read_start(text)
        && let Some(name) = start.rest.strip_prefix([':', '.'])
    {
        return (Some(start.urn), name);
    }
    match text.rsplit_once(':') {
        Some((urn, name)) => (Some(urn), name),
        None => (None, text),
    }
}

/// `ALPHA *( ALPHA / DIGIT / "-" / "_" )`, or `$ref`.
pub(crate) fn is_name(text: &str) -> bool {
    let name = text.strip_prefix('$').unwrap_or(text);
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
