//! Signing in by an OpenID provider: the authorization code flow with PKCE.
//!
//! [`begin`] ties a sign-in to one browser and one connection; [`complete`] walks the checks in the order of OpenID
//! Connect and RFC 9700, and [`answer`] does so for an answer that the provider's page posts. Everything that leaves
//! the process is in [`crate::relying_party`].

use portcullis_domain::Random;
use portcullis_domain::id::{ConnectionId, SignInId};
use portcullis_domain::oidc::{
    Prompt as WantedPrompt, PushedRequests as WantedPushing, ResponseMode as WantedMode,
};
use portcullis_domain::secret::SecretHash;
use portcullis_oidc::callback::{Callback, PendingSignIn};
use portcullis_oidc::discovery::{ProviderMetadata, PushedRequests};
use portcullis_oidc::pkce::CodeVerifier;
use portcullis_oidc::request::{AuthorizationRequest, Nonce, Prompt, ResponseMode, State};
use portcullis_store::sign_in::SignIn;
use portcullis_store::{Priority, arrival};
use serde_json::json;
use url::Url;

use super::arriving::{self, Proven, Told};
use super::binding::{Binding, Bound};
use super::once::{keep, take};
use super::recording::{Claimed, note_trace, record};
use super::{
    Arrived, Begun, GOOD_FOR_S, ProviderSession, Refused, Underway, Visitor, Whom, Wish, admit, admit_source,
    provider_hash, return_path, thirty_two,
};
use crate::claims::Arrival;
use crate::oidc::client::opened;
use crate::oidc::{Setup, broken, graph, logout};
use crate::refusal::SignInRefusal;
use crate::relying_party::{self, Exchange, Exchanged};
use crate::suggestion::{self, Brought};
use crate::{Portcullis, ServiceError};

/// Where a connection's provider sends browsers back to: one address a connection, against mix-up (RFC 9700 §4.4).
#[must_use]
pub fn redirect_uri(portcullis: &Portcullis, connection: ConnectionId) -> String {
    portcullis.around().url(&format!("/sso/oidc/{connection}/callback"))
}

/// Where our public keys of a connection are, for its provider.
#[must_use]
pub fn keys_uri(portcullis: &Portcullis, connection: ConnectionId) -> String {
    portcullis.around().url(&format!("/sso/oidc/{connection}/jwks"))
}

/// Where a connection's provider tells that a session is over.
#[must_use]
pub fn logout_uri(portcullis: &Portcullis, connection: ConnectionId) -> String {
    portcullis.around().url(&format!("/sso/oidc/{connection}/backchannel-logout"))
}

/// Where a connection's provider sends browsers back to after it ended their session.
#[must_use]
pub fn signed_out_uri(portcullis: &Portcullis, connection: ConnectionId) -> String {
    portcullis.around().url(&format!("/sso/oidc/{connection}/signed-out"))
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
    admit_source(portcullis, wish.source)?;
    let return_to = return_path(wish.return_to.as_deref())?;
    let setup = Setup::load(portcullis, id).await?;
    leave(portcullis, &setup, wish, return_to).await.inspect_err(|error| {
        note_trace(portcullis, &setup.connection, None, error, json!({ "step": "begin" }));
    })
}

/// The three values that tie an answer to what is asked.
struct Ties {
    state: State,
    nonce: Nonce,
    verifier: CodeVerifier,
}

async fn leave(
    portcullis: &Portcullis,
    setup: &Setup,
    wish: Wish,
    return_to: String,
) -> Result<Begun, ServiceError> {
    let mut moment = portcullis.moment();
    let (now, id) = (moment.now, setup.connection.id);
    let providers = &portcullis.door().providers;
    let metadata = providers.metadata(portcullis, &setup.connection).await?;
    // A provider that takes no proof of ours is told before anybody is sent there.
    setup.method(&metadata)?;
    let ties = Ties {
        state: State::from_random(&thirty_two(&mut moment.random)),
        nonce: Nonce::from_random(&thirty_two(&mut moment.random)),
        verifier: CodeVerifier::from_random(&thirty_two(&mut moment.random)),
    };
    let mut tied = |by: &Bound| by.tie(ties.state.expose(), &mut moment.random);
    let binding = match setup.view.settings.response_mode {
        WantedMode::Query => Binding::Redirected(tied(&wish.returning)),
        WantedMode::FormPost => Binding::Crossing(tied(&wish.crossing)),
    };
    let sign_in_id = SignInId::fresh(now, &mut moment.random);
    let sealing = &portcullis.around().sealing;
    let place = verifier_place(sign_in_id);
    let sealed = sealing.seal(&mut moment.random, &place, ties.verifier.expose().as_bytes());
    let pending = SignIn {
        id: sign_in_id,
        connection: id,
        state_hash: SecretHash::of(ties.state.expose()).as_str().to_owned(),
        browser_hash: SecretHash::of(&binding.tie().value).as_str().to_owned(),
        nonce: ties.nonce.expose().to_owned(),
        verifier_sealed: sealed.map_err(|e| ServiceError::fault("a verifier", e))?,
        return_to,
        linking: wish.linking,
        created_at: now,
        expires_at: now.plus_s(GOOD_FOR_S),
        provider_hash: provider_hash(&setup.connection),
    };
    keep(portcullis, pending).await?;
    let who = (wish.login_hint.as_deref(), wish.account);
    let location = location(portcullis, (setup, &metadata), &ties, who).await?;
    Ok(Begun { location, binding })
}

/// Where the browser goes: with the request, or with the name of one that was pushed.
async fn location(
    portcullis: &Portcullis,
    (setup, metadata): (&Setup, &ProviderMetadata),
    ties: &Ties,
    (login_hint, account): (Option<&str>, Whom),
) -> Result<Url, ServiceError> {
    let settings = &setup.view.settings;
    let mut scopes = vec!["email", "profile"];
    if metadata.scopes.iter().any(|s| s == "groups") {
        scopes.push("groups");
    }
    let request = AuthorizationRequest {
        client_id: &setup.connection.client_id,
        redirect_uri: &redirect_uri(portcullis, setup.connection.id),
        scopes: &scopes,
        state: &ties.state,
        nonce: &ties.nonce,
        challenge: &ties.verifier.challenge(),
        login_hint: login_hint.filter(|_| settings.login_hint),
        prompt: prompt(settings.prompt, account),
        // Without it a provider need not say when the person proved themselves (OpenID Connect Core §2).
        max_age_s: settings.max_age_s.or_else(|| settings.wants_proof_anew().then_some(0)),
        acr_values: &settings.acr_values,
        response_mode: match settings.response_mode {
            WantedMode::Query => ResponseMode::Query,
            WantedMode::FormPost => ResponseMode::FormPost,
        },
    };
    if settings.response_mode == WantedMode::FormPost {
        metadata.require_form_post().map_err(broken)?;
    }
    let is_pushed = settings.pushed_requests == WantedPushing::Always
        || metadata.pushed_requests == PushedRequests::Required;
    if !is_pushed {
        return Ok(request.url(metadata));
    }
    let around = portcullis.around();
    let proof = setup.proof(&around.sealing, metadata, &mut portcullis.moment())?;
    let client = proof.client(&setup.connection.client_id);
    relying_party::push(&*around.fetch, metadata, (&request, client)).await
}

/// What the provider asks the person first: what an administrator set, before what the person wants.
fn prompt(set: Option<WantedPrompt>, account: Whom) -> Option<Prompt> {
    match (set, account) {
        (Some(WantedPrompt::Login), _) => Some(Prompt::Login),
        (Some(WantedPrompt::Consent), _) => Some(Prompt::Consent),
        (Some(WantedPrompt::SelectAccount), _) | (None, Whom::Chosen) => Some(Prompt::SelectAccount),
        (None, Whom::Usual) => None,
    }
}

/// Completes a sign-in whose answer came by a redirect: the checks in their order, then the person, then a session with
/// a new secret.
///
/// # Errors
/// [`ServiceError::NotFound`] for an unknown connection, [`ServiceError::SignIn`] for the first check that fails.
pub async fn complete(
    portcullis: &Portcullis,
    called: ConnectionId,
    query: &str,
    visitor: Visitor,
) -> Result<Arrived, Refused> {
    admit_source(portcullis, visitor.source)?;
    let setup = Setup::load(portcullis, called).await?;
    let mut claimed = Claimed::default();
    let request = visitor.request;
    let result = completed(portcullis, &setup, query, visitor, &mut claimed).await;
    let return_to = claimed.return_to.take();
    record(portcullis, &setup.connection, (claimed, request), &result, |arrived| Some(&arrived.session))
        .await?;
    result.map_err(|error| Refused { error, return_to })
}

async fn completed(
    portcullis: &Portcullis,
    setup: &Setup,
    query: &str,
    visitor: Visitor,
    claimed: &mut Claimed,
) -> Result<Arrived, ServiceError> {
    let (told, pending) = proven(portcullis, setup, (query, &visitor.bound), claimed).await?;
    let session =
        admit(portcullis, (told.arrival, told.session), (underway(&pending), None), visitor).await?;
    Ok(Arrived { session, return_to: pending.return_to })
}

/// Takes an answer that came by a form: the checks in their order; who it proves is kept until their browser arrives.
///
/// # Errors
/// As [`complete`].
pub async fn answer(
    portcullis: &Portcullis,
    called: ConnectionId,
    form: &str,
    visitor: Visitor,
) -> Result<Proven, Refused> {
    admit_source(portcullis, visitor.source)?;
    let setup = Setup::load(portcullis, called).await?;
    let mut claimed = Claimed::default();
    let request = visitor.request;
    let result = wait(portcullis, &setup, form, &visitor.bound, &mut claimed).await;
    let return_to = claimed.return_to.take();
    record(portcullis, &setup.connection, (claimed, request), &result, |_| None).await?;
    result.map_err(|error| Refused { error, return_to })
}

async fn wait(
    portcullis: &Portcullis,
    setup: &Setup,
    form: &str,
    bound: &Bound,
    claimed: &mut Claimed,
) -> Result<Proven, ServiceError> {
    let (told, pending) = proven(portcullis, setup, (form, bound), claimed).await?;
    let underway = underway(&pending);
    let afterwards = (pending.return_to, underway);
    let (waiting, proven) =
        arriving::kept(&mut portcullis.moment(), (&setup.connection, told), afterwards, bound)?;
    portcullis
        .write(Priority::Ordinary, move |tx, moment| Ok(arrival::insert(tx, &waiting, moment.now)?))
        .await?;
    Ok(proven)
}

const fn underway(pending: &SignIn) -> Underway {
    Underway { linking: pending.linking, begun_at: pending.created_at }
}

/// Whom an answer proves, and the sign-in that it belongs to.
async fn proven(
    portcullis: &Portcullis,
    setup: &Setup,
    (answer, bound): (&str, &Bound),
    claimed: &mut Claimed,
) -> Result<(Told, SignIn), ServiceError> {
    let callback = Callback::parse(answer).map_err(broken)?;
    let state = callback.state().ok_or(SignInRefusal::State)?.to_owned();
    let pending = take(portcullis, setup.connection.id, (&state, bound), claimed).await?;
    // The code is one of the provider that the browser was sent to: no other gets it, nor what proves that it is ours.
    if pending.provider_hash != provider_hash(&setup.connection) {
        return Err(SignInRefusal::ConnectionChanged.into());
    }
    let Exchanged { claims, id_token } = exchanged(portcullis, setup, callback, (&state, &pending)).await?;
    claimed.proven = true;
    claimed.subject = Some(claims.sub().to_owned());
    claimed.email = claims.email().map(|e| e.address);
    let mut arrival = Arrival::read(&setup.connection, &claims).map_err(broken)?;
    let brought = suggestion::of_claims(&setup.connection, &claims);
    claimed.claims = shown(&arrival, &brought);
    claimed.arrival = Some(arrival.clone());
    graph::complete(portcullis, setup, (&mut arrival, &claims)).await?;
    claimed.arrival = Some(arrival.clone());
    let shown = shown(&arrival, &brought);
    claimed.claims = shown.clone();
    let mut session = logout::ProviderSession::of(&claims, &setup.view.settings)?;
    if setup.view.settings.end_session {
        let sealing = (&*portcullis.around().sealing, &mut portcullis.moment().random as &mut dyn Random);
        session = session.with_hint(&setup.connection, sealing, &id_token)?;
    }
    let session = ProviderSession::Oidc(session);
    Ok((Told { shown, arrival, session }, pending))
}

/// Exchanges the code of an answer that belongs to that sign-in: claims that are proven to be the provider's.
async fn exchanged(
    portcullis: &Portcullis,
    setup: &Setup,
    callback: Callback,
    (state, pending): (&str, &SignIn),
) -> Result<Exchanged, ServiceError> {
    let connection = &setup.connection;
    let mut moment = portcullis.moment();
    let around = portcullis.around();
    let providers = &portcullis.door().providers;
    let metadata = providers.metadata(portcullis, connection).await?;
    let id = connection.id.to_string();
    let expected = PendingSignIn {
        state: &State::from_stored(state),
        connection: &id,
        called_connection: &id,
        issuer: &connection.issuer,
        iss_parameter: metadata.iss_parameter,
    };
    let code = callback.verify(&expected).map_err(broken)?;
    let verifier = opened(&around.sealing, &verifier_place(pending.id), &pending.verifier_sealed)?;
    let verifier = CodeVerifier::parse(&verifier).ok_or(SignInRefusal::State)?;
    let proof = setup.proof(&around.sealing, &metadata, &mut moment)?;
    let exchange = Exchange {
        client: proof.client(&connection.client_id),
        asked: &setup.view.settings,
        code: &code,
        verifier: &verifier,
        nonce: &Nonce::from_stored(&pending.nonce),
        redirect_uri: &redirect_uri(portcullis, connection.id),
        begun_at: pending.created_at,
        now: moment.now,
    };
    providers.exchange(portcullis, connection, &metadata, exchange).await
}

/// What a trace shows of an arrival, with what came beside it.
fn shown(arrival: &Arrival, brought: &Brought) -> serde_json::Value {
    let mut shown = arrival.shown();
    if let Some(members) = shown.as_object_mut() {
        members.insert("brought".to_owned(), json!(brought));
    }
    shown
}
