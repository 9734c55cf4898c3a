//! Single shapes that providers and the standard name and no provider's own story comes by.

use serde_json::{Value, json};

use super::provider::{ENTERPRISE, Provider, USER, patch, person};

#[tokio::test]
async fn an_id_in_a_body_that_is_not_the_one_of_the_path_is_left_aside() {
    let idp = Provider::new();
    let (al, bo) = (idp.user("al").await, idp.user("bo").await);
    let mut whole = person("al");
    whole["id"] = json!(bo);
    whole["displayName"] = json!("Al A");
    let put = idp.call("PUT", &format!("/Users/{al}"), whole).await;
    assert_eq!((put.status.as_u16(), &put.json()["id"]), (200, &json!(al)), "{}", put.text());
    let eng = idp.group("Eng", &[&al]).await;
    let named = json!({ "id": bo, "displayName": "Eng", "members": [{ "value": al }] });
    let put = idp.call("PUT", &format!("/Groups/{eng}"), named).await;
    assert_eq!((put.status.as_u16(), &put.json()["id"]), (200, &json!(eng)), "{}", put.text());
    assert_eq!(idp.got(&format!("/Users/{bo}")).await["userName"], "bo@acme.test", "nobody else is touched");
}

#[tokio::test]
async fn the_urn_of_the_enterprise_extension_comes_with_its_first_attribute_and_goes_with_its_last() {
    let idp = Provider::new();
    let al = format!("/Users/{}", idp.user("al").await);
    let schemas = async || idp.got(&al).await["schemas"].clone();
    assert_eq!(schemas().await, json!([USER]));
    for (name, value) in [("department", "Eng"), ("costCenter", "77")] {
        let add = json!([{ "op": "add", "path": format!("{ENTERPRISE}:{name}"), "value": value }]);
        idp.patched(&al, add).await;
        assert_eq!(schemas().await, json!([USER, ENTERPRISE]));
    }
    let remove = |name: &str| json!([{ "op": "remove", "path": format!("{ENTERPRISE}:{name}") }]);
    idp.patched(&al, remove("department")).await;
    assert_eq!(schemas().await, json!([USER, ENTERPRISE]));
    idp.patched(&al, remove("costCenter")).await;
    assert_eq!(schemas().await, json!([USER]));
    assert_eq!(idp.got(&al).await.get(ENTERPRISE), None, "no empty object is left");
}

#[tokio::test]
async fn what_is_unset_by_its_parts_leaves_no_empty_complex_value() {
    let idp = Provider::new();
    let al = format!("/Users/{}", idp.user("al").await);
    let set = json!([{ "op": "add", "path": "addresses[type eq \"work\"].locality", "value": "Paris" }]);
    idp.patched(&al, set).await;
    assert_eq!(idp.got(&al).await["addresses"], json!([{ "type": "work", "locality": "Paris" }]));
    let name = idp.got(&al).await["name"].clone();
    let parts: Vec<Value> = name
        .as_object()
        .into_iter()
        .flatten()
        .map(|(part, _)| json!({ "op": "remove", "path": format!("name.{part}") }))
        .collect();
    idp.patched(&al, Value::Array(parts)).await;
    assert_eq!(idp.got(&al).await.get("name"), None);
}

#[tokio::test]
async fn certificates_are_kept_as_their_text_and_looked_into_by_nobody() {
    let idp = Provider::new();
    let mut al = person("al");
    // Base64 of bytes that are no certificate: what it holds is the provider's matter.
    al["x509Certificates"] = json!([{ "value": "bm8gY2VydGlmaWNhdGU=", "type": "work" }]);
    let made = idp.call("POST", "/Users", al.clone()).await;
    assert_eq!((made.status.as_u16(), &made.json()["x509Certificates"]), (201, &al["x509Certificates"]));
}

#[tokio::test]
async fn entras_other_flag_is_a_parameter_that_nobody_knows() {
    let idp = Provider::new();
    let al = idp.user("al").await;
    for query in [
        "AzureAdScimPatch2017&filter=userName%20eq%20%22al%40acme.test%22",
        "filter=userName%20eq%20%22al%40acme.test%22&AzureAdScimPatch2017",
    ] {
        let found = idp.got(&format!("/Users?{query}")).await;
        assert_eq!(
            (&found["totalResults"], &found["Resources"][0]["id"]),
            (&json!(1), &json!(al)),
            "{query}"
        );
    }
    let off = json!([{ "op": "Replace", "path": "active", "value": "False" }]);
    let path = format!("/Users/{al}?AzureAdScimPatch2017");
    assert_eq!(idp.call("PATCH", &path, patch(off)).await.json()["active"], false);
}

#[tokio::test]
async fn whoever_is_deleted_is_gone_for_every_method_and_from_every_group() {
    let idp = Provider::new();
    let al = idp.user("al").await;
    let eng = idp.group("Eng", &[&al]).await;
    let one = format!("/Users/{al}");
    assert_eq!(idp.call("DELETE", &one, Value::Null).await.status, 204);
    let rename = patch(json!([{ "op": "replace", "path": "displayName", "value": "x" }]));
    for (method, body) in
        [("GET", Value::Null), ("PUT", person("al")), ("PATCH", rename), ("DELETE", Value::Null)]
    {
        let answer = idp.call(method, &one, body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (404, &json!("404")), "{method}");
    }
    assert!(idp.members(&eng).await.is_empty());
    let found = idp.got("/Users?filter=userName%20eq%20%22al%40acme.test%22").await;
    assert_eq!(found["totalResults"], 0);
}

#[tokio::test]
async fn no_scheme_but_bearer_lets_a_provider_in_and_discovery_asks_for_it_too() {
    let idp = Provider::new();
    let send = async |name: &str, value: &str, below: &str| {
        let answer = idp.raw("192.0.2.7", &[(name, value)], "GET", below, b"").await;
        (answer.status.as_u16(), answer.text())
    };
    let wrong = send("authorization", "Bearer wrong", "/Users").await;
    assert_eq!(wrong.0, 401);
    for (name, value) in [
        ("authorization", idp.token.clone()),
        ("authorization", format!("Token {}", idp.token)),
        ("authorization", format!("Basic {}", idp.token)),
        ("x-api-key", idp.token.clone()),
        ("x-api-key", format!("Bearer {}", idp.token)),
    ] {
        for below in ["/Users", "/ServiceProviderConfig", "/ResourceTypes", "/Schemas"] {
            assert_eq!(send(name, &value, below).await, wrong, "{name} {below}");
        }
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(
            send("authorization", &format!("{scheme} {}", idp.token), "/Users").await.0,
            200,
            "{scheme}"
        );
    }
}

async fn by_external_id(idp: &Provider, external_id: &str) -> Vec<Value> {
    let found = idp.got(&format!("/Users?filter=externalId%20eq%20%22{external_id}%22")).await;
    found["Resources"].as_array().expect("a list").iter().map(|user| user["id"].clone()).collect()
}

#[tokio::test]
async fn an_external_id_may_change_and_names_somebody_in_its_own_directory_only() {
    let idp = Provider::new();
    let other = Provider::beside(&idp.bench, idp.organization, "acme", None, 3600);
    let (al, theirs) = (json!(idp.user("al").await), json!(other.user("al").await));
    assert_eq!(by_external_id(&idp, "ext-al").await, std::slice::from_ref(&al));
    let change = json!([{ "op": "replace", "path": "externalId", "value": "al-2" }]);
    idp.patched(&format!("/Users/{}", al.as_str().expect("an id")), change).await;
    assert_eq!(by_external_id(&idp, "ext-al").await, Vec::<Value>::new());
    assert_eq!(by_external_id(&idp, "al-2").await, [al]);
    assert_eq!(by_external_id(&other, "ext-al").await, [theirs], "another directory's is another's");
    assert_eq!(by_external_id(&other, "al-2").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_create_with_an_id_and_a_meta_of_its_own_gets_ours() {
    let idp = Provider::new();
    let al = idp.user("al").await;
    let mut body = person("bo");
    body["id"] = json!(al);
    body["meta"] = json!({
        "resourceType": "Group", "created": "1999-01-01T00:00:00Z", "lastModified": "1999-01-01T00:00:00Z",
        "location": "https://elsewhere.test/Users/1", "version": "W/\"9\"",
    });
    let made = idp.call("POST", "/Users", body).await;
    let shown = made.json();
    assert_eq!(made.status, 201, "{shown}");
    assert_ne!(shown["id"], json!(al));
    let location = idp.url(&format!("/Users/{}", shown["id"].as_str().expect("an id")));
    assert_eq!(made.headers["location"], location);
    assert_eq!(shown["meta"]["location"], location);
    assert_eq!(shown["meta"]["resourceType"], "User");
    assert!(!shown.to_string().contains("1999") && shown["meta"]["version"] != "W/\"9\"", "{shown}");
    assert_eq!(idp.got(&format!("/Users/{al}")).await["userName"], "al@acme.test", "nobody else is touched");
}

#[tokio::test]
async fn a_put_is_answered_in_the_shape_that_its_parameters_ask_for() {
    let idp = Provider::new();
    let al = idp.user("al").await;
    let below = format!("/Users/{al}?attributes=userName,password");
    let put = idp.call("PUT", &below, person("al")).await.json();
    let mut names: Vec<&str> = put.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["id", "schemas", "userName"]);
    let eng = idp.group("Eng", &[&al]).await;
    let whole = json!({ "displayName": "Eng 2", "members": [{ "value": al }] });
    let put = idp.call("PUT", &format!("/Groups/{eng}?excludedAttributes=members"), whole).await.json();
    assert_eq!((&put["displayName"], put.get("members")), (&json!("Eng 2"), None));
    assert_eq!(idp.members(&eng).await, [al], "not shown is not taken away");
}

#[tokio::test]
async fn a_cursor_opens_nothing_for_a_token_that_has_ended() {
    let idp = Provider::new();
    for name in ["al", "bo"] {
        idp.user(name).await;
    }
    let tokens = format!("/directories/{}/tokens", idp.directory);
    let (status, second) = idp.admin("POST", &tokens, json!({})).await;
    assert_eq!(status, 201, "{second}");
    let secret = second["token"].as_str().expect("a secret");
    let first = idp.call_as(secret, "GET", "/Users?count=1&cursor=", Value::Null).await.json();
    let next = format!("/Users?count=1&cursor={}", first["nextCursor"].as_str().expect("a cursor"));
    assert_eq!(idp.call_as(secret, "GET", &next, Value::Null).await.status, 200);
    let one = format!("{tokens}/{}", second["id"].as_str().expect("an id"));
    assert_eq!(idp.admin("DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(idp.call_as(secret, "GET", &next, Value::Null).await.status, 401);
    assert_eq!(idp.got(&next).await["itemsPerPage"], 1, "it is the directory's, whichever token asks");
}

#[tokio::test]
async fn whoever_would_be_answered_later_is_answered_now() {
    let idp = Provider::new();
    let authorization = format!("Bearer {}", idp.token);
    let headers = [("authorization", authorization.as_str()), ("prefer", "respond-async")];
    let made = idp.raw("192.0.2.7", &headers, "POST", "/Users", person("al").to_string().as_bytes()).await;
    assert_eq!((made.status.as_u16(), &made.json()["userName"]), (201, &json!("al@acme.test")));
    for name in ["preference-applied", "set-txn"] {
        assert!(!made.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn events_devices_and_agents_are_neither_promised_nor_there() {
    let idp = Provider::new();
    assert_eq!(idp.got("/ServiceProviderConfig").await.get("securityEvents"), None);
    let types = idp.got("/ResourceTypes").await;
    let names: Vec<&Value> =
        types["Resources"].as_array().into_iter().flatten().map(|kind| &kind["name"]).collect();
    assert_eq!(names, ["User", "Group"]);
    for below in ["/Devices", "/Agents"] {
        for method in ["GET", "POST"] {
            assert_eq!(idp.call(method, below, json!({})).await.status, 404, "{method} {below}");
        }
    }
}
