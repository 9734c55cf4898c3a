//! Use cases: begin, load, decide, apply, commit, publish; jobs.

pub mod fetch;
pub mod sealing;
