//! Request by request what identity providers send, with what each must be answered.

use serde_json::{Value, json};

use super::provider::{ENTERPRISE, GROUP, Provider, USER, id, patch, person};

const NOBODY: &str = "/Users?filter=userName%20eq%20%226f1c9a3e-0000-4000-8000-000000000000%22";

fn entra_user() -> Value {
    json!({
        "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0User"],
        "externalId": "alice", "userName": "alice@acme.test", "active": true,
        "emails": [{ "primary": true, "type": "work", "value": "Alice@acme.test" }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "Alice A", "familyName": "A", "givenName": "Alice" },
        "roles": [], "addresses": null, "phoneNumbers": null, "title": null, "department": null, "manager": null,
    })
}

#[tokio::test]
async fn entra_tests_its_connection_with_a_look_up_of_nobody() {
    let entra = Provider::new();
    for below in [NOBODY.to_owned(), format!("{NOBODY}&aadOptscim062020")] {
        let answer = entra.call("GET", &below, Value::Null).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "application/scim+json");
        assert_eq!(
            answer.json(),
            json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
                "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": [],
            })
        );
    }
}

#[tokio::test]
async fn entra_in_both_dialects_changes_the_same_user() {
    let entra = Provider::new();
    let made = entra.call("POST", "/Users", entra_user()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let alice = format!("/Users/{}", id(&made));
    assert_eq!(made.headers["location"], entra.url(&alice));
    assert_eq!(made.json()["emails"][0]["value"], "Alice@acme.test", "values come back as they were sent");
    assert_eq!(made.json()["meta"]["location"], entra.url(&alice));

    let legacy = json!([
        { "op": "Replace", "path": "displayName", "value": "Alice B" },
        { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "b@acme.test" },
        { "op": "Add", "path": "name.givenName", "value": "Al" },
        { "op": "Add", "path": format!("{ENTERPRISE}:employeeNumber"), "value": "77" },
        { "op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": [{ "$ref": "http://h/Users/9", "value": "9" }] },
    ]);
    let changed = entra.patched(&alice, legacy).await;
    assert_eq!(changed.status, 200);
    let changed = changed.json();
    assert_eq!(changed["displayName"], "Alice B");
    assert_eq!(changed["emails"], json!([{ "primary": true, "type": "work", "value": "b@acme.test" }]));
    assert_eq!(changed["name"]["givenName"], "Al");
    assert_eq!(changed[ENTERPRISE]["employeeNumber"], "77");
    assert_eq!(changed[ENTERPRISE]["manager"]["value"], "9");

    let flagged = json!([
        { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "c@acme.test" },
        { "op": "replace", "value": {
            "displayName": "Alice C", "name.givenName": "Ally", "name.familyName": "C",
            (format!("{ENTERPRISE}:employeeNumber")): "78" } },
    ]);
    let changed = entra.patched(&format!("{alice}?aadOptscim062020"), flagged).await.json();
    assert_eq!((&changed["displayName"], &changed["name"]["familyName"]), (&json!("Alice C"), &json!("C")));
    assert_eq!(changed[ENTERPRISE]["employeeNumber"], "78");
    assert_eq!(changed[ENTERPRISE]["manager"]["value"], "9");

    for (operation, active) in [
        (json!([{ "op": "Replace", "path": "active", "value": "False" }]), false),
        (json!([{ "op": "replace", "path": "active", "value": true }]), true),
        (json!([{ "op": "replace", "value": { "active": false } }]), false),
        (json!([{ "op": "Add", "path": "active", "value": "True" }]), true),
    ] {
        assert_eq!(entra.patched(&alice, operation.clone()).await.json()["active"], active, "{operation}");
        assert_eq!(entra.got(&alice).await["active"], active);
    }
    let wrong = json!([{ "op": "Replace", "path": "active", "value": "yes" }]);
    let refused = entra.call("PATCH", &alice, patch(wrong)).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["scimType"]), (400, &json!("invalidValue")));
}

#[tokio::test]
async fn entra_finds_people_by_every_matching_attribute_with_its_flag_anywhere() {
    let entra = Provider::new();
    let alice = entra.made("/Users", entra_user()).await;
    let flag = "aadOptscim062020";
    for filter in [
        "userName%20eq%20%22ALICE@acme.test%22",
        "externalId%20eq%20%22alice%22",
        "externalId%20eq%20alice",
        "emails[type%20eq%20%22work%22].value%20eq%20%22alice@acme.test%22",
        "emails%20eq%20%22alice@acme.test%22",
        "emails.value%20eq%20%22alice@acme.test%22%20and%20active%20eq%20true",
        "userName+eq+%22alice%40acme.test%22",
    ] {
        for below in [
            format!("/Users?filter={filter}"),
            format!("/Users?{flag}&filter={filter}"),
            format!("/Users?filter={filter}&{flag}=true"),
            format!("/Users/?{flag}&filter={filter}"),
            format!("/Users?filter={filter}?{flag}"),
            format!("?{flag}/Users?filter={filter}"),
        ] {
            let found = entra.got(&below).await;
            assert_eq!(found["totalResults"], 1, "{below}: {found}");
            assert_eq!(found["Resources"][0]["id"], alice.as_str(), "{below}");
        }
    }
    let exact = entra.got("/Users?filter=externalId%20eq%20%22Alice%22").await;
    assert_eq!(exact["totalResults"], 0, "an externalId is exact");
    let plus = entra.user("plus+sign").await;
    for filter in ["userName%20eq%20%22plus+sign@acme.test%22", "userName+eq+%22plus%2Bsign@acme.test%22"] {
        let found = entra.got(&format!("/Users?filter={filter}")).await;
        assert_eq!(found["Resources"][0]["id"], plus.as_str(), "{filter}");
    }
}

#[tokio::test]
async fn entra_keeps_a_groups_members_by_values_and_never_reads_them() {
    let entra = Provider::new();
    let (one, two, three) = (entra.user("one").await, entra.user("two").await, entra.user("three").await);
    let made = entra
        .call(
            "POST",
            "/Groups",
            json!({
                "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
                "externalId": "8aa1", "displayName": "Eng", "members": [], "meta": { "resourceType": "Group" },
            }),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["schemas"], json!([GROUP]), "an unknown schema is not echoed");
    let group = id(&made);
    let below = format!("/Groups/{group}");
    let answer = entra
        .patched(&below, json!([{ "op": "Add", "path": "members",
            "value": [{ "$ref": null, "value": one }, { "$ref": null, "value": two }, { "$ref": null, "value": three }] }]))
        .await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    let remove = json!([{ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": two }] }]);
    assert_eq!(entra.patched(&below, remove).await.status, 204);
    let mut left = [one.clone(), three.clone()];
    left.sort();
    assert_eq!(entra.members(&group).await, left, "only the named one is removed");
    let flagged = json!([{ "op": "remove", "path": format!("members[value eq \"{three}\"]") }]);
    entra.patched(&below, flagged).await;
    assert_eq!(entra.members(&group).await, std::slice::from_ref(&one));
    for gone in [
        json!([{ "op": "Remove", "path": "members", "value": [{ "value": three }] }]),
        json!([{ "op": "Remove", "path": "members", "value": [] }]),
        json!([{ "op": "Remove", "path": "members", "value": [{ "value": "nobody-of-ours" }] }]),
    ] {
        assert_eq!(entra.patched(&below, gone).await.status, 204, "who is no member is removed already");
    }
    assert_eq!(entra.members(&group).await, std::slice::from_ref(&one));

    for below in [
        format!("{below}?excludedAttributes=members"),
        "/Groups?excludedAttributes=members&filter=displayName%20eq%20%22eng%22".to_owned(),
        format!(
            "/Groups?filter=id%20eq%20%22{group}%22%20and%20members%20eq%20%22{one}%22&excludedAttributes=members"
        ),
        format!("/Groups?excludedAttributes=members&filter=members.value%20eq%20%22{one}%22"),
    ] {
        let found = entra.got(&below).await;
        let found = found["Resources"].get(0).unwrap_or(&found);
        assert_eq!((&found["id"], found.get("members")), (&json!(group), None), "{below}");
    }
    entra.patched(&below, json!([{ "op": "Remove", "path": "members" }])).await;
    assert!(entra.members(&group).await.is_empty(), "without a value everybody is removed");
}

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
async fn onelogin_and_pingone_match_by_odd_filters_and_replace_whole() {
    let ping = Provider::new();
    for below in [
        "/Users?filter=userName%20eq%20%22onelogin-test-user%22",
        "/Users?filter=emails%20eq%20%22nobody@acme.test%22",
    ] {
        assert_eq!(ping.got(below).await["totalResults"], 0, "{below}");
    }
    let mut odd = person("alice");
    odd["department_name"] = json!("R&D");
    odd["urn:example:custom:1.0:User"] = json!({ "badge": "7" });
    let alice = ping.made("/Users", odd.clone()).await;
    let found = ping.got("/Users?filter=emails%20eq%20%22alice@acme.test%22").await;
    assert_eq!(found["Resources"][0]["id"], alice.as_str());
    odd["displayName"] = json!("Alice Ping");
    odd.as_object_mut().unwrap().remove("active");
    let put = ping.call("PUT", &format!("/Users/{alice}"), odd).await;
    assert_eq!((put.status.as_u16(), &put.json()["displayName"]), (200, &json!("Alice Ping")));
    assert_eq!(put.json()["active"], true);
}

#[tokio::test]
async fn a_put_that_does_not_say_active_revives_nobody() {
    let ping = Provider::with(Some("member"), 0);
    let alice = format!("/Users/{}", ping.user("alice").await);
    ping.patched(&alice, json!([{ "op": "replace", "path": "active", "value": false }])).await;
    let mut whole = person("alice");
    whole.as_object_mut().unwrap().remove("active");
    let put = ping.call("PUT", &alice, whole.clone()).await;
    assert_eq!((put.status.as_u16(), &put.json()["active"]), (200, &json!(false)));
    assert_eq!(ping.member("alice@acme.test").await["state"], "deprovisioned");
    whole["active"] = json!(true);
    assert_eq!(ping.call("PUT", &alice, whole).await.json()["active"], true);
    assert_eq!(ping.member("alice@acme.test").await["state"], "active");
}

#[tokio::test]
async fn jumpcloud_tests_with_a_user_and_a_group_that_leave_nothing_listed() {
    let jumpcloud = Provider::new();
    let user = jumpcloud.user("test").await;
    let group = jumpcloud.group("JumpCloud test", &[]).await;
    let below = format!("/Groups/{group}");
    for op in ["add", "remove"] {
        jumpcloud
            .patched(&below, json!([{ "op": op, "path": "members", "value": [{ "value": user }] }]))
            .await;
    }
    assert!(jumpcloud.members(&group).await.is_empty());
    assert_eq!(jumpcloud.call("DELETE", &format!("/Users/{user}"), Value::Null).await.status, 204);
    assert_eq!(jumpcloud.call("DELETE", &below, Value::Null).await.status, 204);
    for below in ["/Users", "/Groups"] {
        assert_eq!(jumpcloud.got(below).await["totalResults"], 0);
    }
    jumpcloud.user("test").await;
}

#[tokio::test]
async fn authentik_reads_the_configuration_links_on_conflict_and_patches_one_member_at_a_time() {
    let authentik = Provider::new();
    let config = authentik.got("/ServiceProviderConfig").await;
    assert_eq!(config["patch"]["supported"], true);
    assert_eq!(config["filter"]["supported"], true);
    let (one, two) = (authentik.user("one").await, authentik.user("two").await);
    assert_eq!(authentik.call("POST", "/Users", person("one")).await.status, 409);
    let found = authentik.got("/Users?filter=userName%20eq%20%22one@acme.test%22").await;
    assert_eq!(found["Resources"][0]["id"], one.as_str());
    let group = authentik.group("Eng", &[&one]).await;
    let below = format!("/Groups/{group}");
    authentik
        .patched(&below, json!([
            { "op": "replace", "value": { "schemas": [GROUP], "id": group, "externalId": "e1", "displayName": "Eng" } },
            { "op": "add", "path": "members", "value": [{ "value": two }] },
            { "op": "remove", "path": "members", "value": [{ "value": one }] },
        ]))
        .await;
    assert_eq!(authentik.members(&group).await, [two]);
    assert_eq!(authentik.got(&below).await["externalId"], "e1");
    let again = json!({ "schemas": [GROUP], "displayName": "eng", "members": [] });
    let refused = authentik.call("POST", "/Groups", again).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["scimType"]), (409, &json!("uniqueness")));
    let put = authentik.call("PUT", "/Users/du_0123456789abcdef0123456789abcdef", person("three")).await;
    assert_eq!(put.status, 404, "a PUT never creates");
}
