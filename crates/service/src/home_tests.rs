//! How long a network is somebody's home, and how many are remembered.

use std::net::{IpAddr, Ipv4Addr};

use portcullis_domain::Timestamp;
use portcullis_domain::id::UserId;

use super::{Homes, MAX_HOMES};

const NOW: Timestamp = Timestamp::from_seconds(1_000);
/// What is promised: 31 days.
const MONTH_S: i64 = 2_678_400;

fn person(number: u8) -> UserId {
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
fn a_home_is_forgotten_for_each_new_one_where_no_more_are_remembered_and_for_none_that_is_known() {
    let homes = Homes::default();
    let full = u32::try_from(MAX_HOMES).unwrap();
    let known = || (0..=full).filter(|number| homes.has(person(1), network(*number), NOW)).count();
    for number in 0..full {
        homes.note(person(1), network(number), NOW);
    }
    assert_eq!(known(), MAX_HOMES);
    homes.note(person(1), network(0), NOW);
    assert_eq!(known(), MAX_HOMES);
    homes.note(person(1), network(full), NOW);
    assert_eq!(known(), MAX_HOMES);
    assert!(homes.has(person(1), network(full), NOW));
}
