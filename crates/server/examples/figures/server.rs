//! The optimised binary on throw-away data, and what the kernel and its own metrics say of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The root token of every server here.
pub const ROOT: &str = "figures-root-token-0123456789abcdef";

/// A running server.
pub struct Server {
    child: Child,
    /// Where it is reached.
    pub base: String,
    folder: tempfile::TempDir,
    /// How long it took from its start to its first answer.
    pub started_in: Duration,
}

/// A directory that it serves.
#[derive(Debug, Clone)]
pub struct Directory {
    /// The path of its SCIM endpoints.
    pub path: String,
    /// The secret by which it speaks.
    pub token: String,
    /// Its id.
    pub id: String,
}

/// What was counted since the start of a server.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Commits of its writer.
    pub commits: f64,
    /// Requests in them.
    pub requests: f64,
    /// Rows that those requests read.
    pub read: f64,
    /// Rows of facts, access, audit and outbox that they wrote.
    pub changed: f64,
    /// Bytes that the process gave to the kernel to write.
    pub bytes: f64,
    /// Processor time, in microseconds.
    pub cpu_us: f64,
}

impl Counted {
    /// What came since an earlier count.
    pub fn since(self, before: Self) -> Self {
        Self {
            commits: self.commits - before.commits,
            requests: self.requests - before.requests,
            read: self.read - before.read,
            changed: self.changed - before.changed,
            bytes: self.bytes - before.bytes,
            cpu_us: self.cpu_us - before.cpu_us,
        }
    }

    /// How many requests a commit had.
    pub fn a_commit(self) -> f64 {
        self.requests / self.commits.max(1.0)
    }
}

fn binary() -> PathBuf {
    std::env::var_os("PORTCULLIS_BIN").map_or_else(
        || {
            // Beside this program, which lies in a folder of examples.
            let own = std::env::current_exe().expect("this program has a path");
            own.parent().and_then(Path::parent).expect("a build folder").join("portcullis")
        },
        PathBuf::from,
    )
}

/// Starts the binary on that data; the process and its address, once it answers.
#[allow(clippy::zombie_processes, reason = "whoever gets it waits for it; if it never answers the run ends")]
async fn serve(folder: &Path) -> (Child, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let base = format!("http://127.0.0.1:{port}");
    let began = Instant::now();
    let child = Command::new(binary())
        .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data"])
        .arg(folder.join("data"))
        .arg("--allow-private-networks")
        .env("PORTCULLIS_ROOT_TOKEN", ROOT)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .expect("the binary starts");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    loop {
        let ready = http.get(format!("{base}/readyz")).send().await;
        if ready.is_ok_and(|r| r.status() == 200) {
            return (child, base);
        }
        assert!(began.elapsed() < Duration::from_secs(20), "the server did not become ready");
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
}

impl Server {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir_in(".").unwrap();
        let began = Instant::now();
        let (child, base) = serve(folder.path()).await;
        Self { child, base, folder, started_in: began.elapsed() }
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process and starts it again on the same data: its memory is as it was when it began.
    pub async fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        (self.child, self.base) = serve(self.folder.path()).await;
    }

    fn status_kb(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Resident memory, in megabytes.
    pub fn resident_mb(&self) -> f64 {
        self.status_kb("VmRSS:") as f64 / 1024.0
    }

    /// The most resident memory since [`Server::forget_peak`], in megabytes.
    pub fn peak_mb(&self) -> f64 {
        self.status_kb("VmHWM:") as f64 / 1024.0
    }

    /// The peak of resident memory is what it is now.
    pub fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    /// Processor time that it took since its start, in microseconds.
    fn cpu_us(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks.map(|task| schedule_us(&task.unwrap().path())).sum()
    }

    /// What it says at `/metrics`.
    pub async fn metrics(&self) -> String {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        http.get(format!("{}/metrics", self.base)).send().await.unwrap().text().await.unwrap()
    }

    /// What was counted until now.
    pub async fn counted(&self) -> Counted {
        let text = self.metrics().await;
        let value = |name: &str| {
            let line = text.lines().find(|l| l.starts_with(name));
            line.and_then(|l| l.split_whitespace().last()).map_or(0.0, |n| n.parse().unwrap())
        };
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.child.id())).unwrap();
        let written = io.lines().find_map(|l| l.strip_prefix("wchar: ")).unwrap();
        Counted {
            commits: value("portcullis_store_commit_requests_count"),
            requests: value("portcullis_store_commit_requests_sum"),
            read: value("portcullis_store_rows_total{road=\"read\"}"),
            changed: value("portcullis_store_rows_total{road=\"change\"}"),
            bytes: written.parse().unwrap(),
            cpu_us: self.cpu_us(),
        }
    }

    /// Waits until what follows a load is done: nothing more is written of facts, access or audit, and every event has
    /// its number.
    pub async fn quiet(&self) {
        let mut before = -1.0;
        for _ in 0..600 {
            let text = self.metrics().await;
            let value = |name: &str| -> f64 {
                let line = text.lines().find(|l| l.starts_with(name));
                line.and_then(|l| l.split_whitespace().last()).map_or(0.0, |n| n.parse().unwrap())
            };
            let now = value("portcullis_store_rows_total{road=\"change\"}")
                + value("portcullis_store_rows_total{road=\"note\"}");
            if (now - before).abs() < 4.0 {
                return;
            }
            before = now;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("the server does not come to rest");
    }

    /// The file of its database.
    pub fn database(&self) -> PathBuf {
        let data = self.folder.path().join("data");
        let files = std::fs::read_dir(&data).unwrap().map(|f| f.unwrap().path());
        let named = |p: &Path| p.extension().is_some_and(|e| e == "db" || e == "sqlite");
        files.into_iter().find(|p| named(p)).unwrap_or_else(|| panic!("no database in {}", data.display()))
    }

    /// Calls the administration API.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = http.request(method, format!("{}{path}", self.base)).bearer_auth(ROOT);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or(Value::Null);
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    /// A new organization with a directory that gives everybody a role.
    pub async fn directory(&self, organization: &str) -> Directory {
        let body = json!({ "slug": organization, "name": organization });
        self.call("POST", "/api/v1/organizations", body).await;
        let body = json!({ "kind": "scim", "name": "IdP", "default_role": "member" });
        let made =
            self.call("POST", &format!("/api/v1/organizations/{organization}/directories"), body).await;
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        let url = reqwest::Url::parse(&text("base_url")).unwrap();
        Directory { path: url.path().to_owned(), token: text("token"), id: text("id") }
    }
}

/// Processor time of a thread, in microseconds.
pub fn schedule_us(task: &Path) -> f64 {
    let text = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    text.split_whitespace().next().map_or(0.0, |nanos| nanos.parse::<f64>().unwrap() / 1000.0)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
