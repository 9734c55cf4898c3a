//! Versions: told with every resource, and held against what a client names (RFC 7644 section 3.14).

use portcullis_domain::id::DirectoryUserId;
use portcullis_scim::{Preconditions, ScimError};
use portcullis_service::scim::delete_user;
use portcullis_store::db::Lock;
use portcullis_testkit::Exchange;
use serde_json::{Value, json};

use super::provider::{GROUP, Provider, patch, person};

fn tag(answer: &Exchange) -> String {
    answer.headers.get("etag").expect("an entity tag").to_str().expect("text").to_owned()
}

async fn conditional(
    idp: &Provider,
    method: &str,
    below: &str,
    condition: (&str, &str),
    body: Value,
) -> Exchange {
    let authorization = format!("Bearer {}", idp.token);
    let headers = [("authorization", authorization.as_str()), condition];
    idp.raw("192.0.2.7", &headers, method, below, body.to_string().as_bytes()).await
}

#[tokio::test]
async fn a_version_stays_while_nothing_changes_and_moves_with_every_change() {
    let idp = Provider::new();
    let made = idp.call("POST", "/Users", person("alice")).await;
    let one = format!("/Users/{}", made.json()["id"].as_str().unwrap());
    let first = tag(&made);
    assert!(first.starts_with("W/\""), "{first}");
    assert_eq!(made.json()["meta"]["version"], json!(first));
    idp.bench.clock.pass_s(1);
    let again = idp.call("PUT", &one, person("alice")).await;
    assert_eq!(tag(&again), first, "saying the same again is no change");
    let listed = idp.got("/Users").await;
    assert_eq!(listed["Resources"][0]["meta"]["version"], json!(first));
    let renamed = idp.patched(&one, json!([{ "op": "replace", "path": "title", "value": "x" }])).await;
    let second = tag(&renamed);
    assert_ne!(second, first);
    let group = idp.group("Eng", &[one.trim_start_matches("/Users/")]).await;
    let third = tag(&idp.call("GET", &one, Value::Null).await);
    assert_ne!(third, second, "a person's groups are shown with them");
    idp.patched(
        &format!("/Groups/{group}"),
        json!([{ "op": "replace", "path": "displayName", "value": "E" }]),
    )
    .await;
    assert_ne!(tag(&idp.call("GET", &one, Value::Null).await), third);
}

#[tokio::test]
async fn a_filter_sees_the_version_that_the_answer_shows() {
    let idp = Provider::new();
    let (alice, _) = (idp.user("alice").await, idp.user("bob").await);
    idp.group("Eng", &[&alice]).await;
    let version = idp.got(&format!("/Users/{alice}")).await["meta"]["version"].clone();
    let version = version.as_str().unwrap().replace('\"', "\\\"");
    for (filter, many) in [
        ("meta.version pr".to_owned(), 2),
        ("not (meta.version pr)".to_owned(), 0),
        (format!("meta.version eq \"{version}\""), 1),
        (format!("meta[version eq \"{version}\"]"), 1),
        (format!("meta.version ne \"{version}\""), 1),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let found = idp.got(&format!("/Users?filter={encoded}")).await;
        assert_eq!(found["totalResults"], many, "{filter}");
    }
}

#[tokio::test]
async fn who_has_the_version_is_answered_without_a_body() {
    let idp = Provider::new();
    let (alice, bob) = (idp.user("alice").await, idp.user("bob").await);
    let eng = idp.group("Eng", &[&alice, &bob]).await;
    for below in [
        format!("/Users/{alice}"),
        format!("/Groups/{eng}"),
        format!("/Groups/{eng}?excludedAttributes=members"),
    ] {
        let version = tag(&idp.call("GET", &below, Value::Null).await);
        let known = conditional(&idp, "GET", &below, ("if-none-match", &version), Value::Null).await;
        assert_eq!(
            (known.status.as_u16(), known.text().as_str(), tag(&known)),
            (304, "", version.clone()),
            "{below}"
        );
        let other = conditional(&idp, "GET", &below, ("if-none-match", "W/\"1\""), Value::Null).await;
        assert_eq!(other.status, 200);
    }
    let version = tag(&idp.call("GET", &format!("/Groups/{eng}"), Value::Null).await);
    idp.bench.clock.pass_s(1);
    idp.call("DELETE", &format!("/Users/{bob}"), Value::Null).await;
    let changed =
        conditional(&idp, "GET", &format!("/Groups/{eng}"), ("if-none-match", &version), Value::Null).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["members"][0]["value"]), (200, &json!(alice)));
}

#[tokio::test]
async fn a_group_that_loses_a_group_by_its_end_has_another_version() {
    let idp = Provider::new();
    let alice = idp.user("alice").await;
    let inner = idp.group("Inner", &[&alice]).await;
    let outer = [idp.group("Outer", &[&inner, &alice]).await, idp.group("Other", &[&inner]).await];
    let beside = format!("/Groups/{}", idp.group("Beside", &[&alice]).await);
    let before = idp.got(&beside).await;
    let outer = outer.map(|id| format!("/Groups/{id}"));
    let mut versions = Vec::new();
    for group in &outer {
        versions.push(tag(&idp.call("GET", group, Value::Null).await));
    }
    idp.bench.clock.pass_s(1);
    assert_eq!(idp.call("DELETE", &format!("/Groups/{inner}"), Value::Null).await.status, 204);
    for (group, version) in outer.iter().zip(&versions) {
        let known = ("if-none-match", version.as_str());
        let changed = conditional(&idp, "GET", group, known, Value::Null).await;
        assert_eq!(changed.status, 200, "whoever has the version would keep the group that is gone");
        let stale = conditional(&idp, "DELETE", group, ("if-match", version.as_str()), Value::Null).await;
        assert_eq!(stale.status, 412);
    }
    let members = idp.got(&outer[0]).await["members"].as_array().unwrap().clone();
    assert_eq!((members.len(), &members[0]["value"]), (1, &json!(alice)));
    assert_eq!(idp.got(&beside).await, before, "and no other group");
}

#[tokio::test]
async fn a_write_for_another_version_changes_nothing() {
    let idp = Provider::new();
    let alice = format!("/Users/{}", idp.user("alice").await);
    let eng = format!("/Groups/{}", idp.group("Eng", &[]).await);
    let rename = patch(json!([{ "op": "replace", "path": "displayName", "value": "Other" }]));
    let group = json!({ "schemas": [GROUP], "displayName": "Other" });
    for (below, put) in [(&alice, person("other")), (&eng, group)] {
        let before = idp.got(below).await;
        for (method, body) in [("PATCH", rename.clone()), ("PUT", put.clone()), ("DELETE", Value::Null)] {
            let stale = conditional(&idp, method, below, ("if-match", "W/\"1\""), body.clone()).await;
            assert_eq!(stale.status, 412, "{method} {below}: {}", stale.text());
            let exists = conditional(&idp, method, below, ("if-none-match", "*"), body.clone()).await;
            assert_eq!(exists.status, 412, "{method} {below}");
            let odd = conditional(&idp, method, below, ("if-match", "nonsense"), body).await;
            assert_eq!(odd.status, 400, "{method} {below}");
        }
        assert_eq!(&idp.got(below).await, &before);
        idp.bench.clock.pass_s(1);
        let version = before["meta"]["version"].as_str().unwrap().to_owned();
        let current = conditional(&idp, "PATCH", below, ("if-match", &version), rename.clone()).await;
        assert!(current.status.is_success(), "{}", current.text());
        let stale = conditional(&idp, "PATCH", below, ("if-match", &version), rename.clone()).await;
        assert_eq!(stale.status, 412);
        let newest = tag(&current);
        assert_eq!(conditional(&idp, "DELETE", below, ("if-match", &newest), Value::Null).await.status, 204);
        let gone = conditional(&idp, "DELETE", below, ("if-match", &newest), Value::Null).await;
        assert_eq!(gone.status, 404);
    }
}

#[tokio::test]
async fn the_rules_are_held_before_a_person_is_locked_for_their_version() {
    let idp = Provider::new();
    let alice: DirectoryUserId = idp.user("alice").await.parse().unwrap();
    let speaker = idp.speaker();
    idp.bench.write(move |tx, moment| {
        let known = Preconditions::parse(Some("W/\"1\""), None).unwrap();
        let refused = delete_user(tx, moment, speaker, alice, &known).expect_err("another version");
        assert_eq!(refused.to_string(), ScimError::PreconditionFailed.to_string());
        assert!(tx.has(&Lock::Rules(speaker.organization)), "the person was locked before the rules");
        Ok(())
    });
}

#[tokio::test]
async fn of_many_writes_for_one_version_one_succeeds() {
    let idp = std::sync::Arc::new(Provider::new());
    let eng = format!("/Groups/{}", idp.group("Eng", &[]).await);
    let version = idp.got(&eng).await["meta"]["version"].as_str().unwrap().to_owned();
    idp.bench.clock.pass_s(1);
    let mut tasks = Vec::new();
    for n in 0..8 {
        let (idp, eng, version) = (std::sync::Arc::clone(&idp), eng.clone(), version.clone());
        tasks.push(tokio::spawn(async move {
            let rename =
                patch(json!([{ "op": "replace", "path": "displayName", "value": format!("Eng {n}") }]));
            conditional(&idp, "PATCH", &eng, ("if-match", &version), rename).await.status.as_u16()
        }));
    }
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 412, 412, 412, 412, 412, 412, 412]);
}
