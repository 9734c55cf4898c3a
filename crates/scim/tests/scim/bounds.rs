//! Every bound, on both of its sides, and time that grows no faster than the call.

use std::fmt::Write as _;

use portcullis_scim::limits::{
    MAX_CUSTOM_EXTENSION_BYTES, MAX_CUSTOM_EXTENSIONS, MAX_EDIT_WORK_BYTES, MAX_FILTER_TERMS,
    MAX_INDEXED_BYTES, MAX_INLINE_BYTES, MAX_JSON_DEPTH, MAX_JSON_STRING_BYTES, MAX_JSON_VALUES,
    MAX_MEMBERS_PER_CALL, MAX_NOTES, MAX_OPERATIONS, MAX_PATH_BYTES, MAX_TEXT_BYTES, MAX_USER_OPERATIONS,
    MAX_VALUES_PER_ATTRIBUTE,
};
use portcullis_scim::{
    Filter, GroupChange, ResourceType, ScimError, User, Work, parse_group, parse_group_patch, parse_patch,
    parse_user,
};
use serde_json::{Map, Value, json};

use crate::wire::{changes, group_patch, patch, patch_body, refused_user, user};

#[test]
fn a_body_must_be_one_json_object() {
    for body in
        [&b""[..], b"{", b"{}x", b"nonsense", b"\xff\xfe", b"{\"a\":\"\xff\"}", b"{\"a\":\"\\ud800\"}"]
    {
        assert!(matches!(parse_user(body), Err(ScimError::InvalidJson { .. })), "{body:?}");
    }
    for body in [&b"[]"[..], b"null", b"1", b"\"x\"", b"true"] {
        assert_eq!(parse_user(body), Err(ScimError::NotAnObject));
    }
    assert!(parse_user(b"\xEF\xBB\xBF{\"userName\":\"a\"}").is_ok());
}

#[test]
fn the_null_character_is_refused_anywhere() {
    for body in [
        r#"{"userName":"a\u0000b"}"#,
        r#"{"userName":"a","nonsense":"\u0000"}"#,
        r#"{"userName":"a","urn:x:User":{"k":["\u0000"]}}"#,
        r#"{"userName":"a","non\u0000sense":1}"#,
    ] {
        assert_eq!(parse_user(body.as_bytes()), Err(ScimError::NulCharacter), "{body}");
    }
    let patch = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"title","value":"\u0000"}]}"#;
    assert_eq!(parse_patch(patch.as_bytes()), Err(ScimError::NulCharacter));
    assert_eq!(
        parse_group(br#"{"displayName":"G","members":[{"value":"\u0000"}]}"#),
        Err(ScimError::NulCharacter)
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        let levels = depth - 1;
        format!("{{\"userName\":\"a\",\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    assert!(parse_user(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
    assert_eq!(
        parse_user(nested(MAX_JSON_DEPTH + 1).as_bytes()),
        Err(ScimError::TooDeep { max: MAX_JSON_DEPTH })
    );
    assert!(parse_user("[".repeat(1_000_000).as_bytes()).is_err());
}

#[test]
fn the_number_of_values_is_bounded() {
    let body = format!("{{\"userName\":\"a\",\"x\":[{}0]}}", "0,".repeat(MAX_JSON_VALUES));
    assert_eq!(parse_user(body.as_bytes()), Err(ScimError::TooManyJsonValues { max: MAX_JSON_VALUES }));
}

#[test]
fn strings_are_bounded_by_what_they_are_for() {
    let of = |bytes: usize| "x".repeat(bytes);
    for (body, is_ok) in [
        (json!({"userName": of(MAX_INDEXED_BYTES)}), true),
        (json!({"userName": of(MAX_INDEXED_BYTES + 1)}), false),
        (json!({"userName": "a", "externalId": of(MAX_INDEXED_BYTES + 1)}), false),
        (json!({"userName": "a", "emails": [{"value": of(MAX_INDEXED_BYTES + 1)}]}), false),
        (json!({"userName": "a", "title": of(MAX_TEXT_BYTES)}), true),
        (json!({"userName": "a", "title": of(MAX_TEXT_BYTES + 1)}), false),
        (json!({"userName": "a", "photos": [{"value": of(MAX_INLINE_BYTES)}]}), true),
        (json!({"userName": "a", "photos": [{"value": of(MAX_INLINE_BYTES + 1)}]}), false),
        (json!({"userName": "a", "nonsense": of(MAX_INLINE_BYTES + 1)}), true),
        (json!({"userName": "a", "nonsense": of(MAX_JSON_STRING_BYTES + 1)}), false),
    ] {
        assert_eq!(parse_user(body.to_string().as_bytes()).is_ok(), is_ok);
    }
    let group = json!({"displayName": "G", "members": [of(MAX_INDEXED_BYTES + 1)]});
    assert!(matches!(parse_group(group.to_string().as_bytes()), Err(ScimError::TooLong { .. })));
}

#[test]
fn the_values_of_one_attribute_are_bounded_however_they_arrive() {
    let emails = |count: usize| (0..count).map(|n| json!({"value": n.to_string()})).collect::<Vec<_>>();
    let full = user(&json!({"userName": "a", "emails": emails(MAX_VALUES_PER_ATTRIBUTE)}));
    assert!(matches!(
        refused_user(&json!({"userName": "a", "emails": emails(MAX_VALUES_PER_ATTRIBUTE + 1)})),
        ScimError::TooManyValues { .. }
    ));
    for operation in [
        json!({"op": "add", "path": "emails", "value": [{"value": "new"}]}),
        json!({"op": "add", "path": "emails[value eq \"new\"].type", "value": "work"}),
    ] {
        assert!(matches!(patch(&full, &json!([operation])), Err(ScimError::TooManyValues { .. })));
    }
}

#[test]
fn custom_extensions_are_bounded_in_number_and_size() {
    let with = |count: usize| {
        let mut body = json!({"userName": "a"});
        for n in 0..count {
            body[format!("urn:x:{n}:User")] = json!({"a": 1});
        }
        parse_user(body.to_string().as_bytes())
    };
    assert!(with(MAX_CUSTOM_EXTENSIONS).is_ok());
    assert!(matches!(with(MAX_CUSTOM_EXTENSIONS + 1), Err(ScimError::TooManyValues { .. })));
    let half = "x".repeat(MAX_CUSTOM_EXTENSION_BYTES / 2);
    assert!(parse_user(json!({"userName": "a", "urn:x:User": {"a": half}}).to_string().as_bytes()).is_ok());
    let body = json!({"userName": "a", "urn:x:User": {"a": half, "b": half}});
    assert!(matches!(parse_user(body.to_string().as_bytes()), Err(ScimError::TooLong { .. })));
}

/// Somebody with as many numbers as there may be, each of so many bytes.
fn with_numbers(bytes: usize) -> User {
    let numbers: Vec<Value> = (0..MAX_VALUES_PER_ATTRIBUTE)
        .map(|n| json!({"value": n.to_string(), "display": "X".repeat(bytes)}))
        .collect();
    user(&json!({"userName": "a", "phoneNumbers": numbers}))
}

fn cost(user: &User, operations: &Value) -> (usize, Result<(), ScimError>) {
    let work = Work::within(MAX_EDIT_WORK_BYTES);
    let patch = parse_patch(&patch_body(operations)).expect("a patch");
    let done = patch.apply_within(user, &work).map(|_| ());
    (work.spent(), done)
}

#[test]
fn operations_terms_and_values_that_are_each_bounded_are_bounded_together() {
    let terms = vec!["display co \"y\""; MAX_FILTER_TERMS].join(" or ");
    let selecting = |many: usize| -> Value {
        let path = format!("phoneNumbers[{terms}]");
        (0..many).map(|_| json!({"op": "remove", "path": path})).collect::<Vec<_>>().into()
    };
    let adding = |many: usize| -> Value {
        let known: Vec<Value> = (0..MAX_VALUES_PER_ATTRIBUTE).map(|n| json!(n.to_string())).collect();
        (0..many)
            .map(|_| json!({"op": "add", "path": "phoneNumbers", "value": known}))
            .collect::<Vec<_>>()
            .into()
    };
    let naming = |many: usize| -> Value {
        let others: Vec<Value> = (0..400).map(|n| json!({"value": format!("x{n}")})).collect();
        (0..many)
            .map(|_| json!({"op": "remove", "path": "phoneNumbers", "value": others}))
            .collect::<Vec<_>>()
            .into()
    };
    let writing = |many: usize| -> Value {
        let set =
            json!({"op": "replace", "path": "phoneNumbers[value pr].display", "value": "z".repeat(8_000)});
        vec![set; many].into()
    };
    let naming_customs = |many: usize| -> Value {
        let keys: Map<String, Value> =
            (0..many * 500).map(|n| (format!("urn:x:y:User:a{n}"), json!(1))).collect();
        json!([{"op": "add", "value": keys}])
    };
    let (small, large) = (with_numbers(1), with_numbers(1_000));
    let refused = Err(ScimError::TooMuchWork { max_bytes: MAX_EDIT_WORK_BYTES });
    for (name, user, operations, dearest) in [
        ("selecting", &large, selecting(900), 40_000),
        ("adding", &small, adding(100), 20_000),
        ("naming", &small, naming(100), 4_000_000),
        ("writing", &small, writing(100), 20_000),
        ("naming customs", &small, naming_customs(40), 20_000),
    ] {
        let (spent, done) = cost(user, &operations);
        assert_eq!(done, refused, "{name}");
        assert!(spent < MAX_EDIT_WORK_BYTES + dearest, "{name}: {spent} is counted before it is done");
        assert_eq!(
            parse_patch(&patch_body(&operations)).expect("a patch").apply_to_user(user).map(|_| ()),
            refused
        );
    }
    for (name, user, operations) in [
        ("selecting", &small, selecting(2)),
        ("adding", &small, adding(1)),
        ("naming", &small, naming(1)),
        ("writing", &small, writing(1)),
        ("naming customs", &small, naming_customs(1)),
    ] {
        let (spent, done) = cost(user, &operations);
        assert_eq!(done, Ok(()), "{name}");
        assert!(spent > 100_000, "{name}: {spent} is counted");
    }
    let keys: Map<String, Value> = (0..20_000).map(|n| (format!("urn:x:y:User:a{n}"), json!(1))).collect();
    let body = json!({"userName": "a"})
        .as_object()
        .cloned()
        .into_iter()
        .flatten()
        .chain(keys)
        .collect::<Map<_, _>>();
    assert_eq!(
        parse_user(Value::from(body).to_string().as_bytes()).map(|_| ()),
        refused,
        "a whole body, too"
    );
}

#[test]
fn each_name_of_a_custom_extension_is_held_against_all_that_are_there_and_that_is_counted() {
    let person = user(&json!({"userName": "a"}));
    let keys = |many: usize| (0..many).map(|n| (format!("urn:x:{n:05}:a"), json!(1))).collect::<Map<_, _>>();
    let naming = |many: usize| cost(&person, &json!([{"op": "add", "value": keys(many)}]));
    let (few, many) = (naming(100).0, naming(200).0);
    assert!(few > 100 * 100 / 2 * 16 && many > 3 * few, "{few} {many}");
    let refused = Err(ScimError::TooMuchWork { max_bytes: MAX_EDIT_WORK_BYTES });
    let (spent, done) = naming(20_000);
    assert_eq!(done, refused);
    assert!(spent < MAX_EDIT_WORK_BYTES + 100_000, "{spent} is counted before it is done");
    let whole = keys(20_000).into_iter().chain([("userName".to_owned(), json!("a"))]).collect::<Map<_, _>>();
    assert_eq!(parse_user(Value::from(whole).to_string().as_bytes()).map(|_| ()), refused);
    let long = |bytes: usize| {
        let urn = format!("urn:x:{}", "y".repeat(bytes));
        cost(&person, &json!([{"op": "add", "value": {(format!("{urn}:a")): 1, (format!("{urn}:b")): 1}}])).0
    };
    assert!(long(1_000) > long(10) + 990, "two names may be the same up to their ends");
}

#[test]
fn a_name_of_a_custom_extension_is_counted_by_its_length() {
    let urn = "urn:acme:hr:2.0:User";
    let spent = |bytes: usize| {
        let names: Map<String, Value> =
            (0..50).map(|n| (format!("a{n:02}{}", "x".repeat(bytes)), json!(1))).collect();
        let person = user(&json!({"userName": "a", urn: names}));
        cost(&person, &json!([{"op": "add", "value": {urn: {"other": 1}}}])).0
    };
    assert!(spent(1_000) >= spent(0) + 50 * 1_000, "each is put into lower case");
}

#[test]
fn a_text_is_folded_once_for_all_terms_and_counted_for_each() {
    let person = json!({"title": "X".repeat(1_000)});
    let spent = |terms: usize| {
        let filter = vec!["title co \"y\""; terms].join(" or ");
        let work = Work::within(usize::MAX);
        let filter = Filter::parse(&filter).expect("a filter");
        let found = filter.matches_within(ResourceType::User, person.as_object().expect("an object"), &work);
        assert_eq!(found, Ok(false));
        work.spent()
    };
    let (one, many) = (spent(1), spent(MAX_FILTER_TERMS));
    assert!(one > 1_000 && many == one * MAX_FILTER_TERMS, "{one} {many}");
    let filter = Filter::parse("not (title co \"y\")").expect("a filter");
    let work = Work::within(1_000);
    let found = filter.matches_within(ResourceType::User, person.as_object().expect("an object"), &work);
    assert_eq!(
        found,
        Err(ScimError::TooMuchWork { max_bytes: 1_000 }),
        "a negation does not make it a match"
    );
}

#[test]
fn operations_are_bounded_for_users_and_for_groups() {
    let operations =
        |count: usize| Value::from(vec![json!({"op": "add", "path": "displayName", "value": "x"}); count]);
    let person = user(&json!({"userName": "a"}));
    assert!(patch(&person, &operations(MAX_USER_OPERATIONS)).is_ok());
    assert_eq!(
        patch(&person, &operations(MAX_USER_OPERATIONS + 1)),
        Err(ScimError::TooManyOperations { max: MAX_USER_OPERATIONS })
    );
    assert!(group_patch(&operations(MAX_OPERATIONS)).is_ok());
    assert_eq!(
        group_patch(&operations(MAX_OPERATIONS + 1)),
        Err(ScimError::TooManyOperations { max: MAX_OPERATIONS })
    );
}

#[test]
fn paths_are_bounded() {
    let path = format!("emails[type eq \"{}\"].value", "x".repeat(MAX_PATH_BYTES));
    let body = patch_body(&json!([{"op": "add", "path": path, "value": "a"}]));
    assert!(matches!(parse_patch(&body), Err(ScimError::InvalidPath { .. })));
}

fn members_body(count: usize) -> String {
    let mut body = String::from("[");
    for n in 0..count {
        let separator = if n == 0 { "" } else { "," };
        write!(body, "{separator}{{\"$ref\":null,\"value\":\"7f3c2a10-0000-4000-8000-{n:012}\"}}")
            .expect("text");
    }
    body.push(']');
    body
}

#[test]
fn the_members_of_one_call_are_bounded_over_all_operations() {
    let half: Value = serde_json::from_str(&members_body(MAX_MEMBERS_PER_CALL / 2)).expect("members");
    let add = json!({"op": "add", "path": "members", "value": half});
    let remove = json!({"op": "remove", "path": "members", "value": half});
    let one = json!({"op": "remove", "path": "members[value eq \"x\"]"});
    assert!(group_patch(&json!([add, remove])).is_ok());
    assert_eq!(
        group_patch(&json!([add, remove, one])),
        Err(ScimError::TooManyMembers { max: MAX_MEMBERS_PER_CALL })
    );
}

#[test]
fn fifty_thousand_members_are_read_in_one_go() {
    for (op, expected) in [("add", "AddMembers"), ("replace", "ReplaceMembers"), ("remove", "RemoveMembers")]
    {
        let body = format!(
            "{{\"schemas\":[\"urn:ietf:params:scim:api:messages:2.0:PatchOp\"],\"Operations\":[{{\"op\":\"{op}\",\"path\":\"members\",\"value\":{}}}]}}",
            members_body(50_000)
        );
        let (changes, _) = parse_group_patch(body.as_bytes()).expect("changes");
        let (name, count) = match changes.as_slice() {
            [GroupChange::AddMembers(members)] => ("AddMembers", members.len()),
            [GroupChange::ReplaceMembers(members)] => ("ReplaceMembers", members.len()),
            [GroupChange::RemoveMembers(ids)] => ("RemoveMembers", ids.len()),
            other => panic!("{} changes", other.len()),
        };
        assert_eq!((name, count), (expected, 50_000));
    }
}

#[test]
fn ten_thousand_operations_of_one_member_become_one_change() {
    let operations: Vec<Value> = (0..MAX_OPERATIONS)
        .map(|n| json!({"op": "remove", "path": format!("members[value eq \"u{n}\"]")}))
        .collect();
    let changes = changes(&Value::from(operations));
    assert!(matches!(changes.as_slice(), [GroupChange::RemoveMembers(ids)] if ids.len() == MAX_OPERATIONS));
}

#[test]
fn notes_are_bounded() {
    let mut body = json!({"userName": "a"});
    for n in 0..1_000 {
        body[format!("nonsense{n}")] = json!(1);
    }
    let (_, notes) = parse_user(body.to_string().as_bytes()).expect("a user");
    assert_eq!(notes.len(), MAX_NOTES);
}
