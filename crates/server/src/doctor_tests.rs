//! What is said of measurements that no test can bring about, and that the guide names every code.

use std::collections::BTreeSet;
use std::path::Path;

use portcullis_domain::Timestamp;

use super::code::{Code, MEASURED};
use super::machine::{self, Kept, MAX_APART_S, MIN_FREE_BYTES, NETWORK_FILE_SYSTEMS};
use super::{Finding, Level, disks};
use crate::settings::{Settings, Sources};

/// A measurement that is found wanting, and its neighbour that is not.
struct Judged {
    code: Code,
    bad: Option<Finding>,
    good: Option<Finding>,
}

fn judged() -> Vec<Judged> {
    let folder = Path::new("/srv/portcullis");
    let at = Timestamp::from_seconds;
    // Of a disk of this machine: ext4.
    let local = 0xEF53;
    let mut all = vec![
        Judged {
            code: Code::DataFolderOwner,
            bad: machine::owner(folder, 1000, 0),
            good: machine::owner(folder, 1000, 1000),
        },
        Judged {
            code: Code::DiskSpace,
            bad: machine::space(folder, MIN_FREE_BYTES - 1),
            good: machine::space(folder, MIN_FREE_BYTES),
        },
        Judged {
            code: Code::ClockDiffers,
            bad: machine::clocks(at(1_000 + MAX_APART_S + 1), at(1_000)),
            good: machine::clocks(at(1_000 + MAX_APART_S), at(1_000)),
        },
        Judged {
            code: Code::ClockDiffers,
            bad: machine::clocks(at(1_000), at(1_000 + MAX_APART_S + 1)),
            good: machine::clocks(at(1_000), at(1_000 + MAX_APART_S)),
        },
    ];
    for kind in NETWORK_FILE_SYSTEMS {
        all.push(Judged {
            code: Code::NetworkFileSystem,
            bad: machine::file_system(folder, kind, Kept::Here),
            good: machine::file_system(folder, local, Kept::Here),
        });
        all.push(Judged {
            code: Code::NetworkFileSystem,
            bad: machine::file_system(folder, kind, Kept::Here),
            good: machine::file_system(folder, kind, Kept::Elsewhere),
        });
    }
    for name in ["fsync", "synchronous_commit"] {
        all.push(Judged {
            code: Code::PostgresDurability,
            bad: machine::durability(name, "off"),
            good: machine::durability(name, "on"),
        });
    }
    all
}

#[test]
fn a_measurement_that_is_wanting_is_found_and_its_neighbour_is_not() {
    for Judged { code, bad, good } in judged() {
        let found = bad.unwrap_or_else(|| panic!("`{}` was not found", code.as_str()));
        assert_eq!(found.code, code);
        assert!(found.what.len() > 10 && found.remedy.len() > 10, "{found:?}");
        assert!(good.is_none(), "{good:?}");
    }
}

#[test]
fn every_code_that_is_judged_from_a_measurement_is_judged_here() {
    let here: BTreeSet<Code> = judged().into_iter().map(|judged| judged.code).collect();
    for code in MEASURED {
        assert!(here.contains(code), "`{}` is judged by no test", code.as_str());
    }
}

#[test]
fn a_clock_that_is_apart_is_an_error_and_says_which_way() {
    let found = machine::clocks(Timestamp::from_seconds(1_060), Timestamp::from_seconds(1_000)).unwrap();
    assert_eq!(found.level, Level::Error);
    assert!(found.what.contains("60 s ahead of"), "{}", found.what);
}

#[test]
fn the_guide_names_every_code_and_no_other() {
    let guide = include_str!("../../../docs/guide/operations.md");
    let (_, section) = guide.split_once("## Doctor").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let named: BTreeSet<&str> =
        rows.flat_map(|row| row.split(" | ").next().unwrap().split('`').skip(1).step_by(2)).collect();
    let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes.len(), Code::ALL.len(), "two codes are spelt alike");
    assert_eq!(named, codes);
}

#[test]
fn the_disk_that_the_database_lies_on_is_looked_at_beside_the_data_folders() {
    // Not where temporary files lie: that may be the memory, too.
    let (data, shared) =
        (tempfile::tempdir_in("/var/tmp").unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    let settings = |database: &str| {
        let given = [("DATA", data.path().to_str().unwrap()), ("DATABASE", database)];
        let environment = given.map(|(name, text)| (format!("PORTCULLIS_{name}"), text.to_owned())).to_vec();
        Settings::from_sources(&Sources { environment, ..Sources::default() }).unwrap()
    };
    let of = |database: &str| disks(&settings(database));
    let here = data.path().to_owned();
    assert_eq!(of(&format!("sqlite:{}/p.sqlite", here.display())), [(here.clone(), Kept::Here)]);
    assert_eq!(of("postgres://u@localhost/p"), [(here.clone(), Kept::Elsewhere)]);
    let elsewhere = shared.path().canonicalize().unwrap();
    assert_eq!(
        of(&format!("sqlite:{}/p.sqlite", shared.path().display())),
        [(here, Kept::Elsewhere), (elsewhere, Kept::Here)]
    );
}
