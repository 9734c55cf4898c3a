//! Lists that are read whole, a page at a time. Here once, because where a page begins and which one is the last is told
//! apart the same way everywhere.
//!
//! All of it is in memory then: only for what has a bound of its own, which stands where it is read.

use portcullis_store::row::bound;
use portcullis_store::{StoreError, Tx};

use crate::{Portcullis, ServiceError};

/// Where the next page begins, behind the last that was read.
fn behind<T>(all: &[T], id: impl Fn(&T) -> String) -> String {
    all.last().map_or_else(String::new, id)
}

/// All of a list of which `read` gives a page: what follows that id, so many at most.
///
/// # Errors
/// What `read` fails with.
pub(crate) fn whole<T>(
    page: i64,
    mut read: impl FnMut(&str, i64) -> Result<Vec<T>, StoreError>,
    id: impl Fn(&T) -> String,
) -> Result<Vec<T>, StoreError> {
    let mut all = Vec::new();
    loop {
        let some = read(&behind(&all, &id), page)?;
        let is_last = bound(some.len()) < page;
        all.extend(some);
        if is_last {
            return Ok(all);
        }
    }
}

impl Portcullis {
    /// The same, each page in a transaction of its own: nobody waits behind the whole list.
    ///
    /// # Errors
    /// As [`Portcullis::read`].
    pub(crate) async fn whole<T: Send + 'static>(
        &self,
        page: i64,
        read: impl Fn(&mut Tx<'_>, &str, i64) -> Result<Vec<T>, StoreError> + Copy + Send + 'static,
        id: impl Fn(&T) -> String + Send,
    ) -> Result<Vec<T>, ServiceError> {
        let mut all = Vec::new();
        loop {
            let after = behind(&all, &id);
            let some = self.read(move |tx, _| Ok(read(tx, &after, page)?)).await?;
            let is_last = bound(some.len()) < page;
            all.extend(some);
            if is_last {
                return Ok(all);
            }
        }
    }
}
