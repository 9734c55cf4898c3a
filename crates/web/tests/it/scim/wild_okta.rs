//! Okta, request by request.

use serde_json::{Value, json};

use super::provider::{GROUP, Provider, USER, person};

#[tokio::test]
async fn okta_creates_looks_up_replaces_and_deactivates() {
    let okta = Provider::new();
    assert_eq!(okta.got("/Users?count=1&startIndex=1").await["totalResults"], 0);
    let body = json!({
        "schemas": [USER], "userName": "a@acme.test", "name": { "givenName": "Al", "familyName": "A" },
        "emails": [{ "primary": true, "value": "a@acme.test", "type": "work" }], "displayName": "Al A",
        "locale": "en-US", "externalId": "00u123", "groups": [], "password": "placeholder", "active": true,
    });
    let made = okta.call("POST", "/Users", body.clone()).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert!(!made.to_string().contains("placeholder") && made.get("password").is_none(), "{made}");
    let user = made["id"].as_str().unwrap().to_owned();
    let below = format!("/Users/{user}");
    let again = okta.call("POST", "/Users", body).await;
    assert_eq!((again.status.as_u16(), &again.json()["scimType"]), (409, &json!("uniqueness")));
    assert_eq!(again.json()["status"], "409", "a status is a string");

    let group = okta.group("Eng", &[&user]).await;
    let mut whole = okta.got(&below).await;
    assert_eq!(whole["groups"][0]["value"], group.as_str());
    assert_eq!(whole["groups"][0]["$ref"], okta.url(&format!("/Groups/{group}")));
    whole["displayName"] = json!("Al B");
    whole["password"] = json!("another");
    whole["groups"] = json!([]);
    whole["meta"]["lastModified"] = json!("1999-01-01T00:00:00Z");
    whole["id"] = json!("du_00000000000000000000000000000000");
    let replaced = okta.call("PUT", &below, whole).await;
    assert_eq!(replaced.status, 200, "{}", replaced.text());
    let replaced = replaced.json();
    assert_eq!((&replaced["id"], &replaced["displayName"]), (&json!(user), &json!("Al B")));
    assert_eq!(replaced["groups"][0]["value"], group.as_str(), "groups are read only");
    assert!(!replaced.to_string().contains("another"));

    let off = okta.patched(&below, json!([{ "op": "replace", "value": { "active": false } }])).await;
    assert_eq!((off.status.as_u16(), &off.json()["active"]), (200, &json!(false)));
    let found = okta.got("/Users?filter=userName%20eq%20%22A%40acme.test%22&startIndex=1&count=100").await;
    assert_eq!(found["Resources"][0]["active"], false, "inactive people stay listed");
    let gone = okta.call("GET", "/Users/du_0123456789abcdef0123456789abcdef", Value::Null).await;
    assert_eq!((gone.status.as_u16(), &gone.json()["status"]), (404, &json!("404")));
    assert!(gone.json()["detail"].is_string());
}

#[tokio::test]
async fn okta_pushes_groups_whole_and_by_differences() {
    let okta = Provider::new();
    let (one, two) = (okta.user("one").await, okta.user("two").await);
    let group = okta.group("Eng", &[]).await;
    let below = format!("/Groups/{group}");
    let rename = json!([{ "op": "replace", "value": { "id": group, "displayName": "Eng2" } }]);
    assert_eq!(okta.patched(&below, rename).await.status, 204, "the id in a path-less value is ignored");
    let push = json!([
        { "op": "remove", "path": format!("members[value eq \"{one}\"]") },
        { "op": "add", "path": "members", "value": [{ "value": two, "display": "two@acme.test" }] },
    ]);
    okta.patched(&below, push).await;
    assert_eq!(okta.members(&group).await, std::slice::from_ref(&two));
    okta.patched(
        &below,
        json!([{ "op": "replace", "path": "members", "value": [{ "value": one, "display": "x" }] }]),
    )
    .await;
    assert_eq!(okta.members(&group).await, std::slice::from_ref(&one));
    okta.patched(&below, json!([{ "op": "replace", "path": "members", "value": [] }])).await;
    assert!(okta.members(&group).await.is_empty());
    okta.patched(&below, json!([{ "op": "add", "path": "members", "value": [{ "value": one }] }])).await;
    let now = json!([{ "op": "replace", "value": { "members": [], "id": group, "displayName": "Eng" } }]);
    okta.patched(&below, now).await;
    let read = okta.got(&below).await;
    assert_eq!((&read["displayName"], &read["members"]), (&json!("Eng"), &json!([])));

    let put =
        json!({ "schemas": [GROUP], "displayName": "Eng", "members": [{ "value": two, "display": "x" }] });
    let answer = okta.call("PUT", &below, put).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["members"][0]["value"]), (200, &json!(two)));
    let without = json!({ "schemas": [GROUP], "displayName": "Engineering" });
    let answer = okta.call("PUT", &below, without).await.json();
    assert_eq!(answer["members"][0]["value"], two.as_str(), "members that are not named stay");
    assert_eq!(okta.call("DELETE", &below, Value::Null).await.status, 204);
    assert_eq!(okta.call("DELETE", &below, Value::Null).await.status, 404);
}

#[tokio::test]
async fn okta_imports_all_pages_in_a_stable_order() {
    let okta = Provider::new();
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(okta.user(&format!("u{n}")).await);
        okta.bench.clock.pass_s(1);
    }
    let mut seen = Vec::new();
    for start in [1, 3, 5] {
        let page = okta.got(&format!("/Users?startIndex={start}&count=2")).await;
        assert_eq!(
            (&page["totalResults"], &page["startIndex"]),
            (&json!(5), &json!(start)),
            "numbers are numbers"
        );
        seen.extend(
            page["Resources"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()),
        );
        assert!(page["itemsPerPage"].is_u64());
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn oktas_test_suite_finds_the_attributes_that_it_looks_for() {
    let okta = Provider::new();
    okta.user("al").await;
    let page = okta.got("/Users?count=1&startIndex=1").await;
    let user = &page["Resources"][0];
    for pointer in ["/name/familyName", "/name/givenName", "/userName", "/emails/0/value", "/id"] {
        assert!(
            user.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty()),
            "{pointer}"
        );
    }
    assert_eq!(user["active"], true);
    assert!(!page.to_string().contains("bulkId"));
    assert_eq!(okta.call_as("nonsense", "GET", "/Users", Value::Null).await.status, 401);
}

#[tokio::test]
async fn oktas_plain_json_is_taken_and_answered_as_scim() {
    let okta = Provider::new();
    let authorization = format!("Bearer {}", okta.token);
    for kind in
        ["application/json", "application/json; charset=utf-8", "application/scim+json; charset=utf-8"]
    {
        let name = kind.len().to_string() + &kind[12..13];
        let headers = [("authorization", authorization.as_str()), ("content-type", kind)];
        let made =
            okta.raw("192.0.2.9", &headers, "POST", "/Users", person(&name).to_string().as_bytes()).await;
        assert_eq!(
            (made.status.as_u16(), made.headers["content-type"].as_bytes()),
            (201, &b"application/scim+json"[..]),
            "{kind}"
        );
        assert_eq!(made.json()["userName"], format!("{name}@acme.test"), "a create is answered whole");
    }
}

#[tokio::test]
async fn oktas_path_less_patch_turns_people_off_and_on() {
    let okta = Provider::new();
    let one = format!("/Users/{}", okta.user("one").await);
    for active in [false, true] {
        let answer = okta.patched(&one, json!([{ "op": "replace", "value": { "active": active } }])).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["active"]), (200, &json!(active)));
    }
}

#[tokio::test]
async fn oktas_groups_show_their_members_unless_they_are_left_out() {
    let okta = Provider::new();
    let one = okta.user("one").await;
    let group = okta.group("Eng", &[&one]).await;
    assert_eq!(okta.got(&format!("/Groups/{group}")).await["members"][0]["value"], one.as_str());
    let found = okta.got("/Groups?filter=displayName%20eq%20%22Eng%22&startIndex=1&count=100").await;
    assert_eq!(found["Resources"][0]["members"][0]["value"], one.as_str());
    let schema = okta.got(&format!("/Schemas/{GROUP}")).await;
    let members =
        schema["attributes"].as_array().unwrap().iter().find(|a| a["name"] == "members").unwrap().clone();
    assert_eq!(members["returned"], "default");
}

#[tokio::test]
async fn applications_of_oktas_wizard_turn_people_off_and_on_by_a_whole_put() {
    let okta = Provider::with(Some("member"), 0);
    let user = okta.user("one").await;
    let one = format!("/Users/{user}");
    let key = okta.key(&okta.member("one@acme.test").await).await;
    assert_eq!(okta.code(&key).await, "allowed");
    let mut whole = okta.got(&one).await;
    for (active, state) in [(false, "deprovisioned"), (true, "active")] {
        whole["active"] = json!(active);
        let put = okta.call("PUT", &one, whole.clone()).await;
        assert_eq!(put.status, 200, "{}", put.text());
        let put = put.json();
        assert_eq!((&put["id"], &put["active"]), (&json!(user), &json!(active)));
        assert_eq!(okta.member("one@acme.test").await["state"], state);
        assert_eq!(okta.code(&key).await, "token_ended", "and it does not come back");
    }
}

#[tokio::test]
async fn applications_of_oktas_catalogue_change_a_profile_without_a_path() {
    let okta = Provider::new();
    let user = okta.user("one").await;
    let one = format!("/Users/{user}");
    let emails = json!([{ "value": "one.b@acme.test", "type": "work", "primary": true }]);
    let change = json!([{ "op": "replace", "value": {
        "id": user, "userName": "one.b@acme.test", "externalId": "00u1", "name": { "familyName": "B" },
        "displayName": "One B", "emails": emails, "password": "placeholder",
    } }]);
    let changed = okta.patched(&one, change).await;
    let shown = changed.json();
    assert_eq!((changed.status.as_u16(), &shown["id"]), (200, &json!(user)));
    assert_eq!(shown["name"], json!({ "givenName": "one", "familyName": "B" }), "what is not named stays");
    assert_eq!((&shown["displayName"], &shown["emails"]), (&json!("One B"), &emails));
    assert_eq!(shown.get("password"), None);
    for (name, many) in [("one%40acme.test", 0), ("one.b%40acme.test", 1)] {
        let found = okta.got(&format!("/Users?filter=userName%20eq%20%22{name}%22")).await;
        assert_eq!(found["totalResults"], many, "{name}");
    }
}
