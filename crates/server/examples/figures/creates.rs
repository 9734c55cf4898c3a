//! SCIM creates per second over 1, 8 and 32 connections, against bare SQLite.

use std::sync::Arc;
use std::time::Instant;

use crate::Size;
use crate::bare::{Bare, Cost, Load};
use crate::client::{person, spread};
use crate::server::{Directory, Server};
use crate::table::{Table, median};

/// People that each run creates.
const PEOPLE: usize = 4000;

/// Creates people over so many connections: what it cost, and their ids.
pub async fn creates(
    server: &Server,
    directory: &Directory,
    connections: usize,
    people: usize,
) -> (Cost, Vec<String>) {
    let requests: Arc<Vec<_>> =
        Arc::new((0..people).map(|n| ("POST", "/Users".to_owned(), person(n))).collect());
    let before = server.counted().await;
    let began = Instant::now();
    let ids = spread(server, directory, connections, &requests, |answer| answer.id()).await;
    let seconds = began.elapsed().as_secs_f64();
    let counted = server.counted().await.since(before);
    let cpu_us = counted.cpu_us / people as f64;
    (Cost { seconds, count: people, cpu_us, a_commit: counted.a_commit() }, ids)
}

pub async fn measure(size: Size) -> Table {
    let mut table = Table::new("SCIM creates beside bare SQLite");
    for connections in [1, 8, 32] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..size.runs {
            let server = Server::start().await;
            let directory = server.directory("acme").await;
            let (cost, _) = creates(&server, &directory, connections, size.of(PEOPLE)).await;
            // Numbers and links of what was just written would else come out of what bare SQLite has.
            server.quiet().await;
            let database = server.database();
            let bare = move || Bare::beside(&database).write(Load::People, cost.a_commit);
            theirs.push(tokio::task::spawn_blocking(bare).await.unwrap());
            ours.push(cost);
        }
        let of = |costs: &[Cost], part: fn(Cost) -> f64| median(costs.iter().map(|cost| part(*cost)));
        let (rate, bare_rate) = (of(&ours, Cost::a_second), of(&theirs, Cost::a_second));
        table.at_least(
            &format!("creates, {connections} connections, {:.0} a commit", of(&theirs, |c| c.a_commit)),
            format!(
                "{rate:.0} /s, {:.0} µs of a core each; bare: {bare_rate:.0} /s, {:.0} µs each",
                of(&ours, |c| c.cpu_us),
                of(&theirs, |c| c.cpu_us)
            ),
            (rate / bare_rate, 0.6),
            " × bare",
        );
    }
    table
}
