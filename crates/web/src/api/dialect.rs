//! `/organizations/{org}/directories/{dir}/dialect`: how a directory's provider deviates from the standard.

use axum::Json;
use axum::extract::{Path, State};
use portcullis_domain::permission::Permission::DirectoriesRead;
use portcullis_service::dialect::{self, DialectLine};
use portcullis_service::noun::Noun;
use schemars::JsonSchema;
use serde::Serialize;

use crate::App;
use crate::api::id;
use crate::body::At;
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// The deviations that a directory's calls needed, the most frequent first. Their kinds are few, so it has one page.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DialectReport {
    /// The deviations.
    items: Vec<Deviation>,
}

/// One kind of deviation that was understood.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Deviation {
    /// Its stable code, as in traces.
    code: &'static str,
    /// What it means, and what was made of it.
    meaning: &'static str,
    /// In how many calls it was met.
    calls: i64,
    /// The attribute, key or schema that it was about the last time; never a value.
    example: Option<String>,
    /// When it was first met.
    first_at: At,
    /// When it was last met.
    last_at: At,
}

impl From<DialectLine> for Deviation {
    fn from(line: DialectLine) -> Self {
        Self {
            code: line.kind.code(),
            meaning: line.kind.meaning(),
            calls: line.calls,
            example: line.subject,
            first_at: At(line.first_at),
            last_at: At(line.last_at),
        }
    }
}

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    const PATH: &str = "/organizations/{org}/directories/{dir}/dialect";
    let see = Needs::Permission(DirectoriesRead);
    vec![
        Operation::get(PATH, see, "Shows how a directory's provider deviates from SCIM.", show)
            .gives::<DialectReport>(),
    ]
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, dir)): Path<(String, String)>,
) -> Result<Json<DialectReport>, Problem> {
    let (org, dir) = (scope.organization.id, id(&dir, Noun::Directory)?);
    let dialects = std::sync::Arc::clone(app.portcullis().dialects());
    let lines = app.portcullis().read(move |tx, _| dialect::report(tx, org, dir, &dialects)).await?;
    Ok(Json(DialectReport { items: lines.into_iter().map(Deviation::from).collect() }))
}
