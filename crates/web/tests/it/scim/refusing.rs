//! A directory whose brake refuses, over HTTP: 503 with `Retry-After`, and what an administrator sees of it.

use serde_json::{Value, json};

use super::provider::{Provider, patch};

/// Never fewer, whatever the limit says.
const FLOOR: usize = 10;

/// A directory whose brake refuses, and people with a role, one more than it lets go.
async fn full() -> (Provider, Vec<String>) {
    let idp = Provider::with(Some("member"), 0);
    let path = format!("/directories/{}", idp.directory);
    let brake = json!({ "brake": { "max_people": 0, "above": "refuse" } });
    let (status, changed) = idp.admin("PATCH", &path, brake).await;
    assert_eq!((status, &changed["brake"]["above"]), (200, &json!("refuse")), "{changed}");
    let mut users = Vec::new();
    for n in 0..=FLOOR + 1 {
        users.push(idp.user(&format!("p{n}")).await);
    }
    for user in users.iter().take(FLOOR) {
        idp.patched(&format!("/Users/{user}"), inactive()).await;
    }
    (idp, users)
}

fn inactive() -> Value {
    json!([{ "op": "replace", "path": "active", "value": false }])
}

#[tokio::test]
async fn above_the_limit_each_way_to_end_somebody_answers_503_and_when_to_come_back() {
    let (idp, users) = full().await;
    let user = format!("/Users/{}", users[FLOOR]);
    let member = idp.member(&format!("p{FLOOR}@acme.test")).await;
    let key = idp.key(&member).await;
    let mut said = idp.got(&user).await;
    said["active"] = json!(false);
    for (method, body) in [("PATCH", patch(inactive())), ("PUT", said), ("DELETE", Value::Null)] {
        let refused = idp.call(method, &user, body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.headers["retry-after"].to_str().unwrap()),
            (503, "600"),
            "{method}"
        );
        let error = refused.json();
        assert_eq!((&error["status"], error.get("scimType")), (&json!("503"), None), "{error}");
        assert!(error["detail"].as_str().unwrap().contains("brake"), "{error}");
    }
    assert_eq!(idp.got(&user).await["active"], true, "nothing of it is kept");
    assert_eq!(idp.code(&key).await, "allowed");
    let (_, holds) = idp.admin("GET", "/holds", Value::Null).await;
    assert_eq!(holds["items"], json!([]));
    // What ends nobody is taken as before.
    let renamed = json!([{ "op": "replace", "path": "displayName", "value": "Ada" }]);
    assert_eq!(idp.call("PATCH", &user, patch(renamed)).await.status, 200);
    idp.bench.portcullis().store_traces().await.unwrap();
    let (_, traces) = idp.admin("GET", "/traces?outcome=above_brake", Value::Null).await;
    let traces = traces["items"].as_array().unwrap();
    assert_eq!(traces.len(), 3, "each call can be looked up");
    assert!(traces.iter().all(|trace| trace["subject"] == json!(users[FLOOR])), "{traces:?}");
}

#[tokio::test]
async fn an_operation_of_a_bulk_request_is_refused_alone_and_the_others_are_carried_out() {
    let (idp, users) = full().await;
    let of =
        |method: &str, path: String, data: Value| json!({ "method": method, "path": path, "data": data });
    let operations = json!([
        of("PATCH", format!("/Users/{}", users[FLOOR]), patch(inactive())),
        of(
            "PATCH",
            format!("/Users/{}", users[FLOOR + 1]),
            patch(json!([{ "op": "replace", "path": "title", "value": "Lead" }]))
        ),
    ]);
    let body =
        json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations });
    let answer = idp.call("POST", "/Bulk", body).await;
    let entries = answer.json()["Operations"].clone();
    assert_eq!((&entries[0]["status"], &entries[1]["status"]), (&json!("503"), &json!("200")), "{entries}");
    assert_eq!(idp.got(&format!("/Users/{}", users[FLOOR])).await["active"], true);
}

#[tokio::test]
async fn it_is_let_through_once_the_limit_is_raised_and_held_once_the_brake_holds() {
    let (idp, users) = full().await;
    let path = format!("/directories/{}", idp.directory);
    let user = |n: usize| format!("/Users/{}", users[n]);
    let raised = json!({ "brake": { "max_people": 11, "above": "refuse" } });
    assert_eq!(idp.admin("PATCH", &path, raised).await.0, 200);
    assert_eq!(idp.call("PATCH", &user(FLOOR), patch(inactive())).await.status, 200);
    assert_eq!(idp.call("PATCH", &user(FLOOR + 1), patch(inactive())).await.status, 503);
    let (_, holding) = idp.admin("PATCH", &path, json!({ "brake": { "max_people": 11 } })).await;
    assert_eq!(holding["brake"], json!({ "max_people": 11, "max_percent": null, "above": "hold" }));
    assert_eq!(idp.call("PATCH", &user(FLOOR + 1), patch(inactive())).await.status, 200);
    let member = idp.member(&format!("p{}@acme.test", FLOOR + 1)).await;
    assert_eq!(member["state"], "suspended");
    let (status, problem) =
        idp.admin("PATCH", &path, json!({ "brake": { "max_people": 1, "above": "ignore" } })).await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_field")), "{problem}");
}
