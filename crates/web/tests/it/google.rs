//! `/organizations/{org}/directories` of the kind `google`, and how their polls stand.

use portcullis_domain::Clock as _;
use portcullis_emulator::{GOOGLE_TOKEN_URL, GoogleSettings, GoogleWorkspace, Surroundings, Workspace};
use portcullis_service::google::Polling;
use serde_json::{Value, json};

use crate::support::{Scene, holds_the_common_rules, id, refused};

const DIRECTORIES: &str = "/api/v1/organizations/acme/directories";

fn stand_in() -> GoogleWorkspace {
    GoogleWorkspace::new(GoogleSettings {
        token_url: GOOGLE_TOKEN_URL.to_owned(),
        workspace: Workspace::new("acme.test"),
        max_page: 500,
        surroundings: Surroundings::predictable(|| 0, 7),
    })
    .unwrap()
}

fn wish(key: &Value) -> Value {
    json!({
        "kind": "google", "name": "Google Workspace", "default_role": "viewer",
        "google": { "delegated_admin": "Admin@acme.test", "service_account_key": key },
    })
}

#[tokio::test]
async fn a_directory_of_google_workspace_is_made_with_a_key_that_is_never_shown() {
    let (scene, google) = (Scene::new(), stand_in());
    let key = google.service_account_key();
    let (status, made) = scene.as_of(&scene.admin, "POST", DIRECTORIES, wish(&key)).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        (&made["kind"], &made["token"], &made["base_url"]),
        (&json!("google"), &Value::Null, &Value::Null)
    );
    let shown = json!({
        "authorization": "service_account", "customer": "my_customer", "domain": null,
        "delegated_admin": "admin@acme.test", "service_account": key["client_email"],
        "client_id": key["client_id"], "key_id": key["private_key_id"], "consent": null,
    });
    assert_eq!(made["google"], shown);
    let one = format!("{DIRECTORIES}/{}", id(&made));
    assert_eq!(scene.root("GET", &one, Value::Null).await.1["google"], shown);
    assert_eq!(scene.all(DIRECTORIES).await[0]["google"], shown);
    holds_the_common_rules(&scene, "directories", &made).await;
    let events = scene.all("/api/v1/organizations/acme/audit-events").await;
    let secret = key["private_key"].as_str().unwrap().lines().nth(3).unwrap();
    assert!(!json!([events, made]).to_string().contains(secret));
    let token = scene.root("POST", &format!("{one}/tokens"), json!({})).await;
    refused(token, 400, "invalid_field");
}

#[tokio::test]
async fn a_directory_of_google_workspace_is_refused_where_it_must_be() {
    let (scene, google) = (Scene::new(), stand_in());
    let key = google.service_account_key();
    let with = |name: &str, value: Value| {
        let mut wish = wish(&key);
        wish["google"][name] = value;
        wish
    };
    let post = async |body: Value| scene.root("POST", DIRECTORIES, body).await;
    refused(post(json!({ "kind": "google", "name": "G" })).await, 400, "invalid_field");
    refused(post(with("delegated_admin", Value::Null)).await, 400, "invalid_field");
    refused(post(with("delegated_admin", json!("nobody"))).await, 400, "invalid_field");
    refused(post(with("service_account_key", Value::Null)).await, 400, "invalid_field");
    refused(
        post(with("service_account_key", json!({ "type": "authorized_user" }))).await,
        400,
        "invalid_field",
    );
    refused(post(with("customer", json!("../x"))).await, 400, "invalid_field");
    refused(post(with("domain", json!("no domain"))).await, 400, "invalid_field");
    refused(post(with("colour", json!(1))).await, 400, "unknown_field");
    // Nobody waits for an answer who could be told to come back.
    let mut refusing = wish(&key);
    refusing["brake"] = json!({ "max_percent": 20, "above": "refuse" });
    refused(post(refusing).await, 422, "not_available");
    // The settings of this server name no workload identity, and each right has fields of its own.
    let identity = json!({ "authorization": "workload_identity", "delegated_admin": "admin@acme.test" });
    let of = |google: Value| json!({ "kind": "google", "name": "G", "google": google });
    refused(post(of(identity)).await, 422, "identity_off");
    refused(post(with("authorization", json!("workload_identity"))).await, 400, "invalid_field");
    refused(post(with("authorization", json!("consent"))).await, 400, "invalid_field");
    refused(post(with("client_id", json!("x"))).await, 400, "invalid_field");
    let consent = json!({
        "authorization": "consent", "hosted_domain": "acme.test", "client_id": "x", "client_secret": "y",
    });
    for (name, value) in [
        ("hosted_domain", Value::Null),
        ("hosted_domain", json!("no domain")),
        ("client_id", json!("two words")),
        ("client_id", json!("x".repeat(257))),
        ("client_secret", Value::Null),
        ("client_secret", json!("")),
        ("delegated_admin", json!("admin@acme.test")),
    ] {
        let mut wish = consent.clone();
        wish[name] = value.clone();
        let (status, answer) = post(of(wish)).await;
        assert_eq!((status, &answer["code"]), (400, &json!("invalid_field")), "{name} {value}");
        assert!(answer["detail"].as_str().unwrap().contains(&format!("google.{name}")), "{answer}");
    }
    let mut scim = wish(&key);
    scim["kind"] = json!("scim");
    refused(post(scim).await, 400, "invalid_field");
    let made = scene.made(DIRECTORIES, json!({ "kind": "scim", "name": "Okta" })).await;
    let one = format!("{DIRECTORIES}/{}", id(&made));
    let patch = json!({ "google": { "delegated_admin": "a@acme.test" } });
    refused(scene.root("PATCH", &one, patch).await, 400, "invalid_field");
    let made = scene.made(DIRECTORIES, with("domain", Value::Null)).await;
    let by_key = format!("{DIRECTORIES}/{}", id(&made));
    for part in ["hosted_domain", "client_id", "client_secret"] {
        let patch = json!({ "google": { part: "acme.test" } });
        refused(scene.root("PATCH", &by_key, patch).await, 400, "invalid_field");
    }
    refused(scene.root("GET", &format!("{one}/sync"), Value::Null).await, 400, "invalid_field");
    refused(scene.root("POST", &format!("{one}/sync"), Value::Null).await, 400, "invalid_field");
}

#[tokio::test]
async fn whoever_stands_below_what_a_directory_gives_does_not_choose_where_it_gets_its_facts() {
    let (scene, google) = (Scene::new(), stand_in());
    let steward = json!({
        "slug": "steward", "rank": 400, "permissions": ["directories.read", "directories.write"],
    });
    scene.made("/api/v1/organizations/acme/roles", steward).await;
    let mut wish = wish(&google.service_account_key());
    wish["default_role"] = json!("admin");
    let made = scene.made(DIRECTORIES, wish).await;
    let one = format!("{DIRECTORIES}/{}", id(&made));
    let below = scene.bench.member(scene.owner.organization, "steward@acme.test", "steward");
    let patch = json!({ "google": { "delegated_admin": "mine@acme.test" } });
    refused(scene.as_of(&below, "PATCH", &one, patch.clone()).await, 403, "above_own_rank");
    let (status, changed) = scene.as_of(&scene.admin, "PATCH", &one, patch).await;
    assert_eq!((status, &changed["google"]["delegated_admin"]), (200, &json!("mine@acme.test")));
    let other = stand_in().service_account_key();
    let patch = json!({ "google": { "service_account_key": other, "domain": "acme.test" } });
    let (_, changed) = scene.as_of(&scene.admin, "PATCH", &one, patch).await;
    assert_eq!(
        (&changed["google"]["domain"], &changed["google"]["key_id"]),
        (&json!("acme.test"), &other["private_key_id"])
    );
    let (_, changed) =
        scene.as_of(&scene.admin, "PATCH", &one, json!({ "google": { "domain": null } })).await;
    assert_eq!(changed["google"]["domain"], Value::Null);
}

#[tokio::test]
async fn a_directory_comes_to_give_no_more_than_whoever_chose_where_it_gets_its_facts_had() {
    let (scene, google) = (Scene::new(), stand_in());
    let steward = json!({
        "slug": "steward", "rank": 400, "permissions": ["directories.read", "directories.write"],
    });
    scene.made("/api/v1/organizations/acme/roles", steward).await;
    let below = scene.bench.member(scene.owner.organization, "steward@acme.test", "steward");
    let (status, made) = scene.as_of(&below, "POST", DIRECTORIES, wish(&google.service_account_key())).await;
    assert_eq!(status, 201, "{made}");
    let mapping = json!({ "directory": made["id"], "group": { "external_id": "g" }, "role": "admin" });
    let map = async || scene.root("POST", "/api/v1/organizations/acme/mappings", mapping.clone()).await;
    let (status, problem) = map().await;
    assert_eq!((status, &problem["code"]), (409, &json!("source_set_below")));
    assert!(problem["detail"].as_str().unwrap().contains(&id(&made)), "{problem}");
    let one = format!("{DIRECTORIES}/{}", id(&made));
    let mut whole = wish(&google.service_account_key())["google"].clone();
    whole["authorization"] = json!("service_account");
    let patch = json!({ "google": whole });
    assert_eq!(scene.as_of(&scene.admin, "PATCH", &one, patch).await.0, 200);
    assert_eq!(map().await.0, 201, "chosen anew, as somebody who stands as high");
}

#[tokio::test]
async fn the_polls_show_how_they_stand_and_sync_now_makes_the_next_one_due() {
    let (scene, google) = (Scene::new(), stand_in());
    let made = scene.made(DIRECTORIES, wish(&google.service_account_key())).await;
    let sync = format!("{DIRECTORIES}/{}/sync", id(&made));
    let (status, before) = scene.as_of(&scene.admin, "GET", &sync, Value::Null).await;
    assert_eq!(status, 200, "{before}");
    assert_eq!((&before["state"], &before["last_full_success_at"]), (&json!("waiting"), &Value::Null));
    // Nobody answers in this test: the poll fails, and says what to do.
    let poller = scene.bench.portcullis().clone();
    let poller = poller.polling_google(Polling { patience_ms: 1, ..Polling::default() });
    assert_eq!(poller.poll_google_once().await.unwrap(), 1);
    let (_, failed) = scene.root("GET", &sync, Value::Null).await;
    assert_eq!(
        (&failed["failures"], &failed["error"]["code"]),
        (&json!(1), &json!("unreachable")),
        "{failed}"
    );
    assert!(failed["error"]["advice"].as_str().unwrap().contains("admin.googleapis.com"));
    assert!(failed["request_id"].as_str().unwrap().starts_with("req_"));
    let now = scene.bench.clock.now().rfc3339();
    assert_ne!(failed["next_full_at"], json!(now));
    refused(scene.as_of(&scene.viewer, "POST", &sync, Value::Null).await, 403, "forbidden");
    let (status, hastened) = scene.as_of(&scene.admin, "POST", &sync, Value::Null).await;
    assert_eq!((status, &hastened["next_full_at"]), (202, &json!(now)));
    assert_eq!(poller.poll_google_once().await.unwrap(), 1);
    scene.bench.portcullis().store_traces().await.unwrap();
    let traces = scene.all("/api/v1/organizations/acme/traces").await;
    let of_polls = traces.iter().filter(|trace| trace["subject"] == "google full poll").count();
    assert_eq!(of_polls, 2, "{traces:?}");
    let (status, _) = scene.root("DELETE", &format!("{DIRECTORIES}/{}", id(&made)), Value::Null).await;
    assert_eq!(status, 204);
    scene.bench.clock.pass_s(10_000);
    assert_eq!(
        scene.bench.portcullis().poll_google_once().await.unwrap(),
        0,
        "what is deleted is not polled"
    );
}
