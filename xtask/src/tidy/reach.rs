//! Who may name what: the emulator, the store, SQL, the system.
//!
//! The arrows stop a wrong dependency; these are the reaches that a right one allows: the standard library's files and
//! sockets, a string that is SQL, what the store does, of which `web` may name types only, and the emulator, which the server
//! links but `serve` must never come near.

use super::{Fault, Source, Tree};

/// The parts of `server` that play the identity provider.
const EMULATOR_MODULES: [&str; 3] = ["demo", "emulate", "drill"];
/// The files that may name these: the one that asks the command line what is wanted, and what that shows of each.
const WHO_STARTS_THEM: [&str; 3] =
    ["crates/server/src/main.rs", "crates/server/src/commands.rs", "crates/server/src/cli.rs"];
/// The demo, which uses the product as a stranger would: by its program and over HTTP.
const STRANGER: &str = "demo";
/// What of the workspace it may name beside its own room: the provider's side, how a stranger verifies a signature, the clock.
const A_STRANGERS: [&str; 4] =
    ["portcullis_emulator", "portcullis_oidc", "portcullis_domain::Clock", "portcullis_domain::Random"];
/// The rooms that may ask the system for something.
const SYSTEM_ROOMS: [&str; 4] = ["server", "emulator", "testkit", "xtask"];
/// Files that may although their room may not: the database's own file is `store`'s to copy.
const SYSTEM_FILES: [&str; 1] = ["crates/store/src/backup.rs"];
/// What asks the system: the environment, files, processes and sockets.
const SYSTEM_PATHS: [&str; 15] = [
    "std::env",
    "std::fs",
    "std::process",
    "std::os::unix::net",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::net::*",
    "std::*",
    "tokio::fs",
    "tokio::net",
    "tokio::process",
    "tokio::signal",
    "tokio::io::stdin",
];
/// The rooms whose strings may be SQL.
const SQL_ROOMS: [&str; 2] = ["store", "testkit"];

/// Finds what reaches too far.
pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for source in tree.sources.iter().filter(|source| source.path.starts_with("crates/")) {
        faults.extend(paths(source));
        faults.extend(sql(source));
    }
    faults
}

fn paths(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    for named in source.paths() {
        if source.is_test_line(named.line) {
            continue;
        }
        if begins_with(&named.path, "portcullis_emulator") && !may_name_emulator(source) {
            let what = "the emulator is named where `serve` could reach it";
            let mend = "only the modules `demo`, `emulate` and `drill` of `server` may; move the code there";
            faults.push(Fault::new(&source.path, named.line, what, mend));
        }
        let emulator_module =
            EMULATOR_MODULES.iter().find(|module| names_module(source, &named.path, module));
        if let Some(module) = emulator_module
            && !may_name_emulator(source)
            && !WHO_STARTS_THEM.contains(&source.path.as_str())
        {
            let what = format!("the module `{module}` is named where `serve` could reach it");
            let mend = "only the command line starts what plays a provider; move what is shared out of there";
            faults.push(Fault::new(&source.path, named.line, what, mend));
        }
        let is_ours = named.path.starts_with("portcullis_");
        if is_of(source, STRANGER)
            && is_ours
            && !A_STRANGERS.iter().any(|path| begins_with(&named.path, path))
        {
            let what = format!("the demo names `{}`", named.path);
            let mend = "it shows what a stranger can do: ask over HTTP, or by a command of the program";
            faults.push(Fault::new(&source.path, named.line, what, mend));
        }
        if source.room() == "web" && begins_with(&named.path, "portcullis_store") && !is_type(&named.path) {
            let what = format!("`web` names `{}`", named.path);
            let mend = "`web` may name types of `store` only; what is done there is a use case of `service`";
            faults.push(Fault::new(&source.path, named.line, what, mend));
        }
        let asks_system = SYSTEM_PATHS.iter().any(|path| begins_with(&named.path, path));
        let may =
            SYSTEM_ROOMS.contains(&source.room()) || SYSTEM_FILES.iter().any(|file| source.path == *file);
        if asks_system && !may {
            let what = format!("`{}` asks the system for `{}`", source.room(), named.path);
            let mend = "only `server` knows the environment, files, processes and sockets; take the value as an argument";
            faults.push(Fault::new(&source.path, named.line, what, mend));
        }
    }
    faults
}

/// True if `path` is `start` or lies under it.
fn begins_with(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// True if `path` ends in the name of a type.
fn is_type(path: &str) -> bool {
    path.rsplit("::").next().is_some_and(|last| last.starts_with(|first: char| first.is_ascii_uppercase()))
}

/// True if a path in `server` leads to that module of it.
fn names_module(source: &Source, path: &str, module: &str) -> bool {
    let start = ["crate", "super"].into_iter().find_map(|start| path.strip_prefix(start));
    let inside = start.and_then(|rest| rest.strip_prefix("::")).filter(|_| source.room() == "server");
    inside.is_some_and(|rest| begins_with(rest, module))
}

fn may_name_emulator(source: &Source) -> bool {
    if source.room() == "emulator" {
        return true;
    }
    EMULATOR_MODULES.iter().any(|module| is_of(source, module))
}

/// True if the file is that module of `server`, or lies in it.
fn is_of(source: &Source, module: &str) -> bool {
    let inside =
        source.path.strip_prefix("crates/server/src/").and_then(|inside| inside.strip_prefix(module));
    inside.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn sql(source: &Source) -> Vec<Fault> {
    if SQL_ROOMS.contains(&source.room()) || source.is_test() {
        return Vec::new();
    }
    let offending =
        source.strings.iter().filter(|string| is_sql(&string.text) && !source.is_test_line(string.line));
    let mend = "only `store` knows SQL; write a query function there, named after the noun, and call it";
    offending.map(|string| Fault::new(&source.path, string.line, "a string here is SQL", mend)).collect()
}

/// True if `text` begins one of the four statements that read or write rows.
fn is_sql(text: &str) -> bool {
    let updates = || {
        text.match_indices("UPDATE ").any(|(at, found)| {
            let rest = text.get(at + found.len()..).unwrap_or_default();
            rest.split_whitespace().nth(1).is_some_and(|word| word == "SET")
        })
    };
    ["SELECT ", "INSERT INTO", "DELETE FROM"].iter().any(|start| text.contains(start)) || updates()
}
