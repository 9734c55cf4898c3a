//! Bulk requests over HTTP: each operation as a call of its own.

use serde_json::{Value, json};

use super::provider::{ENTERPRISE, GROUP, Provider, USER, patch, person};

const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

async fn bulk(idp: &Provider, operations: Value, fail_on_errors: Option<u32>) -> Vec<Value> {
    let mut body = json!({ "schemas": [REQUEST], "Operations": operations });
    if let Some(max) = fail_on_errors {
        body["failOnErrors"] = json!(max);
    }
    let answer = idp.call("POST", "/Bulk", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]));
    answer["Operations"].as_array().unwrap().clone()
}

fn create(name: &str) -> Value {
    json!({ "method": "POST", "path": "/Users", "bulkId": name, "data": person(name) })
}

fn statuses(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["status"].as_str().expect("a string")).collect()
}

fn id_of(entry: &Value) -> String {
    entry["location"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn people_and_their_group_come_in_one_request_in_any_order() {
    let idp = Provider::new();
    let group = json!({ "schemas": [GROUP], "displayName": "Eng",
        "members": [{ "value": "bulkId:alice" }, { "value": "bulkId:bob" }] });
    let entries = bulk(
        &idp,
        json!([
            { "method": "POST", "path": "/Groups", "bulkId": "eng", "data": group },
            create("alice"),
            create("bob"),
            { "method": "PATCH", "path": "/Groups/bulkId:eng",
              "data": patch(json!([{ "op": "remove", "path": "members[value eq \"bulkId:bob\"]" }])) },
            { "method": "PUT", "path": "/Users/bulkId:bob", "data": person("robert") },
            { "method": "DELETE", "path": "/Users/bulkId:bob" },
        ]),
        None,
    )
    .await;
    assert_eq!(statuses(&entries), ["201", "201", "201", "204", "200", "204"]);
    assert_eq!(entries[0]["bulkId"], "eng", "entries stand as the operations did");
    let (eng, alice, bob) = (id_of(&entries[0]), id_of(&entries[1]), id_of(&entries[2]));
    assert_eq!(entries[1]["location"], json!(idp.url(&format!("/Users/{alice}"))));
    assert_eq!(entries[5]["location"], json!(idp.url(&format!("/Users/{bob}"))));
    assert!(entries[1]["version"].as_str().unwrap().starts_with("W/"));
    assert_eq!(idp.members(&eng).await, [alice]);
    assert_eq!(idp.call("GET", &format!("/Users/{bob}"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_refused_operation_has_its_error_and_the_others_are_carried_out() {
    let idp = Provider::new();
    let alice = idp.user("alice").await;
    let entries = bulk(
        &idp,
        json!([
            create("bob"),
            create("alice"),
            { "method": "PATCH", "path": format!("/Users/{alice}"), "version": "W/\"1\"",
              "data": patch(json!([{ "op": "replace", "path": "title", "value": "x" }])) },
            { "method": "PATCH", "path": format!("/Users/{alice}"),
              "data": patch(json!([{ "op": "replace", "path": "id", "value": "x" }])) },
            { "method": "DELETE", "path": "/Users/nobody" },
            { "method": "PUT", "path": "/Users/bulkId:alice", "data": person("x") },
            { "method": "POST", "path": "/Bulk", "bulkId": "inner", "data": {} },
            { "method": "DELETE", "path": "/Schemas" },
            create("carl"),
        ]),
        None,
    )
    .await;
    assert_eq!(statuses(&entries), ["201", "409", "412", "400", "404", "409", "400", "400", "201"]);
    assert_eq!(
        (&entries[1]["response"]["scimType"], entries[1].get("location")),
        (&json!("uniqueness"), None)
    );
    assert_eq!(entries[3]["response"]["scimType"], "mutability");
    assert_eq!(entries[2]["location"], json!(idp.url(&format!("/Users/{alice}"))));
    assert_eq!(idp.got("/Users?count=0").await["totalResults"], 3);
    assert_eq!(idp.got(&format!("/Users/{alice}")).await.get("title"), None);
    let circle = bulk(
        &idp,
        json!([
            { "method": "POST", "path": "/Groups", "bulkId": "a",
              "data": { "displayName": "A", "members": [{ "value": "bulkId:b" }] } },
            { "method": "POST", "path": "/Groups", "bulkId": "b",
              "data": { "displayName": "B", "members": [{ "value": "bulkId:a" }] } },
        ]),
        None,
    )
    .await;
    assert_eq!(statuses(&circle), ["201", "201"], "made one after the other, then told of each other");
    let (a, b) = (id_of(&circle[0]), id_of(&circle[1]));
    assert_eq!((idp.members(&a).await, idp.members(&b).await), (vec![b], vec![a]));
}

#[tokio::test]
async fn a_patch_whose_data_is_the_bare_list_of_its_operations_is_carried_out_beside_the_others() {
    let idp = Provider::new();
    let (alice, bob) = (idp.user("alice").await, idp.user("bob").await);
    let entries = bulk(
        &idp,
        json!([
            { "method": "PATCH", "path": format!("/Users/{alice}"), "data": [
                { "op": "remove", "path": "displayName" },
                { "op": "add", "path": "nickName", "value": "Al" },
            ] },
            { "method": "PATCH", "path": format!("/Users/{bob}"), "data": [] },
            { "method": "DELETE", "path": format!("/Users/{bob}") },
        ]),
        None,
    )
    .await;
    assert_eq!(statuses(&entries), ["200", "400", "204"]);
    let read = idp.got(&format!("/Users/{alice}")).await;
    assert_eq!((read.get("displayName"), &read["nickName"]), (None, &json!("Al")));
    let (_, report) = idp.admin("GET", &format!("/directories/{}/dialect", idp.directory), Value::Null).await;
    let codes: Vec<&str> =
        report["items"].as_array().unwrap().iter().map(|line| line["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["bare_operations"]);
}

#[tokio::test]
async fn people_who_manage_each_other_come_in_one_request_and_who_is_refused_takes_nobody_along() {
    let idp = Provider::new();
    let managed = |name: &str, by: &str| {
        let mut operation = create(name);
        operation["data"]["schemas"] = json!([USER, ENTERPRISE]);
        operation["data"][ENTERPRISE] =
            json!({ "department": "Sales", "manager": { "value": format!("bulkId:{by}") } });
        operation
    };
    let later = json!({ "method": "DELETE", "path": "/Users/bulkId:bob" });
    let entries = bulk(&idp, json!([managed("alice", "bob"), later, managed("bob", "alice")]), None).await;
    assert_eq!(statuses(&entries), ["201", "204", "201"]);
    let (alice, bob) = (id_of(&entries[0]), id_of(&entries[2]));
    let read = idp.got(&format!("/Users/{alice}")).await;
    assert_eq!(
        (&read[ENTERPRISE]["manager"]["value"], &read[ENTERPRISE]["department"]),
        (&json!(bob), &json!("Sales"))
    );
    assert_eq!(read["meta"]["version"], entries[0]["version"], "as it is at the end");

    idp.user("dora").await;
    let mut taken = managed("dora", "carl");
    taken["data"]["userName"] = json!("dora@acme.test");
    let entries = bulk(&idp, json!([managed("carl", "dora"), taken]), None).await;
    assert_eq!(statuses(&entries), ["409", "409"], "one is there already, the other lacks its manager");
    let carl = id_of(&entries[0]);
    assert_eq!(idp.got(&format!("/Users/{carl}")).await[ENTERPRISE].get("manager"), None);

    let mut lost = managed("eve", "finn");
    lost["data"]["nickName"] = json!("bulkId:nobody");
    let entries = bulk(&idp, json!([managed("finn", "eve"), lost]), None).await;
    assert_eq!(statuses(&entries), ["409", "409"], "nobody in the request makes what one of them needs");
    assert!(entries.iter().all(|entry| entry.get("location").is_none()), "{entries:?}");
    let listed = idp.got("/Users?filter=userName%20eq%20%22finn@acme.test%22").await;
    assert_eq!(listed["totalResults"], 0, "nobody was begun");
}

/// How often memory is taken where a circle of so many is served: everybody refers a hundred times to whoever is made
/// last, who refers to everybody.
fn cost_of_a_circle(many: usize) -> u64 {
    let last = many - 1;
    let referring = |name: usize, to: Vec<usize>| {
        let mut operation = create(&name.to_string());
        let links: Vec<Value> =
            to.iter().map(|to| json!({ "to": { "id": format!("bulkId:{to}") } })).collect();
        operation["data"]["urn:acme:hr:2.0:User"] = json!({ "links": links });
        operation
    };
    let mut operations: Vec<Value> = (0..last).map(|name| referring(name, vec![last; 100])).collect();
    operations.push(referring(last, (0..last).collect()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let idp = runtime.block_on(async { Provider::new() });
    let mut entries = Vec::new();
    let taken = allocation_counter::measure(|| {
        entries = runtime.block_on(bulk(&idp, operations.into(), None));
    });
    assert_eq!(statuses(&entries), vec!["201"; many]);
    let one = runtime.block_on(idp.got(&format!("/Users/{}", id_of(&entries[0]))));
    let links = one["urn:acme:hr:2.0:User"]["links"].as_array().unwrap().clone();
    assert_eq!(links, vec![json!({ "to": { "id": id_of(&entries[last]) } }); 100]);
    taken.count_total
}

#[test]
fn a_circle_of_four_times_as_many_costs_four_times_as_much() {
    let (few, many) = (cost_of_a_circle(75), cost_of_a_circle(300));
    assert!(many < 5 * few, "{many} for 300, {few} for 75");
}

#[tokio::test]
async fn a_version_that_can_be_none_refuses_its_operation() {
    let idp = Provider::new();
    let alice = idp.user("alice").await;
    for version in ["W/\"1\"\n", "W/\"ä\"", "1"] {
        let operation =
            json!([{ "method": "DELETE", "path": format!("/Users/{alice}"), "version": version }]);
        assert_eq!(statuses(&bulk(&idp, operation, None).await), ["400"], "{version:?}");
        idp.got(&format!("/Users/{alice}")).await;
    }
}

#[tokio::test]
async fn after_as_many_errors_as_the_client_allows_the_rest_is_left_undone() {
    let idp = Provider::new();
    idp.user("alice").await;
    let operations = json!([create("bob"), create("alice"), create("carl"), create("carl2"), create("dora")]);
    let mut operations = operations;
    operations[3]["data"] = person("alice");
    let entries = bulk(&idp, operations.clone(), Some(2)).await;
    assert_eq!(statuses(&entries), ["201", "409", "201", "409"]);
    assert_eq!(idp.got("/Users?count=0").await["totalResults"], 3, "dora was not made");
    let entries = bulk(&idp, operations, Some(1)).await;
    assert_eq!(statuses(&entries), ["409"]);
}

#[tokio::test]
async fn a_bulk_request_has_the_bounds_that_discovery_tells() {
    let idp = Provider::new();
    let told = idp.got("/ServiceProviderConfig").await["bulk"].clone();
    let max = told["maxOperations"].as_u64().unwrap();
    let many: Vec<Value> = (0..=max).map(|n| create(&format!("u{n}"))).collect();
    let refused = idp.call("POST", "/Bulk", json!({ "schemas": [REQUEST], "Operations": many })).await;
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("maxOperations"), "{}", refused.text());
    let large = "x".repeat(usize::try_from(told["maxPayloadSize"].as_u64().unwrap()).unwrap());
    let refused = idp.call("POST", "/Bulk", json!({ "schemas": [REQUEST], "x": large })).await;
    assert_eq!(refused.status, 413);
    let whole = bulk(&idp, many[..usize::try_from(max).unwrap()].into(), None).await;
    assert!(whole.iter().all(|entry| entry["status"] == "201"));
    assert_eq!(idp.got("/Users?count=0").await["totalResults"], max);
    assert_eq!(idp.call("GET", "/Bulk", Value::Null).await.status, 405);
    assert_eq!(idp.call("GET", "/Me", Value::Null).await.status, 501);
}

#[tokio::test]
async fn a_bulk_request_off_boards_like_any_call_and_each_refused_operation_leaves_a_trace() {
    let idp = Provider::with(Some("member"), 3600);
    let alice = idp.user("alice").await;
    let key = idp.key(&idp.member("alice@acme.test").await).await;
    assert_eq!(idp.code(&key).await, "allowed");
    let off = patch(json!([{ "op": "Replace", "path": "active", "value": "False" }]));
    let operations = json!([
        { "method": "PATCH", "path": format!("/Users/{alice}"), "data": off },
        { "method": "DELETE", "path": "/Users/nobody" },
    ]);
    assert_eq!(statuses(&bulk(&idp, operations, None).await), ["200", "404"]);
    assert_eq!(idp.code(&key).await, "token_ended");
    idp.bench.portcullis().store_traces().await.unwrap();
    let (_, traces) = idp.admin("GET", "/traces?kind=directory", Value::Null).await;
    let paths: Vec<&str> =
        traces["items"].as_array().unwrap().iter().filter_map(|t| t["content"]["path"].as_str()).collect();
    assert!(paths.contains(&"/Bulk") && paths.contains(&"/Users/nobody"), "{paths:?}");
    let events = async |path: &str| {
        let found =
            traces["items"].as_array().unwrap().iter().find(|t| t["content"]["path"] == path).unwrap();
        let one = format!("/traces/{}", found["id"].as_str().unwrap());
        idp.admin("GET", &one, Value::Null).await.1["events"].as_array().unwrap().len()
    };
    assert_eq!(events("/Users/nobody").await, 0, "what others of the request caused is not its own");
    assert!(events("/Bulk").await > 1);
}
