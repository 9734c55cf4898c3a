//! The end of sessions across both sides: an OpenID provider tells us by itself (OpenID Connect Back-Channel Logout 1.0),
//! and what it names ends here before it is answered; whoever signs out here is led there (RP-Initiated Logout 1.0).
//!
//! An answer says that it was done and nothing more: not whether anybody was signed in.

use std::net::IpAddr;

use portcullis_domain::connection::{Connection, ConnectionKind};
use portcullis_domain::id::{ConnectionId, RequestId, TokenId};
use portcullis_domain::oidc::OidcSettings;
use portcullis_domain::secret::SecretHash;
use portcullis_domain::{Random, Timestamp};
use portcullis_oidc::claims::IdentityClaims;
use portcullis_oidc::end_session::{EndSession, MAX_HINT_BYTES};
use portcullis_oidc::logout_token::Logout;
use portcullis_oidc::request::State;
use portcullis_store::db::Lock;
use portcullis_store::ending::{self, Over};
use portcullis_store::oidc_session::{self, Named, OidcSession};
use portcullis_store::{Priority, Tx, oidc, replay};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::Setup;
use super::client::opened;
use crate::refusal::SignInRefusal;
use crate::sealing::SealingKey;
use crate::session::end_by_provider;
use crate::sign_in::oidc::signed_out_uri;
use crate::sign_in::{self, OVER_FOR_S, Visitor, provider_hash, settings_hash};
use crate::sign_out::{asked, handle, note};
use crate::{Portcullis, ServiceError};

/// Whom a provider means by a session: its own names for the person and for its session, hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderSession {
    subject_hash: String,
    /// Empty if the provider names no session.
    session_hash: String,
    /// What was set of the connection when the provider was believed, as a hash.
    settings_hash: String,
    /// The ID token, sealed, where the browser is led to the provider when somebody signs out.
    hint_sealed: Option<String>,
}

/// What an ID token is sealed for: the session that it began, by the provider's name for the person, and that provider. No
/// other one is shown it.
fn hint_place(of: &Connection, subject_hash: &str) -> String {
    format!("oidc_sessions.hint:{}:{subject_hash}:{}", of.id, provider_hash(of))
}

fn hash(text: &str) -> String {
    SecretHash::of(text).as_str().to_owned()
}

impl ProviderSession {
    /// What claims say of it that were proven under these settings.
    ///
    /// # Errors
    /// [`ServiceError::Fault`] if the settings cannot be written down.
    pub fn of(claims: &IdentityClaims, settings: &OidcSettings) -> Result<Self, ServiceError> {
        Self::named((claims.sub(), claims.session_id()), settings)
    }

    /// The session by the provider's name for the person and, if it has one, for the session.
    ///
    /// # Errors
    /// As [`ProviderSession::of`].
    pub fn named(
        (subject, session): (&str, Option<&str>),
        settings: &OidcSettings,
    ) -> Result<Self, ServiceError> {
        Ok(Self {
            subject_hash: hash(subject),
            session_hash: session.map(hash).unwrap_or_default(),
            settings_hash: settings_hash(settings)?,
            hint_sealed: None,
        })
    }

    /// Whether what was set when the provider was believed still is.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn is_believed(&self, tx: &mut Tx<'_>, of: &Connection) -> Result<bool, ServiceError> {
        let settings = oidc::source(tx, of.organization, of.id)?.map(|s| s.settings).unwrap_or_default();
        Ok(settings_hash(&settings)? == self.settings_hash)
    }

    /// The same with the ID token by which the provider knows its session. One that fits into no URL is of no use.
    ///
    /// # Errors
    /// [`ServiceError::Fault`] if it cannot be sealed.
    pub(crate) fn with_hint(
        self,
        of: &Connection,
        (sealing, random): (&SealingKey, &mut dyn Random),
        id_token: &SecretString,
    ) -> Result<Self, ServiceError> {
        let token = id_token.expose_secret();
        if token.len() > MAX_HINT_BYTES {
            return Ok(self);
        }
        let sealed = sealing.seal(random, &hint_place(of, &self.subject_hash), token.as_bytes());
        let sealed = sealed.map_err(|e| ServiceError::fault("an ID token", e))?;
        Ok(Self { hint_sealed: Some(sealed), ..self })
    }

    /// Whether the provider said after `begun_at` that it is over, and that still counts `now`.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn is_over(
        &self,
        tx: &mut Tx<'_>,
        of: &Connection,
        (begun_at, now): (Timestamp, Timestamp),
    ) -> Result<bool, ServiceError> {
        let session = Over { subject_hash: &self.subject_hash, session_hash: &self.session_hash };
        Ok(ending::is_over(tx, of.id, session, (begun_at, now))?)
    }

    /// Notes that our session `token`, which ends at `expires_at` in any case, is the one that the provider means so.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn keep(
        &self,
        tx: &mut Tx<'_>,
        of: &Connection,
        (token, expires_at): (TokenId, Timestamp),
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        let session = OidcSession {
            token,
            connection: of.id,
            subject_hash: self.subject_hash.clone(),
            session_hash: self.session_hash.clone(),
            hint_sealed: self.hint_sealed.clone(),
            expires_at,
        };
        Ok(oidc_session::insert(tx, &session, now)?)
    }
}

/// Takes a provider's word that a session, or every session of a person, is over.
///
/// # Errors
/// [`ServiceError::NotFound`] for an unknown connection, [`ServiceError::SignIn`] for the first check that fails.
pub async fn receive(
    portcullis: &Portcullis,
    called: ConnectionId,
    token: &str,
    visitor: &Visitor,
) -> Result<(), ServiceError> {
    sign_in::admit_source(portcullis, visitor.source)?;
    let connection = sign_in::find_connection(portcullis, called, ConnectionKind::Oidc).await?;
    let result = carry_out(portcullis, &connection, token, visitor).await;
    match &result {
        Ok(()) => sign_in::take_back_source(portcullis, visitor.source),
        Err(error) => {
            let step = json!({ "step": "logout" });
            sign_in::note_trace(portcullis, &connection, Some(visitor.request), error, step);
        }
    }
    result
}

async fn carry_out(
    portcullis: &Portcullis,
    of: &Connection,
    token: &str,
    visitor: &Visitor,
) -> Result<(), ServiceError> {
    let providers = &portcullis.door().providers;
    let metadata = providers.metadata(portcullis, of).await?;
    let logout = providers.verify_logout(portcullis, of, &metadata, (token, visitor.source)).await?;
    end_sessions(portcullis, of, logout, visitor.request).await
}

/// Ends the sessions that a verified token is about, and what is on its way to be one. A token that comes twice is refused.
async fn end_sessions(
    portcullis: &Portcullis,
    of: &Connection,
    logout: Logout,
    request: RequestId,
) -> Result<(), ServiceError> {
    let of = of.clone();
    let used = hash(&format!("logout {}", logout.jti));
    let subject = logout.subject.as_deref().map(hash);
    let session = logout.session_id.as_deref().map(hash);
    portcullis
        .write(Priority::OffBoarding, move |tx, moment| {
            tx.lock(Lock::Organization(of.organization))?;
            let until = (moment.now, Timestamp::from_seconds(logout.replay_until_s));
            if !replay::use_up(tx, of.id, &used, until)? {
                return Err(SignInRefusal::Replayed.into());
            }
            let over = Over {
                subject_hash: subject.as_deref().unwrap_or_default(),
                session_hash: session.as_deref().unwrap_or_default(),
            };
            ending::note(tx, of.id, over, (moment.now, moment.now.plus_s(OVER_FOR_S)))?;
            loop {
                let ending = named(tx, of.id, (subject.as_deref(), session.as_deref()))?;
                if ending.is_empty() {
                    return Ok(());
                }
                for token in ending {
                    end_by_provider(tx, moment, &of, token, request)?;
                    oidc_session::delete(tx, token)?;
                }
            }
        })
        .await
}

/// The next of the sessions that a provider names.
fn named(
    tx: &mut Tx<'_>,
    of: ConnectionId,
    (subject, session): (Option<&str>, Option<&str>),
) -> Result<Vec<TokenId>, ServiceError> {
    let named = match (subject, session) {
        (Some(subject), Some(session)) => Named::SubjectAndSession(subject, session),
        (Some(subject), None) => Named::Subject(subject),
        (None, Some(session)) => Named::Session(session),
        (None, None) => return Ok(Vec::new()),
    };
    Ok(oidc_session::of(tx, of, named)?.into_iter().map(|s| s.token).collect())
}

/// Where the browser of somebody who signed out goes, to end the provider's session too, if the connection wants that and
/// the provider knows how. If it does not, or cannot be asked, ours has ended all the same.
pub(crate) async fn ask(portcullis: &Portcullis, session: OidcSession) -> Option<Url> {
    let setup = Setup::load(portcullis, session.connection).await.ok()?;
    if !setup.view.settings.end_session {
        return None;
    }
    let around = portcullis.around();
    let metadata = portcullis.door().providers.metadata(portcullis, &setup.connection);
    let endpoint = metadata.await.ok()?.end_session_endpoint.clone()?;
    let place = hint_place(&setup.connection, &session.subject_hash);
    // What cannot be opened here is another provider's, which had this one's place when the session began.
    let hint = session.hint_sealed.map(|sealed| opened(&around.sealing, &place, &sealed));
    let hint = hint.transpose().ok()?;
    let state = State::from_stored(&handle(&mut portcullis.moment().random));
    note(portcullis, session.connection, (state.expose(), "")).await?;
    let request = EndSession {
        client_id: &setup.connection.client_id,
        id_token_hint: hint.as_deref(),
        post_logout_redirect_uri: &signed_out_uri(portcullis, session.connection),
        state: &state,
    };
    Some(request.url(&endpoint))
}

/// Takes a browser back that was led to its provider. What comes back says nothing that is believed.
///
/// # Errors
/// [`ServiceError::NotFound`] for an unknown connection, [`ServiceError::SignIn`] if nobody was led there from here.
pub async fn come_back(
    portcullis: &Portcullis,
    called: ConnectionId,
    (state, source): (Option<&str>, IpAddr),
) -> Result<(), ServiceError> {
    sign_in::admit_source(portcullis, source)?;
    let of = sign_in::find_connection(portcullis, called, ConnectionKind::Oidc).await?;
    asked(portcullis, of.id, state).await.map(|_| ())
}
