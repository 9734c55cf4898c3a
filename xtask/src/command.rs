//! Running other programs: every run is shown, bounded in time, and its output can be read while it is shown.
//!
//! The steps of the test run, the installation and the database all start programs; a limit or a message that is right
//! here is right for all of them.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The status that coreutils' `timeout` ends with when the limit was reached.
const TIMED_OUT: i32 = 124;

/// How long a program that only answers a question, such as `id`, may take.
const MAX_QUESTION: Duration = Duration::from_secs(15);

/// A program to run, its arguments and its environment.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    program: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: Option<String>,
    errors_are_read: bool,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With status 0.
    Success,
    /// With another status, or by a signal.
    Failure,
    /// It was still running when its time was up, and was ended.
    TimedOut,
}

impl Invocation {
    /// Runs `program` with `arguments`.
    pub(crate) fn new(program: impl AsRef<Path>, arguments: &[&str]) -> Self {
        Self {
            program: program.as_ref().to_string_lossy().into_owned(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            environment: Vec::new(),
            folder: None,
            errors_are_read: false,
        }
    }

    /// Adds one variable to the program's environment.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Runs the program in `folder`.
    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_string_lossy().into_owned());
        self
    }

    /// Has [`Self::watch`] read what the program says on standard error, too.
    pub(crate) fn with_errors_read(mut self) -> Self {
        self.errors_are_read = true;
        self
    }

    /// Adds arguments.
    pub(crate) fn and(mut self, arguments: impl IntoIterator<Item = String>) -> Self {
        self.arguments.extend(arguments);
        self
    }

    /// The command line as a person would type it, for messages.
    pub(crate) fn shown(&self) -> String {
        let program = Path::new(&self.program).file_name().map(|name| name.to_string_lossy().into_owned());
        let mut shown = program.unwrap_or_else(|| self.program.clone());
        for argument in &self.arguments {
            shown.push(' ');
            shown.push_str(argument);
        }
        shown
    }

    /// Runs it to its end with its output shown, and fails if it failed.
    pub(crate) fn run(&self, max_duration: Duration) -> Result<()> {
        match self.watch(max_duration, |_| {})? {
            Ending::Success => Ok(()),
            Ending::Failure => bail!("`{}` failed", self.shown()),
            Ending::TimedOut => bail!("`{}` was ended after {} s", self.shown(), max_duration.as_secs()),
        }
    }

    /// Runs it to its end, shows its output and gives each line of standard output to `see`.
    pub(crate) fn watch(&self, max_duration: Duration, mut see: impl FnMut(&str)) -> Result<Ending> {
        println!("$ {}", self.shown());
        let (said, says) = io::pipe().context("could not make a pipe for the program's output")?;
        let mut command = self.bounded(max_duration);
        if self.errors_are_read {
            command.stderr(says.try_clone().context("could not double the pipe")?);
        }
        command.stdin(Stdio::null()).stdout(says);
        let mut child = command.spawn().with_context(|| format!("could not start `{}`", self.program))?;
        // It holds the ends for writing, and the output has an end only once nobody does.
        drop(command);
        for line in BufReader::new(said).split(b'\n') {
            let line = line.context("could not read the program's output")?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            see(&line);
        }
        let status = child.wait().context("could not wait for the program")?;
        Ok(match status.code() {
            Some(0) => Ending::Success,
            Some(TIMED_OUT) => Ending::TimedOut,
            _ => Ending::Failure,
        })
    }

    /// Runs it quietly and gives its standard output, or fails with its standard error.
    pub(crate) fn read(&self, max_duration: Duration) -> Result<String> {
        let output = self
            .bounded(max_duration)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("could not start `{}`", self.program))?;
        if !output.status.success() {
            bail!("`{}` failed: {}", self.shown(), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs it and gives its standard output however it ended; what it says of its progress is shown.
    pub(crate) fn output(&self, max_duration: Duration) -> Result<(Ending, String)> {
        let output = self
            .bounded(max_duration)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("could not start `{}`", self.program))?;
        let ending = match output.status.code() {
            Some(0) => Ending::Success,
            Some(TIMED_OUT) => Ending::TimedOut,
            _ => Ending::Failure,
        };
        Ok((ending, String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Runs it quietly, for a few seconds at most, and says whether it succeeded. One that is not installed did not.
    pub(crate) fn succeeds(&self) -> bool {
        let output = self.bounded(MAX_QUESTION).stdin(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success())
    }

    /// The program under coreutils' `timeout`, which ends the whole process group.
    fn bounded(&self, max_duration: Duration) -> Command {
        let mut command = Command::new("timeout");
        command.arg("--kill-after=10").arg(max_duration.as_secs().to_string());
        command.arg(&self.program).args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }
}

#[cfg(test)]
mod tests;
