//! Calls that an independent tester makes up from what the server declares: every answer must be declared, and none may be
//! the server's fault.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::{ROOT, Server, is_long, variable};

/// How long the tester makes up calls, in seconds, in every run and in the long one.
const SECONDS: (u32, u32) = (25, 300);
/// How many examples each operation gets, one operation after another: with more the time is up before the last have any.
const EXAMPLES: (u32, u32) = (20, 60);
/// Fewer calls than this, or fewer operations carried out, and the tester met little but refusals.
const MIN_CALLS: u64 = 150;

/// What the tester said at its end.
struct Told {
    calls: u64,
    operations: u64,
    /// Those that were never carried out.
    undone: Vec<String>,
}

impl Told {
    /// Whether at least one of so many operations was carried out.
    fn has_done_one_in(&self, count: u64) -> bool {
        let done = self.operations - self.undone.len() as u64;
        self.calls >= MIN_CALLS && done * count >= self.operations
    }
}

async fn tell(surface: &'static str, base: String, token: String) -> Told {
    let python = Path::new(&variable("PORTCULLIS_TEST_PEERS")).join("venv/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/schema_tester.py");
    let (seconds, examples) = if is_long() { (SECONDS.1, EXAMPLES.1) } else { (SECONDS.0, EXAMPLES.0) };
    // Every run makes up the same calls, so that a red one is red again; the long one others each time.
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = if is_long() { since_1970 } else { 1 };
    let output = tokio::task::spawn_blocking(move || {
        let numbers = [seconds.to_string(), examples.to_string(), seed.to_string()];
        let names = ["--seconds", "--examples", "--seed"];
        let words = ["--base-url", &base, "--token", &token];
        let words = words.into_iter().chain(names.into_iter().zip(&numbers).flat_map(|(name, n)| [name, n]));
        Command::new(python).arg(script).arg(surface).args(words).output().unwrap()
    })
    .await
    .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "seed {seed}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let number = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("{summary}"));
    let undone = summary["undone"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    let told = Told { calls: number("calls"), operations: number("operations"), undone: undone.collect() };
    println!("{surface}, seed {seed}: {} calls; never carried out: {}", told.calls, told.undone.join(", "));
    told
}

#[tokio::test]
async fn every_answer_of_the_api_is_declared_in_its_document() {
    let server = Server::sqlite().await;
    let told = tell("api", format!("{}/api/v1", server.base), ROOT.to_owned()).await;
    assert!(told.has_done_one_in(3), "of {}: {:?}", told.operations, told.undone);
}

#[tokio::test]
async fn every_answer_of_a_directory_is_as_its_schemas_say() {
    let server = Server::sqlite().await;
    server.root("POST", "/organizations", json!({"slug": "acme", "name": "Acme"})).await;
    let wish = json!({"kind": "scim", "name": "Okta"});
    let directory = server.root("POST", "/organizations/acme/directories", wish).await;
    let text = |name: &str| directory[name].as_str().unwrap().to_owned();
    let told = tell("scim", text("base_url"), text("token")).await;
    assert!(told.has_done_one_in(2), "of {}: {:?}", told.operations, told.undone);
    // Where there is time for it, each is carried out.
    assert!(!is_long() || told.undone.is_empty(), "{:?}", told.undone);
}
