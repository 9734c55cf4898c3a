//! Who is taken first, and that nobody waits for good.

use std::sync::{Arc, Mutex, mpsc};

use super::{Asked, Duty, Lane, MAX_FIRST_IN_A_ROW, MAX_WAITING, Queue};
use crate::pool::Priority;
use crate::writer::{Attempt, Job};
use crate::{StoreError, Tx};

const URGENT: Lane = Lane::Write(Priority::OffBoarding);
const ORDINARY: Lane = Lane::Write(Priority::Ordinary);

type Heard = Arc<Mutex<Vec<(String, bool)>>>;

/// Notes its name when it is finished, and whether well.
struct Named(String, Heard);

impl Job for Named {
    fn attempt(&mut self, _: &mut Tx<'_>) -> Attempt {
        Attempt::Drop
    }

    fn only_reads(&self) -> bool {
        false
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        self.1.lock().unwrap().push((self.0, outcome.is_ok()));
    }
}

impl Queue {
    /// How many threads sleep.
    fn asleep(&self) -> usize {
        let waiting = self.locked();
        waiting.threads.asleep + waiting.readers.asleep
    }
}

#[derive(Default)]
struct Scene {
    heard: Heard,
}

impl Scene {
    fn put(&self, queue: &Queue, lane: Lane, name: &str) {
        queue.put(lane, Box::new(Named(name.to_owned(), Arc::clone(&self.heard))));
    }

    /// The names of so many that a thread with that duty takes.
    fn taken(&self, queue: &Queue, duty: Duty, count: usize) -> Vec<String> {
        for _ in 0..count {
            queue.wait(duty).unwrap().job.finish(Ok(()));
        }
        self.heard.lock().unwrap().drain(..).map(|(name, _)| name).collect()
    }
}

#[test]
fn what_takes_access_away_goes_first_and_the_others_in_the_order_in_which_they_came() {
    let (queue, scene) = (Queue::new(), Scene::default());
    for (lane, name) in
        [(ORDINARY, "write 1"), (Lane::Read, "read 1"), (ORDINARY, "write 2"), (URGENT, "end")]
    {
        scene.put(&queue, lane, name);
    }
    assert_eq!(scene.taken(&queue, Duty::Everything, 4), ["end", "write 1", "read 1", "write 2"]);
}

#[test]
fn whoever_says_of_themselves_that_they_are_urgent_keeps_nobody_out_for_good() {
    let (queue, scene) = (Queue::new(), Scene::default());
    scene.put(&queue, ORDINARY, "patient");
    scene.put(&queue, Lane::Read, "check");
    for _ in 0..4 * MAX_FIRST_IN_A_ROW {
        scene.put(&queue, URGENT, "urgent");
    }
    let order = scene.taken(&queue, Duty::Everything, 2 * MAX_FIRST_IN_A_ROW as usize + 2);
    let at = |name: &str| order.iter().position(|taken| taken == name).unwrap();
    assert_eq!(at("patient"), MAX_FIRST_IN_A_ROW as usize);
    assert_eq!(at("check"), 2 * MAX_FIRST_IN_A_ROW as usize + 1);
}

#[test]
fn a_thread_for_reads_takes_nothing_else_and_the_others_help_with_reads() {
    let (queue, scene) = (Queue::new(), Scene::default());
    for (lane, name) in [(URGENT, "end"), (ORDINARY, "write"), (Lane::Read, "read 1"), (Lane::Read, "read 2")]
    {
        scene.put(&queue, lane, name);
    }
    assert_eq!(scene.taken(&queue, Duty::Reads, 1), ["read 1"]);
    assert_eq!(scene.taken(&queue, Duty::Everything, 3), ["end", "write", "read 2"]);
    scene.put(&queue, ORDINARY, "late");
    queue.close();
    assert!(queue.wait(Duty::Reads).is_none());
    assert_eq!(scene.taken(&queue, Duty::Everything, 1), ["late"]);
    assert!(queue.wait(Duty::Everything).is_none());
}

#[test]
fn what_waited_while_nobody_was_reached_is_refused_and_what_came_since_or_is_for_others_stays() {
    let (queue, scene) = (Queue::new(), Scene::default());
    for (lane, name) in [(Lane::Read, "read"), (ORDINARY, "write"), (URGENT, "end")] {
        scene.put(&queue, lane, name);
    }
    let came = queue.came();
    scene.put(&queue, Lane::Read, "since");
    let why = StoreError::Unavailable("nobody answered".into());
    let refused = |duty| {
        queue.refuse(duty, came, &why);
        scene.heard.lock().unwrap().drain(..).collect::<Vec<_>>()
    };
    assert_eq!(refused(Duty::Reads), [("read".to_owned(), false)]);
    assert_eq!(queue.len(), 3);
    assert_eq!(refused(Duty::Everything), [("end".to_owned(), false), ("write".to_owned(), false)]);
    assert_eq!((refused(Duty::Everything), queue.len()), (vec![], 1));
    assert_eq!(scene.taken(&queue, Duty::Reads, 1), ["since"]);
}

#[test]
fn what_a_thread_without_a_connection_took_goes_back_to_its_place_once_and_only_where_others_have_one() {
    let (queue, scene) = (Queue::new(), Scene::default());
    for name in ["first", "second"] {
        scene.put(&queue, ORDINARY, name);
    }
    let take = || queue.wait(Duty::Everything).unwrap();
    let lost = |job: Box<dyn Job>| job.finish(Err(StoreError::Unavailable("nobody answered".into())));
    queue.connected(Duty::Reads);
    // Whoever only reads is no help to somebody who writes.
    let (first, second) = (take(), take());
    assert!(!queue.is_served(Duty::Everything) && queue.is_served(Duty::Reads));
    lost(queue.put_back(first, Duty::Everything).expect_err("nobody takes it"));
    queue.connected(Duty::Everything);
    scene.put(&queue, ORDINARY, "third");
    assert!(queue.put_back(second, Duty::Everything).is_ok());
    assert_eq!(queue.len(), 2);
    lost(queue.put_back(take(), Duty::Everything).expect_err("it was handed on before"));
    queue.parted(Duty::Reads);
    assert!(queue.is_served(Duty::Reads), "whoever takes everything takes reads");
    queue.parted(Duty::Everything);
    assert!(!queue.is_served(Duty::Reads));
    let heard: Vec<_> = scene.heard.lock().unwrap().drain(..).collect();
    assert_eq!(heard, [("first".to_owned(), false), ("second".to_owned(), false)]);
    assert_eq!(scene.taken(&queue, Duty::Everything, 1), ["third"]);
}

#[test]
fn whoever_sleeps_is_woken_for_what_they_may_take() {
    let queue = Queue::new();
    let (told, taken) = mpsc::channel();
    let threads: Vec<_> = [Duty::Reads, Duty::Everything]
        .into_iter()
        .map(|duty| {
            let (queue, told) = (Arc::clone(&queue), told.clone());
            std::thread::spawn(move || {
                while let Some(Asked { job, .. }) = queue.wait(duty) {
                    job.finish(Ok(()));
                    told.send(duty).unwrap();
                }
            })
        })
        .collect();
    let scene = Scene::default();
    for round in 0..100 {
        let lane = if round % 2 == 0 { Lane::Read } else { ORDINARY };
        scene.put(&queue, lane, "one");
        let by = taken.recv().unwrap();
        assert!(lane == Lane::Read || by == Duty::Everything);
    }
    queue.close();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn of_two_reads_at_once_the_second_wakes_another_thread_while_the_first_is_slow() {
    for _ in 0..200 {
        let queue = Queue::new();
        let (told, taken) = mpsc::channel();
        let threads: Vec<_> = [Duty::Reads, Duty::Everything]
            .into_iter()
            .map(|duty| {
                let (queue, told) = (Arc::clone(&queue), told.clone());
                // Each takes one and does nothing more, as one does that waits long.
                std::thread::spawn(move || {
                    queue.wait(duty).unwrap().job.finish(Ok(()));
                    told.send(()).unwrap();
                })
            })
            .collect();
        while queue.asleep() < 2 {
            std::thread::yield_now();
        }
        let scene = Scene::default();
        scene.put(&queue, Lane::Read, "slow");
        scene.put(&queue, Lane::Read, "quick");
        for _ in 0..2 {
            taken.recv_timeout(std::time::Duration::from_secs(20)).expect("nobody was woken for the second");
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn whom_there_is_no_room_for_and_who_comes_too_late_are_answered_at_once() {
    let (queue, scene) = (Queue::new(), Scene::default());
    (0..MAX_WAITING).for_each(|_| scene.put(&queue, Lane::Read, "waits"));
    scene.put(&queue, URGENT, "too many");
    queue.close();
    scene.put(&queue, URGENT, "too late");
    let heard = scene.heard.lock().unwrap();
    assert_eq!(*heard, [("too many".to_owned(), false), ("too late".to_owned(), false)]);
    drop(heard);
    assert_eq!(queue.len(), MAX_WAITING);
}
