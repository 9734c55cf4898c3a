//! What one step of a run was: sent, expected, received, and what it means for the provider.
//!
//! Here as plain data, so that a terminal, a machine and a test read the same account. Whatever a server said is cut
//! and its control characters are replaced before it comes here.

use std::time::Duration;

use serde_json::Value;

use crate::dialect::Dialect;
use crate::request::ScimRequest;
use crate::scim_client::Answer;

/// Requests that a step shows; a step of a crowd sends thousands.
const MAX_SHOWN_EXCHANGES: usize = 6;
/// Characters of a value that a finding quotes.
const MAX_QUOTED: usize = 200;
/// Bytes of a body that a step shows whole; of a larger one only the start, as text.
const MAX_SHOWN_BODY_BYTES: usize = 16 * 1024;

/// How much hangs on a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The provider does not work without it.
    Must,
    /// The provider's makers advise it, or nobody is sure that it is needed.
    Should,
}

/// One thing that was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was expected.
    pub expected: String,
    /// How much hangs on it.
    pub weight: Weight,
    /// What was there instead; `None` where it held.
    pub found: Option<String>,
}

/// One request and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The method.
    pub method: String,
    /// Path and query behind the base URL.
    pub target: String,
    /// The body that was sent.
    pub body: Option<Value>,
    /// What came back, or why nothing did.
    pub received: Result<Answer, String>,
}

/// One step of a provider's run.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// From 1.
    pub number: usize,
    /// The part of the life cycle.
    pub phase: &'static str,
    /// What the provider does.
    pub title: String,
    /// What it means for that provider if a check fails.
    pub means: &'static str,
    /// The first requests.
    pub exchanges: Vec<Exchange>,
    /// How many requests were sent in all.
    pub requests: usize,
    /// What was checked.
    pub checks: Vec<Check>,
    /// From the first request's sending to the last answer's end.
    pub elapsed: Duration,
}

impl Step {
    /// Whether nothing failed that the provider needs.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.findings(Weight::Must).next().is_none()
    }

    /// What did not hold, of that weight.
    pub fn findings(&self, weight: Weight) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.weight == weight && check.found.is_some())
    }

    /// A request and what came of it. Of many, the first are kept, and the last one in place of the last kept.
    pub(super) fn note(&mut self, dialect: Dialect, request: &ScimRequest, received: Result<Answer, String>) {
        self.requests += 1;
        if let Ok(answer) = &received {
            self.elapsed += answer.elapsed;
        }
        if self.exchanges.len() == MAX_SHOWN_EXCHANGES {
            self.exchanges.pop();
        }
        self.exchanges.push(Exchange {
            method: request.method.to_string(),
            target: request.target(dialect),
            body: request.body.clone(),
            received: received.map(shortened),
        });
    }
}

/// An answer that a page can hold.
fn shortened(mut answer: Answer) -> Answer {
    for header in [&mut answer.request_id, &mut answer.etag, &mut answer.location, &mut answer.content_type] {
        *header = header.as_deref().map(quoted);
    }
    let length = answer.body.as_ref().map_or(0, |body| body.to_string().len());
    if length > MAX_SHOWN_BODY_BYTES {
        answer.text = answer.body.take().map(|body| quoted(&body.to_string()));
    }
    answer.text = answer.text.as_deref().map(quoted);
    answer
}

/// A text of somebody else's, fit to be printed.
pub(super) fn quoted(text: &str) -> String {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut short: String = text.chars().take(MAX_QUOTED).map(printable).collect();
    if text.chars().nth(MAX_QUOTED).is_some() {
        short.push('…');
    }
    short
}

/// A value of somebody else's, fit to be printed.
pub(super) fn quoted_value(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| format!("`{}`", quoted(&value.to_string())))
}
