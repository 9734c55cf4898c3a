//! An independent tester of SCIM service providers, against the binary.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Org, Server, provider, variable};

/// Fewer checks than this, and the tester has stopped early.
const MIN_CHECKS: u64 = 36;

#[tokio::test]
async fn every_check_of_an_independent_tester_passes() {
    let server = Server::sqlite().await;
    let idp = provider().await;
    let org = Org::new(&server, "acme", &idp).await;
    let python = Path::new(&variable("PORTCULLIS_TEST_PEERS")).join("venv/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/scim2_tester.py");
    let (base, token) = (org.scim_base.clone(), org.scim_token.clone());
    let output = tokio::task::spawn_blocking(move || {
        Command::new(python).arg(script).args(["--base-url", &base, "--token", &token]).output().unwrap()
    })
    .await
    .unwrap();
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let summary = lines.last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let findings: Vec<&Value> =
        lines.iter().filter(|line| line.get("detail").is_some() || line["status"] == "missing").collect();
    assert!(output.status.success(), "{summary}\n{findings:#?}");
    assert_eq!(summary["failed"], 0, "{findings:#?}");
    assert!(summary["passed"].as_u64().unwrap() >= MIN_CHECKS, "{summary}");
}
