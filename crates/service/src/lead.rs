//! What a lead manages: the people of the teams that they administer, and those people's agents.
//!
//! The role gives nothing in the whole organization. What it adds hangs on two facts at once, the caller's rank and a
//! team in common, so it is decided here, beside the permission that would do without them.
//!
//! Over people a lead stands only where their rank is the higher one: leads of one team do not suspend each other. They
//! see, suspend, and end keys and tokens; who leaves the organization, and who gets a secret that acts as somebody, is
//! said by those whose role has the permission.

use portcullis_domain::Refusal;
use portcullis_domain::id::OrganizationId;
use portcullis_domain::membership::Membership;
use portcullis_domain::permission::Permission;
use portcullis_domain::role::Rank;
use portcullis_domain::team::TeamRole;
use portcullis_domain::text::Slug;
use portcullis_store::Tx;

use crate::ServiceError;
use crate::caller::{Caller, Member};
use crate::membership::rank_of;
use crate::noun::Noun;

/// The caller as a lead of that organization: lead or higher, with the team role `admin` in some team. A team is the whole
/// organization's, so a token of one environment beside `production` leads nobody.
#[must_use]
pub fn as_lead(caller: &Caller, organization: OrganizationId) -> Option<&Member> {
    let Caller::Member(member) = caller else { return None };
    let is_lead = member.organization == organization
        && member.confined_to.is_none()
        && member.rank >= Rank::LEAD
        && member.permissions.contains(&Permission::Use)
        && member.teams.iter().any(|(_, role)| *role == TeamRole::Admin);
    is_lead.then_some(member)
}

/// Whether the caller leads that member: lead or higher, with the team role `admin` in a team of theirs.
#[must_use]
pub fn leads(caller: &Caller, member: &Membership) -> bool {
    let Some(lead) = as_lead(caller, member.organization) else { return false };
    let admin_of =
        |slug: &Slug| lead.teams.iter().any(|(team, role)| team == slug && *role == TeamRole::Admin);
    member.access.teams.iter().any(|(team, _)| admin_of(team))
}

/// May the caller see that member, by that permission or as a lead? Nobody is told more of somebody outside than of
/// somebody who was never there.
///
/// # Errors
/// [`ServiceError::Forbidden`], alike for a stranger and for nobody at all; [`ServiceError::NotFound`] for whoever may
/// see every member.
pub fn may_see(
    caller: &Caller,
    organization: OrganizationId,
    permission: Permission,
    member: Option<Membership>,
) -> Result<Membership, ServiceError> {
    match (caller.may(permission, organization), member) {
        (Ok(()), found) => found.ok_or(ServiceError::NotFound(Noun::Member)),
        (Err(_), Some(member)) if leads(caller, &member) => Ok(member),
        (Err(refused), _) => Err(refused),
    }
}

/// May the caller do to that member what the permission is for, or what a lead may do?
///
/// # Errors
/// [`ServiceError::Forbidden`]; [`Refusal::AboveOwnRank`] for a member who stands above the caller, and for a lead also
/// for one who stands as high.
pub fn may_manage(
    tx: &mut Tx<'_>,
    caller: &Caller,
    member: &Membership,
    permission: Permission,
) -> Result<(), ServiceError> {
    let allowed = caller.may(permission, member.organization);
    if allowed.is_err() && !leads(caller, member) {
        return allowed;
    }
    let rank = rank_of(tx, member.organization, member.role())?;
    let reaches = if allowed.is_ok() { caller.rank() >= rank } else { caller.rank() > rank };
    if reaches { Ok(()) } else { Err(Refusal::AboveOwnRank.into()) }
}
