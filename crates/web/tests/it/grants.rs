//! `/organizations/{org}/grants`.

use portcullis_service::first_owner;
use portcullis_service::grant::MAX_REASON;
use portcullis_testkit::{Bench, ROOT_TOKEN};
use serde_json::{Value, json};

use crate::people::{directory, person, standing};
use crate::support::{Scene, holds_the_common_rules, id, refused};

const GRANTS: &str = "/api/v1/organizations/acme/grants";

fn wish(scene: &Scene, role: &str) -> Value {
    json!({ "member": scene.viewer.membership.to_string(), "role": role, "reason": "on call" })
}

fn role_of_viewer(scene: &Scene) -> Option<String> {
    standing(&scene.bench, scene.viewer.organization, scene.viewer.membership).1
}

#[tokio::test]
async fn a_grant_gives_a_role_and_its_end_takes_it() {
    let scene = Scene::new();
    let (status, made) = scene.as_of(&scene.admin, "POST", GRANTS, wish(&scene, "lead")).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["granted_by"], json!(scene.admin.membership.to_string()));
    assert_eq!(role_of_viewer(&scene).as_deref(), Some("lead"));
    assert_eq!(scene.all(GRANTS).await.len(), 5, "four of the personas and this one");
    let one = format!("{GRANTS}/{}", id(&made));
    let (status, changed) = scene.as_of(&scene.admin, "PATCH", &one, json!({ "reason": "better" })).await;
    assert_eq!((status, &changed["reason"], &changed["role"]), (200, &json!("better"), &json!("lead")));
    assert_eq!(scene.root("GET", &one, Value::Null).await.1, changed);
    assert_eq!(scene.as_of(&scene.admin, "DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(role_of_viewer(&scene).as_deref(), Some("viewer"));
    refused(scene.root("GET", &one, Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn nobody_gives_or_takes_above_their_own_rank() {
    let scene = Scene::new();
    refused(scene.as_of(&scene.admin, "POST", GRANTS, wish(&scene, "owner")).await, 403, "above_own_rank");
    assert_eq!(role_of_viewer(&scene).as_deref(), Some("viewer"));
    let owner = json!({ "member": scene.owner.membership.to_string(), "role": "viewer", "reason": "x" });
    refused(scene.as_of(&scene.admin, "POST", GRANTS, owner).await, 403, "above_own_rank");
    let grants = scene.all(GRANTS).await;
    let of_owner = grants.iter().find(|g| g["role"] == json!("owner")).unwrap();
    let one = format!("{GRANTS}/{}", id(of_owner));
    refused(scene.as_of(&scene.admin, "DELETE", &one, Value::Null).await, 403, "above_own_rank");
    refused(scene.as_of(&scene.admin, "PATCH", &one, json!({ "reason": "x" })).await, 403, "above_own_rank");
    refused(scene.as_of(&scene.member, "POST", GRANTS, wish(&scene, "viewer")).await, 403, "forbidden");
}

#[tokio::test]
async fn the_last_owner_keeps_the_ownership_and_the_last_but_one_does_not() {
    let scene = Scene::new();
    let grants = scene.all(GRANTS).await;
    let of_owner = grants.iter().find(|g| g["role"] == json!("owner")).unwrap();
    let one = format!("{GRANTS}/{}", id(of_owner));
    refused(scene.root("DELETE", &one, Value::Null).await, 409, "last_owner");
    assert_eq!(scene.as_of(&scene.owner, "POST", GRANTS, wish(&scene, "owner")).await.0, 201);
    assert_eq!(scene.root("DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(standing(&scene.bench, scene.owner.organization, scene.owner.membership).1, None);
}

#[tokio::test]
async fn a_grant_is_refused_where_it_must_be() {
    let scene = Scene::new();
    let made = scene.made(GRANTS, wish(&scene, "member")).await;
    holds_the_common_rules(&scene, "grants", &made).await;
    let foreign = json!({ "member": scene.stranger.membership.to_string(), "role": "viewer", "reason": "x" });
    let never = json!({ "member": format!("mem_{}", "0".repeat(32)), "role": "viewer", "reason": "x" });
    let foreign = scene.root("POST", GRANTS, foreign).await;
    refused(foreign.clone(), 404, "not_found");
    assert_eq!(foreign, scene.root("POST", GRANTS, never).await);
    refused(scene.root("POST", GRANTS, wish(&scene, "nothing")).await, 404, "not_found");
    let mute = json!({ "member": scene.viewer.membership.to_string(), "role": "viewer", "reason": " " });
    refused(scene.root("POST", GRANTS, mute).await, 400, "invalid_field");
    let mute = json!({ "member": scene.viewer.membership.to_string(), "role": "viewer" });
    refused(scene.root("POST", GRANTS, mute).await, 400, "missing_field");
}
#[tokio::test]
async fn a_change_of_a_roles_rank_reaches_the_people_who_have_it() {
    let scene = Scene::new();
    let auditor = json!({ "slug": "auditor", "rank": 200, "permissions": ["use"] });
    let role = scene.made("/api/v1/organizations/acme/roles", auditor).await;
    scene.made(GRANTS, wish(&scene, "auditor")).await;
    assert_eq!(role_of_viewer(&scene).as_deref(), Some("auditor"));
    let one = format!("/api/v1/organizations/acme/roles/{}", id(&role));
    let (status, changed) = scene.root("PATCH", &one, json!({ "rank": 50 })).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(role_of_viewer(&scene).as_deref(), Some("viewer"));
    refused(scene.root("DELETE", &one, Value::Null).await, 409, "in_use");
}

#[tokio::test]
async fn another_role_beside_it_does_not_let_the_last_ownership_go_and_another_ownership_does() {
    let scene = Scene::new();
    let grants = scene.all(GRANTS).await;
    let of_owner = grants.iter().find(|g| g["role"] == json!("owner")).unwrap();
    let one = format!("{GRANTS}/{}", id(of_owner));
    let to_owner = |role: &str| json!({ "member": scene.owner.membership.to_string(), "role": role, "reason": "on call" });
    let lead = scene.made(GRANTS, to_owner("lead")).await;
    refused(scene.root("DELETE", &one, Value::Null).await, 409, "last_owner");
    assert_eq!(scene.root("DELETE", &format!("{GRANTS}/{}", id(&lead)), Value::Null).await.0, 204);
    scene.made(GRANTS, to_owner("owner")).await;
    assert_eq!(scene.root("DELETE", &one, Value::Null).await.0, 204, "they stay owner by the other one");
    assert_eq!(
        standing(&scene.bench, scene.owner.organization, scene.owner.membership).1.as_deref(),
        Some("owner")
    );
}

#[tokio::test]
async fn an_ownership_that_nobody_has_accepted_yet_is_taken_back_though_there_is_no_other() {
    let scene = Scene::new();
    scene.made("/api/v1/organizations", json!({ "slug": "initech", "name": "Initech" })).await;
    let invitation = json!({ "email": "boss@initech.test", "role": "owner" });
    scene.made("/api/v1/organizations/initech/invitations", invitation).await;
    let grants = "/api/v1/organizations/initech/grants";
    let waiting = scene.all(grants).await.remove(0);
    assert_eq!(waiting["role"], json!("owner"), "{waiting}");
    let one = format!("{grants}/{}", id(&waiting));
    assert_eq!(scene.root("DELETE", &one, Value::Null).await.0, 204);
}

#[tokio::test]
async fn a_reason_is_as_long_as_it_may_be_and_no_longer() {
    let scene = Scene::new();
    let with = |bytes: usize| {
        let mut wish = wish(&scene, "member");
        wish["reason"] = json!("x".repeat(bytes));
        wish
    };
    refused(scene.root("POST", GRANTS, with(MAX_REASON + 1)).await, 400, "invalid_field");
    scene.made(GRANTS, with(MAX_REASON)).await;
}

fn superuser(explicit_only: bool) -> Value {
    json!({ "slug": "superuser", "rank": 950, "permissions": ["use"], "explicit_only": explicit_only })
}

#[tokio::test]
async fn a_role_above_it_neither_lets_the_last_ownership_go_nor_hides_it_from_another_owner() {
    let scene = Scene::new();
    let owner = scene.owner.membership.to_string();
    scene.made("/api/v1/organizations/acme/roles", superuser(true)).await;
    scene.made(GRANTS, json!({ "member": owner, "role": "superuser", "reason": "on call" })).await;
    let grants = scene.all(GRANTS).await;
    let of_owner = grants.iter().find(|g| g["role"] == json!("owner")).unwrap();
    let (one, member) =
        (format!("{GRANTS}/{}", id(of_owner)), format!("/api/v1/organizations/acme/members/{owner}"));
    refused(scene.root("DELETE", &one, Value::Null).await, 409, "last_owner");
    refused(scene.root("PATCH", &member, json!({ "state": "suspended" })).await, 409, "last_owner");
    let left = scene.root("POST", &format!("{member}/offboard"), json!({ "reason": "left" })).await;
    refused(left, 409, "last_owner");

    let second = scene.made(GRANTS, wish(&scene, "owner")).await;
    let gone = scene.root("DELETE", &format!("{GRANTS}/{}", id(&second)), Value::Null).await;
    assert_eq!(gone.0, 204, "whoever stands above owners owns it too: {}", gone.1);
}

#[tokio::test]
async fn whoever_stands_above_owners_keeps_the_bare_ownership_as_the_last_one_who_leaves() {
    let bench = Bench::of_the_run();
    let acme = bench.organization("acme");
    let root = async |method: &str, path: &str, body: Value| {
        let (status, answer) =
            bench.call(method, &format!("/api/v1/organizations/acme{path}"), ROOT_TOKEN, body).await;
        assert!(status < 300, "{path}: {answer}");
        answer
    };
    root("POST", "/roles", superuser(false)).await;
    let wish = json!({ "kind": "scim", "name": "Okta", "default_role": "superuser" });
    let made = root("POST", "/directories", wish).await;
    let ann = person(&bench, acme, directory(&made), "ann@acme.test");
    let grant = json!({ "member": ann.membership.to_string(), "role": "owner", "reason": "founder" });
    root("POST", "/grants", grant).await;
    assert_eq!(standing(&bench, acme, ann.membership), ("active".into(), Some("superuser".into())));
    assert!(bench.write(|tx, _| first_owner::is_there(tx)), "whoever starts it anew makes no link");

    let said = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann@acme.test", "active": false,
    });
    let token = made["token"].as_str().unwrap();
    let one = format!("/scim/v2/{}/Users/{}", id(&made), ann.user);
    assert_eq!(bench.call("PUT", &one, token, said).await.0, 200);
    assert_eq!(standing(&bench, acme, ann.membership), ("deprovisioned".into(), Some("owner".into())));
    let kept = root("GET", "/audit-events?action=member.last_owner_kept", Value::Null).await;
    assert_eq!(kept["items"].as_array().unwrap().len(), 1, "{kept}");
}
