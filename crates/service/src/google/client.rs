//! One call of the Directory API: an access token in hand, patience for quotas and outages, and an exact account of why
//! it failed. Everything goes through the one way out ([`crate::fetch::Fetch`]).

use std::sync::{Mutex, PoisonError};

use portcullis_domain::google::GoogleSource;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use url::Url;

use super::bearer::{Bearer, MAX_TRIES, TIMEOUT_MS, Way, passes, short};
use super::failure::PollFailure;
use super::wire::{ApiError, ErrorBody, Member};
use crate::Portcullis;
use crate::fetch::{FetchAnswer, FetchRequest};

/// Calls that one run makes at once: enough to read 2,000 groups a minute, far below Google's quota of 2,400.
pub(super) const MAX_AT_ONCE: usize = 6;
/// The most bytes of an answer: a page of 500 people as they are asked for has some 250 kB.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// What there is about a thing that was asked for by name.
pub(super) enum Found<T> {
    /// It is there.
    There(T),
    /// Google says that there is no such thing.
    Gone,
}

/// A caller of the API in the name of one source.
pub(super) struct Client {
    way: Way,
    source: GoogleSource,
    bearer: Mutex<Option<Bearer>>,
    slots: Semaphore,
}

/// The access token that a call was made with.
#[derive(Clone, Copy)]
enum Token {
    AtHand,
    /// Taken anew, because the one at hand was refused to this call.
    Renewed,
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
        Self {
            way: Way::new(portcullis),
            source,
            bearer: Mutex::default(),
            slots: Semaphore::new(MAX_AT_ONCE),
        }
    }

    /// The same, with an access token in hand.
    pub(super) fn bearing(mut self, bearer: Bearer) -> Self {
        self.bearer = Mutex::new(Some(bearer));
        self
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

    /// Asks whether somebody is in a group themselves; `None` if Google does not take the question. It is no `hasMember`:
    /// that one refuses whoever is of another domain than the group.
    ///
    /// # Errors
    /// [`PollFailure`].
    pub(super) async fn is_in(&self, group: &str, person: &str) -> Result<Option<bool>, PollFailure> {
        let path = ["groups", group, "members", person];
        match self.find::<Member>(&path, &[("fields", "id,type")]).await {
            Ok(Found::There(_)) => Ok(Some(true)),
            Ok(Found::Gone) => Ok(Some(false)),
            Err(PollFailure::NotTaken { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// A 200 or a 404, after as many tries as it takes and is allowed.
    async fn patiently(&self, path: &[&str], query: &[(&str, &str)]) -> Result<FetchAnswer, PollFailure> {
        let url = self.url(path, query)?;
        let call = path.join("/");
        // A closed semaphore would be a mistake of ours; nobody closes it.
        let _slot = self.slots.acquire().await;
        let mut token = Token::AtHand;
        let mut tries = 0;
        loop {
            let bearer = format!("Bearer {}", self.token().await?.expose_secret());
            let request = FetchRequest::get(url.clone(), MAX_ANSWER_BYTES, TIMEOUT_MS)
                .with_header("authorization", &bearer)
                .with_header("accept", "application/json");
            let (next, answer) = match self.way.fetch.fetch(request).await {
                Ok(answer) => (judge(&call, &answer, token), Some(answer)),
                Err(error) if passes(&error) => (Next::Again(None, error.into()), None),
                Err(error) => (Next::Fail(error.into()), None),
            };
            let (wait_s, failure) = match (next, answer) {
                (Next::Take, Some(answer)) => return Ok(answer),
                (Next::Fail(failure), _) => return Err(failure),
                (Next::Renew, _) => {
                    token = Token::Renewed;
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
            self.way.wait(tries, wait_s).await;
        }
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, PollFailure> {
        let unusable =
            || PollFailure::Broken { call: path.join("/"), why: "no URL can be made of it".into() };
        let mut url = Url::parse(&self.way.polling.directory_url).map_err(|_| unusable())?;
        url.path_segments_mut().map_err(|()| unusable())?.pop_if_empty().extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    fn forget_token(&self) {
        *self.bearer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The access token in hand, or a new one.
    async fn token(&self) -> Result<SecretString, PollFailure> {
        let now = self.way.clock.now();
        let at_hand = self.bearer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, _)) = at_hand.filter(|(_, until)| now < *until) {
            return Ok(token);
        }
        let bearer = self.way.bearer(&self.source).await?;
        *self.bearer.lock().unwrap_or_else(PoisonError::into_inner) = Some(bearer.clone());
        Ok(bearer.0)
    }
}

/// What to do after this answer to a call of the API.
fn judge(call: &str, answer: &FetchAnswer, token: Token) -> Next {
    let said: ErrorBody = serde_json::from_slice::<ApiError>(&answer.body).unwrap_or_default().error;
    let words = || short(&said.message);
    let retry_after = answer.header("retry-after").and_then(|text| text.trim().parse().ok());
    match (answer.status, said.reason()) {
        (200 | 404, _) => Next::Take,
        (401, _) => match token {
            Token::AtHand => Next::Renew,
            Token::Renewed => Next::Fail(PollFailure::TokenRefused(words())),
        },
        (429, _) | (403, "userRateLimitExceeded" | "rateLimitExceeded" | "quotaExceeded") => {
            Next::Again(retry_after, PollFailure::QuotaExceeded(words()))
        }
        (403, "dailyLimitExceeded") => Next::Fail(PollFailure::QuotaExceeded(words())),
        (403, "accessNotConfigured" | "SERVICE_DISABLED") => Next::Fail(PollFailure::ApiDisabled(words())),
        (403, _) => Next::Fail(PollFailure::AccessDenied(words())),
        (status @ (408 | 500..), _) => {
            Next::Again(retry_after, PollFailure::Unavailable { status, call: call.to_owned() })
        }
        (400, reason) => Next::Fail(PollFailure::NotTaken {
            call: call.to_owned(),
            why: format!("400 `{}` {}", short(reason), words()),
        }),
        (status, reason) => Next::Fail(PollFailure::Broken {
            call: call.to_owned(),
            why: format!("{status} `{}` {}", short(reason), words()),
        }),
    }
}
