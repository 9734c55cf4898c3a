//! The dialect report: what of a provider's calls deviated from the standard, counted for its administrator.

use serde_json::{Value, json};

use super::provider::{ENTERPRISE, GROUP, Provider, patch, person};

async fn report(idp: &Provider) -> Vec<Value> {
    let below = format!("/directories/{}/dialect", idp.directory);
    let (status, report) = idp.admin("GET", &below, Value::Null).await;
    assert_eq!(status, 200, "{report}");
    report["items"].as_array().unwrap().clone()
}

fn calls(report: &[Value]) -> Vec<(&str, i64)> {
    let mut calls: Vec<_> =
        report.iter().map(|line| (line["code"].as_str().unwrap(), line["calls"].as_i64().unwrap())).collect();
    calls.sort_unstable();
    calls
}

#[tokio::test]
async fn each_deviation_is_counted_once_a_call_and_shown_with_what_it_means() {
    let idp = Provider::new();
    let other = Provider::beside(&idp.bench, idp.organization, "acme", None, 3600);
    let al = idp.user("al").await;
    let below = format!("/Users/{al}");
    assert_eq!(calls(&report(&idp).await), [], "what follows the standard is no deviation");
    let legacy = json!([
        { "op": "Replace", "path": "active", "value": "False" },
        { "op": "Replace", "path": "active", "value": "True" },
        { "op": "Add", "path": "manager", "value": "9" },
    ]);
    idp.patched(&below, legacy.clone()).await;
    let first_at = report(&idp).await[0]["first_at"].clone();
    idp.bench.portcullis().store_dialects().await.unwrap();
    idp.bench.clock.pass_s(60);
    idp.patched(&format!("{below}?aadOptscim062020"), legacy).await;
    let mut put = person("al");
    put.as_object_mut().unwrap().remove("active");
    put["password"] = json!("secret");
    put["colour"] = json!("blue");
    put["schemas"] = json!([ENTERPRISE]);
    idp.call("PUT", &below, put).await;
    idp.got("/Users?filter=externalId%20eq%20ext-al").await;
    idp.got("/Users?filter=emails[type%20eq%20%22work%22].value%20eq%20%22x@y.test%22").await;
    let seen = report(&idp).await;
    assert_eq!(
        calls(&seen),
        [
            ("active_not_said", 1),
            ("bare_literal", 1),
            ("bare_value", 2),
            ("capitalised_op", 2),
            ("filter_part", 1),
            ("missing_schemas", 1),
            ("password_discarded", 1),
            ("provider_flag", 1),
            ("string_boolean", 2),
            ("unknown_attribute", 1),
            ("unqualified_extension", 2),
        ]
    );
    assert!(!Value::from(seen.clone()).to_string().contains("secret"), "no value is shown");
    assert!(seen.iter().all(|line| line["meaning"].as_str().is_some_and(|text| text.len() > 20)));
    let capitals = seen.iter().find(|line| line["code"] == "capitalised_op").unwrap();
    assert_eq!(capitals["first_at"], first_at);
    assert_ne!(capitals["last_at"], first_at);
    let unknown = seen.iter().find(|line| line["code"] == "unknown_attribute").unwrap();
    assert_eq!(unknown["example"], "colour");
    idp.bench.portcullis().store_dialects().await.unwrap();
    assert_eq!(report(&idp).await, seen, "what waits and what is stored are one");
    assert_eq!(calls(&report(&other).await), [], "another directory speaks for itself");
}

#[tokio::test]
async fn what_a_group_needed_is_counted_as_for_a_person() {
    let idp = Provider::new();
    let al = idp.user("al").await;
    let group = json!({ "schemas": [GROUP], "displayName": ["Eng"], "members": [{ "value": [al] }, null] });
    let below = format!("/Groups/{}", idp.made("/Groups", group).await);
    let operations = json!([
        { "op": "replace", "path": "displayName", "value": [{ "$ref": null, "value": "Engineering" }] },
        { "op": "add", "path": "urn:acme:hr:1.0:Group:costCenter", "value": "4711" },
    ]);
    assert_eq!(idp.call("PATCH", &below, patch(operations)).await.status, 204);
    let now = idp.got(&below).await;
    assert_eq!((&now["displayName"], &now["members"][0]["value"]), (&json!("Engineering"), &json!(al)));
    let seen = report(&idp).await;
    let expected =
        [("list_around_single", 2), ("null_in_list", 1), ("unknown_attribute", 1), ("wrapped_value", 1)];
    assert_eq!(calls(&seen), expected);
    let unknown = seen.iter().find(|line| line["code"] == "unknown_attribute").unwrap();
    assert_eq!(unknown["example"], "urn:acme:hr:1.0:Group:costCenter");
}

#[tokio::test]
async fn a_refused_call_counts_nothing_and_a_deleted_directory_leaves_nothing() {
    let idp = Provider::new();
    let al = format!("/Users/{}", idp.user("al").await);
    let wrong = json!([{ "op": "Replace", "path": "id", "value": "x" }]);
    assert_eq!(idp.call("PATCH", &al, patch(wrong)).await.status, 400);
    assert_eq!(calls(&report(&idp).await), []);
    idp.patched(&al, json!([{ "op": "Replace", "path": "title", "value": "x" }])).await;
    idp.bench.portcullis().store_dialects().await.unwrap();
    let (status, gone) =
        idp.admin("DELETE", &format!("/directories/{}?people=offboard", idp.directory), Value::Null).await;
    assert_eq!(status, 204, "{gone}");
    let directory = idp.directory;
    let left = idp.bench.write(move |tx, _| Ok(portcullis_store::dialect::list(tx, directory)?));
    assert_eq!(left, []);
    let below = format!("/directories/{}/dialect", idp.directory);
    assert_eq!(idp.admin("GET", &below, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_bulk_request_counts_what_its_operations_needed() {
    let idp = Provider::new();
    let mut body = person("al");
    body["active"] = json!("True");
    let request = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [{ "method": "POST", "path": "/Users", "bulkId": "a", "data": body }],
    });
    assert_eq!(idp.call("POST", "/Bulk", request).await.status, 200);
    assert_eq!(calls(&report(&idp).await), [("string_boolean", 1)]);
}

#[tokio::test]
async fn a_directory_says_which_of_its_calls_was_refused_last() {
    let idp = Provider::new();
    let other = Provider::beside(&idp.bench, idp.organization, "acme", None, 3600);
    let last = async |of: &Provider| {
        let (status, shown) = of.admin("GET", &format!("/directories/{}", of.directory), Value::Null).await;
        assert_eq!(status, 200, "{shown}");
        shown.get("last_refusal").cloned().unwrap_or_else(|| panic!("no last refusal in {shown}"))
    };
    let al = idp.user("al").await;
    let eng = idp.group("Eng", &[&al]).await;
    assert_eq!(idp.call("GET", "/Users/nobody", Value::Null).await.status, 404);
    assert_eq!(idp.call("POST", "/Users", person("al")).await.status, 409);
    assert_eq!(idp.call_as("wrong", "GET", "/Users", Value::Null).await.status, 401);
    assert_eq!(last(&idp).await, Value::Null, "what providers ask anew, and what a stranger may bring about");
    let stale = patch(json!([{ "op": "add", "path": "members", "value": [{ "value": "du_gone" }] }]));
    let refused = idp.call("PATCH", &format!("/Groups/{eng}"), stale.clone()).await;
    assert_eq!(refused.status, 400);
    let seen = last(&idp).await;
    assert_eq!(seen["code"], "invalidValue");
    assert_eq!(seen["subject"], json!(eng));
    assert_eq!(seen["request_id"].as_str(), refused.headers["x-request-id"].to_str().ok());
    assert!(seen["at"].is_string(), "{seen}");
    idp.bench.clock.pass_s(60);
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [{ "method": "PATCH", "path": format!("/Users/{al}"), "data": patch(json!([{ "op": "replace", "path": "id", "value": "1" }])) }],
    });
    assert_eq!(idp.call("POST", "/Bulk", body).await.status, 200);
    let newer = last(&idp).await;
    assert_eq!(
        (&newer["code"], &newer["subject"]),
        (&json!("mutability"), &json!(al)),
        "an operation of many too"
    );
    idp.bench.portcullis().store_last_refusals().await.unwrap();
    assert_eq!(last(&idp).await, newer, "what waits and what is stored are one");
    assert_eq!(last(&other).await, Value::Null, "another directory speaks for itself");
}
