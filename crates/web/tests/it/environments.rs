//! `/organizations/{org}/environments`.

use serde_json::{Value, json};

use crate::support::{Scene, holds_the_common_rules, id, refused, slugs};

const ENVIRONMENTS: &str = "/api/v1/organizations/acme/environments";

#[tokio::test]
async fn an_environment_is_made_beside_production_renamed_and_deleted() {
    let scene = Scene::new();
    let staging = scene.made(ENVIRONMENTS, json!({ "slug": "staging", "name": "Staging" })).await;
    scene.made(ENVIRONMENTS, json!({ "slug": "lab", "name": "Lab" })).await;
    assert_eq!(slugs(&scene.all(ENVIRONMENTS).await), ["lab", "production", "staging"]);
    let one = format!("{ENVIRONMENTS}/{}", id(&staging));
    let (status, renamed) = scene.as_of(&scene.admin, "PATCH", &one, json!({ "name": "Pre" })).await;
    assert_eq!((status, &renamed["name"]), (200, &json!("Pre")));
    assert_eq!(scene.root("DELETE", &one, Value::Null).await, (204, Value::Null));
    refused(scene.root("GET", &one, Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn production_and_what_is_in_use_stay() {
    let scene = Scene::new();
    let staging = scene.made(ENVIRONMENTS, json!({ "slug": "staging", "name": "Staging" })).await;
    holds_the_common_rules(&scene, "environments", &staging).await;
    let all = scene.all(ENVIRONMENTS).await;
    let production = all.iter().find(|e| e["slug"] == json!("production")).unwrap();
    let one = format!("{ENVIRONMENTS}/{}", id(production));
    refused(scene.root("DELETE", &one, Value::Null).await, 409, "built_in");
    let again = json!({ "slug": "staging", "name": "Another" });
    refused(scene.root("POST", ENVIRONMENTS, again).await, 409, "taken");
}
