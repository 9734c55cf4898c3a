//! Every refusal of the SCIM surface, with its HTTP status and `scimType` (RFC 7644 section 3.12).
//!
//! The enum is exact, so that a caller can tell refusals apart without reading text, and so that the wire form is
//! made in one place. Messages name attributes, paths and limits, never the values of attributes: a body may hold a
//! password, and an error is logged. The refusals that only a service or an HTTP layer can find stand here too,
//! because their wire form is SCIM's.

use crate::limits::MAX_ECHO_BYTES;

/// The schema URN of an error body.
pub const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The keyword that tells a client's code what was wrong with a 400 or 409 (RFC 7644 table 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScimType {
    /// The filter is malformed, or asks for what is not served.
    InvalidFilter,
    /// The answer would be larger than the provider gives.
    TooMany,
    /// Another resource has this value.
    Uniqueness,
    /// The attribute may not be changed like that.
    Mutability,
    /// The body is not what the operation takes.
    InvalidSyntax,
    /// The PATCH path is malformed or names no attribute.
    InvalidPath,
    /// The PATCH path selects nothing to work on.
    NoTarget,
    /// A value has the wrong type, or a required one is missing.
    InvalidValue,
    /// The cursor is not one of this query (RFC 9865).
    InvalidCursor,
    /// The cursor is too old (RFC 9865).
    ExpiredCursor,
    /// The `count` is not the one that the cursor was made for (RFC 9865).
    InvalidCount,
}

impl ScimType {
    /// The spelling on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }
}

/// What a trace calls a refusal: by a keyword of the standard, or by a code of ours where the standard has none.
enum Kind {
    Standard(ScimType),
    Ours(&'static str),
}

/// Why a SCIM request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScimError {
    /// The body is not JSON.
    #[error("the body is not valid json: line {line}, column {column}")]
    InvalidJson {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// The body is JSON but no object.
    #[error("the body is not a json object")]
    NotAnObject,
    /// The body nests deeper than [`crate::limits::MAX_JSON_DEPTH`].
    #[error("the body nests deeper than {max} levels")]
    TooDeep {
        /// The bound.
        max: usize,
    },
    /// The body holds more values than [`crate::limits::MAX_JSON_VALUES`].
    #[error("the body holds more than {max} values")]
    TooManyJsonValues {
        /// The bound.
        max: usize,
    },
    /// A string of the body is longer than [`crate::limits::MAX_JSON_STRING_BYTES`].
    #[error("a string of the body is longer than {max} bytes")]
    StringTooLong {
        /// The bound, in bytes.
        max: usize,
    },
    /// A string or key of the body holds U+0000, which no database takes.
    #[error("the character u+0000 is not accepted")]
    NulCharacter,
    /// An object names one attribute twice, so that it has no one meaning.
    #[error("`{key}` is given twice")]
    DuplicateKey {
        /// The key as sent.
        key: String,
    },
    /// A required attribute is missing or empty.
    #[error("`{attribute}` is required")]
    MissingRequired {
        /// Canonical name.
        attribute: &'static str,
    },
    /// A value is not of the attribute's type.
    #[error("`{attribute}` must be {expected}")]
    InvalidType {
        /// Canonical name.
        attribute: String,
        /// What is taken, with its article.
        expected: &'static str,
    },
    /// A string attribute is longer than its bound.
    #[error("`{attribute}` is longer than {max} bytes")]
    TooLong {
        /// Canonical name.
        attribute: String,
        /// The bound, in bytes.
        max: usize,
    },
    /// A multi-valued attribute has more values than [`crate::limits::MAX_VALUES_PER_ATTRIBUTE`].
    #[error("`{attribute}` has more than {max} values")]
    TooManyValues {
        /// Canonical name.
        attribute: String,
        /// The bound.
        max: usize,
    },
    /// An operation names a read-only or immutable attribute by its path.
    #[error("`{attribute}` cannot be changed by a client")]
    ReadOnly {
        /// Canonical name.
        attribute: String,
    },
    /// An operation removes a required attribute.
    #[error("`{attribute}` is required and cannot be removed")]
    RemovesRequired {
        /// Canonical name.
        attribute: &'static str,
    },
    /// The body of a PATCH has not the schema of a PATCH.
    #[error("`schemas` must contain `urn:ietf:params:scim:api:messages:2.0:PatchOp`")]
    NotPatch,
    /// `Operations` is missing, empty, or no list of objects.
    #[error("`Operations` must be a non-empty list of operations")]
    NoOperations,
    /// More operations than [`crate::limits::MAX_OPERATIONS`].
    #[error("more than {max} operations")]
    TooManyOperations {
        /// The bound.
        max: usize,
    },
    /// The body of a bulk request has not its schema.
    #[error("`schemas` must contain `urn:ietf:params:scim:api:messages:2.0:BulkRequest`")]
    NotBulk,
    /// An operation of a bulk request lacks something or has it in a wrong form.
    #[error("`{part}` of an operation is missing or not valid")]
    InvalidBulkOperation {
        /// Which part.
        part: &'static str,
    },
    /// More operations than [`crate::limits::MAX_BULK_OPERATIONS`].
    #[error("more than `maxOperations`, {max}, operations in one request")]
    BulkTooLarge {
        /// The bound.
        max: usize,
    },
    /// A reference to nothing that the request makes, or to what could not be made.
    #[error("`bulkId:{id}` stands for nothing that this request made")]
    UnknownBulkId {
        /// The name, cut.
        id: String,
    },
    /// An operation of a bulk request whose path refers to what only comes after it.
    #[error("operations refer to each other in a circle by their paths, so that none can be first")]
    CircularBulk,
    /// An operation is none of add, replace, remove.
    #[error("`op` must be `add`, `replace` or `remove`")]
    UnknownOp,
    /// An add or replace has no value, or a path-less one no object.
    #[error("an `add` or `replace` needs a `value`, and an object where there is no `path`")]
    MissingValue,
    /// The path does not follow the grammar.
    #[error("`{path}` is not a valid path")]
    InvalidPath {
        /// The path as sent, cut.
        path: String,
    },
    /// The path names an attribute that the resource type does not have.
    #[error("`{path}` names no attribute of this resource type")]
    UnknownAttribute {
        /// The path as sent, cut.
        path: String,
    },
    /// The filter of the path matches no value, and no value can be made from it.
    #[error("`{path}` matches no value")]
    NoTarget {
        /// The path, cut.
        path: String,
    },
    /// A path without a filter would set one sub-attribute of several values.
    #[error("`{path}` means several values: a filter must choose")]
    AmbiguousTarget {
        /// The path, cut.
        path: String,
    },
    /// A remove without a path.
    #[error("a `remove` needs a `path`")]
    RemoveWithoutPath,
    /// A path into `members` that cannot be carried out without reading them.
    #[error(
        "paths into `members` are served as `members`, `members[value eq \"…\"]`, joined by `or`, \
         `members[type eq \"…\"]`, and both joined by `and`"
    )]
    UnsupportedMemberPath,
    /// A member without an id.
    #[error("each of `members` must have a `value`")]
    InvalidMember,
    /// More members than [`crate::limits::MAX_MEMBERS_PER_CALL`].
    #[error("more than {max} members in one call")]
    TooManyMembers {
        /// The bound.
        max: usize,
    },
    /// The filter does not follow the grammar.
    #[error("the filter is not valid at byte {at}: expected {expected}")]
    InvalidFilter {
        /// Offset in bytes from the start of the filter.
        at: usize,
        /// What would have been valid.
        expected: &'static str,
    },
    /// The filter is longer, deeper or larger than its bounds.
    #[error("the filter is over a limit: {limit}")]
    FilterTooLarge {
        /// Which bound.
        limit: &'static str,
    },
    /// The filter compares an attribute in a way that its type does not have.
    #[error("the filter cannot compare `{attribute}` like that")]
    FilterType {
        /// The path, cut.
        attribute: String,
    },
    /// The filter names an attribute that the resource type does not have.
    #[error("the filter names `{attribute}`, which this resource type does not have")]
    UnknownFilterAttribute {
        /// The path, cut.
        attribute: String,
    },
    /// The filter is well-formed but not one that is served.
    #[error("this filter is not served: {served}")]
    UnsupportedFilter {
        /// What is served.
        served: &'static str,
    },
    /// A search by body has its filter in the URL, where it is not looked for.
    #[error("the `filter` of a search by body belongs into the body, and it is in the url")]
    FilterInUrl,
    /// A query parameter has no valid value.
    #[error("the parameter `{name}` is not valid")]
    InvalidParameter {
        /// The name.
        name: &'static str,
    },
    /// Operations, terms and values that are each within their bounds and together are not.
    #[error(
        "the request compares more than {max_bytes} bytes with what is stored: split it, or use shorter filters"
    )]
    TooMuchWork {
        /// The bound, in bytes.
        max_bytes: usize,
    },
    /// More parameters than are read: one that is not read might be the filter.
    #[error("more than {max} parameters")]
    TooManyParameters {
        /// The bound.
        max: usize,
    },
    /// A parameter whose name goes on with a path or with other parameters, which might be the filter.
    #[error("the name of a parameter has `/` or `?` in it: the url is not put together as it should be")]
    GluedParameter,
    /// `attributes` and `excludedAttributes` together.
    #[error("`attributes` and `excludedAttributes` exclude each other")]
    ConflictingProjection,
    /// `sortBy` names nothing to sort by.
    #[error("`{attribute}` is nothing to sort by: name an attribute, or a sub-attribute of a complex one")]
    InvalidSort {
        /// The name as sent, cut.
        attribute: String,
    },
    /// A cursor that this provider did not make for this query (RFC 9865).
    #[error("the cursor belongs to another query; begin again with an empty one")]
    InvalidCursor,
    /// A cursor that is too old (RFC 9865).
    #[error("the cursor is older than {max_s} s; begin again with an empty one")]
    ExpiredCursor {
        /// How long a cursor lives, in seconds.
        max_s: i64,
    },
    /// A `count` other than the one that the cursor was made for (RFC 9865).
    #[error("`count` must stay the same from one cursor to the next")]
    InvalidCount,
    /// A query that no index serves met a bound before it had its answer.
    #[error("this query would read more than {bound}: use {served}, or page with a cursor")]
    SearchTooLarge {
        /// Which bound.
        bound: String,
        /// What an index serves.
        served: &'static str,
    },
    /// A discovery endpoint was asked with a filter (RFC 7644 section 4).
    #[error("discovery takes no filter")]
    FilteredDiscovery,
    /// A member is unknown in this directory (found by the service).
    #[error("`{id}` in `members` is unknown")]
    UnknownMember {
        /// The id as sent, cut.
        id: String,
    },
    /// Another resource of the directory has the value (found by the service).
    #[error("another resource has this `{attribute}`")]
    Uniqueness {
        /// Canonical name.
        attribute: &'static str,
    },
    /// The answer would be larger than what is given (found by the service).
    #[error("too many results: narrow the filter")]
    TooMany,
    /// The bearer token is missing or not valid (found by the HTTP layer).
    #[error("the bearer token is missing or not valid")]
    Unauthorized,
    /// The caller may not do this (found by the service).
    #[error("not permitted")]
    Forbidden,
    /// There is no such resource or endpoint.
    #[error("not found")]
    NotFound,
    /// The endpoint has no such method.
    #[error("the method is not served here")]
    MethodNotAllowed,
    /// The resource is not in the version that the client named.
    #[error("the resource has another version")]
    PreconditionFailed,
    /// The body has more bytes than the HTTP layer takes.
    #[error("the body is larger than {max_bytes} bytes")]
    PayloadTooLarge {
        /// The bound.
        max_bytes: usize,
    },
    /// The content type is neither SCIM nor JSON.
    #[error("the content type must be application/scim+json or application/json")]
    UnsupportedMediaType,
    /// Too many failed attempts or calls.
    #[error("too many requests")]
    TooManyRequests,
    /// Something that the standard has and this provider does not.
    #[error("not implemented")]
    NotImplemented,
    /// The provider cannot answer now.
    #[error("temporarily unavailable")]
    Unavailable,
}

impl ScimError {
    /// The HTTP status of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::Forbidden | Self::FilteredDiscovery => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Uniqueness { .. } | Self::UnknownBulkId { .. } | Self::CircularBulk => 409,
            Self::PreconditionFailed => 412,
            Self::PayloadTooLarge { .. } | Self::BulkTooLarge { .. } => 413,
            Self::UnsupportedMediaType => 415,
            Self::TooManyRequests => 429,
            Self::NotImplemented => 501,
            Self::Unavailable => 503,
            _ => 400,
        }
    }

    /// The `scimType` of the answer, where the standard has one.
    #[must_use]
    pub const fn scim_type(&self) -> Option<ScimType> {
        match self.kind() {
            Kind::Standard(scim_type) => Some(scim_type),
            Kind::Ours(_) => None,
        }
    }

    /// The stable code for traces: the keyword, else what kind of refusal it is.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.kind() {
            Kind::Standard(scim_type) => scim_type.as_str(),
            Kind::Ours(code) => code,
        }
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::InvalidJson { .. }
            | Self::NotAnObject
            | Self::TooDeep { .. }
            | Self::TooManyJsonValues { .. }
            | Self::DuplicateKey { .. }
            | Self::NotPatch
            | Self::NoOperations
            | Self::TooManyOperations { .. }
            | Self::NotBulk
            | Self::InvalidBulkOperation { .. }
            | Self::UnknownOp => Kind::Standard(ScimType::InvalidSyntax),
            Self::StringTooLong { .. }
            | Self::NulCharacter
            | Self::MissingRequired { .. }
            | Self::InvalidType { .. }
            | Self::TooLong { .. }
            | Self::TooManyValues { .. }
            | Self::MissingValue
            | Self::InvalidMember
            | Self::TooManyMembers { .. }
            | Self::InvalidParameter { .. }
            | Self::TooManyParameters { .. }
            | Self::GluedParameter
            | Self::ConflictingProjection
            | Self::InvalidSort { .. }
            | Self::UnknownMember { .. } => Kind::Standard(ScimType::InvalidValue),
            Self::ReadOnly { .. } | Self::RemovesRequired { .. } => Kind::Standard(ScimType::Mutability),
            Self::InvalidPath { .. } | Self::UnknownAttribute { .. } | Self::UnsupportedMemberPath => {
                Kind::Standard(ScimType::InvalidPath)
            }
            Self::NoTarget { .. } | Self::AmbiguousTarget { .. } | Self::RemoveWithoutPath => {
                Kind::Standard(ScimType::NoTarget)
            }
            Self::InvalidFilter { .. }
            | Self::FilterTooLarge { .. }
            | Self::FilterType { .. }
            | Self::UnknownFilterAttribute { .. }
            | Self::UnsupportedFilter { .. }
            | Self::FilterInUrl => Kind::Standard(ScimType::InvalidFilter),
            Self::Uniqueness { .. } => Kind::Standard(ScimType::Uniqueness),
            Self::TooMany | Self::SearchTooLarge { .. } | Self::TooMuchWork { .. } => {
                Kind::Standard(ScimType::TooMany)
            }
            Self::InvalidCursor => Kind::Standard(ScimType::InvalidCursor),
            Self::ExpiredCursor { .. } => Kind::Standard(ScimType::ExpiredCursor),
            Self::InvalidCount => Kind::Standard(ScimType::InvalidCount),
            Self::Unauthorized => Kind::Ours("unauthenticated"),
            Self::Forbidden | Self::FilteredDiscovery => Kind::Ours("forbidden"),
            Self::NotFound => Kind::Ours("not_found"),
            Self::MethodNotAllowed => Kind::Ours("method_not_allowed"),
            Self::PayloadTooLarge { .. } | Self::BulkTooLarge { .. } => Kind::Ours("body_too_large"),
            Self::UnknownBulkId { .. } | Self::CircularBulk => Kind::Ours("unresolved_bulk_id"),
            Self::PreconditionFailed => Kind::Ours("other_version"),
            Self::UnsupportedMediaType => Kind::Ours("unsupported_media_type"),
            Self::TooManyRequests => Kind::Ours("too_many_attempts"),
            Self::NotImplemented => Kind::Ours("not_implemented"),
            Self::Unavailable => Kind::Ours("unavailable"),
        }
    }

    /// The text for the client.
    #[must_use]
    pub fn detail(&self) -> String {
        self.to_string()
    }
}

/// What an error or a note repeats of the client's input: cut to [`MAX_ECHO_BYTES`], without control characters.
pub(crate) fn echo(input: &str) -> String {
    let mut text = String::new();
    for character in input.chars().filter(|c| !c.is_control()) {
        if text.len() + character.len_utf8() > MAX_ECHO_BYTES {
            text.push('…');
            break;
        }
        text.push(character);
    }
    text
}
