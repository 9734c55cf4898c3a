//! What an export leaves where it was refused, and that a check tells a log that does not hold from one it could not read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use portcullis_domain::Clock as _;
use portcullis_domain::cause::Cause;
use portcullis_service::{Moment, organization};

use super::{Outcome, export, verify};
use crate::cli::AuditVerify;
use crate::clock::SystemClock;
use crate::database;
use crate::random::SystemRandom;
use crate::settings::{Settings, Sources};

fn verified(file: &Path, jwks: Option<PathBuf>) -> Outcome {
    verify(&AuditVerify {
        file: file.to_owned(),
        jwks,
        at_least: 0,
        known_link: Vec::new(),
        not_before: None,
    })
}

fn settings_in(folder: &Path) -> Settings {
    let environment = vec![("PORTCULLIS_DATA".to_owned(), folder.display().to_string())];
    Settings::from_sources(&Sources { environment, ..Sources::default() }).unwrap()
}

fn with_acme(settings: &Settings) {
    let store = database::open_or_make(settings).unwrap();
    store
        .write_blocking(|tx| {
            let mut moment = Moment::new(SystemClock.now(), Box::new(SystemRandom));
            organization::create(tx, &mut moment, "acme".parse()?, "Acme", Cause::system())
        })
        .unwrap();
}

#[test]
fn an_export_makes_no_database_where_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings_in(folder.path());
    let file = folder.path().join("acme.jsonl");
    let said = export(&settings, "acme".to_owned(), &file).unwrap_err().to_string();
    assert!(said.contains("there is no database at"), "{said}");
    let database = settings.database.file().unwrap();
    assert!(!database.exists(), "a later `serve` would take it for its own");
    std::fs::write(database, "").unwrap();
    let said = export(&settings, "acme".to_owned(), &file).unwrap_err().to_string();
    assert!(said.contains("there is nothing of Portcullis in"), "{said}");
    assert!(!file.exists());
}

#[test]
fn an_export_that_fails_on_the_way_leaves_no_file_in_the_way_of_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings_in(folder.path());
    with_acme(&settings);
    let file = folder.path().join("acme.jsonl");
    let connection = rusqlite::Connection::open(settings.database.file().unwrap()).unwrap();
    connection.execute_batch("ALTER TABLE audit_heads RENAME TO lost").unwrap();
    export(&settings, "acme".to_owned(), &file).unwrap_err();
    assert!(!file.exists());
    connection.execute_batch("ALTER TABLE lost RENAME TO audit_heads").unwrap();
    export(&settings, "acme".to_owned(), &file).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds everybody's address");
}

#[test]
fn an_export_of_an_organization_that_is_not_there_leaves_no_file_and_one_that_is_there_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings_in(folder.path());
    with_acme(&settings);
    let file = folder.path().join("acme.jsonl");
    let said = export(&settings, "acne".to_owned(), &file).unwrap_err().to_string();
    assert!(said.contains("no organization `acne`"), "{said}");
    assert!(!file.exists(), "an empty file is in the way of the next try");
    export(&settings, "acme".to_owned(), &file).unwrap();
    let before = std::fs::read(&file).unwrap();
    assert!(!before.is_empty());
    let said = export(&settings, "acme".to_owned(), &file).unwrap_err().to_string();
    assert!(said.contains("is there already; an export never overwrites a file"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_log_that_nobody_could_look_at_is_another_thing_than_one_that_does_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.jsonl");
    assert_eq!(verified(&file, None), Outcome::NotChecked, "a missing file");
    assert_eq!(verified(folder.path(), None), Outcome::NotChecked, "a folder");
    std::fs::write(&file, "no line of an export\n").unwrap();
    assert_eq!(verified(&file, None), Outcome::NotVerified);
    let jwks = folder.path().join("jwks.json");
    for text in [None, Some("no JSON"), Some("{}")] {
        if let Some(text) = text {
            std::fs::write(&jwks, text).unwrap();
        }
        assert_eq!(verified(&file, Some(jwks.clone())), Outcome::NotChecked, "{text:?}");
    }
    std::fs::write(&jwks, r#"{"keys":[]}"#).unwrap();
    assert_eq!(verified(&file, Some(jwks)), Outcome::NotVerified);
}
