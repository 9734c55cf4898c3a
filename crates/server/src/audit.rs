//! `audit export` and `audit verify`: an organization's log as a file, and the check of such a file without any server.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use portcullis_domain::id::OrganizationId;
use portcullis_service::audit_export::{self, Exported, Finding, Known, MAX_LINE, Verified};
use portcullis_service::noun::Noun;
use portcullis_service::{ServiceError, organization};
use portcullis_store::Store;

use crate::cli::AuditVerify;
use crate::database;
use crate::say::{Progress, complain, counted, say};
use crate::secrets;
use crate::settings::Settings;

/// What stands for standard input and standard output.
const STANDARD: &str = "-";
/// Lines that wait to be written.
const MAX_WAITING_LINES: usize = 1024;
/// A person who waits is told of so many lines that were written, seconds apart.
const TELL_AFTER_LINES: u64 = 200_000;
/// The same of what was read, in bytes: as many lines, roughly.
const TELL_AFTER_BYTES: u64 = 200 << 20;
/// The exit status where nothing was checked; 1 is of a log that was.
const NOT_CHECKED: u8 = 2;

/// Writes the log of the organization of that slug or id into a file (0600) that is not there.
///
/// # Errors
/// If there is no such database or organization; if the file is there; from database and file. No file is left of an
/// export that failed.
pub fn export(settings: &Settings, named: String, file: &Path) -> Result<()> {
    let store = database::connect_existing(settings)?;
    // Before the file is made: an empty one would be in the way of the next try.
    let found = store.read_blocking({
        let named = named.clone();
        move |tx| organization::of_log(tx, &named)
    });
    let organization = match found {
        Ok(found) => found.id,
        Err(ServiceError::NotFound(Noun::Organization)) => {
            bail!("there is no organization `{named}` in {}", settings.database)
        }
        Err(error) => return Err(error.into()),
    };
    let out = output(file)?;
    let written = write(store, organization, (file, out));
    if written.is_err() && file != Path::new(STANDARD) {
        // Half a log is of no use, and would be in the way of the next try.
        secrets::remove(file)?;
    }
    let Exported { events, waiting, waiting_since } = written?;
    complain!("{}", counted(events, "event", "events"));
    if let Some(since) = waiting_since.filter(|_| waiting > 0) {
        complain!(
            "note: {} more {} no number yet, since {}, and {} not in it: a server that runs gives it within a second; where it \
             does not, `portcullis doctor` and its log say why; a database that nobody serves keeps them without one",
            counted(waiting, "event", "events"),
            if waiting == 1 { "has" } else { "have" },
            since.rfc3339(),
            if waiting == 1 { "is" } else { "are" },
        );
    }
    Ok(())
}

/// Writes the log, and how many events it has.
fn write(
    store: Store,
    organization: OrganizationId,
    (file, out): (&Path, Box<dyn Write + Send>),
) -> Result<Exported> {
    let (sender, receiver) = std::sync::mpsc::sync_channel::<String>(MAX_WAITING_LINES);
    let progress = Progress::begin();
    let writer = std::thread::spawn(move || {
        let mut out = BufWriter::new(out);
        for (line, number) in receiver.into_iter().zip(1u64..) {
            writeln!(out, "{line}")?;
            if number % TELL_AFTER_LINES == 0 {
                progress.now(format_args!("{number} lines written"));
            }
        }
        out.flush()
    });
    let events = store.read_blocking(move |tx| {
        audit_export::export(tx, organization, |line| {
            let text = serde_json::to_string(line)?;
            sender.send(text).map_err(|_| io::Error::other("the output is closed"))
        })
    });
    drop(store);
    match writer.join() {
        Ok(written) => written.with_context(|| format!("`{}`", file.display()))?,
        Err(_) => bail!("the writer of the export ended early"),
    }
    Ok(events?)
}

fn output(file: &Path) -> Result<Box<dyn Write + Send>> {
    if file == Path::new(STANDARD) {
        return Ok(Box::new(io::stdout()));
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(made) => Ok(Box::new(made)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("`{}` is there already; an export never overwrites a file", file.display())
        }
        Err(error) => Err(error).with_context(|| format!("`{}`", file.display())),
    }
}

/// How a check ended. A log that was checked and does not hold is another thing than one that nobody could look at: a
/// timer that runs the check must tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Verified,
    /// It does not.
    NotVerified,
    /// A file is not there or cannot be read, or the key set is none.
    NotChecked,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Verified => Self::SUCCESS,
            Outcome::NotVerified => Self::FAILURE,
            Outcome::NotChecked => Self::from(NOT_CHECKED),
        }
    }
}

/// Checks an export, and says what came of it.
pub fn verify(wanted: &AuditVerify) -> Outcome {
    match check(wanted) {
        Ok((Ok(verified), known)) => {
            tell(&verified, &known);
            Outcome::Verified
        }
        Ok((Err(finding), _)) => {
            say!("not verified: {finding}");
            Outcome::NotVerified
        }
        Err(error) => {
            complain!("portcullis: not checked: {error:#}");
            Outcome::NotChecked
        }
    }
}

/// What the check found, if it could be made.
fn check(wanted: &AuditVerify) -> Result<(Result<Verified, Finding>, Known)> {
    let keys = wanted.jwks.as_deref().map(keys).transpose()?;
    let links = wanted.known_link.iter().cloned().collect();
    let known = Known { keys, events: wanted.at_least, links, not_before: wanted.not_before };
    let named = || format!("`{}`", wanted.file.display());
    let input: Box<dyn Read> = if wanted.file == Path::new(STANDARD) {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(&wanted.file).with_context(named)?)
    };
    let mut input = Watched { input, failed: None, so_far: 0, progress: Progress::begin() };
    let found = audit_export::verify(BufReader::with_capacity(MAX_LINE, &mut input), &known);
    match input.failed {
        Some(why) => Err(anyhow!(why).context(named())),
        None => Ok((found, known)),
    }
}

fn keys(path: &Path) -> Result<Vec<serde_json::Value>> {
    let named = || format!("`{}`", path.display());
    let text = std::fs::read_to_string(path).with_context(named)?;
    let set: serde_json::Value = serde_json::from_str(&text).context("it is not JSON").with_context(named)?;
    let keys = set.get("keys").and_then(serde_json::Value::as_array);
    keys.cloned().with_context(|| format!("{}: it is no key set, because it has no `keys`", named()))
}

fn tell(verified: &Verified, known: &Known) {
    say!("verified: {} of {}", counted(verified.events, "event", "events"), verified.organization);
    say!("head:     {}", verified.link);
    say!(
        "next:     --known-link {}:{} (keep it: the next export must go on from here)",
        verified.events,
        verified.link
    );
    say!("signed:   by key {} at {}", verified.kid, verified.at.rfc3339());
    if known.keys.is_none() {
        say!("note:     the key came with the file; compare it with /o/{{org}}/jwks, or pass --jwks");
    }
}

/// What is read and how much of it was, and whether the system failed while it was: that is no finding about the log.
struct Watched {
    input: Box<dyn Read>,
    failed: Option<io::Error>,
    /// Bytes.
    so_far: u64,
    progress: Progress,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(error);
            }
            io::Error::from(kind)
        })?;
        let before = self.so_far;
        self.so_far += u64::try_from(read).unwrap_or(0);
        if self.so_far / TELL_AFTER_BYTES > before / TELL_AFTER_BYTES {
            self.progress.now(format_args!("{} MB checked", self.so_far >> 20));
        }
        Ok(read)
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
