//! A hundred directories that call at once, as steadily as Entra ID does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, patch, people, person};
use crate::server::{Directory, Server};
use crate::table::{Table, quantile};
use crate::{Size, tell};

/// Directories, each in an organization of its own.
const DIRECTORIES: usize = 100;
/// Calls a second of each.
const RATE: usize = 25;
/// Connections of each: a slow answer holds up only those behind it on the same one.
const CONNECTIONS: usize = 4;
/// Seconds of the load.
const SECONDS: usize = 60;
/// People of each directory when it begins.
const PEOPLE: usize = 200;

struct Outcome {
    /// From the instant at which a call was due to its answer, in milliseconds.
    times: Vec<f64>,
    statuses: BTreeMap<u16, usize>,
}

async fn one(
    server: Arc<Server>,
    directory: Directory,
    ids: Arc<Vec<String>>,
    (first, every, calls): (Instant, Duration, usize),
    own: usize,
) -> Outcome {
    let mut client = Client::of(&server, &directory).await;
    let mut outcome = Outcome { times: Vec::with_capacity(calls), statuses: BTreeMap::new() };
    for call in 0..calls {
        let due = first + every * u32::try_from(call).unwrap();
        tokio::time::sleep_until(due.into()).await;
        let number = (call * CONNECTIONS + own).wrapping_mul(7919) % ids.len();
        let answer = match call % 10 {
            // One in five writes: half of those somebody new, half a change of somebody.
            4 => {
                let new = person(1_000_000 + call * CONNECTIONS + own);
                client.send("POST", "/Users", new.as_bytes()).await
            }
            9 => {
                let title = format!("Title {call}");
                let body = patch(&json!([{ "op": "replace", "path": "title", "value": title }]));
                client.send("PATCH", &format!("/Users/{}", ids[number]), body.as_bytes()).await
            }
            turn if turn % 2 == 0 => client.send("GET", &format!("/Users/{}", ids[number]), b"").await,
            _ => {
                let path = format!("/Users?filter=userName%20eq%20%22person-{number}@acme.test%22");
                client.send("GET", &path, b"").await
            }
        };
        outcome.times.push(due.elapsed().as_secs_f64() * 1e3);
        *outcome.statuses.entry(answer.status).or_default() += 1;
    }
    outcome
}

pub async fn measure(size: Size) -> Table {
    let mut table = Table::new("A hundred directories at once");
    let server = Arc::new(Server::start().await);
    let mut directories = Vec::new();
    for number in 0..DIRECTORIES {
        let directory = server.directory(&format!("org-{number}")).await;
        let ids = Arc::new(people(&server, &directory, PEOPLE).await);
        directories.push((directory, ids));
    }
    server.quiet().await;
    let seconds = size.of(SECONDS);
    tell(&format!("  {DIRECTORIES} directories at {RATE} a second each, {seconds} s"));
    let before = server.counted().await;
    let (first, every) =
        (Instant::now() + Duration::from_millis(500), Duration::from_secs(1) * CONNECTIONS as u32);
    let mut tasks = Vec::new();
    for (number, (directory, ids)) in directories.into_iter().enumerate() {
        for own in 0..CONNECTIONS {
            // Evenly over the time, as a hundred clients that know nothing of each other are in the mean.
            let at = every / u32::try_from(RATE).unwrap()
                * u32::try_from(number * CONNECTIONS + own).unwrap()
                / u32::try_from(DIRECTORIES * CONNECTIONS).unwrap();
            let plan = (first + at, every / u32::try_from(RATE).unwrap(), seconds * RATE / CONNECTIONS);
            tasks.push(tokio::spawn(one(server.clone(), directory.clone(), ids.clone(), plan, own)));
        }
    }
    let (mut times, mut statuses) = (Vec::new(), BTreeMap::new());
    for task in tasks {
        let outcome = task.await.unwrap();
        times.extend(outcome.times);
        for (status, count) in outcome.statuses {
            *statuses.entry(status).or_insert(0) += count;
        }
    }
    let took = first.elapsed().as_secs_f64();
    let counted = server.counted().await.since(before);
    let count_of = |is_it: fn(u16) -> bool| -> f64 {
        statuses.iter().filter(|(status, _)| is_it(**status)).map(|(_, count)| *count).sum::<usize>() as f64
    };
    let calls = times.len() as f64;
    table.say(
        format!(
            "{DIRECTORIES} directories, {RATE} calls a second each, {seconds} s, 80 % look-ups, 20 % writes"
        ),
        format!(
            "{:.0} calls, {:.0} /s, {:.0} % of one core; p50 {:.1} ms, largest {:.0} ms",
            calls,
            calls / took,
            counted.cpu_us / took / 1e4,
            quantile(times.iter().copied(), 0.5),
            quantile(times.iter().copied(), 1.0)
        ),
    );
    table.at_most(
        "p99, from when a call was due",
        "",
        (quantile(times.iter().copied(), 0.99), 1000.0),
        " ms",
    );
    table.at_most("answers 5xx", "", (count_of(|s| s >= 500), 0.0), "");
    table.at_most("answers 429", "", (count_of(|s| s == 429), 0.0), "");
    table.at_most("other refusals", "", (count_of(|s| (300..500).contains(&s) && s != 429), 0.0), "");
    table.say("resident memory at its end", format!("{:.1} MB", server.resident_mb()));
    table
}
