//! Whom the organization knows by an address, where no directory governs: whoever a person put there, or this connection brought.

use portcullis_domain::Timestamp;
use portcullis_domain::connection::Connection;
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_store::{Tx, directory_user, membership};

use crate::claims::{Address, Arrival};
use crate::newcomer::must_be_nobody_else;
use crate::refusal::SignInRefusal;
use crate::{ServiceError, invitation};

/// Whom the organization knows by that address, where no directory governs: whoever this connection brought, or a person put
/// there. Locked, as they are now.
pub(super) fn known_here(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
    (address, now): (&Address, Timestamp),
) -> Result<Option<Membership>, ServiceError> {
    if let Some(member) = brought(tx, connection, address)? {
        // No person told of them, so they are compared by every name, as a newcomer is.
        must_be_nobody_else(tx, connection, arrival, Some(member.id))?;
        return Ok(Some(member));
    }
    let Some(found) = put_there(tx, connection, address, now)? else { return Ok(None) };
    let member = membership::find_locked(tx, found.id)?.filter(|member| member.ended.is_none());
    Ok(Some(member.ok_or(SignInRefusal::MemberInactive)?))
}

/// Exactly one membership has that address, the claims of this connection brought and govern it, and the address is theirs by
/// the last word of the provider too. It may name them anew, as whoever was invited
/// ([why](../../../../docs/decisions/0063-who-came-just-in-time-may-be-named-anew.md)).
fn brought(
    tx: &mut Tx<'_>,
    connection: &Connection,
    address: &Address,
) -> Result<Option<Membership>, ServiceError> {
    let living = membership::living_by_email(tx, connection.organization, &address.key)?;
    let [only] = living.as_slice() else { return Ok(None) };
    let is_brought = |member: &Membership| {
        member.joined_at.is_none()
            && member.governed_by == Some(connection.claims_directory)
            && member.ended.is_none()
    };
    if !is_brought(only) {
        return Ok(None);
    }
    let Some(member) = membership::find_locked(tx, only.id)?.filter(is_brought) else { return Ok(None) };
    let mut said = directory_user::of_membership(tx, member.id)?;
    said.retain(|user| user.directory == connection.claims_directory);
    let is_theirs = said.iter().all(|u| u.email_keys.is_empty() || u.email_keys.contains(&address.key));
    Ok(is_theirs.then_some(member))
}

/// Exactly one membership has that address, and an invitation that is still good or an administrator put it there.
pub(super) fn put_there(
    tx: &mut Tx<'_>,
    connection: &Connection,
    address: &Address,
    now: Timestamp,
) -> Result<Option<Membership>, ServiceError> {
    let mut living = membership::living_by_email(tx, connection.organization, &address.key)?.into_iter();
    match (living.next(), living.next()) {
        // A directory tells of somebody by that address, whatever it was when they came: they are not doubled either.
        (None, _) if directory_user::is_told_of(tx, connection.organization, &address.key)? => {
            Err(SignInRefusal::NotInvited.into())
        }
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(SignInRefusal::Ambiguous.into()),
        (Some(member), None) => {
            if member.joined_at.is_some() {
                return Ok(Some(member));
            }
            // INVARIANT: of whom a directory tells waits for it, and is invited no longer (`domain::access::resolve`).
            if member.access.state != MembershipState::Invited {
                // A directory or another connection brought them: theirs is the way in, and nobody doubles them.
                return Err(SignInRefusal::NotInvited.into());
            }
            // INVARIANT I4: who waits has no other way in than the link that was made for them.
            if !invitation::is_open(tx, &member, now)? {
                return Err(SignInRefusal::InvitationOver.into());
            }
            Ok(Some(member))
        }
    }
}
