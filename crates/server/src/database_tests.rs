//! Whom the certificate of PostgreSQL is believed from, and that a file without authorities is not taken for one.

use std::path::Path;

use portcullis_store::{Options, Wire};

use super::options;
use crate::settings::{DatabaseUrl, Settings, Sources};

fn settings(url: &str, ca_file: &Path) -> Settings {
    let environment = vec![
        ("PORTCULLIS_DATABASE".to_owned(), url.to_owned()),
        ("PORTCULLIS_POSTGRES_CA_FILE".to_owned(), ca_file.display().to_string()),
    ];
    Settings::from_sources(&Sources { environment, ..Sources::default() }).unwrap()
}

#[test]
fn a_file_with_no_certificate_in_it_is_refused_where_tls_is_spoken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let missing = options(&settings("postgres://u:hush@db.example.com/p", &file)).unwrap_err();
    for text in ["", "no PEM\n", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&file, text).unwrap();
        let refused = options(&settings("postgres://u:hush@db.example.com/p", &file)).unwrap_err();
        for error in [&missing, &refused] {
            let said = format!("{error:#}");
            assert!(said.contains("PostgreSQL's certificate") || said.contains("postgres.ca_file"), "{said}");
            assert!(!said.contains("hush"), "{said}");
        }
    }
    std::fs::write(&file, rcgen::generate_simple_self_signed(vec![]).unwrap().cert.pem()).unwrap();
    assert!(options(&settings("postgres://u:hush@db.example.com/p", &file)).is_ok());
}

#[test]
fn nothing_is_read_for_a_database_on_this_machine() {
    let nowhere = settings("postgres://u@localhost/p", Path::new("/nowhere/ca.pem"));
    // A command leaves the connections to the server beside it.
    assert!(matches!(options(&nowhere).unwrap(), Options::Postgres { tls: None, connections: 2, .. }));
    let by_tls = settings("postgres://u@localhost/p?sslmode=require", Path::new("/nowhere/ca.pem"));
    assert!(matches!(by_tls.database, DatabaseUrl::Postgres { wire: Wire::Tls, .. }));
    assert!(options(&by_tls).is_err());
}

#[test]
fn the_password_is_in_no_debug_text_of_the_options() {
    let options = options(&settings("postgres://u:hush@localhost/p", Path::new("unused"))).unwrap();
    assert!(!format!("{options:?}").contains("hush"));
}
