//! Whether somebody whom nobody told of is new here indeed, before just-in-time sign-in makes a membership of them; and whether
//! whoever it made is meant by another name, and nobody else.
//!
//! An address is one name of many, and the one that changes most easily. A leaver whose account at the provider lives on
//! comes back by every other name that it has (invariant I4), and so does somebody who is merely suspended.

use std::collections::BTreeSet;

use portcullis_domain::connection::Connection;
use portcullis_domain::directory::DirectoryKind;
use portcullis_domain::directory_user::DirectoryUserQuery;
use portcullis_domain::id::{DirectoryId, MembershipId, OrganizationId};
use portcullis_domain::text::{email_key, name_key};
use portcullis_domain::tombstone::Identifier;
use portcullis_store::db::Lock;
use portcullis_store::{StoreError, Tx, connection, directory, directory_user, membership, tombstone};

use crate::ServiceError;
use crate::claims::Arrival;
use crate::refusal::SignInRefusal;

/// How many directories of an organization are asked for, those of claims among them: companies have a handful.
const MAX_DIRECTORIES: i64 = 1_000;

/// How many people of one directory are looked at by one name: of two one is somebody else.
const MAX_KNOWN: i64 = 2;

/// How many names of one person are held: each takes a place in a table that all transactions of PostgreSQL share, and
/// people have a handful.
const MAX_HELD_NAMES: usize = 20;

/// Lets nobody else become a member meanwhile by any of these names, by a connection or as a directory tells of them: of two
/// who come at once the second finds the first.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn hold_names<'n>(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    names: impl Iterator<Item = &'n str>,
) -> Result<(), StoreError> {
    hold_names_of(tx, organization, std::iter::once(names))
}

/// The same for several people of whom one transaction tells, before the first of them is looked at.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn hold_names_of<'n>(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    people: impl Iterator<Item = impl Iterator<Item = &'n str>>,
) -> Result<(), StoreError> {
    let key = |name: &str| email_key(name).unwrap_or_else(|_| name_key(name));
    let keys: BTreeSet<String> = people.flat_map(|names| names.take(MAX_HELD_NAMES)).map(key).collect();
    // In one order, whatever the order in which they were said.
    keys.into_iter().try_for_each(|key| tx.lock(Lock::Newcomer(organization, key)))
}

/// Nobody who left, and nobody who is here but that member, is known by any name of theirs.
///
/// # Errors
/// [`SignInRefusal::Tombstoned`], [`SignInRefusal::NotInvited`].
pub(crate) fn must_be_nobody_else(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
    member: Option<MembershipId>,
) -> Result<(), ServiceError> {
    let directories = directories(tx, connection.organization)?;
    // INVARIANT: those who are here before those who left, all of them anew: an end and its tombstones are one commit, so
    // whoever ends in between is found by the one or by the other.
    let is_here = is_here(tx, connection, arrival, (&directories, member))?;
    let names = arrival.identifiers().into_iter().chain(arrival.identifiers_of_newcomer(&directories));
    for identifier in names {
        if tombstone::find(tx, connection.organization, &identifier)?.is_some() {
            return Err(SignInRefusal::Tombstoned.into());
        }
    }
    if is_here {
        // Whoever decides about them decides about their way in too, and nobody doubles them.
        return Err(SignInRefusal::NotInvited.into());
    }
    Ok(())
}

/// Whether somebody other than that member is here who is known by any of these names: by a subject at whatever connection to
/// the provider, by what a directory calls them, by an address. They may be suspended, held by a brake, or wait for their
/// directory after a restore.
fn is_here(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
    (directories, member): (&[DirectoryId], Option<MembershipId>),
) -> Result<bool, ServiceError> {
    for subject in arrival.subjects() {
        if somebodys(tx, connection, subject)?.is_some_and(|whose| Some(whose) != member) {
            return Ok(true);
        }
    }
    let mut queries = Vec::new();
    for id in &arrival.said.external_ids {
        queries.push(DirectoryUserQuery::ExternalId(id.clone()));
    }
    for name in arrival.said.external_ids.iter().chain(&arrival.said.names) {
        queries.push(DirectoryUserQuery::UserName(name_key(name)));
        let Ok(key) = email_key(name) else { continue };
        let living = membership::living_by_email(tx, connection.organization, &key)?;
        let is_theirs = living.iter().any(|known| Some(known.id) == member);
        if living.iter().any(|known| Some(known.id) != member)
            || (!is_theirs && directory_user::is_told_of(tx, connection.organization, &key)?)
        {
            return Ok(true);
        }
    }
    for directory in directories {
        for query in &queries {
            let known = directory_user::query(tx, *directory, query, MAX_KNOWN)?;
            if known.iter().any(|known| Some(known.membership) != member) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Every identifier of somebody on which a tombstone may lie, first those that count whoever it is.
///
/// # Errors
/// [`ServiceError::Store`]; so of [`somebodys`].
pub(crate) fn identifiers(
    tx: &mut Tx<'_>,
    connection: &Connection,
    arrival: &Arrival,
) -> Result<Vec<Identifier>, ServiceError> {
    let mut all = arrival.identifiers();
    if connection.directory.is_none() {
        all.extend(arrival.identifiers_of_newcomer(&directories(tx, connection.organization)?));
    }
    Ok(all)
}

/// The directories that know people by ids of the provider's. What claims say is known by the subject.
fn directories(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<Vec<DirectoryId>, ServiceError> {
    let all = directory::list(tx, organization, None, MAX_DIRECTORIES)?;
    Ok(all.into_iter().filter(|d| d.kind != DirectoryKind::Claims).map(|d| d.id).collect())
}

/// Who is here, and known by that subject of the same provider at any connection, or was once.
pub(crate) fn somebodys(
    tx: &mut Tx<'_>,
    of: &Connection,
    subject: &str,
) -> Result<Option<MembershipId>, ServiceError> {
    if let Some(linked) = connection::linked_by_subject(tx, of.organization, subject)? {
        return Ok(Some(linked));
    }
    Ok(tombstone::formerly_subject_of(tx, of.organization, subject)?)
}
