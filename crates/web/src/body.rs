//! JSON in and out of the administration API: bounded, read once, strict about keys.

use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use portcullis_domain::Timestamp;
use portcullis_domain::text::{Slug, has_nul};
use portcullis_service::ServiceError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::form_urlencoded;

use crate::App;
use crate::error::Problem;
use crate::objects::{self, Fault};
use crate::whole;

/// The largest body of an administration call, in bytes. SAML metadata is the largest thing that anybody sends.
pub const MAX_BODY: usize = 1024 * 1024;

/// A body that was read: what it says, and its bytes for the idempotency key.
pub struct Body<T> {
    /// What it says.
    pub value: T,
    /// The bytes as they came; an empty object where none did.
    pub bytes: Bytes,
}

/// Reads JSON strictly: unknown keys are refused by name, and an array is no object.
///
/// # Errors
/// A 400 [`Problem`] with `unknown_field`, `missing_field`, `invalid_field` or `invalid_json`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    objects::from_slice(bytes).map_err(|unreadable| {
        let code = match unreadable.fault {
            Fault::UnknownField => "unknown_field",
            Fault::MissingField => "missing_field",
            Fault::Value => "invalid_field",
            Fault::Syntax => "invalid_json",
        };
        Problem::bad_request(code, unreadable.message)
    })
}

impl<T: DeserializeOwned + Send> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let came = whole::read(&parts.headers, body, MAX_BODY).await;
        let came = came.map_err(|unread| unread.problem("a body"))?;
        // A call without a body says the same as one with an empty object, to an idempotency key too.
        let bytes = if came.is_empty() { Bytes::from_static(b"{}") } else { came };
        Ok(Self { value: parse(&bytes)?, bytes })
    }
}

/// The body of a call that has nothing to say: no body, or an empty object.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// An instant in JSON: RFC 3339, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At(pub Timestamp);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.rfc3339())
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("not an RFC 3339 instant such as `2026-11-22T10:00:00Z`");
        Timestamp::parse_rfc3339(&text).map(Self).ok_or_else(wrong)
    }
}

impl schemars::JsonSchema for At {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    /// What the page holds.
    pub items: Vec<T>,
    /// The cursor of the next page; null on the last.
    pub next: Option<String>,
    /// Present and true while a change of rules is still being stored: a filter by role or state may lag.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rules_pending: bool,
}

/// The one parameter that may be empty: a page from the beginning.
const CURSOR: &str = "cursor";

/// Query parameters, read strictly: unknown ones are refused by name, because a filter that is not understood would
/// answer with too much.
#[derive(Debug, Clone)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        for (name, text) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            // No text that is kept has U+0000, and PostgreSQL takes none to compare with.
            if has_nul(&text) {
                return Err(Problem::bad_request("invalid_field", format!("`{name}` has U+0000 in it")));
            }
            // A variable of a script that was never set: taken for no filter, it would answer with everybody.
            if text.is_empty() && name != CURSOR {
                let detail = format!("`{name}` is empty: give it a value, or leave it out");
                return Err(Problem::bad_request("invalid_field", detail));
            }
        }
        // What is not known was refused by its row of the table before.
        let read = objects::from_query(parts.uri.query().unwrap_or_default());
        let value = read.map_err(|unread| Problem::bad_request("invalid_field", unread.message))?;
        Ok(Self(value))
    }
}

/// Reads a field of a PATCH that may be null: absent is `None`, null is `Some(None)`. With `#[serde(default)]`.
///
/// # Errors
/// What the value itself refuses.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The slug that a field of a body says, if it says any.
///
/// # Errors
/// 400 `invalid_slug`, wherever it stands.
pub fn slug(field: &'static str, said: Option<&str>) -> Result<Option<Slug>, ServiceError> {
    said.map(str::parse).transpose().map_err(ServiceError::text(field))
}

/// Words of the API for words of the domain, and back.
macro_rules! words {
    ($(#[$doc:meta])* $vis:vis $wire:ident of $domain:ident { $($(#[$said:meta])* $name:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        $vis enum $wire {
            $($(#[$said])* $name,)*
        }

        impl $wire {
            /// The word of the API.
            $vis const fn of(known: $domain) -> Self {
                match known {
                    $($domain::$name => Self::$name,)*
                }
            }

            /// What it means.
            $vis const fn meant(self) -> $domain {
                match self {
                    $(Self::$name => $domain::$name,)*
                }
            }
        }
    };
}
pub(crate) use words;

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// How many items at most; 1–200, default 50.
    pub limit: Option<i64>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

/// Items a page if the caller says nothing.
pub const DEFAULT_LIMIT: i64 = 50;
/// The most items a page.
pub const MAX_LIMIT: i64 = 200;

impl PageQuery {
    /// How many items, and after which id of what the list holds; an empty one: from the first.
    ///
    /// # Errors
    /// 400 `invalid_field` for a limit that no page has, and for a cursor of another list: after it there would be nothing,
    /// which reads as the end.
    pub fn bounds<Id: FromStr>(&self) -> Result<(i64, String), ServiceError> {
        let limit = self.limit()?;
        let cursor = self.cursor.clone().unwrap_or_default();
        if !cursor.is_empty() && cursor.parse::<Id>().is_err() {
            return Err(of_another_list());
        }
        Ok((limit, cursor))
    }

    /// How many items, and behind which number, of a list that is in order of number: the cursor's, else `after`.
    ///
    /// # Errors
    /// As [`PageQuery::bounds`].
    pub fn numbers(&self, after: u64) -> Result<(i64, i64), ServiceError> {
        let (limit, cursor) = self.bounds::<u64>()?;
        // INVARIANT: it reads, or is empty.
        let after = cursor.parse().unwrap_or(after);
        Ok((limit, i64::try_from(after).unwrap_or(i64::MAX)))
    }

    fn limit(&self) -> Result<i64, ServiceError> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ServiceError::invalid("limit", format!("is 1–{MAX_LIMIT}")));
        }
        Ok(limit)
    }
}

fn of_another_list() -> ServiceError {
    ServiceError::invalid("cursor", "is not the `next` of a page of this list")
}

impl<T> Page<T> {
    /// A page of items that were asked for with one more than `limit`.
    pub fn of(mut items: Vec<T>, limit: i64, id: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(id) } else { None };
        Self { items, next, rules_pending: false }
    }

    /// A page of a short list that was read whole. Its cursor is what the last item that was shown is called.
    ///
    /// # Errors
    /// As [`PageQuery::bounds`].
    pub fn cut(
        mut items: Vec<T>,
        page: &PageQuery,
        name: impl Fn(&T) -> String,
    ) -> Result<Self, ServiceError> {
        let limit = page.limit()?;
        if let Some(cursor) = page.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
            let last = items.iter().position(|item| name(item) == cursor).ok_or_else(of_another_list)?;
            items.drain(..=last);
        }
        Ok(Self::of(items, limit, name))
    }
}
