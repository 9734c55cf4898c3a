//! What `serve` would refuse, `config check` refuses, all of it at once, and it leaves nothing behind.

use std::path::Path;

use portcullis_store::Store;

use super::run;
use crate::settings::{Settings, Sources};
use crate::{database, secrets, serve};

fn sources(data: &Path, more: &[(&str, String)]) -> Sources {
    let data = [("DATA", data.display().to_string())];
    let given = data.iter().chain(more);
    let environment = given.map(|(name, text)| (format!("PORTCULLIS_{name}"), text.clone())).collect();
    Sources { environment, ..Sources::default() }
}

fn problems(data: &Path, more: &[(&str, String)]) -> Vec<String> {
    match run(&sources(data, more)) {
        Ok(()) => Vec::new(),
        Err(error) => format!("{error:#}").lines().map(str::to_owned).collect(),
    }
}

#[tokio::test]
async fn every_file_that_serve_could_not_use_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("key.pem"), "no key").unwrap();
    let given = [
        ("FETCH_CA_FILE", path("authorities.pem")),
        ("TLS_CERT", path("cert.pem")),
        ("TLS_KEY", path("key.pem")),
        ("SEALING_KEY_FILE", path("nowhere/key")),
        ("GOOGLE_WORKLOAD_IDENTITY", path("identity.json")),
        ("GOOGLE_WORKLOAD_SERVICE_ACCOUNT", "a@p.iam.gserviceaccount.com".to_owned()),
        ("LOG_FILTER", "infoo".to_owned()),
    ];
    let found = problems(Path::new("/proc/portcullis"), &given);
    for wanted in
        ["`/proc/portcullis`", "authorities.pem", "cert.pem", "nowhere/key", "identity.json", "infoo"]
    {
        assert_eq!(found.iter().filter(|one| one.contains(wanted)).count(), 1, "{wanted}: {found:#?}");
    }
    assert_eq!(found.len(), 6, "{found:#?}");
}

#[tokio::test]
async fn a_good_configuration_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("some/where/data");
    assert_eq!(problems(&data, &[]), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for no_folder in [file.clone(), file.join("data")] {
        assert_eq!(problems(&no_folder, &[]).len(), 1, "{}", no_folder.display());
    }
}

#[tokio::test]
async fn a_sealing_key_that_is_missing_is_refused_only_where_the_database_was_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::from_sources(&sources(folder.path(), &[])).unwrap();
    let key = [("SEALING_KEY_FILE", folder.path().join("another").display().to_string())];
    let store: Store = database::open_or_make(&settings).unwrap();
    assert_eq!(problems(folder.path(), &key), Vec::<String>::new(), "nothing is sealed yet");
    drop(store);
    drop(serve::open(&settings).unwrap());
    let found = problems(folder.path(), &key);
    assert!(found.len() == 1 && found[0].contains("missing"), "{found:?}");
    assert_eq!(problems(folder.path(), &[]), Vec::<String>::new());
    secrets::replace(&settings.sealing_key_file, "no key").unwrap();
    assert_eq!(problems(folder.path(), &[]).len(), 1);
}

#[tokio::test]
async fn a_data_folder_whose_path_is_too_long_for_a_socket_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let of_length =
        |length: usize| folder.path().join("x".repeat(length - folder.path().as_os_str().len() - 1));
    // A stroke and `control` come behind it: 107 bytes are the most.
    assert_eq!(problems(&of_length(99), &[]), Vec::<String>::new());
    let found = problems(&of_length(100), &[]);
    assert!(found.len() == 1 && found[0].contains("has 108"), "{found:#?}");
}
