//! Groups: members said and not said, and PATCH as changes that need no member list.

use portcullis_scim::{
    DialectNote, Group, GroupChange, MemberOfGroup, MemberRef, Meta, ResourceType, ScimError, ScimType,
    parse_group, render_group,
};
use serde_json::{Value, json};

use crate::wire::{changes, group_patch, ids, members};

fn group(body: &Value) -> Result<Group, ScimError> {
    parse_group(body.to_string().as_bytes()).map(|(group, _)| group)
}

#[test]
fn members_that_are_not_said_are_another_fact_than_no_members() {
    assert_eq!(group(&json!({"displayName": "G"})).expect("a group").members, None);
    assert_eq!(group(&json!({"displayName": "G", "members": null})).expect("a group").members, None);
    assert_eq!(
        group(&json!({"displayName": "G", "members": []})).expect("a group").members,
        Some(Vec::new())
    );
}

#[test]
fn a_member_named_twice_is_one_member() {
    let body = json!({"displayName": "G", "members": [{"value": "b"}, {"value": "a"}, {"value": "b", "display": "x"}]});
    assert_eq!(group(&body).expect("a group").members, Some(members(&["b", "a"])));
}

#[test]
fn members_are_read_in_every_spelling() {
    let body = json!({"DISPLAYNAME": "G", "Members": [
        "a", {"VALUE": "b", "Type": "user"}, {"value": "c", "$ref": "https://h/v2/Groups/c"},
        {"$ref": "https://h/v2/Users/d"}, {"value": 5, "type": "direct"}, null
    ]});
    let kinds = [
        ("a", None),
        ("b", Some(ResourceType::User)),
        ("c", Some(ResourceType::Group)),
        ("d", Some(ResourceType::User)),
        ("5", None),
    ];
    let expected: Vec<MemberRef> =
        kinds.into_iter().map(|(id, kind)| MemberRef { value: id.to_owned(), kind }).collect();
    assert_eq!(group(&body).expect("a group").members, Some(expected));
}

#[test]
fn a_member_without_an_id_is_refused() {
    for member in [
        json!({}),
        json!({"value": ""}),
        json!({"value": null}),
        json!({"display": "x"}),
        json!(7),
        json!({"value": {}}),
    ] {
        let body = json!({"displayName": "G", "members": [member]});
        assert_eq!(group(&body), Err(ScimError::InvalidMember), "{member}");
    }
}

#[test]
fn a_group_without_a_display_name_is_refused() {
    for body in [json!({}), json!({"displayName": null}), json!({"displayName": " "})] {
        assert_eq!(group(&body), Err(ScimError::MissingRequired { attribute: "displayName" }));
    }
}

#[test]
fn two_spellings_of_one_attribute_of_a_group_are_refused() {
    let body = json!({"displayName": "G", "members": [{"value": "a"}], "Members": []});
    assert!(matches!(group(&body), Err(ScimError::DuplicateKey { .. })));
}

#[test]
fn what_a_group_does_not_have_is_left_aside() {
    let body =
        json!({"displayName": "G", "id": "x", "meta": {}, "urn:acme:Group": {"a": 1}, "description": "d"});
    let (group, notes) = parse_group(body.to_string().as_bytes()).expect("a group");
    assert_eq!(group, Group { display_name: "G".to_owned(), external_id: None, members: None });
    assert!(notes.contains(&DialectNote::UnknownAttribute("description".to_owned())));
}

#[test]
fn remove_means_what_its_value_says() {
    for (operation, expected) in [
        (json!({"op": "remove", "path": "members"}), vec![GroupChange::ClearMembers]),
        (json!({"op": "remove", "path": "members", "value": null}), vec![GroupChange::ClearMembers]),
        (json!({"op": "remove", "path": "members", "value": []}), vec![]),
        (json!({"op": "remove", "path": "members", "value": [null]}), vec![]),
        (
            json!({"op": "remove", "path": "members", "value": {"value": "a"}}),
            vec![GroupChange::RemoveMembers(ids(&["a"]))],
        ),
        (
            json!({"op": "remove", "path": "members", "value": ["a", "b", "a"]}),
            vec![GroupChange::RemoveMembers(ids(&["a", "b"]))],
        ),
        (
            json!({"op": "remove", "path": "members[value eq \"a\" or VALUE EQ \"b\"]"}),
            vec![GroupChange::RemoveMembers(ids(&["a", "b"]))],
        ),
        (
            json!({"op": "remove", "path": "urn:ietf:params:scim:schemas:core:2.0:Group:members[value eq \"a\"]"}),
            vec![GroupChange::RemoveMembers(ids(&["a"]))],
        ),
        (
            json!({"op": "remove", "path": "members[value eq a]"}),
            vec![GroupChange::RemoveMembers(ids(&["a"]))],
        ),
    ] {
        assert_eq!(changes(&json!([operation])), expected, "{operation}");
    }
}

#[test]
fn an_empty_remove_is_noted() {
    let (_, notes) =
        group_patch(&json!([{"op": "Remove", "path": "members", "value": []}])).expect("changes");
    assert!(notes.contains(&DialectNote::EmptyRemove("members")));
}

#[test]
fn paths_into_members_that_need_the_list_are_refused() {
    for (path, kind) in [
        ("members[display eq \"x\"]", ScimType::InvalidPath),
        ("members[value sw \"x\"]", ScimType::InvalidPath),
        ("members[not (value eq \"x\")]", ScimType::InvalidPath),
        ("members[value eq \"x\" and type eq \"User\"]", ScimType::InvalidPath),
        ("members[value eq null]", ScimType::InvalidPath),
        ("members[value eq \"x\"].display", ScimType::Mutability),
        ("members.value", ScimType::Mutability),
        ("members.nonsense", ScimType::InvalidPath),
        ("nonsense", ScimType::InvalidPath),
        ("id", ScimType::Mutability),
        ("displayName", ScimType::Mutability),
        ("displayName[value eq \"x\"]", ScimType::InvalidPath),
        ("userName", ScimType::InvalidPath),
        ("urn:ietf:params:scim:schemas:core:2.0:User", ScimType::InvalidPath),
    ] {
        let refusal = group_patch(&json!([{"op": "remove", "path": path}])).expect_err("a refusal");
        assert_eq!(refusal.scim_type(), Some(kind), "{path}: {refusal}");
    }
}

#[test]
fn members_are_replaced_whole_and_never_one_by_another() {
    let replace = json!([{"op": "replace", "path": "members[value eq \"a\"]", "value": {"value": "b"}}]);
    assert_eq!(group_patch(&replace).expect_err("a refusal").scim_type(), Some(ScimType::Mutability));
    let null = json!([{"op": "replace", "path": "members", "value": null}]);
    assert_eq!(changes(&null), [GroupChange::ReplaceMembers(Vec::new())]);
    let unsaid = json!([{"op": "replace", "value": {"members": null, "displayName": "G"}}]);
    assert_eq!(changes(&unsaid), [GroupChange::SetDisplayName("G".to_owned())]);
}

#[test]
fn adding_by_a_filter_adds_the_member_that_it_describes() {
    let operations = json!([{"op": "add", "path": "members[value eq \"a\"]", "value": {"display": "x"}}]);
    assert_eq!(changes(&operations), [GroupChange::AddMembers(members(&["a"]))]);
}

#[test]
fn names_of_a_group_are_set_and_the_external_id_taken_away() {
    let operations = json!([
        {"op": "replace", "path": "displayName", "value": ["G"]},
        {"op": "add", "path": "externalId", "value": "e"},
        {"op": "remove", "path": "externalId"},
        {"op": "replace", "path": "externalId", "value": ""},
        {"op": "replace", "value": {"externalId": null}},
        {"op": "add", "path": "schemas", "value": ["x"]}
    ]);
    assert_eq!(
        changes(&operations),
        [
            GroupChange::SetDisplayName("G".to_owned()),
            GroupChange::SetExternalId(Some("e".to_owned())),
            GroupChange::SetExternalId(None),
            GroupChange::SetExternalId(None),
            GroupChange::SetExternalId(None),
        ]
    );
    for value in [json!(null), json!(""), json!({}), json!(true)] {
        group_patch(&json!([{"op": "replace", "path": "displayName", "value": value}]))
            .expect_err("a refusal");
    }
}

#[test]
fn neighbours_of_one_kind_become_one_change_and_order_is_kept() {
    let operations = json!([
        {"op": "add", "path": "members", "value": [{"value": "a"}]},
        {"op": "add", "value": {"members": [{"value": "b"}, {"value": "a"}]}},
        {"op": "remove", "path": "members", "value": [{"value": "a"}]},
        {"op": "add", "path": "members", "value": [{"value": "a"}]}
    ]);
    assert_eq!(
        changes(&operations),
        [
            GroupChange::AddMembers(members(&["a", "b"])),
            GroupChange::RemoveMembers(ids(&["a"])),
            GroupChange::AddMembers(members(&["a"])),
        ]
    );
}

#[test]
fn a_group_is_answered_with_and_without_members() {
    let group = Group { display_name: "G".to_owned(), external_id: Some("e".to_owned()), members: None };
    let meta = Meta { id: "g", created: "c", last_modified: "m", location: "l", version: Some("W/\"1\"") };
    let member = MemberOfGroup {
        id: "u".to_owned(),
        kind: ResourceType::User,
        location: "https://h/Users/u".to_owned(),
        display: None,
    };
    let document = json!({"resourceType": "Group", "created": "c", "lastModified": "m", "location": "l", "version": "W/\"1\""});
    let without = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "id": "g", "displayName": "G",
                         "externalId": "e", "meta": document});
    assert_eq!(render_group(&group, &meta, None), without);
    let mut with = without.clone();
    with["members"] = json!([{"value": "u", "$ref": "https://h/Users/u", "type": "User"}]);
    assert_eq!(render_group(&group, &meta, Some(&[member])), with);
    with["members"] = json!([]);
    assert_eq!(render_group(&group, &meta, Some(&[])), with);
}
