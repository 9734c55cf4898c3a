//! Groups: members said and not said, and PATCH as changes that need no member list.

use portcullis_scim::{
    DialectNote, Group, GroupChange, MemberOfGroup, MemberRef, Members, Meta, ResourceType, ScimError,
    ScimType, parse_group, render_group,
};
use serde_json::{Value, json};

use crate::wire::{changes, group_patch, ids, members};

const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

fn group(body: &Value) -> Result<Group, ScimError> {
    parse_group(body.to_string().as_bytes()).map(|(group, _)| group)
}

#[test]
fn members_that_are_not_said_are_another_fact_than_no_members() {
    assert_eq!(group(&json!({"displayName": "G"})).expect("a group").members, None);
    assert_eq!(group(&json!({"displayName": "G", "members": null})).expect("a group").members, None);
    assert_eq!(
        group(&json!({"displayName": "G", "members": []})).expect("a group").members,
        Some(Members::default())
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
    let members = group(&body).expect("a group").members.expect("members");
    let expected: Vec<MemberRef<'_>> =
        kinds.into_iter().map(|(value, kind)| MemberRef { value, kind }).collect();
    assert_eq!(members.iter().collect::<Vec<_>>(), expected);
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
fn the_texts_of_a_group_are_read_and_noted_like_those_of_a_person() {
    let name = |value: Value| {
        let (changes, notes) = group_patch(&json!([
            {"op": "replace", "path": "displayName", "value": value},
            {"op": "add", "path": "members", "value": [{"value": "a"}]}
        ]))
        .expect("changes");
        let renamed = GroupChange::SetDisplayName("G".to_owned());
        assert_eq!(changes, [renamed, GroupChange::AddMembers(members(&["a"]))], "{value}");
        notes
    };
    let list = || DialectNote::ListAroundSingle("displayName");
    let wrapped = || DialectNote::WrappedValue("displayName");
    assert_eq!(name(json!(["G"])), [list()]);
    assert_eq!(name(json!({"value": "G"})), [wrapped()]);
    assert_eq!(name(json!([{"$ref": null, "value": "G"}])), [list(), wrapped()]);
    let numbered = DialectNote::NumberAsString("displayName");
    let (changes, notes) =
        group_patch(&json!([{"op": "replace", "path": "displayName", "value": 7}])).expect("changes");
    assert_eq!((changes, notes), (vec![GroupChange::SetDisplayName("7".to_owned())], vec![numbered]));
}

#[test]
fn a_member_that_is_read_liberally_is_noted() {
    let body =
        json!({"schemas": [GROUP], "displayName": "G", "members": [{"value": 7}, null, {"value": ["a"]}]});
    let (group, notes) = parse_group(body.to_string().as_bytes()).expect("a group");
    assert_eq!(group.members, Some(members(&["7", "a"])));
    assert_eq!(
        notes,
        [
            DialectNote::NumberAsString("value"),
            DialectNote::NullInList("members"),
            DialectNote::ListAroundSingle("value"),
        ]
    );
}

#[test]
fn what_no_schema_has_is_left_aside_by_its_path_too_and_the_members_come() {
    for path in [
        "urn:acme:hr:1.0:Group:costCenter",
        "urn:acme:hr:1.0:Group",
        "urn:acme:hr:1.0",
        "https://acme.test/scim/hr",
        "urn:acme:hr:1.0:Group:places[floor eq \"4\"].room",
    ] {
        for op in ["add", "replace", "remove"] {
            let operations = json!([
                {"op": op, "path": path, "value": {"x": "4711"}},
                {"op": "add", "path": "members", "value": [{"value": "a"}]}
            ]);
            let (changes, notes) = group_patch(&operations).unwrap_or_else(|e| panic!("{op} {path}: {e}"));
            assert_eq!(changes, [GroupChange::AddMembers(members(&["a"]))], "{op} {path}");
            assert_eq!(notes, [DialectNote::UnknownAttribute(path.to_owned())], "{op}");
        }
    }
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
        (
            json!({"op": "remove", "path": "members[value eq \"a\" and TYPE eq \"user\"]"}),
            vec![GroupChange::RemoveMembersOf(ResourceType::User, ids(&["a"]))],
        ),
        (
            json!({"op": "remove", "path": "members[type eq \"Group\" and (value eq \"a\" or value eq \"b\" or value eq \"a\")]"}),
            vec![GroupChange::RemoveMembersOf(ResourceType::Group, ids(&["a", "b"]))],
        ),
        (
            json!({"op": "remove", "path": "members[type eq \"Group\"]"}),
            vec![GroupChange::ClearMembersOf(ResourceType::Group)],
        ),
    ] {
        assert_eq!(changes(&json!([operation])), expected, "{operation}");
    }
}

#[test]
fn an_empty_remove_is_noted() {
    let (_, notes) =
        group_patch(&json!([{"op": "Remove", "path": "members", "value": []}])).expect("changes");
    assert!(notes.contains(&DialectNote::EmptyRemove("members".into())));
}

#[test]
fn paths_into_members_that_need_the_list_are_refused() {
    for (path, kind) in [
        ("members[display eq \"x\"]", ScimType::InvalidPath),
        ("members[value sw \"x\"]", ScimType::InvalidPath),
        ("members[not (value eq \"x\")]", ScimType::InvalidPath),
        ("members[value eq \"x\" and value eq \"y\"]", ScimType::InvalidPath),
        ("members[type eq \"User\" and type eq \"User\"]", ScimType::InvalidPath),
        ("members[value eq \"x\" or type eq \"User\"]", ScimType::InvalidPath),
        ("members[value eq \"x\" and display eq \"y\"]", ScimType::InvalidPath),
        ("members[type ne \"User\"]", ScimType::InvalidPath),
        ("members[type eq \"Device\"]", ScimType::InvalidPath),
        ("members[value ne \"x\"]", ScimType::InvalidPath),
        ("members[value pr]", ScimType::InvalidPath),
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
fn a_key_of_a_group_that_chooses_members_is_refused() {
    for key in ["members[value eq \"a\"]", "members[value eq", "urn:scim:schemas:core:1.0:members[value pr]"]
    {
        for op in ["add", "replace"] {
            let refused = group_patch(&json!([{"op": op, "value": {key: {}}}])).expect_err("a refusal");
            assert!(matches!(refused, ScimError::InvalidPath { .. }), "{op} {key}: {refused}");
        }
        let body = json!({"displayName": "Group", key: {}}).to_string();
        assert!(matches!(parse_group(body.as_bytes()), Err(ScimError::InvalidPath { .. })), "{key}");
    }
}

#[test]
fn members_are_replaced_whole_and_never_one_by_another() {
    let replace = json!([{"op": "replace", "path": "members[value eq \"a\"]", "value": {"value": "b"}}]);
    assert_eq!(group_patch(&replace).expect_err("a refusal").scim_type(), Some(ScimType::Mutability));
    let null = json!([{"op": "replace", "path": "members", "value": null}]);
    assert_eq!(changes(&null), [GroupChange::ReplaceMembers(Members::default())]);
    let unsaid = json!([{"op": "replace", "value": {"members": null, "displayName": "G"}}]);
    assert_eq!(changes(&unsaid), [GroupChange::SetDisplayName("G".to_owned())]);
}

#[test]
fn adding_by_a_filter_adds_the_member_that_it_describes() {
    let operations = json!([{"op": "add", "path": "members[value eq \"a\"]", "value": {"display": "x"}}]);
    assert_eq!(changes(&operations), [GroupChange::AddMembers(members(&["a"]))]);
    let both = json!([{"op": "add", "path": "members[value eq \"a\" and type eq \"User\"]", "value": {}}]);
    assert_eq!(changes(&both), [GroupChange::AddMembers(members(&["a"]))]);
    let kind = json!([{"op": "add", "path": "members[type eq \"User\"]", "value": {}}]);
    assert_eq!(group_patch(&kind).expect_err("a refusal").scim_type(), Some(ScimType::Mutability));
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

/// A group with that list, in so many bytes that its members are set aside if they can be.
fn said_by(list: &[Value]) -> Result<Vec<(String, Option<ResourceType>)>, ScimError> {
    let group = group(&json!({"displayName": "G", "members": list}))?;
    let members = group.members.expect("members");
    Ok(members.iter().map(|member| (member.value.to_owned(), member.kind)).collect())
}

#[test]
fn a_long_list_says_what_its_members_say_one_by_one() {
    let plain = |n: usize| match n % 4 {
        0 => json!({"value": format!("u{n}")}),
        1 => json!({"value": format!("u{n}"), "type": "Group"}),
        2 => json!({"value": format!("u{n}"), "display": "Ada", "$ref": format!("https://h/v2/Users/u{n}")}),
        _ => json!({"value": format!("u{}", n - 1), "type": "User"}),
    };
    let odd = [
        json!("bare"),
        json!({"VALUE": "big"}),
        json!({"value": 7}),
        Value::Null,
        json!({"value": "x", "type": "?"}),
    ];
    for odd in [None].into_iter().chain(odd.into_iter().map(Some)) {
        let list: Vec<Value> = (0..300).map(plain).chain(odd).collect();
        let mut expected: Vec<(String, Option<ResourceType>)> = Vec::new();
        for member in &list {
            for said in said_by(std::slice::from_ref(member)).expect("one member") {
                if expected.iter().all(|(id, _)| *id != said.0) {
                    expected.push(said);
                }
            }
        }
        assert_eq!(said_by(&list).expect("a long list"), expected, "{:?}", list.last());
        let operations = json!([{"op": "Replace", "path": "members", "value": list}]);
        let changes = changes(&operations);
        let [GroupChange::ReplaceMembers(members)] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!(members.len(), expected.len());
    }
}

#[test]
fn a_long_list_is_refused_for_what_a_short_one_is() {
    let long: Vec<Value> = (0..200).map(|n| json!({"value": format!("u{n}")})).collect();
    let with = |member: Value| said_by(&[long.as_slice(), &[member]].concat());
    assert_eq!(with(json!({"value": ""})), Err(ScimError::InvalidMember));
    assert_eq!(with(json!({"display": "x"})), Err(ScimError::InvalidMember));
    assert_eq!(with(json!({"value": "a\0"})), Err(ScimError::NulCharacter));
    let text = json!({"displayName": "G", "members": long}).to_string();
    let twice = text.replace("\"value\":\"u199\"", "\"value\":\"u199\",\"value\":\"root\"");
    assert!(matches!(parse_group(twice.as_bytes()), Err(ScimError::DuplicateKey { .. })));
    // Neither is a list of members a name, nor can anybody write what stands for one.
    let name = json!([{"op": "replace", "path": "displayName", "value": long}]);
    assert!(group_patch(&name).is_err(), "{:?}", group_patch(&name));
    let forged = json!({"displayName": "G", "members": ["\0", 0], "meta": long}).to_string();
    assert_eq!(parse_group(forged.as_bytes()), Err(ScimError::NulCharacter));
}

#[test]
fn two_long_lists_of_one_call_are_two() {
    let list = |from: usize| -> Vec<Value> {
        (from..from + 150).map(|n| json!({"value": format!("u{n}")})).collect()
    };
    let operations = json!([
        {"op": "add", "path": "members", "value": list(0)},
        {"op": "add", "value": {"members": list(100)}},
        {"op": "remove", "path": "members", "value": list(200)},
    ]);
    let changes = changes(&operations);
    let counts: Vec<(bool, usize, Option<&str>)> = changes
        .iter()
        .map(|change| match change {
            GroupChange::AddMembers(m) => (true, m.len(), m.iter().last().map(|m| m.value)),
            GroupChange::RemoveMembers(m) => (false, m.len(), m.iter().last().map(|m| m.value)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counts, [(true, 250, Some("u249")), (false, 150, Some("u349"))]);
}
