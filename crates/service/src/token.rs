//! Tokens of every kind, seen and ended by whoever has the right.

use portcullis_domain::cause::Cause;
use portcullis_domain::id::{AgentId, MembershipId, OrganizationId, TokenId};
use portcullis_domain::membership::Membership;
use portcullis_domain::permission::Permission;
use portcullis_store::token::TokenView;
use portcullis_store::{Tx, agent, membership, token};

use crate::agent::may_steer;
use crate::caller::Caller;
use crate::lead::may_manage;
use crate::member_key::end_one;
use crate::membership::must_not_outrank;
use crate::{Moment, ServiceError};

/// Whose a token is, as far as rights go.
enum Behind {
    /// It acts as, or is for, that member.
    Member(Membership),
    /// It acts as an agent of that member.
    AgentOf(Membership),
    /// It speaks for a directory or the organization.
    Nobody,
}

fn behind(tx: &mut Tx<'_>, organization: OrganizationId, holder: &str) -> Result<Behind, ServiceError> {
    if let Ok(id) = holder.parse::<MembershipId>() {
        return Ok(membership::find(tx, organization, id)?.map_or(Behind::Nobody, Behind::Member));
    }
    let Ok(id) = holder.parse::<AgentId>() else { return Ok(Behind::Nobody) };
    let owner = match agent::find(tx, organization, id)? {
        Some(agent) => membership::find(tx, organization, agent.owner)?,
        None => None,
    };
    Ok(owner.map_or(Behind::Nobody, Behind::AgentOf))
}

fn may_see(
    tx: &mut Tx<'_>,
    caller: &Caller,
    organization: OrganizationId,
    holder: &str,
) -> Result<(), ServiceError> {
    let read = caller.may(Permission::TokensRead, organization);
    if read.is_ok() {
        return Ok(());
    }
    let own = match behind(tx, organization, holder)? {
        Behind::Member(member) => {
            caller.membership() == Some(member.id)
                || may_manage(tx, caller, &member, Permission::TokensRead).is_ok()
        }
        Behind::AgentOf(owner) => may_steer(tx, caller, &owner).is_ok(),
        Behind::Nobody => false,
    };
    if own { Ok(()) } else { read }
}

/// A page of tokens in order of id: of one holder, if one is named. Without `tokens.read` one sees those that act as
/// oneself, as an agent that one may steer, or, for a lead, as somebody below them in their teams.
///
/// # Errors
/// [`ServiceError::Forbidden`].
pub fn list(
    tx: &mut Tx<'_>,
    caller: &Caller,
    organization: OrganizationId,
    holder: &str,
    (after, limit): (&str, i64),
) -> Result<Vec<TokenView>, ServiceError> {
    may_see(tx, caller, organization, holder)?;
    Ok(token::list_page(tx, organization, holder, after, limit)?)
}

/// A token.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`].
pub fn find(
    tx: &mut Tx<'_>,
    caller: &Caller,
    organization: OrganizationId,
    id: TokenId,
) -> Result<TokenView, ServiceError> {
    let found = token::find(tx, organization, id)?.ok_or(ServiceError::NotFound("token"))?;
    may_see(tx, caller, organization, &found.holder)?;
    Ok(found)
}

/// Ends a token, and those that it opened: one's own, an agent's that one may steer, as a lead those of people below
/// one, and with `tokens.write` any that does not belong to somebody of higher rank. One that ended already stays as it is.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`]; [`portcullis_domain::Refusal::AboveOwnRank`].
pub fn revoke(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, TokenId),
    cause: Cause,
) -> Result<(), ServiceError> {
    let found = token::find(tx, organization, id)?.ok_or(ServiceError::NotFound("token"))?;
    let write = caller.may(Permission::TokensWrite, organization);
    match behind(tx, organization, &found.holder)? {
        Behind::Member(member) if caller.membership() == Some(member.id) => {}
        Behind::Member(member) => may_manage(tx, caller, &member, Permission::TokensWrite)?,
        Behind::AgentOf(owner) => {
            if may_steer(tx, caller, &owner).is_err() {
                write?;
                must_not_outrank(tx, caller, &owner)?;
            }
        }
        Behind::Nobody => write?,
    }
    end_one(tx, moment, organization, &found, cause)
}
