//! OpenID Connect as the protocol of a connection: how this side proves itself, whose ways are followed, and what a
//! provider says of a session afterwards.
//!
//! - [`settings`], [`wish`]: what an administrator wants of it;
//! - [`key`]: our own keys, in place of a secret, with overlap;
//! - `client`: what proves this side to the provider;
//! - [`preset`]: whose ways are followed;
//! - [`graph`]: where groups are asked for that a token does not hold;
//! - [`logout`]: the end of sessions.
//!
//! The way in is [`crate::sign_in::oidc`]; the rules of the protocol are the `oidc` crate's.

pub(crate) mod client;
pub mod graph;
pub mod key;
pub mod logout;
pub mod preset;
pub mod settings;
pub mod wish;

use std::net::IpAddr;

use portcullis_domain::Timestamp;
use portcullis_domain::connection::{Connection, ConnectionKind, KeyState};
use portcullis_domain::id::ConnectionId;
use portcullis_domain::oidc::{ClientKey, OidcSettings};
use portcullis_oidc::refusal::Refusal as OidcRefusal;
use portcullis_store::{Tx, connection, oidc};
use serde_json::{Value, json};

use crate::naming::Names;
use crate::noun::Noun;
use crate::refusal::SignInRefusal;
use crate::warning::{Warning, due_days};
use crate::{Portcullis, ServiceError, sign_in};

/// A refusal of the protocol, as a sign-in tells it.
pub(crate) fn broken(refusal: impl Into<OidcRefusal>) -> ServiceError {
    SignInRefusal::Protocol(Box::new(refusal.into().broken().into())).into()
}

/// What is set of a connection of OpenID, and our keys there, as an administrator sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OidcView {
    /// What is set; what nobody set is as usual.
    pub settings: OidcSettings,
    /// Our keys, whatever their state.
    pub keys: Vec<ClientKey>,
    /// Whether the names stay by which people are known.
    pub names: Names,
}

impl OidcView {
    /// What is kept of that connection.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn find(tx: &mut Tx<'_>, of: &Connection) -> Result<Self, ServiceError> {
        let source = oidc::source(tx, of.organization, of.id)?;
        let settings = source.map(|s| s.settings).unwrap_or_default();
        Ok(Self { settings, keys: oidc::keys(tx, of.organization, of.id)?, names: Names::NotAsked })
    }

    /// The same for an administrator, who is told whether the names stay by which people are known.
    ///
    /// # Errors
    /// As [`OidcView::find`].
    pub fn shown(tx: &mut Tx<'_>, of: &Connection) -> Result<Self, ServiceError> {
        Ok(Self { names: Names::of_openid(tx, of)?, ..Self::find(tx, of)? })
    }

    /// Whether a key of ours proves this side, or could.
    #[must_use]
    pub fn has_signing_key(&self) -> bool {
        self.keys.iter().any(|k| k.state == KeyState::Signing)
    }

    /// What should be looked after at that moment: names that do not stay, and a certificate of the key that proves this side
    /// which runs out. A provider that reads our key set does not care for the latter.
    #[must_use]
    pub fn warnings(&self, now: Timestamp) -> Vec<Warning> {
        let signing = self.keys.iter().filter(|k| k.state == KeyState::Signing && self.settings.is_by_key());
        let due = signing.filter_map(|k| Some((k, due_days(k.certificate.as_ref()?.not_after, now)?)));
        let warned = due.map(|(k, days)| {
            let kid = k.kid.get(..16).unwrap_or(&k.kid);
            let when = if days < 0 { format!("ran out {} days ago", -days) } else { format!("runs out in {days} days") };
            let message = format!(
                "the certificate of our key `{kid}…` {when}: a provider that was handed it needs that of another key, and \
                 then that key put to use"
            );
            Warning { code: "key_expires", message }
        });
        let moves = (self.names == Names::MayMove).then(|| {
            let message = "people are known here by what the provider may give to others one day, an address or a name to \
                           sign in with: have it send as `sub` what never changes";
            Warning { code: "subject_reassignable", message: message.to_owned() }
        });
        warned.chain(moves).collect()
    }
}

/// Everything that an exchange with the provider of a connection needs.
pub(crate) struct Setup {
    /// The connection.
    pub(crate) connection: Connection,
    /// What is set, and our keys.
    pub(crate) view: OidcView,
}

impl Setup {
    /// The setup of the connection of OpenID that a URL names.
    pub(crate) async fn load(portcullis: &Portcullis, id: ConnectionId) -> Result<Self, ServiceError> {
        portcullis
            .read(move |tx, _| {
                let found = connection::find_by_id(tx, id)?;
                let of_openid = found.filter(|c| c.kind == ConnectionKind::Oidc);
                let connection = of_openid.ok_or(ServiceError::NotFound(Noun::Connection))?;
                let view = OidcView::find(tx, &connection)?;
                Ok(Self { connection, view })
            })
            .await
    }
}

/// The set of our public keys of a connection, for its provider.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::TooMany`].
pub async fn own_keys(
    portcullis: &Portcullis,
    id: ConnectionId,
    source: IpAddr,
) -> Result<Value, ServiceError> {
    sign_in::admit_source(portcullis, source)?;
    let setup = Setup::load(portcullis, id).await?;
    let published = setup.view.keys.iter().filter(|k| k.state.is_published());
    let keys = published.map(key::public_half).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "keys": keys }))
}
