//! Filters (RFC 7644 section 3.4.2.2): the whole grammar as a bounded tree, an evaluator, and the look-ups by which an
//! index narrows what must be evaluated.
//!
//! A filter comes from outside, so its length, depth and number of comparisons are bounded before anything is
//! built. It never becomes text of another language: [`Filter::narrow`] says what an index may be asked, and
//! [`Filter::matches`] decides about each candidate.

pub(crate) mod evaluate;
mod lookup;
mod names;
pub(crate) mod parser;

pub use lookup::{INDEXED_FILTERS, Lookup, Narrowed};
pub use names::AskedMembers;

use crate::error::ScimError;
use crate::note::DialectNote;
use crate::path::AttributePath;
use parser::Parser;

/// A parsed filter.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Each of these, at least two.
    And(Vec<Filter>),
    /// One of these, at least two.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// The attribute has a value.
    Present(AttributePath),
    /// The attribute compares to a value.
    Compare {
        /// The attribute.
        path: AttributePath,
        /// How.
        operator: Operator,
        /// To what.
        literal: Literal,
    },
    /// One value of a multi-valued attribute fulfils the whole inner filter.
    ///
    /// `emails[type eq "work"].value eq "x"`, which clients send although the grammar does not have it, is the same
    /// as `emails[type eq "work" and value eq "x"]` and parsed to that.
    ValuePath {
        /// The attribute.
        path: AttributePath,
        /// What one value must fulfil; its names are sub-attributes.
        filter: Box<Filter>,
    },
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal: the opposite of `Eq`, hence true for an attribute without a value.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
}

impl Operator {
    /// All.
    pub const ALL: [Self; 9] =
        [Self::Eq, Self::Ne, Self::Co, Self::Sw, Self::Ew, Self::Gt, Self::Ge, Self::Lt, Self::Le];

    /// The spelling on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }
}

/// What an attribute is compared to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// `null`: `eq null` means that there is no value.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A JSON number, as it was written.
    Number(String),
    /// A JSON string, or a bare word, which some clients send instead.
    Text(String),
}

impl Literal {
    /// The literal as the value of a string attribute. A number or boolean without quotes is one, too.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Null => None,
            Self::Boolean(true) => Some("true"),
            Self::Boolean(false) => Some("false"),
            Self::Number(text) | Self::Text(text) => Some(text),
        }
    }

    /// The literal as the value of a boolean attribute: `true`, or what clients write for it.
    #[must_use]
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            Self::Text(text) => parse_boolean(text),
            Self::Null | Self::Number(_) => None,
        }
    }
}

/// The strings that stand for booleans. Any other string is none: it must never pass for true.
pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" => Some(true),
        "false" | "False" => Some(false),
        _ => None,
    }
}

impl Filter {
    /// Parses a filter.
    ///
    /// # Errors
    ///
    /// [`ScimError::InvalidFilter`] where the grammar is not followed, [`ScimError::FilterTooLarge`] over
    /// [`crate::limits::MAX_FILTER_BYTES`], [`crate::limits::MAX_FILTER_DEPTH`] or
    /// [`crate::limits::MAX_FILTER_TERMS`].
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        Self::parse_noting(text).map(|(filter, _)| filter)
    }

    /// The same, with the liberties that the text took.
    ///
    /// # Errors
    ///
    /// As [`Filter::parse`].
    pub fn parse_noting(text: &str) -> Result<(Self, Vec<DialectNote>), ScimError> {
        Parser::new(text).parse_filter()
    }
}
