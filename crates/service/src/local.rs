//! Local sign-in, the least of it: an address and a password, throttled, answered alike whoever asks.
//!
//! An unknown address costs as much work as a known one and hears the same words. An address belongs to nobody: several
//! organizations may each have a person of that address, with a password of their own, and who is meant is whoever's
//! password it is.
//!
//! Tries are counted by address, by source and by both, so that neither one house nor one list of addresses gets far; right
//! ones by person. One that was refused before anything was compared is not counted.
//! Nobody far away locks a person out of their own house: where they signed in not long ago, and in a browser that still
//! has a session of theirs, they have tries of their own.

mod telling;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use portcullis_domain::Timestamp;
use portcullis_domain::id::{MembershipId, OrganizationId, UserId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::secret::SecretHash;
use portcullis_domain::text::{Slug, email_key};
use portcullis_domain::token::TokenKind;
use portcullis_store::db::Lock;
use portcullis_store::user::Authenticator;
use portcullis_store::{Priority, Tx, membership, organization, user};
use secrecy::SecretString;

use self::telling::{Refused, note_opened, note_refused, note_throttled, note_wrong};
use crate::access::settle;
use crate::evaluation::find_bearer;
use crate::membership::rank_of;
use crate::refusal::SignInRefusal;
use crate::session::{self, MAX_IN_BROWSER, Opened, Opening};
use crate::sign_in::Visitor;
use crate::throttle::{Allowance, network, site};
use crate::{Limits, Moment, Portcullis, ServiceError};

/// Wrong tries at one address from one source.
const PER_BOTH: Allowance = Allowance { max_tries: 10, window_s: 15 * 60 };
/// Wrong tries at one address from everywhere (NIST SP 800-63B §3.2.2 allows a hundred), and beside them those of each
/// person who is at home where they come from.
const PER_ADDRESS: Allowance = Allowance { max_tries: 60, window_s: 3_600 };
/// Wrong tries from one source at whatever address.
const PER_SOURCE: Allowance = Allowance { max_tries: 60, window_s: 15 * 60 };
/// Wrong tries from one site: its networks are many, and cost nothing.
const PER_SITE: Allowance = Allowance { max_tries: 600, window_s: 15 * 60 };
/// Right tries of one person, as many as they have sessions: each writes one, and ends another.
const RIGHT: Allowance = Allowance { max_tries: 100, window_s: 5 * 60 };
/// Tries that were not even looked at, of which the administrators are told: the first of each address.
const TOLD: Allowance = Allowance { max_tries: 1, window_s: 15 * 60 };
/// Seconds within which a person chooses among their organizations.
const CHOICE_S: i64 = 300;

/// One of a person's memberships, to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The membership.
    pub membership: MembershipId,
    /// The organization's name.
    pub organization: String,
    /// Its slug, which is no other's.
    pub slug: Slug,
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

/// A try that was counted.
pub(crate) struct Counted {
    of_source: Vec<String>,
    of_address: Vec<String>,
    /// Whose passwords it may be compared with; everybody's if it is none.
    only: Option<Vec<UserId>>,
}

impl Counted {
    /// Whether it may be compared with that one.
    pub(crate) fn admits(&self, one: &Authenticator) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&one.user))
    }

    /// Takes it back: it was right, or nothing was compared. Those before it stay counted: a whole office may stand behind one
    /// source, and a password of another organization's at the same address must not make room for more guesses at this one's.
    pub(crate) fn take_back(&self, portcullis: &Portcullis) {
        for key in self.of_source.iter().chain(&self.of_address) {
            portcullis.door().tries.take_back(key);
        }
    }

    /// Takes back what was counted for the source alone.
    pub(crate) fn spare_source(&mut self, portcullis: &Portcullis) {
        for key in self.of_source.drain(..) {
            portcullis.door().tries.take_back(&key);
        }
    }
}

/// Counts a try with a password, if it is still allowed. Where too many were wrong from everywhere, whoever is at home
/// there has tries of their own, and only their own password is looked at.
///
/// # Errors
/// [`ServiceError::TooMany`].
pub(crate) fn admit(
    portcullis: &Portcullis,
    address: &str,
    visitor: &Visitor,
    at_home: &[UserId],
) -> Result<Counted, ServiceError> {
    let (tries, now) = (&portcullis.door().tries, portcullis.now());
    // Hashed, so that a key has one length whatever somebody types.
    let address = SecretHash::of(address);
    let (address, source) = (address.as_str(), network(visitor.source));
    let of_source = (format!("source/{source}"), PER_SOURCE);
    let of_site = site(visitor.source).map(|site| (format!("site/{site}"), PER_SITE));
    let of_source: Vec<_> = std::iter::once(of_source).chain(of_site).collect();
    let of_both = format!("address/{address}/{source}");
    for (key, allowance) in &of_source {
        tries.check(key, *allowance, now)?;
    }
    tries.check(&of_both, PER_BOTH, now)?;
    let of_address = format!("address/{address}");
    let key_of = |user: &UserId| format!("address/{address}/{user}");
    let (keys, only) = match tries.check(&of_address, PER_ADDRESS, now) {
        Ok(()) => (vec![of_address], None),
        Err(too_many) => {
            let may = |user: &&UserId| tries.check(&key_of(user), PER_ADDRESS, now).is_ok();
            let only: Vec<UserId> = at_home.iter().filter(may).copied().collect();
            if only.is_empty() {
                return Err(too_many);
            }
            (only.iter().map(key_of).collect(), Some(only))
        }
    };
    for (key, allowance) in &of_source {
        tries.count(key, *allowance, now);
    }
    tries.count(&of_both, PER_BOTH, now);
    for key in &keys {
        tries.count(key, PER_ADDRESS, now);
    }
    let of_source = of_source.into_iter().map(|(key, _)| key).collect();
    Ok(Counted { of_source, of_address: std::iter::once(of_both).chain(keys).collect(), only })
}

/// Counts a right try, if its person may sign in once more.
///
/// # Errors
/// [`ServiceError::TooMany`].
fn admit_right(portcullis: &Portcullis, proven: impl Iterator<Item = UserId>) -> Result<(), ServiceError> {
    for user in proven {
        portcullis.door().tries.admit(&format!("right/{user}"), RIGHT, portcullis.now())?;
    }
    Ok(())
}

/// Whose password it is, of those at the address. It is compared to its end though the caller hangs up meanwhile: a right one
/// whose answer nobody waited for was no wrong one, and a wrong one stays counted.
async fn compare(
    portcullis: &Portcullis,
    password: SecretString,
    known: Vec<Authenticator>,
    counted: Counted,
) -> Result<Vec<Authenticator>, ServiceError> {
    let portcullis = portcullis.clone();
    let compared = tokio::spawn(async move {
        let mut random = portcullis.moment().random;
        let hashed = portcullis.door().passwords.hash_beside(password, &known, &mut random).await;
        let hashed = hashed.inspect_err(|_| counted.take_back(&portcullis))?;
        let right = |one: &Authenticator| counted.admits(one) && hashed.fits(one);
        let proven: Vec<Authenticator> = known.into_iter().filter(right).collect();
        if !proven.is_empty() {
            counted.take_back(&portcullis);
        }
        Ok(proven)
    });
    compared.await.map_err(|e| ServiceError::fault("a password to compare", e))?
}

/// What is known of an address where somebody tries a password.
struct Known {
    authenticators: Vec<Authenticator>,
    /// Whose browser it is, as far as a session of theirs says, which may have ended.
    browser: Vec<UserId>,
}

fn known(tx: &mut Tx<'_>, address: &str, visitor: &Visitor, now: Timestamp) -> Result<Known, ServiceError> {
    // Whatever the address has: whoever asks chooses how many sessions are looked up, and would tell by the time.
    let mut browser = Vec::new();
    for secret in visitor.presented.iter().take(MAX_IN_BROWSER) {
        let bearer = find_bearer(tx, secret, now)?.filter(|b| b.kind == TokenKind::Session);
        browser.extend(bearer.and_then(|b| b.member).map(|m| m.user));
    }
    let authenticators = user::authenticators_at(tx, address)?;
    Ok(Known { authenticators, browser })
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
    let (key, asking) = (address.clone(), visitor.clone());
    let known = portcullis.read(move |tx, now| known(tx, &key, &asking, now)).await?;
    let (homes, source) = (&portcullis.door().homes, network(visitor.source));
    let is_at_home = |one: &&Authenticator| {
        known.browser.contains(&one.user) || homes.has(one.user, source, portcullis.now())
    };
    let at_home: Vec<UserId> = known.authenticators.iter().filter(is_at_home).map(|one| one.user).collect();
    let counted = admit(portcullis, &address, &visitor, &at_home)
        .inspect_err(|error| note_throttled(portcullis, &address, (&visitor, &at_home), error))?;
    let proven = compare(portcullis, password, known.authenticators, counted).await?;
    if proven.is_empty() {
        note_wrong(portcullis, &address, (&visitor, at_home));
        return Err(SignInRefusal::WrongPassword.into());
    }
    for one in &proven {
        homes.note(one.user, source, portcullis.now());
    }
    admit_right(portcullis, proven.iter().map(|one| one.user))?;
    let (theirs, wish) = (proven.clone(), visitor.clone());
    let limits = portcullis.around().limits;
    let found = portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            let members = active(tx, moment, &theirs, &wish)?;
            match members.as_slice() {
                [] => Err(SignInRefusal::MemberInactive.into()),
                [only] => Ok(Found::One(open(tx, moment, only, (&wish, limits))?, only.organization)),
                several => Ok(Found::Several(choices(tx, several)?)),
            }
        })
        .await;
    let users = || proven.iter().map(|one| one.user).collect();
    let found = found
        .inspect_err(|e| note_refused(portcullis, &visitor, Refused { users: users(), chosen: None }, e))?;
    match found {
        Found::One(opened, organization) => {
            note_opened(portcullis, &visitor, &opened, (organization, address));
            Ok(SignedIn::Here(opened))
        }
        Found::Several(choices) => {
            Ok(SignedIn::Choose { ticket: ticket(portcullis, &proven, &visitor)?, choices })
        }
    }
}

enum Found {
    One(Opened, OrganizationId),
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
    let (users, secret_hash) = read_ticket(portcullis, ticket, &visitor)?;
    admit_right(portcullis, users.iter().copied())?;
    let limits = portcullis.around().limits;
    let (refused, wish) = (Refused { users: users.clone(), chosen: Some(chosen) }, visitor.clone());
    let opened = portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            let mut proven = Vec::new();
            for user in &users {
                let same = |a: &Authenticator| SecretHash::of(&a.secret) == secret_hash;
                proven.extend(user::authenticators_of(tx, *user)?.into_iter().find(same));
            }
            if proven.is_empty() {
                return Err(SignInRefusal::ChoiceInvalid.into());
            }
            let members = active(tx, moment, &proven, &wish)?;
            let member = members.iter().find(|m| m.id == chosen).ok_or(SignInRefusal::MemberInactive)?;
            Ok((open(tx, moment, member, (&wish, limits))?, member.organization, member.email.clone()))
        })
        .await;
    let (opened, organization, email) =
        opened.inspect_err(|e| note_refused(portcullis, &visitor, refused, e))?;
    note_opened(portcullis, &visitor, &opened, (organization, email));
    Ok(opened)
}

/// The active memberships of those whose password was right, while that password still is theirs.
fn active(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    proven: &[Authenticator],
    visitor: &Visitor,
) -> Result<Vec<Membership>, ServiceError> {
    let mut all = Vec::new();
    for one in proven {
        if !user::authenticators_of(tx, one.user)?.contains(one) {
            return Err(SignInRefusal::WrongPassword.into());
        }
        all.extend(user::memberships_of(tx, one.user)?);
    }
    // Memberships are locked in the order of their ids, whosever they are.
    all.sort_by_key(|one| one.membership);
    // Their organizations' rules before them: whoever waits for one of those has no member in hand, whom somebody may end.
    let organizations: BTreeSet<_> = all.iter().map(|one| one.organization).collect();
    for organization in organizations {
        tx.lock(Lock::Rules(organization))?;
    }
    let mut members = Vec::new();
    for one in all {
        let actor = portcullis_domain::cause::Actor::Membership(one.membership);
        settle(tx, moment, one.membership, session::cause(actor, visitor.request))?;
        let member = membership::find_locked(tx, one.membership)?;
        members.extend(member.filter(|m| m.access.state == MembershipState::Active));
    }
    Ok(members)
}

/// Opens a session of a member who proved who they are here: in `production`, or else where they may act. Not above whoever
/// saw the link by which the password was chosen: they may have chosen it
/// ([why](../../../docs/decisions/0049-a-password-is-worth-no-more-than-whoever-saw-its-link.md)).
pub(crate) fn open(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    member: &Membership,
    (visitor, limits): (&Visitor, Limits),
) -> Result<Opened, ServiceError> {
    if member.believed_up_to < rank_of(tx, member.organization, member.role())? {
        return Err(SignInRefusal::PasswordSeenBelow.into());
    }
    let environments = &member.access.environments;
    let production = Slug::production();
    let environment =
        if environments.contains(&production) { Some(&production) } else { environments.first() };
    let environment = environment.cloned().ok_or(SignInRefusal::OtherEnvironment)?;
    let opening = Opening {
        membership: member,
        environment,
        link: None,
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
            choices.push(Choice { membership: member.id, organization: found.name, slug: found.slug });
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
    proven: &[Authenticator],
    visitor: &Visitor,
) -> Result<String, ServiceError> {
    let until = portcullis.now().plus_s(CHOICE_S).micros();
    // At one address the same password is kept as the same text.
    let secret = proven.first().map(|one| SecretHash::of(&one.secret)).ok_or(SignInRefusal::ChoiceInvalid)?;
    let mut text = format!("{until} {}", secret.as_str());
    for one in proven {
        let _ = write!(text, " {}", one.user);
    }
    let mut moment = portcullis.moment();
    let place = ticket_place(visitor)?;
    let sealed = portcullis.around().sealing.seal(&mut moment.random, &place, text.as_bytes());
    sealed.map_err(|e| ServiceError::fault("a choice of organizations", e))
}

fn read_ticket(
    portcullis: &Portcullis,
    ticket: &str,
    visitor: &Visitor,
) -> Result<(Vec<UserId>, SecretHash), ServiceError> {
    let invalid = || ServiceError::from(SignInRefusal::ChoiceInvalid);
    let place = ticket_place(visitor)?;
    let opened = portcullis.around().sealing.open(&place, ticket).map_err(|_| invalid())?;
    let text = std::str::from_utf8(&opened).map_err(|_| invalid())?;
    let mut words = text.split(' ');
    let mut word = || words.next().ok_or_else(invalid);
    let until = Timestamp::from_micros(word()?.parse().map_err(|_| invalid())?);
    let hash = SecretHash::from_stored(word()?.to_owned());
    let users: Result<Vec<UserId>, _> = words.map(str::parse).collect();
    let users = users.map_err(|_| invalid())?;
    if portcullis.now() >= until { Err(invalid()) } else { Ok((users, hash)) }
}
