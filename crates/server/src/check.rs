//! `config check`: what `serve` would begin with, read by the very code that `serve` reads it with, and nothing begun.
//!
//! A configuration is good only if `serve` takes it. So the files that it names are opened here too, and every problem is
//! told at once: whoever mends a configuration mends it once.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use portcullis_store::{Store, migration};

use crate::admin::Door;
use crate::clock::SystemClock;
use crate::random::SystemRandom;
use crate::say::say;
use crate::secrets::{self, IfMissing};
use crate::settings::{Settings, Sources};
use crate::{data_dir, database, fetch, listen, serve, workload};

/// Says what follows from these sources, or everything that is wrong with them. To be called on a runtime.
///
/// # Errors
/// Every problem, one a line.
pub fn run(sources: &Sources) -> Result<()> {
    let (loaded, settings, problems) = Settings::examined(sources)?;
    let mut problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.extend(unusable(&settings));
    if !problems.is_empty() {
        bail!(problems.join("\n"));
    }
    for (setting, text, place) in loaded.shown(&settings) {
        say!("{:<28} {text}  ({place})", setting.key());
    }
    for warning in settings.warnings() {
        say!("warning: {warning}");
    }
    say!("the configuration is good");
    Ok(())
}

/// What `serve` would refuse of the files and folders that are named.
fn unusable(settings: &Settings) -> Vec<String> {
    let (identity, identified) = match workload::read(settings, &serve::polling(settings)) {
        Ok(read) => (read.map(|(_, source)| source), Ok(())),
        Err(error) => (None, Err(error)),
    };
    let looked = [
        data_dir::can_be_made(&settings.data).map_err(anyhow::Error::from),
        Door::must_fit(&settings.data),
        sealing_key(settings),
        settings.tls.as_ref().map_or(Ok(()), |files| Ok(listen::tls(files).map(drop)?)),
        identified,
        fetch::outbound(settings, identity).map(drop),
        database::options(settings).map(drop),
    ];
    looked.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect()
}

/// The key must be one, if it is there. A missing one is made only for a database that is new, in a folder that is there.
fn sealing_key(settings: &Settings) -> Result<()> {
    let file = &settings.sealing_key_file;
    if file.parent() == Some(&settings.data) && !settings.data.is_dir() {
        // It comes with the data folder, of which everything is said elsewhere.
        return Ok(());
    }
    if secrets::read(file)?.is_some() {
        secrets::sealing_key(file, IfMissing::Refuse, &mut SystemRandom)?;
        return Ok(());
    }
    if settings.database.file().is_some_and(Path::exists) {
        let store = Store::connect(&database::options(settings)?, Arc::new(SystemClock))?;
        if !store.read_blocking(migration::applied)?.is_empty() {
            return serve::must_be_sealed_by(settings, &store);
        }
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder.metadata().with_context(|| format!("the folder of the sealing key `{}`", file.display()))?;
    Ok(())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
