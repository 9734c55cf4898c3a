//! While nobody owns anything, a link of the machine's makes the first owner; afterwards there is none.

use portcullis_service::{ServiceError, first_owner};
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
    bench.write(|tx, _| first_owner::withdraw_link(tx));
    let checked = bench.write(move |tx, moment| {
        Ok(matches!(first_owner::check_link(tx, &text, moment.now), Err(ServiceError::LinkInvalid)))
    });
    assert!(checked);
}
