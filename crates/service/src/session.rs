//! Sessions: opened at each sign-in with a new secret, of one membership in one environment; ended by signing out.
//!
//! A browser may hold several, of different organizations and environments. A new one takes the place of the former of
//! the same organization and environment, so that no secret outlives a sign-in (fixation ends here).

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::{Actor, Cause, CauseKind};
use portcullis_domain::change::{Change, TokenChange, TokenSet};
use portcullis_domain::connection::{Connection, Link};
use portcullis_domain::evaluation::{Bearer, is_confined, liveness};
use portcullis_domain::id::{MembershipId, OrganizationId, RequestId, TokenId};
use portcullis_domain::membership::Membership;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::secret::TokenSecret;
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, ShownTo, Token, TokenEnd, TokenKind};
use portcullis_store::{Tx, membership, token};
use serde_json::json;

use crate::evaluation::find_bearer;
use crate::token::issued;
use crate::{Limits, Moment, ServiceError};

/// The most sessions of one browser: as many as its cookie carries.
pub const MAX_IN_BROWSER: usize = 8;
/// The most sessions of one member: all of them end in one transaction with their holder.
const MAX_OF_MEMBER: usize = 100;
/// How many of them are looked at when there is one more: those of before this bound end over several sign-ins.
const MAX_LOOKED_AT: i64 = 200;

/// What a session is opened for.
pub struct Opening<'a> {
    /// Who signed in.
    pub membership: &'a Membership,
    /// Where the session acts.
    pub environment: Slug,
    /// By which link they came; `None` for local sign-in.
    pub link: Option<&'a Link>,
    /// When the provider wants it to have ended, if that is before our own limit.
    pub not_after: Option<Timestamp>,
    /// The session secrets that the browser holds already.
    pub presented: &'a [String],
    /// The operator's limits.
    pub limits: Limits,
    /// The request.
    pub request: RequestId,
}

/// A session that was opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its secret, for the browser's cookie and nothing else.
    pub secret: TokenSecret,
    /// Its token.
    pub token: TokenId,
    /// Whose it is.
    pub membership: MembershipId,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// The browser's other sessions that have not ended.
    pub kept: Vec<String>,
}

/// A session as its bearer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// The token.
    pub token: TokenId,
    /// The membership.
    pub membership: MembershipId,
    /// The organization.
    pub organization: OrganizationId,
    /// The organization's slug.
    pub organization_slug: Slug,
    /// Where it acts.
    pub environment: Option<Slug>,
    /// The person's address there.
    pub email: String,
    /// The person's name there.
    pub name: String,
    /// The role.
    pub role: Option<Slug>,
    /// When it ends in any case.
    pub expires_at: Option<Timestamp>,
    /// The only environment that it is worth anything in, where it is not worth the whole organization.
    pub confined_to: Option<Slug>,
    /// How far the link or the password is believed that opened it.
    pub believed_up_to: Rank,
    /// How high the lowest stood who chose the provider that it came by, if that waited for an owner when the session was
    /// opened, and does still.
    pub chosen_from: Option<Rank>,
}

/// The cause of what a person does by signing in.
#[must_use]
pub const fn cause(actor: Actor, request: RequestId) -> Cause {
    Cause { kind: CauseKind::SignIn, actor, request: Some(request), ..Cause::system() }
}

/// A live session behind a presented secret.
fn live(tx: &mut Tx<'_>, presented: &str, now: Timestamp) -> Result<Option<Bearer>, ServiceError> {
    let session = |b: &Bearer| b.kind == TokenKind::Session && liveness(b, now).is_allowed();
    Ok(find_bearer(tx, presented, now)?.filter(session))
}

/// A session behind a presented secret that has not ended and may act, now or again: one that rests (its member is suspended,
/// held, or stands above whom it is believed of) acts the moment that is over, and what is known of its last use may be
/// behind. Whoever takes such a secret away from a browser ends it, or it would live on unseen.
fn unended(tx: &mut Tx<'_>, presented: &str, now: Timestamp) -> Result<Option<Bearer>, ServiceError> {
    let is_one = |b: &Bearer| {
        b.kind == TokenKind::Session && b.ended_at.is_none() && b.expires_at.is_none_or(|until| now < until)
    };
    Ok(find_bearer(tx, presented, now)?.filter(is_one))
}

/// Whether any of what a browser presents is a session that has not ended.
///
/// # Errors
/// [`ServiceError::Store`].
pub(crate) fn has_any(tx: &mut Tx<'_>, presented: &[String], now: Timestamp) -> Result<bool, ServiceError> {
    for secret in presented.iter().take(MAX_IN_BROWSER) {
        if unended(tx, secret, now)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens a session for somebody who proved who they are. Their membership must be active: the store refuses otherwise.
///
/// # Errors
/// [`ServiceError::Refused`] with `member_inactive`.
pub fn open(tx: &mut Tx<'_>, moment: &mut Moment, opening: &Opening<'_>) -> Result<Opened, ServiceError> {
    let (now, membership) = (moment.now, opening.membership);
    let mut kept = Vec::new();
    let mut replaced = Vec::new();
    for secret in opening.presented.iter().take(MAX_IN_BROWSER) {
        let Some(bearer) = unended(tx, secret, now)? else { continue };
        let same = bearer.organization == membership.organization
            && bearer.environment.as_ref() == Some(&opening.environment);
        if same { replaced.push(bearer.token) } else { kept.push((secret.clone(), bearer)) }
    }
    let secret = TokenSecret::fresh(TokenKind::Session, &mut moment.random);
    let limit = now.plus_s(opening.limits.session_absolute_s);
    let expires_at = opening.not_after.map_or(limit, |end| end.min(limit));
    let believed_up_to = opening.link.map_or(membership.believed_up_to, |link| link.believed_up_to);
    let token = Token {
        environment: Some(opening.environment.clone()),
        confined_at: is_confined(&opening.environment, &membership.access.environments).then_some(now),
        connection: opening.link.map(|link| link.connection),
        subject: opening.link.map(|link| link.subject.clone()),
        expires_at: Some(expires_at),
        max_idle_s: Some(opening.limits.session_idle_s),
        ..Token::new(
            TokenId::fresh(now, &mut moment.random),
            membership.organization,
            (TokenKind::Session, Holder::Membership(membership.id)),
            (ShownTo::Bearer, believed_up_to),
            secret.hash(),
            now,
        )
    };
    let id = token.id;
    let signed_in = EventDraft::new(Action::SignInSucceeded, membership.id)
        .about(id)
        .with(json!({ "connection": token.connection, "environment": opening.environment }));
    let told = issued(&token);
    replaced.extend(too_many(tx, membership, &replaced, now)?);
    let mut changes: Vec<Change> =
        replaced.into_iter().map(|old| end(old, TokenEnd::Replaced, now)).collect();
    changes.push(TokenChange::Issue(Box::new(token)).into());
    let cause = cause(Actor::Membership(membership.id), opening.request);
    let plan = Plan::because(membership.organization, cause).noting(signed_in).then_all(told, changes);
    moment.apply(tx, &plan)?;
    // What no longer fits into the cookie would live on unseen, so it ends: the oldest first.
    kept.sort_by_key(|(_, bearer)| std::cmp::Reverse(bearer.issued_at));
    for (_, bearer) in kept.iter().skip(MAX_IN_BROWSER - 1) {
        end_session(tx, moment, bearer, TokenEnd::Replaced, opening.request)?;
    }
    kept.truncate(MAX_IN_BROWSER - 1);
    let kept = kept.into_iter().map(|(secret, _)| secret).collect();
    Ok(Opened { secret, token: id, membership: membership.id, expires_at, kept })
}

/// Which sessions give way to one more, beside those that end anyhow: whoever signs in is not refused, and nobody has more than
/// end with them in one transaction.
fn too_many(
    tx: &mut Tx<'_>,
    of: &Membership,
    ending: &[TokenId],
    now: Timestamp,
) -> Result<Vec<TokenId>, ServiceError> {
    let mut living = token::living_sessions(tx, (of.organization, of.id), MAX_LOOKED_AT, now)?;
    living.retain(|one| !ending.contains(one));
    let over = (living.len() + 1).saturating_sub(MAX_OF_MEMBER);
    living.truncate(over);
    Ok(living)
}

fn end(token: TokenId, because: TokenEnd, at: Timestamp) -> Change {
    TokenChange::ended(TokenSet::One(token), because, at).into()
}

/// Ends one session of a browser. The rows that end make its audit event.
fn end_session(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    bearer: &Bearer,
    because: TokenEnd,
    request: RequestId,
) -> Result<(), ServiceError> {
    let actor = bearer.member.as_ref().map_or(Actor::System, |m| Actor::Membership(m.id));
    let event = EventDraft::new(Action::SignedOut, bearer.token).with(json!({ "because": because.as_str() }));
    let cause = cause(actor, request).by(bearer.token);
    let plan = Plan::because(bearer.organization, cause).then(event, end(bearer.token, because, moment.now));
    moment.apply(tx, &plan)?;
    Ok(())
}

/// Ends a session because its provider says that it is over. The caller forgets whom the provider meant by it.
///
/// # Errors
/// [`ServiceError::Store`].
pub(crate) fn end_by_provider(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    of: &Connection,
    token: TokenId,
    request: RequestId,
) -> Result<(), ServiceError> {
    let cause = Cause {
        kind: CauseKind::SignIn,
        actor: Actor::Directory(of.claims_directory),
        token: None,
        request: Some(request),
        event: None,
        directory: Some(of.claims_directory),
    };
    let because = TokenEnd::SignedOut;
    let event = EventDraft::new(Action::SignedOut, token)
        .about(of.id)
        .with(json!({ "because": because.as_str(), "by": "provider" }));
    let plan = Plan::because(of.organization, cause).then(event, end(token, because, moment.now));
    moment.apply(tx, &plan)?;
    Ok(())
}

/// The live sessions behind what a browser presents, in its order.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(tx: &mut Tx<'_>, presented: &[String], now: Timestamp) -> Result<Vec<SessionView>, ServiceError> {
    let mut views = Vec::new();
    for secret in presented.iter().take(MAX_IN_BROWSER) {
        let Some(bearer) = live(tx, secret, now)? else { continue };
        let confined_to = bearer.confined_to().cloned();
        let Some(member) = bearer.member else { continue };
        views.push(SessionView {
            token: bearer.token,
            membership: member.id,
            organization: bearer.organization,
            organization_slug: bearer.organization_slug,
            environment: bearer.environment,
            email: member.email,
            name: member.name,
            role: member.role,
            expires_at: bearer.expires_at,
            confined_to,
            believed_up_to: bearer.believed_up_to,
            chosen_from: bearer.chosen_from,
        });
    }
    Ok(views)
}

/// The live session from which somebody links an account at that connection; from which that member does, if they are named.
/// Of several it is the one that vouches for most: one whose provider an owner has confirmed, then the one that is believed
/// furthest, whichever was opened last.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn linking(
    tx: &mut Tx<'_>,
    presented: &[String],
    (connection, of): (&Connection, Option<MembershipId>),
    now: Timestamp,
) -> Result<Option<SessionView>, ServiceError> {
    let may_link = |s: &SessionView| s.may_link(connection) && of.is_none_or(|member| member == s.membership);
    let vouches = |s: &SessionView| (s.chosen_from.is_none(), s.believed_up_to);
    // Of two that vouch for as much it is the first.
    Ok(list(tx, presented, now)?.into_iter().rev().filter(may_link).max_by_key(vouches))
}

impl SessionView {
    /// Whether it may link the person at that connection: by what it is linked to one signs in there.
    #[must_use]
    pub fn may_link(&self, connection: &Connection) -> bool {
        let is_there = self.confined_to.as_ref().is_none_or(|own| *own == connection.environment);
        self.organization == connection.organization && is_there
    }
}

/// Which sessions a person signs out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignOut {
    /// Every session of this browser.
    All,
    /// That one.
    One(TokenId),
}

impl SignOut {
    /// Whether that session is among them.
    #[must_use]
    pub fn includes(self, token: TokenId) -> bool {
        self == Self::All || self == Self::One(token)
    }
}

/// What became of the sessions of a browser that signed out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Those that ended, in the browser's order.
    pub ended: Vec<TokenId>,
    /// The secrets of those that have not ended, for the cookie.
    pub kept: Vec<String>,
}

/// Signs out: the sessions end, those that rest too, and those that live on are given back for the cookie.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn sign_out(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    presented: &[String],
    which: SignOut,
    request: RequestId,
) -> Result<Left, ServiceError> {
    let (mut left, mut ending) = (Left::default(), Vec::new());
    for secret in presented.iter().take(MAX_IN_BROWSER) {
        let Some(bearer) = unended(tx, secret, moment.now)? else { continue };
        if which.includes(bearer.token) {
            ending.push(bearer);
        } else {
            left.kept.push(secret.clone());
        }
    }
    // What is done by a session is kept before this, or not at all. Memberships are locked in the order of their ids.
    let mut holders: Vec<MembershipId> =
        ending.iter().filter_map(|of| Some(of.member.as_ref()?.id)).collect();
    holders.sort_unstable();
    for holder in holders {
        membership::lock(tx, holder)?;
    }
    for bearer in &ending {
        end_session(tx, moment, bearer, TokenEnd::SignedOut, request)?;
        left.ended.push(bearer.token);
    }
    Ok(left)
}
