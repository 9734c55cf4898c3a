//! What an administrator can read of a directory's calls afterwards.

use portcullis_service::trace::{MAX_CONTENT_BYTES, MAX_WAITING, TraceDraft};
use portcullis_testkit::START;
use serde_json::{Value, json};

use super::provider::{Provider, patch, person};

async fn traces(idp: &Provider) -> Vec<Value> {
    idp.bench.portcullis().store_traces().await.unwrap();
    let (status, page) = idp.admin("GET", "/traces?limit=200", Value::Null).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_call_leaves_a_trace_with_what_came_and_what_decided() {
    let idp = Provider::new();
    let mut body = person("alice");
    body["password"] = json!("correct horse battery staple");
    let made = idp.call("POST", "/Users", body).await;
    let alice = made.json()["id"].as_str().unwrap().to_owned();
    let below = format!("/Users/{alice}");
    idp.patched(&below, json!([{ "op": "Replace", "path": "active", "value": "True" }])).await;
    let refused = json!([{ "op": "Replace", "path": "password", "value": "hunter2" }, { "op": "replace", "path": "id", "value": "1" }]);
    assert_eq!(idp.call("PATCH", &below, patch(refused)).await.status, 400);
    assert_eq!(idp.call_as("wrong", "GET", "/Users", Value::Null).await.status, 401);
    let traces = traces(&idp).await;
    assert_eq!(traces.len(), 4);
    let text = Value::from(traces.clone()).to_string();
    for secret in ["correct horse", "hunter2", idp.token.as_str()] {
        assert!(!text.contains(secret), "{text}");
    }
    for known in [
        alice.as_str(),
        "password_discarded",
        "string_boolean",
        "capitalised_op",
        "mutability",
        "unauthenticated",
        "POST",
        made.headers["x-request-id"].to_str().unwrap(),
        "alice@acme.test",
    ] {
        assert!(text.contains(known), "{known} is not in {text}");
    }
    let (status, page) = idp.admin("GET", "/traces?kind=directory&outcome=mutability", Value::Null).await;
    assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 1), "{page}");
}

#[tokio::test]
async fn bodies_of_successful_calls_are_kept_for_the_first_hundred_only() {
    let idp = Provider::new();
    for n in 0..105 {
        idp.user(&format!("user{n}")).await;
    }
    let text = Value::from(traces(&idp).await).to_string();
    assert!(
        text.contains("ext-user99") && !text.contains("ext-user100"),
        "bodies of the first hundred calls"
    );
    assert_eq!(idp.call("POST", "/Users", json!({ "externalId": "ext-refused" })).await.status, 400);
    let text = Value::from(traces(&idp).await).to_string();
    assert!(text.contains("ext-refused"), "the body of a refused call is kept");
}

#[tokio::test]
async fn traces_are_dropped_and_counted_under_pressure_and_forgotten_when_they_are_old() {
    const LARGE: usize = MAX_WAITING * 2;
    let idp = Provider::new();
    let desk = idp.bench.portcullis().traces();
    let draft = |n: usize| TraceDraft {
        organization: idp.organization,
        kind: "directory",
        outcome: "ok".to_owned(),
        subject: n.to_string(),
        request: None,
        content: json!({ "body": "x".repeat(MAX_CONTENT_BYTES * usize::from(n == LARGE)) }),
        at: START.plus_s(i64::try_from(n).unwrap()),
    };
    for n in 0..MAX_WAITING + 7 {
        desk.note(draft(n));
    }
    assert_eq!(desk.dropped(), 7);
    let kept = traces(&idp).await;
    assert_eq!(
        kept[0]["subject"],
        Value::from((MAX_WAITING - 1).to_string()),
        "the last that there was room for"
    );
    desk.note(draft(LARGE));
    let text = Value::from(traces(&idp).await).to_string();
    assert!(text.contains("too large to keep") && !text.contains("xxxx"), "the bound of one trace");
    idp.bench.portcullis().prune_traces().await.unwrap();
    assert!(!traces(&idp).await.is_empty(), "young ones stay");
    idp.bench.clock.pass_s(15 * 24 * 3600);
    idp.bench.portcullis().prune_traces().await.unwrap();
    assert!(traces(&idp).await.is_empty());
}
