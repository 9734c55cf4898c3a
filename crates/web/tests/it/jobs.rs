//! What goes on between requests, each of it by itself: nobody calls a job of its own here.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use portcullis_domain::cause::Cause;
use portcullis_domain::{Clock as _, Timestamp};
use portcullis_service::outbox::KEPT_S;
use portcullis_service::rules;
use portcullis_store::db::Lock;
use portcullis_store::row::Param;
use portcullis_store::statement::Statement;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::scim::provider::{Provider, patch, person};

/// How often a test looks for what must come: half a minute.
const MAX_LOOKS: u32 = 1_500;
/// How far apart.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The names of what was measured.
#[derive(Clone, Default)]
struct Measured(Arc<Mutex<BTreeSet<String>>>);

impl Recorder for Measured {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.lock().unwrap().insert(key.name().to_owned());
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// How many rows there are where a job leaves its work, and whether that is as many as there are to be.
type Left = (&'static str, Statement, fn(i64) -> bool);

const LEFT: [Left; 8] = [
    (
        "rules",
        Statement::read(
            "test.stale",
            "SELECT COUNT(*) FROM memberships m JOIN organizations o ON o.id = m.organization \
             WHERE m.rules_number <> o.rules_number",
        ),
        |left| left == 0,
    ),
    ("uses", Statement::read("test.uses", "SELECT COUNT(*) FROM token_uses"), |left| left > 0),
    ("dialects", Statement::read("test.dialects", "SELECT COUNT(*) FROM directory_dialects"), |left| {
        left > 0
    }),
    ("refusals", Statement::read("test.refusals", "SELECT COUNT(*) FROM directory_refusals"), |left| {
        left > 0
    }),
    (
        "traces",
        Statement::read("test.traces", "SELECT COUNT(*) FROM traces WHERE created_at >= $1"),
        |left| left > 0,
    ),
    (
        "prune",
        Statement::read("test.old_traces", "SELECT COUNT(*) FROM traces WHERE created_at < $1"),
        |left| left == 0,
    ),
    ("outbox", Statement::read("test.outbox", "SELECT COUNT(*) FROM outbox WHERE created_at < $1"), |left| {
        left == 0
    }),
    (
        "sequence",
        Statement::read("test.unnumbered", "SELECT COUNT(*) FROM audit_events WHERE number IS NULL"),
        |left| left == 0,
    ),
];

/// Which of them are not done.
fn undone(idp: &Provider, since: Timestamp) -> Vec<&'static str> {
    idp.bench.write(move |tx, _| {
        let mut undone = Vec::new();
        for (job, statement, is_done) in &LEFT {
            let since = [Param::Int(since.micros())];
            let given = if statement.sql.contains("$1") { &since[..] } else { &[] };
            let left = tx.row(statement, given)?.unwrap().int(0)?;
            if !is_done(left) {
                undone.push(*job);
            }
        }
        Ok(undone)
    })
}

#[tokio::test]
async fn each_job_comes_to_its_turn_by_itself() {
    let idp = Provider::with(Some("member"), 0);
    // What has lain here for longer than anything is kept.
    let al = idp.user("al").await;
    assert_eq!(idp.call("DELETE", &format!("/Users/{al}"), Value::Null).await.status, 204);
    idp.bench.portcullis().store_traces().await.unwrap();
    idp.bench.clock.pass_s(KEPT_S + 1);
    let since = idp.bench.clock.now();
    // What came just now.
    let eve = idp.user("eve").await;
    let capital = json!([{ "op": "Replace", "path": "title", "value": "Boss" }]);
    idp.patched(&format!("/Users/{eve}"), capital).await;
    let refused = patch(json!([{ "op": "replace", "path": "id", "value": "1" }]));
    assert_eq!(idp.call("PATCH", &format!("/Users/{eve}"), refused).await.status, 400);
    let organization = idp.organization;
    idp.bench.write(move |tx, moment| {
        tx.lock(Lock::Organization(organization))?;
        rules::raise(tx, moment, organization, Cause::system()).map(|_| ())
    });
    let all: Vec<&str> = LEFT.iter().map(|(job, ..)| *job).collect();
    assert_eq!(undone(&idp, since), all, "there is something to do for each");

    let measured = Measured::default();
    let _measuring = metrics::set_default_local_recorder(&measured);
    let (stop, stopped) = watch::channel(false);
    let jobs = tokio::spawn({
        let portcullis = idp.bench.portcullis().clone();
        async move { portcullis.run_jobs(stopped).await }
    });
    let certificates = "portcullis_saml_certificates_expiring";
    for look in 0.. {
        let (undone, measured) = (undone(&idp, since), measured.0.lock().unwrap().contains(certificates));
        if undone.is_empty() && measured {
            break;
        }
        assert!(look < MAX_LOOKS, "nobody did {undone:?}; what runs out was counted: {measured}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // What waits at the end is stored before it.
    idp.bench.clock.pass_s(3_600);
    let since = idp.bench.clock.now();
    assert_eq!(idp.call("POST", "/Users", person("joe")).await.status, 201);
    stop.send(true).unwrap();
    jobs.await.unwrap();
    assert_eq!(undone(&idp, since), ["prune"], "an hour is no age");
}
