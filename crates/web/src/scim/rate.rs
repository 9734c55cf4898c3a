//! The rate at which one directory may call, so that one runaway client leaves room for the others.
//!
//! It is far above what any provider sends: an import is never slowed below 2,000 calls a second, and clients that do
//! not read `Retry-After` exist. Only proven callers are counted; failed attempts have limits of their own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::id::DirectoryId;

/// Calls a second that a directory may go on with.
pub const MAX_CALLS_A_SECOND: i64 = 3_000;
/// Calls that a directory may make at once after a pause.
pub const MAX_CALLS_AT_ONCE: i64 = 2 * MAX_CALLS_A_SECOND;
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
    buckets: Mutex<HashMap<DirectoryId, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: i64,
    at: Timestamp,
}

impl Bucket {
    /// What has come back since.
    fn refilled(self, now: Timestamp) -> Self {
        let passed_us = (now.micros() - self.at.micros()).clamp(0, CALL * 60);
        let left = (self.left + passed_us * MAX_CALLS_A_SECOND).min(MAX_CALLS_AT_ONCE * CALL);
        Self { left, at: now.max(self.at) }
    }
}

impl Rates {
    /// Counts a call.
    ///
    /// # Errors
    /// Seconds until the next one should come, if there were too many.
    pub fn count(&self, directory: DirectoryId, now: Timestamp) -> Result<(), i64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_DIRECTORIES && !buckets.contains_key(&directory) {
            buckets.retain(|_, bucket| bucket.refilled(now).left < MAX_CALLS_AT_ONCE * CALL);
        }
        let full = Bucket { left: MAX_CALLS_AT_ONCE * CALL, at: now };
        let bucket = buckets.entry(directory).or_insert(full);
        *bucket = bucket.refilled(now);
        if bucket.left < CALL {
            return Err(RETRY_AFTER_S);
        }
        bucket.left -= CALL;
        Ok(())
    }
}
