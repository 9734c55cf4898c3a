//! Work: how much one request may make us compare.
//!
//! Operations, terms of a filter, values of an attribute and their bytes are bounded one by one, and a client may send
//! the most of each at once. What they cost together is counted here, in bytes that are looked at, and a request that
//! asks for more than its bound is refused before it has cost more. Counted and not timed, so that the same request
//! has the same answer on any machine.

use std::cell::Cell;

use crate::error::ScimError;

/// What looking at one value costs, whatever its length: to find it, and to learn that it is another.
pub(crate) const LOOK: usize = 16;

/// What is left of the bound of one request.
#[derive(Debug)]
pub struct Work {
    max_bytes: usize,
    spent: Cell<usize>,
}

impl Work {
    /// Work within a bound.
    #[must_use]
    pub const fn within(max_bytes: usize) -> Self {
        Self { max_bytes, spent: Cell::new(0) }
    }

    /// How much was done, or asked for where it was too much.
    #[must_use]
    pub const fn spent(&self) -> usize {
        self.spent.get()
    }

    /// Counts what is to be done next.
    ///
    /// # Errors
    ///
    /// [`ScimError::TooMuchWork`] where it is too much, and from then on.
    pub fn spend(&self, bytes: usize) -> Result<(), ScimError> {
        self.spent.set(self.spent.get().saturating_add(bytes));
        self.check()
    }

    /// Refuses a request that asked for too much before.
    ///
    /// # Errors
    ///
    /// [`ScimError::TooMuchWork`].
    pub const fn check(&self) -> Result<(), ScimError> {
        if self.spent.get() > self.max_bytes {
            return Err(ScimError::TooMuchWork { max_bytes: self.max_bytes });
        }
        Ok(())
    }
}
