//! Groups of writes on SQLite: when one ends, and what a broken one does to those who are in it.
//!
//! A request that throws the transaction away breaks its whole group, so who is told of it shows who was in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use portcullis_domain::{Clock, Timestamp};
use portcullis_store::{Options, Priority, Store, StoreError, Tx, instance};
use tempfile::TempDir;

/// How long an answer may take before the test says that it never came.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// The most requests in a group, as the design says.
const GROUP: usize = 64;
/// The most rows of a group.
const ROWS: usize = 5000;
/// The most microseconds of a group.
const MICROS: i64 = 20_000;

type Answer = Result<(), StoreError>;

/// A clock that requests move.
#[derive(Default)]
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

struct Place {
    store: Store,
    clock: Arc<Moved>,
    _folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(Moved::default());
        let options = Options::Sqlite { path: folder.path().join("store.sqlite") };
        let store = Store::open(&options, Arc::clone(&clock) as _).unwrap();
        Self { store, clock, _folder: folder }
    }

    fn send(&self, run: impl FnMut(&mut Tx<'_>) -> Answer + Send + 'static) -> Receiver<Answer> {
        let (sender, receiver) = mpsc::channel();
        self.store.write(Priority::Ordinary, run, move |answer| {
            let _ = sender.send(answer);
        });
        receiver
    }

    /// A request that keeps the writer until what is returned is dropped: those behind it wait together, for the next
    /// group.
    fn hold(&self) -> (Sender<()>, Receiver<Answer>) {
        let (release, held) = mpsc::channel::<()>();
        let (started, wait) = mpsc::channel();
        let holding = self.send(move |_| {
            let _ = started.send(());
            let _ = held.recv_timeout(MAX_WAIT);
            Ok(())
        });
        wait.recv_timeout(MAX_WAIT).expect("the writer takes it up");
        (release, holding)
    }

    fn has(&self, name: &str) -> bool {
        let name = name.to_owned();
        self.store.read_blocking(move |tx| instance::find(tx, &name)).unwrap().is_some()
    }

    fn put(&self, name: &str) -> Receiver<Answer> {
        let name = name.to_owned();
        self.send(move |tx| instance::put(tx, &name, "put"))
    }

    /// A request that throws the transaction away and takes its group along.
    fn breaks(&self) -> Receiver<Answer> {
        self.send(|tx| tx.batch("ROLLBACK"))
    }

    /// The writer works on as if nothing had been.
    fn works(&self) {
        assert_eq!(answer(&self.put("afterwards")), Ok(()));
        assert!(self.has("afterwards"));
    }
}

fn answer(receiver: &Receiver<Answer>) -> Answer {
    receiver.recv_timeout(MAX_WAIT).expect("an answer comes")
}

fn is_failed(receiver: &Receiver<Answer>) -> bool {
    matches!(answer(receiver), Err(StoreError::Unavailable(_)))
}

/// How many of `before` requests are told that their group failed, when the one behind them breaks its group.
fn taken_along(before: usize) -> usize {
    let place = Place::new();
    let (release, holding) = place.hold();
    let waits: Vec<_> = (0..before).map(|n| (n, place.put(&format!("name-{n}")))).collect();
    let breaks = place.breaks();
    drop(release);
    assert_eq!(answer(&holding), Ok(()), "who waits is in no group that began before");
    let mut failed = 0;
    for (n, receiver) in &waits {
        let this = is_failed(receiver);
        assert_eq!(place.has(&format!("name-{n}")), !this, "request {n} is there if it was answered so");
        failed += usize::from(this);
    }
    assert!(is_failed(&breaks));
    place.works();
    failed
}

#[test]
fn a_connection_back_in_autocommit_fails_its_whole_group() {
    assert_eq!(taken_along(5), 5);
}

#[test]
fn a_group_ends_at_its_most_requests() {
    assert_eq!(taken_along(GROUP - 1), GROUP - 1, "the last one that fits is in it");
    assert_eq!(taken_along(GROUP), 0, "the next one is in a group of its own");
}

/// The same with one request before that does something to the limits of its group.
fn taken_along_behind(first: impl FnMut(&mut Tx<'_>) -> Answer + Send + 'static, place: &Place) -> bool {
    let (release, holding) = place.hold();
    let before = place.send(first);
    let breaks = place.breaks();
    drop(release);
    assert_eq!(answer(&holding), Ok(()));
    assert!(is_failed(&breaks));
    let is_taken_along = is_failed(&before);
    place.works();
    is_taken_along
}

fn rows(count: usize) -> impl FnMut(&mut Tx<'_>) -> Answer + Send {
    move |tx| (0..count).try_for_each(|n| instance::put(tx, &format!("row-{n}"), "put"))
}

#[test]
fn a_group_ends_once_it_has_written_its_most_rows() {
    let place = Place::new();
    assert!(taken_along_behind(rows(ROWS - 1), &place), "one row below the limit the next request fits");
    assert!(!taken_along_behind(rows(ROWS), &place), "at the limit it does not");
}

#[test]
fn a_group_ends_when_its_time_is_over() {
    let lasting = |micros: i64| {
        let place = Place::new();
        let clock = Arc::clone(&place.clock);
        let passes = move |_: &mut Tx<'_>| {
            clock.0.fetch_add(micros, Ordering::SeqCst);
            Ok(())
        };
        taken_along_behind(passes, &place)
    };
    assert!(lasting(MICROS - 1));
    assert!(!lasting(MICROS));
}

#[test]
fn those_before_one_that_wrote_and_refused_are_carried_out_once_and_so_are_those_behind_it() {
    let place = Place::new();
    let counts = || {
        place.send(|tx| {
            let before = instance::find(tx, "count")?.map_or(0, |text| text.parse::<u32>().unwrap());
            instance::put(tx, "count", &(before + 1).to_string())
        })
    };
    let refuses = || {
        place.send(|tx| {
            instance::put(tx, "count", "1000")?;
            Err(StoreError::NotActive)
        })
    };
    let (release, holding) = place.hold();
    let counted = [counts(), counts()];
    let refused = refuses();
    let more = counts();
    let again = refuses();
    let last = counts();
    drop(release);
    for receiver in counted.iter().chain([&holding, &more, &last]) {
        assert_eq!(answer(receiver), Ok(()));
    }
    for receiver in [&refused, &again] {
        assert_eq!(answer(receiver), Err(StoreError::NotActive));
    }
    let count = place.store.read_blocking(|tx| instance::find(tx, "count")).unwrap();
    assert_eq!(count.as_deref(), Some("4"));
}

#[test]
fn a_rollback_that_fails_fails_the_whole_group() {
    let place = Place::new();
    let (release, holding) = place.hold();
    let before = place.put("before");
    // Once one has written and refused, the others have savepoints of their own.
    let spoils = place.send(|tx| {
        instance::put(tx, "spoilt", "half")?;
        Err(StoreError::NotActive)
    });
    // Its savepoint is gone when it is to be rolled back to.
    let refuses = place.send(|tx| {
        instance::put(tx, "half", "done")?;
        tx.batch("RELEASE request")?;
        Err(StoreError::NotActive)
    });
    drop(release);
    assert_eq!(answer(&holding), Ok(()));
    for receiver in [&before, &spoils, &refuses] {
        assert!(is_failed(receiver));
    }
    assert!(!place.has("before") && !place.has("spoilt") && !place.has("half"));
    place.works();
}

#[test]
fn a_commit_that_fails_fails_the_whole_group() {
    let place = Place::new();
    // Constraints that are looked at in the commit and not before; the writer finds its transaction as it left it.
    let constrained = place.send(|tx| {
        tx.batch(
            "CREATE TABLE parents (id INTEGER PRIMARY KEY); \
             CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED); \
             COMMIT; PRAGMA foreign_keys = ON; BEGIN IMMEDIATE",
        )
    });
    assert_eq!(answer(&constrained), Ok(()));
    let (release, holding) = place.hold();
    let before = place.put("before");
    let orphan = place.send(|tx| tx.batch("INSERT INTO children VALUES (1)"));
    let after = place.put("after");
    drop(release);
    assert_eq!(answer(&holding), Ok(()));
    for receiver in [&before, &orphan, &after] {
        assert!(is_failed(receiver), "nobody is answered before the commit");
    }
    assert!(!place.has("before") && !place.has("after"));
    place.works();
}
