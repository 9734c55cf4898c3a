//! An OpenID Connect provider on a listener that the caller opened: what it knows and how it is steered.
//!
//! Here so that sign-in can be shown and tried over HTTP without anybody's cloud. It keeps everything in memory, serves
//! one company, and behaves as it is told ([`Behaviour`]). The routes are in `oidc_routes`, the documents and tokens in
//! `oidc_answers`.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;
use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::jwk::PublicJwk;
use portcullis_oidc::pkce::CodeChallenge;
use portcullis_oidc::provider::{SigningKey, SigningKeyError};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::behaviour::Behaviour;
use crate::people::Company;
use crate::surroundings::Surroundings;
use crate::{oidc_answers, oidc_routes};

/// Most codes and access tokens remembered; the oldest are forgotten first.
const MAX_REMEMBERED: usize = 10_000;
/// Most keys published after rotations: a relying party takes 100.
const MAX_PUBLISHED_KEYS: usize = 10;
/// Tries to draw a P-256 scalar; each fails once in 2^32.
const MAX_KEY_TRIES: usize = 8;

/// Why the provider does not start or turn its key.
#[derive(Debug, Error)]
pub enum EmulatorError {
    /// The listener has no address.
    #[error("the listener cannot be used")]
    Listener(#[from] std::io::Error),
    /// No key could be made.
    #[error("no signing key could be made")]
    Key,
}

/// What it signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// P-256, from [`Surroundings`]. Quick.
    Es256,
    /// RSA with 2048 bits, as most providers. The library draws its primes itself, so these keys differ on each run.
    Rs256,
}

/// What stands in the groups claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupValues {
    /// Names, as Okta or Keycloak send them.
    DisplayNames,
    /// Ids, as Entra sends them; the same as in SCIM's `externalId`.
    ExternalIds,
}

/// What happens to the old key when a new one signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It stays published.
    KeepOld,
    /// It vanishes.
    DropOld,
    /// It vanishes, and signs on: only the new one is published.
    WithdrawOld,
}

/// An application known to the provider.
#[derive(Debug, Clone)]
pub struct RegisteredClient {
    /// Its id.
    pub id: String,
    /// Its secret, if it has one.
    pub secret: SecretString,
    /// Where its public keys are: it proves itself by `private_key_jwt` then, and by nothing else.
    pub jwks_uri: Option<String>,
    /// Where answers may go, compared byte for byte.
    pub redirect_uris: Vec<String>,
}

/// With what a provider begins.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Who can sign in.
    pub company: Company,
    /// Known applications; more can be registered later.
    pub clients: Vec<RegisteredClient>,
    /// What it signs with.
    pub key_kind: KeyKind,
    /// What stands in the groups claim.
    pub group_values: GroupValues,
    /// Time and randomness.
    pub surroundings: Surroundings,
}

/// How people prove themselves there, as ID tokens tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authentication {
    /// The class; `None`: the first one that was asked for.
    pub acr: Option<String>,
    /// How long ago it was, in seconds.
    pub ago_s: i64,
}

/// How often each endpoint was called: for tests of caches and floods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Metadata.
    pub discovery: u64,
    /// Key set.
    pub jwks: u64,
    /// Authorization requests.
    pub authorize: u64,
    /// Pushed requests.
    pub pushed: u64,
    /// Token requests.
    pub token: u64,
    /// UserInfo requests.
    pub userinfo: u64,
    /// Requests to the stand-in of Microsoft Graph.
    pub graph: u64,
}

/// A running provider. It ends when it is dropped.
pub struct OidcProvider {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl fmt::Debug for OidcProvider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OidcProvider").field("issuer", &self.shared.issuer).finish_non_exhaustive()
    }
}

impl OidcProvider {
    /// Serves on `listener`; the issuer is `http://` and its address. Call within a tokio runtime.
    ///
    /// # Errors
    /// [`EmulatorError`] if the listener has no address or no key can be made.
    pub fn start(listener: TcpListener, settings: ProviderSettings) -> Result<Self, EmulatorError> {
        Self::start_below(listener, "", settings)
    }

    /// The same below a path such as `/tenant/v2.0`, which is the end of the issuer then.
    ///
    /// # Errors
    /// As [`OidcProvider::start`].
    pub fn start_below(
        listener: TcpListener,
        path: &str,
        settings: ProviderSettings,
    ) -> Result<Self, EmulatorError> {
        let address: SocketAddr = listener.local_addr()?;
        let key = new_key(settings.key_kind, &settings.surroundings)?;
        let attacker_key = new_key(settings.key_kind, &settings.surroundings)?;
        let shared = Arc::new(Shared {
            issuer: format!("http://{address}{path}"),
            path: path.to_owned(),
            key_kind: settings.key_kind,
            group_values: settings.group_values,
            surroundings: settings.surroundings,
            attacker_key,
            counters: Counters::default(),
            state: Mutex::new(State {
                company: settings.company,
                clients: settings.clients,
                behaviour: Behaviour::Honest,
                signed_in: None,
                says_too: Map::new(),
                graph: HashMap::new(),
                published: vec![key.public_jwk().clone()],
                key: Arc::new(key),
                keys_kept: "no-store".to_owned(),
                published_members: Map::new(),
                authentication: Authentication::default(),
                pushed: VecDeque::new(),
                assertions: VecDeque::new(),
                certificates: HashMap::new(),
                grants: VecDeque::new(),
                access_tokens: VecDeque::new(),
            }),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let router = oidc_routes::router(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let until = async move {
                // Either the word or the sender's end: both mean stop.
                let _ = stopped.await;
            };
            // Serving on a listener that is open does not fail; a broken connection ends only itself.
            let _ = axum::serve(listener, router).with_graceful_shutdown(until).await;
        });
        Ok(Self { shared, stop: Some(stop), task })
    }

    /// Its issuer, without a slash at the end.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Behaves so from the next request on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().behaviour = behaviour;
    }

    /// Has these claims in ID tokens from the next one on, instead of or beside the usual ones; null leaves one out.
    pub fn say_too(&self, claims: Map<String, Value>) {
        self.shared.lock().says_too = claims;
    }

    /// Has these members in its metadata, in place of or beside the usual ones; null leaves one out.
    pub fn publish(&self, members: Map<String, Value>) {
        self.shared.lock().published_members = members;
    }

    /// Says so in `Cache-Control` of its key set from now on.
    pub fn have_keys_kept(&self, cache_control: &str) {
        cache_control.clone_into(&mut self.shared.lock().keys_kept);
    }

    /// Has people prove themselves so.
    pub fn authenticate(&self, authentication: Authentication) {
        self.shared.lock().authentication = authentication;
    }

    /// Has the stand-in of Microsoft Graph beside it answer so when it is asked for the groups of that object.
    pub fn have_graph_say(&self, object: &str, answer: Value) {
        self.shared.lock().graph.insert(object.to_owned(), answer);
    }

    /// Makes an application known, or replaces the one of the same id.
    pub fn register_client(&self, client: RegisteredClient) {
        let mut state = self.shared.lock();
        state.clients.retain(|known| known.id != client.id);
        state.clients.push(client);
    }

    /// Hands it a certificate of a client that proves itself by `private_key_jwt`. From the first one on it finds that
    /// client's key by certificate, as Entra ID does, and reads no key set.
    pub fn take_certificate(&self, client: &str, der: Vec<u8>) {
        self.shared.lock().certificates.entry(client.to_owned()).or_default().push(der);
    }

    /// Whose browser comes next, if no `login_hint` says it: id, user name or address. `None` shows the choice.
    pub fn sign_in_as(&self, hint: Option<&str>) {
        self.shared.lock().signed_in = hint.map(str::to_owned);
    }

    /// Changes people or groups.
    pub fn change_company<T>(&self, change: impl FnOnce(&mut Company) -> T) -> T {
        change(&mut self.shared.lock().company)
    }

    /// Signs with a new key from now on.
    ///
    /// # Errors
    /// [`EmulatorError::Key`].
    pub fn rotate_key(&self, rotation: Rotation) -> Result<(), EmulatorError> {
        let key = new_key(self.shared.key_kind, &self.shared.surroundings)?;
        let mut state = self.shared.lock();
        if rotation != Rotation::KeepOld {
            state.published.clear();
        }
        state.published.insert(0, key.public_jwk().clone());
        state.published.truncate(MAX_PUBLISHED_KEYS);
        if rotation != Rotation::WithdrawOld {
            state.key = Arc::new(key);
        }
        Ok(())
    }

    /// Signs these claims as a token of that `typ`: for what a provider says by itself, true or not.
    ///
    /// # Errors
    /// [`SigningKeyError`].
    pub fn sign(&self, typ: &str, claims: &Value) -> Result<String, SigningKeyError> {
        let (key, behaviour) = {
            let state = self.shared.lock();
            (Arc::clone(&state.key), state.behaviour)
        };
        if behaviour != Behaviour::KeysUnnamed {
            return key.sign(typ, claims);
        }
        let header =
            oidc_answers::without_kid(json!({"alg": key.alg().name(), "kid": key.kid(), "typ": typ}));
        key.sign_bytes(&header, claims.to_string().as_bytes())
    }

    /// How often each endpoint was called.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    /// Stops and waits until open requests are answered.
    pub async fn stop(mut self) {
        self.stop.take();
        // The task was not aborted and does not panic; there is nothing to do if it did.
        let _ = (&mut self.task).await;
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) struct Shared {
    pub(crate) issuer: String,
    pub(crate) path: String,
    pub(crate) key_kind: KeyKind,
    pub(crate) group_values: GroupValues,
    pub(crate) surroundings: Surroundings,
    pub(crate) attacker_key: SigningKey,
    pub(crate) counters: Counters,
    state: Mutex<State>,
}

impl Shared {
    /// A panic elsewhere leaves nothing half done here: every change is one assignment or one push.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct State {
    pub(crate) company: Company,
    pub(crate) clients: Vec<RegisteredClient>,
    pub(crate) behaviour: Behaviour,
    pub(crate) signed_in: Option<String>,
    pub(crate) says_too: Map<String, Value>,
    pub(crate) graph: HashMap<String, Value>,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) published: Vec<PublicJwk>,
    pub(crate) keys_kept: String,
    pub(crate) published_members: Map<String, Value>,
    pub(crate) authentication: Authentication,
    pushed: VecDeque<(String, Vec<(String, String)>)>,
    assertions: VecDeque<String>,
    pub(crate) certificates: HashMap<String, Vec<Vec<u8>>>,
    grants: VecDeque<Grant>,
    access_tokens: VecDeque<(String, String)>,
}

impl State {
    pub(crate) fn remember_pushed(&mut self, name: String, request: Vec<(String, String)>) {
        self.pushed.push_back((name, request));
        if self.pushed.len() > MAX_REMEMBERED {
            self.pushed.pop_front();
        }
    }

    /// Takes it out: a pushed request is used once.
    pub(crate) fn take_pushed(&mut self, name: &str) -> Option<Vec<(String, String)>> {
        let at = self.pushed.iter().position(|(own, _)| own == name)?;
        self.pushed.remove(at).map(|(_, request)| request)
    }

    /// Uses the name of an assertion up; whether nobody has before.
    pub(crate) fn use_assertion(&mut self, jti: String) -> bool {
        if self.assertions.contains(&jti) {
            return false;
        }
        self.assertions.push_back(jti);
        if self.assertions.len() > MAX_REMEMBERED {
            self.assertions.pop_front();
        }
        true
    }

    pub(crate) fn remember_grant(&mut self, grant: Grant) {
        self.grants.push_back(grant);
        if self.grants.len() > MAX_REMEMBERED {
            self.grants.pop_front();
        }
    }

    /// Takes it out: a code is used once.
    pub(crate) fn take_grant(&mut self, code: &str) -> Option<Grant> {
        let at = self.grants.iter().position(|grant| grant.code == code)?;
        self.grants.remove(at)
    }

    pub(crate) fn remember_access_token(&mut self, token: String, person_id: String) {
        self.access_tokens.push_back((token, person_id));
        if self.access_tokens.len() > MAX_REMEMBERED {
            self.access_tokens.pop_front();
        }
    }

    pub(crate) fn find_token_holder(&self, token: &str) -> Option<String> {
        self.access_tokens.iter().rev().find(|(own, _)| own == token).map(|(_, person_id)| person_id.clone())
    }
}

/// What stands behind a code.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) code: String,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: CodeChallenge,
    pub(crate) nonce: Option<String>,
    pub(crate) acr: Option<String>,
    pub(crate) person_id: String,
    pub(crate) granted_at: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) discovery: AtomicU64,
    pub(crate) jwks: AtomicU64,
    pub(crate) authorize: AtomicU64,
    pub(crate) pushed: AtomicU64,
    pub(crate) token: AtomicU64,
    pub(crate) userinfo: AtomicU64,
    pub(crate) graph: AtomicU64,
}

impl Counters {
    fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            discovery: read(&self.discovery),
            jwks: read(&self.jwks),
            authorize: read(&self.authorize),
            pushed: read(&self.pushed),
            token: read(&self.token),
            userinfo: read(&self.userinfo),
            graph: read(&self.graph),
        }
    }
}

fn new_key(kind: KeyKind, surroundings: &Surroundings) -> Result<SigningKey, EmulatorError> {
    match kind {
        KeyKind::Es256 => (0..MAX_KEY_TRIES)
            .find_map(|_| SigningKey::es256_from_random(&surroundings.random_32()).ok())
            .ok_or(EmulatorError::Key),
        KeyKind::Rs256 => {
            let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(|_| EmulatorError::Key)?;
            let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| EmulatorError::Key)?;
            SigningKey::from_pkcs8(SigningAlg::Rs256, der.as_ref()).map_err(|_| EmulatorError::Key)
        }
    }
}
