//! SCIM 2.0: schemas, filter, PATCH, list responses, IdP dialects (RFC 7643, RFC 7644).
//!
//! Bytes and JSON in, decisions out: no clock, no network, no database, and no other crate of the workspace. The
//! parser is liberal in spelling, because real identity providers spell in many ways, and strict in authority: what
//! a client may not write it cannot write, and what could mean two things is refused.
//!
//! | Module | What |
//! |---|---|
//! | [`user`], [`group`] | a resource as a client said it, and its representation |
//! | [`patch`] | operations on a user, and as changes of a group that need no member list |
//! | [`bulk`] | several operations in one body |
//! | [`filter`], [`sort`], [`query`], [`projection`] | what a list asks for, and its answer |
//! | [`fold`] | the form in which texts are compared whose case does not matter |
//! | [`precondition`] | the versions that a client names |
//! | [`facet`] | which values of a user a mapping can name |
//! | [`schema`], [`seen`], [`discovery`] | what attributes there are, defined or seen, and what clients are told |
//! | [`error`], [`note`], [`limits`], [`work`] | refusals, dialects, bounds |

pub mod bulk;
pub mod discovery;
pub mod error;
pub mod facet;
pub mod filter;
pub mod fold;
pub mod group;
pub mod limits;
pub mod members;
pub mod note;
pub mod patch;
pub mod path;
pub mod precondition;
pub mod projection;
pub mod query;
pub mod schema;
pub mod seen;
pub mod sort;
pub mod user;
pub mod work;

mod canonical;
mod custom;
mod definitions;
mod edit;
mod json;
mod target;
mod urn;
mod values;

pub use bulk::{Bulk, BulkMethod, BulkOperation, BulkOutcome, Turn, parse_bulk};
pub use error::{ScimError, ScimType};
pub use filter::{AskedMembers, Filter, Lookup, Narrowed};
pub use group::{Group, MemberOfGroup, parse_group, parse_group_noting, render_group};
pub use members::{MemberRef, Members};
pub use note::{DialectKind, DialectNote, Notes};
pub use patch::{
    GroupChange, Patch, parse_group_patch, parse_group_patch_noting, parse_patch, parse_patch_noting,
};
pub use precondition::Preconditions;
pub use projection::Projection;
pub use query::{ListQuery, PageWish, render_cursor_list, render_list};
pub use schema::ResourceType;
pub use seen::SeenExtensions;
pub use sort::{SortBy, SortKey, SortOrder};
pub use user::{Email, GroupOfUser, Meta, User, parse_user, parse_user_noting, render_user};
pub use work::Work;

/// The media type of SCIM, for requests and answers. `application/json` is accepted too.
pub const MEDIA_TYPE: &str = "application/scim+json";
