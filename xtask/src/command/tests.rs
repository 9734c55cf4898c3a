//! What running a program tells: its lines, how it ended, and that it ends.
//!
//! A runner that takes a hanging or failing program for a good one makes every step green.

use std::time::{Duration, Instant};

use super::{Ending, Invocation};

const SHORT: Duration = Duration::from_secs(20);

#[test]
fn lines_are_seen_and_the_ending_is_told() {
    let mut lines = Vec::new();
    let script = "echo one; echo \"$TWO\"; exit 3";
    let run = Invocation::new("sh", &["-c", script]).with("TWO", "two");
    let ending = run.watch(SHORT, |line| lines.push(line.to_owned())).unwrap();
    assert_eq!(
        (lines.as_slice(), ending),
        (["one".to_owned(), "two".to_owned()].as_slice(), Ending::Failure)
    );
    assert_eq!(Invocation::new("true", &[]).watch(SHORT, |_| {}).unwrap(), Ending::Success);
    assert!(Invocation::new("false", &[]).run(SHORT).is_err());
}

#[test]
fn a_program_that_hangs_is_ended_with_its_children() {
    let began_at = Instant::now();
    let hang = Invocation::new("sh", &["-c", "sleep 300 & sleep 300; true"]);
    assert_eq!(hang.watch(Duration::from_secs(1), |_| {}).unwrap(), Ending::TimedOut);
    assert!(began_at.elapsed() < SHORT);
}

#[test]
fn a_program_that_is_not_there_is_a_failure_not_an_answer() {
    let missing = Invocation::new("/nonexistent/program", &[]);
    assert!(!missing.succeeds());
    assert!(missing.read(SHORT).is_err());
    assert_eq!(missing.watch(SHORT, |_| {}).unwrap(), Ending::Failure);
}

#[test]
fn a_failure_carries_what_the_program_said() {
    let failure = Invocation::new("sh", &["-c", "echo why >&2; exit 1"]).read(SHORT).unwrap_err();
    assert!(failure.to_string().contains("why"), "{failure}");
}

#[test]
fn errors_are_read_where_that_is_wished_and_come_in_their_order() {
    let script = Invocation::new("sh", &["-c", "echo one; echo two >&2; echo three"]);
    let read = |invocation: &Invocation| {
        let mut lines = Vec::new();
        invocation.watch(SHORT, |line| lines.push(line.to_owned())).unwrap();
        lines
    };
    assert_eq!(read(&script), ["one", "three"]);
    assert_eq!(read(&script.with_errors_read()), ["one", "two", "three"]);
}
