//! A connection with what is of its own in its protocol, and what an administrator should know of it.

use portcullis_domain::connection::{Connection, ConnectionKind};
use portcullis_domain::id::{ConnectionId, OrganizationId};
use portcullis_domain::text::Slug;
use portcullis_store::{Tx, connection, directory};
use serde_json::json;

use super::{NOUN, described};
use crate::ServiceError;
use crate::oidc::OidcView;
use crate::revision::revision;
use crate::saml::SamlView;

/// A connection with the default role of its claims directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionView {
    /// The connection.
    pub connection: Connection,
    /// The role of people in no mapped group of its claims.
    pub default_role: Option<Slug>,
    /// What is of its own in its protocol.
    pub protocol: ProtocolView,
    /// Another connection to the same provider, which offers people the same once more.
    pub twin: Option<ConnectionId>,
    /// The domains that are routed to it and are not proven here.
    pub unproven: Vec<String>,
}

/// What is of its own in a connection's protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProtocolView {
    /// What is set, and our keys.
    Oidc(OidcView),
    /// What it believes and has.
    Saml(Box<SamlView>),
}

impl ProtocolView {
    /// What is set, and our keys, if it is OpenID.
    #[must_use]
    pub const fn oidc(&self) -> Option<&OidcView> {
        match self {
            Self::Oidc(view) => Some(view),
            Self::Saml(_) => None,
        }
    }

    /// What it believes and has, if it is SAML.
    #[must_use]
    pub fn saml(&self) -> Option<&SamlView> {
        match self {
            Self::Oidc(_) => None,
            Self::Saml(view) => Some(view),
        }
    }
}

impl ConnectionView {
    /// Another text once anything is another that says who comes in by it, or somebody below owner has chosen it again.
    #[must_use]
    pub fn revision(&self) -> String {
        let of = &self.connection;
        let protocol = match &self.protocol {
            ProtocolView::Oidc(view) => json!(view.settings),
            ProtocolView::Saml(view) => {
                let states: Vec<_> =
                    view.certificates.iter().map(|c| (&c.fingerprint, c.state.as_str())).collect();
                let source = &view.source;
                json!([source.metadata_url, source.provider, source.settings, states])
            }
        };
        // What was changed and changed back let somebody in meanwhile.
        let chosen_at = of.unconfirmed.map(|waits| waits.chosen_at.rfc3339());
        let looked_at = described(of, self.default_role.as_ref());
        revision(&json!([looked_at, of.client_secret_sealed, chosen_at, protocol]))
    }
}

pub(super) fn view(tx: &mut Tx<'_>, connection: Connection) -> Result<ConnectionView, ServiceError> {
    let claims = directory::find(tx, connection.organization, connection.claims_directory)?;
    let protocol = match connection.kind {
        ConnectionKind::Saml => ProtocolView::Saml(Box::new(SamlView::shown(tx, &connection)?)),
        ConnectionKind::Oidc => ProtocolView::Oidc(OidcView::shown(tx, &connection)?),
    };
    let twin = connection::twin(tx, &connection)?;
    let unproven = connection::unproven_domains(tx, &connection)?;
    let default_role = claims.and_then(|d| d.default_role);
    Ok(ConnectionView { default_role, protocol, twin, unproven, connection })
}

/// A connection.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: ConnectionId,
) -> Result<ConnectionView, ServiceError> {
    let found = connection::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))?;
    view(tx, found)
}

/// A page of connections.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: &str,
    limit: i64,
) -> Result<Vec<ConnectionView>, ServiceError> {
    let page = connection::list(tx, organization, Some(after), limit)?;
    page.into_iter().map(|c| view(tx, c)).collect()
}
