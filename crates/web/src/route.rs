//! The table of the administration API: one row a route.
//!
//! Router, permission check, OpenAPI document, reference page and the route × persona matrix are made from the same
//! rows, so none of them can forget a route. (A ready-made OpenAPI macro would describe a handler beside it; here the
//! description is what mounts it.)

use std::sync::Arc;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{self, MethodRouter};
use axum::{Extension, Router};
use portcullis_domain::permission::Permission;
use portcullis_service::mask::shown;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use url::form_urlencoded;

use crate::App;
use crate::error::Problem;

/// What a caller needs for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A permission in the organization that the path names.
    Permission(Permission),
    /// That permission; the root token also asks of an organization that was deleted, because its records stay.
    PermissionOfRecords(Permission),
    /// That permission, or the thing is one's own: the use case decides, because it depends on whose thing it is.
    PermissionOrOwn(Permission),
    /// That permission, or the person is one whom the caller leads: the use case decides.
    PermissionOrLed(Permission),
    /// The root token.
    Root,
    /// Any live token that may call.
    Known,
    /// Nobody need be known.
    Nothing,
}

/// The query parameters that a route takes, as its row names them.
#[derive(Debug, Clone)]
pub struct Queries(Arc<[&'static str]>);

impl Queries {
    /// Refuses a call by the first parameter that its route does not take: a filter that is not understood would answer with
    /// too much, and a wish that nobody reads would be taken for granted.
    ///
    /// # Errors
    /// 400 `unknown_field`.
    pub fn check(&self, query: Option<&str>) -> Result<(), Problem> {
        let mut named = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        match named.find(|(name, _)| !self.0.contains(&&**name)) {
            Some((name, _)) => {
                let name = shown(&name);
                let detail = format!("unknown field `{name}`: this call takes no such query parameter");
                Err(Problem::bad_request("unknown_field", detail))
            }
            None => Ok(()),
        }
    }
}

/// A function that describes a type to the document.
type Describe = fn(&mut SchemaGenerator) -> Schema;

/// One route.
#[derive(Clone)]
pub struct Operation {
    /// GET, POST, PATCH or DELETE.
    pub method: Method,
    /// The path below `/api/v1`.
    pub path: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What a caller needs.
    pub needs: Needs,
    /// What it takes.
    pub takes: Option<Describe>,
    /// The status of success.
    pub status: u16,
    /// What it answers with.
    pub gives: Option<Describe>,
    /// Query parameters, with what they mean.
    pub query: Vec<(&'static str, &'static str)>,
    /// Codes of refusals that are its own, besides those of every route.
    pub refusals: Vec<&'static str>,
    handler: MethodRouter<App>,
}

impl Operation {
    fn new(
        method: Method,
        status: u16,
        path: &'static str,
        needs: Needs,
        summary: &'static str,
        handler: MethodRouter<App>,
    ) -> Self {
        let handler = handler.layer(Extension(needs));
        Self {
            method,
            path,
            summary,
            needs,
            takes: None,
            status,
            gives: None,
            query: vec![],
            refusals: vec![],
            handler,
        }
    }

    /// A GET that answers 200.
    pub fn get<H, T>(path: &'static str, needs: Needs, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new(Method::GET, 200, path, needs, summary, routing::get(handler))
    }

    /// A POST that makes something and answers 201.
    pub fn create<H, T>(path: &'static str, needs: Needs, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new(Method::POST, 201, path, needs, summary, routing::post(handler))
    }

    /// A POST that does something and answers 200.
    pub fn act<H, T>(path: &'static str, needs: Needs, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new(Method::POST, 200, path, needs, summary, routing::post(handler))
    }

    /// A POST that begins something and answers 202.
    pub fn begin<H, T>(path: &'static str, needs: Needs, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new(Method::POST, 202, path, needs, summary, routing::post(handler))
    }

    /// A PATCH that answers 200.
    pub fn patch<H, T>(path: &'static str, needs: Needs, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new(Method::PATCH, 200, path, needs, summary, routing::patch(handler))
    }

    /// A DELETE that answers 204.
    pub fn delete<H, T>(path: &'static str, needs: Needs, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new(Method::DELETE, 204, path, needs, summary, routing::delete(handler))
    }

    /// The same, taking that body.
    #[must_use]
    pub fn takes<T: JsonSchema>(mut self) -> Self {
        self.takes = Some(|generator| generator.subschema_for::<T>());
        self
    }

    /// The same, answering with that body.
    #[must_use]
    pub fn gives<T: JsonSchema>(mut self) -> Self {
        self.gives = Some(|generator| generator.subschema_for::<T>());
        self
    }

    /// The same, with a query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, meaning: &'static str) -> Self {
        self.query.push((name, meaning));
        self
    }

    /// The same, a list with `limit` and `cursor`.
    #[must_use]
    pub fn paged(self) -> Self {
        self.query("limit", "Items a page: 1–200, default 50.")
            .query("cursor", "The `next` of the page before.")
    }

    /// The same, refusing with these codes too.
    #[must_use]
    pub fn refuses(mut self, codes: &[&'static str]) -> Self {
        self.refusals.extend_from_slice(codes);
        self
    }
}

/// A router of these rows.
pub fn router(operations: &[Operation]) -> Router<App> {
    operations.iter().fold(Router::new(), |router, op| {
        let queries = Queries(op.query.iter().map(|(name, _)| *name).collect());
        router.route(op.path, op.handler.clone().layer(Extension(queries)))
    })
}
