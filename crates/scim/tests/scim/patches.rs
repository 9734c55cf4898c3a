//! PATCH of a user: the algorithm of RFC 7644 section 3.5.2, and where it is lenient.

use portcullis_scim::{DialectNote, ScimError, ScimType, parse_patch};
use serde_json::{Value, json};

use crate::wire::{ENTERPRISE, attributes, patch, patch_body, patched, refused_patch, user};

mod custom;
mod lists;

#[test]
fn a_patch_needs_its_schema_and_operations() {
    for (body, expected) in [
        (json!({"Operations": [{"op": "add", "value": {}}]}), ScimError::NotPatch),
        (json!({"schemas": ["urn:x"], "Operations": [{"op": "add", "value": {}}]}), ScimError::NotPatch),
        (json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}), ScimError::NoOperations),
        (
            json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": []}),
            ScimError::NoOperations,
        ),
        (
            json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [{"op": "move"}]}),
            ScimError::UnknownOp,
        ),
        (
            json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [{"value": {}}]}),
            ScimError::UnknownOp,
        ),
        (
            json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [{"op": "remove"}]}),
            ScimError::RemoveWithoutPath,
        ),
        (
            json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [{"op": "add", "path": "title"}]}),
            ScimError::MissingValue,
        ),
        (
            json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [{"op": "add", "value": "x"}]}),
            ScimError::MissingValue,
        ),
    ] {
        assert_eq!(parse_patch(body.to_string().as_bytes()), Err(expected), "{body}");
    }
}

#[test]
fn the_keys_and_names_of_operations_have_no_case() {
    let body = json!({
        "Schemas": ["URN:ietf:params:scim:api:messages:2.0:patchop"],
        "operations": [{"OP": "REPLACE", "Path": "TITLE", "Value": "T"}, {"op": "Add", "path": null, "value": {"nickname": "N"}}]
    });
    let patch = parse_patch(body.to_string().as_bytes()).expect("a patch");
    let (after, notes) = patch.apply_to_user(&user(&json!({"userName": "a"}))).expect("a user");
    assert_eq!(attributes(&after), json!({"userName": "a", "title": "T", "nickName": "N"}));
    assert!(notes.contains(&DialectNote::CapitalisedOp));
}

#[test]
fn a_refused_operation_refuses_those_before_it() {
    let before = user(&json!({"userName": "a", "title": "T"}));
    let refusal = refused_patch(
        &before,
        &json!([
            {"op": "replace", "path": "title", "value": "U"},
            {"op": "replace", "path": "active", "value": false},
            {"op": "replace", "path": "nonsense", "value": 1}
        ]),
    );
    assert_eq!(refusal, ScimError::UnknownAttribute { path: "nonsense".to_owned() });
    assert_eq!(attributes(&before), json!({"userName": "a", "title": "T"}));
}

#[test]
fn an_explicit_path_to_what_is_read_only_is_refused_and_a_key_is_left_aside() {
    let before = user(&json!({"userName": "a"}));
    for path in [
        "id",
        "meta",
        "meta.created",
        "groups",
        "groups[value eq \"x\"]",
        &format!("{ENTERPRISE}:manager.displayName"),
    ] {
        for op in ["add", "replace", "remove"] {
            let refusal = refused_patch(&before, &json!([{"op": op, "path": path, "value": "x"}]));
            assert_eq!(refusal.scim_type(), Some(ScimType::Mutability), "{op} {path}");
        }
    }
    let (after, notes) = patch(
        &before,
        &json!([{"op": "replace", "value": {"id": "x", "meta": {}, "groups": [], "schemas": [], "title": "T"}}]),
    )
    .expect("a user");
    assert_eq!(attributes(&after), json!({"userName": "a", "title": "T"}));
    assert!(notes.contains(&DialectNote::ReadOnlyIgnored("id")));
}

#[test]
fn paths_that_name_nothing_are_refused_with_invalid_path() {
    let before = user(&json!({"userName": "a"}));
    for path in [
        "nonsense",
        "name.nonsense",
        "emails.nonsense",
        "title.value",
        "title[value eq \"x\"]",
        "members",
        "urn:ietf:params:scim:schemas:core:2.0:Group:displayName",
        "urn:ietf:params:scim:schemas:core:2.0:Group",
        &format!("{ENTERPRISE}:nonsense"),
        "emails[",
        "emails[type eq]",
        "emails[type eq \"work\"]value",
        "emails[type eq \"work\"].",
        "emails[type gt true].value",
        "emails[primary gt true].value",
        "1",
        ".",
        "a..b",
        "emails[type eq \"a[b]\"].x.y",
        "name.givenName.x",
    ] {
        let operations = json!([{"op": "replace", "path": path, "value": "x"}]);
        let refusal = refused_patch(&before, &operations);
        let kind = refusal.scim_type();
        assert!(matches!(kind, Some(ScimType::InvalidPath | ScimType::NoTarget)), "{path}: {refusal}");
    }
    let ignored =
        patched(&before, &json!([{"op": "replace", "value": {"nonsense": 1, "members": [], "1": 2}}]));
    assert_eq!(ignored, before);
}

#[test]
fn a_filter_that_is_not_understood_removes_and_overwrites_nothing() {
    let before = user(&json!({
        "userName": "a", "emails": [{"value": "1", "type": "work", "display": "D"}, {"value": "2", "primary": true}]
    }));
    for filter in [
        "typ ne \"work\"",
        "nonsense eq \"x\"",
        "not (kind eq \"work\")",
        "type pr or kind pr",
        "value.x ne \"a\"",
        "urn:acme:hr:2.0:User:type ne \"work\"",
        "primary ne \"yes\"",
        "not (primary eq 1)",
        "not (type sw null)",
    ] {
        let path = format!("emails[{filter}]");
        for operation in [
            json!({"op": "remove", "path": path}),
            json!({"op": "remove", "path": format!("{path}.display")}),
            json!({"op": "replace", "path": format!("{path}.value"), "value": "x"}),
            json!({"op": "add", "path": path, "value": {"value": "x"}}),
        ] {
            let refusal = refused_patch(&before, &json!([operation]));
            assert_eq!(refusal.scim_type(), Some(ScimType::InvalidPath), "{operation}");
        }
        let as_key = json!([{"op": "replace", "value": {(format!("{path}.value")): "x"}}]);
        assert_eq!(patched(&before, &as_key), before, "{filter}");
    }
}

#[test]
fn a_password_is_taken_and_discarded_wherever_it_stands() {
    let before = user(&json!({"userName": "a"}));
    for operation in [
        json!({"op": "replace", "path": "password", "value": "s3cret"}),
        json!({"op": "replace", "value": {"password": "s3cret"}}),
        json!({"op": "remove", "path": "password"}),
        json!({"op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:User:password", "value": "s3cret"}),
    ] {
        let (after, notes) = patch(&before, &json!([operation])).expect("a user");
        assert_eq!(after, before);
        assert!(!format!("{notes:?}").contains("s3cret"));
    }
}

#[test]
fn the_user_name_can_be_changed_and_not_removed() {
    let before = user(&json!({"userName": "a"}));
    assert_eq!(
        patched(&before, &json!([{"op": "replace", "path": "userName", "value": "A"}])).user_name(),
        "A"
    );
    for operation in [
        json!({"op": "remove", "path": "userName"}),
        json!({"op": "replace", "path": "userName", "value": null}),
        json!({"op": "replace", "value": {"userName": null}}),
        json!({"op": "replace", "path": "userName", "value": ""}),
    ] {
        refused_patch(&before, &json!([operation]));
    }
}

#[test]
fn removing_active_never_brings_somebody_back() {
    let gone = user(&json!({"userName": "a", "active": false}));
    for operation in [
        json!({"op": "remove", "path": "active"}),
        json!({"op": "replace", "path": "active", "value": null}),
        json!({"op": "add", "path": "active", "value": []}),
        json!({"op": "replace", "value": {"active": null}}),
    ] {
        let (after, notes) = patch(&gone, &json!([operation])).expect("a user");
        assert_eq!(after, gone);
        assert!(notes.contains(&DialectNote::StaysInactive));
    }
    let (remove, off) = (
        json!({"op": "remove", "path": "active"}),
        json!({"op": "replace", "path": "active", "value": false}),
    );
    for (operations, stays) in [(json!([remove, off]), false), (json!([remove, off, remove]), true)] {
        let (after, notes) = patch(&gone, &operations).expect("a user");
        assert_eq!((after.active(), notes.contains(&DialectNote::StaysInactive)), (Some(false), stays));
    }
    let present = user(&json!({"userName": "a", "active": true}));
    let removed = patched(&present, &json!([{"op": "remove", "path": "active"}]));
    assert_eq!((removed.active(), removed.is_active()), (None, true));
}

#[test]
fn a_patch_says_inactive_by_its_names_and_values_whatever_becomes_of_it() {
    let core = "urn:ietf:params:scim:schemas:core:2.0:User";
    let flat = format!("{}:ACTIVE", core.to_uppercase());
    for (operation, expected) in [
        (json!({"op": "replace", "path": "active", "value": false}), true),
        (json!({"op": "Replace", "path": "Active", "value": "False"}), true),
        (json!({"op": "add", "path": "active", "value": [false]}), true),
        (json!({"op": "Add", "path": flat, "value": "false"}), true),
        (json!({"op": "replace", "value": {"active": false}}), true),
        (json!({"op": "replace", "value": {"title": "x", "aCTIVE": "False"}}), true),
        (json!({"op": "replace", "value": {(flat.as_str()): false}}), true),
        (json!({"op": "replace", "value": {core: {"active": false}}}), true),
        (json!({"op": "replace", "path": core, "value": {"active": false}}), true),
        (json!({"op": "replace", "path": "active", "value": true}), false),
        (json!({"op": "replace", "path": "active", "value": null}), false),
        (json!({"op": "remove", "path": "active"}), false),
        (json!({"op": "replace", "path": "active", "value": "no"}), false),
        (json!({"op": "replace", "path": "title", "value": "active"}), false),
        (json!({"op": "replace", "path": "userName", "value": null}), false),
        (json!({"op": "remove", "path": "emails[type eq \"work\"]"}), false),
        (json!({"op": "replace", "path": "emails[type co \"work\"].value", "value": "x"}), false),
        (json!({"op": "replace", "path": "name.active", "value": false}), false),
        (json!({"op": "replace", "path": "urn:acme:hr:2.0:User:active", "value": false}), false),
        (json!({"op": "replace", "value": {"urn:acme:hr:2.0:User": {"active": false}}}), false),
    ] {
        for operations in
            [json!([operation]), json!([{"op": "add", "path": "title", "value": "x"}, operation])]
        {
            let patch = parse_patch(&patch_body(&operations)).expect("a patch");
            assert_eq!(patch.says_inactive(), expected, "{operations}");
        }
    }
}

#[test]
fn no_string_but_the_four_changes_active() {
    let before = user(&json!({"userName": "a", "active": false}));
    for value in [json!("yes"), json!("1"), json!(1), json!(""), json!("TRUE"), json!({"value": "x"})] {
        refused_patch(&before, &json!([{"op": "replace", "path": "active", "value": value}]));
    }
    for value in [json!("True"), json!([true]), json!([{"$ref": null, "value": "True"}])] {
        let after = patched(&before, &json!([{"op": "Replace", "path": "active", "value": value}]));
        assert_eq!(after.active(), Some(true));
    }
}

#[test]
fn add_merges_a_complex_attribute_and_appends_to_a_list() {
    let before = user(
        &json!({"userName": "a", "name": {"givenName": "Al"}, "emails": [{"value": "1", "type": "work"}]}),
    );
    let after = patched(
        &before,
        &json!([
            {"op": "add", "path": "name", "value": {"familyName": "A"}},
            {"op": "add", "path": "emails", "value": [{"value": "2", "type": "home"}]},
            {"op": "add", "path": "emails", "value": {"value": "1", "type": "work", "display": "One"}}
        ]),
    );
    assert_eq!(
        attributes(&after),
        json!({"userName": "a", "name": {"givenName": "Al", "familyName": "A"},
               "emails": [{"value": "1", "type": "work", "display": "One"}, {"value": "2", "type": "home"}]})
    );
}

#[test]
fn an_added_value_that_differs_from_one_in_letter_case_alone_is_that_one() {
    let certificate = json!({"value": "AbC="});
    let before = user(&json!({
        "userName": "a", "emails": [{"value": "ä@x", "type": "work"}, {"value": "b@x"}],
        "x509Certificates": [certificate]
    }));
    let add = |path: &str, value: Value| {
        let after = patched(&before, &json!([{"op": "add", "path": path, "value": [value]}]));
        after.attributes()[path].clone()
    };
    let upper = json!({"value": "Ä@X", "type": "Work", "display": "A"});
    assert_eq!(add("emails", upper.clone()), json!([upper, {"value": "b@x"}]), "as it was spelled last");
    let other = json!({"value": "B@X", "type": "home"});
    assert_eq!(
        add("emails", other.clone()),
        json!([{"value": "ä@x", "type": "work"}, {"value": "b@x"}, other])
    );
    let lower = json!({"value": "abc="});
    assert_eq!(add("x509Certificates", lower.clone()), json!([certificate, lower]));
}

#[test]
fn replace_sets_listed_parts_of_a_complex_attribute_and_the_whole_of_a_list() {
    let before = user(
        &json!({"userName": "a", "name": {"givenName": "Al", "familyName": "A"}, "emails": [{"value": "1"}, {"value": "2"}]}),
    );
    let after = patched(
        &before,
        &json!([
            {"op": "replace", "path": "name", "value": {"familyName": "B"}},
            {"op": "replace", "path": "emails", "value": [{"value": "3"}]}
        ]),
    );
    assert_eq!(
        attributes(&after),
        json!({"userName": "a", "name": {"givenName": "Al", "familyName": "B"}, "emails": [{"value": "3"}]})
    );
}

#[test]
fn setting_a_primary_clears_the_others() {
    let before = user(
        &json!({"userName": "a", "emails": [{"value": "1", "primary": true}, {"value": "2"}, {"value": "3", "type": "home"}]}),
    );
    for operation in [
        json!({"op": "replace", "path": "emails[value eq \"2\"].primary", "value": true}),
        json!({"op": "add", "path": "emails", "value": [{"value": "2", "primary": "True"}]}),
        json!({"op": "add", "path": "emails[value eq \"2\"]", "value": {"primary": true}}),
    ] {
        let after = patched(&before, &json!([operation]));
        let primaries: Vec<String> = after
            .emails()
            .iter()
            .filter(|email| email.is_primary)
            .map(|email| email.value.to_owned())
            .collect();
        assert_eq!(primaries, ["2"], "{operation}");
        assert_eq!(after.emails().len(), 3);
    }
}

#[test]
fn a_filter_that_matches_several_values_changes_them_all() {
    let before = user(
        &json!({"userName": "a", "emails": [{"value": "1", "type": "work"}, {"value": "2", "type": "WORK"}, {"value": "3", "type": "home"}]}),
    );
    let after = patched(
        &before,
        &json!([{"op": "replace", "path": "emails[type eq \"work\"].display", "value": "W"}]),
    );
    let displays: Vec<Option<&Value>> = after.attributes()["emails"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|email| email.get("display"))
        .collect();
    assert_eq!(displays, [Some(&json!("W")), Some(&json!("W")), None]);
}

#[test]
fn a_filter_of_equalities_makes_the_value_that_it_describes() {
    let before = user(&json!({"userName": "a"}));
    for (path, value, expected) in [
        ("emails[type eq \"work\"].value", json!("w"), json!([{"type": "work", "value": "w"}])),
        (
            "emails[type eq \"work\" and primary eq true].value",
            json!("w"),
            json!([{"type": "work", "primary": true, "value": "w"}]),
        ),
        ("emails[primary eq \"True\"].value", json!("w"), json!([{"primary": true, "value": "w"}])),
        ("emails[type eq work]", json!({"value": "w"}), json!([{"type": "work", "value": "w"}])),
        ("emails[type eq \"work\"]", json!([{"value": "w"}]), json!([{"type": "work", "value": "w"}])),
        ("emails[type eq \"work\"]", json!("w"), json!([{"type": "work", "value": "w"}])),
    ] {
        for op in ["add", "replace"] {
            let (after, notes) =
                patch(&before, &json!([{"op": op, "path": path, "value": value}])).expect("a user");
            assert_eq!(after.attributes()["emails"], expected, "{op} {path}");
            assert!(notes.contains(&DialectNote::SeededByFilter("emails")));
        }
    }
}

#[test]
fn any_other_filter_without_a_match_is_no_target() {
    let before = user(&json!({"userName": "a", "emails": [{"value": "1", "type": "home"}]}));
    for path in [
        "emails[type sw \"w\"].value",
        "emails[type eq \"work\" or type eq \"other\"].value",
        "emails[not (type eq \"home\")].value",
        "emails[type pr and value eq \"2\"].value",
        "emails[type eq null].value",
        "emails[type eq \"a\" and type eq \"b\"].value",
    ] {
        let refusal = refused_patch(&before, &json!([{"op": "replace", "path": path, "value": "x"}]));
        assert_eq!(refusal.scim_type(), Some(ScimType::NoTarget), "{path}");
    }
}

#[test]
fn a_part_of_a_list_without_a_filter_must_be_clear() {
    let path = json!([{"op": "replace", "path": "emails.value", "value": "n"}]);
    let none = patched(&user(&json!({"userName": "a"})), &path);
    assert_eq!(none.attributes()["emails"], json!([{"value": "n"}]));
    let one = patched(&user(&json!({"userName": "a", "emails": [{"value": "1", "type": "work"}]})), &path);
    assert_eq!(one.attributes()["emails"], json!([{"value": "n", "type": "work"}]));
    let two = user(&json!({"userName": "a", "emails": [{"value": "1"}, {"value": "2"}]}));
    assert!(matches!(refused_patch(&two, &path), ScimError::AmbiguousTarget { .. }));
}

#[test]
fn a_value_that_has_only_labels_stays_whatever_is_written_and_in_whatever_order() {
    let labels =
        user(&json!({"userName": "a", "roles": [{"display": "Admin", "primary": true}, {"type": "x"}]}));
    let rename = json!([{"op": "replace", "path": "roles[primary eq \"True\"].display", "value": "User"}]);
    let renamed = patched(&labels, &rename);
    assert_eq!(renamed.attributes()["roles"], json!([{"display": "User", "primary": true}, {"type": "x"}]));
    assert_eq!(patched(&renamed, &rename), renamed);

    let nobody = user(&json!({"userName": "a"}));
    let add = |part: &str| json!({"op": "add", "path": format!("roles[primary eq \"True\"].{part}"), "value": part});
    let whole = json!([{"primary": true, "display": "display", "type": "type", "value": "value"}]);
    for order in [["display", "type", "value"], ["type", "value", "display"], ["value", "display", "type"]] {
        let after = patched(&nobody, &order.map(add).to_vec().into());
        assert_eq!(after.attributes()["roles"], whole, "{order:?}");
    }
    for (object, expected) in [
        (
            json!({"emails[type eq \"work\"].display": "D", "emails[type eq \"work\"].primary": true,
                   "emails[type eq \"work\"].value": "w"}),
            json!([{"type": "work", "display": "D", "primary": true, "value": "w"}]),
        ),
        (json!({"emails.type": "work", "emails.value": "w"}), json!([{"type": "work", "value": "w"}])),
    ] {
        let after = patched(&nobody, &json!([{"op": "add", "value": object}]));
        assert_eq!(after.attributes()["emails"], expected, "{object}");
    }
    let whole = user(&json!({"userName": "a", "emails": [{"value": "w", "type": "work"}]}));
    for operation in [
        json!({"op": "replace", "path": "emails.value", "value": null}),
        json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": null}),
        json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": []}),
    ] {
        assert_eq!(patched(&whole, &json!([operation])), nobody, "{operation}");
    }
}

#[test]
fn remove_takes_away_what_the_path_selects() {
    let before = json!({
        "userName": "a", "title": "T", "name": {"givenName": "Al"}, "externalId": "e",
        "emails": [{"value": "1", "type": "work"}, {"value": "2", "type": "home", "display": "D"}],
        "addresses": [{"type": "work", "locality": "L"}], ENTERPRISE: {"department": "D"}
    });
    for (path, pointer, left) in [
        ("title", "/title", None),
        ("name", "/name", None),
        ("name.givenName", "/name", None),
        ("externalId", "/externalId", None),
        ("emails", "/emails", None),
        (
            "emails[type eq \"work\"]",
            "/emails",
            Some(json!([{"value": "2", "type": "home", "display": "D"}])),
        ),
        (
            "emails[type eq \"work\"].value",
            "/emails",
            Some(json!([{"value": "2", "type": "home", "display": "D"}])),
        ),
        ("emails[type eq \"home\"].display", "/emails/1", Some(json!({"value": "2", "type": "home"}))),
        ("emails[type eq \"none\"]", "/title", Some(json!("T"))),
        ("emails.display", "/emails/1", Some(json!({"value": "2", "type": "home"}))),
        ("addresses[type eq \"work\"].locality", "/addresses", None),
    ] {
        let after = patched(&user(&before), &json!([{"op": "remove", "path": path}]));
        assert_eq!(attributes(&after).pointer(pointer), left.as_ref(), "{path}");
    }
    let after =
        patched(&user(&before), &json!([{"op": "remove", "path": format!("{ENTERPRISE}:department")}]));
    assert!(!after.attributes().contains_key(ENTERPRISE));
}

#[test]
fn a_remove_with_values_takes_only_those() {
    let before = user(&json!({"userName": "a", "emails": [{"value": "A", "type": "work"}, {"value": "b"}]}));
    let (after, notes) = patch(
        &before,
        &json!([{"op": "Remove", "path": "emails", "value": [{"value": "a", "primary": true}]}]),
    )
    .expect("a user");
    assert_eq!(after.attributes()["emails"], json!([{"value": "b"}]));
    assert!(notes.contains(&DialectNote::RemoveByValue("emails".into())));
    let (same, notes) =
        patch(&before, &json!([{"op": "remove", "path": "emails", "value": []}])).expect("a user");
    assert_eq!(same, before);
    assert!(notes.contains(&DialectNote::EmptyRemove("emails".into())));
}

#[test]
fn a_manager_is_removed_only_if_it_is_the_one_that_is_named() {
    let before = user(&json!({"userName": "a", ENTERPRISE: {"manager": {"value": "9"}}}));
    let path = format!("{ENTERPRISE}:manager");
    let other = patched(&before, &json!([{"op": "Remove", "path": path, "value": [{"value": "8"}]}]));
    assert_eq!(other, before);
    for operation in [
        json!({"op": "Remove", "path": path, "value": [{"value": "9"}]}),
        json!({"op": "Remove", "path": path, "value": "9"}),
        json!({"op": "Remove", "path": path}),
        json!({"op": "Remove", "path": "manager"}),
    ] {
        assert!(!patched(&before, &json!([operation])).attributes().contains_key(ENTERPRISE), "{operation}");
    }
}

#[test]
fn an_operation_that_says_what_is_already_so_changes_nothing() {
    let before = user(
        &json!({"userName": "a", "active": true, "emails": [{"value": "1", "type": "work", "primary": true}], ENTERPRISE: {"department": "D"}}),
    );
    let after = patched(
        &before,
        &json!([
            {"op": "Add", "path": "active", "value": "True"},
            {"op": "Add", "path": "emails", "value": [{"value": "1", "type": "work", "primary": true}]},
            {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "1"},
            {"op": "replace", "value": {"department": "D", "userName": "a"}},
            {"op": "add", "path": "schemas", "value": [ENTERPRISE]},
            {"op": "remove", "path": "title"}
        ]),
    );
    assert_eq!(after, before);
}
