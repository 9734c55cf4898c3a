//! What a member is known by: the accounts at providers that lead to them, and what directories call them.
//!
//! Whoever vouches for it in a grant has looked at it before; its revision says whether it is still what they looked at
//! ([why](../../../docs/decisions/0071-what-is-confirmed-is-what-was-looked-at.md)).

use portcullis_domain::connection::Link;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{MembershipId, OrganizationId};
use portcullis_domain::membership::Membership;
use portcullis_domain::role::Rank;
use portcullis_store::{Tx, connection, directory_user, membership};
use serde_json::json;

use crate::ServiceError;
use crate::noun::Noun;
use crate::revision::revision;

/// What a member is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBy {
    /// The accounts that lead to them.
    pub links: Vec<Link>,
    /// What directories call them.
    pub told: Vec<DirectoryUser>,
    /// How far a password of theirs is believed.
    pub password_believed_up_to: Rank,
    /// Another text once any of it is another.
    pub revision: String,
}

/// What a member of that organization is known by.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: MembershipId,
) -> Result<KnownBy, ServiceError> {
    let found = membership::find(tx, organization, id)?.ok_or(ServiceError::NotFound(Noun::Member))?;
    of(tx, &found)
}

/// What that member is known by.
pub(crate) fn of(tx: &mut Tx<'_>, member: &Membership) -> Result<KnownBy, ServiceError> {
    let links = connection::links_of(tx, member.id)?;
    let mut told = directory_user::of_membership(tx, member.id)?;
    told.sort_by_key(|user| user.id);
    // How far a word is believed is no part of it: who vouches raises that, and nobody lowers it but by another word.
    let accounts: Vec<_> = links.iter().map(|link| (link.connection, &link.subject)).collect();
    let called: Vec<_> = told
        .iter()
        .map(|user| (user.directory, &user.user_name, &user.external_id, &user.email_keys))
        .collect();
    let password = (member.joined_at.map(|at| at.rfc3339()), member.believed_up_to);
    let revision = revision(&json!({ "links": accounts, "told": called, "password": password }));
    Ok(KnownBy { links, told, password_believed_up_to: member.believed_up_to, revision })
}
