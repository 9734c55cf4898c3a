//! Bulk requests: their form, their references and their order.

use std::collections::HashMap;

use portcullis_scim::bulk::{BULK_REQUEST_SCHEMA, Begun, BulkOutcome, render_bulk, render_outcome};
use portcullis_scim::limits::MAX_BULK_OPERATIONS;
use portcullis_scim::{Bulk, DialectNote, ScimError, Turn, parse_bulk};
use proptest::prelude::*;
use serde_json::{Value, json};

fn bulk(operations: Value) -> Result<Bulk, ScimError> {
    let body = json!({ "schemas": [BULK_REQUEST_SCHEMA], "Operations": operations });
    parse_bulk(body.to_string().as_bytes())
}

fn create(name: &str, data: Value) -> Value {
    json!({ "method": "POST", "path": "/Users", "bulkId": name, "data": data })
}

#[test]
fn a_bulk_request_has_its_schema_and_whole_operations() {
    let one = json!([create("a", json!({}))]);
    for (body, refusal) in [
        (json!({ "Operations": one }), ScimError::NotBulk),
        (json!({ "schemas": [BULK_REQUEST_SCHEMA] }), ScimError::NoOperations),
        (json!({ "schemas": [BULK_REQUEST_SCHEMA], "Operations": [] }), ScimError::NoOperations),
        (json!({ "schemas": [BULK_REQUEST_SCHEMA], "Operations": [7] }), ScimError::NoOperations),
    ] {
        assert_eq!(parse_bulk(body.to_string().as_bytes()), Err(refusal), "{body}");
    }
    let bounded = |max: Value| {
        let body = json!({ "schemas": [BULK_REQUEST_SCHEMA], "Operations": one, "failOnErrors": max });
        parse_bulk(body.to_string().as_bytes())
    };
    for (max, bound) in [
        (json!(1), Some(1)),
        (json!("3"), Some(3)),
        // What can be no bound means none.
        (json!(0), None),
        (json!(-1), None),
        (json!("0"), None),
        (json!(null), None),
    ] {
        assert_eq!(bounded(max.clone()).expect("a request").fail_on_errors, bound, "{max}");
    }
    assert_eq!(bounded(json!("3")).expect("a request").notes, [DialectNote::StringNumber("failOnErrors")]);
    for max in [json!("many"), json!(""), json!(1.5), json!(true), json!([1])] {
        let refusal = ScimError::InvalidParameter { name: "failOnErrors" };
        assert_eq!(bounded(max.clone()), Err(refusal), "{max}");
    }
    for (operation, part) in [
        (json!({ "path": "/Users", "bulkId": "a" }), "method"),
        (json!({ "method": "GET", "path": "/Users" }), "method"),
        (json!({ "method": "POST", "path": "/Users" }), "bulkId"),
        (json!({ "method": "POST", "path": "/Users", "bulkId": "" }), "bulkId"),
        (json!({ "method": "DELETE" }), "path"),
        (json!({ "method": "PUT", "path": "/Users/1", "data": [] }), "data"),
        (json!({ "method": "PUT", "path": "/Users/1", "version": 7 }), "version"),
    ] {
        assert_eq!(bulk(json!([operation])), Err(ScimError::InvalidBulkOperation { part }), "{operation}");
    }
    let twice = bulk(json!([create("a", json!({})), create("a", json!({}))]));
    assert!(matches!(twice, Err(ScimError::DuplicateKey { .. })));
    let lenient = bulk(json!([{ "METHOD": "delete", "path": "/Users/1", "data": null, "bulkId": null }]));
    assert_eq!(lenient.expect("a request").operations[0].method.as_str(), "DELETE");
}

#[test]
fn a_patch_whose_data_is_the_list_of_its_operations_means_the_message_around_it() {
    let list =
        json!([{ "op": "remove", "path": "nickName" }, { "op": "add", "path": "userName", "value": "Dave" }]);
    let operation =
        |method: &str, data: Value| json!([{ "method": method, "path": "/Users/bulkId:a", "data": data }]);
    let resolved = |request: &Bulk| {
        let ids = HashMap::from([("a".to_owned(), "du_1".to_owned())]);
        let (_, body) = request.operations[0].resolved(&ids).expect("resolved");
        serde_json::from_slice::<Value>(&body).expect("json")
    };
    let whole = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list });
    let bare = bulk(operation("patch", list.clone())).expect("a request");
    assert_eq!((resolved(&bare), bare.notes.as_slice()), (whole.clone(), &[DialectNote::BareOperations][..]));
    let full = bulk(operation("PATCH", whole.clone())).expect("a request");
    assert_eq!((resolved(&full), full.notes.as_slice()), (whole, &[][..]));
    for method in ["PUT", "DELETE"] {
        let refused = bulk(operation(method, list.clone()));
        assert_eq!(refused, Err(ScimError::InvalidBulkOperation { part: "data" }), "{method}");
    }
}

#[test]
fn more_operations_than_told_are_refused_by_the_name_of_the_limit() {
    let many = |many: usize| {
        Value::Array((0..many).map(|_| json!({ "method": "DELETE", "path": "/Users/1" })).collect())
    };
    assert!(bulk(many(MAX_BULK_OPERATIONS)).is_ok());
    let refusal = bulk(many(MAX_BULK_OPERATIONS + 1)).expect_err("too many");
    assert_eq!(refusal.status(), 413);
    assert!(refusal.detail().contains("maxOperations"), "{refusal}");
}

#[test]
fn references_are_replaced_wherever_an_id_may_stand() {
    let request = bulk(json!([{
        "method": "PATCH", "path": "/Groups/bulkId:g?attributes=id", "data": {
            "members": [{ "value": "bulkId:u", "$ref": "../Users/bulkId:u" }],
            "manager": "bulkId:m.1",
            "Operations": [{ "path": "members[value eq \"bulkId:u\"]" }],
            "displayName": "about bulkId:x", "nickName": "xbulkId:y"
        }
    }]))
    .expect("a request");
    let operation = &request.operations[0];
    assert_eq!(operation.references(), ["g", "m.1", "u"]);
    let ids = |ids: &[(&str, &str)]| {
        ids.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect::<HashMap<_, _>>()
    };
    let (path, body) =
        operation.resolved(&ids(&[("g", "dg_1"), ("u", "du_1"), ("m.1", "du_2")])).expect("resolved");
    assert_eq!(path, "/Groups/dg_1?attributes=id");
    let body: Value = serde_json::from_slice(&body).expect("json");
    assert_eq!(
        body,
        json!({
            "members": [{ "value": "du_1", "$ref": "../Users/du_1" }], "manager": "du_2",
            "Operations": [{ "path": "members[value eq \"du_1\"]" }],
            "displayName": "about bulkId:x", "nickName": "xbulkId:y"
        })
    );
    let unknown = operation.resolved(&ids(&[("g", "dg_1"), ("u", "du_1")]));
    assert_eq!(unknown, Err(ScimError::UnknownBulkId { id: "m.1".to_owned() }));
    assert_eq!(ScimError::UnknownBulkId { id: String::new() }.status(), 409);
}

#[test]
fn what_makes_something_comes_before_those_who_refer_to_it() {
    let member = |name: &str| json!({ "members": [{ "value": format!("bulkId:{name}") }] });
    let request = bulk(json!([
        create("team", member("bob")),
        create("alice", json!({})),
        create("bob", json!({ "manager": "bulkId:alice" })),
        { "method": "DELETE", "path": "/Users/bulkId:alice" },
    ]))
    .expect("a request");
    let order: Vec<usize> = request.turns().iter().map(Turn::index).collect();
    assert_eq!(order, [1, 2, 0, 3]);
    let request = bulk(json!([
        create("x", json!({})),
        create("a", member("b")),
        create("b", member("c")),
        create("c", member("a")),
        create("own", member("own")),
        create("behind", member("a")),
    ]))
    .expect("a request");
    let circular: Vec<usize> =
        request.turns().iter().filter(|t| matches!(t, Turn::Circular(_))).map(Turn::index).collect();
    assert_eq!(circular, [3, 2, 1, 4]);
    assert_eq!(request.turns().len(), 6);
    // What needs what nobody makes is not begun, however far behind it is.
    let request = bulk(json!([
        create("a", member("b")),
        create("b", json!({ "one": "bulkId:c", "other": "bulkId:nobody" })),
        create("c", member("a")),
        create("x", member("y")),
        create("y", member("x")),
    ]))
    .expect("a request");
    let circular: Vec<usize> =
        request.turns().iter().filter(|t| matches!(t, Turn::Circular(_))).map(Turn::index).collect();
    assert_eq!(circular, [4, 3]);
}

#[test]
fn an_entry_tells_what_the_standard_wants_of_it() {
    let request = bulk(json!([create("a", json!({}))])).expect("a request");
    let made = BulkOutcome {
        status: 201,
        location: Some("l".to_owned()),
        version: Some("v".to_owned()),
        response: None,
    };
    let entry = render_outcome(&request.operations[0], &made);
    assert_eq!(
        entry,
        json!({ "method": "POST", "bulkId": "a", "location": "l", "version": "v", "status": "201" })
    );
    let answer = render_bulk(vec![entry]);
    assert_eq!(answer["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]));
}

proptest! {
    #[test]
    fn every_operation_has_one_turn_and_comes_after_what_it_needs(
        needs in prop::collection::vec(prop::collection::vec(0..12_usize, 0..3), 1..12),
    ) {
        let operations: Vec<Value> = needs
            .iter()
            .enumerate()
            .map(|(index, needs)| {
                let members: Vec<Value> =
                    needs.iter().map(|need| json!({ "value": format!("bulkId:o{need}") })).collect();
                create(&format!("o{index}"), json!({ "members": members }))
            })
            .collect();
        let turns = bulk(operations.into()).expect("a request").turns();
        let mut seen: Vec<usize> = turns.iter().map(Turn::index).collect();
        for (at, turn) in turns.iter().enumerate() {
            if let Turn::Ready(index) = turn {
                for need in needs[*index].iter().filter(|need| **need < needs.len()) {
                    let place = turns.iter().position(|t| t.index() == *need).expect("a turn");
                    let is_hopeless = reaches(&needs, *need, *need);
                    prop_assert!(place < at || is_hopeless, "{index} before {need}");
                }
            } else {
                prop_assert!(reaches(&needs, turn.index(), turn.index()), "{} is in no circle", turn.index());
            }
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..needs.len()).collect::<Vec<_>>());
    }
}

/// Whether something leads from one operation to another along at least one reference.
fn reaches(needs: &[Vec<usize>], from: usize, to: usize) -> bool {
    let (mut open, mut seen) = (vec![from], vec![false; needs.len()]);
    while let Some(at) = open.pop() {
        for need in needs[at].iter().copied().filter(|need| *need < needs.len()) {
            if need == to {
                return true;
            }
            if !std::mem::replace(&mut seen[need], true) {
                open.push(need);
            }
        }
    }
    false
}

#[test]
fn as_many_references_as_a_body_holds_cost_a_step_each_however_deep_they_lie() {
    // A path of a thousand, along which everybody refers back to the hundred at its beginning: to walk the path again
    // for each of them would take a hundred million steps.
    let operations: Vec<Value> = (0..1_000)
        .map(|n| {
            let next = (n + 1) % 1_000;
            let members: Vec<Value> =
                (0..100).chain([next]).map(|other| json!({ "value": format!("bulkId:{other}") })).collect();
            let data = json!({ "displayName": "g", "members": members });
            json!({ "method": "POST", "path": "/Groups", "bulkId": n.to_string(), "data": data })
        })
        .collect();
    let turns = bulk(operations.into()).expect("a request").turns();
    let mut seen: Vec<usize> = turns.iter().map(Turn::index).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
    assert!(turns.iter().all(|turn| matches!(turn, Turn::Circular(_))));
}

#[test]
fn what_was_begun_is_complete_once_the_last_of_what_it_lacks_is_made_and_the_rest_is_left() {
    let mut begun = Begun::default();
    let lacks = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    begun.wait(5, lacks(&["a", "b"]), "five");
    begun.wait(2, lacks(&["b"]), "two");
    begun.wait(3, lacks(&["b", "c"]), "three");
    begun.wait(1, lacks(&["c", "d"]), "one");
    assert_eq!(begun.made("nobody lacks it"), []);
    assert_eq!(begun.made("a"), []);
    assert_eq!(begun.made("b"), [(5, "five"), (2, "two")]);
    assert_eq!(begun.made("b"), [], "it was made before");
    assert_eq!(begun.into_rest().collect::<Vec<_>>(), [(1, "one"), (3, "three")]);
}

#[test]
fn an_operation_lacks_what_was_not_made_each_name_once() {
    let request = bulk(json!([{
        "method": "POST", "path": "/Groups", "bulkId": "g",
        "data": { "displayName": "g", "members": [{ "value": "bulkId:b" }, { "value": "bulkId:a" }, { "value": "bulkId:b" }] },
    }]));
    let operation = &request.expect("a request").operations[0];
    let made = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "id".to_owned())).collect();
    assert_eq!(operation.lacking(&made(&[])), ["a", "b"]);
    assert_eq!(operation.lacking(&made(&["a", "c"])), ["b"]);
    assert!(operation.lacking(&made(&["a", "b"])).is_empty());
}
