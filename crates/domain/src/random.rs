//! Where randomness comes from.
//!
//! Passed in like the time, so that a test can repeat a run and nobody can reach for a weak source.

/// A source of unpredictable bytes. `server` asks the system; tests give seeded ones.
pub trait Random: Send {
    /// Fills `bytes` whole.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<R: Random + ?Sized> Random for Box<R> {
    fn fill(&mut self, bytes: &mut [u8]) {
        (**self).fill(bytes);
    }
}

impl<R: Random + ?Sized> Random for &mut R {
    fn fill(&mut self, bytes: &mut [u8]) {
        (**self).fill(bytes);
    }
}
