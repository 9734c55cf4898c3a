//! `backup` and `restore`: a copy that can be put back, and that revives nobody when it is (invariant I4).
//!
//! A backup is one SQLite file. It is prepared beside the database (every token ended, whoever a directory governs
//! waiting for it, whoever left since off-boarded) and only then put in its place, in one step. PostgreSQL is copied and
//! restored with its own tools; `restore --in-place` then does the same preparation to the database as it is. Nothing says
//! then what was taken away since, so the root token is off and whoever joined by themselves, or came just in time, is
//! suspended.

use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use portcullis_domain::id::{MembershipId, OrganizationId};
use portcullis_domain::organization::Organization;
use portcullis_domain::{Clock as _, Random as _};
use portcullis_service::Moment;
use portcullis_service::restoring::{self, Since, Taken, Waits};
use portcullis_store::audit::Head;
use portcullis_store::tombstone::Laid;
use portcullis_store::{Options, Store, StoreError, backup, instance, migration};

use crate::cli::{Backup, Restore};
use crate::clock::SystemClock;
use crate::mark::{self, Mark, UNFINISHED};
use crate::random::SystemRandom;
use crate::root_token::{self, Known};
use crate::say::{Progress, complain, counted, say};
use crate::secrets::{self, OWNER_LINK_FILE, ROOT_TOKEN_FILE};
use crate::settings::{DatabaseUrl, Settings};
use crate::{data_dir, database, lease, serve};

/// The name, beside the database, under which a backup is prepared.
const PREPARED: &str = ".restoring";

/// What is added to the name of a backup until it is whole.
const PARTIAL: &str = ".partial";

/// Digits before that, by which copies of one name are told apart.
const DISTINCT_DIGITS: usize = 16;

/// How long a copy may be in the making; what has not been written to for so long was broken off.
const MAX_COPY: Duration = Duration::from_hours(24);

/// What the database that is replaced is called from then on, before the instant.
const REPLACED: &str = "replaced";

/// What a restore took away.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Revived {
    /// Organizations.
    pub organizations: usize,
    /// Tokens that ended.
    pub tokens_ended: u64,
    /// Memberships whose access was resolved anew.
    pub memberships: usize,
    /// People who were ended or suspended beside.
    pub taken: Taken,
    /// People who are suspended until their directory speaks of them again.
    pub waiting: usize,
    /// People who wait for their directory as well, and whose suspension somebody has to lift beside.
    pub suspended_waiting: usize,
}

/// What is known of the time between the backup and now.
enum Before {
    /// The database that is replaced tells it.
    Told { store: Box<Store>, revision: i64, root: Known },
    /// Nothing does.
    Untold,
}

fn sqlite<'s>(settings: &'s Settings, instead: &str) -> Result<&'s Path> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => Ok(path),
        DatabaseUrl::Postgres { .. } => bail!("this database is in PostgreSQL: {instead}"),
    }
}

/// `backup`.
///
/// # Errors
/// If the database is in PostgreSQL, the file is there already, or the copy is not whole.
pub fn write_backup(settings: &Settings, wanted: &Backup) -> Result<()> {
    let database = sqlite(settings, "copy it with `pg_dump` or your provider's backups")?;
    database::must_be_there(settings)?;
    if wanted.file.exists() {
        bail!("`{}` is there already; a backup never overwrites a file", wanted.file.display());
    }
    clear_broken_off(&wanted.file);
    Progress::begin()
        .now(format_args!("copying `{}`, then reading each page of the copy", database.display()));
    copy_whole(database, &wanted.file)?;
    say!("the backup is in {} (0600), and its pages are whole", wanted.file.display());
    say!(
        "keep the sealing key {} elsewhere: without it a backup cannot be served",
        settings.sealing_key_file.display()
    );
    Ok(())
}

/// Removes what earlier backups of that name left when they were broken off, and says what others left: a job that is broken off
/// each night would fill the disk with them. One that is younger than a day may be a copy that is being made.
fn clear_broken_off(file: &Path) {
    let own = file.file_name().map(OsStr::as_encoded_bytes);
    let mut others = 0;
    for found in secrets::folder_of(file).read_dir().into_iter().flatten().flatten() {
        let name = found.file_name();
        let Some(of) = partial_of(name.as_encoded_bytes()) else { continue };
        let modified = found.metadata().and_then(|data| data.modified()).ok();
        if modified.and_then(|at| at.elapsed().ok()).is_none_or(|age| age <= MAX_COPY) {
            continue;
        }
        if Some(of) != own {
            others += 1;
            continue;
        }
        match remove_whole(&found.path()) {
            Ok(()) => complain!("{} of a backup that was broken off is removed", found.path().display()),
            Err(error) => complain!("portcullis: `{}`: {error:#}", found.path().display()),
        }
    }
    if others > 0 {
        complain!(
            "note: {} of backups that were broken off beside it: `*{PARTIAL}` that are older than a day may be deleted",
            counted(others, "file", "files")
        );
    }
}

/// The name of the backup of which a file is the copy that was not whole yet.
fn partial_of(name: &[u8]) -> Option<&[u8]> {
    let name = name.strip_suffix(PARTIAL.as_bytes())?;
    let (of, distinct) = name.split_at_checked(name.len().checked_sub(1 + DISTINCT_DIGITS)?)?;
    let is_ours = distinct.strip_prefix(b".")?.iter().all(u8::is_ascii_hexdigit);
    (is_ours && !of.is_empty()).then_some(of)
}

/// Copies the database into a file of another name, and gives it its own once it is whole and durable: a copy that is broken
/// off, whenever that is, is no backup. The name is this copy's alone, so that nothing but SQLite's own locks lies on it:
/// on a disk of another machine two kinds of locks meet each other.
fn copy_whole(database: &Path, file: &Path) -> Result<()> {
    let mut distinct = [0; 8];
    SystemRandom.fill(&mut distinct);
    let partial = data_dir::with_suffix(file, &format!(".{:016x}{PARTIAL}", u64::from_be_bytes(distinct)));
    secrets::make_empty(&partial)?;
    let done = backup::copy(database, &partial).map_err(anyhow::Error::from).and_then(|()| {
        File::open(&partial)?.sync_all()?;
        // Not every file system has a second name for a file. A rename takes the place of what came meanwhile, so it is
        // looked for once more.
        match std::fs::hard_link(&partial, file) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error.into()),
            Err(_) if file.exists() => return Err(std::io::Error::from(ErrorKind::AlreadyExists).into()),
            Err(_) => std::fs::rename(&partial, file)?,
            Ok(()) => {}
        }
        Ok(())
    });
    remove_whole(&partial)?;
    done.with_context(|| format!("`{}`", file.display()))?;
    Ok(File::open(secrets::folder_of(file))?.sync_all()?)
}

/// `restore`.
///
/// # Errors
/// If somebody serves from the data folder or the database, a database is there and nobody said to replace it, or the
/// backup is damaged, newer than this Portcullis, or was sealed with another key.
pub fn restore(settings: &Settings, wanted: &Restore) -> Result<()> {
    if let (Some(_), Some(folder)) = (&wanted.file, settings.database.file().and_then(Path::parent))
        && !folder.as_os_str().is_empty()
    {
        data_dir::make(folder)?;
    }
    if wanted.in_place {
        database::must_be_there(settings)?;
    }
    let _locked = data_dir::lock(&settings.data, settings.database.file())?;
    let revived = match &wanted.file {
        Some(file) => from_file(settings, file, wanted.replace)?,
        None => in_place(settings)?,
    };
    say!(
        "restored: {}; {} ended; the access of {} was resolved anew",
        counted(revived.organizations, "organization", "organizations"),
        counted(revived.tokens_ended, "token", "tokens"),
        counted(revived.memberships, "membership", "memberships")
    );
    say!(
        "off-boarded, because they had left since the backup: {}; suspended: {}",
        revived.taken.ended,
        revived.taken.suspended
    );
    say!(
        "whoever a directory governs is suspended until it speaks of them again: {}; and beside them {} whose suspension \
         somebody has to lift as well",
        counted(revived.waiting, "person", "people"),
        revived.suspended_waiting
    );
    let is_off = is_root_token_off(settings)?;
    // Every key ended, those of administrators too: the way in comes first.
    let next = [
        is_off.then_some(
            "the root token is off, and every key ended: `portcullis admin root-token new` makes a root token for what follows",
        ),
        Some("issue a new SCIM token for each directory (the old ones ended) and give it to the provider"),
        Some("let the provider send everybody again (Okta: force sync; Entra ID: restart provisioning)"),
        (wanted.in_place || revived.taken.suspended > 0).then_some(
            "lift the suspension of people who joined by invitation or came just in time, and have not left",
        ),
        Some("issue keys anew: of gateways, of an owner, of people and their agents"),
        is_off.then_some("with the owner's key in hand switch the root token off: `portcullis admin root-token off`"),
    ];
    for (done, step) in next.into_iter().flatten().enumerate() {
        say!("  {}. {step}", done + 1);
    }
    say!("restored in: {}", database::place(settings));
    Ok(())
}

fn is_root_token_off(settings: &Settings) -> Result<bool> {
    let store = Store::connect(&database::options(settings)?, Arc::new(SystemClock))?;
    Ok(store.read_blocking(root_token::is_off)?)
}

/// Puts a backup in place.
fn from_file(settings: &Settings, file: &Path, replace: bool) -> Result<Revived> {
    let named = sqlite(settings, "restore it with `pg_restore`, then run `portcullis restore --in-place`")?;
    // Where a link leads: the file is replaced, and the link stays.
    let database = &data_dir::resolved(named)?;
    if database.exists() && !replace {
        bail!("`{}` is there; `--replace` puts the backup in its place", database.display());
    }
    let prepared = data_dir::with_suffix(database, PREPARED);
    remove_whole(&prepared)?;
    let done = prepare(settings, file, (&prepared, database)).and_then(|(revived, mark)| {
        if let Some(kept) = keep(database)? {
            say!("the database that is replaced is kept in {} (0600)", kept.display());
        }
        put_in_place(settings, &prepared, database, &mark)?;
        Ok(revived)
    });
    if done.is_err() {
        remove_whole(&prepared)?;
    }
    done
}

fn remove_whole(database: &Path) -> Result<()> {
    let [wal, shm] = backup::beside(database);
    for file in [wal, shm, database.to_owned()] {
        secrets::remove(&file)?;
    }
    Ok(())
}

/// Makes a copy of the backup that revives nobody.
fn prepare(
    settings: &Settings,
    file: &Path,
    (prepared, database): (&Path, &Path),
) -> Result<(Revived, Mark)> {
    secrets::make_empty(prepared)?;
    std::fs::copy(file, prepared).with_context(|| format!("the backup `{}`", file.display()))?;
    data_dir::make_private(prepared)?;
    backup::check(prepared).with_context(|| format!("the backup `{}`", file.display()))?;
    let options = Options::Sqlite { path: prepared.to_owned() };
    // Before it is brought up to date, which would make a whole database of an empty file.
    if !serve::was_sealed(&Store::connect(&options, Arc::new(SystemClock))?)? {
        bail!(
            "the backup `{}`: there is nothing in it that was ever served; it may have been broken off, or be a file of \
             something else",
            file.display()
        );
    }
    let store = Store::open(&options, Arc::new(SystemClock))?;
    serve::must_be_sealed_by(settings, &store)?;
    let marked = mark::find(&settings.data).ok().flatten().map_or(0, |mark| mark.revision);
    let before = if database.exists() { told_by(&settings.data, database) } else { Before::Untold };
    let revived = revive_nobody(&store, &before)?;
    let mark = next_mark(&store, marked.max(before.revision()))?;
    finish(&store, &mark)?;
    drop((store, before));
    backup::settle(prepared)?;
    File::open(prepared)?.sync_all()?;
    Ok((revived, mark))
}

/// Reads the database that is replaced. It may be damaged, which is why somebody restores; and it may be an older file
/// that was put there by hand, which knows no more of those who left than the backup does.
fn told_by(data: &Path, database: &Path) -> Before {
    let read = || -> Result<Before> {
        let marked = mark::find(data)?.context("no mark says how far it had come")?;
        let store = Store::connect(&Options::Sqlite { path: database.to_owned() }, Arc::new(SystemClock))?;
        let (schema, timeline, revision, root) = store.read_blocking(|tx| {
            let schema = migration::applied(tx)?.last().map_or(0, |last| last.number);
            let timeline = instance::find(tx, instance::TIMELINE)?;
            Ok::<_, StoreError>((schema, timeline, instance::revision(tx)?, root_token::known(tx)?))
        })?;
        if schema != migration::newest() {
            bail!("it is of another version");
        }
        if timeline != Some(marked.timeline) || revision < marked.revision {
            bail!("it is older than, or another one than, what was served from here last");
        }
        Ok(Before::Told { store: Box::new(store), revision, root })
    };
    read().unwrap_or_else(|error| {
        complain!(
            "portcullis: the database that is replaced says nothing to rely on ({error:#}): nobody knows what was taken \
             away since"
        );
        Before::Untold
    })
}

impl Before {
    const fn revision(&self) -> i64 {
        match self {
            Self::Told { revision, .. } => *revision,
            Self::Untold => 0,
        }
    }

    const fn root(&self) -> Option<&Known> {
        match self {
            Self::Told { root, .. } => Some(root),
            Self::Untold => None,
        }
    }

    /// The head of a log as it was. What cannot be read is not known.
    fn head(&self, organization: OrganizationId) -> Option<Head> {
        let Self::Told { store, .. } = self else { return None };
        store.read_blocking(move |tx| restoring::head(tx, organization)).unwrap_or_else(|error| {
            complain!("portcullis: the database that is replaced is damaged: {error}");
            None
        })
    }

    /// What became of these people. What cannot be read is not known.
    fn since(&self, organization: OrganizationId, people: Vec<MembershipId>) -> Vec<(MembershipId, Since)> {
        let asked = people.clone();
        let told = match self {
            Self::Told { store, .. } => store
                .read_blocking(move |tx| restoring::since(tx, organization, &asked, SystemClock.now()))
                .unwrap_or_else(|error| {
                    complain!("portcullis: the database that is replaced is damaged: {error}");
                    Vec::new()
                }),
            Self::Untold => Vec::new(),
        };
        let told = told.into_iter().chain(std::iter::repeat(Since::Unknown));
        people.into_iter().zip(told).collect()
    }

    /// The next identifiers of people who had left. What cannot be read is not known.
    fn tombstones(&self, organization: OrganizationId, after: Option<Laid>) -> Vec<Laid> {
        let Self::Told { store, .. } = self else { return Vec::new() };
        store.read_blocking(move |tx| restoring::tombstones(tx, organization, after.as_ref())).unwrap_or_else(
            |error| {
                complain!("portcullis: the database that is replaced is damaged: {error}");
                Vec::new()
            },
        )
    }
}

/// Keeps the database that is replaced under another name, with what SQLite has beside it: its receipts and the events
/// since the backup are nowhere else. It stays in its own place too, so that the backup takes that in one step.
fn keep(database: &Path) -> Result<Option<PathBuf>> {
    if !database.exists() {
        return Ok(None);
    }
    let at: String = SystemClock.now().rfc3339().chars().filter(char::is_ascii_alphanumeric).collect();
    let kept = data_dir::with_suffix(database, &format!(".{REPLACED}-{at}"));
    let beside = backup::beside(database).into_iter().zip(backup::beside(&kept));
    for (from, to) in std::iter::once((database.to_owned(), kept.clone())).chain(beside) {
        if from.exists() {
            // Not every file system has a second name for a file; a copy of it says the same.
            if std::fs::hard_link(&from, &to).is_err() {
                secrets::make_empty(&to)?;
                std::fs::copy(&from, &to).with_context(|| format!("`{}`", to.display()))?;
            }
            data_dir::make_private(&to)?;
        }
    }
    Ok(Some(kept))
}

fn put_in_place(settings: &Settings, prepared: &Path, database: &Path, mark: &Mark) -> Result<()> {
    // The mark first: whatever happens from here on, the old file is not served.
    mark::put(&settings.data, mark)?;
    for beside in backup::beside(database) {
        secrets::remove(&beside)?;
    }
    std::fs::rename(prepared, database).with_context(|| format!("`{}`", database.display()))?;
    File::open(secrets::folder_of(database))?.sync_all()?;
    secrets::remove(&settings.data.join(OWNER_LINK_FILE))?;
    let store = Store::connect(&Options::Sqlite { path: database.to_owned() }, Arc::new(SystemClock))?;
    if !store.read_blocking(root_token::is_on)? {
        secrets::remove(&settings.data.join(ROOT_TOKEN_FILE))?;
    }
    Ok(())
}

/// Makes a restore of the database as it is.
fn in_place(settings: &Settings) -> Result<Revived> {
    let store = database::open_existing(settings)?;
    serve::must_be_sealed_by(settings, &store)?;
    let lease = lease::take(settings, &store)?;
    let marked = mark::find(&settings.data).ok().flatten().map_or(0, |mark| mark.revision);
    let revived = revive_nobody(&store, &Before::Untold).and_then(|revived| {
        secrets::remove(&settings.data.join(ROOT_TOKEN_FILE))?;
        let mark = next_mark(&store, marked)?;
        // The mark first: a process that dies between the two leaves a database that is refused.
        mark::put(&settings.data, &mark)?;
        finish(&store, &mark)?;
        Ok(revived)
    });
    lease::give_back(&store, lease)?;
    revived
}

/// Carries the restore out: the database is unfinished from the first step to the last.
fn revive_nobody(store: &Store, before: &Before) -> Result<Revived> {
    store.write_blocking(|tx| instance::put(tx, instance::TIMELINE, UNFINISHED))?;
    let mut revived = Revived::default();
    let progress = Progress::begin();
    let mut after = String::new();
    loop {
        let from = after.clone();
        let page = store.read_blocking(move |tx| restoring::organizations(tx, &from))?;
        let Some(last) = page.last() else { break };
        after = last.id.to_string();
        for organization in page {
            progress.now(format_args!("`{}`: ending tokens", organization.slug));
            revive_nobody_of(store, before, (&organization, progress), &mut revived)?;
        }
    }
    // Its events come behind `backup.restored`, which says where the log goes on.
    let root = before.root().cloned();
    store.write_blocking(move |tx| root_token::carry_over(tx, root.as_ref()))?;
    Ok(revived)
}

fn moment() -> Moment {
    Moment::new(SystemClock.now(), Box::new(SystemRandom))
}

fn revive_nobody_of(
    store: &Store,
    before: &Before,
    (organization, progress): (&Organization, Progress),
    revived: &mut Revived,
) -> Result<()> {
    let (one, id) = (organization.clone(), organization.id);
    let head = before.head(id);
    revived.organizations += 1;
    revived.tokens_ended +=
        store.write_blocking(move |tx| restoring::revive_nobody(tx, &mut moment(), &one, head.as_ref()))?;
    let mut after = String::new();
    loop {
        let from = after.clone();
        let page = store.read_blocking(move |tx| restoring::people(tx, id, &from))?;
        let Some(last) = page.last() else { break };
        after = last.id.to_string();
        let people = before.since(id, page.iter().map(|member| member.id).collect());
        let taken = store.write_blocking(move |tx| restoring::carry_over(tx, &mut moment(), id, &people))?;
        revived.taken.ended += taken.ended;
        revived.taken.suspended += taken.suspended;
    }
    let mut last = None;
    loop {
        let page = before.tombstones(id, last);
        if page.is_empty() {
            break;
        }
        last = page.last().cloned();
        store.write_blocking(move |tx| restoring::lay(tx, &mut moment(), id, &page))?;
    }
    loop {
        let one = organization.clone();
        let stored = store.write_blocking(move |tx| restoring::bring_in_step(tx, &mut moment(), &one))?;
        if stored == 0 {
            break;
        }
        revived.memberships += stored;
        progress.now(format_args!(
            "`{}`: {}",
            organization.slug,
            counted(revived.memberships, "person", "people so far")
        ));
    }
    count_waiting(store, id, revived)
}

/// Counts those of whom their directory has to speak.
fn count_waiting(store: &Store, organization: OrganizationId, revived: &mut Revived) -> Result<()> {
    let mut after = String::new();
    loop {
        let from = after.clone();
        let page = store.read_blocking(move |tx| restoring::people(tx, organization, &from))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id.to_string();
        for waits in page.iter().filter_map(restoring::waits) {
            match waits {
                Waits::ForDirectory => revived.waiting += 1,
                Waits::ForBoth => revived.suspended_waiting += 1,
            }
        }
    }
}

/// The mark of a new timeline, which begins beyond everything that either side has seen.
fn next_mark(store: &Store, marked: i64) -> Result<Mark> {
    let found: i64 = store.read_blocking(instance::revision)?;
    let revision = found.max(marked).saturating_add(1);
    Ok(Mark { timeline: mark::new_timeline(&mut SystemRandom), revision })
}

/// The restore is done: the database is on that timeline.
fn finish(store: &Store, mark: &Mark) -> Result<()> {
    let mark = mark.clone();
    store.write_blocking(move |tx| restoring::begin_timeline(tx, &mark.timeline, mark.revision))?;
    Ok(())
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
