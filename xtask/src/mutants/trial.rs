//! Some tests of one program, run with a mutant or without, to the first that fails or to the end of their time.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::build::Program;
use crate::command::Invocation;
use crate::postgres;
use crate::steps::DATABASE;

/// The database of the benches that are on the database of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Database {
    /// As where nothing is said.
    Sqlite,
    /// As in the step `on-postgres`.
    Postgres,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// Every test passed.
    Passed,
    /// This one did not, or the program died.
    Failed(String),
    /// They took too long.
    OutOfTime,
}

/// Where trials are run, one at a time a worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    /// A folder for what the tests leave behind, below which each worker has its own.
    pub(super) folder: &'a Path,
    /// What the tests need to know about PostgreSQL.
    pub(super) environment: &'a [(String, String)],
}

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial<'a> {
    /// Where the tests are.
    pub(super) program: &'a Program,
    /// Their names.
    pub(super) tests: &'a [&'a str],
    /// On which database those are that are on either.
    pub(super) database: Database,
    /// The mutant that is chosen.
    pub(super) mutant: Option<u32>,
    /// Where the numbers of reached mutants are written.
    pub(super) reached: Option<&'a Path>,
}

impl Database {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

impl Ground<'_> {
    /// A folder of one worker, as its tests' folder for temporary files.
    pub(super) fn of(&self, worker: usize) -> PathBuf {
        self.folder.join(worker.to_string())
    }

    /// Runs it for as long as `max_duration`, as `worker`.
    pub(super) fn run(&self, worker: usize, trial: &Trial<'_>, max_duration: Duration) -> Result<Ended> {
        let folder = self.of(worker);
        fs::create_dir_all(&folder).context("could not make a folder for temporary files")?;
        let mut command = Command::new(&trial.program.path);
        command.current_dir(&trial.program.folder).arg("--exact").args(trial.tests);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("TMPDIR", &folder).env(DATABASE, trial.database.name());
        if let Some(mutant) = trial.mutant {
            command.env("PORTCULLIS_MUTANT", mutant.to_string());
        }
        if let Some(reached) = trial.reached {
            command.env("PORTCULLIS_MUTANTS_REACHED", reached);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().with_context(|| format!("could not start `{}`", trial.program.path.display()))?;
        let ended = watch(&mut child, max_duration);
        let _ = child.kill();
        let status = child.wait().context("could not wait for the tests")?;
        // Whoever was ended cleans nothing up.
        let _ = fs::remove_dir_all(&folder);
        Ok(match ended? {
            Ended::Passed if !status.success() => Ended::Failed("the program itself".to_owned()),
            ended => ended,
        })
    }

    /// Drops the databases of processes that are gone: those that were ended, and the patterns that others were copied from.
    pub(super) fn sweep(&self) {
        let named = |name: &str| self.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let (Some(url), Some(binaries)) = (named(postgres::URL), named(postgres::BINARIES)) else { return };
        let psql = |statement: &str| {
            let words = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", statement];
            Invocation::new(Path::new(binaries).join("psql"), &words)
                .and([url.clone()])
                .read(Duration::from_secs(60))
        };
        let names = psql("SELECT datname FROM pg_database").unwrap_or_default();
        for name in names.lines() {
            let process = name.split('_').nth(1).filter(|part| part.parse::<u32>().is_ok());
            if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                let _ = psql(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            }
        }
    }
}

/// Reads what the harness says until a test fails, it ends, or its time is up.
fn watch(child: &mut Child, max_duration: Duration) -> Result<Ended> {
    let until = Instant::now() + max_duration;
    let stdout = child.stdout.take().context("the tests' output is not connected")?;
    let (say, hear) = mpsc::channel();
    // It ends with the program, whose end closes what it reads.
    std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| say.send(line))
    });
    loop {
        match hear.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some(name) = failed(&line) {
                    return Ok(Ended::Failed(name.to_owned()));
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => return Ok(Ended::OutOfTime),
            Err(mpsc::RecvTimeoutError::Disconnected) => return wait(child, until),
        }
    }
}

/// Waits for a program that says nothing any more: killing it now would make a failure of its success.
fn wait(child: &mut Child, until: Instant) -> Result<Ended> {
    while Instant::now() < until {
        if child.try_wait().context("could not watch the tests")?.is_some() {
            return Ok(Ended::Passed);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(Ended::OutOfTime)
}

/// The test that a line of the harness says has failed: `test NAME ... FAILED`.
fn failed(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix("test ")?.split_once(" ... FAILED")?;
    Some(name.strip_suffix(" - should panic").unwrap_or(name))
}

#[cfg(test)]
pub(super) mod tests {
    use std::process::Command;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::{Database, Ended, Ground, Trial, failed};
    use crate::mutants::build::Program;

    static PROGRAMS: AtomicUsize = AtomicUsize::new(0);

    /// A script in the place of a program with tests, in a folder of its own.
    pub(in crate::mutants) fn program(script: &str) -> Program {
        let number = PROGRAMS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("portcullis-trial-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        // `bash --exact` would be no shell: the name of the program's file is what a test harness reads its words behind.
        let path = folder.join("program");
        // Written by another process: a file is no program while a child of this one, begun meanwhile, has it open to write.
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod +x "$0""#]).arg(&path).arg(script);
        assert!(shell.status().unwrap().success());
        Program { target: String::new(), path, folder }
    }

    fn ended(script: &str) -> Ended {
        let program = program(script);
        let folder = program.folder.join("tmp");
        let ground = Ground { folder: &folder, environment: &[] };
        let trial = Trial {
            program: &program,
            tests: &["one"],
            database: Database::Sqlite,
            mutant: None,
            reached: None,
        };
        let ended = ground.run(0, &trial, Duration::from_secs(2)).unwrap();
        std::fs::remove_dir_all(&program.folder).unwrap();
        ended
    }

    #[test]
    fn the_first_test_that_fails_ends_a_trial_and_so_do_its_time_and_its_death() {
        assert_eq!(ended("echo 'test one ... ok'"), Ended::Passed);
        assert_eq!(ended("echo 'test one ... FAILED'; exec sleep 60"), Ended::Failed("one".to_owned()));
        assert_eq!(ended("exec sleep 61"), Ended::OutOfTime);
        assert_eq!(ended("exit 101"), Ended::Failed("the program itself".to_owned()));
    }

    #[test]
    fn only_the_line_of_a_test_says_that_it_failed() {
        assert_eq!(failed("test a::b ... FAILED"), Some("a::b"));
        assert_eq!(failed("test a::b - should panic ... FAILED"), Some("a::b"));
        assert_eq!(failed("test result: FAILED. 0 passed"), None);
        assert_eq!(failed("test a::b ... ok"), None);
    }
}
