//! What is known of identity providers: their metadata and keys, fetched when needed and kept in memory, bounded.
//!
//! Here is everything of a sign-in that leaves the process. A provider that cannot be reached for a while does not
//! end sign-in: the last good metadata and keys serve on. An unknown key has the set fetched again, once a minute at
//! most, so that nobody turns this server into a flood.

use std::collections::HashMap;
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

use crate::ServiceError;
use crate::fetch::{Fetch, FetchAnswer, FetchError, FetchRequest};
use crate::oidc::broken;
use crate::refusal::SignInRefusal;

/// The most providers that are remembered; beyond it the one asked longest ago is forgotten.
const MAX_PROVIDERS: usize = 1_000;
/// Seconds after which metadata is fetched again.
const METADATA_AGE_S: i64 = 3_600;
/// Seconds for which keys serve if the provider says nothing.
const KEYS_AGE_S: i64 = 3_600;
/// The shortest time that a provider may give its keys, in seconds: less would be a fetch for every sign-in.
const MIN_KEYS_AGE_S: i64 = 300;
/// The longest, in seconds: a key that was withdrawn must not serve for days.
const MAX_KEYS_AGE_S: i64 = 24 * 3_600;
/// Seconds between two fetches of the keys of one connection.
const MIN_REFETCH_S: i64 = 60;
/// Milliseconds for one request to a provider: a person waits for it.
pub(crate) const TIMEOUT_MS: u64 = 10_000;

struct Known {
    issuer: String,
    metadata: Arc<ProviderMetadata>,
    metadata_at: Timestamp,
    keys: Option<Keys>,
    /// When the keys were last asked for, whatever came of it.
    asked_at: Option<Timestamp>,
    /// Why that gave nothing, while there are no keys.
    failed: Option<ServiceError>,
}

#[derive(Clone)]
struct Keys {
    set: Arc<KeySet>,
    until: Timestamp,
}

/// The providers that are known.
#[derive(Default)]
pub struct Providers {
    known: Mutex<HashMap<ConnectionId, Known>>,
}

/// How a set of keys is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The one at hand, if it is not too old.
    AtHand,
    /// A newer one: the token names a key that the one at hand has not.
    Newer,
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
    fn with<T>(&self, run: impl FnOnce(&mut HashMap<ConnectionId, Known>) -> T) -> T {
        run(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection's provider's metadata.
    ///
    /// # Errors
    /// [`ServiceError::SignIn`] if it breaks a rule, or cannot be fetched and was never known.
    pub async fn metadata(
        &self,
        fetch: &dyn Fetch,
        connection: &Connection,
        insecure: Insecure,
        now: Timestamp,
    ) -> Result<Arc<ProviderMetadata>, ServiceError> {
        let at_hand = self.with(|known| {
            let found = known.get(&connection.id).filter(|k| k.issuer == connection.issuer)?;
            Some((Arc::clone(&found.metadata), found.metadata_at))
        });
        if let Some((metadata, _)) = at_hand.as_ref().filter(|(_, at)| now < at.plus_s(METADATA_AGE_S)) {
            return Ok(Arc::clone(metadata));
        }
        let body = match (fetch_metadata(fetch, &connection.issuer, insecure).await, at_hand) {
            (Ok(body), _) => body,
            // Not there for the moment: what was good an hour ago is good now.
            (Err(_), Some((metadata, _))) => return Ok(metadata),
            (Err(error), None) => return Err(error),
        };
        let metadata = discovery::parse(&body, &connection.issuer, insecure).map_err(broken)?;
        let metadata = Arc::new(metadata);
        self.with(|known| remember(known, connection, &metadata, now));
        Ok(metadata)
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

    /// A connection's provider's keys.
    async fn keys(
        &self,
        fetch: &dyn Fetch,
        connection: &Connection,
        metadata: &ProviderMetadata,
        (wanted, now): (Wanted, Timestamp),
    ) -> Result<Arc<KeySet>, ServiceError> {
        let (at_hand, failed, asks) = self.with(|known| {
            let Some(found) = known.get_mut(&connection.id) else { return (None, None, true) };
            let may_ask = found.asked_at.is_none_or(|at| now >= at.plus_s(MIN_REFETCH_S));
            let fresh = found.keys.as_ref().is_some_and(|k| now < k.until);
            let asks = may_ask && (!fresh || wanted == Wanted::Newer);
            if asks {
                found.asked_at = Some(now);
            }
            (found.keys.clone(), found.failed.clone(), asks)
        });
        match (&at_hand, failed, asks) {
            (Some(keys), _, false) => return Ok(Arc::clone(&keys.set)),
            (None, Some(failed), false) => return Err(failed),
            // Asked for at this moment by another sign-in: one fetch more is cheaper than making people wait in line.
            (_, _, true) | (None, None, false) => {}
        }
        let fetched = fetch_keys(fetch, &metadata.jwks_uri, now).await;
        self.with(|known| {
            let Some(found) = known.get_mut(&connection.id) else { return };
            found.failed = fetched.as_ref().err().cloned();
            if let Ok(keys) = &fetched {
                found.keys = Some(keys.clone());
            }
        });
        // If it failed, the last good set serves on.
        fetched.map(|keys| keys.set).or_else(|error| at_hand.map(|keys| keys.set).ok_or(error))
    }

    /// Verifies an ID token, fetching the keys again if it names one that is not known.
    async fn verify(
        &self,
        fetch: &dyn Fetch,
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
            acr_values: &exchange.asked.acr_values,
            now: exchange.now.seconds(),
        };
        let token = tokens.id_token.expose_secret();
        let verify = |keys: &KeySet| id_token::verify(token, keys, &rules);
        let known = (connection, metadata, exchange.now);
        self.verified(fetch, known, verify, IdTokenError::is_unknown_key).await
    }

    /// Verifies the word of a provider that a session is over.
    ///
    /// # Errors
    /// [`ServiceError::SignIn`], the first check that fails.
    pub async fn verify_logout(
        &self,
        fetch: &dyn Fetch,
        connection: &Connection,
        metadata: &ProviderMetadata,
        (token, now): (&str, Timestamp),
    ) -> Result<Logout, ServiceError> {
        let rules = LogoutTokenRules {
            issuer: &connection.issuer,
            client_id: &connection.client_id,
            algs: &metadata.id_token_algs,
            now: now.seconds(),
        };
        let verify = |keys: &KeySet| logout_token::verify(token, keys, &rules);
        let known = (connection, metadata, now);
        self.verified(fetch, known, verify, LogoutTokenError::is_unknown_key).await
    }

    /// What is verified with the keys at hand, or with newer ones if they do not know the one that it names.
    async fn verified<T, E: Into<OidcRefusal>>(
        &self,
        fetch: &dyn Fetch,
        (connection, metadata, now): (&Connection, &ProviderMetadata, Timestamp),
        verify: impl Fn(&KeySet) -> Result<T, E>,
        is_unknown_key: impl Fn(&E) -> bool,
    ) -> Result<T, ServiceError> {
        let keys = self.keys(fetch, connection, metadata, (Wanted::AtHand, now)).await?;
        match verify(&keys) {
            Err(error) if is_unknown_key(&error) => {
                let keys = self.keys(fetch, connection, metadata, (Wanted::Newer, now)).await?;
                verify(&keys).map_err(broken)
            }
            verified => verified.map_err(broken),
        }
    }

    /// Exchanges a code, verifies the ID token and asks UserInfo: claims that are proven to be the provider's.
    ///
    /// # Errors
    /// [`ServiceError::SignIn`], the first check that fails.
    pub async fn exchange(
        &self,
        fetch: &dyn Fetch,
        connection: &Connection,
        metadata: &ProviderMetadata,
        exchange: Exchange<'_>,
    ) -> Result<Exchanged, ServiceError> {
        let (code, verifier) = (exchange.code, exchange.verifier);
        let request =
            TokenRequest::for_code(metadata, exchange.client, code, verifier, exchange.redirect_uri);
        let form = (request.url, request.authorization, request.body);
        let answer = post_form(fetch, form, MAX_TOKEN_RESPONSE_BYTES).await?;
        let tokens = TokenResponse::parse(answer.status, &answer.body).map_err(broken)?;
        let claims = self.verify(fetch, connection, metadata, &tokens, &exchange).await?;
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
    /// The time.
    pub now: Timestamp,
}

fn remember(
    known: &mut HashMap<ConnectionId, Known>,
    connection: &Connection,
    metadata: &Arc<ProviderMetadata>,
    now: Timestamp,
) {
    if known.len() >= MAX_PROVIDERS && !known.contains_key(&connection.id) {
        let oldest = known.iter().min_by_key(|(_, k)| k.metadata_at).map(|(id, _)| *id);
        oldest.and_then(|id| known.remove(&id));
    }
    // Keys of another issuer, or from another place, are not this one's.
    let before = known.remove(&connection.id);
    let same = |k: &Known| k.issuer == connection.issuer && k.metadata.jwks_uri == metadata.jwks_uri;
    let (keys, asked_at) = before.filter(same).map_or((None, None), |k| (k.keys, k.asked_at));
    let entry = Known {
        issuer: connection.issuer.clone(),
        metadata: Arc::clone(metadata),
        metadata_at: now,
        keys,
        asked_at,
        failed: None,
    };
    known.insert(connection.id, entry);
}

async fn fetch_keys(fetch: &dyn Fetch, url: &Url, now: Timestamp) -> Result<Keys, ServiceError> {
    let answer = fetch.fetch(FetchRequest::get(url.clone(), MAX_JWKS_BYTES, TIMEOUT_MS)).await;
    let answer = answer.map_err(|e| unreachable(&e))?;
    status(&answer, url)?;
    let set = KeySet::parse(&answer.body).map_err(broken)?;
    let age_s = answer.header("cache-control").and_then(max_age_s).unwrap_or(KEYS_AGE_S);
    Ok(Keys { set: Arc::new(set), until: now.plus_s(age_s.clamp(MIN_KEYS_AGE_S, MAX_KEYS_AGE_S)) })
}

/// The `max-age` of a `Cache-Control` header (RFC 9111 §5.2.2.1).
fn max_age_s(header: &str) -> Option<i64> {
    header.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.trim_matches('"').parse().ok())
}
