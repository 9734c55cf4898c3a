//! The figures of `docs/reference/performance.md`, measured in one run so that their ratios mean something.
//!
//! `cargo xtask figures` builds the binary and this program with the same profile and runs it. It starts the server on
//! throw-away data, loads it from this process and from `wrk`, and beside each durable run writes the same rows, bytes
//! and indexes into bare SQLite in commits of the size that the server's had. Each pair alternates; medians are shown.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::too_many_lines,
    reason = "a measuring program fails by panicking and reads the real clock"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const ROOT: &str = "figures-root-token-0123456789abcdef";
/// People that each run creates.
const PEOPLE: usize = 4000;
/// Runs of each pair.
const RUNS: usize = 3;
/// Tables that a SCIM create writes to, with how many `?` their rows take.
const TABLES: [&str; 5] =
    ["users", "memberships", "directory_users", "directory_user_emails", "audit_events"];

struct Server {
    child: Child,
    base: String,
    folder: tempfile::TempDir,
    started_in: Duration,
}

fn binary() -> PathBuf {
    std::env::var_os("PORTCULLIS_BIN")
        .map_or_else(|| PathBuf::from("target/ci-release/portcullis"), PathBuf::from)
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir_in(".").unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let base = format!("http://127.0.0.1:{port}");
        let began = Instant::now();
        let child = Command::new(binary())
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(folder.path().join("data"))
            .arg("--allow-private-networks")
            .env("PORTCULLIS_ROOT_TOKEN", ROOT)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        loop {
            let ready = http.get(format!("{base}/readyz")).send().await;
            if ready.is_ok_and(|r| r.status() == 200) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "the server did not become ready");
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        Self { child, base, folder, started_in: began.elapsed() }
    }

    /// Resident memory, in kilobytes.
    fn resident_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Processor time that it took since its start, in microseconds.
    fn cpu_micros(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let of_task = |task: std::io::Result<std::fs::DirEntry>| schedule_micros(&task.unwrap().path());
        tasks.map(of_task).sum()
    }

    fn database(&self) -> PathBuf {
        let data = self.folder.path().join("data");
        let files = std::fs::read_dir(&data).unwrap().map(|f| f.unwrap().path());
        let named = |p: &Path| p.extension().is_some_and(|e| e == "db" || e == "sqlite");
        files.into_iter().find(|p| named(p)).unwrap_or_else(|| panic!("no database in {}", data.display()))
    }
}

/// Processor time of a thread, in microseconds.
fn schedule_micros(task: &Path) -> f64 {
    let text = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    text.split_whitespace().next().map_or(0.0, |nanos| nanos.parse::<f64>().unwrap() / 1000.0)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many commits the server's writer made with how many requests, since its start.
async fn commits(server: &Server) -> (f64, f64) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = http.get(format!("{}/metrics", server.base)).send().await.unwrap().text().await.unwrap();
    let value = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(&format!("portcullis_store_commit_requests_{name}")));
        line.and_then(|l| l.split_whitespace().last()).map_or(0.0, |n| n.parse().unwrap())
    };
    (value("count"), value("sum"))
}

async fn call(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = http.request(method, format!("{}{path}", server.base)).bearer_auth(ROOT);
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or(Value::Null);
    assert!(status.is_success(), "{path}: {status} {body}");
    body
}

async fn directory(server: &Server) -> (String, String) {
    call(server, "POST", "/api/v1/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let body = json!({ "kind": "scim", "name": "IdP", "default_role": "member" });
    let made = call(server, "POST", "/api/v1/organizations/acme/directories", body).await;
    (made["base_url"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

/// One connection that is kept, and as little of HTTP as it takes: the load shares the machine with what it measures.
struct Client {
    stream: tokio::net::TcpStream,
    /// What stands in each request before the length of its body.
    head: String,
    answer: Vec<u8>,
}

impl Client {
    async fn open(base: &str, token: &str) -> Self {
        let url = reqwest::Url::parse(&format!("{base}/Users")).unwrap();
        let authority = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let stream = tokio::net::TcpStream::connect(&authority).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/scim+json\r\nContent-Length: ",
            url.path()
        );
        Self { stream, head, answer: Vec::new() }
    }

    async fn create(&mut self, body: &str) {
        let request = format!("{}{}\r\n\r\n{body}", self.head, body.len());
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.answer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.answer).await.unwrap();
            assert!(read > 0, "the server closed the connection");
            let text = String::from_utf8_lossy(&self.answer);
            let Some((headers, body)) = text.split_once("\r\n\r\n") else { continue };
            let lower = headers.to_ascii_lowercase();
            let length = lower.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                assert!(headers.starts_with("HTTP/1.1 201 "), "{text}");
                return;
            }
        }
    }
}

fn person(number: usize) -> String {
    let address = format!("person-{number}@acme.test");
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": address,
        "externalId": format!("ext-{number}"), "active": true,
        "name": { "givenName": "Person", "familyName": format!("{number}") },
        "emails": [{ "value": address, "type": "work", "primary": true }],
    })
    .to_string()
}

/// A rate, and what of the processor it took.
#[derive(Clone, Copy)]
struct Cost {
    a_second: f64,
    /// Microseconds of processor time for one, on the side that is measured only.
    cpu_micros: f64,
    /// How many were in one commit.
    a_commit: f64,
}

/// Creates people over so many connections.
async fn creates(server: &Server, clients: usize) -> Cost {
    let (base, token) = directory(server).await;
    let bodies: Arc<Vec<String>> = Arc::new((0..PEOPLE).map(person).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let (commits_before, requests_before) = commits(server).await;
    let before = server.cpu_micros();
    let began = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (base, token, next, bodies) = (base.clone(), token.clone(), next.clone(), bodies.clone());
            tokio::spawn(async move {
                let mut client = Client::open(&base, &token).await;
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    client.create(body).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let took = began.elapsed().as_secs_f64();
    let cpu_micros = (server.cpu_micros() - before) / PEOPLE as f64;
    let (commits, requests) = commits(server).await;
    let a_commit = (requests - requests_before) / (commits - commits_before);
    Cost { a_second: PEOPLE as f64 / took, cpu_micros, a_commit }
}

type Rows = Vec<Vec<rusqlite::types::Value>>;

/// The rows that the server wrote, table by table, in order, without what the sequencer added later.
fn written(database: &Path) -> Vec<(String, Rows)> {
    let connection = rusqlite::Connection::open(database).unwrap();
    TABLES
        .iter()
        .map(|table| {
            let filter = if *table == "audit_events" {
                "WHERE action IN ('directory_user.created', 'member.created')"
            } else {
                ""
            };
            let mut statement =
                connection.prepare(&format!("SELECT * FROM {table} {filter} ORDER BY rowid")).unwrap();
            let columns = statement.column_count();
            let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let mut rows: Rows = statement
                .query_map([], |row| (0..columns).map(|c| row.get(c)).collect())
                .unwrap()
                .map(Result::unwrap)
                .collect();
            for row in &mut rows {
                for (value, name) in row.iter_mut().zip(&names) {
                    if *table == "audit_events" && matches!(name.as_str(), "number" | "commitment" | "link") {
                        *value = rusqlite::types::Value::Null;
                    }
                }
            }
            ((*table).to_owned(), rows)
        })
        .collect()
}

/// Writes the same rows into bare SQLite with the same schema, so many people a commit.
fn bare(database: &Path, people_a_commit: usize) -> Cost {
    let rows = written(database);
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = folder.path().join("bare.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 4000;").unwrap();
    let source = rusqlite::Connection::open(database).unwrap();
    let mut schema = source.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").unwrap();
    for sql in schema.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap) {
        connection.execute_batch(&sql).unwrap();
    }
    let inserts: Vec<String> = rows
        .iter()
        .map(|(table, rows)| {
            let marks = vec!["?"; rows.first().map_or(1, Vec::len)].join(", ");
            format!("INSERT INTO {table} VALUES ({marks})")
        })
        .collect();
    let people = rows.iter().find(|(t, _)| t == "directory_users").unwrap().1.len();
    let before = schedule_micros(Path::new("/proc/thread-self"));
    let began = Instant::now();
    let mut at = 0;
    while at < people {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for person in at..(at + people_a_commit).min(people) {
            for ((_, rows), insert) in rows.iter().zip(&inserts) {
                let each = rows.len() / people;
                for row in &rows[person * each..(person + 1) * each] {
                    connection
                        .prepare_cached(insert)
                        .unwrap()
                        .execute(rusqlite::params_from_iter(row))
                        .unwrap();
                }
            }
        }
        connection.execute_batch("COMMIT").unwrap();
        at += people_a_commit;
    }
    let took = began.elapsed().as_secs_f64();
    let cpu = schedule_micros(Path::new("/proc/thread-self")) - before;
    Cost { a_second: people as f64 / took, cpu_micros: cpu / people as f64, a_commit: people_a_commit as f64 }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Requests a second that `wrk` gets out of a URL.
fn wrk(url: &str, lua: Option<&str>) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c32", "-d3s"]);
    if let Some(lua) = lua {
        let script = folder.path().join("ask.lua");
        std::fs::write(&script, lua).unwrap();
        command.arg("-s").arg(script);
    }
    let output = command.arg(url).output().expect("`wrk` is installed (Debian package `wrk`)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("Non-2xx"), "{text}");
    let line = text.lines().find(|l| l.starts_with("Requests/sec:")).unwrap_or_else(|| panic!("{text}"));
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn checks() {
    let server = Server::start().await;
    let (base, token) = directory(&server).await;
    let http = reqwest::Client::new();
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada@acme.test", "active": true,
    });
    http.post(format!("{base}/Users")).bearer_auth(&token).body(body.to_string()).send().await.unwrap();
    let members = call(&server, "GET", "/api/v1/organizations/acme/members", Value::Null).await;
    let member = members["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/organizations/acme/members/{member}/keys");
    let key = call(&server, "POST", &path, json!({ "name": "laptop" })).await;
    let key = key["token"].as_str().unwrap();
    let service = json!({ "name": "gateway", "scopes": ["evaluate"] });
    let service = call(&server, "POST", "/api/v1/organizations/acme/service-keys", service).await;
    let service = service["token"].as_str().unwrap();
    let hello = format!("{}/healthz", server.base);
    let forward = format!("{}/authz/forward?organization=acme", server.base);
    let evaluation = format!("{}/access/v1/evaluation", server.base);
    let header = format!("wrk.headers[\"Authorization\"] = \"Bearer {key}\"\n");
    let question = json!({
        "subject": { "type": "token", "id": key }, "action": { "name": "use" },
        "resource": { "type": "tool", "id": "Bash" },
    });
    let ask = format!(
        "wrk.method = \"POST\"\nwrk.body = '{question}'\nwrk.headers[\"Content-Type\"] = \"application/json\"\n\
         wrk.headers[\"Authorization\"] = \"Bearer {service}\"\n"
    );
    let (mut hellos, mut forwards, mut asks) = (vec![], vec![], vec![]);
    for _ in 0..RUNS {
        hellos.push(wrk(&hello, None));
        forwards.push(wrk(&forward, Some(&header)));
        asks.push(wrk(&evaluation, Some(&ask)));
    }
    let hello = median(hellos);
    println!("| hello route (`/healthz`), 32 connections | {hello:.0} /s | |");
    for (name, rates) in [("forward-auth", forwards), ("AuthZEN evaluation", asks)] {
        let rate = median(rates);
        println!("| {name}, 32 connections | {rate:.0} /s | {:.2} × hello |", rate / hello);
    }
    println!("| resident memory after this load | {:.1} MB | |", server.resident_kb() as f64 / 1024.0);
}

async fn start() {
    let mut starts = Vec::new();
    let mut resident = 0;
    for _ in 0..5 {
        let server = Server::start().await;
        starts.push(server.started_in.as_secs_f64() * 1000.0);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        resident = server.resident_kb();
    }
    println!("| start to first answer, empty SQLite | {:.0} ms | |", median(starts));
    println!("| resident memory, idle | {:.1} MB | |", resident as f64 / 1024.0);
}

async fn imports() {
    for clients in [1, 8, 32] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let server = Server::start().await;
            let cost = creates(&server, clients).await;
            ours.push(cost);
            let database = server.database();
            let a_commit = (cost.a_commit.round() as usize).max(1);
            theirs.push(tokio::task::spawn_blocking(move || bare(&database, a_commit)).await.unwrap());
        }
        let of = |costs: &[Cost], part: fn(&Cost) -> f64| median(costs.iter().map(part).collect());
        let (rate, bare_rate) = (of(&ours, |c| c.a_second), of(&theirs, |c| c.a_second));
        println!(
            "| SCIM creates, {clients} clients ({:.0} a commit; bare SQLite: {bare_rate:.0} /s, {:.0} µs of a core each) \
             | {rate:.0} /s, {:.0} µs of a core each | {:.2} × bare |",
            of(&theirs, |c| c.a_commit),
            of(&theirs, |c| c.cpu_micros),
            of(&ours, |c| c.cpu_micros),
            rate / bare_rate
        );
    }
}

/// Measures everything, or only the parts that are named: `start`, `creates`, `checks`.
#[tokio::main]
async fn main() {
    let named: Vec<String> = std::env::args().skip(1).collect();
    let wants = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    println!("| What | Figure | Ratio |\n|---|---|---|");
    if wants("start") {
        start().await;
    }
    if wants("creates") {
        imports().await;
    }
    if wants("checks") {
        checks().await;
    }
}
