//! Notes on the dialect that a client spoke.
//!
//! Real identity providers deviate from the standard, and each deviation that was understood is told to the trace
//! of the call: an administrator who asks why a value arrived, or did not, finds the reason. Notes name attributes,
//! never values.

use std::fmt;

use crate::error::echo;
use crate::limits::MAX_NOTES;

/// One deviation from the standard that was understood, or one part of the request that was left aside.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DialectNote {
    /// An operation was spelled with capitals (`Replace`).
    CapitalisedOp,
    /// A boolean came as a string (`"False"`).
    StringBoolean(&'static str),
    /// A string attribute came as a number.
    NumberAsString(&'static str),
    /// A singular attribute came in a list of one.
    ListAroundSingle(&'static str),
    /// A multi-valued attribute came without its list.
    SingleWithoutList(&'static str),
    /// A complex attribute came as its bare `value`.
    BareValue(&'static str),
    /// A key was a path (`name.givenName`, `urn:…:User:department`).
    FlatKey(String),
    /// An attribute of the enterprise extension came without its URN.
    UnqualifiedExtension(&'static str),
    /// A schema URN lacked the colon before the resource type.
    UrnWithoutColon,
    /// An unknown schema in `schemas` was accepted and is not echoed.
    UnknownSchema(String),
    /// An unknown attribute was left aside.
    UnknownAttribute(String),
    /// A read-only attribute in a whole resource or a path-less operation was left aside.
    ReadOnlyIgnored(&'static str),
    /// A password was sent and discarded.
    PasswordDiscarded,
    /// A remove named its values in `value` instead of its path: only those are removed.
    RemoveByValue(&'static str),
    /// A remove named an empty list of values: nothing is removed.
    EmptyRemove(&'static str),
    /// No value matched the filter of a path, and one was made from its `eq` clauses.
    SeededByFilter(&'static str),
    /// Several values claimed to be primary; one stayed.
    SeveralPrimaries(&'static str),
    /// `active` was removed from an inactive user, who stays inactive.
    StaysInactive,
    /// `members` was null in a whole resource: read as not said.
    NullMembers,
    /// A member had only a `$ref`; its id was taken from there.
    MemberByReference,
    /// A member's `type` was neither `User` nor `Group` and was left aside.
    UnknownMemberType,
}

impl DialectNote {
    /// A stable code for traces and counters.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::CapitalisedOp => "capitalised_op",
            Self::StringBoolean(_) => "string_boolean",
            Self::NumberAsString(_) => "number_as_string",
            Self::ListAroundSingle(_) => "list_around_single",
            Self::SingleWithoutList(_) => "single_without_list",
            Self::BareValue(_) => "bare_value",
            Self::FlatKey(_) => "flat_key",
            Self::UnqualifiedExtension(_) => "unqualified_extension",
            Self::UrnWithoutColon => "urn_without_colon",
            Self::UnknownSchema(_) => "unknown_schema",
            Self::UnknownAttribute(_) => "unknown_attribute",
            Self::ReadOnlyIgnored(_) => "read_only_ignored",
            Self::PasswordDiscarded => "password_discarded",
            Self::RemoveByValue(_) => "remove_by_value",
            Self::EmptyRemove(_) => "empty_remove",
            Self::SeededByFilter(_) => "seeded_by_filter",
            Self::SeveralPrimaries(_) => "several_primaries",
            Self::StaysInactive => "stays_inactive",
            Self::NullMembers => "null_members",
            Self::MemberByReference => "member_by_reference",
            Self::UnknownMemberType => "unknown_member_type",
        }
    }

    /// The attribute, key or schema that the note is about.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::StringBoolean(name)
            | Self::NumberAsString(name)
            | Self::ListAroundSingle(name)
            | Self::SingleWithoutList(name)
            | Self::BareValue(name)
            | Self::UnqualifiedExtension(name)
            | Self::ReadOnlyIgnored(name)
            | Self::RemoveByValue(name)
            | Self::EmptyRemove(name)
            | Self::SeededByFilter(name)
            | Self::SeveralPrimaries(name) => Some(name),
            Self::FlatKey(name) | Self::UnknownSchema(name) | Self::UnknownAttribute(name) => Some(name),
            Self::CapitalisedOp
            | Self::UrnWithoutColon
            | Self::PasswordDiscarded
            | Self::StaysInactive
            | Self::NullMembers
            | Self::MemberByReference
            | Self::UnknownMemberType => None,
        }
    }
}

impl fmt::Display for DialectNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject() {
            Some(subject) => write!(formatter, "{}: `{subject}`", self.code()),
            None => formatter.write_str(self.code()),
        }
    }
}

/// The notes of one call, each once, at most [`MAX_NOTES`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Vec<DialectNote>);

impl Notes {
    pub(crate) fn add(&mut self, note: DialectNote) {
        if self.0.len() < MAX_NOTES && !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    pub(crate) fn unknown_attribute(&mut self, name: &str) {
        self.add(DialectNote::UnknownAttribute(echo(name)));
    }

    pub(crate) const fn from(notes: Vec<DialectNote>) -> Self {
        Self(notes)
    }

    pub(crate) fn into_vec(self) -> Vec<DialectNote> {
        self.0
    }
}
