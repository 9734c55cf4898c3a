//! Calls of Portcullis as a stranger makes them: HTTP and JSON, nothing shared with the server's code.
//!
//! Here once, so that every call is timed and every change leaves its request id behind, to be looked for in the audit
//! log at the end.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::ORGANIZATION;
use super::stage::Stage;
use crate::clock::Stopwatch;

/// The longest wait for one answer.
const MAX_WAIT: Duration = Duration::from_secs(15);
/// Items a page.
const PAGE: usize = 200;
/// The most pages of one list; a run leaves a few hundred events.
const MAX_PAGES: usize = 50;

/// What came back.
pub(super) struct Reply {
    /// HTTP status.
    pub(super) status: u16,
    /// `X-Request-Id`.
    pub(super) request_id: String,
    /// The body, null if it is no JSON.
    pub(super) body: Value,
    /// From sending to the last byte.
    pub(super) elapsed: Duration,
}

/// A change that was asked for, and the id under which the other side must remember it.
pub(super) struct Footprint {
    /// What was asked for.
    pub(super) what: String,
    /// `X-Request-Id` of the answer.
    pub(super) request_id: String,
}

/// The caller: the operator's root token, and others where one is given.
pub(super) struct Api {
    http: reqwest::Client,
    base: String,
    root: String,
    /// Every change so far.
    pub(super) footprints: Vec<Footprint>,
}

impl Api {
    pub(super) fn new(stage: &Stage) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(MAX_WAIT).build()?;
        Ok(Self { http, base: stage.base.clone(), root: stage.root.clone(), footprints: Vec::new() })
    }

    /// Any call, about any path of the server.
    ///
    /// # Errors
    /// If no answer came. A refusal is an answer.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        bearer: &str,
        body: Option<&Value>,
    ) -> Result<Reply> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if !bearer.is_empty() {
            request = request.bearer_auth(bearer);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let watch = Stopwatch::start();
        let answer = request.send().await.with_context(|| format!("{method} {path}"))?;
        let status = answer.status().as_u16();
        let request_id = answer.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        let request_id = request_id.unwrap_or_default().to_owned();
        let bytes = answer.bytes().await.with_context(|| format!("{method} {path}"))?;
        let elapsed = watch.elapsed();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Reply { status, request_id, body, elapsed })
    }

    /// Whether the server says that it can answer.
    ///
    /// # Errors
    /// If it says something else.
    pub(super) async fn must_be_ready(&self) -> Result<()> {
        let reply = self.call(Method::GET, "/readyz", "", None).await?;
        if reply.status != 200 {
            bail!("GET /readyz: {}", reply.status);
        }
        Ok(())
    }

    /// Creates something in the organization, as the operator.
    ///
    /// # Errors
    /// If the answer is not 201.
    pub(super) async fn create(&mut self, path: &str, body: &Value) -> Result<Value> {
        let root = self.root.clone();
        self.create_as(&root, path, body).await
    }

    /// Creates something in the organization, as whoever holds that bearer.
    ///
    /// # Errors
    /// If the answer is not 201.
    pub(super) async fn create_as(&mut self, bearer: &str, path: &str, body: &Value) -> Result<Value> {
        let full = match path {
            "/organizations" => "/api/v1/organizations".to_owned(),
            _ => format!("/api/v1/organizations/{ORGANIZATION}{path}"),
        };
        let reply = self.call(Method::POST, &full, bearer, Some(body)).await?;
        if reply.status != 201 {
            bail!("POST {full}: {} {}", reply.status, reply.body);
        }
        self.remember(format!("POST {full}"), &reply.request_id);
        Ok(reply.body)
    }

    /// Keeps a change's request id.
    pub(super) fn remember(&mut self, what: String, request_id: &str) {
        self.footprints.push(Footprint { what, request_id: request_id.to_owned() });
    }

    /// Reads something of the organization, as the operator.
    ///
    /// # Errors
    /// If the answer is not 200.
    pub(super) async fn read(&self, path: &str) -> Result<Value> {
        let full = format!("/api/v1/organizations/{ORGANIZATION}{path}");
        let reply = self.call(Method::GET, &full, &self.root, None).await?;
        if reply.status != 200 {
            bail!("GET {full}: {} {}", reply.status, reply.body);
        }
        Ok(reply.body)
    }

    /// Every item of a list of the organization, page by page.
    ///
    /// # Errors
    /// If an answer is not 200, or the list does not end.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut from = String::new();
        for _ in 0..MAX_PAGES {
            let glue = if path.contains('?') { '&' } else { '?' };
            let page = self.read(&format!("{path}{glue}limit={PAGE}{from}")).await?;
            items.extend(page.get("items").and_then(Value::as_array).into_iter().flatten().cloned());
            match page.get("next").and_then(Value::as_str) {
                Some(next) => from = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
        bail!("the list `{path}` has more than {MAX_PAGES} pages")
    }

    /// Asks whether a bearer may use a tool (AuthZEN 1.0, evaluation).
    ///
    /// # Errors
    /// If the answer is not 200.
    pub(super) async fn evaluate(&self, asker: &str, secret: &str) -> Result<Reply> {
        let question = json!({
            "subject": { "type": "token", "id": secret },
            "action": { "name": "use" },
            "resource": { "type": "tool", "id": "Bash" },
        });
        let reply = self.call(Method::POST, "/access/v1/evaluation", asker, Some(&question)).await?;
        if reply.status != 200 {
            bail!("POST /access/v1/evaluation: {} {}", reply.status, reply.body);
        }
        Ok(reply)
    }

    /// Asks as a proxy does, with the bearer's own header.
    ///
    /// # Errors
    /// If no answer came.
    pub(super) async fn forward(&self, secret: &str) -> Result<Reply> {
        let path = format!("/authz/forward?organization={ORGANIZATION}");
        self.call(Method::GET, &path, secret, None).await
    }
}

/// A text of an answer.
///
/// # Errors
/// If it is not there.
pub(super) fn text(value: &Value, key: &str) -> Result<String> {
    let found = value.get(key).and_then(Value::as_str);
    Ok(found.with_context(|| format!("the answer has no `{key}`"))?.to_owned())
}

/// A text of an answer, or nothing.
pub(super) fn find_text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
