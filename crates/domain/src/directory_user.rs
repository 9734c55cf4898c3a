//! People as a directory told them, kept as they were said.

use std::collections::BTreeSet;

use crate::id::{DirectoryId, DirectoryUserId, MembershipId, OrganizationId};
use crate::role::Rank;
use crate::text::email_key;
use crate::time::Timestamp;
use crate::tombstone::Identifier;

/// A person as a directory told them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryUser {
    /// Its id; the `id` of the SCIM User.
    pub id: DirectoryUserId,
    /// The organization.
    pub organization: OrganizationId,
    /// The directory that said it.
    pub directory: DirectoryId,
    /// The membership that these facts are about.
    pub membership: MembershipId,
    /// The directory's own key, if it gave one.
    pub external_id: Option<String>,
    /// The name the directory signs them in with, as written.
    pub user_name: String,
    /// The display name, as written; empty if none was given.
    pub display_name: String,
    /// E-mail keys, the primary one first. Addresses that are none are kept in the attributes only.
    pub email_keys: Vec<String>,
    /// When the directory said inactive; `None` while it says active.
    pub inactive_at: Option<Timestamp>,
    /// When a backup was put back, if the directory has not spoken of them since; they are suspended meanwhile.
    pub unconfirmed_at: Option<Timestamp>,
    /// Every attribute, as JSON text, as it was said.
    pub attributes: String,
    /// How far it is believed what they are called: the rank, then, of the lowest who could have said any of it.
    pub believed_up_to: Rank,
    /// When the directory first told of them.
    pub created_at: Timestamp,
    /// When the directory last changed them.
    pub updated_at: Timestamp,
}

impl DirectoryUser {
    /// Everything that the directory calls them.
    #[must_use]
    pub fn identifiers(&self) -> BTreeSet<Identifier> {
        self.called(self.email_keys.len())
    }

    /// What the directory identifies them by: the user name, its own key and the address that stands for them. Their other
    /// addresses are often theirs to write, and identify nobody.
    #[must_use]
    pub fn names(&self) -> Vec<Identifier> {
        self.called(1).into_iter().collect()
    }

    /// Their other addresses.
    #[must_use]
    pub fn other_addresses(&self) -> Vec<Identifier> {
        if self.email_keys.len() < 2 {
            return Vec::new();
        }
        self.identifiers().difference(&self.called(1)).cloned().collect()
    }

    /// Their `userName`; none where claims tell of them, which call what they say by its own id.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        Some(self.user_name.as_str()).filter(|name| *name != self.id.to_string())
    }

    /// What they are called by, with so many of their addresses. Many providers sign people in by an address that stands
    /// in `userName` only, so one that is an address counts as one.
    fn called(&self, addresses: usize) -> BTreeSet<Identifier> {
        let mut all: BTreeSet<Identifier> = self.name().map(Identifier::user_name).into_iter().collect();
        all.extend(email_key(&self.user_name).ok().map(|key| Identifier::email(&key)));
        all.extend(self.email_keys.iter().take(addresses).map(|key| Identifier::email(key)));
        all.extend(self.external_id.iter().map(|id| Identifier::external_id(self.directory, id)));
        all
    }
}

/// How a directory's people are looked up: what an index of every store answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryUserQuery {
    /// By `userName`, not case exact.
    UserName(String),
    /// By `externalId`, exact.
    ExternalId(String),
    /// By `id`.
    Id(DirectoryUserId),
    /// By `displayName`, not case exact.
    DisplayName(String),
    /// By an e-mail address, as a key.
    Email(String),
    /// By how `userName` begins, not case exact.
    UserNamePrefix(String),
    /// By how `externalId` begins, exact.
    ExternalIdPrefix(String),
    /// By how `displayName` begins, not case exact.
    DisplayNamePrefix(String),
}
