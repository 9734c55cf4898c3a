//! Users and their authenticators.
//!
//! A user is a bare link between the memberships that one person joined. It ends with its last membership.

use serde::{Deserialize, Serialize};

use crate::id::UserId;
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

/// What a user proves themselves with locally (NIST SP 800-63B).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticatorKind {
    /// A password, stored as an Argon2id hash.
    Password,
}

impl AuthenticatorKind {
    /// The text in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
        }
    }
}
