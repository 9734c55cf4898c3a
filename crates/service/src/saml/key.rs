//! Our own keys at a connection, with overlap: a new one is published first, then it signs, then the former one goes.
//!
//! A provider that is handed our metadata by a person knows a new key only when that person comes by. So nothing
//! changes by itself: a key is made (`next`), put to use (`signing`, and the one before becomes `former`), retired.

use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::ConnectionChange;
use portcullis_domain::connection::{Connection, KeyState};
use portcullis_domain::id::{ConnectionId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_domain::saml::SamlKey;
use portcullis_domain::{Random, Timestamp};
use portcullis_saml::key::{Issue, OwnKey};
use portcullis_store::Tx;
use portcullis_store::db::Lock;
use serde_json::json;
use zeroize::Zeroizing;

use super::SamlView;
use crate::error::inconsistent;
use crate::noun::Noun;
use crate::own_key::{BEGINS_BEFORE_S, GOOD_FOR_DAYS, must_have_room_for_key};
use crate::sealing::SealingKey;
use crate::{Moment, Portcullis, ServiceError};

/// A key that was made and is kept nowhere yet. It is made before the transaction that keeps it, which takes a while.
#[derive(Clone)]
pub struct NewKey {
    pkcs8: Zeroizing<Vec<u8>>,
    certificate: Vec<u8>,
    fingerprint: String,
    not_after: Timestamp,
}

fn place(connection: ConnectionId, fingerprint: &str) -> String {
    format!("saml_keys.private:{connection}:{fingerprint}")
}

impl NewKey {
    /// Makes a key on a thread where it holds nobody up.
    ///
    /// RSA, because providers encrypt for nothing else; of its randomness the library has its own source, which no
    /// caller can stand in for.
    ///
    /// # Errors
    /// [`ServiceError::Fault`] if the library makes none.
    pub async fn generate(portcullis: &Portcullis) -> Result<Self, ServiceError> {
        let mut moment = portcullis.moment();
        let name = portcullis.around().public_url.host_str().unwrap_or("portcullis").to_owned();
        let mut serial = [0_u8; 16];
        moment.random.fill(&mut serial);
        let now = moment.now;
        let made = tokio::task::spawn_blocking(move || make(&name, &serial, now)).await;
        made.unwrap_or_else(|_| Err(ServiceError::Fault("the thread that makes a key ended".into())))
    }

    /// The key as a row of that connection.
    ///
    /// # Errors
    /// [`ServiceError::Fault`] if it cannot be sealed.
    pub(crate) fn kept(
        &self,
        of: &Connection,
        (sealing, random): (&SealingKey, &mut dyn Random),
        (state, now): (KeyState, Timestamp),
    ) -> Result<SamlKey, ServiceError> {
        let sealed = sealing.seal(random, &place(of.id, &self.fingerprint), &self.pkcs8);
        Ok(SamlKey {
            connection: of.id,
            organization: of.organization,
            fingerprint: self.fingerprint.clone(),
            certificate: STANDARD.encode(&self.certificate),
            private_sealed: sealed.map_err(|e| ServiceError::fault("a key of SAML", e))?,
            state,
            not_after: self.not_after,
            created_at: now,
        })
    }
}

fn make(name: &str, serial: &[u8; 16], now: Timestamp) -> Result<NewKey, ServiceError> {
    let failed = |e: &dyn std::fmt::Display| ServiceError::fault("a key of SAML", e);
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|e| failed(&e))?;
    let pkcs8 = OwnKey::pkcs8_of(&pair).map_err(|e| failed(&e))?;
    let not_after = now.plus_s(GOOD_FOR_DAYS * 24 * 3_600);
    let issue = Issue {
        name,
        serial,
        not_before_s: now.plus_s(-BEGINS_BEFORE_S).seconds(),
        not_after_s: not_after.seconds(),
    };
    let key = OwnKey::self_signed(&pkcs8, &issue).map_err(|e| failed(&e))?;
    let certificate = key.certificate();
    Ok(NewKey {
        certificate: certificate.der().to_vec(),
        fingerprint: hex::encode(certificate.sha256()),
        not_after,
        pkcs8,
    })
}

/// A kept key, opened.
pub(crate) fn open(sealing: &SealingKey, key: &SamlKey) -> Result<OwnKey, ServiceError> {
    let place = place(key.connection, &key.fingerprint);
    let pkcs8 = sealing.open(&place, &key.private_sealed).map_err(|e| inconsistent(e.to_string()))?;
    let certificate =
        STANDARD.decode(&key.certificate).map_err(|_| inconsistent("a certificate is not base64"))?;
    OwnKey::new(&pkcs8, &certificate).map_err(|e| inconsistent(format!("a kept key: {e}")))
}

/// The event of what became of a key.
pub(crate) fn event(action: Action, key: &SamlKey) -> EventDraft {
    EventDraft::new(action, key.connection)
        .with(json!({ "fingerprint": key.fingerprint, "not_after": key.not_after.rfc3339() }))
}

fn find(
    tx: &mut Tx<'_>,
    (organization, id): (OrganizationId, ConnectionId),
) -> Result<(Connection, SamlView), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    super::certificate::find(tx, (organization, id))
}

fn known<'v>(view: &'v SamlView, fingerprint: &str) -> Result<&'v SamlKey, ServiceError> {
    view.keys.iter().find(|k| k.fingerprint == fingerprint).ok_or(ServiceError::NotFound(Noun::Key))
}

/// Keeps another key: published from now on, so that the provider knows it before it signs.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Invalid`] if too many are published.
pub fn add(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    at: (OrganizationId, ConnectionId),
    (sealing, key): (&SealingKey, &NewKey),
    cause: Cause,
) -> Result<SamlKey, ServiceError> {
    let (of, view) = find(tx, at)?;
    must_have_room_for_key(view.keys.iter().map(|k| k.state), "keys")?;
    let kept = key.kept(&of, (sealing, &mut moment.random), (KeyState::Next, moment.now))?;
    let change = ConnectionChange::PutKey(Box::new(kept.clone()));
    let plan = Plan::because(at.0, cause).then(event(Action::ConnectionKeyCreated, &kept), change);
    moment.apply(tx, &plan)?;
    Ok(kept)
}

/// Puts a published key to use: it signs from now on, and the one before is published and decrypts still.
///
/// # Errors
/// [`ServiceError::NotFound`], also for a retired key.
pub fn put_to_use(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    at: (OrganizationId, ConnectionId),
    fingerprint: &str,
    cause: Cause,
) -> Result<SamlKey, ServiceError> {
    let (_, view) = find(tx, at)?;
    let key = known(&view, fingerprint)?;
    if !key.state.is_published() {
        return Err(ServiceError::NotFound(Noun::Key));
    }
    let used = SamlKey { state: KeyState::Signing, ..key.clone() };
    if used == *key {
        return Ok(used);
    }
    let mut changes = vec![ConnectionChange::PutKey(Box::new(used.clone())).into()];
    for former in view.keys.iter().filter(|k| k.state == KeyState::Signing) {
        let former = SamlKey { state: KeyState::Former, ..former.clone() };
        changes.push(ConnectionChange::PutKey(Box::new(former)).into());
    }
    let plan = Plan::because(at.0, cause).then_all(event(Action::ConnectionKeyUsed, &used), changes);
    moment.apply(tx, &plan)?;
    Ok(used)
}

/// Retires a key: it is published no longer, decrypts no longer, and is kept nowhere.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::InUse`] for the one that signs.
pub fn retire(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    at: (OrganizationId, ConnectionId),
    fingerprint: &str,
    cause: Cause,
) -> Result<(), ServiceError> {
    let (_, view) = find(tx, at)?;
    let key = known(&view, fingerprint)?;
    match key.state {
        KeyState::Retired => return Ok(()),
        KeyState::Signing => return Err(ServiceError::InUse(Noun::KeyThatSigns)),
        KeyState::Next | KeyState::Former => {}
    }
    let retired = SamlKey { state: KeyState::Retired, private_sealed: String::new(), ..key.clone() };
    let change = ConnectionChange::PutKey(Box::new(retired.clone()));
    let plan = Plan::because(at.0, cause).then(event(Action::ConnectionKeyRetired, &retired), change);
    moment.apply(tx, &plan)?;
    Ok(())
}
