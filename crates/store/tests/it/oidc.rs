//! What follows sign-ins around whichever protocol: used messages; and whom an OpenID provider means by a session.

use std::sync::mpsc;
use std::time::Duration;

use portcullis_domain::id::{ConnectionId, TokenId};
use portcullis_store::ending::Over;
use portcullis_store::oidc_session::{MAX_NAMED, Named, OidcSession};
use portcullis_store::{StoreError, Tx, ending, oidc_session, replay};

use crate::database::{Database, NOW, Seeded, on_each};
use crate::fixture::{fresh, later};

#[test]
fn a_message_is_used_up_once_a_connection_and_forgotten_when_its_time_is_over() {
    on_each(|database| {
        let [mine, other] = [fresh!(ConnectionId), fresh!(ConnectionId)];
        let use_up = |connection, at, until| {
            database.note(move |tx| replay::use_up(tx, connection, "message", (at, until))).unwrap()
        };
        assert!(use_up(mine, NOW, later(60)));
        assert!(!use_up(mine, later(59), later(200)), "a second time");
        assert!(use_up(other, NOW, later(60)), "another connection's messages are others");
        assert!(
            use_up(mine, later(60), later(90)),
            "the provider's word is over, and so is the memory of it"
        );
    });
}

#[test]
fn s19_of_two_that_use_up_one_message_at_once_on_postgresql_one_does_and_the_other_if_the_first_does_not_commit()
 {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    for first_commits in [true, false] {
        let connection = fresh!(ConnectionId);
        let use_up = move |tx: &mut Tx<'_>| replay::use_up(tx, connection, "message", (NOW, later(60)));
        let (used, is_used) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                let mut gate = Some((used, may_go));
                database.note(move |tx| {
                    assert!(use_up(tx)?, "nobody has before");
                    if let Some((used, may_go)) = gate.take() {
                        used.send(()).unwrap();
                        may_go.recv().unwrap();
                    }
                    if first_commits { Ok(()) } else { Err(StoreError::Inconsistent("refused".to_owned())) }
                })
            });
            is_used.recv().unwrap();
            let second = scope.spawn(|| database.note(use_up));
            let mut client = database.client();
            let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while !second.is_finished() && client.query_one(waiting, &[]).unwrap().get::<_, i64>(0) == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(!second.is_finished(), "the second does not know yet whether it is used up");
            go.send(()).unwrap();
            assert_eq!(first.join().unwrap().is_ok(), first_commits);
            assert_eq!(second.join().unwrap().unwrap(), !first_commits, "committed: {first_commits}");
        });
    }
}

#[test]
fn sessions_are_found_by_what_their_connections_provider_calls_the_person_or_the_session() {
    on_each(|database| {
        let [mine, other] = [fresh!(ConnectionId), fresh!(ConnectionId)];
        let session = |connection, subject: &str, session: &str, until| OidcSession {
            token: fresh!(TokenId),
            connection,
            subject_hash: subject.to_owned(),
            session_hash: session.to_owned(),
            hint_sealed: Some("sealed".to_owned()),
            expires_at: until,
        };
        let (first, second) =
            (session(mine, "ada", "s-1", later(600)), session(mine, "ada", "s-2", later(600)));
        let elsewhere = session(other, "ada", "s-1", later(600));
        for kept in [first.clone(), second.clone(), elsewhere, session(mine, "bob", "", later(10))] {
            database.note(move |tx| oidc_session::insert(tx, &kept, NOW)).unwrap();
        }
        let of = |named: Named<'static>| database.read(move |tx| oidc_session::of(tx, mine, named));
        let mut both = vec![first.clone(), second.clone()];
        both.sort_by_key(|s| s.token.to_string());
        assert_eq!(of(Named::Subject("ada")), both);
        assert_eq!(of(Named::Session("s-2")), vec![second.clone()]);
        assert_eq!(database.read(move |tx| oidc_session::find(tx, second.token)), Some(second));
        assert_eq!(of(Named::Subject("s-2")), vec![], "a session's name is no person's");
        assert_eq!(of(Named::SubjectAndSession("ada", "s-1")), vec![first.clone()]);
        assert_eq!(of(Named::SubjectAndSession("bob", "s-1")).len(), 1, "it may be the one: nobody told");
        assert_eq!(of(Named::SubjectAndSession("bob", "s-2")).len(), 1);
        assert_eq!(of(Named::SubjectAndSession("eve", "s-1")), vec![]);
        let late = session(mine, "eve", "", later(600));
        database.note(move |tx| oidc_session::insert(tx, &late, later(10))).unwrap();
        assert_eq!(of(Named::Subject("bob")), vec![], "swept away");
        database.note(move |tx| oidc_session::delete(tx, first.token)).unwrap();
        assert_eq!(of(Named::Session("s-1")), vec![]);
    });
}

#[test]
fn a_persons_one_session_is_found_behind_however_many_others_they_have() {
    on_each(|database| {
        let mine = fresh!(ConnectionId);
        let session = |session: &str| OidcSession {
            token: fresh!(TokenId),
            connection: mine,
            subject_hash: "ada".to_owned(),
            session_hash: session.to_owned(),
            hint_sealed: Some("sealed".to_owned()),
            expires_at: later(600),
        };
        let others: Vec<_> = (0..=MAX_NAMED).map(|n| session(&format!("other-{n}"))).collect();
        let meant =
            OidcSession { token: "tok_ffffffffffffffffffffffffffffffff".parse().unwrap(), ..session("s") };
        let all = [others, vec![meant.clone()]].concat();
        database.note(move |tx| all.iter().try_for_each(|one| oidc_session::insert(tx, one, NOW))).unwrap();
        let found = database.read(move |tx| oidc_session::of(tx, mine, Named::SubjectAndSession("ada", "s")));
        assert_eq!(found, vec![meant]);
    });
}

#[test]
fn what_a_provider_said_is_over_holds_back_what_began_before_until_it_is_forgotten() {
    on_each(|database| {
        let [mine, other] = [fresh!(ConnectionId), fresh!(ConnectionId)];
        let over = |subject_hash, session_hash| Over { subject_hash, session_hash };
        let note = |said: Over<'static>, at, until| {
            database.note(move |tx| ending::note(tx, mine, said, (at, until))).unwrap();
        };
        let is_over = |connection, session: Over<'static>, since| {
            database.read(move |tx| ending::is_over(tx, connection, session, (since, later(59))))
        };
        note(over("ada", "s-1"), later(5), later(60));
        note(over("bob", ""), later(5), later(60));
        note(over("", "s-9"), later(5), later(60));
        for (session, expected) in [
            (over("ada", "s-1"), true),
            (over("ada", "s-2"), false),
            (over("ada", ""), true),
            (over("bob", "s-1"), true),
            (over("bob", ""), true),
            (over("eve", "s-1"), false),
            (over("eve", "s-9"), true),
            (over("eve", ""), false),
        ] {
            assert_eq!(is_over(mine, session, later(4)), expected, "{session:?}");
            assert!(!is_over(mine, session, later(5)), "begun afterwards: {session:?}");
            assert!(!is_over(other, session, later(4)), "another connection: {session:?}");
        }
        let counts_at = |session: Over<'static>, now| {
            database.read(move |tx| ending::is_over(tx, mine, session, (later(4), now)))
        };
        for session in [over("ada", "s-1"), over("ada", "")] {
            assert!(
                counts_at(session, later(59)) && !counts_at(session, later(60)),
                "swept or not: {session:?}"
            );
        }
        note(over("ada", "s-1"), later(9), later(70));
        note(over("ada", "s-1"), later(7), later(65));
        assert!(
            is_over(mine, over("ada", "s-1"), later(8)),
            "the last word counts, in whatever order they are kept"
        );
        note(over("eve", "s-7"), later(61), later(90));
        assert!(!is_over(mine, over("bob", ""), later(4)), "swept away");
    });
}
