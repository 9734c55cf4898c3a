//! Other SCIM servers beside ours, on the same machine in the same run, in turns: ours before and after each of them.
//!
//! None of them does what ours does before it answers: commit durably what was said, resolve who may do what, write the
//! audit event. The reference page says what each leaves out.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, Request, members, patch, person, spread_to};
use crate::server::Server;
use crate::table::{Table, median};
use crate::{Size, tell};

/// Creates that are timed.
const CREATES: usize = 2_000;
/// Look-ups that are timed.
const LOOKUPS: usize = 2_000;
/// Members of the group when one more comes.
const MEMBERS: usize = 10_000;
/// Members who come one by one.
const ONE_BY_ONE: usize = 50;
/// Members who come one in each call, over all connections: as many as a server takes within some seconds.
const AT_ONCE: usize = 800;
/// Milliseconds for one member above which a server gets [`FEW_AT_ONCE`].
const SLOW_MS: f64 = 50.0;
/// Members who come so to a slow one.
const FEW_AT_ONCE: usize = 24;
/// Members in one PATCH while the group is filled.
const A_PATCH: usize = 500;
/// Connections.
const CONNECTIONS: usize = 8;
/// How long a server may take to fill its group; what it reached by then is what it is measured with.
const MAX_FILLING: Duration = Duration::from_secs(180);
/// How long a server may take to start: one of them builds itself first.
const MAX_START: Duration = Duration::from_secs(400);

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Ours,
    Scimmy,
    Jackson,
    Scim2Server,
    Keycloak,
}

impl Peer {
    const OTHERS: [Self; 4] = [Self::Scimmy, Self::Jackson, Self::Scim2Server, Self::Keycloak];

    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Scimmy => "`scimmy-routers` 1.3.2 over maps",
            Self::Jackson => "`@boxyhq/saml-jackson` 26.2.0 in memory",
            Self::Scim2Server => "`scim2-server` 0.8.3 in memory",
            Self::Keycloak => "Keycloak 26.7.3 `scim-api` on H2",
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Self::Ours => true,
            Self::Scimmy | Self::Jackson => folder().join("node/node_modules").is_dir(),
            Self::Scim2Server => folder().join("venv/bin/scim2-server").is_file(),
            Self::Keycloak => folder().join("keycloak/bin/kc.sh").is_file(),
        }
    }
}

/// Where `cargo xtask figures` put them.
pub fn folder() -> PathBuf {
    std::env::var_os("PORTCULLIS_TEST_PEERS")
        .map_or_else(|| PathBuf::from("../peers"), PathBuf::from)
        .join("scale")
}

/// A server that runs, and how it is reached.
struct Running {
    /// What ends with it.
    _ours: Option<Server>,
    child: Option<Child>,
    authority: String,
    path: String,
    token: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It and whatever it started: the group is its own.
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
            let _ = child.wait();
        }
    }
}

impl Running {
    async fn start(peer: Peer) -> Self {
        if peer == Peer::Ours {
            let server = Server::start().await;
            let directory = server.directory("acme").await;
            let authority = server.base.trim_start_matches("http://").to_owned();
            return Self {
                _ours: Some(server),
                child: None,
                authority,
                path: directory.path,
                token: directory.token,
            };
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = match peer {
            Peer::Scimmy | Peer::Jackson => {
                let script = if peer == Peer::Scimmy { "scimmy.mjs" } else { "jackson.mjs" };
                let mut command = Command::new(folder().join("../bin/node"));
                command.arg(folder().join("node").join(script)).args(["--port", &port.to_string()]);
                command
            }
            Peer::Scim2Server => {
                let mut command = Command::new(folder().join("venv/bin/python"));
                command.args(["-m", "scim2_server.testserver.cli", "--bearer-token", "figures"]);
                command.args(["--port", &port.to_string()]);
                command
            }
            Peer::Ours | Peer::Keycloak => {
                let _ = std::fs::remove_dir_all(folder().join("keycloak/data"));
                let mut command = Command::new(folder().join("keycloak/bin/kc.sh"));
                command.args(["start-dev", "--features=scim-api", "--http-host=127.0.0.1"]);
                command.arg(format!("--http-port={port}"));
                command
                    .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
                    .env("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin");
                command
            }
        };
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the peer starts");
        let authority = format!("127.0.0.1:{port}");
        let mut running = Self {
            _ours: None,
            child: Some(child),
            authority,
            path: String::new(),
            token: "figures".to_owned(),
        };
        running.settle(peer).await;
        running
    }

    /// Waits until it answers, and learns how it is spoken to.
    async fn settle(&mut self, peer: Peer) {
        let output = self.child.as_mut().unwrap().stdout.take().unwrap();
        let mut lines = BufReader::new(output).lines();
        if matches!(peer, Peer::Scimmy | Peer::Jackson) {
            let told =
                lines.by_ref().map_while(Result::ok).find_map(|l| serde_json::from_str::<Value>(&l).ok());
            let told = told.expect("it says how it is reached");
            self.path = told["path"].as_str().unwrap().to_owned();
            self.token = told["token"].as_str().unwrap().to_owned();
        }
        // Whatever it says from now on, nobody waits for it.
        std::thread::spawn(move || lines.for_each(drop));
        let began = Instant::now();
        while tokio::net::TcpStream::connect(&self.authority).await.is_err() {
            assert!(began.elapsed() < MAX_START, "{} did not start", peer.name());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if peer == Peer::Keycloak {
            self.open_realm().await;
        }
    }

    /// A realm with the preview switched on, and a client that may manage people by it.
    async fn open_realm(&mut self) {
        let base = format!("http://{}", self.authority);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let token = async |realm: &str, form: &[(&str, &str)]| -> String {
            let url = format!("{base}/realms/{realm}/protocol/openid-connect/token");
            let began = Instant::now();
            loop {
                let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let answer = http
                    .post(&url)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(pairs.join("&"))
                    .send()
                    .await;
                if let Ok(answer) = answer
                    && let Ok(value) = answer.json::<Value>().await
                    && let Some(token) = value["access_token"].as_str()
                {
                    return token.to_owned();
                }
                assert!(began.elapsed() < Duration::from_secs(60), "Keycloak gives no token");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        let admin = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", "admin"),
        ];
        let root = token("master", &admin).await;
        let audience = format!("{base}/realms/acme/scim/v2");
        let realm = json!({
            "realm": "acme", "enabled": true, "scimApiEnabled": true, "accessTokenLifespan": 86400,
            "clients": [{
                "clientId": "figures", "secret": "figures", "serviceAccountsEnabled": true,
                "publicClient": false, "standardFlowEnabled": false,
                "protocolMappers": [{
                    "name": "scim", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
                    "config": { "included.custom.audience": audience, "access.token.claim": "true" },
                }],
            }],
            "users": [{
                "username": "service-account-figures", "enabled": true, "serviceAccountClientId": "figures",
                "clientRoles": { "realm-management": ["realm-admin"] },
            }],
        });
        let made =
            http.post(format!("{base}/admin/realms")).bearer_auth(root).json(&realm).send().await.unwrap();
        assert!(made.status().is_success(), "Keycloak makes no realm: {}", made.status());
        let client =
            [("grant_type", "client_credentials"), ("client_id", "figures"), ("client_secret", "figures")];
        self.token = token("acme", &client).await;
        "/realms/acme/scim/v2".clone_into(&mut self.path);
    }

    async fn spread<T: Send + 'static>(
        &self,
        requests: Vec<Request>,
        keep: fn(crate::client::Answer) -> T,
    ) -> (Vec<T>, f64) {
        let requests = Arc::new(requests);
        let began = Instant::now();
        let whom = (self.authority.as_str(), self.path.as_str(), self.token.as_str());
        let kept = spread_to(whom, CONNECTIONS, &requests, keep).await;
        (kept, requests.len() as f64 / began.elapsed().as_secs_f64())
    }
}

/// What one server did.
#[derive(Debug, Clone, Copy)]
struct Did {
    creates_a_second: f64,
    lookups_a_second: f64,
    /// Milliseconds, one after another.
    one_member: f64,
    members_a_second: f64,
    members: usize,
}

async fn did(peer: Peer, size: Size) -> Did {
    let running = Running::start(peer).await;
    let creates = |numbers: std::ops::Range<usize>| {
        numbers.map(|n| ("POST", "/Users".to_owned(), person(n))).collect::<Vec<Request>>()
    };
    // What has not run yet is compiled and cached as it runs: nobody is measured cold.
    let warm = size.of(500);
    let (mut ids, _) = running.spread(creates(0..warm), |answer| answer.id()).await;
    let (more, creates_a_second) =
        running.spread(creates(warm..warm + size.of(CREATES)), |answer| answer.id()).await;
    ids.extend(more);
    let known = ids.len();
    let lookups = (0..size.of(LOOKUPS)).map(|n| {
        let number = n.wrapping_mul(7919) % known;
        let path = format!("/Users?filter=userName%20eq%20%22person-{number}@acme.test%22");
        ("GET", path, String::new())
    });
    let (found, lookups_a_second) = running
        .spread(lookups.collect(), |answer| {
            answer.json()["Resources"].as_array().is_some_and(|found| found.len() == 1)
        })
        .await;
    assert!(found.iter().all(|found| *found), "{} does not find whom it made", peer.name());
    let began = Instant::now();
    let at_once = size.of(AT_ONCE);
    let wanted = size.of(MEMBERS) + ONE_BY_ONE + at_once;
    while ids.len() < wanted && began.elapsed() < MAX_FILLING {
        let first = ids.len();
        let (more, _) =
            running.spread(creates(first..(first + A_PATCH).min(wanted)), |answer| answer.id()).await;
        ids.extend(more);
    }
    let (alone, others) = ids.split_at(ONE_BY_ONE);
    let (together, inside) = others.split_at(at_once);
    let mut client = Client::open(&running.authority, &running.path, &running.token).await;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "everybody",
    });
    let group = client.must("POST", "/Groups", body.to_string().as_bytes()).await.id();
    let path = format!("/Groups/{group}");
    let add = |ids: &[String]| {
        patch(&json!([{ "op": "add", "path": "members", "value": members(ids) }])).into_bytes()
    };
    let (began, mut filled) = (Instant::now(), 0);
    for chunk in inside.chunks(A_PATCH) {
        if began.elapsed() > MAX_FILLING {
            break;
        }
        client.must("PATCH", &path, &add(chunk)).await;
        filled += chunk.len();
    }
    let mut times = Vec::new();
    for id in alone {
        let body = add(std::slice::from_ref(id));
        let began = Instant::now();
        client.must("PATCH", &path, &body).await;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        if began.elapsed() > Duration::from_secs(5) {
            break;
        }
    }
    let one_member = median(times);
    let few = if one_member > SLOW_MS { FEW_AT_ONCE.min(at_once) } else { at_once };
    let calls = together[..few].iter().map(|id| {
        let body = String::from_utf8(add(std::slice::from_ref(id))).unwrap();
        ("PATCH", path.clone(), body)
    });
    let (added, members_a_second) =
        running.spread(calls.collect(), |answer| (200..300).contains(&answer.status)).await;
    assert!(added.iter().all(|added| *added), "{} does not take members at once", peer.name());
    let did = Did { creates_a_second, lookups_a_second, one_member, members_a_second, members: filled };
    tell(&format!("    {}: {did:?}", peer.name()));
    did
}

pub async fn measure(size: Size) -> Table {
    let mut table = Table::new("Beside other SCIM servers");
    let mut before = did(Peer::Ours, size).await;
    for peer in Peer::OTHERS {
        if !peer.is_installed() {
            table.say(peer.name(), "not installed: `cargo xtask figures peers` says why");
            continue;
        }
        let theirs = did(peer, size).await;
        let after = did(Peer::Ours, size).await;
        let ours = |part: fn(Did) -> f64| f64::midpoint(part(before), part(after));
        let creates = ours(|d| d.creates_a_second);
        table.at_least(
            &format!("creates, {CONNECTIONS} connections, beside {}", peer.name()),
            format!("{creates:.0} /s; {:.0} /s", theirs.creates_a_second),
            (creates / theirs.creates_a_second, 1.0),
            " × theirs",
        );
        let lookups = ours(|d| d.lookups_a_second);
        table.at_least(
            &format!("look-ups by userName, {CONNECTIONS} connections, beside {}", peer.name()),
            format!("{lookups:.0} /s; {:.0} /s", theirs.lookups_a_second),
            (lookups / theirs.lookups_a_second, 1.0),
            " × theirs",
        );
        let members = ours(|d| d.members_a_second);
        table.at_least(
            &format!("one member a call into that group, {CONNECTIONS} connections, beside {}", peer.name()),
            format!("{members:.0} /s; {:.0} /s", theirs.members_a_second),
            (members / theirs.members_a_second, 1.0),
            " × theirs",
        );
        let one = ours(|d| d.one_member);
        table.at_least(
            &format!("one after another into a group of {}, beside {}", theirs.members, peer.name()),
            format!("{one:.2} ms (in a group of {}); {:.2} ms", before.members, theirs.one_member),
            (theirs.one_member / one, 1.0),
            " × as fast",
        );
        before = after;
    }
    table
}
