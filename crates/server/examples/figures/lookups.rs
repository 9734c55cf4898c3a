//! Look-ups and pages in a directory of a hundred thousand beside one of a hundred.

use std::time::Instant;

use crate::client::{Client, group, people};
use crate::server::{Directory, Server};
use crate::table::{Table, median, quantile};
use crate::{Size, tell};

/// People of the large directory.
const LARGE: usize = 100_000;
/// People of the small one.
const SMALL: usize = 100;
/// Look-ups in one turn.
const A_TURN: usize = 300;
/// Turns of each side.
const TURNS: usize = 9;
/// People on a page of the walk.
const PAGE: usize = 100;

struct Side {
    server: Server,
    client: Client,
    ids: Vec<String>,
    group: String,
}

impl Side {
    async fn of(count: usize) -> Self {
        let server = Server::start().await;
        let directory: Directory = server.directory("acme").await;
        let ids = people(&server, &directory, count).await;
        let mut client = Client::of(&server, &directory).await;
        // Half of them are in a group: everybody who is read by id.
        let body = group("half", &ids[..ids.len() / 2]);
        let group = client.must("POST", "/Groups", body.as_bytes()).await.id();
        server.quiet().await;
        Self { server, client, ids, group }
    }

    /// The path of a look-up of that kind, another one each time.
    fn path(&self, kind: &str, turn: usize) -> String {
        // A stride that is prime to both sizes: everybody in no order.
        let number = turn.wrapping_mul(7919) % self.ids.len();
        let filter = |attribute: &str, value: String| {
            format!("/Users?filter={attribute}%20eq%20%22{value}%22&excludedAttributes=groups")
        };
        match kind {
            "userName eq" => filter("userName", format!("person-{number}@acme.test")),
            "externalId eq" => filter("externalId", format!("ext-{number}")),
            "GET by id" => format!("/Users/{}", self.ids[number % (self.ids.len() / 2)]),
            _ => format!("/Groups/{}?excludedAttributes=members", self.group),
        }
    }

    async fn turn(&mut self, kind: &str, number: usize) -> f64 {
        let mut times = Vec::with_capacity(A_TURN);
        for at in 0..A_TURN {
            let path = self.path(kind, number * A_TURN + at);
            let began = Instant::now();
            let answer = self.client.must("GET", &path, b"").await;
            times.push(began.elapsed().as_secs_f64() * 1e6);
            assert!(answer.body.len() > 100, "{}", String::from_utf8_lossy(&answer.body));
        }
        median(times)
    }
}

pub async fn measure(size: Size) -> Table {
    let mut table = Table::new("Look-ups and pages in a large directory");
    let count = size.of(LARGE);
    tell(&format!("  {count} people"));
    let mut large = Side::of(count).await;
    let mut small = Side::of(SMALL).await;
    for kind in ["userName eq", "externalId eq", "GET by id", "`excludedAttributes=members`"] {
        let (mut of_large, mut of_small) = (Vec::new(), Vec::new());
        for number in 0..TURNS {
            of_large.push(large.turn(kind, number).await);
            of_small.push(small.turn(kind, number).await);
        }
        let (own, other) = (median(of_large), median(of_small));
        table.at_most(
            &format!("{kind}, {count} people ÷ {SMALL}"),
            format!("{own:.0} µs ÷ {other:.0} µs"),
            (own / other, 1.2),
            "",
        );
    }
    pages(&mut table, &mut large).await;
    sorted(&mut table, &mut large).await;
    unindexed(&mut table, &mut large).await;
    table
}

async fn timed(client: &mut Client, path: &str, times: usize) -> f64 {
    let mut all = Vec::with_capacity(times);
    for _ in 0..times {
        let began = Instant::now();
        client.must("GET", path, b"").await;
        all.push(began.elapsed().as_secs_f64() * 1e3);
    }
    median(all)
}

async fn pages(table: &mut Table, large: &mut Side) {
    let total = large.ids.len();
    let mut cursor = String::new();
    let (mut cursors, mut seen) = (vec![String::new()], 0);
    loop {
        let path = format!("/Users?count={PAGE}&cursor={cursor}");
        let page = large.client.must("GET", &path, b"").await.json();
        seen += page["Resources"].as_array().unwrap().len();
        let Some(next) = page["nextCursor"].as_str() else { break };
        next.clone_into(&mut cursor);
        cursors.push(cursor.clone());
    }
    assert_eq!(seen, total, "a walk by cursor shows everybody once");
    let last = cursors.len() - 1;
    let path = |cursor: &str| format!("/Users?count={PAGE}&cursor={cursor}");
    let (mut first, mut deep) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        first.push(timed(&mut large.client, &path(""), 20).await);
        deep.push(timed(&mut large.client, &path(&cursors[last]), 20).await);
    }
    let (first, deep) = (median(first), median(deep));
    table.at_most(
        &format!("page {} by cursor ÷ page 1, {PAGE} people each", last + 1),
        format!("{deep:.2} ms ÷ {first:.2} ms"),
        (deep / first, 1.2),
        "",
    );
    let mut all = Vec::new();
    for part in 0..=20 {
        let start = 1 + (total - PAGE) * part / 20;
        all.push(timed(&mut large.client, &format!("/Users?startIndex={start}&count={PAGE}"), 10).await);
    }
    table.at_most(
        &format!("pages by `startIndex`, {PAGE} people each, the slowest of 21 places"),
        format!("the first {:.2} ms, the middle one {:.2} ms", all[0], all[10]),
        (quantile(all.iter().copied(), 1.0), 20.0),
        " ms",
    );
}

/// Pages in the order of names, by number: small ones and the largest that are given.
async fn sorted(table: &mut Table, large: &mut Side) {
    let total = large.ids.len();
    for (count, order) in [(PAGE, "ascending"), (500, "ascending"), (500, "descending")] {
        let mut all = Vec::new();
        for part in 0..=4 {
            let start = 1 + total.saturating_sub(count) * part / 4;
            let path = format!("/Users?sortBy=userName&sortOrder={order}&startIndex={start}&count={count}");
            all.push(timed(&mut large.client, &path, 10).await);
        }
        let (first, last) = (all[0], all[4]);
        table.at_most(
            &format!("the same sorted by `userName`, {order}, {count} people each, the slowest of 5 places"),
            format!("the first {first:.2} ms, the last {last:.2} ms"),
            (quantile(all.iter().copied(), 1.0), if count == PAGE { 20.0 } else { 100.0 }),
            " ms",
        );
    }
}

async fn unindexed(table: &mut Table, large: &mut Side) {
    for (what, filter) in [
        ("finds one person at the end", "nickName%20pr%20or%20name.familyName%20eq%20%22LAST%22"),
        ("finds nobody", "title%20eq%20%22nobody%22"),
    ] {
        let filter = filter.replace("LAST", &(large.ids.len() - 1).to_string());
        large.server.forget_peak();
        let before = large.server.resident_mb();
        let began = Instant::now();
        let answer = large.client.send("GET", &format!("/Users?filter={filter}"), b"").await;
        let seconds = began.elapsed().as_secs_f64();
        let above = large.server.peak_mb() - before;
        let value = answer.json();
        let said = value["totalResults"].as_u64().map_or_else(
            || format!("{} {}", answer.status, value["scimType"].as_str().unwrap_or("")),
            |total| format!("{total} found"),
        );
        table.say(
            format!("a filter that no index serves, {}, {what}", large.ids.len()),
            format!("{seconds:.2} s, {above:.1} MB above before, {said}"),
        );
    }
}
