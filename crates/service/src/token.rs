//! Tokens of every kind, seen and ended by whoever has the right.

mod issuing;

use portcullis_domain::Timestamp;
use portcullis_domain::agent::Agent;
use portcullis_domain::cause::Cause;
use portcullis_domain::directory::Directory;
use portcullis_domain::id::{OrganizationId, TokenId};
use portcullis_domain::membership::Membership;
use portcullis_domain::permission::Permission;
use portcullis_domain::token::Holder;
use portcullis_store::token::TokenView;
use portcullis_store::{Tx, agent, directory, token};

use crate::agent::{may_order, may_steer};
use crate::caller::Caller;
use crate::directory::may_speak_for;
use crate::error::Granted;
use crate::lead::may_manage;
use crate::membership::{known, must_not_outrank};
use crate::noun::Noun;
use crate::{Moment, ServiceError};

pub(crate) use issuing::{Draft, Link, end_one, issue_named, issued, link, must_be_here};
pub use issuing::{Issued, max_of};

/// Whose a token is, as far as rights go.
enum Behind {
    /// It acts as, or is for, that member.
    Member(Membership),
    /// It acts as that agent of that member.
    AgentOf(Box<Agent>, Membership),
    /// It speaks for that directory.
    Directory(Directory),
    /// It asks for the organization.
    Nobody,
}

fn behind(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    holder: Holder,
    now: Timestamp,
) -> Result<Behind, ServiceError> {
    let found = match holder {
        Holder::Membership(id) => known(tx, organization, id, now)?.map(Behind::Member),
        Holder::Agent(id) => match agent::find(tx, organization, id)? {
            Some(agent) => known(tx, organization, agent.owner, now)?
                .map(|owner| Behind::AgentOf(Box::new(agent), owner)),
            None => None,
        },
        Holder::Directory(id) => directory::find(tx, organization, id)?.map(Behind::Directory),
        Holder::Organization(_) => None,
    };
    Ok(found.unwrap_or(Behind::Nobody))
}

fn may_see(
    tx: &mut Tx<'_>,
    caller: &Caller,
    organization: OrganizationId,
    holder: Option<Holder>,
    now: Timestamp,
) -> Result<(), ServiceError> {
    let read = caller.may(Permission::TokensRead, organization);
    if read.is_ok() {
        return Ok(());
    }
    let Some(holder) = holder else { return read };
    let own = match behind(tx, organization, holder, now)? {
        Behind::Member(member) => {
            caller.membership() == Some(member.id)
                || may_manage(tx, caller, &member, Permission::TokensRead).granted()?
        }
        Behind::AgentOf(_, owner) => may_steer(tx, caller, &owner).granted()?,
        Behind::Directory(_) | Behind::Nobody => false,
    };
    if own { Ok(()) } else { read }
}

/// A page of tokens in order of id: of one holder, if `holder` is not empty. Without `tokens.read` one sees those that act as
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
    now: Timestamp,
) -> Result<Vec<TokenView>, ServiceError> {
    let named = holder.parse().ok();
    may_see(tx, caller, organization, named, now)?;
    if named.is_none() && !holder.is_empty() {
        // What cannot be a holder has no tokens, like an unknown one.
        return Ok(Vec::new());
    }
    Ok(token::list_page(tx, organization, named, after, limit)?)
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
    now: Timestamp,
) -> Result<TokenView, ServiceError> {
    let found = token::find(tx, organization, id)?.ok_or(ServiceError::NotFound(Noun::Token))?;
    may_see(tx, caller, organization, Some(found.holder), now)?;
    Ok(found)
}

/// Ends a token, and those that it opened: one's own, an agent's that one may steer, as a lead those of people below
/// one, and with `tokens.write` any that does not belong to somebody of higher rank, nor speaks for a directory that gives
/// more than the caller has. One that ended already stays as it is.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`]; [`portcullis_domain::Refusal::AboveOwnRank`];
/// [`portcullis_domain::Refusal::OutsideEnvironment`].
pub fn revoke(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, TokenId),
    cause: Cause,
) -> Result<(), ServiceError> {
    let found = token::find(tx, organization, id)?.ok_or(ServiceError::NotFound(Noun::Token))?;
    let write = caller.may(Permission::TokensWrite, organization);
    match behind(tx, organization, found.holder, moment.now)? {
        Behind::Member(member) if caller.membership() == Some(member.id) => {}
        Behind::Member(member) => may_manage(tx, caller, &member, Permission::TokensWrite)?,
        Behind::AgentOf(agent, owner) => {
            if !may_order(tx, caller, (&agent, &owner)).granted()? {
                write?;
                must_not_outrank(tx, caller, &owner)?;
            }
        }
        Behind::Directory(of) => {
            write?;
            may_speak_for(tx, caller, &of)?;
        }
        Behind::Nobody => write?,
    }
    if let Some(environment) = &found.environment {
        caller.may_act_in(environment)?;
    }
    end_one(tx, moment, organization, &found, cause)
}
