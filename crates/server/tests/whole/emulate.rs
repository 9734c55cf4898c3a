//! `portcullis emulate`: every provider gets from this binary what it needs, and what a server gets wrong is found.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};

use portcullis_emulator::Dialect;
use serde_json::{Value, json};

use crate::faulty::{self, Fault, Finding};
use crate::harness::{Server, variable};

/// A directory whose people are members, with nobody in it.
struct Directory {
    organization: String,
    base: String,
    token: String,
}

impl Directory {
    async fn new(server: &Server, organization: &str) -> Self {
        let named = json!({ "slug": organization, "name": organization });
        server.root("POST", "/organizations", named).await;
        // One run after the other deactivates everybody: without a brake none of them differs from the first.
        let wanted = json!({
            "kind": "scim", "name": "IdP", "default_role": "member", "settle_s": 0, "brake": null,
        });
        let path = format!("/organizations/{organization}/directories");
        let made = server.root("POST", &path, wanted).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Self { organization: organization.to_owned(), base: text("base_url"), token: text("token") }
    }

    /// All that the directory lists.
    async fn list(&self, server: &Server, what: &str) -> Vec<Value> {
        let path = self.base.strip_prefix(&server.base).unwrap();
        let (status, list) =
            server.call("GET", &format!("{path}/{what}?count=500"), &self.token, Value::Null).await;
        assert_eq!(status, 200, "{list}");
        list["Resources"].as_array().cloned().unwrap_or_default()
    }

    async fn must_be_empty(&self, server: &Server, after: &str) {
        for what in ["Users", "Groups"] {
            let left = self.list(server, what).await;
            assert!(left.is_empty(), "after {after}: {left:?}");
        }
    }
}

fn command(provider: &str, base: &str, token: &str, words: &[&str]) -> Command {
    let mut command = Command::new(variable("PORTCULLIS_BIN"));
    command.args(["emulate", provider, "--base-url", base]).args(words);
    command.env("SCIM_TOKEN", token).env_remove("CLICOLOR_FORCE").stdin(Stdio::null());
    command
}

async fn emulate(provider: &str, base: &str, token: &str, words: &[&str]) -> Output {
    let mut command = command(provider, base, token, words);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Steps and summary.
fn told(output: &Output) -> (Vec<Value>, Value) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let summary = lines.pop().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(summary["summary"], true, "{summary}");
    (lines, summary)
}

async fn every_provider_gets_what_it_needs(server: &Server) {
    let directory = Directory::new(server, "emulated").await;
    for dialect in Dialect::ALL {
        let name = dialect.name();
        let output = emulate(name, &directory.base, &directory.token, &["--json", "--people", "12"]).await;
        let (steps, summary) = told(&output);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", summary["failed"]);
        assert_eq!((&summary["ok"], &summary["advice"]), (&json!(true), &json!([])), "{name}");
        assert_eq!((&summary["left"], &summary["halt"]), (&json!([]), &Value::Null), "{name}");
        assert_eq!(summary["steps"], steps.len());
        assert!(steps.len() >= 25, "{name}: {} steps", steps.len());
        assert!(steps.iter().all(|step| step["ok"] == true && step["means"].is_string()), "{name}");
        assert!(
            steps.iter().all(|step| !step["checks"].as_array().unwrap().is_empty()),
            "{name}: {steps:#?}"
        );
        directory.must_be_empty(server, name).await;
    }
}

#[tokio::test]
async fn every_provider_gets_what_it_needs_on_sqlite() {
    every_provider_gets_what_it_needs(&Server::sqlite().await).await;
}

#[tokio::test]
async fn every_provider_gets_what_it_needs_on_postgres() {
    every_provider_gets_what_it_needs(&Server::postgres().await).await;
}

/// What stands after a run, the run's own mark and every id left out.
async fn stands(server: &Server, directory: &Directory, mark: &str) -> Value {
    let plain = |value: &Value| value.as_str().unwrap_or_default().replace(mark, "…");
    let own = |value: &Value| value.to_string().contains(mark);
    let mut users = Vec::new();
    let mut names = BTreeMap::new();
    for user in directory.list(server, "Users").await.iter().filter(|user| own(user)) {
        names.insert(user["id"].as_str().unwrap().to_owned(), plain(&user["userName"]));
        users.push(json!([
            plain(&user["userName"]),
            user["active"],
            user["name"],
            plain(&user["emails"][0]["value"])
        ]));
    }
    let mut groups = Vec::new();
    for group in directory.list(server, "Groups").await.iter().filter(|group| own(group)) {
        let members = group["members"].as_array().cloned().unwrap_or_default();
        let mut members: Vec<&String> =
            members.iter().map(|one| &names[one["value"].as_str().unwrap()]).collect();
        members.sort();
        groups.push(json!([plain(&group["displayName"]), members]));
    }
    let path = format!("/organizations/{}", directory.organization);
    let mut members = Vec::new();
    let mut ids = Vec::new();
    for member in server.all(&format!("{path}/members")).await.iter().filter(|member| own(member)) {
        ids.push(member["id"].clone());
        let gives: Vec<&Value> =
            member["reasons"].as_array().unwrap().iter().map(|reason| &reason["by"]).collect();
        let email = plain(&member["user"]["email"]);
        members.push(json!([email, member["state"], member["role"], member["teams"], gives]));
    }
    let receipts = server.all(&format!("{path}/receipts")).await;
    let receipts = receipts.iter().filter(|receipt| ids.contains(&receipt["member"])).count();
    for list in [&mut users, &mut groups, &mut members] {
        list.sort_by_key(Value::to_string);
    }
    json!({ "users": users, "groups": groups, "members": members, "receipts": receipts })
}

#[tokio::test]
async fn a_run_twice_leaves_the_same_access_as_once_and_changes_nothing_of_the_first() {
    let server = Server::sqlite().await;
    let directory = Directory::new(&server, "twice").await;
    for dialect in Dialect::ALL {
        let mut runs = Vec::new();
        for _ in 0..2 {
            let words = ["--json", "--keep", "--people", "8"];
            let (_, summary) =
                told(&emulate(dialect.name(), &directory.base, &directory.token, &words).await);
            assert_eq!(summary["ok"], true, "{summary}");
            let mark = summary["mark"].as_str().unwrap().to_owned();
            let standing = stands(&server, &directory, &mark).await;
            let kept = summary["left"].as_array().unwrap().len();
            let listed = |what: &str| standing[what].as_array().unwrap().len();
            assert_eq!(kept, listed("users") + listed("groups"), "{}: {summary}", dialect.name());
            assert!(kept >= 5 && standing["receipts"].as_u64() >= Some(4), "{standing}");
            runs.push((mark, standing));
        }
        assert_eq!(runs[0].1, runs[1].1, "{}", dialect.name());
        assert_eq!(stands(&server, &directory, &runs[0].0).await, runs[0].1, "{}", dialect.name());
    }
}

/// What a provider said last of each user and group that it neither made with that nor took away: the request, in their order.
fn said_last(steps: &[Value]) -> Vec<(String, String, Value)> {
    let mut last: BTreeMap<String, (usize, String, String, Value)> = BTreeMap::new();
    let exchanges = steps.iter().flat_map(|step| step["exchanges"].as_array().unwrap());
    for (at, exchange) in exchanges.enumerate() {
        let sent = &exchange["sent"];
        let [method, target] = ["method", "target"].map(|name| sent[name].as_str().unwrap().to_owned());
        let is_done = exchange["received"]["status"].as_u64().is_some_and(|status| status / 100 == 2);
        let resource = target.split('?').next().unwrap().to_owned();
        if is_done && method != "GET" && resource.matches('/').count() == 2 {
            last.insert(resource, (at, method, target, sent["body"].clone()));
        }
    }
    let mut last: Vec<_> = last.into_values().filter(|(_, method, ..)| method != "DELETE").collect();
    last.sort_by_key(|(at, ..)| *at);
    last.into_iter().map(|(_, method, target, body)| (method, target, body)).collect()
}

/// How many rows of facts, access, audit and outbox were changed so far, once nobody is at it any more.
async fn rows_changed(server: &Server) -> String {
    const LINE: &str = "portcullis_store_rows_total{road=\"change\"} ";
    let mut before = String::new();
    loop {
        let metrics = server.metrics_with(LINE).await;
        let now = metrics.lines().find_map(|line| line.strip_prefix(LINE)).unwrap().to_owned();
        if now == before {
            return now;
        }
        before = now;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

async fn what_is_said_again_changes_nothing(server: &Server) {
    let directory = Directory::new(server, "again").await;
    let path = directory.base.strip_prefix(&server.base).unwrap();
    for dialect in Dialect::ALL {
        let words = ["--json", "--keep", "--people", "8"];
        let (steps, summary) =
            told(&emulate(dialect.name(), &directory.base, &directory.token, &words).await);
        let mark = summary["mark"].as_str().unwrap();
        let (stood, said) = (stands(server, &directory, mark).await, said_last(&steps));
        for kind in ["/Users/", "/Groups/"] {
            let is_there = said.iter().any(|(_, target, _)| target.starts_with(kind));
            assert!(is_there, "{}: nothing of {kind} is said again: {said:?}", dialect.name());
        }
        let rows = rows_changed(server).await;
        for (method, target, body) in said {
            let (status, answer) =
                server.call(&method, &format!("{path}{target}"), &directory.token, body.clone()).await;
            assert_eq!(status / 100, 2, "{}: {method} {target}: {answer}", dialect.name());
            let now = rows_changed(server).await;
            assert_eq!(now, rows, "{}: {method} {target} {body} changed rows", dialect.name());
        }
        assert_eq!(stands(server, &directory, mark).await, stood, "{}", dialect.name());
    }
}

#[tokio::test]
async fn whatever_a_provider_said_last_of_anybody_changes_no_row_when_it_is_said_again_on_sqlite() {
    what_is_said_again_changes_nothing(&Server::sqlite().await).await;
}

#[tokio::test]
async fn whatever_a_provider_said_last_of_anybody_changes_no_row_when_it_is_said_again_on_postgres() {
    what_is_said_again_changes_nothing(&Server::postgres().await).await;
}

#[tokio::test]
async fn every_fault_that_is_planted_is_found_by_the_provider_that_would_meet_it() {
    let server = Server::sqlite().await;
    let directory = Directory::new(&server, "faulty").await;
    let path = directory.base.strip_prefix(&server.base).unwrap().to_owned();
    for dialect in Dialect::ALL {
        let base = format!("{}{path}", faulty::start(&server.base, &directory.token, None).await);
        let (_, summary) = told(&emulate(dialect.name(), &base, &directory.token, &["--json"]).await);
        assert_eq!((&summary["failed"], &summary["advice"]), (&json!([]), &json!([])), "without a fault");
    }
    // What keeps the deleted leaves residue by its nature, so it comes last.
    let (keeping, others): (Vec<Fault>, Vec<Fault>) =
        Fault::ALL.iter().partition(|fault| **fault == Fault::KeepsDeleted);
    for fault in others.into_iter().chain(keeping) {
        let (provider, said, finding) = fault.expected();
        let base = format!("{}{path}", faulty::start(&server.base, &directory.token, Some(fault)).await);
        let output = emulate(provider, &base, &directory.token, &["--json"]).await;
        let (_, summary) = told(&output);
        let (code, list) = match finding {
            Finding::Failed => (1, &summary["failed"]),
            Finding::Advice => (0, &summary["advice"]),
        };
        let found = list.as_array().unwrap().iter().any(|what| what.as_str().unwrap().contains(said));
        assert!(found, "{fault:?}: no `{said}` in {list:#}");
        assert_eq!(output.status.code(), Some(code), "{fault:?}: {summary:#}");
        if fault != Fault::KeepsDeleted {
            directory.must_be_empty(&server, &format!("{fault:?}")).await;
        }
    }
}

#[tokio::test]
async fn a_run_that_is_interrupted_removes_what_it_made() {
    let server = Server::sqlite().await;
    let directory = Directory::new(&server, "interrupted").await;
    let words = ["--json", "--people", "5000"];
    let mut command = command("okta", &directory.base, &directory.token, &words);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let output = child.stdout.take().unwrap();
    let ended = tokio::task::spawn_blocking(move || {
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(output));
        let crowd = lines.find(|line| line.as_ref().unwrap().contains("more people"));
        assert!(crowd.is_some());
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let summary: Value = serde_json::from_str(&lines.last().unwrap().unwrap()).unwrap();
        (child.wait().unwrap().code(), summary)
    });
    let (code, summary) = ended.await.unwrap();
    assert_eq!((code, &summary["halt"]["kind"]), (Some(2), &json!("interrupted")), "{summary}");
    assert!(summary["removed"].as_u64() > Some(100), "{summary}");
    assert_eq!(summary["left"], json!([]));
    directory.must_be_empty(&server, "an interruption").await;
}

#[tokio::test]
async fn a_token_that_is_refused_ends_the_run_before_anything_is_made_and_is_not_shown() {
    let server = Server::sqlite().await;
    let directory = Directory::new(&server, "refused").await;
    let wrong = "pc_scim_this-is-not-the-token-of-the-directory";
    for words in [&["--json"][..], &[]] {
        let output = emulate("okta", &directory.base, wrong, words).await;
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains("the token is refused (401)"), "{said}");
        assert!(!said.contains(wrong), "{said}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{}\n", directory.token)).unwrap();
    let path = file.path().to_str().unwrap();
    let output = emulate("pingone", &directory.base, wrong, &["--token-file", path]).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    directory.must_be_empty(&server, "three runs").await;
}

#[tokio::test]
async fn people_read_a_run_in_a_hundred_columns_without_the_token_also_where_it_fails() {
    let server = Server::sqlite().await;
    let directory = Directory::new(&server, "read").await;
    let path = directory.base.strip_prefix(&server.base).unwrap().to_owned();
    let base = faulty::start(&server.base, &directory.token, Some(Fault::ClearsByList)).await;
    for (base, words, code) in
        [(directory.base.clone(), &["--verbose"][..], 0), (format!("{base}{path}"), &[][..], 1)]
    {
        let output = emulate("entra-legacy", &base, &directory.token, words).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains(&directory.token), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        for word in ["sent", "received", "found", "means"].iter().filter(|_| code == 1) {
            assert!(text.contains(&format!("      {word} ")), "no `{word}` in {text}");
        }
    }
}

#[test]
fn every_provider_is_named_with_what_is_special_about_it() {
    let output = Command::new(variable("PORTCULLIS_BIN")).args(["emulate", "--list"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for dialect in Dialect::ALL {
        let line = format!("{:<12}  {}", dialect.name(), dialect.title());
        assert!(text.lines().any(|said| said == line), "no `{line}` in {text}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn what_cannot_be_run_at_all_is_status_2_with_what_to_change() {
    let run = |words: &[&str]| {
        let mut command = Command::new(variable("PORTCULLIS_BIN"));
        command.arg("emulate").args(words).env_remove("SCIM_TOKEN").stdin(Stdio::null());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let base = "http://127.0.0.1:1/scim";
    for (words, said) in [
        (&["okta", "--base-url", base][..], "no token: --token-file FILE, or the variable SCIM_TOKEN"),
        (&["okta", "--base-url", base, "--token", "two words"], "the token holds a space"),
        (&["okta", "--base-url", base, "--token", " "], "the token is empty"),
        (&["okta", "--base-url", base, "--token-file", "/nowhere"], "--token-file `/nowhere`"),
        (&["okta", "--base-url", "host/scim", "--token", "x"], "is not an absolute URL"),
        (&["okta", "--base-url", base, "--token", "x", "--ca-file", "/nowhere"], "`/nowhere`"),
        (&["nobody", "--base-url", base], "possible values: okta, entra, entra-legacy"),
        (&["okta", "--base-url", base, "--token", "x", "--people", "3"], "a number from 4 to 10000"),
        (&[], "--base-url <URL>"),
    ] {
        let (code, error) = run(words);
        assert_eq!(code, Some(2), "{words:?}: {error}");
        assert!(error.contains(said), "{words:?}: {error}");
    }
}
