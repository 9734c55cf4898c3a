//! Traces: the record of sign-ins and directory calls, read by administrators.

use portcullis_domain::id::{OrganizationId, TraceId};
use portcullis_store::trace::{Trace, TraceFilter};
use portcullis_store::{Tx, trace};

use crate::ServiceError;

/// A page of traces, newest first; older than `after`, if it is not empty.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    filter: TraceFilter<'_>,
    (after, limit): (&str, i64),
) -> Result<Vec<Trace>, ServiceError> {
    let after = Some(after).filter(|text| !text.is_empty());
    Ok(trace::list(tx, organization, filter, after, limit)?)
}

/// A trace.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: TraceId) -> Result<Trace, ServiceError> {
    trace::find(tx, organization, id)?.ok_or(ServiceError::NotFound("trace"))
}
