//! Calls that an independent tester makes up from what the server declares: every answer must be declared, and none may be
//! the server's fault.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{ROOT, Server, is_long, variable};

/// How long the tester makes up calls, in seconds, in every run and in the long one.
const SECONDS: (u32, u32) = (25, 300);
/// Fewer calls than this, or fewer operations carried out, and the tester met little but refusals.
const MIN_CALLS: u64 = 150;

/// What the tester said at its end.
struct Told {
    calls: u64,
    operations: u64,
    done: u64,
}

async fn tell(surface: &'static str, base: String, token: String) -> Told {
    let python = Path::new(&variable("PORTCULLIS_TEST_PEERS")).join("venv/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/schema_tester.py");
    let seconds = if is_long() { SECONDS.1 } else { SECONDS.0 }.to_string();
    let output = tokio::task::spawn_blocking(move || {
        let words = ["--base-url", &base, "--token", &token, "--seconds", &seconds, "--seed", "1"];
        Command::new(python).arg(script).arg(surface).args(words).output().unwrap()
    })
    .await
    .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let number = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("{summary}"));
    Told { calls: number("calls"), operations: number("operations"), done: number("done") }
}

#[tokio::test]
async fn every_answer_of_the_api_is_declared_in_its_document() {
    let server = Server::sqlite().await;
    let told = tell("api", format!("{}/api/v1", server.base), ROOT.to_owned()).await;
    assert!(
        told.calls >= MIN_CALLS && told.done * 3 >= told.operations,
        "{} of {}",
        told.done,
        told.operations
    );
}

#[tokio::test]
async fn every_answer_of_a_directory_is_as_its_schemas_say() {
    let server = Server::sqlite().await;
    server.root("POST", "/organizations", json!({"slug": "acme", "name": "Acme"})).await;
    let wish = json!({"kind": "scim", "name": "Okta"});
    let directory = server.root("POST", "/organizations/acme/directories", wish).await;
    let text = |name: &str| directory[name].as_str().unwrap().to_owned();
    let told = tell("scim", text("base_url"), text("token")).await;
    assert!(
        told.calls >= MIN_CALLS && told.done * 2 >= told.operations,
        "{} of {}",
        told.done,
        told.operations
    );
}
