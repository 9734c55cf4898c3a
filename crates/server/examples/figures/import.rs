//! A whole import, the same sync once more, and bulk requests, against bare SQLite.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use crate::bare::{Bare, Cost, Load};
use crate::client::{BULK, Request, bulk, group, members, patch, person, spread};
use crate::creates::creates;
use crate::server::{Directory, Server};
use crate::table::{Table, median};
use crate::{Size, tell};

/// People of the import.
const PEOPLE: usize = 100_000;
/// Groups of the import.
const GROUPS: usize = 1_000;
/// Groups that each person is in.
const GROUPS_EACH: usize = 3;
/// Members in one PATCH.
const A_PATCH: usize = 100;
/// Connections over which it comes.
const CONNECTIONS: usize = 32;
/// Bulk requests, each of [`BULK`] people.
const BULKS: usize = 20;

/// Sends requests and says what they cost.
async fn load(server: &Server, directory: &Directory, requests: Vec<Request>) -> (Cost, Vec<String>) {
    let requests = Arc::new(requests);
    let before = server.counted().await;
    let began = Instant::now();
    let ids = spread(server, directory, CONNECTIONS, &requests, |answer| {
        if answer.status == 201 { answer.id() } else { String::new() }
    })
    .await;
    let seconds = began.elapsed().as_secs_f64();
    let counted = server.counted().await.since(before);
    let count = requests.len();
    (Cost { seconds, count, cpu_us: counted.cpu_us / count as f64, a_commit: counted.a_commit() }, ids)
}

fn memberships(groups: &[String], people: &[String]) -> Vec<Request> {
    let mut requests = Vec::new();
    for turn in 0..GROUPS_EACH {
        for (number, chunk) in people.chunks(A_PATCH).enumerate() {
            // Each turn puts the same people into another group.
            let group = &groups[(number + turn * groups.len() / GROUPS_EACH) % groups.len()];
            let add = json!([{ "op": "add", "path": "members", "value": members(chunk) }]);
            requests.push(("PATCH", format!("/Groups/{group}"), patch(&add)));
        }
    }
    requests
}

/// What one import left behind.
struct Imported {
    people: Vec<String>,
    memberships: Vec<Request>,
    costs: [Cost; 3],
}

async fn import(server: &Server, directory: &Directory, size: Size) -> Imported {
    let (people_cost, people) = creates(server, directory, CONNECTIONS, size.of(PEOPLE)).await;
    tell(&format!("    {} people: {:.0} /s", people.len(), people_cost.a_second()));
    let bodies = (0..size.of(GROUPS)).map(|n| ("POST", "/Groups".to_owned(), group(&format!("g{n}"), &[])));
    let (groups_cost, groups) = load(server, directory, bodies.collect()).await;
    let memberships = memberships(&groups, &people);
    let (members_cost, _) = load(server, directory, memberships.clone()).await;
    tell(&format!("    {} PATCHes of {A_PATCH}: {:.0} /s", memberships.len(), members_cost.a_second()));
    Imported { people, memberships, costs: [people_cost, groups_cost, members_cost] }
}

/// Sends everything once more as a provider does that lost its memory; what was written of facts, access and audit.
async fn again(server: &Server, directory: &Directory, imported: &Imported) -> (f64, f64) {
    server.quiet().await;
    let before = server.counted().await;
    let began = Instant::now();
    let people = imported.people.iter().enumerate();
    let puts = people.map(|(number, id)| ("PUT", format!("/Users/{id}"), person(number))).collect();
    load(server, directory, puts).await;
    load(server, directory, imported.memberships.clone()).await;
    let seconds = began.elapsed().as_secs_f64();
    server.quiet().await;
    (server.counted().await.since(before).changed, seconds)
}

pub async fn measure(size: Size) -> Table {
    let mut table = Table::new("A whole import beside bare SQLite");
    let (mut ours, mut theirs, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let (mut resident, mut peaks, mut written) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..size.runs {
        tell(&format!("  import, run {} of {}", run + 1, size.runs));
        let server = Server::start().await;
        let directory = server.directory("acme").await;
        let imported = import(&server, &directory, size).await;
        resident.push(server.resident_mb());
        peaks.push(server.peak_mb());
        if run == 0 {
            let (changed, seconds) = again(&server, &directory, &imported).await;
            written.push((changed, seconds));
        } else {
            server.quiet().await;
        }
        let (database, [people, groups, members]) = (server.database(), imported.costs);
        let bare = tokio::task::spawn_blocking(move || {
            let bare = Bare::beside(&database);
            [
                bare.write(Load::People, people.a_commit),
                bare.write(Load::Groups, groups.a_commit),
                bare.write(Load::Members(A_PATCH), members.a_commit),
            ]
        });
        let bare = bare.await.unwrap();
        let seconds = |costs: &[Cost; 3]| costs.iter().map(|cost| cost.seconds).sum::<f64>();
        tell(&format!("    {:.1} s, bare {:.1} s", seconds(&imported.costs), seconds(&bare)));
        ours.push(seconds(&imported.costs));
        theirs.push(seconds(&bare));
        rates.push(people.a_second());
    }
    let (own, bare) = (median(ours), median(theirs));
    table.at_most(
        &format!(
            "{} people by single POSTs, {} groups, {} memberships in PATCHes of {A_PATCH}, {CONNECTIONS} connections",
            size.of(PEOPLE),
            size.of(GROUPS),
            size.of(PEOPLE) * GROUPS_EACH
        ),
        format!("{own:.1} s ({:.0} people /s); bare: {bare:.1} s", median(rates)),
        (own / bare, 2.5),
        " × bare",
    );
    table.at_most("the same, on a calm machine", "", (own, 90.0), " s");
    table.at_most(
        "resident memory at its end",
        format!("{:.0} MB at most on the way", median(peaks)),
        (median(resident), 120.0),
        " MB",
    );
    let (changed, seconds) = written[0];
    table.at_most(
        "the same sync again (PUT of everybody, the same PATCHes)",
        format!("{seconds:.1} s"),
        (changed, 0.0),
        " rows of facts, access, audit, outbox",
    );
    bulks(&mut table, size).await;
    table
}

async fn bulks(table: &mut Table, size: Size) {
    let (mut ours, mut theirs, mut a_commit) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..size.runs {
        let server = Server::start().await;
        let directory = server.directory("acme").await;
        let numbers: Vec<usize> = (0..size.of(BULKS) * BULK).collect();
        let requests: Vec<Request> =
            numbers.chunks(BULK).map(|chunk| ("POST", "/Bulk".to_owned(), bulk(chunk))).collect();
        let requests = Arc::new(requests);
        let before = server.counted().await;
        let began = Instant::now();
        spread(&server, &directory, 1, &requests, |answer| {
            assert!(!String::from_utf8_lossy(&answer.body).contains("\"response\""), "an operation failed");
        })
        .await;
        ours.push(began.elapsed().as_secs_f64());
        let commits = server.counted().await.since(before).a_commit();
        a_commit.push(commits);
        server.quiet().await;
        let database = server.database();
        let bare = move || Bare::beside(&database).write(Load::People, commits);
        theirs.push(tokio::task::spawn_blocking(bare).await.unwrap().seconds);
    }
    let (own, bare) = (median(ours), median(theirs));
    let people = (size.of(BULKS) * BULK) as f64;
    table.at_most(
        &format!("`/Bulk` of {BULK} people, one after another, {:.0} a commit", median(a_commit)),
        format!("{:.0} people /s; bare: {:.0} /s", people / own, people / bare),
        (own / bare, 2.0),
        " × bare",
    );
}
