//! Who somebody is who comes from a provider: a member by their link, a first link, a newcomer, or nobody.
//!
//! The order is the whole rule. A link is an identity; everything else is a claim. A first link needs a claim that the
//! provider vouches for, a domain that the organization has proven, and exactly one person whom the organization
//! itself put there, by an invitation only as long as its link is good, or whom this connection brought; holders of
//! explicit-only roles link from their own session only. A newcomer comes in only where no directory governs and no
//! identifier belongs to somebody who left (invariant I4), and only if a rule gives a role.
//!
//! An address is given to somebody else one day, a subject never: whoever comes with another subject than the one by
//! which the provider named the member before is another person, until the directory says otherwise.

mod known;
mod linking;

use std::collections::BTreeMap;

use portcullis_domain::Timestamp;
use portcullis_domain::access::resolve;
use portcullis_domain::cause::Actor;
use portcullis_domain::connection::{Connection, ConnectionKind, Guests, Link};
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{DirectoryId, MembershipId, OrganizationId, RequestId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::role::{Giving, Rank};
use portcullis_domain::text::domain_of;
use portcullis_domain::tombstone::{Identifier, IdentifierKind};
use portcullis_oidc::preset::Preset;
use portcullis_store::db::Lock;
use portcullis_store::directory_user::DirectoryUserQuery;
use portcullis_store::{Tx, connection, directory_user, domain, facts, grant, membership, role, tombstone};

use self::known::{known_here, put_there};
use self::linking::{
    Found, Named, believe, first_link, former_names, is_lent, link_own, name_anew, newcomer,
};
use crate::access::settle;
use crate::claims::{self, Address, Arrival, GroupsSaid, SubjectStays};
use crate::membership::rank_of;
use crate::newcomer::{hold_names, must_be_nobody_else};
use crate::oidc::preset;
use crate::refusal::SignInRefusal;
use crate::session::{self, Opened, Opening};
use crate::sign_in::ProviderSession;
use crate::{Limits, Moment, ServiceError};

/// How many people of one address or external id are looked at: two are too many already.
const MAX_LOOKED_AT: i64 = 3;

/// What a sign-in asks for once the provider has spoken.
pub struct Wish<'a> {
    /// Whom the provider has proven.
    pub arrival: &'a Arrival,
    /// Whom the provider means by the session.
    pub session: &'a ProviderSession,
    /// The membership that links this subject from its own session.
    pub linking: Option<MembershipId>,
    /// When the sign-in began.
    pub begun_at: Timestamp,
    /// The session secrets that the browser holds.
    pub presented: &'a [String],
    /// The operator's limits.
    pub limits: Limits,
    /// The request.
    pub request: RequestId,
}

/// How it ended, where something is kept in any case.
pub type Admission = Result<Opened, SignInRefusal>;

/// Lets somebody in: finds who it is, keeps what the claims say, settles their access and opens a session.
///
/// What a provider says of a member whom it knows by a link is kept even if it takes their way in away: the inner
/// result is the refusal then. But nothing is kept by a link that is believed less far than its member stands already.
///
/// # Errors
/// [`ServiceError::SignIn`]; nothing is kept then.
pub fn admit(tx: &mut Tx<'_>, moment: &mut Moment, wish: &Wish<'_>) -> Result<Admission, ServiceError> {
    let arrival = wish.arrival;
    // The connection and its rules stay as they are until the session is there, or are gone before it.
    tx.lock(Lock::Rules(arrival.connection.organization))?;
    let now_set = connection::find_by_id(tx, arrival.connection.id)?;
    let same = |c: &Connection| {
        c.issuer == arrival.connection.issuer
            && c.client_id == arrival.connection.client_id
            && c.directory == arrival.connection.directory
            && c.groups_claim == arrival.connection.groups_claim
            && c.claim_rules == arrival.connection.claim_rules
    };
    let connection = now_set.filter(same).ok_or(SignInRefusal::ConnectionChanged)?;
    if !wish.session.is_believed(tx, &connection)? {
        return Err(SignInRefusal::ConnectionChanged.into());
    }
    // Whoever ends sessions at a provider's word holds the rules alone: what was said is seen here, or finds the session.
    if wish.session.is_over(tx, &connection, (wish.begun_at, moment.now))? {
        return Err(SignInRefusal::SessionOver.into());
    }
    // By our clock, as that of the session which would be opened: the provider's may be behind.
    if wish.session.not_after().is_some_and(|end| end <= moment.now) {
        return Err(SignInRefusal::SessionOver.into());
    }
    must_be_let_in_at_all(tx, &connection, arrival)?;
    if arrival.said.groups == GroupsSaid::Overage {
        return Err(SignInRefusal::GroupsOverage.into());
    }
    let (link, standing) = recognize(tx, moment, &connection, wish)?;
    let id = link.membership;
    if connection.directory.is_none() {
        must_be_heard(tx, arrival, &link, moment.now)?;
        claims::keep(tx, moment, arrival, id, wish.request)?;
    }
    let cause = match connection.directory {
        None => arrival.cause(wish.request),
        Some(_) => session::cause(Actor::Membership(id), wish.request),
    };
    settle(tx, moment, id, cause)?;
    let member = membership::find_locked(tx, id)?.ok_or(SignInRefusal::MemberInactive)?;
    let stands = match stands_outside(tx, &connection, &member)? {
        None => believed(tx, moment, &connection, wish, (&member, link))?,
        Some(refusal) => Err(refusal),
    };
    let link = match (stands, standing) {
        (Ok(link), _) => link,
        (Err(refusal), Standing::Linked) => return Ok(Err(refusal)),
        (Err(refusal), Standing::New) => return Err(refusal.into()),
    };
    let opening = Opening {
        membership: &member,
        environment: connection.environment.clone(),
        link: Some(&link),
        not_after: wish.session.not_after(),
        presented: wish.presented,
        limits: wish.limits,
        request: wish.request,
    };
    let opened = session::open(tx, moment, &opening)?;
    wish.session.keep(tx, &connection, (opened.token, opened.expires_at), moment.now)?;
    Ok(Ok(opened))
}

/// What a provider's own ways ask of everybody, whoever it is: no guest where guests are refused, and at Google an account
/// of a company that the organization has proven. Google vouches for nobody else.
fn must_be_let_in_at_all(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
) -> Result<(), ServiceError> {
    if is_refused_guest(connection, arrival) {
        return Err(SignInRefusal::Guest.into());
    }
    if connection.kind == ConnectionKind::Saml || preset::in_force(connection) != Preset::Google {
        return Ok(());
    }
    let hosted = arrival.said.hosted_domain.as_deref().ok_or(SignInRefusal::HostedDomainMissing)?;
    if is_proven(tx, connection, hosted)? { Ok(()) } else { Err(SignInRefusal::HostedDomainNotProven.into()) }
}

/// Whether somebody is a guest where guests are refused.
pub(crate) fn is_refused_guest(connection: &Connection, arrival: &Arrival) -> bool {
    arrival.said.home.is_some() && connection.claim_rules.guests == Guests::Refuse
}

/// Whether the organization of the connection has proven that domain.
fn is_proven(tx: &mut Tx<'_>, connection: &Connection, name: &str) -> Result<bool, ServiceError> {
    Ok(domain::find_proven(tx, name)?.is_some_and(|d| d.organization == connection.organization))
}

/// Why a member whom the provider has proven gets no session, if they get none.
fn stands_outside(
    tx: &mut Tx<'_>,
    connection: &Connection,
    member: &Membership,
) -> Result<Option<SignInRefusal>, ServiceError> {
    if member.access.state != MembershipState::Active {
        return Ok(Some(SignInRefusal::MemberInactive));
    }
    if waits_for_an_owner(tx, connection, member)? {
        return Ok(Some(SignInRefusal::Unconfirmed));
    }
    let inside = member.access.environments.contains(&connection.environment);
    Ok((!inside).then_some(SignInRefusal::OtherEnvironment))
}

/// Whether a connection opens nobody like that until an owner has confirmed it: whoever chose its provider may have it say that
/// they are anybody who stands as high
/// ([why](../../../docs/decisions/0070-a-provider-speaks-no-higher-than-whoever-chose-it-stood.md)).
fn waits_for_an_owner(
    tx: &mut Tx<'_>,
    connection: &Connection,
    member: &Membership,
) -> Result<bool, ServiceError> {
    let Some(waits) = connection.unconfirmed else { return Ok(false) };
    Ok(is_lent(tx, member, waits.chosen_from)? || holds_explicit_only(tx, member)?)
}

/// Whether somebody was known by their link before this sign-in.
enum Standing {
    Linked,
    New,
}

/// Refuses what an account says of a member who stands above whoever said that it is theirs: it would take away what their own
/// account said, and lower them until it opens
/// ([why](../../../docs/decisions/0066-what-came-by-a-link-is-believed-no-further-than-the-link.md)). What it said itself it
/// may take back.
fn must_be_heard(
    tx: &mut Tx<'_>,
    arrival: &Arrival,
    link: &Link,
    now: Timestamp,
) -> Result<(), ServiceError> {
    if link.believed_up_to == Rank::ROOT || claims::is_word_of(tx, arrival, link.membership)? {
        return Ok(());
    }
    let member = membership::find_locked(tx, link.membership)?.ok_or(SignInRefusal::MemberInactive)?;
    // As they stand by what is said until now, whatever of it is not carried out yet.
    let access = resolve(&facts::of(tx, &member)?, now).access;
    if rank_of(tx, member.organization, access.role.as_ref())? > link.believed_up_to {
        return Err(SignInRefusal::OwnSessionOnly.into());
    }
    Ok(())
}

/// A link as it is believed now; or why it opens nothing: it does not follow its member above whoever could have said whose it
/// is. What the directory says of them again is believed as far as whoever says it now.
fn believed(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    connection: &Connection,
    wish: &Wish<'_>,
    (member, link): (&Membership, Link),
) -> Result<Result<Link, SignInRefusal>, ServiceError> {
    if link.believed_up_to == Rank::ROOT {
        return Ok(Ok(link));
    }
    let again = trusted_address(tx, connection, wish.arrival)
        .and_then(|address| told_by_directory(tx, connection, wish.arrival, &address));
    let believed_up_to = match again {
        Ok(Some(found)) if found.member.id == member.id => found.believed_up_to.max(link.believed_up_to),
        Ok(_) | Err(ServiceError::SignIn(_)) => link.believed_up_to,
        Err(error) => return Err(error),
    };
    if believed_up_to > link.believed_up_to {
        believe(tx, moment, (&link, believed_up_to), wish.request)?;
    }
    if is_lent(tx, member, believed_up_to)? {
        return Ok(Err(SignInRefusal::OwnSessionOnly));
    }
    Ok(Ok(Link { believed_up_to, ..link }))
}

fn recognize(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    connection: &Connection,
    wish: &Wish<'_>,
) -> Result<(Link, Standing), ServiceError> {
    let arrival = wish.arrival;
    // Of two first sign-ins of one person at once the second finds the first one's link.
    tx.lock(Lock::Subject(connection.id, arrival.said.subject.clone()))?;
    let link = connection::find_link(tx, connection.id, &arrival.said.subject)?;
    let mut linked = living(tx, connection.organization, link.clone())?;
    if linked.is_none()
        && link.is_none()
        && let Some(former) = &arrival.said.former_subject
    {
        let former = connection::find_link(tx, connection.id, former)?;
        linked = living(tx, connection.organization, former)?;
        if let (Some((_, former)), None) = (&mut linked, wish.linking) {
            *former = name_anew(tx, moment, connection, wish, former)?;
        }
    }
    if let Some(own) = wish.linking {
        return Ok((link_own(tx, moment, connection, wish, (own, link, linked))?, Standing::New));
    }
    if let Some((member, link)) = linked {
        must_be_theirs_still(tx, connection, arrival, &member)?;
        return Ok((link, Standing::Linked));
    }
    if connection.directory.is_none() {
        hold_names(tx, connection.organization, arrival.all_names())?;
    }
    for identifier in arrival.identifiers() {
        if tombstone::find(tx, connection.organization, &identifier)?.is_some()
            && !is_somebodys_now(tx, connection, arrival, &identifier, moment.now)?
        {
            return Err(SignInRefusal::Tombstoned.into());
        }
    }
    let address = trusted_address(tx, connection, arrival)?;
    let found = match connection.directory {
        Some(_) => told_by_directory(tx, connection, arrival, &address)?,
        None => known_here(tx, connection, arrival, (&address, moment.now))?.map(Found::by_address),
    };
    let made = match found {
        Some(found) => {
            let former = former_names(tx, connection, arrival, (found.member.id, found.named))?;
            first_link(tx, moment, connection, wish, (found, link, former))?
        }
        None if connection.directory.is_some() => return Err(SignInRefusal::NotInDirectory.into()),
        None if connection.jit_at.is_some() => {
            must_be_nobody_else(tx, connection, arrival, None)?;
            newcomer(tx, moment, connection, (wish, link), &address)?
        }
        None => return Err(SignInRefusal::NotInvited.into()),
    };
    Ok((made, Standing::New))
}

/// Whether whoever decides about this connection names somebody who lives by that identifier now: its governing directory,
/// else an administrator. Then it is theirs, whenever the end of whoever had it before was carried out, and whoever's word
/// laid the tombstone. A subject is never given to anybody else.
fn is_somebodys_now(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
    identifier: &Identifier,
    now: Timestamp,
) -> Result<bool, ServiceError> {
    if matches!(identifier.kind, IdentifierKind::Subject | IdentifierKind::IssuerSubject) {
        return Ok(false);
    }
    let named = (|| {
        let address = trusted_address(tx, connection, arrival)?;
        let Some(directory) = connection.directory else {
            let member = put_there(tx, connection, &address, now)?;
            let names = vec![Identifier::email(&address.key), Identifier::user_name(&address.key)];
            return Ok(member.map(|member| (member, names)));
        };
        let Some((user, _)) = told_of(tx, directory, arrival, &address)? else { return Ok(None) };
        let member = membership::find_locked(tx, user.membership)?;
        Ok(member.map(|member| (member, user.names())))
    })();
    match named {
        Ok(Some((member, names))) => Ok(member.ended.is_none() && names.contains(identifier)),
        Ok(None) | Err(ServiceError::SignIn(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The membership of a link, if it has not ended, and the link. Whoever has ended is not locked: what comes then holds names,
/// which everybody locks before members.
fn living(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    link: Option<Link>,
) -> Result<Option<(Membership, Link)>, ServiceError> {
    let lives = |member: &Membership| member.ended.is_none();
    let Some(link) = link else { return Ok(None) };
    if !membership::find(tx, organization, link.membership)?.is_some_and(|member| lives(&member)) {
        return Ok(None);
    }
    // It may have ended in between.
    let member = membership::find_locked(tx, link.membership)?.filter(lives);
    Ok(Some((member.ok_or(SignInRefusal::MemberInactive)?, link)))
}

/// A subject that may be given to others may be somebody else's by now: where a directory governs, it must say of the linked
/// person, and of nobody else, that the address or the external id is theirs. Where none does, an address names somebody
/// only as long as its domain is proven.
fn must_be_theirs_still(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
    member: &Membership,
) -> Result<(), ServiceError> {
    let SubjectStays::Perhaps { .. } = &arrival.said.stays else { return Ok(()) };
    if connection.directory.is_none() {
        return must_be_of_proven_domain(tx, connection, arrival);
    }
    let address = trusted_address(tx, connection, arrival)?;
    match told_by_directory(tx, connection, arrival, &address)? {
        Some(told) if told.member.id == member.id => Ok(()),
        _ => Err(SignInRefusal::AddressMoved.into()),
    }
}

/// Where no directory governs, an address names a person only inside of the domains that the organization has proven: its
/// own domain is one, or that of the address which the provider vouches for beside it.
fn must_be_of_proven_domain(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
) -> Result<(), ServiceError> {
    let SubjectStays::Perhaps { address: Some(named) } = &arrival.said.stays else { return Ok(()) };
    if connection.directory.is_some() {
        return Ok(());
    }
    let beside = arrival.said.address.as_ref().filter(|a| a.vouched).map(|a| &a.key);
    for key in std::iter::once(named).chain(beside) {
        if is_proven(tx, connection, domain_of(key))? {
            return Ok(());
        }
    }
    Err(SignInRefusal::DomainNotProven.into())
}

/// The address, if the provider vouches for it and its domain is proven by the organization of the connection.
fn trusted_address(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
) -> Result<Address, ServiceError> {
    let address = arrival.said.address.clone().ok_or(SignInRefusal::EmailMissing)?;
    if !address.vouched {
        return Err(SignInRefusal::EmailUntrusted.into());
    }
    if !is_proven(tx, connection, domain_of(&address.key))? {
        return Err(SignInRefusal::DomainNotProven.into());
    }
    Ok(address)
}

/// Exactly one active person of the governing directory has that address or external id.
fn told_by_directory(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
    address: &Address,
) -> Result<Option<Found>, ServiceError> {
    let Some(directory) = connection.directory else { return Ok(None) };
    let Some((user, named)) = told_of(tx, directory, arrival, address)? else { return Ok(None) };
    let member = membership::find_locked(tx, user.membership)?;
    Ok(member.map(|member| Found { member, named, believed_up_to: user.believed_up_to }))
}

/// The same, as the directory told of them.
fn told_of(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    arrival: &Arrival,
    address: &Address,
) -> Result<Option<(DirectoryUser, Named)>, ServiceError> {
    let mut queries = vec![
        DirectoryUserQuery::Email(address.key.clone()),
        DirectoryUserQuery::UserName(address.key.clone()),
    ];
    queries.extend(arrival.said.external_ids.iter().map(|id| DirectoryUserQuery::ExternalId(id.clone())));
    let mut found: BTreeMap<_, DirectoryUser> = BTreeMap::new();
    for query in &queries {
        for user in directory_user::query(tx, directory, query, MAX_LOOKED_AT)? {
            if user.inactive_at.is_none() && user.unconfirmed_at.is_none() {
                found.insert(user.id, user);
            }
        }
    }
    let mut people = found.into_values();
    match (people.next(), people.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(SignInRefusal::Ambiguous.into()),
        (Some(user), None) => {
            let by_id = user.external_id.as_ref().is_some_and(|id| arrival.said.external_ids.contains(id));
            let named = if by_id { Named::ByExternalId } else { Named::ByAddress };
            Ok(Some((user, named)))
        }
    }
}

/// Whether somebody has, or would have, a role that only people give.
fn holds_explicit_only(tx: &mut Tx<'_>, member: &Membership) -> Result<bool, ServiceError> {
    let mut slugs: Vec<_> = member.role().cloned().into_iter().collect();
    slugs.extend(grant::live_of(tx, member.organization, member.id)?.into_iter().map(|g| g.role));
    for slug in slugs {
        let found = role::find_by_slug(tx, member.organization, &slug)?;
        if found.is_some_and(|r| r.giving == Giving::ExplicitOnly) {
            return Ok(true);
        }
    }
    Ok(false)
}
