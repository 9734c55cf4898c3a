//! One document of a provider: what was read of it last, how the last reading went, and who reads it now.
//!
//! Here so that metadata and keys keep the same rules. One reading at a time, and whoever has nothing waits for it. A
//! reading that failed is not begun again for a while, however many ask. It comes to its end whoever hangs up meanwhile,
//! so that nobody has a provider read again and again by leaving early. What was good serves on meanwhile, but never past
//! its bound: a key that was withdrawn must not count for days because its provider cannot be reached.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_domain::{Clock, Timestamp};
use tokio::sync::OwnedMutexGuard;

use crate::ServiceError;
use crate::refusal::SignInRefusal;

/// Seconds for which what was read may serve where it cannot be read again: a night and a working day of an outage. No
/// provider's word makes it longer.
pub(super) const MAX_SERVES_S: i64 = 24 * 3_600;
/// Seconds until a reading that failed is begun again.
const FIRST_BACK_OFF_S: i64 = 5;
/// The longest that it becomes, doubled with each failure: who mended a provider waits no longer than this.
const MAX_BACK_OFF_S: i64 = 60;
/// Doublings after which it is certainly the longest.
const MAX_DOUBLINGS: u32 = 8;

/// What a reading brought.
pub(super) struct Read<T> {
    /// The document.
    pub(super) value: T,
    /// Seconds after which it is read again.
    pub(super) fresh_s: i64,
}

/// Why a reading brought no document.
pub(super) struct Unread {
    /// What whoever needs it is told.
    pub(super) error: ServiceError,
    /// What becomes of the good document that is there.
    pub(super) then: Then,
}

/// What becomes of a good document after a reading that brought none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It is forgotten: the provider says something else now.
    Forgotten,
    /// It serves on: nobody answered, or a page that stands in its place for a while and says nothing of it.
    ServesOn,
}

impl From<ServiceError> for Unread {
    fn from(error: ServiceError) -> Self {
        Self { error, then: Then::ServesOn }
    }
}

struct Good<T> {
    value: Arc<T>,
    fresh_until: Timestamp,
    serves_until: Timestamp,
}

struct Failed {
    error: ServiceError,
    times: u32,
    again_at: Timestamp,
}

struct State<T> {
    good: Option<Good<T>>,
    failed: Option<Failed>,
    /// Readings that came to an end, however they went.
    readings: u64,
}

/// The document.
pub(super) struct Document<T> {
    state: Mutex<State<T>>,
    /// Held by the reading that is under way.
    reader: Arc<tokio::sync::Mutex<()>>,
}

/// What is known of it without reading it.
enum Look<T> {
    /// Nothing has to be read.
    Settled(Result<Arc<T>, ServiceError>),
    /// It is due.
    Due {
        /// What serves until it is read.
        serving: Option<Arc<T>>,
        /// The readings so far.
        readings: u64,
    },
}

impl<T> Default for Document<T> {
    fn default() -> Self {
        let state = State { good: None, failed: None, readings: 0 };
        Self { state: Mutex::new(state), reader: Arc::default() }
    }
}

impl<T: Send + Sync + 'static> Document<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The document at hand; read if it is due and nobody reads it already.
    ///
    /// # Errors
    /// What the last reading failed with, if nothing serves.
    pub(super) async fn at_hand(
        self: &Arc<Self>,
        clock: &Arc<dyn Clock>,
        read: impl Future<Output = Result<Read<T>, Unread>> + Send + 'static,
    ) -> Result<Arc<T>, ServiceError> {
        let (serving, before) = match self.look(clock.now()) {
            Look::Settled(outcome) => return outcome,
            Look::Due { serving, readings } => (serving, readings),
        };
        let reader = Arc::clone(&self.reader);
        let turn = match (Arc::clone(&reader).try_lock_owned(), serving) {
            (Ok(turn), _) => turn,
            (Err(_), Some(value)) => return Ok(value),
            (Err(_), None) => reader.lock_owned().await,
        };
        if self.state().readings == before {
            self.read_to_the_end(turn, clock, read).await;
        }
        self.outcome(clock.now())
    }

    /// Another document than that one, which does not hold what it should: what somebody else read meanwhile, or what is
    /// read now if `admit` lets it. If there is none, that one again.
    pub(super) async fn other_than(
        self: &Arc<Self>,
        tried: Arc<T>,
        clock: &Arc<dyn Clock>,
        admit: impl FnOnce() -> bool,
        read: impl Future<Output = Result<Read<T>, Unread>> + Send + 'static,
    ) -> Arc<T> {
        let other = || self.state().serving(clock.now()).filter(|value| !Arc::ptr_eq(value, &tried));
        if let Some(value) = other() {
            return value;
        }
        let turn = Arc::clone(&self.reader).lock_owned().await;
        if let Some(value) = other() {
            return value;
        }
        if !self.state().is_backing_off(clock.now()) && admit() {
            self.read_to_the_end(turn, clock, read).await;
        }
        other().unwrap_or(tried)
    }

    /// Reads it in a task of its own and notes how that went, even if whoever waits for it hangs up. A request out of the
    /// process has a time-out, so the task has an end.
    async fn read_to_the_end(
        self: &Arc<Self>,
        turn: OwnedMutexGuard<()>,
        clock: &Arc<dyn Clock>,
        read: impl Future<Output = Result<Read<T>, Unread>> + Send + 'static,
    ) {
        let (document, clock) = (Arc::clone(self), Arc::clone(clock));
        let reading = tokio::spawn(async move {
            document.note(read.await, clock.now());
            drop(turn);
        });
        // Whether it could be carried out at all is seen by what is there afterwards.
        let _ = reading.await;
    }

    fn look(&self, now: Timestamp) -> Look<T> {
        let state = self.state();
        let serving = state.serving(now);
        if let (Some(value), true) = (&serving, state.is_fresh(now)) {
            return Look::Settled(Ok(Arc::clone(value)));
        }
        match &state.failed {
            Some(failed) if state.is_backing_off(now) => {
                Look::Settled(serving.ok_or_else(|| failed.error.clone()))
            }
            _ => Look::Due { serving, readings: state.readings },
        }
    }

    /// What follows from the last reading.
    fn outcome(&self, now: Timestamp) -> Result<Arc<T>, ServiceError> {
        let state = self.state();
        let failed = || state.failed.as_ref().map_or_else(outlived, |failed| failed.error.clone());
        state.serving(now).ok_or_else(failed)
    }

    fn note(&self, outcome: Result<Read<T>, Unread>, now: Timestamp) {
        let mut state = self.state();
        state.readings = state.readings.wrapping_add(1);
        match outcome {
            Ok(Read { value, fresh_s }) => {
                let (fresh_until, serves_until) = (now.plus_s(fresh_s), now.plus_s(MAX_SERVES_S));
                state.good = Some(Good { value: Arc::new(value), fresh_until, serves_until });
                state.failed = None;
            }
            Err(Unread { error, then }) => {
                if then == Then::Forgotten {
                    state.good = None;
                }
                let times = state.failed.as_ref().map_or(0, |failed| failed.times).saturating_add(1);
                let again_at = now.plus_s(back_off_s(times));
                state.failed = Some(Failed { error, times, again_at });
            }
        }
    }
}

impl<T> State<T> {
    fn serving(&self, now: Timestamp) -> Option<Arc<T>> {
        self.good.as_ref().filter(|good| now < good.serves_until).map(|good| Arc::clone(&good.value))
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        self.good.as_ref().is_some_and(|good| now < good.fresh_until)
    }

    fn is_backing_off(&self, now: Timestamp) -> bool {
        self.failed.as_ref().is_some_and(|failed| now < failed.again_at)
    }
}

/// Seconds until what failed that often is tried again.
fn back_off_s(times: u32) -> i64 {
    let doublings = times.saturating_sub(1).min(MAX_DOUBLINGS);
    (FIRST_BACK_OFF_S << doublings).min(MAX_BACK_OFF_S)
}

/// What was read a moment ago serves no longer: the clock was set.
fn outlived() -> ServiceError {
    let message = "what was read of it has outlived its bound".to_owned();
    SignInRefusal::Unreachable { code: "unreachable", message }.into()
}
