//! A run under way: the step that is open, what was made, and whom to tell.
//!
//! Here so that no script can send past the account, and so that what was made is written down before it is asked for.

use std::time::Duration;

use serde_json::Value;

use crate::dialect::Dialect;
use crate::request::ScimRequest;
use crate::scim_client::{Answer, ScimClient};

use super::cast::Cast;
use super::made::{Kind, Made};
use super::step::{Check, Step, Weight};

/// How often a request that was told to wait is sent again.
const MAX_WAITS: usize = 3;
/// The longest that a server may tell a request to wait, in seconds.
const MAX_WAIT_S: u64 = 60;

/// A shorter token stands in answers by chance, and guards nothing.
const LEAST_TOKEN_BYTES: usize = 16;

/// Why a run ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// The server was never spoken to: wrong address, token, certificate. What to do is in it.
    Unreachable(String),
    /// An answer is missing on which the rest is built.
    CannotGoOn(String),
}

/// How a run ended.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Steps that were played.
    pub steps: usize,
    /// Requests that were sent.
    pub requests: usize,
    /// Things that were checked.
    pub checks: usize,
    /// What the provider needs and did not get: the step and what was expected.
    pub failed: Vec<String>,
    /// What is only advised, or not sure.
    pub advice: Vec<String>,
    /// Why it ended early.
    pub halt: Option<Halt>,
}

impl Verdict {
    /// Whether the run came to its end and the provider got all it needs.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.failed.is_empty() && self.halt.is_none()
    }
}

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) client: &'a ScimClient,
    pub(super) cast: &'a Cast,
    pub(super) made: &'a mut Made,
    tell: &'a mut (dyn FnMut(&Step) + Send),
    phase: &'static str,
    step: Option<Step>,
    verdict: Verdict,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        client: &'a ScimClient,
        cast: &'a Cast,
        made: &'a mut Made,
        tell: &'a mut (dyn FnMut(&Step) + Send),
    ) -> Self {
        Self { client, cast, made, tell, phase: "", step: None, verdict: Verdict::default() }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.client.dialect()
    }

    /// The part of the life cycle that begins.
    pub(super) fn phase(&mut self, phase: &'static str) {
        self.end();
        self.phase = phase;
    }

    /// Begins a step: what the provider does, and what it means if that goes wrong. The step before is over.
    pub(super) fn begin(&mut self, title: impl Into<String>, means: &'static str) {
        self.end();
        self.verdict.steps += 1;
        self.step = Some(Step {
            number: self.verdict.steps,
            phase: self.phase,
            title: title.into(),
            means,
            ..Step::default()
        });
    }

    /// Sends a request of the step.
    ///
    /// # Errors
    /// [`Halt`] if no answer came: that is a finding.
    pub(super) async fn send(&mut self, request: &ScimRequest) -> Result<Answer, Halt> {
        self.send_by(self.client, request, &[]).await
    }

    /// The same, by another client or with headers besides.
    pub(super) async fn send_by(
        &mut self,
        client: &ScimClient,
        request: &ScimRequest,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, Halt> {
        let mut waits = 0;
        loop {
            let received = client.send_with(request, headers).await;
            let answer = match received {
                Ok(answer) => answer,
                Err(error) => {
                    let why = error.explained();
                    self.note(request, Err(why.clone()));
                    self.check(Weight::Must, "an answer", || Some(why.clone()));
                    return Err(Halt::CannotGoOn(why));
                }
            };
            let answer = self.without_token(answer);
            self.note(request, Ok(answer.clone()));
            let told = answer.retry_after_s.filter(|_| matches!(answer.status, 429 | 503));
            match told {
                Some(seconds) if waits < MAX_WAITS && seconds <= MAX_WAIT_S => {
                    waits += 1;
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// What the provider needs.
    pub(super) fn must(&mut self, held: bool, expected: &str, found: impl FnOnce() -> String) {
        self.check(Weight::Must, expected, || (!held).then(found));
    }

    /// What is advised.
    pub(super) fn should(&mut self, held: bool, expected: &str, found: impl FnOnce() -> String) {
        self.check(Weight::Should, expected, || (!held).then(found));
    }

    /// What was checked, with what was there instead if it did not hold.
    pub(super) fn check(&mut self, weight: Weight, expected: &str, found: impl FnOnce() -> Option<String>) {
        if let Some(step) = &mut self.step {
            step.checks.push(Check { expected: expected.to_owned(), weight, found: found() });
        }
    }

    /// How many requests the step sent, and how long they took in all.
    pub(super) fn pace(&self) -> (usize, Duration) {
        self.step.as_ref().map_or((0, Duration::ZERO), |step| (step.requests, step.elapsed))
    }

    /// How many checks of the step failed.
    pub(super) fn failures(&self) -> usize {
        self.step.as_ref().map_or(0, |step| step.findings(Weight::Must).count())
    }

    /// Sends a request that makes something of that name; what came of it is kept in mind for its removal.
    ///
    /// # Errors
    /// [`Halt`] if no answer came.
    pub(super) async fn make(
        &mut self,
        kind: Kind,
        name: &str,
        request: &ScimRequest,
    ) -> Result<Answer, Halt> {
        self.made.announce(kind, name);
        let answer = self.send(request).await?;
        match answer.id().filter(|_| answer.is_success()) {
            Some(id) => self.made.made(kind, name, id),
            None if (400..500).contains(&answer.status) => self.made.refused(kind, name),
            None => {}
        }
        Ok(answer)
    }

    /// Ends the run.
    pub(super) fn close(mut self, halt: Option<Halt>) -> Verdict {
        self.end();
        self.verdict.halt = halt;
        self.verdict
    }

    fn end(&mut self) {
        let Some(step) = self.step.take() else { return };
        self.verdict.requests += step.requests;
        self.verdict.checks += step.checks.len();
        let said = |check: &Check| {
            format!("step {}, {}: expected {}, {}", step.number, step.title, check.expected, found(check))
        };
        self.verdict.failed.extend(step.findings(Weight::Must).map(said));
        self.verdict.advice.extend(step.findings(Weight::Should).map(said));
        (self.tell)(&step);
    }

    fn note(&mut self, request: &ScimRequest, received: Result<Answer, String>) {
        let dialect = self.client.dialect();
        if let Some(step) = &mut self.step {
            step.note(dialect, request, received);
        }
    }

    /// The answer without the token. Should the server have said it back, that is a finding.
    fn without_token(&mut self, mut answer: Answer) -> Answer {
        let token = self.client.token();
        if token.len() < LEAST_TOKEN_BYTES {
            return answer;
        }
        let mut echoed = false;
        let mut mask = |text: &mut String| {
            if text.contains(token) {
                echoed = true;
                *text = text.replace(token, "[token]");
            }
        };
        let Answer { text, request_id, etag, location, content_type, .. } = &mut answer;
        [text, request_id, etag, location, content_type].into_iter().flatten().for_each(&mut mask);
        if let Some(body) = &mut answer.body {
            mask_strings(body, &mut mask);
        }
        if echoed {
            self.must(false, "an answer without the token in it", || "the token came back".to_owned());
        }
        answer
    }
}

/// Names and values. The depth is bounded by the parser's own limit.
fn mask_strings(value: &mut Value, mask: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => mask(text),
        Value::Array(values) => values.iter_mut().for_each(|value| mask_strings(value, mask)),
        Value::Object(members) => {
            let masked = std::mem::take(members).into_iter().map(|(mut name, mut value)| {
                mask(&mut name);
                mask_strings(&mut value, mask);
                (name, value)
            });
            *members = masked.collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What was there instead, as a part of a sentence.
fn found(check: &Check) -> String {
    check.found.as_deref().map_or_else(String::new, |found| format!("found {found}"))
}
