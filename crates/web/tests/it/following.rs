//! Following the log and the receipts: what was begun first and committed last is missed by nobody who goes by number.

use std::sync::mpsc;
use std::time::Duration;

use portcullis_domain::cause::Cause;
use portcullis_service::access::off_board_member;
use portcullis_store::Options;
use serde_json::{Value, json};

use crate::support::{Scene, id, refused};

const ACME: &str = "/api/v1/organizations/acme";
/// How long a test waits for the other side before it gives up: far more than it needs.
const PATIENCE: Duration = Duration::from_secs(20);

fn number(item: &Value) -> i64 {
    item["number"].as_i64().unwrap_or_else(|| panic!("no number in {item}"))
}

/// Everything behind that number, in pages of two.
async fn behind(scene: &Scene, path: &str, after: i64) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = format!("{path}after={after}&limit=2&cursor={cursor}");
        let (status, page) = scene.root("GET", &page, Value::Null).await;
        assert_eq!(status, 200, "{page}");
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return items,
        }
    }
}

fn last(items: &[Value]) -> i64 {
    items.last().map_or(0, number)
}

fn off_board_path(who: &portcullis_testkit::Persona) -> String {
    format!("{ACME}/members/{}/offboard", who.membership)
}

#[tokio::test]
async fn whoever_follows_by_number_misses_nothing_that_began_first_and_was_committed_last() {
    let scene = Scene::new();
    let overlaps = matches!(scene.bench.database(), Options::Postgres { .. });
    let portcullis = scene.bench.portcullis().clone();
    let ((began, has_begun), (let_on, gate)) = (mpsc::channel(), mpsc::channel::<()>());
    let (organization, leaver) = (scene.member.organization, scene.member.membership);
    let late = std::thread::spawn(move || {
        let (store, moments) = (portcullis.around().store.clone(), portcullis);
        store.write_blocking(move |tx| {
            let mut moment = moments.moment();
            let _ = began.send(());
            let _ = gate.recv_timeout(PATIENCE);
            off_board_member(tx, &mut moment, organization, leaver, "left", Cause::system())
        })
    });
    has_begun.recv_timeout(PATIENCE).unwrap();
    let let_late_on = || {
        let _ = let_on.send(());
    };
    // SQLite has one writer: nobody commits meanwhile there.
    if !overlaps {
        let_late_on();
    }
    scene.bench.clock.pass_s(1);
    assert_eq!(scene.root("POST", &off_board_path(&scene.viewer), json!({ "reason": "left" })).await.0, 200);
    scene.bench.portcullis().sign_all().await.unwrap();
    let (events, receipts) = (format!("{ACME}/audit-events?"), format!("{ACME}/receipts?"));
    let mut log = behind(&scene, &events, 0).await;
    let mut accounts = behind(&scene, &receipts, 0).await;
    if overlaps {
        let_late_on();
    }
    late.join().unwrap().unwrap();
    scene.bench.portcullis().sign_all().await.unwrap();
    let seen = (log.len(), accounts.len());
    log.extend(behind(&scene, &events, last(&log)).await);
    accounts.extend(behind(&scene, &receipts, last(&accounts)).await);
    if overlaps {
        let before =
            |items: &[Value], seen: usize| items[seen..].iter().any(|i| id(i) < id(&items[seen - 1]));
        assert!(before(&log, seen.0) && before(&accounts, seen.1), "what came late has an earlier id");
    }
    for (followed, path) in [(log, "audit-events"), (accounts, "receipts")] {
        let numbers: Vec<i64> = followed.iter().map(number).collect();
        let dense: Vec<i64> = (1..).take(followed.len()).collect();
        assert_eq!(numbers, dense, "{path}: each once, in order, without a gap");
        for item in scene.all(&format!("{ACME}/{path}")).await {
            assert!(item["number"].is_null() || followed.contains(&item), "{path}: {item} never came");
        }
    }
}

#[tokio::test]
async fn what_has_no_number_yet_is_not_followed_and_a_number_goes_with_the_filters() {
    let scene = Scene::new();
    scene.bench.portcullis().sign_all().await.unwrap();
    let events = format!("{ACME}/audit-events?");
    let so_far = last(&behind(&scene, &events, 0).await);
    assert_eq!(scene.root("POST", &off_board_path(&scene.viewer), json!({ "reason": "left" })).await.0, 200);
    assert_eq!(behind(&scene, &events, so_far).await, [Value::Null; 0]);
    let receipts = format!("{ACME}/receipts?");
    assert_eq!(behind(&scene, &receipts, 0).await, [Value::Null; 0]);
    let waiting = scene.all(&format!("{ACME}/receipts")).await;
    assert_eq!((&waiting[0]["number"], &waiting[0]["jws"]), (&Value::Null, &Value::Null));
    scene.bench.portcullis().sign_all().await.unwrap();
    let signed = behind(&scene, &receipts, 0).await;
    assert!(signed.len() == 1 && signed[0]["jws"].is_string(), "{signed:?}");
    assert_eq!(
        scene.root("GET", &format!("{ACME}/receipts/{}", id(&signed[0])), Value::Null).await.1,
        signed[0]
    );

    let found = behind(&scene, &events, so_far).await;
    let of = |action: &str| found.iter().filter(|e| e["action"] == action).cloned().collect::<Vec<_>>();
    let ended = of("member.deprovisioned");
    assert_eq!(ended.len(), 1, "{found:?}");
    for filter in [
        "action=member.deprovisioned".to_owned(),
        format!("action=member.deprovisioned&target={}", scene.viewer.membership),
        format!("action=member.deprovisioned&target={}", id(&signed[0])),
        "action=member.deprovisioned&actor=root&since=2026-01-01T00:00:00Z".to_owned(),
    ] {
        assert_eq!(behind(&scene, &format!("{events}{filter}&"), so_far).await, ended, "{filter}");
    }
    for filter in ["action=member.created", "actor=system", "since=2027-01-01T00:00:00Z"] {
        let path = format!("{events}{filter}&");
        assert!(!behind(&scene, &path, so_far).await.contains(&ended[0]), "{filter}");
    }
    for wrong in [
        "audit-events?after=-1".to_owned(),
        "audit-events?after=last".to_owned(),
        "receipts?after=1.5".to_owned(),
        format!("audit-events?after=0&cursor={}", id(&ended[0])),
        format!("receipts?after=0&cursor={}", id(&signed[0])),
        "audit-events?cursor=3".to_owned(),
        format!("audit-events?after=0&request_id={}", ended[0]["cause"]["request_id"].as_str().unwrap()),
    ] {
        refused(scene.root("GET", &format!("{ACME}/{wrong}"), Value::Null).await, 400, "invalid_field");
    }
}

#[tokio::test]
async fn whoever_stands_behind_the_end_of_a_restored_log_is_told_so_and_not_that_there_is_nothing_new() {
    let scene = Scene::new();
    // Nobody has left yet: no receipt has a number.
    assert_eq!(behind(&scene, &format!("{ACME}/receipts?"), 0).await, [Value::Null; 0]);
    refused(
        scene.root("GET", &format!("{ACME}/receipts?after=1"), Value::Null).await,
        409,
        "after_beyond_end",
    );
    assert_eq!(scene.root("POST", &off_board_path(&scene.viewer), json!({ "reason": "left" })).await.0, 200);
    scene.bench.portcullis().sign_all().await.unwrap();
    for list in ["audit-events", "receipts"] {
        let all = behind(&scene, &format!("{ACME}/{list}?"), 0).await;
        let end = last(&all);
        assert!(end > 0, "{list}");
        assert_eq!(
            behind(&scene, &format!("{ACME}/{list}?"), end).await,
            [Value::Null; 0],
            "{list}: nothing new"
        );
        for beyond in [
            format!("after={}", end + 1),
            format!("after=0&cursor={}", end + 1),
            format!("after={}", u64::MAX),
        ] {
            let answer = scene.root("GET", &format!("{ACME}/{list}?{beyond}"), Value::Null).await;
            refused(answer, 409, "after_beyond_end");
        }
    }
    let narrowed = format!("{ACME}/audit-events?action=grant.created&after=100000");
    refused(scene.root("GET", &narrowed, Value::Null).await, 409, "after_beyond_end");
    // What was copied tells by its link that a number is another event's by now.
    let events = behind(&scene, &format!("{ACME}/audit-events?"), 0).await;
    let links: std::collections::BTreeSet<_> =
        events.iter().filter_map(|event| event["link"].as_str()).collect();
    assert!(links.len() == events.len() && links.iter().all(|link| link.len() == 64), "{events:?}");
}
