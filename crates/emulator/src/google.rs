//! A stand-in of Google Workspace: the Directory API and every road to an access token for it, as they are documented.
//!
//! Here so that a directory of this kind can be shown and tried without anybody's cloud. [`GoogleWorkspace::answer`] is
//! the whole of it, without a socket; [`GoogleServer`] puts it behind HTTP. It keeps everything in memory, serves one
//! customer, and fails as it is told ([`GoogleFault`]).

mod answers;
mod consent;
mod identity;
mod token;
mod workspace;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::KeyPair as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::provider::SigningKey;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use crate::oidc_provider::EmulatorError;
use crate::surroundings::Surroundings;

pub use consent::GoogleChoice;
pub use workspace::{GoogleGroup, GoogleMember, GooglePerson, Workspace};

/// Where Google issues access tokens; what an assertion's `aud` must be.
pub const GOOGLE_TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// The path of the Directory API.
pub const DIRECTORY_PATH: &str = "/admin/directory/v1";
/// Most access tokens and calls remembered; the oldest are forgotten first.
const MAX_REMEMBERED: usize = 100_000;
/// Most bytes of a request's body.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Characters of a line of PEM (RFC 7468 §2).
const PEM_LINE: usize = 64;

/// With what a stand-in begins.
#[derive(Debug, Clone)]
pub struct GoogleSettings {
    /// What an assertion's `aud` must be: [`GOOGLE_TOKEN_URL`], or where the stand-in is.
    pub token_url: String,
    /// The customer's people and groups.
    pub workspace: Workspace,
    /// The most items of a page, whatever is asked for: the documented behaviour is "up to".
    pub max_page: usize,
    /// Time and randomness.
    pub surroundings: Surroundings,
}

/// How it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoogleFault {
    /// This page of every list whose path ends so answers 503, again and again.
    Page {
        /// The end of the path, such as `/users`.
        of: String,
        /// Which page, from 1.
        number: usize,
    },
    /// So many calls of the API are answered 403 `userRateLimitExceeded`.
    Quota(u32),
    /// So many calls of the API are answered 429 `rateLimitExceeded`.
    TooMany(u32),
    /// So many calls of the API are answered 500.
    Broken(u32),
    /// The scopes were not granted to the service account.
    NotDelegated,
    /// The key was deleted.
    KeyDeleted,
    /// The administrator in whose name is asked may not read people.
    NoRights,
    /// The Admin SDK API is not switched on in the project.
    ApiDisabled,
    /// This person is missing from every list, though there.
    Hidden(String),
    /// This group is missing from every list, though there.
    HiddenGroup(String),
    /// Whatever holds this in its path and query is answered so, again and again.
    Refused {
        /// A part of path and query.
        of: String,
        /// The status.
        status: u16,
        /// Why, as Google names it.
        reason: &'static str,
        /// Where the answer says it.
        form: GoogleErrorForm,
    },
    /// Whatever holds this in its path and query is answered with a page that is not Google's: 404, by some proxy.
    Foreign(String),
    /// Lists whose path ends so are gone from their second page on.
    Ending(String),
    /// Lists whose path ends so lead back to their first page.
    Looping(String),
    /// Of nobody is the organizational unit said.
    Unitless,
    /// This member is missing from this group's list, though there: (group, person).
    ShortGroup(String, String),
    /// The Workspace's administrator blocks the OAuth client.
    AdminPolicy,
    /// A consent gives no refresh token.
    NoRefreshToken,
    /// A consent gives a scope that was not asked for.
    MoreScopes,
    /// The pool's provider refuses the machine.
    IdentityUnknown,
    /// The machine's identity may not sign for the service account.
    NotTokenCreator,
}

/// Where an error of Google's APIs says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoogleErrorForm {
    /// In `errors`, as the Directory API does.
    Errors,
    /// In `details`, as newer ones do.
    Details,
}

/// Who asks for signatures in a federation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoogleSigns {
    /// The pool's principal itself.
    Principal,
    /// The service account, as which the principal acts.
    Impersonated,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct GoogleCall<'a> {
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// What stands behind the question mark.
    pub query: &'a str,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// What is answered: a status and JSON, a page, or the way onward.
#[derive(Debug, Clone, PartialEq)]
pub struct GoogleAnswer {
    /// The status.
    pub status: u16,
    /// Seconds to wait, if it says so.
    pub retry_after_s: Option<u64>,
    /// Where a browser is sent.
    pub location: Option<String>,
    /// The body; a text is a page.
    pub body: Value,
}

impl GoogleAnswer {
    pub(crate) const fn ok(body: Value) -> Self {
        Self { status: 200, retry_after_s: None, location: None, body }
    }

    const fn page(markup: String) -> Self {
        Self::ok(Value::String(markup))
    }

    fn onward(location: String) -> Self {
        Self { status: 302, location: Some(location), ..Self::page(String::new()) }
    }
}

/// The stand-in, shared by whoever asks and whoever steers it.
#[derive(Clone)]
pub struct GoogleWorkspace {
    shared: Arc<Shared>,
}

impl fmt::Debug for GoogleWorkspace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GoogleWorkspace").finish_non_exhaustive()
    }
}

impl GoogleWorkspace {
    /// A stand-in with a key of its own for its service account. The library draws the key itself, so it differs on
    /// each run.
    ///
    /// # Errors
    /// [`EmulatorError::Key`].
    pub fn new(settings: GoogleSettings) -> Result<Self, EmulatorError> {
        let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(|_| EmulatorError::Key)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| EmulatorError::Key)?;
        let signer =
            SigningKey::from_pkcs8(SigningAlg::Rs256, der.as_ref()).map_err(|_| EmulatorError::Key)?;
        let key_id = settings.surroundings.random_text().chars().take(40).collect();
        let client_secret = format!("GOCSPX-{}", settings.surroundings.random_text());
        let shared = Shared {
            signer,
            client_secret,
            private_key: pem(der.as_ref()),
            public_key: pair.public_key().as_ref().to_vec(),
            key_id,
            token_url: settings.token_url,
            max_page: settings.max_page.max(1),
            surroundings: settings.surroundings,
            state: Mutex::new(State {
                workspace: settings.workspace,
                faults: Vec::new(),
                tokens: VecDeque::new(),
                calls: VecDeque::new(),
                codes: VecDeque::new(),
                standing: VecDeque::new(),
                redirect_uris: Vec::new(),
            }),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The file that Google gives when a key is made.
    #[must_use]
    pub fn service_account_key(&self) -> Value {
        json!({
            "type": "service_account",
            "project_id": "acme-provisioning",
            "private_key_id": self.shared.key_id,
            "private_key": self.shared.private_key,
            "client_email": workspace::CLIENT_EMAIL,
            "client_id": workspace::CLIENT_ID,
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": self.shared.token_url,
            "universe_domain": "googleapis.com",
        })
    }

    /// Makes known where the OAuth client may send browsers back to; its id and secret.
    #[must_use]
    pub fn oauth_client(&self, redirect_uri: &str) -> (&'static str, String) {
        self.shared.lock().redirect_uris.push(redirect_uri.to_owned());
        (consent::CLIENT_ID, self.shared.client_secret.clone())
    }

    /// What somebody does on the consent page behind that address: where their browser is sent.
    #[must_use]
    pub fn consent(&self, page: &Url, choice: &GoogleChoice) -> Option<String> {
        let query: Vec<(String, String)> = page.query_pairs().into_owned().collect();
        consent::chosen(&self.shared, &mut self.shared.lock(), &query, choice).location
    }

    /// How many consents stand.
    #[must_use]
    pub fn count_consents(&self) -> usize {
        self.shared.lock().standing.len()
    }

    /// Everybody takes their consent back, at Google.
    pub fn withdraw_consents(&self) {
        let mut state = self.shared.lock();
        state.standing.clear();
        state.tokens.clear();
    }

    /// What the metadata server of the machine answers.
    #[must_use]
    pub fn metadata(&self) -> Value {
        identity::metadata(&self.shared, &mut self.shared.lock())
    }

    /// The address of the service account.
    #[must_use]
    pub const fn service_account(&self) -> &'static str {
        workspace::CLIENT_EMAIL
    }

    /// What the machine's own platform gives it, and the provider's credential configuration, whose subject token is
    /// in that file. `base` is where the token service and the IAM API are.
    #[must_use]
    pub fn federation(&self, base: (&str, &str), file: &str, signs: GoogleSigns) -> (&'static str, Value) {
        let (sts, iam) = base;
        let mut configuration = json!({
            "universe_domain": "googleapis.com",
            "type": "external_account",
            "audience": identity::AUDIENCE,
            "subject_token_type": identity::SUBJECT_TYPE,
            "token_url": format!("{sts}{}", identity::STS_PATH),
            "credential_source": { "file": file, "format": { "type": "text" } },
        });
        if let (GoogleSigns::Impersonated, Value::Object(configuration)) = (signs, &mut configuration) {
            let url = format!("{iam}{}{}:generateAccessToken", identity::IAM_PREFIX, workspace::CLIENT_EMAIL);
            configuration.insert("service_account_impersonation_url".to_owned(), url.into());
        }
        (identity::SUBJECT_TOKEN, configuration)
    }

    /// Changes people, groups or units.
    pub fn change<T>(&self, change: impl FnOnce(&mut Workspace) -> T) -> T {
        change(&mut self.shared.lock().workspace)
    }

    /// Fails so from the next call on, beside what fails already.
    pub fn fail(&self, fault: GoogleFault) {
        self.shared.lock().faults.push(fault);
    }

    /// Fails no more.
    pub fn mend(&self) {
        self.shared.lock().faults.clear();
    }

    /// Refuses every access token that was issued until now.
    pub fn revoke_tokens(&self) {
        self.shared.lock().tokens.clear();
    }

    /// Method, path and query of every call, in order; forgets them.
    #[must_use]
    pub fn take_calls(&self) -> Vec<String> {
        self.shared.lock().calls.drain(..).collect()
    }

    /// Answers one call.
    #[must_use]
    pub fn answer(&self, call: &GoogleCall<'_>) -> GoogleAnswer {
        let mut state = self.shared.lock();
        state.calls.push_back(format!("{} {}?{}", call.method, call.path, call.query));
        if state.calls.len() > MAX_REMEMBERED {
            state.calls.pop_front();
        }
        let shared = &self.shared;
        match call.path {
            "/token" => token::issue(shared, &mut state, call),
            consent::CONSENT_PATH => consent::page(shared, &mut state, call),
            consent::REVOKE_PATH => consent::revoke(&mut state, call),
            identity::STS_PATH => identity::exchange(shared, &mut state, call),
            path if path.starts_with(identity::IAM_PREFIX) => identity::iam(shared, &mut state, call),
            _ => answers::answer(shared, &mut state, call),
        }
    }
}

/// PKCS#8 as PEM, as it stands in a key file.
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(PEM_LINE));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    out.push_str("-----END PRIVATE KEY-----\n");
    out
}

struct Shared {
    signer: SigningKey,
    client_secret: String,
    private_key: String,
    public_key: Vec<u8>,
    key_id: String,
    token_url: String,
    max_page: usize,
    surroundings: Surroundings,
    state: Mutex<State>,
}

impl Shared {
    /// A panic elsewhere leaves nothing half done here: every change is one assignment or one push.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct State {
    workspace: Workspace,
    faults: Vec<GoogleFault>,
    tokens: VecDeque<AccessToken>,
    calls: VecDeque<String>,
    codes: VecDeque<consent::Code>,
    standing: VecDeque<consent::Standing>,
    redirect_uris: Vec<String>,
}

/// An access token that was issued.
struct AccessToken {
    text: String,
    /// The second at which it runs out.
    until: i64,
    rights: Rights,
    /// The account whose consent it is of, where a person gave one.
    consent_of: Option<String>,
}

/// What its bearer may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rights {
    /// Read the directory.
    Directory,
    /// Have assertions signed.
    Sign,
    /// No administrator.
    None,
}

impl State {
    fn remember_token(&mut self, token: AccessToken) {
        self.tokens.push_back(token);
        if self.tokens.len() > MAX_REMEMBERED {
            self.tokens.pop_front();
        }
    }
}

/// The stand-in behind HTTP: tokens at `/token`, the Directory API under [`DIRECTORY_PATH`]. It ends when it is dropped.
#[derive(Debug)]
pub struct GoogleServer {
    base: String,
    workspace: GoogleWorkspace,
    task: JoinHandle<()>,
}

impl GoogleServer {
    /// Serves on `listener`; an assertion's `aud` must be `/token` there. Call within a tokio runtime.
    ///
    /// # Errors
    /// [`EmulatorError`] if the listener has no address or no key can be made.
    pub fn start(listener: TcpListener, settings: GoogleSettings) -> Result<Self, EmulatorError> {
        let base = format!("http://{}", listener.local_addr()?);
        let token_url = format!("{base}/token");
        let workspace = GoogleWorkspace::new(GoogleSettings { token_url, ..settings })?;
        let asked = workspace.clone();
        let router = Router::new()
            .fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let asked = asked.clone();
                async move { over_http(&asked, &method, &uri, &headers, &body) }
            })
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
        let task = tokio::spawn(async move {
            // Serving on a listener that is open does not fail; a broken connection ends only itself.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { base, workspace, task })
    }

    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What it serves.
    #[must_use]
    pub const fn workspace(&self) -> &GoogleWorkspace {
        &self.workspace
    }
}

impl Drop for GoogleServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn over_http(
    workspace: &GoogleWorkspace,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    if uri.path() == identity::METADATA_PATH {
        return metadata_over_http(workspace, headers);
    }
    let answer = workspace.answer(&GoogleCall {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        authorization: headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()),
        body,
    });
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (kind, body) = match answer.body {
        Value::String(markup) => ("text/html; charset=UTF-8", markup),
        json => ("application/json; charset=UTF-8", json.to_string()),
    };
    let mut response = (status, [(CONTENT_TYPE, kind)], body).into_response();
    if let Some(location) = answer.location.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(LOCATION, location);
    }
    if let Some(seconds) = answer.retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// The metadata server answers nobody who was tricked into asking: it wants a header, and gives it back.
fn metadata_over_http(workspace: &GoogleWorkspace, headers: &HeaderMap) -> Response {
    const FLAVOR: &str = "metadata-flavor";
    if headers.get(FLAVOR).is_none_or(|value| value.as_bytes() != b"Google") {
        return StatusCode::FORBIDDEN.into_response();
    }
    ([(FLAVOR, "Google"), ("content-type", "application/json")], workspace.metadata().to_string())
        .into_response()
}
