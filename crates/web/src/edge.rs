//! The edge: what happens to every request before and after its handler.
//!
//! Each request gets an id that its caller sees; another Host than ours is refused, because URLs and cookies belong to
//! one origin; the source address is taken from the connection, or from trusted proxies only; each answer carries the
//! headers that browsers need to be told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use portcullis_domain::Timestamp;
use portcullis_domain::id::RequestId;
use portcullis_service::proof;
use tracing::{Instrument as _, Span};

use crate::App;
use crate::error::{Inside, Problem};
use crate::pace::{self, Pace, Slow};
use crate::scope;

/// Paths that probes and proxies call under another name than ours.
const ANY_HOST: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/authz/forward"];
/// How the routes begin that directories call.
const SCIM_ROUTES: &str = "/scim/v2/";
/// The header that names a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The most entries of `X-Forwarded-For` that are read, from the right.
const MAX_FORWARDED: usize = 32;

/// What the operator said of the edge.
#[derive(Debug, Clone, Default)]
pub struct EdgeSettings {
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// How fast bodies must come.
    pub pace: Pace,
}

/// Where a request came from, as far as that can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(pub IpAddr);

impl Source {
    /// The source of a request; the unspecified address if nothing is known (tests without a socket).
    #[must_use]
    pub fn of(extensions: &axum::http::Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }
}

/// The rightmost entry that no trusted proxy wrote for itself. An entry that is no address ends the search: what stands
/// left of it is a client's word.
fn source(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    if !is_trusted(peer) {
        return peer;
    }
    let mut entries: Vec<&str> = Vec::new();
    for value in headers.get_all("x-forwarded-for") {
        entries.extend(value.to_str().unwrap_or("").split(','));
    }
    let mut last = peer;
    for entry in entries.iter().rev().take(MAX_FORWARDED) {
        let Some(address) = named_in(entry.trim()) else { return last };
        if !is_trusted(address) {
            return address;
        }
        last = address;
    }
    last
}

/// The address of an entry: some proxies write the port that their caller had beside it, and IPv6 in brackets then.
fn named_in(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse::<SocketAddr>().ok().map(|named| named.ip());
    entry.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// The authority that a request names: of an absolute URI or `:authority`, else of its one Host header.
fn authority<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    uri.authority()
        .map(axum::http::uri::Authority::as_str)
        .or_else(|| scope::only(headers, &header::HOST).and_then(|h| h.to_str().ok()))
}

/// Whether an authority is the public URL's: the same host and port, default ports left out or not.
fn is_ours(authority: &str, public: &url::Url) -> bool {
    if authority == public.authority() {
        return true;
    }
    let Ok(named) = url::Url::parse(&format!("{}://{authority}/", public.scheme())) else { return false };
    named.host_str() == public.host_str()
        && named.port_or_known_default() == public.port_or_known_default()
        && named.username().is_empty()
        && named.path() == "/"
}

/// Wraps every request.
pub async fn edge(State(app): State<App>, mut request: Request<Body>, next: Next) -> Response {
    let started_at = app.portcullis().now();
    let id = {
        let mut moment = app.portcullis().moment();
        RequestId::fresh(moment.now, &mut moment.random)
    };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip());
    if let Some(peer) = peer {
        let from = source(peer.to_canonical(), request.headers(), &app.edge().trusted_proxies);
        request.extensions_mut().insert(Source(from));
    }
    request.extensions_mut().insert(scope::InRequest(id));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|p| p.as_str().to_owned());
    let path = request.uri().path().to_owned();
    let host_free = ANY_HOST.contains(&path.as_str());
    let ours = host_free
        || authority(request.uri(), request.headers())
            .is_some_and(|a| is_ours(a, &app.portcullis().around().public_url));
    let span = span(&method, route.as_deref(), id);
    let mut counted = Counted {
        app: app.clone(),
        started_at,
        method: method.clone(),
        route: route.unwrap_or_else(|| "(none)".to_owned()),
        status: given_up(),
    };
    let mut response = if ours {
        answer(request, next, id, app.edge().pace).instrument(span.clone()).await
    } else {
        misdirected()
    };
    stamp(response.headers_mut(), id, &app.portcullis().around().public_url);
    if let Some(inside) = response.extensions_mut().remove::<Inside>() {
        inside.log(id, method.as_str(), &counted.route);
    }
    let status = response.status();
    span.record("http.status", status.as_u16());
    tracing::debug!(
        http.method = %method, http.route = %counted.route, http.status = status.as_u16(),
        duration_us = counted.micros(), request.id = %id, "request"
    );
    counted.status = status;
    response
}

/// Counts a request when it is dropped, whatever became of it: where its caller gives up, nothing of [`edge`] is carried on,
/// and a database so slow that nobody waits for it would look like a quiet day.
struct Counted {
    app: App,
    started_at: Timestamp,
    method: Method,
    route: String,
    /// What was answered; until then, that nobody waits any more.
    status: StatusCode,
}

impl Counted {
    fn micros(&self) -> i64 {
        self.app.portcullis().now().micros() - self.started_at.micros()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let (method, route) = (method_label(&self.method).to_owned(), std::mem::take(&mut self.route));
        #[expect(
            clippy::cast_precision_loss,
            reason = "a histogram takes floats; no request lasts 2^52 microseconds"
        )]
        let seconds = self.micros() as f64 / 1_000_000.0;
        metrics::histogram!("portcullis_http_request_seconds", "surface" => surface(&route)).record(seconds);
        if route.starts_with(SCIM_ROUTES) {
            let labels = [("method", method.clone()), ("outcome", scim_outcome(self.status).to_owned())];
            metrics::counter!("portcullis_scim_calls_total", &labels).increment(1);
        }
        let labels = [("method", method), ("route", route), ("status", self.status.as_u16().to_string())];
        metrics::counter!("portcullis_http_requests_total", &labels).increment(1);
    }
}

/// The surface that a route belongs to, as a label of a metric.
fn surface(route: &str) -> &'static str {
    match route {
        route if route.starts_with(SCIM_ROUTES) => "scim",
        route if route.starts_with("/api/") => "api",
        route if route.starts_with("/access/") || route.starts_with("/authz/") => "checks",
        _ => "other",
    }
}

/// What the handler answers; if the body did not come, what its caller must know, whatever its reader made of it.
async fn answer(request: Request<Body>, next: Next, id: RequestId, pace: Pace) -> Response {
    let (parts, body) = request.into_parts();
    let (body, late) = pace::keep(body, pace);
    let slow = Slow::of(&parts);
    let request = Request::from_parts(parts, body);
    let response = proof::beside(next.run(request)).await;
    if late.is() { slow.refusal(id) } else { response }
}

/// What is counted where the caller did not wait for an answer, as proxies write it into their logs. Nobody is sent it.
fn given_up() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT)
}

/// How a directory's call ended, as its administrator would tell it.
fn scim_outcome(status: StatusCode) -> &'static str {
    match status {
        status if status == given_up() => "given_up",
        StatusCode::UNAUTHORIZED => "unauthenticated",
        StatusCode::TOO_MANY_REQUESTS => "throttled",
        status if status.is_server_error() => "failed",
        status if status.is_client_error() => "refused",
        _ => "done",
    }
}

/// The method as a label of a metric: callers may make methods up, and each label is kept for good.
fn method_label(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS => method.as_str(),
        _ => "(other)",
    }
}

/// The span of a request. It is a debug one, because it is made only where spans are exported.
fn span(method: &Method, route: Option<&str>, id: RequestId) -> Span {
    let route = route.unwrap_or("(none)");
    tracing::debug_span!(
        "request", otel.name = %format_args!("{method} {route}"), otel.kind = "server", http.method = %method,
        http.route = route, http.status = tracing::field::Empty, request.id = %id
    )
}

fn misdirected() -> Response {
    let detail = "this server answers under its public URL only; set `public_url` to the name that you call";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", detail).into_response()
}

fn stamp(headers: &mut HeaderMap, id: RequestId, public: &url::Url) {
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.entry(REQUEST_ID).or_insert(value);
    }
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if public.scheme() == "https" {
        headers
            .entry(header::STRICT_TRANSPORT_SECURITY)
            .or_insert(HeaderValue::from_static("max-age=31536000"));
    }
}

#[cfg(test)]
#[path = "edge_tests.rs"]
mod tests;
