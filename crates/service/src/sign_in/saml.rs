//! Signing in by a provider of SAML: there by a request, back by a form that the browser posts from the provider's page.
//!
//! [`begin`] ties a sign-in to one browser and one connection. [`answer`] walks the checks of the `saml` crate, uses the
//! provider's word up and keeps what it says. [`arrive`] lets the person in: the browser comes there from our own
//! address, with all of its cookies, which it holds back from a form of somebody else's page.

use portcullis_domain::connection::{Connection, ConnectionKind};
use portcullis_domain::id::{ConnectionId, DirectoryId, MembershipId, SignInId};
use portcullis_domain::saml::SignaturePolicy as Policy;
use portcullis_domain::secret::SecretHash;
use portcullis_domain::{Timestamp, cause::Cause};
use portcullis_saml::binding::{FormMessage, MessageKind, Outgoing};
use portcullis_saml::key::OwnKey;
use portcullis_saml::refusal::Refusal as SamlRefusal;
use portcullis_saml::request::{Authentication, AuthnRequest, NameIdPolicy, send};
use portcullis_saml::response::{CbcEncryption, Expected, Identity, Rules, SignaturePolicy, verify};
use portcullis_saml::subject::SubjectSource;
use portcullis_store::arrival::{self, Waiting};
use portcullis_store::db::Lock;
use portcullis_store::replay;
use portcullis_store::sign_in::SignIn;
use portcullis_store::{Priority, Tx};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Arrived, Claimed, GOOD_FOR_S, ProviderSession, Visitor, Wish, admit, admit_source, find_connection,
    fresh_browser, is_browser, keep, record, return_path, take,
};
use crate::claims::{Arrival, Said};
use crate::refusal::SignInRefusal;
use crate::saml::assertion;
use crate::saml::logout::{self, handle};
use crate::saml::metadata::{Refreshed, refresh};
use crate::saml::{Setup, binding, broken, inconsistent, message_id};
use crate::{Moment, Portcullis, ServiceError};

/// Seconds within which a browser comes from the provider's form to us: it is redirected.
const ARRIVES_WITHIN_S: i64 = 120;

/// A sign-in that was begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// What the browser brings to the provider.
    pub message: Outgoing,
    /// The connection's name, for a page that the person may see.
    pub name: String,
    /// The value that binds the browser, for its cookie.
    pub browser: String,
}

/// Somebody whom a provider has proven, and who is not let in yet.
#[derive(Debug, Clone)]
pub struct Proven {
    /// What the browser comes back with.
    pub ticket: String,
    /// The value that binds the browser, for its cookie.
    pub browser: String,
}

/// What is kept of a proven person until their browser arrives.
#[derive(Serialize, Deserialize)]
struct Kept {
    issuer: String,
    client_id: String,
    directory: Option<DirectoryId>,
    said: Said,
    session: logout::ProviderSession,
    /// What a trace shows.
    shown: serde_json::Value,
}

/// Begins a sign-in: the browser goes to the provider, and only this browser can come back from there.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Invalid`] for a path that is not ours, [`ServiceError::TooMany`].
pub async fn begin(portcullis: &Portcullis, id: ConnectionId, wish: Wish) -> Result<Begun, ServiceError> {
    admit_source(portcullis, wish.source)?;
    let return_to = return_path(wish.return_to.as_deref())?;
    let setup = Setup::load(portcullis, id).await?;
    let mut moment = portcullis.moment();
    let (request, state) = (message_id(&mut moment), handle(&mut moment.random));
    let browser = wish.browser.filter(|b| is_browser(b)).unwrap_or_else(|| fresh_browser(&mut moment.random));
    let pending = SignIn {
        id: SignInId::fresh(moment.now, &mut moment.random),
        connection: id,
        state_hash: SecretHash::of(&state).as_str().to_owned(),
        browser_hash: SecretHash::of(&browser).as_str().to_owned(),
        nonce: request.as_str().to_owned(),
        // What proves possession in OpenID has no counterpart here.
        verifier_sealed: String::new(),
        return_to,
        linking: wish.linking,
        created_at: moment.now,
        expires_at: moment.now.plus_s(GOOD_FOR_S),
    };
    keep(portcullis, pending).await?;
    let source = &setup.view.source;
    let to = &source.provider.sign_in;
    let asked = AuthnRequest {
        id: &request,
        now_s: moment.now.seconds(),
        sp_entity_id: &setup.connection.client_id,
        acs_url: &setup.at.acs,
        destination: &to.location,
        authentication: if source.settings.force_authn {
            Authentication::Forced
        } else {
            Authentication::Any
        },
        name_id_policy: NameIdPolicy::AllowCreate,
        contexts: &source.settings.authn_contexts,
    };
    let signer = setup.signer()?;
    let message = send(&asked, binding(to.binding), Some(&state), signer.as_ref())
        .map_err(|e| inconsistent(&format!("a request to sign in: {e}")))?;
    Ok(Begun { message, name: setup.connection.name, browser })
}

/// Takes a provider's answer: the checks in their order; who it proves is kept until their browser arrives.
///
/// # Errors
/// [`ServiceError::NotFound`] for an unknown connection, [`ServiceError::SignIn`] for the first check that fails.
pub async fn answer(
    portcullis: &Portcullis,
    called: ConnectionId,
    body: &[u8],
    visitor: Visitor,
) -> Result<Proven, ServiceError> {
    admit_source(portcullis, visitor.source)?;
    let setup = Setup::load(portcullis, called).await?;
    let connection = setup.connection.clone();
    let request = visitor.request;
    let mut claimed = Claimed::default();
    let result = check(portcullis, setup, body, visitor, &mut claimed).await;
    record(portcullis, &connection, (claimed, request), &result, |_| None).await?;
    result
}

/// What the sign-in was that an answer belongs to.
struct Asked {
    request: Option<String>,
    return_to: String,
    linking: Option<MembershipId>,
}

async fn check(
    portcullis: &Portcullis,
    setup: Setup,
    body: &[u8],
    visitor: Visitor,
    claimed: &mut Claimed,
) -> Result<Proven, ServiceError> {
    let message = FormMessage::parse(body).map_err(|e| broken(&SamlRefusal::from(e)))?;
    if message.kind() != MessageKind::Response {
        return Err(SignInRefusal::State.into());
    }
    let asked = asked(portcullis, &setup, message.relay_state(), visitor.browser.as_deref()).await?;
    let (setup, identity) = verified(portcullis, setup, &message, &asked).await?;
    claimed.proven = true;
    claimed.subject = Some(identity.subject().as_str().to_owned());
    let arrival = assertion::arrival(&setup.connection, &setup.view.source.settings, &identity);
    claimed.email = arrival.address.as_ref().map(|a| a.written.clone());
    claimed.claims = shown(&arrival, &identity);
    let shown = claimed.claims.clone();
    wait(portcullis, setup, (arrival, identity, shown), (asked, visitor.browser)).await
}

/// What a trace shows of an identity beside what every protocol shows: the names of attributes, so that an
/// administrator sees what a mapping can name.
fn shown(arrival: &Arrival, identity: &Identity) -> serde_json::Value {
    let attributes: Vec<_> = identity.attributes().all().iter().map(|a| &a.name).collect();
    let weaknesses: Vec<_> = identity.weaknesses().iter().map(|w| format!("{w:?}")).collect();
    json!({
        "said": arrival.shown(),
        "attributes": attributes,
        "weaknesses": weaknesses,
        "signed_by": hex::encode(identity.signed_by_sha256()),
    })
}

/// Finds the sign-in that an answer belongs to by the state that came with it.
async fn asked(
    portcullis: &Portcullis,
    setup: &Setup,
    state: Option<&str>,
    browser: Option<&str>,
) -> Result<Asked, ServiceError> {
    // What has the form of a state of ours is one, or was.
    if let Some(state) = state.filter(|s| is_browser(s)) {
        let pending = take(portcullis, setup.connection.id, state, browser).await?;
        let (return_to, linking) = (pending.return_to, pending.linking);
        return Ok(Asked { request: Some(pending.nonce), return_to, linking });
    }
    // From the provider's own page: a path of ours at most, never an address.
    let return_to = state.and_then(|s| return_path(Some(s)).ok()).unwrap_or_else(|| "/".to_owned());
    Ok(Asked { request: None, return_to, linking: None })
}

/// Verifies an answer. If no trusted key signed it, the provider's metadata is read once more.
async fn verified(
    portcullis: &Portcullis,
    setup: Setup,
    message: &FormMessage,
    asked: &Asked,
) -> Result<(Setup, Identity), ServiceError> {
    let keys = setup.keys_for(message)?;
    let refusal = match verify_with(&setup, (message, &keys), asked, portcullis.now()) {
        Ok(identity) => return Ok((setup, identity)),
        Err(refusal) => refusal,
    };
    let at = (setup.connection.organization, setup.connection.id);
    let read_again = refusal.is_unknown_key()
        && matches!(refresh(portcullis, at, Cause::system()).await, Ok(Refreshed::Changed));
    if !read_again {
        return Err(broken(&refusal));
    }
    let setup = Setup::load(portcullis, setup.connection.id).await?;
    let keys = setup.keys_for(message)?;
    let identity = verify_with(&setup, (message, &keys), asked, portcullis.now()).map_err(|e| broken(&e))?;
    Ok((setup, identity))
}

fn verify_with(
    setup: &Setup,
    (message, keys): (&FormMessage, &[OwnKey]),
    asked: &Asked,
    now: Timestamp,
) -> Result<Identity, SamlRefusal> {
    let settings = &setup.view.source.settings;
    let expected = match &asked.request {
        Some(id) => Expected::Request { id },
        None if settings.idp_initiated => Expected::Unsolicited,
        None => Expected::Nothing,
    };
    let signatures = match settings.signatures {
        Policy::AssertionOrResponse => SignaturePolicy::AssertionOrResponse,
        Policy::Assertion => SignaturePolicy::Assertion,
        Policy::Both => SignaturePolicy::Both,
    };
    let subject = match &settings.subject_attribute {
        Some(name) => SubjectSource::Attribute { name: name.clone() },
        None => SubjectSource::NameId,
    };
    let rules = Rules {
        idp_entity_id: &setup.connection.issuer,
        certificates: &setup.trusted,
        sp_entity_id: &setup.connection.client_id,
        acs_url: &setup.at.acs,
        expected,
        signatures,
        decryption_keys: keys,
        cbc: if settings.cbc { CbcEncryption::InsideSignedResponse } else { CbcEncryption::Refused },
        sha1_until_s: settings.sha1_until.map(Timestamp::seconds),
        contexts: &settings.authn_contexts,
        subject: &subject,
        skew_s: settings.skew_s,
        now_s: now.seconds(),
    };
    verify(message, &rules)
}

/// Uses the provider's word up and keeps whom it proves, in one transaction of its own: whatever comes of it, this
/// answer is good for nobody else.
async fn wait(
    portcullis: &Portcullis,
    setup: Setup,
    (arrival, identity, shown): (Arrival, Identity, serde_json::Value),
    (asked, browser): (Asked, Option<String>),
) -> Result<Proven, ServiceError> {
    let mut moment = portcullis.moment();
    let ticket = handle(&mut moment.random);
    let browser = browser.filter(|b| is_browser(b)).unwrap_or_else(|| fresh_browser(&mut moment.random));
    let kept = Kept {
        issuer: setup.connection.issuer.clone(),
        client_id: setup.connection.client_id.clone(),
        directory: setup.connection.directory,
        said: arrival.said(),
        session: logout::ProviderSession::of(&identity),
        shown,
    };
    let waiting = Waiting {
        ticket_hash: SecretHash::of(&ticket).as_str().to_owned(),
        connection: setup.connection.id,
        browser_hash: SecretHash::of(&browser).as_str().to_owned(),
        content: serde_json::to_string(&kept).map_err(|e| inconsistent(&e.to_string()))?,
        return_to: asked.return_to,
        linking: asked.linking,
        expires_at: moment.now.plus_s(ARRIVES_WITHIN_S),
    };
    portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            tx.lock(Lock::Rules(setup.connection.organization))?;
            if !setup.still_holds(tx)? {
                return Err(SignInRefusal::ConnectionChanged.into());
            }
            use_up(tx, moment, setup.connection.id, &identity)?;
            Ok(arrival::insert(tx, &waiting, moment.now)?)
        })
        .await?;
    Ok(Proven { ticket, browser })
}

/// Uses up the ids of both, response and assertion.
fn use_up(
    tx: &mut Tx<'_>,
    moment: &Moment,
    connection: ConnectionId,
    identity: &Identity,
) -> Result<(), ServiceError> {
    let until = (moment.now, Timestamp::from_seconds(identity.replay_until_s()));
    for (kind, id) in [("response", identity.response_id()), ("assertion", identity.assertion_id())] {
        let hash = SecretHash::of(&format!("{kind} {id}"));
        if !replay::use_up(tx, connection, hash.as_str(), until)? {
            return Err(SignInRefusal::Replayed.into());
        }
    }
    Ok(())
}

/// Lets in whom a provider has proven, when their browser arrives with its ticket.
///
/// # Errors
/// [`ServiceError::NotFound`] for an unknown connection, [`ServiceError::SignIn`] if they are not let in.
pub async fn arrive(
    portcullis: &Portcullis,
    called: ConnectionId,
    ticket: &str,
    visitor: Visitor,
) -> Result<Arrived, ServiceError> {
    admit_source(portcullis, visitor.source)?;
    let connection = find_connection(portcullis, called, ConnectionKind::Saml).await?;
    let request = visitor.request;
    let mut claimed = Claimed::default();
    let result = arrived(portcullis, &connection, ticket, visitor, &mut claimed).await;
    record(portcullis, &connection, (claimed, request), &result, |arrived| Some(&arrived.session)).await?;
    result
}

async fn arrived(
    portcullis: &Portcullis,
    connection: &Connection,
    ticket: &str,
    visitor: Visitor,
    claimed: &mut Claimed,
) -> Result<Arrived, ServiceError> {
    let (hash, id) = (SecretHash::of(ticket).as_str().to_owned(), connection.id);
    let taken = portcullis.write(Priority::Ordinary, move |tx, _| Ok(arrival::take(tx, id, &hash)?)).await?;
    let taken = taken.ok_or(SignInRefusal::State)?;
    let bound = SecretHash::from_stored(taken.browser_hash.clone());
    if !visitor.browser.as_deref().is_some_and(|b| bound.matches(&SecretHash::of(b))) {
        return Err(SignInRefusal::State.into());
    }
    if portcullis.now() >= taken.expires_at {
        return Err(SignInRefusal::TooLate.into());
    }
    let kept: Kept =
        serde_json::from_str(&taken.content).map_err(|e| inconsistent(&format!("an arrival: {e}")))?;
    // As it was when the provider was believed: what changed since is found before anybody is let in.
    let believed = Connection {
        issuer: kept.issuer,
        client_id: kept.client_id,
        directory: kept.directory,
        ..connection.clone()
    };
    let arrival = Arrival::of_said(believed, kept.said);
    claimed.proven = true;
    claimed.subject = Some(arrival.subject.clone());
    claimed.email = arrival.address.as_ref().map(|a| a.written.clone());
    claimed.claims = kept.shown;
    let session =
        admit(portcullis, (arrival, ProviderSession::Saml(kept.session)), taken.linking, visitor).await?;
    Ok(Arrived { session, return_to: taken.return_to })
}
