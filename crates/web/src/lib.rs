//! HTTP: routes, callers, wire types and errors; the hosted pages.
//!
//! Only this room knows axum, cookies, HTML and status codes. A handler proves its caller by an extractor, reads its
//! input once into a wire type, calls one use case, and turns the outcome into the surface's own words. Each route of
//! the administration API stands once in a table ([`route::Operation`]), from which router, OpenAPI document,
//! permission check and the route × persona matrix are made.

pub mod api;
pub mod body;
pub mod error;
pub mod route;
pub mod scope;

use std::sync::Arc;

use axum::Router;
use portcullis_service::Portcullis;

/// What every handler may reach.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    portcullis: Portcullis,
}

impl App {
    /// The product, behind HTTP.
    #[must_use]
    pub fn new(portcullis: Portcullis) -> Self {
        Self { inner: Arc::new(Inner { portcullis }) }
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
    Router::new().nest("/api/v1", api).with_state(app)
}
