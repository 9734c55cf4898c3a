//! What commands say of a folder where there is nothing.

use std::path::Path;

use super::migrate;
use crate::cli::Backup;
use crate::restore::write_backup;
use crate::settings::flags::PlaceFlags;
use crate::settings::{Settings, Sources};

fn settings(data: &Path) -> Settings {
    let environment = vec![("PORTCULLIS_DATA".to_owned(), data.display().to_string())];
    Settings::from_sources(&Sources { environment, ..Sources::default() }).unwrap()
}

#[test]
fn a_migration_of_nothing_says_that_it_made_a_database_and_the_next_one_that_it_is_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let said = migrate(&settings).unwrap();
    assert!(said.starts_with("there was none; made a new database: "), "{said}");
    assert!(said.contains(&folder.path().display().to_string()), "{said}");
    let said = migrate(&settings).unwrap();
    assert!(said.starts_with("the database is up to date: "), "{said}");
}

#[test]
fn a_backup_of_nothing_says_how_the_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("monday.backup");
    let said =
        write_backup(&settings(folder.path()), &Backup { flags: PlaceFlags::default(), file: file.clone() });
    let said = said.unwrap_err().to_string();
    assert!(said.contains("name the data folder with `--data`"), "{said}");
    assert!(!file.exists());
}
