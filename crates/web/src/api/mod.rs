//! The administration API, `/api/v1`: one file a noun, each with its rows of the table.

use crate::route::Operation;

/// Every row.
#[must_use]
pub fn operations() -> Vec<Operation> {
    Vec::new()
}
