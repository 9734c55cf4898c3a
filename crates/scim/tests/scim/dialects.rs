//! The requests of real identity providers, each with the meaning that it must have.

use portcullis_scim::{DialectNote, GroupChange, ListQuery, Members, User, parse_group, parse_user};
use serde_json::{Value, json};

use crate::wire::{ENTERPRISE, attributes, changes, ids, members, patched, user};

fn entra_user() -> User {
    user(&json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "externalId": "alice", "userName": "alice@x.test", "active": true,
        "emails": [{"primary": true, "type": "work", "value": "alice@x.test"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Alice A", "familyName": "A", "givenName": "Alice"}, "roles": []
    }))
}

#[test]
fn the_create_of_entra_is_kept_as_sent() {
    assert_eq!(
        Value::from(entra_user().attributes().clone()),
        json!({
            "externalId": "alice", "userName": "alice@x.test", "active": true,
            "emails": [{"primary": true, "type": "work", "value": "alice@x.test"}],
            "name": {"formatted": "Alice A", "familyName": "A", "givenName": "Alice"}
        })
    );
}

#[test]
fn the_nulls_the_missing_colon_and_the_bare_manager_of_entra_are_understood() {
    let user = user(&json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0User"],
        "userName": "bob@x.test", "addresses": null, "phoneNumbers": null, "title": null,
        "department": null, "manager": null,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0User": {"department": "Sales", "manager": "9"}
    }));
    assert_eq!(
        Value::from(user.attributes().clone()),
        json!({"userName": "bob@x.test", ENTERPRISE: {"department": "Sales", "manager": {"value": "9"}}})
    );
}

#[test]
fn the_legacy_patch_of_entra_sets_every_attribute() {
    let user = patched(
        &entra_user(),
        &json!([
            {"op": "Replace", "path": "active", "value": "False"},
            {"op": "Replace", "path": "displayName", "value": "Alice B"},
            {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "B@x.test"},
            {"op": "Add", "path": "name.givenName", "value": "Al"},
            {"op": "Add", "path": format!("{ENTERPRISE}:employeeNumber"), "value": "77"},
            {"op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": [{"$ref": "http://h/Users/9", "value": "9"}]}
        ]),
    );
    assert_eq!(user.active(), Some(false));
    assert_eq!(
        Value::from(user.attributes().clone()),
        json!({
            "externalId": "alice", "userName": "alice@x.test", "active": false, "displayName": "Alice B",
            "emails": [{"primary": true, "type": "work", "value": "B@x.test"}],
            "name": {"formatted": "Alice A", "familyName": "A", "givenName": "Al"},
            ENTERPRISE: {"employeeNumber": "77", "manager": {"$ref": "http://h/Users/9", "value": "9"}}
        })
    );
}

#[test]
fn the_flagged_patch_of_entra_expands_flat_keys() {
    let user = patched(
        &entra_user(),
        &json!([
            {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "b@x.test"},
            {"op": "replace", "value": {
                "displayName": "Alice B", "name.givenName": "Al", "name.familyName": "B",
                (format!("{ENTERPRISE}:employeeNumber")): "77"
            }}
        ]),
    );
    assert_eq!(
        Value::from(user.attributes().clone()),
        json!({
            "externalId": "alice", "userName": "alice@x.test", "active": true, "displayName": "Alice B",
            "emails": [{"primary": true, "type": "work", "value": "b@x.test"}],
            "name": {"formatted": "Alice A", "familyName": "B", "givenName": "Al"},
            ENTERPRISE: {"employeeNumber": "77"}
        })
    );
}

#[test]
fn both_dialects_of_entra_mean_the_same() {
    let legacy = patched(
        &entra_user(),
        &json!([
            {"op": "Add", "path": "active", "value": "False"},
            {"op": "Add", "path": "name.familyName", "value": "B"},
            {"op": "Add", "path": format!("{ENTERPRISE}:department"), "value": "D"}
        ]),
    );
    let flagged = patched(
        &entra_user(),
        &json!([{"op": "replace", "value": {
            "active": false, "name.familyName": "B", (format!("{ENTERPRISE}:department")): "D"
        }}]),
    );
    assert_eq!(legacy, flagged);
}

#[test]
fn entra_reactivates_by_a_string() {
    let gone = patched(&entra_user(), &json!([{"op": "Replace", "path": "active", "value": "False"}]));
    let back = patched(&gone, &json!([{"op": "Replace", "path": "active", "value": "True"}]));
    assert_eq!(back, entra_user());
}

#[test]
fn entra_creates_an_email_by_replacing_one_that_is_not_there() {
    let user = patched(
        &user(&json!({"userName": "a"})),
        &json!([{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "a@x.test"}]),
    );
    assert_eq!(user.attributes()["emails"], json!([{"type": "work", "value": "a@x.test"}]));
}

#[test]
fn entra_removes_what_is_not_set_with_success() {
    let before = user(&json!({"userName": "a"}));
    let after = patched(
        &before,
        &json!([
            {"op": "Remove", "path": "title"},
            {"op": "Remove", "path": "name.givenName"},
            {"op": "Remove", "path": "emails[type eq \"work\"].value"},
            {"op": "Remove", "path": format!("{ENTERPRISE}:manager")}
        ]),
    );
    assert_eq!(after, before);
}

#[test]
fn the_group_of_entra_has_no_members_yet_and_its_unknown_schema_is_noted() {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group",
                    "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": "8aa1", "displayName": "Eng", "members": [], "meta": {"resourceType": "Group"}
    });
    let (group, notes) = parse_group(body.to_string().as_bytes()).expect("a group");
    assert_eq!((group.display_name.as_str(), group.external_id.as_deref()), ("Eng", Some("8aa1")));
    assert_eq!(group.members, Some(Members::default()));
    assert!(notes.iter().any(|note| matches!(note, DialectNote::UnknownSchema(_))));
}

#[test]
fn entra_removes_one_member_by_a_value_array_and_keeps_the_others() {
    let changes = changes(&json!([
        {"op": "Add", "path": "members", "value": [{"$ref": null, "value": "U1"}, {"$ref": null, "value": "U2"}]},
        {"op": "Remove", "path": "members", "value": [{"$ref": null, "value": "U3"}]}
    ]));
    assert_eq!(
        changes,
        [GroupChange::AddMembers(members(&["U1", "U2"])), GroupChange::RemoveMembers(ids(&["U3"]))]
    );
}

#[test]
fn entra_with_the_flag_removes_by_a_filter() {
    let changes = changes(&json!([{"op": "remove", "path": "members[value eq \"U3\"]"}]));
    assert_eq!(changes, [GroupChange::RemoveMembers(ids(&["U3"]))]);
}

#[test]
fn entra_renames_a_group() {
    let changes = changes(&json!([{"op": "Replace", "path": "displayName", "value": "Eng2"}]));
    assert_eq!(changes, [GroupChange::SetDisplayName("Eng2".to_owned())]);
}

#[test]
fn the_create_of_okta_drops_the_password_and_the_groups() {
    let (user, notes) = parse_user(
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "a@x.test",
            "name": {"givenName": "Al", "familyName": "A"},
            "emails": [{"primary": true, "value": "a@x.test", "type": "work"}],
            "displayName": "Al A", "locale": "en-US", "externalId": "00u123", "groups": [],
            "password": "placeholder", "active": true
        })
        .to_string()
        .as_bytes(),
    )
    .expect("a user");
    assert!(!user.attributes().contains_key("password") && !user.attributes().contains_key("groups"));
    assert_eq!(user.formatted_name().as_deref(), Some("Al A"));
    assert!(notes.contains(&DialectNote::PasswordDiscarded));
    assert!(!format!("{notes:?}").contains("placeholder"));
}

#[test]
fn the_put_of_okta_with_its_read_only_parts_is_taken() {
    let put = user(&json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "G1", "userName": "a@x.test",
        "groups": [{"value": "G1"}], "meta": {"resourceType": "User", "location": "x"},
        "password": "placeholder", "active": false
    }));
    assert_eq!(Value::from(put.attributes().clone()), json!({"userName": "a@x.test", "active": false}));
}

#[test]
fn the_path_less_patch_of_okta_deactivates_and_reactivates() {
    let gone = patched(&entra_user(), &json!([{"op": "replace", "value": {"active": false}}]));
    assert_eq!(gone.active(), Some(false));
    let back = patched(&gone, &json!([{"op": "replace", "value": {"active": true}}]));
    assert_eq!(back.active(), Some(true));
}

#[test]
fn the_rename_of_okta_ignores_the_id_in_its_value() {
    let changes = changes(&json!([{"op": "replace", "value": {"id": "G1", "displayName": "Eng2"}}]));
    assert_eq!(changes, [GroupChange::SetDisplayName("Eng2".to_owned())]);
}

#[test]
fn the_delta_of_okta_removes_and_adds() {
    let changes = changes(&json!([
        {"op": "remove", "path": "members[value eq \"U1\"]"},
        {"op": "add", "path": "members", "value": [{"value": "U2", "display": "b@x.test"}]}
    ]));
    assert_eq!(
        changes,
        [GroupChange::RemoveMembers(ids(&["U1"])), GroupChange::AddMembers(members(&["U2"]))]
    );
}

#[test]
fn the_pushes_of_okta_replace_all_members() {
    for (operations, expected) in [
        (
            json!([{"op": "replace", "path": "members", "value": [{"value": "U1", "display": "x"}]}]),
            vec![GroupChange::ReplaceMembers(members(&["U1"]))],
        ),
        (
            json!([{"op": "replace", "path": "members", "value": []}]),
            vec![GroupChange::ReplaceMembers(Members::default())],
        ),
        (
            json!([{"op": "replace", "value": {"members": [], "id": "G1", "displayName": "Eng"}}]),
            vec![
                GroupChange::SetDisplayName("Eng".to_owned()),
                GroupChange::ReplaceMembers(Members::default()),
            ],
        ),
    ] {
        assert_eq!(changes(&operations), expected);
    }
}

#[test]
fn the_group_of_okta_needs_no_type_on_its_members() {
    let body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Eng",
                      "members": [{"value": "U1", "display": "a@x.test"}]});
    let (group, _) = parse_group(body.to_string().as_bytes()).expect("a group");
    assert_eq!(group.members, Some(members(&["U1"])));
}

#[test]
fn the_odd_attributes_of_a_onelogin_template_are_left_aside() {
    let (user, notes) = parse_user(
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "a@x.test",
               "samaccountname": "a", "memberOf": ["x"], "custom.thing": 1})
        .to_string()
        .as_bytes(),
    )
    .expect("a user");
    assert_eq!(Value::from(user.attributes().clone()), json!({"userName": "a@x.test"}));
    assert!(notes.contains(&DialectNote::UnknownAttribute("samaccountname".to_owned())));
}

#[test]
fn jumpcloud_adds_and_removes_members_by_value_arrays() {
    let changes = changes(&json!([
        {"op": "add", "path": "members", "value": [{"value": "U1"}]},
        {"op": "remove", "path": "members", "value": [{"value": "U1"}]}
    ]));
    assert_eq!(
        changes,
        [GroupChange::AddMembers(members(&["U1"])), GroupChange::RemoveMembers(ids(&["U1"]))]
    );
}

#[test]
fn authentik_says_the_whole_group_and_then_one_operation_for_each_member() {
    let changes = changes(&json!([
        {"op": "replace", "value": {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "id": "G1",
                                    "externalId": "e1", "displayName": "Eng"}},
        {"op": "add", "path": "members", "value": [{"value": "U1"}]},
        {"op": "add", "path": "members", "value": [{"value": "U2"}]},
        {"op": "remove", "path": "members", "value": [{"value": "U3"}]},
        {"op": "remove", "path": "members", "value": [{"value": "U4"}]}
    ]));
    assert_eq!(
        changes,
        [
            GroupChange::SetDisplayName("Eng".to_owned()),
            GroupChange::SetExternalId(Some("e1".to_owned())),
            GroupChange::AddMembers(members(&["U1", "U2"])),
            GroupChange::RemoveMembers(ids(&["U3", "U4"])),
        ]
    );
}

#[test]
fn the_paths_of_scim2_tester_are_whole_urns() {
    let user = patched(
        &user(&json!({"userName": "a"})),
        &json!([
            {"op": "add", "path": ENTERPRISE, "value": {"department": "D", "manager": {"value": "9", "displayName": "x"}}},
            {"op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:nickName", "value": "N"},
            {"op": "remove", "path": format!("{ENTERPRISE}:manager")}
        ]),
    );
    assert_eq!(
        Value::from(user.attributes().clone()),
        json!({"userName": "a", "nickName": "N", ENTERPRISE: {"department": "D"}})
    );
    let bare = patched(&user, &json!([{"op": "remove", "path": ENTERPRISE}]));
    assert!(!bare.attributes().contains_key(ENTERPRISE));
}

#[test]
fn a_body_that_does_not_name_its_schema_is_read_and_noted() {
    use portcullis_scim::schema::{ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA};
    let search = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
    type Read = fn(&[u8]) -> Vec<DialectNote>;
    let of_user: Read = |body| parse_user(body).expect("a user").1;
    let of_group: Read = |body| parse_group(body).expect("a group").1;
    let of_search: Read = |body| ListQuery::parse_search(body).expect("a search").notes;
    for (read, body, own, other) in [
        (of_user, json!({"userName": "a"}), USER_SCHEMA, GROUP_SCHEMA),
        (of_user, json!({"userName": "a"}), USER_SCHEMA, ENTERPRISE_SCHEMA),
        (of_group, json!({"displayName": "a"}), GROUP_SCHEMA, USER_SCHEMA),
        (of_search, json!({"count": 1}), search, USER_SCHEMA),
    ] {
        let noted = |schemas: Option<Value>| {
            let mut body = body.clone();
            if let Some(schemas) = schemas {
                body["Schemas"] = schemas;
            }
            read(body.to_string().as_bytes())
        };
        assert_eq!(noted(Some(json!([own.to_uppercase()]))), [], "{own}");
        assert_eq!(noted(Some(json!([other, own]))), [], "{own}");
        let missing = [None, Some(json!(null)), Some(json!([])), Some(json!(own)), Some(json!([other]))];
        for schemas in missing {
            assert_eq!(noted(schemas.clone()), [DialectNote::MissingSchemas], "{own}: {schemas:?}");
        }
        let unknown = noted(Some(json!(["urn:x"])));
        let expected = [DialectNote::UnknownSchema("urn:x".to_owned()), DialectNote::MissingSchemas];
        assert_eq!(unknown, expected, "{own}");
    }
}

#[test]
fn a_manager_does_not_keep_the_reference_to_the_one_before() {
    let path = format!("{ENTERPRISE}:manager");
    let (value, reference) = (format!("{path}.value"), format!("{path}.$ref"));
    let nine = json!({"$ref": "http://h/Users/9", "value": "9"});
    let before = user(&json!({"userName": "a", ENTERPRISE: {"manager": nine}}));
    let ten = json!({"value": "10"});
    let whole = json!({"$ref": "http://h/Users/10", "value": "10"});
    for (operation, expected) in [
        (json!({"op": "Replace", "path": path, "value": "10"}), &ten),
        (json!({"op": "replace", "path": path, "value": {"value": "10"}}), &ten),
        (json!({"op": "add", "path": value, "value": "10"}), &ten),
        (json!({"op": "replace", "value": {value.as_str(): "10"}}), &ten),
        (json!({"op": "replace", "value": {ENTERPRISE: {"manager": {"value": "10"}}}}), &ten),
        (json!({"op": "Replace", "path": path, "value": whole}), &whole),
        (
            json!({"op": "add", "value": {reference.as_str(): "http://h/Users/10", value.as_str(): "10"}}),
            &whole,
        ),
        (json!({"op": "replace", "path": path, "value": "9"}), &nine),
        (json!({"op": "remove", "path": value}), &json!(null)),
    ] {
        let after = patched(&before, &json!([operation]));
        let manager = attributes(&after).pointer(&format!("/{ENTERPRISE}/manager")).cloned();
        assert_eq!(&manager.unwrap_or_default(), expected, "{operation}");
    }
}
