//! `/organizations/{org}/teams`.

use serde_json::{Value, json};

use crate::support::{Scene, holds_the_common_rules, id, refused, slugs};

const TEAMS: &str = "/api/v1/organizations/acme/teams";

#[tokio::test]
async fn a_team_is_made_listed_by_pages_renamed_and_deleted() {
    let scene = Scene::new();
    let platform = scene.made(TEAMS, json!({ "slug": "platform", "name": "Platform" })).await;
    assert_eq!((&platform["slug"], &platform["name"]), (&json!("platform"), &json!("Platform")));
    for slug in ["data", "design", "sales"] {
        scene.made(TEAMS, json!({ "slug": slug, "name": slug })).await;
    }
    assert_eq!(slugs(&scene.all(TEAMS).await), ["data", "design", "platform", "sales"]);

    let one = format!("{TEAMS}/{}", id(&platform));
    let (status, renamed) = scene.as_of(&scene.admin, "PATCH", &one, json!({ "name": "Core" })).await;
    assert_eq!((status, &renamed["name"], &renamed["slug"]), (200, &json!("Core"), &json!("platform")));
    assert_eq!(scene.root("GET", &one, Value::Null).await, (200, renamed));
    assert_eq!(scene.root("DELETE", &one, Value::Null).await, (204, Value::Null));
    refused(scene.root("GET", &one, Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn a_team_is_refused_where_it_must_be() {
    let scene = Scene::new();
    let team = scene.made(TEAMS, json!({ "slug": "platform", "name": "Platform" })).await;
    holds_the_common_rules(&scene, "teams", &team).await;
    let again = json!({ "slug": "platform", "name": "Another" });
    refused(scene.root("POST", TEAMS, again).await, 409, "taken");
    refused(
        scene.root("POST", TEAMS, json!({ "slug": "Not A Slug", "name": "x" })).await,
        400,
        "invalid_slug",
    );
    refused(scene.root("POST", TEAMS, json!({ "slug": "x", "name": " " })).await, 400, "invalid_name");
    refused(scene.root("POST", TEAMS, json!({ "slug": "x" })).await, 400, "missing_field");
    let as_viewer = scene.as_of(&scene.viewer, "POST", TEAMS, json!({ "slug": "x", "name": "x" })).await;
    refused(as_viewer, 403, "forbidden");
    assert_eq!(scene.as_of(&scene.viewer, "GET", TEAMS, Value::Null).await.0, 200);
    let (status, same) = scene.root("PATCH", &format!("{TEAMS}/{}", id(&team)), json!({})).await;
    assert_eq!((status, same), (200, team), "an empty change changes nothing");
}
