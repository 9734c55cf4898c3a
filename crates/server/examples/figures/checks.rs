//! Checks per second beside the same server's hello route, loaded by `wrk`, and that each of them was answered with access.

use std::process::Command;

use serde_json::{Value, json};

use crate::Size;
use crate::client::Client;
use crate::server::Server;
use crate::table::{Table, median};

/// Requests a second that `wrk` gets out of a URL.
fn wrk(url: &str, lua: Option<&str>) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c32", "-d3s"]);
    if let Some(lua) = lua {
        let script = folder.path().join("ask.lua");
        std::fs::write(&script, lua).unwrap();
        command.arg("-s").arg(script);
    }
    let output = command.arg(url).output().expect("`wrk` is installed (Debian package `wrk`)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("Non-2xx"), "{text}");
    let line = text.lines().find(|l| l.starts_with("Requests/sec:")).unwrap_or_else(|| panic!("{text}"));
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// `wrk` sees a success in an evaluation that says no, and a refusal costs less: each answer was access, at both doors.
async fn require_access(server: &Server) {
    let text = server.metrics().await;
    let answered: Vec<&str> =
        text.lines().filter(|line| line.starts_with("portcullis_checks_total{")).collect();
    let is_of = |line: &&str, door: &str| line.contains(&format!("door=\"{door}\""));
    for door in ["evaluation", "forward"] {
        let asked: Vec<&&str> =
            answered.iter().filter(|line| is_of(line, door) && !line.ends_with(" 0")).collect();
        assert!(matches!(asked[..], [one] if one.contains("code=\"allowed\"")), "{door}: {asked:?}");
    }
}

pub async fn measure(size: Size) -> Table {
    let mut table = Table::new("Checks beside the hello route");
    let server = Server::start().await;
    let directory = server.directory("acme").await;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada@acme.test", "active": true,
    });
    Client::of(&server, &directory).await.must("POST", "/Users", body.to_string().as_bytes()).await;
    let members = server.call("GET", "/api/v1/organizations/acme/members", Value::Null).await;
    let member = members["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/organizations/acme/members/{member}/keys");
    let key = server.call("POST", &path, json!({ "name": "laptop" })).await;
    let key = key["token"].as_str().unwrap();
    let service = json!({ "name": "gateway", "scopes": ["evaluate"] });
    let service = server.call("POST", "/api/v1/organizations/acme/service-keys", service).await;
    let service = service["token"].as_str().unwrap();
    let hello = format!("{}/healthz", server.base);
    let forward = format!("{}/authz/forward?organization=acme", server.base);
    let evaluation = format!("{}/access/v1/evaluation", server.base);
    let header = format!("wrk.headers[\"Authorization\"] = \"Bearer {key}\"\n");
    let question = json!({
        "subject": { "type": "token", "id": key }, "action": { "name": "use" },
        "resource": { "type": "tool", "id": "Bash" },
    });
    let ask = format!(
        "wrk.method = \"POST\"\nwrk.body = '{question}'\nwrk.headers[\"Content-Type\"] = \"application/json\"\n\
         wrk.headers[\"Authorization\"] = \"Bearer {service}\"\n"
    );
    let (mut hellos, mut forwards, mut asks) = (vec![], vec![], vec![]);
    for _ in 0..size.runs {
        hellos.push(wrk(&hello, None));
        forwards.push(wrk(&forward, Some(&header)));
        asks.push(wrk(&evaluation, Some(&ask)));
    }
    require_access(&server).await;
    let hello = median(hellos);
    table.say("hello route (`/healthz`), 32 connections", format!("{hello:.0} /s"));
    for (name, rates) in
        [("forward-auth, 32 connections", forwards), ("AuthZEN evaluation, 32 connections", asks)]
    {
        let rate = median(rates);
        table.at_least(name, format!("{rate:.0} /s"), (rate / hello, 0.85), " × hello");
    }
    table.say("resident memory after this load", format!("{:.1} MB", server.resident_mb()));
    table
}
