//! Signing in by a provider of SAML: there by a request, back by a form that the browser posts from the provider's page.
//!
//! [`begin`] ties a sign-in to one browser and one connection. [`answer`] walks the checks of the `saml` crate, uses the
//! provider's word up and keeps what it says, for [`super::arriving`] to let the person in.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{ConnectionId, MembershipId, SignInId};
use portcullis_domain::saml::SignaturePolicy as Policy;
use portcullis_domain::secret::SecretHash;
use portcullis_saml::binding::{FormMessage, Incoming, MessageKind, Outgoing};
use portcullis_saml::refusal::Refusal as SamlRefusal;
use portcullis_saml::request::{Authentication, AuthnRequest, send};
use portcullis_saml::response::{CbcEncryption, Expected, Identity, Proof, Rules, SignaturePolicy, verify};
use portcullis_saml::subject::SubjectSource;
use portcullis_store::db::Lock;
use portcullis_store::sign_in::{self, SignIn};
use portcullis_store::{Priority, Tx, arrival, replay};
use serde_json::json;

use super::arriving::{self, Proven, Told};
use super::binding::{Binding, Bound};
use super::once::{Once, keep, must_come_back};
use super::recording::{Claimed, record};
use super::{
    GOOD_FOR_S, ProviderSession, Refused, Underway, Visitor, Wish, admit_source, is_browser, provider_hash,
    return_path,
};
use crate::claims::Arrival;
use crate::refusal::SignInRefusal;
use crate::saml::trust::verified;
use crate::saml::{Setup, assertion, binding, broken, logout, message_id};
use crate::sign_out::handle;
use crate::{Moment, Portcullis, ServiceError, suggestion};

/// A sign-in that was begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// What the browser brings to the provider.
    pub message: Outgoing,
    /// The connection's name, for a page that the person may see.
    pub name: String,
    /// What binds the browser.
    pub binding: Binding,
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
    let tie = wish.crossing.tie(&state, &mut moment.random);
    let pending = SignIn {
        id: SignInId::fresh(moment.now, &mut moment.random),
        connection: id,
        state_hash: SecretHash::of(&state).as_str().to_owned(),
        browser_hash: SecretHash::of(&tie.value).as_str().to_owned(),
        nonce: request.as_str().to_owned(),
        // What proves possession in OpenID has no counterpart here.
        verifier_sealed: String::new(),
        return_to,
        linking: wish.linking,
        created_at: moment.now,
        expires_at: moment.now.plus_s(GOOD_FOR_S),
        provider_hash: provider_hash(&setup.connection),
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
        contexts: &source.settings.authn_contexts,
    };
    let signer = setup.signer()?;
    let message = send(&asked, binding(to.binding), Some(&state), signer.as_ref())
        .map_err(|e| ServiceError::fault("a request to sign in", e))?;
    Ok(Begun { message, name: setup.connection.name, binding: Binding::Crossing(tie) })
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
) -> Result<Proven, Refused> {
    admit_source(portcullis, visitor.source)?;
    let message = FormMessage::parse(body);
    let relayed = message.as_ref().ok().and_then(FormMessage::relay_state).map(str::to_owned);
    // What has the form of a state of ours is one, or was.
    let state = relayed.as_deref().filter(|s| is_browser(s)).map(|s| SecretHash::of(s).as_str().to_owned());
    let of_state = state.clone();
    let (setup, pending) = Setup::load_with(portcullis, called, move |tx| match &of_state {
        Some(hash) => Ok(sign_in::find(tx, called, hash)?),
        None => Ok(None),
    })
    .await?;
    let connection = setup.connection.clone();
    let request = visitor.request;
    let return_to = pending.as_ref().map(|p| p.return_to.clone());
    let mut claimed = Claimed::default();
    let left_for = pending.as_ref().map(|p| p.provider_hash.clone());
    let once = pending.as_ref().map(|p| Once::State(p.state_hash.clone()));
    let result = async {
        let message = message.map_err(|e| broken(&SamlRefusal::from(e)))?;
        let asked = match relayed.as_deref().filter(|_| state.is_some()) {
            Some(state) => Asked::by(pending, portcullis.now(), visitor.bound.value(state))?,
            None => Asked::by_nobody(relayed.as_deref()),
        };
        if left_for.is_some_and(|hash| hash != provider_hash(&setup.connection)) {
            return Err(SignInRefusal::ConnectionChanged.into());
        }
        check(portcullis, setup, (&message, asked), visitor, &mut claimed).await
    };
    let result = result.await;
    let result = match once {
        Some(once) => once.spent(portcullis, called, result).await,
        None => result,
    };
    record(portcullis, &connection, (claimed, request), &result, |_| None).await?;
    result.map_err(|error| Refused { error, return_to })
}

/// What the sign-in was that an answer belongs to.
struct Asked {
    /// What is used up with the answer, and the id of the request that it answers.
    begun: Option<(Once, String)>,
    return_to: String,
    linking: Option<MembershipId>,
    /// When it began; `None` if nobody began it here.
    begun_at: Option<Timestamp>,
}

impl Asked {
    /// The sign-in of the state that came with an answer, if this browser began it.
    fn by(pending: Option<SignIn>, now: Timestamp, browser: Option<&str>) -> Result<Self, SignInRefusal> {
        let pending = pending.ok_or(SignInRefusal::State)?;
        must_come_back(now, (&pending.browser_hash, pending.expires_at), browser)?;
        Ok(Self {
            begun: Some((Once::State(pending.state_hash), pending.nonce)),
            return_to: pending.return_to,
            linking: pending.linking,
            begun_at: Some(pending.created_at),
        })
    }

    /// Of an answer from the provider's own page: a path of ours at most, never an address.
    fn by_nobody(relayed: Option<&str>) -> Self {
        let return_to = relayed.and_then(|s| return_path(Some(s)).ok()).unwrap_or_else(|| "/".to_owned());
        Self { begun: None, return_to, linking: None, begun_at: None }
    }
}

async fn check(
    portcullis: &Portcullis,
    setup: Setup,
    (message, asked): (&FormMessage, Asked),
    visitor: Visitor,
    claimed: &mut Claimed,
) -> Result<Proven, ServiceError> {
    if message.kind() != MessageKind::Response {
        return Err(SignInRefusal::State.into());
    }
    let now = portcullis.now();
    let by = |setup: &Setup| verify_by(setup, message, &asked, now);
    let (setup, identity) = verified(portcullis, setup, visitor.source, by).await?;
    claimed.proven = true;
    claimed.subject = Some(identity.subject().as_str().to_owned());
    let arrival = assertion::arrival(&setup.connection, &setup.view.source.settings, &identity);
    claimed.email = arrival.said.address.as_ref().map(|a| a.written.clone());
    claimed.claims = shown(&arrival, &identity);
    claimed.arrival = Some(arrival.clone());
    let shown = claimed.claims.clone();
    wait(portcullis, setup, (arrival, identity, shown), (asked, &visitor.bound)).await
}

/// What a trace shows of an identity beside what every protocol shows: the names of attributes, so that an
/// administrator sees what a mapping can name.
fn shown(arrival: &Arrival, identity: &Identity) -> serde_json::Value {
    let attributes: Vec<_> = identity.attributes().all().iter().map(|a| &a.name).collect();
    let weaknesses: Vec<_> = identity.weaknesses().iter().map(|w| format!("{w:?}")).collect();
    json!({
        "said": arrival.shown(),
        "attributes": attributes,
        "brought": suggestion::of_attributes(identity.attributes()),
        "weaknesses": weaknesses,
        "signed_by": hex::encode(identity.signed_by_sha256()),
    })
}

/// Verifies an answer by how the connection is set up.
fn verify_by(
    setup: &Setup,
    message: &FormMessage,
    asked: &Asked,
    now: Timestamp,
) -> Result<Result<Identity, SamlRefusal>, ServiceError> {
    let keys = setup.keys_for(Incoming::Form(message))?;
    let settings = &setup.view.source.settings;
    let expected = match &asked.begun {
        Some((_, id)) => Expected::Request { id },
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
    let proof = match (settings.force_authn, asked.begun_at) {
        (false, _) => Proof::AtAnyTime,
        (true, Some(begun_at)) => Proof::Since { asked_at_s: begun_at.seconds() },
        (true, None) => Proof::WithTheAssertion,
    };
    let rules = Rules {
        idp_entity_id: &setup.connection.issuer,
        certificates: &setup.trusted,
        sp_entity_id: &setup.connection.client_id,
        acs_url: &setup.at.acs,
        expected,
        signatures,
        decryption_keys: &keys,
        cbc: if settings.cbc { CbcEncryption::InsideSignedResponse } else { CbcEncryption::Refused },
        sha1_until_s: settings.sha1_until.map(Timestamp::seconds),
        contexts: &settings.authn_contexts,
        proof,
        subject: &subject,
        skew_s: settings.skew_s,
        now_s: now.seconds(),
    };
    Ok(verify(message, &rules))
}

/// Uses up the provider's word and the state that it came with, and keeps whom it proves, in one transaction: this answer
/// is good for nobody else.
async fn wait(
    portcullis: &Portcullis,
    setup: Setup,
    (arrival, identity, shown): (Arrival, Identity, serde_json::Value),
    (asked, bound): (Asked, &Bound),
) -> Result<Proven, ServiceError> {
    let signed_by = hex::encode(identity.signed_by_sha256());
    let session = logout::ProviderSession::of(&identity, &setup.view.source.settings)?;
    let session = ProviderSession::Saml(session);
    let told = Told { arrival, session, shown };
    // What nobody began here is as old as the authentication that it speaks of.
    let authenticated_at = Timestamp::from_seconds(identity.authn_at_s());
    let begun_at = asked.begun_at.unwrap_or_else(|| authenticated_at.min(portcullis.now()));
    let afterwards = (asked.return_to.clone(), Underway { linking: asked.linking, begun_at });
    let (waiting, proven) =
        arriving::kept(&mut portcullis.moment(), (&setup.connection, told), afterwards, bound)?;
    portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            tx.lock(Lock::Rules(setup.connection.organization))?;
            if !setup.still_holds(tx, &signed_by)? {
                return Err(SignInRefusal::ConnectionChanged.into());
            }
            if let Some((once, _)) = &asked.begun {
                once.use_up(tx, setup.connection.id)?;
            }
            use_up(tx, moment, setup.connection.id, &identity)?;
            Ok(arrival::insert(tx, &waiting, moment.now)?)
        })
        .await?;
    Ok(proven)
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
