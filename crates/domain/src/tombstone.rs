//! Tombstones: every identifier that a leaver ever had, so that just-in-time sign-in cannot bring them back (I4).

use crate::text::texts;

texts! {
    /// What kind of identifier a tombstone keeps.
    pub enum IdentifierKind {
        /// A `userName`, as [`crate::text::name_key`].
        UserName = "user_name",
        /// An e-mail address, as [`crate::text::email_key`].
        Email = "email",
        /// An `externalId`, prefixed with its directory's id.
        ExternalId = "external_id",
        /// A provider's subject, prefixed with its connection's id.
        Subject = "subject",
        /// The same at whichever connection to that provider: the subject begins with the issuer.
        IssuerSubject = "issuer_subject",
    }
}

/// One identifier of a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// Its kind.
    pub kind: IdentifierKind,
    /// Its normalised value.
    pub value: String,
}

impl Identifier {
    /// A user name.
    #[must_use]
    pub fn user_name(text: &str) -> Self {
        Self { kind: IdentifierKind::UserName, value: crate::text::name_key(text) }
    }

    /// An e-mail address that is already a key.
    #[must_use]
    pub fn email(key: &str) -> Self {
        Self { kind: IdentifierKind::Email, value: key.to_owned() }
    }

    /// A directory's own key.
    #[must_use]
    pub fn external_id(directory: crate::id::DirectoryId, value: &str) -> Self {
        Self { kind: IdentifierKind::ExternalId, value: format!("{directory}/{value}") }
    }

    /// A connection's subject.
    #[must_use]
    pub fn subject(connection: crate::id::ConnectionId, value: &str) -> Self {
        Self { kind: IdentifierKind::Subject, value: format!("{connection}/{value}") }
    }

    /// A subject at every connection to its provider, whose name it begins with.
    #[must_use]
    pub fn issuer_subject(value: &str) -> Self {
        Self { kind: IdentifierKind::IssuerSubject, value: value.to_owned() }
    }
}
