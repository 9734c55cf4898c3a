//! What the guides give to whoever verifies without us, run as it stands there.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Server, accept, text, until, variable};

/// The one program in Python of a page.
fn program(page: &str) -> String {
    let mut programs = page.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let found = programs.next().unwrap().to_owned();
    assert_eq!(programs.next(), None, "which of them is meant?");
    found
}

/// What it says about these files, and whether it took them.
fn run(program: &Path, files: [&Path; 2]) -> (bool, String) {
    let python = Path::new(&variable("PORTCULLIS_TEST_PEERS")).join("venv/bin/python");
    let output = Command::new(python).arg(program).args(files).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn a_stranger_verifies_a_receipt_and_a_log_by_the_programs_of_the_guides_and_finds_what_was_changed() {
    let server = Server::sqlite().await;
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Ä – 雪 😀" })).await;
    let invitation = json!({ "email": "ada@acme.test", "role": "member" });
    let made = server.root("POST", "/organizations/acme/invitations", invitation).await;
    accept(&server, &text(&made, "link")).await;
    let member = server.all("/organizations/acme/members").await.remove(0);
    let path = format!("/organizations/acme/members/{}/offboard", text(&member, "id"));
    // Beyond the BMP, and what JSON escapes.
    server.root("POST", &path, json!({ "reason": "\u{1F6AA} \"left\" \\" })).await;
    let receipt = until("the receipt is signed", async || {
        server.all("/organizations/acme/receipts").await.pop().filter(|receipt| receipt["jws"].is_string())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (_, keys) = server.call("GET", "/o/acme/jwks", "", Value::Null).await;
    std::fs::write(file("jwks.json"), keys.to_string()).unwrap();
    std::fs::write(file("receipt.json"), receipt.to_string()).unwrap();
    let (done, said) = server.command(&["audit", "export", "acme", file("log.jsonl").to_str().unwrap()]);
    assert!(done, "{said}");

    let pages = [
        ("check.py", include_str!("../../../../docs/guide/off-boarding.md")),
        ("check_log.py", include_str!("../../../../docs/guide/audit.md")),
    ];
    for (name, page) in pages {
        std::fs::write(file(name), program(page)).unwrap();
    }
    let (done, said) = run(&file("check.py"), [&file("receipt.json"), &file("jwks.json")]);
    assert!(done && said.contains(&text(&member, "id")), "{said}");
    let (done, said) = run(&file("check_log.py"), [&file("log.jsonl"), &file("jwks.json")]);
    let log = std::fs::read_to_string(file("log.jsonl")).unwrap();
    let events = log.lines().count() - 2;
    assert!(done && events > 5 && said.contains(&format!("verified: {events} events of org_")), "{said}");

    let line = |n: usize| log.lines().nth(n).unwrap();
    let changes = [
        ("a content", log.replacen("ada@acme.test", "eve@acme.test", 1)),
        ("a line removed", log.replacen(&format!("{}\n", line(3)), "", 1)),
        ("lines swapped", log.replace(line(3), "§").replace(line(4), line(3)).replace('§', line(4))),
        ("the last event cut", log.replacen(&format!("{}\n", line(events)), "", 1)),
    ];
    for (what, changed) in changes {
        assert_ne!(changed, log, "{what}");
        std::fs::write(file("changed.jsonl"), changed).unwrap();
        let (done, said) = run(&file("check_log.py"), [&file("changed.jsonl"), &file("jwks.json")]);
        assert!(!done && said.contains("AssertionError"), "{what}: {said}");
    }
    let signed = receipt["jws"].as_str().unwrap();
    let other = if signed.ends_with('A') { "w" } else { "A" };
    let forged = json!({ "jws": format!("{}{other}", &signed[..signed.len() - 1]) });
    std::fs::write(file("forged.json"), forged.to_string()).unwrap();
    let (done, said) = run(&file("check.py"), [&file("forged.json"), &file("jwks.json")]);
    assert!(!done && said.contains("InvalidSignature"), "{said}");
}
