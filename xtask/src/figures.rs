//! Measures the figures of `docs/reference/performance.md`: installs what is measured beside, builds, runs.
//!
//! No test needs any of it, so nothing of it is installed by `setup`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::Invocation;
use crate::setup::{self, MAX_INSTALL, Stamp, text};
use crate::workspace::{Workspace, cargo};

/// How long all figures may take.
const MAX_MEASURING: Duration = Duration::from_secs(7200);
/// How long the optimised build may take from nothing.
const MAX_BUILDING: Duration = Duration::from_secs(3600);
/// Keycloak's distribution in Maven's central repository: the newest that was tried. Its SCIM is a preview.
const KEYCLOAK: &str = "26.7.3";
/// Maven's own way to fetch one file.
const MAVEN_COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy";

/// Measures the parts that `words` name, or all.
pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<ExitCode> {
    let names_none = !words.iter().any(|word| word.parse::<u32>().is_err() && !word.starts_with("--"));
    let wants = |part: &str| names_none || words.iter().any(|word| word == part);
    if wants("checks") {
        setup::debian_package("wrk")?;
    }
    if wants("peers") {
        setup::everything(workspace)?;
        peers(workspace)?;
    }
    let build = ["build", "--locked", "--profile", "ci-release", "-p", "portcullis-server"];
    let what = ["--bin", "portcullis", "--example", "figures"].map(str::to_owned);
    Invocation::new(cargo(), &build).and(what).within(&workspace.root).run(MAX_BUILDING)?;
    let folder = workspace.target.join("figures");
    fs::create_dir_all(&folder).context("could not make the folder for throw-away data")?;
    let built = workspace.target.join("ci-release");
    Invocation::new(built.join("examples/figures"), &[])
        .and(words.iter().cloned())
        .with("PORTCULLIS_BIN", text(&built.join("portcullis")))
        .with("PORTCULLIS_TEST_PEERS", text(&workspace.peers()))
        .within(&folder)
        .run(MAX_MEASURING)?;
    Ok(ExitCode::SUCCESS)
}

/// Other SCIM servers, at exact versions, in a folder of their own beside the tests' peers.
fn peers(workspace: &Workspace) -> Result<()> {
    let folder = workspace.peers().join("scale");
    let source = workspace.root.join("tests/peers/scale");
    npm(workspace, &source, &folder.join("node"))?;
    setup::environment(&folder.join("venv"), &source.join("requirements.txt"))?;
    if let Err(error) = keycloak(&folder) {
        println!("figures: Keycloak is left out: {error:#}");
    }
    Ok(())
}

fn npm(workspace: &Workspace, source: &Path, folder: &Path) -> Result<()> {
    let files = ["package.json", "package-lock.json", "arguments.mjs", "jackson.mjs", "scimmy.mjs"]
        .map(|name| source.join(name));
    let stamp = Stamp::new(folder, &files.each_ref().map(std::path::PathBuf::as_path))?;
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

fn keycloak(folder: &Path) -> Result<()> {
    let home = folder.join("keycloak");
    if fs::read_to_string(home.join("version.txt")).is_ok_and(|text| text.contains(KEYCLOAK)) {
        return Ok(());
    }
    println!("figures: Keycloak {KEYCLOAK} goes to {}", home.display());
    let _ = fs::remove_dir_all(&home);
    let artifact = format!("-Dartifact=org.keycloak:keycloak-quarkus-dist:{KEYCLOAK}:zip");
    let fetch = Invocation::new("mvn", &["--quiet", "--batch-mode", MAVEN_COPY])
        .and([artifact, format!("-DoutputDirectory={}", folder.display())]);
    fetch.within(folder).run(MAX_INSTALL)?;
    let archive = format!("keycloak-quarkus-dist-{KEYCLOAK}.zip");
    Invocation::new("unzip", &["-q", "-o", &archive]).within(folder).run(MAX_INSTALL)?;
    fs::rename(folder.join(format!("keycloak-{KEYCLOAK}")), &home).context("could not name its folder")?;
    fs::remove_file(folder.join(archive)).context("could not remove the archive")
}
