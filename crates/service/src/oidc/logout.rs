//! The end of sessions at an OpenID provider (OpenID Connect Back-Channel Logout 1.0): it tells us by itself, and what
//! it names ends here before it is answered.
//!
//! An answer says that it was done and nothing more: not whether anybody was signed in.

use portcullis_domain::Timestamp;
use portcullis_domain::connection::{Connection, ConnectionKind};
use portcullis_domain::id::{ConnectionId, RequestId, TokenId};
use portcullis_domain::secret::SecretHash;
use portcullis_oidc::claims::IdentityClaims;
use portcullis_oidc::logout_token::Logout;
use portcullis_store::oidc_session::{self, Named, OidcSession};
use portcullis_store::{Priority, Tx, replay};
use serde_json::json;

use crate::refusal::SignInRefusal;
use crate::session::end_by_provider;
use crate::sign_in::{self, Visitor};
use crate::{Portcullis, ServiceError};

/// Whom a provider means by a session: its own names for the person and for its session, hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSession {
    subject_hash: String,
    /// Empty if the provider names no session.
    session_hash: String,
}

fn hash(text: &str) -> String {
    SecretHash::of(text).as_str().to_owned()
}

impl ProviderSession {
    /// What proven claims say of it.
    #[must_use]
    pub fn of(claims: &IdentityClaims) -> Self {
        Self::named(claims.sub(), claims.session_id())
    }

    /// The session by the provider's name for the person and, if it has one, for the session.
    #[must_use]
    pub fn named(subject: &str, session: Option<&str>) -> Self {
        Self { subject_hash: hash(subject), session_hash: session.map(hash).unwrap_or_default() }
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
    let result = carry_out(portcullis, &connection, token, visitor.request).await;
    match &result {
        Ok(()) => sign_in::take_back_source(portcullis, visitor.source),
        Err(error) => {
            let step = json!({ "step": "logout" });
            sign_in::note_trace(portcullis, &connection, "", Some(visitor.request), error, step);
        }
    }
    result
}

async fn carry_out(
    portcullis: &Portcullis,
    of: &Connection,
    token: &str,
    request: RequestId,
) -> Result<(), ServiceError> {
    let (fetch, insecure) = (&*portcullis.around().fetch, portcullis.around().limits.plain_http);
    let (providers, now) = (&portcullis.door().providers, portcullis.now());
    let metadata = providers.metadata(fetch, of, insecure, now).await?;
    let logout = providers.verify_logout(fetch, of, &metadata, (token, now)).await?;
    end_sessions(portcullis, of, logout, request).await
}

/// Ends the sessions that a verified token is about. A token that comes twice is refused.
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
            let until = (moment.now, Timestamp::from_seconds(logout.replay_until_s));
            if !replay::use_up(tx, of.id, &used, until)? {
                return Err(SignInRefusal::Replayed.into());
            }
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
