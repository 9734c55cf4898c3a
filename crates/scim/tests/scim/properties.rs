//! Properties over generated input: nothing panics, nothing is lost, and groups agree with a naive model.

use std::collections::BTreeSet;

use portcullis_scim::filter::{Literal, Operator};
use portcullis_scim::path::AttributePath;
use portcullis_scim::{
    Filter, GroupChange, Lookup, Narrowed, ResourceType, parse_group, parse_patch, parse_user,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::wire::{ENTERPRISE, attributes, changes, patch, patched, user};

/// One operation on the members of a group, and what it means to a naive reader.
#[derive(Debug, Clone)]
enum Step {
    Add(Vec<u8>),
    AddPathLess(Vec<u8>),
    RemoveByValues(Vec<u8>),
    RemoveByFilter(u8, Option<u8>),
    RemoveOfKind(Option<u8>, &'static str),
    Replace(Vec<u8>),
    ReplacePathLess(Vec<u8>),
    Clear,
    Rename(String),
}

impl Step {
    fn wire(&self) -> Value {
        let list = |ids: &[u8]| {
            ids.iter().map(|id| json!({"value": format!("u{id}"), "$ref": null})).collect::<Vec<_>>()
        };
        match self {
            Self::Add(ids) => json!({"op": "Add", "path": "members", "value": list(ids)}),
            Self::AddPathLess(ids) => json!({"op": "add", "value": {"members": list(ids), "id": "x"}}),
            Self::RemoveByValues(ids) => json!({"op": "Remove", "path": "members", "value": list(ids)}),
            Self::RemoveByFilter(id, None) => {
                json!({"op": "remove", "path": format!("members[value eq \"u{id}\"]")})
            }
            Self::RemoveByFilter(id, Some(other)) => {
                json!({"op": "remove", "path": format!("members[value eq \"u{id}\" or value eq \"u{other}\"]")})
            }
            Self::RemoveOfKind(None, kind) => {
                json!({"op": "remove", "path": format!("members[type eq \"{kind}\"]")})
            }
            Self::RemoveOfKind(Some(id), kind) => {
                json!({"op": "remove", "path": format!("members[value eq \"u{id}\" and type eq \"{kind}\"]")})
            }
            Self::Replace(ids) => json!({"op": "replace", "path": "members", "value": list(ids)}),
            Self::ReplacePathLess(ids) => json!({"op": "Replace", "value": {"members": list(ids)}}),
            Self::Clear => json!({"op": "remove", "path": "members"}),
            Self::Rename(name) => json!({"op": "replace", "path": "displayName", "value": name}),
        }
    }

    fn apply(&self, group: &mut (String, BTreeSet<String>)) {
        let set = |ids: &[u8]| ids.iter().map(|id| format!("u{id}")).collect::<BTreeSet<_>>();
        match self {
            Self::Add(ids) | Self::AddPathLess(ids) => group.1.extend(set(ids)),
            Self::RemoveByValues(ids) => group.1.retain(|id| !set(ids).contains(id)),
            Self::RemoveByFilter(id, other) => {
                group.1.retain(|member| {
                    *member != format!("u{id}") && other.is_none_or(|other| *member != format!("u{other}"))
                });
            }
            Self::RemoveOfKind(id, kind) => {
                group.1.retain(|member| *kind == "Group" || id.is_some_and(|id| *member != format!("u{id}")))
            }
            Self::Replace(ids) | Self::ReplacePathLess(ids) => group.1 = set(ids),
            Self::Clear => group.1.clear(),
            Self::Rename(name) => group.0.clone_from(name),
        }
    }
}

fn apply_changes(changes: Vec<GroupChange>, group: &mut (String, BTreeSet<String>)) {
    for change in changes {
        match change {
            GroupChange::SetDisplayName(name) => group.0 = name,
            GroupChange::SetExternalId(_) => {}
            GroupChange::AddMembers(members) => {
                group.1.extend(members.iter().map(|member| member.value.to_owned()));
            }
            GroupChange::RemoveMembers(ids) => {
                group.1.retain(|id| ids.iter().all(|gone| gone.value != id));
            }
            GroupChange::ReplaceMembers(members) => {
                group.1 = members.iter().map(|member| member.value.to_owned()).collect();
            }
            GroupChange::ClearMembers | GroupChange::ClearMembersOf(ResourceType::User) => group.1.clear(),
            GroupChange::RemoveMembersOf(ResourceType::User, ids) => {
                group.1.retain(|id| ids.iter().all(|gone| gone.value != id));
            }
            // All of them are people.
            GroupChange::RemoveMembersOf(ResourceType::Group, _)
            | GroupChange::ClearMembersOf(ResourceType::Group) => {}
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ids = || prop::collection::vec(0_u8..8, 0..5);
    let step = prop_oneof![
        ids().prop_map(Step::Add),
        ids().prop_map(Step::AddPathLess),
        ids().prop_map(Step::RemoveByValues),
        (0_u8..8, prop::option::of(0_u8..8)).prop_map(|(id, other)| Step::RemoveByFilter(id, other)),
        (prop::option::of(0_u8..8), prop::sample::select(vec!["User", "Group"]))
            .prop_map(|(id, kind)| Step::RemoveOfKind(id, kind)),
        ids().prop_map(Step::Replace),
        ids().prop_map(Step::ReplacePathLess),
        Just(Step::Clear),
        "[a-z]{1,4}".prop_map(Step::Rename),
    ];
    prop::collection::vec(step, 1..12)
}

/// Any JSON, leaning to the names and values that mean something.
fn anything() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "True",
            "False",
            "work",
            "value",
            "emails[type eq \"work\"].value",
            "members[value eq \"a\"]",
            "name.givenName",
            "urn:x:User",
            ENTERPRISE,
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys(), inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "userName", "active", "emails", "name", "value", "type", "primary", "members", "displayName", "externalId",
            "id", "schemas", "groups", "meta", "name.givenName", "emails[type eq \"work\"].value", "manager", "password",
            "addresses", "roles", "urn:x:2.0:User", "urn:x:2.0:User:a", ENTERPRISE, "urn:scim:schemas:core:1.0:active",
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn paths() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => keys(),
        2 => prop::sample::select(vec![
            "emails", "emails.value", "emails[value pr]", "emails[primary eq true]", "emails[type eq \"work\" and value eq \"a\"].display",
            "addresses[type eq \"home\"].locality", "members[value eq \"a\" or value eq \"b\"]", "members.value",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn operations() -> impl Strategy<Value = Value> {
    let operation = (
        prop::sample::select(vec!["add", "Replace", "remove"]),
        prop::option::of(paths()),
        prop::option::of(anything()),
    )
        .prop_map(|(op, path, value)| {
            let mut operation = json!({"op": op});
            if let Some(path) = path {
                operation["path"] = path.into();
            }
            if let Some(value) = value {
                operation["value"] = value;
            }
            operation
        });
    prop::collection::vec(operation, 1..5).prop_map(Value::from)
}

fn resource() -> impl Strategy<Value = Value> {
    prop::collection::vec((keys(), anything()), 0..8).prop_map(|entries| {
        let mut object: Map<String, Value> = entries.into_iter().collect();
        object.insert("userName".to_owned(), "a".into());
        object.insert("displayName".to_owned(), "d".into());
        Value::Object(object)
    })
}

/// Is this what a user may look like in storage?
fn assert_canonical(attributes: &Value) {
    let object = attributes.as_object().expect("an object");
    for forbidden in ["id", "meta", "groups", "schemas", "password", "members"] {
        assert!(!object.contains_key(forbidden), "{forbidden}");
    }
    assert!(object["userName"].as_str().is_some_and(|name| !name.is_empty()));
    assert!(object.get("active").is_none_or(Value::is_boolean));
    for (key, value) in object {
        let is_empty = value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty);
        assert!(!is_empty, "{key} is kept though it is unassigned");
    }
    if let Some(emails) = object.get("emails") {
        let primaries =
            emails.as_array().expect("a list").iter().filter(|email| email["primary"] == json!(true)).count();
        assert!(primaries <= 1);
    }
}

proptest! {
    #[test]
    fn a_number_of_a_custom_attribute_comes_back_as_it_came(number in prop::num::f64::NORMAL) {
        let urn = "urn:acme:params:scim:schemas:desk";
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", urn],
            "userName": "ada",
            urn: { "height": number },
        });
        let (user, _) = parse_user(body.to_string().as_bytes()).expect("a person");
        // What is stored is this text, and it is read again for each answer.
        let stored = Value::Object(user.attributes().clone()).to_string();
        let read: Value = serde_json::from_str(&stored).expect("JSON");
        prop_assert_eq!(read[urn]["height"].as_f64().map(f64::to_bits), Some(number.to_bits()));
    }

    #[test]
    fn a_patch_of_a_group_does_what_a_naive_reader_expects(
        before in prop::collection::btree_set(0_u8..8, 0..8),
        steps in steps(),
    ) {
        let before: BTreeSet<String> = before.into_iter().map(|id| format!("u{id}")).collect();
        let mut expected = ("name".to_owned(), before.clone());
        steps.iter().for_each(|step| step.apply(&mut expected));
        let operations: Vec<Value> = steps.iter().map(Step::wire).collect();
        let mut actual = ("name".to_owned(), before);
        apply_changes(changes(&Value::from(operations)), &mut actual);
        prop_assert_eq!(actual, expected);
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_user(&bytes);
        let _ = parse_group(&bytes);
        let _ = parse_patch(&bytes);
    }

    #[test]
    fn no_text_makes_the_filter_parser_panic(text in ".{0,60}|[a-z \\[\\]().\"=:$]{0,60}") {
        if let Ok(filter) = Filter::parse(&text) {
            let _ = (filter.narrow(ResourceType::User), filter.narrow(ResourceType::Group));
            let _ = (filter.check_names(ResourceType::User), filter.asked_members());
            let _ = filter.check_types(ResourceType::User);
            let _ = filter.matches(ResourceType::User, &Map::new());
        }
    }

    #[test]
    fn whatever_is_accepted_is_canonical_and_stable(body in resource()) {
        if let Ok((user, _)) = parse_user(body.to_string().as_bytes()) {
            assert_canonical(&attributes(&user));
            let again = parse_user(attributes(&user).to_string().as_bytes()).expect("its own form").0;
            prop_assert_eq!(again, user);
        }
        let _ = parse_group(body.to_string().as_bytes());
    }

    #[test]
    fn whatever_a_patch_leaves_is_canonical_and_never_brings_back_unsaid(
        body in resource(),
        operations in operations(),
    ) {
        if let Ok((before, _)) = parse_user(body.to_string().as_bytes()) {
            let mut gone = before.attributes().clone();
            gone.insert("active".to_owned(), Value::Bool(false));
            let gone = portcullis_scim::User::from_stored(gone);
            if let Ok((after, _)) = patch(&gone, &operations) {
                assert_canonical(&attributes(&after));
                let text = operations.to_string();
                let says_true = text.contains("true") || text.contains("True");
                prop_assert!(says_true || after.active() == Some(false));
            }
        }
        if let Ok(patch) = parse_patch(&crate::wire::patch_body(&operations)) {
            let _ = patch.into_group_changes();
        }
    }

    #[test]
    fn the_same_patch_twice_is_the_same_as_once(
        active in any::<bool>(), title in "[a-z]{0,5}", email in "[a-z]{1,5}", kind in "work|home",
    ) {
        let before = user(&json!({"userName": "a", "emails": [{"type": "work", "value": "w", "primary": true}]}));
        let operations = json!([
            {"op": "Replace", "path": "active", "value": if active { "True" } else { "False" }},
            {"op": "Add", "path": format!("emails[type eq \"{kind}\"].value"), "value": email},
            {"op": "add", "path": "emails", "value": [{"value": "x", "type": "other", "primary": true}]},
            {"op": "replace", "value": {"title": title, "name.givenName": email}},
            {"op": "remove", "path": "nickName"}
        ]);
        let once = patched(&before, &operations);
        prop_assert_eq!(patched(&once, &operations), once);
    }

    #[test]
    fn the_evaluator_agrees_with_a_naive_one(filter in naive_filters(), person in naive_people()) {
        let expected = naive(&filter, &person);
        prop_assert_eq!(filter.matches(ResourceType::User, &person), expected, "{:?}", filter);
    }

    #[test]
    fn whatever_matches_is_where_the_filter_is_narrowed_to(filter in naive_filters(), person in naive_people()) {
        if naive(&filter, &person) {
            let is_there = match filter.narrow(ResourceType::User) {
                Narrowed::Nothing => false,
                Narrowed::Everything => true,
                Narrowed::AnyOf(lookups) => lookups.iter().any(|lookup| finds(lookup, &person)),
            };
            prop_assert!(is_there, "{:?}", filter);
        }
    }
}

/// Whether an index finds the person by that look-up.
fn finds(lookup: &Lookup, person: &Map<String, Value>) -> bool {
    let text = |key: &str| person.get(key).and_then(Value::as_str);
    let folded = |key: &str| text(key).map(str::to_lowercase);
    match lookup {
        Lookup::UserName(name) => folded("userName") == Some(name.to_lowercase()),
        Lookup::UserNamePrefix(name) => {
            folded("userName").is_some_and(|n| n.starts_with(&name.to_lowercase()))
        }
        Lookup::ExternalId(id) => text("externalId") == Some(id),
        Lookup::ExternalIdPrefix(id) => text("externalId").is_some_and(|own| own.starts_with(id)),
        Lookup::EmailValue(value) => person.get("emails").and_then(Value::as_array).is_some_and(|emails| {
            emails.iter().any(|e| e["value"].as_str().map(str::to_lowercase) == Some(value.to_lowercase()))
        }),
        other => unreachable!("{other:?}"),
    }
}

/// Filters over three attributes with one-letter values.
fn naive_filters() -> impl Strategy<Value = Filter> {
    let path =
        prop::sample::select(vec!["userName", "externalId", "emails.value", "emails", "active", "nickName"])
            .prop_map(|text| AttributePath::parse(text).expect("a path"));
    let literal = prop_oneof![
        "[abA]{1,2}".prop_map(Literal::Text),
        any::<bool>().prop_map(Literal::Boolean),
        Just(Literal::Null),
    ];
    let operator = prop::sample::select(Operator::ALL.to_vec());
    let leaf = prop_oneof![
        path.clone().prop_map(Filter::Present),
        (path, operator, literal).prop_map(|(path, operator, literal)| Filter::Compare {
            path,
            operator,
            literal
        }),
    ];
    let inside = ("[abA]{1,2}", prop::sample::select(Operator::ALL.to_vec())).prop_map(|(text, operator)| {
        let path = AttributePath::parse("value").expect("a path");
        Filter::Compare { path, operator, literal: Literal::Text(text) }
    });
    let inside = inside.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..3).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 2..3).prop_map(Filter::Or),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    });
    let value_path = inside.prop_map(|filter| Filter::ValuePath {
        path: AttributePath::parse("emails").expect("a path"),
        filter: Box::new(filter),
    });
    prop_oneof![3 => leaf, 1 => value_path].prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

fn naive_people() -> impl Strategy<Value = Map<String, Value>> {
    let text = || prop::option::of("[abA]{1,2}");
    (text(), text(), prop::option::of(any::<bool>()), prop::collection::vec("[abA]{1,2}", 0..3)).prop_map(
        |(user_name, external_id, active, emails)| {
            let mut person = Map::new();
            let mut put = |key: &str, value: Option<Value>| {
                if let Some(value) = value {
                    person.insert(key.to_owned(), value);
                }
            };
            put("userName", user_name.map(Value::from));
            put("externalId", external_id.map(Value::from));
            put("active", active.map(Value::from));
            let emails: Vec<Value> = emails.into_iter().map(|value| json!({"value": value})).collect();
            put("emails", (!emails.is_empty()).then(|| emails.into()));
            person
        },
    )
}

/// The same rules, written once more as a table of cases.
fn naive(filter: &Filter, person: &Map<String, Value>) -> bool {
    match filter {
        Filter::And(filters) => !filters.iter().any(|inner| !naive(inner, person)),
        Filter::Or(filters) => !filters.iter().all(|inner| !naive(inner, person)),
        Filter::Not(inner) => !naive(inner, person),
        Filter::Present(path) => !naive_values(path, person).is_empty(),
        Filter::ValuePath { filter, .. } => {
            naive_values(&AttributePath::parse("emails").expect("a path"), person)
                .into_iter()
                .any(|value| naive_value(filter, &value))
        }
        Filter::Compare { path, operator, literal } => {
            let values = naive_values(path, person);
            match (operator, literal) {
                (Operator::Eq, Literal::Null) => values.is_empty(),
                (Operator::Ne, Literal::Null) => !values.is_empty(),
                (Operator::Ne, literal) => {
                    !values.iter().any(|value| naive_compare(path, Operator::Eq, value, literal))
                }
                (operator, literal) => {
                    values.iter().any(|value| naive_compare(path, *operator, value, literal))
                }
            }
        }
    }
}

/// The same for one e-mail address.
fn naive_value(filter: &Filter, value: &Value) -> bool {
    match filter {
        Filter::And(filters) => !filters.iter().any(|inner| !naive_value(inner, value)),
        Filter::Or(filters) => !filters.iter().all(|inner| !naive_value(inner, value)),
        Filter::Not(inner) => !naive_value(inner, value),
        Filter::Compare { path, operator, literal } => naive_compare(path, *operator, value, literal),
        Filter::Present(_) | Filter::ValuePath { .. } => unreachable!(),
    }
}

fn naive_values(path: &AttributePath, person: &Map<String, Value>) -> Vec<Value> {
    match person.get(&path.name) {
        None => Vec::new(),
        Some(Value::Array(emails)) => emails.iter().map(|email| email["value"].clone()).collect(),
        Some(value) => vec![value.clone()],
    }
}

fn naive_compare(path: &AttributePath, operator: Operator, value: &Value, literal: &Literal) -> bool {
    if let Value::Bool(value) = value {
        return operator == Operator::Eq && *literal == Literal::Boolean(*value);
    }
    let literal = match literal {
        Literal::Text(text) | Literal::Number(text) => text.clone(),
        Literal::Boolean(value) => value.to_string(),
        Literal::Null => return false,
    };
    let value = value.as_str().expect("text").to_owned();
    let (value, literal) = if path.name == "externalId" {
        (value, literal)
    } else {
        (value.to_lowercase(), literal.to_lowercase())
    };
    match operator {
        Operator::Eq => value == literal,
        Operator::Ne => value != literal,
        Operator::Co => value.contains(&literal),
        Operator::Sw => value.starts_with(&literal),
        Operator::Ew => value.ends_with(&literal),
        Operator::Gt => value > literal,
        Operator::Ge => value >= literal,
        Operator::Lt => value < literal,
        Operator::Le => value <= literal,
    }
}
