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
use portcullis_scim::bulk::{Begun, BulkOperation, render_bulk, render_outcome};
use portcullis_scim::limits::MAX_NOTES;
use portcullis_scim::{Bulk, BulkMethod, BulkOutcome, DialectNote, ScimError, Turn, parse_bulk};
use serde_json::Value;

use super::address::{Address, Endpoint};
use super::error::Refused;
use super::{Answer, Call, Desk, MAX_USER_BODY, dispatch_one, parsed, trace};

/// Under which route the log has what failed of an operation.
const ROUTE: &str = "/scim/v2/{directory}/Bulk";
/// Creates that are under way at once: as many as one commit takes with ease.
const MAX_AT_ONCE: usize = 32;

/// What came of one operation, beside what is answered of it.
struct Done {
    outcome: BulkOutcome,
    id: Option<String>,
    notes: Vec<DialectNote>,
}

/// What came of a request so far.
#[derive(Default)]
struct Sheet {
    ids: HashMap<String, String>,
    entries: Vec<(usize, Value)>,
    notes: Vec<DialectNote>,
    errors: u64,
    /// Creates in a circle that lack what was not made when they were begun.
    begun: Begun<Done>,
}

/// Carries out the operations and answers what came of each that was tried.
pub(super) async fn run(desk: &Desk<'_>, body: &Bytes) -> Result<Answer, Refused> {
    let bulk = parsed(desk, body, |body, _| parse_bulk(body)).await?;
    desk.hear(bulk.notes.iter().cloned());
    let (directory, many) = (desk.speaker.directory, bulk.operations.len());
    // Before the first of them: what was begun is carried through.
    let counted = desk.app.scim_rates().count_operations(directory, many, desk.app.portcullis().now());
    counted.map_err(Refused::too_many)?;
    let mut sheet = Sheet::default();
    let turns = bulk.turns();
    let mut rest = turns.as_slice();
    while !rest.is_empty() && bulk.fail_on_errors.is_none_or(|max| sheet.errors < max) {
        let (now, later) = rest.split_at(together(&bulk, rest));
        rest = later;
        let tried = now.iter().filter_map(|turn| Some((turn, bulk.operations.get(turn.index())?)));
        let tried: Vec<_> = tried.map(|(turn, operation)| one(desk, turn, operation, &sheet.ids)).collect();
        let done = all(tried).await;
        let mut complete = Vec::new();
        for (turn, done) in now.iter().zip(done) {
            let Some(operation) = bulk.operations.get(turn.index()) else { continue };
            let lacks = match (turn, &done.id) {
                (Turn::Circular(_), Some(_)) => operation.lacking(&sheet.ids),
                _ => Vec::new(),
            };
            let made = operation.bulk_id.clone().zip(done.id.clone());
            match lacks.is_empty() {
                true => sheet.enter(turn.index(), operation, done),
                false => sheet.begun.wait(turn.index(), lacks, done),
            }
            if let Some((name, id)) = made {
                complete.extend(sheet.begun.made(&name));
                sheet.ids.insert(name, id);
            }
        }
        sheet.complete(desk, &bulk, complete).await;
    }
    // What these refer to was refused, or left undone.
    for (index, done) in std::mem::take(&mut sheet.begun).into_rest() {
        let Some(operation) = bulk.operations.get(index) else { continue };
        let unknown = operation.resolved(&sheet.ids).err().unwrap_or(ScimError::CircularBulk);
        sheet.enter(index, operation, incomplete(done, &unknown.into()));
    }
    sheet.entries.sort_by_key(|(index, _)| *index);
    let entries = sheet.entries.into_iter().map(|(_, entry)| entry).collect();
    desk.hear(sheet.notes);
    Ok(Answer::ok(render_bulk(entries)))
}

impl Sheet {
    /// Notes what is answered of an operation.
    fn enter(&mut self, index: usize, operation: &BulkOperation, done: Done) {
        self.errors += u64::from(done.outcome.status >= 400);
        for note in done.notes {
            if self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        self.entries.push((index, render_outcome(operation, &done.outcome)));
    }

    /// Completes what was begun and lacks nothing any more.
    async fn complete(&mut self, desk: &Desk<'_>, bulk: &Bulk, complete: Vec<(usize, Done)>) {
        for (index, done) in complete {
            let Some(operation) = bulk.operations.get(index) else { continue };
            let done = match operation.resolved(&self.ids) {
                Ok((_, body)) => whole(desk, (index, operation), done, Bytes::from(body)).await,
                Err(unknown) => incomplete(done, &unknown.into()),
            };
            self.enter(index, operation, done);
        }
    }
}

/// What was begun, said once more with everything that it refers to.
async fn whole(
    desk: &Desk<'_>,
    (index, operation): (usize, &BulkOperation),
    made: Done,
    body: Bytes,
) -> Done {
    let made_at = made.outcome.location.as_deref().and_then(|location| location.strip_prefix(&desk.base));
    let path = made_at.unwrap_or(&operation.path).to_owned();
    let call = match inner_call(desk, (index, operation), &path) {
        Ok(call) => Call { method: Method::PUT, headers: HeaderMap::new(), ..call },
        Err(refusal) => return incomplete(made, &refusal),
    };
    let inner = Desk::of(desk.app, desk.speaker, &call);
    match carry_out(&inner, &body).await {
        Ok(answer) => {
            let outcome = BulkOutcome { version: answer.version, ..made.outcome };
            Done { outcome, id: made.id, notes: made.notes.into_iter().chain(inner.heard()).collect() }
        }
        Err(refusal) => {
            say(desk, &refusal);
            let done = incomplete(made, &refusal);
            trace::leave(&inner, &body, &Err(refusal));
            done
        }
    }
}

/// A create that stands where it was made, and lacks what it refers to.
fn incomplete(made: Done, refusal: &Refused) -> Done {
    let outcome = BulkOutcome {
        status: refusal.status.as_u16(),
        version: None,
        response: Some(refusal.body()),
        ..made.outcome
    };
    Done { outcome, id: None, notes: made.notes }
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
        Turn::Circular(_) => operation.resolved(ids).or_else(|_| operation.begun(ids)),
        Turn::Ready(_) => operation.resolved(ids),
    };
    let (path, body) = match resolved {
        Ok(resolved) => resolved,
        Err(refusal) => return refused(desk, operation, None, &refusal.into()),
    };
    let call = match inner_call(desk, (turn.index(), operation), &path) {
        Ok(call) => call,
        Err(refusal) => return refused(desk, operation, None, &refusal),
    };
    let inner = Desk::of(desk.app, desk.speaker, &call);
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
            Done { outcome, id, notes: inner.heard() }
        }
        Err(refusal) => {
            let done = refused(desk, operation, location_of(&inner), &refusal);
            trace::leave(&inner, &body, &Err(refusal));
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
    say(desk, refusal);
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

/// The whole is answered 200, so the edge hears nothing of what failed in it.
fn say(desk: &Desk<'_>, refusal: &Refused) {
    if let Some(inside) = &refusal.inside {
        inside.log(desk.call.request, desk.call.method.as_str(), ROUTE);
    }
}

/// An operation as a call of its own. A version that can be none is refused: it would stand for no condition at all.
fn inner_call(
    desk: &Desk<'_>,
    (index, operation): (usize, &BulkOperation),
    path: &str,
) -> Result<Call, Refused> {
    let outer = desk.call;
    let mut headers = HeaderMap::new();
    if let Some(version) = &operation.version {
        let version = HeaderValue::from_str(version);
        let version = version.map_err(|_| ScimError::InvalidBulkOperation { part: "version" })?;
        headers.insert(header::IF_MATCH, version);
    }
    Ok(Call {
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
        operation: Some(index),
    })
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
