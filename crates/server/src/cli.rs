//! The command line: what can be done, and with which words.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use portcullis_domain::Timestamp;

use secrecy::SecretString;

use crate::emulate::{EMULATE_HELP, MIN_EMULATED_PEOPLE, people_in_range, provider_names};
use crate::settings::flags::{AllFlags, PlaceFlags};

/// Columns of a line of help at the most: what a page of text is read with.
const MAX_HELP_WIDTH: usize = 100;

/// Hexadecimal digits of a link of the audit log: SHA-256.
const LINK_DIGITS: usize = 64;

/// The identity control plane of an AI platform. It joins agents, gateways, MCP servers and coding-agent workstations to
/// your company's identity provider, and lets go of them the moment the provider says so.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = MAX_HELP_WIDTH, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve: without any option, SQLite in ./portcullis-data on 127.0.0.1:8080.
    Serve(AllFlags),
    /// Bring the database's schema up to date, then stop; not while `serve` runs, which does this itself.
    Migrate(PlaceFlags),
    /// The configuration.
    #[command(subcommand)]
    Config(Config),
    /// What only whoever has the machine may do.
    #[command(subcommand)]
    Admin(Admin),
    /// The audit log.
    #[command(subcommand)]
    Audit(Audit),
    /// Look at installation and database, and say what is wrong and what to do; also while `serve` runs.
    Doctor(Doctor),
    /// Write a copy of the database that `restore` takes; also while `serve` runs.
    Backup(Backup),
    /// Put a backup in place, while `serve` does not run. It revives nobody: every token ends, and whoever a directory
    /// governs is suspended until that directory speaks of them again.
    Restore(Restore),
    /// Show the main job with an identity provider of its own, step by step, in under a minute.
    Demo(Demo),
    /// Play a provider's whole life cycle against a SCIM server, and check each answer against what it needs.
    Emulate(Emulate),
}

/// `config …`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Read flags, environment and file as `serve` would, show what follows and where it came from, and stop.
    Check(AllFlags),
}

/// `admin …`.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// The root token.
    #[command(subcommand)]
    RootToken(RootToken),
    /// Make a new first-owner link, good for one hour; the one before is good no more. Only while there is no owner.
    FirstOwnerLink(PlaceFlags),
}

/// `admin root-token …`.
#[derive(Debug, Subcommand)]
pub enum RootToken {
    /// End the root token: it is refused from now on, and its file is deleted.
    Off(PlaceFlags),
    /// Make a new root token; the one before is refused from now on.
    New(PlaceFlags),
}

/// `audit …`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Write an organization's log as lines, with the signed head at the end.
    Export(AuditExport),
    /// Check an export, without any server or database. The exit status is 0 if it holds, 1 if it does not, and 2 if it
    /// could not be checked.
    Verify(AuditVerify),
}

/// `audit export`.
#[derive(Debug, Args)]
pub struct AuditExport {
    /// Where things are.
    #[command(flatten)]
    pub flags: PlaceFlags,
    /// The organization, by slug or id; also one that was deleted.
    pub organization: String,
    /// The file to write; `-` is standard output.
    #[arg(default_value = "-")]
    pub file: PathBuf,
}

/// `audit verify`.
#[derive(Debug, Args)]
pub struct AuditVerify {
    /// The file to check; `-` is standard input.
    pub file: PathBuf,
    /// The organization's key set, fetched from `/o/{org}/jwks` at a time you trust. Without it the keys in the file
    /// are believed, and the answer says so.
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// How many events there were at your last check: an export with fewer was cut.
    #[arg(long, value_name = "EVENTS", default_value_t = 0)]
    pub at_least: i64,
    /// The head of your last check, as it was printed: an export that does not go on from it is another log. May be
    /// given more than once.
    #[arg(long, value_name = "EVENTS:LINK", value_parser = known_link)]
    pub known_link: Vec<(i64, String)>,
    /// When you asked for the export, or earlier (RFC 3339): one whose head was signed before that is old.
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub not_before: Option<Timestamp>,
}

fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| "an instant, such as 2026-11-30T05:59:21Z".to_owned())
}

/// The number of an event and its link, as `audit verify` prints them.
fn known_link(text: &str) -> Result<(i64, String), String> {
    let wanted = || "a number of events, a colon and 64 hexadecimal digits".to_owned();
    let (number, link) = text.split_once(':').ok_or_else(wanted)?;
    let number: i64 = number.parse().ok().filter(|number| *number > 0).ok_or_else(wanted)?;
    let is_link = link.len() == LINK_DIGITS && link.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_link { Ok((number, link.to_owned())) } else { Err(wanted()) }
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The configuration that is looked at.
    #[command(flatten)]
    pub flags: AllFlags,
    /// One JSON object a finding, for machines.
    #[arg(long)]
    pub json: bool,
}

/// `backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// Where things are.
    #[command(flatten)]
    pub flags: PlaceFlags,
    /// The file to write; it must not be there.
    pub file: PathBuf,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// Where things are.
    #[command(flatten)]
    pub flags: PlaceFlags,
    /// The backup.
    #[arg(required_unless_present = "in_place")]
    pub file: Option<PathBuf>,
    /// Put it in place of a database that is there.
    #[arg(long)]
    pub replace: bool,
    /// Make a restore of the database as it is: after PostgreSQL's own tools put it back.
    #[arg(long, conflicts_with_all = ["file", "replace"])]
    pub in_place: bool,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// One JSON object a line: each step, then a summary.
    #[arg(long)]
    pub json: bool,
}

/// `emulate`.
#[derive(Debug, Args)]
#[command(after_long_help = EMULATE_HELP)]
pub struct Emulate {
    /// Whose life cycle. `--list` says what is special about each.
    #[arg(required_unless_present = "list", value_parser = provider_names())]
    pub provider: Option<String>,
    /// Name the providers and what is special about each.
    #[arg(long, exclusive = true)]
    pub list: bool,
    /// The SCIM base URL, as it is pasted into the provider; `/Users` follows it.
    #[arg(long, value_name = "URL", required_unless_present = "list")]
    pub base_url: Option<String>,
    /// The bearer token. Everybody on this machine can read a command line: better a file, or the variable SCIM_TOKEN.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    pub token: Option<SecretString>,
    /// A file that holds the bearer token; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// How many people; those beyond the first four are created, grouped and deactivated as a crowd.
    #[arg(long, value_name = "N", default_value_t = MIN_EMULATED_PEOPLE, value_parser = people_in_range)]
    pub people: usize,
    /// Leave what was made at the server, to look at it there.
    #[arg(long)]
    pub keep: bool,
    /// PEM certificates of authorities to trust besides the public ones.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// One JSON object a line: each step, then a summary; not with `--verbose`.
    #[arg(long)]
    pub json: bool,
    /// Show of every step what was sent and received, not only of those that failed.
    #[arg(long, conflicts_with = "json")]
    pub verbose: bool,
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
