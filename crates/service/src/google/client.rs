//! One call of the Directory API: an access token in hand, patience for quotas and outages, and an exact account of why
//! it failed. Everything goes through the one way out ([`crate::fetch::Fetch`]).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_domain::google::GoogleSource;
use portcullis_domain::{Clock, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use url::{Url, form_urlencoded};

use super::Polling;
use super::failure::PollFailure;
use super::key::assertion;
use super::wire::{ApiError, ErrorBody, TokenAnswer, TokenError};
use crate::fetch::{Fetch, FetchAnswer, FetchError, FetchRequest};
use crate::sealing::SealingKey;
use crate::{Portcullis, Randoms};

/// Calls that one run makes at once: enough to read 2,000 groups a minute, far below Google's quota of 2,400.
pub(super) const MAX_AT_ONCE: usize = 6;
/// How often one call is tried: with the longest waits, some two minutes.
const MAX_TRIES: u32 = 7;
/// The longest wait between two tries, in milliseconds.
const MAX_WAIT_MS: u64 = 32_000;
/// The longest wait that an answer may ask for, in seconds.
const MAX_RETRY_AFTER_S: u64 = 60;
/// Milliseconds for one request: Google takes a few hundred.
const TIMEOUT_MS: u64 = 30_000;
/// The most bytes of an answer: a page of 500 people as they are asked for has some 250 kB.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// The most bytes of an access token's answer.
const MAX_TOKEN_BYTES: usize = 64 * 1024;
/// Seconds before its end from which an access token is not used any more.
const TOKEN_MARGIN_S: i64 = 60;
/// The most bytes of Google's own words that are kept.
const MAX_WORDS: usize = 300;
/// The grant (RFC 7523 §2.1).
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What there is about a thing that was asked for by name.
pub(super) enum Found<T> {
    /// It is there.
    There(T),
    /// Google says that there is no such thing.
    Gone,
}

/// A caller of the API in the name of one source.
pub(super) struct Client {
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    randoms: Randoms,
    sealing: Arc<SealingKey>,
    source: GoogleSource,
    polling: Arc<Polling>,
    token: Mutex<Option<(SecretString, Timestamp)>>,
    slots: Semaphore,
}

/// What to do after an answer.
enum Next {
    Take,
    /// Wait and try again; at least so many seconds if the answer says so.
    Again(Option<u64>, PollFailure),
    /// Take a new access token and try again.
    Renew,
    Fail(PollFailure),
}

impl Client {
    pub(super) fn new(portcullis: &Portcullis, source: GoogleSource) -> Self {
        let around = portcullis.around();
        Self {
            fetch: Arc::clone(&around.fetch),
            clock: Arc::clone(&around.clock),
            randoms: Arc::clone(&around.randoms),
            sealing: Arc::clone(&around.sealing),
            source,
            polling: portcullis.google(),
            token: Mutex::default(),
            slots: Semaphore::new(MAX_AT_ONCE),
        }
    }

    pub(super) const fn source(&self) -> &GoogleSource {
        &self.source
    }

    /// Asks for what must be there.
    ///
    /// # Errors
    /// [`PollFailure`]; also if it is not there.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, PollFailure> {
        match self.find(path, query).await? {
            Found::There(found) => Ok(found),
            Found::Gone => Err(PollFailure::CustomerUnknown(format!("`{}` is not found", path.join("/")))),
        }
    }

    /// Asks for what may be gone. Only a 404 in Google's own words says so: a proxy's page does not.
    ///
    /// # Errors
    /// [`PollFailure`].
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Found<T>, PollFailure> {
        let call = path.join("/");
        let broken = |why: String| PollFailure::Broken { call: call.clone(), why };
        let answer = self.patiently(path, query).await?;
        if answer.status == 404 {
            let said: Option<ApiError> = serde_json::from_slice(&answer.body).ok();
            return match said {
                Some(said) if said.error.code == 404 => Ok(Found::Gone),
                _ => Err(broken("404, and not in Google's words".to_owned())),
            };
        }
        serde_json::from_slice(&answer.body).map(Found::There).map_err(|e| broken(e.to_string()))
    }

    /// A 200 or a 404, after as many tries as it takes and is allowed.
    async fn patiently(&self, path: &[&str], query: &[(&str, &str)]) -> Result<FetchAnswer, PollFailure> {
        let url = self.url(path, query)?;
        let call = path.join("/");
        // A closed semaphore would be a mistake of ours; nobody closes it.
        let _slot = self.slots.acquire().await;
        let mut renewed = false;
        let mut tries = 0;
        loop {
            let bearer = format!("Bearer {}", self.token().await?.expose_secret());
            let request = FetchRequest::get(url.clone(), MAX_ANSWER_BYTES, TIMEOUT_MS)
                .with_header("authorization", &bearer)
                .with_header("accept", "application/json");
            let (next, answer) = match self.fetch.fetch(request).await {
                Ok(answer) => (judge(&call, &answer, renewed), Some(answer)),
                Err(error) if passes(&error) => (Next::Again(None, error.into()), None),
                Err(error) => (Next::Fail(error.into()), None),
            };
            let (wait_s, failure) = match (next, answer) {
                (Next::Take, Some(answer)) => return Ok(answer),
                (Next::Fail(failure), _) => return Err(failure),
                (Next::Renew, _) => {
                    renewed = true;
                    self.forget_token();
                    continue;
                }
                (Next::Again(wait_s, failure), _) => (wait_s, failure),
                (Next::Take, None) => {
                    (None, PollFailure::Broken { call: call.clone(), why: "nothing".into() })
                }
            };
            tries += 1;
            if tries >= MAX_TRIES {
                return Err(failure);
            }
            self.wait(tries, wait_s).await;
        }
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, PollFailure> {
        let unusable =
            || PollFailure::Broken { call: path.join("/"), why: "no URL can be made of it".into() };
        let mut url = Url::parse(&self.polling.directory_url).map_err(|_| unusable())?;
        url.path_segments_mut().map_err(|()| unusable())?.pop_if_empty().extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// Waits before the next try: twice as long each time, half of it by chance, so that many do not come back at once.
    async fn wait(&self, tries: u32, at_least_s: Option<u64>) {
        let whole = self.polling.patience_ms.saturating_mul(1 << tries.min(16)).min(MAX_WAIT_MS);
        let half = whole / 2;
        let mut bytes = [0_u8; 8];
        (self.randoms)().fill(&mut bytes);
        let chance = u64::from_le_bytes(bytes).checked_rem(half + 1).unwrap_or_default();
        // A second of the answer's is a second of ours, unless a test is less patient.
        let asked = at_least_s.unwrap_or(0).min(MAX_RETRY_AFTER_S).saturating_mul(self.polling.patience_ms);
        tokio::time::sleep(Duration::from_millis((half + chance).max(asked))).await;
    }

    fn forget_token(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The access token in hand, or a new one.
    async fn token(&self) -> Result<SecretString, PollFailure> {
        let now = self.clock.now();
        let at_hand = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, _)) = at_hand.filter(|(_, until)| now < *until) {
            return Ok(token);
        }
        let (token, until) = self.new_token(now).await?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), until));
        Ok(token)
    }

    async fn new_token(&self, now: Timestamp) -> Result<(SecretString, Timestamp), PollFailure> {
        let url = Url::parse(&self.polling.token_url)
            .map_err(|_| PollFailure::Broken { call: "token".into(), why: "no URL".into() })?;
        let mut tries = 0;
        loop {
            let assertion = assertion(&self.sealing, &self.source, &self.polling.token_url, now)?;
            let body = form_urlencoded::Serializer::new(String::new())
                .append_pair("grant_type", GRANT)
                .append_pair("assertion", &assertion)
                .finish();
            let request = FetchRequest::post(url.clone(), body.into_bytes(), MAX_TOKEN_BYTES, TIMEOUT_MS)
                .with_header("content-type", "application/x-www-form-urlencoded")
                .with_header("accept", "application/json");
            let failure = match self.fetch.fetch(request).await {
                Ok(answer) if answer.status == 200 => return read_token(&answer, now),
                Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                    PollFailure::Unavailable { status: answer.status, call: "token".into() }
                }
                Ok(answer) => return Err(refused_token(&answer)),
                Err(error) if passes(&error) => error.into(),
                Err(error) => return Err(error.into()),
            };
            tries += 1;
            if tries >= MAX_TRIES {
                return Err(failure);
            }
            self.wait(tries, None).await;
        }
    }
}

/// Whether what went wrong on the way may go right the next time.
const fn passes(error: &FetchError) -> bool {
    match error {
        FetchError::Unresolvable { .. }
        | FetchError::Unreachable { .. }
        | FetchError::TimedOut { .. }
        | FetchError::Broken { .. } => true,
        FetchError::AddressRefused { .. }
        | FetchError::NotHttps { .. }
        | FetchError::UrlRefused { .. }
        | FetchError::HeaderRefused { .. }
        | FetchError::Redirected { .. }
        | FetchError::TooLarge { .. } => false,
    }
}

fn read_token(answer: &FetchAnswer, now: Timestamp) -> Result<(SecretString, Timestamp), PollFailure> {
    let broken = |why: &str| PollFailure::Broken { call: "token".into(), why: why.to_owned() };
    let read: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_| broken("not as documented"))?;
    if read.access_token.is_empty() || !read.access_token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(broken("no access token"));
    }
    let until = now.plus_s(read.expires_in.clamp(0, 3600).saturating_sub(TOKEN_MARGIN_S));
    Ok((SecretString::from(read.access_token), until))
}

fn refused_token(answer: &FetchAnswer) -> PollFailure {
    let said: TokenError = serde_json::from_slice(&answer.body).unwrap_or_default();
    let words = short(&format!("{}: {}", said.error, said.error_description));
    match said.error.as_str() {
        "unauthorized_client" | "access_denied" | "invalid_scope" => PollFailure::NotDelegated(words),
        "" => PollFailure::Unavailable { status: answer.status, call: "token".into() },
        _ => PollFailure::TokenRefused(words),
    }
}

/// What to do after this answer to a call of the API.
fn judge(call: &str, answer: &FetchAnswer, renewed: bool) -> Next {
    let said: ErrorBody = serde_json::from_slice::<ApiError>(&answer.body).unwrap_or_default().error;
    let words = || short(&said.message);
    let retry_after = answer.header("retry-after").and_then(|text| text.trim().parse().ok());
    match (answer.status, said.reason()) {
        (200 | 404, _) => Next::Take,
        (401, _) if !renewed => Next::Renew,
        (401, _) => Next::Fail(PollFailure::TokenRefused(words())),
        (429, _) | (403, "userRateLimitExceeded" | "rateLimitExceeded" | "quotaExceeded") => {
            Next::Again(retry_after, PollFailure::QuotaExceeded(words()))
        }
        (403, "dailyLimitExceeded") => Next::Fail(PollFailure::QuotaExceeded(words())),
        (403, "accessNotConfigured" | "SERVICE_DISABLED") => Next::Fail(PollFailure::ApiDisabled(words())),
        (403, _) => Next::Fail(PollFailure::AccessDenied(words())),
        (status @ (408 | 500..), _) => {
            Next::Again(retry_after, PollFailure::Unavailable { status, call: call.to_owned() })
        }
        (status, reason) => Next::Fail(PollFailure::Broken {
            call: call.to_owned(),
            why: format!("{status} `{}` {}", short(reason), words()),
        }),
    }
}

/// Somebody else's words, short and without what a log or page would trip over.
fn short(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
}
