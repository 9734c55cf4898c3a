//! Parameters of reads, projection, and lists.

use portcullis_scim::limits::{DEFAULT_RESULTS, MAX_FILTER_TERMS, MAX_PROJECTED_ATTRIBUTES, MAX_RESULTS};
use portcullis_scim::{
    Filter, ListQuery, PageWish, Projection, ResourceType, ScimError, render_cursor_list, render_list,
};
use serde_json::{Value, json};

use crate::wire::ENTERPRISE;

fn query(parameters: &[(&str, &str)]) -> Result<ListQuery, ScimError> {
    ListQuery::parse(parameters.iter().copied())
}

#[test]
fn a_list_without_parameters_is_the_first_page() {
    assert_eq!(
        query(&[]),
        Ok(ListQuery {
            filter: None,
            sort: None,
            page: PageWish::Index(1),
            count: None,
            projection: Projection::Default,
            notes: Vec::new(),
        })
    );
}

#[test]
fn start_index_and_count_are_held_to_their_ranges() {
    for (parameter, value, start_index, count) in [
        ("startIndex", "1", 1, DEFAULT_RESULTS),
        ("startIndex", "0", 1, DEFAULT_RESULTS),
        ("startIndex", "-5", 1, DEFAULT_RESULTS),
        ("STARTINDEX", "7", 7, DEFAULT_RESULTS),
        ("startIndex", "99999999999999999999999", 9_223_372_036_854_775_807, DEFAULT_RESULTS),
        ("startIndex", "-99999999999999999999999", 1, DEFAULT_RESULTS),
        ("count", "0", 1, 0),
        ("count", "-1", 1, 0),
        ("count", "-99999999999999999999999", 1, 0),
        ("count", "500", 1, MAX_RESULTS),
        ("count", "501", 1, MAX_RESULTS),
        ("count", "99999999999999999999999", 1, MAX_RESULTS),
    ] {
        let query = query(&[(parameter, value)]).expect("a query");
        assert_eq!(
            (query.page.clone(), query.page_size()),
            (PageWish::Index(start_index), count),
            "{parameter}={value}"
        );
    }
    for value in ["x", "1.5", "--1", "+1", "1e3"] {
        assert_eq!(query(&[("count", value)]), Err(ScimError::InvalidParameter { name: "count" }), "{value}");
    }
}

#[test]
fn unknown_parameters_are_ignored_in_any_order() {
    let filter = "userName eq \"a\"";
    for parameters in [
        [("aadOptscim062020", ""), ("filter", filter)],
        [("filter", filter), ("aadOptscim062020", "true")],
        [("colour", "blue"), ("filter", filter)],
    ] {
        assert_eq!(query(&parameters).expect("a query").filter, Filter::parse(filter).ok());
    }
}

#[test]
fn a_parameter_given_twice_or_empty_is_refused() {
    assert_eq!(
        query(&[("filter", "id eq \"a\""), ("Filter", "id eq \"b\"")]),
        Err(ScimError::InvalidParameter { name: "filter" })
    );
    // A filter that lost its text must not find everybody.
    for empty in ["", " "] {
        assert!(matches!(query(&[("filter", empty)]), Err(ScimError::InvalidFilter { .. })));
    }
    for name in ["count", "startIndex", "sortBy", "sortOrder", "attributes", "excludedAttributes"] {
        assert_eq!(query(&[(name, "")]), query(&[]), "{name}");
    }
}

#[test]
fn the_two_projections_exclude_each_other() {
    assert_eq!(
        query(&[("attributes", "userName"), ("excludedAttributes", "name")]),
        Err(ScimError::ConflictingProjection)
    );
    let empty = query(&[("attributes", ""), ("excludedAttributes", "members")]).expect("a query");
    assert!(matches!(empty.projection, Projection::Except(_)));
    let many = vec!["a"; MAX_PROJECTED_ATTRIBUTES + 1].join(",");
    assert_eq!(query(&[("attributes", &many)]), Err(ScimError::InvalidParameter { name: "attributes" }));
}

#[test]
fn a_name_of_a_projection_is_read_once_and_not_for_each_resource() {
    let cost = |terms: usize| {
        let name = format!("emails[{}]", vec!["type eq \"a\""; terms].join(" or "));
        let person = json!({"userName": "a", "emails": [{"value": "a@x", "type": "work"}]});
        let projection = Projection::parse(Some(&name), None).expect("a projection");
        let mut shown = Value::Null;
        let taken = allocation_counter::measure(|| {
            assert!(projection.wants(ResourceType::User, "emails"));
            shown = projection.apply(ResourceType::User, person);
        });
        assert_eq!(shown, json!({"emails": [{"value": "a@x", "type": "work"}]}));
        taken.count_total
    };
    assert_eq!(cost(MAX_FILTER_TERMS), cost(1));
}

#[test]
fn a_search_asks_the_same_as_the_parameters_of_a_url() {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "attributes": ["userName", "emails.value"],
        "filter": "userName eq \"a\"", "startIndex": 3, "count": 7, "sortBy": "userName", "excludedAttributes": null
    });
    assert_eq!(
        ListQuery::parse_search(body.to_string().as_bytes()),
        query(&[
            ("attributes", "userName,emails.value"),
            ("filter", "userName eq \"a\""),
            ("startIndex", "3"),
            ("sortBy", "userName"),
            ("count", "7")
        ])
    );
    assert_eq!(ListQuery::parse_search(b"[]"), Err(ScimError::NotAnObject));
    for (body, name) in [
        (json!({"filter": {"userName": "a"}}), "filter"),
        (json!({"filter": ["userName eq \"a\""]}), "filter"),
        (json!({"FILTER": true}), "filter"),
        (json!({"count": [1]}), "count"),
        (json!({"attributes": {}}), "attributes"),
    ] {
        let read = ListQuery::parse_search(body.to_string().as_bytes());
        assert_eq!(read, Err(ScimError::InvalidParameter { name }), "{body}");
    }
}

#[test]
fn a_cursor_even_an_empty_one_asks_for_pages_by_cursor() {
    for (parameters, expected) in [
        (vec![("cursor", "")], PageWish::FirstByCursor),
        (vec![("cursor", ""), ("startIndex", "7")], PageWish::FirstByCursor),
        (vec![("CURSOR", "v1.abc"), ("count", "3")], PageWish::Cursor("v1.abc".to_owned())),
    ] {
        assert_eq!(query(&parameters).expect("a query").page, expected, "{parameters:?}");
    }
    let search = |body: Value| ListQuery::parse_search(body.to_string().as_bytes()).expect("a query").page;
    assert_eq!(search(json!({"cursor": ""})), PageWish::FirstByCursor);
    assert_eq!(search(json!({"cursor": null})), PageWish::Index(1));
    assert_eq!(search(json!({"cursor": "x", "count": 3})), PageWish::Cursor("x".to_owned()));
}

#[test]
fn a_cursor_is_bound_to_everything_but_the_page() {
    let first = query(&[("filter", "title pr"), ("sortBy", "userName"), ("cursor", ""), ("count", "3")]);
    let second = query(&[("sortBy", "userName"), ("count", "4"), ("filter", "title pr"), ("cursor", "x")]);
    let binding = first.expect("a query").binding();
    assert_eq!(second.expect("a query").binding(), binding);
    for other in [
        [("filter", "title pr"), ("sortBy", "displayName")],
        [("filter", "title pr"), ("sortBy", "")],
        [("filter", "nickName pr"), ("sortBy", "userName")],
    ] {
        assert_ne!(query(&other).expect("a query").binding(), binding, "{other:?}");
    }
    let more = [("filter", "title pr"), ("sortBy", "userName"), ("attributes", "title")];
    assert_ne!(query(&more).expect("a query").binding(), binding);
}

#[test]
fn a_list_by_cursor_has_its_total_only_where_it_is_known() {
    let page = render_cursor_list(vec![json!({})], Some(3), Some("next"));
    assert_eq!(
        (&page["totalResults"], &page["nextCursor"], &page["itemsPerPage"]),
        (&json!(3), &json!("next"), &json!(1))
    );
    let last = render_cursor_list(Vec::new(), None, None);
    assert_eq!(
        (last.get("totalResults"), last.get("nextCursor"), last.get("startIndex")),
        (None, None, None)
    );
    assert_eq!(last["Resources"], json!([]));
}

fn person() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "u", "userName": "a", "externalId": "e",
        "name": {"givenName": "Al", "familyName": "A"},
        "emails": [{"value": "1", "type": "work"}, {"value": "2"}], "meta": {"location": "l", "created": "c"},
        ENTERPRISE: {"department": "D", "manager": {"value": "9", "$ref": "r"}}, "urn:acme:2.0:User": {"x": 1, "y": 2}
    })
}

fn only(names: &str) -> Value {
    let projection = Projection::parse(Some(names), None).expect("a projection");
    let mut answer = projection.apply(ResourceType::User, person());
    let object = answer.as_object_mut().expect("an object");
    assert!(object.remove("id").is_some() && object.remove("schemas").is_some(), "always there");
    answer
}

#[test]
fn attributes_choose_what_is_answered() {
    for (names, expected) in [
        ("userName", json!({"userName": "a"})),
        ("USERNAME, externalid", json!({"userName": "a", "externalId": "e"})),
        ("name.givenName", json!({"name": {"givenName": "Al"}})),
        ("name.givenName,name.familyName", json!({"name": {"givenName": "Al", "familyName": "A"}})),
        ("name.givenName,name", json!({"name": {"givenName": "Al", "familyName": "A"}})),
        ("name,name.givenName", json!({"name": {"givenName": "Al", "familyName": "A"}})),
        ("emails.value", json!({"emails": [{"value": "1"}, {"value": "2"}]})),
        ("emails.type", json!({"emails": [{"type": "work"}]})),
        ("emails.type,emails.value", json!({"emails": [{"value": "1", "type": "work"}, {"value": "2"}]})),
        ("meta.location", json!({"meta": {"location": "l"}})),
        ("nonsense,members,name.nonsense,[,", json!({})),
        (&format!("{ENTERPRISE}:department"), json!({ENTERPRISE: {"department": "D"}})),
        ("department", json!({ENTERPRISE: {"department": "D"}})),
        (&format!("{ENTERPRISE}:manager.value"), json!({ENTERPRISE: {"manager": {"value": "9"}}})),
        (ENTERPRISE, json!({ENTERPRISE: {"department": "D", "manager": {"value": "9", "$ref": "r"}}})),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName", json!({"userName": "a"})),
        ("urn:acme:2.0:User", json!({"urn:acme:2.0:User": {"x": 1, "y": 2}})),
        ("urn:acme:2.0:User:X", json!({"urn:acme:2.0:User": {"x": 1}})),
    ] {
        assert_eq!(only(names), expected, "{names}");
    }
}

#[test]
fn excluded_attributes_are_left_out_and_what_is_always_there_stays() {
    for (names, gone) in [
        ("userName", vec!["/userName"]),
        ("id,schemas", vec![]),
        ("EMAILS", vec!["/emails"]),
        ("emails.type", vec!["/emails/0/type"]),
        ("name.givenName,meta", vec!["/name/givenName", "/meta"]),
        (ENTERPRISE, vec![&*format!("/{ENTERPRISE}")]),
        ("urn:acme:2.0:User:y", vec!["/urn:acme:2.0:User/y"]),
        ("urn:acme:2.0:User", vec!["/urn:acme:2.0:User"]),
        ("nonsense", vec![]),
    ] {
        let projection = Projection::parse(None, Some(names)).expect("a projection");
        let mut expected = person();
        for pointer in gone {
            let (holder, key) = pointer.rsplit_once('/').expect("a pointer");
            expected.pointer_mut(holder).and_then(Value::as_object_mut).expect("a holder").remove(key);
        }
        assert_eq!(projection.apply(ResourceType::User, person()), expected, "{names}");
    }
}

#[test]
fn a_part_of_a_custom_extension_is_chosen_and_left_out_like_any_other() {
    let urn = "urn:acme:hr:2.0:User";
    let desk = json!({"Floor": 1, "room": "7"});
    let person = json!({
        "id": "u", urn: {"desk": desk, "roles": [{"value": "a", "type": "x"}, {"value": "b"}], "tag": "T"}
    });
    let apply = |attributes: Option<String>, excluded: Option<String>| {
        let projection = Projection::parse(attributes.as_deref(), excluded.as_deref()).expect("a projection");
        projection.apply(ResourceType::User, person.clone())
    };
    for (names, shown) in [
        (format!("{urn}:desk.floor"), json!({"desk": {"Floor": 1}})),
        (format!("{}:DESK.ROOM,{urn}:desk.floor", urn.to_uppercase()), json!({"desk": desk})),
        (format!("{urn}:desk.floor,{urn}:desk"), json!({"desk": desk})),
        (format!("{urn}:roles.type,{urn}:tag"), json!({"roles": [{"type": "x"}], "tag": "T"})),
        (format!("{urn}:desk.floor,{urn}"), person[urn].clone()),
    ] {
        assert_eq!(apply(Some(names.clone()), None), json!({"id": "u", urn: shown}), "{names}");
    }
    for names in [format!("{urn}:tag.sub"), format!("{urn}:desk.nothing"), format!("{urn}:roles.nothing")] {
        assert_eq!(apply(Some(names.clone()), None), json!({"id": "u"}), "{names}");
    }
    for (names, rest) in [
        (format!("{urn}:desk.FLOOR,{urn}:roles"), json!({"desk": {"room": "7"}, "tag": "T"})),
        (
            format!("{urn}:roles.value,{urn}:desk,{urn}:tag.sub"),
            json!({"roles": [{"type": "x"}], "tag": "T"}),
        ),
    ] {
        assert_eq!(apply(None, Some(names.clone())), json!({"id": "u", urn: rest}), "{names}");
    }
    let all = format!("{urn}:desk.floor,{urn}:desk.room,{urn}:roles.value,{urn}:roles.type,{urn}:tag");
    assert_eq!(apply(None, Some(all)), json!({"id": "u"}));
}

#[test]
fn what_is_empty_without_its_parts_is_not_answered() {
    for (attributes, excluded, gone) in [
        (Some("id,emails.display".to_owned()), None, "/emails"),
        (Some("name.middleName".to_owned()), None, "/name"),
        (None, Some("name.givenName,name.familyName".to_owned()), "/name"),
        (None, Some("emails.value,emails.type".to_owned()), "/emails"),
        (
            None,
            Some(format!("{ENTERPRISE}:department,{ENTERPRISE}:manager.value,{ENTERPRISE}:manager.$ref")),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        ),
    ] {
        let projection = Projection::parse(attributes.as_deref(), excluded.as_deref()).expect("a projection");
        let answer = projection.apply(ResourceType::User, person());
        assert_eq!(answer.pointer(gone), None, "{attributes:?} {excluded:?}: {answer}");
        assert!(answer["id"].is_string(), "{answer}");
    }
    let projection = Projection::parse(None, Some("emails.type")).expect("a projection");
    let emails = projection.apply(ResourceType::User, person())["emails"].clone();
    assert_eq!(emails, json!([{"value": "1"}, {"value": "2"}]), "what is left stays");
}

#[test]
fn members_are_not_wanted_where_they_are_not_answered() {
    for (attributes, excluded, expected) in [
        (None, None, true),
        (None, Some("members"), false),
        (None, Some("MEMBERS,displayName"), false),
        (None, Some("members.display"), true),
        (None, Some("displayName"), true),
        (Some("displayName"), None, false),
        (Some("members"), None, true),
        (Some("members.value"), None, true),
        (Some("urn:ietf:params:scim:schemas:core:2.0:Group:members"), None, true),
        (Some("urn:ietf:params:scim:schemas:core:2.0:Group"), None, true),
    ] {
        let projection = Projection::parse(attributes, excluded).expect("a projection");
        assert_eq!(projection.wants(ResourceType::Group, "members"), expected, "{attributes:?} {excluded:?}");
        assert!(projection.wants(ResourceType::Group, "id"));
        assert!(!projection.wants(ResourceType::Group, "nonsense"));
    }
}

#[test]
fn the_projection_of_one_resource_is_read_from_its_parameters() {
    let parse = |parameters: &[(&str, &str)]| Projection::from_parameters(parameters.iter().copied());
    assert_eq!(
        parse(&[("aadOptscim062020", ""), ("excludedAttributes", "members")]),
        Projection::parse(None, Some("members"))
    );
    assert_eq!(parse(&[("filter", "((("), ("count", "x")]), Ok(Projection::Default));
    assert!(parse(&[("attributes", "a"), ("attributes", "b")]).is_err());
}

#[test]
fn a_list_without_hits_has_all_its_keys() {
    assert_eq!(
        render_list(Vec::new(), 0, 1),
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0,
               "startIndex": 1, "itemsPerPage": 0, "Resources": []})
    );
    let page = render_list(vec![json!({"id": "a"})], 12, 5);
    assert_eq!(
        (&page["totalResults"], &page["startIndex"], &page["itemsPerPage"]),
        (&json!(12), &json!(5), &json!(1))
    );
}
