//! A poll that misses most of the company: nobody goes until an administrator says so.

use portcullis_domain::brake::Brake;
use portcullis_domain::evaluation::Decision;
use portcullis_domain::hold::HoldKind;
use portcullis_domain::membership::MembershipState::{Active, Deprovisioned, Suspended};
use portcullis_emulator::{GoogleGroup, GoogleMember, GooglePerson};
use portcullis_service::caller::Caller;
use portcullis_service::hold::{self, Decision as Decided};
use portcullis_store::hold::{HoldFilter, HoldView};
use portcullis_testkit::Bench;

use super::world::{Beginning, World, company};

const MORE: usize = 37;

/// Forty people, all of them engineers, in a directory with the default brake.
pub(super) fn world(bench: Bench) -> World {
    let mut company = company();
    let mut ids = vec!["1001".to_owned(), "1002".to_owned(), "1003".to_owned()];
    for n in 0..MORE {
        let id = format!("2{n:03}");
        company.people.push(GooglePerson::new(&id, &format!("p{n}@acme.test")));
        ids.push(id);
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    company.groups = vec![GoogleGroup::new("g-eng", "eng@acme.test", &ids)];
    World::on(
        bench,
        company,
        &Beginning { settle_s: 0, brake: Some(Brake::default()), ..Beginning::default() },
    )
}

fn address(n: usize) -> &'static str {
    format!("p{n}@acme.test").leak()
}

pub(super) fn holds(world: &World) -> Vec<HoldView> {
    let organization = world.organization;
    world.bench.write(move |tx, _| hold::list(tx, organization, HoldFilter::default(), ("", 100)))
}

async fn decide(world: &World, of: &HoldView, decision: Decided) -> u64 {
    let cause = Caller::Root.cause("req_00000000000000000000000000000001".parse().unwrap());
    let place = (world.organization, of.id);
    hold::decide(&world.portcullis, Caller::Root, place, (decision, None), cause).await.unwrap()
}

async fn a_company_that_is_missing_stays(world: World) {
    world.poll().await;
    let key = world.key_of(world.member("p7@acme.test").id);
    world.google.change(|company| company.people.retain(|person| person.id == "1001" || person.is_admin));
    let poll = world.full().await;
    assert_eq!(poll.error_kind, None, "{poll:?}");
    assert_eq!(world.state("p7@acme.test"), Active);
    assert_eq!(world.decision(&key), Decision::Allowed, "nobody stated that they left");
    // Whoever is missing is in no group either: both are held, and one decision is enough.
    let waiting = |kind| holds(&world).into_iter().find(|h| h.kind == kind).map(|h| h.waiting);
    assert_eq!((waiting(HoldKind::Missing), waiting(HoldKind::Losses)), (Some(39), Some(39)));
    world.full().await;
    assert_eq!(holds(&world).len(), 2, "the next poll misses the same people and holds nobody twice");
    // Who is there again is held no longer; who is suspended by name leaves whatever is held.
    world.google.change(|company| {
        company.people.push(GooglePerson::new("2007", "p7@acme.test"));
        company.group_mut("g-eng").unwrap().members.push(GoogleMember::User("2007".into()));
    });
    world.full().await;
    assert_eq!(waiting(HoldKind::Missing), Some(38));
    world.google.change(|company| company.person_mut("2007").unwrap().suspended = true);
    world.full().await;
    assert_eq!(world.state("p7@acme.test"), Deprovisioned);
    let of = holds(&world).into_iter().find(|h| h.kind == HoldKind::Missing).unwrap();
    assert_eq!(decide(&world, &of, Decided::Release).await, 38);
    assert_eq!(world.state("bob@acme.test"), Deprovisioned);
    assert_eq!(world.state("ada@acme.test"), Active);
    world.full().await;
    assert_eq!((waiting(HoldKind::Missing), waiting(HoldKind::Losses)), (Some(0), Some(0)));
}

#[tokio::test]
async fn a_poll_that_misses_nine_tenths_of_a_company_takes_nobody_until_it_is_released_on_sqlite() {
    a_company_that_is_missing_stays(world(Bench::sqlite())).await;
}

#[tokio::test]
async fn a_poll_that_misses_nine_tenths_of_a_company_takes_nobody_until_it_is_released_on_postgresql() {
    let Some(bench) = Bench::postgres() else { return };
    a_company_that_is_missing_stays(world(bench)).await;
}

#[tokio::test]
async fn a_group_that_comes_back_empty_takes_nothing_until_it_is_released() {
    let world = world(Bench::sqlite());
    world.poll().await;
    world.google.change(|company| company.group_mut("g-eng").unwrap().members.clear());
    world.full().await;
    assert_eq!(world.state("bob@acme.test"), Active);
    let held = holds(&world);
    assert_eq!((held.len(), held[0].waiting), (1, 40));
    // In it again, and out again: what is said of somebody counts.
    world.google.change(|company| {
        company.group_mut("g-eng").unwrap().members.push(GoogleMember::User("1002".into()));
    });
    world.full().await;
    world.google.change(|company| company.group_mut("g-eng").unwrap().members.clear());
    world.full().await;
    assert_eq!(world.state("bob@acme.test"), Deprovisioned, "one person is below every limit");
    assert_eq!(world.state("ada@acme.test"), Active);
    assert_eq!(decide(&world, &held[0], Decided::Refuse).await, 39);
    world.full().await;
    assert_eq!(world.state("ada@acme.test"), Active, "refused: it stays as it is");
}

#[tokio::test]
async fn whoever_google_names_is_refused_at_once_and_above_the_limit_only_their_end_is_held() {
    let world = world(Bench::sqlite());
    world.poll().await;
    let keys: Vec<_> = (0..MORE).map(|n| world.key_of(world.member(address(n)).id)).collect();
    world.google.change(|company| {
        for n in 0..MORE {
            company.person_mut(&format!("2{n:03}")).unwrap().suspended = true;
        }
    });
    world.fast().await;
    let states: Vec<_> = (0..MORE).map(|n| world.state(address(n))).collect();
    assert_eq!(states.iter().filter(|state| **state == Deprovisioned).count(), 10);
    assert_eq!(states.iter().filter(|state| **state == Suspended).count(), MORE - 10);
    assert!(keys.iter().all(|key| world.decision(key) != Decision::Allowed));
}
