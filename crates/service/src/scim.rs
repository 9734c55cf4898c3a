//! SCIM's words turned into what a directory says, and what is known turned back (RFC 7643, RFC 7644).
//!
//! Thin on purpose: what is allowed stands in the `scim` crate, what follows stands in [`crate::provisioning`]. Bodies
//! are parsed before a transaction begins; only a PATCH of a person is applied inside it, because it needs the stored
//! one.

mod cursor;
mod extension;
mod group;
pub mod list;
pub mod room;
pub mod totals;
mod user;
mod version;

pub use cursor::{CursorOf, CursorWhose, open_cursor, seal_cursor};
pub use extension::MAX_WITNESSES;
pub use group::{
    GroupDraft, GroupShown, change_group, create_group, delete_group, group_changes, group_draft,
    represented_group,
};
pub use list::{Ask, Listed, Page, Position};
pub use user::{
    UserShown, answered_user, create_user, delete_user, patch_user, person_said, replace_user,
    represented_user, stored_user,
};

use portcullis_domain::id::{DirectoryGroupId, DirectoryId, DirectoryUserId};
use portcullis_scim::ScimError;
use portcullis_store::row::bound;
use url::Url;

/// The most members that one answer shows: several times the largest groups that are known of.
pub const MAX_MEMBERS_SHOWN: usize = 250_000;

/// The most groups of one person that an answer shows: ten times what anybody is known to have. Somebody in more is shown
/// without `groups` and without a version, and not with a part of them, which would read as if they had left the rest.
pub const MAX_GROUPS_SHOWN: usize = 10_000;

/// Whether what belongs to a resource (groups of a person, members of a group) is read with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belongings {
    /// It is.
    Read,
    /// It is not, because the answer does not show it.
    LeftOut,
}

/// Which part of a list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many resources come before it.
    pub skip: u64,
    /// The most resources that it shows.
    pub count: usize,
}

impl Window {
    /// The same as numbers of a statement.
    fn bounds(self) -> (i64, i64) {
        (bound(self.count), self.skipped())
    }

    /// How many come before it.
    fn skipped(self) -> i64 {
        i64::try_from(self.skip).unwrap_or(i64::MAX)
    }

    /// What of a whole list it shows.
    fn of<T>(self, all: Vec<T>) -> Vec<T> {
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
        all.into_iter().skip(skip).take(self.count).collect()
    }
}

/// The base URL of a directory's SCIM endpoints, without a slash at its end.
#[must_use]
pub fn base_url(public_url: &Url, directory: DirectoryId) -> String {
    format!("{}/scim/v2/{directory}", public_url.as_str().trim_end_matches('/'))
}

/// Who a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberId {
    /// A person.
    Person(DirectoryUserId),
    /// A group.
    Group(DirectoryGroupId),
}

/// The id of a member who is to be added.
///
/// # Errors
/// [`ScimError::UnknownMember`] for what cannot be an id of ours.
pub fn member_id(text: &str) -> Result<MemberId, ScimError> {
    let person = text.parse().map(MemberId::Person);
    person
        .or_else(|_| text.parse().map(MemberId::Group))
        .map_err(|_| ScimError::UnknownMember { id: shortened(text) })
}

/// What an answer repeats of an id that a client sent.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(portcullis_scim::limits::MAX_ECHO_BYTES).collect()
}
