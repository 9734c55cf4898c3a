//! While nobody owns anything, a link of the machine's makes the first owner; afterwards there is none.

use std::sync::mpsc;
use std::time::Duration;

use portcullis_service::first_owner::Founding;
use portcullis_service::sign_in::Visitor;
use portcullis_service::sign_in::binding::Bound;
use portcullis_service::{ServiceError, first_owner};
use portcullis_store::Options;
use portcullis_testkit::{Bench, ROOT_TOKEN};
use serde_json::json;

fn is_there(bench: &Bench) -> bool {
    bench.write(|tx, _| first_owner::is_there(tx))
}

#[tokio::test]
async fn an_owner_is_there_once_somebody_owns_and_acts_and_an_invitation_is_nobody_yet() {
    let bench = Bench::of_the_run();
    let acme = bench.organization("acme");
    assert!(!is_there(&bench));
    bench.member(acme, "admin@acme.test", "admin");
    assert!(!is_there(&bench), "somebody who acts and owns nothing");
    let body = json!({ "email": "boss@acme.test", "role": "owner" });
    let (status, invited) =
        bench.call("POST", "/api/v1/organizations/acme/invitations", ROOT_TOKEN, body).await;
    assert_eq!(status, 201, "{invited}");
    assert!(!is_there(&bench), "somebody who would own and does not act yet");
    bench.member(acme, "owner@acme.test", "owner");
    assert!(is_there(&bench));
}

#[tokio::test]
async fn a_link_is_good_until_it_is_withdrawn() {
    let bench = Bench::of_the_run();
    let secret = bench.write(first_owner::issue_link).unwrap();
    let text = secret.expose().to_owned();
    let presented = text.clone();
    bench.write(move |tx, moment| first_owner::check_link(tx, &presented, moment.now));
    let good_in = |bench: &Bench, later_s: i64| {
        bench.write(move |tx, moment| first_owner::is_link_good(tx, moment.now.plus_s(later_s)))
    };
    assert!(good_in(&bench, first_owner::GOOD_FOR_S - 1));
    assert!(!good_in(&bench, first_owner::GOOD_FOR_S), "it ran out");
    bench.write(|tx, _| first_owner::withdraw_link(tx));
    assert!(!good_in(&bench, 0));
    let checked = bench.write(move |tx, moment| {
        Ok(matches!(first_owner::check_link(tx, &text, moment.now), Err(ServiceError::LinkInvalid)))
    });
    assert!(checked);
}

#[tokio::test]
async fn a_link_is_of_no_use_once_somebody_owns_however_they_came() {
    let bench = Bench::of_the_run();
    bench.write(first_owner::issue_link).unwrap();
    let acme = bench.organization("acme");
    assert!(bench.write(|tx, moment| first_owner::is_link_good(tx, moment.now)));
    bench.member(acme, "owner@acme.test", "owner");
    assert!(!bench.write(|tx, moment| first_owner::is_link_good(tx, moment.now)));
}

fn founding(number: usize) -> (Founding, Visitor) {
    let founding = Founding {
        slug: format!("acme-{number}"),
        organization: "Acme".to_owned(),
        email: format!("owner-{number}@acme.test"),
        name: "Owner".to_owned(),
        password: "correct horse battery staple".to_owned().into(),
    };
    let visitor = Visitor {
        browser: None,
        bound: Bound::default(),
        presented: Vec::new(),
        source: [127, 0, 0, 1].into(),
        request: "req_00000000000000000000000000000001".parse().unwrap(),
    };
    (founding, visitor)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_two_use_at_once_makes_one_owner_on_postgresql() {
    let Some(bench) = Bench::postgres() else { return };
    let Options::Postgres { url, .. } = bench.database() else { panic!("not PostgreSQL") };
    let secret = bench.write(first_owner::issue_link).unwrap();
    let (release, released) = mpsc::channel::<()>();
    let (holding, held) = mpsc::channel::<()>();
    // Nobody makes an organization before both have come as far as they can.
    let holder = std::thread::spawn(move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
        let mut looker = postgres::Client::connect(&url, postgres::NoTls).unwrap();
        client.batch_execute("BEGIN; LOCK TABLE organizations IN SHARE MODE").unwrap();
        holding.send(()).unwrap();
        let waiting = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND pid IN \
                       (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
        while looker.query_one(waiting, &[]).unwrap().get::<_, i64>(0) < 2 {
            if released.try_recv().is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        client.batch_execute("COMMIT").unwrap();
    });
    held.recv().unwrap();
    let mut tries = Vec::new();
    for number in 0..2 {
        let (portcullis, presented) = (bench.portcullis().clone(), secret.expose().to_owned());
        let (founding, visitor) = founding(number);
        tries.push(tokio::spawn(async move {
            first_owner::found(&portcullis, &presented, founding, visitor).await.map(|_| ())
        }));
    }
    let both = async { (tries.remove(0).await.unwrap(), tries.remove(0).await.unwrap()) };
    let outcomes = tokio::time::timeout(Duration::from_secs(60), both).await;
    let _ = release.send(());
    holder.join().unwrap();
    let outcomes = outcomes.expect("both are answered");
    let one = matches!(
        outcomes,
        (Ok(()), Err(ServiceError::LinkInvalid)) | (Err(ServiceError::LinkInvalid), Ok(()))
    );
    assert!(one, "{outcomes:?}");
    let organizations = bench.write(|tx, _| Ok(portcullis_store::organization::list(tx, None, 100)?));
    assert_eq!(organizations.len(), 1, "{organizations:?}");
}
