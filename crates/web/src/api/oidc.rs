//! What is of its own in connections of OpenID: whose ways are followed, settings, and our keys in place of a secret.
//!
//! The routes of connections are those of `connection.rs`; here are its parts for this kind, and what is below one.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::connection::{ClaimRules, Connection, Guests, Overage};
use portcullis_domain::oidc::{
    AssertionAudience, ClientAuth, ClientKey, OidcSettings, Prompt, PushedRequests, ResponseMode,
};
use portcullis_domain::permission::Permission::{ConnectionsRead, ConnectionsWrite};
use portcullis_service::connection::ConnectionView;
use portcullis_service::oidc::key::{self, NewClientKey};
use portcullis_service::oidc::{OidcView, preset};
use portcullis_service::{Portcullis, ServiceError, connection, sign_in};
use portcullis_store::Priority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::connection::named;
use super::notice::Notice;
use crate::App;
use crate::body::{At, Body, Nothing, Page, PageQuery, Params, present, words};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

words! {
    /// What becomes of guests.
    pub GuestsAre of Guests {
        /// They are refused.
        Refuse,
        /// They come in like everybody, and bear a mark.
        Accept,
    }
}
words! {
    /// What becomes of somebody of whose groups no whole list came.
    OverageIs of Overage {
        /// They are refused.
        Refuse,
        /// Microsoft Graph is asked for the whole list.
        AskGraph,
    }
}

/// What is set of a connection of OpenID, our keys there, and what should be looked after.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Oidc {
    /// Whose ways are followed: `entra`, `google`, `okta`, `keycloak`, `auth0` or `generic`.
    preset: &'static str,
    /// The preset that was chosen; null if the issuer tells it by itself.
    chosen_preset: Option<String>,
    /// What is set.
    settings: Settings,
    /// Where our public keys are, for a provider that takes `private_key_jwt`.
    jwks_url: String,
    /// Where the provider sends browsers back to after it ended their session, to be registered there.
    post_logout_redirect_uri: String,
    /// Our keys.
    client_keys: Vec<Key>,
    /// What becomes of somebody of whose groups no whole list came.
    overage: OverageIs,
    /// What should be looked after.
    pub(super) warnings: Vec<Notice>,
}

impl Oidc {
    /// As the API shows it.
    #[must_use]
    pub fn of(portcullis: &Portcullis, connection: &Connection, view: OidcView) -> Self {
        let id = connection.id;
        let warnings = preset::warnings(connection).into_iter().chain(view.warnings(portcullis.now()));
        Self {
            preset: preset::in_force(connection).slug(),
            chosen_preset: connection.claim_rules.preset.clone(),
            overage: OverageIs::of(connection.claim_rules.overage),
            warnings: warnings.map(Notice::from).collect(),
            settings: Settings::of(view.settings),
            jwks_url: sign_in::oidc::keys_uri(portcullis, id),
            post_logout_redirect_uri: sign_in::oidc::signed_out_uri(portcullis, id),
            client_keys: view.keys.into_iter().map(Key::of).collect(),
        }
    }
}

words! {
    /// How this side proves itself to the provider.
    Proof of ClientAuth {
        /// By the secret, in a header.
        ClientSecretBasic,
        /// By the secret, in the form.
        ClientSecretPost,
        /// By a key of ours.
        PrivateKeyJwt,
    }
}
words! {
    /// For whom an assertion says that it is.
    Audience of AssertionAudience {
        /// The token endpoint's address.
        TokenEndpoint,
        /// The issuer.
        Issuer,
    }
}
words! {
    /// How the provider's answer comes back.
    Answer of ResponseMode {
        /// In the query of a redirect.
        Query,
        /// In a form that the browser posts.
        FormPost,
    }
}
words! {
    /// Which requests are pushed to the provider before the browser leaves.
    Pushed of PushedRequests {
        /// Those to a provider that takes no others.
        WhereRequired,
        /// All.
        Always,
    }
}
words! {
    /// What the provider must show the person.
    Shown of Prompt {
        /// That they prove themselves anew.
        Login,
        /// That they consent.
        Consent,
        /// That they choose an account.
        SelectAccount,
    }
}

/// What is set of a connection of OpenID.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "OidcSettings")]
pub struct Settings {
    /// How this side proves itself; null: by the secret, as the provider offers it.
    client_auth: Option<Proof>,
    /// For whom an assertion says that it is.
    assertion_audience: Audience,
    /// How the provider's answer comes back.
    response_mode: Answer,
    /// Which requests are pushed to the provider before the browser leaves.
    pushed_requests: Pushed,
    /// What the provider must show the person; null asks for nothing.
    prompt: Option<Shown>,
    /// Greatest age of the person's authentication, in seconds; null asks for nothing.
    max_age_s: Option<u32>,
    /// The classes of authentication of which one must have been used; none asks for nothing.
    acr_values: Vec<String>,
    /// Whether the address that the person typed is sent along.
    login_hint: bool,
    /// Whether signing out here leads the browser to the provider, to end its session too.
    end_session: bool,
}

impl Settings {
    fn of(settings: OidcSettings) -> Self {
        Self {
            client_auth: settings.client_auth.map(Proof::of),
            assertion_audience: Audience::of(settings.assertion_audience),
            response_mode: Answer::of(settings.response_mode),
            pushed_requests: Pushed::of(settings.pushed_requests),
            prompt: settings.prompt.map(Shown::of),
            max_age_s: settings.max_age_s,
            acr_values: settings.acr_values,
            login_hint: settings.login_hint,
            end_session: settings.end_session,
        }
    }
}

/// What is to be set of a connection of OpenID. Fields that are absent stay, or are as usual in a new one.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcSettingsWish {
    /// Whose ways are followed: `entra`, `google`, `okta`, `keycloak`, `auth0`, `generic`; null for those that the issuer
    /// tells by itself.
    #[serde(default, deserialize_with = "present")]
    preset: Option<Option<String>>,
    /// How this side proves itself; null: by the secret, as the provider offers it. With `private_key_jwt` there is no
    /// `client_secret`, and the provider reads our keys at `jwks_url`.
    #[serde(default, deserialize_with = "present")]
    client_auth: Option<Option<Proof>>,
    /// For whom an assertion says that it is: `token_endpoint` as usual.
    assertion_audience: Option<Audience>,
    /// How the provider's answer comes back: `query` as usual.
    response_mode: Option<Answer>,
    /// Which requests are pushed to the provider before the browser leaves (RFC 9126): `where_required` as usual.
    pushed_requests: Option<Pushed>,
    /// What the provider must show the person; null asks for nothing.
    #[serde(default, deserialize_with = "present")]
    prompt: Option<Option<Shown>>,
    /// Greatest age of the person's authentication, in seconds; the ID token must prove it. Null asks for nothing.
    #[serde(default, deserialize_with = "present")]
    max_age_s: Option<Option<u32>>,
    /// The classes of authentication of which one must have been used; the ID token must prove it. None asks for nothing.
    acr_values: Option<Vec<String>>,
    /// Whether the address that the person typed is sent along: true as usual.
    login_hint: Option<bool>,
    /// Whether signing out here leads the browser to the provider, to end its session too: false as usual, because the
    /// provider must know `post_logout_redirect_uri`.
    end_session: Option<bool>,
    /// What becomes of somebody of whose groups no whole list came: `refuse` as usual; `ask_graph` with Entra ID.
    overage: Option<OverageIs>,
}

impl OidcSettingsWish {
    /// These settings over those.
    #[must_use]
    pub fn over(&self, before: OidcSettings) -> OidcSettings {
        let wish = self.clone();
        OidcSettings {
            client_auth: wish.client_auth.map_or(before.client_auth, |said| said.map(Proof::meant)),
            assertion_audience: wish.assertion_audience.map_or(before.assertion_audience, Audience::meant),
            response_mode: wish.response_mode.map_or(before.response_mode, Answer::meant),
            pushed_requests: wish.pushed_requests.map_or(before.pushed_requests, Pushed::meant),
            prompt: wish.prompt.map_or(before.prompt, |said| said.map(Shown::meant)),
            max_age_s: wish.max_age_s.unwrap_or(before.max_age_s),
            acr_values: wish.acr_values.unwrap_or(before.acr_values),
            login_hint: wish.login_hint.unwrap_or(before.login_hint),
            end_session: wish.end_session.unwrap_or(before.end_session),
        }
    }
}

/// What is wanted over what is set.
#[must_use]
pub fn rules_over(
    before: &ClaimRules,
    oidc: Option<&OidcSettingsWish>,
    guests: Option<GuestsAre>,
) -> ClaimRules {
    let wish = oidc.cloned().unwrap_or_default();
    ClaimRules {
        preset: wish.preset.unwrap_or_else(|| before.preset.clone()),
        guests: guests.map_or(before.guests, GuestsAre::meant),
        overage: wish.overage.map_or(before.overage, OverageIs::meant),
    }
}

/// A key of ours in place of a secret. The key itself is never shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "ClientKey")]
pub struct Key {
    /// Its thumbprint: what our key set calls it.
    kid: String,
    /// `ES256` or `RS256`.
    alg: &'static str,
    /// `next`, `signing`, `former` or `retired`.
    state: &'static str,
    /// When it was made.
    created_at: At,
    /// Its certificate's DER form, in base64, for a provider that is handed certificates; null for one of the first keys.
    certificate: Option<String>,
    /// SHA-1 of that DER form, as 40 hexadecimal digits in upper case: the certificate's thumbprint at Entra ID.
    certificate_sha1: Option<String>,
    /// Until when the certificate says that it is good.
    not_after: Option<At>,
}

impl Key {
    fn of(key: ClientKey) -> Self {
        Self {
            kid: key.kid,
            alg: key.alg.as_str(),
            state: key.state.as_str(),
            created_at: At(key.created_at),
            certificate_sha1: key.certificate.as_ref().and_then(key::thumbprint_of),
            not_after: key.certificate.as_ref().map(|c| At(c.not_after)),
            certificate: key.certificate.map(|c| c.der),
        }
    }
}

const KEYS: &str = "/organizations/{org}/connections/{connection}/client-keys";

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(ConnectionsRead);
    let write = Needs::Permission(ConnectionsWrite);
    vec![
        Operation::get(KEYS, see, "Lists our keys at an OIDC connection.", keys).gives::<Page<Key>>().paged(),
        Operation::create(
            KEYS,
            write,
            "Makes another key of an algorithm that the provider offers: published at once, used when that is ordered.",
            add,
        )
        .takes::<Nothing>()
        .gives::<Key>(),
        Operation::act(
            "/organizations/{org}/connections/{connection}/client-keys/{kid}/use",
            write,
            "Proves ourselves with that key from now on; the one before is published still.",
            put_to_use,
        )
        .takes::<Nothing>()
        .gives::<Key>(),
        Operation::delete(
            "/organizations/{org}/connections/{connection}/client-keys/{kid}",
            write,
            "Retires a key that does not sign.",
            retire,
        )
        .refuses(&["in_use"]),
    ]
}

async fn view_of(
    portcullis: &Portcullis,
    scope: &Scope,
    text: &str,
) -> Result<(ConnectionView, OidcView), Problem> {
    let (org, id) = named(scope, text)?;
    let found = portcullis.read(move |tx, _| connection::find(tx, org, id)).await?;
    let other = || ServiceError::invalid("connection", "is not of the kind `oidc`");
    let view = found.protocol.oidc().cloned().ok_or_else(other)?;
    Ok((found, view))
}

async fn keys(
    State(app): State<App>,
    scope: Scope,
    Path((_, text)): Path<(String, String)>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Key>>, Problem> {
    let (_, view) = view_of(app.portcullis(), &scope, &text).await?;
    let keys = view.keys.into_iter().map(Key::of).collect();
    Ok(Json(Page::cut(keys, &page, |key: &Key| key.kid.clone())?))
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
    let (found, _) = view_of(app.portcullis(), &scope, &text).await?;
    let made = NewClientKey::generate(app.portcullis(), &found.connection.issuer).await?;
    let portcullis = app.portcullis().clone();
    once::create(&app, &scope.caller, &again, &body.bytes, move |tx, moment| {
        key::add(tx, moment, at, (&portcullis.around().sealing, &made), cause).map(Key::of)
    })
    .await
}

async fn put_to_use(
    State(app): State<App>,
    scope: Scope,
    Path((_, text, kid)): Path<(String, String, String)>,
    _: Body<Nothing>,
) -> Result<Json<Key>, Problem> {
    let (at, cause) = (named(&scope, &text)?, scope.cause());
    let used = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| key::put_to_use(tx, moment, at, &kid, cause))
        .await?;
    Ok(Json(Key::of(used)))
}

async fn retire(
    State(app): State<App>,
    scope: Scope,
    Path((_, text, kid)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let (at, cause) = (named(&scope, &text)?, scope.cause());
    app.portcullis()
        .write(Priority::Ordinary, move |tx, moment| key::retire(tx, moment, at, &kid, cause))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
