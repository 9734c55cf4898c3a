//! What plain cargo-mutants found of those mutants that no switch can hold: what is worked out at compile time.
//!
//! It is asked by hand, by the words of [`Plain::order`], because each costs a build of the workspace; and into a folder of this
//! state of the code, so that nothing is believed of another.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::judge::Outcome;

/// What it found for one state of the code.
#[derive(Debug)]
pub(super) struct Plain {
    folder: PathBuf,
    /// The names of those that a test noticed.
    caught: BTreeSet<String>,
    /// The names of those that no compiler takes.
    unviable: BTreeSet<String>,
}

impl Plain {
    /// Reads what it left in `folder`; nothing where it was not asked.
    pub(super) fn read(folder: PathBuf) -> Self {
        let names = |list: &str| -> BTreeSet<String> {
            let text = fs::read_to_string(folder.join("mutants.out").join(list)).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        };
        // One that did not end is noticed too: it runs alone, and four times as long as the tests take.
        let caught = names("caught.txt").union(&names("timeout.txt")).cloned().collect();
        let unviable = names("unviable.txt");
        Self { folder, caught, unviable }
    }

    /// What became of one that has no switch.
    pub(super) fn outcome(&self, name: &str) -> Outcome {
        match (self.caught.contains(name), self.unviable.contains(name)) {
            (true, _) => Outcome::CaughtPlainly,
            (false, true) => Outcome::Unviable,
            (false, false) => Outcome::Unswitchable,
        }
    }

    /// How to ask about these; nothing where there are none.
    pub(super) fn order<'a>(&self, config: &Path, unasked: impl Iterator<Item = &'a str>) -> String {
        let chosen: Vec<String> = unasked.map(|name| format!(" --re '^{}$'", escaped(name))).collect();
        if chosen.is_empty() {
            return String::new();
        }
        let (config, folder) = (config.display(), self.folder.display());
        format!(
            "what has no switch is judged by:\n  cargo xtask with-postgres cargo mutants --workspace --config {config} \
             --no-shuffle --output {folder}{}\n",
            chosen.concat()
        )
    }
}

/// A regular expression for that name and no other. No name has a quote of the shell's in it but a lifetime's or a character's.
fn escaped(name: &str) -> String {
    let mut out = String::new();
    for one in name.chars() {
        match one {
            '\'' => out.push('.'),
            '.' | '^' | '$' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '\\' => {
                out.extend(['\\', one])
            }
            _ => out.push(one),
        }
    }
    out
}
