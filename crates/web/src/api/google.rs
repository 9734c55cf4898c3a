//! What is of its own in directories of Google Workspace: where each gets its facts, and how its polls stand.
//!
//! The routes of directories are those of `directory.rs`; here are its parts for this kind, and `…/sync`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::google::GoogleSource;
use portcullis_domain::permission::Permission::{DirectoriesRead, DirectoriesWrite};
use portcullis_service::ServiceError;
use portcullis_service::google::{self, NewSource, SourceChanges, advice};
use portcullis_store::Priority;
use portcullis_store::google::Poll;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::App;
use crate::body::{At, present};
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// Where a directory of Google Workspace gets its facts.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Google {
    /// In whose name it is asked.
    authorization: Authorization,
    /// The customer's id at Google, or `my_customer`.
    customer: String,
    /// The one e-mail domain that is asked for; null: all of the customer's.
    domain: Option<String>,
    /// The administrator in whose name is asked.
    delegated_admin: String,
    /// The service account's address.
    service_account: String,
    /// The service account's number: what the administrator grants the scopes to.
    client_id: String,
    /// The id of its key; the key itself is never shown.
    key_id: String,
}

impl Google {
    /// As the API shows it.
    #[must_use]
    pub fn of(source: GoogleSource) -> Self {
        Self {
            authorization: Authorization::ServiceAccount,
            customer: source.customer,
            domain: source.domain,
            delegated_admin: source.delegated_admin,
            service_account: source.client_email,
            client_id: source.client_id,
            key_id: source.key_id,
        }
    }
}

/// In whose name Google is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authorization {
    /// A service account with domain-wide delegation, in the name of an administrator.
    ServiceAccount,
    /// An administrator's consent; not in this version.
    Consent,
    /// Workload identity federation; not in this version.
    WorkloadIdentity,
}

/// Where a new directory gets its facts.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoogleWish {
    /// In whose name it is asked; `service_account` if nothing is said.
    authorization: Option<Authorization>,
    /// The customer's id at Google; `my_customer`, the administrator's own, if nothing is said.
    customer: Option<String>,
    /// The one e-mail domain that is asked for; null, and if nothing is said: all of the customer's.
    domain: Option<String>,
    /// The administrator in whose name is asked, by address.
    delegated_admin: Option<String>,
    /// The JSON key file of the service account, as an object. Sealed; never shown again.
    service_account_key: Option<Value>,
}

/// What changes of where a directory gets its facts.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GooglePatch {
    /// The one e-mail domain that is asked for; null: all of the customer's.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    domain: Option<Option<String>>,
    /// The administrator in whose name is asked, by address.
    delegated_admin: Option<String>,
    /// Another JSON key file, of this or another service account of the same customer.
    service_account_key: Option<Value>,
}

impl GoogleWish {
    /// What the use case takes.
    ///
    /// # Errors
    /// [`ServiceError::NotAvailable`] for another authorization; [`ServiceError::Invalid`] for what is missing.
    pub fn read(self) -> Result<NewSource, ServiceError> {
        match self.authorization {
            None | Some(Authorization::ServiceAccount) => {}
            Some(Authorization::Consent) => return Err(ServiceError::NotAvailable("consent")),
            Some(Authorization::WorkloadIdentity) => {
                return Err(ServiceError::NotAvailable("workload_identity"));
            }
        }
        let missing = |field| ServiceError::invalid(field, "is required");
        Ok(NewSource {
            customer: self.customer,
            domain: self.domain,
            delegated_admin: self.delegated_admin.ok_or_else(|| missing("google.delegated_admin"))?,
            service_account_key: self
                .service_account_key
                .ok_or_else(|| missing("google.service_account_key"))?,
        })
    }
}

impl GooglePatch {
    /// What the use case takes.
    #[must_use]
    pub fn read(self) -> SourceChanges {
        SourceChanges {
            domain: self.domain,
            delegated_admin: self.delegated_admin,
            service_account_key: self.service_account_key,
        }
    }
}

/// How the polls of a directory stand.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SyncState {
    /// `waiting`, or `reading` or `writing` while a poll runs.
    state: String,
    /// What the running or last poll reads: `full`, or `fast` for the suspended, archived and deleted only.
    kind: String,
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
            state: poll.phase,
            kind: poll.kind,
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
        .gives::<SyncState>()
        .refuses(&["invalid_field"]),
    ]
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<SyncState>, Problem> {
    let org = scope.organization.id;
    let poll = app.portcullis().read(move |tx, _| google::find_poll(tx, org, &id)).await?;
    Ok(Json(SyncState::of(poll)))
}

async fn hasten(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
) -> Result<(StatusCode, Json<SyncState>), Problem> {
    let org = scope.organization.id;
    let write = move |tx: &mut portcullis_store::Tx<'_>, moment: &mut portcullis_service::Moment| {
        google::hasten(tx, moment, org, &id)
    };
    let poll = app.portcullis().write(Priority::Ordinary, write).await?;
    Ok((StatusCode::ACCEPTED, Json(SyncState::of(poll))))
}
