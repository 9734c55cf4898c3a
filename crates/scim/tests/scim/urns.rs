//! Schemas of the standard under other URNs: read as what they can only mean, refused otherwise, and never kept.

use portcullis_scim::facet::{NotAFacet, facet_key};
use portcullis_scim::{
    DialectNote, Filter, GroupChange, Projection, ResourceType, ScimError, ScimType, SeenExtensions,
    parse_group, parse_patch, parse_user,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::wire::{
    ENTERPRISE, attributes, group_patch, members, patch, patch_body, patched, refused_patch, refused_user,
    user,
};

/// Each means the core schema of users where it stands at a user, and what is between it and a name.
const CORE: [(&str, &str); 8] = [
    ("urn:scim:schemas:core:2.0:User", ":"),
    ("urn:scim:schemas:core:1.0", ":"),
    ("URN:SCIM:Schemas:Core:1.0:user", ":"),
    ("urn:ietf:params:scim:schemas:core:1.0:User", ":"),
    ("urn:ietf:params:scim:schemas:core:2.0", ":"),
    ("urn:ietf:params:scim:schemas:core:2.0User", ":"),
    ("urn:ietf:params:scim:schemas:core:2.0:User", "."),
    ("urn:ietf:params:scim:schemas:core:2.0", "."),
];

/// No schema at all, in namespaces where only the standard has some.
const NONE: [&str; 10] = [
    "urn:ietf:params:scim:schemas:core:3.0:User",
    "urn:ietf:params:scim:schemas:cores:2.0:User",
    "urn:ietf:params:scim:schemas:core:User",
    "urn:ietf:params:scim:schemas:User",
    "urn:ietf:params:scim:schema:core:2.0:User",
    "urn:ietf:param:scim:schemas:core:2.0:User",
    "urn:ietf:params:scim:schemas:extension:enterprise:3.0:User",
    "urn:ietf:params:scim:schemas:extension:enterprise2.0:User",
    "urn:scim:schemas:core:2.1:User",
    "urn:scim:schemas:extension:enterprise",
];

#[test]
fn a_schema_of_the_standard_is_read_under_the_urns_that_can_only_mean_it() {
    let here = user(&json!({"userName": "a", "active": true}));
    let gone = json!({"userName": "a", "active": false});
    for (urn, colon) in CORE {
        let flat = format!("{urn}{colon}active");
        let mut operations = vec![
            json!({"op": "replace", "path": flat, "value": false}),
            json!({"op": "Add", "path": flat, "value": "False"}),
            json!({"op": "replace", "value": {flat.as_str(): false}}),
        ];
        if colon == ":" {
            operations.push(json!({"op": "replace", "value": {urn: {"active": false}}}));
            operations.push(json!({"op": "add", "path": urn, "value": {"active": "false"}}));
        }
        for operation in operations {
            let body = patch_body(&json!([operation]));
            assert!(parse_patch(&body).expect("a patch").says_inactive(), "{operation}");
            let (after, notes) = patch(&here, &json!([operation])).expect("a user");
            assert_eq!(attributes(&after), gone, "{operation}");
            let is_noted = notes
                .iter()
                .any(|note| matches!(note, DialectNote::OtherUrn(_) | DialectNote::UrnWithoutColon));
            assert!(is_noted, "{operation}: {notes:?}");
        }
        assert_eq!(attributes(&user(&json!({"userName": "a", flat.as_str(): false}))), gone, "{flat}");
        let filter = Filter::parse(&format!("{flat} eq false")).expect("a filter");
        assert_eq!(filter.check_names(ResourceType::User), Ok(()), "{flat}");
        assert!(filter.matches(ResourceType::User, gone.as_object().expect("an object")), "{flat}");
        let shown =
            Projection::parse(Some(&flat), None).expect("names").apply(ResourceType::User, gone.clone());
        assert_eq!(shown, json!({"active": false}), "{flat}");
        assert_eq!(facet_key(&format!("{urn}{colon}userType")).as_deref(), Ok("userType"));
        let password =
            patched(&here, &json!([{"op": "add", "path": format!("{urn}{colon}password"), "value": "x"}]));
        assert_eq!(password, here, "{urn}: a password is kept nowhere");
    }
}

#[test]
fn the_enterprise_extension_and_groups_have_their_other_urns_too() {
    let sales = user(&json!({"userName": "a", ENTERPRISE: {"department": "Sales"}}));
    for flat in [
        "urn:scim:schemas:extension:enterprise:1.0:department",
        "urn:scim:schemas:extension:enterprise:2.0:User:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:1.0:User:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0User.department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:department",
    ] {
        assert_eq!(user(&json!({"userName": "a", flat: "Sales"})), sales, "{flat}");
        let operation = json!([{"op": "add", "path": flat, "value": "Sales"}]);
        assert_eq!(patched(&user(&json!({"userName": "a"})), &operation), sales, "{flat}");
    }
    let object =
        json!({"userName": "a", "urn:scim:schemas:extension:enterprise:1.0": {"department": "Sales"}});
    assert_eq!(user(&object), sales);

    let body = |said: Value| {
        let mut body = json!({"displayName": "Group"});
        body.as_object_mut().expect("an object").extend(said.as_object().expect("an object").clone());
        parse_group(body.to_string().as_bytes()).map(|(group, _)| group.members)
    };
    for urn in [
        "urn:scim:schemas:core:1.0",
        "urn:scim:schemas:core:2.0:Group",
        "urn:ietf:params:scim:schemas:core:2.0:Group",
    ] {
        let (flat, one) = (format!("{urn}:members"), json!([{"value": "a"}]));
        let added = [GroupChange::AddMembers(members(&["a"]))];
        for operation in [
            json!({"op": "add", "path": flat, "value": one}),
            json!({"op": "add", "value": {flat.as_str(): one}}),
            json!({"op": "add", "path": urn, "value": {"members": one}}),
            json!({"op": "add", "value": {urn: {"members": one}}}),
        ] {
            assert_eq!(group_patch(&json!([operation])).expect("changes").0, added, "{operation}");
        }
        assert_eq!(body(json!({urn: {"members": one}})), Ok(Some(members(&["a"]))), "{urn}");
        let twice = body(json!({"members": one, urn: {"members": []}}));
        assert!(matches!(twice, Err(ScimError::DuplicateKey { .. })), "{twice:?}");
    }
}

#[test]
fn what_is_no_schema_of_the_standard_is_refused_in_its_namespaces() {
    let before = user(&json!({"userName": "a", "active": true}));
    let is_path = |refused: &ScimError| refused.scim_type() == Some(ScimType::InvalidPath);
    for urn in NONE {
        let flat = format!("{urn}:x");
        for body in [json!({"userName": "a", flat.as_str(): 1}), json!({"userName": "a", urn: {"x": 1}})] {
            assert!(is_path(&refused_user(&body)), "{body}");
        }
        for operation in [
            json!({"op": "add", "path": flat, "value": 1}),
            json!({"op": "add", "path": urn, "value": {"x": 1}}),
            json!({"op": "remove", "path": flat}),
            json!({"op": "add", "value": {flat.as_str(): 1}}),
            json!({"op": "add", "value": {urn: {"x": 1}}}),
        ] {
            assert!(is_path(&refused_patch(&before, &json!([operation]))), "{operation}");
            let refused = group_patch(&json!([operation])).expect_err("a refusal");
            assert!(is_path(&refused), "of a group: {operation}");
        }
        let filter = Filter::parse(&format!("not ({flat} pr)")).expect("a filter");
        let refused = filter.check_names(ResourceType::User);
        assert!(matches!(refused, Err(ScimError::UnknownFilterAttribute { .. })), "{flat}: {refused:?}");
        assert_eq!(facet_key(&flat), Err(NotAFacet::Unknown));
    }
    for urn in [
        "urn:ietf:params:scim:schemas:extension:Acme:2.0:User",
        "urn:ietf:params:scim:schemas:extension:enterprises:2.0:User",
        "urn:scim:schemas:extension:Acme",
        "urn:scim:wso2:schema",
        "urn:acme:core:2.0:User",
    ] {
        let own = user(&json!({"userName": "a", urn: {"x": 1}}));
        assert_eq!(own.attributes()[urn], json!({"x": 1}), "an extension of somebody's own");
        let mut seen = SeenExtensions::default();
        seen.see(&own);
        let listed = portcullis_scim::discovery::find_schema_document(urn, "https://p.test", &seen);
        assert!(listed.is_some(), "{urn}");
        let nothing = user(&json!({"userName": "a"}));
        assert_eq!(patched(&own, &json!([{"op": "remove", "path": urn}])), nothing);
        let asked = Filter::parse(&format!("{urn} pr")).expect("a filter");
        assert_eq!(asked.check_names(ResourceType::User), Ok(()), "{urn}");
        for (person, has_it) in [(&own, true), (&nothing, false)] {
            assert_eq!(asked.matches(ResourceType::User, person.attributes()), has_it, "{urn}");
        }
    }
}

#[test]
fn what_is_said_of_active_twice_or_of_nothing_that_is_known_is_refused() {
    let urn = "urn:ietf:params:scim:schemas:core:2.0:User";
    let other = "urn:scim:schemas:core:1.0";
    for body in [
        json!({"active": false, urn: {"active": true}}),
        json!({"active": false, (format!("{other}:active")): true}),
        json!({urn: {"active": false}, other: {"active": true}}),
        json!({"active.value": false}),
        json!({"User:active": "False"}),
        json!({"user.active": 0}),
        json!({"user": {"Active": false}}),
        json!({"urn:acme:active": false}),
        json!({ENTERPRISE: {"active": false}}),
        json!({(format!("{ENTERPRISE}:active")): false}),
        json!({"urn:ietf:params:scim:schemas:core:2.0:Group": {"active": false}}),
    ] {
        let before = user(&json!({"userName": "a", "active": true}));
        refused_patch(&before, &json!([{"op": "replace", "value": body}]));
        let mut whole = body;
        whole["userName"] = json!("a");
        refused_user(&whole);
    }
    for harmless in [
        json!({"isActive": false, "is_active": false, "status": "active"}),
        json!({"user": {"active": true}, "user.active": null}),
    ] {
        let mut whole = harmless;
        whole["userName"] = json!("a");
        assert_eq!(attributes(&user(&whole)), json!({"userName": "a"}), "left aside as ever");
    }
}

#[test]
fn the_urns_of_drafts_among_the_schemas_of_a_body_are_noted_and_not_missed() {
    let body = json!({"schemas": ["urn:scim:schemas:core:1.0"], "userName": "a"});
    let (_, notes) = parse_user(body.to_string().as_bytes()).expect("a user");
    assert_eq!(notes, [DialectNote::OtherUrn("urn:scim:schemas:core:1.0".to_owned())]);
    let (_, notes) = Filter::parse_noting("urn:scim:schemas:core:1.0:title pr").expect("a filter");
    assert_eq!(notes, [DialectNote::OtherUrn("urn:scim:schemas:core:1.0".to_owned())]);
}

#[test]
fn what_a_filter_takes_liberties_with_is_noted_wherever_it_stands() {
    let before =
        user(&json!({"userName": "a", "emails": [{"value": "a@x.test", "type": "work", "primary": true}]}));
    let noted = |path: &str| {
        let operation = json!([{"op": "replace", "path": path, "value": "b@x.test"}]);
        patch(&before, &operation).expect("a user").1
    };
    assert_eq!(noted("emails[type eq work].value"), [DialectNote::BareLiteral]);
    assert_eq!(noted("emails[primary eq \"True\"].value"), [DialectNote::StringBoolean("primary")]);
    assert_eq!(noted("emails[primary eq true].value"), []);
    let notes = |text: &str| Filter::parse(text).expect("a filter").type_notes(ResourceType::User);
    assert_eq!(notes("active eq \"True\""), [DialectNote::StringBoolean("active")]);
    let nested = "title pr and not (emails[type eq \"work\" or primary ne \"false\"])";
    assert_eq!(notes(nested), [DialectNote::StringBoolean("primary")]);
    assert_eq!(notes("active eq true or userName eq \"true\" or active pr"), []);
}

#[test]
fn names_that_differ_in_case_alone_are_one_name_given_twice() {
    let patch = |operations: &str| {
        let body = format!(r#"{{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],{operations}}}"#);
        parse_patch(body.as_bytes())
    };
    let inactive = r#"{"op":"replace","path":"active","value":false}"#;
    for operations in [
        format!(r#""Operations":[{inactive}],"operations":[{{"op":"replace","path":"title","value":"x"}}]"#),
        r#""Operations":[{"op":"replace","path":"active","value":false,"Value":true}]"#.to_owned(),
        r#""Operations":[{"op":"replace","OP":"add","path":"active","value":false}]"#.to_owned(),
    ] {
        assert!(matches!(patch(&operations), Err(ScimError::DuplicateKey { .. })), "{operations}");
    }
    assert!(patch(&format!(r#""Operations":[{inactive}]"#)).is_ok());
    let many = |last: &str| {
        let names: Vec<String> = (0..40).map(|n| format!(r#""name{n}":1"#)).collect();
        format!(r#"{{"userName":"a","urn:acme:hr:2.0:User":{{{},"{last}":2}}}}"#, names.join(","))
    };
    assert!(parse_user(many("name40").as_bytes()).is_ok());
    for twice in ["NAME3", "Name39", "name20"] {
        let refused = parse_user(many(twice).as_bytes());
        assert!(matches!(refused, Err(ScimError::DuplicateKey { .. })), "{twice}");
    }
    let members =
        json!({"displayName": "g"}).to_string().replace('}', r#","members":[{"value":"a","VALUE":"b"}]}"#);
    assert!(matches!(parse_group(members.as_bytes()), Err(ScimError::DuplicateKey { .. })));
}

#[test]
fn the_core_schema_as_a_whole_is_not_removed() {
    let urn = "urn:ietf:params:scim:schemas:core:2.0:User";
    for path in [urn, "urn:scim:schemas:core:1.0"] {
        let refused =
            refused_patch(&user(&json!({"userName": "a"})), &json!([{"op": "remove", "path": path}]));
        assert_eq!(refused, ScimError::RemoveWithoutPath, "{path}");
        let path = path.replace("User", "Group");
        let refused = group_patch(&json!([{"op": "remove", "path": path}])).expect_err("a refusal");
        assert_eq!(refused, ScimError::RemoveWithoutPath, "{path}");
    }
}

/// URNs put together from what those of the standard are made of.
fn urns() -> impl Strategy<Value = String> {
    let part = |parts: &'static [&'static str]| prop::sample::select(parts);
    (
        part(&["urn:ietf:params:scim:", "urn:scim:", "URN:ietf:params:scim:", "urn:ietf:"]),
        part(&["schemas:", "schema:", "Schemas:", "api:messages:", ""]),
        part(&["core", "Core", "cores", "extension:enterprise", "enterprise", "messages"]),
        part(&[":2.0", ":1.0", ":2", "2.0", ":2.0.0", ""]),
        part(&[":User", "User", ":user", ".User", ":Users", ":Group", ""]),
    )
        .prop_filter("one that somebody may have", |(root, schemas, name, version, kind)| {
            let is_draft = *root != "urn:scim:" || schemas.eq_ignore_ascii_case("schemas:");
            is_draft && !(*name == "extension:enterprise" && version.is_empty() && *kind == "User")
        })
        .prop_map(|(a, b, c, d, e)| format!("{a}{b}{c}{d}{e}"))
}

proptest! {
    #[test]
    fn nobody_stays_active_where_something_like_the_standards_urn_says_that_they_are_not(
        urn in urns(),
        separator in prop::sample::select(vec![":", ".", "::", ": "]),
        text in prop::bool::ANY,
    ) {
        let (flat, no) = (format!("{urn}{separator}active"), if text { json!("False") } else { json!(false) });
        let before = user(&json!({"userName": "a", "active": true}));
        let mut said = vec![json!({flat.as_str(): no}), json!({urn.as_str(): {"active": no}})];
        for body in &mut said {
            let operation = json!([{"op": "replace", "value": body}]);
            if let Ok((after, _)) = patch(&before, &operation) {
                prop_assert_eq!(after.active(), Some(false), "{}", operation);
            }
            body["userName"] = json!("a");
            if let Ok((after, _)) = parse_user(body.to_string().as_bytes()) {
                prop_assert_eq!(after.active(), Some(false), "{}", body);
            }
        }
        for operation in [
            json!([{"op": "replace", "path": flat, "value": no}]),
            json!([{"op": "replace", "path": urn, "value": {"active": no}}]),
        ] {
            if let Ok((after, _)) = patch(&before, &operation) {
                prop_assert_eq!(after.active(), Some(false), "{}", operation);
            }
        }
    }
}

#[test]
fn whoever_is_said_to_be_inactive_is_so_whatever_stands_beside_it_in_a_namespace_of_the_standard() {
    let here = user(&json!({"userName": "a", "active": true}));
    let gone = json!({"userName": "a", "active": false});
    let oracle = "urn:ietf:params:scim:schemas:oracle:idcs:extension:user:User";
    for urn in NONE.into_iter().chain([oracle]) {
        for beside in [json!({"x": 1}), json!({"active": true}), json!(null)] {
            let body = json!({"userName": "a", urn: beside, "active": false});
            let (left, notes) = parse_user(body.to_string().as_bytes()).expect("a user");
            assert_eq!(attributes(&left), gone, "{body}");
            assert!(notes.contains(&DialectNote::UnknownAttribute(urn.to_owned())), "{notes:?}");
            let operation = json!([{"op": "replace", "value": {"active": "False", urn: beside}}]);
            assert_eq!(attributes(&patched(&here, &operation)), gone, "{operation}");
        }
        // Not so where it may say that itself, nor where nobody is said to be inactive.
        for (active, beside) in [(false, json!({"active": false})), (true, json!({"x": 1}))] {
            refused_user(&json!({"userName": "a", "active": active, urn: beside}));
        }
        refused_user(&json!({"userName": "a", urn: {"x": 1}}));
        let already = user(&gone);
        refused_patch(&already, &json!([{"op": "replace", "value": {"title": "x", urn: {"x": 1}}}]));
    }
}
