//! `POST /oauth2/introspect`: RFC 7662, for our own tokens.
//!
//! Unknown, ended, expired, foreign, or of a kind that cannot act: all the same to whoever asks.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portcullis_domain::evaluation::Bearer;
use portcullis_domain::token::Scope;
use portcullis_oidc::introspection::{ActiveToken, Introspection};
use portcullis_service::evaluation;
use serde::Deserialize;
use serde_json::{Map, json};

use super::evaluation::count_check;
use super::{may_ask, note_if_root};
use crate::App;
use crate::error::{Inside, Problem};
use crate::scope::bearer;
use crate::whole;

/// The largest form, in bytes.
const MAX_FORM: usize = 8 * 1024;

#[derive(Debug, Deserialize)]
struct Form {
    token: String,
}

/// Says whether a token is in force. What is wrong with the caller or the form is said as OAuth says it (RFC 7662 §2.3,
/// RFC 6750 §3).
pub async fn introspect(State(app): State<App>, request: axum::extract::Request) -> Response {
    answer(&app, request).await.unwrap_or_else(refusal)
}

async fn answer(app: &App, request: axum::extract::Request) -> Result<Response, Problem> {
    let (parts, raw) = request.into_parts();
    let caller = bearer(&parts).ok_or_else(Problem::unauthenticated)?.to_owned();
    let raw = whole::read(&parts.headers, raw, MAX_FORM).await;
    // Whoever may not ask is told that first, and nothing of the form.
    let form = match &raw {
        Ok(raw) => serde_urlencoded::from_bytes::<Form>(raw)
            .map_err(|_| Problem::bad_request("invalid_request", "the form has exactly one `token`")),
        Err(unread) => Err(unread.problem("a form")),
    };
    let issuer = app.portcullis().around().public_url.to_string();
    let uses = Arc::clone(app.portcullis().uses());
    let found = app
        .portcullis()
        .read(move |tx, now| {
            let about = may_ask(tx, &uses, (&caller, Scope::Introspect), now)?;
            let form = match &form {
                Ok(form) => form,
                Err(problem) => return Ok(Err(problem.clone())),
            };
            let answer = evaluation::introspect(tx, &uses, &form.token, about, now)?;
            Ok(Ok((answer, about)))
        })
        .await?;
    let (answer, about) = found?;
    note_if_root(app, &parts, (about, &answer), None).await?;
    count_check("introspection", answer.decision);
    let introspection = match answer.bearer.filter(|_| answer.decision.is_allowed()) {
        Some(bearer) => Introspection::Active(Box::new(active(&bearer, issuer))),
        None => Introspection::Inactive,
    };
    Ok(Json(introspection.to_value()).into_response())
}

/// A problem in OAuth's words, with our own code beside them.
fn refusal(problem: Problem) -> Response {
    let error = match problem.status {
        StatusCode::UNAUTHORIZED => "invalid_token",
        StatusCode::FORBIDDEN => "insufficient_scope",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request",
    };
    let body = json!({ "error": error, "error_description": problem.detail, "code": problem.code });
    let mut response = (problem.status, Json(body)).into_response();
    let challenge = match problem.status {
        StatusCode::UNAUTHORIZED => Some("Bearer realm=\"portcullis\", error=\"invalid_token\"".to_owned()),
        StatusCode::FORBIDDEN => Some(format!(
            "Bearer realm=\"portcullis\", error=\"{error}\", scope=\"{}\"",
            Scope::Introspect.as_str()
        )),
        _ => None,
    };
    let headers = response.headers_mut();
    if let Some(value) = challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
    whole::name_codings(problem.code, headers);
    if let Some(seconds) = problem.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Inside::beside(problem.inside, response)
}

fn active(bearer: &Bearer, issuer: String) -> ActiveToken {
    let member = bearer.member.as_ref();
    let sub = bearer.agent.as_ref().map(|a| a.id.to_string()).or_else(|| member.map(|m| m.id.to_string()));
    let mut extra = Map::new();
    extra.insert("organization".into(), json!(bearer.organization));
    extra.insert("environment".into(), json!(bearer.environment));
    extra.insert("membership".into(), json!(member.map(|m| m.id)));
    extra.insert("agent".into(), json!(bearer.agent.as_ref().map(|a| a.id)));
    extra.insert("role".into(), json!(member.and_then(|m| m.role.as_ref())));
    extra.insert("kind".into(), json!(bearer.kind.as_str()));
    ActiveToken {
        username: member.map(|m| m.email.clone()),
        token_type: Some("Bearer".to_owned()),
        // Whoever keeps the answer keeps it until then, so it is no later than a rest that ends the token.
        exp: bearer.runs_out_at().map(portcullis_domain::Timestamp::seconds),
        iat: Some(bearer.issued_at.seconds()),
        sub,
        iss: Some(issuer.trim_end_matches('/').to_owned()),
        jti: Some(bearer.token.to_string()),
        extra,
        ..ActiveToken::default()
    }
}
