//! The end of a server, which is over in time whatever hangs: one limit from the order to stop to the exit.
//!
//! Each step of the way down may take its own time, and all of them together no longer than [`MAX_ENDING`]. A database
//! or a collector that does not answer is left where it is: what was answered is in the database, and what was not is
//! nobody's.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// From the order to stop until the last step is given up: what is left of ten seconds is for the process to go.
const MAX_ENDING: Duration = Duration::from_millis(9_700);
/// How long threads that hang are waited for, when everything else is done.
pub const MAX_HANGING: Duration = Duration::from_millis(100);

/// When the process must have ended.
#[derive(Debug, Default)]
pub struct Ending {
    by: OnceLock<Instant>,
}

impl Ending {
    /// The order to stop came now, if it did not come before.
    pub fn begin(&self) -> Instant {
        *self.by.get_or_init(|| Instant::now() + MAX_ENDING)
    }

    /// What a step gives; nothing if it takes longer than `most`, or longer than there is.
    pub async fn within<T>(&self, most: Duration, step: impl Future<Output = T>) -> Option<T> {
        let by = self.begin().min(Instant::now() + most);
        timeout_at(by, step).await.ok()
    }

    /// The same for a step that may take all that there is.
    pub async fn rest<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.begin(), step).await.ok()
    }
}
