//! `/organizations/{org}/connections`: identity providers for sign-in.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::connection::{ClaimRules, ConnectionKind};
use portcullis_domain::id::{ConnectionId, DirectoryId, OrganizationId};
use portcullis_domain::oidc::OidcSettings;
use portcullis_domain::permission::Permission::{ConnectionsRead, ConnectionsWrite};
use portcullis_domain::saml::SamlSettings;
use portcullis_domain::text::Slug;
use portcullis_service::connection::{self, ConnectionView, Newcomers, Protocol, ProtocolView, Wanted};
use portcullis_service::oidc::OidcView;
use portcullis_service::oidc::key::NewClientKey;
use portcullis_service::oidc::wish::OidcWish;
use portcullis_service::saml::Addresses;
use portcullis_service::saml::key::NewKey;
use portcullis_service::saml::metadata::{self, Read};
use portcullis_service::saml::wish::SamlWish;
use portcullis_service::{Portcullis, ServiceError, sign_in};
use portcullis_store::Priority;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::directory::DeleteQuery;
use super::id;
use super::notice::Notice;
use super::oidc::{GuestsAre, Oidc, OidcSettingsWish, rules_over};
use super::saml::{self, Saml, SettingsWish};
use crate::App;
use crate::body::{At, Body, Nothing, Page, PageQuery, Params, present};
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
    /// False while issuer or keys that somebody below owner chose wait for an owner: holders of explicit-only roles are refused.
    confirmed: bool,
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

impl Connection {
    /// As the API shows it.
    #[must_use]
    pub fn of(portcullis: &Portcullis, view: ConnectionView) -> Self {
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
            confirmed: c.unconfirmed_at.is_none(),
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

/// A new connection.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConnection {
    /// `oidc` or `saml`.
    kind: String,
    /// Its name for people.
    name: String,
    /// OIDC: the issuer, exactly as the provider writes it.
    issuer: Option<String>,
    /// OIDC: our client id there.
    client_id: Option<String>,
    /// OIDC: our client secret there, unless a key of ours takes its place. Kept sealed and never shown.
    client_secret: Option<String>,
    /// OIDC: what is not as usual.
    oidc: Option<OidcSettingsWish>,
    /// SAML: where the provider's metadata is. It is read daily.
    metadata_url: Option<String>,
    /// SAML: the provider's metadata itself, where it has no address.
    metadata_xml: Option<String>,
    /// SAML: what is not as usual.
    saml: Option<SettingsWish>,
    /// What becomes of people whom the provider knows as guests (Entra ID tells it): `refuse` as usual.
    guests: Option<GuestsAre>,
    /// The directory that governs its people.
    directory: Option<String>,
    /// Whether a first sign-in may make a membership; not with `directory`.
    #[serde(default)]
    jit: bool,
    /// The role of people in no mapped group of its claims.
    #[schemars(with = "Option<String>")]
    default_role: Option<Slug>,
    /// The claim (SAML: the attribute) that carries groups; the usual one if absent.
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
    /// OIDC: what changes of the settings.
    oidc: Option<OidcSettingsWish>,
    /// SAML: where the provider's metadata is from now on.
    metadata_url: Option<String>,
    /// SAML: the provider's metadata from now on.
    metadata_xml: Option<String>,
    /// SAML: what changes of the settings.
    saml: Option<SettingsWish>,
    /// What becomes of people whom the provider knows as guests.
    guests: Option<GuestsAre>,
    /// The directory that governs its people; null for none.
    #[serde(default, deserialize_with = "present")]
    directory: Option<Option<String>>,
    /// Whether a first sign-in may make a membership.
    jit: Option<bool>,
    /// The role of people in no mapped group; null for none.
    #[schemars(with = "Option<String>")]
    #[serde(default, deserialize_with = "present")]
    default_role: Option<Option<Slug>>,
    /// The claim or attribute that carries groups; null for the usual one.
    #[serde(default, deserialize_with = "present")]
    groups_claim: Option<Option<String>>,
    /// Where its sessions act.
    #[schemars(with = "Option<String>")]
    environment: Option<Slug>,
    /// The e-mail domains that are routed here, all of them.
    domains: Option<Vec<String>>,
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
            "Changes a connection. Another issuer, client or secret by anybody below owner waits for an owner.",
            change,
        )
        .takes::<ConnectionPatch>()
        .gives::<Connection>()
        .refuses(&REFUSALS)
        .refuses(&metadata_codes),
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

/// Refuses fields of the other kind by name: somebody who sends them expects something of them.
fn only_for<const N: usize>(kind: &str, fields: [(&'static str, bool); N]) -> Result<(), ServiceError> {
    match fields.into_iter().find(|(_, is_there)| *is_there) {
        Some((field, _)) => Err(ServiceError::invalid(field, format!("belongs to `{kind}`"))),
        None => Ok(()),
    }
}

/// The fields of a body that belong to one kind of connection.
struct OfKinds<'b> {
    oidc: [(&'static str, Option<&'b String>); 3],
    metadata: [(&'static str, Option<&'b String>); 2],
    settings: [(&'static str, bool); 2],
}

impl OfKinds<'_> {
    fn check(&self, kind: ConnectionKind) -> Result<(), ServiceError> {
        let [oidc, saml] = self.settings;
        match kind {
            ConnectionKind::Oidc => {
                let [url, xml] = self.metadata.map(|(field, value)| (field, value.is_some()));
                only_for("saml", [url, xml, saml])
            }
            ConnectionKind::Saml => {
                let [issuer, id, secret] = self.oidc.map(|(field, value)| (field, value.is_some()));
                only_for("oidc", [issuer, id, secret, oidc])
            }
        }
    }

    /// Reads the metadata that the body names, if it names any, as what the body makes of these settings asks for.
    async fn read(
        &self,
        portcullis: &Portcullis,
        (wish, before): (Option<&SettingsWish>, SamlSettings),
    ) -> Result<Option<Read>, ServiceError> {
        let [(_, url), (_, xml)] = self.metadata;
        let Some(source) = saml::source(url, xml)? else { return Ok(None) };
        let settings = wish.cloned().unwrap_or_default().over(before);
        Ok(Some(metadata::read(portcullis, &source, &settings.metadata_signers).await?))
    }
}

/// What leaves the process, or takes a while, done before anything is locked.
#[derive(Clone, Default)]
struct Beforehand {
    /// SAML: the provider's metadata.
    read: Option<Read>,
    /// SAML: our key of a new connection.
    saml_key: Option<NewKey>,
    /// OIDC: our key of a connection that needs one.
    client_key: Option<NewClientKey>,
}

impl NewConnection {
    fn kind(&self) -> Result<ConnectionKind, ServiceError> {
        let kind = self.kind.parse().map_err(|_| ServiceError::invalid("kind", "is `oidc` or `saml`"))?;
        self.of_kinds().check(kind)?;
        Ok(kind)
    }

    /// What is to be had before anything is locked.
    async fn beforehand(&self, portcullis: &Portcullis) -> Result<Beforehand, ServiceError> {
        match self.kind()? {
            ConnectionKind::Saml => {
                let wished = (self.saml.as_ref(), SamlSettings::default());
                let read = self.of_kinds().read(portcullis, wished).await?;
                let key = NewKey::generate(portcullis).await?;
                Ok(Beforehand { read, saml_key: Some(key), client_key: None })
            }
            ConnectionKind::Oidc if self.oidc_settings().is_by_key() => {
                let issuer = required("issuer", self.issuer.as_ref())?;
                let key = NewClientKey::generate(portcullis, &issuer).await?;
                Ok(Beforehand { client_key: Some(key), ..Beforehand::default() })
            }
            ConnectionKind::Oidc => Ok(Beforehand::default()),
        }
    }

    fn of_kinds(&self) -> OfKinds<'_> {
        OfKinds {
            oidc: [
                ("issuer", self.issuer.as_ref()),
                ("client_id", self.client_id.as_ref()),
                ("client_secret", self.client_secret.as_ref()),
            ],
            metadata: [
                ("metadata_url", self.metadata_url.as_ref()),
                ("metadata_xml", self.metadata_xml.as_ref()),
            ],
            settings: [("oidc", self.oidc.is_some()), ("saml", self.saml.is_some())],
        }
    }

    fn oidc_settings(&self) -> OidcSettings {
        self.oidc.clone().unwrap_or_default().over(OidcSettings::default())
    }

    fn protocol(&self, own: &Beforehand) -> Result<Protocol, ServiceError> {
        if self.kind()? == ConnectionKind::Saml {
            let settings = self.saml.clone().unwrap_or_default().over(SamlSettings::default());
            return Ok(Protocol::Saml(Box::new(SamlWish { read: own.read.clone(), settings })));
        }
        Ok(Protocol::Oidc {
            issuer: required("issuer", self.issuer.as_ref())?,
            client_id: required("client_id", self.client_id.as_ref())?,
            client_secret: self.client_secret.clone().map(SecretString::from),
            wish: Box::new(OidcWish { settings: self.oidc_settings(), key: own.client_key.clone() }),
        })
    }

    fn wanted(&self, own: &Beforehand) -> Result<Wanted, ServiceError> {
        Ok(Wanted {
            name: self.name.clone(),
            protocol: self.protocol(own)?,
            directory: directory(self.directory.as_deref())?,
            newcomers: newcomers(self.jit),
            default_role: self.default_role.clone(),
            groups_claim: self.groups_claim.clone(),
            claim_rules: rules_over(&ClaimRules::default(), self.oidc.as_ref(), self.guests),
            environment: self.environment.clone().unwrap_or_else(Slug::production),
            domains: self.domains.clone(),
        })
    }
}

impl ConnectionPatch {
    fn of_kinds(&self) -> OfKinds<'_> {
        OfKinds {
            oidc: [
                ("issuer", self.issuer.as_ref()),
                ("client_id", self.client_id.as_ref()),
                ("client_secret", self.client_secret.as_ref()),
            ],
            metadata: [
                ("metadata_url", self.metadata_url.as_ref()),
                ("metadata_xml", self.metadata_xml.as_ref()),
            ],
            settings: [("oidc", self.oidc.is_some()), ("saml", self.saml.is_some())],
        }
    }

    fn oidc_settings(&self, before: &ConnectionView) -> OidcSettings {
        let now = before.protocol.oidc().map(|view| view.settings.clone()).unwrap_or_default();
        match &self.oidc {
            Some(wish) => wish.over(now),
            None => now,
        }
    }

    fn protocol(&self, before: &ConnectionView, own: &Beforehand) -> Protocol {
        let c = &before.connection;
        match &before.protocol {
            ProtocolView::Saml(view) => {
                let now = view.source.settings.clone();
                let settings = match &self.saml {
                    Some(wish) => wish.over(now),
                    None => now,
                };
                Protocol::Saml(Box::new(SamlWish { read: own.read.clone(), settings }))
            }
            ProtocolView::Oidc(_) => Protocol::Oidc {
                issuer: self.issuer.clone().unwrap_or_else(|| c.issuer.clone()),
                client_id: self.client_id.clone().unwrap_or_else(|| c.client_id.clone()),
                client_secret: self.client_secret.clone().map(SecretString::from),
                wish: Box::new(OidcWish {
                    settings: self.oidc_settings(before),
                    key: own.client_key.clone(),
                }),
            },
        }
    }

    /// What is to be had before anything is locked: metadata that the body names, and a key if one is needed.
    async fn beforehand(
        &self,
        portcullis: &Portcullis,
        before: &ConnectionView,
    ) -> Result<Beforehand, ServiceError> {
        let settings = before.protocol.saml().map(|view| view.source.settings.clone()).unwrap_or_default();
        let read = self.of_kinds().read(portcullis, (self.saml.as_ref(), settings)).await?;
        let has_key = before.protocol.oidc().is_some_and(OidcView::has_signing_key);
        let client_key = if self.oidc_settings(before).is_by_key() && !has_key {
            let issuer = self.issuer.as_ref().unwrap_or(&before.connection.issuer);
            Some(NewClientKey::generate(portcullis, issuer).await?)
        } else {
            None
        };
        Ok(Beforehand { read, saml_key: None, client_key })
    }

    fn over(
        &self,
        before: &ConnectionView,
        directory: Option<Option<DirectoryId>>,
        own: &Beforehand,
    ) -> Result<Wanted, ServiceError> {
        let c = &before.connection;
        self.of_kinds().check(c.kind)?;
        Ok(Wanted {
            name: self.name.clone().unwrap_or_else(|| c.name.clone()),
            protocol: self.protocol(before, own),
            directory: directory.unwrap_or(c.directory),
            newcomers: self.jit.map_or_else(|| newcomers(c.jit_at.is_some()), newcomers),
            default_role: self.default_role.clone().unwrap_or_else(|| before.default_role.clone()),
            groups_claim: self.groups_claim.clone().unwrap_or_else(|| c.groups_claim.clone()),
            claim_rules: rules_over(&c.claim_rules, self.oidc.as_ref(), self.guests),
            environment: self.environment.clone().unwrap_or_else(|| c.environment.clone()),
            domains: self.domains.clone().unwrap_or_else(|| c.domains.clone()),
        })
    }
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
    // Nothing is fetched for what is not there, or of another kind.
    let found = portcullis.read(move |tx, _| connection::find(tx, at.0, at.1)).await?;
    patch.of_kinds().check(found.connection.kind)?;
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
    _: Body<Nothing>,
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
    Params(query): Params<DeleteQuery>,
) -> Result<StatusCode, Problem> {
    let at = named(&scope, &text)?;
    let (caller, cause) = (scope.caller.clone(), scope.cause());
    connection::delete(app.portcullis(), at, (caller, query.into()), cause).await?;
    Ok(StatusCode::NO_CONTENT)
}
