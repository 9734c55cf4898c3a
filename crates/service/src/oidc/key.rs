//! Our own keys at a provider of OpenID, in place of a secret, with overlap: a new one is published first, then it signs,
//! then the former one goes.
//!
//! A provider reads our key set when it likes. So nothing changes by itself: a key is made (`next`), put to use
//! (`signing`, and the one before becomes `former`), retired. Each connection has keys of its own, so that what one
//! provider is shown proves nothing to another. Each key has a certificate, which it signs itself, for providers that are
//! handed certificates and read no key set.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::ConnectionChange;
use portcullis_domain::connection::{Connection, ConnectionKind, KeyState};
use portcullis_domain::id::{ConnectionId, OrganizationId};
use portcullis_domain::oidc::{ClientCertificate, ClientKey, ClientKeyAlg};
use portcullis_domain::plan::Plan;
use portcullis_domain::{Random, Timestamp};
use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::certificate::{Issue, self_signed, thumbprint};
use portcullis_oidc::provider::SigningKey;
use portcullis_store::db::Lock;
use portcullis_store::{Tx, connection};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::OidcView;
use crate::error::inconsistent;
use crate::noun::Noun;
use crate::own_key::{BEGINS_BEFORE_S, GOOD_FOR_DAYS, must_have_room_for_key};
use crate::relying_party::Providers;
use crate::sealing::SealingKey;
use crate::{Moment, Portcullis, ServiceError};

/// Tries to draw a P-256 scalar; each fails once in 2^32.
const MAX_TRIES: usize = 8;
/// What audit events call it.
const NOUN: Noun = Noun::Connection;

/// A key that was made and is kept nowhere yet. It is made before the transaction that keeps it, which takes a while.
#[derive(Clone)]
pub struct NewClientKey {
    alg: ClientKeyAlg,
    /// A scalar of P-256, or PKCS#8 of RSA.
    private: Zeroizing<Vec<u8>>,
    kid: String,
    public: String,
    certificate: ClientCertificate,
}

/// What a new key's certificate says.
struct Name {
    host: String,
    serial: [u8; 16],
    now: Timestamp,
}

impl Name {
    fn of(portcullis: &Portcullis, moment: &mut Moment) -> Self {
        let host = portcullis.around().public_url.host_str().unwrap_or("portcullis").to_owned();
        let mut serial = [0_u8; 16];
        moment.random.fill(&mut serial);
        Self { host, serial, now: moment.now }
    }

    fn certify(&self, key: &SigningKey) -> Result<ClientCertificate, ServiceError> {
        let not_after = self.now.plus_s(GOOD_FOR_DAYS * 24 * 3_600);
        let issue = Issue {
            name: &self.host,
            serial: &self.serial,
            not_before_s: self.now.plus_s(-BEGINS_BEFORE_S).seconds(),
            not_after_s: not_after.seconds(),
        };
        let der = self_signed(key, &issue).map_err(|e| ServiceError::fault("a key of ours", e))?;
        Ok(ClientCertificate { der: STANDARD.encode(der), not_after })
    }
}

fn place(connection: ConnectionId, kid: &str) -> String {
    format!("client_keys.private:{connection}:{kid}")
}

/// The algorithm in the words of JOSE.
pub(crate) const fn alg(of: ClientKeyAlg) -> SigningAlg {
    match of {
        ClientKeyAlg::Es256 => SigningAlg::Es256,
        ClientKeyAlg::Rs256 => SigningAlg::Rs256,
    }
}

impl NewClientKey {
    /// Makes a key of an algorithm that the issuer's metadata offers: ES256, or RS256 where it does not name that, also
    /// where the metadata cannot be had.
    ///
    /// # Errors
    /// [`ServiceError::Fault`] if the library makes none.
    pub async fn generate(portcullis: &Portcullis, issuer: &str) -> Result<Self, ServiceError> {
        let around = portcullis.around();
        let offered = Providers::look_at(&*around.fetch, issuer, around.limits.plain_http);
        let chosen = offered.await.map(|metadata| metadata.client_auth.alg_for_new_key());
        let mut moment = portcullis.moment();
        let name = Name::of(portcullis, &mut moment);
        match chosen {
            Ok(SigningAlg::Es256) => Self::es256(&mut moment.random, &name),
            Ok(_) | Err(_) => {
                // Of the randomness of RSA the library has its own source; it takes a while, and holds nobody up.
                let made = tokio::task::spawn_blocking(move || Self::rs256(&name)).await;
                made.unwrap_or_else(|_| Err(ServiceError::Fault("the thread that makes a key ended".into())))
            }
        }
    }

    fn es256(random: &mut dyn Random, name: &Name) -> Result<Self, ServiceError> {
        for _ in 0..MAX_TRIES {
            let mut scalar = Zeroizing::new([0_u8; 32]);
            random.fill(scalar.as_mut());
            if let Ok(key) = SigningKey::es256_from_random(&scalar) {
                return Self::of(ClientKeyAlg::Es256, (&key, Zeroizing::new(scalar.to_vec())), name);
            }
        }
        Err(ServiceError::Fault("no random text was a key".into()))
    }

    fn rs256(name: &Name) -> Result<Self, ServiceError> {
        let failed = |e: &dyn std::fmt::Display| ServiceError::fault("a key of ours", e);
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|e| failed(&e))?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|e| failed(&e))?;
        let private = Zeroizing::new(der.as_ref().to_vec());
        let key = SigningKey::from_pkcs8(SigningAlg::Rs256, &private).map_err(|e| failed(&e))?;
        Self::of(ClientKeyAlg::Rs256, (&key, private), name)
    }

    fn of(
        alg: ClientKeyAlg,
        (key, private): (&SigningKey, Zeroizing<Vec<u8>>),
        name: &Name,
    ) -> Result<Self, ServiceError> {
        let public = key.public_jwk().to_value().to_string();
        Ok(Self { alg, private, kid: key.kid().to_owned(), public, certificate: name.certify(key)? })
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
    ) -> Result<ClientKey, ServiceError> {
        let sealed = sealing.seal(random, &place(of.id, &self.kid), &self.private);
        Ok(ClientKey {
            connection: of.id,
            organization: of.organization,
            kid: self.kid.clone(),
            alg: self.alg,
            public: self.public.clone(),
            certificate: Some(self.certificate.clone()),
            private_sealed: sealed.map_err(|e| ServiceError::fault("a key of ours", e))?,
            state,
            created_at: now,
        })
    }
}

/// A kept key, opened.
pub(crate) fn open(sealing: &SealingKey, key: &ClientKey) -> Result<SigningKey, ServiceError> {
    let damaged = |why: &str| inconsistent(format!("a kept key: {why}"));
    let private = sealing
        .open(&place(key.connection, &key.kid), &key.private_sealed)
        .map_err(|e| damaged(&e.to_string()))?;
    let opened = match key.alg {
        ClientKeyAlg::Es256 => {
            let scalar = private.as_slice().try_into().map_err(|_| damaged("its length"))?;
            SigningKey::es256_from_random(scalar)
        }
        ClientKeyAlg::Rs256 => SigningKey::from_pkcs8(SigningAlg::Rs256, &private),
    };
    opened.map_err(|e| damaged(&e.to_string()))
}

/// A key's certificate, as DER.
pub(crate) fn certificate(key: &ClientKey) -> Result<Option<Vec<u8>>, ServiceError> {
    let decode = |c: &ClientCertificate| STANDARD.decode(&c.der);
    let der = key.certificate.as_ref().map(decode).transpose();
    der.map_err(|_| inconsistent("a kept key: its certificate is not base64"))
}

/// What Entra ID and others call a certificate: SHA-1 of its DER, as 40 hexadecimal digits in upper case.
#[must_use]
pub fn thumbprint_of(certificate: &ClientCertificate) -> Option<String> {
    STANDARD.decode(&certificate.der).ok().map(|der| hex::encode_upper(thumbprint(&der)))
}

/// A key's public half, as the key set has it.
pub(crate) fn public_half(key: &ClientKey) -> Result<Value, ServiceError> {
    serde_json::from_str(&key.public).map_err(|e| inconsistent(format!("a public key: {e}")))
}

/// The event of what became of a key.
pub(crate) fn event(action: Action, key: &ClientKey) -> EventDraft {
    EventDraft::new(action, key.connection).with(json!({ "kid": key.kid, "alg": key.alg.as_str() }))
}

/// The connection that is changed, and its keys.
fn find(
    tx: &mut Tx<'_>,
    (organization, id): (OrganizationId, ConnectionId),
) -> Result<(Connection, OidcView), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let found = connection::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))?;
    if found.kind != ConnectionKind::Oidc {
        return Err(ServiceError::invalid("connection", "is not of the kind `oidc`"));
    }
    let view = OidcView::find(tx, &found)?;
    Ok((found, view))
}

fn known<'v>(view: &'v OidcView, kid: &str) -> Result<&'v ClientKey, ServiceError> {
    view.keys.iter().find(|k| k.kid == kid).ok_or(ServiceError::NotFound(Noun::Key))
}

/// Keeps another key: published from now on, so that the provider knows it before it signs.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Invalid`] if too many are published.
pub fn add(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    at: (OrganizationId, ConnectionId),
    (sealing, key): (&SealingKey, &NewClientKey),
    cause: Cause,
) -> Result<ClientKey, ServiceError> {
    let (of, view) = find(tx, at)?;
    must_have_room_for_key(view.keys.iter().map(|k| k.state), "client_keys")?;
    let kept = key.kept(&of, (sealing, &mut moment.random), (KeyState::Next, moment.now))?;
    put(tx, moment, (at.0, cause), (Action::ConnectionKeyCreated, &kept), &[])?;
    Ok(kept)
}

/// Writes a key's new state, and that of others with it.
fn put(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (organization, cause): (OrganizationId, Cause),
    (action, key): (Action, &ClientKey),
    others: &[ClientKey],
) -> Result<(), ServiceError> {
    let all = std::iter::once(key).chain(others);
    let changes = all.map(|k| ConnectionChange::PutClientKey(Box::new(k.clone())).into()).collect();
    let plan = Plan::because(organization, cause).then_all(event(action, key), changes);
    moment.apply(tx, &plan)?;
    Ok(())
}

/// Puts a published key to use: it signs from now on, and the one before is published still.
///
/// # Errors
/// [`ServiceError::NotFound`], also for a retired key.
pub fn put_to_use(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    at: (OrganizationId, ConnectionId),
    kid: &str,
    cause: Cause,
) -> Result<ClientKey, ServiceError> {
    let (_, view) = find(tx, at)?;
    let key = known(&view, kid)?;
    if !key.state.is_published() {
        return Err(ServiceError::NotFound(Noun::Key));
    }
    let used = ClientKey { state: KeyState::Signing, ..key.clone() };
    if used == *key {
        return Ok(used);
    }
    let signing = view.keys.iter().filter(|k| k.state == KeyState::Signing);
    let former: Vec<ClientKey> =
        signing.map(|k| ClientKey { state: KeyState::Former, ..k.clone() }).collect();
    put(tx, moment, (at.0, cause), (Action::ConnectionKeyUsed, &used), &former)?;
    Ok(used)
}

/// Retires a key: it is published no longer, and is kept nowhere.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::InUse`] for the one that signs, while the connection needs one.
pub fn retire(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    at: (OrganizationId, ConnectionId),
    kid: &str,
    cause: Cause,
) -> Result<(), ServiceError> {
    let (_, view) = find(tx, at)?;
    let key = known(&view, kid)?;
    match key.state {
        KeyState::Retired => return Ok(()),
        KeyState::Signing if view.settings.is_by_key() => {
            return Err(ServiceError::InUse(Noun::KeyThatSigns));
        }
        KeyState::Signing | KeyState::Next | KeyState::Former => {}
    }
    let retired = ClientKey { state: KeyState::Retired, private_sealed: String::new(), ..key.clone() };
    put(tx, moment, (at.0, cause), (Action::ConnectionKeyRetired, &retired), &[])
}
