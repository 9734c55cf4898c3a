//! A running `portcullis`, and what every whole test says to it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use portcullis_domain::Timestamp;
use portcullis_emulator::{
    Browser, Company, GroupValues, KeyKind, OidcProvider, ProviderSettings, RegisteredClient, Surroundings,
};
use serde_json::{Value, json};

/// The root token of every server that a test starts.
pub const ROOT: &str = "whole-tests-root-token-0123456789abcdef";
/// The password of everybody who accepts an invitation.
pub const PASSWORD: &str = "correct horse battery staple";
/// What every connection of OpenID Connect has for its provider.
pub const CLIENT_SECRET: &str = "a-secret-of-the-tests";
/// How long a server may take until it is ready.
const MAX_START: Duration = Duration::from_secs(20);

/// How long a test waits for what a job or a poll brings about.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How long a test waits for an end; the promise is ten seconds.
const MAX_END: Duration = Duration::from_secs(20);

/// A text of an answer.
pub fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {value}")).to_owned()
}

/// What the environment says, or a panic that names what is missing.
pub fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("`{name}` is not set: run `cargo xtask test --only peers --only whole`"))
}

/// Whether this is the long tier: full counts.
pub fn is_long() -> bool {
    std::env::var("PORTCULLIS_TEST_TIER").is_ok_and(|tier| tier == "long")
}

/// The ports that the tests take: below those that the kernel gives to whoever connects (`ip_local_port_range`), or a
/// connection could come to have one before its server does.
const PORTS: std::ops::Range<u32> = 20_000..32_000;
/// How many of them were looked at. Each is taken once: tests run beside each other.
static LOOKED_AT: AtomicU32 = AtomicU32::new(0);

/// A loopback port that nobody uses now.
pub fn free_port() -> u16 {
    let begin = std::process::id();
    loop {
        let turn = begin.wrapping_add(LOOKED_AT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(PORTS.start + turn % (PORTS.end - PORTS.start)).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A running server.
pub struct Server {
    child: Child,
    pub base: String,
    pub data: PathBuf,
    database: Option<String>,
    port: u16,
    /// Settings beyond those that every server of these tests has, as variables.
    settings: Vec<(&'static str, String)>,
    pub http: reqwest::Client,
    /// The root token that is good: [`ROOT`] until a test makes another.
    pub root_token: String,
    _folder: Option<tempfile::TempDir>,
}

impl Server {
    /// A server on a fresh SQLite database.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::start(data, None, Some(folder), Vec::new()).await
    }

    /// The same with these variables.
    pub async fn sqlite_with(settings: Vec<(&'static str, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::start(data, None, Some(folder), settings).await
    }

    /// A server on a fresh PostgreSQL database.
    pub async fn postgres() -> Self {
        Self::on(fresh_database().await).await
    }

    /// A server on the database at that URL.
    pub async fn on(url: String) -> Self {
        Self::on_with(url, Vec::new()).await
    }

    /// The same with these variables.
    pub async fn on_with(url: String, settings: Vec<(&'static str, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::start(data, Some(url), Some(folder), settings).await
    }

    async fn start(
        data: PathBuf,
        database: Option<String>,
        folder: Option<tempfile::TempDir>,
        settings: Vec<(&'static str, String)>,
    ) -> Self {
        let port = free_port();
        let mut server = Self {
            child: spawn(port, &data, database.as_deref(), &settings),
            base: format!("http://127.0.0.1:{port}"),
            data,
            database,
            port,
            settings,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            root_token: ROOT.to_owned(),
            _folder: folder,
        };
        server.wait_until_ready().await;
        server
    }

    /// Waits until it answers at its `base`, over whatever stands before it.
    pub async fn wait_until_ready(&mut self) {
        let started = Instant::now();
        loop {
            let ready = self.http.get(format!("{}/readyz", self.base)).send().await;
            if ready.is_ok_and(|r| r.status() == 200) {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended with {status} before it was ready");
            }
            assert!(started.elapsed() < MAX_START, "the server was not ready in {MAX_START:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A new start on the same data, after the old process ended.
    pub async fn restart(&mut self) {
        self.child = spawn(self.port, &self.data, self.database.as_deref(), &self.settings);
        self.wait_until_ready().await;
    }

    /// Runs a command beside the server, in its data folder: whether it succeeded, and what it said.
    pub fn command(&self, words: &[&str]) -> (bool, String) {
        command(&self.data, self.database.as_deref(), words)
    }

    /// Orders another root token, which is used from now on.
    pub fn renew_root_token(&mut self) {
        let (done, said) = self.command(&["admin", "root-token", "new"]);
        assert!(done, "{said}");
        let fresh = std::fs::read_to_string(self.data.join("root-token")).unwrap();
        self.root_token = fresh.trim().to_owned();
    }

    /// Whether that is the root token.
    pub async fn is_root(&self, token: &str) -> bool {
        match self.call("GET", "/api/v1/organizations", token, Value::Null).await.0 {
            200 => true,
            401 => false,
            status => panic!("{status}"),
        }
    }

    /// The database, if a test named one.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// SIGTERM; how long it took and how it ended.
    pub fn terminate(&mut self) -> (Duration, std::process::ExitStatus) {
        terminate(&mut self.child)
    }

    /// A call with JSON: status and body.
    pub async fn call(&self, method: &str, path: &str, bearer: &str, body: Value) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(bearer);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// A call of the administration API as root that must succeed.
    pub async fn root(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, &format!("/api/v1{path}"), &self.root_token, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Every item of a list, page by page.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let glue = if path.contains('?') { '&' } else { '?' };
            let page = self.root("GET", &format!("{path}{glue}limit=200&cursor={cursor}"), Value::Null).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return items,
            }
        }
    }

    /// The metrics, once they have that line.
    pub async fn metrics_with(&self, line: &str) -> String {
        let (address, began) = (format!("{}/metrics", self.base), Instant::now());
        loop {
            let text = self.http.get(&address).send().await.unwrap().text().await.unwrap();
            if text.contains(line) {
                return text;
            }
            assert!(began.elapsed() < MAX_END, "`{line}` is not among the metrics: {text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The newest trace of a sign-in at that organization with that outcome; traces are written after the answer.
    pub async fn sign_in_trace(&self, organization: &str, outcome: &str) -> Value {
        self.sign_in_traces(organization, outcome, 1).await[0].clone()
    }

    /// The same, newest first, once there are that many: for an outcome that there was before.
    pub async fn sign_in_traces(&self, organization: &str, outcome: &str, count: usize) -> Vec<Value> {
        let path = format!("/organizations/{organization}/traces?kind=sign_in&outcome={outcome}");
        let began = Instant::now();
        while began.elapsed() < MAX_END {
            let found = self.all(&path).await;
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no {count} traces of sign-ins with the outcome `{outcome}`");
    }

    /// May this bearer act in `production`? The answer's code.
    pub async fn code(&self, asker: &str, secret: &str) -> String {
        let question = json!({
            "subject": { "type": "token", "id": secret },
            "action": { "name": "use" },
            "resource": { "type": "tool", "id": "Bash" },
        });
        let (status, answer) = self.call("POST", "/access/v1/evaluation", asker, question).await;
        assert_eq!(status, 200, "{answer}");
        answer["context"]["code"].as_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// SIGTERM; how long it took and how it ended. One that does not end is killed, and the test fails.
pub fn terminate(child: &mut Child) -> (Duration, std::process::ExitStatus) {
    let started = Instant::now();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return (started.elapsed(), status);
        }
        if started.elapsed() > MAX_END {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it did not end in {MAX_END:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a command on a data folder: whether it succeeded, and what it said on both outputs.
pub fn command(data: &Path, database: Option<&str>, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(variable("PORTCULLIS_BIN"));
    command.args(words).arg("--data").arg(data).env("PORTCULLIS_ROOT_TOKEN", ROOT);
    command.env_remove("PORTCULLIS_DATABASE").stdin(Stdio::null());
    if let Some(url) = database {
        command.arg("--database").arg(url);
    }
    let output = command.output().expect("the binary runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Starts a server that must refuse to serve; what it said.
pub fn refused_start(data: &Path, database: Option<&str>) -> String {
    let (served, said) = command(data, database, &["serve", "--listen", "127.0.0.1:0"]);
    assert!(!served, "it served: {said}");
    said
}

fn spawn(port: u16, data: &Path, database: Option<&str>, settings: &[(&str, String)]) -> Child {
    let mut command = Command::new(variable("PORTCULLIS_BIN"));
    command
        .arg("serve")
        .arg("--listen")
        .arg(format!("127.0.0.1:{port}"))
        .arg("--data")
        .arg(data)
        .arg("--allow-private-networks")
        .env("PORTCULLIS_ROOT_TOKEN", ROOT)
        .env_remove("PORTCULLIS_DATABASE")
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let log = data.with_extension("log");
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    command.stderr(log);
    if let Some(url) = database {
        command.arg("--database").arg(url);
    }
    command.spawn().expect("the binary starts")
}

/// A database of its own in the PostgreSQL of the test run.
pub async fn fresh_database() -> String {
    let url = variable("PORTCULLIS_TEST_POSTGRES");
    let name = format!("whole_{}_{}", std::process::id(), free_port());
    in_cluster(&[format!("CREATE DATABASE {name}")]);
    let (base, _) = url.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}

/// Runs statements in the PostgreSQL of the test run, beside every database of a test.
pub fn in_cluster(statements: &[String]) {
    let (url, statements) = (variable("PORTCULLIS_TEST_POSTGRES"), statements.to_vec());
    // The synchronous client must not live on a thread of the runtime.
    std::thread::spawn(move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
        for statement in statements {
            client.batch_execute(&statement).unwrap();
        }
    })
    .join()
    .unwrap();
}

/// An organization with a proven domain, a SCIM directory whose group `admins` maps to `admin` and whose group
/// `everyone` maps to `member`, and a connection to an identity provider.
pub struct Org {
    pub slug: String,
    pub domain: String,
    pub directory: String,
    pub scim_base: String,
    pub scim_token: String,
    pub admins: String,
    pub asker: String,
    pub login_url: String,
}

impl Org {
    pub async fn new(server: &Server, slug: &str, provider: &OidcProvider) -> Self {
        let domain = format!("{slug}.test");
        server.root("POST", "/organizations", json!({ "slug": slug, "name": slug })).await;
        let at = |rest: &str| format!("/organizations/{slug}{rest}");
        server.root("POST", &at("/domains"), json!({ "domain": domain, "vouched": true })).await;
        let directory = server
            .root(
                "POST",
                &at("/directories"),
                json!({ "kind": "scim", "name": "IdP", "settle_s": 0, "brake": null }),
            )
            .await;
        let text = |v: &Value, k: &str| v[k].as_str().unwrap_or_else(|| panic!("no `{k}` in {v}")).to_owned();
        let mut org = Self {
            slug: slug.to_owned(),
            domain: domain.clone(),
            directory: text(&directory, "id"),
            scim_base: text(&directory, "base_url"),
            scim_token: text(&directory, "token"),
            admins: String::new(),
            asker: String::new(),
            login_url: String::new(),
        };
        org.admins = org.group(server, "admins").await;
        for (group, role) in [("admins", "admin"), ("everyone", "member")] {
            let mapping = json!({
                "directory": org.directory, "group": { "external_id": group }, "role": role,
            });
            server.root("POST", &at("/mappings"), mapping).await;
        }
        let key = json!({ "name": "gateway", "scopes": ["evaluate", "introspect"] });
        org.asker = text(&server.root("POST", &at("/service-keys"), key).await, "token");
        let connection = json!({
            "kind": "oidc", "name": "IdP", "issuer": provider.issuer(), "client_id": format!("client-{slug}"),
            "client_secret": CLIENT_SECRET, "directory": org.directory, "domains": [domain],
        });
        let connection = server.root("POST", &at("/connections"), connection).await;
        org.login_url = text(&connection, "login_url");
        provider.register_client(RegisteredClient {
            id: format!("client-{slug}"),
            secret: CLIENT_SECRET.to_owned().into(),
            jwks_uri: None,
            redirect_uris: vec![text(&connection, "redirect_uri")],
        });
        org
    }

    /// A SCIM call with the directory's token: status and body.
    pub async fn scim(&self, server: &Server, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = server
            .http
            .request(method, format!("{}{path}", self.scim_base))
            .bearer_auth(&self.scim_token)
            .header("content-type", "application/scim+json");
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// A SCIM call that must succeed.
    pub async fn say(&self, server: &Server, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.scim(server, method, path, body).await;
        assert!((200..300).contains(&status), "SCIM {method} {path}: {status} {answer}");
        answer
    }

    /// A new group with that name and external id; its id.
    pub async fn group(&self, server: &Server, name: &str) -> String {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "externalId": name,
        });
        self.say(server, "POST", "/Groups", body).await["id"].as_str().unwrap().to_owned()
    }

    pub async fn add_member(&self, server: &Server, group: &str, user: &str) {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "add", "path": "members", "value": [{ "value": user }] }],
        });
        self.say(server, "PATCH", &format!("/Groups/{group}"), body).await;
    }

    /// A new person; the id of the SCIM User.
    pub async fn person(&self, server: &Server, name: &str) -> String {
        self.say(server, "POST", "/Users", self.user(name)).await["id"].as_str().unwrap().to_owned()
    }

    /// A new person in that group; the id of the SCIM User.
    pub async fn person_in(&self, server: &Server, group: &str, name: &str) -> String {
        let user = self.person(server, name).await;
        self.add_member(server, group, &user).await;
        user
    }

    /// A new key of somebody's own.
    pub async fn member_key(&self, server: &Server, name: &str) -> String {
        let member = text(&self.member(server, name).await, "id");
        let path = format!("/organizations/{}/members/{member}/keys", self.slug);
        text(&server.root("POST", &path, json!({ "name": "laptop" })).await, "token")
    }

    /// The SCIM User of that name.
    pub fn user(&self, name: &str) -> Value {
        let address = format!("{name}@{}", self.domain);
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": address, "externalId": name,
            "name": { "givenName": name, "familyName": "Test" }, "active": true,
            "emails": [{ "value": address, "type": "work", "primary": true }],
        })
    }

    /// The membership behind an address, as the administration API shows it.
    pub async fn member(&self, server: &Server, name: &str) -> Value {
        let path = format!("/organizations/{}/members?email={name}@{}", self.slug, self.domain);
        let page = server.root("GET", &path, Value::Null).await;
        let items = page["items"].as_array().unwrap();
        items.last().unwrap_or_else(|| panic!("no member `{name}`")).clone()
    }

    /// Signs somebody in at the provider, as a browser would; the session's secret.
    pub async fn sign_in(&self, server: &Server, provider: &OidcProvider, address: &str) -> String {
        provider.sign_in_as(Some(address));
        let mut browser = Browser::new().unwrap();
        let page = browser.open(&self.login_url).await.unwrap();
        assert_eq!(page.status, 200, "sign-in of `{address}` ended at {}: {}", page.url, page.body);
        session_of(&browser, server).unwrap_or_else(|| panic!("no session for `{address}`: {}", page.body))
    }
}

/// The newest session that a browser has at a server, if it has one.
pub fn session_of(browser: &Browser, server: &Server) -> Option<String> {
    let cookie = browser.find_cookie(&server.base, "portcullis")?;
    cookie.split('.').next_back().filter(|session| !session.is_empty()).map(str::to_owned)
}

/// Asks again until there is what is waited for.
pub async fn until<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(MAX_WAIT, what, ask).await
}

/// The same, for what takes long beside everything else that a test has the machine do.
pub async fn until_within<T>(max_wait: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < max_wait, "{what} did not come about in {max_wait:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The time.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

/// An identity provider with nobody in it.
pub async fn provider() -> OidcProvider {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    OidcProvider::start(
        listener,
        ProviderSettings {
            company: Company { domain: "test".into(), people: vec![], groups: vec![] },
            clients: vec![],
            key_kind: KeyKind::Es256,
            group_values: GroupValues::DisplayNames,
            surroundings: surroundings(),
        },
    )
    .unwrap()
}

/// The real time, and randomness that no test depends on.
pub fn surroundings() -> Surroundings {
    let begin = Instant::now();
    Surroundings::new(
        || now().seconds(),
        move || begin.elapsed(),
        |bytes| aws_lc_rs::rand::fill(bytes).unwrap(),
    )
}

/// Accepts an invitation as a person would: opens the link, sets a password; the session's secret.
pub async fn accept(server: &Server, link: &str) -> String {
    let mut browser = Browser::new().unwrap();
    let page = browser.open(link).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    let action = form_action(&page.body).unwrap_or_else(|| panic!("no form at {}: {}", page.url, page.body));
    let target = page.url.join(&action).unwrap();
    let mut fields = hidden_fields(&page.body);
    fields.push(("password".into(), PASSWORD.into()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let done = browser.submit(target.as_str(), &fields).await.unwrap();
    assert_eq!(done.status, 200, "{}: {}", done.url, done.body);
    let cookie = browser.find_cookie(&server.base, "portcullis");
    cookie.unwrap_or_else(|| panic!("no session: {}", done.body)).to_owned()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    Some(rest.split('"').next()?.replace("&amp;", "&"))
}

fn form_action(html: &str) -> Option<String> {
    let (_, form) = html.split_once("<form")?;
    attribute(form.split('>').next()?, "action")
}

fn hidden_fields(html: &str) -> Vec<(String, String)> {
    html.split("<input")
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
        .filter(|tag| tag.contains("type=\"hidden\""))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .collect()
}
