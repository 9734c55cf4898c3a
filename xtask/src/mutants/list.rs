//! Which mutants there are: what `cargo mutants --list` says under a configuration file, and what that file says of tests.
//!
//! cargo-mutants keeps the list, the names and the exclusions with their reasons; only the running is ours.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command::Invocation;
use crate::setup;
use crate::workspace::Workspace;

/// Listing parses the code and builds nothing.
const MAX_LISTING: Duration = Duration::from_secs(120);

/// One change of the code. Its number is its place in the list.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Mutant {
    /// Place and change, as cargo-mutants writes them.
    pub(super) name: String,
    /// The file, relative to the root.
    pub(super) file: String,
    /// What is replaced.
    pub(super) span: Span,
    /// By what; empty where something is deleted.
    pub(super) replacement: String,
    /// What kind of change it is.
    pub(super) genre: Genre,
}

/// Where in its file something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Span {
    /// Its first character.
    pub(super) start: Place,
}

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub(super) struct Place {
    /// The line.
    pub(super) line: usize,
    /// The column, in characters.
    pub(super) column: usize,
}

/// The kinds of changes that cargo-mutants knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub(super) enum Genre {
    /// A function answers with a fixed value.
    FnValue,
    /// Another operator between two operands.
    BinaryOperator,
    /// An operator before an operand is deleted.
    UnaryOperator,
    /// An arm of a `match` is deleted.
    MatchArm,
    /// The guard of an arm is always true, or never.
    MatchArmGuard,
    /// A field of a struct is what the base says.
    StructField,
}

/// What the configuration says of the tests that judge.
#[derive(Debug, Deserialize)]
pub(super) struct Judges {
    /// The packages whose tests judge.
    #[serde(rename = "test_package")]
    pub(super) packages: Vec<String>,
    /// The targets, as words for `cargo test`.
    #[serde(rename = "additional_cargo_test_args")]
    pub(super) targets: Vec<String>,
}

/// The mutants under a configuration.
pub(super) fn mutants(workspace: &Workspace, config: &Path) -> Result<Vec<Mutant>> {
    let words = ["mutants", "--workspace", "--list", "--json", "--config"];
    let said = Invocation::new(setup::mutants_program(workspace), &words)
        .and([setup::text(config)])
        .within(&workspace.root)
        .read(MAX_LISTING)?;
    serde_json::from_str(&said).context("`cargo mutants --list --json` is not as it was")
}

/// Who judges under a configuration.
pub(super) fn judges(config: &Path) -> Result<Judges> {
    let text =
        fs::read_to_string(config).with_context(|| format!("could not read `{}`", config.display()))?;
    toml::from_str(&text).with_context(|| format!("`{}` does not say who judges", config.display()))
}
