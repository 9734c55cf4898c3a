//! Single shapes that providers and the standard name and no provider's own story comes by.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portcullis_domain::mapping::MappingSource;
use serde_json::{Value, json};

use super::provider::{ENTERPRISE, GROUP, Provider, USER, patch, person};

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
    idp.user("bob").await;
    for flags in [
        "AzureAdScimPatch2017",
        "aadOptscim062020&AzureAdScimPatch2017",
        "AzureAdScimPatch2017=true&aadOptscim062020=1",
        "aadOptscim062020=anything",
    ] {
        for below in [
            format!("?{flags}/Users?filter=userName%20eq%20%22al%40acme.test%22"),
            format!("/Users?filter=userName%20eq%20%22al%40acme.test%22?{flags}"),
        ] {
            let found = idp.got(&below).await;
            assert_eq!(
                (&found["totalResults"], &found["Resources"][0]["id"]),
                (&json!(1), &json!(al)),
                "{below}"
            );
        }
    }
    for glued in [
        "?colour/Users?filter=userName%20eq%20%22al%40acme.test%22",
        "?colour=blue/Users?filter=userName%20eq%20%22al%40acme.test%22",
        "?colour=blue/users",
        "?attributes=userName/Users?filter=userName%20eq%20%22al%40acme.test%22",
        "/Users?colour=blue?filter=userName%20eq%20%22al%40acme.test%22",
        "/Users?a%3Fb=1",
    ] {
        let refused = idp.call("GET", glued, Value::Null).await;
        assert_eq!(
            refused.status, 400,
            "a question that is not read must not be answered with everybody: {glued}"
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
    // Each from another address: failures of one are limited.
    let send = async |source: usize, name: &str, value: &str, below: &str| {
        let source = format!("192.0.2.{source}");
        let answer = idp.raw(&source, &[(name, value)], "GET", below, b"").await;
        (answer.status.as_u16(), answer.text())
    };
    let wrong = send(100, "authorization", "Bearer wrong", "/Users").await;
    assert_eq!(wrong.0, 401);
    // What a provider that is told a name and a password makes of the token.
    let basic = |pair: String| format!("Basic {}", BASE64_STANDARD.encode(pair));
    let schemes = [
        ("authorization", String::new()),
        ("authorization", "Bearer".to_owned()),
        ("authorization", idp.token.clone()),
        ("authorization", format!("Token {}", idp.token)),
        ("authorization", format!("Basic {}", idp.token)),
        ("authorization", basic(format!("portcullis:{}", idp.token))),
        ("authorization", basic(format!("{}:", idp.token))),
        ("x-api-key", idp.token.clone()),
        ("x-api-key", format!("Bearer {}", idp.token)),
    ];
    for (source, (name, value)) in schemes.iter().enumerate() {
        for below in ["/Users", "/ServiceProviderConfig", "/ResourceTypes", "/Schemas"] {
            assert_eq!(send(source, name, value, below).await, wrong, "{source} {name} {below}");
        }
    }
    let nothing = idp.raw("192.0.2.7", &[], "GET", "/Users", b"").await;
    assert_eq!((nothing.status.as_u16(), nothing.text()), wrong, "no header at all");
    assert_eq!(nothing.headers["www-authenticate"].as_bytes().get(..6), Some(&b"Bearer"[..]));
    let in_the_url = format!("/Users?access_token={}", idp.token);
    assert_eq!(idp.raw("192.0.2.7", &[], "GET", &in_the_url, b"").await.status, 401);
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(
            send(100, "authorization", &format!("{scheme} {}", idp.token), "/Users").await.0,
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
    for below in ["/Devices", "/Agents", "/Agents/1"] {
        for method in ["GET", "POST"] {
            let answer = idp.call(method, below, json!({})).await;
            let error = answer.json();
            assert_eq!((answer.status.as_u16(), &error["status"]), (404, &json!("404")), "{method} {below}");
            assert_eq!(answer.headers["content-type"], "application/scim+json", "no page for people");
            assert_eq!(error["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        }
    }
}

async fn deviations(idp: &Provider) -> Vec<(String, Value)> {
    let below = format!("/directories/{}/dialect", idp.directory);
    let (status, report) = idp.admin("GET", &below, Value::Null).await;
    assert_eq!(status, 200, "{report}");
    let lines = report["items"].as_array().expect("a list").iter();
    lines.map(|line| (line["code"].as_str().expect("a code").to_owned(), line["calls"].clone())).collect()
}

#[tokio::test]
async fn an_id_and_a_meta_that_a_create_brings_stand_in_the_dialect_report() {
    let idp = Provider::new();
    assert_eq!(deviations(&idp).await, []);
    let meta = json!({ "resourceType": "Group", "location": "https://elsewhere.test/1" });
    let mut user = person("al");
    user["id"] = json!("theirs");
    user["meta"] = meta.clone();
    idp.made("/Users", user).await;
    assert_eq!(deviations(&idp).await, [("read_only_ignored".to_owned(), json!(1))]);
    let group = json!({ "schemas": [GROUP], "id": "theirs", "meta": meta, "displayName": "Eng" });
    let made = idp.call("POST", "/Groups", group).await;
    let shown = made.json();
    assert_eq!(made.status, 201, "{shown}");
    let location = idp.url(&format!("/Groups/{}", shown["id"].as_str().expect("an id")));
    assert_eq!(
        (made.headers["location"].as_bytes(), &shown["meta"]["location"]),
        (location.as_bytes(), &json!(location))
    );
    assert_ne!(shown["id"], "theirs");
    assert_eq!(deviations(&idp).await, [("read_only_ignored".to_owned(), json!(2))]);
}

/// Two people whose ids have the order in which they came.
async fn one_after_the_other(idp: &Provider) -> (String, String) {
    let al = idp.user("al").await;
    idp.bench.clock.pass_s(1);
    (al, idp.user("bo").await)
}

#[tokio::test]
async fn whoever_gets_another_external_id_stays_who_they_are_with_all_they_have() {
    let idp = Provider::new();
    idp.map(MappingSource::GroupDisplayName("Eng".to_owned()), "member");
    let (al, bo) = one_after_the_other(&idp).await;
    let eng = idp.group("Eng", &[&al, &bo]).await;
    let before = idp.member("al@acme.test").await;
    let key = idp.key(&before).await;
    let one = format!("/Users/{al}");
    let mut whole = person("al");
    whole["externalId"] = json!("al-3");
    let patched = json!([{ "op": "replace", "path": "externalId", "value": "al-2" }]);
    // The last is what somebody else is called already: it names both of them, and neither becomes the other.
    let theirs = json!([{ "op": "replace", "value": { "externalId": "ext-bo" } }]);
    for (method, body, external_id) in
        [("PATCH", patch(patched), "al-2"), ("PUT", whole, "al-3"), ("PATCH", patch(theirs), "ext-bo")]
    {
        let answer = idp.call(method, &one, body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["externalId"]), (200, &json!(external_id)));
        assert_eq!(answer.json()["id"], json!(al));
        assert!(by_external_id(&idp, external_id).await.contains(&json!(al)), "{external_id}");
        assert_eq!(by_external_id(&idp, "ext-al").await, Vec::<Value>::new());
        let member = idp.member("al@acme.test").await;
        for what in ["id", "state", "role", "reasons"] {
            assert_eq!(member[what], before[what], "{what} with {external_id}");
        }
        assert_eq!(idp.code(&key).await, "allowed", "{external_id}");
    }
    assert_eq!(before["role"], "member");
    assert_eq!(by_external_id(&idp, "ext-bo").await, [json!(al), json!(bo)]);
    assert_eq!(idp.members(&eng).await, [al.clone(), bo.clone()]);
    let other = idp.member("bo@acme.test").await;
    assert_ne!(other["id"], before["id"]);
    assert_eq!(idp.call("DELETE", &format!("/Users/{bo}"), Value::Null).await.status, 204);
    assert_eq!(idp.code(&key).await, "allowed", "whoever shares the name does not leave with them");
}

#[tokio::test]
async fn the_external_id_that_somebody_gave_up_brings_nobody_what_they_have() {
    let idp = Provider::with(Some("member"), 3600);
    let al = idp.user("al").await;
    let change = json!([{ "op": "replace", "path": "externalId", "value": "al-2" }]);
    idp.patched(&format!("/Users/{al}"), change).await;
    let mut next = person("cy");
    next["externalId"] = json!("ext-al");
    let cy = idp.made("/Users", next).await;
    assert_ne!(cy, al);
    assert_ne!(idp.member("cy@acme.test").await["id"], idp.member("al@acme.test").await["id"]);
    assert_eq!(by_external_id(&idp, "ext-al").await, [json!(cy)]);
}

#[tokio::test]
async fn a_put_is_answered_as_a_get_would_be_and_moves_the_last_change_only_with_one() {
    let idp = Provider::new();
    let al = idp.user("al").await;
    let eng = idp.group("Eng", &[&al]).await;
    let group = |name: &str| json!({ "schemas": [GROUP], "displayName": name, "members": [{ "value": al }] });
    let mut other = person("al");
    other["title"] = json!("Lead");
    for (below, same, changed) in [
        (format!("/Users/{al}"), person("al"), other),
        (format!("/Groups/{eng}"), group("Eng"), group("Engineering")),
    ] {
        let before = idp.got(&below).await;
        for (body, is_changed) in [(same, false), (changed.clone(), true), (changed, false)] {
            let last = idp.got(&below).await;
            idp.bench.clock.pass_s(5);
            let put = idp.call("PUT", &below, body).await;
            let shown = put.json();
            assert_eq!(put.status, 200, "{shown}");
            assert_eq!(put.headers["content-type"], "application/scim+json");
            assert_eq!(shown, idp.got(&below).await, "the whole of it");
            assert_eq!(
                (&shown["id"], &shown["meta"]["created"]),
                (&before["id"], &before["meta"]["created"])
            );
            assert_eq!(put.headers["etag"].to_str().ok(), shown["meta"]["version"].as_str());
            for what in ["lastModified", "version"] {
                assert_eq!(shown["meta"][what] != last["meta"][what], is_changed, "{what} of {below}");
            }
        }
    }
}

#[tokio::test]
async fn a_patch_without_a_path_changes_what_its_object_names_of_people_and_groups() {
    let idp = Provider::new();
    let (al, bo) = one_after_the_other(&idp).await;
    let one = format!("/Users/{al}");
    let change = json!([{ "op": "Add", "value": {
        "title": "Lead", "name": { "familyName": "B" }, ENTERPRISE: { "department": "Eng" },
        format!("{ENTERPRISE}:costCenter"): "77",
    } }]);
    let shown = idp.patched(&one, change).await.json();
    assert_eq!((&shown["title"], &shown["displayName"]), (&json!("Lead"), &json!("al Example")));
    assert_eq!(shown["name"], json!({ "givenName": "al", "familyName": "B" }), "what is not named stays");
    assert_eq!(shown[ENTERPRISE], json!({ "department": "Eng", "costCenter": "77" }));

    let eng = idp.group("Eng", &[&al]).await;
    let below = format!("/Groups/{eng}?attributes=displayName,externalId,members");
    let add = json!([{ "op": "add", "value": { "members": [{ "value": bo }], "externalId": "e1" } }]);
    let shown = idp.patched(&below, add).await.json();
    assert_eq!((&shown["displayName"], &shown["externalId"]), (&json!("Eng"), &json!("e1")));
    assert_eq!(idp.members(&eng).await, [al.clone(), bo.clone()], "an add takes nobody");
    let replace = json!([{ "op": "replace", "value": { "members": [{ "value": bo }] } }]);
    let shown = idp.patched(&below, replace).await.json();
    assert_eq!((&shown["displayName"], &shown["externalId"]), (&json!("Eng"), &json!("e1")));
    assert_eq!(idp.members(&eng).await, std::slice::from_ref(&bo), "a replace takes everybody else");

    for (path, version) in [(&one, idp.got(&one).await), (&below, idp.got(&below).await)] {
        for (operation, keyword) in [
            (json!({ "op": "replace", "value": "Eng" }), "invalidValue"),
            (json!({ "op": "add", "value": [{ "displayName": "Eng" }] }), "invalidValue"),
            (json!({ "op": "replace" }), "invalidValue"),
            (json!({ "op": "remove", "value": { "displayName": "Eng" } }), "noTarget"),
        ] {
            let answer = idp.call("PATCH", path, patch(json!([operation.clone()]))).await;
            let told = (answer.status.as_u16(), answer.json()["scimType"].clone());
            assert_eq!(told, (400, json!(keyword)), "{operation}");
        }
        assert_eq!(idp.got(path).await, version, "and nothing is changed");
    }
}
