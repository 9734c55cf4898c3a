//! Mappings by what a directory says of people: values of their attributes.

use portcullis_domain::Clock;
use portcullis_store::statement::Statement;
use serde_json::{Value, json};

use super::provider::{ENTERPRISE, Provider, person};

/// Whoever is called that, with this beside.
fn with(name: &str, beside: Value) -> Value {
    let mut body = person(name);
    body.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    body
}

fn department(name: &str) -> Value {
    json!({ ENTERPRISE: { "department": name } })
}

async fn mapped(staff: &Provider, name: &str, value: &str, gives: Value) -> Value {
    let (status, made) = staff.admin("POST", "/mappings", wish(staff, name, value, gives)).await;
    assert_eq!(status, 201, "{made}");
    made
}

fn wish(staff: &Provider, name: &str, value: &str, gives: Value) -> Value {
    let mut wish = json!({
        "directory": staff.directory.to_string(), "attribute": { "name": name, "value": value },
    });
    wish.as_object_mut().unwrap().extend(gives.as_object().unwrap().clone());
    wish
}

/// What somebody is and may: state and role.
async fn standing(staff: &Provider, email: &str) -> (String, Option<String>) {
    let member = staff.member(email).await;
    let text = |key: &str| member[key].as_str().map(str::to_owned);
    (text("state").unwrap(), text("role"))
}

fn has(state: &str, role: &str) -> (String, Option<String>) {
    (state.to_owned(), Some(role.to_owned()))
}

#[tokio::test]
async fn a_value_gives_access_with_its_reason_and_its_loss_takes_it_and_ends_it_after_the_settling_time() {
    let staff = Provider::new();
    let made = mapped(&staff, "department", "Sales", json!({ "role": "member" })).await;
    assert_eq!(made["attribute"], json!({ "name": "department", "value": "Sales" }));
    assert_eq!((&made["group"], &made["org_unit"]), (&Value::Null, &Value::Null));
    let path = format!("/mappings/{}", made["id"].as_str().unwrap());
    assert_eq!(staff.admin("GET", &path, Value::Null).await.1, made);

    let created = staff.call("POST", "/Users", with("ann", department("Sales"))).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let request = created.headers["x-request-id"].to_str().unwrap().to_owned();
    let ann = staff.member("ann@acme.test").await;
    assert_eq!((&ann["state"], &ann["role"]), (&json!("active"), &json!("member")));
    let reason = ann["reasons"].as_array().unwrap().iter().find(|r| r["gives"] == "role:member").unwrap();
    assert_eq!(reason["by"], "mapping");
    assert_eq!(reason["mapping"], made["id"]);
    assert_eq!(reason["directory"], json!(staff.directory.to_string()));
    assert_eq!(reason["request_id"], json!(request));
    assert!(reason.get("group").is_none_or(Value::is_null), "no group gave it: {reason}");

    let key = staff.key(&ann).await;
    let user = created.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/Users/{user}");
    let moved = json!([{ "op": "replace", "path": format!("{ENTERPRISE}:department"), "value": "Support" }]);
    staff.patched(&path, moved).await;
    assert_eq!(standing(&staff, "ann@acme.test").await.0, "suspended");
    assert_eq!(staff.code(&key).await, "member_inactive", "refused from the answer on");
    let back = json!([{ "op": "Replace", "value": { format!("{ENTERPRISE}:department"): "Sales" } }]);
    staff.patched(&path, back).await;
    assert_eq!(standing(&staff, "ann@acme.test").await, has("active", "member"));
    assert_eq!(staff.code(&key).await, "allowed", "providers move people by taking, then giving");

    let gone = json!([{ "op": "remove", "path": format!("{ENTERPRISE}:department") }]);
    staff.patched(&path, gone).await;
    staff.bench.clock.set(staff.bench.clock.now().plus_s(3601));
    staff.bench.portcullis().step_rules().await.unwrap();
    assert_eq!(standing(&staff, "ann@acme.test").await.0, "deprovisioned");
    assert_eq!(staff.code(&key).await, "token_ended");
    let (_, receipts) = staff.admin("GET", "/receipts", Value::Null).await;
    assert_eq!(receipts["items"].as_array().unwrap().len(), 1, "its end has a receipt");
}

#[tokio::test]
async fn whoever_is_given_another_value_of_an_extensions_list_keeps_the_access_that_the_first_gave() {
    let staff = Provider::new();
    let (urn, codes) = ("urn:acme:hr:2.0:User", "urn:acme:hr:2.0:User:codes");
    mapped(&staff, codes, "a", json!({ "role": "member" })).await;
    let path =
        format!("/Users/{}", staff.made("/Users", with("ann", json!({ urn: { "codes": ["a"] } }))).await);
    let key = staff.key(&staff.member("ann@acme.test").await).await;
    for (operation, left) in [
        (json!({ "op": "add", "path": codes, "value": ["b"] }), json!(["a", "b"])),
        (json!({ "op": "Add", "value": { urn: { "codes": ["c"] } } }), json!(["a", "b", "c"])),
        (json!({ "op": "remove", "path": codes, "value": ["b"] }), json!(["a", "c"])),
        (json!({ "op": "Remove", "path": codes, "value": [{ "value": "c" }] }), json!(["a"])),
    ] {
        let answer = staff.patched(&path, json!([operation])).await.json();
        assert_eq!(answer[urn]["codes"], left, "{operation}");
        assert_eq!(standing(&staff, "ann@acme.test").await, has("active", "member"), "{operation}");
        assert_eq!(staff.code(&key).await, "allowed", "{operation}");
    }
    staff.patched(&path, json!([{ "op": "remove", "path": codes, "value": ["a"] }])).await;
    assert_eq!(standing(&staff, "ann@acme.test").await.0, "suspended");
}

#[tokio::test]
async fn however_a_value_of_an_extension_is_taken_away_what_it_gave_goes_with_it() {
    let staff = Provider::new();
    let urn = "urn:acme:hr:2.0:User";
    let tags = format!("{urn}:tags");
    mapped(&staff, &tags, "gold", json!({ "role": "member" })).await;
    for (name, had, operation) in [
        ("a", json!(["gold", "x"]), json!({ "op": "remove", "path": format!("{tags}[value eq \"gold\"]") })),
        (
            "b",
            json!([{ "value": "gold" }, { "value": "x" }]),
            json!({ "op": "remove", "path": format!("{tags}.value") }),
        ),
        ("c", json!(["gold"]), json!({ "op": "Remove", "path": urn, "value": { "tags": ["gold"] } })),
        (
            "d",
            json!(["gold", "x"]),
            json!({ "op": "replace", "path": format!("{tags}[value eq \"gold\"]"), "value": "y" }),
        ),
    ] {
        let made = staff.made("/Users", with(name, json!({ urn: { "tags": had, "desk": "7" } }))).await;
        let email = format!("{name}@acme.test");
        let key = staff.key(&staff.member(&email).await).await;
        assert_eq!(staff.code(&key).await, "allowed", "{operation}");
        let answer = staff.patched(&format!("/Users/{made}"), json!([operation])).await.json();
        assert_eq!(answer[urn]["desk"], "7", "{operation}: {answer}");
        assert_eq!(standing(&staff, &email).await.0, "suspended", "{operation}: {answer}");
        assert_eq!(staff.code(&key).await, "member_inactive", "{operation}");
    }
}

#[tokio::test]
async fn values_are_compared_to_the_letter_and_names_in_any_spelling() {
    let staff = Provider::new();
    mapped(&staff, "USERTYPE", "Employee", json!({ "role": "viewer" })).await;
    mapped(&staff, "roles", "Deploy", json!({ "role": "member" })).await;
    mapped(&staff, "entitlements.value", "seat", json!({ "role": "lead" })).await;
    mapped(&staff, "urn:acme:hr:2.0:User:Badge", "42", json!({ "role": "admin" })).await;
    mapped(&staff, "roles[primary eq true]", "Lead", json!({ "role": "lead" })).await;
    for (name, beside, role) in [
        ("a", json!({ "userType": "Employee" }), Some("viewer")),
        ("b", json!({ "userType": "employee" }), None),
        (
            "c",
            json!({ "roles": [{ "value": "Deploy" }, { "value": "Other", "primary": true }] }),
            Some("member"),
        ),
        ("d", json!({ "roles": [{ "value": "Deployer" }] }), None),
        ("e", json!({ "roles": [{ "value": "x", "display": "Deploy" }] }), None),
        ("f", json!({ "entitlements": [{ "value": "seat" }] }), Some("lead")),
        ("g", json!({ "urn:acme:hr:2.0:User": { "badge": 42 } }), Some("admin")),
        ("h", json!({ "roles": [{ "value": "Lead", "primary": true }] }), Some("lead")),
        ("i", json!({ "roles": [{ "value": "Lead" }] }), None),
    ] {
        let email = format!("{name}@acme.test");
        staff.made("/Users", with(name, beside)).await;
        let (state, is) = standing(&staff, &email).await;
        assert_eq!(is.as_deref(), role, "{name}");
        assert_eq!(state, if role.is_some() { "active" } else { "suspended" }, "{name}");
    }
}

#[tokio::test]
async fn a_mapping_of_a_value_reaches_whoever_has_it_when_it_comes_changes_and_goes() {
    let staff = Provider::new();
    for (name, title) in [("ann", "Engineer"), ("bob", "Engineer"), ("eve", "Clerk")] {
        staff.made("/Users", with(name, json!({ "title": title }))).await;
    }
    let wish = wish(&staff, "title", "Engineer", json!({ "role": "member" }));
    let (status, seen) = staff.admin("POST", "/mappings/preview?limit=1", wish.clone()).await;
    assert_eq!(status, 200, "{seen}");
    assert_eq!((&seen["people"], &seen["changing"]), (&json!(2), &json!(2)));
    assert_eq!(seen["items"].as_array().unwrap().len(), 1);
    assert_eq!(seen["items"][0]["gains"]["role"], "member");
    let next = format!("/mappings/preview?limit=1&cursor={}", seen["next"].as_str().unwrap());
    let (_, rest) = staff.admin("POST", &next, wish.clone()).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    assert_ne!(seen["items"][0]["member"], rest["items"][0]["member"]);
    assert_eq!(standing(&staff, "ann@acme.test").await.0, "suspended", "a preview changes nothing");

    let (_, made) = staff.admin("POST", "/mappings", wish).await;
    for name in ["ann", "bob"] {
        assert_eq!(standing(&staff, &format!("{name}@acme.test")).await, has("active", "member"));
    }
    assert_eq!(standing(&staff, "eve@acme.test").await.0, "suspended");
    let path = format!("/mappings/{}", made["id"].as_str().unwrap());
    let clerks = json!({ "attribute": { "name": "title", "value": "Clerk" } });
    let (status, changed) = staff.admin("PATCH", &path, clerks.clone()).await;
    assert_eq!((status, &changed["attribute"]), (200, &clerks["attribute"]));
    assert_eq!(standing(&staff, "ann@acme.test").await.0, "suspended");
    assert_eq!(standing(&staff, "eve@acme.test").await, has("active", "member"));
    assert_eq!(staff.admin("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(standing(&staff, "eve@acme.test").await.0, "suspended");
}

#[tokio::test]
async fn no_value_gives_ownership_and_another_directory_says_nothing_by_the_same_word() {
    let staff = Provider::new();
    let owners = wish(&staff, "roles", "Owner", json!({ "role": "owner" }));
    let (status, refused) = staff.admin("POST", "/mappings", owners).await;
    assert_eq!((status, refused["code"].as_str()), (422, Some("role_is_explicit_only")), "{refused}");
    mapped(&staff, "roles", "Admin", json!({ "role": "admin" })).await;
    let other = Provider::beside(&staff.bench, staff.organization, "acme", None, 3600);
    other.made("/Users", with("mallory", json!({ "roles": [{ "value": "Admin" }] }))).await;
    assert_eq!(standing(&staff, "mallory@acme.test").await, ("suspended".to_owned(), None));
}

#[tokio::test]
async fn the_same_said_again_writes_nothing_and_an_unmapped_value_settles_nobody() {
    let staff = Provider::with(Some("viewer"), 3600);
    let body = with("ann", json!({ "title": "Engineer", "roles": [{ "value": "a" }, { "value": "b" }] }));
    let ann = staff.made("/Users", body.clone()).await;
    let rows = staff.rows();
    for _ in 0..2 {
        assert_eq!(staff.call("PUT", &format!("/Users/{ann}"), body.clone()).await.status, 200);
    }
    assert_eq!(staff.rows(), rows);
    let other = with("ann", json!({ "title": "Clerk", "roles": [{ "value": "b" }, { "value": "a" }] }));
    staff.call("PUT", &format!("/Users/{ann}"), other).await;
    let (_, events) = staff.admin("GET", "/audit-events?action=member.access_changed", Value::Null).await;
    assert_eq!(events["items"], json!([]), "no mapping is about titles");
    let none = with("ann", json!({}));
    staff.call("PUT", &format!("/Users/{ann}"), none).await;
    assert_eq!(facets(&staff), 0, "what is said no longer is kept no longer");
}

fn facets(staff: &Provider) -> i64 {
    const COUNT: Statement = Statement::read("test.facets", "SELECT COUNT(*) FROM directory_user_facets");
    staff.bench.write(|tx, _| Ok(tx.row(&COUNT, &[])?.expect("a count").int(0)?))
}

#[tokio::test]
async fn names_that_no_mapping_can_stand_on_are_refused_and_say_why() {
    let staff = Provider::new();
    for (name, value, why) in [
        ("userName", "ann@acme.test", "names one person"),
        ("emails.value", "ann@acme.test", "names one person"),
        ("active", "true", "cannot be mapped"),
        ("groups", "Eng", "cannot be mapped"),
        ("shoeSize", "42", "is not an attribute of users"),
        ("no name", "x", "is not the name of an attribute"),
        ("title", "", "`value` must be"),
    ] {
        let (status, refused) =
            staff.admin("POST", "/mappings", wish(&staff, name, value, json!({ "role": "viewer" }))).await;
        assert_eq!((status, refused["code"].as_str()), (400, Some("invalid_field")), "`{name}`: {refused}");
        assert!(refused["detail"].as_str().unwrap().contains(why), "`{name}`: {refused}");
    }
    let unit = json!({ "directory": staff.directory.to_string(), "org_unit": "/Sales", "role": "viewer" });
    let (status, refused) = staff.admin("POST", "/mappings", unit.clone()).await;
    assert_eq!((status, refused["code"].as_str()), (422, Some("no_org_units")), "{refused}");
    let (status, refused) = staff.admin("POST", "/mappings/preview", unit).await;
    assert_eq!((status, refused["code"].as_str()), (422, Some("no_org_units")), "{refused}");
}

#[tokio::test]
async fn somebody_with_more_values_than_are_kept_is_refused_whole() {
    let staff = Provider::new();
    let sites: Vec<String> = (0..2001).map(|n| format!("site-{n}")).collect();
    let much = with("ann", json!({ "urn:acme:hr:2.0:User": { "sites": sites } }));
    let refused = staff.call("POST", "/Users", much).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("2,000 values"), "{}", refused.text());
    let (_, page) = staff.admin("GET", "/members", Value::Null).await;
    assert_eq!(page["items"], json!([]));
}

#[tokio::test]
async fn a_value_of_more_people_than_one_transaction_carries_is_answered_at_once_and_stored_later() {
    let staff = Provider::new();
    for n in 0..501 {
        staff.made("/Users", with(&format!("p{n}"), json!({ "title": "Engineer" }))).await;
    }
    let made = mapped(&staff, "title", "Engineer", json!({ "role": "member" })).await;
    assert_eq!(made["rules_pending"], json!(true));
    assert_eq!(
        standing(&staff, "p500@acme.test").await,
        has("active", "member"),
        "resolved where it is read"
    );
    for _ in 0..3 {
        staff.bench.portcullis().step_rules().await.unwrap();
    }
    let (_, page) = staff.admin("GET", "/members?role=member&limit=1", Value::Null).await;
    assert!(page.get("rules_pending").is_none_or(|pending| *pending == json!(false)), "{page}");
    let (_, seen) = staff
        .admin("POST", "/mappings/preview", wish(&staff, "title", "Engineer", json!({ "role": "admin" })))
        .await;
    assert_eq!((&seen["people"], &seen["changing"]), (&json!(501), &Value::Null));
    assert_eq!(seen["items"].as_array().unwrap().len(), 50, "a page");
}
