//! What a body may take: pauses, rates, and that one which keeps pace is left alone.

use std::time::Duration;

use super::{MAX_PAUSE, MIN_BYTES_PER_S, Pace};
use crate::scim::MAX_GROUP_BODY;

#[test]
fn a_slow_body_has_as_long_as_its_bytes_earn_and_no_pause_is_longer_than_one() {
    let pace = Pace { max_pause: Duration::from_secs(20), min_bytes_per_s: 1000 };
    let s = Duration::from_secs;
    for (received, last_s, limit_s) in [
        // Nothing came yet.
        (0, 0, 20),
        // As fast as it must: twenty seconds in hand.
        (10_000, 10, 30),
        // Faster: a pause is a pause.
        (1_000_000, 10, 30),
        // Slower: what was in hand is used up.
        (10_000, 29, 30),
    ] {
        assert_eq!(
            pace.limit(received, s(last_s)),
            s(limit_s),
            "{received} bytes, the last after {last_s} s"
        );
    }
}

#[test]
fn a_rate_of_nothing_asks_for_a_byte_a_second_and_does_not_divide_by_it() {
    let pace = Pace { max_pause: Duration::from_secs(1), min_bytes_per_s: 0 };
    assert_eq!(pace.limit(5, Duration::from_secs(5)), Duration::from_secs(6));
}

#[test]
fn fifty_thousand_members_pass_over_a_line_of_64_kilobits_and_the_largest_body_has_an_end() {
    let pace = Pace::default();
    // A member as providers send it, with its display name and address: some eighty bytes and as many again.
    let body = 50_000_u64 * 160;
    let line = 8 * 1024_u64;
    for seconds in 0..body / line {
        let came = Duration::from_secs(seconds);
        assert!(pace.limit(seconds * line, came) > came + Duration::from_secs(1), "after {came:?}");
    }
    let longest = pace.limit(MAX_GROUP_BODY as u64, Duration::MAX);
    assert_eq!(longest, MAX_PAUSE + Duration::from_secs(MAX_GROUP_BODY as u64 / u64::from(MIN_BYTES_PER_S)));
    assert!(longest < Duration::from_secs(4200), "{longest:?}");
}
