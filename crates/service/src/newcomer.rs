//! Whether somebody whom nobody told of is new here indeed, before just-in-time sign-in makes a membership of them.
//!
//! An address is one name of many, and the one that changes most easily. A leaver whose account at the provider lives on
//! comes back by every other name that it has (invariant I4), and so does somebody who is merely suspended.

use portcullis_domain::connection::Connection;
use portcullis_domain::id::MembershipId;
use portcullis_store::{Tx, connection, tombstone};

use crate::ServiceError;
use crate::claims::Arrival;
use crate::refusal::SignInRefusal;

/// Nobody who left, and nobody who is here, is known by any name of theirs.
///
/// # Errors
/// [`SignInRefusal::Tombstoned`], [`SignInRefusal::NotInvited`].
pub(crate) fn must_be_new(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
) -> Result<(), ServiceError> {
    for identifier in arrival.identifiers_of_newcomer() {
        if tombstone::find(tx, connection.organization, &identifier)?.is_some() {
            return Err(SignInRefusal::Tombstoned.into());
        }
    }
    for subject in arrival.subjects() {
        if somebodys(tx, connection, subject)?.is_some() {
            // Whoever decides about them decides about their way in too, and nobody doubles them.
            return Err(SignInRefusal::NotInvited.into());
        }
    }
    Ok(())
}

/// Who is here, and known by that subject of the same provider at any connection, or was once.
fn somebodys(tx: &mut Tx<'_>, of: &Connection, subject: &str) -> Result<Option<MembershipId>, ServiceError> {
    if let Some(linked) = connection::linked_by_subject(tx, of.organization, subject)? {
        return Ok(Some(linked));
    }
    Ok(tombstone::formerly_subject_of(tx, of.organization, subject)?)
}
