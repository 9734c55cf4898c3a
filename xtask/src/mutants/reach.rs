//! Which tests reach which mutants, and how long each takes: every test is run alone once, with no mutant chosen.
//!
//! What a test does not reach it cannot catch. So most mutants are judged by a few tests, and some by none.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::build::Program;
use super::journal::Journal;
use super::side_by_side;
use super::trial::{Database, Ended, Ground, Trial};
use crate::command::Invocation;
use crate::steps::ON_BOTH;

/// One test alone, on a busy machine.
const MAX_TEST: Duration = Duration::from_secs(600);
/// What a program answers that is asked for its tests.
const MAX_LISTING: Duration = Duration::from_secs(60);
/// So many tests later the databases of ended processes are dropped.
const SWEEP_AFTER: usize = 50;

/// A test as it went with no mutant chosen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Test {
    /// The place of its program in the list of programs.
    pub(super) program: usize,
    /// Its name.
    pub(super) name: String,
    /// The database that it was on.
    pub(super) database: Database,
    /// How it went.
    pub(super) went: Went,
    /// How long it took.
    pub(super) took_ms: u64,
    /// The numbers of the mutants that it reached.
    pub(super) reached: BTreeSet<u32>,
}

/// How a test went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Went {
    /// It passed.
    Well,
    /// It failed, and passed when it was asked again: it judges nothing.
    Unsteadily,
    /// It failed twice.
    Badly,
}

/// Runs those tests on `database` that were not run yet; on PostgreSQL only those that come near one of `near` on SQLite.
pub(super) fn learn(
    ground: &Ground<'_>,
    programs: &[Program],
    (database, near): (Database, &BTreeSet<u32>),
    journal: &mut Journal<Test>,
    jobs: usize,
) -> Result<()> {
    let named = |wants: &dyn Fn(&Test) -> bool| -> BTreeSet<(usize, String)> {
        let tests = journal.entries.iter().filter(|test| wants(test));
        tests.map(|test| (test.program, test.name.clone())).collect()
    };
    let known = named(&|test| test.database == database);
    let comes_near = named(&|test| test.database == Database::Sqlite && !test.reached.is_disjoint(near));
    let mut open = Vec::new();
    for (index, program) in programs.iter().enumerate() {
        for name in names(program)? {
            let test = (index, name);
            let is_wanted = match database {
                Database::Sqlite => true,
                Database::Postgres => is_on_both(program, &test.1) && comes_near.contains(&test),
            };
            if is_wanted && !known.contains(&test) {
                open.push(test);
            }
        }
    }
    println!("mutants: {} tests are run alone on {database:?}, to learn what each reaches", open.len());
    let mut done = 0;
    let ask = |worker: usize, (index, name): &(usize, String)| {
        let program = programs.get(*index).context("a test of no program")?;
        one(ground, worker, (*index, program), name, database)
    };
    side_by_side(jobs, &open, ask, |test| {
        done += 1;
        if done % SWEEP_AFTER == 0 {
            println!("mutants: {done} of {} tests", open.len());
            ground.sweep();
        }
        if test.went != Went::Well {
            println!("mutants: `{}` goes {:?} with no mutant chosen", test.name, test.went);
        }
        journal.add(test)
    })
}

/// The tests of a program that a run without `--ignored` runs.
fn names(program: &Program) -> Result<Vec<String>> {
    let list = |words: &[&str]| -> Result<BTreeSet<String>> {
        let said = Invocation::new(&program.path, words).within(&program.folder).read(MAX_LISTING)?;
        Ok(said.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    };
    let all = list(&["--list", "--format", "terse"])?;
    let ignored = list(&["--list", "--format", "terse", "--ignored"])?;
    if all.is_empty() {
        bail!("`{}` has no tests", program.path.display());
    }
    Ok(all.difference(&ignored).cloned().collect())
}

/// Whether it has a bench on the database of the run.
fn is_on_both(program: &Program, name: &str) -> bool {
    let is_http =
        matches!(program.target.as_str(), "it" | "sign_in") && program.folder.ends_with("crates/web");
    is_http && ON_BOTH.iter().any(|module| name.starts_with(module))
}

fn one(
    ground: &Ground<'_>,
    worker: usize,
    (index, program): (usize, &Program),
    name: &str,
    database: Database,
) -> Result<Test> {
    let reached = ground.folder.join(format!("reached-{worker}"));
    let tests = [name];
    let trial = Trial { program, tests: &tests, database, mutant: None, reached: Some(&reached) };
    let mut went = Went::Well;
    let mut took;
    loop {
        let _ = fs::remove_file(&reached);
        let began_at = Instant::now();
        let ended = ground.run(worker, &trial, MAX_TEST)?;
        took = began_at.elapsed();
        match (ended, went) {
            (Ended::Passed, _) => break,
            (_, Went::Well) => went = Went::Unsteadily,
            _ => {
                went = Went::Badly;
                break;
            }
        }
    }
    let text = fs::read_to_string(&reached).unwrap_or_default();
    let reached = text.lines().filter_map(|line| line.parse().ok()).collect();
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    Ok(Test { program: index, name: name.to_owned(), database, went, took_ms, reached })
}
