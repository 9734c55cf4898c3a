//! `/healthz`, `/readyz`, `/metrics`: what probes and scrapers ask.
//!
//! Alive is that the process answers. Ready is that it can answer correctly: the database is read and it is not about
//! to end. Neither says anything about anybody.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use portcullis_service::ServiceError;

use crate::App;

/// How long the database may take: whoever probes does not wait longer, and would not learn why.
const MAX_READ: Duration = Duration::from_secs(2);

/// The routes of this surface.
pub fn routes() -> Router<App> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).route("/metrics", get(metrics))
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(State(app): State<App>) -> Response {
    if app.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    let read = app.portcullis().read(|tx, _| portcullis_service::ready(tx).map_err(ServiceError::from));
    match tokio::time::timeout(MAX_READ, read).await {
        Ok(Ok(())) => "ready\n".into_response(),
        Ok(Err(_)) | Err(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
        }
    }
}

async fn metrics(State(app): State<App>) -> Response {
    let Some(text) = app.metrics() else { return StatusCode::NOT_FOUND.into_response() };
    let mut response = text.into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
