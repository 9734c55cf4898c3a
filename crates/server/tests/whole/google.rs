//! A directory of Google Workspace, polled by the real binary over real sockets.

use std::time::{Duration, Instant};

use portcullis_emulator::{GoogleFault, GoogleGroup, GooglePerson, GoogleServer, GoogleSettings, Workspace};
use serde_json::{Value, json};

use crate::harness::{Server, surroundings};

/// How long a test waits for a poll to show.
const MAX_WAIT: Duration = Duration::from_secs(30);
const ORGANIZATION: &str = "/organizations/acme";

fn company() -> Workspace {
    let mut company = Workspace::new("acme.test");
    for (id, name) in [("1001", "ada"), ("1002", "bob")] {
        company.people.push(GooglePerson::new(id, &format!("{name}@acme.test")));
    }
    company.groups.push(GoogleGroup::new("g-eng", "eng@acme.test", &["1001", "1002"]));
    company
}

async fn google() -> GoogleServer {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = GoogleSettings {
        token_url: String::new(),
        workspace: company(),
        max_page: 1,
        surroundings: surroundings(),
    };
    GoogleServer::start(listener, settings).unwrap()
}

/// A server that asks the stand-in, everything each minute and who left each second.
async fn server(google: &GoogleServer) -> Server {
    Server::sqlite_with(vec![
        ("PORTCULLIS_GOOGLE_STAND_IN_URL", google.base().to_owned()),
        ("PORTCULLIS_GOOGLE_FULL_POLL_S", "60".to_owned()),
        ("PORTCULLIS_GOOGLE_FAST_POLL_S", "1".to_owned()),
    ])
    .await
}

/// Asks again until the answer is as wanted.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < MAX_WAIT, "{what} did not come about in {MAX_WAIT:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn member(server: &Server, name: &str) -> Option<Value> {
    let members = server.all(&format!("{ORGANIZATION}/members?email={name}@acme.test")).await;
    members.last().cloned()
}

async fn sync(server: &Server, directory: &str) -> Value {
    server.root("GET", &format!("{ORGANIZATION}/directories/{directory}/sync"), Value::Null).await
}

#[tokio::test]
async fn people_of_google_workspace_come_act_and_leave_and_no_failure_takes_anybody() {
    let google = google().await;
    let mut server = server(&google).await;
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let made = json!({
        "kind": "google", "name": "Google Workspace", "settle_s": 0,
        "google": {
            "delegated_admin": "admin@acme.test",
            "service_account_key": google.workspace().service_account_key(),
        },
    });
    let made = server.root("POST", &format!("{ORGANIZATION}/directories"), made).await;
    let directory = made["id"].as_str().unwrap().to_owned();
    until("the first full poll", async || {
        let sync = sync(&server, &directory).await;
        assert_eq!(sync["error"], Value::Null, "{sync}");
        (!sync["last_full_success_at"].is_null()).then_some(())
    })
    .await;
    let mapping = json!({
        "directory": directory, "group": { "display_name": "eng@acme.test" }, "role": "member",
    });
    server.root("POST", &format!("{ORGANIZATION}/mappings"), mapping).await;
    let asker = json!({ "name": "gateway", "scopes": ["evaluate"] });
    let asker = server.root("POST", &format!("{ORGANIZATION}/service-keys"), asker).await;
    let asker = asker["token"].as_str().unwrap();
    let mut keys = Vec::new();
    for name in ["ada", "bob"] {
        let member = member(&server, name).await.unwrap();
        assert_eq!((&member["state"], &member["role"]), (&json!("active"), &json!("member")), "{member}");
        let path = format!("{ORGANIZATION}/members/{}/keys", member["id"].as_str().unwrap());
        let key = server.root("POST", &path, json!({ "name": "laptop" })).await;
        keys.push(key["token"].as_str().unwrap().to_owned());
    }
    assert_eq!(server.code(asker, &keys[0]).await, "allowed");

    // Ada is suspended at Google.
    let workspace = google.workspace();
    workspace.change(|company| company.person_mut("1001").unwrap().suspended = true);
    until("Ada's end", async || (server.code(asker, &keys[0]).await == "token_ended").then_some(())).await;
    let receipt = until("a signed receipt", async || {
        let receipts = server.all(&format!("{ORGANIZATION}/receipts")).await;
        receipts.into_iter().find(|receipt| !receipt["jws"].is_null())
    })
    .await;
    assert_eq!(receipt["cause"]["kind"], "google", "{receipt}");

    // A list breaks off in the middle, while Bob's group is empty: nothing is taken.
    workspace.fail(GoogleFault::Page { of: "/groups".to_owned(), number: 1 });
    workspace.change(|company| company.group_mut("g-eng").unwrap().members.clear());
    server.kill();
    server.restart().await;
    assert_eq!(server.code(asker, &keys[1]).await, "allowed");
    workspace.mend();
    let path = format!("{ORGANIZATION}/directories/{directory}/sync");
    let (status, _) = server.call("POST", &format!("/api/v1{path}"), crate::harness::ROOT, Value::Null).await;
    assert_eq!(status, 202);
    until("Bob's end", async || (server.code(asker, &keys[1]).await == "token_ended").then_some(())).await;
    let metrics =
        server.http.get(format!("{}/metrics", server.base)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"portcullis_google_polls_total{kind="full",outcome="ok"}"#), "{metrics}");
    let (_, status) = server.terminate();
    assert!(status.success());
}
