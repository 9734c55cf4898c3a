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
