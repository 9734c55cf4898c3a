//! What the wire forces, whoever sends it: the answers that no standard decides.

use serde_json::{Value, json};

use super::provider::{Provider, patch, person};

async fn refused(idp: &Provider, method: &str, below: &str, body: Value) -> (u16, String) {
    let answer = idp.call(method, below, body).await;
    (answer.status.as_u16(), answer.json()["scimType"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn an_unknown_member_is_named_and_nothing_of_the_call_is_kept() {
    let idp = Provider::new();
    let (al, group) = (idp.user("al").await, idp.group("Eng", &[]).await);
    let stranger = "du_0123456789abcdef0123456789abcdef";
    let add = json!([
        { "op": "add", "path": "members", "value": [{ "value": al }] },
        { "op": "add", "path": "members", "value": [{ "value": stranger }] },
    ]);
    let answer = idp.call("PATCH", &format!("/Groups/{group}"), patch(add)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["scimType"]), (400, &json!("invalidValue")));
    assert!(answer.text().contains(stranger));
    assert!(idp.members(&group).await.is_empty());
}

#[tokio::test]
async fn a_member_of_another_directory_is_as_unknown_as_nobody() {
    let idp = Provider::new();
    let other = Provider::beside(&idp.bench, idp.organization, "acme", None, 3600);
    let (theirs, group) = (other.user("al").await, idp.group("Eng", &[]).await);
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": theirs }] }]);
    let answer = refused(&idp, "PATCH", &format!("/Groups/{group}"), patch(add)).await;
    assert_eq!(answer, (400, "invalidValue".to_owned()));
    assert_eq!(refused(&idp, "GET", &format!("/Users/{theirs}"), Value::Null).await.0, 404);
    assert_eq!(idp.call("POST", "/Users", person("al")).await.status, 201, "names differ by directory");
    assert_eq!(idp.call_as(&other.token, "GET", "/Users", Value::Null).await.status, 401);
}

#[tokio::test]
async fn removing_who_is_no_member_and_adding_who_is_one_change_nothing() {
    let idp = Provider::new();
    let (al, bo) = (idp.user("al").await, idp.user("bo").await);
    let group = idp.group("Eng", &[&al]).await;
    let before = idp.got(&format!("/Groups/{group}")).await;
    idp.bench.clock.pass_s(1);
    for operation in [
        json!({ "op": "add", "path": "members", "value": [{ "value": al }, { "value": al }] }),
        json!({ "op": "remove", "path": format!("members[value eq \"{bo}\"]") }),
        json!({ "op": "remove", "path": "members", "value": [{ "value": bo }] }),
        json!({ "op": "replace", "path": "members", "value": [{ "value": al }, { "value": al }] }),
    ] {
        idp.patched(&format!("/Groups/{group}"), json!([operation.clone()])).await;
        assert_eq!(idp.got(&format!("/Groups/{group}")).await, before, "{operation}");
    }
}

#[tokio::test]
async fn a_deactivated_name_is_taken_and_a_deleted_one_is_free_and_new() {
    let idp = Provider::new();
    let al = idp.user("al").await;
    idp.patched(&format!("/Users/{al}"), json!([{ "op": "replace", "path": "active", "value": false }]))
        .await;
    assert_eq!(refused(&idp, "POST", "/Users", person("al")).await, (409, "uniqueness".to_owned()));
    assert_eq!(idp.call("DELETE", &format!("/Users/{al}"), Value::Null).await.status, 204);
    assert_eq!(idp.call("DELETE", &format!("/Users/{al}"), Value::Null).await.status, 404);
    assert_ne!(idp.user("al").await, al);
}

#[tokio::test]
async fn a_case_only_rename_is_the_same_person_and_another_names_name_is_taken() {
    let idp = Provider::new();
    let (al, _) = (format!("/Users/{}", idp.user("al").await), idp.user("bo").await);
    let rename = |name: &str| json!([{ "op": "replace", "path": "userName", "value": name }]);
    assert_eq!(idp.patched(&al, rename("AL@acme.test")).await.json()["userName"], "AL@acme.test");
    let taken = refused(&idp, "PATCH", &al, patch(rename("BO@acme.test"))).await;
    assert_eq!(taken, (409, "uniqueness".to_owned()));
}

#[tokio::test]
async fn a_user_name_with_an_accent_is_one_name_however_the_accent_was_typed() {
    let idp = Provider::new();
    let named = |name: &str| {
        let mut said = person("jose");
        said["userName"] = json!(name);
        said
    };
    let (composed, apart) = ("jos\u{e9}@acme.test", "Jose\u{301}@acme.test");
    let jose = idp.made("/Users", named(composed)).await;
    assert_eq!(refused(&idp, "POST", "/Users", named(apart)).await, (409, "uniqueness".to_owned()));
    // By an index and by reading each, by a whole name and by its beginning: the same.
    for filter in [
        format!("userName eq \"{apart}\""),
        format!("userName eq \"{composed}\" and name.givenName pr"),
        format!("not (userName ne \"{apart}\")"),
        "userName sw \"JOSE\u{301}\"".to_owned(),
        "(userName co \"se\u{301}@\")".to_owned(),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let found = idp.got(&format!("/Users?filter={encoded}")).await;
        assert_eq!(found["Resources"][0]["id"], json!(jose), "{filter}: {found}");
    }
    let kept = idp.got(&format!("/Users/{jose}")).await;
    assert_eq!(kept["userName"], composed, "as it was written");
}

#[tokio::test]
async fn an_unknown_attribute_is_left_aside_in_a_whole_and_refused_as_a_path() {
    let idp = Provider::new();
    let mut odd = person("al");
    odd["colour"] = json!("blue");
    let al = format!("/Users/{}", idp.made("/Users", odd).await);
    assert_eq!(idp.got(&al).await.get("colour"), None);
    let path = json!([{ "op": "replace", "path": "colour", "value": "red" }]);
    assert_eq!(refused(&idp, "PATCH", &al, patch(path)).await, (400, "invalidPath".to_owned()));
}

#[tokio::test]
async fn whoever_is_said_to_be_inactive_under_another_urn_of_the_standard_ends_or_it_is_refused() {
    let idp = Provider::with(Some("member"), 3600);
    let other = "urn:scim:schemas:core:1.0";
    for (n, body) in [
        json!({ "op": "replace", "path": format!("{other}:active"), "value": false }),
        json!({ "op": "replace", "value": { other: { "active": "False" } } }),
        json!({ "op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User.active", "value": false }),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("al{n}");
        let one = format!("/Users/{}", idp.user(&name).await);
        assert_eq!(idp.member(&format!("{name}@acme.test")).await["state"], "active");
        assert_eq!(idp.patched(&one, json!([body])).await.json()["active"], json!(false), "{body}");
        assert_ne!(idp.member(&format!("{name}@acme.test")).await["state"], "active", "{body}");
    }
    let bo = format!("/Users/{}", idp.user("bo").await);
    let before = idp.got(&bo).await;
    for body in [
        json!({ "op": "replace", "path": "urn:ietf:params:scim:schemas:core:3.0:User:active", "value": false }),
        json!({ "op": "replace", "value": { "urn:ietf:params:scim:schemas:core:3.0:User": { "active": false } } }),
        json!({ "op": "replace", "value": { "active.value": false } }),
    ] {
        let answer = refused(&idp, "PATCH", &bo, patch(json!([body]))).await;
        assert_eq!(answer, (400, "invalidPath".to_owned()), "{body}");
    }
    assert_eq!(idp.got(&bo).await, before);
    let mut whole = person("bo");
    whole["urn:scim:schemas:core:4.0:User"] = json!({ "active": false });
    assert_eq!(refused(&idp, "PUT", &bo, whole).await, (400, "invalidPath".to_owned()));
    let (_, report) = idp.admin("GET", &format!("/directories/{}/dialect", idp.directory), Value::Null).await;
    assert!(report.to_string().contains("other_urn"), "{report}");
}

#[tokio::test]
async fn roles_entitlements_and_groups_of_a_person_give_nothing_by_themselves() {
    let idp = Provider::with(Some("member"), 3600);
    let mut body = person("al");
    body["roles"] = json!([{ "value": "owner", "primary": true }]);
    body["entitlements"] = json!([{ "value": "admin" }]);
    body["groups"] = json!([{ "value": "dg_0123456789abcdef0123456789abcdef" }]);
    let al = idp.made("/Users", body).await;
    assert_eq!(idp.member("al@acme.test").await["role"], "member");
    assert_eq!(idp.got(&format!("/Users/{al}")).await.get("groups"), None, "groups are ours to say");
}

#[tokio::test]
async fn paths_take_every_form_and_each_refusal_its_keyword() {
    let idp = Provider::new();
    let al = format!("/Users/{}", idp.user("al").await);
    let apply = async |operation: Value| idp.call("PATCH", &al, patch(json!([operation]))).await;
    for (path, value, pointer) in [
        ("title", json!("T"), "/title"),
        ("NAME.GIVENNAME", json!("G"), "/name/givenName"),
        ("urn:ietf:params:scim:schemas:core:2.0:User:nickName", json!("N"), "/nickName"),
        ("urn:ietf:params:scim:schemas:core:2.0:User:name.middleName", json!("M"), "/name/middleName"),
        ("emails[type eq \"work\"].display", json!("D"), "/emails/0/display"),
        ("emails[value eq \"al@acme.test\" and primary eq true].type", json!("home"), "/emails/0/type"),
        ("urn:acme:2.0:User:badge", json!("B"), "/urn:acme:2.0:User/badge"),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
            json!("9"),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/manager/value",
        ),
    ] {
        let answer = apply(json!({ "op": "replace", "path": path, "value": value })).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.json().pointer(pointer), Some(&value), "{path}");
    }
    let schema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let whole = apply(json!({ "op": "add", "path": schema, "value": { "division": "D" } })).await.json();
    assert_eq!((&whole[schema]["division"], &whole[schema]["manager"]["value"]), (&json!("D"), &json!("9")));
    let gone = apply(json!({ "op": "remove", "path": schema })).await.json();
    assert_eq!(gone.get(schema), None);
    for (operation, keyword) in [
        (json!({ "op": "move", "path": "title" }), "invalidSyntax"),
        (json!({ "op": "replace", "path": "emails[", "value": 1 }), "invalidPath"),
        (json!({ "op": "replace", "path": "nonsense", "value": 1 }), "invalidPath"),
        (json!({ "op": "replace", "path": "emails[type sw \"x\"].value", "value": "x" }), "noTarget"),
        (json!({ "op": "remove" }), "noTarget"),
        (json!({ "op": "remove", "path": "userName" }), "mutability"),
        (json!({ "op": "replace", "path": "groups", "value": [] }), "mutability"),
        (json!({ "op": "add", "path": "meta.created", "value": "x" }), "mutability"),
        (json!({ "op": "replace", "path": "active", "value": "maybe" }), "invalidValue"),
        (json!({ "op": "replace", "path": "userName", "value": "" }), "invalidValue"),
        (json!({ "op": "add", "path": "title" }), "invalidValue"),
    ] {
        let answer = apply(operation.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["scimType"]),
            (400, &json!(keyword)),
            "{operation}"
        );
    }
}

#[tokio::test]
async fn what_is_the_same_again_moves_neither_the_last_change_nor_the_version() {
    let idp = Provider::new();
    let al = format!("/Users/{}", idp.user("al").await);
    let before = idp.got(&al).await["meta"].clone();
    idp.bench.clock.pass_s(5);
    for operation in [
        json!({ "op": "add", "path": "emails", "value": [{ "value": "al@acme.test", "type": "work", "primary": true }] }),
        json!({ "op": "replace", "value": { "active": true, "externalId": "ext-al" } }),
        json!({ "op": "add", "path": "name.givenName", "value": "al" }),
    ] {
        assert_eq!(idp.patched(&al, json!([operation.clone()])).await.json()["meta"], before, "{operation}");
    }
}

#[tokio::test]
async fn a_search_by_body_whose_filter_stands_in_the_url_is_refused() {
    let idp = Provider::new();
    let schema = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
    idp.user("al").await;
    for below in ["/Users/.search", "/Groups/.search", "/.search"] {
        for filter in ["filter=userName%20eq%20%22ob%22", "Filter="] {
            let asked = idp.call("POST", &format!("{below}?{filter}"), json!({ "schemas": [schema] })).await;
            assert_eq!(asked.status, 400, "{below}?{filter}");
            assert_eq!(asked.json()["scimType"], "invalidFilter", "{below}?{filter}");
        }
        let asked = idp.call("POST", &format!("{below}?other=x"), json!({ "schemas": [schema] })).await;
        assert_eq!(asked.status, 200, "{below}");
    }
}
