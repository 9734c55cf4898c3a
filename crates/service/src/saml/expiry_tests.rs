//! What is told of certificates that run out, and how often.

use portcullis_domain::Timestamp;
use portcullis_store::saml::{Expiring, Whose};

use super::{DAY_S, OVER, Told, mark};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn of(fingerprint: &str) -> Expiring {
    Expiring {
        whose: Whose::Provider,
        connection: "con_01a22853525b73f08a6e2eaabe8e1c92".parse().unwrap(),
        organization: "org_01a22853525b73f08a6e2eaabe8e1c92".parse().unwrap(),
        fingerprint: fingerprint.to_owned(),
        not_after: NOW.plus_s(20 * DAY_S),
    }
}

#[test]
fn a_certificate_is_told_at_thirty_fourteen_seven_and_one_days_and_when_it_ran_out_each_once() {
    let expiring = [of("a")];
    let mut told = Told::default();
    let days: Vec<i64> = (-12..24)
        .filter(|day| !told.news(&expiring, NOW.plus_s(day * DAY_S)).is_empty())
        // Days that are left.
        .map(|day| 20 - day)
        .collect();
    assert_eq!(days, [30, 14, 7, 1, -1]);
}

#[test]
fn whose_a_certificate_is_has_the_label_that_the_guide_names() {
    assert_eq!(Whose::BOTH.map(Whose::as_str), ["provider", "ours"]);
}

#[test]
fn another_certificate_is_told_for_itself_and_one_that_went_is_forgotten() {
    let mut told = Told::default();
    let both = [of("a"), of("b")];
    assert_eq!(told.news(&both[..1], NOW).len(), 1);
    assert_eq!(told.news(&both, NOW), [&both[1]]);
    assert!(told.news(&both, NOW).is_empty());
    assert!(told.news(&[], NOW).is_empty());
    assert_eq!(told.news(&both, NOW).len(), 2);
}

#[test]
fn the_last_mark_counts_and_far_away_there_is_none() {
    let at = |days: i64| mark(NOW.plus_s(days * DAY_S), NOW);
    assert_eq!(
        [at(31), at(30), at(15), at(14), at(1), at(0), at(-1)],
        [None, Some(30), Some(30), Some(14), Some(1), Some(1), Some(OVER)]
    );
}
