//! What a tally takes from events.

use portcullis_domain::Timestamp;
use serde_json::json;

use super::{Fact, Tally, seconds};

#[test]
fn an_off_boarding_counts_by_its_cause_an_ended_token_by_kind_and_reason_and_nothing_else_counts() {
    let mut tally = Tally::default();
    let at = Timestamp::from_seconds;
    let organization = "org_00000000000000000000000000000001".parse().unwrap();
    let cause = json!({ "kind": "scim" });
    let gone = json!({ "cause": cause }).to_string();
    tally.add(organization, ("member.deprovisioned", at(2)), &gone).unwrap();
    let detail = json!({ "kind": "member_key", "because": "off_boarded" });
    let ended = json!({ "cause": cause, "detail": detail }).to_string();
    tally.add(organization, ("token.ended", at(1)), &ended).unwrap();
    let kept = json!({ "targets": [{ "type": "membership", "id": "mem_1" }] }).to_string();
    tally.add(organization, ("member.last_owner_kept", at(3)), &kept).unwrap();
    tally.add(organization, ("team.created", at(3)), "never read").unwrap();
    assert_eq!(
        tally.facts,
        [
            Fact::OffBoarded { cause: "scim".to_owned() },
            Fact::TokenEnded { kind: "member_key".to_owned(), because: "off_boarded".to_owned() },
            Fact::LastOwnerKept { organization, membership: "mem_1".to_owned() },
        ]
    );
    assert_eq!(tally.oldest, Some(at(1)));
}

#[test]
fn a_wait_is_in_seconds_and_a_clock_that_was_set_back_makes_none_negative() {
    let at = Timestamp::from_seconds;
    assert!((seconds(at(10), at(13)) - 3.0).abs() < f64::EPSILON);
    assert!(seconds(at(13), at(10)).abs() < f64::EPSILON);
}
