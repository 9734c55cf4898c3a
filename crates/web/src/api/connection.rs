//! `/organizations/{org}/connections`: identity providers for sign-in.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::id::{ConnectionId, DirectoryId, OrganizationId};
use portcullis_domain::permission::Permission::{ConnectionsRead, ConnectionsWrite};
use portcullis_domain::text::Slug;
use portcullis_service::connection::{self, ConnectionView, Ground, Newcomers, Wanted};
use portcullis_service::directory::Governed;
use portcullis_service::{Portcullis, ServiceError, sign_in};
use portcullis_store::Priority;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::id;
use crate::App;
use crate::body::{At, Body, Page, PageQuery, Params, present};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// A sign-in connection.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Connection {
    /// Its id.
    id: String,
    /// Its protocol.
    kind: &'static str,
    /// Its name for people.
    name: String,
    /// The issuer, compared byte for byte.
    issuer: String,
    /// Our client id there.
    client_id: String,
    /// The directory that governs its people.
    directory: Option<String>,
    /// The directory of its claims, for mappings.
    claims_directory: String,
    /// Whether a first sign-in may make a membership.
    jit: bool,
    /// The role of people in no mapped group of its claims.
    default_role: Option<String>,
    /// The claim that carries groups; `groups` if null.
    groups_claim: Option<String>,
    /// Where its sessions act.
    environment: String,
    /// The e-mail domains that are routed here.
    domains: Vec<String>,
    /// False while a change of issuer or keys waits for an owner: holders of explicit-only roles are refused.
    confirmed: bool,
    /// Where a browser begins to sign in.
    login_url: String,
    /// What the provider must have registered.
    redirect_uri: String,
    /// When it was made.
    created_at: At,
}

impl Connection {
    fn of(portcullis: &Portcullis, view: ConnectionView) -> Self {
        let c = view.connection;
        Self {
            kind: c.kind.as_str(),
            name: c.name,
            issuer: c.issuer,
            client_id: c.client_id,
            directory: c.directory.map(|d| d.to_string()),
            claims_directory: c.claims_directory.to_string(),
            jit: c.jit_at.is_some(),
            default_role: view.default_role.map(|r| r.to_string()),
            groups_claim: c.groups_claim,
            environment: c.environment.to_string(),
            domains: c.domains,
            confirmed: c.unconfirmed_at.is_none(),
            login_url: portcullis.around().url(&format!("/sso/oidc/{}/login", c.id)),
            redirect_uri: sign_in::oidc::redirect_uri(portcullis, c.id),
            created_at: At(c.created_at),
            id: c.id.to_string(),
        }
    }
}

/// A new connection.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConnection {
    /// `oidc`; `saml` comes later.
    kind: String,
    /// Its name for people.
    name: String,
    /// OIDC: the issuer, exactly as the provider writes it.
    issuer: Option<String>,
    /// OIDC: our client id there.
    client_id: Option<String>,
    /// OIDC: our client secret there. Kept sealed and never shown.
    client_secret: Option<String>,
    /// SAML: where the provider's metadata is.
    metadata_url: Option<String>,
    /// SAML: the provider's metadata.
    metadata_xml: Option<String>,
    /// The directory that governs its people.
    directory: Option<String>,
    /// Whether a first sign-in may make a membership; not with `directory`.
    #[serde(default)]
    jit: bool,
    /// The role of people in no mapped group of its claims.
    #[schemars(with = "Option<String>")]
    default_role: Option<Slug>,
    /// The claim that carries groups; `groups` if absent.
    groups_claim: Option<String>,
    /// Where its sessions act; `production` if absent.
    #[schemars(with = "Option<String>")]
    environment: Option<Slug>,
    /// The e-mail domains that are routed here: domains of the organization.
    #[serde(default)]
    domains: Vec<String>,
}

/// What changes of a connection. Fields that are absent stay.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionPatch {
    /// Its name for people.
    name: Option<String>,
    /// The issuer.
    issuer: Option<String>,
    /// Our client id there.
    client_id: Option<String>,
    /// Our client secret there: providers let secrets run out.
    client_secret: Option<String>,
    /// The directory that governs its people; null for none.
    #[serde(default, deserialize_with = "present")]
    directory: Option<Option<String>>,
    /// Whether a first sign-in may make a membership.
    jit: Option<bool>,
    /// The role of people in no mapped group; null for none.
    #[schemars(with = "Option<String>")]
    #[serde(default, deserialize_with = "present")]
    default_role: Option<Option<Slug>>,
    /// The claim that carries groups; null for `groups`.
    #[serde(default, deserialize_with = "present")]
    groups_claim: Option<Option<String>>,
    /// Where its sessions act.
    #[schemars(with = "Option<String>")]
    environment: Option<Slug>,
    /// The e-mail domains that are routed here, all of them.
    domains: Option<Vec<String>>,
}

/// What becomes of the people whom its claims brought.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deletion {
    people: Option<PeopleWish>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PeopleWish {
    Keep,
    Offboard,
}

const LIST: &str = "/organizations/{org}/connections";
const ONE: &str = "/organizations/{org}/connections/{connection}";
const NOUN: &str = "connection";
const REFUSALS: [&str; 4] =
    ["jit_under_directory", "role_is_explicit_only", "above_own_rank", "invalid_domain"];

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(ConnectionsRead);
    let write = Needs::Permission(ConnectionsWrite);
    vec![
        Operation::create(LIST, write, "Makes a connection and the directory of its claims.", create)
            .takes::<NewConnection>()
            .gives::<Connection>()
            .refuses(&REFUSALS)
            .refuses(&["not_available"]),
        Operation::get(LIST, see, "Lists connections.", list).gives::<Page<Connection>>().paged(),
        Operation::get(ONE, see, "Shows a connection.", show).gives::<Connection>(),
        Operation::patch(
            ONE,
            write,
            "Changes a connection. Another issuer, client or secret by anybody below owner waits for an owner.",
            change,
        )
        .takes::<ConnectionPatch>()
        .gives::<Connection>()
        .refuses(&REFUSALS),
        Operation::act(
            "/organizations/{org}/connections/{connection}/confirm",
            write,
            "Confirms a changed issuer, client or secret; owners only.",
            confirm,
        )
        .gives::<Connection>()
        .refuses(&["above_own_rank"]),
        Operation::delete(ONE, write, "Deletes a connection, its links, its sessions and its claims.", delete)
            .query("people", "What becomes of those whom its claims brought: `keep` or `offboard`.")
            .refuses(&["governs_people"]),
    ]
}

fn directory(text: Option<&str>) -> Result<Option<DirectoryId>, ServiceError> {
    text.map(|t| id(t, "directory")).transpose()
}

const fn newcomers(jit: bool) -> Newcomers {
    if jit { Newcomers::Admitted } else { Newcomers::Refused }
}

fn required(field: &'static str, value: Option<&String>) -> Result<String, ServiceError> {
    value.cloned().ok_or_else(|| ServiceError::invalid(field, "is required for `oidc`"))
}

impl NewConnection {
    fn wanted(&self) -> Result<Wanted, ServiceError> {
        match self.kind.as_str() {
            "oidc" => {}
            "saml" => return Err(ServiceError::NotAvailable("kind:saml")),
            _ => return Err(ServiceError::invalid("kind", "is `oidc` or `saml`")),
        }
        if self.metadata_url.is_some() || self.metadata_xml.is_some() {
            return Err(ServiceError::invalid("metadata_url", "belongs to `saml`"));
        }
        Ok(Wanted {
            name: self.name.clone(),
            issuer: required("issuer", self.issuer.as_ref())?,
            client_id: required("client_id", self.client_id.as_ref())?,
            client_secret: Some(SecretString::from(required("client_secret", self.client_secret.as_ref())?)),
            directory: directory(self.directory.as_deref())?,
            newcomers: newcomers(self.jit),
            default_role: self.default_role.clone(),
            groups_claim: self.groups_claim.clone(),
            environment: self.environment.clone().unwrap_or_else(Slug::production),
            domains: self.domains.clone(),
        })
    }
}

impl ConnectionPatch {
    fn over(&self, before: &ConnectionView, directory: Option<Option<DirectoryId>>) -> Wanted {
        let c = &before.connection;
        Wanted {
            name: self.name.clone().unwrap_or_else(|| c.name.clone()),
            issuer: self.issuer.clone().unwrap_or_else(|| c.issuer.clone()),
            client_id: self.client_id.clone().unwrap_or_else(|| c.client_id.clone()),
            client_secret: self.client_secret.clone().map(SecretString::from),
            directory: directory.unwrap_or(c.directory),
            newcomers: self.jit.map_or_else(|| newcomers(c.jit_at.is_some()), newcomers),
            default_role: self.default_role.clone().unwrap_or_else(|| before.default_role.clone()),
            groups_claim: self.groups_claim.clone().unwrap_or_else(|| c.groups_claim.clone()),
            environment: self.environment.clone().unwrap_or_else(|| c.environment.clone()),
            domains: self.domains.clone().unwrap_or_else(|| c.domains.clone()),
        }
    }
}

fn ground(portcullis: &Portcullis) -> Ground<'_> {
    let around = portcullis.around();
    Ground { sealing: &around.sealing, plain_http: around.limits.plain_http }
}

async fn create(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<NewConnection>,
) -> Result<Created, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller.clone());
    let (portcullis, wish) = (app.portcullis().clone(), body.value);
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        let wanted = wish.wanted()?;
        let made = connection::create(tx, moment, org, &caller, (ground(&portcullis), &wanted), cause)?;
        Ok(Connection::of(&portcullis, made))
    })
    .await
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Connection>>, Problem> {
    let (limit, after) = page.bounds();
    let org = scope.organization.id;
    let found = app.portcullis().read(move |tx, _| connection::list(tx, org, &after, limit + 1)).await?;
    let items = found.into_iter().map(|v| Connection::of(app.portcullis(), v)).collect();
    Ok(Json(Page::of(items, limit, |c: &Connection| c.id.clone())))
}

fn named(scope: &Scope, text: &str) -> Result<(OrganizationId, ConnectionId), ServiceError> {
    Ok((scope.organization.id, id(text, NOUN)?))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
) -> Result<Json<Connection>, Problem> {
    let (org, id) = named(&scope, &text)?;
    let found = app.portcullis().read(move |tx, _| connection::find(tx, org, id)).await?;
    Ok(Json(Connection::of(app.portcullis(), found)))
}

async fn change(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
    body: Body<ConnectionPatch>,
) -> Result<Json<Connection>, Problem> {
    let at = named(&scope, &text)?;
    let (cause, caller, patch) = (scope.cause(), scope.caller, body.value);
    let governing = match &patch.directory {
        Some(text) => Some(directory(text.as_deref())?),
        None => None,
    };
    let portcullis = app.portcullis().clone();
    let changed = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| {
            let over = |before: &ConnectionView| patch.over(before, governing);
            connection::update(tx, moment, at, &caller, (ground(&portcullis), over), cause)
        })
        .await?;
    Ok(Json(Connection::of(app.portcullis(), changed)))
}

async fn confirm(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
) -> Result<Json<Connection>, Problem> {
    let at = named(&scope, &text)?;
    let (cause, caller) = (scope.cause(), scope.caller);
    let confirmed = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| connection::confirm(tx, moment, at, &caller, cause))
        .await?;
    Ok(Json(Connection::of(app.portcullis(), confirmed)))
}

async fn delete(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
    Params(wish): Params<Deletion>,
) -> Result<StatusCode, Problem> {
    let at = named(&scope, &text)?;
    let (caller, cause) = (scope.caller.clone(), scope.cause());
    let people = match wish.people {
        None => Governed::Unsaid,
        Some(PeopleWish::Keep) => Governed::Keep,
        Some(PeopleWish::Offboard) => Governed::OffBoard,
    };
    connection::delete(app.portcullis(), at, (caller, people), cause).await?;
    Ok(StatusCode::NO_CONTENT)
}
