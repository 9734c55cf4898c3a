//! What waits for the database's threads, and who goes first.
//!
//! What takes access away goes first, and what only asks waits behind nobody who writes: on PostgreSQL a transaction may
//! stand and wait for a lock of its own organization, and the checks of all others must not stand behind it. Nobody is
//! kept waiting for good: whoever is let through first is let through a few times, then comes who waited longest.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::StoreError;
use crate::pool::Priority;
use crate::writer::Job;

/// The most requests that wait; beyond it the answer is that the database is not available.
pub(crate) const MAX_WAITING: usize = 10_000;
/// So many go first one after another, then one of those whom they went before: whoever may say of themselves that they
/// are urgent must not be able to keep everybody else out.
pub(crate) const MAX_FIRST_IN_A_ROW: u32 = 8;

/// Where a request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// It writes.
    Write(Priority),
    /// It only reads; on PostgreSQL alone, where reading takes a thread of the store.
    Read,
}

/// What a thread takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Whatever comes.
    Everything,
    /// Reads alone, which wait for nobody.
    Reads,
}

/// What waits for a thread.
pub(crate) struct Queue {
    inner: Mutex<Waiting>,
    /// Wakes a thread that takes everything.
    wake: Condvar,
    /// Wakes one that takes reads alone.
    wake_reader: Condvar,
    /// How many wait, for whoever looks without the lock.
    length: AtomicUsize,
}

/// A request, and the how manieth it is.
type Numbered = (u64, Box<dyn Job>);

#[derive(Default)]
struct Waiting {
    urgent: VecDeque<Numbered>,
    ordinary: VecDeque<Numbered>,
    reads: VecDeque<Numbered>,
    /// How many have come.
    came: u64,
    /// How many urgent ones went first since anybody else did.
    first_in_a_row: u32,
    /// The threads that take everything.
    threads: Sleepers,
    /// Those that take reads alone.
    readers: Sleepers,
    closed: bool,
}

/// Threads that sleep: nobody is woken who is awake, and of two requests at once each wakes a thread of its own.
#[derive(Debug, Default)]
struct Sleepers {
    /// How many nobody has called.
    asleep: usize,
    /// How many were called and have not woken yet.
    called: usize,
}

impl Sleepers {
    /// Calls one, if one sleeps whom nobody has called.
    const fn call(&mut self) -> bool {
        let Some(asleep) = self.asleep.checked_sub(1) else { return false };
        self.asleep = asleep;
        self.called += 1;
        true
    }

    /// One woke: because it was called, or by itself.
    const fn wake(&mut self) {
        match self.called.checked_sub(1) {
            Some(called) => self.called = called,
            None => self.asleep = self.asleep.saturating_sub(1),
        }
    }
}

impl Waiting {
    fn take(&mut self, duty: Duty) -> Option<Box<dyn Job>> {
        let taken = match duty {
            Duty::Reads => self.reads.pop_front(),
            Duty::Everything if self.first_in_a_row >= MAX_FIRST_IN_A_ROW => {
                self.take_oldest().or_else(|| self.take_urgent())
            }
            Duty::Everything => self.take_urgent().or_else(|| self.take_oldest()),
        };
        taken.map(|(_, job)| job)
    }

    fn take_urgent(&mut self) -> Option<Numbered> {
        let urgent = self.urgent.pop_front()?;
        self.first_in_a_row = self.first_in_a_row.saturating_add(1);
        Some(urgent)
    }

    /// Of those that are not urgent, whoever came first.
    fn take_oldest(&mut self) -> Option<Numbered> {
        self.first_in_a_row = 0;
        let came = |lane: &VecDeque<Numbered>| lane.front().map_or(u64::MAX, |(number, _)| *number);
        if came(&self.reads) < came(&self.ordinary) {
            self.reads.pop_front()
        } else {
            self.ordinary.pop_front()
        }
    }

    /// Those that a thread with that duty would take, of the first so many that came.
    fn take_up_to(&mut self, duty: Duty, came: u64) -> Vec<Box<dyn Job>> {
        let lanes = match duty {
            Duty::Everything => vec![&mut self.urgent, &mut self.ordinary, &mut self.reads],
            Duty::Reads => vec![&mut self.reads],
        };
        let mut taken = Vec::new();
        for lane in lanes {
            let until = lane.partition_point(|(number, _)| *number <= came);
            taken.extend(lane.drain(..until).map(|(_, job)| job));
        }
        taken
    }

    const fn sleepers(&mut self, duty: Duty) -> &mut Sleepers {
        match duty {
            Duty::Everything => &mut self.threads,
            Duty::Reads => &mut self.readers,
        }
    }

    fn len(&self) -> usize {
        self.urgent.len() + self.ordinary.len() + self.reads.len()
    }
}

impl Queue {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Waiting::default()),
            wake: Condvar::new(),
            wake_reader: Condvar::new(),
            length: AtomicUsize::new(0),
        })
    }

    fn locked(&self) -> MutexGuard<'_, Waiting> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request into the queue, or answers it at once if there is no room.
    pub(crate) fn put(&self, lane: Lane, job: Box<dyn Job>) {
        let mut waiting = self.locked();
        if waiting.closed || waiting.len() >= MAX_WAITING {
            let why =
                if waiting.closed { "shutting down" } else { "too many requests wait for the database" };
            drop(waiting);
            job.finish(Err(StoreError::Unavailable(why.into())));
            return;
        }
        waiting.came += 1;
        let numbered = (waiting.came, job);
        match lane {
            Lane::Write(Priority::OffBoarding) => waiting.urgent.push_back(numbered),
            Lane::Write(Priority::Ordinary) => waiting.ordinary.push_back(numbered),
            Lane::Read => waiting.reads.push_back(numbered),
        }
        self.length.store(waiting.len(), Ordering::Release);
        let wakes = if lane == Lane::Read && waiting.readers.call() {
            Some(&self.wake_reader)
        } else {
            waiting.threads.call().then_some(&self.wake)
        };
        drop(waiting);
        if let Some(wakes) = wakes {
            wakes.notify_one();
        }
    }

    /// The next request for a thread with that duty; `None` when the queue is closed and has nothing more for it.
    pub(crate) fn wait(&self, duty: Duty) -> Option<Box<dyn Job>> {
        let mut waiting = self.locked();
        loop {
            if let Some(job) = waiting.take(duty) {
                self.length.store(waiting.len(), Ordering::Release);
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            waiting.sleepers(duty).asleep += 1;
            let wake = match duty {
                Duty::Everything => &self.wake,
                Duty::Reads => &self.wake_reader,
            };
            waiting = wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            waiting.sleepers(duty).wake();
        }
    }

    /// The next request, if one waits, for a thread that takes everything.
    pub(crate) fn next(&self) -> Option<Box<dyn Job>> {
        let mut waiting = self.locked();
        let job = waiting.take(Duty::Everything);
        self.length.store(waiting.len(), Ordering::Release);
        job
    }

    /// How many requests have come.
    pub(crate) fn came(&self) -> u64 {
        self.locked().came
    }

    /// Answers with that failure what waits for a thread with that duty, of the first so many that came.
    pub(crate) fn refuse(&self, duty: Duty, came: u64, why: &StoreError) {
        let mut waiting = self.locked();
        let refused = waiting.take_up_to(duty, came);
        self.length.store(waiting.len(), Ordering::Release);
        drop(waiting);
        for job in refused {
            job.finish(Err(why.clone()));
        }
    }

    /// No more requests; those that wait are still carried out.
    pub(crate) fn close(&self) {
        self.locked().closed = true;
        self.wake.notify_all();
        self.wake_reader.notify_all();
    }

    /// How many requests wait.
    pub(crate) fn len(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
