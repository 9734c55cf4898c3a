//! An independent tester of SCIM service providers, against the binary.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Org, Server, provider, variable};

/// Fewer checks than this, and the tester has stopped early.
const MIN_CHECKS: u64 = 36;

#[tokio::test]
async fn every_check_of_an_independent_tester_passes() {
    let server = Server::sqlite().await;
    let idp = provider().await;
    let org = Org::new(&server, "acme", &idp).await;
    // Discovery tells of what this person has, so that the tester makes up people who have it too. It knows no decimals:
    // it would send a text for one.
    let witness = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "witness@acme.test",
        "urn:acme:hr:2.0:User": {
            "badgeNumber": "B-1", "level": 3, "onSite": true, "desk": { "floor": 2 },
        },
    });
    assert_eq!(org.scim(&server, "POST", "/Users", witness).await.0, 201);
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
