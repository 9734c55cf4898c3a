//! Bodies and answers share one list of schemas in the document.

use super::generator;
use crate::api::operations;

#[test]
fn what_a_body_and_an_answer_call_by_one_name_is_the_same() {
    let mut taken = generator().for_deserialize().into_generator();
    let mut given = generator().for_serialize().into_generator();
    for operation in operations() {
        operation.takes.map(|takes| takes(&mut taken));
        operation.gives.map(|gives| gives(&mut given));
    }
    let (taken, given) = (taken.take_definitions(true), given.take_definitions(true));
    assert!(taken.len() > 30 && given.len() > 30, "{} and {}", taken.len(), given.len());
    let both = taken.iter().filter_map(|(name, body)| Some((name, body, given.get(name)?)));
    let differ: Vec<_> = both.filter(|(_, body, answer)| body != answer).collect();
    assert!(differ.is_empty(), "one would stand for the other: {differ:#?}");
}
