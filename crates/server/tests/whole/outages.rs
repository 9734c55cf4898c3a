//! A database that is taken away in every way that leaves the process running: it takes no writes, it closes every
//! connection, it answers nothing; and whoever starts beside a server that has it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::hanging::way_to_a_database;
use crate::harness::{ROOT, Server, fresh_database, in_cluster, provider, terminate, text, until, variable};

/// What a probe waits for at most.
const MAX_PROBE: Duration = Duration::from_secs(5);

/// Ends every connection of the server to its database, and waits until each has.
fn cut(server: &Server) {
    let (_, name) = server.database().unwrap().rsplit_once('/').unwrap();
    in_cluster(&[format!(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'"
    )]);
}

async fn ready(server: &Server) -> u16 {
    let probe = server.http.get(format!("{}/readyz", server.base)).timeout(MAX_PROBE);
    probe.send().await.map_or(0, |answer| answer.status().as_u16())
}

#[tokio::test]
async fn a_database_that_takes_no_writes_answers_no_checks_and_says_so_and_is_taken_up_again_on_postgresql() {
    let server = Server::postgres().await;
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let key = json!({ "name": "gateway", "scopes": ["evaluate"] });
    let asker = text(&server.root("POST", "/organizations/acme/service-keys", key).await, "token");
    assert_eq!(server.code(&asker, "pc_key_nonsense").await, "token_unknown");
    let (_, name) = server.database().unwrap().rsplit_once('/').unwrap();
    let read_only = |how: &str| format!("ALTER DATABASE {name} SET default_transaction_read_only = {how}");
    // As after a switch-over: whoever connects reaches a copy that takes no writes.
    in_cluster(&[read_only("on")]);
    cut(&server);
    for _ in 0..3 {
        assert_eq!(ready(&server).await, 503);
        let me = server.call("GET", "/api/v1/organizations", ROOT, Value::Null).await;
        assert_eq!(me.0, 503, "{me:?}");
        let made =
            server.call("POST", "/api/v1/organizations", ROOT, json!({ "slug": "b", "name": "B" })).await;
        assert_eq!(made.0, 503, "{made:?}");
        let asked = json!({
            "subject": { "type": "token", "id": "pc_key_nonsense" },
            "action": { "name": "use" },
            "resource": { "type": "tool", "id": "Bash" },
        });
        let (status, _) = server.call("POST", "/access/v1/evaluation", &asker, asked).await;
        assert_eq!(status, 503);
    }
    in_cluster(&[read_only("off")]);
    until("ready again", async || (ready(&server).await == 200).then_some(())).await;
    assert_eq!(server.code(&asker, "pc_key_nonsense").await, "token_unknown");
    server.root("POST", "/organizations", json!({ "slug": "b", "name": "B" })).await;
}

#[tokio::test]
async fn a_postgresql_that_restarted_fails_nobody_who_comes_afterwards() {
    let server = Server::postgres().await;
    for _ in 0..2 {
        cut(&server);
        for number in 0..20 {
            assert_eq!(ready(&server).await, 200, "probe {number}");
        }
        for number in 0..20 {
            let (status, said) = server.call("GET", "/api/v1/organizations", ROOT, Value::Null).await;
            assert_eq!(status, 200, "call {number}: {said}");
        }
    }
}

#[tokio::test]
async fn a_probe_is_answered_while_postgresql_answers_nothing() {
    let (way, url) = way_to_a_database().await;
    let server = Server::on(url).await;
    way.block();
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(ready(&server).await, 503, "after {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn whoever_starts_beside_a_server_is_refused_before_anything_is_changed_on_postgresql() {
    let server = Server::postgres().await;
    let idp = provider().await;
    crate::harness::Org::new(&server, "acme", &idp).await;
    let events = async || server.all("/organizations/acme/audit-events").await.len();
    let before = events().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::copy(server.data.join("sealing-key"), data.join("sealing-key")).unwrap();
    let other = "another-root-token-of-a-second-machine-0123456789";
    let second = Command::new(variable("PORTCULLIS_BIN"))
        .args(["serve", "--listen", "127.0.0.1:0", "--database", server.database().unwrap(), "--data"])
        .arg(&data)
        .env("PORTCULLIS_ROOT_TOKEN", other)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[second.stdout, second.stderr].concat()).into_owned();
    assert!(!second.status.success() && said.contains("another node serves"), "{said}");
    assert!(server.is_root(ROOT).await && !server.is_root(other).await);
    assert_eq!(events().await, before, "nothing stands in the log of what was refused");
    // Where there is nothing to bring up to date, an order and `migrate` are carried out beside it.
    let (done, said) = crate::harness::command(&data, server.database(), &["migrate"]);
    assert!(done, "{said}");
}

#[tokio::test]
async fn a_start_that_fails_after_it_took_the_lease_gives_it_back() {
    let url = fresh_database().await;
    let mut server = Server::on(url.clone()).await;
    server.terminate();
    // Another machine without the key that the database was sealed with.
    let folder = tempfile::tempdir().unwrap();
    let said = crate::harness::refused_start(&folder.path().join("data"), Some(&url));
    assert!(said.contains("sealing key"), "{said}");
    let begun = Instant::now();
    server.restart().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited for a lease: {:?}", begun.elapsed());
}

#[tokio::test]
async fn orders_are_taken_again_once_file_descriptors_are_there_again() {
    let mut server = Server::sqlite().await;
    let few = Rlimit { current: Some(60), maximum: Some(60) };
    let process = Pid::from_raw(i32::try_from(server.process()).unwrap());
    prlimit(process, Resource::Nofile, few).unwrap();
    let address = server.base.trim_start_matches("http://").to_owned();
    let idle: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(&address).unwrap()).collect();
    let log = server.data.with_extension("log");
    until("no connection is taken", async || {
        let said = std::fs::read_to_string(&log).unwrap();
        said.contains("Too many open files").then_some(())
    })
    .await;
    let data = server.data.clone();
    let meanwhile =
        std::thread::spawn(move || crate::harness::command(&data, None, &["admin", "root-token", "new"]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(idle);
    meanwhile.join().unwrap();
    server.renew_root_token();
    assert!(server.is_root(&server.root_token).await);
}

#[test]
fn a_start_takes_all_file_descriptors_that_it_may_have_and_says_where_they_are_too_few() {
    for (hard, max_connections, is_warned) in [(700, 500, false), (500, 500, true)] {
        let folder = tempfile::tempdir().unwrap();
        let limited = format!("ulimit -Sn 300; ulimit -Hn {hard}; exec \"$0\" \"$@\"");
        let mut child = Command::new("sh")
            .args(["-c", &limited, &variable("PORTCULLIS_BIN"), "serve", "--listen", "127.0.0.1:0"])
            .args(["--http-max-connections", &max_connections.to_string(), "--data"])
            .arg(folder.path().join("data"))
            .env("PORTCULLIS_ROOT_TOKEN", ROOT)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        terminate(&mut child);
        let said = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
        let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let numbers: Vec<&str> = files.split_whitespace().skip(3).take(2).collect();
        let all = hard.to_string();
        assert_eq!(numbers, [all.as_str(), all.as_str()], "{said}");
        assert_eq!(said.contains("LimitNOFILE"), is_warned, "{said}");
    }
}

#[test]
fn a_data_folder_whose_path_is_too_long_for_the_control_socket_is_refused_before_anything_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let said = crate::harness::refused_start(&folder.path().join("x".repeat(110)), None);
    assert!(said.contains("too long") && !said.contains("is ready"), "{said}");
}

#[tokio::test]
async fn what_a_caller_gave_up_on_is_counted_on_postgresql() {
    let server = Server::postgres().await;
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let url = server.database().unwrap().to_owned();
    let (held, is_held) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
        client.batch_execute("BEGIN; LOCK TABLE organizations IN ACCESS EXCLUSIVE MODE").unwrap();
        held.send(()).unwrap();
        let _ = may_go.recv();
    });
    is_held.recv().unwrap();
    let asked = server.http.get(format!("{}/api/v1/organizations/acme", server.base)).bearer_auth(ROOT);
    assert!(asked.timeout(Duration::from_secs(1)).send().await.unwrap_err().is_timeout());
    drop(go);
    holder.join().unwrap();
    let line =
        r#"portcullis_http_requests_total{method="GET",route="/api/v1/organizations/{org}",status="499"} 1"#;
    let metrics = server.metrics_with(line).await;
    assert!(metrics.contains(r#"portcullis_http_request_seconds_count{surface="api"}"#), "{metrics}");
}
