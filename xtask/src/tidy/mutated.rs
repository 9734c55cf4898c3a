//! Which files mutants are made of: whatever carries a decision about access out, and no file is left out unseen.
//!
//! A list by name loses what is split off from a file that stands in it, and nobody notices: fewer mutants survive then.

use super::{Fault, Source, Tree};

/// Says which files are mutated, and which are not for what reason.
const CONFIG: &str = ".cargo/mutants-access.toml";
/// Where access is carried out.
const ROOMS: [&str; 2] = ["crates/service/src/", "crates/store/src/"];
/// Who names one of these decides or writes who acts, or proves who asks.
const DECIDES: [&str; 7] = [
    "Plan::because",
    "may_give",
    "must_reach",
    "Proof",
    "authenticate",
    "authenticate_directory",
    "bearer::find",
];
/// What is called so says which commits may have taken access away: a proof in memory is void after them.
const LESSENS: &str = "lessen";
/// What a bearer is looked up by, and the facts that access is decided from: who uses them is named above, not they.
const LOOKED_UP: [&str; 2] = ["crates/store/src/bearer.rs", "crates/store/src/facts.rs"];
/// Where the types of changes of access are.
const CHANGES: &str = "portcullis_domain::change";

/// One file that is left out.
struct LeftOut<'t> {
    line: usize,
    path: &'t str,
    has_reason: bool,
}

/// Finds files that nobody judges, and those that are left out without a reason or against it.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let Some(text) = tree.text(CONFIG) else { return Vec::new() };
    let mut faults = Vec::new();
    let left_out = left_out(text);
    for room in ROOMS {
        if !text.contains(&format!("\"{room}**/*.rs\"")) {
            let mend = "examine the whole room, and leave single files out below";
            faults.push(Fault::new(CONFIG, 1, format!("not all of `{room}` is mutated"), mend));
        }
    }
    for one in &left_out {
        let mut fault = |what: String, mend| faults.push(Fault::new(CONFIG, one.line, what, mend));
        let source = tree.sources.iter().find(|source| source.path == one.path);
        if one.path.contains('*') {
            fault(format!("`{}` leaves out what nobody has looked at", one.path), "name the files");
        } else if source.is_none() {
            fault(format!("there is no `{}`", one.path), "take it out");
        } else if !one.has_reason {
            fault(format!("nobody says why `{}` is left out", one.path), "say it in a comment above");
        }
        let mend = "let it be mutated: it carries out who acts";
        if LOOKED_UP.contains(&one.path) {
            fault(format!("`{}` is left out and looks up who asks", one.path), mend);
        }
        if let Some(named) = source.and_then(decision) {
            fault(format!("`{}` is left out and names `{named}`", one.path), mend);
        }
    }
    faults
}

/// The entries of `exclude_globs`. A comment is the reason of all that stand below it up to the next one.
fn left_out(text: &str) -> Vec<LeftOut<'_>> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let inside = lines.skip_while(|(_, line)| !line.starts_with("exclude_globs")).skip(1);
    let mut has_reason = false;
    let mut found = Vec::new();
    for (line, words) in inside.take_while(|(_, line)| *line != "]") {
        match words.strip_prefix('"').and_then(|rest| rest.split('"').next()) {
            Some(path) => found.push(LeftOut { line, path, has_reason }),
            None => has_reason = words.starts_with('#'),
        }
    }
    found
}

/// What in a file decides or writes who acts, if something does.
fn decision(source: &Source) -> Option<String> {
    let mut named = source.paths().into_iter().filter(|named| !source.is_test_line(named.line));
    let has = |path: &str, name: &str| format!("::{path}::").contains(&format!("::{name}::"));
    let decides = |path: &str| {
        path.starts_with(CHANGES) || path.contains(LESSENS) || DECIDES.iter().any(|name| has(path, name))
    };
    named.find(|named| decides(&named.path)).map(|named| named.path)
}

#[cfg(test)]
mod tests {
    use super::super::Tree;
    use super::check;

    #[test]
    fn a_file_that_is_left_out_of_the_mutants_has_a_name_and_a_reason_and_decides_nothing() {
        let config = "examine_globs = [\"crates/service/src/**/*.rs\", \"crates/store/src/token.rs\"]\n\nexclude_globs = [\n  \
                  \"crates/service/src/silent.rs\",\n  # Only tells.\n  \"crates/service/src/told.rs\",\n  \
                  \"crates/service/src/gone.rs\",\n  \"crates/service/src/saml/*.rs\",\n  \
                  \"crates/service/src/gives.rs\",\n  \"crates/service/src/proves.rs\",\n  \
                  \"crates/store/src/bearer.rs\",\n  \"crates/store/src/counts.rs\",\n]\n\nexclude_re = [\n  \"x\",\n]\n";
        let mut tree = Tree::default();
        for (path, text) in [
            (".cargo/mutants-access.toml", config),
            ("crates/service/src/silent.rs", "//! x\n"),
            (
                "crates/service/src/told.rs",
                "//! x\n#[cfg(test)]\nmod tests {\n    use portcullis_domain::change::TokenChange;\n}\n",
            ),
            ("crates/service/src/gives.rs", "//! x\nuse portcullis_domain::change::{Change, TokenChange};\n"),
            (
                "crates/service/src/proves.rs",
                "//! x\nfn f(given: &str) { g(Unauthenticated, crate::proof::Proof::of(given)) }\n",
            ),
            ("crates/store/src/bearer.rs", "//! x\n"),
            ("crates/store/src/counts.rs", "//! x\nfn f(tx: &Tx) -> bool { tx.has_lessened() }\n"),
            ("crates/service/src/judged.rs", "//! x\nuse portcullis_domain::change::Change;\n"),
        ] {
            tree.add(path, text);
        }
        let expected = [
            ".cargo/mutants-access.toml:1 not all of `crates/store/src/` is mutated",
            ".cargo/mutants-access.toml:4 nobody says why `crates/service/src/silent.rs` is left out",
            ".cargo/mutants-access.toml:7 there is no `crates/service/src/gone.rs`",
            ".cargo/mutants-access.toml:8 `crates/service/src/saml/*.rs` leaves out what nobody has looked at",
            ".cargo/mutants-access.toml:9 `crates/service/src/gives.rs` is left out and names `portcullis_domain::change::Change`",
            ".cargo/mutants-access.toml:10 `crates/service/src/proves.rs` is left out and names `crate::proof::Proof::of`",
            ".cargo/mutants-access.toml:11 `crates/store/src/bearer.rs` is left out and looks up who asks",
            ".cargo/mutants-access.toml:12 `crates/store/src/counts.rs` is left out and names `has_lessened`",
        ];
        let found =
            check(&tree).into_iter().map(|fault| format!("{}:{} {}", fault.file, fault.line, fault.what));
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}
