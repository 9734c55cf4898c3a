//! SIGKILL in the middle of an import that brings people and sends them away: what was answered is there, nothing is half
//! done, whoever left stays refused and has a signed receipt, and the log is in step and verifies.

mod books;
mod import;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use self::books::{Books, must_verify};
use self::import::{Client, Person};
use crate::harness::{Org, Server, is_long, provider};

const CLIENTS: usize = 8;

async fn kills(mut server: Server, count: usize) {
    let idp = provider().await;
    let org = Org::new(&server, "acme", &idp).await;
    let group = org.group(&server, "everyone").await;
    let (next, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut everybody: Vec<Person> = Vec::new();
    let mut cut_off = 0;
    for round in 0..count {
        let killed = Arc::new(AtomicBool::new(false));
        let importers: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let client = Client::new(&server, &org, &group, (&next, &done, &killed));
                tokio::spawn(client.import())
            })
            .collect();
        // A different moment each round, counted in answers so that a slow machine kills no later than a fast one.
        let until = done.load(Ordering::Relaxed) + 20 + (round as u64 * 37) % 100;
        while done.load(Ordering::Relaxed) < until {
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        server.kill();
        killed.store(true, Ordering::Relaxed);
        server.restart().await;
        let mut people = Vec::new();
        for importer in importers {
            people.extend(importer.await.unwrap());
        }
        cut_off += people.iter().filter(|person| person.is_cut_off).count();
        let books = Books::read(&server, &org, &group).await;
        for person in &mut people {
            let seen = books.of(&server, &org, person).await;
            person.must_be(&seen);
        }
        everybody.extend(people);
    }
    let left = everybody.iter().filter(|person| person.has_left()).count();
    println!(
        "kills: {count} in an import of {} people, of whom {left} were sent away; {cut_off} requests had no answer",
        everybody.len()
    );
    assert!(everybody.len() > count && left > count / 2, "people came and went between the kills");
    // Each client has nearly always one request under way; each kill that met none would prove nothing.
    assert!(cut_off >= count, "{cut_off} requests were cut off by {count} kills");
    let books = Books::read(&server, &org, &group).await;
    books.must_be_in_step(&server, &org, &everybody).await;
    must_verify(server, &org, left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_kill_on_sqlite() {
    kills(Server::sqlite().await, if is_long() { 200 } else { 20 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_kill_on_postgres() {
    kills(Server::postgres().await, if is_long() { 200 } else { 20 }).await;
}
