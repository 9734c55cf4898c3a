//! What changes while a run reads: another node's run, the source, and the wish to be read at once.

use portcullis_domain::cause::Cause;
use portcullis_domain::google::{PollKind, PollPhase};
use portcullis_domain::id::RequestId;
use portcullis_domain::membership::MembershipState::{Active, Deprovisioned};
use portcullis_emulator::{GoogleFault, GoogleMember};
use portcullis_service::Portcullis;
use portcullis_service::caller::Caller;
use portcullis_service::google::{self, Ground, Polling, SourceChanges};
use portcullis_service::sealing::{SEALING_KEY_BYTES, SealingKey};
use portcullis_testkit::Bench;
use tokio::task::JoinHandle;

use super::failing::until;
use super::polling::on_both;
use super::world::{Beginning, World, company};

on_both! {
    of_two_nodes_the_one_whose_lease_ran_out_writes_nothing_more_on_sqlite,
    of_two_nodes_the_one_whose_lease_ran_out_writes_nothing_more_on_postgresql => World::new, taken_over;
    a_run_that_began_before_the_domain_was_changed_takes_nobody_by_the_former_one_on_sqlite,
    a_run_that_began_before_the_domain_was_changed_takes_nobody_by_the_former_one_on_postgresql =>
        of_one_domain, domain_changed;
    who_wants_it_read_at_once_while_a_run_fails_has_it_read_at_once_on_sqlite,
    who_wants_it_read_at_once_while_a_run_fails_has_it_read_at_once_on_postgresql => World::new, hastened;
}

fn running(node: &Portcullis) -> JoinHandle<usize> {
    let node = node.clone();
    tokio::spawn(async move { node.poll_google_once().await.unwrap() })
}

async fn taken_over(world: &World) {
    world.poll().await;
    world.way.shut_at("/members");
    world.bench.clock.pass_s(1000);
    let _ = world.google.take_calls();
    let first = running(&world.portcullis);
    until(|| world.google.take_calls().iter().any(|call| call.contains("/groups?"))).await;
    let slept: Option<RequestId> = world.standing().run;
    let other = world.another_node();
    assert_eq!(other.poll_google_once().await.unwrap(), 0, "it is the first one's, whichever node asks");
    // The first node sleeps through its lease, and what it read grows old.
    world.change("UPDATE google_polls SET leased_until = 1");
    world.google.change(|company| {
        company.person_mut("1003").unwrap().suspended = true;
        company.group_mut("g-eng").unwrap().members.retain(|m| *m != GoogleMember::User("1001".into()));
    });
    assert_eq!(other.poll_google_once().await.unwrap(), 1, "a lease that ran out is anybody's");
    let (after, poll) = (world.everything(), world.standing());
    assert_ne!(poll.run, slept);
    assert_eq!((poll.error_code.as_deref(), world.state("eve@acme.test")), (None, Deprovisioned));
    // What the first one would write now is older than what is stored.
    world.google.change(|company| {
        company.person_mut("1003").unwrap().suspended = false;
        company.group_mut("g-eng").unwrap().members.push(GoogleMember::User("1001".into()));
    });
    world.way.open();
    assert_eq!(first.await.unwrap(), 1);
    assert_eq!(world.everything(), after, "it writes nothing");
    assert_eq!(world.standing(), poll, "and the record is the second one's");
}

fn of_one_domain(bench: Bench) -> World {
    let beginning = Beginning { domain: Some("acme.test"), ..Beginning::default() };
    World::on(bench, company(), &beginning)
}

async fn domain_changed(world: &World) {
    world.poll().await;
    let ada = world.member("ada@acme.test").id;
    let key = world.key_of(ada);
    world.way.shut_at("/users");
    world.bench.clock.pass_s(1000);
    let _ = world.google.take_calls();
    let running = running(&world.portcullis);
    // The run has its source, and stands before the list of people. The company moves to another domain.
    until(|| world.google.take_calls().iter().any(|call| call.contains("/users/"))).await;
    let (organization, directory) = (world.organization, world.directory);
    world.bench.clock.pass_s(1);
    world.bench.write(move |tx, moment| {
        let sealing = SealingKey::from_bytes(&[7; SEALING_KEY_BYTES]).unwrap();
        let polling = Polling::default();
        let ground = Ground { sealing: &sealing, polling: &polling };
        let changes = SourceChanges { domain: Some(None), ..SourceChanges::default() };
        let of = (directory, &changes);
        google::update(tx, moment, (&Caller::Root, ground), organization, of, Cause::system()).map(|_| ())
    });
    world
        .google
        .change(|company| company.person_mut("1001").unwrap().primary_email = "ada@acme.example".into());
    world.way.open();
    running.await.unwrap();
    assert_eq!(world.state_of(ada), Active, "of the former domain alone she is gone");
    assert_eq!(world.standing().error_code.as_deref(), Some("taken_over"));
    let poll = world.poll().await;
    assert_eq!((poll.kind, poll.error_code), (PollKind::Full, None), "what was changed is read at once");
    assert_eq!(world.user_names()[&ada], "ada@acme.example");
    assert_eq!(world.decision(&key), portcullis_domain::evaluation::Decision::Allowed);
}

async fn hastened(world: &World) {
    world.poll().await;
    world.google.fail(GoogleFault::NoRights);
    world.way.shut();
    world.bench.clock.pass_s(1000);
    let running = running(&world.portcullis);
    until(|| world.standing().phase == PollPhase::Reading).await;
    world.bench.clock.pass_s(5);
    let (organization, directory) = (world.organization, world.directory);
    world.bench.write(move |tx, moment| google::hasten(tx, moment, organization, directory).map(|_| ()));
    world.bench.clock.pass_s(5);
    world.way.open();
    running.await.unwrap();
    assert_eq!(world.standing().error_code.as_deref(), Some("access_denied"));
    world.google.mend();
    let poll = world.poll().await;
    assert_eq!((poll.kind, poll.error_code), (PollKind::Full, None), "it was asked for after the run began");
}
