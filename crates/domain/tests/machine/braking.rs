//! What a brake lets through.

use portcullis_domain::Refusal;
use portcullis_domain::brake::{Brake, MAX_PEOPLE, NEVER_BELOW};

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
