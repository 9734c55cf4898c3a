//! The sequencer among the jobs: nothing that goes on for long holds it up. What is counted of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::MembershipChange;
use portcullis_domain::id::{MembershipId, OrganizationId, UserId};
use portcullis_domain::membership::{Membership, MembershipState, Newcomer};
use portcullis_domain::plan::Plan;
use portcullis_service::access::off_board_member;
use portcullis_service::{Moment, ServiceError, rules};
use portcullis_store::db::Lock;
use portcullis_store::{Priority, Tx, facts, membership, receipt};
use portcullis_testkit::{Bench, ROOT_TOKEN};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// People whose access a job has to store anew: eight chunks, which are one step of it. Were the sequencer a turn of the same
/// loop, it would come once the step is over, when nobody is left.
const PEOPLE: u16 = 4_000;
/// Whoever looks too late finds nobody left: a receipt in the midst of one of so many changes is enough.
const MAX_ATTEMPTS: usize = 20;
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_signed_while_a_change_of_rules_is_still_stored() {
    let bench = Bench::of_the_run();
    let acme = bench.organization("acme");
    bench.write(move |tx, moment| {
        let people = (0..PEOPLE).map(|number| {
            let who = Newcomer {
                id: MembershipId::fresh(moment.now, &mut moment.random),
                organization: acme,
                user: UserId::fresh(moment.now, &mut moment.random),
                email: format!("p{number}@acme.test"),
                name: String::new(),
            };
            let active = Membership::new(who, MembershipState::Active, 0, moment.now);
            MembershipChange::Create(Box::new(Membership { joined_at: Some(moment.now), ..active })).into()
        });
        let event = EventDraft::new(Action::MemberCreated, acme);
        let plan = Plan::because(acme, Cause::system()).then_all(event, people.collect());
        moment.apply(tx, &plan)?;
        Ok(())
    });
    let (stop, stopped) = watch::channel(false);
    let jobs = tokio::spawn({
        let portcullis = bench.portcullis().clone();
        async move { portcullis.run_jobs(stopped).await }
    });
    let mut is_signed_meanwhile = false;
    for attempt in 0..MAX_ATTEMPTS {
        is_signed_meanwhile = timeout(PATIENCE, is_left_waiting(&bench, acme, attempt)).await.unwrap();
        if is_signed_meanwhile {
            break;
        }
    }
    assert!(is_signed_meanwhile, "every receipt waited until the change was stored for everybody");
    stop.send(true).unwrap();
    jobs.await.unwrap();
}

/// Changes the rules, and off-boards somebody while that is being stored: whether anybody was left to store once the receipt
/// was signed. If nobody was, the receipt has waited for them, or this test looked too late.
async fn is_left_waiting(bench: &Bench, acme: OrganizationId, attempt: usize) -> bool {
    let portcullis = bench.portcullis();
    let leaver = bench.member(acme, &format!("leaver{attempt}@acme.test"), "member").membership;
    let waiting = move |tx: &mut Tx<'_>| -> Result<usize, ServiceError> {
        let number = facts::rules_number(tx, acme)?;
        Ok(membership::stale(tx, acme, number, i64::from(PEOPLE))?.len())
    };
    bench.write(move |tx, moment| {
        tx.lock(Lock::Organization(acme))?;
        rules::raise(tx, moment, acme, Cause::system())
    });
    while portcullis.read(move |tx, _| waiting(tx)).await.unwrap() >= PEOPLE.into() {
        sleep(Duration::from_millis(1)).await;
    }
    let leave = move |tx: &mut Tx<'_>, moment: &mut Moment| {
        off_board_member(tx, moment, acme, leaver, "left", Cause::system())
    };
    let id = portcullis.write(Priority::OffBoarding, leave).await.unwrap();
    loop {
        let look = move |tx: &mut Tx<'_>, _| {
            let is_signed = receipt::find(tx, acme, id)?.is_some_and(|receipt| receipt.jws.is_some());
            Ok((is_signed, waiting(tx)?))
        };
        match portcullis.read(look).await.unwrap() {
            (true, left) => return left > 0,
            (false, _) => sleep(Duration::from_millis(1)).await,
        }
    }
}

/// Counts one series: a name, and behind it each label and its value.
struct Counting {
    series: &'static str,
    so_far: Arc<AtomicU64>,
}

impl Recorder for Counting {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        let series = std::iter::once(key.name().to_owned()).chain(labels).collect::<String>();
        if series == self.series { Counter::from_arc(Arc::clone(&self.so_far)) } else { Counter::noop() }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_last_owner_who_leaves_is_an_alarm_and_one_whose_organization_is_deleted_is_none() {
    let bench = Bench::sqlite();
    let so_far = Arc::new(AtomicU64::new(0));
    let counting = Counting { series: "portcullis_last_owners_kept_total", so_far: Arc::clone(&so_far) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sequenced = || {
        metrics::with_local_recorder(&counting, || runtime.block_on(bench.portcullis().sequence())).unwrap();
        so_far.load(Ordering::Relaxed)
    };
    let beta = bench.organization("beta");
    bench.member(beta, "boss@beta.test", "owner");
    let deleted = runtime.block_on(bench.call(
        "DELETE",
        "/api/v1/organizations/beta?members=offboard",
        ROOT_TOKEN,
        Value::Null,
    ));
    assert_eq!(deleted.0, 204, "{deleted:?}");
    assert_eq!(sequenced(), 0, "nobody is to own it any more");

    let acme = bench.organization("acme");
    let boss = bench.member(acme, "boss@acme.test", "owner").membership;
    bench.write(move |tx, moment| off_board_member(tx, moment, acme, boss, "left", Cause::system()));
    assert_eq!(sequenced(), 1);
}

#[test]
fn each_use_of_the_root_token_is_counted() {
    let bench = Bench::sqlite();
    let so_far = Arc::new(AtomicU64::new(0));
    let counting = Counting { series: "portcullis_root_token_uses_total", so_far: Arc::clone(&so_far) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let acme = bench.organization("acme");
    let key = bench.member(acme, "boss@acme.test", "owner").key;
    let question = json!({
        "subject": { "type": "token", "id": key }, "action": { "name": "use" },
        "resource": { "type": "tool", "id": "Bash" },
    });
    let used = |method: &str, path: &str, by: &str, body: &Value| {
        let call = bench.call(method, path, by, body.clone());
        let (status, said) = metrics::with_local_recorder(&counting, || runtime.block_on(call));
        assert!(status < 300, "{method} {path}: {said}");
        so_far.load(Ordering::Relaxed)
    };
    let one = "/api/v1/organizations/acme";
    assert_eq!(used("GET", one, &key, &Value::Null), 0, "the owner's own");
    assert_eq!(used("GET", one, ROOT_TOKEN, &Value::Null), 1);
    assert_eq!(used("PATCH", one, ROOT_TOKEN, &json!({ "name": "Acme" })), 2);
    assert_eq!(used("GET", "/api/v1/me", ROOT_TOKEN, &Value::Null), 3);
    assert_eq!(used("POST", "/access/v1/evaluation", ROOT_TOKEN, &question), 4);
}

#[test]
fn a_job_whose_step_fails_is_counted_by_its_name_and_the_others_go_on() {
    let bench = Bench::sqlite();
    bench.write(|tx, _| Ok(tx.batch("DROP TABLE traces")?));
    let so_far = Arc::new(AtomicU64::new(0));
    let counting =
        Counting { series: "portcullis_job_failures_total job=prune", so_far: Arc::clone(&so_far) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let acme = bench.organization("acme");
    let leaver = bench.member(acme, "leaver@acme.test", "member").membership;
    let id =
        bench.write(move |tx, moment| off_board_member(tx, moment, acme, leaver, "left", Cause::system()));
    let (stop, stopped) = watch::channel(false);
    let looked = async {
        loop {
            let find = move |tx: &mut Tx<'_>, _| Ok(receipt::find(tx, acme, id)?);
            let receipt = bench.portcullis().read(find).await.unwrap().unwrap();
            if so_far.load(Ordering::Relaxed) > 0 && receipt.jws.is_some() {
                return stop.send(true).unwrap();
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let both = async { tokio::join!(bench.portcullis().run_jobs(stopped), looked) };
    let ended = async { timeout(PATIENCE, both).await };
    metrics::with_local_recorder(&counting, || runtime.block_on(ended)).unwrap();
}
