//! Whether somebody whom nobody told of is new here indeed, before just-in-time sign-in makes a membership of them.
//!
//! An address is one name of many, and the one that changes most easily. A leaver whose account at the provider lives on
//! comes back by every other name that it has (invariant I4), and so does somebody who is merely suspended.

use portcullis_domain::connection::Connection;
use portcullis_domain::directory::DirectoryKind;
use portcullis_domain::id::{DirectoryId, MembershipId, OrganizationId};
use portcullis_store::{Tx, connection, directory, tombstone};

use crate::ServiceError;
use crate::claims::Arrival;
use crate::refusal::SignInRefusal;

/// How many directories of an organization are asked for, those of claims among them: companies have a handful.
const MAX_DIRECTORIES: i64 = 1_000;

/// Nobody who left, and nobody who is here, is known by any name of theirs.
///
/// # Errors
/// [`SignInRefusal::Tombstoned`], [`SignInRefusal::NotInvited`].
pub(crate) fn must_be_new(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
) -> Result<(), ServiceError> {
    let directories = directories(tx, connection.organization)?;
    for identifier in arrival.identifiers_of_newcomer(&directories) {
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

/// The directories that know people by ids of the provider's. What claims say is known by the subject.
fn directories(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<Vec<DirectoryId>, ServiceError> {
    let all = directory::list(tx, organization, None, MAX_DIRECTORIES)?;
    Ok(all.into_iter().filter(|d| d.kind != DirectoryKind::Claims).map(|d| d.id).collect())
}

/// Who is here, and known by that subject of the same provider at any connection, or was once.
fn somebodys(tx: &mut Tx<'_>, of: &Connection, subject: &str) -> Result<Option<MembershipId>, ServiceError> {
    if let Some(linked) = connection::linked_by_subject(tx, of.organization, subject)? {
        return Ok(Some(linked));
    }
    Ok(tombstone::formerly_subject_of(tx, of.organization, subject)?)
}
