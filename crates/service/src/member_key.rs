//! Member keys: tokens that act as a membership, from outside a browser.

use portcullis_domain::cause::Cause;
use portcullis_domain::id::{MembershipId, OrganizationId, TokenId};
use portcullis_domain::membership::Membership;
use portcullis_domain::permission::Permission;
use portcullis_domain::text::Slug;
use portcullis_domain::token::{Holder, TokenKind};
use portcullis_domain::{Refusal, Timestamp};
use portcullis_store::token::TokenView;
use portcullis_store::{Tx, token};

use crate::caller::Caller;
use crate::lead::{leads, may_manage};
use crate::membership::{known, must_be_active, settled};
use crate::noun::Noun;
use crate::token::{Draft, Issued, end_one, issue_named};
use crate::{Moment, ServiceError};

/// What a key is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its name for people.
    pub name: String,
    /// Where it may act; `production` if nothing is said.
    pub environment: Option<Slug>,
    /// When it runs out by itself.
    pub expires_at: Option<Timestamp>,
}

/// The environment that was asked for, if the member has it.
pub(crate) fn environment_of(member: &Membership, asked: Option<Slug>) -> Result<Slug, ServiceError> {
    let environment = asked.unwrap_or_else(Slug::production);
    if member.access.environments.contains(&environment) {
        Ok(environment)
    } else {
        Err(Refusal::OtherEnvironment.into())
    }
}

/// May the caller have to do with this member's keys? With the permission, up to their own rank; as a lead, with those
/// of people below them; with their own keys if their role has `use`.
fn may(
    tx: &mut Tx<'_>,
    caller: &Caller,
    member: &Membership,
    permission: Permission,
) -> Result<(), ServiceError> {
    if caller.membership() == Some(member.id) {
        let own = caller.may(Permission::Use, member.organization);
        return own.or_else(|_| caller.may(permission, member.organization));
    }
    if permission == Permission::KeysRead && caller.may(permission, member.organization).is_ok() {
        return Ok(());
    }
    may_manage(tx, caller, member, permission)
}

/// Issues a key that acts as that member: not for leads, who would act as somebody else by it.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`]; [`Refusal::AboveOwnRank`]; [`Refusal::MemberInactive`];
/// [`Refusal::OtherEnvironment`]; [`Refusal::OutsideEnvironment`]; [`Refusal::TooManyKeys`]; [`ServiceError::Invalid`] for an
/// expiry in the past, or after that of a key by which its holder asks for another.
pub fn issue(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, MembershipId),
    wish: &NewKey,
    cause: Cause,
) -> Result<Issued, ServiceError> {
    // Who may not ask hears the same of every member.
    if caller.membership() != Some(id) {
        caller.may(Permission::KeysWrite, organization)?;
    }
    let member = settled(tx, moment, organization, id)?;
    may(tx, caller, &member, Permission::KeysWrite)?;
    must_be_active(&member)?;
    let environment = environment_of(&member, wish.environment.clone())?;
    caller.may_act_in(&environment)?;
    let is_own = caller.membership() == Some(id);
    let draft = Draft {
        organization,
        kind: TokenKind::MemberKey,
        holder: Holder::Membership(id),
        parent: caller.parent()?,
        shown_to: caller.shown_to(),
        believed_up_to: caller.believed_up_to(),
        name: wish.name.clone(),
        confined_at: caller.confines(&environment, &member, moment.now),
        environment: Some(environment),
        scopes: vec![],
        expires_at: if is_own { caller.until(wish.expires_at)? } else { wish.expires_at },
    };
    issue_named(tx, moment, draft, cause)
}

/// A page of a member's keys, ended ones too.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`].
pub fn list(
    tx: &mut Tx<'_>,
    caller: &Caller,
    (organization, id): (OrganizationId, MembershipId),
    (after, limit): (&str, i64),
    now: Timestamp,
) -> Result<Vec<TokenView>, ServiceError> {
    let member = member_for(tx, caller, (organization, id), Permission::KeysRead, now)?;
    Ok(token::list_of_kind(
        tx,
        organization,
        (Holder::Membership(member.id), TokenKind::MemberKey),
        after,
        limit,
    )?)
}

/// One of a member's keys.
///
/// # Errors
/// As [`list`].
pub fn find(
    tx: &mut Tx<'_>,
    caller: &Caller,
    (organization, id): (OrganizationId, MembershipId),
    key: TokenId,
    now: Timestamp,
) -> Result<TokenView, ServiceError> {
    let member = member_for(tx, caller, (organization, id), Permission::KeysRead, now)?;
    key_of(tx, &member, key)
}

/// Ends one of a member's keys.
///
/// # Errors
/// As [`list`], and [`Refusal::AboveOwnRank`]; [`Refusal::OutsideEnvironment`].
pub fn revoke(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, MembershipId),
    key: TokenId,
    cause: Cause,
) -> Result<(), ServiceError> {
    let member = member_for(tx, caller, (organization, id), Permission::KeysWrite, moment.now)?;
    let found = key_of(tx, &member, key)?;
    if let Some(environment) = &found.environment {
        caller.may_act_in(environment)?;
    }
    end_one(tx, moment, organization, &found, cause)
}

/// The member, if the caller may have to do with their keys. Who may not ask hears the same of every member.
fn member_for(
    tx: &mut Tx<'_>,
    caller: &Caller,
    (organization, id): (OrganizationId, MembershipId),
    permission: Permission,
    now: Timestamp,
) -> Result<Membership, ServiceError> {
    let found = known(tx, organization, id, now)?;
    let is_led = found.as_ref().is_some_and(|member| leads(caller, member));
    if caller.membership() != Some(id) && !is_led {
        caller.may(permission, organization)?;
    }
    let member = found.ok_or(ServiceError::NotFound(Noun::Member))?;
    may(tx, caller, &member, permission)?;
    Ok(member)
}

fn key_of(tx: &mut Tx<'_>, member: &Membership, key: TokenId) -> Result<TokenView, ServiceError> {
    token::find(tx, member.organization, key)?
        .filter(|t| t.kind == TokenKind::MemberKey && t.holder == Holder::Membership(member.id))
        .ok_or(ServiceError::NotFound(Noun::Key))
}
