//! nginx, Caddy, HAProxy and Traefik in front of an application, with the very files that the guide offers.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::HeaderMap;
use portcullis_emulator::{Person, PersonState};
use serde_json::{Map, Value, json};

use crate::harness::{Org, Server, free_port, provider, text, variable};

/// How long a proxy may take until it answers.
const MAX_START: Duration = Duration::from_secs(15);
/// The names that a client must not be able to send.
const NAMES: [&str; 8] =
    ["organization", "environment", "membership", "user", "email", "role", "teams", "agent"];

/// An application that answers with the headers that reached it.
async fn application() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let echo = async |headers: HeaderMap| {
        let mut all: Map<String, Value> = Map::new();
        for (name, value) in &headers {
            // Twice the same name would be two opinions about who it is.
            let one = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let before = all.get(name.as_str()).and_then(Value::as_str).map(|v| format!("{v} + {one}"));
            all.insert(name.to_string(), json!(before.unwrap_or(one)));
        }
        Json(Value::Object(all))
    };
    let routes = axum::Router::new().fallback(echo);
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    address
}

pub struct Proxy {
    child: Child,
    base: String,
    log: PathBuf,
    /// Whether it can take one cookie out of several.
    keeps_cookies: bool,
    folder: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx's workers go with their master only if it is asked.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// Where the guide's file of that name is.
fn guide(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/proxies").join(name).canonicalize().unwrap()
}

fn portcullis(server: &Server) -> &str {
    server.base.trim_start_matches("http://")
}

/// The text with one thing said otherwise.
fn instead(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the guide's file no longer says {from}: {text}");
    text.replace(from, to)
}

/// The guide's file of that name, with these addresses.
fn addressed(name: &str, addresses: &[(&str, &str)]) -> String {
    let mut text = std::fs::read_to_string(guide(name)).unwrap();
    for (from, to) in addresses {
        // Marked, so that an address that was put in is not taken for one of the guide's.
        text = instead(&text, from, &format!("\u{0}{to}"));
    }
    text.replace('\u{0}', "")
}

/// The same with the three addresses that most of them have.
fn example(name: &str, listen: &str, app: &str, server: &Server) -> String {
    let addresses =
        [("127.0.0.1:8000", listen), ("127.0.0.1:9000", app), ("127.0.0.1:8080", portcullis(server))];
    addressed(name, &addresses)
}

async fn start(folder: tempfile::TempDir, listen: String, mut command: Command) -> Proxy {
    let log = folder.path().join("proxy.log");
    let to = std::fs::File::create(&log).unwrap();
    let child = command
        .stdin(Stdio::null())
        .stdout(to.try_clone().unwrap())
        .stderr(to)
        .env("HOME", folder.path())
        .env("XDG_DATA_HOME", folder.path())
        .env("XDG_CONFIG_HOME", folder.path())
        .spawn()
        .unwrap();
    let proxy = Proxy { child, base: format!("http://{listen}"), log, keeps_cookies: true, folder };
    let begun = Instant::now();
    while tokio::net::TcpStream::connect(&listen).await.is_err() {
        let said = std::fs::read_to_string(&proxy.log).unwrap();
        assert!(begun.elapsed() < MAX_START, "the proxy does not answer: {said}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    proxy
}

async fn nginx(server: &Server, app: &str) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let site = folder.path().join("portcullis.conf");
    std::fs::write(&site, example("nginx.conf", &listen, app, server)).unwrap();
    let command = nginx_with(folder.path(), &site);
    start(folder, listen, command).await
}

/// nginx with a site, in a folder of its own.
fn nginx_with(folder: &Path, site: &Path) -> Command {
    let at = folder.display();
    // Where an installation has its own /etc/nginx/nginx.conf.
    let around = format!(
        "daemon off; user root; worker_processes 1; pid {at}/nginx.pid; error_log stderr;\n\
         events {{}}\n\
         http {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;\n\
         fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
         include {}; }}\n",
        site.display()
    );
    let main = folder.join("nginx.conf");
    std::fs::write(&main, around).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).arg("-e").arg("stderr").arg("-c").arg(&main);
    command
}

async fn caddy(server: &Server, app: &str) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let file = folder.path().join("Caddyfile");
    // No port for administration: several may run here at once.
    let text = format!("{{\n\tadmin off\n}}\n{}", example("Caddyfile", &listen, app, server));
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
    start(folder, listen, command).await
}

/// The guide's file of a proxy in front of Portcullis itself, as an address that it puts in and the server behind it.
fn in_front(file: &str, server: &Server, changes: &[(&str, &str)]) -> String {
    let mut text = std::fs::read_to_string(guide("../deploy").join(file)).unwrap();
    for (from, to) in changes {
        text = instead(&text, from, to);
    }
    instead(&text, "127.0.0.1:8080", portcullis(server))
}

/// A server whose public address is `https://name:port`, behind a proxy on this machine.
async fn behind_a_proxy(name: &str, port: u16) -> (Server, String) {
    let base = format!("https://{name}:{port}");
    let settings = vec![
        ("PORTCULLIS_PUBLIC_URL", base.clone()),
        ("PORTCULLIS_BEHIND_PROXY", "true".to_owned()),
        ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32".to_owned()),
    ];
    (Server::sqlite_with(settings).await, base)
}

/// Has the tests go through the proxy.
async fn through_the_front(server: &mut Server, base: String, name: &str, port: u16) {
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let client = reqwest::Client::builder().no_proxy().resolve(name, address);
    server.http = client.tls_danger_accept_invalid_certs(true).build().unwrap();
    server.base = base;
    // Caddy listens before it has made its certificate.
    server.wait_until_ready().await;
}

/// A server whose public address is `https://name:…`, and Caddy in front of it by the guide's file, with a certificate of
/// Caddy's own making.
pub async fn https(name: &str) -> (Server, Proxy) {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let (mut server, base) = behind_a_proxy(name, port).await;
    let file = folder.path().join("Caddyfile");
    let site = format!("\n{base} {{\n\tbind 127.0.0.1\n\ttls internal");
    let text = in_front("Caddyfile", &server, &[("\nportcullis.example.com {", &site)]);
    let ours = "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\n";
    std::fs::write(&file, format!("{ours}{text}")).unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
    let front = start(folder, format!("127.0.0.1:{port}"), command).await;
    through_the_front(&mut server, base, name, port).await;
    (server, front)
}

/// The same with nginx.
async fn https_by_nginx(name: &str) -> (Server, Proxy) {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let (mut server, base) = behind_a_proxy(name, port).await;
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let at = folder.path().display().to_string();
    std::fs::write(folder.path().join("portcullis.crt"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("portcullis.key"), made.signing_key.serialize_pem()).unwrap();
    let listen = format!("listen 127.0.0.1:{port} ssl;");
    let changes = [
        ("listen 443 ssl;", listen.as_str()),
        ("portcullis.example.com", name),
        ("/etc/nginx/portcullis.crt", &format!("{at}/portcullis.crt")),
        ("/etc/nginx/portcullis.key", &format!("{at}/portcullis.key")),
        ("/var/log/nginx/portcullis.log", &format!("{at}/access.log")),
    ];
    let site = folder.path().join("portcullis.conf");
    std::fs::write(&site, in_front("nginx.conf", &server, &changes)).unwrap();
    let command = nginx_with(folder.path(), &site);
    let front = start(folder, format!("127.0.0.1:{port}"), command).await;
    through_the_front(&mut server, base, name, port).await;
    (server, front)
}

async fn haproxy(server: &Server, app: &str) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let file = folder.path().join("haproxy.cfg");
    let script = guide("haproxy.lua");
    let text = example("haproxy.cfg", &listen, app, server);
    let text = instead(&text, "/etc/haproxy/haproxy.lua", script.to_str().unwrap());
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f"]).arg(&file);
    start(folder, listen, command).await
}

async fn traefik(server: &Server, app: &str) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let file = folder.path().join("portcullis.yaml");
    let text = addressed("traefik.yaml", &[("127.0.0.1:9000", app), ("127.0.0.1:8080", portcullis(server))]);
    std::fs::write(&file, instead(&text, "app.example.com", "127.0.0.1")).unwrap();
    let program = Path::new(&variable("PORTCULLIS_TEST_PEERS")).join("venv/bin/traefik");
    let mut command = Command::new(program);
    command.arg(format!("--entrypoints.web.address={listen}"));
    command.arg(format!("--providers.file.filename={}", file.display()));
    command.args(["--global.checknewversion=false", "--global.sendanonymoususage=false"]);
    let mut proxy = start(folder, listen, command).await;
    proxy.keeps_cookies = false;
    // It listens before it has read its file, and knows no site until then.
    let begun = Instant::now();
    while through(server, &proxy, &[]).await.0 == 404 {
        assert!(begun.elapsed() < MAX_START, "Traefik does not take the guide's file");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    proxy
}

/// What the application saw of a call through the proxy: status, and its headers if it was reached.
async fn through(server: &Server, proxy: &Proxy, headers: &[(&str, &str)]) -> (u16, Value) {
    let mut request = server.http.get(format!("{}/reports?year=2026", proxy.base));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

/// Browsers send the session to applications on Portcullis's own host: it lets them in and does not reach them, wherever
/// it stands among their own cookies.
async fn no_session_passes(server: &Server, proxy: &Proxy, (session, bearer): (&str, &str)) {
    for cookie in [
        format!("portcullis={session}"),
        format!("theme=dark; portcullis={session}; lang=en"),
        format!("portcullis={session}; theme=dark; lang=en"),
        format!("theme=dark; lang=en;portcullis={session}"),
        format!("portcullis={session}; theme=dark; portcullis={session}"),
    ] {
        let (status, seen) = through(server, proxy, &[("cookie", &cookie)]).await;
        assert_eq!(status, 200, "{seen}");
        assert!(!seen.to_string().contains("pc_session_"), "{cookie}: {seen}");
        let once = cookie.matches("portcullis=").count() == 1 && cookie.contains("lang=en");
        if proxy.keeps_cookies && once {
            let kept = text(&seen, "cookie");
            assert!(kept.contains("theme=dark") && kept.contains("lang=en"), "{cookie}: {seen}");
        }
    }
    let https = "theme=dark; __Host-portcullis=pc_session_a.pc_session_b; lang=en";
    let (status, seen) = through(server, proxy, &[("authorization", bearer), ("cookie", https)]).await;
    assert_eq!(status, 200, "{seen}");
    assert!(!seen.to_string().contains("pc_session_"), "{seen}");
}

async fn a_door(server: &Server, proxy: &Proxy) {
    let idp = provider().await;
    let org = Org::new(server, "acme", &idp).await;
    let everyone = org.group(server, "everyone").await;
    let ada = org.person(server, "ada").await;
    org.add_member(server, &everyone, &ada).await;
    let member = text(&org.member(server, "ada").await, "id");
    let keys = format!("/organizations/acme/members/{member}/keys");
    let key = text(&server.root("POST", &keys, json!({ "name": "laptop" })).await, "token");
    idp.change_company(|company| {
        company.people.push(Person {
            id: "ada".into(),
            user_name: "ada@acme.test".into(),
            email: "ada@acme.test".into(),
            given_name: "Ada".into(),
            family_name: "Test".into(),
            state: PersonState::Active,
        });
    });
    let session = org.sign_in(server, &idp, "ada@acme.test").await;
    let bearer = format!("Bearer {key}");

    assert_eq!(through(server, proxy, &[]).await.0, 401, "nobody");
    assert_eq!(through(server, proxy, &[("authorization", "Bearer nonsense")]).await.0, 401);

    let (status, seen) = through(server, proxy, &[("authorization", &bearer)]).await;
    assert_eq!(status, 200, "{seen}");
    for (name, value) in
        [("organization", "acme"), ("environment", "production"), ("membership", &member), ("role", "member")]
    {
        assert_eq!(text(&seen, &format!("x-portcullis-{name}")), value, "{seen}");
    }
    assert_eq!(text(&seen, "x-portcullis-email"), "ada@acme.test");
    assert!(!seen.to_string().contains(&key), "the application needs no secret: {seen}");

    // A client that says who it is, in every spelling that a framework may take for the same.
    let spellings = ["X-Portcullis-", "X_Portcullis_", "X-Portcullis_", "X_Portcullis-"];
    let names: Vec<String> =
        spellings.iter().flat_map(|start| NAMES.iter().map(move |name| format!("{start}{name}"))).collect();
    let mut lies: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "forged")).collect();
    lies.push(("authorization", &bearer));
    let (status, seen) = through(server, proxy, &lies).await;
    assert_eq!(status, 200, "{seen}");
    assert!(!seen.to_string().contains("forged"), "the application was lied to: {seen}");
    assert_eq!(text(&seen, "x-portcullis-membership"), member);

    // A client that would have what Portcullis says dropped on the way.
    let dropping =
        "close, X-Portcullis-Organization, X-Portcullis-Membership, X-Portcullis-Role, x-portcullis-email";
    let (status, seen) =
        through(server, proxy, &[("authorization", &bearer), ("connection", dropping)]).await;
    assert_eq!(status, 200, "{seen}");
    for (name, value) in
        [("organization", "acme"), ("membership", &member), ("role", "member"), ("email", "ada@acme.test")]
    {
        assert_eq!(seen[format!("x-portcullis-{name}")].as_str(), Some(value), "{seen}");
    }

    no_session_passes(server, proxy, (&session, &bearer)).await;
    let cookie = format!("portcullis={session}");
    let (with_cookie, _) = through(server, proxy, &[("cookie", &cookie)]).await;
    let (status, _) = org.scim(server, "DELETE", &format!("/Users/{ada}"), Value::Null).await;
    assert_eq!(status, 204);
    assert_eq!(through(server, proxy, &[("authorization", &bearer)]).await.0, 401, "after the answer");
    assert_eq!(through(server, proxy, &[("cookie", &cookie)]).await.0, 401, "after the answer");
    assert_eq!(with_cookie, 200, "the session's cookie");
}

#[tokio::test]
async fn nginx_with_the_guides_file_admits_tells_who_it_is_and_refuses_after_off_boarding() {
    let server = Server::sqlite().await;
    let app = application().await;
    let proxy = nginx(&server, &app).await;
    a_door(&server, &proxy).await;
}

#[tokio::test]
async fn caddy_with_the_guides_file_admits_tells_who_it_is_and_refuses_after_off_boarding() {
    let server = Server::sqlite().await;
    let app = application().await;
    let proxy = caddy(&server, &app).await;
    a_door(&server, &proxy).await;
}

#[tokio::test]
async fn haproxy_with_the_guides_files_admits_tells_who_it_is_and_refuses_after_off_boarding() {
    let server = Server::sqlite().await;
    let app = application().await;
    let proxy = haproxy(&server, &app).await;
    a_door(&server, &proxy).await;
}

#[tokio::test]
async fn haproxy_refuses_when_portcullis_does_not_answer() {
    let mut server = Server::sqlite().await;
    let app = application().await;
    let proxy = haproxy(&server, &app).await;
    server.terminate();
    let (status, seen) = through(&server, &proxy, &[("authorization", "Bearer nonsense")]).await;
    assert_eq!((status, seen), (503, Value::Null), "our own script decides what a silence means");
}

#[tokio::test]
async fn traefik_with_the_guides_file_admits_tells_who_it_is_and_refuses_after_off_boarding() {
    let server = Server::sqlite().await;
    let app = application().await;
    let proxy = traefik(&server, &app).await;
    a_door(&server, &proxy).await;
}

/// What the guide says has to be right of whatever stands before Portcullis itself.
async fn stands_in_front(server: &Server) {
    let (status, organization) = server.call("GET", "/api/v1/me", &server.root_token, Value::Null).await;
    assert_eq!((status, text(&organization, "caller")), (200, "root".to_owned()), "by its public name");
    let metrics = server.http.get(format!("{}/metrics", server.base)).send().await.unwrap();
    assert_eq!(metrics.status().as_u16(), 404, "nobody outside counts");

    let org = Org::new(server, "acme", &provider().await).await;
    let members: Vec<Value> =
        (0..30_000).map(|n| json!({ "value": format!("du_{n:032x}"), "display": "unknown" })).collect();
    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "large", "members": members
    });
    assert!(group.to_string().len() > 1_500_000);
    let (status, refused) = org.scim(server, "POST", "/Groups", group).await;
    assert_eq!(status, 400, "{refused}");
    assert!(text(&refused, "detail").contains("unknown"), "a large group is refused by us: {refused}");

    // Wrong tokens of one caller, who says that they are somebody else each time, are those of one source.
    let users = format!("{}/Users", org.scim_base);
    let mut last = 0;
    for n in 0..40 {
        let answer = server
            .http
            .get(&users)
            .header("x-forwarded-for", format!("203.0.113.{n}"))
            .bearer_auth("pc_scim_wrong")
            .send()
            .await
            .unwrap();
        last = answer.status().as_u16();
    }
    assert_eq!(last, 429, "what a client says of itself counts for nothing");
}

#[tokio::test]
async fn nginx_with_the_guides_file_stands_in_front_of_portcullis_itself() {
    let (server, _front) = https_by_nginx("portcullis.test").await;
    stands_in_front(&server).await;
}

#[tokio::test]
async fn nginx_with_the_guides_file_writes_no_secret_of_a_link_into_its_log() {
    let (server, front) = https_by_nginx("portcullis.test").await;
    let link = format!("{}/invite?token=pc_invite_of_somebody", server.base);
    let style = server.http.get(format!("{}/assets/portcullis.css", server.base)).header("referer", &link);
    for asked in [server.http.get(&link), style] {
        asked.send().await.unwrap();
    }
    let begun = Instant::now();
    loop {
        let log = std::fs::read_to_string(front.folder.path().join("access.log")).unwrap();
        if log.contains("GET /invite HTTP") && log.contains("GET /assets/portcullis.css HTTP") {
            assert!(!log.contains("pc_invite"), "{log}");
            return;
        }
        assert!(begun.elapsed() < MAX_START, "nginx wrote nothing: {log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn caddy_with_the_guides_file_stands_in_front_of_portcullis_itself() {
    let (server, _front) = https("portcullis.test").await;
    stands_in_front(&server).await;
}

#[tokio::test]
async fn the_log_says_once_that_a_proxy_asks_about_an_organization_that_does_not_exist() {
    let server = Server::sqlite().await;
    for _ in 0..2 {
        let (status, _) =
            server.call("GET", "/authz/forward?organization=not-mine", "pc_key_unknown", Value::Null).await;
        assert_eq!(status, 401);
    }
    let log = std::fs::read_to_string(server.data.with_extension("log")).unwrap();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("not-mine")).collect();
    assert!(matches!(said[..], [line] if line.contains("does not exist")), "{said:?}");
}
