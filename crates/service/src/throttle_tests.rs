//! Which windows are remembered where more are wanted than fit, and for how long.

use portcullis_domain::Timestamp;

use super::{Allowance, MAX_WINDOWS, Throttle};

const NOW: Timestamp = Timestamp::from_seconds(1_000);
const AN_HOUR: Allowance = Allowance { max_tries: 60, window_s: 3_600 };
const A_MINUTE: Allowance = Allowance { max_tries: 1_200, window_s: 60 };

fn remembered(throttle: &Throttle) -> usize {
    throttle.rooms.lock().unwrap().values().map(|windows| windows.by_key.len()).sum()
}

fn use_up(throttle: &Throttle, key: &str) {
    for _ in 0..AN_HOUR.max_tries {
        throttle.count(key, AN_HOUR, NOW);
    }
}

#[test]
fn no_flood_of_fresh_keys_pushes_out_a_window_that_is_at_its_limit() {
    let throttle = Throttle::default();
    for n in 0..3 * MAX_WINDOWS {
        throttle.count(&format!("before/{n}"), A_MINUTE, NOW);
    }
    use_up(&throttle, "password/a");
    for n in 0..3 * MAX_WINDOWS {
        throttle.count(&format!("after/{n}"), if n % 2 == 0 { A_MINUTE } else { AN_HOUR }, NOW);
        if n % 500 == 0 {
            assert!(throttle.check("password/a", AN_HOUR, NOW).is_err(), "{n}");
        }
    }
    assert_eq!(remembered(&throttle), 2 * MAX_WINDOWS, "a room for each allowance");
    assert!(throttle.check("password/a", AN_HOUR, NOW.plus_s(3_599)).is_err());
    assert!(throttle.check("password/a", AN_HOUR, NOW.plus_s(3_600)).is_ok());
}

#[test]
fn a_flood_between_its_tries_keeps_no_window_from_its_limit() {
    let (throttle, ten) = (Throttle::default(), Allowance { max_tries: 10, window_s: 900 });
    for n in 0..MAX_WINDOWS {
        throttle.count(&format!("before/{n}"), ten, NOW);
    }
    for n in 0..AN_HOUR.max_tries {
        assert!(throttle.admit("password/a", AN_HOUR, NOW).is_ok(), "{n}");
        // Each try is at an address that nobody has, from a source that nobody saw.
        for m in 0..100 {
            throttle.count(&format!("both/{n}/{m}"), ten, NOW);
            throttle.count(&format!("address/{n}/{m}"), AN_HOUR, NOW);
        }
    }
    assert!(throttle.admit("password/a", AN_HOUR, NOW).is_err());
}

#[test]
fn where_all_are_at_their_limit_the_one_goes_that_ends_first() {
    let throttle = Throttle::default();
    let once = Allowance { max_tries: 1, window_s: 3_600 };
    for n in 0..MAX_WINDOWS {
        let began_at = if n == 7 { Timestamp::from_seconds(1) } else { NOW };
        throttle.count(&format!("{n}"), once, began_at);
    }
    throttle.count("one more", once, NOW);
    for (n, is_there) in [(6, true), (7, false), (8, true)] {
        assert_eq!(throttle.check(&format!("{n}"), once, NOW).is_err(), is_there, "{n}");
    }
    assert_eq!(remembered(&throttle), MAX_WINDOWS);
}

#[test]
fn what_is_over_goes_though_nobody_asks_for_it_again() {
    let throttle = Throttle::default();
    for n in 0..MAX_WINDOWS {
        throttle.count(&format!("{n}"), A_MINUTE, NOW);
    }
    let later = NOW.plus_s(60);
    for n in 0..MAX_WINDOWS / 4 {
        throttle.count(&format!("later/{n}"), A_MINUTE, later);
    }
    assert_eq!(remembered(&throttle), MAX_WINDOWS / 4, "those of a minute ago are gone");
}

#[test]
fn a_try_that_was_right_is_taken_back_alone_and_a_window_that_is_over_begins_anew() {
    let throttle = Throttle::default();
    use_up(&throttle, "a");
    throttle.take_back("a");
    throttle.take_back("nobody's");
    assert!(throttle.admit("a", AN_HOUR, NOW).is_ok());
    assert!(throttle.admit("a", AN_HOUR, NOW.plus_s(3_599)).is_err());
    throttle.count("a", AN_HOUR, NOW.plus_s(3_600));
    assert!(throttle.check("a", AN_HOUR, NOW.plus_s(3_600)).is_ok());
}
