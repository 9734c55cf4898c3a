//! Access tokens: for each right by which Google is asked, how one is obtained.
//!
//! Each ends at the same token endpoint; what is handed in there differs: an assertion signed with a key that is kept
//! here, one that Google signs for the identity of this machine, or the refresh token of a consent.

use std::sync::Arc;
use std::time::Duration;

use portcullis_domain::google::{ConsentClient, GoogleRight, GoogleSource};
use portcullis_domain::id::DirectoryId;
use portcullis_domain::{Clock, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::failure::PollFailure;
use super::key::{SCOPES, assertion};
use super::wire::{TokenAnswer, TokenError};
use super::{Polling, workload};
use crate::fetch::{Fetch, FetchAnswer, FetchError, FetchRequest};
use crate::sealing::SealingKey;
use crate::{Portcullis, Randoms};

/// How often one call is tried: with the longest waits, some two minutes.
pub(super) const MAX_TRIES: u32 = 7;
/// The longest wait between two tries, in milliseconds.
const MAX_WAIT_MS: u64 = 32_000;
/// The longest wait that an answer may ask for, in seconds.
const MAX_RETRY_AFTER_S: u64 = 60;
/// Milliseconds for one request: Google takes a few hundred.
pub(super) const TIMEOUT_MS: u64 = 30_000;
/// The most bytes of a token's answer.
const MAX_TOKEN_BYTES: usize = 64 * 1024;
/// Seconds before its end from which an access token is not used any more.
const TOKEN_MARGIN_S: i64 = 60;
/// The most characters of Google's own words that are kept.
const MAX_WORDS: usize = 300;
/// The grant of an assertion (RFC 7523 §2.1).
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The type of a form's body.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// The way to Google, with patience for outages.
pub(super) struct Way {
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sealing: Arc<SealingKey>,
    pub(super) polling: Arc<Polling>,
    randoms: Randoms,
}

/// An access token, and the instant from which it is not used any more.
pub(super) type Bearer = (SecretString, Timestamp);

impl Way {
    pub(super) fn new(portcullis: &Portcullis) -> Self {
        let around = portcullis.around();
        Self {
            fetch: Arc::clone(&around.fetch),
            clock: Arc::clone(&around.clock),
            sealing: Arc::clone(&around.sealing),
            randoms: Arc::clone(&around.randoms),
            polling: portcullis.google(),
        }
    }

    /// Waits before the next try: twice as long each time, half of it by chance, so that many do not come back at once.
    pub(super) async fn wait(&self, tries: u32, at_least_s: Option<u64>) {
        let whole = self.polling.patience_ms.saturating_mul(1 << tries.min(16)).min(MAX_WAIT_MS);
        let half = whole / 2;
        let mut bytes = [0_u8; 8];
        (self.randoms)().fill(&mut bytes);
        let chance = u64::from_le_bytes(bytes).checked_rem(half + 1).unwrap_or_default();
        // A second of the answer's is a second of ours, unless a test is less patient.
        let asked = at_least_s.unwrap_or(0).min(MAX_RETRY_AFTER_S).saturating_mul(self.polling.patience_ms);
        tokio::time::sleep(Duration::from_millis((half + chance).max(asked))).await;
    }

    /// Posts until there is an answer that another try would not change.
    ///
    /// # Errors
    /// [`PollFailure::Unreachable`] and [`PollFailure::Unavailable`], after as many tries as are allowed.
    pub(super) async fn post(
        &self,
        call: &'static str,
        to: &str,
        headers: &[(&str, &str)],
        body: Zeroizing<String>,
    ) -> Result<FetchAnswer, PollFailure> {
        let url =
            Url::parse(to).map_err(|_| PollFailure::Broken { call: call.into(), why: "no URL".into() })?;
        let mut tries = 0;
        loop {
            let bytes = body.as_bytes().to_vec();
            let request = headers.iter().fold(
                FetchRequest::post(url.clone(), bytes, MAX_TOKEN_BYTES, TIMEOUT_MS)
                    .with_header("accept", "application/json"),
                |request, (name, value)| request.with_header(name, value),
            );
            let failure = match self.fetch.fetch(request).await {
                Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                    PollFailure::Unavailable { status: answer.status, call: call.into() }
                }
                Ok(answer) => return Ok(answer),
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

    /// A new access token for what a directory is asked.
    ///
    /// # Errors
    /// [`PollFailure`].
    pub(super) async fn bearer(&self, source: &GoogleSource) -> Result<Bearer, PollFailure> {
        let now = self.clock.now();
        let token_url = &self.polling.token_url;
        let assertion = match &source.right {
            GoogleRight::Key(key) => assertion(&self.sealing, (source.directory, key), token_url, now)?,
            GoogleRight::Workload(used) => workload::assertion(self, &used.delegated_admin).await?,
            GoogleRight::Consent(client) => return self.refresh(source.directory, client).await,
        };
        let body = form(&[("grant_type", JWT_BEARER), ("assertion", &assertion)]);
        let answer = self.post("token", token_url, &[("content-type", FORM)], body).await?;
        if answer.status == 200 { read_token("token", &answer, now) } else { Err(refused_token(&answer)) }
    }

    /// A new access token by a consent (RFC 6749 §6).
    async fn refresh(&self, directory: DirectoryId, client: &ConsentClient) -> Result<Bearer, PollFailure> {
        let now = self.clock.now();
        let given = client.given.as_ref().ok_or(PollFailure::ConsentMissing)?;
        let secret = self.opened(&secret_place(directory), &client.client_secret_sealed)?;
        let refresh = self.opened(&refresh_place(directory), &given.refresh_sealed)?;
        let body = form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose_secret()),
            ("client_id", &client.client_id),
            ("client_secret", secret.expose_secret()),
        ]);
        let answer = self.post("token", &self.polling.token_url, &[("content-type", FORM)], body).await?;
        if answer.status != 200 {
            return Err(refused_client(&answer));
        }
        let bearer = read_token("token", &answer, now)?;
        // An administrator of Google may take single scopes back.
        let scope = serde_json::from_slice(&answer.body).ok().and_then(|read: TokenAnswer| read.scope);
        match scope.as_deref().and_then(missing_scope) {
            Some(missing) => Err(PollFailure::ConsentOther(format!("`{missing}` is missing"))),
            None => Ok(bearer),
        }
    }

    /// A sealed text.
    ///
    /// # Errors
    /// [`PollFailure::KeyUnusable`].
    pub(super) fn opened(&self, place: &str, sealed: &str) -> Result<SecretString, PollFailure> {
        let unusable = |why: String| PollFailure::KeyUnusable(why);
        let bytes = self.sealing.open(place, sealed).map_err(|e| unusable(e.to_string()))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| unusable("it is no text".to_owned()))?;
        Ok(SecretString::from(text))
    }
}

/// Which place the secret of a directory's OAuth client is sealed for.
pub(super) fn secret_place(directory: DirectoryId) -> String {
    format!("google_sources.client_secret:{directory}")
}

/// Which place a consent's refresh token is sealed for.
pub(super) fn refresh_place(directory: DirectoryId) -> String {
    format!("google_sources.refresh:{directory}")
}

/// The first of the scopes that are needed and that these do not hold.
pub(super) fn missing_scope(given: &str) -> Option<&'static str> {
    SCOPES.into_iter().find(|needed| !given.split_ascii_whitespace().any(|scope| scope == *needed))
}

/// A form's body; it is wiped, because it carries secrets.
pub(super) fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish())
}

/// Whether what went wrong on the way may go right the next time.
pub(super) const fn passes(error: &FetchError) -> bool {
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
        | FetchError::TooLarge { .. }
        | FetchError::IdentityUnreadable { .. } => false,
    }
}

/// The token of an answer.
///
/// # Errors
/// [`PollFailure::Broken`].
pub(super) fn read_token(
    call: &'static str,
    answer: &FetchAnswer,
    now: Timestamp,
) -> Result<Bearer, PollFailure> {
    let broken = |why: &str| PollFailure::Broken { call: call.to_owned(), why: why.to_owned() };
    let read: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_| broken("not as documented"))?;
    if !is_token(&read.access_token) {
        return Err(broken("no access token"));
    }
    let until = now.plus_s(read.expires_in.clamp(0, 3600).saturating_sub(TOKEN_MARGIN_S));
    Ok((SecretString::from(read.access_token), until))
}

/// Whether a text can stand in a header as a token.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())
}

fn said(answer: &FetchAnswer) -> (String, String) {
    let said: TokenError = serde_json::from_slice(&answer.body).unwrap_or_default();
    let words = short(&format!("{}: {}", said.error, said.error_description));
    (said.error, words)
}

fn refused_token(answer: &FetchAnswer) -> PollFailure {
    let (code, words) = said(answer);
    match code.as_str() {
        "unauthorized_client" | "access_denied" | "invalid_scope" => PollFailure::NotDelegated(words),
        "" => PollFailure::Unavailable { status: answer.status, call: "token".into() },
        _ => PollFailure::TokenRefused(words),
    }
}

/// Why the token endpoint refused what an OAuth client handed in.
pub(super) fn refused_client(answer: &FetchAnswer) -> PollFailure {
    let (code, words) = said(answer);
    match code.as_str() {
        "" => PollFailure::Unavailable { status: answer.status, call: "token".into() },
        "invalid_client" | "unauthorized_client" => PollFailure::ClientRefused(words),
        _ => PollFailure::ConsentRevoked(words),
    }
}

/// Somebody else's words, short and without what a log or page would trip over.
pub(super) fn short(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
}
