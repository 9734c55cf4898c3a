//! What commands say on standard output and standard error.
//!
//! Whoever reads may go before everything is said, as `head` and `grep -q` do. That is no fault of a command: what it does
//! is done all the same, and its exit status says how that went. (`println!` panics there.)

use std::fmt::Arguments;
use std::io::{self, ErrorKind, IsTerminal as _, Write};

/// How many there are, of what is one thing so called and several so.
#[must_use]
pub fn counted(count: impl TryInto<u64>, one: &str, many: &str) -> String {
    // INVARIANT: what is counted is not negative.
    let count = count.try_into().unwrap_or_default();
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Says a line on standard output.
macro_rules! say {
    ($($text:tt)*) => { $crate::say::on_output(format_args!($($text)*)) };
}

/// Says a line on standard error.
macro_rules! complain {
    ($($text:tt)*) => { $crate::say::on_error(format_args!($($text)*)) };
}

pub(crate) use {complain, say};

/// What a command is at, for a person who waits at a terminal: whoever reads it from a file or a job is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A person waits.
    Shown,
    /// Nobody does.
    Hidden,
}

impl Progress {
    /// Shown where standard error is a terminal.
    #[must_use]
    pub fn begin() -> Self {
        if io::stderr().is_terminal() { Self::Shown } else { Self::Hidden }
    }

    /// Says what it is at now.
    pub fn now(self, at: Arguments<'_>) {
        if self == Self::Shown {
            on_error(format_args!("… {at}"));
        }
    }
}

/// A line on standard output. One that cannot be written, because a disk is full, is complained of.
pub fn on_output(line: Arguments<'_>) {
    match write(io::stdout().lock(), line) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain!("portcullis: standard output: {error}");
        }
        Ok(()) | Err(_) => {}
    }
}

/// A line on standard error. Of one that cannot be written there is nowhere to complain.
pub fn on_error(line: Arguments<'_>) {
    let _ = write(io::stderr().lock(), line);
}

fn write(mut out: impl Write, line: Arguments<'_>) -> io::Result<()> {
    writeln!(out, "{line}")?;
    out.flush()
}
