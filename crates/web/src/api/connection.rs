//! `/organizations/{org}/connections`: identity providers for sign-in.

mod wish;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::connection::ConnectionKind;
use portcullis_domain::id::{ConnectionId, OrganizationId};
use portcullis_domain::permission::Permission::{ConnectionsRead, ConnectionsWrite};
use portcullis_service::connection::{self, ConnectionView, ProtocolView};
use portcullis_service::noun::Noun;
use portcullis_service::saml::{Addresses, metadata};
use portcullis_service::{Portcullis, ServiceError, sign_in};
use portcullis_store::Priority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::wish::{ConnectionPatch, NewConnection, directory};
use super::directory::DeleteQuery;
use super::id;
use super::notice::Notice;
use super::oidc::{GuestsAre, Oidc};
use super::saml::Saml;
use crate::App;
use crate::body::{At, Body, Page, PageQuery, Params};
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
    /// The issuer (SAML: the provider's entity id), compared byte for byte.
    issuer: String,
    /// OIDC: our client id there.
    client_id: Option<String>,
    /// The directory that governs its people.
    directory: Option<String>,
    /// The directory of its claims, for mappings.
    claims_directory: String,
    /// Whether a first sign-in may make a membership.
    jit: bool,
    /// The role of people in no mapped group of its claims.
    default_role: Option<String>,
    /// The claim or attribute that carries groups; the usual one if null.
    groups_claim: Option<String>,
    /// Where its sessions act.
    environment: String,
    /// The e-mail domains that are routed here.
    domains: Vec<String>,
    /// False while issuer or keys that somebody below owner chose wait for an owner: holders of explicit-only roles, and
    /// whoever stands above the lowest who chose, are refused.
    confirmed: bool,
    /// Another text once anything is another that says who comes in by it; `…/confirm` takes it.
    revision: String,
    /// Where a browser begins to sign in.
    login_url: String,
    /// OIDC: what the provider must have registered.
    redirect_uri: Option<String>,
    /// SAML: our entity id.
    entity_id: Option<String>,
    /// SAML: where the provider posts its answers.
    acs_url: Option<String>,
    /// Where the provider tells that a session is over (OIDC: the back-channel logout URI to register there).
    logout_url: String,
    /// SAML: our metadata, for the provider.
    metadata_url: Option<String>,
    /// What becomes of people whom the provider knows as guests.
    guests: GuestsAre,
    /// OIDC: what is set, our keys, and what should be looked after.
    oidc: Option<Oidc>,
    /// SAML: the provider, what is set, and what should be looked after.
    saml: Option<Saml>,
    /// When it was made.
    created_at: At,
}

/// What an owner confirms. An empty body, or none, confirms whatever stands there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    /// The `revision` of the connection that they looked at. Refused with `changed_meanwhile` if it has another by now.
    revision: Option<String>,
}

impl Connection {
    /// As the API shows it.
    #[must_use]
    pub fn of(portcullis: &Portcullis, view: ConnectionView) -> Self {
        let revision = view.revision();
        let c = view.connection;
        let is_oidc = c.kind == ConnectionKind::Oidc;
        let at = (!is_oidc).then(|| Addresses::of(portcullis.around(), c.id));
        let twice = view.twin.map(|other| {
            let message =
                format!("`{other}` signs in the same people at the same provider: delete one of the two");
            Notice::new("connected_twice", message)
        });
        let of_both = twice.into_iter().chain(view.unproven.iter().map(|domain| not_proven(domain)));
        let (oidc, saml) = match view.protocol {
            ProtocolView::Oidc(view) => {
                let mut oidc = Oidc::of(portcullis, &c, view);
                oidc.warnings.extend(of_both);
                (Some(oidc), None)
            }
            ProtocolView::Saml(view) => {
                let mut saml = Saml::of(*view, portcullis.now());
                saml.warnings.extend(of_both);
                (None, Some(saml))
            }
        };
        Self {
            guests: GuestsAre::of(c.claim_rules.guests),
            oidc,
            kind: c.kind.as_str(),
            name: c.name,
            issuer: c.issuer,
            client_id: is_oidc.then(|| c.client_id.clone()),
            entity_id: (!is_oidc).then(|| c.client_id.clone()),
            directory: c.directory.map(|d| d.to_string()),
            claims_directory: c.claims_directory.to_string(),
            jit: c.jit_at.is_some(),
            default_role: view.default_role.map(|r| r.to_string()),
            groups_claim: c.groups_claim,
            environment: c.environment.to_string(),
            domains: c.domains,
            confirmed: c.unconfirmed.is_none(),
            revision,
            login_url: portcullis.around().url(&format!("/sso/{}/{}/login", c.kind.as_str(), c.id)),
            redirect_uri: is_oidc.then(|| sign_in::oidc::redirect_uri(portcullis, c.id)),
            acs_url: at.as_ref().map(|at| at.acs.clone()),
            logout_url: at
                .as_ref()
                .map_or_else(|| sign_in::oidc::logout_uri(portcullis, c.id), |at| at.logout.clone()),
            metadata_url: at.map(|at| at.metadata),
            saml,
            created_at: At(c.created_at),
            id: c.id.to_string(),
        }
    }
}

/// What becomes of a domain that is routed to a connection before it is proven: nothing, and nobody is told at the door.
fn not_proven(domain: &str) -> Notice {
    let message = format!(
        "`{domain}` is not proven: `/login` leads nobody here by it, and a first sign-in at such an address is refused; \
         prove it (`POST …/domains`, then `…/verify`) before the first sync and the first sign-in"
    );
    Notice::new("domain_not_proven", message)
}

const LIST: &str = "/organizations/{org}/connections";
const ONE: &str = "/organizations/{org}/connections/{connection}";
const NOUN: Noun = Noun::Connection;
const REFUSALS: [&str; 6] = [
    "invalid_name",
    "invalid_slug",
    "invalid_domain",
    "jit_under_directory",
    "role_is_explicit_only",
    "above_own_rank",
];

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(ConnectionsRead);
    let write = Needs::Permission(ConnectionsWrite);
    let metadata_codes: Vec<&'static str> = metadata::refusals().into_iter().map(|(code, _)| code).collect();
    vec![
        Operation::create(LIST, write, "Makes a connection and the directory of its claims.", create)
            .takes::<NewConnection>()
            .gives::<Connection>()
            .refuses(&REFUSALS)
            .refuses(&metadata_codes),
        Operation::get(LIST, see, "Lists connections.", list).gives::<Page<Connection>>().paged(),
        Operation::get(ONE, see, "Shows a connection.", show).gives::<Connection>(),
        Operation::patch(
            ONE,
            write,
            "Changes a connection. Another issuer, client, secret or environment by anybody below owner waits for an owner.",
            change,
        )
        .takes::<ConnectionPatch>()
        .gives::<Connection>()
        .refuses(&REFUSALS)
        .refuses(&["provider_chosen_below"])
        .refuses(&metadata_codes),
        Operation::act(
            "/organizations/{org}/connections/{connection}/confirm",
            write,
            "Confirms a changed issuer, client, secret or environment; owners only.",
            confirm,
        )
        .takes::<Confirmation>()
        .gives::<Connection>()
        .refuses(&["above_own_rank", "changed_meanwhile"]),
        Operation::delete(ONE, write, "Deletes a connection, its links, its sessions and its claims.", delete)
            .query("people", "What becomes of those whom its claims brought: `keep` or `offboard`.")
            .refuses(&["governs_people", "above_own_rank", "told_from_below"]),
    ]
}

async fn create(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<NewConnection>,
) -> Result<Created, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller.clone());
    let (portcullis, wish) = (app.portcullis().clone(), body.value);
    if let Some(made) = once::find(&app, &scope.caller, &key, &body.bytes).await? {
        return Ok(made);
    }
    // Nothing is fetched for whoever may not choose a provider, and no key made.
    let asks = scope.caller.clone();
    portcullis.read(move |tx, _| connection::must_stand_above_automation(tx, org, &asks)).await?;
    let own = wish.beforehand(&portcullis).await?;
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        let wanted = wish.wanted(&own)?;
        let wished = (portcullis.around(), &wanted, own.saml_key.as_ref());
        let made = connection::create(tx, moment, org, &caller, wished, cause)?;
        Ok(Connection::of(&portcullis, made))
    })
    .await
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Connection>>, Problem> {
    let (limit, after) = page.bounds::<ConnectionId>()?;
    let org = scope.organization.id;
    let found = app.portcullis().read(move |tx, _| connection::list(tx, org, &after, limit + 1)).await?;
    let items = found.into_iter().map(|v| Connection::of(app.portcullis(), v)).collect();
    Ok(Json(Page::of(items, limit, |c: &Connection| c.id.clone())))
}

/// The connection that a path names, in the organization that it names.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn named(scope: &Scope, text: &str) -> Result<(OrganizationId, ConnectionId), ServiceError> {
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
    // Nothing is fetched for what is not there, or of another kind, nor for whoever may not choose a provider.
    let found = portcullis.read(move |tx, _| connection::find(tx, at.0, at.1)).await?;
    patch.of_kinds().check(found.connection.kind)?;
    if patch.takes_time(&found) {
        let asks = caller.clone();
        portcullis.read(move |tx, _| connection::must_stand_above_automation(tx, at.0, &asks)).await?;
    }
    let own = patch.beforehand(&portcullis, &found).await?;
    let changed = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| {
            let over = |before: &ConnectionView| patch.over(before, governing, &own);
            connection::update(tx, moment, at, &caller, (portcullis.around(), over), cause)
        })
        .await?;
    Ok(Json(Connection::of(app.portcullis(), changed)))
}

async fn confirm(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
    body: Body<Confirmation>,
) -> Result<Json<Connection>, Problem> {
    let at = named(&scope, &text)?;
    let (cause, caller, looked_at) = (scope.cause(), scope.caller, body.value.revision);
    let confirmed = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| {
            connection::confirm(tx, moment, at, (&caller, looked_at.as_deref()), cause)
        })
        .await?;
    Ok(Json(Connection::of(app.portcullis(), confirmed)))
}

async fn delete(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
    Params(query): Params<DeleteQuery>,
) -> Result<StatusCode, Problem> {
    let at = named(&scope, &text)?;
    let (caller, cause) = (scope.caller.clone(), scope.cause());
    connection::delete(app.portcullis(), at, (caller, query.into()), cause).await?;
    Ok(StatusCode::NO_CONTENT)
}
