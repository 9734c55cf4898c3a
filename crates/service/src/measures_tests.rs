//! What a tally takes from events.

use portcullis_domain::Timestamp;
use serde_json::json;

use super::{Fact, Tally, seconds};

#[test]
fn an_off_boarding_counts_by_its_cause_an_ended_token_by_kind_and_reason_and_nothing_else_counts() {
    let mut tally = Tally::default();
    let cause = json!({ "kind": "scim" });
    tally.add(&json!({ "at": "2026-11-22T10:00:02Z", "action": "member.deprovisioned", "cause": cause }));
    let detail = json!({ "kind": "member_key", "because": "off_boarded" });
    tally.add(
        &json!({ "at": "2026-11-22T10:00:01Z", "action": "token.ended", "cause": cause, "detail": detail }),
    );
    tally.add(&json!({ "at": "2026-11-22T10:00:03Z", "action": "team.created", "cause": cause }));
    assert_eq!(
        tally.facts,
        [
            Fact::OffBoarded { cause: "scim".to_owned() },
            Fact::TokenEnded { kind: "member_key".to_owned(), because: "off_boarded".to_owned() },
        ]
    );
    assert_eq!(tally.oldest, Timestamp::parse_rfc3339("2026-11-22T10:00:01Z"));
}

#[test]
fn a_wait_is_in_seconds_and_a_clock_that_was_set_back_makes_none_negative() {
    let at = Timestamp::from_seconds;
    assert!((seconds(at(10), at(13)) - 3.0).abs() < f64::EPSILON);
    assert!(seconds(at(13), at(10)).abs() < f64::EPSILON);
}
