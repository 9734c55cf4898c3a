//! Development tasks: `cargo xtask COMMAND`.
//!
//! Everything that a contributor or CI does to this repository beyond plain cargo starts here, so that the README can
//! name one command and CI can call the same one. Nothing in this crate is part of the product.
#![expect(
    clippy::disallowed_methods,
    reason = "a development tool reads the clock and the environment itself"
)]

mod command;
mod demo_svg;
mod figures;
mod fuzz;
mod keycloak;
mod mutants;
mod postgres;
mod scratch;
mod setup;
mod steps;
mod suite;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::postgres::Durability;
use crate::suite::{Selection, Tier};
use crate::workspace::Workspace;

const USAGE: &str = "\
cargo xtask COMMAND

  test [--only STEP]… [--list] [--long]   set everything up and run every test; --list names the steps
  setup                                   install what the tests need, then stop
  figures [PART]… [--runs N] [--divide N] measure the figures of docs/reference/performance.md
  tidy                                    check the architecture, the words and the links
  fuzz [TARGET]… [--seconds N]            drive the fuzz targets, a minute each
  mutants [--only FILES] [--list]         let the tests judge every change of what carries access out
  demo-svg [BINARY]                       run the demo and keep its output as docs/demo.svg
  with-postgres [--durable] COMMAND…      run COMMAND with a PostgreSQL of its own in PORTCULLIS_TEST_POSTGRES
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = words.split_first() else {
        bail!("say what to do\n\n{USAGE}");
    };
    if matches!(command.as_str(), "help" | "--help" | "-h") {
        print!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let workspace = Workspace::find()?;
    match command.as_str() {
        "tidy" => tidy(&workspace),
        "setup" => {
            setup::everything(&workspace)?;
            Ok(ExitCode::SUCCESS)
        }
        "fuzz" => {
            fuzz::run(&workspace, &fuzz::Wish::parse(rest)?)?;
            Ok(ExitCode::SUCCESS)
        }
        "demo-svg" => {
            demo_svg::make(&workspace, rest.first().map(String::as_str))?;
            Ok(ExitCode::SUCCESS)
        }
        "mutants" => mutants::run(&workspace, &mutants::Wish::parse(rest)?),
        "figures" => figures::run(&workspace, rest),
        "test" => test(&workspace, rest),
        "with-postgres" => with_postgres(&workspace, rest),
        other => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
}

fn tidy(workspace: &Workspace) -> Result<ExitCode> {
    let faults = tidy::check(workspace)?;
    for fault in &faults {
        println!("{fault}");
    }
    if faults.is_empty() {
        println!("tidy: nothing to mend");
        return Ok(ExitCode::SUCCESS);
    }
    println!("tidy: {} to mend", faults.len());
    Ok(ExitCode::FAILURE)
}

fn test(workspace: &Workspace, rest: &[String]) -> Result<ExitCode> {
    let mut selection = Selection { only: Vec::new(), tier: Tier::Every };
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--list" => {
                print!("{}", suite::list());
                return Ok(ExitCode::SUCCESS);
            }
            "--long" => selection.tier = Tier::Long,
            "--only" => match words.next() {
                Some(name) => selection.only.push(steps::find(name)?),
                None => bail!("`--only` needs the name of a step\n\n{}", suite::list()),
            },
            other => bail!("`test` does not know `{other}`\n\n{USAGE}"),
        }
    }
    suite::run(workspace, &selection)
}

fn with_postgres(workspace: &Workspace, rest: &[String]) -> Result<ExitCode> {
    let (durability, rest) = match rest.split_first() {
        Some((first, rest)) if first == "--durable" => (Durability::Synced, rest),
        _ => (Durability::Unsynced, rest),
    };
    let Some((program, arguments)) = rest.split_first() else {
        bail!("`with-postgres` needs a command to run\n\n{USAGE}");
    };
    let cluster = postgres::Cluster::start(workspace, durability)?;
    let status = std::process::Command::new(program).args(arguments).envs(cluster.environment()).status()?;
    drop(cluster);
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
