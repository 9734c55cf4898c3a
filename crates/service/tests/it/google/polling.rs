//! What polls bring and take.

use portcullis_domain::access::EndedBecause;
use portcullis_domain::cause::{Cause, CauseKind};
use portcullis_domain::evaluation::Decision;
use portcullis_domain::google::PollKind;
use portcullis_domain::mapping::MappingSource;
use portcullis_domain::membership::MembershipState::{Active, Deprovisioned, Suspended};
use portcullis_domain::text::Slug;
use portcullis_emulator::{GoogleFault, GoogleGroup, GoogleMember, GooglePerson};
use portcullis_service::caller::Caller;
use portcullis_service::{membership, organization, restoring};
use portcullis_testkit::Bench;
use serde_json::json;

use super::world::{Beginning, World, company};

/// Runs a test on both databases: how its world begins, and what happens in it.
macro_rules! on_both {
    ($($sqlite:ident, $postgres:ident => $begin:expr, $run:ident;)*) => {$(
        #[test]
        fn $sqlite() {
            let world = $begin(Bench::sqlite());
            tokio::runtime::Runtime::new().unwrap().block_on($run(&world));
        }

        #[test]
        fn $postgres() {
            let Some(bench) = Bench::postgres() else { return };
            let world = $begin(bench);
            tokio::runtime::Runtime::new().unwrap().block_on($run(&world));
        }
    )*};
}
pub(super) use on_both;

on_both! {
    a_full_poll_brings_people_groups_and_access_on_sqlite,
    a_full_poll_brings_people_groups_and_access_on_postgresql => World::new, brings_access;
    a_person_suspended_at_google_is_off_boarded_by_the_next_fast_poll_on_sqlite,
    a_person_suspended_at_google_is_off_boarded_by_the_next_fast_poll_on_postgresql => World::new, suspended;
    a_poll_that_finds_nothing_new_writes_no_fact_no_access_and_no_event_on_sqlite,
    a_poll_that_finds_nothing_new_writes_no_fact_no_access_and_no_event_on_postgresql => with_a_stranger, unchanged;
    an_address_that_changes_hands_changes_no_person_on_sqlite,
    an_address_that_changes_hands_changes_no_person_on_postgresql => World::new, addresses;
    a_suspended_person_leaves_though_their_new_name_is_still_somebody_elses_here_on_sqlite,
    a_suspended_person_leaves_though_their_new_name_is_still_somebody_elses_here_on_postgresql =>
        World::new, leaves_renamed;
    a_suspended_person_leaves_though_they_swapped_names_with_a_colleague_on_sqlite,
    a_suspended_person_leaves_though_they_swapped_names_with_a_colleague_on_postgresql =>
        World::new, leaves_swapped;
}

async fn brings_access(world: &World) {
    let poll = world.poll().await;
    assert_eq!((poll.kind, poll.error_code, poll.failures), (PollKind::Full, None, 0));
    assert_eq!(poll.customer_id.as_deref(), Some("C03az79cb"));
    assert_eq!(poll.org_units, json!(["/Engineering", "/Sales"]).to_string());
    assert_eq!((world.state("ada@acme.test"), world.role("ada@acme.test")), (Active, Some("member".into())));
    assert_eq!(world.role("bob@acme.test"), Some("member".into()));
    assert_eq!(world.state("eve@acme.test"), Suspended, "in no mapped group, and without a default");
    let counts = world.counts();
    assert_eq!(
        (&counts["created"], &counts["members_added"], &counts["groups_changed"]),
        (&json!(4), &json!(3), &json!(2))
    );
    let reason = &world.member("ada@acme.test").access.reasons[0];
    assert_eq!(
        (reason.directory, reason.request_id),
        (Some(world.directory), poll.run),
        "why leads to the run"
    );
}

async fn suspended(world: &World) {
    world.poll().await;
    let ada = world.member("ada@acme.test");
    let (key, agent) = (world.key_of(ada.id), world.agent_of(ada.id));
    assert_eq!([world.decision(&key), world.decision(&agent)], [Decision::Allowed; 2]);
    world.google.change(|company| company.person_mut("1001").unwrap().suspended = true);
    let poll = world.fast().await;
    assert_eq!(poll.error_code, None);
    assert_eq!(world.state("ada@acme.test"), Deprovisioned);
    assert_eq!(
        [world.decision(&key), world.decision(&agent)],
        [Decision::TokenEnded, Decision::AgentOrphaned]
    );
    let receipts = world.receipts(ada.id);
    assert_eq!(receipts.len(), 1);
    assert_eq!(
        (receipts[0].cause.kind, receipts[0].cause.directory),
        (CauseKind::Google, Some(world.directory))
    );
    assert_eq!(receipts[0].cause.request_id, poll.run, "the run is the request");
    assert_eq!(world.state("bob@acme.test"), Active, "nobody else is touched");

    world.google.change(|company| company.person_mut("1001").unwrap().suspended = false);
    world.full().await;
    assert_eq!(world.state("ada@acme.test"), Active, "her directory gave her life again");
    assert_eq!(
        [world.decision(&key), world.decision(&agent)],
        [Decision::TokenEnded, Decision::AgentOrphaned]
    );
}

fn with_a_stranger(bench: Bench) -> World {
    let mut company = company();
    company.people.push(GooglePerson { suspended: true, ..GooglePerson::new("1004", "gone@acme.test") });
    World::on(bench, company, &Beginning::default())
}

async fn unchanged(world: &World) {
    world.poll().await;
    world.google.change(|company| company.person_mut("1002").unwrap().suspended = true);
    world.fast().await;
    world.full().await;
    let before = world.everything();
    for _ in 0..2 {
        let poll = world.full().await;
        assert_eq!(poll.error_code, None);
        world.fast().await;
    }
    assert_eq!(world.everything(), before);
    assert!(
        world.members("gone@acme.test").is_empty(),
        "of a stranger who is suspended there is nothing to say"
    );
}

async fn addresses(world: &World) {
    world.poll().await;
    let [ada, bob, eve] =
        ["ada@acme.test", "bob@acme.test", "eve@acme.test"].map(|email| world.member(email));
    // Ada marries and gives her address to a new colleague; Bob and Eve swap theirs.
    world.google.change(|company| {
        company.person_mut("1001").unwrap().primary_email = "ada.king@acme.test".into();
        company.people.push(GooglePerson::new("1009", "ada@acme.test"));
        company.group_mut("g-eng").unwrap().members.push(GoogleMember::User("1009".into()));
        company.person_mut("1002").unwrap().primary_email = "x@acme.test".into();
        company.person_mut("1003").unwrap().primary_email = "bob@acme.test".into();
        company.person_mut("1002").unwrap().primary_email = "eve@acme.test".into();
    });
    world.full().await;
    let called = |email| world.members(email).iter().map(|m| m.id).collect::<Vec<_>>();
    assert_eq!(called("ada.king@acme.test"), [ada.id], "a member is called as the directory says");
    assert_eq!(called("ada@acme.test").len(), 1, "the newcomer is somebody else");
    assert_eq!(called("eve@acme.test"), [bob.id], "an address that moved moves no membership");
    assert_eq!(called("bob@acme.test"), [eve.id]);
    assert_eq!(world.role("eve@acme.test"), Some("member".into()));
    let names = world.user_names();
    assert_eq!(names[&bob.id], "eve@acme.test");
    assert_eq!(names[&ada.id], "ada.king@acme.test");
    assert_eq!(world.counts()["refused"], json!(0));
}

async fn leaves_renamed(world: &World) {
    world.poll().await;
    let (ada, bob) = (world.member("ada@acme.test"), world.member("bob@acme.test"));
    let key = world.key_of(bob.id);
    // A fast poll hears of Bob alone: that Ada gave her address up is said by the next full one.
    world.google.change(|company| {
        company.person_mut("1001").unwrap().primary_email = "ada.king@acme.test".into();
        let bob = company.person_mut("1002").unwrap();
        (bob.suspended, bob.primary_email) = (true, "ada@acme.test".into());
    });
    world.fast().await;
    assert_eq!((world.state_of(bob.id), world.decision(&key)), (Deprovisioned, Decision::TokenEnded));
    assert_eq!((world.receipts(bob.id).len(), world.state_of(ada.id)), (1, Active));
    assert_eq!((&world.counts()["ended"], &world.counts()["refused"]), (&json!(1), &json!(1)));
    world.full().await;
    let names = world.user_names();
    assert_eq!([&names[&ada.id], &names[&bob.id]], ["ada.king@acme.test", "ada@acme.test"]);
    assert_eq!((world.counts()["refused"].clone(), world.state_of(ada.id)), (json!(0), Active));
}

async fn leaves_swapped(world: &World) {
    world.poll().await;
    let (ada, bob) = (world.member("ada@acme.test"), world.member("bob@acme.test"));
    let key = world.key_of(bob.id);
    world.google.change(|company| {
        company.person_mut("1001").unwrap().primary_email = "bob@acme.test".into();
        let bob = company.person_mut("1002").unwrap();
        (bob.suspended, bob.primary_email) = (true, "ada@acme.test".into());
    });
    world.full().await;
    assert_eq!((world.state_of(bob.id), world.decision(&key)), (Deprovisioned, Decision::TokenEnded));
    assert_eq!((world.receipts(bob.id).len(), world.state_of(ada.id)), (1, Active));
    let names = world.user_names();
    assert_eq!([&names[&ada.id], &names[&bob.id]], ["bob@acme.test", "ada@acme.test"]);
    assert_eq!((&world.counts()["ended"], &world.counts()["refused"]), (&json!(1), &json!(0)));
    let before = world.everything();
    world.full().await;
    assert_eq!(world.everything(), before);
}

#[tokio::test]
async fn a_suspended_person_leaves_though_the_rest_that_is_said_of_them_cannot_be_stored() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    world.google.change(|company| {
        let bob = company.person_mut("1002").unwrap();
        (bob.suspended, bob.aliases) = (true, vec!["bob\0@acme.test".into()]);
    });
    world.fast().await;
    assert_eq!(world.state("bob@acme.test"), Deprovisioned);
    assert_eq!((&world.counts()["ended"], &world.counts()["refused"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_name_that_somebody_else_has_here_keeps_nothing_else_from_counting() {
    let world = World::new(Bench::sqlite());
    world.map_to(MappingSource::OrgUnit("/Engineering".into()), "lead");
    world.poll().await;
    let eve = world.member("eve@acme.test");
    // Of Bob nothing new is said: he is in no list, and there when asked for.
    world.google.fail(GoogleFault::Hidden("1002".into()));
    world.google.change(|company| {
        company.person_mut("1002").unwrap().primary_email = "robert@acme.test".into();
        let eve = company.person_mut("1003").unwrap();
        (eve.org_unit, eve.primary_email) = ("/Engineering".into(), "bob@acme.test".into());
    });
    world.full().await;
    assert_eq!(world.now(eve.id).role().map(Slug::to_string), Some("lead".into()));
    assert_eq!(world.counts()["refused"], json!(1));
    world.google.mend();
    world.full().await;
    assert_eq!(world.user_names()[&eve.id], "bob@acme.test");
}

#[tokio::test]
async fn archived_and_deleted_people_go_by_a_fast_poll_too() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    let (ada, bob) = (world.member("ada@acme.test"), world.member("bob@acme.test"));
    world.google.change(|company| {
        company.person_mut("1001").unwrap().archived = true;
        company.person_mut("1002").unwrap().deleted_at = Some("2026-01-01T00:00:30.000Z".into());
    });
    world.fast().await;
    assert_eq!([world.state("ada@acme.test"), world.state("bob@acme.test")], [Deprovisioned; 2]);
    assert_eq!([world.receipts(ada.id).len(), world.receipts(bob.id).len()], [1, 1]);
    assert_eq!(world.counts()["ended"], json!(2));
    // Restored within Google's twenty days: the same id, here somebody new, with nothing of the former person.
    world.google.change(|company| company.person_mut("1002").unwrap().deleted_at = None);
    world.full().await;
    let again = world.members("bob@acme.test");
    assert_eq!((again.len(), again[0].access.state), (2, Active));
    assert_eq!(again[1].access.state, Deprovisioned);
}

#[tokio::test]
async fn a_member_of_a_group_in_a_group_in_itself_has_what_the_outer_one_gives() {
    let mut company = company();
    company.groups.push(GoogleGroup::new("g-all", "all@acme.test", &[]));
    company.groups.push(GoogleGroup::new("g-everybody", "everybody@acme.test", &[]));
    company.group_mut("g-all").unwrap().members =
        vec![GoogleMember::Group("g-eng".into()), GoogleMember::External("friend@elsewhere.test".into())];
    company.group_mut("g-eng").unwrap().members.push(GoogleMember::Group("g-all".into()));
    company.group_mut("g-everybody").unwrap().members = vec![GoogleMember::Customer];
    let world = World::on(Bench::sqlite(), company, &Beginning::default());
    world.map("g-all", "lead");
    world.map("g-everybody", "viewer");
    world.poll().await;
    let roles = ["ada@acme.test", "bob@acme.test", "eve@acme.test"].map(|email| world.role(email));
    assert_eq!(roles, ["lead", "lead", "viewer"].map(|role| Some(role.to_owned())));
    world.google.change(|company| {
        company.group_mut("g-all").unwrap().members.clear();
    });
    world.full().await;
    assert_eq!(world.role("ada@acme.test"), Some("member".into()));
}

#[tokio::test]
async fn an_organizational_unit_gives_to_whoever_is_in_it_or_below_it() {
    let mut company = company();
    company.person_mut("1003").unwrap().org_unit = "/Sales/EMEA".into();
    let world = World::on(Bench::sqlite(), company, &Beginning { settle_s: 0, ..Beginning::default() });
    world.map_to(MappingSource::OrgUnit("/Sales".into()), "viewer");
    world.map_to(MappingSource::OrgUnit("/Engineering".into()), "lead");
    world.poll().await;
    assert_eq!(world.role("eve@acme.test"), Some("viewer".into()));
    assert_eq!(world.role("ada@acme.test"), Some("lead".into()), "the higher of unit and group");
    let key = world.key_of(world.member("eve@acme.test").id);
    world.google.change(|company| company.person_mut("1003").unwrap().org_unit = "/Engineering".into());
    world.full().await;
    assert_eq!((world.role("eve@acme.test"), world.decision(&key)), (Some("lead".into()), Decision::Allowed));
    world.google.fail(GoogleFault::Unitless);
    world.full().await;
    assert_eq!(world.role("eve@acme.test"), Some("lead".into()), "a unit that is not said is not lost");
    world.google.mend();
    world.google.change(|company| company.person_mut("1003").unwrap().org_unit = "/Salesforce".into());
    world.full().await;
    assert_eq!(world.state("eve@acme.test"), Deprovisioned);
}

#[tokio::test]
async fn whoever_moves_between_groups_loses_nothing_on_the_way() {
    let world = World::on(Bench::sqlite(), company(), &Beginning { settle_s: 0, ..Beginning::default() });
    world.map("g-sales", "viewer");
    world.poll().await;
    let key = world.key_of(world.member("ada@acme.test").id);
    world.google.change(|company| {
        company.group_mut("g-eng").unwrap().members.retain(|m| *m != GoogleMember::User("1001".into()));
        company.group_mut("g-sales").unwrap().members.push(GoogleMember::User("1001".into()));
    });
    world.full().await;
    assert_eq!(world.role("ada@acme.test"), Some("viewer".into()));
    assert_eq!(world.decision(&key), Decision::NotPermitted, "a viewer may not act, and the key lives");
    world.google.change(|company| company.group_mut("g-sales").unwrap().members.clear());
    world.full().await;
    assert_eq!(world.state("ada@acme.test"), Deprovisioned, "the last granting group, and no time to settle");
}

#[tokio::test]
async fn groups_are_renamed_dropped_and_made_anew_by_their_ids() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    world.google.change(|company| {
        company.group_mut("g-eng").unwrap().email = "engineering@acme.test".into();
        company.groups.push(GoogleGroup::new("g-new", "eng@acme.test", &["1003"]));
    });
    world.full().await;
    assert_eq!(world.role("ada@acme.test"), Some("member".into()), "a rename moves no mapping");
    assert_eq!(world.role("eve@acme.test"), None, "an old name inherits nothing");
    world.google.change(|company| {
        company.groups.retain(|group| group.id != "g-eng");
        company.groups.push(GoogleGroup::new("g-again", "engineering@acme.test", &["1001"]));
    });
    world.full().await;
    assert_eq!(world.state("ada@acme.test"), Suspended, "the group that gave it is gone");
    assert_eq!(world.group_names(), ["eng@acme.test", "engineering@acme.test", "sales@acme.test"]);
}

#[tokio::test]
async fn many_people_in_many_pages_come_whole() {
    let mut company = company();
    for number in 0..150 {
        let id = format!("5{number:03}");
        company.people.push(GooglePerson::new(&id, &format!("p{number}@acme.test")));
        company.group_mut("g-eng").unwrap().members.push(GoogleMember::User(id));
    }
    let world = World::on(Bench::sqlite(), company, &Beginning { max_page: 7, ..Beginning::default() });
    world.poll().await;
    assert_eq!(world.counts()["created"], json!(154));
    assert_eq!(world.counts()["members_added"], json!(153));
    world.portcullis.step_rules().await.unwrap();
    assert_eq!(world.role("p149@acme.test"), Some("member".into()));
    let calls = world.google.take_calls();
    assert!(calls.iter().filter(|call| call.starts_with("GET /admin/directory/v1/users?")).count() >= 22);
    assert_eq!(calls.iter().filter(|call| call.starts_with("POST /token")).count(), 1, "one token a run");
}

#[tokio::test]
async fn a_domain_narrows_whom_is_asked_for_and_whoever_leaves_it_leaves() {
    let mut company = company();
    company.people.push(GooglePerson::new("1008", "kim@other.test"));
    company.group_mut("g-eng").unwrap().members.push(GoogleMember::User("1008".into()));
    let beginning = Beginning { domain: Some("acme.test"), ..Beginning::default() };
    let world = World::on(Bench::sqlite(), company, &beginning);
    world.poll().await;
    assert!(world.members("kim@other.test").is_empty());
    world
        .google
        .change(|company| company.person_mut("1001").unwrap().primary_email = "ada@other.test".into());
    world.full().await;
    assert_eq!(world.state("ada@acme.test"), Deprovisioned);
}

#[tokio::test]
async fn somebody_who_was_invited_before_is_recognized_and_leaves_when_google_suspends_them() {
    let mut company = company();
    company.person_mut("1003").unwrap().suspended = true;
    let bench = Bench::sqlite();
    let world = World::on(bench, company, &Beginning::default());
    world.prove("acme.test");
    let eve = world.bench.member(world.organization, "eve@acme.test", "member");
    world.poll().await;
    assert_eq!(world.member("eve@acme.test").id, eve.membership, "no second one is made");
    assert_eq!(world.state("eve@acme.test"), Deprovisioned, "suspended at Google says inactive here");
    assert_eq!(world.decision(&eve.key), Decision::TokenEnded);
}

/// The store refuses, in every test build, to lock a name behind a member: whoever tells of somebody new has them the other way
/// round, and two who meet so wait for each other.
#[tokio::test]
async fn the_names_of_all_of_whom_one_transaction_tells_are_held_before_any_of_them() {
    let world = World::on(Bench::sqlite(), company(), &Beginning::default());
    world.prove("acme.test");
    let known =
        ["ada@acme.test", "eve@acme.test"].map(|one| world.bench.member(world.organization, one, "member"));
    world.poll().await;
    for (address, one) in ["ada@acme.test", "eve@acme.test"].into_iter().zip(&known) {
        assert_eq!(world.member(address).id, one.membership, "recognized");
    }
}

#[tokio::test]
async fn however_many_had_the_address_before_whoever_has_it_now_is_recognized() {
    let mut company = company();
    company.person_mut("1003").unwrap().suspended = true;
    let world = World::on(Bench::sqlite(), company, &Beginning::default());
    world.prove("acme.test");
    let organization = world.organization;
    for _ in 0..21 {
        let former = world.bench.member(organization, "eve@acme.test", "member").membership;
        world.bench.write(move |tx, moment| {
            let whom = (organization, former);
            membership::off_board(tx, moment, &Caller::Root, whom, "left", Cause::system()).map(|_| ())
        });
    }
    let eve = world.bench.member(organization, "eve@acme.test", "member");
    world.poll().await;
    let all = world.members("eve@acme.test");
    assert_eq!(all.len(), 22, "no second one is made");
    let now = all.iter().find(|member| member.id == eve.membership).unwrap();
    assert_eq!(now.access.state, Deprovisioned, "the directory ends them");
    let told = all.iter().filter(|member| member.ended.map(|(_, why)| why) == Some(EndedBecause::Inactive));
    assert_eq!(told.map(|member| member.id).collect::<Vec<_>>(), [eve.membership], "and nobody of before");
}

#[tokio::test]
async fn nobody_polls_for_an_organization_that_was_deleted() {
    let world = World::new(Bench::sqlite());
    let organization = world.organization;
    let due = || {
        world.bench.write(move |tx, moment| {
            let now = moment.now;
            Ok(portcullis_store::google::due(tx, now, 10)?.len())
        })
    };
    assert_eq!(due(), 1);
    let people = organization::People::OffBoard;
    organization::delete(world.bench.portcullis(), organization, people, Cause::system()).await.unwrap();
    assert_eq!(due(), 0);
}

#[tokio::test]
async fn what_a_backup_says_waits_for_the_next_full_poll() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    world.bench.write(move |tx, moment| {
        let organization = restoring::organizations(tx, "")?.remove(0);
        restoring::revive_nobody(tx, moment, &organization, None)?;
        restoring::bring_in_step(tx, moment, &organization)
    });
    assert_eq!(world.state("ada@acme.test"), Suspended);
    world.full().await;
    assert_eq!(world.state("ada@acme.test"), Active);
}

#[tokio::test]
async fn the_key_is_nowhere_in_clear() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    let file = world.google.service_account_key();
    let line = file["private_key"].as_str().unwrap().lines().nth(1).unwrap().to_owned();
    for table in ["google_sources", "google_polls", "audit_events", "traces", "directories"] {
        let rows = world.rows(&format!("SELECT * FROM {table}"));
        assert!(!rows.concat().concat().contains(&line), "{table}");
    }
    let sealed = &world.rows("SELECT key_sealed FROM google_sources")[0][0];
    assert!(sealed.starts_with("v1."), "{sealed}");
}
