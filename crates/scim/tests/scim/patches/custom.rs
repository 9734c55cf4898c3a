//! PATCH of the extensions that an organization makes for itself.

use portcullis_scim::facet::facets;
use portcullis_scim::{DialectNote, Filter, ResourceType, ScimError, ScimType, User, Work, parse_patch};
use serde_json::{Value, json};

use crate::wire::{ENTERPRISE, patch, patch_body, patched, refused_patch, refused_user, user};

#[test]
fn custom_extensions_are_patched_by_their_urns() {
    let urn = "urn:ietf:params:scim:schemas:extension:Acme:2.0:User";
    let before = user(&json!({"userName": "a"}));
    let set = patched(
        &before,
        &json!([
            {"op": "Add", "path": format!("{urn}:tag"), "value": "T"},
            {"op": "Add", "path": format!("{urn}:box.size"), "value": 3},
            {"op": "Add", "path": format!("{urn}:thing"), "value": {"x": 1}}
        ]),
    );
    assert_eq!(set.attributes()[urn], json!({"tag": "T", "box": {"size": 3}, "thing": {"x": 1}}));
    let less = patched(
        &set,
        &json!([
            {"op": "Remove", "path": format!("{}:TAG", urn.to_uppercase())},
            {"op": "Remove", "path": format!("{urn}:box.size")},
            {"op": "replace", "path": format!("{urn}:thing"), "value": null}
        ]),
    );
    assert_eq!(less, before);
    let whole = patched(&before, &json!([{"op": "replace", "value": {urn: {"tag": "T"}}}]));
    assert_eq!(whole.attributes()[urn], json!({"tag": "T"}));
    assert_eq!(patched(&whole, &json!([{"op": "remove", "path": urn}])), before);
}

#[test]
fn a_custom_extension_whose_urn_ends_in_a_version_is_patched_as_a_whole() {
    let nobody = user(&json!({"userName": "a"}));
    for urn in ["urn:scim:schemas:extension:atlassian-external:1.0", "urn:acme:hr:2024"] {
        let tagged = user(&json!({"userName": "a", urn: {"tag": "T"}}));
        let upper = urn.to_uppercase();
        for operation in [
            json!({"op": "add", "path": urn, "value": {"tag": "T"}}),
            json!({"op": "Replace", "path": urn, "value": {"tag": "T"}}),
            json!({"op": "add", "value": {urn: {"tag": "T"}}}),
        ] {
            assert_eq!(patched(&nobody, &json!([operation])), tagged, "{operation}");
        }
        for operation in [
            json!({"op": "remove", "path": urn}),
            json!({"op": "remove", "path": upper}),
            json!({"op": "replace", "path": urn, "value": null}),
            json!({"op": "replace", "value": {urn: null}}),
            json!({"op": "replace", "value": {upper.as_str(): null}}),
        ] {
            assert_eq!(patched(&tagged, &json!([operation])), nobody, "{operation}");
        }
        for operation in [
            json!({"op": "add", "path": upper, "value": {"TAG": "U"}}),
            json!({"op": "add", "value": {upper.as_str(): {"TAG": "U"}}}),
        ] {
            let after = patched(&tagged, &json!([operation]));
            assert_eq!(after.attributes()[urn], json!({"tag": "U"}), "{operation}");
        }
        let aside = patched(&tagged, &json!([{"op": "add", "value": {urn: "nonsense"}}]));
        assert_eq!(aside, tagged, "what is no object says nothing of it");
    }
}

#[test]
fn a_name_of_a_custom_extension_is_one_attribute_however_its_letters_are_written() {
    let urn = "urn:acme:hr:2.0:User";
    let url = "https://acme.test/Ext/v1";
    let before = user(&json!({
        "userName": "a", urn: {"Dept": "old", "cost": {"Center": "1"}}, url: {"Dept": "old"}
    }));
    let upper = urn.to_uppercase();
    for operations in [
        json!([{"op": "add", "value": {urn: {"dept": "new"}}}]),
        json!([{"op": "replace", "value": {upper.as_str(): {"DEPT": "new"}}}]),
        json!([{"op": "replace", "path": urn, "value": {"dept": "new"}}]),
        json!([{"op": "add", "path": format!("{urn}:dept"), "value": "new"}]),
        json!([{"op": "add", "value": {(format!("{upper}:DEPT")): "new"}}]),
    ] {
        let after = patched(&before, &operations);
        let of_urn: Vec<_> = facets(&after)
            .into_iter()
            .filter(|(key, _)| *key == format!("{}:dept", urn.to_lowercase()))
            .collect();
        assert_eq!(of_urn, [(format!("{}:dept", urn.to_lowercase()), "new".to_owned())], "{operations}");
        assert_eq!(after.attributes()[urn], json!({"Dept": "new", "cost": {"Center": "1"}}), "{operations}");
    }
    for (operation, expected) in [
        (json!({"op": "add", "value": {urn: {"dept": null}}}), json!({"cost": {"Center": "1"}})),
        (json!({"op": "remove", "path": format!("{urn}:DEPT")}), json!({"cost": {"Center": "1"}})),
        (
            json!({"op": "add", "path": format!("{urn}:COST.center"), "value": "2"}),
            json!({"Dept": "old", "cost": {"Center": "2"}}),
        ),
        (json!({"op": "remove", "path": format!("{urn}:cost.CENTER")}), json!({"Dept": "old"})),
    ] {
        assert_eq!(patched(&before, &json!([operation])).attributes()[urn], expected, "{operation}");
    }
    let other = url.to_lowercase();
    let after = patched(&before, &json!([{"op": "replace", "value": {other.as_str(): {"dept": "new"}}}]));
    assert_eq!((&after.attributes()[url], after.attributes().get(&other)), (&json!({"Dept": "new"}), None));
}

#[test]
fn a_list_of_a_custom_extension_is_added_to_and_loses_only_what_is_named() {
    let urn = "urn:acme:hr:2.0:User";
    let (codes, upper) = (format!("{urn}:codes"), urn.to_uppercase());
    let before =
        user(&json!({"userName": "a", urn: {"codes": ["a", "c"], "level": 1, "box": {"sizes": [1, 2]}}}));
    for (operation, expected) in [
        (json!({"op": "add", "path": codes, "value": ["b", "a"]}), json!(["a", "c", "b"])),
        (json!({"op": "Add", "path": format!("{upper}:CODES"), "value": "b"}), json!(["a", "c", "b"])),
        (json!({"op": "add", "path": urn, "value": {"Codes": ["b"]}}), json!(["a", "c", "b"])),
        (json!({"op": "add", "value": {urn: {"codes": ["b", "b"]}}}), json!(["a", "c", "b"])),
        (json!({"op": "add", "value": {(codes.as_str()): ["b"]}}), json!(["a", "c", "b"])),
        (json!({"op": "add", "path": codes, "value": []}), json!(["a", "c"])),
        (json!({"op": "replace", "path": codes, "value": ["b"]}), json!(["b"])),
        (json!({"op": "replace", "value": {urn: {"codes": ["b"]}}}), json!(["b"])),
        (json!({"op": "add", "path": codes, "value": null}), json!(null)),
        (json!({"op": "remove", "path": codes, "value": ["c", "x"]}), json!(["a"])),
        (json!({"op": "Remove", "path": codes, "value": "c"}), json!(["a"])),
        (json!({"op": "remove", "path": codes, "value": [{"value": "c"}]}), json!(["a"])),
        (json!({"op": "remove", "path": codes, "value": []}), json!(["a", "c"])),
        (json!({"op": "remove", "path": codes, "value": ["c", "a"]}), json!(null)),
        (json!({"op": "remove", "path": codes}), json!(null)),
    ] {
        let after = patched(&before, &json!([operation]));
        let extension = &after.attributes()[urn];
        assert_eq!(extension.get("codes").unwrap_or(&json!(null)), &expected, "{operation}");
        assert_eq!(
            (&extension["level"], &extension["box"]),
            (&json!(1), &json!({"sizes": [1, 2]})),
            "{operation}"
        );
    }
    for (operation, pointer, expected) in [
        (json!({"op": "remove", "path": format!("{urn}:level"), "value": 2}), "/level", Some(json!(1))),
        (json!({"op": "remove", "path": format!("{urn}:level"), "value": [1]}), "/level", None),
        (json!({"op": "add", "path": format!("{urn}:level"), "value": [2]}), "/level", Some(json!([2]))),
        (
            json!({"op": "add", "path": format!("{urn}:box.sizes"), "value": 3}),
            "/box/sizes",
            Some(json!([1, 2, 3])),
        ),
        (
            json!({"op": "remove", "path": format!("{urn}:box.sizes"), "value": [2]}),
            "/box/sizes",
            Some(json!([1])),
        ),
        (json!({"op": "remove", "path": format!("{urn}:box.sizes"), "value": [1, 2]}), "/box/sizes", None),
    ] {
        let after = patched(&before, &json!([operation]));
        assert_eq!(after.attributes()[urn].pointer(pointer), expected.as_ref(), "{operation}");
    }
    let (_, notes) =
        patch(&before, &json!([{"op": "remove", "path": codes, "value": ["c"]}])).expect("a user");
    assert!(notes.iter().any(|note| note.code() == "remove_by_value"), "{notes:?}");
    let (_, notes) = patch(&before, &json!([{"op": "remove", "path": codes, "value": []}])).expect("a user");
    assert!(notes.iter().any(|note| note.code() == "empty_remove"), "{notes:?}");
}

#[test]
fn of_a_value_of_a_custom_extension_only_the_parts_that_are_listed_change() {
    let urn = "urn:acme:hr:2.0:User";
    let (desk, upper) = (format!("{urn}:desk"), urn.to_uppercase());
    let start = json!({
        "desk": {"Room": "7", "floor": 1, "at": {"x": 1, "y": 2}}, "roles": [{"value": "a"}, {"value": "b"}],
        "one": [{"value": "a"}], "tag": "T", "level": 1
    });
    let before = user(&json!({"userName": "a", urn: start}));
    for (operation, pointer, expected) in [
        (
            json!({"op": "add", "path": desk, "value": {"wing": "E"}}),
            "/desk",
            json!({"Room": "7", "floor": 1, "at": {"x": 1, "y": 2}, "wing": "E"}),
        ),
        (
            json!({"op": "replace", "path": desk, "value": {"ROOM": "8", "FLOOR": null, "at": {"y": 3}}}),
            "/desk",
            json!({"Room": "8", "at": {"x": 1, "y": 3}}),
        ),
        (
            json!({"op": "add", "value": {upper.as_str(): {"DESK": {"room": null, "floor": null, "at": null}}}}),
            "/desk",
            json!(null),
        ),
        (
            json!({"op": "replace", "path": urn, "value": {"desk": {"floor": [2]}}}),
            "/desk",
            json!({"Room": "7", "floor": [2], "at": {"x": 1, "y": 2}}),
        ),
        (
            json!({"op": "add", "path": format!("{urn}:one.type"), "value": "work"}),
            "/one",
            json!([{"value": "a", "type": "work"}]),
        ),
        (
            json!({"op": "replace", "path": format!("{urn}:roles"), "value": {"value": "c"}}),
            "/roles",
            json!({"value": "c"}),
        ),
        (json!({"op": "add", "path": format!("{urn}:new.part"), "value": 1}), "/new", json!({"part": 1})),
        (json!({"op": "replace", "path": format!("{urn}:tag"), "value": {"x": 1}}), "/tag", json!({"x": 1})),
    ] {
        let after = patched(&before, &json!([operation]));
        let mut whole = start.clone();
        whole.as_object_mut().expect("an object").remove(&pointer[1..]);
        if !expected.is_null() {
            whole[&pointer[1..]] = expected;
        }
        assert_eq!(after.attributes()[urn], whole, "{operation}");
        assert_eq!(patched(&after, &json!([operation])), after, "the same again: {operation}");
    }
    let part = |name: &str| json!([{"op": "add", "path": format!("{urn}:{name}"), "value": "x"}]);
    let refused = refused_patch(&before, &part("roles.type"));
    assert!(matches!(refused, ScimError::AmbiguousTarget { .. }), "{refused}");
    for name in ["tag.sub", "level.sub"] {
        let refused = refused_patch(&before, &part(name));
        assert!(matches!(refused, ScimError::InvalidType { .. }), "{name}: {refused}");
    }
    let put = user(&json!({"userName": "a", urn: {"desk": {"wing": "E", "room": null}, "none": {}}}));
    assert_eq!(put.attributes()[urn], json!({"desk": {"wing": "E"}}), "a whole resource merges into nothing");
}

#[test]
fn a_filter_chooses_values_of_a_custom_extension_and_changes_no_others() {
    let urn = "urn:acme:hr:2.0:User";
    let roles = json!([{"value": "a", "Type": "x"}, {"value": "b"}, {"value": "A"}]);
    let before = user(&json!({"userName": "a", urn: {"roles": roles, "desk": {"room": "7", "floor": 1}}}));
    let path = |rest: &str| format!("{}:Roles[{rest}", urn.to_uppercase());
    for (operation, expected) in [
        (
            json!({"op": "replace", "path": path("value eq \"a\"].type"), "value": "y"}),
            json!([{"value": "a", "Type": "y"}, {"value": "b"}, {"value": "A", "type": "y"}]),
        ),
        (
            json!({"op": "add", "path": path("type eq \"x\"]"), "value": {"TYPE": null, "n": 1}}),
            json!([{"value": "a", "n": 1}, {"value": "b"}, {"value": "A"}]),
        ),
        (
            json!({"op": "add", "value": {path("type pr].n"): 1}}),
            json!([{"value": "a", "Type": "x", "n": 1}, {"value": "b"}, {"value": "A"}]),
        ),
        (json!({"op": "remove", "path": path("value eq \"a\"]")}), json!([{"value": "b"}])),
        (
            json!({"op": "remove", "path": path("not (type eq \"x\")].value")}),
            json!([{"value": "a", "Type": "x"}]),
        ),
        (json!({"op": "replace", "path": path("type pr].type"), "value": null}), {
            json!([{"value": "a"}, {"value": "b"}, {"value": "A"}])
        }),
        (json!({"op": "remove", "path": path("valu ne \"a\"]")}), roles.clone()),
        (json!({"op": "remove", "path": path("value eq \"z\"]")}), roles.clone()),
        (json!({"op": "remove", "path": path("value pr]")}), Value::Null),
    ] {
        let after = patched(&before, &json!([operation]));
        let mut whole = json!({"desk": {"room": "7", "floor": 1}});
        if !expected.is_null() {
            whole["roles"] = expected;
        }
        assert_eq!(after.attributes()[urn], whole, "{operation}");
    }
    let desk = json!([{"op": "replace", "path": format!("{urn}:desk[floor eq 1].room"), "value": "8"}]);
    assert_eq!(patched(&before, &desk).attributes()[urn]["desk"], json!({"room": "8", "floor": 1}));
    for (rest, value, refused) in [
        ("value eq \"z\"].type", json!("y"), ScimType::NoTarget),
        ("valu ne \"z\"].type", json!("y"), ScimType::NoTarget),
        ("value eq \"a\"]", json!("y"), ScimType::InvalidValue),
        ("urn:x:y:value ne \"z\"].type", json!("y"), ScimType::InvalidPath),
    ] {
        let operation = json!([{"op": "add", "path": path(rest), "value": value}]);
        assert_eq!(refused_patch(&before, &operation).scim_type(), Some(refused), "{rest}");
    }
}

#[test]
fn a_list_of_a_custom_extension_costs_its_length_and_that_is_counted() {
    let urn = "urn:acme:hr:2.0:User";
    let spent = |op: &str, many: u32, bound: usize| {
        let codes: Vec<u32> = (10_000..10_000 + many).collect();
        let others: Vec<u32> = codes.iter().map(|code| code + many / 2).collect();
        let before = user(&json!({"userName": "a", urn: {"codes": codes}}));
        let operation = json!([{"op": op, "path": format!("{urn}:codes"), "value": others}]);
        let work = Work::within(bound);
        let patch = parse_patch(&patch_body(&operation)).expect("a patch");
        patch.apply_within(&before, &work).map(|(after, _)| {
            let left = after.attributes()[urn]["codes"].as_array().expect("a list").len();
            assert_eq!(left, if op == "add" { many + many / 2 } else { many / 2 } as usize);
            work.spent()
        })
    };
    for op in ["add", "remove"] {
        let [few, many] = [500, 4_000].map(|many| spent(op, many, usize::MAX).expect("a user"));
        assert!(few > 1_000 * 16 && many < 9 * few, "{op}: {few}, {many}");
        let refused = spent(op, 4_000, many - 1).expect_err("a refusal");
        assert!(matches!(refused, ScimError::TooMuchWork { .. }), "{op}: {refused}");
    }
}

#[test]
fn a_name_that_stands_twice_in_a_custom_extension_is_refused_and_what_was_stored_twice_goes() {
    let urn = "urn:acme:hr:2.0:User";
    let twice = [
        json!({"Dept": "a", "dept": "b"}),
        json!({"cost": {"x": "a", "X": "b"}}),
        json!({"c": [{"x": 1, "X": 2}]}),
    ];
    let before = user(&json!({"userName": "a"}));
    for object in twice {
        let refused = refused_user(&json!({"userName": "a", urn: object}));
        assert!(matches!(refused, ScimError::DuplicateKey { .. }), "{object}");
        let refused = refused_patch(&before, &json!([{"op": "add", "path": urn, "value": object}]));
        assert!(matches!(refused, ScimError::DuplicateKey { .. }), "{object}");
    }
    let stored = json!({"userName": "a", urn: {"Dept": "old", "dept": "older", "x": 1}});
    let stored = User::from_stored(stored.as_object().expect("an object").clone());
    let set = json!([{"op": "add", "value": {urn: {"DEPT": "new"}}}]);
    assert_eq!(
        facets(&patched(&stored, &set)).into_iter().filter(|(key, _)| key.ends_with("dept")).count(),
        1
    );
    for operation in [
        json!({"op": "remove", "path": format!("{urn}:dept")}),
        json!({"op": "add", "value": {urn: {"dept": null}}}),
    ] {
        assert_eq!(patched(&stored, &json!([operation])).attributes()[urn], json!({"x": 1}), "{operation}");
    }
}

#[test]
fn a_text_a_number_or_a_boolean_is_its_own_value_to_a_filter_and_has_no_other_part() {
    let urn = "urn:acme:hr:2.0:User";
    let start = json!({"tags": ["gold", "x"], "levels": [3, 4], "on": [true], "one": "gold", "both": ["a", {"value": "a"}]});
    let before = user(&json!({"userName": "a", urn: start}));
    let path = |rest: &str| format!("{urn}:{rest}");
    for (operation, name, expected) in [
        (json!({"op": "remove", "path": path("tags[value eq \"GOLD\"]")}), "tags", json!(["x"])),
        (json!({"op": "remove", "path": path("tags[value eq \"gold\"].value")}), "tags", json!(["x"])),
        (
            json!({"op": "replace", "path": path("tags[Value eq \"gold\"]"), "value": null}),
            "tags",
            json!(["x"]),
        ),
        (json!({"op": "remove", "path": path("tags[value pr]")}), "tags", Value::Null),
        (json!({"op": "remove", "path": path("tags[not (value eq \"x\")]")}), "tags", json!(["x"])),
        (json!({"op": "remove", "path": path("tags[type eq \"gold\"]")}), "tags", json!(["gold", "x"])),
        (json!({"op": "remove", "path": path("tags[value eq \"gold\"].type")}), "tags", json!(["gold", "x"])),
        (json!({"op": "remove", "path": path("levels[value eq 3]")}), "levels", json!([4])),
        (json!({"op": "remove", "path": path("on[value eq true]")}), "on", Value::Null),
        (json!({"op": "remove", "path": path("one[value eq \"gold\"]")}), "one", Value::Null),
        (json!({"op": "remove", "path": path("both[value eq \"a\"]")}), "both", Value::Null),
        (
            json!({"op": "replace", "path": path("tags[value eq \"x\"]"), "value": "y"}),
            "tags",
            json!(["gold", "y"]),
        ),
        (
            json!({"op": "add", "path": path("tags[value eq \"x\"].value"), "value": 7}),
            "tags",
            json!(["gold", 7]),
        ),
    ] {
        let after = patched(&before, &json!([operation]));
        let mut whole = start.clone();
        whole.as_object_mut().expect("an object").remove(name);
        if !expected.is_null() {
            whole[name] = expected;
        }
        assert_eq!(after.attributes()[urn], whole, "{operation}");
    }
    for (rest, value, refused) in [
        ("tags[value eq \"gold\"].type", json!("y"), ScimType::InvalidValue),
        ("tags[value eq \"gold\"]", json!({"value": "y"}), ScimType::InvalidValue),
        ("tags[value eq \"gold\"]", json!(["y"]), ScimType::InvalidValue),
        ("tags[value eq \"z\"]", json!("y"), ScimType::NoTarget),
    ] {
        let operation = json!([{"op": "replace", "path": path(rest), "value": value}]);
        assert_eq!(refused_patch(&before, &operation).scim_type(), Some(refused), "{rest}");
    }
    let matches = |text: &str| {
        let filter = Filter::parse(text).expect("a filter");
        filter.matches(ResourceType::User, before.attributes())
    };
    for (text, is_match) in [
        ("tags[value eq \"gold\"]", true),
        ("tags[value eq \"z\"]", false),
        ("tags[type eq \"gold\"]", false),
        ("levels[value gt 3]", true),
        ("levels[value gt 4]", false),
    ] {
        assert_eq!(matches(&path(text)), is_match, "{text}");
    }
    assert!(!matches(&format!("not ({})", path("tags[value eq \"gold\"]"))));
}

#[test]
fn a_part_is_removed_from_each_value_of_a_list_of_a_custom_extension() {
    let urn = "urn:acme:hr:2.0:User";
    let start = json!({"tags": [{"value": "gold", "n": 1}, {"VALUE": "x"}, "plain"], "texts": ["a", "b"]});
    let before = user(&json!({"userName": "a", urn: start}));
    let left = |operation: Value| patched(&before, &json!([operation])).attributes()[urn].clone();
    let path = |rest: &str| format!("{urn}:{rest}");
    let removed = json!({"op": "remove", "path": path("tags.value")});
    assert_eq!(left(removed), json!({"tags": [{"n": 1}], "texts": ["a", "b"]}));
    let removed = json!({"op": "remove", "path": path("tags.N")});
    assert_eq!(
        left(removed),
        json!({"tags": [{"value": "gold"}, {"VALUE": "x"}, "plain"], "texts": ["a", "b"]})
    );
    let listed = json!({"op": "remove", "path": path("tags.value"), "value": ["gold", "plain"]});
    assert_eq!(left(listed), json!({"tags": [{"n": 1}, {"VALUE": "x"}], "texts": ["a", "b"]}));
    let removed = json!({"op": "remove", "path": path("texts.value")});
    assert_eq!(left(removed)["texts"], Value::Null);
    let removed = json!({"op": "remove", "path": path("texts.other")});
    assert_eq!(left(removed), start);
}

#[test]
fn a_remove_of_a_whole_extension_takes_what_it_lists_and_all_where_it_lists_nothing() {
    let urn = "urn:acme:hr:2.0:User";
    let before = user(&json!({
        "userName": "a", urn: {"tags": ["gold", "x"], "desk": "7"},
        ENTERPRISE: {"costCenter": "C1", "department": "D", "manager": {"value": "M"}},
        "name": {"givenName": "A", "familyName": "B"},
    }));
    let after = |path: &str, value: Value| {
        let (after, notes) =
            patch(&before, &json!([{"op": "Remove", "path": path, "value": value}])).expect("a user");
        assert!(notes.iter().any(|note| matches!(note, DialectNote::RemoveByValue(_))), "{path}: {notes:?}");
        after.attributes().clone()
    };
    let listed = after(ENTERPRISE, json!({"Department": "D", "manager": {"value": "M"}}));
    assert_eq!(listed[ENTERPRISE], json!({"costCenter": "C1"}));
    assert_eq!(after(ENTERPRISE, json!({"department": null}))[ENTERPRISE].get("department"), None);
    // Whoever sets the new one first and then removes the old one does not lose the new one.
    let others = after(ENTERPRISE, json!({"department": "old", "manager": {"value": "old"}}));
    assert_eq!(others, *before.attributes());
    assert_eq!(after(urn, json!({"TAGS": ["gold"]}))[urn], json!({"tags": ["x"], "desk": "7"}));
    assert_eq!(after(urn, json!({"desk": "7", "tags": ["gold", "x"]})).get(urn), None);
    assert_eq!(
        after("name", json!({"givenName": "A", "familyName": "old"}))["name"],
        json!({"familyName": "B"})
    );
    for path in [urn, ENTERPRISE, "name"] {
        for value in [json!({}), json!(null), json!("x")] {
            let operation = json!([{"op": "remove", "path": path, "value": value}]);
            if path != "name" || !value.is_string() {
                assert_eq!(patched(&before, &operation).attributes().get(path), None, "{operation}");
            }
        }
    }
    let odd = json!([{"op": "remove", "path": ENTERPRISE, "value": {"urn:ietf:params:scim:schemas:core:9.9:x": 1}}]);
    assert!(matches!(refused_patch(&before, &odd), ScimError::UnknownAttribute { .. }));
}
