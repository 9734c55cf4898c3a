//! `/authz/forward`: the question as proxies ask it (nginx `auth_request`, Caddy, Traefik, HAProxy).
//!
//! Answers have no body. On 200 every `X-Portcullis-…` header is present, so that a proxy overwrites whatever a client
//! sent under these names.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use portcullis_domain::Timestamp;
use portcullis_domain::evaluation::{Bearer, Decision};
use portcullis_domain::text::Slug;
use portcullis_service::evaluation::{About, Answer, ask};
use portcullis_service::noun::Noun;
use portcullis_service::{ServiceError, organization};
use serde::Deserialize;

use super::evaluation::count_check;
use crate::App;
use crate::cookie;
use crate::error::{Inside, Problem};

/// Which organization, environment and deed a proxy asks about. A mistyped parameter would be answered for another
/// environment than the one that is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    organization: Option<String>,
    environment: Option<String>,
    /// What is done; read by policies.
    #[serde(rename = "action")]
    _action: Option<String>,
    #[serde(rename = "resource_type")]
    _resource_type: Option<String>,
    #[serde(rename = "resource_id")]
    _resource_id: Option<String>,
}

/// The log says this often at most that a proxy asks what cannot be answered: who asks may be anybody.
const SAY_EVERY_S: i64 = 60;

/// What an e-mail address keeps in a header as it is.
const EMAIL: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'%').add(b'<').add(b'>').add(b'\\').add(b',').add(b';').add(b'\'');

/// Answers a proxy.
pub async fn forward(State(app): State<App>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let presented = presented(&app, &headers);
    // Two organizations are none: nobody is known in what two readers would read as two.
    let question: Option<Question> = serde_urlencoded::from_str(query.as_deref().unwrap_or_default()).ok();
    let Some(question) = question else {
        say_misread(app.portcullis().now());
        return refusal(StatusCode::UNAUTHORIZED);
    };
    let (Some(named), false) = (question.organization, presented.is_empty()) else {
        return refusal(StatusCode::UNAUTHORIZED);
    };
    // No environment has a name that is no slug, and who is known is not let into it. Who is not known stays that.
    let wanted = question.environment.filter(|e| !e.is_empty());
    let wanted = wanted.map_or_else(|| Ok(Slug::production()), |e| e.parse::<Slug>());
    let is_slug = wanted.is_ok();
    let environment = wanted.unwrap_or_else(|_| Slug::production());
    let uses = Arc::clone(app.portcullis().uses());
    let answer = app
        .portcullis()
        .read(move |tx, now| {
            let organization = match organization::named(tx, &named) {
                Ok(organization) => organization.id,
                Err(ServiceError::NotFound(Noun::Organization)) => {
                    say_unknown(&named, now);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            let mut best: Option<Answer> = None;
            for secret in &presented {
                let about = About::Organization(organization);
                let mut answer = ask(tx, &uses, secret, about, &environment, now)?;
                if answer.decision.is_allowed() && !is_slug {
                    answer.decision = Decision::OtherEnvironment;
                }
                let better = best.as_ref().is_none_or(|b| weight(answer.decision) > weight(b.decision));
                if better {
                    best = Some(answer);
                }
            }
            Ok(best)
        })
        .await;
    if let Ok(Some(answer)) = &answer {
        count_check("forward", answer.decision);
    }
    match answer {
        Ok(Some(Answer { decision: Decision::Allowed, bearer: Some(bearer) })) => admitted(&bearer),
        Ok(Some(answer)) => refusal(status(answer.decision)),
        Ok(None) => refusal(StatusCode::UNAUTHORIZED),
        Err(error) => failed(error.into()),
    }
}

/// An answer has no body, and whoever sets a proxy up sees a bare 401: the log says what is wrong with the address.
fn say_unknown(named: &str, now: Timestamp) {
    static SAID_S: AtomicI64 = AtomicI64::new(i64::MIN);
    if is_due(&SAID_S, now) {
        // A name that can be one: what else stands in an address does not come into a log.
        let named = named.parse::<Slug>().map_or_else(|_| "no slug".to_owned(), |slug| slug.to_string());
        tracing::warn!(organization.slug = %named, "/authz/forward was asked about an organization that does not exist");
    }
}

/// The same of an address whose parameters are not understood.
fn say_misread(now: Timestamp) {
    static SAID_S: AtomicI64 = AtomicI64::new(i64::MIN);
    if is_due(&SAID_S, now) {
        tracing::warn!(
            "/authz/forward was asked with a parameter that it does not have, or twice with one; it takes `organization`, \
             `environment`, `action`, `resource_type` and `resource_id`"
        );
    }
}

/// Whether something that was said then is to be said again; now it is.
fn is_due(said_s: &AtomicI64, now: Timestamp) -> bool {
    let (said, now) = (said_s.load(Ordering::Relaxed), now.seconds());
    let is_due = now.saturating_sub(said) >= SAY_EVERY_S;
    is_due && said_s.compare_exchange(said, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// The bearer's own secret; without one, the secrets of the session cookie.
fn presented(app: &App, headers: &HeaderMap) -> Vec<String> {
    let is_bearer = |value: &&HeaderValue| {
        let scheme = value.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"bearer")
    };
    // Another scheme is between the browser and the application behind the proxy.
    let mut bearers = headers.get_all(header::AUTHORIZATION).iter().filter(is_bearer);
    let Some(value) = bearers.next() else { return cookie::sessions(app, headers) };
    let token = value.to_str().ok().and_then(|v| v.split_once(' ')).map(|(_, token)| token.trim().to_owned());
    // Two are none, as with organizations.
    token.filter(|_| bearers.next().is_none()).into_iter().collect()
}

/// Which of several sessions' answers counts: the one that admits, else the one that knows most.
const fn weight(decision: Decision) -> u8 {
    match decision {
        Decision::Allowed => 2,
        Decision::TokenUnknown => 0,
        _ => 1,
    }
}

/// 401 for what is unknown, ended or foreign; 403 for what is known and not allowed.
const fn status(decision: Decision) -> StatusCode {
    match decision {
        Decision::TokenUnknown | Decision::TokenEnded | Decision::TokenExpired => StatusCode::UNAUTHORIZED,
        Decision::Allowed
        | Decision::MemberInactive
        | Decision::AgentPaused
        | Decision::AgentOrphaned
        | Decision::OtherEnvironment
        | Decision::NotPermitted => StatusCode::FORBIDDEN,
    }
}

fn refusal(status: StatusCode) -> Response {
    let mut response = status.into_response();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"portcullis\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Nothing can be answered now: when to ask again.
fn failed(problem: Problem) -> Response {
    let mut response = refusal(problem.status);
    if let Some(seconds) = problem.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Inside::beside(problem.inside, response)
}

fn admitted(bearer: &Bearer) -> Response {
    let member = bearer.member.as_ref();
    let teams: Vec<&str> =
        member.map_or_else(Vec::new, |m| m.teams.iter().map(|(t, _)| t.as_str()).collect());
    let email = member.map_or_else(String::new, |m| utf8_percent_encode(&m.email, EMAIL).to_string());
    let values = [
        ("x-portcullis-organization", bearer.organization_slug.to_string()),
        (
            "x-portcullis-environment",
            bearer.environment.as_ref().map_or_else(String::new, ToString::to_string),
        ),
        ("x-portcullis-membership", member.map_or_else(String::new, |m| m.id.to_string())),
        ("x-portcullis-user", member.map_or_else(String::new, |m| m.user.to_string())),
        ("x-portcullis-email", email),
        (
            "x-portcullis-role",
            member.and_then(|m| m.role.as_ref()).map_or_else(String::new, ToString::to_string),
        ),
        ("x-portcullis-teams", teams.join(",")),
        ("x-portcullis-agent", bearer.agent.as_ref().map_or_else(String::new, |a| a.id.to_string())),
    ];
    let mut response = StatusCode::OK.into_response();
    for (name, value) in values {
        let Ok(value) = HeaderValue::from_str(&value) else { return refusal(StatusCode::FORBIDDEN) };
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
