//! A real browser, driven by `tests/peers/browser.mjs`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::variable;

/// Goes where the script is told to: what it saw, and whether it arrived without a complaint of the browser.
pub async fn browse(words: &[&str]) -> (bool, Value) {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let run = || {
        Command::new(Path::new(&variable("PORTCULLIS_TEST_PEERS")).join("bin/node"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/browser.mjs"))
            .args(words)
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let seen = serde_json::from_str(out.trim()).unwrap_or_else(|_| panic!("{out}\n{err}"));
    (output.status.success(), seen)
}

/// A cookie that the browser had at the end.
pub fn cookie<'a>(seen: &'a Value, name: &str) -> Option<&'a Value> {
    seen["cookies"].as_array().unwrap().iter().find(|cookie| cookie["name"] == name)
}
