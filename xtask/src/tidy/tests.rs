//! Planted faults: every check finds the one it is there for, and nothing in a clean tree.
//!
//! A check that never fails proves nothing, so each has a fault here and, beside it, the nearest thing that is right.

use super::{Fault, Tree, answers, arrows, docs, guide, reach, roads, words};
use crate::workspace::{Crate, Dependency, DependencyKind, Workspace};

fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.add(path, text);
    }
    tree
}

fn found(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(|fault| format!("{}:{} {}", fault.file, fault.line, fault.what)).collect()
}

fn package(name: &str, dependencies: &[(&str, DependencyKind)]) -> Crate {
    let dependency = |&(name, kind): &(&str, DependencyKind)| Dependency { name: name.to_owned(), kind };
    let room = name.strip_prefix("portcullis-").unwrap_or(name);
    Crate {
        name: name.to_owned(),
        manifest: format!("crates/{room}/Cargo.toml"),
        dependencies: dependencies.iter().map(dependency).collect(),
        tests: Vec::new(),
    }
}

const NORMAL: DependencyKind = DependencyKind::Normal;
const DEVELOPMENT: DependencyKind = DependencyKind::Development;

#[test]
fn a_dependency_against_the_arrows_is_found_at_its_line() {
    let manifest = "[package]\n\n[dependencies]\nserde = \"1\"\nportcullis-service.workspace = true\n";
    let tree = tree(&[("crates/store/Cargo.toml", manifest)]);
    let crates =
        [package("portcullis-store", &[("portcullis-service", NORMAL), ("portcullis-domain", NORMAL)])];
    let faults = arrows::check(&crates, &tree);
    assert_eq!(found(&faults), ["crates/store/Cargo.toml:5 `store` may not depend on `service`"]);
}

#[test]
fn only_tests_may_use_the_testkit_and_the_emulator() {
    let crates = [
        package(
            "portcullis-web",
            &[("portcullis-testkit", DEVELOPMENT), ("portcullis-emulator", DEVELOPMENT)],
        ),
        package("portcullis-service", &[("portcullis-testkit", NORMAL), ("portcullis-emulator", NORMAL)]),
        package("portcullis-domain", &[("portcullis-store", DEVELOPMENT)]),
    ];
    let faults = arrows::check(&crates, &Tree::default());
    assert_eq!(
        found(&faults),
        [
            "crates/service/Cargo.toml:1 `service` may not depend on `testkit`",
            "crates/service/Cargo.toml:1 `service` may not depend on `emulator`",
            "crates/domain/Cargo.toml:1 `domain` may not depend on `store`",
        ]
    );
}

#[test]
fn a_library_outside_its_room_is_found_unless_only_tests_link_it() {
    let crates = [
        package("portcullis-service", &[("rusqlite", NORMAL), ("axum", NORMAL), ("tokio", NORMAL)]),
        package("portcullis-server", &[("axum", NORMAL), ("maud", NORMAL), ("rusqlite", DEVELOPMENT)]),
        package("portcullis-store", &[("tokio", NORMAL), ("postgres", NORMAL)]),
        package("portcullis-domain", &[("tokio", NORMAL)]),
    ];
    let faults = arrows::check(&crates, &Tree::default());
    assert_eq!(
        found(&faults),
        [
            "crates/service/Cargo.toml:1 `service` may not link `rusqlite`",
            "crates/service/Cargo.toml:1 `service` may not link `axum`",
            "crates/server/Cargo.toml:1 `server` may not link `maud`",
            "crates/domain/Cargo.toml:1 `domain` may not link `tokio`",
        ]
    );
}

#[test]
fn a_dependency_that_no_code_names_or_only_tests_name_is_found() {
    let manifest = "[dependencies]\nserde-json = \"1\"\nurl = \"2\"\n\n[dev-dependencies]\ninsta = \"1\"\ntower = \"1\"\n";
    let tree = tree(&[
        ("crates/web/Cargo.toml", manifest),
        ("crates/web/src/lib.rs", "fn f() { serde_json::json!({}) }\n"),
        ("crates/web/tests/it/main.rs", "use {url::Url, tower::ServiceExt};\n"),
        ("crates/webs/src/lib.rs", "use insta::glob;\n"),
    ]);
    let named = [("serde-json", NORMAL), ("url", NORMAL), ("insta", DEVELOPMENT), ("tower", DEVELOPMENT)];
    let faults = arrows::unused(&[package("portcullis-web", &named)], &tree);
    assert_eq!(
        found(&faults),
        ["crates/web/Cargo.toml:3 nothing names `url`", "crates/web/Cargo.toml:6 nothing names `insta`"]
    );
}

#[test]
fn a_room_that_the_design_does_not_draw_is_found() {
    let faults = arrows::check(&[package("portcullis-shed", &[])], &Tree::default());
    assert_eq!(found(&faults), ["crates/shed/Cargo.toml:1 `shed` is no room of the design"]);
}

#[test]
fn cargo_metadata_is_read_with_kinds_and_test_targets() {
    let metadata =
        br#"{"workspace_root":"/r","target_directory":"/r/target","packages":[{"name":"portcullis-web",
        "manifest_path":"/r/crates/web/Cargo.toml","dependencies":[{"name":"axum","kind":null},
        {"name":"insta","kind":"dev"},{"name":"cc","kind":"build"}],
        "targets":[{"name":"web","kind":["lib"]},{"name":"it","kind":["test"]}]}]}"#;
    let workspace = Workspace::parse(metadata).unwrap();
    let kinds: Vec<DependencyKind> = workspace.crates[0].dependencies.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [NORMAL, DEVELOPMENT, NORMAL]);
    assert_eq!(workspace.crates[0].manifest, "crates/web/Cargo.toml");
    assert_eq!(workspace.crates[0].tests, ["it"]);
}

#[test]
fn a_demo_that_reaches_past_http_is_found() {
    let tree = tree(&[
        (
            "crates/server/src/demo.rs",
            "//! x\nuse portcullis_domain::{Clock as _, Random};\nuse portcullis_store::Tx;\n",
        ),
        (
            "crates/server/src/demo/leaving.rs",
            "//! x\nuse portcullis_emulator::Dialect;\nuse portcullis_domain::id::TokenId;\n",
        ),
        (
            "crates/server/src/demo/record.rs",
            "//! x\nfn f() { portcullis_service::audit_export::verify(); }\n",
        ),
        ("crates/server/src/demolition.rs", "//! x\nuse portcullis_store::Tx;\n"),
    ]);
    let expected = [
        "crates/server/src/demo.rs:3 the demo names `portcullis_store::Tx`",
        "crates/server/src/demo/leaving.rs:3 the demo names `portcullis_domain::id::TokenId`",
        "crates/server/src/demo/record.rs:2 the demo names `portcullis_service::audit_export::verify`",
    ];
    assert_eq!(found(&reach::check(&tree)), expected);
}

#[test]
fn the_emulator_is_found_outside_demo_emulate_and_drill() {
    let uses = "//! x\nuse portcullis_emulator::Provider;\n";
    let tree = tree(&[
        ("crates/server/src/serve.rs", uses),
        ("crates/server/src/demolition.rs", "//! x\nfn f() { portcullis_emulator::start(); }\n"),
        ("crates/server/src/demo.rs", uses),
        ("crates/server/src/demo/steps.rs", uses),
        ("crates/server/src/emulate.rs", uses),
        ("crates/web/tests/it/main.rs", uses),
        ("crates/server/src/listen.rs", "//! x\nfn f() { crate::demo::run(); }\n"),
        ("crates/server/src/restore.rs", "//! x\nuse crate::{cli, emulate};\n"),
        ("crates/server/src/restore/inner.rs", "//! x\nuse super::drill::Play;\nuse crate::demolition;\n"),
        ("crates/server/src/commands.rs", "//! x\nuse crate::{demo, serve};\nfn f() { demo::run(); }\n"),
        ("crates/server/src/emulate/play.rs", "//! x\nuse crate::demo::surroundings;\n"),
    ]);
    let what = "the emulator is named where `serve` could reach it";
    let module = |name: &str| format!("the module `{name}` is named where `serve` could reach it");
    let expected = [
        format!("crates/server/src/serve.rs:2 {what}"),
        format!("crates/server/src/demolition.rs:2 {what}"),
        format!("crates/server/src/listen.rs:2 {}", module("demo")),
        format!("crates/server/src/restore.rs:2 {}", module("emulate")),
        format!("crates/server/src/restore/inner.rs:2 {}", module("drill")),
    ];
    assert_eq!(found(&reach::check(&tree)), expected);
}

#[test]
fn web_names_types_of_the_store_and_nothing_that_it_does() {
    let text = "//! x\nuse portcullis_store::{Priority, connection, hold::{self, HoldView}};\n\
                fn f() { portcullis_store::team::find(); }\n#[cfg(test)]\nmod tests {\n    use portcullis_store::team;\n}\n";
    let tree = tree(&[
        ("crates/web/src/a.rs", text),
        ("crates/service/src/a.rs", text),
        ("crates/web/tests/it/main.rs", text),
    ]);
    assert_eq!(
        found(&reach::check(&tree)),
        [
            "crates/web/src/a.rs:2 `web` names `portcullis_store::connection`",
            "crates/web/src/a.rs:2 `web` names `portcullis_store::hold::self`",
            "crates/web/src/a.rs:3 `web` names `portcullis_store::team::find`",
        ]
    );
}

#[test]
fn asking_the_system_below_the_server_is_found_however_it_is_imported() {
    let text = "//! x\nuse std::{collections::BTreeMap, env, net::{IpAddr, TcpListener as Port}};\n\
                fn f() { let _ = std::fs::read(\"a\"); }\n// std::env::var in prose\n\
                #[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
    let tree = tree(&[
        ("crates/domain/src/clock.rs", text),
        ("crates/server/src/main.rs", text),
        ("crates/store/tests/it/main.rs", text),
    ]);
    assert_eq!(
        found(&reach::check(&tree)),
        [
            "crates/domain/src/clock.rs:2 `domain` asks the system for `std::env`",
            "crates/domain/src/clock.rs:2 `domain` asks the system for `std::net::TcpListener`",
            "crates/domain/src/clock.rs:3 `domain` asks the system for `std::fs::read`",
        ]
    );
}

#[test]
fn sql_in_a_string_is_found_outside_the_store_and_not_in_prose() {
    let tree = tree(&[
        (
            "crates/service/src/a.rs",
            "//! SELECT one\n// DELETE FROM b\nconst A: &str = \"SELECT id FROM users\";\n",
        ),
        ("crates/web/src/b.rs", "//! x\nconst A: &str = r#\"\n  UPDATE users\n  SET name = $1\"#;\n"),
        ("crates/web/src/c.rs", "//! x\nconst A: &str = \"an UPDATE that is no SET of words\";\n"),
        ("crates/store/src/users.rs", "//! x\nconst A: &str = \"INSERT INTO users\";\n"),
    ]);
    assert_eq!(
        found(&reach::check(&tree)),
        ["crates/service/src/a.rs:3 a string here is SQL", "crates/web/src/b.rs:2 a string here is SQL"]
    );
}

#[test]
fn a_word_that_is_not_ours_is_found_in_the_names_of_types_and_modules() {
    let text = "//! x\nstruct TokenManager;\nenum Tenants { One }\nmod http_utils {}\ntype Reaccounting = u8;\n\
                // struct Helper in prose\nfn account() {}\ntrait Common {}\n";
    let faults = words::check(&tree(&[("crates/domain/src/a.rs", text)]));
    assert_eq!(
        found(&faults),
        [
            "crates/domain/src/a.rs:2 `struct TokenManager`: `manager` is not one of our words",
            "crates/domain/src/a.rs:3 `enum Tenants`: `tenant` is not one of our words",
            "crates/domain/src/a.rs:4 `mod http_utils`: `util` is not one of our words",
            "crates/domain/src/a.rs:8 `trait Common`: `common` is not one of our words",
        ]
    );
}

#[test]
fn a_module_that_does_not_say_what_it_is_is_found() {
    let files = tree(&[
        ("crates/domain/src/a.rs", "\nuse std::fmt;\n"),
        ("crates/domain/src/b.rs", "//!\nuse std::fmt;\n"),
        ("crates/domain/src/c.rs", "//! Names.\nuse std::fmt;\n"),
    ]);
    let what = "the module does not say what it is";
    let expected = [format!("crates/domain/src/a.rs:1 {what}"), format!("crates/domain/src/b.rs:1 {what}")];
    assert_eq!(found(&words::check(&files)), expected);
}

#[test]
fn a_file_is_too_long_from_801_lines_on() {
    let of_lines = |lines: usize| format!("//! x\n{}", "\n".repeat(lines - 1));
    let right = of_lines(800);
    let long = of_lines(801);
    let files = tree(&[("crates/domain/src/a.rs", &right), ("crates/domain/src/b.rs", &long)]);
    let expected = ["crates/domain/src/b.rs:801 the file has 801 lines, 800 are the most"];
    assert_eq!(found(&words::check(&files)), expected);
}

#[test]
fn a_comment_is_too_wide_from_131_characters_on() {
    let of_width = |width: usize| format!("//! x\nfn f() {{}}\n    // {}\n", "ä".repeat(width - 7));
    let (right, wide) = (of_width(130), of_width(131));
    let code = format!("//! x\nconst A: &str = \"// {}\";\n", "x".repeat(200));
    let paths = ["a", "b", "c"].map(|name| format!("crates/domain/src/{name}.rs"));
    let files = tree(&[(&paths[0], &right), (&paths[1], &wide), (&paths[2], &code)]);
    let expected = ["crates/domain/src/b.rs:3 the comment has 131 characters in a line, 130 are the most"];
    assert_eq!(found(&words::check(&files)), expected);
}

#[test]
fn work_put_off_is_found_in_comments_and_code() {
    let text = format!(
        "//! x\n// {}: later\nfn f() {{ {}!() }}\nconst A: &str = \"{}x\";\n",
        "TO".to_owned() + "DO",
        "to".to_owned() + "do",
        "TO".to_owned() + "DO"
    );
    let faults = words::check(&tree(&[("crates/domain/src/a.rs", &text)]));
    let at: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
    assert_eq!(at, [2, 3]);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let readme = "# One\n[a](docs/a.md) [b](docs/b.md) [c](docs/a.md#two-words) [d](docs/a.md#three) [e](#one)\n\
                  ```\n[f](docs/f.md)\n```\n[g](https://example.com/x)\n[h](docs)\n";
    let files = tree(&[("README.md", readme), ("docs/a.md", "# Two words\n[up](../README.md)\n")]);
    assert_eq!(
        found(&docs::check(&files)),
        [
            "README.md:2 the link to `docs/b.md` leads nowhere",
            "README.md:2 the link to `docs/a.md#three` leads to no heading",
        ]
    );
}

#[test]
fn a_path_in_prose_that_is_not_there_is_found() {
    let page =
        "See `crates/domain/src/a.rs`, `crates/domain/`, `crates/gone/src/a.rs` and `crates/<room>/src`.\n";
    let files = tree(&[("docs/a.md", page), ("crates/domain/src/a.rs", "//! x\n")]);
    assert_eq!(
        found(&docs::check(&files)),
        ["docs/a.md:1 `crates/gone/src/a.rs` is named, but is not there"]
    );
}

#[test]
fn a_page_of_the_guide_that_leaves_out_what_comes_first_is_found() {
    let said = "Prove the domain and\nmake a directory ([a](getting-started.md), sections\n4 and 5).\n";
    let address = "Set `public_url` [first](getting-started.md#before-a-provider-in-the-cloud-calls).\n";
    let files = tree(&[
        ("docs/guide/connect-okta.md", &format!("{said}{address}")),
        ("docs/guide/connect-entra.md", said),
        ("docs/guide/connect-authentik.md", "Make a directory as in [a](getting-started.md), section\n5.\n"),
        ("docs/guide/getting-started.md", "umask 077   # secrets\ncall > directory.json\n"),
        ("README.md", "call | tee directory.json\numask 077\n"),
    ]);
    assert_eq!(
        found(&guide::check(&files)),
        [
            "docs/guide/connect-entra.md:1 the page does not say by which address the provider reaches the server",
            "docs/guide/connect-authentik.md:1 the page sends to make a directory, and not to prove the domain before",
            "README.md:1 `directory.json` holds a secret, and everybody of the machine may read it",
        ]
    );
}

#[test]
fn a_block_of_the_guide_that_looks_and_decides_at_once_is_found() {
    let alone = "```sh\ncall -X POST $API/holds/$HOLD/release -d @leavers.json | jq .\n```\n";
    let looks = "```sh\ncall $API/holds\nHOLD=$(call $API/holds | jq -r .id)\n```\n";
    let both = "```sh\nHOLD=$(call $API/holds)\ncall -X POST $API/holds/$HOLD/release -d '{}'\n```\n";
    let off = "```sh\ncall -d '{\"brake\":{}}'\ncall -d '{\"brake\":null}'\n```\n";
    let files = tree(&[("docs/guide/brake.md", &format!("{looks}{alone}{both}{off}"))]);
    assert_eq!(
        found(&guide::check(&files)),
        [
            "docs/guide/brake.md:10 a block that is pasted whole decides without a look",
            "docs/guide/brake.md:14 a block that is pasted whole decides without a look",
        ]
    );
}

#[test]
fn decision_records_are_numbered_without_a_gap_and_say_their_number() {
    let files = tree(&[
        ("docs/decisions/0001-records.md", "# 0001. Records\n"),
        ("docs/decisions/0003-gap.md", "# 0003. Gap\n"),
        ("docs/decisions/README.md", "# How\n"),
    ]);
    let expected = ["docs/decisions/0003-gap.md:1 the record's number is not the next one"];
    assert_eq!(found(&docs::check(&files)), expected);
    let files = tree(&[("docs/decisions/0001-records.md", "# Records\n")]);
    let expected = ["docs/decisions/0001-records.md:1 the record's title does not say its number"];
    assert_eq!(found(&docs::check(&files)), expected);
}

#[test]
fn an_invariant_without_a_test_that_exists_is_found() {
    let page = "| **I1** | held by `web::tests::nothing_acts_after` |\n| I2 | by `gone_with_the_wind` |\n| I3 | by faith |\n";
    let files = tree(&[
        ("ARCHITECTURE.md", page),
        ("crates/web/tests/it/main.rs", "//! x\n#[test]\nfn nothing_acts_after() {}\n"),
    ]);
    assert_eq!(
        found(&docs::check(&files)),
        [
            "ARCHITECTURE.md:2 `gone_with_the_wind` is said to hold I2, but is not there",
            "ARCHITECTURE.md:3 nothing is said to hold I3",
        ]
    );
}

#[test]
fn a_shape_of_a_provider_without_a_test_that_exists_or_a_reason_is_found() {
    let page = "| Room | Where |\n|---|---|\n| `web` | HTTP |\n\n| Shape | Held by |\n|---|---|\n\
        | a `null` | `web::wild::nulls_are_read` |\n| b | `web::wild::nulls_are_read`, `web::wild::gone` |\n\
        | c | `scim::wild::nulls_are_read` |\n| d | `web::tame::nulls_are_read` |\n| e | `nulls_are_read` |\n\
        | f | none: nobody sends it |\n| g | none |\n\n| Other | Page |\n|---|---|\n| h | i |\n";
    let files = tree(&[
        ("docs/reference/scim-in-the-wild.md", page),
        ("crates/web/tests/it/wild.rs", "//! x\n#[test]\nfn nulls_are_read() {}\n"),
    ]);
    let missing = |line: usize, test: &str| {
        format!(
            "docs/reference/scim-in-the-wild.md:{line} `{test}` is said to hold this shape, but is not there"
        )
    };
    assert_eq!(
        found(&docs::check(&files)),
        [
            missing(8, "web::wild::gone"),
            missing(9, "scim::wild::nulls_are_read"),
            missing(10, "web::tame::nulls_are_read"),
            missing(11, "nulls_are_read"),
            "docs/reference/scim-in-the-wild.md:13 nothing is said to hold this shape".to_owned(),
        ]
    );
}

#[test]
fn the_lexer_knows_comments_strings_and_characters() {
    let text = "//! x\nfn f<'a>(b: &'a str) -> char { /* \"one\" /* two */ */ let _ = r##\"th\"#ree\"##; '\"' }\n\
                const A: &[u8] = b\"fo\\\"ur\"; const B: char = '\\''; const R: u8 = r#type;\n";
    let source = super::Source::parse("crates/domain/src/a.rs", text);
    let strings: Vec<(usize, &str)> =
        source.strings.iter().map(|string| (string.line, string.text.as_str())).collect();
    assert_eq!(strings, [(2, "th\"#ree"), (3, "fo\\\"ur")]);
    assert!(!source.code.contains("one") && !source.code.contains("two"));
    assert!(source.code.contains("fn f<'a>(b: &'a str) -> char {"));
    assert_eq!(source.code.lines().count(), text.lines().count());
}

const STATEMENTS: &str =
    "//! Every statement.\npub fn all() { [crate::user::ALL, crate::trace::ALL].concat() }\n";

fn store(user: &str, trace: &str) -> Tree {
    tree(&[
        ("crates/store/src/statement.rs", STATEMENTS),
        ("crates/store/src/user.rs", user),
        ("crates/store/src/trace.rs", trace),
    ])
}

#[test]
fn a_table_written_by_a_change_and_by_a_note_is_found() {
    let user = "//! Users.\nconst NAME: Statement = Statement::change(\"user.name\", \"UPDATE users SET name = $2\");\n\
                pub const ALL: &[&Statement] = &[&NAME];\n";
    let used = "//! Traces.\nconst ADD: Statement = Statement::note(\n    \"trace.add\",\n    \
                concat!(\"INSERT INTO traces (id) \", \"VALUES ($1)\"),\n);\n\
                const SEEN: Statement = Statement::note(\"trace.seen\", \"UPDATE users SET seen_at = $2\");\n\
                pub const ALL: &[&Statement] = &[&ADD, &SEEN];\n";
    assert_eq!(
        found(&roads::check(&store(user, used))),
        ["crates/store/src/trace.rs:6 `users` is written by a note here and by a change elsewhere"]
    );
}

#[test]
fn a_statement_on_the_wrong_road_is_found() {
    let user = "//! Users.\nconst END: Statement = Statement::read(\"user.end\", \"DELETE FROM users\");\n\
                const FIND: Statement = Statement::change(\"user.find\", \"SELECT id FROM users\");\n\
                pub const ALL: &[&Statement] = &[&END, &FIND];\n";
    let trace = "//! Traces.\npub const ALL: &[&Statement] = &[];\n";
    assert_eq!(
        found(&roads::check(&store(user, trace))),
        [
            "crates/store/src/user.rs:2 `user.end` is marked as read, but writes `users`",
            "crates/store/src/user.rs:3 `user.find` is marked as change, but writes nothing",
        ]
    );
}

#[test]
fn a_statement_that_is_not_in_the_one_list_is_found() {
    let user = "//! Users.\nconst FIND: Statement = Statement::read(\"user.find\", \"SELECT id FROM users\");\n\
                pub const ALL: &[&Statement] = &[];\n";
    let mut tree = store(user, "//! Traces.\npub const ALL: &[&Statement] = &[];\n");
    tree.add("crates/store/src/team.rs", "//! Teams.\npub const ALL: &[&Statement] = &[];\n");
    tree.add("crates/store/src/role.rs", "//! Roles.\nfn f() { tx.run(\"SELECT 1\") }\n");
    assert_eq!(
        found(&roads::check(&tree)),
        [
            "crates/store/src/user.rs:2 `FIND` is not in this file's `ALL`",
            "crates/store/src/team.rs:2 this file's `ALL` is not in `statement::all`",
            "crates/store/src/role.rs:2 SQL outside a `Statement`",
        ]
    );
}

#[test]
fn a_macro_that_writes_marks_the_statements_that_call_it() {
    let user = "//! Users.\nmacro_rules! end {\n    ($where:literal) => {\n        \
                concat!(\"UPDATE users SET ended_at = $1 WHERE \", $where)\n    };\n}\n\
                const END: Statement = Statement::change(\"user.end\", end!(\"id = $2\"));\n\
                const FIND: Statement = Statement::read(\"user.find\", end!(\"id = $3\"));\n\
                pub const ALL: &[&Statement] = &[&END, &FIND];\n";
    let trace = "//! Traces.\npub const ALL: &[&Statement] = &[];\n";
    assert_eq!(
        found(&roads::check(&store(user, trace))),
        ["crates/store/src/user.rs:8 `user.find` is marked as read, but writes `users`"]
    );
}

#[test]
fn what_follows_a_commit_may_complete_a_row_but_not_change_one() {
    let user = "//! Users.\nconst OPEN: Statement = Statement::change(\"receipt.open\", \"INSERT INTO receipts (id)\");\n\
                pub const ALL: &[&Statement] = &[&OPEN];\n";
    let note = |condition: &str| {
        format!(
            "//! Traces.\nconst SIGN: Statement =\n    Statement::note(\"receipt.sign\", \
             \"UPDATE receipts SET jws = $2 WHERE id = $1{condition}\");\n\
             pub const ALL: &[&Statement] = &[&SIGN];\n"
        )
    };
    assert_eq!(found(&roads::check(&store(user, &note(" AND jws IS NULL")))), Vec::<String>::new());
    assert_eq!(
        found(&roads::check(&store(user, &note("")))),
        ["crates/store/src/trace.rs:3 `receipts` is written by a note here and by a change elsewhere"]
    );
}

#[test]
fn a_fault_of_the_database_that_is_taken_for_a_no_is_found() {
    let text = "//! A module.\nfn may() {\n    if may_steer(tx, (caller, of(1))).is_ok() {}\n    \
                caller.may(right).is_ok();\n    may_steer(tx, caller).granted()?;\n    \
                [1].map(|one| find(tx, one)).first().ok();\n}\n";
    let faults =
        answers::check(&tree(&[("crates/service/src/token.rs", text), ("crates/web/src/a.rs", text)]));
    assert_eq!(
        found(&faults),
        ["crates/service/src/token.rs:3 `.is_ok()` takes a fault of the database for an answer"]
    );
}
