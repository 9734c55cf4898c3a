//! Who is missing from a group's list is asked for there, and what Google does not tell of one person stops nobody else.

use portcullis_domain::hold::HoldKind;
use portcullis_domain::membership::MembershipState::{Active, Deprovisioned};
use portcullis_emulator::{GoogleErrorForm, GoogleFault, GoogleGroup, GoogleMember, GooglePerson, Workspace};
use portcullis_testkit::Bench;
use serde_json::json;

use super::braking::{holds, world as braked};
use super::world::{Beginning, World, company};

/// A company of two domains, whose engineers are in a group that holds a group of another customer and somebody from
/// outside: of its list nobody can say that it is whole.
fn of_two_domains() -> Workspace {
    let mut company = company();
    company.people.push(GooglePerson::new("1008", "kim@acme.de"));
    let members = &mut company.group_mut("g-eng").unwrap().members;
    members.push(GoogleMember::User("1008".into()));
    members.push(GoogleMember::Group("g-of-others".into()));
    members.push(GoogleMember::External("friend@elsewhere.test".into()));
    company
}

fn at_once(company: Workspace) -> World {
    World::on(Bench::sqlite(), company, &Beginning { settle_s: 0, ..Beginning::default() })
}

fn takes_out(world: &World, group: &str, people: &[&str]) {
    world.google.change(|company| {
        let is_out = |m: &GoogleMember| matches!(m, GoogleMember::User(id) if people.contains(&id.as_str()));
        company.group_mut(group).unwrap().members.retain(|member| !is_out(member));
    });
}

/// About this person in that group Google answers nothing.
fn untold(group: &str, person: &str) -> GoogleFault {
    let of = format!("/groups/{group}/members/{person}?");
    GoogleFault::Refused { of, status: 400, reason: "invalid", form: GoogleErrorForm::Errors }
}

#[tokio::test]
async fn whoever_leaves_a_group_of_another_domain_leaves_it_and_keeps_nobody_else_in_theirs() {
    let world = at_once(of_two_domains());
    world.poll().await;
    let key = world.key_of(world.member("bob@acme.test").id);
    takes_out(&world, "g-eng", &["1001", "1008"]);
    let poll = world.full().await;
    assert_eq!((poll.error_code, poll.error_message), (None, None));
    assert_eq!([world.state("ada@acme.test"), world.state("kim@acme.de")], [Deprovisioned; 2]);
    assert_eq!(world.decision(&key), portcullis_domain::evaluation::Decision::Allowed);
    let calls = world.google.take_calls();
    assert!(!calls.iter().any(|call| call.contains("hasMember")), "Google refuses it across domains");
}

#[tokio::test]
async fn of_whom_google_tells_nothing_stays_and_everybody_else_who_left_leaves() {
    let world = at_once(of_two_domains());
    world.poll().await;
    takes_out(&world, "g-eng", &["1001", "1008"]);
    world.google.fail(untold("g-eng", "1001"));
    let poll = world.full().await;
    assert_eq!(poll.error_code, None);
    assert_eq!([world.state("ada@acme.test"), world.state("kim@acme.de")], [Active, Deprovisioned]);
    assert_eq!((&world.counts()["not_told"], &world.counts()["missing_but_there"]), (&json!(1), &json!(0)));
    world.google.mend();
    world.full().await;
    assert_eq!(world.state("ada@acme.test"), Deprovisioned);
}

#[tokio::test]
async fn whoever_is_in_a_group_below_is_not_taken_because_the_lists_of_both_are_short() {
    let mut company = company();
    company.groups.push(GoogleGroup::new("g-below", "below@acme.test", &["1003"]));
    company.group_mut("g-eng").unwrap().members.push(GoogleMember::Group("g-below".into()));
    let world = at_once(company);
    world.poll().await;
    assert_eq!(world.state("eve@acme.test"), Active);
    // Google counts people, and a group is none: two are counted, and one person and a group listed.
    world.google.fail(GoogleFault::ShortGroup("g-eng".into(), "1001".into()));
    world.full().await;
    assert_eq!(world.state("ada@acme.test"), Active);
    assert_eq!(world.counts()["missing_but_there"], json!(1));
    world.google.fail(GoogleFault::ShortGroup("g-below".into(), "1003".into()));
    world.full().await;
    assert_eq!([world.state("ada@acme.test"), world.state("eve@acme.test")], [Active; 2]);
    // Ada of one group; Eve of the group itself, and of the one above it.
    assert_eq!(world.counts()["missing_but_there"], json!(3));
    world.google.mend();
    takes_out(&world, "g-below", &["1003"]);
    world.full().await;
    assert_eq!(world.state("eve@acme.test"), Deprovisioned, "now she really left");
}

#[tokio::test]
async fn a_group_that_the_list_leaves_out_stays_and_so_does_whoever_is_in_it() {
    let mut company = company();
    company.groups.push(GoogleGroup::new("g-below", "below@acme.test", &["1003"]));
    company.group_mut("g-eng").unwrap().members.push(GoogleMember::Group("g-below".into()));
    let world = at_once(company);
    world.map("g-sales", "viewer");
    world.poll().await;
    world.google.fail(GoogleFault::HiddenGroup("g-sales".into()));
    world.google.fail(GoogleFault::HiddenGroup("g-below".into()));
    let poll = world.full().await;
    assert_eq!(poll.error_code, None);
    assert_eq!(world.group_names(), ["below@acme.test", "eng@acme.test", "sales@acme.test"]);
    assert_eq!(world.role("eve@acme.test"), Some("member".into()), "she is in the one above it still");
    // Two groups, and Eve in the one that holds one of them.
    assert_eq!((&world.counts()["missing_but_there"], &world.counts()["not_told"]), (&json!(2), &json!(1)));
    world.google.mend();
    world.google.change(|company| {
        company.groups.retain(|group| group.id != "g-below" && group.id != "g-sales");
        let is_group = |member: &GoogleMember| matches!(member, GoogleMember::Group(_));
        company.group_mut("g-eng").unwrap().members.retain(|member| !is_group(member));
    });
    world.full().await;
    assert_eq!(world.state("eve@acme.test"), Deprovisioned, "Google knows no such groups");
}

/// So many engineers leave that their loss is held; of an operator who left, Google tells nothing yet.
fn emptied() -> World {
    let world = braked(Bench::sqlite());
    world.google.change(|company| {
        let mut ops = GoogleGroup::new("g-ops", "ops@acme.test", &["1001", "1002"]);
        ops.members.push(GoogleMember::External("friend@elsewhere.test".into()));
        company.groups.push(ops);
    });
    world
}

#[tokio::test]
async fn nothing_of_groups_is_decided_before_google_has_answered_everything() {
    let world = emptied();
    world.poll().await;
    world.google.change(|company| company.group_mut("g-eng").unwrap().members.clear());
    takes_out(&world, "g-ops", &["1002"]);
    let of = "/groups/g-ops/members/1002?".to_owned();
    let form = GoogleErrorForm::Errors;
    world.google.fail(GoogleFault::Refused { of, status: 403, reason: "forbidden", form });
    for _ in 0..2 {
        let poll = world.full().await;
        assert_eq!(poll.error_code.as_deref(), Some("access_denied"));
        assert!(holds(&world).is_empty());
    }
    world.google.mend();
    world.full().await;
    let held: Vec<_> = holds(&world).iter().map(|hold| (hold.kind, hold.waiting)).collect();
    assert_eq!(held, [(HoldKind::Losses, 40)]);
    assert_eq!(world.state("ada@acme.test"), Active);
}

#[tokio::test]
async fn what_a_run_decided_and_did_not_live_to_take_is_held_once() {
    let world = emptied();
    world.poll().await;
    world.google.change(|company| company.group_mut("g-eng").unwrap().members.clear());
    for _ in 0..2 {
        world.full().await;
        let held: Vec<_> = holds(&world).iter().map(|hold| (hold.kind, hold.waiting)).collect();
        assert_eq!(held, [(HoldKind::Losses, 40)]);
        // As if the run had ended between its decision and what follows from it.
        world.change(
            "INSERT INTO directory_members (directory_group, directory_user) SELECT g.id, u.id \
             FROM directory_groups g, directory_users u WHERE g.external_id = 'g-eng' \
             AND u.membership IN (SELECT membership FROM held_people)",
        );
    }
    assert_eq!(world.state("bob@acme.test"), Active);
}
