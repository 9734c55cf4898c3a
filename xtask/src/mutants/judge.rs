//! Each mutant before the tests that reach it, until one fails.
//!
//! Whoever caught the last ones of the same file is asked first, then the quickest: most mutants are caught by the first
//! test or two, and a process for each would cost more than the tests.

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
    /// A test failed.
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
    /// How many tests reach it.
    pub(super) reached_by: usize,
    /// How long it took.
    pub(super) took_ms: u64,
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
        let mut ended = None;
        while ended.is_none() && !rest.is_empty() {
            size = sizes.next().unwrap_or(size);
            let (batch, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            ended = self.batch(worker, number, batch)?;
        }
        let (outcome, by) = match (ended, self.database) {
            (Some((Ended::OutOfTime, by)), _) => (out_of_time(self.beside), Some(by)),
            (Some((_, by)), _) => (Outcome::Caught, Some(by)),
            (None, Database::Sqlite) => (Outcome::SurvivedOnSqlite, None),
            (None, Database::Postgres) => (Outcome::Survived, None),
        };
        if let Some(by) = &by {
            self.remember(&mutant.file, by);
        }
        let took_ms = u64::try_from(began_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Judged { number, name: mutant.name.clone(), outcome, on: self.database, by, reached_by, took_ms })
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

    /// Runs some tests, those of a program together. Gives how it ended if it did not end well, and at which test.
    fn batch(&self, worker: usize, number: u32, batch: &[usize]) -> Result<Option<(Ended, String)>> {
        for (index, program) in self.programs.iter().enumerate() {
            let tests: Vec<&Test> = batch
                .iter()
                .filter_map(|at| self.tests.get(*at))
                .filter(|test| test.program == index)
                .collect();
            let Some(first) = tests.first() else { continue };
            let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
            let took_ms: u64 = tests.iter().map(|test| test.took_ms).sum();
            let trial = Trial {
                program,
                tests: &names,
                database: self.database,
                mutant: Some(number),
                reached: None,
            };
            let max_duration = MAX_BEGIN + Duration::from_millis(took_ms.saturating_mul(PATIENCE));
            let ended = self.ground.run(worker, &trial, max_duration).context("could not judge")?;
            match ended {
                Ended::Passed => {}
                Ended::Failed(ref by) => return Ok(Some((ended.clone(), by.clone()))),
                Ended::OutOfTime => return Ok(Some((Ended::OutOfTime, first.name.clone()))),
            }
        }
        Ok(None)
    }
}
