//! Jobs that go through all organizations: they take turns, and a damaged row of one keeps nobody else waiting.

use portcullis_domain::cause::Cause;
use portcullis_domain::id::MembershipId;
use portcullis_domain::membership::MembershipState;
use portcullis_service::rules;
use portcullis_store::db::Lock;
use portcullis_store::organization::rules_pending;
use portcullis_testkit::Bench;

use crate::machine::raw::Raw;
use crate::thread::{Place, leave_group, place, provision, state};

fn damage(bench: &Bench, member: MembershipId) {
    let sql = format!("UPDATE memberships SET environments = 'no json' WHERE id = '{member}'");
    assert_eq!(Raw::of(bench).change(&sql), 1);
}

fn pending(bench: &Bench, place: &Place) -> i64 {
    let organization = place.organization;
    bench.write(move |tx, _| Ok(rules_pending(tx, organization)?))
}

fn raise(bench: &Bench, place: &Place) {
    let organization = place.organization;
    bench.write(move |tx, moment| {
        tx.lock(Lock::Organization(organization))?;
        rules::raise(tx, moment, organization, Cause::system()).map(|_| ())
    });
}

#[tokio::test]
async fn whoever_has_settled_ends_though_a_row_of_a_colleague_is_damaged() {
    let bench = Bench::of_the_run();
    let [acme, bolt] = ["acme", "bolt"].map(|slug| place(&bench, slug, 3600));
    let left = [(&acme, "ann"), (&acme, "amy"), (&bolt, "bob")].map(|(place, name)| {
        let (user, member) = provision(&bench, place, name);
        leave_group(&bench, place, user);
        member
    });
    let [ann, amy, bob] = left;
    damage(&bench, ann);
    bench.clock.pass_s(3600);
    bench.portcullis().step_rules().await.unwrap();
    assert_eq!(state(&bench, &acme, amy), MembershipState::Deprovisioned);
    assert_eq!(state(&bench, &bolt, bob), MembershipState::Deprovisioned);
}

#[tokio::test]
async fn rules_are_carried_out_everywhere_though_a_row_of_one_member_is_damaged() {
    let bench = Bench::of_the_run();
    let both = ["acme", "bolt"].map(|slug| place(&bench, slug, 3600));
    let members =
        both.each_ref().map(|place| ["ann", "amy", "bob"].map(|name| provision(&bench, place, name).1));
    both.iter().for_each(|place| raise(&bench, place));
    damage(&bench, members[0][1]);
    bench.portcullis().step_rules().await.unwrap();
    assert_eq!(both.each_ref().map(|place| pending(&bench, place)), [1, 0]);
}
