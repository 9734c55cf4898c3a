//! E-mail domains of an organization.
//!
//! Routing by e-mail and first links use proven domains only, because anybody can type an address.

use crate::id::{DomainId, OrganizationId};
use crate::text::texts;
use crate::time::Timestamp;

texts! {
    /// Whether the organization has shown that the domain is its own.
    pub enum DomainState {
        /// Waits for the DNS record.
        Pending = "pending",
        /// Shown by a DNS TXT record, or vouched for by the root token.
        Proven = "proven",
    }
}

/// An e-mail domain of one organization. A proven domain belongs to one organization at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its id.
    pub id: DomainId,
    /// The organization that claims it.
    pub organization: OrganizationId,
    /// The normalised name ([`crate::text::domain_key`]).
    pub domain: String,
    /// Whether it is proven.
    pub state: DomainState,
    /// The value that the TXT record must hold.
    pub txt_value: String,
    /// When it was proven.
    pub proven_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
}

impl Domain {
    /// Where the TXT record is looked for.
    #[must_use]
    pub fn txt_name(&self) -> String {
        format!("_portcullis.{}", self.domain)
    }
}
