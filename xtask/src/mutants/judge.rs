//! Each mutant before the tests that reach it, until one fails.
//!
//! Whoever caught the last ones of the same file is asked first, then the quickest: most mutants are caught by the first
//! test or two, and a process for each would cost more than the tests.
//!
//! One failure catches nobody: beside others a test may want for memory, or find a port taken, and with hundreds of tests
//! before each mutant one that fails once in two hundred would catch most of what no test notices. It is asked once more,
//! alone in its process, and what passes then is written down: such a test makes no run clean.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::build::Program;
use super::list::Mutant;
use super::reach::{Test, Went};
use super::trial::{Database, Ended, Ground, Trial};

/// What starting takes, and a machine that does something else as well.
const MAX_BEGIN: Duration = Duration::from_secs(20);
/// Tests may take so many times what they took alone; then there is an endless loop.
const PATIENCE: u64 = 5;
/// How many tests the first batches have; what is left then comes in batches of the last size.
const BATCHES: [usize; 6] = [1, 1, 4, 16, 64, 256];
/// How many tests that caught something are remembered for a file.
const MAX_REMEMBERED: usize = 8;

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// No test failed.
    Survived,
    /// No test failed on SQLite; those on PostgreSQL are to be asked.
    SurvivedOnSqlite,
    /// It stands where no switch can be asked; plain cargo-mutants can judge it, and has not.
    Unswitchable,
    /// A test did not end while others ran beside it: that may be their load.
    OutOfTime,
    /// A test failed, and once more alone in its process.
    Caught,
    /// A test did not end, nor when nothing ran beside it: an endless loop.
    Endless,
    /// It stands where no switch can be asked, and plain cargo-mutants had it caught.
    CaughtPlainly,
    /// No compiler takes it.
    Unviable,
}

/// What runs beside a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// As many others as the machine has cores.
    Others,
    /// Nothing.
    Nobody,
}

impl Outcome {
    /// Whether nothing is left to be done about it: a test noticed, or none could.
    pub(super) const fn is_settled(self) -> bool {
        match self {
            Self::Survived | Self::SurvivedOnSqlite | Self::Unswitchable | Self::OutOfTime => false,
            Self::Caught | Self::Endless | Self::CaughtPlainly | Self::Unviable => true,
        }
    }
}

/// A mutant and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Judged {
    /// Its number.
    pub(super) number: u32,
    /// Its name.
    pub(super) name: String,
    /// What became of it.
    pub(super) outcome: Outcome,
    /// The database on which it was judged last.
    pub(super) on: Database,
    /// The test that failed.
    pub(super) by: Option<String>,
    /// The tests that failed and passed alone, one by one in their order.
    #[serde(default)]
    pub(super) wavering: Vec<String>,
    /// How many tests reach it.
    pub(super) reached_by: usize,
    /// How long it took.
    pub(super) took_ms: u64,
}

/// What a mutant made of some tests.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// How it ended if it did not end well, and at which test.
    ended: Option<(Ended, String)>,
    /// As in [`Judged`].
    wavering: Vec<String>,
}

/// What it means that a test did not end.
const fn out_of_time(beside: Beside) -> Outcome {
    match beside {
        Beside::Others => Outcome::OutOfTime,
        Beside::Nobody => Outcome::Endless,
    }
}

/// Whoever judges.
pub(super) struct Bench<'a> {
    /// Where the tests are run.
    pub(super) ground: Ground<'a>,
    /// Their programs.
    pub(super) programs: &'a [Program],
    /// What is known of each.
    pub(super) tests: &'a [Test],
    /// On which database the mutants are judged now.
    pub(super) database: Database,
    /// What runs beside each.
    pub(super) beside: Beside,
    /// By file, the tests that caught something, the last one first.
    pub(super) remembered: Mutex<HashMap<String, Vec<usize>>>,
}

impl Bench<'_> {
    /// Judges one.
    pub(super) fn judge(&self, worker: usize, number: u32, mutant: &Mutant) -> Result<Judged> {
        let began_at = Instant::now();
        let order = self.order(number, &mutant.file);
        let reached_by = order.len();
        let mut rest = order.as_slice();
        let mut sizes = BATCHES.iter().copied();
        let mut size = 1;
        let mut said = Said::default();
        while said.ended.is_none() && !rest.is_empty() {
            size = sizes.next().unwrap_or(size);
            let (batch, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            self.batch((worker, number), batch, &mut said)?;
        }
        let (outcome, by) = match (said.ended, self.database) {
            (Some((Ended::OutOfTime, by)), _) => (out_of_time(self.beside), Some(by)),
            (Some((_, by)), _) => (Outcome::Caught, Some(by)),
            (None, Database::Sqlite) => (Outcome::SurvivedOnSqlite, None),
            (None, Database::Postgres) => (Outcome::Survived, None),
        };
        if let Some(by) = &by {
            self.remember(&mutant.file, by);
        }
        let took_ms = u64::try_from(began_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Judged {
            number,
            name: mutant.name.clone(),
            outcome,
            on: self.database,
            by,
            wavering: said.wavering,
            reached_by,
            took_ms,
        })
    }

    /// The tests that reach it, in the order in which they are asked.
    fn order(&self, number: u32, file: &str) -> Vec<usize> {
        let reaches = |test: &Test| {
            test.went == Went::Well && test.database == self.database && test.reached.contains(&number)
        };
        let mut order: Vec<(usize, &Test)> =
            self.tests.iter().enumerate().filter(|(_, test)| reaches(test)).collect();
        let remembered = self
            .remembered
            .lock()
            .map_or_else(|_| Vec::new(), |remembered| remembered.get(file).cloned().unwrap_or_default());
        let rank = |index: &usize| remembered.iter().position(|known| known == index).unwrap_or(usize::MAX);
        order.sort_by_key(|(index, test)| (rank(index), test.took_ms));
        order.into_iter().map(|(index, _)| index).collect()
    }

    fn remember(&self, file: &str, by: &str) {
        let Some(index) = self.tests.iter().position(|test| test.name == by) else { return };
        if let Ok(mut remembered) = self.remembered.lock() {
            let tests = remembered.entry(file.to_owned()).or_default();
            tests.retain(|known| *known != index);
            tests.insert(0, index);
            tests.truncate(MAX_REMEMBERED);
        }
    }

    /// Runs some tests, those of a program together, until one catches it.
    fn batch(&self, asked: (usize, u32), batch: &[usize], said: &mut Said) -> Result<()> {
        for (index, program) in self.programs.iter().enumerate() {
            let tests = batch.iter().filter_map(|at| self.tests.get(*at));
            self.ask(asked, program, tests.filter(|test| test.program == index).collect(), said)?;
            if said.ended.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Runs these tests of one program, without those that waver.
    fn ask(
        &self,
        asked: (usize, u32),
        program: &Program,
        mut tests: Vec<&Test>,
        said: &mut Said,
    ) -> Result<()> {
        while let Some(first) = tests.first() {
            let by = match self.run(asked, program, &tests)? {
                Ended::Passed => return Ok(()),
                Ended::OutOfTime => {
                    said.ended = Some((Ended::OutOfTime, first.name.clone()));
                    return Ok(());
                }
                Ended::Failed(by) => by,
            };
            let named = tests.iter().position(|test| test.name == by);
            match named.or((tests.len() == 1).then_some(0)) {
                Some(at) => {
                    let test = tests.remove(at);
                    match self.run(asked, program, &[test])? {
                        Ended::Passed => said.wavering.push(test.name.clone()),
                        ended => said.ended = Some((ended, test.name.clone())),
                    }
                }
                // The program died, which names nobody.
                None => {
                    for test in std::mem::take(&mut tests) {
                        self.ask(asked, program, vec![test], said)?;
                        if said.ended.is_some() {
                            return Ok(());
                        }
                    }
                    said.wavering.push(by);
                }
            }
            if said.ended.is_some() {
                break;
            }
        }
        Ok(())
    }

    fn run(&self, (worker, number): (usize, u32), program: &Program, tests: &[&Test]) -> Result<Ended> {
        let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
        let took_ms: u64 = tests.iter().map(|test| test.took_ms).sum();
        let trial =
            Trial { program, tests: &names, database: self.database, mutant: Some(number), reached: None };
        let max_duration = MAX_BEGIN + Duration::from_millis(took_ms.saturating_mul(PATIENCE));
        self.ground.run(worker, &trial, max_duration).context("could not judge")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};
    use std::sync::Mutex;

    use super::{Bench, Beside, Judged, Outcome};
    use crate::mutants::list::{Genre, Mutant, Place, Span};
    use crate::mutants::reach::{Test, Went};
    use crate::mutants::trial::tests::program;
    use crate::mutants::trial::{Database, Ground};

    const NAMES: [&str; 4] = ["one", "two", "three", "four"];

    /// What becomes of a mutant that these tests reach, by a script in the place of their program.
    fn judged(script: &str) -> Judged {
        let program = program(script);
        let tests = NAMES.map(|name| Test {
            program: 0,
            name: name.to_owned(),
            database: Database::Sqlite,
            went: Went::Well,
            took_ms: 1,
            reached: BTreeSet::from([7]),
        });
        let folder = program.folder.join("tmp");
        let bench = Bench {
            ground: Ground { folder: &folder, environment: &[] },
            programs: std::slice::from_ref(&program),
            tests: &tests,
            database: Database::Sqlite,
            beside: Beside::Others,
            remembered: Mutex::new(HashMap::new()),
        };
        let mutant = Mutant {
            name: String::new(),
            file: String::new(),
            span: Span { start: Place { line: 1, column: 1 } },
            replacement: String::new(),
            genre: Genre::FnValue,
        };
        let judged = bench.judge(0, 7, &mutant).unwrap();
        std::fs::remove_dir_all(&program.folder).unwrap();
        judged
    }

    #[test]
    fn a_mutant_is_caught_by_a_test_that_fails_again_alone_and_not_by_one_that_failed_once() {
        let once = r#"mkdir "$0.once" 2>/dev/null"#;
        for (script, outcome, by, wavering) in [
            ("echo 'test one ... ok'".to_owned(), Outcome::SurvivedOnSqlite, None, &[][..]),
            ("echo 'test one ... FAILED'; exit 101".to_owned(), Outcome::Caught, Some("one"), &[]),
            (
                format!("if {once}; then echo 'test one ... FAILED'; exit 101; fi"),
                Outcome::SurvivedOnSqlite,
                None,
                &["one"],
            ),
            // Nobody else is let off by it.
            (
                format!(
                    "if {once}; then exit 101; fi; case \"$*\" in *four*) echo 'test four ... FAILED'; exit 101;; esac"
                ),
                Outcome::Caught,
                Some("four"),
                &["one"],
            ),
            // Whoever kills the program is found among those that ran in it.
            ("case \"$*\" in *four*) exit 101;; esac".to_owned(), Outcome::Caught, Some("four"), &[]),
            (
                format!("case \"$*\" in *four*) if {once}; then exit 101; fi;; esac"),
                Outcome::SurvivedOnSqlite,
                None,
                &["the program itself"],
            ),
        ] {
            let judged = judged(&script);
            assert_eq!((judged.outcome, judged.by.as_deref()), (outcome, by), "{script}");
            assert_eq!(judged.wavering, wavering, "{script}");
        }
    }
}
