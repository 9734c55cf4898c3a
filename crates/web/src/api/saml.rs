//! What is of its own in connections of SAML: settings, certificates, our keys, and the reading of metadata.
//!
//! The routes of connections are those of `connection.rs`; here are its parts for this kind, and what is below one.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::Timestamp;
use portcullis_domain::permission::Permission::{ConnectionsRead, ConnectionsWrite};
use portcullis_domain::saml::{NewCertificates, SamlCertificate, SamlKey, SamlSettings, SignaturePolicy};
use portcullis_service::connection::ProtocolView;
use portcullis_service::saml::SamlView;
use portcullis_service::saml::certificate::{self, Decision, Made};
use portcullis_service::saml::key::{self, NewKey};
use portcullis_service::saml::metadata::{self, MetadataSource, refresh};
use portcullis_service::{Portcullis, ServiceError, connection};
use portcullis_store::Priority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::connection::{Connection, named};
use super::notice::Notice;
use crate::App;
use crate::body::{At, Body, Nothing, Page, PageQuery, Params, present, words};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// A connection's provider of SAML, what is set, and what should be looked after.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Saml {
    /// Where the provider's metadata is read; null if it was given as a document.
    idp_metadata_url: Option<String>,
    /// Where requests go.
    sign_in_url: String,
    /// Where messages about the end of sessions go; null if the provider takes none.
    idp_logout_url: Option<String>,
    /// What is set.
    settings: Settings,
    /// The provider's certificates.
    certificates: Vec<Certificate>,
    /// Our keys.
    keys: Vec<Key>,
    /// When the metadata was last read well; null for a document.
    metadata_read_at: Option<At>,
    /// When it is read next.
    metadata_due_at: Option<At>,
    /// What should be looked after.
    pub(super) warnings: Vec<Notice>,
}

words! {
    /// Which signatures are asked for.
    Signatures of SignaturePolicy {
        /// The assertion or the response around it.
        AssertionOrResponse,
        /// The assertion.
        Assertion,
        /// Both.
        Both,
    }
}
words! {
    /// Who decides about new certificates.
    NewCertificatesAre of NewCertificates {
        /// They count at once.
        Automatic,
        /// An administrator accepts them.
        Ask,
    }
}

/// What is set of a connection of SAML.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Settings {
    /// Seconds that the provider's clock may differ.
    skew_s: i64,
    /// What must be signed.
    signatures: Signatures,
    /// Whether an answer may come that nobody asked for.
    idp_initiated: bool,
    /// Whether our requests are signed even if the provider does not ask for it.
    sign_requests: bool,
    /// Whether people must prove themselves anew each time; the answer's `AuthnInstant` must show it.
    force_authn: bool,
    /// The classes of authentication of which one is asked for.
    authn_contexts: Vec<String>,
    /// Until when SHA-1 is taken.
    sha1_until: Option<At>,
    /// Whether AES-CBC is taken inside signed responses.
    cbc: bool,
    /// The attribute that names a person for good; null for the name identifier.
    subject_attribute: Option<String>,
    /// The attribute of the address; null for the preset's. Without either the name identifier counts if it is one, else
    /// what all attributes agree on that are addresses by their names.
    email_attribute: Option<String>,
    /// The attribute of the name; null for the preset's.
    name_attribute: Option<String>,
    /// Whose names of attributes are usual; null for none, but for Entra ID, which its entity id tells.
    preset: Option<String>,
    /// Who decides about new certificates.
    new_certificates: NewCertificatesAre,
    /// The certificates of which one must have signed the metadata; none believes the way in which it came.
    metadata_signers: Vec<String>,
}

/// What is to be set of a connection of SAML. Fields that are absent stay, or are as usual in a new one.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsWish {
    /// Seconds that the provider's clock may differ: 0–300, 180 as usual.
    skew_s: Option<i64>,
    /// What must be signed: `assertion_or_response` as usual.
    signatures: Option<Signatures>,
    /// Whether an answer may come that nobody asked for: false as usual.
    idp_initiated: Option<bool>,
    /// Whether our requests are signed even if the provider does not ask for it: false as usual.
    sign_requests: Option<bool>,
    /// Whether people must prove themselves anew each time: false as usual.
    force_authn: Option<bool>,
    /// The classes of authentication of which one is asked for; none asks for nothing.
    authn_contexts: Option<Vec<String>>,
    /// Until when SHA-1 is taken, 180 days from now at most; null: never.
    #[serde(default, deserialize_with = "present")]
    sha1_until: Option<Option<At>>,
    /// Whether AES-CBC is taken inside signed responses: false as usual.
    cbc: Option<bool>,
    /// The attribute that names a person for good; null for the name identifier.
    #[serde(default, deserialize_with = "present")]
    subject_attribute: Option<Option<String>>,
    /// The attribute of the address; null for the preset's. Without either the name identifier counts if it is one, else
    /// what all attributes agree on that are addresses by their names.
    #[serde(default, deserialize_with = "present")]
    email_attribute: Option<Option<String>>,
    /// The attribute of the name; null for the preset's.
    #[serde(default, deserialize_with = "present")]
    name_attribute: Option<Option<String>>,
    /// Whose names of attributes are usual: `okta`, `entra`, `google`, `adfs`, `onelogin`, `jumpcloud`, `keycloak`,
    /// `shibboleth`; null for none, but for Entra ID, which its entity id tells.
    #[serde(default, deserialize_with = "present")]
    preset: Option<Option<String>>,
    /// Who decides about new certificates: `automatic` as usual.
    new_certificates: Option<NewCertificatesAre>,
    /// The certificates of which one must have signed the metadata, as PEM or base64, 4 at most: whatever else comes is
    /// refused and changes nothing. They come with `metadata_url` or `metadata_xml`, which is held to them at once; none
    /// believes verified TLS.
    metadata_signers: Option<Vec<String>>,
}

impl SettingsWish {
    /// These settings over those.
    #[must_use]
    pub fn over(&self, before: SamlSettings) -> SamlSettings {
        let wish = self.clone();
        SamlSettings {
            skew_s: wish.skew_s.unwrap_or(before.skew_s),
            signatures: wish.signatures.map_or(before.signatures, Signatures::meant),
            idp_initiated: wish.idp_initiated.unwrap_or(before.idp_initiated),
            sign_requests: wish.sign_requests.unwrap_or(before.sign_requests),
            force_authn: wish.force_authn.unwrap_or(before.force_authn),
            authn_contexts: wish.authn_contexts.unwrap_or(before.authn_contexts),
            sha1_until: wish.sha1_until.map_or(before.sha1_until, |until| until.map(|at| at.0)),
            cbc: wish.cbc.unwrap_or(before.cbc),
            subject_attribute: wish.subject_attribute.unwrap_or(before.subject_attribute),
            email_attribute: wish.email_attribute.unwrap_or(before.email_attribute),
            name_attribute: wish.name_attribute.unwrap_or(before.name_attribute),
            preset: wish.preset.unwrap_or(before.preset),
            new_certificates: wish
                .new_certificates
                .map_or(before.new_certificates, NewCertificatesAre::meant),
            metadata_signers: wish.metadata_signers.unwrap_or(before.metadata_signers),
        }
    }
}

impl Settings {
    fn of(settings: SamlSettings) -> Self {
        Self {
            skew_s: settings.skew_s,
            signatures: Signatures::of(settings.signatures),
            idp_initiated: settings.idp_initiated,
            sign_requests: settings.sign_requests,
            force_authn: settings.force_authn,
            authn_contexts: settings.authn_contexts,
            sha1_until: settings.sha1_until.map(At),
            cbc: settings.cbc,
            subject_attribute: settings.subject_attribute,
            email_attribute: settings.email_attribute,
            name_attribute: settings.name_attribute,
            preset: settings.preset,
            new_certificates: NewCertificatesAre::of(settings.new_certificates),
            metadata_signers: settings.metadata_signers,
        }
    }
}

impl Saml {
    /// As the API shows it at that moment.
    #[must_use]
    pub fn of(view: SamlView, now: Timestamp) -> Self {
        let warnings = view.warnings(now).into_iter().map(Notice::from).collect();
        let read_at = view.refresh.as_ref().and_then(|r| r.succeeded_at);
        Self {
            idp_metadata_url: view.source.metadata_url,
            sign_in_url: view.source.provider.sign_in.location,
            idp_logout_url: view.source.provider.logout.map(|e| e.location),
            settings: Settings::of(view.source.settings),
            certificates: view.certificates.into_iter().map(Certificate::of).collect(),
            keys: view.keys.into_iter().map(Key::of).collect(),
            metadata_read_at: read_at.map(At),
            metadata_due_at: view.refresh.map(|r| At(r.due_at)),
            warnings,
        }
    }
}

/// A certificate of a provider.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Certificate {
    /// SHA-256 of its DER form, as 64 hexadecimal digits.
    fingerprint: String,
    /// `trusted`, `offered`, `former` (of a provider that another one took the place of) or `retired`.
    state: &'static str,
    /// From when on its issuer meant it to be used.
    not_before: At,
    /// Until when.
    not_after: At,
    /// When the metadata first named it.
    seen_at: At,
    /// When its state was last decided.
    decided_at: At,
    /// Its DER form, in base64.
    der: String,
}

impl Certificate {
    fn of(certificate: SamlCertificate) -> Self {
        Self {
            fingerprint: certificate.fingerprint,
            state: certificate.state.as_str(),
            not_before: At(certificate.not_before),
            not_after: At(certificate.not_after),
            seen_at: At(certificate.seen_at),
            decided_at: At(certificate.decided_at),
            der: certificate.der,
        }
    }
}

/// A certificate that was retired.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RetiredCertificate {
    /// It.
    #[serde(flatten)]
    certificate: Certificate,
    /// The other connections of the organization where it counts or may come to count, 50 at most: whoever has its key comes in
    /// there until it is retired there too.
    trusted_elsewhere: Vec<String>,
}

/// A key of ours at a connection. The key itself is never shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Key {
    /// SHA-256 of its certificate's DER form, as 64 hexadecimal digits.
    fingerprint: String,
    /// `next`, `signing`, `former` or `retired`.
    state: &'static str,
    /// Until when its certificate says that it is good.
    not_after: At,
    /// When it was made.
    created_at: At,
    /// Its certificate's DER form, in base64.
    certificate: String,
}

impl Key {
    fn of(key: SamlKey) -> Self {
        Self {
            fingerprint: key.fingerprint,
            state: key.state.as_str(),
            not_after: At(key.not_after),
            created_at: At(key.created_at),
            certificate: key.certificate,
        }
    }
}

/// What becomes of the links that a retired certificate made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetireQuery {
    links: Option<Links>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Links {
    End,
}

const CERTIFICATES: &str = "/organizations/{org}/connections/{connection}/certificates";
const KEYS: &str = "/organizations/{org}/connections/{connection}/keys";

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(ConnectionsRead);
    let write = Needs::Permission(ConnectionsWrite);
    let metadata: Vec<&'static str> = metadata::refusals().into_iter().map(|(code, _)| code).collect();
    vec![
        Operation::get(
            CERTIFICATES,
            see,
            "Lists the certificates of a SAML connection's provider.",
            certificates,
        )
        .gives::<Page<Certificate>>()
        .paged(),
        Operation::act(
            "/organizations/{org}/connections/{connection}/certificates/{fingerprint}/accept",
            write,
            "Accepts a certificate: its signatures count. Below owner this waits for an owner.",
            accept,
        )
        .takes::<Nothing>()
        .gives::<Certificate>()
        .refuses(&["above_own_rank"]),
        Operation::act(
            "/organizations/{org}/connections/{connection}/certificates/{fingerprint}/retire",
            write,
            "Retires a certificate: its signatures count no longer, no metadata brings it back, and the sessions that it let in end.",
            retire,
        )
        .takes::<Nothing>()
        .query("links", "`end`: the links that would not be there without it end too, because somebody else has its key.")
        .gives::<RetiredCertificate>()
        .refuses(&["in_use", "above_own_rank"]),
        Operation::get(KEYS, see, "Lists our keys at a SAML connection.", keys).gives::<Page<Key>>().paged(),
        Operation::create(
            KEYS,
            write,
            "Makes another key: published at once, used when that is ordered.",
            add,
        )
        .takes::<Nothing>()
        .gives::<Key>(),
        Operation::act(
            "/organizations/{org}/connections/{connection}/keys/{fingerprint}/use",
            write,
            "Signs with that key from now on; the one before is published and decrypts still.",
            put_to_use,
        )
        .takes::<Nothing>()
        .gives::<Key>(),
        Operation::delete(
            "/organizations/{org}/connections/{connection}/keys/{fingerprint}",
            write,
            "Retires a key that does not sign.",
            retire_key,
        )
        .refuses(&["in_use"]),
        Operation::act(
            "/organizations/{org}/connections/{connection}/refresh",
            write,
            "Reads the metadata of a SAML connection's provider again and takes over what it says, once a minute at most.",
            read_again,
        )
        .takes::<Nothing>()
        .gives::<Connection>()
        .refuses(&metadata),
    ]
}

/// What a new connection or a change says of metadata.
///
/// # Errors
/// [`ServiceError::Invalid`] if it says both.
pub fn source(url: Option<&String>, xml: Option<&String>) -> Result<Option<MetadataSource>, ServiceError> {
    match (url, xml) {
        (Some(_), Some(_)) => {
            Err(ServiceError::invalid("metadata_xml", "is given or `metadata_url`, not both"))
        }
        (Some(url), None) => Ok(Some(MetadataSource::Url(url.clone()))),
        (None, Some(xml)) => Ok(Some(MetadataSource::Document(xml.clone()))),
        (None, None) => Ok(None),
    }
}

async fn view_of(portcullis: &Portcullis, scope: &Scope, text: &str) -> Result<SamlView, Problem> {
    let (org, id) = named(scope, text)?;
    let found = portcullis.read(move |tx, _| connection::find(tx, org, id)).await?;
    match found.protocol {
        ProtocolView::Saml(view) => Ok(*view),
        ProtocolView::Oidc(_) => Err(ServiceError::invalid("connection", "is not of the kind `saml`").into()),
    }
}

async fn certificates(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Certificate>>, Problem> {
    let view = view_of(app.portcullis(), &scope, &text).await?;
    let certificates = view.certificates.into_iter().map(Certificate::of).collect();
    Ok(Json(Page::cut(certificates, &page, |one: &Certificate| one.fingerprint.clone())?))
}

async fn decide(
    app: &App,
    scope: Scope,
    (text, fingerprint): (String, String),
    decision: Decision,
) -> Result<Certificate, Problem> {
    let at = named(&scope, &text)?;
    let (cause, caller) = (scope.cause(), scope.caller);
    let decided = certificate::decide(app.portcullis(), at, caller, (fingerprint, decision), cause).await?;
    Ok(Certificate::of(decided))
}

async fn accept(
    State(app): State<App>,
    scope: Scope,
    Path((_, text, fingerprint)): Path<(String, String, String)>,
    _: Body<Nothing>,
) -> Result<Json<Certificate>, Problem> {
    Ok(Json(decide(&app, scope, (text, fingerprint), Decision::Accept).await?))
}

async fn retire(
    State(app): State<App>,
    scope: Scope,
    Path((_, text, fingerprint)): Path<(String, String, String)>,
    Params(query): Params<RetireQuery>,
    _: Body<Nothing>,
) -> Result<Json<RetiredCertificate>, Problem> {
    let made = match query.links {
        None => Made::Stays,
        Some(Links::End) => Made::Ends,
    };
    let at = named(&scope, &text)?;
    let certificate = decide(&app, scope, (text, fingerprint), Decision::Retire(made)).await?;
    let of = certificate.fingerprint.clone();
    let elsewhere = certificate::trusted_elsewhere(app.portcullis(), at, of).await?;
    let trusted_elsewhere = elsewhere.iter().map(ToString::to_string).collect();
    Ok(Json(RetiredCertificate { certificate, trusted_elsewhere }))
}

async fn keys(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Key>>, Problem> {
    let view = view_of(app.portcullis(), &scope, &text).await?;
    let keys = view.keys.into_iter().map(Key::of).collect();
    Ok(Json(Page::cut(keys, &page, |key: &Key| key.fingerprint.clone())?))
}

async fn add(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
    again: IdempotencyKey,
    body: Body<Nothing>,
) -> Result<Created, Problem> {
    let (at, cause) = (named(&scope, &text)?, scope.cause());
    if let Some(made) = once::find(&app, &scope.caller, &again, &body.bytes).await? {
        return Ok(made);
    }
    view_of(app.portcullis(), &scope, &text).await?;
    let made = NewKey::generate(app.portcullis()).await?;
    let portcullis = app.portcullis().clone();
    once::create(&app, &scope.caller, &again, &body.bytes, move |tx, moment| {
        key::add(tx, moment, at, (&portcullis.around().sealing, &made), cause).map(Key::of)
    })
    .await
}

async fn put_to_use(
    State(app): State<App>,
    scope: Scope,
    Path((_, text, fingerprint)): Path<(String, String, String)>,
    _: Body<Nothing>,
) -> Result<Json<Key>, Problem> {
    let (at, cause) = (named(&scope, &text)?, scope.cause());
    let used = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| key::put_to_use(tx, moment, at, &fingerprint, cause))
        .await?;
    Ok(Json(Key::of(used)))
}

async fn retire_key(
    State(app): State<App>,
    scope: Scope,
    Path((_, text, fingerprint)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let (at, cause) = (named(&scope, &text)?, scope.cause());
    app.portcullis()
        .write(Priority::Ordinary, move |tx, moment| key::retire(tx, moment, at, &fingerprint, cause))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn read_again(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
    _: Body<Nothing>,
) -> Result<Json<Connection>, Problem> {
    let (org, id) = named(&scope, &text)?;
    let cause = scope.cause();
    refresh(app.portcullis(), (org, id), scope.caller, cause).await?;
    let found = app.portcullis().read(move |tx, _| connection::find(tx, org, id)).await?;
    Ok(Json(Connection::of(app.portcullis(), found)))
}
