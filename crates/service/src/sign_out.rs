//! Signing out: our sessions end, then the browser is led to the provider of the last one, to end that session too.
//!
//! Ours end first, whatever becomes of the provider's: a provider that cannot be asked holds nobody in.

use portcullis_domain::Random;
use portcullis_domain::id::{ConnectionId, RequestId};
use portcullis_domain::secret::SecretHash;
use portcullis_saml::binding::Outgoing;
use portcullis_store::oidc_session::{self, OidcSession};
use portcullis_store::saml_session::{self, SamlSession};
use portcullis_store::{Priority, Tx, farewell};
use url::Url;

use crate::refusal::SignInRefusal;
use crate::session::{self, SignOut};
use crate::{Portcullis, ServiceError, oidc, saml};

/// Seconds within which a browser comes back from a provider that was asked to end its session.
const GOOD_FOR_S: i64 = 600;

/// Sessions that a person ended here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOut {
    /// The browser's other sessions, for its cookie.
    pub kept: Vec<String>,
    /// Where the browser goes to end the provider's session too, if one of those that ended came by a provider.
    pub onward: Option<Onward>,
}

/// How a browser asks its provider to end a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onward {
    /// By a message of SAML.
    Saml(Outgoing),
    /// By a redirect to an OpenID provider.
    Oidc(Url),
}

/// Whom the provider means by a session that ended.
enum Left {
    Saml(SamlSession),
    Oidc(OidcSession),
}

/// Signs a person out: our sessions end, then the browser is told how to end the provider's.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn sign_out(
    portcullis: &Portcullis,
    presented: Vec<String>,
    which: SignOut,
    request: RequestId,
) -> Result<SignedOut, ServiceError> {
    // Whoever has no session here needs no writer, and could have it for the asking, before everybody else.
    let shown = presented.clone();
    if !portcullis.read(move |tx, now| session::has_any(tx, &shown, now)).await? {
        return Ok(SignedOut { kept: Vec::new(), onward: None });
    }
    let (kept, left) = portcullis
        .write(Priority::OffBoarding, move |tx, moment| {
            let session::Left { ended, kept } = session::sign_out(tx, moment, &presented, which, request)?;
            let mut left = None;
            for token in ended {
                let found = match saml_session::find(tx, token)? {
                    Some(found) => Some(Left::Saml(found)),
                    None => oidc_session::find(tx, token)?.map(Left::Oidc),
                };
                saml_session::delete(tx, token)?;
                oidc_session::delete(tx, token)?;
                // A browser can be sent to one provider; the first is the one that it signed in by last.
                left = left.or(found);
            }
            Ok((kept, left))
        })
        .await?;
    let onward = match left {
        Some(Left::Saml(session)) => saml::logout::ask(portcullis, session).await.map(Onward::Saml),
        Some(Left::Oidc(session)) => oidc::logout::ask(portcullis, session).await.map(Onward::Oidc),
        None => None,
    };
    Ok(SignedOut { kept, onward })
}

/// Notes a request that leaves for a provider, under its state. If that fails, ours has ended all the same.
pub(crate) async fn note(
    portcullis: &Portcullis,
    connection: ConnectionId,
    (state, request): (&str, &str),
) -> Option<()> {
    let asked = (SecretHash::of(state).as_str().to_owned(), request.to_owned());
    portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            let until = (moment.now, moment.now.plus_s(GOOD_FOR_S));
            Ok(farewell::ask(tx, connection, (&asked.0, &asked.1), until)?)
        })
        .await
        .ok()
}

/// The name of the request of ours that an answer with this state is about.
///
/// # Errors
/// [`ServiceError::SignIn`] if there is none, or it came too late.
pub(crate) async fn asked(
    portcullis: &Portcullis,
    connection: ConnectionId,
    state: Option<&str>,
) -> Result<String, ServiceError> {
    let hash = SecretHash::of(state.ok_or(SignInRefusal::State)?).as_str().to_owned();
    let taken = portcullis
        .write(Priority::Ordinary, move |tx: &mut Tx<'_>, moment| {
            Ok(farewell::take(tx, connection, &hash, moment.now)?)
        })
        .await?;
    Ok(taken.ok_or(SignInRefusal::State)?)
}

/// A fresh opaque value that a provider sends back: 64 hexadecimal digits, within the 80 bytes of SAML Bindings §3.4.3.
pub(crate) fn handle(random: &mut dyn Random) -> String {
    crate::sign_in::fresh_browser(random)
}
