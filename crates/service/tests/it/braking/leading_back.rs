//! Each end that was held leads back to what began it, whoever else waits in the same hold.

use portcullis_domain::id::{ConnectionId, RequestId};
use portcullis_domain::membership::MembershipState::{Active, Deprovisioned, Suspended};
use portcullis_service::hold::Decision as Decided;
use portcullis_service::provisioning::{GroupSaid, MembersSaid};
use portcullis_service::refusal::SignInRefusal;
use portcullis_store::receipt::{self, StoredReceipt};
use portcullis_testkit::Bench;

use serde_json::json;

use super::{Company, MAY, on_each, run};
use crate::following::logged;
use crate::recognizing::{IDP, arrive, connection, made};
use crate::thread::leave_group;

fn receipt_of(company: &Company<'_>, n: usize) -> StoredReceipt {
    let member = company.people[n].member;
    let mut all = company.bench.write(move |tx, _| Ok(receipt::of_membership(tx, member)?));
    assert_eq!(all.len(), 1, "person {n} ended once");
    all.remove(0)
}

/// Somebody has been in no group for longer than is waited for; the limit is reached, and a hold is open that the call
/// about the person `MAY` opened: the request of that call.
fn due_beside_a_hold(company: &Company<'_>, n: usize) -> RequestId {
    // Events of one instant are in no order.
    company.bench.clock.pass_s(1);
    leave_group(company.bench, &company.place, company.people[n].user);
    company.bench.clock.pass_s(3601);
    for one in 0..=MAY {
        company.leaves(one);
    }
    company.holds()[0].request.unwrap()
}

#[test]
fn whoever_waits_in_a_hold_that_another_opened_ends_by_no_request_about_that_other() {
    on_each(|bench: &Bench| {
        let company = Company::new(bench, 3600);
        let opened_by = due_beside_a_hold(&company, 20);
        company.jobs();
        let held = company.holds();
        assert_eq!((held.len(), held[0].waiting, company.state(20)), (1, 2, Suspended));
        company.decide(&held[0], Decided::Release);
        assert_eq!((company.state(MAY), company.state(20)), (Deprovisioned, Deprovisioned));
        assert_eq!(receipt_of(&company, MAY).cause.request_id, Some(opened_by));
        let receipt = receipt_of(&company, 20);
        assert_ne!(receipt.cause.request_id, Some(opened_by));
        let left =
            logged(bench, &company.place, company.people[20].member, "member.access_changed").pop().unwrap();
        assert_eq!(json!(receipt.cause.request_id), left["cause"]["request_id"], "but by the one about them");
    });
}

#[test]
fn what_one_group_loses_by_two_calls_is_decided_apart_and_leads_back_to_each() {
    on_each(|bench: &Bench| {
        let company = Company::new(bench, 0);
        for first in [20, 40] {
            let stay = company.people[first..].iter().map(|person| person.user).collect();
            company.group_says(GroupSaid::Members(MembersSaid::Replace(stay)));
        }
        let held = company.holds();
        assert_eq!(held.iter().map(|one| one.waiting).collect::<Vec<_>>(), [20, 20]);
        assert_ne!(held[0].request, held[1].request);
        assert_eq!(company.decide(&held[0], Decided::Release), 20);
        assert_eq!((company.count(Active), company.count(Deprovisioned)), (40, 20));
        company.decide(&held[1], Decided::Release);
        for (hold, n) in held.iter().zip([0, 20]) {
            assert_eq!(receipt_of(&company, n).cause.request_id, hold.request, "person {n}");
        }
    });
}

/// A connection that the company's directory governs.
async fn connected(company: &Company<'_>) -> ConnectionId {
    made(company.bench, "/acme/domains", json!({ "domain": "acme.test", "vouched": true })).await;
    connection(company.bench, IDP, json!({ "directory": company.place.directory })).await
}

#[test]
fn whoever_signs_in_before_the_job_comes_is_held_like_whoever_the_job_meets() {
    on_each(|bench: &Bench| {
        let company = Company::new(bench, 3600);
        let by = run(connected(&company));
        let sign_in = || {
            arrive(bench, by, |arrival| {
                let address = arrival.said.address.as_mut().unwrap();
                "p20@acme.test".clone_into(&mut address.key);
            })
        };
        assert_eq!(sign_in(), Ok(()));
        due_beside_a_hold(&company, 20);
        assert_eq!(sign_in(), Err(SignInRefusal::MemberInactive));
        assert_eq!((company.state(20), company.holds()[0].waiting), (Suspended, 2), "held, and not ended");
    });
}
