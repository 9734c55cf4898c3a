//! `/organizations/{org}/connections/{connection}/suggestion`: what the newest sign-in brought, and what of it would serve.

use axum::Json;
use axum::extract::{Path, State};
use portcullis_domain::permission::Permission::ConnectionsRead;
use portcullis_service::suggestion::{self, Seen, Sent, Suggested};
use schemars::JsonSchema;
use serde::Serialize;

use super::connection::named;
use crate::App;
use crate::body::At;
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// What the newest sign-in by a connection brought, whether it went well or not.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Suggestion {
    /// When; null while nobody signed in so far, or its trace is gone.
    at: Option<At>,
    /// Its trace.
    trace: Option<String>,
    /// How it ended: `ok` or a code.
    outcome: Option<String>,
    /// The claims or attributes that came, the first 60; values are masked.
    sent: Vec<Claim>,
    /// What would serve.
    suggested: Serving,
}

/// A claim or attribute that came.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Claim {
    /// Its name, or the path to it.
    name: String,
    /// `text`, `texts`, `number`, `boolean`, `object`, `list` or `empty`.
    kind: String,
    /// How many values it has.
    values: usize,
    /// The first value, masked.
    sample: Option<String>,
    /// Where it came: `id_token`, `userinfo` or `assertion`.
    said_in: String,
}

impl From<Sent> for Claim {
    fn from(sent: Sent) -> Self {
        let Sent { name, kind, values, sample, said_in } = sent;
        Self { name, kind, values, sample, said_in }
    }
}

/// Which names would serve; null where nothing that came would.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Serving {
    /// What names a person for good (SAML: for `saml.subject_attribute`).
    subject: Option<String>,
    /// The address (SAML: for `saml.email_attribute`).
    email: Option<String>,
    /// The name to show (SAML: for `saml.name_attribute`).
    name: Option<String>,
    /// Groups, for `groups_claim`.
    groups: Option<String>,
}

impl From<Suggested> for Serving {
    fn from(suggested: Suggested) -> Self {
        let Suggested { subject, email, name, groups } = suggested;
        Self { subject, email, name, groups }
    }
}

impl Suggestion {
    fn of(seen: Option<Seen>) -> Self {
        let (at, trace, outcome) = match &seen {
            Some(seen) => (Some(At(seen.at)), Some(seen.trace.to_string()), Some(seen.outcome.clone())),
            None => (None, None, None),
        };
        let brought = seen.map(|seen| seen.brought).unwrap_or_default();
        Self {
            at,
            trace,
            outcome,
            sent: brought.sent.into_iter().map(Claim::from).collect(),
            suggested: brought.suggested.into(),
        }
    }
}

/// The row of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let path = "/organizations/{org}/connections/{connection}/suggestion";
    let summary = "Shows what the newest sign-in brought, values masked, and which names would serve.";
    vec![Operation::get(path, Needs::Permission(ConnectionsRead), summary, show).gives::<Suggestion>()]
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
) -> Result<Json<Suggestion>, Problem> {
    let (org, id) = named(&scope, &text)?;
    let seen = app.portcullis().read(move |tx, _| suggestion::find(tx, org, id)).await?;
    Ok(Json(Suggestion::of(seen)))
}
