//! The rate at which one directory may call, so that one runaway client leaves room for the others.
//!
//! It is far above what any provider sends: an import is never slowed below 2,000 calls a second, and clients that do
//! not read `Retry-After` exist. Only proven callers are counted; failed attempts have limits of their own.
//!
//! A bulk request is one call, and each of its operations costs what a call costs. They are counted beside the calls,
//! with more in hand: a whole import passes unslowed, a client that goes on for ever is held to the rate of calls, and
//! neither takes a single call from the directory, so that a leaver's never waits behind an import.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::id::DirectoryId;

/// Calls a second that a directory may go on with.
pub const MAX_CALLS_A_SECOND: i64 = 3_000;
/// Calls that a directory may make at once after a pause.
pub const MAX_CALLS_AT_ONCE: i64 = 2 * MAX_CALLS_A_SECOND;
/// Operations of bulk requests that a directory may send at once after a pause: a company of a hundred thousand, told of
/// twice. They come back as fast as calls do.
pub const MAX_OPERATIONS_AT_ONCE: i64 = 200_000;
/// Directories that are counted at once: beyond it those that have been quiet are forgotten, which gives them what a
/// pause gives anyway.
const MAX_DIRECTORIES: usize = 10_000;
/// Seconds after which a client that was too fast may try again.
const RETRY_AFTER_S: i64 = 1;
/// Micro-calls a call: the bucket counts in fractions, so that nothing is lost to rounding.
const CALL: i64 = 1_000_000;

/// What each directory may still do.
#[derive(Debug, Default)]
pub struct Rates {
    calls: Mutex<HashMap<DirectoryId, Bucket>>,
    operations: Mutex<HashMap<DirectoryId, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: i64,
    at: Timestamp,
}

impl Bucket {
    /// What has come back since.
    fn refilled(self, at_once: i64, now: Timestamp) -> Self {
        let passed_us = (now.micros() - self.at.micros()).clamp(0, CALL * 60);
        let left = (self.left + passed_us * MAX_CALLS_A_SECOND).min(at_once * CALL);
        Self { left, at: now.max(self.at) }
    }
}

impl Rates {
    /// Counts a call.
    ///
    /// # Errors
    /// Seconds until the next one should come, if there were too many.
    pub fn count(&self, directory: DirectoryId, now: Timestamp) -> Result<(), i64> {
        take(&self.calls, directory, (1, MAX_CALLS_AT_ONCE), now)
    }

    /// Counts the operations of a bulk request: all of them, or none if there are too many.
    ///
    /// # Errors
    /// As [`Self::count`].
    pub fn count_operations(
        &self,
        directory: DirectoryId,
        operations: usize,
        now: Timestamp,
    ) -> Result<(), i64> {
        let many = i64::try_from(operations).unwrap_or(MAX_OPERATIONS_AT_ONCE);
        take(&self.operations, directory, (many, MAX_OPERATIONS_AT_ONCE), now)
    }
}

fn take(
    buckets: &Mutex<HashMap<DirectoryId, Bucket>>,
    directory: DirectoryId,
    (many, at_once): (i64, i64),
    now: Timestamp,
) -> Result<(), i64> {
    let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
    if buckets.len() >= MAX_DIRECTORIES && !buckets.contains_key(&directory) {
        buckets.retain(|_, bucket| bucket.refilled(at_once, now).left < at_once * CALL);
    }
    let full = Bucket { left: at_once * CALL, at: now };
    let bucket = buckets.entry(directory).or_insert(full);
    *bucket = bucket.refilled(at_once, now);
    if bucket.left < many * CALL {
        return Err(RETRY_AFTER_S);
    }
    bucket.left -= many * CALL;
    Ok(())
}
