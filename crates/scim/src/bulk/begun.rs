//! What was begun of a circle and waits for what it refers to.
//!
//! Found by the names that it lacks, so that whatever is made costs a look at those who wait for it, and not at
//! everybody who was begun.

use std::collections::{BTreeMap, HashMap};

/// Operations that were begun, each with what came of it.
#[derive(Debug)]
pub struct Begun<T> {
    /// How many names each lacks, and what came of it.
    operations: BTreeMap<usize, (usize, T)>,
    /// Who lacks a name.
    lacking: HashMap<String, Vec<usize>>,
}

impl<T> Default for Begun<T> {
    fn default() -> Self {
        Self { operations: BTreeMap::new(), lacking: HashMap::new() }
    }
}

impl<T> Begun<T> {
    /// Puts aside an operation that lacks these names, each told once and at least one.
    pub fn wait(&mut self, index: usize, lacks: Vec<String>, outcome: T) {
        self.operations.insert(index, (lacks.len(), outcome));
        for name in lacks {
            self.lacking.entry(name).or_default().push(index);
        }
    }

    /// What lacks nothing any more now that this is made, in the order in which it was begun.
    pub fn made(&mut self, name: &str) -> Vec<(usize, T)> {
        let mut complete = Vec::new();
        for index in self.lacking.remove(name).unwrap_or_default() {
            let Some((lacks, _)) = self.operations.get_mut(&index) else { continue };
            *lacks = lacks.saturating_sub(1);
            if *lacks == 0 {
                complete.extend(self.operations.remove(&index).map(|(_, outcome)| (index, outcome)));
            }
        }
        complete
    }

    /// What still lacks something, in the order of the request.
    pub fn into_rest(self) -> impl Iterator<Item = (usize, T)> {
        self.operations.into_iter().map(|(index, (_, outcome))| (index, outcome))
    }
}
