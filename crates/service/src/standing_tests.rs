//! How long a proof stands in memory, and for whom.

use std::fmt::Debug;
use std::str::FromStr;

use portcullis_domain::Timestamp;
use portcullis_domain::id::DirectoryId;
use portcullis_domain::role::Rank;
use portcullis_domain::secret::SecretHash;

use super::{Kept, MAX_KEPT, Standing};
use crate::caller::Spokesman;
use crate::proof::{AsOf, MAX_STANDING_S};

const NOW: Timestamp = Timestamp::from_seconds(1_000);

fn id<T: FromStr<Err: Debug>>(prefix: &str, number: u8) -> T {
    format!("{prefix}_{number:032x}").parse().unwrap()
}

fn directory(number: u8) -> DirectoryId {
    id("dir", number)
}

fn proven() -> Kept {
    Kept {
        directory: directory(1),
        speaks: Spokesman {
            organization: id("org", 1),
            token: id("tok", 1),
            rank: Rank::ROOT,
            runs_out_at: None,
        },
        as_of: AsOf::of(7, NOW),
        lessenings: 3,
    }
}

#[test]
fn a_proof_stands_until_anything_is_taken_away() {
    assert!(proven().stands(3, NOW));
    assert!(!proven().stands(4, NOW), "somebody lost something since");
    assert!(!proven().stands(2, NOW), "it was made by a later count");
}

#[test]
fn a_proof_stands_for_a_moment_only() {
    assert!(!proven().stands(3, NOW.plus_s(MAX_STANDING_S)));
    assert!(!proven().stands(3, NOW.plus_s(-1)), "the clock went back");
}

#[test]
fn a_token_that_runs_out_is_not_held_up_by_its_proof() {
    let runs_out_at = Some(Timestamp::from_micros(NOW.micros() + 10));
    let soon = Kept { speaks: Spokesman { runs_out_at, ..proven().speaks }, ..proven() };
    assert!(soon.stands(3, Timestamp::from_micros(NOW.micros() + 9)));
    assert!(!soon.stands(3, Timestamp::from_micros(NOW.micros() + 10)));
}

#[test]
fn a_proof_is_found_by_its_own_token_for_its_own_directory() {
    let standing = Standing::default();
    standing.keep(SecretHash::of("one"), proven(), NOW);
    let find =
        |token: &str, number| standing.find(&SecretHash::of(token), directory(number), 3, NOW).is_some();
    assert!(find("one", 1));
    assert!(!find("one", 2), "another directory's token");
    assert!(!find("two", 1), "a text that was never proven");
}

#[test]
fn as_many_are_kept_as_there_is_room_and_what_no_longer_stands_makes_it() {
    let standing = Standing::default();
    let found = |token: &str, lessenings| {
        standing.find(&SecretHash::of(token), directory(1), lessenings, NOW).is_some()
    };
    for number in 0..MAX_KEPT {
        standing.keep(SecretHash::of(&number.to_string()), proven(), NOW);
    }
    standing.keep(SecretHash::of("late"), proven(), NOW);
    assert!(!found("late", 3), "no room while all of them stand");
    let later = Kept { lessenings: 4, ..proven() };
    standing.keep(SecretHash::of("later"), later, NOW);
    assert!(found("later", 4) && !found("0", 3));
}
