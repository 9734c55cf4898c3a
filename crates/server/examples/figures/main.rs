//! The figures of `docs/reference/performance.md`, measured in one run so that their ratios mean something.
//!
//! Starts the optimised binary on throw-away data and loads it over HTTP. What is compared is compared within one run,
//! in turns: a durable load with bare SQLite that writes the same rows, bytes and indexes in commits of the same size, a
//! large group with a small one, a directory of a hundred thousand with one of a hundred, the product with its peers.
//! Beside times stand counts that no busy machine moves: rows, bytes, memory, processor time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::too_many_lines,
    reason = "a measuring program fails by panicking and reads the real clock"
)]

mod bare;
mod checks;
mod client;
mod creates;
mod directories;
mod import;
mod lookups;
mod members;
mod peers;
mod server;
mod sign_ins;
mod start;
mod table;

use std::future::Future;
use std::pin::Pin;

use table::Table;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// By what everything large is divided: 1 for the figures, more while one works on this program.
    pub divisor: usize,
    /// Runs of each pair; medians are shown.
    pub runs: usize,
}

impl Size {
    /// A number of people, groups or seconds of the full measure.
    pub fn of(self, full: usize) -> usize {
        (full / self.divisor).max(1)
    }
}

type Part = fn(Size) -> Pin<Box<dyn Future<Output = Table>>>;

/// Every part, by the name under which it is asked for.
const PARTS: [(&str, Part); 9] = [
    ("start", |size| Box::pin(start::measure(size))),
    ("creates", |size| Box::pin(creates::measure(size))),
    ("checks", |size| Box::pin(checks::measure(size))),
    ("import", |size| Box::pin(import::measure(size))),
    ("members", |size| Box::pin(members::measure(size))),
    ("lookups", |size| Box::pin(lookups::measure(size))),
    ("directories", |size| Box::pin(directories::measure(size))),
    ("peers", |size| Box::pin(peers::measure(size))),
    ("sign-ins", |size| Box::pin(sign_ins::measure(size))),
];

/// Says on stderr what is being measured.
pub fn tell(what: &str) {
    eprintln!("figures: {what}");
}

/// Measures everything, or the parts that are named. `--divide N` makes everything large N times smaller, `--runs N`
/// says how often a pair is run.
#[tokio::main]
async fn main() {
    let (mut named, mut size) = (Vec::new(), Size { divisor: 1, runs: 3 });
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|n| n.parse().ok()).expect("a number follows");
        match word.as_str() {
            "--divide" => size.divisor = number(),
            "--runs" => size.runs = number(),
            name => {
                assert!(PARTS.iter().any(|(part, _)| *part == name), "there is no part `{name}`");
                named.push(name.to_owned());
            }
        }
    }
    for (name, measure) in PARTS {
        if named.is_empty() || named.iter().any(|n| n == name) {
            tell(name);
            let table = measure(size).await;
            println!("{}", table.markdown(name));
        }
    }
}
