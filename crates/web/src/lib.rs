//! HTTP: routes, callers, wire types and errors; the hosted pages.
//!
//! Only this room knows axum, cookies, HTML and status codes. A handler proves its caller by an extractor, reads its
//! input once into a wire type, calls one use case, and turns the outcome into the surface's own words. Each route of
//! the administration API stands once in a table ([`route::Operation`]), from which router, OpenAPI document,
//! permission check and the route × persona matrix are made.

pub mod access;
pub mod api;
pub mod body;
pub mod cookie;
pub mod edge;
pub mod error;
pub mod keys;
pub mod once;
pub mod route;
pub mod scim;
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
    edge: edge::EdgeSettings,
    scim_failures: scim::caller::Failures,
}

impl App {
    /// The product, behind HTTP.
    #[must_use]
    pub fn new(portcullis: Portcullis, edge: edge::EdgeSettings) -> Self {
        Self { inner: Arc::new(Inner { portcullis, edge, scim_failures: scim::caller::Failures::default() }) }
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
        .layer(edge)
        .with_state(app)
}
