//! Who may call a directory, and what everybody else learns: nothing.

use std::net::IpAddr;

use axum::http::HeaderValue;
use portcullis_domain::Timestamp;
use portcullis_domain::id::DirectoryId;
use portcullis_scim::ResourceType;
use portcullis_scim::limits::MAX_BULK_OPERATIONS;
use portcullis_testkit::START;
use portcullis_web::scim::caller::{Failures, MAX_COUNTED, MAX_FAILURES, MAX_FAILURES_OF_SOURCE};
use portcullis_web::scim::progress::{Imports, MIN_WRITES, Progress, QUIET_S, TELL_EVERY_S};
use portcullis_web::scim::rate::{CALLING_S, MAX_CALLS_A_SECOND, MAX_CALLS_ALONE, MAX_CALLS_AT_ONCE, Rates};
use serde_json::{Value, json};

use super::provider::{Provider, person};

fn beside(provider: &Provider) -> Provider {
    let globex = provider.bench.organization("globex");
    Provider::beside(&provider.bench, globex, "globex", None, 3600)
}

#[tokio::test]
async fn whoever_has_not_the_directorys_token_is_answered_the_same_bytes() {
    let acme = Provider::new();
    let globex = beside(&acme);
    // One that was good, and has ended.
    let tokens = format!("/directories/{}/tokens", acme.directory);
    let (_, made) = acme.admin("POST", &tokens, json!({})).await;
    let ended = made["token"].as_str().unwrap();
    assert_eq!(acme.call_as(ended, "GET", "/Users", Value::Null).await.status, 200, "before");
    let one = format!("{tokens}/{}", made["id"].as_str().unwrap());
    assert_eq!(acme.admin("DELETE", &one, Value::Null).await.0, 204);
    let nowhere = "/scim/v2/dir_00000000000000000000000000000000/Users";
    let mut answers = Vec::new();
    for (token, path) in [
        ("wrong", acme.path("/Users")),
        (ended, acme.path("/Users")),
        ("pc_scim_000000", acme.path("/Users")),
        (globex.token.as_str(), acme.path("/Users")),
        (globex.token.as_str(), acme.path("/Nothing")),
        (acme.token.as_str(), nowhere.to_owned()),
        (acme.token.as_str(), "/scim/v2/not-an-id/Users".to_owned()),
        (acme.token.as_str(), "/scim/v2/%FF/Users".to_owned()),
        (portcullis_testkit::ROOT_TOKEN, acme.path("/Users")),
    ] {
        let authorization = format!("Bearer {token}");
        let exchange =
            acme.bench.exchange("GET", &path, &[("authorization", &authorization)], &Value::Null).await;
        assert_eq!(exchange.status, 401, "{path}");
        let mut headers = exchange.headers.clone();
        headers.remove("x-request-id");
        answers.push((headers, exchange.body));
    }
    let none = acme.bench.exchange("GET", &acme.path("/Users"), &[], &Value::Null).await;
    assert_eq!((none.status.as_u16(), &none.body), (401, &answers[0].1));
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
        assert!(answer.0.contains_key("www-authenticate"));
        assert_eq!(answer.0["content-type"], "application/scim+json");
    }
    assert_eq!(acme.call("GET", "/Users", Value::Null).await.status, 200);
}

#[tokio::test]
async fn failed_attempts_are_limited_by_source_and_directory_and_never_slow_the_real_client() {
    let acme = Provider::new();
    let globex = beside(&acme);
    let wrong = [("authorization", "Bearer wrong")];
    let right = format!("Bearer {}", acme.token);
    let right = [("authorization", right.as_str())];
    let mut refused = 0;
    for attempt in 1..=100 {
        let answer = acme.raw("192.0.2.7", &wrong, "GET", "/Users", b"").await;
        if attempt <= 20 {
            assert_eq!(answer.status, 401, "at least twenty attempts a minute are answered");
        }
        if answer.status == 429 {
            refused += 1;
            let wait: i64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait));
        }
        let real = acme.raw("192.0.2.7", &right, "GET", "/Users", b"").await;
        assert_eq!(real.status, 200, "attempt {attempt}");
    }
    assert!(refused >= 60, "only {refused} of 100 were refused");
    assert_eq!(acme.raw("192.0.2.8", &wrong, "GET", "/Users", b"").await.status, 401, "another source");
    assert_eq!(globex.raw("192.0.2.7", &wrong, "GET", "/Users", b"").await.status, 401, "another directory");
    acme.bench.clock.pass_s(61);
    assert_eq!(acme.raw("192.0.2.7", &wrong, "GET", "/Users", b"").await.status, 401, "another minute");
}

#[tokio::test]
async fn a_foreign_id_answers_exactly_as_an_unknown_one() {
    let acme = Provider::new();
    let globex = beside(&acme);
    let (user, group) = (globex.user("bob").await, globex.group("Ops", &[]).await);
    let patch = super::provider::patch(json!([{ "op": "replace", "path": "displayName", "value": "x" }]));
    for (kind, foreign) in [("Users", &user), ("Groups", &group)] {
        let unknown = format!("{}_{}", foreign.split('_').next().unwrap(), "0".repeat(32));
        for (method, body) in
            [("GET", Value::Null), ("PUT", person("bob")), ("PATCH", patch.clone()), ("DELETE", Value::Null)]
        {
            let mut answers = Vec::new();
            for id in [foreign.as_str(), &unknown, "nonsense"] {
                let answer = acme.call(method, &format!("/{kind}/{id}"), body.clone()).await;
                assert_eq!(answer.status, 404, "{method} {kind} {id}: {}", answer.text());
                answers.push(answer.body);
            }
            assert!(answers.iter().all(|a| a == &answers[0]));
        }
    }
    let members = json!([{ "op": "add", "path": "members", "value": [{ "value": user }] }]);
    let eng = acme.group("Eng", &[]).await;
    let refused = acme.call("PATCH", &format!("/Groups/{eng}"), super::provider::patch(members)).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains(&user), "{}", refused.text());
    for below in [
        format!("/Users?filter=id%20eq%20%22{user}%22"),
        format!("/Groups?filter=members%20eq%20%22{user}%22"),
    ] {
        assert_eq!(acme.got(&below).await["totalResults"], 0);
    }
    assert_eq!(globex.got(&format!("/Users/{user}")).await["displayName"], "bob Example");
}

#[test]
fn failures_are_counted_in_bounded_memory_and_those_that_were_counted_stay_limited() {
    let failures = Failures::default();
    let now = START;
    let attacker: IpAddr = "2001:db8::1".parse().unwrap();
    let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
    for _ in 0..MAX_FAILURES {
        assert_eq!(failures.count(attacker, None, now), Ok(()));
    }
    assert_eq!(failures.count(neighbour, None, now), Err(60), "a whole /64 is one source");
    for n in 0..u32::try_from(MAX_COUNTED).unwrap() {
        let _ = failures.count(IpAddr::V4(n.into()), None, now);
    }
    assert_eq!(failures.count(attacker, None, now.plus_s(59)), Err(1));
    let late: IpAddr = "198.51.100.1".parse().unwrap();
    for _ in 0..=MAX_FAILURES {
        assert_eq!(failures.count(late, None, now), Ok(()), "beyond the bound nothing is counted");
    }
    assert_eq!(failures.count(attacker, None, now.plus_s(60)), Ok(()), "a new minute begins");
}

#[test]
fn whoever_makes_directories_up_is_limited_by_where_they_come_from_and_takes_nobody_elses_room() {
    let failures = Failures::default();
    let invented = |n: usize| -> Option<DirectoryId> { Some(format!("dir_{n:032x}").parse().unwrap()) };
    let attacker: IpAddr = "2001:db8::1".parse().unwrap();
    let mut answered = 0;
    for n in 0..MAX_COUNTED {
        answered += u32::from(failures.count(attacker, invented(n), START).is_ok());
    }
    assert_eq!(answered, MAX_FAILURES_OF_SOURCE);
    let other: IpAddr = "198.51.100.1".parse().unwrap();
    for _ in 0..MAX_FAILURES {
        assert_eq!(failures.count(other, invented(1), START), Ok(()), "somewhere else it is counted anew");
    }
    assert_eq!(failures.count(other, invented(1), START), Err(60), "and counted");
}

#[test]
fn a_directory_may_call_far_faster_than_any_import_and_is_told_when_to_come_back() {
    let rates = Rates::default();
    let (one, other) = ("dir_00000000000000000000000000000001", "dir_00000000000000000000000000000002");
    let (one, other): (DirectoryId, DirectoryId) = (one.parse().unwrap(), other.parse().unwrap());
    let start = Timestamp::from_seconds(1_000_000);
    let mut at = start;
    for _ in 0..10 * MAX_CALLS_A_SECOND {
        assert_eq!(rates.count(one, at), Ok(()), "nobody below the limit is ever slowed");
        at = Timestamp::from_micros(at.micros() + 1_000_000 / MAX_CALLS_A_SECOND + 1);
    }
    const { assert!(MAX_CALLS_A_SECOND >= 2_000, "what the contract promises") };
    let allowed = (0..3 * MAX_CALLS_AT_ONCE).filter(|_| rates.count(one, at).is_ok()).count();
    let most = usize::try_from(MAX_CALLS_AT_ONCE).unwrap();
    assert!(allowed <= most && allowed >= most / 2, "{allowed} at once");
    assert_eq!(rates.count(one, at), Err(1));
    assert_eq!(rates.count(other, at), Ok(()), "another directory is not slowed");
    at = Timestamp::from_micros(at.micros() + 1_000_000);
    assert_eq!(rates.count(one, at), Ok(()), "it comes back");
    assert_eq!(rates.count(other, start), Ok(()), "a clock that goes back slows nobody");
}

#[test]
fn a_whole_import_in_bulk_is_never_slowed_and_one_without_end_is_held_to_the_rate_of_calls() {
    let rates = Rates::default();
    let directory: DirectoryId = "dir_00000000000000000000000000000001".parse().unwrap();
    let start = Timestamp::from_seconds(1_000_000);
    let mut whole = 0;
    while rates.count_operations(directory, MAX_BULK_OPERATIONS, start).is_ok() {
        whole += 1;
    }
    assert_eq!(whole * MAX_BULK_OPERATIONS, 200_000, "a hundred thousand people, twice");
    assert_eq!(rates.count(directory, start), Ok(()), "a single call does not wait behind an import");
    let second = Timestamp::from_micros(start.micros() + 1_000_000);
    let came_back = (0..10).filter(|_| rates.count_operations(directory, 1_000, second).is_ok()).count();
    assert_eq!(came_back, 3, "{MAX_CALLS_A_SECOND} a second");
    assert_eq!(rates.count_operations(directory, 1, second), Err(1));
}

#[tokio::test]
async fn a_bulk_request_with_too_many_operations_for_now_is_refused_whole() {
    let idp = Provider::new();
    let operation = |n: usize| json!({ "method": "POST", "path": "/Users", "bulkId": format!("b{n}"), "data": person(&format!("bulk{n}")) });
    let bulk = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [operation(1), operation(2), operation(3)],
    });
    let (rates, now) = (idp.bench.app().scim_rates(), idp.bench.portcullis().now());
    while rates.count_operations(idp.directory, 1_000, now).is_ok() {}
    while rates.count_operations(idp.directory, 1, now).is_ok() {}
    let refused = idp.call("POST", "/Bulk", bulk.clone()).await;
    assert_eq!((refused.status.as_u16(), &refused.headers["retry-after"]), (429, &HeaderValue::from(1)));
    let found = idp.got("/Users").await;
    assert_eq!(found["totalResults"], 0, "nothing of it was begun: {found}");
    idp.bench.clock.pass_s(1);
    let answer = idp.call("POST", "/Bulk", bulk).await.json();
    let statuses: Vec<_> =
        answer["Operations"].as_array().unwrap().iter().map(|o| o["status"].clone()).collect();
    assert_eq!(statuses, ["201", "201", "201"], "{answer}");
}

#[test]
fn an_import_takes_what_the_machine_gives_while_no_other_directory_calls() {
    let (one, other) = ("dir_00000000000000000000000000000001", "dir_00000000000000000000000000000002");
    let (one, other): (DirectoryId, DirectoryId) = (one.parse().unwrap(), other.parse().unwrap());
    let (rates, start) = (Rates::default(), Timestamp::from_seconds(1_000_000));
    let mut micros = start.micros();
    // How many of the calls of ten seconds are taken at that rate, while the other directory calls that often.
    let mut taken = |a_second: i64, every_other: Option<i64>| -> i64 {
        let mut taken = 0;
        for call in 0..10 * a_second {
            micros += 1_000_000 / a_second;
            let at = Timestamp::from_micros(micros);
            if every_other.is_some_and(|every| call % every == 0) {
                assert_eq!(rates.count(other, at), Ok(()), "the other one has room");
            }
            taken += i64::from(rates.count(one, at).is_ok());
        }
        taken
    };
    assert_eq!(taken(MAX_CALLS_ALONE, None), 10 * MAX_CALLS_ALONE);
    let beside = taken(MAX_CALLS_ALONE, Some(1_000));
    let room = 10 * MAX_CALLS_A_SECOND + MAX_CALLS_AT_ONCE;
    assert!(beside <= room + MAX_CALLS_A_SECOND && beside >= 10 * MAX_CALLS_A_SECOND, "{beside}");
    let again = taken(MAX_CALLS_ALONE, None);
    assert!(again >= (10 - CALLING_S) * MAX_CALLS_ALONE, "{again}: alone again");
    let too_fast = taken(3 * MAX_CALLS_ALONE, None);
    assert!(too_fast <= 10 * MAX_CALLS_ALONE + MAX_CALLS_AT_ONCE, "{too_fast}: alone, and still a limit");
}

#[test]
fn a_clock_that_is_set_back_leaves_a_directory_what_comes_back_from_then_on() {
    let rates = Rates::default();
    let one: DirectoryId = "dir_00000000000000000000000000000001".parse().unwrap();
    let at = |seconds: i64| Timestamp::from_seconds(1_000_000 + seconds);
    let taken = |at: Timestamp| (0..2 * MAX_CALLS_AT_ONCE).filter(|_| rates.count(one, at).is_ok()).count();
    let most = usize::try_from(MAX_CALLS_AT_ONCE).unwrap();
    assert_eq!(taken(at(3_600)), most);
    assert_eq!(taken(at(0)), 0, "a step back brings nothing");
    assert_eq!(taken(at(10)), most, "ten seconds later all of it is back");
    assert!(rates.count_operations(one, 200_000, at(3_600)).is_ok());
    assert_eq!(rates.count_operations(one, 1, at(0)), Err(1));
    assert_eq!(rates.count_operations(one, 1_000, at(10)), Ok(()));
}

#[tokio::test]
async fn a_client_that_calls_too_fast_is_answered_429_with_retry_after() {
    let idp = Provider::new();
    let (rates, now) = (idp.bench.app().scim_rates(), idp.bench.portcullis().now());
    while rates.count(idp.directory, now).is_ok() {}
    let refused = idp.call("GET", "/Users/nobody", Value::Null).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.json()["status"], "429");
    idp.bench.clock.pass_s(1);
    assert_eq!(idp.call("GET", "/Users/nobody", Value::Null).await.status, 404);
}

#[tokio::test]
async fn tokens_rotate_with_overlap_run_out_and_say_when_they_were_used() {
    let idp = Provider::new();
    let tokens = format!("/directories/{}/tokens", idp.directory);
    let runs_out = Timestamp::from_micros(START.micros() + 3_600_000_000);
    let (status, next) = idp.admin("POST", &tokens, json!({ "expires_at": runs_out.rfc3339() })).await;
    assert_eq!(status, 201, "{next}");
    let second = next["token"].as_str().unwrap();
    for token in [idp.token.as_str(), second] {
        assert_eq!(
            idp.call_as(token, "GET", "/Users", Value::Null).await.status,
            200,
            "both are good at once"
        );
    }
    idp.bench.portcullis().store_uses().await.unwrap();
    let (_, listed) = idp.admin("GET", &tokens, Value::Null).await;
    let used = listed["items"].as_array().unwrap().iter().filter(|t| t["last_used_at"].is_string()).count();
    assert_eq!(used, 2, "{listed}");
    let first = listed["items"].as_array().unwrap().iter().find(|t| t["id"] != next["id"]).unwrap();
    let (status, _) =
        idp.admin("DELETE", &format!("{tokens}/{}", first["id"].as_str().unwrap()), Value::Null).await;
    assert_eq!(status, 204);
    let ended = idp.call("GET", "/Users", Value::Null).await;
    assert_eq!((ended.status.as_u16(), ended.headers.contains_key("www-authenticate")), (401, true));
    assert_eq!(idp.call_as(second, "GET", "/Users", Value::Null).await.status, 200);
    idp.bench.clock.pass_s(3_601);
    assert_eq!(idp.call_as(second, "GET", "/Users", Value::Null).await.status, 401, "it ran out");
}

#[test]
fn an_import_is_told_of_every_ten_seconds_and_everyday_changes_are_not() {
    let directory: DirectoryId = "dir_00000000000000000000000000000001".parse().unwrap();
    let (imports, start) = (Imports::default(), Timestamp::from_seconds(1_000_000));
    let mut told = Vec::new();
    // Forty writes a second for half a minute, every tenth of a group.
    for write in 0..1_200_i64 {
        let kind = if write % 10 == 0 { ResourceType::Group } else { ResourceType::User };
        let at = Timestamp::from_micros(start.micros() + write * 25_000);
        told.extend(imports.count(directory, kind, at).map(|progress| (write, progress)));
    }
    let every = TELL_EVERY_S * 40;
    let first = Progress { people: 360, groups: 41, lasted_s: TELL_EVERY_S };
    assert_eq!(told.first(), Some(&(every, first)));
    assert_eq!(told.iter().map(|(write, _)| *write).collect::<Vec<_>>(), [every, 2 * every]);
    // A write now and then is no import, however long it goes on; after a pause another one begins.
    let later = start.plus_s(30 + QUIET_S);
    for write in 0..2 * i64::try_from(MIN_WRITES).unwrap() {
        let told = imports.count(directory, ResourceType::User, later.plus_s(write * QUIET_S));
        assert_eq!(told, None, "{write}");
    }
}
