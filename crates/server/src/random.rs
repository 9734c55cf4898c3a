//! The system's randomness: the one place in the product that asks for it.
#![expect(clippy::disallowed_methods, reason = "this is where randomness comes from")]

use std::sync::Arc;

use portcullis_domain::Random;
use portcullis_service::Randoms;

/// The generator of the cryptographic library, seeded by the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        // The library's generator fails only if the system has no randomness at all; going on would make secrets that
        // can be guessed.
        if aws_lc_rs::rand::fill(bytes).is_err() {
            std::process::abort();
        }
    }
}

/// A source for each use case.
#[must_use]
pub fn sources() -> Randoms {
    Arc::new(|| Box::new(SystemRandom))
}
