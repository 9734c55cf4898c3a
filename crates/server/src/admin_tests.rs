//! An order is carried out on the database that is there, or on none: it never makes one, and says where it was done.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use portcullis_domain::Clock as _;
use portcullis_domain::cause::Cause;
use portcullis_service::{Moment, organization};
use portcullis_store::audit::{AuditFilter, list_page};

use super::{Order, Place, carry_out, order};
use crate::cli::Restore;
use crate::clock::SystemClock;
use crate::random::SystemRandom;
use crate::settings::flags::PlaceFlags;
use crate::settings::{Settings, Sources};
use crate::{database, restore, root_token};

const ORDERS: [Order; 3] = [Order::FirstOwnerLink, Order::RootTokenOff, Order::RootTokenNew];

fn settings(data: &Path) -> Settings {
    let environment = vec![("PORTCULLIS_DATA".to_owned(), data.display().to_string())];
    Settings::from_sources(&Sources { environment, ..Sources::default() }).unwrap()
}

fn restored_in_place(data: &Path) -> anyhow::Result<()> {
    let wanted = Restore { flags: PlaceFlags::default(), file: None, replace: false, in_place: true };
    restore::restore(&settings(data), &wanted)
}

fn must_refuse(data: &Path, why: &str) {
    let said = ORDERS.map(|wanted| order(&settings(data), wanted).unwrap_err().to_string());
    let restored = restored_in_place(data).unwrap_err().to_string();
    for said in said.iter().chain([&restored]) {
        let is_named = said.contains(data.to_str().unwrap());
        assert!(is_named && (said.contains(why) || *said == restored), "{said}");
    }
}

#[test]
fn an_order_where_there_is_no_database_is_refused_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mistyped = folder.path().join("mistyped");
    must_refuse(&mistyped, "no data folder");
    assert!(!mistyped.exists());
    must_refuse(folder.path(), "no database at");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_order_on_a_database_with_nothing_in_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("portcullis.sqlite"), "").unwrap();
    must_refuse(folder.path(), "nothing of Portcullis in");
    assert!(!folder.path().join("root-token").exists());
}

#[test]
fn an_order_that_is_carried_out_names_the_data_folder_and_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let store = database::open_or_make(&settings).unwrap();
    let place = Place::of(&settings, settings.public_url_for(settings.listen));
    for wanted in ORDERS {
        let told = carry_out(wanted, &store, &place).unwrap();
        let (data, file) = (folder.path().display(), folder.path().join("portcullis.sqlite"));
        assert!(told.contains(&format!("data folder {data}, database {}", file.display())), "{told}");
    }
    let named = settings.database.file().unwrap();
    assert_eq!(named.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_becomes_of_the_root_token_stands_in_the_log_of_every_organization() {
    let folder = tempfile::tempdir().unwrap();
    let bare = settings(folder.path());
    let store = database::open_or_make(&bare).unwrap();
    let place = Place::of(&bare, bare.public_url_for(bare.listen));
    root_token::install(&bare, &store, Vec::new()).unwrap();
    let organizations = ["acme", "globex"].map(|slug| {
        store.write_blocking(move |tx| {
            let mut moment = Moment::new(SystemClock.now(), Box::new(SystemRandom));
            organization::create(tx, &mut moment, slug.parse()?, slug, Cause::system())
        })
    });
    let said = |organization| {
        let all =
            store.read_blocking(move |tx| list_page(tx, organization, &AuditFilter::default(), "", 100));
        let contents = all.unwrap().into_iter().map(|event| event.content);
        let contents: Vec<serde_json::Value> =
            contents.map(|content| serde_json::from_str(&content).unwrap()).collect();
        let about = contents.iter().filter(|c| c["action"].as_str().unwrap().starts_with("root_token."));
        about.map(|c| format!("{} {}", c["action"], c["detail"]["by"]).replace('"', "")).collect::<Vec<_>>()
    };
    let configured = |token: &str| {
        let mut environment = vec![("PORTCULLIS_DATA".to_owned(), folder.path().display().to_string())];
        environment.push(("PORTCULLIS_ROOT_TOKEN".to_owned(), token.to_owned()));
        let settings = Settings::from_sources(&Sources { environment, ..Sources::default() }).unwrap();
        root_token::install(&settings, &store, Vec::new()).unwrap();
    };
    root_token::install(&bare, &store, Vec::new()).unwrap();
    carry_out(Order::RootTokenNew, &store, &place).unwrap();
    for _ in 0..2 {
        configured("a-root-token-of-the-configuration-0123456789");
        carry_out(Order::FirstOwnerLink, &store, &place).unwrap();
    }
    for _ in 0..2 {
        carry_out(Order::RootTokenOff, &store, &place).unwrap();
    }
    configured("another-root-token-of-the-configuration-0123456789");
    let must = ["root_token.replaced order", "root_token.replaced configuration", "root_token.ended order"];
    for made in organizations {
        assert_eq!(said(made.unwrap().id), must);
    }
}

#[test]
fn a_root_token_that_the_database_did_not_take_leaves_the_good_one_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let store = database::open_or_make(&settings).unwrap();
    let place = Place::of(&settings, settings.public_url_for(settings.listen));
    root_token::install(&settings, &store, Vec::new()).unwrap();
    let (file, fresh) = (folder.path().join("root-token"), folder.path().join("root-token.new"));
    let good = std::fs::read_to_string(&file).unwrap();
    let aside = |from: &str, to: &str| {
        let database = rusqlite::Connection::open(settings.database.file().unwrap()).unwrap();
        database.execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}")).unwrap();
    };
    aside("instance", "aside");
    assert!(carry_out(Order::RootTokenNew, &store, &place).is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), good);
    aside("aside", "instance");
    root_token::install(&settings, &store, Vec::new()).unwrap();
    assert_eq!((std::fs::read_to_string(&file).unwrap(), fresh.exists()), (good.clone(), false));
    // Where the database took it and the order died before its file was in place, the next start places it.
    carry_out(Order::RootTokenNew, &store, &place).unwrap();
    std::fs::rename(&file, &fresh).unwrap();
    std::fs::write(&file, good).unwrap();
    let newest = std::fs::read_to_string(&fresh).unwrap();
    root_token::install(&settings, &store, Vec::new()).unwrap();
    assert_eq!((std::fs::read_to_string(&file).unwrap(), fresh.exists()), (newest, false));
}
