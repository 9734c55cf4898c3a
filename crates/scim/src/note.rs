//! Notes on the dialect that a client spoke.
//!
//! Real identity providers deviate from the standard, and each deviation that was understood is told to the trace
//! of the call: an administrator who asks why a value arrived, or did not, finds the reason. Notes name attributes,
//! never values.

use std::borrow::Cow;
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
    /// A number came as a string.
    StringNumber(&'static str),
    /// A singular attribute came in a list of one.
    ListAroundSingle(&'static str),
    /// A multi-valued attribute came without its list.
    SingleWithoutList(&'static str),
    /// A complex attribute came as its bare `value`.
    BareValue(&'static str),
    /// A string attribute came wrapped in an object (`{"value":…}`).
    WrappedValue(&'static str),
    /// A key was a path (`name.givenName`, `urn:…:User:department`).
    FlatKey(String),
    /// An attribute of the enterprise extension came without its URN.
    UnqualifiedExtension(&'static str),
    /// A schema URN lacked the colon before the resource type.
    UrnWithoutColon,
    /// A schema of the standard stood under another URN, as drafts and SCIM 1.1 spell it, or with a dot for its colon.
    OtherUrn(String),
    /// `schemas` was missing, or did not name the schema that the body is of.
    MissingSchemas,
    /// An unknown schema in `schemas` was accepted and is not echoed.
    UnknownSchema(String),
    /// An unknown attribute was left aside.
    UnknownAttribute(String),
    /// A read-only attribute in a whole resource or a path-less operation was left aside.
    ReadOnlyIgnored(&'static str),
    /// A password was sent and discarded.
    PasswordDiscarded,
    /// A remove named its values in `value` instead of its path: only those are removed.
    RemoveByValue(Cow<'static, str>),
    /// A remove named an empty list of values: nothing is removed.
    EmptyRemove(Cow<'static, str>),
    /// No value matched the filter of a path, and one was made from its `eq` clauses.
    SeededByFilter(&'static str),
    /// Several values claimed to be primary; one stayed.
    SeveralPrimaries(&'static str),
    /// `active` was removed from an inactive user, who stays inactive.
    StaysInactive,
    /// A PUT of a person did not say `active`, which stays as it is.
    ActiveNotSaid,
    /// `members` was null in a whole resource: read as not said.
    NullMembers,
    /// A list held `null` where a value belongs, which was left aside.
    NullInList(&'static str),
    /// A member had only a `$ref`; its id was taken from there.
    MemberByReference,
    /// A member's `type` was neither `User` nor `Group` and was left aside.
    UnknownMemberType,
    /// The `path` of an operation was an empty text.
    EmptyPath,
    /// A filter compared with a word without quotes.
    BareLiteral,
    /// A filter named a part behind the brackets of a value path.
    FilterPart,
    /// A flag of the provider stood in the URL.
    ProviderFlag,
    /// The `data` of a PATCH in a bulk request was the list of its operations (as RFC 7644 section 3.7.3 prints it).
    BareOperations,
}

/// The kinds of notes: a bounded set, so that they can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DialectKind {
    /// Operations of a PATCH were spelled with capitals; they mean the same.
    CapitalisedOp,
    /// A boolean came as a string; only `true` and `false`, whatever the first letter's case, were taken.
    StringBoolean,
    /// A number came for text; its digits were kept.
    NumberAsString,
    /// A number came as a string; it was read as the number.
    StringNumber,
    /// A single value came in a list of one; the value was taken.
    ListAroundSingle,
    /// A list came without its brackets; it was taken as a list of one.
    SingleWithoutList,
    /// A complex attribute came as bare text; it was taken as its `value`.
    BareValue,
    /// A plain value came wrapped in an object; it was unwrapped.
    WrappedValue,
    /// A key was a path such as `name.givenName`; it was expanded.
    FlatKey,
    /// An attribute of the enterprise extension came without its schema; it was found.
    UnqualifiedExtension,
    /// A schema lacked the colon before `User`; it was understood.
    UrnWithoutColon,
    /// A schema of the standard came under another URN, as of drafts; it was read as that schema.
    OtherUrn,
    /// `schemas` was missing or did not name the schema of the body; the body was read all the same.
    MissingSchemas,
    /// A schema is unknown here; it was accepted and is not answered.
    UnknownSchema,
    /// An attribute is unknown here; it was left aside.
    UnknownAttribute,
    /// An attribute that only this side sets was sent in a whole resource; it was left aside.
    ReadOnlyIgnored,
    /// A password was sent; it was discarded and is stored nowhere: switch password sync off.
    PasswordDiscarded,
    /// A remove listed values instead of choosing them by its path; only those were removed.
    RemoveByValue,
    /// A remove listed no values; nothing was removed.
    EmptyRemove,
    /// A path chose a value that was not there; it was made as the path describes it.
    SeededByFilter,
    /// Several values claimed to be primary; the first stayed.
    SeveralPrimaries,
    /// `active` was removed from an inactive person; only an explicit `true` brings somebody back.
    StaysInactive,
    /// A whole person came without `active`; it stayed as it was.
    ActiveNotSaid,
    /// `members` was null; it was read as not said, so nobody was removed.
    NullMembers,
    /// A list held `null` where a value belongs; it was left aside.
    NullInList,
    /// A member had only a `$ref`; its id was taken from there.
    MemberByReference,
    /// A member's type was neither `User` nor `Group`; it was left aside.
    UnknownMemberType,
    /// The path of an operation was empty; it was read as none.
    EmptyPath,
    /// A filter compared with a word without quotes; it was taken as text.
    BareLiteral,
    /// A filter named a part behind brackets; it was read as a condition inside them.
    FilterPart,
    /// A flag of the provider stood in the URL; it was left aside.
    ProviderFlag,
    /// The data of a PATCH in a bulk request was the bare list of its operations; it was read as their message.
    BareOperations,
}

impl DialectKind {
    /// All.
    pub const ALL: [Self; 32] = [
        Self::CapitalisedOp,
        Self::StringBoolean,
        Self::NumberAsString,
        Self::StringNumber,
        Self::ListAroundSingle,
        Self::SingleWithoutList,
        Self::BareValue,
        Self::WrappedValue,
        Self::FlatKey,
        Self::UnqualifiedExtension,
        Self::UrnWithoutColon,
        Self::OtherUrn,
        Self::MissingSchemas,
        Self::UnknownSchema,
        Self::UnknownAttribute,
        Self::ReadOnlyIgnored,
        Self::PasswordDiscarded,
        Self::RemoveByValue,
        Self::EmptyRemove,
        Self::SeededByFilter,
        Self::SeveralPrimaries,
        Self::StaysInactive,
        Self::ActiveNotSaid,
        Self::NullMembers,
        Self::NullInList,
        Self::MemberByReference,
        Self::UnknownMemberType,
        Self::EmptyPath,
        Self::BareLiteral,
        Self::FilterPart,
        Self::ProviderFlag,
        Self::BareOperations,
    ];

    /// A stable code for traces and counters.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CapitalisedOp => "capitalised_op",
            Self::StringBoolean => "string_boolean",
            Self::NumberAsString => "number_as_string",
            Self::StringNumber => "string_number",
            Self::ListAroundSingle => "list_around_single",
            Self::SingleWithoutList => "single_without_list",
            Self::BareValue => "bare_value",
            Self::WrappedValue => "wrapped_value",
            Self::FlatKey => "flat_key",
            Self::UnqualifiedExtension => "unqualified_extension",
            Self::UrnWithoutColon => "urn_without_colon",
            Self::OtherUrn => "other_urn",
            Self::MissingSchemas => "missing_schemas",
            Self::UnknownSchema => "unknown_schema",
            Self::UnknownAttribute => "unknown_attribute",
            Self::ReadOnlyIgnored => "read_only_ignored",
            Self::PasswordDiscarded => "password_discarded",
            Self::RemoveByValue => "remove_by_value",
            Self::EmptyRemove => "empty_remove",
            Self::SeededByFilter => "seeded_by_filter",
            Self::SeveralPrimaries => "several_primaries",
            Self::StaysInactive => "stays_inactive",
            Self::ActiveNotSaid => "active_not_said",
            Self::NullMembers => "null_members",
            Self::NullInList => "null_in_list",
            Self::MemberByReference => "member_by_reference",
            Self::UnknownMemberType => "unknown_member_type",
            Self::EmptyPath => "empty_path",
            Self::BareLiteral => "bare_literal",
            Self::FilterPart => "filter_part",
            Self::ProviderFlag => "provider_flag",
            Self::BareOperations => "bare_operations",
        }
    }

    /// What it means and what was made of it, for an administrator.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::CapitalisedOp => "operations of a PATCH were spelled with capitals; they mean the same",
            Self::StringBoolean => {
                "a boolean came as a string; only `true` and `false`, whatever the first letter's case, were taken"
            }
            Self::NumberAsString => "a number came for text; its digits were kept",
            Self::StringNumber => "a number came as a string; it was read as the number",
            Self::ListAroundSingle => "a single value came in a list of one; the value was taken",
            Self::SingleWithoutList => "a list came without its brackets; it was taken as a list of one",
            Self::BareValue => "a complex attribute came as bare text; it was taken as its `value`",
            Self::WrappedValue => "a plain value came wrapped in an object; it was unwrapped",
            Self::FlatKey => "a key was a path such as `name.givenName`; it was expanded",
            Self::UnqualifiedExtension => {
                "an attribute of the enterprise extension came without its schema; it was found"
            }
            Self::UrnWithoutColon => "a schema lacked the colon before `User`; it was understood",
            Self::OtherUrn => {
                "a schema of the standard came under another urn, as of drafts; it was read as that schema"
            }
            Self::MissingSchemas => {
                "`schemas` was missing or did not name the schema of the body; the body was read all the same"
            }
            Self::UnknownSchema => "a schema is unknown here; it was accepted and is not answered",
            Self::UnknownAttribute => "an attribute is unknown here; it was left aside",
            Self::ReadOnlyIgnored => {
                "an attribute that only this side sets was sent in a whole resource; it was left aside"
            }
            Self::PasswordDiscarded => {
                "a password was sent; it was discarded and is stored nowhere: switch password sync off"
            }
            Self::RemoveByValue => {
                "a remove listed values instead of choosing them by its path; only those were removed"
            }
            Self::EmptyRemove => "a remove listed no values; nothing was removed",
            Self::SeededByFilter => {
                "a path chose a value that was not there; it was made as the path describes it"
            }
            Self::SeveralPrimaries => "several values claimed to be primary; the first stayed",
            Self::StaysInactive => {
                "`active` was removed from an inactive person; only an explicit `true` brings somebody back"
            }
            Self::ActiveNotSaid => "a whole person came without `active`; it stayed as it was",
            Self::NullMembers => "`members` was null; it was read as not said, so nobody was removed",
            Self::NullInList => "a list held `null` where a value belongs; it was left aside",
            Self::MemberByReference => "a member had only a `$ref`; its id was taken from there",
            Self::UnknownMemberType => "a member's type was neither `User` nor `Group`; it was left aside",
            Self::EmptyPath => "the path of an operation was empty; it was read as none",
            Self::BareLiteral => "a filter compared with a word without quotes; it was taken as text",
            Self::FilterPart => {
                "a filter named a part behind brackets; it was read as a condition inside them"
            }
            Self::ProviderFlag => "a flag of the provider stood in the URL; it was left aside",
            Self::BareOperations => {
                "the data of a PATCH in a bulk request was the bare list of its operations; it was read as their message"
            }
        }
    }

    /// The kind of a code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl DialectNote {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> DialectKind {
        match self {
            Self::CapitalisedOp => DialectKind::CapitalisedOp,
            Self::StringBoolean(_) => DialectKind::StringBoolean,
            Self::NumberAsString(_) => DialectKind::NumberAsString,
            Self::StringNumber(_) => DialectKind::StringNumber,
            Self::ListAroundSingle(_) => DialectKind::ListAroundSingle,
            Self::SingleWithoutList(_) => DialectKind::SingleWithoutList,
            Self::BareValue(_) => DialectKind::BareValue,
            Self::WrappedValue(_) => DialectKind::WrappedValue,
            Self::FlatKey(_) => DialectKind::FlatKey,
            Self::UnqualifiedExtension(_) => DialectKind::UnqualifiedExtension,
            Self::UrnWithoutColon => DialectKind::UrnWithoutColon,
            Self::OtherUrn(_) => DialectKind::OtherUrn,
            Self::MissingSchemas => DialectKind::MissingSchemas,
            Self::UnknownSchema(_) => DialectKind::UnknownSchema,
            Self::UnknownAttribute(_) => DialectKind::UnknownAttribute,
            Self::ReadOnlyIgnored(_) => DialectKind::ReadOnlyIgnored,
            Self::PasswordDiscarded => DialectKind::PasswordDiscarded,
            Self::RemoveByValue(_) => DialectKind::RemoveByValue,
            Self::EmptyRemove(_) => DialectKind::EmptyRemove,
            Self::SeededByFilter(_) => DialectKind::SeededByFilter,
            Self::SeveralPrimaries(_) => DialectKind::SeveralPrimaries,
            Self::StaysInactive => DialectKind::StaysInactive,
            Self::ActiveNotSaid => DialectKind::ActiveNotSaid,
            Self::NullMembers => DialectKind::NullMembers,
            Self::NullInList(_) => DialectKind::NullInList,
            Self::MemberByReference => DialectKind::MemberByReference,
            Self::UnknownMemberType => DialectKind::UnknownMemberType,
            Self::EmptyPath => DialectKind::EmptyPath,
            Self::BareLiteral => DialectKind::BareLiteral,
            Self::FilterPart => DialectKind::FilterPart,
            Self::ProviderFlag => DialectKind::ProviderFlag,
            Self::BareOperations => DialectKind::BareOperations,
        }
    }

    /// A stable code for traces and counters.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind().code()
    }

    /// The attribute, key or schema that the note is about.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::StringBoolean(name)
            | Self::NumberAsString(name)
            | Self::StringNumber(name)
            | Self::ListAroundSingle(name)
            | Self::SingleWithoutList(name)
            | Self::BareValue(name)
            | Self::WrappedValue(name)
            | Self::UnqualifiedExtension(name)
            | Self::ReadOnlyIgnored(name)
            | Self::SeededByFilter(name)
            | Self::SeveralPrimaries(name)
            | Self::NullInList(name) => Some(name),
            Self::RemoveByValue(name) | Self::EmptyRemove(name) => Some(name),
            Self::FlatKey(name)
            | Self::OtherUrn(name)
            | Self::UnknownSchema(name)
            | Self::UnknownAttribute(name) => Some(name),
            Self::CapitalisedOp
            | Self::UrnWithoutColon
            | Self::MissingSchemas
            | Self::PasswordDiscarded
            | Self::StaysInactive
            | Self::NullMembers
            | Self::MemberByReference
            | Self::UnknownMemberType
            | Self::ActiveNotSaid
            | Self::EmptyPath
            | Self::BareLiteral
            | Self::FilterPart
            | Self::ProviderFlag
            | Self::BareOperations => None,
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
pub struct Notes(Vec<DialectNote>);

impl Notes {
    /// Notes that once more, if there is room.
    pub fn add(&mut self, note: DialectNote) {
        if self.0.len() < MAX_NOTES && !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    pub(crate) fn withdraw(&mut self, note: &DialectNote) {
        self.0.retain(|noted| noted != note);
    }

    pub(crate) fn unknown_attribute(&mut self, name: &str) {
        self.add(DialectNote::UnknownAttribute(echo(name)));
    }

    pub(crate) const fn from(notes: Vec<DialectNote>) -> Self {
        Self(notes)
    }

    /// What was noted, in that order.
    #[must_use]
    pub fn as_slice(&self) -> &[DialectNote] {
        &self.0
    }

    pub(crate) fn into_vec(self) -> Vec<DialectNote> {
        self.0
    }
}
