//! Versions that a client names before it reads or writes (RFC 7644 section 3.14, RFC 9110 section 13).
//!
//! Versions are weak, so they are compared without regard to the `W/` that some clients drop.

use crate::error::ScimError;

/// Entity tags in one header; more are refused, since each is compared.
const MAX_TAGS: usize = 100;

/// What a client says of the version that it knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    Any,
    These(Vec<String>),
}

impl Preconditions {
    /// Reads the values of `If-Match` and `If-None-Match`.
    ///
    /// # Errors
    ///
    /// [`ScimError::InvalidParameter`] where one is no list of entity tags.
    pub fn parse(if_match: Option<&str>, if_none_match: Option<&str>) -> Result<Self, ScimError> {
        let parse = |name: &'static str, text: Option<&str>| {
            text.map(|text| parse_tags(text).ok_or(ScimError::InvalidParameter { name })).transpose()
        };
        Ok(Self {
            if_match: parse("If-Match", if_match)?,
            if_none_match: parse("If-None-Match", if_none_match)?,
        })
    }

    /// True if nothing is said, so that no version need be known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Refuses to write a resource of another version.
    ///
    /// # Errors
    ///
    /// [`ScimError::PreconditionFailed`].
    pub fn check_write(&self, version: &str) -> Result<(), ScimError> {
        let is_other = self.if_match.as_ref().is_some_and(|tags| !tags.contain(version));
        let is_known = self.if_none_match.as_ref().is_some_and(|tags| tags.contain(version));
        if is_other || is_known { Err(ScimError::PreconditionFailed) } else { Ok(()) }
    }

    /// Whether a reader has this version already.
    ///
    /// # Errors
    ///
    /// [`ScimError::PreconditionFailed`] where the reader insists on another one.
    pub fn is_known(&self, version: &str) -> Result<bool, ScimError> {
        if self.if_match.as_ref().is_some_and(|tags| !tags.contain(version)) {
            return Err(ScimError::PreconditionFailed);
        }
        Ok(self.if_none_match.as_ref().is_some_and(|tags| tags.contain(version)))
    }
}

impl Tags {
    fn contain(&self, version: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| tag == opaque(version)),
        }
    }
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").or_else(|| tag.strip_prefix("w/")).unwrap_or(tag)
}

fn parse_tags(text: &str) -> Option<Tags> {
    let text = text.trim();
    if text == "*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    for tag in text.split(',') {
        let tag = opaque(tag.trim());
        let inner = tag.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('"') || tags.len() == MAX_TAGS {
            return None;
        }
        tags.push(tag.to_owned());
    }
    Some(Tags::These(tags))
}
