//! Entra ID, request by request, in both of its dialects.

use serde_json::{Value, json};

use super::provider::{ENTERPRISE, GROUP, Provider, USER, id, patch};

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
async fn entra_sees_everybody_also_the_inactive_until_they_are_deleted() {
    let entra = Provider::new();
    let alice = entra.made("/Users", entra_user()).await;
    let below = format!("/Users/{alice}");
    entra.patched(&below, json!([{ "op": "Replace", "path": "active", "value": "False" }])).await;
    for found in ["/Users?filter=externalId%20eq%20%22alice%22", "/Users"] {
        let found = entra.got(found).await;
        assert_eq!(
            (&found["Resources"][0]["id"], &found["Resources"][0]["active"]),
            (&json!(alice), &json!(false))
        );
    }
    let back =
        entra.patched(&below, json!([{ "op": "Replace", "path": "active", "value": "True" }])).await.json();
    assert_eq!(
        (&back["id"], &back["active"]),
        (&json!(alice), &json!(true)),
        "enabled again with the same id"
    );
    assert_eq!(entra.call("DELETE", &below, Value::Null).await.status, 204);
    assert_eq!(entra.got("/Users?filter=externalId%20eq%20%22alice%22").await["totalResults"], 0);
    let gone = entra.call("GET", &below, Value::Null).await;
    assert_eq!((gone.status.as_u16(), &gone.json()["status"]), (404, &json!("404")));
}

#[tokio::test]
async fn entra_reads_values_back_exactly_as_it_sent_them() {
    let entra = Provider::new();
    let mut body = entra_user();
    body["emails"][0]["value"] = json!("Alice.Ä@ACME.test");
    body["phoneNumbers"] = json!([{ "type": "work", "value": "+1 (555) 010-99 ext 7" }]);
    body["userName"] = json!("Alice@ACME.test");
    let made = entra.made("/Users", body.clone()).await;
    let read = entra.got(&format!("/Users/{made}")).await;
    for attribute in ["emails", "phoneNumbers", "userName", "externalId", "name"] {
        assert_eq!(read[attribute], body[attribute], "{attribute}");
    }
}

#[tokio::test]
async fn entra_is_told_of_a_name_that_is_taken_and_finds_whose_it_is() {
    let entra = Provider::new();
    let alice = entra.made("/Users", entra_user()).await;
    let again = entra.call("POST", "/Users", entra_user()).await;
    assert_eq!((again.status.as_u16(), &again.json()["scimType"]), (409, &json!("uniqueness")));
    let found = entra.got("/Users?filter=userName%20eq%20%22alice@acme.test%22").await;
    assert_eq!(found["Resources"][0]["id"], alice.as_str());
}

#[tokio::test]
async fn entra_may_leave_out_the_colon_of_the_extension_and_send_its_manager_bare() {
    let entra = Provider::new();
    let mut body = entra_user();
    body["urn:ietf:params:scim:schemas:extension:enterprise:2.0User"] = json!({ "department": "R&D" });
    let made = entra.made("/Users", body).await;
    let below = format!("/Users/{made}");
    assert_eq!(entra.got(&below).await[ENTERPRISE]["department"], "R&D");
    let bare = json!([{ "op": "Add", "path": "manager", "value": "9" }]);
    assert_eq!(entra.patched(&below, bare).await.json()[ENTERPRISE]["manager"]["value"], "9");
    for filter in ["manager", "manager.value"] {
        let filter = format!("/Users?filter=id%20eq%20%22{made}%22%20and%20{filter}%20eq%20%229%22");
        assert_eq!(entra.got(&filter).await["totalResults"], 1, "{filter}");
    }
}

#[tokio::test]
async fn entra_makes_a_work_address_by_replacing_one_that_is_not_there() {
    let entra = Provider::new();
    let mut body = entra_user();
    body.as_object_mut().unwrap().remove("emails");
    let alice = format!("/Users/{}", entra.made("/Users", body).await);
    for op in ["Replace", "Add"] {
        let set = json!([{ "op": op, "path": "emails[type eq \"work\"].value", "value": format!("{op}@acme.test") }]);
        let emails = entra.patched(&alice, set).await.json()["emails"].clone();
        assert_eq!(emails, json!([{ "type": "work", "value": format!("{op}@acme.test") }]));
    }
    let other =
        json!([{ "op": "Replace", "path": "emails[type ne \"work\"].value", "value": "x@acme.test" }]);
    let refused = entra.call("PATCH", &alice, patch(other)).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["scimType"]), (400, &json!("noTarget")));
}

#[tokio::test]
async fn entra_removes_what_is_not_set_without_a_change() {
    let entra = Provider::new();
    let alice = format!("/Users/{}", entra.made("/Users", entra_user()).await);
    let before = entra.got(&alice).await;
    entra.bench.clock.pass_s(1);
    for path in ["title", "emails[type eq \"home\"]", "manager", "name.middleName"] {
        let answer = entra.patched(&alice, json!([{ "op": "Remove", "path": path }])).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, before.clone()), "{path}");
    }
    let parts = json!([
        { "op": "Add", "path": "manager", "value": "9" },
        { "op": "Remove", "path": "manager.value" },
    ]);
    assert_eq!(entra.patched(&alice, parts).await.json().get(ENTERPRISE), None, "an empty extension goes");
}

#[tokio::test]
async fn entra_changes_a_thousand_memberships_in_one_call() {
    let entra = Provider::new();
    let speaker = entra.speaker();
    let people: Vec<String> = entra.bench.write(move |tx, moment| {
        let made = (0..1_000).map(|n| {
            let body = json!({ "userName": format!("u{n}@acme.test") }).to_string();
            let (user, _) = portcullis_scim::parse_user(body.as_bytes()).unwrap();
            let said = portcullis_service::scim::person_said(&user.with_defaults());
            portcullis_service::scim::create_user(tx, moment, speaker, &said)
                .map(|made| made.user.id.to_string())
        });
        made.collect::<Result<_, _>>()
    });
    let group = entra.group("Everybody", &[]).await;
    let listed: Vec<Value> = people.iter().map(|id| json!({ "$ref": null, "value": id })).collect();
    let below = format!("/Groups/{group}");
    entra.patched(&below, json!([{ "op": "Add", "path": "members", "value": listed }])).await;
    assert_eq!(entra.members(&group).await.len(), 1_000);
    entra.patched(&below, json!([{ "op": "Remove", "path": "members", "value": listed }])).await;
    assert!(entra.members(&group).await.is_empty());
}

#[tokio::test]
async fn entra_gallery_apps_read_schemas_without_nulls() {
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(values) => values.iter().any(has_null),
            Value::Object(object) => object.values().any(has_null),
            _ => false,
        }
    }
    let entra = Provider::new();
    for below in ["/Schemas", "/Schemas?aadOptscim062020", "/ResourceTypes", "/ServiceProviderConfig"] {
        let document = entra.got(below).await;
        assert!(!has_null(&document), "{below}");
    }
    assert_eq!(
        entra.got("/Schemas").await["schemas"],
        json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"])
    );
}

#[tokio::test]
async fn entras_own_token_for_an_empty_secret_is_refused_like_any_other() {
    let entra = Provider::new();
    let own = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL3N0cy53aW5kb3dzLm5ldC8ifQ.c2ln";
    let refused = entra.call_as(own, "GET", "/Users", Value::Null).await;
    let wrong = entra.call_as("pc_scim_wrong", "GET", "/Users", Value::Null).await;
    assert_eq!((refused.status.as_u16(), refused.text()), (401, wrong.text()));
}
