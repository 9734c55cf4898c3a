//! What a use case does not find, or finds in use: a closed list of nouns, so that code can match on one and not on words.

use std::fmt::{Display, Formatter, Result};

/// A noun of the product, as refusals say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is its noun; its text is in `as_str`")]
pub enum Noun {
    Agent,
    AuditEvent,
    Certificate,
    Connection,
    Directory,
    Domain,
    Environment,
    Grant,
    Group,
    Hold,
    Invitation,
    Key,
    KeyThatSigns,
    LastCertificate,
    Mapping,
    Member,
    Organization,
    Receipt,
    Review,
    Role,
    ServiceKey,
    Session,
    Team,
    Token,
    Trace,
    User,
}

impl Noun {
    /// The text in a sentence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::AuditEvent => "audit event",
            Self::Certificate => "certificate",
            Self::Connection => "connection",
            Self::Directory => "directory",
            Self::Domain => "domain",
            Self::Environment => "environment",
            Self::Grant => "grant",
            Self::Group => "group",
            Self::Hold => "hold",
            Self::Invitation => "invitation",
            Self::Key => "key",
            Self::KeyThatSigns => "key that signs",
            Self::LastCertificate => "only certificate that counts",
            Self::Mapping => "mapping",
            Self::Member => "member",
            Self::Organization => "organization",
            Self::Receipt => "receipt",
            Self::Review => "review",
            Self::Role => "role",
            Self::ServiceKey => "service key",
            Self::Session => "session",
            Self::Team => "team",
            Self::Token => "token",
            Self::Trace => "trace",
            Self::User => "user",
        }
    }
}

impl Display for Noun {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        to.write_str(self.as_str())
    }
}
