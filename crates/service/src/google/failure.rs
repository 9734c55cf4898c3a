//! Why a run ended without its end: one closed list, each with a stable code and what to do about it.
//!
//! Nothing that a failed run read is written; what it had written before it failed stays, and the next run goes on
//! from there, because only differences are written.

use portcullis_domain::google::PollCode;
use portcullis_store::StoreError;
use thiserror::Error;

use crate::ServiceError;
use crate::fetch::FetchError;

/// Why a run failed.
#[derive(Debug, Clone, Error)]
pub(super) enum PollFailure {
    /// The sealed key cannot be opened or signs nothing.
    #[error("the stored key cannot be used: {0}")]
    KeyUnusable(String),
    /// Google does not take the assertion.
    #[error("Google refused the service account or the administrator: {0}")]
    TokenRefused(String),
    /// The scopes were not granted.
    #[error("the scopes are not granted to the service account: {0}")]
    NotDelegated(String),
    /// The operator's settings name no workload identity.
    #[error("the settings of this server name no workload identity")]
    IdentityOff,
    /// The organization may not use the workload identity in the name of that administrator.
    #[error("this organization may not use the workload identity in the name of `{0}`")]
    IdentityNotAllowed(String),
    /// The identity of the machine cannot be read.
    #[error("{0}")]
    IdentityUnreadable(String),
    /// Google does not take the identity of the machine.
    #[error("Google refused the workload identity: {0}")]
    IdentityRefused(String),
    /// Nobody has consented.
    #[error("no administrator has consented")]
    ConsentMissing,
    /// The consent is no longer good.
    #[error("the consent was withdrawn or ran out: {0}")]
    ConsentRevoked(String),
    /// The OAuth client is not taken.
    #[error("Google refused the OAuth client: {0}")]
    ClientRefused(String),
    /// The consent gives less than is needed, or more.
    #[error("the consent does not give what is needed: {0}")]
    ConsentOther(String),
    /// The administrator may not read it.
    #[error("the administrator may not read the directory: {0}")]
    AccessDenied(String),
    /// The API is off.
    #[error("the Admin SDK API is off in the service account's project: {0}")]
    ApiDisabled(String),
    /// No such customer or domain.
    #[error("Google knows no such customer or domain: {0}")]
    CustomerUnknown(String),
    /// Another customer than the first run met.
    #[error(
        "the service account speaks for the customer `{met}`, and this directory is the one of `{pinned}`"
    )]
    OtherCustomer {
        /// Whom the first run met.
        pinned: String,
        /// Whom this one met.
        met: String,
    },
    /// The quota was used up for longer than a call waits.
    #[error("Google's quota is used up: {0}")]
    QuotaExceeded(String),
    /// Google did not do it, for longer than a call waits.
    #[error("Google answered {status} to `{call}`")]
    Unavailable {
        /// The status.
        status: u16,
        /// What was asked.
        call: String,
    },
    /// The way out did not work.
    #[error("Google cannot be reached: {message}")]
    Unreachable {
        /// Why, as a stable code.
        code: &'static str,
        /// The same in words.
        message: String,
    },
    /// An answer is not what is documented.
    #[error("the answer to `{call}` is not what is documented: {why}")]
    Broken {
        /// What was asked.
        call: String,
        /// What is wrong with it.
        why: String,
    },
    /// Google does not take the question.
    #[error("Google does not take `{call}`: {why}")]
    NotTaken {
        /// What was asked.
        call: String,
        /// Why.
        why: String,
    },
    /// A fault of ours.
    #[error("a fault of ours ended the run; the log says where")]
    Fault,
    /// More than one directory may have.
    #[error("there are more than {most} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// The whole run took too long.
    #[error("the run took longer than {0} s")]
    TooLong(u64),
    /// Another run has the directory.
    #[error("another run took the directory over")]
    LeaseLost,
    /// The database did not do it.
    #[error("{0}")]
    Store(String),
}

impl PollFailure {
    /// The stable code: one of [`PollCode`], or how the way out failed.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::KeyUnusable(_) => PollCode::KeyUnusable.as_str(),
            Self::TokenRefused(_) => PollCode::TokenRefused.as_str(),
            Self::NotDelegated(_) => PollCode::NotDelegated.as_str(),
            Self::IdentityOff => PollCode::IdentityOff.as_str(),
            Self::IdentityNotAllowed(_) => PollCode::IdentityNotAllowed.as_str(),
            Self::IdentityUnreadable(_) => PollCode::IdentityUnreadable.as_str(),
            Self::IdentityRefused(_) => PollCode::IdentityRefused.as_str(),
            Self::ConsentMissing => PollCode::ConsentMissing.as_str(),
            Self::ConsentRevoked(_) => PollCode::ConsentRevoked.as_str(),
            Self::ClientRefused(_) => PollCode::ClientRefused.as_str(),
            Self::ConsentOther(_) => PollCode::ConsentOther.as_str(),
            Self::AccessDenied(_) => PollCode::AccessDenied.as_str(),
            Self::ApiDisabled(_) => PollCode::ApiDisabled.as_str(),
            Self::CustomerUnknown(_) => PollCode::CustomerUnknown.as_str(),
            Self::OtherCustomer { .. } => PollCode::OtherCustomer.as_str(),
            Self::QuotaExceeded(_) => PollCode::QuotaExceeded.as_str(),
            Self::Unavailable { .. } => PollCode::Unavailable.as_str(),
            Self::Unreachable { code, .. } => code,
            Self::Broken { .. } | Self::NotTaken { .. } | Self::Fault => PollCode::Broken.as_str(),
            Self::TooMuch { .. } => PollCode::TooMuch.as_str(),
            Self::TooLong(_) => PollCode::TooLong.as_str(),
            Self::LeaseLost => PollCode::LeaseLost.as_str(),
            Self::Store(_) => PollCode::Store.as_str(),
        }
    }
}

/// What to do about a failed poll of that code.
#[must_use]
pub fn advice(code: &str) -> &'static str {
    // What is none of these is the way out's, whose codes are its own.
    code.parse().map_or(
        "check that this server may reach oauth2.googleapis.com and admin.googleapis.com on port 443",
        advice_on,
    )
}

const fn advice_on(code: PollCode) -> &'static str {
    match code {
        PollCode::KeyUnusable => "make a new key for the service account and PATCH it into this directory",
        PollCode::TokenRefused => {
            "check that the key still exists in Google Cloud (IAM → Service accounts → Keys) and that \
             `delegated_admin` is an active user of this customer"
        }
        PollCode::NotDelegated => {
            "in Admin console → Security → API controls → Domain-wide delegation, add the service account's client id \
             with the four scopes of the guide; Google takes minutes, at most a day, to see it"
        }
        PollCode::IdentityOff => {
            "the operator sets `google.workload_identity` and `google.workload_service_account`, or this directory gets \
             another right"
        }
        PollCode::IdentityNotAllowed => {
            "prove the domain of `delegated_admin` here, and have the operator list this organization in \
             `google.workload_organizations`; or have the root token name `delegated_admin`"
        }
        PollCode::IdentityUnreadable => {
            "the operator looks at `google.workload_identity`: the file, address or metadata server that it names must \
             give a token"
        }
        PollCode::IdentityRefused => {
            "the operator checks the pool's audience and that this identity has the role Service Account Token Creator \
             on the service account"
        }
        PollCode::ConsentMissing => "a member who may write directories opens the link of `consent`",
        PollCode::ConsentRevoked => {
            "open the link of `consent` again; if it ended after seven days, publish the OAuth client's consent screen \
             as internal"
        }
        PollCode::ClientRefused => {
            "check the OAuth client's id and secret in Google Cloud (Google Auth Platform → Clients) and PATCH them"
        }
        PollCode::ConsentOther => "open the link of `consent` again and leave every box ticked",
        PollCode::AccessDenied => {
            "give `delegated_admin`, or whoever consented, an administrator role that reads users, groups and organizational units"
        }
        PollCode::ApiDisabled => {
            "switch on the Admin SDK API in the Google Cloud project of the service account"
        }
        PollCode::CustomerUnknown => "check `customer` and `domain`: they must belong to `delegated_admin`",
        PollCode::OtherCustomer => {
            "the key or the administrator belongs to another Google customer; put the former ones back, or make a new \
             directory for the other customer"
        }
        PollCode::QuotaExceeded => {
            "nothing: the next run tries again; if it goes on, poll less often or raise the project's quota"
        }
        PollCode::Unavailable => "nothing: the next run tries again; see Google's status page if it goes on",
        PollCode::Broken => "look at the trace; a proxy between this server and Google may change answers",
        PollCode::TooMuch => "ask for one domain, or tell us: this directory is larger than one run reads",
        PollCode::TooLong => "nothing: the next run goes on; raise the project's quota if it happens again",
        PollCode::LeaseLost | PollCode::Store => "nothing: the next run goes on from here",
    }
}

impl From<FetchError> for PollFailure {
    fn from(error: FetchError) -> Self {
        if matches!(error, FetchError::IdentityUnreadable { .. }) {
            return Self::IdentityUnreadable(error.to_string());
        }
        Self::Unreachable { code: error.code(), message: error.to_string() }
    }
}

impl From<ServiceError> for PollFailure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Store(StoreError::Fenced) => Self::LeaseLost,
            other => Self::Store(other.to_string()),
        }
    }
}
