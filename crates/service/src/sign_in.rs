//! Signing in by a connection: a browser leaves for its provider and comes back as somebody.
//!
//! [`begin`] ties a sign-in to one browser and one connection; [`complete`] walks the checks in the order of
//! OpenID Connect and RFC 9700, and only then asks [`crate::recognition`] who it is. Everything that leaves the process
//! is in [`crate::relying_party`]. Each outcome leaves a trace; each refusal of a proven person an audit event.

use std::net::IpAddr;

use portcullis_domain::Random;
use portcullis_domain::audit::{Action, EventDraft, Outcome, Target};
use portcullis_domain::cause::Actor;
use portcullis_domain::connection::Connection;
use portcullis_domain::id::{ConnectionId, MembershipId, RequestId, SignInId};
use portcullis_domain::plan::Plan;
use portcullis_domain::secret::SecretHash;
use portcullis_oidc::callback::{Callback, PendingSignIn};
use portcullis_oidc::pkce::CodeVerifier;
use portcullis_oidc::refusal::Refusal as OidcRefusal;
use portcullis_oidc::request::{AuthorizationRequest, Nonce, State};
use portcullis_store::sign_in::SignIn;
use portcullis_store::{Priority, StoreError, Tx, apply, connection, sign_in};
use secrecy::SecretString;
use serde_json::json;
use url::Url;

use crate::claims::Arrival;
use crate::password::Passwords;
use crate::refusal::SignInRefusal;
use crate::relying_party::{Exchange, Providers};
use crate::session::{self, Opened};
use crate::throttle::{Allowance, Throttle};
use crate::trace::TraceDraft;
use crate::{Moment, Portcullis, ServiceError, recognition};

/// Seconds within which a browser comes back from its provider.
pub const GOOD_FOR_S: i64 = 600;
/// The longest path that a sign-in leads back to, in bytes.
pub const MAX_RETURN_TO: usize = 512;
/// How many expired sign-ins each new one sweeps away: more than one, so that the table shrinks.
const SWEPT_AT_ONCE: i64 = 8;
/// Sign-ins that one source may begin or come back from: ten a second, so that a whole office that comes in behind one
/// address at nine fits.
const PER_SOURCE: Allowance = Allowance { max_tries: 1_200, window_s: 60 };

/// What sign-in keeps in memory: nothing of it decides who is let in.
#[derive(Default)]
pub struct Door {
    /// Identity providers.
    pub providers: Providers,
    /// How often something was tried.
    pub throttle: Throttle,
    /// Where passwords are hashed.
    pub passwords: Passwords,
}

/// What a browser wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Where it goes afterwards, a path of ours.
    pub return_to: Option<String>,
    /// The address that the person typed.
    pub login_hint: Option<String>,
    /// The membership that links a new subject from its own session; the caller has proven the session.
    pub linking: Option<MembershipId>,
    /// The value that binds this browser, if it has one already.
    pub browser: Option<String>,
    /// Where it calls from.
    pub source: IpAddr,
}

/// A sign-in that was begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Where the browser goes.
    pub location: Url,
    /// The value that binds the browser, for its cookie.
    pub browser: String,
}

/// A sign-in that came to its end.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The session.
    pub session: Opened,
    /// Where the browser goes.
    pub return_to: String,
}

/// Who comes back: which browser, from where, in which request.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The value that binds the browser.
    pub browser: Option<String>,
    /// The session secrets that it holds.
    pub presented: Vec<String>,
    /// Where it calls from.
    pub source: IpAddr,
    /// The request.
    pub request: RequestId,
}

/// A path of ours that a browser may be led to: `/` alone, or `/` and a letter or digit, so that no browser reads
/// another host in it.
///
/// # Errors
/// [`ServiceError::Invalid`].
pub fn return_path(text: Option<&str>) -> Result<String, ServiceError> {
    let Some(text) = text.filter(|t| !t.is_empty() && *t != "/") else { return Ok("/".to_owned()) };
    let mut chars = text.chars();
    let begins = chars.next() == Some('/') && chars.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if begins && plain && text.len() <= MAX_RETURN_TO {
        return Ok(text.to_owned());
    }
    Err(ServiceError::invalid(
        "return_to",
        "must be a path of this server that begins with `/` and a letter or digit",
    ))
}

/// A fresh value that binds a browser: 64 hexadecimal digits.
pub fn fresh_browser(random: &mut dyn Random) -> String {
    let mut bytes = [0_u8; 32];
    random.fill(&mut bytes);
    hex::encode(bytes)
}

/// Whether a text can be such a value.
#[must_use]
pub fn is_browser(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Where a connection's provider sends browsers back to: one address a connection, against mix-up (RFC 9700 §4.4).
#[must_use]
pub fn redirect_uri(portcullis: &Portcullis, connection: ConnectionId) -> String {
    portcullis.around().url(&format!("/sso/oidc/{connection}/callback"))
}

/// What a client secret is sealed for.
#[must_use]
pub fn secret_place(connection: ConnectionId) -> String {
    format!("connections.client_secret:{connection}")
}

fn verifier_place(id: SignInId) -> String {
    format!("sign_ins.verifier:{id}")
}

fn thirty_two(random: &mut dyn Random) -> [u8; 32] {
    let mut bytes = [0_u8; 32];
    random.fill(&mut bytes);
    bytes
}

fn sealed_wrongly(error: &crate::sealing::SealingError) -> ServiceError {
    ServiceError::Store(StoreError::Inconsistent(error.to_string()))
}

async fn find_connection(portcullis: &Portcullis, id: ConnectionId) -> Result<Connection, ServiceError> {
    let found = portcullis.read(move |tx, _| Ok(connection::find_by_id(tx, id)?)).await?;
    found.ok_or(ServiceError::NotFound("connection"))
}

/// Begins a sign-in: the browser goes to the provider, and only this browser can come back from there.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Invalid`] for a path that is not ours, [`ServiceError::TooMany`],
/// [`ServiceError::SignIn`] if the provider cannot be used.
pub async fn begin(portcullis: &Portcullis, id: ConnectionId, wish: Wish) -> Result<Begun, ServiceError> {
    let now = portcullis.now();
    portcullis.door().throttle.admit(&format!("sso/{}", wish.source), PER_SOURCE, now)?;
    let return_to = return_path(wish.return_to.as_deref())?;
    let connection = find_connection(portcullis, id).await?;
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
    portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            sign_in::delete_expired(tx, moment.now, SWEPT_AT_ONCE)?;
            Ok(sign_in::insert(tx, &pending)?)
        })
        .await?;
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

/// What is known of a sign-in while it is checked, for its trace.
#[derive(Default)]
struct Claimed {
    subject: Option<String>,
    email: Option<String>,
    /// Set once the provider's word is proven: from here on a refusal is about a person.
    proven: bool,
    claims: serde_json::Value,
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
    portcullis.door().throttle.admit(&format!("sso/{}", visitor.source), PER_SOURCE, portcullis.now())?;
    let connection = find_connection(portcullis, called).await?;
    let mut claimed = Claimed::default();
    let request = visitor.request;
    let result = check(portcullis, &connection, query, visitor, &mut claimed).await;
    let subject = claimed.email.clone().or_else(|| claimed.subject.clone()).unwrap_or_default();
    match &result {
        Ok(arrived) => note_success(portcullis, &connection, (&subject, request), arrived, claimed.claims),
        Err(error @ ServiceError::SignIn(refusal)) => {
            if claimed.proven {
                note_refusal(portcullis, &connection, refusal, (claimed.subject, request)).await?;
            }
            note_trace(portcullis, &connection, &subject, Some(request), error, claimed.claims);
        }
        Err(_) => {}
    }
    result
}

/// Takes the sign-in of the answer's state out, if it was begun in this browser.
async fn take(
    portcullis: &Portcullis,
    called: ConnectionId,
    state: Option<&str>,
    browser: Option<&str>,
) -> Result<(SignIn, State), ServiceError> {
    let state = state.ok_or(SignInRefusal::State)?.to_owned();
    let hash = SecretHash::of(&state).as_str().to_owned();
    // Committed by itself: whatever comes of it, this state is used up.
    let taken =
        portcullis.write(Priority::Ordinary, move |tx, _| Ok(sign_in::take(tx, called, &hash)?)).await?;
    let taken = taken.ok_or(SignInRefusal::State)?;
    let bound = SecretHash::from_stored(taken.browser_hash.clone());
    if !browser.is_some_and(|b| bound.matches(&SecretHash::of(b))) {
        return Err(SignInRefusal::State.into());
    }
    if portcullis.now() >= taken.expires_at {
        return Err(SignInRefusal::TooLate.into());
    }
    Ok((taken, State::from_stored(&state)))
}

async fn check(
    portcullis: &Portcullis,
    connection: &Connection,
    query: &str,
    visitor: Visitor,
    claimed: &mut Claimed,
) -> Result<Arrived, ServiceError> {
    let broken = |refusal: OidcRefusal| SignInRefusal::Protocol(Box::new(refusal.broken()));
    let callback = Callback::parse(query).map_err(|e| broken(e.into()))?;
    let (pending, state) =
        take(portcullis, connection.id, callback.state(), visitor.browser.as_deref()).await?;
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
    let code = callback.verify(&expected).map_err(|e| broken(e.into()))?;
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
    let arrival = Arrival::read(connection, &claims).map_err(|e| broken(e.into()))?;
    claimed.claims = arrival.shown();
    let return_to = pending.return_to.clone();
    let limits = portcullis.around().limits;
    let (linking, request, presented) = (pending.linking, visitor.request, visitor.presented);
    let session = portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            let wish =
                recognition::Wish { arrival: &arrival, linking, presented: &presented, limits, request };
            recognition::admit(tx, moment, &wish)
        })
        .await??;
    Ok(Arrived { session, return_to })
}

fn note_success(
    portcullis: &Portcullis,
    connection: &Connection,
    (subject, request): (&str, RequestId),
    arrived: &Arrived,
    claims: serde_json::Value,
) {
    portcullis.traces().note(TraceDraft {
        organization: connection.organization,
        kind: "sign_in",
        outcome: "ok".to_owned(),
        subject: subject.to_owned(),
        request: Some(request),
        content: json!({
            "connection": connection.id,
            "membership": arrived.session.membership,
            "token": arrived.session.token,
            "claims": claims,
        }),
        at: portcullis.now(),
    });
}

/// The trace of a refusal: which check decided, what was expected and what came, and what to do.
fn note_trace(
    portcullis: &Portcullis,
    connection: &Connection,
    subject: &str,
    request: Option<RequestId>,
    error: &ServiceError,
    claims: serde_json::Value,
) {
    let ServiceError::SignIn(refusal) = error else { return };
    let (section, expected, received) = match refusal {
        SignInRefusal::Protocol(broken) => {
            (Some(broken.section), broken.expected.clone(), broken.received.clone())
        }
        _ => (None, None, None),
    };
    portcullis.traces().note(TraceDraft {
        organization: connection.organization,
        kind: "sign_in",
        outcome: refusal.code().to_owned(),
        subject: subject.to_owned(),
        request,
        content: json!({
            "connection": connection.id,
            "refused_by": refusal.code(),
            "message": refusal.to_string(),
            "section": section,
            "expected": expected,
            "received": received,
            "advice": refusal.advice(),
            "claims": claims,
        }),
        at: portcullis.now(),
    });
}

/// The audit event of a refusal. Only what a provider has proven gets one, so that strangers cannot fill the log.
async fn note_refusal(
    portcullis: &Portcullis,
    connection: &Connection,
    refusal: &SignInRefusal,
    (subject, request): (Option<String>, RequestId),
) -> Result<(), ServiceError> {
    let event = EventDraft {
        outcome: Outcome::Refused,
        ..EventDraft::new(Action::SignInRefused, Target::new("connection", connection.id))
    };
    let event = event.with(json!({ "code": refusal.code(), "subject": subject }));
    let organization = connection.organization;
    portcullis
        .write(Priority::Ordinary, move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let cause = session::cause(Actor::System, request);
            let plan = Plan::because(organization, cause).noting(event.clone());
            apply(tx, &plan, moment.now, &mut moment.random)?;
            Ok(())
        })
        .await
}
