//! HTTP: routes, callers, wire types and errors; the hosted pages.
//!
//! Only this room knows axum, cookies, HTML and status codes. A handler proves its caller by an extractor, reads its
//! input once into a wire type, calls one use case, and turns the outcome into the surface's own words. Each route of
//! the administration API stands once in a table ([`route::Operation`]), from which router, OpenAPI document,
//! permission check and the route × persona matrix are made.

pub mod access;
pub mod api;
pub mod body;
pub mod codes;
pub mod cookie;
pub mod edge;
pub mod error;
pub mod health;
pub mod keys;
pub mod named;
mod objects;
pub mod once;
pub mod openapi;
pub mod pace;
pub mod pages;
pub mod route;
pub mod scim;
pub mod scope;
pub mod sso;
mod whole;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use portcullis_service::Portcullis;
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::{Inside, Problem};

/// What every handler may reach.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

/// Renders the metrics of the process for a scraper.
pub type RenderMetrics = Box<dyn Fn() -> String + Send + Sync>;

struct Inner {
    portcullis: Portcullis,
    edge: edge::EdgeSettings,
    scim_failures: scim::caller::Failures,
    scim_rates: scim::rate::Rates,
    scim_imports: scim::progress::Imports,
    turns: sso::turn::Turns,
    metrics: Option<RenderMetrics>,
    draining: AtomicBool,
}

impl App {
    /// The product, behind HTTP.
    #[must_use]
    pub fn new(portcullis: Portcullis, edge: edge::EdgeSettings) -> Self {
        Self::with_metrics(portcullis, edge, None)
    }

    /// The same, with metrics for scrapers.
    #[must_use]
    pub fn with_metrics(
        portcullis: Portcullis,
        edge: edge::EdgeSettings,
        metrics: Option<RenderMetrics>,
    ) -> Self {
        let scim_failures = scim::caller::Failures::default();
        let scim_rates = scim::rate::Rates::default();
        let scim_imports = scim::progress::Imports::default();
        let turns = sso::turn::Turns::default();
        let draining = AtomicBool::new(false);
        let inner =
            Inner { portcullis, edge, scim_failures, scim_rates, scim_imports, turns, metrics, draining };
        Self { inner: Arc::new(inner) }
    }

    /// From now on the server is not ready: requests that came are answered, no new ones should come.
    pub fn drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn metrics(&self) -> Option<String> {
        self.inner.metrics.as_ref().map(|render| render())
    }

    /// What the operator said of the edge.
    #[must_use]
    pub fn edge(&self) -> &edge::EdgeSettings {
        &self.inner.edge
    }

    /// Failed attempts of directories' callers.
    #[must_use]
    pub fn scim_failures(&self) -> &scim::caller::Failures {
        &self.inner.scim_failures
    }

    /// How fast directories call.
    #[must_use]
    pub fn scim_rates(&self) -> &scim::rate::Rates {
        &self.inner.scim_rates
    }

    /// Imports of directories under way.
    #[must_use]
    pub fn scim_imports(&self) -> &scim::progress::Imports {
        &self.inner.scim_imports
    }

    /// Tabs that come in.
    #[must_use]
    pub fn turns(&self) -> &sso::turn::Turns {
        &self.inner.turns
    }

    /// The use cases.
    #[must_use]
    pub fn portcullis(&self) -> &Portcullis {
        &self.inner.portcullis
    }
}

/// Every surface that stands.
pub fn router(app: App) -> Router {
    let api = route::router(&api::operations());
    let edge = axum::middleware::from_fn_with_state(app.clone(), edge::edge);
    Router::new()
        .nest("/api/v1", api)
        .merge(access::routes())
        .merge(keys::routes())
        .merge(scim::routes())
        .merge(health::routes())
        .merge(pages::routes())
        .merge(sso::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(edge)
        .with_state(app)
}

/// Where nobody looks with a browser: what is answered there is JSON, whatever a program's library says that it accepts.
const OF_PROGRAMS: [&str; 6] = ["/api/", "/scim/", "/access/", "/authz/", "/o/", "/.well-known/"];

async fn unknown(State(app): State<App>, asked: Parts) -> Response {
    let is_for_programs = OF_PROGRAMS.iter().any(|prefix| asked.uri.path().starts_with(prefix));
    if !is_for_programs && is_a_persons(&asked.headers) {
        let words = "There is no page at this address.";
        let request = scope::request_id(&asked, &app);
        return pages::failure::plain(StatusCode::NOT_FOUND, "not_found", words, request);
    }
    let detail = "there is nothing under this path; `/api/v1/openapi.json` lists the administration API";
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail).into_response()
}

/// Whether a browser shows the answer to a person: it asks for HTML by name, which programs do not.
fn is_a_persons(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split([',', ';']).any(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

async fn other_method() -> Problem {
    let detail = "this path does not take that method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// One bad request must not end the process, nor say anything of its inside.
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let message = format!("a handler panicked: {}", said.unwrap_or("it said nothing"));
    let detail = "something went wrong on our side; the log has it under the request id";
    let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
    Problem { inside: Some(Box::new(Inside { code: "internal", message })), ..problem }.into_response()
}
