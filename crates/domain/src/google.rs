//! Google Workspace as the source of a directory: which customer is asked, and in whose name.
//!
//! Here apart from the directory, because only this kind of directory is asked; the others speak by themselves.

use crate::id::{DirectoryId, OrganizationId};
use crate::time::Timestamp;

/// How Google calls the customer that the administrator in whose name is asked belongs to.
pub const MY_CUSTOMER: &str = "my_customer";

/// Where a directory of Google Workspace gets its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleSource {
    /// The directory.
    pub directory: DirectoryId,
    /// Its organization.
    pub organization: OrganizationId,
    /// The customer's id at Google, or [`MY_CUSTOMER`].
    pub customer: String,
    /// The one e-mail domain whose people and groups are asked for; `None` asks for all of the customer's.
    pub domain: Option<String>,
    /// The administrator in whose name is asked (domain-wide delegation).
    pub delegated_admin: String,
    /// The service account's address: who signs.
    pub client_email: String,
    /// The service account's number: what the administrator grants the scopes to.
    pub client_id: String,
    /// The id of the service account's key.
    pub key_id: String,
    /// The key, sealed for this directory.
    pub key_sealed: String,
    /// When this was last said.
    pub updated_at: Timestamp,
}
