//! The people and the group of one run.
//!
//! Here because nobody of them may meet a real person: the domain is reserved and random, and every name carries the
//! run's mark.

use crate::people::{Group, MAX_SAMPLE_PEOPLE, Person, sample_person};
use crate::surroundings::Surroundings;

/// People with a part of their own in each run.
pub(super) const LEADS: usize = 4;
/// Fewest people of a run: each of them has a part.
pub const MIN_EMULATED_PEOPLE: usize = LEADS;
/// Most people of a run: a provider of this size, and an hour against a server that takes 100 ms a request.
pub const MAX_EMULATED_PEOPLE: usize = 10_000;
/// Hexadecimal digits of the mark: two runs never meet.
const MARK_DIGITS: usize = 12;

/// Who plays.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    /// What every name carries.
    pub(super) mark: String,
    /// Those with a part of their own.
    pub(super) leads: [Person; LEADS],
    /// All the others.
    pub(super) crowd: Vec<Person>,
    /// The group that is pushed.
    pub(super) group: Group,
}

impl Cast {
    pub(super) fn new(surroundings: &Surroundings, people: usize) -> Self {
        let mark: String = surroundings.random_text().chars().take(MARK_DIGITS).collect();
        let people = people.clamp(MIN_EMULATED_PEOPLE, MAX_EMULATED_PEOPLE.min(MAX_SAMPLE_PEOPLE));
        let group = Group {
            external_id: format!("emulate-{mark}-group"),
            display_name: format!("Emulate {mark} Engineering"),
            members: Vec::new(),
        };
        Self {
            leads: std::array::from_fn(|at| player(&mark, at)),
            crowd: (LEADS..people).map(|at| player(&mark, at)).collect(),
            group,
            mark,
        }
    }
}

/// Somebody whose address has capitals, as a server must keep them.
fn player(mark: &str, at: usize) -> Person {
    let mut person = sample_person(&format!("emulate-{mark}.test"), at);
    person.id = format!("emulate-{mark}-{at:05}");
    person.email = format!("{}.{}.{at}@emulate-{mark}.test", person.given_name, person.family_name);
    person.user_name.clone_from(&person.email);
    person
}
