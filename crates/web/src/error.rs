//! Problems: one exhaustive match from what a use case refused to status, code and words (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portcullis_domain::Refusal;
use portcullis_domain::id::RequestId;
use portcullis_service::ServiceError;
use portcullis_service::error::{DirectoryRefusal, Taken};
use portcullis_service::noun::Noun;
use portcullis_store::{StoreError, UniqueKey};
use serde_json::json;

use crate::whole;

/// What a caller of the administration API is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// The stable code.
    pub code: &'static str,
    /// What is wrong and what to do, in a sentence.
    pub detail: String,
    /// Seconds to wait before the next try.
    pub retry_after_s: Option<i64>,
    /// What only the log is told.
    pub inside: Option<Box<Inside>>,
}

impl Problem {
    /// A problem that is not a use case's.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after_s: None, inside: None }
    }

    /// A problem with the request itself.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// The one answer to everybody who is not known.
    #[must_use]
    pub fn unauthenticated() -> Self {
        ServiceError::Unauthenticated.into()
    }
}

/// What failed on our side. It goes with the answer to the edge, which knows the request and writes the one line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The stable code.
    pub code: &'static str,
    /// What went wrong, for operators.
    pub message: String,
}

impl Inside {
    /// Of an error, if it is ours.
    pub(crate) fn of(error: &ServiceError) -> Option<Box<Self>> {
        let inside = || Box::new(Self { code: error.code(), message: error.to_string() });
        status(error).is_server_error().then(inside)
    }

    /// The answer, with what failed beside it.
    pub(crate) fn beside(inside: Option<Box<Self>>, mut response: Response) -> Response {
        if let Some(inside) = inside {
            response.extensions_mut().insert(*inside);
        }
        response
    }

    /// Writes the line.
    pub(crate) fn log(&self, request: RequestId, method: &str, route: &str) {
        tracing::error!(
            request.id = %request, http.method = method, http.route = route, error.code = self.code,
            error.message = self.message, "a request failed"
        );
    }
}

/// The status of what a use case refused.
#[must_use]
pub const fn status(error: &ServiceError) -> StatusCode {
    match error {
        ServiceError::NotFound(_) => StatusCode::NOT_FOUND,
        ServiceError::Unauthenticated => StatusCode::UNAUTHORIZED,
        ServiceError::Forbidden(_)
        | ServiceError::RootOnly
        | ServiceError::MissingScope(_)
        | ServiceError::IdentityNotAllowed => StatusCode::FORBIDDEN,
        ServiceError::Refused(refusal) => match refusal {
            Refusal::Text(_) => StatusCode::BAD_REQUEST,
            Refusal::AboveOwnRank | Refusal::OutsideEnvironment | Refusal::SeenByOthers => {
                StatusCode::FORBIDDEN
            }
            Refusal::MemberInactive
            | Refusal::AgentOrphaned
            | Refusal::AgentDisabled
            | Refusal::LastOwner
            | Refusal::TooManyKeys
            | Refusal::TooManyAgents
            | Refusal::BuiltIn
            | Refusal::RankTaken => StatusCode::CONFLICT,
            Refusal::RankOutOfRange
            | Refusal::RoleIsExplicitOnly
            | Refusal::PermissionIsExplicitOnly
            | Refusal::OtherEnvironment
            | Refusal::MappingGivesNothing
            | Refusal::NoOrgUnits
            | Refusal::InvalidBrake
            | Refusal::JitUnderDirectory
            | Refusal::Tombstoned
            | Refusal::NoRoleMapped => StatusCode::UNPROCESSABLE_ENTITY,
        },
        ServiceError::Invalid { .. }
        | ServiceError::Text { .. }
        | ServiceError::DomainUnknown(_)
        | ServiceError::LinkInvalid => StatusCode::BAD_REQUEST,
        ServiceError::Taken(_)
        | ServiceError::SlugRetired
        | ServiceError::InUse(_)
        | ServiceError::UsedBy(..)
        | ServiceError::GovernsPeople
        | ServiceError::TokenSeenBelow(_)
        | ServiceError::SourceSetBelow(_)
        | ServiceError::ProviderChosenBelow(_)
        | ServiceError::ToldFromBelow(_)
        | ServiceError::ChangedMeanwhile
        | ServiceError::BeyondEnd => StatusCode::CONFLICT,
        ServiceError::NotAvailable(_)
        | ServiceError::IdentityOff
        | ServiceError::Metadata { .. }
        | ServiceError::IdempotencyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
        ServiceError::SignIn(_) | ServiceError::Consent(_) => StatusCode::FORBIDDEN,
        ServiceError::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        ServiceError::Directory(
            DirectoryRefusal::UnknownMember(_)
            | DirectoryRefusal::InvalidValue { .. }
            | DirectoryRefusal::Scim(_),
        ) => StatusCode::BAD_REQUEST,
        ServiceError::Directory(DirectoryRefusal::AboveBrake) => StatusCode::SERVICE_UNAVAILABLE,
        ServiceError::Upstream(_) => StatusCode::BAD_GATEWAY,
        ServiceError::Store(error) if error.is_unavailable() => StatusCode::SERVICE_UNAVAILABLE,
        ServiceError::Store(_) | ServiceError::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What the outside hears of it: the inside stays in log and trace.
#[must_use]
pub fn outside(error: &ServiceError) -> String {
    match error {
        ServiceError::Store(StoreError::OutcomeUnknown(_)) => {
            "the database was lost while it committed, and whether this was done is not known: look, or send it again \
             with the `Idempotency-Key` that it had"
                .to_owned()
        }
        ServiceError::Store(error) if error.is_unavailable() => {
            "the database did not answer in time; nothing was changed, try again".to_owned()
        }
        ServiceError::Store(_) | ServiceError::Fault(_) => {
            "something went wrong on our side; the log has it under the request id".to_owned()
        }
        other => format!("{other}{}", way_out(other)),
    }
}

/// What to do about it, in words of this API, where one call does it.
const fn way_out(error: &ServiceError) -> &'static str {
    match error {
        ServiceError::DomainUnknown(_) => ": `POST …/domains` first",
        ServiceError::Taken(Taken::Key(UniqueKey::DomainName)) => {
            "; `POST …/domains/{domain}/verify` proves it"
        }
        ServiceError::InUse(Noun::Organization) => {
            ": it has people; `?members=offboard` off-boards them first"
        }
        ServiceError::InUse(Noun::Directory) => {
            ": a connection has it as `directory` or `claims_directory`; change or delete that one first"
        }
        ServiceError::Refused(Refusal::AgentOrphaned) => "; give it another by `…/owner` first",
        ServiceError::GovernsPeople => ": say `people=keep` or `people=offboard`",
        ServiceError::SourceSetBelow(_) => {
            ": choose its `google` anew, whole, as somebody who stands as high"
        }
        ServiceError::ToldFromBelow(_) => {
            ": once you have looked whose it is, give the role with `vouched`; or have the directory say the person again, \
             whole, by another token, and them sign in once"
        }
        _ => "",
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let status = status(&error);
        let retry_after_s = match &error {
            ServiceError::TooMany { retry_after_s } => Some(*retry_after_s),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => Some(1),
            _ => None,
        };
        let (detail, inside) = (outside(&error), Inside::of(&error));
        Self { status, code: error.code(), detail, retry_after_s, inside }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("problem");
        let body = json!({
            "type": "about:blank",
            "title": title,
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"portcullis\""));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        whole::name_codings(self.code, headers);
        Inside::beside(self.inside, response)
    }
}
