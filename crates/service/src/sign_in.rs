//! Signing in by a connection: a browser leaves for its provider and comes back as somebody.
//!
//! Each protocol has its own way there and back: [`oidc`], [`mod@saml`]; which connection it is: [`choice`]; an answer
//! that came by a form: [`arriving`]. Here is what they share. A sign-in is tied to one
//! browser and one connection and is good once; only when the protocol has proven somebody, [`crate::recognition`] is
//! asked who it is. Each outcome leaves a trace; each refusal of a proven person an audit event.

pub mod arriving;
pub mod binding;
pub mod choice;
pub mod compared;
pub mod oidc;
mod once;
mod recording;
pub mod saml;

use std::net::IpAddr;

use portcullis_domain::connection::{Connection, ConnectionKind};
use portcullis_domain::id::{ConnectionId, MembershipId, RequestId, TokenId};
use portcullis_domain::secret::SecretHash;
use portcullis_domain::{Random, Timestamp};
use portcullis_saml::response::{MAX_AGE_S as MAX_ANSWER_AGE_S, MAX_SKEW_S};
use portcullis_store::{Priority, Tx, connection};
use serde::{Deserialize, Serialize};
use url::Url;

use self::binding::{Binding, Bound};
use self::once::Once;
use crate::claims::Arrival;
use crate::home::Homes;
use crate::noun::Noun;
use crate::password::Passwords;
use crate::refusal::SignInRefusal;
use crate::relying_party::Providers;
use crate::saml::trust::Readers;
use crate::session::{self, Opened};
use crate::throttle::{Allowance, Throttle, network};
use crate::{Portcullis, ServiceError, oidc as openid, recognition, saml as saml2};

pub(crate) use recording::note_trace;

/// Seconds within which a browser comes back from its provider.
pub const GOOD_FOR_S: i64 = 600;
/// The longest path that a sign-in leads back to, in bytes.
pub const MAX_RETURN_TO: usize = 512;
/// Seconds for which a provider's word that a session is over holds back sign-ins that began before: as long as one may
/// take, its way to the provider, its exchange and its arrival together. An answer of SAML that nobody asked for is taken
/// for longer than a browser has for its way.
pub(crate) const OVER_FOR_S: i64 = MAX_ANSWER_AGE_S + 2 * MAX_SKEW_S + arriving::ARRIVES_WITHIN_S + 180;
const _: () =
    assert!(MAX_ANSWER_AGE_S >= GOOD_FOR_S, "nothing that was begun outlives the memory of its end");
/// Sign-ins that one source may begin or come back from: ten a second, so that a whole office that comes in behind one
/// address at nine fits.
const PER_SOURCE: Allowance = Allowance { max_tries: 1_200, window_s: 60 };

/// What sign-in keeps in memory: nothing of it decides who is let in.
#[derive(Default)]
pub struct Door {
    /// Identity providers.
    pub providers: Providers,
    /// How often something was tried that a stranger may for next to nothing.
    pub throttle: Throttle,
    /// How often passwords were tried. Apart, so that nothing cheap makes room for more of them.
    pub tries: Throttle,
    /// Where people signed in by password not long ago.
    pub homes: Homes,
    /// Where passwords are hashed.
    pub passwords: Passwords,
    /// Who reads providers' metadata of SAML now.
    pub(crate) readers: Readers,
}

/// Whom a provider means by a session, so that it can speak of it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProviderSession {
    /// In SAML's words.
    Saml(saml2::logout::ProviderSession),
    /// In OpenID's words.
    Oidc(openid::logout::ProviderSession),
}

impl ProviderSession {
    /// When the provider wants the session to have ended.
    #[must_use]
    pub const fn not_after(&self) -> Option<Timestamp> {
        match self {
            Self::Saml(session) => session.not_after,
            Self::Oidc(_) => None,
        }
    }

    /// The fingerprint of the certificate by which the provider was believed; empty where it has none.
    #[must_use]
    pub fn signed_by(&self) -> &str {
        match self {
            Self::Saml(session) => session.signed_by(),
            Self::Oidc(_) => "",
        }
    }

    /// Whether what made us believe the provider still counts: what an administrator set, and of SAML the certificate. An ID
    /// token is verified at the moment of its use.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn is_believed(&self, tx: &mut Tx<'_>, of: &Connection) -> Result<bool, ServiceError> {
        match self {
            Self::Saml(session) => session.is_believed(tx, of),
            Self::Oidc(session) => session.is_believed(tx, of),
        }
    }

    /// Whether the provider said that the session is over after a sign-in with it began, and that still counts; at these
    /// times.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn is_over(
        &self,
        tx: &mut Tx<'_>,
        of: &Connection,
        at: (Timestamp, Timestamp),
    ) -> Result<bool, ServiceError> {
        match self {
            Self::Saml(session) => session.is_over(tx, of, at),
            Self::Oidc(session) => session.is_over(tx, of, at),
        }
    }

    /// Notes that our session, which ends at that time in any case, is the one that the provider means so.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn keep(
        &self,
        tx: &mut Tx<'_>,
        of: &Connection,
        ours: (TokenId, Timestamp),
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        match self {
            Self::Saml(session) => session.keep(tx, of, ours, now),
            Self::Oidc(session) => session.keep(tx, of, ours, now),
        }
    }
}

/// With which account somebody signs in who has several at their provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whom {
    /// The one that the provider takes.
    #[default]
    Usual,
    /// The one that the person chooses there, where the protocol has a word for that. The last one was refused.
    Chosen,
}

/// What a browser wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Where it goes afterwards, a path of ours.
    pub return_to: Option<String>,
    /// The address that the person typed.
    pub login_hint: Option<String>,
    /// With which account at the provider.
    pub account: Whom,
    /// The membership that links a new subject from its own session; the caller has proven the session.
    pub linking: Option<MembershipId>,
    /// What binds answers by a redirect in this browser already.
    pub returning: Bound,
    /// What binds answers by a form in this browser already.
    pub crossing: Bound,
    /// Where it calls from.
    pub source: IpAddr,
}

/// A sign-in that was begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Where the browser goes.
    pub location: Url,
    /// What binds the browser.
    pub binding: Binding,
}

/// A sign-in that came to its end.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The session.
    pub session: Opened,
    /// Where the browser goes.
    pub return_to: String,
}

/// A sign-in that was refused.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: ServiceError,
    /// Where the browser would have gone, where it is known.
    pub return_to: Option<String>,
}

impl From<ServiceError> for Refused {
    fn from(error: ServiceError) -> Self {
        Self { error, return_to: None }
    }
}

/// Who comes back: which browser, from where, in which request.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The value that binds the browser to pages of ours.
    pub browser: Option<String>,
    /// What binds it to sign-ins that come back the way that this one came.
    pub bound: Bound,
    /// The session secrets that it holds.
    pub presented: Vec<String>,
    /// Where it calls from.
    pub source: IpAddr,
    /// The request.
    pub request: RequestId,
}

/// A path of ours that a browser may be led to: `/` alone, or `/` and a letter or digit, so that no browser reads
/// another host in it.
///
/// # Errors
/// [`ServiceError::Invalid`].
pub fn return_path(text: Option<&str>) -> Result<String, ServiceError> {
    let Some(text) = text.filter(|t| !t.is_empty() && *t != "/") else { return Ok("/".to_owned()) };
    let mut chars = text.chars();
    let begins = chars.next() == Some('/') && chars.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if begins && plain && text.len() <= MAX_RETURN_TO {
        return Ok(text.to_owned());
    }
    Err(ServiceError::invalid(
        "return_to",
        "must be a path of this server that begins with `/` and a letter or digit",
    ))
}

/// A fresh value that binds a browser: 64 hexadecimal digits.
pub fn fresh_browser(random: &mut dyn Random) -> String {
    let mut bytes = [0_u8; 32];
    random.fill(&mut bytes);
    hex::encode(bytes)
}

/// Whether a text can be such a value.
#[must_use]
pub fn is_browser(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn thirty_two(random: &mut dyn Random) -> [u8; 32] {
    let mut bytes = [0_u8; 32];
    random.fill(&mut bytes);
    bytes
}

/// The connection that a URL of that protocol names.
pub(crate) async fn find_connection(
    portcullis: &Portcullis,
    id: ConnectionId,
    kind: ConnectionKind,
) -> Result<Connection, ServiceError> {
    portcullis.read(move |tx, _| named(tx, id, kind)).await
}

/// The connection of that protocol, or none.
pub(crate) fn named(
    tx: &mut Tx<'_>,
    id: ConnectionId,
    kind: ConnectionKind,
) -> Result<Connection, ServiceError> {
    let found = connection::find_by_id(tx, id)?;
    found.filter(|c| c.kind == kind).ok_or(ServiceError::NotFound(Noun::Connection))
}

/// The membership of whoever has one of these sessions in a connection's organization: who links the connection, or has
/// signed in meanwhile.
///
/// # Errors
/// [`ServiceError::NotFound`] for an unknown connection; [`SignInRefusal::LinkingSessionOver`] where no session is of there,
/// and worth anything there.
pub async fn own_membership(
    portcullis: &Portcullis,
    id: ConnectionId,
    presented: Vec<String>,
) -> Result<MembershipId, ServiceError> {
    portcullis
        .read(move |tx, now| {
            let found = connection::find_by_id(tx, id)?.ok_or(ServiceError::NotFound(Noun::Connection))?;
            let own = session::linking(tx, &presented, (&found, None), now)?;
            Ok(own.ok_or(SignInRefusal::LinkingSessionOver)?.membership)
        })
        .await
}

/// Counts a call of a source, whichever protocol and step it is.
///
/// # Errors
/// [`ServiceError::TooMany`].
pub fn admit_source(portcullis: &Portcullis, source: IpAddr) -> Result<(), ServiceError> {
    portcullis.door().throttle.admit(&format!("sso/{}", network(source)), PER_SOURCE, portcullis.now())
}

/// Takes back the count of a call that a provider had signed: it ends the sessions of a whole company from one address,
/// and every one that is refused for its number would live on.
pub(crate) fn take_back_source(portcullis: &Portcullis, source: IpAddr) {
    portcullis.door().throttle.take_back(&format!("sso/{}", network(source)));
}

/// What an administrator set of a connection in its protocol, as one hash: under what its provider was believed.
pub(crate) fn settings_hash(settings: &impl Serialize) -> Result<String, ServiceError> {
    let text = serde_json::to_string(settings).map_err(|e| ServiceError::fault("settings", e))?;
    Ok(SecretHash::of(&text).as_str().to_owned())
}

/// The provider of a connection and who we are there, as one hash: whom a sign-in that left for it comes back from.
pub(crate) fn provider_hash(of: &Connection) -> String {
    // The length tells where one ends and the other begins.
    let text = format!("{} {} {}", of.issuer.len(), of.issuer, of.client_id);
    SecretHash::of(&text).as_str().to_owned()
}

/// A sign-in that a proven person's browser began.
#[derive(Debug, Clone, Copy)]
struct Underway {
    /// The membership that links a new subject from its own session.
    linking: Option<MembershipId>,
    /// When it began: what the provider said is over since then opens nothing.
    begun_at: Timestamp,
}

/// Lets in whom a provider has proven, or says why not; what the browser came with is used up in the same transaction.
async fn admit(
    portcullis: &Portcullis,
    (arrival, session): (Arrival, ProviderSession),
    (underway, once): (Underway, Option<Once>),
    visitor: Visitor,
) -> Result<Opened, ServiceError> {
    let limits = portcullis.around().limits;
    portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            if let Some(once) = &once {
                once.use_up(tx, arrival.connection.id)?;
            }
            let wish = recognition::Wish {
                arrival: &arrival,
                session: &session,
                linking: underway.linking,
                begun_at: underway.begun_at,
                presented: &visitor.presented,
                limits,
                request: visitor.request,
            };
            recognition::admit(tx, moment, &wish)
        })
        .await?
        .map_err(ServiceError::from)
}
