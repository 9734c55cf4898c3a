//! The binary `portcullis`: configuration, command line, wiring, outbound calls.
//!
//! Only this room knows the environment, files, sockets and the HTTP client. Everything below gets the time, randomness
//! and the way out as values.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod admin;
mod audit;
mod check;
mod cli;
mod clock;
mod commands;
mod data_dir;
mod database;
mod demo;
mod descriptors;
mod doctor;
mod emulate;
mod ending;
mod fetch;
mod lease;
mod listen;
mod log;
mod mark;
mod metrics;
mod random;
mod restore;
mod root_token;
mod say;
mod secrets;
mod serve;
mod settings;
mod table;
mod workload;

use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

/// Requests allocate on one thread what another one frees. The system's allocator gives memory back to the kernel and takes
/// it again for every few of them, which takes a tenth of all processor time.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

use crate::say::complain;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            complain!("portcullis: {error:#}");
            ExitCode::FAILURE
        }
    }
}
