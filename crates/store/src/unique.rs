//! Keys of which there is one: what may be taken.
//!
//! An enum, because which one it was decides answers above: a text that is written twice would compile however it is spelt.

use std::fmt;

/// A key of which there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniqueKey {
    /// The hash of a consent's `state`.
    ConsentState,
    /// A group's name in its directory.
    DirectoryGroupDisplayName,
    /// A person's `userName` in their directory.
    DirectoryUserUserName,
    /// A domain in its organization.
    DomainName,
    /// A domain that is proven, of all organizations.
    DomainProven,
    /// An environment's slug in its organization.
    EnvironmentSlug,
    /// The key under which a request may come again.
    IdempotencyKey,
    /// Whoever a provider calls so, by its connection.
    LinkSubject,
    /// An organization's slug.
    OrganizationSlug,
    /// A role's rank in its organization.
    RoleRank,
    /// A role's slug in its organization.
    RoleSlug,
    /// The hash of a sign-in's `state`.
    SignInState,
    /// The id of a key that signs.
    SigningKeyKid,
    /// A team's slug in its organization.
    TeamSlug,
}

impl UniqueKey {
    /// Its name, as answers and logs have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsentState => "state",
            Self::DirectoryGroupDisplayName => "directory_group.display_name",
            Self::DirectoryUserUserName => "directory_user.user_name",
            Self::DomainName => "domain.domain",
            Self::DomainProven => "domain.proven",
            Self::EnvironmentSlug => "environment.slug",
            Self::IdempotencyKey => "idempotency.key",
            Self::LinkSubject => "link.subject",
            Self::OrganizationSlug => "organization.slug",
            Self::RoleRank => "role.rank",
            Self::RoleSlug => "role.slug",
            Self::SignInState => "sign_in.state",
            Self::SigningKeyKid => "signing_key.kid",
            Self::TeamSlug => "team.slug",
        }
    }
}

impl fmt::Display for UniqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
