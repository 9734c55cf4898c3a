//! What each command does, and with which exit status it ends.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use portcullis_service::audit_export::{self, Known, MAX_LINE};
use portcullis_store::Store;

use crate::admin::{self, Order};
use crate::cli::{Admin, Audit, AuditExport, AuditVerify, Cli, Command, Config, RootToken};
use crate::clock::SystemClock;
use crate::ending::{Ending, MAX_HANGING};
use crate::settings::flags::Given;
use crate::settings::{Settings, Sources};
use crate::{check, data_dir, database, demo, doctor, emulate, log, restore, serve};

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
                    eprintln!(
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
            let _held = data_dir::hold(&settings.data, settings.database.file())?;
            database::open_or_make(&settings)?;
            println!("the database is up to date: {}", settings.database);
        }
        Command::Doctor(wanted) => return doctor::run(&settings(wanted.flags.0)?, wanted.json),
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
        Command::Audit(Audit::Verify(verify)) => return audit_verify(&verify),
        Command::Audit(Audit::Export(export)) => audit_export(export)?,
        Command::Demo(wanted) => return runtime()?.block_on(demo::run(&wanted)),
        Command::Emulate(wanted) => return emulate::run(&runtime()?, &wanted),
    }
    Ok(ExitCode::SUCCESS)
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

fn audit_export(export: AuditExport) -> Result<()> {
    let settings = settings(export.flags.0)?;
    let store = Store::connect(&database::options(&settings)?, Arc::new(SystemClock))?;
    let mut out: Box<dyn std::io::Write + Send> = if export.file == Path::new("-") {
        Box::new(std::io::stdout())
    } else {
        Box::new(File::create_new(&export.file).with_context(|| format!("`{}`", export.file.display()))?)
    };
    let (sender, receiver) = std::sync::mpsc::sync_channel::<String>(1024);
    let writer = std::thread::spawn(move || {
        let mut out = BufWriter::new(&mut out);
        for line in receiver {
            writeln!(out, "{line}")?;
        }
        out.flush()
    });
    let named = export.organization;
    let events = store.read_blocking(move |tx| {
        let organization = portcullis_service::organization::named(tx, &named)?;
        audit_export::export(tx, organization.id, |line| {
            let text = serde_json::to_string(line)?;
            sender.send(text).map_err(|_| std::io::Error::other("the output is closed"))
        })
    });
    drop(store);
    match writer.join() {
        Ok(written) => written?,
        Err(_) => bail!("the writer of the export ended early"),
    }
    eprintln!("{} events", events?);
    Ok(())
}

fn audit_verify(verify: &AuditVerify) -> Result<ExitCode> {
    let keys = match &verify.jwks {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("`{}`", path.display()))?;
            let set: serde_json::Value = serde_json::from_str(&text).context("the key set is not JSON")?;
            let keys = set.get("keys").and_then(serde_json::Value::as_array);
            Some(keys.context("the key set has no `keys`")?.clone())
        }
    };
    let links = verify.known_link.iter().cloned().collect();
    let known = Known { keys, events: verify.at_least, links };
    let input: Box<dyn std::io::Read> = if verify.file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(&verify.file).with_context(|| format!("`{}`", verify.file.display()))?)
    };
    let reader = BufReader::with_capacity(MAX_LINE, input);
    match audit_export::verify(reader, &known) {
        Ok(verified) => {
            println!("verified: {} events of {}", verified.events, verified.organization);
            println!("head:     {}", verified.link);
            println!(
                "next:     --known-link {}:{} (keep it: the next export must go on from here)",
                verified.events, verified.link
            );
            println!("signed:   by key {}", verified.kid);
            if known.keys.is_none() {
                println!(
                    "note:     the key came with the file; compare it with /o/{{org}}/jwks, or pass --jwks"
                );
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(finding) => {
            println!("not verified: {finding}");
            Ok(ExitCode::FAILURE)
        }
    }
}
