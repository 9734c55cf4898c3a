//! Organizations that a job passes over for a while, because a row of their own is damaged: they must not hold up the others.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_store::StoreError;

use crate::ServiceError;

/// Seconds after which an organization whose turn failed has another: nothing but a person's hand mends it.
const LEFT_OUT_S: i64 = 60;
/// The most organizations that are left out: as many as one statement passes over.
const MAX_LEFT_OUT: usize = 1000;

/// Which organizations a job leaves out, and until when each: by their ids, or as they are called in rows where that may be
/// what is damaged.
pub(crate) struct LeftOut<K> {
    until: Mutex<BTreeMap<K, Timestamp>>,
    counter: &'static str,
    said: &'static str,
}

impl<K: Ord + Clone + Display> LeftOut<K> {
    /// None as yet. Each that is left out counts in that metric, and the log says these words of it.
    pub(crate) const fn none(counter: &'static str, said: &'static str) -> Self {
        Self { until: Mutex::new(BTreeMap::new()), counter, said }
    }

    pub(crate) fn now(&self, now: Timestamp) -> Vec<K> {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.retain(|_, until| now < *until);
        until.keys().cloned().collect()
    }

    /// Leaves an organization out if what failed is of its own, and says so once; everything else is the caller's error.
    pub(crate) fn take<T>(
        &self,
        organization: K,
        turn: Result<T, ServiceError>,
        now: Timestamp,
    ) -> Result<Option<T>, ServiceError> {
        let why = match turn {
            Err(error) if is_of_its_own(&error) => error,
            other => return other.map(Some),
        };
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.contains_key(&organization) {
            return Ok(None);
        }
        metrics::counter!(self.counter).increment(1);
        tracing::error!(organization.id = %organization, error.message = %why, "{}", self.said);
        if until.len() < MAX_LEFT_OUT {
            until.insert(organization, now.plus_s(LEFT_OUT_S));
        }
        Ok(None)
    }
}

/// Whether that comes of the rows that were met, and not of a database that does not serve.
pub(crate) const fn is_of_its_own(error: &ServiceError) -> bool {
    use StoreError::{Fault, Inconsistent, Statement};
    matches!(
        error,
        ServiceError::Store(Inconsistent(_) | Fault(_) | Statement { .. }) | ServiceError::Fault(_)
    )
}
