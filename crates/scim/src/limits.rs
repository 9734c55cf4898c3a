//! The bounds of everything that a SCIM client can make large.
//!
//! They stand on one page so that an operator and a reviewer see at once what one call can cost. The number of
//! bytes of a body is bounded by the HTTP layer; what those bytes may mean is bounded here.

/// Levels of nesting in a JSON body. Real bodies have five; a bound keeps recursion and storage honest.
pub const MAX_JSON_DEPTH: usize = 32;

/// JSON values (of any type, keys not counted) in one body: room for a call that names
/// [`MAX_MEMBERS_PER_CALL`] members with four sub-attributes each, and for nothing absurd.
pub const MAX_JSON_VALUES: usize = 1_000_000;

/// Bytes of any one string in a body, wherever it stands: as many as a whole body about a person may have. What is kept has a
/// bound of its own; a photo in an attribute that nobody here keeps must not keep its person out.
pub const MAX_JSON_STRING_BYTES: usize = 1_048_576;

/// Bytes of a photo or certificate, which travel inline and are the largest that is kept.
pub const MAX_INLINE_BYTES: usize = 65_536;

/// Bytes of an attribute that is looked up by value (`userName`, `externalId`, `displayName`, `emails.value`, ids):
/// below what a database index takes for one entry.
pub const MAX_INDEXED_BYTES: usize = 1_024;

/// Bytes of an ordinary string attribute.
pub const MAX_TEXT_BYTES: usize = 8_192;

/// Values of one multi-valued attribute of a user. Nobody has more addresses or entitlements than that.
pub const MAX_VALUES_PER_ATTRIBUTE: usize = 500;

/// Custom extension objects kept for one user.
pub const MAX_CUSTOM_EXTENSIONS: usize = 16;

/// Bytes of one custom extension, its URN and its compact JSON together: it is kept as sent, so its size is bounded as a whole.
pub const MAX_CUSTOM_EXTENSION_BYTES: usize = 65_536;

/// Custom extensions that discovery tells of in one directory: twice as many as one user may have.
pub const MAX_SEEN_EXTENSIONS: usize = 2 * MAX_CUSTOM_EXTENSIONS;

/// Names of attributes and sub-attributes that discovery tells of in them, all together: several times what a directory
/// is known to send.
pub const MAX_SEEN_NAMES: usize = 512;

/// Operations of one PATCH. Some clients send one operation for each member of a group.
pub const MAX_OPERATIONS: usize = 10_000;

/// Operations of one PATCH of a user: each may compare all values of an attribute, and nobody has that many to change.
pub const MAX_USER_OPERATIONS: usize = 1_000;

/// Bytes that one body about a user may have us compare with what is stored, all its operations together: it is carried
/// out where everybody's writes wait. Five hundred addresses added one by one cost little more than half of it.
pub const MAX_EDIT_WORK_BYTES: usize = 8 * 1_048_576;

/// Operations of one bulk request, told to clients as `bulk.maxOperations`. There are clients that cut the operations of
/// one PATCH by it, too.
pub const MAX_BULK_OPERATIONS: usize = 1_000;

/// Bytes of a bulk request, told to clients as `bulk.maxPayloadSize`: as many people as it may have operations, with
/// twice the attributes that providers send.
pub const MAX_BULK_BYTES: usize = 2 * 1_048_576;

/// Members named by one call, all operations together.
pub const MAX_MEMBERS_PER_CALL: usize = 100_000;

/// Members from which on a list of them is kept as one text: below, a JSON value for each costs nothing.
pub const MIN_SET_ASIDE: usize = 100;

/// Bytes of a filter.
pub const MAX_FILTER_BYTES: usize = 8_192;

/// Levels of parentheses and brackets in a filter: the parser recurses once for each.
pub const MAX_FILTER_DEPTH: usize = 16;

/// Comparisons in a filter.
pub const MAX_FILTER_TERMS: usize = 64;

/// Bytes of a PATCH path: a value path carries a filter, so it is bounded like one.
pub const MAX_PATH_BYTES: usize = MAX_FILTER_BYTES;

/// Attribute names in `attributes` or `excludedAttributes`.
pub const MAX_PROJECTED_ATTRIBUTES: usize = 100;

/// Resources on one page of a list, told to clients as `filter.maxResults`.
pub const MAX_RESULTS: usize = 500;

/// Resources on one page when the client names no `count`.
pub const DEFAULT_RESULTS: usize = 100;

/// Dialect notes kept for one call: enough to explain it, bounded because a client decides how many arise.
pub const MAX_NOTES: usize = 64;

/// Bytes of the client's input that an error or a note repeats.
pub const MAX_ECHO_BYTES: usize = 128;

/// Bytes of a value by which resources are ordered; what is the same so far is ordered by age. It bounds the memory of
/// a sorted list.
pub const MAX_SORT_KEY_BYTES: usize = 128;

/// Seconds for which a cursor may be used, told to clients as `pagination.cursorTimeout`.
pub const MAX_CURSOR_AGE_S: i64 = 3_600;
