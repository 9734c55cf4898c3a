//! `/organizations`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::{Scene, id, refused, slugs};

const ORGANIZATIONS: &str = "/api/v1/organizations";

#[tokio::test]
async fn the_root_token_makes_lists_renames_and_deletes_organizations() {
    let scene = Scene::new();
    let made = scene.made(ORGANIZATIONS, json!({ "slug": "initech", "name": "Initech" })).await;
    assert!(made.get("owner_link").is_none(), "nobody asked for a link: {made}");
    assert_eq!(slugs(&scene.all(ORGANIZATIONS).await), ["acme", "globex", "initech"]);
    let by_slug = scene.root("GET", "/api/v1/organizations/initech", Value::Null).await;
    let by_id = scene.root("GET", &format!("{ORGANIZATIONS}/{}", id(&made)), Value::Null).await;
    assert_eq!(by_slug, (200, made.clone()));
    assert_eq!(by_id, by_slug);
    let renamed = scene.root("PATCH", "/api/v1/organizations/initech", json!({ "name": "New" })).await;
    assert_eq!((renamed.0, &renamed.1["name"]), (200, &json!("New")));
    assert_eq!(scene.root("DELETE", "/api/v1/organizations/initech", Value::Null).await.0, 204);
    refused(scene.root("GET", "/api/v1/organizations/initech", Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn the_first_owner_gets_a_link_that_a_repeat_does_not_show_again() {
    let scene = Scene::new();
    let wish = json!({ "slug": "initech", "name": "Initech", "owner_email": "Boss@Initech.test" });
    let authorization = format!("Bearer {}", portcullis_testkit::ROOT_TOKEN);
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", "one")];
    let first = scene.bench.exchange("POST", ORGANIZATIONS, &headers, &wish).await;
    assert_eq!(first.status, 201);
    let link = first.json()["owner_link"].as_str().unwrap().to_owned();
    assert!(link.starts_with("http://127.0.0.1:8080/setup/owner") && link.contains("pc_owner_"), "{link}");
    let again = scene.bench.exchange("POST", ORGANIZATIONS, &headers, &wish).await;
    assert_eq!(again.status, 201);
    let mut expected = first.json();
    expected["owner_link"] = Value::Null;
    expected["secret_shown"] = json!(true);
    assert_eq!(again.json(), expected);
}

#[tokio::test]
async fn members_see_their_own_organization_only() {
    let scene = Scene::new();
    let (status, page) = scene.as_of(&scene.viewer, "GET", ORGANIZATIONS, Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["slug"], json!("acme"));
    let unknown = scene.as_of(&scene.owner, "GET", "/api/v1/organizations/nowhere", Value::Null).await;
    let foreign = scene.as_of(&scene.owner, "GET", "/api/v1/organizations/globex", Value::Null).await;
    refused(unknown.clone(), 404, "not_found");
    assert_eq!(unknown, foreign);
    let wish = json!({ "slug": "x", "name": "x" });
    for said in [wish, json!({}), json!({ "colour": 1 })] {
        refused(scene.as_of(&scene.member, "POST", ORGANIZATIONS, said.clone()).await, 403, "root_only");
        refused(scene.as_of(&scene.owner, "POST", ORGANIZATIONS, said).await, 403, "root_only");
    }
    let delete = scene.as_of(&scene.owner, "DELETE", "/api/v1/organizations/acme", Value::Null).await;
    refused(delete, 403, "root_only");
    let rename = json!({ "name": "Acme Ltd" });
    assert_eq!(scene.as_of(&scene.owner, "PATCH", "/api/v1/organizations/acme", rename.clone()).await.0, 200);
    let as_admin = scene.as_of(&scene.admin, "PATCH", "/api/v1/organizations/acme", rename).await;
    refused(as_admin, 403, "forbidden");
}

#[tokio::test]
async fn an_organization_is_refused_where_it_must_be() {
    let scene = Scene::new();
    let taken = scene.root("POST", ORGANIZATIONS, json!({ "slug": "acme", "name": "x" })).await;
    assert_eq!(taken.1["detail"], "`organization.slug` is taken", "nobody was deleted");
    refused(taken, 409, "taken");
    let unknown = json!({ "slug": "x", "name": "x", "colour": 1 });
    refused(scene.root("POST", ORGANIZATIONS, unknown).await, 400, "unknown_field");
    let nobody = json!({ "slug": "x", "name": "x", "owner_email": "nobody" });
    refused(scene.root("POST", ORGANIZATIONS, nobody).await, 400, "invalid_email");
    refused(scene.root("GET", "/api/v1/organizations/x", Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn an_organization_with_people_goes_only_when_they_are_off_boarded_and_nothing_of_it_acts_any_more() {
    let scene = Scene::new();
    let (status, body) = scene.root("DELETE", "/api/v1/organizations/acme", Value::Null).await;
    assert!(body["detail"].as_str().unwrap().contains("`?members=offboard`"), "it says the way out: {body}");
    refused((status, body), 409, "in_use");
    assert_eq!(scene.as_of(&scene.owner, "GET", ORGANIZATIONS, Value::Null).await.0, 200);
    let path = "/api/v1/organizations/acme?members=offboard";
    assert_eq!(scene.root("DELETE", path, Value::Null).await, (204, Value::Null));
    for gone in [&scene.owner, &scene.admin, &scene.member, &scene.viewer] {
        let answer = scene.as_of(gone, "GET", "/api/v1/permissions", Value::Null).await;
        refused(answer, 401, "unauthenticated");
    }
    assert_eq!(scene.as_of(&scene.stranger, "GET", "/api/v1/permissions", Value::Null).await.0, 200);
    let again = scene.root("POST", ORGANIZATIONS, json!({ "slug": "acme", "name": "Acme" })).await;
    let said = again.1["detail"].as_str().unwrap_or_default().to_owned();
    refused(again, 409, "taken");
    assert!(said.contains("deleted: slugs are not given out again"), "{said}");
}

#[tokio::test]
async fn the_receipts_and_the_log_of_a_deleted_organization_stay_for_the_root_token_and_its_keys_for_everybody()
 {
    let scene = Scene::new();
    let path = "/api/v1/organizations/acme?members=offboard";
    assert_eq!(scene.root("DELETE", path, Value::Null).await, (204, Value::Null));
    scene.bench.portcullis().sign_all().await.unwrap();
    let receipts = scene.all("/api/v1/organizations/acme/receipts").await;
    let of_the_owner = json!(scene.owner.membership.to_string());
    let receipt = receipts.iter().find(|one| one["member"] == of_the_owner).expect("a receipt for each");
    let one = format!("/api/v1/organizations/acme/receipts/{}", receipt["id"].as_str().unwrap());
    assert_eq!(scene.root("GET", &one, Value::Null).await.1, *receipt);
    let header = receipt["jws"].as_str().unwrap().split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let (status, set) = scene.bench.call("GET", "/o/acme/jwks", "", Value::Null).await;
    assert_eq!(status, 200, "whoever has a receipt checks it");
    assert!(set["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header["kid"]), "{set}");
    let deleted = "/api/v1/organizations/acme/audit-events?action=organization.deleted";
    let (status, events) = scene.root("GET", deleted, Value::Null).await;
    assert_eq!((status, events["items"].as_array().map(Vec::len)), (200, Some(1)));
    // Nothing else of it is there, and nobody else is told that it was.
    refused(scene.root("GET", "/api/v1/organizations/acme", Value::Null).await, 404, "not_found");
    refused(scene.root("GET", "/api/v1/organizations/acme/members", Value::Null).await, 404, "not_found");
    for path in ["receipts", "audit-events"] {
        let path = format!("/api/v1/organizations/acme/{path}");
        refused(scene.as_of(&scene.stranger, "GET", &path, Value::Null).await, 404, "not_found");
        refused(scene.as_of(&scene.owner, "GET", &path, Value::Null).await, 401, "unauthenticated");
    }
}
