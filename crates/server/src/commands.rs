//! What each command does, and with which exit status it ends.

use std::process::ExitCode;

use anyhow::Result;

use crate::admin::{self, Order};
use crate::cli::{Admin, Audit, Cli, Command, Config, RootToken};
use crate::ending::{Ending, MAX_HANGING};
use crate::say::{complain, say};
use crate::settings::flags::Given;
use crate::settings::{Settings, Sources};
use crate::{audit, check, data_dir, database, demo, doctor, emulate, log, restore, serve};

/// Runs a command.
///
/// # Errors
/// What went wrong, for a person.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Serve(flags) => {
            let settings = settings(flags.0)?;
            let runtime = runtime()?;
            let served = runtime.block_on(async {
                let logging = log::begin(&settings)?;
                let ending = Ending::default();
                let served = serve::serve(settings, &ending).await;
                if ending.rest(tokio::task::spawn_blocking(|| logging.finish())).await.is_none() {
                    complain!(
                        "portcullis: spans were lost at the end: the collector did not take them in time"
                    );
                }
                served
            });
            // A thread that waits for a database which does not answer would be waited for without end.
            runtime.shutdown_timeout(MAX_HANGING);
            served?;
        }
        Command::Migrate(flags) => {
            let settings = settings(flags.0)?;
            let _locked = data_dir::lock(&settings.data, settings.database.file())?;
            say!("{}", migrate(&settings)?);
        }
        Command::Doctor(wanted) => {
            let form = if wanted.json { doctor::Form::Json } else { doctor::Form::Text };
            return doctor::run(&settings(wanted.flags.0)?, form);
        }
        Command::Backup(wanted) => restore::write_backup(&settings(wanted.flags.0.clone())?, &wanted)?,
        Command::Restore(wanted) => restore::restore(&settings(wanted.flags.0.clone())?, &wanted)?,
        Command::Config(Config::Check(flags)) => {
            let runtime = runtime()?;
            // What reaches out is set up on a runtime, also where it then reaches for nothing.
            let _entered = runtime.enter();
            check::run(&sources(flags.0))?;
        }
        Command::Admin(Admin::RootToken(RootToken::Off(flags))) => {
            admin::order(&settings(flags.0)?, Order::RootTokenOff)?;
        }
        Command::Admin(Admin::RootToken(RootToken::New(flags))) => {
            admin::order(&settings(flags.0)?, Order::RootTokenNew)?;
        }
        Command::Admin(Admin::FirstOwnerLink(flags)) => {
            admin::order(&settings(flags.0)?, Order::FirstOwnerLink)?;
        }
        Command::Audit(Audit::Verify(verify)) => return Ok(audit::verify(&verify).into()),
        Command::Audit(Audit::Export(wanted)) => {
            let settings = settings(wanted.flags.0)?;
            audit::export(&settings, wanted.organization, &wanted.file)?;
        }
        Command::Demo(wanted) => return runtime()?.block_on(demo::run(&wanted)),
        Command::Emulate(wanted) => return emulate::run(&runtime()?, &wanted),
    }
    Ok(ExitCode::SUCCESS)
}

/// Brings the database up to date, and says whether it was there: whoever is in another folder than they think would
/// upgrade nothing.
fn migrate(settings: &Settings) -> Result<String> {
    let was_there = database::must_be_there(settings).is_ok();
    database::open_or_make(settings)?;
    let done = if was_there { "the database is up to date" } else { "there was none; made a new database" };
    Ok(format!("{done}: {}", database::place(settings)))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn sources(given: Given) -> Sources {
    Sources { flags: given.flags, config: given.config, environment: environment() }
}

/// The whole environment, where it is text.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The settings that `serve` would have.
///
/// # Errors
/// Every problem at once.
pub fn settings(given: Given) -> Result<Settings> {
    Ok(Settings::from_sources(&sources(given))?)
}

#[cfg(test)]
#[path = "commands_tests.rs"]
mod tests;
