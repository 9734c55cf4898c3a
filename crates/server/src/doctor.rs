//! `portcullis doctor`: looks at the installation and says what is wrong and what to do.
//!
//! It changes nothing, and works beside a server that runs. Each finding has a stable code, for monitoring.

mod code;
mod machine;

use std::fs::Metadata;
use std::io::BufReader;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use portcullis_domain::organization::Organization;
use portcullis_domain::{Clock as _, Timestamp};
use portcullis_service::audit_export::{self, Known};
use portcullis_service::caller::ROOT_TOKEN_HASH;
use portcullis_service::outbox::KEPT_S;
use portcullis_service::{ServiceError, first_owner, restoring};
use portcullis_store::checkup::{self, Checkup};
use portcullis_store::{Dialect, Store, StoreError, audit, instance, migration, outbox};
use serde::{Serialize, Serializer};

use self::code::Code;
use self::machine::Kept;
use crate::clock::SystemClock;
use crate::mark::{self, MarkError, UNFINISHED};
use crate::say::{Progress, counted, say};
use crate::secrets::{self, ROOT_TOKEN_FILE};
use crate::settings::{DatabaseUrl, Settings, Warning};
use crate::{data_dir, database, serve};

/// Seconds after which what is done right after a commit is late.
const LATE_S: i64 = 60;
/// Seconds before its end when a SCIM token should be renewed: two weeks.
const SOON_S: i64 = 14 * 24 * 3600;
/// Seconds that a row may be ahead of this machine's clock.
const MAX_AHEAD_S: i64 = 300;
/// Seconds by which a message may be older than messages are kept, before nobody seems to drop them.
const MAX_OVERDUE_S: i64 = 24 * 3600;
/// Events of one organization beyond which its log is not verified here.
const MAX_EVENTS: i64 = 50_000;
/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It does not work, or is not safe.
    Error,
    /// It works; somebody should look.
    Warning,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The stable code.
    #[serde(serialize_with = "as_text")]
    pub code: Code,
    /// How bad it is.
    pub level: Level,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

fn as_text<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

impl Finding {
    fn error(code: Code, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code, level: Level::Error, what: what.into(), remedy: remedy.into() }
    }

    fn warning(code: Code, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code, level: Level::Warning, what: what.into(), remedy: remedy.into() }
    }
}

/// How far the look went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Not into the database, or not through it.
    #[default]
    Outside,
    /// Everything was looked at.
    All,
}

/// The findings so far.
#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
    reach: Reach,
}

impl Report {
    fn error(&mut self, code: Code, what: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Finding::error(code, what, remedy));
    }

    fn warning(&mut self, code: Code, what: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Finding::warning(code, what, remedy));
    }

    fn add(&mut self, found: Option<Finding>) {
        self.findings.extend(found);
    }

    fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.level == Level::Error).count()
    }

    /// What is said at the end: how much was found, and of what.
    fn summary(&self) -> String {
        let errors = self.errors();
        let found = format!(
            "{}, {}",
            counted(errors, "error", "errors"),
            counted(self.findings.len() - errors, "warning", "warnings")
        );
        match self.reach {
            Reach::All => format!("{found}; {} kinds of fault were looked for", Code::ALL.len()),
            Reach::Outside => format!("{found}; what is in the database was not all looked at"),
        }
    }
}

/// For whom the findings are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON object a finding, for machines.
    Json,
}

/// Looks at everything and tells; success if no finding is an error.
///
/// # Errors
/// If the findings cannot be told.
pub fn run(settings: &Settings, form: Form) -> Result<ExitCode> {
    let mut report = Report::default();
    look_at_settings(settings, &mut report);
    look_at_folder(settings, &mut report);
    look_at_sealing_key(settings, &mut report);
    look_at_database(settings, &mut report);
    if form == Form::Text {
        say!("looking at {}", database::place(settings));
    }
    for finding in &report.findings {
        match form {
            Form::Json => say!("{}", serde_json::to_string(finding)?),
            Form::Text => {
                let level = if finding.level == Level::Error { "error" } else { "warning" };
                say!("{level}: {} [{}]\n  → {}", finding.what, finding.code.as_str(), finding.remedy);
            }
        }
    }
    if form == Form::Text {
        say!("{}", report.summary());
    }
    Ok(if report.errors() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn look_at_settings(settings: &Settings, report: &mut Report) {
    for warning in settings.warnings() {
        let (code, remedy) = match warning {
            Warning::Setting(_) => {
                (Code::Setting, "see `portcullis serve --help`, which says of each setting what it does")
            }
            Warning::DatabaseInTheClear => (
                Code::DatabaseInTheClear,
                "take `sslmode=disable` out of `database`; if an authority of your own signed the server's \
                 certificate, name its file as `postgres.ca_file`",
            ),
        };
        report.warning(code, warning.to_string(), remedy);
    }
    let url = settings.public_url_for(settings.listen);
    let ends_tls = settings.tls.is_some() || settings.behind_proxy;
    if url.scheme() == "https" && !ends_tls {
        report.warning(
            Code::PublicUrlScheme,
            format!("`public_url` is {url}, and nothing that is configured speaks TLS"),
            "give `tls.cert` and `tls.key`, or set `behind_proxy` if a proxy ends TLS",
        );
    }
    if url.scheme() == "http" && settings.tls.is_some() {
        report.error(
            Code::PublicUrlScheme,
            format!("`public_url` is {url}, and this server speaks TLS"),
            "write `public_url` with https:",
        );
    }
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o777
}

fn look_at_folder(settings: &Settings, report: &mut Report) {
    let folder = settings.data.display();
    let metadata = match settings.data.metadata() {
        Ok(metadata) => metadata,
        Err(error) => {
            // An error, because whoever has the doctor come each day must not be told that all is well with another folder.
            report.error(
                Code::DataFolderMissing,
                format!("the data folder `{folder}`: {error}"),
                "if you have one, name it with `--data`; `portcullis serve` makes one",
            );
            return;
        }
    };
    if mode(&metadata) & 0o077 != 0 {
        report.error(
            Code::DataFolderOpen,
            format!("the data folder `{folder}` has mode {:o}: others reach what is in it", mode(&metadata)),
            format!("chmod 700 {folder}"),
        );
    }
    report.add(machine::owner(&settings.data, metadata.uid(), rustix::process::geteuid().as_raw()));
    for (folder, kept) in disks(settings) {
        if let Ok(space) = rustix::fs::statvfs(&folder) {
            report.add(machine::space(&folder, space.f_bavail.saturating_mul(space.f_frsize)));
        }
        if let Ok(system) = rustix::fs::statfs(&folder) {
            report.add(machine::file_system(&folder, system.f_type, kept));
        }
    }
}

/// Where something is written, a folder a disk, and whether the database lies there.
fn disks(settings: &Settings) -> Vec<(PathBuf, Kept)> {
    let data = settings.data.clone();
    let Some(file) = settings.database.file() else { return vec![(data, Kept::Elsewhere)] };
    let found = data_dir::resolved(file).ok();
    let folder = found.as_deref().map_or(data.as_path(), secrets::folder_of).to_owned();
    let device = |folder: &Path| folder.metadata().ok().map(|metadata| metadata.dev());
    if device(&folder) == device(&data) {
        vec![(data, Kept::Here)]
    } else {
        vec![(data, Kept::Elsewhere), (folder, Kept::Here)]
    }
}

fn look_at_sealing_key(settings: &Settings, report: &mut Report) {
    let file = &settings.sealing_key_file;
    let Ok(metadata) = file.metadata() else { return };
    if mode(&metadata) & 0o077 != 0 {
        report.error(
            Code::SealingKeyOpen,
            format!("the sealing key `{}` has mode {:o}", file.display(), mode(&metadata)),
            format!("chmod 600 {}", file.display()),
        );
    }
}

fn look_at_database(settings: &Settings, report: &mut Report) {
    if let DatabaseUrl::Sqlite(path) = &settings.database
        && !path.exists()
    {
        report.error(
            Code::DatabaseMissing,
            format!("there is no database at `{}`", path.display()),
            "if you have one, name its folder with `--data`; `portcullis serve` makes one, `portcullis restore FILE` puts a \
             backup there",
        );
        return;
    }
    let (store, schema) = match reach(settings) {
        Ok(found) => found,
        Err(error) => {
            report.error(
                Code::DatabaseUnreachable,
                format!("{error:#}"),
                "see whether it runs and `database` is right",
            );
            return;
        }
    };
    if schema > migration::newest() {
        report.error(
            Code::SchemaNewer,
            format!(
                "a newer Portcullis wrote this database (schema {schema}, known {})",
                migration::newest()
            ),
            "start the newer version",
        );
        return;
    }
    if schema < migration::newest() {
        report.warning(
            Code::SchemaPending,
            format!("the schema is at {schema}, this Portcullis brings {}", migration::newest()),
            "`portcullis migrate`, or start `serve`",
        );
        return;
    }
    match look_inside(settings, &store, report) {
        Ok(()) => report.reach = Reach::All,
        Err(error) => report.error(
            Code::DatabaseUnreadable,
            error.to_string(),
            "restore a backup, or see the server's log",
        ),
    }
}

/// The database as it is, and its schema.
fn reach(settings: &Settings) -> Result<(Store, i64)> {
    let store = Store::connect(&database::options(settings)?, Arc::new(SystemClock))?;
    let applied = store.read_blocking(migration::applied)?;
    let schema = applied.last().map_or(0, |last| last.number);
    Ok((store, schema))
}

fn look_inside(settings: &Settings, store: &Store, report: &mut Report) -> Result<(), ServiceError> {
    if let Err(error) = serve::must_be_sealed_by(settings, store) {
        report.error(Code::SealingKey, format!("{error:#}"), "restore the file from where you keep it");
    }
    look_at_mark(settings, store, report)?;
    let now = SystemClock.now();
    let (late, soon) = (now.plus_s(-LATE_S), now.plus_s(SOON_S));
    let unread = now.plus_s(-unread_s(settings.google_full_poll));
    let found = store.read_blocking(move |tx| checkup::look(tx, late, soon, unread))?;
    must_be_none(&found, report);
    waits(&found, now, report);
    let dropped = now.plus_s(-KEPT_S - MAX_OVERDUE_S);
    let waiting: i64 = store.read_blocking(move |tx| outbox::count_waiting(tx, dropped))?;
    if waiting > 0 {
        report.warning(
            Code::OutboxBacklog,
            format!("{waiting} messages that nobody takes should have been dropped more than a day ago"),
            "start `serve`, which drops them within an hour; if it runs, see its log for the job `outbox`",
        );
    }
    look_at_root_token(settings, store, report)?;
    look_at_postgres(store, report)?;
    look_at_logs(store, report)
}

/// Seconds after which a directory that is read so often should have been: a poll of a large company takes a while, and one that
/// failed, or two, is made again.
fn unread_s(every: Duration) -> i64 {
    const MIN_S: i64 = 3_600;
    i64::try_from(every.as_secs()).unwrap_or(i64::MAX).saturating_mul(3).max(MIN_S)
}

fn look_at_postgres(store: &Store, report: &mut Report) -> Result<(), ServiceError> {
    for name in ["fsync", "synchronous_commit"] {
        let value = store.read_blocking(move |tx| checkup::server_setting(tx, name))?;
        report.add(value.and_then(|value| machine::durability(name, &value)));
    }
    if store.dialect() == Dialect::Postgres {
        let database = store.read_blocking(|tx| tx.database_now())?;
        report.add(machine::clocks(SystemClock.now(), database));
    }
    Ok(())
}

fn look_at_mark(settings: &Settings, store: &Store, report: &mut Report) -> Result<(), ServiceError> {
    let (timeline, revision) = store.read_blocking(|tx| {
        Ok::<_, StoreError>((instance::find(tx, instance::TIMELINE)?, instance::revision(tx)?))
    })?;
    let remedy = "`portcullis restore FILE`, or `portcullis restore --in-place`; both revive nobody";
    if timeline.as_deref() == Some(UNFINISHED) {
        report.error(Code::RestoreUnfinished, "a restore of this database was broken off", remedy);
        return Ok(());
    }
    match (mark::find(&settings.data), timeline) {
        (Ok(Some(marked)), Some(timeline)) if marked.timeline != timeline || revision < marked.revision => {
            report.error(
                Code::DatabaseOlder,
                "this database is older than, or another one than, what was served from here last",
                remedy,
            );
        }
        (Err(error @ MarkError::Unreadable(_)), _) => {
            report.error(Code::MarkUnreadable, error.to_string(), remedy);
        }
        _ => {}
    }
    Ok(())
}

/// What must never be: an off-boarding that was not carried out whole.
fn must_be_none(found: &Checkup, report: &mut Report) {
    let remedy = "stop the server, keep a copy, and report this: it must never be; \
                  `portcullis restore --in-place` ends every token";
    if found.alive > 0 {
        let what = format!("{} tokens of ended memberships have not ended", found.alive);
        report.error(Code::TokenSurvived, what, remedy);
    }
    if found.alive_seen > 0 {
        let what = format!("{} tokens that ended memberships were shown have not ended", found.alive_seen);
        report.error(Code::TokenSurvived, what, remedy);
    }
    if found.acting_agents > 0 {
        let what = format!(
            "{} agents of ended memberships were neither stopped nor given away",
            found.acting_agents
        );
        report.error(Code::AgentSurvived, what, remedy);
    }
    if found.active_ended > 0 {
        let what = format!("{} memberships are active and ended", found.active_ended);
        report.error(Code::MembershipContradiction, what, remedy);
    }
}

/// What waits for too long, or for somebody.
fn waits(found: &Checkup, now: Timestamp, report: &mut Report) {
    if found.newest.is_some_and(|newest| newest > now.plus_s(MAX_AHEAD_S)) {
        report.error(
            Code::ClockBehind,
            "the newest event in the database is later than this machine's clock",
            "set the clock (NTP): expiry and settling times follow it",
        );
    }
    let jobs = "start `serve`, which does it; if it runs, see its log";
    let late = [
        (Code::AuditUnsequenced, found.unsequenced, "audit events are not in the chain after a minute"),
        (Code::ReceiptUnsigned, found.unsigned, "receipts are not signed after a minute"),
        (Code::SettleOverdue, found.due, "memberships should have been settled a minute ago"),
    ];
    for (code, count, what) in late {
        if count > 0 {
            report.warning(code, format!("{count} {what}"), jobs);
        }
    }
    waits_for_somebody(found, report);
    is_not_read(found, report);
}

/// What only a person can bring to its end.
fn waits_for_somebody(found: &Checkup, report: &mut Report) {
    let people = [
        (
            Code::ScimTokenExpiring,
            found.expiring,
            "SCIM tokens have run out or do within two weeks",
            "issue new ones and give them to the providers before provisioning stops",
        ),
        (
            Code::ScimTokenOutgrown,
            found.outgrown,
            "SCIM tokens were shown to people who left, or stand below what the directory gives, or below those whom a \
             connection lets in by its word",
            "issue others as somebody who stands as high, give them to the providers, and end those",
        ),
        (
            Code::SamlCertificateExpiring,
            found.expiring_certificates,
            "certificates of SAML connections have run out or do within 30 days",
            "read the warnings of `GET …/connections/{connection}`, and have the next one in place before",
        ),
        (
            Code::ConnectionUnconfirmed,
            found.unconfirmed_connections,
            "connections wait for an owner: holders of explicit-only roles cannot sign in by them",
            "an owner confirms the new issuer or keys",
        ),
        (
            Code::DirectoryUnconfirmed,
            found.unconfirmed_people,
            "people wait for their directory since a restore, or to sign in since another claim says their groups",
            "let the provider send everybody again; whoever came just in time signs in again",
        ),
        (
            Code::LastOwnerLeft,
            found.ownerless,
            "organizations have nobody who can sign in as owner: the last one left, and only the bare ownership stayed",
            "with the root token invite somebody as `owner` (`POST …/invitations`); whoever accepts it acts as owner",
        ),
        (
            Code::HoldOpen,
            found.held,
            "people are held by a directory's brake, and nobody has decided",
            "read `GET …/holds`, then release or refuse each",
        ),
        (
            Code::AboveBrake,
            found.above_brake,
            "calls of the last day were refused by a directory's brake; the provider goes on trying",
            "read `GET …/traces?outcome=above_brake`; if it is meant, raise the brake or switch it off for a day",
        ),
        (
            Code::CallsRefused,
            found.refused,
            "directories had a call refused within the last day that its provider cannot mend by itself",
            "read `last_refusal` of `GET …/directories/{directory}`, and its trace by the `request_id`: one person of whom the \
             directory has not told blocks a whole group",
        ),
    ];
    warn_of(&people, report);
}

/// Of what nothing is heard, though it is asked for by itself.
fn is_not_read(found: &Checkup, report: &mut Report) {
    let unread = [
        (
            Code::DirectoryUnread,
            found.unread,
            "directories of Google Workspace have not been read whole for three intervals: whoever left there is still here",
            "read `GET …/directories/{directory}/sync`; where consent was withdrawn, somebody gives it anew",
        ),
        (
            Code::MetadataUnread,
            found.metadata_unread,
            "SAML connections have not had their metadata read for three days: a new certificate would not be known",
            "read `GET …/connections/{connection}`, which says why",
        ),
    ];
    warn_of(&unread, report);
}

fn warn_of(found: &[(Code, i64, &str, &str)], report: &mut Report) {
    for (code, count, what, remedy) in found.iter().filter(|(_, count, ..)| *count > 0) {
        report.warning(*code, format!("{count} {what}"), *remedy);
    }
}

fn look_at_root_token(settings: &Settings, store: &Store, report: &mut Report) -> Result<(), ServiceError> {
    let (root, owned) = store.read_blocking(|tx| {
        Ok::<_, ServiceError>((instance::find(tx, ROOT_TOKEN_HASH)?, first_owner::is_there(tx)?))
    })?;
    if !owned || root.is_none_or(|hash| hash.is_empty()) {
        return Ok(());
    }
    let file = settings.data.join(ROOT_TOKEN_FILE);
    if file.exists() {
        report.warning(
            Code::RootTokenFile,
            format!("the root token still lies in `{}`, and there is an owner", file.display()),
            "`portcullis admin root-token off`; `admin root-token new` brings another when you need one",
        );
    }
    Ok(())
}

/// Verifies each organization's log as a stranger would.
fn look_at_logs(store: &Store, report: &mut Report) -> Result<(), ServiceError> {
    let progress = Progress::begin();
    let mut after = String::new();
    loop {
        let from = after.clone();
        let page = store.read_blocking(move |tx| restoring::organizations(tx, &from))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id.to_string();
        for organization in &page {
            progress.now(format_args!("verifying the log of `{}`", organization.slug));
            look_at_log(store, organization, report)?;
        }
    }
}

fn look_at_log(store: &Store, organization: &Organization, report: &mut Report) -> Result<(), ServiceError> {
    let (id, slug) = (organization.id, &organization.slug);
    let by_hand =
        format!("`portcullis audit export {slug} log.jsonl`, then `portcullis audit verify log.jsonl`");
    let Some(head) = store.read_blocking(move |tx| audit::head(tx, id))? else { return Ok(()) };
    if head.number > MAX_EVENTS {
        let what = format!("the log of `{slug}` has {} events and was not verified here", head.number);
        report.warning(Code::AuditNotVerified, what, by_hand);
        return Ok(());
    }
    let lines = store.read_blocking(move |tx| {
        let mut lines = Vec::new();
        audit_export::export(tx, id, |line| {
            serde_json::to_writer(&mut lines, line)?;
            lines.push(b'\n');
            Ok(())
        })?;
        Ok::<_, ServiceError>(lines)
    });
    let verified = match lines {
        Ok(lines) => audit_export::verify(BufReader::new(lines.as_slice()), &Known::default())
            .map(|_| ())
            .map_err(|finding| finding.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(finding) = verified {
        report.error(Code::AuditChain, format!("the log of `{slug}` does not verify: {finding}"), by_hand);
    }
    Ok(())
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
