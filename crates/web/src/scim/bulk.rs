//! `/Bulk` (RFC 7644 section 3.7): operations one by one through the same doors as single calls.
//!
//! Each operation is a transaction of its own, so that a long request holds nobody up and what was answered stays.
//! Creates that refer to nothing are put before the database together: they share a durable commit. Everything else
//! waits for what came before it.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use portcullis_scim::bulk::{BulkOperation, render_bulk, render_outcome};
use portcullis_scim::limits::MAX_NOTES;
use portcullis_scim::{Bulk, BulkMethod, BulkOutcome, DialectNote, ScimError, Turn, parse_bulk};
use serde_json::Value;

use super::address::{Address, Endpoint};
use super::error::Refused;
use super::{Answer, Call, Desk, MAX_USER_BODY, dispatch_one, parsed, trace};

/// Creates that are under way at once: as many as one commit takes with ease.
const MAX_AT_ONCE: usize = 32;

/// What came of one operation, beside what is answered of it.
struct Done {
    outcome: BulkOutcome,
    id: Option<String>,
    notes: Vec<DialectNote>,
}

/// Carries out the operations and answers what came of each that was tried.
pub(super) async fn run(desk: &Desk<'_>, body: &Bytes) -> Result<Answer, Refused> {
    let bulk = parsed(body, parse_bulk).await?;
    let (directory, many) = (desk.speaker.directory, bulk.operations.len());
    // Before the first of them: what was begun is carried through.
    let counted = desk.app.scim_rates().count_operations(directory, many, desk.app.portcullis().now());
    counted.map_err(Refused::too_many)?;
    let mut ids: HashMap<String, String> = HashMap::new();
    let mut entries: Vec<(usize, Value)> = Vec::with_capacity(bulk.operations.len());
    let mut notes: Vec<DialectNote> = Vec::new();
    let mut errors = 0;
    let turns = bulk.turns();
    let mut rest = turns.as_slice();
    while !rest.is_empty() && bulk.fail_on_errors.is_none_or(|max| errors < max) {
        let (now, later) = rest.split_at(together(&bulk, rest));
        rest = later;
        let tried = now.iter().filter_map(|turn| Some((turn, bulk.operations.get(turn.index())?)));
        let tried: Vec<_> = tried.map(|(turn, operation)| one(desk, turn, operation, &ids)).collect();
        let done = all(tried).await;
        for (turn, done) in now.iter().zip(done) {
            let Some(operation) = bulk.operations.get(turn.index()) else { continue };
            errors += u64::from(done.outcome.status >= 400);
            if let (Some(name), Some(id)) = (&operation.bulk_id, done.id) {
                ids.insert(name.clone(), id);
            }
            for note in done.notes {
                if notes.len() < MAX_NOTES && !notes.contains(&note) {
                    notes.push(note);
                }
            }
            entries.push((turn.index(), render_outcome(operation, &done.outcome)));
        }
    }
    entries.sort_by_key(|(index, _)| *index);
    let entries = entries.into_iter().map(|(_, entry)| entry).collect();
    Ok(Answer::ok(render_bulk(entries)).noting(notes))
}

/// How many of the next operations may be under way together: creates that refer to nothing, unless the client counts
/// errors and the next must know of the one before.
fn together(bulk: &Bulk, rest: &[Turn]) -> usize {
    if bulk.fail_on_errors.is_some() {
        return 1;
    }
    let is_free = |turn: &Turn| {
        let operation = bulk.operations.get(turn.index());
        operation.is_some_and(|o| o.method == BulkMethod::Post && o.references().is_empty())
    };
    rest.iter().take(MAX_AT_ONCE).take_while(|turn| is_free(turn)).count().max(1)
}

/// One operation, as a call of its own.
async fn one(desk: &Desk<'_>, turn: &Turn, operation: &BulkOperation, ids: &HashMap<String, String>) -> Done {
    let resolved = match turn {
        Turn::Circular(_) => Err(ScimError::CircularBulk),
        Turn::Ready(_) => operation.resolved(ids),
    };
    let (path, body) = match resolved {
        Ok(resolved) => resolved,
        Err(refusal) => return refused(desk, operation, None, &refusal.into()),
    };
    let call = inner_call(desk, operation, &path);
    let inner = Desk { app: desk.app, speaker: desk.speaker, call: &call, base: desk.base.clone() };
    let body = Bytes::from(body);
    let outcome = carry_out(&inner, &body).await;
    match outcome {
        Ok(answer) => {
            let location = answer.location.clone().or_else(|| location_of(&inner));
            let id = answer.location.as_deref().and_then(|l| l.rsplit('/').next()).map(str::to_owned);
            let outcome = BulkOutcome {
                status: answer.status.as_u16(),
                location,
                version: answer.version,
                response: None,
            };
            Done { outcome, id, notes: answer.notes }
        }
        Err(refusal) => {
            let done = refused(desk, operation, location_of(&inner), &refusal);
            trace::leave(desk.app, desk.speaker.organization, &call, &body, &Err(refusal));
            done
        }
    }
}

/// Only what changes a resource can be part of a bulk request.
async fn carry_out(desk: &Desk<'_>, body: &Bytes) -> Result<Answer, Refused> {
    match &desk.call.address.endpoint {
        Endpoint::Users | Endpoint::User(_) if body.len() > MAX_USER_BODY => {
            Err(ScimError::PayloadTooLarge { max_bytes: MAX_USER_BODY }.into())
        }
        Endpoint::Users | Endpoint::User(_) | Endpoint::Groups | Endpoint::Group(_) => {
            dispatch_one(desk, body).await
        }
        _ => Err(ScimError::InvalidBulkOperation { part: "path" }.into()),
    }
}

fn refused(desk: &Desk<'_>, operation: &BulkOperation, location: Option<String>, refusal: &Refused) -> Done {
    let is_create = operation.method == BulkMethod::Post;
    let unresolved = || format!("{}/{}", desk.base, operation.path.trim_start_matches('/'));
    let outcome = BulkOutcome {
        status: refusal.status.as_u16(),
        location: (!is_create).then(|| location.unwrap_or_else(unresolved)),
        version: None,
        response: Some(refusal.body()),
    };
    Done { outcome, id: None, notes: Vec::new() }
}

fn inner_call(desk: &Desk<'_>, operation: &BulkOperation, path: &str) -> Call {
    let outer = desk.call;
    let mut headers = HeaderMap::new();
    if let Some(version) = operation.version.as_deref().and_then(|v| HeaderValue::from_str(v).ok()) {
        headers.insert(header::IF_MATCH, version);
    }
    Call {
        method: match operation.method {
            BulkMethod::Post => Method::POST,
            BulkMethod::Put => Method::PUT,
            BulkMethod::Patch => Method::PATCH,
            BulkMethod::Delete => Method::DELETE,
        },
        address: Address::below(&outer.address.directory, path),
        headers,
        request: outer.request,
        source: outer.source,
        started_at: desk.app.portcullis().now(),
    }
}

fn location_of(desk: &Desk<'_>) -> Option<String> {
    match &desk.call.address.endpoint {
        Endpoint::User(id) => Some(format!("{}/Users/{id}", desk.base)),
        Endpoint::Group(id) => Some(format!("{}/Groups/{id}", desk.base)),
        _ => None,
    }
}

/// Awaits all of them, each begun in order.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut is_complete = true;
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *done = Some(output),
                    Poll::Pending => is_complete = false,
                }
            }
        }
        if is_complete { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
