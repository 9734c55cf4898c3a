//! What somebody wants of a connection of OpenID beside issuer, client and secret, as changes.

use portcullis_domain::change::{Change, ConnectionChange};
use portcullis_domain::connection::{Connection, KeyState};
use portcullis_domain::oidc::{OidcSettings, OidcSource};
use secrecy::SecretString;

use super::key::NewClientKey;
use super::{OidcView, settings};
use crate::{Moment, ServiceError, Surroundings};

/// A connection of OpenID as somebody wants it, apart from its provider.
#[derive(Clone, Default)]
pub struct OidcWish {
    /// What an administrator sets.
    pub settings: OidcSettings,
    /// A new key, where the connection is to prove itself by one and has none.
    pub key: Option<NewClientKey>,
}

/// What becomes of the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secret {
    /// It is needed.
    Needed,
    /// A key takes its place: it is kept no longer.
    Dropped,
}

/// What is written of a wish beside the connection's own row, and what becomes of the secret.
pub(crate) fn changes(
    (around, moment): (&Surroundings, &mut Moment),
    of: &Connection,
    (before, wish): (&OidcView, &OidcWish),
    given: Option<&SecretString>,
) -> Result<(Vec<Change>, Secret), ServiceError> {
    settings::check(&wish.settings)?;
    let mut changes: Vec<Change> = Vec::new();
    if wish.settings != before.settings {
        let source = OidcSource {
            connection: of.id,
            organization: of.organization,
            settings: wish.settings.clone(),
            updated_at: moment.now,
        };
        changes.push(ConnectionChange::SetOidc(Box::new(source)).into());
    }
    if !wish.settings.is_by_key() {
        return Ok((changes, Secret::Needed));
    }
    if given.is_some() {
        return Err(ServiceError::invalid("client_secret", "is not taken with `private_key_jwt`"));
    }
    if !before.has_signing_key() {
        let message = "needs a key, and none was made: try again";
        let key = wish.key.as_ref().ok_or_else(|| ServiceError::invalid("oidc.client_auth", message))?;
        let state = (KeyState::Signing, moment.now);
        let kept = key.kept(of, (&around.sealing, &mut moment.random), state)?;
        changes.push(ConnectionChange::PutClientKey(Box::new(kept)).into());
    }
    Ok((changes, Secret::Dropped))
}
