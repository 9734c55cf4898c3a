//! What the writer tells when SQLite itself fails in the middle of a group: nothing that is not durable counts as done.
//!
//! A commit is made to fail by a hook, transaction control by refusing it while it is prepared. A disk whose sync fails
//! cannot be put under SQLite without unsafe code, which the workspace forbids; the writer sees it as one of these.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use portcullis_domain::{Clock, Timestamp};
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};

use super::{Attempt, Job, LOOKS, MAX_PAUSE_MICROS, WORTH_LOOKING_MICROS, Wakefulness, sqlite_writer};
use crate::pool::Priority;
use crate::queue::{Duty, Lane, Queue};
use crate::{StoreError, Tx};

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1)
    }
}

/// A request that runs one batch, and what it wants then.
struct Request {
    sql: &'static str,
    wants: Attempt,
    told: mpsc::Sender<Result<(), StoreError>>,
}

impl Job for Request {
    fn attempt(&mut self, tx: &mut Tx<'_>) -> Attempt {
        tx.lessens();
        // Whatever came of it: a use case may be wrong about its own failure.
        let _ = tx.batch(self.sql);
        self.wants
    }

    fn only_reads(&self) -> bool {
        false
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let _ = self.told.send(outcome);
    }
}

/// The same, with a folder where the journal was.
struct InTheWay {
    inner: Request,
    journal: PathBuf,
}

impl Job for InTheWay {
    fn attempt(&mut self, tx: &mut Tx<'_>) -> Attempt {
        let wanted = self.inner.attempt(tx);
        std::fs::remove_file(&self.journal).unwrap();
        std::fs::create_dir(&self.journal).unwrap();
        wanted
    }

    fn only_reads(&self) -> bool {
        false
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        Box::new(self.inner).finish(outcome);
    }
}

/// A database with one table, on a disk.
fn database() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let connection = Connection::open(folder.path().join("x.sqlite")).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE kept (id INTEGER PRIMARY KEY)")
        .unwrap();
    (folder, connection)
}

/// Carries these out in one group: what each was told, and how many commits counted as taking access away.
fn carry_out(
    connection: &Connection,
    requests: &[(&'static str, Attempt)],
) -> (Vec<Result<(), StoreError>>, u64) {
    let (queue, lessenings) = (Queue::new(), AtomicU64::new(0));
    let told: Vec<mpsc::Receiver<_>> = requests
        .iter()
        .map(|(sql, wants)| {
            let (sender, receiver) = mpsc::channel();
            queue
                .put(Lane::Write(Priority::Ordinary), Box::new(Request { sql, wants: *wants, told: sender }));
            receiver
        })
        .collect();
    queue.close();
    sqlite_writer(connection, &queue, &Standing, &lessenings);
    (told.into_iter().map(|receiver| receiver.recv().unwrap()).collect(), lessenings.load(Ordering::Acquire))
}

/// What somebody else finds, from another connection.
fn kept(folder: &tempfile::TempDir) -> Vec<i64> {
    let connection = Connection::open(folder.path().join("x.sqlite")).unwrap();
    let mut statement = connection.prepare("SELECT id FROM kept ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn must_be_told_to_all(told: &[Result<(), StoreError>], requests: usize) {
    assert_eq!(told.len(), requests);
    for outcome in told {
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{told:?}");
    }
}

/// What failed is over: the next group is carried out.
fn must_go_on(folder: &tempfile::TempDir, connection: &Connection) {
    let (told, _) = carry_out(connection, &[("INSERT INTO kept VALUES (100)", Attempt::Keep)]);
    assert_eq!(told, [Ok(())]);
    assert_eq!(kept(folder), [100]);
}

#[test]
fn a_commit_that_rolls_back_is_told_to_everybody_in_it_and_may_have_taken_access_away() {
    let (folder, mut connection) = database();
    connection.commit_hook(Some(|| true)).unwrap();
    let requests =
        [("INSERT INTO kept VALUES (1)", Attempt::Keep), ("INSERT INTO kept VALUES (2)", Attempt::Keep)];
    let (told, lessenings) = carry_out(&connection, &requests);
    must_be_told_to_all(&told, 2);
    assert_eq!(lessenings, 1, "nobody is sure of a commit that failed");
    assert_eq!(kept(&folder), Vec::<i64>::new());
    connection.commit_hook(None::<fn() -> bool>).unwrap();
    must_go_on(&folder, &connection);
}

#[test]
fn a_commit_that_fails_and_stays_open_is_rolled_back() {
    let (folder, mut connection) = database();
    // SQLite's word for it is `COMMIT`, which the driver does not know by name.
    let refuse = |context: AuthContext<'_>| match context.action {
        AuthAction::Transaction { operation: TransactionOperation::Unknown } => Authorization::Deny,
        _ => Authorization::Allow,
    };
    connection.authorizer(Some(refuse)).unwrap();
    let (told, _) = carry_out(&connection, &[("INSERT INTO kept VALUES (1)", Attempt::Keep)]);
    must_be_told_to_all(&told, 1);
    assert!(connection.is_autocommit(), "a transaction that stays open would take the next group with it");
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).unwrap();
    assert_eq!(kept(&folder), Vec::<i64>::new());
    must_go_on(&folder, &connection);
}

#[test]
fn a_commit_that_the_disk_failed_is_told_as_not_known_because_it_may_be_there() {
    let (folder, connection) = database();
    // With a journal that is deleted last, when all is written: what cannot be deleted fails the commit.
    connection.execute_batch("PRAGMA journal_mode = DELETE").unwrap();
    let journal = folder.path().join("x.sqlite-journal");
    let (told, outcome) = mpsc::channel();
    let queue = Queue::new();
    let inner = Request { sql: "INSERT INTO kept VALUES (1)", wants: Attempt::Keep, told };
    queue.put(Lane::Write(Priority::Ordinary), Box::new(InTheWay { inner, journal: journal.clone() }));
    queue.close();
    sqlite_writer(&connection, &queue, &Standing, &AtomicU64::new(0));
    let outcome = outcome.recv().unwrap();
    assert!(matches!(outcome, Err(StoreError::OutcomeUnknown(_))), "{outcome:?}");
    drop(connection);
    std::fs::remove_dir(journal).unwrap();
    assert_eq!(kept(&folder), [1], "it was told as failed, and is there");
}

#[test]
fn a_request_that_cannot_be_undone_alone_takes_its_whole_group_with_it() {
    let (folder, mut connection) = database();
    let refuse = |context: AuthContext<'_>| match context.action {
        AuthAction::Savepoint { operation: TransactionOperation::Rollback, .. } => Authorization::Deny,
        _ => Authorization::Allow,
    };
    connection.authorizer(Some(refuse)).unwrap();
    // The first that refuses is undone with the group, which begins again with savepoints; the second has one.
    let requests = [
        ("INSERT INTO kept VALUES (1)", Attempt::Keep),
        ("INSERT INTO kept VALUES (2)", Attempt::Drop),
        ("INSERT INTO kept VALUES (3)", Attempt::Drop),
    ];
    let (told, _) = carry_out(&connection, &requests);
    must_be_told_to_all(&told, 3);
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).unwrap();
    assert_eq!(kept(&folder), Vec::<i64>::new());
    must_go_on(&folder, &connection);
}

#[test]
fn a_statement_that_ends_the_transaction_ends_the_group_before_anybody_writes_outside_of_one() {
    let (folder, connection) = database();
    // As a full disk or a failed write does.
    let rolls_back = "INSERT INTO kept VALUES (2); INSERT OR ROLLBACK INTO kept VALUES (2)";
    let requests = [
        ("INSERT INTO kept VALUES (1)", Attempt::Keep),
        (rolls_back, Attempt::Keep),
        ("INSERT INTO kept VALUES (3)", Attempt::Keep),
    ];
    let (told, _) = carry_out(&connection, &requests);
    assert_eq!(told.len(), 3);
    assert!(told[..2].iter().all(Result::is_err), "{told:?}");
    assert!(format!("{:?}", told[0]).contains("the transaction ended"), "{told:?}");
    // Whoever was told of a success finds it, and nothing else is there.
    let expected: Vec<i64> = if told[2].is_ok() { vec![3] } else { Vec::new() };
    assert_eq!(kept(&folder), expected, "{told:?}");
}

/// How often a writer looks while nobody comes.
fn looks(wakefulness: &Wakefulness) -> u32 {
    let looked = std::cell::Cell::new(0);
    wakefulness.look(&Queue::new(), || looked.set(looked.get() + 1));
    looked.get()
}

#[test]
fn a_writer_looks_only_while_requests_come_soon_one_after_another() {
    let mut wakefulness = Wakefulness::default();
    assert_eq!(looks(&wakefulness), 0, "nobody has come yet");
    let mut requests = 0;
    while looks(&wakefulness) == 0 {
        wakefulness.learn(WORTH_LOOKING_MICROS / 2);
        requests += 1;
    }
    assert!((2..10).contains(&requests), "{requests}");
    assert_eq!(looks(&wakefulness), LOOKS);
    // Whoever comes in bursts pays for one look at the end of each, and whoever comes now and then for none.
    wakefulness.learn(i64::MAX);
    assert_eq!(looks(&wakefulness), 0);
    for _ in 0..100 {
        wakefulness.learn(2 * WORTH_LOOKING_MICROS);
        assert_eq!(looks(&wakefulness), 0);
    }
    // A clock that was set back makes no pause negative.
    wakefulness.learn(i64::MIN);
    wakefulness.learn(i64::MIN);
    wakefulness.learn(i64::MIN);
    assert_eq!(looks(&wakefulness), LOOKS);
    for _ in 0..2 {
        wakefulness.learn(MAX_PAUSE_MICROS);
    }
    assert_eq!(looks(&wakefulness), 0);
}

#[test]
fn a_writer_looks_no_longer_than_until_a_request_waits_and_stays_awake_then() {
    let (queue, mut wakefulness) = (Queue::new(), Wakefulness::default());
    let (told, _kept) = mpsc::channel();
    (0..20).for_each(|_| wakefulness.learn(0));
    for _ in 0..3 {
        let looked = std::cell::Cell::new(0);
        wakefulness.look(&queue, || {
            looked.set(looked.get() + 1);
            if looked.get() == 7 {
                let request = Request { sql: "", wants: Attempt::Drop, told: told.clone() };
                queue.put(Lane::Write(Priority::Ordinary), Box::new(request));
            }
        });
        assert_eq!(looked.get(), 7);
        assert_eq!(queue.len(), 1);
        assert!(queue.wait(Duty::Everything).is_some());
        assert_eq!(queue.len(), 0);
    }
}
