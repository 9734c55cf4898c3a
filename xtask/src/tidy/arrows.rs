//! Which crate may depend on which: the arrows of the rooms, the libraries that belong to one room, and nothing that no
//! code names.
//!
//! cargo refuses a cycle, not a wrong direction. This table is the drawing in ARCHITECTURE.md, made to fail.

use std::collections::HashSet;

use super::{Fault, Tree};
use crate::workspace::{Crate, Dependency, DependencyKind};

/// What every crate of ours but this tool is called before the name of its room.
const PREFIX: &str = "portcullis-";

/// One room and the rooms that its code may name.
struct Room {
    name: &'static str,
    may_use: &'static [&'static str],
}

/// The arrows. A room that is not here may not exist: add it where the design draws it.
const ROOMS: [Room; 12] = [
    Room { name: "domain", may_use: &[] },
    Room { name: "saml", may_use: &[] },
    Room { name: "oidc", may_use: &[] },
    Room { name: "scim", may_use: &[] },
    Room { name: "store", may_use: &["domain"] },
    Room { name: "service", may_use: &["domain", "saml", "oidc", "scim", "store"] },
    Room { name: "web", may_use: &["domain", "saml", "oidc", "scim", "store", "service"] },
    Room { name: "emulator", may_use: &["oidc"] },
    Room {
        name: "server",
        may_use: &["domain", "saml", "oidc", "scim", "store", "service", "web", "emulator"],
    },
    Room { name: "testkit", may_use: &["domain", "saml", "oidc", "scim", "store", "service", "web"] },
    Room { name: "fuzz", may_use: &["saml", "oidc", "scim"] },
    Room { name: "xtask", may_use: &[] },
];

/// Rooms that only tests may use, from anywhere.
const FOR_TESTS: [&str; 2] = ["testkit", "emulator"];

/// A library and the only rooms that link it into the product.
struct Kept {
    library: &'static str,
    rooms: &'static [&'static str],
    why: &'static str,
}

/// Libraries that would carry a room's knowledge into another.
const KEPT: [Kept; 16] = [
    Kept { library: "rusqlite", rooms: &["store"], why: "only `store` knows databases" },
    Kept { library: "postgres", rooms: &["store", "testkit"], why: "only `store` knows databases" },
    Kept { library: "tokio-postgres", rooms: &["store"], why: "only `store` knows databases" },
    Kept { library: "tokio-postgres-rustls", rooms: &["store"], why: "only `store` knows databases" },
    Kept {
        library: "rustls-platform-verifier",
        rooms: &["server"],
        why: "only `server` reads whom this machine trusts",
    },
    Kept { library: "axum", rooms: &["web", "server", "emulator"], why: "only `web` knows HTTP routes" },
    Kept { library: "tower-http", rooms: &["web", "server"], why: "only `web` knows HTTP routes" },
    Kept { library: "maud", rooms: &["web"], why: "only `web` knows HTML" },
    Kept { library: "reqwest", rooms: &["server", "emulator"], why: "only `server` calls out" },
    Kept { library: "hickory-resolver", rooms: &["server"], why: "only `server` calls out" },
    Kept { library: "clap", rooms: &["server"], why: "only `server` knows the command line" },
    Kept { library: "anyhow", rooms: &["server", "xtask"], why: "errors are exact enums below `server`" },
    Kept { library: "jsonwebtoken", rooms: &["oidc"], why: "JOSE is `oidc`'s" },
    Kept { library: "uppsala", rooms: &["saml"], why: "XML is `saml`'s" },
    Kept { library: "bergshamra-c14n", rooms: &["saml"], why: "XML is `saml`'s" },
    Kept {
        library: "tokio",
        rooms: &["store", "service", "web", "server", "emulator"],
        why: "what is pure needs no runtime",
    },
];

/// Finds dependencies against the arrows.
pub(crate) fn check(crates: &[Crate], tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for owner in crates {
        let name = room_of(&owner.name);
        let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
            let mend = "draw it in ARCHITECTURE.md and in xtask/src/tidy/arrows.rs, or put the code into a room there is";
            faults.push(Fault::new(&owner.manifest, 1, format!("`{name}` is no room of the design"), mend));
            continue;
        };
        for dependency in &owner.dependencies {
            if let Some((what, mend)) = fault_of(room, dependency) {
                faults.push(Fault::new(&owner.manifest, line_of(tree, owner, dependency), what, mend));
            }
        }
    }
    faults
}

/// Finds dependencies that no code names.
pub(crate) fn unused(crates: &[Crate], tree: &Tree) -> Vec<Fault> {
    crates.iter().flat_map(|owner| unused_by(owner, tree)).collect()
}

/// What the manifest names and the code does not: the product's in `src`, that of tests in any file of the crate.
fn unused_by(owner: &Crate, tree: &Tree) -> Vec<Fault> {
    let folder = owner.manifest.trim_end_matches("Cargo.toml");
    let product = format!("{folder}src/");
    let [mut in_product, mut anywhere] = [HashSet::new(), HashSet::new()];
    for source in tree.sources.iter().filter(|source| source.path.starts_with(folder)) {
        let names =
            source.paths().into_iter().filter_map(|named| named.path.split("::").next().map(str::to_owned));
        anywhere.extend(names.clone());
        if source.path.starts_with(&product) {
            in_product.extend(names);
        }
    }
    let is_unused = |dependency: &&Dependency| {
        let name = dependency.name.replace('-', "_");
        match dependency.kind {
            DependencyKind::Normal => !in_product.contains(&name),
            DependencyKind::Development => !anywhere.contains(&name),
        }
    };
    let mend = "take the line out, or move it to `[dev-dependencies]` if only tests name it";
    let fault = |dependency: &Dependency| {
        let what = format!("nothing names `{}`", dependency.name);
        Fault::new(&owner.manifest, line_of(tree, owner, dependency), what, mend)
    };
    owner.dependencies.iter().filter(is_unused).map(fault).collect()
}

fn fault_of(room: &Room, dependency: &Dependency) -> Option<(String, String)> {
    let other = room_of(&dependency.name);
    let is_ours = dependency.name.starts_with(PREFIX) || other == "xtask";
    let is_development = dependency.kind == DependencyKind::Development;
    if is_ours {
        let for_tests = is_development && FOR_TESTS.contains(&other);
        if room.may_use.contains(&other) || for_tests {
            return None;
        }
        let allowed =
            if room.may_use.is_empty() { "no other room".to_owned() } else { room.may_use.join(", ") };
        let what = format!("`{}` may not depend on `{other}`", room.name);
        return Some((what, format!("it may use {allowed}; move the code, or pass the value in")));
    }
    let kept = KEPT.iter().find(|kept| kept.library == dependency.name)?;
    if is_development || kept.rooms.contains(&room.name) {
        return None;
    }
    let what = format!("`{}` may not link `{}`", room.name, kept.library);
    Some((what, format!("{}; it belongs to {}", kept.why, kept.rooms.join(", "))))
}

fn room_of(package: &str) -> &str {
    package.strip_prefix(PREFIX).unwrap_or(package)
}

/// The line of the manifest that names the dependency.
fn line_of(tree: &Tree, owner: &Crate, dependency: &Dependency) -> usize {
    let names = |line: &str| {
        line.strip_prefix(dependency.name.as_str()).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    let manifest = tree.text(&owner.manifest).unwrap_or_default();
    manifest.lines().position(names).map_or(1, |index| index + 1)
}
