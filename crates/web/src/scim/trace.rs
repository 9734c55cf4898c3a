//! The trace of a directory's call: what came, which check decided, what to do about it. Secrets never.

use axum::http::header::USER_AGENT;
use percent_encoding::percent_decode_str;
use portcullis_domain::id::OrganizationId;
use portcullis_scim::DialectNote;
use portcullis_service::mask::{MASK, expression, is_secret, masked, message, text_without_ours};
use portcullis_service::trace::TraceDraft;
use portcullis_store::last_refusal::LastRefusal;
use serde_json::{Value, json};

use super::address::Endpoint;
use super::error::Refused;
use super::{Answer, Call, Desk};
use crate::App;
use crate::whole::INCOMPLETE;

/// The kind of these traces.
pub(super) const KIND: &str = "directory";
/// The largest body that is kept with a trace, in bytes; of larger ones only the size is.
const MAX_TRACED_BODY: usize = 16 * 1024;
/// Characters of a path or header that are kept.
const MAX_TRACED_TEXT: usize = 1024;
/// Times that a part of an address is decoded: proxies and clients encode anew what was encoded.
const MAX_ENCODED: usize = 4;

/// Refusals that call nobody: the provider tries again, or asked whether something is there, and goes on by the answer. Of the
/// others somebody has to be told, and a trace among ten thousand tells nobody.
const PASSING: [&str; 6] =
    ["unauthenticated", "not_found", "other_version", "too_many_attempts", "unavailable", INCOMPLETE];

/// Leaves the trace of a call of a directory that has proven itself; where it was refused, the directory says so.
pub(super) fn leave(desk: &Desk<'_>, body: &[u8], outcome: &Result<Answer, Refused>) {
    let (call, organization) = (desk.call, desk.speaker.organization);
    if let Err(refused) = outcome
        && !is_passing(call, refused)
    {
        let last = LastRefusal {
            at: call.started_at,
            code: refused.code.to_owned(),
            subject: subject(call, outcome),
            request: call.request,
        };
        desk.app.portcullis().last_refusals().note(desk.speaker, last);
    }
    note(desk.app, (organization, call), (body, &desk.heard()), outcome);
}

/// Leaves the trace of a call whose caller is nobody, with the organization that it spoke of.
pub(super) fn leave_unproven(app: &App, organization: OrganizationId, call: &Call, refused: &Refused) {
    note(app, (organization, call), (&[], &[]), &Err(refused.clone()));
}

fn note(
    app: &App,
    (organization, call): (OrganizationId, &Call),
    (body, notes): (&[u8], &[DialectNote]),
    outcome: &Result<Answer, Refused>,
) {
    let desk = app.portcullis().traces();
    let now = app.portcullis().now();
    // Only calls with a body count, so that nobody without the token can use the first hundred up.
    let is_first = || call.address.directory.parse().is_ok_and(|directory| desk.is_among_first(directory));
    let keeps_body = !body.is_empty() && (is_first() || outcome.is_err());
    let user_agent = call.headers.get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let mut content = json!({
        "directory": cut(&call.address.directory),
        "operation": call.operation,
        "method": call.method.as_str(),
        "path": cut(&address(&call.address.written)),
        "source": call.source.0.to_string(),
        "user_agent": cut(user_agent),
        "duration_us": now.micros() - call.started_at.micros(),
        "notes": notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "body": if keeps_body { shown(body) } else { Value::Null },
    });
    let decided = match outcome {
        Ok(answer) => json!({ "status": answer.status.as_u16() }),
        Err(refused) => json!({
            "status": refused.status.as_u16(),
            "scim_type": refused.scim_type,
            "detail": message(&refused.detail),
        }),
    };
    if let (Value::Object(content), Value::Object(decided)) = (&mut content, decided) {
        content.extend(decided);
    }
    desk.note(TraceDraft {
        organization,
        kind: KIND,
        outcome: outcome.as_ref().err().map_or("ok", |refused| refused.code).to_owned(),
        subject: subject(call, outcome),
        source: Some(cut(&call.address.directory)),
        request: Some(call.request),
        content,
        at: call.started_at,
    });
}

/// Whether a refusal calls nobody. Somebody who is there already is looked up by the provider then; a group is not.
fn is_passing(call: &Call, refused: &Refused) -> bool {
    let is_known =
        refused.code == "uniqueness" && matches!(call.address.endpoint, Endpoint::Users | Endpoint::User(_));
    is_known || PASSING.contains(&refused.code)
}

/// The resource that it was about, else the directory.
fn subject(call: &Call, outcome: &Result<Answer, Refused>) -> String {
    let created = outcome
        .as_ref()
        .ok()
        .and_then(|a| a.location.as_ref())
        .and(outcome.as_ref().ok().and_then(|a| a.body.as_ref()?.get("id")?.as_str()));
    match (&call.address.endpoint, created) {
        (_, Some(id)) => id.to_owned(),
        (Endpoint::User(id) | Endpoint::Group(id), None) => cut(id),
        _ => cut(&call.address.directory),
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TRACED_TEXT).collect()
}

/// Path and parameters as they came, without secrets: some clients put the token into the URL, others look for passwords.
fn address(written: &str) -> String {
    let (path, query) = written.split_once('?').unwrap_or((written, ""));
    let path: Vec<String> = path.split('/').map(part).collect();
    let parameter = |text: &str| match text.split_once('=') {
        Some((name, value)) if is_secret(&decoded(name)) && !value.is_empty() => {
            format!("{}={MASK}", part(name))
        }
        Some((name, value)) => format!("{}={}", part(name), part(value)),
        None => part(text),
    };
    let query: Vec<String> = query.split('&').map(parameter).collect();
    let (path, query) = (path.join("/"), query.join("&"));
    if query.is_empty() { path } else { format!("{path}?{query}") }
}

/// A part of an address: as it came, unless it says something else once it is decoded that is not to be shown.
fn part(text: &str) -> String {
    let plain = decoded(text);
    let shown = text_without_ours(&expression(&plain));
    if shown == plain { text.to_owned() } else { shown }
}

/// A part of an address, decoded as often as somebody encoded it.
fn decoded(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..MAX_ENCODED {
        let once = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if once == text {
            break;
        }
        text = once;
    }
    text
}

/// The body without secrets; of one that is too large or no JSON only the size, because nothing in it can be masked.
fn shown(body: &[u8]) -> Value {
    if body.len() > MAX_TRACED_BODY {
        return json!({ "left_out": "too large to keep", "bytes": body.len() });
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => masked(value),
        Err(_) => json!({ "left_out": "not JSON", "bytes": body.len() }),
    }
}
