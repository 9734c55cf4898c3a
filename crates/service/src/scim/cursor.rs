//! Cursors (RFC 9865): where a list goes on, sealed, so that nobody reads anything out of one or makes one up.
//!
//! A cursor gives nothing: each page is asked for with the directory's token. It is bound to the directory and to the
//! whole query, and it expires, so that what a client kept does not silently mean something else.

use portcullis_domain::Timestamp;
use portcullis_domain::id::DirectoryId;
use portcullis_scim::limits::MAX_CURSOR_AGE_S;
use portcullis_scim::{ListQuery, ResourceType, ScimError};
use serde::{Deserialize, Serialize};

use super::Position;
use crate::{Portcullis, ServiceError};

/// The longest cursor that is looked at, in bytes: several times the longest that is made.
const MAX_CURSOR_BYTES: usize = 4096;

/// Of which resources a list is that goes on by cursors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorWhose {
    /// Of one kind.
    One(ResourceType),
    /// Of both kinds, and it goes on among these.
    Both(ResourceType),
}

/// What a cursor is bound to.
#[derive(Debug, Clone, Copy)]
pub struct CursorOf<'q> {
    /// The directory.
    pub directory: DirectoryId,
    /// Of which resources the list is.
    pub whose: CursorWhose,
    /// The query.
    pub query: &'q ListQuery,
}

impl CursorOf<'_> {
    fn place(self) -> String {
        let (whose, kind) = match self.whose {
            CursorWhose::One(kind) => ("", kind),
            CursorWhose::Both(kind) => ("both|", kind),
        };
        format!("scim cursor|{}|{whose}{}|{}", self.directory, kind.name(), self.query.binding())
    }
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    position: Position,
    count: usize,
    made_at: i64,
}

/// The cursor of a position.
///
/// # Errors
/// [`ServiceError::Fault`] if it cannot be sealed.
pub fn seal_cursor(
    portcullis: &Portcullis,
    of: CursorOf<'_>,
    position: Position,
    count: usize,
) -> Result<String, ServiceError> {
    let mut moment = portcullis.moment();
    let kept = Kept { position, count, made_at: moment.now.micros() };
    let plain = serde_json::to_vec(&kept).map_err(|e| ServiceError::fault("a cursor", e))?;
    let sealed = portcullis.around().sealing.seal_apart(&mut moment.random, &of.place(), &plain);
    sealed.map_err(|e| ServiceError::fault("a cursor", e))
}

/// The position of a cursor, and how many resources its pages show.
///
/// # Errors
/// [`ScimError::InvalidCursor`] for anything that was not made for this query, [`ScimError::ExpiredCursor`],
/// [`ScimError::InvalidCount`].
pub fn open_cursor(
    portcullis: &Portcullis,
    of: CursorOf<'_>,
    cursor: &str,
) -> Result<(Position, usize), ServiceError> {
    if cursor.len() > MAX_CURSOR_BYTES {
        return Err(ScimError::InvalidCursor.into());
    }
    let plain =
        portcullis.around().sealing.open_apart(&of.place(), cursor).map_err(|_| ScimError::InvalidCursor)?;
    let kept: Kept = serde_json::from_slice(&plain).map_err(|_| ScimError::InvalidCursor)?;
    let age_s = portcullis.now().seconds_since(Timestamp::from_micros(kept.made_at));
    if age_s > MAX_CURSOR_AGE_S {
        return Err(ScimError::ExpiredCursor { max_s: MAX_CURSOR_AGE_S }.into());
    }
    if of.query.count.is_some_and(|count| count != kept.count) {
        return Err(ScimError::InvalidCount.into());
    }
    Ok((kept.position, kept.count))
}
