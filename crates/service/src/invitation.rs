//! Invitations: a membership that waits, a role by grant of who invited, and a link that is good for one person.
//!
//! Opening the link shows a page and uses nothing; only the form behind it does, so that a mail scanner cannot accept
//! in somebody's place. The first-owner link of an organization is accepted the same way.

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::{Actor, Cause};
use portcullis_domain::change::{
    Change, GrantChange, MembershipChange, TokenChange, TokenSet, TombstoneChange, UserChange,
};
use portcullis_domain::grant::Grant;
use portcullis_domain::id::{GrantId, MembershipId, OrganizationId, TokenId, UserId};
use portcullis_domain::membership::{Membership, MembershipState, Newcomer};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{Rank, Role, may_give};
use portcullis_domain::secret::{SecretHash, TokenSecret};
use portcullis_domain::text::{Slug, email_key};
use portcullis_domain::token::{TokenEnd, TokenKind};
use portcullis_domain::tombstone::Identifier;
use portcullis_domain::user::{AuthenticatorKind, User};
use portcullis_store::db::Lock;
use portcullis_store::invitation::Invitation;
use portcullis_store::token::{LiveToken, Seen};
use portcullis_store::user::Authenticator;
use portcullis_store::{Priority, Tx, facts, invitation, membership, organization, role, token, user};
use secrecy::SecretString;
use serde_json::json;

use crate::access::{off_board_member, settle};
use crate::caller::Caller;
use crate::error::Taken;
use crate::membership::rank_of;
use crate::noun::Noun;
use crate::organization::must_live;
use crate::password;
use crate::refusal::SignInRefusal;
use crate::session::{self, Opened};
use crate::sign_in::Visitor;
use crate::token::{Link, issued, link, must_be_here};
use crate::{Moment, Portcullis, ServiceError, Surroundings, local};

/// Seconds for which an invitation is good: a week, holidays included.
pub const GOOD_FOR_S: i64 = 7 * 24 * 3600;
/// Where the hosted page is that takes the link.
const PAGE: &str = "/invite";
/// What an error calls it.
const NOUN: Noun = Noun::Invitation;

/// An invitation that was made.
#[derive(Debug, Clone)]
pub struct Invited {
    /// The invitation.
    pub invitation: Invitation,
    /// The secret of its link, shown once.
    pub secret: TokenSecret,
}

/// The text of a link.
#[must_use]
pub fn text(around: &Surroundings, secret: &TokenSecret) -> String {
    format!("{}?token={}", around.url(PAGE), secret.expose())
}

/// Invites somebody to a role, by the rank of who invites.
///
/// Inviting an address anew takes the former invitation's place, and lifts what lies on the address of somebody who
/// left.
///
/// # Errors
/// [`ServiceError::Taken`] if a member has the address, [`portcullis_domain::Refusal::AboveOwnRank`],
/// [`ServiceError::NotFound`] for an unknown role.
pub fn create(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    caller: &Caller,
    (email, slug): (&str, &Slug),
    cause: Cause,
) -> Result<Invited, ServiceError> {
    let key = email_key(email).map_err(ServiceError::text("email"))?;
    tx.lock(Lock::Organization(organization))?;
    must_live(tx, organization)?;
    let role = role::find_by_slug(tx, organization, slug)?.ok_or(ServiceError::NotFound(Noun::Role))?;
    may_give(caller.rank(), role.rank)?;
    let mut living = membership::living_by_email(tx, organization, &key)?;
    let waiting = match living.pop() {
        None => None,
        Some(m) if m.access.state == MembershipState::Invited && living.is_empty() => Some(m),
        Some(_) => return Err(ServiceError::Taken(Taken::MemberEmail)),
    };
    let id = match waiting {
        Some(member) => take_back(tx, moment, caller, &member, cause)?,
        None => create_waiting(tx, moment, organization, (email, &key), cause)?,
    };
    let (invited, secret) = issue(tx, moment, caller, (organization, id, &key), &role, cause)?;
    settle(tx, moment, id, cause)?;
    let invitation = invitation::find(tx, organization, invited)?.ok_or(ServiceError::NotFound(NOUN))?;
    Ok(Invited { invitation, secret })
}

/// Makes the membership that waits.
fn create_waiting(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    (email, key): (&str, &str),
    cause: Cause,
) -> Result<MembershipId, ServiceError> {
    let now = moment.now;
    let user = User::new(UserId::fresh(now, &mut moment.random), now);
    let who = Newcomer {
        id: MembershipId::fresh(now, &mut moment.random),
        organization,
        user: user.id,
        email: email.trim().to_owned(),
        name: String::new(),
    };
    let member = Membership::new(who, MembershipState::Invited, facts::rules_number(tx, organization)?, now);
    let id = member.id;
    let event = EventDraft::new(Action::MemberInvited, id).with(json!({ "email": key }));
    // An administrator names the address anew; what else the former person had stays behind.
    let named = vec![Identifier::email(key), Identifier::user_name(key)];
    let changes: Vec<Change> = vec![
        UserChange::Create(user).into(),
        MembershipChange::Create(Box::new(member)).into(),
        TombstoneChange::LiftNamed(named).into(),
    ];
    let plan = Plan::because(organization, cause).then_all(event, changes);
    moment.apply(tx, &plan)?;
    Ok(id)
}

/// Takes back what somebody who still waits was invited with before.
fn take_back(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    member: &Membership,
    cause: Cause,
) -> Result<MembershipId, ServiceError> {
    may_give(caller.rank(), rank_of(tx, member.organization, member.role())?)?;
    let event = EventDraft::new(Action::MemberInvited, member.id).with(json!({ "again": true }));
    let changes: Vec<Change> = vec![
        GrantChange::EndOf { membership: member.id, keep: None, at: moment.now }.into(),
        TokenChange::ended(TokenSet::InvitationsOf(member.id), TokenEnd::Replaced, moment.now).into(),
    ];
    let plan = Plan::because(member.organization, cause).then_all(event, changes);
    moment.apply(tx, &plan)?;
    Ok(member.id)
}

/// Grants the role, by who invites, and issues the link.
fn issue(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, membership, key): (OrganizationId, MembershipId, &str),
    role: &Role,
    cause: Cause,
) -> Result<(TokenId, TokenSecret), ServiceError> {
    let now = moment.now;
    must_be_here(tx, caller.shown_to())?;
    let grant = Grant {
        id: GrantId::fresh(now, &mut moment.random),
        organization,
        membership,
        role: role.slug.clone(),
        granted_by: caller.membership(),
        reason: "invited".to_owned(),
        request: cause.request,
        created_at: now,
        ended_at: None,
    };
    let draft = Link {
        organization,
        kind: TokenKind::Invitation,
        membership,
        address_key: key.to_owned(),
        parent: caller.parent()?,
        shown_to: caller.shown_to(),
        believed_up_to: caller.believed_up_to(),
        good_for_s: GOOD_FOR_S,
    };
    let (link, secret) = link(moment, draft);
    let id = link.id;
    let granted = EventDraft::new(Action::GrantCreated, grant.id)
        .about(membership)
        .with(json!({ "role": grant.role, "reason": grant.reason }));
    let plan = Plan::because(organization, cause)
        .then(granted, GrantChange::Create(grant))
        .then(issued(&link), TokenChange::Issue(Box::new(link)));
    moment.apply(tx, &plan)?;
    Ok((id, secret))
}

/// An invitation.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: TokenId) -> Result<Invitation, ServiceError> {
    invitation::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))
}

/// A page of invitations, ended ones too.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: &str,
    limit: i64,
) -> Result<Vec<Invitation>, ServiceError> {
    Ok(invitation::list(tx, organization, after, limit)?)
}

/// Takes an invitation back. Somebody who still waits is off-boarded with it: no other way in stays open.
///
/// # Errors
/// [`ServiceError::NotFound`], [`portcullis_domain::Refusal::AboveOwnRank`].
pub fn delete(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (organization, id): (OrganizationId, TokenId),
    caller: &Caller,
    cause: Cause,
) -> Result<(), ServiceError> {
    tx.lock(Lock::Rules(organization))?;
    let waits = find(tx, organization, id)?.membership;
    let member = membership::find_locked(tx, waits)?.ok_or(ServiceError::NotFound(NOUN))?;
    // Whoever invites anew or accepts holds the member too: once it is held here, it says what became of it.
    if find(tx, organization, id)?.ended.is_some() {
        return Ok(());
    }
    may_give(caller.rank(), rank_of(tx, member.organization, member.role())?)?;
    if member.access.state == MembershipState::Invited {
        off_board_member(tx, moment, organization, member.id, "the invitation was taken back", cause)?;
        return Ok(());
    }
    let event =
        EventDraft::new(Action::MemberUpdated, member.id).with(json!({ "invitation_taken_back": id }));
    let end = TokenChange::ended(TokenSet::One(id), TokenEnd::Revoked, moment.now);
    let plan = Plan::because(organization, cause).then(event, end);
    moment.apply(tx, &plan)?;
    Ok(())
}

/// What a link's page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkView {
    /// The organization's name.
    pub organization: String,
    /// The address that it is for.
    pub email: String,
    /// The role that waits.
    pub role: Option<Slug>,
}

/// A link that can be accepted now, with the membership that waits and the authenticators at its address.
struct Open {
    link: LiveToken,
    member: Membership,
    /// How high the lowest stands who saw it.
    seen_from: Rank,
    key: String,
    known: Vec<Authenticator>,
}

/// Why a link is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// To see what it is for: nothing is locked, and nothing may follow from it.
    See,
    /// To accept it: everybody whom it depends on stays as they are until the end of the transaction.
    Accept,
}

fn open_link(tx: &mut Tx<'_>, hash: &SecretHash, look: Look, now: Timestamp) -> Result<Open, ServiceError> {
    let invalid = || ServiceError::LinkInvalid;
    let link = token::live_by_hash(tx, hash)?.ok_or_else(invalid)?;
    let right_kind = matches!(link.kind, TokenKind::Invitation | TokenKind::OwnerLink);
    if !right_kind || link.expires_at.is_none_or(|at| now >= at) {
        return Err(invalid());
    }
    let id = link.membership.ok_or_else(invalid)?;
    if look == Look::Accept {
        tx.lock(Lock::Rules(link.organization))?;
    }
    let seen = token::seen_by(tx, link.organization, link.id)?.ok_or_else(invalid)?;
    let member = match look {
        Look::See => membership::find(tx, link.organization, id)?,
        Look::Accept => {
            for one in &seen.by {
                membership::lock(tx, *one)?;
            }
            membership::find_locked(tx, id)?
        }
    };
    let member = member.ok_or_else(invalid)?;
    let waits = matches!(member.access.state, MembershipState::Invited | MembershipState::Active);
    if !waits || organization::find(tx, link.organization)?.is_none() {
        return Err(invalid());
    }
    // Once more, now that the membership is held: it may have been taken back while that was waited for.
    token::live_by_hash(tx, hash)?.ok_or_else(invalid)?;
    if !may_stand_for(tx, &seen, &member, now)? {
        return Err(invalid());
    }
    let seen_from = lowest(tx, member.organization, &seen, now)?;
    let key = email_key(&member.email)?;
    let known = user::authenticators_at(tx, &key)?;
    Ok(Open { link, member, seen_from, key, known })
}

/// How high the lowest stands who saw the link, or who may have chosen the password of the session that sent it; they are
/// active.
fn lowest(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    seen: &Seen,
    now: Timestamp,
) -> Result<Rank, ServiceError> {
    let mut lowest = seen.believed_up_to;
    for one in &seen.by {
        let one = crate::membership::find(tx, organization, *one, now)?;
        lowest = lowest.min(rank_of(tx, one.organization, one.role())?);
    }
    Ok(lowest)
}

/// Whether each who saw the link's secret is active and stands as high as the person whom it is for. The link of
/// somebody who is suspended or held would be their own way back, and a person who has come to stand above them would
/// lift them to their rank: that one is invited anew by somebody who stands as high. So would one that was sent from a session
/// whose password is believed less far than that.
fn may_stand_for(
    tx: &mut Tx<'_>,
    seen: &Seen,
    member: &Membership,
    now: Timestamp,
) -> Result<bool, ServiceError> {
    if seen.believed_up_to < rank_of(tx, member.organization, member.role())? {
        return Ok(false);
    }
    for one in &seen.by {
        let one = match crate::membership::find(tx, member.organization, *one, now) {
            Err(ServiceError::NotFound(Noun::Member)) => return Ok(false),
            found => found?,
        };
        if one.access.state != MembershipState::Active
            || rank_of(tx, one.organization, one.role())? < rank_of(tx, member.organization, member.role())?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether somebody who waits may still come in: a link of theirs is good, and whoever saw it stands for it.
///
/// Coming in by a connection accepts the invitation, so that way is open only as long as the link is.
pub(crate) fn is_open(tx: &mut Tx<'_>, member: &Membership, now: Timestamp) -> Result<bool, ServiceError> {
    for seen in invitation::live_of(tx, member.organization, member.id, now)? {
        for saw in seen.by {
            membership::lock(tx, saw)?;
        }
    }
    membership::lock(tx, member.id)?;
    // Once more, now that all are held: a link may have ended while they were waited for.
    for seen in invitation::live_of(tx, member.organization, member.id, now)? {
        if may_stand_for(tx, &seen, member, now)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn parse(secret: &str) -> Result<SecretHash, ServiceError> {
    match TokenSecret::parse(secret) {
        Ok((TokenKind::Invitation | TokenKind::OwnerLink, secret)) => Ok(secret.hash()),
        _ => Err(ServiceError::LinkInvalid),
    }
}

/// What a link is for. Nothing is used by asking.
///
/// # Errors
/// [`ServiceError::LinkInvalid`] alike for an unknown, used, ended or expired one.
pub async fn show(portcullis: &Portcullis, secret: &str) -> Result<LinkView, ServiceError> {
    let hash = parse(secret)?;
    portcullis
        .read(move |tx, now| {
            let open = open_link(tx, &hash, Look::See, now)?;
            let found = organization::find(tx, open.link.organization)?.ok_or(ServiceError::LinkInvalid)?;
            let role = open.member.role().cloned();
            Ok(LinkView { organization: found.name, email: open.member.email, role })
        })
        .await
}

/// Accepts a link: the person says a password and is signed in. If it is one that somebody has here at that address,
/// they are that person in one more organization; else it is the new password of a new one. Nobody learns which addresses
/// are known, and nobody who was invited first keeps the address from others
/// ([why](../../../docs/decisions/0027-an-address-belongs-to-whoever-proves-it.md)).
///
/// # Errors
/// [`ServiceError::LinkInvalid`], [`ServiceError::Invalid`] for a password that may not be one,
/// [`SignInRefusal::WrongPassword`], [`ServiceError::Taken`] for the password of somebody who is here already, under whatever
/// address; [`ServiceError::TooMany`].
pub async fn accept(
    portcullis: &Portcullis,
    secret: &str,
    password: SecretString,
    visitor: Visitor,
) -> Result<Opened, ServiceError> {
    let hash = parse(secret)?;
    let asked = hash.clone();
    let (member, key, known) = portcullis
        .read(move |tx, now| {
            let open = open_link(tx, &asked, Look::See, now)?;
            Ok((open.member, open.key, open.known))
        })
        .await?;
    password::check(&password, &key)?;
    // Right or new, the try stays counted at the address: what it costs must not say which of the two it was. Whoever has the
    // link is at home by it: where the address has had its tries, nobody elsewhere keeps them from joining, and it is
    // compared with nobody else's.
    let mut counted = local::admit(portcullis, &key, &visitor, &[member.user])?;
    counted.spare_source(portcullis);
    let mut random = portcullis.moment().random;
    let hashed = portcullis.door().passwords.hash_beside(password, &known, &mut random).await;
    let said = hashed.inspect_err(|_| counted.take_back(portcullis))?;
    let own = known.iter().find(|one| one.user == member.user);
    let is_right = |one: &&Authenticator| counted.admits(one) && said.fits(one);
    let right = own.or_else(|| known.iter().find(is_right)).cloned();
    if own.is_some_and(|own| !said.fits(own)) {
        return Err(SignInRefusal::WrongPassword.into());
    }
    let said = said.into_kept();
    let limits = portcullis.around().limits;
    portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            // Before anything else is: of two who choose a password at one address at once the second meets the first one's.
            tx.lock(Lock::Address(key.clone()))?;
            let open = open_link(tx, &hash, Look::Accept, moment.now)?;
            let what = right.as_ref().map_or(Said::New(&said), Said::Known);
            if open.key != key || !are_known_still(tx, (&key, &known), (Some(open.member.user), what))? {
                return Err(ServiceError::LinkInvalid);
            }
            join(tx, moment, &open, what, &visitor)?;
            let member = membership::find_locked(tx, open.member.id)?.ok_or(ServiceError::LinkInvalid)?;
            local::open(tx, moment, &member, (&visitor, limits))
        })
        .await
}

/// Whether the address still has the passwords that it had when this one was compared with them. The person whose it is and
/// the one whom the link is for are held from here on: the end of their last membership elsewhere takes them away.
pub(crate) fn are_known_still(
    tx: &mut Tx<'_>,
    (key, known): (&str, &[Authenticator]),
    (meant, said): (Option<UserId>, Said<'_>),
) -> Result<bool, ServiceError> {
    let right = match said {
        Said::Known(right) => Some(right.user),
        Said::New(_) => None,
    };
    let mut users: Vec<UserId> = meant.into_iter().chain(right).collect();
    users.sort_unstable();
    for one in users {
        user::find_locked(tx, one)?;
    }
    Ok(user::authenticators_at(tx, key)? == known)
}

/// The password that somebody said who accepts a link.
#[derive(Clone, Copy)]
pub(crate) enum Said<'a> {
    /// One that somebody has here at that address.
    Known(&'a Authenticator),
    /// A new one, by its hash.
    New(&'a str),
}

/// Whose the membership is, once somebody has said that password.
///
/// INVARIANT I3: a user who is, or was, anything beside this has a password by no link of this organization, whoever said that
/// the membership is theirs. While they wait, a new one is a new person's; else they are somebody already.
fn whose(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    member: &Membership,
    said: Said<'_>,
) -> Result<UserId, ServiceError> {
    let is_alone = !membership::is_known_elsewhere(tx, member.user, member.id)?;
    let waits = is_alone || member.access.state == MembershipState::Invited;
    match said {
        Said::Known(known) if known.user == member.user => Ok(known.user),
        _ if !waits => Err(ServiceError::LinkInvalid),
        Said::Known(known) if membership::is_in(tx, member.organization, known.user)? => {
            Err(ServiceError::Taken(Taken::Member))
        }
        Said::Known(known) => Ok(known.user),
        Said::New(_) if is_alone => Ok(member.user),
        Said::New(_) => Ok(UserId::fresh(moment.now, &mut moment.random)),
    }
}

/// Gives the membership its life, the user their password, and ends the link.
fn join(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    open: &Open,
    said: Said<'_>,
    visitor: &Visitor,
) -> Result<(), ServiceError> {
    let (now, member) = (moment.now, &open.member);
    let cause = session::cause(Actor::Membership(member.id), visitor.request);
    let mut changes: Vec<Change> = vec![MembershipChange::Join(member.id, now).into()];
    let (mut believed_up_to, mut ends) = (member.believed_up_to, false);
    if !matches!(said, Said::Known(own) if own.user == member.user) {
        // Each who saw the link may be who opens it.
        changes.push(MembershipChange::Believe(member.id, open.seen_from).into());
        believed_up_to = open.seen_from;
    }
    let user = whose(tx, moment, member, said)?;
    if user != member.user {
        if matches!(said, Said::New(_)) {
            changes.push(UserChange::Create(User::new(user, now)).into());
        }
        changes.push(MembershipChange::SetUser(member.id, user).into());
        // INVARIANT I3: whoever lives on elsewhere keeps what they prove themselves with there.
        ends = !membership::lives_elsewhere(tx, member.user, member.id)?;
    }
    changes.push(TokenChange::ended(TokenSet::One(open.link.id), TokenEnd::Used, now).into());
    let joined = EventDraft::new(Action::MemberJoined, member.id).about(open.link.id).with(json!({
        "user": { "from": member.user, "to": user }, "believed_up_to": believed_up_to,
    }));
    let mut plan = Plan::because(member.organization, cause).then_all(joined, changes);
    if ends {
        let ended = EventDraft::new(Action::UserEnded, member.user).about(member.id);
        plan = plan.then(ended, UserChange::End(member.user, now));
    }
    if let Said::New(secret) = said {
        let set = UserChange::SetAuthenticator {
            user,
            kind: AuthenticatorKind::Password,
            secret: secret.to_owned(),
            email_key: open.key.clone(),
            at: now,
        };
        let event = EventDraft::new(Action::PasswordSet, user).about(member.id);
        plan = plan.then(event, set);
    }
    moment.apply(tx, &plan)?;
    settle(tx, moment, member.id, cause)?;
    Ok(())
}
