//! Receipts: the account of each off-boarding, read only.

use portcullis_domain::id::{OrganizationId, ReceiptId};
use portcullis_store::receipt::StoredReceipt;
use portcullis_store::{Tx, receipt};

use crate::ServiceError;
use crate::noun::Noun;

/// A page of receipts in order of id.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (after, limit): (&str, i64),
) -> Result<Vec<StoredReceipt>, ServiceError> {
    Ok(receipt::list_page(tx, organization, after, limit)?)
}

/// A page of signed receipts in order of number, behind that one: the way to follow them.
///
/// # Errors
/// [`ServiceError::BeyondEnd`] where no receipt has that number yet; [`ServiceError::Store`].
pub fn follow(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (after, limit): (i64, i64),
) -> Result<Vec<StoredReceipt>, ServiceError> {
    let page = receipt::numbered_page(tx, organization, after, limit)?;
    if page.is_empty() && after > receipt::last_number(tx, organization)?.unwrap_or(0) {
        return Err(ServiceError::BeyondEnd);
    }
    Ok(page)
}

/// A receipt.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: ReceiptId,
) -> Result<StoredReceipt, ServiceError> {
    receipt::find(tx, organization, id)?.ok_or(ServiceError::NotFound(Noun::Receipt))
}
