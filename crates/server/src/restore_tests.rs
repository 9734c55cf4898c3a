//! What a restore says of a file that is none; what it does to people and tokens is tested with the whole binary.

use std::path::Path;

use super::restore;
use crate::cli::Restore;
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
