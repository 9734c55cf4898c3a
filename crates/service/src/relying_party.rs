//! What is known of identity providers: their metadata and keys, fetched when needed and kept in memory, bounded.
//!
//! Here is everything of a sign-in that leaves the process. A provider that cannot be reached for a while does not
//! end sign-in: the last good metadata and keys serve on, for a day at most. An unknown key has the set fetched again, as
//! often as `rollover` lets it, so that nobody turns this server into a flood.

mod document;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::connection::Connection;
use portcullis_domain::id::ConnectionId;
use portcullis_domain::oidc::OidcSettings;
use portcullis_oidc::claims::IdentityClaims;
use portcullis_oidc::client_auth::Client;
use portcullis_oidc::discovery::{self, MAX_DISCOVERY_BYTES, ProviderMetadata};
use portcullis_oidc::id_token::{self, IdTokenError, IdTokenRules};
use portcullis_oidc::issuer::Insecure;
use portcullis_oidc::jwks::{KeySet, MAX_JWKS_BYTES};
use portcullis_oidc::logout_token::{self, Logout, LogoutTokenError, LogoutTokenRules};
use portcullis_oidc::pkce::CodeVerifier;
use portcullis_oidc::pushed_request::{MAX_PUSHED_ANSWER_BYTES, Pushed, PushedRequest};
use portcullis_oidc::refusal::Refusal as OidcRefusal;
use portcullis_oidc::request::{AuthorizationRequest, Nonce};
use portcullis_oidc::token::{FORM_CONTENT_TYPE, MAX_TOKEN_RESPONSE_BYTES, TokenRequest, TokenResponse};
use portcullis_oidc::userinfo::{self, MAX_USERINFO_BYTES};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::document::{Document, MAX_SERVES_S, Read, Then, Unread};
use crate::fetch::{Fetch, FetchAnswer, FetchError, FetchRequest};
use crate::oidc::broken;
use crate::refusal::SignInRefusal;
use crate::rollover::{self, Brought};
use crate::{Portcullis, ServiceError};

/// The most providers that are remembered; beyond it one goes of which nothing was ever verified, else the one asked
/// longest ago: whoever walks along addresses of sign-in makes nobody's provider forgotten.
const MAX_PROVIDERS: usize = 1_000;
/// Seconds after which metadata is fetched again.
const METADATA_AGE_S: i64 = 3_600;
/// Seconds for which keys serve if the provider says nothing.
const KEYS_AGE_S: i64 = 3_600;
/// The shortest time that a provider may give its keys, in seconds: less would be a fetch for every sign-in.
const MIN_KEYS_AGE_S: i64 = 300;
/// Fetches for one signature whose key is not known: what another sign-in fetches meanwhile may be older than the key.
const MAX_FETCHES: usize = 2;
/// Milliseconds for one request to a provider: a person waits for it.
pub(crate) const TIMEOUT_MS: u64 = 10_000;

/// A provider as a connection names it.
struct Known {
    issuer: String,
    metadata: Arc<Document<ProviderMetadata>>,
    keys: Mutex<Published>,
    /// When it was last asked for, and when something of it was last verified: microseconds, 0 for never.
    asked_at: AtomicI64,
    verified_at: AtomicI64,
}

/// Keys, and where they are.
struct Published {
    at: Option<Url>,
    keys: Arc<Document<KeySet>>,
}

impl Published {
    fn at(url: Option<Url>) -> Self {
        Self { at: url, keys: Arc::default() }
    }
}

impl Known {
    fn new(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            metadata: Arc::default(),
            keys: Mutex::new(Published::at(None)),
            asked_at: AtomicI64::new(0),
            verified_at: AtomicI64::new(0),
        }
    }

    /// The keys at that place. Those of another place are not this one's.
    fn keys(&self, url: &Url) -> Arc<Document<KeySet>> {
        let mut published = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if published.at.as_ref() != Some(url) {
            *published = Published::at(Some(url.clone()));
        }
        Arc::clone(&published.keys)
    }

    /// The one that goes first when room is needed is the smallest.
    fn worth(&self) -> (bool, i64) {
        let verified = self.verified_at.load(Ordering::Relaxed) != 0;
        (verified, self.asked_at.load(Ordering::Relaxed))
    }
}

/// The providers that are known.
#[derive(Default)]
pub struct Providers {
    known: Mutex<HashMap<ConnectionId, Arc<Known>>>,
}

pub(crate) fn unreachable(error: &FetchError) -> ServiceError {
    SignInRefusal::Unreachable { code: error.code(), message: error.to_string() }.into()
}

fn status(answer: &FetchAnswer, url: &Url) -> Result<(), ServiceError> {
    if answer.status == 200 {
        return Ok(());
    }
    let message = format!("`{}` answered {}", url.host_str().unwrap_or_default(), answer.status);
    Err(SignInRefusal::Unreachable { code: "provider_status", message }.into())
}

impl Providers {
    /// What is known of a connection's provider: nothing, the first time, and after the connection names another.
    fn of(&self, (connection, issuer): (ConnectionId, &str), now: Timestamp) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&connection).is_some_and(|found| found.issuer != issuer) {
            known.remove(&connection);
        }
        if known.len() >= MAX_PROVIDERS && !known.contains_key(&connection) {
            let least = known.iter().min_by_key(|(_, found)| found.worth()).map(|(id, _)| *id);
            least.and_then(|id| known.remove(&id));
        }
        let found = Arc::clone(known.entry(connection).or_insert_with(|| Arc::new(Known::new(issuer))));
        found.asked_at.store(now.micros(), Ordering::Relaxed);
        found
    }

    /// A connection's provider's metadata.
    ///
    /// # Errors
    /// [`ServiceError::SignIn`] if it breaks a rule, or cannot be fetched and was not known within a day.
    pub async fn metadata(
        &self,
        portcullis: &Portcullis,
        connection: &Connection,
    ) -> Result<Arc<ProviderMetadata>, ServiceError> {
        let (around, issuer) = (portcullis.around(), &connection.issuer);
        let found = self.of((connection.id, issuer), portcullis.now());
        let (fetch, plain_http) = (Arc::clone(&around.fetch), around.limits.plain_http);
        let named = issuer.clone();
        let read = async move {
            let body = fetch_metadata(&*fetch, &named, plain_http).await?;
            match discovery::parse(&body, &named, plain_http) {
                Ok(value) => Ok(Read { value, fresh_s: METADATA_AGE_S }),
                Err(error) if error.is_unreadable() => Err(broken(error).into()),
                Err(error) => Err(Unread { error: broken(error), then: Then::Forgotten }),
            }
        };
        found.metadata.at_hand(&around.clock, read).await
    }

    /// The metadata of an issuer for which there may be no connection yet. It is not remembered.
    ///
    /// # Errors
    /// [`ServiceError::SignIn`] if it breaks a rule or cannot be fetched.
    pub async fn look_at(
        fetch: &dyn Fetch,
        issuer: &str,
        insecure: Insecure,
    ) -> Result<ProviderMetadata, ServiceError> {
        let body = fetch_metadata(fetch, issuer, insecure).await?;
        discovery::parse(&body, issuer, insecure).map_err(broken)
    }

    /// Verifies an ID token, fetching the keys again if it names one that is not known.
    async fn verify(
        &self,
        portcullis: &Portcullis,
        connection: &Connection,
        metadata: &ProviderMetadata,
        tokens: &TokenResponse,
        exchange: &Exchange<'_>,
    ) -> Result<IdentityClaims, ServiceError> {
        let rules = IdTokenRules {
            issuer: &connection.issuer,
            client_id: &connection.client_id,
            trusted_audiences: &[],
            algs: &metadata.id_token_algs,
            nonce: exchange.nonce,
            access_token: tokens.access_token.expose_secret(),
            max_age_s: exchange.asked.max_age_s,
            proven_since: exchange.asked.wants_proof_anew().then(|| exchange.begun_at.seconds()),
            acr_values: &exchange.asked.acr_values,
            now: exchange.now.seconds(),
        };
        let token = tokens.id_token.expose_secret();
        let verify = |keys: &KeySet| id_token::verify(token, keys, &rules);
        let known = (connection, metadata, Brought::ByTheProvider);
        self.verified(portcullis, known, verify, IdTokenError::is_unknown_key).await
    }

    /// Verifies the word of a provider that a session is over.
    ///
    /// # Errors
    /// [`ServiceError::SignIn`], the first check that fails.
    pub async fn verify_logout(
        &self,
        portcullis: &Portcullis,
        connection: &Connection,
        metadata: &ProviderMetadata,
        (token, source): (&str, IpAddr),
    ) -> Result<Logout, ServiceError> {
        let rules = LogoutTokenRules {
            issuer: &connection.issuer,
            client_id: &connection.client_id,
            algs: &metadata.id_token_algs,
            now: portcullis.now().seconds(),
        };
        let verify = |keys: &KeySet| logout_token::verify(token, keys, &rules);
        let known = (connection, metadata, Brought::From(source));
        self.verified(portcullis, known, verify, LogoutTokenError::is_unknown_key).await
    }

    /// What is verified with the keys at hand, or with newer ones if they do not know the one that it names.
    async fn verified<T, E: Into<OidcRefusal>>(
        &self,
        portcullis: &Portcullis,
        (connection, metadata, brought): (&Connection, &ProviderMetadata, Brought),
        verify: impl Fn(&KeySet) -> Result<T, E>,
        is_unknown_key: impl Fn(&E) -> bool,
    ) -> Result<T, ServiceError> {
        let around = portcullis.around();
        let found = self.of((connection.id, &connection.issuer), portcullis.now());
        let (document, clock) = (found.keys(&metadata.jwks_uri), &around.clock);
        let read = || fetch_keys(Arc::clone(&around.fetch), metadata.jwks_uri.clone());
        let wanted = rollover::Wanted { at: connection.id, brought };
        let mut has_read = false;
        let mut keys = document.at_hand(clock, read()).await?;
        let mut verified = verify(&keys);
        for _ in 0..MAX_FETCHES {
            if has_read || !verified.as_ref().is_err_and(&is_unknown_key) {
                break;
            }
            let admit = || {
                has_read = wanted.admit(portcullis);
                has_read
            };
            let other = document.other_than(Arc::clone(&keys), clock, admit, read()).await;
            if Arc::ptr_eq(&other, &keys) {
                break;
            }
            verified = verify(&other);
            keys = other;
        }
        if verified.is_ok() {
            found.verified_at.store(portcullis.now().micros(), Ordering::Relaxed);
            if has_read {
                wanted.was_right(portcullis);
            }
        }
        verified.map_err(broken)
    }

    /// Exchanges a code, verifies the ID token and asks UserInfo: claims that are proven to be the provider's.
    ///
    /// # Errors
    /// [`ServiceError::SignIn`], the first check that fails.
    pub async fn exchange(
        &self,
        portcullis: &Portcullis,
        connection: &Connection,
        metadata: &ProviderMetadata,
        exchange: Exchange<'_>,
    ) -> Result<Exchanged, ServiceError> {
        let fetch = &*portcullis.around().fetch;
        let (code, verifier) = (exchange.code, exchange.verifier);
        let request =
            TokenRequest::for_code(metadata, exchange.client, code, verifier, exchange.redirect_uri);
        let form = (request.url, request.authorization, request.body);
        let answer = post_form(fetch, form, MAX_TOKEN_RESPONSE_BYTES).await?;
        let tokens = TokenResponse::parse(answer.status, &answer.body).map_err(broken)?;
        let claims = self.verify(portcullis, connection, metadata, &tokens, &exchange).await?;
        let id_token = tokens.id_token;
        let Some(url) = metadata.userinfo_endpoint.clone() else {
            return Ok(Exchanged { claims, id_token });
        };
        let bearer = format!("Bearer {}", tokens.access_token.expose_secret());
        let get = FetchRequest::get(url, MAX_USERINFO_BYTES, TIMEOUT_MS)
            .with_header("authorization", &bearer)
            .with_header("accept", "application/json");
        let answer = fetch.fetch(get).await.map_err(|e| unreachable(&e))?;
        let claims = userinfo::add(claims, answer.status, &answer.body).map_err(broken)?;
        Ok(Exchanged { claims, id_token })
    }
}

/// What an exchange proves.
pub struct Exchanged {
    /// What the provider says of the person.
    pub claims: IdentityClaims,
    /// The ID token that it said so in.
    pub id_token: SecretString,
}

/// Pushes a request: where the browser goes instead of carrying it.
///
/// # Errors
/// [`ServiceError::SignIn`] if the provider takes none, refuses it or cannot be asked.
pub async fn push(
    fetch: &dyn Fetch,
    metadata: &ProviderMetadata,
    (request, client): (&AuthorizationRequest<'_>, Client<'_>),
) -> Result<Url, ServiceError> {
    let pushed = PushedRequest::of(request, metadata, client).map_err(broken)?;
    let form = (pushed.url, pushed.authorization, pushed.body);
    let answer = post_form(fetch, form, MAX_PUSHED_ANSWER_BYTES).await?;
    let named = Pushed::parse(answer.status, &answer.body).map_err(broken)?;
    Ok(named.url(metadata, client.id))
}

/// Posts a form to an address of the provider's metadata.
pub(crate) async fn post_form(
    fetch: &dyn Fetch,
    (url, authorization, body): (Url, Option<SecretString>, SecretString),
    max_bytes: usize,
) -> Result<FetchAnswer, ServiceError> {
    let body = body.expose_secret().as_bytes().to_vec();
    let mut post = FetchRequest::post(url, body, max_bytes, TIMEOUT_MS)
        .with_header("content-type", FORM_CONTENT_TYPE)
        .with_header("accept", "application/json");
    if let Some(authorization) = &authorization {
        post = post.with_header("authorization", authorization.expose_secret());
    }
    fetch.fetch(post).await.map_err(|e| unreachable(&e))
}

async fn fetch_metadata(
    fetch: &dyn Fetch,
    issuer: &str,
    insecure: Insecure,
) -> Result<Vec<u8>, ServiceError> {
    let url = discovery::metadata_url(issuer, insecure).map_err(broken)?;
    let answer = fetch.fetch(FetchRequest::get(url.clone(), MAX_DISCOVERY_BYTES, TIMEOUT_MS)).await;
    let answer = answer.map_err(|e| unreachable(&e))?;
    status(&answer, &url)?;
    Ok(answer.body)
}

/// What an exchange needs beside the connection.
pub struct Exchange<'a> {
    /// Who we are at the provider, proven.
    pub client: Client<'a>,
    /// What was asked of the person's authentication.
    pub asked: &'a OidcSettings,
    /// The code.
    pub code: &'a SecretString,
    /// The PKCE verifier of this sign-in.
    pub verifier: &'a CodeVerifier,
    /// The nonce of this sign-in.
    pub nonce: &'a Nonce,
    /// Where the answer came in: the same as was asked for.
    pub redirect_uri: &'a str,
    /// When this sign-in began.
    pub begun_at: Timestamp,
    /// The time.
    pub now: Timestamp,
}

async fn fetch_keys(fetch: Arc<dyn Fetch>, url: Url) -> Result<Read<KeySet>, Unread> {
    let answer = fetch.fetch(FetchRequest::get(url.clone(), MAX_JWKS_BYTES, TIMEOUT_MS)).await;
    let answer = answer.map_err(|e| unreachable(&e))?;
    status(&answer, &url)?;
    let value = KeySet::parse(&answer.body).map_err(broken)?;
    let age_s = answer.header("cache-control").and_then(max_age_s).unwrap_or(KEYS_AGE_S);
    Ok(Read { value, fresh_s: age_s.clamp(MIN_KEYS_AGE_S, MAX_SERVES_S) })
}

/// The `max-age` of a `Cache-Control` header (RFC 9111 §5.2.2.1).
fn max_age_s(header: &str) -> Option<i64> {
    header.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.trim_matches('"').parse().ok())
}

#[cfg(test)]
#[path = "relying_party_tests.rs"]
mod tests;
