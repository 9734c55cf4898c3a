//! The end of sessions across both sides (SAML Profiles §4.4): what a provider asks of us, and what we ask of it.
//!
//! Only signed messages count. Our own session ends first, whatever becomes of the provider's. An answer says that it
//! was done and nothing more: not whether anybody was signed in.

use portcullis_domain::Timestamp;
use portcullis_domain::connection::Connection;
use portcullis_domain::id::{ConnectionId, RequestId, TokenId};
use portcullis_domain::saml::{CertificateState, SamlCertificate, SamlSettings};
use portcullis_domain::secret::SecretHash;
use portcullis_saml::binding::{FormMessage, Incoming, MessageKind, Outgoing, QueryMessage};
use portcullis_saml::key::OwnKey;
use portcullis_saml::logout::{
    Farewell, LogoutOutcome, LogoutRequest, LogoutRules, answered_request, send_request, send_response,
    verify_request, verify_response,
};
use portcullis_saml::refusal::Refusal as SamlRefusal;
use portcullis_saml::response::{CbcEncryption, Identity};
use portcullis_saml::subject::{NameId, NameIdFormat};
use portcullis_store::db::Lock;
use portcullis_store::ending::{self, Over};
use portcullis_store::saml_session::{self, SamlSession};
use portcullis_store::{Priority, Tx, replay, saml};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::form_urlencoded;

use super::trust::verified;
use super::{Setup, binding, broken, message_id};
use crate::error::inconsistent;
use crate::refusal::SignInRefusal;
use crate::session::end_by_provider;
use crate::sign_in::{self, OVER_FOR_S, Visitor, settings_hash};
use crate::sign_out::{asked, note};
use crate::{Moment, Portcullis, ServiceError};

/// Whom a provider means by a session: its own name for the person, to be sent back as it came, and for the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderSession {
    name: Option<Name>,
    index: Option<String>,
    /// The certificate whose signature was believed.
    signed_by: String,
    /// What was set of the connection then, as a hash.
    settings_hash: String,
    /// When the provider wants the session to have ended.
    pub not_after: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Name {
    value: String,
    format: String,
    qualifier: Option<String>,
    our_qualifier: Option<String>,
}

impl Name {
    fn of(name: &NameId) -> Self {
        Self {
            value: name.value.clone(),
            format: name.format.uri().to_owned(),
            qualifier: name.name_qualifier.clone(),
            our_qualifier: name.sp_name_qualifier.clone(),
        }
    }

    /// The names that a request may mean: as it says; and where it names sessions, with every format if it says none, and
    /// without one if it says some. Providers leave out here what they write in assertions, and the other way round.
    fn meant_by(name: &NameId, indexes: &[String]) -> Vec<Self> {
        let said = Self::of(name);
        if indexes.is_empty() {
            return vec![said];
        }
        let formats = match name.format {
            NameIdFormat::Unspecified => NameIdFormat::NAMED,
            _ => &[NameIdFormat::Unspecified],
        };
        let otherwise = formats.iter().map(|f| Self { format: f.uri().to_owned(), ..said.clone() });
        std::iter::once(said.clone()).chain(otherwise).collect()
    }

    fn name_id(self) -> NameId {
        NameId {
            value: self.value,
            format: NameIdFormat::from_uri(&self.format),
            name_qualifier: self.qualifier,
            sp_name_qualifier: self.our_qualifier,
        }
    }

    /// What it is found by; qualifiers are left out now and then, so they are compared afterwards.
    fn hash(&self) -> String {
        SecretHash::of(&json!([self.value, self.format]).to_string()).as_str().to_owned()
    }
}

impl ProviderSession {
    /// What an identity says of it that was verified under these settings.
    ///
    /// # Errors
    /// [`ServiceError::Fault`] if the settings cannot be written down.
    pub fn of(identity: &Identity, settings: &SamlSettings) -> Result<Self, ServiceError> {
        Ok(Self {
            name: identity.name_id().map(Name::of),
            index: identity.session_index().map(str::to_owned),
            signed_by: hex::encode(identity.signed_by_sha256()),
            settings_hash: settings_hash(settings)?,
            not_after: identity.session_not_on_or_after_s().map(Timestamp::from_seconds),
        })
    }

    /// The fingerprint of the certificate whose signature was believed.
    #[must_use]
    pub fn signed_by(&self) -> &str {
        &self.signed_by
    }

    /// Whether the certificate that was believed still counts, and what was set then still is.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn is_believed(&self, tx: &mut Tx<'_>, of: &Connection) -> Result<bool, ServiceError> {
        let Some(source) = saml::source(tx, of.organization, of.id)? else { return Ok(false) };
        let known = saml::certificates(tx, of.organization, of.id)?;
        let counts =
            |c: &SamlCertificate| c.fingerprint == self.signed_by && c.state == CertificateState::Trusted;
        Ok(known.iter().any(counts) && settings_hash(&source.settings)? == self.settings_hash)
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
        // A provider that names nobody cannot speak of the session.
        let Some(name) = &self.name else { return Ok(false) };
        let (subject_hash, session_hash) = (name.hash(), hash_of_index(self.index.as_deref()));
        let session = Over { subject_hash: &subject_hash, session_hash: &session_hash };
        Ok(ending::is_over(tx, of.id, session, (begun_at, now))?)
    }

    /// Notes that our session `token`, which ends at `expires_at` in any case, is the one that the provider means so, and
    /// that the certificate let it in.
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
        let name_id = serde_json::to_string(&self.name).map_err(|e| ServiceError::fault("a name", e))?;
        let session = SamlSession {
            token,
            connection: of.id,
            // A provider that names nobody cannot speak of the session later.
            name_hash: self.name.as_ref().map(Name::hash).unwrap_or_default(),
            name_id,
            session_index: self.index.clone(),
            expires_at,
            signed_by: self.signed_by.clone(),
        };
        Ok(saml_session::insert(tx, &session, now)?)
    }
}

/// The hash of a provider's name for a session; empty if there is none.
fn hash_of_index(index: Option<&str>) -> String {
    index.map(|index| SecretHash::of(index).as_str().to_owned()).unwrap_or_default()
}

/// A message as it came.
pub enum Came {
    /// As the body of a form.
    Form(Vec<u8>),
    /// As the query of a redirect, octet for octet.
    Query(String),
}

impl Came {
    /// Whether it calls itself an answer to a request of ours.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        let text = match self {
            Self::Form(body) => body.as_slice(),
            Self::Query(query) => query.as_bytes(),
        };
        form_urlencoded::parse(text).any(|(name, _)| name == "SAMLResponse")
    }
}

enum Message {
    Form(FormMessage),
    Query(QueryMessage),
}

impl Message {
    fn parse(came: &Came) -> Result<Self, ServiceError> {
        let parsed = match came {
            Came::Form(body) => FormMessage::parse(body).map(Self::Form),
            Came::Query(query) => QueryMessage::parse(query).map(Self::Query),
        };
        parsed.map_err(|e| broken(&SamlRefusal::from(e)))
    }

    fn incoming(&self) -> Incoming<'_> {
        match self {
            Self::Form(form) => Incoming::Form(form),
            Self::Query(query) => Incoming::Query(query),
        }
    }

    fn kind(&self) -> MessageKind {
        match self {
            Self::Form(form) => form.kind(),
            Self::Query(query) => query.kind(),
        }
    }

    fn relay_state(&self) -> Option<&str> {
        match self {
            Self::Form(form) => form.relay_state(),
            Self::Query(query) => query.relay_state(),
        }
    }
}

/// What follows from a provider's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// The provider's request was carried out: this goes back.
    Back(Outgoing),
    /// The provider's request was carried out; it has nowhere to take an answer.
    Done,
    /// The provider answered a request of ours.
    Over(LogoutOutcome),
}

/// Takes a provider's message about the end of a session.
///
/// # Errors
/// [`ServiceError::NotFound`] for an unknown connection, [`ServiceError::SignIn`] for the first check that fails.
pub async fn receive(
    portcullis: &Portcullis,
    called: ConnectionId,
    came: &Came,
    visitor: &Visitor,
) -> Result<Answered, ServiceError> {
    sign_in::admit_source(portcullis, visitor.source)?;
    let setup = Setup::load(portcullis, called).await?;
    let connection = setup.connection.clone();
    match carry_out(portcullis, setup, came, visitor).await {
        Ok(answered) => {
            sign_in::take_back_source(portcullis, visitor.source);
            Ok(answered)
        }
        Err(Refused { error, back }) => {
            let step = json!({ "step": "logout" });
            sign_in::note_trace(portcullis, &connection, Some(visitor.request), &error, step);
            back.map(Answered::Back).ok_or(error)
        }
    }
}

/// A message that was refused.
struct Refused {
    error: ServiceError,
    /// What goes back, where the provider itself asked: it goes on with the other applications then.
    back: Option<Outgoing>,
}

impl From<ServiceError> for Refused {
    fn from(error: ServiceError) -> Self {
        Self { error, back: None }
    }
}

async fn carry_out(
    portcullis: &Portcullis,
    setup: Setup,
    came: &Came,
    visitor: &Visitor,
) -> Result<Answered, Refused> {
    let (message, now) = (Message::parse(came)?, portcullis.now());
    match message.kind() {
        MessageKind::Request => {
            let by = |setup: &Setup| {
                let keys = setup.keys_for(message.incoming())?;
                Ok(verify_request(message.incoming(), &rules(setup, &keys, now)))
            };
            let (setup, signed) = verified(portcullis, setup, visitor.source, by).await?;
            let back = |outcome| answer(portcullis, &setup, (signed.id(), message.relay_state()), outcome);
            let done = match signed.asks() {
                Ok(asked) => end_sessions(portcullis, &setup.connection, asked, visitor.request).await,
                Err(refusal) => Err(broken(refusal)),
            };
            match done {
                Ok(()) => Ok(back(LogoutOutcome::Success)?.map_or(Answered::Done, Answered::Back)),
                Err(error @ ServiceError::SignIn(_)) => {
                    Err(Refused { error, back: back(LogoutOutcome::Failed)? })
                }
                Err(error) => Err(error.into()),
            }
        }
        MessageKind::Response => {
            // A provider may leave the state out: the request that it answers has the same name.
            let said = message.relay_state().filter(|state| !state.is_empty()).map(str::to_owned);
            let state = said.or_else(|| answered_request(message.incoming()));
            let expected = asked(portcullis, setup.connection.id, state.as_deref()).await?;
            let by =
                |setup: &Setup| Ok(verify_response(message.incoming(), &expected, &rules(setup, &[], now)));
            let (_, outcome) = verified(portcullis, setup, visitor.source, by).await?;
            Ok(Answered::Over(outcome))
        }
    }
}

fn rules<'a>(setup: &'a Setup, keys: &'a [OwnKey], now: Timestamp) -> LogoutRules<'a> {
    let settings = &setup.view.source.settings;
    LogoutRules {
        idp_entity_id: &setup.connection.issuer,
        certificates: &setup.trusted,
        logout_url: &setup.at.logout,
        decryption_keys: keys,
        cbc: if settings.cbc { CbcEncryption::InsideSignedResponse } else { CbcEncryption::Refused },
        sha1_until_s: settings.sha1_until.map(Timestamp::seconds),
        skew_s: settings.skew_s,
        now_s: now.seconds(),
    }
}

/// Ends the sessions that a verified request is about, and what is on its way to be one. A request that comes twice is
/// refused.
async fn end_sessions(
    portcullis: &Portcullis,
    of: &Connection,
    asked: &LogoutRequest,
    request: RequestId,
) -> Result<(), ServiceError> {
    let (of, asked) = (of.clone(), asked.clone());
    portcullis
        .write(Priority::OffBoarding, move |tx, moment| {
            tx.lock(Lock::Organization(of.organization))?;
            let used = SecretHash::of(&format!("logout {}", asked.id())).as_str().to_owned();
            let until = (moment.now, Timestamp::from_seconds(asked.replay_until_s()));
            if !replay::use_up(tx, of.id, &used, until)? {
                return Err(SignInRefusal::Replayed.into());
            }
            for name in Name::meant_by(asked.name_id(), asked.session_indexes()) {
                let hash = name.hash();
                note_over(tx, moment, of.id, (&hash, asked.session_indexes()))?;
                let mut page = saml_session::of_name(tx, of.id, &hash, None)?;
                while let Some(last) = page.last().map(|session| session.token) {
                    for session in page {
                        if is_meant(&session, &asked)? {
                            end_by_provider(tx, moment, &of, session.token, request)?;
                            saml_session::delete(tx, session.token)?;
                        }
                    }
                    page = saml_session::of_name(tx, of.id, &hash, Some(last))?;
                }
            }
            Ok(())
        })
        .await
}

/// Whether a request means that session: its person by the whole name, and the session by its index or by none. One whose
/// index the provider never told may be any that it names. Where one of the two says no format, the session is named by
/// its index too.
fn is_meant(session: &SamlSession, asked: &LogoutRequest) -> Result<bool, ServiceError> {
    let named = asked.session_indexes();
    let (whole, meant) = (name_of(session)?.name_id(), asked.name_id());
    Ok(match &session.session_index {
        Some(index) if named.contains(index) => whole.is_same_but_for_format(meant),
        Some(_) => named.is_empty() && whole.is_same(meant),
        None => whole.is_same(meant),
    })
}

/// Notes what is over, for sign-ins that are on their way: these sessions of the person, or all if none is named.
fn note_over(
    tx: &mut Tx<'_>,
    moment: &Moment,
    of: ConnectionId,
    (name_hash, indexes): (&str, &[String]),
) -> Result<(), ServiceError> {
    let mut over: Vec<String> = indexes.iter().map(|index| hash_of_index(Some(index))).collect();
    if over.is_empty() {
        over.push(String::new());
    }
    for session_hash in &over {
        let over = Over { subject_hash: name_hash, session_hash };
        ending::note(tx, of, over, (moment.now, moment.now.plus_s(OVER_FOR_S)))?;
    }
    Ok(())
}

fn name_of(session: &SamlSession) -> Result<Name, ServiceError> {
    serde_json::from_str(&session.name_id).map_err(|e| inconsistent(format!("a name of a session: {e}")))
}

/// The answer to a request of the provider, if it takes any.
fn answer(
    portcullis: &Portcullis,
    setup: &Setup,
    (asked, relay_state): (&str, Option<&str>),
    outcome: LogoutOutcome,
) -> Result<Option<Outgoing>, ServiceError> {
    let Some(to) = &setup.view.source.provider.logout else { return Ok(None) };
    let mut moment = portcullis.moment();
    let farewell = Farewell {
        id: &message_id(&mut moment),
        now_s: moment.now.seconds(),
        sp_entity_id: &setup.connection.client_id,
        destination: to.response_location.as_deref().unwrap_or(&to.location),
        binding: binding(to.binding),
        relay_state,
    };
    let made = send_response(&farewell, asked, outcome, &setup.key()?);
    Ok(Some(made.map_err(|e| ServiceError::fault("an answer to a logout", e))?))
}

/// A request to the provider to end its session. If none can be made, ours has ended all the same.
pub(crate) async fn ask(portcullis: &Portcullis, session: SamlSession) -> Option<Outgoing> {
    let setup = Setup::load(portcullis, session.connection).await.ok()?;
    let to = setup.view.source.provider.logout.as_ref()?;
    // Another provider may have taken its place since, and is told nothing of what this one said.
    setup.view.trusted().find(|certificate| certificate.fingerprint == session.signed_by)?;
    let name = name_of(&session).ok()?;
    let mut moment = portcullis.moment();
    let id = message_id(&mut moment);
    note(portcullis, session.connection, (id.as_str(), id.as_str())).await?;
    let farewell = Farewell {
        id: &id,
        now_s: moment.now.seconds(),
        sp_entity_id: &setup.connection.client_id,
        destination: &to.location,
        binding: binding(to.binding),
        relay_state: Some(id.as_str()),
    };
    send_request(&farewell, &name.name_id(), session.session_index.as_deref(), &setup.key().ok()?).ok()
}
