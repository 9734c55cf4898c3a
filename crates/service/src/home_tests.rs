//! How long a network is somebody's home, and how many are remembered.

use std::net::{IpAddr, Ipv4Addr};

use portcullis_domain::Timestamp;
use portcullis_domain::id::UserId;

use super::{Homes, MAX_HOMES};

const NOW: Timestamp = Timestamp::from_seconds(1_000);
/// What is promised: 31 days.
const MONTH_S: i64 = 2_678_400;

fn person(number: u32) -> UserId {
    format!("usr_{number:032x}").parse().unwrap()
}

fn network(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(number))
}

#[test]
fn a_network_is_the_home_of_whoever_signed_in_there_for_a_month_to_the_second() {
    let homes = Homes::default();
    homes.note(person(1), network(1), NOW);
    homes.note(person(2), network(2), NOW);
    for (user, at) in [(1, 1), (2, 2)] {
        assert!(homes.has(person(user), network(at), NOW.plus_s(MONTH_S - 1)), "{user} at {at}");
        assert!(!homes.has(person(user), network(at), NOW.plus_s(MONTH_S)), "{user} at {at}");
    }
    assert!(!homes.has(person(1), network(2), NOW), "nobody is at home where somebody else is");
    homes.note(person(1), network(1), NOW.plus_s(MONTH_S));
    assert!(homes.has(person(1), network(1), NOW.plus_s(MONTH_S)), "whoever comes back is at home again");
}

#[test]
fn the_oldest_home_is_forgotten_for_each_new_one_where_no_more_are_remembered_and_for_none_that_is_known() {
    let homes = Homes::default();
    let full = u32::try_from(MAX_HOMES).unwrap();
    let later = |n: u32| NOW.plus_s(i64::from(n));
    let is_known = |n: u32| homes.has(person(n), network(n), later(full));
    for n in 0..full {
        homes.note(person(n), network(n), later(n));
    }
    assert!((0..full).all(is_known));
    homes.note(person(0), network(0), later(full));
    assert!((0..full).all(is_known));
    homes.note(person(full), network(full), later(full));
    assert!(!is_known(1), "the one that was seen last the longest ago");
    assert!(is_known(0) && (2..=full).all(is_known));
}

#[test]
fn nobody_has_more_than_sixteen_homes_and_nobody_elses_goes_for_them() {
    let homes = Homes::default();
    let later = |n: u32| NOW.plus_s(i64::from(n));
    homes.note(person(2), network(0), NOW);
    for n in 1..=2 * u32::try_from(MAX_HOMES).unwrap() {
        homes.note(person(1), network(n), later(n));
        if n == 20 {
            let known = (1..=n).filter(|of| homes.has(person(1), network(*of), later(n)));
            assert_eq!(known.collect::<Vec<_>>(), (5..=20).collect::<Vec<_>>());
        }
    }
    assert!(homes.has(person(2), network(0), NOW));
}
