//! The system's randomness: the one place in the product that asks for it.
#![expect(clippy::disallowed_methods, reason = "this is where randomness comes from")]

use std::sync::Arc;

use portcullis_domain::Random;
use portcullis_service::Randoms;
use zeroize::Zeroizing;

/// The system's own generator. The cryptographic library has another one, for handshakes and signatures, which measures
/// the processor for tens of milliseconds before it gives its first byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        // It fails only if the system has no randomness at all; going on would make secrets that can be guessed.
        if getrandom::fill(bytes).is_err() {
            std::process::abort();
        }
    }
}

/// Has the cryptographic library make its generator ready, so that no handshake and no signature waits for it.
pub fn prepare_library() {
    // Whoever needs it and finds that it has none is told so then.
    let _ = aws_lc_rs::rand::fill(&mut [0]);
}

/// Bytes that are asked for at once: a use case takes a few ids and salts, and each question costs as much as many
/// bytes.
const TAKEN_AT_ONCE: usize = 256;

/// The same for one use case, asked for more than it takes at first. What it gave out is forgotten at once.
struct Taken {
    bytes: Zeroizing<[u8; TAKEN_AT_ONCE]>,
    given: usize,
}

impl Random for Taken {
    fn fill(&mut self, bytes: &mut [u8]) {
        if bytes.len() > TAKEN_AT_ONCE {
            return SystemRandom.fill(bytes);
        }
        if self.given + bytes.len() > TAKEN_AT_ONCE {
            SystemRandom.fill(self.bytes.as_mut());
            self.given = 0;
        }
        let next = self.bytes.iter_mut().skip(self.given);
        for (wanted, taken) in bytes.iter_mut().zip(next) {
            *wanted = std::mem::take(taken);
        }
        self.given += bytes.len();
    }
}

/// A source for each use case.
#[must_use]
pub fn sources() -> Randoms {
    Arc::new(|| Box::new(Taken { bytes: Zeroizing::new([0; TAKEN_AT_ONCE]), given: TAKEN_AT_ONCE }))
}
