//! An administrator's consent: they leave for Google from a page of ours, and come back with a right to read.
//!
//! Whoever consents decides whose people are in a directory, so nobody does by a link alone: the page that leaves for
//! Google takes the session of a member who may write directories and reaches what this one gives, and the way back is
//! good for that member in that browser only. A scanner that opens either address uses nothing up. What Google answers
//! is taken only if it is the consent of the Workspace that the directory names, to read, and to all four lists
//! (`answer`).

mod answer;

use std::net::IpAddr;

use portcullis_domain::Refusal;
use portcullis_domain::cause::{Actor, Cause, CauseKind};
use portcullis_domain::directory::Directory;
use portcullis_domain::google::{ConsentClient, ConsentGiven, GoogleRight, GoogleSource};
use portcullis_domain::id::{DirectoryId, MembershipId, RequestId, TokenId};
use portcullis_domain::permission::Permission;
use portcullis_domain::secret::SecretHash;
use portcullis_domain::{Random, Timestamp};
use portcullis_oidc::callback::Callback;
use portcullis_oidc::pkce::CodeVerifier;
use portcullis_oidc::request::{Nonce, State};
use portcullis_store::consent::{self, ConsentBegun};
use portcullis_store::{Priority, Tx};
use secrecy::ExposeSecret;
use serde_json::json;
use thiserror::Error;
use url::Url;

use self::answer::{Answered, judge};
use super::bearer::{FORM, Way, form, refresh_place};
use super::failure::PollFailure;
use super::key;
use crate::caller::{Caller, Member, authenticate};
use crate::directory;
use crate::fetch::FetchRequest;
use crate::noun::Noun;
use crate::sign_in::{Visitor, is_browser};
use crate::throttle::{Allowance, network};
use crate::token_use::TokenUses;
use crate::trace::TraceDraft;
use crate::{Moment, Portcullis, ServiceError, Surroundings};

/// Seconds within which a browser comes back from Google: an administrator may have to sign in there, twice.
pub const GOOD_FOR_S: i64 = 1200;
/// Where the page is that asks; the directory's id follows.
pub const PAGE: &str = "/google/consent/";
/// Where Google sends browsers back to: what the OAuth client must name as its redirect URI.
pub const CALLBACK: &str = "/google/consent/callback";
/// Scopes beside those of the directory: who it is that consents.
const WHO: [&str; 2] = ["openid", "email"];
/// Consents that one source may begin or come back from.
const PER_SOURCE: Allowance = Allowance { max_tries: 120, window_s: 60 };
/// How many expired consents each new one sweeps away.
const SWEPT_AT_ONCE: i64 = 8;
/// Milliseconds for a withdrawal: whoever deletes a directory waits for it.
const WITHDRAW_TIMEOUT_MS: u64 = 10_000;
const NOUN: Noun = Noun::Directory;

/// Why a consent was not taken. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConsentRefusal {
    /// The way back is not one of this browser and member.
    #[error("this consent was not begun in this browser, was finished already, or took too long")]
    State,
    /// The directory's client or Workspace was changed meanwhile.
    #[error("the directory was changed meanwhile")]
    Changed,
    /// Google said no, or the administrator did.
    #[error("Google answered `{0}`")]
    Declined(String),
    /// Another Workspace's administrator consented.
    #[error("the account is of `{met}`, and this directory is the one of `{expected}`")]
    OtherCustomer {
        /// Whose this directory is.
        expected: String,
        /// Whose the account is.
        met: String,
    },
    /// Less was consented to than is needed, or more than is asked for.
    #[error("{0}")]
    Scopes(String),
    /// Google gave nothing that lasts.
    #[error("Google gave no refresh token")]
    NotOffline,
    /// Google's answer cannot be used.
    #[error("{message}")]
    Google {
        /// The code of a poll that fails so.
        code: &'static str,
        /// The same in words.
        message: String,
    },
}

impl ConsentRefusal {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::State => "consent_state",
            Self::Changed => "consent_changed",
            Self::Declined(_) => "consent_declined",
            Self::OtherCustomer { .. } => "consent_other_customer",
            Self::Scopes(_) => "consent_scopes",
            Self::NotOffline => "consent_not_offline",
            Self::Google { .. } => "consent_failed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::State | Self::Changed => {
                "Open the link of the directory again, in the browser where you are signed in."
            }
            Self::Declined(_) => {
                "Consent as an administrator. If Google blocks the app, allow it in the Admin console under API controls."
            }
            Self::OtherCustomer { .. } => {
                "Choose an administrator's account of that Workspace, or change `hosted_domain` of the directory."
            }
            Self::Scopes(_) => {
                "Begin again and leave every box ticked; use an OAuth client of this directory's own."
            }
            Self::NotOffline => {
                "Remove the app under https://myaccount.google.com/connections, then begin again."
            }
            Self::Google { code, .. } => super::advice(code),
        }
    }
}

impl From<PollFailure> for ConsentRefusal {
    fn from(failure: PollFailure) -> Self {
        Self::Google { code: failure.code(), message: failure.to_string() }
    }
}

/// What a consent is about, for the page that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// The directory's name.
    pub directory: String,
    /// The Workspace whose administrator is asked.
    pub hosted_domain: String,
    /// Who consented before, if somebody did.
    pub given_by: Option<String>,
}

/// A consent that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The directory's name.
    pub directory: String,
    /// The account that consented.
    pub by: String,
}

/// Where an administrator consents for a directory.
#[must_use]
pub fn link(around: &Surroundings, directory: DirectoryId) -> String {
    around.url(&format!("{PAGE}{directory}"))
}

/// What the OAuth client must name as its redirect URI.
#[must_use]
pub fn redirect_uri(around: &Surroundings) -> String {
    around.url(CALLBACK)
}

/// Whether the consent of `was` is not used any more by `is`.
pub(super) fn is_left_behind(was: &GoogleSource, is: &GoogleSource) -> bool {
    let given = |source: &GoogleSource| match &source.right {
        GoogleRight::Consent(client) => client.given.is_some(),
        GoogleRight::Key(_) | GoogleRight::Workload(_) => false,
    };
    given(was) && !given(is)
}

/// A member at the door of a directory that is asked by consent.
struct Door {
    member: Member,
    secret: String,
    directory: Directory,
    source: GoogleSource,
    client: ConsentClient,
}

impl Door {
    /// The member of these sessions who may let Google be asked for that directory.
    ///
    /// # Errors
    /// [`ServiceError::Unauthenticated`] without any session; [`ServiceError::NotFound`] where none is of the
    /// directory's organization; [`Refusal::OutsideEnvironment`] where those that are of it are for another environment than
    /// `production`; [`ServiceError::Forbidden`] and [`Refusal::AboveOwnRank`].
    fn find(
        tx: &mut Tx<'_>,
        uses: &TokenUses,
        (presented, id): (&[String], DirectoryId),
        now: Timestamp,
    ) -> Result<Self, ServiceError> {
        let mut known = false;
        let mut elsewhere = false;
        for secret in presented {
            let member = match authenticate(tx, uses, secret, now) {
                Ok(Caller::Member(member)) => member,
                Ok(Caller::Root | Caller::Service { .. }) | Err(ServiceError::Unauthenticated) => continue,
                Err(fault) => return Err(fault),
            };
            known = true;
            let found = match directory::find(tx, member.organization, id) {
                Err(ServiceError::NotFound(NOUN)) => continue,
                found => found?,
            };
            let caller = Caller::Member(member.clone());
            match caller.may(Permission::DirectoriesWrite, found.organization) {
                // Another session of the same browser may be good for the whole organization.
                Err(ServiceError::Refused(Refusal::OutsideEnvironment)) => {
                    elsewhere = true;
                    continue;
                }
                may => may?,
            }
            directory::may_speak_for(tx, &caller, &found)?;
            let source = super::source_of(tx, &found)?;
            let GoogleRight::Consent(client) = source.right.clone() else {
                return Err(ServiceError::invalid(NOUN.as_str(), "is not asked by consent"));
            };
            return Ok(Self { member, secret: secret.clone(), directory: found, source, client });
        }
        Err(match (elsewhere, known) {
            (true, _) => Refusal::OutsideEnvironment.into(),
            (false, true) => ServiceError::NotFound(NOUN),
            (false, false) => ServiceError::Unauthenticated,
        })
    }
}

/// What a consent would be about. Nothing is begun by looking.
///
/// # Errors
/// As [`begin`].
pub async fn look(
    portcullis: &Portcullis,
    directory: DirectoryId,
    visitor: &Visitor,
) -> Result<Asking, ServiceError> {
    let presented = visitor.presented.clone();
    let product = portcullis.clone();
    let found = move |tx: &mut Tx<'_>, now| Door::find(tx, product.uses(), (&presented, directory), now);
    let door = portcullis.read(found).await?;
    Ok(Asking {
        directory: door.directory.name,
        hosted_domain: door.client.hosted_domain,
        given_by: door.client.given.map(|given| given.by),
    })
}

fn admit(portcullis: &Portcullis, source: IpAddr) -> Result<(), ServiceError> {
    portcullis.door().throttle.admit(&format!("consent/{}", network(source)), PER_SOURCE, portcullis.now())
}

fn thirty_two(random: &mut dyn Random) -> [u8; 32] {
    let mut bytes = [0_u8; 32];
    random.fill(&mut bytes);
    bytes
}

fn hash(text: &str) -> String {
    SecretHash::of(text).as_str().to_owned()
}

fn verifier_place(state_hash: &str) -> String {
    format!("consents.verifier:{state_hash}")
}

/// Begins a consent: the browser goes to Google, and only this member in this browser can come back from there.
///
/// # Errors
/// [`ServiceError::Unauthenticated`] without a session, [`ServiceError::NotFound`], [`ServiceError::Forbidden`],
/// [`portcullis_domain::Refusal::AboveOwnRank`], [`ServiceError::TooMany`].
pub async fn begin(
    portcullis: &Portcullis,
    directory: DirectoryId,
    visitor: &Visitor,
) -> Result<Url, ServiceError> {
    admit(portcullis, visitor.source)?;
    let browser = visitor.browser.clone().filter(|b| is_browser(b)).ok_or(ConsentRefusal::State)?;
    let presented = visitor.presented.clone();
    let product = portcullis.clone();
    let found = move |tx: &mut Tx<'_>, now| Door::find(tx, product.uses(), (&presented, directory), now);
    let door = portcullis.read(found).await?;
    let mut moment = portcullis.moment();
    let state = State::from_random(&thirty_two(&mut moment.random));
    let nonce = Nonce::from_random(&thirty_two(&mut moment.random));
    let verifier = CodeVerifier::from_random(&thirty_two(&mut moment.random));
    let state_hash = hash(state.expose());
    let sealed = portcullis.around().sealing.seal(
        &mut moment.random,
        &verifier_place(&state_hash),
        verifier.expose().as_bytes(),
    );
    let begun = ConsentBegun {
        verifier_sealed: sealed.map_err(|e| ServiceError::fault("a verifier", e))?,
        state_hash,
        browser_hash: hash(&browser),
        directory: door.directory.id,
        membership: door.member.membership,
        client_id: door.client.client_id.clone(),
        nonce: nonce.expose().to_owned(),
        created_at: moment.now,
        expires_at: moment.now.plus_s(GOOD_FOR_S),
    };
    portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            consent::delete_expired(tx, moment.now, SWEPT_AT_ONCE)?;
            Ok(consent::insert(tx, &begun)?)
        })
        .await?;
    let mut url = Url::parse(&portcullis.google().consent_url)
        .map_err(|_| ServiceError::Upstream("Google's address is none".to_owned()))?;
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &door.client.client_id)
        .append_pair("redirect_uri", &redirect_uri(portcullis.around()))
        .append_pair("scope", &WHO.iter().chain(&key::SCOPES).copied().collect::<Vec<_>>().join(" "))
        .append_pair("state", state.expose())
        .append_pair("nonce", nonce.expose())
        .append_pair("code_challenge", verifier.challenge().as_str())
        .append_pair("code_challenge_method", "S256")
        // A refresh token, each time anew, and no scopes of before.
        .append_pair("access_type", "offline")
        .append_pair("prompt", "consent")
        .append_pair("include_granted_scopes", "false")
        .append_pair("hd", &door.client.hosted_domain);
    Ok(url)
}

/// Completes a consent: what Google answered is judged, sealed, and used from now on.
///
/// # Errors
/// [`ServiceError::Consent`] for the first check that fails; as [`begin`].
pub async fn complete(portcullis: &Portcullis, query: &str, visitor: Visitor) -> Result<Taken, ServiceError> {
    admit(portcullis, visitor.source)?;
    let callback = Callback::parse(query).map_err(|_| ConsentRefusal::State)?;
    let begun = take(portcullis, callback.state(), visitor.browser.as_deref()).await?;
    let (presented, id) = (visitor.presented.clone(), begun.directory);
    let product = portcullis.clone();
    let found = move |tx: &mut Tx<'_>, now| Door::find(tx, product.uses(), (&presented, id), now);
    let door = portcullis.read(found).await?;
    if door.member.membership != begun.membership {
        return Err(ConsentRefusal::State.into());
    }
    let way = Way::new(portcullis);
    let judged = judge(portcullis, &way, &door, (callback, &begun)).await;
    let (organization, directory) = (door.directory.organization, door.directory.id);
    let (name, subject) = (door.directory.name.clone(), door.client.hosted_domain.clone());
    let taken = match judged {
        Ok(given) => {
            let by = given.by.clone();
            store(portcullis, door, given, visitor.request).await.map(|()| Taken { directory: name, by })
        }
        Err(refusal) => Err(refusal.into()),
    };
    let refused = taken.as_ref().err();
    portcullis.traces().note(TraceDraft {
        organization,
        kind: "directory",
        outcome: refused.map_or("ok", ServiceError::code).to_owned(),
        subject: "google consent".to_owned(),
        source: Some(directory.to_string()),
        request: Some(visitor.request),
        content: json!({
            "directory": directory,
            "hosted_domain": subject,
            "consented_by": taken.as_ref().ok().map(|t| &t.by),
            "message": refused.map(ToString::to_string),
            "advice": match refused {
                Some(ServiceError::Consent(refusal)) => Some(refusal.advice()),
                _ => None,
            },
        }),
        at: portcullis.now(),
    });
    taken
}

/// Takes the consent of the answer's state out, if it was begun in this browser. Whoever else comes with it uses
/// nothing up.
async fn take(
    portcullis: &Portcullis,
    state: Option<&str>,
    browser: Option<&str>,
) -> Result<ConsentBegun, ServiceError> {
    let (Some(state), Some(browser)) = (state, browser.filter(|b| is_browser(b))) else {
        return Err(ConsentRefusal::State.into());
    };
    let (state, browser) = (hash(state), hash(browser));
    let taken = portcullis
        .write(Priority::Ordinary, move |tx, _| Ok(consent::take(tx, &state, &browser)?))
        .await?
        .filter(|begun| portcullis.now() < begun.expires_at);
    Ok(taken.ok_or(ConsentRefusal::State)?)
}

/// Keeps a consent, if the member still may and nothing was changed meanwhile.
async fn store(
    portcullis: &Portcullis,
    door: Door,
    given: Answered,
    request: RequestId,
) -> Result<(), ServiceError> {
    let (sealing, before) = (std::sync::Arc::clone(&portcullis.around().sealing), door.client.given.clone());
    let (was, by) = (door.source.clone(), given.by.clone());
    let product = portcullis.clone();
    portcullis
        .write(Priority::Ordinary, move |tx, moment: &mut Moment| {
            let organization = door.directory.organization;
            tx.lock(portcullis_store::db::Lock::Organization(organization))?;
            let presented = std::slice::from_ref(&door.secret);
            let again = Door::find(tx, product.uses(), (presented, door.directory.id), moment.now)?;
            if again.source != door.source {
                return Err(ConsentRefusal::Changed.into());
            }
            let place = refresh_place(door.directory.id);
            let sealed = sealing.seal(&mut moment.random, &place, given.refresh.expose_secret().as_bytes());
            let refresh_sealed = sealed.map_err(|e| ServiceError::fault("a refresh token", e))?;
            let given = ConsentGiven { by: given.by.clone(), at: moment.now, refresh_sealed };
            let client = ConsentClient { given: Some(given), ..again.client };
            let is = GoogleSource {
                right: GoogleRight::Consent(client),
                updated_at: moment.now,
                ..door.source.clone()
            };
            let cause = cause((again.member.membership, again.member.token), request);
            super::set(tx, moment, (&door.source, is), cause)
        })
        .await?;
    if before.is_some_and(|before| before.by != by) {
        withdraw(portcullis, &was).await;
    }
    Ok(())
}

const fn cause((member, session): (MembershipId, TokenId), request: RequestId) -> Cause {
    Cause {
        kind: CauseKind::Console,
        actor: Actor::Membership(member),
        token: Some(session),
        request: Some(request),
        event: None,
        directory: None,
    }
}

/// Gives the consent of a source back to Google, if it has one: nothing here uses it any more. Tried once; what is
/// left standing at Google is of no use to anybody, because the refresh token is gone from here.
pub async fn withdraw(portcullis: &Portcullis, source: &GoogleSource) {
    let GoogleRight::Consent(ConsentClient { given: Some(given), .. }) = &source.right else {
        return;
    };
    let way = Way::new(portcullis);
    match way.opened(&refresh_place(source.directory), &given.refresh_sealed) {
        Ok(token) => revoke(portcullis, token.expose_secret()).await,
        Err(failure) => {
            tracing::warn!(directory.id = %source.directory, error.message = %failure, "a consent cannot be withdrawn");
        }
    }
}

/// Has Google forget a token, and the consent behind it (RFC 7009).
async fn revoke(portcullis: &Portcullis, token: &str) {
    let Ok(url) = Url::parse(&portcullis.google().revoke_url) else { return };
    let body = form(&[("token", token)]).as_bytes().to_vec();
    let request =
        FetchRequest::post(url, body, 64 * 1024, WITHDRAW_TIMEOUT_MS).with_header("content-type", FORM);
    match portcullis.around().fetch.fetch(request).await {
        // 400: it was withdrawn at Google already.
        Ok(answer) if matches!(answer.status, 200 | 400) => {}
        Ok(answer) => tracing::warn!(http.status = answer.status, "Google did not withdraw a consent"),
        Err(error) => tracing::warn!(error.message = %error, "a consent was not withdrawn at Google"),
    }
}
