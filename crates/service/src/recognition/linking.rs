//! How a member comes to be known by a subject: their first link, one from their own session, one of a newcomer; and which
//! links are over then.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Actor;
use portcullis_domain::change::{Change, LinkChange, MembershipChange, TokenChange, TokenSet, UserChange};
use portcullis_domain::connection::{Connection, ConnectionKind, Link};
use portcullis_domain::id::{MembershipId, RequestId, UserId};
use portcullis_domain::membership::{Membership, MembershipState, Newcomer};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::text::email_key;
use portcullis_domain::token::TokenEnd;
use portcullis_domain::user::User;
use portcullis_store::{Tx, connection, facts, membership, saml_session, token};
use serde_json::json;

use super::{Wish, holds_explicit_only, must_be_of_proven_domain, waits_for_an_owner};
use crate::access::settle;
use crate::claims::{self, Address, Arrival, SubjectStays};
use crate::membership::rank_of;
use crate::naming;
use crate::refusal::SignInRefusal;
use crate::{Moment, ServiceError, session};

/// Links the name that stays to whoever is known by the former one: the same signed word says both. The former link stays,
/// so that a connection which is read as before finds everybody again. Without what made that, this would not be there either.
pub(super) fn name_anew(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    connection: &Connection,
    wish: &Wish<'_>,
    former: &Link,
) -> Result<Link, ServiceError> {
    let cause = session::cause(Actor::Membership(former.membership), wish.request);
    let made = Link {
        signed_by: former.signed_by.clone(),
        ..link(connection, wish, (former.membership, former.believed_up_to), moment)
    };
    let plan = linking(Plan::because(connection.organization, cause), made.clone(), wish, None);
    moment.apply(tx, &plan)?;
    Ok(made)
}

/// Believes the word by which a link was made as far as somebody stands who says it now.
pub(super) fn believe(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (link, rank): (&Link, Rank),
    request: RequestId,
) -> Result<(), ServiceError> {
    let event = EventDraft::new(Action::MemberLinked, link.membership)
        .about(link.connection)
        .with(json!({ "subject": link.subject, "believed_up_to": rank }));
    let cause = session::cause(Actor::Membership(link.membership), request);
    let change = LinkChange::Believe(link.connection, link.subject.clone(), rank);
    let plan = Plan::because(link.organization, cause).then(event, change);
    moment.apply(tx, &plan)?;
    Ok(())
}

/// By what somebody was found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// The directory knows them by the provider's own name for them.
    ByExternalId,
    /// Only the address is the same.
    ByAddress,
}

/// A member whom somebody's word found.
pub(super) struct Found {
    pub(super) member: Membership,
    pub(super) named: Named,
    /// How far that word is believed.
    pub(super) believed_up_to: Rank,
}

impl Found {
    /// Whom an address found, which whoever put them there knows them by.
    pub(super) const fn by_address(member: Membership) -> Self {
        Self { member, named: Named::ByAddress, believed_up_to: Rank::ROOT }
    }
}

/// Links of a member that end when they are linked by another name.
#[derive(Default)]
pub(super) struct Former {
    /// Of other accounts at the provider: what these opened ends with them.
    accounts: Vec<Link>,
    /// Of the same account, by a name that may be given to somebody else: it has one that stays now.
    names: Vec<Link>,
}

/// An address whose member this provider named by another subject before may have been given to somebody else: only a
/// directory that names the new subject itself says that it is the same person, and the links given here are over then.
/// A subject that may be given to others is the directory's to judge anyhow, and where none governs it is that address
/// itself which the organization knows, unless the provider named its member by what stays. Another way of naming people
/// is a change of the set-up, and none that leads back from a name that stays.
pub(super) fn former_names(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
    (member, named): (MembershipId, Named),
) -> Result<Former, ServiceError> {
    if let SubjectStays::Perhaps { address } = &arrival.said.stays {
        if connection.directory.is_some() {
            return Ok(Former::default());
        }
        let stays = |l: &Link| l.connection == connection.id && naming::stays(connection, &l.subject);
        if connection::links_of(tx, member)?.iter().any(stays) {
            return Err(SignInRefusal::AddressRecycled.into());
        }
        let is_the_address =
            address.is_some() && *address == arrival.said.address.as_ref().map(|a| a.key.clone());
        if is_the_address {
            return Ok(Former::default());
        }
    }
    let way = arrival.way_of_naming();
    let links = connection::links_of(tx, member)?.into_iter().filter(|l| l.connection == connection.id);
    let gives_way = |l: &Link| {
        connection.kind == ConnectionKind::Saml
            && arrival.said.stays == SubjectStays::ForGood
            && naming::may_move(connection, &l.subject)
    };
    let (names, mut accounts): (Vec<_>, Vec<_>) = links.partition(gives_way);
    accounts.retain(|l| l.subject.starts_with(way));
    match named {
        Named::ByAddress if !accounts.is_empty() => Err(SignInRefusal::AddressRecycled.into()),
        Named::ByAddress | Named::ByExternalId => Ok(Former { accounts, names }),
    }
}

pub(super) fn first_link(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    connection: &Connection,
    wish: &Wish<'_>,
    (found, old, former): (Found, Option<Link>, Former),
) -> Result<Link, ServiceError> {
    let Found { member, believed_up_to, .. } = found;
    if holds_explicit_only(tx, &member)? {
        return Err(SignInRefusal::OwnSessionOnly.into());
    }
    if member.ended.is_some() {
        return Err(SignInRefusal::MemberInactive.into());
    }
    let cause = session::cause(Actor::Membership(member.id), wish.request);
    let made = link(connection, wish, (member.id, believed_up_to), moment);
    let mut plan = linking(Plan::because(connection.organization, cause), made.clone(), wish, old);
    if member.access.state == MembershipState::Invited {
        // Coming in by the organization's own connection, with the invited address, accepts the invitation.
        let joined = EventDraft::new(Action::MemberJoined, member.id)
            .with(json!({ "by": "connection", "connection": connection.id }));
        let ends = TokenChange::ended(TokenSet::InvitationsOf(member.id), TokenEnd::Used, moment.now);
        plan = plan.then_all(joined, vec![MembershipChange::Join(member.id, moment.now).into(), ends.into()]);
    }
    // Whoever has the former account at the provider is nobody here: their sessions end with its link.
    let sessions = TokenChange::ended(
        TokenSet::OfMemberBy(member.id, connection.id),
        TokenEnd::HolderDeleted,
        moment.now,
    );
    let unlinked = |link: &Link| {
        EventDraft::new(Action::MemberUnlinked, member.id)
            .about(connection.id)
            .with(json!({ "subject": link.subject }))
    };
    for link in former.accounts {
        let gone = LinkChange::Delete(link.connection, link.subject.clone());
        plan = plan.then_all(unlinked(&link), vec![gone.into(), sessions.clone().into()]);
    }
    for link in former.names {
        // It is the same account: what came by it rests no sooner than what comes by the name that it has now.
        let gone = LinkChange::GiveWay(link.connection, link.subject.clone(), made.subject.clone());
        plan = plan.then(unlinked(&link), gone);
    }
    moment.apply(tx, &plan)?;
    Ok(made)
}

/// Whether the word by which somebody is found is believed less far than the member stands: whoever said it would name an
/// account of theirs, and come in as the member.
pub(super) fn is_lent(
    tx: &mut Tx<'_>,
    member: &Membership,
    believed_up_to: Rank,
) -> Result<bool, ServiceError> {
    Ok(rank_of(tx, member.organization, member.role())? > believed_up_to)
}

/// A link of whoever arrives to that membership.
fn link(
    connection: &Connection,
    wish: &Wish<'_>,
    (membership, believed_up_to): (MembershipId, Rank),
    moment: &Moment,
) -> Link {
    Link {
        connection: connection.id,
        organization: connection.organization,
        subject: wish.arrival.said.subject.clone(),
        membership,
        believed_up_to,
        signed_by: wish.session.signed_by().to_owned(),
        created_at: moment.now,
    }
}

/// The plan, and behind it what makes a link. One that leads to a former membership makes room.
fn linking(plan: Plan, link: Link, wish: &Wish<'_>, old: Option<Link>) -> Plan {
    let event = EventDraft::new(Action::MemberLinked, link.membership)
        .about(link.connection)
        .with(json!({ "subject": link.subject, "guest_of": wish.arrival.said.home }));
    let mut changes: Vec<Change> = Vec::new();
    changes.extend(old.map(|old| LinkChange::DeleteOf(old.membership).into()));
    changes.push(LinkChange::Create(link).into());
    plan.then_all(event, changes)
}

/// Links from the person's own session: that session must be this browser's and alive, and worth something where the connection
/// leads. It vouches for the link as far as that is believed by which it was opened itself; for none where whoever chose the
/// provider may have opened it as anybody
/// ([why](../../../../docs/decisions/0055-a-session-vouches-for-no-more-than-its-own-way-in.md)).
pub(super) fn link_own(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    connection: &Connection,
    wish: &Wish<'_>,
    (own, old, linked): (MembershipId, Option<Link>, Option<(Membership, Link)>),
) -> Result<Link, ServiceError> {
    let opened = session::linking(tx, wish.presented, (connection, Some(own)), moment.now)?;
    let opened = opened.ok_or(SignInRefusal::LinkingSessionOver)?;
    if opened.chosen_from.is_some() {
        return Err(SignInRefusal::Unconfirmed.into());
    }
    let believed_up_to = opened.believed_up_to;
    match linked {
        Some((member, same)) if member.id == own => {
            if believed_up_to <= same.believed_up_to {
                return Ok(same);
            }
            believe(tx, moment, (&same, believed_up_to), wish.request)?;
            return Ok(Link { believed_up_to, ..same });
        }
        Some(_) => return Err(SignInRefusal::SubjectTaken.into()),
        None => {}
    }
    must_be_of_proven_domain(tx, connection, wish.arrival)?;
    let member = membership::find_locked(tx, own)?.ok_or(SignInRefusal::LinkingSessionOver)?;
    if waits_for_an_owner(tx, connection, &member)? {
        return Err(SignInRefusal::Unconfirmed.into());
    }
    let cause = session::cause(Actor::Membership(own), wish.request).by(opened.token);
    // It is the session that says whose the account is: by whose key that came, else the link that opened it.
    let mut signed_by = saml_session::signed_by(tx, opened.token)?;
    if signed_by.is_empty() {
        let by = token::find(tx, connection.organization, opened.token)?.and_then(|token| token.connection);
        let links = connection::links_of(tx, own)?.into_iter().filter(|l| Some(l.connection) == by);
        signed_by = links.map(|l| l.signed_by).max().unwrap_or_default();
    }
    let made = Link { signed_by, ..link(connection, wish, (own, believed_up_to), moment) };
    let plan = linking(Plan::because(connection.organization, cause), made.clone(), wish, old);
    moment.apply(tx, &plan)?;
    Ok(made)
}

/// Makes a membership for somebody whom nobody told of: only if a mapping or the default gives them a role.
pub(super) fn newcomer(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    connection: &Connection,
    (wish, old): (&Wish<'_>, Option<Link>),
    address: &Address,
) -> Result<Link, ServiceError> {
    let (now, arrival) = (moment.now, wish.arrival);
    let cause = arrival.cause(wish.request);
    let user = User::new(UserId::fresh(now, &mut moment.random), now);
    let who = Newcomer {
        id: MembershipId::fresh(now, &mut moment.random),
        organization: connection.organization,
        user: user.id,
        email: address.written.clone(),
        name: arrival.said.name.clone(),
    };
    // Without life until its claims are kept and settled, a moment later.
    let member = Membership::new(
        who,
        MembershipState::Suspended,
        facts::rules_number(tx, connection.organization)?,
        now,
    );
    let id = member.id;
    let event = EventDraft::new(Action::MemberCreated, id)
        .about(connection.id)
        .with(json!({ "by": "connection", "email": email_key(&address.written).unwrap_or_default() }));
    let made: Vec<Change> =
        vec![UserChange::Create(user).into(), MembershipChange::Create(Box::new(member)).into()];
    let plan = Plan::because(connection.organization, cause).then_all(event, made);
    // Who is new takes nobody's place, whoever's key it was; and could not be linked anew.
    let link = Link { signed_by: String::new(), ..link(connection, wish, (id, Rank::ROOT), moment) };
    let plan = linking(plan, link.clone(), wish, old);
    moment.apply(tx, &plan)?;
    claims::keep(tx, moment, arrival, id, wish.request)?;
    settle(tx, moment, id, cause)?;
    let settled = membership::find_locked(tx, id)?;
    let has_role =
        settled.is_some_and(|m| m.access.state == MembershipState::Active && m.access.role.is_some());
    // INVARIANT: an error rolls the whole transaction back, so a newcomer without a role leaves nothing.
    if has_role { Ok(link) } else { Err(SignInRefusal::NoRoleMapped.into()) }
}
