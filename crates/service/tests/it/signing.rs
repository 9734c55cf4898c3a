//! The sequencer among the jobs: nothing that goes on for long holds it up.

use std::time::Duration;

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::MembershipChange;
use portcullis_domain::id::{MembershipId, UserId};
use portcullis_domain::membership::{Membership, MembershipState, Newcomer};
use portcullis_domain::plan::Plan;
use portcullis_service::access::off_board_member;
use portcullis_service::{Moment, ServiceError, rules};
use portcullis_store::db::Lock;
use portcullis_store::{Priority, Tx, facts, membership, receipt};
use portcullis_testkit::Bench;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// People whose access a job has to store anew: ten chunks.
const PEOPLE: u16 = 5_000;
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_signed_while_a_change_of_rules_is_still_stored() {
    let bench = Bench::of_the_run();
    let acme = bench.organization("acme");
    let leaver = bench.member(acme, "leaver@acme.test", "member").membership;
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
        tx.lock(Lock::Organization(acme))?;
        rules::raise(tx, moment, acme, Cause::system())
    });
    let waiting = move |tx: &mut Tx<'_>| -> Result<usize, ServiceError> {
        let number = facts::rules_number(tx, acme)?;
        Ok(membership::stale(tx, acme, number, i64::from(PEOPLE))?.len())
    };

    let portcullis = bench.portcullis().clone();
    let (stop, stopped) = watch::channel(false);
    let jobs = tokio::spawn({
        let portcullis = portcullis.clone();
        async move { portcullis.run_jobs(stopped).await }
    });
    let begun = async {
        while portcullis.read(move |tx, _| waiting(tx)).await.unwrap() >= PEOPLE.into() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, begun).await.unwrap();
    let leave = move |tx: &mut Tx<'_>, moment: &mut Moment| {
        off_board_member(tx, moment, acme, leaver, "left", Cause::system())
    };
    let id = portcullis.write(Priority::OffBoarding, leave).await.unwrap();
    let signed = async {
        loop {
            let look = move |tx: &mut Tx<'_>, _| {
                let is_signed = receipt::find(tx, acme, id)?.is_some_and(|receipt| receipt.jws.is_some());
                Ok((is_signed, waiting(tx)?))
            };
            match portcullis.read(look).await.unwrap() {
                (true, left) => return left,
                (false, _) => sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let left = timeout(PATIENCE, signed).await.unwrap();
    assert!(left > 0, "the receipt waited until the change was stored for everybody");
    stop.send(true).unwrap();
    jobs.await.unwrap();
}
