//! What a brake lets through.

use portcullis_domain::Refusal;
use portcullis_domain::brake::{Above, Brake, MAX_PEOPLE, NEVER_BELOW};
use portcullis_domain::hold::HoldState;

#[test]
fn a_brake_never_acts_below_ten_people() {
    for brake in [Brake::new(Some(0), None), Brake::new(None, Some(0)), Brake::new(Some(3), Some(1))] {
        let brake = brake.unwrap();
        assert_eq!((brake.limit(0), brake.limit(100)), (NEVER_BELOW, NEVER_BELOW));
    }
}

#[test]
fn the_lower_limit_holds_and_a_share_is_rounded_up() {
    let percent = Brake::default();
    assert_eq!(percent.limit(100), 20);
    assert_eq!(percent.limit(101), 21);
    assert_eq!(percent.limit(100_000), 20_000);
    assert_eq!(Brake::new(Some(15), Some(20)).unwrap().limit(1000), 15);
    assert_eq!(Brake::new(Some(500), Some(20)).unwrap().limit(1000), 200);
    assert_eq!(Brake::new(Some(500), None).unwrap().limit(1000), 500);
    assert_eq!(percent.limit(i64::MAX), i64::MAX / 100, "no number of people overflows");
}

#[test]
fn limits_that_cannot_be_meant_are_refused() {
    for (people, percent) in
        [(None, None), (Some(-1), None), (Some(MAX_PEOPLE + 1), None), (None, Some(-1)), (None, Some(101))]
    {
        assert_eq!(Brake::new(people, percent), Err(Refusal::InvalidBrake), "{people:?} {percent:?}");
    }
    assert!(Brake::new(Some(MAX_PEOPLE), Some(100)).is_ok());
}

#[test]
fn what_becomes_of_a_statement_above_the_limits_leaves_the_limits_alone() {
    let brake = Brake::new(Some(15), Some(30)).unwrap();
    assert_eq!(brake.above, Above::Hold, "unless somebody says otherwise");
    let refusing = brake.with_above(Above::Refuse);
    assert_eq!(refusing, Brake { max_people: Some(15), max_percent: Some(30), above: Above::Refuse });
}

#[test]
fn a_hold_is_open_while_anybody_waits_and_closed_when_nobody_is_left() {
    for (waiting, refused, state) in [
        (2, 0, HoldState::Open),
        (1, 3, HoldState::Open),
        (0, 3, HoldState::Refused),
        (0, 0, HoldState::Closed),
    ] {
        assert_eq!(HoldState::of(waiting, refused), state, "{waiting} wait, {refused} were refused");
    }
}
