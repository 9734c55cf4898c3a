//! The audit log, as administrators read it: filtered, by pages, one event at a time.

use portcullis_domain::id::{EventId, OrganizationId};
use portcullis_store::audit::{AuditFilter, StoredEvent};
use portcullis_store::{Tx, audit};

use crate::ServiceError;
use crate::noun::Noun;

/// A page of events in order of id, which is the order in which their transactions began.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    filter: &AuditFilter,
    (after, limit): (&str, i64),
) -> Result<Vec<StoredEvent>, ServiceError> {
    Ok(audit::list_page(tx, organization, filter, after, limit)?)
}

/// A page of events in order of number, behind that one: the way to follow the log.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn follow(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    filter: &AuditFilter,
    (after, limit): (i64, i64),
) -> Result<Vec<StoredEvent>, ServiceError> {
    Ok(audit::numbered_page(tx, organization, filter, after, limit)?)
}

/// An event.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: EventId) -> Result<StoredEvent, ServiceError> {
    audit::find(tx, organization, id)?.ok_or(ServiceError::NotFound(Noun::AuditEvent))
}
