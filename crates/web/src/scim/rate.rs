//! The rate at which one directory may call, so that one runaway client leaves room for the others.
//!
//! It is far above what any provider sends: an import is never slowed below 2,000 calls a second, and clients that do
//! not read `Retry-After` exist. While no other directory calls there is nobody to leave room for, and an import may
//! take what the machine gives. Only proven callers are counted; failed attempts have limits of their own.
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
/// Calls a second that it may go on with while no other directory calls: more than the database takes of one client, and
/// still a limit.
pub const MAX_CALLS_ALONE: i64 = 4 * MAX_CALLS_A_SECOND;
/// Seconds for which a directory counts as calling after its last call.
pub const CALLING_S: i64 = 2;
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
    calls: Mutex<Counted>,
    operations: Mutex<HashMap<DirectoryId, Bucket>>,
}

#[derive(Debug, Default)]
struct Counted {
    buckets: HashMap<DirectoryId, Bucket>,
    /// Who called last, and when.
    last: Option<(DirectoryId, Timestamp)>,
    /// Who called last beside that one, and when.
    beside: Option<(DirectoryId, Timestamp)>,
}

impl Counted {
    /// Notes that a directory calls; at what rate calls come back to it.
    fn calls_a_second(&mut self, directory: DirectoryId, now: Timestamp) -> i64 {
        if self.last.is_some_and(|(last, _)| last != directory) {
            self.beside = self.last;
        }
        self.last = Some((directory, now));
        let is_calling = |at: Timestamp| now.seconds_since(at) < CALLING_S;
        if self.beside.is_some_and(|(_, at)| is_calling(at)) { MAX_CALLS_A_SECOND } else { MAX_CALLS_ALONE }
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: i64,
    at: Timestamp,
}

impl Bucket {
    /// What has come back since; from where the clock stands, as one that was set back would be waited for otherwise.
    fn refilled(self, pace: Pace, now: Timestamp) -> Self {
        let passed_us = (now.micros() - self.at.micros()).clamp(0, CALL * 60);
        let left = (self.left + passed_us * pace.a_second).min(pace.at_once * CALL);
        Self { left, at: now }
    }
}

impl Rates {
    /// Counts a call.
    ///
    /// # Errors
    /// Seconds until the next one should come, if there were too many.
    pub fn count(&self, directory: DirectoryId, now: Timestamp) -> Result<(), i64> {
        let mut counted = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let a_second = counted.calls_a_second(directory, now);
        take(&mut counted.buckets, directory, 1, Pace { a_second, at_once: MAX_CALLS_AT_ONCE }, now)
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
        let pace = Pace { a_second: MAX_CALLS_A_SECOND, at_once: MAX_OPERATIONS_AT_ONCE };
        let mut buckets = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        take(&mut buckets, directory, many, pace, now)
    }
}

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy)]
struct Pace {
    a_second: i64,
    at_once: i64,
}

fn take(
    buckets: &mut HashMap<DirectoryId, Bucket>,
    directory: DirectoryId,
    many: i64,
    pace: Pace,
    now: Timestamp,
) -> Result<(), i64> {
    let full = Bucket { left: pace.at_once * CALL, at: now };
    if buckets.len() >= MAX_DIRECTORIES && !buckets.contains_key(&directory) {
        // At the lower rate, at which no bucket is forgotten too early.
        let slow = Pace { a_second: MAX_CALLS_A_SECOND, ..pace };
        buckets.retain(|_, bucket| bucket.refilled(slow, now).left < full.left);
    }
    let bucket = buckets.entry(directory).or_insert(full);
    *bucket = bucket.refilled(pace, now);
    if bucket.left < many * CALL {
        return Err(RETRY_AFTER_S);
    }
    bucket.left -= many * CALL;
    Ok(())
}
