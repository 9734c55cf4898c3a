//! The tokens by which providers speak for a directory.

use portcullis_domain::Timestamp;
use portcullis_domain::cause::Cause;
use portcullis_domain::directory::{Directory, DirectoryKind};
use portcullis_domain::id::{DirectoryId, OrganizationId, TokenId};
use portcullis_domain::token::{Holder, TokenKind};
use portcullis_store::db::Lock;
use portcullis_store::token::TokenView;
use portcullis_store::{Tx, directory, token};

use super::{find, may_reach, must_reach};
use crate::caller::Caller;
use crate::noun::Noun;
use crate::token::{Draft, Issued, end_one, issue_named};
use crate::{Moment, ServiceError};

/// A page of a directory's tokens, ended ones too, after the id `after`.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn list_tokens(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: DirectoryId,
    after: &str,
    limit: i64,
) -> Result<Vec<TokenView>, ServiceError> {
    let holder = Holder::Directory(find(tx, organization, id)?.id);
    Ok(token::list_of_kind(tx, organization, (holder, TokenKind::ScimToken), after, limit)?)
}

/// One of a directory's tokens.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find_token(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (id, token): (DirectoryId, TokenId),
) -> Result<TokenView, ServiceError> {
    let holder = Holder::Directory(find(tx, organization, id)?.id);
    token::find(tx, organization, token)?
        .filter(|t| t.kind == TokenKind::ScimToken && t.holder == holder)
        .ok_or(ServiceError::NotFound(Noun::Token))
}

/// Issues one more token of a directory; several may be valid at once, so that a provider changes over without a gap.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`portcullis_domain::Refusal::AboveOwnRank`]; an instant in the past; a directory of claims.
pub fn issue_token(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    (id, expires_at): (DirectoryId, Option<Timestamp>),
    cause: Cause,
) -> Result<Issued, ServiceError> {
    // What the directory gives stays as it is until the token is there.
    tx.lock(Lock::Rules(organization))?;
    let found = find(tx, organization, id)?;
    if found.kind != DirectoryKind::Scim {
        return Err(ServiceError::invalid("directory", "has no tokens: nobody pushes to it"));
    }
    may_speak_for(tx, caller, &found)?;
    issue(tx, moment, caller, &found, expires_at, cause)
}

pub(super) fn issue(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    of: &Directory,
    expires_at: Option<Timestamp>,
    cause: Cause,
) -> Result<Issued, ServiceError> {
    let draft = Draft {
        organization: of.organization,
        kind: TokenKind::ScimToken,
        holder: Holder::Directory(of.id),
        parent: caller.parent()?,
        shown_to: caller.shown_to(),
        believed_up_to: caller.believed_up_to(),
        name: of.name.clone(),
        environment: None,
        confined_at: None,
        scopes: vec![],
        expires_at,
    };
    issue_named(tx, moment, draft, cause)
}

/// Ends one of a directory's tokens: whoever may, may silence it. One that ended already stays as it is.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`portcullis_domain::Refusal::AboveOwnRank`].
pub fn revoke_token(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    (id, token): (DirectoryId, TokenId),
    cause: Cause,
) -> Result<(), ServiceError> {
    let of = find(tx, organization, id)?;
    let found = find_token(tx, organization, (id, token))?;
    may_speak_for(tx, caller, &of)?;
    end_one(tx, moment, organization, &found, cause)
}

/// May the caller have to do with the tokens of this directory, by which its people are named and ended?
pub(crate) fn may_speak_for(tx: &mut Tx<'_>, caller: &Caller, of: &Directory) -> Result<(), ServiceError> {
    must_reach(tx, caller, of)?;
    may_reach(caller, directory::highest_lent(tx, of.organization, of.id)?)
}
