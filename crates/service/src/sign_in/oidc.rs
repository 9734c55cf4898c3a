//! Signing in by an OpenID provider: the authorization code flow with PKCE.
//!
//! [`begin`] ties a sign-in to one browser and one connection; [`complete`] walks the checks in the order of
//! OpenID Connect and RFC 9700. Everything that leaves the process is in [`crate::relying_party`].

use portcullis_domain::connection::{Connection, ConnectionKind};
use portcullis_domain::id::{ConnectionId, SignInId};
use portcullis_domain::secret::SecretHash;
use portcullis_oidc::callback::{Callback, PendingSignIn};
use portcullis_oidc::pkce::CodeVerifier;
use portcullis_oidc::request::{AuthorizationRequest, Nonce, State};
use portcullis_store::StoreError;
use portcullis_store::sign_in::SignIn;
use secrecy::SecretString;
use serde_json::json;

use super::{
    Arrived, Begun, Claimed, GOOD_FOR_S, ProviderSession, Visitor, Wish, admit, admit_source,
    find_connection, fresh_browser, is_browser, keep, note_trace, record, return_path, sealed_wrongly, take,
    thirty_two,
};
use crate::claims::Arrival;
use crate::oidc::{broken, logout};
use crate::refusal::SignInRefusal;
use crate::relying_party::Exchange;
use crate::{Portcullis, ServiceError};

/// Where a connection's provider sends browsers back to: one address a connection, against mix-up (RFC 9700 §4.4).
#[must_use]
pub fn redirect_uri(portcullis: &Portcullis, connection: ConnectionId) -> String {
    portcullis.around().url(&format!("/sso/oidc/{connection}/callback"))
}

/// Where a connection's provider tells that a session is over.
#[must_use]
pub fn logout_uri(portcullis: &Portcullis, connection: ConnectionId) -> String {
    portcullis.around().url(&format!("/sso/oidc/{connection}/backchannel-logout"))
}

/// What a client secret is sealed for.
#[must_use]
pub fn secret_place(connection: ConnectionId) -> String {
    format!("connections.client_secret:{connection}")
}

fn verifier_place(id: SignInId) -> String {
    format!("sign_ins.verifier:{id}")
}

/// Begins a sign-in: the browser goes to the provider, and only this browser can come back from there.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Invalid`] for a path that is not ours, [`ServiceError::TooMany`],
/// [`ServiceError::SignIn`] if the provider cannot be used.
pub async fn begin(portcullis: &Portcullis, id: ConnectionId, wish: Wish) -> Result<Begun, ServiceError> {
    let now = portcullis.now();
    admit_source(portcullis, wish.source)?;
    let return_to = return_path(wish.return_to.as_deref())?;
    let connection = find_connection(portcullis, id, ConnectionKind::Oidc).await?;
    let (fetch, insecure) = (&*portcullis.around().fetch, portcullis.around().limits.plain_http);
    let providers = &portcullis.door().providers;
    let metadata = providers.metadata(fetch, &connection, insecure, now).await.inspect_err(|error| {
        note_trace(portcullis, &connection, "", None, error, json!({ "step": "begin" }));
    })?;
    let mut moment = portcullis.moment();
    let (state, nonce) = (
        State::from_random(&thirty_two(&mut moment.random)),
        Nonce::from_random(&thirty_two(&mut moment.random)),
    );
    let verifier = CodeVerifier::from_random(&thirty_two(&mut moment.random));
    let browser = wish.browser.filter(|b| is_browser(b)).unwrap_or_else(|| fresh_browser(&mut moment.random));
    let sign_in_id = SignInId::fresh(now, &mut moment.random);
    let sealing = &portcullis.around().sealing;
    let sealed = sealing.seal(&mut moment.random, &verifier_place(sign_in_id), verifier.expose().as_bytes());
    let pending = SignIn {
        id: sign_in_id,
        connection: id,
        state_hash: SecretHash::of(state.expose()).as_str().to_owned(),
        browser_hash: SecretHash::of(&browser).as_str().to_owned(),
        nonce: nonce.expose().to_owned(),
        verifier_sealed: sealed.map_err(|e| sealed_wrongly(&e))?,
        return_to,
        linking: wish.linking,
        created_at: now,
        expires_at: now.plus_s(GOOD_FOR_S),
    };
    keep(portcullis, pending).await?;
    let mut scopes = vec!["email", "profile"];
    if metadata.scopes.iter().any(|s| s == "groups") {
        scopes.push("groups");
    }
    let request = AuthorizationRequest {
        client_id: &connection.client_id,
        redirect_uri: &redirect_uri(portcullis, id),
        scopes: &scopes,
        state: &state,
        nonce: &nonce,
        challenge: &verifier.challenge(),
        login_hint: wish.login_hint.as_deref(),
        prompt: None,
        max_age_s: None,
    };
    Ok(Begun { location: request.url(&metadata), browser })
}

/// Completes a sign-in: the checks in their order, then the person, then a session with a new secret.
///
/// # Errors
/// [`ServiceError::NotFound`] for an unknown connection, [`ServiceError::SignIn`] for the first check that fails.
pub async fn complete(
    portcullis: &Portcullis,
    called: ConnectionId,
    query: &str,
    visitor: Visitor,
) -> Result<Arrived, ServiceError> {
    admit_source(portcullis, visitor.source)?;
    let connection = find_connection(portcullis, called, ConnectionKind::Oidc).await?;
    let mut claimed = Claimed::default();
    let request = visitor.request;
    let result = check(portcullis, &connection, query, visitor, &mut claimed).await;
    record(portcullis, &connection, (claimed, request), &result, |arrived| Some(&arrived.session)).await?;
    result
}

async fn check(
    portcullis: &Portcullis,
    connection: &Connection,
    query: &str,
    visitor: Visitor,
    claimed: &mut Claimed,
) -> Result<Arrived, ServiceError> {
    let callback = Callback::parse(query).map_err(broken)?;
    let state = callback.state().ok_or(SignInRefusal::State)?.to_owned();
    let pending = take(portcullis, connection.id, &state, visitor.browser.as_deref()).await?;
    let state = State::from_stored(&state);
    let now = portcullis.now();
    let (fetch, insecure) = (&*portcullis.around().fetch, portcullis.around().limits.plain_http);
    let providers = &portcullis.door().providers;
    let metadata = providers.metadata(fetch, connection, insecure, now).await?;
    let id = connection.id.to_string();
    let expected = PendingSignIn {
        state: &state,
        connection: &id,
        called_connection: &id,
        issuer: &connection.issuer,
        iss_parameter: metadata.iss_parameter,
    };
    let code = callback.verify(&expected).map_err(broken)?;
    let sealing = &portcullis.around().sealing;
    let opened = |place: &str, sealed: &str| {
        let bytes = sealing.open(place, sealed).map_err(|e| sealed_wrongly(&e))?;
        let text = String::from_utf8(bytes.to_vec());
        text.map_err(|_| ServiceError::Store(StoreError::Inconsistent("a sealed text is no UTF-8".into())))
    };
    let verifier = opened(&verifier_place(pending.id), &pending.verifier_sealed)?;
    let verifier = CodeVerifier::parse(&verifier).ok_or(SignInRefusal::State)?;
    let secret = SecretString::from(opened(&secret_place(connection.id), &connection.client_secret_sealed)?);
    let exchange = Exchange {
        client_secret: &secret,
        code: &code,
        verifier: &verifier,
        nonce: &Nonce::from_stored(&pending.nonce),
        redirect_uri: &redirect_uri(portcullis, connection.id),
        now,
    };
    let claims = providers.exchange(fetch, connection, &metadata, exchange).await?;
    claimed.proven = true;
    claimed.subject = Some(claims.sub().to_owned());
    claimed.email = claims.email().map(|e| e.address);
    let arrival = Arrival::read(connection, &claims).map_err(broken)?;
    claimed.claims = arrival.shown();
    let return_to = pending.return_to.clone();
    let theirs = ProviderSession::Oidc(logout::ProviderSession::of(&claims));
    let session = admit(portcullis, (arrival, theirs), pending.linking, visitor).await?;
    Ok(Arrived { session, return_to })
}
