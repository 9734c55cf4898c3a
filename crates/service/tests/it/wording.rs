//! Refusals that say a limit: each number in a sentence is that of the constant, which somebody may change some day.

use std::collections::BTreeSet;

use portcullis_domain::Refusal;
use portcullis_domain::brake::{Brake, MAX_PEOPLE, WINDOW_H};
use portcullis_domain::mapping::{Facet, MAX_FACETS};
use portcullis_domain::role::Rank;
use portcullis_domain::text::{MAX_EMAIL, MAX_IDENTIFIER, MAX_NAME, MAX_SLUG, TextError};
use portcullis_domain::token::TokenKind;
use portcullis_service::agent::MAX_OF_OWNER;
use portcullis_service::error::DirectoryRefusal;
use portcullis_service::provisioning::{self, MAX_ATTRIBUTES_BYTES, PersonSaid};
use portcullis_service::refusal::SignInRefusal;
use portcullis_service::sign_in::GOOD_FOR_S;
use portcullis_service::token::max_of;
use portcullis_testkit::Bench;

use crate::thread::{place, said, speaker};

/// The numbers of a sentence, in order.
fn numbers(sentence: &str) -> Vec<i64> {
    let pieces =
        sentence.split(|c: char| !c.is_ascii_digit() && c != ',').map(|piece| piece.replace(',', ""));
    pieces.filter(|digits| !digits.is_empty()).map(|digits| digits.parse().unwrap()).collect()
}

fn wide(limit: usize) -> i64 {
    i64::try_from(limit).unwrap()
}

#[test]
fn a_refusal_says_the_numbers_that_hold() {
    let keys = [TokenKind::MemberKey, TokenKind::AgentKey, TokenKind::ScimToken, TokenKind::ServiceKey];
    let ranks: Vec<i64> = (-1..=2_000).filter(|rank| Rank::new(*rank).is_ok()).collect();
    let percents: Vec<i64> = (-1..=200).filter(|share| Brake::new(None, Some(*share)).is_ok()).collect();
    let (lowest, highest) = (*ranks.first().unwrap(), *ranks.last().unwrap());
    let (least, most) = (*percents.first().unwrap(), *percents.last().unwrap());
    let limits = [
        (Refusal::TooManyKeys, keys.map(max_of).to_vec()),
        (Refusal::TooManyAgents, vec![MAX_OF_OWNER]),
        (Refusal::InvalidBrake, vec![0, MAX_PEOPLE, least, most]),
        (Refusal::RankOutOfRange, vec![lowest, highest]),
        // The digits that a slug may have are in its sentence too.
        (TextError::Slug.into(), vec![1, wide(MAX_SLUG), 0, 9]),
        (TextError::Email.into(), vec![wide(MAX_EMAIL)]),
        (TextError::Name.into(), vec![1, wide(MAX_NAME)]),
    ];
    for refusal in Refusal::all() {
        let limits = limits.iter().find(|(of, _)| *of == refusal).map(|(_, limits)| limits.clone());
        assert_eq!(numbers(&refusal.to_string()), limits.unwrap_or_default(), "{refusal}");
    }
}

#[test]
fn what_is_said_in_words_is_what_holds() {
    assert_eq!(GOOD_FOR_S, 10 * 60);
    assert!(SignInRefusal::TooLate.to_string().contains("ten minutes"));
    assert_eq!(WINDOW_H, 24);
    assert!(DirectoryRefusal::AboveBrake.to_string().contains("within a day"));
}

#[tokio::test]
async fn a_directory_that_says_too_much_is_told_how_much_it_may_say() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (organization, directory) = (place.organization, place.directory);
    let long = |bytes: usize| "x".repeat(bytes);
    let facets: BTreeSet<Facet> =
        (0..=MAX_FACETS).filter_map(|n| Facet::attribute("title", &n.to_string())).collect();
    for (limit, beyond) in [
        (MAX_IDENTIFIER, PersonSaid { user_name: long(MAX_IDENTIFIER + 1), ..said("ann") }),
        (MAX_ATTRIBUTES_BYTES, PersonSaid { attributes: long(MAX_ATTRIBUTES_BYTES + 1), ..said("ann") }),
        (MAX_FACETS, PersonSaid { facets, ..said("ann") }),
    ] {
        let refused = bench.write(move |tx, moment| {
            let speaker = speaker(moment, organization, directory);
            Ok(provisioning::create_user(tx, moment, speaker, &beyond).unwrap_err())
        });
        assert_eq!(numbers(&refused.to_string()), [wide(limit)], "{refused}");
    }
}
