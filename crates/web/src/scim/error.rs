//! Refusals as SCIM answers them (RFC 7644 section 3.12): one match from what a use case refused.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portcullis_scim::error::ERROR_SCHEMA;
use portcullis_scim::{MEDIA_TYPE, ScimError};
use portcullis_service::ServiceError;
use portcullis_service::error::{DirectoryRefusal, Taken};
use portcullis_service::noun::Noun;
use portcullis_store::UniqueKey;
use serde_json::{Value, json};

use crate::error::{Inside, outside, status};
use crate::pace;
use crate::whole::{self, Unread};

/// Seconds after which a client may try again when the database did not answer.
const RETRY_UNAVAILABLE_S: i64 = 1;
/// Seconds after which a provider may try again what was above the brake: its window moves by the hour, and an
/// administrator who changes it should not wait for long.
const RETRY_ABOVE_BRAKE_S: i64 = 600;

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The status.
    pub status: StatusCode,
    /// SCIM's keyword, where the standard has one.
    pub scim_type: Option<&'static str>,
    /// The stable code for traces: the keyword, else what kind of refusal it is.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub detail: String,
    /// Seconds to wait before the next try.
    pub retry_after_s: Option<i64>,
    /// The methods that are served, where the wrong one was used.
    pub allowed: Option<&'static str>,
    /// What only the log is told.
    pub inside: Option<Box<Inside>>,
}

impl Refused {
    /// The endpoint has other methods.
    #[must_use]
    pub fn method(allowed: &'static str) -> Self {
        Self { allowed: Some(allowed), ..Self::from(ScimError::MethodNotAllowed) }
    }

    /// Too many failed attempts; `retry_after_s` until the next is counted anew.
    #[must_use]
    pub fn too_many(retry_after_s: i64) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::from(ScimError::TooManyRequests) }
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({
            "schemas": [ERROR_SCHEMA],
            "status": self.status.as_u16().to_string(),
            "detail": self.detail,
        });
        if let (Some(scim_type), Some(object)) = (self.scim_type, body.as_object_mut()) {
            object.insert("scimType".to_owned(), scim_type.into());
        }
        body
    }
}

impl From<ScimError> for Refused {
    fn from(error: ScimError) -> Self {
        let scim_type = error.scim_type().map(portcullis_scim::ScimType::as_str);
        let code = error.code();
        let detail = match &error {
            ScimError::NotImplemented => {
                "this is not served: use /Users, /Groups, /.search, /Bulk and the discovery endpoints"
                    .to_owned()
            }
            other => other.detail(),
        };
        Self {
            status: StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST),
            scim_type,
            code,
            detail,
            retry_after_s: None,
            allowed: None,
            inside: None,
        }
    }
}

impl From<Unread> for Refused {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge { max_bytes } => ScimError::PayloadTooLarge { max_bytes }.into(),
            Unread::TooSlow => pace::directory_refused(),
            Unread::Encoded => Self {
                code: whole::ENCODED,
                detail: whole::COMPRESSED.to_owned(),
                ..Self::from(ScimError::UnsupportedMediaType)
            },
            Unread::Incomplete => Self {
                status: StatusCode::BAD_REQUEST,
                scim_type: None,
                code: whole::INCOMPLETE,
                detail: whole::BROKE_OFF.to_owned(),
                retry_after_s: None,
                allowed: None,
                inside: None,
            },
        }
    }
}

impl From<ServiceError> for Refused {
    fn from(error: ServiceError) -> Self {
        match error {
            // What the address names, or its directory.
            ServiceError::NotFound(Noun::User | Noun::Group | Noun::Directory) => ScimError::NotFound.into(),
            // Nothing that a provider names: told that it is not there, it would make the person or group anew.
            ServiceError::NotFound(noun) => {
                ServiceError::fault("a call of a directory", format!("no such {noun}")).into()
            }
            ServiceError::Unauthenticated => ScimError::Unauthorized.into(),
            ServiceError::Taken(Taken::Key(UniqueKey::DirectoryUserUserName)) => {
                ScimError::Uniqueness { attribute: "userName" }.into()
            }
            ServiceError::Taken(Taken::Key(UniqueKey::DirectoryGroupDisplayName)) => {
                ScimError::Uniqueness { attribute: "displayName" }.into()
            }
            ServiceError::TooMany { retry_after_s } => Self::too_many(retry_after_s),
            ServiceError::Directory(DirectoryRefusal::Scim(refusal)) => refusal.into(),
            ServiceError::Directory(DirectoryRefusal::UnknownMember(id)) => {
                ScimError::UnknownMember { id }.into()
            }
            ServiceError::Directory(DirectoryRefusal::AboveBrake) => {
                tracing::warn!("a directory went over its brake's limit, and was told to try again later");
                Self {
                    detail: outside(&error),
                    code: error.code(),
                    retry_after_s: Some(RETRY_ABOVE_BRAKE_S),
                    ..Self::from(ScimError::Unavailable)
                }
            }
            ServiceError::Directory(DirectoryRefusal::InvalidValue { field, message }) => {
                let detail = format!("`{field}`: {message}");
                Self { detail, ..Self::from(ScimError::InvalidParameter { name: field }) }
            }
            ServiceError::Store(ref lost) if lost.is_unavailable() => Self {
                detail: outside(&error),
                retry_after_s: Some(RETRY_UNAVAILABLE_S),
                inside: Inside::of(&error),
                ..Self::from(ScimError::Unavailable)
            },
            other => Self {
                status: status(&other),
                scim_type: None,
                code: other.code(),
                detail: outside(&other),
                retry_after_s: None,
                allowed: None,
                inside: Inside::of(&other),
            },
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"portcullis\""));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allowed) = self.allowed {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        whole::name_codings(self.code, headers);
        Inside::beside(self.inside, response)
    }
}
