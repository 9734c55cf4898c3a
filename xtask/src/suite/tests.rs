//! What counts as passed: the lines of a test harness, and the sum that CI reads.
//!
//! The danger of a test runner is a green line over tests that never ran.

use std::time::Duration;

use super::{Outcome, Selection, Tally, Tier, Verdict, by_set_up, chosen, list, report};
use crate::command::Ending;
use crate::steps::{self, Step};

fn tally(lines: &[&str]) -> Tally {
    let mut tally = Tally::default();
    lines.iter().for_each(|line| tally.see(line));
    tally
}

#[test]
fn results_of_several_harnesses_are_added_up() {
    let tally = tally(&[
        "test a ... ok",
        "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
    ]);
    assert_eq!(tally, Tally { passed: 7, failed: 2, left_out: 0 });
    assert_eq!(tally.verdict(Ending::Failure, 1), Verdict::Failed("2 tests failed".to_owned()));
}

#[test]
fn an_ignored_test_fails_the_run_unless_it_is_marked_long() {
    let marked =
        tally(&["test a ... ignored, long: an hour", "test result: ok. 1 passed; 0 failed; 1 ignored"]);
    assert_eq!(marked.verdict(Ending::Success, 1), Verdict::Passed);
    for line in ["test a ... ignored", "test a ... ignored, flaky"] {
        let left_out = tally(&[line, "test result: ok. 1 passed; 0 failed; 1 ignored"]);
        assert!(matches!(left_out.verdict(Ending::Success, 1), Verdict::Failed(_)), "{line}");
    }
}

#[test]
fn a_harness_that_ran_nothing_or_died_or_hung_fails() {
    let nothing = tally(&["test result: ok. 0 passed; 0 failed; 0 ignored"]);
    assert!(matches!(nothing.verdict(Ending::Success, 1), Verdict::Failed(_)));
    let some = tally(&["test result: ok. 5 passed; 0 failed; 0 ignored"]);
    assert!(matches!(some.verdict(Ending::Failure, 1), Verdict::Failed(_)));
    assert!(matches!(some.verdict(Ending::TimedOut, 1), Verdict::Failed(_)));
}

#[test]
fn the_report_ends_with_the_sum_alone_on_a_line() {
    let outcome =
        |step, verdict, passed, failed| Outcome { step, verdict, passed, failed, took: Duration::ZERO };
    let text = report(
        &[
            outcome(Step::Tests, Verdict::Passed, 40, 0),
            outcome(Step::Binary, Verdict::Failed("no".to_owned()), 0, 1),
            outcome(Step::Whole, Verdict::LeftOut("no binary".to_owned()), 0, 1),
        ],
        Duration::from_secs(3),
    );
    assert_eq!(text.lines().last(), Some("40 passed, 2 failed"));
    assert!(text.contains("LEFT OUT") && text.contains("FAILED"));
}

#[test]
fn every_step_is_listed_and_found_by_its_name() {
    for step in Step::ALL {
        assert!(list().contains(step.name()));
        assert_eq!(steps::find(step.name()).unwrap(), step);
    }
    assert!(steps::find("everything").is_err());
}

#[test]
fn a_step_that_is_named_brings_what_it_needs_and_the_long_tier_brings_the_long_steps() {
    let choose = |only: Vec<Step>, tier| chosen(&Selection { only, tier });
    assert_eq!(choose(vec![Step::Whole], Tier::Every), [Step::Whole]);
    assert_eq!(choose(vec![Step::Whole], Tier::Long), [Step::Binary, Step::Whole]);
    assert_eq!(choose(vec![Step::Mutants], Tier::Every), [Step::Mutants]);
    assert_eq!(choose(Vec::new(), Tier::Long), Step::ALL);
    let every = choose(Vec::new(), Tier::Every);
    let long = [Step::Binary, Step::Fuzz, Step::Mutants, Step::Access];
    assert_eq!(every.len(), Step::ALL.len() - long.len());
    assert!(long.iter().all(|step| !every.contains(step)));
}

#[test]
fn nothing_that_wants_what_is_installed_runs_before_it_is() {
    let (before, after) = by_set_up(&Step::ALL);
    assert_eq!(before, [Step::Format, Step::Tidy, Step::Clippy]);
    assert_eq!([before, after].concat(), Step::ALL);
    let (before, after) = by_set_up(&[Step::Docs]);
    assert_eq!((before, after), (&[Step::Docs][..], &[][..]));
    let (before, _) = by_set_up(&[Step::Whole, Step::Docs]);
    assert!(before.is_empty());
}
