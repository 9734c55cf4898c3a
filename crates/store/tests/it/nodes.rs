//! One node serves a database: the lease, and the schema that two nodes must not make at once.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use portcullis_domain::id::NodeId;
use portcullis_store::lease::{self, Lease};
use portcullis_store::{Options, Store, StoreError, migration};

use crate::database::{Database, NOW, Seeded, Still, on_each, on_each_empty};
use crate::fixture::{fresh, later};

fn take(database: &Database, holder: NodeId, seconds: i64) -> Result<Lease, StoreError> {
    database.note(move |tx| lease::take(tx, holder, later(seconds), 10))
}

#[test]
fn a_second_node_is_refused_until_the_first_ones_lease_has_ended() {
    on_each(|database| {
        let [first, second] = [fresh!(NodeId), fresh!(NodeId)];
        let held = take(database, first, 0).unwrap();
        assert_eq!(held, Lease { holder: first, epoch: 1, expires_at: later(10) });
        let refused = take(database, second, 9).unwrap_err();
        let StoreError::Held(why) = &refused else { panic!("{refused:?}") };
        assert!(why.contains(&first.to_string()) && why.contains("1 s"), "{why}");
        database.note(move |tx| lease::check(tx, held)).unwrap();

        let taken = take(database, second, 10).unwrap();
        assert_eq!((taken.epoch, taken.expires_at), (2, later(20)));
        assert_eq!(database.note(move |tx| lease::check(tx, held)), Err(StoreError::Fenced));
        assert_eq!(database.note(move |tx| lease::renew(tx, held, later(11), 10)), Err(StoreError::Fenced));
        assert_eq!(database.read(lease::find), Some(taken), "who was fenced changes nothing");
    });
}

#[test]
fn the_same_node_takes_its_lease_back_at_once_and_fences_the_run_before() {
    on_each(|database| {
        let node = fresh!(NodeId);
        let before = take(database, node, 0).unwrap();
        let after = take(database, node, 1).unwrap();
        assert_eq!(after.epoch, before.epoch + 1);
        assert_eq!(database.note(move |tx| lease::check(tx, before)), Err(StoreError::Fenced));
        database.note(move |tx| lease::release(tx, before)).unwrap();
        database.note(move |tx| lease::check(tx, after)).unwrap();
        let renewed = database.note(move |tx| lease::renew(tx, after, later(30), 10)).unwrap();
        assert_eq!(renewed.expires_at, later(40), "one that ran out and that nobody took is renewed");
    });
}

#[test]
fn a_node_finds_whoever_serves_before_it_changes_the_schema() {
    on_each(|database| {
        let [first, second] = [fresh!(NodeId), fresh!(NodeId)];
        // A step that is not taken: whoever takes it finds that it was.
        let newest = migration::newest();
        let forget = format!("DELETE FROM schema_migrations WHERE number = {newest}");
        let now = database.read(|tx| tx.database_now());
        let taken = database.note(move |tx| lease::take_and_migrate(tx, first, now, 60)).unwrap();
        assert!(taken.expires_at.seconds_since(now) >= 60, "{taken:?}");
        assert_eq!(database.read(lease::find), Some(taken));
        database.note(move |tx| tx.batch(&forget)).unwrap();
        let refused = database.note(move |tx| lease::take_and_migrate(tx, second, now, 10)).unwrap_err();
        assert!(matches!(&refused, StoreError::Held(why) if why.contains(&first.to_string())), "{refused:?}");
        assert_eq!(database.note(migration::applied).unwrap().len() + 1, usize::try_from(newest).unwrap());
        // Its own lease is in nobody's way: it comes as far as the step, whatever that finds.
        let own = database.note(move |tx| lease::take_and_migrate(tx, first, now, 10));
        assert!(!matches!(own, Err(StoreError::Held(_))), "{own:?}");
    });
}

#[test]
fn a_commit_that_was_checked_under_a_lease_comes_before_the_lease_is_taken_on_postgresql() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    let [first, second] = [fresh!(NodeId), fresh!(NodeId)];
    let held = take(&database, first, 0).unwrap();
    let (checked, is_checked) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let writes = scope.spawn(|| {
            let mut gate = Some((checked, may_go));
            database.note(move |tx| {
                portcullis_store::instance::put(tx, "late", "commit")?;
                lease::check(tx, held)?;
                if let Some((checked, may_go)) = gate.take() {
                    checked.send(()).unwrap();
                    may_go.recv().unwrap();
                }
                Ok(())
            })
        });
        is_checked.recv().unwrap();
        let takes = scope.spawn(|| {
            database.note(move |tx| {
                let taken = lease::take(tx, second, later(10), 10)?;
                Ok((taken.epoch, portcullis_store::instance::find(tx, "late")?))
            })
        });
        let mut client = database.client();
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while !takes.is_finished() && client.query_one(waiting, &[]).unwrap().get::<_, i64>(0) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let passed = takes.is_finished();
        go.send(()).unwrap();
        writes.join().unwrap().unwrap();
        let (epoch, seen) = takes.join().unwrap().unwrap();
        assert!(!passed, "the lease was taken between the check and the commit");
        assert_eq!((epoch, seen.as_deref()), (held.epoch + 1, Some("commit")));
    });
    assert_eq!(database.note(move |tx| lease::check(tx, held)), Err(StoreError::Fenced));
}

#[test]
fn a_lease_is_renewed_while_commits_are_checked_under_it_on_postgresql() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    let node = fresh!(NodeId);
    let held = take(&database, node, 0).unwrap();
    let (renewed, is_renewed) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut is_renewed = Some(is_renewed);
            database.note(move |tx| {
                lease::check(tx, held)?;
                // Does not come to its end before the renewal has.
                is_renewed.take().map_or(Ok(()), |is| is.recv()).unwrap();
                Ok(())
            })
        });
        database.note(move |tx| lease::renew(tx, held, later(5), 10)).unwrap();
        renewed.send(()).unwrap();
    });
}

#[test]
fn a_lease_that_is_given_back_is_free_and_its_epoch_does_not_come_again() {
    on_each(|database| {
        let [first, second] = [fresh!(NodeId), fresh!(NodeId)];
        let held = take(database, first, 0).unwrap();
        database.note(move |tx| lease::release(tx, held)).unwrap();
        assert_eq!(take(database, second, 0).unwrap().epoch, held.epoch + 1, "at once, by whatever clock");
    });
}

#[test]
fn the_databases_clock_is_near_ours() {
    on_each(|database| {
        let [first, second] = [(), ()].map(|()| database.read(|tx| tx.database_now()));
        assert!(first <= second && second.seconds_since(first) < 60);
        assert!(second.seconds() > 1_700_000_000, "{second:?} is in microseconds since 1970");
    });
}

#[test]
fn a_database_is_brought_up_to_date_once() {
    on_each_empty(|database| {
        let connected = |database: &Database| Store::connect(&database.options(), Arc::new(Still)).unwrap();
        let before = connected(&database);
        assert_eq!(
            before.write_blocking(migration::applied),
            Ok(vec![]),
            "an empty database has taken no step"
        );
        drop(before);
        let database = database.opened();
        let taken = database.note(migration::applied).unwrap();
        let numbers: Vec<i64> = taken.iter().map(|step| step.number).collect();
        assert_eq!(numbers, (1..=migration::newest()).collect::<Vec<_>>());
        assert!(taken.iter().all(|step| step.applied_at == NOW));
        database.note(|tx| migration::migrate(tx, later(100))).unwrap();
        assert_eq!(database.note(migration::applied), Ok(taken));
    });
}

#[test]
fn a_database_of_a_newer_or_another_portcullis_is_refused_and_left_as_it_is() {
    let strangers = [
        ("INSERT INTO schema_migrations (number, name, applied_at) VALUES (9999, 'later', 1)", "9999"),
        ("UPDATE schema_migrations SET name = 'others' WHERE number = 1", "others"),
    ];
    for (change, word) in strangers {
        on_each_empty(|database| {
            let database = database.opened();
            database.note(move |tx| tx.batch(change)).unwrap();
            let before = database.note(migration::applied).unwrap();
            let refused = database.note(|tx| migration::migrate(tx, NOW)).unwrap_err();
            let StoreError::WrongVersion(why) = &refused else { panic!("{refused:?}") };
            assert!(why.contains(word), "{why}");
            assert_eq!(database.note(migration::applied), Ok(before));
        });
    }
}

#[test]
fn two_nodes_that_start_together_make_one_schema() {
    let Some(database) = Database::postgres() else { return };
    let options = database.options();
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let options: Options = options.clone();
            std::thread::spawn(move || Store::open(&options, Arc::new(Still)).map(|_| ()))
        })
        .collect();
    for start in starts {
        start.join().unwrap().unwrap();
    }
    let database = database.opened();
    let taken = database.note(migration::applied).unwrap();
    assert_eq!(taken.len(), usize::try_from(migration::newest()).unwrap());
}

#[test]
fn texts_are_ordered_by_bytes_on_both_databases() {
    use portcullis_store::instance;
    on_each(|database| {
        // A locale would sort these otherwise, and pages would have gaps.
        let names = ["B", "a", "Z", "ä", "_", "0"];
        for name in names {
            database.note(move |tx| instance::put(tx, name, "")).unwrap();
        }
        let mut expected = names.to_vec();
        expected.sort_unstable();
        let ordered = match database.options() {
            Options::Sqlite { path } => {
                let connection = rusqlite::Connection::open(path).unwrap();
                let mut statement = connection.prepare("SELECT name FROM instance ORDER BY name").unwrap();
                let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
                rows.map(Result::unwrap).collect::<Vec<_>>()
            }
            Options::Postgres { .. } => {
                let rows = database.client().query("SELECT name FROM instance ORDER BY name", &[]).unwrap();
                rows.into_iter().map(|row| row.get(0)).collect()
            }
        };
        assert_eq!(ordered, expected);
    });
}

#[test]
fn sqlite_refuses_a_value_of_another_type() {
    let database = Database::sqlite().opened();
    let Options::Sqlite { path } = database.options() else { panic!("not SQLite") };
    let connection = rusqlite::Connection::open(path).unwrap();
    let tables: Vec<(String, i64)> = connection
        .prepare(
            "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'",
        )
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(tables.len() > 30, "{} tables are too few to be all", tables.len());
    for (table, strict) in tables {
        assert_eq!(strict, 1, "`{table}` is not STRICT");
    }
}
