//! Whose polls wait for whose: nobody's leavers for the long lists of somebody else.

use portcullis_domain::evaluation::Decision;
use portcullis_domain::google::{PollKind, PollPhase};
use portcullis_domain::id::DirectoryId;
use portcullis_testkit::Bench;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::failing::until;
use super::world::World;

/// A node that polls until it is told to stop.
struct Node {
    stop: watch::Sender<bool>,
    polls: JoinHandle<()>,
}

impl Node {
    fn of(world: &World) -> Self {
        let (stop, stopped) = watch::channel(false);
        let portcullis = world.portcullis.clone();
        Self { stop, polls: tokio::spawn(async move { portcullis.poll_google(stopped).await }) }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.polls.await.unwrap();
    }
}

fn is_read_whole_now(world: &World, directory: DirectoryId) -> bool {
    let poll = world.standing_of(directory);
    (poll.kind, poll.phase) == (PollKind::Full, PollPhase::Reading)
}

#[tokio::test]
async fn a_fast_poll_waits_for_nobodys_full_one() {
    let world = World::new(Bench::sqlite());
    world.poll().await;
    let key = world.key_of(world.member("ada@acme.test").id);
    let slugs = ["org-a", "org-b", "org-c", "org-d", "org-e"];
    for slug in slugs {
        world.another_directory(world.bench.organization(slug));
    }
    world.google.change(|company| company.person_mut("1001").unwrap().suspended = true);
    world.bench.clock.pass_s(61);
    // Five large directories are due longer, and their lists of members do not come.
    world.way.shut_at("/members");
    let node = Node::of(&world);
    until(|| world.decision(&key) == Decision::TokenEnded).await;
    world.way.open();
    node.stop().await;
}

#[tokio::test]
async fn of_one_organization_one_directory_is_read_whole_at_a_time_and_the_others_are_polled_fast() {
    let world = World::new(Bench::sqlite());
    world.bench.clock.pass_s(1);
    let (second, elsewhere) = (
        world.another_directory(world.organization),
        world.another_directory(world.bench.organization("elsewhere")),
    );
    world.way.shut_at("/members");
    let node = Node::of(&world);
    until(|| is_read_whole_now(&world, elsewhere)).await;
    assert!(is_read_whole_now(&world, world.directory));
    until(|| world.standing_of(second).fast_succeeded_at.is_some()).await;
    assert_eq!(world.standing_of(second).full_succeeded_at, None, "it waits for the first one");
    assert!(is_read_whole_now(&world, world.directory));
    world.way.open();
    for directory in [world.directory, second, elsewhere] {
        until(|| world.standing_of(directory).full_succeeded_at.is_some()).await;
    }
    node.stop().await;
}
