//! `/organizations/{org}/environments`.

use serde_json::{Value, json};

use crate::scim::provider::Provider;
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

#[tokio::test]
async fn an_environment_stays_while_a_mapping_a_connection_an_agent_or_a_live_key_is_in_it() {
    for user in ["mapping", "connection", "agent", "key"] {
        let idp = Provider::new();
        let made = async |list: &str, body: Value| {
            let (status, made) = idp.admin("POST", list, body).await;
            assert_eq!(status, 201, "{user}: {list}: {made}");
            id(&made)
        };
        let ended = async |one: String| {
            assert_eq!(idp.admin("DELETE", &one, Value::Null).await.0, 204, "{user}: {one}");
        };
        let staging = format!(
            "/environments/{}",
            made("/environments", json!({ "slug": "staging", "name": "Staging" })).await
        );
        let person = idp.user("ada").await;
        let group = json!({ "id": idp.group("everyone", &[&person]).await });
        let mapping = json!({ "directory": idp.directory.to_string(), "group": group, "role": "member" });
        made("/mappings", mapping.clone()).await;
        let mut into = mapping;
        into["environment"] = json!("staging");
        let into = format!("/mappings/{}", made("/mappings", into).await);
        let member = id(&idp.member("ada@acme.test").await);
        let other = match user {
            "connection" => {
                let connection = json!({
                    "kind": "oidc", "name": "Okta", "issuer": "https://acme.okta.com", "client_id": "0oa1",
                    "client_secret": "s", "environment": "staging",
                });
                Some(format!("/connections/{}", made("/connections", connection).await))
            }
            "agent" => {
                let agent = json!({ "name": "bot", "owner": member, "environment": "staging" });
                Some(format!("/agents/{}", made("/agents", agent).await))
            }
            "key" => {
                let key = json!({ "name": "laptop", "environment": "staging" });
                Some(format!("/tokens/{}", made(&format!("/members/{member}/keys"), key).await))
            }
            _ => None,
        };
        refused(idp.admin("DELETE", &staging, Value::Null).await, 409, "in_use");
        ended(into).await;
        if let Some(other) = other {
            refused(idp.admin("DELETE", &staging, Value::Null).await, 409, "in_use");
            ended(other).await;
        }
        ended(staging).await;
    }
}
