//! `POST /access/v1/evaluation`: AuthZEN Authorization API 1.0.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use portcullis_domain::evaluation::Decision;
use portcullis_domain::text::Slug;
use portcullis_domain::token::Scope;
use portcullis_service::evaluation::{About, Answer, ask};
use portcullis_store::Tx;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{may_ask, note_if_root};
use crate::App;
use crate::body;
use crate::edge::REQUEST_ID;
use crate::error::Problem;
use crate::scope::bearer;
use crate::whole;

/// The largest question, in bytes.
const MAX_QUESTION: usize = 64 * 1024;

/// A question. Members that are not ours are allowed: the standard lets every party add some.
#[derive(Debug, Deserialize)]
pub struct Question {
    subject: Entity,
    action: Named,
    resource: Entity,
    /// Optional, and written as null by clients whose languages write what is optional so.
    context: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
struct Entity {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

impl Question {
    fn environment(&self) -> Result<Slug, Problem> {
        match self.context.as_ref().and_then(|context| context.get("environment")) {
            None | Some(Value::Null) => Ok(Slug::production()),
            Some(Value::String(text)) => text.parse().map_err(|_| {
                Problem::bad_request(
                    "invalid_field",
                    "`context.environment` is not the slug of an environment",
                )
            }),
            Some(_) => Err(Problem::bad_request("invalid_field", "`context.environment` is a text")),
        }
    }

    fn check(&self) -> Result<(), Problem> {
        if self.subject.kind != "token" {
            return Err(Problem::bad_request(
                "invalid_field",
                "`subject.type` is `token`: present the secret itself",
            ));
        }
        let unnamed =
            self.action.name.is_empty() || self.resource.kind.is_empty() || self.resource.id.is_empty();
        if unnamed {
            let detail = "`action.name`, `resource.type` and `resource.id` must not be empty";
            return Err(Problem::bad_request("invalid_field", detail));
        }
        Ok(())
    }
}

/// Answers a question. A refusal to the bearer is 200; 401 and 403 are about the caller.
pub async fn evaluate(State(app): State<App>, request: axum::extract::Request) -> Response {
    let (parts, raw) = request.into_parts();
    let answered = answer(&app, &parts, raw).await;
    let response =
        answered.map_or_else(Problem::into_response, |answer| Json(shown(&answer)).into_response());
    echoing(own_id(&parts), response)
}

async fn answer(app: &App, parts: &Parts, raw: Body) -> Result<Answer, Problem> {
    let caller = bearer(parts).ok_or_else(Problem::unauthenticated)?.to_owned();
    let raw = whole::read(&parts.headers, raw, MAX_QUESTION).await;
    let raw = raw.map_err(|unread| unread.problem("a question"));
    let question = raw.and_then(|raw| body::parse::<Question>(&raw));
    let (answer, about) = decide(app, caller, question).await?;
    let called = own_id(parts).and_then(|id| id.to_str().ok()).map(str::to_owned);
    note_if_root(app, parts, (about, &answer), called).await?;
    Ok(answer)
}

async fn decide(
    app: &App,
    caller: String,
    question: Result<Question, Problem>,
) -> Result<(Answer, About), Problem> {
    // A caller who may not ask learns nothing about the question, not even that it is malformed or too large.
    let question = match question {
        Ok(question) => question,
        Err(problem) => {
            let uses = Arc::clone(app.portcullis().uses());
            let may =
                move |tx: &mut Tx<'_>, now| may_ask(tx, &uses, (&caller, Scope::Evaluate), now).map(|_| ());
            app.portcullis().read(may).await?;
            return Err(problem);
        }
    };
    let asked = question.check().and_then(|()| question.environment());
    let uses = Arc::clone(app.portcullis().uses());
    let environment = asked.clone().unwrap_or_else(|_| Slug::production());
    let (answer, about) = app
        .portcullis()
        .read(move |tx, now| {
            let about = may_ask(tx, &uses, (&caller, Scope::Evaluate), now)?;
            let answer = ask(tx, &uses, &question.subject.id, about, &environment, now)?;
            Ok((answer, about))
        })
        .await?;
    asked.map(|_| {
        count_check("evaluation", answer.decision);
        (answer, about)
    })
}

/// Counts a check by the door that it came through and its answer.
pub(super) fn count_check(door: &'static str, decision: Decision) {
    metrics::counter!("portcullis_checks_total", "door" => door, "code" => decision.code()).increment(1);
}

fn shown(answer: &Answer) -> Value {
    let decision = answer.decision;
    let mut context = json!({ "code": decision.code(), "reason_admin": { "en": decision.reason() } });
    if let (Some(bearer), Some(context)) = (&answer.bearer, context.as_object_mut()) {
        let member = bearer.member.as_ref();
        context.insert("organization".into(), json!(bearer.organization));
        context.insert("environment".into(), json!(bearer.environment));
        context.insert("membership".into(), json!(member.map(|m| m.id)));
        context.insert("agent".into(), json!(bearer.agent.as_ref().map(|a| a.id)));
        context.insert("role".into(), json!(member.and_then(|m| m.role.as_ref())));
        context.insert("policy_revision".into(), Value::Null);
    }
    json!({ "decision": decision == Decision::Allowed, "context": context })
}

/// The longest id of a caller's own that is echoed, in bytes.
const MAX_ECHO: usize = 128;

/// What the caller calls the request, if that can be said again.
fn own_id(parts: &Parts) -> Option<&HeaderValue> {
    parts.headers.get(REQUEST_ID).filter(|id| id.len() <= MAX_ECHO && id.to_str().is_ok())
}

/// The standard wants the caller's own request id back (AuthZEN §10.1); without one, ours stands there.
fn echoing(own: Option<&HeaderValue>, mut response: Response) -> Response {
    if let Some(own) = own {
        response.headers_mut().insert(REQUEST_ID, own.clone());
    }
    response
}
