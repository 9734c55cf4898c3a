//! That no suite of `web` is left out on PostgreSQL without somebody having said so.

use super::ON_BOTH;

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
