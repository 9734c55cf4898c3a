//! What a use case refuses or fails at: one closed enum, which `web` turns into each surface's answer.

use portcullis_domain::Refusal;
use portcullis_domain::id::{ConnectionId, DirectoryId, MembershipId, TokenId};
use portcullis_domain::permission::Permission;
use portcullis_domain::text::TextError;
use portcullis_domain::token::Scope;
use portcullis_store::{StoreError, UniqueKey};
use thiserror::Error;

use crate::noun::Noun;

/// Why a use case did not do what was asked. Nothing was changed; of [`StoreError::OutcomeUnknown`] alone, nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServiceError {
    /// No such thing here; a thing of another organization answers the same.
    #[error("no such {0}")]
    NotFound(Noun),
    /// The caller is not known.
    #[error("the bearer token is missing, unknown, ended or expired")]
    Unauthenticated,
    /// The caller's role does not allow it.
    #[error("the caller's role does not have the permission `{0}`")]
    Forbidden(Permission),
    /// The caller may not ask: it takes a service key with that scope, or the root token.
    #[error("asking takes the root token or a service key with the scope `{}`", .0.as_str())]
    MissingScope(Scope),
    /// Only the root token may.
    #[error("only the root token may do this")]
    RootOnly,
    /// The domain refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A text is not what the texts of its field must be.
    #[error("`{field}`: {why}")]
    Text {
        /// The field.
        field: &'static str,
        /// What it must be.
        why: TextError,
    },
    /// A field is not what it must be.
    #[error("`{field}`: {message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What it must be.
        message: String,
    },
    /// A connection is to be for a domain that is none of the organization's.
    #[error("`domains`: name `{0}`, which is no domain of this organization")]
    DomainUnknown(String),
    /// A unique name is taken.
    #[error("{}", taken(*.0))]
    Taken(Taken),
    /// The slug is that of an organization that was deleted.
    #[error(
        "`organization.slug` is taken by an organization that was deleted: slugs are not given out again"
    )]
    SlugRetired,
    /// Something still uses it.
    #[error("the {0} is in use")]
    InUse(Noun),
    /// The same, by what has this id: whoever ends that may ask again.
    #[error("the {0} is in use by `{1}`")]
    UsedBy(Noun, String),
    /// It governs people, and nothing was said of what becomes of them.
    #[error("it governs people")]
    GovernsPeople,
    /// A directory would give more than whoever saw one of its tokens has.
    #[error(
        "the token `{0}` of the directory was shown to somebody who left or stands below that role: have the provider \
         use another, and end it"
    )]
    TokenSeenBelow(TokenId),
    /// A directory would come to give more than whoever chose where it gets its facts stood.
    #[error("where the directory `{0}` gets its facts was chosen by somebody who stood below that role")]
    SourceSetBelow(DirectoryId),
    /// What a provider says would come to give more than whoever chose that provider stood, and no owner has confirmed it.
    #[error(
        "the provider of the connection `{0}` was chosen by somebody who stood below that role, and no owner has confirmed it: \
         have one look at it and confirm it first"
    )]
    ProviderChosenBelow(ConnectionId),
    /// Somebody would stand above whoever said by which account they sign in.
    #[error(
        "the account that `{0}` signs in by, or would, was named by somebody who stood below that role, or had left, or such a \
         one saw the link by which they chose their password"
    )]
    ToldFromBelow(MembershipId),
    /// What somebody looked at, and now speaks for, is another by now.
    #[error(
        "it was changed after the `revision` that you name: look at it again, and name the one that it has now"
    )]
    ChangedMeanwhile,
    /// Somebody follows from a number that was not given yet: what they read was of another log.
    #[error(
        "nothing has the number that `after` names yet: a backup was restored since you read it, or it is of another \
         organization; follow from 0 again"
    )]
    BeyondEnd,
    /// The workload identity of the settings may not be used so.
    #[error(
        "the workload identity may be used in the name of an administrator of a domain that is proven here, by an \
         organization that the operator lists in `google.workload_organizations`; or the root token names them"
    )]
    IdentityNotAllowed,
    /// The operator names no workload identity.
    #[error(
        "this server has no workload identity: its operator sets `google.workload_identity` and \
         `google.workload_service_account`; or the directory gets a service account's key, or a consent"
    )]
    IdentityOff,
    /// A later version brings it.
    #[error("`{0}` is not available in this version")]
    NotAvailable(&'static str),
    /// A provider's metadata cannot be used.
    #[error("{message}")]
    Metadata {
        /// Which rule it breaks, as a stable code.
        code: &'static str,
        /// The same in words, with what to do.
        message: String,
    },
    /// An idempotency key came again with another body.
    #[error("the idempotency key was used with another body")]
    IdempotencyMismatch,
    /// Too many tries from there.
    #[error("too many attempts; try again in {retry_after_s} s")]
    TooMany {
        /// Seconds to wait.
        retry_after_s: i64,
    },
    /// A link is unknown, used, ended or expired.
    #[error("the link is unknown, used or expired")]
    LinkInvalid,
    /// Somebody was not signed in.
    #[error(transparent)]
    SignIn(#[from] crate::refusal::SignInRefusal),
    /// An administrator's consent at Google was not taken.
    #[error(transparent)]
    Consent(#[from] crate::google::consent::ConsentRefusal),
    /// A statement of a directory cannot be carried out.
    #[error(transparent)]
    Directory(#[from] DirectoryRefusal),
    /// The outside did not answer as it must.
    #[error("{0}")]
    Upstream(String),
    /// The database did not do it.
    #[error(transparent)]
    Store(StoreError),
    /// Ours: what cannot happen did, such as a secret that does not seal or a message of ours that is none.
    #[error("a fault of ours: {0}")]
    Fault(String),
}

/// What is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Taken {
    /// A key of which the store has one.
    #[error("{0}")]
    Key(UniqueKey),
    /// Whoever is to be that user is known already.
    #[error("user")]
    User,
    /// Whoever a directory tells of, or accepts an invitation, has a membership already.
    #[error("member")]
    Member,
    /// Whoever is put here by who they are elsewhere is a member already.
    #[error("user")]
    MemberUser,
    /// Whoever is invited is a member already.
    #[error("member.email")]
    MemberEmail,
    /// The review was decided already.
    #[error("review")]
    Review,
}

/// Why a directory's statement is not carried out. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DirectoryRefusal {
    /// A member that the directory did not tell of.
    #[error("`{0}` is not a user of this directory")]
    UnknownMember(String),
    /// What the protocol refuses, found where the stored resource is known.
    #[error(transparent)]
    Scim(#[from] portcullis_scim::ScimError),
    /// More than the directory's brake lets through, and the directory is to be told so.
    #[error(
        "this would end or suspend more people than the brake of this directory lets through within a day; nothing of \
         it was carried out: try again later, or have an administrator change the brake"
    )]
    AboveBrake,
    /// A value that cannot be kept.
    #[error("`{field}`: {message}")]
    InvalidValue {
        /// The attribute.
        field: &'static str,
        /// What it must be.
        message: String,
    },
}

/// What is taken, and whether the asking organization itself has it.
fn taken(what: Taken) -> String {
    let words = match what {
        Taken::Key(UniqueKey::DomainName) => "this organization has that domain already",
        Taken::Key(UniqueKey::DomainProven) => "another organization of this server has proven that domain",
        Taken::Key(key) => return format!("`{key}` is taken"),
        Taken::User => "the member has come in already, or the user is a member here already",
        Taken::Member => "the member has come in already, or that directory tells of them already",
        Taken::MemberUser => "the user is a member here already",
        Taken::MemberEmail => "somebody at that address is a member here already",
        Taken::Review => "the review was decided already",
    };
    words.to_owned()
}

/// What is kept does not read as what it must be.
pub(crate) fn inconsistent(what: impl Into<String>) -> ServiceError {
    ServiceError::Store(StoreError::Inconsistent(what.into()))
}

impl ServiceError {
    /// A fault of ours: at what, and the words of the library that failed.
    pub fn fault(what: &str, why: impl std::fmt::Display) -> Self {
        Self::Fault(format!("{what}: {why}"))
    }

    /// A field that is not what it must be.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }

    /// What makes the refusal of a text one of that field.
    pub fn text(field: &'static str) -> impl Fn(TextError) -> Self {
        move |why| Self::Text { field, why }
    }

    /// The stable code, the same on every surface.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::MissingScope(_) => "missing_scope",
            Self::RootOnly => "root_only",
            Self::Refused(refusal) => refusal.code(),
            Self::Text { why, .. } => why.code(),
            Self::Invalid { .. } | Self::DomainUnknown(_) => "invalid_field",
            Self::Taken(_) | Self::SlugRetired => "taken",
            Self::InUse(_) | Self::UsedBy(..) => "in_use",
            Self::GovernsPeople => "governs_people",
            Self::TokenSeenBelow(_) => "token_seen_below",
            Self::SourceSetBelow(_) => "source_set_below",
            Self::ProviderChosenBelow(_) => "provider_chosen_below",
            Self::ToldFromBelow(_) => "told_from_below",
            Self::ChangedMeanwhile => "changed_meanwhile",
            Self::BeyondEnd => "after_beyond_end",
            Self::IdentityNotAllowed => "identity_not_allowed",
            Self::IdentityOff => "identity_off",
            Self::NotAvailable(_) => "not_available",
            Self::Metadata { code, .. } => code,
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::TooMany { .. } => "too_many_attempts",
            Self::LinkInvalid => "link_invalid",
            Self::SignIn(refusal) => refusal.code(),
            Self::Consent(refusal) => refusal.code(),
            Self::Directory(DirectoryRefusal::UnknownMember(_)) => "unknown_member",
            Self::Directory(DirectoryRefusal::AboveBrake) => "above_brake",
            Self::Directory(DirectoryRefusal::InvalidValue { .. }) => "invalid_value",
            Self::Directory(DirectoryRefusal::Scim(_)) => "invalid_statement",
            Self::Upstream(_) => "upstream_failed",
            Self::Store(error) if error.is_unavailable() => "unavailable",
            Self::Store(_) | Self::Fault(_) => "internal",
        }
    }
}

/// A right that is asked for where there is another way without it.
pub(crate) trait Granted {
    /// Whether it is there. Only what says that it is not is an answer: where the database did not say, nobody knows.
    fn granted(self) -> Result<bool, ServiceError>;
}

impl Granted for Result<(), ServiceError> {
    fn granted(self) -> Result<bool, ServiceError> {
        match self {
            Ok(()) => Ok(true),
            Err(
                ServiceError::NotFound(_)
                | ServiceError::Forbidden(_)
                | ServiceError::RootOnly
                | ServiceError::Refused(Refusal::AboveOwnRank | Refusal::OutsideEnvironment),
            ) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

impl From<portcullis_scim::ScimError> for ServiceError {
    fn from(error: portcullis_scim::ScimError) -> Self {
        Self::Directory(error.into())
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken(key) => Self::Taken(Taken::Key(key)),
            StoreError::NotActive => Self::Refused(Refusal::MemberInactive),
            other => Self::Store(other),
        }
    }
}

impl From<TextError> for ServiceError {
    fn from(error: TextError) -> Self {
        Self::Refused(Refusal::Text(error))
    }
}
