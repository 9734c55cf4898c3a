//! Time and randomness, passed in.
//!
//! Here because nothing below `server` asks the machine for either; a test gives a fixed clock and a seed and gets the
//! same bytes on every run.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest;

type Now = Arc<dyn Fn() -> i64 + Send + Sync>;
type Monotonic = Arc<dyn Fn() -> Duration + Send + Sync>;
type FillRandom = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// What the emulator knows of the world.
#[derive(Clone)]
pub struct Surroundings {
    now: Now,
    monotonic: Monotonic,
    fill_random: FillRandom,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

impl Surroundings {
    /// `now`: seconds since 1970, UTC. `monotonic`: time since any fixed moment, for measuring. `fill_random`: fills
    /// the slice with bytes nobody can guess.
    pub fn new(
        now: impl Fn() -> i64 + Send + Sync + 'static,
        monotonic: impl Fn() -> Duration + Send + Sync + 'static,
        fill_random: impl Fn(&mut [u8]) + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(now), monotonic: Arc::new(monotonic), fill_random: Arc::new(fill_random) }
    }

    /// The clock given, no measuring, and randomness from a seed: the same on every run, so for tests only.
    pub fn predictable(now: impl Fn() -> i64 + Send + Sync + 'static, seed: u64) -> Self {
        let drawn = AtomicU64::new(0);
        Self::new(
            now,
            || Duration::ZERO,
            move |bytes| {
                for chunk in bytes.chunks_mut(32) {
                    let block = drawn.fetch_add(1, Ordering::Relaxed);
                    let input = [seed.to_be_bytes(), block.to_be_bytes()].concat();
                    let digest = digest::digest(&digest::SHA256, &input);
                    for (byte, drawn) in chunk.iter_mut().zip(digest.as_ref()) {
                        *byte = *drawn;
                    }
                }
            },
        )
    }

    pub(crate) fn now(&self) -> i64 {
        (self.now)()
    }

    pub(crate) fn monotonic(&self) -> Duration {
        (self.monotonic)()
    }

    pub(crate) fn random_32(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        (self.fill_random)(&mut bytes);
        bytes
    }

    /// A text of 64 hexadecimal digits that nobody can guess.
    pub(crate) fn random_text(&self) -> String {
        self.random_32().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
