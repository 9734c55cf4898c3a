//! `/organizations/{org}/roles` and `/permissions`.

use serde_json::{Value, json};

use crate::people::{directory, person, stored};
use crate::support::{Scene, holds_the_common_rules, id, refused, slugs};

const ROLES: &str = "/api/v1/organizations/acme/roles";

fn auditor(rank: i64) -> Value {
    json!({ "slug": "auditor", "rank": rank, "permissions": ["use", "audit-events.read"] })
}

#[tokio::test]
async fn a_role_is_made_listed_changed_and_deleted() {
    let scene = Scene::new();
    let (status, made) = scene.as_of(&scene.owner, "POST", ROLES, auditor(200)).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["explicit_only"], json!(false));
    assert_eq!(made["permissions"], json!(["use", "audit-events.read"]));
    let all = scene.all(ROLES).await;
    assert_eq!(slugs(&all), ["admin", "auditor", "lead", "member", "owner", "viewer"]);
    for (slug, rank) in [("owner", 900), ("admin", 700), ("lead", 500), ("member", 300), ("viewer", 100)] {
        let found = all.iter().find(|role| role["slug"] == slug).unwrap();
        assert_eq!((&found["rank"], &found["built_in"]), (&json!(rank), &json!(true)), "{found}");
    }

    let one = format!("{ROLES}/{}", id(&made));
    let changes = json!({ "rank": 250, "permissions": ["use"], "explicit_only": true });
    let (status, changed) = scene.as_of(&scene.owner, "PATCH", &one, changes).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!((&changed["rank"], &changed["explicit_only"]), (&json!(250), &json!(true)));
    assert_eq!(scene.root("GET", &one, Value::Null).await.1, changed);
    assert_eq!(scene.as_of(&scene.owner, "DELETE", &one, Value::Null).await.0, 204);
    refused(scene.root("GET", &one, Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn a_role_is_refused_where_it_must_be() {
    let scene = Scene::new();
    let made = scene.made(ROLES, auditor(200)).await;
    holds_the_common_rules(&scene, "roles", &made).await;
    let with = |slug: &str, rank: i64, permissions: Value| json!({ "slug": slug, "rank": rank, "permissions": permissions });
    refused(scene.root("POST", ROLES, auditor(201)).await, 409, "taken");
    refused(scene.root("POST", ROLES, with("x", 300, json!([]))).await, 409, "rank_taken");
    refused(scene.root("POST", ROLES, with("x", 0, json!([]))).await, 422, "rank_out_of_range");
    refused(scene.root("POST", ROLES, with("x", 1000, json!([]))).await, 422, "rank_out_of_range");
    refused(scene.root("POST", ROLES, with("x", 7, json!(["fly"]))).await, 400, "invalid_field");
    let over_owners = with("x", 7, json!(["roles.write"]));
    refused(scene.root("POST", ROLES, over_owners).await, 422, "permission_is_explicit_only");
    let above = scene.as_of(&scene.owner, "POST", ROLES, with("x", 950, json!([]))).await;
    refused(above, 403, "above_own_rank");
    let one = format!("{ROLES}/{}", id(&made));
    let raised = scene.as_of(&scene.owner, "PATCH", &one, json!({ "rank": 950 })).await;
    refused(raised, 403, "above_own_rank");
    let taken = scene.root("PATCH", &one, json!({ "rank": 700 })).await;
    refused(taken, 409, "rank_taken");
    refused(scene.as_of(&scene.admin, "POST", ROLES, auditor(9)).await, 403, "forbidden");
    for role in scene.all(ROLES).await.iter().filter(|r| r["built_in"] == json!(true)) {
        let one = format!("{ROLES}/{}", id(role));
        refused(scene.root("PATCH", &one, json!({ "rank": 5 })).await, 409, "built_in");
        refused(scene.root("DELETE", &one, Value::Null).await, 409, "built_in");
    }
}

#[tokio::test]
async fn nobody_widens_the_role_that_they_hold() {
    let scene = Scene::new();
    let shape = json!({
        "slug": "steward", "rank": 600, "explicit_only": true,
        "permissions": ["roles.read", "roles.write"],
    });
    let made = scene.made(ROLES, shape).await;
    let steward = scene.bench.member(scene.owner.organization, "steward@acme.test", "steward");
    let one = format!("{ROLES}/{}", id(&made));
    let wider = json!({ "permissions": ["roles.write", "tokens.write"] });
    refused(scene.as_of(&steward, "PATCH", &one, wider).await, 403, "above_own_rank");
    refused(scene.root("DELETE", &one, Value::Null).await, 409, "in_use");
}

#[tokio::test]
async fn whoever_is_known_may_ask_which_permissions_there_are() {
    let scene = Scene::new();
    let (status, page) = scene.as_of(&scene.member, "GET", "/api/v1/permissions", Value::Null).await;
    assert_eq!(status, 200);
    // `use`, and to read and to write each noun of the contract; of those that nobody writes, only to read.
    let nouns = [
        "organizations",
        "environments",
        "teams",
        "roles",
        "domains",
        "directories",
        "connections",
        "mappings",
        "grants",
        "invitations",
        "members",
        "keys",
        "service-keys",
        "agents",
        "tokens",
    ];
    let mut must = vec!["use".to_owned()];
    must.extend(nouns.iter().flat_map(|noun| ["read", "write"].map(|may| format!("{noun}.{may}"))));
    must.extend(["receipts", "audit-events", "traces"].map(|noun| format!("{noun}.read")));
    assert_eq!(page["items"], json!(must));
    let (status, _) = scene.bench.call("GET", "/api/v1/permissions", "pc_key_nonsense", Value::Null).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn what_a_role_allows_counts_at_once_and_makes_nobodys_access_older_than_the_rules() {
    let scene = Scene::new();
    let org = scene.owner.organization;
    let role = scene.made(ROLES, json!({ "slug": "crew", "rank": 250, "permissions": ["use"] })).await;
    let wish = json!({ "kind": "scim", "name": "Okta", "default_role": "crew" });
    let made = scene.made("/api/v1/organizations/acme/directories", wish).await;
    let told: Vec<_> =
        (0..501).map(|n| person(&scene.bench, org, directory(&made), &format!("p{n}@acme.test"))).collect();
    let number = || stored(&scene.bench, org, told[0].membership).rules_number;
    let before = number();
    let one = format!("{ROLES}/{}", id(&role));
    let keys = format!("/api/v1/organizations/acme/members/{}/keys", told[0].membership);
    let key = scene.made(&keys, json!({ "name": "laptop" })).await;
    let (status, changed) =
        scene.root("PATCH", &one, json!({ "permissions": ["use", "members.read"] })).await;
    assert_eq!((status, &changed["rules_pending"]), (200, &Value::Null), "nothing waits: {changed}");
    scene.bench.portcullis().step_rules().await.unwrap();
    assert_eq!(number(), before, "nobody is looked at anew");
    let key = key["token"].as_str().unwrap();
    let members = "/api/v1/organizations/acme/members";
    assert_eq!(scene.bench.call("GET", members, key, Value::Null).await.0, 200, "it counts all the same");
    let (_, changed) = scene.root("PATCH", &one, json!({ "rank": 260 })).await;
    assert_eq!(changed["rules_pending"], json!(true), "{changed}");
}
