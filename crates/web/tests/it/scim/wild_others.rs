//! OneLogin, JumpCloud, PingOne, authentik, Google's catalogue apps and Keycloak, request by request.

use serde_json::{Value, json};

use super::provider::{GROUP, Provider, person};

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

#[tokio::test]
async fn googles_catalogue_apps_probe_with_one_person() {
    let google = Provider::new();
    assert_eq!(google.got("/Users?count=1").await["totalResults"], 0);
    google.user("al").await;
    assert_eq!(google.got("/Users?count=1").await["itemsPerPage"], 1);
}

#[tokio::test]
async fn onelogin_may_delete_or_suspend_and_sends_whatever_its_template_says() {
    let onelogin = Provider::new();
    let mut odd = person("al");
    odd["custom_field"] = json!({ "x": [1, 2] });
    odd["department"] = json!("R&D");
    odd["title"] = json!(42);
    let al = format!("/Users/{}", onelogin.made("/Users", odd).await);
    let read = onelogin.got(&al).await;
    assert_eq!((&read["title"], read.get("custom_field")), (&json!("42"), None));
    assert_eq!(read["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["department"], "R&D");
    onelogin.patched(&al, json!([{ "op": "replace", "path": "active", "value": false }])).await;
    assert_eq!(onelogin.call("DELETE", &al, Value::Null).await.status, 204);
}

#[tokio::test]
async fn pingone_matches_by_addresses_and_any_filter_of_its_administrator() {
    let ping = Provider::new();
    let al = ping.user("al").await;
    for filter in [
        "emails%20eq%20%22al@acme.test%22",
        "userName%20eq%20al@acme.test",
        "emails.value%20sw%20%22al@%22",
        "emails%20co%20%22acme%22%20and%20active%20eq%20true",
    ] {
        let found = ping.got(&format!("/Users?filter={filter}")).await;
        assert_eq!(found["Resources"][0]["id"], al.as_str(), "{filter}");
    }
}

#[tokio::test]
async fn pingone_leaves_out_what_it_cannot_clear_and_a_put_takes_it_away() {
    let ping = Provider::new();
    let al = format!("/Users/{}", ping.user("al").await);
    let mut whole = person("al");
    whole.as_object_mut().unwrap().remove("name");
    whole["displayName"] = json!(null);
    let put = ping.call("PUT", &al, whole).await.json();
    assert_eq!((put.get("name"), put.get("displayName")), (None, None), "a PUT says everything");
}

#[tokio::test]
async fn authentik_walks_all_groups_and_makes_anew_whom_it_does_not_find() {
    let authentik = Provider::new();
    for name in ["a", "b", "c"] {
        authentik.group(name, &[]).await;
    }
    let mut seen = 0;
    for start in 1..=3 {
        let page = authentik.got(&format!("/Groups?startIndex={start}&count=1")).await;
        seen += page["Resources"].as_array().unwrap().len();
    }
    assert_eq!(seen, 3);
    let config = authentik.got("/ServiceProviderConfig").await;
    assert!(config["bulk"]["maxOperations"].as_u64().unwrap() > 0, "it cuts its operations by that");
    assert_eq!(authentik.got("/ServiceProviderConfigs").await, config, "an alias that some clients use");
    let al = authentik.user("al").await;
    authentik.call("DELETE", &format!("/Users/{al}"), Value::Null).await;
    assert_eq!(authentik.call("PUT", &format!("/Users/{al}"), person("al")).await.status, 404);
    assert_ne!(authentik.user("al").await, al, "created again with a new id");
}

#[tokio::test]
async fn keycloaks_plain_client_follows_the_standard_and_leaves_no_deviation() {
    let keycloak = Provider::new();
    let al = keycloak.user("al").await;
    let group = keycloak.group("Eng", &[&al]).await;
    keycloak
        .patched(
            &format!("/Groups/{group}"),
            json!([
                { "op": "remove", "path": format!("members[value eq \"{al}\"]") },
            ]),
        )
        .await;
    keycloak.got("/Users?filter=userName%20eq%20%22al@acme.test%22").await;
    assert_eq!(keycloak.call("PUT", &format!("/Users/{al}"), person("al")).await.status, 200);
    let below = format!("/directories/{}/dialect", keycloak.directory);
    assert_eq!(keycloak.admin("GET", &below, Value::Null).await, (200, json!({ "items": [] })));
}
