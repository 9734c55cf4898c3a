//! Google Workspace as the source of a directory: which customer is asked, and by which right.
//!
//! Here apart from the directory, because only this kind of directory is asked; the others speak by themselves.

use crate::id::{DirectoryId, OrganizationId};
use crate::role::Rank;
use crate::text::texts;
use crate::time::Timestamp;

/// How Google calls the customer that the administrator in whose name is asked belongs to.
pub const MY_CUSTOMER: &str = "my_customer";

texts! {
    /// What a poll reads.
    pub enum PollKind {
        /// Everything.
        Full = "full",
        /// Who is suspended, archived or deleted.
        Fast = "fast",
    }
}

texts! {
    /// How far a poll is.
    pub enum PollPhase {
        /// Nobody polls.
        Waiting = "waiting",
        /// It asks Google.
        Reading = "reading",
        /// All is read, and is being written.
        Writing = "writing",
    }
}

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
    /// By which right it is asked.
    pub right: GoogleRight,
    /// How far it is believed what comes of it: as far as everybody stood then who chose that right.
    pub believed_up_to: Rank,
    /// When this was last said.
    pub updated_at: Timestamp,
}

texts! {
    /// Which of the rights to ask Google it is.
    pub enum RightKind {
        /// A service account's key.
        ServiceAccount = "service_account",
        /// The identity of this server's machine.
        WorkloadIdentity = "workload_identity",
        /// The consent of an administrator.
        Consent = "consent",
    }
}

/// By which right Google is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoogleRight {
    /// A service account's key, in the name of an administrator.
    Key(GoogleKey),
    /// The identity of this server's machine, in the name of an administrator: no key is kept.
    Workload(WorkloadUse),
    /// The consent of an administrator.
    Consent(ConsentClient),
}

impl GoogleRight {
    /// Which of the rights it is.
    #[must_use]
    pub const fn kind(&self) -> RightKind {
        match self {
            Self::Key(_) => RightKind::ServiceAccount,
            Self::Workload(_) => RightKind::WorkloadIdentity,
            Self::Consent(_) => RightKind::Consent,
        }
    }

    /// The account in whose name is asked: the administrator who was named, or the one who consented.
    #[must_use]
    pub fn asks_as(&self) -> Option<&str> {
        match self {
            Self::Key(_) | Self::Workload(_) => self.delegated_admin(),
            Self::Consent(consent) => consent.given.as_ref().map(|given| given.by.as_str()),
        }
    }

    /// The administrator in whose name is asked by domain-wide delegation, if that is the right.
    #[must_use]
    pub fn delegated_admin(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(&key.delegated_admin),
            Self::Workload(used) => Some(&used.delegated_admin),
            Self::Consent(_) => None,
        }
    }
}

/// A service account's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleKey {
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
}

/// The use of the identity that the operator's settings name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadUse {
    /// The administrator in whose name is asked (domain-wide delegation).
    pub delegated_admin: String,
    /// When the root token named that administrator. Otherwise the settings must name the organization, and it must
    /// have proven the administrator's domain, each time that is asked.
    pub vouched_at: Option<Timestamp>,
}

/// The OAuth client by which an administrator is asked for consent, and the consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentClient {
    /// The domain of the Workspace whose administrator consents: `hd` of their account.
    pub hosted_domain: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret, sealed for this directory.
    pub client_secret_sealed: String,
    /// The consent; `None` until somebody has given it.
    pub given: Option<ConsentGiven>,
}

/// A consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentGiven {
    /// The address of the account that gave it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The refresh token, sealed for this directory.
    pub refresh_sealed: String,
}

texts! {
    /// Why a poll failed, as a stable code. How the way out failed has codes of its own.
    pub enum PollCode {
        /// The sealed key cannot be opened or signs nothing.
        KeyUnusable = "key_unusable",
        /// Google does not take the assertion.
        TokenRefused = "token_refused",
        /// The scopes were not granted.
        NotDelegated = "not_delegated",
        /// The operator's settings name no workload identity.
        IdentityOff = "identity_off",
        /// The organization may not use the workload identity in the name of that administrator.
        IdentityNotAllowed = "identity_not_allowed",
        /// The identity of the machine cannot be read.
        IdentityUnreadable = "identity_unreadable",
        /// Google does not take the identity of the machine.
        IdentityRefused = "identity_refused",
        /// Nobody has consented.
        ConsentMissing = "consent_missing",
        /// The consent is no longer good.
        ConsentRevoked = "consent_revoked",
        /// The OAuth client is not taken.
        ClientRefused = "client_refused",
        /// The consent gives less than is needed, or more.
        ConsentOther = "consent_other_scopes",
        /// The administrator may not read it.
        AccessDenied = "access_denied",
        /// The API is off.
        ApiDisabled = "api_disabled",
        /// No such customer or domain.
        CustomerUnknown = "customer_unknown",
        /// Another customer than the first run met.
        OtherCustomer = "other_customer",
        /// The quota was used up for longer than a call waits.
        QuotaExceeded = "quota_exceeded",
        /// Google did not do it, for longer than a call waits.
        Unavailable = "google_unavailable",
        /// An answer is not what is documented.
        Broken = "broken_answer",
        /// More than one directory may have.
        TooMuch = "too_much",
        /// The whole run took too long.
        TooLong = "took_too_long",
        /// Another run has the directory.
        LeaseLost = "taken_over",
        /// The database did not do it.
        Store = "unavailable",
    }
}
