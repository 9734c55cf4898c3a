//! `portcullis demo` is what a stranger sees first: it must hold, say so, and leave nothing behind.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::variable;

/// A demo is promised in under a minute; it takes a few seconds on an idle machine.
const MAX_RUN: Duration = Duration::from_secs(60);

/// What the leaver has: a session, an API key, and three keys of two agents.
const BEARERS: usize = 5;

fn demo(words: &[&str], folder: &std::path::Path) -> Output {
    Command::new(variable("PORTCULLIS_BIN"))
        .arg("demo")
        .args(words)
        .env("TMPDIR", folder)
        // Whatever configures the caller's own server must not reach the demo's.
        .env("PORTCULLIS_DATABASE", "postgres://nobody@127.0.0.1:1/nothing")
        .env_remove("CLICOLOR_FORCE")
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

fn list<'a>(steps: &'a [Value], name: &str) -> &'a [Value] {
    let step = steps.iter().find(|step| step.get(name).is_some());
    step.unwrap_or_else(|| panic!("no step has `{name}`"))[name].as_array().unwrap()
}

#[test]
fn the_demo_holds_what_it_promises_step_by_step() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let output = demo(&["--json"], folder.path());
    assert!(began.elapsed() < MAX_RUN, "{:?}", began.elapsed());
    let mut steps = lines(&output);
    let summary = steps.pop().unwrap();
    let unmet = &summary["unmet"];
    assert!(output.status.success(), "{unmet} {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&summary["summary"], &summary["ok"]), (&Value::Bool(true), &Value::Bool(true)), "{unmet}");
    assert_eq!(summary["steps"], steps.len());
    assert!(steps.len() >= 12, "{} steps", steps.len());
    for (at, step) in steps.iter().enumerate() {
        assert_eq!(step["step"], at + 1);
        assert_eq!(step["ok"], true, "{step}");
        assert!(step["elapsed_us"].as_u64().unwrap() > 0, "{step}");
    }

    let admitted = list(&steps, "bearers");
    let refused = list(&steps, "refusals");
    assert_eq!((admitted.len(), refused.len()), (BEARERS, BEARERS));
    let tokens = |list: &[Value]| list.iter().map(|one| one["token"].clone()).collect::<Vec<_>>();
    assert_eq!(tokens(admitted), tokens(refused), "what was admitted is what is refused");
    assert!(admitted.iter().all(|one| one["code"] == "allowed" && one["forward_auth"] == 200));
    for one in refused {
        assert_eq!(one["decision"], false, "{one}");
        assert!(matches!(one["code"].as_str(), Some("token_ended" | "agent_orphaned")), "{one}");
        assert!(matches!(one["forward_auth"].as_u64(), Some(401 | 403)), "{one}");
        let [asked, answered] = ["asked_after_us", "answered_after_us"].map(|at| one[at].as_u64().unwrap());
        assert!(answered > asked, "{one}");
    }

    let record = steps.iter().find(|step| step.get("requests_found").is_some()).unwrap();
    assert_eq!(record["requests"], record["requests_found"]);
    assert!(record["requests"].as_u64().unwrap() >= 45, "{}", record["requests"]);
    let chain = list(&steps, "chain");
    assert!(chain.len() >= BEARERS, "{chain:?}");
    let left = steps.iter().find(|step| step["status"] == 200 && step.get("request_id").is_some()).unwrap();
    assert!(chain.iter().all(|event| event["cause"]["request_id"] == left["request_id"]));
    let forged = steps.iter().find_map(|step| step["forged"].as_str()).unwrap();
    assert!(forged.starts_with("not verified: "), "{forged}");

    let behind: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(behind.is_empty(), "{behind:?}");
}

#[test]
fn people_read_the_demo_in_a_hundred_columns_and_without_colour_where_nobody_looks() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(&[], folder.path());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(!text.contains("pc_"), "no secret is shown: {text}");
}

#[test]
fn a_demo_without_a_place_to_work_says_so() {
    let output = demo(&["--json"], std::path::Path::new("/nowhere/at/all"));
    assert_eq!(output.status.code(), Some(1));
    let said = lines(&output);
    let summary = said.last().unwrap();
    assert_eq!(summary["ok"], false);
    let unmet = summary["unmet"][0].as_str().unwrap();
    assert!(unmet.contains("cannot make a temporary folder in `/nowhere/at/all`"), "{unmet}");
}

#[test]
fn a_demo_that_is_interrupted_leaves_no_process_and_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(variable("PORTCULLIS_BIN"))
        .args(["demo", "--json"])
        .env("TMPDIR", folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(output));
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let base = first["base_url"].as_str().unwrap().to_owned();
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let summary: Value = serde_json::from_str(&lines.last().unwrap().unwrap()).unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(summary["unmet"][0].as_str().unwrap().contains("interrupted"), "{summary}");
    let address = base.trim_start_matches("http://");
    assert!(std::net::TcpStream::connect(address).is_err(), "the child still listens at {address}");
    let behind: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(behind.is_empty(), "{behind:?}");
}
