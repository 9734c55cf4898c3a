//! What flattening must hold: everybody is found through groups in groups, and no tangle of them is walked without end.

use serde_json::json;

use super::{Counts, Listed, MAX_PLACES, MAX_WALKED, flatten, more_places};
use crate::google::failure::PollFailure;

/// So many groups, each of which holds all of them and one person.
fn tangle(groups: usize) -> Listed {
    let group = |n: usize| json!({ "id": format!("g{n}"), "email": format!("g{n}@acme.test"), "name": "G" });
    let mut members: Vec<_> =
        (0..groups).map(|n| json!({ "id": format!("g{n}"), "type": "GROUP" })).collect();
    members.push(json!({ "id": "ada", "type": "USER" }));
    let direct: Vec<super::Member> =
        members.into_iter().map(|m| serde_json::from_value(m).unwrap()).collect();
    let ada = serde_json::from_value(json!({ "id": "ada", "primaryEmail": "ada@acme.test" })).unwrap();
    Listed {
        people: [("ada".to_owned(), ada)].into(),
        groups: (0..groups).map(|n| serde_json::from_value(group(n)).unwrap()).collect(),
        direct: (0..groups).map(|n| (format!("g{n}"), direct.clone())).collect(),
        ..Listed::default()
    }
}

#[test]
fn groups_that_hold_each_other_are_walked_once_each_and_never_beyond_the_bound() {
    let whole = flatten(&tangle(20)).unwrap();
    assert_eq!(whole.len(), 20);
    assert!(whole.iter().all(|g| g.members.iter().eq(["ada"])), "{whole:?}");
    assert!(whole.iter().all(|g| g.short.len() == 20), "nobody says how many members they have: {whole:?}");
    let groups = MAX_WALKED.isqrt() / 10;
    assert!(groups.pow(3) > MAX_WALKED);
    assert!(matches!(flatten(&tangle(groups)), Err(PollFailure::TooMuch { most: MAX_WALKED, .. })));
}

#[test]
fn as_many_memberships_as_a_run_takes_are_taken_and_one_more_is_refused() {
    assert_eq!(more_places(MAX_PLACES - 3, 3).unwrap(), MAX_PLACES);
    for more in [4, usize::MAX] {
        let refused = more_places(MAX_PLACES - 3, more);
        assert!(
            matches!(refused, Err(PollFailure::TooMuch { what: "memberships", most: MAX_PLACES })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_run_has_written_where_anything_of_it_changed_and_not_where_it_only_read() {
    let read =
        Counts { people: 3, groups: 2, groups_read: 2, refused: 1, left_aside: 1, ..Counts::default() };
    assert!(!read.has_written());
    for written in [
        Counts { created: 1, ..read },
        Counts { updated: 1, ..read },
        Counts { ended: 1, ..read },
        Counts { groups_changed: 1, ..read },
        Counts { members_added: 1, ..read },
        Counts { members_removed: 1, ..read },
    ] {
        assert!(written.has_written(), "{written:?}");
    }
}
