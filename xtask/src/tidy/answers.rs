//! Answers that nobody heard: a call on the database whose fault is taken for a no.
//!
//! Whoever asks whether somebody may do something, and takes every error for "no", tells them that they may not when it was
//! the database that did not answer. `Granted` in `crates/service/src/error.rs` tells the two apart.

use super::source::Token;
use super::{Fault, Source, Tree};

/// Where the use cases are.
const USE_CASES: &str = "crates/service/src/";
/// What makes a yes or a no of an answer, and of a fault as well.
const DEAF: [&str; 3] = ["is_ok", "is_err", "ok"];

/// Finds calls with the transaction whose faults are not heard.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    tree.sources.iter().filter(|source| source.path.starts_with(USE_CASES)).flat_map(unheard).collect()
}

fn unheard(source: &Source) -> Vec<Fault> {
    let tokens = source.tokens();
    let mut faults = Vec::new();
    for (at, three) in tokens.windows(3).enumerate() {
        let [(_, Token::Sign(')')), (_, Token::Sign('.')), (line, Token::Word(word))] = three else {
            continue;
        };
        let is_deaf = DEAF.contains(&word.as_str()) && !source.is_test_line(*line);
        if is_deaf && takes_transaction(tokens.get(..at).unwrap_or_default()) {
            let what = format!("`.{word}()` takes a fault of the database for an answer");
            faults.push(Fault::new(
                &source.path,
                *line,
                what,
                "ask `.granted()?`, or match what is no fault",
            ));
        }
    }
    faults
}

/// Whether the call whose arguments end there is given the transaction.
fn takes_transaction(before: &[(usize, Token)]) -> bool {
    let mut depth = 1;
    for (_, token) in before.iter().rev() {
        match token {
            Token::Sign(')') => depth += 1,
            Token::Sign('(') => depth -= 1,
            Token::Word(word) if depth == 1 && word == "tx" => return true,
            _ => {}
        }
        if depth == 0 {
            return false;
        }
    }
    false
}
