//! Which mutant is chosen, and which are reached: `cargo xtask mutants` puts this file into each crate that it rewrites.
//!
//! One build holds every mutant; a process chooses one by its environment. Nothing of this is part of the product.
#![allow(
    clippy::disallowed_methods,
    reason = "it is put into crates that read no environment; those who choose a mutant are outside"
)]

use std::collections::HashSet;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, OnceLock};

/// Names the mutant of this process by its number. Without it the code is as it was written.
const CHOSEN: &str = "PORTCULLIS_MUTANT";
/// Names the file that the numbers of all that are reached are added to, one a line.
const REACHED: &str = "PORTCULLIS_MUTANTS_REACHED";

/// Numbers that were written already, and where they are written to.
type Record = Option<Mutex<(HashSet<u32>, File)>>;

/// Whether mutant `number` is the one of this process.
pub fn is(number: u32) -> bool {
    static MINE: OnceLock<Option<u32>> = OnceLock::new();
    static RECORD: OnceLock<Record> = OnceLock::new();
    if let Some(record) = RECORD.get_or_init(record)
        && let Ok(mut record) = record.lock()
        && record.0.insert(number)
    {
        // In one write, because every rewritten crate of the process has a record of its own over the same file.
        let _ = record.1.write_all(format!("{number}\n").as_bytes());
    }
    *MINE.get_or_init(|| std::env::var(CHOSEN).ok()?.parse().ok()) == Some(number)
}

fn record() -> Record {
    let path = std::env::var_os(REACHED)?;
    let file = File::options().create(true).append(true).open(path).ok()?;
    Some(Mutex::new((HashSet::new(), file)))
}
