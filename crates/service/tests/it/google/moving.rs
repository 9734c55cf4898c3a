//! Groups that go, are made and are called otherwise between two polls: nobody who keeps their access loses it for a moment.

use portcullis_domain::evaluation::Decision;
use portcullis_domain::mapping::MappingSource;
use portcullis_domain::membership::MembershipState::Active;
use portcullis_emulator::{GoogleGroup, GoogleMember};
use portcullis_testkit::Bench;
use serde_json::json;

use super::polling::on_both;
use super::world::{Beginning, World, company};

on_both! {
    whoever_moves_from_a_group_that_goes_into_one_that_is_made_loses_nothing_on_sqlite,
    whoever_moves_from_a_group_that_goes_into_one_that_is_made_loses_nothing_on_postgresql => at_once, moved;
    groups_that_swap_addresses_are_called_so_and_nobody_of_both_ends_on_sqlite,
    groups_that_swap_addresses_are_called_so_and_nobody_of_both_ends_on_postgresql => at_once, swapped;
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

fn names(world: &World) -> Vec<Vec<String>> {
    world.rows("SELECT external_id, display_name FROM directory_groups ORDER BY external_id")
}

fn swap(world: &World, one: &str, other: &str) {
    world.google.change(|company| {
        let [first, second] = [one, other].map(|id| company.find_group(id).unwrap().email.clone());
        company.group_mut(one).unwrap().email = "for-a-moment@acme.test".into();
        company.group_mut(other).unwrap().email = first;
        company.group_mut(one).unwrap().email = second;
    });
}

async fn swapped(world: &World) {
    world.map_to(MappingSource::GroupDisplayName("eng@acme.test".into()), "lead");
    world.map_to(MappingSource::GroupDisplayName("sales@acme.test".into()), "viewer");
    world.google.change(|company| {
        company.group_mut("g-eng").unwrap().members = vec![GoogleMember::User("1001".into())];
    });
    world.poll().await;
    let members = ["ada@acme.test", "eve@acme.test"].map(|email| world.member(email).id);
    let keys = members.map(|member| world.key_of(member));
    assert_eq!(world.role("eve@acme.test"), Some("viewer".into()));
    swap(world, "g-eng", "g-sales");
    world.full().await;
    assert_eq!(world.counts()["refused"], json!(0));
    assert_eq!(names(world), [["g-eng", "sales@acme.test"], ["g-sales", "eng@acme.test"]]);
    assert_eq!(world.role("eve@acme.test"), Some("lead".into()), "a mapping by name follows the name");
    assert_eq!(world.role("ada@acme.test"), Some("member".into()), "the group's id still gives this");
    assert!(keys.iter().all(|key| world.decision(key) == Decision::Allowed), "nobody ended on the way");
    assert!(members.iter().all(|member| world.receipts(*member).is_empty()));
    let before = world.everything();
    world.full().await;
    assert_eq!(world.everything(), before);
}

#[tokio::test]
async fn a_name_that_a_group_has_of_which_nothing_is_said_keeps_no_other_from_theirs() {
    let mut company = company();
    company.groups.push(GoogleGroup::new("g-ops", "ops@acme.test", &[]));
    company.groups.push(GoogleGroup::new("g-out", "out@acme.test", &[]));
    let world = World::on(Bench::sqlite(), company, &Beginning::default());
    world.poll().await;
    // Of the group `out` nothing new is said, and its address has gone to `ops`.
    world.google.fail(portcullis_emulator::GoogleFault::HiddenGroup("g-out".into()));
    world.google.change(|company| {
        company.group_mut("g-out").unwrap().email = "nothing@acme.test".into();
        company.group_mut("g-ops").unwrap().email = "out@acme.test".into();
    });
    swap(&world, "g-eng", "g-sales");
    world.full().await;
    assert_eq!(world.counts()["refused"], json!(1));
    assert_eq!(
        names(&world),
        [
            ["g-eng", "sales@acme.test"],
            ["g-ops", "ops@acme.test"],
            ["g-out", "out@acme.test"],
            ["g-sales", "eng@acme.test"]
        ]
    );
    world.google.mend();
    world.full().await;
    assert_eq!(
        world.group_names(),
        ["eng@acme.test", "nothing@acme.test", "out@acme.test", "sales@acme.test"]
    );
    assert_eq!(world.state("ada@acme.test"), Active);
}
