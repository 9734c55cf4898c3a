//! Who calls, and about which organization: proven before a handler runs.
//!
//! The permission comes from the route's row in the table, so a handler cannot forget to ask for it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_domain::cause::Cause;
use portcullis_domain::id::RequestId;
use portcullis_domain::organization::Organization;
use portcullis_service::caller::{Caller, authenticate};
use portcullis_service::noun::Noun;
use portcullis_service::proof::{self, AsOf, Proof, Who};
use portcullis_service::{ServiceError, organization};
use secrecy::SecretString;

use crate::App;
use crate::error::Problem;
use crate::once::IDEMPOTENCY_KEY;
use crate::route::{Needs, Queries};

/// The request's id, as its caller sees it in `X-Request-Id`. Put into the extensions by the edge.
#[derive(Debug, Clone, Copy)]
pub struct InRequest(pub RequestId);

/// The bearer text of a request: `Authorization: Bearer …`.
#[must_use]
pub fn bearer(parts: &Parts) -> Option<&str> {
    bearer_of(&parts.headers)
}

/// The bearer text of a request's headers; of two none, because two readers would see two.
#[must_use]
pub fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    let value = only(headers, &AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.trim())
}

/// A header that came once.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// A caller who is known, in a request.
#[derive(Debug, Clone)]
pub struct Known {
    /// Who calls.
    pub caller: Caller,
    /// In which request.
    pub request: RequestId,
}

impl Known {
    /// The cause of what this call asks for.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.caller.cause(self.request)
    }
}

/// A caller who may do what the route is for, in the organization that the path names.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Who calls.
    pub caller: Caller,
    /// In which request.
    pub request: RequestId,
    /// About which organization.
    pub organization: Organization,
}

impl Scope {
    /// The cause of what this call asks for.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.caller.cause(self.request)
    }
}

pub(crate) fn request_id(parts: &Parts, app: &App) -> RequestId {
    parts.extensions.get::<InRequest>().map_or_else(
        || {
            let mut moment = app.portcullis().moment();
            RequestId::fresh(moment.now, &mut moment.random)
        },
        |r| r.0,
    )
}

impl FromRequestParts<App> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let presented = bearer(parts).ok_or_else(Problem::unauthenticated)?.to_owned();
        let request = request_id(parts, app);
        let shown = SecretString::from(presented.clone());
        let needs = parts.extensions.get::<Needs>().copied();
        let uses = Arc::clone(app.portcullis().uses());
        let (caller, as_of) = app
            .portcullis()
            .read(move |tx, now| {
                let as_of = AsOf::read(tx, now)?;
                let caller = authenticate(tx, &uses, &presented, now)?;
                if needs == Some(Needs::Root) {
                    caller.must_be_root()?;
                }
                Ok((caller, as_of))
            })
            .await?;
        proof::keep(Proof { presented: shown, who: Who::Caller(caller.clone()), as_of });
        must_know_the_query(parts)?;
        if matches!(caller, Caller::Root) {
            app.portcullis().notice_root_use(request);
        }
        Ok(Self { caller, request })
    }
}

impl FromRequestParts<App> for Scope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let presented = bearer(parts).ok_or_else(Problem::unauthenticated)?.to_owned();
        let shown = SecretString::from(presented.clone());
        let request = request_id(parts, app);
        let needs = parts.extensions.get::<Needs>().copied().unwrap_or(Needs::Root);
        let path = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| Problem::bad_request("invalid_path", "the path is not valid UTF-8"))?;
        let named = path.iter().find(|(key, _)| *key == "org").map(|(_, value)| value.to_owned());
        let named = named.unwrap_or_default();
        let uses = Arc::clone(app.portcullis().uses());
        let (caller, organization, as_of) = app
            .portcullis()
            .read(move |tx, now| {
                let as_of = AsOf::read(tx, now)?;
                let caller = authenticate(tx, &uses, &presented, now)?;
                let organization = match needs {
                    Needs::PermissionOfRecords(_) if matches!(caller, Caller::Root) => {
                        organization::of_log(tx, &named)?
                    }
                    _ => organization::named(tx, &named)?,
                };
                match needs {
                    Needs::Permission(permission) | Needs::PermissionOfRecords(permission) => {
                        caller.may(permission, organization.id)?
                    }
                    // A service key owns nothing and leads nobody.
                    Needs::PermissionOrOwn(permission) | Needs::PermissionOrLed(permission)
                        if matches!(caller, Caller::Service { .. }) =>
                    {
                        caller.may(permission, organization.id)?;
                    }
                    Needs::PermissionOrOwn(_) | Needs::PermissionOrLed(_) => {
                        caller.belongs_to(organization.id)?;
                    }
                    Needs::Root => {
                        // A foreign organization answers as an unknown one here too.
                        caller.belongs_to(organization.id)?;
                        caller.must_be_root()?;
                    }
                    Needs::Known | Needs::Nothing => return Err(ServiceError::NotFound(Noun::Organization)),
                }
                Ok((caller, organization, as_of))
            })
            .await?;
        proof::keep(Proof { presented: shown, who: Who::Caller(caller.clone()), as_of });
        must_know_the_query(parts)?;
        let scope = Self { caller, request, organization };
        if matches!(scope.caller, Caller::Root) {
            app.portcullis().notice_root_use(scope.request);
        }
        if matches!(scope.caller, Caller::Root) && may_only_show(parts, needs) {
            let path = parts.uri.path().to_owned();
            app.portcullis().note_root_read(&[scope.organization.id], path, scope.cause()).await?;
        }
        Ok(scope)
    }
}

/// Refuses what the route's row does not name, once its caller is known: whoever may not call learns nothing of the call.
fn must_know_the_query(parts: &Parts) -> Result<(), Problem> {
    parts.extensions.get::<Queries>().map_or(Ok(()), |queries| queries.check(parts.uri.query()))
}

/// Whether a call may be answered with what there is and change nothing that would name its caller: it asks by a method that
/// only reads, needs no more than to see, changes what may be so already, or may be answered again.
fn may_only_show(parts: &Parts, needs: Needs) -> bool {
    let sees = match needs {
        Needs::Permission(p)
        | Needs::PermissionOfRecords(p)
        | Needs::PermissionOrOwn(p)
        | Needs::PermissionOrLed(p) => p.only_sees(),
        Needs::Root | Needs::Known | Needs::Nothing => false,
    };
    let is_again = parts.headers.contains_key(IDEMPOTENCY_KEY);
    sees || is_again || matches!(parts.method, Method::GET | Method::HEAD | Method::PATCH)
}
