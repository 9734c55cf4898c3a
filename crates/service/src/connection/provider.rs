//! The provider of a connection as somebody wants it, by either protocol, and what becomes of it when it changes.
//!
//! A client secret is sealed for the connection that it belongs to, and one provider's is never shown to the next.

use portcullis_domain::change::Change;
use portcullis_domain::connection::{Connection, ConnectionKind};
use portcullis_domain::id::ConnectionId;
use portcullis_store::Tx;
use secrecy::{ExposeSecret, SecretString};

use super::{ConnectionView, ProtocolView};
use crate::oidc::OidcView;
use crate::oidc::wish::{self as openid, OidcWish, Secret};
use crate::saml::Addresses;
use crate::saml::key::NewKey;
use crate::saml::wish::{self, SamlWish};
use crate::sign_in::oidc::secret_place;
use crate::{Moment, ServiceError, Surroundings};

/// A provider as somebody wants it.
#[derive(Clone)]
pub enum Protocol {
    /// OpenID Connect.
    Oidc {
        /// The issuer.
        issuer: String,
        /// Our client id there.
        client_id: String,
        /// Our client secret; `None` keeps the one that is there.
        client_secret: Option<SecretString>,
        /// What is set beside.
        wish: Box<OidcWish>,
    },
    /// SAML 2.0.
    Saml(Box<SamlWish>),
}

impl Protocol {
    pub(super) const fn kind(&self) -> ConnectionKind {
        match self {
            Self::Oidc { .. } => ConnectionKind::Oidc,
            Self::Saml(_) => ConnectionKind::Saml,
        }
    }
}

/// Sets what the protocol says of a new connection; what is written beside it.
pub(super) fn set_protocol(
    tx: &mut Tx<'_>,
    (around, moment): (&Surroundings, &mut Moment),
    made: &mut Connection,
    (protocol, key): (&Protocol, Option<&NewKey>),
) -> Result<Vec<Change>, ServiceError> {
    match protocol {
        Protocol::Oidc { issuer, client_id, client_secret, wish } => {
            made.issuer.clone_from(issuer);
            made.client_id.clone_from(client_id);
            let given = client_secret.as_ref();
            let none = (&OidcView::default(), &**wish);
            let (changes, secret) = openid::changes((around, moment), made, none, given)?;
            made.client_secret_sealed = kept_secret((around, moment), made, (secret, given))?;
            Ok(changes)
        }
        Protocol::Saml(wish) => {
            let key =
                key.ok_or_else(|| ServiceError::Fault("a connection of SAML is made without a key".into()))?;
            made.client_id = Addresses::of(around, made.id).metadata;
            let outcome = wish::made((around, moment), made, (wish, key))?;
            made.issuer = outcome.issuer;
            if let Some(read) = &wish.read {
                wish::note_reading(tx, moment, made, read)?;
            }
            Ok(outcome.changes)
        }
    }
}

/// The secret that is kept of a connection, sealed.
fn kept_secret(
    (around, moment): (&Surroundings, &mut Moment),
    of: &Connection,
    (secret, given): (Secret, Option<&SecretString>),
) -> Result<String, ServiceError> {
    match (secret, given) {
        (Secret::Dropped, _) => Ok(String::new()),
        (Secret::Needed, Some(given)) => seal(moment, around, of.id, given),
        (Secret::Needed, None) if of.client_secret_sealed.is_empty() => {
            let message = "is required for `oidc`, unless `oidc.client_auth` is `private_key_jwt`";
            Err(ServiceError::invalid("client_secret", message))
        }
        (Secret::Needed, None) => Ok(of.client_secret_sealed.clone()),
    }
}

fn seal(
    moment: &mut Moment,
    around: &Surroundings,
    id: ConnectionId,
    secret: &SecretString,
) -> Result<String, ServiceError> {
    let bytes = secret.expose_secret().as_bytes();
    let sealed = around.sealing.seal(&mut moment.random, &secret_place(id), bytes);
    sealed.map_err(|e| ServiceError::fault("a client secret", e))
}

/// What one provider knows us by is not shown to the next, whoever names it: a secret is given anew, and who is known by a
/// key makes another connection.
fn may_move(view: &OidcView, (secret, given): (Secret, Option<&SecretString>)) -> Result<(), ServiceError> {
    if !view.keys.is_empty() {
        let message = "stays while the connection has keys of its own: make another connection";
        return Err(ServiceError::invalid("issuer", message));
    }
    if matches!(secret, Secret::Needed) && given.is_none() {
        let message =
            "is required with another `issuer`: what one provider was given is not sent to the next";
        return Err(ServiceError::invalid("client_secret", message));
    }
    Ok(())
}

/// What of the provider becomes another.
pub(super) struct ProviderChange {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret_sealed: String,
    pub(super) beside: Vec<Change>,
    pub(super) opens_elsewhere: bool,
}

pub(super) fn provider_change(
    tx: &mut Tx<'_>,
    (around, moment): (&Surroundings, &mut Moment),
    before: &ConnectionView,
    protocol: &Protocol,
) -> Result<ProviderChange, ServiceError> {
    let old = &before.connection;
    match (protocol, &before.protocol) {
        (Protocol::Oidc { issuer, client_id, client_secret, wish }, ProtocolView::Oidc(view)) => {
            let given = client_secret.as_ref();
            let (beside, secret) = openid::changes((around, moment), old, (view, &**wish), given)?;
            if *issuer != old.issuer {
                may_move(view, (secret, given))?;
            }
            let sealed = kept_secret((around, moment), old, (secret, given))?;
            let another =
                *issuer != old.issuer || *client_id != old.client_id || sealed != old.client_secret_sealed;
            Ok(ProviderChange {
                opens_elsewhere: another || !beside.is_empty(),
                issuer: issuer.clone(),
                client_id: client_id.clone(),
                client_secret_sealed: sealed,
                beside,
            })
        }
        (Protocol::Saml(wish), ProtocolView::Saml(view)) => {
            let outcome = wish::changed(tx, moment, old, (view, wish))?;
            Ok(ProviderChange {
                issuer: outcome.issuer,
                client_id: old.client_id.clone(),
                client_secret_sealed: old.client_secret_sealed.clone(),
                beside: outcome.changes,
                opens_elsewhere: outcome.opens_elsewhere,
            })
        }
        (Protocol::Oidc { .. }, ProtocolView::Saml(_)) | (Protocol::Saml(_), ProtocolView::Oidc(_)) => {
            Err(ServiceError::invalid("kind", "stays what it was when the connection was made"))
        }
    }
}
