//! `/o/{org}/jwks`: the public keys that sign an organization's receipts and audit heads.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use crate::App;
use crate::error::Problem;
use crate::named::Named;

/// The routes of this surface.
pub fn routes() -> Router<App> {
    Router::new().route("/o/{org}/jwks", get(jwks))
}

async fn jwks(State(app): State<App>, Named(named): Named) -> Result<Json<Value>, Problem> {
    Ok(Json(app.portcullis().public_keys(named).await?))
}
