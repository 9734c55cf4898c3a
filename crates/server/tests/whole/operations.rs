//! Starting, stopping, refusing to start; backups, and orders from the machine itself.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Org, ROOT, Server, accept, command, free_port, provider, refused_start, text, variable,
};

#[tokio::test]
async fn sigterm_answers_the_request_that_is_on_its_way_and_ends_with_success() {
    let mut server = Server::sqlite().await;
    let address = server.base.trim_start_matches("http://").to_owned();
    let body = json!({ "slug": "acme", "name": "Acme" }).to_string();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (first, rest) = body.split_at(5);
    let rest = rest.to_owned();
    write!(
        stream,
        "POST /api/v1/organizations HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {ROOT}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
        body.len()
    )
    .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let finishing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        stream.write_all(rest.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    });
    let probed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        let mut probe = TcpStream::connect(&address).unwrap();
        write!(probe, "GET /readyz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = probe.read_to_string(&mut answer);
        answer
    });
    let (took, status) = server.terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    let probed = probed.join().unwrap();
    assert!(probed.starts_with("HTTP/1.1 503") && probed.ends_with("draining\n"), "{probed}");
    let answer = finishing.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "the request was cut off: {answer}");
    let log = std::fs::read_to_string(server.data.with_extension("log")).unwrap();
    assert!(log.contains("stopped") && !log.contains('\u{1b}'), "colours where there is no terminal: {log}");
}

#[tokio::test]
async fn a_log_in_json_has_an_object_a_line_and_names_each_request_by_its_id() {
    let settings = [("PORTCULLIS_LOG_FORMAT", "json"), ("PORTCULLIS_LOG_FILTER", "portcullis=debug")];
    let mut server =
        Server::sqlite_with(settings.map(|(name, value)| (name, value.to_owned())).to_vec()).await;
    let answer = server.http.get(format!("{}/readyz", server.base)).send().await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    server.terminate();
    let log = std::fs::read_to_string(server.data.with_extension("log")).unwrap();
    let object =
        |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    let lines: Vec<Value> = log.lines().map(object).collect();
    let of_request = lines.iter().find(|line| line["request.id"] == id.as_str());
    let of_request = of_request.unwrap_or_else(|| panic!("nothing of `{id}`: {log}"));
    assert_eq!(
        (&of_request["level"], &of_request["http.status"]),
        (&json!("DEBUG"), &json!(200)),
        "{of_request}"
    );
}

#[test]
fn a_start_without_an_owner_says_where_the_link_is_and_writes_no_secret_to_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut child = Command::new(variable("PORTCULLIS_BIN"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data)
        .env_remove("PORTCULLIS_ROOT_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut said = String::new();
    for line in lines {
        said.push_str(&line);
        said.push('\n');
        if line.contains("root token") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (base, bound) = said.split_once(" is ready at ").unwrap().1.split_once(" (listening on ").unwrap();
    assert_eq!(base, format!("http://{}", bound.split(')').next().unwrap()), "the public URL: {said}");
    assert!(said.contains(&format!("  console          {base}/console\n")), "{said}");
    for (name, begins) in [("first-owner-link", "http://127.0.0.1:"), ("root-token", "pc_root_")] {
        let file = data.join(name);
        let secret = std::fs::read_to_string(&file).unwrap();
        assert!(secret.starts_with(begins), "{name}: {secret}");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        assert!(said.contains(file.to_str().unwrap()), "{said}");
        assert!(!said.contains(secret.trim()), "a secret was printed where nobody looks: {said}");
    }
}

#[tokio::test]
async fn a_start_with_an_owner_says_nothing_of_links_and_tokens() {
    let mut server = Server::sqlite().await;
    let acme = json!({ "slug": "acme", "name": "Acme", "owner_email": "boss@acme.test" });
    let link = text(&server.root("POST", "/organizations", acme).await, "owner_link");
    accept(&server, &link).await;
    server.terminate();
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(variable("PORTCULLIS_BIN"));
    command.args(["serve", "--listen", &address, "--data"]).arg(&server.data).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while reqwest::get(format!("http://{address}/readyz")).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill().unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(said.contains("console") && said.lines().count() == 2, "{said}");
}

/// Starts a server with that root token in its configuration; what it says of the root token, and what it calls itself.
fn greeted(data: &Path, address: &str, configured: Option<&str>) -> (Child, String) {
    let mut command = Command::new(variable("PORTCULLIS_BIN"));
    command.args(["serve", "--listen", address, "--data"]).arg(data).env_remove("PORTCULLIS_ROOT_TOKEN");
    command.envs(configured.map(|token| ("PORTCULLIS_ROOT_TOKEN", token)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut said = String::new();
    while !said.contains("root token") {
        match lines.recv_timeout(Duration::from_secs(10)) {
            Ok(line) => said.push_str(&format!("{line}\n")),
            Err(_) => panic!("nothing is said of the root token: {said}"),
        }
    }
    (child, said)
}

#[tokio::test]
async fn what_a_start_says_of_the_root_token_is_true_whatever_was_configured_before() {
    let folder = tempfile::tempdir().unwrap();
    let (data, address) = (folder.path().join("data"), format!("127.0.0.1:{}", free_port()));
    let file = data.join("root-token");
    let is_good = async |token: &str| {
        let me = reqwest::Client::new().get(format!("http://{address}/api/v1/me")).bearer_auth(token.trim());
        me.send().await.unwrap().status() == 200
    };
    let in_file = format!("in {} (0600)", file.display());
    let starts = [
        (None, in_file.as_str()),
        (Some(ROOT), "the one in your configuration"),
        (None, "the one that was configured before"),
    ];
    let mut generated = String::new();
    for (configured, says) in starts {
        let (mut child, said) = greeted(&data, &address, configured);
        assert!(said.contains(&format!("root token       {says}")), "{configured:?}: {said}");
        let is_there = says == in_file;
        assert_eq!(
            file.exists(),
            is_there,
            "{configured:?}: a token that is good for nothing lies in no file"
        );
        if is_there {
            generated = std::fs::read_to_string(&file).unwrap();
        }
        let (of_the_file, of_the_configuration) = (is_good(&generated).await, is_good(ROOT).await);
        assert_eq!((of_the_file, of_the_configuration), (is_there, !is_there), "{configured:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_data_refuses_and_says_why() {
    let server = Server::sqlite().await;
    let said = refused_start(&server.data, None);
    assert!(said.contains("another `portcullis` serves from it"), "{said}");
}

#[tokio::test]
async fn a_second_server_on_the_same_sqlite_file_refuses_whatever_its_data_folder_and_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let (real, linked) = (folder.path().join("real"), folder.path().join("linked"));
    std::fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &linked).unwrap();
    let file = real.join("x.db");
    let mut server = Server::on(format!("sqlite:{}", file.display())).await;
    let link = folder.path().join("y.db");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let data = folder.path().join("data");
    // With the key that the database was sealed with, so that nothing but the lock refuses.
    std::fs::create_dir(&data).unwrap();
    std::fs::copy(server.data.join("sealing-key"), data.join("sealing-key")).unwrap();
    for path in [file.clone(), linked.join("x.db"), link.clone()] {
        let url = format!("sqlite:{}", path.display());
        let orders: [&[&str]; 4] = [
            &["admin", "root-token", "off"],
            &["migrate"],
            &["restore", "--in-place"],
            &["serve", "--listen", "127.0.0.1:0"],
        ];
        for order in orders {
            let (done, said) = command(&data, Some(&url), order);
            assert!(
                !done && said.contains("from another data folder"),
                "{order:?} on {}: {said}",
                path.display()
            );
        }
    }
    assert!(server.is_root(ROOT).await, "nothing was done");
    // Through a link a restore replaces the file, not the link.
    let backup = folder.path().join("backup").to_str().unwrap().to_owned();
    assert!(server.command(&["backup", &backup]).0);
    server.terminate();
    let url = format!("sqlite:{}", link.display());
    let (done, said) = command(&server.data, Some(&url), &["restore", &backup, "--replace"]);
    assert!(done, "{said}");
    assert!(link.is_symlink());
    server.restart().await;
    assert!(server.is_root(ROOT).await);
}

#[tokio::test]
async fn a_second_server_on_the_same_postgresql_refuses_and_a_killed_one_takes_its_lease_back_at_once() {
    let mut server = Server::postgres().await;
    let other = tempfile::tempdir().unwrap();
    let data = other.path().join("data");
    // With the key that the database was sealed with, so that nothing but the lease refuses.
    std::fs::create_dir(&data).unwrap();
    std::fs::copy(server.data.join("sealing-key"), data.join("sealing-key")).unwrap();
    let said = refused_start(&data, server.database());
    assert!(said.contains("lease") || said.contains("another node"), "{said}");
    let started = Instant::now();
    server.kill();
    server.restart().await;
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "it waited for its own lease: {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_newer_schema_an_unknown_setting_and_another_sealing_key_refuse_to_start() {
    let mut server = Server::sqlite().await;
    let idp = provider().await;
    Org::new(&server, "acme", &idp).await;
    server.terminate();
    let key = server.data.join("sealing-key");
    let right = std::fs::read_to_string(&key).unwrap();

    std::fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n").unwrap();
    let said = refused_start(&server.data, None);
    assert!(said.contains("sealing key"), "{said}");
    std::fs::remove_file(&key).unwrap();
    let said = refused_start(&server.data, None);
    assert!(said.contains("missing") && !key.exists(), "{said}");
    std::fs::write(&key, right).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = refused_start(&server.data, None);
    assert!(said.contains("chmod 600"), "{said}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();

    let unknown = Command::new(variable("PORTCULLIS_BIN"))
        .args(["config", "check"])
        .env("PORTCULLIS_LISTN", "127.0.0.1:1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && said.contains("PORTCULLIS_LISTEN"), "{said}");

    let database = rusqlite::Connection::open(server.data.join("portcullis.sqlite")).unwrap();
    database
        .execute("INSERT INTO schema_migrations (number, name, applied_at) VALUES (9999, 'later', 1)", [])
        .unwrap();
    drop(database);
    let said = refused_start(&server.data, None);
    assert!(said.contains("newer"), "{said}");
}

#[tokio::test]
async fn probes_metrics_and_the_host_are_as_operators_expect() {
    let server = Server::sqlite().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.http.get(format!("{}{path}", server.base)).send().await.unwrap().status(), 200);
    }
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let key = json!({ "name": "gateway", "scopes": ["evaluate"] });
    let asker = text(&server.root("POST", "/organizations/acme/service-keys", key).await, "token");
    assert_eq!(server.code(&asker, "pc_key_nonsense").await, "token_unknown");
    let metrics = server.http.get(format!("{}/metrics", server.base)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for name in ["portcullis_build_info", "process_resident_memory_bytes", "portcullis_http_requests_total"] {
        assert!(metrics.contains(name), "no {name} in {metrics}");
    }
    let check = r#"portcullis_checks_total{door="evaluation",code="token_unknown"} 1"#;
    for line in [check, "portcullis_traces_dropped 0", "portcullis_audit_unsequenced_events"] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    assert!(!metrics.contains(ROOT));
    let elsewhere = server.http.get(format!("{}/api/v1/organizations", server.base));
    let answer = elsewhere.header("host", "attacker.test").bearer_auth(ROOT).send().await.unwrap();
    assert_eq!(answer.status(), 421);
    let probe = server.http.get(format!("{}/readyz", server.base)).header("host", "10.0.0.7:8080");
    assert_eq!(probe.send().await.unwrap().status(), 200);
}

/// The value of a line of a scrape; nothing if there is no such line.
fn value(scrape: &str, line: &str) -> Option<f64> {
    let found = scrape.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' '))?;
    Some(found.parse().unwrap_or_else(|_| panic!("{line} {found}")))
}

#[tokio::test]
async fn an_off_boarding_is_seen_in_the_metrics_and_every_metric_is_in_the_guide() {
    let server = Server::sqlite().await;
    let idp = provider().await;
    let org = Org::new(&server, "acme", &idp).await;
    let everyone = org.group(&server, "everyone").await;
    let ada = org.person_in(&server, &everyone, "ada").await;
    let bob = org.person_in(&server, &everyone, "bob").await;
    org.member_key(&server, "ada").await;
    let scrape = async || {
        server.http.get(format!("{}/metrics", server.base)).send().await.unwrap().text().await.unwrap()
    };
    let before = scrape().await;
    for cause in ["scim", "api", "rule"] {
        let line = format!("portcullis_offboardings_total{{cause=\"{cause}\"}}");
        assert_eq!(value(&before, &line), Some(0.0), "there before the first: {before}");
    }
    assert_eq!(org.scim(&server, "DELETE", &format!("/Users/{ada}"), Value::Null).await.0, 204);
    assert_eq!(org.scim(&server, "DELETE", &format!("/Users/{ada}"), Value::Null).await.0, 404);
    let bob = text(&org.say(&server, "GET", &format!("/Users/{bob}"), Value::Null).await, "userName");
    let member = text(&org.member(&server, bob.split('@').next().unwrap()).await, "id");
    let path = format!("/organizations/acme/members/{member}/offboard");
    server.root("POST", &path, json!({ "reason": "left" })).await;

    let expected = [
        (r#"portcullis_offboardings_total{cause="scim"}"#, 1.0),
        (r#"portcullis_offboardings_total{cause="api"}"#, 1.0),
        (r#"portcullis_offboardings_total{cause="rule"}"#, 0.0),
        (r#"portcullis_tokens_ended_total{kind="member_key",because="off_boarded"}"#, 1.0),
        (r#"portcullis_scim_calls_total{method="DELETE",outcome="done"}"#, 1.0),
        (r#"portcullis_scim_calls_total{method="DELETE",outcome="refused"}"#, 1.0),
        ("portcullis_audit_unsequenced_events", 0.0),
    ];
    let begun = Instant::now();
    let after = loop {
        let after = scrape().await;
        let missing: Vec<_> = expected.iter().filter(|(line, n)| value(&after, line) != Some(*n)).collect();
        if missing.is_empty() {
            break after;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{missing:?} in {after}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for name in ["store_write_wait_seconds", "store_commit_requests", "audit_sequencer_lag_seconds"] {
        let count = value(&after, &format!("portcullis_{name}_count"));
        assert!(count > Some(0.0), "{name}: {count:?}");
        assert!(after.contains(&format!("portcullis_{name}_bucket{{le=\"1\"}}")), "{name} has no buckets");
    }
    let guide = include_str!("../../../../docs/guide/operations.md");
    for line in after.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(guide.contains(&format!("`{name}`")), "the guide does not name {name}");
    }
}

#[tokio::test]
async fn orders_from_the_machine_take_effect_at_once_while_the_server_runs() {
    let server = Server::sqlite().await;
    let socket = server.data.join("control");
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let (done, said) = server.command(&["admin", "first-owner-link"]);
    let link = said.lines().next().unwrap_or_default().to_owned();
    assert!(done && link.starts_with(&format!("{}/setup/owner?token=", server.base)), "{said}");
    assert_eq!(server.http.get(&link).send().await.unwrap().status(), 200);

    let (status, _) = server.call("GET", "/api/v1/organizations", ROOT, Value::Null).await;
    assert_eq!(status, 200);
    let (done, said) = server.command(&["admin", "root-token", "new"]);
    let place = format!("data folder {}, database {}", server.data.display(), server.data.display());
    assert!(done && said.contains(&place), "{said}");
    let fresh = std::fs::read_to_string(server.data.join("root-token")).unwrap();
    let (status, _) = server.call("GET", "/api/v1/organizations", ROOT, Value::Null).await;
    assert_eq!(status, 401, "the one before");
    let (status, _) = server.call("GET", "/api/v1/organizations", fresh.trim(), Value::Null).await;
    assert_eq!(status, 200);
    let (done, said) = server.command(&["admin", "root-token", "off"]);
    assert!(done, "{said}");
    let (status, _) = server.call("GET", "/api/v1/organizations", fresh.trim(), Value::Null).await;
    assert_eq!(status, 401);
    assert!(!server.data.join("root-token").exists());
}

#[tokio::test]
async fn orders_work_on_the_database_when_nobody_serves() {
    let mut server = Server::sqlite().await;
    server.terminate();
    assert!(!server.data.join("control").exists(), "the socket goes with the server");
    let (done, said) = command(&server.data, None, &["admin", "root-token", "off"]);
    assert!(done, "{said}");
    server.restart().await;
    let (status, _) = server.call("GET", "/api/v1/organizations", ROOT, Value::Null).await;
    assert_eq!(status, 401, "off stays off, whatever the configuration says");
}

#[tokio::test]
async fn the_file_with_the_first_owner_link_goes_when_the_link_is_good_no_more() {
    let server = Server::sqlite().await;
    let file = server.data.join("first-owner-link");
    assert!(std::fs::read_to_string(&file).unwrap().contains("/setup/owner?token="));
    let acme = json!({ "slug": "acme", "name": "Acme", "owner_email": "boss@acme.test" });
    let link = text(&server.root("POST", "/organizations", acme).await, "owner_link");
    assert!(file.exists(), "nobody owns anything yet");
    accept(&server, &link).await;
    let begun = Instant::now();
    while file.exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the dead link stays");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
