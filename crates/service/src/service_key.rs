//! Service keys: what a gateway asks with. They speak for the organization and act as nobody.

use std::collections::BTreeSet;

use portcullis_domain::cause::Cause;
use portcullis_domain::id::{OrganizationId, TokenId};
use portcullis_domain::token::{Holder, Scope, TokenKind};
use portcullis_store::token::TokenView;
use portcullis_store::{Tx, token};

use crate::caller::Caller;
use crate::noun::Noun;
use crate::organization::must_live;
use crate::token::{Draft, Issued, end_one, issue_named};
use crate::{Moment, ServiceError};

/// What a service key is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServiceKey {
    /// Its name for people.
    pub name: String,
    /// What it may ask.
    pub scopes: BTreeSet<Scope>,
}

/// Issues a service key.
///
/// # Errors
/// [`ServiceError::Invalid`] if it may ask nothing; [`portcullis_domain::Refusal::TooManyKeys`]; a refusal of the name.
pub fn issue(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    wish: &NewServiceKey,
    cause: Cause,
) -> Result<Issued, ServiceError> {
    if wish.scopes.is_empty() {
        return Err(ServiceError::invalid(
            "scopes",
            "at least one of `evaluate`, `introspect`, `revocations`",
        ));
    }
    must_live(tx, organization)?;
    let draft = Draft {
        organization,
        kind: TokenKind::ServiceKey,
        holder: Holder::Organization(organization),
        parent: caller.parent()?,
        shown_to: caller.shown_to(),
        believed_up_to: caller.believed_up_to(),
        name: wish.name.clone(),
        environment: None,
        confined_at: None,
        scopes: wish.scopes.iter().copied().collect(),
        expires_at: None,
    };
    issue_named(tx, moment, draft, cause)
}

/// A page of service keys, ended ones too.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (after, limit): (&str, i64),
) -> Result<Vec<TokenView>, ServiceError> {
    let wanted = (Holder::Organization(organization), TokenKind::ServiceKey);
    Ok(token::list_of_kind(tx, organization, wanted, after, limit)?)
}

/// A service key.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: TokenId) -> Result<TokenView, ServiceError> {
    token::find(tx, organization, id)?
        .filter(|t| t.kind == TokenKind::ServiceKey)
        .ok_or(ServiceError::NotFound(Noun::ServiceKey))
}

/// Ends a service key.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn revoke(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    id: TokenId,
    cause: Cause,
) -> Result<(), ServiceError> {
    let found = find(tx, organization, id)?;
    end_one(tx, moment, organization, &found, cause)
}
