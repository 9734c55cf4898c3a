//! Use cases: begin, load, decide, apply, commit, publish; jobs.
