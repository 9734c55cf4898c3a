//! Users and their authenticators.
//!
//! A user is a bare link between the memberships that one person joined. It ends with its last membership.

use crate::id::UserId;
use crate::text::texts;
use crate::time::Timestamp;

/// A human across organizations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// When the user came to be.
    pub created_at: Timestamp,
    /// When the last membership ended; the authenticators ended with it.
    pub ended_at: Option<Timestamp>,
}

impl User {
    /// A new one.
    #[must_use]
    pub const fn new(id: UserId, now: Timestamp) -> Self {
        Self { id, created_at: now, ended_at: None }
    }
}

texts! {
    /// What a user proves themselves with locally (NIST SP 800-63B).
    pub enum AuthenticatorKind {
        /// A password, stored as an Argon2id hash.
        Password = "password",
    }
}
