//! Time and randomness that a test can repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use portcullis_domain::{Clock, Random, Timestamp};
use portcullis_service::Randoms;

/// When every test begins: 2026-01-01 00:00:00 UTC.
pub const START: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// A clock that stands still until the test moves it.
#[derive(Debug)]
pub struct SetClock(AtomicI64);

impl Default for SetClock {
    fn default() -> Self {
        Self(AtomicI64::new(START.micros()))
    }
}

impl SetClock {
    /// Moves the time on by seconds.
    pub fn pass_s(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// Sets the time.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.micros(), Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Randomness from a seed: splitmix64, good enough to be different each time and worth nothing as a secret.
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// The bytes that follow from that seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Sources that differ from each other, the same in every run.
    #[must_use]
    pub fn sources(seed: u64) -> Randoms {
        let next = AtomicU64::new(seed);
        // Far apart, so that no source walks into the next one's numbers.
        Arc::new(move || Box::new(Self(next.fetch_add(1 << 32, Ordering::SeqCst))))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Random for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let eight = self.next().to_le_bytes();
            chunk.iter_mut().zip(eight).for_each(|(to, from)| *to = from);
        }
    }
}
