//! What the guides give to whoever verifies without us, run as it stands there.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Server, accept, now, text, until, variable};

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

/// What `audit verify` says about a log to whoever knows this of it, and its exit status.
fn verified_by_us(log: &Path, known: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(variable("PORTCULLIS_BIN"));
    let output = command.args(["audit", "verify"]).arg(log).args(known).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Whoever brings what they know of a log learns that it goes on from there, or that it does not.
fn must_know_it_again(log: &Path, events: usize) {
    let (status, said) = verified_by_us(log, &[]);
    assert_eq!(status, Some(0), "{said}");
    let next = said.lines().find_map(|line| line.strip_prefix("next:")).unwrap_or_else(|| panic!("{said}"));
    let words = next.split_whitespace().take(2).collect::<Vec<_>>();
    let (number, link) = words[1].split_once(':').unwrap();
    assert_eq!((words[0], number), ("--known-link", &*events.to_string()), "{said}");
    let other = if link.starts_with('0') { "1" } else { "0" };
    let forked = format!("{number}:{other}{}", &link[1..]);
    let in_an_hour = now().plus_s(3_600).rfc3339();
    let (all, more) = (events.to_string(), (events + 1).to_string());
    for (known, must) in [
        (words, 0),
        (vec!["--known-link", &forked], 1),
        (vec!["--at-least", &all], 0),
        (vec!["--at-least", &more], 1),
        (vec!["--not-before", "2020-01-01T00:00:00Z"], 0),
        (vec!["--not-before", &in_an_hour], 1),
    ] {
        let (status, said) = verified_by_us(log, &known);
        assert_eq!(status, Some(must), "{known:?}: {said}");
        assert!(
            said.starts_with(if must == 0 { "verified: " } else { "not verified: " }),
            "{known:?}: {said}"
        );
    }
}

#[tokio::test]
async fn an_export_says_how_many_events_have_no_number_yet() {
    let mut server = Server::sqlite().await;
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let folder = tempfile::tempdir().unwrap();
    // Killed right behind an answer, before the sequencer looks again: mostly at the first time.
    for number in 0..20 {
        let wish = json!({ "name": format!("gateway-{number}"), "scopes": ["evaluate"] });
        server.root("POST", "/organizations/acme/service-keys", wish).await;
        server.kill();
        let file = folder.path().join(number.to_string());
        let (done, said) = server.command(&["audit", "export", "acme", file.to_str().unwrap()]);
        assert!(done, "{said}");
        if said.contains("note: 1 event more has no number yet, since 2") {
            return;
        }
        server.restart().await;
    }
    panic!("no export says of what has no number yet");
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

    must_know_it_again(&file("log.jsonl"), events);

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
