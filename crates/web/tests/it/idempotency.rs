//! `Idempotency-Key`, which every creation takes.

use portcullis_testkit::{Bench, Exchange, ROOT_TOKEN};
use serde_json::{Value, json};

use crate::support::Scene;

const TEAMS: &str = "/api/v1/organizations/acme/teams";

async fn post(scene: &Scene, bearer: &str, path: &str, key: &str, body: &Value) -> Exchange {
    let authorization = format!("Bearer {bearer}");
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", key)];
    scene.bench.exchange("POST", path, &headers, body).await
}

#[tokio::test]
async fn a_repeat_with_the_same_key_gets_the_same_resource_and_makes_no_other() {
    let scene = Scene::new();
    let wish = json!({ "slug": "platform", "name": "Platform" });
    let first = post(&scene, ROOT_TOKEN, TEAMS, "k1", &wish).await;
    let again = post(&scene, ROOT_TOKEN, TEAMS, "k1", &wish).await;
    assert_eq!((first.status, first.json()), (again.status, again.json()));
    assert_eq!(scene.all(TEAMS).await.len(), 1);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let scene = Scene::new();
    post(&scene, ROOT_TOKEN, TEAMS, "k1", &json!({ "slug": "one", "name": "One" })).await;
    let other = post(&scene, ROOT_TOKEN, TEAMS, "k1", &json!({ "slug": "two", "name": "Two" })).await;
    assert_eq!((other.status.as_u16(), &other.json()["code"]), (422, &json!("idempotency_mismatch")));
    assert_eq!(scene.all(TEAMS).await.len(), 1);
}

#[tokio::test]
async fn a_key_stands_for_one_caller_one_path_and_one_day() {
    let scene = Scene::new();
    let named = |slug: &str| json!({ "slug": slug, "name": slug });
    assert_eq!(post(&scene, ROOT_TOKEN, TEAMS, "k1", &named("a")).await.status, 201);
    assert_eq!(post(&scene, &scene.admin.key, TEAMS, "k1", &named("b")).await.status, 201);
    let elsewhere = "/api/v1/organizations/globex/teams";
    assert_eq!(post(&scene, ROOT_TOKEN, elsewhere, "k1", &named("c")).await.status, 201);
    scene.bench.clock.pass_s(24 * 3600 - 1);
    assert_eq!(post(&scene, ROOT_TOKEN, TEAMS, "k1", &named("d")).await.status, 422);
    scene.bench.clock.pass_s(1);
    assert_eq!(post(&scene, ROOT_TOKEN, TEAMS, "k1", &named("d")).await.status, 201);
    assert_eq!(post(&scene, ROOT_TOKEN, TEAMS, "k1", &named("d")).await.status, 201);
    assert_eq!(scene.all(TEAMS).await.len(), 3);
}

#[tokio::test]
async fn a_refused_creation_leaves_its_key_free() {
    let scene = Scene::new();
    assert_eq!(
        post(&scene, ROOT_TOKEN, TEAMS, "k1", &json!({ "slug": "Bad", "name": "x" })).await.status,
        400
    );
    assert_eq!(
        post(&scene, ROOT_TOKEN, TEAMS, "k1", &json!({ "slug": "good", "name": "x" })).await.status,
        201
    );
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let scene = Scene::new();
    let wish = json!({ "slug": "platform", "name": "Platform" });
    for key in ["", "two words", &"k".repeat(256)] {
        let answer = post(&scene, ROOT_TOKEN, TEAMS, key, &wish).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["code"]),
            (400, &json!("invalid_field")),
            "`{key}`"
        );
    }
    assert_eq!(post(&scene, ROOT_TOKEN, TEAMS, &"k".repeat(255), &wish).await.status, 201);
}

#[tokio::test]
async fn a_repeat_shows_no_secret_again_and_issues_none() {
    let scene = Scene::new();
    let path = "/api/v1/organizations/acme/directories";
    let wish = json!({ "kind": "scim", "name": "Okta" });
    let first = post(&scene, ROOT_TOKEN, path, "k1", &wish).await.json();
    let secret = first["token"].as_str().unwrap().to_owned();
    let mut expected = first.clone();
    expected["token"] = Value::Null;
    expected["secret_shown"] = json!(true);
    // Order of keys and blanks are not another body.
    let same = json!({ "name": "Okta", "kind": "scim" });
    assert_eq!(post(&scene, ROOT_TOKEN, path, "k1", &same).await.json(), expected);
    assert_eq!(scene.all("/api/v1/organizations/acme/directories").await.len(), 1);
    let kept = scene.bench.write(|tx, _| {
        let key = portcullis_store::idempotency::IdempotencyKey {
            caller: "root",
            path: "/organizations/acme/directories",
            key: "k1",
        };
        Ok(portcullis_store::idempotency::find(tx, key)?.unwrap().answer)
    });
    assert!(!kept.contains(&secret) && kept.contains("secret_shown"), "{kept}");
}

#[tokio::test]
async fn the_same_request_sent_twice_at_once_is_carried_out_once() {
    let scene = Scene::new();
    let wish = json!({ "slug": "platform", "name": "Platform" });
    let (one, other) = tokio::join!(
        post(&scene, ROOT_TOKEN, TEAMS, "k1", &wish),
        post(&scene, ROOT_TOKEN, TEAMS, "k1", &wish)
    );
    assert_eq!((one.status.as_u16(), one.json()), (201, other.json()));
    assert_eq!(scene.all(TEAMS).await.len(), 1);
}

#[tokio::test]
async fn a_creation_whose_commit_is_lost_is_not_called_undone_and_its_key_finds_out_on_postgresql() {
    let Some(bench) = Bench::postgres() else { return };
    bench.organization("acme");
    let order = |sql: &'static str| {
        bench.portcullis().around().store.write_blocking(move |tx| tx.batch(sql)).unwrap();
    };
    // Carried out by the commit itself.
    order(
        "CREATE FUNCTION cut() RETURNS TRIGGER LANGUAGE plpgsql AS \
         'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'; \
         CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON teams DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION cut()",
    );
    let wish = json!({ "slug": "platform", "name": "Platform" });
    let authorization = format!("Bearer {ROOT_TOKEN}");
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", "k1")];
    let lost = bench.exchange("POST", TEAMS, &headers, &wish).await;
    assert_eq!((lost.status.as_u16(), &lost.json()["code"]), (503, &json!("unavailable")));
    let detail = lost.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("not known") && !detail.contains("nothing was changed"), "{detail}");
    order("DROP TRIGGER cut ON teams");
    let again = bench.exchange("POST", TEAMS, &headers, &wish).await;
    assert_eq!(again.status, 201, "{}", again.json());
}

#[tokio::test]
async fn a_call_without_a_body_is_repeated_by_one_with_an_empty_object() {
    let scene = Scene::new();
    let wish = json!({ "kind": "scim", "name": "IdP" });
    let directory = scene.made("/api/v1/organizations/acme/directories", wish).await;
    let path = format!("/api/v1/organizations/acme/directories/{}/tokens", directory["id"].as_str().unwrap());
    let first = post(&scene, ROOT_TOKEN, &path, "k1", &Value::Null).await;
    let again = post(&scene, ROOT_TOKEN, &path, "k1", &json!({})).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201), "{}", again.text());
    assert_eq!(first.json()["id"], again.json()["id"]);
}
