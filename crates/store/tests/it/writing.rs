//! Writing: what is answered is durable and whole, what is refused left nothing, and one request's fault is its own.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::DirectoryUserChange;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{DirectoryUserId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_store::db::Lock;
use portcullis_store::statement::Statement;
use portcullis_store::{
    Options, Priority, Store, StoreError, Tx, UniqueKey, apply, directory_user, instance,
};

use crate::database::{Database, NOW, Seeded, Still, on_each};
use crate::fixture;

/// How long an answer may take before the test says that it never came.
const MAX_WAIT: Duration = Duration::from_secs(30);

type Answer = Result<&'static str, StoreError>;

fn find(database: &Database, name: &'static str) -> Option<String> {
    database.read(move |tx| instance::find(tx, name))
}

/// Sends a write whose answer comes later.
fn send(
    database: &Database,
    priority: Priority,
    run: impl FnMut(&mut Tx<'_>) -> Answer + Send + 'static,
) -> Receiver<Answer> {
    let (sender, receiver) = mpsc::channel();
    database.store().write(priority, run, move |answer| {
        let _ = sender.send(answer);
    });
    receiver
}

fn put(name: &'static str) -> impl FnMut(&mut Tx<'_>) -> Answer + Send {
    move |tx| instance::put(tx, name, "put").map(|()| name)
}

fn answer(receiver: &Receiver<Answer>) -> Answer {
    receiver.recv_timeout(MAX_WAIT).expect("an answer comes")
}

/// Keeps the one writer busy until what is returned is dropped, so that the requests after it go into one group.
fn hold(database: &Database) -> (Sender<()>, Receiver<Answer>) {
    let (release, held) = mpsc::channel::<()>();
    let (started, wait) = mpsc::channel();
    let holding = send(database, Priority::Ordinary, move |_| {
        let _ = started.send(());
        let _ = held.recv_timeout(MAX_WAIT);
        Ok("held")
    });
    wait.recv_timeout(MAX_WAIT).expect("the writer takes it up");
    (release, holding)
}

/// What SQLite says of itself on the connection that it is asked by.
const SET_TO: [(&str, Statement, &str); 4] = [
    ("journal_mode", Statement::read("test.journal_mode", "PRAGMA journal_mode"), "wal"),
    // `FULL`: with less, the commits before the power failed are lost.
    ("synchronous", Statement::read("test.synchronous", "PRAGMA synchronous"), "2"),
    ("cache_size", Statement::read("test.cache_size", "PRAGMA cache_size"), "-8192"),
    ("wal_autocheckpoint", Statement::read("test.checkpoint", "PRAGMA wal_autocheckpoint"), "4000"),
];

/// No kill of a process shows whether a commit was synced: what was written stays with the system.
#[test]
fn each_commit_on_sqlite_is_synced_before_it_is_answered() {
    let database = Database::sqlite().opened();
    let ask = |tx: &mut Tx<'_>| -> Result<Vec<String>, StoreError> {
        let said = SET_TO.iter().map(|(_, statement, _)| {
            let row = tx.row(statement, &[])?.unwrap();
            row.text(0).map(str::to_owned).or_else(|_| Ok(row.int(0)?.to_string()))
        });
        said.collect()
    };
    for said in [database.note(ask).unwrap(), database.read(ask)] {
        for ((name, _, must), said) in SET_TO.iter().zip(said) {
            assert_eq!(said, *must, "{name}");
        }
    }
}

#[test]
fn what_a_use_case_refuses_leaves_nothing_behind() {
    on_each(|database| {
        let refused: Result<(), StoreError> = database.note(|tx| {
            instance::put(tx, "half", "done")?;
            Err(StoreError::NotActive)
        });
        assert_eq!(refused, Err(StoreError::NotActive));
        assert_eq!(find(database, "half"), None);
    });
}

#[test]
fn in_a_group_a_panic_and_a_refusal_take_only_their_own_writes_along() {
    on_each(|database| {
        let (release, holding) = hold(database);
        let before = send(database, Priority::Ordinary, put("before"));
        let panics = send(database, Priority::Ordinary, |tx| {
            instance::put(tx, "panicked", "half")?;
            panic!("a planted panic")
        });
        let refuses = send(database, Priority::Ordinary, |tx| {
            instance::put(tx, "refused", "half")?;
            Err(StoreError::NotActive)
        });
        let after = send(database, Priority::Ordinary, put("after"));
        drop(release);
        assert_eq!(answer(&holding), Ok("held"));
        assert_eq!(answer(&before), Ok("before"));
        assert_eq!(answer(&panics), Err(StoreError::Fault("the request panicked".into())));
        assert_eq!(answer(&refuses), Err(StoreError::NotActive));
        assert_eq!(answer(&after), Ok("after"));
        let found = ["before", "panicked", "refused", "after"].map(|name| find(database, name).is_some());
        assert_eq!(found, [true, false, false, true]);
    });
}

#[test]
fn off_boarding_goes_before_what_waits_on_sqlite() {
    let database = Database::sqlite().opened();
    let (release, holding) = hold(&database);
    let (order, done) = mpsc::channel();
    let note = |name: &'static str| {
        let order = order.clone();
        move |_: &mut Tx<'_>| -> Answer {
            let _ = order.send(name);
            Ok(name)
        }
    };
    let waits: Vec<_> = (0..3).map(|_| send(&database, Priority::Ordinary, note("ordinary"))).collect();
    let first = send(&database, Priority::OffBoarding, note("off-boarding"));
    assert_eq!(database.store().waiting(), 4);
    drop(release);
    for receiver in waits.iter().chain([&first, &holding]) {
        answer(receiver).unwrap();
    }
    assert_eq!(done.try_iter().collect::<Vec<_>>(), ["off-boarding", "ordinary", "ordinary", "ordinary"]);
}

#[test]
fn a_read_sees_one_moment_and_no_write_that_is_not_committed() {
    let database = Database::sqlite().opened();
    let (release, held) = mpsc::channel::<()>();
    let (started, wait) = mpsc::channel();
    let writing = send(&database, Priority::Ordinary, move |tx| {
        instance::put(tx, "uncommitted", "yet")?;
        let _ = started.send(());
        let _ = held.recv_timeout(MAX_WAIT);
        Ok("written")
    });
    wait.recv_timeout(MAX_WAIT).unwrap();
    assert_eq!(find(&database, "uncommitted"), None);
    drop(release);
    assert_eq!(answer(&writing), Ok("written"));
    assert_eq!(find(&database, "uncommitted").as_deref(), Some("yet"));
}

#[test]
fn what_waits_is_carried_out_when_the_store_closes_and_nothing_after_it() {
    on_each(|database| {
        let (release, holding) = hold(database);
        let waiting: Vec<_> =
            ["a", "b", "c"].into_iter().map(|name| send(database, Priority::Ordinary, put(name))).collect();
        drop(release);
        database.store().close();
        answer(&holding).unwrap();
        for receiver in &waiting {
            answer(receiver).unwrap();
        }
        let late = send(database, Priority::Ordinary, put("late"));
        assert!(matches!(answer(&late), Err(StoreError::Unavailable(_))));
    });
}

#[test]
fn a_full_disk_fails_what_it_meets_and_everything_that_was_answered_is_there() {
    let database = Database::sqlite().opened();
    let pages = |pages: &str| {
        let set = format!("PRAGMA max_page_count = {pages}");
        database.note(move |tx| tx.batch(&set)).unwrap();
    };
    // SQLite takes a limit below the size that the file has as that size.
    pages("1");
    let (release, holding) = hold(&database);
    let answers: Vec<_> = (0..40)
        .map(|number| {
            let name = format!("name-{number}");
            let value = "x".repeat(2000);
            send(&database, Priority::Ordinary, move |tx| instance::put(tx, &name, &value).map(|()| "put"))
        })
        .collect();
    drop(release);
    let _ = answer(&holding);
    let mut failed = 0;
    for (number, receiver) in answers.iter().enumerate() {
        let name = format!("name-{number}");
        let asked = name.clone();
        let answered = answer(receiver);
        let is_there = database.read(move |tx| instance::find(tx, &asked)).is_some();
        match answered {
            Ok(_) => assert!(is_there, "`{name}` was answered and is not there"),
            Err(StoreError::Unavailable(_)) => {
                failed += 1;
                assert!(!is_there, "`{name}` was refused and is there");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(failed > 0, "the disk was not full");
    pages("1000000");
    database.note(|tx| instance::put(tx, "again", "works")).unwrap();
    let Options::Sqlite { path } = database.options() else { panic!("not SQLite") };
    let whole: String = rusqlite::Connection::open(path)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
}

#[test]
fn two_transactions_that_lock_each_other_are_both_carried_out_on_postgresql() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    let both = Arc::new(Barrier::new(2));
    let crossing = |first: &'static str, second: &'static str| {
        let both = Arc::clone(&both);
        let mut tries = 0;
        move |tx: &mut Tx<'_>| -> Answer {
            tries += 1;
            instance::put(tx, first, first)?;
            if tries == 1 {
                both.wait();
            }
            instance::put(tx, second, first)?;
            Ok(first)
        }
    };
    let answers = [
        send(&database, Priority::Ordinary, crossing("a", "b")),
        send(&database, Priority::Ordinary, crossing("b", "a")),
    ];
    assert_eq!(answers.map(|receiver| answer(&receiver)), [Ok("a"), Ok("b")]);
    let found = ["a", "b"].map(|name| find(&database, name).unwrap());
    assert_eq!(found[0], found[1], "the second one wrote both");
}

#[test]
fn who_asks_does_not_stand_behind_those_who_wait_for_a_lock_and_no_lock_is_waited_for_for_good_on_postgresql()
{
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    let store = Store::connect(&database.with_connections(8), Arc::new(Still)).unwrap();
    let organization = fixture::fresh!(OrganizationId);
    let busy = move || Lock::Organization(organization);
    // Somebody else has the lock, and as many wait for it as there are threads that write, and more.
    let (locked, is_locked) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let mut gate = Some((locked, may_go));
            database.note(move |tx| {
                tx.lock(busy())?;
                if let Some((locked, may_go)) = gate.take() {
                    locked.send(()).unwrap();
                    may_go.recv().unwrap();
                }
                Ok(())
            })
        });
        is_locked.recv().unwrap();
        let (told, answers) = mpsc::channel();
        for _ in 0..12 {
            let told = told.clone();
            let reply = move |answer: Result<(), StoreError>| drop(told.send(answer));
            store.write(Priority::Ordinary, move |tx| tx.lock(busy()), reply);
        }
        let asked: Option<String> = store.read_blocking(|tx| instance::find(tx, "nobody")).unwrap();
        assert_eq!(asked, None);
        assert!(answers.try_recv().is_err(), "they wait still: the read went by them");
        // Whoever waited for as long as anybody may is told to come again, and has changed nothing.
        let late = answers.recv_timeout(MAX_WAIT).unwrap();
        assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
        go.send(()).unwrap();
        first.join().unwrap().unwrap();
        drop(told);
        let rest: Vec<_> = answers.iter().collect();
        assert_eq!(rest.len(), 11);
        assert!(rest.iter().any(Result::is_ok), "{rest:?}");
    });
}

#[test]
fn whoever_takes_a_name_that_is_being_taken_finds_it_taken_on_postgresql() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    let acme = fixture::organization(&database, "acme");
    let directory = fixture::directory(&database, acme.id, None);
    let [ann, bob] = ["ann", "bob"].map(|name| {
        let membership = fixture::membership(&database, acme.id, name);
        fixture::directory_user(&database, &directory, &membership)
    });
    let rename = |id: DirectoryUserId| {
        let (organization, directory) = (acme.id, directory.id);
        move |tx: &mut Tx<'_>| -> Answer {
            let user = directory_user::find(tx, directory, id)?.expect("they were told of");
            let renamed = DirectoryUser { user_name: "grace@example.com".to_owned(), ..user };
            let event = EventDraft::new(Action::DirectoryUserUpdated, id);
            let change = DirectoryUserChange::Update(Box::new(renamed));
            let plan = Plan::because(organization, Cause::system()).then(event, change);
            apply(tx, &plan, NOW, &mut Seeded::next()).map(|_| "renamed")
        }
    };
    let (release, held) = mpsc::channel::<()>();
    let (started, wait) = mpsc::channel();
    let renames_ann = rename(ann);
    let first = send(&database, Priority::Ordinary, move |tx| {
        let renamed = renames_ann(tx)?;
        let _ = started.send(());
        let _ = held.recv_timeout(MAX_WAIT);
        Ok(renamed)
    });
    wait.recv_timeout(MAX_WAIT).expect("the name is taken");
    let second = send(&database, Priority::Ordinary, rename(bob));
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut client = database.client();
    let somebody_waits = |_: &u32| client.query_one(waiting, &[]).unwrap().get::<_, i64>(0) > 0;
    let waited = (0..6_000).inspect(|_| std::thread::sleep(Duration::from_millis(5))).find(somebody_waits);
    assert!(waited.is_some(), "the second looked for the name before it was taken, and waits to take it");
    drop(release);
    assert_eq!(answer(&first), Ok("renamed"));
    assert_eq!(answer(&second), Err(StoreError::Taken(UniqueKey::DirectoryUserUserName)));
}

#[test]
fn a_lost_connection_fails_its_request_and_is_replaced_on_postgresql() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    let (release, holding) = hold(&database);
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.client().query(others, &[]).unwrap();
    drop(release);
    assert!(matches!(answer(&holding), Err(StoreError::Unavailable(_))));
    // The other connection was lost as well, but nobody used it.
    for _ in 0..4 {
        assert_eq!(database.note(|tx| instance::put(tx, "after", "works")), Ok(()));
    }
}

#[test]
fn connections_that_were_closed_while_nobody_used_them_fail_nobody_on_postgresql() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    for _ in 0..3 {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        database.client().query(others, &[]).unwrap();
        for number in 0..4 {
            let read = database.store().read_blocking(|tx| instance::find(tx, "name"));
            assert!(read.is_ok(), "read {number}: {read:?}");
            assert_eq!(database.note(|tx| instance::put(tx, "name", "kept")), Ok(()), "write {number}");
        }
    }
}

#[test]
fn a_database_that_says_that_it_does_not_serve_now_is_unavailable_and_asked_anew_on_postgresql() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    // A full disk, no memory, no connections, a read that failed, a standby; and what is a fault of ours.
    for (code, is_gone) in [
        ("53100", true),
        ("53200", true),
        ("53300", true),
        ("58030", true),
        ("25006", true),
        ("22012", false),
    ] {
        let failed: Result<(), StoreError> = database.note(move |tx| {
            tx.batch(&format!("DO $$ BEGIN RAISE EXCEPTION 'as said' USING ERRCODE = '{code}'; END $$"))
        });
        let error = failed.unwrap_err();
        assert_eq!(matches!(&error, StoreError::Unavailable(_)), is_gone, "{code}: {error:?}");
        assert!(error.to_string().contains("as said"), "{code}: {error}");
        assert_eq!(database.note(|tx| instance::put(tx, "after", "works")), Ok(()), "{code}");
    }
    // In the database's own words, and by its own doing: the session that was read-only is not asked again.
    for _ in 0..4 {
        let refused: Result<(), StoreError> = database.note(|tx| {
            tx.batch("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; COMMIT; BEGIN")?;
            instance::put(tx, "after", "refused")
        });
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert_eq!(database.note(|tx| instance::put(tx, "after", "works")), Ok(()));
    }
}

#[test]
fn a_read_sees_one_state_of_the_database_from_its_first_statement_to_its_last_and_writes_nothing() {
    on_each(|database| {
        database.note(|tx| instance::put(tx, "moved", "from")).unwrap();
        let (looked, has_looked) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        std::thread::scope(|scope| {
            let reads = scope.spawn(|| {
                database.read(move |tx| {
                    let before = instance::find(tx, "moved")?;
                    looked.send(()).unwrap();
                    may_go.recv().unwrap();
                    Ok([before, instance::find(tx, "moved")?, instance::find(tx, "new")?])
                })
            });
            has_looked.recv().unwrap();
            database.note(|tx| instance::put(tx, "moved", "to")).unwrap();
            database.note(|tx| instance::put(tx, "new", "here")).unwrap();
            go.send(()).unwrap();
            let from = Some("from".to_owned());
            assert_eq!(reads.join().unwrap(), [from.clone(), from, None]);
        });
    });
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    let written: Result<(), StoreError> = database.store().read_blocking(|tx| instance::put(tx, "x", "y"));
    assert!(written.is_err());
    assert_eq!(find(&database, "x"), None);
}

#[test]
fn a_commit_that_fails_is_answered_so_and_leaves_nothing_on_postgresql() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    // What is looked at only by the commit itself.
    let table = "CREATE TABLE kept (id BIGINT, UNIQUE (id) DEFERRABLE INITIALLY DEFERRED)";
    database.client().batch_execute(table).unwrap();
    let failed: Result<(), StoreError> = database.note(|tx| {
        instance::put(tx, "beside", "put")?;
        tx.batch("INSERT INTO kept VALUES (1); INSERT INTO kept VALUES (1)")
    });
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    assert_eq!(find(&database, "beside"), None);
    assert_eq!(database.note(|tx| instance::put(tx, "after", "put")), Ok(()));
    assert_eq!(find(&database, "after").as_deref(), Some("put"));
}

#[test]
fn a_connection_that_is_lost_while_it_commits_is_answered_as_not_known_on_postgresql() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    // Carried out by the commit itself.
    let cut = "CREATE TABLE cut (id BIGINT); \
               CREATE FUNCTION cut() RETURNS TRIGGER LANGUAGE plpgsql AS \
               'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'; \
               CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON cut DEFERRABLE INITIALLY DEFERRED \
               FOR EACH ROW EXECUTE FUNCTION cut()";
    database.client().batch_execute(cut).unwrap();
    let lost: Result<(), StoreError> = database.note(|tx| tx.batch("INSERT INTO cut VALUES (1)"));
    assert!(matches!(lost, Err(StoreError::OutcomeUnknown(_))), "{lost:?}");
    assert_eq!(database.note(|tx| instance::put(tx, "after", "put")), Ok(()));
}

#[test]
fn a_use_case_that_goes_on_after_a_failed_statement_is_not_answered_as_done() {
    on_each(|database| {
        let outcome = database.note(|tx| {
            instance::put(tx, "before", "the failure")?;
            let _ = tx.batch("INSERT INTO no_such_table VALUES (1)");
            Ok(())
        });
        let kept = find(database, "before").is_some();
        assert_eq!(outcome.is_ok(), kept, "what is answered as done is done: {outcome:?}");
    });
}
