//! What commands say on standard output and standard error.
//!
//! Whoever reads may go before everything is said, as `head` and `grep -q` do. That is no fault of a command: what it does
//! is done all the same, and its exit status says how that went. (`println!` panics there.)

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// Says a line on standard output.
macro_rules! say {
    ($($text:tt)*) => { $crate::say::on_output(format_args!($($text)*)) };
}

/// Says a line on standard error.
macro_rules! complain {
    ($($text:tt)*) => { $crate::say::on_error(format_args!($($text)*)) };
}

pub(crate) use {complain, say};

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
