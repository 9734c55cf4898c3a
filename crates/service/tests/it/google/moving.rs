//! Groups that go, are made and are called otherwise between two polls: nobody who keeps their access loses it for a moment.

use portcullis_domain::evaluation::Decision;
use portcullis_domain::membership::MembershipState::Active;
use portcullis_emulator::GoogleGroup;
use portcullis_testkit::Bench;
use serde_json::json;

use super::polling::on_both;
use super::world::{Beginning, World, company};

on_both! {
    whoever_moves_from_a_group_that_goes_into_one_that_is_made_loses_nothing_on_sqlite,
    whoever_moves_from_a_group_that_goes_into_one_that_is_made_loses_nothing_on_postgresql => at_once, moved;
}

/// Whoever has nothing left is off-boarded in the same transaction.
fn at_once(bench: Bench) -> World {
    World::on(bench, company(), &Beginning { settle_s: 0, ..Beginning::default() })
}

async fn moved(world: &World) {
    world.map("g-two", "member");
    world.poll().await;
    let ada = world.member("ada@acme.test").id;
    let key = world.key_of(ada);
    // As many groups go as are made.
    world.google.change(|company| {
        company.groups.retain(|group| group.id != "g-eng");
        company.groups.push(GoogleGroup::new("g-two", "two@acme.test", &["1001", "1002"]));
    });
    world.full().await;
    assert_eq!((world.state_of(ada), world.decision(&key)), (Active, Decision::Allowed));
    assert!(world.receipts(ada).is_empty());
    assert_eq!(world.group_names(), ["sales@acme.test", "two@acme.test"]);
    assert_eq!((&world.counts()["members_added"], &world.counts()["groups_changed"]), (&json!(2), &json!(2)));
}
