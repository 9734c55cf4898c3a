//! What a restore says of a file that is none; what it does to people and tokens is tested with the whole binary.

use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_domain::Clock as _;
use portcullis_domain::cause::Cause;
use portcullis_domain::secret::SecretHash;
use portcullis_service::{Moment, organization};
use portcullis_store::audit::{AuditFilter, Head};
use serde_json::json;

use super::{restore, write_backup};
use crate::cli::{Backup, Restore};
use crate::clock::SystemClock;
use crate::random::SystemRandom;
use crate::root_token::{self, By};
use crate::settings::flags::PlaceFlags;
use crate::settings::{Settings, Sources};
use crate::{database, serve};

fn settings(data: &Path) -> Settings {
    let environment = vec![("PORTCULLIS_DATA".to_owned(), data.display().to_string())];
    Settings::from_sources(&Sources { environment, ..Sources::default() }).unwrap()
}

fn replacing(file: &Path) -> Restore {
    Restore { flags: PlaceFlags::default(), file: Some(file.to_owned()), replace: true, in_place: false }
}

#[test]
fn a_backup_that_is_none_is_named_as_it_was_given_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder.path().join("data"));
    drop(serve::open(&settings).unwrap());
    let junk = folder.path().join("junk");
    std::fs::write(&junk, "no database ".repeat(1000)).unwrap();
    let said = format!("{:#}", restore(&settings, &replacing(&junk)).unwrap_err());
    assert!(said.starts_with(&format!("the backup `{}`: it is damaged", junk.display())), "{said}");
    assert!(!said.contains("restoring") && !said.contains("row"), "{said}");
    assert!(database::open_existing(&settings).is_ok());
}

/// Files beside the database, by name.
fn beside(settings: &Settings) -> Vec<PathBuf> {
    let folder = settings.database.file().unwrap().parent().unwrap().read_dir().unwrap();
    let mut files: Vec<PathBuf> = folder.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_backup_with_nothing_of_portcullis_in_it_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let served = settings(&folder.path().join("data"));
    drop(serve::open(&served).unwrap());
    let file = |name: &str| folder.path().join(name);
    // What a backup that was broken off left behind, a database of somebody else, and one that was never served.
    std::fs::write(file("empty"), "").unwrap();
    rusqlite::Connection::open(file("foreign")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let never = settings(&folder.path().join("never"));
    crate::data_dir::make(&never.data).unwrap();
    drop(database::open_or_make(&never).unwrap());
    portcullis_store::backup::settle(never.database.file().unwrap()).unwrap();
    std::fs::copy(never.database.file().unwrap(), file("never served")).unwrap();
    let before = beside(&served);
    for name in ["empty", "foreign", "never served"] {
        let said = format!("{:#}", restore(&served, &replacing(&file(name))).unwrap_err());
        assert!(said.starts_with(&format!("the backup `{}`: ", file(name).display())), "{name}: {said}");
        assert_eq!(beside(&served), before, "{name}");
    }
    let elsewhere = settings(&folder.path().join("elsewhere"));
    let wanted = Restore { replace: false, ..replacing(&file("empty")) };
    assert!(restore(&elsewhere, &wanted).is_err());
    assert!(!elsewhere.database.file().unwrap().exists(), "nothing is put in place");
    drop(serve::open(&served).unwrap());
}

#[test]
fn a_backup_has_its_name_only_once_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let served = settings(&folder.path().join("data"));
    drop(serve::open(&served).unwrap());
    let backups = folder.path().join("backups");
    std::fs::create_dir(&backups).unwrap();
    let file = backups.join("night");
    let wanted = Backup { flags: PlaceFlags::default(), file: file.clone() };
    // Whoever holds the database alone keeps the copy from beginning.
    let holder = rusqlite::Connection::open(served.database.file().unwrap()).unwrap();
    holder.pragma_update(None, "locking_mode", "EXCLUSIVE").unwrap();
    holder.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
    std::thread::scope(|scope| {
        let copies = scope.spawn(|| write_backup(&served, &wanted));
        let has_begun = || backups.read_dir().unwrap().count() > 0;
        let waited = std::iter::repeat_n(Duration::from_millis(5), 2_000).any(|pause| {
            std::thread::sleep(pause);
            has_begun()
        });
        assert!(waited, "no copy was begun");
        let early = file.exists();
        drop(holder);
        copies.join().unwrap().unwrap();
        assert!(!early, "a copy that is not whole has the name of one that is");
    });
    let left: Vec<PathBuf> = backups.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(left, [file]);
    let again = format!("{:#}", write_backup(&served, &wanted).unwrap_err());
    assert!(again.contains("is there already"), "{again}");
}

#[test]
fn what_backups_of_that_name_left_more_than_a_day_ago_is_removed_by_the_next_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let served = settings(&folder.path().join("data"));
    drop(serve::open(&served).unwrap());
    let backups = folder.path().join("backups");
    std::fs::create_dir(&backups).unwrap();
    let left = |name: &str, hours: u64| {
        std::fs::write(backups.join(name), "half a page").unwrap();
        let file = std::fs::File::options().write(true).open(backups.join(name)).unwrap();
        let written = file.metadata().unwrap().modified().unwrap();
        file.set_modified(written - Duration::from_hours(hours)).unwrap();
    };
    left("night.0123456789abcdef.partial", 25);
    let others = [
        ("night.1123456789abcdef.partial", 23),
        ("tuesday.0123456789abcdef.partial", 25),
        ("night.partial", 25),
        ("night.0123456789abcdeX.partial", 25),
        ("night.0123456789abcdef", 25),
        (".0123456789abcdef.partial", 25),
        ("partial", 25),
    ];
    for (name, hours) in others {
        left(name, hours);
    }
    let wanted = Backup { flags: PlaceFlags::default(), file: backups.join("night") };
    write_backup(&served, &wanted).unwrap();
    let found: std::collections::BTreeSet<_> =
        backups.read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let expected = others.iter().map(|(name, _)| (*name).to_owned()).chain(["night".to_owned()]).collect();
    assert_eq!(found, expected);
}

/// The details of the events of one action in the log of `acme`, in order.
fn details(settings: &Settings, action: &'static str) -> Vec<serde_json::Value> {
    let store = database::open_existing(settings).unwrap();
    let events = store.read_blocking(move |tx| {
        let acme = portcullis_service::organization::named(tx, "acme")?;
        let filter = AuditFilter { action: action.to_owned(), ..AuditFilter::default() };
        Ok::<_, portcullis_service::ServiceError>(portcullis_store::audit::list_page(
            tx, acme.id, &filter, "", 100,
        )?)
    });
    let detail = |event: portcullis_store::audit::StoredEvent| {
        serde_json::from_str::<serde_json::Value>(&event.content).unwrap()["detail"].clone()
    };
    events.unwrap().into_iter().map(detail).collect()
}

#[test]
fn what_a_restore_puts_in_force_as_root_token_and_which_log_it_replaces_stand_in_the_restored_log() {
    let folder = tempfile::tempdir().unwrap();
    let served = settings(&folder.path().join("data"));
    drop(serve::open(&served).unwrap());
    let store = database::open_existing(&served).unwrap();
    let acme = store
        .write_blocking(|tx| {
            let mut moment = Moment::new(SystemClock.now(), Box::new(SystemRandom));
            organization::create(tx, &mut moment, "acme".parse()?, "Acme", Cause::system())
        })
        .unwrap()
        .id;
    drop(store);
    let file = folder.path().join("monday.backup");
    write_backup(&served, &Backup { flags: PlaceFlags::default(), file: file.clone() }).unwrap();
    // Nothing became of it since: nothing is said of it.
    restore(&served, &replacing(&file)).unwrap();
    assert_eq!(details(&served, "root_token.replaced").len() + details(&served, "root_token.ended").len(), 0);
    assert_eq!(details(&served, "backup.restored"), [json!({ "replaced": null })], "no head was signed");
    let head = Head { number: 7, link: "ab".repeat(32), jws: "a.b.c".into(), at: SystemClock.now() };
    let replaced = json!({ "number": 7, "link": head.link, "at": head.at.rfc3339() });
    for (token, action) in [(Some("another"), "root_token.replaced"), (None, "root_token.ended")] {
        let (hash, head) = (token.map(SecretHash::of), head.clone());
        let store = database::open_existing(&served).unwrap();
        store
            .write_blocking(move |tx| {
                root_token::replace(tx, hash.as_ref(), By::Order)?;
                portcullis_store::audit::put_head(tx, acme, &head)
            })
            .unwrap();
        drop(store);
        restore(&served, &replacing(&file)).unwrap();
        assert_eq!(details(&served, action), [json!({ "by": "restore" })], "{action}");
        assert_eq!(details(&served, "backup.restored"), [json!({ "replaced": replaced })]);
    }
}

#[test]
fn a_backup_that_was_broken_off_is_no_hindrance_to_the_next_and_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let served = settings(&folder.path().join("data"));
    drop(serve::open(&served).unwrap());
    let backups = folder.path().join("backups");
    std::fs::create_dir(&backups).unwrap();
    let (file, partial) = (backups.join("night"), backups.join("night.0123456789abcdef.partial"));
    let wanted = Backup { flags: PlaceFlags::default(), file: file.clone() };
    std::fs::write(&partial, "half a page, or one that is being written").unwrap();
    write_backup(&served, &wanted).unwrap();
    assert!(file.exists() && partial.exists());
    assert_eq!(backups.read_dir().unwrap().count(), 2, "nothing else is left");
}
