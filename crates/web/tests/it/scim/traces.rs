//! What an administrator can read of a directory's calls afterwards.

use std::time::Duration;

use portcullis_service::trace::{MAX_CONTENT_BYTES, MAX_WAITING, TraceDraft};
use portcullis_store::{Priority, trace};
use portcullis_testkit::START;
use serde_json::{Value, json};

use super::provider::{Provider, USER, patch, person};

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
async fn no_spelling_brings_a_secret_into_a_trace() {
    let idp = Provider::new();
    let alice = format!("/Users/{}", idp.user("alice").await);
    let first = traces(&idp).await.len();
    let token = idp.token.clone();
    let encoded = token.replace('_', "%5f");
    let twice = encoded.replace('%', "%25");
    for address in [
        format!("?access_token={token}"),
        format!("?access%5Ftoken={encoded}"),
        format!("?t={twice}/Users"),
        format!("/Users;token={token}"),
        format!("/Users/{encoded}"),
        format!("/{token}/Users"),
        "/Users?apiKey=hunter2".to_owned(),
        "/Users?filter=password%20eq%20%22hunter2%22".to_owned(),
        "/Users?filter=userName+eq+%22a%22+and+pass%77ord+eq+%22hunter2%22".to_owned(),
        "/Users?filter=emails%5Bpassword%20eq%20%22hunter2%22%5D".to_owned(),
        "/Users?filter=password%20eq%20hunter2".to_owned(),
    ] {
        for secret in ["wrong", &token] {
            let headers =
                [("authorization", format!("Bearer {secret}")), ("user-agent", format!("x/{token}"))];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            idp.raw("192.0.2.7", &headers, "GET", &address, b"").await;
        }
    }
    for operation in [
        json!({ "Op": "replace", "Path": "password", "Value": "hunter2" }),
        json!({ "OP": "Replace", "PATH": format!("{USER}:PassWord"), "VALUE": "hunter2" }),
        json!({ "op": "replace", "path": "urn:acme:2.0:User:api-key", "value": { "of": ["hunter2"] } }),
        json!({ "op": "replace", "path": "emails[password eq \"hunter2\"].value", "value": "a@acme.test" }),
        json!({ "op": "replace", "path": "password eq hunter2", "value": "hunter2" }),
        json!({ "op": "replace", "path": ["password"], "value": "hunter2" }),
        json!({ "op": "add", "value": { "Password": "hunter2" } }),
        json!({ "op": "add", "value": "{\"password\": \"hunter2\"}" }),
        json!({ "op": "add", "path": "title", "value": token }),
    ] {
        // What is refused is kept in any case, and the first calls are, whatever comes of them.
        let refused = json!({ "op": "replace", "path": "id", "value": "1" });
        idp.call("PATCH", &alice, patch(json!([operation]))).await;
        assert_eq!(idp.call("PATCH", &alice, patch(json!([operation, refused]))).await.status, 400);
    }
    for name in
        ["pwd", "apiKey", "API_KEY", "client secret", "credential", "passPhrase", "Private-Key", "pin"]
    {
        let mut body = person("bob");
        body["urn:acme:2.0:User"] =
            json!({ name: "hunter2", "extra": [{ "name": name, "value": "hunter2" }] });
        body["externalId"] = Value::Null;
        idp.call("POST", "/Users", body).await;
    }
    for filter in ["password eq \"hunter2\"", "userName eq \"a\" and Credential eq \"hunter2\""] {
        let search =
            json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": filter });
        idp.call("POST", "/Users/.search", search).await;
    }
    let kept = traces(&idp).await;
    assert_eq!(kept.len(), first + 22 + 18 + 8 + 2, "each call left one");
    for trace in &kept {
        let text = trace.to_string();
        let digits = token.rsplit('_').next().unwrap();
        assert!(!text.contains("hunter2") && !text.contains(digits), "{text}");
    }
    let text = Value::from(kept).to_string();
    for shown in ["pc_scim_(masked)", "access_token=(masked)", "emails", "PassWord", "bob@acme.test"] {
        assert!(text.contains(shown), "what is no secret stays: {shown} is not in {text}");
    }
}

#[tokio::test]
async fn a_group_that_is_called_like_a_secret_can_still_be_found_in_a_trace() {
    let idp = Provider::new();
    idp.got("/Groups?filter=displayName%20eq%20%22Password%20Reset%22&attributes=id,displayName").await;
    let text = Value::from(traces(&idp).await).to_string();
    assert!(text.contains("displayName%20eq%20%22Password%20Reset%22"), "{text}");
}

#[tokio::test]
async fn a_trace_shows_what_the_call_changed_and_is_found_by_directory_request_subject_and_time() {
    let idp = Provider::new();
    let made = idp.call("POST", "/Users", person("alice")).await;
    let alice = made.json()["id"].as_str().unwrap().to_owned();
    let request = made.headers["x-request-id"].to_str().unwrap().to_owned();
    idp.bench.clock.pass_s(60);
    idp.call("POST", "/Users", person("bob")).await;
    assert_eq!(traces(&idp).await.len(), 2);
    let found = async |query: String| {
        let (status, page) = idp.admin("GET", &format!("/traces?{query}"), Value::Null).await;
        assert_eq!(status, 200, "{query} {page}");
        page["items"].as_array().unwrap().clone()
    };
    let directory = idp.directory.to_string();
    assert_eq!(found(format!("directory={directory}")).await.len(), 2);
    assert_eq!(found("directory=dir_00000000000000000000000000000001".to_owned()).await.len(), 0);
    assert_eq!(found(format!("subject={alice}")).await.len(), 1);
    let since = START.plus_s(30).rfc3339();
    assert_eq!(found(format!("since={since}")).await.len(), 1);
    assert_eq!(found(format!("until={since}")).await.len(), 1);
    let mine = found(format!("request_id={request}")).await;
    assert_eq!((mine.len(), &mine[0]["source"]), (1, &json!(directory)));
    let one = format!("/traces/{}", mine[0]["id"].as_str().unwrap());
    let (status, shown) = idp.admin("GET", &one, Value::Null).await;
    assert_eq!(status, 200, "{shown}");
    let actions: Vec<&str> =
        shown["events"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert!(actions.contains(&"directory_user.created") && actions.contains(&"member.created"), "{shown}");
    assert_eq!(shown["has_more_events"], false);
    let (_, events) = idp.admin("GET", &format!("/audit-events?request_id={request}"), Value::Null).await;
    assert_eq!(events["items"], shown["events"], "the log gives the same");
    let text = events.to_string();
    assert!(text.contains(&alice) && !text.contains("bob@"), "nothing of another request: {text}");
    let narrowed = format!("/audit-events?request_id={request}&action=member.created&target={alice}");
    let (_, narrowed) = idp.admin("GET", &narrowed, Value::Null).await;
    let narrowed: Vec<&Value> = narrowed["items"].as_array().unwrap().iter().map(|e| &e["action"]).collect();
    assert_eq!(narrowed, [&json!("member.created")], "the one event of that action about that person");
    let (_, first) =
        idp.admin("GET", &format!("/audit-events?request_id={request}&limit=1"), Value::Null).await;
    let next = first["next"].as_str().unwrap();
    let rest = format!("/audit-events?request_id={request}&cursor={next}");
    let (_, rest) = idp.admin("GET", &rest, Value::Null).await;
    assert_eq!(rest["items"].as_array().unwrap().len() + 1, actions.len());
    let (_, none) = idp.admin("GET", "/audit-events?request_id=none", Value::Null).await;
    assert_eq!(none["items"], json!([]));
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
        source: None,
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

#[tokio::test]
async fn looking_for_traces_to_forget_keeps_no_write_waiting_and_waits_for_none() {
    let idp = Provider::new();
    idp.bench.portcullis().traces().note(TraceDraft {
        organization: idp.organization,
        kind: "directory",
        outcome: "ok".to_owned(),
        subject: "ada".to_owned(),
        source: None,
        request: None,
        content: json!({}),
        at: START,
    });
    idp.bench.portcullis().store_traces().await.unwrap();
    let (taken, is_taken) = tokio::sync::oneshot::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let mut taken = Some(taken);
    let portcullis = idp.bench.portcullis().clone();
    // As on SQLite, where there is one writer: it is busy.
    let busy = tokio::spawn(async move {
        portcullis
            .write(Priority::Ordinary, move |_, _| {
                if let Some(taken) = taken.take() {
                    taken.send(()).unwrap();
                }
                let _ = may_go.recv();
                Ok(())
            })
            .await
    });
    is_taken.await.unwrap();
    let pruned = tokio::time::timeout(Duration::from_secs(10), idp.bench.portcullis().prune_traces()).await;
    drop(go);
    busy.await.unwrap().unwrap();
    pruned.expect("there was nothing to forget, and it waited for the writer").unwrap();
}

#[tokio::test]
async fn what_was_refused_is_still_found_behind_more_calls_that_succeeded_than_are_kept() {
    let idp = Provider::new();
    let organization = idp.organization;
    let refused = json!({ "externalId": "ext-refused" });
    let count = async |outcome: &str| {
        idp.bench.portcullis().store_traces().await.unwrap();
        let (status, page) =
            idp.admin("GET", &format!("/traces?limit=200&outcome={outcome}"), Value::Null).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().len()
    };
    let prune = || idp.bench.write(move |tx, _| Ok(trace::prune_by_count(tx, organization, 20, 1000)?));
    assert_eq!(idp.call("POST", "/Users", refused.clone()).await.status, 400);
    for _ in 0..40 {
        idp.bench.clock.pass_s(1);
        idp.got("/Users?count=1").await;
    }
    assert_eq!((count("ok").await, prune()), (40, 21), "all that is more than twenty");
    assert_eq!((count("ok").await, count("invalidValue").await), (19, 1), "what succeeded goes first");
    for _ in 0..30 {
        idp.bench.clock.pass_s(1);
        assert_eq!(idp.call("POST", "/Users", refused.clone()).await.status, 400);
    }
    assert_eq!(idp.call_as("wrong", "GET", "/Users", Value::Null).await.status, 401);
    assert_eq!((count("invalidValue").await, prune()), (31, 30));
    let left = (count("ok").await, count("invalidValue").await, count("unauthenticated").await);
    assert_eq!(left, (2, 18, 1), "the newest of what succeeded stays, and a stranger pushes out neither");
}

#[tokio::test]
async fn the_trace_of_a_refused_call_says_what_of_it_deviated_as_far_as_it_was_read() {
    let idp = Provider::new();
    let al = idp.user("al").await;
    let mut whole = person("bo");
    whole["colour"] = json!("blue");
    let mut again = person("al");
    again["colour"] = json!("blue");
    whole["title"] = json!({ "of": "a job" });
    let group = json!({ "displayName": "Eng", "colour": "blue", "members": [{ "value": "nobody" }] });
    let id = json!([{ "op": "Replace", "path": "id", "value": "1" }]);
    let eng = idp.group("Ops", &[]).await;
    let unknown = json!([{ "op": "Add", "path": "members", "value": [{ "value": "nobody" }] }]);
    let flagged = "/Users?aadOptscim062020&filter=colour%20eq%20%22x%22";
    for (method, below, body, note) in [
        ("POST", "/Users".to_owned(), whole, "unknown_attribute: `colour`"),
        ("POST", "/Users".to_owned(), again, "unknown_attribute: `colour`"),
        ("POST", "/Groups".to_owned(), group, "unknown_attribute: `colour`"),
        ("PATCH", format!("/Users/{al}"), patch(id), "capitalised_op"),
        ("PATCH", format!("/Groups/{eng}"), patch(unknown), "capitalised_op"),
        ("GET", flagged.to_owned(), Value::Null, "provider_flag"),
    ] {
        idp.bench.clock.pass_s(1);
        let refused = idp.call(method, &below, body).await;
        assert!(refused.status.is_client_error(), "{method} {below}: {}", refused.text());
        let newest = &traces(&idp).await[0];
        let notes = newest["content"]["notes"].as_array().unwrap_or_else(|| panic!("no notes in {newest}"));
        assert!(notes.contains(&json!(note)), "{method} {below}: {newest}");
    }
    let (_, report) = idp.admin("GET", &format!("/directories/{}/dialect", idp.directory), Value::Null).await;
    assert_eq!(report["items"], json!([]), "the report counts what was understood");
}
