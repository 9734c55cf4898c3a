//! SCIM 2.0 service provider, `/scim/v2/{directory}/…` (RFC 7643, RFC 7644): one door for a directory's calls.
//!
//! Every call goes one way: the caller is proven before anything of the call is read, path and method choose the
//! operation, the body is read within its bound, the use case answers, and a trace is left. It is dispatched here and
//! not by many routes, because identity providers append slashes and flags where no route would expect them, and every
//! answer, a 404 or 405 too, must be a SCIM error.

pub mod address;
mod bulk;
pub mod caller;
mod discovery;
pub mod error;
mod groups;
pub mod progress;
pub mod rate;
mod search;
mod trace;
mod users;

use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use portcullis_domain::Timestamp;
use portcullis_domain::id::RequestId;
use portcullis_domain::text::json_text;
use portcullis_scim::limits::MAX_BULK_BYTES;
use portcullis_scim::{DialectNote, MEDIA_TYPE, Notes, Preconditions, Projection, ResourceType, ScimError};
use portcullis_service::ServiceError;
use portcullis_service::provisioning::Speaker;
use portcullis_service::scim::base_url;
use serde_json::Value;

use crate::App;
use crate::edge::Source;
use crate::scope::request_id;
use crate::whole;
use address::{Address, Endpoint, Whose};
use error::Refused;

/// The largest body about one person, in bytes: photos and certificates travel inline.
pub const MAX_USER_BODY: usize = 1024 * 1024;
/// The largest body about a group, in bytes: room for as many members as one call may name.
pub const MAX_GROUP_BODY: usize = 16 * 1024 * 1024;

/// The largest body of a search, in bytes: a filter, some names and numbers.
pub const MAX_SEARCH_BODY: usize = 64 * 1024;

/// Bodies above that many bytes are neither parsed nor written where requests are served: it takes longer than a
/// request may.
const LARGE_BODY: usize = 256 * 1024;

/// The routes of this surface, also for a base URL that was joined with one slash too many, or whose directory is missing: no
/// client knows an error of another form.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/scim/v2", any(serve))
        .route("/scim/v2/", any(serve))
        .route("/scim/v2//{*rest}", any(serve))
        .route("/scim/v2/{directory}", any(serve))
        .route("/scim/v2/{directory}/", any(serve))
        .route("/scim/v2/{directory}/{*rest}", any(serve))
}

/// One call, before it is known who calls.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) address: Address,
    pub(crate) headers: HeaderMap,
    pub(crate) request: RequestId,
    pub(crate) source: Source,
    pub(crate) started_at: Timestamp,
    /// Which operation of a bulk request it is, from 0.
    pub(crate) operation: Option<usize>,
}

/// What an operation reaches: the product, who speaks, and what was asked.
pub(crate) struct Desk<'c> {
    pub(crate) app: &'c App,
    pub(crate) speaker: Speaker,
    pub(crate) call: &'c Call,
    pub(crate) base: String,
    /// How the call deviates from the standard, as far as it was read.
    notes: Mutex<Notes>,
}

impl<'c> Desk<'c> {
    /// The desk of a call.
    pub(crate) fn of(app: &'c App, speaker: Speaker, call: &'c Call) -> Self {
        let base = base_url(&app.portcullis().around().public_url, speaker.directory);
        let desk = Self { app, speaker, call, base, notes: Mutex::default() };
        desk.hear(call.address.notes());
        desk
    }

    /// Notes how the call deviates, each once.
    pub(crate) fn hear(&self, notes: impl IntoIterator<Item = DialectNote>) {
        let mut heard = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.into_iter().for_each(|note| heard.add(note));
    }

    /// What was noted so far.
    pub(crate) fn heard(&self) -> Vec<DialectNote> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).as_slice().to_vec()
    }

    /// What of a resource the answer shows.
    fn projection(&self) -> Result<Projection, ScimError> {
        Projection::from_parameters(self.parameters())
    }

    /// Whatever came of it: somebody may have come or gone, so totals that were counted before are forgotten.
    fn counted_anew<T>(
        &self,
        kind: ResourceType,
        outcome: Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        self.app.portcullis().totals().changed(self.speaker.directory, kind);
        outcome
    }

    /// Whether the answer shows what it is about. That to an operation of a bulk request does not.
    const fn is_shown(&self) -> bool {
        self.call.operation.is_none()
    }

    /// What the client says of the version that it knows.
    fn preconditions(&self) -> Result<Preconditions, ScimError> {
        let text = |name| self.call.headers.get(name).map(|v: &HeaderValue| v.to_str().unwrap_or(""));
        Preconditions::parse(text(header::IF_MATCH), text(header::IF_NONE_MATCH))
    }

    /// The decoded parameters of the URL.
    fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.call.address.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// What is answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Option<Value>,
    pub(crate) location: Option<String>,
    pub(crate) version: Option<String>,
    /// How much text is in the body, roughly, where that may be much.
    pub(crate) bytes: usize,
}

impl Answer {
    const fn of(status: StatusCode, body: Option<Value>) -> Self {
        Self { status, body, location: None, version: None, bytes: 0 }
    }

    pub(crate) const fn of_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    pub(crate) const fn ok(body: Value) -> Self {
        Self::of(StatusCode::OK, Some(body))
    }

    /// The same, of what was made and is there now.
    pub(crate) fn at(self, location: String) -> Self {
        Self { status: StatusCode::CREATED, location: Some(location), ..self }
    }

    pub(crate) const fn nothing() -> Self {
        Self::of(StatusCode::NO_CONTENT, None)
    }

    pub(crate) const fn not_modified() -> Self {
        Self::of(StatusCode::NOT_MODIFIED, None)
    }

    pub(crate) fn of_version(mut self, version: Option<String>) -> Self {
        self.version = version;
        self
    }
}

async fn serve(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let call = Call {
        address: Address::read(&parts.uri),
        request: request_id(&parts, &app),
        source: Source::of(&parts.extensions),
        started_at: app.portcullis().now(),
        operation: None,
        // What a HEAD is answered is what a GET is, without its body (RFC 9110 §9.3.2).
        method: if parts.method == Method::HEAD { Method::GET } else { parts.method },
        headers: parts.headers,
    };
    let speaker = match caller::prove(&app, &call).await {
        Ok(speaker) => speaker,
        Err((organization, refused)) => {
            if let Some(organization) = organization {
                trace::leave_unproven(&app, organization, &call, &refused);
            }
            return refused.into_response();
        }
    };
    if let Err(retry_after_s) = app.scim_rates().count(speaker.directory, call.started_at) {
        // No trace: whoever calls that often must not fill the organization's page.
        return Refused::too_many(retry_after_s).into_response();
    }
    let desk = Desk::of(&app, speaker, &call);
    let mut bytes = Bytes::new();
    let outcome = match body_of(&call, body).await {
        Ok(read) => {
            bytes = read;
            dispatch(&desk, &bytes).await
        }
        Err(refused) => Err(refused),
    };
    if outcome.is_ok() {
        // Counted are the deviations that were understood.
        app.portcullis().dialects().note(speaker, &desk.heard(), call.started_at);
    }
    trace::leave(&desk, &bytes, &outcome);
    match outcome {
        Ok(answer) => match respond(answer).await {
            Ok(response) => response,
            Err(refused) => refused.into_response(),
        },
        Err(refused) => refused.into_response(),
    }
}

/// The body, as far as the operation takes one.
async fn body_of(call: &Call, body: Body) -> Result<Bytes, Refused> {
    let max_bytes = match (&call.method, &call.address.endpoint) {
        (&Method::POST | &Method::PUT | &Method::PATCH, Endpoint::Users | Endpoint::User(_)) => MAX_USER_BODY,
        (&Method::POST, Endpoint::Search(_)) => MAX_SEARCH_BODY,
        (&Method::POST, Endpoint::Bulk) => MAX_BULK_BYTES,
        (&Method::POST | &Method::PUT | &Method::PATCH, Endpoint::Groups | Endpoint::Group(_)) => {
            MAX_GROUP_BODY
        }
        _ => return Ok(Bytes::new()),
    };
    if !is_json(&call.headers) {
        return Err(ScimError::UnsupportedMediaType.into());
    }
    whole::read(&call.headers, body, max_bytes).await.map_err(Refused::from)
}

/// Whether the content type is one that is taken. A client that names none means JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let kind = value.to_str().unwrap_or("").split(';').next().unwrap_or("").trim();
    kind.is_empty() || kind.eq_ignore_ascii_case(MEDIA_TYPE) || kind.eq_ignore_ascii_case("application/json")
}

/// What a body says. A large one is read on a thread of its own, so that nobody else waits for it.
async fn parsed<T: Send + 'static>(
    desk: &Desk<'_>,
    body: &Bytes,
    parse: fn(&[u8], &mut Notes) -> Result<T, ScimError>,
) -> Result<T, Refused> {
    let (body, bytes) = (body.clone(), body.len());
    let read = move || {
        let mut notes = Notes::default();
        (parse(&body, &mut notes), notes)
    };
    let (said, notes) = aside(bytes, read).await?;
    desk.hear(notes.as_slice().iter().cloned());
    Ok(said?)
}

/// Work over so many bytes. What is large is done on a thread of its own, so that nobody else waits for it.
async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    if bytes <= LARGE_BODY {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|e| ServiceError::fault("work aside", e).into())
}

async fn dispatch(desk: &Desk<'_>, body: &Bytes) -> Result<Answer, Refused> {
    match (&desk.call.address.endpoint, &desk.call.method) {
        (Endpoint::Bulk, &Method::POST) => bulk::run(desk, body).await,
        _ => dispatch_one(desk, body).await,
    }
}

/// Everything but a bulk request, which consists of these.
async fn dispatch_one(desk: &Desk<'_>, body: &Bytes) -> Result<Answer, Refused> {
    desk.call.address.check_parameters()?;
    let answer = dispatch_uncounted(desk, body).await?;
    let kind = match &desk.call.address.endpoint {
        Endpoint::Users | Endpoint::User(_) => ResourceType::User,
        Endpoint::Groups | Endpoint::Group(_) => ResourceType::Group,
        _ => return Ok(answer),
    };
    if desk.call.method != Method::GET {
        let (imports, directory) = (desk.app.scim_imports(), desk.speaker.directory);
        if let Some(import) = imports.count(directory, kind, desk.call.started_at) {
            tracing::info!(
                organization.id = %desk.speaker.organization,
                directory.id = %directory,
                import.people = import.people,
                import.groups = import.groups,
                import.lasted_s = import.lasted_s,
                "a directory is being synchronised"
            );
        }
    }
    Ok(answer)
}

async fn dispatch_uncounted(desk: &Desk<'_>, body: &Bytes) -> Result<Answer, Refused> {
    match (&desk.call.address.endpoint, &desk.call.method) {
        (Endpoint::NotServed, _) => Err(ScimError::NotImplemented.into()),
        (Endpoint::Unknown, _) => Err(ScimError::NotFound.into()),
        (Endpoint::All, &Method::GET) => search::by_parameters(desk, Whose::All).await,
        (Endpoint::Search(whose), &Method::POST) => search::by_body(desk, *whose, body).await,
        (Endpoint::Users, &Method::GET) => search::by_parameters(desk, Whose::Users).await,
        (Endpoint::Users, &Method::POST) => users::create(desk, body).await,
        (Endpoint::User(id), &Method::GET) => users::read(desk, id).await,
        (Endpoint::User(id), &Method::PUT) => users::replace(desk, id, body).await,
        (Endpoint::User(id), &Method::PATCH) => users::patch(desk, id, body).await,
        (Endpoint::User(id), &Method::DELETE) => users::delete(desk, id).await,
        (Endpoint::Groups, &Method::GET) => search::by_parameters(desk, Whose::Groups).await,
        (Endpoint::Groups, &Method::POST) => groups::create(desk, body).await,
        (Endpoint::Group(id), &Method::GET) => groups::read(desk, id).await,
        (Endpoint::Group(id), &Method::PUT) => groups::replace(desk, id, body).await,
        (Endpoint::Group(id), &Method::PATCH) => groups::patch(desk, id, body).await,
        (Endpoint::Group(id), &Method::DELETE) => groups::delete(desk, id).await,
        (Endpoint::Discovery(document), &Method::GET) => discovery::read(desk, document).await,
        (endpoint, _) => Err(Refused::method(endpoint.allowed())),
    }
}

async fn respond(answer: Answer) -> Result<Response, Refused> {
    let mut response = match answer.body {
        Some(body) => {
            let text = aside(answer.bytes, move || json_text(&body)).await?;
            (answer.status, text).into_response()
        }
        None => answer.status.into_response(),
    };
    let has_body = !matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let headers = response.headers_mut();
    if has_body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    }
    if let Some(location) = answer.location.and_then(|l| HeaderValue::from_str(&l).ok()) {
        headers.insert(header::LOCATION, location);
    }
    if let Some(version) = answer.version.and_then(|v| HeaderValue::from_str(&v).ok()) {
        headers.insert(header::ETAG, version);
    }
    Ok(response)
}
