//! The audit log, as administrators read it: filtered, by pages, one event at a time.

use portcullis_domain::id::{EventId, OrganizationId};
use portcullis_store::audit::{AuditFilter, StoredEvent};
use portcullis_store::{Tx, audit};

use crate::ServiceError;
use crate::noun::Noun;

/// A page of events in order of id, which is the order in which their transactions began, and after which one to look further
/// where the page was cut short: of a long log a page looks at a part.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    filter: &AuditFilter,
    (after, limit): (&str, i64),
) -> Result<(Vec<StoredEvent>, Option<EventId>), ServiceError> {
    let page = audit::list_page(tx, organization, filter, after, limit)?;
    let is_full = i64::try_from(page.len()).is_ok_and(|many| many >= limit);
    let further = if is_full { None } else { audit::last_looked_at(tx, organization, filter, after)? };
    Ok((page, further))
}

/// A page of events in order of number, behind that one, and from which number to look further where the page was cut short:
/// the way to follow the log.
///
/// # Errors
/// [`ServiceError::BeyondEnd`] where no event has that number yet; [`ServiceError::Store`].
pub fn follow(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    filter: &AuditFilter,
    (after, limit): (i64, i64),
) -> Result<(Vec<StoredEvent>, Option<i64>), ServiceError> {
    let (page, further) = audit::numbered_page(tx, organization, filter, after, limit)?;
    if page.is_empty() && after > audit::last_number(tx, organization)?.unwrap_or(0) {
        return Err(ServiceError::BeyondEnd);
    }
    Ok((page, further))
}

/// An event.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: EventId) -> Result<StoredEvent, ServiceError> {
    audit::find(tx, organization, id)?.ok_or(ServiceError::NotFound(Noun::AuditEvent))
}
