//! A directory of Google Workspace, polled by the real binary over real sockets.

use portcullis_emulator::{
    Browser, GoogleFault, GoogleGroup, GooglePerson, GoogleServer, GoogleSettings, GoogleSigns, Workspace,
};
use serde_json::{Value, json};

use crate::harness::{Server, accept, surroundings, until};

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

/// A server that asks the stand-in, everything each minute and who left each second; with these settings beside.
async fn server(google: &GoogleServer, more: Vec<(&'static str, String)>) -> Server {
    let mut settings = vec![
        ("PORTCULLIS_GOOGLE_STAND_IN_URL", google.base().to_owned()),
        ("PORTCULLIS_GOOGLE_FULL_POLL_S", "60".to_owned()),
        ("PORTCULLIS_GOOGLE_FAST_POLL_S", "1".to_owned()),
    ];
    settings.extend(more);
    Server::sqlite_with(settings).await
}

/// Makes a directory of the kind `google` that is asked so; its id.
async fn directory(server: &Server, google: Value) -> String {
    let wish =
        json!({ "kind": "google", "name": "Google Workspace", "default_role": "member", "google": google });
    let made = server.root("POST", &format!("{ORGANIZATION}/directories"), wish).await;
    made["id"].as_str().unwrap().to_owned()
}

/// Waits until a full poll has succeeded.
async fn read_whole(server: &Server, directory: &str) {
    until("a full poll", async || {
        let sync = sync(server, directory).await;
        assert_eq!(sync["error"], Value::Null, "{sync}");
        (!sync["last_full_success_at"].is_null()).then_some(())
    })
    .await;
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
    let mut server = server(&google, vec![]).await;
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

#[tokio::test]
async fn people_are_read_without_a_key_by_the_identity_that_the_settings_name() {
    let google = google().await;
    let folder = tempfile::tempdir().unwrap();
    let (token, configuration) = (folder.path().join("token"), folder.path().join("pool.json"));
    let base = (google.base(), google.base());
    let (subject, said) =
        google.workspace().federation(base, token.to_str().unwrap(), GoogleSigns::Impersonated);
    std::fs::write(&configuration, said.to_string()).unwrap();
    std::fs::write(&token, subject).unwrap();
    for identity in ["metadata", configuration.to_str().unwrap()] {
        let settings = vec![
            ("PORTCULLIS_GOOGLE_WORKLOAD_IDENTITY", identity.to_owned()),
            ("PORTCULLIS_GOOGLE_WORKLOAD_SERVICE_ACCOUNT", google.workspace().service_account().to_owned()),
        ];
        let server = server(&google, settings).await;
        server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
        let asked = json!({ "authorization": "workload_identity", "delegated_admin": "admin@acme.test" });
        let directory = directory(&server, asked).await;
        read_whole(&server, &directory).await;
        assert_eq!(member(&server, "ada").await.unwrap()["state"], "active", "{identity}");
        let path = format!("{ORGANIZATION}/directories/{directory}");
        let shown = server.root("GET", &path, Value::Null).await;
        assert_eq!(shown["google"]["service_account"], google.workspace().service_account(), "{shown}");
        if identity == "metadata" {
            continue;
        }
        // The platform stops giving the token; nobody leaves, and it goes on with the next one.
        std::fs::remove_file(&token).unwrap();
        until("a poll without a token", async || {
            (sync(&server, &directory).await["error"]["code"] == "identity_unreadable").then_some(())
        })
        .await;
        assert_eq!(member(&server, "ada").await.unwrap()["state"], "active");
        std::fs::write(&token, subject).unwrap();
        google.workspace().change(|company| company.person_mut("1001").unwrap().suspended = true);
        until("Ada's end", async || {
            (member(&server, "ada").await.unwrap()["state"] == "deprovisioned").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_administrator_consents_in_a_browser_and_their_people_are_read_until_they_take_it_back() {
    let google = google().await;
    let server = server(&google, vec![]).await;
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let invited = json!({ "email": "olivia@elsewhere.test", "role": "admin" });
    let invited = server.root("POST", &format!("{ORGANIZATION}/invitations"), invited).await;
    let session = accept(&server, invited["link"].as_str().unwrap()).await;
    let mut browser = Browser::new().unwrap();
    browser.set_cookie(&server.base, "portcullis", &session).unwrap();
    let callback = format!("{}/google/consent/callback", server.base);
    let (client_id, client_secret) = google.workspace().oauth_client(&callback);
    let asked = json!({
        "authorization": "consent", "hosted_domain": "acme.test",
        "client_id": client_id, "client_secret": client_secret,
    });
    let directory = directory(&server, asked).await;
    let path = format!("{ORGANIZATION}/directories/{directory}");
    let consent = async || server.root("GET", &path, Value::Null).await["google"]["consent"].clone();
    let pending = consent().await;
    assert_eq!((&pending["state"], &pending["redirect_uri"]), (&json!("pending"), &json!(callback)));
    let link = pending["link"].as_str().unwrap();
    assert!(browser.open(link).await.unwrap().body.contains("Go to Google"));
    let at_google = browser.submit(link, &[]).await.unwrap().url;
    let scopes = at_google.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
    let ticked = scopes.split(' ').map(|scope| ("scope", scope)).chain([("account", "admin@acme.test")]);
    let done = browser.submit(at_google.as_str(), &ticked.collect::<Vec<_>>()).await.unwrap();
    assert!(done.status == 200 && done.body.contains("The consent was taken"), "{}", done.body);
    read_whole(&server, &directory).await;
    assert_eq!(member(&server, "ada").await.unwrap()["state"], "active");
    google.workspace().withdraw_consents();
    until("a withdrawn consent", async || (consent().await["state"] == "revoked").then_some(())).await;
    let sync = sync(&server, &directory).await;
    assert!(sync["error"]["advice"].as_str().unwrap().contains("link"), "{sync}");
    assert_eq!(member(&server, "ada").await.unwrap()["state"], "active", "nobody leaves by that");
}
