//! The test run: set up, run the steps, count, and tell.
//!
//! A run is green only if everything ran: a step that could not begin, a test that was ignored or a harness that ran no
//! test at all is a failure, because each of them looks like success and proves nothing.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::command::{Ending, Invocation};
use crate::postgres::{Cluster, Durability};
use crate::scratch::TestFiles;
use crate::setup;
use crate::steps::{Step, Work};
use crate::tidy;
use crate::workspace::Workspace;

/// The mark of a test that belongs to the long tier: `#[ignore = "long: why it takes long"]`.
const LONG_MARK: &str = "long:";

/// How much is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// What every run and CI does.
    Every,
    /// What is run before landing: full counts, and the tests marked `long:`.
    Long,
}

/// What to run.
#[derive(Debug)]
pub(crate) struct Selection {
    /// These steps; all if empty.
    pub(crate) only: Vec<Step>,
    /// How much is repeated.
    pub(crate) tier: Tier,
}

/// What became of one step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Which step.
    pub(crate) step: Step,
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// How many checks or tests passed.
    pub(crate) passed: u64,
    /// How many checks or tests failed, or were left out.
    pub(crate) failed: u64,
    /// How long it took.
    pub(crate) took: Duration,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything in it passed.
    Passed,
    /// Something failed; the text says what in a few words.
    Failed(String),
    /// It could not begin; the text says why.
    LeftOut(String),
}

/// What a test harness said about its tests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// Tests that were ignored without the mark of the long tier.
    pub(crate) left_out: u64,
}

impl Tier {
    /// What `PORTCULLIS_TEST_TIER` is set to.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Every => "every",
            Self::Long => "long",
        }
    }
}

impl Tally {
    /// Reads one line of a harness's output: `test result: ok. 3 passed; 0 failed; 1 ignored; …`, or
    /// `test name ... ignored, reason`.
    pub(crate) fn see(&mut self, line: &str) {
        if let Some((name, reason)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ignored"))
        {
            let reason = reason.trim_start_matches(',').trim_start();
            if !name.is_empty() && !reason.starts_with(LONG_MARK) {
                self.left_out += 1;
            }
            return;
        }
        let Some(counts) = line.strip_prefix("test result: ") else { return };
        let counts = counts.split_once(". ").map_or(counts, |(_, counts)| counts);
        for count in counts.split("; ") {
            match count.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }

    fn verdict(self, ending: Ending, min_passed: u64) -> Verdict {
        match ending {
            Ending::TimedOut => Verdict::Failed("it took too long and was ended".to_owned()),
            Ending::Failure if self.failed == 0 => Verdict::Failed("it did not run to its end".to_owned()),
            Ending::Failure => Verdict::Failed(format!("{} tests failed", self.failed)),
            Ending::Success if self.left_out > 0 => {
                Verdict::Failed(format!("{} tests are ignored without `{LONG_MARK}`", self.left_out))
            }
            Ending::Success if self.passed < min_passed => {
                Verdict::Failed(format!("{} tests passed, at least {min_passed} must", self.passed))
            }
            Ending::Success => Verdict::Passed,
        }
    }
}

/// The steps and what each is for, one a line.
pub(crate) fn list() -> String {
    let line = |step: Step| format!("  {:<9} {}\n", step.name(), step.purpose());
    Step::ALL.into_iter().map(line).collect()
}

/// Runs what is selected, prints the table and the closing line, and says whether all of it passed.
///
/// What the tests need is installed beside the first steps, which want none of it: most of that time is waiting for a mirror.
pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> Result<ExitCode> {
    let began_at = Instant::now();
    setup::rust_components()?;
    let steps = chosen(selection);
    let (before, after) = by_set_up(&steps);
    let mut outcomes: Vec<Outcome> = Vec::new();
    let set_up = std::thread::scope(|scope| {
        let setting_up = scope.spawn(|| set_up(workspace, after));
        for &step in before {
            outcomes.push(run_step(workspace, step, selection.tier, Ok(Vec::new()), &outcomes));
        }
        setting_up.join().unwrap_or_else(|_| bail!("it panicked"))
    });
    let cluster = if set_up.is_ok() && after.iter().any(|step| step.wants_postgres()) {
        Some(Cluster::start(workspace, Durability::Unsynced))
    } else {
        None
    };
    let test_files = TestFiles::in_memory();
    for &step in after {
        let environment = match (&set_up, &cluster) {
            (Err(error), _) if step.wants_set_up() => Err(format!("set-up failed: {error:#}")),
            (_, Some(Err(error))) if step.wants_postgres() => Err(format!("{error:#}")),
            (_, Some(Ok(cluster))) => Ok(cluster.environment().to_vec()),
            _ => Ok(Vec::new()),
        };
        let files = test_files.as_ref().filter(|_| step.may_write_to_memory()).map(TestFiles::environment);
        let environment = environment.map(|all| all.into_iter().chain(files).collect());
        outcomes.push(run_step(workspace, step, selection.tier, environment, &outcomes));
    }
    drop(cluster);
    print!("{}", report(&outcomes, began_at.elapsed()));
    let all_passed = outcomes.iter().all(|outcome| outcome.verdict == Verdict::Passed);
    Ok(if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The steps that come before the first that wants what is installed, and the others.
pub(crate) fn by_set_up(steps: &[Step]) -> (&[Step], &[Step]) {
    let first = steps.iter().position(|step| step.wants_set_up()).unwrap_or(steps.len());
    steps.split_at(first)
}

/// What the selection means: all steps of the tier, or those that it names and what they need.
pub(crate) fn chosen(selection: &Selection) -> Vec<Step> {
    let is_named = |step: &Step| {
        selection.only.iter().any(|named| named == step || named.needs(selection.tier) == Some(*step))
    };
    let belongs = |step: &Step| match selection.only.is_empty() {
        true => step.belongs_to(selection.tier),
        false => is_named(step),
    };
    Step::ALL.into_iter().filter(belongs).collect()
}

fn set_up(workspace: &Workspace, steps: &[Step]) -> Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    setup::everything(workspace)?;
    if steps.contains(&Step::Mutants) {
        setup::mutants(workspace)?;
    }
    Ok(())
}

/// Runs one step in this environment, or leaves it out for the reason that there is none.
fn run_step(
    workspace: &Workspace,
    step: Step,
    tier: Tier,
    environment: Result<Vec<(String, String)>, String>,
    before: &[Outcome],
) -> Outcome {
    println!("\n== {}: {} ({} of disk free)", step.name(), step.purpose(), free_disk(workspace));
    let began_at = Instant::now();
    let failed_need = step.needs(tier).filter(|need| {
        before.iter().any(|outcome| outcome.step == *need && outcome.verdict != Verdict::Passed)
    });
    let (verdict, tally) = match (failed_need, environment) {
        (Some(need), _) => left_out(format!("`{}` did not pass", need.name())),
        (None, Err(why)) => left_out(why),
        (None, Ok(environment)) => work(workspace, step, tier, environment),
    };
    if let Verdict::Failed(why) | Verdict::LeftOut(why) = &verdict {
        println!("{}: {why}", step.name());
    }
    Outcome {
        step,
        verdict,
        passed: tally.passed,
        failed: tally.failed + tally.left_out,
        took: began_at.elapsed(),
    }
}

/// What `df` says, so that a run that ends for want of disk shows where it went.
fn free_disk(workspace: &Workspace) -> String {
    let df = Invocation::new("df", &["-h", "--output=avail"]).and([workspace.root.display().to_string()]);
    let said = df.read(Duration::from_secs(15)).unwrap_or_default();
    said.split_whitespace().last().unwrap_or("an unknown part").to_owned()
}

fn left_out(why: String) -> (Verdict, Tally) {
    (Verdict::LeftOut(why), Tally { failed: 1, ..Tally::default() })
}

fn work(
    workspace: &Workspace,
    step: Step,
    tier: Tier,
    environment: Vec<(String, String)>,
) -> (Verdict, Tally) {
    let add = |invocation: Invocation| {
        let with = |invocation: Invocation, (name, value): (String, String)| invocation.with(&name, value);
        environment.into_iter().fold(invocation, with)
    };
    match step.work(workspace, tier) {
        Work::Tidy => match tidy::check(workspace) {
            Ok(faults) => {
                faults.iter().for_each(|fault| println!("{fault}"));
                let to_mend = format!("{} to mend", faults.len());
                one_check(if faults.is_empty() { Ok(()) } else { Err(to_mend) })
            }
            Err(error) => one_check(Err(format!("{error:#}"))),
        },
        Work::Check(invocation, max_duration) => {
            one_check(add(invocation).run(max_duration).map_err(|error| format!("{error:#}")))
        }
        Work::Harness(invocation, max_duration, min_passed) => {
            let mut tally = Tally::default();
            let verdict = match add(invocation).watch(max_duration, |line| tally.see(line)) {
                Ok(ending) => tally.verdict(ending, min_passed),
                Err(error) => Verdict::Failed(format!("{error:#}")),
            };
            if verdict != Verdict::Passed && tally.failed + tally.left_out == 0 {
                tally.failed = 1;
            }
            (verdict, tally)
        }
    }
}

fn one_check(outcome: Result<(), String>) -> (Verdict, Tally) {
    match outcome {
        Ok(()) => (Verdict::Passed, Tally { passed: 1, ..Tally::default() }),
        Err(why) => (Verdict::Failed(why), Tally { failed: 1, ..Tally::default() }),
    }
}

/// The table of the steps and, alone on the last line, the sum that CI reads.
pub(crate) fn report(outcomes: &[Outcome], took: Duration) -> String {
    let mut text = format!("\n{:<10} {:<8} {:>7} {:>7} {:>8}\n", "step", "", "passed", "failed", "seconds");
    for outcome in outcomes {
        let verdict = match outcome.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed(_) => "FAILED",
            Verdict::LeftOut(_) => "LEFT OUT",
        };
        text.push_str(&format!(
            "{:<10} {verdict:<8} {:>7} {:>7} {:>8.1}\n",
            outcome.step.name(),
            outcome.passed,
            outcome.failed,
            outcome.took.as_secs_f64()
        ));
    }
    let passed: u64 = outcomes.iter().map(|outcome| outcome.passed).sum();
    let failed: u64 = outcomes.iter().map(|outcome| outcome.failed).sum();
    text.push_str(&format!(
        "{:<36} {:>8.1}\n\n{passed} passed, {failed} failed\n",
        "in all",
        took.as_secs_f64()
    ));
    text
}

#[cfg(test)]
mod tests;
