//! One member of a large group beside one of a small one, and whole lists of members.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use crate::client::{Client, Request, group, members, patch, people, spread};
use crate::server::{Counted, Directory, Server};
use crate::table::{Table, median};
use crate::{Size, tell};

/// Members of the large group.
const LARGE: usize = 50_000;
/// Members of the small one.
const SMALL: usize = 10;
/// Changes in one turn at one group.
const A_TURN: usize = 200;
/// Turns at each group.
const TURNS: usize = 7;

/// Members who go and come before a whole list is measured.
const WARM: usize = 400;

/// A group and somebody who comes and goes.
struct Side {
    path: String,
    times: Vec<f64>,
    counted: Vec<Counted>,
}

async fn turn(server: &Server, client: &mut Client, side: &mut Side, verb: &str, people: &[String]) {
    let before = server.counted().await;
    for person in people {
        let operations = if verb == "add" {
            json!([{ "op": "add", "path": "members", "value": members([person]) }])
        } else {
            json!([{ "op": "remove", "path": format!("members[value eq \"{person}\"]") }])
        };
        let body = patch(&operations);
        let began = Instant::now();
        client.must("PATCH", &side.path, body.as_bytes()).await;
        side.times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    server.quiet().await;
    side.counted.push(server.counted().await.since(before));
}

pub async fn measure(size: Size) -> Table {
    let mut table = Table::new("Members of large groups");
    let server = Server::start().await;
    let directory = server.directory("acme").await;
    let large = size.of(LARGE);
    tell(&format!("  {large} people"));
    let everybody = people(&server, &directory, large + A_TURN).await;
    let (inside, outside) = everybody.split_at(large);
    let small = &inside[..SMALL];
    for team in ["large", "small"] {
        server.call("POST", "/api/v1/organizations/acme/teams", json!({ "slug": team, "name": team })).await;
        let mapping = json!({ "directory": directory.id, "group": { "display_name": team }, "team": team, "team_role": "member" });
        server.call("POST", "/api/v1/organizations/acme/mappings", mapping).await;
    }
    let groups: Vec<Request> = vec![
        ("POST", "/Groups".to_owned(), group("large", inside)),
        ("POST", "/Groups".to_owned(), group("small", small)),
    ];
    let ids = spread(&server, &directory, 1, &Arc::new(groups), |answer| answer.id()).await;
    server.quiet().await;
    one_member(&mut table, &server, &directory, (&ids, outside)).await;
    mapping_of_all(&mut table, &server, &directory, inside.len()).await;
    whole_lists(&mut table, server, &directory, (&ids[0], inside)).await;
    table
}

/// Adds and removes one member at each group in turns. Both groups are mapped to a team, so that the access of whoever
/// comes and goes follows before each answer.
async fn one_member(
    table: &mut Table,
    server: &Server,
    directory: &Directory,
    (ids, outside): (&[String], &[String]),
) {
    let side = |id: &String| Side { path: format!("/Groups/{id}"), times: vec![], counted: vec![] };
    let mut client = Client::of(server, directory).await;
    let mut added: Vec<Side> = ids.iter().map(side).collect();
    let mut removed: Vec<Side> = ids.iter().map(side).collect();
    for _ in 0..TURNS {
        for (side, verb) in [(&mut added, "add"), (&mut removed, "remove")] {
            for side in side {
                turn(server, &mut client, side, verb, outside).await;
            }
        }
    }
    for (verb, sides) in [("add", added), ("remove", removed)] {
        let of = |side: &Side, part: fn(&Counted) -> f64| {
            median(side.counted.iter().map(part)) / outside.len() as f64
        };
        for (what, unit, part) in [
            ("time", " µs", None),
            ("rows touched", "", Some((|c: &Counted| c.read + c.changed) as fn(&Counted) -> f64)),
            ("bytes written", "", Some((|c: &Counted| c.bytes) as fn(&Counted) -> f64)),
        ] {
            let number = |side: &Side| part.map_or_else(|| median(side.times.clone()), |part| of(side, part));
            let (large, small) = (number(&sides[0]), number(&sides[1]));
            table.at_most(
                &format!("{verb} one member, {LARGE} members ÷ {SMALL}, {what}"),
                format!("{large:.0}{unit} ÷ {small:.0}{unit}"),
                (large / small, 1.2),
                "",
            );
        }
    }
}

/// A mapping over everybody of the large group comes and goes: answered at once, and stored by a job behind it.
async fn mapping_of_all(table: &mut Table, server: &Server, directory: &Directory, people: usize) {
    let all = "/api/v1/organizations/acme/mappings";
    let wish = json!({ "directory": directory.id, "group": { "display_name": "large" }, "role": "viewer" });
    let mut made = String::new();
    for verb in ["POST", "DELETE"] {
        let before = server.counted().await;
        let began = Instant::now();
        let answer = match verb {
            "POST" => server.call(verb, all, wish.clone()).await,
            _ => server.call(verb, &format!("{all}/{made}"), serde_json::Value::Null).await,
        };
        let answered = began.elapsed().as_secs_f64() * 1e3;
        made = answer["id"].as_str().unwrap_or_default().to_owned();
        server.quiet().await;
        let (stored, counted) = (began.elapsed().as_secs_f64(), server.counted().await.since(before));
        let rows = counted.changed / people as f64;
        let what = format!("{verb} of a mapping over {people} members, time to the answer");
        table.at_most(
            &what,
            format!("stored in {stored:.0} s, {rows:.1} rows a member"),
            (answered, 100.0),
            " ms",
        );
    }
}

/// Replaces the large list by itself, and by itself with one change, on a server in use.
async fn whole_lists(
    table: &mut Table,
    mut server: Server,
    directory: &Directory,
    (id, inside): (&str, &[String]),
) {
    let path = format!("/Groups/{id}");
    let lean = format!("{path}?excludedAttributes=members");
    let replace = |ids: &[String]| {
        patch(&json!([{ "op": "replace", "path": "members", "value": members(ids) }])).into_bytes()
    };
    let without_last = &inside[..inside.len() - 1];
    let bodies = [
        ("PUT of the same", "PUT", &lean, group("large", inside).into_bytes(), 0.0),
        ("PUT with one change", "PUT", &lean, group("large", without_last).into_bytes(), 10.0),
        ("PATCH replacing by the same with one change", "PATCH", &path, replace(inside), 10.0),
        ("PATCH replacing by the same", "PATCH", &path, replace(inside), 0.0),
    ];
    for (what, method, path, body, most) in bodies {
        server.restart().await;
        let mut client = Client::of(&server, directory).await;
        warm(&mut client, id, inside).await;
        server.quiet().await;
        let before = server.counted().await;
        server.forget_peak();
        let resident = server.resident_mb();
        let began = Instant::now();
        client.must(method, path, &body).await;
        let seconds = began.elapsed().as_secs_f64();
        let (mb, above) = (body.len() as f64 / 1_048_576.0, server.peak_mb() - resident);
        server.quiet().await;
        let counted = server.counted().await.since(before);
        let what = format!("{what}, {} members", inside.len());
        table.at_most(
            &format!("{what}: memory above before"),
            format!("{seconds:.2} s; {above:.1} MB for a body of {mb:.1} MB"),
            (above / mb, 3.0),
            " × the body",
        );
        table.at_most(&format!("{what}: written"), "", (counted.changed, most), " rows");
    }
    let mut client = Client::of(&server, directory).await;
    let whole = client.must("GET", &path_of(id), b"").await.json();
    let mut found: Vec<String> = whole["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["value"].as_str().unwrap().to_owned())
        .collect();
    found.sort();
    let mut wanted = inside.to_vec();
    wanted.sort();
    let lost = wanted.iter().filter(|id| found.binary_search(id).is_err()).count();
    table.at_most("members that were lost on the way", "", (lost as f64, 0.0), "");
}

/// Lets members of all the list go and come, so that the pages that the database keeps in any case (8 MiB a connection)
/// are there before something is measured.
async fn warm(client: &mut Client, id: &str, inside: &[String]) {
    client.must("GET", "/Users?count=1", b"").await;
    for member in inside.iter().step_by((inside.len() / WARM).max(1)) {
        for verb in ["remove", "add"] {
            let body = patch(&json!([{ "op": verb, "path": "members", "value": members([member]) }]));
            client.must("PATCH", &path_of(id), body.as_bytes()).await;
        }
    }
}

fn path_of(id: &str) -> String {
    format!("/Groups/{id}")
}
