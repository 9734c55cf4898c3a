//! Creations: 201, and `Idempotency-Key` for all of them in one place.
//!
//! A handler that makes something takes [`IdempotencyKey`] before its body, and ends in [`create`]:
//!
//! ```text
//! async fn create(State(app): State<App>, scope: Scope, key: IdempotencyKey, body: Body<New>) -> Answer {
//!     once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
//!         let made = service::noun::create(tx, moment, …)?;
//!         Ok(Wire::of(made))
//!     }).await
//! }
//! ```
//!
//! One that has much to do before anything is locked, such as to read what a provider says, asks [`find`] first: a repeat
//! gets its answer also where that cannot be had any more.

use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use portcullis_service::caller::Caller;
use portcullis_service::idempotency::{self, Asked, is_meanwhile, make_once};
use portcullis_service::{Moment, ServiceError};
use portcullis_store::{Priority, Tx};
use serde::Serialize;
use serde_json::Value;

use crate::App;
use crate::error::Problem;

/// The header.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a request says about coming again: its `Idempotency-Key`, if it has one, and the path that it stands for.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// The key.
    pub key: Option<String>,
    /// The path as it was called.
    pub path: String,
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let key = values.next().map(|v| v.to_str().map(str::to_owned)).transpose();
        let refused = || {
            let detail = "`Idempotency-Key` is one header of 1–255 visible ASCII characters";
            Problem::bad_request("invalid_field", detail)
        };
        match (key, values.next()) {
            (Ok(key), None) => Ok(Self { key, path: parts.uri.path().to_owned() }),
            _ => Err(refused()),
        }
    }
}

/// Something that was made: 201 with its resource.
#[derive(Debug, Clone)]
pub struct Created(pub Value);

impl IntoResponse for Created {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

fn asked(caller: &Caller, key: &IdempotencyKey, body: &[u8]) -> Result<Option<Asked>, ServiceError> {
    key.key.as_ref().map(|text| Asked::new(caller, &key.path, text, body)).transpose()
}

/// What a creation answered when it was called with that key before, if it was.
///
/// # Errors
/// 422 `idempotency_mismatch` if the key came with another body.
pub async fn find(
    app: &App,
    caller: &Caller,
    key: &IdempotencyKey,
    body: &[u8],
) -> Result<Option<Created>, Problem> {
    let Some(asked) = asked(caller, key, body)? else { return Ok(None) };
    let found = app.portcullis().read(move |tx, now| idempotency::find(tx, &asked, now)).await?;
    Ok(found.map(Created))
}

/// Runs a use case that makes something, once for each key, and answers 201 with what `make` gives to the wire.
///
/// # Errors
/// What the use case refused; 422 `idempotency_mismatch` if the key came with another body.
pub async fn create<W: Serialize>(
    app: &App,
    caller: &Caller,
    key: &IdempotencyKey,
    body: &[u8],
    make: impl Fn(&mut Tx<'_>, &mut Moment) -> Result<W, ServiceError> + Send + Sync + 'static,
) -> Result<Created, Problem> {
    let asked = asked(caller, key, body)?;
    let make = Arc::new(make);
    let attempt = || {
        let (asked, make) = (asked.clone(), Arc::clone(&make));
        app.portcullis().write(Priority::Ordinary, move |tx, moment| {
            make_once(tx, moment, asked.as_ref(), |tx, moment| wire(&make(tx, moment)?))
        })
    };
    let made = match attempt().await {
        Err(error) if is_meanwhile(&error) => attempt().await?,
        other => other?,
    };
    Ok(Created(made))
}

fn wire(made: &impl Serialize) -> Result<Value, ServiceError> {
    serde_json::to_value(made).map_err(|e| ServiceError::fault("an answer", e))
}
