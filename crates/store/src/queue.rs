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

/// A request in its lane.
pub(crate) struct Asked {
    pub(crate) job: Box<dyn Job>,
    lane: Lane,
    /// The how manieth came.
    number: u64,
    /// Whether a thread without a connection took it before.
    was_put_back: bool,
}

#[derive(Default)]
struct Waiting {
    urgent: VecDeque<Asked>,
    ordinary: VecDeque<Asked>,
    reads: VecDeque<Asked>,
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
    /// How many have a connection, as far as they know.
    connected: usize,
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
    fn take(&mut self, duty: Duty) -> Option<Asked> {
        match duty {
            Duty::Reads => self.take_first(Lane::Read),
            Duty::Everything if self.first_in_a_row >= MAX_FIRST_IN_A_ROW => {
                self.take_oldest().or_else(|| self.take_urgent())
            }
            Duty::Everything => self.take_urgent().or_else(|| self.take_oldest()),
        }
    }

    fn take_urgent(&mut self) -> Option<Asked> {
        let urgent = self.take_first(Lane::Write(Priority::OffBoarding))?;
        self.first_in_a_row = self.first_in_a_row.saturating_add(1);
        Some(urgent)
    }

    /// Of those that are not urgent, whoever came first.
    fn take_oldest(&mut self) -> Option<Asked> {
        self.first_in_a_row = 0;
        let came = |lane: &VecDeque<Asked>| lane.front().map_or(u64::MAX, |asked| asked.number);
        if came(&self.reads) < came(&self.ordinary) {
            self.take_first(Lane::Read)
        } else {
            self.take_first(Lane::Write(Priority::Ordinary))
        }
    }

    fn take_first(&mut self, lane: Lane) -> Option<Asked> {
        self.lane(lane).pop_front()
    }

    const fn lane(&mut self, lane: Lane) -> &mut VecDeque<Asked> {
        match lane {
            Lane::Write(Priority::OffBoarding) => &mut self.urgent,
            Lane::Write(Priority::Ordinary) => &mut self.ordinary,
            Lane::Read => &mut self.reads,
        }
    }

    /// Calls a thread that may take what waits there, if one sleeps.
    const fn call(&mut self, lane: Lane) -> Option<Duty> {
        if matches!(lane, Lane::Read) && self.readers.call() {
            return Some(Duty::Reads);
        }
        if self.threads.call() { Some(Duty::Everything) } else { None }
    }

    /// True if a thread that takes what one with that duty takes has a connection.
    const fn is_served(&self, duty: Duty) -> bool {
        let readers = match duty {
            Duty::Everything => 0,
            Duty::Reads => self.readers.connected,
        };
        self.threads.connected + readers > 0
    }

    /// Those that a thread with that duty would take, of the first so many that came.
    fn take_up_to(&mut self, duty: Duty, came: u64) -> Vec<Box<dyn Job>> {
        let lanes = match duty {
            Duty::Everything => vec![&mut self.urgent, &mut self.ordinary, &mut self.reads],
            Duty::Reads => vec![&mut self.reads],
        };
        let mut taken = Vec::new();
        for lane in lanes {
            let until = lane.partition_point(|asked| asked.number <= came);
            taken.extend(lane.drain(..until).map(|asked| asked.job));
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
        let asked = Asked { job, lane, number: waiting.came, was_put_back: false };
        waiting.lane(lane).push_back(asked);
        self.wake_for(waiting, lane);
    }

    /// What came into a lane is seen, and somebody is called for it.
    fn wake_for(&self, mut waiting: MutexGuard<'_, Waiting>, lane: Lane) {
        self.length.store(waiting.len(), Ordering::Release);
        let called = waiting.call(lane);
        drop(waiting);
        if let Some(duty) = called {
            self.wakes(duty).notify_one();
        }
    }

    const fn wakes(&self, duty: Duty) -> &Condvar {
        match duty {
            Duty::Everything => &self.wake,
            Duty::Reads => &self.wake_reader,
        }
    }

    /// The next request for a thread with that duty; `None` when the queue is closed and has nothing more for it.
    pub(crate) fn wait(&self, duty: Duty) -> Option<Asked> {
        let mut waiting = self.locked();
        loop {
            if let Some(taken) = waiting.take(duty) {
                self.length.store(waiting.len(), Ordering::Release);
                return Some(taken);
            }
            if waiting.closed {
                return None;
            }
            waiting.sleepers(duty).asleep += 1;
            waiting = self.wakes(duty).wait(waiting).unwrap_or_else(PoisonError::into_inner);
            waiting.sleepers(duty).wake();
        }
    }

    /// A thread with that duty has a connection.
    pub(crate) fn connected(&self, duty: Duty) {
        self.locked().sleepers(duty).connected += 1;
    }

    /// A thread with that duty found that it has none any more.
    pub(crate) fn parted(&self, duty: Duty) {
        let mut waiting = self.locked();
        let sleepers = waiting.sleepers(duty);
        sleepers.connected = sleepers.connected.saturating_sub(1);
    }

    /// True if others have a connection for what a thread with that duty takes, and more may come.
    pub(crate) fn is_served(&self, duty: Duty) -> bool {
        let waiting = self.locked();
        !waiting.closed && waiting.is_served(duty)
    }

    /// Hands on to a thread with a connection what one without took and did not begin. It is given back where nobody has a
    /// connection, and where it was handed on before: each of them may be the next to find that its own is gone.
    pub(crate) fn put_back(&self, mut asked: Asked, duty: Duty) -> Result<(), Box<dyn Job>> {
        let mut waiting = self.locked();
        if waiting.closed || asked.was_put_back || !waiting.is_served(duty) {
            return Err(asked.job);
        }
        asked.was_put_back = true;
        let (lane, number) = (asked.lane, asked.number);
        let others = waiting.lane(lane);
        let at = others.partition_point(|other| other.number < number);
        others.insert(at, asked);
        self.wake_for(waiting, lane);
        Ok(())
    }

    /// The next request, if one waits, for a thread that takes everything.
    pub(crate) fn next(&self) -> Option<Box<dyn Job>> {
        let mut waiting = self.locked();
        let taken = waiting.take(Duty::Everything);
        self.length.store(waiting.len(), Ordering::Release);
        taken.map(|asked| asked.job)
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
