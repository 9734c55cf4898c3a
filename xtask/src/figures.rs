//! Measures the figures of `docs/reference/performance.md`: installs what is measured beside, builds, runs.
//!
//! No test needs any of it, so nothing of it is installed by `setup`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::Invocation;
use crate::keycloak;
use crate::setup::{self, MAX_INSTALL, Stamp, text};
use crate::workspace::{Workspace, cargo};

/// How long all figures may take.
const MAX_MEASURING: Duration = Duration::from_secs(7200);
/// How long the optimised build may take from nothing.
const MAX_BUILDING: Duration = Duration::from_secs(3600);

/// Measures the parts that `words` name, or all.
pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<ExitCode> {
    let names_none = !words.iter().any(|word| word.parse::<u32>().is_err() && !word.starts_with("--"));
    let wants = |part: &str| names_none || words.iter().any(|word| word == part);
    if wants("checks") {
        setup::debian_package("wrk")?;
    }
    if wants("peers") || wants("sign-ins") || wants("verification") {
        setup::everything(workspace)?;
        peers(workspace)?;
    }
    let folder = workspace.target.join("figures");
    fs::create_dir_all(&folder).context("could not make the folder for throw-away data")?;
    if wants("verification") {
        verification(workspace, &folder)?;
    }
    let words: Vec<&String> = words.iter().filter(|word| *word != "verification").collect();
    if words.is_empty() && !names_none {
        return Ok(ExitCode::SUCCESS);
    }
    let build = ["build", "--locked", "--release", "-p", "portcullis-server"];
    let what = ["--bin", "portcullis", "--example", "figures"].map(str::to_owned);
    Invocation::new(cargo(), &build).and(what).within(&workspace.root).run(MAX_BUILDING)?;
    let built = workspace.target.join("release");
    Invocation::new(built.join("examples/figures"), &[])
        .and(words.into_iter().cloned())
        .with("PORTCULLIS_BIN", text(&built.join("portcullis")))
        .with("PORTCULLIS_TEST_PEERS", text(&workspace.peers()))
        .within(&folder)
        .run(MAX_MEASURING)?;
    Ok(ExitCode::SUCCESS)
}

/// What verifying costs: a response of SAML beside npm's own service provider, an ID token beside the library below it.
fn verification(workspace: &Workspace, folder: &Path) -> Result<()> {
    let examples = [
        "-p",
        "portcullis-saml",
        "--example",
        "verification",
        "-p",
        "portcullis-oidc",
        "--example",
        "id_token",
    ];
    Invocation::new(cargo(), &["build", "--locked", "--profile", "ci-release"])
        .and(examples.map(str::to_owned))
        .within(&workspace.root)
        .run(MAX_BUILDING)?;
    let built = |name: &str| {
        Invocation::new(workspace.target.join("ci-release/examples").join(name), &[]).within(folder)
    };
    let peers = workspace.peers();
    let (node, script) = (peers.join("bin/node"), peers.join("scale/node/node-saml.mjs"));
    built("verification").and(["--beside".to_owned(), text(&node), text(&script)]).run(MAX_MEASURING)?;
    built("id_token").run(MAX_MEASURING)
}

/// Other SCIM servers, at exact versions, in a folder of their own beside the tests' peers.
fn peers(workspace: &Workspace) -> Result<()> {
    let folder = workspace.peers().join("scale");
    let source = workspace.root.join("tests/peers/scale");
    npm(workspace, &source, &folder.join("node"))?;
    setup::environment(&folder.join("venv"), &source.join("requirements.txt"))?;
    // Apart from the tests' own, which is built without the preview.
    keycloak::fetch(&folder.join("keycloak"))
}

fn npm(workspace: &Workspace, source: &Path, folder: &Path) -> Result<()> {
    let scripts =
        ["arguments.mjs", "jackson.mjs", "jackson-sso.mjs", "node-saml.mjs", "scimmy.mjs", "sign-ins.mjs"];
    let files =
        ["package.json", "package-lock.json"].into_iter().chain(scripts).map(|name| source.join(name));
    let files: Vec<PathBuf> = files.collect();
    let stamp = Stamp::new(folder, &files.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
    if stamp.is_current() {
        return Ok(());
    }
    println!("figures: servers from npm go to {}", folder.display());
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).context("could not make the folder for npm's packages")?;
    for file in &files {
        let name = file.file_name().context("a file has a name")?;
        fs::copy(file, folder.join(name)).with_context(|| format!("could not copy `{}`", file.display()))?;
    }
    let words = ["ci", "--omit=optional", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    setup::npm(workspace).and(words.map(str::to_owned)).within(folder).run(MAX_INSTALL)?;
    stamp.set()
}
