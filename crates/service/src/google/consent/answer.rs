//! What Google answers for a code: judged before anything of it is kept, and given back where it cannot be used.

use portcullis_domain::Timestamp;
use portcullis_domain::google::{ConsentClient, ConsentGiven, GoogleRight, GoogleSource, MY_CUSTOMER};
use portcullis_oidc::callback::{Callback, CallbackError, PendingSignIn};
use portcullis_oidc::discovery::IssParameter;
use portcullis_oidc::request::{Nonce, State};
use portcullis_store::consent::ConsentBegun;
use portcullis_store::google::{self, Poll};
use secrecy::{ExposeSecret, SecretString};

use super::super::bearer::{FORM, Way, form, missing_scope, read_token, refused_client, secret_place};
use super::super::client::Client;
use super::super::failure::PollFailure;
use super::super::wire::{ConsentAnswer, IdClaims};
use super::super::{key, reading};
use super::{ConsentRefusal, Door, redirect_uri, revoke, verifier_place};
use crate::Portcullis;

/// Whose word an ID token is.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
/// How Google writes in its answer who it is that consents, and what it may add to it.
const WHO_ANSWERED: [&str; 5] = [
    "openid",
    "email",
    "profile",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
];

/// Google's answer for a code, as far as it is needed.
pub(super) struct Answered {
    pub(super) refresh: SecretString,
    pub(super) by: String,
}

/// The consent that the answer gives; what cannot be used is given back to Google.
pub(super) async fn judge(
    portcullis: &Portcullis,
    way: &Way,
    door: &Door,
    (callback, begun): (Callback, &ConsentBegun),
) -> Result<Answered, ConsentRefusal> {
    if door.client.client_id != begun.client_id {
        return Err(ConsentRefusal::Changed);
    }
    let state = State::from_stored(callback.state().unwrap_or_default());
    let id = door.directory.id.to_string();
    let expected = PendingSignIn {
        state: &state,
        connection: &id,
        called_connection: &id,
        issuer: ISSUERS.first().copied().unwrap_or_default(),
        iss_parameter: IssParameter::NotPromised,
    };
    let code = callback.verify(&expected).map_err(|error| match error {
        CallbackError::Provider { error, .. } => ConsentRefusal::Declined(error.as_str().to_owned()),
        other => ConsentRefusal::Declined(other.to_string()),
    })?;
    let (answer, now) = exchange(portcullis, way, door, (&code, begun)).await?;
    let judged = judge_answer(portcullis, door, (&answer, begun), now).await;
    if judged.is_err() && !is_of_standing_consent(door, &answer) {
        let token = answer.refresh_token.as_deref().unwrap_or(&answer.access_token);
        revoke(portcullis, token).await;
    }
    judged
}

/// Whether it is the same account that a standing consent is of: giving its new token back would end that one too.
fn is_of_standing_consent(door: &Door, answer: &ConsentAnswer) -> bool {
    let standing = door.client.given.as_ref().map(|given| given.by.as_str());
    let claims = IdClaims::parse(answer.id_token.as_deref().unwrap_or_default());
    standing.is_some() && claims.and_then(|claims| claims.email).as_deref() == standing
}

/// Exchanges the code (RFC 6749 §4.1.3, RFC 7636 §4.5).
async fn exchange(
    portcullis: &Portcullis,
    way: &Way,
    door: &Door,
    (code, begun): (&SecretString, &ConsentBegun),
) -> Result<(ConsentAnswer, Timestamp), ConsentRefusal> {
    let now = portcullis.now();
    let verifier = way.opened(&verifier_place(&begun.state_hash), &begun.verifier_sealed)?;
    let secret = way.opened(&secret_place(door.directory.id), &door.client.client_secret_sealed)?;
    let body = form(&[
        ("grant_type", "authorization_code"),
        ("code", code.expose_secret()),
        ("redirect_uri", &redirect_uri(portcullis.around())),
        ("client_id", &door.client.client_id),
        ("client_secret", secret.expose_secret()),
        ("code_verifier", verifier.expose_secret()),
    ]);
    let answer = way.post("token", &way.polling.token_url, &[("content-type", FORM)], body).await?;
    if answer.status != 200 {
        return Err(refused_client(&answer).into());
    }
    read_token("token", &answer, now)?;
    let read = serde_json::from_slice(&answer.body)
        .map_err(|error| PollFailure::Broken { call: "token".into(), why: error.to_string() })?;
    Ok((read, now))
}

async fn judge_answer(
    portcullis: &Portcullis,
    door: &Door,
    (answer, begun): (&ConsentAnswer, &ConsentBegun),
    now: Timestamp,
) -> Result<Answered, ConsentRefusal> {
    must_be_what_was_asked(&answer.scope)?;
    let broken = |why: &str| PollFailure::Broken { call: "token".into(), why: why.to_owned() };
    // OpenID Connect Core §3.1.3.7 (6): it came from the token endpoint itself, so TLS says whose word it is.
    let claims = IdClaims::parse(answer.id_token.as_deref().unwrap_or_default())
        .ok_or_else(|| broken("no ID token"))?;
    let is_good = ISSUERS.contains(&claims.iss.as_str())
        && claims.aud == door.client.client_id
        && claims.exp > now.seconds()
        && Nonce::from_stored(&begun.nonce).matches(claims.nonce.as_deref().unwrap_or_default());
    if !is_good {
        return Err(broken("the ID token is not one for this consent").into());
    }
    let other = |expected: &str, met: Option<&str>| ConsentRefusal::OtherCustomer {
        expected: expected.to_owned(),
        met: met.unwrap_or("no Workspace").to_owned(),
    };
    let hosted = claims.hd.as_deref();
    if !hosted.is_some_and(|hd| hd.eq_ignore_ascii_case(&door.client.hosted_domain)) {
        return Err(other(&door.client.hosted_domain, hosted));
    }
    let by =
        claims.email.filter(|_| claims.email_verified).ok_or_else(|| broken("an account without address"))?;
    let refresh = answer.refresh_token.clone().filter(|token| !token.is_empty());
    let refresh = SecretString::from(refresh.ok_or(ConsentRefusal::NotOffline)?);
    let met = customer_of(portcullis, door, answer, &by).await?;
    let directory = door.directory.id;
    let poll: Option<Poll> =
        portcullis.read(move |tx, _| Ok(google::poll(tx, directory)?)).await.map_err(PollFailure::from)?;
    // INVARIANT I11: to another customer, everybody of this one is missing.
    let pinned = poll.and_then(|poll| poll.customer_id);
    let named = Some(&door.source.customer).filter(|named| *named != MY_CUSTOMER);
    for expected in [pinned.as_ref(), named].into_iter().flatten() {
        if *expected != met {
            return Err(other(expected, Some(&met)));
        }
    }
    Ok(Answered { refresh, by })
}

/// Whether exactly what was asked for was consented to: all four lists, to read, and nothing else.
fn must_be_what_was_asked(scope: &str) -> Result<(), ConsentRefusal> {
    if let Some(missing) = missing_scope(scope) {
        return Err(ConsentRefusal::Scopes(format!("`{missing}` was not consented to")));
    }
    let known = |scope: &&str| key::SCOPES.contains(scope) || WHO_ANSWERED.contains(scope);
    match scope.split_ascii_whitespace().find(|scope| !known(scope)) {
        Some(more) => {
            let more: String = more.chars().take(100).collect();
            Err(ConsentRefusal::Scopes(format!("`{more}` was not asked for")))
        }
        None => Ok(()),
    }
}

/// The customer of the account, asked of the directory that it lets be read: who is no administrator reads nothing.
async fn customer_of(
    portcullis: &Portcullis,
    door: &Door,
    answer: &ConsentAnswer,
    by: &str,
) -> Result<String, ConsentRefusal> {
    let given = ConsentGiven { by: by.to_owned(), at: portcullis.now(), refresh_sealed: String::new() };
    let client = ConsentClient { given: Some(given), ..door.client.clone() };
    let source = GoogleSource { right: GoogleRight::Consent(client), ..door.source.clone() };
    let token = SecretString::from(answer.access_token.clone());
    let bearer = (token, portcullis.now().plus_s(60));
    Ok(reading::read_customer(&Client::new(portcullis, source).bearing(bearer)).await?)
}
