//! Local sign-in, the least of it: an address and a password, throttled, answered alike whoever asks.
//!
//! An unknown address costs as much work as a known one and hears the same words. Tries are counted by address, by
//! source and by both, so that neither one house nor one list of addresses gets far, and nobody far away locks a
//! person out of their own house.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{MembershipId, UserId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::secret::SecretHash;
use portcullis_domain::text::{Slug, email_key};
use portcullis_store::db::Lock;
use portcullis_store::user::Authenticator;
use portcullis_store::{Priority, StoreError, Tx, membership, organization, user};
use secrecy::SecretString;
use serde_json::json;

use crate::access::settle;
use crate::password::Fit;
use crate::refusal::SignInRefusal;
use crate::session::{self, Opened, Opening};
use crate::sign_in::Visitor;
use crate::throttle::Allowance;
use crate::trace::TraceDraft;
use crate::{Limits, Moment, Portcullis, ServiceError};

/// Wrong tries at one address from one source.
const PER_BOTH: Allowance = Allowance { max_tries: 10, window_s: 15 * 60 };
/// Wrong tries at one address from everywhere (NIST SP 800-63B §3.2.2 allows a hundred).
const PER_ADDRESS: Allowance = Allowance { max_tries: 60, window_s: 3_600 };
/// Wrong tries from one source at whatever address.
const PER_SOURCE: Allowance = Allowance { max_tries: 60, window_s: 15 * 60 };
/// Seconds within which a person chooses among their organizations.
const CHOICE_S: i64 = 300;
/// The most organizations whose administrators see the trace of a wrong try.
const MAX_TOLD: usize = 8;

/// One of a person's memberships, to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The membership.
    pub membership: MembershipId,
    /// The organization's name.
    pub organization: String,
}

/// What came of a right password.
#[derive(Debug, Clone)]
pub enum SignedIn {
    /// A session.
    Here(Opened),
    /// The person is in several organizations and chooses one.
    Choose {
        /// What proves for a few minutes, in this browser, that the password was right.
        ticket: String,
        /// What there is.
        choices: Vec<Choice>,
    },
}

/// Counts a try with a password, if it is still allowed.
///
/// # Errors
/// [`ServiceError::TooMany`].
pub(crate) fn admit(portcullis: &Portcullis, address: &str, visitor: &Visitor) -> Result<(), ServiceError> {
    let (throttle, now) = (&portcullis.door().throttle, portcullis.now());
    let keys = throttle_keys(address, visitor);
    for (key, allowance) in &keys {
        throttle.check(key, *allowance, now)?;
    }
    for (key, allowance) in &keys {
        throttle.count(key, *allowance, now);
    }
    Ok(())
}

/// Forgets the tries of an address from a source: the right person came. The source keeps its wrong tries only: a whole
/// office may stand behind one address.
pub(crate) fn forget(portcullis: &Portcullis, address: &str, visitor: &Visitor) {
    let [(both, _), (address, _), (source, _)] = throttle_keys(address, visitor);
    portcullis.door().throttle.forget(&both);
    portcullis.door().throttle.forget(&address);
    portcullis.door().throttle.take_back(&source);
}

fn throttle_keys(address: &str, visitor: &Visitor) -> [(String, Allowance); 3] {
    // Hashed, so that a key has one length whatever somebody types.
    let address = SecretHash::of(address);
    let (address, source) = (address.as_str(), visitor.source);
    [
        (format!("password/{address}/{source}"), PER_BOTH),
        (format!("password/{address}"), PER_ADDRESS),
        (format!("password//{source}"), PER_SOURCE),
    ]
}

/// Signs somebody in by address and password.
///
/// # Errors
/// [`SignInRefusal::WrongPassword`] alike for everything that is wrong, [`SignInRefusal::MemberInactive`] for a right
/// password without an active membership, [`ServiceError::TooMany`].
pub async fn sign_in(
    portcullis: &Portcullis,
    email: &str,
    password: SecretString,
    visitor: Visitor,
) -> Result<SignedIn, ServiceError> {
    let address = email_key(email).unwrap_or_default();
    admit(portcullis, &address, &visitor)?;
    let key = address.clone();
    let known = portcullis.read(move |tx, _| Ok(user::find_authenticator(tx, &key)?)).await?;
    let hash = known.as_ref().map(|a| a.secret.clone());
    let fit = portcullis.door().passwords.verify(password, hash).await?;
    let Some(authenticator) = known.filter(|_| fit == Fit::Right) else {
        note_wrong(portcullis, &address, &visitor);
        return Err(SignInRefusal::WrongPassword.into());
    };
    forget(portcullis, &address, &visitor);
    let (proven, wish) = (authenticator.clone(), visitor.clone());
    let limits = portcullis.around().limits;
    let found = portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            let members = active(tx, moment, &proven, &wish)?;
            match members.as_slice() {
                [] => Err(SignInRefusal::MemberInactive.into()),
                [only] => Ok(Found::One(open(tx, moment, only, (&wish, limits))?)),
                several => Ok(Found::Several(choices(tx, several)?)),
            }
        })
        .await?;
    match found {
        Found::One(opened) => Ok(SignedIn::Here(opened)),
        Found::Several(choices) => {
            Ok(SignedIn::Choose { ticket: ticket(portcullis, &authenticator, &visitor)?, choices })
        }
    }
}

enum Found {
    One(Opened),
    Several(Vec<Choice>),
}

/// Opens the session that a person chose.
///
/// # Errors
/// [`SignInRefusal::ChoiceInvalid`] for a ticket of another browser or one that is too old.
pub async fn choose(
    portcullis: &Portcullis,
    ticket: &str,
    chosen: MembershipId,
    visitor: Visitor,
) -> Result<Opened, ServiceError> {
    let (user, secret_hash) = read_ticket(portcullis, ticket, &visitor)?;
    let limits = portcullis.around().limits;
    portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            let of_user = user::authenticators_of(tx, user)?;
            let same = |a: &Authenticator| SecretHash::of(&a.secret) == secret_hash;
            let proven = of_user.into_iter().find(same).ok_or(SignInRefusal::ChoiceInvalid)?;
            let members = active(tx, moment, &proven, &visitor)?;
            let member = members.iter().find(|m| m.id == chosen).ok_or(SignInRefusal::MemberInactive)?;
            open(tx, moment, member, (&visitor, limits))
        })
        .await
}

/// The active memberships of a user whose password was right, while that password still is theirs.
fn active(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    proven: &Authenticator,
    visitor: &Visitor,
) -> Result<Vec<Membership>, ServiceError> {
    let still = user::find_authenticator(tx, &proven.email_key)?;
    if still.as_ref() != Some(proven) {
        return Err(SignInRefusal::WrongPassword.into());
    }
    let mut members = Vec::new();
    for one in user::memberships_of(tx, proven.user)? {
        if one.state == MembershipState::Deprovisioned {
            continue;
        }
        tx.lock(Lock::Rules(one.organization))?;
        let actor = portcullis_domain::cause::Actor::Membership(one.membership);
        settle(tx, moment, one.membership, session::cause(actor, visitor.request))?;
        let member = membership::find_locked(tx, one.membership)?;
        members.extend(member.filter(|m| m.access.state == MembershipState::Active));
    }
    Ok(members)
}

/// Opens a session of a member who proved who they are here: in `production`, or else where they may act.
pub(crate) fn open(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    member: &Membership,
    (visitor, limits): (&Visitor, Limits),
) -> Result<Opened, ServiceError> {
    let environments = &member.access.environments;
    let production = Slug::production();
    let environment =
        if environments.contains(&production) { Some(&production) } else { environments.first() };
    let environment = environment.cloned().ok_or(SignInRefusal::OtherEnvironment)?;
    let opening = Opening {
        membership: member,
        environment,
        connection: None,
        not_after: None,
        presented: &visitor.presented,
        limits,
        request: visitor.request,
    };
    session::open(tx, moment, &opening)
}

fn choices(tx: &mut Tx<'_>, members: &[Membership]) -> Result<Vec<Choice>, ServiceError> {
    let mut choices = Vec::new();
    for member in members {
        if let Some(found) = organization::find(tx, member.organization)? {
            choices.push(Choice { membership: member.id, organization: found.name });
        }
    }
    Ok(choices)
}

fn ticket_place(visitor: &Visitor) -> Result<String, ServiceError> {
    let browser = visitor.browser.as_deref().ok_or(SignInRefusal::ChoiceInvalid)?;
    Ok(format!("local.choice:{}", SecretHash::of(browser).as_str()))
}

/// Sealed, bound to the browser and the password as it is now, good for a few minutes: nothing is stored for it.
fn ticket(
    portcullis: &Portcullis,
    proven: &Authenticator,
    visitor: &Visitor,
) -> Result<String, ServiceError> {
    let until = portcullis.now().plus_s(CHOICE_S).micros();
    let text = format!("{} {until} {}", proven.user, SecretHash::of(&proven.secret).as_str());
    let mut moment = portcullis.moment();
    let place = ticket_place(visitor)?;
    let sealed = portcullis.around().sealing.seal(&mut moment.random, &place, text.as_bytes());
    sealed.map_err(|e| ServiceError::Store(StoreError::Inconsistent(e.to_string())))
}

fn read_ticket(
    portcullis: &Portcullis,
    ticket: &str,
    visitor: &Visitor,
) -> Result<(UserId, SecretHash), ServiceError> {
    let invalid = || ServiceError::from(SignInRefusal::ChoiceInvalid);
    let place = ticket_place(visitor)?;
    let opened = portcullis.around().sealing.open(&place, ticket).map_err(|_| invalid())?;
    let text = std::str::from_utf8(&opened).map_err(|_| invalid())?;
    let mut words = text.split(' ');
    let mut word = || words.next().ok_or_else(invalid);
    let user: UserId = word()?.parse().map_err(|_| invalid())?;
    let until = Timestamp::from_micros(word()?.parse().map_err(|_| invalid())?);
    let hash = SecretHash::from_stored(word()?.to_owned());
    if portcullis.now() >= until { Err(invalid()) } else { Ok((user, hash)) }
}

/// Tells the administrators of the person's organizations, without making anybody wait for it: how long an answer
/// takes must not say whether the address is known.
fn note_wrong(portcullis: &Portcullis, address: &str, visitor: &Visitor) {
    let (portcullis, address, visitor) = (portcullis.clone(), address.to_owned(), visitor.clone());
    tokio::spawn(async move {
        let key = address.clone();
        let told = portcullis
            .read(move |tx, _| {
                let Some(known) = user::find_authenticator(tx, &key)? else { return Ok(Vec::new()) };
                Ok(user::memberships_of(tx, known.user)?)
            })
            .await;
        for one in told.unwrap_or_default().into_iter().take(MAX_TOLD) {
            portcullis.traces().note(TraceDraft {
                organization: one.organization,
                kind: "sign_in",
                outcome: SignInRefusal::WrongPassword.code().to_owned(),
                subject: address.clone(),
                source: None,
                request: Some(visitor.request),
                content: json!({ "membership": one.membership, "source": visitor.source.to_string() }),
                at: portcullis.now(),
            });
        }
    });
}
