//! That no suite is left out: of `web` on PostgreSQL without somebody having said so, and of any unnoticed.

use std::fs;
use std::path::Path;

use super::{ALONE, MIN_PEERS, MIN_TESTS, MIN_WHOLE, ON_BOTH};

/// What asks no database anything, or only holds what the others share.
const ON_SQLITE_ALONE: [&str; 12] = [
    "answers::",
    "bounds::",
    "documents::",
    "failures::",
    "golden::",
    "pace::",
    "rows::",
    "saml_idp::",
    "support::",
    "way_out::",
    "wire::",
    "world::",
];

/// The modules of an integration test, as its names of tests begin.
fn modules(main: &str) -> Vec<String> {
    main.lines()
        .filter_map(|line| Some(format!("{}::", line.strip_prefix("mod ")?.strip_suffix(';')?)))
        .collect()
}

#[test]
fn every_module_of_webs_tests_runs_on_postgresql_or_is_said_not_to() {
    let it = modules(include_str!("../../../crates/web/tests/it/main.rs"));
    let sign_in = modules(include_str!("../../../crates/web/tests/sign_in/main.rs"));
    assert!(it.len() > 10 && sign_in.len() > 2);
    let mut found = Vec::new();
    for module in it.iter().chain(&sign_in).map(String::as_str) {
        assert!(
            ON_BOTH.contains(&module) || ON_SQLITE_ALONE.contains(&module),
            "say in `ON_BOTH` or here where `{module}` runs"
        );
        found.push(module);
    }
    for module in ON_BOTH {
        assert!(found.contains(&module), "there is no `{module}`");
    }
}

#[test]
fn what_runs_alone_is_there_and_is_told_from_what_does_not_by_its_name() {
    let whole = modules(include_str!("../../../crates/server/tests/whole/main.rs"));
    assert!(whole.len() > 20);
    for module in ALONE {
        // The harness chooses whatever holds these words anywhere.
        let chosen: Vec<_> = whole.iter().filter(|name| name.contains(module)).collect();
        assert_eq!(chosen, [module]);
    }
}

/// How many tests are written in a file, or below a folder.
fn written_in(path: &Path) -> u64 {
    let is_test = |line: &&str| ["#[test]", "#[tokio::test"].iter().any(|mark| line.trim().starts_with(mark));
    let of = |path: &Path| match fs::read_to_string(path) {
        Ok(text) if path.extension().is_some_and(|end| end == "rs") => {
            text.lines().filter(is_test).count() as u64
        }
        _ => 0,
    };
    if !path.is_dir() {
        return of(path);
    }
    fs::read_dir(path).unwrap().map(|entry| written_in(&entry.unwrap().path())).sum()
}

#[test]
fn the_least_number_of_tests_that_a_step_is_content_with_is_near_what_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = root.join("crates/server/tests/whole");
    let whole = written_in(&folder);
    let others = written_in(&root.join("crates")) + written_in(&root.join("xtask/src")) - whole;
    let of_module = |module: &str| {
        let name = module.trim_end_matches(':');
        [folder.join(format!("{name}.rs")), folder.join(name)]
            .iter()
            .map(|path| written_in(path))
            .sum::<u64>()
    };
    let alone = ALONE.into_iter().map(of_module).sum::<u64>();
    for (least, are) in [(MIN_TESTS, others), (MIN_PEERS, whole - alone), (MIN_WHOLE, alone)] {
        assert!(least <= are && least * 100 >= are * 85, "of {are} tests {least} are enough");
    }
}
