//! How a token that somebody names is made, whoever holds it, and how one is ended.
//!
//! Every kind goes this way: keys of members and agents, service keys and the tokens of directories. The secret is shown
//! once, to somebody who is here. The links by which people come in are made here too.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{TokenChange, TokenSet};
use portcullis_domain::id::{MembershipId, OrganizationId, TokenId};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::secret::TokenSecret;
use portcullis_domain::text::{Slug, name};
use portcullis_domain::token::{Holder, ShownTo, Token, TokenEnd, TokenKind};
use portcullis_domain::{Refusal, Timestamp};
use portcullis_store::db::Lock;
use portcullis_store::token::TokenView;
use portcullis_store::{Tx, token};
use serde_json::json;

use crate::{Moment, ServiceError};

/// A token that was issued just now, and the only sight of its secret.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: Token,
    /// Its secret.
    pub secret: TokenSecret,
}

/// What a token that is to be issued says of itself.
pub(crate) struct Draft {
    pub(crate) organization: OrganizationId,
    pub(crate) kind: TokenKind,
    pub(crate) holder: Holder,
    pub(crate) parent: Option<TokenId>,
    pub(crate) shown_to: ShownTo,
    pub(crate) believed_up_to: Rank,
    pub(crate) name: String,
    pub(crate) environment: Option<Slug>,
    pub(crate) confined_at: Option<Timestamp>,
    pub(crate) scopes: Vec<portcullis_domain::token::Scope>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Refuses to show a secret to somebody who has left since they were let in: their off-boarding has ended already
/// what was shown to them (invariant I1).
pub(crate) fn must_be_here(tx: &mut Tx<'_>, shown_to: ShownTo) -> Result<(), ServiceError> {
    let ShownTo::Membership(id) = shown_to else { return Ok(()) };
    let here = portcullis_store::membership::find_locked(tx, id)?.is_some_and(|m| m.ended.is_none());
    if here { Ok(()) } else { Err(Refusal::MemberInactive.into()) }
}

/// How many of a kind a holder may have that can act. All of a leaver's end in one transaction, an audit row and a line of the
/// receipt each; nobody in earnest comes near.
#[must_use]
pub const fn max_of(kind: TokenKind) -> i64 {
    match kind {
        TokenKind::ServiceKey | TokenKind::ScimToken => 10_000,
        TokenKind::MemberKey => 1000,
        TokenKind::AgentKey | TokenKind::Session | TokenKind::Invitation | TokenKind::OwnerLink => 100,
    }
}

/// Refuses one more where a holder has as many of that kind as may act at a time. Two who ask at once may both get one.
fn must_have_room_for_token(tx: &mut Tx<'_>, draft: &Draft, now: Timestamp) -> Result<(), ServiceError> {
    let most = max_of(draft.kind);
    let there = token::count_living(tx, draft.organization, (draft.holder, draft.kind), most, now)?;
    if there < most { Ok(()) } else { Err(Refusal::TooManyKeys.into()) }
}

/// Issues a token that somebody names: a key of a member, an agent or the organization.
///
/// # Errors
/// [`ServiceError::Invalid`] for an expiry in the past; [`Refusal::TooManyKeys`]; a refusal of the name.
pub(crate) fn issue_named(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    draft: Draft,
    cause: Cause,
) -> Result<Issued, ServiceError> {
    let now = moment.now;
    if draft.expires_at.is_some_and(|at| at <= now) {
        return Err(ServiceError::invalid("expires_at", "must be in the future"));
    }
    must_be_here(tx, draft.shown_to)?;
    must_have_room_for_token(tx, &draft, now)?;
    let secret = TokenSecret::fresh(draft.kind, &mut moment.random);
    let token = Token {
        parent: draft.parent,
        name: name(&draft.name).map_err(ServiceError::text("name"))?,
        environment: draft.environment,
        confined_at: draft.confined_at,
        scopes: draft.scopes,
        expires_at: draft.expires_at,
        ..Token::new(
            TokenId::fresh(now, &mut moment.random),
            draft.organization,
            (draft.kind, draft.holder),
            (draft.shown_to, draft.believed_up_to),
            secret.hash(),
            now,
        )
    };
    let plan = Plan::because(draft.organization, cause)
        .then(issued(&token), TokenChange::Issue(Box::new(token.clone())));
    moment.apply(tx, &plan)?;
    Ok(Issued { token, secret })
}

/// What a link says of itself by which somebody who waits comes in.
pub(crate) struct Link {
    pub(crate) organization: OrganizationId,
    pub(crate) kind: TokenKind,
    pub(crate) membership: MembershipId,
    pub(crate) address_key: String,
    pub(crate) parent: Option<TokenId>,
    pub(crate) shown_to: ShownTo,
    pub(crate) believed_up_to: Rank,
    pub(crate) good_for_s: i64,
}

/// Makes a link, for a plan to issue.
pub(crate) fn link(moment: &mut Moment, of: Link) -> (Token, TokenSecret) {
    let now = moment.now;
    let secret = TokenSecret::fresh(of.kind, &mut moment.random);
    let token = Token {
        parent: of.parent,
        address_key: Some(of.address_key),
        expires_at: Some(now.plus_s(of.good_for_s)),
        ..Token::new(
            TokenId::fresh(now, &mut moment.random),
            of.organization,
            (of.kind, Holder::Membership(of.membership)),
            (of.shown_to, of.believed_up_to),
            secret.hash(),
            now,
        )
    };
    (token, secret)
}

/// The event of a token that is issued, whatever its kind: what it is worth, and on whose word.
pub(crate) fn issued(token: &Token) -> EventDraft {
    EventDraft::new(Action::TokenIssued, token.id).about(token.holder).with(json!({
        "kind": token.kind.as_str(),
        "name": token.name,
        "environment": token.environment,
        "confined": token.confined_at.is_some(),
        "scopes": token.scopes,
        "shown_to": token.shown_to,
        "parent": token.parent,
        "believed_up_to": token.believed_up_to,
        "expires_at": token.expires_at.map(Timestamp::rfc3339),
    }))
}

/// Ends one token and those that it opened. One that ended already stays as it is.
pub(crate) fn end_one(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    found: &TokenView,
    cause: Cause,
) -> Result<(), ServiceError> {
    if found.ended_at.is_some() {
        return Ok(());
    }
    if found.kind == TokenKind::ScimToken {
        // What a directory says by it is kept before this, or not at all.
        tx.lock(Lock::Organization(organization))?;
    }
    if let Some(holder) = found.holder.membership() {
        // As is what its holder does by it.
        portcullis_store::membership::lock(tx, holder)?;
    }
    let end = TokenChange::ended(TokenSet::One(found.id), TokenEnd::Revoked, moment.now);
    let event = EventDraft::new(Action::TokenRevoked, found.id).about(found.holder);
    moment.apply(tx, &Plan::because(organization, cause).then(event, end))?;
    Ok(())
}
