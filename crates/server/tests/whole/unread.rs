//! Commands whose reader is gone, as `head` and `grep -q` go: they end as they would have ended.

use std::io::PipeWriter;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{ROOT, Server, free_port, variable};

/// Where nobody reads.
fn unread() -> PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer
}

fn portcullis(data: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(variable("PORTCULLIS_BIN"));
    command.args(words).env("PORTCULLIS_DATA", data).env("PORTCULLIS_ROOT_TOKEN", ROOT);
    command.env_remove("PORTCULLIS_DATABASE").stdin(Stdio::null());
    command
}

#[tokio::test]
async fn a_command_ends_as_it_would_have_ended_where_nobody_reads_what_it_says() {
    let mut server = Server::sqlite().await;
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    server.terminate();
    let data = server.data.clone();
    let beside = |name: &str| data.with_file_name(name).to_str().unwrap().to_owned();
    let (log, first, second) = (beside("log.jsonl"), beside("first"), beside("second"));
    assert!(portcullis(&data, &["audit", "export", "acme", &log]).status().unwrap().success());
    let unwell = beside("unwell.jsonl");
    std::fs::write(&unwell, "{}\n").unwrap();
    let (verified, refuted) = (["audit", "verify", &log], ["audit", "verify", &unwell]);
    let orders: [[&[&str]; 2]; 9] = [
        [&["config", "check"]; 2],
        [&["doctor"]; 2],
        [&["doctor", "--json"]; 2],
        [&["migrate"]; 2],
        [&["admin", "first-owner-link"]; 2],
        [&verified; 2],
        [&refuted; 2],
        [&["backup", &first], &["backup", &second]],
        [&["restore", &first, "--replace"], &["restore", &second, "--replace"]],
    ];
    for [heard, unheard] in orders {
        let must = portcullis(&data, heard).output().unwrap().status.code();
        let ended = portcullis(&data, unheard).stdout(unread()).stderr(unread()).status().unwrap().code();
        assert_eq!(ended, must, "{unheard:?}");
    }
    let refused = portcullis(&data, &["backup", &first]).stdout(unread()).stderr(unread()).status().unwrap();
    assert_eq!(refused.code(), Some(1), "a refusal that nobody reads");
}

#[tokio::test]
async fn a_server_goes_on_where_nobody_reads_its_greeting_and_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let mut child = portcullis(&folder.path().join("data"), &["serve", "--listen", &address])
        .stdout(unread())
        .stderr(unread())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let ready = async || {
        let answer = reqwest::get(format!("http://{address}/readyz")).await;
        answer.is_ok_and(|answer| answer.status() == 200)
    };
    while !ready().await {
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
