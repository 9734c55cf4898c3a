//! The order of lists.

use std::cmp::Ordering;

use portcullis_scim::limits::MAX_SORT_KEY_BYTES;
use portcullis_scim::{ListQuery, ResourceType, ScimError, SortBy, SortKey};
use serde_json::{Value, json};

use crate::wire::ENTERPRISE;

fn sort(by: &str, order: &str) -> Result<SortBy, ScimError> {
    let query = ListQuery::parse([("sortBy", by), ("sortOrder", order)])?;
    query.sort.expect("a sort").resolve(ResourceType::User)
}

fn key(by: &str, resource: &Value) -> SortKey {
    sort(by, "").expect("a sort").key(resource.as_object().expect("an object"))
}

#[test]
fn a_key_is_the_value_as_its_type_orders_it() {
    let person = json!({
        "userName": " Bob ", "externalId": "ABC", "active": true, "title": "",
        "name": {"familyName": "Zed"},
        "emails": [{"value": "one@x"}, {"value": "TWO@x", "primary": true}],
        "phoneNumbers": [{"value": "1"}, {"value": "2"}],
        "meta": {"created": "2026-01-01T01:00:00+01:00"},
        ENTERPRISE: {"department": "Dep"}
    });
    for (by, expected) in [
        ("userName", SortKey::Text("bob".into())),
        ("externalId", SortKey::Text("ABC".into())),
        ("active", SortKey::Flag(true)),
        ("title", SortKey::Missing),
        ("nickName", SortKey::Missing),
        ("name.familyName", SortKey::Text("zed".into())),
        ("emails", SortKey::Text("two@x".into())),
        ("emails.value", SortKey::Text("two@x".into())),
        ("phoneNumbers", SortKey::Text("1".into())),
        ("meta.created", SortKey::At(1_767_225_600_000_000)),
        ("department", SortKey::Text("dep".into())),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            SortKey::Text("dep".into()),
        ),
    ] {
        assert_eq!(key(by, &person), expected, "{by}");
    }
    let long = key("title", &json!({"title": "ä".repeat(MAX_SORT_KEY_BYTES)}));
    assert_eq!(long, SortKey::Text("ä".repeat(MAX_SORT_KEY_BYTES / 2)), "cut between letters");
}

#[test]
fn attributes_of_a_custom_extension_are_ordered_by_what_they_are() {
    let urn = "urn:acme:hr:2.0:User";
    let with = |value: Value| json!({"userName": "a", urn: {"Tag": value}});
    let of = |value: Value| key(&format!("{}:tag", urn.to_uppercase()), &with(value));
    let text = |text: &str| SortKey::Text(text.to_owned());
    for (value, expected) in [
        (json!(" Zed "), text("zed")),
        (json!(true), SortKey::Flag(true)),
        (json!([{"value": "B"}, {"value": "A", "primary": true}]), text("a")),
        (json!(["x", "y"]), text("x")),
        (json!({"value": "V", "x": 1}), text("v")),
        (json!(""), SortKey::Missing),
        (json!({"x": 1}), SortKey::Missing),
    ] {
        assert_eq!(of(value.clone()), expected, "{value}");
    }
    assert_eq!(key(&format!("{urn}:tag.X"), &with(json!([{"x": "p"}]))), text("p"));
    assert_eq!(key(&format!("{urn}:none"), &with(json!(1))), SortKey::Missing);
    assert_eq!(key("urn:other:x:User:tag", &with(json!(1))), SortKey::Missing);
    let numbers = [json!(-1e9), json!(-2), json!(-0.0), json!(0.5), json!(9), json!(10), json!(1e12)];
    assert!(numbers.map(of).is_sorted(), "numbers are no texts");
    assert_eq!(of(json!(-0.0)), of(json!(0)));
    let wish = ListQuery::parse([("sortBy", "urn:acme:hr:2.0:Group:tag")]).expect("a query").sort;
    let refused = wish.expect("a sort").resolve(ResourceType::Group);
    assert!(matches!(refused, Err(ScimError::InvalidSort { .. })), "{refused:?}");
}

#[test]
fn what_has_no_value_comes_last_and_first_backwards() {
    let (forwards, backwards) = (sort("title", "Ascending"), sort("title", "descending"));
    let (forwards, backwards) = (forwards.expect("a sort").order(), backwards.expect("a sort").order());
    let text = |text: &str| SortKey::Text(text.to_owned());
    assert_eq!(forwards.compare(&text("a"), &text("b")), Ordering::Less);
    assert_eq!(forwards.compare(&text("z"), &SortKey::Missing), Ordering::Less);
    assert_eq!(backwards.compare(&text("a"), &text("b")), Ordering::Greater);
    assert_eq!(backwards.compare(&text("z"), &SortKey::Missing), Ordering::Greater);
    assert_eq!(forwards.compare(&SortKey::Flag(false), &SortKey::Flag(true)), Ordering::Less);
}

#[test]
fn what_cannot_be_sorted_by_is_refused() {
    for by in
        ["nonsense", "name", "name.nonsense", "addresses", "groups", "groups.display", "a b", "[", "password"]
    {
        assert!(matches!(sort(by, ""), Err(ScimError::InvalidSort { .. })), "{by}");
    }
    assert_eq!(sort("userName", "upwards"), Err(ScimError::InvalidParameter { name: "sortOrder" }));
    let members = ListQuery::parse([("sortBy", "members")]).expect("a query").sort.expect("a sort");
    assert!(members.resolve(ResourceType::Group).is_err());
    assert_eq!(ListQuery::parse([("sortBy", ""), ("sortOrder", "descending")]).expect("a query").sort, None);
}
