//! What is of its own in directories of Google Workspace: where each gets its facts, and how its polls stand.
//!
//! The routes of directories are those of `directory.rs`; here are its parts for this kind, and `…/sync`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::directory::Directory;
use portcullis_domain::google::{GoogleRight, GoogleSource};
use portcullis_domain::permission::Permission::{DirectoriesRead, DirectoriesWrite};
use portcullis_service::google::{self, NewRight, NewSource, Polling, SourceChanges, advice, consent};
use portcullis_service::noun::Noun;
use portcullis_service::{ServiceError, Surroundings};
use portcullis_store::google::Poll;
use portcullis_store::{Priority, Tx};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::App;
use crate::api::id;
use crate::body::{At, Body, Nothing, present};
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// Where a directory of Google Workspace gets its facts.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Google {
    /// By which right it is asked.
    authorization: Authorization,
    /// The customer's id at Google, or `my_customer`.
    customer: String,
    /// The one e-mail domain that is asked for; null: all of the customer's.
    domain: Option<String>,
    /// The administrator in whose name is asked; null for `consent`.
    delegated_admin: Option<String>,
    /// The service account's address; null for `consent`.
    service_account: Option<String>,
    /// What the administrator grants the scopes to: the service account's number, or the OAuth client's id; null for
    /// `workload_identity`, where the operator knows it.
    client_id: Option<String>,
    /// The id of the service account's key; the key itself is never shown. Null without one.
    key_id: Option<String>,
    /// The consent; null for the other two.
    consent: Option<Consent>,
}

/// An administrator's consent.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Consent {
    /// Whether it was given.
    state: ConsentState,
    /// The domain of the Workspace whose administrator consents.
    hosted_domain: String,
    /// Where a member of this organization who may write directories opens the way to Google.
    link: String,
    /// What the OAuth client must name among its redirect URIs.
    redirect_uri: String,
    /// The account that consented.
    by: Option<String>,
    /// When.
    at: Option<At>,
}

/// Whether a consent was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// Nobody has consented: nothing is read.
    Pending,
    /// Somebody has.
    Given,
    /// It was withdrawn at Google, or ran out: open the link again.
    Revoked,
}

/// A source as it is stored, with what only other rows say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The source.
    pub source: GoogleSource,
    /// Whether the last poll found its consent to be good no longer.
    pub is_revoked: bool,
}

impl Stored {
    /// The source of a directory, if it is one of Google Workspace.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn find(tx: &mut Tx<'_>, of: &Directory) -> Result<Option<Self>, ServiceError> {
        let Some(source) = google::find_source(tx, of)? else { return Ok(None) };
        let is_revoked = google::is_consent_revoked(tx, &source)?;
        Ok(Some(Self { source, is_revoked }))
    }
}

impl Google {
    /// As the API shows it.
    #[must_use]
    pub fn of(stored: Stored, around: &Surroundings, polling: &Polling) -> Self {
        let Stored { source, is_revoked } = stored;
        let delegated_admin = source.right.delegated_admin().map(str::to_owned);
        let none = Self {
            authorization: Authorization::Consent,
            customer: source.customer,
            domain: source.domain,
            delegated_admin,
            service_account: None,
            client_id: None,
            key_id: None,
            consent: None,
        };
        match source.right {
            GoogleRight::Key(key) => Self {
                authorization: Authorization::ServiceAccount,
                service_account: Some(key.client_email),
                client_id: Some(key.client_id),
                key_id: Some(key.key_id),
                ..none
            },
            GoogleRight::Workload(_) => Self {
                authorization: Authorization::WorkloadIdentity,
                service_account: polling.workload.as_ref().map(|identity| identity.service_account.clone()),
                ..none
            },
            GoogleRight::Consent(client) => Self {
                client_id: Some(client.client_id),
                consent: Some(Consent {
                    state: match &client.given {
                        None => ConsentState::Pending,
                        Some(_) if is_revoked => ConsentState::Revoked,
                        Some(_) => ConsentState::Given,
                    },
                    hosted_domain: client.hosted_domain,
                    link: consent::link(around, source.directory),
                    redirect_uri: consent::redirect_uri(around),
                    at: client.given.as_ref().map(|given| At(given.at)),
                    by: client.given.map(|given| given.by),
                }),
                ..none
            },
        }
    }
}

/// By which right Google is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authorization {
    /// A service account's key, in the name of an administrator (domain-wide delegation).
    ServiceAccount,
    /// An administrator's consent.
    Consent,
    /// The identity of this server's machine, as the operator's settings name it, in the name of an administrator.
    WorkloadIdentity,
}

/// Where a new directory gets its facts.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoogleWish {
    /// By which right it is asked; `service_account` if nothing is said.
    authorization: Option<Authorization>,
    /// The customer's id at Google; `my_customer`, the administrator's own, if nothing is said.
    customer: Option<String>,
    /// The one e-mail domain that is asked for; null, and if nothing is said: all of the customer's.
    domain: Option<String>,
    /// The administrator in whose name is asked, by address; for all but `consent`.
    delegated_admin: Option<String>,
    /// The JSON key file of the service account, as an object; for `service_account`. Sealed; never shown again.
    service_account_key: Option<Value>,
    /// The domain of the Workspace whose administrator consents; for `consent`.
    hosted_domain: Option<String>,
    /// The OAuth client's id; for `consent`.
    client_id: Option<String>,
    /// The OAuth client's secret; for `consent`. Sealed; never shown again.
    #[schemars(with = "Option<String>")]
    client_secret: Option<SecretString>,
}

/// What changes of where a directory gets its facts.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GooglePatch {
    /// Another right, whose fields must then be there, all of them.
    authorization: Option<Authorization>,
    /// The one e-mail domain that is asked for; null: all of the customer's.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    domain: Option<Option<String>>,
    /// The administrator in whose name is asked, by address.
    delegated_admin: Option<String>,
    /// Another JSON key file, of this or another service account of the same customer.
    service_account_key: Option<Value>,
    /// The domain of the Workspace whose administrator consents; a consent by another must be given anew.
    hosted_domain: Option<String>,
    /// Another OAuth client's id; the consent must be given anew.
    client_id: Option<String>,
    /// Another secret of the OAuth client; the consent stays.
    #[schemars(with = "Option<String>")]
    client_secret: Option<SecretString>,
}

/// The fields of a right.
struct Said {
    delegated_admin: Option<String>,
    service_account_key: Option<Value>,
    hosted_domain: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
}

impl Said {
    fn right(self, authorization: Authorization) -> Result<NewRight, ServiceError> {
        fn needed<T>(said: Option<T>, field: &'static str) -> Result<T, ServiceError> {
            said.ok_or_else(|| ServiceError::invalid(field, "is required"))
        }
        let foreign = |is_said: bool, field: &'static str| match is_said {
            true => Err(ServiceError::invalid(field, "is not of this `authorization`")),
            false => Ok(()),
        };
        if authorization == Authorization::Consent {
            foreign(self.delegated_admin.is_some(), "google.delegated_admin")?;
        } else {
            foreign(self.hosted_domain.is_some(), "google.hosted_domain")?;
            foreign(self.client_id.is_some(), "google.client_id")?;
            foreign(self.client_secret.is_some(), "google.client_secret")?;
        }
        if authorization != Authorization::ServiceAccount {
            foreign(self.service_account_key.is_some(), "google.service_account_key")?;
        }
        Ok(match authorization {
            Authorization::ServiceAccount => NewRight::Key {
                delegated_admin: needed(self.delegated_admin, "google.delegated_admin")?,
                file: needed(self.service_account_key, "google.service_account_key")?,
            },
            Authorization::WorkloadIdentity => NewRight::Workload {
                delegated_admin: needed(self.delegated_admin, "google.delegated_admin")?,
            },
            Authorization::Consent => NewRight::Consent {
                hosted_domain: needed(self.hosted_domain, "google.hosted_domain")?,
                client_id: needed(self.client_id, "google.client_id")?,
                client_secret: needed(self.client_secret, "google.client_secret")?,
            },
        })
    }
}

impl GoogleWish {
    /// What the use case takes.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for what is missing, or of another right.
    pub fn read(self) -> Result<NewSource, ServiceError> {
        let said = Said {
            delegated_admin: self.delegated_admin,
            service_account_key: self.service_account_key,
            hosted_domain: self.hosted_domain,
            client_id: self.client_id,
            client_secret: self.client_secret,
        };
        let authorization = self.authorization.unwrap_or(Authorization::ServiceAccount);
        let right = said.right(authorization)?;
        Ok(NewSource { customer: self.customer, domain: self.domain, right })
    }
}

impl GooglePatch {
    /// What the use case takes.
    ///
    /// # Errors
    /// As [`GoogleWish::read`], where another right is named.
    pub fn read(self) -> Result<SourceChanges, ServiceError> {
        let said = Said {
            delegated_admin: self.delegated_admin,
            service_account_key: self.service_account_key,
            hosted_domain: self.hosted_domain,
            client_id: self.client_id,
            client_secret: self.client_secret,
        };
        let domain = self.domain;
        if let Some(authorization) = self.authorization {
            let right = Some(said.right(authorization)?);
            return Ok(SourceChanges { domain, right, ..SourceChanges::default() });
        }
        Ok(SourceChanges {
            domain,
            right: None,
            delegated_admin: said.delegated_admin,
            service_account_key: said.service_account_key,
            hosted_domain: said.hosted_domain,
            client_id: said.client_id,
            client_secret: said.client_secret,
        })
    }
}

/// How the polls of a directory stand.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncState {
    /// `waiting`, or `reading` or `writing` while a poll runs.
    state: &'static str,
    /// What the running or last poll reads: `full`, or `fast` for the suspended, archived and deleted only.
    kind: &'static str,
    /// The running or last poll; the `request_id` of what it caused.
    request_id: Option<String>,
    /// What it has read and written until now.
    counts: Value,
    /// When it began.
    started_at: Option<At>,
    /// When the last one ended.
    finished_at: Option<At>,
    /// When everything is read next.
    next_full_at: At,
    /// When the suspended, archived and deleted are read next.
    next_fast_at: At,
    /// When everything was last read and written without fault.
    last_full_success_at: Option<At>,
    /// The same for the suspended, archived and deleted.
    last_fast_success_at: Option<At>,
    /// Polls that failed since one succeeded.
    failures: i64,
    /// Why the last one failed; null once one of that kind succeeded.
    error: Option<SyncError>,
    /// The customer's id, from the first poll on; another customer is refused.
    customer_id: Option<String>,
    /// The paths of the organizational units that the last full poll met, 1,000 at most.
    org_units: Value,
}

/// Why a poll failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncError {
    /// A stable code.
    code: String,
    /// The same in words.
    message: String,
    /// What to do about it.
    advice: &'static str,
}

impl SyncState {
    fn of(poll: Poll) -> Self {
        let error = poll.error_code.map(|code| SyncError {
            advice: advice(&code),
            code,
            message: poll.error_message.unwrap_or_default(),
        });
        Self {
            state: poll.phase.as_str(),
            kind: poll.kind.as_str(),
            request_id: poll.run.map(|run| run.to_string()),
            counts: serde_json::from_str(&poll.progress).unwrap_or_default(),
            started_at: poll.started_at.map(At),
            finished_at: poll.finished_at.map(At),
            next_full_at: At(poll.full_at),
            next_fast_at: At(poll.fast_at),
            last_full_success_at: poll.full_succeeded_at.map(At),
            last_fast_success_at: poll.fast_succeeded_at.map(At),
            failures: poll.failures,
            error,
            customer_id: poll.customer_id,
            org_units: serde_json::from_str(&poll.org_units).unwrap_or_default(),
        }
    }
}

const SYNC: &str = "/organizations/{org}/directories/{dir}/sync";

/// The rows.
#[must_use]
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get(
            SYNC,
            Needs::Permission(DirectoriesRead),
            "Shows how the polls of a directory of Google Workspace stand.",
            show,
        )
        .gives::<SyncState>()
        .refuses(&["invalid_field"]),
        Operation::begin(
            SYNC,
            Needs::Permission(DirectoriesWrite),
            "Has a directory of Google Workspace read now.",
            hasten,
        )
        .takes::<Nothing>()
        .gives::<SyncState>()
        .refuses(&["invalid_field"]),
    ]
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, dir)): Path<(String, String)>,
) -> Result<Json<SyncState>, Problem> {
    let (org, dir) = (scope.organization.id, id(&dir, Noun::Directory)?);
    let poll = app.portcullis().read(move |tx, _| google::find_poll(tx, org, dir)).await?;
    Ok(Json(SyncState::of(poll)))
}

async fn hasten(
    State(app): State<App>,
    scope: Scope,
    Path((_, dir)): Path<(String, String)>,
    _: Body<Nothing>,
) -> Result<(StatusCode, Json<SyncState>), Problem> {
    let (org, dir) = (scope.organization.id, id(&dir, Noun::Directory)?);
    let write = move |tx: &mut portcullis_store::Tx<'_>, moment: &mut portcullis_service::Moment| {
        google::hasten(tx, moment, org, dir)
    };
    let poll = app.portcullis().write(Priority::Ordinary, write).await?;
    Ok((StatusCode::ACCEPTED, Json(SyncState::of(poll))))
}
